/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The 8259A pair against its datasheet: initialisation, priorities, end of interrupt, modes. */
#include "hw/intc/i8259.h"
#include "tests/device/board.h"

static Device *pic;

/* ICW1 edge, cascade, ICW4; vectors 0x08 and 0x70; everything unmasked. */
static Board *start(uint8_t icw1, uint8_t icw4)
{
    Board *board = board_new();

    pic = board_add(board, "i8259", NULL);
    board_start(board);
    out8(board, 0x20, icw1);
    OUT8S(board, 0x21, 0x08, 0x04, icw4, 0x00);
    out8(board, 0xa0, icw1);
    OUT8S(board, 0xa1, 0x70, 0x02, icw4, 0x00);
    return board;
}

static void set_irq(Board *board, unsigned irq, int level)
{
    irq_set(machine_gsi(board->machine, irq), level);
}

static uint8_t isr(Board *board, uint16_t port)
{
    out8(board, port, 0x0b);
    return in8(board, port);
}

static uint8_t irr(Board *board, uint16_t port)
{
    out8(board, port, 0x0a);
    return in8(board, port);
}

static void test_reset_masks(void)
{
    Board *board = board_new();

    pic = board_add(board, "i8259", NULL);
    board_start(board);
    set_irq(board, 4, 1);
    g_assert_cmpint(board->pic_intr, ==, 0);
    board_free(board);
}

/* Every IRQ asks alone, is acknowledged with its vector, ends, and asks again after a new edge
 * only. */
static void test_each_irq(void)
{
    Board *board = start(0x11, 0x01);

    for (unsigned irq = 0; irq < 16; irq++) {
        if (irq == 2) {
            continue;
        }
        set_irq(board, irq, 1);
        g_assert_cmpint(board->pic_intr, ==, 1);
        g_assert_cmpint(i8259_acknowledge(pic), ==, irq < 8 ? 0x08 + irq : 0x70 + irq - 8);
        g_assert_cmpint(board->pic_intr, ==, 0);
        g_assert_cmphex(isr(board, 0x20), ==, irq < 8 ? 1 << irq : 0x04);
        g_assert_cmphex(isr(board, 0xa0), ==, irq < 8 ? 0 : 1 << (irq - 8));
        if (irq >= 8) {
            out8(board, 0xa0, 0x20);
        }
        out8(board, 0x20, 0x20);
        g_assert_cmphex(isr(board, 0x20) | isr(board, 0xa0), ==, 0);
        g_assert_cmpint(board->pic_intr, ==, 0); /* the line is still high: no new edge */
        set_irq(board, irq, 0);
    }
    board_free(board);
}

/* Fixed priority: 0, 1, then the slave's 8 to 15, then 3 to 7. */
static void test_priority_order(void)
{
    static const uint8_t order[] = { 0, 1, 8, 9, 10, 11, 12, 13, 14, 15, 3, 4, 5, 6, 7 };
    Board *board = start(0x11, 0x01);

    for (int n = G_N_ELEMENTS(order) - 1; n >= 0; n--) {
        set_irq(board, order[n], 1);
    }
    for (unsigned n = 0; n < G_N_ELEMENTS(order); n++) {
        unsigned irq = order[n];
        g_assert_cmpint(i8259_acknowledge(pic), ==, irq < 8 ? 0x08 + irq : 0x70 + irq - 8);
        if (irq >= 8) {
            out8(board, 0xa0, 0x20);
        }
        out8(board, 0x20, 0x20);
    }
    g_assert_cmpint(board->pic_intr, ==, 0);
    board_free(board);
}

/* Fully nested: only a higher priority interrupts one in service. */
static void test_nesting(void)
{
    Board *board = start(0x11, 0x01);

    set_irq(board, 4, 1);
    g_assert_cmpint(i8259_acknowledge(pic), ==, 0x0c);
    set_irq(board, 5, 1);
    g_assert_cmpint(board->pic_intr, ==, 0);
    set_irq(board, 3, 1);
    g_assert_cmpint(board->pic_intr, ==, 1);
    g_assert_cmpint(i8259_acknowledge(pic), ==, 0x0b);
    g_assert_cmphex(isr(board, 0x20), ==, 0x18);
    out8(board, 0x20, 0x20); /* non-specific: ends 3, the highest */
    g_assert_cmphex(isr(board, 0x20), ==, 0x10);
    g_assert_cmpint(board->pic_intr, ==, 0);
    out8(board, 0x20, 0x64); /* specific, 4 */
    g_assert_cmphex(isr(board, 0x20), ==, 0);
    g_assert_cmpint(i8259_acknowledge(pic), ==, 0x0d);
    board_free(board);
}

static void test_mask(void)
{
    Board *board = start(0x11, 0x01);

    out8(board, 0x21, 0x10);
    g_assert_cmphex(in8(board, 0x21), ==, 0x10);
    set_irq(board, 4, 1);
    g_assert_cmpint(board->pic_intr, ==, 0);
    g_assert_cmphex(irr(board, 0x20), ==, 0x10); /* the mask does not keep it out of the IRR */
    out8(board, 0x21, 0x00);
    g_assert_cmpint(board->pic_intr, ==, 1);
    board_free(board);
}

/* A request that goes away before INTA: IR7, without an in-service bit. */
static void test_spurious(void)
{
    Board *board = start(0x11, 0x01);

    set_irq(board, 4, 1);
    set_irq(board, 4, 0);
    g_assert_cmpint(board->pic_intr, ==, 0);
    g_assert_cmpint(i8259_acknowledge(pic), ==, 0x0f);
    g_assert_cmphex(isr(board, 0x20), ==, 0);
    board_free(board);
}

static void test_auto_eoi(void)
{
    Board *board = start(0x11, 0x03);

    set_irq(board, 4, 1);
    g_assert_cmpint(i8259_acknowledge(pic), ==, 0x0c);
    g_assert_cmphex(isr(board, 0x20), ==, 0);
    out8(board, 0x20, 0x80); /* rotate in automatic EOI mode */
    set_irq(board, 3, 1);
    g_assert_cmpint(i8259_acknowledge(pic), ==, 0x0b);
    set_irq(board, 3, 0);
    set_irq(board, 3, 1);
    set_irq(board, 7, 1);
    g_assert_cmpint(i8259_acknowledge(pic), ==, 0x0f); /* 3 is lowest now */
    g_assert_cmpint(i8259_acknowledge(pic), ==, 0x0b);
    board_free(board);
}

/* OCW2 rows that move the priorities: after each, which of all requests comes first. */
static void test_rotation(void)
{
    static const struct {
        uint8_t ocw2, first;
    } rows[] = {
        { 0xc0, 1 }, { 0xc6, 7 }, { 0xc7, 0 }, { 0xc3, 4 },
    };
    Board *board = start(0x11, 0x01);

    for (unsigned n = 0; n < G_N_ELEMENTS(rows); n++) {
        out8(board, 0x20, rows[n].ocw2);
        for (unsigned irq = 0; irq < 8; irq++) {
            if (irq != 2) {
                set_irq(board, irq, 0);
                set_irq(board, irq, 1);
            }
        }
        g_assert_cmpint(i8259_acknowledge(pic), ==, 0x08 + rows[n].first);
        out8(board, 0x20, 0x60 | rows[n].first);
    }
    /* Rotate on non-specific EOI: 4 was served, so 5 is highest. */
    g_assert_cmpint(i8259_acknowledge(pic), ==, 0x0d); /* 3 is lowest, 4 is done: 5 */
    out8(board, 0x20, 0xa0);
    g_assert_cmpint(i8259_acknowledge(pic), ==, 0x0e);
    out8(board, 0x20, 0xe6);                           /* rotate on specific EOI */
    g_assert_cmpint(i8259_acknowledge(pic), ==, 0x0f);
    board_free(board);
}

/* Special mask mode: a masked level in service does not hold back lower ones. */
static void test_special_mask(void)
{
    Board *board = start(0x11, 0x01);

    set_irq(board, 1, 1);
    g_assert_cmpint(i8259_acknowledge(pic), ==, 0x09);
    set_irq(board, 6, 1);
    g_assert_cmpint(board->pic_intr, ==, 0);
    out8(board, 0x21, 0x02);
    g_assert_cmpint(board->pic_intr, ==, 0);
    out8(board, 0x20, 0x68);
    g_assert_cmpint(board->pic_intr, ==, 1);
    g_assert_cmpint(i8259_acknowledge(pic), ==, 0x0e);
    out8(board, 0x20, 0x20); /* leaves the masked level alone */
    g_assert_cmphex(isr(board, 0x20), ==, 0x02);
    out8(board, 0x20, 0x48); /* and off */
    set_irq(board, 5, 1);
    g_assert_cmpint(board->pic_intr, ==, 0);
    board_free(board);
}

static void test_poll(void)
{
    Board *board = start(0x11, 0x01);

    out8(board, 0x20, 0x0c);
    g_assert_cmphex(in8(board, 0x20), ==, 0x00);
    set_irq(board, 5, 1);
    out8(board, 0x20, 0x0c);
    g_assert_cmphex(in8(board, 0x20), ==, 0x85);
    g_assert_cmphex(isr(board, 0x20), ==, 0x20);
    g_assert_cmpint(board->pic_intr, ==, 0);
    board_free(board);
}

/* A level input asks again after its EOI as long as it is held; ELCR bits of 0, 1, 2, 8, 13 are
 * 0. */
static void test_level(void)
{
    Board *board = start(0x11, 0x01);

    OUT8S(board, 0x4d0, 0xff);
    OUT8S(board, 0x4d1, 0xff);
    g_assert_cmphex(in8(board, 0x4d0), ==, 0xf8);
    g_assert_cmphex(in8(board, 0x4d1), ==, 0xde);
    set_irq(board, 11, 1);
    for (unsigned n = 0; n < 3; n++) {
        g_assert_cmpint(board->pic_intr, ==, 1);
        g_assert_cmpint(i8259_acknowledge(pic), ==, 0x73);
        OUT8S(board, 0xa0, 0x20);
        out8(board, 0x20, 0x20);
    }
    set_irq(board, 11, 0);
    g_assert_cmpint(board->pic_intr, ==, 0);
    board_free(board);
}

/* SFNM: a second, higher request of the slave gets through while the first is in service. */
static void test_special_fully_nested(void)
{
    for (unsigned sfnm = 0; sfnm < 2; sfnm++) {
        Board *board = start(0x11, sfnm ? 0x11 : 0x01);
        set_irq(board, 12, 1);
        g_assert_cmpint(i8259_acknowledge(pic), ==, 0x74);
        set_irq(board, 9, 1);
        g_assert_cmpint(board->pic_intr, ==, (int)sfnm);
        if (sfnm) {
            g_assert_cmpint(i8259_acknowledge(pic), ==, 0x71);
        }
        board_free(board);
    }
}

/* ICW1 resets the edge sense: a line that is high needs a new edge. Without ICW4 it is done at
 * ICW3. */
static void test_init_words(void)
{
    Board *board = start(0x11, 0x01);

    set_irq(board, 4, 1);
    g_assert_cmpint(board->pic_intr, ==, 1);
    out8(board, 0x20, 0x10); /* no ICW4 */
    g_assert_cmpint(board->pic_intr, ==, 0);
    OUT8S(board, 0x21, 0x20, 0x04);
    g_assert_cmphex(in8(board, 0x21), ==, 0x00);
    g_assert_cmpint(board->pic_intr, ==, 0);
    set_irq(board, 4, 0);
    set_irq(board, 4, 1);
    g_assert_cmpint(i8259_acknowledge(pic), ==, 0x24);
    out8(board, 0x20, 0x12); /* single, no ICW4: ICW2 is the last */
    out8(board, 0x21, 0x30);
    out8(board, 0x21, 0xaa); /* OCW1 */
    g_assert_cmphex(in8(board, 0x21), ==, 0xaa);
    board_free(board);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/device/i8259/reset-masks", test_reset_masks);
    g_test_add_func("/device/i8259/each-irq", test_each_irq);
    g_test_add_func("/device/i8259/priority-order", test_priority_order);
    g_test_add_func("/device/i8259/nesting", test_nesting);
    g_test_add_func("/device/i8259/mask", test_mask);
    g_test_add_func("/device/i8259/spurious", test_spurious);
    g_test_add_func("/device/i8259/auto-eoi", test_auto_eoi);
    g_test_add_func("/device/i8259/rotation", test_rotation);
    g_test_add_func("/device/i8259/special-mask", test_special_mask);
    g_test_add_func("/device/i8259/poll", test_poll);
    g_test_add_func("/device/i8259/level", test_level);
    g_test_add_func("/device/i8259/special-fully-nested", test_special_fully_nested);
    g_test_add_func("/device/i8259/init-words", test_init_words);
    return board_main();
}
