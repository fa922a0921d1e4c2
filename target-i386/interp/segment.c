/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Instructions on segment registers: MOV, PUSH, POP, LDS and its kin, FS and GS bases, and loading
 * with its checks (SDM 3A chapter 5). System segments and descriptor queries are in sysseg.c.
 */
#include "target-i386/interp/system.h"

static void segment_load_stack(X86CPU *cpu, uint16_t selector)
{
    Descriptor d;

    if (selector_null(selector)) {
        if (!cpu_code64(cpu) || cpu->cpl == 3 || selector_rpl(selector) != cpu->cpl) {
            cpu_raise_gp(cpu, 0);
        }
        cpu->seg[SEG_SS] = segment_null(selector);
    } else {
        stack_segment_check(cpu, selector, cpu->cpl, EXC_GP, 0, &d);
        descriptor_set_accessed(cpu, &d);
        cpu->seg[SEG_SS] = descriptor_segment(&d, selector);
    }
    cpu_update_mode(cpu);
}

/* True if a data segment register may hold @d: readable, and visible to CPL and RPL. */
static bool segment_data_allowed(const X86CPU *cpu, const Descriptor *d)
{
    if (descriptor_system(d) ||
        (descriptor_code(d) && !(descriptor_type(d) & DESC_READABLE))) {
        return false;
    }
    return descriptor_conforming(d) ||
           (selector_rpl(d->selector) <= descriptor_dpl(d) && cpu->cpl <= descriptor_dpl(d));
}

void cpu_load_segment(X86CPU *cpu, SegReg reg, uint16_t selector)
{
    Descriptor d;

    if (!cpu_pm(cpu)) {
        segment_load_real(cpu, reg, selector);
        if (reg == SEG_SS) {
            cpu_update_mode(cpu);
        }
        return;
    }
    if (reg == SEG_SS) {
        segment_load_stack(cpu, selector);
        return;
    }
    if (selector_null(selector)) {
        cpu->seg[reg] = segment_null(selector);
        return;
    }
    descriptor_require(cpu, selector, EXC_GP, 0, &d);
    if (!segment_data_allowed(cpu, &d)) {
        cpu_raise_gp(cpu, selector_error(selector));
    }
    if (!descriptor_present(&d)) {
        cpu_raise_error(cpu, EXC_NP, selector_error(selector));
    }
    descriptor_set_accessed(cpu, &d);
    cpu->seg[reg] = descriptor_segment(&d, selector);
}

/* Loading SS holds interrupts and debug traps back for one instruction (SDM 3A 6.8.3). */
static void segment_load_insn(X86CPU *cpu, SegReg reg, uint16_t selector)
{
    cpu_load_segment(cpu, reg, selector);
    if (reg == SEG_SS) {
        cpu->interrupt_shadow = true;
        cpu->debug_inhibit = true;
    }
}

/* --- MOV ---------------------------------------------------------------------------------- */

static void insn_mov_from_sreg_reg(X86CPU *cpu, const Insn *insn)
{
    reg_set(cpu, insn->rm, cpu->seg[insn->reg].selector, insn->opsize);
}

static void insn_mov_from_sreg_mem(X86CPU *cpu, const Insn *insn)
{
    mmu_store16(cpu, insn_linear(cpu, insn, 2, true), cpu->seg[insn->reg].selector);
}

static void insn_mov_to_sreg_reg(X86CPU *cpu, const Insn *insn)
{
    segment_load_insn(cpu, insn->reg, reg_get16(cpu, insn->rm));
    insn_advance(cpu, insn);
}

static void insn_mov_to_sreg_mem(X86CPU *cpu, const Insn *insn)
{
    segment_load_insn(cpu, insn->reg, mmu_load16(cpu, insn_linear(cpu, insn, 2, false)));
    insn_advance(cpu, insn);
}

/* MOV r/m, Sreg (8C) and MOV Sreg, r/m (8E); SS ends the block for its shadow and stack size. */
INSN_FAMILY(mov_sreg)
{
    bool load = src->zi->opcode == 0x8e;

    insn->reg = src->zi->raw.modrm.reg;
    if (insn->reg > SEG_GS || (load && insn->reg == SEG_CS)) {
        return NULL;
    }
    insn->opsize = source_operand_size(src);
    insn->rm = source_rm(src);
    if (!load) {
        return insn->ea == EA_NONE ? insn_mov_from_sreg_reg : insn_mov_from_sreg_mem;
    }
    insn->flags |= INSN_END;
    return insn->ea == EA_NONE ? insn_mov_to_sreg_reg : insn_mov_to_sreg_mem;
}

/* --- PUSH, POP ------------------------------------------------------------------------------ */

/* A 32-bit push of a selector writes 16 bits only on current processors (SDM 2B PUSH). */
static void insn_push_sreg(X86CPU *cpu, const Insn *insn)
{
    uint16_t selector = cpu->seg[insn->reg].selector;

    if (insn->opsize == 4) {
        uint64_t sp = (cpu->regs[R_RSP] - 4) & stack_mask(cpu);

        mmu_push16(cpu, stack_linear(cpu, sp, 4, true), selector);
        stack_commit(cpu, sp);
    } else {
        stack_push(cpu, selector, insn->opsize);
    }
}

/* Only two bytes are read of a 32-bit slot, as PUSH writes only two. */
static void insn_pop_sreg(X86CPU *cpu, const Insn *insn)
{
    uint16_t selector = stack_peek(cpu, 0, 2);
    uint64_t sp = cpu->regs[R_RSP] + insn->opsize;
    uint64_t mask = stack_mask(cpu);

    segment_load_insn(cpu, insn->reg, selector);
    if (mask == UINT16_MAX) {
        reg_set16(cpu, R_RSP * 8, sp);
    } else {
        cpu->regs[R_RSP] = sp & mask;
    }
    insn_advance(cpu, insn);
}

/* PUSH and POP of segment registers: 06/07 ES, 0E CS, 16/17 SS, 1E/1F DS, 0F A0/A1 FS, 0F A8/A9 GS.
 */
INSN_FAMILY(push_pop_sreg)
{
    bool two_byte = src->zi->opcode_map == ZYDIS_OPCODE_MAP_0F;
    unsigned size = source_operand_size(src);

    if (!two_byte && cpu_code64(src->cpu)) {
        return NULL;
    }
    insn->reg = (src->zi->opcode >> 3) & 7;
    insn->opsize = cpu_code64(src->cpu) && size == 4 ? 8 : size;
    if (!(src->zi->opcode & 1)) {
        return insn_push_sreg;
    }
    insn->flags |= INSN_END;
    return insn_pop_sreg;
}

/* --- LDS, LES, LFS, LGS, LSS ------------------------------------------------------------------ */

static void insn_load_far_pointer(X86CPU *cpu, const Insn *insn)
{
    unsigned size = insn->opsize;
    uint64_t va = insn_linear(cpu, insn, size + 2, false);
    uint8_t pointer[10];
    uint64_t offset = 0;
    uint16_t selector;

    mmu_read(cpu, cpu->mmu_view, va, pointer, size + 2);
    memcpy(&offset, pointer, size);
    memcpy(&selector, pointer + size, 2);
    cpu_load_segment(cpu, insn->aux, selector);
    reg_set(cpu, insn->reg, offset, size);
    insn_advance(cpu, insn);
}

INSN_FAMILY(load_far_pointer)
{
    insn->flags |= INSN_END;
    insn->reg = source_reg(src);
    insn->opsize = source_operand_size(src);
    switch (src->zi->mnemonic) {
    case ZYDIS_MNEMONIC_LES: insn->aux = SEG_ES; break;
    case ZYDIS_MNEMONIC_LSS: insn->aux = SEG_SS; break;
    case ZYDIS_MNEMONIC_LDS: insn->aux = SEG_DS; break;
    case ZYDIS_MNEMONIC_LFS: insn->aux = SEG_FS; break;
    default: insn->aux = SEG_GS; break;
    }
    if (insn->ea == EA_NONE ||
        (insn->aux <= SEG_DS && insn->aux != SEG_SS && cpu_code64(src->cpu))) {
        return NULL;
    }
    return insn_load_far_pointer;
}

/* --- bases of FS and GS
 * --------------------------------------------------------------------------- */

static void insn_read_base(X86CPU *cpu, const Insn *insn)
{
    if (!(cpu->cr4 & CR4_FSGSBASE)) {
        cpu_raise_ud(cpu);
    }
    reg_set(cpu, insn->rm, cpu->seg[insn->aux].base, insn->opsize);
}

static void insn_write_base(X86CPU *cpu, const Insn *insn)
{
    uint64_t base = reg_get(cpu, insn->rm, insn->opsize);

    if (!(cpu->cr4 & CR4_FSGSBASE)) {
        cpu_raise_ud(cpu);
    }
    if (!cpu_canonical(cpu, base)) {
        cpu_raise_gp(cpu, 0);
    }
    cpu->seg[insn->aux].base = base;
}

INSN_FAMILY(fsgsbase)
{
    unsigned which = src->zi->raw.modrm.reg & 7;

    if (!cpu_code64(src->cpu) || insn->ea != EA_NONE) {
        return NULL;
    }
    insn->rm = source_rm(src);
    insn->opsize = source_operand_size(src) == 8 ? 8 : 4;
    insn->aux = which & 1 ? SEG_GS : SEG_FS;
    return which & 2 ? insn_write_base : insn_read_base;
}

static void insn_swapgs(X86CPU *cpu, const Insn *insn)
{
    uint64_t base = cpu->seg[SEG_GS].base;

    if (cpu->cpl != 0) {
        cpu_raise_gp(cpu, 0);
    }
    cpu->seg[SEG_GS].base = cpu->msr_kernel_gs_base;
    cpu->msr_kernel_gs_base = base;
}

INSN_FAMILY(swapgs)
{
    return cpu_code64(src->cpu) ? insn_swapgs : NULL;
}
