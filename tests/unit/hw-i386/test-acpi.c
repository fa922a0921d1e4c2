/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ACPI tables as an operating system finds them: the loader script is executed the way firmware
 * does it, then the tables are walked from the root pointer, and iasl reads their AML where it is
 * installed.
 */
#include <glib/gstdio.h>
#include <string.h>

#include "hw/i386/acpi-build.h"

#define TABLES_AT 0x07ff0040u /* aligned to 64 bytes, as the script asks */

typedef struct {
    GByteArray *tables; /* as in guest memory at TABLES_AT */
    GByteArray *rsdp;
} Linked;

static const AcpiIsaDevice isa_devices[] = {
    { "RTC", "PNP0B00", 0, 0x70, 0, 2, 0, 8 },
    { "KBD", "PNP0303", 0, 0x60, 0x64, 1, 1, 1 },
    { "COM1", "PNP0501", 1, 0x3f8, 0, 8, 0, 4 },
    { "FWCF", "QEMU0002", 0, 0x510, 0, 12, 0, -1 },
};

static uint32_t get32(const uint8_t *p)
{
    return p[0] | p[1] << 8 | p[2] << 16 | (uint32_t)p[3] << 24;
}

static uint64_t get64(const uint8_t *p)
{
    return get32(p) | (uint64_t)get32(p + 4) << 32;
}

static uint8_t sum(const uint8_t *data, gsize size)
{
    uint8_t total = 0;
    for (gsize i = 0; i < size; i++) {
        total += data[i];
    }
    return total;
}

static GByteArray *linked_file(Linked *linked, const uint8_t *name)
{
    return !strcmp((const char *)name, "etc/acpi/tables") ? linked->tables
         : !strcmp((const char *)name, "etc/acpi/rsdp")   ? linked->rsdp
                                                          : NULL;
}

/* One 128-byte command of the script; numbers are little-endian. */
static void run_command(Linked *linked, const uint8_t *command)
{
    GByteArray *file = linked_file(linked, command + 4);
    g_assert_nonnull(file);
    switch (get32(command)) {
    case 1:
        g_assert_cmpuint(get32(command + 60), ==, file == linked->tables ? 64 : 16);
        g_assert_cmpuint(command[64], ==, file == linked->tables ? 1 : 2);
        break;
    case 2: {
        uint32_t at = get32(command + 116), size = command[120];
        g_assert_true(linked_file(linked, command + 60) == linked->tables);
        g_assert_cmpuint(at + size, <=, file->len);
        uint64_t value = size == 8 ? get64(file->data + at) : get32(file->data + at);
        g_assert_cmpuint(value, <, linked->tables->len);
        value += TABLES_AT;
        memcpy(file->data + at, &value, size);
        break;
    }
    case 3: {
        uint32_t at = get32(command + 60), start = get32(command + 64), size = get32(command + 68);
        g_assert_cmpuint(start + size, <=, file->len);
        g_assert_cmpuint(at, >=, start);
        g_assert_cmpuint(at, <, start + size);
        file->data[at] = -sum(file->data + start, size);
        break;
    }
    default:
        g_assert_not_reached();
    }
}

static GByteArray *copy(GBytes *bytes)
{
    GByteArray *array = g_byte_array_new();
    g_byte_array_append(array, g_bytes_get_data(bytes, NULL), g_bytes_get_size(bytes));
    return array;
}

static Linked link_tables(const AcpiInput *input)
{
    AcpiFiles files;
    gsize size;

    acpi_build(input, &files);
    Linked linked = { copy(files.tables), copy(files.rsdp) };
    const uint8_t *script = g_bytes_get_data(files.loader, &size);
    g_assert_cmpuint(size % 128, ==, 0);
    for (gsize at = 0; at < size; at += 128) {
        run_command(&linked, script + at);
    }
    acpi_files_clear(&files);
    return linked;
}

static void linked_clear(Linked *linked)
{
    g_byte_array_unref(linked->tables);
    g_byte_array_unref(linked->rsdp);
}

static const uint8_t *table_at(const Linked *linked, uint64_t address, const char *signature)
{
    g_assert_cmpuint(address, >=, TABLES_AT);
    g_assert_cmpuint(address + 36, <=, TABLES_AT + linked->tables->len);
    const uint8_t *table = linked->tables->data + (address - TABLES_AT);
    uint32_t length = get32(table + 4);
    g_assert_cmpuint(address + length, <=, TABLES_AT + linked->tables->len);
    g_assert_cmpmem(table, 4, signature, 4);
    if (strcmp(signature, "FACS")) {
        g_assert_cmphex(sum(table, length), ==, 0);
    }
    return table;
}

/* The table that the RSDT lists under @signature. */
static const uint8_t *find_table(const Linked *linked, const char *signature)
{
    const uint8_t *rsdt = table_at(linked, get32(linked->rsdp->data + 16), "RSDT");
    for (uint32_t at = 36; at < get32(rsdt + 4); at += 4) {
        const uint8_t *table = linked->tables->data + (get32(rsdt + at) - TABLES_AT);
        if (!memcmp(table, signature, 4)) {
            return table_at(linked, get32(rsdt + at), signature);
        }
    }
    return NULL;
}

static AcpiInput make_input(uint32_t *ids, unsigned cpus)
{
    for (unsigned n = 0; n < cpus; n++) {
        ids[n] = 2 * n;
    }
    return (AcpiInput){ ids, cpus, 0x8000000, isa_devices, G_N_ELEMENTS(isa_devices), true };
}

static void test_links(void)
{
    uint32_t ids[3];
    AcpiInput input = make_input(ids, 3);
    Linked linked = link_tables(&input);

    g_assert_cmpmem(linked.rsdp->data, 8, "RSD PTR ", 8);
    g_assert_cmpuint(linked.rsdp->len, ==, 20);
    g_assert_cmphex(sum(linked.rsdp->data, 20), ==, 0);
    const uint8_t *fadt = find_table(&linked, "FACP");
    g_assert_cmpuint(get32(fadt + 4), ==, 244);
    const uint8_t *facs = table_at(&linked, get32(fadt + 36), "FACS");
    g_assert_cmpuint((facs - linked.tables->data) % 64, ==, 0);
    table_at(&linked, get32(fadt + 40), "DSDT");
    g_assert_cmphex(get64(fadt + 140), ==, get32(fadt + 40));
    g_assert_cmphex(fadt[46], ==, 9);
    g_assert_cmphex(get32(fadt + 48), ==, 0xb2);
    g_assert_cmphex(get32(fadt + 56), ==, 0x600);
    g_assert_cmphex(get32(fadt + 76), ==, 0x608);
    g_assert_cmphex(get64(fadt + 120), ==, 0xcf9);
    g_assert_cmphex(fadt[128], ==, 6);
    g_assert_nonnull(find_table(&linked, "SSDT"));
    g_assert_nonnull(find_table(&linked, "WAET"));
    linked_clear(&linked);
}

static void test_madt(void)
{
    static uint32_t ids[300];
    AcpiInput input = make_input(ids, G_N_ELEMENTS(ids));
    Linked linked = link_tables(&input);
    const uint8_t *madt = find_table(&linked, "APIC");
    unsigned counts[16] = { 0 };

    for (uint32_t at = 44; at < get32(madt + 4); at += madt[at + 1]) {
        const uint8_t *entry = madt + at;
        g_assert_cmpuint(entry[1], >=, 6);
        g_assert_cmpuint(entry[0], <, 16);
        if (entry[0] == 0) {
            g_assert_cmpuint(entry[3], ==, ids[entry[2]]);
        } else if (entry[0] == 9) {
            g_assert_cmpuint(get32(entry + 4), ==, ids[get32(entry + 12)]);
        } else if (entry[0] == 1) {
            g_assert_cmphex(get32(entry + 4), ==, 0xfec00000);
        }
        counts[entry[0]]++;
    }
    g_assert_cmpuint(counts[0], ==, 128); /* APIC IDs up to 254 */
    g_assert_cmpuint(counts[9], ==, 172);
    g_assert_cmpuint(counts[1], ==, 1);
    g_assert_cmpuint(counts[2], ==, 5);
    g_assert_cmpuint(counts[4], ==, 1);
    linked_clear(&linked);
}

/* Disassembles and compiles again; a remark or error of iasl fails. */
static void check_iasl(const Linked *linked, const char *dir, const char *signature)
{
    const uint8_t *fadt = find_table(linked, "FACP");
    const uint8_t *table = strcmp(signature, "DSDT")
                               ? find_table(linked, signature)
                               : table_at(linked, get32(fadt + 40), "DSDT");
    g_autofree char *aml = g_strdup_printf("%s/%s.aml", dir, signature);
    g_autofree char *dsl = g_strdup_printf("%s/%s.dsl", dir, signature);
    const char *decompile[] = { "iasl", "-d", aml, NULL };
    const char *compile[] = { "iasl", dsl, NULL };
    g_autofree char *out = NULL, *err = NULL;
    int status;

    g_assert_true(g_file_set_contents(aml, (const char *)table, get32(table + 4), NULL));
    g_assert_true(g_spawn_sync(NULL, (char **)decompile, NULL, G_SPAWN_SEARCH_PATH, NULL, NULL,
                               &out, &err, &status, NULL));
    g_assert_cmpint(status, ==, 0);
    if (strstr(err, "Error") || strstr(err, "Warning")) {
        g_error("iasl -d %s: %s", signature, err);
    }
    g_free(g_steal_pointer(&out));
    g_free(g_steal_pointer(&err));
    g_assert_true(g_spawn_sync(NULL, (char **)compile, NULL, G_SPAWN_SEARCH_PATH, NULL, NULL, &out,
                               &err, &status, NULL));
    if (status != 0 || !strstr(out, "0 Errors")) {
        g_error("iasl %s: %s %s", signature, out, err);
    }
    g_unlink(aml);
    g_unlink(dsl);
}

static void test_iasl(void)
{
    static const char *const signatures[] = { "DSDT", "SSDT", "FACP", "APIC", "WAET" };
    uint32_t ids[2];
    AcpiInput input = make_input(ids, 2);
    g_autofree char *iasl = g_find_program_in_path("iasl");
    g_autofree char *dir = g_dir_make_tmp("tessera-acpi-XXXXXX", NULL);

    if (!iasl) {
        g_rmdir(dir);
        g_test_skip("iasl (package acpica-tools) is not installed");
        return;
    }
    Linked linked = link_tables(&input);
    for (unsigned i = 0; i < G_N_ELEMENTS(signatures); i++) {
        check_iasl(&linked, dir, signatures[i]);
    }
    linked_clear(&linked);
    g_rmdir(dir);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/acpi/links", test_links);
    g_test_add_func("/acpi/madt", test_madt);
    g_test_add_func("/acpi/iasl", test_iasl);
    return g_test_run();
}
