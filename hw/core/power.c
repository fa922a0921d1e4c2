/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reset, shutdown, pause: requests come from any thread, a vCPU's above all, and are carried out in
 * the main loop with every vCPU parked.
 */
#include "accel/accel.h"
#include "accel/machine.h"
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

static void notify(const Machine *machine, MachineEvent event, ShutdownCause cause)
{
    const GArray *observers = machine->priv->observers;

    for (unsigned i = 0; i < observers->len; i++) {
        const Observer *observer = &g_array_index(observers, Observer, i);
        observer->fn(observer->opaque, event, cause);
    }
}

/* A machine that stood still stands before its start again. */
static void reset_now(void *opaque)
{
    Machine *machine = opaque;

    atomic_store(&machine->priv->reset_pending, false);
    notify(machine, MACHINE_EVENT_RESET, machine->priv->reset_cause);
    if (machine->power != POWER_RUNNING) {
        machine->power = POWER_PRELAUNCH;
    }
    machine_reset(machine);
}

/* The vCPUs stop at once: a CPU that asked for its own reset must not run on meanwhile. */
static void request_reset(Machine *machine, ShutdownCause cause)
{
    if (machine->no_reboot) {
        machine_request_shutdown(machine, cause, 0);
        return;
    }
    if (!atomic_exchange(&machine->priv->reset_pending, true)) {
        machine->priv->reset_cause = cause;
        raise_all(machine, VCPU_STOP);
        main_loop_defer(reset_now, machine);
    }
}

void machine_request_reset(Machine *machine)
{
    request_reset(machine, SHUTDOWN_RESET);
}

void machine_request_host_reset(Machine *machine)
{
    request_reset(machine, SHUTDOWN_HOST_RESET);
}

/* --- Shutdown ------------------------------------------------------------------- */

static void stop_now(void *opaque)
{
    Machine *machine = opaque;
    ShutdownCause cause = machine->priv->stop_cause;

    atomic_store(&machine->priv->stop_pending, false);
    notify(machine, MACHINE_EVENT_SHUTDOWN, cause);
    machine_pause(machine);
    machine->power = cause == SHUTDOWN_PANIC ? POWER_CRASHED : POWER_SHUTDOWN;
}

static void quit_now(void *opaque)
{
    Machine *machine = opaque;

    notify(machine, MACHINE_EVENT_SHUTDOWN, machine->priv->quit_cause);
    main_loop_quit(machine->priv->quit_status);
}

void machine_request_shutdown(Machine *machine, ShutdownCause cause, int status)
{
    struct MachinePrivate *priv = machine->priv;
    bool stays = machine->no_shutdown && cause != SHUTDOWN_HOST && cause != SHUTDOWN_QUIT;

    raise_all(machine, VCPU_STOP);
    if (stays && !atomic_exchange(&priv->stop_pending, true)) {
        priv->stop_cause = cause;
        main_loop_defer(stop_now, machine);
    } else if (!stays && !atomic_exchange(&priv->quit_pending, true)) {
        priv->quit_cause = cause;
        priv->quit_status = status;
        main_loop_defer(quit_now, machine);
    }
}

static void powerdown_now(void *opaque)
{
    Machine *machine = opaque;

    atomic_store(&machine->priv->powerdown_pending, false);
    notify(machine, MACHINE_EVENT_POWERDOWN, SHUTDOWN_HOST);
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
        if (machine->accel && machine->accel->ops->stopped) {
            machine->accel->ops->stopped(machine->accel->instance);
        }
        machine->power = POWER_PAUSED;
        notify(machine, MACHINE_EVENT_STOP, SHUTDOWN_HOST);
    }
}

void machine_resume(Machine *machine)
{
    if (machine->power == POWER_PAUSED || machine->power == POWER_PRELAUNCH) {
        machine->power = POWER_RUNNING;
        if (machine->accel && machine->accel->ops->resumed) {
            machine->accel->ops->resumed(machine->accel->instance);
        }
        clock_vm_resume();
        resume_vcpus(machine);
        notify(machine, MACHINE_EVENT_RESUME, SHUTDOWN_HOST);
    }
}

bool machine_needs_reset(const Machine *machine)
{
    return machine->power == POWER_SHUTDOWN || machine->power == POWER_CRASHED;
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
