/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The JSON reader: what it takes and refuses, cut at every byte, and what must stay bounded. */
#include <string.h>

#include "monitor/jv.h"

/* What comes out of a stream: values as text, mistakes as "!message", one a line. */
static char *read_all(const char *data, size_t size, size_t first_cut)
{
    g_autoptr(GString) out = g_string_new(NULL);
    JvReader *reader = jv_reader_new();
    size_t done = 0;

    while (done < size) {
        g_autoptr(Jv) value = NULL;
        g_autoptr(GError) error = NULL;
        size_t end = done < first_cut ? MIN(first_cut, size) : size;
        done += jv_reader_feed(reader, (const uint8_t *)data + done, end - done, &value, &error);
        g_assert_true(!value || !error);
        if (value) {
            jv_print(value, false, out);
            g_string_append_c(out, '\n');
        } else if (error) {
            g_string_append_printf(out, "!%s\n", error->message);
        }
    }
    jv_reader_free(reader);
    return g_string_free(g_steal_pointer(&out), FALSE);
}

static const struct {
    const char *in, *out;
} cases[] = {
    { "{}", "{}\n" },
    { " [ ] {\t}\r\n", "[]\n{}\n" },
    { "{\"a\":[1,-2,{\"b\":null}],\"c\":true,\"d\":false}",
      "{\"a\": [1, -2, {\"b\": null}], \"c\": true, \"d\": false}\n" },
    { "[9223372036854775807,9223372036854775808,18446744073709551615]",
      "[9223372036854775807, 9223372036854775808, 18446744073709551615]\n" },
    { "[-9223372036854775808,18446744073709551616,-9223372036854775809]",
      "[-9223372036854775808, 1.8446744073709552e+19, -9.2233720368547758e+18]\n" },
    { "[0,-0,0.5,1e2,1E+2,25e-1]", "[0, 0, 0.5, 100, 100, 2.5]\n" },
    { "1 2 ", "1\n2\n" },
    { "\"a\"'b'", "\"a\"\n\"b\"\n" },
    { "['it\\'s \"so\"']", "[\"it's \\\"so\\\"\"]\n" },
    { "[\"\\b\\f\\n\\r\\t\\/\\\\\\\"\"]", "[\"\\b\\f\\n\\r\\t/\\\\\\\"\"]\n" },
    { "[\"\\u00e9\\ud83d\\ude00\\u0000x\"]", "[\"\\u00E9\\uD83D\\uDE00\\u0000x\"]\n" },
    { "[\"\xc3\xa9\xf0\x9f\x98\x80\"]", "[\"\\u00E9\\uD83D\\uDE00\"]\n" },
    { "[\"\x7f\"]", "[\"\\u007F\"]\n" },
    /* mistakes within a value: one message, and on behind it */
    { "{\"a\" 1}[1]", "!JSON parse error, missing : in object pair\n[1]\n" },
    { "{\"a\":1,}[1]", "!JSON parse error, expecting value\n[1]\n" },
    { "[1,,2][1]", "!JSON parse error, expecting value\n[1]\n" },
    { "[1 2][1]", "!JSON parse error, expected separator\n[1]\n" },
    { "{1:2}[1]", "!JSON parse error, key is not a string in object\n[1]\n" },
    { "{[1]:2}[1]", "!JSON parse error, key is not a string in object\n[1]\n" },
    { "{\"a\"[1]}[1]", "!JSON parse error, missing : in object pair\n[1]\n" },
    { "{\"a\":1,\"a\":2}[1]", "!JSON parse error, duplicate key\n[1]\n" },
    { "[1}[1]", "!JSON parse error, the bracket that closes does not match\n"
                "[1]\n" },
    { "}[1]", "!JSON parse error, expecting value\n[1]\n" },
    { ":[1]", "!JSON parse error, expecting value\n[1]\n" },
    { "[nul][1]", "!JSON parse error, invalid keyword 'nul'\n[1]\n" },
    { "[1e999][1]", "!JSON parse error, number out of range\n[1]\n" },
    { "[\"\\ud800\"][1]", "!JSON parse error, \\ud800 is not a valid Unicode character\n[1]\n" },
    { "[\"\\ud800\\n\"][1]", "!JSON parse error, \\ud800 is not a valid Unicode character\n[1]\n" },
    { "[\"\\ud800\\ud800\"][1]",
      "!JSON parse error, \\ud800 is not a valid Unicode character\n[1]\n" },
    { "[\"\\udc00\"][1]", "!JSON parse error, \\udc00 is not a valid Unicode character\n[1]\n" },
    { "[\"\xc0\x80\"][1]", "!JSON parse error, invalid UTF-8 sequence in string\n[1]\n" },
    { "[\"\xed\xa0\x80\"][1]", "!JSON parse error, invalid UTF-8 sequence in string\n[1]\n" },
    { "[\"\xe0\x80\x80\"][1]", "!JSON parse error, invalid UTF-8 sequence in string\n[1]\n" },
    { "[\"\xf4\x90\x80\x80\"][1]", "!JSON parse error, invalid UTF-8 sequence in string\n[1]\n" },
    { "[\"\xc3\"][1]", "!JSON parse error, invalid UTF-8 sequence in string\n[1]\n" },
    /* bytes that are no JSON: on with the next bracket, or behind a newline or 0xff */
    { "@abc[1]", "!JSON parse error, stray '@'\n[1]\n" },
    { "@abc\n1 ", "!JSON parse error, stray '@'\n1\n" },
    { "\xff""1 ", "!JSON parse error, stray '\xff'\n1\n" },
    { "{\"a\":\"b\xff{}", "!JSON parse error, stray 'b\xff'\n{}\n" },
    { "[01][1]", "!JSON parse error, stray '01'\n!JSON parse error, expecting value\n[1]\n" },
    { "[1.][1]", "!JSON parse error, stray '1.]'\n[1]\n" },
    { "[-][1]", "!JSON parse error, stray '-]'\n[1]\n" },
    { "[\"\\x\"][1]", "!JSON parse error, stray 'x'\n!JSON parse error, expecting value\n[1]\n" },
    { "[\"a\nb\"][1]",
      "!JSON parse error, stray 'a\n'\n!JSON parse error, expecting value\n[1]\n" },
};

/* The result is the same wherever the stream is cut in two, and with every byte alone. */
static void test_cases(void)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++) {
        size_t size = strlen(cases[i].in);
        for (size_t cut = 0; cut <= size; cut++) {
            g_autofree char *out = read_all(cases[i].in, size, cut);
            g_assert_cmpstr(out, ==, cases[i].out);
        }
    }
}

static void test_byte_by_byte(void)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(GString) out = g_string_new(NULL);
        JvReader *reader = jv_reader_new();
        for (const char *p = cases[i].in; *p;) {
            g_autoptr(Jv) value = NULL;
            g_autoptr(GError) error = NULL;
            p += jv_reader_feed(reader, (const uint8_t *)p, 1, &value, &error);
            if (value) {
                jv_print(value, false, out);
                g_string_append_c(out, '\n');
            } else if (error) {
                g_string_append_printf(out, "!%s\n", error->message);
            }
        }
        g_assert_cmpstr(out->str, ==, cases[i].out);
        jv_reader_free(reader);
    }
}

static void test_numbers(void)
{
    g_autoptr(Jv) big = jv_uint(UINT64_MAX), small = jv_uint(5), negative = jv_int(-1);
    g_autoptr(Jv) half = jv_double(0.5);
    int64_t integer;
    uint64_t natural;
    double real;

    g_assert_true(jv_get_uint(big, &natural) && natural == UINT64_MAX);
    g_assert_false(jv_get_int(big, &integer));
    g_assert_true(jv_type(small) == JV_INT && jv_get_int(small, &integer) && integer == 5);
    g_assert_false(jv_get_uint(negative, &natural));
    g_assert_false(jv_get_int(half, &integer) || jv_get_uint(half, &natural));
    g_assert_true(jv_get_double(big, &real) && real > 1.8e19);
}

static void test_pretty(void)
{
    g_autoptr(GString) out = g_string_new(NULL);
    g_autoptr(Jv) value = jv_object();

    jv_set(value, "a", jv_append(jv_array(), jv_int(1)));
    jv_set(value, "b", jv_object());
    jv_print(value, true, out);
    g_assert_cmpstr(out->str, ==, "{\n    \"a\": [\n        1\n    ],\n    \"b\": {}\n}");
}

/* File names of the host need not be UTF-8. */
static void test_print_any_bytes(void)
{
    g_autoptr(GString) out = g_string_new(NULL);
    g_autoptr(Jv) value = jv_string("a\xff\xc3z\xe2\x82\xac\xe2\x82");

    jv_print(value, false, out);
    g_assert_cmpstr(out->str, ==, "\"a\\uFFFD\\uFFFDz\\u20AC\\uFFFD\\uFFFD\"");
}

static void test_many_members(void)
{
    g_autoptr(Jv) object = jv_object(), copy = NULL;
    int64_t value;

    for (int i = 0; i < 1000; i++) {
        g_autofree char *key = g_strdup_printf("key%d", i);
        jv_set_int(object, key, i);
    }
    copy = jv_copy(object);
    g_assert_cmpuint(jv_length(copy), ==, 1000);
    for (int i = 0; i < 1000; i++) {
        g_autofree char *key = g_strdup_printf("key%d", i);
        g_assert_cmpstr(jv_key_at(copy, i), ==, key);
        g_assert_true(jv_get_int(jv_member(copy, key), &value) && value == i);
    }
    g_assert_null(jv_member(copy, "key1000"));
}

/* ---- Hostile input ---- */

/* Feeds @unit @count times and returns the first message; the rest goes through as well. */
static char *first_mistake(const char *unit, unsigned count)
{
    JvReader *reader = jv_reader_new();
    char *first = NULL;

    for (unsigned i = 0; i < count; i++) {
        const uint8_t *p = (const uint8_t *)unit;
        for (size_t left = strlen(unit); left;) {
            g_autoptr(Jv) value = NULL;
            g_autoptr(GError) error = NULL;
            size_t used = jv_reader_feed(reader, p, left, &value, &error);
            p += used;
            left -= used;
            if (error && !first) {
                first = g_strdup(error->message);
            }
        }
    }
    jv_reader_free(reader);
    return first;
}

static void test_depth(void)
{
    g_autofree char *fits = g_strnfill(JV_MAX_DEPTH, '[');
    g_autofree char *too_deep = first_mistake("{\"a\":[", 100000);

    g_assert_null(first_mistake(fits, 1));
    g_assert_cmpstr(too_deep, ==, "JSON nesting depth limit exceeded");
}

static void test_huge(void)
{
    g_autofree char *block = g_strnfill(1 << 20, 'x');
    g_autofree char *string = g_strconcat("\"", block, NULL);
    g_autofree char *blanks = g_strnfill(1 << 20, ' ');
    JvReader *reader = jv_reader_new();
    g_autoptr(GError) error = NULL;
    Jv *value = NULL;
    unsigned megabytes = 0;

    jv_reader_feed(reader, (const uint8_t *)string, 1, &value, &error);
    while (!error && megabytes < 64) {
        jv_reader_feed(reader, (const uint8_t *)block, 1 << 20, &value, &error);
        megabytes++;
    }
    g_assert_cmpstr(error ? error->message : "", ==, "JSON token size limit exceeded");
    g_assert_cmpuint(megabytes, <=, JV_MAX_MESSAGE / (1 << 20) + 1);
    jv_reader_free(reader);
    g_assert_null(first_mistake(blanks, 20)); /* blanks between messages are no message */
}

static void test_many_values(void)
{
    g_autofree char *text = NULL, *mistake = NULL;
    GString *values = g_string_new("[");

    for (unsigned i = 0; i < JV_MAX_VALUES; i++) {
        g_string_append(values, "1,");
    }
    text = g_string_free(values, FALSE);
    mistake = first_mistake(text, 1);
    g_assert_cmpstr(mistake, ==, "JSON token count limit exceeded");
}

/* Random bytes of JSON's alphabet: whatever comes, the reader is in step behind "\xff". */
static void test_garbage(void)
{
    static const char alphabet[] = "{}[]:,\"'\\u0123.eE+-tfnalse \n@\x01\xc3\xa9\xff";

    for (unsigned round = 0; round < 2000; round++) {
        g_autoptr(GString) text = g_string_new(NULL);
        for (int i = g_test_rand_int_range(0, 200); i > 0; i--) {
            g_string_append_c(text, alphabet[g_test_rand_int_range(0, sizeof(alphabet) - 1)]);
        }
        g_string_append(text, "\xff{\"in\":\"step\"}");
        g_autofree char *out = read_all(text->str, text->len, text->len / 2);
        g_assert_true(g_str_has_suffix(out, "{\"in\": \"step\"}\n"));
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/monitor/jv/cases", test_cases);
    g_test_add_func("/monitor/jv/byte-by-byte", test_byte_by_byte);
    g_test_add_func("/monitor/jv/numbers", test_numbers);
    g_test_add_func("/monitor/jv/pretty", test_pretty);
    g_test_add_func("/monitor/jv/print-any-bytes", test_print_any_bytes);
    g_test_add_func("/monitor/jv/many-members", test_many_members);
    g_test_add_func("/monitor/jv/depth", test_depth);
    g_test_add_func("/monitor/jv/huge", test_huge);
    g_test_add_func("/monitor/jv/many-values", test_many_values);
    g_test_add_func("/monitor/jv/garbage", test_garbage);
    return g_test_run();
}
