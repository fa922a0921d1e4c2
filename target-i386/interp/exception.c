/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Raising exceptions, what happens when one comes while another is delivered (SDM 3A 6.15), and the
 * events a CPU accepts between instructions: INIT, SIPI, NMI, interrupts.
 */
#include "target-i386/interp/system.h"
#include "util/lock.h"
#include "util/log.h"

void cpu_raise(X86CPU *cpu, X86Exception vector)
{
    cpu->exception.vector = vector;
    cpu->exception.has_error = false;
    cpu->exception.error = 0;
    siglongjmp(cpu->run_jump, 1);
}

void cpu_raise_error(X86CPU *cpu, X86Exception vector, uint32_t error)
{
    cpu->exception.vector = vector;
    cpu->exception.has_error = true;
    cpu->exception.error = error;
    siglongjmp(cpu->run_jump, 1);
}

/* The contributory exceptions of SDM 3A table 6-4. */
static bool vector_contributory(int vector)
{
    return vector == EXC_DE || (vector >= EXC_TS && vector <= EXC_GP);
}

/* What becomes of @vector raised while @first was being delivered (SDM 3A table 6-5). */
static int vector_combine(int first, int vector)
{
    bool serious = vector_contributory(vector);

    if (first == EXC_PF && (serious || vector == EXC_PF)) {
        return EXC_DF;
    }
    return vector_contributory(first) && serious ? EXC_DF : vector;
}

/* Shutdown: the machine decides what follows; until then the CPU stands still. */
static void cpu_shutdown(X86CPU *cpu)
{
    log_write(LOG_CPU_RESET, "CPU %u: triple fault at %04x:%016" G_GINT64_MODIFIER "x",
              cpu->vcpu.index, cpu->seg[SEG_CS].selector, cpu->cpu_rip);
    cpu->exception.vector = -1;
    cpu->delivering = -1;
    cpu_set_eflags(cpu, 0, FL_IF);
    cpu->vcpu.halted = true;
    vcpu_request_reset(&cpu->vcpu);
}

/* Causes are added to DR6; the handler clears them. GD is off while it runs (SDM 3A 17.2.4). */
static void cpu_record_debug_causes(X86CPU *cpu)
{
    cpu->dr[6] |= cpu->exception.dr6_bits;
    cpu->exception.dr6_bits = 0;
    cpu->dr[7] &= ~(1ull << 13);
}

/*
 * An event is about to be delivered: where it found the CPU, and after how many instructions, goes
 * into the trace by which runs with -icount are compared. How code is run must not show.
 */
static void trace_event(X86CPU *cpu, int vector)
{
    uint64_t hash = cpu->trace_hash ^ (unsigned)vector ^ cpu->icount << 8;

    if (cpu->trace_hash) {
        for (unsigned i = 0; i < R_COUNT; i++) {
            hash = (hash ^ cpu->regs[i]) * 0x9e3779b97f4a7c15u;
            hash ^= hash >> 32;
        }
        cpu->trace_hash = hash | 1;
    }
}

void cpu_deliver_pending_exception(X86CPU *cpu)
{
    int vector = cpu->exception.vector;
    bool has_error = cpu->exception.has_error;
    uint32_t error = cpu->exception.error;
    int first = cpu->delivering;

    cpu->exception.vector = -1;
    cpu->exceptions_count++;
    trace_event(cpu, vector);
    if (first >= 0) {
        if (first == EXC_DF && (vector_contributory(vector) || vector == EXC_PF)) {
            cpu_shutdown(cpu);
            return;
        }
        vector = vector_combine(first, vector);
    }
    if (vector == EXC_DF) {
        has_error = true;
        error = 0;
    } else if (vector == EXC_DB) {
        cpu_record_debug_causes(cpu);
    }
    cpu->delivering = vector;
    cpu_deliver(cpu, vector, false, has_error, error);
    cpu->delivering = -1;
}

/* Faults push RF so that an instruction breakpoint does not hit again on return (SDM 3A 17.3.1.1).
 */
static bool vector_pushes_rf(int vector)
{
    return vector < 20 && vector != EXC_DB && vector != EXC_NMI && vector != EXC_BP &&
           vector != EXC_OF && vector != EXC_DF && vector != EXC_MC;
}

void cpu_deliver(X86CPU *cpu, int vector, bool software, bool has_error, uint32_t error)
{
    uint32_t rf = cpu->eflags & FL_RF;
    Interrupt intr = {
        .vector = vector,
        .software = software,
        .has_error = has_error,
        .error = error,
        .return_rip = cpu->cpu_rip,
    };

    log_write(LOG_INT, "CPU %u: vector %02x error %x at %04x:%016" G_GINT64_MODIFIER "x",
              cpu->vcpu.index, vector, has_error ? error : 0, cpu->seg[SEG_CS].selector,
              cpu->cpu_rip);
    if (cpu->delivering >= 0 && vector_pushes_rf(vector)) {
        rf = FL_RF;
    }
    intr.set_rf = rf != 0;
    interrupt_deliver(cpu, &intr);
}

/* INIT: processors other than the first wait for a start-up message (SDM 3A 8.4.2). */
static void cpu_accept_init(X86CPU *cpu)
{
    bool taken = machine_lock_enter();

    vcpu_clear(&cpu->vcpu, VCPU_INTR);
    cpu_reset(cpu, true);
    machine_lock_leave(taken);
}

static void cpu_accept_sipi(X86CPU *cpu)
{
    uint16_t selector = cpu->vcpu.sipi_vector << 8;

    cpu->seg[SEG_CS].selector = selector;
    cpu->seg[SEG_CS].base = (uint32_t)selector << 4;
    cpu->cpu_rip = 0;
    cpu->vcpu.wait_for_sipi = false;
    cpu->vcpu.halted = false;
    cpu_update_mode(cpu);
}

/*
 * Asks the interrupt controller under the machine lock, under which it also keeps VCPU_INTR true to
 * what it can deliver; a bit that it left behind with nothing to deliver goes.
 */
static int cpu_acknowledge_interrupt(X86CPU *cpu)
{
    bool taken = machine_lock_enter();
    int vector = -1;

    if (cpu->vcpu.intr_ops) {
        vector = cpu->vcpu.intr_ops->accept(cpu->vcpu.intr_opaque);
    }
    if (vector < 0) {
        vcpu_clear(&cpu->vcpu, VCPU_INTR);
    }
    machine_lock_leave(taken);
    return vector;
}

static bool cpu_accept_nmi(X86CPU *cpu)
{
    vcpu_clear(&cpu->vcpu, VCPU_NMI);
    cpu->vcpu.halted = false;
    cpu->nmi_blocked = true;
    cpu->interrupts_count++;
    trace_event(cpu, EXC_NMI);
    cpu_deliver(cpu, EXC_NMI, false, false, 0);
    return true;
}

static bool cpu_accept_interrupt(X86CPU *cpu)
{
    int vector = cpu_acknowledge_interrupt(cpu);

    if (vector < 0) {
        return false;
    }
    cpu->vcpu.halted = false;
    cpu->interrupts_count++;
    trace_event(cpu, vector);
    cpu_deliver(cpu, vector, false, false, 0);
    return true;
}

/* Order of SDM 3A table 6-2. */
bool cpu_accept_events(X86CPU *cpu)
{
    uint32_t pending = vcpu_pending(&cpu->vcpu);

    if (pending & VCPU_INIT) {
        cpu_accept_init(cpu);
        return true;
    }
    if (pending & VCPU_SIPI) {
        vcpu_clear(&cpu->vcpu, VCPU_SIPI);
        if (cpu->vcpu.wait_for_sipi) {
            cpu_accept_sipi(cpu);
            return true;
        }
    }
    if (cpu->vcpu.wait_for_sipi) {
        return false;
    }
    if (pending & VCPU_SMI) {
        vcpu_clear(&cpu->vcpu, VCPU_SMI);
        log_write(LOG_UNIMP, "CPU %u: SMI ignored, there is no system management mode",
                  cpu->vcpu.index);
    }
    if (cpu->interrupt_shadow) {
        return false;
    }
    if ((pending & VCPU_NMI) && !cpu->nmi_blocked) {
        return cpu_accept_nmi(cpu);
    }
    return (pending & VCPU_INTR) && (cpu->eflags & FL_IF) && cpu_accept_interrupt(cpu);
}
