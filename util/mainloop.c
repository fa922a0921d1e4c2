/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The main loop: GLib's default context with a poll function that gives up the machine lock. */
#include "util/mainloop.h"

#include <glib.h>
#include <stdatomic.h>

#include "util/lock.h"
#include "util/timer.h"

/* There is one default context in a process, hence file scope. */
static struct {
    atomic_bool quit;
    int status;
} loop_state;

/*
 * GLib calls this with the loop's thread about to sleep (or, with timeout 0, to look at its fds).
 */
static gint loop_poll(GPollFD *fds, guint count, gint timeout)
{
    bool held = machine_locked();

    if (held) {
        machine_unlock();
    }
    gint result = g_poll(fds, count, timeout);
    if (held) {
        machine_lock();
    }
    return result;
}

void main_loop_init(void)
{
    timers_init();
    g_main_context_set_poll_func(g_main_context_default(), loop_poll);
}

int main_loop_run(void)
{
    g_assert(machine_locked());
    while (!atomic_load(&loop_state.quit)) {
        g_main_context_iteration(NULL, TRUE);
    }
    return loop_state.status;
}

void main_loop_quit(int status)
{
    static atomic_flag decided = ATOMIC_FLAG_INIT;

    if (!atomic_flag_test_and_set(&decided)) {
        loop_state.status = status;
        atomic_store(&loop_state.quit, true);
        g_main_context_wakeup(NULL);
    }
}

typedef struct Deferred {
    void (*fn)(void *opaque);
    void *opaque;
} Deferred;

static gboolean loop_run_deferred(gpointer opaque)
{
    Deferred *deferred = opaque;

    deferred->fn(deferred->opaque);
    return G_SOURCE_REMOVE;
}

void main_loop_defer(void (*fn)(void *opaque), void *opaque)
{
    Deferred *deferred = g_new(Deferred, 1);

    *deferred = (Deferred){ fn, opaque };
    g_idle_add_full(G_PRIORITY_DEFAULT, loop_run_deferred, deferred, g_free);
}
