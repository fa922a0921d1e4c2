/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Two threads, on two CPUs where there are two, compare the time stamp counter and CLOCK_MONOTONIC
 * with what the other saw last, for as many seconds as the argument says, while a third process
 * keeps the machine busy. Prints how often each clock went back, the longest step of
 * CLOCK_MONOTONIC in ms, and how far its rate is from the counter's, in parts per million.
 */
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

typedef struct Clock {
    _Atomic uint64_t latest;
    _Atomic unsigned backwards;
} Clock;

static Clock tsc, monotonic;
static uint64_t end_ns;
static _Atomic uint64_t longest;

static uint64_t now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000000000ull + now.tv_nsec;
}

static uint64_t read_tsc(void)
{
    uint32_t low, high;

    __asm__ volatile("lfence; rdtsc; lfence" : "=a"(low), "=d"(high) : : "memory");
    return low | (uint64_t)high << 32;
}

static void raise_to(_Atomic uint64_t *what, uint64_t value)
{
    uint64_t old = atomic_load(what);

    while (old < value && !atomic_compare_exchange_weak(what, &old, value)) {
    }
}

/* @seen was there before @value was read. */
static void compare(Clock *clock, uint64_t seen, uint64_t value)
{
    if (value < seen) {
        atomic_fetch_add(&clock->backwards, 1);
    }
    raise_to(&clock->latest, value);
}

static void *look(void *cpu)
{
    uint64_t last = now_ns(), now = last;
    cpu_set_t set;

    CPU_ZERO(&set);
    CPU_SET((uintptr_t)cpu, &set);
    sched_setaffinity(0, sizeof(set), &set);
    while (now < end_ns) {
        uint64_t seen = atomic_load(&tsc.latest);
        compare(&tsc, seen, read_tsc());
        seen = atomic_load(&monotonic.latest);
        now = now_ns();
        compare(&monotonic, seen, now);
        raise_to(&longest, now - last);
        last = now;
    }
    return NULL;
}

static pid_t start_load(void)
{
    pid_t child = fork();

    if (child == 0) {
        for (;;) {
            getppid();
        }
    }
    return child;
}

int main(int argc, char **argv)
{
    uint64_t seconds = argc > 1 ? strtoul(argv[1], NULL, 10) : 5;
    unsigned cpus = sysconf(_SC_NPROCESSORS_ONLN) > 1 ? 2 : 1;
    pid_t load = start_load();
    uint64_t first_ns = now_ns(), first_tsc = read_tsc();
    pthread_t threads[2];

    end_ns = first_ns + seconds * 1000000000;
    puts("looking");
    fflush(stdout);
    for (uintptr_t i = 0; i < cpus; i++) {
        pthread_create(&threads[i], NULL, look, (void *)i);
    }
    for (unsigned i = 0; i < cpus; i++) {
        pthread_join(threads[i], NULL);
    }
    double ticks = read_tsc() - first_tsc, ns = now_ns() - first_ns;
    kill(load, SIGKILL);
    printf("backwards %u %u longest %llu drift %.0f\n", tsc.backwards, monotonic.backwards,
           (unsigned long long)longest / 1000000, (ticks / ns - 1) * 1e6);
    return 0;
}
