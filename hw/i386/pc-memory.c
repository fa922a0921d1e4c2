/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The memory of a PC: RAM below the PCI hole and above 4 GiB, and the firmware ROM that ends at 4
 * GiB and shows its last 128 KiB below 1 MiB.
 */
#include <string.h>

#include "hw/core/firmware.h"
#include "hw/core/machine.h"

#define KIB 1024ull
#define MIB (1024 * KIB)
#define GIB (1024 * MIB)

#define CONVENTIONAL_END (640 * KIB)
#define FIRMWARE_MAX     (16 * MIB)
#define FIRMWARE_UNIT    (64 * KIB)
#define FIRMWARE_ALIAS   (128 * KIB)

/*
 * The rule of QEMU's pc machines, which firmware and guests are used to: up to 3.5 GiB are all
 * below the hole; with more, 3 GiB are, so that the part above 4 GiB starts on a gigabyte.
 */
#define LOW_RAM_MAX   (3584 * MIB)
#define LOW_RAM_SPLIT (3 * GIB)

/* Stacking order, RAM 0; see i440fx.c for what lies over the ROM. */
enum { PRIORITY_RAM = 0, PRIORITY_ROM = 1 };

#define PC_MEMORY_MAPPINGS 6

typedef struct {
    Device device;
    char *firmware;
    bool writable_firmware;
    RamBlock *bios;
    GBytes *image;
    MemoryMapping *mappings[PC_MEMORY_MAPPINGS];
    unsigned mapping_count;
} PcMemory;

static void pc_memory_map(PcMemory *self, uint64_t addr, RamBlock *block, uint64_t offset,
                          uint64_t size, uint32_t flags, int priority)
{
    if (size > 0) {
        g_assert(self->mapping_count < PC_MEMORY_MAPPINGS);
        self->mappings[self->mapping_count++] = memory_map_ram(
            self->device.machine->memory, addr, block, offset, size, flags, priority);
    }
}

/* --- RAM ---------------------------------------------------------------------- */

/*
 * 0xa0000..0xfffff belongs to the VGA and to the host bridge, which maps shadow RAM there. Boards
 * without one have RAM in the upper part.
 */
static void pc_memory_map_ram(PcMemory *self)
{
    Machine *machine = self->device.machine;
    const uint32_t flags = MAP_READ | MAP_WRITE;

    pc_memory_map(self, 0, machine->ram, 0, CONVENTIONAL_END, flags, PRIORITY_RAM);
    if (self->writable_firmware) {
        pc_memory_map(self, 768 * KIB, machine->ram, 768 * KIB, 256 * KIB, flags, PRIORITY_RAM);
    }
    pc_memory_map(self, MIB, machine->ram, MIB, machine->ram_below_4g - MIB, flags, PRIORITY_RAM);
    pc_memory_map(self, 4 * GIB, machine->ram, machine->ram_below_4g, machine->ram_above_4g, flags,
                  PRIORITY_RAM);
}

static bool pc_memory_create_ram(PcMemory *self, GError **error)
{
    Machine *machine = self->device.machine;

    if (machine->ram_size < 2 * MIB || machine->ram_size > 1ull << 46) {
        g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_INVAL,
                    "a PC has 2 MiB to 64 TiB of memory, not %" G_GUINT64_FORMAT " bytes",
                    machine->ram_size);
        const ConfigGroup *size =
            machine->config ? config_find(machine->config, "memory", NULL) : NULL;
        machine->blame = size ? group_origin(size, "size") : NULL;
        return false;
    }
    machine->ram_below_4g = machine->ram_size;
    if (machine->ram_size >= LOW_RAM_MAX) {
        machine->ram_below_4g = LOW_RAM_SPLIT;
    }
    machine->ram_above_4g = machine->ram_size - machine->ram_below_4g;
    if (!machine->ram) {
        machine->ram = ram_block_new("pc.ram", machine->ram_size, error);
    }
    return machine->ram != NULL;
}

/* --- Firmware ------------------------------------------------------------------- */

static bool pc_memory_load_firmware(PcMemory *self, const char *name, GError **error)
{
    Machine *machine = self->device.machine;

    self->image = firmware_load(machine, name, FIRMWARE_MAX, error);
    if (!self->image) {
        g_prefix_error(error, "firmware: ");
        return false;
    }
    gsize size = g_bytes_get_size(self->image);
    if (size % FIRMWARE_UNIT) {
        g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_INVAL,
                    "firmware '%s' has %" G_GSIZE_FORMAT " bytes, which is no multiple of 64 KiB",
                    name, size);
        return false;
    }
    self->bios = ram_block_new("pc.bios", size, error);
    if (!self->bios) {
        return false;
    }
    memcpy(self->bios->host, g_bytes_get_data(self->image, NULL), size);
    return true;
}

/* -bios names a file in the working directory, or an image as the machine file does. */
static bool pc_memory_choose_firmware(PcMemory *self, GError **error)
{
    Machine *machine = self->device.machine;
    const char *chosen = machine->config ? config_get(machine->config, "system", "bios") : NULL;

    if (!chosen) {
        return pc_memory_load_firmware(self, self->firmware, error);
    }
    machine->blame = group_origin(config_find(machine->config, "system", NULL), "bios");
    if (g_file_test(chosen, G_FILE_TEST_EXISTS)) {
        g_autofree char *path = g_canonicalize_filename(chosen, NULL);
        if (!pc_memory_load_firmware(self, path, error)) {
            return false;
        }
    } else if (!pc_memory_load_firmware(self, chosen, error)) {
        g_prefix_error(error, "it is not in the working directory; ");
        return false;
    }
    machine->blame = NULL;
    return true;
}

static void pc_memory_map_firmware(PcMemory *self)
{
    const uint32_t flags = MAP_READ | MAP_WRITE | MAP_ROM;
    uint64_t size = self->bios->size, alias = MIN(size, FIRMWARE_ALIAS);

    pc_memory_map(self, 4 * GIB - size, self->bios, 0, size, flags, PRIORITY_ROM);
    if (!self->writable_firmware) {
        pc_memory_map(self, MIB - alias, self->bios, size - alias, alias, flags, PRIORITY_ROM);
    }
}

/* --- Life ------------------------------------------------------------------------- */

/* Without a ROM below 1 MiB, the firmware there is a copy in RAM, fresh at each reset. */
static void pc_memory_reset(Device *device)
{
    PcMemory *self = (PcMemory *)device;
    gsize size;
    const uint8_t *data = g_bytes_get_data(self->image, &size);
    gsize alias = MIN(size, FIRMWARE_ALIAS);

    if (self->writable_firmware) {
        memory_write(device->machine->memory, MIB - alias, data + size - alias, alias);
    }
}

static void pc_memory_unrealize(Device *device)
{
    PcMemory *self = (PcMemory *)device;

    while (self->mapping_count > 0) {
        memory_unmap(self->mappings[--self->mapping_count]);
    }
    g_clear_pointer(&self->bios, ram_block_free);
    g_clear_pointer(&self->image, g_bytes_unref);
}

static bool pc_memory_realize(Device *device, GError **error)
{
    PcMemory *self = (PcMemory *)device;


    if (!pc_memory_create_ram(self, error)) {
        return false;
    }
    if (!pc_memory_choose_firmware(self, error)) {
        pc_memory_unrealize(device);
        return false;
    }
    memory_begin(device->machine->memory);
    pc_memory_map_ram(self);
    pc_memory_map_firmware(self);
    memory_commit(device->machine->memory);
    return true;
}

static const Property pc_memory_properties[] = {
    PROP(PROP_STRING, PcMemory, firmware, "firmware", "firmware image; -bios overrides it",
         "bios-256k.bin"),
    PROP(PROP_BOOL, PcMemory, writable_firmware, "writable-firmware",
         "RAM with a copy of the firmware below 1 MiB, for boards without shadow RAM control",
         "off"),
    PROP_END,
};

static const DeviceType pc_memory_type = {
    .name = "pc-memory",
    .desc = "RAM and firmware ROM of a PC",
    .category = "Misc",
    .bus = "system",
    .size = sizeof(PcMemory),
    .properties = pc_memory_properties,
    .realize = pc_memory_realize,
    .unrealize = pc_memory_unrealize,
    .reset = pc_memory_reset,
    .not_for_users = "the machine file lays out memory",
};
DEVICE_TYPE(pc_memory_type);
