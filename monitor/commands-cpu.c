/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Commands about CPU models: the catalogue, and what target-i386/cpu-compare.h computes of them. */
#include <string.h>

#include "monitor/internal.h"
#include "target-i386/cpu-compare.h"
#include "target-i386/cpu-model.h"

/* ---- The catalogue ---- */

static Jv *unavailable_features(const X86CpuModel *model, const X86CpuCaps *caps)
{
    g_autoptr(GPtrArray) names = x86_cpu_unavailable(model, caps);
    Jv *list = jv_array();

    for (unsigned i = 0; i < names->len; i++) {
        jv_append(list, jv_string(g_ptr_array_index(names, i)));
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

/* ---- Models that a client describes ---- */

/* The value of a property in the form of a configuration file; NULL if it has none. */
static char *property_text(const Jv *value)
{
    int64_t integer;
    uint64_t natural;

    switch (jv_type(value)) {
    case JV_BOOL:
        return g_strdup(jv_get_bool(value) ? "on" : "off");
    case JV_STRING:
        return g_strdup(jv_get_string(value));
    case JV_INT:
    case JV_UINT:
        return jv_get_uint(value, &natural)
            ? g_strdup_printf("%" G_GUINT64_FORMAT, natural)
            : g_strdup_printf("%" G_GINT64_FORMAT, (jv_get_int(value, &integer), integer));
    default:
        return NULL;
    }
}

/* Sets @changes, a group [cpu], from the object @props; they are the same keys. */
static bool set_properties(Config *config, ConfigGroup *changes, const Jv *props, GError **error)
{
    if (jv_type(props) != JV_OBJECT) {
        g_set_error(error, QMP_ERROR, QMP_GENERIC_ERROR,
                    "Invalid parameter type for 'props', expected: object");
        return false;
    }
    for (unsigned i = 0; i < jv_length(props); i++) {
        g_autofree char *text = property_text(jv_at(props, i));
        if (!text) {
            g_set_error(error, QMP_ERROR, QMP_GENERIC_ERROR,
                        "Invalid parameter type for 'props.%s', expected: boolean, integer or "
                        "string", jv_key_at(props, i));
            return false;
        }
        group_set(config, changes, jv_key_at(props, i), text, NULL);
    }
    return true;
}

/* The first mistake of @diag as an error, without the place, which is this command. */
static void set_error(Diag *diag, GError **error)
{
    g_autofree char *text = diag_take_text(diag);
    const char *mark = strstr(text, "error: ");
    const char *message = mark ? mark + strlen("error: ") : text;

    g_set_error(error, QMP_ERROR, QMP_GENERIC_ERROR, "%.*s", (int)strcspn(message, "\n"), message);
}

/* The model that @info, a CpuModelInfo, describes; NULL and @error. */
static X86CpuModel *build_model(Monitors *monitors, const Jv *info, GError **error)
{
    const MonitorContext *context = &monitors->context;
    const Jv *props = jv_member(info, "props");
    g_autoptr(Config) scratch = config_new();
    g_autoptr(Diag) diag = diag_new();
    ConfigGroup *changes = config_add_group(scratch, "cpu", NULL, NULL, LAYER_QMP);

    if (props && !set_properties(scratch, changes, props, error)) {
        return NULL;
    }
    X86CpuModel *model = x86_cpu_model_build(context->config, jv_member_string(info, "name"),
                                             changes, context->caps, diag);
    if (!model) {
        set_error(diag, error);
    }
    return model;
}

/* ---- Expansion, comparison, baseline ---- */

static void add_property(void *opaque, const X86CpuProperty *property)
{
    Jv *value = property->type == X86_CPU_BOOL ? jv_bool(property->on)
              : property->type == X86_CPU_UINT ? jv_uint(property->number)
                                               : jv_string(property->text);

    if (jv_member(opaque, property->name)) {
        jv_free(value); /* several features may share a spelling */
    } else {
        jv_set(opaque, property->name, value);
    }
}

static Jv *model_info(const char *name, const X86CpuModel *model, bool full)
{
    Jv *props = jv_object();

    x86_cpu_expand(model, full, add_property, props);
    return jv_set(jv_set_string(jv_object(), "name", name), "props", props);
}

Jv *qmp_query_cpu_model_expansion(Monitors *monitors, const Jv *args, GError **error)
{
    const Jv *info = jv_member(args, "model");
    bool full = !strcmp(jv_member_string(args, "type"), "full");
    g_autoptr(X86CpuModel) model = build_model(monitors, info, error);

    if (!model) {
        return NULL;
    }
    return jv_set(jv_object(), "model",
                  model_info(full ? jv_member_string(info, "name") : "base", model, full));
}

Jv *qmp_query_cpu_model_comparison(Monitors *monitors, const Jv *args, GError **error)
{
    g_autoptr(X86CpuModel) a = build_model(monitors, jv_member(args, "modela"), error);
    g_autoptr(X86CpuModel) b = a ? build_model(monitors, jv_member(args, "modelb"), error) : NULL;
    g_autoptr(GPtrArray) responsible = g_ptr_array_new();
    Jv *result = NULL, *list;

    if (b) {
        X86CpuRelation relation = x86_cpu_compare(a, b, responsible);
        list = jv_array();
        for (unsigned i = 0; i < responsible->len; i++) {
            jv_append(list, jv_string(g_ptr_array_index(responsible, i)));
        }
        result = jv_set_string(jv_object(), "result", x86_cpu_relation_name(relation));
        jv_set(result, "responsible-properties", list);
    }
    return result;
}

Jv *qmp_query_cpu_model_baseline(Monitors *monitors, const Jv *args, GError **error)
{
    g_autoptr(X86CpuModel) a = build_model(monitors, jv_member(args, "modela"), error);
    g_autoptr(X86CpuModel) b = a ? build_model(monitors, jv_member(args, "modelb"), error) : NULL;

    if (!b) {
        return NULL;
    }
    const X86CpuModel *const models[] = { a, b };
    g_autoptr(X86CpuModel) baseline = x86_cpu_baseline(models, 2);
    return jv_set(jv_object(), "model", model_info("base", baseline, false));
}
