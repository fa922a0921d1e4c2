/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Runs random sequences of x87 and MMX instructions translated and in the interpreter (which
 * insn-diff compares with the host) and compares the whole state behind them, or at the fault.
 */
#include <setjmp.h>
#include <stdio.h>
#include <string.h>

#include "accel/tcg/jit.h"
#include "target-i386/interp/interp.h"
#include "tests/insn/insn-test.h"

#define SEQUENCE_MAX 12
#define VECTOR_UD    6

static gint64 option_seed = -1;
static int option_count = 20000;

static const GOptionEntry options[] = {
    {"seed", 's', 0, G_OPTION_ARG_INT64, &option_seed, "seed (default: the time)", "N"},
    {"count", 'c', 0, G_OPTION_ARG_INT, &option_count, "sequences", "N"},
    {NULL},
};

typedef struct Sequence {
    InsnCase test;  /* of the first instruction: its state is the beginning */
    uint8_t bytes[SEQUENCE_MAX * 15 + 2];
    unsigned len;
} Sequence;

/* --- making -------------------------------------------------------------------------- */

static bool names_mmx(const InsnCase *test)
{
    for (unsigned i = 0; i < test->zi.operand_count; i++) {
        if (test->ops[i].type == ZYDIS_OPERAND_TYPE_REGISTER &&
            ZydisRegisterGetClass(test->ops[i].reg.value) == ZYDIS_REGCLASS_MMX) {
            return true;
        }
    }
    return false;
}

static bool concerns(const InsnCase *test)
{
    switch (test->zi.meta.category) {
    case ZYDIS_CATEGORY_X87_ALU:
    case ZYDIS_CATEGORY_FCMOV:
    case ZYDIS_CATEGORY_MMX:
        return true;
    default:
        return names_mmx(test) || test->zi.mnemonic == ZYDIS_MNEMONIC_CVTPI2PS ||
               test->zi.mnemonic == ZYDIS_MNEMONIC_CVTPI2PD ||
               test->zi.mnemonic == ZYDIS_MNEMONIC_CVTSS2SI ||
               test->zi.mnemonic == ZYDIS_MNEMONIC_CVTTSD2SI ||
               test->zi.mnemonic == ZYDIS_MNEMONIC_ADD || test->zi.mnemonic == ZYDIS_MNEMONIC_SETB;
    }
}

/* Opcode and operands of memory at what case_make_state() makes addresses, or registers. */
static unsigned random_bytes(uint8_t *out, Random *random)
{
    static const uint8_t prefixes[] = {0x66, 0xf2, 0xf3};
    static const uint8_t bases[] = {3, 5, 6, 7}; /* rbx, rbp, rsi, rdi */
    uint8_t random_byte = random_next(random);
    unsigned n = 0;

    switch (random_below(random, 8)) {
    case 0: case 1: case 2: case 3:
        out[n++] = 0xd8 | (random_byte & 7);
        break;
    case 4:
        out[n++] = prefixes[random_below(random, 3)];
        out[n++] = 0x0f;
        out[n++] = random_byte;
        break;
    case 5:
        out[n++] = 0x0f;
        out[n++] = 0x38;
        out[n++] = random_byte & 31;
        break;
    case 6:
        out[n++] = 0x03; /* add: flags */
        break;
    default:
        out[n++] = 0x0f;
        out[n++] = random_byte;
        break;
    }
    if (random_below(random, 2)) {
        out[n++] = random_next(random) | 0xc0;
    } else {
        out[n++] = 0x40 | (random_next(random) & 0x38) | bases[random_below(random, 4)];
        out[n++] = random_next(random);
    }
    out[n] = random_next(random); /* an immediate, if there is one */
    return n + 1;
}

/* A random instruction of those that are concerned. */
static void make_insn(InsnCase *test, Random *random)
{
    static const Form form = {.key = (char *)"x87"};

    memset(test, 0, sizeof(*test));
    test->mode = TEST_64;
    test->form = &form;
    test->rip = CODE_VA + 0x100;
    do {
        test->len = random_bytes(test->bytes, random);
    } while (!ZYAN_SUCCESS(ZydisDecoderDecodeFull(form_decoder(TEST_64), test->bytes, test->len,
                                                  &test->zi, test->ops)) || !concerns(test));
    test->len = test->zi.length;
}

static void make_sequence(Sequence *sequence, Random *random)
{
    static const uint8_t ud2[] = {0x0f, 0x0b};
    unsigned count = 1 + random_below(random, SEQUENCE_MAX);

    sequence->len = 0;
    for (unsigned i = 0; i < count; i++) {
        static InsnCase other;
        InsnCase *test = i ? &other : &sequence->test;

        make_insn(test, random);
        memcpy(sequence->bytes + sequence->len, test->bytes, test->len);
        sequence->len += test->len;
    }
    memcpy(sequence->bytes + sequence->len, ud2, sizeof(ud2));
    sequence->len += sizeof(ud2);
    case_make_state(&sequence->test, random);
    if (random_below(random, 2)) { /* registers that are valid: fewer invalid operations */
        sequence->test.state.ftw = 0xff >> random_below(random, 4);
    }
}

/* --- running ----------------------------------------------------------------------------- */

static void run_interpreted(const Sequence *sequence, InsnState *out)
{
    guest_prepare(&sequence->test, sequence->bytes, sequence->len);
    while (interp_step(guest_cpu())) {
    }
    guest_finish(&sequence->test, out, true);
}

/* False if there was no translated code to run; @raised: an exception ended it. */
static bool translated_stretch(X86CPU *cpu, bool *raised)
{
    *raised = false;
    cpu->exception.vector = -1;
    cpu->jit.poll = 0; /* guest_prepare() did what it asks for */
    if (sigsetjmp(cpu->run_jump, 0)) {
        *raised = cpu->exception.vector >= 0;
        return true;
    }
    return jit_run(cpu, code_find(cpu, code_jump_entries(cpu->code)));
}

static void run_translated(const Sequence *sequence, InsnState *out)
{
    X86CPU *cpu = guest_cpu();
    bool raised = false;

    guest_prepare(&sequence->test, sequence->bytes, sequence->len);
    while (!raised) {
        if (!translated_stretch(cpu, &raised)) {
            raised = !interp_step(cpu);
        }
    }
    guest_finish(&sequence->test, out, true);
}

/* --- comparing ------------------------------------------------------------------------ */

#define COMPARE(field)                                                                   \
    if (memcmp(&want->field, &got->field, sizeof(want->field))) {                        \
        g_string_append(notes, "    " #field "\n");                                      \
    }

static void note_x87(GString *notes, const char *name, const InsnState *s)
{
    g_string_append_printf(notes, "    %s fcw %x fsw %x ftw %x fip %" G_GINT64_MODIFIER "x"
                           " rip %" G_GINT64_MODIFIER "x vector %d\n", name, s->fcw, s->fsw, s->ftw,
                           s->fip, s->rip, s->vector);
}

/* Other hosts than Intel's keep data pointer and opcode by rules of their own. */
static void compare(const InsnState *want, const InsnState *got, GString *notes)
{
    COMPARE(gpr)
    COMPARE(rip)
    COMPARE(eflags)
    COMPARE(fcw)
    COMPARE(fsw)
    COMPARE(ftw)
    COMPARE(fip)
    if (__builtin_cpu_is("intel")) {
        COMPARE(fop)
        COMPARE(fdp)
    }
    COMPARE(mxcsr)
    COMPARE(st)
    COMPARE(vec)
    COMPARE(opmask)
    COMPARE(data)
    COMPARE(vector)
    COMPARE(cr2)
    COMPARE(error)
    if (notes->len) {
        note_x87(notes, "interpreted", want);
        note_x87(notes, "translated ", got);
    }
}

static void print_sequence(const Sequence *sequence, const GString *notes)
{
    const InsnState *s = &sequence->test.state;
    unsigned at = 0;

    printf("fcw %x fsw %x ftw %x\n", s->fcw, s->fsw, s->ftw);
    while (at < sequence->len) {
        ZydisDisassembledInstruction insn;

        if (!ZYAN_SUCCESS(ZydisDisassembleIntel(ZYDIS_MACHINE_MODE_LONG_64,
                                                sequence->test.rip + at, sequence->bytes + at,
                                                sequence->len - at, &insn))) {
            break;
        }
        printf("  %" G_GINT64_MODIFIER "x %s\n", sequence->test.rip + at, insn.text);
        at += insn.info.length;
    }
    fputs(notes->str, stdout);
}

static uint64_t fallbacks(const Jit *jit)
{
    uint64_t sum = 0;

    /* UD2, the end of all, counts as no instruction. */
    for (unsigned i = ZYDIS_MNEMONIC_INVALID + 1; i <= ZYDIS_MNEMONIC_MAX_VALUE; i++) {
        sum += i == ZYDIS_MNEMONIC_UD2 ? 0 : jit->stats.fallbacks[i];
    }
    return sum;
}

typedef struct Tally {
    unsigned native, faults, differ;
} Tally;

static Tally run_all(Jit *jit)
{
    static InsnState want, got;
    static Sequence sequence;
    Random random = {option_seed};
    Tally tally = {0};

    for (int i = 0; i < option_count; i++) {
        GString *notes = g_string_new(NULL);
        uint64_t before = fallbacks(jit), entries = jit->stats.entries;

        make_sequence(&sequence, &random);
        run_interpreted(&sequence, &want);
        run_translated(&sequence, &got);
        compare(&want, &got, notes);
        tally.native += fallbacks(jit) == before && jit->stats.entries > entries;
        tally.faults += want.vector != VECTOR_UD;
        if (notes->len && tally.differ++ < 10) {
            print_sequence(&sequence, notes);
        }
        g_string_free(notes, TRUE);
    }
    printf("%d sequences, %u all native, %u faults; %u differ\n", option_count, tally.native,
           tally.faults, tally.differ);
    return tally;
}

int main(int argc, char **argv)
{
    JitOptions jit_options = {.code_size = 16 << 20};
    GError *error = NULL;
    Tally tally;
    Jit *jit;

    if (!test_options(&argc, &argv, options, &option_seed)) {
        return 2;
    }
    printf("seed %" G_GINT64_FORMAT "\n", option_seed);
    guest_init();
    jit = jit_new(guest_cpu(), &jit_options, &error);
    if (!jit) {
        g_error("%s", error->message);
    }
    jit->threshold = 0;
    jit->exact = true;
    tally = run_all(jit);
    jit_free(jit);
    guest_end();
    return tally.differ != 0 || tally.native < (unsigned)option_count / 8;
}
