/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Merging stanzas into effective groups, key by key, remembering what was overridden. */
#include <string.h>

#include "qemu-config/internal.h"

static void value_free(ConfigValue *value)
{
    while (value) {
        ConfigValue *next = value->overrides;
        g_free(value);
        value = next;
    }
}

void group_free(ConfigGroup *group)
{
    if (group) {
        group_free(group->shadows);
        g_ptr_array_unref(group->values);
        g_free(group);
    }
}

ConfigGroup *group_new(const OptSchema *schema, const char *id, const Origin *origin,
                       ConfigLayer layer)
{
    ConfigGroup *group = g_new0(ConfigGroup, 1);
    group->schema = schema;
    group->id = id;
    group->origin = origin;
    group->layer = group->first_layer = layer;
    group->values = g_ptr_array_new_with_free_func((GDestroyNotify)value_free);
    return group;
}

Merged *merged_new(void)
{
    Merged *merged = g_new0(Merged, 1);
    unsigned count = schema_group_count();
    merged->lists = g_new0(GroupList, count);
    for (unsigned i = 0; i < count; i++) {
        merged->lists[i].groups = g_ptr_array_new();
        merged->lists[i].by_id = g_hash_table_new(g_str_hash, g_str_equal);
    }
    merged->groups = g_ptr_array_new_with_free_func((GDestroyNotify)group_free);
    merged->dropped = g_ptr_array_new_with_free_func(g_free);
    return merged;
}

void merged_free(Merged *merged)
{
    if (!merged) {
        return;
    }
    for (unsigned i = 0; i < schema_group_count(); i++) {
        g_ptr_array_unref(merged->lists[i].groups);
        g_hash_table_unref(merged->lists[i].by_id);
    }
    g_free(merged->lists);
    g_ptr_array_unref(merged->groups);
    g_ptr_array_unref(merged->dropped);
    g_free(merged);
}

static GroupList *list_of(Merged *merged, const GroupInfo *info)
{
    return &merged->lists[info->index];
}

static ConfigGroup *merged_find(Merged *merged, const GroupInfo *info, const char *id)
{
    GroupList *list = list_of(merged, info);
    if (id) {
        return g_hash_table_lookup(list->by_id, id);
    }
    bool single = (info->flags & OPT_MERGE) && list->groups->len;
    return single ? list->groups->pdata[0] : NULL;
}

ConfigGroup *merged_add(Merged *merged, const GroupInfo *info, const OptSchema *schema,
                        const char *id, const Origin *origin, ConfigLayer layer)
{
    GroupList *list = list_of(merged, info);
    ConfigGroup *group = group_new(schema, id, origin, layer);
    g_ptr_array_add(list->groups, group);
    g_ptr_array_add(merged->groups, group);
    if (id) {
        g_hash_table_insert(list->by_id, (char *)id, group);
    }
    return group;
}

void merged_remove(Merged *merged, ConfigGroup *group)
{
    GroupList *list = list_of(merged, schema_info_of(group->schema));
    if (group->id) {
        g_hash_table_remove(list->by_id, group->id);
    }
    g_ptr_array_remove(list->groups, group);
    g_ptr_array_remove(merged->groups, group);
}

static int value_index(const ConfigGroup *group, const char *key)
{
    for (unsigned i = 0; i < group->values->len; i++) {
        const ConfigValue *value = group->values->pdata[i];
        if (value->key == key || !strcmp(value->key, key)) {
            return i;
        }
    }
    return -1;
}

void group_put(ConfigGroup *group, const Entry *entry)
{
    const GroupInfo *info = schema_info_of(group->schema);
    const OptKey *key = g_hash_table_lookup(info->keys, entry->key);
    bool adds = key && key->type == OPT_STRINGS;
    int at = adds ? -1 : value_index(group, entry->key);
    ConfigValue *value = g_new(ConfigValue, 1);
    *value = (ConfigValue){
        .key = entry->key,
        .value = entry->value,
        .origin = entry->origin,
        .key_origin = entry->key_origin,
    };
    if (at < 0) {
        g_ptr_array_add(group->values, value);
    } else {
        value->overrides = group->values->pdata[at];
        group->values->pdata[at] = value;
    }
}

/* True if hardware description or machine type say @key (NULL: anything) of the group. */
static bool hardware_has(const Config *config, const Stanza *stanza, const char *key)
{
    g_autoptr(GPtrArray) machine = config_machine_stanzas(config);
    const GPtrArray *places[] = {config->layers[LAYER_HARDWARE], machine};
    for (unsigned i = 0; i < G_N_ELEMENTS(places); i++) {
        for (unsigned j = 0; places[i] && j < places[i]->len; j++) {
            const Stanza *other = places[i]->pdata[j];
            if (other->info != stanza->info || g_strcmp0(other->id, stanza->id)) {
                continue;
            }
            for (unsigned k = 0; k < other->count; k++) {
                if (key && !strcmp(other->entries[k].key, key)) {
                    return true;
                }
            }
            if (!key) {
                return true;
            }
        }
    }
    return false;
}

/* A drop that finds nothing: in the user layer, which serves every machine, only a warning. */
G_GNUC_PRINTF(4, 5)
static void report_idle_drop(const Stanza *stanza, const Origin *origin, Diag *diag,
                             const char *format, ...)
{
    va_list args;
    va_start(args, format);
    g_autofree char *message = g_strdup_vprintf(format, args);
    va_end(args);
    if (stanza->layer == LAYER_USER) {
        diag_warning(diag, origin, "%s", message);
    } else {
        diag_error(diag, origin, "%s", message);
    }
}

static void suggest_key(const ConfigGroup *group, const char *word, Diag *diag)
{
    g_autoptr(GPtrArray) names = g_ptr_array_new();
    for (unsigned i = 0; i < group->values->len; i++) {
        g_ptr_array_add(names, (char *)((ConfigValue *)group->values->pdata[i])->key);
    }
    g_ptr_array_add(names, NULL);
    const char *nearest = diag_nearest(word, (const char *const *)names->pdata);
    if (nearest) {
        diag_note(diag, NULL, "did you mean '%s'?", nearest);
    }
}

static char *group_title(const GroupInfo *info, const char *id)
{
    return id ? g_strdup_printf("[%s \"%s\"]", info->name, id)
              : g_strdup_printf("[%s]", info->name);
}

static void note_drop(Merged *merged, const char *what, const Origin *set, const Origin *drop)
{
    g_autofree char *from = g_strdup(origin_describe(set));
    g_ptr_array_add(merged->dropped, g_strdup_printf("%s of %s is dropped by %s", what, from,
                                                     origin_describe(drop)));
}

static void drop_key(ConfigGroup *group, const Stanza *stanza, const Entry *entry, Merged *merged,
                     const Config *config, MergeFlags flags, Diag *diag)
{
    int at = value_index(group, entry->key);
    const GroupInfo *info = stanza->info;
    g_autofree char *title = group_title(info, stanza->id);
    if (at < 0 && !(flags & MERGE_KEEP_DROPS)) {
        if (flags & MERGE_FINAL) {
            report_idle_drop(stanza, entry->key_origin, diag, "%s has no '%s' to drop", title,
                             entry->key);
            suggest_key(group, entry->key, diag);
        }
        return;
    }
    if (at >= 0) {
        const ConfigValue *value = group->values->pdata[at];
        g_autofree char *what = g_strdup_printf("%s %s = \"%s\"", title, entry->key, value->value);
        note_drop(merged, what, value->origin, entry->origin);
        g_ptr_array_remove_index(group->values, at);
    }
    if ((flags & MERGE_KEEP_DROPS) && hardware_has(config, stanza, entry->key)) {
        group_put(group, entry);
    }
}

void group_merge(ConfigGroup *group, const Stanza *stanza, Merged *merged, const Config *config,
                 MergeFlags flags, Diag *diag)
{
    for (unsigned i = 0; i < stanza->count; i++) {
        const Entry *entry = &stanza->entries[i];
        if (entry->value) {
            group_put(group, entry);
        } else {
            drop_key(group, stanza, entry, merged, config, flags, diag);
        }
    }
}

static void suggest_id(Merged *merged, const Stanza *stanza, Diag *diag)
{
    g_autoptr(GPtrArray) names = g_ptr_array_new();
    GPtrArray *groups = list_of(merged, stanza->info)->groups;
    for (unsigned i = 0; i < groups->len; i++) {
        const ConfigGroup *group = groups->pdata[i];
        if (group->id) {
            g_ptr_array_add(names, (char *)group->id);
        }
    }
    g_ptr_array_add(names, NULL);
    if (stanza->id) {
        diag_suggest(diag, stanza->id, (const char *const *)names->pdata);
    }
}

static void apply_drop(Merged *merged, const Config *config, const Stanza *stanza,
                       MergeFlags flags, Diag *diag)
{
    ConfigGroup *group = merged_find(merged, stanza->info, stanza->id);
    g_autofree char *title = group_title(stanza->info, stanza->id);
    if (group) {
        note_drop(merged, title, group->origin, stanza->origin);
        merged_remove(merged, group);
    } else if (flags & MERGE_FINAL) {
        report_idle_drop(stanza, stanza->origin, diag, "there is no %s to drop", title);
        suggest_id(merged, stanza, diag);
    }
    if ((flags & MERGE_KEEP_DROPS) && hardware_has(config, stanza, NULL)) {
        group = merged_add(merged, stanza->info, stanza->schema, stanza->id, stanza->origin,
                           stanza->layer);
        group->drops = true;
    }
}

/* -set GROUP.ID.KEY=VALUE needs the group. */
static void report_missing(Merged *merged, const Stanza *stanza, Diag *diag)
{
    g_autofree char *title = group_title(stanza->info, stanza->id);
    diag_error(diag, stanza->origin, "there is no %s", title);
    suggest_id(merged, stanza, diag);
}

/* A definition of a later layer hides the earlier one instead of amending it. */
static ConfigGroup *replace_group(Merged *merged, ConfigGroup *old, Stanza *stanza, Diag *diag)
{
    GroupList *list = list_of(merged, stanza->info);
    ConfigGroup *group = group_new(stanza->schema, stanza->id, stanza->origin, stanza->layer);
    unsigned at = 0;
    if (!stanza->reported) {
        g_autofree char *title = group_title(stanza->info, stanza->id);
        diag_warning(diag, stanza->origin, "%s hides the one of %s", title,
                     origin_describe(old->origin));
        stanza->reported = true;
    }
    g_ptr_array_find(list->groups, old, &at);
    list->groups->pdata[at] = group;
    g_ptr_array_find(merged->groups, old, &at);
    merged->groups->pdata[at] = group;
    g_hash_table_insert(list->by_id, (char *)group->id, group);
    group->shadows = old;
    return group;
}

static void apply_stanza(Merged *merged, const Config *config, Stanza *stanza, MergeFlags flags,
                         Diag *diag)
{
    ConfigLayer layer = flags & MERGE_MACHINE ? LAYER_HARDWARE : stanza->layer;
    if (stanza->remove) {
        apply_drop(merged, config, stanza, flags, diag);
        return;
    }
    ConfigGroup *group = merged_find(merged, stanza->info, stanza->id);
    if (!group && stanza->amend && !(flags & MERGE_KEEP_DROPS)) {
        if (flags & MERGE_FINAL) {
            report_missing(merged, stanza, diag);
        }
        return;
    }
    if (!group) {
        group = merged_add(merged, stanza->info, stanza->schema, stanza->id, stanza->origin,
                           layer);
    } else if ((stanza->info->flags & OPT_REPLACE) && !stanza->amend) {
        group = replace_group(merged, group, stanza, diag);
    }
    group->layer = layer;
    group->defined = true;
    group->broken = group->broken || stanza->broken;
    group_merge(group, stanza, merged, config, flags, diag);
}

void merged_apply(Merged *merged, const Config *config, const GPtrArray *stanzas, MergeFlags flags,
                  Diag *diag)
{
    for (unsigned i = 0; i < stanzas->len; i++) {
        apply_stanza(merged, config, stanzas->pdata[i], flags, diag);
    }
}

void config_merge(Config *config, MergeFlags flags, Diag *diag)
{
    merged_free(config->merged);
    config->merged = merged_new();
    g_autoptr(GPtrArray) machine = config_machine_stanzas(config);
    if (machine) {
        merged_apply(config->merged, config, machine, flags | MERGE_MACHINE, diag);
    }
    for (unsigned layer = LAYER_HARDWARE; layer <= LAYER_QMP; layer++) {
        merged_apply(config->merged, config, config->layers[layer], flags, diag);
    }
}
