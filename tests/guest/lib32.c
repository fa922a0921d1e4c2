/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Tables and traps of the 32-bit test environment. */
#include "lib32.h"

uint64_t gdt[128], idt[256];
static struct {
    Tss tss;
    uint8_t bitmap[8192 + 32 + 1];
} __attribute__((packed, aligned(16))) task;
extern Tss tss __attribute__((alias("task")));
Frame trap;
uint32_t trap_vector, trap_count;
int (*trap_hook)(Frame *frame);
extern char stubs[], real_stubs[];
void setup(void);
int trap_handler(Frame *frame);

uint64_t segment(uint32_t base, uint32_t limit, unsigned access, unsigned flags)
{
    return (limit & 0xffff) | (uint64_t)(base & 0xffffff) << 16 | (uint64_t)access << 40 |
           (uint64_t)((limit >> 16) & 15) << 48 | (uint64_t)flags << 52 |
           (uint64_t)(base >> 24) << 56;
}

uint64_t gate(uint16_t selector, uint32_t offset, unsigned access, unsigned parameters)
{
    return (offset & 0xffff) | (uint64_t)selector << 16 | (uint64_t)parameters << 32 |
           (uint64_t)access << 40 | (uint64_t)(offset >> 16) << 48;
}

uint32_t stub_address(unsigned n)
{
    return (uint32_t)stubs + n * 16;
}

void idt_reset(void)
{
    TableRegister idtr = {sizeof(idt) - 1, (uint32_t)idt};

    for (unsigned i = 0; i < 256; i++) {
        idt[i] = gate(SEL_CODE, stub_address(i), i == 0x80 || i == 3 || i == 4 ? 0xee : 0x8e, 0);
    }
    asm volatile("lidt %0" : : "m"(idtr));
}

void gdt_reset(void)
{
    TableRegister gdtr = {sizeof(gdt) - 1, (uint32_t)gdt};

    gdt[0] = 0;
    gdt[SEL_CODE / 8] = segment(0, 0xfffff, 0x9b, 12);
    gdt[SEL_DATA / 8] = segment(0, 0xfffff, 0x93, 12);
    gdt[SEL_UCODE / 8] = segment(0, 0xfffff, 0xfb, 12);
    gdt[SEL_UDATA / 8] = segment(0, 0xfffff, 0xf3, 12);
    gdt[SEL_TSS / 8] = segment((uint32_t)&task, sizeof(task) - 1, 0x89, 0);
    gdt[SEL_CODE16 / 8] = segment(0x10000, 0xffff, 0x9b, 0);
    gdt[SEL_DATA16 / 8] = segment(0, 0xffff, 0x93, 0);
    asm volatile("lgdt %0\n\tljmp $0x08, $1f\n1:" : : "m"(gdtr) : "memory");
    asm volatile("mov %0, %%ds; mov %0, %%es; mov %0, %%ss; mov %0, %%fs; mov %0, %%gs"
                 : : "r"(SEL_DATA));
}

int trap_handler(Frame *frame)
{
    trap_count++;
    if (trap_hook && trap_hook(frame)) {
        return 1;
    }
    trap = *frame;
    trap_vector = frame->vector;
    return 0;
}

void setup(void)
{
    gdt_reset();
    idt_reset();
    tss.ss0 = SEL_DATA;
    tss.iomap = sizeof(Tss) + 32;
    for (unsigned i = 0; i < sizeof(task.bitmap); i++) {
        task.bitmap[i] = 0xff;
    }
    asm volatile("ltr %w0" : : "r"(SEL_TSS));
    for (unsigned i = 0; i < 256; i++) {
        ((volatile uint32_t *)0)[i] = 0x10000000 | ((uint32_t)real_stubs + i * 8);
    }
    REAL_REGS->vector = 0xffff;
}
