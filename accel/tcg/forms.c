/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What classifying an instruction came to, kept by the bytes before its displacement and immediates
 * (decode-forms.h) and the mode: nineteen of twenty translated instructions are found here.
 */
#include "accel/tcg/trans.h"

#include <sys/mman.h>

#include "target-i386/interp/decode.h"
#include "target-i386/interp/decode-forms.h"

#define KEPT_OPS   4u
#define LARGE_PAGE (2u << 20)

/* The beginning of a TransInsn, up to so many operands. */
#define KEPT_BYTES(n) (offsetof(TransInsn, ops) + (n) * sizeof(TransOperand))

typedef struct TransForm {
    uint64_t key;          /* 0: empty */
    uint32_t mode;
    bool undefined;        /* to the interpreter, for which a CPU's features count */
    FormNumbers numbers;
    uint8_t kept[KEPT_BYTES(KEPT_OPS)] __attribute__((aligned(8)));
} __attribute__((aligned(64))) TransForm;

/* A large page of them: they are looked up at random, and walks of page tables cost more. */
#define FORMS (LARGE_PAGE / sizeof(TransForm))

struct TransForms {
    TransForm forms[FORMS];
};

Trans *trans_new(void)
{
    Trans *t = g_new0(Trans, 1);

    t->forms = g_aligned_alloc(1, LARGE_PAGE, LARGE_PAGE);
    (void)!madvise(t->forms, LARGE_PAGE, MADV_HUGEPAGE);
    memset(t->forms, 0, LARGE_PAGE);
    return t;
}

void trans_free(Trans *t)
{
    g_aligned_free(t->forms);
    g_free(t);
}

/* --- from Zydis ------------------------------------------------------------------------- */

static void take_operand(TransOperand *to, const ZydisDecodedOperand *from)
{
    *to = (TransOperand){
        .type = from->type,
        .encoding = from->encoding,
        .visibility = from->visibility,
        .actions = from->actions,
        .element_type = from->element_type,
        .size = from->size,
    };
    switch (from->type) {
    case ZYDIS_OPERAND_TYPE_REGISTER:
        to->reg.value = from->reg.value;
        break;
    case ZYDIS_OPERAND_TYPE_MEMORY:
        to->mem = (TransOperandMem){
            .segment = from->mem.segment,
            .base = from->mem.base,
            .index = from->mem.index,
            .scale = from->mem.scale,
            .type = from->mem.type,
            .disp.value = from->mem.disp.value,
        };
        break;
    case ZYDIS_OPERAND_TYPE_IMMEDIATE:
        to->imm.value.u = from->imm.value.u;
        break;
    default: /* a far pointer, which the interpreter has */
        break;
    }
}

static void take_instruction(TransDecoded *to, const ZydisDecodedInstruction *from)
{
    *to = (TransDecoded){
        .attributes = from->attributes,
        .cpu_flags = from->cpu_flags,
        .mnemonic = from->mnemonic,
        .length = from->length,
        .encoding = from->encoding,
        .machine_mode = from->machine_mode,
        .opcode_map = from->opcode_map,
        .opcode = from->opcode,
        .operand_width = from->operand_width,
        .address_width = from->address_width,
        .operand_count = from->operand_count,
        .operand_count_visible = from->operand_count_visible,
        .meta = {from->meta.category, from->meta.branch_type},
        .raw = {
            .prefix_count = from->raw.prefix_count,
            .rex = {from->raw.rex.W, from->raw.rex.R, from->raw.rex.B},
            .modrm = {from->raw.modrm.mod, from->raw.modrm.reg, from->raw.modrm.rm,
                      from->raw.modrm.offset},
            .vex.offset = from->raw.vex.offset,
            .evex.offset = from->raw.evex.offset,
            .disp.size = from->raw.disp.size,
            .imm = {{from->raw.imm[0].size, from->raw.imm[0].offset}},
        },
    };
}

/* --- by form ---------------------------------------------------------------------------- */

static TransForm *form_of(const Trans *t, uint64_t key)
{
    uint64_t hash = form_hash(key + ((uint64_t)t->mode << 56)) >> 32;

    return &t->forms->forms[hash * FORMS >> 32];
}

/* In 16-bit code how far a branch leads counts too. */
void trans_look_ahead(const Trans *t, TransInsn *ti)
{
    bool long_mode = trans_code64(t);
    const char *line;

    ti->key = long_mode || (t->mode & MODE_CODE32) ? form_key(ti->bytes, long_mode, 0, &ti->head)
                                                    : 0;
    line = (const char *)form_of(t, ti->key);
    for (unsigned i = 0; i < sizeof(TransForm); i += 64) {
        __builtin_prefetch(line + i);
    }
}

static void fill_numbers(const FormNumbers *numbers, TransInsn *ti)
{
    if (numbers->disp_op >= 0) {
        ti->ops[numbers->disp_op].mem.disp.value = form_disp(numbers, ti->bytes);
    }
    for (unsigned i = 0; i < 2 && numbers->imm_op[i] >= 0; i++) {
        ti->ops[numbers->imm_op[i]].imm.value.u = form_imm(numbers, i, ti->bytes);
    }
}

/* The flags that surely change depend on an immediate count, which is no part of the form. */
static void settle_flags(TransInsn *ti)
{
    if (G_UNLIKELY(ti->counts) && trans_may_keep_flags(ti)) {
        ti->kill = 0;
    }
}

/* With LOCK an immediate decides, and how many CPUs there are (trans_leaves_lock_out()). */
static bool may_learn(const ZydisDecodedInstruction *zi)
{
    return zi->operand_count <= KEPT_OPS && !(zi->attributes & ZYDIS_ATTRIB_HAS_LOCK);
}

static void learn(TransForm *form, uint32_t mode, const FormNumbers *numbers, const TransInsn *ti)
{
    form->key = ti->key;
    form->mode = mode;
    form->undefined = insn_is_undefined(ti->insn);
    form->numbers = *numbers;
    memcpy(form->kept, ti, KEPT_BYTES(ti->zi.operand_count));
}

bool trans_read(Trans *t, TransInsn *ti)
{
    FormNumbers numbers;
    InsnSource src;
    TransForm *form = form_of(t, ti->key);

    if (ti->key && form->key == ti->key && form->mode == t->mode &&
        form->undefined == insn_is_undefined(ti->insn)) {
        memcpy(ti, form->kept, sizeof(form->kept));
        fill_numbers(&form->numbers, ti);
        settle_flags(ti);
        return ti->zi.length == ti->insn->len;
    }
    if (!ZYAN_SUCCESS(decoder_read(code_cache_decoder(t->cpu->code), t->cpu, ti->bytes, 15,
                                   &src))) {
        memset(&ti->zi, 0, sizeof(ti->zi));
        ti->zi.length = ti->insn->len;
        trans_classify(t, ti);
        return true;
    }
    take_instruction(&ti->zi, src.zi);
    for (unsigned i = 0; i < src.zi->operand_count; i++) {
        take_operand(&ti->ops[i], &src.ops[i]);
    }
    trans_classify(t, ti);
    if (ti->key && may_learn(src.zi) &&
        form_find_numbers(src.zi, src.ops, ti->head, &numbers)) {
        learn(form, t->mode, &numbers, ti);
    }
    settle_flags(ti);
    return src.zi->length == ti->insn->len;
}
