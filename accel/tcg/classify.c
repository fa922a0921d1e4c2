/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How an instruction is translated, and what it does to flags and registers, from what Zydis says
 * of it and the mode of the block.
 */
#include "accel/tcg/x87.h"
#include "target-i386/interp/decode.h"

/* --- kinds --------------------------------------------------------------------------- */

static unsigned encoding_kind(const TransDecoded *zi)
{
    return zi->encoding == ZYDIS_INSTRUCTION_ENCODING_EVEX ? VEC_AVX512
           : zi->encoding == ZYDIS_INSTRUCTION_ENCODING_VEX ? VEC_AVX : VEC_SSE;
}

static unsigned vector_kind(const TransDecoded *zi, ZydisRegisterClass class)
{
    switch (class) {
    case ZYDIS_REGCLASS_ZMM:
    case ZYDIS_REGCLASS_MASK:
        return VEC_AVX512;
    case ZYDIS_REGCLASS_XMM:
    case ZYDIS_REGCLASS_YMM:
        return encoding_kind(zi);
    default:
        return VEC_NONE;
    }
}

/* CVTSD2SI and the like from memory name no vector register, but round and report by MXCSR. */
static bool is_float(const TransOperand *op)
{
    return op->element_type == ZYDIS_ELEMENT_TYPE_FLOAT16 ||
           op->element_type == ZYDIS_ELEMENT_TYPE_FLOAT32 ||
           op->element_type == ZYDIS_ELEMENT_TYPE_FLOAT64;
}

/* An operand register that the host's copy of the instruction can use. */
static bool register_fits(const TransOperand *op)
{
    ZydisRegister reg = op->reg.value;

    switch (ZydisRegisterGetClass(reg)) {
    case ZYDIS_REGCLASS_GPR8:
    case ZYDIS_REGCLASS_GPR16:
    case ZYDIS_REGCLASS_GPR32:
    case ZYDIS_REGCLASS_GPR64:
        switch (op->encoding) {
        case ZYDIS_OPERAND_ENCODING_MODRM_REG:
        case ZYDIS_OPERAND_ENCODING_MODRM_RM:
        case ZYDIS_OPERAND_ENCODING_OPCODE:
        case ZYDIS_OPERAND_ENCODING_NDSNDD:
            return true;
        default: { /* implied: must be the same in the host */
            unsigned id = trans_guest_reg(reg);

            return id < R_R8 && id != R_RSP;
        }
        }
    case ZYDIS_REGCLASS_XMM:
    case ZYDIS_REGCLASS_YMM:
    case ZYDIS_REGCLASS_ZMM:
    case ZYDIS_REGCLASS_MASK:
    case ZYDIS_REGCLASS_FLAGS:
        return true;
    default:
        return reg == ZYDIS_REGISTER_MXCSR || x87_register_fits(reg);
    }
}

/* A memory operand that the host's copy can have in another place. */
static bool memory_fits(const Trans *t, const TransInsn *ti, const TransOperand *op)
{
    return op->mem.type == ZYDIS_MEMOP_TYPE_MEM && ti->mem < 0 && op->size >= 8 &&
           (op->encoding == ZYDIS_OPERAND_ENCODING_MODRM_RM ||
            (op->encoding == ZYDIS_OPERAND_ENCODING_DISP16_32_64 && !trans_code64(t))) &&
           trans_segment_fits(t, op->mem.segment, op->actions & ZYDIS_OPERAND_ACTION_MASK_WRITE);
}

static bool operands_fit(const Trans *t, TransInsn *ti)
{
    for (unsigned i = 0; i < ti->zi.operand_count; i++) {
        const TransOperand *op = &ti->ops[i];
        unsigned vec;

        switch (op->type) {
        case ZYDIS_OPERAND_TYPE_REGISTER:
            if (!register_fits(op)) {
                return false;
            }
            vec = vector_kind(&ti->zi, ZydisRegisterGetClass(op->reg.value));
            ti->vec = MAX(ti->vec, vec);
            ti->x87 |= x87_register_fits(op->reg.value);
            break;
        case ZYDIS_OPERAND_TYPE_MEMORY:
            if (!memory_fits(t, ti, op)) {
                return false;
            }
            ti->mem = i;
            if (is_float(op)) {
                ti->vec = MAX(ti->vec, encoding_kind(&ti->zi));
            }
            break;
        case ZYDIS_OPERAND_TYPE_IMMEDIATE:
            break;
        default:
            return false;
        }
    }
    return true;
}

static bool mnemonic_copies(const TransInsn *ti)
{
    switch (ti->zi.mnemonic) {
    case ZYDIS_MNEMONIC_LDMXCSR:
    case ZYDIS_MNEMONIC_STMXCSR:
    case ZYDIS_MNEMONIC_VLDMXCSR:
    case ZYDIS_MNEMONIC_VSTMXCSR:
    case ZYDIS_MNEMONIC_FXSAVE:
    case ZYDIS_MNEMONIC_FXSAVE64:
    case ZYDIS_MNEMONIC_FXRSTOR:
    case ZYDIS_MNEMONIC_FXRSTOR64:
        return false;
    case ZYDIS_MNEMONIC_VZEROUPPER: /* of as many registers as the mode has */
    case ZYDIS_MNEMONIC_VZEROALL:
        return ti->zi.machine_mode == ZYDIS_MACHINE_MODE_LONG_64;
    case ZYDIS_MNEMONIC_BT: /* with a register the index reaches beyond the operand */
    case ZYDIS_MNEMONIC_BTS:
    case ZYDIS_MNEMONIC_BTR:
    case ZYDIS_MNEMONIC_BTC:
        return ti->ops[0].type == ZYDIS_OPERAND_TYPE_REGISTER ||
               ti->ops[1].type == ZYDIS_OPERAND_TYPE_IMMEDIATE;
    default:
        return true;
    }
}

static bool category_copies(const TransDecoded *zi)
{
    switch (zi->meta.category) {
    case ZYDIS_CATEGORY_ADOX_ADCX: case ZYDIS_CATEGORY_AES: case ZYDIS_CATEGORY_AVX:
    case ZYDIS_CATEGORY_AVX2: case ZYDIS_CATEGORY_AVX512: case ZYDIS_CATEGORY_AVX512_BITALG:
    case ZYDIS_CATEGORY_AVX512_VBMI: case ZYDIS_CATEGORY_AVX512_VP2INTERSECT:
    case ZYDIS_CATEGORY_BINARY: case ZYDIS_CATEGORY_BITBYTE: case ZYDIS_CATEGORY_BLEND:
    case ZYDIS_CATEGORY_BMI1: case ZYDIS_CATEGORY_BMI2: case ZYDIS_CATEGORY_BROADCAST:
    case ZYDIS_CATEGORY_CMOV: case ZYDIS_CATEGORY_COMPRESS: case ZYDIS_CATEGORY_CONFLICT:
    case ZYDIS_CATEGORY_CONVERT: case ZYDIS_CATEGORY_DATAXFER: case ZYDIS_CATEGORY_EXPAND:
    case ZYDIS_CATEGORY_FP16: case ZYDIS_CATEGORY_GFNI: case ZYDIS_CATEGORY_IFMA:
    case ZYDIS_CATEGORY_KMASK: case ZYDIS_CATEGORY_LOGICAL: case ZYDIS_CATEGORY_LOGICAL_FP:
    case ZYDIS_CATEGORY_LZCNT: case ZYDIS_CATEGORY_PCLMULQDQ: case ZYDIS_CATEGORY_ROTATE:
    case ZYDIS_CATEGORY_SEMAPHORE: case ZYDIS_CATEGORY_SETCC: case ZYDIS_CATEGORY_SHA:
    case ZYDIS_CATEGORY_SHIFT: case ZYDIS_CATEGORY_SSE: case ZYDIS_CATEGORY_STTNI:
    case ZYDIS_CATEGORY_VAES: case ZYDIS_CATEGORY_VBMI2: case ZYDIS_CATEGORY_VFMA:
    case ZYDIS_CATEGORY_VPCLMULQDQ:
        return true;
    default:
        break;
    }
    switch (zi->mnemonic) {
    case ZYDIS_MNEMONIC_CLC: case ZYDIS_MNEMONIC_STC: case ZYDIS_MNEMONIC_CMC:
    case ZYDIS_MNEMONIC_LAHF: case ZYDIS_MNEMONIC_SAHF: case ZYDIS_MNEMONIC_MFENCE:
    case ZYDIS_MNEMONIC_LFENCE: case ZYDIS_MNEMONIC_SFENCE: case ZYDIS_MNEMONIC_PAUSE:
        return true;
    default:
        return false;
    }
}

static bool mode_has_vector(uint32_t mode, unsigned vec)
{
    static const uint32_t needed[] = {
        [VEC_SSE] = MODE_SSE, [VEC_AVX] = MODE_AVX, [VEC_AVX512] = MODE_AVX512,
    };

    return vec == VEC_NONE || (mode & needed[vec]);
}

static TransKind classify_copy(Trans *t, TransInsn *ti)
{
    ti->x87 = x87_insn_uses(&ti->zi);
    if (!(ti->x87 ? x87_insn_copies(&ti->zi) : category_copies(&ti->zi)) ||
        !mnemonic_copies(ti) || !operands_fit(t, ti) || !trans_same_in_host(ti) ||
        ti->zi.encoding == ZYDIS_INSTRUCTION_ENCODING_XOP ||
        ti->zi.encoding == ZYDIS_INSTRUCTION_ENCODING_3DNOW) {
        return KIND_INTERPRET;
    }
    if (ti->zi.mnemonic == ZYDIS_MNEMONIC_VZEROUPPER ||
        ti->zi.mnemonic == ZYDIS_MNEMONIC_VZEROALL) {
        ti->vec = VEC_AVX;
    }
    /* From memory to general or MMX registers: MXCSR is all of the vector state that they use. */
    if (ti->zi.meta.category == ZYDIS_CATEGORY_CONVERT &&
        ti->zi.opcode_map != ZYDIS_OPCODE_MAP_DEFAULT) {
        ti->vec = MAX(ti->vec, vector_kind(&ti->zi, ZYDIS_REGCLASS_XMM));
    }
    if (ti->x87 && !(t->mode & MODE_X87)) {
        return KIND_INTERPRET;
    }
    return mode_has_vector(t->mode, ti->vec) && ti->vec <= t->jit->vec_kind ? KIND_COPY
                                                                            : KIND_INTERPRET;
}

/* True if what is pushed or popped has a size that is translated. */
static bool unit_fits(const Trans *t, const TransInsn *ti)
{
    return ti->zi.operand_width == 64 || !trans_code64(t);
}

/*
 * True if a near branch has an operand size that occurs: the ordinary one, and in 16-bit code that
 * of compilers for 32-bit code too.
 */
static bool branch_fits(const Trans *t, const TransInsn *ti)
{
    const TransOperand *op = &ti->ops[0];
    bool relative = op->type == ZYDIS_OPERAND_TYPE_IMMEDIATE;

    if (trans_code64(t) || (t->mode & MODE_CODE32)) {
        if (ti->zi.attributes & ZYDIS_ATTRIB_HAS_OPERANDSIZE) {
            return false;
        }
    } else if (relative && ti->zi.meta.category != ZYDIS_CATEGORY_RET &&
               trans_target(t, ti) > UINT16_MAX) {
        return false; /* beyond the limit that jit_mode() sees to */
    }
    return op->type != ZYDIS_OPERAND_TYPE_MEMORY ||
           op->visibility == ZYDIS_OPERAND_VISIBILITY_HIDDEN ||
           (op->size == trans_unit(t, ti) * 8 && trans_segment_fits(t, op->mem.segment, false));
}

/* Near branches. */
static TransKind classify_branch(const Trans *t, const TransInsn *ti)
{
    bool relative = ti->ops[0].type == ZYDIS_OPERAND_TYPE_IMMEDIATE;

    if (ti->zi.meta.branch_type == ZYDIS_BRANCH_TYPE_FAR || !branch_fits(t, ti)) {
        return KIND_INTERPRET;
    }
    switch (ti->zi.meta.category) {
    case ZYDIS_CATEGORY_CALL:
        if (!trans_segment_fits(t, ZYDIS_REGISTER_SS, true)) {
            return KIND_INTERPRET;
        }
        return relative ? KIND_CALL : KIND_CALL_INDIRECT;
    case ZYDIS_CATEGORY_UNCOND_BR:
        return relative ? KIND_JUMP : KIND_JUMP_INDIRECT;
    case ZYDIS_CATEGORY_COND_BR: /* not LOOP and JRCXZ */
        return (ti->zi.opcode_map == ZYDIS_OPCODE_MAP_DEFAULT ? ti->zi.opcode >> 4 == 7
                                                              : ti->zi.opcode >> 4 == 8)
                   ? KIND_JUMP_IF
                   : KIND_INTERPRET;
    default: /* IRET is one of the category too */
        return ti->zi.mnemonic == ZYDIS_MNEMONIC_RET && unit_fits(t, ti) &&
                       trans_segment_fits(t, ZYDIS_REGISTER_SS, false)
                   ? KIND_RETURN
                   : KIND_INTERPRET;
    }
}

/* The stack pointer itself by another name than its own: what is popped is not all of it. */
static bool is_part_of_sp(const Trans *t, ZydisRegister reg)
{
    return trans_guest_reg(reg) == R_RSP && reg != trans_sp_register(t);
}

static TransKind classify_stack(const Trans *t, const TransInsn *ti)
{
    const TransOperand *op = &ti->ops[0];
    bool push = ti->zi.mnemonic == ZYDIS_MNEMONIC_PUSH;

    if (!unit_fits(t, ti) || !trans_segment_fits(t, ZYDIS_REGISTER_SS, push)) {
        return KIND_INTERPRET;
    }
    switch (ti->zi.mnemonic) {
    case ZYDIS_MNEMONIC_PUSH:
        return op->type == ZYDIS_OPERAND_TYPE_IMMEDIATE ||
                       (op->type == ZYDIS_OPERAND_TYPE_MEMORY &&
                        op->size == trans_unit(t, ti) * 8 &&
                        trans_segment_fits(t, op->mem.segment, false)) ||
                       (op->type == ZYDIS_OPERAND_TYPE_REGISTER && trans_is_gpr(op->reg.value))
                   ? KIND_PUSH
                   : KIND_INTERPRET;
    case ZYDIS_MNEMONIC_POP:
        return op->type == ZYDIS_OPERAND_TYPE_REGISTER && trans_is_gpr(op->reg.value) &&
                       !is_part_of_sp(t, op->reg.value)
                   ? KIND_POP
                   : KIND_INTERPRET;
    default:
        return trans_classify_system(t, ti);
    }
}

static TransKind classify_x87_control(Trans *t, TransInsn *ti)
{
    if (!(t->mode & MODE_X87) || !operands_fit(t, ti)) {
        return KIND_INTERPRET;
    }
    ti->x87 = true;
    return ti->zi.mnemonic == ZYDIS_MNEMONIC_FLDCW ? KIND_FLDCW : KIND_FNINIT;
}

static TransKind classify(Trans *t, TransInsn *ti)
{
    TransKind kind;

    ti->unlocked = trans_leaves_lock_out(t, ti);
    if (insn_is_undefined(ti->insn)) {
        return KIND_INTERPRET;
    }
    switch (ti->zi.mnemonic) {
    case ZYDIS_MNEMONIC_LEA:
        return KIND_LEA;
    case ZYDIS_MNEMONIC_LEAVE:
        return unit_fits(t, ti) && ti->zi.address_width == trans_sp_width(t) &&
                       trans_segment_fits(t, ZYDIS_REGISTER_SS, false)
                   ? KIND_LEAVE
                   : KIND_INTERPRET;
    case ZYDIS_MNEMONIC_DIV:
    case ZYDIS_MNEMONIC_IDIV:
        return ti->zi.operand_width >= 32 && operands_fit(t, ti) && ti->zi.opcode == 0xf7
                   ? KIND_DIVIDE
                   : KIND_INTERPRET;
    case ZYDIS_MNEMONIC_NOP:
        return KIND_NOTHING;
    case ZYDIS_MNEMONIC_FWAIT: /* nothing can be pending */
        return t->mode & MODE_X87 ? KIND_NOTHING : KIND_INTERPRET;
    case ZYDIS_MNEMONIC_PAUSE:
        if (t->jit->counting || t->jit->turns) {
            return KIND_INTERPRET; /* it gives the turn away */
        }
        break;
    case ZYDIS_MNEMONIC_FLDCW:
    case ZYDIS_MNEMONIC_FNINIT:
        return classify_x87_control(t, ti);
    default:
        break;
    }
    switch (ti->zi.meta.category) {
    case ZYDIS_CATEGORY_NOP:
    case ZYDIS_CATEGORY_WIDENOP:
    case ZYDIS_CATEGORY_PREFETCH:
        return KIND_NOTHING;
    case ZYDIS_CATEGORY_CALL:
    case ZYDIS_CATEGORY_RET:
    case ZYDIS_CATEGORY_UNCOND_BR:
    case ZYDIS_CATEGORY_COND_BR:
        return classify_branch(t, ti);
    case ZYDIS_CATEGORY_PUSH:
    case ZYDIS_CATEGORY_POP:
        return classify_stack(t, ti);
    case ZYDIS_CATEGORY_STRINGOP:
        return KIND_STRING;
    default:
        kind = classify_copy(t, ti);
        return kind == KIND_INTERPRET ? trans_classify_system(t, ti) : kind;
    }
}

/* --- flags ------------------------------------------------------------------------- */

static uint8_t arithmetic(uint32_t flags)
{
    return (flags & 0xd5) | (flags & ZYDIS_CPUFLAG_OF ? AF_OF : 0);
}

static bool is_shift(const TransInsn *ti)
{
    switch (ti->zi.mnemonic) {
    case ZYDIS_MNEMONIC_SHL: case ZYDIS_MNEMONIC_SHR: case ZYDIS_MNEMONIC_SAR:
    case ZYDIS_MNEMONIC_ROL: case ZYDIS_MNEMONIC_ROR: case ZYDIS_MNEMONIC_RCL:
    case ZYDIS_MNEMONIC_RCR: case ZYDIS_MNEMONIC_SHLD: case ZYDIS_MNEMONIC_SHRD:
        return true;
    default:
        return false;
    }
}

/* Shifts and rotates by zero leave the flags alone. The count is the last visible operand. */
bool trans_may_keep_flags(const TransInsn *ti)
{
    const TransOperand *count = &ti->ops[ti->zi.operand_count_visible - 1];

    return ti->counts && (count->type != ZYDIS_OPERAND_TYPE_IMMEDIATE ||
                          !(count->imm.value.u & (ti->zi.operand_width == 64 ? 63 : 31)));
}

static void flags_of(const Trans *t, TransInsn *ti)
{
    const ZydisAccessedFlags *f = ti->zi.cpu_flags;

    if (ti->kind == KIND_INTERPRET || (ti->kind == KIND_STRING && f)) {
        ti->use = AF_ALL;
        return;
    }
    if (ti->kind == KIND_NOTHING || !f) {
        return;
    }
    ti->use = arithmetic(f->tested);
    ti->defines = arithmetic(f->modified | f->set_0 | f->set_1);
    ti->undefines = arithmetic(f->undefined);
    ti->kill = ti->defines | (t->exact ? 0 : ti->undefines);
    ti->write = ti->defines | ti->undefines;
    ti->counts = is_shift(ti);
}

/* --- registers ------------------------------------------------------------------------- */

static void note_registers(TransInsn *ti)
{
    for (unsigned i = 0; i < ti->zi.operand_count; i++) {
        const TransOperand *op = &ti->ops[i];
        unsigned guest;

        if (op->type != ZYDIS_OPERAND_TYPE_REGISTER || !trans_is_gpr(op->reg.value)) {
            continue;
        }
        guest = trans_guest_reg(op->reg.value);
        if (op->actions & ZYDIS_OPERAND_ACTION_MASK_WRITE) {
            ti->writes |= 1u << guest;
        }
        if (i < ti->zi.operand_count_visible && trans_host_reg(guest) == H_NONE) {
            ti->spilled++;
        }
    }
}

/* True if the stack pointer is an operand, other than as the base of an address of its width. */
static bool names_sp(const Trans *t, const TransInsn *ti)
{
    for (unsigned i = 0; i < ti->zi.operand_count_visible; i++) {
        const TransOperand *op = &ti->ops[i];

        if (op->type == ZYDIS_OPERAND_TYPE_REGISTER && trans_is_gpr(op->reg.value) &&
            trans_guest_reg(op->reg.value) == R_RSP) {
            return true;
        }
        if (op->type == ZYDIS_OPERAND_TYPE_MEMORY && op->mem.base == ZYDIS_REGISTER_ESP &&
            trans_sp_register(t) == ZYDIS_REGISTER_SP) {
            return true;
        }
    }
    return false;
}

/* --- all of it ------------------------------------------------------------------------- */

void trans_classify(Trans *t, TransInsn *ti)
{
    ti->kind = KIND_INTERPRET;
    ti->mem = -1;
    ti->vec = VEC_NONE;
    ti->x87 = ti->counts = ti->unlocked = ti->names_sp = ti->verbatim = false;
    ti->writes = ti->spilled = 0;
    ti->use = ti->kill = ti->write = ti->defines = ti->undefines = 0;
    if (ti->zi.mnemonic != ZYDIS_MNEMONIC_INVALID) {
        note_registers(ti);
        ti->kind = classify(t, ti);
        ti->names_sp = names_sp(t, ti);
        ti->verbatim = trans_stays_verbatim(ti);
    }
    if (ti->kind == KIND_INTERPRET || ti->kind == KIND_NOTHING) {
        ti->vec = VEC_NONE;
    }
    flags_of(t, ti);
}
