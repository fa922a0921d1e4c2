/* SPDX-License-Identifier: GPL-2.0-or-later */
/* -cpu and [cpudef]: the processor and the models that it is made from. */
#include "qemu-config/config.h"

static const OptKey cpu_keys[] = {
    {.name = "base_cpudef", .type = OPT_STRING, .help = "CPU model ('help' lists them)"},
    {.name = "add_features", .type = OPT_STRING, .help = "features to add, separated by blanks"},
    {.name = "remove_features", .type = OPT_STRING, .help = "features to take away"},
    {0},
};
static const OptSchema cpu_option = {
    .group = "cpu",
    .option = "cpu",
    .implied_key = "base_cpudef",
    .flags = OPT_MERGE | OPT_OPEN_KEYS | OPT_PLUS_MINUS,
    .keys = cpu_keys,
    .arg_help = "MODEL[,+FEATURE][,-FEATURE][,key=value…]",
    .help = "CPU model ('help' lists them) and changes to it",
    .section = OPT_SECTION_MACHINE,
    .in_short_help = true,
    .example = "Nehalem,+vmx,-popcnt,enforce=off",
};
OPTION_SCHEMA(cpu_option);

static const OptKey cpudef_keys[] = {
    {.name = "base_cpudef", .type = OPT_STRING, .help = "model to start from"},
    {.name = "alias", .type = OPT_STRING, .help = "further names, separated by blanks"},
    {.name = "features", .type = OPT_STRING, .help = "all features, separated by blanks"},
    {.name = "add_features", .type = OPT_STRING, .help = "features to add to the base's"},
    {.name = "remove_features", .type = OPT_STRING, .help = "features to take from the base's"},
    {.name = "vendor", .type = OPT_STRING, .help = "vendor string of 12 characters"},
    {.name = "model_id", .type = OPT_STRING, .help = "brand string of up to 48 characters",
     .synonym = "model-id"},
    {.name = "family", .type = OPT_UINT, .help = "family", .min = 0, .max = 0x10e},
    {.name = "model", .type = OPT_UINT, .help = "model", .min = 0, .max = 0xff},
    {.name = "stepping", .type = OPT_UINT, .help = "stepping", .min = 0, .max = 15},
    {0},
};
static const OptSchema cpudef_group = {
    .group = "cpudef",
    .flags = OPT_FILE_ONLY | OPT_REPLACE | OPT_NEED_ID | OPT_OPEN_KEYS,
    .keys = cpudef_keys,
    .id_key = "name",
    .help = "a CPU model",
    .section = OPT_SECTION_MACHINE,
    .example = "base_cpudef=Nehalem,add_features=vmx,model_id=A CPU",
};
OPTION_SCHEMA(cpudef_group);
