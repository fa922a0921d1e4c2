/* SPDX-License-Identifier: GPL-2.0-or-later */
/* SMBIOS structures walked by the rules of DSP0134: lengths, string sets, handles, counts. */
#include <string.h>

#include "hw/i386/smbios.h"

typedef struct {
    const uint8_t *at;      /* of the structure */
    const char *strings[16];
    unsigned string_count;
} Structure;

/* Reads the structure at @at and returns where the next one starts. */
static const uint8_t *parse(const uint8_t *at, const uint8_t *end, Structure *structure)
{
    g_assert_true(end - at >= 4 && at[1] >= 4 && at + at[1] + 2 <= end);
    structure->at = at;
    structure->string_count = 0;
    at += at[1];
    if (at[0] == 0) {
        g_assert_cmpuint(at[1], ==, 0);
        return at + 2;
    }
    while (*at) {
        gsize length = strnlen((const char *)at, end - at);
        g_assert_true(at + length < end);
        g_assert_cmpuint(structure->string_count, <, 16);
        structure->strings[structure->string_count++] = (const char *)at;
        at += length + 1;
    }
    return at + 1;
}

static const char *string_of(const Structure *structure, unsigned offset)
{
    unsigned n = structure->at[offset];
    g_assert_cmpuint(n, <=, structure->string_count);
    return n ? structure->strings[n - 1] : NULL;
}

static unsigned get16(const uint8_t *p)
{
    return p[0] | p[1] << 8;
}

static uint32_t get32(const uint8_t *p)
{
    return get16(p) | (uint32_t)get16(p + 2) << 16;
}

/* Finds the @nth structure of @type; checks all on the way. */
static bool find(GBytes *tables, unsigned type, unsigned nth, Structure *found)
{
    gsize size;
    const uint8_t *at = g_bytes_get_data(tables, &size), *end = at + size;

    while (at < end) {
        at = parse(at, end, found);
        if (found->at[0] == type && nth-- == 0) {
            return true;
        }
    }
    return false;
}

static const SmbiosInput base_input = {
    .manufacturer = "Tessera", .product = "PC", .version = "pc", .serial = "42",
    .uuid = { 0x00, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd,
              0xee, 0xff },
    .sockets = 2, .cores_per_socket = 4, .threads_per_socket = 8,
    .ram_below_4g = 3ull << 30, .ram_above_4g = 37ull << 30,
};

static void test_structures(void)
{
    GBytes *tables, *anchor;
    Structure s;

    smbios_build(&base_input, &tables, &anchor);
    g_assert_false(find(tables, 0, 0, &s)); /* firmware's */
    g_assert_true(find(tables, 1, 0, &s));
    g_assert_cmpuint(s.at[1], ==, 27);
    g_assert_cmpstr(string_of(&s, 4), ==, "Tessera");
    g_assert_cmpstr(string_of(&s, 5), ==, "PC");
    g_assert_cmpstr(string_of(&s, 7), ==, "42");
    /* 33221100-5544-7766-8899-aabbccddeeff when its first fields are read as little-endian. */
    g_assert_cmphex(get32(s.at + 8), ==, 0x00112233);
    g_assert_cmphex(get16(s.at + 12), ==, 0x4455);
    g_assert_cmphex(s.at[16], ==, 0x88);
    g_assert_true(find(tables, 4, 1, &s));
    g_assert_cmpuint(s.at[1], ==, 42);
    g_assert_cmpstr(string_of(&s, 4), ==, "CPU 1");
    g_assert_cmpuint(s.at[35], ==, 4);
    g_assert_cmpuint(s.at[37], ==, 8);
    g_assert_false(find(tables, 4, 2, &s));
    g_assert_true(find(tables, 3, 0, &s));
    g_assert_cmpuint(s.at[1], ==, 22);
    g_assert_true(find(tables, 32, 0, &s));
    g_assert_cmpuint(s.at[1], ==, 11);
    g_assert_true(find(tables, 127, 0, &s));
    g_bytes_unref(tables);
    g_bytes_unref(anchor);
}

static void test_memory(void)
{
    GBytes *tables, *anchor;
    Structure s;
    uint64_t mib = 0;

    smbios_build(&base_input, &tables, &anchor);
    g_assert_true(find(tables, 16, 0, &s));
    g_assert_cmpuint(s.at[1], ==, 23);
    g_assert_cmpuint(get32(s.at + 7), ==, 40u << 20);
    g_assert_cmpuint(get16(s.at + 13), ==, 3);
    for (unsigned n = 0; find(tables, 17, n, &s); n++) {
        g_assert_cmpuint(s.at[1], ==, 40);
        mib += get16(s.at + 12);
    }
    g_assert_cmpuint(mib, ==, 40 * 1024);
    g_assert_true(find(tables, 19, 1, &s));
    g_assert_cmpuint(s.at[1], ==, 31);
    g_assert_cmphex(get32(s.at + 4), ==, 4u << 20);
    g_assert_cmphex(get32(s.at + 8), ==, (41u << 20) - 1);
    g_bytes_unref(tables);
    g_bytes_unref(anchor);
}

static void test_anchor(void)
{
    GBytes *tables, *anchor;
    gsize size;
    Structure s;
    unsigned count = 0, largest = 0;

    smbios_build(&base_input, &tables, &anchor);
    const uint8_t *entry = g_bytes_get_data(anchor, &size);
    g_assert_cmpuint(size, ==, 31);
    g_assert_cmpmem(entry, 4, "_SM_", 4);
    g_assert_cmpmem(entry + 16, 5, "_DMI_", 5);
    const uint8_t *at = g_bytes_get_data(tables, &size), *end = at + size;
    while (at < end) {
        const uint8_t *next = parse(at, end, &s);
        largest = MAX(largest, next - at);
        count++;
        at = next;
    }
    g_assert_cmpuint(get16(entry + 22), ==, size);
    g_assert_cmpuint(get16(entry + 28), ==, count);
    g_assert_cmpuint(get16(entry + 8), ==, largest);
    g_bytes_unref(tables);
    g_bytes_unref(anchor);
}

static void test_bios(void)
{
    SmbiosInput input = base_input;
    GBytes *tables, *anchor;
    Structure s;

    input.has_bios = true;
    input.bios_vendor = "Someone";
    input.bios_release = "3.7";
    input.uefi = true;
    smbios_build(&input, &tables, &anchor);
    g_assert_true(find(tables, 0, 0, &s));
    g_assert_cmpuint(s.at[1], ==, 24);
    g_assert_cmpstr(string_of(&s, 4), ==, "Someone");
    g_assert_cmphex(s.at[19], ==, 0x18);
    g_assert_cmpuint(s.at[20], ==, 3);
    g_assert_cmpuint(s.at[21], ==, 7);
    g_bytes_unref(tables);
    g_bytes_unref(anchor);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/smbios/structures", test_structures);
    g_test_add_func("/smbios/memory", test_memory);
    g_test_add_func("/smbios/anchor", test_anchor);
    g_test_add_func("/smbios/bios", test_bios);
    return g_test_run();
}
