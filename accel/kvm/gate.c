/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A KVM with shadow paging does not see what our interpreter writes to page tables until it is told
 * to forget, so it must not run one CPU while the interpreter runs another. The gate keeps the two
 * apart: who wants to interpret for longer than an instruction waits until no CPU is in KVM, and
 * CPUs that come meanwhile interpret as well instead of waiting. Machines with one CPU, and KVMs
 * that passed the trial, have no gate.
 */
#include "accel/kvm/kvm.h"

#define PATIENCE_US 20000

static bool has_gate(const KvmMachine *machine)
{
    return (machine->flaws & KVM_FLAW_SHADOW) && machine->vcpus->len > 1;
}

void kvm_gate_init(KvmGate *gate)
{
    g_mutex_init(&gate->lock);
    g_cond_init(&gate->changed);
}

void kvm_gate_clear(KvmGate *gate)
{
    g_mutex_clear(&gate->lock);
    g_cond_clear(&gate->changed);
}

static void tell(KvmGate *gate)
{
    g_mutex_lock(&gate->lock);
    g_cond_broadcast(&gate->changed);
    g_mutex_unlock(&gate->lock);
}

/*
 * A CPU counts itself in and then looks at @wanted; an interpreter counts @wanted up and then looks
 * who is in. So at least one of them sees the other.
 */
static bool try_kvm(KvmGate *gate)
{
    atomic_fetch_add(&gate->in_kvm, 1);
    if (!atomic_load(&gate->wanted) && !atomic_load(&gate->interpreting)) {
        return true;
    }
    atomic_fetch_sub(&gate->in_kvm, 1);
    tell(gate);
    return false;
}

/* Sleeps while the interpreter runs, or only while no CPU wants it to; not for long. */
static void wait_for_kvm(KvmGate *gate, bool patient)
{
    int64_t end = g_get_monotonic_time() + PATIENCE_US;

    g_mutex_lock(&gate->lock);
    while (atomic_load(&gate->interpreting) && (patient || !atomic_load(&gate->wanted))) {
        if (!g_cond_wait_until(&gate->changed, &gate->lock, end)) {
            break;
        }
    }
    g_mutex_unlock(&gate->lock);
}

bool kvm_gate_to_kvm(KvmVcpu *v)
{
    KvmGate *gate = &v->machine->gate;
    bool patient = v->needs_kvm;

    v->needs_kvm = false;
    if (!has_gate(v->machine)) {
        return true;
    }
    while (!try_kvm(gate)) {
        if (!patient && atomic_load(&gate->wanted)) {
            return false;
        }
        wait_for_kvm(gate, patient);
        patient = false;
    }
    v->gated = true;
    return true;
}

void kvm_gate_from_kvm(KvmVcpu *v)
{
    KvmGate *gate = &v->machine->gate;

    if (!v->gated) {
        return;
    }
    v->gated = false;
    atomic_fetch_sub(&gate->in_kvm, 1);
    if (atomic_load(&gate->wanted)) {
        tell(gate);
    }
}

static void call_out(KvmVcpu *v)
{
    for (unsigned i = 0; i < v->machine->vcpus->len; i++) {
        KvmVcpu *other = g_ptr_array_index(v->machine->vcpus, i);
        if (other != v && atomic_load(&other->entered)) {
            vcpu_raise(&other->cpu->vcpu, VCPU_TIMER);
        }
    }
}

bool kvm_gate_interpret(KvmVcpu *v, bool joins)
{
    KvmGate *gate = &v->machine->gate;
    bool alone;

    v->interpreting = has_gate(v->machine);
    if (!v->interpreting) {
        return true;
    }
    v->gate_wanted = !joins;
    atomic_fetch_add(&gate->interpreting, 1);
    if (!joins) {
        atomic_fetch_add(&gate->wanted, 1);
        call_out(v);
    }
    g_mutex_lock(&gate->lock);
    while (atomic_load(&gate->in_kvm) && atomic_load(&gate->wanted)) {
        g_cond_wait(&gate->changed, &gate->lock);
    }
    alone = !atomic_load(&gate->in_kvm);
    g_mutex_unlock(&gate->lock);
    if (!alone) {
        kvm_gate_interpreted(v);
    }
    return alone;
}

void kvm_gate_interpreted(KvmVcpu *v)
{
    KvmGate *gate = &v->machine->gate;

    if (!v->interpreting) {
        return;
    }
    v->interpreting = false;
    atomic_fetch_sub(&gate->wanted, v->gate_wanted);
    atomic_fetch_sub(&gate->interpreting, 1);
    tell(gate);
}

bool kvm_gate_is_wanted(const KvmVcpu *v)
{
    return atomic_load(&v->machine->gate.wanted);
}
