/* SPDX-License-Identifier: GPL-2.0-or-later */
/* -smbios: what the SMBIOS tables say about firmware and system. */
#include <string.h>

#include "qemu-config/config.h"

static const OptKey smbios_keys[] = {
    {.name = "type", .type = OPT_UINT, .help = "0 (firmware) or 1 (system)", .min = 0, .max = 1},
    {.name = "vendor", .type = OPT_STRING, .help = "type 0: vendor"},
    {.name = "version", .type = OPT_STRING, .help = "types 0 and 1: version"},
    {.name = "date", .type = OPT_STRING, .help = "type 0: release date"},
    {.name = "release", .type = OPT_STRING, .help = "type 0: release MAJOR.MINOR"},
    {.name = "uefi", .type = OPT_BOOL, .help = "type 0: says that the firmware is UEFI"},
    {.name = "manufacturer", .type = OPT_STRING, .help = "type 1: manufacturer"},
    {.name = "product", .type = OPT_STRING, .help = "type 1: product name"},
    {.name = "serial", .type = OPT_STRING, .help = "type 1: serial number"},
    {.name = "uuid", .type = OPT_STRING, .help = "type 1: UUID"},
    {.name = "sku", .type = OPT_STRING, .help = "type 1: SKU number"},
    {.name = "family", .type = OPT_STRING, .help = "type 1: family"},
    {0},
};

static bool smbios_validate(const ConfigGroup *group, Diag *diag)
{
    static const char *const fields[][12] = {
        {"type", "vendor", "version", "date", "release", "uefi", NULL},
        {"type", "manufacturer", "product", "version", "serial", "uuid", "sku", "family", NULL},
    };
    uint64_t type = G_N_ELEMENTS(fields);
    bool good = group_get_uint(group, "type", &type, diag);
    if (!good || type >= G_N_ELEMENTS(fields)) {
        if (good) {
            diag_error(diag, group->origin, "-smbios needs type=0 or type=1");
        }
        return false;
    }
    for (unsigned i = 0; i < group->values->len; i++) {
        const ConfigValue *value = group->values->pdata[i];
        if (!g_strv_contains(fields[type], value->key)) {
            diag_error(diag, value->key_origin, "'%s' is no field of SMBIOS type %u", value->key,
                       (unsigned)type);
            diag_suggest(diag, value->key, fields[type]);
            good = false;
        }
    }
    return good;
}

static const OptSchema smbios_option = {
    .group = "smbios",
    .option = "smbios",
    .keys = smbios_keys,
    .arg_help = "type=0|1[,FIELD=TEXT…]",
    .help = "contents of the SMBIOS tables",
    .section = OPT_SECTION_BOOT,
    .example = "type=1,manufacturer=Example,serial=42",
    .validate = smbios_validate,
};
OPTION_SCHEMA(smbios_option);
