/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Plans for booting a kernel through the option ROM pc-bios/kernelboot.S: which pieces go where and
 * how the kernel is entered. Kernel files are untrusted: each size and offset is checked.
 */
#ifndef HW_I386_KERNEL_BOOT_H
#define HW_I386_KERNEL_BOOT_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

/* fw_cfg items; the first four have these numbers in the interface document. */
enum {
    BOOT_ITEM_KERNEL = 0x11,
    BOOT_ITEM_INITRD = 0x12,
    BOOT_ITEM_CMDLINE = 0x15,
    BOOT_ITEM_SETUP = 0x18,
    BOOT_ITEM_PLAN = 0x8010,
    BOOT_ITEM_INFO = 0x8011,
    BOOT_ITEM_ZERO = 0xbfff, /* never set: reads as zeros */
};

#define BOOT_MAX_LOADS 64

/* Copies @size bytes at @offset of item @item to guest-physical @dest. */
typedef struct BootLoad {
    uint32_t item;
    uint32_t offset;
    uint32_t size;
    uint32_t dest;
} BootLoad;

/* What the ROM reads; all little-endian. kernelboot.S has the same offsets. */
typedef struct BootPlan {
    uint32_t mode;         /* BootMode */
    uint32_t entry;        /* physical address, or CS:IP in real mode */
    uint32_t eax;
    uint32_t ebx;          /* in real mode: the value of all data segment registers */
    uint32_t stack;        /* real mode: SP */
    uint32_t map;          /* where to put the E820 map; 0: nowhere. Below 64 KiB, as the others */
    uint32_t map_max;      /* entries */
    uint32_t map_field;    /* of the record in a 24-byte entry: 0, or 4 after a size */
    uint32_t map_count_at; /* where to put the number of entries, 0: nowhere */
    uint32_t map_bytes_at; /* where to put the size of the map */
    uint32_t rsdp_at;      /* where to put the address of the ACPI root pointer (64 bits) */
    uint32_t load_count;
    BootLoad loads[BOOT_MAX_LOADS];
} BootPlan;

typedef enum { BOOT_REAL_MODE = 0, BOOT_PROTECTED_MODE = 1 } BootMode;

/* Where the loaders put their own structures; kernels are kept out of the first 64 KiB. */
#define BOOT_INFO_ADDR 0x8000u
#define BOOT_INFO_MAX  0x7000u
#define BOOT_LOW_START 0x10000u
#define BOOT_LOW_END   0x9f000u
#define BOOT_HIGH      0x100000u
/* Left free below the end of low RAM: the BIOS keeps its tables there. */
#define BOOT_RESERVE   0x100000u

/* What is to be booted. */
typedef struct BootInput {
    const char *kernel_name; /* for messages */
    GBytes *kernel;
    const char *initrd_name; /* as given: multiboot modules are a list "FILE ARGS,FILE ARGS" */
    GBytes *initrd;          /* its contents if they are at hand, else initrd_name is read */
    const char *cmdline;     /* never NULL */
    uint64_t ram_below_4g;
    bool *initrd_to_blame;   /* set when it is the initrd that cannot be used; may be NULL */
} BootInput;

/* The items to be shown to the ROM; unused ones are NULL. */
typedef struct KernelBoot {
    BootPlan plan;
    GBytes *kernel;
    GBytes *initrd;
    GBytes *cmdline;
    GBytes *setup;
    GBytes *info;
    uint32_t kernel_addr, initrd_addr, cmdline_addr, setup_addr;
} KernelBoot;

/*
 * Finds out what @input is (a Linux bzImage, a multiboot image, an ELF image with a PVH entry
 * point) and plans its boot. NULL and @error, which names the file and the reason, if it cannot be
 * booted.
 */
KernelBoot *kernel_boot_new(const BootInput *input, GError **error);
void kernel_boot_free(KernelBoot *boot);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(KernelBoot, kernel_boot_free)

/* --- For the formats -------------------------------------------------------- */

typedef enum { BOOT_NOT_MINE, BOOT_OK, BOOT_FAILED } BootResult;

/* Each looks whether the kernel is of its format and then plans it. */
BootResult linux_boot_plan(const BootInput *input, KernelBoot *boot, GError **error);
BootResult multiboot_plan(const BootInput *input, KernelBoot *boot, GError **error);
BootResult pvh_boot_plan(const BootInput *input, KernelBoot *boot, GError **error);

/* Adds a load and checks that it lies in RAM and overlaps no other; zero sizes are dropped. */
bool boot_add_load(const BootInput *input, KernelBoot *boot, uint32_t item, uint64_t offset,
                   uint64_t size, uint64_t dest, GError **error);
/* Adds the PT_LOAD segments of the ELF image @input->kernel; *@end is where the highest ends. */
bool elf_add_segments(const BootInput *input, KernelBoot *boot, uint64_t *end, GError **error);
bool elf_is_image(GBytes *kernel);
/* The entry address of the ELF header, which must have been checked by elf_add_segments(). */
uint64_t elf_entry(GBytes *kernel);
/* The physical entry address of the PVH note; false if there is none. */
bool elf_pvh_entry(GBytes *kernel, uint32_t *entry);
/* Sets @error to "kernel 'NAME': …" and returns false. */
bool boot_fail(const BootInput *input, GError **error, const char *format, ...)
    G_GNUC_PRINTF(3, 4);
/*
 * Where @size bytes of initrd go: as high as possible below @limit and the reserve, page-aligned,
 * but not below @floor; 0 and @error if they do not fit.
 */
uint32_t boot_place_initrd(const BootInput *input, uint64_t size, uint64_t floor, uint64_t limit,
                           GError **error);

/* Says that a failure is the initrd's. */
void boot_blame_initrd(const BootInput *input);
/*
 * The initrd of kernels that take one file; *@initrd is NULL if there is none, else a reference.
 * False and @error if it cannot be read.
 */
bool boot_get_initrd(const BootInput *input, GBytes **initrd, GError **error);

static inline uint16_t boot_get16(const uint8_t *p)
{
    return p[0] | p[1] << 8;
}

static inline uint32_t boot_get32(const uint8_t *p)
{
    return boot_get16(p) | (uint32_t)boot_get16(p + 2) << 16;
}

static inline uint64_t boot_get64(const uint8_t *p)
{
    return boot_get32(p) | (uint64_t)boot_get32(p + 4) << 32;
}

static inline void boot_put32(uint8_t *p, uint32_t value)
{
    for (unsigned i = 0; i < 4; i++) {
        p[i] = value >> (8 * i);
    }
}

static inline void boot_put64(uint8_t *p, uint64_t value)
{
    boot_put32(p, value);
    boot_put32(p + 4, value >> 32);
}

#endif
