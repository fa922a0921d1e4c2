/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reset, shutdown, pause: requests come from any thread, a vCPU's above all, and are carried out in
 * the main loop with every vCPU parked.
 */
#include "accel/accel.h"
#include "hw/core/private.h"
#include "util/lock.h"
#include "util/mainloop.h"
#include "util/timer.h"

static void raise_all(const Machine *machine, uint32_t bits)
{
    for (unsigned i = 0; i < machine->vcpus->len; i++) {
        vcpu_raise(g_ptr_array_index(machine->vcpus, i), bits);
    }
}

/* All are told before the first is waited for, so that the wait is one block long, not N. */
static void pause_vcpus(const Machine *machine)
{
    raise_all(machine, VCPU_STOP);
    for (unsigned i = 0; i < machine->vcpus->len; i++) {
        vcpu_pause(g_ptr_array_index(machine->vcpus, i));
    }
}

static void resume_vcpus(const Machine *machine)
{
    for (unsigned i = 0; i < machine->vcpus->len; i++) {
        vcpu_resume(g_ptr_array_index(machine->vcpus, i));
    }
}

/* --- Reset -------------------------------------------------------------------- */

void machine_reset(Machine *machine)
{
    pause_vcpus(machine);
    for (unsigned i = 0; i < machine->devices->len; i++) {
        device_reset(g_ptr_array_index(machine->devices, i));
    }
    for (unsigned i = 0; i < machine->vcpus->len; i++) {
        Vcpu *vcpu = g_ptr_array_index(machine->vcpus, i);
        vcpu->ops->reset(vcpu);
    }
    if (machine->power == POWER_RUNNING) {
        resume_vcpus(machine);
    }
}

static void reset_now(void *opaque)
{
    Machine *machine = opaque;

    atomic_store(&machine->priv->reset_pending, false);
    machine_reset(machine);
}

/* The vCPUs stop at once: a CPU that asked for its own reset must not run on meanwhile. */
void machine_request_reset(Machine *machine)
{
    if (machine->no_reboot) {
        machine_request_shutdown(machine, SHUTDOWN_RESET, 0);
        return;
    }
    if (!atomic_exchange(&machine->priv->reset_pending, true)) {
        raise_all(machine, VCPU_STOP);
        main_loop_defer(reset_now, machine);
    }
}

/* --- Shutdown ------------------------------------------------------------------- */

static void stop_now(void *opaque)
{
    Machine *machine = opaque;

    atomic_store(&machine->priv->stop_pending, false);
    machine_pause(machine);
    machine->power = machine->priv->stop_state;
}

void machine_request_shutdown(Machine *machine, ShutdownCause cause, int status)
{
    raise_all(machine, VCPU_STOP);
    if (machine->no_shutdown && cause != SHUTDOWN_HOST) {
        if (!atomic_exchange(&machine->priv->stop_pending, true)) {
            machine->priv->stop_state = cause == SHUTDOWN_PANIC ? POWER_CRASHED : POWER_SHUTDOWN;
            main_loop_defer(stop_now, machine);
        }
        return;
    }
    main_loop_quit(status);
}

static void powerdown_now(void *opaque)
{
    Machine *machine = opaque;

    atomic_store(&machine->priv->powerdown_pending, false);
    machine_run_hooks(machine->priv->powerdown_hooks);
}

void machine_request_powerdown(Machine *machine)
{
    if (!atomic_exchange(&machine->priv->powerdown_pending, true)) {
        main_loop_defer(powerdown_now, machine);
    }
}

/* --- Running and not -------------------------------------------------------------- */

void machine_pause(Machine *machine)
{
    pause_vcpus(machine);
    clock_vm_pause();
    if (machine->power == POWER_RUNNING) {
        machine->power = POWER_PAUSED;
    }
}

void machine_resume(Machine *machine)
{
    if (machine->power == POWER_PAUSED) {
        machine->power = POWER_RUNNING;
        clock_vm_resume();
        resume_vcpus(machine);
    }
}

static void vcpu_asks_for_reset(void *machine)
{
    machine_request_reset(machine);
}

void machine_start(Machine *machine, bool paused)
{
    g_assert(machine_locked());
    clock_vm_pause();
    machine_run_hooks(machine->priv->ready_hooks);
    raise_all(machine, VCPU_STOP);
    for (unsigned i = 0; i < machine->vcpus->len; i++) {
        Vcpu *vcpu = g_ptr_array_index(machine->vcpus, i);
        vcpu->machine = machine;
        vcpu->request_reset = vcpu_asks_for_reset;
        vcpu_start(vcpu);
    }
    machine_reset(machine);
    if (!paused) {
        machine_resume(machine);
    }
}
