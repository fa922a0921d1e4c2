/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A port by which test programs end the emulator with an exit status of their own. */
#include "hw/core/isa.h"
#include "hw/core/machine.h"

typedef struct DebugExit {
    IsaDevice parent;
    uint32_t iobase; /* properties */
    uint32_t iosize;
} DebugExit;

static uint64_t debug_exit_read(void *opaque, uint64_t offset, unsigned size)
{
    return 0;
}

/* The lowest bit tells an end by the guest from one by the host: the status is never 0. */
static void debug_exit_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    DebugExit *s = opaque;
    machine_request_shutdown(s->parent.device.machine, SHUTDOWN_GUEST, (int)(value << 1 | 1));
}

static const MemoryOps debug_exit_ops = { debug_exit_read, debug_exit_write, 1, 4 };

static bool debug_exit_realize(Device *device, GError **error)
{
    DebugExit *s = (DebugExit *)device;
    return isa_port_map(&s->parent, s->iobase, s->iosize, &debug_exit_ops, s, error);
}

static const Property debug_exit_properties[] = {
    PROP(PROP_UINT32, DebugExit, iobase, "iobase", "its first port", "0x501", .max = 0xffff),
    PROP(PROP_UINT32, DebugExit, iosize, "iosize", "how many ports it takes", "2", .min = 1,
         .max = 8),
    PROP_END,
};

static const DeviceType debug_exit_type = {
    .name = "isa-debug-exit",
    .desc = "port that ends the emulator with (value << 1) | 1",
    .category = "Misc",
    .bus = "isa",
    .size = sizeof(DebugExit),
    .properties = debug_exit_properties,
    .realize = debug_exit_realize,
    .ports = (const PortClaim[]) { { "iobase", 0, 1 }, { NULL, 0, 0 } },
};
DEVICE_TYPE(debug_exit_type);
