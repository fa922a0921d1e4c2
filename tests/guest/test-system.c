/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a kernel does all day, often enough to be translated: user access under SMAP, interrupts off
 * and on, code that is mapped elsewhere, time stamps, control registers.
 */
#include "lib64.h"

enum { HOT = 100 };

/* Physical pages of this test, from SPARE(0). */
enum { PAGE_CODE = 8, PAGE_CODE2, PAGE_JUMP, PAGE_DATA };

static uint32_t features7[4];

/* --- user access ------------------------------------------------------------------------ */

static uint64_t user_at;

/* In one block: reads with AC set, and again behind CLAC. */
static void read_behind(void)
{
    asm volatile("stac; mov (%0), %%rax; clac; mov (%0), %%rax" : : "r"(user_at) : "rax", "cc");
}

/* The stack and other data are seen before, between and behind, with flags alive. */
static uint64_t read_between(uint64_t va, uint64_t *sum)
{
    uint64_t value, behind = 0;

    asm volatile("cmp %3, %3; push %3; stac; mov (%3), %0; clac; pop %%rcx; mov (%2), %%rcx\n"
                 "setz %b1" : "=&r"(value), "+&r"(behind) : "r"(sum), "r"(va)
                 : "rcx", "memory", "cc");
    *sum += value + behind;
    return value;
}

static void test_user_access(void)
{
    unsigned wrong = 0, open = 0;
    uint64_t sum = 0;

    if (!(features7[1] & 1u << 20)) {
        skip("user-access");
        return;
    }
    set_pte(0, SPARE(PAGE_DATA) | P | W | U);
    user_at = TEST_PAGE(0);
    *(volatile uint64_t *)SPARE(PAGE_DATA) = 41;
    WRITE_CR(4, READ_CR(4) | 1 << 21);
    for (unsigned n = 0; n < HOT; n++) {
        wrong += try_call(read_behind) == NO_TRAP || trap.vector != 14;
        wrong += trap.cr2 != user_at || trap.rax != 41;
        wrong += read_between(user_at, &sum) != 41;
    }
    check("user-access", wrong, 0);
    check("user-access-flags", sum, HOT * 42);
    WRITE_CR(4, READ_CR(4) & ~(1ull << 21));
    for (unsigned n = 0; n < HOT; n++) { /* the same code where all of it may */
        open += try_call(read_behind) == NO_TRAP;
    }
    WRITE_CR(4, READ_CR(4) | 1 << 21);
    check("user-access-without-smap", open, HOT);
    for (unsigned n = 0; n < HOT; n++) {
        open -= try_call(read_behind) == NO_TRAP;
    }
    check("user-access-with-smap", open, HOT);
    WRITE_CR(4, READ_CR(4) & ~(1ull << 21));
}

/* --- flags and registers ------------------------------------------------------------------ */

static void test_interrupt_flag(void)
{
    unsigned wrong = 0;

    for (unsigned n = 0; n < HOT; n++) {
        uint64_t off, on, down, up;

        asm volatile("cli; pushfq; pop %0; sti; pushfq; cli; pop %1; std; pushfq; pop %2\n"
                     "cld; pushfq; pop %3"
                     : "=&r"(off), "=&r"(on), "=&r"(down), "=&r"(up) : : "memory", "cc");
        wrong += (off & 0x200) || !(on & 0x200) || !(down & 0x400) || (up & 0x400) || !(up & 2);
    }
    check("interrupt-flag", wrong, 0);
    check("user-cli", USER(asm volatile("cli")), 13);
    check("user-sti", USER(asm volatile("sti")), 13);
    check("user-swapgs", USER(asm volatile("swapgs")), 13);
}

static void test_registers(void)
{
    uint64_t cr0 = READ_CR(0), cr3 = READ_CR(3), cr4 = READ_CR(4);
    unsigned wrong = 0;

    for (unsigned n = 0; n < HOT; n++) {
        register uint64_t spilled asm("r9");

        WRITE_CR(2, n * 0x1001);
        asm volatile("mov %%cr2, %0" : "=r"(spilled));
        wrong += spilled != n * 0x1001;
        wrong += READ_CR(0) != cr0 || READ_CR(3) != cr3 || READ_CR(4) != cr4;
        write_msr(0xc0000101, n + 1);
        write_msr(0xc0000102, ~(uint64_t)n);
        asm volatile("swapgs" : : : "memory");
        wrong += read_msr(0xc0000101) != ~(uint64_t)n || read_msr(0xc0000102) != n + 1;
    }
    write_msr(0xc0000101, 0);
    write_msr(0xc0000102, 0);
    check("registers", wrong, 0);
    check("user-cr0", USER(READ_CR(0)), 13);
}

static void test_keys(void)
{
    unsigned wrong = 0;

    if (!(features7[2] & 1u << 3)) {
        skip("keys");
        return;
    }
    WRITE_CR(4, READ_CR(4) | 1 << 22);
    for (unsigned n = 0; n < HOT; n++) {
        uint32_t low, high;

        asm volatile("wrpkru" : : "a"(n << 2), "c"(0), "d"(0));
        asm volatile("rdpkru" : "=a"(low), "=d"(high) : "c"(0));
        wrong += low != n << 2 || high != 0;
    }
    asm volatile("wrpkru" : : "a"(0), "c"(0), "d"(0));
    check("keys", wrong, 0);
    check_fault("keys-rcx", TRAP(asm volatile("rdpkru" : : "c"(1) : "rax", "rdx")), 13, 0);
    WRITE_CR(4, READ_CR(4) & ~(1ull << 22));
    check("keys-off", TRAP(asm volatile("rdpkru" : : "c"(0) : "rax", "rdx")), 6);
}

/* --- code that is mapped elsewhere ---------------------------------------------------------- */

/* mov eax, @answer; ret */
static void place_answer(uint64_t at, uint32_t answer)
{
    memcpy((void *)at, "\xb8\0\0\0\0\xc3", 6);
    *(volatile uint32_t *)(at + 1) = answer;
}

/* A jump from another page leads to what the page is now, and so do calls of both. */
static void test_moved_code(void)
{
    uint64_t (*direct)(void) = (uint64_t (*)(void))TEST_PAGE(1);
    uint64_t (*joined)(void) = (uint64_t (*)(void))TEST_PAGE(2);
    uint32_t way = (uint32_t)(TEST_PAGE(1) - TEST_PAGE(2) - 5);
    unsigned wrong = 0;

    place_answer(SPARE(PAGE_CODE), 1);
    place_answer(SPARE(PAGE_CODE2), 2);
    *(volatile uint8_t *)SPARE(PAGE_JUMP) = 0xe9;
    memcpy((void *)(SPARE(PAGE_JUMP) + 1), &way, 4);
    set_pte(2, SPARE(PAGE_JUMP) | P);
    for (unsigned n = 0; n < 40; n++) {
        set_pte(1, SPARE(n & 1 ? PAGE_CODE2 : PAGE_CODE) | P | (n & 2 ? G : 0));
        for (unsigned i = 0; i < HOT; i++) {
            wrong += direct() != 1 + (n & 1);
            wrong += joined() != 1 + (n & 1);
        }
        set_pte(3, SPARE(PAGE_DATA) | P);
    }
    check("moved-code", wrong, 0);
}

/* --- time ---------------------------------------------------------------------------------- */

static uint64_t stamp(void)
{
    uint32_t low, high;

    asm volatile("rdtsc" : "=a"(low), "=d"(high));
    return (uint64_t)high << 32 | low;
}

static uint64_t stamp_and_number(uint32_t *number)
{
    uint32_t low, high;

    asm volatile("rdtscp" : "=a"(low), "=d"(high), "=c"(*number));
    return (uint64_t)high << 32 | low;
}

static void test_time(void)
{
    uint64_t last = stamp(), first = last;
    unsigned back = 0, wrong = 0;

    write_msr(0xc0000103, 0x1234);
    for (unsigned n = 0; n < 400 * HOT || last - first < 200000000; n++) {
        uint32_t number = 0;
        uint64_t now = n & 1 ? stamp() : stamp_and_number(&number);

        back += now < last;
        wrong += !(n & 1) && number != 0x1234;
        last = now;
    }
    check("time-goes-back", back, 0);
    check("time-number", wrong, 0);
    write_msr(0x10, 5ull << 40); /* the counter itself */
    check("time-set", stamp() >> 32, 5 << 8);
    for (unsigned n = 0; n < HOT; n++) {
        wrong += USER(stamp()) != 0x80;
    }
    WRITE_CR(4, READ_CR(4) | 1 << 2);
    for (unsigned n = 0; n < HOT; n++) {
        wrong += USER(stamp()) != 13;
        wrong += stamp() >> 40 != 5;
    }
    WRITE_CR(4, READ_CR(4) & ~4ull);
    check("time-denied", wrong, 0);
}

/* --- identification --------------------------------------------------------------------------- */

static __attribute__((noinline)) uint32_t answer(uint32_t leaf, uint32_t subleaf, unsigned reg)
{
    uint32_t out[4];

    cpuid(leaf, subleaf, out);
    return out[reg];
}

static void serialize(void)
{
    asm volatile(".byte 0x0f, 0x01, 0xe8" : : : "memory");
}

/* Leaves whose low bits are alike take turns. */
static void test_leaves(void)
{
    uint32_t first[4], other[4], wrong = 0;

    cpuid(0x80000002, 0, first);
    cpuid(0x12, 0, other);
    for (unsigned n = 0; n < HOT; n++) {
        for (unsigned reg = 0; reg < 4; reg++) {
            wrong += answer(0x80000002, n, reg) != first[reg];
            wrong += n < HOT / 2 && answer(0x12, 0, reg) != other[reg];
        }
        wrong += answer(0xb, n, 2) >> 8 & (n > 1 ? ~0u : 0);
        wrong += (answer(0xb, n, 2) & 0xff) != n;
    }
    check("cpuid-leaves", wrong, 0);
}

/* What follows a register of the CPU does at once, in code that knows the answer of before. */
static void test_dynamic_leaves(void)
{
    uint64_t cr4 = READ_CR(4), base = read_msr(0x1b);
    uint32_t wrong = 0, legacy = 512 + 64;

    for (unsigned n = 0; n < HOT; n++) {
        WRITE_CR(4, n & 1 ? cr4 | 1 << 18 : cr4 & ~(1ull << 18));
        wrong += (answer(1, 0, 2) >> 27 & 1) != (n & 1);
    }
    check("cpuid-osxsave", wrong, 0);
    WRITE_CR(4, cr4 | 1 << 18);
    for (unsigned n = 0; n < HOT && (answer(0xd, 0, 0) & 4); n++) {
        asm volatile("xsetbv" : : "a"(n & 1 ? 7 : 1), "c"(0), "d"(0));
        wrong += (answer(0xd, 0, 1) > legacy) != (n & 1);
    }
    asm volatile("xsetbv" : : "a"(1), "c"(0), "d"(0));
    WRITE_CR(4, cr4);
    check("cpuid-xsave-size", wrong, 0);
    for (unsigned n = 0; n < HOT; n++) {
        write_msr(0x1b, n & 1 ? base | 1 << 11 : base & ~(1ull << 11));
        wrong += (answer(1, 0, 3) >> 9 & 1) != (n & 1);
    }
    write_msr(0x1b, base);
    check("cpuid-apic", wrong, 0);
    for (unsigned n = 0; n < HOT; n++) {
        wrong += try_call(serialize) != (features7[3] >> 14 & 1 ? NO_TRAP : 6);
    }
    check("serialize", wrong, 0);
}

void main(void)
{
    cpuid(7, 0, features7);
    test_user_access();
    test_interrupt_flag();
    test_registers();
    test_keys();
    test_moved_code();
    test_time();
    test_leaves();
    test_dynamic_leaves();
}
