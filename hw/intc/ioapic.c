/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The 82093AA I/O APIC with the EOI register of version 0x20. Sources: Intel 82093AA datasheet
 * (290566-001), ICH9 datasheet 13.5 for the EOI register. Input polarity is not modelled: lines
 * carry asserted and deasserted, whichever voltage that is.
 */
#include "hw/intc/ioapic.h"

#include <inttypes.h>
#include <string.h>

#include "hw/core/machine.h"
#include "hw/intc/apic.h"
#include "util/log.h"

enum {
    IOREGSEL = 0x00,
    IOWIN = 0x10,
    IOEOI = 0x40,
    IOAPIC_ID = 0x00,
    IOAPIC_VERSION = 0x01,
    IOAPIC_ARBITRATION = 0x02,
    IOAPIC_REDIRECTION = 0x10,
};

#define REDIR_VECTOR 0xffull
#define REDIR_LOGICAL (1ull << 11)
#define REDIR_REMOTE_IRR (1ull << 14)
#define REDIR_LEVEL (1ull << 15)
#define REDIR_MASKED (1ull << 16)
#define REDIR_WRITABLE 0xff0000000001afffull /* status and remote IRR are read-only */

#define IOAPIC_EXTINT_PIN 0 /* the 8259 pair, as in the MP specification's default wiring */
#define IOAPIC_TIMER_PIN 2  /* ISA IRQ 0 */

typedef struct IoApic {
    Device device;
    const AccelMachine *accel; /* where it lives, this is a front end then; NULL: here */
    uint64_t base; /* property */
    MemoryMapping *mapping;
    uint32_t id;
    uint32_t select;
    uint64_t redirection[IOAPIC_PINS];
    uint32_t lines; /* asserted inputs */
} IoApic;

static ApicDelivery redirection_delivery(uint64_t entry)
{
    return (entry >> 8) & 7;
}

/* SMI, NMI, INIT and ExtINT are edge-triggered whatever the entry says (datasheet 3.2.4). */
static bool redirection_is_level(uint64_t entry)
{
    return (entry & REDIR_LEVEL) && redirection_delivery(entry) <= APIC_DELIVER_LOWEST;
}

static ApicMessage redirection_message(uint64_t entry)
{
    uint8_t dest = entry >> 56;

    return (ApicMessage){
        .dest = dest == 0xff ? APIC_DEST_BROADCAST : dest,
        .logical = entry & REDIR_LOGICAL,
        .level = redirection_is_level(entry),
        .delivery = redirection_delivery(entry),
        .vector = entry & REDIR_VECTOR,
    };
}

static bool ioapic_send(IoApic *s, uint64_t entry)
{
    ApicMessage message = redirection_message(entry);

    if (message.delivery == 3 || message.delivery == APIC_DELIVER_STARTUP) {
        log_guest_error("I/O APIC entry with reserved delivery mode %d", message.delivery);
        return false;
    }
    return apic_bus_deliver(s->device.machine, &message);
}

/* Local APICs in the accelerator must know which vectors' ends we wait for. */
static void ioapic_tell_pin(const IoApic *s, unsigned pin)
{
    const AccelMachine *accel = s->device.machine->accel;
    ApicMessage message = redirection_message(s->redirection[pin]);
    AccelMsi msi = apic_message_msi(&message);

    if (!s->accel && accel_has(accel, ACCEL_LAPIC)) {
        bool told = message.level && !(s->redirection[pin] & REDIR_MASKED);
        accel->ops->set_pin_message(accel->instance, pin, told ? &msi : NULL);
    }
}

/* Sends what a level-triggered pin has to say now. */
static void ioapic_service_level(IoApic *s, unsigned pin)
{
    uint64_t entry = s->redirection[pin];

    if (redirection_is_level(entry) && (s->lines & (1u << pin)) &&
        !(entry & (REDIR_MASKED | REDIR_REMOTE_IRR)) && ioapic_send(s, entry)) {
        s->redirection[pin] |= REDIR_REMOTE_IRR;
    }
}

static void ioapic_set_pin(void *opaque, int pin, int level)
{
    IoApic *s = opaque;
    uint32_t bit = 1u << pin;
    bool rising = level && !(s->lines & bit);

    s->lines = level ? s->lines | bit : s->lines & ~bit;
    if (redirection_is_level(s->redirection[pin])) {
        ioapic_service_level(s, pin);
    } else if (rising && !(s->redirection[pin] & REDIR_MASKED)) {
        /* An edge that meets a masked entry is lost (datasheet 3.2.4, interrupt mask). */
        ioapic_send(s, s->redirection[pin]);
    }
}

static void ioapic_eoi(IoApic *s, uint8_t vector)
{
    for (unsigned pin = 0; pin < IOAPIC_PINS; pin++) {
        uint64_t entry = s->redirection[pin];
        if ((entry & REDIR_REMOTE_IRR) && (entry & REDIR_VECTOR) == vector) {
            s->redirection[pin] &= ~REDIR_REMOTE_IRR;
            ioapic_service_level(s, pin);
        }
    }
}

/* --- Registers ----------------------------------------------------------------- */

static uint32_t ioapic_window_read(const IoApic *s)
{
    unsigned index = s->select - IOAPIC_REDIRECTION;

    switch (s->select) {
    case IOAPIC_ID:
    case IOAPIC_ARBITRATION:
        return s->id << 24;
    case IOAPIC_VERSION:
        return 0x20 | ((IOAPIC_PINS - 1) << 16);
    default:
        return index < 2 * IOAPIC_PINS ? s->redirection[index / 2] >> (index % 2 * 32) : 0;
    }
}

static void ioapic_write_redirection(IoApic *s, unsigned index, uint32_t value)
{
    unsigned pin = index / 2, shift = index % 2 * 32;
    uint64_t mask = (0xffffffffull << shift) & REDIR_WRITABLE;

    s->redirection[pin] = (s->redirection[pin] & ~mask) | (((uint64_t)value << shift) & mask);
    if (!redirection_is_level(s->redirection[pin])) {
        s->redirection[pin] &= ~REDIR_REMOTE_IRR;
    }
    ioapic_tell_pin(s, pin);
    ioapic_service_level(s, pin);
}

static void ioapic_window_write(IoApic *s, uint32_t value)
{
    unsigned index = s->select - IOAPIC_REDIRECTION;

    if (s->select == IOAPIC_ID) {
        s->id = (value >> 24) & 0xf;
    } else if (index < 2 * IOAPIC_PINS) {
        ioapic_write_redirection(s, index, value);
    }
}

static uint64_t ioapic_read(void *opaque, uint64_t offset, unsigned size)
{
    IoApic *s = opaque;

    switch (offset) {
    case IOREGSEL:
        return s->select;
    case IOWIN:
        return ioapic_window_read(s);
    default:
        return 0;
    }
}

static void ioapic_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    IoApic *s = opaque;

    switch (offset) {
    case IOREGSEL:
        s->select = value & 0xff;
        break;
    case IOWIN:
        ioapic_window_write(s, value);
        break;
    case IOEOI:
        ioapic_eoi(s, value);
        break;
    default:
        log_guest_error("I/O APIC: write to offset 0x%x", (unsigned)offset);
        break;
    }
}

static const MemoryOps ioapic_ops = { ioapic_read, ioapic_write, 4, 4 };

/* --- State, life cycle --------------------------------------------------------- */

static void ioapic_front_get(IoApic *s)
{
    AccelIoApic state;

    s->accel->ops->get_ioapic(s->accel->instance, &state);
    s->id = state.id & 0xf;
    s->select = state.select & 0xff;
    s->lines = state.lines & ((1u << IOAPIC_PINS) - 1);
    memcpy(s->redirection, state.redirection, sizeof(s->redirection));
}

static void ioapic_front_put(const IoApic *s)
{
    AccelIoApic state = {.base = s->base, .id = s->id, .select = s->select, .lines = s->lines};

    memcpy(state.redirection, s->redirection, sizeof(state.redirection));
    s->accel->ops->put_ioapic(s->accel->instance, &state);
}

/* What others are to know after all registers have changed. */
static void ioapic_state_changed(const IoApic *s)
{
    if (s->accel) {
        ioapic_front_put(s);
    }
    for (unsigned pin = 0; pin < IOAPIC_PINS; pin++) {
        ioapic_tell_pin(s, pin);
    }
}

static void ioapic_pre_save(void *object)
{
    IoApic *s = object;

    if (s->accel) {
        ioapic_front_get(s);
    }
}

static bool ioapic_post_load(void *object, int version, GError **error)
{
    IoApic *s = object;

    s->id &= 0xf;
    s->select &= 0xff;
    s->lines &= (1u << IOAPIC_PINS) - 1;
    for (unsigned pin = 0; pin < IOAPIC_PINS; pin++) {
        s->redirection[pin] &= REDIR_WRITABLE | REDIR_REMOTE_IRR;
    }
    ioapic_state_changed(s);
    return true;
}

static const StateTable ioapic_state = {
    .name = "ioapic",
    .version = 1,
    .minimum_version = 1,
    .fields = (const StateField[]) {
        STATE_UINT_FIELD(IoApic, id),
        STATE_UINT_FIELD(IoApic, select),
        STATE_UINT_ARRAY(IoApic, redirection),
        STATE_UINT_FIELD(IoApic, lines),
        STATE_END,
    },
    .pre_save = ioapic_pre_save,
    .post_load = ioapic_post_load,
};

static void ioapic_reset(Device *device)
{
    IoApic *s = (IoApic *)device;

    if (s->accel) {
        ioapic_front_get(s); /* the lines stay as they are */
    }
    s->id = 0;
    s->select = 0;
    for (unsigned pin = 0; pin < IOAPIC_PINS; pin++) {
        s->redirection[pin] = REDIR_MASKED;
    }
    ioapic_state_changed(s);
}

static void ioapic_ended(void *opaque, uint8_t vector)
{
    ioapic_eoi(opaque, vector);
}

static bool ioapic_realize(Device *device, GError **error)
{
    IoApic *s = (IoApic *)device;
    const AccelMachine *accel = device->machine->accel;

    if (s->base & (GUEST_PAGE_SIZE - 1)) {
        g_set_error(error, DEVICE_ERROR, 0,
                    "ioapic: base 0x%" PRIx64 " is not at a page boundary", s->base);
        return false;
    }
    if (accel_has(accel, ACCEL_IOAPIC)) {
        s->accel = accel;
        return true;
    }
    if (accel_has(accel, ACCEL_LAPIC)) {
        accel->ops->set_eoi_handler(accel->instance, ioapic_ended, s);
    }
    s->mapping = memory_map_io(device->machine->memory, s->base, GUEST_PAGE_SIZE, &ioapic_ops, s,
                               "ioapic", 10);
    for (unsigned gsi = 0; gsi < MACHINE_GSI_COUNT && gsi < IOAPIC_PINS; gsi++) {
        unsigned pin = gsi == 0 ? IOAPIC_TIMER_PIN : gsi;
        if (gsi != 2) { /* ISA IRQ 2 is the 8259 cascade: its pin belongs to IRQ 0 */
            machine_gsi_connect(device->machine, gsi,
                                (IrqLine) { .handler = ioapic_set_pin, .opaque = s, .n = pin });
        }
    }
    machine_line_connect(device->machine, "pic-intr",
                         (IrqLine) { ioapic_set_pin, s, IOAPIC_EXTINT_PIN });
    return true;
}

static void ioapic_unrealize(Device *device)
{
    IoApic *s = (IoApic *)device;
    const AccelMachine *accel = device->machine->accel;

    if (s->mapping) {
        memory_unmap(s->mapping);
    }
    if (!s->accel && accel_has(accel, ACCEL_LAPIC)) {
        accel->ops->set_eoi_handler(accel->instance, NULL, NULL);
    }
}

static const Property ioapic_properties[] = {
    PROP(PROP_UINT64, IoApic, base, "base", "guest physical address of its registers",
         "0xfec00000"),
    PROP_END,
};

static const DeviceType ioapic_type = {
    .name = "ioapic",
    .desc = "82093AA I/O APIC",
    .category = "Interrupt controller",
    .bus = "system",
    .size = sizeof(IoApic),
    .properties = ioapic_properties,
    .state = &ioapic_state,
    .realize = ioapic_realize,
    .unrealize = ioapic_unrealize,
    .reset = ioapic_reset,
    .not_for_users = "part of the board: the machine file places it",
};
DEVICE_TYPE(ioapic_type);

void ioapic_eoi_broadcast(Device *device, uint8_t vector)
{
    if (device->type == &ioapic_type) {
        ioapic_eoi((IoApic *)device, vector);
    }
}
