/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What Zydis found out, kept by form. Two instructions whose bytes before displacement and
 * immediates are equal differ in these alone; a kernel's code has some thousand such beginnings. To
 * find one again and to fill in the numbers takes a tenth of what decoding does.
 */
#ifndef TARGET_I386_INTERP_DECODE_FORMS_H
#define TARGET_I386_INTERP_DECODE_FORMS_H

#include <string.h>

#include "target-i386/interp/insn.h"

#define FORM_OPS 6u /* few instructions have more, and they are rare */

typedef struct DecodeForms DecodeForms;

/* Where the numbers of a form stand in its bytes, and which operands have them. */
typedef struct FormNumbers {
    int8_t disp_op;        /* -1: none */
    int8_t imm_op[2];
    uint8_t disp_at, disp_bits;
    uint8_t imm_at[2], imm_bits[2];
    bool imm_signed[2];
} FormNumbers;

/*
 * What the instruction at @bytes begins with: the bytes before its numbers, of which there are
 * @head, and @slot (0 to 7), another one for each decoder; 0 if it is in no form. Reads 8 bytes.
 */
uint64_t form_key(const uint8_t *bytes, bool long_mode, unsigned slot, unsigned *head);
/* Finds the numbers of an instruction with @head bytes before them; false if that is not plain. */
bool form_find_numbers(const ZydisDecodedInstruction *zi, const ZydisDecodedOperand *ops,
                       unsigned head, FormNumbers *numbers);

/* A number of @bits at @bytes. */
static inline uint64_t form_number(const uint8_t *bytes, unsigned bits, bool is_signed)
{
    uint64_t value = 0;

    switch (bits) {
    case 8:
        return is_signed ? (uint64_t)(int8_t)bytes[0] : bytes[0];
    case 16:
        memcpy(&value, bytes, 2);
        return is_signed ? (uint64_t)(int16_t)value : value;
    case 32:
        memcpy(&value, bytes, 4);
        return is_signed ? (uint64_t)(int32_t)value : value;
    default:
        memcpy(&value, bytes, 8);
        return value;
    }
}

static inline uint64_t form_disp(const FormNumbers *numbers, const uint8_t *bytes)
{
    return form_number(bytes + numbers->disp_at, numbers->disp_bits, true);
}

static inline uint64_t form_imm(const FormNumbers *numbers, unsigned i, const uint8_t *bytes)
{
    return form_number(bytes + numbers->imm_at[i], numbers->imm_bits[i], numbers->imm_signed[i]);
}

/* Keys are alike in most of their bits. */
static inline uint64_t form_hash(uint64_t key)
{
    return key * 0x9e3779b97f4a7c15;
}

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
