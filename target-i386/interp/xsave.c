/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * XSAVE, XSAVEOPT, XSAVEC, XSAVES, XRSTOR, XRSTORS, in the standard and the compacted format (SDM 1
 * chapter 13). XSAVEOPT and XSAVES leave out components in their initial state but do not track
 * modification, which the architecture allows. There is no supervisor state component: IA32_XSS is
 * always 0.
 */
#include <string.h>

#include "target-i386/cpuid.h"
#include "target-i386/interp/fpu-image.h"
#include "target-i386/interp/system.h"
#include "target-i386/interp/vector.h"

#define XSAVE_HEADER    512
#define XSAVE_EXTENDED  576
#define XSAVE_MAX       2752 /* bytes: the end of the last component, PKRU, rounded up */
#define XCOMP_COMPACTED (1ull << 63)

/* Standard offsets as on Intel's CPUs (CPUID leaf 0xD). */
const XsaveComponent xsave_components[XSAVE_COMPONENTS] = {
    [0] = {0, 160, false},   [1] = {160, 256, false},  [2] = {576, 256, false},
    [5] = {1088, 64, false}, [6] = {1152, 512, false}, [7] = {1664, 1024, false},
    [9] = {2688, 8, false},
};

uint64_t xsave_supported(const X86CPU *cpu)
{
    return x86_xcr0_supported(cpu->features);
}

unsigned xsave_area_size(uint64_t mask, bool compacted)
{
    unsigned end = XSAVE_EXTENDED;

    for (unsigned i = 2; i < XSAVE_COMPONENTS; i++) {
        const XsaveComponent *c = &xsave_components[i];

        if ((mask >> i & 1) && c->size) {
            end = compacted ? (c->align64 ? (end + 63) & ~63u : end) + c->size
                            : MAX(end, (unsigned)c->offset + c->size);
        }
    }
    return end;
}

/* Where component @i lies in an area whose compacted components are @compacted (0: standard). */
static unsigned component_offset(unsigned i, uint64_t compacted)
{
    if (i < 2 || !compacted) {
        return xsave_components[i].offset;
    }
    return xsave_area_size(compacted & ((1ull << (i + 1)) - 1), true) - xsave_components[i].size;
}

/* --- components and their bytes ---------------- */

static void copy_vectors(X86CPU *cpu, uint8_t *at, unsigned first, unsigned count, unsigned from,
                         unsigned bytes, bool store)
{
    for (unsigned i = 0; i < count; i++) {
        uint8_t *vec = &cpu->vec[first + i].u8[from];

        if (store) {
            memcpy(at + i * bytes, vec, bytes);
        } else {
            memcpy(vec, at + i * bytes, bytes);
        }
    }
}

/*
 * Moves component @i between the CPU and its bytes. Outside 64-bit code only 8 vectors take part.
 */
static void component_copy(X86CPU *cpu, unsigned i, uint8_t *at, bool store, bool wide)
{
    unsigned vectors = cpu_code64(cpu) ? 16 : 8;

    switch (i) {
    case 0:
        if (store) {
            fpu_image_put_x87(cpu, at, wide);
        } else {
            fpu_image_get_x87(cpu, at, wide);
        }
        break;
    case 1:
        copy_vectors(cpu, at, 0, vectors, 0, 16, store);
        break;
    case 2:
        copy_vectors(cpu, at, 0, vectors, 16, 16, store);
        break;
    case 5:
        if (store) {
            memcpy(at, cpu->opmask, 64);
        } else {
            memcpy(cpu->opmask, at, 64);
        }
        break;
    case 6:
        copy_vectors(cpu, at, 0, vectors, 32, 32, store);
        break;
    case 7:
        if (cpu_code64(cpu)) {
            copy_vectors(cpu, at, 16, 16, 0, 64, store);
        }
        break;
    case 9:
        if (store) {
            memset(at, 0, 8);
            memcpy(at, &cpu->pkru, 4);
        } else {
            memcpy(&cpu->pkru, at, 4);
        }
        break;
    default:
        break;
    }
}

static void component_init(X86CPU *cpu, unsigned i)
{
    static const uint8_t zero[1024];

    if (i == 0) {
        x87_init(cpu);
        memset(cpu->x87.st, 0, sizeof(cpu->x87.st));
    } else {
        component_copy(cpu, i, (uint8_t *)zero, false, true);
    }
}

/* @size is a multiple of 8. Without a way out of the loop, compilers make vectors of it. */
static bool all_zero(const uint64_t *words, unsigned size)
{
    uint64_t any = 0;

    for (unsigned i = 0; i < size / 8; i++) {
        any |= words[i];
    }
    return !any;
}

/* XINUSE: components that are not in their initial state (SDM 1, 13.6). */
static uint64_t components_in_use(X86CPU *cpu, uint64_t among)
{
    uint64_t in_use = 0;

    for (unsigned i = 0; i < XSAVE_COMPONENTS; i++) {
        uint64_t words[1024 / 8];

        if (!(among >> i & 1)) {
            continue;
        }
        /* Not all of it is copied: outside 64-bit code the upper registers are not there. */
        memset(words, 0, i ? xsave_components[i].size : 160);
        component_copy(cpu, i, (uint8_t *)words, true, true);
        if (i == 0) {
            words[0] ^= 0x37f; /* FCW */
            words[3] = 0;      /* MXCSR is not of it */
        }
        in_use |= (uint64_t)!all_zero(words, i ? xsave_components[i].size : 160) << i;
    }
    return in_use;
}

/* --- saving
 * --------------------------------------------------------------------------------------- */

static uint64_t xsave_address(X86CPU *cpu, const Insn *insn, unsigned size, bool write)
{
    uint64_t va;

    if (!(cpu->cr4 & CR4_OSXSAVE)) {
        cpu_raise_ud(cpu);
    }
    if (cpu->cr0 & CR0_TS) {
        cpu_raise(cpu, EXC_NM);
    }
    va = insn_linear(cpu, insn, size, write);
    if (va & 63) {
        cpu_raise_gp(cpu, 0);
    }
    return va;
}

static uint64_t requested(const X86CPU *cpu)
{
    uint64_t mask = (uint32_t)cpu->regs[R_RAX] | cpu->regs[R_RDX] << 32;

    return mask & cpu->xcr0;
}

static void write_component(X86CPU *cpu, uint64_t va, unsigned i, uint64_t compacted, bool wide)
{
    uint64_t at = va + component_offset(i, compacted);
    uint8_t bytes[1024] = {0};
    unsigned size = xsave_components[i].size;

    component_copy(cpu, i, bytes, true, wide);
    if (i == 0) {
        mmu_write(cpu, cpu->mmu_view, at, bytes, 24);
        mmu_write(cpu, cpu->mmu_view, at + 32, bytes + 32, 128);
    } else if (cpu_code64(cpu) || i == 5 || i == 9) {
        mmu_write(cpu, cpu->mmu_view, at, bytes, size);
    } else if (i < 7) {
        mmu_write(cpu, cpu->mmu_view, at, bytes, size / 2); /* registers 0 to 7 */
    }
}

static void write_mxcsr(X86CPU *cpu, uint64_t va)
{
    uint32_t words[2] = {cpu->x87.mxcsr, MXCSR_DEFINED};

    mmu_write(cpu, cpu->mmu_view, va + 24, words, sizeof(words));
}

/* Insn.aux: REX.W; Insn.aux2: leave out initial components. */
static void xsave(X86CPU *cpu, const Insn *insn)
{
    uint64_t mask = requested(cpu), in_use, bv;
    unsigned size = xsave_area_size(mask, false);
    uint64_t va = xsave_address(cpu, insn, size, true);

    mmu_probe(cpu, cpu->mmu_view, va, size, ACCESS_WRITE);
    bv = mmu_load64(cpu, va + XSAVE_HEADER);
    in_use = components_in_use(cpu, mask);
    for (unsigned i = 0; i < XSAVE_COMPONENTS; i++) {
        if ((mask & (insn->aux2 ? in_use : mask)) >> i & 1) {
            write_component(cpu, va, i, 0, insn->aux);
        }
    }
    if (mask & (XCR0_SSE | XCR0_AVX)) {
        write_mxcsr(cpu, va);
    }
    mmu_store64(cpu, va + XSAVE_HEADER, (bv & ~mask) | in_use);
}

static void xsavec(X86CPU *cpu, const Insn *insn)
{
    uint64_t mask = requested(cpu), in_use;
    unsigned size = xsave_area_size(mask, true);
    uint64_t va = xsave_address(cpu, insn, size, true);

    mmu_probe(cpu, cpu->mmu_view, va, size, ACCESS_WRITE);
    in_use = components_in_use(cpu, mask);
    if ((mask & XCR0_SSE) && cpu->x87.mxcsr != MXCSR_DEFAULT) {
        in_use |= XCR0_SSE;
    }
    for (unsigned i = 0; i < XSAVE_COMPONENTS; i++) {
        if (in_use >> i & 1) {
            write_component(cpu, va, i, mask, insn->aux);
        }
    }
    if (in_use & XCR0_SSE) {
        write_mxcsr(cpu, va);
    }
    mmu_store64(cpu, va + XSAVE_HEADER, in_use);
    mmu_store64(cpu, va + XSAVE_HEADER + 8, mask | XCOMP_COMPACTED);
}

/* XSAVES differs from XSAVEC in that only the kernel may use it (SDM 1, 13.11). */
static void xsaves(X86CPU *cpu, const Insn *insn)
{
    if (cpu->cr4 & CR4_OSXSAVE) {
        cpu_require_cpl0(cpu);
    }
    xsavec(cpu, insn);
}

/* --- restoring
 * --------------------------------------------------------------------------------------- */

/*
 * #GP for headers that SDM 1, 13.8 forbids. Returns the compacted components, 0: standard format.
 */
static uint64_t check_header(X86CPU *cpu, const uint8_t *area)
{
    uint64_t header[8], bv, comp;
    bool bad;

    memcpy(header, area + XSAVE_HEADER, sizeof(header));
    bv = header[0];
    comp = header[1];
    if (comp & XCOMP_COMPACTED) {
        bad = !(cpu_has(cpu, X86_FEATURE_XSAVEC) || cpu_has(cpu, X86_FEATURE_XSAVES)) ||
              (comp & ~XCOMP_COMPACTED & ~cpu->xcr0) ||
              (bv & ~comp) || !all_zero(header + 2, 48);
    } else {
        bad = (bv & ~cpu->xcr0) || !all_zero(header + 1, 16);
    }
    if (bad) {
        cpu_raise_gp(cpu, 0);
    }
    return comp;
}

static bool loads_mxcsr(uint64_t mask, uint64_t bv, uint64_t compacted)
{
    if (compacted) {
        return mask & bv & XCR0_SSE;
    }
    return mask & (XCR0_SSE | XCR0_AVX);
}

static void restore(X86CPU *cpu, uint8_t *area, uint64_t mask, uint64_t compacted, bool wide)
{
    uint32_t mxcsr, pkru = cpu->pkru;
    uint64_t bv;

    memcpy(&bv, area + XSAVE_HEADER, 8);
    memcpy(&mxcsr, area + 24, 4);
    if (loads_mxcsr(mask, bv, compacted)) {
        if (mxcsr & ~(uint32_t)MXCSR_DEFINED) {
            cpu_raise_gp(cpu, 0);
        }
        cpu->x87.mxcsr = mxcsr;
    } else if (compacted && (mask & XCR0_SSE)) {
        cpu->x87.mxcsr = MXCSR_DEFAULT;
    }
    for (unsigned i = 0; i < XSAVE_COMPONENTS; i++) {
        if (!(mask >> i & 1)) {
            continue;
        }
        if (bv >> i & 1) {
            component_copy(cpu, i, area + component_offset(i, compacted), false, wide);
        } else {
            component_init(cpu, i);
        }
    }
    if (cpu->pkru != pkru) {
        mmu_flush_rights(cpu); /* cached permissions depend on PKRU */
    }
}

static void xrstor(X86CPU *cpu, const Insn *insn)
{
    uint64_t mask = requested(cpu), compacted;
    uint64_t va = xsave_address(cpu, insn, XSAVE_EXTENDED, false);
    uint8_t area[XSAVE_MAX];

    mmu_read(cpu, cpu->mmu_view, va, area, XSAVE_EXTENDED);
    compacted = check_header(cpu, area);
    if (compacted) {
        /* The layout is the header's, of which only the requested components are read. */
        for (unsigned i = 2; i < XSAVE_COMPONENTS; i++) {
            if (mask & compacted & (1ull << i)) {
                unsigned at = component_offset(i, compacted);

                mmu_read(cpu, cpu->mmu_view, va + at, area + at, xsave_components[i].size);
            }
        }
    } else {
        unsigned size = xsave_area_size(mask, false);

        mmu_read(cpu, cpu->mmu_view, va, area, size);
    }
    restore(cpu, area, mask, compacted, insn->aux);
}

/* XRSTORS takes the compacted format only (SDM 1, 13.12). */
static void xrstors(X86CPU *cpu, const Insn *insn)
{
    if (cpu->cr4 & CR4_OSXSAVE) {
        uint64_t va;

        cpu_require_cpl0(cpu);
        va = xsave_address(cpu, insn, XSAVE_EXTENDED, false);
        if (!(mmu_load64(cpu, va + XSAVE_HEADER + 8) & XCOMP_COMPACTED)) {
            cpu_raise_gp(cpu, 0);
        }
    }
    xrstor(cpu, insn);
}

INSN_FAMILY(xsave)
{
    insn->aux = 0;
    insn->aux2 = 0;
    switch (src->zi->mnemonic) {
    case ZYDIS_MNEMONIC_XSAVE64:
        insn->aux = 1;
        return xsave;
    case ZYDIS_MNEMONIC_XSAVE:
        return xsave;
    case ZYDIS_MNEMONIC_XSAVEOPT64:
        insn->aux = 1;
        insn->aux2 = 1;
        return xsave;
    case ZYDIS_MNEMONIC_XSAVEOPT:
        insn->aux2 = 1;
        return xsave;
    case ZYDIS_MNEMONIC_XSAVEC64:
        insn->aux = 1;
        return xsavec;
    case ZYDIS_MNEMONIC_XSAVEC:
        return xsavec;
    case ZYDIS_MNEMONIC_XSAVES64:
        insn->aux = 1;
        return xsaves;
    case ZYDIS_MNEMONIC_XSAVES:
        return xsaves;
    case ZYDIS_MNEMONIC_XRSTORS64:
        insn->aux = 1;
        return xrstors;
    case ZYDIS_MNEMONIC_XRSTORS:
        return xrstors;
    case ZYDIS_MNEMONIC_XRSTOR64:
        insn->aux = 1;
        return xrstor;
    case ZYDIS_MNEMONIC_XRSTOR:
        return xrstor;
    default:
        return NULL;
    }
}
