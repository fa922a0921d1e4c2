/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Lockstep: each block runs translated, is undone, and runs again in the interpreter; registers,
 * system state, flags and written memory must agree. Internal to accel/tcg/.
 *
 * No page has a write tag meanwhile (MmuState.note_write), so that translated code comes here
 * before each write: what it is about to change is noted and the write goes on as if it had hit.
 * Page copies would be simpler, but cost a microsecond a block; a boot has 250 million blocks.
 */
#ifndef ACCEL_TCG_LOCKSTEP_H
#define ACCEL_TCG_LOCKSTEP_H

#include "accel/tcg/jit.h"

/* What a block may write: 64 accesses in groups of up to 512 bytes, or a few pages by a string. */
#define LOCKSTEP_WRITES_MAX 256u
#define LOCKSTEP_BYTES_MAX  (1u << 16)

typedef struct LockstepWrite {
    uint8_t *host;
    uint32_t size, at; /* the bytes of before are Lockstep.before[at...] */
} LockstepWrite;

/* The CPU from its general registers to its control registers. */
#define LOCKSTEP_CORE_FIRST offsetof(X86CPU, regs)
#define LOCKSTEP_CORE_SIZE  (offsetof(X86CPU, x87) - LOCKSTEP_CORE_FIRST)

typedef struct LockstepState {
    uint8_t core[LOCKSTEP_CORE_SIZE] __attribute__((aligned(16)));
    uint64_t kernel_gs_base; /* SWAPGS */
    /* Of blocks with such instructions only. */
    X87State x87;
    X86Vector vec[32];
    uint64_t opmask[8];
} LockstepState;

struct Lockstep {
    LockstepState before, after;
    LockstepWrite writes[LOCKSTEP_WRITES_MAX];
    unsigned count, bytes;
    uint8_t bytes_before[LOCKSTEP_BYTES_MAX], bytes_after[LOCKSTEP_BYTES_MAX];
    unsigned executed;    /* instructions that the translated run did */
    bool whole;           /* and it came to the block's end */
    uint64_t target;      /* of the indirect branch there */
    uint64_t blocks, insns, differences;
};

/* --- lockstep.c ------------------------------------------------------------------------- */

Lockstep *lockstep_new(X86CPU *cpu);
void lockstep_free(X86CPU *cpu, Lockstep *lockstep);
/* Around the translated run of one block. */
void lockstep_begin(Jit *jit, const TransBlock *tb);
void lockstep_end(Jit *jit, const TransBlock *tb);

/* --- lockstep-fill.c: while translated code runs, without vector registers ----------------- */

/* jit_fill() for accesses and indirect branches. */
const void *lockstep_fill(Jit *jit, const TransBlock *tb, const SiteInfo *site, uint64_t va);
/* jit_string(); what it does in part is undone. */
bool lockstep_string(Jit *jit, const TransBlock *tb, const SiteInfo *site);
/* The translated run ended after @insn instructions, or at the block's end. */
void lockstep_stopped(Jit *jit, unsigned insn, bool whole);
/* @size bytes at @host, in one page, are about to be written; false if that must not be. */
bool lockstep_note_write(X86CPU *cpu, uint8_t *host, unsigned size);
/* Gives back what was written since there were @count writes. */
void lockstep_undo(Lockstep *lockstep, unsigned count);

#endif
