/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Real mode: segments and wraparound, the IVT, INT and IRET, limits, A20, unreal mode. */
#include "lib32.h"

static void real_run(const char *code)
{
    REAL_REGS->vector = 0xffff;
    REAL_REGS->eflags = 2;
    real_call((uint32_t)code);
}

CODE16(r_regs, "mov %cs, %ax; mov %ss, %bx; mov %sp, %cx; pushw $0x1234; pop %dx" REAL_RETURN);
CODE16(r_far, "pushw %cs; pushw $1f; lret; ud2; 1: mov $0x77, %ax;"
              "lcall $0x1000, $2f; jmp 3f; 2: mov %sp, %bx; lret; 3: mov %sp, %cx" REAL_RETURN);
CODE16(r_int,
       "int $0x40; mov %sp, %dx; jmp real_return; r_int_handler: mov %sp, %bp; mov (%bp), %si;"
       "mov 2(%bp), %di; mov 4(%bp), %bx; pushf; pop %cx; iret");
CODE16(r_div0, "xor %bx, %bx; mov $5, %ax; r_div0_at: div %bl" REAL_RETURN);
CODE16(r_gp_limit, "mov $0xffff, %bx; r_gp_at: movw (%bx), %ax" REAL_RETURN);
CODE16(r_ss_limit, "mov $0xffff, %bp; movw (%bp), %ax" REAL_RETURN);
CODE16(r_gp32, "mov $0x10000, %ebx; movb (%ebx), %al" REAL_RETURN);
CODE16(r_ud, "ud2" REAL_RETURN);
CODE16(r_arpl, ".byte 0x63, 0xc0" REAL_RETURN);
CODE16(r_bound, "mov $5, %ax; movw $6, 0x700; movw $9, 0x702; bound %ax, 0x700" REAL_RETURN);
CODE16(r_into, "mov $0x7f, %al; add $1, %al; into" REAL_RETURN);
CODE16(r_int3, "int3" REAL_RETURN);
CODE16(r_sp_wrap, "mov $0, %sp; pushw $0xbeef; mov %sp, %ax; mov $0x8000, %sp" REAL_RETURN);
CODE16(r_wrap_seg, "mov $0xffff, %ax; mov %ax, %ds; mov 0x510, %al" REAL_RETURN);
CODE16(r_wrap_low, "mov $0, %ax; mov %ax, %ds; mov 0x500, %al" REAL_RETURN);
CODE16(r_lds, "ldsw 0x700, %bx; mov %ds, %ax" REAL_RETURN);
CODE16(r_popf, "pushl $0x247cd7; popfl; pushfl; popl %eax; pushw $0; popfw" REAL_RETURN);
CODE16(r_iret32, "pushl $0x200003; pushl $0x1000; pushl $1f; iretl; 1: pushfl; popl %eax;"
                 "pushl $2; popfl" REAL_RETURN);
CODE16(r_lmsw, "smsw %ax" REAL_RETURN);
CODE16(r_cs_write, "movw $0x4321, %cs:r_cs_word; mov %cs:r_cs_word, %ax" REAL_RETURN
                   "r_cs_word: .word 0");
CODE16(
    r_rep,
    "mov $0x700, %si; mov $0x780, %di; mov $8, %cx; cld; push %ds; pop %es; rep movsb" REAL_RETURN);
CODE16(r_addr32, "movl $0x12345678, 0x700; mov $0x600, %ebx; mov $0x40, %esi; movl (%ebx,%esi,4), "
                 "%eax" REAL_RETURN);
CODE16(r_jmp_limit, "mov $0x10000, %eax; jmpl *%eax" REAL_RETURN);
CODE16(r_ip_wrap,
       "r_ip_at: push $1f; push $1f; pop %ax; ret; 1: mov $0x55, %ax; pop %bx" REAL_RETURN);
CODE16(r_tf, "pushw $0x102; popfw; nop; nop; hlt" REAL_RETURN);
CODE16(r_sti_pushf, "sti; pushf; cli; pop %ax; pushf; pop %bx" REAL_RETURN);
CODE16(r_mov_cs, ".byte 0x8e, 0xc8" REAL_RETURN);
CODE16(r_sldt, "sldt %ax" REAL_RETURN);
CODE16(
    r_enter,
    "mov $0x1111, %bp; enter $8, $2; mov %sp, %ax; mov %bp, %bx; leave; mov %sp, %cx" REAL_RETURN);
CODE16(r_pusha, "mov $1, %ax; mov $2, %bx; pusha; mov %sp, 0x710; popa; mov %sp, %dx" REAL_RETURN);

static void set_vector(unsigned n, uint16_t segment_, uint16_t offset)
{
    ((volatile uint32_t *)0)[n] = (uint32_t)segment_ << 16 | offset;
}

static void test_transfers(void)
{
    real_run(r_regs);
    check("real-cs", REAL_REGS->eax & 0xffff, 0x1000);
    check("real-ss", REAL_REGS->ebx & 0xffff, 0x8000);
    check("real-push-pop", REAL_REGS->edx & 0xffff, 0x1234);
    real_run(r_far);
    check("real-far-ret", REAL_REGS->eax & 0xffff, 0x77);
    check("real-far-call-sp", (REAL_REGS->ecx - REAL_REGS->ebx) & 0xffff, 4);
    real_run(r_ip_wrap);
    check("real-near-ret", REAL_REGS->eax & 0xffff, 0x55);
    if (by_sdm()) {
        real_run(r_jmp_limit);
        check("real-jmp-beyond-limit", REAL_REGS->vector, 13);
    }
}

static void test_interrupts(void)
{
    extern char r_int_handler[], r_div0_at[], r_gp_at[];

    set_vector(0x40, 0x1000, (uint32_t)r_int_handler);
    REAL_REGS->eflags = 2;
    real_run(r_int);
    check("real-int-ip", REAL_REGS->esi & 0xffff, ((uint32_t)r_int + 2) & 0xffff);
    check("real-int-cs", REAL_REGS->edi & 0xffff, 0x1000);
    check("real-int-flags-if", REAL_REGS->ecx & 0x300, 0);
    check("real-iret-sp", REAL_REGS->edx & 0xffff, 0x8000);
    real_run(r_div0);
    check("real-div0", REAL_REGS->vector, 0);
    check("real-div0-ip", REAL_REGS->trap_ip, (uint32_t)r_div0_at);
    if (by_sdm()) {
        real_run(r_gp_limit);
        check("real-gp-word-at-ffff", REAL_REGS->vector, 13);
        check("real-gp-ip", REAL_REGS->trap_ip, (uint32_t)r_gp_at);
        real_run(r_ss_limit);
        check("real-ss-word-at-ffff", REAL_REGS->vector, 12);
        real_run(r_gp32);
        check("real-gp-32bit-offset", REAL_REGS->vector, 13);
    }
    real_run(r_ud);
    check("real-ud2", REAL_REGS->vector, 6);
    real_run(r_arpl);
    check("real-arpl", REAL_REGS->vector, 6);
    real_run(r_sldt);
    check("real-sldt", REAL_REGS->vector, 6);
    real_run(r_mov_cs);
    check("real-mov-to-cs", REAL_REGS->vector, 6);
    real_run(r_bound);
    check("real-bound", REAL_REGS->vector, 5);
    real_run(r_into);
    check("real-into", REAL_REGS->vector, 4);
    real_run(r_int3);
    check("real-int3", REAL_REGS->vector, 3);
    check("real-int3-ip", REAL_REGS->trap_ip, ((uint32_t)r_int3 + 1) & 0xffff);
    real_run(r_tf);
    check("real-tf", REAL_REGS->vector, 1);
    check("real-tf-ip", REAL_REGS->trap_ip, ((uint32_t)r_tf + 5) & 0xffff);
    check("real-tf-flags", REAL_REGS->trap_flags & 0x100, 0x100);
}

static void test_memory(void)
{
    volatile uint8_t *low = (volatile uint8_t *)0x500;
    volatile uint8_t *high = (volatile uint8_t *)0x100500;

    *low = 0x11;
    *high = 0x22;
    real_run(r_wrap_seg);
    check("real-a20-on", REAL_REGS->eax & 0xff, 0x22);
    outb(0x92, inb(0x92) & ~3);
    real_run(r_wrap_seg);
    check("real-a20-off", REAL_REGS->eax & 0xff, 0x11);
    outb(0x92, (inb(0x92) | 2) & ~1);
    REAL_REGS->ds = 0;
    real_run(r_wrap_seg);
    check("real-a20-on-again", REAL_REGS->eax & 0xff, 0x22);
    REAL_REGS->ds = 0;
    real_run(r_wrap_low);
    check("real-low", REAL_REGS->eax & 0xff, 0x11);
    real_run(r_sp_wrap);
    check("real-sp-wrap", REAL_REGS->eax & 0xffff, 0xfffe);
    check("real-sp-wrap-data", *(volatile uint16_t *)0x8fffe, 0xbeef);
    real_run(r_cs_write);
    check("real-cs-writable", REAL_REGS->eax & 0xffff, 0x4321);
    REAL_REGS->ds = 0;
    *(volatile uint32_t *)0x700 = 0xabcd1234;
    real_run(r_lds);
    check("real-lds-ds", REAL_REGS->eax & 0xffff, 0xabcd);
    check("real-lds-bx", REAL_REGS->ebx & 0xffff, 0x1234);
    REAL_REGS->ds = 0;
    for (unsigned i = 0; i < 8; i++) {
        ((volatile uint8_t *)0x700)[i] = i * 3;
    }
    real_run(r_rep);
    check("real-rep-movsb", ((volatile uint8_t *)0x780)[7], 21);
    check("real-rep-cx", REAL_REGS->ecx & 0xffff, 0);
    real_run(r_addr32);
    check("real-addr32", REAL_REGS->eax, 0x12345678);
}


static void test_flags(void)
{
    real_run(r_popf);
    check("real-popfl", REAL_REGS->eax & 0x247cd7, 0x247cd7);
    real_run(r_iret32);
    check("real-iretl", REAL_REGS->eax & 0x200001, 0x200001);
    real_run(r_lmsw);
    check("real-smsw-pe", REAL_REGS->eax & 1, 0);
    real_run(r_sti_pushf);
    check("real-sti", REAL_REGS->eax & 0x200, 0x200);
    check("real-cli", REAL_REGS->ebx & 0x200, 0);
    real_run(r_enter);
    check("real-enter-bp", (REAL_REGS->ebx) & 0xffff, 0x7ffe);
    check("real-enter-sp", (REAL_REGS->eax) & 0xffff, 0x7ffe - 4 - 8);
    check("real-leave-sp", (REAL_REGS->ecx) & 0xffff, 0x8000);
    REAL_REGS->ds = 0;
    real_run(r_pusha);
    check("real-pusha-sp", *(volatile uint16_t *)0x710, 0x7ff0);
    check("real-popa-sp", REAL_REGS->edx & 0xffff, 0x8000);
}

void main(void);
void main(void)
{
    test_transfers();
    test_interrupts();
    test_memory();
    test_flags();
}
