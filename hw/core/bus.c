/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Buses: made by the devices that provide them, found by name or type. */
#include "hw/core/bus.h"

#include <string.h>

#include "hw/core/machine.h"

REGISTRY_DECLARE(bus_types, BusType);

const BusType *bus_type_find(const char *name)
{
    for (REGISTRY_FOREACH(bus_types, BusType, p)) {
        if (!strcmp((*p)->name, name)) {
            return *p;
        }
    }
    return NULL;
}

Bus *bus_find(Machine *machine, const char *name)
{
    for (unsigned i = 0; i < machine->buses->len; i++) {
        Bus *bus = g_ptr_array_index(machine->buses, i);
        if (!strcmp(bus->name, name)) {
            return bus;
        }
    }
    return NULL;
}

Bus *bus_find_type(Machine *machine, const char *type)
{
    for (unsigned i = 0; i < machine->buses->len; i++) {
        Bus *bus = g_ptr_array_index(machine->buses, i);
        if (!strcmp(bus->type->name, type)) {
            return bus;
        }
    }
    return NULL;
}

static char *bus_next_name(Machine *machine, const char *type)
{
    for (unsigned n = 0;; n++) {
        char *name = g_strdup_printf("%s.%u", type, n);
        if (!bus_find(machine, name)) {
            return name;
        }
        g_free(name);
    }
}

static Bus *bus_create(Machine *machine, const char *type_name, char *name)
{
    const BusType *type = bus_type_find(type_name);

    g_assert(type);
    Bus *bus = g_malloc0(MAX(type->size, sizeof(Bus)));
    bus->type = type;
    bus->name = name;
    bus->machine = machine;
    bus->children = g_ptr_array_new();
    g_ptr_array_add(machine->buses, bus);
    return bus;
}

Bus *bus_new(Device *owner, const char *type, const char *name)
{
    Bus *bus = bus_create(owner->machine, type,
                          name ? g_strdup(name) : bus_next_name(owner->machine, type));

    bus->owner = owner;
    if (!owner->child_buses) {
        owner->child_buses = g_ptr_array_new();
    }
    g_ptr_array_add(owner->child_buses, bus);
    return bus;
}

void bus_free(Bus *bus)
{
    while (bus->children->len) {
        device_free(g_ptr_array_index(bus->children, bus->children->len - 1));
    }
    if (bus->owner) {
        g_ptr_array_remove(bus->owner->child_buses, bus);
    }
    g_ptr_array_remove(bus->machine->buses, bus);
    g_ptr_array_unref(bus->children);
    g_free(bus->name);
    g_free(bus);
}

bool bus_attach(Bus *bus, Device *device, GError **error)
{
    if (bus->type->attach && !bus->type->attach(bus, device, error)) {
        return false;
    }
    device->parent_bus = bus;
    g_ptr_array_add(bus->children, device);
    return true;
}

void bus_detach(Device *device)
{
    Bus *bus = device->parent_bus;

    if (bus->type->detach) {
        bus->type->detach(bus, device);
    }
    g_ptr_array_remove(bus->children, device);
    device->parent_bus = NULL;
}

/* --- The system bus: chips that sit at fixed addresses of the board ------------- */

Bus *bus_new_system(Machine *machine)
{
    return bus_create(machine, "system", g_strdup("system"));
}

static char *system_bus_place(const Device *device)
{
    return g_strdup("board");
}

static const BusType system_bus_type = {
    .name = "system",
    .size = sizeof(Bus),
    .place = system_bus_place,
};
BUS_TYPE(system_bus_type);
