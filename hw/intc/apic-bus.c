/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Messages between local APICs, I/O APICs and MSI: who is meant (SDM 3A 11.6.2), lowest-priority
 * arbitration, interprocessor interrupts, end-of-interrupt broadcasts.
 */
#include "hw/intc/apic-internal.h"
#include "hw/intc/ioapic.h"
#include "util/log.h"

enum { ICR_NO_SHORTHAND, ICR_SELF, ICR_ALL, ICR_ALL_BUT_SELF };

#define ICR_LOGICAL (1u << 11)
#define ICR_LEVEL_ASSERT (1u << 14)
#define ICR_TRIGGER_LEVEL (1u << 15)

static bool apic_matches_logical(const Apic *apic, uint32_t dest)
{
    uint32_t ldr = apic_logical_id(apic);

    if (apic_x2_mode(apic)) {
        return (ldr >> 16) == (dest >> 16) && (ldr & dest & 0xffff);
    }
    ldr >>= 24;
    if ((apic->dfr >> 28) == 0xf) { /* flat model */
        return (ldr & dest & 0xff) != 0;
    }
    return (ldr >> 4) == ((dest >> 4) & 0xf) && (ldr & dest & 0xf);
}

static bool apic_matches(const Apic *apic, const ApicMessage *message)
{
    if (!apic_hardware_enabled(apic)) {
        return false;
    }
    if (message->dest == APIC_DEST_BROADCAST) {
        return true;
    }
    return message->logical ? apic_matches_logical(apic, message->dest)
                            : apic_id(apic) == message->dest;
}

static Apic *apic_bus_get(Machine *machine, unsigned n)
{
    return apic_of_vcpu(g_ptr_array_index(machine->vcpus, n));
}

/* Among those that match and can take it, the one that does the least urgent work. */
static Apic *apic_bus_lowest_priority(Machine *machine, const ApicMessage *message)
{
    Apic *best = NULL;

    for (unsigned n = 0; n < machine->vcpus->len; n++) {
        Apic *apic = apic_bus_get(machine, n);
        if (apic && (apic->svr & SVR_ENABLED) && apic_matches(apic, message) &&
            (!best || apic_priority(apic) < apic_priority(best))) {
            best = apic;
        }
    }
    return best;
}

bool apic_bus_deliver(Machine *machine, const ApicMessage *message)
{
    bool accepted = false;

    if (accel_has(machine->accel, ACCEL_LAPIC)) {
        AccelMsi msi = apic_message_msi(message);
        return machine->accel->ops->send_msi(machine->accel->instance, msi.addr, msi.data);
    }
    if (message->delivery == APIC_DELIVER_LOWEST) {
        Apic *apic = apic_bus_lowest_priority(machine, message);
        return apic && apic_receive(apic, APIC_DELIVER_FIXED, message->vector, message->level);
    }
    for (unsigned n = 0; n < machine->vcpus->len; n++) {
        Apic *apic = apic_bus_get(machine, n);
        if (apic && apic_matches(apic, message)) {
            accepted |= apic_receive(apic, message->delivery, message->vector, message->level);
        }
    }
    return accepted;
}

void apic_bus_msi(Machine *machine, uint64_t addr, uint32_t data)
{
    uint8_t dest = addr >> 12;
    bool redirect = addr & 8;
    ApicMessage message = {
        .dest = dest == 0xff ? APIC_DEST_BROADCAST : dest,
        /* With RH clear, DM is ignored and the destination is physical (SDM 3A 11.11.1). */
        .logical = redirect && (addr & 4),
        .level = data & (1u << 15),
        .delivery = (data >> 8) & 7,
        .vector = data,
    };

    if (accel_has(machine->accel, ACCEL_LAPIC)) {
        machine->accel->ops->send_msi(machine->accel->instance, addr, data);
        return;
    }
    if (message.level && !(data & (1u << 14))) {
        return; /* de-assert */
    }
    if (message.delivery == APIC_DELIVER_STARTUP || message.delivery == 3) {
        log_guest_error("MSI with reserved delivery mode %d", message.delivery);
        return;
    }
    apic_bus_deliver(machine, &message);
}

static void apic_send_all(Apic *source, const ApicMessage *message, bool with_self)
{
    Machine *machine = source->device.machine;

    for (unsigned n = 0; n < machine->vcpus->len; n++) {
        Apic *apic = apic_bus_get(machine, n);
        if (apic && apic_hardware_enabled(apic) && (with_self || apic != source)) {
            apic_receive(apic, message->delivery, message->vector, false);
        }
    }
}

static bool apic_ipi_is_valid(Apic *source, uint64_t icr)
{
    ApicDelivery delivery = (icr >> 8) & 7;
    uint8_t vector = icr;

    if (delivery == 3 || delivery == APIC_DELIVER_EXTINT) {
        log_guest_error("IPI with reserved delivery mode %d", delivery);
        return false;
    }
    if ((delivery == APIC_DELIVER_FIXED || delivery == APIC_DELIVER_LOWEST) && vector < 16) {
        apic_error(source, ESR_SEND_ILLEGAL_VECTOR);
        return false;
    }
    /* INIT level de-assert has had no effect since the Pentium 4 (SDM 3A 11.6.1). */
    return !(delivery == APIC_DELIVER_INIT && (icr & ICR_TRIGGER_LEVEL) &&
             !(icr & ICR_LEVEL_ASSERT));
}

void apic_send_ipi(Apic *source, uint64_t icr)
{
    uint32_t dest = icr >> 32;
    ApicMessage message = {
        .logical = icr & ICR_LOGICAL,
        .delivery = (icr >> 8) & 7,
        .vector = icr,
    };

    if (!apic_x2_mode(source)) {
        dest >>= 24;
        dest = dest == 0xff ? APIC_DEST_BROADCAST : dest;
    }
    message.dest = dest;
    if (!apic_ipi_is_valid(source, icr)) {
        return;
    }
    switch ((icr >> 18) & 3) {
    case ICR_NO_SHORTHAND:
        apic_bus_deliver(source->device.machine, &message);
        break;
    case ICR_SELF:
        apic_receive(source, message.delivery, message.vector, false);
        break;
    case ICR_ALL:
        apic_send_all(source, &message, true);
        break;
    default:
        apic_send_all(source, &message, false);
        break;
    }
}

void apic_bus_eoi(Machine *machine, uint8_t vector)
{
    for (unsigned n = 0; n < machine->devices->len; n++) {
        ioapic_eoi_broadcast(g_ptr_array_index(machine->devices, n), vector);
    }
}
