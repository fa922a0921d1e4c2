/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Modes, and salts: what mode and address space a jump-cache entry is for, in bits 61:48 of its
 * tag, in which canonical addresses of one half are alike. Outside 64-bit code RIP leaves room for
 * more: for the segments of 32-bit code, for the base of CS of 16-bit code. Compiled for general
 * registers only.
 */
#include "accel/tcg/x87.h"

#include "target-i386/interp/vector.h"

bool x87_mode_fits(const X86CPU *cpu)
{
    return !(~cpu->x87.fcw & FPU_ALL) && !(cpu->x87.fsw & FPU_ES);
}

static SegClass segment_class(const X86CPU *cpu, const X86Segment *s)
{
    bool data = !(s->attr & 8);

    if ((s->attr & SEG_ATTR_S) && data && (s->attr & 4)) {
        return CLASS_SLOW; /* expand-down */
    }
    if (cpu_pm(cpu)) {
        if ((s->attr & SEG_ATTR_UNUSABLE) || !(data || (s->attr & 2))) {
            return CLASS_SLOW;
        }
        if (!data || !(s->attr & 2)) {
            return CLASS_READ;
        }
    }
    /* 16-bit code sees flat segments now and then, and is no faster for it. */
    return s->base || s->limit != UINT32_MAX || cpu->code_size == 16 ? CLASS_BASED : CLASS_FLAT;
}

/*
 * What outside 64-bit code is beside the rest. FS and GS are not in it: they are loaded often, and
 * what is needed of them is looked at when they are used.
 */
static uint32_t legacy_mode(const X86CPU *cpu)
{
    const X86Segment *cs = &cpu->seg[SEG_CS];
    uint32_t mode = cpu->ss32 ? MODE_SS32 : 0;

    if (cpu->code_size == 32) {
        if (cs->base || cs->limit != UINT32_MAX) {
            return MODE_NEVER;
        }
        mode |= MODE_CODE32;
    } else if (cs->limit < UINT16_MAX || cpu->cpu_rip > UINT16_MAX) {
        return MODE_NEVER;
    }
    for (SegReg seg = SEG_ES; seg <= SEG_DS; seg++) {
        mode |= segment_class(cpu, &cpu->seg[seg]) << (MODE_CLASS_SHIFT + 2 * seg);
    }
    return mode;
}

uint32_t jit_mode(const X86CPU *cpu)
{
    uint32_t mode = cpu->mmu_view << MODE_VIEW_SHIFT | (cpu->cpl == 3 ? MODE_USER : 0);
    bool usable = !(cpu->cr0 & (CR0_TS | CR0_EM));
    bool masked = (cpu->x87.mxcsr & MXCSR_MASKS) == MXCSR_MASKS;

    uint32_t code = cpu_code64(cpu) ? MODE_CODE64 : legacy_mode(cpu);

    if (code == MODE_NEVER || cpu->cpl == 1 || cpu->cpl == 2 ||
        ((cpu->cr0 & CR0_AM) && (cpu->eflags & FL_AC) && cpu->cpl == 3)) {
        return MODE_NEVER;
    }
    mode |= code;
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
    return mode;
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

/* What of @mode stands below the number. */
#define MODE_IN_SALT (~0u << 10)

uint64_t jit_salt(Jit *jit, uint32_t mode)
{
    uint64_t space = mode & MODE_USER ? jit->user_space : jit->global_space;
    unsigned number = mode_number(jit, mode & MODE_CODE32 ? mode & ~MODE_IN_SALT : mode);
    uint64_t low = 0;

    if (mode & MODE_CODE32) {
        low = (uint64_t)(mode & MODE_IN_SALT) << 22;
    } else if (!(mode & MODE_CODE64)) {
        low = (uint64_t)jit_cs_base(jit->cpu, mode) << 16;
    }
    return number ? ((space << 4 | number) << 48) + low : 0;
}
