/* SPDX-License-Identifier: GPL-2.0-or-later */
/* From plan to machine: RAM, then the devices one after the other. */
#include "chardev/options.h"
#include "hw/core/plan-internal.h"

void machine_plan_apply(const MachinePlan *plan, Machine *machine)
{
    machine->config = plan->config;
    machine->type_name = g_strdup(plan->type_name);
    machine->ram_size = plan->ram_size;
    machine->smp_cpus = plan->cpus;
    machine->smp_max_cpus = plan->max_cpus;
    machine->smp_sockets = plan->sockets;
    machine->smp_dies = plan->dies;
    machine->smp_cores = plan->cores;
    machine->smp_threads = plan->threads;
}

static bool build_ram(Machine *machine, Diag *diag)
{
    const ConfigGroup *memory = config_find(machine->config, "memory", NULL);
    GError *error = NULL;

    if (!machine->ram_size) {
        return true;
    }
    machine->ram = ram_block_new("pc.ram", machine->ram_size, &error);
    if (!machine->ram) {
        diag_gerror(diag, memory ? group_origin(memory, "size") : NULL, error);
        return false;
    }
    return true;
}

static bool build_device(Machine *machine, const PlannedDevice *planned, Diag *diag)
{
    Device *device = device_new(machine, planned->type, planned->id);
    GError *error = NULL;

    device->origin = planned->group->origin;
    for (unsigned i = 0; i < planned->properties->len; i++) {
        const PlannedProperty *set = &g_array_index(planned->properties, PlannedProperty, i);
        const char *value = set->property->type == PROP_CHARDEV
                                ? chardev_resolve(machine->config, set->value)
                                : set->value;
        if (!device_property_set(device, set->property->name, value, &error)) {
            diag_gerror(diag, set->origin, error);
            device_free(device);
            return false;
        }
    }
    Bus *bus = bus_find(machine, planned->bus);
    g_assert(bus); /* the plan has its provider before it */
    if (!device_realize(device, bus, &error)) {
        if (machine->blame) {
            diag_gerror(diag, machine->blame, error);
            return false;
        }
        g_prefix_error(&error, "%s: ", planned_name(planned));
        diag_gerror(diag, planned->group->origin, error);
        return false;
    }
    return true;
}

bool machine_build(Machine *machine, const MachinePlan *plan, Diag *diag)
{
    if (!build_ram(machine, diag)) {
        return false;
    }
    for (unsigned i = 0; i < plan->devices->len; i++) {
        if (!build_device(machine, g_ptr_array_index(plan->devices, i), diag)) {
            return false; /* what comes after may need it */
        }
    }
    return true;
}
