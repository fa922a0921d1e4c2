/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A toy bus with numbered slots, its host, and a toy chip with every kind of property. */
#include "tests/unit/hw-core/toy.h"

static bool toy_attach(Bus *bus, Device *device, GError **error)
{
    ToyBus *toy = (ToyBus *)bus;
    unsigned slot = ((ToyDevice *)device)->slot;

    if (toy->slots[slot]) {
        g_set_error(error, DEVICE_ERROR, 0, "slot %u is taken", slot);
        return false;
    }
    toy->slots[slot] = device;
    return true;
}

static void toy_detach(Bus *bus, Device *device)
{
    ((ToyBus *)bus)->slots[((ToyDevice *)device)->slot] = NULL;
}

static const Property toy_bus_properties[] = {
    PROP(PROP_UINT8, ToyDevice, slot, "slot", "slot on the bus", "0", .min = 0,
         .max = TOY_SLOTS - 1),
    PROP_END,
};

static const BusType toy_bus_type = {
    .name = "toy",
    .size = sizeof(ToyBus),
    .device_properties = toy_bus_properties,
    .attach = toy_attach,
    .detach = toy_detach,
    .irq_count = 8,
};
BUS_TYPE(toy_bus_type);

static bool toy_host_realize(Device *device, GError **error)
{
    bus_new(device, "toy", NULL);
    return true;
}

static const char *const toy_host_buses[] = { "toy", NULL };

static const DeviceType toy_host_type = {
    .name = "toy-host",
    .desc = "host of a toy bus",
    .bus = "system",
    .size = sizeof(Device),
    .realize = toy_host_realize,
    .child_buses = toy_host_buses,
};
DEVICE_TYPE(toy_host_type);

static bool toy_chip_realize(Device *device, GError **error)
{
    ToyChip *chip = (ToyChip *)device;

    if (chip->fail) {
        g_set_error(error, DEVICE_ERROR, 0, "told to fail");
        return false;
    }
    chip->reg = 1;
    return true;
}

static void toy_chip_unrealize(Device *device)
{
    ((ToyChip *)device)->reg = 0;
}

static void toy_chip_reset(Device *device)
{
    ((ToyChip *)device)->resets++;
}

static const char *const colours[] = { "red", "green", "blue", NULL };

static const Property toy_chip_properties[] = {
    PROP(PROP_BOOL, ToyChip, fail, "fail", "makes realize fail", "off"),
    PROP(PROP_UINT8, ToyChip, small, "small", "a byte", "7"),
    PROP(PROP_UINT16, ToyChip, iobase, "iobase", "first port", "0x300"),
    PROP(PROP_UINT8, ToyChip, irq, "irq", "interrupt", "1"),
    PROP(PROP_UINT32, ToyChip, ranged, "ranged", "10 to 20", "10", .min = 10, .max = 20),
    PROP(PROP_INT32, ToyChip, sign, "sign", "a signed number", "-5"),
    PROP(PROP_SIZE, ToyChip, amount, "amount", "a size", "1M"),
    PROP(PROP_STRING, ToyChip, label, "label", "a text", "none"),
    PROP(PROP_ENUM, ToyChip, colour, "colour", "a choice", "green", .choices = colours),
    PROP(PROP_MAC, ToyChip, mac, "mac", "a MAC address", "52:54:00:12:34:56"),
    PROP(PROP_PCI_ADDR, ToyChip, addr, "addr", "a PCI place", "-1"),
    PROP_END,
};

static const StateField toy_chip_fields[] = {
    STATE_UINT_FIELD(ToyChip, reg),
    STATE_UINT_ARRAY(ToyChip, fifo),
    STATE_END,
};

static const StateTable toy_chip_state = {
    .name = "toy-chip", .version = 1, .minimum_version = 1, .fields = toy_chip_fields
};

static const PortClaim toy_chip_ports[] = { { "iobase", 0, 4 }, { 0 } };
static const char *const toy_chip_aliases[] = { "toy-alias", NULL };

static const DeviceType toy_chip_type = {
    .name = "toy-chip",
    .aliases = toy_chip_aliases,
    .desc = "toy chip",
    .category = "Misc",
    .bus = "toy",
    .size = sizeof(ToyChip),
    .properties = toy_chip_properties,
    .ports = toy_chip_ports,
    .state = &toy_chip_state,
    .realize = toy_chip_realize,
    .unrealize = toy_chip_unrealize,
    .reset = toy_chip_reset,
};
DEVICE_TYPE(toy_chip_type);
