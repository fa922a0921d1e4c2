/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ELF images (System V ABI, ELF-32 and ELF-64) and the PVH boot protocol (Xen, docs/misc/pvh.pandoc
 * and public/arch-x86/hvm/start_info.h) for kernels that carry a PHYS32_ENTRY note.
 */
#include <elf.h>
#include <string.h>

#include "hw/i386/kernel-boot.h"

#define PVH_NOTE_TYPE    18 /* XEN_ELFNOTE_PHYS32_ENTRY */
#define PVH_MAGIC        0x336ec578u
#define PVH_MAP_MAX      128
#define ELF_MAX_HEADERS  128

/* struct hvm_start_info and hvm_modlist_entry, and where the pieces lie from BOOT_INFO_ADDR on. */
enum {
    START_INFO = 0,
    START_VERSION = 4,
    START_MODULES = 12,
    START_MODLIST = 16,
    START_CMDLINE = 24,
    START_RSDP = 32,
    START_MAP = 40,
    START_MAP_ENTRIES = 48,
    START_INFO_SIZE = 56,
    MODLIST = 64,
    MODLIST_SIZE = 32,
    MEMORY_MAP = 128,
    CMDLINE = MEMORY_MAP + PVH_MAP_MAX * 24,
};

/* A program header of either class. */
typedef struct {
    uint32_t type;
    uint64_t offset, paddr, filesz, memsz, align;
} ElfSegment;

bool elf_is_image(GBytes *kernel)
{
    gsize size;
    const uint8_t *data = g_bytes_get_data(kernel, &size);
    return size >= sizeof(Elf32_Ehdr) && !memcmp(data, ELFMAG, SELFMAG);
}

static bool elf_is_64(const uint8_t *data)
{
    return data[EI_CLASS] == ELFCLASS64;
}

uint64_t elf_entry(GBytes *kernel)
{
    const uint8_t *data = g_bytes_get_data(kernel, NULL);
    return elf_is_64(data) ? boot_get64(data + offsetof(Elf64_Ehdr, e_entry))
                           : boot_get32(data + offsetof(Elf32_Ehdr, e_entry));
}

/* The table of program headers: where, how many, how far apart; NULL if it is not in the file. */
static const uint8_t *elf_headers(GBytes *kernel, unsigned *count, unsigned *stride)
{
    gsize size;
    const uint8_t *data = g_bytes_get_data(kernel, &size);
    bool is_64 = elf_is_64(data);
    uint64_t offset;

    if (size < (is_64 ? sizeof(Elf64_Ehdr) : sizeof(Elf32_Ehdr))) {
        return NULL;
    }
    if (is_64) {
        offset = boot_get64(data + offsetof(Elf64_Ehdr, e_phoff));
        *count = boot_get16(data + offsetof(Elf64_Ehdr, e_phnum));
        *stride = boot_get16(data + offsetof(Elf64_Ehdr, e_phentsize));
    } else {
        offset = boot_get32(data + offsetof(Elf32_Ehdr, e_phoff));
        *count = boot_get16(data + offsetof(Elf32_Ehdr, e_phnum));
        *stride = boot_get16(data + offsetof(Elf32_Ehdr, e_phentsize));
    }
    if (*stride < (is_64 ? sizeof(Elf64_Phdr) : sizeof(Elf32_Phdr)) || *count > ELF_MAX_HEADERS ||
        offset > size || (uint64_t)*count * *stride > size - offset) {
        return NULL;
    }
    return data + offset;
}

static ElfSegment elf_segment(const uint8_t *header, bool is_64)
{
    if (is_64) {
        return (ElfSegment){
            .type = boot_get32(header + offsetof(Elf64_Phdr, p_type)),
            .offset = boot_get64(header + offsetof(Elf64_Phdr, p_offset)),
            .paddr = boot_get64(header + offsetof(Elf64_Phdr, p_paddr)),
            .filesz = boot_get64(header + offsetof(Elf64_Phdr, p_filesz)),
            .memsz = boot_get64(header + offsetof(Elf64_Phdr, p_memsz)),
            .align = boot_get64(header + offsetof(Elf64_Phdr, p_align)),
        };
    }
    return (ElfSegment){
        .type = boot_get32(header + offsetof(Elf32_Phdr, p_type)),
        .offset = boot_get32(header + offsetof(Elf32_Phdr, p_offset)),
        .paddr = boot_get32(header + offsetof(Elf32_Phdr, p_paddr)),
        .filesz = boot_get32(header + offsetof(Elf32_Phdr, p_filesz)),
        .memsz = boot_get32(header + offsetof(Elf32_Phdr, p_memsz)),
        .align = boot_get32(header + offsetof(Elf32_Phdr, p_align)),
    };
}

static bool elf_add_segment(const BootInput *input, KernelBoot *boot, const ElfSegment *segment,
                            GError **error)
{
    gsize size = g_bytes_get_size(input->kernel);

    if (segment->offset > size || segment->filesz > size - segment->offset) {
        return boot_fail(input, error,
                         "it is truncated: a segment ends at byte 0x%" G_GINT64_MODIFIER "x, the "
                         "file at 0x%" G_GSIZE_MODIFIER "x", segment->offset + segment->filesz,
                         size);
    }
    if (segment->memsz < segment->filesz) {
        return boot_fail(input, error, "a segment has more bytes in the file than in memory");
    }
    return boot_add_load(input, boot, BOOT_ITEM_KERNEL, segment->offset, segment->filesz,
                         segment->paddr, error) &&
           boot_add_load(input, boot, BOOT_ITEM_ZERO, 0, segment->memsz - segment->filesz,
                         segment->paddr + segment->filesz, error);
}

bool elf_add_segments(const BootInput *input, KernelBoot *boot, uint64_t *end, GError **error)
{
    const uint8_t *data = g_bytes_get_data(input->kernel, NULL);
    bool is_64 = elf_is_64(data);
    unsigned count, stride;
    const uint8_t *headers = elf_headers(input->kernel, &count, &stride);

    *end = 0;
    if (data[EI_DATA] != ELFDATA2LSB ||
        boot_get16(data + offsetof(Elf32_Ehdr, e_machine)) != (is_64 ? EM_X86_64 : EM_386)) {
        return boot_fail(input, error, "it is an ELF image, but not for an x86 PC");
    }
    if (!headers) {
        return boot_fail(input, error, "its ELF program headers are damaged or not in the file");
    }
    for (unsigned i = 0; i < count; i++) {
        ElfSegment segment = elf_segment(headers + i * stride, is_64);
        if (segment.type != PT_LOAD) {
            continue;
        }
        if (!elf_add_segment(input, boot, &segment, error)) {
            return false;
        }
        *end = MAX(*end, segment.paddr + segment.memsz);
    }
    if (*end == 0) {
        return boot_fail(input, error, "it is an ELF image with nothing to load");
    }
    return true;
}

/* Walks the notes of one PT_NOTE segment, which lies in the file. */
static bool elf_find_note(const uint8_t *note, uint64_t size, uint64_t align, uint32_t *entry)
{
    uint64_t mask = align == 8 ? 7 : 3;

    while (size >= 12) {
        uint64_t name_size = boot_get32(note), desc_size = boot_get32(note + 4);
        uint64_t desc = 12 + ((name_size + mask) & ~mask);
        uint64_t next = desc + ((desc_size + mask) & ~mask);

        if (desc + desc_size > size) {
            return false;
        }
        if (boot_get32(note + 8) == PVH_NOTE_TYPE && name_size == 4 && desc_size >= 4 &&
            !memcmp(note + 12, "Xen", 4)) {
            *entry = boot_get32(note + desc);
            return true;
        }
        if (next > size) {
            return false;
        }
        note += next;
        size -= next;
    }
    return false;
}

bool elf_pvh_entry(GBytes *kernel, uint32_t *entry)
{
    gsize size;
    const uint8_t *data = g_bytes_get_data(kernel, &size);
    unsigned count, stride;
    const uint8_t *headers = elf_headers(kernel, &count, &stride);

    for (unsigned i = 0; headers && i < count; i++) {
        ElfSegment segment = elf_segment(headers + i * stride, elf_is_64(data));
        if (segment.type == PT_NOTE && segment.offset <= size &&
            segment.filesz <= size - segment.offset &&
            elf_find_note(data + segment.offset, segment.filesz, segment.align, entry)) {
            return true;
        }
    }
    return false;
}

static bool pvh_add_info(const BootInput *input, KernelBoot *boot, uint64_t kernel_end,
                         GError **error)
{
    gsize cmdline_size = strlen(input->cmdline) + 1;

    if (CMDLINE + cmdline_size > BOOT_INFO_MAX) {
        return boot_fail(input, error, "the command line has %" G_GSIZE_FORMAT
                         " bytes, there is room for %u", cmdline_size - 1,
                         BOOT_INFO_MAX - CMDLINE - 1);
    }
    if (!boot_get_initrd(input, &boot->initrd, error)) {
        return false;
    }
    gsize initrd_size = boot->initrd ? g_bytes_get_size(boot->initrd) : 0;
    g_autofree uint8_t *info = g_malloc0(CMDLINE + cmdline_size);
    boot_put32(info + START_INFO, PVH_MAGIC);
    boot_put32(info + START_VERSION, 1);
    boot_put64(info + START_CMDLINE, BOOT_INFO_ADDR + CMDLINE);
    boot_put64(info + START_MAP, BOOT_INFO_ADDR + MEMORY_MAP);
    memcpy(info + CMDLINE, input->cmdline, cmdline_size);
    if (initrd_size) {
        boot->initrd_addr = boot_place_initrd(input, initrd_size, kernel_end, UINT32_MAX, error);
        if (!boot->initrd_addr ||
            !boot_add_load(input, boot, BOOT_ITEM_INITRD, 0, initrd_size, boot->initrd_addr,
                           error)) {
            return false;
        }
        boot_put32(info + START_MODULES, 1);
        boot_put64(info + START_MODLIST, BOOT_INFO_ADDR + MODLIST);
        boot_put64(info + MODLIST, boot->initrd_addr);
        boot_put64(info + MODLIST + 8, initrd_size);
    }
    boot->info = g_bytes_new(info, CMDLINE + cmdline_size);
    return boot_add_load(input, boot, BOOT_ITEM_INFO, 0, CMDLINE + cmdline_size, BOOT_INFO_ADDR,
                         error);
}

BootResult pvh_boot_plan(const BootInput *input, KernelBoot *boot, GError **error)
{
    BootPlan *plan = &boot->plan;
    uint64_t end;

    if (!elf_is_image(input->kernel)) {
        return BOOT_NOT_MINE;
    }
    /* Segments first: what is wrong with the file as such is the better message. */
    if (!elf_add_segments(input, boot, &end, error)) {
        return BOOT_FAILED;
    }
    if (!elf_pvh_entry(input->kernel, &plan->entry)) {
        boot_fail(input, error, "it is an ELF image, but has no PVH entry point (a Xen note of "
                  "type 18, CONFIG_PVH in Linux) and no multiboot header");
        return BOOT_FAILED;
    }
    if (!pvh_add_info(input, boot, end, error)) {
        return BOOT_FAILED;
    }
    plan->mode = BOOT_PROTECTED_MODE;
    plan->ebx = BOOT_INFO_ADDR;
    plan->map = BOOT_INFO_ADDR + MEMORY_MAP;
    plan->map_max = PVH_MAP_MAX;
    plan->map_count_at = BOOT_INFO_ADDR + START_MAP_ENTRIES;
    plan->rsdp_at = BOOT_INFO_ADDR + START_RSDP;
    return BOOT_OK;
}
