/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Floating point: SSE scalar and single precision, x87. */
#include "bench/guest/bench.h"

static u64 t_nbody(void)
{
    struct {
        double x, y, z, vx, vy, vz, m;
    } b[5] = {{0, 0, 0, 0, 0, 0, 39.47},
              {4.84, -1.16, -.10, .60, 2.81, -.02, .037},
              {8.34, 4.12, -.4, -1.01, 1.82, .008, .011},
              {12.89, -15.11, -.22, 1.08, .868, -.01, .0017},
              {15.37, -25.9, .179, .979, .594, -.034, .002}};
    for (int s = 0; s < 4000; s++) {
        for (int i = 0; i < 5; i++) {
            for (int j = i + 1; j < 5; j++) {
                double dx = b[i].x - b[j].x, dy = b[i].y - b[j].y, dz = b[i].z - b[j].z;
                double d2 = dx * dx + dy * dy + dz * dz, mag = 0.01 / (d2 * sqrt(d2));
                b[i].vx -= dx * b[j].m * mag;
                b[i].vy -= dy * b[j].m * mag;
                b[i].vz -= dz * b[j].m * mag;
                b[j].vx += dx * b[i].m * mag;
                b[j].vy += dy * b[i].m * mag;
                b[j].vz += dz * b[i].m * mag;
            }
        }
        for (int i = 0; i < 5; i++) {
            b[i].x += .01 * b[i].vx;
            b[i].y += .01 * b[i].vy;
            b[i].z += .01 * b[i].vz;
        }
    }
    return dbits(b[0].x) ^ dbits(b[3].vy);
}
static u64 t_mandel(void)
{
    u64 n = 0;
    for (int y = 0; y < 64; y++) {
        for (int x = 0; x < 64; x++) {
            double cr = x * 3.0 / 64 - 2, ci = y * 2.0 / 64 - 1, r = 0, i = 0;
            int k = 0;
            for (; k < 100 && r * r + i * i < 4; k++) {
                double t = r * r - i * i + cr;
                i = 2 * r * i + ci;
                r = t;
            }
            n += k;
        }
    }
    return n;
}
static u64 t_linpack(void)
{
    enum { N = 100 };
    static double a[N][N], x[N];
    rng_s = 1325;
    for (int i = 0; i < N; i++) {
        x[i] = i;
        for (int j = 0; j < N; j++) {
            a[i][j] = (double)(rng() >> 11) / 9007199254740992.0 - .5;
        }
    }
    for (int k = 0; k < N; k++) {
        int p = k;
        for (int i = k + 1; i < N; i++) {
            if (fabs(a[i][k]) > fabs(a[p][k])) {
                p = i;
            }
        }
        if (p != k) {
            for (int j = 0; j < N; j++) {
                double t = a[p][j];
                a[p][j] = a[k][j];
                a[k][j] = t;
            }
            double t = x[p];
            x[p] = x[k];
            x[k] = t;
        }
        for (int i = k + 1; i < N; i++) {
            double f = a[i][k] / a[k][k];
            for (int j = k; j < N; j++) {
                a[i][j] -= f * a[k][j];
            }
            x[i] -= f * x[k];
        }
    }
    for (int i = N - 1; i >= 0; i--) {
        for (int j = i + 1; j < N; j++) {
            x[i] -= a[i][j] * x[j];
        }
        x[i] /= a[i][i];
    }
    return dbits(x[0]) ^ dbits(x[N - 1]);
}
static u64 t_float32(void) // single precision + int conversions
{
    float s = 0, x = .5f;
    int n = 0;
    for (int i = 0; i < 200000; i++) {
        x = x * 3.7f * (1.0f - x);
        s += x;
        n += (int)(x * 100.0f);
    }
    u32 u;
    memcpy(&u, &s, 4);
    return mix(u, n);
}
static u64 t_x87(void)
{
    long double s = 0, x = .5L, y = 1;
    for (int i = 1; i < 50000; i++) {
        x = x * 3.7L * (1 - x);
        y = y * .999L + x / i;
        s += sqrtl(y) - x;
    }
    u64 m = 0;
    memcpy(&m, &s, 8);
    return m;
}
static u64 t_x87trig(void)
{
    long double s = 0;
    for (int i = 1; i < 5000; i++) {
        long double a = i * .001L, r, c, l;
        __asm__("fsincos" : "=t"(c), "=u"(r) : "0"(a));
        __asm__("fyl2x" : "=t"(l) : "0"(a), "u"(1.0L) : "st(1)");
        s += r * c + l;
    }
    return (u64)(int64_t)(s * 1000);
}

const struct test float_tests[] = {
    {"fp_nbody", .004, "Mstep/s", t_nbody},
    {"fp_mandel", .1255, "Miter/s", t_mandel},
    {"fp_linpack", .686667, "MFLOP/s", t_linpack},
    {"fp_float32", .2, "Miter/s", t_float32},
    {"fp_x87", .05, "Miter/s", t_x87},
    {"fp_x87trig", .005, "Miter/s", t_x87trig, 0, 1},
    {0},
};
