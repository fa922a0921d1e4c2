/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Model-specific registers (SDM 4, APM 2 appendix A): one row each, then the functions of those
 * that do more than hold bits. What has no row, or whose feature is not offered, is #GP, unless the
 * CPU model has a template for it; templates also change registers that guests only read.
 */
#include <stddef.h>

#include "target-i386/cpu-model.h"
#include "target-i386/interp/paravirt.h"
#include "target-i386/interp/system.h"
#include "util/lock.h"
#include "util/timer.h"

#define MCE_BANKS 10
#define MTRR_DEF_TYPE_BITS 0xcffull /* type, fixed enable, enable */

typedef struct MsrRow MsrRow;

/* A register: a field of the CPU, or a constant, or functions. */
struct MsrRow {
    uint32_t msr;
    uint16_t field;      /* offset in X86CPU; 0 (the vCPU's start) says constant */
    uint8_t vendor;      /* MSR_AMD: on AMD's CPUs only, MSR_INTEL: on others only */
    int16_t feature;     /* X86Feature, or X86_FEATURE_NONE */
    uint64_t writable;   /* a write with other bits set is #GP */
    uint64_t constant;   /* what a register without a field reads as */
    bool (*read)(X86CPU *cpu, const MsrRow *row, uint64_t *value);
    bool (*write)(X86CPU *cpu, const MsrRow *row, uint64_t value);
    uint32_t count;      /* consecutive registers with this row, 0 means 1 */
};

enum { MSR_ANY, MSR_AMD, MSR_INTEL };

/* --- time ------------------------------------------------------------------------------- */

uint64_t cpu_tsc_at(const X86CPU *cpu, int64_t vm_ns)
{
    uint64_t ticks = (unsigned __int128)vm_ns * cpu->vcpu.tsc_hz / NS_PER_SECOND;

    return ticks + cpu->tsc_offset;
}

uint64_t cpu_read_tsc(X86CPU *cpu)
{
    return cpu_tsc_at(cpu, clock_ns(CLOCK_VM));
}

static bool tsc_read(X86CPU *cpu, const MsrRow *row, uint64_t *value)
{
    *value = cpu_read_tsc(cpu);
    return true;
}

/* A write to either register moves the other by as much (SDM 3B 17.17.3). */
static bool tsc_write(X86CPU *cpu, const MsrRow *row, uint64_t value)
{
    int64_t delta = value - cpu_read_tsc(cpu);

    cpu->tsc_offset += delta;
    cpu->msr_tsc_adjust += delta;
    paravirt_tsc_moved(cpu);
    return true;
}

static bool tsc_adjust_write(X86CPU *cpu, const MsrRow *row, uint64_t value)
{
    cpu->tsc_offset += value - cpu->msr_tsc_adjust;
    cpu->msr_tsc_adjust = value;
    paravirt_tsc_moved(cpu);
    return true;
}

/* --- the local APIC's --------------------------------------------------------------------- */

static bool apic_base_read(X86CPU *cpu, const MsrRow *row, uint64_t *value)
{
    const InterruptOps *ops = cpu->vcpu.intr_ops;
    bool taken;

    if (!ops || !ops->get_base) {
        return false;
    }
    taken = machine_lock_enter();
    *value = ops->get_base(cpu->vcpu.intr_opaque);
    machine_lock_leave(taken);
    return true;
}

static bool apic_base_write(X86CPU *cpu, const MsrRow *row, uint64_t value)
{
    const InterruptOps *ops = cpu->vcpu.intr_ops;
    bool taken, ok;

    if (!ops || !ops->set_base) {
        return false;
    }
    taken = machine_lock_enter();
    ok = ops->set_base(cpu->vcpu.intr_opaque, value);
    machine_lock_leave(taken);
    cpu_cpuid_forget(cpu);
    return ok;
}

static bool apic_msr_read(X86CPU *cpu, uint32_t msr, uint64_t *value)
{
    const InterruptOps *ops = cpu->vcpu.intr_ops;
    bool taken, ok;

    if (!ops || !ops->msr_read) {
        return false;
    }
    taken = machine_lock_enter();
    ok = ops->msr_read(cpu->vcpu.intr_opaque, msr, value);
    machine_lock_leave(taken);
    return ok;
}

static bool apic_msr_write(X86CPU *cpu, uint32_t msr, uint64_t value)
{
    const InterruptOps *ops = cpu->vcpu.intr_ops;
    bool taken, ok;

    if (!ops || !ops->msr_write) {
        return false;
    }
    taken = machine_lock_enter();
    ok = ops->msr_write(cpu->vcpu.intr_opaque, msr, value);
    machine_lock_leave(taken);
    return ok;
}

static bool deadline_read(X86CPU *cpu, const MsrRow *row, uint64_t *value)
{
    return apic_msr_read(cpu, row->msr, value);
}

static bool deadline_write(X86CPU *cpu, const MsrRow *row, uint64_t value)
{
    return apic_msr_write(cpu, row->msr, value);
}

/* --- memory types ---------------------------------------------------------------------------- */

/* Memory types: UC, WC, WT, WP, WB; PAT has UC- as well. */
static bool memory_type_valid(unsigned type, bool pat)
{
    return type <= 1 || (type >= 4 && type <= 6) || (pat && type == 7);
}

static bool memory_types_valid(uint64_t value, bool pat)
{
    for (unsigned i = 0; i < 8; i++) {
        if (!memory_type_valid((value >> (i * 8)) & 0xff, pat)) {
            return false;
        }
    }
    return true;
}

static bool pat_write(X86CPU *cpu, const MsrRow *row, uint64_t value)
{
    if (!memory_types_valid(value, true)) {
        return false;
    }
    cpu->msr_pat = value;
    return true;
}

static bool mtrr_def_type_write(X86CPU *cpu, const MsrRow *row, uint64_t value)
{
    if (!memory_type_valid(value & 0xff, false)) {
        return false;
    }
    cpu->msr_mtrr_def_type = value;
    return true;
}

/* Slot of a fixed-range register: 64K at 0x250, 16K at 0x258, 4K from 0x268. */
static uint64_t *mtrr_fixed(X86CPU *cpu, uint32_t msr)
{
    unsigned slot = msr == 0x250 ? 0 : msr <= 0x259 ? 1 + msr - 0x258 : 3 + msr - 0x268;

    return &cpu->msr_mtrr_fix[slot];
}

static bool mtrr_variable_write(X86CPU *cpu, uint32_t msr, uint64_t value)
{
    unsigned n = (msr - 0x200) / 2;
    uint64_t reserved = ~((1ull << cpu->phys_bits) - 1);

    if (msr & 1) {
        if (value & (reserved | 0x7ff)) {
            return false;
        }
        cpu->msr_mtrr_mask[n] = value;
    } else {
        if ((value & (reserved | 0xf00)) || !memory_type_valid(value & 0xff, false)) {
            return false;
        }
        cpu->msr_mtrr_base[n] = value;
    }
    return true;
}

/* --- EFER, segments, addresses ---------------------------------------------------------------- */

static bool efer_write(X86CPU *cpu, const MsrRow *row, uint64_t value)
{
    uint64_t allowed = (cpu_has(cpu, X86_FEATURE_SYSCALL) ? EFER_SCE : 0) |
                       (cpu_has(cpu, X86_FEATURE_LM) ? EFER_LME | EFER_LMA : 0) |
                       (cpu_has(cpu, X86_FEATURE_NX) ? EFER_NXE : 0) |
                       (cpu_has(cpu, X86_FEATURE_AUTO_IBRS) ? EFER_AIBRSE : 0);

    if (value & ~allowed) {
        return false;
    }
    if (((value ^ cpu->efer) & EFER_LME) && (cpu->cr0 & CR0_PG)) {
        return false;
    }
    cpu->efer = (value & ~(uint64_t)EFER_LMA) | (cpu->efer & EFER_LMA);
    mmu_flush(cpu);
    return true;
}

static uint64_t *row_field(X86CPU *cpu, const MsrRow *row)
{
    return (uint64_t *)((uint8_t *)cpu + row->field);
}

static bool canonical_write(X86CPU *cpu, const MsrRow *row, uint64_t value)
{
    if (!cpu_canonical(cpu, value)) {
        return false;
    }
    *row_field(cpu, row) = value;
    return true;
}

/* --- machine check, speculation, odds and ends --------------------------------------------------
 */

static bool mcg_cap_read(X86CPU *cpu, const MsrRow *row, uint64_t *value)
{
    *value = cpu->msr_mcg_cap ? cpu->msr_mcg_cap : 0x100 | MCE_BANKS;
    return true;
}

/* STATUS may only be cleared; CTL enables what never happens (SDM 3B 15.3.2). */
static bool mce_bank_write(X86CPU *cpu, const MsrRow *row, uint64_t value)
{
    return true;
}

static bool feature_control_write(X86CPU *cpu, const MsrRow *row, uint64_t value)
{
    if (cpu->msr_feature_control & 1) {
        return false;
    }
    cpu->msr_feature_control = value;
    return true;
}

static bool ignore_write(X86CPU *cpu, const MsrRow *row, uint64_t value)
{
    return true;
}

static bool no_read(X86CPU *cpu, const MsrRow *row, uint64_t *value)
{
    return false;
}

/* Which bits of SPEC_CTRL a feature brings (SDM 4 table 2-2, APM 2 3.2.9); 0 to 2 come together. */
static const struct {
    X86Feature feature;
    uint32_t bits;
} speculation_bits[] = {
    {X86_FEATURE_SPEC_CTRL, 7},    {X86_FEATURE_IBRS, 7},       {X86_FEATURE_STIBP, 7},
    {X86_FEATURE_SSBD, 7},         {X86_FEATURE_AMD_STIBP, 7},  {X86_FEATURE_AMD_SSBD, 7},
    {X86_FEATURE_IPRED_CTRL, 0x18}, {X86_FEATURE_RRSBA_CTRL, 0x60}, {X86_FEATURE_PSFD, 0x80},
    {X86_FEATURE_AMD_PSFD, 0x80},  {X86_FEATURE_DDPD_U, 0x100}, {X86_FEATURE_BHI_CTRL, 0x400},
};

static uint64_t speculation_controls(const X86CPU *cpu)
{
    uint64_t bits = 0;

    for (unsigned i = 0; i < G_N_ELEMENTS(speculation_bits); i++) {
        bits |= cpu_has(cpu, speculation_bits[i].feature) ? speculation_bits[i].bits : 0;
    }
    return bits;
}

static bool spec_ctrl_read(X86CPU *cpu, const MsrRow *row, uint64_t *value)
{
    *value = cpu->msr_spec_ctrl;
    return speculation_controls(cpu);
}

static bool spec_ctrl_write(X86CPU *cpu, const MsrRow *row, uint64_t value)
{
    uint64_t bits = speculation_controls(cpu);

    if (!bits || (value & ~bits)) {
        return false;
    }
    cpu->msr_spec_ctrl = value;
    return true;
}

/* IBPB, and AMD's selective SBPB. */
static bool pred_cmd_write(X86CPU *cpu, const MsrRow *row, uint64_t value)
{
    bool ibpb = cpu_has(cpu, X86_FEATURE_SPEC_CTRL) || cpu_has(cpu, X86_FEATURE_IBPB);

    return ibpb && (!(value & 0x80) || cpu_has(cpu, X86_FEATURE_SBPB));
}

/* Microcode revision: in the upper half on Intel's, the lower on AMD's. */
static bool microcode_read(X86CPU *cpu, const MsrRow *row, uint64_t *value)
{
    *value = cpu_is_amd(cpu) ? 0x1000065 : 0x1ull << 32;
    return true;
}

static bool tsc_aux_offered(const X86CPU *cpu)
{
    return cpu_has(cpu, X86_FEATURE_RDTSCP) || cpu_has(cpu, X86_FEATURE_RDPID);
}

static bool tsc_aux_read(X86CPU *cpu, const MsrRow *row, uint64_t *value)
{
    *value = cpu->msr_tsc_aux;
    return tsc_aux_offered(cpu);
}

static bool tsc_aux_write(X86CPU *cpu, const MsrRow *row, uint64_t value)
{
    cpu->msr_tsc_aux = value;
    return tsc_aux_offered(cpu);
}

/* --- KVM's clock ---------------------------------------------------------------------------------
 */

static bool kvm_clock_read(X86CPU *cpu, const MsrRow *row, uint64_t *value)
{
    return cpu->paravirt;
}

static bool kvm_wall_clock_write(X86CPU *cpu, const MsrRow *row, uint64_t value)
{
    return cpu->paravirt && paravirt_set_wall_clock(cpu, value);
}

static bool kvm_system_time_write(X86CPU *cpu, const MsrRow *row, uint64_t value)
{
    return cpu->paravirt && paravirt_set_system_time(cpu, value);
}

/* --- the table -----------------------------------------------------------------------------------
 */

#define FIELD(name) .field = offsetof(X86CPU, name)
#define NEEDS(name) .feature = X86_FEATURE_##name
#define ALWAYS .feature = X86_FEATURE_NONE
#define AMD .feature = X86_FEATURE_NONE, .vendor = MSR_AMD, .write = ignore_write

/* Sorted by number. */
static const MsrRow msr_rows[] = {
    /* P5_MC_ADDR, P5_MC_TYPE */
    {0x0, NEEDS(MCE), .count = 2},
    /* IA32_TIME_STAMP_COUNTER */
    {0x10, NEEDS(TSC), .writable = UINT64_MAX, .read = tsc_read, .write = tsc_write},
    /* KVM's wall clock and system time at their first numbers */
    {0x11, NEEDS(KVMCLOCK_OLD), FIELD(msr_kvm_wall_clock), .writable = UINT64_MAX,
     .read = kvm_clock_read, .write = kvm_wall_clock_write},
    {0x12, NEEDS(KVMCLOCK_OLD), FIELD(msr_kvm_system_time), .writable = UINT64_MAX,
     .read = kvm_clock_read, .write = kvm_system_time_write},
    /* IA32_PLATFORM_ID */
    {0x17, ALWAYS, .vendor = MSR_INTEL},
    /* IA32_APIC_BASE */
    {0x1b, NEEDS(APIC), .writable = UINT64_MAX, .read = apic_base_read, .write = apic_base_write},
    /* EBL_CR_POWERON */
    {0x2a, ALWAYS, .vendor = MSR_INTEL, .write = ignore_write},
    /* IA32_FEATURE_CONTROL */
    {0x3a, ALWAYS, .vendor = MSR_INTEL, FIELD(msr_feature_control), .writable = 0x16ff07,
     .write = feature_control_write},
    /* IA32_TSC_ADJUST */
    {0x3b, NEEDS(TSC_ADJUST), FIELD(msr_tsc_adjust), .writable = UINT64_MAX,
     .write = tsc_adjust_write},
    /* IA32_SPEC_CTRL */
    {0x48, ALWAYS, .writable = UINT64_MAX, .read = spec_ctrl_read, .write = spec_ctrl_write},
    /* IA32_PRED_CMD: IBPB, SBPB */
    {0x49, ALWAYS, .writable = 0x81, .read = no_read, .write = pred_cmd_write},
    /* IA32_BIOS_UPDT_TRIG */
    {0x79, ALWAYS, .vendor = MSR_INTEL, .writable = UINT64_MAX, .read = no_read,
     .write = ignore_write},
    /* IA32_BIOS_SIGN_ID, AMD: PATCH_LEVEL */
    {0x8b, ALWAYS, .writable = UINT64_MAX, .read = microcode_read, .write = ignore_write},
    /* IA32_CORE_CAPABILITIES */
    {0xcf, NEEDS(CORE_CAPABILITY)},
    /* IA32_MTRRCAP: eight variable ranges, fixed ranges, WC */
    {0xfe, NEEDS(MTRR), .constant = 0x500 | MSR_MTRR_VAR_COUNT},
    /* IA32_ARCH_CAPABILITIES */
    {0x10a, NEEDS(ARCH_CAPABILITIES), FIELD(msr_arch_capabilities)},
    /* IA32_FLUSH_CMD: L1D */
    {0x10b, NEEDS(FLUSH_L1D), .writable = 1, .read = no_read, .write = ignore_write},
    {0x174, NEEDS(SEP), FIELD(msr_sysenter_cs), .writable = 0xffffffff},
    {0x175, NEEDS(SEP), FIELD(msr_sysenter_esp), .writable = UINT64_MAX, .write = canonical_write},
    {0x176, NEEDS(SEP), FIELD(msr_sysenter_eip), .writable = UINT64_MAX, .write = canonical_write},
    /* IA32_MCG_CAP, _STATUS, _CTL */
    {0x179, NEEDS(MCA), .read = mcg_cap_read},
    {0x17a, NEEDS(MCA), FIELD(msr_mcg_status), .writable = 7},
    {0x17b, NEEDS(MCA), FIELD(msr_mcg_ctl), .writable = UINT64_MAX},
    /* IA32_PERF_STATUS, _CTL */
    {0x198, ALWAYS, .vendor = MSR_INTEL},
    {0x199, ALWAYS, .vendor = MSR_INTEL, .writable = UINT64_MAX, .write = ignore_write},
    /* IA32_CLOCK_MODULATION, THERM_INTERRUPT, THERM_STATUS */
    {0x19a, NEEDS(ACPI), .writable = UINT64_MAX, .write = ignore_write, .count = 3},
    /* IA32_MISC_ENABLE: no limit on CPUID, no XD disable */
    {0x1a0, ALWAYS, .vendor = MSR_INTEL, FIELD(msr_misc_enable), .writable = 0x851889},
    /* IA32_DEBUGCTL: no branch records, no stepping by branches */
    {0x1d9, ALWAYS, .write = ignore_write},
    /* Last branch and last interrupt addresses */
    {0x1db, ALWAYS, .count = 4},
    {0x277, NEEDS(PAT), FIELD(msr_pat), .writable = UINT64_MAX, .write = pat_write},
    {0x2ff, NEEDS(MTRR), FIELD(msr_mtrr_def_type), .writable = MTRR_DEF_TYPE_BITS,
     .write = mtrr_def_type_write},
    /* IA32_PERF_CAPABILITIES */
    {0x345, NEEDS(PDCM)},
    /* IA32_TSC_DEADLINE */
    {0x6e0, NEEDS(TSC_DEADLINE), .writable = UINT64_MAX, .read = deadline_read,
     .write = deadline_write},
    /* IA32_XSS: no supervisor state component */
    {0xda0, NEEDS(XSAVES), FIELD(msr_xss), .write = ignore_write},
    /* KVM's wall clock and system time */
    {0x4b564d00, NEEDS(KVMCLOCK), FIELD(msr_kvm_wall_clock), .writable = UINT64_MAX,
     .read = kvm_clock_read, .write = kvm_wall_clock_write},
    {0x4b564d01, NEEDS(KVMCLOCK), FIELD(msr_kvm_system_time), .writable = UINT64_MAX,
     .read = kvm_clock_read, .write = kvm_system_time_write},
    {0xc0000080, ALWAYS, FIELD(efer), .writable = UINT64_MAX, .write = efer_write},
    {0xc0000081, NEEDS(SYSCALL), FIELD(msr_star), .writable = UINT64_MAX},
    {0xc0000082, NEEDS(LM), FIELD(msr_lstar), .writable = UINT64_MAX, .write = canonical_write},
    {0xc0000083, NEEDS(LM), FIELD(msr_cstar), .writable = UINT64_MAX, .write = canonical_write},
    {0xc0000084, NEEDS(LM), FIELD(msr_fmask), .writable = 0xffffffff},
    {0xc0000100, NEEDS(LM), FIELD(seg[SEG_FS].base), .writable = UINT64_MAX,
     .write = canonical_write},
    {0xc0000101, NEEDS(LM), FIELD(seg[SEG_GS].base), .writable = UINT64_MAX,
     .write = canonical_write},
    {0xc0000102, NEEDS(LM), FIELD(msr_kernel_gs_base), .writable = UINT64_MAX,
     .write = canonical_write},
    {0xc0000103, ALWAYS, .writable = 0xffffffff, .read = tsc_aux_read, .write = tsc_aux_write},
    /* SYSCFG */
    {0xc0010010, AMD, .writable = UINT64_MAX},
    /* HWCR: the TSC counts at the P0 frequency */
    {0xc0010015, AMD, .writable = UINT64_MAX, .constant = 1u << 24},
    /* TOP_MEM, TOP_MEM2 */
    {0xc001001a, AMD, .writable = UINT64_MAX},
    {0xc001001d, AMD, .writable = UINT64_MAX},
    /* NB_CFG */
    {0xc001001f, AMD, .writable = UINT64_MAX},
    /* Masks of machine-check banks */
    {0xc0010044, AMD, .writable = UINT64_MAX, .count = 7},
    /* Interrupt pending message: no C1E */
    {0xc0010055, AMD, .writable = UINT64_MAX},
    /* MMIO configuration base: none */
    {0xc0010058, AMD, .writable = UINT64_MAX},
    /* VIRT_SPEC_CTRL: SSBD */
    {0xc001011f, NEEDS(VIRT_SSBD), .vendor = MSR_AMD, .writable = 4, .write = ignore_write},
    /* OSVW length and status */
    {0xc0010140, NEEDS(OSVW), .vendor = MSR_AMD, .count = 2},
    /* LS_CFG, IC_CFG, DC_CFG, BU_CFG */
    {0xc0011020, AMD, .writable = UINT64_MAX, .count = 4},
    /* DE_CFG: LFENCE serialises */
    {0xc0011029, AMD, .writable = UINT64_MAX, .constant = 2},
    /* BU_CFG2, EX_CFG */
    {0xc001102a, AMD, .writable = UINT64_MAX},
    {0xc001102c, AMD, .writable = UINT64_MAX},
};

static const MsrRow *msr_find(X86CPU *cpu, uint32_t msr)
{
    static const MsrRow bank_control = {.writable = UINT64_MAX, .write = mce_bank_write,
                                        .feature = X86_FEATURE_MCA};
    static const MsrRow bank_other = {.write = mce_bank_write, .feature = X86_FEATURE_MCA};
    unsigned low = 0, high = G_N_ELEMENTS(msr_rows);
    const MsrRow *row;

    if (msr >= 0x400 && msr < 0x400 + MCE_BANKS * 4) {
        row = msr & 3 ? &bank_other : &bank_control;
    } else {
        while (high - low > 1) {
            unsigned middle = (low + high) / 2;

            if (msr_rows[middle].msr <= msr) {
                low = middle;
            } else {
                high = middle;
            }
        }
        row = &msr_rows[low];
        if (msr - row->msr >= MAX(row->count, 1)) {
            return NULL;
        }
    }
    if (row->feature != X86_FEATURE_NONE && !cpu_has(cpu, row->feature)) {
        return NULL;
    }
    if (row->vendor && (row->vendor == MSR_AMD) != cpu_is_amd(cpu)) {
        return NULL;
    }
    return row;
}

static bool msr_is_mtrr_variable(uint32_t msr)
{
    return msr >= 0x200 && msr < 0x200 + 2 * MSR_MTRR_VAR_COUNT;
}

static bool msr_is_mtrr_fixed(uint32_t msr)
{
    return msr == 0x250 || msr == 0x258 || msr == 0x259 || (msr >= 0x268 && msr <= 0x26f);
}

static bool msr_is_x2apic(uint32_t msr)
{
    return msr >= 0x800 && msr <= 0x8ff;
}

bool cpu_msr_read(X86CPU *cpu, uint32_t msr, uint64_t *value)
{
    const MsrRow *row;

    if (msr_is_x2apic(msr)) {
        return apic_msr_read(cpu, msr, value);
    }
    if (msr_is_mtrr_variable(msr)) {
        unsigned n = (msr - 0x200) / 2;

        *value = msr & 1 ? cpu->msr_mtrr_mask[n] : cpu->msr_mtrr_base[n];
        return cpu_has(cpu, X86_FEATURE_MTRR);
    }
    if (msr_is_mtrr_fixed(msr)) {
        *value = *mtrr_fixed(cpu, msr);
        return cpu_has(cpu, X86_FEATURE_MTRR);
    }
    row = msr_find(cpu, msr);
    if (!row) {
        return cpu->model && x86_cpu_model_msr(cpu->model, msr, value);
    }
    *value = row->field ? *row_field(cpu, row) : row->constant;
    if (row->read && !row->read(cpu, row, value)) {
        return false;
    }
    if (cpu->model && !row->field && (!row->write || row->write == ignore_write)) {
        *value = x86_cpu_model_patch_msr(cpu->model, msr, *value);
    }
    return true;
}

bool cpu_msr_write(X86CPU *cpu, uint32_t msr, uint64_t value)
{
    const MsrRow *row;

    if (msr_is_x2apic(msr)) {
        return apic_msr_write(cpu, msr, value);
    }
    if (msr_is_mtrr_variable(msr)) {
        return cpu_has(cpu, X86_FEATURE_MTRR) && mtrr_variable_write(cpu, msr, value);
    }
    if (msr_is_mtrr_fixed(msr)) {
        if (!cpu_has(cpu, X86_FEATURE_MTRR) || !memory_types_valid(value, false)) {
            return false;
        }
        *mtrr_fixed(cpu, msr) = value;
        return true;
    }
    row = msr_find(cpu, msr);
    if (!row || (value & ~row->writable)) {
        return false;
    }
    if (row->write) {
        return row->write(cpu, row, value);
    }
    if (!row->field || !row->writable) {
        return false;
    }
    *row_field(cpu, row) = value;
    return true;
}
