/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The ISA bus and the host device that provides it on machines without a PCI-to-ISA bridge. */
#include "hw/core/isa.h"

#include "hw/core/machine.h"

bool isa_port_map(IsaDevice *device, uint16_t port, unsigned count, const MemoryOps *ops,
                  void *opaque, GError **error)
{
    g_assert(device->port_ranges < ISA_MAX_PORT_RANGES);
    PortMapping *mapping = port_map(device->device.machine->ports, port, count, ops, opaque,
                                    device_name(&device->device), error);
    if (!mapping) {
        isa_ports_unmap(device);
        return false;
    }
    device->ports[device->port_ranges++] = mapping;
    return true;
}

void isa_ports_unmap(IsaDevice *device)
{
    while (device->port_ranges > 0) {
        port_unmap(device->ports[--device->port_ranges]);
    }
}

IrqLine *isa_irq(IsaDevice *device, unsigned irq, GError **error)
{
    if (irq >= ISA_IRQ_COUNT) {
        g_set_error(error, DEVICE_ERROR, 0,
                    "%s: the ISA bus has interrupts 0 to 15, not %u", device_name(&device->device),
                    irq);
        return NULL;
    }
    return machine_gsi(device->device.machine, irq);
}

/* Nothing to claim here: ports are claimed one by one in realize, interrupts can be shared. */
static bool isa_attach(Bus *bus, Device *device, GError **error)
{
    return true;
}

static void isa_detach(Bus *bus, Device *device)
{
    isa_ports_unmap((IsaDevice *)device);
}

static char *isa_place(const Device *device)
{
    return g_strdup("isa");
}

static const Property isa_bus_properties[] = { PROP_END };

static const BusType isa_bus_type = {
    .name = "isa",
    .size = sizeof(Bus),
    .device_properties = isa_bus_properties,
    .attach = isa_attach,
    .detach = isa_detach,
    .irq_count = ISA_IRQ_COUNT,
    .place = isa_place,
};
BUS_TYPE(isa_bus_type);

static bool isa_host_realize(Device *device, GError **error)
{
    bus_new(device, "isa", NULL);
    return true;
}

static const char *const isa_host_buses[] = { "isa", NULL };
static const Property isa_host_properties[] = { PROP_END };

static const DeviceType isa_host_type = {
    .name = "isa-bus-host",
    .desc = "ISA bus of a machine without PCI",
    .category = "Bridge",
    .bus = "system",
    .size = sizeof(Device),
    .properties = isa_host_properties,
    .realize = isa_host_realize,
    .child_buses = isa_host_buses,
    .not_for_users = "the machine file decides whether there is an ISA bus",
};
DEVICE_TYPE(isa_host_type);
