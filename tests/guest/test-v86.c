/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Virtual-8086 mode with and without IOPL 3 and VME, and PVI (SDM 3A chapter 20). */
#include "lib32.h"

enum { IF = 0x200, IOPL3 = 0x3000, VIF = 0x80000, VIP = 0x100000, NT = 0x4000 };

CODE16(v_hlt, "hlt");
CODE16(v_segments, "mov %cs, %ax; mov %ss, %bx; mov %ds, %cx; mov %es, %dx; mov %fs, %si; mov %gs, "
                   "%di; int $0x80");
CODE16(v_load, "mov $0x70, %ax; mov %ax, %ds; movb 0, %bl; int $0x80");
CODE16(v_limit, "mov $0xffff, %bx; movw (%bx), %ax; int $0x80");
CODE16(v_cli, "cli; pushf; pop %ax; int $0x80");
CODE16(v_sti, "sti; pushf; pop %ax; int $0x80");
CODE16(v_pushf, "pushf; pop %ax; int $0x80");
CODE16(v_pushfl, "pushfl; pop %eax; int $0x80");
CODE16(v_popf, "pushw $0x3202; popfw; pushf; pop %ax; int $0x80");
CODE16(v_popf_tf, "pushw $0x302; popfw; int $0x80");
CODE16(v_iret, "pushw $0x3202; pushw %cs; pushw $1f; iretw; 1: pushf; pop %ax; int $0x80");
CODE16(v_int, "int $0x33; nop; int $0x80");
CODE16(v_int_target,
       "mov %sp, %bp; mov (%bp), %ax; mov 2(%bp), %bx; mov 4(%bp), %cx; pushf; pop %dx; int $0x80");
CODE16(v_in, "inb $0x80, %al; int $0x80");
CODE16(v_lldt, "lldt %ax; int $0x80");
CODE16(v_mov_cr, "mov %cr0, %eax; int $0x80");
CODE16(v_ud, "ud2");
CODE16(v_int3, "int3");
CODE16(v_lgdt, "lgdtl 0; int $0x80");
CODE16(v_sidt, "sidtl %es:0x100; int $0x80");
CODE16(v_far, "lcall $0x1000, $v_far2; int $0x80; v_far2: mov $0x77, %cl; lret");
CODE16(v_sysenter, "smsw %ax; int $0x80");

static uint32_t run(const char *code, uint32_t eflags)
{
    return v86_call((uint32_t)code, eflags);
}

static void check_fault(const char *name, uint32_t got, uint32_t vector, uint32_t error)
{
    check(name, (uint64_t)got << 32 | trap.error, (uint64_t)vector << 32 | error);
}

static void test_plain(void)
{
    check_fault("v86-hlt", run(v_hlt, 2), 13, 0);
    check("v86-vm-pushed", trap.eflags & 0x20000, 0x20000);
    check("v86-cs-pushed", trap.cs, 0x1000);
    check("v86-ds-pushed", trap.ds86, 0x2222);
    check("v86-es-pushed", trap.es86, 0x1111);
    check("v86-fs-pushed", trap.fs86, 0x3333);
    check("v86-gs-pushed", trap.gs86, 0x4444);
    check("v86-handler-ds-null", trap.ds & 0xffff, 0);
    check("v86-segments", run(v_segments, IOPL3), 0x80);
    check("v86-cs", trap.eax & 0xffff, 0x1000);
    check("v86-ss", trap.ebx & 0xffff, 0x8000);
    check("v86-ds", trap.ecx & 0xffff, 0x2222);
    check("v86-gs", trap.edi & 0xffff, 0x4444);
    *(volatile uint8_t *)0x700 = 0x5a;
    check("v86-load", run(v_load, IOPL3) << 8 | (trap.ebx & 0xff), 0x805a);
    if (by_sdm()) {
        check_fault("v86-limit", run(v_limit, IOPL3), 13, 0);
    }
    check("v86-ud", run(v_ud, 2), 6);
    check("v86-int3", run(v_int3, 2), 3);
    check("v86-lldt-ud", run(v_lldt, IOPL3), 6);
    check_fault("v86-mov-cr0", run(v_mov_cr, IOPL3), 13, 0);
    check_fault("v86-lgdt", run(v_lgdt, IOPL3), 13, 0);
    check("v86-sidt", run(v_sidt, IOPL3), 0x80);
    check("v86-smsw", run(v_sysenter, IOPL3), 0x80);
    check("v86-far-call", run(v_far, IOPL3) << 8 | (trap.ecx & 0xff), 0x8077);
    check_fault("v86-in", run(v_in, IOPL3), 13, 0);
    TSS_IOMAP[0x80 / 8] = 0xfe;
    check("v86-in-bitmap", run(v_in, 2) == 13 ? 13 : trap.vector, 13); /* INT 0x80 needs IOPL 3 */
    check("v86-in-bitmap-iopl3", run(v_in, IOPL3), 0x80);
    TSS_IOMAP[0x80 / 8] = 0xff;
}

static void test_iopl(void)
{
    check_fault("v86-iopl0-cli", run(v_cli, 2), 13, 0);
    check_fault("v86-iopl0-sti", run(v_sti, 2), 13, 0);
    check_fault("v86-iopl0-pushf", run(v_pushf, 2), 13, 0);
    check_fault("v86-iopl0-popf", run(v_popf, 2), 13, 0);
    check_fault("v86-iopl0-iret", run(v_iret, 2), 13, 0);
    check_fault("v86-iopl0-int", run(v_int, 2), 13, 0);
    check("v86-iopl3-cli", run(v_cli, IOPL3), 0x80);
    check("v86-iopl3-sti-if", run(v_sti, IOPL3) << 16 | (trap.eax & IF), 0x800000 | IF);
    check("v86-iopl3-popf", run(v_popf, IOPL3) << 16 | (trap.eax & (IF | IOPL3)),
          0x800000 | IF | IOPL3);
    check("v86-iopl3-iret", run(v_iret, IOPL3) << 16 | (trap.eax & IF), 0x800000 | IF);
    check_fault("v86-iopl3-int-dpl", run(v_int, IOPL3), 13, 0x33 * 8 + 2);
    idt[0x33] = gate(SEL_CODE, stub_address(0x33), 0xee, 0);
    check("v86-iopl3-int", run(v_int, IOPL3), 0x33);
    idt_reset();
    gdt[SEL_FREE / 8] = segment(0, 0xfffff, 0xfb, 12);
    idt[0x33] = gate(SEL_FREE | 3, stub_address(0x33), 0xee, 0);
    check_fault("v86-int-to-ring3", run(v_int, IOPL3), 13, SEL_FREE);
    idt_reset();
}

static void test_vme(void)
{
    idt[0x33] = gate(SEL_CODE, stub_address(0x33), 0xee, 0);
    ((volatile uint32_t *)0)[0x33] = 0x10000000 | (uint32_t)v_int_target;
    ((volatile uint32_t *)0)[0x80] = 0x10000000 | (uint32_t)v_hlt;
    check("vme-cli", run(v_cli, VIF) << 24 | (trap.eax & (IF | IOPL3)), 13u << 24 | IOPL3);
    check("vme-cli-vif", trap.eflags & VIF, 0);
    check("vme-sti", run(v_sti, 2) << 24 | (trap.eax & (IF | IOPL3)), 13u << 24 | IOPL3 | IF);
    check("vme-sti-vif", trap.eflags & (VIF | IF), VIF);
    check_fault("vme-sti-vip", run(v_sti, VIP), 13, 0);
    check_fault("vme-pushfl", run(v_pushfl, 2), 13, 0);
    check("vme-popf", run(v_popf, 2) << 24 | (trap.eflags & (VIF | IF | IOPL3)), 13u << 24 | VIF);
    check_fault("vme-popf-vip", run(v_popf, VIP), 13, 0);
    check("vme-popf-vip-pending", trap.eflags & VIF, 0);
    check_fault("vme-popf-tf", run(v_popf_tf, 2), 13, 0);
    check("vme-iret", run(v_iret, 2) << 24 | (trap.eflags & (VIF | IF)), 13u << 24 | VIF);
    /* Bit set: to the monitor, which IOPL 0 forbids. */
    check_fault("vme-int-not-redirected", run(v_int, 2), 13, 0);
    TSS_REDIRECT[0x33 / 8] &= ~(1 << (0x33 & 7));
    TSS_REDIRECT[0x80 / 8] &= ~1;
    check("vme-int-redirected", run(v_int, VIF), 13); /* HLT of vector 80h */
    check("vme-int-ip", trap.eax & 0xffff, ((uint32_t)v_int + 2) & 0xffff);
    check("vme-int-cs", trap.ebx & 0xffff, 0x1000);
    check("vme-int-flags", trap.ecx & (IF | IOPL3), IF | IOPL3);
    check("vme-int-vif-cleared", trap.eflags & VIF, 0);
    check("vme-int-iopl3", run(v_int, IOPL3), 13);
    check("vme-int-iopl3-flags", trap.ecx & (IF | IOPL3), IOPL3);
    TSS_REDIRECT[0x33 / 8] = TSS_REDIRECT[0x80 / 8] = 0xff;
    idt_reset();
}

static void test_pvi(void)
{
    check("pvi-sti", USER(asm volatile("sti")) << 24 | (trap.eflags & (VIF | IF)),
          0x80u << 24 | VIF);
    check("pvi-cli", USER_FLAGS(VIF, asm volatile("cli")) << 24 | (trap.eflags & (VIF | IF)),
          0x80u << 24);
    check_fault("pvi-sti-vip", USER_FLAGS(VIP, asm volatile("sti")), 13, 0);
    check("pvi-popf-if", USER(asm volatile("pushf; orl $0x200, (%esp); popf")) << 24 |
          (trap.eflags & (VIF | IF)), 0x80u << 24);
}

void main(void);
void main(void)
{
    uint32_t eax = 1, ebx, ecx = 0, edx;

    test_plain();
    test_iopl();
    asm volatile("cpuid" : "+a"(eax), "=b"(ebx), "+c"(ecx), "=d"(edx));
    if (!(edx & 2)) {
        skip("VME: the CPU has none");
        return;
    }
    write_cr4(read_cr4() | 1);
    test_vme();
    write_cr4((read_cr4() & ~1) | 2);
    test_pvi();
}
