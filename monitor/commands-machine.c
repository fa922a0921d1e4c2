/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Commands about the machine, its types, its CPUs, its character devices and its configuration. */
#include <string.h>

#include "accel/accel.h"
#include "monitor/internal.h"

Jv *qmp_query_name(Monitors *monitors, const Jv *args, GError **error)
{
    const char *name = config_get(monitors->context.config, "name", "guest");
    Jv *info = jv_object();

    return name ? jv_set_string(info, "name", name) : info;
}

Jv *qmp_query_uuid(Monitors *monitors, const Jv *args, GError **error)
{
    const char *uuid = config_get(monitors->context.config, "system", "uuid");

    return jv_set_string(jv_object(), "UUID",
                         uuid ? uuid : "00000000-0000-0000-0000-000000000000");
}

Jv *qmp_query_target(Monitors *monitors, const Jv *args, GError **error)
{
    return jv_set_string(jv_object(), "arch", "x86_64");
}

REGISTRY_DECLARE(accel_types, AccelOps);

Jv *qmp_query_kvm(Monitors *monitors, const Jv *args, GError **error)
{
    bool present = false;

    for (REGISTRY_FOREACH(accel_types, AccelOps, p)) {
        present |= !strcmp((*p)->name, "kvm");
    }
    return jv_set_bool(jv_set_bool(jv_object(), "enabled",
                                   !strcmp(monitors->context.accel, "kvm")),
                       "present", present);
}

/* ---- Machine types ---- */

static bool machine_has_acpi(const char *name)
{
    return strcmp(name, "none") && strcmp(name, "isapc");
}

static Jv *machine_info(const ConfigGroup *type)
{
    const char *cpu = group_get(type, "default_cpu"), *alias = group_get(type, "alias");
    Jv *info = jv_object();
    bool is_default = false;
    uint64_t cpus = 1;

    group_get_bool(type, "is_default", &is_default, NULL);
    group_get_uint(type, "max_cpus", &cpus, NULL);
    jv_set_string(info, "name", type->id);
    if (alias) {
        g_autofree char *first = g_strndup(alias, strcspn(alias, " "));
        jv_set_string(info, "alias", first);
    }
    if (is_default) {
        jv_set_bool(info, "is-default", true);
    }
    jv_set_int(info, "cpu-max", cpus);
    jv_set_bool(info, "hotpluggable-cpus", false);
    jv_set_bool(info, "numa-mem-supported", false);
    jv_set_bool(info, "deprecated", false);
    if (cpu) {
        g_autofree char *name = g_strconcat(cpu, "-x86_64-cpu", NULL);
        jv_set_string(info, "default-cpu-type", name);
    }
    return jv_set_bool(info, "acpi", machine_has_acpi(type->id));
}

Jv *qmp_query_machines(Monitors *monitors, const Jv *args, GError **error)
{
    g_autoptr(GPtrArray) types = config_machine_types(monitors->context.config);
    Jv *list = jv_array();

    for (unsigned i = 0; i < types->len; i++) {
        jv_append(list, machine_info(g_ptr_array_index(types, i)));
    }
    return list;
}

/* ---- CPUs ---- */

static Jv *cpu_place(const Machine *machine, unsigned index)
{
    unsigned threads = MAX(machine->smp_threads, 1), cores = MAX(machine->smp_cores, 1);
    unsigned dies = MAX(machine->smp_dies, 1);
    Jv *place = jv_object();

    jv_set_int(place, "socket-id", index / (threads * cores * dies));
    jv_set_int(place, "die-id", index / (threads * cores) % dies);
    jv_set_int(place, "core-id", index / threads % cores);
    return jv_set_int(place, "thread-id", index % threads);
}

Jv *qmp_query_cpus_fast(Monitors *monitors, const Jv *args, GError **error)
{
    const Machine *machine = monitors->context.machine;
    Jv *list = jv_array();

    for (unsigned i = 0; i < machine->vcpus->len; i++) {
        const Vcpu *vcpu = g_ptr_array_index(machine->vcpus, i);
        g_autofree char *path = g_strdup_printf("/machine/unattached/device[%u]", i);
        Jv *info = jv_object();
        jv_set_int(info, "cpu-index", i);
        jv_set_string(info, "qom-path", path);
        jv_set_int(info, "thread-id", vcpu->thread_id);
        jv_set(info, "props", cpu_place(machine, i));
        jv_set_string(info, "target", "x86_64");
        jv_append(list, info);
    }
    return list;
}

/* ---- Configuration ---- */

static Jv *key_info(const ConfigValue *value)
{
    Jv *info = jv_object();

    jv_set_string(info, "key", value->key);
    jv_set_string(info, "value", value->value);
    if (value->origin) {
        jv_set_string(info, "origin", origin_describe(value->origin));
    }
    if (value->overrides) {
        Jv *earlier = jv_array();
        for (const ConfigValue *old = value->overrides; old; old = old->overrides) {
            Jv *said = jv_object();
            jv_set_string(said, "key", old->key);
            jv_set_string(said, "value", old->value);
            if (old->origin) {
                jv_set_string(said, "origin", origin_describe(old->origin));
            }
            jv_append(earlier, said);
        }
        jv_set(info, "overrides", earlier);
    }
    return info;
}

static Jv *group_info(const ConfigGroup *group)
{
    static const char *const layers[] = {
        [LAYER_HARDWARE] = "hardware",     [LAYER_USER] = "user", [LAYER_FILES] = "files",
        [LAYER_CMDLINE] = "command-line", [LAYER_QMP] = "qmp",
    };
    Jv *info = jv_object(), *keys = jv_array();

    jv_set_string(info, "group", group->schema->group);
    if (group->id) {
        jv_set_string(info, "id", group->id);
    }
    jv_set_string(info, "layer", layers[group->layer]);
    if (group->origin) {
        jv_set_string(info, "origin", origin_describe(group->origin));
    }
    for (unsigned i = 0; i < group->values->len; i++) {
        jv_append(keys, key_info(g_ptr_array_index(group->values, i)));
    }
    return jv_set(info, "keys", keys);
}

Jv *qmp_query_config(Monitors *monitors, const Jv *args, GError **error)
{
    const char *wanted = jv_member_string(args, "group");
    const OptSchema *schema = wanted ? schema_find_group(wanted) : NULL;
    GPtrArray *groups;
    Jv *list;

    if (wanted && !schema) {
        g_set_error(error, QMP_ERROR, QMP_GENERIC_ERROR, "there are no groups '%s'", wanted);
        return NULL;
    }
    groups = config_all_groups(monitors->context.config);
    list = jv_array();
    for (unsigned i = 0; i < groups->len; i++) {
        const ConfigGroup *group = g_ptr_array_index(groups, i);
        if (!schema || !strcmp(group->schema->group, schema->group)) {
            jv_append(list, group_info(group));
        }
    }
    return list;
}

/* ---- Options ---- */

static Jv *option_parameter(const OptKey *key)
{
    static const char *const types[] = {
        [OPT_STRING] = "string", [OPT_BOOL] = "boolean", [OPT_INT] = "number",
        [OPT_UINT] = "number",   [OPT_SIZE] = "size",    [OPT_ENUM] = "string",
        [OPT_STRINGS] = "string",
    };
    Jv *info = jv_set_string(jv_object(), "name", key->name);

    jv_set_string(info, "type", types[key->type]);
    if (key->help) {
        jv_set_string(info, "help", key->help);
    }
    return key->def ? jv_set_string(info, "default", key->def) : info;
}

/* QEMU tells an option by its group's name; so do files. */
static Jv *option_info(const OptSchema *row)
{
    Jv *info = jv_object(), *parameters = jv_array();
    bool in_system = !strcmp(row->group, "system");

    for (const OptKey *key = row->keys; key && key->name && !in_system; key++) {
        jv_append(parameters, option_parameter(key));
    }
    jv_set_string(info, "option", in_system ? row->option : row->group);
    return jv_set(info, "parameters", parameters);
}

Jv *qmp_query_command_line_options(Monitors *monitors, const Jv *args, GError **error)
{
    const char *wanted = jv_member_string(args, "option");
    const GPtrArray *rows = schema_rows();
    Jv *list = jv_array();

    for (unsigned i = 0; i < rows->len; i++) {
        const OptSchema *row = g_ptr_array_index(rows, i);
        if (!row->option || !row->group) {
            continue;
        }
        Jv *info = option_info(row);
        if (!wanted || !strcmp(wanted, jv_member_string(info, "option"))) {
            jv_append(list, info);
        } else {
            jv_free(info);
        }
    }
    if (wanted && !jv_length(list)) {
        jv_free(list);
        g_set_error(error, QMP_ERROR, QMP_GENERIC_ERROR, "invalid option name: %s", wanted);
        return NULL;
    }
    return list;
}

/* ---- Character devices ---- */

Jv *qmp_query_chardev(Monitors *monitors, const Jv *args, GError **error)
{
    ChardevSet *set = monitors->context.machine->chardevs;
    Jv *list = jv_array();
    Chardev *chardev;

    for (unsigned i = 0; (chardev = chardev_at(set, i)); i++) {
        g_autofree char *text = chardev_describe(chardev);
        Jv *info = jv_set_bool(jv_object(), "frontend-open", chardev_is_used(chardev));
        jv_set_string(info, "filename", text);
        jv_append(list, jv_set_string(info, "label", chardev_id(chardev)));
    }
    return list;
}
