/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Page tables that change a while before the CPU is told, or is told by loading CR3 alone: user
 * code sees them as they are then. With two engines taking turns, an emulator that keeps shadows of
 * page tables has to carry such a change from one to the other (accel/kvm).
 */
#include "lib64.h"

enum {
    ROUNDS = 24,
    STEP = 1500,  /* turns of the delay that each round adds */
    AT_PML4 = 16, /* pages of the second set of tables, numbers of SPARE() */
    AT_PDPT, AT_PD, AT_PT,
};
#define OTHER(table, n) (((volatile uint64_t *)SPARE(table))[n])

/* KVMs that emulate leave this to our interpreter, which then keeps the CPU for a while. */
static void call_interpreter(void)
{
    static uint64_t pair[2] __attribute__((aligned(16)));

    asm volatile("lock cmpxchg16b %0"
                 : "+m"(pair)
                 : "a"(0ull), "d"(0ull), "b"(0ull), "c"(0ull)
                 : "cc", "memory");
}

static void delay(unsigned turns)
{
    asm volatile("1: dec %0; jns 1b" : "+r"(turns) : : "cc");
}

static void load_cr3(uint64_t value)
{
    asm volatile("mov %0, %%cr3" : : "r"(value) : "memory");
}

/* What user code reads at TEST_PAGE(1), or the fault. */
static uint64_t user_word(void)
{
    uint32_t end = USER(asm volatile("mov (%0), %%rax" : : "r"(TEST_PAGE(1)) : "rax"));

    return end == 0x80 ? trap.rax : end | 1ull << 32;
}

static uint32_t user_store(void)
{
    return USER(asm volatile("movb $1, 8(%0)" : : "r"(TEST_PAGE(1)) : "memory"));
}

/* One verdict for all rounds: that of the first round that failed, else of the last. */
static void verdict(const char *name, unsigned *failed, unsigned round, uint64_t got, uint64_t want)
{
    if (!*failed && (got != want || round == ROUNDS - 1)) {
        *failed = got != want;
        check(name, got, want);
    }
}

static void test_other_page(void)
{
    unsigned failed = 0;

    for (unsigned i = 0; i < ROUNDS; i++) {
        set_pte(1, SPARE(0) | P | W | U);
        user_word();
        call_interpreter();
        TEST_PTE(1) = SPARE(1) | P | W | U;
        delay(i * STEP);
        load_cr3(0x100000);
        verdict("other-page", &failed, i, user_word(), 2);
    }
}

/* What fork does to its parent's pages. */
static void test_write_protected(void)
{
    unsigned failed = 0;

    for (unsigned i = 0; i < ROUNDS; i++) {
        set_pte(1, SPARE(0) | P | W | U);
        user_store();
        call_interpreter();
        TEST_PTE(1) &= ~(uint64_t)W;
        delay(i * STEP);
        load_cr3(0x100000);
        verdict("write-protected", &failed, i, user_store(), 14);
    }
}

/* Tables of another CR3 need no more than that it is loaded. */
static void test_other_tables(void)
{
    unsigned failed = 0;

    for (unsigned i = 0; i < 512; i++) {
        OTHER(AT_PML4, i) = PML4E(i);
        OTHER(AT_PDPT, i) = PDPTE(i);
        OTHER(AT_PD, i) = TEST_PDE(i);
        OTHER(AT_PT, i) = 0;
    }
    OTHER(AT_PML4, 0) = SPARE(AT_PDPT) | P | W | U;
    OTHER(AT_PDPT, TEST_BASE >> 30) = SPARE(AT_PD) | P | W | U;
    OTHER(AT_PD, 0) = SPARE(AT_PT) | P | W | U;
    set_pte(1, SPARE(0) | P | W | U);
    for (unsigned i = 0; i < ROUNDS; i++) {
        OTHER(AT_PT, 1) = SPARE(1) | P | W | U;
        load_cr3(SPARE(AT_PML4));
        user_word();
        load_cr3(0x100000);
        user_word();
        call_interpreter();
        OTHER(AT_PT, 1) = SPARE(2) | P | U;
        delay(i * STEP);
        load_cr3(SPARE(AT_PML4));
        verdict("other-tables", &failed, i, user_word(), 3);
        load_cr3(0x100000);
    }
}

void main(void);
void main(void)
{
    for (unsigned i = 0; i < 3; i++) {
        *(volatile uint64_t *)SPARE(i) = i + 1;
    }
    test_other_page();
    test_write_protected();
    test_other_tables();
}
