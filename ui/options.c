/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Options about screens: none is shown yet, but a machine may be told to have none. */
#include "qemu-config/config.h"

static const char *const display_types[] = {"none", NULL};
static const OptKey display_keys[] = {
    {.name = "type", .type = OPT_ENUM, .choices = display_types, .def = "none",
     .help = "where the screen is shown"},
    {0},
};
static const OptSchema display_option = {
    .group = "display",
    .option = "display",
    .implied_key = "type",
    .flags = OPT_MERGE,
    .keys = display_keys,
    .arg_help = "none",
    .help = "where the screen is shown",
    .section = OPT_SECTION_DISPLAY,
    .in_short_help = true,
    .example = "none",
};
OPTION_SCHEMA(display_option);

static const char *const vga_types[] = {"none", "std", NULL};
static const OptKey vga_keys[] = {
    {.name = "vga", .type = OPT_ENUM, .choices = vga_types, .help = "the default graphics card"},
    {0},
};
static const OptSchema vga_option = {
    .group = "system",
    .option = "vga",
    .implied_key = "vga",
    .flags = OPT_MERGE | OPT_RAW,
    .keys = vga_keys,
    .arg_help = "none|std",
    .help = "the default graphics card",
    .section = OPT_SECTION_DISPLAY,
    .in_short_help = true,
    .example = "none",
};
OPTION_SCHEMA(vga_option);

SYSTEM_OPTION(nographic_option, "nographic", OPT_BOOL,
              "no screen; serial port and monitor on this terminal",
              .flags = OPT_MERGE | OPT_FLAG, .section = OPT_SECTION_DISPLAY,
              .in_short_help = true);
