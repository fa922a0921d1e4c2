/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Repeated string instructions over many elements, run by the host CPU and by the interpreter:
 * overlaps of every kind, both directions, page crossings, faults in the middle, comparisons that
 * end early, pages that are watched. (Segments and devices: tests/unit/target-i386/test-string.c.)
 */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "tests/insn/insn-test.h"

enum { FLAGS = 0xcd5, TRIES = 4, DEFAULT_CASES = 20000 };
enum { PREFIX_REPNE = 0xf2, PREFIX_REP = 0xf3 };
enum { REG_AX = 0, REG_CX = 1, REG_SI = 6, REG_DI = 7 };
enum { OP_MOVS = 0xa4, OP_CMPS = 0xa6, OP_STOS = 0xaa, OP_LODS = 0xac, OP_SCAS = 0xae };

static gint64 option_seed = -1;
static gint option_count = DEFAULT_CASES;

static const GOptionEntry options[] = {
    {"seed", 's', 0, G_OPTION_ARG_INT64, &option_seed, "seed (default: the time)", "N"},
    {"count", 'c', 0, G_OPTION_ARG_INT, &option_count, "cases", "N"},
    {0},
};

typedef struct StringCase {
    unsigned opcode, size, prefix;
    bool short_address; /* 32-bit addresses in 64-bit code */
    bool watched;
} StringCase;

static bool compares(const StringCase *string)
{
    return string->opcode == OP_CMPS || string->opcode == OP_SCAS;
}

static void make_bytes(InsnCase *test, const StringCase *string)
{
    unsigned n = 0;

    if (string->size == 2) {
        test->bytes[n++] = 0x66;
    }
    if (string->short_address) {
        test->bytes[n++] = 0x67;
    }
    if (string->prefix) {
        test->bytes[n++] = string->prefix;
    }
    if (string->size == 8) {
        test->bytes[n++] = 0x48;
    }
    test->bytes[n++] = string->opcode + (string->size > 1);
    test->len = n;
}

static void make_string(StringCase *string, InsnCase *test, Random *random)
{
    static const uint8_t opcodes[] = {OP_MOVS, OP_MOVS, OP_CMPS, OP_STOS, OP_LODS, OP_SCAS};

    memset(test, 0, sizeof(*test));
    test->mode = random_below(random, 2) ? TEST_64 : TEST_32;
    string->opcode = opcodes[random_below(random, G_N_ELEMENTS(opcodes))];
    string->size = 1u << random_below(random, test->mode == TEST_64 ? 4 : 3);
    string->prefix = random_below(random, 2) ? PREFIX_REP : PREFIX_REPNE;
    if (random_below(random, 16) == 0) {
        string->prefix = 0;
    }
    string->short_address = test->mode == TEST_64 && random_below(random, 4) == 0;
    string->watched = random_below(random, 3) == 0;
    test->rip = CODE_VA + 64 + random_below(random, 64);
    make_bytes(test, string);
}

/* Mostly one value, so that comparisons go on for a while. */
static void make_data(InsnCase *test, const StringCase *string, Random *random)
{
    InsnState *state = &test->state;

    if (!compares(string)) {
        for (unsigned i = 0; i < DATA_SIZE; i += 8) {
            uint64_t value = random_next(random);

            memcpy(state->data + i, &value, 8);
        }
        return;
    }
    memset(state->data, 0x5a, DATA_SIZE);
    for (unsigned spots = random_below(random, 12); spots; spots--) {
        state->data[random_below(random, DATA_SIZE)] = random_next(random);
    }
    state->gpr[REG_AX] = random_below(random, 4) ? 0x5a5a5a5a5a5a5a5a : random_next(random);
    if (string->prefix == PREFIX_REPNE && random_below(random, 4)) {
        unsigned at = random_below(random, DATA_SIZE - 8);

        state->gpr[REG_AX] = random_next(random);
        memcpy(state->data + at, &state->gpr[REG_AX], 8);
    }
    if (string->opcode == OP_CMPS && string->prefix == PREFIX_REPNE) {
        for (unsigned i = DATA_SIZE / 2; i < DATA_SIZE; i++) {
            state->data[i] = random_below(random, 512) ? 0xa5 : 0x5a;
        }
    }
}

/* Anywhere in the data and a little around it; destinations also close to the source. */
static void make_registers(InsnCase *test, const StringCase *string, Random *random)
{
    InsnState *state = &test->state;
    uint64_t si = DATA_VA - 16 + random_below(random, DATA_SIZE + 32);
    uint64_t di = DATA_VA - 16 + random_below(random, DATA_SIZE + 32);
    unsigned bits = random_below(random, 13);

    switch (random_below(random, 4)) {
    case 0:
        di = si + random_below(random, 33) - 16;
        break;
    case 1:
        di = si + ((int)random_below(random, 65) - 32) * (int)string->size;
        break;
    default:
        break;
    }
    state->gpr[REG_SI] = si;
    state->gpr[REG_DI] = di;
    state->gpr[REG_CX] = random_below(random, (1u << bits) + 1);
    if (string->short_address) {
        state->gpr[REG_CX] |= random_next(random) << 32;
        state->gpr[REG_SI] |= random_next(random) << 32;
        state->gpr[REG_DI] |= random_next(random) << 32;
    }
    state->eflags = 0x202 | (random_next(random) & FLAGS);
}

static void make_state(InsnCase *test, const StringCase *string, Random *random)
{
    InsnState *state = &test->state;

    state->rip = test->rip;
    state->fcw = 0x37f;
    state->mxcsr = 0x1f80;
    state->vector = -1;
    state->gpr[REG_AX] = random_next(random);
    make_data(test, string, random);
    make_registers(test, string, random);
    for (unsigned i = 0; i < 16 && test->mode == TEST_32; i++) {
        state->gpr[i] = (uint32_t)state->gpr[i];
    }
}

/*
 * Where other makers' CPUs differ from Intel's: a comparison that faults leaves the flags of the
 * elements that it compared, 32-bit addresses and counts that have not moved keep the upper half of
 * their registers, and of two operands that fault CMPS reports the other.
 */
static void as_intel(const InsnCase *test, const StringCase *string, InsnState *host,
                     const InsnState *interpreted)
{
    if (compares(string) && host->vector >= 0) {
        host->eflags = (host->eflags & ~FLAGS) | (test->state.eflags & FLAGS);
    }
    if (string->opcode == OP_CMPS && host->vector == 14 && interpreted->vector == 14 &&
        host->cr2 == host->gpr[REG_SI] && interpreted->cr2 == host->gpr[REG_DI]) {
        host->cr2 = interpreted->cr2;
    }
    for (unsigned i = 0; string->short_address && i < G_N_ELEMENTS(host->gpr); i++) {
        if (host->gpr[i] == test->state.gpr[i] &&
            (uint32_t)interpreted->gpr[i] == interpreted->gpr[i]) {
            host->gpr[i] = (uint32_t)host->gpr[i];
        }
    }
}

static bool same(const InsnState *want, const InsnState *got)
{
    return want->vector == got->vector && want->rip == got->rip &&
           !((want->eflags ^ got->eflags) & FLAGS) &&
           !memcmp(want->gpr, got->gpr, sizeof(want->gpr)) &&
           !memcmp(want->data, got->data, DATA_SIZE) &&
           (want->vector != 14 || (want->cr2 == got->cr2 && want->error == got->error));
}

static void print_state(const char *name, const InsnState *state)
{
    printf("  %s: rip %" G_GINT64_MODIFIER "x vector %d cr2 %" G_GINT64_MODIFIER "x error %x flags "
           "%x rax %" G_GINT64_MODIFIER "x rcx %" G_GINT64_MODIFIER "x rsi %" G_GINT64_MODIFIER
           "x rdi %" G_GINT64_MODIFIER "x\n", name, state->rip, state->vector, state->cr2,
           state->error, state->eflags & FLAGS, state->gpr[REG_AX], state->gpr[REG_CX],
           state->gpr[REG_SI], state->gpr[REG_DI]);
}

static void print_difference(const InsnCase *test, const InsnState *want, const InsnState *got)
{
    printf("%s-bit code, bytes", test->mode == TEST_64 ? "64" : "32");
    for (unsigned i = 0; i < test->len; i++) {
        printf(" %02x", test->bytes[i]);
    }
    printf("\n");
    print_state("before", &test->state);
    print_state("host", want);
    print_state("interpreter", got);
    for (unsigned i = 0, noted = 0; i < DATA_SIZE && noted < 8; i++) {
        if (want->data[i] != got->data[i]) {
            printf("  [%x]: host %02x, interpreter %02x\n", DATA_VA + i, want->data[i],
                   got->data[i]);
            noted++;
        }
    }
}

/* A page that changed has told its watchers. */
static bool watchers_know(const InsnCase *test, const InsnState *got)
{
    for (unsigned page = 0; page < DATA_SIZE >> 12; page++) {
        if (memcmp(test->state.data + page * 0x1000, got->data + page * 0x1000, 0x1000) &&
            guest_page_watched(page)) {
            printf("page %u was written and is watched still\n", page);
            return false;
        }
    }
    return true;
}

/*
 * An interrupt of the host in a comparison that faults later shows in the flags: a few tries. Adds
 * to @faults if it faulted.
 */
static bool run_case(const InsnCase *test, const StringCase *string, unsigned *faults)
{
    static InsnState want, got;

    guest_watch_data(string->watched);
    guest_run(test, &got);
    *faults += got.vector >= 0;
    for (unsigned i = 0; i < TRIES; i++) {
        native_run(test, &want);
        if (!test_host_is_intel()) {
            as_intel(test, string, &want, &got);
        }
        if (same(&want, &got)) {
            return watchers_know(test, &got);
        }
    }
    print_difference(test, &want, &got);
    return false;
}

int main(int argc, char **argv)
{
    GOptionContext *context = g_option_context_new(NULL);
    static InsnCase test;
    unsigned bad = 0, faults = 0;
    Random random;

    g_option_context_add_main_entries(context, options, NULL);
    if (!g_option_context_parse(context, &argc, &argv, NULL)) {
        fprintf(stderr, "unknown option\n");
        return 2;
    }
    g_option_context_free(context);
    random.state = option_seed < 0 ? time(NULL) : option_seed;
    printf("seed %" G_GINT64_MODIFIER "u\n", random.state);
    if (!native_init()) {
        return 1;
    }
    guest_init();
    for (int i = 0; i < option_count && bad < 10; i++) {
        StringCase string;

        make_string(&string, &test, &random);
        make_state(&test, &string, &random);
        bad += !run_case(&test, &string, &faults);
    }
    guest_end();
    printf("%d cases, %u of them faults; %u differ\n", option_count, faults, bad);
    return bad != 0;
}
