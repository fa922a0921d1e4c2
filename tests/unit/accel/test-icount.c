/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Counted time with CPUs that only count: at which instruction timers fire, whose turn it is, and
 * what the clock shows when all are idle.
 */
#include "accel/icount.h"
#include "util/lock.h"
#include "util/timer.h"

#define MAX_CPUS 3

typedef struct Rig Rig;

/* What a CPU does at one of its instructions. */
typedef struct Step {
    unsigned cpu;
    uint64_t count;
    void (*act)(Rig *rig, Vcpu *vcpu);
} Step;

typedef struct CountingCpu {
    Vcpu vcpu;
    Rig *rig;
    uint64_t count, limit;
} CountingCpu;

struct Rig {
    Icount *icount;
    CountingCpu cpu[MAX_CPUS];
    unsigned count;
    const Step *steps;
    Timer *timer, *last;
    GString *story; /* what happened, in order */
    atomic_bool done;
};

static void tell(Rig *rig, const char *format, ...) G_GNUC_PRINTF(2, 3);
static void tell(Rig *rig, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    g_string_append_vprintf(rig->story, format, args);
    va_end(args);
}

/* One instruction after the other until the limit or an event, as the interpreter does. */
static void cpu_run(Vcpu *vcpu)
{
    CountingCpu *cpu = (CountingCpu *)vcpu;
    uint32_t pending = vcpu_pending(vcpu);

    g_assert_false(machine_locked());
    if (pending & VCPU_INTR) {
        vcpu_clear(vcpu, VCPU_INTR);
        vcpu->halted = false;
        pending &= ~VCPU_INTR;
        machine_lock();
        tell(cpu->rig, "intr %u@%" G_GUINT64_FORMAT "; ", vcpu->index, cpu->count);
        machine_unlock();
    }
    while (!vcpu->halted && cpu->count < cpu->limit && vcpu_pending(vcpu) == pending) {
        cpu->count++;
        for (const Step *step = cpu->rig->steps; step && step->act; step++) {
            if (step->cpu == vcpu->index && step->count == cpu->count) {
                machine_lock();
                step->act(cpu->rig, vcpu);
                machine_unlock();
            }
        }
    }
}

static bool cpu_has_work(Vcpu *vcpu)
{
    return vcpu_pending(vcpu) & VCPU_INTR;
}

static const VcpuOps counting_ops = { .run = cpu_run, .has_work = cpu_has_work };

static void timer_fired(void *opaque)
{
    Rig *rig = opaque;

    tell(rig, "timer %" G_GINT64_FORMAT "@%" G_GUINT64_FORMAT "; ", clock_ns(CLOCK_VM),
         rig->cpu[0].count);
    vcpu_raise(&rig->cpu[0].vcpu, VCPU_INTR);
}

static void last_fired(void *opaque)
{
    Rig *rig = opaque;

    atomic_store(&rig->done, true);
    for (unsigned i = 0; i < rig->count; i++) {
        rig->cpu[i].vcpu.halted = true;
    }
}

static Rig *rig_new(unsigned count, const IcountOptions *options, const Step *steps)
{
    Rig *rig = g_new0(Rig, 1);

    machine_lock();
    rig->icount = icount_new(options);
    rig->count = count;
    rig->steps = steps;
    rig->story = g_string_new(NULL);
    rig->timer = timer_new(CLOCK_VM, timer_fired, rig);
    rig->last = timer_new(CLOCK_VM, last_fired, rig);
    for (unsigned i = 0; i < count; i++) {
        Vcpu *vcpu = &rig->cpu[i].vcpu;
        vcpu->index = i;
        vcpu->ops = &counting_ops;
        vcpu->icount_done = &rig->cpu[i].count;
        vcpu->icount_limit = &rig->cpu[i].limit;
        rig->cpu[i].rig = rig;
        icount_add_vcpu(rig->icount, vcpu);
        vcpu_start(vcpu);
    }
    return rig;
}

/* Runs all CPUs until CLOCK_VM is @end_ns; the story is the caller's. */
static char *rig_run(Rig *rig, int64_t end_ns)
{
    char *story;

    timer_mod(rig->last, end_ns);
    for (unsigned i = 0; i < rig->count; i++) {
        vcpu_resume(&rig->cpu[i].vcpu);
    }
    while (!atomic_load(&rig->done)) {
        machine_unlock();
        g_usleep(1000);
        machine_lock();
    }
    for (unsigned i = 0; i < rig->count; i++) {
        vcpu_stop(&rig->cpu[i].vcpu);
    }
    for (unsigned i = 0; i < rig->count; i++) {
        icount_remove_vcpu(&rig->cpu[i].vcpu);
    }
    timer_free(rig->timer);
    timer_free(rig->last);
    icount_free(rig->icount);
    story = g_string_free(rig->story, false);
    g_free(rig);
    machine_unlock();
    return story;
}

/* --- timers ------------------------------------------------------------------------- */

static void arm_4(Rig *rig, Vcpu *vcpu)
{
    timer_mod(rig->timer, clock_ns(CLOCK_VM) + 4);
}

static void arm_past(Rig *rig, Vcpu *vcpu)
{
    timer_mod(rig->timer, 3);
}

/* Every 4 ns an instruction: a timer between two waits for the second, one in the past for none. */
static void test_exact(void)
{
    static const Step steps[] = {{0, 300, arm_4}, {0, 400, arm_past}, {0}};
    IcountOptions options = { .shift = 2 };
    Rig *rig = rig_new(1, &options, steps);

    timer_mod(rig->timer, 1001);
    g_autofree char *story = rig_run(rig, 10000);
    g_assert_cmpstr(story, ==, "timer 1004@251; intr 0@251; timer 1204@301; intr 0@301; "
                               "timer 1600@400; intr 0@400; ");
}

static void halt(Rig *rig, Vcpu *vcpu)
{
    vcpu->halted = true;
}

/* Without sleep an hour is nothing; the CPU executes nothing meanwhile. */
static void test_idle(void)
{
    static const Step steps[] = {{0, 10, halt}, {0, 20, halt}, {0}};
    IcountOptions options = { .shift = 0 };
    Rig *rig = rig_new(1, &options, steps);

    timer_mod(rig->timer, 3600 * NS_PER_SECOND);
    g_autofree char *story = rig_run(rig, 7200 * NS_PER_SECOND);
    g_assert_cmpstr(story, ==, "timer 3600000000000@10; intr 0@10; ");
}

/* With sleep the host's clock must have moved as far, and the machine's shows the same times. */
static void test_sleep(void)
{
    static const Step steps[] = {{0, 10, halt}, {0, 20, halt}, {0}};
    IcountOptions options = { .shift = 0, .sleep = true };
    int64_t begin = clock_ns(CLOCK_REAL);
    Rig *rig = rig_new(1, &options, steps);

    timer_mod(rig->timer, 30000000);
    g_autofree char *story = rig_run(rig, 50000000);
    g_assert_cmpstr(story, ==, "timer 30000000@10; intr 0@10; ");
    g_assert_cmpint(clock_ns(CLOCK_REAL) - begin, >=, 50000000 - 20);
}

/* --- turns ---------------------------------------------------------------------------- */

static void show(Rig *rig, Vcpu *vcpu)
{
    tell(rig, "%u@%" G_GINT64_FORMAT " ", vcpu->index, clock_ns(CLOCK_VM));
}

/* Turns of 100,000 instructions; the clock is made of everybody's. */
static void test_turns(void)
{
    static const Step steps[] = {
        {0, 1, show}, {0, 100000, show}, {0, 100001, show}, {1, 1, show}, {1, 100001, show},
        {2, 1, show}, {2, 100000, show}, {0}};
    IcountOptions options = { .shift = 0 };
    g_autofree char *story = rig_run(rig_new(3, &options, steps), 450000);

    g_assert_cmpstr(story, ==, "0@1 0@100000 1@100001 2@200001 2@300000 0@300001 1@400001 ");
}

static void wake_1(Rig *rig, Vcpu *vcpu)
{
    vcpu_raise(&rig->cpu[1].vcpu, VCPU_INTR);
}

/* Whoever wakes another runs on for 1000 instructions, then it is the other's turn. */
static void test_wake(void)
{
    static const Step steps[] = {{1, 1, halt}, {0, 150000, wake_1}, {0, 151000, show},
                                 {1, 2, show}, {0, 151001, show}, {0}};
    IcountOptions options = { .shift = 0 };
    g_autofree char *story = rig_run(rig_new(2, &options, steps), 300000);

    g_assert_cmpstr(story, ==, "0@151001 intr 1@1; 1@151002 0@251002 ");
}

static void yield(Rig *rig, Vcpu *vcpu)
{
    vcpu->scheduler->yield(vcpu);
}

static void test_yield(void)
{
    static const Step steps[] = {{0, 7, yield}, {1, 1, show}, {1, 5, yield}, {0, 8, show}, {0}};
    IcountOptions options = { .shift = 0 };
    g_autofree char *story = rig_run(rig_new(2, &options, steps), 100);

    g_assert_cmpstr(story, ==, "1@8 0@13 ");
}

/* --- the wall clock ------------------------------------------------------------------- */

static void wall_timer(void *opaque)
{
    *(int64_t *)opaque = clock_ns(CLOCK_HOST);
}

/* A wall clock with a given start runs with the machine's, its timers too. */
static void test_wall_clock(void)
{
    IcountOptions options = { .shift = 0 };
    int64_t start = 1700000000 * NS_PER_SECOND, fired = 0;
    Rig *rig;

    clock_host_follow_vm(start);
    rig = rig_new(1, &options, NULL);
    Timer *timer = timer_new(CLOCK_HOST, wall_timer, &fired);
    g_assert_cmpint(clock_ns(CLOCK_HOST), ==, start);
    timer_mod(timer, start + 777);
    g_assert_cmpint(timer_expire_ns(timer), ==, start + 777);
    g_free(rig_run(rig, 1000));
    g_assert_cmpint(fired, ==, start + 777);
    timer_free(timer);
    clock_host_follow_vm(-1);
    g_assert_cmpint(ABS(clock_ns(CLOCK_HOST) / NS_PER_SECOND - g_get_real_time() / 1000000), <=, 1);
}

/* The shift that adapts goes on from the time that it was, and the clock never goes back. */
static void check_time(Rig *rig, Vcpu *vcpu)
{
    static int64_t last;
    int64_t now = clock_ns(CLOCK_VM);

    g_assert_cmpint(now, >=, vcpu->index == 0 && rig->cpu[0].count == 1 ? 0 : last);
    last = now;
}

static void test_automatic(void)
{
    Step steps[102] = {{0}};
    IcountOptions options = { .shift = 3, .automatic = true, .sleep = true };

    for (unsigned i = 0; i < 101; i++) {
        steps[i] = (Step){0, 1 + 10000 * i, check_time};
    }
    g_free(rig_run(rig_new(1, &options, steps), 500000000));
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    timers_init();
    g_test_add_func("/icount/exact", test_exact);
    g_test_add_func("/icount/idle", test_idle);
    g_test_add_func("/icount/sleep", test_sleep);
    g_test_add_func("/icount/turns", test_turns);
    g_test_add_func("/icount/wake", test_wake);
    g_test_add_func("/icount/yield", test_yield);
    g_test_add_func("/icount/wall-clock", test_wall_clock);
    g_test_add_func("/icount/automatic", test_automatic);
    return g_test_run();
}
