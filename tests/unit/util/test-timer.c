/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Timers: order, re-arming, precision, wake-up from another thread, stepping; and the lock's
 * fairness.
 */
#include <string.h>

#include "util/lock.h"
#include "util/mainloop.h"
#include "util/timer.h"

#define US 1000LL
#define MS 1000000LL

static GString *trace;

static void note(void *opaque)
{
    g_assert_true(machine_locked());
    g_string_append(trace, opaque);
}

static void iterate_until(size_t length)
{
    int64_t end = g_get_monotonic_time() + 10 * G_USEC_PER_SEC;

    while (trace->len < length) {
        g_assert_cmpint(g_get_monotonic_time(), <, end);
        g_main_context_iteration(NULL, TRUE);
    }
}

static void test_order(void)
{
    int64_t now = clock_ns(CLOCK_REAL);
    Timer *a = timer_new(CLOCK_REAL, note, "a"), *b = timer_new(CLOCK_REAL, note, "b");
    Timer *c = timer_new(CLOCK_VM, note, "c"), *d = timer_new(CLOCK_HOST, note, "d");

    g_string_truncate(trace, 0);
    timer_mod(a, now + 6 * MS);
    timer_mod(b, now + 2 * MS);
    timer_mod(c, clock_ns(CLOCK_VM) + 4 * MS);
    timer_mod(d, clock_ns(CLOCK_HOST) + 8 * MS);
    g_assert_true(timer_pending(a));
    g_assert_cmpint(timer_expire_ns(b), ==, now + 2 * MS);
    iterate_until(4);
    /* Within a clock the order is certain; a loop that wakes late finds several clocks due. */
    g_assert_true(strchr(trace->str, 'b') < strchr(trace->str, 'a'));
    g_assert_true(strchr(trace->str, 'c') && strchr(trace->str, 'd'));
    g_assert_false(timer_pending(a));
    g_assert_cmpint(timer_expire_ns(a), ==, -1);
    g_assert_cmpint(clock_ns(CLOCK_REAL), >=, now + 6 * MS);
    timer_free(a);
    timer_free(b);
    timer_free(c);
    timer_free(d);
}

static void test_rearm(void)
{
    Timer *a = timer_new(CLOCK_REAL, note, "a"), *b = timer_new(CLOCK_REAL, note, "b");

    g_string_truncate(trace, 0);
    timer_mod(a, clock_ns(CLOCK_REAL) + 1 * MS);
    timer_mod(a, clock_ns(CLOCK_REAL) + 6 * MS); /* later than the timerfd is set for */
    timer_mod(b, timer_expire_ns(a) - 3 * MS);
    iterate_until(2);
    g_assert_cmpstr(trace->str, ==, "ba");
    timer_mod(a, 0); /* long past */
    timer_mod(b, clock_ns(CLOCK_REAL) + 1 * MS);
    timer_del(b);
    iterate_until(3);
    g_assert_cmpstr(trace->str, ==, "baa");
    timer_free(a);
    timer_free(b);
}

/* Against a sort: random times, some deleted, some moved. */
static void test_random_order(void)
{
    enum { COUNT = 200 };
    typedef struct { Timer *timer; int64_t at; } Entry;
    Entry entries[COUNT];
    char names[COUNT][2];

    g_string_truncate(trace, 0);
    clock_vm_pause();
    int64_t start = clock_ns(CLOCK_VM);
    for (int i = 0; i < COUNT; i++) {
        names[i][0] = i + 1; /* never NUL */
        names[i][1] = 0;
        entries[i].timer = timer_new(CLOCK_VM, note, names[i]);
        for (int again = 0; again < 3; again++) {
            entries[i].at = start + 1 + g_test_rand_int_range(0, 1000000) * 1000LL + i;
            timer_mod(entries[i].timer, entries[i].at);
        }
        if (i % 3 == 0) {
            timer_del(entries[i].timer);
        }
    }
    clock_vm_step(2000000000);
    g_assert_cmpuint(trace->len, ==, COUNT - (COUNT + 2) / 3);
    for (size_t i = 1; i < trace->len; i++) {
        g_assert_cmpint(entries[(uint8_t)trace->str[i - 1] - 1].at, <,
                        entries[(uint8_t)trace->str[i] - 1].at);
    }
    for (int i = 0; i < COUNT; i++) {
        timer_free(entries[i].timer);
    }
    clock_vm_resume();
}

static Timer *self_timer;
static unsigned self_count;

static void rearm_self(void *opaque)
{
    if (++self_count < 1000) {
        timer_mod(self_timer, 0);
    } else {
        g_clear_pointer(&self_timer, timer_free); /* from within its own callback */
    }
}

/* A timer that is always due must not keep other sources of the loop from their turn. */
static void test_greedy(void)
{
    self_timer = timer_new(CLOCK_REAL, rearm_self, NULL);
    g_string_truncate(trace, 0);
    timer_mod(self_timer, 0);
    g_main_context_iteration(NULL, TRUE);
    main_loop_defer(note, "x");
    iterate_until(1);
    g_assert_cmpuint(self_count, <, 1000);
    while (self_timer) {
        g_main_context_iteration(NULL, TRUE);
    }
}

static gpointer arm_soon(gpointer timer)
{
    g_usleep(20000);
    machine_lock(); /* the loop's poll has given it up */
    timer_mod(timer, clock_ns(CLOCK_REAL) + 1 * MS);
    machine_unlock();
    return NULL;
}

/* A loop asleep for ten seconds notices a timer that another thread arms. */
static void test_wake(void)
{
    int64_t start = clock_ns(CLOCK_REAL);
    Timer *late = timer_new(CLOCK_REAL, note, "l"), *soon = timer_new(CLOCK_REAL, note, "s");

    g_string_truncate(trace, 0);
    timer_mod(late, start + 10 * NS_PER_SECOND);
    GThread *thread = g_thread_new("arm", arm_soon, soon);
    iterate_until(1);
    g_assert_cmpstr(trace->str, ==, "s");
    g_assert_cmpint(clock_ns(CLOCK_REAL), <, start + 5 * NS_PER_SECOND);
    g_thread_join(thread);
    timer_free(late);
    timer_free(soon);
}

static void test_vm_clock(void)
{
    Timer *a = timer_new(CLOCK_VM, note, "a");

    g_string_truncate(trace, 0);
    clock_vm_pause();
    int64_t now = clock_ns(CLOCK_VM);
    timer_mod(a, now + 5 * US);
    g_usleep(2000);
    while (g_main_context_iteration(NULL, FALSE)) {
    }
    g_assert_cmpint(clock_ns(CLOCK_VM), ==, now);
    g_assert_cmpuint(trace->len, ==, 0);
    clock_vm_step(4 * US);
    g_assert_cmpuint(trace->len, ==, 0);
    clock_vm_step(1 * US);
    g_assert_cmpstr(trace->str, ==, "a");
    timer_mod(a, clock_ns(CLOCK_VM) + 1 * MS);
    clock_vm_resume();
    iterate_until(2);
    g_assert_cmpint(clock_ns(CLOCK_VM), >=, now + 1 * MS);
    timer_free(a);
}

static gboolean stop_flag;

static gpointer hammer(gpointer opaque)
{
    while (!g_atomic_int_get(&stop_flag)) {
        machine_lock();
        for (volatile int i = 0; i < 200; i++) {
        }
        machine_unlock();
    }
    return NULL;
}

/*
 * One thread takes the lock over and over, as a polling vCPU; the other must get it in good time.
 */
static void test_fairness(void)
{
    GThread *thread = g_thread_new("hammer", hammer, NULL);
    int64_t start = g_get_monotonic_time();

    for (int i = 0; i < 1000; i++) {
        machine_unlock();
        machine_lock();
    }
    int64_t spent = g_get_monotonic_time() - start;
    g_atomic_int_set(&stop_flag, TRUE);
    machine_unlock();
    g_thread_join(thread);
    machine_lock();
    g_test_message("1000 hand-overs in %" G_GINT64_FORMAT " us", spent);
    g_assert_cmpint(spent, <, 5 * G_USEC_PER_SEC);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    main_loop_init();
    machine_lock();
    trace = g_string_new(NULL);
    g_test_add_func("/timer/order", test_order);
    g_test_add_func("/timer/rearm", test_rearm);
    g_test_add_func("/timer/random-order", test_random_order);
    g_test_add_func("/timer/greedy", test_greedy);
    g_test_add_func("/timer/wake", test_wake);
    g_test_add_func("/timer/vm-clock", test_vm_clock);
    g_test_add_func("/lock/fairness", test_fairness);
    return g_test_run();
}
