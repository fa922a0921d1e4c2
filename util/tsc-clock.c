/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Finding the rate of the host's time stamp counter, and following the host's clock with it. */
#include "util/tsc-clock.h"

#include <cpuid.h>
#include <string.h>
#include <time.h>

#include <glib.h>

#include "util/timer.h"

#define CLOCK_SOURCE "/sys/devices/system/clocksource/clocksource0/current_clocksource"
#define ANCHOR_NS   (NS_PER_SECOND / 10)
/* Two readings are some 20 ns apart: after this long a rate is right to one part in a million. */
#define BASELINE_NS (NS_PER_SECOND / 20)

static const TscAnchor unknown;

/* SDM 3B 17.17.1: CPUID.80000007H:EDX[8]; whether the CPUs agree, the host's kernel knows. */
static bool host_counts(void)
{
    g_autofree char *source = NULL;
    unsigned eax, ebx, ecx, edx;

    return __get_cpuid(0x80000007, &eax, &ebx, &ecx, &edx) && (edx & (1u << 8)) &&
           g_file_get_contents(CLOCK_SOURCE, &source, NULL, NULL) &&
           strcmp(g_strstrip(source), "tsc") == 0;
}

void tsc_clock_init(TscClock *clock)
{
    *clock = (TscClock){.anchor = &unknown, .usable = host_counts()};
}

/* One moment by both clocks: of some readings, those that were next to each other. */
static int64_t sample(uint64_t *tsc)
{
    uint64_t least = UINT64_MAX;
    struct timespec time, best = {0};

    *tsc = 0;
    for (unsigned i = 0; i < 4; i++) {
        uint64_t before = __builtin_ia32_rdtsc(), after;

        clock_gettime(CLOCK_MONOTONIC, &time);
        after = __builtin_ia32_rdtsc();
        if (after - before < least) {
            least = after - before;
            *tsc = before + least / 2;
            best = time;
        }
    }
    return best.tv_sec * NS_PER_SECOND + best.tv_nsec;
}

/* The latest that was read by @anchor until @tsc. */
static int64_t latest(const TscAnchor *anchor, uint64_t tsc)
{
    uint64_t ticks = MIN(tsc - anchor->tsc, anchor->limit);

    return anchor->ns + (int64_t)((unsigned __int128)ticks * anchor->rate >> 32);
}

int64_t tsc_clock_renew(TscClock *clock, int64_t offset)
{
    TscAnchor *anchor = &clock->anchors[clock->next++ % TSC_ANCHORS];
    uint64_t tsc, rate;
    int64_t host, now, ahead;

    if (tsc_clock_read(clock, &now)) {
        return now; /* another thread was faster */
    }
    host = sample(&tsc);
    now = host - offset;
    if (!clock->first_tsc) {
        clock->first_tsc = tsc;
        clock->first_ns = host;
    }
    if (host - clock->first_ns < BASELINE_NS) {
        return now;
    }
    rate = ((unsigned __int128)(host - clock->first_ns) << 32) / (tsc - clock->first_tsc);
    *anchor = (TscAnchor){.tsc = tsc, .rate = rate, .ns = now};
    anchor->limit = ((unsigned __int128)ANCHOR_NS << 32) / rate;
    if (clock->anchor->limit) {
        ahead = latest(clock->anchor, tsc) - now;
        if (ahead > 0) { /* it must not go back: slower, until the host's has come up */
            anchor->ns += ahead;
            anchor->rate -= MIN(rate / 2, (uint64_t)(rate * (double)ahead / ANCHOR_NS));
        }
    }
    __atomic_store_n(&clock->anchor, anchor, __ATOMIC_RELEASE);
    return anchor->ns;
}

void tsc_clock_forget(TscClock *clock)
{
    __atomic_store_n(&clock->anchor, &unknown, __ATOMIC_RELEASE);
}
