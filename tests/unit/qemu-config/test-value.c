/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Text to value: the conversions that every option goes through. */
#include <string.h>

#include "qemu-config/diag.h"
#include "qemu-config/schema.h"

static void test_bool(void)
{
    static const char *const on[] = {"on", "yes", "true", "y"}, *const off[] = {"off", "no",
                                                                                "false", "n"};
    for (unsigned i = 0; i < 4; i++) {
        bool value = false;
        g_assert_true(opt_parse_bool(on[i], &value) && value);
        g_assert_true(opt_parse_bool(off[i], &value) && !value);
    }
    bool value;
    g_assert_false(opt_parse_bool("On", &value));
    g_assert_false(opt_parse_bool("", &value));
    g_assert_false(opt_parse_bool("1", &value));
}

static void test_numbers(void)
{
    int64_t i;
    uint64_t u;
    g_assert_true(opt_parse_int("-9223372036854775808", &i) && i == INT64_MIN);
    g_assert_false(opt_parse_int("9223372036854775808", &i));
    g_assert_true(opt_parse_int("0x10", &i) && i == 16);
    g_assert_false(opt_parse_int(" 1", &i));
    g_assert_false(opt_parse_int("1x", &i));
    g_assert_false(opt_parse_int("", &i));
    g_assert_true(opt_parse_uint("18446744073709551615", &u) && u == UINT64_MAX);
    g_assert_false(opt_parse_uint("18446744073709551616", &u));
    g_assert_false(opt_parse_uint("-1", &u));
    g_assert_false(opt_parse_uint("+1", &u));
}

static void test_sizes(void)
{
    static const struct {
        const char *text;
        uint64_t unit, bytes;
    } good[] = {
        {"0", 1, 0}, {"512", 1, 512}, {"512", 1 << 20, 512ULL << 20}, {"512B", 1 << 20, 512},
        {"1k", 1, 1024}, {"1K", 1, 1024}, {"2M", 1, 2 << 20}, {"3G", 1 << 20, 3ULL << 30},
        {"1T", 1, 1ULL << 40}, {"1P", 1, 1ULL << 50}, {"15E", 1, 15ULL << 60},
        {"1.5G", 1, 3ULL << 29}, {"0x10", 1, 16}, {"0.5", 1 << 20, 1 << 19},
    };
    static const char *const bad[] = {"", "-1", "+1", "1x", "1MB", "16E", "1.", ".5", "1.5.5",
                                      "1.x", "G", " 1", "18446744073709551616", "0x"};
    for (unsigned i = 0; i < G_N_ELEMENTS(good); i++) {
        uint64_t bytes = 0;
        g_test_message("%s", good[i].text);
        g_assert_true(opt_parse_size(good[i].text, good[i].unit, &bytes));
        g_assert_cmpuint(bytes, ==, good[i].bytes);
    }
    for (unsigned i = 0; i < G_N_ELEMENTS(bad); i++) {
        uint64_t bytes = 0;
        g_test_message("%s", bad[i]);
        g_assert_false(opt_parse_size(bad[i], 1, &bytes));
    }
}

static void test_nearest(void)
{
    static const char *const names[] = {"device", "drive", "chardev", "sse4.2", NULL};
    g_assert_cmpstr(diag_nearest("devcie", names), ==, "device");
    g_assert_cmpstr(diag_nearest("Drive", names), ==, "drive");
    g_assert_cmpstr(diag_nearest("sse42", names), ==, "sse4.2");
    g_assert_null(diag_nearest("kernel", names));
    g_assert_null(diag_nearest("x", names));
    g_autofree char *huge = g_strnfill(1000, 'd');
    g_assert_null(diag_nearest(huge, names));
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/config/value/bool", test_bool);
    g_test_add_func("/config/value/numbers", test_numbers);
    g_test_add_func("/config/value/sizes", test_sizes);
    g_test_add_func("/config/value/nearest", test_nearest);
    return g_test_run();
}
