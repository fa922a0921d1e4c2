/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Modes, and salts: what mode and address space a jump-cache entry is for, in bits 61:48 of its
 * tag, in which canonical addresses of one half are alike. Compiled for general registers only.
 */
#include "accel/tcg/x87.h"

#include "target-i386/interp/vector.h"

bool x87_mode_fits(const X86CPU *cpu)
{
    return !(~cpu->x87.fcw & FPU_ALL) && !(cpu->x87.fsw & FPU_ES);
}

uint32_t jit_mode(const X86CPU *cpu)
{
    uint32_t mode = cpu->mmu_view << MODE_VIEW_SHIFT | (cpu->cpl == 3 ? MODE_USER : 0);
    bool usable = !(cpu->cr0 & (CR0_TS | CR0_EM));
    bool masked = (cpu->x87.mxcsr & MXCSR_MASKS) == MXCSR_MASKS;

    if (cpu->code_size != 64 || cpu->cpl == 1 || cpu->cpl == 2 ||
        ((cpu->cr0 & CR0_AM) && (cpu->eflags & FL_AC) && cpu->cpl == 3)) {
        return MODE_NEVER;
    }
    if (usable && masked && (cpu->cr4 & CR4_OSFXSR)) {
        mode |= MODE_SSE;
    }
    if (usable && x87_mode_fits(cpu) && ((const Jit *)cpu->jit.jit)->x87_fits) {
        mode |= MODE_X87;
    }
    if (!(cpu->cr0 & CR0_TS) && masked && (cpu->cr4 & CR4_OSXSAVE) &&
        !(~cpu->xcr0 & (XCR0_SSE | XCR0_AVX))) {
        mode |= MODE_AVX;
        mode |= ~cpu->xcr0 & XCR0_AVX512 ? 0 : MODE_AVX512;
    }
    return mode | MODE_CODE64;
}

/* 0: numbers ran out. */
static unsigned mode_number(Jit *jit, uint32_t mode)
{
    for (unsigned i = 0; i < jit->mode_count; i++) {
        if (jit->modes[i] == mode) {
            return i + 1;
        }
    }
    if (jit->mode_count == G_N_ELEMENTS(jit->modes) - 1) {
        return 0;
    }
    jit->modes[jit->mode_count++] = mode;
    return jit->mode_count;
}

uint64_t jit_salt(Jit *jit, uint32_t mode)
{
    uint64_t space = mode & MODE_USER ? jit->user_space : jit->global_space;
    unsigned number = mode_number(jit, mode);

    return number ? (space << 4 | number) << 48 : 0;
}
