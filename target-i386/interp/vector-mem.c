/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Vector instructions whose memory accesses are chosen element by element, by hand: masked moves,
 * gathers and scatters. A fault belongs to one element, and gathers keep what was done before it.
 */
#include "target-i386/interp/vector.h"

#include <string.h>

static uint64_t element_get(const X86Vector *vec, unsigned i, unsigned size)
{
    return size == 4 ? vec->u32[i] : vec->u64[i];
}

static void element_set(X86Vector *vec, unsigned i, unsigned size, uint64_t value)
{
    if (size == 4) {
        vec->u32[i] = value;
    } else {
        vec->u64[i] = value;
    }
}

static bool element_sign(const X86Vector *vec, unsigned i, unsigned size)
{
    return element_get(vec, i, size) >> (size * 8 - 1);
}

static uint64_t element_load(X86CPU *cpu, uint64_t va, unsigned size)
{
    return size == 4 ? mmu_load32(cpu, va) : mmu_load64(cpu, va);
}

/* Linear address of the memory operand plus @index; Insn.index is unused by these. */
static uint64_t element_linear(X86CPU *cpu, const Insn *insn, uint64_t index, unsigned size,
                               bool write)
{
    uint64_t offset = insn_offset(cpu, insn) + index;

    return insn->ea == EA_FLAT64 ? offset : insn_linear_slow(cpu, insn, offset, size, write);
}

/* --- VMASKMOV, VPMASKMOV: aux = element size, aux2 = elements ---------------- */

static void vmaskmov_load(X86CPU *cpu, const Insn *insn)
{
    const X86Vector *mask = &cpu->vec[insn->reg2];
    unsigned size = insn->aux;
    X86Vector result = {.u64 = {0}};

    vector_check_vex(cpu);
    for (unsigned i = 0; i < insn->aux2; i++) {
        if (element_sign(mask, i, size)) {
            uint64_t va = element_linear(cpu, insn, i * size, size, false);

            element_set(&result, i, size, element_load(cpu, va, size));
        }
    }
    cpu->vec[insn->reg] = result;
}

static void vmaskmov_store(X86CPU *cpu, const Insn *insn)
{
    const X86Vector *mask = &cpu->vec[insn->reg2];
    unsigned size = insn->aux;

    vector_check_vex(cpu);
    for (unsigned i = 0; i < insn->aux2; i++) {
        if (element_sign(mask, i, size)) {
            uint64_t va = element_linear(cpu, insn, i * size, size, true);

            mmu_probe(cpu, cpu->mmu_view, va, size, ACCESS_WRITE);
        }
    }
    for (unsigned i = 0; i < insn->aux2; i++) {
        if (element_sign(mask, i, size)) {
            uint64_t va = element_linear(cpu, insn, i * size, size, true);
            uint64_t value = element_get(&cpu->vec[insn->reg], i, size);

            mmu_write(cpu, cpu->mmu_view, va, &value, size);
        }
    }
}

static InsnFn *select_vmaskmov(const InsnSource *src, Insn *insn, unsigned size)
{
    const ZydisDecodedOperand *to = &src->ops[0];

    insn->aux = size;
    insn->aux2 = to->size / 8 / size;
    return to->type == ZYDIS_OPERAND_TYPE_MEMORY ? vmaskmov_store : vmaskmov_load;
}

/* --- MASKMOVDQU, MASKMOVQ: reg = data, rm = mask, base = rDI ---------------- */

static void maskmov_bytes(X86CPU *cpu, const Insn *insn, const uint8_t *data, const uint8_t *mask,
                          unsigned count)
{
    uint64_t va = insn_linear(cpu, insn, count, true);

    /* All of the operand faults, whatever the mask, as on Intel's CPUs (SDM 2B, MASKMOVDQU). */
    mmu_probe(cpu, cpu->mmu_view, va, count, ACCESS_WRITE);
    for (unsigned i = 0; i < count; i++) {
        if (mask[i] & 0x80) {
            mmu_store8(cpu, va + i, data[i]);
        }
    }
}

static void maskmovdqu(X86CPU *cpu, const Insn *insn)
{
    if (insn->aux) {
        vector_check_vex(cpu);
    } else {
        vector_check_sse(cpu);
    }
    maskmov_bytes(cpu, insn, cpu->vec[insn->reg].u8, cpu->vec[insn->rm].u8, 16);
}

static void maskmovq(X86CPU *cpu, const Insn *insn)
{
    vector_check(cpu, THUNK_CHECK_MMX);
    x87_check_pending(cpu);
    mmx_enter(cpu); /* even if the store faults */
    maskmov_bytes(cpu, insn, cpu->x87.st[insn->reg].bytes, cpu->x87.st[insn->rm].bytes, 8);
}

static InsnFn *select_maskmov(const InsnSource *src, Insn *insn)
{
    const ZydisDecodedInstruction *zi = src->zi;
    bool based = false;

    for (unsigned i = 0; i < zi->operand_count; i++) {
        if (src->ops[i].type == ZYDIS_OPERAND_TYPE_MEMORY) {
            ZydisRegister seg = src->ops[i].mem.segment;

            insn->seg = seg == ZYDIS_REGISTER_NONE ? SEG_DS : seg - ZYDIS_REGISTER_ES;
            based = insn->seg == SEG_FS || insn->seg == SEG_GS;
        }
    }
    insn->base = R_RDI;
    if (zi->machine_mode == ZYDIS_MACHINE_MODE_LONG_64) {
        insn->ea = zi->address_width == 64 ? (based ? EA_BASE64 : EA_FLAT64)
                                           : (based ? EA_BASE32 : EA_FLAT32);
    } else {
        insn->ea = zi->address_width == 16 ? EA_SEG16 : EA_SEG32;
    }
    insn->aux = zi->encoding == ZYDIS_INSTRUCTION_ENCODING_VEX;
    return zi->mnemonic == ZYDIS_MNEMONIC_MASKMOVQ ? maskmovq : maskmovdqu;
}

/* --- gathers and scatters ---------------- */

/* How the operands of a gather lie, packed into Insn.imm. */
typedef union GatherShape {
    struct {
        uint8_t index;      /* vector register of the indices */
        uint8_t index_size; /* bytes: 4 or 8 */
        uint8_t elem_size;
        uint8_t count;
        uint8_t mask;       /* opmask register, EVEX forms */
        uint8_t mask_count; /* elements of a vector mask that become whole at the start */
    };
    uint64_t packed;
} GatherShape;

static uint64_t gather_index(X86CPU *cpu, const Insn *insn, GatherShape shape, unsigned i)
{
    const X86Vector *index = &cpu->vec[shape.index];
    int64_t value = shape.index_size == 4 ? (int32_t)index->u32[i] : (int64_t)index->u64[i];

    return (uint64_t)value << insn->scale;
}

/* What a gather makes of its mask before the first access: whole elements, nothing above. */
static void expand_mask(X86Vector *mask, unsigned count, unsigned size)
{
    X86Vector result = {.u64 = {0}};

    for (unsigned i = 0; i < count; i++) {
        element_set(&result, i, size, element_sign(mask, i, size) ? UINT64_MAX : 0);
    }
    *mask = result;
}

/*
 * SDM 2C, VPGATHERDD: elements in order, each clearing its mask when done; then all above is zero.
 */
static void gather_vex(X86CPU *cpu, const Insn *insn)
{
    GatherShape shape = {.packed = insn->imm};
    X86Vector *dest = &cpu->vec[insn->reg], *mask = &cpu->vec[insn->reg2];
    unsigned size = shape.elem_size;

    vector_check_vex(cpu);
    expand_mask(mask, shape.mask_count, size);
    for (unsigned i = 0; i < shape.count; i++) {
        if (element_sign(mask, i, size)) {
            uint64_t va = element_linear(cpu, insn, gather_index(cpu, insn, shape, i), size, false);

            element_set(dest, i, size, element_load(cpu, va, size));
        }
        element_set(mask, i, size, 0);
    }
    vector_clear_upper(cpu, insn->reg, shape.count * size);
    memset(mask, 0, sizeof(*mask));
}

static void gather_evex(X86CPU *cpu, const Insn *insn)
{
    GatherShape shape = {.packed = insn->imm};
    uint64_t *mask = &cpu->opmask[shape.mask];
    unsigned size = shape.elem_size;

    vector_check(cpu, THUNK_CHECK_EVEX);
    for (unsigned i = 0; i < shape.count; i++) {
        if (*mask >> i & 1) {
            uint64_t va = element_linear(cpu, insn, gather_index(cpu, insn, shape, i), size, false);

            element_set(&cpu->vec[insn->reg], i, size, element_load(cpu, va, size));
            *mask &= ~(1ull << i);
        }
    }
    vector_clear_upper(cpu, insn->reg, shape.count * size);
    *mask = 0;
}

static void scatter_evex(X86CPU *cpu, const Insn *insn)
{
    GatherShape shape = {.packed = insn->imm};
    uint64_t *mask = &cpu->opmask[shape.mask];
    unsigned size = shape.elem_size;

    vector_check(cpu, THUNK_CHECK_EVEX);
    for (unsigned i = 0; i < shape.count; i++) {
        if (*mask >> i & 1) {
            uint64_t va = element_linear(cpu, insn, gather_index(cpu, insn, shape, i), size, true);
            uint64_t value = element_get(&cpu->vec[insn->reg], i, size);

            mmu_write(cpu, cpu->mmu_view, va, &value, size);
            *mask &= ~(1ull << i);
        }
    }
    *mask = 0;
}

/* @data and @memory: the vector operand and the VSIB operand. */
static uint64_t gather_shape(const InsnSource *src, const ZydisDecodedOperand *data,
                             const ZydisDecodedOperand *memory, bool wide_index)
{
    ZydisMachineMode mode = src->zi->machine_mode;
    unsigned data_bits = ZydisRegisterGetWidth(mode, data->reg.value);
    unsigned index_bits = ZydisRegisterGetWidth(mode, memory->mem.index);
    GatherShape shape = {.packed = 0};

    shape.index = ZydisRegisterGetId(memory->mem.index);
    shape.index_size = wide_index ? 8 : 4;
    shape.elem_size = data->element_size / 8;
    shape.count = MIN(data_bits / data->element_size, index_bits / (wide_index ? 64 : 32));
    shape.mask_count = src->zi->avx.vector_length / data->element_size;
    if (src->zi->encoding == ZYDIS_INSTRUCTION_ENCODING_EVEX) {
        shape.mask = src->zi->raw.evex.aaa;
    }
    return shape.packed;
}

static InsnFn *select_gather(const InsnSource *src, Insn *insn, bool wide_index)
{
    bool evex = src->zi->encoding == ZYDIS_INSTRUCTION_ENCODING_EVEX;

    insn->imm = gather_shape(src, &src->ops[0], &src->ops[evex ? 2 : 1], wide_index);
    return evex ? gather_evex : gather_vex;
}

static InsnFn *select_scatter(const InsnSource *src, Insn *insn, bool wide_index)
{
    insn->imm = gather_shape(src, &src->ops[2], &src->ops[0], wide_index);
    return scatter_evex;
}

/* --- VZEROUPPER, VZEROALL ---------------- */

static void vzero(X86CPU *cpu, const Insn *insn)
{
    vector_check_vex(cpu);
    for (unsigned i = 0; i < (cpu_code64(cpu) ? 16 : 8); i++) {
        vector_clear_upper(cpu, i, insn->aux);
    }
}

InsnFn *vector_select_memory(const InsnSource *src, Insn *insn)
{
    switch (src->zi->mnemonic) {
    case ZYDIS_MNEMONIC_VMASKMOVPS:
    case ZYDIS_MNEMONIC_VPMASKMOVD:
        return select_vmaskmov(src, insn, 4);
    case ZYDIS_MNEMONIC_VMASKMOVPD:
    case ZYDIS_MNEMONIC_VPMASKMOVQ:
        return select_vmaskmov(src, insn, 8);
    case ZYDIS_MNEMONIC_MASKMOVQ:
    case ZYDIS_MNEMONIC_MASKMOVDQU:
    case ZYDIS_MNEMONIC_VMASKMOVDQU:
        return select_maskmov(src, insn);
    case ZYDIS_MNEMONIC_VGATHERDPS:
    case ZYDIS_MNEMONIC_VGATHERDPD:
    case ZYDIS_MNEMONIC_VPGATHERDD:
    case ZYDIS_MNEMONIC_VPGATHERDQ:
        return select_gather(src, insn, false);
    case ZYDIS_MNEMONIC_VGATHERQPS:
    case ZYDIS_MNEMONIC_VGATHERQPD:
    case ZYDIS_MNEMONIC_VPGATHERQD:
    case ZYDIS_MNEMONIC_VPGATHERQQ:
        return select_gather(src, insn, true);
    case ZYDIS_MNEMONIC_VSCATTERDPS:
    case ZYDIS_MNEMONIC_VSCATTERDPD:
    case ZYDIS_MNEMONIC_VPSCATTERDD:
    case ZYDIS_MNEMONIC_VPSCATTERDQ:
        return select_scatter(src, insn, false);
    case ZYDIS_MNEMONIC_VSCATTERQPS:
    case ZYDIS_MNEMONIC_VSCATTERQPD:
    case ZYDIS_MNEMONIC_VPSCATTERQD:
    case ZYDIS_MNEMONIC_VPSCATTERQQ:
        return select_scatter(src, insn, true);
    case ZYDIS_MNEMONIC_VZEROUPPER:
        insn->aux = 16;
        return vzero;
    case ZYDIS_MNEMONIC_VZEROALL:
        insn->aux = 0;
        return vzero;
    default:
        return NULL;
    }
}
