/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Host-code thunks: the guest's own vector or x87 instruction, re-encoded to take its memory
 * operand from [rsi] and its general registers from fixed host registers, between loads and stores
 * of exactly the guest state that it touches. The host CPU computes the result, so it is exact by
 * construction.
 */
#ifndef TARGET_I386_INTERP_THUNK_H
#define TARGET_I386_INTERP_THUNK_H

#include "target-i386/interp/insn.h"

typedef struct ThunkArena ThunkArena;

/* What must hold in the control registers for the instruction to run (SDM 2A 2.4 to 2.9). */
typedef enum {
    THUNK_CHECK_NONE, /* general registers only */
    THUNK_CHECK_MMX,
    THUNK_CHECK_SSE,
    THUNK_CHECK_VEX,
    THUNK_CHECK_EVEX,
    THUNK_CHECK_X87,
} ThunkCheck;

/* @cpu: the guest's state. @mem: the memory operand. @image: FXSAVE64 image (x87 thunks only). */
typedef void ThunkCode(X86CPU *cpu, void *mem, void *image);

typedef struct Thunk {
    ThunkCode *code;
    uint8_t check;    /* ThunkCheck */
    uint8_t mem_size; /* bytes of the memory operand, 0 if none */
    bool mem_read, mem_write;
    uint8_t mem_align;   /* required alignment in bytes; 1 if any will do */
    bool mxcsr;          /* computes by MXCSR */
    bool raises;         /* and may raise what MXCSR unmasks */
    bool mmx;            /* an MMX register is an operand: x87 state becomes MMX state */
    uint8_t mmx_written; /* bit n: MMn is written */
    bool vec_written;    /* a vector register is written */
    uint8_t vec_dest;    /* which (the first) */
    uint8_t gpr_dest;    /* general register written, R_ZERO if none */
    uint8_t mask_dest;   /* opmask register written, 0xff if none */
    uint8_t mask;        /* EVEX opmask register that governs the memory operand, 0: none */
    uint8_t mask_elem;   /* bytes an element of a masked memory operand */
    bool mask_packed;    /* elements are contiguous in memory: expand and compress */
    bool mask_faults;    /* elements that are not touched can fault all the same */
    uint8_t mask_bits;   /* how many mask bits count */
} Thunk;

/*
 * Gets memory for a CPU's thunks unless it is there. False if the host refuses it, which the first
 * call says: then there are no thunks, and instructions that need them do not exist.
 */
bool thunk_prepare(X86CPU *cpu);
/* Frees a CPU's thunks. Nothing decoded may use them any more. */
void thunk_arena_free(ThunkArena *arena);
/* Forgets all thunks of the CPU to make room; its decoded instructions must have been dropped. */
void thunk_arena_reset(X86CPU *cpu);

/*
 * The thunk that executes the decoded instruction, from the CPU's cache if it was built before;
 * lives until the next reset. NULL if the instruction cannot be expressed so, if the host refuses
 * executable memory or, with *@full, if the arena has no room left.
 */
const Thunk *thunk_get(const InsnSource *src, ThunkCheck check, bool *full);

#endif
