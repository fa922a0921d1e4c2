/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The schema: one row per option, beside the subsystem that owns it. The command line, the file
 * form, introspection, -help and the manual all come from these rows.
 */
#ifndef QEMU_CONFIG_SCHEMA_H
#define QEMU_CONFIG_SCHEMA_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "util/registry.h"

typedef struct Config Config;
typedef struct ConfigGroup ConfigGroup;
typedef struct Diag Diag;
typedef struct Origin Origin;

typedef enum {
    OPT_STRING,
    OPT_BOOL,
    OPT_INT,
    OPT_UINT,
    OPT_SIZE,    /* bytes; a bare number counts OptKey.unit bytes, suffixes B K M G T P E */
    OPT_ENUM,
    OPT_STRINGS, /* may be given several times; each adds */
} OptType;

typedef struct OptKey {
    const char *name;
    OptType type;
    const char *help;           /* one line */
    const char *def;            /* default as text, for help and -explain; may be NULL */
    const char *const *choices; /* OPT_ENUM: NULL-terminated */
    int64_t min, max;           /* numbers: accepted range when min != max */
    const char *synonym;        /* older spelling of the key, or NULL */
    uint64_t unit;              /* OPT_SIZE: bytes that a number without suffix counts; 0 is 1 */
} OptKey;

enum {
    OPT_MERGE = 1u << 0,      /* repeated options add to one unnamed group (-machine, -smp, -m) */
    OPT_OPEN_KEYS = 1u << 1,  /* keys are checked later against another table (-device, -global) */
    OPT_NEED_ID = 1u << 2,    /* groups must have an id (-chardev, -netdev) */
    OPT_FLAG = 1u << 3,       /* the option takes no argument: sets implied_key to "on" */
    OPT_FILE_ONLY = 1u << 4,  /* exists in files alone (cpudef, machine-type) */
    OPT_ACTION = 1u << 5,     /* steers this run only: not written by -explain and -writeconfig */
    OPT_RAW = 1u << 6,        /* the whole argument is the value of implied_key: -kernel, -serial */
    OPT_PLUS_MINUS = 1u << 7, /* +key and -key are key=on and key=off (-cpu) */
    OPT_SCOPE = 1u << 8,      /* groups that follow it in its file belong to it (machine-type) */
    OPT_REPLACE = 1u << 9,    /* the same id in a later layer replaces, with a warning (cpudef) */
    OPT_TRIPLE = 1u << 10,    /* driver=, property=, value= are driver.property=value (-global) */
    OPT_MAY_ARG = 1u << 11,   /* OPT_FLAG that takes an argument if one follows (-help) */
};

/*
 * Several rows may share one group, each with its own option and keys: [system] gathers every
 * option that is not a group of its own. Flags other than OPT_FLAG, OPT_RAW, OPT_ACTION must then
 * agree. Of OPT_SCOPE rows this room reads the keys "base_machine" (what is inherited) and "alias"
 * (further names).
 */
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
    const char *example;         /* a valid argument, for the tests; NAME,key=value… if FILE_ONLY */
    const char *id_key;          /* key that gives the id; NULL is "id" */
    /*
     * OPT_ACTION options that make no group: does what the option says. @arg is NULL for OPT_FLAG.
     * Mistakes go to @diag at @origin.
     */
    void (*act)(Config *config, const char *arg, const Origin *origin, Diag *diag);
    /* Checks a complete group beyond key types; may be NULL. */
    bool (*validate)(const ConfigGroup *group, Diag *diag);
    /*
     * Answers "-option help" and "-option NAME,help" (@topic is NAME, or NULL) in a string to
     * print, after all layers are loaded. NULL: the keys of this row are listed.
     */
    char *(*list_help)(const Config *config, const char *topic);
} OptSchema;

#define OPTION_SCHEMA(row) REGISTRY_ADD(option_schema, OptSchema, row)

/* Headings of -help. */
#define OPT_SECTION_MACHINE "Machine"
#define OPT_SECTION_BOOT "Boot and firmware"
#define OPT_SECTION_DEVICES "Devices and back ends"
#define OPT_SECTION_DISPLAY "Display"
#define OPT_SECTION_CONFIG "Configuration"
#define OPT_SECTION_RUN "Running"
#define OPT_SECTION_DEBUG "Debugging"

/*
 * A row of the group [system] for one option: -OPTION ARG (flags OPT_MERGE | OPT_RAW) or -OPTION
 * (flags OPT_MERGE | OPT_FLAG). @var names the C objects; the rest are OptSchema's further fields.
 */
#define SYSTEM_OPTION(var, name_, type_, help_, ...)                                               \
    static const OptKey var##_keys[] = {{.name = name_, .type = type_, .help = help_}, {0}};       \
    static const OptSchema var = {                                                                 \
        .group = "system",                                                                         \
        .option = name_,                                                                           \
        .implied_key = name_,                                                                      \
        .keys = var##_keys,                                                                        \
        .help = help_,                                                                             \
        __VA_ARGS__                                                                                \
    };                                                                                             \
    OPTION_SCHEMA(var)

/* All rows, sorted by option name within section; of const OptSchema*, owned by the callee. */
const GPtrArray *schema_rows(void);
/* The (first) row of @group or of its synonym, or NULL. */
const OptSchema *schema_find_group(const char *group);
/* The row whose option or alias is @option (no dashes), or NULL. */
const OptSchema *schema_find_option(const char *option);
/* The key @name (or synonym) in any row of @group, or NULL. */
const OptKey *schema_find_key(const char *group, const char *name);
/* "text", "on|off", "number", … for help and introspection. */
const char *opt_type_name(OptType type);

/* Text to value; false on malformed text or overflow. Without suffix a size counts @unit. */
bool opt_parse_bool(const char *text, bool *out);
bool opt_parse_int(const char *text, int64_t *out);
bool opt_parse_uint(const char *text, uint64_t *out);
bool opt_parse_size(const char *text, uint64_t unit, uint64_t *out);

#endif
