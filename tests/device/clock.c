/* SPDX-License-Identifier: GPL-2.0-or-later */
/* util/timer.h for tests of chips: time is exact and moves only when told. */
#include "tests/device/clock.h"

#include <glib.h>

#include "util/timer.h"

/* A wall clock that is not a multiple of anything: 2026-11-22 12:34:56.789. */
#define TEST_EPOCH_NS 1795350896789000000ll

struct Timer {
    ClockType clock;
    TimerFn *fn;
    void *opaque;
    int64_t expire; /* -1: not pending */
};

static struct {
    GPtrArray *timers;
    int64_t now; /* of CLOCK_VM */
    int64_t drift;
    unsigned fired;
} test_clock;

int64_t clock_ns(ClockType clock)
{
    test_clock.now += test_clock.drift;
    return test_clock.now + (clock == CLOCK_HOST ? TEST_EPOCH_NS : 0);
}

void clock_vm_pause(void)
{
}

void clock_vm_resume(void)
{
}

void timers_init(void);
void timers_init(void)
{
    test_clock.timers = g_ptr_array_new();
}

Timer *timer_new(ClockType clock, TimerFn *fn, void *opaque)
{
    Timer *timer = g_new(Timer, 1);

    *timer = (Timer) { clock, fn, opaque, -1 };
    g_ptr_array_add(test_clock.timers, timer);
    return timer;
}

void timer_free(Timer *timer)
{
    g_ptr_array_remove(test_clock.timers, timer);
    g_free(timer);
}

void timer_mod(Timer *timer, int64_t expire_ns)
{
    timer->expire = MAX(expire_ns, 0);
}

void timer_del(Timer *timer)
{
    timer->expire = -1;
}

bool timer_pending(const Timer *timer)
{
    return timer->expire >= 0;
}

int64_t timer_expire_ns(const Timer *timer)
{
    return timer->expire;
}

/* Expiry on CLOCK_VM. */
static int64_t timer_due(const Timer *timer)
{
    return timer->expire - (timer->clock == CLOCK_HOST ? TEST_EPOCH_NS : 0);
}

static Timer *first_due(int64_t until)
{
    Timer *first = NULL;

    for (unsigned n = 0; n < test_clock.timers->len; n++) {
        Timer *timer = g_ptr_array_index(test_clock.timers, n);
        if (timer_pending(timer) && timer_due(timer) <= until &&
            (!first || timer_due(timer) < timer_due(first))) {
            first = timer;
        }
    }
    return first;
}

void test_clock_advance(int64_t ns)
{
    int64_t until = test_clock.now + ns;
    Timer *timer;

    while ((timer = first_due(until))) {
        test_clock.now = MAX(test_clock.now, timer_due(timer));
        timer->expire = -1;
        test_clock.fired++;
        timer->fn(timer->opaque);
    }
    test_clock.now = until;
}

void test_clock_drift(int64_t ns)
{
    test_clock.drift = ns;
}

unsigned test_clock_fired(void)
{
    return test_clock.fired;
}
