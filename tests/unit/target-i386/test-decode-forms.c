/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is kept of decoded forms against Zydis itself: not a bit may differ. */
#include <string.h>

#include "target-i386/interp/decode-forms.h"

#define ROUNDS 400000u

static const struct {
    ZydisMachineMode mode;
    ZydisStackWidth width;
} modes[] = {
    {ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64},
    {ZYDIS_MACHINE_MODE_LEGACY_32, ZYDIS_STACK_WIDTH_32},
    {ZYDIS_MACHINE_MODE_LEGACY_16, ZYDIS_STACK_WIDTH_16},
};

/* Beginnings of instructions, so that random bytes meet all maps and encodings. */
static const char *const begins[] = {
    "", "\x0f", "\x0f\x38", "\x0f\x3a", "\x48", "\x48\x0f", "\x66", "\x66\x0f", "\xf3\x0f",
    "\xf2\x0f", "\x67", "\x66\x48", "\x65\x48", "\xc4", "\xc5", "\x62", "\xf0", "\x41",
    "\x66\x0f\x38", "\x66\x67", "\x40", "\x8f", "\x0f\x0f",
};

static void random_bytes(GRand *random, uint8_t *bytes, unsigned from)
{
    for (unsigned i = from; i < 15; i++) {
        bytes[i] = g_rand_int(random);
    }
}

/* True if @bytes decode alike in both ways. */
static bool alike(DecodeForms *forms, const ZydisDecoder *decoder, unsigned slot,
                  const uint8_t *bytes, unsigned size)
{
    const ZydisDecodedInstruction *kept;
    const ZydisDecodedOperand *kept_ops;
    ZydisDecodedInstruction zi;
    ZydisDecodedOperand ops[ZYDIS_MAX_OPERAND_COUNT];
    ZyanStatus status, direct;

    memset(&zi, 0, sizeof(zi));
    memset(ops, 0, sizeof(ops));
    status = decode_forms_read(forms, decoder, slot, bytes, size, &kept, &kept_ops);
    direct = ZydisDecoderDecodeFull(decoder, bytes, size, &zi, ops);
    if (status != direct || !ZYAN_SUCCESS(direct)) {
        return status == direct;
    }
    return !memcmp(kept, &zi, sizeof(zi)) &&
           !memcmp(kept_ops, ops, zi.operand_count * sizeof(ops[0]));
}

static void fail_at(const uint8_t *bytes, unsigned size)
{
    g_autoptr(GString) text = g_string_new(NULL);

    for (unsigned i = 0; i < size; i++) {
        g_string_append_printf(text, " %02x", bytes[i]);
    }
    g_test_message("differs:%s", text->str);
    g_test_fail();
}

/* Each random instruction, and others that begin alike, so that forms are met again. */
static void test_random(void)
{
    DecodeForms *forms = decode_forms_new();
    GRand *random = g_rand_new_with_seed(20);

    for (unsigned round = 0; round < ROUNDS && !g_test_failed(); round++) {
        unsigned slot = g_rand_int_range(random, 0, G_N_ELEMENTS(modes));
        const char *begin = begins[g_rand_int_range(random, 0, G_N_ELEMENTS(begins))];
        unsigned length = strlen(begin);
        ZydisDecoder decoder;
        uint8_t bytes[15];

        ZydisDecoderInit(&decoder, modes[slot].mode, modes[slot].width);
        memcpy(bytes, begin, length);
        random_bytes(random, bytes, length);
        for (unsigned again = 0; again < 6; again++) {
            unsigned size = again == 5 ? g_rand_int_range(random, 1, 16) : sizeof(bytes);

            if (!alike(forms, &decoder, slot, bytes, size)) {
                fail_at(bytes, size);
            }
            random_bytes(random, bytes, length + 1 + again);
        }
    }
    g_rand_free(random);
    decode_forms_free(forms);
}

/* Immediates and displacements of all kinds, at their ends. */
static void test_numbers(void)
{
    static const char *const heads[] = {
        "\x48\x81\xc0", "\x48\x83\xc0", "\x05", "\xb8", "\x48\xb8", "\x66\xb8", "\x68", "\x6a",
        "\xe8", "\xeb", "\x0f\x84", "\x48\xc7\x45", "\xc7\x80", "\xc6\x44\x24", "\x48\x8d\x05",
        "\xc8", "\xc2", "\xcd", "\xa1", "\x48\xa3", "\xd1\xe0", "\xc1\xe0", "\x0f\xba\xe0",
        "\x69\xc0", "\x6b\xc0", "\x66\x0f\x70\xc0", "\xe4", "\x9a", "\xea", "\x67\xa1",
        "\x67\x8b\x06", "\x66\x81\x80", "\x8b\x04\x25", "\x8b\x05",
    };
    static const uint8_t ends[][8] = {
        {0}, {1}, {0x7f}, {0x80}, {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff},
        {0, 0, 0, 0x80}, {0xff, 0xff, 0xff, 0x7f}, {0, 0x80}, {1, 2, 3, 4, 5, 6, 7, 8},
    };
    DecodeForms *forms = decode_forms_new();

    for (unsigned i = 0; i < G_N_ELEMENTS(heads) * G_N_ELEMENTS(modes); i++) {
        const char *head = heads[i / G_N_ELEMENTS(modes)];
        unsigned slot = i % G_N_ELEMENTS(modes);
        ZydisDecoder decoder;

        ZydisDecoderInit(&decoder, modes[slot].mode, modes[slot].width);
        for (unsigned end = 0; end < G_N_ELEMENTS(ends); end++) {
            uint8_t bytes[15] = {0};

            memcpy(bytes, head, strlen(head));
            memcpy(bytes + strlen(head), ends[end], 8);
            if (!alike(forms, &decoder, slot, bytes, sizeof(bytes))) {
                fail_at(bytes, sizeof(bytes));
            }
        }
    }
    decode_forms_free(forms);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/decode-forms/random", test_random);
    g_test_add_func("/decode-forms/numbers", test_numbers);
    return g_test_run();
}
