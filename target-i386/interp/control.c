/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Control and debug registers (SDM 3A 2.5, 17.2): what may be written, what it changes, and what
 * the TLB forgets then (SDM 3A 4.10.4.1).
 */
#include "target-i386/interp/system.h"
#include "util/lock.h"

#define CR0_DEFINED                                                                                \
    (CR0_PE | CR0_MP | CR0_EM | CR0_TS | CR0_ET | CR0_NE | CR0_WP | CR0_AM | CR0_NW | CR0_CD |     \
     (uint64_t)CR0_PG)
#define DR6_FIXED1 0xffff0ff0u
#define DR6_WRITABLE 0xe00fu
#define DR7_FIXED1 0x400u
#define DR7_FIXED0 0xd800u /* bits 11, 12, 14 and 15; RTM debugging is not offered */

/* --- CR0 -------------------------------------------------------------------------------- */

/* Reads the four PAE directory pointers at @cr3; false if one has reserved bits (SDM 3A 4.4.1). */
static bool pdptes_read(X86CPU *cpu, uint64_t cr3, uint64_t pdptes[4])
{
    uint64_t reserved = 0x1e6 | ~((1ull << cpu->phys_bits) - 1);

    for (unsigned i = 0; i < 4; i++) {
        uint64_t gpa = ((cr3 & 0xffffffe0) + i * 8) & cpu->vcpu.a20_mask;

        pdptes[i] = memory_load(cpu->vcpu.memory, gpa, 8);
        if ((pdptes[i] & 1) && (pdptes[i] & reserved)) {
            return false;
        }
    }
    return true;
}

/* Loads the directory pointers if the new values mean PAE paging; #GP(0) if they are malformed. */
static void pdptes_load(X86CPU *cpu, uint64_t cr0, uint64_t cr3, uint64_t cr4)
{
    uint64_t pdptes[4];

    if (!(cr0 & CR0_PG) || !(cr4 & CR4_PAE) || (cpu->efer & EFER_LME)) {
        return;
    }
    if (!pdptes_read(cpu, cr3, pdptes)) {
        cpu_raise_gp(cpu, 0);
    }
    memcpy(cpu->pdpte, pdptes, sizeof(pdptes));
}

/* Combinations that #GP(0) (SDM 3A 2.5, 9.8.5, 4.10.1). */
static bool cr0_valid(const X86CPU *cpu, uint64_t value)
{
    bool paging = value & CR0_PG;

    if ((value >> 32) || ((value & CR0_NW) && !(value & CR0_CD)) || (paging && !(value & CR0_PE))) {
        return false;
    }
    if (paging && !(cpu->cr0 & CR0_PG) && (cpu->efer & EFER_LME)) {
        return (cpu->cr4 & CR4_PAE) && !(cpu->seg[SEG_CS].attr & SEG_ATTR_L);
    }
    if (!paging && (cpu->cr0 & CR0_PG)) {
        return !(cpu_code64(cpu) || (cpu->cr4 & CR4_PCIDE));
    }
    return true;
}

void cpu_set_cr0(X86CPU *cpu, uint64_t value)
{
    uint64_t changed;

    if (!cr0_valid(cpu, value)) {
        cpu_raise_gp(cpu, 0);
    }
    value = (value & CR0_DEFINED) | CR0_ET;
    changed = value ^ cpu->cr0;
    if (changed & (CR0_PG | CR0_CD | CR0_NW)) {
        pdptes_load(cpu, value, cpu->cr3, cpu->cr4);
    }
    cpu->cr0 = value;
    if (cpu->efer & EFER_LME) {
        cpu->efer = value & CR0_PG ? cpu->efer | EFER_LMA : cpu->efer & ~(uint64_t)EFER_LMA;
    }
    if (changed & CR0_PE) {
        cpu->cpl = 0;
    }
    if (changed & (CR0_PG | CR0_PE)) {
        mmu_flush(cpu);
    } else if (changed & CR0_WP) {
        mmu_flush_rights(cpu);
    }
    cpu_update_mode(cpu);
}

/* --- CR3, CR4, CR8 -------------------------------------------------------------------------- */

void cpu_set_cr3(X86CPU *cpu, uint64_t value)
{
    bool keep = false;

    if (cpu_long_mode(cpu)) {
        if (cpu->cr4 & CR4_PCIDE) {
            keep = value >> 63;
            value &= ~(1ull << 63);
        }
        if (value >> cpu->phys_bits) {
            cpu_raise_gp(cpu, 0);
        }
    }
    pdptes_load(cpu, cpu->cr0, value, cpu->cr4);
    cpu->cr3 = value;
    mmu_switch_space(cpu, keep);
}

static uint64_t cr4_allowed(const X86CPU *cpu)
{
    static const struct {
        uint32_t bits;
        X86Feature feature;
    } rows[] = {
        {CR4_VME | CR4_PVI, X86_FEATURE_VME}, {CR4_TSD, X86_FEATURE_TSC},
        {CR4_DE, X86_FEATURE_DE}, {CR4_PSE, X86_FEATURE_PSE}, {CR4_PAE, X86_FEATURE_PAE},
        {CR4_MCE, X86_FEATURE_MCE}, {CR4_PGE, X86_FEATURE_PGE},
        {CR4_OSFXSR, X86_FEATURE_FXSR}, {CR4_OSXMMEXCPT, X86_FEATURE_SSE},
        {CR4_UMIP, X86_FEATURE_UMIP}, {CR4_LA57, X86_FEATURE_LA57},
        {CR4_FSGSBASE, X86_FEATURE_FSGSBASE}, {CR4_PCIDE, X86_FEATURE_PCID},
        {CR4_OSXSAVE, X86_FEATURE_XSAVE}, {CR4_SMEP, X86_FEATURE_SMEP},
        {CR4_SMAP, X86_FEATURE_SMAP}, {CR4_PKE, X86_FEATURE_PKU},
    };
    uint64_t allowed = CR4_PCE;

    for (unsigned i = 0; i < G_N_ELEMENTS(rows); i++) {
        if (cpu_has(cpu, rows[i].feature)) {
            allowed |= rows[i].bits;
        }
    }
    return allowed;
}

static bool cr4_valid(const X86CPU *cpu, uint64_t value)
{
    uint64_t changed = value ^ cpu->cr4;

    if (value & ~cr4_allowed(cpu)) {
        return false;
    }
    if (cpu_long_mode(cpu) && (changed & (CR4_PAE | CR4_LA57))) {
        return false;
    }
    return !(changed & value & CR4_PCIDE) || (cpu_long_mode(cpu) && !(cpu->cr3 & 0xfff));
}

void cpu_set_cr4(X86CPU *cpu, uint64_t value)
{
    uint64_t changed = value ^ cpu->cr4;

    if (!cr4_valid(cpu, value)) {
        cpu_raise_gp(cpu, 0);
    }
    if (changed & (CR4_PAE | CR4_PGE | CR4_PSE | CR4_SMEP)) {
        pdptes_load(cpu, cpu->cr0, cpu->cr3, value);
    }
    cpu->cr4 = value;
    cpu_cpuid_forget(cpu);
    if (changed & (CR4_PSE | CR4_PAE | CR4_PGE | CR4_LA57 | CR4_PCIDE | CR4_SMEP)) {
        mmu_flush(cpu);
    } else if (changed & (CR4_SMAP | CR4_PKE)) {
        mmu_flush_rights(cpu);
    }
    cpu_update_mode(cpu);
}

static uint64_t cpu_get_cr8(X86CPU *cpu)
{
    const InterruptOps *ops = cpu->vcpu.intr_ops;
    bool taken;
    uint8_t tpr;

    if (!ops) {
        return cpu->cr8;
    }
    taken = machine_lock_enter();
    tpr = ops->get_tpr(cpu->vcpu.intr_opaque);
    machine_lock_leave(taken);
    return tpr >> 4;
}

static void cpu_set_cr8(X86CPU *cpu, uint64_t value)
{
    const InterruptOps *ops = cpu->vcpu.intr_ops;
    bool taken;

    if (value > 15) {
        cpu_raise_gp(cpu, 0);
    }
    cpu->cr8 = value;
    if (ops) {
        taken = machine_lock_enter();
        ops->set_tpr(cpu->vcpu.intr_opaque, value << 4);
        machine_lock_leave(taken);
    }
}

/* --- MOV CR ----------------------------------------------------------------------------------- */

static void insn_mov_from_cr(X86CPU *cpu, const Insn *insn)
{
    uint64_t value;

    cpu_require_cpl0(cpu);
    switch (insn->aux) {
    case 0: value = cpu->cr0; break;
    case 2: value = cpu->cr2; break;
    case 3: value = cpu->cr3; break;
    case 4: value = cpu->cr4; break;
    default: value = cpu_get_cr8(cpu); break;
    }
    reg_set(cpu, insn->rm, value, insn->opsize);
}

static void insn_mov_to_cr(X86CPU *cpu, const Insn *insn)
{
    uint64_t value = reg_get(cpu, insn->rm, insn->opsize);

    cpu_require_cpl0(cpu);
    switch (insn->aux) {
    case 0: cpu_set_cr0(cpu, value); break;
    case 2: cpu->cr2 = value; break;
    case 3: cpu_set_cr3(cpu, value); break;
    case 4: cpu_set_cr4(cpu, value); break;
    default: cpu_set_cr8(cpu, value); break;
    }
    insn_advance(cpu, insn);
}

/* --- MOV DR -------------------------------------------------------------------------------------
 */

/* #GP below privilege 0, #UD for DR4/5 with CR4.DE, #DB where the registers are guarded. */
static unsigned debug_register(X86CPU *cpu, const Insn *insn)
{
    unsigned n = insn->aux;

    if (n == 4 || n == 5) {
        if (cpu->cr4 & CR4_DE) {
            cpu_raise_ud(cpu);
        }
        n += 2;
    }
    cpu_require_cpl0(cpu);
    if (cpu->dr[7] & (1u << 13)) {
        cpu->exception.dr6_bits = 1u << 13;
        cpu_raise(cpu, EXC_DB);
    }
    return n & 7;
}

static void insn_mov_from_dr(X86CPU *cpu, const Insn *insn)
{
    reg_set(cpu, insn->rm, cpu->dr[debug_register(cpu, insn)], insn->opsize);
}

static void insn_mov_to_dr(X86CPU *cpu, const Insn *insn)
{
    unsigned n = debug_register(cpu, insn);
    uint64_t value = reg_get(cpu, insn->rm, insn->opsize);

    if (n >= 6 && (value >> 32)) {
        cpu_raise_gp(cpu, 0);
    }
    if (n == 6) {
        value = (value & DR6_WRITABLE) | DR6_FIXED1;
    } else if (n == 7) {
        value = (value & ~(uint64_t)DR7_FIXED0) | DR7_FIXED1;
    }
    cpu->dr[n] = value;
    if (n != 6) {
        mmu_flush_rights(cpu); /* pages with data breakpoints leave the TLB */
        cpu_debug_update(cpu);
    }
    insn_advance(cpu, insn);
}

/* 0F 20 and 22: CR; 0F 21 and 23: DR. Mod is ignored, the operand is always a register. */
static InsnFn *select_mov_cr_dr(const InsnSource *src, Insn *insn)
{
    uint8_t opcode = src->zi->opcode;

    insn->aux = source_reg(src) / 8;
    insn->rm = source_rm(src);
    insn->opsize = cpu_code64(src->cpu) ? 8 : 4;
    if (opcode & 2) {
        insn->flags |= INSN_END;
    }
    if (opcode & 1) {
        return insn->aux > 7 ? NULL : opcode & 2 ? insn_mov_to_dr : insn_mov_from_dr;
    }
    if (!((1u << insn->aux) & 0x11d)) { /* CR0, 2, 3, 4, 8 */
        return NULL;
    }
    return opcode & 2 ? insn_mov_to_cr : insn_mov_from_cr;
}

/* MOV, PUSH and POP with a segment, control or debug register. */
INSN_FAMILY(system_move)
{
    if (src->zi->mnemonic != ZYDIS_MNEMONIC_MOV) {
        return insn_select_push_pop_sreg(src, insn);
    }
    return src->zi->opcode_map == ZYDIS_OPCODE_MAP_0F ? select_mov_cr_dr(src, insn)
                                                      : insn_select_mov_sreg(src, insn);
}

/* --- CLTS, LMSW, SMSW
 * ------------------------------------------------------------------------------ */

static void insn_clts(X86CPU *cpu, const Insn *insn)
{
    cpu_require_cpl0(cpu);
    cpu->cr0 &= ~(uint64_t)CR0_TS;
    insn_advance(cpu, insn);
}

/* Loads PE, MP, EM, TS; PE cannot be cleared (SDM 2A LMSW). */
static void insn_lmsw(X86CPU *cpu, const Insn *insn)
{
    uint16_t value;

    cpu_require_cpl0(cpu);
    value = insn->ea == EA_NONE ? reg_get16(cpu, insn->rm)
                                : mmu_load16(cpu, insn_linear(cpu, insn, 2, false));
    cpu_set_cr0(cpu, (cpu->cr0 & ~(uint64_t)(CR0_MP | CR0_EM | CR0_TS)) | (value & 15));
    insn_advance(cpu, insn);
}

static void insn_smsw(X86CPU *cpu, const Insn *insn)
{
    if ((cpu->cr4 & CR4_UMIP) && cpu->cpl > 0) {
        cpu_raise_gp(cpu, 0);
    }
    if (insn->ea == EA_NONE) {
        reg_set(cpu, insn->rm, cpu->cr0, insn->opsize);
    } else {
        mmu_store16(cpu, insn_linear(cpu, insn, 2, true), cpu->cr0);
    }
}

INSN_FAMILY(machine_status)
{
    insn->rm = source_rm(src);
    insn->opsize = source_operand_size(src);
    if (src->zi->mnemonic == ZYDIS_MNEMONIC_SMSW) {
        return insn_smsw;
    }
    insn->flags |= INSN_END;
    return src->zi->mnemonic == ZYDIS_MNEMONIC_LMSW ? insn_lmsw : insn_clts;
}

/* --- INVLPG, INVPCID
 * -------------------------------------------------------------------------------- */

/* The address is not checked against the segment; a non-canonical one does nothing. */
static void insn_invlpg(X86CPU *cpu, const Insn *insn)
{
    uint64_t va = insn_effective(cpu, insn);

    cpu_require_cpl0(cpu);
    if (!cpu_code64(cpu)) {
        va = (uint32_t)(va + cpu->seg[insn->seg].base);
    } else if (insn->ea == EA_BASE64 || insn->ea == EA_BASE32) {
        va += cpu->seg[insn->seg].base;
    }
    mmu_flush_page(cpu, va);
    insn_advance(cpu, insn);
}

/* SDM 2A INVPCID. */
static void insn_invpcid(X86CPU *cpu, const Insn *insn)
{
    uint64_t type = reg_get(cpu, insn->reg, insn->opsize);
    uint64_t descriptor[2];

    cpu_require_cpl0(cpu);
    mmu_read(cpu, cpu->mmu_view, insn_linear(cpu, insn, 16, false), descriptor, 16);
    if (type > 3 || (descriptor[0] >> 12) ||
        (type < 2 && descriptor[0] && !(cpu->cr4 & CR4_PCIDE)) ||
        (type == 0 && !cpu_canonical(cpu, descriptor[1]))) {
        cpu_raise_gp(cpu, 0);
    }
    switch (type) {
    case 0: mmu_flush_space_page(cpu, descriptor[0], descriptor[1]); break;
    case 1: mmu_flush_space(cpu, descriptor[0]); break;
    case 2: mmu_flush(cpu); break;
    default: mmu_flush_spaces(cpu); break;
    }
    insn_advance(cpu, insn);
}

INSN_FAMILY(invalidate)
{
    insn->flags |= INSN_END;
    insn->reg = source_reg(src);
    insn->opsize = cpu_code64(src->cpu) ? 8 : 4;
    if (insn->ea == EA_NONE) {
        return NULL;
    }
    return src->zi->mnemonic == ZYDIS_MNEMONIC_INVLPG ? insn_invlpg : insn_invpcid;
}
