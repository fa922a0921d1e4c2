/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Protected mode: descriptors and their faults, limits, gates, privilege changes, 16-bit code. */
#include "lib32.h"

#define FREE(n) (SEL_FREE + (n) * 8)

static void put(unsigned n, uint64_t descriptor)
{
    gdt[SEL_FREE / 8 + n] = descriptor;
}

static void load_fs(uint16_t selector)
{
    asm volatile("mov %w0, %%fs" : : "r"(selector));
}

/* "NAME" is the vector, "NAME-error" the code. */
static void check_fault(const char *name, uint32_t got, uint32_t vector, uint32_t error)
{
    check(name, (uint64_t)got << 32 | (got == NO_TRAP ? 0 : trap.error),
          (uint64_t)vector << 32 | error);
}

static void test_data_segments(void)
{
    put(0, segment(0x700, 0xf, 0x92, 4));          /* 16 bytes, not accessed */
    check("ds-load", TRAP(load_fs(FREE(0))), NO_TRAP);
    check("ds-accessed-bit", gdt[SEL_FREE / 8] >> 40 & 1, 1);
    check_fault("ds-beyond-gdt", TRAP(load_fs(0xfff8)), 13, 0xfff8);
    put(1, segment(0x700, 0xf, 0x12, 4));
    check_fault("ds-not-present", TRAP(load_fs(FREE(1))), 11, FREE(1));
    put(1, segment(0, 0xf, 0x99, 4));
    check_fault("ds-execute-only", TRAP(load_fs(FREE(1))), 13, FREE(1));
    put(1, segment(0, 0xf, 0x89, 0));
    check_fault("ds-system", TRAP(load_fs(FREE(1))), 13, FREE(1));
    check_fault("ds-rpl", TRAP(load_fs(FREE(0) | 3)), 13, FREE(0));
    check("ds-null", TRAP(load_fs(0)), NO_TRAP);
    check("ds-null-3", TRAP(load_fs(3)), NO_TRAP);
    check_fault("ds-ldt-absent", TRAP(load_fs(0xc)), 13, 0xc);
    check_fault("ss-null", TRAP(asm volatile("mov %0, %%ss" : : "r"(0))), 13, 0);
    put(1, segment(0, 0xfffff, 0x91, 12));
    check_fault("ss-read-only", TRAP(asm volatile("mov %0, %%ss" : : "r"(FREE(1)))), 13, FREE(1));
    put(1, segment(0, 0xfffff, 0x13, 12));
    check_fault("ss-not-present", TRAP(asm volatile("mov %0, %%ss" : : "r"(FREE(1)))), 12, FREE(1));
    put(1, segment(0, 0xfffff, 0xf3, 12));
    check_fault("ss-dpl", TRAP(asm volatile("mov %0, %%ss" : : "r"(FREE(1)))), 13, FREE(1));
    put(1, segment(0, 0xfffff, 0x91, 12));
    check("ds-read-only-read",
          TRAP(asm volatile("mov %0, %%fs; movl %%fs:0x700, %%eax"
                            :
                            : "r"(FREE(1))
                            : "eax")),
          NO_TRAP);
    if (by_sdm()) {
        check_fault("ds-null-use",
                    TRAP(asm volatile("mov %0, %%fs; movl %%fs:0, %%eax"
                                      :
                                      : "r"(0)
                                      : "eax")),
                    13, 0);
        check_fault("ds-read-only-write",
                    TRAP(asm volatile("mov %0, %%fs; movl %%eax, %%fs:0x700"
                                      :
                                      : "r"(FREE(1)))),
                    13, 0);
        check_fault("cs-write", TRAP(asm volatile("movl %eax, %cs:0x700")), 13, 0);
    }
}

#define AT(sel, offset)                                                                            \
    TRAP(asm volatile("push %%fs; mov %w0, %%fs; movl %%fs:(%1), %%eax; pop %%fs"                  \
                      :                                                                            \
                      : "r"(sel), "r"(offset)                                                      \
                      : "eax"))

/* QEMU's TCG checks no limits at all. */
static void test_limits(void)
{
    put(0, segment(0x10000, 0xfff, 0x93, 4));
    check("limit-last", AT(FREE(0), 0xffc), NO_TRAP);
    if (!by_sdm()) {
        return;
    }
    check_fault("limit-beyond", AT(FREE(0), 0xffd), 13, 0);
    check_fault("limit-wrap", AT(FREE(0), 0xfffffffe), 13, 0);
    put(1, segment(0x10000, 0, 0x93, 12));
    check("limit-page-granular", AT(FREE(1), 0xffc), NO_TRAP);
    check_fault("limit-page-granular-beyond", AT(FREE(1), 0xffe), 13, 0);
    put(2, segment(0x10000, 0xfff, 0x97, 4)); /* expand-down above fff */
    check_fault("expand-down-below", AT(FREE(2), 0xfff), 13, 0);
    check("expand-down-first", AT(FREE(2), 0x1000), NO_TRAP);
    check("expand-down-32bit-top", AT(FREE(2), 0x20000), NO_TRAP);
    put(2, segment(0x10000, 0xfff, 0x97, 0));
    check("expand-down-16bit-last", AT(FREE(2), 0xfffc), NO_TRAP);
    check_fault("expand-down-16bit-top", AT(FREE(2), 0xfffd), 13, 0);
    put(3, segment(0, 0xfff, 0xf3, 4));
    check_fault("ss-limit",
                USER(asm volatile("mov %0, %%ss; pushl %%eax"
                                  :
                                  : "r"(FREE(3) | 3))),
                12, 0);
}

#define QUERY(insn, selector) ({ uint32_t v_ = 0xdead; uint8_t z_; \
    asm volatile(insn " %2, %0; setz %1" : "+r"(v_), "=q"(z_) : "r"((uint32_t)(selector)) : "cc"); \
    z_ ? v_ : 0xdead; })
#define VERIFY(insn, selector) ({ uint8_t z_; \
    asm volatile(insn " %w1; setz %0" : "=q"(z_) : "r"(selector) : "cc"); z_; })

static void test_queries(void)
{
    check("lar-code", QUERY("lar", SEL_CODE) & 0xf0ff00, 0xc09b00);
    check("lar-data", QUERY("lar", SEL_UDATA) & 0xf0ff00, 0xc0f300);
    check("lar-null", QUERY("lar", 0), 0xdead);
    check("lar-beyond", QUERY("lar", 0xfff8), 0xdead);
    check("lar-tss", QUERY("lar", SEL_TSS) & 0xff00, 0x8b00);
    put(0, gate(8, 0, 0x8c, 0));
    check("lar-call-gate", QUERY("lar", FREE(0)) & 0xff00, 0x8c00);
    check("lsl-call-gate", QUERY("lsl", FREE(0)), 0xdead);
    put(0, gate(8, 0, 0x8e, 0));
    check("lar-interrupt-gate", QUERY("lar", FREE(0)), 0xdead);
    check("lsl-code", QUERY("lsl", SEL_CODE), 0xffffffff);
    check("lsl-16", QUERY("lsl", SEL_CODE16), 0xffff);
    check("verr-code", VERIFY("verr", SEL_CODE), 1);
    check("verw-code", VERIFY("verw", SEL_CODE), 0);
    check("verw-data", VERIFY("verw", SEL_DATA), 1);
    check("verr-null", VERIFY("verr", 0), 0);
    check("verr-tss", VERIFY("verr", SEL_TSS), 0);
    put(0, segment(0, 0, 0x99, 0));
    check("verr-execute-only", VERIFY("verr", FREE(0)), 0);
    uint32_t a = 0x10, z;
    asm volatile("arpl %w2, %w0; setz %b1" : "+r"(a), "=&q"(z) : "r"(3) : "cc");
    check("arpl", a << 8 | (z & 1), 0x1301);
    a = 0x13;
    asm volatile("arpl %w2, %w0; setz %b1" : "+r"(a), "=&q"(z) : "r"(1) : "cc");
    check("arpl-higher", a << 8 | (z & 1), 0x1300);
    asm volatile("str %w0" : "=r"(a));
    check("str", a & 0xffff, SEL_TSS);
}

static uint16_t gate_cs, gate_ss;
static uint32_t gate_stack[8];
/* Notes CS, the stack and returns @n parameters' worth. */
asm(".text\ngate_target: mov %cs, gate_cs; mov %ss, gate_ss; push %ecx; push %esi; lea 8(%esp), "
    "%esi;"
    "push %edi; mov $gate_stack, %edi; mov $8, %ecx; push %ds; push $0x10; pop %ds; push %es; push "
    "$0x10; pop %es;"
    "cld; rep movsl; pop %es; pop %ds; pop %edi; pop %esi; pop %ecx; lret $8\n");
extern char gate_target[];

static void test_call_gates(void)
{
    put(0, gate(SEL_CODE, (uint32_t)gate_target, 0xec, 2));
    asm volatile("push $0x1111; push $0x2222; lcall $0x40, $0x12345678" : : : "memory");
    check("gate-same-level-cs", gate_cs, SEL_CODE);
    check("gate-same-level-parameter", gate_stack[2], 0x2222);

    uint32_t v = USER(
        asm volatile("push $0x1111; push $0x2222; lcall $0x43, $0; mov %%esp, %%eax; push %%eax" ::
                         : "eax"));
    check("gate-inner-returns", v, 0x80);
    check("gate-inner-cs", gate_cs, SEL_CODE);
    check("gate-inner-ss", gate_ss, SEL_DATA);
    check("gate-inner-old-cs", gate_stack[1], SEL_UCODE);
    check("gate-inner-parameter-0", gate_stack[2], 0x2222);
    check("gate-inner-parameter-1", gate_stack[3], 0x1111);
    check("gate-inner-old-ss", gate_stack[5], SEL_UDATA);
    put(0, gate(SEL_CODE, (uint32_t)gate_target, 0x8c, 2));
    check_fault("gate-dpl", USER(asm volatile("lcall $0x43, $0")), 13, FREE(0));
    put(0, gate(SEL_CODE, (uint32_t)gate_target, 0x6c, 2));
    check_fault("gate-not-present", USER(asm volatile("lcall $0x43, $0")), 11, FREE(0));
    put(0, gate(0, (uint32_t)gate_target, 0xec, 2));
    check_fault("gate-null-code", USER(asm volatile("lcall $0x43, $0")), 13, 0);
    put(0, gate(SEL_DATA, (uint32_t)gate_target, 0xec, 2));
    check_fault("gate-data-code", USER(asm volatile("lcall $0x43, $0")), 13, SEL_DATA);
    put(0, gate(SEL_CODE, (uint32_t)gate_target, 0xec, 2));
    check_fault("gate-jmp-inner", USER(asm volatile("ljmp $0x43, $0")), 13, SEL_CODE);
}

asm(".text\nconforming: mov %cs, %eax; mov %eax, gate_cs; lret\n");
extern char conforming[];

static void test_conforming(void)
{
    put(0, segment(0, 0xfffff, 0x9f, 12)); /* conforming, DPL 0 */
    uint32_t v = USER(asm volatile("lcall $0x40, $conforming" ::: "eax"));
    check("conforming-call", v, 0x80);
    check("conforming-cpl", gate_cs, FREE(0) | 3);
    check_fault("nonconforming-call", USER(asm volatile("lcall $8, $conforming")), 13, 8);
    put(1, segment(0, 0xfffff, 0x1b, 12));
    check_fault("far-not-present", TRAP(asm volatile("lcall $0x48, $conforming")), 11, FREE(1));
    check_fault("far-null", TRAP(asm volatile("lcall $0, $conforming")), 13, 0);
    check_fault("far-data", TRAP(asm volatile("lcall $0x10, $conforming")), 13, 0x10);
    put(1, segment(0, 0xff, 0x9b, 4));
    if (by_sdm()) {
        check_fault("far-limit", TRAP(asm volatile("lcall $0x48, $0x100")), 13, 0);
    }
}

static void test_interrupt_gates(void)
{
    idt[0x40] = gate(SEL_CODE, stub_address(0x40), 0x8e, 0);
    check("int-gate", TRAP(asm volatile("int $0x40")), 0x40);
    check_fault("int-dpl", USER(asm volatile("int $0x40")), 13, 0x40 * 8 + 2);
    idt[0x40] = gate(SEL_CODE, stub_address(0x40), 0x0e, 0);
    check_fault("int-not-present", TRAP(asm volatile("int $0x40")), 11, 0x40 * 8 + 2);
    idt[0x40] = gate(SEL_CODE, stub_address(0x40), 0x8c, 0);
    check_fault("int-call-gate", TRAP(asm volatile("int $0x40")), 13, 0x40 * 8 + 2);
    idt[0x40] = gate(0, stub_address(0x40), 0x8e, 0);
    check_fault("int-null-cs", TRAP(asm volatile("int $0x40")), 13, 0);
    idt[0x40] = gate(SEL_DATA, stub_address(0x40), 0x8e, 0);
    check_fault("int-data-cs", TRAP(asm volatile("int $0x40")), 13, SEL_DATA);
    idt[6] = gate(SEL_DATA, stub_address(6), 0x8e, 0);
    if (by_sdm()) {
        check_fault("exception-ext-bit", TRAP(asm volatile("ud2")), 13, SEL_DATA | 1);
        idt[6] = gate(SEL_CODE, stub_address(6), 0x0e, 0);
        check_fault("exception-gate-ext", TRAP(asm volatile("ud2")), 11, 6 * 8 + 3);
    }
    idt_reset();
    check("int3-user", USER(asm volatile("int3")), 3);
    check("into-user", USER(asm volatile("movb $0x7f, %%al; addb $1, %%al; into" ::: "eax")), 4);
    check("user-cs-pushed", trap.cs, SEL_UCODE);
    check("user-ss-pushed", trap.ss3, SEL_UDATA);
    idt[0x41] = gate(SEL_CODE, stub_address(0x41), 0x8f, 0); /* trap gate keeps IF */
    check("trap-gate", TRAP(asm volatile("int $0x41")), 0x41);
    check("tf-clear-in-handler", TRAP(asm volatile("pushf; orl $0x4000, (%esp); popf; int $0x41")),
          0x41);
    check("nt-pushed", trap.eflags & 0x4000, 0x4000);
    asm volatile("pushf; andl $~0x4000, (%esp); popf");
}

static void test_privilege(void)
{
    check_fault("user-cli", USER(asm volatile("cli")), 13, 0);
    check_fault("user-hlt", USER(asm volatile("hlt")), 13, 0);
    check_fault("user-lgdt", USER(asm volatile("lgdt 0x700")), 13, 0);
    check_fault("user-mov-cr0", USER(asm volatile("mov %%cr0, %%eax" ::: "eax")), 13, 0);
    check_fault("user-mov-dr0", USER(asm volatile("mov %%dr0, %%eax" ::: "eax")), 13, 0);
    check_fault("user-clts", USER(asm volatile("clts")), 13, 0);
    check_fault("user-invlpg", USER(asm volatile("invlpg 0")), 13, 0);
    check_fault("user-wbinvd", USER(asm volatile("wbinvd")), 13, 0);
    check_fault("user-lmsw", USER(asm volatile("lmsw %%ax" ::: "eax")), 13, 0);
    check_fault("user-ltr", USER(asm volatile("ltr %%ax" : : "a"(0x28))), 13, 0);
    check_fault("user-rdmsr", USER(asm volatile("rdmsr" : : "c"(0x10) : "eax", "edx")), 13, 0);
    check("user-smsw", USER(asm volatile("smsw %%ax" ::: "eax")), 0x80);
    check("user-sgdt", USER(asm volatile("sub $8, %esp; sgdt (%esp)")), 0x80);
    check("user-iopl3-cli", USER_FLAGS(0x3002, asm volatile("cli")), 0x80);
    check("user-popf-if", USER(asm volatile("pushf; orl $0x200, (%esp); popf")), 0x80);
    check("user-popf-if-ignored", trap.eflags & 0x200, 0);
    check("user-popf-iopl", USER_FLAGS(0x3002, asm volatile("pushf; andl $~0x3000, (%esp); popf")),
          0x80);
    check("user-popf-iopl-ignored", trap.eflags & 0x3000, 0x3000);
    check_fault("user-in", USER(asm volatile("inb $0x80, %%al" ::: "eax")), 13, 0);
    TSS_IOMAP[0x80 / 8] = 0xfe;
    check("user-in-bitmap", USER(asm volatile("inb $0x80, %%al" ::: "eax")), 0x80);
    check_fault("user-inw-bitmap", USER(asm volatile("inw $0x80, %%ax" ::: "eax")), 13, 0);
    TSS_IOMAP[0x80 / 8] = 0xff;
    check("user-in-iopl3", USER_FLAGS(0x3002, asm volatile("inb $0x80, %%al" ::: "eax")), 0x80);
    check_fault("user-load-kernel-ds",
                USER(asm volatile("mov %0, %%fs"
                                  :
                                  : "r"(SEL_DATA))),
                13, SEL_DATA);
    check_fault("user-sysenter-cs0", USER(asm volatile("sysenter")), 13, 0);
}

/* Going out to privilege 3, data segments of privilege 0 become null. */
static void test_return(void)
{
    uint32_t v = USER(asm volatile("mov %%fs, %%eax" ::: "eax"));

    check("iret-nulls-fs", v == 0x80 && (trap.eax & 0xffff) == 0, 1);
    check_fault("retf-null-cs", TRAP(asm volatile("push $0; push $0; lret")), 13, 0);
    check_fault("retf-data", TRAP(asm volatile("push $0x10; push $0; lret")), 13, 0x10);
    check_fault("retf-inner", USER(asm volatile("push $8; push $0; lret")), 13, 8);
    check_fault("iret-inner", USER(asm volatile("pushf; push $8; push $0; iret")), 13, 8);
    check_fault("retf-null-ss",
                TRAP(asm volatile("push $0; push $0x9000; push $0x1b; push $0; lret")), 13, 0);
    check_fault("retf-bad-ss",
                TRAP(asm volatile("push $0x10; push $0x9000; push $0x1b; push $0; lret")), 13,
                0x10);
    put(0, segment(0, 0xfffff, 0x7b, 12));
    check_fault("retf-not-present",
                TRAP(asm volatile("push $0x23; push $0x9000; push $0x43; push $0; lret")), 11,
                FREE(0));
}

CODE16(code16, "mov %cs, %ax; mov $0x12345678, %ecx; push %cx; pop %dx; lretl");

static void test_code16(void)
{
    uint32_t ax, cx, dx;

    asm volatile("lcall $0x30, $code16" : "=a"(ax), "=c"(cx), "=d"(dx));
    check("code16-cs", ax & 0xffff, SEL_CODE16);
    check("code16-imm32", cx, 0x12345678);
    check("code16-push", dx & 0xffff, 0x5678);
    put(0, segment(0, 0xffff, 0x93, 0)); /* 16-bit stack */
    asm volatile("mov %%esp, %%ebx; mov %%ss, %%edx; mov $0xabcd9000, %%esp; mov %1, %%ss; pushl "
                 "$0x11223344;"
                 "mov %%esp, %%eax; pop %%ecx; mov %%edx, %%ss; mov %%ebx, %%esp"
                 : "=&a"(ax)
                 : "r"(FREE(0))
                 : "ebx", "ecx", "edx", "memory");
    check("stack16-esp", ax, 0xabcd8ffc);
    check("stack16-data", *(volatile uint32_t *)0x8ffc, 0x11223344);
}

static void test_system_segments(void)
{
    put(0, segment((uint32_t)&gdt[100], 15, 0x82, 0));
    gdt[100] = 0;
    gdt[101] = segment(0x700, 0xfff, 0x93, 4);
    *(volatile uint32_t *)0x704 = 0xfeedface;
    check("lldt", TRAP(asm volatile("lldt %w0" : : "r"(FREE(0)))), NO_TRAP);
    uint32_t v = 0;
    asm volatile("push %%fs; mov %1, %%fs; mov %%fs:4, %0; pop %%fs" : "=r"(v) : "r"(0xc));
    check("ldt-segment", v, 0xfeedface);
    check_fault("ldt-limit", TRAP(load_fs(0x14)), 13, 0x14);
    check_fault("lldt-wrong-type", TRAP(asm volatile("lldt %w0" : : "r"(SEL_DATA))), 13, SEL_DATA);
    put(1, segment(0, 15, 0x02, 0));
    check_fault("lldt-not-present", TRAP(asm volatile("lldt %w0" : : "r"(FREE(1)))), 11, FREE(1));
    check_fault("lldt-in-ldt", TRAP(asm volatile("lldt %w0" : : "r"(0xc))), 13, 0xc);
    check("lldt-null", TRAP(asm volatile("lldt %w0" : : "r"(0))), NO_TRAP);
    check_fault("ldt-null-use", TRAP(load_fs(0xc)), 13, 0xc);
    check_fault("ltr-busy", TRAP(asm volatile("ltr %w0" : : "r"(SEL_TSS))), 13, SEL_TSS);
    if (by_sdm()) {
        check_fault("ltr-null", TRAP(asm volatile("ltr %w0" : : "r"(0))), 13, 0);
    }
    put(1, segment((uint32_t)&tss, 0x67, 0x09, 0));
    check_fault("ltr-not-present", TRAP(asm volatile("ltr %w0" : : "r"(FREE(1)))), 11, FREE(1));
}

void main(void);
void main(void)
{
    test_data_segments();
    test_limits();
    test_queries();
    test_call_gates();
    test_conforming();
    test_interrupt_gates();
    test_privilege();
    test_return();
    test_code16();
    test_system_segments();
}
