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

static bool must_stop(KvmVcpu *v)
{
    return vcpu_pending(&v->cpu->vcpu) & (VCPU_STOP | VCPU_EXIT);
}

/* Sleeps until somebody tells something, or for a short while: nobody tells of a stop. */
static void wait_a_moment(KvmGate *gate)
{
    int64_t end = g_get_monotonic_time() + PATIENCE_US;

    g_mutex_lock(&gate->lock);
    g_cond_wait_until(&gate->changed, &gate->lock, end);
    g_mutex_unlock(&gate->lock);
}

/* KVM is needed until the CPU is the interpreter's again, or has been in KVM if it was not. */
static void need_kvm(KvmVcpu *v)
{
    if (!v->gate_needs) {
        v->gate_needs = true;
        atomic_fetch_add(&v->machine->gate.needed, 1);
    }
}

void kvm_gate_done(KvmVcpu *v)
{
    if (v->gate_needs) {
        v->gate_needs = false;
        atomic_fetch_sub(&v->machine->gate.needed, 1);
        tell(&v->machine->gate);
    }
}

bool kvm_gate_to_kvm(KvmVcpu *v)
{
    KvmGate *gate = &v->machine->gate;
    bool patient = v->needs_kvm || v->steps;

    v->needs_kvm = false;
    if (!has_gate(v->machine)) {
        return true;
    }
    if (patient) {
        need_kvm(v);
    }
    while (!try_kvm(gate)) {
        if (patient ? must_stop(v) : atomic_load(&gate->wanted)) {
            return false;
        }
        wait_a_moment(gate);
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
    if (!v->steps) {
        kvm_gate_done(v);
    }
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
    while (!joins && kvm_gate_is_needed(v)) {
        if (must_stop(v)) {
            v->interpreting = false;
            return false;
        }
        wait_a_moment(gate);
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

bool kvm_gate_is_ours(const KvmVcpu *v)
{
    return !v->interpreting || atomic_load(&v->machine->gate.interpreting) == 1;
}

bool kvm_gate_is_needed(const KvmVcpu *v)
{
    return atomic_load(&v->machine->gate.needed) && !v->gate_needs;
}
