/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The state that is derived from control registers, CS and EFLAGS. Compiled for general registers
 * only, as translated code calls it with the guest's vector state in the host's.
 */
#include "target-i386/cpu.h"

void cpu_update_mode(X86CPU *cpu)
{
    const X86Segment *cs = &cpu->seg[SEG_CS];

    if (!(cpu->cr0 & CR0_PE)) {
        cpu->cpl = 0;
    } else if (cpu->eflags & FL_VM) {
        cpu->cpl = 3;
    }
    if ((cpu->efer & EFER_LMA) && (cs->attr & SEG_ATTR_L)) {
        cpu->code_size = 64;
    } else {
        cpu->code_size = cs->attr & SEG_ATTR_DB ? 32 : 16;
    }
    cpu->ss32 = cpu->seg[SEG_SS].attr & SEG_ATTR_DB;
    if (cpu->cpl == 3) {
        cpu->mmu_view = MMU_USER;
    } else {
        cpu->mmu_view =
            (cpu->cr4 & CR4_SMAP) && !(cpu->eflags & FL_AC) ? MMU_SUPER_SMAP : MMU_SUPER;
    }
    cpu->debug_active = (cpu->eflags & FL_TF) || (cpu->dr[7] & 0xff);
}

void cpu_set_eflags(X86CPU *cpu, uint32_t value, uint32_t mask)
{
    uint32_t other = mask & ~(uint32_t)FL_ARITH;

    cpu->cc = (cpu->cc & ~mask) | (value & mask & FL_ARITH);
    cpu->eflags = (cpu->eflags & ~other) | (value & other) | 2;
    if (mask & (FL_VM | FL_AC | FL_TF)) {
        cpu_update_mode(cpu);
    }
}
