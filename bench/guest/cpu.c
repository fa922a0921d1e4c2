/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Instructions that leave the guest: RDTSC, CPUID, port input. */
#include "bench/guest/bench.h"

static u64 t_rdtsc(void)
{
    u64 a = __rdtsc(), b = 0;
    for (int i = 0; i < 10000; i++) {
        b = __rdtsc();
    }
    return b > a ? 1 : 0;
}
static u64 t_cpuid(void)
{
    unsigned a, b, c, d, s = 0;
    for (int i = 0; i < 1000; i++) {
        __cpuid(0, a, b, c, d);
        s |= a;
    }
    return s != 0;
}

static int pio_ok(void)
{
    static int r = -1;
    if (r < 0) {
        FILE *f = fopen("/proc/cmdline", "r");
        char b[512] = "";
        if (f) {
            if (!fgets(b, 512, f)) {
                b[0] = 0;
            }
            fclose(f);
        }
        r = strstr(b, "bench_pio") && !iopl(3);
    }
    return r;
}
static u64 t_pio(void)
{
    u64 s = 0;
    for (int i = 0; i < 1000; i++) {
        s += inb(0x61) & 0;
    }
    return s;
} // port I/O round trips (guest only)

const struct test cpu_tests[] = {
    {"cpu_rdtsc", 10, "kop/s", t_rdtsc},
    {"cpu_cpuid", 1, "kop/s", t_cpuid},
    {"cpu_pio", 1, "kop/s", t_pio, pio_ok},
    {0},
};
