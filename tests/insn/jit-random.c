/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The translator against the interpreter and the host CPU: random sequences of instructions and
 * random state. What the translator computes must be what one of the other two computes, in every
 * register, flag and byte; insn-diff compares those two.
 *
 *     jit-random [--mode 64|32] [--seed S] [--seconds N] [--first I] [--count N] [--forms]
 *                [--loops] [--known]
 *
 * Sequence I of a seed is the same in every run: --first I --count 1 runs one that failed again.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tests/insn/sequence.h"

#define FLAGS_COMPARED 0xcd5u /* arithmetic and DF */
#define BATCH          256    /* sequences between two settings of the translator */

static gint64 option_seed = -1, option_first, option_count;
static int option_seconds = 20;
static int option_failures = 10;
static gboolean option_forms, option_loops, option_known, option_no_host;
static int option_mode = 64;

static const GOptionEntry options[] = {
    {"seed", 's', 0, G_OPTION_ARG_INT64, &option_seed, "seed (default: the time)", "S"},
    {"seconds", 't', 0, G_OPTION_ARG_INT, &option_seconds, "how long, 0: no limit (20)", "N"},
    {"first", 'i', 0, G_OPTION_ARG_INT64, &option_first, "number of the first sequence", "I"},
    {"count", 'c', 0, G_OPTION_ARG_INT64, &option_count, "how many, 0: no limit", "N"},
    {"failures", 'x', 0, G_OPTION_ARG_INT, &option_failures, "stop after so many (10)", "N"},
    {"forms", 'f', 0, G_OPTION_ARG_NONE, &option_forms, "every form once, in order, then end",
     NULL},
    {"loops", 'l', 0, G_OPTION_ARG_NONE, &option_loops, "loops of one block", NULL},
    {"known", 'k', 0, G_OPTION_ARG_NONE, &option_known, "those that once failed, then end", NULL},
    {"mode", 'm', 0, G_OPTION_ARG_INT, &option_mode, "64-bit or 32-bit code (64)", "BITS"},
    {"no-host", 0, 0, G_OPTION_ARG_NONE, &option_no_host, "against the interpreter only (gdb)",
     NULL},
    {NULL},
};

/* --- comparing ------------------------------------------------------------------------------ */

typedef struct Sides {
    const Sequence *seq;
    const InsnState *host, *interpreted; /* host: NULL if it cannot run this */
    const InsnState *start;
    GString *notes;
    bool itself;             /* sequence_is_itself() at the end */
} Sides;

static void note(Sides *sides, const char *name, uint64_t host, uint64_t want, uint64_t got)
{
    if (got == want || (sides->host && got == host)) {
        return;
    }
    g_string_append_printf(sides->notes,
                           "    %s: translated %" G_GINT64_MODIFIER "x, interpreted %"
                           G_GINT64_MODIFIER "x", name, got, want);
    if (sides->host) {
        g_string_append_printf(sides->notes, ", host %" G_GINT64_MODIFIER "x", host);
    }
    g_string_append_c(sides->notes, '\n');
}

/* @size bytes at @offset of the state, eight at a time. */
static void note_bytes(Sides *sides, const char *name, const InsnState *got, size_t offset,
                       size_t size)
{
    const char *host = sides->host ? (const char *)sides->host + offset : NULL;
    const char *want = (const char *)sides->interpreted + offset;
    const char *have = (const char *)got + offset;

    if (!memcmp(want, have, size) || (host && !memcmp(host, have, size))) {
        return;
    }
    for (size_t at = 0; at < size; at += 8) {
        uint64_t h = 0, w = 0, g = 0;
        size_t part = MIN(8, size - at);
        char text[48];

        g_snprintf(text, sizeof(text), "%s+%#zx", name, at);
        memcpy(&w, want + at, part);
        memcpy(&g, have + at, part);
        if (host) {
            memcpy(&h, host + at, part);
        }
        note(sides, text, h, w, g);
    }
}

#define NOTE(field)                                                                                \
    note(sides, #field, sides->host ? (uint64_t)sides->host->field : 0, sides->interpreted->field, \
         got->field)

static void compare_flags(Sides *sides, const InsnState *got, bool exact)
{
    uint32_t mask = FLAGS_COMPARED & ~sequence_undefined(sides->seq, got->rip);

    if ((got->vector >= 0 && !exact) || !sides->itself) {
        mask &= 0x400;
    }
    note(sides, "flags", sides->host ? sides->host->eflags & mask : 0,
         sides->interpreted->eflags & mask, got->eflags & mask);
}

static void compare(Sides *sides, const InsnState *got, bool exact)
{
    static const char *const names[16] = {"rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
                                          "r8",  "r9",  "r10", "r11", "r12", "r13", "r14", "r15"};

    NOTE(vector);
    NOTE(rip);
    NOTE(error);
    if (got->vector == 14) {
        NOTE(cr2);
    }
    for (unsigned i = 0; i < 16; i++) {
        note(sides, names[i], sides->host ? sides->host->gpr[i] : 0, sides->interpreted->gpr[i],
             got->gpr[i]);
    }
    compare_flags(sides, got, exact);
    NOTE(fcw);
    NOTE(fsw);
    NOTE(ftw);
    NOTE(fop);
    NOTE(fip);
    NOTE(fdp);
    NOTE(mxcsr);
    note_bytes(sides, "st", got, offsetof(InsnState, st), sizeof(got->st));
    note_bytes(sides, "vec", got, offsetof(InsnState, vec), sizeof(got->vec));
    note_bytes(sides, "opmask", got, offsetof(InsnState, opmask), sizeof(got->opmask));
    note_bytes(sides, "data", got, offsetof(InsnState, data), sizeof(got->data));
}

/* Sequences may write over their own code. */
static void compare_code(Sides *sides, const uint8_t *want, const uint8_t *got)
{
    if (memcmp(want, got, CODE_SIZE) &&
        !(sides->host && !memcmp(native_code(), got, CODE_SIZE))) {
        g_string_append(sides->notes, "    what was written over the code\n");
    }
}

static void print_end(const char *side, const InsnState *state)
{
    printf("    %s: ends at %08" G_GINT64_MODIFIER "x, vector %d, flags %x\n", side, state->rip,
           state->vector, state->eflags);
}

/* --- running -------------------------------------------------------------------------------- */

/*
 * False if host and interpreter disagree on what overwrote itself: it may have become RDRAND, or an
 * instruction behind which registers are undefined.
 */
static bool oracles_agree(Sides sides, bool exact)
{
    g_autoptr(GString) notes = g_string_new(NULL);
    const InsnState *host = sides.host;

    sides.host = NULL;
    sides.notes = notes;
    compare(&sides, host, exact);
    return notes->len == 0;
}

static bool run_one(Sequence *seq, int64_t number, bool exact)
{
    static InsnState host, interpreted, first, second;
    static uint8_t code[CODE_SIZE], got[CODE_SIZE];
    g_autoptr(GString) notes = g_string_new(NULL);
    Sides sides = {seq, NULL, &interpreted, &seq->test.state, notes};

    guest_run_sequence(&seq->test, &interpreted);
    if (interpreted.vector == VECTOR_ENDLESS) {
        return true; /* computed jumps made a loop */
    }
    guest_save_code(code);
    sides.itself = sequence_is_itself(seq, code);
    seq->native &= !option_no_host;
    if (seq->native) {
        sides.host = &host;
        native_run(&seq->test, &host);
        if (!sides.itself && !oracles_agree(sides, exact)) {
            return true;
        }
    }
    guest_translate_sequence(&seq->test, &first, &second);
    if (!sides.itself && !seq->native && !test_host_is_intel()) {
        return true; /* it may have branched on flags that are undefined, and differ there */
    }
    compare(&sides, &first, exact);
    guest_save_code(got);
    compare_code(&sides, code, got);
    if (notes->len == 0) {
        compare(&sides, &second, exact);
        if (notes->len) {
            g_string_prepend(notes, "    the second time:\n");
        }
    }
    if (notes->len) {
        printf("sequence %" G_GINT64_FORMAT " of seed %" G_GINT64_FORMAT ":\n", number,
               option_seed);
        sequence_print(seq);
        printf("%s", notes->str);
        print_end("interpreted", &interpreted);
        print_end("translated", &first);
        print_end("translated, again", &second);
    }
    return notes->len == 0;
}

/*
 * Sequences that showed a mistake. A change of what makes them turns them into others: then they
 * are only some more.
 */
static const struct {
    int64_t seed, number;
    bool forms;
} known[] = {
    {1795403094, 10586, true}, /* indices for VSCATTERQPS went where no register is (cases.c) */
};

/* How the translator works for the batch of sequence @number. */
static bool set_jit(int64_t number)
{
    int64_t batch = number / BATCH;

    guest_set_jit(batch & 1, batch % 3 == 2, batch % 8 == 7, batch % 4 >= 2);
    return batch & 1;
}

/* Sequence @number of the seed: as random as any, or with its form among @forms. */
static bool run_number(GPtrArray *forms, bool in_order, int64_t number, bool exact)
{
    static Sequence seq;
    Random random = {option_seed * 0x9e3779b97f4a7c15ull + number};
    const Form *wanted = in_order ? g_ptr_array_index(forms, number % forms->len) : NULL;

    random_next(&random);
    if (option_loops) {
        sequence_make_loop(&seq, &random);
        return run_one(&seq, number, exact);
    }
    sequence_make(&seq, wanted, 2 + random_below(&random, 19), number / BATCH % 8 == 6, &random);
    return run_one(&seq, number, exact);
}

static int64_t run_known(GPtrArray *forms)
{
    int64_t failed = 0;

    for (unsigned i = 0; i < G_N_ELEMENTS(known); i++) {
        option_seed = known[i].seed;
        failed += !run_number(forms, known[i].forms, known[i].number, set_jit(known[i].number));
    }
    printf("%zu known sequences, %" G_GINT64_FORMAT " differ\n", G_N_ELEMENTS(known), failed);
    return failed;
}

static void print_state(int64_t number, int64_t failed)
{
    printf("seed %" G_GINT64_FORMAT ": %" G_GINT64_FORMAT " sequences from %" G_GINT64_FORMAT
           ", %" G_GINT64_FORMAT " differ; the next is --first %" G_GINT64_FORMAT "\n",
           option_seed, number - option_first, option_first, failed, number);
}

/* Says once a minute how far it is, so that a run that is stopped can be gone on with. */
static void print_progress(int64_t number, int64_t failed)
{
    static time_t next;
    time_t now = time(NULL);

    if (next && now >= next) {
        print_state(number, failed);
    }
    if (now >= next) {
        next = now + 60;
    }
}

static int64_t run_all(GPtrArray *forms)
{
    int64_t end = option_count ? option_first + option_count : INT64_MAX, number, failed = 0;
    time_t until = time(NULL) + option_seconds;
    bool exact = false;

    if (option_forms && !option_count) {
        end = option_first + forms->len;
    }
    for (number = option_first; number < end && failed < option_failures; number++) {
        if (number % BATCH == 0 || number == option_first) {
            exact = set_jit(number);
            print_progress(number, failed);
            if (!option_forms && !option_count && option_seconds && time(NULL) >= until) {
                break;
            }
        }
        failed += !run_number(forms, option_forms, number, exact);
    }
    print_state(number, failed);
    return failed;
}

int main(int argc, char **argv)
{
    GPtrArray *forms;
    int64_t failed;

    if (!test_options(&argc, &argv, options, &option_seed)) {
        return 2;
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (!option_no_host && !native_init()) {
        return 1;
    }
    forms = forms_enumerate(option_mode == 32 ? TEST_32 : TEST_64);
    sequence_init(forms);
    guest_init();
    failed = option_known ? run_known(forms) : run_all(forms);
    guest_end();
    return failed != 0;
}
