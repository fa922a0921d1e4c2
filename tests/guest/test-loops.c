/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Loops of one block, for which a translator may check several rounds' accesses at once: at every
 * place of a page boundary between pages that lie apart, with every small number of rounds, up to
 * faults, misaligned vectors, and over their own code.
 */
#include "lib64.h"

/* TEST_PAGE(n) of the data and SPARE(n) below it: neighbours lie apart. */
enum { FIRST = 8, PAGES = 8, TARGET = 24, CODE = 40 };
#define DATA TEST_PAGE(FIRST)
#define COPY TEST_PAGE(TARGET)

static uint8_t byte_at(uint64_t va)
{
    return (uint8_t)(va * 7 + (va >> 12) * 13 + (va >> 5));
}

static uint64_t word_at(uint64_t va)
{
    uint64_t word = 0;

    for (unsigned i = 0; i < 8; i++) {
        word |= (uint64_t)byte_at(va + i) << (8 * i);
    }
    return word;
}

static void map(unsigned first, unsigned spare)
{
    for (unsigned i = 0; i < PAGES; i++) {
        set_pte(first + i, SPARE(spare + (i * 5 + 3) % PAGES) | P | W);
    }
}

static void prepare(void)
{
    map(FIRST, FIRST);
    map(TARGET, TARGET);
    for (uint64_t va = DATA; va < DATA + PAGES * 4096; va++) {
        *(volatile uint8_t *)va = byte_at(va);
    }
}

/* --- sums --------------------------------------------------------------------------------- */

#define SUM(name, step)                                                                            \
    static uint64_t name(uint64_t from, uint64_t rounds)                                           \
    {                                                                                              \
        uint64_t sum = 0;                                                                          \
                                                                                                   \
        asm volatile("1: add (%1), %0\n add $" #step ", %1\n sub $1, %2\n jne 1b"                  \
                     : "+r"(sum), "+r"(from), "+r"(rounds) : : "cc", "memory");                    \
        return sum;                                                                                \
    }

SUM(sum_1, 1)
SUM(sum_8, 8)
SUM(sum_13, 13)
SUM(sum_72, 72)
SUM(sum_down, -8)

static uint64_t expected(uint64_t from, long step, uint64_t rounds)
{
    uint64_t sum = 0;

    while (rounds--) {
        sum += word_at(from);
        from += step;
    }
    return sum;
}

static void test_sums(void)
{
    static const struct {
        uint64_t (*sum)(uint64_t from, uint64_t rounds);
        long step;
    } loops[] = {{sum_1, 1}, {sum_8, 8}, {sum_13, 13}, {sum_72, 72}, {sum_down, -8}};
    unsigned wrong = 0;

    for (unsigned n = 0; n < 5; n++) {
        for (uint64_t from = DATA + 2 * 4096 - 90; from < DATA + 2 * 4096 + 90; from++) {
            uint64_t rounds = 1 + from % 23;

            wrong += loops[n].sum(from, rounds) != expected(from, loops[n].step, rounds);
        }
        for (uint64_t from = DATA + 2 * 4096; from < DATA + 2 * 4096 + 8; from++) {
            wrong += loops[n].sum(from, 150) != expected(from, loops[n].step, 150);
        }
    }
    check("sums", wrong, 0);
}

/* --- copies --------------------------------------------------------------------------------- */

/* Two bases, one index that both registers of an address may be; R9 lives in memory. */
static void copy(uint64_t to, uint64_t from, uint64_t size)
{
    register uint64_t target asm("r9") = to;

    asm volatile("xor %%ecx, %%ecx\n"
                 "1: mov (%1,%%rcx), %%rax\n mov %%rax, (%0,%%rcx)\n"
                 "mov 8(%1,%%rcx), %%rax\n lea 1(%%rax), %%rdx\n mov %%rdx, 8(%%rcx,%0)\n"
                 "add $16, %%rcx\n cmp %2, %%rcx\n jb 1b"
                 : : "r"(target), "r"(from), "r"(size) : "rax", "rcx", "rdx", "cc", "memory");
}

static void test_copies(void)
{
    unsigned wrong = 0;

    for (unsigned n = 0; n < 100; n++) {
        uint64_t from = DATA + 4096 - 7 * n, to = COPY + 3 * 4096 - 5 * n;
        uint64_t size = 16 + 16 * (n % 60);

        copy(to, from, size);
        for (uint64_t at = 0; at < size; at += 8) {
            wrong += *(volatile uint64_t *)(to + at) != word_at(from + at) + (at / 8) % 2;
        }
    }
    check("copies", wrong, 0);
}

/* --- accesses to two pages ------------------------------------------------------------------ */

/* A store, a read-modify-write and a load at @at, often enough to be translated. */
static uint64_t touch(uint64_t at, uint64_t value)
{
    uint64_t got;

    asm volatile("mov %1, (%2)\n addq $5, (%2)\n mov (%2), %0"
                 : "=&r"(got) : "r"(value), "r"(at) : "cc", "memory");
    return got;
}

/* Where the pages lie side by side, and where they lie apart. */
static void test_straddling(void)
{
    unsigned wrong = 0;

    for (unsigned apart = 0; apart < 2; apart++) {
        set_pte(TARGET, SPARE(TARGET) | P | W);
        set_pte(TARGET + 1, SPARE(TARGET + 1 + apart) | P | W);
        for (unsigned n = 0; n < 100; n++) {
            uint64_t at = COPY + 4096 - 12 + n % 16, value = n * 0x0101010101010101ull;
            uint8_t below = *(volatile uint8_t *)(at - 1), above = *(volatile uint8_t *)(at + 8);

            wrong += touch(at, value) != value + 5;
            for (unsigned i = 0; i < 8; i++) {
                uint64_t where = at + i < COPY + 4096
                                     ? SPARE(TARGET) + (at + i - COPY)
                                     : SPARE(TARGET + 1 + apart) + (at + i - COPY - 4096);

                wrong += *(volatile uint8_t *)where != (uint8_t)((value + 5) >> (8 * i));
            }
            wrong += *(volatile uint8_t *)(at - 1) != below;
            wrong += *(volatile uint8_t *)(at + 8) != above;
        }
    }
    check("straddling", wrong, 0);
    map(TARGET, TARGET);
}

/* --- vectors ---------------------------------------------------------------------------------- */

static uint64_t vector_sum(uint64_t from, uint64_t rounds)
{
    uint64_t sum;

    asm volatile("pxor %%xmm1, %%xmm1\n"
                 "1: movdqa (%1), %%xmm0\n paddq 16(%1), %%xmm0\n paddq %%xmm0, %%xmm1\n"
                 "add $32, %1\n sub $1, %2\n jne 1b\n"
                 "movhlps %%xmm1, %%xmm0\n paddq %%xmm1, %%xmm0\n movq %%xmm0, %0"
                 : "=r"(sum), "+r"(from), "+r"(rounds) : : "cc", "memory");
    return sum;
}

static void test_vectors(void)
{
    unsigned wrong = 0;
    uint32_t got;

    WRITE_CR(0, (READ_CR(0) | 2) & ~4ull);
    WRITE_CR(4, READ_CR(4) | 0x600);
    for (unsigned n = 0; n < 300; n++) {
        uint64_t from = DATA + 4096 - 16 * (n % 40), rounds = 1 + n % 31;

        wrong += vector_sum(from, rounds) != expected(from, 8, rounds * 4);
    }
    check("vectors", wrong, 0);
    got = TRAP(vector_sum(DATA + 4096 - 8, 100));
    check_fault("misaligned", got, 13, 0);
}

/* --- faults ----------------------------------------------------------------------------------- */

/* Stores from a page into one that is not there; RBX counts the rounds. */
static uint32_t fill(uint64_t from, uint64_t rounds)
{
    return TRAP({
        asm volatile("xor %%ebx, %%ebx\n"
                     "1: add $1, %%rbx\n mov %%rbx, (%0)\n mov %%rbx, 8(%0)\n add $16, %0\n"
                     "cmp %1, %%rbx\n jne 1b"
                     : "+D"(from) : "S"(rounds) : "rbx", "cc", "memory");
    });
}

static void test_faults(void)
{
    unsigned wrong = 0;

    set_pte(TARGET + 4, 0);
    for (unsigned n = 1; n < 60; n++) {
        uint64_t from = COPY + 4 * 4096 - 16 * n;

        *(volatile uint64_t *)(COPY + 4 * 4096 - 8) = 0;
        wrong += fill(from, n) != NO_TRAP;
        wrong += fill(from, n + 5) != 14 || trap.error != 2 || trap.cr2 != COPY + 4 * 4096 ||
                 trap.rbx != n + 1 || trap.rdi != COPY + 4 * 4096 ||
                 *(volatile uint64_t *)(COPY + 4 * 4096 - 8) != n;
    }
    check("fault-in-round", wrong, 0);
    map(TARGET, TARGET);
}

/* --- code ------------------------------------------------------------------------------------ */

/*
 * 1: add $1, %rcx; mov %al, (%rdi); add $64, %rdi; cmp %rsi, %rdi; jne 1b; mov %rcx, %rax; ret:
 * the 1 is among what it writes.
 */
static uint64_t write_own(uint64_t page, unsigned before, unsigned behind)
{
    static const char code[] = "\x31\xc9\x48\x83\xc1\x01\x88\x07\x48\x83\xc7\x40\x48\x39\xf7"
                               "\x75\xf1\x48\x89\xc8\xc3";
    uint64_t at = page + 0x105, operand = at + 5, result = 2;

    memcpy((void *)at, code, sizeof(code));
    asm volatile("call *%3"
                 : "+a"(result)
                 : "D"(operand - 64 * before), "S"(operand + 64 * (behind + 1)), "r"(at)
                 : "rcx", "cc", "memory");
    return result;
}

static void test_code(void)
{
    unsigned wrong = 0;

    map(CODE, CODE);
    for (unsigned n = 0; n < 40; n++) {
        unsigned before = n % 17, behind = n % 7;

        wrong += write_own(TEST_PAGE(CODE + 2), before, behind) != before + 1 + 2 * behind;
    }
    check("over-own-code", wrong, 0);
}

void main(void)
{
    prepare();
    test_sums();
    test_copies();
    test_straddling();
    test_vectors();
    test_faults();
    test_code();
}
