/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Code that changes while it is hot, data beside it, and string instructions in hot code: often
 * enough that a translator has all of it translated.
 */
#include "lib64.h"

enum { TIMES = 300 };

typedef uint32_t Function(void);

static uint8_t *const code = (uint8_t *)SPARE(0);
static uint8_t *const far = (uint8_t *)SPARE(8);

/* mov eax, @value; ret */
static void write_constant(volatile uint8_t *at, uint32_t value)
{
    at[0] = 0xb8;
    *(volatile uint32_t *)(at + 1) = value;
    at[5] = 0xc3;
}

static __attribute__((noinline)) uint32_t call(const void *at)
{
    return ((Function *)(uintptr_t)at)();
}

static void test_patches(void)
{
    uint32_t wrong = 0;

    write_constant(code, 0);
    for (uint32_t i = 0; i < TIMES; i++) {
        *(volatile uint32_t *)(code + 1) = i;
        wrong += call(code) != i;
    }
    check("patch-each", wrong, 0);
    for (uint32_t i = 0; i < 20; i++) {
        *(volatile uint32_t *)(code + 1) = i;
        for (uint32_t k = 0; k < TIMES; k++) {
            wrong += call(code) != i;
        }
    }
    check("patch-hot", wrong, 0);
    for (uint32_t i = 0; i < TIMES; i++) { /* the last byte of a store reaches the code */
        write_constant(code + 64, i);
        wrong += call(code + 64) != i;
        *(volatile uint64_t *)(code + 64 - 7) = i & 1 ? 0xc300000000000000ull : 0;
        code[65] = i & 1 ? 0x90 : 0xc0;
        code[66] = 0xc3;
        wrong += (i & 1) && (call(code + 64), 0);
    }
    check("patch-edge", wrong, 0);
}

/* inc dword [rip + 0x7fa]; mov eax, [the same]; ret */
static const uint8_t counter[] = {0xff, 0x05, 0xfa, 0x07, 0, 0, 0x8b, 0x05, 0xf4, 0x07, 0, 0, 0xc3};

static void test_beside(void)
{
    volatile uint32_t *count = (volatile uint32_t *)(code + 0x800);
    uint32_t wrong = 0;

    memcpy(code, counter, sizeof(counter));
    *count = 0;
    for (uint32_t i = 1; i <= 10 * TIMES; i++) {
        wrong += call(code) != i;
    }
    check("beside", wrong, 0);
    for (uint32_t i = 0; i < TIMES; i++) { /* code appears where data was written just now */
        for (unsigned k = 0; k < 8; k++) {
            count[k] = k;
        }
        write_constant(code + 0x800 + (i & 7) * 64, i);
        wrong += call(code + 0x800 + (i & 7) * 64) != i;
        wrong += call(code) != *count;
    }
    check("beside-new-code", wrong, 0);
}

/* Code, then only data for long, then code again. */
static void test_turns(void)
{
    volatile uint64_t *data = (volatile uint64_t *)code;
    uint32_t wrong = 0;

    for (uint32_t i = 0; i < 20; i++) {
        write_constant(code, i);
        for (unsigned k = 0; k < 20; k++) {
            wrong += call(code) != i;
        }
        for (unsigned k = 0; k < 1000; k++) {
            data[k & 511] = k;
        }
        write_constant(code, ~i);
        wrong += call(code) != ~i;
        code[1] = 7;
        wrong += call(code) != ((~i & ~0xffu) | 7);
    }
    check("turns", wrong, 0);
}

static void rep_movs(void *to, const void *from, uint64_t n, unsigned size)
{
    switch (size) {
    case 1: asm volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(n) : : "memory"); break;
    case 2: asm volatile("rep movsw" : "+D"(to), "+S"(from), "+c"(n) : : "memory"); break;
    case 4: asm volatile("rep movsl" : "+D"(to), "+S"(from), "+c"(n) : : "memory"); break;
    default: asm volatile("rep movsq" : "+D"(to), "+S"(from), "+c"(n) : : "memory"); break;
    }
}

static void rep_stos(void *to, uint64_t value, uint64_t n, unsigned size)
{
    switch (size) {
    case 1: asm volatile("rep stosb" : "+D"(to), "+c"(n) : "a"(value) : "memory"); break;
    case 2: asm volatile("rep stosw" : "+D"(to), "+c"(n) : "a"(value) : "memory"); break;
    case 4: asm volatile("rep stosl" : "+D"(to), "+c"(n) : "a"(value) : "memory"); break;
    default: asm volatile("rep stosq" : "+D"(to), "+c"(n) : "a"(value) : "memory"); break;
    }
}

static void test_copied_code(void)
{
    uint32_t wrong = 0;

    for (uint32_t i = 0; i < TIMES; i++) {
        uint8_t text[8] = {0};

        write_constant(text, i);
        rep_movs(code + 256, text, sizeof(text), 1);
        wrong += call(code + 256) != i;
        write_constant(text, ~i);
        rep_movs(code + 256, text, 1, 8);
        wrong += call(code + 256) != ~i;
        rep_stos(code + 256, 0xc3, 1, 1);
        call(code + 256);
    }
    check("copied-code", wrong, 0);
}

static uint32_t seed = 1;
static uint32_t random_number(uint32_t limit)
{
    seed = seed * 1664525 + 1013904223;
    return (seed >> 8) % limit;
}

/* What @n bytes or words moved one by one leave, by other instructions. */
static void plain_copy(volatile uint8_t *to, const volatile uint8_t *from, unsigned n,
                       unsigned size)
{
    for (unsigned i = 0; i < n; i++) {
        uint8_t element[8];

        for (unsigned k = 0; k < size; k++) {
            element[k] = from[i * size + k];
        }
        for (unsigned k = 0; k < size; k++) {
            to[i * size + k] = element[k];
        }
    }
}

static void test_copies(void)
{
    uint8_t *model = far + 0x10000;
    uint32_t wrong = 0;

    for (unsigned i = 0; i < 0x3000; i++) {
        far[i] = model[i] = (uint8_t)(i * 7 + (i >> 8));
    }
    for (unsigned i = 0; i < 2 * TIMES; i++) {
        unsigned size = 1u << random_number(4);
        unsigned n = random_number(i % 8 ? 24 : 5000 / size);
        unsigned from = random_number(0x1800), to = random_number(0x1800);

        if (random_number(2)) {
            to = from + random_number(20);
        }
        rep_movs(far + to, far + from, n, size);
        plain_copy(model + to, model + from, n, size);
        rep_stos(far + from, 0x123456789abcdef0ull + i, n & 31, size);
        for (unsigned k = 0; k < (n & 31) * size; k++) {
            model[from + k] = (uint8_t)((0x123456789abcdef0ull + i) >> k % size * 8);
        }
    }
    for (unsigned i = 0; i < 0x3000; i++) {
        wrong += far[i] != model[i];
    }
    check("copies", wrong, 0);
}

static uint64_t left;

static void into_the_hole(void)
{
    uint64_t to = TEST_PAGE(1) - 24, n = 16;

    asm volatile("mov %0, %%rdi; mov %1, %%rcx; mov %2, %%rsi; rep movsq"
                 : : "r"(to), "r"(n), "r"(SPARE(8)) : "rdi", "rsi", "rcx", "memory");
}

/* Three elements fit before the page that is not there. */
static void test_fault(void)
{
    uint32_t wrong = 0;

    set_pte(0, SPARE(20) | P | W);
    set_pte(1, 0);
    for (unsigned i = 0; i < 30; i++) {
        uint32_t vector = try_call(into_the_hole);

        left = trap.rcx;
        wrong += vector != 14 || left != 13 || trap.rdi != TEST_PAGE(1) ||
                 trap.rsi != SPARE(8) + 24 || trap.cr2 != TEST_PAGE(1) || trap.error != 2;
    }
    check("copy-fault", wrong, 0);
}

void main(void);
void main(void)
{
    test_patches();
    test_beside();
    test_turns();
    test_copied_code();
    test_copies();
    test_fault();
}
