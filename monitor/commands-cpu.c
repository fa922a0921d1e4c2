/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Commands about CPU models. */
#include <string.h>

#include "monitor/internal.h"
#include "target-i386/cpu-model.h"
#include "target-i386/feature-table.h"

/* What @model has and the accelerator does not. */
static Jv *unavailable_features(const X86CpuModel *model, const X86CpuCaps *caps)
{
    Jv *list = jv_array();

    for (const X86FeatureInfo *info = x86_features; info->name; info++) {
        if (x86_words_have(model->features, info->feature) &&
            !x86_words_have(caps->supported, info->feature)) {
            jv_append(list, jv_string(info->name));
        }
    }
    return list;
}

/* "host" and "max" are what the host and the accelerator make of them; "base" never changes. */
static bool depends_on_host(const char *name)
{
    return !strcmp(name, "host") || !strcmp(name, "max");
}

static Jv *definition_info(const MonitorContext *context, const char *name)
{
    const char *alias_of = x86_cpu_model_alias_of(context->config, name);
    g_autofree char *type = g_strconcat(alias_of ? alias_of : name, "-x86_64-cpu", NULL);
    g_autoptr(Diag) diag = diag_new();
    g_autoptr(X86CpuModel) model = x86_cpu_model_find(context->config, name, context->caps, diag);
    Jv *info = jv_object();

    jv_set_string(info, "name", name);
    jv_set_string(info, "typename", type);
    jv_set_bool(info, "static", !strcmp(name, "base"));
    jv_set_bool(info, "migration-safe", !depends_on_host(name));
    jv_set_bool(info, "deprecated", false);
    if (alias_of) {
        jv_set_string(info, "alias-of", alias_of);
    }
    return model ? jv_set(info, "unavailable-features", unavailable_features(model, context->caps))
                 : info;
}

Jv *qmp_query_cpu_definitions(Monitors *monitors, const Jv *args, GError **error)
{
    g_autoptr(GPtrArray) names = x86_cpu_model_names(monitors->context.config);
    Jv *list = jv_array();

    for (unsigned i = 0; names->pdata[i]; i++) {
        jv_append(list, definition_info(&monitors->context, names->pdata[i]));
    }
    return list;
}
