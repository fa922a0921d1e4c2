/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The VGA's registers, its windows, and the four write and two read modes of its planes. */
#include "hw/display/vga-text.h"
#include "tests/device/pc-board.h"
#include "util/mainloop.h"

static void set_indexed(Board *board, uint16_t port, uint8_t index, uint8_t value)
{
    board_out(board, port, index, 1);
    board_out(board, port + 1, value, 1);
}

static uint8_t get_indexed(Board *board, uint16_t port, uint8_t index)
{
    board_out(board, port, index, 1);
    return board_in(board, port + 1, 1);
}

static uint8_t load(Board *board, uint32_t addr)
{
    return memory_load(board->machine->memory, addr, 1);
}

static void store(Board *board, uint32_t addr, uint8_t value)
{
    memory_store(board->machine->memory, addr, value, 1);
}

/* Planar graphics at 0xa0000: all planes written, bit mask open. */
static Board *board_planar(void)
{
    Board *board = board_new(16 << 20);

    board_out(board, 0x3c2, 1, 1);
    set_indexed(board, 0x3c4, 2, 0x0f);
    set_indexed(board, 0x3c4, 4, 0x06);
    set_indexed(board, 0x3ce, 5, 0x00);
    set_indexed(board, 0x3ce, 6, 0x05);
    set_indexed(board, 0x3ce, 8, 0xff);
    return board;
}

static Board *board_text(void)
{
    Board *board = board_new(16 << 20);

    board_out(board, 0x3c2, 0x67, 1);
    set_indexed(board, 0x3c4, 2, 0x03);
    set_indexed(board, 0x3c4, 4, 0x02);
    set_indexed(board, 0x3ce, 5, 0x10);
    set_indexed(board, 0x3ce, 6, 0x0e);
    set_indexed(board, 0x3ce, 8, 0xff);
    set_indexed(board, 0x3d4, 0x01, 79);
    set_indexed(board, 0x3d4, 0x07, 0x1f);
    set_indexed(board, 0x3d4, 0x09, 0x4f);
    set_indexed(board, 0x3d4, 0x12, 0x8f);
    set_indexed(board, 0x3d4, 0x13, 40);
    return board;
}

static void test_text(void)
{
    Board *board = board_text();
    const char *hello = "Hello";

    for (unsigned i = 0; hello[i]; i++) {
        memory_store(board->machine->memory, 0xb8000 + 160 + 2 * i, 0x0700 | hello[i], 2);
    }
    g_assert_cmphex(load(board, 0xb8000 + 160), ==, 'H');
    g_assert_cmphex(load(board, 0xb8000 + 161), ==, 0x07);
    g_autofree char *screen = vga_text_screen(board_device(board, "VGA"));
    g_assert_true(g_str_has_prefix(screen, "\nHello\n\n"));
    g_assert_cmpuint(g_strrstr(screen, "\n") - screen, ==, 25 + 5 - 1);
    g_assert_cmphex(load(board, 0xa0000), ==, 0xff); /* outside the window */
    board_free(board);
}

static void test_registers(void)
{
    Board *board = board_text();

    g_assert_cmphex(get_indexed(board, 0x3c4, 2), ==, 0x03);
    g_assert_cmphex(get_indexed(board, 0x3d4, 1), ==, 79);
    /* CRTC 0 to 7 are protected by bit 7 of 0x11, but for bit 4 of 7. */
    set_indexed(board, 0x3d4, 0x11, 0x80);
    set_indexed(board, 0x3d4, 1, 99);
    set_indexed(board, 0x3d4, 7, 0x00);
    g_assert_cmphex(get_indexed(board, 0x3d4, 1), ==, 79);
    g_assert_cmphex(get_indexed(board, 0x3d4, 7), ==, 0x0f);
    /* The attribute flip-flop: index, data; status resets it. */
    board_in(board, 0x3da, 1);
    board_out(board, 0x3c0, 0x10, 1);
    board_out(board, 0x3c0, 0x0c, 1);
    board_out(board, 0x3c0, 0x10, 1);
    g_assert_cmphex(board_in(board, 0x3c1, 1), ==, 0x0c);
    /* DAC: three writes an entry, read back by the read index. */
    board_out(board, 0x3c8, 255, 1);
    for (unsigned i = 1; i <= 6; i++) {
        board_out(board, 0x3c9, i, 1);
    }
    board_out(board, 0x3c7, 255, 1);
    for (unsigned i = 1; i <= 6; i++) {
        g_assert_cmphex(board_in(board, 0x3c9, 1), ==, i);
    }
    /* Monochrome ports answer only when they are chosen. */
    g_assert_cmphex(board_in(board, 0x3b4, 1), ==, 0xff);
    board_out(board, 0x3c2, 0x66, 1);
    g_assert_cmphex(board_in(board, 0x3d4, 1), ==, 0xff);
    g_assert_cmphex(board_in(board, 0x3b4, 1), ==, 0x07);
    board_free(board);
}

static uint8_t plane(Board *board, unsigned n, uint32_t addr)
{
    set_indexed(board, 0x3ce, 4, n);
    return load(board, addr);
}

static void check_planes(Board *board, uint32_t addr, const uint8_t want[4])
{
    for (unsigned n = 0; n < 4; n++) {
        g_assert_cmphex(plane(board, n, addr), ==, want[n]);
    }
}

static void test_write_modes(void)
{
    Board *board = board_planar();

    store(board, 0xa0000, 0xa5);
    check_planes(board, 0xa0000, (const uint8_t[]){ 0xa5, 0xa5, 0xa5, 0xa5 });
    set_indexed(board, 0x3c4, 2, 0x05);
    store(board, 0xa0000, 0x0f);
    check_planes(board, 0xa0000, (const uint8_t[]){ 0x0f, 0xa5, 0x0f, 0xa5 });
    set_indexed(board, 0x3c4, 2, 0x0f);
    /* Set/reset in planes 0 and 1, with a bit mask: the other bits come from the latches. */
    set_indexed(board, 0x3ce, 0, 0x01);
    set_indexed(board, 0x3ce, 1, 0x03);
    set_indexed(board, 0x3ce, 8, 0xf0);
    load(board, 0xa0000);
    store(board, 0xa0001, 0x33);
    check_planes(board, 0xa0001, (const uint8_t[]){ 0xff, 0x05, 0x3f, 0x35 });
    /* Rotate and the logical functions. */
    set_indexed(board, 0x3ce, 1, 0x00);
    set_indexed(board, 0x3ce, 8, 0xff);
    set_indexed(board, 0x3ce, 3, 0x18 | 4); /* XOR, rotate by 4 */
    load(board, 0xa0000);
    store(board, 0xa0002, 0x12);
    check_planes(board, 0xa0002, (const uint8_t[]){ 0x2e, 0x84, 0x2e, 0x84 });
    set_indexed(board, 0x3ce, 3, 0);
    /* Mode 1 copies the latches, mode 2 a colour, mode 3 set/reset through the CPU's mask. */
    set_indexed(board, 0x3ce, 5, 1);
    load(board, 0xa0000);
    store(board, 0xa0003, 0x00);
    check_planes(board, 0xa0003, (const uint8_t[]){ 0x0f, 0xa5, 0x0f, 0xa5 });
    set_indexed(board, 0x3ce, 5, 2);
    store(board, 0xa0004, 0x0a);
    check_planes(board, 0xa0004, (const uint8_t[]){ 0x00, 0xff, 0x00, 0xff });
    set_indexed(board, 0x3ce, 5, 3);
    set_indexed(board, 0x3ce, 0, 0x0c);
    load(board, 0xa0000);
    store(board, 0xa0005, 0xc3);
    check_planes(board, 0xa0005, (const uint8_t[]){ 0x0c, 0x24, 0xcf, 0xe7 });
    board_free(board);
}

static void test_read_mode_1(void)
{
    Board *board = board_planar();

    set_indexed(board, 0x3c4, 2, 0x01);
    store(board, 0xa0000, 0xf0);
    set_indexed(board, 0x3c4, 2, 0x02);
    store(board, 0xa0000, 0xcc);
    set_indexed(board, 0x3ce, 5, 8);
    set_indexed(board, 0x3ce, 2, 0x03);
    set_indexed(board, 0x3ce, 7, 0x0f);
    g_assert_cmphex(load(board, 0xa0000), ==, 0xc0);
    set_indexed(board, 0x3ce, 7, 0x01);
    g_assert_cmphex(load(board, 0xa0000), ==, 0xf0);
    set_indexed(board, 0x3ce, 7, 0x00);
    g_assert_cmphex(load(board, 0xa0000), ==, 0xff);
    board_free(board);
}

static void test_chain4(void)
{
    Board *board = board_planar();

    set_indexed(board, 0x3c4, 4, 0x0e);
    for (unsigned i = 0; i < 8; i++) {
        store(board, 0xa0000 + i, 0x10 + i);
    }
    g_assert_cmphex(memory_load(board->machine->memory, 0xa0004, 4), ==, 0x17161514);
    set_indexed(board, 0x3c4, 4, 0x06);
    check_planes(board, 0xa0000, (const uint8_t[]){ 0x10, 0x11, 0x12, 0x13 });
    check_planes(board, 0xa0004, (const uint8_t[]){ 0x14, 0x15, 0x16, 0x17 });
    board_free(board);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    main_loop_init();
    g_test_add_func("/vga/text", test_text);
    g_test_add_func("/vga/registers", test_registers);
    g_test_add_func("/vga/write-modes", test_write_modes);
    g_test_add_func("/vga/read-mode-1", test_read_mode_1);
    g_test_add_func("/vga/chain4", test_chain4);
    return g_test_run();
}
