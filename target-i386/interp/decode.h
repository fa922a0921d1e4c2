/* SPDX-License-Identifier: GPL-2.0-or-later */
/* From instruction bytes to Insn, through Zydis. */
#ifndef TARGET_I386_INTERP_DECODE_H
#define TARGET_I386_INTERP_DECODE_H

#include "target-i386/interp/insn.h"

typedef struct Decoder Decoder;

/* A decoder for what @cpu's features make of ambiguous encodings. */
Decoder *decoder_new(const X86CPU *cpu);
void decoder_free(Decoder *decoder);

typedef enum {
    DECODE_OK,
    DECODE_MORE,     /* @size bytes are not enough */
    DECODE_TOO_LONG, /* over 15 bytes: #GP(0) */
} DecodeResult;

/*
 * What Zydis says of the instruction at @bytes in the CPU's current mode: src->zi and src->ops
 * point to it until the next call.
 */
ZyanStatus decoder_read(Decoder *decoder, X86CPU *cpu, const uint8_t *bytes, unsigned size,
                        InsnSource *src);

/*
 * Decodes one instruction for the CPU's current mode. An undefined one is DECODE_OK with a function
 * that raises #UD.
 */
DecodeResult decode_insn(Decoder *decoder, X86CPU *cpu, const uint8_t *bytes, unsigned size,
                         Insn *insn);

/* True if the CPU raises #UD for it. */
bool insn_is_undefined(const Insn *insn);

#endif
