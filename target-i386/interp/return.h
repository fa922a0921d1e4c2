/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What RETF and IRET have in common: checks of the segments they return to, and the way out. */
#ifndef TARGET_I386_INTERP_RETURN_H
#define TARGET_I386_INTERP_RETURN_H

#include "target-i386/interp/system.h"

/* Reads the code segment to return to, with its checks (#GP, #NP). */
void return_fetch_code(X86CPU *cpu, uint16_t selector, Descriptor *code);
/* Reads the stack segment that goes with @code; false if it is null and may be. */
bool return_fetch_stack(X86CPU *cpu, uint16_t selector, const Descriptor *code, Descriptor *stack);
/* Loads CS:RIP and SS:RSP (@stack NULL: SS is null); outwards, hides inner data segments. */
void return_enter(X86CPU *cpu, Descriptor *code, uint64_t rip, Descriptor *stack, uint16_t ss,
                  uint64_t sp);

#endif
