/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The host's clock by its time stamp counter: it agrees with the kernel's and never goes back. */
#include <time.h>

#include <glib.h>

#include "util/timer.h"
#include "util/tsc-clock.h"

#define MS 1000000LL

static int64_t host_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * NS_PER_SECOND + now.tv_nsec;
}

static int64_t now_by(TscClock *clock, int64_t offset)
{
    int64_t now;

    return tsc_clock_read(clock, &now) ? now : tsc_clock_renew(clock, offset);
}

/* What is read lies between two readings of the host's clock, but for what a rate is off by. */
static void follow(TscClock *clock, int64_t offset, int64_t ns)
{
    int64_t end = host_ns() + ns, last = INT64_MIN;

    while (host_ns() < end) {
        int64_t before = host_ns() - offset, now = now_by(clock, offset);

        g_assert_cmpint(now, >=, last);
        g_assert_cmpint(now, >=, before - 20000);
        g_assert_cmpint(now, <=, host_ns() - offset + 20000);
        last = now;
    }
}

static void test_follows(void)
{
    g_autofree TscClock *clock = g_new(TscClock, 1);
    int64_t offset = host_ns() - 5 * NS_PER_SECOND;

    tsc_clock_init(clock);
    follow(clock, offset, 300 * MS);
    g_assert_cmpint(clock->anchor->limit, >, 0);
    g_assert_cmpuint(clock->next, >=, 3);
}

/* Stopped for a while and set to another time. */
static void test_set(void)
{
    g_autofree TscClock *clock = g_new(TscClock, 1);
    int64_t now;

    tsc_clock_init(clock);
    follow(clock, 0, 60 * MS);
    g_assert_true(tsc_clock_read(clock, &now));
    tsc_clock_forget(clock);
    g_assert_false(tsc_clock_read(clock, &now));
    follow(clock, 7 * NS_PER_SECOND, 20 * MS);
}

/* A clock that is ahead of the host's waits for it instead of going back. */
static void test_waits(void)
{
    g_autofree TscClock *clock = g_new(TscClock, 1);
    int64_t end, last, now, before;

    tsc_clock_init(clock);
    follow(clock, 0, 60 * MS);
    last = now_by(clock, 0);
    end = host_ns() + 400 * MS;
    while (host_ns() < end) {
        now = now_by(clock, MS);
        g_assert_cmpint(now, >=, last);
        last = now;
    }
    before = host_ns() - MS;
    now = now_by(clock, MS);
    g_assert_cmpint(now, >=, before - 50000);
    g_assert_cmpint(now, <=, host_ns() - MS + 50000);
}

int main(int argc, char **argv)
{
    g_autofree TscClock *clock = g_new(TscClock, 1);

    g_test_init(&argc, &argv, NULL);
    tsc_clock_init(clock);
    if (!clock->usable) { /* its counters may differ from CPU to CPU */
        return g_test_run();
    }
    g_test_add_func("/tsc-clock/follows", test_follows);
    g_test_add_func("/tsc-clock/set", test_set);
    g_test_add_func("/tsc-clock/waits", test_waits);
    return g_test_run();
}
