/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The thread of a vCPU: it runs guest code without the machine lock, and parks or sleeps on a
 * condition of that lock. A running vCPU polls `pending`; an engine that cannot has a kick
 * operation.
 */
#include "accel/accel.h"

#include <signal.h>
#include <unistd.h>

#include "util/lock.h"

static __thread Vcpu *current_vcpu;

Vcpu *vcpu_current(void)
{
    return current_vcpu;
}

void vcpu_adopt(Vcpu *vcpu)
{
    current_vcpu = vcpu;
}

static void vcpu_notify(Vcpu *vcpu)
{
    if (atomic_load(&vcpu->waiting)) {
        g_cond_broadcast(&vcpu->wake);
    }
}

/*
 * Raisers set `pending` and then look at `waiting`; a sleeper sets `waiting` and then looks at
 * `pending`. So a raiser takes the lock, and makes a system call, for a CPU that sleeps alone.
 */
void vcpu_raise(Vcpu *vcpu, uint32_t bits)
{
    atomic_fetch_or(&vcpu->pending, bits);
    if (vcpu->scheduler && vcpu->scheduler->woke_other && current_vcpu && vcpu != current_vcpu) {
        vcpu->scheduler->woke_other(current_vcpu);
    }
    if (vcpu->ops && vcpu->ops->kick && vcpu != current_vcpu) {
        vcpu->ops->kick(vcpu, bits);
    }
    if (atomic_load(&vcpu->waiting) && vcpu != current_vcpu) {
        bool taken = machine_lock_enter();
        vcpu_notify(vcpu);
        machine_lock_leave(taken);
    }
}

static bool vcpu_must_park(Vcpu *vcpu)
{
    return (atomic_load(&vcpu->pending) & (VCPU_STOP | VCPU_EXIT)) == VCPU_STOP;
}

bool vcpu_is_idle(Vcpu *vcpu)
{
    return (vcpu->halted || vcpu->wait_for_sipi) &&
           !(atomic_load(&vcpu->pending) & (VCPU_STOP | VCPU_EXIT)) && !vcpu->ops->has_work(vcpu);
}

/* Sleeps once, if @asleep still holds now that raisers can see the sleeper. */
static void vcpu_sleep(Vcpu *vcpu, bool (*asleep)(Vcpu *vcpu))
{
    atomic_store(&vcpu->waiting, true);
    if (asleep(vcpu)) {
        machine_lock_wait(&vcpu->wake);
    }
    atomic_store(&vcpu->waiting, false);
}

static void vcpu_park(Vcpu *vcpu)
{
    vcpu->parked = true;
    g_cond_broadcast(&vcpu->wake);
    while (vcpu_must_park(vcpu)) {
        vcpu_sleep(vcpu, vcpu_must_park);
    }
    vcpu->parked = false;
}

/* Host signals are for the main thread. */
static void block_signals(void)
{
    sigset_t all;

    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, NULL);
}

static gpointer vcpu_thread(gpointer opaque)
{
    Vcpu *vcpu = opaque;

    current_vcpu = vcpu;
    block_signals();
    machine_lock();
    vcpu->thread_id = gettid();
    while (!(vcpu_pending(vcpu) & VCPU_EXIT)) {
        if (vcpu_pending(vcpu) & VCPU_STOP) {
            vcpu_park(vcpu);
        } else if (vcpu->scheduler && vcpu->scheduler->turn) {
            vcpu->scheduler->turn(vcpu);
        } else if (vcpu_is_idle(vcpu)) {
            vcpu_sleep(vcpu, vcpu_is_idle);
        } else {
            machine_unlock();
            vcpu->ops->run(vcpu);
            machine_lock();
        }
    }
    vcpu->parked = true;
    g_cond_broadcast(&vcpu->wake);
    machine_unlock();
    return NULL;
}

void vcpu_start(Vcpu *vcpu)
{
    g_autofree char *name = g_strdup_printf("CPU %u", vcpu->index);

    g_cond_init(&vcpu->wake);
    atomic_fetch_or(&vcpu->pending, VCPU_STOP);
    vcpu->thread = g_thread_new(name, vcpu_thread, vcpu);
}

void vcpu_pause(Vcpu *vcpu)
{
    g_assert(machine_locked() && vcpu != current_vcpu);
    vcpu_raise(vcpu, VCPU_STOP);
    while (vcpu->thread && !vcpu->parked) {
        machine_lock_wait(&vcpu->wake);
    }
}

void vcpu_resume(Vcpu *vcpu)
{
    vcpu_clear(vcpu, VCPU_STOP);
    vcpu_notify(vcpu);
}

void vcpu_stop(Vcpu *vcpu)
{
    if (!vcpu->thread) {
        return;
    }
    vcpu_raise(vcpu, VCPU_EXIT);
    machine_unlock();
    g_thread_join(vcpu->thread);
    machine_lock();
    vcpu->thread = NULL;
    g_cond_clear(&vcpu->wake);
}

void vcpu_request_reset(Vcpu *vcpu)
{
    vcpu->request_reset(vcpu->machine);
}
