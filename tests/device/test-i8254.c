/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The 8254 against its datasheet's mode diagrams: OUT and count by clock, gate, latches, read-
 * back. */
#include "tests/device/board.h"
#include "tests/device/clock.h"
#include "util/timer.h"

#define PIT_HZ 1193182

static int64_t origin; /* CLOCK_VM at clock 0 */

static Board *start(void)
{
    Board *board = board_new();

    board_add(board, "i8254", NULL);
    board_start(board);
    return board;
}

/* Moves to clock @clocks after the count was written: one for the load, the rest counted. */
static void at_clock(uint64_t clocks)
{
    int64_t then = origin + (clocks * NS_PER_SECOND + PIT_HZ - 1) / PIT_HZ + 400;
    test_clock_advance(then - clock_ns(CLOCK_VM));
}

static void mark(void)
{
    origin = clock_ns(CLOCK_VM);
}

static bool out2(Board *board)
{
    return in8(board, 0x61) & 0x20;
}

static unsigned count2(Board *board)
{
    unsigned low;

    out8(board, 0x43, 0x80);
    low = in8(board, 0x42);
    return low | in8(board, 0x42) << 8;
}

/* Counter 2 in @mode with @count, gate @gate before the count and 1 after it. */
static void program2(Board *board, unsigned mode, unsigned count, bool gate)
{
    out8(board, 0x61, gate);
    out8(board, 0x43, 0xb0 | mode << 1);
    OUT8S(board, 0x42, count, count >> 8);
    mark();
    out8(board, 0x61, 1);
}

/* OUT after the load (clock 1 is the load) as drawn in the datasheet: one character a clock. */
static void test_out_diagrams(void)
{
    static const struct {
        unsigned mode, count;
        bool gate_rises;
        const char *out;
    } rows[] = {
        { 0, 4, false, "____-----" },
        { 1, 3, true, "___------" },
        { 2, 3, false, "--_--_--_" },
        { 3, 4, false, "--__--__-" },
        { 3, 5, false, "---__---__" },
        { 4, 3, false, "---_-----" },
        { 5, 3, true, "---_-----" },
    };

    for (unsigned n = 0; n < G_N_ELEMENTS(rows); n++) {
        Board *board = start();
        program2(board, rows[n].mode, rows[n].count, !rows[n].gate_rises);
        for (unsigned clock = 0; rows[n].out[clock]; clock++) {
            at_clock(clock + 1);
            g_assert_cmpint(out2(board), ==, rows[n].out[clock] == '-');
        }
        board_free(board);
    }
}

/* The count that a latch shows, clock by clock from the load. */
static void test_counts(void)
{
    static const struct {
        unsigned mode, count;
        unsigned shown[7];
    } rows[] = {
        { 0, 4, { 4, 3, 2, 1, 0, 0xffff, 0xfffe } },
        { 2, 3, { 3, 2, 1, 3, 2, 1, 3 } },
        { 3, 4, { 4, 2, 4, 2, 4, 2, 4 } },
        { 3, 5, { 4, 2, 0, 4, 2, 4, 2 } },
        { 4, 3, { 3, 2, 1, 0, 0xffff, 0xfffe, 0xfffd } },
    };

    for (unsigned n = 0; n < G_N_ELEMENTS(rows); n++) {
        Board *board = start();
        program2(board, rows[n].mode, rows[n].count, true);
        for (unsigned clock = 0; clock < 7; clock++) {
            at_clock(clock + 1);
            g_assert_cmphex(count2(board), ==, rows[n].shown[clock]);
        }
        board_free(board);
    }
}

/* Gate low stops modes 0 and 4 where they are; it restarts 2 and 3 and forces OUT high. */
static void test_gate(void)
{
    Board *board = start();

    program2(board, 0, 10, true);
    at_clock(4);
    out8(board, 0x61, 0);
    at_clock(100);
    g_assert_cmpint(count2(board), ==, 7);
    out8(board, 0x61, 1);
    g_assert_false(out2(board));
    at_clock(106);
    g_assert_false(out2(board));
    at_clock(108);
    g_assert_true(out2(board));

    program2(board, 2, 10, true);
    at_clock(10);
    g_assert_false(out2(board));
    out8(board, 0x61, 0);
    g_assert_true(out2(board));
    at_clock(500);
    mark();
    out8(board, 0x61, 1);
    at_clock(1);
    g_assert_cmpint(count2(board), ==, 10);
    board_free(board);
}

/* Mode 1 is retriggered by the gate while it runs. */
static void test_retrigger(void)
{
    Board *board = start();

    program2(board, 1, 10, false);
    at_clock(6);
    g_assert_false(out2(board));
    out8(board, 0x61, 0);
    mark();
    out8(board, 0x61, 1);
    at_clock(10);
    g_assert_false(out2(board));
    at_clock(11);
    g_assert_true(out2(board));
    board_free(board);
}

/* A count written while mode 2 runs is used from the next period on. */
static void test_new_count(void)
{
    Board *board = start();

    program2(board, 2, 6, true);
    at_clock(3);
    OUT8S(board, 0x42, 4, 0);
    at_clock(4);
    g_assert_cmpint(count2(board), ==, 3);
    at_clock(7);
    g_assert_cmpint(count2(board), ==, 4);
    at_clock(10);
    g_assert_false(out2(board));
    board_free(board);
}

static void test_bcd(void)
{
    Board *board = start();

    out8(board, 0x61, 1);
    out8(board, 0x43, 0xb1); /* mode 0, BCD */
    OUT8S(board, 0x42, 0x00, 0x10);
    mark();
    at_clock(1);
    g_assert_cmphex(count2(board), ==, 0x1000);
    at_clock(2);
    g_assert_cmphex(count2(board), ==, 0x0999);
    at_clock(1002);
    g_assert_cmphex(count2(board), ==, 0x9999);
    board_free(board);
}

static void test_latch_and_access(void)
{
    Board *board = start();

    program2(board, 2, 0x1234, true);
    at_clock(1);
    out8(board, 0x43, 0x80);
    at_clock(50);
    out8(board, 0x43, 0x80); /* ignored: the first latch has not been read */
    g_assert_cmphex(in8(board, 0x42), ==, 0x34);
    g_assert_cmphex(in8(board, 0x42), ==, 0x12);
    out8(board, 0x43, 0x94); /* low byte only */
    out8(board, 0x42, 0x40);
    mark();
    at_clock(1);
    g_assert_cmphex(in8(board, 0x42), ==, 0x40);
    at_clock(2);
    g_assert_cmphex(in8(board, 0x42), ==, 0x3f);
    out8(board, 0x43, 0xa4); /* high byte only */
    out8(board, 0x42, 0x02);
    mark();
    at_clock(1);
    g_assert_cmphex(in8(board, 0x42), ==, 0x02);
    at_clock(2);
    g_assert_cmphex(in8(board, 0x42), ==, 0x01);
    board_free(board);
}

/* Status: OUT, null count until the load, the control word as written. Read before a latched
 * count. */
static void test_readback(void)
{
    Board *board = start();

    out8(board, 0x61, 1);
    out8(board, 0x43, 0xb8);
    out8(board, 0x43, 0xe8); /* status of counter 2 */
    g_assert_cmphex(in8(board, 0x42), ==, 0xf8);
    OUT8S(board, 0x42, 3, 0);
    mark();
    at_clock(1);
    out8(board, 0x43, 0xc8); /* count and status */
    g_assert_cmphex(in8(board, 0x42), ==, 0xb8);
    g_assert_cmphex(in8(board, 0x42), ==, 3);
    g_assert_cmphex(in8(board, 0x42), ==, 0);
    at_clock(4);
    out8(board, 0x43, 0xe8);
    g_assert_cmphex(in8(board, 0x42), ==, 0x38);
    board_free(board);
}

/* Counter 0 raises IRQ 0 at its rate, and a stopped or one-shot counter costs no timers. */
static void test_irq(void)
{
    Board *board = start();
    unsigned fired;

    test_clock_advance(NS_PER_SECOND);
    board->rises[0] = 0;
    out8(board, 0x43, 0x34);
    OUT8S(board, 0x40, 11932 & 0xff, 11932 >> 8); /* 100 Hz */
    test_clock_advance(NS_PER_SECOND + 1000000);
    g_assert_cmpint(board->rises[0], >=, 99);
    g_assert_cmpint(board->rises[0], <=, 101);
    board->rises[0] = 0;
    out8(board, 0x43, 0x30);
    OUT8S(board, 0x40, 0xe8, 0x03);
    g_assert_cmpint(board->gsi[0], ==, 0);
    fired = test_clock_fired();
    test_clock_advance(NS_PER_SECOND);
    g_assert_cmpint(board->gsi[0], ==, 1);
    g_assert_cmpint(board->rises[0], ==, 1);
    g_assert_cmpint(test_clock_fired() - fired, ==, 1);
    board_free(board);
}

/* The fastest rate a guest can ask for is served at a bounded one. */
static void test_irq_rate_is_bounded(void)
{
    Board *board = start();
    unsigned fired = test_clock_fired();

    out8(board, 0x43, 0x14);
    out8(board, 0x40, 2);
    test_clock_advance(NS_PER_SECOND / 10);
    g_assert_cmpint(test_clock_fired() - fired, >, 1000);
    g_assert_cmpint(test_clock_fired() - fired, <=, 5001);
    board_free(board);
}

/* A one-shot shorter than the host takes from one look at the clock to the next still rises. */
static void test_slow_host(void)
{
    for (unsigned count = 1; count < 20; count++) {
        Board *board = start();
        out8(board, 0x43, 0x10);
        g_assert_cmpint(board->gsi[0], ==, 0);
        test_clock_drift(3000);
        out8(board, 0x40, count);
        test_clock_drift(0);
        test_clock_advance(NS_PER_SECOND);
        g_assert_cmpint(board->gsi[0], ==, 1);
        board_free(board);
    }
}

static void test_refresh_toggles(void)
{
    Board *board = start();
    unsigned changes = 0;
    uint8_t last = in8(board, 0x61) & 0x10;

    for (unsigned n = 0; n < 100; n++) {
        test_clock_advance(15085);
        changes += (in8(board, 0x61) & 0x10) != last;
        last = in8(board, 0x61) & 0x10;
    }
    g_assert_cmpint(changes, ==, 100);
    board_free(board);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/device/i8254/out-diagrams", test_out_diagrams);
    g_test_add_func("/device/i8254/counts", test_counts);
    g_test_add_func("/device/i8254/gate", test_gate);
    g_test_add_func("/device/i8254/retrigger", test_retrigger);
    g_test_add_func("/device/i8254/new-count", test_new_count);
    g_test_add_func("/device/i8254/bcd", test_bcd);
    g_test_add_func("/device/i8254/latch-and-access", test_latch_and_access);
    g_test_add_func("/device/i8254/readback", test_readback);
    g_test_add_func("/device/i8254/irq", test_irq);
    g_test_add_func("/device/i8254/irq-rate-is-bounded", test_irq_rate_is_bounded);
    g_test_add_func("/device/i8254/slow-host", test_slow_host);
    g_test_add_func("/device/i8254/refresh-toggles", test_refresh_toggles);
    return board_main();
}
