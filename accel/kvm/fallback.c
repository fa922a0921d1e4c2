/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where KVM gives up, we go on: the state is taken over, our interpreter runs the instruction that
 * stands at RIP (the kernel leaves it there, api.rst KVM_EXIT_INTERNAL_ERROR), exceptions and all,
 * and as many more as make the change worth its price, and KVM gets the state back.
 */
#include <Zydis/Zydis.h>
#include <string.h>

#include "accel/kvm/kvm.h"
#include "target-i386/interp/cache.h"
#include "target-i386/interp/interp.h"
#include "target-i386/mmu.h"
#include "util/log.h"
#include "util/timer.h"

#define INSN_MAX 15
#define JOINED_STEP 256 /* instructions between two looks whether it is time to give back */
#define LENT_STEP 1024
#define KNOWN_STEPS 2 /* what an instruction asks of KVM may be done when it enters once more */
#define LEAVE (VCPU_STOP | VCPU_EXIT | VCPU_INIT | VCPU_SIPI)
#define LOGGED_FALLBACKS 20 /* then only the statistics go on counting */

/* --- the instruction ----------------------------------------------------------------- */

/* The bytes at RIP as far as they are mapped; returns how many. */
static unsigned fetch_bytes(X86CPU *cpu, uint8_t *bytes)
{
    uint64_t pc = code_pc(cpu);
    MmuView view = cpu->cpl == 3 ? MMU_USER : MMU_SUPER;
    unsigned done = 0;

    while (done < INSN_MAX) {
        unsigned part = MIN(INSN_MAX - done, GUEST_PAGE_SIZE - (pc + done) % GUEST_PAGE_SIZE);
        uint64_t gpa;
        uint32_t error;

        if (!mmu_translate(cpu, view, pc + done, ACCESS_FETCH, &gpa, &error)) {
            break;
        }
        memory_read(cpu->vcpu.memory, gpa, bytes + done, part);
        done += part;
    }
    return done;
}

static bool decode(X86CPU *cpu, ZydisDecodedInstruction *insn)
{
    static const struct {
        ZydisMachineMode mode;
        ZydisStackWidth width;
    } modes[3] = {{ZYDIS_MACHINE_MODE_LEGACY_16, ZYDIS_STACK_WIDTH_16},
                  {ZYDIS_MACHINE_MODE_LEGACY_32, ZYDIS_STACK_WIDTH_32},
                  {ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64}};
    unsigned mode = cpu->code_size == 16 ? 0 : cpu->code_size == 32 ? 1 : 2;
    uint8_t bytes[INSN_MAX];
    unsigned size = fetch_bytes(cpu, bytes);
    ZydisDecoder decoder;

    ZydisDecoderInit(&decoder, modes[mode].mode, modes[mode].width);
    return ZYAN_SUCCESS(ZydisDecoderDecodeInstruction(&decoder, NULL, bytes, size, insn));
}

/* Instructions that touch general registers, flags, segments and memory at most: most are such. */
static bool needs_core_only(const ZydisDecodedInstruction *insn)
{
    switch (insn->meta.isa_ext) {
    case ZYDIS_ISA_EXT_BASE:
    case ZYDIS_ISA_EXT_LONGMODE:
        return insn->meta.category != ZYDIS_CATEGORY_SYSTEM &&
               insn->meta.category != ZYDIS_CATEGORY_SYSCALL &&
               insn->meta.category != ZYDIS_CATEGORY_SYSRET;
    default:
        return false;
    }
}

/* --- events whose delivery failed ------------------------------------------------------ */

/* Delivers what the kernel was delivering; false if there was nothing. */
static bool deliver_injected(KvmVcpu *v)
{
    struct kvm_vcpu_events *events = &v->events;

    if (events->exception.injected) {
        events->exception.injected = 0;
        interp_deliver(v->cpu, events->exception.nr, INTERP_EXCEPTION,
                       events->exception.has_error_code, events->exception.error_code);
        return true;
    }
    if (events->nmi.injected) {
        events->nmi.injected = 0;
        interp_deliver(v->cpu, EXC_NMI, INTERP_INTERRUPT, false, 0);
        v->cpu->nmi_blocked = true;
        return true;
    }
    if (events->interrupt.injected) {
        events->interrupt.injected = 0;
        interp_deliver(v->cpu, events->interrupt.nr,
                       events->interrupt.soft ? INTERP_SOFTWARE : INTERP_INTERRUPT, false, 0);
        return true;
    }
    return false;
}

/* --- one step ------------------------------------------------------------------------------ */

static void report(KvmVcpu *v, const char *why, const char *what)
{
    const X86CPU *cpu = v->cpu;

    if (v->fallbacks < LOGGED_FALLBACKS) {
        log_write(LOG_ACCEL, "kvm: CPU %u: %s (exit %u.%u): our interpreter runs %s at %04x:%016"
                  G_GINT64_MODIFIER "x", cpu->vcpu.index, why, v->run->exit_reason,
                  v->run->exit_reason == KVM_EXIT_INTERNAL_ERROR ? v->run->internal.suberror : 0,
                  what, cpu->seg[SEG_CS].selector, cpu->cpu_rip);
    } else if (v->fallbacks == LOGGED_FALLBACKS) {
        log_write(LOG_ACCEL, "kvm: CPU %u: further instructions are only counted",
                  cpu->vcpu.index);
    }
    v->fallbacks++;
}

/* Guest code in the kernel changes page tables and code behind our caches. */
static void forget_caches(X86CPU *cpu)
{
    mmu_memory_changed(cpu);
    code_flush(cpu);
}

/* With a local APIC in the kernel, interrupts come to the CPU there alone. */
bool kvm_may_go_on(const KvmVcpu *v)
{
    return !kvm_kernel_apic(v);
}

/* An NMI that waits in the kernel is as good in `pending`, where the interpreter sees it. */
static void take_waiting_nmi(KvmVcpu *v)
{
    if (v->events.nmi.pending) {
        v->events.nmi.pending = 0;
        vcpu_raise(&v->cpu->vcpu, VCPU_NMI);
    }
}

/* Takes the state that the instruction, or with @go_on any, may need; returns what was taken. */
static KvmStateParts take_over(KvmVcpu *v, bool go_on, const char **what)
{
    X86CPU *cpu = v->cpu;
    ZydisDecodedInstruction insn;
    KvmStateParts parts = KVM_STATE_ALL;
    ZydisMnemonic mnemonic = ZYDIS_MNEMONIC_INVALID;

    kvm_take_state(v, KVM_STATE_CORE);
    forget_caches(cpu);
    if (decode(cpu, &insn)) {
        mnemonic = insn.mnemonic;
        parts = !go_on && needs_core_only(&insn) ? KVM_STATE_CORE : KVM_STATE_ALL;
    }
    if (v->machine->flaws || v->run->exit_reason == KVM_EXIT_DEBUG) {
        parts = KVM_STATE_ALL;
    }
    if (parts & KVM_STATE_REST) {
        kvm_take_state(v, KVM_STATE_REST);
    }
    /* A hypercall that this KVM does not take is answered as one that does not exist. */
    cpu->paravirt = mnemonic == ZYDIS_MNEMONIC_VMCALL || mnemonic == ZYDIS_MNEMONIC_VMMCALL;
    v->fallbacks_by_mnemonic[mnemonic]++;
    *what = ZydisMnemonicGetString(mnemonic);
    return parts;
}

/* KVM has the CPU again, unless it cannot have it yet. */
static void give_back(KvmVcpu *v)
{
    const X86CPU *cpu = v->cpu;

    v->run->if_flag = !!(cpu->eflags & FL_IF);
    v->run->ready_for_interrupt_injection = 0;
    if (!kvm_can_run(v) || (kvm_is_lender(v) && !v->needs_kvm && !v->lends)) {
        return;
    }
    v->lent = v->lends;
    v->lends = false;
    v->stale |= cpu->map_generation != v->held_map;
    if (v->machine->flaws) {
        kvm_watch_handlers(v, v->needs_kvm && kvm_is_lender(v) ? KNOWN_STEPS : 0);
    }
    kvm_give_state(v, v->held_parts);
    v->held = false;
}

/*
 * An instruction that raises #UD or #GP in the interpreter: registers that we have not (the
 * paravirtual ones) and hypercalls are KVM's, and its host may have vector instructions that we
 * lack. All else is as we say.
 */
static bool kvm_knows_better(KvmVcpu *v)
{
    X86CPU *cpu = v->cpu;
    ZydisDecodedInstruction insn;
    uint64_t value;

    if (!kvm_can_run(v) || !decode(cpu, &insn)) {
        return false;
    }
    switch (insn.mnemonic) {
    case ZYDIS_MNEMONIC_RDMSR:
    case ZYDIS_MNEMONIC_WRMSR:
        return cpu->cpl == 0 && !cpu_msr_read(cpu, cpu->regs[R_RCX], &value);
    case ZYDIS_MNEMONIC_VMCALL:
    case ZYDIS_MNEMONIC_VMMCALL:
        return cpu->cpl == 0;
    default:
        return cpu->cpl == 3 && insn.meta.isa_ext != ZYDIS_ISA_EXT_BASE &&
               insn.meta.isa_ext != ZYDIS_ISA_EXT_LONGMODE;
    }
}

/* Until enough user code has run on end to lend it, or KVM alone may know an instruction. */
static void run_until_lent(KvmVcpu *v)
{
    X86CPU *cpu = v->cpu;
    uint64_t user = 0;

    while (!cpu->vcpu.halted && !(vcpu_pending(&cpu->vcpu) & LEAVE) && !v->needs_kvm &&
           !kvm_gate_is_needed(v)) {
        if (!interp_run_for(cpu, LENT_STEP)) {
            if (kvm_knows_better(v)) {
                v->needs_kvm = true;
            } else {
                interp_execute_one(cpu);
            }
        }
        user = cpu->cpl == 3 ? user + LENT_STEP : 0;
        if (user >= v->stretch.lend && kvm_can_run(v) && kvm_gate_is_ours(v)) {
            v->lends = true;
            return;
        }
    }
}

/* Goes on for @more instructions, and for as long as KVM cannot or, with @joins, others do. */
static void go_on(KvmVcpu *v, uint64_t more, bool joins)
{
    Vcpu *vcpu = &v->cpu->vcpu;

    if (kvm_is_lender(v)) {
        run_until_lent(v);
        give_back(v);
        return;
    }
    if (more) {
        interp_run_for(v->cpu, more);
    }
    while ((!kvm_can_run(v) || (joins && kvm_gate_is_wanted(v))) && !vcpu->halted &&
           !(vcpu_pending(vcpu) & LEAVE) && !v->needs_kvm && !kvm_gate_is_needed(v)) {
        if (!interp_run_for(v->cpu, JOINED_STEP)) {
            if (kvm_can_run(v)) {
                v->needs_kvm = true;
            } else {
                interp_execute_one(v->cpu); /* nobody else knows it now */
            }
        }
    }
    give_back(v);
}

static void account(KvmVcpu *v, int64_t begin, uint64_t executed)
{
    int64_t spent = clock_ns(CLOCK_REAL) - begin;

    v->interpreted += v->cpu->icount - executed;
    v->fallback_ns += spent;
    v->stretch.cost_ns = spent;
}

void kvm_go_on(KvmVcpu *v)
{
    int64_t begin = clock_ns(CLOCK_REAL);
    uint64_t executed = v->cpu->icount;

    if (kvm_gate_interpret(v, false)) {
        go_on(v, 1, false);
        kvm_gate_interpreted(v);
    }
    account(v, begin, executed);
}

/*
 * The CPU is the interpreter's; @parts of its state go back in the end. What is written to page
 * tables till then may be told to the CPU much later, when it is KVM's again, or with no more than
 * a change of CR3: so a KVM with shadows of them is to drop these in any case.
 */
static void hold(KvmVcpu *v, KvmStateParts parts)
{
    v->stale |= v->machine->flaws & KVM_FLAW_SHADOW;
    v->held_parts = parts;
    v->held_map = v->cpu->map_generation;
    v->held = true;
    v->steps = 0;
    kvm_gate_done(v);
    if (v->lent) {
        kvm_stretch_lent(&v->stretch);
        v->lent = false;
        v->loans++;
    }
}

/* All state comes from KVM, and with it the events that KVM was about to deliver. */
static void take_from_kvm(KvmVcpu *v)
{
    kvm_take_state(v, KVM_STATE_ALL);
    forget_caches(v->cpu);
    hold(v, KVM_STATE_ALL);
    take_waiting_nmi(v);
    deliver_injected(v);
}

void kvm_join(KvmVcpu *v)
{
    int64_t begin = clock_ns(CLOCK_REAL), cost = v->stretch.cost_ns;
    uint64_t executed = v->cpu->icount;

    if (!kvm_gate_interpret(v, true)) {
        return;
    }
    take_from_kvm(v);
    go_on(v, 0, true);
    kvm_gate_interpreted(v);
    account(v, begin, executed);
    v->stretch.cost_ns = cost;
    v->joined++;
}

void kvm_take_back(KvmVcpu *v)
{
    if (!v->held) {
        take_from_kvm(v);
    }
}

void kvm_fall_back(KvmVcpu *v, const char *why)
{
    X86CPU *cpu = v->cpu;
    int64_t begin = clock_ns(CLOCK_REAL);
    uint64_t executed = cpu->icount;
    uint64_t more = kvm_may_go_on(v) && !kvm_is_lender(v) ? kvm_stretch_next(&v->stretch) : 0;
    const char *what;

    if (more) {
        kvm_gate_interpret(v, false);
    }
    hold(v, take_over(v, more || kvm_is_lender(v), &what));
    report(v, why, what);
    if (v->run->exit_reason == KVM_EXIT_DEBUG) {
        kvm_undo_misdelivery(v);
    } else if (v->run->exit_reason == KVM_EXIT_SHUTDOWN) {
        v->events.exception.injected = v->events.exception.pending = 0;
    }
    if (more) {
        take_waiting_nmi(v);
    }
    if (!deliver_injected(v)) {
        interp_execute_one(cpu);
    }
    cpu->paravirt = false;
    if (!kvm_is_lender(v) && (more || kvm_can_run(v))) {
        go_on(v, cpu->vcpu.halted ? 0 : more, false);
        kvm_gate_interpreted(v);
    } /* else kvm_go_on() comes next */
    account(v, begin, executed);
}

/* --- statistics ------------------------------------------------------------------------------- */

static const char *const exit_names[KVM_EXIT_KINDS] = {
    [KVM_EXIT_UNKNOWN] = "unknown",
    [KVM_EXIT_EXCEPTION] = "exception",
    [KVM_EXIT_IO] = "io",
    [KVM_EXIT_HYPERCALL] = "hypercall",
    [KVM_EXIT_DEBUG] = "debug",
    [KVM_EXIT_HLT] = "hlt",
    [KVM_EXIT_MMIO] = "mmio",
    [KVM_EXIT_IRQ_WINDOW_OPEN] = "irq-window",
    [KVM_EXIT_SHUTDOWN] = "shutdown",
    [KVM_EXIT_FAIL_ENTRY] = "fail-entry",
    [KVM_EXIT_INTR] = "intr",
    [KVM_EXIT_SET_TPR] = "set-tpr",
    [KVM_EXIT_NMI] = "nmi",
    [KVM_EXIT_INTERNAL_ERROR] = "internal-error",
    [KVM_EXIT_SYSTEM_EVENT] = "system-event",
    [KVM_EXIT_IOAPIC_EOI] = "ioapic-eoi",
};

void kvm_log_stats(Vcpu *vcpu)
{
    const KvmVcpu *v = kvm_vcpu(vcpu);
    g_autofree char *name = g_strdup_printf("cpu %u", vcpu->index);
    uint64_t total = v->interrupted;

    for (unsigned i = 0; i < KVM_EXIT_KINDS; i++) {
        total += v->exits[i];
    }
    log_write(LOG_STATS, "kvm: cpu %u: %" G_GUINT64_FORMAT " exits, %" G_GUINT64_FORMAT
              " of them for kicks", vcpu->index, total, v->interrupted);
    for (unsigned i = 0; i < KVM_EXIT_KINDS; i++) {
        if (v->exits[i]) {
            log_write(LOG_STATS, "kvm: cpu %u: %s %" G_GUINT64_FORMAT, vcpu->index,
                      exit_names[i] ? exit_names[i] : "other", v->exits[i]);
        }
    }
    log_write(LOG_STATS, "kvm: cpu %u: %.3f s in KVM, %.3f s in the interpreter", vcpu->index,
              v->run_ns / 1e9, v->fallback_ns / 1e9);
    log_write(LOG_STATS, "kvm: cpu %u: %" G_GUINT64_FORMAT " instructions by the interpreter in %"
              G_GUINT64_FORMAT " takeovers, and %" G_GUINT64_FORMAT " to be with other CPUs",
              vcpu->index, v->interpreted, v->fallbacks, v->joined);
    if (v->machine->flaws & KVM_FLAW_SLOW) {
        log_write(LOG_STATS, "kvm: cpu %u: user code lent to KVM %" G_GUINT64_FORMAT " times",
                  vcpu->index, v->loans);
    }
    if (v->machine->flaws) {
        log_write(LOG_STATS, "kvm: cpu %u: %" G_GUINT64_FORMAT " wrong exceptions undone",
                  vcpu->index, v->misdelivered);
    }
    for (unsigned i = 0; i <= ZYDIS_MNEMONIC_MAX_VALUE; i++) {
        if (v->fallbacks_by_mnemonic[i]) {
            log_write(LOG_STATS, "kvm: cpu %u: taken over at %s %u", vcpu->index,
                      ZydisMnemonicGetString(i), v->fallbacks_by_mnemonic[i]);
        }
    }
    kvm_log_kernel_stats(v->fd, name);
    if (!vcpu->index) {
        kvm_log_kernel_stats(v->machine->vm_fd, "machine");
    }
}
