/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What programs and kernels do at their worst, often enough to be translated: events at the edges
 * of blocks, code in devices, calls and returns that do not match, stacks that change, pages that
 * are code and data by turns.
 */
#include "lib64.h"

enum { HOT = 200 };

/* --- instructions of newer CPUs than the host may be ---------------------------------------- */

/* MOVDIRI stores as MOV does, whether the host knows it or not. */
static void test_direct_stores(void)
{
    static volatile uint64_t word;
    uint32_t features[4], wrong = 0;

    cpuid(7, 0, features);
    if (!(features[2] & 1u << 27)) {
        skip("direct-stores");
        return;
    }
    for (uint64_t n = 0; n < HOT; n++) {
        uint64_t value = n * 0x0101010101010101ull;

        asm volatile("movdiri %1, %0" : "=m"(word) : "r"(value));
        wrong += word != value;
        asm volatile("movdiri %1, %0" : "=m"(*(volatile uint32_t *)&word) : "r"(7u));
        wrong += word != ((value & ~0xffffffffull) | 7);
    }
    check("direct-stores", wrong, 0);
}

void main(void);
void main(void)
{
    test_direct_stores();
}
