/* SPDX-License-Identifier: GPL-2.0-or-later */
/* -fw_cfg: files that the firmware configuration device offers to the guest. */
#include <string.h>

#include "qemu-config/config.h"

static const OptKey fw_cfg_keys[] = {
    {.name = "name", .type = OPT_STRING, .help = "name in the guest; begins with opt/"},
    {.name = "file", .type = OPT_STRING, .help = "host file with the contents"},
    {.name = "string", .type = OPT_STRING, .help = "the contents themselves"},
    {0},
};

/* QEMU's fw_cfg specification: names are at most 55 characters; opt/ is the user's part. */
static bool fw_cfg_validate(const ConfigGroup *group, Diag *diag)
{
    const char *name = group_get(group, "name");
    if (!name || !*name || strlen(name) > 55) {
        diag_error(diag, group_origin(group, "name"), "fw_cfg needs a name of 1 to 55 characters");
        return false;
    }
    if (!group_get(group, "file") == !group_get(group, "string")) {
        diag_error(diag, group->origin, "fw_cfg needs either file or string");
        return false;
    }
    if (!g_str_has_prefix(name, "opt/")) {
        diag_warning(diag, group_origin(group, "name"), "names of one's own begin with 'opt/'");
    }
    return true;
}

static const OptSchema fw_cfg_option = {
    .group = "fw_cfg",
    .option = "fw_cfg",
    .implied_key = "name",
    .keys = fw_cfg_keys,
    .arg_help = "[name=]NAME,file=FILE|string=TEXT",
    .help = "a file for the guest's firmware configuration device",
    .section = OPT_SECTION_BOOT,
    .example = "opt/org.example,string=a,,b",
    .validate = fw_cfg_validate,
};
OPTION_SCHEMA(fw_cfg_option);
