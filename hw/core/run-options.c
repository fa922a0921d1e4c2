/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Options that say what is booted, how the machine runs, and what is logged. */
#include <string.h>

#include "qemu-config/config.h"

/* ---- Boot ---- */

#define FILE_OPTION(var, name, help, example_)                                                     \
    SYSTEM_OPTION(var, name, OPT_STRING, help, .flags = OPT_MERGE | OPT_RAW,                       \
                  .section = OPT_SECTION_BOOT, .arg_help = "FILE", .in_short_help = true,          \
                  .example = example_)

FILE_OPTION(kernel_option, "kernel", "boot this kernel: bzImage, ELF or multiboot",
            "/boot/vmlinuz");
FILE_OPTION(initrd_option, "initrd", "initial RAM disk of the kernel", "/boot/initrd,gz");
FILE_OPTION(bios_option, "bios", "firmware image instead of the machine's", "bios.bin");
SYSTEM_OPTION(append_option, "append", OPT_STRING, "command line of the kernel",
              .flags = OPT_MERGE | OPT_RAW, .section = OPT_SECTION_BOOT, .arg_help = "TEXT",
              .in_short_help = true, .example = "console=ttyS0,115200 root=\"/dev/vda\" \\x ${x}");

static const OptKey boot_keys[] = {
    {.name = "order", .type = OPT_STRING, .help = "drives to try, a letter each: a b c d n"},
    {.name = "menu", .type = OPT_BOOL, .help = "show the boot menu of the firmware"},
    {.name = "splash-time", .type = OPT_UINT, .help = "milliseconds that the menu waits",
     .min = 0, .max = 0xffff},
    {.name = "strict", .type = OPT_BOOL, .help = "boot from nothing but the order given"},
    {0},
};

static bool boot_validate(const ConfigGroup *group, Diag *diag)
{
    const char *order = group_get(group, "order");
    for (const char *p = order; p && *p; p++) {
        if (*p < 'a' || *p > 'p' || strchr(p + 1, *p)) {
            diag_error_at(diag, group_origin(group, "order"), p - order, 1,
                          "'%c' is no boot drive, or is named twice", *p);
            diag_note(diag, NULL, "accepted: letters a to p, each once");
            return false;
        }
    }
    return true;
}

static const OptSchema boot_option = {
    .group = "boot-opts",
    .group_synonym = "boot",
    .option = "boot",
    .implied_key = "order",
    .flags = OPT_MERGE,
    .keys = boot_keys,
    .arg_help = "[order=]DRIVES[,menu=on|off][,splash-time=MS][,strict=on|off]",
    .help = "boot order and menu",
    .section = OPT_SECTION_BOOT,
    .example = "order=cd,menu=on,splash-time=500",
    .validate = boot_validate,
};
OPTION_SCHEMA(boot_option);

/* ---- Clock ---- */

static const char *const rtc_clocks[] = {"host", "rt", "vm", NULL};
static const OptKey rtc_keys[] = {
    {.name = "base", .type = OPT_STRING, .help = "utc, localtime or a date 2024-02-29T12:00:00",
     .def = "utc"},
    {.name = "clock", .type = OPT_ENUM, .choices = rtc_clocks,
     .help = "clock that drives it: of the host, monotonic, or stopping with the machine",
     .def = "host"},
    {0},
};

static bool rtc_validate(const ConfigGroup *group, Diag *diag)
{
    const char *base = group_get(group, "base");
    if (!base || !strcmp(base, "utc") || !strcmp(base, "localtime")) {
        return true;
    }
    g_autoptr(GTimeZone) utc = g_time_zone_new_utc();
    g_autofree char *full = strchr(base, 'T') ? g_strdup(base)
                                              : g_strconcat(base, "T00:00:00", NULL);
    g_autoptr(GDateTime) date = g_date_time_new_from_iso8601(full, utc);
    if (!date) {
        diag_error(diag, group_origin(group, "base"), "'%s' is not a date", base);
        diag_note(diag, NULL, "accepted: utc, localtime, 2024-02-29, 2024-02-29T12:00:00");
    }
    return date != NULL;
}

static const OptSchema rtc_option = {
    .group = "rtc",
    .option = "rtc",
    .flags = OPT_MERGE,
    .keys = rtc_keys,
    .arg_help = "[base=utc|localtime|DATE][,clock=host|rt|vm]",
    .help = "start and source of the real-time clock",
    .section = OPT_SECTION_MACHINE,
    .example = "base=2024-02-29T12:00:00,clock=vm",
    .validate = rtc_validate,
};
OPTION_SCHEMA(rtc_option);

/* ---- Running ---- */

#define RUN_FLAG(var, name, help)                                                                  \
    SYSTEM_OPTION(var, name, OPT_BOOL, help, .flags = OPT_MERGE | OPT_FLAG,                        \
                  .section = OPT_SECTION_RUN)

RUN_FLAG(no_reboot_option, "no-reboot", "end when the guest resets the machine");
RUN_FLAG(no_shutdown_option, "no-shutdown", "stop instead of ending when the guest powers off");
RUN_FLAG(stopped_option, "S", "do not start the CPUs");
RUN_FLAG(daemonize_option, "daemonize", "go to the background when the machine is ready");
SYSTEM_OPTION(pidfile_option, "pidfile", OPT_STRING, "write the process id to FILE",
              .flags = OPT_MERGE | OPT_RAW, .section = OPT_SECTION_RUN, .arg_help = "FILE",
              .example = "/run/vm.pid");

static const OptKey msg_keys[] = {
    {.name = "timestamp", .type = OPT_BOOL, .help = "put the time before messages", .def = "off"},
    {0},
};
static const OptSchema msg_option = {
    .group = "msg",
    .option = "msg",
    .flags = OPT_MERGE,
    .keys = msg_keys,
    .arg_help = "[timestamp=on|off]",
    .help = "form of messages",
    .section = OPT_SECTION_DEBUG,
    .example = "timestamp=on",
};
OPTION_SCHEMA(msg_option);

SYSTEM_OPTION(log_file_option, "D", OPT_STRING, "write the log to FILE",
              .flags = OPT_MERGE | OPT_RAW, .section = OPT_SECTION_DEBUG, .arg_help = "FILE",
              .example = "/tmp/log");
SYSTEM_OPTION(log_items_option, "d", OPT_STRING, "log these items, separated by ','",
              .flags = OPT_MERGE | OPT_RAW, .section = OPT_SECTION_DEBUG,
              .arg_help = "ITEM,…", .example = "int,guest_errors");
