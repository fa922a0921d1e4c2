/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The Multiboot Specification, version 0.6.96 ("multiboot 1"): ELF images and "a.out kludge" ones.
 */
#include <string.h>

#include "hw/core/firmware.h"
#include "hw/i386/kernel-boot.h"

#define HEADER_MAGIC  0x1badb002u
#define LOADER_MAGIC  0x2badb002u
#define SEARCH_LIMIT  8192
#define MAX_MODULES   32
#define MAP_MAX       128
#define MAX_MODULE    (1ull << 30)

/* The header's fields from the magic on. */
enum {
    HEADER_FLAGS = 4,
    HEADER_CHECKSUM = 8,
    HEADER_ADDR = 12,
    HEADER_LOAD = 16,
    HEADER_LOAD_END = 20,
    HEADER_BSS_END = 24,
    HEADER_ENTRY = 28,
};

/* Header flags: 0 to 2 ask for what is given anyway, or (video) may be refused. */
enum { FLAGS_UNKNOWN = 0xfff8, FLAG_KLUDGE = 1u << 16 };

/* The information structure and what it points to, from BOOT_INFO_ADDR on. */
enum {
    INFO_FLAGS = 0,
    INFO_MEM_LOWER = 4,
    INFO_MEM_UPPER = 8,
    INFO_CMDLINE = 16,
    INFO_MODS_COUNT = 20,
    INFO_MODS_ADDR = 24,
    INFO_MMAP_LENGTH = 44,
    INFO_MMAP_ADDR = 48,
    INFO_LOADER_NAME = 64,
    LOADER_NAME = 120,
    MODULES = 128,
    MEMORY_MAP = MODULES + MAX_MODULES * 16,
    STRINGS = MEMORY_MAP + MAP_MAX * 24,
};

enum {
    INFO_HAS_MEMORY = 1u << 0,
    INFO_HAS_CMDLINE = 1u << 2,
    INFO_HAS_MODULES = 1u << 3,
    INFO_HAS_MAP = 1u << 6,
    INFO_HAS_NAME = 1u << 9,
};

/* The offset of the header, or -1: it is 4-byte aligned within the first 8192 bytes. */
static gssize multiboot_find(const uint8_t *data, gsize size)
{
    gsize limit = MIN(size, SEARCH_LIMIT);

    for (gsize at = 0; at + 12 <= limit; at += 4) {
        if (boot_get32(data + at) == HEADER_MAGIC &&
            (uint32_t)(HEADER_MAGIC + boot_get32(data + at + HEADER_FLAGS) +
                       boot_get32(data + at + HEADER_CHECKSUM)) == 0) {
            return at;
        }
    }
    return -1;
}

/* "a.out kludge": the header itself says what to load. */
static bool multiboot_add_kludge(const BootInput *input, KernelBoot *boot, gsize at, uint64_t *end,
                                 GError **error)
{
    gsize size;
    const uint8_t *data = g_bytes_get_data(input->kernel, &size);

    if (at + HEADER_ENTRY + 4 > size) {
        return boot_fail(input, error, "its multiboot header is truncated");
    }
    uint64_t header_addr = boot_get32(data + at + HEADER_ADDR);
    uint64_t load = boot_get32(data + at + HEADER_LOAD);
    uint64_t load_end = boot_get32(data + at + HEADER_LOAD_END);
    uint64_t bss_end = boot_get32(data + at + HEADER_BSS_END);

    if (load > header_addr || header_addr - load > at) {
        return boot_fail(input, error, "its multiboot header has a load address that is not in it");
    }
    gsize offset = at - (header_addr - load);
    load_end = load_end ? load_end : load + (size - offset);
    bss_end = MAX(bss_end, load_end);
    if (load_end < load || load_end - load > size - offset) {
        return boot_fail(input, error, "it is truncated: its multiboot header wants %"
                         G_GINT64_FORMAT " bytes from %" G_GSIZE_FORMAT ", the file has %"
                         G_GSIZE_FORMAT, (gint64)(load_end - load), offset, size);
    }
    *end = bss_end;
    boot->plan.entry = boot_get32(data + at + HEADER_ENTRY);
    return boot_add_load(input, boot, BOOT_ITEM_KERNEL, offset, load_end - load, load, error) &&
           boot_add_load(input, boot, BOOT_ITEM_ZERO, 0, bss_end - load_end, load_end, error);
}

static bool multiboot_add_image(const BootInput *input, KernelBoot *boot, gsize at, uint64_t *end,
                                GError **error)
{
    const uint8_t *data = g_bytes_get_data(input->kernel, NULL);
    uint32_t flags = boot_get32(data + at + HEADER_FLAGS);

    if (flags & FLAGS_UNKNOWN) {
        return boot_fail(input, error, "its multiboot header has unknown required features 0x%x",
                         flags & 0xffff);
    }
    if (flags & FLAG_KLUDGE) {
        return multiboot_add_kludge(input, boot, at, end, error);
    }
    if (!elf_is_image(input->kernel)) {
        return boot_fail(input, error, "it has a multiboot header, but is no ELF image");
    }
    if (!elf_add_segments(input, boot, end, error)) {
        return false;
    }
    uint64_t entry = elf_entry(input->kernel);
    if (entry > UINT32_MAX) {
        return boot_fail(input, error, "its entry point lies above 4 GiB");
    }
    boot->plan.entry = entry;
    return true;
}

/* Appends @text to the strings of the information area; its address, or 0 if they are full. */
static uint32_t multiboot_add_string(GByteArray *info, const char *text)
{
    uint32_t addr = BOOT_INFO_ADDR + info->len;

    if (info->len + strlen(text) + 1 > BOOT_INFO_MAX) {
        return 0;
    }
    g_byte_array_append(info, (const guint8 *)text, strlen(text) + 1);
    return addr;
}

/* The files of a module list, each from a page boundary on; @spans gets their start and end. */
static GByteArray *multiboot_read_modules(char **modules, uint32_t (*spans)[2], GError **error)
{
    g_autoptr(GByteArray) all = g_byte_array_new();

    for (unsigned i = 0; modules[i]; i++) {
        g_autofree char *path = g_strndup(modules[i], strcspn(modules[i], " "));
        g_autoptr(GBytes) data = host_file_load(path, MAX_MODULE, error);
        if (!data) {
            g_prefix_error(error, "initrd: multiboot module: ");
            return NULL;
        }
        gsize start = (all->len + 4095u) & ~4095u, size = g_bytes_get_size(data);
        if (start + size > MAX_MODULE) {
            g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_INVAL,
                        "multiboot modules of more than 1 GiB");
            return NULL;
        }
        gsize old = all->len;
        g_byte_array_set_size(all, start);
        memset(all->data + old, 0, start - old);
        g_byte_array_append(all, g_bytes_get_data(data, NULL), size);
        spans[i][0] = start;
        spans[i][1] = start + size;
    }
    return g_steal_pointer(&all);
}

static bool multiboot_add_modules(const BootInput *input, KernelBoot *boot, GByteArray *info,
                                  uint64_t kernel_end, GError **error)
{
    uint32_t spans[MAX_MODULES][2];

    if (!input->initrd_name) {
        return true;
    }
    g_auto(GStrv) modules = g_strsplit(input->initrd_name, ",", -1);
    unsigned count = g_strv_length(modules);
    if (count > MAX_MODULES) {
        return boot_fail(input, error, "more than %u multiboot modules", MAX_MODULES);
    }
    GByteArray *all = multiboot_read_modules(modules, spans, error);
    if (!all) {
        boot_blame_initrd(input);
        return false;
    }
    boot->initrd = g_byte_array_free_to_bytes(all);
    gsize size = g_bytes_get_size(boot->initrd);
    boot->initrd_addr = boot_place_initrd(input, size, kernel_end, UINT32_MAX, error);
    if (!boot->initrd_addr ||
        !boot_add_load(input, boot, BOOT_ITEM_INITRD, 0, size, boot->initrd_addr, error)) {
        return false;
    }
    for (unsigned i = 0; i < count; i++) {
        uint32_t text = multiboot_add_string(info, modules[i]);
        uint8_t *module = info->data + MODULES + 16 * i;
        if (!text) {
            return boot_fail(input, error, "the module command lines are too long");
        }
        boot_put32(module, boot->initrd_addr + spans[i][0]);
        boot_put32(module + 4, boot->initrd_addr + spans[i][1]);
        boot_put32(module + 8, text);
    }
    boot_put32(info->data + INFO_MODS_COUNT, count);
    boot_put32(info->data + INFO_MODS_ADDR, BOOT_INFO_ADDR + MODULES);
    return true;
}

static bool multiboot_add_info(const BootInput *input, KernelBoot *boot, uint64_t kernel_end,
                               GError **error)
{
    g_autoptr(GByteArray) info = g_byte_array_new();
    /* "The command line is a normal C-style string": the image's name first, as GRUB does. */
    g_autofree char *line = *input->cmdline
                                ? g_strdup_printf("%s %s", input->kernel_name, input->cmdline)
                                : g_strdup(input->kernel_name);

    g_byte_array_set_size(info, STRINGS);
    memset(info->data, 0, STRINGS);
    uint32_t text = multiboot_add_string(info, line);
    if (!text) {
        return boot_fail(input, error, "the command line is too long");
    }
    if (!multiboot_add_modules(input, boot, info, kernel_end, error)) {
        return false;
    }
    uint8_t *data = info->data;
    boot_put32(data + INFO_FLAGS, INFO_HAS_MEMORY | INFO_HAS_CMDLINE | INFO_HAS_MODULES |
                                      INFO_HAS_MAP | INFO_HAS_NAME);
    boot_put32(data + INFO_MEM_LOWER, BOOT_LOW_END / 1024);
    boot_put32(data + INFO_MEM_UPPER, (input->ram_below_4g - BOOT_HIGH) / 1024);
    boot_put32(data + INFO_CMDLINE, text);
    boot_put32(data + INFO_MMAP_ADDR, BOOT_INFO_ADDR + MEMORY_MAP);
    boot_put32(data + INFO_LOADER_NAME, BOOT_INFO_ADDR + LOADER_NAME);
    memcpy(data + LOADER_NAME, "tessera", 8);
    gsize size = info->len;
    boot->info = g_byte_array_free_to_bytes(g_steal_pointer(&info));
    return boot_add_load(input, boot, BOOT_ITEM_INFO, 0, size, BOOT_INFO_ADDR, error);
}

BootResult multiboot_plan(const BootInput *input, KernelBoot *boot, GError **error)
{
    gsize size;
    const uint8_t *data = g_bytes_get_data(input->kernel, &size);
    gssize at = multiboot_find(data, size);
    uint64_t end = 0;

    if (at < 0) {
        return BOOT_NOT_MINE;
    }
    if (input->ram_below_4g <= BOOT_HIGH + BOOT_RESERVE) {
        boot_fail(input, error, "there is no RAM above 1 MiB");
        return BOOT_FAILED;
    }
    if (!multiboot_add_image(input, boot, at, &end, error) ||
        !multiboot_add_info(input, boot, end, error)) {
        return BOOT_FAILED;
    }
    boot->plan.mode = BOOT_PROTECTED_MODE;
    boot->plan.eax = LOADER_MAGIC;
    boot->plan.ebx = BOOT_INFO_ADDR;
    boot->plan.map = BOOT_INFO_ADDR + MEMORY_MAP;
    boot->plan.map_max = MAP_MAX;
    boot->plan.map_field = 4;
    boot->plan.map_bytes_at = BOOT_INFO_ADDR + INFO_MMAP_LENGTH;
    return BOOT_OK;
}
