/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Memory: pointer chasing, copies, string functions, streams, unaligned accesses. */
#include "bench/guest/bench.h"

static u64 chase(size_t bytes, int hops)
{
    static struct {
        size_t n;
        u64 *p;
    } cache[4];
    size_t stride = 64 / 8, n = bytes / 64;
    u64 *p = 0;
    int s;
    for (s = 0; s < 4 && cache[s].n && cache[s].n != bytes; s++) {
        ;
    }
    if (cache[s].n == bytes) {
        p = cache[s].p;
    } else {
        cache[s].p = p = mem(bytes);
        cache[s].n = bytes;
        u32 *perm = malloc(n * 4);
        rng_s = 555;
        for (size_t i = 0; i < n; i++) {
            perm[i] = i;
        }
        for (size_t i = n - 1; i > 0; i--) {
            size_t j = rng() % i;
            u32 t = perm[i];
            perm[i] = perm[j];
            perm[j] = t;
        }
        for (size_t i = 0; i < n; i++) {
            p[perm[i] * stride] = perm[(i + 1) % n] * stride;
        }
        free(perm);
    }
    u64 x = 0;
    for (int i = 0; i < hops; i++) {
        x = p[x];
    }
    return x;
}
static u64 t_chase16k(void)
{
    return chase(16 << 10, 1000000);
}
static u64 t_chase4m(void)
{
    return chase(4 << 20, 300000);
}
static u64 t_chase64m(void)
{
    return chase(64 << 20, 100000);
}
static u64 t_memcpy(void)
{
    static u8 *a, *b;
    if (!a) {
        a = mem(16 << 20);
        b = mem(16 << 20);
        for (int i = 0; i < 16 << 20; i += 8) {
            *(u64 *)(a + i) = i * 0x9e37ull;
        }
    }
    memcpy(b, a, 16 << 20);
    return b[12345] + b[(16 << 20) - 1];
}
static u64 t_memcpy_s(void) // many short copies
{
    static u8 a[4096], b[4096];
    for (int i = 0; i < 4096; i++) {
        a[i] = i * 11;
    }
    u64 h = 0;
    for (int i = 0; i < 50000; i++) {
        size_t n = 1 + (i * 37) % 200, o = (i * 13) % 3000;
        memcpy(b + o, a + (o ^ 5), n);
        h += b[o];
    }
    return h;
}
static u64 t_strlib(void) // strlen/strchr/memcmp/memset as libc has them
{
    static char s[8192], t[8192];
    memset(s, 'x', 8191);
    memset(t, 'x', 8191);
    u64 h = 0;
    for (int i = 0; i < 300; i++) {
        s[8000 - i] = 'q';
        h += strlen(s + i) + (strchr(s, 'q') - s) + (memcmp(s, t, 8191) > 0);
        s[8000 - i] = 'x';
        memset(t + i, 'x', 4000);
    }
    return h;
}
static u64 t_repmovs(void)
{
    static u8 *a, *b;
    if (!a) {
        a = mem(1 << 20);
        b = mem(1 << 20);
        for (int i = 0; i < 1 << 20; i++) {
            a[i] = i * 31;
        }
    }
    void *d = b, *s = a;
    size_t n = 1 << 20;
    __asm__ volatile("rep movsb" : "+D"(d), "+S"(s), "+c"(n)::"memory");
    d = b;
    n = 1 << 16;
    __asm__ volatile("rep stosq" : "+D"(d), "+c"(n) : "a"(0x0101010101010101ull) : "memory");
    return b[0] + b[(1 << 20) - 1];
}
static u64 t_stream(void)
{
    static double *a, *b, *c;
    enum { N = 1 << 18 };
    if (!a) {
        a = mem(N * 8);
        b = mem(N * 8);
        c = mem(N * 8);
        for (int i = 0; i < N; i++) {
            b[i] = i;
            c[i] = 2 * i + 1;
        }
    }
    for (int i = 0; i < N; i += 2) {
        __m128d v =
            _mm_add_pd(_mm_load_pd(b + i), _mm_mul_pd(_mm_set1_pd(3.0), _mm_load_pd(c + i)));
        _mm_store_pd(a + i, v);
    }
    return dbits(a[777]) ^ dbits(a[N - 1]);
}
static u64 t_unalign(void) // unaligned, page and line crossing loads/stores
{
    static u8 *p;
    if (!p) {
        p = mem(1 << 16);
        for (int i = 0; i < 1 << 16; i++) {
            p[i] = i * 3;
        }
    }
    u64 h = 0;
    for (int r = 0; r < 20; r++) {
        for (int i = 1; i < 65000; i += 13) {
            u64 v;
            memcpy(&v, p + i, 8);
            h = h * 31 + v;
            v = (u64)i * 0x0101;
            memcpy(p + i, &v, 8);
        }
    }
    static u64 first;
    if (!first) {
        first = h;
    }
    return first;
}

const struct test memory_tests[] = {
    {"mem_chase16k", 1, "Mload/s", t_chase16k},
    {"mem_chase4m", .3, "Mload/s", t_chase4m},
    {"mem_chase64m", .1, "Mload/s", t_chase64m},
    {"mem_memcpy16m", 16, "MiB/s", t_memcpy},
    {"mem_memcpy_sm", .05, "Mcall/s", t_memcpy_s},
    {"mem_strlib", .9, "kcall/s", t_strlib},
    {"mem_repmovs", 1.5, "MiB/s", t_repmovs},
    {"mem_stream", 6, "MiB/s", t_stream},
    {"mem_unalign", .1, "Mld+st/s", t_unalign},
    {0},
};
