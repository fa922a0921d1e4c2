/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The run loop: events between blocks, then decoded instructions one after the other. */
#include "target-i386/interp/interp.h"

#include <string.h>

#include "target-i386/interp/cache.h"
#include "target-i386/interp/debug.h"
#include "target-i386/interp/insn.h"
#include "util/lock.h"
#include "util/log.h"

/* How cpu_raise() and cpu_leave_block() come back: an exception has its vector set. */
enum { LANDED_EXCEPTION = 1, LANDED_LEAVE = 2 };

void cpu_leave_block(X86CPU *cpu)
{
    siglongjmp(cpu->run_jump, LANDED_LEAVE);
}

/*
 * What an instruction that did not come to its end leaves behind. A locked access to a device holds
 * the machine lock while its second half faults: the page tables changed in between.
 */
static void run_landed(X86CPU *cpu)
{
    if (machine_locked()) {
        machine_unlock();
    }
    cpu->interrupt_shadow = false;
}

/* True if instructions are counted, and time with them (accel/icount.h). */
static bool counting(const X86CPU *cpu)
{
    return G_UNLIKELY(cpu->icount_limit != UINT64_MAX);
}

/* Runs the first instruction of @block only. */
static void run_one(X86CPU *cpu, const Block *block)
{
    const Insn *insn = block->insns;
    unsigned len = insn->flags & INSN_END ? 0 : insn->len;

    cpu->insn = insn;
    insn->fn(cpu, insn);
    cpu->cpu_rip += len;
    cpu->icount += !counting(cpu);
}

/*
 * Runs @block as far as the limit and events allow, looking at both before each instruction, so
 * that it makes no difference where blocks begin. The first instruction is counted.
 */
static void run_counted(X86CPU *cpu, const Block *block, uint32_t pending)
{
    const Insn *insn = block->insns;
    const Insn *last = insn + block->count - 1;

    for (;; insn++) {
        cpu->insn = insn;
        insn->fn(cpu, insn);
        if (insn == last) {
            cpu->cpu_rip += block->tail;
            return;
        }
        cpu->cpu_rip += insn->len;
        if (cpu->icount >= cpu->icount_limit || vcpu_pending(&cpu->vcpu) != pending) {
            return;
        }
        cpu->icount++;
    }
}

static void run_block(X86CPU *cpu, const Block *block)
{
    const Insn *insn = block->insns;
    const Insn *last = insn + block->count - 1;

    for (; insn != last; insn++) {
        cpu->insn = insn;
        insn->fn(cpu, insn);
        cpu->cpu_rip += insn->len;
    }
    cpu->insn = insn;
    insn->fn(cpu, insn);
    cpu->cpu_rip += block->tail;
    cpu->icount += block->count;
}

/* True if there is an engine that ran (some of) @block; what it runs it counts itself. */
static bool run_engine(X86CPU *cpu, Block *block)
{
    bool ran;

    if (!cpu->engine) {
        return false;
    }
    cpu->icount -= counting(cpu);
    ran = cpu->engine(cpu, block);
    cpu->icount += counting(cpu) && !ran;
    return ran;
}

/* One instruction with debug traps or in an interrupt shadow. */
static void run_single(X86CPU *cpu, JumpEntry *jumps)
{
    const Block *block;
    bool debug = cpu->debug_active;

    if (debug) {
        cpu_debug_before(cpu);
    }
    block = code_find(cpu, jumps);
    cpu->interrupt_shadow = false;
    run_one(cpu, block);
    if (debug) {
        cpu_debug_after(cpu);
    }
}

/* How far a run goes beside what vcpu->run() says. */
typedef struct RunLimits {
    uint64_t end;       /* value of icount */
    uint32_t leave;     /* events to return for */
    bool guest_of_engine; /* another goes on: what raises #UD or #GP is its, no exception waits */
} RunLimits;

/* Deals with what is pending; false if the run loop must return to the thread. */
static bool handle_pending(X86CPU *cpu, const RunLimits *limits)
{
    uint32_t pending = vcpu_pending(&cpu->vcpu);

    if (pending & VCPU_MEM_CHANGED) {
        vcpu_clear(&cpu->vcpu, VCPU_MEM_CHANGED);
        mmu_memory_changed(cpu);
    }
    if (pending & VCPU_CODE_CHANGED) {
        code_drain(cpu);
    }
    if (pending & limits->leave) {
        return false;
    }
    if (pending & (VCPU_INTR | VCPU_NMI | VCPU_SMI | VCPU_INIT | VCPU_SIPI)) {
        bool halted = cpu->vcpu.halted;

        cpu->insn = NULL; /* what delivery raises is no instruction's */
        if (cpu_accept_events(cpu)) {
            cpu->vcpu.halted = cpu->vcpu.wait_for_sipi;
        } else if (halted) {
            return false;
        }
    }
    return !cpu->vcpu.halted;
}

static void log_block(X86CPU *cpu)
{
    log_write(LOG_EXEC, "exec cpu %u cs:rip %04x:%016" G_GINT64_MODIFIER "x", cpu->vcpu.index,
              cpu->seg[SEG_CS].selector, cpu->cpu_rip);
    if (log_enabled(LOG_CPU)) {
        log_write(LOG_CPU, "  flags %08x cr0 %08" G_GINT64_MODIFIER "x cr3 %" G_GINT64_MODIFIER "x",
                  cpu_get_eflags(cpu), cpu->cr0, cpu->cr3);
        for (unsigned i = 0; i < 16; i += 4) {
            log_write(LOG_CPU, "  r%-2u %016" G_GINT64_MODIFIER "x %016" G_GINT64_MODIFIER "x "
                      "%016" G_GINT64_MODIFIER "x %016" G_GINT64_MODIFIER "x", i, cpu->regs[i],
                      cpu->regs[i + 1], cpu->regs[i + 2], cpu->regs[i + 3]);
        }
    }
}

/*
 * True if the exception must wait, for the thread is wanted: delivery may raise the next one for
 * ever (task gates to tasks with the T flag, descriptors in ROM).
 */
static bool exception_waits(X86CPU *cpu)
{
    return vcpu_pending(&cpu->vcpu) & (VCPU_STOP | VCPU_EXIT);
}

/*
 * Where another engine goes on: an endless chain of exceptions is cut, and that engine comes back
 * to the instruction. True if so.
 */
static bool cut_chain(X86CPU *cpu)
{
    if (cpu->delivering < 0 || !exception_waits(cpu)) {
        return false;
    }
    cpu->exception.vector = -1;
    cpu->delivering = -1;
    return true;
}

static void deliver_exception(X86CPU *cpu)
{
    cpu->vcpu.halted = false;
    cpu_deliver_pending_exception(cpu);
}

/* The current instruction raised what another engine may not. */
static bool raised_unknown(const X86CPU *cpu)
{
    int vector = cpu->exception.vector;

    return cpu->insn && cpu->delivering < 0 && (vector == EXC_UD || vector == EXC_GP);
}

/* False if it ended at an instruction of RunLimits.guest_of_engine. */
static bool run_within(X86CPU *cpu, const RunLimits *limits)
{
    JumpEntry *jumps = code_jump_entries(cpu->code);
    Vcpu *vcpu = &cpu->vcpu;

    switch (sigsetjmp(cpu->run_jump, 0)) {
    case LANDED_LEAVE:
        cpu->icount -= counting(cpu); /* the instruction is yet to come */
        run_landed(cpu);
        break;
    case LANDED_EXCEPTION:
        run_landed(cpu);
        break;
    default:
        break;
    }
    if (cpu->exception.vector >= 0) {
        if (limits->guest_of_engine && raised_unknown(cpu)) {
            cpu->exception.vector = -1;
            return false;
        }
        if (limits->guest_of_engine ? cut_chain(cpu) : exception_waits(cpu)) {
            return true;
        }
        deliver_exception(cpu);
    }
    while (G_LIKELY(cpu->icount < limits->end)) {
        Block *block;

        if (G_UNLIKELY(__atomic_load_n(&cpu->jit.poll, __ATOMIC_RELAXED))) {
            /* Before `pending` is looked at: who raises something later sets it again. */
            __atomic_store_n(&cpu->jit.poll, 0, __ATOMIC_SEQ_CST);
        }
        if (G_UNLIKELY(vcpu_pending(vcpu) || vcpu->halted) && !handle_pending(cpu, limits)) {
            return true;
        }
        if (counting(cpu)) {
            if (cpu->icount >= cpu->icount_limit) {
                return true;
            }
            cpu->icount++; /* before the fetch, so that a fault counts */
        }
        if (G_UNLIKELY(cpu->interrupt_shadow || cpu->debug_active)) {
            run_single(cpu, jumps);
            continue;
        }
        if (log_enabled(LOG_EXEC)) {
            log_block(cpu);
        }
        block = code_find(cpu, jumps);
        if (run_engine(cpu, block)) {
            continue;
        }
        if (counting(cpu)) {
            run_counted(cpu, block, vcpu_pending(vcpu));
        } else {
            run_block(cpu, block);
        }
    }
    return true;
}

void interp_run(Vcpu *vcpu)
{
    const RunLimits limits = {.end = UINT64_MAX, .leave = VCPU_STOP | VCPU_EXIT};

    run_within(x86_cpu(vcpu), &limits);
}

bool interp_run_for(X86CPU *cpu, uint64_t instructions)
{
    const RunLimits limits = {
        .end = cpu->icount + instructions,
        .leave = VCPU_STOP | VCPU_EXIT | VCPU_INIT | VCPU_SIPI,
        .guest_of_engine = true,
    };

    return run_within(cpu, &limits);
}

bool interp_step(X86CPU *cpu)
{
    JumpEntry *jumps = code_jump_entries(cpu->code);

    cpu->exception.vector = -1;
    switch (sigsetjmp(cpu->run_jump, 0)) {
    case LANDED_EXCEPTION:
        run_landed(cpu);
        return false;
    case LANDED_LEAVE:
        return true;
    default:
        run_one(cpu, code_find(cpu, jumps));
        return true;
    }
}

bool interp_block(X86CPU *cpu)
{
    Block *block;

    cpu->exception.vector = -1;
    __atomic_store_n(&cpu->jit.poll, 0, __ATOMIC_SEQ_CST);
    if (vcpu_pending(&cpu->vcpu) & VCPU_CODE_CHANGED) {
        code_drain(cpu);
    }
    switch (sigsetjmp(cpu->run_jump, 0)) {
    case LANDED_EXCEPTION:
        run_landed(cpu);
        return false;
    case LANDED_LEAVE:
        return true;
    default:
        block = code_find(cpu, code_jump_entries(cpu->code));
        if (!run_engine(cpu, block)) {
            run_block(cpu, block);
        }
        return true;
    }
}

static void landed_outside(X86CPU *cpu)
{
    run_landed(cpu);
    if (cpu->exception.vector >= 0 && !cut_chain(cpu)) {
        deliver_exception(cpu);
    }
}

/*
 * The place to land of whatever runs outside the run loop; a delivery that raises lands there
 * again.
 */
#define LAND(cpu)                                                                                  \
    if (sigsetjmp((cpu)->run_jump, 0)) {                                                           \
        landed_outside(cpu);                                                                       \
        return;                                                                                    \
    }

void interp_execute_one(X86CPU *cpu)
{
    LAND(cpu)
    run_single(cpu, code_jump_entries(cpu->code));
}

void interp_deliver(X86CPU *cpu, int vector, InterpEvent kind, bool has_error, uint32_t error)
{
    LAND(cpu)
    if (kind == INTERP_EXCEPTION) {
        cpu->exception.vector = vector;
        cpu->exception.has_error = has_error;
        cpu->exception.error = error;
        cpu_deliver_pending_exception(cpu);
    } else {
        cpu_deliver(cpu, vector, kind == INTERP_SOFTWARE, has_error, error);
    }
}

void interp_undo_exception(X86CPU *cpu, bool has_error, unsigned size)
{
    LAND(cpu)
    cpu->regs[R_RSP] += has_error ? size : 0;
    cpu_return_from_handler(cpu, size);
}

static bool interp_has_work(Vcpu *vcpu)
{
    const X86CPU *cpu = x86_cpu(vcpu);
    uint32_t wake = VCPU_INIT | VCPU_SIPI;

    if (!vcpu->wait_for_sipi) {
        wake |= VCPU_SMI | (cpu->nmi_blocked ? 0 : VCPU_NMI) |
                (cpu->eflags & FL_IF ? VCPU_INTR : 0);
    }
    return vcpu_pending(vcpu) & wake;
}

static void interp_reset(Vcpu *vcpu)
{
    cpu_reset(x86_cpu(vcpu), false);
}

static uint64_t interp_read_tsc(Vcpu *vcpu)
{
    return cpu_read_tsc(x86_cpu(vcpu));
}

const VcpuOps interp_vcpu_ops = {
    .run = interp_run,
    .has_work = interp_has_work,
    .reset = interp_reset,
    .read_tsc = interp_read_tsc,
};

X86CPU *cpu_new_bare(MemorySpace *memory, PortSpace *ports)
{
    X86CPU *cpu = cpu_new(memory, ports, code_domain_new(memory), 0);

    memset(cpu->features, 0xff, sizeof(cpu->features));
    cpu->vcpu.ops = &interp_vcpu_ops;
    cpu_reset(cpu, false);
    return cpu;
}

void cpu_free_bare(X86CPU *cpu)
{
    CodeDomain *domain = code_cache_domain(cpu->code);

    cpu_free(cpu);
    code_domain_free(domain);
}
