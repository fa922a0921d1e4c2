/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The I/O APIC, for the local APICs' end-of-interrupt messages. */
#ifndef HW_INTC_IOAPIC_H
#define HW_INTC_IOAPIC_H

#include "hw/core/device.h"

#define IOAPIC_PINS 24
#define IOAPIC_DEFAULT_BASE 0xfec00000u

/* A local APIC ended level interrupt @vector. @device of another type is left alone. */
void ioapic_eoi_broadcast(Device *device, uint8_t vector);

#endif
