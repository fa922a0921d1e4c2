/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Groups as files: -explain (the effective machine) and -writeconfig (what the user said). */
#include <string.h>

#include "qemu-config/internal.h"

typedef enum {
    WRITE_ORIGINS = 1u << 0,  /* a comment behind each key */
    WRITE_DROPS = 1u << 1,    /* drops as well */
    WRITE_FLAT = 1u << 2,     /* what is inherited is written: no base is named */
} WriteFlags;

static void append_quoted(GString *out, const char *text)
{
    g_string_append_c(out, '"');
    for (const char *p = text; *p; p++) {
        switch (*p) {
        case '"':
        case '\\':
            g_string_append_printf(out, "\\%c", *p);
            break;
        case '\n':
            g_string_append(out, "\\n");
            break;
        case '\t':
            g_string_append(out, "\\t");
            break;
        case '$':
            g_string_append(out, p[1] == '{' ? "\\$" : "$");
            break;
        default:
            if ((unsigned char)*p < 0x20) {
                g_string_append_printf(out, "\\x%02x", *p);
            } else {
                g_string_append_c(out, *p);
            }
        }
    }
    g_string_append_c(out, '"');
}

/* True for values that the grammar takes without quotes and that mean a number or a switch. */
static bool may_be_bare(const OptKey *key, const char *text)
{
    bool on;
    uint64_t number;
    if (key && key->type != OPT_BOOL && key->type != OPT_UINT && key->type != OPT_SIZE &&
        key->type != OPT_INT) {
        return false;
    }
    return opt_parse_bool(text, &on) || opt_parse_size(text, 1, &number);
}

static void append_value(GString *out, const OptKey *key, const char *text)
{
    if (may_be_bare(key, text)) {
        g_string_append(out, text);
    } else {
        append_quoted(out, text);
    }
}

/* A comment ends with its line: values quoted in it must not bring one of their own. */
static void append_comment_text(GString *out, const char *text)
{
    for (const char *p = text; *p; p++) {
        g_string_append_c(out, *p == '\n' || *p == '\r' ? ' ' : *p);
    }
}

static void append_origins(GString *out, const ConfigValue *value)
{
    g_string_append(out, "  # ");
    append_comment_text(out, origin_describe(value->origin));
    for (const ConfigValue *old = value->overrides; old; old = old->overrides) {
        g_string_append(out, "; overrides ");
        append_comment_text(out, old->value ? old->value : "nothing");
        g_string_append(out, " of ");
        append_comment_text(out, origin_describe(old->origin));
    }
}

static void append_header(GString *out, const char *dash, const char *name, const char *id)
{
    g_string_append_printf(out, "[%s%s", dash, name);
    if (id) {
        g_string_append_c(out, ' ');
        append_quoted(out, id);
    }
    g_string_append_c(out, ']');
}

static bool is_action(const OptKey *key, const GroupInfo *info)
{
    for (unsigned i = 0; i < info->rows->len; i++) {
        const OptSchema *row = info->rows->pdata[i];
        for (const OptKey *at = row->keys; (row->flags & OPT_ACTION) && at->name; at++) {
            if (at == key) {
                return true;
            }
        }
    }
    return false;
}

static void append_key(GString *out, const GroupInfo *info, const ConfigValue *value,
                       const char *text, WriteFlags flags)
{
    const OptKey *key = g_hash_table_lookup(info->keys, value->key);
    bool base = (flags & WRITE_FLAT) && !strcmp(value->key, SCOPE_BASE_KEY);
    if (base || (key && is_action(key, info))) {
        return;
    }
    if (!text) {
        if (flags & WRITE_DROPS) {
            g_string_append_printf(out, "  -%s\n", value->key);
        }
        return;
    }
    g_string_append_printf(out, "  %s = ", value->key);
    append_value(out, key, text);
    if (flags & WRITE_ORIGINS) {
        append_origins(out, value);
    }
    g_string_append_c(out, '\n');
}

/* @type_name: what to write for the key that selects the machine type; NULL: as it stands. */
static void append_group(GString *out, const ConfigGroup *group, WriteFlags flags,
                         const char *type_name)
{
    const GroupInfo *info = schema_info_of(group->schema);
    if (group->drops && (flags & WRITE_DROPS)) {
        append_header(out, "-", info->name, group->id);
        g_string_append(out, "\n");
        if (!group->defined) {
            return;
        }
    }
    append_header(out, "", info->name, group->id);
    if (flags & WRITE_ORIGINS) {
        g_string_append(out, "  # ");
        append_comment_text(out, origin_describe(group->origin));
    }
    g_string_append_c(out, '\n');
    for (unsigned i = 0; i < group->values->len; i++) {
        const ConfigValue *value = group->values->pdata[i];
        bool names_type = type_name && !strcmp(value->key, MACHINE_TYPE_KEY);
        append_key(out, info, value, names_type ? type_name : value->value, flags);
    }
}

void write_group(GString *out, const ConfigGroup *group)
{
    append_group(out, group, 0, NULL);
}

/* ---- -explain ---- */

/* Groups of kinds that the machine type has are written behind its header, all others before. */
static bool belongs_to_machine(const Config *config, const ConfigGroup *group)
{
    const GroupInfo *info = schema_info_of(group->schema);
    const GPtrArray *groups = config->merged->lists[info->index].groups;
    if (info->flags & (OPT_MERGE | OPT_REPLACE)) {
        return false;
    }
    for (unsigned i = 0; i < groups->len; i++) {
        if (((ConfigGroup *)groups->pdata[i])->first_layer == LAYER_HARDWARE) {
            return true;
        }
    }
    return false;
}

/* CPU models that are shipped are found again; those of the user must be in the file. */
static bool is_shipped_definition(const ConfigGroup *group)
{
    return (group->schema->flags & OPT_REPLACE) && group->layer == LAYER_HARDWARE;
}

/*
 * What the file must say to stand for itself: the machine type where none was named, and that the
 * user layer, whose groups are all in it, is not read again.
 */
static void explain_missing(GString *out, const Config *config, const char *group, const char *key,
                            const char *value)
{
    if (!config_get(config, group, key)) {
        bool open = config_find(config, group, NULL) != NULL;
        if (!open) {
            g_string_append_printf(out, "[%s]\n", group);
        }
        g_string_append_printf(out, "  %s = %s  # for this file to stand for itself\n%s", key,
                               value, open ? "" : "\n");
    }
}

static void explain_own(GString *out, const Config *config, const char *group)
{
    g_autofree char *type = config->machine ? g_strdup_printf("\"%s\"", config->machine->id)
                                            : NULL;
    if (type && !strcmp(group, MACHINE_GROUP)) {
        explain_missing(out, config, group, MACHINE_TYPE_KEY, type);
    } else if (!strcmp(group, "system")) {
        explain_missing(out, config, group, "nodefconfig", "on");
    }
}

static void explain_groups(GString *out, const Config *config, bool of_machine)
{
    const char *name = config->machine ? config->machine->id : NULL;
    for (unsigned i = 0; i < config->merged->groups->len; i++) {
        const ConfigGroup *group = config->merged->groups->pdata[i];
        if (belongs_to_machine(config, group) != of_machine || is_shipped_definition(group)) {
            continue;
        }
        bool selects = !strcmp(group->schema->group, MACHINE_GROUP);
        append_group(out, group, WRITE_ORIGINS, selects ? name : NULL);
        explain_own(out, config, group->schema->group);
        g_string_append_c(out, '\n');
    }
}

static void explain_absent(GString *out, const Config *config)
{
    static const char *const groups[] = {"system", MACHINE_GROUP};
    for (unsigned i = 0; i < G_N_ELEMENTS(groups); i++) {
        if (!config_find(config, groups[i], NULL)) {
            explain_own(out, config, groups[i]);
        }
    }
}

char *config_explain(const Config *config)
{
    GString *out = g_string_new("# The effective machine. To run it again: "
                                "-readconfig THIS-FILE\n\n");
    explain_absent(out, config);
    explain_groups(out, config, false);
    if (config->machine) {
        append_group(out, config->machine, WRITE_ORIGINS | WRITE_FLAT, NULL);
        g_string_append_c(out, '\n');
        explain_groups(out, config, true);
    }
    for (unsigned i = 0; i < config->merged->dropped->len; i++) {
        g_string_append(out, "# ");
        append_comment_text(out, config->merged->dropped->pdata[i]);
        g_string_append_c(out, '\n');
    }
    return g_string_free(out, FALSE);
}

/* ---- -writeconfig ---- */

static void write_merged(GString *out, const Merged *merged)
{
    for (unsigned i = 0; i < merged->groups->len; i++) {
        append_group(out, merged->groups->pdata[i], WRITE_DROPS, NULL);
        g_string_append_c(out, '\n');
    }
}

/* Machine types of the user come last: what follows a header belongs to it. */
static void write_types(GString *out, const Config *config, Diag *diag)
{
    for (unsigned i = 0; i < config->types->len; i++) {
        const MachineType *type = config->types->pdata[i];
        if (type->layer == LAYER_HARDWARE || type->selected_by_path) {
            continue;
        }
        Merged *merged = merged_new();
        merged_apply(merged, config, type->headers, MERGE_KEEP_DROPS, diag);
        merged_apply(merged, config, type->stanzas, MERGE_KEEP_DROPS, diag);
        write_merged(out, merged);
        merged_free(merged);
    }
}

char *config_write(const Config *config)
{
    GString *out = g_string_new(NULL);
    Merged *merged = merged_new();
    g_autoptr(Diag) diag = diag_new();
    for (unsigned layer = LAYER_USER; layer <= LAYER_QMP; layer++) {
        merged_apply(merged, config, config->layers[layer], MERGE_KEEP_DROPS, diag);
    }
    write_merged(out, merged);
    for (unsigned i = 0; i < config->merged->groups->len; i++) {
        const ConfigGroup *group = config->merged->groups->pdata[i];
        if (group->first_layer == LAYER_QMP) {
            append_group(out, group, 0, NULL);
            g_string_append_c(out, '\n');
        }
    }
    write_types(out, config, diag);
    merged_free(merged);
    return g_string_free(out, FALSE);
}
