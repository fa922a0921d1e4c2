/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * System instructions in their common case, for translated code that cannot afford to leave: with
 * general registers only, no lock and no exception.
 */
#ifndef TARGET_I386_INTERP_QUICK_H
#define TARGET_I386_INTERP_QUICK_H

#include "target-i386/interp/insn.h"

/* True if interp_quick() knows the instruction; of MOV it knows the form that reads CR0 to CR4. */
bool interp_quick_knows(unsigned mnemonic);
/*
 * Carries @insn out at RIP, in 64-bit code without debugging: RIP moves if it ends a block. False
 * with nothing done: the interpreter must, for it raises, needs more, or is not common.
 */
bool interp_quick(X86CPU *cpu, const Insn *insn);

#endif
