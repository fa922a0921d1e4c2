/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Before code is written for a block: how each instruction will be translated, which arithmetic
 * flags are alive where, and which stack accesses can share a check.
 */
#include "accel/tcg/x87.h"
#include "target-i386/interp/decode.h"

#define GROUP_SPAN 512 /* bytes that one check may serve */

/* --- classification --------------------------------------------------------------- */

static unsigned encoding_kind(const ZydisDecodedInstruction *zi)
{
    return zi->encoding == ZYDIS_INSTRUCTION_ENCODING_EVEX ? VEC_AVX512
           : zi->encoding == ZYDIS_INSTRUCTION_ENCODING_VEX ? VEC_AVX : VEC_SSE;
}

static unsigned vector_kind(const ZydisDecodedInstruction *zi, ZydisRegisterClass class)
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
static bool is_float(const ZydisDecodedOperand *op)
{
    return op->element_type == ZYDIS_ELEMENT_TYPE_FLOAT16 ||
           op->element_type == ZYDIS_ELEMENT_TYPE_FLOAT32 ||
           op->element_type == ZYDIS_ELEMENT_TYPE_FLOAT64;
}

/* An operand register that the host's copy of the instruction can use. */
static bool register_fits(const ZydisDecodedOperand *op)
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
static bool memory_fits(const Trans *t, const TransInsn *ti, const ZydisDecodedOperand *op)
{
    return op->mem.type == ZYDIS_MEMOP_TYPE_MEM && ti->mem < 0 && op->size >= 8 &&
           (op->encoding == ZYDIS_OPERAND_ENCODING_MODRM_RM ||
            (op->encoding == ZYDIS_OPERAND_ENCODING_DISP16_32_64 && !trans_code64(t))) &&
           trans_segment_fits(t, op->mem.segment, op->actions & ZYDIS_OPERAND_ACTION_MASK_WRITE);
}

static bool operands_fit(const Trans *t, TransInsn *ti)
{
    for (unsigned i = 0; i < ti->zi.operand_count; i++) {
        const ZydisDecodedOperand *op = &ti->ops[i];
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

static bool category_copies(const ZydisDecodedInstruction *zi)
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
    const ZydisDecodedOperand *op = &ti->ops[0];
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
    const ZydisDecodedOperand *op = &ti->ops[0];
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

/* Shifts and rotates by zero leave the flags alone. */
static bool may_keep_flags(const TransInsn *ti)
{
    const ZydisDecodedOperand *count;

    switch (ti->zi.mnemonic) {
    case ZYDIS_MNEMONIC_SHL: case ZYDIS_MNEMONIC_SHR: case ZYDIS_MNEMONIC_SAR:
    case ZYDIS_MNEMONIC_ROL: case ZYDIS_MNEMONIC_ROR: case ZYDIS_MNEMONIC_RCL:
    case ZYDIS_MNEMONIC_RCR:
        count = &ti->ops[1];
        break;
    case ZYDIS_MNEMONIC_SHLD: case ZYDIS_MNEMONIC_SHRD:
        count = &ti->ops[2];
        break;
    default:
        return false;
    }
    return count->type != ZYDIS_OPERAND_TYPE_IMMEDIATE ||
           !(count->imm.value.u & (ti->zi.operand_width == 64 ? 63 : 31));
}

static void flags_of(Trans *t, TransInsn *ti)
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
    ti->kill = arithmetic(f->modified | f->set_0 | f->set_1 | (t->exact ? 0 : f->undefined));
    ti->write = arithmetic(f->modified | f->set_0 | f->set_1 | f->undefined);
    if (may_keep_flags(ti)) {
        ti->kill = 0;
    }
    t->undefined = (t->undefined & ~arithmetic(f->modified | f->set_0 | f->set_1)) |
                   arithmetic(f->undefined);
}

static void liveness(Trans *t)
{
    uint8_t live = AF_ALL;

    for (int i = t->count - 1; i >= 0; i--) {
        TransInsn *ti = &t->insns[i];

        ti->live_out = live;
        live = ti->use | (live & ~ti->kill);
        if (t->exact) {
            live = AF_ALL;
        }
        ti->live_in = live;
    }
}

/* --- stack groups ---------------------------------------------------------------------- */

/* True if an access by @segment is one to the stack. */
static bool is_stack_segment(const Trans *t, ZydisRegister segment)
{
    return trans_code64(t) ? segment != ZYDIS_REGISTER_FS && segment != ZYDIS_REGISTER_GS
                           : segment == ZYDIS_REGISTER_SS;
}

/* Where the instruction's stack access lies, from the stack pointer before it. */
static bool stack_access(const Trans *t, const TransInsn *ti, int64_t *disp, unsigned *size,
                         bool *write)
{
    const ZydisDecodedOperand *op;
    unsigned unit = trans_unit(t, ti);

    switch (ti->kind) {
    case KIND_PUSH:
    case KIND_PUSHF:
    case KIND_CALL:
    case KIND_CALL_INDIRECT:
        *disp = -(int)unit;
        *size = unit;
        *write = true;
        return true;
    case KIND_POP:
    case KIND_RETURN:
        *disp = 0;
        *size = unit;
        *write = false;
        return true;
    case KIND_COPY:
    case KIND_DIVIDE:
    case KIND_FLDCW:
        if (ti->mem < 0) {
            return false;
        }
        op = &ti->ops[ti->mem];
        *disp = op->mem.disp.value;
        *size = op->size / 8;
        *write = op->actions & ZYDIS_OPERAND_ACTION_MASK_WRITE;
        return op->mem.base == trans_sp_register(t) && op->mem.index == ZYDIS_REGISTER_NONE &&
               is_stack_segment(t, op->mem.segment) &&
               ABS(*disp) < GROUP_SPAN * 4 && !trans_wants_alignment(ti, *size);
    default:
        return false;
    }
}

static bool writes_rsp(const TransInsn *ti)
{
    return ti->writes >> R_RSP & 1;
}

/* How the instruction moves the stack pointer; false if that is not known now. */
static bool stack_step(const Trans *t, const TransInsn *ti, int64_t *step)
{
    const ZydisDecodedOperand *ops = ti->ops;
    ZydisRegister sp = trans_sp_register(t);

    *step = 0;
    switch (ti->kind) {
    case KIND_PUSH:
    case KIND_PUSHF:
    case KIND_CALL:
    case KIND_CALL_INDIRECT:
        *step = -(int)trans_unit(t, ti);
        return true;
    case KIND_POP:
        *step = trans_unit(t, ti);
        return trans_guest_reg(ops[0].reg.value) != R_RSP;
    case KIND_LEAVE:
    case KIND_VIEW: /* the checks are void, if not the stack pointer */
        return false;
    case KIND_LEA:
        if (ops[0].reg.value == sp && ops[1].mem.base == sp &&
            ops[1].mem.index == ZYDIS_REGISTER_NONE) {
            *step = ops[1].mem.disp.value;
            return true;
        }
        return !writes_rsp(ti);
    case KIND_COPY:
        if (ops[0].type == ZYDIS_OPERAND_TYPE_REGISTER &&
            ops[0].reg.value == sp && ops[1].type == ZYDIS_OPERAND_TYPE_IMMEDIATE) {
            if (ti->zi.mnemonic == ZYDIS_MNEMONIC_SUB) {
                *step = -ops[1].imm.value.s;
                return true;
            }
            if (ti->zi.mnemonic == ZYDIS_MNEMONIC_ADD) {
                *step = ops[1].imm.value.s;
                return true;
            }
        }
        return !writes_rsp(ti);
    default:
        return !writes_rsp(ti);
    }
}

/* Adds an access to @group if it still fits. */
static bool group_extend(StackGroup *group, int64_t low, int64_t high, bool write, unsigned insn)
{
    int64_t l = MIN(group->low, low), h = MAX(group->high, high);

    if (h - l > GROUP_SPAN) {
        return false;
    }
    group->low = l;
    group->high = h;
    group->write |= write;
    group->last = insn;
    return true;
}

/*
 * Checks clobber flags: where those are alive at the first access, an earlier place is taken at
 * which they are not.
 */
static void place_checks(Trans *t)
{
    for (int i = 0; i < t->group_count; i++) {
        StackGroup *group = &t->groups[i];

        for (int at = group->first; at >= group->epoch; at--) {
            const TransInsn *ti = &t->insns[at];

            if (trans_is_outside(ti) || (i > 0 && t->groups[i - 1].last >= at)) {
                break;
            }
            if (!ti->live_in) {
                group->first = at;
                break;
            }
        }
        t->insns[group->first].check = i;
    }
}

static void stack_groups(Trans *t)
{
    int64_t sp = 0, step, disp;
    int group = -1, epoch = 0;

    for (unsigned i = 0; i < t->count; i++) {
        TransInsn *ti = &t->insns[i];
        unsigned size;
        bool write;

        ti->sp = sp;
        ti->group = -1;
        ti->check = -1;
        if (!(t->tb->no_groups & JIT_NO_STACK) &&
            stack_access(t, ti, &disp, &size, &write)) {
            int64_t low = sp + disp, high = low + size;

            if (group < 0 || !group_extend(&t->groups[group], low, high, write, i)) {
                group = t->group_count++;
                t->groups[group] = (StackGroup){low, high, write, epoch, i, i};
            }
            ti->group = group;
        }
        if (stack_step(t, ti, &step)) {
            sp += step;
        } else {
            sp = 0;
            group = -1;
            epoch = i + 1;
        }
    }
    place_checks(t);
}

/* --- address groups ------------------------------------------------------------------- */

bool trans_writes_register(const TransInsn *ti, ZydisRegister reg)
{
    return trans_is_gpr(reg) && ti->writes >> trans_guest_reg(reg) & 1;
}

/*
 * An operand whose check others may share: in full addresses from a register, unaligned. What lies
 * on one page does not wrap, however wide addresses are.
 */
static bool groupable(const Trans *t, const TransInsn *ti)
{
    const ZydisDecodedOperand *op = &ti->ops[ti->mem];

    return op->mem.base != ZYDIS_REGISTER_NONE && op->mem.base != ZYDIS_REGISTER_RIP &&
           (ti->zi.address_width == 64 || !trans_code64(t)) &&
           op->mem.segment != ZYDIS_REGISTER_FS && op->mem.segment != ZYDIS_REGISTER_GS &&
           ABS(op->mem.disp.value) < (1 << 30) &&
           !trans_wants_alignment(ti, op->size / 8) && trans_spilled_operands(ti) < 2;
}

/* Where the operand lies, from what its registers held at the block's start. */
static int64_t operand_place(const TransInsn *ti)
{
    return ti->ops[ti->mem].mem.disp.value + ti->shift;
}

/* Adds the operand of instruction @insn to @group if it is of the same kind and near. */
static bool address_join(AddressGroup *group, TransInsn *ti, unsigned insn)
{
    const ZydisDecodedOperand *op = &ti->ops[ti->mem];
    int64_t low = MIN(group->low, operand_place(ti));
    int64_t high = MAX(group->high, operand_place(ti) + op->size / 8);

    if (group->segment != op->mem.segment || group->base != op->mem.base ||
        group->index != op->mem.index || group->scale != op->mem.scale || high - low > GROUP_SPAN) {
        return false;
    }
    group->low = low;
    group->high = high;
    group->write |= (op->actions & ZYDIS_OPERAND_ACTION_MASK_WRITE) != 0;
    group->last = insn;
    group->members++;
    return true;
}

static void address_new(Trans *t, TransInsn *ti, unsigned insn)
{
    const ZydisDecodedOperand *op = &ti->ops[ti->mem];

    ti->address = t->address_count++;
    t->addresses[ti->address] = (AddressGroup){
        .segment = op->mem.segment,
        .base = op->mem.base,
        .index = op->mem.index,
        .scale = op->mem.scale,
        .write = op->actions & ZYDIS_OPERAND_ACTION_MASK_WRITE,
        .first = insn,
        .last = insn,
        .members = 1,
        .pointer = H_NONE,
        .ready = false,
        .low = operand_place(ti),
        .high = operand_place(ti) + op->size / 8,
    };
}

bool trans_register_step(const TransInsn *ti, ZydisRegister reg, int64_t *step)
{
    const ZydisDecodedOperand *ops = ti->ops;

    if (ti->kind == KIND_LEA) {
        *step = ops[1].mem.disp.value;
        return ops[0].reg.value == reg && ops[1].mem.base == reg &&
               ops[1].mem.index == ZYDIS_REGISTER_NONE;
    }
    if (ti->kind != KIND_COPY || ops[0].type != ZYDIS_OPERAND_TYPE_REGISTER ||
        ops[0].reg.value != reg) {
        return false;
    }
    switch (ti->zi.mnemonic) {
    case ZYDIS_MNEMONIC_INC: *step = 1; return true;
    case ZYDIS_MNEMONIC_DEC: *step = -1; return true;
    case ZYDIS_MNEMONIC_ADD: *step = ops[1].imm.value.s; break;
    case ZYDIS_MNEMONIC_SUB: *step = -ops[1].imm.value.s; break;
    default: return false;
    }
    return ops[1].type == ZYDIS_OPERAND_TYPE_IMMEDIATE;
}

/* What register operand @reg of an address moved by, in all. */
static int64_t moved_by(const int64_t *moved, ZydisRegister reg)
{
    return reg == ZYDIS_REGISTER_NONE ? 0 : moved[trans_guest_reg(reg)];
}

/* Follows @reg over the instruction; false if its value is another one now. */
static bool follow(const TransInsn *ti, ZydisRegister reg, int64_t *moved)
{
    int64_t step;

    if (!trans_writes_register(ti, reg)) {
        return true;
    }
    if (!trans_register_step(ti, reg, &step) || ABS(step) > GROUP_SPAN) {
        return false;
    }
    moved[trans_guest_reg(reg)] += step;
    return true;
}

/* Each register once, by all names that addresses have for it. */
static void follow_all(const Trans *t, const TransInsn *ti, int64_t *moved)
{
    ZydisRegister first = trans_code64(t) ? ZYDIS_REGISTER_RAX : ZYDIS_REGISTER_AX;
    ZydisRegister last = trans_code64(t) ? ZYDIS_REGISTER_R15 : ZYDIS_REGISTER_EDI;

    for (ZydisRegister reg = first; reg <= last; reg++) {
        follow(ti, reg, moved);
    }
}

static bool holds(const TransInsn *ti, ZydisRegister reg)
{
    int64_t ignored[R_COUNT] = {0};

    return follow(ti, reg, ignored);
}

static void find_addresses(Trans *t)
{
    int open[4] = {-1, -1, -1, -1}; /* the groups that may still grow */
    int64_t moved[R_COUNT] = {0};
    unsigned next = 0;

    t->address_count = 0;
    for (unsigned i = 0; i < t->count; i++) {
        TransInsn *ti = &t->insns[i];
        bool joined = false;

        ti->address = -1;
        if (ti->mem >= 0) {
            const ZydisDecodedOperandMem *mem = &ti->ops[ti->mem].mem;

            ti->shift = moved_by(moved, mem->index) * mem->scale;
            if (trans_is_gpr(mem->base)) {
                ti->shift += moved_by(moved, mem->base);
            }
        }
        if (!(t->tb->no_groups & JIT_NO_ADDRESS) && ti->mem >= 0 && ti->group < 0 &&
            ti->kind == KIND_COPY && groupable(t, ti)) {
            for (unsigned g = 0; g < G_N_ELEMENTS(open) && !joined; g++) {
                if (open[g] >= 0 && address_join(&t->addresses[open[g]], ti, i)) {
                    ti->address = open[g];
                    joined = true;
                }
            }
            if (!joined) {
                address_new(t, ti, i);
                open[next++ % G_N_ELEMENTS(open)] = ti->address;
            }
        }
        for (unsigned g = 0; g < G_N_ELEMENTS(open); g++) {
            if (open[g] >= 0 && (trans_is_outside(ti) ||
                                 !holds(ti, t->addresses[open[g]].base) ||
                                 !holds(ti, t->addresses[open[g]].index))) {
                open[g] = -1;
            }
        }
        if (ti->writes && (ti->write || ti->kind == KIND_LEA)) {
            follow_all(t, ti, moved);
        }
    }
}

/* True if the code for @ti takes r9 for itself. */
static bool takes_pointer(const Trans *t, const TransInsn *ti)
{
    switch (ti->kind) {
    case KIND_NOTHING:
        return false;
    case KIND_LEA:
        return trans_lea_temps(t, ti) > 1;
    case KIND_PUSH:
        return ti->group < 0 || ti->ops[0].type == ZYDIS_OPERAND_TYPE_MEMORY;
    case KIND_PUSHF:
    case KIND_POP:
        return ti->group < 0;
    case KIND_COPY:
        if (trans_spilled_operands(ti) > 1) {
            return true;
        }
        return ti->mem >= 0 && ti->group < 0 &&
               (ti->address < 0 || t->addresses[ti->address].pointer == H_NONE);
    default:
        return true;
    }
}

static bool r9_is_free(const Trans *t, const AddressGroup *group)
{
    for (unsigned i = group->first; i <= group->last; i++) {
        const TransInsn *ti = &t->insns[i];
        bool member = ti->address >= 0 && &t->addresses[ti->address] == group;

        if (member ? trans_spilled_operands(ti) > 1 : takes_pointer(t, ti)) {
            return false;
        }
    }
    return true;
}

static bool overlaps(const AddressGroup *group, unsigned first, unsigned last)
{
    return group->first <= last && first <= group->last;
}

static bool pointer_is_free(const Trans *t, const AddressGroup *group, unsigned pointer)
{
    for (int i = 0; i < t->address_count; i++) {
        const AddressGroup *other = &t->addresses[i];

        if (other->pointer == pointer && overlaps(group, other->first, other->last)) {
            return false;
        }
    }
    for (int i = 0; pointer == H_R11 && i < t->group_count; i++) {
        if (overlaps(group, t->groups[i].first, t->groups[i].last)) {
            return false;
        }
    }
    return true;
}

/* Gives the groups that save checks a register each, as far as there are any. */
static void place_addresses(Trans *t)
{
    for (int i = 0; i < t->address_count; i++) {
        AddressGroup *group = &t->addresses[i];

        if (group->members < 2) {
            continue;
        }
        if (pointer_is_free(t, group, H_R11)) {
            group->pointer = H_R11;
        } else if (pointer_is_free(t, group, H_R9) && r9_is_free(t, group)) {
            group->pointer = H_R9;
        }
    }
}

/* --- all of it --------------------------------------------------------------------------- */

static void note_registers(TransInsn *ti)
{
    for (unsigned i = 0; i < ti->zi.operand_count; i++) {
        const ZydisDecodedOperand *op = &ti->ops[i];
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

/* All but the list of prefixes, a third of it, which nobody here reads. */
static void copy_instruction(ZydisDecodedInstruction *to, const ZydisDecodedInstruction *from)
{
    enum {
        HEAD = offsetof(ZydisDecodedInstruction, raw.prefixes),
        TAIL = offsetof(ZydisDecodedInstruction, raw.encoding2),
    };

    memcpy(to, from, HEAD);
    memcpy((char *)to + TAIL, (const char *)from + TAIL, sizeof(*to) - TAIL);
}

/* What the interpreter's decoder says of the instruction; false if it is another one by now. */
static bool decode(Trans *t, TransInsn *ti)
{
    InsnSource src;

    if (ZYAN_SUCCESS(decoder_read(code_cache_decoder(t->cpu->code), t->cpu, ti->bytes, 15,
                                  &src))) {
        copy_instruction(&ti->zi, src.zi);
        memcpy(ti->ops, src.ops, src.zi->operand_count * sizeof(ti->ops[0]));
        note_registers(ti);
        return src.zi->length == ti->insn->len;
    }
    memset(&ti->zi, 0, sizeof(ti->zi));
    ti->zi.length = ti->insn->len;
    return true;
}

bool trans_scan(Trans *t)
{
    unsigned offset = 0;

    t->count = t->block->count;
    t->undefined = 0;
    code_block_bytes(t->cpu, t->block, t->bytes);
    for (unsigned i = 0; i < t->count; i++) {
        TransInsn *ti = &t->insns[i];

        ti->insn = &t->block->insns[i];
        ti->bytes = t->bytes + offset;
        ti->offset = offset;
        ti->mem = -1;
        ti->vec = VEC_NONE;
        ti->x87 = false;
        ti->writes = ti->spilled = 0;
        ti->use = ti->kill = ti->write = 0;
        ti->kind = KIND_INTERPRET;
        if (!decode(t, ti)) {
            return false; /* the bytes have changed: the block is about to be dropped */
        }
        if (ti->zi.mnemonic != ZYDIS_MNEMONIC_INVALID) {
            ti->kind = trans_is_patched(t, i) ? KIND_PATCHED : classify(t, ti);
        }
        if (ti->kind == KIND_INTERPRET || ti->kind == KIND_NOTHING) {
            ti->vec = VEC_NONE;
        }
        t->tb->vectors |= ti->vec != VEC_NONE || ti->x87;
        flags_of(t, ti);
        t->tb->insns[i + 1].undefined = t->undefined;
        offset += ti->insn->len;
    }
    liveness(t);
    stack_groups(t);
    trans_plan_hoist(t);
    if (t->rounds) {
        t->tb->no_groups |= JIT_NO_ADDRESS;
    }
    find_addresses(t);
    place_addresses(t);
    return offset == t->block->bytes;
}
