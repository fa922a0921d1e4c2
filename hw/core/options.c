/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Options that say what machine is built: its type, memory, processors, devices. */
#include <string.h>

#include "hw/core/plan.h"

/* ---- [machine] and [machine-type] ---- */

static const char *const irqchip_places[] = {"on", "off", "split", NULL};
#define IRQCHIP_KEY                                                                                \
    {.name = "kernel-irqchip", .type = OPT_ENUM, .choices = irqchip_places, .synonym =             \
     "kernel_irqchip", .help = "interrupt controllers in the kernel (kvm)", .def = "on"}

static const OptKey machine_keys[] = {
    {.name = "type", .type = OPT_STRING, .help = "machine type, or the path of a machine file",
     .def = "pc"},
    {.name = "accel", .type = OPT_STRING, .help = "accelerators to try, separated by ':'",
     .def = "tcg"},
    {.name = "dumpdtb", .type = OPT_STRING,
     .help = "write the machine as a device tree to this file and stop"},
    IRQCHIP_KEY,
    {0},
};
static const char *const machine_aliases[] = {"M", NULL};
static const OptSchema machine_option = {
    .group = "machine",
    .option = "machine",
    .aliases = machine_aliases,
    .implied_key = "type",
    .flags = OPT_MERGE,
    .keys = machine_keys,
    .list_help = machine_help,
    .arg_help = "[type=]NAME|FILE[,accel=…]",
    .help = "the machine type ('help' lists them) and its properties",
    .section = OPT_SECTION_MACHINE,
    .in_short_help = true,
    .example = "pc,accel=tcg",
};
OPTION_SCHEMA(machine_option);

static const OptKey machine_type_keys[] = {
    {.name = "description", .type = OPT_STRING, .help = "one line for -machine help"},
    {.name = "alias", .type = OPT_STRING, .help = "further names, separated by blanks"},
    {.name = "base_machine", .type = OPT_STRING, .help = "type to inherit from"},
    {.name = "is_default", .type = OPT_BOOL, .help = "chosen when -machine is not given"},
    {.name = "default_cpu", .type = OPT_STRING, .help = "CPU model when -cpu is not given"},
    {.name = "default_memory", .type = OPT_SIZE, .help = "RAM when -m is not given"},
    {.name = "default_cpus", .type = OPT_UINT, .help = "CPUs when -smp is not given", .min = 0,
     .max = 4096},
    {.name = "max_cpus", .type = OPT_UINT, .help = "largest number of CPUs", .min = 1,
     .max = 4096},
    {0},
};
static const OptSchema machine_type_group = {
    .group = "machine-type",
    .flags = OPT_FILE_ONLY | OPT_SCOPE | OPT_NEED_ID,
    .keys = machine_type_keys,
    .help = "header of a machine type: the groups that follow belong to it",
    .section = OPT_SECTION_MACHINE,
    .example = "sample-board,description=A board,max_cpus=4",
};
OPTION_SCHEMA(machine_type_group);

/* ---- [accel] ---- */

static const char *const kvm_trials[] = {"on", "patient", "off", NULL};
static const OptKey accel_keys[] = {
    {.name = "accel", .type = OPT_STRING, .help = "name of the accelerator", .def = "tcg"},
    IRQCHIP_KEY,
    {.name = "tb-size", .type = OPT_UINT, .min = 1, .max = 1024, .def = "64",
     .help = "most MiB of translated code per CPU (tcg)"},
    {.name = "translate", .type = OPT_BOOL, .def = "on",
     .help = "translate hot code; off: interpret everything (tcg)"},
    {.name = "lockstep", .type = OPT_BOOL, .def = "off",
     .help = "run each block translated and interpreted, and compare (tcg; slow)"},
    {.name = "trials", .type = OPT_ENUM, .choices = kvm_trials, .def = "on",
     .help = "find out at the start what a KVM gets wrong, and make up for it; patient: but not "
             "for being slow; off: take it as it is (kvm)"},
    {.name = "halt-poll-ns", .type = OPT_UINT, .max = 1000000000,
     .help = "ns that a halted CPU is waited for before its thread sleeps (kvm)"},
    {.name = "debug", .type = OPT_STRING,
     .help = "debug modes of the translator, joined by '+' (tcg; see docs/testing.md)"},
    {0},
};
static const OptSchema accel_option = {
    .group = "accel",
    .option = "accel",
    .implied_key = "accel",
    .flags = OPT_OPEN_KEYS,
    .keys = accel_keys,
    .list_help = accel_help,
    .arg_help = "[accel=]NAME[,prop=value…]",
    .help = "accelerator; several are tried in order",
    .section = OPT_SECTION_MACHINE,
    .in_short_help = true,
    .example = "tcg",
};
OPTION_SCHEMA(accel_option);

SYSTEM_OPTION(enable_kvm_option, "enable-kvm", OPT_BOOL, "the same as -accel kvm",
              .flags = OPT_MERGE | OPT_FLAG, .section = OPT_SECTION_MACHINE);

/* ---- [memory], [smp-opts] ---- */

static const OptKey memory_keys[] = {
    {.name = "size", .type = OPT_SIZE, .help = "RAM; a bare number counts MiB", .unit = 1 << 20,
     .min = 1, .max = 1LL << 46, .synonym = "mem"},
    {0},
};
static const OptSchema memory_option = {
    .group = "memory",
    .group_synonym = "m",
    .option = "m",
    .implied_key = "size",
    .flags = OPT_MERGE,
    .keys = memory_keys,
    .arg_help = "[size=]MEGS|SIZE",
    .help = "memory of the machine: 512, 2G",
    .section = OPT_SECTION_MACHINE,
    .in_short_help = true,
    .example = "size=1G",
};
OPTION_SCHEMA(memory_option);

static const OptKey smp_keys[] = {
    {.name = "cpus", .type = OPT_UINT, .help = "CPUs at start", .def = "1", .min = 1,
     .max = 4096},
    {.name = "maxcpus", .type = OPT_UINT, .help = "CPUs at most", .min = 1, .max = 4096},
    {.name = "sockets", .type = OPT_UINT, .help = "sockets of the board", .min = 1, .max = 4096},
    {.name = "dies", .type = OPT_UINT, .help = "dies of a socket", .min = 1, .max = 4096},
    {.name = "cores", .type = OPT_UINT, .help = "cores of a die", .min = 1, .max = 4096},
    {.name = "threads", .type = OPT_UINT, .help = "threads of a core", .min = 1, .max = 4096},
    {0},
};
static const OptSchema smp_option = {
    .group = "smp-opts",
    .group_synonym = "smp",
    .option = "smp",
    .implied_key = "cpus",
    .flags = OPT_MERGE,
    .keys = smp_keys,
    .arg_help = "[cpus=]N[,maxcpus=…][,sockets=…][,dies=…][,cores=…][,threads=…]",
    .help = "number of CPUs and their topology",
    .section = OPT_SECTION_MACHINE,
    .in_short_help = true,
    .example = "2,sockets=1,cores=2",
};
OPTION_SCHEMA(smp_option);

/* ---- [name], uuid ---- */

static const OptKey name_keys[] = {
    {.name = "guest", .type = OPT_STRING, .help = "name of the guest"},
    {0},
};
static const OptSchema name_option = {
    .group = "name",
    .option = "name",
    .implied_key = "guest",
    .flags = OPT_MERGE,
    .keys = name_keys,
    .arg_help = "[guest=]NAME",
    .help = "name of the guest",
    .section = OPT_SECTION_MACHINE,
    .in_short_help = true,
    .example = "guest=vm,,1",
};
OPTION_SCHEMA(name_option);

static bool uuid_validate(const ConfigGroup *group, Diag *diag)
{
    const char *uuid = group_get(group, "uuid");
    if (!uuid || g_uuid_string_is_valid(uuid)) {
        return true;
    }
    diag_error(diag, group_origin(group, "uuid"), "'%s' is not a UUID", uuid);
    return false;
}

SYSTEM_OPTION(uuid_option, "uuid", OPT_STRING, "UUID of the machine",
              .flags = OPT_MERGE | OPT_RAW, .section = OPT_SECTION_MACHINE, .arg_help = "UUID",
              .example = "550e8400-e29b-41d4-a716-446655440000", .validate = uuid_validate);

/* ---- [device], [global] ---- */

static const OptKey device_keys[] = {
    {.name = "driver", .type = OPT_STRING, .help = "kind of device ('help' lists them)"},
    {.name = "default", .type = OPT_BOOL, .help = "in machine files: -nodefaults leaves it out"},
    {.name = "needs", .type = OPT_STRING,
     .help = "in machine files: only if a group of this name exists"},
    {0},
};

static bool device_validate(const ConfigGroup *group, Diag *diag)
{
    if (group_get(group, "driver")) {
        return true;
    }
    diag_error(diag, group->origin, "this device has no driver");
    diag_note(diag, NULL, "no earlier layer defines a device of this name");
    return false;
}

static const OptSchema device_option = {
    .group = "device",
    .option = "device",
    .implied_key = "driver",
    .flags = OPT_OPEN_KEYS,
    .keys = device_keys,
    .list_help = device_help,
    .arg_help = "DRIVER[,id=NAME][,bus=BUS][,prop=value…]",
    .help = "add a device; 'help' lists drivers, DRIVER,help their properties",
    .section = OPT_SECTION_DEVICES,
    .in_short_help = true,
    .example = "isa-debugcon,id=dbg0,iobase=0xe9",
    .validate = device_validate,
};
OPTION_SCHEMA(device_option);

static bool global_validate(const ConfigGroup *group, Diag *diag)
{
    bool good = true;
    for (unsigned i = 0; i < group->values->len; i++) {
        const ConfigValue *value = group->values->pdata[i];
        if (!strchr(value->key, '.')) {
            diag_error(diag, value->key_origin, "expected DRIVER.PROPERTY, not '%s'", value->key);
            good = false;
        }
    }
    return good;
}

static const OptSchema global_option = {
    .group = "global",
    .option = "global",
    .flags = OPT_MERGE | OPT_OPEN_KEYS | OPT_TRIPLE,
    .arg_help = "DRIVER.PROPERTY=VALUE",
    .help = "default of a property for every device of a kind",
    .section = OPT_SECTION_DEVICES,
    .in_short_help = true,
    .example = "isa-debugcon.readback=0xe8",
    .validate = global_validate,
};
OPTION_SCHEMA(global_option);
