/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Far JMP, CALL and RET (SDM 2A CALL, JMP; 2B RET; 3A 5.8): code segments, call gates with stack
 * switch and parameters, task gates and TSSs.
 */
#include "target-i386/interp/return.h"

static uint64_t size_mask(unsigned size)
{
    return size == 8 ? UINT64_MAX : size == 4 ? UINT32_MAX : UINT16_MAX;
}

/* #GP(@error) unless @offset may be executed in @code. */
static void code_check_offset(X86CPU *cpu, const Descriptor *code, uint64_t offset, uint32_t error)
{
    bool ok = descriptor_code64(cpu, code) ? cpu_canonical(cpu, offset)
                                           : offset <= descriptor_limit(code);

    if (!ok) {
        cpu_raise_gp(cpu, error);
    }
}

static void far_transfer_real(X86CPU *cpu, uint16_t selector, uint64_t offset, unsigned size,
                              bool call, uint64_t next_rip)
{
    Frame frame;

    if (offset > cpu->seg[SEG_CS].limit) {
        cpu_raise_gp(cpu, 0);
    }
    if (call) {
        frame_begin(cpu, &frame, size, 0);
        frame_push(&frame, cpu->seg[SEG_CS].selector);
        frame_push(&frame, next_rip);
        stack_commit(cpu, frame_commit(cpu, &frame));
    }
    segment_load_real(cpu, SEG_CS, selector);
    cpu->cpu_rip = offset;
    cpu_update_mode(cpu);
}

/* To a code segment of the same privilege, CALL pushing on the current stack. */
static void far_to_code(X86CPU *cpu, Descriptor *code, uint64_t offset, unsigned size, bool call,
                        uint64_t next_rip)
{
    Frame frame;
    uint64_t sp = 0;

    code_check_offset(cpu, code, offset, 0);
    descriptor_set_accessed(cpu, code);
    if (call) {
        frame_begin(cpu, &frame, size, 0);
        frame_push(&frame, cpu->seg[SEG_CS].selector);
        frame_push(&frame, next_rip);
        sp = frame_commit(cpu, &frame);
        stack_commit(cpu, sp);
    }
    cpu_set_cs(cpu, code, cpu->cpl);
    cpu->cpu_rip = offset;
}

static void far_direct(X86CPU *cpu, Descriptor *code, uint64_t offset, unsigned size, bool call,
                       uint64_t next_rip)
{
    uint32_t error = selector_error(code->selector);
    unsigned dpl = descriptor_dpl(code);
    bool ok = descriptor_conforming(code)
                  ? dpl <= cpu->cpl
                  : selector_rpl(code->selector) <= cpu->cpl && dpl == cpu->cpl;

    if (!descriptor_code(code) || descriptor_l_and_d(cpu, code) || !ok) {
        cpu_raise_gp(cpu, error);
    }
    if (!descriptor_present(code)) {
        cpu_raise_error(cpu, EXC_NP, error);
    }
    far_to_code(cpu, code, offset, size, call, next_rip);
}

/* --- call gates -------------------------------------------------------------------------- */

/* Copies the parameters and the way back to the inner stack, then goes there. */
static void gate_enter_inner(X86CPU *cpu, const Descriptor *gate, Descriptor *code, unsigned size,
                             uint64_t offset, uint64_t next_rip)
{
    unsigned cpl = descriptor_dpl(code);
    unsigned parameters = (gate->raw >> 32) & 31;
    uint16_t ss;
    uint64_t sp;
    Descriptor stack;
    X86Segment segment;
    Frame frame;

    tss_stack(cpu, cpl, 0, &ss, &sp);
    stack_segment_check(cpu, ss, cpl, EXC_TS, 0, &stack);
    segment = descriptor_segment(&stack, ss);
    frame_begin_on(cpu, &frame, &segment, sp, cpl, size, selector_error(ss));
    frame_push(&frame, cpu->seg[SEG_SS].selector);
    frame_push(&frame, cpu->regs[R_RSP]);
    while (parameters--) {
        frame_push(&frame, stack_peek(cpu, parameters * size, size));
    }
    frame_push(&frame, cpu->seg[SEG_CS].selector);
    frame_push(&frame, next_rip);
    code_check_offset(cpu, code, offset, 0);
    descriptor_set_accessed(cpu, &stack);
    descriptor_set_accessed(cpu, code);
    sp = frame_commit(cpu, &frame);

    cpu->seg[SEG_SS] = descriptor_segment(&stack, ss);
    cpu_set_cs(cpu, code, cpl);
    cpu->cpu_rip = offset;
    stack_commit(cpu, sp);
}

static void gate_enter_inner64(X86CPU *cpu, Descriptor *code, uint64_t offset, uint64_t next_rip)
{
    unsigned cpl = descriptor_dpl(code);
    Frame frame;
    uint64_t sp;

    frame_begin(cpu, &frame, 8, 0);
    frame.sp = tss_stack64(cpu, cpl, 0);
    frame.mask = UINT64_MAX;
    frame.flat = true;
    frame.view = mmu_system_view(cpu);
    frame_push(&frame, cpu->seg[SEG_SS].selector);
    frame_push(&frame, cpu->regs[R_RSP]);
    frame_push(&frame, cpu->seg[SEG_CS].selector);
    frame_push(&frame, next_rip);
    code_check_offset(cpu, code, offset, 0);
    descriptor_set_accessed(cpu, code);
    sp = frame_commit(cpu, &frame);

    cpu->seg[SEG_SS] = segment_null(cpl);
    cpu_set_cs(cpu, code, cpl);
    cpu->cpu_rip = offset;
    cpu->regs[R_RSP] = sp;
}

/* From compatibility mode into 64-bit code of the same privilege: the frame has 8-byte slots. */
static void gate_enter_same64(X86CPU *cpu, Descriptor *code, uint64_t offset, uint64_t next_rip)
{
    Frame frame;
    uint64_t sp;

    code_check_offset(cpu, code, offset, 0);
    frame_begin(cpu, &frame, 8, 0);
    frame.mask = UINT64_MAX;
    frame.flat = true;
    frame_push(&frame, cpu->seg[SEG_CS].selector);
    frame_push(&frame, next_rip);
    descriptor_set_accessed(cpu, code);
    sp = frame_commit(cpu, &frame);
    cpu_set_cs(cpu, code, cpu->cpl);
    cpu->cpu_rip = offset;
    cpu->regs[R_RSP] = sp;
}

/* The code segment behind a call gate; which privileges it may have depends on JMP or CALL. */
static void gate_fetch_code(X86CPU *cpu, const Descriptor *gate, bool call, Descriptor *code)
{
    uint16_t selector = gate_selector(gate);
    uint32_t error = selector_error(selector);
    unsigned dpl;

    descriptor_require(cpu, selector, EXC_GP, 0, code);
    dpl = descriptor_dpl(code);
    if (!descriptor_code(code) || dpl > cpu->cpl ||
        (!call && !descriptor_conforming(code) && dpl != cpu->cpl)) {
        cpu_raise_gp(cpu, error);
    }
    if (cpu_long_mode(cpu) && ((code->raw >> 53) & 3) != 1) {
        cpu_raise_gp(cpu, error);
    }
    if (!descriptor_present(code)) {
        cpu_raise_error(cpu, EXC_NP, error);
    }
}

static void far_through_gate(X86CPU *cpu, Descriptor *gate, bool call, uint64_t next_rip)
{
    Descriptor code;
    bool wide = cpu_long_mode(cpu);
    unsigned size = wide ? 8 : descriptor_type(gate) == DESC_CALL32 ? 4 : 2;
    uint64_t offset;

    if (wide && !descriptor_fetch_high(cpu, gate)) {
        cpu_raise_gp(cpu, selector_error(gate->selector));
    }
    gate_fetch_code(cpu, gate, call, &code);
    offset = gate_offset(gate, wide) & size_mask(size);
    if (call && !descriptor_conforming(&code) && descriptor_dpl(&code) < cpu->cpl) {
        if (wide) {
            gate_enter_inner64(cpu, &code, offset, next_rip);
        } else {
            gate_enter_inner(cpu, gate, &code, size, offset, next_rip);
        }
    } else if (wide && call) {
        gate_enter_same64(cpu, &code, offset, next_rip);
    } else {
        far_to_code(cpu, &code, offset, size, call, next_rip);
    }
}

/* --- what a far selector may name ------------------------------------------------------------ */

static void far_to_system(X86CPU *cpu, Descriptor *d, bool call, uint64_t next_rip)
{
    uint32_t error = selector_error(d->selector);
    unsigned type = descriptor_type(d);
    bool legacy = !cpu_long_mode(cpu);
    bool gate = type == DESC_CALL32 || (legacy && (type == DESC_CALL16 || type == DESC_TASK_GATE));
    bool tss = legacy && (type == DESC_TSS16 || type == DESC_TSS32);
    Descriptor task;

    if ((!gate && !tss) || descriptor_dpl(d) < cpu->cpl ||
        descriptor_dpl(d) < selector_rpl(d->selector)) {
        cpu_raise_gp(cpu, error);
    }
    if (!descriptor_present(d)) {
        cpu_raise_error(cpu, EXC_NP, error);
    }
    if (tss) {
        task_fetch(cpu, d->selector, 0, &task);
        task_switch(cpu, &task, call ? TASK_CALL : TASK_JUMP, next_rip, 0, false, 0);
    } else if (type == DESC_TASK_GATE) {
        task_fetch(cpu, gate_selector(d), 0, &task);
        task_switch(cpu, &task, call ? TASK_CALL : TASK_JUMP, next_rip, 0, false, 0);
    } else {
        far_through_gate(cpu, d, call, next_rip);
    }
}

void far_transfer(X86CPU *cpu, uint16_t selector, uint64_t offset, unsigned size, bool call,
                  uint64_t next_rip)
{
    Descriptor d;

    if (!cpu_pm(cpu)) {
        far_transfer_real(cpu, selector, offset, size, call, next_rip);
        return;
    }
    descriptor_require(cpu, selector, EXC_GP, 0, &d);
    if (descriptor_system(&d)) {
        far_to_system(cpu, &d, call, next_rip);
    } else {
        far_direct(cpu, &d, offset, size, call, next_rip);
    }
}

/* --- RETF ---------------------------------------------------------------------------------------
 */

void return_fetch_code(X86CPU *cpu, uint16_t selector, Descriptor *code)
{
    uint32_t error = selector_error(selector);
    unsigned rpl = selector_rpl(selector);
    unsigned dpl;

    descriptor_require(cpu, selector, EXC_GP, 0, code);
    dpl = descriptor_dpl(code);
    if (!descriptor_code(code) || descriptor_l_and_d(cpu, code) || rpl < cpu->cpl ||
        (descriptor_conforming(code) ? dpl > rpl : dpl != rpl)) {
        cpu_raise_gp(cpu, error);
    }
    if (!descriptor_present(code)) {
        cpu_raise_error(cpu, EXC_NP, error);
    }
}

bool return_fetch_stack(X86CPU *cpu, uint16_t selector, const Descriptor *code, Descriptor *stack)
{
    unsigned rpl = selector_rpl(code->selector);

    if (selector_null(selector) && descriptor_code64(cpu, code) && rpl != 3 &&
        selector_rpl(selector) == rpl) {
        return false;
    }
    stack_segment_check(cpu, selector, rpl, EXC_GP, 0, stack);
    return true;
}

void return_enter(X86CPU *cpu, Descriptor *code, uint64_t rip, Descriptor *stack, uint16_t ss,
                  uint64_t sp)
{
    bool outer = selector_rpl(code->selector) != cpu->cpl;

    cpu->seg[SEG_SS] = stack ? descriptor_segment(stack, ss) : segment_null(ss);
    cpu_set_cs(cpu, code, selector_rpl(code->selector));
    cpu->cpu_rip = rip;
    stack_commit(cpu, sp);
    if (outer) {
        segments_drop_inner(cpu);
    }
}

static void retf_real(X86CPU *cpu, unsigned size, unsigned extra)
{
    uint64_t ip = stack_peek(cpu, 0, size);
    uint16_t cs = stack_peek(cpu, size, size);

    if (ip > cpu->seg[SEG_CS].limit) {
        cpu_raise_gp(cpu, 0);
    }
    stack_commit(cpu, cpu->regs[R_RSP] + 2 * size + extra);
    segment_load_real(cpu, SEG_CS, cs);
    cpu->cpu_rip = ip;
    cpu_update_mode(cpu);
}

static void retf_outer(X86CPU *cpu, unsigned size, unsigned extra, Descriptor *code, uint64_t rip)
{
    unsigned depth = 2 * size + extra;
    uint64_t sp = stack_peek(cpu, depth, size);
    uint16_t ss = stack_peek(cpu, depth + size, size);
    Descriptor stack;
    bool present = return_fetch_stack(cpu, ss, code, &stack);

    code_check_offset(cpu, code, rip, 0);
    descriptor_set_accessed(cpu, code);
    if (present) {
        descriptor_set_accessed(cpu, &stack);
    }
    return_enter(cpu, code, rip, present ? &stack : NULL, ss, sp + extra);
}

static void retf(X86CPU *cpu, unsigned size, unsigned extra)
{
    Descriptor code;
    uint64_t rip;

    if (!cpu_pm(cpu)) {
        retf_real(cpu, size, extra);
        return;
    }
    rip = stack_peek(cpu, 0, size);
    return_fetch_code(cpu, stack_peek(cpu, size, size), &code);
    if (selector_rpl(code.selector) != cpu->cpl) {
        retf_outer(cpu, size, extra, &code, rip);
        return;
    }
    code_check_offset(cpu, &code, rip, 0);
    descriptor_set_accessed(cpu, &code);
    stack_commit(cpu, cpu->regs[R_RSP] + 2 * size + extra);
    cpu_set_cs(cpu, &code, cpu->cpl);
    cpu->cpu_rip = rip;
}

/* --- instructions
 * --------------------------------------------------------------------------------- */

static void insn_far_direct(X86CPU *cpu, const Insn *insn)
{
    far_transfer(cpu, insn->imm >> 32, (uint32_t)insn->imm & size_mask(insn->opsize), insn->opsize,
                 insn->aux, insn_next_rip(cpu, insn));
}

static void insn_far_indirect(X86CPU *cpu, const Insn *insn)
{
    unsigned size = insn->opsize;
    uint64_t va = insn_linear(cpu, insn, size + 2, false);
    uint8_t pointer[10];
    uint64_t offset = 0;
    uint16_t selector;

    mmu_read(cpu, cpu->mmu_view, va, pointer, size + 2);
    memcpy(&offset, pointer, size);
    memcpy(&selector, pointer + size, 2);
    far_transfer(cpu, selector, offset, size, insn->aux, insn_next_rip(cpu, insn));
}

static void insn_retf(X86CPU *cpu, const Insn *insn)
{
    retf(cpu, insn->opsize, insn->imm & 0xffff);
}

INSN_FAMILY(far_branch)
{
    insn->flags |= INSN_END;
    insn->opsize = source_operand_size(src);
    if (src->zi->mnemonic == ZYDIS_MNEMONIC_RET) {
        insn->imm = src->zi->opcode == 0xca ? src->zi->raw.imm[0].value.u : 0;
        return insn_retf;
    }
    insn->aux = src->zi->mnemonic == ZYDIS_MNEMONIC_CALL;
    if (src->ops[0].type == ZYDIS_OPERAND_TYPE_POINTER) {
        insn->imm = (uint64_t)src->ops[0].ptr.segment << 32 | (uint32_t)src->ops[0].ptr.offset;
        return cpu_code64(src->cpu) ? NULL : insn_far_direct;
    }
    /* AMD's processors have no m16:64 form: REX.W is ignored (APM 3 CALL far). */
    if (insn->opsize == 8 && cpu_is_amd(src->cpu)) {
        insn->opsize = 4;
    }
    return insn->ea == EA_NONE ? NULL : insn_far_indirect;
}
