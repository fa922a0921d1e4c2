/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Clocks that tests set: util/timer.h on a time that stands still until a test moves it. */
#ifndef TESTS_DEVICE_CLOCK_H
#define TESTS_DEVICE_CLOCK_H

#include <stdint.h>

/* Moves all clocks on by @ns, running timers at their times and in their order. */
void test_clock_advance(int64_t ns);
/* From now on every reading of a clock takes @ns: a host that is slow, or busy with others. */
void test_clock_drift(int64_t ns);
/* Timers run since the start: devices must not fire without need. */
unsigned test_clock_fired(void);

#endif
