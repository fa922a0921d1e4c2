/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Local APICs and the messages between them, I/O APICs and MSI: what other chips may ask of
 * them. */
#ifndef HW_INTC_APIC_H
#define HW_INTC_APIC_H

#include "accel/machine.h"
#include "hw/core/device.h"

typedef struct Vcpu Vcpu;

#define APIC_DEFAULT_BASE 0xfee00000u

/* Delivery modes as in the ICR, LVT, redirection entries and MSI data (SDM 3A 11.6.1). */
typedef enum {
    APIC_DELIVER_FIXED = 0,
    APIC_DELIVER_LOWEST = 1,
    APIC_DELIVER_SMI = 2,
    APIC_DELIVER_NMI = 4,
    APIC_DELIVER_INIT = 5,
    APIC_DELIVER_STARTUP = 6,
    APIC_DELIVER_EXTINT = 7,
} ApicDelivery;

#define APIC_DEST_BROADCAST 0xffffffffu

typedef struct ApicMessage {
    uint32_t dest;       /* APIC ID, or logical destination; broadcasts are APIC_DEST_BROADCAST */
    bool logical;
    bool level;          /* level-triggered: the EOI is broadcast to the I/O APICs */
    ApicDelivery delivery;
    uint8_t vector;
} ApicMessage;

/* Creates and realizes the local APIC of @vcpu and makes it its interrupt controller. */
Device *apic_create(Machine *machine, Vcpu *vcpu, GError **error);
/* The input pin @lint (0 or 1) of the local APIC @device, to connect a line to. */
IrqLine apic_lint_line(Device *device, unsigned lint);

/* @message as a device's write would send it. */
AccelMsi apic_message_msi(const ApicMessage *message);

/* Sends @message to the local APICs of @machine; true if one accepted it. Machine lock held. */
bool apic_bus_deliver(Machine *machine, const ApicMessage *message);
/* Delivers a message-signalled interrupt: a device's write of @data to @addr (SDM 3A 11.11). */
void apic_bus_msi(Machine *machine, uint64_t addr, uint32_t data);

#endif
