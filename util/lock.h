/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The machine lock: one lock over all device state. The main loop holds it while it dispatches and
 * drops it while it polls; a vCPU thread takes it for port and MMIO accesses and for interrupt
 * acceptance. Guest RAM and CPU state are not under it.
 */
#ifndef UTIL_LOCK_H
#define UTIL_LOCK_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

void machine_lock(void);
void machine_unlock(void);
/* True if the calling thread holds the machine lock. */
bool machine_locked(void);
/* Waits on @cond, giving up the machine lock meanwhile. */
void machine_lock_wait(GCond *cond);
/* As machine_lock_wait(), until @deadline_us of g_get_monotonic_time(); false on timeout. */
bool machine_lock_wait_until(GCond *cond, int64_t deadline_us);

/* Takes the machine lock if this thread does not hold it; returns true if it was taken here. */
static inline bool machine_lock_enter(void)
{
    if (machine_locked()) {
        return false;
    }
    machine_lock();
    return true;
}

static inline void machine_lock_leave(bool taken)
{
    if (taken) {
        machine_unlock();
    }
}

#endif
