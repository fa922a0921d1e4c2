/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Random sequences of instructions, with branches in them, for the translator. */
#ifndef TESTS_INSN_SEQUENCE_H
#define TESTS_INSN_SEQUENCE_H

#include "tests/insn/insn-test.h"

#define SEQUENCE_MAX 24

typedef struct SequenceInsn {
    uint16_t offset;
    uint8_t len;
    uint8_t relative;       /* bytes of a branch displacement at its end, 0: none */
    bool patches;           /* adds to bytes of another one */
    ZydisDecodedInstruction zi;
    ZydisDecodedOperand ops[ZYDIS_MAX_OPERAND_COUNT];
} SequenceInsn;

typedef struct Sequence {
    InsnCase test;          /* all of its bytes, and the state before */
    CaseAddressing addressing;
    SequenceInsn insns[SEQUENCE_MAX];
    unsigned count;
    uint32_t undefined[SEQUENCE_MAX + 1]; /* flags undefined before each, and at the end */
    uint8_t loop_register;  /* counts while a loop is open */
    bool loop_open;
    bool short_loop;        /* nothing else writes that register: it ends */
    bool native;            /* the host can run it (no segment bases) */
} Sequence;

/* Sorts @forms by what they are, so that common ones are common. */
void sequence_init(GPtrArray *forms);
/*
 * A new one of up to @length instructions; @wanted is among them if it is not NULL. With @patched
 * it writes over its own code.
 */
void sequence_make(Sequence *seq, const Form *wanted, unsigned length, bool patched,
                   Random *random);
/* One loop of 64-bit code without branches, of up to 40 rounds. */
void sequence_make_loop(Sequence *seq, Random *random);
/*
 * True if @code, from CODE_VA, has the instructions that were made still, whatever their operands,
 * and nothing else: what overwrote itself otherwise may leave any flag undefined.
 */
bool sequence_is_itself(const Sequence *seq, const uint8_t *code);
/* Flags that are undefined where execution stopped. */
uint32_t sequence_undefined(const Sequence *seq, uint64_t rip);
void sequence_print(const Sequence *seq);

#endif
