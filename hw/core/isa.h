/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The ISA bus: devices on it sit at fixed ports and IRQs. It is provided by a PCI-to-ISA bridge, or
 * by "isa-bus-host" on machines that have nothing else.
 */
#ifndef HW_CORE_ISA_H
#define HW_CORE_ISA_H

#include "hw/core/device.h"
#include "memory/memory.h"

#define ISA_IRQ_COUNT 16
#define ISA_MAX_PORT_RANGES 8

/* The base of every ISA device object. */
typedef struct IsaDevice {
    Device device;
    PortMapping *ports[ISA_MAX_PORT_RANGES];
    unsigned port_ranges;
} IsaDevice;

/*
 * Claims @count ports from @port for @device, which calls this from realize(). Messages name the
 * device by its id, or its type if it has none. False and @error if a port is taken; what was
 * mapped before is unmapped then, so that realize() can simply return.
 */
bool isa_port_map(IsaDevice *device, uint16_t port, unsigned count, const MemoryOps *ops,
                  void *opaque, GError **error);
/* Gives all ports back; for unrealize() and failing realize(). */
void isa_ports_unmap(IsaDevice *device);
/* The line of ISA interrupt @irq; NULL and @error if the bus has no such interrupt. */
IrqLine *isa_irq(IsaDevice *device, unsigned irq, GError **error);

#endif
