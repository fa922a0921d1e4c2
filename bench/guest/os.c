/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a kernel does: system calls, faults, processes, signals, files. */
#include "bench/guest/bench.h"

static u64 t_getpid(void)
{
    for (int i = 0; i < 5000; i++) {
        syscall(SYS_getpid);
    }
    return 0;
}
static u64 t_rwnull(void)
{
    static int z = -1, n = -1;
    char b[16];
    if (z < 0) {
        z = open("/dev/zero", O_RDONLY);
        n = open("/dev/null", O_WRONLY);
        if (z < 0 || n < 0) {
            die("/dev");
        }
    }
    for (int i = 0; i < 1000; i++) {
        if (read(z, b, 16) != 16 || write(n, b, 16) != 16) {
            die("rw");
        }
    }
    return 0;
}
static u64 t_fork(void)
{
    for (int i = 0; i < 10; i++) {
        pid_t p = fork();
        if (!p) {
            _exit(7);
        }
        int s;
        if (p < 0 || waitpid(p, &s, 0) != p || WEXITSTATUS(s) != 7) {
            die("fork");
        }
    }
    return 0;
}
static u64 t_exec(void)
{
    for (int i = 0; i < 5; i++) {
        pid_t p = fork();
        if (!p) {
            char *av[] = {self, "--exit7", 0}, *ev[] = {0};
            execve(self, av, ev);
            _exit(1);
        }
        int s;
        if (p < 0 || waitpid(p, &s, 0) != p || WEXITSTATUS(s) != 7) {
            return 0xbad;
        }
    }
    return 0;
}
static u64 t_pgfault(void)
{
    size_t n = 4 << 20;
    u8 *p = mem(n);
    madvise(p, n, MADV_NOHUGEPAGE);
    for (size_t i = 0; i < n; i += 4096) {
        p[i] = 1;
    }
    munmap(p, n);
    return 0;
}
static u64 t_mprot(void)
{
    static u8 *p;
    if (!p) {
        p = mem(65536);
    }
    for (int i = 0; i < 200; i++) {
        mprotect(p, 65536, PROT_READ);
        mprotect(p, 65536, PROT_READ | PROT_WRITE);
        p[i * 256 & 65535] = i;
    }
    return 0;
}
static void pin(int c)
{
    cpu_set_t s;
    CPU_ZERO(&s);
    CPU_SET(c, &s);
    sched_setaffinity(0, sizeof s, &s);
}
static u64 pingpong(int rounds, int pinned)
{
    int a[2], b[2];
    char c = 1;
    if (pipe(a) || pipe(b)) {
        die("pipe");
    }
    cpu_set_t old;
    sched_getaffinity(0, sizeof old, &old);
    if (pinned) {
        pin(0);
    }
    pid_t p = fork();
    if (!p) {
        for (int i = 0; i < rounds; i++) {
            if (read(a[0], &c, 1) != 1 || write(b[1], &c, 1) != 1) {
                _exit(1);
            }
        }
        _exit(0);
    }
    for (int i = 0; i < rounds; i++) {
        if (write(a[1], &c, 1) != 1 || read(b[0], &c, 1) != 1) {
            die("pp");
        }
    }
    int s;
    waitpid(p, &s, 0);
    sched_setaffinity(0, sizeof old, &old);
    close(a[0]);
    close(a[1]);
    close(b[0]);
    close(b[1]);
    return s;
}
static u64 t_ctxsw(void)
{
    return pingpong(500, 1);
}
static u64 t_ctxsw2(void)
{
    return pingpong(500, 0);
}
static volatile sig_atomic_t nsig;
static void onsig(int s)
{
    nsig++;
    (void)s;
}
static u64 t_signal(void)
{
    signal(SIGUSR1, onsig);
    nsig = 0;
    for (int i = 0; i < 1000; i++) {
        raise(SIGUSR1);
    }
    return nsig;
}
static u8 *segv_page;
static void onsegv(int s, siginfo_t *si, void *u)
{
    (void)s;
    (void)u;
    nsig++;
    if (si->si_addr != segv_page) {
        _exit(99);
    }
    mprotect(segv_page, 4096, PROT_READ | PROT_WRITE);
}
static u64 t_segv(void)
{
    struct sigaction sa = {.sa_sigaction = onsegv, .sa_flags = SA_SIGINFO};
    sigaction(SIGSEGV, &sa, 0);
    nsig = 0;
    if (!segv_page) {
        segv_page = mem(4096);
    }
    for (int i = 0; i < 300; i++) {
        mprotect(segv_page, 4096, PROT_NONE);
        *(volatile u8 *)segv_page = i;
    }
    signal(SIGSEGV, SIG_DFL);
    return nsig;
}
static u64 t_tmpfile(void)
{
    char b[4096];
    memset(b, 'z', 4096);
    u64 h = 0;
    static char name[] = "/tmp/.bench.tmp", name2[] = "/.bench.tmp";
    char *n = name;
    int f = open(n, O_RDWR | O_CREAT | O_TRUNC, 0600);
    if (f < 0) {
        f = open(n = name2, O_RDWR | O_CREAT | O_TRUNC, 0600);
    }
    if (f < 0) {
        return 0xbad;
    }
    for (int i = 0; i < 256; i++) {
        if (write(f, b, 4096) != 4096) {
            return 0xbad;
        }
    }
    lseek(f, 0, 0);
    for (int i = 0; i < 256; i++) {
        if (read(f, b, 4096) != 4096) {
            return 0xbad;
        }
        h += b[i];
    }
    close(f);
    unlink(n);
    return h;
}
static u64 t_gettime(void)
{
    struct timespec t;
    for (int i = 0; i < 2000; i++) {
        clock_gettime(CLOCK_MONOTONIC, &t);
    }
    return 0;
}
static u64 t_thread(void) // create + join
{
    for (int i = 0; i < 20; i++) {
        pthread_t t;
        u64 a;
        (void)a;
        if (pthread_create(&t, 0, (void *(*)(void *))(void *)getpid, 0)) {
            return 0xbad;
        }
        pthread_join(t, 0);
    }
    return 0;
}

const struct test os_tests[] = {
    {"os_getpid", 5, "kcall/s", t_getpid},
    {"os_rwnull", 2, "kcall/s", t_rwnull},
    {"os_fork", 10, "fork/s", t_fork},
    {"os_forkexec", 5, "exec/s", t_exec},
    {"os_pgfault", 1.024, "kfault/s", t_pgfault},
    {"os_mprotect", .4, "kcall/s", t_mprot},
    {"os_ctxsw", 1, "kswitch/s", t_ctxsw},
    {"os_ctxsw_free", 1, "kswitch/s", t_ctxsw2},
    {"os_signal", 1, "ksig/s", t_signal},
    {"os_segv", .3, "ksig/s", t_segv},
    {"os_tmpfile", 2, "MiB/s", t_tmpfile},
    {"os_thread", 20, "create/s", t_thread},
    {"os_clock", 2, "kcall/s", t_gettime},
    {0},
};
