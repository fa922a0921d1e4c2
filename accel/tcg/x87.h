/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * x87 and MMX in translated code: state in the host's registers (x87-state.c), and what cannot be
 * copied as it is (x87.c). Internal to accel/tcg/.
 *
 * Only with all exceptions masked and none pending (MODE_X87), so that the host never traps. Then
 * current hosts keep the data pointer and the opcode as they were (CPUID.7:EBX bit 6; SDM 1,
 * 8.1.9), and so does this; the instruction pointer comes from the host's.
 */
#ifndef ACCEL_TCG_X87_H
#define ACCEL_TCG_X87_H

#include "accel/tcg/trans.h"

/* True if the host has what moving the state takes. */
bool x87_host_fits(void);
void jit_emit_x87_save(Jit *jit, Asm *a);
void jit_emit_x87_load(Jit *jit, Asm *a);
/* Clobber RAX, RDX and flags; flags. */
void jit_emit_x87_save_if_loaded(Jit *jit, Asm *a);
void jit_emit_x87_load_if_wanted(Jit *jit, Asm *a);
/* Translates the host's instruction pointer, after the state was saved. */
void jit_x87_settle_ip(X86CPU *cpu);

static inline void jit_x87_settle(X86CPU *cpu)
{
    if (cpu->jit.x87_host_ip) {
        jit_x87_settle_ip(cpu);
    }
}

/* True if x87 instructions would run and could not raise #MF. */
bool x87_mode_fits(const X86CPU *cpu);

/* True if the instruction is of those that need the x87 state, whatever its operands. */
bool x87_insn_uses(const TransDecoded *zi);
/* True if a copy of this x87 or MMX instruction does it. */
bool x87_insn_copies(const TransDecoded *zi);
/* True if an operand is x87 or MMX state, which a copy finds in the host's registers. */
bool x87_register_fits(ZydisRegister reg);
/* Loads the state for the current instruction, if it needs it and may not have it. */
void trans_need_x87(Trans *t);
void trans_fldcw(Trans *t);
void trans_fninit(Trans *t);

#endif
