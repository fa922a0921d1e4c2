/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * x87 control: control and status words, environments in all their formats (SDM 1, 8.1.10), FSAVE,
 * FRSTOR, FXSAVE, FXRSTOR (SDM 1, 10.5).
 */
#include "target-i386/interp/vector.h"

#include <string.h>

#include "target-i386/interp/fpu-image.h"

static void x87_check_nm(X86CPU *cpu)
{
    if (cpu->cr0 & (CR0_EM | CR0_TS)) {
        cpu_raise(cpu, EXC_NM);
    }
}

/* --- words ------------------------------------------------------------------------------ */

static void fninit(X86CPU *cpu, const Insn *insn)
{
    x87_check_nm(cpu);
    x87_init(cpu);
}

static void fnclex(X86CPU *cpu, const Insn *insn)
{
    x87_check_nm(cpu);
    cpu->x87.fsw &= 0x7f00;
}

static void fwait(X86CPU *cpu, const Insn *insn)
{
    if ((cpu->cr0 & (CR0_MP | CR0_TS)) == (CR0_MP | CR0_TS)) {
        cpu_raise(cpu, EXC_NM);
    }
    x87_check_pending(cpu);
}

/* FENI, FDISI, FSETPM of older coprocessors: nothing, and they do not wait. */
static void old_nop(X86CPU *cpu, const Insn *insn)
{
    x87_check_nm(cpu);
}

static void fnstsw_ax(X86CPU *cpu, const Insn *insn)
{
    x87_check_nm(cpu);
    reg_set16(cpu, R_RAX * 8, cpu->x87.fsw);
}

static void fnstsw(X86CPU *cpu, const Insn *insn)
{
    x87_check_nm(cpu);
    mmu_store16(cpu, insn_linear(cpu, insn, 2, true), cpu->x87.fsw);
}

static void fnstcw(X86CPU *cpu, const Insn *insn)
{
    x87_check_nm(cpu);
    mmu_store16(cpu, insn_linear(cpu, insn, 2, true), cpu->x87.fcw);
}

/* Bit 6 is always set; bits 7 and 15:13 do not exist. */
static void load_control(X86CPU *cpu, uint16_t fcw)
{
    cpu->x87.fcw = (fcw & 0x1f3f) | 0x40;
}

static void fldcw(X86CPU *cpu, const Insn *insn)
{
    x87_check_nm(cpu);
    x87_check_pending(cpu);
    load_control(cpu, mmu_load16(cpu, insn_linear(cpu, insn, 2, false)));
    x87_update_summary(cpu);
}

/* --- environments ---------------- */

/* Two bits a register, by physical number: valid, zero, special, empty (SDM 1, 8.1.7). */
static uint16_t full_tags(const X87State *x87)
{
    unsigned top = x87->fsw >> FPU_TOP_SHIFT & 7;
    uint16_t tags = 0;

    for (unsigned i = 0; i < 8; i++) {
        const uint8_t *bytes = x87->st[(i - top) & 7].bytes;
        uint64_t mantissa;
        uint16_t exponent;
        unsigned tag;

        memcpy(&mantissa, bytes, 8);
        memcpy(&exponent, bytes + 8, 2);
        exponent &= 0x7fff;
        if (!(x87->ftw >> i & 1)) {
            tag = 3;
        } else if (exponent == 0 && mantissa == 0) {
            tag = 1;
        } else {
            tag = exponent == 0 || exponent == 0x7fff || !(mantissa >> 63) ? 2 : 0;
        }
        tags |= tag << (i * 2);
    }
    return tags;
}

static uint8_t abridged_tags(uint16_t tags)
{
    uint8_t result = 0;

    for (unsigned i = 0; i < 8; i++) {
        result |= ((tags >> (i * 2) & 3) != 3) << i;
    }
    return result;
}

static unsigned env_size(const Insn *insn)
{
    return insn->opsize == 2 ? 14 : 28;
}

static void env_build(const X86CPU *cpu, unsigned size, uint8_t *out)
{
    const X87State *x87 = &cpu->x87;
    uint32_t ip = x87->fip, dp = x87->fdp;
    uint16_t tags = full_tags(x87);
    bool real = !cpu_pm(cpu);

    if (size == 14) {
        uint16_t words[7] = {x87->fcw, x87->fsw, tags, ip, x87->fip >> 32, dp, x87->fdp >> 32};

        if (real) {
            words[4] = (ip >> 16 & 15) << 12 | x87->fop;
            words[6] = (dp >> 16 & 15) << 12;
        }
        memcpy(out, words, sizeof(words));
    } else {
        uint32_t words[7] = {0xffff0000 | x87->fcw,
                             0xffff0000 | x87->fsw,
                             0xffff0000 | tags,
                             ip,
                             (uint32_t)x87->fop << 16 | (uint16_t)(x87->fip >> 32),
                             dp,
                             0xffff0000 | (uint16_t)(x87->fdp >> 32)};

        if (real) {
            words[3] = 0xffff0000 | (uint16_t)ip;
            words[4] = (ip >> 16) << 12 | x87->fop;
            words[5] = 0xffff0000 | (uint16_t)dp;
            words[6] = (dp >> 16) << 12;
        }
        memcpy(out, words, sizeof(words));
    }
}

static void env_load_pointers(X86CPU *cpu, const uint32_t ip[2], const uint32_t dp[2])
{
    X87State *x87 = &cpu->x87;
    bool selectors = !cpu_has(cpu, X86_FEATURE_ZERO_FCS_FDS);

    x87->fop = ip[1] >> 16 & 0x7ff;
    x87->fip = ip[0] | (selectors ? (uint64_t)(ip[1] & 0xffff) << 32 : 0);
    x87->fdp = dp[0] | (selectors ? (uint64_t)(dp[1] & 0xffff) << 32 : 0);
}

static void env_load(X86CPU *cpu, unsigned size, const uint8_t *in)
{
    X87State *x87 = &cpu->x87;
    bool real = !cpu_pm(cpu);
    uint32_t words[7];

    for (unsigned i = 0; i < 7; i++) {
        words[i] = 0;
        memcpy(&words[i], in + i * (size / 7), size / 7);
    }
    load_control(cpu, words[0]);
    x87_set_top(cpu, words[1] >> FPU_TOP_SHIFT & 7);
    x87->fsw = words[1];
    x87->ftw = abridged_tags(words[2]);
    if (real) {
        unsigned high = size == 14 ? 15 : 0xffff;

        x87->fop = words[4] & 0x7ff;
        x87->fip = (words[3] & 0xffff) | (words[4] >> 12 & high) << 16;
        x87->fdp = (words[5] & 0xffff) | (words[6] >> 12 & high) << 16;
    } else if (size == 14) {
        uint32_t ip[2] = {words[3], words[4]}, dp[2] = {words[5], words[6]};

        env_load_pointers(cpu, ip, dp);
    } else {
        env_load_pointers(cpu, &words[3], &words[5]);
    }
    x87_update_summary(cpu);
}

static void fnstenv(X86CPU *cpu, const Insn *insn)
{
    unsigned size = env_size(insn);
    uint8_t env[28];

    x87_check_nm(cpu);
    env_build(cpu, size, env);
    mmu_write(cpu, cpu->mmu_view, insn_linear(cpu, insn, size, true), env, size);
    cpu->x87.fcw |= FPU_ALL;
    x87_update_summary(cpu);
}

static void fldenv(X86CPU *cpu, const Insn *insn)
{
    unsigned size = env_size(insn);
    uint8_t env[28];

    x87_check_nm(cpu);
    x87_check_pending(cpu);
    mmu_read(cpu, cpu->mmu_view, insn_linear(cpu, insn, size, false), env, size);
    env_load(cpu, size, env);
}

static void fnsave(X86CPU *cpu, const Insn *insn)
{
    unsigned size = env_size(insn);
    uint8_t image[28 + 80];

    x87_check_nm(cpu);
    env_build(cpu, size, image);
    for (unsigned i = 0; i < 8; i++) {
        memcpy(image + size + i * 10, cpu->x87.st[i].bytes, 10);
    }
    mmu_write(cpu, cpu->mmu_view, insn_linear(cpu, insn, size + 80, true), image, size + 80);
    x87_init(cpu);
}

static void frstor(X86CPU *cpu, const Insn *insn)
{
    unsigned size = env_size(insn);
    uint8_t image[28 + 80];

    x87_check_nm(cpu);
    x87_check_pending(cpu);
    mmu_read(cpu, cpu->mmu_view, insn_linear(cpu, insn, size + 80, false), image, size + 80);
    env_load(cpu, size, image);
    for (unsigned i = 0; i < 8; i++) {
        memcpy(cpu->x87.st[i].bytes, image + size + i * 10, 10);
    }
}

INSN_FAMILY(x87_control)
{
    switch (src->zi->mnemonic) {
    case ZYDIS_MNEMONIC_FNINIT:
        return fninit;
    case ZYDIS_MNEMONIC_FNCLEX:
        return fnclex;
    case ZYDIS_MNEMONIC_FWAIT:
        return fwait;
    case ZYDIS_MNEMONIC_FENI8087_NOP:
    case ZYDIS_MNEMONIC_FDISI8087_NOP:
    case ZYDIS_MNEMONIC_FSETPM287_NOP:
        return old_nop;
    case ZYDIS_MNEMONIC_FNSTCW:
        return fnstcw;
    case ZYDIS_MNEMONIC_FLDCW:
        return fldcw;
    case ZYDIS_MNEMONIC_FNSTENV:
        return fnstenv;
    case ZYDIS_MNEMONIC_FLDENV:
        return fldenv;
    case ZYDIS_MNEMONIC_FNSAVE:
        return fnsave;
    case ZYDIS_MNEMONIC_FRSTOR:
        return frstor;
    case ZYDIS_MNEMONIC_FNSTSW:
        return insn->ea == EA_NONE ? fnstsw_ax : fnstsw;
    default:
        return NULL;
    }
}

/* --- FXSAVE ---------------------------------------------------------------------------------- */

void fpu_image_put_x87(const X86CPU *cpu, uint8_t *image, bool wide)
{
    X87State x87 = cpu->x87;

    if (!wide) {
        x87.fip &= 0xffffffffffffull;
        x87.fdp &= 0xffffffffffffull;
    }
    memcpy(image, &x87, 24);
    for (unsigned i = 0; i < 8; i++) {
        memcpy(image + 32 + i * 16, x87.st[i].bytes, 10);
        memset(image + 32 + i * 16 + 10, 0, 6);
    }
}

void fpu_image_get_x87(X86CPU *cpu, const uint8_t *image, bool wide)
{
    X87State *x87 = &cpu->x87;
    uint32_t mxcsr = x87->mxcsr, mask = x87->mxcsr_mask;

    memcpy(x87, image, sizeof(*x87));
    x87->mxcsr = mxcsr;
    x87->mxcsr_mask = mask;
    x87->reserved = 0;
    x87->fop &= 0x7ff;
    load_control(cpu, x87->fcw);
    if (wide) { /* the instruction pointer becomes canonical, the data pointer does not */
        unsigned unused = 64 - cpu->virt_bits;

        x87->fip = (uint64_t)((int64_t)(x87->fip << unused) >> unused);
    } else {
        uint64_t keep = cpu_has(cpu, X86_FEATURE_ZERO_FCS_FDS) ? UINT32_MAX : 0xffffffffffffull;

        x87->fip &= keep;
        x87->fdp &= keep;
    }
    x87_update_summary(cpu);
}

static unsigned xmm_count(const X86CPU *cpu)
{
    return cpu_code64(cpu) ? 16 : 8;
}

static uint64_t fx_address(X86CPU *cpu, const Insn *insn, bool write)
{
    uint64_t va;

    x87_check_nm(cpu);
    va = insn_linear(cpu, insn, 512, write);
    if (va & 15) {
        cpu_raise_gp(cpu, 0);
    }
    return va;
}

static void fxsave(X86CPU *cpu, const Insn *insn)
{
    uint64_t va = fx_address(cpu, insn, true);
    unsigned size = 160 + 16 * xmm_count(cpu);
    uint8_t image[416];
    uint32_t mask = MXCSR_DEFINED;

    mmu_probe(cpu, cpu->mmu_view, va, 512, ACCESS_WRITE);
    fpu_image_put_x87(cpu, image, insn->aux);
    memcpy(image + 24, &cpu->x87.mxcsr, 4);
    memcpy(image + 28, &mask, 4);
    for (unsigned i = 0; i < xmm_count(cpu); i++) {
        memcpy(image + 160 + 16 * i, &cpu->vec[i], 16);
    }
    mmu_write(cpu, cpu->mmu_view, va, image, size);
}

static void fxrstor(X86CPU *cpu, const Insn *insn)
{
    uint64_t va = fx_address(cpu, insn, false);
    uint8_t image[512];
    uint32_t mxcsr;

    mmu_read(cpu, cpu->mmu_view, va, image, sizeof(image));
    memcpy(&mxcsr, image + 24, 4);
    if (mxcsr & ~(uint32_t)MXCSR_DEFINED) {
        cpu_raise_gp(cpu, 0);
    }
    fpu_image_get_x87(cpu, image, insn->aux);
    cpu->x87.mxcsr = mxcsr;
    for (unsigned i = 0; i < xmm_count(cpu); i++) {
        memcpy(&cpu->vec[i], image + 160 + 16 * i, 16);
    }
}

INSN_FAMILY(fxsave)
{
    ZydisMnemonic mnemonic = src->zi->mnemonic;

    insn->aux = mnemonic == ZYDIS_MNEMONIC_FXSAVE64 || mnemonic == ZYDIS_MNEMONIC_FXRSTOR64;
    return mnemonic == ZYDIS_MNEMONIC_FXSAVE || mnemonic == ZYDIS_MNEMONIC_FXSAVE64 ? fxsave
                                                                                    : fxrstor;
}

/* --- MXCSR ------------------------------------------------------------------------------------ */

static void ldmxcsr(X86CPU *cpu, const Insn *insn)
{
    uint32_t value;

    vector_check(cpu, insn->aux);
    value = mmu_load32(cpu, insn_linear(cpu, insn, 4, false));
    if (value & ~(uint32_t)MXCSR_DEFINED) {
        cpu_raise_gp(cpu, 0);
    }
    cpu->x87.mxcsr = value;
}

static void stmxcsr(X86CPU *cpu, const Insn *insn)
{
    vector_check(cpu, insn->aux);
    mmu_store32(cpu, insn_linear(cpu, insn, 4, true), cpu->x87.mxcsr);
}

INSN_FAMILY(mxcsr)
{
    ZydisMnemonic mnemonic = src->zi->mnemonic;
    bool vex = src->zi->encoding == ZYDIS_INSTRUCTION_ENCODING_VEX;

    if (vex && (!cpu_has(src->cpu, X86_FEATURE_AVX) || !cpu_pm(src->cpu))) {
        return NULL;
    }
    insn->aux = vex ? THUNK_CHECK_VEX : THUNK_CHECK_SSE;
    return mnemonic == ZYDIS_MNEMONIC_LDMXCSR || mnemonic == ZYDIS_MNEMONIC_VLDMXCSR ? ldmxcsr
                                                                                     : stmxcsr;
}
