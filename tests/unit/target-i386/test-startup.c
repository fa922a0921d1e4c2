/* SPDX-License-Identifier: GPL-2.0-or-later */
/* INIT and start-up messages: how processors other than the first begin (SDM 3A 8.4). */
#include "memory/memory.h"
#include "target-i386/cpu.h"
#include "target-i386/interp/interp.h"

typedef struct Rig {
    MemorySpace *memory;
    PortSpace *ports;
    X86CPU *cpu;
} Rig;

static void rig_init(Rig *rig, gconstpointer data)
{
    rig->memory = memory_space_new();
    rig->ports = port_space_new();
    rig->cpu = cpu_new_bare(rig->memory, rig->ports);
    rig->cpu->vcpu.is_bsp = false;
    cpu_reset(rig->cpu, false);
    g_assert_true(rig->cpu->vcpu.wait_for_sipi);
}

static void rig_clear(Rig *rig, gconstpointer data)
{
    cpu_free_bare(rig->cpu);
    port_space_free(rig->ports);
    memory_space_free(rig->memory);
}

static void accept_all(X86CPU *cpu)
{
    for (unsigned i = 0; i < 4; i++) {
        cpu_accept_events(cpu);
    }
}

static void assert_started(const X86CPU *cpu, uint8_t vector)
{
    g_assert_false(cpu->vcpu.wait_for_sipi);
    g_assert_false(cpu->vcpu.halted);
    g_assert_cmphex(cpu->seg[SEG_CS].base, ==, (uint64_t)vector << 12);
    g_assert_cmphex(cpu->regs[R_RIP], ==, 0);
}

static void test_one_by_one(Rig *rig, gconstpointer data)
{
    X86CPU *cpu = rig->cpu;

    vcpu_raise(&cpu->vcpu, VCPU_INIT);
    accept_all(cpu);
    g_assert_true(cpu->vcpu.wait_for_sipi);
    cpu->vcpu.sipi_vector = 0x9a;
    vcpu_raise(&cpu->vcpu, VCPU_SIPI);
    accept_all(cpu);
    assert_started(cpu, 0x9a);
}

/* The thread of a CPU may come to run only after both messages were sent. */
static void test_both_at_once(Rig *rig, gconstpointer data)
{
    X86CPU *cpu = rig->cpu;

    vcpu_raise(&cpu->vcpu, VCPU_INIT);
    cpu->vcpu.sipi_vector = 0x9a;
    vcpu_raise(&cpu->vcpu, VCPU_SIPI);
    accept_all(cpu);
    assert_started(cpu, 0x9a);
}

/* A second start-up message, which operating systems send to be sure, changes nothing. */
static void test_second_message(Rig *rig, gconstpointer data)
{
    X86CPU *cpu = rig->cpu;

    test_both_at_once(rig, data);
    cpu->cpu_rip = 0x123;
    vcpu_raise(&cpu->vcpu, VCPU_SIPI);
    accept_all(cpu);
    g_assert_cmphex(cpu->regs[R_RIP], ==, 0x123);
}

/* Power-on reset forgets messages. */
static void test_reset(Rig *rig, gconstpointer data)
{
    X86CPU *cpu = rig->cpu;

    vcpu_raise(&cpu->vcpu, VCPU_INIT | VCPU_SIPI);
    cpu_reset(cpu, false);
    accept_all(cpu);
    g_assert_true(cpu->vcpu.wait_for_sipi);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add("/startup/one-by-one", Rig, NULL, rig_init, test_one_by_one, rig_clear);
    g_test_add("/startup/both-at-once", Rig, NULL, rig_init, test_both_at_once, rig_clear);
    g_test_add("/startup/second-message", Rig, NULL, rig_init, test_second_message, rig_clear);
    g_test_add("/startup/reset", Rig, NULL, rig_init, test_reset, rig_clear);
    return g_test_run();
}
