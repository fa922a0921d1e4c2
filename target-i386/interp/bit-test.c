/* SPDX-License-Identifier: GPL-2.0-or-later */
/* BT, BTS, BTR, BTC, BSF, BSR, BSWAP (SDM 2A). */
#include "target-i386/interp/alu.h"

typedef enum { BIT_TEST, BIT_SET, BIT_RESET, BIT_COMPLEMENT } BitOp;

static uint64_t bit_apply(BitOp op, uint64_t value, uint64_t mask)
{
    switch (op) {
    case BIT_SET: return value | mask;
    case BIT_RESET: return value & ~mask;
    case BIT_COMPLEMENT: return value ^ mask;
    default: return value;
    }
}

static void set_carry(X86CPU *cpu, bool carry)
{
    cpu->cc = (cpu->cc & ~(uint32_t)FL_CF) | carry;
}

/* Register operand: the bit number is taken modulo the operand size. */
static void bit_register(X86CPU *cpu, const Insn *insn, uint64_t number)
{
    unsigned bit = number & (insn->opsize * 8 - 1);
    uint64_t value = reg_get(cpu, insn->rm, insn->opsize);

    set_carry(cpu, (value >> bit) & 1);
    if (insn->aux != BIT_TEST) {
        reg_set(cpu, insn->rm, bit_apply(insn->aux, value, 1ULL << bit), insn->opsize);
    }
}

static void bit_ri(X86CPU *cpu, const Insn *insn)
{
    bit_register(cpu, insn, insn->imm);
}

static void bit_rr(X86CPU *cpu, const Insn *insn)
{
    bit_register(cpu, insn, reg_get(cpu, insn->reg, insn->opsize));
}

#define BIT_WORD(bits)                                                                             \
    static bool bit_word##bits(X86CPU *cpu, uint64_t va, BitOp op, unsigned bit, bool lock)        \
    {                                                                                              \
        uint##bits##_t mask = (uint##bits##_t)1 << bit, old;                                       \
        MmuRmw rmw = {0};                                                                          \
        uint##bits##_t *host;                                                                      \
        if (!lock) {                                                                               \
            old = op == BIT_TEST ? mmu_load##bits(cpu, va) : mmu_modify##bits(cpu, va);            \
            if (op != BIT_TEST) {                                                                  \
                mmu_store##bits(cpu, va, bit_apply(op, old, mask));                                \
            }                                                                                      \
            return old & mask;                                                                     \
        }                                                                                          \
        host = mmu_rmw_begin(cpu, va, bits / 8, &rmw);                                             \
        if (host) {                                                                                \
            old = __atomic_load_n(host, __ATOMIC_RELAXED);                                         \
            while (!__atomic_compare_exchange_n(host, &old,                                        \
                                                (uint##bits##_t)bit_apply(op, old, mask), false,   \
                                                __ATOMIC_SEQ_CST, __ATOMIC_RELAXED)) {             \
            }                                                                                      \
        } else {                                                                                   \
            old = mmu_modify##bits(cpu, va);                                                       \
            mmu_store##bits(cpu, va, bit_apply(op, old, mask));                                    \
        }                                                                                          \
        mmu_rmw_end(cpu, &rmw);                                                                    \
        return old & mask;                                                                         \
    }

BIT_WORD(16)
BIT_WORD(32)
BIT_WORD(64)

static void bit_memory(X86CPU *cpu, const Insn *insn, uint64_t va, unsigned bit)
{
    bool lock = insn->flags & INSN_LOCK;
    bool carry;

    switch (insn->opsize) {
    case 2: carry = bit_word16(cpu, va, insn->aux, bit, lock); break;
    case 4: carry = bit_word32(cpu, va, insn->aux, bit, lock); break;
    default: carry = bit_word64(cpu, va, insn->aux, bit, lock); break;
    }
    set_carry(cpu, carry);
}

static void bit_mi(X86CPU *cpu, const Insn *insn)
{
    uint64_t va = insn_linear(cpu, insn, insn->opsize, insn->aux != BIT_TEST);

    bit_memory(cpu, insn, va, insn->imm & (insn->opsize * 8 - 1));
}

/* A register bit number reaches beyond the operand, in steps of its size (SDM 2A, BT). */
static void bit_mr(X86CPU *cpu, const Insn *insn)
{
    unsigned bits = insn->opsize * 8;
    int64_t number = (int64_t)(reg_get(cpu, insn->reg, insn->opsize) << (64 - bits)) >> (64 - bits);
    Insn moved = *insn;

    moved.disp += (number >> (insn->opsize == 2 ? 4 : insn->opsize == 4 ? 5 : 6)) * insn->opsize;
    bit_memory(cpu, insn,
               insn_linear(cpu, &moved, insn->opsize, insn->aux != BIT_TEST), number & (bits - 1));
}

INSN_FAMILY(bit_test)
{
    bool immediate = src->ops[1].type == ZYDIS_OPERAND_TYPE_IMMEDIATE;

    insn->opsize = operand_bytes(src, 0);
    switch (insn->mnemonic) {
    case ZYDIS_MNEMONIC_BTS: insn->aux = BIT_SET; break;
    case ZYDIS_MNEMONIC_BTR: insn->aux = BIT_RESET; break;
    case ZYDIS_MNEMONIC_BTC: insn->aux = BIT_COMPLEMENT; break;
    default: insn->aux = BIT_TEST; break;
    }
    if (insn->ea == EA_NONE) {
        return immediate ? bit_ri : bit_rr;
    }
    return immediate ? bit_mi : bit_mr;
}

/*
 * A zero source sets ZF and leaves the destination alone, upper half included, as on Intel and AMD.
 */
#define BIT_SCAN(name, bits, suffix, mod)                                                          \
    static void name##bits(X86CPU *cpu, const Insn *insn)                                          \
    {                                                                                              \
        uint##bits##_t b = insn->ea == EA_NONE                                                     \
                               ? reg_get##bits(cpu, insn->rm)                                      \
                               : mmu_load##bits(cpu, insn_linear(cpu, insn, bits / 8, false));     \
        uint##bits##_t a = 0;                                                                      \
        uint32_t ax;                                                                               \
        __asm__(#name suffix " %" mod "2, %" mod "0\n\t" HOST_FLAGS                                \
                : "+r"(a), "=a"(ax)                                                                \
                : "r"(b)                                                                           \
                : "cc");                                                                           \
        cpu->cc = flags_from_ax(ax);                                                               \
        if (b) {                                                                                   \
            reg_set##bits(cpu, insn->reg, a);                                                      \
        }                                                                                          \
    }

BIT_SCAN(bsf, 16, "w", "w")
BIT_SCAN(bsf, 32, "l", "k")
BIT_SCAN(bsf, 64, "q", "q")
BIT_SCAN(bsr, 16, "w", "w")
BIT_SCAN(bsr, 32, "l", "k")
BIT_SCAN(bsr, 64, "q", "q")

INSN_FAMILY(bit_scan)
{
    static InsnFn *const fns[2][4] = {{NULL, bsf16, bsf32, bsf64}, {NULL, bsr16, bsr32, bsr64}};

    return fns[insn->mnemonic == ZYDIS_MNEMONIC_BSR][size_index(operand_bytes(src, 0))];
}

static void bswap32(X86CPU *cpu, const Insn *insn)
{
    reg_set32(cpu, insn->rm, __builtin_bswap32(reg_get32(cpu, insn->rm)));
}

static void bswap64(X86CPU *cpu, const Insn *insn)
{
    reg_set64(cpu, insn->rm, __builtin_bswap64(reg_get64(cpu, insn->rm)));
}

/* Undefined for 16 bits; current CPUs clear the register. */
static void bswap16(X86CPU *cpu, const Insn *insn)
{
    reg_set16(cpu, insn->rm, 0);
}

INSN_FAMILY(bswap)
{
    switch (operand_bytes(src, 0)) {
    case 2: return bswap16;
    case 4: return bswap32;
    default: return bswap64;
    }
}
