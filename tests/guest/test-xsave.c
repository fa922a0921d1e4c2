/* SPDX-License-Identifier: GPL-2.0-or-later */
/* FXSAVE, XSAVE and what guards them: CR0.TS and EM, CR4.OSFXSR and OSXSAVE, XCR0 (SDM 1, 13). */
#include "lib64.h"

static uint8_t area[4096] __attribute__((aligned(64))), other[4096] __attribute__((aligned(64)));

static void set_xmm0(uint64_t value)
{
    asm volatile("movq %0, %%xmm0" : : "r"(value));
}

static uint64_t get_xmm0(void)
{
    uint64_t value;

    asm volatile("movq %%xmm0, %0" : "=r"(value));
    return value;
}

static uint64_t word(const uint8_t *from, unsigned offset)
{
    return *(const volatile uint64_t *)(from + offset);
}

static void test_guards(void)
{
    check("sse-no-osfxsr", TRAP(asm volatile("xorps %xmm0, %xmm0")), 6);
    WRITE_CR(4, READ_CR(4) | 0x600);
    check("sse", TRAP(asm volatile("xorps %xmm0, %xmm0")), NO_TRAP);
    WRITE_CR(0, READ_CR(0) | 8);
    check("sse-ts", TRAP(asm volatile("xorps %xmm0, %xmm0")), 7);
    check("x87-ts", TRAP(asm volatile("fld1")), 7);
    check("fxsave-ts", TRAP(asm volatile("fxsave64 %0" : "=m"(area))), 7);
    check("wait-ts-no-mp", TRAP(asm volatile("fwait")), NO_TRAP);
    WRITE_CR(0, READ_CR(0) | 2);
    check("wait-ts-mp", TRAP(asm volatile("fwait")), 7);
    asm volatile("clts");
    WRITE_CR(0, (READ_CR(0) & ~2ull) | 4);
    check("sse-em", TRAP(asm volatile("xorps %xmm0, %xmm0")), 6);
    check("x87-em", TRAP(asm volatile("fld1")), 7);
    WRITE_CR(0, (READ_CR(0) & ~4ull) | 0x22); /* NE, MP */
    check("xsave-no-osxsave", TRAP(asm volatile("xsave64 %0" : "=m"(area) : "a"(3), "d"(0))), 6);
    if (by_sdm()) {
        check_fault("movaps-unaligned",
                    TRAP(asm volatile("movaps %%xmm0, %0"
                                      : "=m"(area[1]))),
                    13, 0);
    }
    check_fault("fxsave-unaligned", TRAP(asm volatile("fxsave64 %0" : "=m"(area[8]))), 13, 0);
}

static void test_fxsave(void)
{
    set_xmm0(0x1122334455667788);
    asm volatile("fninit; fld1; fxsave64 %0" : "=m"(area));
    check("fxsave-fcw", word(area, 0) & 0xffff, 0x37f);
    check("fxsave-tag", area[4], 0x80);
    check("fxsave-one", word(area, 32), 0x8000000000000000);
    check("fxsave-one-exponent", word(area, 40) & 0xffff, 0x3fff);
    check("fxsave-mxcsr", word(area, 24) & 0xffffffff, 0x1f80);
    check("fxsave-xmm0", word(area, 160), 0x1122334455667788);
    set_xmm0(0);
    asm volatile("fninit; fxrstor64 %0" : : "m"(area));
    check("fxrstor-xmm0", get_xmm0(), 0x1122334455667788);
    *(uint32_t *)(area + 24) = 0x10000;
    if (by_sdm()) {
        check_fault("fxrstor-mxcsr", TRAP(asm volatile("fxrstor64 %0" : : "m"(area))), 13, 0);
    }
    static uint32_t mxcsr = 0x10000;
    if (by_sdm()) {
        check_fault("ldmxcsr", TRAP(asm volatile("ldmxcsr %0" : : "m"(mxcsr))), 13, 0);
    }
}

static void test_exceptions(void)
{
    static const uint32_t zero_divide = 0x1d80, all_masked = 0x1f80;
    uint32_t mxcsr;

    asm volatile("ldmxcsr %0" : : "m"(zero_divide));
    if (by_sdm()) {
        check(
            "xm",
            TRAP(asm volatile(
                "mov $1, %%eax; cvtsi2sd %%eax, %%xmm0; xorpd %%xmm1, %%xmm1; divsd %%xmm1, %%xmm0"
                :
                :
                : "rax")),
            19);
    }
    asm volatile("stmxcsr %0; ldmxcsr %1" : "=m"(mxcsr) : "m"(all_masked));
    if (by_sdm()) {
        check("xm-flag", mxcsr & 0x3f, 4);
    }
    static const uint16_t unmasked = 0x37b;
    check("mf",
          TRAP(asm volatile("fninit; fldcw %0; fld1; fldz; fdivrp; fwait"
                            :
                            : "m"(unmasked))),
          16);
    asm volatile("fninit");
}

static void test_xsave(void)
{
    uint32_t leaf[4], bits = 3;

    cpuid(1, 0, leaf);
    if (!(leaf[2] & 1u << 26)) {
        skip("XSAVE");
        return;
    }
    WRITE_CR(4, READ_CR(4) | 1 << 18);
    bits |= leaf[2] & 1u << 28 ? 4 : 0;
    asm volatile("xsetbv" : : "a"(bits), "c"(0), "d"(0));
    set_xmm0(0x55);
    asm volatile("xsave64 %0" : "=m"(area) : "a"(3), "d"(0));
    check("xsave-bv", word(area, 512) & 2, 2);
    check("xsave-xmm0", word(area, 160), 0x55);
    set_xmm0(0);
    asm volatile("xrstor64 %0" : : "m"(area), "a"(3), "d"(0));
    check("xrstor-xmm0", get_xmm0(), 0x55);
    *(volatile uint64_t *)(area + 512) = 1;
    asm volatile("xrstor64 %0" : : "m"(area), "a"(3), "d"(0));
    check("xrstor-init-xmm0", get_xmm0(), 0);
    *(volatile uint64_t *)(area + 512) = 1ull << 62;
    check_fault("xrstor-bv-reserved",
                TRAP(asm volatile("xrstor64 %0"
                                  :
                                  : "m"(area), "a"(3), "d"(0))),
                13, 0);
    *(volatile uint64_t *)(area + 512) = 0;
    *(volatile uint64_t *)(area + 528) = 1;
    check_fault("xrstor-header-reserved",
                TRAP(asm volatile("xrstor64 %0"
                                  :
                                  : "m"(area), "a"(3), "d"(0))),
                13, 0);
    check_fault("xsave-unaligned",
                TRAP(asm volatile("xsave64 %0"
                                  : "=m"(area[16])
                                  : "a"(3), "d"(0))),
                13, 0);
    if (!(bits & 4)) {
        skip("AVX");
        return;
    }
    asm volatile("mov $-1, %%rax; vmovq %%rax, %%xmm0; vpermilpd $0, %%xmm0, %%xmm0;"
                 "vinsertf128 $1, %%xmm0, %%ymm0, %%ymm0" : : : "rax");
    asm volatile("xsave64 %0" : "=m"(other) : "a"(7), "d"(0));
    check("xsave-avx", word(other, 576), ~0ull);
    asm volatile("vzeroupper");
    *(volatile uint64_t *)(other + 512) = 0;
    asm volatile("xsave64 %0" : "=m"(other) : "a"(7), "d"(0));
    check("vzeroupper-init", word(other, 512) & 4 ? word(other, 576) : 0, 0);
    check("avx-off", ({ asm volatile("xsetbv" : : "a"(3), "c"(0), "d"(0));
          TRAP(asm volatile("vxorps %ymm0, %ymm0, %ymm0")); }), 6);
    cpuid(0xd, 0, leaf);
    check("cpuid-xsave-size-now", leaf[1], 576);
}

void main(void);
static uint32_t feature(uint32_t subleaf, unsigned leaf, unsigned reg, unsigned bit)
{
    uint32_t out[4];

    cpuid(leaf, subleaf, out);
    return out[reg] >> bit & 1;
}

/* XSAVES and XRSTORS: the kernel's own, compacted only, no supervisor component (SDM 1, 13.11). */
static void test_supervisor(void)
{
    if (!feature(1, 0xd, 0, 3)) {
        skip("XSAVES");
        return;
    }
    asm volatile("wrmsr" : : "c"(0xda0), "a"(0), "d"(0));
    check_fault("xss", TRAP(asm volatile("wrmsr" : : "c"(0xda0), "a"(0x100), "d"(0))), 13, 0);
    for (unsigned i = 512; i < 576; i++) {
        area[i] = 0;
    }
    set_xmm0(0x55667788);
    asm volatile("xsaves64 %0" : "=m"(area) : "a"(2), "d"(0));
    check("xsaves-bv", word(area, 512) & 7, 2);
    check("xsaves-compacted", word(area, 520), 1ull << 63 | 2);
    set_xmm0(0);
    asm volatile("xrstors64 %0" : : "m"(area), "a"(2), "d"(0));
    check("xrstors", get_xmm0(), 0x55667788);
    check_fault("xsaves-user",
                USER(asm volatile("xsaves64 %0" : "=m"(area) : "a"(2), "d"(0))), 13, 0);
    check_fault("xrstors-user", USER(asm volatile("xrstors64 %0" : : "m"(area), "a"(2), "d"(0))),
                13, 0);
    *(volatile uint64_t *)(area + 520) = 0;
    check_fault("xrstors-standard",
                TRAP(asm volatile("xrstors64 %0" : : "m"(area), "a"(2), "d"(0))), 13, 0);
}

/* Direct stores: MOVDIRI as MOV, MOVDIR64B of 64 aligned bytes (SDM 2B). */
static void test_direct_stores(void)
{
    uint8_t *to = other;

    if (!feature(0, 7, 2, 28)) {
        skip("MOVDIR64B");
        return;
    }
    for (unsigned i = 0; i < 64; i++) {
        area[i] = i * 3;
        other[i] = 0;
    }
    asm volatile("movdir64b (%0), %1" : : "r"(area), "r"(to) : "memory");
    check("movdir64b", word(other, 0), 0x15120f0c09060300);
    check("movdir64b-end", word(other, 56), 0xbdbab7b4b1aeaba8);
    check_fault("movdir64b-unaligned",
                TRAP(asm volatile("movdir64b (%0), %1" : : "r"(area), "r"(to + 8) : "memory")),
                13, 0);
    asm volatile("movdiri %1, (%0)" : : "r"(to), "r"(0x1234567890ull) : "memory");
    check("movdiri", word(other, 0), 0x1234567890);
    check("movdiri-next", word(other, 8), 0x2d2a2724211e1b18);
}

void main(void)
{
    test_guards();
    test_fxsave();
    test_exceptions();
    test_xsave();
    test_supervisor();
    test_direct_stores();
}
