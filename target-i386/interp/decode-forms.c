/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A table of decoded forms. Which bytes make a form is guessed here by the opcode maps (SDM 2A 2.1,
 * 2D appendix A) and confirmed by what Zydis says: a wrong guess costs time, nothing else.
 */
#include "target-i386/interp/decode-forms.h"

#include <string.h>

#define FORMS      2048u
#define FORM_OPS   6u  /* few instructions have more, and they are rare */
#define HEAD_MAX   7u  /* bytes: the eighth of the key is the head's length and the decoder */

typedef struct Form {
    uint64_t key;          /* 0: empty */
    int8_t disp_op;        /* the operand that has the displacement, -1: none */
    int8_t imm_op[2];      /* the operands that have the immediates */
    ZydisDecodedInstruction zi;
    ZydisDecodedOperand ops[FORM_OPS];
} __attribute__((aligned(64))) Form; /* to meet no more cache lines than it must */

struct DecodeForms {
    ZydisDecodedInstruction zi; /* of what is in no form */
    ZydisDecodedOperand ops[ZYDIS_MAX_OPERAND_COUNT];
    Form forms[FORMS];
};

DecodeForms *decode_forms_new(void)
{
    return g_aligned_alloc0(1, sizeof(DecodeForms), G_ALIGNOF(DecodeForms));
}

void decode_forms_free(DecodeForms *forms)
{
    g_aligned_free(forms);
}

/* --- heads ------------------------------------------------------------------------ */

static bool is_prefix(uint8_t byte, bool long_mode)
{
    switch (byte) {
    case 0x26: case 0x2e: case 0x36: case 0x3e: case 0x64: case 0x65: case 0x66: case 0x67:
    case 0xf0: case 0xf2: case 0xf3:
        return true;
    default:
        return long_mode && (byte & 0xf0) == 0x40;
    }
}

/* One bit for each opcode that a ModRM byte follows. */
static const uint32_t modrm_default[8] = {
    0x0f0f0f0f, 0x0f0f0f0f, 0x00000000, 0x00000a0c, 0x0000ffff, 0x00000000, 0xff0f00f3, 0xc0c00000,
};
static const uint32_t modrm_0f[8] = {
    0xffffa00f, 0x0000ffff, 0xffffffff, 0xff7fffff, 0xffff0000, 0xfffff8f8, 0xffff00ff, 0xffffffff,
};

static bool has_modrm(const uint32_t map[8], uint8_t opcode)
{
    return map[opcode >> 5] >> (opcode & 31) & 1;
}

/* Bytes before displacement and immediates, of eight; 0 if that is no use. */
static unsigned head_length(const uint8_t *bytes, bool long_mode)
{
    const uint32_t *map = modrm_default;
    unsigned n = 0;
    bool modrm;

    while (is_prefix(bytes[n], long_mode)) {
        if (++n > 3) {
            return 0;
        }
    }
    if (bytes[n] == 0x0f) {
        map = modrm_0f;
        n++;
    }
    modrm = has_modrm(map, bytes[n]);
    if (map == modrm_0f && (bytes[n] == 0x38 || bytes[n] == 0x3a)) {
        modrm = true;
        n++;
    }
    n++;
    if (modrm) {
        bool sib = bytes[n] < 0xc0 && (bytes[n] & 7) == 4;

        n += 1 + sib;
    }
    return n <= HEAD_MAX ? n : 0;
}

/* --- filling in ------------------------------------------------------------------------ */

static uint64_t read_number(const uint8_t *bytes, unsigned bits, bool is_signed)
{
    uint64_t value;

    switch (bits) {
    case 8:
        return is_signed ? (uint64_t)(int8_t)bytes[0] : bytes[0];
    case 16: {
        uint16_t word;

        memcpy(&word, bytes, 2);
        return is_signed ? (uint64_t)(int16_t)word : word;
    }
    case 32: {
        uint32_t word;

        memcpy(&word, bytes, 4);
        return is_signed ? (uint64_t)(int32_t)word : word;
    }
    default:
        memcpy(&value, bytes, 8);
        return value;
    }
}

/* Displacement and immediates as they stand in @bytes. */
static void fill_numbers(Form *form, const uint8_t *bytes)
{
    ZydisDecodedInstruction *zi = &form->zi;

    if (form->disp_op >= 0) {
        zi->raw.disp.value = read_number(bytes + zi->raw.disp.offset, zi->raw.disp.size, true);
        form->ops[form->disp_op].mem.disp.value = zi->raw.disp.value;
    }
    for (unsigned i = 0; i < 2 && form->imm_op[i] >= 0; i++) {
        zi->raw.imm[i].value.u = read_number(bytes + zi->raw.imm[i].offset, zi->raw.imm[i].size,
                                             zi->raw.imm[i].is_signed);
        form->ops[form->imm_op[i]].imm.value.u = zi->raw.imm[i].value.u;
    }
}

/* --- learning -------------------------------------------------------------------------- */

static bool head_is_right(const ZydisDecodedInstruction *zi, unsigned head)
{
    unsigned numbers = zi->raw.disp.size ? zi->raw.disp.offset
                       : zi->raw.imm[0].size ? zi->raw.imm[0].offset : zi->length;

    return zi->encoding == ZYDIS_INSTRUCTION_ENCODING_LEGACY && numbers == head &&
           zi->operand_count <= FORM_OPS;
}

/* Finds the operands that the numbers go to; false if that is not plain. */
static bool find_numbers(Form *form, const ZydisDecodedOperand *ops)
{
    const ZydisDecodedInstruction *zi = &form->zi;
    unsigned immediates = 0, expected = !!zi->raw.imm[0].size + !!zi->raw.imm[1].size;

    form->disp_op = form->imm_op[0] = form->imm_op[1] = -1;
    for (unsigned i = 0; i < zi->operand_count; i++) {
        if (ops[i].type == ZYDIS_OPERAND_TYPE_POINTER) {
            return false;
        }
        if (ops[i].type == ZYDIS_OPERAND_TYPE_MEMORY && ops[i].mem.disp.has_displacement) {
            if (form->disp_op >= 0 || ops[i].mem.disp.value != zi->raw.disp.value) {
                return false;
            }
            form->disp_op = i;
        }
        if (ops[i].type == ZYDIS_OPERAND_TYPE_IMMEDIATE && expected) {
            if (immediates == expected ||
                ops[i].imm.value.u != zi->raw.imm[immediates].value.u) {
                return false;
            }
            form->imm_op[immediates++] = i;
        }
    }
    return immediates == expected && (form->disp_op >= 0) == (zi->raw.disp.size > 0);
}

ZyanStatus decode_forms_read(DecodeForms *forms, const ZydisDecoder *decoder, unsigned slot,
                             const uint8_t *bytes, unsigned size,
                             const ZydisDecodedInstruction **zi, const ZydisDecodedOperand **ops)
{
    bool long_mode = decoder->machine_mode == ZYDIS_MACHINE_MODE_LONG_64;
    unsigned head = size < 8 ? 0 : head_length(bytes, long_mode);
    Form *form = NULL;
    uint64_t key = 0;
    ZyanStatus status;

    if (head) {
        memcpy(&key, bytes, 8);
        key = (key & ~(UINT64_MAX << head * 8)) | (uint64_t)(head << 3 | slot) << 56;
        form = &forms->forms[(key * 0x9e3779b97f4a7c15) >> 53];
        if (form->key == key && form->zi.length <= size) {
            fill_numbers(form, bytes);
            *zi = &form->zi;
            *ops = form->ops;
            return ZYAN_STATUS_SUCCESS;
        }
    }
    status = ZydisDecoderDecodeFull(decoder, bytes, size, &forms->zi, forms->ops);
    *zi = &forms->zi;
    *ops = forms->ops;
    if (ZYAN_SUCCESS(status) && form && head_is_right(&forms->zi, head)) {
        form->zi = forms->zi;
        form->key = find_numbers(form, forms->ops) ? key : 0;
        memcpy(form->ops, forms->ops, forms->zi.operand_count * sizeof(forms->ops[0]));
    }
    return status;
}
