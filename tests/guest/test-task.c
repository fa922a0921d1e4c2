/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Hardware task switches, 32- and 16-bit, by JMP, CALL, IRET and task gates (SDM 3A chapter 7). */
#include "lib32.h"

#define SEL_TASK SEL_FREE
#define SEL_TASK16 (SEL_FREE + 8)
#define SEL_GATE (SEL_FREE + 16)
#define SEL_SPARE (SEL_FREE + 24)

typedef struct Tss16 {
    uint16_t link, sp0, ss0, sp1, ss1, sp2, ss2, ip, flags;
    uint16_t ax, cx, dx, bx, sp, bp, si, di, es, cs, ss, ds, ldt;
} __attribute__((packed)) Tss16;

static Tss other __attribute__((aligned(128)));
static Tss16 other16 __attribute__((aligned(128)));
static uint8_t other_stack[2048] __attribute__((aligned(16)));
static volatile uint32_t seen[8];

static unsigned type_of(unsigned selector)
{
    return (gdt[selector / 8] >> 40) & 15;
}

static void prepare(void *entry)
{
    other = (Tss){
        .eip = (uint32_t)entry, .eflags = 2, .esp = (uint32_t)(other_stack + sizeof(other_stack)),
        .eax = 0x11111111, .ecx = 0x22222222, .ebx = 0x33333333, .esi = 0x44444444,
        .es = SEL_DATA, .cs = SEL_CODE, .ss = SEL_DATA, .ds = SEL_DATA, .fs = SEL_DATA,
        .gs = SEL_DATA, .iomap = sizeof(Tss),
    };
    gdt[SEL_TASK / 8] = segment((uint32_t)&other, sizeof(other) - 1, 0x89, 0);
}

asm(".text\n"
    "task_iret: mov %eax, seen; mov %ebx, seen + 4; mov %esi, seen + 8; pushf; pop seen + 12;"
    "mov %cr0, %eax; mov %eax, seen + 16; str seen + 20; iret\n"
    "movl $0x99, seen; iret\n"
    "task_jmp: mov %eax, seen; pushf; pop seen + 12; ljmp $0x28, $0\n"
    "task_error: pop seen; mov %esp, seen + 4; movl tss + 36, %eax; movl %eax, seen + 8;"
    "movl $task_fault_next, tss + 32; iret\n");
extern char task_iret[], task_jmp[], task_error[];

static void check_fault(const char *name, uint32_t got, uint32_t vector, uint32_t error)
{
    check(name, (uint64_t)got << 32 | trap.error, (uint64_t)vector << 32 | error);
}

static void test_call(void)
{
    uint32_t flags;

    prepare(task_iret);
    asm volatile("clts; lcall $0x40, $0; pushf; pop %0" : "=r"(flags) : : "memory", "cc");
    check("task-call-eax", seen[0], 0x11111111);
    check("task-call-ebx", seen[1], 0x33333333);
    check("task-call-esi", seen[2], 0x44444444);
    check("task-call-nt", seen[3] & 0x4000, 0x4000);
    check("task-call-ts", seen[4] & 8, 8);
    check("task-call-tr", seen[5] & 0xffff, SEL_TASK);
    check("task-call-link", other.link, SEL_TSS);
    check("task-return-nt-clear", flags & 0x4000, 0);
    check("task-return-other-free", type_of(SEL_TASK), 9);
    check("task-return-self-busy", type_of(SEL_TSS), 11);
    check("task-saved-eip", other.eip - (uint32_t)task_iret > 20, 1);
    check("task-saved-nt", other.eflags & 0x4000, 0);
    asm volatile("lcall $0x40, $0" : : : "memory");
    check("task-call-again", seen[0], 0x99);
}

static void test_jump(void)
{
    uint32_t esp;

    prepare(task_jmp);
    asm volatile("mov %%esp, %0; ljmp $0x40, $0" : "=r"(esp) : : "memory");
    check("task-jmp-eax", seen[0], 0x11111111);
    check("task-jmp-nt", seen[3] & 0x4000, 0);
    check("task-jmp-free", type_of(SEL_TASK), 9);
    check("task-jmp-self-busy", type_of(SEL_TSS), 11);
    check("task-jmp-link", other.link, 0);
    check("task-self-saved-esp", tss.esp, esp);
}

static void test_gates(void)
{
    prepare(task_iret);
    gdt[SEL_GATE / 8] = gate(SEL_TASK, 0, 0x85, 0);
    seen[0] = 0;
    asm volatile("lcall $0x50, $0" : : : "memory");
    check("task-gate-call", seen[0], 0x11111111);
    prepare(task_iret);
    idt[0x44] = gate(SEL_TASK, 0, 0x85, 0);
    seen[0] = 0;
    asm volatile("int $0x44" : : : "memory");
    check("task-gate-int", seen[0], 0x11111111);
}

/* A fault through a task gate: the error code is on the new stack; the handler moves the old EIP
 * on. */
static void test_fault_gate(void)
{
    prepare(task_error);
    idt[13] = gate(SEL_TASK, 0, 0x85, 0);
    seen[0] = 0;
    asm volatile("mov %0, %%fs; task_fault_next:" : : "r"(0xfff8) : "memory");
    idt_reset();
    check("task-fault-error", seen[0], 0xfff8);
    check("task-fault-stack", seen[1], (uint32_t)(other_stack + sizeof(other_stack)));
    if (by_sdm()) {
        check("task-fault-rf", seen[2] & 0x10000, 0x10000);
    }
}

static void test_faults(void)
{
    prepare(task_iret);
    gdt[SEL_TASK / 8] = segment((uint32_t)&other, 0x66, 0x89, 0);
    check_fault("task-limit", TRAP(asm volatile("lcall $0x40, $0")), 10, SEL_TASK);
    gdt[SEL_TASK / 8] = segment((uint32_t)&other, 0x67, 0x09, 0);
    check_fault("task-not-present", TRAP(asm volatile("lcall $0x40, $0")), 11, SEL_TASK);
    gdt[SEL_TASK / 8] = segment((uint32_t)&other, 0x67, 0x8b, 0);
    check_fault("task-busy", TRAP(asm volatile("lcall $0x40, $0")), 13, SEL_TASK);
    check_fault("task-self", TRAP(asm volatile("lcall $0x28, $0")), 13, SEL_TSS);
    gdt[SEL_TASK / 8] = segment((uint32_t)&other, 0x67, 0x89, 0);
    check_fault("task-dpl", USER(asm volatile("lcall $0x40, $0")), 13, SEL_TASK);
    gdt[SEL_GATE / 8] = gate(SEL_DATA, 0, 0x85, 0);
    check_fault("task-gate-no-tss", TRAP(asm volatile("lcall $0x50, $0")), 13, SEL_DATA);
    gdt[SEL_GATE / 8] = gate(SEL_TASK, 0, 0x05, 0);
    check_fault("task-gate-not-present", TRAP(asm volatile("lcall $0x50, $0")), 11, SEL_GATE);
    tss.link = 0;
    check_fault("task-iret-null-link", TRAP(asm volatile("pushf; orl $0x4000, (%esp); popf; iret")),
                10, 0);
    asm volatile("pushf; andl $~0x4000, (%esp); popf");
    tss.link = SEL_TASK;
    check_fault("task-iret-not-busy", TRAP(asm volatile("pushf; orl $0x4000, (%esp); popf; iret")),
                10, SEL_TASK);
    asm volatile("pushf; andl $~0x4000, (%esp); popf");
    tss.link = 0;
}

/* Faults of the new task (table 7-1) arrive with the new task's state; the hook goes back. */
static volatile uint32_t hook_vector, hook_error, hook_eip, hook_tr;
static int return_hook(Frame *frame)
{
    uint16_t tr;

    asm volatile("str %0" : "=r"(tr));
    hook_vector = frame->vector;
    hook_error = frame->error;
    hook_eip = frame->eip;
    hook_tr = tr;
    if (tr == SEL_TASK) {
        asm volatile("ljmp $0x28, $0");
    }
    return 0;
}

static void new_task_fault(const char *name, uint32_t vector, uint32_t error)
{
    gdt[SEL_TASK / 8] = segment((uint32_t)&other, sizeof(other) - 1, 0x89, 0);
    hook_vector = hook_error = hook_tr = 0;
    trap_hook = return_hook;
    asm volatile("ljmp $0x40, $0" : : : "memory");
    trap_hook = NULL;
    check(name, (uint64_t)hook_vector << 32 | hook_error, (uint64_t)vector << 32 | error);
}

static void test_new_task_faults(void)
{
    prepare(task_jmp);
    other.ds = 0xfff8;
    new_task_fault("task-new-ds-beyond", 10, 0xfff8);
    check("task-new-fault-tr", hook_tr, SEL_TASK);
    if (by_sdm()) {
        check("task-new-fault-eip", hook_eip, (uint32_t)task_jmp);
    }
    prepare(task_jmp);
    gdt[SEL_SPARE / 8] = segment(0, 0xfffff, 0x13, 12);
    other.es = SEL_SPARE;
    new_task_fault("task-new-es-not-present", 11, SEL_SPARE);
    if (!by_sdm()) {
        return;
    }
    prepare(task_jmp);
    other.trap = 1;
    new_task_fault("task-trap-bit", 1, 0);
    uint32_t dr6;
    asm volatile("mov %%dr6, %0" : "=r"(dr6));
    check("task-trap-dr6", dr6 & 0x8000, 0x8000);
    asm volatile("mov %0, %%dr6" : : "r"(0xffff0ff0));
}

CODE16(t16_entry, "mov %cs, %bx; mov %sp, %di; iretw");

static void test_16(void)
{
    other16 = (Tss16){
        .ip = (uint32_t)t16_entry, .flags = 2, .ax = 0x1234, .cx = 0x5678, .sp = 0x9000,
        .es = SEL_DATA, .cs = SEL_CODE16, .ss = SEL_DATA16, .ds = SEL_DATA,
    };
    gdt[SEL_TASK16 / 8] = segment((uint32_t)&other16, sizeof(other16) - 1, 0x81, 0);
    asm volatile("lcall $0x48, $0" : : : "memory");
    check("task16-cs-seen", other16.bx, SEL_CODE16);
    check("task16-sp", other16.di, 0x9000);
    check("task16-ax-kept", other16.ax, 0x1234);
    check("task16-link", other16.link, SEL_TSS);
    check("task16-free", type_of(SEL_TASK16), 1);
    gdt[SEL_TASK16 / 8] = segment((uint32_t)&other16, 0x2a, 0x81, 0);
    check_fault("task16-limit", TRAP(asm volatile("lcall $0x48, $0")), 10, SEL_TASK16);
}

void main(void);
void main(void)
{
    test_call();
    test_jump();
    test_gates();
    test_fault_gate();
    test_faults();
    test_new_task_faults();
    test_16();
}
