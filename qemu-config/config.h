/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The configuration: groups of key=value, each value with its origin, gathered in layers from
 * files, the command line and QMP. This room knows options only through schema rows; it names no
 * device.
 *
 * A run goes: config_new, config_parse_command_line, config_load_layers, config_help,
 * config_select_machine, (subsystems add default groups), config_settle, config_validate, then
 * reading. Groups are rebuilt by config_load_layers and config_select_machine: do not keep pointers
 * across these two.
 */
#ifndef QEMU_CONFIG_CONFIG_H
#define QEMU_CONFIG_CONFIG_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "qemu-config/diag.h"
#include "qemu-config/schema.h"

typedef struct ConfigValue ConfigValue;

/* One key of a group. Values are kept as text; typed readers convert and complain with origin. */
struct ConfigValue {
    const char *key;
    const char *value;
    const Origin *origin;   /* owned by the Config; NULL for values that a subsystem added */
    const Origin *key_origin; /* where the key is written: for mistakes about the key itself */
    ConfigValue *overrides; /* what an earlier layer said, or NULL */
};

typedef enum {
    LAYER_HARDWARE, /* <datadir>: always loaded */
    LAYER_USER,     /* <sysconfdir>: skipped by -nodefconfig */
    LAYER_FILES,    /* -readconfig */
    LAYER_CMDLINE,
    LAYER_QMP,
} ConfigLayer;

struct ConfigGroup {
    const OptSchema *schema; /* the row that admits this group */
    const char *id;          /* NULL for unnamed groups */
    GPtrArray *values;       /* of ConfigValue*, in order of first appearance */
    const Origin *origin;    /* where the group was first opened */
    ConfigLayer layer;       /* of the last contribution */
    ConfigLayer first_layer; /* where the group was first opened */
    ConfigGroup *shadows; /* OPT_REPLACE: the group of the same id that this one hides, or NULL */
    bool broken;             /* a mistake in it was reported: validate functions are not called */
    bool drops, defined;     /* for -writeconfig: begins with [-GROUP], has a definition */
};

/* A configuration with every row of the schema and nothing said yet. */
Config *config_new(void);
void config_free(Config *config);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Config, config_free)

/* ---- Loading ---- */

/*
 * Reads the command line, -readconfig files included, in order. @argv must outlive the Config.
 * Every mistake goes to @diag; false if there was one. Touches nothing on the host.
 */
bool config_parse_command_line(Config *config, int argc, char **argv, Diag *diag);
/* Loads the hardware description and, unless -nodefconfig, the user layer; then merges all. */
bool config_load_layers(Config *config, Diag *diag);
/* Reads one more file into @layer ("-" is standard input). Call config_load_layers afterwards. */
bool config_load_file(Config *config, const char *path, ConfigLayer layer, Diag *diag);
/* The same from memory; @name stands for the file name in diagnostics. */
bool config_load_text(Config *config, const char *name, const char *text, size_t length,
                      ConfigLayer layer, Diag *diag);

/* ---- Machine types ---- */

/* The [machine-type] headers known (later layers first shadow earlier), of ConfigGroup*, sorted. */
GPtrArray *config_machine_types(const Config *config);
/*
 * Puts the groups of a machine type under those of the user: the chain of base_machine first. A
 * name with a '/' or ending in ".conf" is a path. Returns the header, with what it inherits, or
 * NULL after a diagnostic at @origin that lists the nearest names and the files searched. Mistakes
 * in merging (a drop that finds nothing) are reported too, and leave the header valid: look at
 * diag_errors().
 */
const ConfigGroup *config_select_machine(Config *config, const char *name_or_path,
                                         const Origin *origin, Diag *diag);
/* The header of the selected machine type, or NULL. */
const ConfigGroup *config_machine(const Config *config);
/*
 * Drops groups of the machine type that are not wanted: key default = on under -nodefaults, and
 * key needs = "ID" where no group of that id exists ("serial0"). Call after defaults were added.
 */
void config_settle(Config *config);
/* Calls the validate function of every group; false if one complained. */
bool config_validate(const Config *config, Diag *diag);

/* Files and directories looked at for the hardware description and user layers, of char*. */
const GPtrArray *config_files_searched(const Config *config);
/* Notes on the last report which files were searched. */
void config_note_searched(const Config *config, Diag *diag);
/* Directories of data: -L in order, then the installed or the source's; of char*. */
const GPtrArray *config_data_dirs(const Config *config);
/* Path of data file @name (firmware, option ROM) in the first directory that has it, or NULL. */
char *config_find_data_file(const Config *config, const char *name);

/* ---- Reading ---- */

/*
 * All groups of @type ("device", "cpudef"), in order; of ConfigGroup*, owned by the Config, never
 * NULL. Unknown @type is a programming error.
 */
GPtrArray *config_groups(const Config *config, const char *type);
/* Every group of any type in the order of its first appearance; of ConfigGroup*. */
GPtrArray *config_all_groups(const Config *config);
/* The group of @type with @id (NULL: the first unnamed one), or NULL. */
ConfigGroup *config_find(const Config *config, const char *type, const char *id);
/* Text of @key in the unnamed group of @type, or NULL: config_get(c, "system", "kernel"). */
const char *config_get(const Config *config, const char *type, const char *key);
/* True if the unnamed group of @type has @key and it is on: config_is_on(c, "system", "check"). */
bool config_is_on(const Config *config, const char *type, const char *key);

/* Text of @key or NULL. The key's schema synonyms are resolved. For OPT_STRINGS the last one. */
const char *group_get(const ConfigGroup *group, const char *key);
const ConfigValue *group_value(const ConfigGroup *group, const char *key);
/* Origin of @key, or of the group when the key is absent. */
const Origin *group_origin(const ConfigGroup *group, const char *key);
/*
 * Typed readers: leave *@out alone and return true when the key is absent; on a malformed or
 * out-of-range value report a diagnostic at the value's origin to @diag and return false.
 */
bool group_get_bool(const ConfigGroup *group, const char *key, bool *out, Diag *diag);
bool group_get_int(const ConfigGroup *group, const char *key, int64_t *out, Diag *diag);
bool group_get_uint(const ConfigGroup *group, const char *key, uint64_t *out, Diag *diag);
bool group_get_size(const ConfigGroup *group, const char *key, uint64_t *out, Diag *diag);

/* ---- Adding (defaults of subsystems, QMP) ---- */

/* Appends a group; @id NULL for an unnamed one. NULL if @type already has @id. */
ConfigGroup *config_add_group(Config *config, const char *type, const char *id,
                              const Origin *origin, ConfigLayer layer);
/* Sets @key, keeping what it overrides. Key and value are copied; @origin may be NULL. */
void group_set(Config *config, ConfigGroup *group, const char *key, const char *value,
               const Origin *origin);
/* Names an unnamed group; false if it has another name or the name is taken. */
bool config_name_group(Config *config, ConfigGroup *group, const char *id);
/* Takes @group out and frees it (device_del). */
void config_remove_group(Config *config, ConfigGroup *group);

/* ---- Showing ---- */

/* The effective machine as a file that loads again, each key with its origin; g_free(). */
char *config_explain(const Config *config);
/* What the user configured, without the hardware description; g_free(). */
char *config_write(const Config *config);
/*
 * Text for -h, -help TOPIC, --version, -readconfig help, -device help…, or NULL if no help was
 * asked for; g_free(). With an unknown topic, a diagnostic and NULL.
 */
char *config_help(const Config *config, Diag *diag);

/* Duplicates a descriptor of -add-fd set N for "/dev/fdset/N", or opens @path; -1 and @error. */
int config_open_file(const Config *config, const char *path, int flags, GError **error);

#endif
