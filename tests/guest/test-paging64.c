/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Four-level paging: sizes, permissions, A and D bits, error codes, NX, WP, SMEP, SMAP, PKU. */
#include "lib64.h"

#define LOAD(va) TRAP(asm volatile("movb (%0), %%al" : : "r"(va) : "rax"))
#define STORE(va) TRAP(asm volatile("movb $1, (%0)" : : "r"(va) : "memory"))
#define CALL(va) TRAP(asm volatile("call *%0" : : "r"(va)))
#define ULOAD(va) USER(asm volatile("movb (%0), %%al" : : "r"(va) : "rax"))
#define USTORE(va) USER(asm volatile("movb $1, (%0)" : : "r"(va) : "memory"))
#define UCALL(va) USER(asm volatile("call *%0" : : "r"(va)))

static uint32_t features7[4], features1[4], features8[4];

static void test_basic(void)
{
    static const uint64_t va = TEST_PAGE(1);

    set_pte(1, 0);
    check_pf("np-read", LOAD(va), 0, va);
    check_pf("np-write", STORE(va + 5), 2, va + 5);
    check_pf("np-user-read", ULOAD(va), 4, va);
    check_pf("np-user-write", USTORE(va), 6, va);
    set_pte(1, SPARE(0) | P);
    check("read", LOAD(va), NO_TRAP);
    check("accessed-set", TEST_PTE(1) & (A | D), A);
    check_pf("ro-write-wp", STORE(va), 3, va);
    check_pf("super-user-read", ULOAD(va), 5, va);
    check_pf("super-user-write", USTORE(va), 7, va);
    WRITE_CR(0, READ_CR(0) & ~0x10000ull);
    check("ro-write-no-wp", STORE(va), NO_TRAP);
    WRITE_CR(0, READ_CR(0) | 0x10000);
    check("dirty-set", TEST_PTE(1) & (A | D), A | D);
    check_pf("ro-write-wp-again", STORE(va), 3, va);
    set_pte(1, SPARE(0) | P | W);
    check("write", STORE(va), NO_TRAP);
    check("write-dirty", TEST_PTE(1) & (A | D), A | D);
    set_pte(1, SPARE(0) | P | W);
    check("read-first", LOAD(va), NO_TRAP);
    check("read-not-dirty", TEST_PTE(1) & (A | D), A);
    check("write-after-read", STORE(va), NO_TRAP);
    check("write-after-read-dirty", TEST_PTE(1) & D, D);
    set_pte(1, SPARE(0) | P | W | U);
    check("user-write", USTORE(va), 0x80);
    TEST_PDE(0) &= ~(uint64_t)U;
    asm volatile("invlpg (%0)" : : "r"(va) : "memory");
    check_pf("user-bit-of-pde", ULOAD(va), 5, va);
    TEST_PDE(0) |= U;
    TEST_PDE(0) &= ~(uint64_t)W;
    asm volatile("invlpg (%0)" : : "r"(va) : "memory");
    check_pf("write-bit-of-pde", STORE(va), 3, va);
    TEST_PDE(0) |= W;
    asm volatile("invlpg (%0)" : : "r"(va) : "memory");
    set_pte(1, SPARE(0) | P | W | 1ull << 51);
    if (by_sdm()) {
        check_pf("reserved-bit", LOAD(va), 9, va);
        check_pf("reserved-bit-write", STORE(va), 11, va);
    }
    check_fault("non-canonical-load", LOAD(0x800000000000ull), 13, 0);
    if (by_sdm()) {
        tss.ist[0] = 0x9e000;
        idt[12] = gate(SEL_CODE, stub_address(12), 0x8e, 1);
        check_fault("non-canonical-stack",
                    TRAP(asm volatile("mov %0, %%rsp; push %%rax"
                                      :
                                      : "r"(0x900000000000ull))),
                    12, 0);
        idt_reset();
        check_fault("non-canonical-rbp",
                    USER(asm volatile("movabs $0x900000000000, %%rbp; mov (%%rbp), %%rax"
                                      :
                                      :
                                      : "rax")),
                    12, 0);
    }
    check_fault("non-canonical-jump",
                TRAP(asm volatile("jmp *%0"
                                  :
                                  : "r"(0x800000000000ull))),
                13, 0);
    check_pf("np-pml4e", LOAD(0x7f0000000000ull), 0, 0x7f0000000000ull);
}

static void test_crossing(void)
{
    static const uint64_t va = TEST_PAGE(2) - 4;
    volatile uint64_t *first = (volatile uint64_t *)(SPARE(1) + 4088);

    set_pte(1, SPARE(1) | P | W);
    set_pte(2, 0);
    *first = 0x1111111111111111;
    check_pf("cross-read",
             TRAP(asm volatile("mov (%0), %%rax"
                               :
                               : "r"(va)
                               : "rax")),
             0, TEST_PAGE(2));
    check_pf("cross-write",
             TRAP(asm volatile("movq $-1, (%0)"
                               :
                               : "r"(va)
                               : "memory")),
             2, TEST_PAGE(2));
    check("cross-write-nothing", *first, 0x1111111111111111);
    set_pte(2, SPARE(2) | P);
    check_pf("cross-write-ro",
             TRAP(asm volatile("movq $-1, (%0)"
                               :
                               : "r"(va)
                               : "memory")),
             3, TEST_PAGE(2));
    check("cross-write-ro-nothing", *first, 0x1111111111111111);
    set_pte(2, SPARE(2) | P | W);
    check("cross-write-ok", TRAP(asm volatile("movq $-1, (%0)" : : "r"(va) : "memory")), NO_TRAP);
    check("cross-first-half", *first, 0xffffffff11111111);
    check("cross-second-half", *(volatile uint64_t *)SPARE(2) & 0xffffffff, 0xffffffff);
    /* A string instruction that faults in the middle has done what came before. */
    uint64_t rdi, rcx;
    static uint64_t saved_rdi, saved_rcx;
    int hook(Frame *frame) { saved_rdi = frame->rdi; saved_rcx = frame->rcx; return 0; }
    trap_hook = hook;
    set_pte(2, 0);
    check_pf("rep-stos-fault",
             TRAP(asm volatile("rep stosb"
                               : "=D"(rdi), "=c"(rcx)
                               : "0"(TEST_PAGE(2) - 10), "1"(20ull), "a"(7))),
             2, TEST_PAGE(2));
    trap_hook = NULL;
    check("rep-stos-rdi", saved_rdi, TEST_PAGE(2));
    check("rep-stos-rcx", saved_rcx, 10);
    check("rep-stos-data", *(volatile uint8_t *)(SPARE(1) + 4095), 7);
    /* PUSH that faults leaves RSP. */
    set_pte(0, 0);
    int hook2(Frame *frame) { saved_rdi = frame->rsp; return 0; }
    trap_hook = hook2;
    tss.ist[0] = 0x9e000;
    idt[14] = gate(SEL_CODE, stub_address(14), 0x8e, 1);
    check_pf("push-fault",
             TRAP(asm volatile("mov %0, %%rsp; push %%rax"
                               :
                               : "r"(TEST_PAGE(1)))),
             2, TEST_PAGE(1) - 8);
    idt_reset();
    trap_hook = NULL;
    check("push-fault-rsp", saved_rdi, TEST_PAGE(1));
}

static void test_fetch(void)
{
    volatile uint8_t *code = (volatile uint8_t *)SPARE(3);
    static const uint64_t va = TEST_PAGE(3);

    code[0] = 0xc3;
    set_pte(3, SPARE(3) | P | W);
    check("fetch", CALL(va), NO_TRAP);
    set_pte(3, SPARE(3) | P | W | NX);
    check_pf("fetch-nx", CALL(va), 0x11, va);
    check("nx-read", LOAD(va), NO_TRAP);
    set_pte(3, SPARE(3) | P | W | U | NX);
    check_pf("fetch-nx-user", UCALL(va), 0x15, va);
    set_pte(3, 0);
    check_pf("fetch-np", CALL(va), 0x10, va);
    TEST_PDE(0) |= NX;
    set_pte(3, SPARE(3) | P | W);
    check_pf("fetch-nx-of-pde", CALL(va), 0x11, va);
    TEST_PDE(0) &= ~NX;
    /* An instruction that runs into a page that is not there. */
    set_pte(3, SPARE(3) | P | W);
    set_pte(4, 0);
    code[4094] = 0x48; /* mov $imm64, %rax */
    code[4095] = 0xb8;
    check_pf("fetch-cross", CALL(va + 4094), 0x10, TEST_PAGE(4));
    check("fetch-cross-rip", trap.rip, va + 4094);
    code[4095] = 0xc3;
    check("fetch-to-end", CALL(va + 4095), NO_TRAP);
    /* Without NXE the bit is reserved. */
    write_msr(0xc0000080, read_msr(0xc0000080) & ~0x800ull);
    set_pte(3, SPARE(3) | P | W | NX);
    if (by_sdm()) {
        check_pf("nx-reserved", LOAD(va), 9, va);
    }
    write_msr(0xc0000080, read_msr(0xc0000080) | 0x800);
}

static void test_large(void)
{
    static const uint64_t va = TEST_BASE + 0x200000;

    *(volatile uint32_t *)0x201234 = 0xabcdef01;
    TEST_PDE(1) = 0x200000 | P | W | PS;
    check("2m-read", LOAD(va), NO_TRAP);
    check("2m-value", *(volatile uint32_t *)(va + 0x1234), 0xabcdef01);
    check("2m-accessed", TEST_PDE(1) & (A | D), A);
    check("2m-write", STORE(va), NO_TRAP);
    check("2m-dirty", TEST_PDE(1) & D, D);
    TEST_PDE(1) = 0x200000 | P | W | PS | 1 << 13;
    asm volatile("invlpg (%0)" : : "r"(va) : "memory");
    if (by_sdm()) {
        check_pf("2m-reserved", LOAD(va), 9, va);
    }
    TEST_PDE(1) = 0;
    asm volatile("invlpg (%0)" : : "r"(va + 0x5000) : "memory");
    check_pf("2m-gone", LOAD(va + 0x1000), 0, va + 0x1000);
    if (features8[3] & 1u << 26) {
        static const uint64_t gib = 0xc0000000;
        PDPTE(3) = P | W | PS;
        check("1g-value", *(volatile uint32_t *)(gib + 0x201234), 0xabcdef01);
        check("1g-write", STORE(gib + 0x201234), NO_TRAP);
        check("1g-dirty", PDPTE(3) & (A | D), A | D);
        PDPTE(3) = P | W | PS | 1 << 13;
        asm volatile("invlpg (%0)" : : "r"(gib) : "memory");
        if (by_sdm()) {
            check_pf("1g-reserved", LOAD(gib), 9, gib);
        }
        PDPTE(3) = 0;
        asm volatile("invlpg (%0)" : : "r"(gib) : "memory");
    } else {
        skip("1 GiB pages");
    }
}

static void test_smep_smap(void)
{
    static const uint64_t va = TEST_PAGE(5);

    *(volatile uint8_t *)SPARE(5) = 0xc3;
    set_pte(5, SPARE(5) | P | W | U);
    check("no-smep", CALL(va), NO_TRAP);
    if (features7[1] & 1u << 7) {
        WRITE_CR(4, READ_CR(4) | 1 << 20);
        check_pf("smep", CALL(va), 0x11, va);
        check("smep-data", LOAD(va), NO_TRAP);
        check("smep-user", UCALL(va), 0x80);
        WRITE_CR(4, READ_CR(4) & ~(1ull << 20));
        check("smep-off", CALL(va), NO_TRAP);
    } else {
        skip("SMEP");
    }
    if (!(features7[1] & 1u << 20)) {
        skip("SMAP");
        return;
    }
    WRITE_CR(4, READ_CR(4) | 1 << 21);
    check_pf("smap-read", LOAD(va), 1, va);
    check_pf("smap-write", STORE(va), 3, va);
    check("smap-stac", TRAP(asm volatile("stac; movb (%0), %%al" : : "r"(va) : "rax")), NO_TRAP);
    check_pf("smap-clac",
             TRAP(asm volatile("stac; clac; movb (%0), %%al"
                               :
                               : "r"(va)
                               : "rax")),
             1, va);
    check("smap-fetch", CALL(va), NO_TRAP);
    check("smap-user", ULOAD(va), 0x80);
    check("user-stac", USER(asm volatile("stac")), 6);
    WRITE_CR(4, READ_CR(4) & ~(1ull << 21));
    check("smap-off", LOAD(va), NO_TRAP);
}

static void test_pku(void)
{
    static const uint64_t va = TEST_PAGE(6);

    if (!(features7[2] & 1u << 3)) {
        skip("PKU");
        return;
    }
    check("wrpkru-no-pke", TRAP(asm volatile("wrpkru" : : "a"(0), "c"(0), "d"(0))), 6);
    WRITE_CR(4, READ_CR(4) | 1 << 22);
    set_pte(6, SPARE(6) | P | W | U | 5ull << 59);
    asm volatile("wrpkru" : : "a"(1 << 10), "c"(0), "d"(0));
    check_pf("pku-ad-read", LOAD(va), 0x21, va);
    check_pf("pku-ad-user", ULOAD(va), 0x25, va);
    check_pf("pku-ad-user-write", USTORE(va), 0x27, va);
    asm volatile("wrpkru" : : "a"(2 << 10), "c"(0), "d"(0));
    check("pku-wd-read", ULOAD(va), 0x80);
    check_pf("pku-wd-user-write", USTORE(va), 0x27, va);
    check_pf("pku-wd-super-write", STORE(va), 0x23, va);
    WRITE_CR(0, READ_CR(0) & ~0x10000ull);
    check("pku-wd-super-no-wp", STORE(va), NO_TRAP);
    WRITE_CR(0, READ_CR(0) | 0x10000);
    set_pte(6, SPARE(6) | P | W | 5ull << 59);
    check("pku-supervisor-page", STORE(va), NO_TRAP);
    uint32_t eax;
    asm volatile("rdpkru" : "=a"(eax) : "c"(0) : "edx");
    check("rdpkru", eax, 2 << 10);
    check_fault("wrpkru-ecx", TRAP(asm volatile("wrpkru" : : "a"(0), "c"(1), "d"(0))), 13, 0);
    asm volatile("wrpkru" : : "a"(0), "c"(0), "d"(0));
    WRITE_CR(4, READ_CR(4) & ~(1ull << 22));
}

void main(void);
void main(void)
{
    cpuid(1, 0, features1);
    cpuid(7, 0, features7);
    cpuid(0x80000001, 0, features8);
    test_basic();
    test_crossing();
    test_fetch();
    test_large();
    test_smep_smap();
    test_pku();
}
