/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ADD, OR, ADC, SBB, AND, SUB, XOR, CMP, TEST, INC, DEC, NEG, NOT in every size and form (SDM 2).
 */
#include "target-i386/interp/alu.h"

/*
 * Forms: register-register, register-memory, memory-register, register-immediate, memory-immediate.
 */
enum { FORM_RR, FORM_RM, FORM_MR, FORM_RI, FORM_MI, FORM_MR_LOCK, FORM_MI_LOCK, FORM_COUNT };

#define READ_ONLY_FORMS(op, bits)                                                                  \
    static void op##bits##_rr(X86CPU *cpu, const Insn *insn)                                       \
    {                                                                                              \
        alu_##op##bits(reg_get##bits(cpu, insn->rm), reg_get##bits(cpu, insn->reg), &cpu->cc);     \
    }                                                                                              \
    static void op##bits##_rm(X86CPU *cpu, const Insn *insn)                                       \
    {                                                                                              \
        uint##bits##_t b = mmu_load##bits(cpu, insn_linear(cpu, insn, bits / 8, false));           \
        alu_##op##bits(reg_get##bits(cpu, insn->reg), b, &cpu->cc);                                \
    }                                                                                              \
    static void op##bits##_mr(X86CPU *cpu, const Insn *insn)                                       \
    {                                                                                              \
        uint##bits##_t a = mmu_load##bits(cpu, insn_linear(cpu, insn, bits / 8, false));           \
        alu_##op##bits(a, reg_get##bits(cpu, insn->reg), &cpu->cc);                                \
    }                                                                                              \
    static void op##bits##_ri(X86CPU *cpu, const Insn *insn)                                       \
    {                                                                                              \
        alu_##op##bits(reg_get##bits(cpu, insn->rm), insn->imm, &cpu->cc);                         \
    }                                                                                              \
    static void op##bits##_mi(X86CPU *cpu, const Insn *insn)                                       \
    {                                                                                              \
        uint##bits##_t a = mmu_load##bits(cpu, insn_linear(cpu, insn, bits / 8, false));           \
        alu_##op##bits(a, insn->imm, &cpu->cc);                                                    \
    }

/* Flags change after the store, which may fault. */
#define MEMORY_FORM(op, bits, form, operand)                                                       \
    static void op##bits##_##form(X86CPU *cpu, const Insn *insn)                                   \
    {                                                                                              \
        uint64_t va = insn_linear(cpu, insn, bits / 8, true);                                      \
        uint32_t cc = cpu->cc;                                                                     \
        uint##bits##_t a = mmu_modify##bits(cpu, va);                                              \
        mmu_store##bits(cpu, va, alu_##op##bits(a, operand, &cc));                                 \
        cpu->cc = cc;                                                                              \
    }                                                                                              \
    static void op##bits##_##form##_lock(X86CPU *cpu, const Insn *insn)                            \
    {                                                                                              \
        locked_apply##bits(cpu, insn_linear(cpu, insn, bits / 8, true), operand, alu_##op##bits);  \
    }

#define REGISTER_FORM(op, bits, form, destination, operand)                                        \
    static void op##bits##_##form(X86CPU *cpu, const Insn *insn)                                   \
    {                                                                                              \
        uint##bits##_t b = operand;                                                                \
        reg_set##bits(cpu, insn->destination,                                                      \
                      alu_##op##bits(reg_get##bits(cpu, insn->destination), b, &cpu->cc));         \
    }

#define WRITING_FORMS(op, bits)                                                                    \
    REGISTER_FORM(op, bits, rr, rm, reg_get##bits(cpu, insn->reg))                                 \
    REGISTER_FORM(op, bits, rm, reg, mmu_load##bits(cpu, insn_linear(cpu, insn, bits / 8, false))) \
    REGISTER_FORM(op, bits, ri, rm, insn->imm)                                                     \
    MEMORY_FORM(op, bits, mr, reg_get##bits(cpu, insn->reg))                                       \
    MEMORY_FORM(op, bits, mi, insn->imm)

#define UNARY_FORMS(op, bits)                                                                      \
    REGISTER_FORM(op, bits, r, rm, 0)                                                              \
    MEMORY_FORM(op, bits, m, 0)

#define ALL_SIZES(forms, op) forms(op, 8) forms(op, 16) forms(op, 32) forms(op, 64)

ALL_SIZES(WRITING_FORMS, add)
ALL_SIZES(WRITING_FORMS, or)
ALL_SIZES(WRITING_FORMS, adc)
ALL_SIZES(WRITING_FORMS, sbb)
ALL_SIZES(WRITING_FORMS, and)
ALL_SIZES(WRITING_FORMS, sub)
ALL_SIZES(WRITING_FORMS, xor)
ALL_SIZES(READ_ONLY_FORMS, cmp)
ALL_SIZES(READ_ONLY_FORMS, test)
ALL_SIZES(UNARY_FORMS, inc)
ALL_SIZES(UNARY_FORMS, dec)
ALL_SIZES(UNARY_FORMS, neg)
ALL_SIZES(UNARY_FORMS, not)

typedef struct AluRow {
    uint16_t mnemonic;
    InsnFn *fn[4][FORM_COUNT];
} AluRow;

#define WRITING_SIZE(op, bits)                                                                     \
    {op##bits##_rr, op##bits##_rm, op##bits##_mr, op##bits##_ri, op##bits##_mi,                    \
     op##bits##_mr_lock, op##bits##_mi_lock}
#define WRITING_ROW(MNEMONIC, op)                                                                  \
    {ZYDIS_MNEMONIC_##MNEMONIC, {WRITING_SIZE(op, 8), WRITING_SIZE(op, 16), WRITING_SIZE(op, 32),  \
                                 WRITING_SIZE(op, 64)}}
#define READING_SIZE(op, bits)                                                                     \
    {op##bits##_rr, op##bits##_rm, op##bits##_mr, op##bits##_ri, op##bits##_mi, NULL, NULL}
#define READING_ROW(MNEMONIC, op)                                                                  \
    {ZYDIS_MNEMONIC_##MNEMONIC, {READING_SIZE(op, 8), READING_SIZE(op, 16), READING_SIZE(op, 32),  \
                                 READING_SIZE(op, 64)}}

static const AluRow alu_rows[] = {
    WRITING_ROW(ADD, add), WRITING_ROW(OR, or),   WRITING_ROW(ADC, adc),
    WRITING_ROW(SBB, sbb), WRITING_ROW(AND, and), WRITING_ROW(SUB, sub),
    WRITING_ROW(XOR, xor), READING_ROW(CMP, cmp), READING_ROW(TEST, test),
};

static unsigned alu_form(const InsnSource *src, const Insn *insn)
{
    bool immediate = src->ops[1].type == ZYDIS_OPERAND_TYPE_IMMEDIATE;

    if (insn->ea == EA_NONE) {
        return immediate ? FORM_RI : FORM_RR;
    }
    if (src->ops[0].type != ZYDIS_OPERAND_TYPE_MEMORY) {
        return FORM_RM;
    }
    if (insn->flags & INSN_LOCK) {
        return immediate ? FORM_MI_LOCK : FORM_MR_LOCK;
    }
    return immediate ? FORM_MI : FORM_MR;
}

/* XOR and SUB of a register with itself: zero, ZF and PF. */
static void zero_register(X86CPU *cpu, const Insn *insn)
{
    reg_set64(cpu, insn->rm, 0);
    cpu->cc = FL_ZF | FL_PF;
}

INSN_FAMILY(alu)
{
    unsigned bytes = operand_bytes(src, 0);

    normalize_registers(src, insn);
    insn->opsize = bytes;
    if (bytes >= 4 && insn->rm == insn->reg && alu_form(src, insn) == FORM_RR &&
        (insn->mnemonic == ZYDIS_MNEMONIC_XOR || insn->mnemonic == ZYDIS_MNEMONIC_SUB)) {
        return zero_register;
    }
    for (unsigned i = 0; i < G_N_ELEMENTS(alu_rows); i++) {
        if (alu_rows[i].mnemonic == insn->mnemonic) {
            return alu_rows[i].fn[size_index(bytes)][alu_form(src, insn)];
        }
    }
    return NULL;
}

#define UNARY_SIZE(op, bits) {op##bits##_r, op##bits##_m, op##bits##_m_lock}
#define UNARY_ROW(MNEMONIC, op)                                                                    \
    {ZYDIS_MNEMONIC_##MNEMONIC, {UNARY_SIZE(op, 8), UNARY_SIZE(op, 16), UNARY_SIZE(op, 32),        \
                                 UNARY_SIZE(op, 64)}}

static const struct {
    uint16_t mnemonic;
    InsnFn *fn[4][3];
} unary_rows[] = {
    UNARY_ROW(INC, inc), UNARY_ROW(DEC, dec), UNARY_ROW(NEG, neg), UNARY_ROW(NOT, not),
};

INSN_FAMILY(unary)
{
    unsigned form = insn->ea == EA_NONE ? 0 : insn->flags & INSN_LOCK ? 2 : 1;

    for (unsigned i = 0; i < G_N_ELEMENTS(unary_rows); i++) {
        if (unary_rows[i].mnemonic == insn->mnemonic) {
            return unary_rows[i].fn[size_index(operand_bytes(src, 0))][form];
        }
    }
    return NULL;
}
