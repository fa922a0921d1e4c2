/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Fixed ACPI tables (ACPI 6.4, 5.2), written in the layout of ACPI 2.0, which old guests know, and
 * the linker script for firmware (the table-loader interface that SeaBIOS and OVMF execute).
 */
#include "hw/i386/acpi-build.h"

#include <string.h>

#include "hw/i386/acpi-dsdt.h"

#define TABLES_FILE "etc/acpi/tables"
#define RSDP_FILE   "etc/acpi/rsdp"

#define PM_BASE       0x600 /* where SeaBIOS puts the PIIX4's registers */
#define SMI_PORT      0xb2
#define ACPI_ENABLE   0xf1 /* hw/acpi/piix4-pm.c takes these at the SMI port */
#define ACPI_DISABLE  0xf0
#define SCI_IRQ       9
#define RESET_PORT    0xcf9
#define RESET_VALUE   0x06
#define CMOS_CENTURY  0x32
#define APIC_BASE     0xfee00000u
#define IO_APIC_BASE  0xfec00000u

#define HEADER_SIZE 36
#define CHECKSUM_AT 9

/* Commands of the loader, 128 bytes each. */
enum { LOADER_ALLOCATE = 1, LOADER_POINTER = 2, LOADER_CHECKSUM = 3 };
enum { LOADER_ZONE_HIGH = 1, LOADER_ZONE_FSEG = 2 };
#define LOADER_COMMAND_SIZE 128
#define LOADER_NAME_SIZE    56

typedef struct {
    const AcpiInput *input;
    GByteArray *tables;
    GByteArray *rsdp;
    GByteArray *loader;
} AcpiBuild;

/* --- Bytes ------------------------------------------------------------------------ */

static void put(GByteArray *out, uint64_t value, unsigned size)
{
    for (unsigned i = 0; i < size; i++) {
        uint8_t byte = value >> (8 * i);
        g_byte_array_append(out, &byte, 1);
    }
}

static void put_text(GByteArray *out, const char *text, unsigned size)
{
    g_byte_array_append(out, (const guint8 *)text, size);
}

static void put_zeros(GByteArray *out, unsigned size)
{
    guint old = out->len;
    g_byte_array_set_size(out, old + size);
    memset(out->data + old, 0, size);
}

static void poke32(GByteArray *out, unsigned at, uint32_t value)
{
    for (unsigned i = 0; i < 4; i++) {
        out->data[at + i] = value >> (8 * i);
    }
}

/* Generic address structure (5.2.3.2) of an I/O port register. */
static void put_port_register(GByteArray *out, uint16_t port, unsigned bits)
{
    put(out, port ? 1 : 0, 1);
    put(out, bits, 1);
    put(out, 0, 2);
    put(out, port, 8);
}

/* --- Loader script ------------------------------------------------------------------ */

static void loader_begin(AcpiBuild *build, uint32_t command, const char *file)
{
    char name[LOADER_NAME_SIZE] = { 0 };

    g_strlcpy(name, file, sizeof(name));
    put(build->loader, command, 4);
    put_text(build->loader, name, sizeof(name));
}

static void loader_end(AcpiBuild *build)
{
    guint rest = build->loader->len % LOADER_COMMAND_SIZE;
    put_zeros(build->loader, LOADER_COMMAND_SIZE - rest);
}

static void loader_allocate(AcpiBuild *build, const char *file, uint32_t align, uint8_t zone)
{
    loader_begin(build, LOADER_ALLOCATE, file);
    put(build->loader, align, 4);
    put(build->loader, zone, 1);
    loader_end(build);
}

/* Adds the address of the tables to the @size bytes at @offset of @file. */
static void loader_pointer(AcpiBuild *build, const char *file, uint32_t offset, uint8_t size)
{
    char source[LOADER_NAME_SIZE] = TABLES_FILE;

    loader_begin(build, LOADER_POINTER, file);
    put_text(build->loader, source, sizeof(source));
    put(build->loader, offset, 4);
    put(build->loader, size, 1);
    loader_end(build);
}

static void loader_checksum(AcpiBuild *build, const char *file, uint32_t at, uint32_t start,
                            uint32_t length)
{
    loader_begin(build, LOADER_CHECKSUM, file);
    put(build->loader, at, 4);
    put(build->loader, start, 4);
    put(build->loader, length, 4);
    loader_end(build);
}

/* --- Tables -------------------------------------------------------------------------- */

/* Starts a table; table_end() gives it its length and has its checksum made. Returns its offset. */
static uint32_t table_begin(AcpiBuild *build, const char *signature, uint8_t revision)
{
    uint32_t start = build->tables->len;
    char table_id[8];

    memcpy(table_id, "TESS", 4);
    memcpy(table_id + 4, signature, 4);
    put_text(build->tables, signature, 4);
    put(build->tables, 0, 4);
    put(build->tables, revision, 1);
    put(build->tables, 0, 1);
    put_text(build->tables, "TESSRA", 6);
    put_text(build->tables, table_id, 8);
    put(build->tables, 1, 4);
    put_text(build->tables, "TESS", 4);
    put(build->tables, 1, 4);
    return start;
}

static void table_end(AcpiBuild *build, uint32_t start)
{
    uint32_t length = build->tables->len - start;

    poke32(build->tables, start + 4, length);
    loader_checksum(build, TABLES_FILE, start + CHECKSUM_AT, start, length);
}

static uint32_t build_aml_table(AcpiBuild *build, const char *signature, Aml *body)
{
    uint32_t start = table_begin(build, signature, 1);
    g_autoptr(GByteArray) bytes = aml_finish(body);

    g_byte_array_append(build->tables, bytes->data, bytes->len);
    table_end(build, start);
    return start;
}

/* 5.2.10: has no checksum; aligned to 64 bytes, which the start of the file is. */
static uint32_t build_facs(AcpiBuild *build)
{
    uint32_t start = build->tables->len;

    put_text(build->tables, "FACS", 4);
    put(build->tables, 64, 4);
    put_zeros(build->tables, 56);
    return start;
}

static void put_fadt_power_blocks(GByteArray *out)
{
    put(out, PM_BASE + 0x00, 4); /* PM1a_EVT_BLK */
    put(out, 0, 4);
    put(out, PM_BASE + 0x04, 4); /* PM1a_CNT_BLK */
    put(out, 0, 4);
    put(out, 0, 4);
    put(out, PM_BASE + 0x08, 4); /* PM_TMR_BLK */
    put(out, PM_BASE + 0x0c, 4); /* GPE0_BLK */
    put(out, 0, 4);
    put(out, 4, 1); /* PM1_EVT_LEN */
    put(out, 2, 1); /* PM1_CNT_LEN */
    put(out, 0, 1);
    put(out, 4, 1); /* PM_TMR_LEN */
    put(out, 4, 1); /* GPE0_BLK_LEN */
    put_zeros(out, 3);
}

static void put_fadt_extended_blocks(GByteArray *out)
{
    put_port_register(out, PM_BASE + 0x00, 32);
    put_port_register(out, 0, 0);
    put_port_register(out, PM_BASE + 0x04, 16);
    put_port_register(out, 0, 0);
    put_port_register(out, 0, 0);
    put_port_register(out, PM_BASE + 0x08, 32);
    put_port_register(out, PM_BASE + 0x0c, 32);
    put_port_register(out, 0, 0);
}

/* 5.2.9, revision 3. */
static uint32_t build_fadt(AcpiBuild *build, uint32_t facs, uint32_t dsdt)
{
    enum { WBINVD = 1u << 0, PROC_C1 = 1u << 2, SLP_BUTTON = 1u << 5, FIX_RTC = 1u << 6,
           RESET_REG_SUP = 1u << 10 };
    enum { LEGACY_DEVICES = 1u << 0, HAS_8042 = 1u << 1 };
    GByteArray *out = build->tables;
    uint32_t start = table_begin(build, "FACP", 3);

    loader_pointer(build, TABLES_FILE, out->len, 4);
    put(out, facs, 4);
    loader_pointer(build, TABLES_FILE, out->len, 4);
    put(out, dsdt, 4);
    put(out, 0, 2); /* preferred profile: unspecified */
    put(out, SCI_IRQ, 2);
    put(out, SMI_PORT, 4);
    put(out, ACPI_ENABLE, 1);
    put(out, ACPI_DISABLE, 1);
    put(out, 0, 2);
    put_fadt_power_blocks(out);
    put(out, 0xfff, 2); /* no C2 */
    put(out, 0xfff, 2); /* no C3 */
    put_zeros(out, 8);  /* flush size and stride, duty, alarms */
    put(out, CMOS_CENTURY, 1);
    put(out, LEGACY_DEVICES | (build->input->keyboard_controller ? HAS_8042 : 0), 2);
    put(out, 0, 1);
    put(out, WBINVD | PROC_C1 | SLP_BUTTON | FIX_RTC | RESET_REG_SUP, 4);
    put_port_register(out, RESET_PORT, 8);
    put(out, RESET_VALUE, 1);
    put_zeros(out, 3);
    put(out, 0, 8); /* X_FIRMWARE_CTRL: the 32-bit field has it */
    loader_pointer(build, TABLES_FILE, out->len, 8);
    put(out, dsdt, 8);
    put_fadt_extended_blocks(out);
    table_end(build, start);
    return start;
}

/*
 * Interrupt source override (5.2.12.5): an ISA interrupt that is not identity-mapped or not edge.
 */
static void put_madt_override(GByteArray *out, uint8_t irq, uint32_t gsi, uint16_t flags)
{
    put(out, 2, 1);
    put(out, 10, 1);
    put(out, 0, 1);
    put(out, irq, 1);
    put(out, gsi, 4);
    put(out, flags, 2);
}

static void put_madt_cpu(GByteArray *out, unsigned n, uint32_t apic_id)
{
    if (apic_id < 255 && n < 255) {
        put(out, 0, 1);
        put(out, 8, 1);
        put(out, n, 1);
        put(out, apic_id, 1);
        put(out, 1, 4);
    } else {
        put(out, 9, 1); /* local x2APIC */
        put(out, 16, 1);
        put(out, 0, 2);
        put(out, apic_id, 4);
        put(out, 1, 4);
        put(out, n, 4);
    }
}

/* 5.2.12 */
static uint32_t build_madt(AcpiBuild *build)
{
    static const uint8_t level_irqs[] = { 5, 9, 10, 11 }; /* PCI links and the SCI */
    enum { ACTIVE_HIGH_LEVEL = 0x0d };
    GByteArray *out = build->tables;
    uint32_t start = table_begin(build, "APIC", 1);

    put(out, APIC_BASE, 4);
    put(out, 1, 4); /* there are 8259s too */
    for (unsigned n = 0; n < build->input->cpu_count; n++) {
        put_madt_cpu(out, n, build->input->apic_ids[n]);
    }
    put(out, 1, 1); /* I/O APIC */
    put(out, 12, 1);
    put(out, 0, 2);
    put(out, IO_APIC_BASE, 4);
    put(out, 0, 4);
    put_madt_override(out, 0, 2, 0);
    for (unsigned i = 0; i < G_N_ELEMENTS(level_irqs); i++) {
        put_madt_override(out, level_irqs[i], level_irqs[i], ACTIVE_HIGH_LEVEL);
    }
    put(out, 4, 1); /* NMI of all processors at LINT1 */
    put(out, 6, 1);
    put(out, 0xff, 1);
    put(out, 0, 2);
    put(out, 1, 1);
    table_end(build, start);
    return start;
}

/* Windows ACPI Emulated devices Table: the PM timer needs not be read twice. */
static uint32_t build_waet(AcpiBuild *build)
{
    uint32_t start = table_begin(build, "WAET", 1);

    put(build->tables, 1u << 1, 4);
    table_end(build, start);
    return start;
}

static uint32_t build_rsdt(AcpiBuild *build, const uint32_t *tables, unsigned count)
{
    uint32_t start = table_begin(build, "RSDT", 1);

    for (unsigned i = 0; i < count; i++) {
        loader_pointer(build, TABLES_FILE, build->tables->len, 4);
        put(build->tables, tables[i], 4);
    }
    table_end(build, start);
    return start;
}

/* 5.2.5.3, revision 0: there is no XSDT, as all tables lie below 4 GiB. */
static void build_rsdp(AcpiBuild *build, uint32_t rsdt)
{
    put_text(build->rsdp, "RSD PTR ", 8);
    put(build->rsdp, 0, 1);
    put_text(build->rsdp, "TESSRA", 6);
    put(build->rsdp, 0, 1);
    loader_pointer(build, RSDP_FILE, build->rsdp->len, 4);
    put(build->rsdp, rsdt, 4);
    loader_checksum(build, RSDP_FILE, 8, 0, build->rsdp->len);
}

/* Pointers and checksums are appended to the script in an order that works: a table's own last. */
void acpi_build(const AcpiInput *input, AcpiFiles *files)
{
    AcpiBuild build = {
        .input = input,
        .tables = g_byte_array_new(),
        .rsdp = g_byte_array_new(),
        .loader = g_byte_array_new(),
    };

    loader_allocate(&build, TABLES_FILE, 64, LOADER_ZONE_HIGH);
    loader_allocate(&build, RSDP_FILE, 16, LOADER_ZONE_FSEG);
    uint32_t facs = build_facs(&build);
    uint32_t dsdt = build_aml_table(&build, "DSDT", acpi_dsdt(input));
    uint32_t tables[] = {
        build_fadt(&build, facs, dsdt),
        build_aml_table(&build, "SSDT", acpi_ssdt(input)),
        build_madt(&build),
        build_waet(&build),
    };
    build_rsdp(&build, build_rsdt(&build, tables, G_N_ELEMENTS(tables)));
    files->tables = g_byte_array_free_to_bytes(build.tables);
    files->rsdp = g_byte_array_free_to_bytes(build.rsdp);
    files->loader = g_byte_array_free_to_bytes(build.loader);
}

void acpi_files_clear(AcpiFiles *files)
{
    g_clear_pointer(&files->tables, g_bytes_unref);
    g_clear_pointer(&files->rsdp, g_bytes_unref);
    g_clear_pointer(&files->loader, g_bytes_unref);
}
