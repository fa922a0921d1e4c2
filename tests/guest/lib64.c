/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Tables and traps of the long-mode test environment. */
#include "lib64.h"

Gate idt[256];
Tss tss;
Frame trap;
uint32_t trap_vector;
int (*trap_hook)(Frame *frame);
extern char stubs[];
void setup(void);
int trap_handler(Frame *frame);

typedef struct TableRegister {
    uint16_t limit;
    uint64_t base;
} __attribute__((packed)) TableRegister;

uint64_t segment(uint32_t base, uint32_t limit, unsigned access, unsigned flags)
{
    return (limit & 0xffff) | (uint64_t)(base & 0xffffff) << 16 | (uint64_t)access << 40 |
           (uint64_t)((limit >> 16) & 15) << 48 | (uint64_t)flags << 52 |
           (uint64_t)(base >> 24) << 56;
}

Gate gate(uint16_t selector, uint64_t offset, unsigned access, unsigned ist)
{
    return (Gate){(offset & 0xffff) | (uint64_t)selector << 16 | (uint64_t)ist << 32 |
                      (uint64_t)access << 40 | ((offset >> 16) & 0xffff) << 48,
                  offset >> 32};
}

uint64_t stub_address(unsigned n)
{
    return (uint64_t)stubs + n * 16;
}

void idt_reset(void)
{
    TableRegister idtr = {sizeof(idt) - 1, (uint64_t)idt};

    for (unsigned i = 0; i < 256; i++) {
        idt[i] = gate(SEL_CODE, stub_address(i), i == 0x80 || i == 3 || i == 4 ? 0xee : 0x8e, 0);
    }
    asm volatile("lidt %0" : : "m"(idtr));
}

int trap_handler(Frame *frame)
{
    if (trap_hook && trap_hook(frame)) {
        return 1;
    }
    /* The words behind the frame are not of it; CR2 and the handler's RSP are added here. */
    memcpy(&trap, frame, __builtin_offsetof(Frame, cr2));
    asm volatile("mov %%cr2, %0" : "=r"(trap.cr2));
    trap.handler_rsp = (uint64_t)frame;
    trap_vector = frame->vector;
    return 0;
}

void check_fault(const char *name, uint32_t got, uint32_t vector, uint32_t error)
{
    check(name, (uint64_t)got << 32 | (got == NO_TRAP ? 0 : (uint32_t)trap.error),
          (uint64_t)vector << 32 | error);
}

void check_pf(const char *name, uint32_t got, uint32_t error, uint64_t address)
{
    check_fault(name, got, 14, error);
    if (got == 14 && trap.cr2 != address) {
        check(name, trap.cr2, address);
    }
}

void set_pte(unsigned n, uint64_t value)
{
    TEST_PTE(n) = value;
    asm volatile("invlpg (%0)" : : "r"(TEST_PAGE(n)) : "memory");
}

void setup(void)
{
    idt_reset();
    gdt[SEL_TSS / 8] = segment((uint32_t)(uint64_t)&tss, sizeof(tss) - 1, 0x89, 0);
    gdt[SEL_TSS / 8 + 1] = 0;
    tss.iomap = sizeof(tss);
    asm volatile("ltr %w0" : : "r"(SEL_TSS));
}
