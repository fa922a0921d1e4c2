/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Operands: segmentation of legacy modes, effective addresses, the stack, near jumps. */
#include "target-i386/interp/insn.h"

uint64_t reg_get(X86CPU *cpu, uint16_t offset, unsigned size)
{
    switch (size) {
    case 1: return reg_get8(cpu, offset);
    case 2: return reg_get16(cpu, offset);
    case 4: return reg_get32(cpu, offset);
    default: return reg_get64(cpu, offset);
    }
}

void reg_set(X86CPU *cpu, uint16_t offset, uint64_t value, unsigned size)
{
    switch (size) {
    case 1: reg_set8(cpu, offset, value); break;
    case 2: reg_set16(cpu, offset, value); break;
    case 4: reg_set32(cpu, offset, value); break;
    default: reg_set64(cpu, offset, value); break;
    }
}

uint64_t mem_load(X86CPU *cpu, uint64_t va, unsigned size)
{
    switch (size) {
    case 1: return mmu_load8(cpu, va);
    case 2: return mmu_load16(cpu, va);
    case 4: return mmu_load32(cpu, va);
    default: return mmu_load64(cpu, va);
    }
}

void mem_store(X86CPU *cpu, uint64_t va, uint64_t value, unsigned size)
{
    switch (size) {
    case 1: mmu_store8(cpu, va, value); break;
    case 2: mmu_store16(cpu, va, value); break;
    case 4: mmu_store32(cpu, va, value); break;
    default: mmu_store64(cpu, va, value); break;
    }
}

uint64_t insn_load(X86CPU *cpu, const Insn *insn)
{
    if (insn->ea == EA_NONE) {
        return reg_get(cpu, insn->rm, insn->opsize);
    }
    return mem_load(cpu, insn_linear(cpu, insn, insn->opsize, false), insn->opsize);
}

static G_NORETURN void raise_segment(X86CPU *cpu, SegReg seg)
{
    cpu_raise_error(cpu, seg == SEG_SS ? EXC_SS : EXC_GP, 0);
}

/* Type and presence of a protected-mode segment (SDM 3A 5.3, 5.5). */
static bool segment_permits(const X86Segment *s, bool write)
{
    if (s->attr & SEG_ATTR_UNUSABLE) {
        return false;
    }
    if (s->attr & 8) { /* code: never writable, readable by bit 1 */
        return !write && (s->attr & 2);
    }
    return !write || (s->attr & 2);
}

static bool offset_in_limit(const X86Segment *s, uint64_t offset, unsigned size)
{
    uint64_t last = offset + size - 1;

    if ((s->attr & (8 | 4)) == 4 && (s->attr & SEG_ATTR_S)) { /* expand-down data */
        uint64_t top = s->attr & SEG_ATTR_DB ? 0xffffffff : 0xffff;

        return offset > s->limit && last <= top;
    }
    return last <= s->limit;
}

uint64_t seg_linear(X86CPU *cpu, SegReg seg, uint64_t offset, unsigned size, bool write)
{
    const X86Segment *s = &cpu->seg[seg];

    if (cpu_code64(cpu)) {
        return seg == SEG_FS || seg == SEG_GS ? s->base + offset : offset;
    }
    if (cpu_pm(cpu) && !segment_permits(s, write)) {
        raise_segment(cpu, seg);
    }
    if (!offset_in_limit(s, offset, size)) {
        /* A 4 GiB segment wraps round instead: its limit cannot be exceeded by 32-bit offsets. */
        if (s->limit != 0xffffffff || offset > 0xffffffff) {
            raise_segment(cpu, seg);
        }
    }
    return (uint32_t)(s->base + offset);
}

bool seg_covers(const X86CPU *cpu, SegReg seg, uint64_t offset, unsigned size)
{
    return cpu_code64(cpu) || offset_in_limit(&cpu->seg[seg], offset, size);
}

uint64_t insn_linear_slow(X86CPU *cpu, const Insn *insn, uint64_t offset, unsigned size, bool write)
{
    switch (insn->ea) {
    case EA_FLAT64: return offset;
    case EA_BASE64: return offset + cpu->seg[insn->seg].base;
    case EA_FLAT32: return (uint32_t)offset;
    case EA_BASE32: return (uint32_t)offset + cpu->seg[insn->seg].base;
    case EA_SEG16: return seg_linear(cpu, insn->seg, (uint16_t)offset, size, write);
    default: return seg_linear(cpu, insn->seg, (uint32_t)offset, size, write);
    }
}

uint64_t stack_pointer(X86CPU *cpu)
{
    uint64_t rsp = cpu->regs[R_RSP];

    return cpu_code64(cpu) ? rsp : cpu->ss32 ? (uint32_t)rsp : (uint16_t)rsp;
}

void stack_set_pointer(X86CPU *cpu, uint64_t value)
{
    if (cpu_code64(cpu)) {
        cpu->regs[R_RSP] = value;
    } else if (cpu->ss32) {
        cpu->regs[R_RSP] = (uint32_t)value;
    } else {
        reg_set16(cpu, R_RSP * 8, value);
    }
}

uint64_t stack_linear(X86CPU *cpu, uint64_t sp, unsigned size, bool write)
{
    if (cpu_code64(cpu)) {
        return sp;
    }
    return seg_linear(cpu, SEG_SS, cpu->ss32 ? (uint32_t)sp : (uint16_t)sp, size, write);
}

void stack_push(X86CPU *cpu, uint64_t value, unsigned size)
{
    uint64_t sp = stack_pointer(cpu) - size;
    uint64_t va = stack_linear(cpu, sp, size, true);

    switch (size) {
    case 2: mmu_push16(cpu, va, value); break;
    case 4: mmu_push32(cpu, va, value); break;
    default: mmu_push64(cpu, va, value); break;
    }
    stack_set_pointer(cpu, sp);
}

uint64_t stack_pop(X86CPU *cpu, unsigned size)
{
    uint64_t sp = stack_pointer(cpu);
    uint64_t va = stack_linear(cpu, sp, size, false);
    uint64_t value;

    switch (size) {
    case 2: value = mmu_pop16(cpu, va); break;
    case 4: value = mmu_pop32(cpu, va); break;
    default: value = mmu_pop64(cpu, va); break;
    }
    stack_set_pointer(cpu, sp + size);
    return value;
}

void cpu_jump_near(X86CPU *cpu, uint64_t target, unsigned opsize)
{
    if (opsize == 2) {
        target = (uint16_t)target;
    } else if (opsize == 4) {
        target = (uint32_t)target;
    }
    if (cpu_code64(cpu)) {
        if (G_UNLIKELY(!cpu_canonical(cpu, target))) {
            cpu_raise_gp(cpu, 0);
        }
    } else if (G_UNLIKELY(target > cpu->seg[SEG_CS].limit)) {
        cpu_raise_gp(cpu, 0);
    }
    cpu->cpu_rip = target;
}
