/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The schema: one row per group of options, beside the subsystem that owns it. The command line, the
 * file form, introspection, -help and the manual all come from these rows.
 */
#ifndef QEMU_CONFIG_SCHEMA_H
#define QEMU_CONFIG_SCHEMA_H

#include <stdbool.h>
#include <stdint.h>

#include "util/registry.h"

typedef struct ConfigGroup ConfigGroup;
typedef struct Diag Diag;

typedef enum {
    OPT_STRING,
    OPT_BOOL,
    OPT_INT,
    OPT_UINT,
    OPT_SIZE,
    OPT_ENUM,
    OPT_STRINGS, /* may be given several times; each adds */
} OptType;

typedef struct OptKey {
    const char *name;
    OptType type;
    const char *help;               /* one line */
    const char *def;                /* default as text, for help and -explain; may be NULL */
    const char *const *choices;     /* OPT_ENUM: NULL-terminated */
    int64_t min, max;               /* numbers: accepted range when min != max */
    const char *synonym;            /* older spelling of the key, or NULL */
} OptKey;

enum {
    OPT_MERGE = 1u << 0,     /* repeated options add to one unnamed group (-machine, -smp, -m) */
    OPT_OPEN_KEYS = 1u << 1, /* keys are checked later against another table (-device, -global) */
    OPT_NEED_ID = 1u << 2,   /* groups must have an id (-chardev, -netdev) */
    OPT_FLAG = 1u << 3,      /* the option takes no argument: sets key to "on" */
    OPT_FILE_ONLY = 1u << 4, /* exists in files alone (cpudef, machine-type) */
    OPT_ACTION = 1u << 5,    /* acts at once or steers parsing: -h, -readconfig, -nodefconfig */
};

typedef struct OptSchema {
    const char *group;           /* file section, e.g. "device", "smp-opts" */
    const char *group_synonym;   /* e.g. "smp"; or NULL */
    const char *option;          /* command-line spelling without dash, NULL for OPT_FILE_ONLY */
    const char *const *aliases;  /* other command-line spellings, NULL-terminated, or NULL */
    const char *implied_key;     /* key of a first argument without '=' */
    uint32_t flags;
    const OptKey *keys;          /* ends with name == NULL */
    const char *arg_help;        /* "type=NAME[,accel=…]" for -help */
    const char *help;            /* one line for -help */
    const char *section;         /* heading of -help and the manual */
    bool in_short_help;
    /* Checks a complete group beyond key types; may be NULL. */
    bool (*validate)(const ConfigGroup *group, Diag *diag);
} OptSchema;

#define OPTION_SCHEMA(row) REGISTRY_ADD(option_schema, OptSchema, row)

#endif
