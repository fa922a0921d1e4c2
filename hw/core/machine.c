/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The machine object: made empty, filled by the plan, freed back to front. */
#include "hw/core/machine.h"

#include <string.h>

#include "accel/accel.h"
#include "accel/machine.h"
#include "hw/core/bus.h"
#include "hw/core/private.h"

/* vCPUs that hold translations of guest-physical pages must drop them. */
static void memory_changed(void *opaque)
{
    const Machine *machine = opaque;

    for (unsigned i = 0; i < machine->vcpus->len; i++) {
        vcpu_raise(g_ptr_array_index(machine->vcpus, i), VCPU_MEM_CHANGED);
    }
}

Machine *machine_new(const Config *config)
{
    Machine *machine = g_new0(Machine, 1);

    machine->priv = g_new0(struct MachinePrivate, 1);
    machine->priv->ready_hooks = g_array_new(FALSE, FALSE, sizeof(Hook));
    machine->priv->powerdown_hooks = g_array_new(FALSE, FALSE, sizeof(Hook));
    machine->priv->observers = g_array_new(FALSE, FALSE, sizeof(Observer));
    machine_lines_init(machine);
    machine->config = config;
    machine->power = POWER_PRELAUNCH;
    machine->memory = memory_space_new();
    machine->ports = port_space_new();
    machine->buses = g_ptr_array_new();
    machine->devices = g_ptr_array_new();
    machine->vcpus = g_ptr_array_new();
    machine->system_bus = bus_new_system(machine);
    memory_add_listener(machine->memory, memory_changed, machine);
    return machine;
}

void machine_dismantle(Machine *machine)
{
    for (unsigned i = 0; i < machine->vcpus->len; i++) {
        vcpu_stop(g_ptr_array_index(machine->vcpus, i));
    }
    g_clear_pointer(&machine->system_bus, bus_free);
    g_ptr_array_set_size(machine->vcpus, 0);
}

void machine_free(Machine *machine)
{
    machine_dismantle(machine);
    memory_space_free(machine->memory);
    port_space_free(machine->ports);
    ram_block_free(machine->ram);
    machine_lines_free(machine);
    g_array_unref(machine->priv->ready_hooks);
    g_array_unref(machine->priv->powerdown_hooks);
    g_array_unref(machine->priv->observers);
    g_free(machine->priv);
    g_ptr_array_unref(machine->vcpus);
    g_ptr_array_unref(machine->devices);
    g_ptr_array_unref(machine->buses);
    g_free(machine->type_name);
    g_free(machine);
}

Device *machine_find_device(Machine *machine, const char *type_name)
{
    for (unsigned i = 0; i < machine->devices->len; i++) {
        Device *device = g_ptr_array_index(machine->devices, i);
        if (!strcmp(device->type->name, type_name)) {
            return device;
        }
    }
    return NULL;
}

void machine_gather_ports(Machine *machine, uint16_t port, unsigned count, bool on)
{
    const AccelMachine *accel = machine->accel;

    if (accel && accel->ops->gather_ports) {
        accel->ops->gather_ports(accel->instance, port, count, on);
    }
}

void machine_on_ready(Machine *machine, MachineHook *hook, void *opaque)
{
    Hook entry = { hook, opaque };

    g_array_append_val(machine->priv->ready_hooks, entry);
}

void machine_on_powerdown(Machine *machine, MachineHook *hook, void *opaque)
{
    Hook entry = { hook, opaque };

    g_array_append_val(machine->priv->powerdown_hooks, entry);
}

void machine_observe(Machine *machine, MachineObserver *observer, void *opaque)
{
    Observer entry = { observer, opaque };

    g_array_append_val(machine->priv->observers, entry);
}

void machine_run_hooks(const GArray *hooks)
{
    for (unsigned i = 0; i < hooks->len; i++) {
        const Hook *hook = &g_array_index(hooks, Hook, i);
        hook->fn(hook->opaque);
    }
}
