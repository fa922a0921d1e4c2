/* SPDX-License-Identifier: GPL-2.0-or-later */
/* SHL, SHR, SAR, ROL, ROR, RCL, RCR, SHLD, SHRD (SDM 2B), run as the host's own shifts. */
#include "target-i386/interp/alu.h"

/*
 * With the guest's CF in the host's, shift by CL. The host masks the count and, for a count of 0,
 * leaves the flags alone; the caller filters which flags an operation touches.
 */
#define SHIFT(name, bits, suffix, mod)                                                             \
    static uint##bits##_t do_##name##bits(uint##bits##_t a, uint8_t count, uint32_t *cc)           \
    {                                                                                              \
        uint32_t ax;                                                                               \
        __asm__("btl $0, %3\n\t" #name suffix " %%cl, %" mod "0\n\t" HOST_FLAGS                    \
                : "+r"(a), "=a"(ax)                                                                \
                : "c"(count), "r"(*cc)                                                             \
                : "cc");                                                                           \
        *cc = flags_from_ax(ax);                                                                   \
        return a;                                                                                  \
    }

#define SHIFT_SIZES(name)                                                                          \
    SHIFT(name, 8, "b", "b") SHIFT(name, 16, "w", "w") SHIFT(name, 32, "l", "k")                   \
    SHIFT(name, 64, "q", "q")

SHIFT_SIZES(shl)
SHIFT_SIZES(shr)
SHIFT_SIZES(sar)
SHIFT_SIZES(rol)
SHIFT_SIZES(ror)
SHIFT_SIZES(rcl)
SHIFT_SIZES(rcr)

enum { COUNT_IMM, COUNT_CL };

static uint8_t shift_count(X86CPU *cpu, const Insn *insn)
{
    uint8_t count = insn->aux == COUNT_CL ? (uint8_t)cpu->regs[R_RCX] : (uint8_t)insn->imm;

    return count & (insn->opsize == 8 ? 63 : 31);
}

/* Rotates touch CF and OF alone. */
#define KEEP_ROTATE (FL_PF | FL_AF | FL_ZF | FL_SF)

#define SHIFT_FORMS(name, bits, keep)                                                              \
    static void name##bits##_r(X86CPU *cpu, const Insn *insn)                                      \
    {                                                                                              \
        uint8_t count = shift_count(cpu, insn);                                                    \
        uint32_t cc = cpu->cc;                                                                     \
        uint##bits##_t a = reg_get##bits(cpu, insn->rm);                                           \
        if (count) {                                                                               \
            a = do_##name##bits(a, count, &cc);                                                    \
            cpu->cc = (cc & ~(uint32_t)(keep)) | (cpu->cc & (keep));                               \
        }                                                                                          \
        reg_set##bits(cpu, insn->rm, a);                                                           \
    }                                                                                              \
    static void name##bits##_m(X86CPU *cpu, const Insn *insn)                                      \
    {                                                                                              \
        uint8_t count = shift_count(cpu, insn);                                                    \
        uint64_t va = insn_linear(cpu, insn, bits / 8, true);                                      \
        uint##bits##_t a = mmu_modify##bits(cpu, va);                                              \
        uint32_t cc = cpu->cc;                                                                     \
        if (count) {                                                                               \
            a = do_##name##bits(a, count, &cc);                                                    \
            cc = (cc & ~(uint32_t)(keep)) | (cpu->cc & (keep));                                    \
        }                                                                                          \
        mmu_store##bits(cpu, va, a);                                                               \
        cpu->cc = cc;                                                                              \
    }

#define SHIFT_ALL(name, keep)                                                                      \
    SHIFT_FORMS(name, 8, keep) SHIFT_FORMS(name, 16, keep) SHIFT_FORMS(name, 32, keep)             \
    SHIFT_FORMS(name, 64, keep)

SHIFT_ALL(shl, 0)
SHIFT_ALL(shr, 0)
SHIFT_ALL(sar, 0)
SHIFT_ALL(rol, KEEP_ROTATE)
SHIFT_ALL(ror, KEEP_ROTATE)
SHIFT_ALL(rcl, KEEP_ROTATE)
SHIFT_ALL(rcr, KEEP_ROTATE)

#define SHIFT_ROW(MNEMONIC, op)                                                                    \
    {ZYDIS_MNEMONIC_##MNEMONIC, {{op##8_r, op##16_r, op##32_r, op##64_r},                          \
                                 {op##8_m, op##16_m, op##32_m, op##64_m}}}

static const struct {
    uint16_t mnemonic;
    InsnFn *fn[2][4];
} shift_rows[] = {
    SHIFT_ROW(SHL, shl), SHIFT_ROW(SHR, shr), SHIFT_ROW(SAR, sar), SHIFT_ROW(ROL, rol),
    SHIFT_ROW(ROR, ror), SHIFT_ROW(RCL, rcl), SHIFT_ROW(RCR, rcr),
};

INSN_FAMILY(shift)
{
    insn->opsize = operand_bytes(src, 0);
    if (src->ops[1].type == ZYDIS_OPERAND_TYPE_REGISTER) {
        insn->aux = COUNT_CL;
        if (insn->ea == EA_NONE) { /* CL went to rm as an implied operand */
            bool high = src->ops[0].reg.value >= ZYDIS_REGISTER_AH &&
                        src->ops[0].reg.value <= ZYDIS_REGISTER_BH;

            insn->rm = insn_register_offset(src->ops[0].reg.value);
            insn->flags = high ? insn->flags | INSN_RM_HIGH : insn->flags & ~INSN_RM_HIGH;
        }
    }
    for (unsigned i = 0; i < G_N_ELEMENTS(shift_rows); i++) {
        if (shift_rows[i].mnemonic == insn->mnemonic) {
            return shift_rows[i].fn[insn->ea != EA_NONE][size_index(insn->opsize)];
        }
    }
    return NULL;
}

/* SHLD, SHRD: a = destination, b = bits shifted in. */
#define SHIFT_DOUBLE(name, bits, suffix, mod)                                                      \
    static uint##bits##_t do_##name##bits(uint##bits##_t a, uint##bits##_t b, uint8_t count,       \
                                          uint32_t *cc)                                            \
    {                                                                                              \
        uint32_t ax;                                                                               \
        __asm__(#name suffix " %%cl, %" mod "2, %" mod "0\n\t" HOST_FLAGS                          \
                : "+r"(a), "=a"(ax)                                                                \
                : "r"(b), "c"(count)                                                               \
                : "cc");                                                                           \
        *cc = flags_from_ax(ax);                                                                   \
        return a;                                                                                  \
    }                                                                                              \
    static void name##bits##_r(X86CPU *cpu, const Insn *insn)                                      \
    {                                                                                              \
        uint8_t count = shift_count(cpu, insn);                                                    \
        uint##bits##_t a = reg_get##bits(cpu, insn->rm);                                           \
        if (count) {                                                                               \
            a = do_##name##bits(a, reg_get##bits(cpu, insn->reg), count, &cpu->cc);                \
        }                                                                                          \
        reg_set##bits(cpu, insn->rm, a);                                                           \
    }                                                                                              \
    static void name##bits##_m(X86CPU *cpu, const Insn *insn)                                      \
    {                                                                                              \
        uint8_t count = shift_count(cpu, insn);                                                    \
        uint64_t va = insn_linear(cpu, insn, bits / 8, true);                                      \
        uint##bits##_t a = mmu_modify##bits(cpu, va);                                              \
        uint32_t cc = cpu->cc;                                                                     \
        if (count) {                                                                               \
            a = do_##name##bits(a, reg_get##bits(cpu, insn->reg), count, &cc);                     \
        }                                                                                          \
        mmu_store##bits(cpu, va, a);                                                               \
        cpu->cc = cc;                                                                              \
    }

SHIFT_DOUBLE(shld, 16, "w", "w")
SHIFT_DOUBLE(shld, 32, "l", "k")
SHIFT_DOUBLE(shld, 64, "q", "q")
SHIFT_DOUBLE(shrd, 16, "w", "w")
SHIFT_DOUBLE(shrd, 32, "l", "k")
SHIFT_DOUBLE(shrd, 64, "q", "q")

INSN_FAMILY(shift_double)
{
    static InsnFn *const fns[2][2][4] = {
        {{NULL, shld16_r, shld32_r, shld64_r}, {NULL, shld16_m, shld32_m, shld64_m}},
        {{NULL, shrd16_r, shrd32_r, shrd64_r}, {NULL, shrd16_m, shrd32_m, shrd64_m}},
    };

    insn->opsize = operand_bytes(src, 0);
    if (src->ops[2].type == ZYDIS_OPERAND_TYPE_REGISTER) {
        insn->aux = COUNT_CL;
        if (insn->ea == EA_NONE) {
            insn->rm = insn_register_offset(src->ops[0].reg.value);
        }
    }
    return fns[insn->mnemonic == ZYDIS_MNEMONIC_SHRD][insn->ea != EA_NONE]
              [size_index(insn->opsize)];
}
