/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The host's monotonic clock by its time stamp counter: a multiplication where clock_gettime() is a
 * call, in a form that generated code can carry out by itself. Only where the counters run at one
 * rate on all CPUs and the host's kernel keeps its own time by them.
 */
#ifndef UTIL_TSC_CLOCK_H
#define UTIL_TSC_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

/* Anchors used in turn, 100 ms each: who was kept from finishing with one for less is right. */
#define TSC_ANCHORS 1024u

/* At counter value @tsc + d, d below @limit, it is @ns + (d * @rate >> 32). */
typedef struct TscAnchor {
    uint64_t tsc;
    uint64_t limit; /* 0: nothing is known, ask tsc_clock_renew() */
    uint64_t rate;
    int64_t ns;
} TscAnchor;

typedef struct TscClock {
    const TscAnchor *anchor;    /* the current one */
    bool usable;
    uint64_t first_tsc;         /* a moment by both clocks, from which rates are measured */
    int64_t first_ns;
    unsigned next;
    TscAnchor anchors[TSC_ANCHORS];
} TscClock;

void tsc_clock_init(TscClock *clock);
/* Now; false if tsc_clock_renew() must say. Any thread, without a lock. */
static inline bool tsc_clock_read(const TscClock *clock, int64_t *ns)
{
    const TscAnchor *anchor = __atomic_load_n(&clock->anchor, __ATOMIC_ACQUIRE);
    uint64_t ticks = __builtin_ia32_rdtsc() - anchor->tsc;

    *ns = anchor->ns + (int64_t)((unsigned __int128)ticks * anchor->rate >> 32);
    return ticks < anchor->limit;
}
/* Now: host monotonic time less @offset, and never before what was read. The caller's lock. */
int64_t tsc_clock_renew(TscClock *clock, int64_t offset);
/* The clock stops, or goes on from elsewhere. The same lock. */
void tsc_clock_forget(TscClock *clock);

#endif
