/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The 8042 with keyboard and pointer: self tests, commands, translation, A20, reset. */
#include "hw/input/i8042.h"
#include "tests/device/board.h"

static Device *kbd;

static Board *start(void)
{
    Board *board = board_new();

    kbd = board_add(board, "i8042", NULL);
    board_start(board);
    return board;
}

/* Reads what must be in the output buffer, from the keyboard's side or the auxiliary one. */
static void expect(Board *board, uint8_t byte, bool aux)
{
    g_assert_cmphex(in8(board, 0x64) & 0x21, ==, aux ? 0x21 : 0x01);
    g_assert_cmphex(in8(board, 0x60), ==, byte);
}

static void expect_nothing(Board *board)
{
    g_assert_cmphex(in8(board, 0x64) & 0x01, ==, 0);
}

static void aux_write(Board *board, uint8_t byte)
{
    out8(board, 0x64, 0xd4);
    out8(board, 0x60, byte);
}

static void test_self_tests(void)
{
    Board *board = start();

    out8(board, 0x64, 0xaa);
    expect(board, 0x55, false);
    g_assert_cmphex(in8(board, 0x64) & 0x04, ==, 0x04);
    out8(board, 0x64, 0xab);
    expect(board, 0x00, false);
    out8(board, 0x64, 0xa9);
    expect(board, 0x00, false);
    board_free(board);
}

static void test_command_byte(void)
{
    Board *board = start();

    out8(board, 0x64, 0x60);
    out8(board, 0x60, 0x03);
    out8(board, 0x64, 0x20);
    expect(board, 0x03, false);
    out8(board, 0x64, 0xad);
    out8(board, 0x64, 0xa7);
    out8(board, 0x64, 0x20);
    expect(board, 0x33, false);
    out8(board, 0x64, 0xae);
    out8(board, 0x64, 0xa8);
    out8(board, 0x64, 0x20);
    expect(board, 0x03, false);
    out8(board, 0x64, 0x65); /* further RAM */
    out8(board, 0x60, 0x77);
    out8(board, 0x64, 0x25);
    expect(board, 0x77, false);
    board_free(board);
}

/* Commands to the keyboard and their answers; the 8042 translates even these. */
static void test_keyboard_commands(void)
{
    static const struct {
        uint8_t send, answers[4];
    } rows[] = {
        { 0xff, { 0xfa, 0xaa } },
        { 0xee, { 0xee } },
        { 0xf2, { 0xfa, 0xab, 0x83 } },
        { 0xed, { 0xfa } },
        { 0x07, { 0xfa } },
        { 0xf0, { 0xfa } },
        { 0x00, { 0xfa, 0x02 } },
        { 0xf0, { 0xfa } },
        { 0x03, { 0xfe } },
        { 0x01, { 0xfe } }, /* no command */
        { 0xf3, { 0xfa } },
        { 0xf4, { 0xfa } }, /* a command instead of the parameter */
    };
    Board *board = start();

    out8(board, 0x64, 0x60);
    out8(board, 0x60, 0x01); /* no translation */
    for (unsigned n = 0; n < G_N_ELEMENTS(rows); n++) {
        out8(board, 0x60, rows[n].send);
        for (unsigned i = 0; rows[n].answers[i]; i++) {
            expect(board, rows[n].answers[i], false);
        }
        expect_nothing(board);
    }
    out8(board, 0x64, 0x60);
    out8(board, 0x60, 0x41);
    out8(board, 0x60, 0xf2);
    expect(board, 0xfa, false);
    expect(board, 0xab, false);
    expect(board, 0x41, false);
    board_free(board);
}

/* Every key of set 1 comes out as itself through set 2 and the translation, as Linux' tables
 * say. */
static void test_translation_round_trip(void)
{
    Board *board = start();

    for (unsigned key = 1; key < 0x80; key++) {
        i8042_key(kbd, key, true);
        expect(board, key, false);
        i8042_key(kbd, key, false);
        expect(board, key | 0x80, false);
        i8042_key(kbd, 0xe000 | key, true);
        expect(board, 0xe0, false);
        expect(board, key, false);
        i8042_key(kbd, 0xe000 | key, false);
        expect(board, 0xe0, false);
        expect(board, key | 0x80, false);
        expect_nothing(board);
    }
    board_free(board);
}

/* Known codes of the scan code specification: A, Enter, F7, F12, right Ctrl, Pause. */
static void test_scan_codes(void)
{
    static const struct {
        uint16_t key;
        uint8_t make[9];
    } rows[] = {
        { 0x1e, { 0x1c } },           { 0x1c, { 0x5a } },
        { 0x41, { 0x83 } },           { 0x58, { 0x07 } },
        { 0xe01d, { 0xe0, 0x14 } },   { 0xe048, { 0xe0, 0x75 } },
        { I8042_KEY_PAUSE, { 0xe1, 0x14, 0x77, 0xe1, 0xf0, 0x14, 0xf0, 0x77 } },
    };
    Board *board = start();

    out8(board, 0x64, 0x60);
    out8(board, 0x60, 0x01);
    for (unsigned n = 0; n < G_N_ELEMENTS(rows); n++) {
        i8042_key(kbd, rows[n].key, true);
        for (unsigned i = 0; rows[n].make[i]; i++) {
            expect(board, rows[n].make[i], false);
        }
    }
    i8042_key(kbd, 0xe01d, false);
    expect(board, 0xe0, false);
    expect(board, 0xf0, false);
    expect(board, 0x14, false);
    expect_nothing(board);
    board_free(board);
}

static void test_interrupts(void)
{
    Board *board = start();

    i8042_key(kbd, 0x1e, true);
    i8042_key(kbd, 0x1e, false);
    g_assert_cmpint(board->gsi[1], ==, 1);
    g_assert_cmpint(board->rises[1], ==, 1);
    expect(board, 0x1e, false);
    g_assert_cmpint(board->rises[1], ==, 2); /* the next byte is a new edge */
    expect(board, 0x9e, false);
    g_assert_cmpint(board->gsi[1], ==, 0);
    aux_write(board, 0xf4);
    g_assert_cmpint(board->gsi[12], ==, 1);
    g_assert_cmpint(board->gsi[1], ==, 0);
    expect(board, 0xfa, true);
    g_assert_cmpint(board->gsi[12], ==, 0);
    board_free(board);
}

/* A guest that does not listen loses whole codes beyond the buffer, never halves of them. */
static void test_overflow(void)
{
    Board *board = start();

    for (unsigned n = 0; n < 1000; n++) {
        i8042_key(kbd, 0xe048, n % 2 == 0);
    }
    for (unsigned n = 0; in8(board, 0x64) & 1; n++) {
        g_assert_cmpint(n, <, 32);
        g_assert_cmphex(in8(board, 0x60), ==, n % 2 == 0 ? 0xe0 : n % 4 == 1 ? 0x48 : 0xc8);
    }
    board_free(board);
}

static void test_mouse(void)
{
    Board *board = start();

    aux_write(board, 0xff);
    expect(board, 0xfa, true);
    expect(board, 0xaa, true);
    expect(board, 0x00, true);
    i8042_pointer(kbd, 5, 5, 0, 0);
    expect_nothing(board); /* reporting is off */
    aux_write(board, 0xf4);
    expect(board, 0xfa, true);
    i8042_pointer(kbd, 5, -3, 0, I8042_BUTTON_LEFT);
    expect(board, 0x29, true);
    expect(board, 5, true);
    expect(board, 0xfd, true);
    i8042_pointer(kbd, 300, 0, 0, 0); /* more than one report holds */
    expect(board, 0x08, true);
    expect(board, 255, true);
    expect(board, 0, true);
    aux_write(board, 0xe9);
    expect(board, 0xfa, true);
    expect(board, 0x20, true);
    expect(board, 2, true);
    expect(board, 100, true);
    board_free(board);
}

/* The knock 200, 100, 80 turns the wheel on. */
static void test_wheel(void)
{
    static const uint8_t knock[] = { 200, 100, 80 };
    Board *board = start();

    for (unsigned n = 0; n < 3; n++) {
        aux_write(board, 0xf3);
        expect(board, 0xfa, true);
        aux_write(board, knock[n]);
        expect(board, 0xfa, true);
    }
    aux_write(board, 0xf2);
    expect(board, 0xfa, true);
    expect(board, 3, true);
    aux_write(board, 0xf4);
    expect(board, 0xfa, true);
    i8042_pointer(kbd, 0, 0, -1, 0);
    expect(board, 0x08, true);
    expect(board, 0, true);
    expect(board, 0, true);
    expect(board, 0xff, true);
    board_free(board);
}

static void test_a20(void)
{
    Board *board = start();

    g_assert_cmpint(board->a20, ==, 1);
    out8(board, 0x64, 0xd1);
    out8(board, 0x60, 0xdd);
    g_assert_cmpint(board->a20, ==, 0);
    out8(board, 0x64, 0xd0);
    expect(board, 0xcd, false); /* the IRQ bits show the buffer */
    out8(board, 0x64, 0xdf);
    g_assert_cmpint(board->a20, ==, 1);
    out8(board, 0x64, 0xdd);
    g_assert_cmpint(board->a20, ==, 0);
    machine_reset(board->machine);
    g_assert_cmpint(board->a20, ==, 1);
    board_free(board);
}

/* FE pulses the reset line, and so do D1 with bit 0 clear and port 92h: seen by a register
 * reset. */
static void test_reset_line(void)
{
    static const uint8_t ways[][2] = { { 0x64, 0xfe }, { 0x92, 0x01 }, { 0x60, 0xde } };

    for (unsigned n = 0; n < G_N_ELEMENTS(ways); n++) {
        Board *board = start();
        board_add(board, "port92", NULL);
        machine_reset(board->machine);
        out8(board, 0x64, 0x65);
        out8(board, 0x60, 0x77);
        if (ways[n][0] == 0x60) {
            out8(board, 0x64, 0xd1);
        }
        out8(board, ways[n][0], ways[n][1]);
        while (g_main_context_iteration(NULL, FALSE)) {
        }
        out8(board, 0x64, 0x25);
        expect(board, 0x00, false);
        board_free(board);
    }
}

static void test_port92(void)
{
    Board *board = board_new();

    board_add(board, "port92", NULL);
    board_start(board);
    g_assert_cmphex(in8(board, 0x92), ==, 0x02);
    out8(board, 0x92, 0x00);
    g_assert_cmpint(board->a20, ==, 0);
    out8(board, 0x92, 0x02);
    g_assert_cmpint(board->a20, ==, 1);
    board_free(board);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/device/i8042/self-tests", test_self_tests);
    g_test_add_func("/device/i8042/command-byte", test_command_byte);
    g_test_add_func("/device/i8042/keyboard-commands", test_keyboard_commands);
    g_test_add_func("/device/i8042/translation-round-trip", test_translation_round_trip);
    g_test_add_func("/device/i8042/scan-codes", test_scan_codes);
    g_test_add_func("/device/i8042/interrupts", test_interrupts);
    g_test_add_func("/device/i8042/overflow", test_overflow);
    g_test_add_func("/device/i8042/mouse", test_mouse);
    g_test_add_func("/device/i8042/wheel", test_wheel);
    g_test_add_func("/device/i8042/a20", test_a20);
    g_test_add_func("/device/i8042/reset-line", test_reset_line);
    g_test_add_func("/device/port92", test_port92);
    return board_main();
}
