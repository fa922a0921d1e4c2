/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a board and its chips may ask of the accelerator that runs their machine: interrupt
 * controllers and timer that live in it, event notifiers, the A20 gate, stopping and going on.
 * State goes both ways in images that are the chips' own registers, whoever keeps them. An
 * interface, nothing else.
 */
#ifndef ACCEL_MACHINE_H
#define ACCEL_MACHINE_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

typedef struct Vcpu Vcpu;

/* Chips that live in the accelerator; the board's own are front ends then. */
enum {
    ACCEL_LAPIC = 1u << 0,
    ACCEL_PIC = 1u << 1,
    ACCEL_IOAPIC = 1u << 2,
    ACCEL_PIT = 1u << 3, /* and port 61h */
};

#define ACCEL_IOAPIC_PINS 24
#define ACCEL_PIT_COUNTERS 3

/* One 8259A (Intel 231468-003). */
typedef struct AccelPic {
    uint8_t lines;       /* levels of the IR inputs */
    uint8_t irr, isr, imr, elcr;
    uint8_t vector_base; /* ICW2, bits 7:3 */
    uint8_t lowest;      /* the IR with the lowest priority */
    uint8_t next_icw;    /* 2, 3 or 4: the one expected; 0: operating */
    bool icw4_wanted, auto_eoi, rotate_auto_eoi, fully_nested_special, special_mask;
    bool read_isr, poll;
} AccelPic;

/* 82093AA (Intel 290566-001). */
typedef struct AccelIoApic {
    uint64_t base;
    uint32_t id, select, lines;
    uint64_t redirection[ACCEL_IOAPIC_PINS];
} AccelIoApic;

/* A counter of the 8254 (Intel 231244-006). */
typedef struct AccelPitCounter {
    bool programmed;
    uint8_t mode, access; /* access: bits 5:4 of the control word */
    bool bcd, gate;
    uint32_t count;       /* 1 to 65536 */
    int64_t elapsed_ns;   /* since it was loaded; when put, it starts anew */
    bool count_latched, status_latched;
    uint16_t latch;
    uint8_t status, write_low;
    bool read_high_next, write_high_next;
} AccelPitCounter;

typedef struct AccelPit {
    AccelPitCounter counter[ACCEL_PIT_COUNTERS];
    bool speaker_data;
} AccelPit;

/* A local APIC: register n is at 16 * n of its page (SDM 3A table 11-1). ID is in bits 31:24. */
typedef struct AccelLapic {
    uint64_t base;         /* IA32_APIC_BASE */
    uint64_t tsc_deadline; /* IA32_TSC_DEADLINE */
    uint32_t regs[64];
} AccelLapic;

/* A guest's write that signals an eventfd instead of leaving the guest. */
typedef struct AccelIoEvent {
    bool port;       /* else memory */
    uint64_t addr;
    unsigned size;   /* 1, 2, 4, 8; 0: a write of any size */
    bool match;      /* only writes of @value */
    uint64_t value;
    int fd;
} AccelIoEvent;

/* What an interrupt of irqfd is. */
typedef struct AccelMsi {
    uint64_t addr;
    uint32_t data;
} AccelMsi;

/* Machine lock held in all of them. */
typedef struct AccelMachineOps {
    /* Global system interrupt @gsi to the chips inside; with ACCEL_PIC and ACCEL_IOAPIC. */
    void (*set_gsi)(void *instance, unsigned gsi, int level);
    /* A message-signalled interrupt to the local APICs inside; true if one took it. */
    bool (*send_msi)(void *instance, uint64_t addr, uint32_t data);
    /*
     * Our I/O APIC before local APICs inside: what its pin @pin sends, NULL while it is masked. The
     * handler gets the vectors whose level-triggered interrupts end.
     */
    void (*set_pin_message)(void *instance, unsigned pin, const AccelMsi *message);
    void (*set_eoi_handler)(void *instance, void (*fn)(void *opaque, uint8_t vector),
                            void *opaque);
    /* The chips' states. vCPUs parked. */
    void (*get_lapic)(Vcpu *vcpu, AccelLapic *state);
    void (*put_lapic)(Vcpu *vcpu, const AccelLapic *state);
    /* TSC deadline and x2APIC registers; false: #GP. On the vCPU's thread. */
    bool (*lapic_msr)(Vcpu *vcpu, uint32_t msr, uint64_t *value, bool write);
    void (*get_pic)(void *instance, unsigned n, AccelPic *state);
    void (*put_pic)(void *instance, unsigned n, const AccelPic *state);
    void (*get_ioapic)(void *instance, AccelIoApic *state);
    void (*put_ioapic)(void *instance, const AccelIoApic *state);
    void (*get_pit)(void *instance, AccelPit *state);
    void (*put_pit)(void *instance, const AccelPit *state);
    /* The A20 gate, besides Vcpu.a20_mask. */
    void (*set_a20)(void *instance, bool on);
    /*
     * From now on (or no longer) byte writes to these ports may come late, but before any other
     * access that leaves the guest. flush_writes: those that are still to come, now.
     */
    void (*gather_ports)(void *instance, uint16_t port, unsigned count, bool on);
    void (*flush_writes)(void *instance);
    /* The guest's time stands still, and goes on. vCPUs parked. */
    void (*stopped)(void *instance);
    void (*resumed)(void *instance);
    /* Adds or removes a notifier; false and @error if it cannot be had. */
    bool (*ioeventfd)(void *instance, const AccelIoEvent *event, bool on, GError **error);
    /*
     * Sends @message whenever eventfd @fd is signalled; a number for irqfd_change() and
     * irqfd_remove(), -1 and @error.
     */
    int (*irqfd_add)(void *instance, int fd, const AccelMsi *message, GError **error);
    void (*irqfd_change)(void *instance, int number, const AccelMsi *message);
    void (*irqfd_remove)(void *instance, int number, int fd);
} AccelMachineOps;

typedef struct AccelMachine {
    const AccelMachineOps *ops;
    void *instance;
    unsigned chips; /* ACCEL_* that live inside */
} AccelMachine;

/* True if all @chips live in the accelerator; @machine may be NULL. */
static inline bool accel_has(const AccelMachine *machine, unsigned chips)
{
    return machine && (machine->chips & chips) == chips;
}

#endif
