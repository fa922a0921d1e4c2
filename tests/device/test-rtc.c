/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The MC146818: time in every format, alarms, periodic and update interrupts, CMOS for the
 * firmware. */
#include "tests/device/board.h"
#include "tests/device/clock.h"
#include "util/timer.h"

static uint8_t cmos(Board *board, uint8_t index)
{
    out8(board, 0x70, index);
    return in8(board, 0x71);
}

static void set_cmos(Board *board, uint8_t index, uint8_t value)
{
    out8(board, 0x70, index);
    out8(board, 0x71, value);
}

static Board *start_at(const char *base)
{
    Board *board = board_new();

    board_add(board, "mc146818rtc", "base", base, "clock", "vm", NULL);
    board_start(board);
    return board;
}

static void assert_time(Board *board, uint8_t century, uint8_t year, uint8_t month, uint8_t day,
                        uint8_t hour, uint8_t minute, uint8_t second)
{
    g_assert_cmphex(cmos(board, 0x32), ==, century);
    g_assert_cmphex(cmos(board, 9), ==, year);
    g_assert_cmphex(cmos(board, 8), ==, month);
    g_assert_cmphex(cmos(board, 7), ==, day);
    g_assert_cmphex(cmos(board, 4), ==, hour);
    g_assert_cmphex(cmos(board, 2), ==, minute);
    g_assert_cmphex(cmos(board, 0), ==, second);
}

static void test_formats(void)
{
    Board *board = start_at("2024-02-29T23:59:58");

    assert_time(board, 0x20, 0x24, 0x02, 0x29, 0x23, 0x59, 0x58);
    g_assert_cmphex(cmos(board, 6), ==, 5); /* a Thursday; Sunday is 1 */
    set_cmos(board, 0x0b, 0x00);            /* 12 hours */
    g_assert_cmphex(cmos(board, 4), ==, 0x91);
    set_cmos(board, 0x0b, 0x06); /* binary, 24 hours */
    assert_time(board, 20, 24, 2, 29, 23, 59, 58);
    set_cmos(board, 0x0b, 0x04); /* binary, 12 hours */
    g_assert_cmphex(cmos(board, 4), ==, 0x80 | 11);
    set_cmos(board, 0x0b, 0x02);
    test_clock_advance(2 * NS_PER_SECOND); /* over the leap day */
    assert_time(board, 0x20, 0x24, 0x03, 0x01, 0x00, 0x00, 0x00);
    set_cmos(board, 0x0b, 0x00);
    g_assert_cmphex(cmos(board, 4), ==, 0x12); /* midnight is 12 AM */
    board_free(board);
}

/* Time set with SET stands, then runs from what was written. */
static void test_set_time(void)
{
    Board *board = start_at("2020-01-01T00:00:00");

    set_cmos(board, 0x0b, 0x82);
    set_cmos(board, 0x32, 0x19);
    set_cmos(board, 9, 0x99);
    set_cmos(board, 8, 0x12);
    set_cmos(board, 7, 0x31);
    set_cmos(board, 4, 0x23);
    set_cmos(board, 2, 0x59);
    set_cmos(board, 0, 0x59);
    test_clock_advance(10 * NS_PER_SECOND);
    assert_time(board, 0x19, 0x99, 0x12, 0x31, 0x23, 0x59, 0x59);
    set_cmos(board, 0x0b, 0x02);
    test_clock_advance(NS_PER_SECOND);
    assert_time(board, 0x20, 0x00, 0x01, 0x01, 0x00, 0x00, 0x00);
    board_free(board);
}

/* Dates outside what nanoseconds can hold end at a bound, whatever the registers say. */
static void test_absurd_dates(void)
{
    Board *board = start_at("2020-01-01");

    for (unsigned n = 0; n < 256; n++) {
        set_cmos(board, 0x32, n);
        set_cmos(board, 9, 255 - n);
        set_cmos(board, 8, n * 7);
        set_cmos(board, 7, n * 31);
        cmos(board, 0);
        g_assert_cmphex(cmos(board, 0x32) >> 4, <=, 2);
    }
    board_free(board);
}

static void test_update_in_progress(void)
{
    Board *board = start_at("2024-01-01T00:00:00");
    int64_t into = clock_ns(CLOCK_HOST) % NS_PER_SECOND; /* starts within a second of the host */

    g_assert_cmphex(cmos(board, 0x0a), ==, 0x26);
    test_clock_advance(NS_PER_SECOND - into - 200000);
    g_assert_cmphex(cmos(board, 0x0a), ==, 0xa6);
    test_clock_advance(200000);
    g_assert_cmphex(cmos(board, 0x0a), ==, 0x26);
    board_free(board);
}

static void test_periodic(void)
{
    Board *board = start_at("2024-01-01T00:00:00");
    unsigned count = 0;

    set_cmos(board, 0x0a, 0x26); /* 1024 Hz */
    set_cmos(board, 0x0b, 0x42);
    cmos(board, 0x0c);
    for (unsigned n = 0; n < 10000; n++) {
        test_clock_advance(NS_PER_SECOND / 10000);
        if (board->gsi[8]) {
            g_assert_cmphex(cmos(board, 0x0c) & 0xc0, ==, 0xc0);
            g_assert_cmpint(board->gsi[8], ==, 0);
            count++;
        }
    }
    g_assert_cmpint(count, >=, 1023);
    g_assert_cmpint(count, <=, 1025);
    board_free(board);
}

/* Flags come without their enables too; nothing asked for costs no host timer. */
static void test_flags_by_polling(void)
{
    Board *board = start_at("2024-01-01T00:00:00");
    unsigned fired = test_clock_fired();

    cmos(board, 0x0c);
    test_clock_advance(3 * NS_PER_SECOND);
    g_assert_cmphex(cmos(board, 0x0c), ==, 0x50);
    g_assert_cmphex(cmos(board, 0x0c), ==, 0x00);
    g_assert_cmpint(board->rises[8], ==, 0);
    g_assert_cmpint(test_clock_fired(), ==, fired);
    board_free(board);
}

static void test_alarm(void)
{
    static const struct {
        uint8_t hour, minute, second;
        int64_t after;
    } rows[] = { /* from 10:20:30 */
        { 0x10, 0x20, 0x35, 5 },        { 0xff, 0xff, 0x31, 1 },
        { 0xff, 0x21, 0x00, 30 },       { 0x11, 0xc0, 0xc0, 39 * 60 + 30 },
        { 0x10, 0x20, 0x30, 86400 },    { 0xff, 0xff, 0xff, 1 },
        { 0x09, 0x00, 0x00, 86400 - 4830 },
    };

    for (unsigned n = 0; n < G_N_ELEMENTS(rows); n++) {
        Board *board = start_at("2024-01-01T10:20:30");
        int64_t into = clock_ns(CLOCK_HOST) % NS_PER_SECOND;
        set_cmos(board, 1, rows[n].second);
        set_cmos(board, 3, rows[n].minute);
        set_cmos(board, 5, rows[n].hour);
        cmos(board, 0x0c);
        set_cmos(board, 0x0b, 0x22);
        test_clock_advance(rows[n].after * NS_PER_SECOND - into - 1);
        g_assert_cmpint(board->gsi[8], ==, 0);
        test_clock_advance(1);
        g_assert_cmpint(board->gsi[8], ==, 1);
        g_assert_cmphex(cmos(board, 0x0c) & 0xa0, ==, 0xa0);
        board_free(board);
    }
}

/* SeaBIOS' places; 512 MiB below and 2 GiB above 4 GiB, two CPUs. Shutdown status outlives
 * reset. */
static void test_cmos(void)
{
    Board *board = start_at("2024-01-01");

    g_assert_cmphex(cmos(board, 0x15) | cmos(board, 0x16) << 8, ==, 640);
    g_assert_cmphex(cmos(board, 0x30) | cmos(board, 0x31) << 8, ==, 0xffff);
    g_assert_cmphex(cmos(board, 0x34) | cmos(board, 0x35) << 8, ==, (512 - 16) * 16);
    g_assert_cmphex(cmos(board, 0x5b) | cmos(board, 0x5c) << 8 | cmos(board, 0x5d) << 16, ==,
                    0x8000);
    g_assert_cmphex(cmos(board, 0x5f), ==, 1);
    g_assert_cmphex(cmos(board, 0x3d), ==, 0x12); /* first the disk, then a floppy */
    g_assert_cmphex(cmos(board, 0x38), ==, 0x30);
    g_assert_cmphex(cmos(board, 0x0d), ==, 0x80);
    set_cmos(board, 0x0f, 0x0a);
    set_cmos(board, 0x0b, 0x72);
    machine_reset(board->machine);
    g_assert_cmphex(cmos(board, 0x0f), ==, 0x0a);
    g_assert_cmphex(cmos(board, 0x0b), ==, 0x02);
    board_free(board);
}

static void test_bad_base(void)
{
    static const char *const bad[] = { "", "now", "2024-13-01", "2024-02-30T00:00:00", "T" };

    for (unsigned n = 0; n < G_N_ELEMENTS(bad); n++) {
        Board *board = board_new();
        Device *device = device_new(board->machine, device_type_find("mc146818rtc"), NULL);
        g_autoptr(GError) error = NULL;
        g_assert_true(device_property_set(device, "base", bad[n], &error));
        g_assert_false(device_realize(device, bus_find_type(board->machine, "isa"), &error));
        g_assert_error(error, DEVICE_ERROR, 0);
        board_free(board);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/device/rtc/formats", test_formats);
    g_test_add_func("/device/rtc/set-time", test_set_time);
    g_test_add_func("/device/rtc/absurd-dates", test_absurd_dates);
    g_test_add_func("/device/rtc/update-in-progress", test_update_in_progress);
    g_test_add_func("/device/rtc/periodic", test_periodic);
    g_test_add_func("/device/rtc/flags-by-polling", test_flags_by_polling);
    g_test_add_func("/device/rtc/alarm", test_alarm);
    g_test_add_func("/device/rtc/cmos", test_cmos);
    g_test_add_func("/device/rtc/bad-base", test_bad_base);
    return board_main();
}
