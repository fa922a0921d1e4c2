/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Plans for kernels, good and hostile: made-up bzImage, ELF and multiboot files with one thing
 * wrong at a time, and random damage to all of them. The option ROM's own checksums as well.
 */
#include <elf.h>
#include <string.h>

#include "hw/i386/kernel-boot.h"
#include "pc-bios/kernelboot-rom.h"

#define RAM (64u << 20)

/* --- Made-up kernels -------------------------------------------------------------- */

static void put16(uint8_t *p, uint16_t value)
{
    p[0] = value;
    p[1] = value >> 8;
}

#define BZIMAGE_SETUP 4
#define BZIMAGE_SIZE  (512 * (BZIMAGE_SETUP + 1) + 0x4000)

static GByteArray *make_bzimage(void)
{
    GByteArray *file = g_byte_array_new();

    g_byte_array_set_size(file, BZIMAGE_SIZE);
    uint8_t *p = file->data;
    for (unsigned i = 0; i < BZIMAGE_SIZE; i++) {
        p[i] = i * 7;
    }
    p[0x1f1] = BZIMAGE_SETUP;
    boot_put32(p + 0x1f4, 0x400);
    put16(p + 0x1fe, 0xaa55);
    memcpy(p + 0x202, "HdrS", 4);
    put16(p + 0x206, 0x20f);
    p[0x211] = 1;
    boot_put32(p + 0x22c, 0x7fffffff);
    boot_put32(p + 0x238, 2047);
    boot_put64(p + 0x258, 0x1000000);
    boot_put32(p + 0x260, 0x100000);
    return file;
}

#define ELF_TEXT   0x1000u
#define ELF_SIZE   0x3000u
#define ELF_HEADER (sizeof(Elf64_Ehdr))

/* Two loads, 0x1000000 with bss and 0x1100000, and a note with the PVH entry point. */
static GByteArray *make_elf(void)
{
    GByteArray *file = g_byte_array_new();
    g_byte_array_set_size(file, ELF_SIZE);
    uint8_t *p = file->data;

    memset(p, 0, ELF_SIZE);
    Elf64_Ehdr header = {
        .e_ident = { 0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT },
        .e_type = ET_EXEC, .e_machine = EM_X86_64, .e_version = EV_CURRENT, .e_entry = 0x1000100,
        .e_phoff = sizeof(header), .e_ehsize = sizeof(header), .e_phentsize = sizeof(Elf64_Phdr),
        .e_phnum = 3,
    };
    Elf64_Phdr segments[3] = {
        { .p_type = PT_LOAD, .p_offset = ELF_TEXT, .p_paddr = 0x1000000, .p_filesz = 0x1000,
          .p_memsz = 0x3000 },
        { .p_type = PT_LOAD, .p_offset = ELF_TEXT + 0x1000, .p_paddr = 0x1100000,
          .p_filesz = 0x1000, .p_memsz = 0x1000 },
        { .p_type = PT_NOTE, .p_offset = 0x200, .p_filesz = 20, .p_align = 4 },
    };
    static const uint32_t note[] = { 4, 4, 18, 0x006e6558, 0x1000200 };
    memcpy(p, &header, sizeof(header));
    memcpy(p + sizeof(header), segments, sizeof(segments));
    memcpy(p + 0x200, note, sizeof(note));
    return file;
}

static Elf64_Phdr *elf_header(GByteArray *file, unsigned n)
{
    return (Elf64_Phdr *)(file->data + ELF_HEADER) + n;
}

/* "a.out kludge": loads the whole file at 1 MiB, with bss. */
static GByteArray *make_multiboot(void)
{
    GByteArray *file = g_byte_array_new();
    g_byte_array_set_size(file, 0x2000);
    memset(file->data, 0, 0x2000);
    uint8_t *p = file->data + 0x40;

    boot_put32(p, 0x1badb002);
    boot_put32(p + 4, 0x00010003);
    boot_put32(p + 8, -(0x1badb002u + 0x00010003u));
    boot_put32(p + 12, 0x100040);
    boot_put32(p + 16, 0x100000);
    boot_put32(p + 20, 0x102000);
    boot_put32(p + 24, 0x104000);
    boot_put32(p + 28, 0x100080);
    return file;
}

/* --- Running a plan ------------------------------------------------------------------ */

static BootInput make_input(GByteArray *file, GBytes **bytes)
{
    *bytes = g_byte_array_free_to_bytes(file);
    return (BootInput){ .kernel_name = "k", .kernel = *bytes, .cmdline = "a b",
                        .ram_below_4g = RAM };
}

static KernelBoot *plan(GByteArray *file, GError **error)
{
    GBytes *bytes;
    BootInput input = make_input(file, &bytes);
    KernelBoot *boot = kernel_boot_new(&input, error);
    g_bytes_unref(bytes);
    return boot;
}

/* What the plan would put at @addr of memory, for at most @size bytes of one load. */
static const uint8_t *loaded(const KernelBoot *boot, uint32_t addr, uint32_t size)
{
    for (unsigned i = 0; i < boot->plan.load_count; i++) {
        const BootLoad *load = &boot->plan.loads[i];
        if (addr < load->dest || addr + size > load->dest + load->size) {
            continue;
        }
        GBytes *item = load->item == BOOT_ITEM_KERNEL    ? boot->kernel
                       : load->item == BOOT_ITEM_INITRD  ? boot->initrd
                       : load->item == BOOT_ITEM_CMDLINE ? boot->cmdline
                       : load->item == BOOT_ITEM_SETUP   ? boot->setup
                       : load->item == BOOT_ITEM_INFO    ? boot->info
                                                         : NULL;
        g_assert_nonnull(item);
        g_assert_cmpuint((uint64_t)load->offset + load->size, <=, g_bytes_get_size(item));
        return (const uint8_t *)g_bytes_get_data(item, NULL) + load->offset + (addr - load->dest);
    }
    return NULL;
}

static void check_refused(GByteArray *file, const char *part)
{
    GError *error = NULL;
    KernelBoot *boot = plan(file, &error);

    g_assert_null(boot);
    g_assert_nonnull(strstr(error->message, "kernel 'k'"));
    if (!strstr(error->message, part)) {
        g_error("'%s' does not say '%s'", error->message, part);
    }
    g_error_free(error);
}

/* --- Linux -------------------------------------------------------------------------------- */

static void test_linux(void)
{
    g_autoptr(GByteArray) copy = make_bzimage();
    GBytes *kernel;
    BootInput input = make_input(make_bzimage(), &kernel);
    g_autoptr(GBytes) initrd = g_bytes_new("initrd contents", 15);
    GError *error = NULL;

    input.initrd_name = "i";
    input.initrd = initrd;
    g_autoptr(KernelBoot) boot = kernel_boot_new(&input, &error);
    g_assert_no_error(error);
    g_assert_cmpuint(boot->plan.mode, ==, BOOT_REAL_MODE);
    g_assert_cmphex(boot->plan.entry, ==, 0x10200000);
    g_assert_cmphex(boot->plan.ebx, ==, 0x1000);
    g_assert_cmpmem(loaded(boot, 0x100000, 0x4000), 0x4000, copy->data + 512 * 5, 0x4000);
    const uint8_t *setup = loaded(boot, 0x10000, 512 * 5);
    g_assert_cmpuint(setup[0x210], ==, 0xff);
    g_assert_cmphex(setup[0x211], ==, 0x81);
    g_assert_cmpstr((const char *)loaded(boot, boot_get32(setup + 0x228), 4), ==, "a b");
    uint32_t initrd_at = boot_get32(setup + 0x218);
    g_assert_cmpuint(boot_get32(setup + 0x21c), ==, 15);
    g_assert_cmpuint(initrd_at % 4096, ==, 0);
    g_assert_cmpuint(initrd_at, >=, 0x1100000); /* beyond what the kernel unpacks into */
    g_assert_cmpmem(loaded(boot, initrd_at, 15), 15, "initrd contents", 15);
    g_bytes_unref(kernel);
}

static GByteArray *bzimage_with(unsigned at, unsigned size, uint32_t value)
{
    GByteArray *file = make_bzimage();
    for (unsigned i = 0; i < size; i++) {
        file->data[at + i] = value >> (8 * i);
    }
    return file;
}

static void test_linux_hostile(void)
{
    check_refused(bzimage_with(0x206, 2, 0x201), "2.02");
    check_refused(bzimage_with(0x211, 1, 0), "zImage");
    check_refused(bzimage_with(0x1f1, 1, 255), "setup sectors");
    check_refused(bzimage_with(0x1f4, 4, 0xffffffff), "truncated");
    check_refused(bzimage_with(0x1f4, 4, 0x402), "truncated");
    check_refused(bzimage_with(0x238, 4, 2), "command line");
    check_refused(bzimage_with(0x202, 4, 0), "no Linux bzImage");
    GByteArray *file = make_bzimage();
    g_byte_array_set_size(file, 512 * 5);
    check_refused(file, "truncated");
    /* "0 means 4" */
    g_autoptr(KernelBoot) boot = plan(bzimage_with(0x1f1, 1, 0), NULL);
    g_assert_nonnull(boot);
    g_assert_cmpuint(g_bytes_get_size(boot->setup), ==, 512 * 5);
    file = make_bzimage();
    g_byte_array_set_size(file, RAM);
    check_refused(file, "not all in free RAM");
}

static void test_initrd_hostile(void)
{
    GBytes *kernel;
    BootInput input = make_input(make_bzimage(), &kernel);
    g_autofree char *zeros = g_malloc0(RAM);
    g_autoptr(GBytes) initrd = g_bytes_new_static(zeros, RAM - 0x1100000);
    GError *error = NULL;

    input.initrd_name = "i";
    input.initrd = initrd;
    g_assert_null(kernel_boot_new(&input, &error));
    g_assert_nonnull(strstr(error->message, "initrd 'i'"));
    g_clear_error(&error);
    input.initrd = NULL;
    input.initrd_name = "/nonexistent/initrd";
    g_assert_null(kernel_boot_new(&input, &error));
    g_assert_nonnull(strstr(error->message, "/nonexistent/initrd"));
    g_clear_error(&error);
    g_bytes_unref(kernel);
}

/* --- PVH ------------------------------------------------------------------------------------ */

static void test_pvh(void)
{
    g_autoptr(KernelBoot) boot = plan(make_elf(), NULL);

    g_assert_nonnull(boot);
    g_assert_cmpuint(boot->plan.mode, ==, BOOT_PROTECTED_MODE);
    g_assert_cmphex(boot->plan.entry, ==, 0x1000200);
    const uint8_t *info = loaded(boot, boot->plan.ebx, 56);
    g_assert_cmphex(boot_get32(info), ==, 0x336ec578);
    g_assert_cmpstr((const char *)loaded(boot, boot_get64(info + 24), 4), ==, "a b");
    g_assert_cmphex(boot_get64(info + 40), ==, boot->plan.map);
    g_assert_cmpuint(boot->plan.map_count_at, ==, boot->plan.ebx + 48);
    g_assert_cmpuint(boot->plan.rsdp_at, ==, boot->plan.ebx + 32);
    g_assert_nonnull(loaded(boot, 0x1000000, 0x1000));
    g_assert_nonnull(loaded(boot, 0x1100000, 0x1000));
}

static void test_elf_hostile(void)
{
    GByteArray *file = make_elf();
    elf_header(file, 0)->p_filesz = 0x10000;
    elf_header(file, 0)->p_memsz = 0x10000;
    check_refused(file, "truncated");
    file = make_elf();
    elf_header(file, 0)->p_offset = UINT64_MAX - 0x800;
    check_refused(file, "truncated");
    file = make_elf();
    elf_header(file, 0)->p_memsz = 0x800;
    check_refused(file, "more bytes in the file");
    file = make_elf();
    elf_header(file, 0)->p_memsz = UINT64_MAX;
    check_refused(file, "free RAM");
    file = make_elf();
    elf_header(file, 0)->p_paddr = 0x10fe000;
    check_refused(file, "overlap");
    file = make_elf();
    elf_header(file, 0)->p_paddr = RAM - 0x1000;
    check_refused(file, "free RAM");
    file = make_elf();
    elf_header(file, 0)->p_paddr = 0x1000;
    check_refused(file, "free RAM");
    file = make_elf();
    elf_header(file, 0)->p_paddr = UINT64_MAX - 0x100;
    check_refused(file, "free RAM");
    file = make_elf();
    elf_header(file, 2)->p_type = PT_NULL;
    check_refused(file, "PVH");
    file = make_elf();
    elf_header(file, 2)->p_filesz = UINT64_MAX;
    check_refused(file, "PVH");
    file = make_elf();
    boot_put32(file->data + 0x200, UINT32_MAX);
    check_refused(file, "PVH");
    file = make_elf();
    ((Elf64_Ehdr *)file->data)->e_phoff = ELF_SIZE - 8;
    check_refused(file, "program headers");
    file = make_elf();
    ((Elf64_Ehdr *)file->data)->e_phnum = UINT16_MAX;
    check_refused(file, "program headers");
    file = make_elf();
    ((Elf64_Ehdr *)file->data)->e_phentsize = 1;
    check_refused(file, "program headers");
    file = make_elf();
    ((Elf64_Ehdr *)file->data)->e_machine = EM_AARCH64;
    check_refused(file, "not for an x86");
    file = make_elf();
    g_byte_array_set_size(file, 60);
    check_refused(file, "program headers");
}

/* --- Multiboot -------------------------------------------------------------------------------- */

static void test_multiboot(void)
{
    g_autoptr(KernelBoot) boot = plan(make_multiboot(), NULL);

    g_assert_nonnull(boot);
    g_assert_cmphex(boot->plan.eax, ==, 0x2badb002);
    g_assert_cmphex(boot->plan.entry, ==, 0x100080);
    const uint8_t *info = loaded(boot, boot->plan.ebx, 120);
    g_assert_cmphex(boot_get32(info) & 0x45, ==, 0x45);
    g_assert_cmpstr((const char *)loaded(boot, boot_get32(info + 16), 6), ==, "k a b");
    g_assert_cmphex(boot_get32(info + 48), ==, boot->plan.map);
    g_assert_cmpuint(boot->plan.map_field, ==, 4);
}

static GByteArray *multiboot_with(unsigned at, uint32_t value)
{
    GByteArray *file = make_multiboot();
    boot_put32(file->data + 0x40 + at, value);
    return file;
}

static void test_multiboot_hostile(void)
{
    check_refused(multiboot_with(8, 0), "no multiboot image");
    check_refused(multiboot_with(16, 0x200000), "load address");
    check_refused(multiboot_with(16, 0), "load address");
    check_refused(multiboot_with(20, 0x200000), "truncated");
    check_refused(multiboot_with(20, 0x1000), "truncated");
    check_refused(multiboot_with(24, UINT32_MAX), "free RAM");
    GByteArray *file = multiboot_with(4, 0x80);
    boot_put32(file->data + 0x48, -(0x1badb002u + 0x80));
    check_refused(file, "required features");
    file = multiboot_with(4, 3);
    boot_put32(file->data + 0x48, -(0x1badb002u + 3));
    check_refused(file, "no ELF image");
    file = make_multiboot();
    g_byte_array_set_size(file, 0x50);
    check_refused(file, "truncated");
}

/* --- Damage ----------------------------------------------------------------------------------- */

/* Whatever a plan says, it must stay within files and RAM. */
static void check_bounds(const KernelBoot *boot)
{
    for (unsigned i = 0; i < boot->plan.load_count; i++) {
        const BootLoad *load = &boot->plan.loads[i];
        g_assert_cmpuint((uint64_t)load->dest + load->size, <=, RAM);
        if (load->item != BOOT_ITEM_ZERO) {
            g_assert_nonnull(loaded(boot, load->dest, load->size));
        }
    }
}

static void test_damage(void)
{
    static GByteArray *(*const makers[])(void) = { make_bzimage, make_elf, make_multiboot };

    for (unsigned round = 0; round < 20000; round++) {
        GByteArray *file = makers[round % 3]();
        unsigned headers = MIN(file->len, 0x280);
        unsigned hits = g_test_rand_int_range(1, 5);
        while (hits-- > 0) {
            unsigned at = g_test_rand_int_range(0, headers);
            file->data[at] = g_test_rand_bit() ? 0xff : g_test_rand_int();
        }
        if (g_test_rand_bit()) {
            g_byte_array_set_size(file, g_test_rand_int_range(1, file->len));
        }
        g_autoptr(GError) error = NULL;
        g_autoptr(KernelBoot) boot = plan(file, &error);
        g_assert_true((boot == NULL) == (error != NULL));
        if (boot) {
            check_bounds(boot);
        }
    }
}

/* --- The option ROM --------------------------------------------------------------------------- */

static void test_rom(void)
{
    uint8_t total = 0, pnp_total = 0;
    unsigned pnp = boot_get16(kernelboot_rom + 0x1a);

    g_assert_cmphex(boot_get16(kernelboot_rom), ==, 0xaa55);
    g_assert_cmpuint(kernelboot_rom[2] * 512, ==, sizeof(kernelboot_rom));
    for (unsigned i = 0; i < sizeof(kernelboot_rom); i++) {
        total += kernelboot_rom[i];
    }
    g_assert_cmpuint(total, ==, 0);
    g_assert_cmpmem(kernelboot_rom + pnp, 4, "$PnP", 4);
    for (unsigned i = 0; i < 32; i++) {
        pnp_total += kernelboot_rom[pnp + i];
    }
    g_assert_cmpuint(pnp_total, ==, 0);
    g_assert_cmpuint(boot_get16(kernelboot_rom + pnp + 0x1a), !=, 0); /* BEV */
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/kernel-boot/linux", test_linux);
    g_test_add_func("/kernel-boot/linux-hostile", test_linux_hostile);
    g_test_add_func("/kernel-boot/initrd-hostile", test_initrd_hostile);
    g_test_add_func("/kernel-boot/pvh", test_pvh);
    g_test_add_func("/kernel-boot/elf-hostile", test_elf_hostile);
    g_test_add_func("/kernel-boot/multiboot", test_multiboot);
    g_test_add_func("/kernel-boot/multiboot-hostile", test_multiboot_hostile);
    g_test_add_func("/kernel-boot/damage", test_damage);
    g_test_add_func("/kernel-boot/rom", test_rom);
    return g_test_run();
}
