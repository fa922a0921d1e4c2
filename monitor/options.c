/* SPDX-License-Identifier: GPL-2.0-or-later */
/* -mon: a monitor on a character device. */
#include "qemu-config/config.h"

static const char *const mon_modes[] = {"readline", "control", NULL};
static const OptKey mon_keys[] = {
    {.name = "chardev", .type = OPT_STRING, .help = "character device that carries it"},
    {.name = "mode", .type = OPT_ENUM, .choices = mon_modes, .def = "readline",
     .help = "commands for people, or QMP"},
    {.name = "pretty", .type = OPT_BOOL, .def = "off", .help = "lay out JSON over lines"},
    {0},
};

static bool mon_validate(const ConfigGroup *group, Diag *diag)
{
    if (!group_get(group, "chardev")) {
        diag_error(diag, group->origin, "a monitor needs chardev=ID");
        return false;
    }
    return true;
}

static const OptSchema mon_option = {
    .group = "mon",
    .option = "mon",
    .implied_key = "chardev",
    .keys = mon_keys,
    .arg_help = "[chardev=]ID[,mode=readline|control][,pretty=on|off]",
    .help = "a monitor on a character device",
    .section = OPT_SECTION_DEVICES,
    .example = "chardev=char0,id=monitor,mode=control",
    .validate = mon_validate,
};
OPTION_SCHEMA(mon_option);
