/* SPDX-License-Identifier: GPL-2.0-or-later */
/* KVM's clock as our own CPU offers it, read as Documentation/virt/kvm/x86/msr.rst says guests do.
 */
#include <string.h>

#include "memory/memory.h"
#include "target-i386/cpu.h"
#include "target-i386/interp/interp.h"
#include "util/timer.h"

#define PAGE 0x3000
#define RAM_SIZE 0x10000

enum { MSR_TSC = 0x10, MSR_TSC_ADJUST = 0x3b, MSR_OLD_WALL = 0x11, MSR_OLD_TIME = 0x12 };
enum { MSR_WALL = 0x4b564d00, MSR_TIME = 0x4b564d01 };

typedef struct Rig {
    MemorySpace *memory;
    PortSpace *ports;
    RamBlock *ram;
    X86CPU *cpu;
} Rig;

static void rig_init(Rig *rig, gconstpointer data)
{
    g_autoptr(GError) error = NULL;

    rig->memory = memory_space_new();
    rig->ports = port_space_new();
    rig->ram = ram_block_new("ram", RAM_SIZE, &error);
    g_assert_no_error(error);
    memory_map_ram(rig->memory, 0, rig->ram, 0, RAM_SIZE, MAP_READ | MAP_WRITE, 0);
    rig->cpu = cpu_new_bare(rig->memory, rig->ports);
    rig->cpu->paravirt = true;
}

static void rig_clear(Rig *rig, gconstpointer data)
{
    cpu_free_bare(rig->cpu);
    port_space_free(rig->ports);
    memory_space_free(rig->memory);
    ram_block_free(rig->ram);
}

static uint64_t load(Rig *rig, unsigned offset, unsigned size)
{
    uint64_t value = 0;

    g_assert_true(memory_read(rig->memory, PAGE + offset, &value, size));
    return value;
}

/* The algorithm of msr.rst on offsets of its structure: version 0, tsc 8, time 16, mul 24, shift
 * 28. */
static uint64_t guest_time(Rig *rig, uint64_t tsc)
{
    uint64_t delta = tsc - load(rig, 8, 8);
    int8_t shift = load(rig, 28, 1);

    delta = shift < 0 ? delta >> -shift : delta << shift;
    return load(rig, 16, 8) + (uint64_t)((unsigned __int128)delta * load(rig, 24, 4) >> 32);
}

/* What the guest computes lies between two looks at the host's clock; 2 ns for rounding. */
static void assert_on_time(Rig *rig)
{
    int64_t before = clock_ns(CLOCK_VM);
    uint64_t now = guest_time(rig, cpu_read_tsc(rig->cpu));
    int64_t after = clock_ns(CLOCK_VM);

    g_assert_cmpint(now, >=, before - 2);
    g_assert_cmpint(now, <=, after + 2);
}

static void test_rates(Rig *rig, gconstpointer data)
{
    static const uint64_t rates[] = {1000000000, 999999999, 33000000, 2400000000, 2000000001,
                                     5000000000};

    for (unsigned i = 0; i < G_N_ELEMENTS(rates); i++) {
        rig->cpu->vcpu.tsc_hz = rates[i];
        g_assert_true(cpu_msr_write(rig->cpu, MSR_TIME, PAGE | 1));
        g_assert_cmpuint(load(rig, 0, 4) & 1, ==, 0);
        assert_on_time(rig);
        g_usleep(20000);
        if (rates[i] == 33000000) {
            continue; /* one tick is 30 ns */
        }
        assert_on_time(rig);
    }
}

static void test_moved_tsc(Rig *rig, gconstpointer data)
{
    uint32_t version;

    g_assert_true(cpu_msr_write(rig->cpu, MSR_TIME, PAGE | 1));
    version = load(rig, 0, 4);
    g_assert_cmpuint(load(rig, 29, 1), ==, 1);
    g_assert_true(cpu_msr_write(rig->cpu, MSR_TSC, 1ull << 40));
    g_assert_cmpuint(load(rig, 0, 4), ==, version + 2);
    g_assert_cmpuint(load(rig, 29, 1), ==, 0);
    assert_on_time(rig);
    g_assert_true(cpu_msr_write(rig->cpu, MSR_TSC_ADJUST, 0));
    g_assert_cmpuint(load(rig, 29, 1), ==, 1);
    assert_on_time(rig);
}

static void test_wall_clock(Rig *rig, gconstpointer data)
{
    int64_t start = clock_ns(CLOCK_HOST) - clock_ns(CLOCK_VM);

    for (unsigned i = 1; i <= 2; i++) {
        g_assert_true(cpu_msr_write(rig->cpu, i == 1 ? MSR_WALL : MSR_OLD_WALL, PAGE));
        g_assert_cmpuint(load(rig, 0, 4), ==, 2 * i);
        int64_t told = load(rig, 4, 4) * NS_PER_SECOND + load(rig, 8, 4);
        g_assert_cmpint(ABS(told - start), <, NS_PER_SECOND);
    }
}

/* Off, outside of memory, and taken away by reset. */
static void test_places(Rig *rig, gconstpointer data)
{
    uint64_t value;

    g_assert_true(cpu_msr_write(rig->cpu, MSR_TIME, PAGE));
    g_assert_cmpuint(load(rig, 0, 4), ==, 0);
    g_assert_true(cpu_msr_write(rig->cpu, MSR_TIME, 0x123456789001));
    g_assert_true(cpu_msr_write(rig->cpu, MSR_WALL, UINT64_MAX));
    g_assert_true(cpu_msr_write(rig->cpu, MSR_OLD_TIME, PAGE | 1));
    g_assert_true(cpu_msr_read(rig->cpu, MSR_TIME, &value));
    g_assert_cmphex(value, ==, PAGE | 1);
    cpu_reset(rig->cpu, false);
    g_assert_true(cpu_msr_read(rig->cpu, MSR_TIME, &value));
    g_assert_cmphex(value, ==, 0);
}

/* Where a kernel answers for these registers, ours do not. */
static void test_not_ours(Rig *rig, gconstpointer data)
{
    rig->cpu->paravirt = false;
    g_assert_false(cpu_msr_write(rig->cpu, MSR_TIME, PAGE | 1));
    g_assert_cmpuint(load(rig, 0, 4), ==, 0);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
#define ADD(name, fn) g_test_add(name, Rig, NULL, rig_init, fn, rig_clear)
    ADD("/paravirt/rates", test_rates);
    ADD("/paravirt/moved-tsc", test_moved_tsc);
    ADD("/paravirt/wall-clock", test_wall_clock);
    ADD("/paravirt/places", test_places);
    ADD("/paravirt/not-ours", test_not_ours);
    return g_test_run();
}
