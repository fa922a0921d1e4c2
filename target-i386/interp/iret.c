/* SPDX-License-Identifier: GPL-2.0-or-later */
/* IRET in all modes (SDM 2A IRET): real, virtual-8086, protected, nested task, long. */
#include "target-i386/interp/return.h"

/* Flags that every IRET may load, by operand size. */
#define FL_IRET16 (FL_ARITH | FL_TF | FL_DF | FL_NT)
#define FL_IRET32 (FL_IRET16 | FL_RF | FL_AC | FL_ID)

static void iret_set_flags(X86CPU *cpu, uint32_t value, uint32_t mask)
{
    cpu_set_eflags(cpu, value, mask);
    cpu->debug_keep_rf = true;
    cpu_debug_update(cpu);
}

static void iret_to_real(X86CPU *cpu, unsigned size, uint32_t flags, uint32_t mask)
{
    uint64_t ip = stack_peek(cpu, 0, size);
    uint16_t cs = stack_peek(cpu, size, size);

    if (ip > cpu->seg[SEG_CS].limit) {
        cpu_raise_gp(cpu, 0);
    }
    stack_commit(cpu, cpu->regs[R_RSP] + 3 * size);
    segment_load_real(cpu, SEG_CS, cs);
    cpu->cpu_rip = ip;
    iret_set_flags(cpu, flags, mask);
    cpu_update_mode(cpu);
}

static void iret_real(X86CPU *cpu, unsigned size)
{
    uint32_t flags = stack_peek(cpu, 2 * size, size);

    iret_to_real(cpu, size, flags, (size == 2 ? FL_IRET16 : FL_IRET32) | FL_IF | FL_IOPL);
}

/* With IOPL below 3 only the 16-bit form works, and only with VME: IF goes to VIF. */
static void iret_v86(X86CPU *cpu, unsigned size)
{
    uint32_t flags = stack_peek(cpu, 2 * size, size);

    if (cpu_iopl(cpu) == 3) {
        iret_to_real(cpu, size, flags, (size == 2 ? FL_IRET16 : FL_IRET32) | FL_IF);
        return;
    }
    if (size != 2 || !(cpu->cr4 & CR4_VME) || (flags & FL_TF) ||
        ((flags & FL_IF) && (cpu->eflags & FL_VIP))) {
        cpu_raise_gp(cpu, 0);
    }
    iret_to_real(cpu, size, (flags & 0xffff) | (flags & FL_IF ? FL_VIF : 0), FL_IRET16 | FL_VIF);
}

/* Back to the task that the TSS links to. */
static void iret_task(X86CPU *cpu, uint64_t next_rip)
{
    uint16_t selector = tss_read(cpu, 0, 2);
    Descriptor d;
    unsigned type;

    if (selector & 4) {
        cpu_raise_error(cpu, EXC_TS, selector_error(selector));
    }
    descriptor_require(cpu, selector, EXC_TS, 0, &d);
    type = descriptor_type(&d);
    if (!descriptor_system(&d) || (type != DESC_TSS16_BUSY && type != DESC_TSS32_BUSY)) {
        cpu_raise_error(cpu, EXC_TS, selector_error(selector));
    }
    if (!descriptor_present(&d)) {
        cpu_raise_error(cpu, EXC_NP, selector_error(selector));
    }
    task_switch(cpu, &d, TASK_IRET, next_rip, 0, false, 0);
}

static void iret_to_v86(X86CPU *cpu, uint32_t eip, uint16_t cs, uint32_t eflags)
{
    static const SegReg order[] = {SEG_SS, SEG_ES, SEG_DS, SEG_FS, SEG_GS};
    uint32_t esp = stack_peek(cpu, 12, 4);
    uint16_t selectors[G_N_ELEMENTS(order)];

    for (unsigned i = 0; i < G_N_ELEMENTS(order); i++) {
        selectors[i] = stack_peek(cpu, 16 + i * 4, 4);
    }
    if (eip > 0xffff) {
        cpu_raise_gp(cpu, 0);
    }
    cpu_set_eflags(cpu, eflags, FL_IRET32 | FL_IF | FL_IOPL | FL_VM | FL_VIF | FL_VIP);
    cpu->debug_keep_rf = true;
    segment_load_real(cpu, SEG_CS, cs);
    for (unsigned i = 0; i < G_N_ELEMENTS(order); i++) {
        segment_load_real(cpu, order[i], selectors[i]);
    }
    cpu->regs[R_RSP] = esp;
    cpu->cpu_rip = eip;
    cpu->cpl = 3;
    cpu_update_mode(cpu);
    cpu_debug_update(cpu);
}

/* Which flags the code that returns may change. */
static uint32_t iret_flag_mask(const X86CPU *cpu, unsigned size)
{
    uint32_t mask = size == 2 ? FL_IRET16 : FL_IRET32;

    if (cpu->cpl <= cpu_iopl(cpu)) {
        mask |= FL_IF;
    }
    if (cpu->cpl == 0) {
        mask |= FL_IOPL | (size == 2 ? 0 : FL_VIF | FL_VIP);
    }
    return mask;
}

static void iret_check_rip(X86CPU *cpu, const Descriptor *code, uint64_t rip)
{
    bool ok = descriptor_code64(cpu, code) ? cpu_canonical(cpu, rip)
                                           : rip <= descriptor_limit(code);

    if (!ok) {
        cpu_raise_gp(cpu, 0);
    }
}

/* To protected mode or long mode; the stack is popped going outwards and always from 64-bit code.
 */
static void iret_protected(X86CPU *cpu, unsigned size, uint64_t rip, uint16_t cs, uint32_t flags)
{
    Descriptor code, stack;
    uint64_t sp = cpu->regs[R_RSP] + 3 * size;
    uint32_t mask = iret_flag_mask(cpu, size);
    uint16_t ss = 0;
    bool pops_stack, present = false;

    return_fetch_code(cpu, cs, &code);
    pops_stack = selector_rpl(cs) != cpu->cpl || cpu_code64(cpu);
    if (pops_stack) {
        sp = stack_peek(cpu, 3 * size, size);
        ss = stack_peek(cpu, 4 * size, size);
        present = return_fetch_stack(cpu, ss, &code, &stack);
    }
    iret_check_rip(cpu, &code, rip);
    descriptor_set_accessed(cpu, &code);
    if (present) {
        descriptor_set_accessed(cpu, &stack);
    }
    if (pops_stack) {
        return_enter(cpu, &code, rip, present ? &stack : NULL, ss, sp);
    } else {
        stack_commit(cpu, sp);
        cpu_set_cs(cpu, &code, cpu->cpl);
        cpu->cpu_rip = rip;
    }
    iret_set_flags(cpu, flags, mask);
}

static void insn_iret(X86CPU *cpu, const Insn *insn)
{
    unsigned size = insn->opsize;
    uint64_t rip;
    uint32_t flags;
    uint16_t cs;

    cpu->nmi_blocked = false;
    if (!cpu_protected(cpu)) {
        iret_real(cpu, size);
        return;
    }
    if (cpu->eflags & FL_VM) {
        iret_v86(cpu, size);
        return;
    }
    if (cpu->eflags & FL_NT) {
        if (cpu_long_mode(cpu)) {
            cpu_raise_gp(cpu, 0);
        }
        iret_task(cpu, insn_next_rip(cpu, insn));
        return;
    }
    rip = stack_peek(cpu, 0, size);
    cs = stack_peek(cpu, size, size);
    flags = stack_peek(cpu, 2 * size, size);
    if ((flags & FL_VM) && size == 4 && cpu->cpl == 0 && !cpu_long_mode(cpu)) {
        iret_to_v86(cpu, rip, cs, flags);
    } else {
        iret_protected(cpu, size, rip, cs, flags);
    }
}

void cpu_return_from_handler(X86CPU *cpu, unsigned size)
{
    const Insn insn = {.opsize = size};
    bool nmi_blocked = cpu->nmi_blocked;

    insn_iret(cpu, &insn);
    cpu->nmi_blocked = nmi_blocked;
}

INSN_FAMILY(iret)
{
    insn->flags |= INSN_END;
    insn->opsize = source_operand_size(src);
    return insn_iret;
}
