/* SPDX-License-Identifier: GPL-2.0-or-later */
/* x87 and MMX instructions in translated code: which are copied, and those that take more. */
#include "accel/tcg/x87.h"

#include "target-i386/interp/vector.h"

bool x87_insn_uses(const TransDecoded *zi)
{
    switch (zi->meta.category) {
    case ZYDIS_CATEGORY_X87_ALU:
    case ZYDIS_CATEGORY_FCMOV:
    case ZYDIS_CATEGORY_MMX:
        return true;
    default:
        break;
    }
    /* With a memory operand too: not all hosts then leave the x87 state alone. */
    return zi->mnemonic == ZYDIS_MNEMONIC_CVTPI2PS || zi->mnemonic == ZYDIS_MNEMONIC_CVTPI2PD;
}

bool x87_insn_copies(const TransDecoded *zi)
{
    switch (zi->mnemonic) {
    case ZYDIS_MNEMONIC_FLDENV:
    case ZYDIS_MNEMONIC_FNSTENV:
    case ZYDIS_MNEMONIC_FNSAVE:
    case ZYDIS_MNEMONIC_FRSTOR:
    case ZYDIS_MNEMONIC_FENI8087_NOP:
    case ZYDIS_MNEMONIC_FDISI8087_NOP:
    case ZYDIS_MNEMONIC_FSETPM287_NOP:
        return false;
    default:
        return x87_insn_uses(zi);
    }
}

bool x87_register_fits(ZydisRegister reg)
{
    switch (ZydisRegisterGetClass(reg)) {
    case ZYDIS_REGCLASS_X87:
    case ZYDIS_REGCLASS_MMX:
        return true;
    default:
        return reg == ZYDIS_REGISTER_X87CONTROL || reg == ZYDIS_REGISTER_X87STATUS ||
               reg == ZYDIS_REGISTER_X87TAG;
    }
}

/* cmp byte [x87], 0; je: load it */
void trans_need_x87(Trans *t)
{
    Asm *a = &t->a;
    ColdStub *stub;

    if (!trans_cur(t)->x87 || t->x87) {
        return;
    }
    trans_clobber_flags(t, trans_cur(t)->live_in);
    emit_compare_byte(a, GS(jit.x87), 0);
    stub = trans_cold(t, COLD_X87, emit_jcc(a, CC_E));
    stub->back = a->p;
    t->x87 = true;
}

/*
 * The word is loaded once and looked at before the host gets it: unmasked exceptions are the
 * interpreter's.
 */
void trans_fldcw(Trans *t)
{
    TransInsn *ti = trans_cur(t);
    const TransOperand *op = &ti->ops[ti->mem];
    Asm *a = &t->a;
    HostMem m;

    trans_need_x87(t);
    trans_clobber_flags(t, ti->live_in);
    m = ti->group >= 0 ? trans_stack(t, (int32_t)op->mem.disp.value, 2, false)
                       : trans_memory(t, op, 2, false, false);
    emit_op_mem(a, false, 0x0fb7, H_R10, m);
    emit_store(a, H_R10, GS(jit.x87_scratch[0]));
    emit_op_reg(a, false, 0xf7, 2, H_R10); /* not; and: zero if all are masked */
    emit_alu_imm(a, false, 4, H_R10, FPU_ALL);
    trans_cold(t, COLD_SLOW, emit_jcc(a, CC_NE));
    emit_op_mem(a, false, 0xd9, 5, GS(jit.x87_scratch[0]));
}

/* The pointers become zero too, which the host's cannot tell from those it has not changed. */
void trans_fninit(Trans *t)
{
    Asm *a = &t->a;

    trans_need_x87(t);
    put8(a, 0xdb);
    put8(a, 0xe3);
    emit_op_mem(a, true, 0xc7, 0, GS(x87.fip));
    put32(a, 0);
    emit_op_mem(a, true, 0xc7, 0, GS(x87.fdp));
    put32(a, 0);
    put8(a, 0x65);
    put8(a, 0x66);
    put8(a, 0xc7);
    emit_modrm_mem(a, 0, &GS(x87.fop));
    put16(a, 0);
}
