/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Finding CPU models by name or alias, and listing them. */
#include <string.h>

#include "target-i386/cpu-model-internal.h"
#include "target-i386/feature-table.h"

static bool has_alias(const ConfigGroup *group, const char *name)
{
    for (unsigned i = 0; i < group->values->len; i++) {
        const ConfigValue *value = group->values->pdata[i];
        const char *text = value->value;
        const char *word;
        size_t length;
        while (!strcmp(value->key, "alias") && (word = x86_next_word(&text, &length))) {
            if (strlen(name) == length && !memcmp(word, name, length)) {
                return true;
            }
        }
    }
    return false;
}

/* What @group stands for when @user names it: a model that shadows one may build on it. */
static const ConfigGroup *below(const ConfigGroup *group, const ConfigGroup *user)
{
    for (const ConfigGroup *g = group; g && user; g = g->shadows) {
        if (g == user) {
            return g->shadows;
        }
    }
    return group;
}

static const ConfigGroup *find_id(const Config *config, const char *name, const ConfigGroup *user)
{
    const ConfigGroup *group = config_find(config, "cpudef", name);

    return group ? below(group, user) : NULL;
}

/* An alias of a later layer goes before one of an earlier. */
static const ConfigGroup *find_alias(const Config *config, const char *name,
                                     const ConfigGroup *user)
{
    GPtrArray *groups = config_groups(config, "cpudef");
    const ConfigGroup *found = NULL;

    for (unsigned i = 0; i < groups->len; i++) {
        const ConfigGroup *top = groups->pdata[i];
        for (const ConfigGroup *group = top; group; group = group->shadows) {
            const ConfigGroup *target = below(top, user);
            if (target && has_alias(group, name) && (!found || top->layer >= found->layer)) {
                found = target;
            }
        }
    }
    return found;
}

const ConfigGroup *x86_model_find_group(const Config *config, const char *name,
                                        const ConfigGroup *user)
{
    const ConfigGroup *group = find_id(config, name, user);

    return group ? group : find_alias(config, name, user);
}

static gint compare_names(gconstpointer a, gconstpointer b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void add_aliases(GPtrArray *names, const ConfigGroup *group)
{
    for (unsigned i = 0; i < group->values->len; i++) {
        const ConfigValue *value = group->values->pdata[i];
        const char *text = value->value;
        const char *word;
        size_t length;
        while (!strcmp(value->key, "alias") && (word = x86_next_word(&text, &length))) {
            g_ptr_array_add(names, g_strndup(word, length));
        }
    }
}

GPtrArray *x86_cpu_model_names(const Config *config)
{
    GPtrArray *names = g_ptr_array_new_with_free_func(g_free);
    GPtrArray *groups = config_groups(config, "cpudef");

    for (const X86BuiltinModel *builtin = x86_builtin_models; builtin->name; builtin++) {
        g_ptr_array_add(names, g_strdup(builtin->name));
    }
    for (unsigned i = 0; i < groups->len; i++) {
        const ConfigGroup *top = groups->pdata[i];
        g_ptr_array_add(names, g_strdup(top->id));
        for (const ConfigGroup *group = top; group; group = group->shadows) {
            add_aliases(names, group);
        }
    }
    g_ptr_array_sort(names, compare_names);
    for (unsigned i = 1; i < names->len;) {
        if (!strcmp(names->pdata[i - 1], names->pdata[i])) {
            g_ptr_array_remove_index(names, i);
        } else {
            i++;
        }
    }
    g_ptr_array_add(names, NULL);
    return names;
}

const char *x86_cpu_model_alias_of(const Config *config, const char *name)
{
    const ConfigGroup *group = x86_model_find_group(config, name, NULL);

    return group && strcmp(group->id, name) ? group->id : NULL;
}

void x86_model_report_missing(const Config *config, const char *name, const Origin *origin,
                              Diag *diag)
{
    g_autoptr(GPtrArray) names = x86_cpu_model_names(config);

    diag_error(diag, origin, "there is no CPU model '%s'", name);
    diag_suggest(diag, name, (const char *const *)names->pdata);
    config_note_searched(config, diag);
}

/* What -cpu help says of a model: an alias, or its model_id, inherited or its own. */
static char *describe(const Config *config, const char *name)
{
    const char *alias_of = x86_cpu_model_alias_of(config, name);
    const ConfigGroup *group = x86_model_find_group(config, name, NULL);

    if (alias_of) {
        return g_strdup_printf("(alias of %s)", alias_of);
    }
    if (!group) {
        return g_strdup(x86_builtin_model_find(name)->desc);
    }
    for (unsigned depth = 0; group && depth < 32; depth++) {
        const char *id = group_get(group, "model_id");
        const char *base = group_get(group, "base_cpudef");
        if (id) {
            return g_strdup(id);
        }
        group = base ? x86_model_find_group(config, base, group) : NULL;
    }
    return g_strdup("");
}

char *x86_cpu_models_help(const Config *config, const char *topic)
{
    g_autoptr(GPtrArray) names = x86_cpu_model_names(config);
    GString *text = g_string_new("Available CPUs:\n");
    unsigned column = 0;

    for (unsigned i = 0; names->pdata[i]; i++) {
        g_autofree char *desc = describe(config, names->pdata[i]);
        g_string_append_printf(text, "x86 %-20s  %s\n", (char *)names->pdata[i], desc);
    }
    g_string_append(text, "\nRecognized CPUID flags:\n");
    for (const X86FeatureInfo *info = x86_features; info->name; info++) {
        unsigned width = strlen(info->name) + 1;
        if (column + width > 75) {
            g_string_append_c(text, '\n');
            column = 0;
        }
        g_string_append_printf(text, "%s%s", column ? " " : "  ", info->name);
        column += column ? width : width + 1;
    }
    g_string_append_c(text, '\n');
    return g_string_free(text, FALSE);
}
