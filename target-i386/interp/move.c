/* SPDX-License-Identifier: GPL-2.0-or-later */
/* MOV, MOVZX, MOVSX, LEA, CMOVcc, SETcc, conversions, XLAT, PUSH, POP, stack frames (SDM 2). */
#include "target-i386/interp/alu.h"

#define MOVES(bits)                                                                                \
    static void mov##bits##_rr(X86CPU *cpu, const Insn *insn)                                      \
    {                                                                                              \
        reg_set##bits(cpu, insn->rm, reg_get##bits(cpu, insn->reg));                               \
    }                                                                                              \
    static void mov##bits##_rm(X86CPU *cpu, const Insn *insn)                                      \
    {                                                                                              \
        reg_set##bits(cpu, insn->reg,                                                              \
                      mmu_load##bits(cpu, insn_linear(cpu, insn, bits / 8, false)));               \
    }                                                                                              \
    static void mov##bits##_mr(X86CPU *cpu, const Insn *insn)                                      \
    {                                                                                              \
        mmu_store##bits(cpu, insn_linear(cpu, insn, bits / 8, true),                               \
                        reg_get##bits(cpu, insn->reg));                                            \
    }                                                                                              \
    static void mov##bits##_ri(X86CPU *cpu, const Insn *insn)                                      \
    {                                                                                              \
        reg_set##bits(cpu, insn->rm, insn->imm);                                                   \
    }                                                                                              \
    static void mov##bits##_mi(X86CPU *cpu, const Insn *insn)                                      \
    {                                                                                              \
        mmu_store##bits(cpu, insn_linear(cpu, insn, bits / 8, true), insn->imm);                   \
    }

MOVES(8)
MOVES(16)
MOVES(32)
MOVES(64)

static bool is_general(const ZydisDecodedOperand *op)
{
    ZydisRegisterClass kind = ZydisRegisterGetClass(op->reg.value);

    return kind >= ZYDIS_REGCLASS_GPR8 && kind <= ZYDIS_REGCLASS_GPR64;
}

static bool has_system_register(const InsnSource *src)
{
    for (unsigned i = 0; i < src->zi->operand_count_visible; i++) {
        if (src->ops[i].type == ZYDIS_OPERAND_TYPE_REGISTER && !is_general(&src->ops[i])) {
            return true;
        }
    }
    return false;
}

INSN_FAMILY(mov)
{
    static InsnFn *const fns[4][5] = {
        {mov8_rr, mov8_rm, mov8_mr, mov8_ri, mov8_mi},
        {mov16_rr, mov16_rm, mov16_mr, mov16_ri, mov16_mi},
        {mov32_rr, mov32_rm, mov32_mr, mov32_ri, mov32_mi},
        {mov64_rr, mov64_rm, mov64_mr, mov64_ri, mov64_mi},
    };
    InsnFn *const *row = fns[size_index(operand_bytes(src, 0))];
    bool immediate = src->ops[1].type == ZYDIS_OPERAND_TYPE_IMMEDIATE;

    if (has_system_register(src)) {
        return insn_select_system_move(src, insn);
    }
    if (insn->ea == EA_NONE) {
        normalize_registers(src, insn);
        return immediate ? row[3] : row[0];
    }
    if (src->ops[0].type == ZYDIS_OPERAND_TYPE_MEMORY) {
        if (immediate) {
            return row[4];
        }
        if (src->ops[1].encoding != ZYDIS_OPERAND_ENCODING_MODRM_REG) { /* moffs: accumulator */
            insn->reg = R_RAX * 8;
        }
        return row[2];
    }
    if (src->ops[0].encoding != ZYDIS_OPERAND_ENCODING_MODRM_REG) {
        insn->reg = R_RAX * 8;
    }
    return row[1];
}

/* Source of @from bits, unsigned or signed, into a destination of @to bits. */
#define EXTEND(name, type, from, to)                                                               \
    static void name##from##_##to##_r(X86CPU *cpu, const Insn *insn)                               \
    {                                                                                              \
        reg_set##to(cpu, insn->reg, (type##from##_t)reg_get##from(cpu, insn->rm));                 \
    }                                                                                              \
    static void name##from##_##to##_m(X86CPU *cpu, const Insn *insn)                               \
    {                                                                                              \
        reg_set##to(cpu, insn->reg,                                                                \
                    (type##from##_t)mmu_load##from(cpu, insn_linear(cpu, insn, from / 8, false))); \
    }

EXTEND(zx, uint, 8, 16)
EXTEND(zx, uint, 8, 32)
EXTEND(zx, uint, 8, 64)
EXTEND(zx, uint, 16, 16)
EXTEND(zx, uint, 16, 32)
EXTEND(zx, uint, 16, 64)
EXTEND(sx, int, 8, 16)
EXTEND(sx, int, 8, 32)
EXTEND(sx, int, 8, 64)
EXTEND(sx, int, 16, 16)
EXTEND(sx, int, 16, 32)
EXTEND(sx, int, 16, 64)
EXTEND(sx, int, 32, 16)
EXTEND(sx, int, 32, 32)
EXTEND(sx, int, 32, 64)

#define EXTEND_ROW(name, from)                                                                     \
    {{name##from##_16_r, name##from##_16_m}, {name##from##_32_r, name##from##_32_m},               \
     {name##from##_64_r, name##from##_64_m}}

INSN_FAMILY(extend)
{
    static InsnFn *const zero[2][3][2] = {EXTEND_ROW(zx, 8), EXTEND_ROW(zx, 16)};
    static InsnFn *const sign[3][3][2] = {EXTEND_ROW(sx, 8), EXTEND_ROW(sx, 16),
                                          EXTEND_ROW(sx, 32)};
    unsigned to = size_index(operand_bytes(src, 0)) - 1;
    unsigned from = size_index(operand_bytes(src, 1));
    bool memory = insn->ea != EA_NONE;

    if (from == 2 && to == 0) {
        from = 1; /* MOVSXD to 16 bits reads no more than those (SDM 2B, MOVSX) */
    }
    return insn->mnemonic == ZYDIS_MNEMONIC_MOVZX ? zero[from][to][memory] : sign[from][to][memory];
}

static void lea64(X86CPU *cpu, const Insn *insn)
{
    reg_set64(cpu, insn->reg, insn_effective(cpu, insn));
}

static void lea32(X86CPU *cpu, const Insn *insn)
{
    reg_set32(cpu, insn->reg, insn_effective(cpu, insn));
}

static void lea16(X86CPU *cpu, const Insn *insn)
{
    reg_set16(cpu, insn->reg, insn_effective(cpu, insn));
}

INSN_FAMILY(lea)
{
    if (insn->ea == EA_NONE) {
        return NULL;
    }
    switch (operand_bytes(src, 0)) {
    case 2: return lea16;
    case 4: return lea32;
    default: return lea64;
    }
}

/* --- on conditions -------------------------------------------------------------- */

/* Condition code of a CMOVcc, SETcc or Jcc: the low four bits of its opcode. */
static uint8_t condition_of(const InsnSource *src)
{
    return src->zi->opcode & 15;
}

/* The source is read whatever the condition; a 32-bit destination is always zero-extended. */
#define CMOV(bits)                                                                                 \
    static void cmov##bits##_r(X86CPU *cpu, const Insn *insn)                                      \
    {                                                                                              \
        uint##bits##_t b = reg_get##bits(cpu, insn->rm);                                           \
        reg_set##bits(cpu, insn->reg,                                                              \
                      cpu_condition(cpu, insn->aux) ? b : reg_get##bits(cpu, insn->reg));          \
    }                                                                                              \
    static void cmov##bits##_m(X86CPU *cpu, const Insn *insn)                                      \
    {                                                                                              \
        uint##bits##_t b = mmu_load##bits(cpu, insn_linear(cpu, insn, bits / 8, false));           \
        reg_set##bits(cpu, insn->reg,                                                              \
                      cpu_condition(cpu, insn->aux) ? b : reg_get##bits(cpu, insn->reg));          \
    }

CMOV(16)
CMOV(32)
CMOV(64)

INSN_FAMILY(cmov)
{
    static InsnFn *const fns[2][4] = {{NULL, cmov16_r, cmov32_r, cmov64_r},
                                      {NULL, cmov16_m, cmov32_m, cmov64_m}};

    insn->aux = condition_of(src);
    return fns[insn->ea != EA_NONE][size_index(operand_bytes(src, 0))];
}

static void setcc_r(X86CPU *cpu, const Insn *insn)
{
    reg_set8(cpu, insn->rm, cpu_condition(cpu, insn->aux));
}

static void setcc_m(X86CPU *cpu, const Insn *insn)
{
    mmu_store8(cpu, insn_linear(cpu, insn, 1, true), cpu_condition(cpu, insn->aux));
}

INSN_FAMILY(setcc)
{
    insn->aux = condition_of(src);
    return insn->ea == EA_NONE ? setcc_r : setcc_m;
}

/* --- accumulator ------------------------------------------------------------------ */

static void convert(X86CPU *cpu, const Insn *insn)
{
    switch (insn->mnemonic) {
    case ZYDIS_MNEMONIC_CBW: reg_set16(cpu, R_RAX * 8, (int8_t)cpu->regs[R_RAX]); break;
    case ZYDIS_MNEMONIC_CWDE: reg_set32(cpu, R_RAX * 8, (int16_t)cpu->regs[R_RAX]); break;
    case ZYDIS_MNEMONIC_CDQE: cpu->regs[R_RAX] = (int32_t)cpu->regs[R_RAX]; break;
    case ZYDIS_MNEMONIC_CWD: reg_set16(cpu, R_RDX * 8, (int16_t)cpu->regs[R_RAX] >> 15); break;
    case ZYDIS_MNEMONIC_CDQ: reg_set32(cpu, R_RDX * 8, (int32_t)cpu->regs[R_RAX] >> 31); break;
    default: cpu->regs[R_RDX] = (int64_t)cpu->regs[R_RAX] >> 63; break;
    }
}

INSN_FAMILY(convert)
{
    return convert;
}

/* AL = [rBX + AL] */
static void xlat(X86CPU *cpu, const Insn *insn)
{
    uint64_t offset = cpu->regs[R_RBX] + reg_get8(cpu, R_RAX * 8);

    reg_set8(cpu, R_RAX * 8, mmu_load8(cpu, insn_linear_slow(cpu, insn, offset, 1, false)));
}

INSN_FAMILY(xlat)
{
    for (unsigned i = 0; i < src->zi->operand_count; i++) {
        if (src->ops[i].type == ZYDIS_OPERAND_TYPE_MEMORY) {
            insn_fill_memory(src, &src->ops[i].mem, insn);
        }
    }
    return xlat;
}

/* --- stack -------------------------------------------------------------------------- */

static void push64_r(X86CPU *cpu, const Insn *insn)
{
    uint64_t sp = cpu->regs[R_RSP] - 8;

    mmu_push64(cpu, sp, reg_get64(cpu, insn->rm));
    cpu->regs[R_RSP] = sp;
}

static void pop64_r(X86CPU *cpu, const Insn *insn)
{
    uint64_t value = mmu_pop64(cpu, cpu->regs[R_RSP]);

    cpu->regs[R_RSP] += 8;
    reg_set64(cpu, insn->rm, value);
}

static void push_r(X86CPU *cpu, const Insn *insn)
{
    stack_push(cpu, reg_get(cpu, insn->rm, insn->opsize), insn->opsize);
}

static void push_i(X86CPU *cpu, const Insn *insn)
{
    stack_push(cpu, insn->imm, insn->opsize);
}

static void push_m(X86CPU *cpu, const Insn *insn)
{
    uint64_t va = insn_linear(cpu, insn, insn->opsize, false);

    stack_push(cpu, mem_load(cpu, va, insn->opsize), insn->opsize);
}

INSN_FAMILY(push)
{
    insn->opsize = src->zi->operand_width / 8;
    if (has_system_register(src)) {
        return insn_select_system_move(src, insn);
    }
    if (src->ops[0].type == ZYDIS_OPERAND_TYPE_IMMEDIATE) {
        return push_i;
    }
    if (insn->ea != EA_NONE) {
        return push_m;
    }
    return insn->opsize == 8 ? push64_r : push_r;
}

static void pop_r(X86CPU *cpu, const Insn *insn)
{
    reg_set(cpu, insn->rm, stack_pop(cpu, insn->opsize), insn->opsize);
}

/* The address is computed with the stack pointer as it is after the pop (SDM 2B, POP). */
static void pop_m(X86CPU *cpu, const Insn *insn)
{
    uint64_t rsp = cpu->regs[R_RSP];
    uint64_t value = stack_pop(cpu, insn->opsize);
    uint64_t after = cpu->regs[R_RSP], va;

    /*
     * A fault must leave RSP alone, so the address is taken first and RSP put back for the store.
     */
    cpu->regs[R_RSP] = rsp;
    if (insn->base == R_RSP) {
        Insn moved = *insn;

        moved.disp += insn->opsize;
        va = insn_linear(cpu, &moved, insn->opsize, true);
    } else {
        va = insn_linear(cpu, insn, insn->opsize, true);
    }
    mem_store(cpu, va, value, insn->opsize);
    cpu->regs[R_RSP] = after;
}

INSN_FAMILY(pop)
{
    insn->opsize = src->zi->operand_width / 8;
    if (has_system_register(src)) {
        return insn_select_system_move(src, insn);
    }
    if (insn->ea != EA_NONE) {
        return pop_m;
    }
    return insn->opsize == 8 ? pop64_r : pop_r;
}

/* PUSHA, POPA: AX CX DX BX SP BP SI DI, all or nothing. */
static void push_all(X86CPU *cpu, const Insn *insn)
{
    unsigned size = insn->opsize;
    uint64_t sp = stack_pointer(cpu);

    for (unsigned i = 0; i < 8; i++) {
        uint64_t va = stack_linear(cpu, sp - (i + 1) * size, size, true);

        mmu_probe(cpu, cpu->mmu_view, va, size, ACCESS_WRITE | ACCESS_STACK);
    }
    for (unsigned i = 0; i < 8; i++) {
        uint64_t va = stack_linear(cpu, sp - (i + 1) * size, size, true);
        uint64_t value = cpu->regs[i];

        if (size == 2) {
            mmu_push16(cpu, va, value);
        } else {
            mmu_push32(cpu, va, value);
        }
    }
    stack_set_pointer(cpu, sp - 8 * size);
}

static void pop_all(X86CPU *cpu, const Insn *insn)
{
    unsigned size = insn->opsize;
    uint64_t sp = stack_pointer(cpu);
    uint64_t values[8];

    for (unsigned i = 0; i < 8; i++) {
        uint64_t va = stack_linear(cpu, sp + i * size, size, false);

        values[7 - i] = size == 2 ? mmu_pop16(cpu, va) : mmu_pop32(cpu, va);
    }
    for (unsigned i = 0; i < 8; i++) {
        if (i != R_RSP) {
            reg_set(cpu, i * 8, values[i], size);
        }
    }
    stack_set_pointer(cpu, sp + 8 * size);
}

INSN_FAMILY(push_all)
{
    bool push = insn->mnemonic == ZYDIS_MNEMONIC_PUSHA || insn->mnemonic == ZYDIS_MNEMONIC_PUSHAD;

    return push ? push_all : pop_all;
}

static void frame_store(X86CPU *cpu, uint64_t sp, uint64_t value, unsigned size)
{
    uint64_t va = stack_linear(cpu, sp, size, true);

    switch (size) {
    case 2: mmu_push16(cpu, va, value); break;
    case 4: mmu_push32(cpu, va, value); break;
    default: mmu_push64(cpu, va, value); break;
    }
}

static uint64_t frame_load(X86CPU *cpu, uint64_t sp, unsigned size)
{
    uint64_t va = stack_linear(cpu, sp, size, false);

    return size == 2 ? mmu_pop16(cpu, va) : size == 4 ? mmu_pop32(cpu, va) : mmu_pop64(cpu, va);
}

/* ENTER imm16, imm8: registers change only after every access and the final check succeeded. */
static void enter(X86CPU *cpu, const Insn *insn)
{
    unsigned size = insn->opsize, level = insn->aux & 31;
    uint64_t sp = stack_pointer(cpu) - size;
    uint64_t frame = sp, bp = cpu->regs[R_RBP], final;

    frame_store(cpu, sp, bp, size);
    for (unsigned i = 1; i < level; i++) {
        bp -= size;
        sp -= size;
        frame_store(cpu, sp, frame_load(cpu, bp, size), size);
    }
    if (level) {
        sp -= size;
        frame_store(cpu, sp, frame, size);
    }
    final = sp - (uint16_t)insn->imm;
    mmu_probe(cpu, cpu->mmu_view, stack_linear(cpu, final, size, true), size,
              ACCESS_WRITE | ACCESS_STACK);
    reg_set(cpu, R_RBP * 8, frame, size);
    stack_set_pointer(cpu, final);
}

static void leave(X86CPU *cpu, const Insn *insn)
{
    uint64_t sp = cpu->regs[R_RBP];
    uint64_t value = frame_load(cpu, sp, insn->opsize);

    stack_set_pointer(cpu, sp + insn->opsize);
    reg_set(cpu, R_RBP * 8, value, insn->opsize);
}

INSN_FAMILY(frame)
{
    insn->opsize = src->zi->operand_width / 8;
    return insn->mnemonic == ZYDIS_MNEMONIC_ENTER ? enter : leave;
}
