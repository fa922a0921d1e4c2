/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Modes, and salts: what mode and address space a jump-cache entry is for, in bits 61:48 of its
 * tag, in which canonical addresses of one half are alike. Compiled for general registers only; but
 * not so jit_note_map(), which calls the C library.
 */
#include "accel/tcg/jit.h"
#include "target-i386/interp/vector.h"

#define SPACES 1024u /* that salts can tell apart */

uint32_t jit_mode(const X86CPU *cpu)
{
    uint32_t mode = cpu->mmu_view << MODE_VIEW_SHIFT | (cpu->cpl == 3 ? MODE_USER : 0);
    bool usable = !(cpu->cr0 & (CR0_TS | CR0_EM));
    bool masked = (cpu->x87.mxcsr & MXCSR_MASKS) == MXCSR_MASKS;

    if (cpu->code_size != 64 || ((cpu->cr0 & CR0_AM) && (cpu->eflags & FL_AC) && cpu->cpl == 3)) {
        return MODE_NEVER;
    }
    if (usable && masked && (cpu->cr4 & CR4_OSFXSR)) {
        mode |= MODE_SSE;
    }
    if (!(cpu->cr0 & CR0_TS) && masked && (cpu->cr4 & CR4_OSXSAVE) &&
        !(~cpu->xcr0 & (XCR0_SSE | XCR0_AVX))) {
        mode |= MODE_AVX;
        mode |= ~cpu->xcr0 & XCR0_AVX512 ? 0 : MODE_AVX512;
    }
    return mode | MODE_CODE64;
}

static unsigned mode_number(Jit *jit, uint32_t mode)
{
    for (unsigned i = 0; i < jit->mode_count; i++) {
        if (jit->modes[i] == mode) {
            return i + 1;
        }
    }
    if (jit->mode_count == G_N_ELEMENTS(jit->modes) - 1) {
        jit->mode_count = 0;
        jit_forget_jumps(jit);
    }
    jit->modes[jit->mode_count++] = mode;
    return jit->mode_count;
}

/* The number of what map_generation or map_global_generation was @generation. */
static unsigned space_number(Jit *jit, uint64_t generation)
{
    JitSpace *space = &jit->spaces[generation % G_N_ELEMENTS(jit->spaces)];

    if (space->generation != generation) {
        *space = (JitSpace){.generation = generation, .number = ++jit->last_space};
    }
    return space->number;
}

void jit_note_map(Jit *jit)
{
    const X86CPU *cpu = jit->cpu;
    bool global = jit->map_global_generation != cpu->map_global_generation;

    if (!global && jit->map_generation == cpu->map_generation) {
        return;
    }
    jit->map_generation = cpu->map_generation;
    jit->map_global_generation = cpu->map_global_generation;
    jit_map_changed(jit, global);
    if (jit->last_space >= SPACES - 3) {
        jit_forget_jumps(jit);
        memset(jit->spaces, 0, sizeof(jit->spaces));
        jit->last_space = 0;
    }
    jit->user_space = space_number(jit, jit->map_generation);
    jit->global_space = space_number(jit, jit->map_global_generation);
}

uint64_t jit_salt(Jit *jit, uint32_t mode)
{
    uint64_t space = mode & MODE_USER ? jit->user_space : jit->global_space;

    return (space << 4 | mode_number(jit, mode)) << 48;
}
