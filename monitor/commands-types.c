/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Commands about types of objects, as clients of QEMU's object model ask for them: device types,
 * CPU models ("NAME-x86_64-cpu"), machine types ("NAME-machine"), accelerators ("NAME-accel").
 */
#include <string.h>

#include "accel/accel.h"
#include "monitor/internal.h"
#include "target-i386/cpu-model.h"
#include "target-i386/feature-table.h"

#define CPU_SUFFIX "-x86_64-cpu"
#define MACHINE_SUFFIX "-machine"

/* ---- Properties ---- */

static Jv *property_info(const char *name, const char *type, const char *doc)
{
    Jv *info = jv_set_string(jv_object(), "name", name);

    jv_set_string(info, "type", type);
    return doc ? jv_set_string(info, "description", doc) : info;
}

static const char *property_type_name(PropertyType type)
{
    static const char *const names[] = {
        [PROP_BOOL] = "bool",     [PROP_UINT8] = "uint8",   [PROP_UINT16] = "uint16",
        [PROP_UINT32] = "uint32", [PROP_UINT64] = "uint64", [PROP_INT32] = "int32",
        [PROP_SIZE] = "size",     [PROP_STRING] = "str",    [PROP_ENUM] = "str",
        [PROP_MAC] = "str",       [PROP_PCI_ADDR] = "int32", [PROP_CHARDEV] = "str",
    };
    return names[type];
}

/* The default as a value of the property's type. */
static Jv *default_value(const Property *property)
{
    bool on;

    switch (property->type) {
    case PROP_BOOL:
        return jv_bool(opt_parse_bool(property->def, &on) && on);
    case PROP_STRING:
    case PROP_ENUM:
    case PROP_MAC:
    case PROP_CHARDEV:
        return jv_string(property->def);
    default:
        return property->type == PROP_UINT64 || property->type == PROP_SIZE
            ? jv_uint(property_number(property, property->def))
            : jv_int(property_number(property, property->def));
    }
}

static void add_properties(Jv *list, const Property *properties)
{
    for (const Property *p = properties; p && p->name; p++) {
        Jv *info = property_info(p->name, property_type_name(p->type), p->help);
        if (p->def) {
            jv_set(info, "default-value", default_value(p));
        }
        jv_append(list, info);
    }
}

static Jv *device_properties(const DeviceType *type)
{
    const BusType *bus = type->bus ? bus_type_find(type->bus) : NULL;
    Jv *list = jv_array();

    add_properties(list, bus ? bus->device_properties : NULL);
    add_properties(list, type->properties);
    return list;
}

Jv *qmp_device_list_properties(Monitors *monitors, const Jv *args, GError **error)
{
    const char *name = jv_member_string(args, "typename");
    const DeviceType *type = device_type_find(name);

    if (!type) {
        g_set_error(error, QMP_ERROR, QMP_DEVICE_NOT_FOUND, "Device '%s' not found", name);
        return NULL;
    }
    return device_properties(type);
}

static Jv *cpu_properties(void)
{
    static const char *const numbers[] = { "family", "model", "stepping", "level", "xlevel",
                                           "phys-bits" };
    Jv *list = jv_array();

    for (unsigned i = 0; i < G_N_ELEMENTS(numbers); i++) {
        jv_append(list, property_info(numbers[i], "int", NULL));
    }
    jv_append(list, property_info("vendor", "string", NULL));
    jv_append(list, property_info("model-id", "string", NULL));
    for (const X86FeatureInfo *info = x86_features; info->name; info++) {
        jv_append(list, property_info(info->name, "bool", info->desc));
    }
    return list;
}

static Jv *machine_properties(void)
{
    Jv *list = jv_array();

    for (const OptKey *key = schema_find_group("machine")->keys; key->name; key++) {
        jv_append(list, property_info(key->name, key->type == OPT_BOOL ? "bool" : "string",
                                      key->help));
    }
    return list;
}

/* True if @type is @name with @suffix. */
static bool is_suffixed(const char *type, const char *name, const char *suffix)
{
    size_t length = strlen(name);

    return !strncmp(type, name, length) && !strcmp(type + length, suffix);
}

static bool is_cpu_type(const Config *config, const char *type)
{
    g_autoptr(GPtrArray) names = x86_cpu_model_names(config);

    for (unsigned i = 0; names->pdata[i]; i++) {
        if (is_suffixed(type, names->pdata[i], CPU_SUFFIX)) {
            return true;
        }
    }
    return false;
}

static bool is_machine_type(const Config *config, const char *type)
{
    g_autoptr(GPtrArray) types = config_machine_types(config);

    for (unsigned i = 0; i < types->len; i++) {
        const ConfigGroup *group = g_ptr_array_index(types, i);
        if (is_suffixed(type, group->id, MACHINE_SUFFIX)) {
            return true;
        }
    }
    return false;
}

Jv *qmp_qom_list_properties(Monitors *monitors, const Jv *args, GError **error)
{
    const char *name = jv_member_string(args, "typename");
    const DeviceType *device = device_type_find(name);

    if (device) {
        return device_properties(device);
    }
    if (is_cpu_type(monitors->context.config, name)) {
        return cpu_properties();
    }
    if (is_machine_type(monitors->context.config, name)) {
        return machine_properties();
    }
    g_set_error(error, QMP_ERROR, QMP_DEVICE_NOT_FOUND, "Class '%s' not found", name);
    return NULL;
}

/* ---- Types ---- */

/* Types that others are kinds of. */
static const struct {
    const char *name, *parent;
} abstract_types[] = {
    { "object", NULL },          { "device", "object" },       { "isa-device", "device" },
    { "pci-device", "device" },  { "sys-bus-device", "device" }, { "cpu", "device" },
    { "x86_64-cpu", "cpu" },     { "machine", "object" },      { "accel", "object" },
};

typedef struct TypeList {
    Jv *list;
    const char *implements; /* or NULL: all */
} TypeList;

static const char *abstract_parent(const char *name)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(abstract_types); i++) {
        if (!strcmp(abstract_types[i].name, name)) {
            return abstract_types[i].parent;
        }
    }
    return NULL;
}

static bool is_kind_of(const char *name, const char *parent, const char *wanted)
{
    bool found = !strcmp(name, wanted);

    for (const char *type = parent; type && !found; type = abstract_parent(type)) {
        found = !strcmp(type, wanted);
    }
    return found;
}

static void add_type(TypeList *types, const char *name, const char *parent, bool abstract)
{
    if (types->implements && !is_kind_of(name, parent, types->implements)) {
        return;
    }
    Jv *info = jv_set_string(jv_object(), "name", name);
    if (abstract) {
        jv_set_bool(info, "abstract", true);
    }
    if (parent) {
        jv_set_string(info, "parent", parent);
    }
    jv_append(types->list, info);
}

static void add_device_types(TypeList *types)
{
    g_autoptr(GPtrArray) devices = device_types_list();

    for (unsigned i = 0; i < devices->len; i++) {
        const DeviceType *type = g_ptr_array_index(devices, i);
        const char *bus = type->bus ? type->bus : "";
        const char *parent = !strcmp(bus, "isa")   ? "isa-device"
                           : !strcmp(bus, "pci")   ? "pci-device"
                           : !strcmp(bus, "system") ? "sys-bus-device"
                                                    : "device";
        add_type(types, type->name, parent, false);
        for (const char *const *alias = type->aliases; alias && *alias; alias++) {
            add_type(types, *alias, parent, false);
        }
    }
}

static void add_config_types(TypeList *types, const Config *config)
{
    g_autoptr(GPtrArray) models = x86_cpu_model_names(config);
    g_autoptr(GPtrArray) machines = config_machine_types(config);

    for (unsigned i = 0; models->pdata[i]; i++) {
        g_autofree char *name = g_strconcat(models->pdata[i], CPU_SUFFIX, NULL);
        if (!x86_cpu_model_alias_of(config, models->pdata[i])) {
            add_type(types, name, "x86_64-cpu", false);
        }
    }
    for (unsigned i = 0; i < machines->len; i++) {
        const ConfigGroup *group = g_ptr_array_index(machines, i);
        g_autofree char *name = g_strconcat(group->id, MACHINE_SUFFIX, NULL);
        add_type(types, name, "machine", false);
    }
}

REGISTRY_DECLARE(accel_types, AccelOps);

Jv *qmp_qom_list_types(Monitors *monitors, const Jv *args, GError **error)
{
    TypeList types = { jv_array(), jv_member_string(args, "implements") };

    add_device_types(&types);
    add_config_types(&types, monitors->context.config);
    for (REGISTRY_FOREACH(accel_types, AccelOps, p)) {
        g_autofree char *name = g_strconcat((*p)->name, "-accel", NULL);
        add_type(&types, name, "accel", false);
    }
    if (jv_member_bool(args, "abstract", false)) {
        for (unsigned i = 0; i < G_N_ELEMENTS(abstract_types); i++) {
            add_type(&types, abstract_types[i].name, abstract_types[i].parent, true);
        }
    }
    return types.list;
}
