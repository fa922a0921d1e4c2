/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What 16- and 32-bit code takes beside 64-bit code: segments, the width of the stack pointer and
 * of RIP, and encodings that mean something else in the host's mode (SDM 1, 3.3 and 3.6; SDM 2A
 * 2.2.1). Flat segments are part of the block's mode and cost nothing; others are looked at in the
 * CPU state.
 */
#include "accel/tcg/trans.h"

unsigned trans_unit(const Trans *t, const TransInsn *ti)
{
    return trans_code64(t) ? 8 : ti->zi.operand_width / 8;
}

/* --- segments ------------------------------------------------------------------------- */

static SegReg segment_number(ZydisRegister segment)
{
    return insn_segment(segment);
}

/* FS and GS: their class is not in the mode. */
static bool is_extra(SegReg seg)
{
    return seg == SEG_FS || seg == SEG_GS;
}

bool trans_segment_fits(const Trans *t, ZydisRegister segment, bool write)
{
    SegReg seg = segment_number(segment);
    SegClass class;

    if (trans_code64(t) || is_extra(seg)) {
        return true;
    }
    class = mode_class(t->mode, seg);
    return class >= CLASS_BASED || (class == CLASS_READ && !write);
}

static HostMem segment_field(SegReg seg, size_t field)
{
    HostMem m = GS(seg[0]);

    m.disp += seg * sizeof(X86Segment) + field;
    return m;
}

/* Data that grows upwards and may be written: what else there is, the interpreter knows. */
static void check_type(Trans *t, SegReg seg, unsigned flags)
{
    Asm *a = &t->a;

    emit_op_mem(a, false, 0x8b, H_R10, segment_field(seg, offsetof(X86Segment, attr)));
    emit_alu_imm(a, false, 4, H_R10, SEG_ATTR_UNUSABLE | 8 | 4 | 2);
    emit_alu_imm(a, false, 7, H_R10, 2);
    trans_cold(t, COLD_SLOW, emit_jcc(a, CC_NE))->site.flags |= flags;
}

/* limit - offset >= size - 1, in 64 bits, so that nothing wraps */
static void check_limit(Trans *t, SegReg seg, unsigned pointer, unsigned size, unsigned flags)
{
    HostMem limit = segment_field(seg, offsetof(X86Segment, limit));
    Asm *a = &t->a;
    uint8_t *beyond;

    if (size == 1) {
        emit_op_mem(a, false, 0x3b, pointer, limit);
        beyond = emit_jcc(a, CC_A);
    } else {
        emit_op_mem(a, false, 0x8b, H_R10, limit);
        emit_op_reg(a, true, 0x2b, H_R10, pointer);
        emit_alu_imm(a, true, 7, H_R10, size - 1);
        beyond = emit_jcc(a, CC_L);
    }
    trans_cold(t, COLD_SLOW, beyond)->site.flags |= flags;
}

void trans_segment(Trans *t, ZydisRegister segment, unsigned pointer, unsigned size, bool write,
                   unsigned flags)
{
    SegReg seg = segment_number(segment);
    HostMem base = segment_field(seg, offsetof(X86Segment, base));

    g_assert(trans_segment_fits(t, segment, write));
    if (trans_code64(t)) {
        if (is_extra(seg)) {
            emit_op_mem(&t->a, true, 0x03, pointer, base);
        }
        return;
    }
    if (!is_extra(seg) && mode_class(t->mode, seg) == CLASS_FLAT) {
        return;
    }
    if (is_extra(seg)) {
        check_type(t, seg, flags);
    }
    check_limit(t, seg, pointer, size, flags);
    emit_op_mem(&t->a, false, 0x03, pointer, base);
}

/* --- the stack pointer and RIP ---------------------------------------------------------- */

ZydisRegister trans_sp_register(const Trans *t)
{
    return trans_code64(t) ? ZYDIS_REGISTER_RSP
           : t->mode & MODE_SS32 ? ZYDIS_REGISTER_ESP : ZYDIS_REGISTER_SP;
}

void trans_sp_address(Trans *t, int32_t disp, unsigned to)
{
    emit_op_mem(&t->a, trans_code64(t), 0x8d, to,
                (HostMem){.base = H_R8, .index = H_NONE, .disp = disp + t->sp_lag});
    if (!(t->mode & (MODE_CODE64 | MODE_SS32))) {
        emit_op_reg(&t->a, false, 0x0fb7, to, to);
    }
}

uint64_t trans_target(const Trans *t, const TransInsn *ti)
{
    uint64_t target = t->rip + ti->offset + ti->zi.length + ti->ops[0].imm.value.u;

    switch (trans_unit(t, ti)) {
    case 2: return (uint16_t)target;
    case 4: return (uint32_t)target;
    default: return target;
    }
}

/* --- encodings ----------------------------------------------------------------------------- */

static bool same_operand(const ZydisDecodedOperand *a, const TransOperand *b)
{
    return a->type == b->type && a->size == b->size &&
           (a->type != ZYDIS_OPERAND_TYPE_REGISTER || a->reg.value == b->reg.value);
}

/*
 * VEX and EVEX prefixes have bits that count in 64-bit code only: W where it makes an operand of 64
 * bits, and those of registers that do not exist (SDM 2A 2.3.5, 2.7.1). Compilers leave them alone.
 */
bool trans_same_in_host(const TransInsn *ti)
{
    ZydisDecodedInstruction zi;
    ZydisDecodedOperand ops[ZYDIS_MAX_OPERAND_COUNT];
    ZydisDecoder decoder;

    if (ti->zi.machine_mode == ZYDIS_MACHINE_MODE_LONG_64 ||
        ti->zi.encoding == ZYDIS_INSTRUCTION_ENCODING_LEGACY) {
        return true;
    }
    ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
    if (!ZYAN_SUCCESS(ZydisDecoderDecodeFull(&decoder, ti->bytes, ti->zi.length, &zi, ops)) ||
        zi.length != ti->zi.length || zi.mnemonic != ti->zi.mnemonic ||
        zi.operand_count != ti->zi.operand_count) {
        return false;
    }
    for (unsigned i = 0; i < zi.operand_count; i++) {
        if (!same_operand(&ops[i], &ti->ops[i])) {
            return false;
        }
    }
    return true;
}

bool trans_turns_66(const TransInsn *ti)
{
    return (ti->zi.machine_mode == ZYDIS_MACHINE_MODE_LEGACY_16 ||
            ti->zi.machine_mode == ZYDIS_MACHINE_MODE_REAL_16) &&
           ti->vec == VEC_NONE && !ti->x87 && ti->zi.mnemonic != ZYDIS_MNEMONIC_ADCX;
}

bool trans_takes_66(const TransInsn *ti)
{
    if (!trans_turns_66(ti) || ti->zi.operand_width != 16) {
        return false;
    }
    for (unsigned i = 0; i < ti->zi.operand_count; i++) {
        const TransOperand *op = &ti->ops[i];

        if (op->size == 16 &&
            (op->type == ZYDIS_OPERAND_TYPE_MEMORY ||
             (op->type == ZYDIS_OPERAND_TYPE_REGISTER &&
              ZydisRegisterGetClass(op->reg.value) == ZYDIS_REGCLASS_GPR16))) {
            return true;
        }
    }
    return false;
}

uint8_t trans_other_opcode(const TransInsn *ti, uint8_t *reg)
{
    uint8_t opcode = ti->zi.opcode;

    if (ti->zi.machine_mode == ZYDIS_MACHINE_MODE_LONG_64 ||
        ti->zi.opcode_map != ZYDIS_OPCODE_MAP_DEFAULT) {
        return 0;
    }
    *reg = ti->zi.raw.modrm.reg;
    switch (opcode) {
    case 0x40 ... 0x4f: /* INC, DEC: now REX */
        *reg = opcode >> 3 & 1;
        return 0xff;
    case 0x82: /* the same as 80 */
        return 0x80;
    case 0xa0 ... 0xa3: /* MOV between the accumulator and a constant address */
        *reg = H_RAX;
        return 0x88 | (opcode & 1) | (~opcode & 2);
    default:
        return 0;
    }
}
