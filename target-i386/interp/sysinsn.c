/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * System instructions that stand alone: HLT, cache control, time stamps, MSR access, CPUID, XCR0,
 * PKRU, MONITOR. What this CPU does not have (SMM, VMX, SVM, SMX) has no row and so is #UD.
 */
#include <sched.h>

#include "target-i386/interp/system.h"

static void set_edx_eax(X86CPU *cpu, uint64_t value)
{
    cpu->regs[R_RAX] = (uint32_t)value;
    cpu->regs[R_RDX] = value >> 32;
}

static uint64_t get_edx_eax(const X86CPU *cpu)
{
    return (uint32_t)cpu->regs[R_RAX] | cpu->regs[R_RDX] << 32;
}

/* --- HLT, PAUSE, caches -------------------------------------------------------------------- */

static void insn_hlt(X86CPU *cpu, const Insn *insn)
{
    cpu_require_cpl0(cpu);
    insn_advance(cpu, insn);
    cpu->vcpu.halted = true;
}

/* A spinning vCPU may well wait for one that has no host CPU now, or not its turn. */
static void insn_pause(X86CPU *cpu, const Insn *insn)
{
    if (cpu->vcpu.scheduler) {
        cpu->vcpu.scheduler->yield(&cpu->vcpu);
    } else {
        sched_yield();
    }
}

static void insn_privileged_nop(X86CPU *cpu, const Insn *insn)
{
    cpu_require_cpl0(cpu);
}

static void insn_end_nop(X86CPU *cpu, const Insn *insn)
{
    insn_advance(cpu, insn);
}

/* CLFLUSH and its kin fault as a byte load does (SDM 2A CLFLUSH). */
static void insn_cache_line(X86CPU *cpu, const Insn *insn)
{
    mmu_probe(cpu, cpu->mmu_view, insn_linear(cpu, insn, 1, false), 1, ACCESS_READ);
}

static void insn_clzero(X86CPU *cpu, const Insn *insn)
{
    static const uint8_t zero[64];
    uint64_t offset = cpu->regs[R_RAX];

    offset = insn->addrsize == 8 ? offset : insn->addrsize == 4 ? (uint32_t)offset
                                                                : (uint16_t)offset;
    offset = seg_linear(cpu, insn->seg, offset & ~63ull, 64, true);
    mmu_write(cpu, cpu->mmu_view, offset, zero, sizeof(zero));
}

/* The segment of an implicit memory operand: DS unless overridden. */
static SegReg source_segment(const InsnSource *src)
{
    for (unsigned i = 0; i < src->zi->operand_count; i++) {
        const ZydisDecodedOperand *op = &src->ops[i];

        if (op->type == ZYDIS_OPERAND_TYPE_MEMORY && op->mem.segment != ZYDIS_REGISTER_NONE) {
            return (SegReg)(op->mem.segment - ZYDIS_REGISTER_ES);
        }
    }
    return SEG_DS;
}

INSN_FAMILY(cache)
{
    switch (src->zi->mnemonic) {
    case ZYDIS_MNEMONIC_INVD:
    case ZYDIS_MNEMONIC_WBINVD:
        return insn_privileged_nop;
    case ZYDIS_MNEMONIC_CLZERO:
        insn->seg = source_segment(src);
        return insn_clzero;
    default:
        return insn->ea == EA_NONE ? NULL : insn_cache_line;
    }
}

INSN_FAMILY(idle)
{
    switch (src->zi->mnemonic) {
    case ZYDIS_MNEMONIC_PAUSE:
        return insn_pause;
    case ZYDIS_MNEMONIC_SERIALIZE:
        insn->flags |= INSN_END;
        return insn_end_nop;
    default:
        insn->flags |= INSN_END;
        return insn_hlt;
    }
}

/* --- MONITOR, MWAIT ----------------------------------------------------------------------------
 */

static void insn_monitor(X86CPU *cpu, const Insn *insn)
{
    uint64_t offset = cpu->regs[R_RAX];

    if (cpu->cpl != 0) {
        cpu_raise_ud(cpu);
    }
    if ((uint32_t)cpu->regs[R_RCX]) {
        cpu_raise_gp(cpu, 0);
    }
    offset = insn->addrsize == 8 ? offset : insn->addrsize == 4 ? (uint32_t)offset
                                                                : (uint16_t)offset;
    mmu_probe(cpu, cpu->mmu_view, seg_linear(cpu, insn->seg, offset, 1, false), 1, ACCESS_READ);
}

/* May return at any time by the architecture; does so at once, since no store is watched. */
static void insn_mwait(X86CPU *cpu, const Insn *insn)
{
    if (cpu->cpl != 0) {
        cpu_raise_ud(cpu);
    }
    if ((uint32_t)cpu->regs[R_RCX] & ~1u) {
        cpu_raise_gp(cpu, 0);
    }
    sched_yield();
}

INSN_FAMILY(monitor)
{
    if (src->zi->mnemonic == ZYDIS_MNEMONIC_MWAIT) {
        return insn_mwait;
    }
    insn->seg = source_segment(src);
    return insn_monitor;
}

/* --- time stamps, CPUID
 * ---------------------------------------------------------------------------- */

static void check_tsd(X86CPU *cpu)
{
    if ((cpu->cr4 & CR4_TSD) && cpu->cpl > 0) {
        cpu_raise_gp(cpu, 0);
    }
}

static void insn_rdtsc(X86CPU *cpu, const Insn *insn)
{
    check_tsd(cpu);
    set_edx_eax(cpu, cpu_read_tsc(cpu));
}

static void insn_rdtscp(X86CPU *cpu, const Insn *insn)
{
    insn_rdtsc(cpu, insn);
    cpu->regs[R_RCX] = (uint32_t)cpu->msr_tsc_aux;
}

static void insn_rdpid(X86CPU *cpu, const Insn *insn)
{
    reg_set(cpu, insn->rm, cpu->msr_tsc_aux, insn->opsize);
}

/* No performance counter is offered, so every number is one too high. */
static void insn_rdpmc(X86CPU *cpu, const Insn *insn)
{
    cpu_raise_gp(cpu, 0);
}

static void insn_cpuid(X86CPU *cpu, const Insn *insn)
{
    uint32_t out[4] = {0};

    cpu_cpuid_remember(cpu, cpu->regs[R_RAX], cpu->regs[R_RCX], out);
    cpu->regs[R_RAX] = out[0];
    cpu->regs[R_RBX] = out[1];
    cpu->regs[R_RCX] = out[2];
    cpu->regs[R_RDX] = out[3];
}

INSN_FAMILY(identify)
{
    insn->rm = source_rm(src);
    insn->opsize = cpu_code64(src->cpu) ? 8 : 4;
    switch (src->zi->mnemonic) {
    case ZYDIS_MNEMONIC_RDTSC: return insn_rdtsc;
    case ZYDIS_MNEMONIC_RDTSCP: return insn_rdtscp;
    case ZYDIS_MNEMONIC_RDPID: return insn_rdpid;
    case ZYDIS_MNEMONIC_RDPMC: return insn_rdpmc;
    default: return insn_cpuid;
    }
}

/* --- MSRs
 * -------------------------------------------------------------------------------------------- */

static void insn_rdmsr(X86CPU *cpu, const Insn *insn)
{
    uint64_t value;

    cpu_require_cpl0(cpu);
    if (!cpu_msr_read(cpu, cpu->regs[R_RCX], &value)) {
        cpu_raise_gp(cpu, 0);
    }
    set_edx_eax(cpu, value);
}

static void insn_wrmsr(X86CPU *cpu, const Insn *insn)
{
    cpu_require_cpl0(cpu);
    if (!cpu_msr_write(cpu, cpu->regs[R_RCX], get_edx_eax(cpu))) {
        cpu_raise_gp(cpu, 0);
    }
    insn_advance(cpu, insn);
}

INSN_FAMILY(msr)
{
    if (src->zi->mnemonic == ZYDIS_MNEMONIC_RDMSR) {
        return insn_rdmsr;
    }
    insn->flags |= INSN_END;
    return insn_wrmsr;
}

/* --- XCR0, PKRU
 * ---------------------------------------------------------------------------------------- */

enum {
    XCR0_X87 = 1u << 0, XCR0_SSE = 1u << 1, XCR0_AVX = 1u << 2, XCR0_AVX512 = 7u << 5,
    XCR0_PKRU = 1u << 9,
};

static void require_osxsave(X86CPU *cpu)
{
    if (!(cpu->cr4 & CR4_OSXSAVE)) {
        cpu_raise_ud(cpu);
    }
}

/* XCR1 reads which components are in use; all enabled ones may be said to be (SDM 1, 13.2). */
static void insn_xgetbv(X86CPU *cpu, const Insn *insn)
{
    uint32_t n = cpu->regs[R_RCX];

    require_osxsave(cpu);
    if (n > 1 || (n == 1 && !cpu_has(cpu, X86_FEATURE_XGETBV1))) {
        cpu_raise_gp(cpu, 0);
    }
    set_edx_eax(cpu, cpu->xcr0);
}

/* Components offered, and which need which (SDM 1, 13.3). */
static bool xcr0_valid(const X86CPU *cpu, uint64_t value)
{
    uint64_t offered = XCR0_X87 | XCR0_SSE | (cpu_has(cpu, X86_FEATURE_AVX) ? XCR0_AVX : 0) |
                       (cpu_has(cpu, X86_FEATURE_AVX512F) ? XCR0_AVX512 : 0) |
                       (cpu_has(cpu, X86_FEATURE_PKU) ? XCR0_PKRU : 0);
    uint64_t avx512 = value & XCR0_AVX512;

    if ((value & ~offered) || !(value & XCR0_X87)) {
        return false;
    }
    if ((value & XCR0_AVX) && !(value & XCR0_SSE)) {
        return false;
    }
    return !avx512 || (avx512 == XCR0_AVX512 && (value & XCR0_AVX));
}

static void insn_xsetbv(X86CPU *cpu, const Insn *insn)
{
    uint64_t value = get_edx_eax(cpu);

    require_osxsave(cpu);
    cpu_require_cpl0(cpu);
    if ((uint32_t)cpu->regs[R_RCX] || !xcr0_valid(cpu, value)) {
        cpu_raise_gp(cpu, 0);
    }
    cpu->xcr0 = value;
    cpu_cpuid_forget(cpu);
    insn_advance(cpu, insn);
}

INSN_FAMILY(xcr)
{
    if (src->zi->mnemonic == ZYDIS_MNEMONIC_XGETBV) {
        return insn_xgetbv;
    }
    insn->flags |= INSN_END;
    return insn_xsetbv;
}

static void require_pke(X86CPU *cpu)
{
    if (!(cpu->cr4 & CR4_PKE)) {
        cpu_raise_ud(cpu);
    }
    if ((uint32_t)cpu->regs[R_RCX]) {
        cpu_raise_gp(cpu, 0);
    }
}

static void insn_rdpkru(X86CPU *cpu, const Insn *insn)
{
    require_pke(cpu);
    set_edx_eax(cpu, cpu->pkru);
}

static void insn_wrpkru(X86CPU *cpu, const Insn *insn)
{
    require_pke(cpu);
    if ((uint32_t)cpu->regs[R_RDX]) {
        cpu_raise_gp(cpu, 0);
    }
    if (cpu->pkru != (uint32_t)cpu->regs[R_RAX]) {
        cpu->pkru = cpu->regs[R_RAX];
        mmu_flush_rights(cpu);
    }
    insn_advance(cpu, insn);
}

INSN_FAMILY(pkru)
{
    if (src->zi->mnemonic == ZYDIS_MNEMONIC_RDPKRU) {
        return insn_rdpkru;
    }
    insn->flags |= INSN_END;
    return insn_wrpkru;
}
