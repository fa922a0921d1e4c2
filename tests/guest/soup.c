/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Memory full of what looks like code. Lengths are right for 32- and 64-bit addresses. */
#include "soup.h"

typedef struct Pot {
    uint64_t *state;
    uint8_t bytes[40]; /* of the instruction that is being written */
    unsigned size;
} Pot;

uint64_t soup_random(uint64_t *state)
{
    uint64_t x = *state + !*state; /* xorshift64: never zero */

    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    *state = x;
    return x;
}

uint32_t soup_below(uint64_t *state, uint32_t limit)
{
    return (uint32_t)((soup_random(state) >> 32) * limit >> 32);
}

static unsigned roll(Pot *pot, unsigned limit)
{
    return soup_below(pot->state, limit);
}

static void put(Pot *pot, unsigned byte)
{
    if (pot->size < sizeof(pot->bytes)) {
        pot->bytes[pot->size++] = (uint8_t)byte;
    }
}

static void put_random(Pot *pot, unsigned n)
{
    while (n--) {
        put(pot, roll(pot, 256));
    }
}

/* A number of @size bytes that is mostly near zero, either side. */
static void put_small(Pot *pot, unsigned size, unsigned range)
{
    uint32_t value = roll(pot, 2 * range) - range;

    if (!roll(pot, 16)) {
        put_random(pot, size);
        return;
    }
    for (unsigned i = 0; i < size; i++) {
        put(pot, value >> 8 * i & 0xff);
    }
}

/* ModRM with @reg, or any if that is above 7; SIB and displacement as they must follow. */
static void put_modrm(Pot *pot, unsigned reg)
{
    unsigned mod = roll(pot, 4), rm = roll(pot, 8), base = rm;

    put(pot, mod << 6 | (reg > 7 ? roll(pot, 8) : reg) << 3 | rm);
    if (mod == 3) {
        return;
    }
    if (rm == 4) {
        base = roll(pot, 8);
        put(pot, roll(pot, 32) << 3 | base);
    }
    if (mod == 1) {
        put_small(pot, 1, 128);
    } else if (mod == 2 || base == 5) {
        put_small(pot, 4, 4096);
    }
}

static void put_prefix(Pot *pot)
{
    static const uint8_t prefixes[] = {0x66, 0x67, 0xf2, 0xf3, 0xf0, 0x2e, 0x36, 0x64, 0x65};

    put(pot, prefixes[roll(pot, sizeof(prefixes))]);
}

static void put_rex(Pot *pot)
{
    put(pot, 0x40 | roll(pot, 16));
}

/* --- kinds of instructions ------------------------------------------------------------------- */

static void arithmetic(Pot *pot)
{
    unsigned form = roll(pot, 8);

    if (form < 6) {
        put(pot, roll(pot, 8) << 3 | form);
        if (form < 4) {
            put_modrm(pot, 8);
        } else {
            put_random(pot, form == 4 ? 1 : 4);
        }
    } else if (form == 6) {
        put(pot, 0x83);
        put_modrm(pot, 8);
        put_random(pot, 1);
    } else {
        put(pot, 0xf6 | roll(pot, 2)); /* TEST, NOT, NEG, MUL, DIV */
        put_modrm(pot, 2 + roll(pot, 6));
    }
}

static void move(Pot *pot)
{
    if (roll(pot, 4)) {
        put(pot, 0x88 + roll(pot, 4));
        put_modrm(pot, 8);
    } else if (roll(pot, 2)) {
        put(pot, 0xc7);
        put_modrm(pot, 0);
        put_random(pot, 4);
    } else {
        put(pot, 0xb8 + roll(pot, 8));
        put_small(pot, 4, 0x100000);
    }
}

static void stack(Pot *pot)
{
    static const uint8_t others[] = {0x9c, 0x9d, 0x6a, 0xc9, 0x60, 0x61, 0x06, 0x07, 0x1e, 0x1f};

    if (roll(pot, 4)) {
        put(pot, 0x50 + roll(pot, 16));
    } else {
        put(pot, others[roll(pot, sizeof(others))]);
    }
}

static void branch(Pot *pot)
{
    switch (roll(pot, 5)) {
    case 0:
        put(pot, 0xe0 + roll(pot, 4)); /* LOOP and its kin */
        put_small(pot, 1, 40);
        break;
    case 1:
        put(pot, 0x0f);
        put(pot, 0x80 + roll(pot, 16));
        put_small(pot, 4, 3000);
        break;
    case 2:
        put(pot, 0xe8 + roll(pot, 2));
        put_small(pot, 4, 3000);
        break;
    case 3:
        put(pot, 0xeb);
        put_small(pot, 1, 100);
        break;
    default:
        put(pot, 0x70 + roll(pot, 16));
        put_small(pot, 1, 100);
        break;
    }
}

/* Where to is in a register or in memory: mostly nowhere. */
static void leave(Pot *pot)
{
    static const uint8_t returns[] = {0xc3, 0xc3, 0xc3, 0xcb, 0xcf, 0xcc, 0xf1, 0xce};

    if (roll(pot, 2)) {
        put(pot, returns[roll(pot, sizeof(returns))]);
    } else {
        put(pot, 0xff);
        put_modrm(pot, 8);
    }
}

static void shift(Pot *pot)
{
    unsigned opcode = roll(pot, 2) ? 0xc0 : 0xd0;

    put(pot, opcode + roll(pot, opcode == 0xc0 ? 2 : 4));
    put_modrm(pot, 8);
    if (opcode == 0xc0) {
        put_random(pot, 1);
    }
}

static void two_bytes(Pot *pot)
{
    if (roll(pot, 3) == 0) {
        put_prefix(pot);
    }
    if (roll(pot, 3) == 0) {
        put_rex(pot);
    }
    put(pot, 0x0f);
    put(pot, roll(pot, 256));
    put_modrm(pot, 8);
}

static void three_bytes(Pot *pot)
{
    unsigned immediate = roll(pot, 2);

    put_prefix(pot);
    put(pot, 0x0f);
    put(pot, immediate ? 0x3a : 0x38);
    put(pot, roll(pot, 256));
    put_modrm(pot, 8);
    if (immediate) {
        put_random(pot, 1);
    }
}

/* VEX of two and three bytes, EVEX. */
static void vector(Pot *pot)
{
    switch (roll(pot, 3)) {
    case 0:
        put(pot, 0xc5);
        put_random(pot, 1);
        break;
    case 1:
        put(pot, 0xc4);
        put(pot, roll(pot, 8) << 5 | (1 + roll(pot, 3)));
        put_random(pot, 1);
        break;
    default:
        put(pot, 0x62);
        put(pot, roll(pot, 16) << 4 | (1 + roll(pot, 3)));
        put(pot, roll(pot, 256) | 4);
        put_random(pot, 1);
        break;
    }
    put(pot, roll(pot, 256));
    put_modrm(pot, 8);
}

static void x87(Pot *pot)
{
    put(pot, 0xd8 + roll(pot, 8));
    put_modrm(pot, 8);
}

static void string(Pot *pot)
{
    static const uint8_t opcodes[] = {0xa4, 0xa5, 0xa6, 0xa7, 0xaa, 0xab, 0xac,
                                      0xad, 0xae, 0xaf, 0x6c, 0x6e};

    if (roll(pot, 2)) {
        put(pot, 0xf2 + roll(pot, 2));
    }
    put(pot, opcodes[roll(pot, sizeof(opcodes))]);
}

static void locked(Pot *pot)
{
    static const uint8_t opcodes[] = {0xc0, 0xc1, 0xb0, 0xb1, 0xc7, 0xab, 0xb3, 0xbb};

    put(pot, 0xf0);
    if (roll(pot, 2)) {
        put_rex(pot);
    }
    if (roll(pot, 2)) {
        put(pot, 0x0f);
        put(pot, opcodes[roll(pot, sizeof(opcodes))]);
    } else {
        put(pot, roll(pot, 7) << 3 | roll(pot, 2));
    }
    put_modrm(pot, 8);
}

/* MOV to what follows: by RIP in 64-bit code. */
static void over_code(Pot *pot)
{
    put(pot, 0x88 + roll(pot, 2));
    put(pot, roll(pot, 8) << 3 | 5);
    put_small(pot, 4, 80);
}

static void privileged(Pot *pot)
{
    static const char *const texts[] = {
        "\xfa", "\xfb", "\xf4", "\x0f\x06", "\x0f\x08", "\x0f\x09", "\x0f\x0b", "\x0f\x30",
        "\x0f\x31", "\x0f\x32", "\x0f\x05", "\x0f\x07", "\x48\x0f\x07", "\x0f\x34", "\x0f\x35",
        "\x0f\xa2", "\x0f\xaa", "\x0f\x01\xf8", "\x0f\x01\xf9", "\x0f\x01\xca", "\x0f\x01\xcb",
        "\x0f\x01\xd0", "\x0f\x01\xd1", "\x0f\x01\xc1", "\x0f\x01\xc8", "\x0f\x01\xc9",
        "\x0f\x01\xee", "\x0f\x01\xef", "\xf3\x90", "\x48\xcf", "\x8e\xd0\x90", "\x8e\xd8",
        "\x8e\xe0", "\x8e\xe8", "\x8c\xd8", "\x9b", "\xd7", "\x9e", "\x9f", "\xfc", "\xfd", "\x37",
        "\xe6\x80", "\xec", "\xee", "\x0f\x77", "\x0f\x0e", "\x98", "\x99",
    };
    static const uint8_t opcodes[] = {0x00, 0x01, 0x02, 0x03, 0x20, 0x21, 0x22, 0x23, 0xae, 0xc7,
                                      0xb2, 0xb4, 0x1a, 0x1b, 0x0d, 0x18};
    unsigned n = roll(pot, ARRAY_SIZE(texts) + 20);

    if (n >= ARRAY_SIZE(texts)) {
        put(pot, 0x0f);
        put(pot, opcodes[roll(pot, sizeof(opcodes))]);
        put_modrm(pot, 8);
        return;
    }
    for (const char *p = texts[n]; *p; p++) {
        put(pot, (uint8_t)*p);
    }
}

static void any(Pot *pot)
{
    put(pot, roll(pot, 256));
    put_modrm(pot, 8);
}

static void noise(Pot *pot)
{
    put_random(pot, 1 + roll(pot, 8));
}

static void one_instruction(Pot *pot)
{
    static void (*const kinds[])(Pot *) = {
        arithmetic, arithmetic, arithmetic, move, move, move, move, stack, stack, branch, branch,
        branch, leave, shift, two_bytes, two_bytes, three_bytes, vector, x87, string, locked,
        over_code, privileged, any, noise,
    };
    void (*kind)(Pot *) = kinds[roll(pot, ARRAY_SIZE(kinds))];

    pot->size = 0;
    if (kind != locked && !roll(pot, 8)) {
        put_prefix(pot);
    }
    if (kind != privileged && !roll(pot, 3)) {
        put_rex(pot);
    }
    kind(pot);
}

void soup_fill(uint64_t *state, uint8_t *at, unsigned size)
{
    Pot pot = {.state = state};
    uint8_t *end = at + size;
    unsigned random = !roll(&pot, 6);

    while (at < end) {
        if (random) {
            pot.size = 0;
            put_random(&pot, sizeof(pot.bytes));
        } else {
            one_instruction(&pot);
        }
        for (unsigned i = 0; i < pot.size && at < end; i++) {
            *at++ = pot.bytes[i];
        }
    }
}
