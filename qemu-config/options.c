/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The options of this room: those that say what configuration is read and shown. */
#include <string.h>

#include "qemu-config/internal.h"

/* ---- Actions ---- */

static void act_help(Config *config, const char *arg, const Origin *origin, Diag *diag)
{
    config->help_wanted = true;
    g_free(config->help_topic);
    config->help_topic = g_strdup(arg);
}

static void act_help_all(Config *config, const char *arg, const Origin *origin, Diag *diag)
{
    act_help(config, "all", origin, diag);
}

static void act_version(Config *config, const char *arg, const Origin *origin, Diag *diag)
{
    config->version_wanted = true;
}

static void act_readconfig(Config *config, const char *arg, const Origin *origin, Diag *diag)
{
    if (!strcmp(arg, "help") || !strcmp(arg, "?")) {
        act_help(config, "groups", origin, diag);
    } else if (g_str_has_prefix(arg, "help,")) {
        act_help(config, arg + strlen("help,"), origin, diag);
    } else {
        QueuedFile file = {.path = arg, .origin = origin};
        g_array_append_val(config->queued, file);
    }
}

static void act_define(Config *config, const char *arg, const Origin *origin, Diag *diag)
{
    const char *equals = strchr(arg, '=');
    size_t length = equals ? equals - arg : 0;
    size_t good = strspn(arg, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.");
    if (!length || good != length) {
        diag_error(diag, origin, "-define expects NAME=VALUE");
        return;
    }
    g_hash_table_replace(config->defines, g_strndup(arg, length), g_strdup(equals + 1));
}

/* The row and id of "group.id.key=value" or, for a group without ids, "group.key=value". */
static const GroupInfo *split_setting(const char *arg, const char **id, size_t *id_length,
                                      const char **key, const char **equals)
{
    size_t group_length = strcspn(arg, ".=");
    g_autofree char *name = g_strndup(arg, group_length);
    const GroupInfo *info = schema_group_info(name);
    const char *rest = arg + group_length + 1;
    *equals = strchr(arg, '=');
    if (arg[group_length] != '.' || !*equals || !info) {
        return NULL;
    }
    *id = NULL;
    *id_length = 0;
    if (!(info->flags & OPT_MERGE)) {
        *id = rest;
        *id_length = strcspn(rest, ".=");
        if (!*id_length || rest[*id_length] != '.') {
            return NULL;
        }
        rest += *id_length + 1;
    }
    *key = rest;
    return *equals > rest ? info : NULL;
}

static void act_set(Config *config, const char *arg, const Origin *origin, Diag *diag)
{
    const char *id, *key, *equals;
    size_t id_length;
    const GroupInfo *info = split_setting(arg, &id, &id_length, &key, &equals);
    if (!info || (info->flags & OPT_SCOPE)) {
        diag_error(diag, origin, "-set expects GROUP.ID.KEY=VALUE");
        return;
    }
    ConfigSource *source = config->command_line;
    const Origin *key_origin = source_arg_origin(source, origin->option, origin->arg, key - arg,
                                                 equals - key);
    const Origin *value_origin = source_arg_origin(source, origin->option, origin->arg,
                                                   equals + 1 - arg, MAX(strlen(equals + 1), 1));
    StanzaBuilder builder;
    builder_init(&builder, source, diag);
    builder_open(&builder, info->first, origin);
    builder.id = id ? arena_strndup(&source->arena, id, id_length) : NULL;
    g_autofree char *name = g_strndup(key, equals - key);
    if (builder_add_text(&builder, name, equals + 1, key_origin, value_origin)) {
        Stanza *stanza = builder_close(&builder);
        stanza->amend = true;
        g_ptr_array_add(config->layers[LAYER_CMDLINE], stanza);
    }
    builder_clear(&builder);
}

#define ACTION_OPTION(var, name_, flags_, act_, help_, ...)                                        \
    static const OptSchema var = {                                                                 \
        .option = name_,                                                                           \
        .flags = OPT_ACTION | (flags_),                                                            \
        .act = act_,                                                                               \
        .help = help_,                                                                             \
        .section = OPT_SECTION_CONFIG,                                                             \
        .in_short_help = true,                                                                     \
        __VA_ARGS__                                                                                \
    };                                                                                             \
    OPTION_SCHEMA(var)

static const char *const help_aliases[] = {"h", NULL};
ACTION_OPTION(help_option, "help", OPT_FLAG | OPT_MAY_ARG, act_help,
              "this list; with all every option, with a name its keys", .aliases = help_aliases,
              .arg_help = "[all|OPTION|GROUP]");
ACTION_OPTION(help_all_option, "help-all", OPT_FLAG, act_help_all, "every option");
ACTION_OPTION(version_option, "version", OPT_FLAG, act_version, "print the version");
ACTION_OPTION(readconfig_option, "readconfig", OPT_RAW, act_readconfig,
              "read a configuration file; '-' is standard input, 'help' lists groups",
              .arg_help = "FILE");
ACTION_OPTION(define_option, "define", OPT_RAW, act_define,
              "a variable for configuration files: ${NAME}", .arg_help = "NAME=VALUE");
ACTION_OPTION(set_option, "set", OPT_RAW, act_set,
              "set a key of a group that a file or another option defines",
              .arg_help = "GROUP.ID.KEY=VALUE");

/* ---- Keys of [system] ---- */

SYSTEM_OPTION(check_option, "check", OPT_BOOL, "check the configuration and start nothing",
              .flags = OPT_MERGE | OPT_FLAG | OPT_ACTION, .section = OPT_SECTION_CONFIG,
              .in_short_help = true);
SYSTEM_OPTION(explain_option, "explain", OPT_BOOL,
              "print the effective machine with the origin of every key",
              .flags = OPT_MERGE | OPT_FLAG | OPT_ACTION, .section = OPT_SECTION_CONFIG,
              .in_short_help = true);
SYSTEM_OPTION(writeconfig_option, "writeconfig", OPT_STRING,
              "write what the user configured; '-' is standard output",
              .flags = OPT_MERGE | OPT_RAW | OPT_ACTION, .section = OPT_SECTION_CONFIG,
              .arg_help = "FILE", .example = "out.conf", .in_short_help = true);
static const char *const nodefconfig_aliases[] = {"no-user-config", NULL};
SYSTEM_OPTION(nodefconfig_option, "nodefconfig", OPT_BOOL,
              "do not read the user configuration of this host",
              .flags = OPT_MERGE | OPT_FLAG, .aliases = nodefconfig_aliases,
              .section = OPT_SECTION_CONFIG, .in_short_help = true);
SYSTEM_OPTION(nodefaults_option, "nodefaults", OPT_BOOL, "leave out the machine's default devices",
              .flags = OPT_MERGE | OPT_FLAG, .section = OPT_SECTION_CONFIG, .in_short_help = true);
SYSTEM_OPTION(data_dir_option, "L", OPT_STRINGS,
              "look in DIR first for machines, CPU models and firmware; an empty DIR alone"
              " hides the installed ones",
              .flags = OPT_MERGE | OPT_RAW, .section = OPT_SECTION_CONFIG, .arg_help = "DIR",
              .example = "/opt/tessera/share", .in_short_help = true);

/* ---- Passed descriptors ---- */

static const OptKey add_fd_keys[] = {
    {.name = "fd", .type = OPT_UINT, .help = "descriptor inherited from the caller", .min = 3,
     .max = INT32_MAX},
    {.name = "set", .type = OPT_UINT, .help = "number N of /dev/fdset/N", .min = 0,
     .max = INT32_MAX},
    {.name = "opaque", .type = OPT_STRING, .help = "free text of the caller"},
    {0},
};

static bool add_fd_validate(const ConfigGroup *group, Diag *diag)
{
    if (group_get(group, "fd") && group_get(group, "set")) {
        return true;
    }
    diag_error(diag, group->origin, "-add-fd needs fd= and set=");
    return false;
}

static const OptSchema add_fd_option = {
    .group = "add-fd",
    .option = "add-fd",
    .keys = add_fd_keys,
    .arg_help = "fd=FD,set=N[,opaque=TEXT]",
    .help = "pass an open descriptor as /dev/fdset/N, for -readconfig",
    .section = OPT_SECTION_RUN,
    .example = "fd=9,set=2,opaque=log",
    .validate = add_fd_validate,
};
OPTION_SCHEMA(add_fd_option);
