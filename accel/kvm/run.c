/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Running a vCPU: what is pending goes in, KVM_RUN, and what the guest wanted of the machine is
 * done. No allocation here, and no lock but the machine lock for devices and the interrupt
 * controller.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "accel/kvm/kvm.h"
#include "target-i386/interp/cache.h"
#include "util/lock.h"
#include "util/log.h"
#include "util/timer.h"

/* Only brings KVM_RUN, or what is just before it, to look at immediate_exit. */
#define KICK_SIGNAL (SIGRTMIN + 2)

static void kick_handler(int signal)
{
}

void kvm_kick_init(void)
{
    struct sigaction action = {.sa_handler = kick_handler};

    sigaction(KICK_SIGNAL, &action, NULL);
}

/*
 * The vCPU sets `entered` and then looks at `pending`; a raiser sets `pending` and then looks at
 * `entered`. So either the vCPU sees the bit, or it gets immediate_exit and, if KVM_RUN was begun
 * before that, the signal.
 */
static void kvm_kick(Vcpu *vcpu, uint32_t bits)
{
    KvmVcpu *v = kvm_vcpu(vcpu);

    if ((bits & ~(VCPU_MEM_CHANGED | VCPU_CODE_CHANGED)) && atomic_load(&v->entered)) {
        __atomic_store_n(&v->run->immediate_exit, 1, __ATOMIC_SEQ_CST);
        syscall(SYS_tgkill, getpid(), v->tid, KICK_SIGNAL);
    }
}

static void prepare_thread(KvmVcpu *v)
{
    sigset_t kick;

    if (!v->tid) {
        v->tid = syscall(SYS_gettid);
        sigemptyset(&kick);
        sigaddset(&kick, KICK_SIGNAL);
        pthread_sigmask(SIG_UNBLOCK, &kick, NULL);
    }
}

/* --- what the guest wants ----------------------------------------------------------- */

static void exit_io(KvmVcpu *v)
{
    const struct kvm_run *run = v->run;
    uint8_t *data = (uint8_t *)run + run->io.data_offset;
    PortSpace *ports = v->cpu->vcpu.ports;

    machine_lock();
    for (uint32_t i = 0; i < run->io.count; i++, data += run->io.size) {
        uint32_t value = 0;
        if (run->io.direction == KVM_EXIT_IO_OUT) {
            memcpy(&value, data, run->io.size);
            port_write(ports, run->io.port, value, run->io.size);
        } else {
            value = port_read(ports, run->io.port, run->io.size);
            memcpy(data, &value, run->io.size);
        }
    }
    machine_unlock();
    v->io_unfinished = true;
}

static void exit_mmio(KvmVcpu *v)
{
    struct kvm_run *run = v->run;
    MemorySpace *memory = v->cpu->vcpu.memory;
    uint64_t addr = run->mmio.phys_addr & v->cpu->vcpu.a20_mask;

    if (run->mmio.is_write) {
        memory_write(memory, addr, run->mmio.data, run->mmio.len);
    } else {
        memory_read(memory, addr, run->mmio.data, run->mmio.len);
    }
    v->io_unfinished = true;
}

/* A level-triggered interrupt of our I/O APIC has ended in the kernel's local APIC. */
static void exit_ioapic_eoi(KvmVcpu *v)
{
    const KvmMachine *machine = v->machine;

    machine_lock();
    if (machine->eoi) {
        machine->eoi(machine->eoi_opaque, v->run->eoi.vector);
    }
    machine_unlock();
}

/*
 * Shutdown after a triple fault: the machine decides; until then the CPU stands still. Where KVM
 * does not know paging of 32 bits it ends so too: then the interpreter has its say.
 */
static void exit_shutdown(KvmVcpu *v)
{
    if (v->machine->flaws & KVM_FLAW_PAGING32) {
        kvm_fall_back(v, "shutdown");
        return;
    }
    log_write(LOG_CPU_RESET, "CPU %u: triple fault", v->cpu->vcpu.index);
    v->run->if_flag = 0;
    v->cpu->vcpu.halted = v->shut_down = true;
    vcpu_request_reset(&v->cpu->vcpu);
}

static void exit_system_event(KvmVcpu *v)
{
    log_write(LOG_CPU_RESET, "CPU %u: KVM system event %u", v->cpu->vcpu.index,
              v->run->system_event.type);
    v->cpu->vcpu.halted = v->shut_down = true;
    vcpu_request_reset(&v->cpu->vcpu);
}

static void handle_exit(KvmVcpu *v)
{
    uint32_t reason = v->run->exit_reason;

    v->exits[MIN(reason, KVM_EXIT_KINDS - 1)]++;
    if (reason != KVM_EXIT_DEBUG) {
        v->steps = 0;
    }
    switch (reason) {
    case KVM_EXIT_IO:
        exit_io(v);
        break;
    case KVM_EXIT_MMIO:
        exit_mmio(v);
        break;
    case KVM_EXIT_HLT:
        v->cpu->vcpu.halted = true;
        break;
    case KVM_EXIT_IOAPIC_EOI:
        exit_ioapic_eoi(v);
        break;
    case KVM_EXIT_IRQ_WINDOW_OPEN:
    case KVM_EXIT_SET_TPR:
    case KVM_EXIT_INTR:
        break;
    case KVM_EXIT_SHUTDOWN:
        exit_shutdown(v);
        break;
    case KVM_EXIT_SYSTEM_EVENT:
        exit_system_event(v);
        break;
    case KVM_EXIT_DEBUG: /* flaws.c */
        if (v->steps <= 1) {
            v->steps = 0;
            kvm_fall_back(v, "a watched handler");
        } else {
            v->steps--;
        }
        break;
    case KVM_EXIT_INTERNAL_ERROR:
        kvm_fall_back(v, v->run->internal.suberror == KVM_INTERNAL_ERROR_EMULATION
                             ? "its emulator does not know the instruction"
                             : "internal error");
        break;
    case KVM_EXIT_FAIL_ENTRY:
        kvm_fall_back(v, "the processor refuses this state");
        break;
    default:
        kvm_fall_back(v, "unknown exit");
        break;
    }
}

/* The interrupt controller's copies of CR8 and IA32_APIC_BASE follow the guest's. */
static void follow_apic(KvmVcpu *v)
{
    const struct kvm_run *run = v->run;
    const Vcpu *vcpu = &v->cpu->vcpu;

    if (!vcpu->intr_ops || (run->cr8 == v->cr8 && run->apic_base == v->apic_base)) {
        return;
    }
    machine_lock();
    if (run->cr8 != v->cr8) {
        v->cr8 = run->cr8;
        vcpu->intr_ops->set_tpr(vcpu->intr_opaque, v->cr8 << 4);
    }
    if (run->apic_base != v->apic_base) {
        v->apic_base = run->apic_base;
        vcpu->intr_ops->set_base(vcpu->intr_opaque, v->apic_base);
    }
    machine_unlock();
}

/* One KVM_RUN; true if the guest wants something. */
static bool enter(KvmVcpu *v)
{
    struct kvm_run *run = v->run;
    int64_t begin = clock_ns(CLOCK_REAL);
    int64_t spent;
    int result = ioctl(v->fd, KVM_RUN, 0);
    int error = errno;

    spent = clock_ns(CLOCK_REAL) - begin;
    v->run_ns += spent;
    v->stretch.away_ns += spent;
    v->io_unfinished = false;
    kvm_flush_gathered(v);
    if (result >= 0) {
        return true;
    }
    if (error == EINTR || error == EAGAIN) {
        v->interrupted++;
    } else {
        log_write(LOG_ACCEL, "kvm: CPU %u: KVM_RUN: %s", v->cpu->vcpu.index, g_strerror(error));
        run->exit_reason = KVM_EXIT_UNKNOWN;
        return true;
    }
    return false;
}

/*
 * An access that the guest made is finished by the next KVM_RUN; the registers are right after that
 * only (api.rst, KVM_RUN). @discard: after reset, what the rest of the access does is no matter.
 */
static void finish_io(KvmVcpu *v, bool discard)
{
    while (v->io_unfinished) {
        v->run->immediate_exit = 1;
        if (enter(v)) {
            if (!discard) {
                handle_exit(v);
            } else if (v->run->exit_reason == KVM_EXIT_MMIO ||
                       v->run->exit_reason == KVM_EXIT_IO) {
                v->io_unfinished = true;
            }
        }
    }
    v->run->immediate_exit = 0;
}

/* --- what goes in ------------------------------------------------------------------------ */

static bool kvm_has_work(Vcpu *vcpu)
{
    uint32_t wake = VCPU_INIT | VCPU_SIPI;

    if (kvm_kernel_apic(kvm_vcpu(vcpu))) {
        return !kvm_vcpu(vcpu)->shut_down; /* it sleeps in the kernel */
    }
    if (!vcpu->wait_for_sipi) {
        wake |= VCPU_NMI | VCPU_SMI | (kvm_vcpu(vcpu)->run->if_flag ? VCPU_INTR : 0);
    }
    return vcpu_pending(vcpu) & wake;
}

/* INIT and start-up messages change the state, so it is taken over for them. */
static void accept_init(KvmVcpu *v)
{
    X86CPU *cpu = v->cpu;

    if (!v->held) {
        finish_io(v, false);
        kvm_take_state(v, KVM_STATE_ALL);
    }
    if (vcpu_pending(&cpu->vcpu) & VCPU_INIT) {
        memset(&v->events, 0, sizeof(v->events));
    }
    if ((vcpu_pending(&cpu->vcpu) & VCPU_INIT) || cpu->vcpu.wait_for_sipi) {
        cpu_accept_events(cpu);
        cpu->vcpu.halted = cpu->vcpu.wait_for_sipi;
    } else {
        vcpu_clear(&cpu->vcpu, VCPU_SIPI);
        if (v->held) {
            return;
        }
    }
    v->held = kvm_is_lender(v);
    if (!v->held) {
        kvm_give_state(v, KVM_STATE_ALL);
    }
    v->run->if_flag = !!(cpu->eflags & FL_IF);
    v->run->ready_for_interrupt_injection = 0;
}

static void inject_interrupt(KvmVcpu *v)
{
    Vcpu *vcpu = &v->cpu->vcpu;

    if (v->run->ready_for_interrupt_injection && vcpu->intr_ops) {
        struct kvm_interrupt interrupt;
        int vector;

        machine_lock();
        vcpu_clear(vcpu, VCPU_INTR);
        vector = vcpu->intr_ops->accept(vcpu->intr_opaque);
        machine_unlock();
        if (vector >= 0) {
            interrupt.irq = vector;
            ioctl(v->fd, KVM_INTERRUPT, &interrupt);
            v->run->ready_for_interrupt_injection = 0;
            v->cpu->interrupts_count++;
        }
    }
    v->run->request_interrupt_window = !!(vcpu_pending(vcpu) & VCPU_INTR);
}

static void inject(KvmVcpu *v, uint32_t pending)
{
    Vcpu *vcpu = &v->cpu->vcpu;

    if (pending & VCPU_SMI) {
        vcpu_clear(vcpu, VCPU_SMI);
        log_write(LOG_UNIMP, "CPU %u: SMI ignored, there is no system management mode",
                  vcpu->index);
    }
    if (pending & VCPU_NMI) {
        vcpu_clear(vcpu, VCPU_NMI);
        ioctl(v->fd, KVM_NMI);
        v->cpu->interrupts_count++;
    }
    if (pending & VCPU_INTR) {
        inject_interrupt(v);
    } else {
        v->run->request_interrupt_window = 0;
    }
}

/* Deals with what is pending; false if the run loop must return to the thread. */
static bool handle_pending(KvmVcpu *v)
{
    Vcpu *vcpu = &v->cpu->vcpu;
    uint32_t pending = vcpu_pending(vcpu);

    vcpu_clear(vcpu, VCPU_TIMER);
    if (!v->held) {
        vcpu_clear(vcpu, VCPU_MEM_CHANGED); /* fallback.c starts without translations */
    }
    if (pending & VCPU_CODE_CHANGED) {
        code_drain(v->cpu);
    }
    if (pending & (VCPU_STOP | VCPU_EXIT)) {
        return false;
    }
    if (pending & (VCPU_INIT | VCPU_SIPI)) {
        accept_init(v);
    }
    if (vcpu->halted) {
        if ((vcpu->wait_for_sipi && !kvm_kernel_apic(v)) || !kvm_has_work(vcpu)) {
            return false;
        }
        vcpu->halted = false;
    }
    if (!v->held) {
        inject(v, vcpu_pending(vcpu));
    }
    return true;
}

/* TPR is written by this thread only, so it can be read without the lock. */
static void pass_tpr(KvmVcpu *v)
{
    const Vcpu *vcpu = &v->cpu->vcpu;

    if (vcpu->intr_ops) {
        v->cr8 = vcpu->intr_ops->get_tpr(vcpu->intr_opaque) >> 4;
        v->run->cr8 = v->cr8;
    }
}

static void kvm_run(Vcpu *vcpu)
{
    KvmVcpu *v = kvm_vcpu(vcpu);
    const uint32_t late = VCPU_STOP | VCPU_EXIT | VCPU_INIT | VCPU_SIPI | VCPU_NMI | VCPU_SMI;

    prepare_thread(v);
    if (v->give_all) {
        finish_io(v, true);
        pass_tpr(v);
        kvm_give_state(v, KVM_STATE_ALL | KVM_STATE_RESET);
        v->give_all = false;
    }
    if (kvm_is_lender(v) && !v->steps) {
        finish_io(v, false);
        kvm_take_back(v);
    }
    while (handle_pending(v)) {
        bool wanted = false, joins = false, was_held = v->held;

        if (v->held) {
            kvm_go_on(v);
        }
        if (v->held || (was_held && !kvm_is_lender(v))) {
            continue; /* and only then into KVM, when what is pending went in */
        }
        pass_tpr(v);
        atomic_store(&v->entered, true);
        uint32_t pending = vcpu_pending(vcpu);
        if (!(pending & late) && (!(pending & VCPU_INTR) || v->run->request_interrupt_window)) {
            joins = !kvm_gate_to_kvm(v);
            if (!joins) {
                wanted = enter(v);
                kvm_gate_from_kvm(v);
                follow_apic(v);
            }
        }
        atomic_store(&v->entered, false);
        __atomic_store_n(&v->run->immediate_exit, 0, __ATOMIC_SEQ_CST);
        if (wanted) {
            handle_exit(v);
            kvm_look_for_handlers(v);
        } else if (joins && !kvm_is_lender(v)) {
            finish_io(v, false);
            kvm_join(v);
        }
        if (kvm_is_lender(v) && !v->steps) {
            finish_io(v, false);
            kvm_take_back(v);
        }
    }
}

/* Called with the vCPU parked; its thread hands the state over before it runs again. */
static void kvm_reset(Vcpu *vcpu)
{
    KvmVcpu *v = kvm_vcpu(vcpu);

    cpu_reset(v->cpu, false);
    memset(&v->events, 0, sizeof(v->events));
    memset(v->xsave, 0, v->machine->xsave.area);
    v->run->if_flag = 0;
    v->run->ready_for_interrupt_injection = 0;
    v->held = false;
    v->stale = v->machine->flaws & KVM_FLAW_SHADOW; /* images are loaded behind its back */
    v->shut_down = false;
    v->steps = 0;
    v->give_all = true;
}

/* After a reset the kernel has not been given the state yet: ours is the newer. */
static void kvm_show_state(Vcpu *vcpu)
{
    KvmVcpu *v = kvm_vcpu(vcpu);

    if (!v->give_all && !v->held) {
        kvm_take_state(v, KVM_STATE_ALL);
    }
}

const VcpuOps kvm_vcpu_ops = {
    .run = kvm_run,
    .has_work = kvm_has_work,
    .reset = kvm_reset,
    .kick = kvm_kick,
    .take_state = kvm_show_state,
};
