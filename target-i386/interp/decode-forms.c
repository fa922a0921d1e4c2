/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A table of decoded forms. Which bytes make a form is guessed here by the opcode maps (SDM 2A 2.1,
 * 2D appendix A) and confirmed by what Zydis says: a wrong guess costs time, nothing else.
 */
#include "target-i386/interp/decode-forms.h"

#define FORMS      512u
#define HEAD_MAX   7u  /* bytes: the eighth of the key is the head's length and the decoder */

typedef struct Form {
    uint64_t key;          /* 0: empty */
    FormNumbers numbers;
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

uint64_t form_key(const uint8_t *bytes, bool long_mode, unsigned slot, unsigned *head)
{
    uint64_t key;

    *head = head_length(bytes, long_mode);
    if (!*head) {
        return 0;
    }
    memcpy(&key, bytes, 8);
    return (key & ~(UINT64_MAX << *head * 8)) | (uint64_t)(*head << 3 | slot) << 56;
}

/* --- numbers --------------------------------------------------------------------------- */

static bool head_is_right(const ZydisDecodedInstruction *zi, unsigned head)
{
    unsigned numbers = zi->raw.disp.size ? zi->raw.disp.offset
                       : zi->raw.imm[0].size ? zi->raw.imm[0].offset : zi->length;

    return zi->encoding == ZYDIS_INSTRUCTION_ENCODING_LEGACY && numbers == head &&
           zi->operand_count <= FORM_OPS;
}

/* The operands that the numbers go to. */
static bool find_operands(const ZydisDecodedInstruction *zi, const ZydisDecodedOperand *ops,
                          FormNumbers *numbers)
{
    unsigned immediates = 0, expected = !!zi->raw.imm[0].size + !!zi->raw.imm[1].size;

    for (unsigned i = 0; i < zi->operand_count; i++) {
        if (ops[i].type == ZYDIS_OPERAND_TYPE_POINTER) {
            return false;
        }
        if (ops[i].type == ZYDIS_OPERAND_TYPE_MEMORY && ops[i].mem.disp.has_displacement) {
            if (numbers->disp_op >= 0 || ops[i].mem.disp.value != zi->raw.disp.value) {
                return false;
            }
            numbers->disp_op = i;
        }
        if (ops[i].type == ZYDIS_OPERAND_TYPE_IMMEDIATE && expected) {
            if (immediates == expected ||
                ops[i].imm.value.u != zi->raw.imm[immediates].value.u) {
                return false;
            }
            numbers->imm_op[immediates++] = i;
        }
    }
    return immediates == expected && (numbers->disp_op >= 0) == (zi->raw.disp.size > 0);
}

bool form_find_numbers(const ZydisDecodedInstruction *zi, const ZydisDecodedOperand *ops,
                       unsigned head, FormNumbers *numbers)
{
    *numbers = (FormNumbers){
        .disp_op = -1, .imm_op = {-1, -1},
        .disp_at = zi->raw.disp.offset, .disp_bits = zi->raw.disp.size,
        .imm_at = {zi->raw.imm[0].offset, zi->raw.imm[1].offset},
        .imm_bits = {zi->raw.imm[0].size, zi->raw.imm[1].size},
        .imm_signed = {zi->raw.imm[0].is_signed, zi->raw.imm[1].is_signed},
    };
    return head_is_right(zi, head) && find_operands(zi, ops, numbers);
}

/* Displacement and immediates as they stand in @bytes. */
static void fill_numbers(Form *form, const uint8_t *bytes)
{
    const FormNumbers *numbers = &form->numbers;
    ZydisDecodedInstruction *zi = &form->zi;

    if (numbers->disp_op >= 0) {
        zi->raw.disp.value = form_disp(numbers, bytes);
        form->ops[numbers->disp_op].mem.disp.value = zi->raw.disp.value;
    }
    for (unsigned i = 0; i < 2 && numbers->imm_op[i] >= 0; i++) {
        zi->raw.imm[i].value.u = form_imm(numbers, i, bytes);
        form->ops[numbers->imm_op[i]].imm.value.u = zi->raw.imm[i].value.u;
    }
}

/* --- the table ------------------------------------------------------------------------- */

ZyanStatus decode_forms_read(DecodeForms *forms, const ZydisDecoder *decoder, unsigned slot,
                             const uint8_t *bytes, unsigned size,
                             const ZydisDecodedInstruction **zi, const ZydisDecodedOperand **ops)
{
    bool long_mode = decoder->machine_mode == ZYDIS_MACHINE_MODE_LONG_64;
    unsigned head;
    uint64_t key = size < 8 ? 0 : form_key(bytes, long_mode, slot, &head);
    Form *form = key ? &forms->forms[form_hash(key) >> 55] : NULL;
    ZyanStatus status;

    if (form && form->key == key && form->zi.length <= size) {
        fill_numbers(form, bytes);
        *zi = &form->zi;
        *ops = form->ops;
        return ZYAN_STATUS_SUCCESS;
    }
    status = ZydisDecoderDecodeFull(decoder, bytes, size, &forms->zi, forms->ops);
    *zi = &forms->zi;
    *ops = forms->ops;
    if (ZYAN_SUCCESS(status) && form &&
        form_find_numbers(&forms->zi, forms->ops, head, &form->numbers)) {
        form->key = key;
        form->zi = forms->zi;
        memcpy(form->ops, forms->ops, forms->zi.operand_count * sizeof(forms->ops[0]));
    } else if (form) {
        form->key = 0; /* its numbers may be others by now */
    }
    return status;
}
