/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The local APIC's timer: one-shot, periodic and TSC-deadline (SDM 3A 11.5.4). It counts a 1 GHz
 * bus clock divided as programmed. While its LVT entry is masked no host timer runs: the count
 * is computed when read.
 */
#include "hw/intc/apic-internal.h"

/* A guest may program a period of 1 ns; the host serves no more than 50,000 interrupts a second. */
#define APIC_TIMER_MIN_GAP_NS 20000
/* How far ahead a deadline timer is armed at most; it looks at the TSC again then. */
#define APIC_TIMER_MAX_SLEEP_NS (3600 * NS_PER_SECOND)

static unsigned apic_timer_shift(const Apic *apic)
{
    /* Bits 3, 1, 0: 000 divides by 2, …, 110 by 128, 111 by 1. */
    unsigned code = (apic->timer_divide & 3) | ((apic->timer_divide >> 1) & 4);
    return (code + 1) & 7;
}

static int64_t apic_timer_period(const Apic *apic)
{
    return (int64_t)apic->timer_count << apic_timer_shift(apic);
}

static uint32_t apic_timer_mode(const Apic *apic)
{
    return apic->lvt[LVT_TIMER] & LVT_TIMER_MODE;
}

uint32_t apic_timer_current(const Apic *apic)
{
    int64_t elapsed = clock_ns(CLOCK_VM) - apic->timer_start;
    uint64_t ticks = (uint64_t)MAX(elapsed, 0) >> apic_timer_shift(apic);

    if (apic->timer_count == 0 || apic_timer_mode(apic) == LVT_TIMER_DEADLINE) {
        return 0;
    }
    if (apic_timer_mode(apic) == LVT_TIMER_PERIODIC) {
        return apic->timer_count - ticks % apic->timer_count;
    }
    return ticks >= apic->timer_count ? 0 : apic->timer_count - ticks;
}

static uint64_t apic_tsc_hz(const Apic *apic)
{
    return apic->vcpu->tsc_hz ? apic->vcpu->tsc_hz : NS_PER_SECOND;
}

static uint64_t apic_tsc_now(const Apic *apic)
{
    const VcpuOps *ops = apic->vcpu->ops;

    if (ops && ops->read_tsc) {
        return ops->read_tsc(apic->vcpu);
    }
    return (unsigned __int128)clock_ns(CLOCK_VM) * apic_tsc_hz(apic) / NS_PER_SECOND;
}

static void apic_timer_arm_deadline(Apic *apic)
{
    uint64_t tsc = apic_tsc_now(apic);
    unsigned __int128 wait = 0;

    if (apic->tsc_deadline > tsc) {
        /* Rounded up: firing early would cost a second look at the TSC. */
        wait = ((unsigned __int128)(apic->tsc_deadline - tsc) * NS_PER_SECOND) /
               apic_tsc_hz(apic) + 1;
    }
    timer_mod(apic->timer, clock_ns(CLOCK_VM) + (int64_t)MIN(wait, APIC_TIMER_MAX_SLEEP_NS));
}

/*
 * @now is the caller's reading of the clock: a count that starts has not run out by now, however
 * long the host keeps this thread from its next reading. One that ran out while its host timer
 * still waits for the main loop keeps that timer; without one, it ran out while masked.
 */
static void apic_timer_arm_count(Apic *apic, int64_t now)
{
    int64_t period = apic_timer_period(apic);
    int64_t next = apic->timer_start + period;

    if (period > 0 && apic_timer_mode(apic) == LVT_TIMER_PERIODIC && next <= now) {
        next += (now - next) / period * period + period;
    }
    if (period > 0 && next > now) {
        timer_mod(apic->timer, next);
    } else if (period == 0) {
        timer_del(apic->timer);
    }
}

/* Arms the host timer for the next interrupt, if there is to be one. */
static void apic_timer_arm(Apic *apic, int64_t now)
{
    if (apic->lvt[LVT_TIMER] & LVT_MASKED) {
        timer_del(apic->timer);
    } else if (apic_timer_mode(apic) != LVT_TIMER_DEADLINE) {
        apic_timer_arm_count(apic, now);
    } else if (apic->tsc_deadline) {
        apic_timer_arm_deadline(apic);
    } else {
        timer_del(apic->timer);
    }
}

static void apic_timer_expire(void *opaque)
{
    Apic *apic = opaque;

    switch (apic_timer_mode(apic)) {
    case LVT_TIMER_DEADLINE:
        if (apic_tsc_now(apic) < apic->tsc_deadline) {
            apic_timer_arm_deadline(apic);
            return;
        }
        apic->tsc_deadline = 0;
        break;
    case LVT_TIMER_PERIODIC:
        apic_timer_arm_count(apic, clock_ns(CLOCK_VM));
        if (timer_pending(apic->timer)) {
            timer_mod(apic->timer, MAX(timer_expire_ns(apic->timer),
                                       clock_ns(CLOCK_VM) + APIC_TIMER_MIN_GAP_NS));
        }
        break;
    default:
        break;
    }
    apic_lvt_event(apic, LVT_TIMER);
}

void apic_timer_set_count(Apic *apic, uint32_t count)
{
    if (apic_timer_mode(apic) == LVT_TIMER_DEADLINE) {
        return; /* SDM 3A 11.5.4.1: writes to the initial count are ignored */
    }
    timer_del(apic->timer); /* what an earlier count would still have done is void */
    apic->timer_count = count;
    apic->timer_start = clock_ns(CLOCK_VM);
    apic_timer_arm(apic, apic->timer_start);
}

void apic_timer_set_divide(Apic *apic, uint32_t value)
{
    uint32_t done = apic->timer_count - apic_timer_current(apic);

    /* The count goes on from where it is, at the new rate. */
    apic->timer_divide = value & 0xb;
    apic->timer_start = clock_ns(CLOCK_VM) - ((int64_t)done << apic_timer_shift(apic));
    apic_timer_arm(apic, clock_ns(CLOCK_VM));
}

void apic_timer_set_lvt(Apic *apic, uint32_t value)
{
    uint32_t old_mode = apic_timer_mode(apic);

    apic->lvt[LVT_TIMER] = value;
    if ((old_mode == LVT_TIMER_DEADLINE) != (apic_timer_mode(apic) == LVT_TIMER_DEADLINE)) {
        /* "Transitioning between TSC-deadline mode and other timer modes also disarms the
         * timer." */
        apic->timer_count = 0;
        apic->tsc_deadline = 0;
    }
    apic_timer_arm(apic, clock_ns(CLOCK_VM));
}

uint64_t apic_timer_deadline(const Apic *apic)
{
    return apic->tsc_deadline;
}

void apic_timer_set_deadline(Apic *apic, uint64_t tsc)
{
    if (apic_timer_mode(apic) != LVT_TIMER_DEADLINE) {
        return; /* ignored in the other modes */
    }
    apic->tsc_deadline = tsc;
    apic_timer_arm(apic, clock_ns(CLOCK_VM));
}

void apic_timer_adopt(Apic *apic, uint32_t count, uint32_t current, uint32_t divide)
{
    apic->timer_count = count;
    apic->timer_divide = divide & 0xb;
    apic->timer_start = MAX(clock_ns(CLOCK_VM) - ((int64_t)(count - MIN(current, count))
                                                  << apic_timer_shift(apic)), 0);
}

void apic_timer_reset(Apic *apic)
{
    apic->timer_count = 0;
    apic->timer_divide = 0;
    apic->timer_start = 0;
    apic->tsc_deadline = 0;
    timer_del(apic->timer);
}

void apic_timer_init(Apic *apic)
{
    apic->timer = timer_new(CLOCK_VM, apic_timer_expire, apic);
}
