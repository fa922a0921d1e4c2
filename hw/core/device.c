/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The life of a device: allocated with its defaults, realized on a bus, reset, freed. */
#include "hw/core/device.h"

#include <string.h>

#include "hw/core/bus.h"
#include "hw/core/machine.h"
#include "hw/core/property.h"

REGISTRY_DECLARE(device_types, DeviceType);

const DeviceType *device_type_find(const char *name)
{
    for (REGISTRY_FOREACH(device_types, DeviceType, p)) {
        const char *const *aliases = (*p)->aliases;
        if (!strcmp((*p)->name, name) || (aliases && g_strv_contains(aliases, name))) {
            return *p;
        }
    }
    return NULL;
}

static gint compare_types(gconstpointer a, gconstpointer b)
{
    const DeviceType *const *x = a, *const *y = b;

    return strcmp((*x)->name, (*y)->name);
}

GPtrArray *device_types_list(void)
{
    GPtrArray *list = g_ptr_array_new();

    for (REGISTRY_FOREACH(device_types, DeviceType, p)) {
        g_ptr_array_add(list, (gpointer)*p);
    }
    g_ptr_array_sort(list, compare_types);
    return list;
}

const char *device_name(const Device *device)
{
    return device->id ? device->id : device->type->name;
}

/* --- Properties -------------------------------------------------------------- */

static const Property *bus_properties(const DeviceType *type)
{
    const BusType *bus = bus_type_find(type->bus);

    return bus ? bus->device_properties : NULL;
}

static const Property *property_find_in(const Property *list, const char *name)
{
    for (; list && list->name; list++) {
        if (!strcmp(list->name, name)) {
            return list;
        }
    }
    return NULL;
}

const Property *device_property_find(const DeviceType *type, const char *name)
{
    const Property *property = property_find_in(type->properties, name);

    return property ? property : property_find_in(bus_properties(type), name);
}

bool device_property_set(Device *device, const char *name, const char *value, GError **error)
{
    const Property *property = device_property_find(device->type, name);

    if (!property) {
        g_set_error(error, DEVICE_ERROR, 0, "%s: a '%s' has no property '%s'", device_name(device),
                    device->type->name, name);
        return false;
    }
    return property_store(device, property, value, error);
}

char *device_property_get(const Device *device, const char *name)
{
    const Property *property = device_property_find(device->type, name);

    return property ? property_text(device, property) : NULL;
}

/* A default that its own property does not take is our mistake. */
static void set_defaults(Device *device, const Property *list)
{
    g_autoptr(GError) error = NULL;

    for (; list && list->name; list++) {
        if (list->def && !property_store(device, list, list->def, &error)) {
            g_error("default of '%s': %s", list->name, error->message);
        }
    }
}

static void clear_properties(Device *device, const Property *list)
{
    for (; list && list->name; list++) {
        property_clear(device, list);
    }
}

/* --- Life ---------------------------------------------------------------------- */

Device *device_new(Machine *machine, const DeviceType *type, const char *id)
{
    g_assert(type->size >= sizeof(Device));
    Device *device = g_malloc0(type->size);

    device->type = type;
    device->id = g_strdup(id);
    device->machine = machine;
    set_defaults(device, bus_properties(type));
    set_defaults(device, type->properties);
    if (type->init) {
        type->init(device);
    }
    return device;
}

/* Buses first: what sits on them needs the device alive while it goes. */
static void free_child_buses(Device *device)
{
    while (device->child_buses && device->child_buses->len) {
        bus_free(g_ptr_array_index(device->child_buses, device->child_buses->len - 1));
    }
    g_clear_pointer(&device->child_buses, g_ptr_array_unref);
}

/* Gives back what device_new() took. */
static void device_destroy(Device *device)
{
    clear_properties(device, device->type->properties);
    clear_properties(device, bus_properties(device->type));
    g_free(device->id);
    g_free(device);
}

static const Property *required_missing(const Device *device, const Property *list)
{
    for (; list && list->name; list++) {
        if (list->required) {
            g_autofree char *text = property_text(device, list);
            if (!*text) {
                return list;
            }
        }
    }
    return NULL;
}

static bool device_check(Device *device, Bus *bus, GError **error)
{
    if (strcmp(bus->type->name, device->type->bus)) {
        g_set_error(error, DEVICE_ERROR, 0, "%s: a '%s' sits on a bus of type %s, but '%s' is %s",
                    device_name(device), device->type->name, device->type->bus, bus->name,
                    bus->type->name);
        return false;
    }
    const Property *missing = required_missing(device, device->type->properties);
    if (missing) {
        g_set_error(error, DEVICE_ERROR, 0, "%s: property '%s' must be set", device_name(device),
                    missing->name);
        return false;
    }
    return true;
}

bool device_realize(Device *device, Bus *bus, GError **error)
{
    if (!device_check(device, bus, error) || !bus_attach(bus, device, error)) {
        device_destroy(device);
        return false;
    }
    if (device->type->realize && !device->type->realize(device, error)) {
        free_child_buses(device);
        bus_detach(device);
        device_destroy(device);
        return false;
    }
    device->realized = true;
    g_ptr_array_add(device->machine->devices, device);
    return true;
}

void device_free(Device *device)
{
    if (device->realized) {
        free_child_buses(device);
        if (device->type->unrealize) {
            device->type->unrealize(device);
        }
        bus_detach(device);
        g_ptr_array_remove(device->machine->devices, device);
    }
    device_destroy(device);
}

void device_reset(Device *device)
{
    if (device->type->reset) {
        device->type->reset(device);
    }
}
