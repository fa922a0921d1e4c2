/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The device that tells a PC's firmware about the board, once all other devices are there: the
 * memory map, ACPI and SMBIOS tables, boot order and menu, and the ROM of an ISA VGA, as fw_cfg
 * files.
 */
#include <string.h>

#include "accel/accel.h"
#include "hw/core/machine.h"
#include "hw/display/vga-text.h"
#include "hw/i386/acpi-build.h"
#include "hw/i386/smbios.h"
#include "hw/nvram/fw_cfg.h"

#define ISA_DEVICES_MAX  16
#define SMBIOS_TEXT_MAX  255
#define SMBIOS_SOCKETS   256
#define KERNEL_ROM       "genroms/kernelboot.bin"

typedef struct {
    Device device;
    bool acpi;
    bool smbios;
} PcTables;

/* --- Memory map ------------------------------------------------------------------ */

static void e820_add(GByteArray *map, uint64_t start, uint64_t size)
{
    uint64_t entry[2] = { GUINT64_TO_LE(start), GUINT64_TO_LE(size) };
    uint32_t type = GUINT32_TO_LE(1); /* RAM */

    if (size > 0) {
        g_byte_array_append(map, (const guint8 *)entry, sizeof(entry));
        g_byte_array_append(map, (const guint8 *)&type, sizeof(type));
    }
}

/* Firmware takes out of it what it keeps for itself, and the window at 640 KiB. */
static void tables_add_e820(const Machine *machine, FwCfg *fw)
{
    GByteArray *map = g_byte_array_new();

    e820_add(map, 0, machine->ram_below_4g);
    e820_add(map, 1ull << 32, machine->ram_above_4g);
    fw_cfg_add_file(fw, "etc/e820", g_byte_array_free_to_bytes(map));
}

/* --- ACPI -------------------------------------------------------------------------- */

/* A number that a device has as a property. */
static unsigned device_number(const Device *device, const char *property)
{
    g_autofree char *text = device_property_get(device, property);
    return text ? g_ascii_strtoull(text, NULL, 0) : 0;
}

/* Describes @device to guests if it is one they look for in the DSDT; false if not. */
static bool tables_describe(const Device *device, unsigned serial, AcpiIsaDevice *isa)
{
    static const char *const serial_names[] = { "COM1", "COM2", "COM3", "COM4" };
    const char *type = device->type->name;

    if (!strcmp(type, "mc146818rtc")) {
        *isa = (AcpiIsaDevice){ "RTC", "PNP0B00", 0, 0x70, 0, 2, 0, 8 };
    } else if (!strcmp(type, "i8042")) {
        *isa = (AcpiIsaDevice){ "KBD", "PNP0303", 0, 0x60, 0x64, 1, 1, 1 };
    } else if (!strcmp(type, "isa-serial") && serial < G_N_ELEMENTS(serial_names)) {
        *isa = (AcpiIsaDevice){ serial_names[serial], "PNP0501", serial + 1,
                                device_number(device, "iobase"), 0, 8, 0,
                                device_number(device, "irq") & 15 };
    } else if (!strcmp(type, "pvpanic")) {
        *isa = (AcpiIsaDevice){ "PEVT", "QEMU0001", 0, device_number(device, "ioport"), 0, 1, 0,
                                -1 };
    } else if (!strcmp(type, "fw_cfg_io")) {
        *isa = (AcpiIsaDevice){ "FWCF", "QEMU0002", 0, 0x510, 0, 12, 0, -1 };
    } else {
        return false;
    }
    return true;
}

static unsigned tables_find_isa(const Machine *machine, AcpiIsaDevice *isa, unsigned max)
{
    unsigned count = 0, serials = 0;

    for (unsigned i = 0; i < machine->devices->len && count + 1 < max; i++) {
        if (!tables_describe(machine->devices->pdata[i], serials, &isa[count])) {
            continue;
        }
        serials += !strcmp(isa[count].hid, "PNP0501");
        bool keyboard = !strcmp(isa[count].name, "KBD");
        count++;
        if (keyboard) {
            isa[count++] = (AcpiIsaDevice){ "MOU", "PNP0F13", 0, 0, 0, 0, 0, 12 };
        }
    }
    return count;
}

static void tables_add_acpi(Machine *machine, FwCfg *fw)
{
    AcpiIsaDevice isa[ISA_DEVICES_MAX];
    g_autofree uint32_t *apic_ids = g_new(uint32_t, machine->vcpus->len + 1);
    AcpiFiles files;

    for (unsigned i = 0; i < machine->vcpus->len; i++) {
        apic_ids[i] = ((const Vcpu *)machine->vcpus->pdata[i])->apic_id;
    }
    AcpiInput input = {
        .apic_ids = apic_ids,
        .cpu_count = machine->vcpus->len,
        .ram_below_4g = machine->ram_below_4g,
        .isa = isa,
        .isa_count = tables_find_isa(machine, isa, G_N_ELEMENTS(isa)),
        .keyboard_controller = machine_find_device(machine, "i8042") != NULL,
    };
    acpi_build(&input, &files);
    fw_cfg_add_file(fw, "etc/acpi/tables", files.tables);
    fw_cfg_add_file(fw, "etc/acpi/rsdp", files.rsdp);
    fw_cfg_add_file(fw, "etc/table-loader", files.loader);
}

/* --- SMBIOS ------------------------------------------------------------------------- */

/* The 16 bytes of a UUID in the order of its text form, which has been validated. */
static void parse_uuid(const char *text, uint8_t uuid[16])
{
    unsigned n = 0;

    for (const char *p = text; p[0] && p[1] && n < 16; p += 2) {
        p += *p == '-';
        uuid[n++] = g_ascii_xdigit_value(p[0]) << 4 | g_ascii_xdigit_value(p[1]);
    }
}

static void tables_read_uuid(const char *text, SmbiosInput *input)
{
    if (text && g_uuid_string_is_valid(text)) {
        parse_uuid(text, input->uuid);
    }
}

static void tables_read_smbios_group(const ConfigGroup *group, SmbiosInput *input)
{
    const struct {
        const char *key;
        const char **target;
    } fields[] = {
        { "vendor", &input->bios_vendor },        { "date", &input->bios_date },
        { "release", &input->bios_release },      { "manufacturer", &input->manufacturer },
        { "product", &input->product },           { "serial", &input->serial },
        { "sku", &input->sku },                   { "family", &input->family },
    };
    bool bios = !g_strcmp0(group_get(group, "type"), "0");

    for (unsigned i = 0; i < G_N_ELEMENTS(fields); i++) {
        const char *text = group_get(group, fields[i].key);
        *fields[i].target = text ? text : *fields[i].target;
    }
    const char *version = group_get(group, "version");
    if (version) {
        *(bios ? &input->bios_version : &input->version) = version;
    }
    group_get_bool(group, "uefi", &input->uefi, NULL);
    tables_read_uuid(group_get(group, "uuid"), input);
    input->has_bios = input->has_bios || bios;
}

static SmbiosInput tables_smbios_input(const Machine *machine)
{
    const GPtrArray *groups = machine->config ? config_groups(machine->config, "smbios") : NULL;
    SmbiosInput input = {
        .manufacturer = "Tessera",
        .product = "PC",
        .version = machine->type_name,
        .sockets = CLAMP(machine->smp_sockets, 1, SMBIOS_SOCKETS),
        .cores_per_socket = MAX(machine->smp_cores * MAX(machine->smp_dies, 1), 1),
        .ram_below_4g = machine->ram_below_4g,
        .ram_above_4g = machine->ram_above_4g,
    };

    input.threads_per_socket = input.cores_per_socket * MAX(machine->smp_threads, 1);
    if (machine->config) {
        tables_read_uuid(config_get(machine->config, "system", "uuid"), &input);
    }
    for (unsigned i = 0; groups && i < groups->len; i++) {
        tables_read_smbios_group(groups->pdata[i], &input);
    }
    return input;
}

static void tables_add_smbios(const Machine *machine, FwCfg *fw)
{
    SmbiosInput input = tables_smbios_input(machine);
    GBytes *structures, *anchor;

    smbios_build(&input, &structures, &anchor);
    fw_cfg_set(fw, FW_CFG_UUID, g_bytes_new(input.uuid, sizeof(input.uuid)));
    fw_cfg_add_file(fw, "etc/smbios/smbios-tables", structures);
    fw_cfg_add_file(fw, "etc/smbios/smbios-anchor", anchor);
}

/* Texts longer than a byte counts could make the tables larger than their 16-bit length. */
static bool tables_check_smbios(const Machine *machine, GError **error)
{
    SmbiosInput input = tables_smbios_input(machine);
    const char *texts[] = { input.bios_vendor,  input.bios_version, input.bios_date,
                            input.manufacturer, input.product,      input.version,
                            input.serial,       input.sku,          input.family };

    for (unsigned i = 0; i < G_N_ELEMENTS(texts); i++) {
        if (texts[i] && strlen(texts[i]) > SMBIOS_TEXT_MAX) {
            g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_INVAL,
                        "smbios: a text has %" G_GSIZE_FORMAT " bytes, %u are allowed",
                        strlen(texts[i]), SMBIOS_TEXT_MAX);
            return false;
        }
    }
    return true;
}

/* --- Boot ------------------------------------------------------------------------------- */

/* SeaBIOS boots in the order of this list of device paths; HALT: nothing that is not in it. */
static void tables_add_boot_order(FwCfg *fw, bool strict)
{
    g_autoptr(GString) order = g_string_new(NULL);

    if (fw_cfg_get_file(fw, KERNEL_ROM)) {
        g_string_append(order, "/rom@" KERNEL_ROM "\n");
    }
    if (strict) {
        g_string_append(order, "HALT\n");
    }
    if (order->len) {
        order->str[order->len - 1] = '\0'; /* the list ends with a zero byte */
        fw_cfg_add_file(fw, "bootorder", g_bytes_new(order->str, order->len));
    }
}

static void tables_add_boot(const Machine *machine, FwCfg *fw)
{
    const ConfigGroup *boot =
        machine->config ? config_find(machine->config, "boot-opts", NULL) : NULL;
    bool menu = false, strict = false;
    uint64_t wait = 0;

    if (boot) {
        group_get_bool(boot, "menu", &menu, NULL);
        group_get_bool(boot, "strict", &strict, NULL);
        group_get_uint(boot, "splash-time", &wait, NULL);
    }
    fw_cfg_set_u16(fw, FW_CFG_BOOT_MENU, menu);
    if (wait) {
        uint16_t ms = GUINT16_TO_LE(wait);
        fw_cfg_add_file(fw, "etc/boot-menu-wait", g_bytes_new(&ms, sizeof(ms)));
    }
    tables_add_boot_order(fw, strict);
}

/* --- Life --------------------------------------------------------------------------------- */

static void tables_ready(void *opaque)
{
    PcTables *self = opaque;
    Machine *machine = self->device.machine;
    FwCfg *fw = fw_cfg_find(machine);

    tables_add_e820(machine, fw);
    tables_add_boot(machine, fw);
    fw_cfg_set(fw, FW_CFG_IRQ0_OVERRIDE, g_bytes_new_static("\1\0\0\0", 4));
    if (self->acpi) {
        tables_add_acpi(machine, fw);
    }
    if (self->smbios) {
        tables_add_smbios(machine, fw);
    }
    Device *vga = machine_find_device(machine, "isa-vga");
    if (vga) {
        fw_cfg_add_file(fw, "vgaroms/isa-vga.bin", g_bytes_ref(vga_isa_rom(vga)));
    }
}

static bool tables_realize(Device *device, GError **error)
{
    PcTables *self = (PcTables *)device;
    Machine *machine = device->machine;

    if (!fw_cfg_find(machine)) {
        g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_INVAL,
                    "pc-tables needs fw_cfg_io before it in the machine file");
        return false;
    }
    if (!tables_check_smbios(machine, error)) {
        return false;
    }
    machine_on_ready(machine, tables_ready, self);
    return true;
}

static const Property tables_properties[] = {
    PROP(PROP_BOOL, PcTables, acpi, "acpi", "offer ACPI tables", "on"),
    PROP(PROP_BOOL, PcTables, smbios, "smbios", "offer SMBIOS tables", "on"),
    PROP_END,
};

static const DeviceType tables_type = {
    .name = "pc-tables",
    .desc = "What firmware is told of a PC: memory map, ACPI, SMBIOS, boot order",
    .category = "Misc",
    .bus = "system",
    .size = sizeof(PcTables),
    .properties = tables_properties,
    .realize = tables_realize,
    .not_for_users = "the machine file decides what its firmware is told",
};
DEVICE_TYPE(tables_type);
