/* SPDX-License-Identifier: GPL-2.0-or-later */
/* From [device] and [global] groups to planned devices: types, properties, buses, order. */
#include <string.h>

#include "chardev/options.h"
#include "hw/core/plan-internal.h"

/* Keys of [device] that are the plan's own and no property of any device. */
static const char *const plan_keys[] = { "driver", "id", "bus", "default", "needs", NULL };

const char *planned_name(const PlannedDevice *device)
{
    return device->id ? device->id : device->type->name;
}

const PlannedProperty *planned_property(const PlannedDevice *device, const Property *property)
{
    for (unsigned i = 0; i < device->properties->len; i++) {
        const PlannedProperty *set = &g_array_index(device->properties, PlannedProperty, i);
        if (set->property == property) {
            return set;
        }
    }
    return NULL;
}

const char *planned_value(const PlannedDevice *device, const Property *property)
{
    const PlannedProperty *set = planned_property(device, property);

    return set ? set->value : property->def;
}

const Origin *planned_origin(const PlannedDevice *device, const Property *property)
{
    const PlannedProperty *set = planned_property(device, property);

    return set ? set->origin : device->group->origin;
}

static void planned_device_free(gpointer opaque)
{
    PlannedDevice *device = opaque;

    g_array_unref(device->properties);
    g_free(device);
}

/* --- Names, for suggestions ---------------------------------------------------- */

static void suggest_types(const char *word, Diag *diag)
{
    g_autoptr(GPtrArray) types = device_types_list();
    g_autoptr(GPtrArray) names = g_ptr_array_new();

    for (unsigned i = 0; i < types->len; i++) {
        const DeviceType *type = g_ptr_array_index(types, i);
        g_ptr_array_add(names, (gpointer)type->name);
        for (const char *const *alias = type->aliases; alias && *alias; alias++) {
            g_ptr_array_add(names, (gpointer)*alias);
        }
    }
    g_ptr_array_add(names, NULL);
    diag_suggest(diag, word, (const char *const *)names->pdata);
    diag_note(diag, NULL, "'-device help' lists all devices");
}

static void add_names(GPtrArray *names, const Property *list)
{
    for (; list && list->name; list++) {
        g_ptr_array_add(names, (gpointer)list->name);
    }
}

static void suggest_properties(const DeviceType *type, const char *word, Diag *diag)
{
    g_autoptr(GPtrArray) names = g_ptr_array_new();
    const BusType *bus = bus_type_find(type->bus);

    add_names(names, type->properties);
    add_names(names, bus ? bus->device_properties : NULL);
    g_ptr_array_add(names, NULL);
    if (names->len > 1) {
        diag_suggest(diag, word, (const char *const *)names->pdata);
    } else {
        diag_note(diag, NULL, "it has no properties at all");
    }
}

static void suggest_groups(const Config *config, const char *type, const char *word, Diag *diag)
{
    const GPtrArray *groups = config_groups(config, type);
    g_autoptr(GPtrArray) names = g_ptr_array_new();

    for (unsigned i = 0; i < groups->len; i++) {
        const ConfigGroup *group = g_ptr_array_index(groups, i);
        if (group->id) {
            g_ptr_array_add(names, (gpointer)group->id);
        }
    }
    g_ptr_array_add(names, NULL);
    if (names->len > 1) {
        diag_suggest(diag, word, (const char *const *)names->pdata);
    }
}

/* --- Properties ------------------------------------------------------------------- */

static bool check_chardev(const Config *config, const char *id, const Origin *origin, Diag *diag)
{
    if (config_find(config, "chardev", chardev_resolve(config, id))) {
        return true;
    }
    diag_error(diag, origin, "there is no chardev '%s'", id);
    suggest_groups(config, "chardev", id, diag);
    return false;
}

static bool check_value(const Config *config, const Property *property, const char *text,
                        const Origin *origin, Diag *diag)
{
    GError *error = NULL;

    if (!property_check(property, text, &error)) {
        diag_gerror(diag, origin, error);
        return false;
    }
    return property->type != PROP_CHARDEV || check_chardev(config, text, origin, diag);
}

/* The property @name of @type, or NULL after a report at @origin. */
static const Property *find_property(const DeviceType *type, const char *name,
                                     const Origin *origin, Diag *diag)
{
    const Property *property = device_property_find(type, name);

    if (!property) {
        diag_error(diag, origin, "device '%s' has no property '%s'", type->name, name);
        suggest_properties(type, name, diag);
    }
    return property;
}

static void plan_own_properties(const MachinePlan *plan, PlannedDevice *device, Diag *diag)
{
    for (unsigned i = 0; i < device->group->values->len; i++) {
        const ConfigValue *value = g_ptr_array_index(device->group->values, i);
        if (g_strv_contains(plan_keys, value->key)) {
            continue;
        }
        const Property *property = find_property(device->type, value->key, value->key_origin, diag);
        if (property && check_value(plan->config, property, value->value, value->origin, diag)) {
            PlannedProperty set = { property, value->value, value->origin };
            g_array_append_val(device->properties, set);
        }
    }
}

static void check_required(const PlannedDevice *device, Diag *diag)
{
    for (const Property *p = device->type->properties; p && p->name; p++) {
        if (p->required && !group_get(device->group, p->name) && !planned_property(device, p)) {
            diag_error(diag, device->group->origin, "device '%s' needs the property '%s' (%s)",
                       planned_name(device), p->name, p->help);
        }
    }
}

/* --- [global] ------------------------------------------------------------------------ */

typedef struct PlannedGlobal {
    const ConfigValue *value;
    const DeviceType *type;
    PlannedProperty set;
    bool used;
} PlannedGlobal;

/* @value is "driver.property = value". False after a report. */
static bool plan_global(const MachinePlan *plan, const ConfigValue *value, PlannedGlobal *global,
                        Diag *diag)
{
    const char *dot = strrchr(value->key, '.');
    if (!dot) {
        return false; /* config_validate() has reported it */
    }
    g_autofree char *driver = g_strndup(value->key, dot - value->key);
    const DeviceType *type = device_type_find(driver);

    if (!type) {
        diag_error(diag, value->key_origin, "unknown device '%s'", driver);
        suggest_types(driver, diag);
        return false;
    }
    const Property *property = find_property(type, dot + 1, value->key_origin, diag);
    *global = (PlannedGlobal){ value, type, { property, value->value, value->origin }, false };
    return property && check_value(plan->config, property, value->value, value->origin, diag);
}

static GArray *plan_globals(const MachinePlan *plan, Diag *diag)
{
    const ConfigGroup *group = config_find(plan->config, "global", NULL);
    GArray *globals = g_array_new(FALSE, FALSE, sizeof(PlannedGlobal));

    for (unsigned i = 0; group && i < group->values->len; i++) {
        PlannedGlobal global;
        if (plan_global(plan, g_ptr_array_index(group->values, i), &global, diag)) {
            g_array_append_val(globals, global);
        }
    }
    return globals;
}

/* A global is a default: what the device itself says wins. */
static void apply_global(PlannedDevice *device, PlannedGlobal *global)
{
    global->used = true;
    if (!planned_property(device, global->set.property)) {
        g_array_append_val(device->properties, global->set);
    }
}

static void apply_globals(PlannedDevice *device, GArray *globals)
{
    for (unsigned i = 0; i < globals->len; i++) {
        PlannedGlobal *global = &g_array_index(globals, PlannedGlobal, i);
        if (global->type == device->type) {
            apply_global(device, global);
        }
    }
}

static void warn_unused_globals(const GArray *globals, Diag *diag)
{
    for (unsigned i = 0; i < globals->len; i++) {
        const PlannedGlobal *global = &g_array_index(globals, PlannedGlobal, i);
        if (!global->used) {
            diag_warning(diag, global->value->key_origin,
                         "this machine has no '%s': this default is not used", global->type->name);
        }
    }
}

/* --- Devices ---------------------------------------------------------------------------- */

/* The type of @group, or NULL after a report; config_validate() reports a group without driver. */
static const DeviceType *find_type(const ConfigGroup *group, Diag *diag)
{
    const char *driver = group_get(group, "driver");

    if (!driver) {
        return NULL;
    }
    const DeviceType *type = device_type_find(driver);
    if (!type) {
        diag_error(diag, group_origin(group, "driver"), "unknown device '%s'", driver);
        suggest_types(driver, diag);
    } else if (type->not_for_users && group->first_layer >= LAYER_CMDLINE) {
        diag_error(diag, group_origin(group, "driver"), "'%s' cannot be added: %s", type->name,
                   type->not_for_users);
        return NULL;
    }
    return type;
}

static PlannedDevice *plan_device(const MachinePlan *plan, const ConfigGroup *group,
                                  GArray *globals, Diag *diag)
{
    const DeviceType *type = find_type(group, diag);

    if (!type) {
        return NULL;
    }
    PlannedDevice *device = g_new0(PlannedDevice, 1);
    device->type = type;
    device->group = group;
    device->id = group->id;
    device->properties = g_array_new(FALSE, FALSE, sizeof(PlannedProperty));
    plan_own_properties(plan, device, diag);
    apply_globals(device, globals);
    check_required(device, diag);
    return device;
}

/* --- Buses and order ----------------------------------------------------------------------- */

static bool bus_name_is_of_type(const char *name, const char *type)
{
    size_t length = strlen(type);

    return !strncmp(name, type, length) && (name[length] == '.' || !name[length]);
}

/* The bus planned so far that @device goes to, or NULL. */
static const char *choose_bus(const MachinePlan *plan, const PlannedDevice *device)
{
    const char *wanted = group_get(device->group, "bus");

    for (unsigned i = 0; i < plan->buses->len; i++) {
        const char *name = g_ptr_array_index(plan->buses, i);
        if (wanted ? !strcmp(name, wanted) : bus_name_is_of_type(name, device->type->bus)) {
            return name;
        }
    }
    return NULL;
}

/* The name that bus_new() will give the next bus of @type. */
static char *next_bus_name(const MachinePlan *plan, const char *type)
{
    unsigned n = 0;

    for (unsigned i = 0; i < plan->buses->len; i++) {
        n += bus_name_is_of_type(g_ptr_array_index(plan->buses, i), type);
    }
    return g_strdup_printf("%s.%u", type, n);
}

static void place_device(MachinePlan *plan, PlannedDevice *device, const char *bus)
{
    device->bus = bus;
    g_ptr_array_add(plan->devices, device);
    for (const char *const *type = device->type->child_buses; type && *type; type++) {
        g_ptr_array_add(plan->buses, next_bus_name(plan, *type));
    }
}

/* Places, in their order, all of @waiting whose bus is there; true if there was one. */
static bool place_ready(MachinePlan *plan, GPtrArray *waiting)
{
    bool any = false;

    for (unsigned i = 0; i < waiting->len;) {
        PlannedDevice *device = g_ptr_array_index(waiting, i);
        const char *bus = choose_bus(plan, device);
        if (bus) {
            g_ptr_array_remove_index(waiting, i);
            place_device(plan, device, bus);
            any = true;
        } else {
            i++;
        }
    }
    return any;
}

static void report_no_bus(const MachinePlan *plan, const PlannedDevice *device, Diag *diag)
{
    const char *wanted = group_get(device->group, "bus");

    if (!wanted) {
        diag_error(diag, device->group->origin,
                   "device '%s' sits on a bus of type %s, and this machine has none",
                   planned_name(device), device->type->bus);
        return;
    }
    g_autoptr(GPtrArray) names = g_ptr_array_new();
    g_ptr_array_extend(names, plan->buses, NULL, NULL);
    g_ptr_array_add(names, NULL);
    diag_error(diag, group_origin(device->group, "bus"), "there is no bus '%s'", wanted);
    diag_suggest(diag, wanted, (const char *const *)names->pdata);
}

static void check_bus_type(const PlannedDevice *device, Diag *diag)
{
    if (!bus_name_is_of_type(device->bus, device->type->bus)) {
        diag_error(diag, group_origin(device->group, "bus"),
                   "device '%s' sits on a bus of type %s, not on '%s'", planned_name(device),
                   device->type->bus, device->bus);
    }
}

/* Realize order: a bus before what sits on it, else as the files have it. */
static void order_devices(MachinePlan *plan, GPtrArray *waiting, Diag *diag)
{
    while (place_ready(plan, waiting)) {
    }
    for (unsigned i = 0; i < waiting->len; i++) {
        report_no_bus(plan, g_ptr_array_index(waiting, i), diag);
        planned_device_free(g_ptr_array_index(waiting, i));
    }
    for (unsigned i = 0; i < plan->devices->len; i++) {
        check_bus_type(g_ptr_array_index(plan->devices, i), diag);
    }
}

void plan_devices(MachinePlan *plan, Diag *diag)
{
    const GPtrArray *groups = config_groups(plan->config, "device");
    g_autoptr(GPtrArray) waiting = g_ptr_array_new();
    g_autoptr(GArray) globals = plan_globals(plan, diag);

    plan->devices = g_ptr_array_new_with_free_func(planned_device_free);
    plan->buses = g_ptr_array_new_with_free_func(g_free);
    g_ptr_array_add(plan->buses, g_strdup("system"));
    for (unsigned i = 0; i < groups->len; i++) {
        PlannedDevice *device = plan_device(plan, g_ptr_array_index(groups, i), globals, diag);
        if (device) {
            g_ptr_array_add(waiting, device);
        }
    }
    order_devices(plan, waiting, diag);
    warn_unused_globals(globals, diag);
}
