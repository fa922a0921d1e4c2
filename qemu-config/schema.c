/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The index over schema rows: which group, key or option a name means. It is derived from const
 * tables once and never changes.
 */
#include "qemu-config/schema.h"

#include <stdlib.h>
#include <string.h>

#include "qemu-config/internal.h"

REGISTRY_DECLARE(option_schema, OptSchema);

typedef struct {
    GPtrArray *rows;         /* of const OptSchema*, sorted */
    GPtrArray *infos;        /* of GroupInfo* */
    GHashTable *groups;      /* name and synonym to GroupInfo* */
    GHashTable *options;     /* option and aliases to const OptSchema* */
    GPtrArray *group_names;  /* NULL-terminated */
    GPtrArray *option_names; /* NULL-terminated */
} SchemaIndex;

static int compare_rows(const void *a, const void *b)
{
    const OptSchema *x = *(const OptSchema *const *)a, *y = *(const OptSchema *const *)b;
    int by_section = g_strcmp0(x->section, y->section);
    int by_option = g_strcmp0(x->option, y->option);
    return by_section ? by_section : by_option ? by_option : strcmp(x->group, y->group);
}

static int compare_infos(const void *a, const void *b)
{
    return strcmp((*(GroupInfo *const *)a)->name, (*(GroupInfo *const *)b)->name);
}

static GroupInfo *index_group(SchemaIndex *index, const OptSchema *row)
{
    GroupInfo *info = g_hash_table_lookup(index->groups, row->group);
    if (!info) {
        info = g_new0(GroupInfo, 1);
        info->name = row->group;
        info->first = row;
        info->flags = row->flags;
        info->keys = g_hash_table_new(g_str_hash, g_str_equal);
        info->names = g_ptr_array_new();
        info->rows = g_ptr_array_new();
        g_ptr_array_add(index->infos, info);
        g_hash_table_insert(index->groups, (char *)row->group, info);
    }
    if (row->group_synonym) {
        g_hash_table_insert(index->groups, (char *)row->group_synonym, info);
    }
    g_ptr_array_add(info->rows, (gpointer)row);
    return info;
}

static void index_keys(GroupInfo *info, const OptSchema *row)
{
    for (const OptKey *key = row->keys; key && key->name; key++) {
        g_assert(!g_hash_table_contains(info->keys, key->name));
        g_hash_table_insert(info->keys, (char *)key->name, (gpointer)key);
        g_ptr_array_add(info->names, (char *)key->name);
        if (key->synonym) {
            g_hash_table_insert(info->keys, (char *)key->synonym, (gpointer)key);
        }
    }
}

static void index_option(SchemaIndex *index, const char *name, const OptSchema *row)
{
    g_assert(!g_hash_table_contains(index->options, name));
    g_hash_table_insert(index->options, (char *)name, (gpointer)row);
    g_ptr_array_add(index->option_names, (char *)name);
}

static void index_row(SchemaIndex *index, const OptSchema *row)
{
    g_ptr_array_add(index->rows, (gpointer)row);
    if (row->group) {
        index_keys(index_group(index, row), row);
    }
    if (row->option) {
        index_option(index, row->option, row);
    }
    for (const char *const *alias = row->aliases; alias && *alias; alias++) {
        index_option(index, *alias, row);
    }
}

/* The linker orders rows as it likes: sort, so that output does not depend on it. */
static void index_finish(SchemaIndex *index)
{
    g_ptr_array_sort(index->rows, compare_rows);
    g_ptr_array_sort(index->infos, compare_infos);
    for (unsigned i = 0; i < index->infos->len; i++) {
        GroupInfo *info = index->infos->pdata[i];
        info->index = i;
        g_ptr_array_add(info->names, NULL);
        g_ptr_array_add(index->group_names, (char *)info->name);
    }
    g_ptr_array_add(index->group_names, NULL);
    g_ptr_array_add(index->option_names, NULL);
}

static SchemaIndex *index_build(void)
{
    SchemaIndex *index = g_new0(SchemaIndex, 1);
    index->rows = g_ptr_array_new();
    index->infos = g_ptr_array_new();
    index->groups = g_hash_table_new(g_str_hash, g_str_equal);
    index->options = g_hash_table_new(g_str_hash, g_str_equal);
    index->group_names = g_ptr_array_new();
    index->option_names = g_ptr_array_new();
    for (REGISTRY_FOREACH(option_schema, OptSchema, row)) {
        index_row(index, *row);
    }
    index_finish(index);
    return index;
}

static const SchemaIndex *schema_index(void)
{
    static SchemaIndex *index;
    if (g_once_init_enter(&index)) {
        g_once_init_leave(&index, index_build());
    }
    return index;
}

const GPtrArray *schema_rows(void)
{
    return schema_index()->rows;
}

const GroupInfo *schema_group_info(const char *group)
{
    return g_hash_table_lookup(schema_index()->groups, group);
}

const GroupInfo *schema_info_of(const OptSchema *schema)
{
    return schema->group ? schema_group_info(schema->group) : NULL;
}

unsigned schema_group_count(void)
{
    return schema_index()->infos->len;
}

const GroupInfo *schema_group_at(unsigned index)
{
    return schema_index()->infos->pdata[index];
}

const char *const *schema_group_names(void)
{
    return (const char *const *)schema_index()->group_names->pdata;
}

const char *const *schema_option_names(void)
{
    return (const char *const *)schema_index()->option_names->pdata;
}

const OptSchema *schema_find_group(const char *group)
{
    const GroupInfo *info = schema_group_info(group);
    return info ? info->first : NULL;
}

const OptSchema *schema_find_option(const char *option)
{
    return g_hash_table_lookup(schema_index()->options, option);
}

const OptKey *schema_find_key(const char *group, const char *name)
{
    const GroupInfo *info = schema_group_info(group);
    return info ? g_hash_table_lookup(info->keys, name) : NULL;
}

const char *info_canonical_key(const GroupInfo *info, const char *key, const OptKey **out)
{
    const OptKey *declared = g_hash_table_lookup(info->keys, key);
    if (out) {
        *out = declared;
    }
    return declared ? declared->name : key;
}

const char *opt_type_name(OptType type)
{
    static const char *const names[] = {
        [OPT_STRING] = "text",  [OPT_BOOL] = "on|off", [OPT_INT] = "number", [OPT_UINT] = "number",
        [OPT_SIZE] = "size",    [OPT_ENUM] = "choice", [OPT_STRINGS] = "text…",
    };
    return names[type];
}
