/* SPDX-License-Identifier: GPL-2.0-or-later */
/* State tables: what is saved comes back, and a hostile stream is refused, field by field. */
#include <string.h>

#include "migration/state.h"
#include "util/lock.h"
#include "util/timer.h"

typedef struct Part {
    uint8_t a;
    uint32_t b;
} Part;

typedef struct Chip {
    uint8_t byte;
    uint16_t words[3];
    uint64_t quad;
    bool flag;
    uint8_t fifo[5];
    Part one, many[2];
    Timer *timer;
    unsigned not_saved;
} Chip;

static const StateField part_fields[] = {
    STATE_UINT_FIELD(Part, a), STATE_UINT_FIELD(Part, b), STATE_END
};
static const StateTable part_table = { .name = "part", .version = 1, .fields = part_fields };

static const StateField chip_fields[] = {
    STATE_UINT_FIELD(Chip, byte),
    STATE_UINT_ARRAY(Chip, words),
    STATE_UINT_FIELD(Chip, quad),
    STATE_BOOL_FIELD(Chip, flag),
    STATE_BYTES_FIELD(Chip, fifo),
    STATE_STRUCT_FIELD(Chip, one, part_table),
    STATE_STRUCT_ARRAY(Chip, many, part_table),
    STATE_TIMER_FIELD(Chip, timer),
    STATE_END,
};

static void count_save(void *object)
{
    ((Chip *)object)->not_saved++;
}

static bool refuse_13(void *object, int version, GError **error)
{
    if (((Chip *)object)->byte == 13) {
        g_set_error(error, G_FILE_ERROR, 0, "13 brings bad luck");
        return false;
    }
    return true;
}

static const StateTable chip_table = {
    .name = "chip", .version = 3, .minimum_version = 2, .fields = chip_fields,
    .pre_save = count_save, .post_load = refuse_13,
};

static void nothing(void *opaque)
{
}

static const Chip sample = { 1, { 2, 3, 0xffff }, UINT64_MAX, true, "abcd", { 5, 6 },
                             { { 7, 8 }, { 9, UINT32_MAX } }, NULL, 0 };

static Chip chip_make(void)
{
    Chip chip = sample;

    chip.timer = timer_new(CLOCK_VM, nothing, NULL);
    return chip;
}

static void assert_equal(const Chip *a, const Chip *b)
{
    g_assert_cmpint(timer_expire_ns(a->timer), ==, timer_expire_ns(b->timer));
    g_assert_cmpmem(a->words, sizeof(a->words), b->words, sizeof(b->words));
    g_assert_cmpmem(a->fifo, sizeof(a->fifo), b->fifo, sizeof(b->fifo));
    g_assert_true(a->byte == b->byte && a->quad == b->quad && a->flag == b->flag);
    g_assert_true(a->one.a == b->one.a && a->one.b == b->one.b);
    for (int i = 0; i < 2; i++) {
        g_assert_true(a->many[i].a == b->many[i].a && a->many[i].b == b->many[i].b);
    }
}

static void test_round_trip(void)
{
    Chip from = chip_make(), to = { .timer = timer_new(CLOCK_VM, nothing, NULL) };
    g_autoptr(GError) error = NULL;

    timer_mod(from.timer, clock_ns(CLOCK_VM) + NS_PER_SECOND * 1000);
    g_autoptr(GVariant) saved = g_variant_ref_sink(state_save(&chip_table, &from));
    g_assert_cmpuint(from.not_saved, ==, 1);
    /* Through bytes, as a stream would carry it. */
    g_autoptr(GBytes) bytes = g_variant_get_data_as_bytes(saved);
    g_autoptr(GVariant) read = g_variant_ref_sink(
        g_variant_new_from_bytes(G_VARIANT_TYPE_VARDICT, bytes, FALSE));
    g_assert_true(state_load(&chip_table, &to, read, &error));
    assert_equal(&from, &to);
    timer_del(from.timer);
    g_autoptr(GVariant) again = g_variant_ref_sink(state_save(&chip_table, &from));
    g_assert_true(state_load(&chip_table, &to, again, &error));
    g_assert_false(timer_pending(to.timer));
    timer_free(from.timer);
    timer_free(to.timer);
}

/* The saved sample with @key replaced by @value (NULL: left out). */
static GVariant *with(const char *key, GVariant *value)
{
    Chip chip = chip_make();
    GVariantDict dict;
    g_autoptr(GVariant) saved = g_variant_ref_sink(state_save(&chip_table, &chip));

    timer_free(chip.timer);
    g_variant_dict_init(&dict, saved);
    g_variant_dict_remove(&dict, key);
    if (value) {
        g_variant_dict_insert_value(&dict, key, value);
    }
    return g_variant_ref_sink(g_variant_dict_end(&dict));
}

static void assert_refused(const char *key, GVariant *value, const char *what)
{
    Chip chip = chip_make();
    g_autoptr(GError) error = NULL;
    g_autoptr(GVariant) state = with(key, value);

    g_assert_false(state_load(&chip_table, &chip, state, &error));
    if (!strstr(error->message, what)) {
        g_error("'%s' does not say '%s'", error->message, what);
    }
    timer_free(chip.timer);
}

static void test_hostile(void)
{
    assert_refused("quad", NULL, "'quad' is missing");
    assert_refused("quad", g_variant_new_string("x"), "'quad' has another type");
    assert_refused("byte", g_variant_new_uint64(256), "'byte' is too large");
    assert_refused("byte", g_variant_new_uint64(13), "bad luck");
    assert_refused("fifo", g_variant_new_fixed_array(G_VARIANT_TYPE_BYTE, "abcdefgh", 8, 1),
                   "'fifo' has another length");
    assert_refused("words", g_variant_new_parsed("[@t 1, 2]"), "'words' has another length");
    assert_refused("words", g_variant_new_parsed("[@t 1, 2, 65536]"), "'words' is too large");
    assert_refused("many", g_variant_new_parsed("@aa{sv} [{}, {}]"), "'part'");
    assert_refused("surprise", g_variant_new_uint64(1), "'surprise' is not known");
    assert_refused("version", g_variant_new_int32(4), "'version' is not supported");
    assert_refused("version", g_variant_new_int32(1), "'version' is not supported");
    assert_refused("version", NULL, "'version' is missing");
}

/* Random damage to the bytes: refused or loaded, never a crash or a write out of bounds (ASan). */
static void test_damaged(void)
{
    Chip from = chip_make(), to = chip_make();
    g_autoptr(GVariant) saved = g_variant_ref_sink(state_save(&chip_table, &from));
    gsize size = g_variant_get_size(saved);

    for (int round = 0; round < 2000; round++) {
        uint8_t *copy = g_memdup2(g_variant_get_data(saved), size);
        for (int hit = g_test_rand_int_range(1, 5); hit; hit--) {
            copy[g_test_rand_int_range(0, size)] = g_test_rand_int();
        }
        g_autoptr(GBytes) bytes = g_bytes_new_take(copy, g_test_rand_bit() ? size : size / 2);
        g_autoptr(GVariant) state = g_variant_ref_sink(
            g_variant_new_from_bytes(G_VARIANT_TYPE_VARDICT, bytes, FALSE));
        state_load(&chip_table, &to, state, NULL);
        g_assert_cmpuint(to.not_saved, ==, 0);
    }
    timer_free(from.timer);
    timer_free(to.timer);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    machine_lock();
    g_test_add_func("/state/round-trip", test_round_trip);
    g_test_add_func("/state/hostile", test_hostile);
    g_test_add_func("/state/damaged", test_damaged);
    return g_test_run();
}
