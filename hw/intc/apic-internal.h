/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The local APIC's state and what its three files (registers, timer, bus) call of each other. */
#ifndef HW_INTC_APIC_INTERNAL_H
#define HW_INTC_APIC_INTERNAL_H

#include "accel/accel.h"
#include "hw/core/machine.h"
#include "hw/intc/apic.h"
#include "util/timer.h"

/* Entries of the local vector table; register 0x32 + n. There is no CMCI entry (version 0x14). */
enum { LVT_TIMER, LVT_THERMAL, LVT_PERF, LVT_LINT0, LVT_LINT1, LVT_ERROR, LVT_COUNT };

enum {
    LVT_REMOTE_IRR = 1u << 14,
    LVT_LEVEL = 1u << 15,
    LVT_MASKED = 1u << 16,
    LVT_TIMER_PERIODIC = 1u << 17,
    LVT_TIMER_DEADLINE = 2u << 17,
    LVT_TIMER_MODE = 3u << 17,
};

enum {
    ESR_SEND_ILLEGAL_VECTOR = 1u << 5,
    ESR_RECEIVE_ILLEGAL_VECTOR = 1u << 6,
    ESR_ILLEGAL_REGISTER = 1u << 7,
};

enum {
    SVR_ENABLED = 1u << 8,
    SVR_SUPPRESS_EOI = 1u << 12,
};

enum {
    BASE_BSP = 1u << 8,
    BASE_EXTD = 1u << 10,
    BASE_EN = 1u << 11,
};

typedef struct Apic {
    Device device;
    Vcpu *vcpu;
    const AccelMachine *accel;  /* where it lives, this is a front end then; NULL: here */
    MemoryMapping *mapping;
    uint64_t base;              /* IA32_APIC_BASE */
    uint32_t tpr, ldr, dfr, svr;
    uint32_t esr, esr_pending;  /* as read; gathered since the last write to ESR */
    uint64_t icr;
    uint32_t lvt[LVT_COUNT];
    uint32_t isr[8], irr[8], tmr[8];
    uint8_t lint_level[2];     /* 0 or 1 */
    bool extint_pending;        /* an ExtINT message, not yet answered by an INTA to the 8259 */
    uint32_t timer_count;       /* initial count */
    uint32_t timer_divide;      /* divide configuration register */
    int64_t timer_start;        /* CLOCK_VM when the count was (or would have been) loaded */
    uint64_t tsc_deadline;      /* IA32_TSC_DEADLINE; 0: not armed */
    Timer *timer;
} Apic;

/* apic.c */
Apic *apic_of_vcpu(Vcpu *vcpu); /* NULL if it has none */
bool apic_hardware_enabled(const Apic *apic);
bool apic_x2_mode(const Apic *apic);
uint32_t apic_id(const Apic *apic); /* as the current mode shows it */
uint32_t apic_logical_id(const Apic *apic);
uint8_t apic_priority(const Apic *apic); /* PPR */
/* A message that matched this APIC arrives; false if it cannot be accepted. */
bool apic_receive(Apic *apic, ApicDelivery delivery, uint8_t vector, bool level);
/* A local event: delivers as LVT entry @n says unless it is masked. */
void apic_lvt_event(Apic *apic, unsigned n);
void apic_error(Apic *apic, uint32_t esr_bit);

/* apic-timer.c */
void apic_timer_init(Apic *apic);
void apic_timer_reset(Apic *apic);
uint32_t apic_timer_current(const Apic *apic);
void apic_timer_set_count(Apic *apic, uint32_t count);
void apic_timer_set_divide(Apic *apic, uint32_t value);
void apic_timer_set_lvt(Apic *apic, uint32_t value);
uint64_t apic_timer_deadline(const Apic *apic);
void apic_timer_set_deadline(Apic *apic, uint64_t tsc);

/* Makes the timer one that has counted from @count down to @current. */
void apic_timer_adopt(Apic *apic, uint32_t count, uint32_t current, uint32_t divide);

/* apic-front.c */
void apic_front_get(Apic *apic); /* from the accelerator into our fields */
void apic_front_put(Apic *apic);

/* apic-bus.c */
void apic_send_ipi(Apic *source, uint64_t icr);
void apic_bus_eoi(Machine *machine, uint8_t vector);

#endif
