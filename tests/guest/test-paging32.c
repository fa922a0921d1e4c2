/* SPDX-License-Identifier: GPL-2.0-or-later */
/* 32-bit paging with 4 KiB and 4 MiB pages, then PAE (SDM 3A 4.3, 4.4). */
#include "lib32.h"

enum { P = 1, W = 2, U = 4, A = 0x20, D = 0x40, PS = 0x80, PG = 0x80000000, WP = 0x10000 };

#define DIRECTORY ((volatile uint32_t *)0x100000)
#define TABLE ((volatile uint32_t *)0x101000)   /* maps 1 GiB up, 4 KiB pages */
#define LOW_TABLE ((volatile uint32_t *)0x102000) /* maps 0 to 4 MiB, for users too */
#define PAGE(n) (0x40000000u + (n) * 4096u)
#define SPARE(n) (0x200000u + (n) * 4096u)

#define LOAD(va) TRAP(asm volatile("movb %0, %%al" : : "m"(*(uint8_t *)(va)) : "eax"))
#define STORE(va) TRAP(asm volatile("movb $1, %0" : "=m"(*(uint8_t *)(va)) :))
#define ULOAD(va) USER(asm volatile("movb %0, %%al" : : "m"(*(uint8_t *)(va)) : "eax"))
#define USTORE(va) USER(asm volatile("movb $1, %0" : "=m"(*(uint8_t *)(va)) :))

static void check_pf(const char *name, uint32_t got, uint32_t error, uint32_t address)
{
    check(name, (uint64_t)got << 32 | (got == NO_TRAP ? 0 : trap.error),
          (uint64_t)14 << 32 | error);
    if (got == 14 && read_cr2() != address) {
        check(name, read_cr2(), address);
    }
}

static void flush(void)
{
    asm volatile("mov %%cr3, %%eax; mov %%eax, %%cr3" : : : "eax", "memory");
}

static void set_pte(unsigned n, uint32_t value)
{
    TABLE[n] = value;
    flush();
}

static void test_plain(void)
{
    for (unsigned i = 0; i < 1024; i++) {
        DIRECTORY[i] = 0;
        TABLE[i] = 0;
        LOW_TABLE[i] = i << 12 | P | W | U;
    }
    DIRECTORY[0] = (uint32_t)LOW_TABLE | P | W | U;
    DIRECTORY[256] = (uint32_t)TABLE | P | W | U;
    write_cr3((uint32_t)DIRECTORY);
    write_cr0(read_cr0() | PG);
    check_pf("32-np-read", LOAD(PAGE(0)), 0, PAGE(0));
    check_pf("32-np-user-write", USTORE(PAGE(0)), 6, PAGE(0));
    set_pte(0, SPARE(0) | P);
    check("32-read", LOAD(PAGE(0)), NO_TRAP);
    check("32-accessed", TABLE[0] & (A | D), A);
    check("32-directory-accessed", DIRECTORY[256] & (A | D), A);
    check("32-write-no-wp", STORE(PAGE(0)), NO_TRAP);
    check("32-dirty", TABLE[0] & D, D);
    write_cr0(read_cr0() | WP);
    check_pf("32-write-wp", STORE(PAGE(0)), 3, PAGE(0));
    check_pf("32-user", ULOAD(PAGE(0)), 5, PAGE(0));
    set_pte(0, SPARE(0) | P | U);
    check("32-user-read", ULOAD(PAGE(0)), 0x80);
    check_pf("32-user-write-ro", USTORE(PAGE(0)), 7, PAGE(0));
    DIRECTORY[256] &= ~U;
    flush();
    check_pf("32-user-directory", ULOAD(PAGE(0)), 5, PAGE(0));
    DIRECTORY[256] |= U;
    /* A stale TLB entry may live on only until INVLPG. */
    set_pte(1, SPARE(1) | P | W);
    *(volatile uint8_t *)PAGE(1) = 0x33;
    TABLE[1] = SPARE(2) | P | W;
    *(volatile uint8_t *)SPARE(2) = 0x44;
    asm volatile("invlpg (%0)" : : "r"(PAGE(1)) : "memory");
    check("32-invlpg", *(volatile uint8_t *)PAGE(1), 0x44);
    /* Crossing from a present page into one that is not: nothing is written. */
    set_pte(2, 0);
    *(volatile uint32_t *)(SPARE(2) + 4092) = 0x5a5a5a5a;
    check_pf("32-cross-write",
             TRAP(asm volatile("movl $0, (%0)"
                               :
                               : "r"(PAGE(2) - 2)
                               : "memory")),
             2, PAGE(2));
    check("32-cross-nothing", *(volatile uint32_t *)(SPARE(2) + 4092), 0x5a5a5a5a);
}

static void test_pse(void)
{
    DIRECTORY[257] = 0x400000 | P | W | PS;
    flush();
    *(volatile uint32_t *)0x3ff000 = 0;
    write_cr4(read_cr4() | 0x10);
    flush();
    DIRECTORY[1] = 0x400000 | P | W | PS;
    *(volatile uint32_t *)0x400444 = 0xcafe;
    check("pse-value", *(volatile uint32_t *)0x40400444, 0xcafe);
    check("pse-accessed", DIRECTORY[257] & (A | D), A);
    check("pse-write", STORE(0x40400444), NO_TRAP);
    check("pse-dirty", DIRECTORY[257] & D, D);
    DIRECTORY[257] = 0x400000 | P | W | PS | 1 << 21;
    flush();
    if (by_sdm()) {
        check_pf("pse-reserved", LOAD(0x40400000), 9, 0x40400000);
    }
    DIRECTORY[257] = 0;
    flush();
    check_pf("pse-user", ULOAD(0x400000), 5, 0x400000);
    write_cr0(read_cr0() & ~PG);
    write_cr4(read_cr4() & ~0x10);
}

#define PDPT ((volatile uint64_t *)0x103000)
#define PAE_DIRECTORY ((volatile uint64_t *)0x104000)
#define PAE_DIRECTORY1 ((volatile uint64_t *)0x105000)
#define PAE_TABLE ((volatile uint64_t *)0x106000)

static void test_pae(void)
{
    for (unsigned i = 0; i < 512; i++) {
        PAE_DIRECTORY[i] = (uint64_t)i << 21 | P | W | U | PS;
        PAE_DIRECTORY1[i] = PAE_TABLE[i] = 0;
    }
    PDPT[0] = (uint32_t)PAE_DIRECTORY | P;
    PDPT[1] = (uint32_t)PAE_DIRECTORY1 | P;
    PDPT[2] = PDPT[3] = 0;
    PAE_DIRECTORY1[0] = (uint32_t)PAE_TABLE | P | W | U;
    write_cr3((uint32_t)PDPT);
    write_cr4(read_cr4() | 0x20);
    write_cr0(read_cr0() | PG);
    check_pf("pae-np", LOAD(PAGE(0)), 0, PAGE(0));
    PAE_TABLE[0] = SPARE(0) | P;
    flush();
    check("pae-read", LOAD(PAGE(0)), NO_TRAP);
    check_pf("pae-write", STORE(PAGE(0)), 3, PAGE(0));
    check("pae-accessed", PAE_TABLE[0] & (A | D), A);
    check("pae-directory-accessed", PAE_DIRECTORY1[0] & A, A);
    PAE_TABLE[1] = SPARE(1) | P | W | U;
    flush();
    check("pae-user-write", USTORE(PAGE(1)), 0x80);
    check("pae-dirty", PAE_TABLE[1] & D, D);
    check_pf("pae-pdpte-np", LOAD(0x80000000), 0, 0x80000000);
    /* PDPTEs are loaded with CR3 and not before. */
    PDPT[2] = (uint32_t)PAE_DIRECTORY1 | P;
    if (by_sdm()) {
        check_pf("pae-pdpte-cached", LOAD(0x80000000), 0, 0x80000000);
    }
    flush();
    check("pae-pdpte-loaded", LOAD(0x80000000), NO_TRAP);
    PDPT[3] = 0x105000 | P | W;
    if (by_sdm()) {
        check("pae-pdpte-reserved", TRAP(flush()), 13);
    }
    PDPT[3] = 0;
    flush();
    if (by_sdm()) {
        PAE_TABLE[2] = SPARE(1) | P | W | 1ull << 63;
        flush();
        check_pf("pae-nx-reserved", LOAD(PAGE(2)), 9, PAGE(2));
    }
    uint32_t eax, edx;
    asm volatile("cpuid" : "=a"(eax), "=d"(edx) : "a"(0x80000001), "c"(0) : "ebx");
    if (edx & 1 << 20) {
        asm volatile("rdmsr; or $0x800, %%eax; wrmsr" : : "c"(0xc0000080) : "eax", "edx");
        PAE_TABLE[2] = SPARE(1) | P | W | 1ull << 63;
        *(volatile uint8_t *)SPARE(1) = 0xc3;
        flush();
        check("pae-nx-read", LOAD(PAGE(2)), NO_TRAP);
        check_pf("pae-nx-fetch", TRAP(asm volatile("call *%0" : : "r"(PAGE(2)))), 0x11, PAGE(2));
    }
    write_cr0(read_cr0() & ~PG);
    write_cr4(read_cr4() & ~0x20);
}

void main(void);
void main(void)
{
    test_plain();
    test_pse();
    test_pae();
}
