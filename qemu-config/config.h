/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The configuration: groups of key=value, each value with its origin, gathered in layers from files,
 * the command line and QMP. This room knows options only through schema rows; it names no device.
 */
#ifndef QEMU_CONFIG_CONFIG_H
#define QEMU_CONFIG_CONFIG_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "qemu-config/diag.h"
#include "qemu-config/schema.h"

typedef struct Config Config;
typedef struct ConfigGroup ConfigGroup;
typedef struct ConfigValue ConfigValue;

/* One key of a group. Values are kept as text; typed readers convert and complain with origin. */
struct ConfigValue {
    char *key;
    char *value;
    const Origin *origin;   /* owned by the Config; never NULL */
    ConfigValue *overrides; /* what an earlier layer said, or NULL */
};

struct ConfigGroup {
    const OptSchema *schema; /* the row that admits this group */
    char *id;                /* NULL for unnamed groups */
    GPtrArray *values;       /* of ConfigValue*, in order of first appearance */
    const Origin *origin;    /* where the group was first opened */
    unsigned layer;          /* ConfigLayer of the last contribution */
};

typedef enum {
    LAYER_HARDWARE, /* <datadir>: always loaded */
    LAYER_USER,     /* <sysconfdir>: skipped by -nodefconfig */
    LAYER_FILES,    /* -readconfig */
    LAYER_CMDLINE,
    LAYER_QMP,
} ConfigLayer;

/* All groups of schema group @type ("device", "cpudef"), in order; iterate with config_foreach. */
GPtrArray *config_groups(const Config *config, const char *type);
/* The group of @type with @id (NULL: the unnamed one), or NULL. */
ConfigGroup *config_find(const Config *config, const char *type, const char *id);

/* Text of @key or NULL. The key's schema synonyms are resolved. */
const char *group_get(const ConfigGroup *group, const char *key);
const ConfigValue *group_value(const ConfigGroup *group, const char *key);
/*
 * Typed readers: leave *@out alone and return true when the key is absent; on a malformed or
 * out-of-range value report a diagnostic at the value's origin to @diag and return false.
 */
bool group_get_bool(const ConfigGroup *group, const char *key, bool *out, Diag *diag);
bool group_get_uint(const ConfigGroup *group, const char *key, uint64_t *out, Diag *diag);
bool group_get_size(const ConfigGroup *group, const char *key, uint64_t *out, Diag *diag);

#endif
