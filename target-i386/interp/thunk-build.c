/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Analysis of a decoded instruction's operands and its encoding in canonical registers (SDM 2A
 * chapter 2): vector registers keep their numbers, general ones go by the field that encodes them.
 */
#include "target-i386/interp/thunk-build.h"

#include <string.h>

/* --- the instruction in canonical registers ---------------- */

static RegFile reg_file(ZydisRegister reg)
{
    switch (ZydisRegisterGetClass(reg)) {
    case ZYDIS_REGCLASS_GPR8:
    case ZYDIS_REGCLASS_GPR16:
    case ZYDIS_REGCLASS_GPR32:
    case ZYDIS_REGCLASS_GPR64:
        return FILE_GPR;
    case ZYDIS_REGCLASS_XMM:
    case ZYDIS_REGCLASS_YMM:
    case ZYDIS_REGCLASS_ZMM:
        return FILE_VEC;
    case ZYDIS_REGCLASS_MMX:
        return FILE_MMX;
    case ZYDIS_REGCLASS_MASK:
        return FILE_MASK;
    default:
        return FILE_NONE;
    }
}

static uint8_t gpr_for_field(const ZydisDecodedOperand *op, uint8_t guest)
{
    switch (op->encoding) {
    case ZYDIS_OPERAND_ENCODING_MODRM_REG:
        return HOST_REG_FIELD;
    case ZYDIS_OPERAND_ENCODING_MODRM_RM:
        return HOST_RM_FIELD;
    case ZYDIS_OPERAND_ENCODING_NDSNDD:
        return HOST_VVVV_FIELD;
    default:
        return guest; /* implicit */
    }
}

static void place_field(ThunkBuild *build, const ZydisDecodedOperand *op, uint8_t host)
{
    switch (op->encoding) {
    case ZYDIS_OPERAND_ENCODING_MODRM_REG:
        build->reg = host;
        break;
    case ZYDIS_OPERAND_ENCODING_MODRM_RM:
        build->rm = host;
        build->has_rm_reg = true;
        break;
    case ZYDIS_OPERAND_ENCODING_NDSNDD:
        build->vvvv = host;
        break;
    case ZYDIS_OPERAND_ENCODING_IS4:
        build->is4 = host;
        build->has_is4 = true;
        break;
    default:
        break;
    }
}

static void note_written(ThunkBuild *build, const ThunkOperand *op)
{
    Thunk *thunk = &build->thunk;

    switch (op->file) {
    case FILE_VEC:
        if (!thunk->vec_written) {
            thunk->vec_written = true;
            thunk->vec_dest = op->guest;
        }
        break;
    case FILE_GPR:
        thunk->gpr_dest = op->guest;
        break;
    case FILE_MMX:
        thunk->mmx_written |= 1u << op->guest;
        break;
    case FILE_MASK:
        thunk->mask_dest = op->guest;
        break;
    default:
        break;
    }
}

/* False for operands that no thunk can carry: the stack and argument registers used implicitly. */
static bool add_register(ThunkBuild *build, const ZydisDecodedOperand *op)
{
    RegFile file = reg_file(op->reg.value);
    bool legacy = build->src->zi->encoding == ZYDIS_INSTRUCTION_ENCODING_LEGACY;
    bool explicit = op->visibility != ZYDIS_OPERAND_VISIBILITY_HIDDEN;
    ThunkOperand *out = &build->ops[build->op_count];

    if (file == FILE_NONE) {
        return true;
    }
    out->file = file;
    out->bits = out->load_bits = ZydisRegisterGetWidth(build->src->zi->machine_mode, op->reg.value);
    out->guest = out->host = ZydisRegisterGetId(op->reg.value);
    out->load = op->actions & (ZYDIS_OPERAND_ACTION_MASK_READ | ZYDIS_OPERAND_ACTION_CONDWRITE);
    out->store = op->actions & ZYDIS_OPERAND_ACTION_MASK_WRITE;
    out->load |= legacy && file != FILE_GPR; /* parts of the register may stay */
    if (file == FILE_GPR) {
        out->host = explicit ? gpr_for_field(op, out->guest) : out->guest;
        build->has_gpr |= explicit;
        if (out->host != HOST_REG_FIELD && out->host != HOST_RM_FIELD &&
            out->host != HOST_VVVV_FIELD && out->host > R_RDX) {
            return false;
        }
    }
    build->thunk.mmx |= file == FILE_MMX;
    if (out->store) {
        note_written(build, out);
    }
    if (explicit) {
        place_field(build, op, out->host);
    }
    build->op_count++;
    return true;
}

/* By exception class, but for those that use one element of memory for several results. */
static bool mask_suppresses(const ZydisDecodedInstruction *zi)
{
    switch (zi->mnemonic) {
    case ZYDIS_MNEMONIC_VDBPSADBW:
    case ZYDIS_MNEMONIC_VGF2P8AFFINEQB:
    case ZYDIS_MNEMONIC_VGF2P8AFFINEINVQB:
    case ZYDIS_MNEMONIC_VCVTNE2PS2BF16:
        return false;
    default:
        break;
    }
    switch (zi->meta.exception_class) {
    case ZYDIS_EXCEPTION_CLASS_E1:
    case ZYDIS_EXCEPTION_CLASS_E2:
    case ZYDIS_EXCEPTION_CLASS_E3:
    case ZYDIS_EXCEPTION_CLASS_E4:
    case ZYDIS_EXCEPTION_CLASS_E5:
    case ZYDIS_EXCEPTION_CLASS_E6:
    case ZYDIS_EXCEPTION_CLASS_E10:
    case ZYDIS_EXCEPTION_CLASS_E11:
        return true;
    default:
        return false;
    }
}

/*
 * Elements that the mask counts: those of the result, or of the memory operand if they are fewer
 * (conversions) or the result is a mask itself.
 */
static unsigned mask_length(const InsnSource *src, const ZydisDecodedOperand *memory)
{
    const ZydisDecodedInstruction *zi = src->zi;
    const ZydisDecodedOperand *result = &src->ops[0];
    unsigned of_memory = memory->element_count, of_result = result->element_count;

    if (zi->meta.isa_set == ZYDIS_ISA_SET_AVX512F_SCALAR ||
        zi->meta.isa_set == ZYDIS_ISA_SET_AVX512DQ_SCALAR) {
        return 1;
    }
    if (zi->raw.evex.b) {
        of_memory = zi->avx.vector_length / memory->element_size;
    } else if (zi->avx.broadcast.is_static && zi->avx.broadcast.mode) {
        return of_result;
    }
    if (result->type == ZYDIS_OPERAND_TYPE_REGISTER && reg_file(result->reg.value) == FILE_MASK) {
        return of_memory;
    }
    return MIN(of_memory, of_result);
}

/* A masked memory operand touches only the elements whose mask bit is set (SDM 1, 15.6.4). */
static void note_mask(ThunkBuild *build, const ZydisDecodedOperand *op)
{
    const ZydisDecodedInstruction *zi = build->src->zi;
    Thunk *thunk = &build->thunk;

    if (zi->encoding != ZYDIS_INSTRUCTION_ENCODING_EVEX || !zi->raw.evex.aaa ||
        !(thunk->mem_write || mask_suppresses(zi))) {
        return;
    }
    thunk->mask = zi->raw.evex.aaa;
    thunk->mask_faults = !mask_suppresses(zi);
    thunk->mask_elem = op->element_size / 8;
    thunk->mask_packed =
        zi->meta.category == ZYDIS_CATEGORY_COMPRESS || zi->meta.category == ZYDIS_CATEGORY_EXPAND;
    thunk->mask_bits = mask_length(build->src, op);
}

/*
 * Legacy vector instructions want 16-byte operands aligned, VEX and EVEX ones only if their name
 * says so (SDM 1, 14.9; SDM 2A tables 2-18 to 2-21).
 */
static unsigned mem_alignment(const ZydisDecodedInstruction *zi, unsigned size)
{
    switch (zi->mnemonic) {
    case ZYDIS_MNEMONIC_MOVUPS:
    case ZYDIS_MNEMONIC_MOVUPD:
    case ZYDIS_MNEMONIC_MOVDQU:
    case ZYDIS_MNEMONIC_LDDQU:
    case ZYDIS_MNEMONIC_PCMPISTRI:
    case ZYDIS_MNEMONIC_PCMPISTRM:
    case ZYDIS_MNEMONIC_PCMPESTRI:
    case ZYDIS_MNEMONIC_PCMPESTRM:
        return 1;
    case ZYDIS_MNEMONIC_VMOVAPS:
    case ZYDIS_MNEMONIC_VMOVAPD:
    case ZYDIS_MNEMONIC_VMOVDQA:
    case ZYDIS_MNEMONIC_VMOVDQA32:
    case ZYDIS_MNEMONIC_VMOVDQA64:
    case ZYDIS_MNEMONIC_VMOVNTDQ:
    case ZYDIS_MNEMONIC_VMOVNTDQA:
    case ZYDIS_MNEMONIC_VMOVNTPS:
    case ZYDIS_MNEMONIC_VMOVNTPD:
        return size;
    default:
        return zi->encoding == ZYDIS_INSTRUCTION_ENCODING_LEGACY && size == 16 ? 16 : 1;
    }
}

static bool add_memory(ThunkBuild *build, const ZydisDecodedOperand *op)
{
    Thunk *thunk = &build->thunk;

    if (op->encoding != ZYDIS_OPERAND_ENCODING_MODRM_RM || op->mem.type != ZYDIS_MEMOP_TYPE_MEM ||
        op->size > 64 * 8) {
        return false;
    }
    build->mem = op;
    thunk->mem_size = op->size / 8;
    thunk->mem_read = op->actions & ZYDIS_OPERAND_ACTION_MASK_READ;
    thunk->mem_write = op->actions & ZYDIS_OPERAND_ACTION_MASK_WRITE;
    thunk->mem_align = mem_alignment(build->src->zi, thunk->mem_size);
    note_mask(build, op);
    return true;
}

static bool is_mmx_conversion(ZydisMnemonic mnemonic)
{
    switch (mnemonic) {
    case ZYDIS_MNEMONIC_CVTPI2PS:
    case ZYDIS_MNEMONIC_CVTPS2PI:
    case ZYDIS_MNEMONIC_CVTTPS2PI:
    case ZYDIS_MNEMONIC_CVTPD2PI:
    case ZYDIS_MNEMONIC_CVTTPD2PI:
        return true;
    default:
        return false;
    }
}

/* SIMD floating-point exceptions belong to classes 2, 3 and 11 (SDM 2A table 2-17). */
static bool raises_fp(const ZydisDecodedInstruction *zi)
{
    switch (zi->meta.exception_class) {
    case ZYDIS_EXCEPTION_CLASS_SSE2:
    case ZYDIS_EXCEPTION_CLASS_SSE3:
    case ZYDIS_EXCEPTION_CLASS_AVX2:
    case ZYDIS_EXCEPTION_CLASS_AVX3:
    case ZYDIS_EXCEPTION_CLASS_AVX11:
        return true;
    case ZYDIS_EXCEPTION_CLASS_E2:
    case ZYDIS_EXCEPTION_CLASS_E2NF:
    case ZYDIS_EXCEPTION_CLASS_E3:
    case ZYDIS_EXCEPTION_CLASS_E3NF:
    case ZYDIS_EXCEPTION_CLASS_E11:
    case ZYDIS_EXCEPTION_CLASS_E11NF:
        /* Embedded rounding and {sae} suppress them all (SDM 1, 15.6.3). */
        return !(zi->raw.evex.b && zi->raw.modrm.mod == 3);
    default:
        return is_mmx_conversion(zi->mnemonic);
    }
}

/* Several operands may name one vector register; one load of all that is read serves them. */
static void merge_loads(ThunkBuild *build)
{
    for (unsigned i = 0; i < build->op_count; i++) {
        ThunkOperand *op = &build->ops[i];

        for (unsigned j = i + 1; op->load && j < build->op_count; j++) {
            ThunkOperand *other = &build->ops[j];

            if (other->load && other->file == op->file && other->host == op->host) {
                op->load_bits = MAX(op->load_bits, other->load_bits);
                other->load = false;
            }
        }
    }
}

bool thunk_analyse(ThunkBuild *build)
{
    const ZydisDecodedInstruction *zi = build->src->zi;
    Thunk *thunk = &build->thunk;

    thunk->check = build->check;
    thunk->mem_align = 1;
    thunk->gpr_dest = R_ZERO;
    thunk->mask_dest = 0xff;
    if (build->check != THUNK_CHECK_X87) {
        thunk->raises = raises_fp(zi);
        /* Approximations and VFPCLASS obey DAZ and FTZ though they raise nothing. */
        thunk->mxcsr = thunk->raises || zi->encoding == ZYDIS_INSTRUCTION_ENCODING_EVEX;
    }
    build->reg = zi->raw.modrm.reg;
    for (unsigned i = 0; i < zi->operand_count; i++) {
        const ZydisDecodedOperand *op = &build->src->ops[i];
        bool ok = true;

        if (op->type == ZYDIS_OPERAND_TYPE_REGISTER) {
            ok = add_register(build, op);
        } else if (op->type == ZYDIS_OPERAND_TYPE_MEMORY) {
            ok = add_memory(build, op);
        }
        if (!ok) {
            return false;
        }
    }
    merge_loads(build);
    return true;
}

/* --- encoding ------------------------------------------------------------------- */

static void encode_legacy(const ThunkBuild *build, Emit *emit)
{
    const ZydisDecodedInstruction *zi = build->src->zi;
    bool rex_w = (zi->attributes & ZYDIS_ATTRIB_HAS_REX) && zi->raw.rex.W;
    uint8_t rex = rex_w << 3 | (build->reg >> 3 & 1) << 2;

    for (unsigned i = 0; i < zi->raw.prefix_count; i++) {
        if (zi->raw.prefixes[i].type == ZYDIS_PREFIX_TYPE_MANDATORY) {
            emit_byte(emit, zi->raw.prefixes[i].value);
        }
    }
    rex |= build->has_rm_reg ? build->rm >> 3 & 1 : 0;
    if (rex) {
        emit_byte(emit, 0x40 | rex);
    }
    if (zi->opcode_map != ZYDIS_OPCODE_MAP_DEFAULT) {
        emit_byte(emit, 0x0f);
    }
    if (zi->opcode_map == ZYDIS_OPCODE_MAP_0F38) {
        emit_byte(emit, 0x38);
    } else if (zi->opcode_map == ZYDIS_OPCODE_MAP_0F3A) {
        emit_byte(emit, 0x3a);
    }
}

/*
 * VEX.W of instructions with general registers means nothing outside 64-bit code (SDM 2A 2.3.5.5).
 */
static bool effective_w(const ThunkBuild *build, bool w)
{
    return w && !(build->has_gpr && build->src->zi->machine_mode != ZYDIS_MACHINE_MODE_LONG_64);
}

static void encode_vex(const ThunkBuild *build, Emit *emit)
{
    const ZydisDecodedInstructionRawVex *vex = &build->src->zi->raw.vex;
    bool b = build->has_rm_reg && build->rm & 8;

    emit_byte(emit, 0xc4);
    emit_byte(emit, (build->reg & 8 ? 0 : 0x80) | 0x40 | (b ? 0 : 0x20) |
                        (vex->offset || vex->size ? vex->m_mmmm : 1));
    emit_byte(emit,
              effective_w(build, vex->W) << 7 | (~build->vvvv & 15) << 3 | vex->L << 2 | vex->pp);
}

static void encode_evex(const ThunkBuild *build, Emit *emit)
{
    const ZydisDecodedInstructionRawEvex *evex = &build->src->zi->raw.evex;
    uint8_t rm = build->has_rm_reg ? build->rm : 0;

    emit_byte(emit, 0x62);
    emit_byte(emit, (build->reg & 8 ? 0 : 0x80) | (rm & 16 ? 0 : 0x40) | (rm & 8 ? 0 : 0x20) |
                        (build->reg & 16 ? 0 : 0x10) | evex->mmm);
    emit_byte(emit, effective_w(build, evex->W) << 7 | (~build->vvvv & 15) << 3 | 4 | evex->pp);
    emit_byte(emit, evex->z << 7 | evex->L2 << 6 | evex->L << 5 | evex->b << 4 |
                        (build->vvvv & 16 ? 0 : 8) | evex->aaa);
}

void thunk_encode(const ThunkBuild *build, Emit *emit)
{
    const ZydisDecodedInstruction *zi = build->src->zi;

    switch (zi->encoding) {
    case ZYDIS_INSTRUCTION_ENCODING_VEX:
        encode_vex(build, emit);
        break;
    case ZYDIS_INSTRUCTION_ENCODING_EVEX:
        encode_evex(build, emit);
        break;
    default:
        encode_legacy(build, emit);
        break;
    }
    emit_byte(emit, zi->opcode);
    if (zi->attributes & ZYDIS_ATTRIB_HAS_MODRM) {
        if (build->mem) {
            emit_byte(emit, (build->reg & 7) << 3 | 6);
        } else {
            emit_byte(emit, 0xc0 | (build->reg & 7) << 3 |
                                (build->has_rm_reg ? build->rm & 7 : zi->raw.modrm.rm));
        }
    }
    if (build->has_is4) {
        emit_byte(emit, build->is4 << 4 | (zi->raw.imm[0].value.u & 15));
    } else if (zi->raw.imm[0].size) {
        emit_byte(emit, build->src->bytes[zi->raw.imm[0].offset]);
    }
}
