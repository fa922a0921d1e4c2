/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Arithmetic by the host's own instructions: each helper computes a result and the flags as the
 * host sets them, so that AF, PF and partial updates are right by construction (SDM 1 appendix A).
 */
#ifndef TARGET_I386_INTERP_ALU_H
#define TARGET_I386_INTERP_ALU_H

#include "target-i386/interp/insn.h"

/* AX after LAHF and SETO AL, as EFLAGS bits. */
static inline uint32_t flags_from_ax(uint32_t ax)
{
    return ((ax >> 8) & (FL_SF | FL_ZF | FL_AF | FL_PF | FL_CF)) | (ax & 1) << 11;
}

#define HOST_FLAGS "lahf\n\tseto %%al"

#define ALU_BINARY(name, insn, bits, suffix, mod)                                                  \
    static inline uint##bits##_t alu_##name##bits(uint##bits##_t a, uint##bits##_t b,              \
                                                  uint32_t *cc)                                    \
    {                                                                                              \
        uint32_t ax;                                                                               \
        __asm__(insn suffix " %" mod "2, %" mod "0\n\t" HOST_FLAGS                                 \
                : "+r"(a), "=a"(ax)                                                                \
                : "r"(b)                                                                           \
                : "cc");                                                                           \
        *cc = flags_from_ax(ax);                                                                   \
        return a;                                                                                  \
    }
/* With carry in. */
#define ALU_CARRY(name, insn, bits, suffix, mod)                                                   \
    static inline uint##bits##_t alu_##name##bits(uint##bits##_t a, uint##bits##_t b,              \
                                                  uint32_t *cc)                                    \
    {                                                                                              \
        uint32_t ax;                                                                               \
        __asm__("btl $0, %3\n\t" insn suffix " %" mod "2, %" mod "0\n\t" HOST_FLAGS                \
                : "+r"(a), "=a"(ax)                                                                \
                : "r"(b), "r"(*cc)                                                                 \
                : "cc");                                                                           \
        *cc = flags_from_ax(ax);                                                                   \
        return a;                                                                                  \
    }
/* One operand; INC and DEC keep CF. */
#define ALU_UNARY(name, insn, bits, suffix, mod, keep)                                             \
    static inline uint##bits##_t alu_##name##bits(uint##bits##_t a, uint##bits##_t b,              \
                                                  uint32_t *cc)                                    \
    {                                                                                              \
        uint32_t ax;                                                                               \
        __asm__(insn suffix " %" mod "0\n\t" HOST_FLAGS : "+r"(a), "=a"(ax) : : "cc");             \
        *cc = (flags_from_ax(ax) & ~(uint32_t)(keep)) | (*cc & (keep));                            \
        return a;                                                                                  \
    }
#define ALU_NOT(bits)                                                                              \
    static inline uint##bits##_t alu_not##bits(uint##bits##_t a, uint##bits##_t b, uint32_t *cc)   \
    {                                                                                              \
        return ~a;                                                                                 \
    }
#define ALU_MOVE(bits)                                                                             \
    static inline uint##bits##_t alu_xchg##bits(uint##bits##_t a, uint##bits##_t b, uint32_t *cc)  \
    {                                                                                              \
        return b;                                                                                  \
    }

#define ALU_SIZE(bits, s, m)                                                                       \
    ALU_BINARY(add, "add", bits, s, m)                                                             \
    ALU_BINARY(or, "or", bits, s, m)                                                               \
    ALU_CARRY(adc, "adc", bits, s, m)                                                              \
    ALU_CARRY(sbb, "sbb", bits, s, m)                                                              \
    ALU_BINARY(and, "and", bits, s, m)                                                             \
    ALU_BINARY(sub, "sub", bits, s, m)                                                             \
    ALU_BINARY(xor, "xor", bits, s, m)                                                             \
    ALU_BINARY(test, "test", bits, s, m)                                                           \
    ALU_BINARY(cmp, "cmp", bits, s, m)                                                             \
    ALU_UNARY(inc, "inc", bits, s, m, FL_CF)                                                       \
    ALU_UNARY(dec, "dec", bits, s, m, FL_CF)                                                       \
    ALU_UNARY(neg, "neg", bits, s, m, 0)                                                           \
    ALU_NOT(bits)                                                                                  \
    ALU_MOVE(bits)

ALU_SIZE(8, "b", "b")
ALU_SIZE(16, "w", "w")
ALU_SIZE(32, "l", "k")
ALU_SIZE(64, "q", "q")

/* Index of an operand size in a table of four: 1, 2, 4, 8 bytes. */
static inline unsigned size_index(unsigned bytes)
{
    return bytes == 1 ? 0 : bytes == 2 ? 1 : bytes == 4 ? 2 : 3;
}

/* The size in bytes of the instruction's first operand. */
static inline unsigned operand_bytes(const InsnSource *src, unsigned operand)
{
    return src->ops[operand].size / 8;
}

/*
 * In register-register forms the destination goes to rm and the source to reg, whichever of the two
 * encodings was used.
 */
static inline void normalize_registers(const InsnSource *src, Insn *insn)
{
    if (insn->ea == EA_NONE && src->ops[0].encoding == ZYDIS_OPERAND_ENCODING_MODRM_REG) {
        uint16_t reg = insn->reg;

        insn->reg = insn->rm;
        insn->rm = reg;
    }
}

/* --- memory read-modify-write ------------------------------------------------- */

/*
 * LOCK: atomic on one host word where the operand is RAM within a page; else under the machine
 * lock, one access after the other.
 */
#define DEFINE_LOCKED(bits)                                                                        \
    typedef uint##bits##_t AluFn##bits(uint##bits##_t a, uint##bits##_t b, uint32_t *cc);          \
    static inline uint##bits##_t locked_apply##bits(X86CPU *cpu, uint64_t va, uint##bits##_t b,    \
                                                    AluFn##bits *fn)                               \
    {                                                                                              \
        MmuRmw rmw;                                                                                \
        uint##bits##_t *host = mmu_rmw_begin(cpu, va, bits / 8, &rmw);                             \
        uint##bits##_t old, result;                                                                \
        uint32_t cc;                                                                               \
        if (G_LIKELY(host)) {                                                                      \
            old = __atomic_load_n(host, __ATOMIC_RELAXED);                                         \
            do {                                                                                   \
                cc = cpu->cc;                                                                      \
                result = fn(old, b, &cc);                                                          \
            } while (!__atomic_compare_exchange_n(host, &old, result, false, __ATOMIC_SEQ_CST,     \
                                                  __ATOMIC_RELAXED));                              \
        } else {                                                                                   \
            old = mmu_modify##bits(cpu, va);                                                       \
            cc = cpu->cc;                                                                          \
            mmu_store##bits(cpu, va, fn(old, b, &cc));                                             \
        }                                                                                          \
        mmu_rmw_end(cpu, &rmw);                                                                    \
        cpu->cc = cc;                                                                              \
        return old;                                                                                \
    }

DEFINE_LOCKED(8)
DEFINE_LOCKED(16)
DEFINE_LOCKED(32)
DEFINE_LOCKED(64)

#endif
