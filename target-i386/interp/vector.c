/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * MMX, SSE, AVX and AVX-512: which thunk an instruction gets, and what is around it: availability,
 * the memory operand, unmasked floating-point exceptions.
 */
#include "target-i386/interp/vector.h"

#include <string.h>

#include "target-i386/interp/cache.h"

/* --- availability ---------------- */

void vector_unavailable(X86CPU *cpu, ThunkCheck check)
{
    switch (check) {
    case THUNK_CHECK_MMX:
        if (cpu->cr0 & CR0_EM) {
            cpu_raise_ud(cpu);
        }
        break;
    case THUNK_CHECK_SSE:
        if ((cpu->cr0 & CR0_EM) || !(cpu->cr4 & CR4_OSFXSR)) {
            cpu_raise_ud(cpu);
        }
        break;
    case THUNK_CHECK_VEX:
    case THUNK_CHECK_EVEX:
        if (!(cpu->cr4 & CR4_OSXSAVE) || (~cpu->xcr0 & (XCR0_SSE | XCR0_AVX)) ||
            (check == THUNK_CHECK_EVEX && (~cpu->xcr0 & XCR0_AVX512))) {
            cpu_raise_ud(cpu);
        }
        break;
    default:
        break;
    }
    cpu_raise(cpu, EXC_NM);
}

void vector_check(X86CPU *cpu, ThunkCheck check)
{
    switch (check) {
    case THUNK_CHECK_SSE:
        vector_check_sse(cpu);
        break;
    case THUNK_CHECK_VEX:
        vector_check_vex(cpu);
        break;
    case THUNK_CHECK_EVEX:
        if (~cpu->xcr0 & XCR0_AVX512) {
            cpu_raise_ud(cpu);
        }
        vector_check_vex(cpu);
        break;
    case THUNK_CHECK_MMX:
    case THUNK_CHECK_X87:
        if (cpu->cr0 & (CR0_EM | CR0_TS)) {
            vector_unavailable(cpu, check);
        }
        break;
    default:
        break;
    }
}

/* --- running ---------------------------------------------------------------------- */

static void mmx_leave(X86CPU *cpu, const Thunk *thunk)
{
    for (unsigned i = 0; i < 8; i++) {
        if (thunk->mmx_written >> i & 1) {
            memset(&cpu->x87.st[i].bytes[8], 0xff, 2);
        }
    }
}

static void thunk_call(X86CPU *cpu, const Thunk *thunk, void *mem)
{
    if (thunk->mmx) {
        mmx_enter(cpu);
    }
    thunk->code(cpu, mem, NULL);
    if (thunk->mmx) {
        mmx_leave(cpu, thunk);
    }
}

typedef struct SavedDest {
    X86Vector vec;
    X87State x87;
    uint64_t gpr, mask;
    uint32_t cc;
} SavedDest;

static void dest_save(const X86CPU *cpu, const Thunk *thunk, SavedDest *saved)
{
    saved->vec = cpu->vec[thunk->vec_dest];
    saved->x87 = cpu->x87;
    saved->gpr = cpu->regs[thunk->gpr_dest];
    saved->mask = cpu->opmask[thunk->mask_dest & 7];
    saved->cc = cpu->cc;
}

static void dest_restore(X86CPU *cpu, const Thunk *thunk, const SavedDest *saved)
{
    cpu->vec[thunk->vec_dest] = saved->vec;
    cpu->x87 = saved->x87;
    cpu->regs[thunk->gpr_dest] = saved->gpr;
    cpu->opmask[thunk->mask_dest & 7] = saved->mask;
    cpu->cc = saved->cc;
}

/* Nothing can be raised, whatever MXCSR unmasks; its flags stay. */
static void thunk_call_silent(X86CPU *cpu, const Thunk *thunk, void *mem)
{
    uint32_t mxcsr = cpu->x87.mxcsr;

    cpu->x87.mxcsr |= MXCSR_MASKS;
    thunk_call(cpu, thunk, mem);
    cpu->x87.mxcsr = mxcsr;
}

/*
 * With some exception unmasked. The host runs everything masked; its flags then tell what would
 * have been raised (SDM 1, 11.5). Invalid, divide and denormal are found before the operation and
 * keep the others from being reported. Unmasked underflow is reported for tiny results, exact ones
 * too, which the flags of a masked run hide but flushing to zero shows (SDM 1, 11.5.2.4, 10.2.3.3).
 */
static void thunk_call_unmasked(X86CPU *cpu, const Thunk *thunk, void *mem)
{
    uint32_t mxcsr = cpu->x87.mxcsr;
    uint32_t unmasked = ~(mxcsr >> MXCSR_MASK_SHIFT) & MXCSR_FLAGS;
    uint32_t control = (mxcsr & ~(uint32_t)MXCSR_FLAGS) | MXCSR_MASKS;
    uint32_t tiny = 0, flags;
    SavedDest saved;

    if (!thunk->raises) {
        thunk_call_silent(cpu, thunk, mem);
        return;
    }
    if (thunk->mmx) {
        mmx_enter(cpu); /* even if the operation then raises #XM */
    }
    dest_save(cpu, thunk, &saved);
    if (unmasked & FPU_UE) {
        cpu->x87.mxcsr = control | MXCSR_FTZ;
        thunk_call(cpu, thunk, mem);
        tiny = cpu->x87.mxcsr & FPU_UE;
        dest_restore(cpu, thunk, &saved);
        if (tiny) {
            control &= ~(uint32_t)MXCSR_FTZ; /* works with underflow masked only */
        }
    }
    cpu->x87.mxcsr = control;
    thunk_call(cpu, thunk, mem);
    flags = (cpu->x87.mxcsr & MXCSR_FLAGS) | tiny;
    if (flags & unmasked & (FPU_IE | FPU_DE | FPU_ZE)) {
        flags &= FPU_IE | FPU_DE | FPU_ZE;
    }
    if (flags & unmasked) {
        dest_restore(cpu, thunk, &saved);
        cpu->x87.mxcsr = mxcsr | flags;
        cpu_raise(cpu, cpu->cr4 & CR4_OSXMMEXCPT ? EXC_XM : EXC_UD);
    }
    cpu->x87.mxcsr = mxcsr | flags;
}

static inline bool needs_unmasked(const X86CPU *cpu, const Thunk *thunk)
{
    return thunk->mxcsr && (cpu->x87.mxcsr & MXCSR_MASKS) != MXCSR_MASKS;
}

static void thunk_call_any(X86CPU *cpu, const Thunk *thunk, void *mem)
{
    if (G_UNLIKELY(needs_unmasked(cpu, thunk))) {
        thunk_call_unmasked(cpu, thunk, mem);
    } else {
        thunk_call(cpu, thunk, mem);
    }
}

/* #MF of a pending x87 exception comes before the memory access (SDM 3A 6.9). */
static void vector_begin(X86CPU *cpu, const Thunk *thunk)
{
    vector_check(cpu, thunk->check);
    if (thunk->mmx) {
        vector_check(cpu, THUNK_CHECK_MMX);
        x87_check_pending(cpu);
    }
}

static void check_alignment(X86CPU *cpu, const Thunk *thunk, uint64_t va)
{
    if (G_UNLIKELY(va & (thunk->mem_align - 1))) {
        cpu_raise_gp(cpu, 0);
    }
}

static uint64_t vector_address(X86CPU *cpu, const Insn *insn, const Thunk *thunk)
{
    uint64_t va = insn_linear(cpu, insn, thunk->mem_size, thunk->mem_write);

    check_alignment(cpu, thunk, va);
    return va;
}

static void vector_reg(X86CPU *cpu, const Insn *insn)
{
    const Thunk *thunk = insn->thunk;

    vector_begin(cpu, thunk);
    thunk_call_any(cpu, thunk, NULL);
}

/* The plainest and most frequent: legacy integer operations between registers. */
static void vector_reg_sse(X86CPU *cpu, const Insn *insn)
{
    const Thunk *thunk = insn->thunk;

    vector_check_sse(cpu);
    thunk->code(cpu, NULL, NULL);
}

static void vector_load(X86CPU *cpu, const Insn *insn)
{
    const Thunk *thunk = insn->thunk;
    VectorBounce bounce;
    uint64_t va;

    vector_begin(cpu, thunk);
    va = vector_address(cpu, insn, thunk);
    thunk_call_any(cpu, thunk, (void *)vector_read(cpu, va, &bounce, thunk->mem_size));
}

static void vector_store(X86CPU *cpu, const Insn *insn)
{
    const Thunk *thunk = insn->thunk;
    VectorBounce bounce;
    uint64_t va;
    void *direct;

    vector_begin(cpu, thunk);
    va = vector_address(cpu, insn, thunk);
    if (thunk->mmx) {
        x87_set_top(cpu, 0); /* even if the store faults; the tags only change if it does not */
    }
    direct = vector_write_direct(cpu, va, thunk->mem_size);
    if (direct && !thunk->raises) {
        thunk_call_any(cpu, thunk, direct);
        return;
    }
    if (!thunk
             ->raises) { /* else the operation comes first; its flags stay though the store fails */
        mmu_probe(cpu, cpu->mmu_view, va, thunk->mem_size, ACCESS_WRITE);
    }
    thunk_call_any(cpu, thunk, &bounce);
    mmu_write(cpu, cpu->mmu_view, va, &bounce, thunk->mem_size);
}

/* --- masked memory operands (SDM 1, 15.6.1 and 15.6.4) ---------------- */

/*
 * The elements that are touched, as a bit mask of memory elements. A mask longer than the operand
 * (broadcasts of one or several elements) reads an element if any bit wants it.
 */
static uint64_t masked_elements(const X86CPU *cpu, const Thunk *thunk, unsigned count)
{
    uint64_t mask = cpu->opmask[thunk->mask], result = 0;

    if (thunk->mask_bits < 64) {
        mask &= (1ull << thunk->mask_bits) - 1;
    }
    if (thunk->mask_packed) {
        unsigned n = __builtin_popcountll(mask);

        return n == 64 ? UINT64_MAX : (1ull << n) - 1;
    }
    for (unsigned i = 0; i < 64; i += count) {
        result |= mask >> i;
    }
    return count == 64 ? result : result & ((1ull << count) - 1);
}

static void vector_masked_load(X86CPU *cpu, const Insn *insn)
{
    const Thunk *thunk = insn->thunk;
    unsigned elem = thunk->mask_elem, count = thunk->mem_size / elem;
    VectorBounce bounce = {0};
    uint64_t va, touched;

    vector_begin(cpu, thunk);
    va = insn_linear(cpu, insn, thunk->mem_size, thunk->mem_write);
    touched = masked_elements(cpu, thunk, count);
    if (touched) {
        check_alignment(cpu, thunk, va);
    }
    for (unsigned i = 0; i < count; i++) {
        if (touched >> i & 1) {
            mmu_read(cpu, cpu->mmu_view, va + i * elem, bounce.bytes + i * elem, elem);
        }
    }
    thunk_call_any(cpu, thunk, &bounce);
}

static void vector_masked_store(X86CPU *cpu, const Insn *insn)
{
    const Thunk *thunk = insn->thunk;
    unsigned elem = thunk->mask_elem, count = thunk->mem_size / elem;
    VectorBounce bounce = {0};
    uint64_t va, touched;

    vector_begin(cpu, thunk);
    va = insn_linear(cpu, insn, thunk->mem_size, thunk->mem_write);
    touched = masked_elements(cpu, thunk, count);
    if (touched) {
        check_alignment(cpu, thunk, va);
    }
    if (thunk->raises) {
        thunk_call_any(cpu, thunk, &bounce); /* first: its flags stay though the store fails */
    }
    for (unsigned i = 0; i < count; i++) {
        if ((touched >> i & 1) || thunk->mask_faults) {
            mmu_probe(cpu, cpu->mmu_view, va + i * elem, elem, ACCESS_WRITE);
        }
    }
    if (!thunk->raises) {
        thunk_call_any(cpu, thunk, &bounce);
    }
    for (unsigned i = 0; i < count; i++) {
        if (touched >> i & 1) {
            mmu_write(cpu, cpu->mmu_view, va + i * elem, bounce.bytes + i * elem, elem);
        }
    }
}

/* --- choosing ------------------------------------------------------------------------ */

void vector_make_room(X86CPU *cpu, const Insn *insn)
{
    code_flush(cpu);
    thunk_arena_reset(cpu);
    cpu_leave_block(cpu);
}

InsnFn *vector_select_thunk(const InsnSource *src, Insn *insn, ThunkCheck check)
{
    bool full;
    const Thunk *thunk = thunk_get(src, check, &full);

    if (!thunk) {
        return full ? vector_make_room : NULL;
    }
    insn->thunk = thunk;
    if (thunk->mask && thunk->mem_size) {
        return thunk->mem_write ? vector_masked_store : vector_masked_load;
    }
    if (thunk->mem_write) {
        return vector_store;
    }
    if (thunk->mem_size) {
        return vector_load;
    }
    return check == THUNK_CHECK_SSE && !thunk->mmx && !thunk->mxcsr ? vector_reg_sse : vector_reg;
}

static ThunkCheck check_of(const InsnSource *src)
{
    const ZydisDecodedInstruction *zi = src->zi;

    if (zi->encoding == ZYDIS_INSTRUCTION_ENCODING_EVEX) {
        return THUNK_CHECK_EVEX;
    }
    for (unsigned i = 0; i < zi->operand_count; i++) {
        const ZydisDecodedOperand *op = &src->ops[i];

        if (op->type == ZYDIS_OPERAND_TYPE_REGISTER) {
            ZydisRegisterClass class = ZydisRegisterGetClass(op->reg.value);

            if (class == ZYDIS_REGCLASS_MASK) {
                return THUNK_CHECK_EVEX;
            }
            if (class == ZYDIS_REGCLASS_XMM && zi->encoding == ZYDIS_INSTRUCTION_ENCODING_LEGACY) {
                return THUNK_CHECK_SSE;
            }
        }
    }
    return zi->encoding == ZYDIS_INSTRUCTION_ENCODING_VEX ? THUNK_CHECK_VEX : THUNK_CHECK_MMX;
}

INSN_FAMILY(vector)
{
    InsnFn *fn;

    if (!vector_isa_offered(src->cpu, src->zi)) {
        return NULL;
    }
    fn = vector_select_move(src, insn);
    if (!fn) {
        fn = vector_select_memory(src, insn);
    }
    return fn ? fn : vector_select_thunk(src, insn, check_of(src));
}
