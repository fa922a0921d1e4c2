/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Reading effective groups, and adding to them: what the other rooms see of the configuration. */
#include <string.h>

#include "qemu-config/internal.h"

static const GroupInfo *info_named(const char *type)
{
    const GroupInfo *info = schema_group_info(type);
    g_assert(info);
    return info;
}

GPtrArray *config_groups(const Config *config, const char *type)
{
    return config->merged->lists[info_named(type)->index].groups;
}

GPtrArray *config_all_groups(const Config *config)
{
    return config->merged->groups;
}

ConfigGroup *config_find(const Config *config, const char *type, const char *id)
{
    const GroupList *list = &config->merged->lists[info_named(type)->index];
    if (id) {
        return g_hash_table_lookup(list->by_id, id);
    }
    for (unsigned i = 0; i < list->groups->len; i++) {
        ConfigGroup *group = list->groups->pdata[i];
        if (!group->id) {
            return group;
        }
    }
    return NULL;
}

const char *config_get(const Config *config, const char *type, const char *key)
{
    const ConfigGroup *group = config_find(config, type, NULL);
    return group ? group_get(group, key) : NULL;
}

bool config_is_on(const Config *config, const char *type, const char *key)
{
    const char *text = config_get(config, type, key);
    bool on = false;
    return text && opt_parse_bool(text, &on) && on;
}

const ConfigValue *group_value(const ConfigGroup *group, const char *key)
{
    const char *name = info_canonical_key(schema_info_of(group->schema), key, NULL);
    for (unsigned i = group->values->len; i-- > 0;) {
        const ConfigValue *value = group->values->pdata[i];
        if (!strcmp(value->key, name)) {
            return value;
        }
    }
    return NULL;
}

const char *group_get(const ConfigGroup *group, const char *key)
{
    const ConfigValue *value = group_value(group, key);
    return value ? value->value : NULL;
}

const Origin *group_origin(const ConfigGroup *group, const char *key)
{
    const ConfigValue *value = group_value(group, key);
    return value ? value->origin : group->origin;
}

/* The declared key with the type that the reader wants, or a plain one of that type. */
static OptKey reader_key(const ConfigGroup *group, const char *key, OptType type)
{
    const OptKey *declared;
    info_canonical_key(schema_info_of(group->schema), key, &declared);
    OptKey plain = {.name = key, .type = type};
    return declared && declared->type == type ? *declared : plain;
}

bool group_get_bool(const ConfigGroup *group, const char *key, bool *out, Diag *diag)
{
    const ConfigValue *value = group_value(group, key);
    const OptKey as = {.name = key, .type = OPT_BOOL};
    if (!value) {
        return true;
    }
    return value_check(&as, value->value, value->origin, diag) &&
           opt_parse_bool(value->value, out);
}

bool group_get_int(const ConfigGroup *group, const char *key, int64_t *out, Diag *diag)
{
    const ConfigValue *value = group_value(group, key);
    OptKey as = reader_key(group, key, OPT_INT);
    return !value || (value_check(&as, value->value, value->origin, diag) &&
                      opt_parse_int(value->value, out));
}

bool group_get_uint(const ConfigGroup *group, const char *key, uint64_t *out, Diag *diag)
{
    const ConfigValue *value = group_value(group, key);
    OptKey as = reader_key(group, key, OPT_UINT);
    return !value || (value_check(&as, value->value, value->origin, diag) &&
                      opt_parse_uint(value->value, out));
}

bool group_get_size(const ConfigGroup *group, const char *key, uint64_t *out, Diag *diag)
{
    const ConfigValue *value = group_value(group, key);
    OptKey as = reader_key(group, key, OPT_SIZE);
    return !value || (value_check(&as, value->value, value->origin, diag) &&
                      opt_parse_size(value->value, as.unit, out));
}

ConfigGroup *config_add_group(Config *config, const char *type, const char *id,
                              const Origin *origin, ConfigLayer layer)
{
    const GroupInfo *info = info_named(type);
    if (id && config_find(config, type, id)) {
        return NULL;
    }
    if ((info->flags & OPT_MERGE) && config_groups(config, type)->len) {
        return config_groups(config, type)->pdata[0];
    }
    const char *kept = id ? arena_strndup(&config->built_in->arena, id, strlen(id)) : NULL;
    return merged_add(config->merged, info, info->first, kept, origin, layer);
}

void group_set(Config *config, ConfigGroup *group, const char *key, const char *value,
               const Origin *origin)
{
    Arena *arena = &config->built_in->arena;
    Entry entry = {.key_origin = origin, .origin = origin};
    entry.key = info_canonical_key(schema_info_of(group->schema), key, NULL);
    if (entry.key == key) {
        entry.key = arena_strndup(arena, key, strlen(key));
    }
    entry.value = arena_strndup(arena, value, strlen(value));
    group_put(group, &entry);
}

bool config_name_group(Config *config, ConfigGroup *group, const char *id)
{
    GroupList *list = &config->merged->lists[schema_info_of(group->schema)->index];
    if (group->id) {
        return !strcmp(group->id, id);
    }
    if (g_hash_table_contains(list->by_id, id)) {
        return false;
    }
    group->id = arena_strndup(&config->built_in->arena, id, strlen(id));
    g_hash_table_insert(list->by_id, (char *)group->id, group);
    return true;
}

void config_remove_group(Config *config, ConfigGroup *group)
{
    merged_remove(config->merged, group);
}

static bool wanted_by_default(const Config *config, const ConfigGroup *group)
{
    const char *text = group_get(group, "default");
    bool is_default = false;
    return !text || !opt_parse_bool(text, &is_default) || !is_default ||
           !config_is_on(config, "system", "nodefaults");
}

/* True if another group goes by @id. */
static bool id_exists(const Config *config, const ConfigGroup *group, const char *id)
{
    for (unsigned i = 0; i < schema_group_count(); i++) {
        const ConfigGroup *found = g_hash_table_lookup(config->merged->lists[i].by_id, id);
        if (found && found != group) {
            return true;
        }
    }
    return false;
}

static char *reason_to_drop(const Config *config, const ConfigGroup *group)
{
    const char *needs = group_get(group, "needs");
    if (group->first_layer != LAYER_HARDWARE || (group->schema->flags & OPT_MERGE)) {
        return NULL;
    } else if (!wanted_by_default(config, group)) {
        return g_strdup("-nodefaults");
    } else if (needs && !id_exists(config, group, needs)) {
        return g_strdup_printf("the lack of \"%s\"", needs);
    }
    return NULL;
}

void config_settle(Config *config)
{
    GPtrArray *groups = config->merged->groups;
    for (unsigned i = 0; i < groups->len;) {
        ConfigGroup *group = groups->pdata[i];
        g_autofree char *reason = reason_to_drop(config, group);
        if (!reason) {
            i++;
            continue;
        }
        g_ptr_array_add(config->merged->dropped,
                        g_strdup_printf("[%s \"%s\"] of %s is dropped by %s", group->schema->group,
                                        group->id ? group->id : "",
                                        origin_describe(group->origin), reason));
        merged_remove(config->merged, group);
        i = 0; /* others may have needed it */
    }
}

bool config_validate(const Config *config, Diag *diag)
{
    unsigned before = diag_errors(diag);
    for (unsigned i = 0; i < config->merged->groups->len; i++) {
        const ConfigGroup *group = config->merged->groups->pdata[i];
        const GPtrArray *rows = schema_info_of(group->schema)->rows;
        for (unsigned j = 0; j < rows->len && !group->broken; j++) {
            const OptSchema *row = rows->pdata[j];
            if (row->validate) {
                row->validate(group, diag);
            }
        }
    }
    return diag_errors(diag) == before;
}
