/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Blocks whose bytes nobody watches: they keep a copy, and are compared with it each time before
 * they run. That is for pages in which code changes again and again, or lies among data that do.
 * Immediates that were seen to change are no part of the comparison: they are read when the
 * instruction runs.
 */
#ifndef TARGET_I386_INTERP_CHECKED_H
#define TARGET_I386_INTERP_CHECKED_H

#include "target-i386/interp/cache.h"
#include "target-i386/interp/decode.h"

/* Comparing longer ones costs more than watching them. */
#define CHECKED_BYTES_MAX 256u

typedef struct CheckedCode {
    uint8_t bytes[CHECKED_BYTES_MAX];
    unsigned size;   /* of what is there of the page, and then of the block */
    Insn insns[BLOCK_MAX_INSNS];
    unsigned count;
} CheckedCode;

/*
 * Decodes the block of at most @most instructions at linear address @pc; false if it cannot be such
 * a one. Its instructions must not write to themselves, but for the last, behind which nothing of
 * the block runs.
 */
bool checked_decode(X86CPU *cpu, Decoder *decoder, uint64_t pc, unsigned most, CheckedCode *code);
/*
 * Lists in @block, which has its copy, the immediates that have a byte in @patched: a bit for each
 * byte of the page.
 */
void checked_note_immediates(X86CPU *cpu, Decoder *decoder, Block *block, const uint64_t *patched);
/* True if the bytes are those of the copy. */
bool checked_same(const Block *block);
/*
 * Takes over the immediates in the list that changed; false if other bytes differ from the copy
 * too: these are set in @patched.
 */
bool checked_refresh(X86CPU *cpu, Decoder *decoder, Block *block, uint64_t *patched);

#endif
