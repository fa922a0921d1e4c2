/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * x87 and the MMX face of its registers. Arithmetic runs as itself: a thunk loads the guest's whole
 * x87 state, executes, and saves it with FXSAVE, which never raises what the instruction left
 * pending; so unmasked exceptions are exact and the host never traps (SDM 1, 8.7; 3A 2.5).
 */
#include "target-i386/interp/vector.h"

#include <string.h>

/* --- state -------------------------------------------------------------------------- */

void x87_set_top(X86CPU *cpu, unsigned top)
{
    unsigned old_top = cpu->x87.fsw >> FPU_TOP_SHIFT & 7;
    X87State old = cpu->x87;

    if (top == old_top) {
        return;
    }
    for (unsigned i = 0; i < 8; i++) {
        cpu->x87.st[i] = old.st[(i + top - old_top) & 7];
    }
    cpu->x87.fsw = (old.fsw & ~FPU_TOP) | top << FPU_TOP_SHIFT;
}

void x87_init(X86CPU *cpu)
{
    x87_set_top(cpu, 0);
    cpu->x87.fcw = 0x37f;
    cpu->x87.fsw = 0;
    cpu->x87.ftw = 0;
    cpu->x87.fop = 0;
    cpu->x87.fip = cpu->x87.fdp = 0;
}

void x87_update_summary(X86CPU *cpu)
{
    if (cpu->x87.fsw & ~cpu->x87.fcw & FPU_ALL) {
        cpu->x87.fsw |= FPU_ES | FPU_B;
    } else {
        cpu->x87.fsw &= ~(FPU_ES | FPU_B);
    }
}

void x87_check_pending(X86CPU *cpu)
{
    if (G_LIKELY(!(cpu->x87.fsw & FPU_ES))) {
        return;
    }
    if (!(cpu->cr0 & CR0_NE) && cpu->ferr) {
        /* FERR# asks the board for IRQ 13; the CPU waits for it unless IGNNE# is asserted. */
        if (cpu->ferr(cpu->ferr_opaque)) {
            return;
        }
        cpu_leave_block(cpu);
    }
    cpu_raise(cpu, EXC_MF);
}

void mmx_enter(X86CPU *cpu)
{
    x87_set_top(cpu, 0);
    cpu->x87.ftw = 0xff;
}

/* --- arithmetic ------------------------------------------------------------------------ */

/* FXSAVE64 image: what the thunk loads and saves. */
typedef union X87Image {
    X87State state;
    uint8_t bytes[512];
} __attribute__((aligned(64))) X87Image;

uint64_t x87_far_pointer(const X86CPU *cpu, SegReg seg, uint64_t offset)
{
    if (cpu_code64(cpu)) {
        return offset;
    }
    if (!cpu_pm(cpu)) {
        return (uint32_t)(cpu->seg[seg].base + offset);
    }
    if (cpu_has(cpu, X86_FEATURE_ZERO_FCS_FDS)) {
        return (uint32_t)offset;
    }
    return (uint64_t)cpu->seg[seg].selector << 32 | (uint32_t)offset;
}

/* Takes over the result; pointers only where the host instruction recorded its own. */
static void x87_take(X86CPU *cpu, const Insn *insn, const X87Image *image)
{
    X87State *x87 = &cpu->x87;

    x87->fcw = image->state.fcw;
    x87->fsw = image->state.fsw;
    x87->ftw = image->state.ftw;
    memcpy(x87->st, image->state.st, sizeof(x87->st));
    if (image->state.fip) {
        x87->fip = x87_far_pointer(cpu, SEG_CS, cpu->cpu_rip);
    }
    if (image->state.fdp) {
        x87->fdp = x87_far_pointer(cpu, insn->seg, insn_effective(cpu, insn));
    }
    if (image->state.fop) {
        x87->fop = insn->aux | (insn->aux2 & 7) << 8;
    }
}

/* Exceptions that are pending though CR0.NE and IGNNE# ignore them must not reach the host. */
static void x87_run(X86CPU *cpu, const Thunk *thunk, void *mem, X87Image *image)
{
    uint16_t ignored = cpu->x87.fsw & ~cpu->x87.fcw & FPU_ALL;

    image->state = cpu->x87;
    image->state.fsw &= ~(ignored | FPU_ES | FPU_B);
    image->state.fip = image->state.fdp = 0;
    image->state.fop = 0;
    image->state.mxcsr = MXCSR_DEFAULT;
    thunk->code(cpu, mem, image);
    if (ignored) {
        image->state.fsw |= ignored | FPU_ES | FPU_B;
    }
}

static void x87_begin(X86CPU *cpu)
{
    if (G_UNLIKELY(cpu->cr0 & (CR0_EM | CR0_TS))) {
        cpu_raise(cpu, EXC_NM);
    }
    x87_check_pending(cpu);
}

static void x87_reg(X86CPU *cpu, const Insn *insn)
{
    const Thunk *thunk = insn->thunk;
    X87Image image;

    x87_begin(cpu);
    x87_run(cpu, thunk, NULL, &image);
    x87_take(cpu, insn, &image);
}

static void x87_load(X86CPU *cpu, const Insn *insn)
{
    const Thunk *thunk = insn->thunk;
    VectorBounce bounce;
    X87Image image;
    uint64_t va;

    x87_begin(cpu);
    va = insn_linear(cpu, insn, thunk->mem_size, false);
    x87_run(cpu, thunk, (void *)vector_read(cpu, va, &bounce, thunk->mem_size), &image);
    x87_take(cpu, insn, &image);
}

/* An unmasked exception other than precision keeps a store from happening (SDM 1, 8.5). */
static void x87_store(X86CPU *cpu, const Insn *insn)
{
    const Thunk *thunk = insn->thunk;
    uint16_t unmasked = ~(cpu->x87.fcw | cpu->x87.fsw) & (FPU_ALL & ~FPU_PE);
    VectorBounce bounce;
    X87Image image;
    uint64_t va;

    x87_begin(cpu);
    va = insn_linear(cpu, insn, thunk->mem_size, true);
    x87_run(cpu, thunk, &bounce, &image);
    if (!(image.state.fsw & unmasked)) {
        mmu_write(cpu, cpu->mmu_view, va, &bounce, thunk->mem_size);
    }
    x87_take(cpu, insn, &image);
}

static void emms(X86CPU *cpu, const Insn *insn)
{
    vector_check(cpu, THUNK_CHECK_MMX);
    x87_check_pending(cpu);
    x87_set_top(cpu, 0);
    cpu->x87.ftw = 0;
}

INSN_FAMILY(emms)
{
    return emms;
}

INSN_FAMILY(x87)
{
    const Thunk *thunk;
    bool full;

    if (!vector_isa_offered(src->cpu, src->zi)) {
        return NULL;
    }
    thunk = thunk_get(src, THUNK_CHECK_X87, &full);
    if (!thunk) {
        return full ? vector_make_room : NULL;
    }
    insn->thunk = thunk;
    insn->aux = src->bytes[src->zi->raw.modrm.offset];
    insn->aux2 = src->zi->opcode;
    return thunk->mem_write ? x87_store : thunk->mem_size ? x87_load : x87_reg;
}
