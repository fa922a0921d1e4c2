/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Prints every CPUID leaf, in the order and form of -cpu MODEL,dump (target-i386/cpu-dump.c): what
 * that says, a guest must see. tests/functional/test_cpu_tools.py compares.
 */
#include "lib32.h"

static void cpuid(uint32_t leaf, uint32_t subleaf, uint32_t out[4])
{
    asm volatile("cpuid" : "=a"(out[0]), "=b"(out[1]), "=c"(out[2]), "=d"(out[3])
                 : "a"(leaf), "c"(subleaf));
}

static void put_padded(uint32_t value, unsigned digits)
{
    put_string("0x");
    while (digits--) {
        char digit[2] = {"0123456789abcdef"[value >> (4 * digits) & 15], 0};
        put_string(digit);
    }
}

static void print(uint32_t leaf, uint32_t subleaf)
{
    static const char *const names[] = {" eax=", " ebx=", " ecx=", " edx="};
    uint32_t out[4];

    cpuid(leaf, subleaf, out);
    if (!(out[0] | out[1] | out[2] | out[3])) {
        return;
    }
    put_string("   ");
    put_padded(leaf, 8);
    put_string(" ");
    put_padded(subleaf, 2);
    put_string(":");
    for (unsigned i = 0; i < 4; i++) {
        put_string(names[i]);
        put_padded(out[i], 8);
    }
    put_string("\n");
}

/* Subleaves from 0 on for which the field of @out[reg] at @shift is not 0. */
static unsigned count_until_zero(uint32_t leaf, unsigned reg, unsigned shift, uint32_t mask)
{
    uint32_t out[4];
    unsigned i = 0;

    for (; i < 32; i++) {
        cpuid(leaf, i, out);
        if (!(out[reg] >> shift & mask)) {
            break;
        }
    }
    return i;
}

static unsigned count_subleaves(uint32_t leaf)
{
    uint32_t out[4];

    switch (leaf) {
    case 0x4:
    case 0x8000001d:
        return count_until_zero(leaf, 0, 0, 0x1f);
    case 0xb:
    case 0x1f:
        return count_until_zero(leaf, 2, 8, 0xff);
    case 0x7:
    case 0x14:
    case 0x17:
    case 0x18:
    case 0x1d:
        cpuid(leaf, 0, out);
        return (out[0] < 31 ? out[0] : 31) + 1;
    case 0xd:
        return 64;
    case 0xf:
    case 0x10:
    case 0x12:
        return 4;
    default:
        return 1;
    }
}

static void print_range(uint32_t base)
{
    uint32_t out[4], last;

    cpuid(base, 0, out);
    last = out[0];
    if (last < base || last - base > 0x1ff) {
        return;
    }
    for (uint32_t leaf = base; leaf <= last; leaf++) {
        unsigned count = count_subleaves(leaf);
        for (unsigned subleaf = 0; subleaf < count; subleaf++) {
            print(leaf, subleaf);
        }
    }
}

void main(void);
void main(void)
{
    print_range(0);
    print_range(0x40000000);
    print_range(0x80000000);
    print_range(0xc0000000);
}
