/* SPDX-License-Identifier: GPL-2.0-or-later */
/* -help, --version, -readconfig help and -OPTION help: all text comes from the schema rows. */
#include <string.h>

#include "qemu-config/internal.h"

#define HELP_COLUMN 34

static void append_two_columns(GString *out, const char *left, const char *right)
{
    int width = g_utf8_strlen(left, -1);
    g_string_append(out, left);
    if (width >= HELP_COLUMN) {
        g_string_append_c(out, '\n');
        width = 0;
    }
    g_string_append_printf(out, "%*s%s\n", HELP_COLUMN - width, "", right ? right : "");
}

static void append_option(GString *out, const OptSchema *row)
{
    g_autofree char *left = g_strdup_printf("  -%s %s", row->option,
                                            row->arg_help ? row->arg_help
                                            : row->flags & OPT_FLAG ? "" : "VALUE");
    append_two_columns(out, left, row->help);
}

static char *key_type(const OptKey *key)
{
    return key->type == OPT_ENUM ? g_strjoinv("|", (char **)key->choices)
                                 : g_strdup(opt_type_name(key->type));
}

static void append_key(GString *out, const OptKey *key)
{
    g_autofree char *type = key_type(key);
    g_autofree char *left = g_strdup_printf("    %s = %s", key->name, type);
    g_autofree char *right = key->def ? g_strdup_printf("%s (default: %s)", key->help, key->def)
                                      : g_strdup(key->help);
    append_two_columns(out, left, right);
}

static void append_row(GString *out, const OptSchema *row)
{
    if (row->option) {
        append_option(out, row);
    }
    for (const char *const *alias = row->aliases; alias && *alias; alias++) {
        g_string_append_printf(out, "  -%s  (the same)\n", *alias);
    }
    for (const OptKey *key = row->keys; key && key->name; key++) {
        append_key(out, key);
    }
}

static void append_intro(GString *out)
{
    const char *program = g_get_prgname();
    g_string_append_printf(out, "usage: %s [options]\n", program ? program
                                                                 : "tessera-system-x86_64");
}

static char *list_options(bool all)
{
    GString *out = g_string_new(NULL);
    const GPtrArray *rows = schema_rows();
    const char *section = NULL;
    append_intro(out);
    for (unsigned i = 0; i < rows->len; i++) {
        const OptSchema *row = rows->pdata[i];
        if (!row->option || !(all || row->in_short_help)) {
            continue;
        }
        if (g_strcmp0(section, row->section)) {
            g_string_append_printf(out, "\n%s\n", row->section);
            section = row->section;
        }
        append_option(out, row);
    }
    g_string_append(out, all ? "\n-help OPTION shows the keys of one option.\n"
                             : "\n-help all lists every option, -help OPTION shows its keys.\n");
    return g_string_free(out, FALSE);
}

static char *list_groups(void)
{
    GString *out = g_string_new("groups of a configuration file:\n");
    for (unsigned i = 0; i < schema_group_count(); i++) {
        const GroupInfo *info = schema_group_at(i);
        const OptSchema *row = info->first;
        g_autofree char *left = g_strdup_printf("  [%s%s]", info->name,
                                                info->flags & OPT_MERGE ? "" : " \"NAME\"");
        append_two_columns(out, left, info->rows->len > 1 ? "options that are no groups"
                                                          : row->help);
    }
    return g_string_free(out, FALSE);
}

static char *show_group(const GroupInfo *info)
{
    GString *out = g_string_new(NULL);
    g_string_append_printf(out, "[%s]\n", info->name);
    for (unsigned i = 0; i < info->rows->len; i++) {
        const OptSchema *row = info->rows->pdata[i];
        for (const OptKey *key = row->keys; key && key->name; key++) {
            append_key(out, key);
        }
    }
    if (info->flags & OPT_OPEN_KEYS) {
        g_string_append(out, "    (and others, checked by what the group describes)\n");
    }
    return g_string_free(out, FALSE);
}

static char *show_topic(const char *topic, Diag *diag)
{
    const char *name = topic + strspn(topic, "-");
    if (!strcmp(name, "all")) {
        return list_options(true);
    }
    if (!strcmp(name, "groups")) {
        return list_groups();
    }
    const OptSchema *row = schema_find_option(name);
    if (row) {
        GString *out = g_string_new(NULL);
        append_row(out, row);
        return g_string_free(out, FALSE);
    }
    const GroupInfo *info = schema_group_info(name);
    if (info) {
        return show_group(info);
    }
    diag_error(diag, NULL, "no help on '%s': there is no such option or group", topic);
    const char *nearest = diag_nearest(name, schema_option_names());
    if (nearest) {
        diag_note(diag, NULL, "did you mean '%s'?", nearest);
    }
    return NULL;
}

char *config_help(const Config *config, Diag *diag)
{
    if (config->version_wanted) {
        return g_strdup("Tessera emulator version " TESSERA_VERSION "\n");
    }
    if (config->help_wanted) {
        return config->help_topic ? show_topic(config->help_topic, diag) : list_options(false);
    }
    const OptSchema *row = config->list_help;
    if (!row) {
        return NULL;
    }
    if (row->list_help) {
        return row->list_help(config, config->list_help_topic);
    }
    return show_topic(row->option, diag);
}
