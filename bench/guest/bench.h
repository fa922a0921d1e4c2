/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the parts of the guest benchmark share. */
#ifndef BENCH_GUEST_BENCH_H
#define BENCH_GUEST_BENCH_H

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/io.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <cpuid.h>
#include <immintrin.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;
#define NOINLINE __attribute__((noinline))

/* A test: one chunk of fixed work, which returns a checksum over what it computed. */
struct test {
    const char *name;
    double units; /* of work in a chunk */
    const char *unit;
    u64 (*fn)(void);
    int (*available)(void); /* 0: everywhere */
    int unverified;         /* results may differ between right CPUs */
};

/* The tables end with an empty row. */
extern const struct test integer_tests[], branch_tests[], memory_tests[], float_tests[];
extern const struct test simd_tests[], os_tests[], cpu_tests[], jit_tests[], thread_tests[];

/* The path by which this program can execute itself. */
extern char *self;
/* Hashes @blocks blocks of 64 bytes with SHA-256. */
u64 sha_run(int blocks);

static inline double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec * 1e-9;
}
static inline double cputime(void) // of this process and its finished children
{
    struct timespec t;
    struct rusage r = {0};
    if (clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t)) {
        return 0;
    }
    getrusage(RUSAGE_CHILDREN, &r);
    return t.tv_sec + t.tv_nsec * 1e-9 + r.ru_utime.tv_sec + r.ru_stime.tv_sec +
           (r.ru_utime.tv_usec + r.ru_stime.tv_usec) * 1e-6;
}
static inline void die(const char *s)
{
    perror(s);
    exit(1);
}
/* The generator's state: every test that draws numbers sets it first. */
static u64 rng_s __attribute__((unused));
static inline u64 rng(void)
{
    u64 x = rng_s;
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    return rng_s = x;
}
static inline u64 mix(u64 h, u64 v)
{
    h ^= v + 0x9e3779b97f4a7c15ull + (h << 6) + (h >> 2);
    return h * 0xff51afd7ed558ccdull;
}
static inline u64 hash(const void *p, size_t n)
{
    const u8 *b = p;
    u64 h = 1469598103934665603ull;
    for (size_t i = 0; i < n; i++) {
        h = (h ^ b[i]) * 1099511628211ull;
    }
    return h;
}
static inline void *mem(size_t n)
{
    void *p = mmap(0, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED) {
        die("mmap");
    }
    return p;
}
static inline u64 dbits(double d)
{
    u64 u;
    memcpy(&u, &d, 8);
    return u;
}

#endif
