/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Clocks and timers: one heap a clock, and one timerfd a heap that the main loop polls. A timerfd
 * has the resolution of the clock where GLib's own timeouts have milliseconds, and arming it from a
 * vCPU thread needs no wake-up of the loop.
 */
#include "util/timer.h"

#include <errno.h>
#include <glib-unix.h>
#include <stdatomic.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "util/lock.h"
#include "util/tsc-clock.h"

/*
 * Callbacks run before the loop gets a turn: a timer that re-arms itself in the past starves
 * nobody.
 */
#define TIMERS_PER_DISPATCH 64
#define NOT_ARMED INT64_MAX

typedef struct TimerList {
    ClockType clock;
    GPtrArray *heap; /* of Timer *, earliest first */
    int fd;
    int64_t armed;   /* expiry the timerfd is set to, in ns of @clock */
} TimerList;

struct Timer {
    TimerList *list;
    TimerFn *fn;
    void *opaque;
    int64_t skew;   /* of its clock against that of the list */
    int64_t expire; /* on the clock of the list */
    int index; /* in the heap, -1: not pending */
};

/* Clocks are the process's, hence file scope. */
static struct {
    TimerList lists[CLOCK_REAL + 1];
    /*
     * CLOCK_VM is host monotonic time less @offset, or @frozen. Seqlock: odd while being changed.
     */
    atomic_uint sequence;
    atomic_bool paused;
    _Atomic int64_t offset;
    _Atomic int64_t frozen;
    ClockDriver driver;        /* of CLOCK_VM; now is NULL without */
    TscClock tsc;              /* CLOCK_VM while it runs, by the host's TSC */
    GMutex tsc_lock;           /* over it, but for reading, and over changes of the above */
    _Atomic int64_t host_start; /* CLOCK_HOST at CLOCK_VM 0; -1: CLOCK_HOST is the wall clock */
} timers = { .host_start = -1 };

/* --- Clocks --------------------------------------------------------------- */

static int64_t host_clock_ns(clockid_t id)
{
    struct timespec now;

    clock_gettime(id, &now);
    return now.tv_sec * NS_PER_SECOND + now.tv_nsec;
}

/* CLOCK_VM where the host's TSC serves but does not say now. */
static int64_t clock_vm_renew(void)
{
    int64_t now;

    g_mutex_lock(&timers.tsc_lock);
    now = atomic_load(&timers.paused) ? atomic_load(&timers.frozen)
                                      : tsc_clock_renew(&timers.tsc, atomic_load(&timers.offset));
    g_mutex_unlock(&timers.tsc_lock);
    return now;
}

static int64_t clock_vm_ns(void)
{
    unsigned sequence;
    int64_t now;

    if (timers.driver.now) {
        return timers.driver.now(timers.driver.opaque);
    }
    if (timers.tsc.usable) {
        return tsc_clock_read(&timers.tsc, &now) ? now : clock_vm_renew();
    }
    do {
        while ((sequence = atomic_load(&timers.sequence)) & 1) {
        }
        now = atomic_load(&timers.paused)
                  ? atomic_load(&timers.frozen)
                  : host_clock_ns(CLOCK_MONOTONIC) - atomic_load(&timers.offset);
    } while (atomic_load(&timers.sequence) != sequence);
    return now;
}

static int64_t clock_wall_ns(void)
{
    int64_t start = atomic_load(&timers.host_start);

    return start < 0 ? host_clock_ns(CLOCK_REALTIME) : start + clock_vm_ns();
}

int64_t clock_ns(ClockType clock)
{
    switch (clock) {
    case CLOCK_VM:
        return clock_vm_ns();
    case CLOCK_HOST:
        return clock_wall_ns();
    case CLOCK_REAL:
        return host_clock_ns(CLOCK_MONOTONIC);
    }
    g_assert_not_reached();
}

/* Makes CLOCK_VM show @now, standing still or running from there. */
static void clock_vm_set(int64_t now, bool paused)
{
    g_mutex_lock(&timers.tsc_lock);
    atomic_fetch_add(&timers.sequence, 1);
    atomic_store(&timers.paused, paused);
    atomic_store(&timers.frozen, now);
    atomic_store(&timers.offset, host_clock_ns(CLOCK_MONOTONIC) - now);
    atomic_fetch_add(&timers.sequence, 1);
    tsc_clock_forget(&timers.tsc);
    g_mutex_unlock(&timers.tsc_lock);
}

/* --- The heap --------------------------------------------------------------- */

static Timer *heap_at(TimerList *list, int index)
{
    return g_ptr_array_index(list->heap, index);
}

static void heap_place(TimerList *list, Timer *timer, int index)
{
    g_ptr_array_index(list->heap, index) = timer;
    timer->index = index;
}

static void heap_up(TimerList *list, Timer *timer, int index)
{
    while (index > 0 && heap_at(list, (index - 1) / 2)->expire > timer->expire) {
        heap_place(list, heap_at(list, (index - 1) / 2), index);
        index = (index - 1) / 2;
    }
    heap_place(list, timer, index);
}

static void heap_down(TimerList *list, Timer *timer, int index)
{
    int count = list->heap->len;

    for (;;) {
        int child = 2 * index + 1;
        if (child + 1 < count && heap_at(list, child + 1)->expire < heap_at(list, child)->expire) {
            child++;
        }
        if (child >= count || heap_at(list, child)->expire >= timer->expire) {
            break;
        }
        heap_place(list, heap_at(list, child), index);
        index = child;
    }
    heap_place(list, timer, index);
}

static void heap_insert(TimerList *list, Timer *timer)
{
    g_ptr_array_add(list->heap, timer);
    heap_up(list, timer, list->heap->len - 1);
}

static void heap_remove(TimerList *list, Timer *timer)
{
    int index = timer->index;
    Timer *last = heap_at(list, list->heap->len - 1);

    g_ptr_array_set_size(list->heap, list->heap->len - 1);
    timer->index = -1;
    if (last != timer) {
        heap_up(list, last, index);
        heap_down(list, last, last->index);
    }
}

static Timer *heap_first(TimerList *list)
{
    return list->heap->len ? heap_at(list, 0) : NULL;
}

/* --- The timerfd -------------------------------------------------------------- */

static void list_set_fd(TimerList *list, int64_t expire)
{
    struct itimerspec when = { 0 };
    int flags = TFD_TIMER_ABSTIME;

    list->armed = expire;
    if (expire != NOT_ARMED) {
        int64_t host = expire;
        if (list->clock == CLOCK_VM) {
            host += atomic_load(&timers.offset);
        } else if (list->clock == CLOCK_HOST) {
            flags |= TFD_TIMER_CANCEL_ON_SET; /* a wall clock that is set wakes the loop to look */
        }
        host = MAX(host, 1); /* 0 would disarm */
        when.it_value.tv_sec = host / NS_PER_SECOND;
        when.it_value.tv_nsec = host % NS_PER_SECOND;
    }
    timerfd_settime(list->fd, flags, &when, NULL);
}

/* Sets the timerfd for the earliest timer; @exact also moves it later, else it may fire early. */
static void list_arm(TimerList *list, bool exact)
{
    Timer *first = heap_first(list);
    int64_t expire = first ? first->expire : NOT_ARMED;

    if (list->clock == CLOCK_VM && timers.driver.now) {
        timers.driver.armed(timers.driver.opaque);
        return;
    }
    if (list->clock == CLOCK_VM && atomic_load(&timers.paused)) {
        expire = NOT_ARMED;
    }
    if (expire < list->armed || (exact && expire != list->armed)) {
        list_set_fd(list, expire);
    }
}

/* Runs at most @limit timers that are due at @now. */
static void list_run(TimerList *list, int64_t now, unsigned limit)
{
    Timer *timer;

    while (limit-- && (timer = heap_first(list)) && timer->expire <= now) {
        heap_remove(list, timer);
        timer->fn(timer->opaque); /* may free the timer */
    }
}

static gboolean list_dispatch(gint fd, GIOCondition condition, gpointer opaque)
{
    TimerList *list = opaque;
    bool taken = machine_lock_enter();
    uint64_t count;

    /* EAGAIN (a timer re-armed meanwhile) and ECANCELED (clock set) just mean: look again. */
    G_GNUC_UNUSED ssize_t size = read(fd, &count, sizeof(count));
    if (list->clock != CLOCK_VM || !(atomic_load(&timers.paused) || timers.driver.now)) {
        list_run(list, clock_ns(list->clock), TIMERS_PER_DISPATCH);
    }
    list->armed = NOT_ARMED;
    list_arm(list, true);
    machine_lock_leave(taken);
    return G_SOURCE_CONTINUE;
}

static void list_init(TimerList *list, ClockType clock)
{
    list->clock = clock;
    list->heap = g_ptr_array_new();
    list->armed = NOT_ARMED;
    list->fd = timerfd_create(clock == CLOCK_HOST ? CLOCK_REALTIME : CLOCK_MONOTONIC,
                              TFD_CLOEXEC | TFD_NONBLOCK);
    if (list->fd < 0) {
        g_error("cannot create a timerfd: %s", g_strerror(errno));
    }
    g_unix_fd_add(list->fd, G_IO_IN, list_dispatch, list);
}

void timers_init(void)
{
    static gsize done;

    if (g_once_init_enter(&done)) {
        tsc_clock_init(&timers.tsc);
        for (ClockType clock = CLOCK_VM; clock <= CLOCK_REAL; clock++) {
            list_init(&timers.lists[clock], clock);
        }
        clock_vm_set(0, false);
        g_once_init_leave(&done, 1);
    }
}

/* --- Pausing guest time --------------------------------------------------------- */

void clock_vm_pause(void)
{
    timers_init();
    if (!atomic_load(&timers.paused)) {
        clock_vm_set(clock_vm_ns(), true);
        list_arm(&timers.lists[CLOCK_VM], true);
    }
}

void clock_vm_resume(void)
{
    timers_init();
    if (atomic_load(&timers.paused)) {
        clock_vm_set(clock_vm_ns(), false);
        list_arm(&timers.lists[CLOCK_VM], true);
    }
}

void clock_vm_step(int64_t ns)
{
    TimerList *list = &timers.lists[CLOCK_VM];
    int64_t end = clock_vm_ns() + ns;
    Timer *first;

    g_assert(atomic_load(&timers.paused) && ns >= 0);
    while ((first = heap_first(list)) && first->expire <= end) {
        clock_vm_set(MAX(first->expire, clock_vm_ns()), true);
        list_run(list, clock_vm_ns(), 1);
    }
    clock_vm_set(end, true);
}

/* --- Another source of time -------------------------------------------------------- */

void clock_vm_drive(const ClockDriver *driver)
{
    timers_init();
    if (driver) {
        timers.driver = *driver;
    } else {
        int64_t now = clock_vm_ns();
        timers.driver = (ClockDriver){ 0 };
        clock_vm_set(now, atomic_load(&timers.paused));
    }
}

const TscAnchor *const *clock_vm_anchor(void)
{
    timers_init();
    return timers.tsc.usable && !timers.driver.now ? &timers.tsc.anchor : NULL;
}

int64_t clock_vm_deadline(void)
{
    Timer *first = heap_first(&timers.lists[CLOCK_VM]);

    return first ? first->expire : INT64_MAX;
}

void clock_vm_run(void)
{
    list_run(&timers.lists[CLOCK_VM], clock_vm_ns(), TIMERS_PER_DISPATCH);
}

void clock_host_follow_vm(int64_t start_ns)
{
    atomic_store(&timers.host_start, start_ns);
}

/* --- Timers ----------------------------------------------------------------------- */

Timer *timer_new(ClockType clock, TimerFn *fn, void *opaque)
{
    Timer *timer = g_new(Timer, 1);
    int64_t start = atomic_load(&timers.host_start);
    bool follows = clock == CLOCK_HOST && start >= 0;

    timers_init();
    *timer = (Timer){ .list = &timers.lists[follows ? CLOCK_VM : clock], .fn = fn,
                      .opaque = opaque, .skew = follows ? start : 0, .expire = -1, .index = -1 };
    return timer;
}

void timer_free(Timer *timer)
{
    if (timer) {
        timer_del(timer);
        g_free(timer);
    }
}

void timer_mod(Timer *timer, int64_t expire_ns)
{
    timer_del(timer);
    timer->expire = MAX(expire_ns - timer->skew, 0);
    heap_insert(timer->list, timer);
    list_arm(timer->list, false);
}

void timer_del(Timer *timer)
{
    if (timer->index >= 0) {
        heap_remove(timer->list, timer);
    }
}

bool timer_pending(const Timer *timer)
{
    return timer->index >= 0;
}

int64_t timer_expire_ns(const Timer *timer)
{
    return timer->index >= 0 ? timer->expire + timer->skew : -1;
}
