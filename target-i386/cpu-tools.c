/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What -cpu shows instead of running a machine. The keys are in options.c. */
#include "target-i386/cpu-tools.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "target-i386/cpu-compare.h"
#include "target-i386/cpu-dump.h"
#include "target-i386/cpu-map.h"
#include "target-i386/cpu-model-internal.h"
#include "target-i386/feature-table.h"

/* Bounds what a name on the command line can make us read. */
#define MAX_FILE_SIZE (4u << 20)

static const char *const tool_keys[] = {"dump", "compare", "baseline", "export"};

bool x86_cpu_tools_wanted(const Config *config)
{
    const ConfigGroup *cpu = config_find(config, "cpu", NULL);

    for (unsigned i = 0; cpu && i < G_N_ELEMENTS(tool_keys); i++) {
        const char *value = group_get(cpu, tool_keys[i]);
        bool on = true;
        if (value && (strcmp(tool_keys[i], "dump") || (opt_parse_bool(value, &on) && on))) {
            return true;
        }
    }
    return false;
}

/* --- descriptions of hosts ------------------------------------------------------------ */

static X86CpuModel *read_file(const char *path, GError **error)
{
    g_autofree char *text = g_malloc(MAX_FILE_SIZE + 1);
    FILE *file = fopen(path, "r");

    if (!file) {
        g_set_error(error, G_FILE_ERROR, g_file_error_from_errno(errno), "%s: %s", path,
                    g_strerror(errno));
        return NULL;
    }
    size_t length = fread(text, 1, MAX_FILE_SIZE + 1, file);
    bool bad = ferror(file);
    fclose(file);
    if (bad || length > MAX_FILE_SIZE) {
        g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_INVAL, "%s: %s", path,
                    bad ? "cannot be read" : "longer than 4 MiB");
        return NULL;
    }
    text[length] = '\0';
    return x86_cpu_dump_read(path, text, error);
}

/* A model by its name, or from a file that describes a CPU: what has a '/' or '.' is a file. */
static X86CpuModel *load(const Config *config, const ConfigValue *value, const X86CpuCaps *caps,
                         Diag *diag)
{
    const char *name = value->value;
    g_autoptr(GError) error = NULL;
    bool known = x86_model_find_group(config, name, NULL) || x86_builtin_model_find(name);

    if (known || !strpbrk(name, "/.")) {
        if (!known) {
            x86_model_report_missing(config, name, value->origin, diag);
            return NULL;
        }
        X86CpuModel *model = x86_cpu_model_find(config, name, caps, diag);
        if (model) {
            x86_cpu_model_add_defaults(model, caps);
        }
        return model;
    }
    X86CpuModel *model = read_file(name, &error);
    if (!model) {
        diag_error(diag, value->origin, "%s", error->message);
    }
    return model;
}

static void free_model(gpointer model)
{
    x86_cpu_model_free(model);
}

/* Every model that key @key of [cpu] names; NULL after diagnostics. */
static GPtrArray *load_all(const Config *config, const char *key, const X86CpuCaps *caps,
                           Diag *diag)
{
    const ConfigGroup *cpu = config_find(config, "cpu", NULL);
    g_autoptr(GPtrArray) models = g_ptr_array_new_with_free_func(free_model);
    bool good = true;

    for (unsigned i = 0; i < cpu->values->len; i++) {
        const ConfigValue *value = cpu->values->pdata[i];
        if (strcmp(value->key, key)) {
            continue;
        }
        X86CpuModel *model = load(config, value, caps, diag);
        if (model) {
            g_ptr_array_add(models, model);
        }
        good &= model != NULL;
    }
    return good ? g_steal_pointer(&models) : NULL;
}

/* --- the tools --------------------------------------------------------------------------- */

static char *dump(const X86CpuModel *model, const X86Topology *topology, const X86CpuCaps *caps)
{
    g_autofree char *title = g_strdup_printf("CPU '%s' as accelerator %s gives it to a guest",
                                             model->name, caps->accel);

    return x86_cpu_dump(model, topology, title);
}

static char *baseline(const Config *config, const X86CpuCaps *caps, Diag *diag)
{
    g_autoptr(GPtrArray) models = load_all(config, "baseline", caps, diag);
    GString *text;

    if (!models) {
        return NULL;
    }
    text = g_string_new("# What these CPUs have in common:");
    for (unsigned i = 0; i < models->len; i++) {
        const X86CpuModel *model = models->pdata[i];
        g_string_append_printf(text, "%s %s", i ? "," : "", model->name);
    }
    g_autoptr(X86CpuModel) common =
        x86_cpu_baseline((const X86CpuModel *const *)models->pdata, models->len);
    g_autofree char *cpudef = x86_cpu_cpudef_text(common, "baseline");
    g_string_append_printf(text, "\n%s", cpudef);
    return g_string_free(text, FALSE);
}

static void print_comparison(GString *text, const X86CpuModel *mine, const X86CpuModel *other)
{
    g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);
    X86CpuRelation relation = x86_cpu_compare(mine, other, names);

    g_string_append_printf(text, "'%s' to '%s': %s\n", mine->name, other->name,
                           x86_cpu_relation_name(relation));
    for (unsigned i = 0; i < names->len; i++) {
        const char *name = names->pdata[i];
        const X86FeatureInfo *info = x86_feature_find(name, strlen(name));
        if (!info) {
            g_string_append_printf(text, "  %s\n", name);
        } else {
            bool has = x86_words_have(mine->features, info->feature);
            g_string_append_printf(text, "  %c%s\n", has ? '+' : '-', name);
        }
    }
}

static char *compare(const Config *config, const X86CpuModel *model, const X86CpuCaps *caps,
                     Diag *diag)
{
    g_autoptr(GPtrArray) models = load_all(config, "compare", caps, diag);
    GString *text;

    if (!models) {
        return NULL;
    }
    text = g_string_new(NULL);
    for (unsigned i = 0; i < models->len; i++) {
        print_comparison(text, model, models->pdata[i]);
    }
    return g_string_free(text, FALSE);
}

char *x86_cpu_tools_run(const Config *config, const X86CpuModel *model,
                        const X86Topology *topology, const X86CpuCaps *caps, Diag *diag)
{
    const ConfigGroup *cpu = config_find(config, "cpu", NULL);

    if (group_get(cpu, "export")) {
        return x86_cpu_map_xml(config, caps, diag);
    }
    if (group_get(cpu, "baseline")) {
        return baseline(config, caps, diag);
    }
    if (group_get(cpu, "compare")) {
        return compare(config, model, caps, diag);
    }
    return dump(model, topology, caps);
}
