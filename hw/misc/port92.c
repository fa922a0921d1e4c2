/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Port 92h, the PS/2 system control port A: fast reset and the A20 gate (82371SB datasheet 2.5.6).
 * The keyboard controller drives the same gate; the last writer of the two decides.
 */
#include "hw/core/isa.h"
#include "hw/core/machine.h"

enum {
    PORT92_RESET = 0x01,
    PORT92_A20 = 0x02,
};

typedef struct Port92 {
    IsaDevice parent;
    uint8_t value;
    IrqLine *a20;
} Port92;

static uint64_t port92_read(void *opaque, uint64_t offset, unsigned size)
{
    return ((Port92 *)opaque)->value;
}

static void port92_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    Port92 *s = opaque;
    uint8_t rising = value & ~s->value;

    s->value = value;
    irq_set(s->a20, !!(value & PORT92_A20));
    if (rising & PORT92_RESET) {
        machine_request_reset(s->parent.device.machine);
    }
}

static const MemoryOps port92_ops = { port92_read, port92_write, 1, 1 };

static const StateTable port92_state = {
    .name = "port92",
    .version = 1,
    .minimum_version = 1,
    .fields = (const StateField[]) { STATE_UINT_FIELD(Port92, value), STATE_END },
};

static void port92_reset(Device *device)
{
    Port92 *s = (Port92 *)device;
    s->value = PORT92_A20; /* the gate is open: the reset vector lies above 1 MiB */
    irq_set(s->a20, 1);
}

static bool port92_realize(Device *device, GError **error)
{
    Port92 *s = (Port92 *)device;
    s->a20 = machine_line(device->machine, "a20");
    return isa_port_map(&s->parent, 0x92, 1, &port92_ops, s, error);
}

static const Property port92_properties[] = { PROP_END };

static const DeviceType port92_type = {
    .name = "port92",
    .desc = "system control port A: fast reset and A20",
    .category = "Misc",
    .bus = "isa",
    .size = sizeof(Port92),
    .properties = port92_properties,
    .state = &port92_state,
    .realize = port92_realize,
    .reset = port92_reset,
    .ports = (const PortClaim[]) { { NULL, 0x92, 1 }, { NULL, 0, 0 } },
    .not_for_users = "part of the board: the machine file places it",
};
DEVICE_TYPE(port92_type);
