/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A CPU's life: creation and reset. */
#include "target-i386/cpu.h"

#include <string.h>
#include <sys/mman.h>

#include "target-i386/cpuid.h"
#include "target-i386/interp/cache.h"
#include "target-i386/interp/thunk.h"
#include "target-i386/mmu.h"
#include "util/log.h"

#define LARGE_PAGE (2u << 20)

static void reset_segments(X86CPU *cpu)
{
    for (unsigned i = 0; i < SEG_COUNT; i++) {
        cpu->seg[i] = (X86Segment){.limit = 0xffff, .attr = SEG_ATTR_P | SEG_ATTR_S | 3};
    }
    cpu->seg[SEG_CS].selector = 0xf000;
    cpu->seg[SEG_CS].base = 0xffff0000;
    cpu->seg[SEG_CS].attr = SEG_ATTR_P | SEG_ATTR_S | 0xb;
    cpu->seg[SEG_LDTR].attr = SEG_ATTR_P | 2;
    cpu->seg[SEG_TR].attr = SEG_ATTR_P | 0xb;
    cpu->gdtr = (X86Table){.limit = 0xffff};
    cpu->idtr = (X86Table){.limit = 0xffff};
}

/* What only power-on and RESET clear; INIT leaves it alone (SDM 3A table 9-1). */
static void reset_kept_by_init(X86CPU *cpu)
{
    memset(&cpu->x87, 0, sizeof(cpu->x87));
    memset(cpu->vec, 0, sizeof(cpu->vec));
    memset(cpu->opmask, 0, sizeof(cpu->opmask));
    cpu->x87.fcw = 0x40;
    cpu->x87.ftw = 0xff; /* all valid, holding +0 */
    cpu->x87.mxcsr = 0x1f80;
    cpu->x87.mxcsr_mask = 0xffff;
    cpu->xcr0 = 1;
    cpu->pkru = 0;
    cpu->msr_star = cpu->msr_lstar = cpu->msr_cstar = cpu->msr_fmask = 0;
    cpu->msr_kernel_gs_base = cpu->msr_tsc_aux = 0;
    cpu->msr_sysenter_cs = cpu->msr_sysenter_esp = cpu->msr_sysenter_eip = 0;
    cpu->msr_pat = 0x0007040600070406ULL;
    cpu->msr_misc_enable = 1; /* fast strings */
    cpu->msr_tsc_adjust = cpu->msr_spec_ctrl = cpu->msr_xss = cpu->msr_feature_control = 0;
    cpu->msr_mcg_status = 0;
    cpu->msr_kvm_wall_clock = cpu->msr_kvm_system_time = 0;
    cpu->msr_mtrr_def_type = 0;
    memset(cpu->msr_mtrr_fix, 0, sizeof(cpu->msr_mtrr_fix));
    memset(cpu->msr_mtrr_base, 0, sizeof(cpu->msr_mtrr_base));
    memset(cpu->msr_mtrr_mask, 0, sizeof(cpu->msr_mtrr_mask));
    cpu->tsc_offset = 0;
    cpu->smm = false;
}

/* Processor signature in EDX after reset (SDM 3A 9.1.2). */
static uint32_t cpu_signature(X86CPU *cpu)
{
    uint32_t out[4] = {0};

    if (cpu->cpuid) {
        cpu_cpuid(cpu, 1, 0, out);
    }
    return out[0];
}

void cpu_reset(X86CPU *cpu, bool init)
{
    if (log_enabled(LOG_CPU_RESET)) {
        log_write(LOG_CPU_RESET, "CPU %u %s", cpu->vcpu.index, init ? "INIT" : "reset");
    }
    memset(cpu->regs, 0, sizeof(cpu->regs));
    cpu->cpu_rip = 0xfff0;
    cpu->regs[R_RDX] = cpu_signature(cpu);
    cpu->cc = 0;
    cpu->eflags = 2;
    reset_segments(cpu);
    cpu->cr0 = (init ? cpu->cr0 & (CR0_CD | CR0_NW) : CR0_CD | CR0_NW) | CR0_ET;
    cpu->cr2 = cpu->cr3 = cpu->cr4 = cpu->cr8 = cpu->efer = 0;
    memset(cpu->dr, 0, sizeof(cpu->dr));
    cpu->dr[6] = 0xffff0ff0;
    cpu->dr[7] = 0x400;
    memset(cpu->pdpte, 0, sizeof(cpu->pdpte));
    if (!init) {
        reset_kept_by_init(cpu);
    }
    cpu->interrupt_shadow = cpu->nmi_blocked = false;
    cpu->exception.vector = -1;
    cpu->delivering = -1;
    cpu->insn = NULL;
    /* A start-up message that is here already came after the INIT: it must not be lost. */
    vcpu_clear(&cpu->vcpu, VCPU_NMI | VCPU_SMI | VCPU_INIT | (init ? 0 : VCPU_SIPI));
    cpu->vcpu.wait_for_sipi = !cpu->vcpu.is_bsp;
    cpu->vcpu.halted = !cpu->vcpu.is_bsp;
    if (cpu->vcpu.intr_ops && init) {
        cpu->vcpu.intr_ops->cpu_reset(cpu->vcpu.intr_opaque);
    }
    cpu_cpuid_forget(cpu);
    mmu_memory_changed(cpu);
    cpu_update_mode(cpu);
}

X86CPU *cpu_new(MemorySpace *memory, PortSpace *ports, CodeDomain *domain, unsigned index)
{
    X86CPU *cpu;

    /* Translated code reaches all over it: large pages save the host misses of its TLB. */
    cpu = g_aligned_alloc(1, sizeof(*cpu), LARGE_PAGE);
    madvise(cpu, sizeof(*cpu), MADV_HUGEPAGE);
    memset(cpu, 0, sizeof(*cpu));
    cpu->vcpu.index = index;
    cpu->vcpu.apic_id = index;
    cpu->vcpu.is_bsp = index == 0;
    cpu->vcpu.memory = memory;
    cpu->vcpu.ports = ports;
    cpu->vcpu.tsc_hz = X86_TSC_HZ;
    cpu->vcpu.icount_done = &cpu->icount;
    cpu->vcpu.icount_limit = &cpu->icount_limit;
    cpu->icount_limit = UINT64_MAX;
    cpu->vcpu.a20_mask = UINT64_MAX;
    g_cond_init(&cpu->vcpu.wake);
    cpu->phys_bits = 40;
    cpu->virt_bits = 48;
    cpu_cpuid_forget(cpu);
    mmu_init(cpu);
    cpu->code = code_cache_new(cpu, domain);
    return cpu;
}

void cpu_free(X86CPU *cpu)
{
    code_cache_free(cpu->code);
    thunk_arena_free(cpu->thunks);
    x86_cpuid_table_free(cpu->cpuid);
    g_cond_clear(&cpu->vcpu.wake);
    g_aligned_free(cpu);
}
