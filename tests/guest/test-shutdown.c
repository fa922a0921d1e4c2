/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A triple fault resets the machine: the image runs twice, and knows by a word that RAM keeps. So
 * does a write to port 0xcf9 and the keyboard controller's pulse, each one reset further.
 */
#include "lib32.h"

#define PHASE (*(volatile uint32_t *)0x580)
#define MAGIC 0x7e57e500u

static void triple_fault(void)
{
    TableRegister idtr = {0, 0};

    asm volatile("lidt %0; int3" : : "m"(idtr));
}

static void reset_state(void)
{
    uint32_t cr0, edx;

    asm volatile("mov %%cr0, %0" : "=r"(cr0));
    check("reset-no-paging", cr0 >> 31, 0);
    asm volatile("mov %%cr4, %0" : "=r"(cr0));
    check("reset-cr4", cr0, 0);
    asm volatile("mov %%dr7, %0" : "=r"(cr0));
    check("reset-dr7", cr0, 0x400);
    asm volatile("rdmsr" : "=a"(cr0), "=d"(edx) : "c"(0x277));
    check("reset-pat", (uint64_t)edx << 32 | cr0, 0x0007040600070406);
}

void main(void);
void main(void)
{
    switch (PHASE) {
    case MAGIC:
        check("triple-fault-resets", 1, 1);
        reset_state();
        PHASE = MAGIC + 1;
        outb(0x64, 0xfe);
        break;
    case MAGIC + 1:
        check("keyboard-controller-resets", 1, 1);
        PHASE = MAGIC + 2;
        outb(0xcf9, 2);
        outb(0xcf9, 6);
        break;
    case MAGIC + 2:
        check("cf9-resets", 1, 1);
        PHASE = 0;
        return;
    default:
        PHASE = MAGIC;
        write_cr4(read_cr4() | 4);
        asm volatile("mov %0, %%dr7" : : "r"(0x401));
        triple_fault();
    }
    for (;;) {
        asm volatile("hlt");
    }
}
