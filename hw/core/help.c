/* SPDX-License-Identifier: GPL-2.0-or-later */
/* -device, -machine and -accel help, from the same descriptors that make devices and vCPUs. */
#include <string.h>

#include "accel/accel.h"
#include "hw/core/plan.h"

REGISTRY_DECLARE(accel_types, AccelOps);

static gint compare_by_category(gconstpointer a, gconstpointer b)
{
    const DeviceType *const *x = a, *const *y = b;
    int order = g_strcmp0((*x)->category, (*y)->category);

    return order ? order : strcmp((*x)->name, (*y)->name);
}

static char *list_devices(void)
{
    g_autoptr(GPtrArray) types = device_types_list();
    GString *text = g_string_new(NULL);
    const char *category = NULL;

    g_ptr_array_sort(types, compare_by_category);
    for (unsigned i = 0; i < types->len; i++) {
        const DeviceType *type = g_ptr_array_index(types, i);
        const char *heading = type->category ? type->category : "Misc";
        if (g_strcmp0(heading, category)) {
            g_string_append_printf(text, "%s%s devices:\n", category ? "\n" : "", heading);
            category = heading;
        }
        g_string_append_printf(text, "name \"%s\", bus %s, desc \"%s\"%s\n", type->name, type->bus,
                               type->desc, type->not_for_users ? ", machine files only" : "");
    }
    return g_string_free(text, FALSE);
}

static void describe_properties(GString *text, const Property *list)
{
    for (; list && list->name; list++) {
        g_autofree char *accepts = property_accepts(list);
        g_string_append_printf(text, "  %s=<%s> - %s", list->name, accepts, list->help);
        if (list->def) {
            g_string_append_printf(text, " (default: %s)", *list->def ? list->def : "\"\"");
        }
        g_string_append(text, list->required ? " (required)\n" : "\n");
    }
}

static char *describe_type(const DeviceType *type)
{
    GString *text = g_string_new(NULL);
    const BusType *bus = bus_type_find(type->bus);

    g_string_append_printf(text, "%s: %s, on a bus of type %s\n", type->name, type->desc,
                           type->bus);
    if (type->not_for_users) {
        g_string_append_printf(text, "Not for -device: %s\n", type->not_for_users);
    }
    describe_properties(text, bus ? bus->device_properties : NULL);
    describe_properties(text, type->properties);
    return g_string_free(text, FALSE);
}

char *device_help(const Config *config, const char *topic)
{
    const DeviceType *type = topic ? device_type_find(topic) : NULL;

    if (topic && !type) {
        return g_strdup_printf("There is no device '%s'; '-device help' lists all.\n", topic);
    }
    return type ? describe_type(type) : list_devices();
}

char *machine_help(const Config *config, const char *topic)
{
    g_autoptr(GPtrArray) types = config_machine_types(config);
    GString *text = g_string_new("Supported machines are:\n");

    for (unsigned i = 0; i < types->len; i++) {
        const ConfigGroup *type = g_ptr_array_index(types, i);
        const char *desc = group_get(type, "description"), *alias = group_get(type, "alias");
        bool is_default = !g_strcmp0(group_get(type, "is_default"), "on");
        g_string_append_printf(text, "%-20s %s%s", type->id, desc ? desc : "",
                               is_default ? " (default)" : "");
        if (alias) {
            g_string_append_printf(text, " (alias %s)", alias);
        }
        g_string_append_printf(text, " [%s]\n", origin_describe(type->origin));
    }
    return g_string_free(text, FALSE);
}

char *accel_help(const Config *config, const char *topic)
{
    GString *text = g_string_new("Accelerators supported in this binary:\n");

    for (REGISTRY_FOREACH(accel_types, AccelOps, p)) {
        g_string_append_printf(text, "%s\n", (*p)->name);
    }
    g_string_append_c(text, '\n');
    for (REGISTRY_FOREACH(accel_types, AccelOps, p)) {
        g_autoptr(GError) error = NULL;
        bool works = (*p)->available(config, &error);
        g_string_append_printf(text, "%s is %s; %s%s\n", (*p)->name, (*p)->desc,
                               works ? "it works here" : "it does not work here: ",
                               works ? "" : error->message);
    }
    return g_string_free(text, FALSE);
}
