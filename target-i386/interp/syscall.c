/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * SYSCALL, SYSRET, SYSENTER, SYSEXIT (SDM 2B, APM 3). The vendors differ: SYSCALL outside 64-bit
 * code is AMD's alone, SYSENTER in long mode Intel's alone; the decoder asks which CPU this is.
 */
#include "target-i386/interp/system.h"

static void syscall_done(X86CPU *cpu)
{
    cpu->debug_trap = cpu->debug_trap && (cpu->eflags & FL_TF);
    cpu_debug_update(cpu);
}

/* In long mode: from 64-bit code to LSTAR, from compatibility mode (AMD) to CSTAR. */
static void syscall_long(X86CPU *cpu, uint64_t next_rip, uint16_t cs)
{
    cpu->cpu_rip = cpu_code64(cpu) ? cpu->msr_lstar : cpu->msr_cstar;
    cpu->regs[R_RCX] = next_rip;
    cpu->regs[R_R11] = cpu_get_eflags(cpu) & ~(uint32_t)FL_RF;
    cpu_set_eflags(cpu, 0, (uint32_t)cpu->msr_fmask | FL_RF);
    cpu_set_flat_cs_ss(cpu, cs, cs + 8, 0, true);
}

/* AMD's form for legacy mode: EIP from STAR, IF and VM cleared (APM 3 SYSCALL). */
static void syscall_legacy(X86CPU *cpu, uint64_t next_rip, uint16_t cs)
{
    cpu->cpu_rip = (uint32_t)cpu->msr_star;
    cpu->regs[R_RCX] = (uint32_t)next_rip;
    cpu_set_eflags(cpu, 0, FL_IF | FL_VM | FL_RF);
    cpu_set_flat_cs_ss(cpu, cs, cs + 8, 0, false);
}

static void insn_syscall(X86CPU *cpu, const Insn *insn)
{
    uint16_t cs = (cpu->msr_star >> 32) & 0xfffc;

    if (!(cpu->efer & EFER_SCE) || !cpu_protected(cpu)) {
        cpu_raise_ud(cpu);
    }
    if (cpu_long_mode(cpu)) {
        syscall_long(cpu, insn_next_rip(cpu, insn), cs);
    } else {
        syscall_legacy(cpu, insn_next_rip(cpu, insn), cs);
    }
    syscall_done(cpu);
}

/* Intel loads RCX only if canonical, and faults still at privilege 0; AMD faults when fetching. */
static void insn_sysret(X86CPU *cpu, const Insn *insn)
{
    uint16_t base = cpu->msr_star >> 48;
    bool wide = insn->opsize == 8;
    uint64_t target = wide ? cpu->regs[R_RCX] : (uint32_t)cpu->regs[R_RCX];

    if (!(cpu->efer & EFER_SCE)) {
        cpu_raise_ud(cpu);
    }
    if (!cpu_protected(cpu) || cpu->cpl != 0 ||
        (wide && !insn->aux && !cpu_canonical(cpu, target))) {
        cpu_raise_gp(cpu, 0);
    }
    if (cpu_long_mode(cpu)) {
        cpu_set_eflags(cpu, cpu->regs[R_R11],
                       FL_ARITH | FL_TF | FL_IF | FL_DF | FL_IOPL | FL_NT | FL_AC | FL_VIF |
                           FL_VIP | FL_ID | FL_RF);
        cpu->debug_keep_rf = true;
    } else {
        cpu_set_eflags(cpu, FL_IF, FL_IF);
    }
    cpu->cpu_rip = target;
    cpu_set_flat_cs_ss(cpu, (base + (wide ? 16 : 0)) | 3, (base + 8) | 3, 3, wide);
    cpu_debug_update(cpu);
}

INSN_FAMILY(syscall)
{
    bool amd = cpu_is_amd(src->cpu);
    bool code64 = cpu_code64(src->cpu);

    insn->flags |= INSN_END;
    insn->aux = amd;
    if (!code64 && !amd) {
        return NULL;
    }
    if (src->zi->mnemonic == ZYDIS_MNEMONIC_SYSCALL) {
        return insn_syscall;
    }
    insn->opsize = source_operand_size(src) == 8 ? 8 : 4;
    return insn_sysret;
}

static void insn_sysenter(X86CPU *cpu, const Insn *insn)
{
    uint16_t cs = cpu->msr_sysenter_cs & 0xfffc;
    bool wide = cpu_long_mode(cpu);

    if (wide && insn->aux) {
        cpu_raise_ud(cpu);
    }
    if (!cpu_protected(cpu) || !cs) {
        cpu_raise_gp(cpu, 0);
    }
    cpu_set_eflags(cpu, 0, FL_VM | FL_IF | FL_RF);
    cpu->regs[R_RSP] = wide ? cpu->msr_sysenter_esp : (uint32_t)cpu->msr_sysenter_esp;
    cpu->cpu_rip = wide ? cpu->msr_sysenter_eip : (uint32_t)cpu->msr_sysenter_eip;
    cpu_set_flat_cs_ss(cpu, cs, cs + 8, 0, wide);
    cpu_debug_update(cpu);
}

static void insn_sysexit(X86CPU *cpu, const Insn *insn)
{
    uint16_t cs = cpu->msr_sysenter_cs & 0xfffc;
    bool wide = insn->opsize == 8;
    uint64_t rip = wide ? cpu->regs[R_RDX] : (uint32_t)cpu->regs[R_RDX];
    uint64_t rsp = wide ? cpu->regs[R_RCX] : (uint32_t)cpu->regs[R_RCX];

    if (cpu_long_mode(cpu) && insn->aux) {
        cpu_raise_ud(cpu);
    }
    if (!cpu_protected(cpu) || !cs || cpu->cpl != 0 ||
        (wide && !(cpu_canonical(cpu, rip) && cpu_canonical(cpu, rsp)))) {
        cpu_raise_gp(cpu, 0);
    }
    cs += wide ? 32 : 16;
    cpu->regs[R_RSP] = rsp;
    cpu->cpu_rip = rip;
    cpu_set_flat_cs_ss(cpu, cs | 3, (cs + 8) | 3, 3, wide);
}

INSN_FAMILY(sysenter)
{
    insn->flags |= INSN_END;
    insn->aux = cpu_is_amd(src->cpu);
    if (src->zi->mnemonic == ZYDIS_MNEMONIC_SYSENTER) {
        return insn_sysenter;
    }
    insn->opsize = source_operand_size(src) == 8 ? 8 : 4;
    return insn_sysexit;
}
