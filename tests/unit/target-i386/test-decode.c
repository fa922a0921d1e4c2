/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Decoding by a decoder that has seen much, against one that has seen nothing: what is kept of
 * instructions that begin alike changes no bit of what they decode to.
 */
#include <string.h>

#include "memory/memory.h"
#include "target-i386/cpu.h"
#include "target-i386/interp/decode.h"
#include "target-i386/interp/interp.h"

typedef struct Rig {
    MemorySpace *memory;
    PortSpace *ports;
    X86CPU *cpu;
    Decoder *seasoned;
} Rig;

static void rig_init(Rig *rig, gconstpointer data)
{
    rig->memory = memory_space_new();
    rig->ports = port_space_new();
    rig->cpu = cpu_new_bare(rig->memory, rig->ports);
    memset(rig->cpu->features, 0xff, sizeof(rig->cpu->features));
    rig->cpu->cr0 |= CR0_PE;
    rig->seasoned = decoder_new(rig->cpu);
}

static void rig_clear(Rig *rig, gconstpointer data)
{
    decoder_free(rig->seasoned);
    cpu_free_bare(rig->cpu);
    port_space_free(rig->ports);
    memory_space_free(rig->memory);
}

static void check(Rig *rig, unsigned code_size, const uint8_t *bytes, unsigned size)
{
    Decoder *fresh = decoder_new(rig->cpu);
    Insn kept, direct;
    DecodeResult result;

    rig->cpu->code_size = code_size;
    result = decode_insn(rig->seasoned, rig->cpu, bytes, size, &kept);
    g_assert_cmpint(decode_insn(fresh, rig->cpu, bytes, size, &direct), ==, result);
    if (result == DECODE_OK) {
        g_assert_cmpmem(&kept, sizeof(kept), &direct, sizeof(direct));
    }
    decoder_free(fresh);
}

static const unsigned code_sizes[] = {64, 32, 16};

/* Numbers of all sizes, at their ends, behind whatever is kept without them. */
static void test_numbers(Rig *rig, gconstpointer data)
{
    static const char *const heads[] = {
        "\x48\x81\xc0", "\x48\x83\xc0", "\x05", "\xb8", "\x48\xb8", "\x66\xb8", "\x68", "\x6a",
        "\xe8", "\xeb", "\x0f\x84", "\x74", "\x48\xc7\x45", "\xc7\x80", "\xc6\x44\x24",
        "\x48\x8d\x05", "\x8d\x44\x8b", "\xc8", "\xc2", "\xc3", "\xcd", "\xa1", "\x48\xa3",
        "\xd1\xe0", "\xc1\xe0", "\xd3\xe0", "\xc1\x65", "\x0f\xba\xe0", "\x0f\xba\x60",
        "\x0f\xa4\xc3", "\x0f\xa5\xc3", "\x69\xc0", "\x6b\xc0", "\x6b\x05", "\x66\x0f\x70\xc0",
        "\xe4", "\x9a", "\xea", "\xff\x25", "\xff\x2d", "\x67\xa1", "\x67\x8b\x06",
        "\x66\x81\x80", "\x8b\x04\x25", "\x8b\x05", "\x88\x25", "\xb4", "\xf6\xc4", "\xf6\x05",
        "\xf7\x75", "\x0f\xb6\x45", "\x0f\x95\x45", "\x0f\x45\x45", "\x0f\x1f\x84", "\xff\x75",
        "\x8f\x45", "\x66\x68", "\x66\xe8", "\x66\x75", "\xf0\x83\x45", "\x65\x48\x8b\x05",
        "\x64\x8b\x05", "\x67\x8b\x05", "\x8e\x5d", "\x0f\x20\xc0", "\xf3\x0f\xb8\x45",
    };
    static const uint8_t ends[][8] = {
        {0}, {1}, {0x7f}, {0x80}, {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff},
        {0, 0, 0, 0x80}, {0xff, 0xff, 0xff, 0x7f}, {0, 0x80}, {1, 2, 3, 4, 5, 6, 7, 8},
    };

    for (unsigned i = 0; i < G_N_ELEMENTS(heads) * G_N_ELEMENTS(code_sizes); i++) {
        const char *head = heads[i / G_N_ELEMENTS(code_sizes)];

        for (unsigned end = 0; end < G_N_ELEMENTS(ends); end++) {
            uint8_t bytes[15] = {0};

            memcpy(bytes, head, strlen(head));
            memcpy(bytes + strlen(head), ends[end], 8);
            check(rig, code_sizes[i % G_N_ELEMENTS(code_sizes)], bytes, sizeof(bytes));
        }
    }
}

/* Random instructions, and others that begin alike; also with too few bytes. */
static void test_random(Rig *rig, gconstpointer data)
{
    GRand *random = g_rand_new_with_seed(20);

    for (unsigned round = 0; round < 4000; round++) {
        unsigned code_size = code_sizes[round % G_N_ELEMENTS(code_sizes)];
        uint8_t bytes[15];

        for (unsigned i = 0; i < sizeof(bytes); i++) {
            bytes[i] = g_rand_int(random);
        }
        for (unsigned again = 0; again < 5; again++) {
            check(rig, code_size, bytes,
                  again == 4 ? g_rand_int_range(random, 1, 16) : sizeof(bytes));
            for (unsigned i = 2 + again; i < sizeof(bytes); i++) {
                bytes[i] = g_rand_int(random);
            }
        }
    }
    g_rand_free(random);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add("/decode/numbers", Rig, NULL, rig_init, test_numbers, rig_clear);
    g_test_add("/decode/random", Rig, NULL, rig_init, test_random, rig_clear);
    return g_test_run();
}
