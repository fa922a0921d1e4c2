/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * XCHG, XADD, CMPXCHG, CMPXCHG8B, CMPXCHG16B: atomic with LOCK, and XCHG always (SDM 3A 8.1.2.2).
 */
#include "target-i386/interp/alu.h"

#define EXCHANGE(bits)                                                                             \
    static void xchg##bits##_r(X86CPU *cpu, const Insn *insn)                                      \
    {                                                                                              \
        uint##bits##_t a = reg_get##bits(cpu, insn->rm);                                           \
        reg_set##bits(cpu, insn->rm, reg_get##bits(cpu, insn->reg));                               \
        reg_set##bits(cpu, insn->reg, a);                                                          \
    }                                                                                              \
    static void xchg##bits##_m(X86CPU *cpu, const Insn *insn)                                      \
    {                                                                                              \
        uint64_t va = insn_linear(cpu, insn, bits / 8, true);                                      \
        uint32_t cc = cpu->cc;                                                                     \
        uint##bits##_t old = locked_apply##bits(cpu, va, reg_get##bits(cpu, insn->reg),            \
                                                alu_xchg##bits);                                   \
        cpu->cc = cc;                                                                              \
        reg_set##bits(cpu, insn->reg, old);                                                        \
    }                                                                                              \
    static void xadd##bits##_r(X86CPU *cpu, const Insn *insn)                                      \
    {                                                                                              \
        uint##bits##_t a = reg_get##bits(cpu, insn->rm);                                           \
        uint##bits##_t sum = alu_add##bits(a, reg_get##bits(cpu, insn->reg), &cpu->cc);            \
        reg_set##bits(cpu, insn->reg, a);                                                          \
        reg_set##bits(cpu, insn->rm, sum);                                                         \
    }                                                                                              \
    static void xadd##bits##_m(X86CPU *cpu, const Insn *insn)                                      \
    {                                                                                              \
        uint64_t va = insn_linear(cpu, insn, bits / 8, true);                                      \
        reg_set##bits(cpu, insn->reg,                                                              \
                      locked_apply##bits(cpu, va, reg_get##bits(cpu, insn->reg), alu_add##bits));  \
    }                                                                                              \
    static void cmpxchg##bits##_r(X86CPU *cpu, const Insn *insn)                                   \
    {                                                                                              \
        uint##bits##_t old = reg_get##bits(cpu, insn->rm);                                         \
        uint##bits##_t source = reg_get##bits(cpu, insn->reg);                                     \
        uint##bits##_t want = reg_get##bits(cpu, R_RAX * 8);                                       \
        alu_cmp##bits(want, old, &cpu->cc);                                                        \
        if (old == want) {                                                                         \
            reg_set##bits(cpu, insn->rm, source);                                                  \
        } else {                                                                                   \
            reg_set##bits(cpu, R_RAX * 8, old);                                                    \
        }                                                                                          \
    }                                                                                              \
    static void cmpxchg##bits##_m(X86CPU *cpu, const Insn *insn)                                   \
    {                                                                                              \
        uint64_t va = insn_linear(cpu, insn, bits / 8, true);                                      \
        uint##bits##_t want = reg_get##bits(cpu, R_RAX * 8);                                       \
        uint##bits##_t source = reg_get##bits(cpu, insn->reg);                                     \
        uint##bits##_t old = want;                                                                 \
        MmuRmw rmw;                                                                                \
        uint##bits##_t *host = mmu_rmw_begin(cpu, va, bits / 8, &rmw);                             \
        if (G_LIKELY(host)) {                                                                      \
            __atomic_compare_exchange_n(host, &old, source, false, __ATOMIC_SEQ_CST,               \
                                        __ATOMIC_SEQ_CST);                                         \
        } else {                                                                                   \
            old = mmu_modify##bits(cpu, va);                                                       \
            mmu_store##bits(cpu, va, old == want ? source : old);                                  \
        }                                                                                          \
        mmu_rmw_end(cpu, &rmw);                                                                    \
        alu_cmp##bits(want, old, &cpu->cc);                                                        \
        if (old != want) {                                                                         \
            reg_set##bits(cpu, R_RAX * 8, old);                                                    \
        }                                                                                          \
    }

EXCHANGE(8)
EXCHANGE(16)
EXCHANGE(32)
EXCHANGE(64)

#define FORMS(op)                                                                                  \
    {{op##8_r, op##16_r, op##32_r, op##64_r}, {op##8_m, op##16_m, op##32_m, op##64_m}}

static InsnFn *const xchg_fns[2][4] = FORMS(xchg);
static InsnFn *const xadd_fns[2][4] = FORMS(xadd);
static InsnFn *const cmpxchg_fns[2][4] = FORMS(cmpxchg);

INSN_FAMILY(exchange)
{
    unsigned size = size_index(operand_bytes(src, 0));
    bool memory = insn->ea != EA_NONE;

    if (insn->mnemonic == ZYDIS_MNEMONIC_XCHG) {
        if (!memory && src->ops[0].encoding == src->ops[1].encoding) {
            return NULL;
        }
        if (!memory && src->ops[1].encoding == ZYDIS_OPERAND_ENCODING_NONE) {
            /* 90+r: the accumulator is implied; the other one is in the opcode */
            insn->reg = R_RAX * 8;
            insn->rm = ZydisRegisterGetId(src->ops[0].reg.value) * 8;
        } else if (!memory && src->ops[0].encoding == ZYDIS_OPERAND_ENCODING_NONE) {
            insn->reg = R_RAX * 8;
            insn->rm = ZydisRegisterGetId(src->ops[1].reg.value) * 8;
        }
        return xchg_fns[memory][size];
    }
    return insn->mnemonic == ZYDIS_MNEMONIC_XADD ? xadd_fns[memory][size]
                                                 : cmpxchg_fns[memory][size];
}

static void cmpxchg8b(X86CPU *cpu, const Insn *insn)
{
    uint64_t va = insn_linear(cpu, insn, 8, true);
    uint64_t want = cpu->regs[R_RDX] << 32 | (uint32_t)cpu->regs[R_RAX];
    uint64_t source = cpu->regs[R_RCX] << 32 | (uint32_t)cpu->regs[R_RBX];
    uint64_t old = want;
    MmuRmw rmw;
    uint64_t *host = mmu_rmw_begin(cpu, va, 8, &rmw);

    if (G_LIKELY(host)) {
        __atomic_compare_exchange_n(host, &old, source, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
    } else {
        old = mmu_modify64(cpu, va);
        mmu_store64(cpu, va, old == want ? source : old);
    }
    mmu_rmw_end(cpu, &rmw);
    if (old == want) {
        cpu->cc |= FL_ZF;
    } else {
        cpu->cc &= ~(uint32_t)FL_ZF;
        cpu->regs[R_RAX] = (uint32_t)old;
        cpu->regs[R_RDX] = old >> 32;
    }
}

/* The host's CMPXCHG16B, which every 64-bit host has; true if it stored. */
static bool host_cmpxchg16b(void *host, uint64_t want[2], const uint64_t source[2])
{
    bool stored;

    __asm__ volatile("lock cmpxchg16b %1"
                     : "=@ccz"(stored), "+m"(*(unsigned __int128 *)host), "+a"(want[0]),
                       "+d"(want[1])
                     : "b"(source[0]), "c"(source[1])
                     : "memory");
    return stored;
}

static void cmpxchg16b(X86CPU *cpu, const Insn *insn)
{
    uint64_t va = insn_linear(cpu, insn, 16, true);
    uint64_t old[2] = {cpu->regs[R_RAX], cpu->regs[R_RDX]};
    uint64_t source[2] = {cpu->regs[R_RBX], cpu->regs[R_RCX]};
    bool stored;
    MmuRmw rmw;
    void *host;

    if (va & 15) {
        cpu_raise_gp(cpu, 0);
    }
    host = mmu_rmw_begin(cpu, va, 16, &rmw);
    if (G_LIKELY(host)) {
        stored = host_cmpxchg16b(host, old, source);
    } else {
        uint64_t now[2];

        mmu_read(cpu, cpu->mmu_view, va, now, 16);
        stored = now[0] == old[0] && now[1] == old[1];
        mmu_write(cpu, cpu->mmu_view, va, stored ? source : now, 16);
        old[0] = now[0];
        old[1] = now[1];
    }
    mmu_rmw_end(cpu, &rmw);
    if (stored) {
        cpu->cc |= FL_ZF;
    } else {
        cpu->cc &= ~(uint32_t)FL_ZF;
        cpu->regs[R_RAX] = old[0];
        cpu->regs[R_RDX] = old[1];
    }
}

INSN_FAMILY(cmpxchg_wide)
{
    if (insn->ea == EA_NONE) {
        return NULL;
    }
    return insn->mnemonic == ZYDIS_MNEMONIC_CMPXCHG8B ? cmpxchg8b : cmpxchg16b;
}
