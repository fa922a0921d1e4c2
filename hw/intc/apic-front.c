/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A local APIC that lives in the accelerator: its registers between there and our chip, which is
 * a front end then, and messages to it. Register numbers: SDM 3A table 11-1.
 */
#include "hw/intc/apic-internal.h"

enum {
    FRONT_ID = 0x02,
    FRONT_TPR = 0x08,
    FRONT_LDR = 0x0d,
    FRONT_DFR = 0x0e,
    FRONT_SVR = 0x0f,
    FRONT_ISR = 0x10,
    FRONT_TMR = 0x18,
    FRONT_IRR = 0x20,
    FRONT_ESR = 0x28,
    FRONT_ICR_LOW = 0x30,
    FRONT_ICR_HIGH = 0x31,
    FRONT_LVT = 0x32,
    FRONT_TIMER_INITIAL = 0x38,
    FRONT_TIMER_CURRENT = 0x39,
    FRONT_TIMER_DIVIDE = 0x3e,
};

void apic_front_get(Apic *apic)
{
    AccelLapic state;

    apic->accel->ops->get_lapic(apic->vcpu, &state);
    apic->base = state.base;
    apic->tpr = state.regs[FRONT_TPR];
    apic->ldr = state.regs[FRONT_LDR];
    apic->dfr = state.regs[FRONT_DFR];
    apic->svr = state.regs[FRONT_SVR];
    apic->esr = state.regs[FRONT_ESR];
    apic->icr = (uint64_t)state.regs[FRONT_ICR_HIGH] << 32 | state.regs[FRONT_ICR_LOW];
    memcpy(apic->isr, &state.regs[FRONT_ISR], sizeof(apic->isr));
    memcpy(apic->tmr, &state.regs[FRONT_TMR], sizeof(apic->tmr));
    memcpy(apic->irr, &state.regs[FRONT_IRR], sizeof(apic->irr));
    memcpy(apic->lvt, &state.regs[FRONT_LVT], sizeof(apic->lvt));
    apic->tsc_deadline = state.tsc_deadline;
    apic_timer_adopt(apic, state.regs[FRONT_TIMER_INITIAL], state.regs[FRONT_TIMER_CURRENT],
                     state.regs[FRONT_TIMER_DIVIDE]);
}

/* What we do not keep (version, CMCI) stays as the accelerator has it. */
void apic_front_put(Apic *apic)
{
    AccelLapic state;

    apic->accel->ops->get_lapic(apic->vcpu, &state);
    state.base = apic->base;
    state.regs[FRONT_ID] = apic->vcpu->apic_id << 24;
    state.regs[FRONT_TPR] = apic->tpr;
    state.regs[FRONT_LDR] = apic->ldr;
    state.regs[FRONT_DFR] = apic->dfr;
    state.regs[FRONT_SVR] = apic->svr;
    state.regs[FRONT_ESR] = apic->esr;
    state.regs[FRONT_ICR_LOW] = apic->icr;
    state.regs[FRONT_ICR_HIGH] = apic->icr >> 32;
    memcpy(&state.regs[FRONT_ISR], apic->isr, sizeof(apic->isr));
    memcpy(&state.regs[FRONT_TMR], apic->tmr, sizeof(apic->tmr));
    memcpy(&state.regs[FRONT_IRR], apic->irr, sizeof(apic->irr));
    memcpy(&state.regs[FRONT_LVT], apic->lvt, sizeof(apic->lvt));
    state.regs[FRONT_TIMER_INITIAL] = apic->timer_count;
    state.regs[FRONT_TIMER_CURRENT] = apic_timer_current(apic);
    state.regs[FRONT_TIMER_DIVIDE] = apic->timer_divide;
    state.tsc_deadline = apic->tsc_deadline;
    apic->accel->ops->put_lapic(apic->vcpu, &state);
}

/* The same message as an MSI; destination mode is bit 2 alone, bit 3 would ask for arbitration. */
AccelMsi apic_message_msi(const ApicMessage *message)
{
    return (AccelMsi){
        .addr = APIC_DEFAULT_BASE | (message->dest & 0xff) << 12 | (message->logical ? 4 : 0),
        .data = message->vector | (uint32_t)message->delivery << 8 | 1u << 14 |
                (message->level ? 1u << 15 : 0),
    };
}
