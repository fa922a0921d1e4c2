/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What Zydis found out, kept by form. Two instructions whose bytes before displacement and
 * immediates are equal differ in these alone; a kernel's code has some thousand such beginnings. To
 * find one again and to fill in the numbers takes a tenth of what decoding does.
 */
#ifndef TARGET_I386_INTERP_DECODE_FORMS_H
#define TARGET_I386_INTERP_DECODE_FORMS_H

#include "target-i386/interp/insn.h"

typedef struct DecodeForms DecodeForms;

DecodeForms *decode_forms_new(void);
void decode_forms_free(DecodeForms *forms);
/*
 * Like ZydisDecoderDecodeFull() with @decoder, for @size bytes at @bytes; @slot (0 to 7) is another
 * one for each decoder. @zi and @ops, zi->operand_count of them, stay until the next call.
 */
ZyanStatus decode_forms_read(DecodeForms *forms, const ZydisDecoder *decoder, unsigned slot,
                             const uint8_t *bytes, unsigned size,
                             const ZydisDecodedInstruction **zi, const ZydisDecodedOperand **ops);

#endif
