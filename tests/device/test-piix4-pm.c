/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The PIIX4's power management (82371AB datasheet, 7.2; ACPI 6.4, 4.8): timer, SCI, button, S5. */
#include "tests/device/pc-board.h"
#include "util/mainloop.h"

#define PM   PCI_DEVFN(1, 3)
#define BASE 0x600

static Board *board_with_pm(void)
{
    Board *board = board_new(16 << 20);

    board_config_write(board, PM, 0x40, BASE | 1, 4);
    board_config_write(board, PM, 0x80, 1, 1);
    return board;
}

static void test_base(void)
{
    Board *board = board_new(16 << 20);

    g_assert_cmphex(board_config_read(board, PM, 0x40, 4), ==, 1);
    g_assert_cmphex(board_in(board, BASE + 4, 2), ==, 0xffff);
    board_config_write(board, PM, 0x40, 0xffffffff, 4);
    g_assert_cmphex(board_config_read(board, PM, 0x40, 4), ==, 0x0000ffc1);
    board_config_write(board, PM, 0x40, BASE | 1, 4);
    g_assert_cmphex(board_in(board, BASE + 4, 2), ==, 0xffff); /* PMIOSE is off */
    board_config_write(board, PM, 0x80, 1, 1);
    g_assert_cmphex(board_in(board, BASE + 4, 2), ==, 0);
    board_config_write(board, PM, 0x40, 0x700 | 1, 4);
    g_assert_cmphex(board_in(board, BASE + 4, 2), ==, 0xffff);
    g_assert_cmphex(board_in(board, 0x704, 2), ==, 0);
    board_config_write(board, PM, 0x40, 0x500 | 1, 4); /* fw_cfg is there: nothing is mapped */
    g_assert_cmphex(board_in(board, 0x504, 2), ==, 0xffff);
    board_free(board);
}

static void test_timer(void)
{
    Board *board = board_with_pm();
    uint32_t before = board_in(board, BASE + 8, 4);
    gint64 start = g_get_monotonic_time();

    g_usleep(20000);
    uint32_t ticks = (board_in(board, BASE + 8, 4) - before) & 0xffffff;
    gint64 elapsed = g_get_monotonic_time() - start;
    /* 3.579545 MHz: at least the 20 ms slept, at most what went by. */
    g_assert_cmpuint(ticks, >=, 71000);
    g_assert_cmpint(ticks, <=, (elapsed + 1000) * 3.579545);
    board_out(board, BASE + 8, 0, 4); /* read-only */
    g_assert_cmpuint(board_in(board, BASE + 8, 4), >=, before);
    board_free(board);
}

static void test_sci_enable(void)
{
    Board *board = board_with_pm();

    board_out(board, 0xb2, 0xf1, 1);
    g_assert_cmphex(board_in(board, BASE + 4, 2) & 1, ==, 1);
    board_out(board, 0xb2, 0xf0, 1);
    g_assert_cmphex(board_in(board, BASE + 4, 2) & 1, ==, 0);
    board_out(board, 0xb3, 0x42, 1);
    g_assert_cmphex(board_in(board, 0xb3, 1), ==, 0x42);
    board_free(board);
}

static void press_button(Board *board)
{
    machine_request_powerdown(board->machine);
    for (unsigned i = 0; i < 100 && !(board_in(board, BASE, 2) & 0x100); i++) {
        g_main_context_iteration(NULL, FALSE);
    }
}

static void test_power_button(void)
{
    Board *board = board_with_pm();

    press_button(board);
    g_assert_cmphex(board_in(board, BASE, 2), ==, 0x100);
    g_assert_cmpint(board->gsi[9], ==, 0);
    board_out(board, BASE + 2, 0x100, 2);
    g_assert_cmpint(board->gsi[9], ==, 0); /* SCI_EN is off */
    board_out(board, 0xb2, 0xf1, 1);
    g_assert_cmpint(board->gsi[9], ==, 1);
    board_out(board, BASE, 0x021, 2); /* other bits */
    g_assert_cmpint(board->gsi[9], ==, 1);
    board_out(board, BASE, 0x100, 2);
    g_assert_cmphex(board_in(board, BASE, 2), ==, 0);
    g_assert_cmpint(board->gsi[9], ==, 0);
    board_free(board);
}

static void test_general_purpose(void)
{
    Board *board = board_with_pm();

    board_out(board, BASE + 0x0e, 0xffff, 2);
    g_assert_cmphex(board_in(board, BASE + 0x0e, 2), ==, 0x0f01);
    board_out(board, BASE + 0x0c, 0xffff, 2);
    g_assert_cmphex(board_in(board, BASE + 0x0c, 2), ==, 0);
    board_free(board);
}

static void test_soft_off(void)
{
    Board *board = board_with_pm();

    /* Another suspend type does not end the machine; SUS_EN reads back as zero. */
    board_out(board, BASE + 4, 0x2401, 2);
    g_assert_cmphex(board_in(board, BASE + 4, 2), ==, 0x0401);
    board_out(board, BASE + 4, 0x2001, 2);
    g_assert_cmpint(main_loop_run(), ==, 0);
    board_free(board);
}

static void test_smbus(void)
{
    Board *board = board_with_pm();

    board_config_write(board, PM, 0x90, 0xb101, 4);
    board_config_write(board, PM, 0xd2, 9, 1);
    g_assert_cmphex(board_in(board, 0xb100, 1), ==, 0xff);
    board_config_write(board, PM, 0x04, 1, 2);
    g_assert_cmphex(board_in(board, 0xb100, 1), ==, 0);
    board_out(board, 0xb102, 0x48, 1); /* start: nobody answers */
    g_assert_cmphex(board_in(board, 0xb100, 1), ==, 0x04);
    board_out(board, 0xb100, 0x04, 1);
    g_assert_cmphex(board_in(board, 0xb100, 1), ==, 0);
    board_free(board);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    main_loop_init();
    g_test_add_func("/piix4-pm/base", test_base);
    g_test_add_func("/piix4-pm/timer", test_timer);
    g_test_add_func("/piix4-pm/sci-enable", test_sci_enable);
    g_test_add_func("/piix4-pm/power-button", test_power_button);
    g_test_add_func("/piix4-pm/general-purpose", test_general_purpose);
    g_test_add_func("/piix4-pm/smbus", test_smbus);
    g_test_add_func("/piix4-pm/soft-off", test_soft_off);
    return g_test_run();
}
