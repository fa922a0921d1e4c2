/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Atomics and threads. */
#include "bench/guest/bench.h"

static void *thr_sha(void *a)
{
    *(u64 *)a = sha_run(16384);
    return 0;
}
static u64 t_mt_sha(void) // two threads, each 1 MiB
{
    pthread_t t;
    u64 a = 0, b = 0;
    if (pthread_create(&t, 0, thr_sha, &a)) {
        return 0xbad;
    }
    thr_sha(&b);
    pthread_join(t, 0);
    return a == b ? a : 0xbad;
}
static atomic_ulong ctr;
static u64 t_atomic(void)
{
    ctr = 0;
    for (int i = 0; i < 100000; i++) {
        atomic_fetch_add(&ctr, 3);
    }
    return ctr;
}
static void *thr_atom(void *a)
{
    for (int i = 0; i < 100000; i++) {
        atomic_fetch_add(&ctr, 1);
    }
    return a;
}
static u64 t_mt_atomic(void)
{
    pthread_t t;
    ctr = 0;
    if (pthread_create(&t, 0, thr_atom, 0)) {
        return 0xbad;
    }
    thr_atom(0);
    pthread_join(t, 0);
    return ctr;
}
static pthread_mutex_t mu = PTHREAD_MUTEX_INITIALIZER;
static u64 mctr;
static void *thr_mutex(void *a)
{
    for (int i = 0; i < 5000; i++) {
        pthread_mutex_lock(&mu);
        mctr++;
        pthread_mutex_unlock(&mu);
    }
    return a;
}
static u64 t_mt_mutex(void)
{
    pthread_t t;
    mctr = 0;
    if (pthread_create(&t, 0, thr_mutex, 0)) {
        return 0xbad;
    }
    thr_mutex(0);
    pthread_join(t, 0);
    return mctr;
}

const struct test thread_tests[] = {
    {"at_lockadd", .1, "Mop/s", t_atomic},
    {"mt_sha256", 2, "MiB/s", t_mt_sha},
    {"mt_lockadd", .2, "Mop/s", t_mt_atomic},
    {"mt_mutex", 10, "klock/s", t_mt_mutex},
    {0},
};
