/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Near branches, flag instructions, NOPs, BOUND, and the decimal adjustments (SDM 2). */
#include "target-i386/interp/alu.h"

/* --- branches ------------------------------------------------------------------- */

/* Relative target: with wrong bits above the canonical ones it is #GP(0) at the branch itself. */
static void jump_relative(X86CPU *cpu, const Insn *insn, uint64_t target)
{
    if (G_LIKELY(insn->opsize == 8)) {
        if (G_UNLIKELY((target ^ cpu->cpu_rip) >> 47) && !cpu_canonical(cpu, target)) {
            cpu_raise_gp(cpu, 0);
        }
        cpu->cpu_rip = target;
    } else {
        cpu_jump_near(cpu, target, insn->opsize);
    }
}

static void jcc_if(X86CPU *cpu, const Insn *insn, bool taken)
{
    uint64_t next = insn_next_rip(cpu, insn);

    if (taken) {
        jump_relative(cpu, insn, next + insn->imm);
    } else {
        cpu->cpu_rip = next;
    }
}

#define JCC(n)                                                                                     \
    static void jcc##n(X86CPU *cpu, const Insn *insn)                                              \
    {                                                                                              \
        jcc_if(cpu, insn, cpu_condition(cpu, n));                                                  \
    }

JCC(0) JCC(1) JCC(2) JCC(3) JCC(4) JCC(5) JCC(6) JCC(7)
JCC(8) JCC(9) JCC(10) JCC(11) JCC(12) JCC(13) JCC(14) JCC(15)

INSN_FAMILY(jcc)
{
    static InsnFn *const fns[16] = {jcc0, jcc1, jcc2,  jcc3,  jcc4,  jcc5,  jcc6,  jcc7,
                                    jcc8, jcc9, jcc10, jcc11, jcc12, jcc13, jcc14, jcc15};

    insn->flags |= INSN_END;
    return fns[src->zi->opcode & 15];
}

/* Counter of LOOP and JCXZ: CX, ECX or RCX by address size. */
static uint64_t counter_minus(X86CPU *cpu, const Insn *insn, unsigned step)
{
    return (reg_get(cpu, R_RCX * 8, insn->addrsize) - step) &
           (UINT64_MAX >> (64 - insn->addrsize * 8));
}

static void loop(X86CPU *cpu, const Insn *insn)
{
    uint64_t count = counter_minus(cpu, insn, 1);
    bool taken = count != 0;

    if (insn->mnemonic == ZYDIS_MNEMONIC_LOOPE) {
        taken = taken && (cpu->cc & FL_ZF);
    } else if (insn->mnemonic == ZYDIS_MNEMONIC_LOOPNE) {
        taken = taken && !(cpu->cc & FL_ZF);
    }
    jcc_if(cpu, insn, taken);
    reg_set(cpu, R_RCX * 8, count, insn->addrsize);
}

static void jcxz(X86CPU *cpu, const Insn *insn)
{
    jcc_if(cpu, insn, counter_minus(cpu, insn, 0) == 0);
}

INSN_FAMILY(loop)
{
    insn->flags |= INSN_END;
    switch (insn->mnemonic) {
    case ZYDIS_MNEMONIC_JCXZ:
    case ZYDIS_MNEMONIC_JECXZ:
    case ZYDIS_MNEMONIC_JRCXZ:
        return jcxz;
    default:
        return loop;
    }
}

static void jmp_relative(X86CPU *cpu, const Insn *insn)
{
    jump_relative(cpu, insn, insn_next_rip(cpu, insn) + insn->imm);
}

static void jmp_indirect(X86CPU *cpu, const Insn *insn)
{
    cpu_jump_near(cpu, insn_load(cpu, insn), insn->opsize);
}

INSN_FAMILY(jmp)
{
    insn->flags |= INSN_END;
    if (src->zi->meta.branch_type == ZYDIS_BRANCH_TYPE_FAR) {
        return insn_select_far_branch(src, insn);
    }
    return src->ops[0].type == ZYDIS_OPERAND_TYPE_IMMEDIATE ? jmp_relative : jmp_indirect;
}

/* The target is checked before the return address is pushed: a fault leaves all as it was. */
static void call_to(X86CPU *cpu, const Insn *insn, uint64_t target)
{
    uint64_t rip = cpu->cpu_rip, next = insn_next_rip(cpu, insn), goal;

    cpu_jump_near(cpu, target, insn->opsize);
    goal = cpu->cpu_rip;
    cpu->cpu_rip = rip;
    stack_push(cpu, next, insn->opsize);
    cpu->cpu_rip = goal;
}

static void call_relative64(X86CPU *cpu, const Insn *insn)
{
    uint64_t next = insn_next_rip(cpu, insn), target = next + insn->imm;
    uint64_t sp = cpu->regs[R_RSP] - 8;

    if (G_UNLIKELY((target ^ next) >> 47) && !cpu_canonical(cpu, target)) {
        cpu_raise_gp(cpu, 0);
    }
    mmu_push64(cpu, sp, next);
    cpu->regs[R_RSP] = sp;
    cpu->cpu_rip = target;
}

static void call_relative(X86CPU *cpu, const Insn *insn)
{
    call_to(cpu, insn, insn_next_rip(cpu, insn) + insn->imm);
}

static void call_indirect(X86CPU *cpu, const Insn *insn)
{
    call_to(cpu, insn, insn_load(cpu, insn));
}

INSN_FAMILY(call)
{
    insn->flags |= INSN_END;
    if (src->zi->meta.branch_type == ZYDIS_BRANCH_TYPE_FAR) {
        return insn_select_far_branch(src, insn);
    }
    if (src->ops[0].type != ZYDIS_OPERAND_TYPE_IMMEDIATE) {
        return call_indirect;
    }
    return insn->opsize == 8 ? call_relative64 : call_relative;
}

static void ret64(X86CPU *cpu, const Insn *insn)
{
    uint64_t target = mmu_pop64(cpu, cpu->regs[R_RSP]);

    if (G_UNLIKELY(!cpu_canonical(cpu, target))) {
        cpu_raise_gp(cpu, 0);
    }
    cpu->regs[R_RSP] += 8 + (uint16_t)insn->imm;
    cpu->cpu_rip = target;
}

static void ret_legacy(X86CPU *cpu, const Insn *insn)
{
    uint64_t sp = stack_pointer(cpu);
    uint64_t va = stack_linear(cpu, sp, insn->opsize, false);
    uint64_t target = insn->opsize == 2   ? mmu_pop16(cpu, va)
                      : insn->opsize == 4 ? mmu_pop32(cpu, va)
                                          : mmu_pop64(cpu, va);

    cpu_jump_near(cpu, target, insn->opsize);
    stack_set_pointer(cpu, sp + insn->opsize + (uint16_t)insn->imm);
}

INSN_FAMILY(ret)
{
    insn->flags |= INSN_END;
    if (src->zi->meta.branch_type == ZYDIS_BRANCH_TYPE_FAR) {
        return insn_select_far_branch(src, insn);
    }
    return cpu_code64(src->cpu) && insn->opsize == 8 ? ret64 : ret_legacy;
}

/* --- flags ------------------------------------------------------------------------ */

static void flags_op(X86CPU *cpu, const Insn *insn)
{
    switch (insn->mnemonic) {
    case ZYDIS_MNEMONIC_LAHF:
        reg_set8(cpu, R_RAX * 8 + 1, (cpu->cc & 0xd5) | 2);
        break;
    case ZYDIS_MNEMONIC_SAHF:
        cpu->cc = (cpu->cc & FL_OF) | (reg_get8(cpu, R_RAX * 8 + 1) & 0xd5);
        break;
    case ZYDIS_MNEMONIC_CLC:
        cpu->cc &= ~(uint32_t)FL_CF;
        break;
    case ZYDIS_MNEMONIC_STC:
        cpu->cc |= FL_CF;
        break;
    case ZYDIS_MNEMONIC_CMC:
        cpu->cc ^= FL_CF;
        break;
    case ZYDIS_MNEMONIC_CLD:
        cpu->eflags &= ~(uint32_t)FL_DF;
        break;
    case ZYDIS_MNEMONIC_STD:
        cpu->eflags |= FL_DF;
        break;
    default: /* SALC: AL = CF ? -1 : 0 */
        reg_set8(cpu, R_RAX * 8, cpu->cc & FL_CF ? 0xff : 0);
        break;
    }
}

INSN_FAMILY(flags)
{
    bool ah = insn->mnemonic == ZYDIS_MNEMONIC_LAHF || insn->mnemonic == ZYDIS_MNEMONIC_SAHF;

    if (ah && cpu_code64(src->cpu) && !cpu_has(src->cpu, X86_FEATURE_LAHF_LM)) {
        return NULL;
    }
    return flags_op;
}

static void nop(X86CPU *cpu, const Insn *insn)
{
}

INSN_FAMILY(nop)
{
    return nop;
}

/* BOUND: index in reg, a pair of signed limits in memory. */
static void bound(X86CPU *cpu, const Insn *insn)
{
    uint64_t va = insn_linear(cpu, insn, insn->opsize * 2, false);
    int64_t index, low, high;

    if (insn->opsize == 2) {
        index = (int16_t)reg_get16(cpu, insn->reg);
        low = (int16_t)mmu_load16(cpu, va);
        high = (int16_t)mmu_load16(cpu, va + 2);
    } else {
        index = (int32_t)reg_get32(cpu, insn->reg);
        low = (int32_t)mmu_load32(cpu, va);
        high = (int32_t)mmu_load32(cpu, va + 4);
    }
    if (index < low || index > high) {
        cpu_raise(cpu, EXC_BR);
    }
}

INSN_FAMILY(bound)
{
    insn->opsize = operand_bytes(src, 0);
    return insn->ea == EA_NONE ? NULL : bound;
}

/* --- decimal adjustments (SDM 2A and 2B; undefined flags as Intel CPUs leave them) ------ */

static uint32_t flags_of_al(uint8_t al)
{
    uint32_t cc;

    alu_test8(al, al, &cc);
    return cc & (FL_SF | FL_ZF | FL_PF);
}

static void ascii_adjust(X86CPU *cpu, int sign)
{
    uint16_t ax = reg_get16(cpu, R_RAX * 8);
    bool adjust = (ax & 15) > 9 || (cpu->cc & FL_AF);

    if (adjust) {
        ax += sign * 0x106;
    }
    reg_set16(cpu, R_RAX * 8, ax & 0xff0f);
    cpu->cc = (adjust ? FL_AF | FL_CF : 0) | flags_of_al(ax & 15);
}

static void decimal_adjust(X86CPU *cpu, int sign)
{
    uint8_t old = reg_get8(cpu, R_RAX * 8), al = old;
    bool old_carry = cpu->cc & FL_CF, carry = old_carry, half = false;

    if ((old & 15) > 9 || (cpu->cc & FL_AF)) {
        carry = old_carry || (sign > 0 ? old > 0xf9 : old < 6);
        al += sign * 6;
        half = true;
    }
    if (old > 0x99 || old_carry) {
        al += sign * 0x60;
        carry = true;
    } else if (sign > 0) {
        carry = false;
    }
    reg_set8(cpu, R_RAX * 8, al);
    cpu->cc = flags_of_al(al) | (half ? FL_AF : 0) | (carry ? FL_CF : 0);
}

static void bcd(X86CPU *cpu, const Insn *insn)
{
    uint8_t al = reg_get8(cpu, R_RAX * 8), ah = reg_get8(cpu, R_RAX * 8 + 1);

    switch (insn->mnemonic) {
    case ZYDIS_MNEMONIC_AAA:
        ascii_adjust(cpu, 1);
        break;
    case ZYDIS_MNEMONIC_AAS:
        ascii_adjust(cpu, -1);
        break;
    case ZYDIS_MNEMONIC_DAA:
        decimal_adjust(cpu, 1);
        break;
    case ZYDIS_MNEMONIC_DAS:
        decimal_adjust(cpu, -1);
        break;
    case ZYDIS_MNEMONIC_AAM:
        if (!(uint8_t)insn->imm) {
            cpu_raise(cpu, EXC_DE);
        }
        reg_set16(cpu, R_RAX * 8,
                  (al / (uint8_t)insn->imm) << 8 | al % (uint8_t)insn->imm);
        cpu->cc = flags_of_al(reg_get8(cpu, R_RAX * 8));
        break;
    default: /* AAD: the flags are those of the addition's byte */
        al = alu_add8(al, ah * (uint8_t)insn->imm, &cpu->cc);
        reg_set16(cpu, R_RAX * 8, al);
        break;
    }
}

INSN_FAMILY(bcd)
{
    return bcd;
}
