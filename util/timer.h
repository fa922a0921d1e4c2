/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Clocks and timers. Callbacks run in the main loop with the machine lock held. All times are
 * nanoseconds.
 */
#ifndef UTIL_TIMER_H
#define UTIL_TIMER_H

#include <stdbool.h>
#include <stdint.h>

#define NS_PER_SECOND 1000000000LL

typedef enum {
    CLOCK_VM,   /* guest time: starts at 0, stands still while the VM is stopped */
    CLOCK_HOST, /* wall clock, UTC, since 1970 */
    CLOCK_REAL, /* host monotonic: never stops */
} ClockType;

typedef struct Timer Timer;
typedef void TimerFn(void *opaque);

/*
 * What CLOCK_VM goes by instead of the host's clock: counted instructions (accel/icount.h). Its
 * timers are then run by clock_vm_run() alone, not by the main loop.
 */
typedef struct ClockDriver {
    int64_t (*now)(void *opaque);   /* any thread, without a lock; never goes back */
    void (*armed)(void *opaque);    /* the earliest timer has become an earlier one; machine lock */
    void *opaque;
} ClockDriver;

/* Prepares the clocks: CLOCK_VM is 0 and runs. Called by main_loop_init() and timer_new(). */
void timers_init(void);
/* Now on @clock; callable from any thread, without a lock. */
int64_t clock_ns(ClockType clock);
/* Stops and restarts CLOCK_VM (stop/cont). Machine lock held. */
void clock_vm_pause(void);
void clock_vm_resume(void);
/*
 * Moves a paused CLOCK_VM on by @ns and runs what falls due, each timer at its very time: how tests
 * drive chips without waiting. Machine lock held.
 */
void clock_vm_step(int64_t ns);

/*
 * Makes @driver (NULL: the host's clock again, going on from where it is) the source of CLOCK_VM.
 * Before the first timer, machine lock held.
 */
void clock_vm_drive(const ClockDriver *driver);
/*
 * Where to find what the host's TSC says of CLOCK_VM (util/tsc-clock.h), which may change at any
 * time; NULL: it says nothing.
 */
const struct TscAnchor *const *clock_vm_anchor(void);
/* Expiry of the earliest timer on CLOCK_VM, INT64_MAX if there is none. Machine lock held. */
int64_t clock_vm_deadline(void);
/* Runs what is due on CLOCK_VM, a bounded number of timers. With a driver, machine lock held. */
void clock_vm_run(void);
/*
 * Makes CLOCK_HOST a clock that was @start_ns when CLOCK_VM was 0 and runs with it; -1: the host's
 * wall clock again. For timers that are created afterwards.
 */
void clock_host_follow_vm(int64_t start_ns);

/* Timers are created, armed and freed under the machine lock. */
Timer *timer_new(ClockType clock, TimerFn *fn, void *opaque);
void timer_free(Timer *timer);
/* Arms (or re-arms) @timer to fire at @expire_ns of its clock; a past time fires at once. */
void timer_mod(Timer *timer, int64_t expire_ns);
void timer_del(Timer *timer);
bool timer_pending(const Timer *timer);
/* Expiry of a pending timer, -1 if it is not pending. */
int64_t timer_expire_ns(const Timer *timer);

/* a * b / c with a 128-bit intermediate. */
static inline uint64_t muldiv64(uint64_t a, uint32_t b, uint32_t c)
{
    return (uint64_t)((unsigned __int128)a * b / c);
}

#endif
