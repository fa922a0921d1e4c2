/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Local and I/O APIC against SDM 3A chapter 11 and the 82093AA datasheet, with up to four CPUs. */
#include "accel/accel.h"
#include "hw/intc/apic.h"
#include "hw/intc/ioapic.h"
#include "tests/device/board.h"
#include "tests/device/clock.h"
#include "util/timer.h"

enum { ID = 0x2, VERSION = 0x3, TPR = 0x8, PPR = 0xa, EOI = 0xb, LDR = 0xd, DFR = 0xe, SVR = 0xf };
enum { ISR = 0x10, TMR = 0x18, IRR = 0x20, ESR = 0x28, ICR = 0x30, ICR2 = 0x31 };
enum { LVT_TIMER = 0x32, LVT_LINT0 = 0x35, LVT_LINT1 = 0x36, LVT_ERROR = 0x37 };
enum { INITIAL = 0x38, CURRENT = 0x39, DIVIDE = 0x3e, SELF_IPI = 0x3f };

#define CPUS 4
#define X2 0xfee00c00u
#define DEADLINE 0x6e0

static Vcpu *cpus[CPUS];
static Device *apics[CPUS];

/* All in xAPIC mode and switched on by SVR, with flat logical IDs 1, 2, 4, 8. */
static Board *start(unsigned count)
{
    Board *board = board_new();
    GError *error = NULL;

    board_add(board, "i8259", NULL);
    board_add(board, "ioapic", NULL);
    for (unsigned n = 0; n < count; n++) {
        cpus[n] = board_add_vcpu(board);
        apics[n] = apic_create(board->machine, cpus[n], &error);
        g_assert_no_error(error);
    }
    machine_line_connect(board->machine, "pic-intr", apic_lint_line(apics[0], 0));
    board_start(board);
    for (unsigned n = 0; n < count; n++) {
        vcpu_store(cpus[n], 0xfee000f0, 0x1ff);
        vcpu_store(cpus[n], 0xfee000d0, 0x01000000u << n);
    }
    return board;
}

static uint32_t rd(unsigned cpu, unsigned reg)
{
    return vcpu_load(cpus[cpu], APIC_DEFAULT_BASE + reg * 16);
}

static void wr(unsigned cpu, unsigned reg, uint32_t value)
{
    vcpu_store(cpus[cpu], APIC_DEFAULT_BASE + reg * 16, value);
}

static int accept(unsigned cpu)
{
    return cpus[cpu]->intr_ops->accept(cpus[cpu]->intr_opaque);
}

static bool set_base(unsigned cpu, uint64_t value)
{
    return cpus[cpu]->intr_ops->set_base(cpus[cpu]->intr_opaque, value);
}

static bool wrmsr(unsigned cpu, uint32_t msr, uint64_t value)
{
    return cpus[cpu]->intr_ops->msr_write(cpus[cpu]->intr_opaque, msr, value);
}

static bool rdmsr(unsigned cpu, uint32_t msr, uint64_t *value)
{
    return cpus[cpu]->intr_ops->msr_read(cpus[cpu]->intr_opaque, msr, value);
}

static bool intr(unsigned cpu)
{
    return vcpu_pending(cpus[cpu]) & VCPU_INTR;
}

/* Which CPUs hold @bits, one bit a CPU; and clears them. */
static unsigned take(unsigned count, uint32_t bits)
{
    unsigned mask = 0;

    for (unsigned n = 0; n < count; n++) {
        mask |= vcpu_pending(cpus[n]) & bits ? 1u << n : 0;
        vcpu_clear(cpus[n], bits);
    }
    return mask;
}

static void ipi(unsigned from, uint8_t dest, uint32_t low)
{
    wr(from, ICR2, (uint32_t)dest << 24);
    wr(from, ICR, low);
}

static void io_write(Board *board, uint8_t index, uint32_t value)
{
    memory_store(board->machine->memory, IOAPIC_DEFAULT_BASE, index, 4);
    memory_store(board->machine->memory, IOAPIC_DEFAULT_BASE + 0x10, value, 4);
}

static uint32_t io_read(Board *board, uint8_t index)
{
    memory_store(board->machine->memory, IOAPIC_DEFAULT_BASE, index, 4);
    return memory_load(board->machine->memory, IOAPIC_DEFAULT_BASE + 0x10, 4);
}

static void set_irq(Board *board, unsigned irq, int level)
{
    irq_set(machine_gsi(board->machine, irq), level);
}

/* SDM 3A 11.4.7.1, and the virtual wire of the boot CPU. */
static void test_reset_state(void)
{
    static const struct {
        uint8_t reg;
        uint32_t value;
    } rows[] = {
        { VERSION, 0x01050014 }, { TPR, 0 }, { PPR, 0 }, { LDR, 0 }, { DFR, 0xffffffff },
        { SVR, 0xff }, { ISR, 0 }, { IRR + 7, 0 }, { TMR, 0 }, { ESR, 0 }, { ICR, 0 }, { ICR2, 0 },
        { LVT_TIMER, 0x10000 }, { LVT_LINT0, 0x10000 }, { LVT_LINT1, 0x10000 },
        { LVT_ERROR, 0x10000 }, { INITIAL, 0 }, { CURRENT, 0 }, { DIVIDE, 0 }, { ID, 0x01000000 },
    };
    Board *board = start(2);

    machine_reset(board->machine);
    for (unsigned n = 0; n < G_N_ELEMENTS(rows); n++) {
        g_assert_cmphex(rd(1, rows[n].reg), ==, rows[n].value);
    }
    g_assert_cmphex(rd(0, LVT_LINT0), ==, 0x700);
    g_assert_cmphex(rd(0, ID), ==, 0);
    g_assert_cmphex(cpus[0]->intr_ops->get_base(cpus[0]->intr_opaque), ==, 0xfee00900);
    g_assert_cmphex(cpus[1]->intr_ops->get_base(cpus[1]->intr_opaque), ==, 0xfee00800);
    board_free(board);
}

/* Dispatch by class against the processor priority; EOI ends the highest. */
static void test_priorities(void)
{
    Board *board = start(1);

    ipi(0, 0, 0x41);
    ipi(0, 0, 0x52);
    ipi(0, 0, 0x58);
    g_assert_true(intr(0));
    g_assert_cmpint(accept(0), ==, 0x58);
    g_assert_cmphex(rd(0, PPR), ==, 0x50);
    g_assert_cmpint(accept(0), ==, -1); /* 52 is of the same class */
    g_assert_false(intr(0));
    ipi(0, 0, 0x61);
    g_assert_cmpint(accept(0), ==, 0x61);
    g_assert_cmphex(rd(0, ISR + 3), ==, 1u << 1);
    wr(0, EOI, 0);
    g_assert_cmpint(accept(0), ==, -1);
    wr(0, EOI, 0);
    g_assert_cmpint(accept(0), ==, 0x52);
    wr(0, TPR, 0x40);
    wr(0, EOI, 0);
    g_assert_cmphex(rd(0, PPR), ==, 0x40);
    g_assert_cmpint(accept(0), ==, -1);
    cpus[0]->intr_ops->set_tpr(cpus[0]->intr_opaque, 0x30);
    g_assert_true(intr(0));
    g_assert_cmpint(accept(0), ==, 0x41);
    board_free(board);
}

/* Who gets an IPI: rows of destination and ICR, with the CPUs reached. From CPU 1 of four. */
static void test_destinations(void)
{
    static const struct {
        uint8_t dest;
        uint32_t icr;
        unsigned reached;
    } rows[] = {
        { 2, 0x00400, 0x4 },    /* physical NMI */
        { 0xff, 0x00400, 0xf }, /* physical broadcast */
        { 9, 0x00400, 0x0 },    /* nobody */
        { 0x05, 0x00c00, 0x5 }, /* logical flat: 0 and 2 */
        { 0xff, 0x00c00, 0xf },
        { 0, 0x40400, 0x2 },    /* self */
        { 0, 0x80400, 0xf },    /* all */
        { 0, 0xc0400, 0xd },    /* all but self */
    };
    Board *board = start(4);

    for (unsigned n = 0; n < G_N_ELEMENTS(rows); n++) {
        ipi(1, rows[n].dest, rows[n].icr);
        g_assert_cmphex(take(4, VCPU_NMI), ==, rows[n].reached);
    }
    board_free(board);
}

/* Cluster model: high nibble the cluster, low nibble the members. */
static void test_cluster(void)
{
    Board *board = start(4);

    for (unsigned n = 0; n < 4; n++) {
        wr(n, DFR, 0x0fffffff);
        wr(n, LDR, (n < 2 ? 0x10u : 0x20u) << 24 | (1u << (n & 1)) << 24);
    }
    ipi(0, 0x13, 0x00c00);
    g_assert_cmphex(take(4, VCPU_NMI), ==, 0x3);
    ipi(0, 0x22, 0x00c00);
    g_assert_cmphex(take(4, VCPU_NMI), ==, 0x8);
    board_free(board);
}

static void test_delivery_modes(void)
{
    Board *board = start(2);

    ipi(0, 1, 0x04500);
    g_assert_cmphex(take(2, VCPU_INIT), ==, 2);
    ipi(0, 1, 0x08500); /* level de-assert: nothing */
    g_assert_cmphex(take(2, VCPU_INIT), ==, 0);
    ipi(0, 1, 0x04699);
    g_assert_cmphex(take(2, VCPU_SIPI), ==, 2);
    g_assert_cmphex(cpus[1]->sipi_vector, ==, 0x99);
    ipi(0, 1, 0x04200);
    g_assert_cmphex(take(2, VCPU_SMI), ==, 2);
    ipi(0, 1, 0x04300); /* reserved */
    g_assert_cmphex(take(2, VCPU_INTR | VCPU_NMI | VCPU_SMI | VCPU_INIT | VCPU_SIPI), ==, 0);
    board_free(board);
}

static void test_lowest_priority(void)
{
    Board *board = start(4);

    wr(0, TPR, 0x80);
    wr(1, TPR, 0x20);
    wr(2, TPR, 0x10);
    wr(3, TPR, 0x40);
    ipi(0, 0x0f, 0x00941);
    g_assert_cmphex(rd(2, IRR + 2), ==, 1u << 1);
    ipi(0, 0x0b, 0x00942); /* without CPU 2 */
    g_assert_cmphex(rd(1, IRR + 2), ==, 1u << 2);
    board_free(board);
}

/* Illegal vectors and registers gather in ESR, show after a write, and raise the error
 * interrupt. */
static void test_errors(void)
{
    Board *board = start(1);

    wr(0, LVT_ERROR, 0xfe);
    ipi(0, 0, 0x0f);
    g_assert_cmphex(rd(0, ESR), ==, 0);
    wr(0, ESR, 0);
    g_assert_cmphex(rd(0, ESR), ==, 0x20);
    g_assert_cmpint(accept(0), ==, 0xfe);
    wr(0, EOI, 0);
    apic_bus_msi(board->machine, 0xfee00000, 0x0005);
    wr(0, ESR, 0);
    g_assert_cmphex(rd(0, ESR), ==, 0x40);
    rd(0, 0x3d);
    wr(0, ESR, 0);
    g_assert_cmphex(rd(0, ESR), ==, 0x80);
    wr(0, LVT_ERROR, 0x05); /* an illegal vector of the error interrupt itself: no recursion */
    ipi(0, 0, 0x0f);
    wr(0, ESR, 0);
    g_assert_cmphex(rd(0, ESR), ==, 0x60);
    board_free(board);
}

/* Switched off by SVR: LVT masked for good, fixed interrupts refused, NMI and INIT still come. */
static void test_software_disable(void)
{
    Board *board = start(2);

    wr(1, LVT_TIMER, 0x41);
    wr(1, SVR, 0xff);
    g_assert_cmphex(rd(1, LVT_TIMER), ==, 0x10041);
    wr(1, LVT_TIMER, 0x41);
    g_assert_cmphex(rd(1, LVT_TIMER), ==, 0x10041);
    ipi(0, 1, 0x4000 | 0x55);
    g_assert_false(intr(1));
    ipi(0, 1, 0x04400);
    g_assert_cmphex(take(2, VCPU_NMI), ==, 2);
    board_free(board);
}

/* The virtual wire: LINT0 as ExtINT passes the 8259 pair through, vector and all. */
static void test_extint(void)
{
    Board *board = start(1);

    OUT8S(board, 0x20, 0x11);
    OUT8S(board, 0x21, 0x08, 0x04, 0x01, 0x00);
    wr(0, LVT_LINT0, 0x700);
    wr(0, TPR, 0xff); /* ExtINT does not ask the priorities */
    set_irq(board, 4, 1);
    g_assert_true(intr(0));
    g_assert_cmpint(accept(0), ==, 0x0c);
    g_assert_false(intr(0));
    wr(0, LVT_LINT0, 0x10700);
    set_irq(board, 4, 0);
    OUT8S(board, 0x20, 0x20);
    set_irq(board, 4, 1);
    g_assert_false(intr(0));
    g_assert_true(set_base(0, 0xfee00100)); /* with the APIC off LINT0 is INTR */
    g_assert_true(intr(0));
    g_assert_cmpint(accept(0), ==, 0x0c);
    board_free(board);
}

static void test_lint_modes(void)
{
    Board *board = start(1);
    IrqLine lint1 = apic_lint_line(apics[0], 1);

    wr(0, LVT_LINT1, 0x400);
    irq_set(&lint1, 1);
    irq_set(&lint1, 1);
    g_assert_cmphex(take(1, VCPU_NMI), ==, 1);
    irq_set(&lint1, 0);
    g_assert_cmphex(take(1, VCPU_NMI), ==, 0);
    wr(0, LVT_LINT1, 0x8044); /* fixed, level: asks again at EOI while held */
    irq_set(&lint1, 1);
    g_assert_cmphex(rd(0, LVT_LINT1), ==, 0xc044);
    g_assert_cmpint(accept(0), ==, 0x44);
    g_assert_cmpint(accept(0), ==, -1);
    wr(0, EOI, 0);
    g_assert_cmpint(accept(0), ==, 0x44);
    irq_set(&lint1, 0);
    wr(0, EOI, 0);
    g_assert_cmpint(accept(0), ==, -1);
    g_assert_cmphex(rd(0, LVT_LINT1), ==, 0x8044);
    board_free(board);
}

static unsigned count_interrupts(unsigned vector, int64_t for_ns, int64_t step)
{
    unsigned count = 0;

    for (int64_t t = 0; t < for_ns; t += step) {
        test_clock_advance(step);
        while (accept(0) == (int)vector) {
            wr(0, EOI, 0);
            count++;
        }
    }
    return count;
}

static void test_timer(void)
{
    static const struct {
        uint8_t code;
        unsigned divisor;
    } rows[] = { { 0, 2 }, { 1, 4 }, { 2, 8 }, { 3, 16 }, { 8, 32 }, { 9, 64 }, { 10, 128 },
                 { 11, 1 } };
    Board *board = start(1);

    for (unsigned n = 0; n < G_N_ELEMENTS(rows); n++) {
        wr(0, DIVIDE, rows[n].code);
        wr(0, LVT_TIMER, 0x40);
        wr(0, INITIAL, 100000);
        g_assert_cmpint(rd(0, CURRENT), ==, 100000);
        test_clock_advance(1000 * rows[n].divisor);
        g_assert_cmpint(rd(0, CURRENT), ==, 99000);
        test_clock_advance(99000 * rows[n].divisor - 1);
        g_assert_cmpint(accept(0), ==, -1);
        test_clock_advance(1);
        g_assert_cmpint(accept(0), ==, 0x40);
        g_assert_cmpint(rd(0, CURRENT), ==, 0);
        wr(0, EOI, 0);
        test_clock_advance(NS_PER_SECOND); /* once */
        g_assert_cmpint(accept(0), ==, -1);
    }
    board_free(board);
}

static void test_timer_periodic(void)
{
    Board *board = start(1);
    unsigned fired;

    wr(0, DIVIDE, 11);
    wr(0, LVT_TIMER, 0x20041);
    wr(0, INITIAL, 1000000);
    g_assert_cmpint(count_interrupts(0x41, NS_PER_SECOND / 10, 50000), ==, 100);
    wr(0, LVT_TIMER, 0x30041); /* masked: counts on, without a host timer */
    fired = test_clock_fired();
    test_clock_advance(NS_PER_SECOND + 250000);
    g_assert_cmpint(test_clock_fired(), ==, fired);
    g_assert_cmpint(rd(0, CURRENT), ==, 750000);
    wr(0, LVT_TIMER, 0x20041);
    test_clock_advance(750000);
    g_assert_cmpint(accept(0), ==, 0x41);
    wr(0, EOI, 0);
    fired = test_clock_fired();
    wr(0, INITIAL, 1); /* 1 GHz: served at a bounded rate */
    test_clock_advance(NS_PER_SECOND / 100);
    g_assert_cmpint(test_clock_fired() - fired, <=, 501);
    g_assert_cmpint(test_clock_fired() - fired, >, 100);
    wr(0, INITIAL, 0);
    fired = test_clock_fired();
    test_clock_advance(NS_PER_SECOND);
    g_assert_cmpint(test_clock_fired(), ==, fired);
    board_free(board);
}

/* A one-shot shorter than the host takes from one look at the clock to the next still comes. */
static void test_timer_slow_host(void)
{
    Board *board = start(1);

    wr(0, DIVIDE, 11);
    wr(0, LVT_TIMER, 0x40);
    for (unsigned count = 1; count < 10000; count += 777) {
        test_clock_drift(3000);
        wr(0, INITIAL, count);
        test_clock_drift(0);
        test_clock_advance(NS_PER_SECOND);
        g_assert_cmpint(accept(0), ==, 0x40);
        wr(0, EOI, 0);
    }
    board_free(board);
}

/* 2 GHz TSC that starts with CLOCK_VM. */
static void test_timer_deadline(void)
{
    Board *board = start(1);
    uint64_t tsc = clock_ns(CLOCK_VM) * 2, value;

    g_assert_true(wrmsr(0, DEADLINE, tsc + 1000));
    g_assert_true(rdmsr(0, DEADLINE, &value));
    g_assert_cmphex(value, ==, 0); /* ignored in the other modes */
    wr(0, LVT_TIMER, 0x40042);
    g_assert_true(wrmsr(0, DEADLINE, tsc + 2000000));
    g_assert_true(rdmsr(0, DEADLINE, &value));
    g_assert_cmphex(value, ==, tsc + 2000000);
    test_clock_advance(999999);
    g_assert_cmpint(accept(0), ==, -1);
    test_clock_advance(2);
    g_assert_cmpint(accept(0), ==, 0x42);
    g_assert_true(rdmsr(0, DEADLINE, &value));
    g_assert_cmphex(value, ==, 0);
    wr(0, EOI, 0);
    g_assert_true(wrmsr(0, DEADLINE, 1)); /* long past */
    test_clock_advance(1);
    g_assert_cmpint(accept(0), ==, 0x42);
    wr(0, EOI, 0);
    g_assert_true(wrmsr(0, DEADLINE, UINT64_MAX));
    test_clock_advance(3 * 3600 * NS_PER_SECOND);
    g_assert_cmpint(accept(0), ==, -1);
    wr(0, LVT_TIMER, 0x42); /* leaving the mode disarms */
    g_assert_true(rdmsr(0, DEADLINE, &value));
    g_assert_cmphex(value, ==, 0);
    board_free(board);
}

/* SDM 3A figure 11-27: from each mode to each, allowed or #GP; reserved bits always #GP. */
static void test_base_transitions(void)
{
    enum { OFF, X1, X2M, BAD, MODES };
    static const uint64_t values[MODES] = { 0xfee00100, 0xfee00900, 0xfee00d00, 0xfee00500 };
    static const bool allowed[3][MODES] = {
        [OFF] = { true, true, false, false },
        [X1] = { true, true, true, false },
        [X2M] = { true, false, true, false },
    };
    Board *board = start(1);

    for (unsigned from = OFF; from <= X2M; from++) {
        for (unsigned to = OFF; to < MODES; to++) {
            g_assert_true(set_base(0, values[OFF]));
            g_assert_true(from == OFF || set_base(0, values[X1]));
            g_assert_true(set_base(0, values[from]));
            g_assert_cmpint(set_base(0, values[to]), ==, allowed[from][to]);
        }
    }
    g_assert_true(set_base(0, values[OFF]));
    for (unsigned bit = 0; bit < 8; bit++) {
        g_assert_false(set_base(0, values[X1] | 1u << bit));
    }
    g_assert_false(set_base(0, values[X1] | 1u << 9));
    g_assert_false(set_base(0, values[X1] | 1ull << 52));
    board_free(board);
}

/* A relocated page answers there, for its CPU alone; the other CPU keeps its own. */
static void test_relocation(void)
{
    Board *board = start(2);

    g_assert_true(set_base(0, 0xd0000900));
    g_assert_cmphex(vcpu_load(cpus[0], 0xd0000030), ==, 0x01050014);
    g_assert_cmphex(vcpu_load(cpus[1], 0xfee00030), ==, 0x01050014);
    g_assert_cmphex(vcpu_load(cpus[0], 0xfee00030), ==, 0xffffffff);
    g_assert_cmphex(vcpu_load(cpus[1], 0xd0000030), ==, 0xffffffff);
    machine_reset(board->machine);
    g_assert_cmphex(vcpu_load(cpus[0], 0xfee00030), ==, 0x01050014);
    board_free(board);
}

/* x2APIC MSRs: which can be read and written, reserved bits, and #GP for all of them in xAPIC
 * mode. */
static void test_x2apic_msrs(void)
{
    static const struct {
        uint8_t reg;
        bool readable;
        uint64_t good, bad; /* good 1 with bad 0: read-only */
    } rows[] = {
        { ID, true, 1, 0 }, { VERSION, true, 1, 0 }, { TPR, true, 0xff, 0x100 },
        { PPR, true, 1, 0 }, { EOI, false, 0, 1 }, { LDR, true, 1, 0 }, { DFR, false, 1, 0 },
        { SVR, true, 0x1ff, 0x400 }, { ISR, true, 1, 0 }, { TMR + 7, true, 1, 0 },
        { IRR, true, 1, 0 }, { ESR, true, 0, 1 }, { ICR2, false, 1, 0 },
        { ICR, true, 0x900004400ull, 0x100000 }, { LVT_TIMER, true, 0x20041, 0x80000 },
        { LVT_ERROR, true, 0x10041, 0x400 }, { INITIAL, true, 5, 1ull << 32 },
        { CURRENT, true, 1, 0 }, { DIVIDE, true, 0xb, 4 }, { SELF_IPI, false, 0x41, 0x100 },
        { 0x9, false, 1, 0 }, { 0x2f, false, 1, 0 }, { 0x40, false, 1, 0 }, { 0xff, false, 1, 0 },
    };
    Board *board = start(1);
    uint64_t value;

    g_assert_false(rdmsr(0, 0x802, &value));
    g_assert_false(wrmsr(0, 0x808, 0));
    g_assert_true(set_base(0, X2 | 0x100));
    for (unsigned n = 0; n < G_N_ELEMENTS(rows); n++) {
        bool read_only = rows[n].bad == 0;
        g_assert_cmpint(rdmsr(0, 0x800 + rows[n].reg, &value), ==, rows[n].readable);
        g_assert_cmpint(wrmsr(0, 0x800 + rows[n].reg, rows[n].good), ==, !read_only);
        if (!read_only) {
            g_assert_false(wrmsr(0, 0x800 + rows[n].reg, rows[n].bad));
        }
    }
    g_assert_cmphex(vcpu_load(cpus[0], 0xfee00030), ==, 0xffffffff);
    g_assert_true(wrmsr(0, 0x808, 0));
    g_assert_cmpint(accept(0), ==, 0x41); /* what SELF IPI sent */
    board_free(board);
}

/* x2APIC: 32-bit IDs, logical IDs from them, the 64-bit ICR. */
static void test_x2apic_addressing(void)
{
    Board *board = start(3);
    uint64_t value;

    cpus[1]->apic_id = 0x123;
    cpus[2]->apic_id = 0x124;
    for (unsigned n = 0; n < 3; n++) {
        g_assert_true(set_base(n, X2 | (n == 0) << 8));
    }
    g_assert_true(rdmsr(1, 0x802, &value));
    g_assert_cmphex(value, ==, 0x123);
    g_assert_true(rdmsr(1, 0x80d, &value));
    g_assert_cmphex(value, ==, 0x120008);
    g_assert_true(wrmsr(0, 0x830, 0x12300000400ull));
    g_assert_cmphex(take(3, VCPU_NMI), ==, 2);
    g_assert_true(wrmsr(0, 0x830, 0x12001800000c00ull)); /* logical: both of cluster 12h */
    g_assert_cmphex(take(3, VCPU_NMI), ==, 6);
    g_assert_true(wrmsr(0, 0x830, 0xffffffff00000400ull));
    g_assert_cmphex(take(3, VCPU_NMI), ==, 7);
    board_free(board);
}

/* INIT resets the registers, not the base. */
static void test_init(void)
{
    Board *board = start(2);

    g_assert_true(set_base(1, X2));
    g_assert_true(wrmsr(1, 0x808, 0x20));
    cpus[1]->intr_ops->cpu_reset(cpus[1]->intr_opaque);
    g_assert_cmphex(cpus[1]->intr_ops->get_base(cpus[1]->intr_opaque), ==, X2);
    g_assert_cmpint(cpus[1]->intr_ops->get_tpr(cpus[1]->intr_opaque), ==, 0);
    board_free(board);
}

/* A device's write to the page is an MSI, physical or logical; a de-assert is nothing. */
static void test_msi(void)
{
    Board *board = start(4);

    apic_bus_msi(board->machine, 0xfee02000, 0x0041);
    g_assert_cmpint(accept(2), ==, 0x41);
    memory_store(board->machine->memory, 0xfee00000, 0x0042, 4);
    g_assert_cmpint(accept(0), ==, 0x42);
    apic_bus_msi(board->machine, 0xfee0800c, 0x0400);
    g_assert_cmphex(take(4, VCPU_NMI), ==, 8);
    apic_bus_msi(board->machine, 0xfee03000, 0x8043);
    g_assert_cmpint(accept(3), ==, -1);
    board_free(board);
}

static void test_ioapic_registers(void)
{
    Board *board = start(1);

    g_assert_cmphex(io_read(board, 1), ==, 0x00170020);
    io_write(board, 0, 0xff000000);
    g_assert_cmphex(io_read(board, 0), ==, 0x0f000000);
    for (unsigned pin = 0; pin < IOAPIC_PINS; pin++) {
        g_assert_cmphex(io_read(board, 0x10 + 2 * pin), ==, 0x10000);
        io_write(board, 0x10 + 2 * pin, 0xffffffff);
        io_write(board, 0x11 + 2 * pin, 0xffffffff);
        g_assert_cmphex(io_read(board, 0x10 + 2 * pin), ==, 0x1afff);
        g_assert_cmphex(io_read(board, 0x11 + 2 * pin), ==, 0xff000000);
    }
    g_assert_cmphex(io_read(board, 0x40), ==, 0);
    board_free(board);
}

/* Edge: once for each rise; masked rises are lost; IRQ 0 is at pin 2. */
static void test_ioapic_edge(void)
{
    Board *board = start(2);

    io_write(board, 0x10 + 2 * 2, 0x50);
    io_write(board, 0x11 + 2 * 2, 0x01000000);
    set_irq(board, 0, 1);
    g_assert_cmpint(accept(1), ==, 0x50);
    wr(1, EOI, 0);
    g_assert_cmpint(accept(1), ==, -1);
    set_irq(board, 0, 0);
    io_write(board, 0x10 + 2 * 2, 0x10050);
    set_irq(board, 0, 1);
    io_write(board, 0x10 + 2 * 2, 0x50);
    g_assert_cmpint(accept(1), ==, -1);
    board_free(board);
}

/* Level: remote IRR from acceptance to EOI, then again while held; three ways to end it. */
static void test_ioapic_level(void)
{
    Board *board = start(1);

    io_write(board, 0x10 + 2 * 10, 0x8060);
    set_irq(board, 10, 1);
    g_assert_cmphex(io_read(board, 0x10 + 2 * 10), ==, 0xc060);
    g_assert_cmpint(accept(0), ==, 0x60);
    g_assert_cmphex(rd(0, TMR + 3), ==, 1);
    wr(0, EOI, 0); /* broadcast; still held */
    g_assert_cmpint(accept(0), ==, 0x60);
    set_irq(board, 10, 0);
    wr(0, SVR, 0x11ff); /* suppressed: the EOI register ends it */
    wr(0, EOI, 0);
    g_assert_cmphex(io_read(board, 0x10 + 2 * 10), ==, 0xc060);
    memory_store(board->machine->memory, IOAPIC_DEFAULT_BASE + 0x40, 0x60, 4);
    g_assert_cmphex(io_read(board, 0x10 + 2 * 10), ==, 0x8060);
    set_irq(board, 10, 1);
    g_assert_cmpint(accept(0), ==, 0x60);
    io_write(board, 0x10 + 2 * 10, 0x10060); /* to edge: remote IRR goes */
    io_write(board, 0x10 + 2 * 10, 0x18060);
    g_assert_cmphex(io_read(board, 0x10 + 2 * 10), ==, 0x18060);
    set_irq(board, 10, 0);
    board_free(board);
}

/* Pin 0 carries the 8259 pair as ExtINT. */
static void test_ioapic_extint(void)
{
    Board *board = start(2);

    OUT8S(board, 0x20, 0x11);
    OUT8S(board, 0x21, 0x30, 0x04, 0x01, 0x00);
    io_write(board, 0x11, 0x01000000);
    io_write(board, 0x10, 0x00700);
    set_irq(board, 7, 1);
    g_assert_true(intr(1));
    g_assert_cmpint(accept(1), ==, 0x37);
    g_assert_false(intr(1));
    board_free(board);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/device/apic/reset-state", test_reset_state);
    g_test_add_func("/device/apic/priorities", test_priorities);
    g_test_add_func("/device/apic/destinations", test_destinations);
    g_test_add_func("/device/apic/cluster", test_cluster);
    g_test_add_func("/device/apic/delivery-modes", test_delivery_modes);
    g_test_add_func("/device/apic/lowest-priority", test_lowest_priority);
    g_test_add_func("/device/apic/errors", test_errors);
    g_test_add_func("/device/apic/software-disable", test_software_disable);
    g_test_add_func("/device/apic/extint", test_extint);
    g_test_add_func("/device/apic/lint-modes", test_lint_modes);
    g_test_add_func("/device/apic/timer", test_timer);
    g_test_add_func("/device/apic/timer-periodic", test_timer_periodic);
    g_test_add_func("/device/apic/timer-slow-host", test_timer_slow_host);
    g_test_add_func("/device/apic/timer-deadline", test_timer_deadline);
    g_test_add_func("/device/apic/base-transitions", test_base_transitions);
    g_test_add_func("/device/apic/relocation", test_relocation);
    g_test_add_func("/device/apic/x2apic-msrs", test_x2apic_msrs);
    g_test_add_func("/device/apic/x2apic-addressing", test_x2apic_addressing);
    g_test_add_func("/device/apic/init", test_init);
    g_test_add_func("/device/apic/msi", test_msi);
    g_test_add_func("/device/ioapic/registers", test_ioapic_registers);
    g_test_add_func("/device/ioapic/edge", test_ioapic_edge);
    g_test_add_func("/device/ioapic/level", test_ioapic_level);
    g_test_add_func("/device/ioapic/extint", test_ioapic_extint);
    return board_main();
}
