/* SPDX-License-Identifier: GPL-2.0-or-later */
/* vCPU threads and the power requests, with a CPU that only counts. */
#include <sys/resource.h>
#include <time.h>

#include "accel/accel.h"
#include "tests/unit/hw-core/toy.h"
#include "util/lock.h"
#include "util/mainloop.h"
#include "util/timer.h"

typedef struct CountingCpu {
    Vcpu vcpu;
    atomic_uint runs, resets, interrupts;
    bool ask_reset;
    bool spin;
} CountingCpu;

static void cpu_run(Vcpu *vcpu)
{
    CountingCpu *cpu = (CountingCpu *)vcpu;

    g_assert_false(machine_locked());
    g_assert_true(vcpu_current() == vcpu);
    do {
        cpu->runs++;
        if (vcpu_pending(vcpu) & VCPU_INTR) {
            vcpu_clear(vcpu, VCPU_INTR);
            cpu->interrupts++;
        }
        if (cpu->ask_reset) {
            cpu->ask_reset = false;
            vcpu_request_reset(vcpu);
        }
    } while (cpu->spin && !vcpu_pending(vcpu));
    vcpu->halted = !cpu->spin;
}

static bool cpu_has_work(Vcpu *vcpu)
{
    return vcpu_pending(vcpu) & VCPU_INTR;
}

static void cpu_reset(Vcpu *vcpu)
{
    ((CountingCpu *)vcpu)->resets++;
    vcpu->halted = false;
}

static const VcpuOps counting_ops = { cpu_run, cpu_has_work, cpu_reset, NULL };

static void machine_end(Machine *machine)
{
    g_autoptr(GPtrArray) cpus = g_ptr_array_new_with_free_func(g_free);

    g_ptr_array_extend(cpus, machine->vcpus, NULL, NULL);
    machine_free(machine);
}

static CountingCpu *cpu_new(Machine *machine)
{
    CountingCpu *cpu = g_new0(CountingCpu, 1);

    cpu->vcpu.index = machine->vcpus->len;
    cpu->vcpu.ops = &counting_ops;
    g_ptr_array_add(machine->vcpus, cpu);
    return cpu;
}

/* Runs the main loop until *@value reaches @at_least, or fails after ten seconds. */
static void wait_for(atomic_uint *value, unsigned at_least)
{
    int64_t end = g_get_monotonic_time() + 10 * G_USEC_PER_SEC;

    while (atomic_load(value) < at_least) {
        g_assert_cmpint(g_get_monotonic_time(), <, end);
        if (!g_main_context_iteration(NULL, FALSE)) {
            machine_unlock();
            g_usleep(100);
            machine_lock();
        }
    }
}

static void test_halt_and_wake(void)
{
    Machine *machine = machine_new(NULL);
    CountingCpu *cpu = cpu_new(machine);

    machine_start(machine, false);
    wait_for(&cpu->runs, 1);
    for (unsigned i = 1; i <= 100; i++) {
        vcpu_raise(&cpu->vcpu, VCPU_INTR);
        wait_for(&cpu->interrupts, i);
    }
    g_assert_cmpuint(cpu->resets, ==, 1);
    machine_end(machine);
}

static void test_paused_start(void)
{
    Machine *machine = machine_new(NULL);
    CountingCpu *cpu = cpu_new(machine);

    machine_start(machine, true);
    machine_unlock();
    g_usleep(20000);
    machine_lock();
    g_assert_cmpuint(cpu->runs, ==, 0);
    int64_t now = clock_ns(CLOCK_VM);
    g_usleep(1000);
    g_assert_cmpint(clock_ns(CLOCK_VM), ==, now);
    machine_resume(machine);
    wait_for(&cpu->runs, 1);
    machine_end(machine);
}

static void test_pause(void)
{
    Machine *machine = machine_new(NULL);
    CountingCpu *cpu[2] = { cpu_new(machine), cpu_new(machine) };

    cpu[0]->spin = cpu[1]->spin = true;
    machine_start(machine, false);
    wait_for(&cpu[1]->runs, 1000);
    for (unsigned i = 0; i < 50; i++) {
        machine_pause(machine);
        unsigned runs = cpu[0]->runs + cpu[1]->runs;
        g_thread_yield();
        g_assert_cmpuint(cpu[0]->runs + cpu[1]->runs, ==, runs);
        machine_resume(machine);
    }
    machine_end(machine);
}

static void test_reset_from_vcpu(void)
{
    Machine *machine = machine_new(NULL);
    CountingCpu *cpu = cpu_new(machine);

    cpu->ask_reset = true;
    machine_start(machine, false);
    wait_for(&cpu->resets, 2);
    wait_for(&cpu->runs, 2);
    machine_reset(machine);
    g_assert_cmpuint(cpu->resets, ==, 3);
    machine_end(machine);
}

static double cpu_seconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return now.tv_sec + now.tv_nsec / 1e9;
}

static void quit_loop(void *opaque)
{
    main_loop_quit(*(int *)opaque);
}

/* A halted CPU and an empty loop: asleep. Last test, as the loop ends once. */
static void test_idle(void)
{
    Machine *machine = machine_new(NULL);
    CountingCpu *cpu = cpu_new(machine);
    int status = 7;
    Timer *timer = timer_new(CLOCK_REAL, quit_loop, &status);

    machine_start(machine, false);
    wait_for(&cpu->runs, 1);
    timer_mod(timer, clock_ns(CLOCK_REAL) + NS_PER_SECOND / 2);
    double before = cpu_seconds();
    g_assert_cmpint(main_loop_run(), ==, 7);
    g_assert_cmpfloat(cpu_seconds() - before, <, 0.05);
    timer_free(timer);
    machine_end(machine);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    main_loop_init();
    machine_lock();
    g_test_add_func("/vcpu/halt-and-wake", test_halt_and_wake);
    g_test_add_func("/vcpu/paused-start", test_paused_start);
    g_test_add_func("/vcpu/pause", test_pause);
    g_test_add_func("/vcpu/reset-from-vcpu", test_reset_from_vcpu);
    g_test_add_func("/vcpu/idle", test_idle);
    return g_test_run();
}
