/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Machine types: files of groups that come into the configuration when their type is selected. */
#include <string.h>

#include "qemu-config/internal.h"

#define MAX_BASES 32

MachineType *machine_type_new(Config *config, const char *name, const Origin *origin,
                              ConfigLayer layer)
{
    MachineType *type = g_new0(MachineType, 1);
    type->name = name;
    type->layer = layer;
    type->origin = origin;
    type->headers = g_ptr_array_new();
    type->stanzas = g_ptr_array_new();
    return type;
}

void machine_type_free(MachineType *type)
{
    g_ptr_array_unref(type->headers);
    g_ptr_array_unref(type->stanzas);
    group_free(type->group);
    g_free(type);
}

/* Types stand in the order of their layers, whatever the order in which files were read. */
void config_add_type(Config *config, MachineType *type)
{
    unsigned at = config->types->len;
    while (at && ((MachineType *)config->types->pdata[at - 1])->layer > type->layer) {
        at--;
    }
    g_ptr_array_insert(config->types, at, type);
    config->last_type = type;
}

static const GroupInfo *scope_info(void)
{
    for (unsigned i = 0; i < schema_group_count(); i++) {
        if (schema_group_at(i)->flags & OPT_SCOPE) {
            return schema_group_at(i);
        }
    }
    g_assert_not_reached();
}

static ConfigGroup *header_group(const char *name, const Origin *origin, ConfigLayer layer)
{
    return group_new(scope_info()->first, name, origin, layer);
}

/* Headers are merged on first use: parsing all machine files at each start must stay cheap. */
static ConfigGroup *type_group(MachineType *type)
{
    if (!type->group) {
        type->group = header_group(type->name, type->origin, type->layer);
        for (unsigned i = 0; i < type->headers->len; i++) {
            group_merge(type->group, type->headers->pdata[i], NULL, NULL, 0, NULL);
        }
    }
    return type->group;
}

static MachineType *find_exact(const Config *config, const char *name, const MachineType *before)
{
    for (unsigned i = config->types->len; i-- > 0;) {
        MachineType *type = config->types->pdata[i];
        if (type == before) {
            before = NULL;
        } else if (!before && !strcmp(type->name, name)) {
            return type;
        }
    }
    return NULL;
}

static bool has_alias(MachineType *type, const char *name)
{
    const char *words = group_get(type_group(type), SCOPE_ALIAS_KEY);
    g_auto(GStrv) aliases = words ? g_strsplit_set(words, " \t\n", -1) : NULL;
    return aliases && g_strv_contains((const char *const *)aliases, name);
}

/* The latest definition of @name, an alias where there is no type of that name. */
static MachineType *find_type(const Config *config, const char *name)
{
    MachineType *type = find_exact(config, name, NULL);
    for (unsigned i = config->types->len; !type && i-- > 0;) {
        if (has_alias(config->types->pdata[i], name)) {
            type = config->types->pdata[i];
        }
    }
    return type;
}

static int compare_groups(const void *a, const void *b)
{
    return strcmp((*(ConfigGroup *const *)a)->id, (*(ConfigGroup *const *)b)->id);
}

GPtrArray *config_machine_types(const Config *config)
{
    GPtrArray *groups = g_ptr_array_new();
    for (unsigned i = 0; i < config->types->len; i++) {
        MachineType *type = config->types->pdata[i];
        if (find_exact(config, type->name, NULL) == type) {
            g_ptr_array_add(groups, type_group(type));
        }
    }
    g_ptr_array_sort(groups, compare_groups);
    return groups;
}

void config_warn_shadowing(const Config *config, Diag *diag)
{
    for (unsigned i = 0; i < config->types->len; i++) {
        MachineType *type = config->types->pdata[i];
        MachineType *hidden = find_exact(config, type->name, type);
        if (hidden && type->layer == LAYER_USER) {
            diag_warning(diag, type->origin, "machine type '%s' hides the one of %s", type->name,
                         origin_describe(hidden->origin));
        }
    }
}

static char *file_stem(ConfigSource *source)
{
    g_autofree char *base = g_path_get_basename(source->name);
    size_t length = strlen(base) - (g_str_has_suffix(base, ".conf") ? strlen(".conf") : 0);
    return arena_strndup(&source->arena, base, length);
}

MachineType *config_load_machine_file(Config *config, const char *path, ConfigLayer layer,
                                      const Origin *origin, Diag *diag)
{
    GError *error = NULL;
    ConfigSource *source = config_read_source(config, path, layer, &error);
    if (!source) {
        diag_gerror(diag, origin, error);
        return NULL;
    }
    const Origin *start = source_origin(source, 0, 1);
    MachineType *implicit = machine_type_new(config, file_stem(source), start, layer);
    config->last_type = NULL;
    config_parse_source(config, source, implicit, diag);
    if (!config->last_type && (implicit->stanzas->len || implicit->headers->len)) {
        config_add_type(config, implicit);
    }
    if (config->last_type != implicit) {
        machine_type_free(implicit);
    }
    return config->last_type;
}

/* ---- Selecting ---- */

static void add_name(GPtrArray *names, const char *name)
{
    if (*name && !g_ptr_array_find_with_equal_func(names, name, g_str_equal, NULL)) {
        g_ptr_array_add(names, g_strdup(name));
    }
}

/* Names that may be selected, for suggestions; NULL-terminated. */
static GPtrArray *type_names(const Config *config)
{
    g_autoptr(GPtrArray) groups = config_machine_types(config);
    GPtrArray *names = g_ptr_array_new_with_free_func(g_free);
    for (unsigned i = 0; i < groups->len; i++) {
        const ConfigGroup *group = groups->pdata[i];
        const char *alias = group_get(group, SCOPE_ALIAS_KEY);
        g_auto(GStrv) words = g_strsplit(alias ? alias : "", " ", -1);
        add_name(names, group->id);
        for (char **word = words; *word; word++) {
            add_name(names, *word);
        }
    }
    g_ptr_array_add(names, NULL);
    return names;
}

static void report_unknown(const Config *config, const char *name, const Origin *origin,
                           Diag *diag)
{
    g_autoptr(GPtrArray) names = type_names(config);
    diag_error(diag, origin, "unknown machine type '%s'", name);
    diag_suggest(diag, name, (const char *const *)names->pdata);
    config_note_searched(config, diag);
}

static bool is_path(const char *name)
{
    return strchr(name, '/') || g_str_has_suffix(name, ".conf");
}

static MachineType *lookup_type(Config *config, const char *name, const Origin *origin, Diag *diag)
{
    if (!is_path(name)) {
        MachineType *type = find_type(config, name);
        if (!type) {
            report_unknown(config, name, origin, diag);
        }
        return type;
    }
    unsigned before = diag_errors(diag);
    MachineType *type = config_load_machine_file(config, name, LAYER_FILES, origin, diag);
    if (type) {
        type->selected_by_path = true;
    } else if (diag_errors(diag) == before) {
        diag_error(diag, origin, "'%s' describes no machine", name);
    }
    return type;
}

/* The type that @type inherits from; a base of its own name means the one it hides. */
static MachineType *base_of(const Config *config, MachineType *type, Diag *diag)
{
    const ConfigValue *base = group_value(type_group(type), SCOPE_BASE_KEY);
    if (!base) {
        return NULL;
    }
    MachineType *found = strcmp(base->value, type->name) ? find_type(config, base->value)
                                                         : find_exact(config, type->name, type);
    if (!found && diag) {
        report_unknown(config, base->value, base->origin, diag);
    }
    return found;
}

/* @type and its bases, base first; NULL after a diagnostic. */
static GPtrArray *type_chain(const Config *config, MachineType *type, Diag *diag)
{
    g_autoptr(GPtrArray) chain = g_ptr_array_new();
    for (MachineType *at = type; at;) {
        bool again = g_ptr_array_find(chain, at, NULL) || chain->len >= MAX_BASES;
        if (again) {
            diag_error(diag, group_origin(type_group(at), SCOPE_BASE_KEY),
                       "machine type '%s' is based on itself", at->name);
            return NULL;
        }
        g_ptr_array_insert(chain, 0, at);
        bool has_base = group_value(type_group(at), SCOPE_BASE_KEY) != NULL;
        at = base_of(config, at, diag);
        if (has_base && !at) {
            return NULL;
        }
    }
    return g_steal_pointer(&chain);
}

GPtrArray *config_machine_stanzas(const Config *config)
{
    if (!config->chain) {
        return NULL;
    }
    GPtrArray *stanzas = g_ptr_array_new();
    for (unsigned i = 0; i < config->chain->len; i++) {
        const MachineType *type = config->chain->pdata[i];
        g_ptr_array_extend(stanzas, type->stanzas, NULL, NULL);
    }
    return stanzas;
}

/* The header with what it inherits: everything but the bases' names. */
static ConfigGroup *inherited_header(const GPtrArray *chain)
{
    const MachineType *last = chain->pdata[chain->len - 1];
    ConfigGroup *header = header_group(last->name, last->origin, LAYER_HARDWARE);
    for (unsigned i = 0; i < chain->len; i++) {
        ConfigGroup *group = type_group(chain->pdata[i]);
        bool own = i + 1 == chain->len;
        for (unsigned j = 0; j < group->values->len; j++) {
            const ConfigValue *value = group->values->pdata[j];
            Entry entry = {value->key, value->value, value->key_origin, value->origin};
            bool personal = !strcmp(value->key, SCOPE_ALIAS_KEY) ||
                            !strcmp(value->key, SCOPE_BASE_KEY) ||
                            !strcmp(value->key, "is_default") || !strcmp(value->key, "abstract");
            if (own || !personal) {
                group_put(header, &entry);
            }
        }
    }
    return header;
}

const ConfigGroup *config_select_machine(Config *config, const char *name_or_path,
                                         const Origin *origin, Diag *diag)
{
    MachineType *type = lookup_type(config, name_or_path, origin, diag);
    GPtrArray *chain = type ? type_chain(config, type, diag) : NULL;
    if (!chain) {
        return NULL;
    }
    g_clear_pointer(&config->chain, g_ptr_array_unref);
    g_clear_pointer(&config->machine, group_free);
    config->chain = chain;
    config->machine = inherited_header(chain);
    config_merge(config, MERGE_FINAL, diag);
    return config->machine;
}

const ConfigGroup *config_machine(const Config *config)
{
    return config->machine;
}
