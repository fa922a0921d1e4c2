/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Decoding: Zydis reads the bytes, the common part of Insn is filled in here, and the family named
 * for the mnemonic in the insns-*.def files chooses the function.
 */
#include "target-i386/interp/decode.h"

#include <string.h>

#include "target-i386/interp/decode-forms.h"

typedef enum { MODE_REAL16, MODE_LEGACY16, MODE_LEGACY32, MODE_LONG64, MODE_COUNT } DecoderMode;

#define INSN_FORMS 16384u /* a kernel that boots has as many */

/* What decoding comes to, for instructions that begin alike: one cache line. */
typedef struct InsnForm {
    uint64_t key;       /* 0: empty */
    Insn insn;
    uint8_t disp_at, disp_bits; /* 0 bits: none */
    uint8_t imm_at, imm_bits;
    bool imm_signed;
} __attribute__((aligned(64))) InsnForm;

struct Decoder {
    ZydisDecoder modes[MODE_COUNT];
    DecodeForms *forms;
    InsnForm insns[INSN_FORMS];
};

typedef struct InsnRow {
    InsnSelect *select;
    X86Feature feature;
} InsnRow;

#define INSN(mnemonic, family, feature)                                                            \
    [ZYDIS_MNEMONIC_##mnemonic] = {insn_select_##family, X86_FEATURE_##feature},
static const InsnRow insn_rows[ZYDIS_MNEMONIC_MAX_VALUE + 1] = {
#include "target-i386/interp/insns-base.def"
#include "target-i386/interp/insns-simd.def"
#include "target-i386/interp/insns-system.def"
};
#undef INSN

Decoder *decoder_new(const X86CPU *cpu)
{
    static const struct {
        ZydisMachineMode mode;
        ZydisStackWidth width;
    } shapes[MODE_COUNT] = {
        [MODE_REAL16] = {ZYDIS_MACHINE_MODE_REAL_16, ZYDIS_STACK_WIDTH_16},
        [MODE_LEGACY16] = {ZYDIS_MACHINE_MODE_LEGACY_16, ZYDIS_STACK_WIDTH_16},
        [MODE_LEGACY32] = {ZYDIS_MACHINE_MODE_LEGACY_32, ZYDIS_STACK_WIDTH_32},
        [MODE_LONG64] = {ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64},
    };
    Decoder *decoder = g_aligned_alloc0(1, sizeof(Decoder), G_ALIGNOF(Decoder));

    for (unsigned i = 0; i < MODE_COUNT; i++) {
        ZydisDecoder *d = &decoder->modes[i];
        ZyanStatus status = ZydisDecoderInit(d, shapes[i].mode, shapes[i].width);

        g_assert(ZYAN_SUCCESS(status));
        /* Encodings that older CPUs take for NOP, BSR and BSF. */
        ZydisDecoderEnableMode(d, ZYDIS_DECODER_MODE_MPX, ZYAN_FALSE);
        ZydisDecoderEnableMode(d, ZYDIS_DECODER_MODE_CET, ZYAN_FALSE);
        ZydisDecoderEnableMode(d, ZYDIS_DECODER_MODE_CLDEMOTE, ZYAN_FALSE);
        ZydisDecoderEnableMode(d, ZYDIS_DECODER_MODE_LZCNT, cpu_has(cpu, X86_FEATURE_ABM));
        ZydisDecoderEnableMode(d, ZYDIS_DECODER_MODE_TZCNT, cpu_has(cpu, X86_FEATURE_BMI1));
        ZydisDecoderEnableMode(d, ZYDIS_DECODER_MODE_WBNOINVD, cpu_has(cpu, X86_FEATURE_WBNOINVD));
    }
    decoder->forms = decode_forms_new();
    return decoder;
}

void decoder_free(Decoder *decoder)
{
    if (decoder) {
        decode_forms_free(decoder->forms);
        g_aligned_free(decoder);
    }
}

static DecoderMode decoder_mode(const X86CPU *cpu)
{
    switch (cpu->code_size) {
    case 64: return MODE_LONG64;
    case 32: return MODE_LEGACY32;
    default: return cpu_pm(cpu) ? MODE_LEGACY16 : MODE_REAL16;
    }
}

ZyanStatus decoder_read(Decoder *decoder, X86CPU *cpu, const uint8_t *bytes, unsigned size,
                        InsnSource *src)
{
    DecoderMode mode = decoder_mode(cpu);

    src->bytes = bytes;
    src->cpu = cpu;
    return decode_forms_read(decoder->forms, &decoder->modes[mode], mode, bytes, size, &src->zi,
                             &src->ops);
}

static void insn_ud(X86CPU *cpu, const Insn *insn)
{
    cpu_raise_ud(cpu);
}

bool insn_is_undefined(const Insn *insn)
{
    return insn->fn == insn_ud;
}

uint16_t insn_register_offset(ZydisRegister reg)
{
    if (reg >= ZYDIS_REGISTER_AH && reg <= ZYDIS_REGISTER_BH) {
        return (reg - ZYDIS_REGISTER_AH) * 8 + 1;
    }
    if (reg >= ZYDIS_REGISTER_AL && reg <= ZYDIS_REGISTER_BL) {
        return (reg - ZYDIS_REGISTER_AL) * 8;
    }
    if (reg >= ZYDIS_REGISTER_SPL && reg <= ZYDIS_REGISTER_R15B) {
        return (reg - ZYDIS_REGISTER_SPL + 4) * 8;
    }
    if (reg >= ZYDIS_REGISTER_AX && reg <= ZYDIS_REGISTER_R15) {
        return (reg - ZYDIS_REGISTER_AX) % 16 * 8; /* 16 of each size, and in order */
    }
    return ZydisRegisterGetId(reg);
}

static uint8_t address_register(ZydisRegister reg)
{
    if (reg == ZYDIS_REGISTER_NONE) {
        return R_ZERO;
    }
    if (reg == ZYDIS_REGISTER_RIP || reg == ZYDIS_REGISTER_EIP) {
        return R_RIP;
    }
    if (reg < ZYDIS_REGISTER_AX || reg > ZYDIS_REGISTER_R15) {
        return R_ZERO; /* a vector index: its family looks at the operand itself */
    }
    return (reg - ZYDIS_REGISTER_AX) % 16;
}

SegReg insn_segment(ZydisRegister reg)
{
    return reg == ZYDIS_REGISTER_NONE ? SEG_DS : (SegReg)(reg - ZYDIS_REGISTER_ES);
}

void insn_fill_memory(const InsnSource *src, const ZydisDecodedOperandMem *mem, Insn *insn)
{
    const ZydisDecodedInstruction *zi = src->zi;
    bool wide = cpu_code64(src->cpu);

    insn->base = address_register(mem->base);
    insn->index = address_register(mem->index);
    insn->scale = mem->scale >= 8 ? 3 : mem->scale >> 1;
    insn->disp = mem->disp.value;
    insn->seg = insn_segment(mem->segment);
    if (insn->base == R_RIP) {
        insn->disp += zi->length;
    }
    if (wide) {
        bool based = insn->seg == SEG_FS || insn->seg == SEG_GS;

        insn->ea = zi->address_width == 64 ? (based ? EA_BASE64 : EA_FLAT64)
                                           : (based ? EA_BASE32 : EA_FLAT32);
    } else {
        insn->ea = zi->address_width == 16 ? EA_SEG16 : EA_SEG32;
    }
}

static void fill_register(const ZydisDecodedOperand *op, Insn *insn)
{
    ZydisRegister reg = op->reg.value;
    uint16_t number = insn_register_offset(reg);
    bool high = reg >= ZYDIS_REGISTER_AH && reg <= ZYDIS_REGISTER_BH;

    switch (op->encoding) {
    case ZYDIS_OPERAND_ENCODING_MODRM_REG:
        insn->reg = number;
        insn->flags |= high ? INSN_REG_HIGH : 0;
        break;
    case ZYDIS_OPERAND_ENCODING_NDSNDD:
        insn->reg2 = ZydisRegisterGetId(reg);
        break;
    default: /* ModRM.rm, register in the opcode, or implied accumulator */
        insn->rm = number;
        insn->flags |= high ? INSN_RM_HIGH : 0;
        break;
    }
}

static void fill_operands(const InsnSource *src, Insn *insn)
{
    const ZydisDecodedInstruction *zi = src->zi;
    unsigned immediates = 0;

    for (unsigned i = 0; i < zi->operand_count_visible; i++) {
        const ZydisDecodedOperand *op = &src->ops[i];

        switch (op->type) {
        case ZYDIS_OPERAND_TYPE_MEMORY:
            insn_fill_memory(src, &op->mem, insn);
            break;
        case ZYDIS_OPERAND_TYPE_REGISTER:
            fill_register(op, insn);
            break;
        case ZYDIS_OPERAND_TYPE_IMMEDIATE:
            if (immediates++ == 0) {
                insn->imm = op->imm.value.u;
            } else {
                insn->aux = op->imm.value.u;
            }
            break;
        default: /* far pointer: its family reads the operand */
            break;
        }
    }
}

static uint8_t prefix_flags(const ZydisDecodedInstruction *zi)
{
    uint8_t flags = 0;

    if (zi->attributes & ZYDIS_ATTRIB_HAS_LOCK) {
        flags |= INSN_LOCK;
    }
    if (zi->attributes & (ZYDIS_ATTRIB_HAS_REP | ZYDIS_ATTRIB_HAS_REPE)) {
        flags |= INSN_REP;
    }
    if (zi->attributes & ZYDIS_ATTRIB_HAS_REPNE) {
        flags |= INSN_REPNE;
    }
    return flags;
}

/* --- by form ------------------------------------------------------------------------ */

/*
 * Families whose choosers look at no displacement and no immediate, and leave them where
 * fill_operands() puts them. They are nineteen in twenty instructions of a kernel.
 */
static bool ignores_numbers(InsnSelect *select)
{
    static InsnSelect *const families[] = {
        insn_select_mov, insn_select_alu, insn_select_jcc, insn_select_call, insn_select_jmp,
        insn_select_push, insn_select_pop, insn_select_lea, insn_select_ret, insn_select_extend,
        insn_select_shift, insn_select_unary, insn_select_nop, insn_select_cmov,
        insn_select_setcc, insn_select_multiply, insn_select_bit_test, insn_select_shift_double,
        insn_select_bit_scan, insn_select_bswap, insn_select_convert, insn_select_divide,
    };

    for (unsigned i = 0; i < G_N_ELEMENTS(families); i++) {
        if (select == families[i]) {
            return true;
        }
    }
    return false;
}

static InsnForm *insn_form(Decoder *decoder, uint64_t key)
{
    return &decoder->insns[form_hash(key) >> 50];
}

/* Displacements count from the instruction's start, those by RIP from its end. */
static int64_t form_insn_disp(const InsnForm *form, const uint8_t *bytes)
{
    return form_number(bytes + form->disp_at, form->disp_bits, true) +
           (form->insn.base == R_RIP ? form->insn.len : 0);
}

static bool read_by_form(Decoder *decoder, uint64_t key, const uint8_t *bytes, unsigned size,
                         Insn *insn)
{
    const InsnForm *form = insn_form(decoder, key);

    if (form->key != key || form->insn.len > size) {
        return false;
    }
    *insn = form->insn;
    if (form->disp_bits) {
        insn->disp = form_insn_disp(form, bytes);
    }
    if (form->imm_bits) {
        insn->imm = form_number(bytes + form->imm_at, form->imm_bits, form->imm_signed);
    }
    return true;
}

static void learn_form(Decoder *decoder, uint64_t key, unsigned head, const InsnSource *src,
                       const Insn *insn)
{
    FormNumbers numbers;
    InsnForm form = {.key = key, .insn = *insn};

    if (!form_find_numbers(src->zi, src->ops, head, &numbers) || numbers.imm_op[1] >= 0 ||
        src->zi->meta.branch_type == ZYDIS_BRANCH_TYPE_FAR) {
        return;
    }
    form.disp_at = numbers.disp_at;
    form.disp_bits = numbers.disp_bits;
    form.imm_at = numbers.imm_at[0];
    form.imm_bits = numbers.imm_bits[0];
    form.imm_signed = numbers.imm_signed[0];
    if ((form.disp_bits && insn->disp != form_insn_disp(&form, src->bytes)) ||
        (form.imm_bits && insn->imm != form_imm(&numbers, 0, src->bytes))) {
        return;
    }
    *insn_form(decoder, key) = form;
}

/* --- one instruction ------------------------------------------------------------------ */

static DecodeResult decode_source(Decoder *decoder, X86CPU *cpu, const uint8_t *bytes,
                                  unsigned size, Insn *insn, InsnSource *src)
{
    const InsnRow *row;
    const ZydisDecodedInstruction *zi;
    ZyanStatus status;

    memset(insn, 0, sizeof(*insn));
    insn->fn = insn_ud;
    insn->flags = INSN_END;
    insn->base = insn->index = R_ZERO;
    insn->seg = SEG_DS;
    insn->len = MIN(size, INSN_BYTES_MAX); /* undefined: any byte may be why, and is watched */
    status = decoder_read(decoder, cpu, bytes, size, src);
    zi = src->zi;
    if (status == ZYDIS_STATUS_NO_MORE_DATA) {
        return size >= INSN_BYTES_MAX ? DECODE_TOO_LONG : DECODE_MORE;
    }
    if (status == ZYDIS_STATUS_INSTRUCTION_TOO_LONG) {
        return DECODE_TOO_LONG;
    }
    if (!ZYAN_SUCCESS(status)) {
        return DECODE_OK;
    }
    insn->len = zi->length;
    row = &insn_rows[zi->mnemonic];
    if (!row->select || (row->feature != X86_FEATURE_NONE && !cpu_has(cpu, row->feature))) {
        return DECODE_OK;
    }
    insn->mnemonic = zi->mnemonic;
    insn->opsize = zi->operand_width / 8;
    insn->addrsize = zi->address_width / 8;
    insn->flags = prefix_flags(zi);
    fill_operands(src, insn);
    insn->fn = row->select(src, insn);
    if (!insn->fn) {
        insn->fn = insn_ud;
        insn->flags |= INSN_END;
    }
    return DECODE_OK;
}

DecodeResult decode_insn(Decoder *decoder, X86CPU *cpu, const uint8_t *bytes, unsigned size,
                         Insn *insn)
{
    unsigned head;
    uint64_t key = size < 8 ? 0 : form_key(bytes, cpu_code64(cpu), decoder_mode(cpu), &head);
    InsnSource src;
    DecodeResult result;

    if (key && read_by_form(decoder, key, bytes, size, insn)) {
        return DECODE_OK;
    }
    result = decode_source(decoder, cpu, bytes, size, insn, &src);
    if (key && result == DECODE_OK && insn->fn != insn_ud &&
        ignores_numbers(insn_rows[insn->mnemonic].select)) {
        learn_form(decoder, key, head, &src, insn);
    }
    return result;
}
