/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Booting a Linux bzImage by the 16-bit boot protocol (Linux, Documentation/arch/x86/boot.rst). */
#include <string.h>

#include "hw/i386/kernel-boot.h"

/* Fields of the setup header, offsets in the file. */
enum {
    SETUP_SECTS = 0x1f1,
    SYSSIZE = 0x1f4,
    BOOT_FLAG = 0x1fe,
    HEADER_MAGIC = 0x202,
    VERSION = 0x206,
    TYPE_OF_LOADER = 0x210,
    LOADFLAGS = 0x211,
    RAMDISK_IMAGE = 0x218,
    RAMDISK_SIZE = 0x21c,
    HEAP_END_PTR = 0x224,
    CMD_LINE_PTR = 0x228,
    INITRD_ADDR_MAX = 0x22c,
    CMDLINE_SIZE = 0x238,
    PREF_ADDRESS = 0x258,
    INIT_SIZE = 0x260,
    HEADER_END = 0x268,
};

enum { LOADED_HIGH = 1u << 0, CAN_USE_HEAP = 1u << 7 };

/*
 * The memory layout that the protocol recommends, at 64 KiB: setup, stack and heap, command line.
 */
#define SETUP_ADDR     0x10000u
#define SETUP_HEAP_END 0xfe00u
#define SETUP_MAX      0x8200u /* the kernel's own linker script keeps to 32 KiB */
#define CMDLINE_ADDR   0x20000u
#define CMDLINE_MAX    0x10000u
#define KERNEL_ADDR    0x100000u
#define LOADER_UNKNOWN 0xff

typedef struct {
    const uint8_t *data;
    gsize size;
    unsigned version;
    uint32_t setup_size;
    uint32_t kernel_size;
} LinuxImage;

static bool linux_check_header(const BootInput *input, LinuxImage *image, GError **error)
{
    unsigned sectors = image->data[SETUP_SECTS];

    image->version = boot_get16(image->data + VERSION);
    if (image->version < 0x202) {
        return boot_fail(input, error, "boot protocol %u.%02u, but 2.02 is the oldest supported",
                         image->version >> 8, image->version & 0xff);
    }
    if (!(image->data[LOADFLAGS] & LOADED_HIGH)) {
        return boot_fail(input, error, "it is a zImage, only bzImages are supported");
    }
    /* "If the setup_sects field contains 0, the real value is 4." */
    image->setup_size = ((sectors ? sectors : 4) + 1) * 512;
    if (image->setup_size > SETUP_MAX) {
        return boot_fail(input, error, "its header says %u setup sectors, more than fit", sectors);
    }
    if (image->size <= image->setup_size) {
        return boot_fail(input, error,
                         "it is truncated: %" G_GSIZE_FORMAT " bytes, and its setup alone has %u",
                         image->size, image->setup_size);
    }
    image->kernel_size = MIN(image->size - image->setup_size, UINT32_MAX);
    /* Before 2.04 only 16 bits are meaningful; the last paragraph need not be whole. */
    uint64_t paragraphs = image->version >= 0x204 ? boot_get32(image->data + SYSSIZE)
                                                  : boot_get16(image->data + SYSSIZE);
    uint64_t needed = image->setup_size + paragraphs * 16;
    if (needed > image->size + 15) {
        return boot_fail(input, error,
                         "it is truncated: %" G_GSIZE_FORMAT " bytes, its header says %"
                         G_GUINT64_FORMAT, image->size, needed);
    }
    return true;
}

/* Where memory that the kernel uses before it reads the memory map ends. */
static uint64_t linux_kernel_end(const LinuxImage *image)
{
    uint64_t end = KERNEL_ADDR + (uint64_t)image->kernel_size;

    if (image->version >= 0x20a) {
        uint64_t start = MAX(boot_get64(image->data + PREF_ADDRESS), KERNEL_ADDR);
        if (start < UINT32_MAX) {
            end = MAX(end, start + boot_get32(image->data + INIT_SIZE));
        }
    }
    return end;
}

static bool linux_add_initrd(const BootInput *input, KernelBoot *boot, const LinuxImage *image,
                             uint8_t *setup, GError **error)
{
    /* "If the field is not there, the maximum is 0x37ffffff." */
    uint64_t limit =
        image->version >= 0x203 ? boot_get32(image->data + INITRD_ADDR_MAX) : 0x37ffffff;

    if (!boot_get_initrd(input, &boot->initrd, error)) {
        return false;
    }
    if (!boot->initrd) {
        return true;
    }
    gsize size = g_bytes_get_size(boot->initrd);
    boot->initrd_addr = boot_place_initrd(input, size, linux_kernel_end(image), limit + 1, error);
    if (!boot->initrd_addr) {
        return false;
    }
    boot_put32(setup + RAMDISK_IMAGE, boot->initrd_addr);
    boot_put32(setup + RAMDISK_SIZE, size);
    return boot_add_load(input, boot, BOOT_ITEM_INITRD, 0, size, boot->initrd_addr, error);
}

static bool linux_add_cmdline(const BootInput *input, KernelBoot *boot, const LinuxImage *image,
                              uint8_t *setup, GError **error)
{
    gsize size = strlen(input->cmdline) + 1;
    uint32_t max = image->version >= 0x206 ? boot_get32(image->data + CMDLINE_SIZE) : 255;

    max = MIN(max, CMDLINE_MAX - 1);
    if (size - 1 > max) {
        return boot_fail(input, error,
                         "the command line has %" G_GSIZE_FORMAT " bytes, it takes %u", size - 1,
                         max);
    }
    boot->cmdline = g_bytes_new(input->cmdline, size);
    boot->cmdline_addr = CMDLINE_ADDR;
    boot_put32(setup + CMD_LINE_PTR, CMDLINE_ADDR);
    return boot_add_load(input, boot, BOOT_ITEM_CMDLINE, 0, size, CMDLINE_ADDR, error);
}

static bool linux_add_pieces(const BootInput *input, KernelBoot *boot, const LinuxImage *image,
                             GError **error)
{
    g_autofree uint8_t *setup = g_memdup2(image->data, image->setup_size);

    setup[TYPE_OF_LOADER] = LOADER_UNKNOWN;
    setup[LOADFLAGS] |= CAN_USE_HEAP;
    setup[HEAP_END_PTR] = (SETUP_HEAP_END - 0x200) & 0xff;
    setup[HEAP_END_PTR + 1] = (SETUP_HEAP_END - 0x200) >> 8;
    boot->setup_addr = SETUP_ADDR;
    boot->kernel_addr = KERNEL_ADDR;
    if (!boot_add_load(input, boot, BOOT_ITEM_KERNEL, 0, image->kernel_size, KERNEL_ADDR, error) ||
        !linux_add_initrd(input, boot, image, setup, error) ||
        !linux_add_cmdline(input, boot, image, setup, error) ||
        !boot_add_load(input, boot, BOOT_ITEM_SETUP, 0, image->setup_size, SETUP_ADDR, error)) {
        return false;
    }
    boot->setup = g_bytes_new(setup, image->setup_size);
    g_bytes_unref(boot->kernel);
    boot->kernel = g_bytes_new_from_bytes(input->kernel, image->setup_size, image->kernel_size);
    return true;
}

BootResult linux_boot_plan(const BootInput *input, KernelBoot *boot, GError **error)
{
    LinuxImage image = { 0 };

    image.data = g_bytes_get_data(input->kernel, &image.size);
    if (image.size < HEADER_END || boot_get16(image.data + BOOT_FLAG) != 0xaa55 ||
        memcmp(image.data + HEADER_MAGIC, "HdrS", 4)) {
        return BOOT_NOT_MINE;
    }
    if (!linux_check_header(input, &image, error) ||
        !linux_add_pieces(input, boot, &image, error)) {
        return BOOT_FAILED;
    }
    boot->plan.mode = BOOT_REAL_MODE;
    /* "The kernel is started by jumping to the kernel entry point, segment + 0x20." */
    boot->plan.entry = (SETUP_ADDR / 16 + 0x20) << 16;
    boot->plan.ebx = SETUP_ADDR / 16;
    boot->plan.stack = SETUP_HEAP_END;
    return BOOT_OK;
}
