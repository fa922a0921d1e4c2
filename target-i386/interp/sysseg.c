/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * System segments and tables (LLDT, LTR, SLDT, STR, LGDT, LIDT, SGDT, SIDT) and the instructions
 * that ask about descriptors (LAR, LSL, VERR, VERW, ARPL).
 */
#include "target-i386/interp/system.h"

static uint16_t operand_selector(X86CPU *cpu, const Insn *insn)
{
    return insn->ea == EA_NONE ? reg_get16(cpu, insn->rm)
                               : mmu_load16(cpu, insn_linear(cpu, insn, 2, false));
}

/* UMIP: reading system registers is the kernel's business (SDM 3A 2.5). */
static void require_umip(X86CPU *cpu)
{
    if ((cpu->cr4 & CR4_UMIP) && cpu->cpl > 0) {
        cpu_raise_gp(cpu, 0);
    }
}

static void require_pm(X86CPU *cpu)
{
    if (!cpu_pm(cpu)) {
        cpu_raise_ud(cpu);
    }
}

/* --- LDTR and TR ------------------------------------------------------------------------------ */

/* A system descriptor of the GDT that is one of @types and present, 16 bytes of it in long mode. */
static void system_descriptor(X86CPU *cpu, uint16_t selector, uint32_t types, Descriptor *d)
{
    uint32_t error = selector_error(selector);

    if (selector & 4) {
        cpu_raise_gp(cpu, error);
    }
    descriptor_require(cpu, selector, EXC_GP, 0, d);
    if (!descriptor_system(d) || !((types >> descriptor_type(d)) & 1)) {
        cpu_raise_gp(cpu, error);
    }
    if (!descriptor_present(d)) {
        cpu_raise_error(cpu, EXC_NP, error);
    }
    if (cpu_long_mode(cpu) &&
        (!descriptor_fetch_high(cpu, d) || !cpu_canonical(cpu, descriptor_system_base(cpu, d)))) {
        cpu_raise_gp(cpu, error);
    }
}

static void load_system_segment(X86CPU *cpu, SegReg reg, const Descriptor *d)
{
    cpu->seg[reg] = descriptor_segment(d, d->selector);
    cpu->seg[reg].base = descriptor_system_base(cpu, d);
}

static void insn_lldt(X86CPU *cpu, const Insn *insn)
{
    uint16_t selector;
    Descriptor d;

    require_pm(cpu);
    cpu_require_cpl0(cpu);
    selector = operand_selector(cpu, insn);
    if (selector_null(selector)) {
        cpu->seg[SEG_LDTR] = segment_null(selector);
        return;
    }
    system_descriptor(cpu, selector, 1u << DESC_LDT, &d);
    load_system_segment(cpu, SEG_LDTR, &d);
}

static void insn_ltr(X86CPU *cpu, const Insn *insn)
{
    uint16_t selector;
    uint32_t types = 1u << DESC_TSS32 | (cpu_long_mode(cpu) ? 0 : 1u << DESC_TSS16);
    Descriptor d;

    require_pm(cpu);
    cpu_require_cpl0(cpu);
    selector = operand_selector(cpu, insn);
    system_descriptor(cpu, selector, types, &d);
    descriptor_set_busy(cpu, d.va, true);
    load_system_segment(cpu, SEG_TR, &d);
    cpu->seg[SEG_TR].attr |= 2;
}

/* SLDT, STR: 16 bits to memory, zero-extended to a register's operand size. */
static void insn_store_selector(X86CPU *cpu, const Insn *insn)
{
    require_pm(cpu);
    require_umip(cpu);
    if (insn->ea == EA_NONE) {
        reg_set(cpu, insn->rm, cpu->seg[insn->aux].selector, insn->opsize);
    } else {
        mmu_store16(cpu, insn_linear(cpu, insn, 2, true), cpu->seg[insn->aux].selector);
    }
}

INSN_FAMILY(system_segment)
{
    insn->rm = source_rm(src);
    insn->opsize = source_operand_size(src);
    switch (src->zi->mnemonic) {
    case ZYDIS_MNEMONIC_LLDT: return insn_lldt;
    case ZYDIS_MNEMONIC_LTR: return insn_ltr;
    case ZYDIS_MNEMONIC_SLDT: insn->aux = SEG_LDTR; return insn_store_selector;
    default: insn->aux = SEG_TR; return insn_store_selector;
    }
}

/* --- GDTR and IDTR ------------------------------------------------------------------------------
 */

static X86Table *insn_table(X86CPU *cpu, const Insn *insn)
{
    return insn->aux ? &cpu->idtr : &cpu->gdtr;
}

/* With a 16-bit operand size only 24 bits of the base are loaded (SDM 2A LGDT). */
static void insn_load_table(X86CPU *cpu, const Insn *insn)
{
    unsigned size = cpu_code64(cpu) ? 10 : 6;
    X86Table *table = insn_table(cpu, insn);
    uint8_t image[10];
    uint64_t base = 0;
    uint64_t va;

    cpu_require_cpl0(cpu);
    va = insn_linear(cpu, insn, size, false);
    mmu_read(cpu, cpu->mmu_view, va, image, size);
    memcpy(&base, image + 2, size - 2);
    if (!cpu_canonical(cpu, base)) {
        cpu_raise_gp(cpu, 0);
    }
    memcpy(&table->limit, image, 2);
    table->base = insn->opsize == 2 ? base & 0xffffff : base;
}

/* Stores the whole base whatever the operand size is, as processors since the 386 do. */
static void insn_store_table(X86CPU *cpu, const Insn *insn)
{
    unsigned size = cpu_code64(cpu) ? 10 : 6;
    const X86Table *table = insn_table(cpu, insn);
    uint8_t image[10];

    require_umip(cpu);
    memcpy(image, &table->limit, 2);
    memcpy(image + 2, &table->base, size - 2);
    mmu_write(cpu, cpu->mmu_view, insn_linear(cpu, insn, size, true), image, size);
}

INSN_FAMILY(descriptor_table)
{
    ZydisMnemonic mnemonic = src->zi->mnemonic;

    if (insn->ea == EA_NONE) {
        return NULL;
    }
    insn->aux = mnemonic == ZYDIS_MNEMONIC_LIDT || mnemonic == ZYDIS_MNEMONIC_SIDT;
    insn->opsize = cpu_code64(src->cpu) ? 8 : source_operand_size(src);
    return mnemonic == ZYDIS_MNEMONIC_LGDT || mnemonic == ZYDIS_MNEMONIC_LIDT ? insn_load_table
                                                                             : insn_store_table;
}

/* --- LAR, LSL, VERR, VERW, ARPL
 * -------------------------------------------------------------------- */

static void set_zf(X86CPU *cpu, bool zf)
{
    cpu->cc = zf ? cpu->cc | FL_ZF : cpu->cc & ~FL_ZF;
}

/* True if CPL and RPL may know of @d: conforming code may be seen by all. */
static bool descriptor_visible(const X86CPU *cpu, const Descriptor *d)
{
    return descriptor_conforming(d) || (cpu->cpl <= descriptor_dpl(d) &&
                                        selector_rpl(d->selector) <= descriptor_dpl(d));
}

/* Fetches for a query: false if null, outside, invisible, or a system type not in @types. */
static bool descriptor_query(X86CPU *cpu, uint16_t selector, uint32_t types, Descriptor *d)
{
    if (selector_null(selector) || !descriptor_fetch(cpu, selector, d) ||
        !descriptor_visible(cpu, d)) {
        return false;
    }
    if (!descriptor_system(d)) {
        return true;
    }
    if (!((types >> descriptor_type(d)) & 1)) {
        return false;
    }
    return !cpu_long_mode(cpu) || descriptor_fetch_high(cpu, d);
}

/* System types that LAR (with gates) and LSL know (SDM 2A tables of LAR and LSL). */
#define LSL_TYPES32                                                                                \
    (1u << DESC_TSS16 | 1u << DESC_LDT | 1u << DESC_TSS16_BUSY | 1u << DESC_TSS32 |                \
     1u << DESC_TSS32_BUSY)
#define LSL_TYPES64 (1u << DESC_LDT | 1u << DESC_TSS32 | 1u << DESC_TSS32_BUSY)

static void insn_lar(X86CPU *cpu, const Insn *insn)
{
    uint32_t types = cpu_long_mode(cpu) ? LSL_TYPES64 | 1u << DESC_CALL32
                                        : LSL_TYPES32 | 1u << DESC_CALL16 | 1u << DESC_TASK_GATE |
                                              1u << DESC_CALL32;
    uint16_t selector;
    Descriptor d;
    bool ok;

    require_pm(cpu);
    selector = operand_selector(cpu, insn);
    ok = descriptor_query(cpu, selector, types, &d);
    if (ok) {
        reg_set(cpu, insn->reg, (d.raw >> 32) & 0xffff00, insn->opsize);
    }
    set_zf(cpu, ok);
}

static void insn_lsl(X86CPU *cpu, const Insn *insn)
{
    uint16_t selector;
    Descriptor d;
    bool ok;

    require_pm(cpu);
    selector = operand_selector(cpu, insn);
    ok = descriptor_query(cpu, selector, cpu_long_mode(cpu) ? LSL_TYPES64 : LSL_TYPES32, &d);
    if (ok) {
        reg_set(cpu, insn->reg, descriptor_limit(&d), insn->opsize);
    }
    set_zf(cpu, ok);
}

static void insn_verr(X86CPU *cpu, const Insn *insn)
{
    Descriptor d;
    uint16_t selector;

    require_pm(cpu);
    selector = operand_selector(cpu, insn);
    set_zf(cpu, descriptor_query(cpu, selector, 0, &d) &&
                    (!descriptor_code(&d) || (descriptor_type(&d) & DESC_READABLE)));
}

static void insn_verw(X86CPU *cpu, const Insn *insn)
{
    Descriptor d;
    uint16_t selector;

    require_pm(cpu);
    selector = operand_selector(cpu, insn);
    set_zf(cpu, descriptor_query(cpu, selector, 0, &d) && descriptor_writable(&d));
}

static void insn_arpl(X86CPU *cpu, const Insn *insn)
{
    uint64_t va = 0;
    uint16_t value;
    unsigned rpl = reg_get16(cpu, insn->reg) & 3;

    require_pm(cpu);
    if (insn->ea == EA_NONE) {
        value = reg_get16(cpu, insn->rm);
    } else {
        va = insn_linear(cpu, insn, 2, true);
        mmu_probe(cpu, cpu->mmu_view, va, 2, ACCESS_WRITE);
        value = mmu_load16(cpu, va);
    }
    if ((value & 3u) < rpl) {
        value = (value & ~3) | rpl;
        if (insn->ea == EA_NONE) {
            reg_set16(cpu, insn->rm, value);
        } else {
            mmu_store16(cpu, va, value);
        }
        set_zf(cpu, true);
    } else {
        set_zf(cpu, false);
    }
}

INSN_FAMILY(descriptor_query)
{
    insn->reg = source_reg(src);
    insn->rm = source_rm(src);
    insn->opsize = source_operand_size(src);
    switch (src->zi->mnemonic) {
    case ZYDIS_MNEMONIC_LAR: return insn_lar;
    case ZYDIS_MNEMONIC_LSL: return insn_lsl;
    case ZYDIS_MNEMONIC_VERR: return insn_verr;
    case ZYDIS_MNEMONIC_VERW: return insn_verw;
    default: return cpu_code64(src->cpu) ? NULL : insn_arpl;
    }
}
