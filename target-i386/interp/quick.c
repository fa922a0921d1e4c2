/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The common case of system instructions (SDM 2, by name). Compiled for general registers only:
 * nothing here may call what is not, nor raise, nor change anything before all is checked.
 */
#include "target-i386/interp/quick.h"

#include "target-i386/interp/system.h"

#define FL_POPF64 (FL_ARITH | FL_TF | FL_DF | FL_NT | FL_AC | FL_ID)
#define FL_IRET64 FL_POPF64 /* RF is dropped where no breakpoint is armed */

enum { MSR_FS_BASE = 0xc0000100, MSR_GS_BASE, MSR_KERNEL_GS_BASE };

typedef bool QuickFn(X86CPU *cpu, const Insn *insn);

/* The host's address of @size bytes at @va in one page of plain RAM, else NULL. */
static void *quick_host(X86CPU *cpu, MmuView view, uint64_t va, unsigned size, bool write)
{
    const TlbEntry *entry = mmu_tlb_entry(cpu, view, va);
    uint64_t tag = write ? entry->write_tag : entry->read_tag;

    if ((va ^ tag) > GUEST_PAGE_SIZE - size) {
        return mmu_tlb_host(cpu, view, va, size, write);
    }
    return (void *)(va + entry->addend);
}

/* --- flags -------------------------------------------------------------------------- */

static bool quick_popf(X86CPU *cpu, const Insn *insn)
{
    const uint64_t *host;
    uint32_t mask = FL_POPF64;

    if (insn->opsize != 8) {
        return false;
    }
    host = quick_host(cpu, cpu->mmu_view, cpu->regs[R_RSP], 8, false);
    if (!host || (*host & FL_TF)) {
        return false;
    }
    mask |= cpu->cpl == 0 ? FL_IOPL : 0;
    mask |= cpu->cpl <= cpu_iopl(cpu) ? FL_IF : 0;
    cpu->regs[R_RSP] += 8;
    cpu_set_eflags(cpu, *host, mask);
    insn_advance(cpu, insn);
    return true;
}

/* --- system calls ---------------------------------------------------------------------- */

static bool quick_syscall(X86CPU *cpu, const Insn *insn)
{
    uint16_t cs = (cpu->msr_star >> 32) & 0xfffc;

    if (!(cpu->efer & EFER_SCE)) {
        return false;
    }
    cpu->regs[R_RCX] = insn_next_rip(cpu, insn);
    cpu->regs[R_R11] = cpu_get_eflags(cpu) & ~FL_RF;
    cpu->cpu_rip = cpu->msr_lstar;
    cpu_set_eflags(cpu, 0, (uint32_t)cpu->msr_fmask | FL_RF);
    cpu_set_flat_cs_ss(cpu, cs, cs + 8, 0, true);
    return true;
}

static bool quick_sysret(X86CPU *cpu, const Insn *insn)
{
    uint16_t base = cpu->msr_star >> 48;

    if (insn->opsize != 8 || !(cpu->efer & EFER_SCE) || cpu->cpl != 0 ||
        (cpu->regs[R_R11] & FL_TF) || !cpu_canonical(cpu, cpu->regs[R_RCX])) {
        return false;
    }
    cpu_set_eflags(cpu, cpu->regs[R_R11],
                   FL_POPF64 | FL_IF | FL_IOPL | FL_VIF | FL_VIP);
    cpu->cpu_rip = cpu->regs[R_RCX];
    cpu_set_flat_cs_ss(cpu, (base + 16) | 3, (base + 8) | 3, 3, true);
    return true;
}

/* --- IRET ---------------------------------------------------------------------------------- */

/* A descriptor of the GDT that is present, not of the system, accessed, of privilege @dpl. */
static bool quick_descriptor(X86CPU *cpu, uint16_t selector, unsigned dpl, Descriptor *d)
{
    const uint64_t *host;

    if ((selector & 4) || selector_rpl(selector) != dpl || (selector | 7) > cpu->gdtr.limit) {
        return false;
    }
    d->va = cpu->gdtr.base + (selector & ~7);
    host = quick_host(cpu, mmu_system_view(cpu), d->va, 8, false);
    if (!host) {
        return false;
    }
    d->raw = *host;
    d->high = 0;
    d->selector = selector;
    return descriptor_present(d) && !descriptor_system(d) && descriptor_dpl(d) == dpl &&
           (descriptor_type(d) & DESC_ACCESSED);
}

static bool quick_code(X86CPU *cpu, uint16_t selector, Descriptor *code)
{
    return quick_descriptor(cpu, selector, selector_rpl(selector), code) &&
           (descriptor_type(code) & (DESC_CODE | DESC_CONFORMING)) == DESC_CODE &&
           ((code->raw >> 53) & 3) == 1;
}

/* To 64-bit code, at the same or an outer level. */
static bool quick_iret(X86CPU *cpu, const Insn *insn)
{
    const uint64_t *frame = quick_host(cpu, cpu->mmu_view, cpu->regs[R_RSP], 40, false);
    uint64_t rip, sp;
    uint32_t flags, mask = FL_IRET64;
    uint16_t cs, ss;
    unsigned cpl;
    Descriptor code, stack;

    if (!frame || insn->opsize != 8 || (cpu->eflags & FL_NT)) {
        return false;
    }
    rip = frame[0];
    cs = frame[1];
    flags = frame[2];
    sp = frame[3];
    ss = frame[4];
    cpl = selector_rpl(cs);
    if (cpl < cpu->cpl || (flags & FL_TF) || !cpu_canonical(cpu, rip) ||
        !quick_code(cpu, cs, &code)) {
        return false;
    }
    if (selector_null(ss) ? cpl == 3 || selector_rpl(ss) != cpl
                          : !quick_descriptor(cpu, ss, cpl, &stack) ||
                                !descriptor_writable(&stack)) {
        return false;
    }
    mask |= cpu->cpl <= cpu_iopl(cpu) ? FL_IF : 0;
    mask |= cpu->cpl == 0 ? FL_IOPL | FL_VIF | FL_VIP : 0;
    cpu->nmi_blocked = false;
    cpu->seg[SEG_SS] = selector_null(ss) ? segment_null(ss) : descriptor_segment(&stack, ss);
    cpu->seg[SEG_CS] = descriptor_segment(&code, cs);
    if (cpl != cpu->cpl) {
        cpu->cpl = cpl;
        segments_drop_inner(cpu);
    }
    cpu->cpu_rip = rip;
    cpu->regs[R_RSP] = sp;
    cpu_set_eflags(cpu, flags, mask); /* which updates the mode */
    return true;
}

/* --- registers -------------------------------------------------------------------------------- */

static bool quick_clts(X86CPU *cpu, const Insn *insn)
{
    if (cpu->cpl != 0) {
        return false;
    }
    cpu->cr0 &= ~(uint64_t)CR0_TS;
    insn_advance(cpu, insn);
    return true;
}

static bool quick_read_base(X86CPU *cpu, const Insn *insn)
{
    uint64_t base = cpu->seg[insn->aux].base;

    if (!(cpu->cr4 & CR4_FSGSBASE)) {
        return false;
    }
    reg_set64(cpu, insn->rm, insn->opsize == 8 ? base : (uint32_t)base);
    return true;
}

static bool quick_write_base(X86CPU *cpu, const Insn *insn)
{
    uint64_t base = reg_get64(cpu, insn->rm);

    base = insn->opsize == 8 ? base : (uint32_t)base;
    if (!(cpu->cr4 & CR4_FSGSBASE) || !cpu_canonical(cpu, base)) {
        return false;
    }
    cpu->seg[insn->aux].base = base;
    return true;
}

static bool quick_invlpg(X86CPU *cpu, const Insn *insn)
{
    if (cpu->cpl != 0 || insn->ea != EA_FLAT64 ||
        !mmu_flush_page_quick(cpu, insn_offset(cpu, insn))) {
        return false;
    }
    insn_advance(cpu, insn);
    return true;
}

/* The registers that a switch between threads moves. */
static uint64_t *quick_msr(X86CPU *cpu)
{
    if (cpu->cpl != 0) {
        return NULL;
    }
    switch ((uint32_t)cpu->regs[R_RCX]) {
    case MSR_FS_BASE: return &cpu->seg[SEG_FS].base;
    case MSR_GS_BASE: return &cpu->seg[SEG_GS].base;
    case MSR_KERNEL_GS_BASE: return &cpu->msr_kernel_gs_base;
    default: return NULL;
    }
}

static bool quick_rdmsr(X86CPU *cpu, const Insn *insn)
{
    const uint64_t *msr = quick_msr(cpu);

    if (!msr) {
        return false;
    }
    cpu->regs[R_RAX] = (uint32_t)*msr;
    cpu->regs[R_RDX] = *msr >> 32;
    if (insn->flags & INSN_END) {
        insn_advance(cpu, insn);
    }
    return true;
}

static bool quick_wrmsr(X86CPU *cpu, const Insn *insn)
{
    uint64_t value = cpu->regs[R_RDX] << 32 | (uint32_t)cpu->regs[R_RAX];
    uint64_t *msr = quick_msr(cpu);

    if (!msr || !cpu_canonical(cpu, value)) {
        return false;
    }
    *msr = value;
    if (insn->flags & INSN_END) {
        insn_advance(cpu, insn);
    }
    return true;
}

/* --- bits in memory ------------------------------------------------------------------------ */

static uint64_t bit_result(unsigned mnemonic, uint64_t value, uint64_t mask)
{
    switch (mnemonic) {
    case ZYDIS_MNEMONIC_BTS: return value | mask;
    case ZYDIS_MNEMONIC_BTR: return value & ~mask;
    default: return value ^ mask;
    }
}

/* Changes a bit, atomically whether asked or not; returns the word of before. */
#define BIT_CHANGE(bits)                                                                           \
    static uint##bits##_t bit_change##bits(uint##bits##_t *host, unsigned mnemonic, uint64_t mask) \
    {                                                                                              \
        uint##bits##_t old = __atomic_load_n(host, __ATOMIC_RELAXED);                              \
        while (mnemonic != ZYDIS_MNEMONIC_BT &&                                                    \
               !__atomic_compare_exchange_n(host, &old,                                            \
                                            (uint##bits##_t)bit_result(mnemonic, old, mask),       \
                                            false, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED)) {          \
        }                                                                                          \
        return old;                                                                                \
    }

BIT_CHANGE(32)
BIT_CHANGE(64)

/* BT and its kin with a register's bit number, which reaches beyond the operand. */
static bool quick_bit(X86CPU *cpu, const Insn *insn)
{
    bool wide = insn->opsize == 8;
    uint64_t reg = reg_get64(cpu, insn->reg), old, va;
    int64_t number = wide ? (int64_t)reg : (int32_t)reg;
    uint64_t mask = 1ULL << (number & (wide ? 63 : 31));
    void *host;

    if (insn->ea != EA_FLAT64 || insn->opsize < 4) {
        return false;
    }
    va = insn_offset(cpu, insn) + (uint64_t)(number >> (wide ? 6 : 5)) * insn->opsize;
    if (va & (insn->opsize - 1u)) {
        return false;
    }
    host = quick_host(cpu, cpu->mmu_view, va, insn->opsize,
                      insn->mnemonic != ZYDIS_MNEMONIC_BT);
    if (!host) {
        return false;
    }
    old = wide ? bit_change64(host, insn->mnemonic, mask)
               : bit_change32(host, insn->mnemonic, mask);
    cpu->cc = (cpu->cc & ~(uint32_t)FL_CF) | (old & mask ? FL_CF : 0);
    return true;
}

/* --- all of them --------------------------------------------------------------------------- */

static QuickFn *quick_function(unsigned mnemonic)
{
    switch (mnemonic) {
    case ZYDIS_MNEMONIC_POPFQ: return quick_popf;
    case ZYDIS_MNEMONIC_SYSCALL: return quick_syscall;
    case ZYDIS_MNEMONIC_SYSRET: return quick_sysret;
    case ZYDIS_MNEMONIC_IRETQ: return quick_iret;
    case ZYDIS_MNEMONIC_CLTS: return quick_clts;
    case ZYDIS_MNEMONIC_INVLPG: return quick_invlpg;
    case ZYDIS_MNEMONIC_RDFSBASE:
    case ZYDIS_MNEMONIC_RDGSBASE: return quick_read_base;
    case ZYDIS_MNEMONIC_WRFSBASE:
    case ZYDIS_MNEMONIC_WRGSBASE: return quick_write_base;
    case ZYDIS_MNEMONIC_RDMSR: return quick_rdmsr;
    case ZYDIS_MNEMONIC_WRMSR: return quick_wrmsr;
    case ZYDIS_MNEMONIC_BT:
    case ZYDIS_MNEMONIC_BTS:
    case ZYDIS_MNEMONIC_BTR:
    case ZYDIS_MNEMONIC_BTC: return quick_bit;
    default: return NULL;
    }
}

bool interp_quick_knows(unsigned mnemonic)
{
    return quick_function(mnemonic) != NULL;
}

bool interp_quick(X86CPU *cpu, const Insn *insn)
{
    return quick_function(insn->mnemonic)(cpu, insn);
}
