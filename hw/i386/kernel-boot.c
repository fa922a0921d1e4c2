/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What all kernel formats share: choosing the format, placing pieces in RAM; see kernel-boot.h. */
#include "hw/i386/kernel-boot.h"

#include <stdarg.h>

#include "hw/core/firmware.h"

bool boot_fail(const BootInput *input, GError **error, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    g_autofree char *why = g_strdup_vprintf(format, args);
    va_end(args);
    g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_INVAL, "kernel '%s': %s", input->kernel_name,
                why);
    return false;
}

static uint64_t boot_ram_end(const BootInput *input)
{
    return input->ram_below_4g > BOOT_RESERVE ? input->ram_below_4g - BOOT_RESERVE : 0;
}

/* RAM that the BIOS leaves alone and the ROM does not use itself. */
static bool boot_range_ok(const BootInput *input, uint64_t dest, uint64_t size)
{
    uint64_t end = dest + size;

    if (dest == BOOT_INFO_ADDR) {
        return size <= BOOT_INFO_MAX;
    }
    return end > dest && ((dest >= BOOT_LOW_START && end <= BOOT_LOW_END) ||
                          (dest >= BOOT_HIGH && end <= boot_ram_end(input)));
}

bool boot_add_load(const BootInput *input, KernelBoot *boot, uint32_t item, uint64_t offset,
                   uint64_t size, uint64_t dest, GError **error)
{
    BootPlan *plan = &boot->plan;

    if (size == 0) {
        return true;
    }
    if (plan->load_count == BOOT_MAX_LOADS) {
        return boot_fail(input, error, "more than %u pieces to load", BOOT_MAX_LOADS);
    }
    if (dest > UINT32_MAX || size > UINT32_MAX || offset > UINT32_MAX ||
        !boot_range_ok(input, dest, size)) {
        return boot_fail(input, error,
                         "0x%" G_GINT64_MODIFIER "x bytes at 0x%" G_GINT64_MODIFIER "x are not all "
                         "in free RAM, which is 0x%x-0x%x and 0x%x-0x%" G_GINT64_MODIFIER "x",
                         size, dest, BOOT_LOW_START, BOOT_LOW_END, BOOT_HIGH, boot_ram_end(input));
    }
    for (unsigned i = 0; i < plan->load_count; i++) {
        const BootLoad *other = &plan->loads[i];
        if (dest < (uint64_t)other->dest + other->size && other->dest < dest + size) {
            return boot_fail(input, error,
                             "pieces at 0x%" G_GINT64_MODIFIER "x and 0x%x overlap in memory", dest,
                             other->dest);
        }
    }
    plan->loads[plan->load_count++] = (BootLoad){ item, offset, size, dest };
    return true;
}

void boot_blame_initrd(const BootInput *input)
{
    if (input->initrd_to_blame) {
        *input->initrd_to_blame = true;
    }
}

bool boot_get_initrd(const BootInput *input, GBytes **initrd, GError **error)
{
    *initrd = input->initrd ? g_bytes_ref(input->initrd) : NULL;
    if (*initrd || !input->initrd_name) {
        return true;
    }
    *initrd = host_file_load(input->initrd_name, MAX(boot_ram_end(input), 1), error);
    if (!*initrd) {
        g_prefix_error(error, "initrd: ");
        boot_blame_initrd(input);
    }
    return *initrd != NULL;
}

uint32_t boot_place_initrd(const BootInput *input, uint64_t size, uint64_t floor, uint64_t limit,
                           GError **error)
{
    uint64_t end = MIN(boot_ram_end(input), limit);
    uint64_t addr = size <= end ? (end - size) & ~0xfffull : 0;

    if (addr < floor || addr < BOOT_HIGH) {
        boot_blame_initrd(input);
        g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_INVAL,
                    "initrd '%s': its %" G_GUINT64_FORMAT " bytes do not fit into RAM between the "
                    "end of the kernel at 0x%" G_GINT64_MODIFIER "x and 0x%" G_GINT64_MODIFIER "x",
                    input->initrd_name, size, floor, end);
        return 0;
    }
    return addr;
}

KernelBoot *kernel_boot_new(const BootInput *input, GError **error)
{
    static BootResult (*const formats[])(const BootInput *, KernelBoot *, GError **) = {
        linux_boot_plan, multiboot_plan, pvh_boot_plan,
    };
    g_autoptr(KernelBoot) boot = g_new0(KernelBoot, 1);

    boot->kernel = g_bytes_ref(input->kernel);
    for (unsigned i = 0; i < G_N_ELEMENTS(formats); i++) {
        BootResult result = formats[i](input, boot, error);
        if (result == BOOT_OK) {
            return g_steal_pointer(&boot);
        }
        if (result == BOOT_FAILED) {
            return NULL;
        }
    }
    boot_fail(input, error, "it is no Linux bzImage, no multiboot image and no ELF image with a "
              "PVH entry point");
    return NULL;
}

void kernel_boot_free(KernelBoot *boot)
{
    if (boot) {
        g_clear_pointer(&boot->kernel, g_bytes_unref);
        g_clear_pointer(&boot->initrd, g_bytes_unref);
        g_clear_pointer(&boot->cmdline, g_bytes_unref);
        g_clear_pointer(&boot->setup, g_bytes_unref);
        g_clear_pointer(&boot->info, g_bytes_unref);
        g_free(boot);
    }
}
