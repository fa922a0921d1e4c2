/* SPDX-License-Identifier: GPL-2.0-or-later */
/* System flags: CLI, STI, PUSHF, POPF, CLAC, STAC, with their virtual-8086 rules (SDM 3A 20.3.3).
 */
#include "target-i386/interp/system.h"

#define FL_POPF16 (FL_ARITH | FL_TF | FL_DF | FL_NT)
#define FL_POPF32 (FL_POPF16 | FL_AC | FL_ID)

typedef enum { IF_REAL, IF_VIRTUAL, IF_DENIED } IfAccess;

/* Whether CLI and STI act on IF, on VIF, or #GP (SDM 2A CLI table 3-7). */
static IfAccess if_access(const X86CPU *cpu)
{
    if (!cpu_protected(cpu) || cpu->cpl <= cpu_iopl(cpu)) {
        return IF_REAL;
    }
    if (cpu->eflags & FL_VM) {
        return cpu->cr4 & CR4_VME ? IF_VIRTUAL : IF_DENIED;
    }
    return (cpu->cr4 & CR4_PVI) && cpu->cpl == 3 ? IF_VIRTUAL : IF_DENIED;
}

static void insn_cli(X86CPU *cpu, const Insn *insn)
{
    switch (if_access(cpu)) {
    case IF_REAL: cpu_set_eflags(cpu, 0, FL_IF); break;
    case IF_VIRTUAL: cpu_set_eflags(cpu, 0, FL_VIF); break;
    default: cpu_raise_gp(cpu, 0);
    }
}

static void insn_sti(X86CPU *cpu, const Insn *insn)
{
    switch (if_access(cpu)) {
    case IF_REAL:
        cpu->interrupt_shadow = !(cpu->eflags & FL_IF);
        cpu_set_eflags(cpu, FL_IF, FL_IF);
        break;
    case IF_VIRTUAL:
        if (cpu->eflags & FL_VIP) {
            cpu_raise_gp(cpu, 0);
        }
        cpu_set_eflags(cpu, FL_VIF, FL_VIF);
        break;
    default:
        cpu_raise_gp(cpu, 0);
    }
    insn_advance(cpu, insn);
}

INSN_FAMILY(interrupt_flag)
{
    if (src->zi->mnemonic == ZYDIS_MNEMONIC_CLI) {
        return insn_cli;
    }
    insn->flags |= INSN_END;
    return insn_sti;
}

static void insn_pushf(X86CPU *cpu, const Insn *insn)
{
    uint32_t flags = cpu_get_eflags(cpu) & ~(FL_RF | FL_VM);

    if ((cpu->eflags & FL_VM) && cpu_iopl(cpu) < 3) {
        if (!(cpu->cr4 & CR4_VME) || insn->opsize != 2) {
            cpu_raise_gp(cpu, 0);
        }
        flags = (flags & ~FL_IF) | FL_IOPL | (flags & FL_VIF ? FL_IF : 0);
    }
    stack_push(cpu, flags, insn->opsize);
}

/* With IOPL below 3 in virtual-8086 mode: IF of the image is VIF, if that may be. */
static void popf_vme(X86CPU *cpu, const Insn *insn)
{
    uint32_t flags;

    if (!(cpu->cr4 & CR4_VME) || insn->opsize != 2) {
        cpu_raise_gp(cpu, 0);
    }
    flags = stack_peek(cpu, 0, 2);
    if ((flags & FL_TF) || ((flags & FL_IF) && (cpu->eflags & FL_VIP))) {
        cpu_raise_gp(cpu, 0);
    }
    stack_commit(cpu, cpu->regs[R_RSP] + 2);
    cpu_set_eflags(cpu, flags | (flags & FL_IF ? FL_VIF : 0), FL_POPF16 | FL_VIF);
}

static void insn_popf(X86CPU *cpu, const Insn *insn)
{
    uint32_t mask = (insn->opsize == 2 ? FL_POPF16 : FL_POPF32) | FL_RF;
    uint32_t flags;

    if ((cpu->eflags & FL_VM) && cpu_iopl(cpu) < 3) {
        popf_vme(cpu, insn);
    } else {
        flags = stack_pop(cpu, insn->opsize);
        if (!cpu_protected(cpu) || cpu->cpl == 0) {
            mask |= FL_IOPL;
        }
        if (!cpu_protected(cpu) || cpu->cpl <= cpu_iopl(cpu)) {
            mask |= FL_IF;
        }
        cpu_set_eflags(cpu, flags & ~FL_RF, mask);
    }
    cpu_debug_update(cpu);
    insn_advance(cpu, insn);
}

INSN_FAMILY(push_pop_flags)
{
    unsigned size = source_operand_size(src);

    insn->opsize = cpu_code64(src->cpu) && size == 4 ? 8 : size;
    if (src->zi->opcode == 0x9c) {
        return insn_pushf;
    }
    insn->flags |= INSN_END;
    return insn_popf;
}

static void insn_set_ac(X86CPU *cpu, const Insn *insn)
{
    if (cpu->cpl > 0) {
        cpu_raise_ud(cpu);
    }
    cpu_set_eflags(cpu, insn->aux ? FL_AC : 0, FL_AC);
}

INSN_FAMILY(access_flag)
{
    insn->aux = src->zi->mnemonic == ZYDIS_MNEMONIC_STAC;
    return insn_set_ac;
}
