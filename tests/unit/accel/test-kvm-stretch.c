/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How long the interpreter keeps a CPU, against engines of known speed. */
#include <glib.h>

#include "accel/kvm/stretch.h"

#define SWITCH_NS 50000.0
#define OURS_NS   4.0 /* per instruction */

/*
 * A guest of @total instructions, of which each @distance-th fails in a KVM that takes @theirs_ns
 * an instruction. Returns the time it took.
 */
static double run_guest(double total, double distance, double theirs_ns)
{
    KvmStretch stretch = {0};
    double time = 0, done = 0;

    while (done < total) {
        double away = distance * theirs_ns, more;
        stretch.away_ns += away;
        more = kvm_stretch_next(&stretch);
        stretch.cost_ns = SWITCH_NS + more * OURS_NS;
        time += away + stretch.cost_ns;
        done += distance + more;
    }
    return time;
}

/* The better of the two that know the future: always ours, or one instruction a failure. */
static double best_time(double total, double distance, double theirs_ns)
{
    return MIN(total * OURS_NS, total / distance * (distance * theirs_ns + SWITCH_NS));
}

static void test_competitive(void)
{
    static const double distances[] = {1e1, 1e3, 1e5, 1e7};
    static const double speeds[] = {0.4, 4, 40, 400};

    for (unsigned d = 0; d < G_N_ELEMENTS(distances); d++) {
        for (unsigned s = 0; s < G_N_ELEMENTS(speeds); s++) {
            double total = distances[d] * 2000;
            double time = run_guest(total, distances[d], speeds[s]);
            double best = best_time(total, distances[d], speeds[s]);
            /* A KVM that fails this seldom is left alone, however slow it is. */
            if (distances[d] * speeds[s] < KVM_STRETCH_FAR_NS) {
                g_assert_cmpfloat(time, <, 4 * best);
            } else {
                g_assert_cmpfloat(time, <, 1.1 * total * speeds[s]);
            }
        }
    }
}

static void test_bounds(void)
{
    KvmStretch stretch = {0};

    g_assert_cmpuint(kvm_stretch_next(&stretch), ==, 0); /* nothing is known yet */
    for (unsigned i = 0; i < 20; i++) {
        stretch.cost_ns = 1;
        stretch.away_ns = 1000000;
        g_assert_cmpuint(kvm_stretch_next(&stretch), <=, KVM_STRETCH_MAX);
        g_assert_cmpuint(stretch.length, >=, KVM_STRETCH_MIN);
    }
    g_assert_cmpuint(stretch.length, ==, KVM_STRETCH_MAX);
    for (unsigned i = 0; i < 20; i++) {
        stretch.away_ns = KVM_STRETCH_FAR_NS;
        kvm_stretch_next(&stretch);
    }
    g_assert_cmpuint(stretch.length, ==, 0);
}

/* User code that computes is lent early, one that calls its kernel all the time late. */
static void test_lending(void)
{
    KvmStretch stretch = {.lend = KVM_LEND_START};

    for (unsigned i = 0; i < 20; i++) {
        stretch.away_ns = 10 * KVM_STRETCH_PRICE_NS;
        kvm_stretch_lent(&stretch);
        g_assert_cmpint(stretch.away_ns, ==, 0);
    }
    g_assert_cmpuint(stretch.lend, ==, KVM_LEND_MIN);
    for (unsigned i = 0; i < 20; i++) {
        stretch.away_ns = KVM_STRETCH_PRICE_NS / 2;
        kvm_stretch_lent(&stretch);
    }
    g_assert_cmpuint(stretch.lend, ==, KVM_LEND_MAX);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/kvm-stretch/competitive", test_competitive);
    g_test_add_func("/kvm-stretch/bounds", test_bounds);
    g_test_add_func("/kvm-stretch/lending", test_lending);
    return g_test_run();
}
