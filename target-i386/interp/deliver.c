/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Interrupt and exception delivery through the IVT (real and virtual-8086 mode) and through gates
 * (SDM 3A chapter 6, SDM 2A INT n). Everything is read and checked, the frame written as a whole,
 * and only then does the CPU change.
 */
#include "target-i386/interp/system.h"

/* What leaves EFLAGS when a handler starts, apart from IF. */
#define FL_LEAVE (FL_TF | FL_NT | FL_RF | FL_VM)

static uint32_t interrupt_ext(const Interrupt *intr)
{
    return intr->software ? 0 : 1;
}

static uint32_t interrupt_flags_image(X86CPU *cpu, const Interrupt *intr)
{
    return (cpu_get_eflags(cpu) & ~FL_RF) | (intr->set_rf ? FL_RF : 0);
}

/* Error code that names the IDT entry. */
static uint32_t interrupt_gate_error(const Interrupt *intr)
{
    return intr->vector * 8 + 2 + interrupt_ext(intr);
}

/* --- through the vector table of real mode -------------------------------------------------- */

/* Pushes FLAGS (@flags), CS, IP and jumps to the vector; @table is the linear address of the IVT.
 */
static void interrupt_through_ivt(X86CPU *cpu, const Interrupt *intr, uint64_t table,
                                  uint16_t flags, uint32_t clear)
{
    uint32_t vector = mmu_load32_view(cpu, mmu_system_view(cpu), table + intr->vector * 4,
                                      ACCESS_READ);
    Frame frame;

    frame_begin(cpu, &frame, 2, 0);
    frame_push(&frame, flags);
    frame_push(&frame, cpu->seg[SEG_CS].selector);
    frame_push(&frame, intr->return_rip);
    stack_commit(cpu, frame_commit(cpu, &frame));
    segment_load_real(cpu, SEG_CS, vector >> 16);
    cpu->cpu_rip = vector & 0xffff;
    cpu_set_eflags(cpu, 0, clear);
    cpu_debug_update(cpu);
    cpu_update_mode(cpu);
}

void interrupt_deliver_real(X86CPU *cpu, const Interrupt *intr)
{
    if (intr->vector * 4 + 3 > cpu->idtr.limit) {
        cpu_raise_error(cpu, EXC_GP, interrupt_gate_error(intr));
    }
    interrupt_through_ivt(cpu, intr, cpu->idtr.base, cpu_get_eflags(cpu),
                          FL_IF | FL_TF | FL_RF | FL_AC);
}

/* The software interrupt redirection bitmap: 32 bytes below the I/O bitmap (SDM 3A 20.3.3). */
static bool interrupt_redirected(X86CPU *cpu, uint8_t vector)
{
    const X86Segment *tr = &cpu->seg[SEG_TR];
    uint32_t offset;

    if (!(cpu->cr4 & CR4_VME)) {
        return false;
    }
    if (tr->limit < 103) {
        cpu_raise_gp(cpu, 0);
    }
    offset = (uint32_t)tss_read(cpu, 102, 2) - 32 + vector / 8;
    if (offset > tr->limit) {
        cpu_raise_gp(cpu, 0);
    }
    return !((tss_read(cpu, offset, 1) >> (vector & 7)) & 1);
}

/*
 * INT n in virtual-8086 mode (SDM 3A 20.3.3, table 20-2): true if it went to the program's own
 * vector table. With IOPL 3 the flags are pushed as they are, else with IOPL 3 and VIF
 * for IF.
 */
static bool interrupt_redirect_v86(X86CPU *cpu, const Interrupt *intr)
{
    uint16_t flags = cpu_get_eflags(cpu);

    if (!interrupt_redirected(cpu, intr->vector)) {
        if (cpu_iopl(cpu) < 3) {
            cpu_raise_gp(cpu, 0);
        }
        return false;
    }
    if (cpu_iopl(cpu) == 3) {
        interrupt_through_ivt(cpu, intr, 0, flags, FL_IF | FL_TF | FL_RF);
    } else {
        flags = (flags & ~FL_IF) | FL_IOPL | (cpu->eflags & FL_VIF ? FL_IF : 0);
        interrupt_through_ivt(cpu, intr, 0, flags, FL_VIF | FL_TF | FL_RF);
    }
    return true;
}

/* --- through gates, in 16- and 32-bit protected mode --------------------------------------------
 */

/* The IDT entry, present and of a type that the mode has, with DPL checked for INT n. */
static void interrupt_fetch_gate(X86CPU *cpu, const Interrupt *intr, bool wide, Descriptor *gate)
{
    MmuView view = mmu_system_view(cpu);
    unsigned size = wide ? 16 : 8;
    uint32_t offset = intr->vector * size;
    uint32_t error = interrupt_gate_error(intr);
    uint32_t types = wide ? (1u << DESC_INT32 | 1u << DESC_TRAP32)
                          : (1u << DESC_TASK_GATE | 1u << DESC_INT16 | 1u << DESC_TRAP16 |
                             1u << DESC_INT32 | 1u << DESC_TRAP32);

    if (offset + size - 1 > cpu->idtr.limit) {
        cpu_raise_gp(cpu, error);
    }
    gate->va = cpu->idtr.base + offset;
    gate->raw = mmu_load64_view(cpu, view, gate->va, ACCESS_READ);
    gate->high = wide ? mmu_load64_view(cpu, view, gate->va + 8, ACCESS_READ) : 0;
    gate->selector = 0;
    if (!descriptor_system(gate) || !((types >> descriptor_type(gate)) & 1)) {
        cpu_raise_gp(cpu, error);
    }
    if (intr->software && descriptor_dpl(gate) < cpu->cpl) {
        cpu_raise_gp(cpu, error);
    }
    if (!descriptor_present(gate)) {
        cpu_raise_error(cpu, EXC_NP, error);
    }
}

/* The handler's code segment; what is wrong with it is #GP or #NP with its selector. */
static void interrupt_fetch_code(X86CPU *cpu, const Interrupt *intr, const Descriptor *gate,
                                 Descriptor *code)
{
    uint32_t ext = interrupt_ext(intr);
    uint16_t selector = gate_selector(gate);

    descriptor_require(cpu, selector, EXC_GP, ext, code);
    if (!descriptor_code(code) || descriptor_dpl(code) > cpu->cpl) {
        cpu_raise_gp(cpu, selector_error(selector) | ext);
    }
    if (!descriptor_present(code)) {
        cpu_raise_error(cpu, EXC_NP, selector_error(selector) | ext);
    }
}

static void interrupt_enter(X86CPU *cpu, const Descriptor *gate, Descriptor *code, unsigned cpl,
                            uint64_t rip)
{
    uint32_t clear = FL_LEAVE;

    if (!(descriptor_type(gate) & 1)) {
        clear |= FL_IF;
    }
    cpu_set_eflags(cpu, 0, clear);
    cpu_set_cs(cpu, code, cpl);
    cpu->cpu_rip = rip;
    cpu_debug_update(cpu);
}

static void frame_push_interrupt(X86CPU *cpu, Frame *frame, const Interrupt *intr)
{
    frame_push(frame, interrupt_flags_image(cpu, intr));
    frame_push(frame, cpu->seg[SEG_CS].selector);
    frame_push(frame, intr->return_rip);
    if (intr->has_error) {
        frame_push(frame, intr->error);
    }
}

static void interrupt_same_level(X86CPU *cpu, const Interrupt *intr, const Descriptor *gate,
                                 Descriptor *code, unsigned size, uint32_t offset)
{
    Frame frame;
    uint64_t sp;

    frame_begin(cpu, &frame, size, interrupt_ext(intr));
    frame_push_interrupt(cpu, &frame, intr);
    if (offset > descriptor_limit(code)) {
        cpu_raise_gp(cpu, interrupt_ext(intr));
    }
    descriptor_set_accessed(cpu, code);
    sp = frame_commit(cpu, &frame);
    stack_commit(cpu, sp);
    interrupt_enter(cpu, gate, code, cpu->cpl, offset);
}

static void frame_push_v86_segments(X86CPU *cpu, Frame *frame)
{
    frame_push(frame, cpu->seg[SEG_GS].selector);
    frame_push(frame, cpu->seg[SEG_FS].selector);
    frame_push(frame, cpu->seg[SEG_DS].selector);
    frame_push(frame, cpu->seg[SEG_ES].selector);
}

static void interrupt_inner_level(X86CPU *cpu, const Interrupt *intr, const Descriptor *gate,
                                  Descriptor *code, unsigned size, uint32_t offset)
{
    bool from_v86 = cpu->eflags & FL_VM;
    unsigned cpl = descriptor_dpl(code);
    uint32_t ext = interrupt_ext(intr);
    uint16_t ss;
    uint64_t sp;
    Descriptor stack;
    X86Segment segment;
    Frame frame;

    tss_stack(cpu, cpl, ext, &ss, &sp);
    stack_segment_check(cpu, ss, cpl, EXC_TS, ext, &stack);
    segment = descriptor_segment(&stack, ss);
    frame_begin_on(cpu, &frame, &segment, sp, cpl, size, selector_error(ss) | ext);
    if (from_v86) {
        frame_push_v86_segments(cpu, &frame);
    }
    frame_push(&frame, cpu->seg[SEG_SS].selector);
    frame_push(&frame, cpu->regs[R_RSP]);
    frame_push_interrupt(cpu, &frame, intr);
    if (offset > descriptor_limit(code)) {
        cpu_raise_gp(cpu, ext);
    }
    descriptor_set_accessed(cpu, &stack);
    descriptor_set_accessed(cpu, code);
    sp = frame_commit(cpu, &frame);

    if (from_v86) {
        cpu->seg[SEG_ES] = cpu->seg[SEG_DS] = segment_null(0);
        cpu->seg[SEG_FS] = cpu->seg[SEG_GS] = segment_null(0);
    }
    cpu->seg[SEG_SS] = descriptor_segment(&stack, ss);
    interrupt_enter(cpu, gate, code, cpl, offset);
    stack_commit(cpu, sp);
}

static void interrupt_task_gate(X86CPU *cpu, const Interrupt *intr, const Descriptor *gate)
{
    Descriptor tss;
    uint16_t selector = gate_selector(gate);

    task_fetch(cpu, selector, interrupt_ext(intr), &tss);
    if (intr->set_rf) {
        cpu->eflags |= FL_RF;
    }
    task_switch(cpu, &tss, TASK_CALL, intr->return_rip, interrupt_ext(intr), intr->has_error,
                intr->error);
}

static void interrupt_deliver_protected(X86CPU *cpu, const Interrupt *intr)
{
    Descriptor gate, code;
    unsigned size;
    uint32_t offset, code_error;

    interrupt_fetch_gate(cpu, intr, false, &gate);
    if (descriptor_type(&gate) == DESC_TASK_GATE) {
        interrupt_task_gate(cpu, intr, &gate);
        return;
    }
    size = descriptor_type(&gate) & 8 ? 4 : 2;
    offset = size == 4 ? gate_offset(&gate, false) : (uint16_t)gate_offset(&gate, false);
    interrupt_fetch_code(cpu, intr, &gate, &code);
    code_error = selector_error(gate_selector(&gate)) | interrupt_ext(intr);
    if (!descriptor_conforming(&code) && descriptor_dpl(&code) < cpu->cpl) {
        /* Virtual-8086 mode is left for privilege 0 only. */
        if ((cpu->eflags & FL_VM) && descriptor_dpl(&code) != 0) {
            cpu_raise_gp(cpu, code_error);
        }
        interrupt_inner_level(cpu, intr, &gate, &code, size, offset);
        return;
    }
    if (cpu->eflags & FL_VM) {
        cpu_raise_gp(cpu, code_error);
    }
    interrupt_same_level(cpu, intr, &gate, &code, size, offset);
}

/* --- long mode (SDM 3A 6.14) ---------------------------------------------------------------------
 */

/* The handler's stack: IST, inner stack or the current one; aligned to 16 bytes. */
static uint64_t interrupt_stack64(X86CPU *cpu, const Interrupt *intr, unsigned ist, unsigned cpl)
{
    uint64_t sp = cpu->regs[R_RSP];

    if (ist) {
        sp = tss_stack64(cpu, 2 + ist, interrupt_ext(intr));
    } else if (cpl != cpu->cpl) {
        sp = tss_stack64(cpu, cpl, interrupt_ext(intr));
    }
    return sp & ~15ull;
}

void interrupt_deliver_long(X86CPU *cpu, const Interrupt *intr)
{
    uint32_t ext = interrupt_ext(intr);
    Descriptor gate, code;
    unsigned cpl;
    uint64_t rip, sp;
    Frame frame;

    interrupt_fetch_gate(cpu, intr, true, &gate);
    interrupt_fetch_code(cpu, intr, &gate, &code);
    if (((code.raw >> 53) & 3) != 1) {
        cpu_raise_gp(cpu, selector_error(gate_selector(&gate)) | ext);
    }
    cpl = descriptor_conforming(&code) ? cpu->cpl : descriptor_dpl(&code);
    rip = gate_offset(&gate, true);
    sp = interrupt_stack64(cpu, intr, (gate.raw >> 32) & 7, cpl);
    frame_begin(cpu, &frame, 8, ext);
    frame.sp = sp;
    frame.mask = UINT64_MAX;
    frame.flat = true;
    frame.view = cpl == cpu->cpl ? cpu->mmu_view : mmu_system_view(cpu);
    frame_push(&frame, cpu->seg[SEG_SS].selector);
    frame_push(&frame, cpu->regs[R_RSP]);
    frame_push_interrupt(cpu, &frame, intr);
    if (!cpu_canonical(cpu, rip)) {
        cpu_raise_gp(cpu, ext);
    }
    descriptor_set_accessed(cpu, &code);
    sp = frame_commit(cpu, &frame);

    if (cpl != cpu->cpl) {
        cpu->seg[SEG_SS] = segment_null(cpl);
    }
    interrupt_enter(cpu, &gate, &code, cpl, rip);
    cpu->regs[R_RSP] = sp;
}

void interrupt_deliver(X86CPU *cpu, const Interrupt *intr)
{
    if (!cpu_protected(cpu)) {
        interrupt_deliver_real(cpu, intr);
    } else if (cpu_long_mode(cpu)) {
        interrupt_deliver_long(cpu, intr);
    } else if (!((cpu->eflags & FL_VM) && intr->redirectable &&
                 interrupt_redirect_v86(cpu, intr))) {
        interrupt_deliver_protected(cpu, intr);
    }
}

/* --- INT n, INT3, INTO, INT1
 * ---------------------------------------------------------------------- */

static void insn_interrupt(X86CPU *cpu, const Insn *insn, uint8_t vector, bool redirectable)
{
    Interrupt intr = {
        .vector = vector,
        .software = true,
        .redirectable = redirectable,
        .return_rip = insn_next_rip(cpu, insn),
    };

    cpu->debug_trap = false; /* the handler starts without a single step */
    interrupt_deliver(cpu, &intr);
}

static void insn_int(X86CPU *cpu, const Insn *insn)
{
    insn_interrupt(cpu, insn, insn->imm, true);
}

static void insn_int3(X86CPU *cpu, const Insn *insn)
{
    insn_interrupt(cpu, insn, EXC_BP, false);
}

static void insn_into(X86CPU *cpu, const Insn *insn)
{
    if (cpu->cc & FL_OF) {
        insn_interrupt(cpu, insn, EXC_OF, false);
    } else {
        insn_advance(cpu, insn);
    }
}

/* INT1 is a #DB trap as hardware raises it: no DPL check, EXT set, DR6 untouched (SDM 3A 6.3.1). */
static void insn_int1(X86CPU *cpu, const Insn *insn)
{
    Interrupt intr = {.vector = EXC_DB, .return_rip = insn_next_rip(cpu, insn)};

    cpu->debug_trap = false;
    cpu->dr[7] &= ~(1ull << 13);
    interrupt_deliver(cpu, &intr);
}

INSN_FAMILY(interrupt)
{
    insn->flags |= INSN_END;
    switch (src->zi->mnemonic) {
    case ZYDIS_MNEMONIC_INT: return insn_int;
    case ZYDIS_MNEMONIC_INT3: return insn_int3;
    case ZYDIS_MNEMONIC_INT1: return insn_int1;
    default: return src->cpu->code_size == 64 ? NULL : insn_into;
    }
}
