/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The machine lock. A vCPU that polls a port in a tight loop would re-take a plain mutex before a
 * thread it has just woken gets there, so waiters queue behind a turnstile.
 */
#include "util/lock.h"

#include <stdatomic.h>

/* One lock for the process by definition of the interface, hence file scope. */
static GMutex lock_mutex;
static GMutex lock_turnstile; /* held by the next in line while it waits for lock_mutex */
static atomic_int lock_waiters;
static __thread bool lock_held;

void machine_lock(void)
{
    g_assert(!lock_held);
    if (atomic_load_explicit(&lock_waiters, memory_order_relaxed) ||
        !g_mutex_trylock(&lock_mutex)) {
        atomic_fetch_add(&lock_waiters, 1);
        g_mutex_lock(&lock_turnstile);
        g_mutex_lock(&lock_mutex);
        g_mutex_unlock(&lock_turnstile);
        atomic_fetch_sub(&lock_waiters, 1);
    }
    lock_held = true;
}

void machine_unlock(void)
{
    g_assert(lock_held);
    lock_held = false;
    g_mutex_unlock(&lock_mutex);
}

bool machine_locked(void)
{
    return lock_held;
}

void machine_lock_wait(GCond *cond)
{
    g_assert(lock_held);
    lock_held = false;
    g_cond_wait(cond, &lock_mutex);
    lock_held = true;
}

bool machine_lock_wait_until(GCond *cond, int64_t deadline_us)
{
    g_assert(lock_held);
    lock_held = false;
    bool signalled = g_cond_wait_until(cond, &lock_mutex, deadline_us);
    lock_held = true;
    return signalled;
}
