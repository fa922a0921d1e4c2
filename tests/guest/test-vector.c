/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One instruction of each kind that interprets by host code: here they work; where the host refuses
 * executable memory they raise #UD (tests/functional/test_no_exec.py).
 */
#include "lib64.h"

void main(void);
void main(void)
{
    uint32_t features[4];

    WRITE_CR(4, READ_CR(4) | 0x600);
    WRITE_CR(0, (READ_CR(0) | 2) & ~12ull);
    check("x87", TRAP(asm volatile("fninit; fld1; fadd %st(0); fstp %st(0)")), NO_TRAP);
    check("mmx", TRAP(asm volatile("paddb %mm0, %mm1; emms")), NO_TRAP);
    check("sse", TRAP(asm volatile("addps %xmm0, %xmm1")), NO_TRAP);
    cpuid(1, 0, features);
    if (!(features[2] & 1u << 28)) {
        skip("avx");
        return;
    }
    WRITE_CR(4, READ_CR(4) | 1 << 18);
    asm volatile("xsetbv" : : "a"(7), "d"(0), "c"(0));
    check("avx", TRAP(asm volatile("vaddps %ymm0, %ymm1, %ymm2")), NO_TRAP);
}
