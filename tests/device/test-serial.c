/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The 16550A: FIFOs, trigger levels, timeout, interrupt priorities, loopback, a host that is
 * busy. */
#include "tests/device/board.h"
#include "tests/device/clock.h"
#include "util/timer.h"

enum { BASE = 0x3f8, IRQ = 4 };

static TestChardev *line;

static Board *start(void)
{
    Board *board = board_new();

    line = board_chardev(board, "line");
    board_add(board, "isa-serial", "chardev", "line", NULL);
    board_start(board);
    out8(board, BASE + 4, 0x0b); /* DTR, RTS, OUT2 */
    return board;
}

/* The far end sends: as much as the port takes, as a back end does it. */
static size_t far_end_sends(const char *text)
{
    size_t size = MIN(strlen(text), chardev_can_receive(&line->base));

    chardev_receive(&line->base, (const uint8_t *)text, size);
    return size;
}

static void test_reset_values(void)
{
    static const uint8_t expected[8] = { 0x00, 0x00, 0x01, 0x00, 0x00, 0x60, 0xb0, 0x00 };
    Board *board = start();

    machine_reset(board->machine);
    for (unsigned reg = 0; reg < 8; reg++) {
        g_assert_cmphex(in8(board, BASE + reg), ==, expected[reg]);
    }
    board_free(board);
}

static void test_divisor(void)
{
    Board *board = start();

    out8(board, BASE + 3, 0x83);
    out8(board, BASE, 0x34);
    out8(board, BASE + 1, 0x12);
    g_assert_cmphex(in8(board, BASE), ==, 0x34);
    g_assert_cmphex(in8(board, BASE + 1), ==, 0x12);
    out8(board, BASE + 3, 0x03);
    g_assert_cmphex(in8(board, BASE + 1), ==, 0x00);
    g_assert_cmpint(line->written_size, ==, 0);
    board_free(board);
}

static void test_transmit(void)
{
    Board *board = start();

    OUT8S(board, BASE, 'h', 'i');
    g_assert_cmpmem(line->written, line->written_size, "hi", 2);
    g_assert_cmpint(board->gsi[IRQ], ==, 0);
    out8(board, BASE + 1, 0x02); /* enabling it while THR is empty raises it */
    g_assert_cmpint(board->gsi[IRQ], ==, 1);
    g_assert_cmphex(in8(board, BASE + 2), ==, 0x02);
    g_assert_cmpint(board->gsi[IRQ], ==, 0); /* reading IIR resets it */
    g_assert_cmphex(in8(board, BASE + 2), ==, 0x01);
    out8(board, BASE, 'x');
    g_assert_cmpint(board->gsi[IRQ], ==, 1);
    board_free(board);
}

/* The host takes nothing: the FIFO fills, THRE says so, more is lost; then all goes out in
 * order. */
static void test_busy_host(void)
{
    Board *board = start();

    line->limit = 0;
    out8(board, BASE + 2, 0x01);
    for (unsigned n = 0; n < 100; n++) {
        out8(board, BASE, 'a' + n % 26);
    }
    g_assert_cmphex(in8(board, BASE + 5) & 0x60, ==, 0);
    out8(board, BASE + 1, 0x02);
    g_assert_cmpint(board->gsi[IRQ], ==, 0);
    line->limit = 10;
    chardev_writable(&line->base);
    g_assert_cmphex(in8(board, BASE + 5) & 0x60, ==, 0);
    line->limit = sizeof(line->written);
    chardev_writable(&line->base);
    g_assert_cmpmem(line->written, line->written_size, "abcdefghijklmnop", 16);
    g_assert_cmphex(in8(board, BASE + 5) & 0x60, ==, 0x60);
    g_assert_cmpint(board->gsi[IRQ], ==, 1);
    board_free(board);
}

static void test_receive_without_fifo(void)
{
    Board *board = start();

    out8(board, BASE + 1, 0x01);
    g_assert_cmpint(far_end_sends("ab"), ==, 1);
    g_assert_cmpint(far_end_sends("b"), ==, 0);
    g_assert_cmphex(in8(board, BASE + 5), ==, 0x61);
    g_assert_cmphex(in8(board, BASE + 2), ==, 0x04);
    g_assert_cmpint(board->gsi[IRQ], ==, 1);
    g_assert_cmpint(in8(board, BASE), ==, 'a');
    g_assert_cmphex(in8(board, BASE + 5), ==, 0x60);
    g_assert_cmpint(board->gsi[IRQ], ==, 0);
    board_free(board);
}

/* Each trigger level raises the interrupt with its byte, and one less does after the timeout. */
static void test_trigger_levels(void)
{
    static const struct {
        uint8_t fcr;
        unsigned level;
    } rows[] = { { 0x01, 1 }, { 0x41, 4 }, { 0x81, 8 }, { 0xc1, 14 } };

    for (unsigned n = 0; n < G_N_ELEMENTS(rows); n++) {
        Board *board = start();
        out8(board, BASE + 2, rows[n].fcr);
        out8(board, BASE + 3, 0x83); /* 8N1, 9600 baud: 4 characters are 4.17 ms */
        OUT8S(board, BASE, 12);
        out8(board, BASE + 3, 0x03);
        out8(board, BASE + 1, 0x01);
        for (unsigned byte = 1; byte < rows[n].level; byte++) {
            far_end_sends("z");
            g_assert_cmpint(board->gsi[IRQ], ==, 0);
        }
        if (rows[n].level > 1) {
            test_clock_advance(4100000);
            g_assert_cmpint(board->gsi[IRQ], ==, 0);
            test_clock_advance(100000);
            g_assert_cmpint(board->gsi[IRQ], ==, 1);
            g_assert_cmphex(in8(board, BASE + 2), ==, 0xcc);
            far_end_sends("z"); /* a byte ends the timeout, and is the level */
        } else {
            far_end_sends("z");
        }
        g_assert_cmphex(in8(board, BASE + 2), ==, 0xc4);
        in8(board, BASE);
        g_assert_cmphex(in8(board, BASE + 2), ==, 0xc1);
        board_free(board);
    }
}

static void test_fifo_holds_sixteen(void)
{
    Board *board = start();

    out8(board, BASE + 2, 0xc1);
    g_assert_cmpint(far_end_sends("0123456789abcdefXYZ"), ==, 16);
    for (unsigned n = 0; n < 16; n++) {
        g_assert_cmpint(in8(board, BASE), ==, "0123456789abcdef"[n]);
    }
    g_assert_cmphex(in8(board, BASE + 5) & 1, ==, 0);
    far_end_sends("abc");
    out8(board, BASE + 2, 0xc3); /* clear */
    g_assert_cmphex(in8(board, BASE + 5) & 1, ==, 0);
    board_free(board);
}

/* Loopback: outputs show at the modem inputs, THR at RBR, the line sees nothing. */
static void test_loopback(void)
{
    static const struct {
        uint8_t mcr, msr;
    } rows[] = { { 0x10, 0x00 }, { 0x11, 0x20 }, { 0x12, 0x10 }, { 0x14, 0x40 }, { 0x18, 0x80 } };
    Board *board = start();

    for (unsigned n = 0; n < G_N_ELEMENTS(rows); n++) {
        out8(board, BASE + 4, rows[n].mcr);
        g_assert_cmphex(in8(board, BASE + 6) & 0xf0, ==, rows[n].msr);
        g_assert_cmphex(in8(board, BASE + 6) & 0x0f, ==, 0); /* deltas are read once */
    }
    out8(board, BASE, 0x5a);
    g_assert_cmphex(in8(board, BASE + 5) & 1, ==, 1);
    g_assert_cmphex(in8(board, BASE), ==, 0x5a);
    OUT8S(board, BASE, 1, 2);
    g_assert_cmphex(in8(board, BASE + 5) & 2, ==, 2); /* overrun, read once */
    g_assert_cmphex(in8(board, BASE + 5) & 2, ==, 0);
    g_assert_cmphex(in8(board, BASE), ==, 2); /* the first was destroyed */
    g_assert_cmpint(line->written_size, ==, 0);
    g_assert_cmpint(far_end_sends("a"), ==, 0);
    board_free(board);
}

static void test_delta_bits(void)
{
    Board *board = start();

    in8(board, BASE + 6);
    out8(board, BASE + 4, 0x1f);
    g_assert_cmphex(in8(board, BASE + 6), ==, 0xf0); /* all on; only RI changed: no edge to tell */
    out8(board, BASE + 4, 0x10);
    g_assert_cmphex(in8(board, BASE + 6), ==, 0x0f); /* RI's trailing edge is TERI */
    board_free(board);
}

static void test_break(void)
{
    Board *board = start();

    out8(board, BASE + 1, 0x04);
    chardev_event(&line->base, CHARDEV_BREAK);
    g_assert_cmphex(in8(board, BASE + 2), ==, 0x06);
    g_assert_cmphex(in8(board, BASE + 5) & 0x11, ==, 0x11);
    g_assert_cmpint(board->gsi[IRQ], ==, 0);
    g_assert_cmphex(in8(board, BASE), ==, 0);
    board_free(board);
}

/* OUT2 gates the interrupt on a PC. */
static void test_out2(void)
{
    Board *board = start();

    out8(board, BASE + 1, 0x01);
    far_end_sends("a");
    g_assert_cmpint(board->gsi[IRQ], ==, 1);
    out8(board, BASE + 4, 0x03);
    g_assert_cmpint(board->gsi[IRQ], ==, 0);
    board_free(board);
}

/* Ports without a place of their own take COM1 to COM4. */
static void test_places(void)
{
    static const uint16_t bases[] = { 0x3f8, 0x2f8, 0x3e8, 0x2e8 };
    Board *board = board_new();
    Device *fifth = device_new(board->machine, device_type_find("isa-serial"), NULL);
    g_autoptr(GError) error = NULL;

    for (unsigned n = 0; n < 4; n++) {
        board_add(board, "isa-serial", NULL);
        out8(board, bases[n] + 7, 0x40 + n);
    }
    for (unsigned n = 0; n < 4; n++) {
        g_assert_cmphex(in8(board, bases[n] + 7), ==, 0x40 + n);
    }
    g_assert_false(device_realize(fifth, bus_find_type(board->machine, "isa"), &error));
    g_assert_error(error, DEVICE_ERROR, 0);
    board_free(board);
}

static void test_debugcon(void)
{
    Board *board = board_new();
    g_autofree char *full = g_strnfill(256, 'q');

    line = board_chardev(board, "line");
    board_add(board, "isa-debugcon", "chardev", "line", "iobase", "0x402",
              "readback", "0xa5", NULL);
    g_assert_cmphex(in8(board, 0x402), ==, 0xa5);
    OUT8S(board, 0x402, 'o', 'k');
    g_assert_cmpmem(line->written, line->written_size, "ok", 2);
    line->written_size = line->limit = 0;
    for (unsigned n = 0; n < 10000; n++) {
        out8(board, 0x402, 'q');
    }
    line->limit = 256;
    chardev_writable(&line->base);
    g_assert_cmpmem(line->written, line->written_size, full, 256);
    board_free(board);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/device/serial/reset-values", test_reset_values);
    g_test_add_func("/device/serial/divisor", test_divisor);
    g_test_add_func("/device/serial/transmit", test_transmit);
    g_test_add_func("/device/serial/busy-host", test_busy_host);
    g_test_add_func("/device/serial/receive-without-fifo", test_receive_without_fifo);
    g_test_add_func("/device/serial/trigger-levels", test_trigger_levels);
    g_test_add_func("/device/serial/fifo-holds-sixteen", test_fifo_holds_sixteen);
    g_test_add_func("/device/serial/loopback", test_loopback);
    g_test_add_func("/device/serial/delta-bits", test_delta_bits);
    g_test_add_func("/device/serial/break", test_break);
    g_test_add_func("/device/serial/out2", test_out2);
    g_test_add_func("/device/serial/places", test_places);
    g_test_add_func("/device/debugcon", test_debugcon);
    return board_main();
}
