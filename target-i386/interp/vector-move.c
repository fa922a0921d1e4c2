/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The vector moves that kernels and C libraries execute all the time, without going through a
 * thunk. Insn.reg and Insn.rm are plain vector register numbers, or byte offsets for general
 * registers.
 */
#include "target-i386/interp/vector.h"

#include <string.h>

/* Sixteen bytes, read or written as the host's own move does it. */
typedef uint64_t Vector128 __attribute__((vector_size(16), aligned(1), may_alias));

static inline void move128(void *to, const void *from)
{
    *(Vector128 *)to = *(const Vector128 *)from;
}

static inline uint64_t aligned_address(X86CPU *cpu, const Insn *insn, unsigned size, bool write)
{
    uint64_t va = insn_linear(cpu, insn, size, write);

    if (G_UNLIKELY(insn->aux && (va & (size - 1)))) {
        cpu_raise_gp(cpu, 0);
    }
    return va;
}

static void store128(X86CPU *cpu, uint64_t va, const void *from)
{
    void *direct = vector_write_direct(cpu, va, 16);

    if (G_LIKELY(direct)) {
        move128(direct, from);
    } else {
        mmu_write(cpu, cpu->mmu_view, va, from, 16);
    }
}

static void sse_move128(X86CPU *cpu, const Insn *insn)
{
    vector_check_sse(cpu);
    move128(&cpu->vec[insn->reg], &cpu->vec[insn->rm]);
}

static void sse_move128_back(X86CPU *cpu, const Insn *insn)
{
    vector_check_sse(cpu);
    move128(&cpu->vec[insn->rm], &cpu->vec[insn->reg]);
}

static void sse_load128(X86CPU *cpu, const Insn *insn)
{
    VectorBounce bounce;
    uint64_t va;

    vector_check_sse(cpu);
    va = aligned_address(cpu, insn, 16, false);
    move128(&cpu->vec[insn->reg], vector_read(cpu, va, &bounce, 16));
}

static void sse_store128(X86CPU *cpu, const Insn *insn)
{
    vector_check_sse(cpu);
    store128(cpu, aligned_address(cpu, insn, 16, true), &cpu->vec[insn->reg]);
}

static void vex_move128(X86CPU *cpu, const Insn *insn)
{
    vector_check_vex(cpu);
    move128(&cpu->vec[insn->reg], &cpu->vec[insn->rm]);
    vector_clear_upper(cpu, insn->reg, 16);
}

static void vex_load(X86CPU *cpu, const Insn *insn)
{
    unsigned size = insn->aux2;
    VectorBounce bounce;
    const void *from;
    uint64_t va;

    vector_check_vex(cpu);
    va = aligned_address(cpu, insn, size, false);
    from = vector_read(cpu, va, &bounce, size);
    move128(&cpu->vec[insn->reg], from);
    if (size == 32) {
        move128(&cpu->vec[insn->reg].u8[16], (const uint8_t *)from + 16);
    }
    vector_clear_upper(cpu, insn->reg, size);
}

static void vex_store(X86CPU *cpu, const Insn *insn)
{
    unsigned size = insn->aux2;
    uint8_t *direct;
    uint64_t va;

    vector_check_vex(cpu);
    va = aligned_address(cpu, insn, size, true);
    direct = vector_write_direct(cpu, va, size);
    if (!direct) {
        mmu_write(cpu, cpu->mmu_view, va, &cpu->vec[insn->reg], size);
        return;
    }
    move128(direct, &cpu->vec[insn->reg]);
    if (size == 32) {
        move128(direct + 16, &cpu->vec[insn->reg].u8[16]);
    }
}

/* MOVQ and MOVD between xmm and memory or general registers; results clear up to bit 127. */
static void sse_load64(X86CPU *cpu, const Insn *insn)
{
    X86Vector *dest = &cpu->vec[insn->reg];

    vector_check_sse(cpu);
    dest->u64[0] = mmu_load64(cpu, insn_linear(cpu, insn, 8, false));
    dest->u64[1] = 0;
}

static void sse_load32(X86CPU *cpu, const Insn *insn)
{
    X86Vector *dest = &cpu->vec[insn->reg];

    vector_check_sse(cpu);
    dest->u64[0] = mmu_load32(cpu, insn_linear(cpu, insn, 4, false));
    dest->u64[1] = 0;
}

static void sse_store64(X86CPU *cpu, const Insn *insn)
{
    vector_check_sse(cpu);
    mmu_store64(cpu, insn_linear(cpu, insn, 8, true), cpu->vec[insn->reg].u64[0]);
}

static void sse_store32(X86CPU *cpu, const Insn *insn)
{
    vector_check_sse(cpu);
    mmu_store32(cpu, insn_linear(cpu, insn, 4, true), cpu->vec[insn->reg].u32[0]);
}

static void sse_from_gpr64(X86CPU *cpu, const Insn *insn)
{
    vector_check_sse(cpu);
    cpu->vec[insn->reg].u64[0] = reg_get64(cpu, insn->rm);
    cpu->vec[insn->reg].u64[1] = 0;
}

static void sse_from_gpr32(X86CPU *cpu, const Insn *insn)
{
    vector_check_sse(cpu);
    cpu->vec[insn->reg].u64[0] = reg_get32(cpu, insn->rm);
    cpu->vec[insn->reg].u64[1] = 0;
}

static void sse_to_gpr64(X86CPU *cpu, const Insn *insn)
{
    vector_check_sse(cpu);
    reg_set64(cpu, insn->rm, cpu->vec[insn->reg].u64[0]);
}

static void sse_to_gpr32(X86CPU *cpu, const Insn *insn)
{
    vector_check_sse(cpu);
    reg_set32(cpu, insn->rm, cpu->vec[insn->reg].u32[0]);
}

static void sse_zero(X86CPU *cpu, const Insn *insn)
{
    vector_check_sse(cpu);
    cpu->vec[insn->reg].u64[0] = cpu->vec[insn->reg].u64[1] = 0;
}

/* --- choosing ---------------------------------------------------------------------- */

static bool is_register(const ZydisDecodedOperand *op, ZydisRegisterClass class)
{
    return op->type == ZYDIS_OPERAND_TYPE_REGISTER && ZydisRegisterGetClass(op->reg.value) == class;
}

static bool is_gpr(const ZydisDecodedOperand *op)
{
    return is_register(op, ZYDIS_REGCLASS_GPR32) || is_register(op, ZYDIS_REGCLASS_GPR64);
}

static InsnFn *select_full(const InsnSource *src, Insn *insn, bool aligned)
{
    const ZydisDecodedOperand *to = &src->ops[0], *from = &src->ops[1];
    bool vex = src->zi->encoding == ZYDIS_INSTRUCTION_ENCODING_VEX;

    insn->aux = aligned;
    insn->aux2 = to->size / 8;
    if (to->type == ZYDIS_OPERAND_TYPE_MEMORY) {
        return vex ? vex_store : sse_store128;
    }
    if (from->type == ZYDIS_OPERAND_TYPE_MEMORY) {
        return vex ? vex_load : sse_load128;
    }
    if (vex) {
        return to->size == 128 && to->encoding == ZYDIS_OPERAND_ENCODING_MODRM_REG ? vex_move128
                                                                                   : NULL;
    }
    return to->encoding == ZYDIS_OPERAND_ENCODING_MODRM_REG ? sse_move128 : sse_move128_back;
}

static InsnFn *select_low(const InsnSource *src)
{
    const ZydisDecodedOperand *to = &src->ops[0], *from = &src->ops[1];

    if (is_register(to, ZYDIS_REGCLASS_XMM)) {
        if (from->type == ZYDIS_OPERAND_TYPE_MEMORY) {
            return from->size == 64 ? sse_load64 : sse_load32;
        }
        return !is_gpr(from) ? NULL : from->size == 64 ? sse_from_gpr64 : sse_from_gpr32;
    }
    if (is_register(from, ZYDIS_REGCLASS_XMM)) {
        if (to->type == ZYDIS_OPERAND_TYPE_MEMORY) {
            return to->size == 64 ? sse_store64 : sse_store32;
        }
        return !is_gpr(to) ? NULL : to->size == 64 ? sse_to_gpr64 : sse_to_gpr32;
    }
    return NULL;
}

InsnFn *vector_select_move(const InsnSource *src, Insn *insn)
{
    if (src->zi->encoding == ZYDIS_INSTRUCTION_ENCODING_EVEX) {
        return NULL;
    }
    switch (src->zi->mnemonic) {
    case ZYDIS_MNEMONIC_MOVAPS:
    case ZYDIS_MNEMONIC_MOVAPD:
    case ZYDIS_MNEMONIC_MOVDQA:
    case ZYDIS_MNEMONIC_VMOVAPS:
    case ZYDIS_MNEMONIC_VMOVAPD:
    case ZYDIS_MNEMONIC_VMOVDQA:
        return select_full(src, insn, true);
    case ZYDIS_MNEMONIC_MOVUPS:
    case ZYDIS_MNEMONIC_MOVUPD:
    case ZYDIS_MNEMONIC_MOVDQU:
    case ZYDIS_MNEMONIC_VMOVUPS:
    case ZYDIS_MNEMONIC_VMOVUPD:
    case ZYDIS_MNEMONIC_VMOVDQU:
        return select_full(src, insn, false);
    case ZYDIS_MNEMONIC_MOVD:
    case ZYDIS_MNEMONIC_MOVQ:
        return select_low(src);
    case ZYDIS_MNEMONIC_PXOR:
    case ZYDIS_MNEMONIC_XORPS:
    case ZYDIS_MNEMONIC_XORPD:
        return is_register(&src->ops[0], ZYDIS_REGCLASS_XMM) &&
                       is_register(&src->ops[1], ZYDIS_REGCLASS_XMM) &&
                       src->ops[0].reg.value == src->ops[1].reg.value
                   ? sse_zero
                   : NULL;
    default:
        return NULL;
    }
}
