/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A small CPU and OS benchmark for judging an x86-64 emulator: one static binary, nothing but libc.
 * Every test is a chunk of fixed, deterministic work. One warm-up chunk's checksum is compared with
 * expected.h, then chunks are repeated until at least T seconds have passed. Output, a line a test:
 *     name seconds score unit chunks checksum verdict cpu=SECONDS
 * score = units of work per second (higher is better).
 */
#include "bench/guest/bench.h"

enum { MAX_PATTERNS = 64 };

struct options {
    double seconds;  /* least duration of a test */
    long chunks;     /* instead of a duration, if not 0 */
    bool generate;   /* print rows for expected.h */
    bool list;       /* print names only */
    bool in_process; /* no child process a test */
    char *patterns[MAX_PATTERNS];
    int pattern_count;
};

static const struct test *const tables[] = {
    integer_tests, branch_tests, memory_tests, float_tests,  simd_tests,
    os_tests,      cpu_tests,    jit_tests,    thread_tests, 0,
};

static const struct {
    const char *name;
    u64 sum;
} expected[] = {
#include "bench/guest/expected.h"
    {0, 0},
};

char *self;

static int usage(void)
{
    fprintf(stderr, "usage: bench [-t seconds] [-n chunks] [-e self] [-g] [-l] [-F] "
                    "[name-prefix...]\n");
    return 2;
}

static bool parse(int argc, char **argv, struct options *options)
{
    for (int i = 1; i < argc; i++) {
        bool has_value = i + 1 < argc;
        if (!strcmp(argv[i], "-t") && has_value) {
            options->seconds = atof(argv[++i]);
        } else if (!strcmp(argv[i], "-n") && has_value) {
            options->chunks = atol(argv[++i]);
        } else if (!strcmp(argv[i], "-e") && has_value) {
            self = argv[++i];
        } else if (!strcmp(argv[i], "-g")) {
            options->generate = true;
        } else if (!strcmp(argv[i], "-l")) {
            options->list = true;
        } else if (!strcmp(argv[i], "-F")) {
            options->in_process = true;
        } else if (argv[i][0] == '-') {
            return false;
        } else if (options->pattern_count < MAX_PATTERNS) {
            options->patterns[options->pattern_count++] = argv[i];
        }
    }
    return true;
}

static bool chosen(const struct options *options, const struct test *test)
{
    for (int k = 0; k < options->pattern_count; k++) {
        if (!strncmp(test->name, options->patterns[k], strlen(options->patterns[k]))) {
            return true;
        }
    }
    return options->pattern_count == 0;
}

static const char *verdict(const struct test *test, u64 sum)
{
    for (int k = 0; expected[k].name; k++) {
        if (!strcmp(expected[k].name, test->name)) {
            return expected[k].sum == sum ? "ok" : "WRONG";
        }
    }
    return "unverified";
}

/* Runs one test to its line of output; returns whether its result was wrong. */
static bool measure(const struct options *options, const struct test *test)
{
    u64 sum = test->fn();
    if (options->generate) {
        if (!test->unverified) {
            printf("{\"%s\", 0x%llxull},\n", test->name, (unsigned long long)sum);
        }
        fflush(stdout);
        return false;
    }
    const char *result = verdict(test, sum);
    long n = 0;
    double cpu = cputime(), begin = now(), end;
    do {
        test->fn();
        n++;
        end = now();
    } while (options->chunks ? n < options->chunks : end - begin < options->seconds);
    printf("%-14s %.4f %.5g %s %ld %llx %s cpu=%.4f\n", test->name, end - begin,
           n * test->units / (end - begin), test->unit, n, (unsigned long long)sum, result,
           cputime() - cpu);
    fflush(stdout);
    return !strcmp(result, "WRONG");
}

/* A child per test: memory that one test maps cannot slow the next one's fork(). */
static bool measure_in_child(const struct options *options, const struct test *test)
{
    int status = 0;
    fflush(stdout);
    pid_t pid = fork();
    if (pid < 0) {
        die("fork");
    }
    if (pid == 0) {
        _exit(measure(options, test));
    }
    if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status)) {
        printf("%-14s - - CRASH status %x\n", test->name, status);
        fflush(stdout);
        return true;
    }
    return WEXITSTATUS(status) != 0;
}

static bool run(const struct options *options, const struct test *test)
{
    if (options->list) {
        puts(test->name);
        return false;
    }
    if (test->available && !test->available()) {
        if (!options->generate) {
            printf("%-14s - - skip\n", test->name);
            fflush(stdout);
        }
        return false;
    }
    return options->in_process ? measure(options, test) : measure_in_child(options, test);
}

int main(int argc, char **argv)
{
    struct options options = {.seconds = .5};
    bool wrong = false, any = false;

    if (argc > 1 && !strcmp(argv[1], "--exit7")) { /* os_forkexec executes this */
        return 7;
    }
    self = argv[0][0] == '/' ? argv[0] : realpath("/proc/self/exe", 0);
    if (!parse(argc, argv, &options)) {
        return usage();
    }
    for (const struct test *const *table = tables; *table; table++) {
        for (const struct test *test = *table; test->name; test++) {
            if (chosen(&options, test)) {
                any = true;
                wrong |= run(&options, test);
            }
        }
    }
    if (!any) {
        fprintf(stderr, "bench: no such test\n");
        return 2;
    }
    if (!options.list && !options.generate) {
        printf("bench-done %s\n", wrong ? "WRONG-RESULTS" : "all-ok");
    }
    return wrong;
}
