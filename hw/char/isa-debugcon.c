/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The debug console: bytes written to one port go to a character back end. Reading gives a value by
 * which firmware knows that the port is there.
 */
#include "chardev/chardev.h"
#include "hw/core/isa.h"
#include "hw/core/machine.h"

/* The port has no way to say "wait": a guest that outruns a stuck host loses bytes beyond this. */
#define DEBUGCON_BUFFER 4096

typedef struct DebugCon {
    IsaDevice parent;
    Chardev *chardev; /* properties */
    uint32_t iobase;
    uint32_t readback;
    uint8_t buffer[DEBUGCON_BUFFER];
    unsigned buffered;
} DebugCon;

static void debugcon_flush(DebugCon *s)
{
    size_t written = chardev_write(s->chardev, s->buffer, s->buffered);

    s->buffered -= written;
    memmove(s->buffer, s->buffer + written, s->buffered);
}

static uint64_t debugcon_read(void *opaque, uint64_t offset, unsigned size)
{
    return ((DebugCon *)opaque)->readback;
}

static void debugcon_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    DebugCon *s = opaque;
    uint8_t byte = value;

    if (s->buffered == 0 && chardev_write(s->chardev, &byte, 1) == 1) {
        return;
    }
    if (s->buffered < DEBUGCON_BUFFER) {
        s->buffer[s->buffered++] = byte;
    }
}

static const MemoryOps debugcon_ops = { debugcon_read, debugcon_write, 1, 1 };

static size_t debugcon_can_receive(void *opaque)
{
    return 0;
}

static void debugcon_receive(void *opaque, const uint8_t *data, size_t size)
{
}

static void debugcon_writable(void *opaque)
{
    debugcon_flush(opaque);
}

static const ChardevClient debugcon_client = {
    .can_receive = debugcon_can_receive,
    .receive = debugcon_receive,
    .writable = debugcon_writable,
};

static bool debugcon_realize(Device *device, GError **error)
{
    DebugCon *s = (DebugCon *)device;

    if (!s->chardev) {
        g_set_error(error, DEVICE_ERROR, 0,
                    "isa-debugcon: needs chardev=ID, the back end to write to");
        return false;
    }
    if (!isa_port_map(&s->parent, s->iobase, 1, &debugcon_ops, s, error)) {
        return false;
    }
    if (!chardev_attach(s->chardev, &debugcon_client, s, error)) {
        isa_ports_unmap(&s->parent);
        return false;
    }
    return true;
}

static void debugcon_unrealize(Device *device)
{
    DebugCon *s = (DebugCon *)device;

    chardev_detach(s->chardev, s);
    isa_ports_unmap(&s->parent);
}

static const Property debugcon_properties[] = {
    PROP(PROP_CHARDEV, DebugCon, chardev, "chardev", "back end that the bytes go to", NULL),
    PROP(PROP_UINT32, DebugCon, iobase, "iobase", "its port", "0xe9", .max = 0xffff),
    PROP(PROP_UINT32, DebugCon, readback, "readback", "what reading the port gives", "0xe9",
         .max = 0xff),
    PROP_END,
};

static const DeviceType debugcon_type = {
    .name = "isa-debugcon",
    .desc = "debug console port",
    .category = "Misc",
    .bus = "isa",
    .size = sizeof(DebugCon),
    .properties = debugcon_properties,
    .realize = debugcon_realize,
    .unrealize = debugcon_unrealize,
    .ports = (const PortClaim[]) { { "iobase", 0, 1 }, { NULL, 0, 0 } },
};
DEVICE_TYPE(debugcon_type);
