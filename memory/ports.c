/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The 65,536 I/O ports: a table from port to mapping, so that dispatch is one look-up. */
#include "memory/internal.h"
#include "util/lock.h"
#include "util/log.h"

#define PORT_COUNT 65536u

struct PortMapping {
    PortSpace *space;
    uint32_t first, end; /* end is past the last */
    DeviceRegion region;
};

struct PortSpace {
    PortMapping *table[PORT_COUNT]; /* zero pages of it stay untouched */
};

PortSpace *port_space_new(void)
{
    return g_new0(PortSpace, 1);
}

void port_space_free(PortSpace *space)
{
    if (!space) {
        return;
    }
    for (unsigned port = 0; port < PORT_COUNT; port++) {
        if (space->table[port]) {
            port_unmap(space->table[port]);
        }
    }
    g_free(space);
}

static bool ports_are_free(const PortSpace *space, uint32_t first, uint32_t end, const char *name,
                           GError **error)
{
    for (uint32_t port = first; port < end; port++) {
        const PortMapping *owner = space->table[port];
        if (owner) {
            g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_EXIST,
                        "'%s' wants I/O ports 0x%x-0x%x, but '%s' has 0x%x-0x%x", name, first,
                        end - 1, owner->region.name, owner->first, owner->end - 1);
            return false;
        }
    }
    return true;
}

PortMapping *port_map(PortSpace *space, uint16_t port, unsigned count, const MemoryOps *ops,
                      void *opaque, const char *name, GError **error)
{
    uint32_t first = port, end = first + count;

    g_assert(count);
    if (count > PORT_COUNT || end > PORT_COUNT) {
        g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_INVAL,
                    "'%s' wants %u I/O ports from 0x%x: the last port is 0xffff", name, count,
                    first);
        return NULL;
    }
    if (!ports_are_free(space, first, end, name, error)) {
        return NULL;
    }
    PortMapping *mapping = g_new(PortMapping, 1);
    *mapping = (PortMapping){ space, first, end, { ops, opaque, g_intern_string(name), 4 } };
    for (uint32_t p = first; p < end; p++) {
        space->table[p] = mapping;
    }
    return mapping;
}

void port_unmap(PortMapping *mapping)
{
    if (mapping) {
        for (uint32_t port = mapping->first; port < mapping->end; port++) {
            mapping->space->table[port] = NULL;
        }
        g_free(mapping);
    }
}

static PortMapping *port_find(PortSpace *space, uint32_t port)
{
    return port < PORT_COUNT ? space->table[port] : NULL;
}

/*
 * The size of the next piece of an access at @port: whole if one mapping has all of it, else a
 * byte.
 */
static unsigned port_step(const PortMapping *mapping, uint32_t port, unsigned size)
{
    return mapping && port + size <= mapping->end ? size : 1;
}

uint32_t port_read(PortSpace *space, uint16_t port, unsigned size)
{
    bool taken = machine_lock_enter();
    uint32_t value = 0;

    for (unsigned done = 0; done < size;) {
        PortMapping *mapping = port_find(space, port + done);
        unsigned step = port_step(mapping, port + done, size - done);
        uint32_t part = 0xff;
        if (mapping) {
            part = device_region_read(mapping->region, port + done - mapping->first, step);
        } else if (!done) {
            log_write(LOG_UNIMP, "ports: read of %u bytes at unassigned 0x%x", size, port);
        }
        value |= part << (done * 8);
        done += step;
    }
    machine_lock_leave(taken);
    return value;
}

void port_write(PortSpace *space, uint16_t port, uint32_t value, unsigned size)
{
    bool taken = machine_lock_enter();

    for (unsigned done = 0; done < size;) {
        PortMapping *mapping = port_find(space, port + done);
        unsigned step = port_step(mapping, port + done, size - done);
        if (mapping) {
            device_region_write(mapping->region, port + done - mapping->first,
                                value >> (done * 8), step);
        } else if (!done) {
            log_write(LOG_UNIMP, "ports: write of 0x%x (%u bytes) at unassigned 0x%x", value, size,
                      port);
        }
        done += step;
    }
    machine_lock_leave(taken);
}

void port_space_describe(const PortSpace *space, GString *out)
{
    const PortMapping *before = NULL;

    g_string_append(out, "I/O ports:\n");
    for (unsigned port = 0; port < PORT_COUNT; port++) {
        const PortMapping *mapping = space->table[port];
        if (mapping && mapping != before) {
            g_string_append_printf(out, "  %04x-%04x %s\n", mapping->first, mapping->end - 1,
                                   mapping->region.name);
        }
        before = mapping;
    }
}
