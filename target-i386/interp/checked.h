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

/* A bit for every eight bytes of a page. */
typedef struct PatchedBytes {
    uint64_t words[GUEST_PAGE_SIZE / 8 / 64];
} PatchedBytes;

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
 * Makes @block, which has room for it, one that is compared with its bytes at @host, but for the
 * immediates that have a byte in @patched.
 */
void checked_fill(X86CPU *cpu, Decoder *decoder, Block *block, const uint8_t *host,
                  const PatchedBytes *patched);
/* True if the bytes are those of the copy. */
bool checked_same(const Block *block);
/*
 * Takes over the immediates in the list that changed; false if other bytes differ from the copy
 * too: these are set in @patched.
 */
bool checked_refresh(X86CPU *cpu, Decoder *decoder, Block *block, PatchedBytes *patched);

#endif
