/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The interpreter: the reference for every other engine, and their one-instruction fallback. */
#ifndef TARGET_I386_INTERP_INTERP_H
#define TARGET_I386_INTERP_INTERP_H

#include "target-i386/cpu.h"

/* Runs guest code until the CPU halts or is asked to stop (VcpuOps.run). */
void interp_run(Vcpu *vcpu);
/*
 * The same for about @instructions, on behalf of an engine that runs the rest: it also ends before
 * INIT and start-up messages. False if it ended before an instruction that raises #UD or #GP here,
 * and perhaps not there; nothing is delivered.
 */
bool interp_run_for(X86CPU *cpu, uint64_t instructions);
/*
 * Executes exactly one instruction (of a REP string instruction, as much as one uninterrupted
 * stretch does; none if the instruction left the block, to be tried again). False if it raised an
 * exception, which is left undelivered in cpu->exception.
 */
bool interp_step(X86CPU *cpu);
/*
 * Executes the block at RIP, by the engine if there is one; of what is pending only changes of
 * code count.
 * False as in interp_step().
 */
bool interp_block(X86CPU *cpu);
/* Executes one instruction and delivers what it raises, debug traps as well. */
void interp_execute_one(X86CPU *cpu);
/* What interp_deliver() delivers: an exception may become #DF by what went before (SDM 3A 6.15). */
typedef enum { INTERP_EXCEPTION, INTERP_INTERRUPT, INTERP_SOFTWARE } InterpEvent;
/* Delivers an event that another engine accepted but could not deliver. */
void interp_deliver(X86CPU *cpu, int vector, InterpEvent kind, bool has_error, uint32_t error);
/*
 * At the first instruction of an exception's handler: back to where it was raised, as IRET of @size
 * bytes an entry would go.
 */
void interp_undo_exception(X86CPU *cpu, bool has_error, unsigned size);
/* VcpuOps of a CPU that the interpreter runs. */
extern const VcpuOps interp_vcpu_ops;
/* A CPU by itself with its own code domain, for tests: no model, every feature bit set. */
X86CPU *cpu_new_bare(MemorySpace *memory, PortSpace *ports);
void cpu_free_bare(X86CPU *cpu);

#endif
