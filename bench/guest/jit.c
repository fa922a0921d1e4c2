/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Code that is written while it runs. */
#include "bench/guest/bench.h"

static u64 t_jit(void) // W^X JIT: write a fresh function, flip to RX, call it, flip back
{
    static u8 *p;
    if (!p) {
        p = mem(4096);
    }
    u64 h = 0;
    for (int i = 0; i < 200; i++) {
        mprotect(p, 4096, PROT_READ | PROT_WRITE);
        int n = 0;
        p[n++] = 0xb8;
        memcpy(p + n, &i, 4);
        n += 4; // mov eax, i
        for (int k = 0; k < 20; k++) {
            p[n++] = 0x83;
            p[n++] = 0xc0;
            p[n++] = k;
        } // add eax, k
        p[n++] = 0xc3;
        mprotect(p, 4096, PROT_READ | PROT_EXEC);
        int (*f)(void) = (void *)p;
        for (int k = 0; k < 10; k++) {
            h = h * 31 + f();
        }
    }
    return h;
}
static u64 t_smc(void) // RWX page: patch an immediate in place between calls
{
    static u8 *p;
    if (!p) {
        p = mmap(0, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (p == MAP_FAILED) {
            p = 0;
            return 0xbad;
        }
    }
    p[0] = 0xb8;
    p[5] = 0xc3;
    u64 h = 0;
    for (int i = 0; i < 1000; i++) {
        *(volatile u32 *)(p + 1) = i;
        int (*f)(void) = (void *)p;
        h = h * 31 + f();
    }
    return h;
}
static u64 t_smcdata(void) // data written on the same page as running code (other line)
{
    static u8 *p;
    if (!p) {
        p = mmap(0, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (p == MAP_FAILED) {
            p = 0;
            return 0xbad;
        }
    }
    static const u8 c[] = {
        0xff, 0x05, 0xfa, 0x07, 0, 0,   0x8b,
        0x05, 0xf4, 0x07, 0,    0, 0xc3}; // inc [rip+0x7fa]=p+0x800; mov eax,[same]; ret
    memcpy(p, c, sizeof c);
    *(u32 *)(p + 0x800) = 0;
    int (*f)(void) = (void *)p;
    u64 h = 0;
    for (int i = 0; i < 2000; i++) {
        h += f();
    }
    return h;
}
static u64 t_codefoot(
    void) // large code footprint: 4096 small functions called in turn (translation cache lookups)
{
    enum { N = 4096, SZ = 32 };
    static u8 *p;
    if (!p) {
        p = mem(N * SZ);
        for (int i = 0; i < N; i++) {
            u8 *q = p + i * SZ;
            q[0] = 0x8d;
            q[1] = 0x87;
            memcpy(q + 2, &i, 4);
            q[6] = 0xc3;
        } // lea eax,[rdi+i]; ret
        if (mprotect(p, N * SZ, PROT_READ | PROT_EXEC)) {
            return 0xbad;
        }
    }
    u32 x = 0;
    for (int i = 0; i < N * 4; i++) {
        int (*f)(int) = (void *)(p + (i * 1103 & (N - 1)) * SZ);
        x = f(x);
    }
    return x;
}

const struct test jit_tests[] = {
    {"jit_wx", .2, "kfunc/s", t_jit},
    {"jit_smc", 1, "kpatch/s", t_smc},
    {"jit_smcdata", 2, "kwrite/s", t_smcdata},
    {"jit_footprint", .016384, "Mcall/s", t_codefoot},
    {0},
};
