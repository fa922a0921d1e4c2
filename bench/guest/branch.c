/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Branches: sorting, an interpreter loop, calls and returns, indirect calls, string hashing. */
#include "bench/guest/bench.h"

static void qs(int *a, int n)
{
    while (n > 16) {
        int p = a[n / 2], i = 0, j = n - 1;
        for (;;) {
            while (a[i] < p) {
                i++;
            }
            while (a[j] > p) {
                j--;
            }
            if (i >= j) {
                break;
            }
            int t = a[i];
            a[i] = a[j];
            a[j] = t;
            i++;
            j--;
        }
        if (i < n - i) {
            qs(a, i);
            a += i;
            n -= i;
        } else {
            qs(a + i, n - i);
            n = i;
        }
    }
    for (int i = 1; i < n; i++) {
        int v = a[i], j = i;
        while (j && a[j - 1] > v) {
            a[j] = a[j - 1];
            j--;
        }
        a[j] = v;
    }
}
static int cmpi(const void *a, const void *b)
{
    int x = *(int *)a, y = *(int *)b;
    return (x > y) - (x < y);
}
static u64 t_sort(void)
{
    static int a[20000], b[20000];
    rng_s = 4242;
    for (int i = 0; i < 20000; i++) {
        a[i] = b[i] = (int)rng();
    }
    qs(a, 20000);
    qsort(b, 20000, sizeof *b, cmpi);
    if (memcmp(a, b, sizeof a)) {
        return 0xbad;
    }
    return hash(a, sizeof a);
}
// bytecode interpreter: switch dispatch = one indirect jump an operation
enum {
    OP_PUSH,
    OP_LD,
    OP_ST,
    OP_ADD,
    OP_SUB,
    OP_MUL,
    OP_LT,
    OP_JZ,
    OP_JMP,
    OP_AND,
    OP_XOR,
    OP_SHR,
    OP_LDX,
    OP_STX,
    OP_DUP,
    OP_HALT
};
static NOINLINE u64 vm(const int *code, int64_t *loc, int64_t *arr, u64 *steps)
{
    int64_t st[64], *sp = st;
    const int *pc = code;
    u64 n = 0;
    for (;;) {
        n++;
        switch (*pc++) {
        case OP_PUSH:
            *sp++ = *pc++;
            break;
        case OP_LD:
            *sp++ = loc[*pc++];
            break;
        case OP_ST:
            loc[*pc++] = *--sp;
            break;
        case OP_ADD:
            sp--;
            sp[-1] += *sp;
            break;
        case OP_SUB:
            sp--;
            sp[-1] -= *sp;
            break;
        case OP_MUL:
            sp--;
            sp[-1] *= *sp;
            break;
        case OP_LT:
            sp--;
            sp[-1] = sp[-1] < *sp;
            break;
        case OP_JZ:
            if (!*--sp) {
                pc = code + *pc;
            } else {
                pc++;
            }
            break;
        case OP_JMP:
            pc = code + *pc;
            break;
        case OP_AND:
            sp--;
            sp[-1] &= *sp;
            break;
        case OP_XOR:
            sp--;
            sp[-1] ^= *sp;
            break;
        case OP_SHR:
            sp--;
            sp[-1] = (u64)sp[-1] >> *sp;
            break;
        case OP_LDX:
            sp[-1] = arr[sp[-1] & 1023];
            break;
        case OP_STX:
            sp -= 2;
            arr[sp[1] & 1023] = sp[0];
            break;
        case OP_DUP:
            *sp = sp[-1];
            sp++;
            break;
        case OP_HALT:
            *steps += n;
            return loc[1];
        }
    }
}
static u64 vm_steps;
static u64 t_interp(void)
{
    static const int code[] = {
        // for (i=0;i<n;i++){ x = x*1103515245+12345; arr[i&1023]=x^arr[x>>7]; s+=arr[i]&255; }
        /*0*/ OP_PUSH,
        0,
        OP_ST,
        0,
        /*4*/ OP_LD,
        0,
        OP_PUSH,
        30000,
        OP_LT,
        OP_JZ,
        59,
        /*11*/ OP_LD,
        2,
        OP_PUSH,
        1103515245,
        OP_MUL,
        OP_PUSH,
        12345,
        OP_ADD,
        OP_ST,
        2,
        /*21*/ OP_LD,
        2,
        OP_LD,
        2,
        OP_PUSH,
        7,
        OP_SHR,
        OP_LDX,
        OP_XOR,
        OP_LD,
        0,
        OP_STX,
        /*33*/ OP_LD,
        1,
        OP_LD,
        0,
        OP_LDX,
        OP_PUSH,
        255,
        OP_AND,
        OP_ADD,
        OP_DUP,
        OP_PUSH,
        1,
        OP_AND,
        OP_ADD,
        OP_ST,
        1,
        /*49*/ OP_LD,
        0,
        OP_PUSH,
        1,
        OP_ADD,
        OP_ST,
        0,
        OP_JMP,
        4,
        OP_HALT,
        /*59*/ OP_HALT};
    int64_t loc[4] = {0, 0, 42, 0};
    static int64_t arr[1024];
    memset(arr, 0, sizeof arr);
    vm_steps = 0;
    return mix(vm(code, loc, arr, &vm_steps), vm_steps);
}
static NOINLINE u64 fib(unsigned n)
{
    __asm__ volatile("");
    return n < 2 ? n : fib(n - 1) + fib(n - 2);
}
static u64 t_callret(void)
{
    return fib(24);
}
// virtual calls
struct obj {
    u64 (*f)(struct obj *, u64);
    u64 v;
};
static u64 f0(struct obj *o, u64 x)
{
    return x + o->v;
}
static u64 f1(struct obj *o, u64 x)
{
    return x ^ o->v;
}
static u64 f2(struct obj *o, u64 x)
{
    return x * 3 + o->v;
}
static u64 f3(struct obj *o, u64 x)
{
    return (x >> 1) + o->v;
}
static u64 f4(struct obj *o, u64 x)
{
    o->v += x & 7;
    return x;
}
static u64 f5(struct obj *o, u64 x)
{
    return x - o->v;
}
static u64 f6(struct obj *o, u64 x)
{
    return (x << 5) ^ o->v;
}
static u64 f7(struct obj *o, u64 x)
{
    return ~x + o->v;
}
static u64 t_icall(void)
{
    static u64 (*const F[8])(struct obj *, u64) = {f0, f1, f2, f3, f4, f5, f6, f7};
    static struct obj o[1024];
    rng_s = 7;
    for (int i = 0; i < 1024; i++) {
        o[i].f = F[(rng() >> 20) & 7];
        o[i].v = rng();
    }
    u64 x = 1;
    for (int r = 0; r < 100; r++) {
        for (int i = 0; i < 1024; i++) {
            x = o[i].f(&o[i], x);
        }
    }
    return x;
}
static u64 t_strhash(void)
{
    static char keys[4096][16];
    static int tab[8192];
    rng_s = 31337;
    for (int i = 0; i < 4096; i++) {
        u64 r = rng();
        int l = 4 + (r & 7);
        for (int j = 0; j < l; j++) {
            keys[i][j] = 'a' + (r >> (j * 4 + 8)) % 26;
        }
        keys[i][l] = 0;
    }
    memset(tab, 0xff, sizeof tab);
    u64 hit = 0, probes = 0;
    for (int rep = 0; rep < 4; rep++) {
        for (int i = 0; i < 4096; i++) {
            const char *s = keys[(i * 2654435761u) >> 20];
            u32 h = 5381;
            for (const char *p = s; *p; p++) {
                h = h * 33 + *p;
            }
            for (h &= 8191;; h = (h + 1) & 8191) {
                probes++;
                if (tab[h] < 0) {
                    tab[h] = (i * 2654435761u) >> 20;
                    break;
                }
                if (!strcmp(keys[tab[h]], s)) {
                    hit++;
                    break;
                }
            }
        }
    }
    return mix(hit, probes);
}

const struct test branch_tests[] = {
    {"br_sort", .04, "Melem/s", t_sort},
    {"br_interp", .96, "Mop/s", t_interp},
    {"br_callret", .0751, "Mcall/s", t_callret},
    {"br_icall", .1024, "Mcall/s", t_icall},
    {"br_strhash", .016384, "Mop/s", t_strhash},
    {0},
};
