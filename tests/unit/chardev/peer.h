/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A front end that records, and a way to make back ends and to let the main loop work. */
#ifndef TESTS_UNIT_CHARDEV_PEER_H
#define TESTS_UNIT_CHARDEV_PEER_H

#include "chardev/chardev.h"

typedef struct Peer {
    GString *received;
    size_t room;         /* what can_receive says */
    unsigned writable, opened, closed, breaks;
} Peer;

extern const ChardevClient peer_client;

Peer *peer_new(size_t room);
void peer_free(Peer *peer);

/* A set with one back end "c0": pairs of key and value, ended by NULL. NULL if it failed. */
ChardevSet *chardev_make(const char *backend, ...) G_GNUC_NULL_TERMINATED;
/* What the failed chardev_make() before said. */
const char *chardev_make_error(void);

/* Runs the main loop until @condition holds, or fails after ten seconds. */
#define LOOP_UNTIL(condition)                                                                      \
    do {                                                                                           \
        int64_t end_ = g_get_monotonic_time() + 10 * G_USEC_PER_SEC;                               \
        while (!(condition)) {                                                                     \
            g_assert_cmpint(g_get_monotonic_time(), <, end_);                                      \
            loop_once();                                                                           \
        }                                                                                          \
    } while (0)
void loop_once(void);
/* Lets everything that is due happen. */
void loop_settle(void);
/* As g_test_run() with locks, clocks and loop set up. */
int peer_main(void);

#endif
