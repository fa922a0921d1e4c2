/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The panic notifier: a guest kernel that dies writes why to one port, and reads which reasons the
 * host knows. Interface: docs/specs/pvpanic of QEMU; Linux' include/uapi/misc/pvpanic.h.
 */
#include "hw/core/isa.h"
#include "hw/core/machine.h"
#include "util/log.h"

enum {
    PVPANIC_PANICKED = 1u << 0,
    PVPANIC_CRASH_LOADED = 1u << 1, /* the guest goes on to save a crash dump by itself */
};

typedef struct Pvpanic {
    IsaDevice parent;
    uint32_t iobase; /* properties */
    uint8_t events;
} Pvpanic;

static uint64_t pvpanic_read(void *opaque, uint64_t offset, unsigned size)
{
    return ((Pvpanic *)opaque)->events;
}

static void pvpanic_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    Pvpanic *s = opaque;

    if (value & ~(uint64_t)s->events) {
        log_guest_error("pvpanic: unknown event 0x%x", (unsigned)value);
    }
    if (value & s->events & PVPANIC_PANICKED) {
        machine_request_shutdown(s->parent.device.machine, SHUTDOWN_PANIC, 0);
    }
}

static const MemoryOps pvpanic_ops = { pvpanic_read, pvpanic_write, 1, 1 };

static bool pvpanic_realize(Device *device, GError **error)
{
    Pvpanic *s = (Pvpanic *)device;
    return isa_port_map(&s->parent, s->iobase, 1, &pvpanic_ops, s, error);
}

static const Property pvpanic_properties[] = {
    PROP(PROP_UINT32, Pvpanic, iobase, "ioport", "its port", "0x505", .max = 0xffff),
    PROP(PROP_UINT8, Pvpanic, events, "events",
         "events the guest may report: 1 panic, 2 crash dump",
         "3", .max = 3),
    PROP_END,
};

static const DeviceType pvpanic_type = {
    .name = "pvpanic",
    .desc = "guest panic notifier",
    .category = "Misc",
    .bus = "isa",
    .size = sizeof(Pvpanic),
    .properties = pvpanic_properties,
    .realize = pvpanic_realize,
    .ports = (const PortClaim[]) { { "ioport", 0, 1 }, { NULL, 0, 0 } },
};
DEVICE_TYPE(pvpanic_type);
