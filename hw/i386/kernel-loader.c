/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The device that makes a PC boot -kernel, -initrd and -append, through fw_cfg and our option ROM.
 */
#include <string.h>

#include "hw/core/firmware.h"
#include "hw/core/machine.h"
#include "hw/i386/kernel-boot.h"
#include "hw/nvram/fw_cfg.h"
#include "pc-bios/kernelboot-rom.h"

#define ROM_FILE "genroms/kernelboot.bin"

/* Items of the interface document that describe a kernel; OVMF reads them too. */
enum {
    ITEM_KERNEL_ADDR = 0x07,
    ITEM_KERNEL_SIZE = 0x08,
    ITEM_INITRD_ADDR = 0x0a,
    ITEM_INITRD_SIZE = 0x0b,
    ITEM_CMDLINE_ADDR = 0x13,
    ITEM_CMDLINE_SIZE = 0x14,
    ITEM_SETUP_ADDR = 0x16,
    ITEM_SETUP_SIZE = 0x17,
};

static void loader_set_u32(FwCfg *fw, uint16_t item, uint32_t value)
{
    uint32_t le = GUINT32_TO_LE(value);
    fw_cfg_set(fw, item, g_bytes_new(&le, sizeof(le)));
}

static void loader_set_piece(FwCfg *fw, uint16_t data_item, uint16_t addr_item, uint16_t size_item,
                             GBytes *data, uint32_t addr)
{
    if (data) {
        fw_cfg_set(fw, data_item, g_bytes_ref(data));
        loader_set_u32(fw, addr_item, addr);
        loader_set_u32(fw, size_item, g_bytes_get_size(data));
    }
}

static void loader_publish(FwCfg *fw, const KernelBoot *boot)
{
    loader_set_piece(fw, BOOT_ITEM_KERNEL, ITEM_KERNEL_ADDR, ITEM_KERNEL_SIZE, boot->kernel,
                     boot->kernel_addr);
    loader_set_piece(fw, BOOT_ITEM_INITRD, ITEM_INITRD_ADDR, ITEM_INITRD_SIZE, boot->initrd,
                     boot->initrd_addr);
    loader_set_piece(fw, BOOT_ITEM_CMDLINE, ITEM_CMDLINE_ADDR, ITEM_CMDLINE_SIZE, boot->cmdline,
                     boot->cmdline_addr);
    loader_set_piece(fw, BOOT_ITEM_SETUP, ITEM_SETUP_ADDR, ITEM_SETUP_SIZE, boot->setup,
                     boot->setup_addr);
    if (boot->info) {
        fw_cfg_set(fw, BOOT_ITEM_INFO, g_bytes_ref(boot->info));
    }
    /* Hosts are little-endian x86-64: the structure is the ROM's as it is. */
    fw_cfg_set(fw, BOOT_ITEM_PLAN, g_bytes_new(&boot->plan, sizeof(boot->plan)));
    fw_cfg_add_file(fw, ROM_FILE, g_bytes_new_static(kernelboot_rom, sizeof(kernelboot_rom)));
}

/* Where option @key of [system] was given. */
static const Origin *loader_origin(const Machine *machine, const char *key)
{
    return group_origin(config_find(machine->config, "system", NULL), key);
}

static bool loader_boot(Machine *machine, FwCfg *fw, const char *kernel, GError **error)
{
    const char *initrd = config_get(machine->config, "system", "initrd");
    const char *append = config_get(machine->config, "system", "append");
    g_autoptr(GBytes) image = host_file_load(kernel, machine->ram_size, error);
    bool initrd_to_blame = false;

    if (!image) {
        machine->blame = loader_origin(machine, "kernel");
        g_prefix_error(error, "kernel: ");
        return false;
    }
    BootInput input = {
        .kernel_name = kernel,
        .kernel = image,
        .initrd_name = initrd,
        .cmdline = append ? append : "",
        .ram_below_4g = machine->ram_below_4g,
        .initrd_to_blame = &initrd_to_blame,
    };
    g_autoptr(KernelBoot) boot = kernel_boot_new(&input, error);
    if (!boot) {
        machine->blame = loader_origin(machine, initrd_to_blame ? "initrd" : "kernel");
        return false;
    }
    loader_publish(fw, boot);
    return true;
}

static bool loader_realize(Device *device, GError **error)
{
    Machine *machine = device->machine;
    const char *kernel = machine->config ? config_get(machine->config, "system", "kernel") : NULL;
    FwCfg *fw = fw_cfg_find(machine);

    if (!kernel) {
        return true;
    }
    if (!fw || !machine->ram_below_4g) {
        g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_INVAL,
                    "pc-kernel-loader needs %s before it in the machine file",
                    fw ? "pc-memory" : "fw_cfg_io");
        return false;
    }
    return loader_boot(machine, fw, kernel, error);
}

static const Property loader_properties[] = { PROP_END };

static const DeviceType loader_type = {
    .name = "pc-kernel-loader",
    .desc = "Boots -kernel through the firmware",
    .category = "Misc",
    .bus = "system",
    .size = sizeof(Device),
    .properties = loader_properties,
    .realize = loader_realize,
    .not_for_users = "the machine file decides whether it can boot a kernel",
};
DEVICE_TYPE(loader_type);
