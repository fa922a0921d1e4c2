/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Random sequences of 16- and 32-bit code with segments that are not flat, translated and in the
 * interpreter: bases, limits, null, read-only and expand-down segments, stack pointers of 16 and 32
 * bits, both address and operand sizes. The whole state is compared behind them, or at the fault.
 * With --forms each form of 32-bit code is in one sequence at least of each size of code: what
 * prefixes make of its bytes in 16-bit code is another form.
 */
#include <setjmp.h>
#include <stdio.h>
#include <string.h>

#include "accel/tcg/jit.h"
#include "target-i386/interp/interp.h"
#include "tests/insn/insn-test.h"

#define SEQUENCE_MAX 10
#define STEPS_MAX    500
#define CODE_OFFSET  0x100
#define BATCH        500

static gint64 option_seed = -1;
static int option_count = 30000;
static gboolean option_forms;

static const GOptionEntry options[] = {
    {"seed", 's', 0, G_OPTION_ARG_INT64, &option_seed, "seed (default: the time)", "N"},
    {"count", 'c', 0, G_OPTION_ARG_INT, &option_count, "sequences", "N"},
    {"forms", 'f', 0, G_OPTION_ARG_NONE, &option_forms, "with every form, twice", NULL},
    {NULL},
};

typedef struct Sequence {
    InsnCase test;              /* its state is the beginning */
    bool code16, stack16;
    X86Segment segments[6];
    uint8_t bytes[SEQUENCE_MAX * 15 + 2];
    unsigned len;
} Sequence;

/* --- making -------------------------------------------------------------------------- */

static uint8_t random_opcode(Random *random, bool *second_map)
{
    static const uint8_t one[] = {
        0x60, 0x61, 0x68, 0x69, 0x6a, 0x6b, 0x80, 0x81, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89,
        0x8a, 0x8b, 0x8c, 0x8d, 0x8e, 0x8f, 0x98, 0x99, 0xa0, 0xa1, 0xa2, 0xa3, 0xa4, 0xa5, 0xaa,
        0xab, 0xac, 0xad, 0xc2, 0xc3, 0xc6, 0xc7, 0xc8, 0xc9, 0xe2, 0xe3, 0xe8, 0xeb, 0xf7, 0xfe,
        0xff, 0xff, 0x82, 0x9c, 0x06, 0x16, 0xa6, 0xae, 0xaf,
    };
    static const uint8_t two[] = {0xb6, 0xb7, 0xbe, 0xbf, 0xa3, 0xba, 0x44, 0x4f, 0x94, 0xaf,
                                  0xc1, 0xb1, 0xc8, 0x10, 0x11, 0x6e, 0x7e, 0x1f};
    unsigned kind = random_below(random, 16);

    *second_map = kind < 2;
    switch (kind) {
    case 0: case 1:
        return two[random_below(random, sizeof(two))];
    case 2: case 3: /* ADD to CMP */
        return random_below(random, 8) << 3 | random_below(random, 6);
    case 4: case 5: case 6: /* INC to POP */
        return 0x40 | random_below(random, 32);
    case 7: case 8: case 9: /* MOV, and with a constant */
        return random_below(random, 2) ? 0x88 | random_below(random, 4)
                                       : 0xb0 | random_below(random, 16);
    case 10:
        return 0x70 | random_below(random, 16);
    default:
        return one[random_below(random, sizeof(one))];
    }
}

/*
 * What prefixes make another instruction of, not another operand size: MOVBE, CRC32, ADCX, ADOX,
 * POPCNT, TZCNT, LZCNT, BSF and BSR. */
static unsigned random_by_prefix(uint8_t *out, Random *random)
{
    static const uint8_t two[] = {0xb8, 0xbc, 0xbd}, three[] = {0xf0, 0xf1, 0xf6};
    unsigned n = 0, prefix = random_below(random, 3);

    if (prefix) {
        out[n++] = 0xf1 + prefix;
    }
    out[n++] = 0x0f;
    if (random_below(random, 2)) {
        out[n++] = two[random_below(random, sizeof(two))];
    } else {
        out[n++] = 0x38;
        out[n++] = three[random_below(random, sizeof(three))];
    }
    return n;
}

/* Opcode, ModRM and so on; displacements are small where they are of 16 bits. */
static void random_bytes(uint8_t out[15], Random *random)
{
    static const uint8_t segments[] = {0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65};
    unsigned n = 0;
    bool second;
    uint8_t opcode;

    if (random_below(random, 4) == 0) {
        out[n++] = 0x66;
    }
    if (random_below(random, 4) == 0) {
        out[n++] = 0x67;
    }
    if (random_below(random, 5) == 0) {
        out[n++] = segments[random_below(random, sizeof(segments))];
    }
    if (random_below(random, 24) == 0) {
        n += random_by_prefix(out + n, random);
    } else {
        opcode = random_opcode(random, &second);
        if (opcode >= 0xa4 && opcode <= 0xaf && random_below(random, 3)) { /* REPNE, REP */
            out[n++] = 0xf2 | random_below(random, 2);
        }
        if (second) {
            out[n++] = 0x0f;
        }
        out[n++] = opcode;
    }
    out[n++] = random_next(random);
    while (n < 15) {
        out[n++] = random_next(random);
        if (n < 15) {
            out[n++] = random_below(random, 3) ? random_below(random, 0x20) : 0xff;
        }
    }
}

/* True if flags that are undefined behind it are not what the interpreter makes them. */
static bool flags_are_open(const ZydisDecodedInstruction *zi)
{
    return !test_host_is_intel() && zi->cpu_flags &&
           (zi->cpu_flags->undefined & ~ZYDIS_CPUFLAG_AF);
}

/* Nothing that jumps back or far away; no division, whose flags may be any. */
static bool concerns(const ZydisDecodedInstruction *zi, const ZydisDecodedOperand *ops)
{
    if (flags_are_open(zi)) {
        return false;
    }
    if (zi->meta.branch_type == ZYDIS_BRANCH_TYPE_FAR || zi->mnemonic == ZYDIS_MNEMONIC_DIV ||
        zi->mnemonic == ZYDIS_MNEMONIC_IDIV) {
        return false;
    }
    return !(zi->raw.imm[0].is_relative && ops[0].imm.value.s < 0);
}

/* How long the instruction at @bytes is in this code; 0: none that is wanted. */
static unsigned length_in(const Sequence *sequence, const uint8_t bytes[15])
{
    ZydisDecodedInstruction zi;
    ZydisDecodedOperand ops[ZYDIS_MAX_OPERAND_COUNT];
    ZydisDecoder decoder;

    ZydisDecoderInit(&decoder,
                     sequence->code16 ? ZYDIS_MACHINE_MODE_LEGACY_16 : ZYDIS_MACHINE_MODE_LEGACY_32,
                     sequence->code16 ? ZYDIS_STACK_WIDTH_16 : ZYDIS_STACK_WIDTH_32);
    return ZYAN_SUCCESS(ZydisDecoderDecodeFull(&decoder, bytes, 15, &zi, ops)) &&
           concerns(&zi, ops) ? zi.length : 0;
}

static unsigned random_insn(const Sequence *sequence, uint8_t out[15], Random *random)
{
    unsigned length;

    do {
        random_bytes(out, random);
        length = length_in(sequence, out);
    } while (!length);
    return length;
}

/* One of @form, with a prefix for the other operand or address size now and then; 0: none. */
static unsigned form_insn(const Sequence *sequence, const Form *form, uint8_t out[15],
                          Random *random)
{
    InsnCase one = {.mode = TEST_32, .form = form};
    unsigned n = 0;

    if (!case_make_bytes(&one, form, random)) {
        return 0;
    }
    if (form->encoding == ENC_LEGACY && random_below(random, 3) == 0) {
        out[n++] = 0x66 | random_below(random, 2);
    }
    for (unsigned i = 0; n < 15; i++, n++) {
        out[n] = i < one.len ? one.bytes[i] : random_below(random, 0x20);
    }
    return length_in(sequence, out);
}

/* A data segment of user code in which most offsets below 8 KiB are data. */
static X86Segment random_segment(Random *random)
{
    static const uint32_t limits[] = {0xffff, UINT32_MAX, DATA_SIZE - 1, DATA_SIZE - 3, 0x800};
    uint32_t attr = 3 | SEG_ATTR_S | 3 << SEG_ATTR_DPL_SHIFT | SEG_ATTR_P | SEG_ATTR_DB;
    X86Segment s = {.base = DATA_VA, .attr = attr, .selector = 0x2b,
                    .limit = limits[random_below(random, G_N_ELEMENTS(limits))]};

    switch (random_below(random, 24)) {
    case 0: s.attr &= ~2u; break;                     /* read-only */
    case 1: s.attr |= 4; break;                       /* expand-down */
    case 2: s.attr |= SEG_ATTR_UNUSABLE; break;
    case 3: s.attr = (s.attr & ~0xfu) | 0xb; break;   /* code */
    case 4: case 5: s.base = DATA_VA - random_below(random, 64); break;
    case 6: case 7: case 8: case 9: s.base = 0; s.limit = UINT32_MAX; break;
    default: break;
    }
    return s;
}

static void make_segments(Sequence *sequence, Random *random)
{
    uint32_t code = 0xb | SEG_ATTR_S | 3 << SEG_ATTR_DPL_SHIFT | SEG_ATTR_P;
    X86Segment *cs = &sequence->segments[SEG_CS];

    for (unsigned i = 0; i < G_N_ELEMENTS(sequence->segments); i++) {
        sequence->segments[i] = random_segment(random);
    }
    if (sequence->stack16) {
        sequence->segments[SEG_SS].attr &= ~(uint32_t)SEG_ATTR_DB;
    }
    if (sequence->code16) {
        *cs = (X86Segment){CODE_VA, random_below(random, 3) ? 0xffff : UINT32_MAX, code, 0x23};
    } else {
        *cs = (X86Segment){0, UINT32_MAX, code | SEG_ATTR_DB | SEG_ATTR_G, 0x23};
    }
}

/* Registers: offsets mostly, addresses for what is flat, anything. */
static void make_registers(Sequence *sequence, Random *random)
{
    uint64_t *gpr = sequence->test.state.gpr;

    for (unsigned i = 0; i < 8; i++) {
        switch (random_below(random, 8)) {
        case 0: gpr[i] = (uint32_t)random_next(random); break;
        case 1: gpr[i] = random_below(random, 32); break;
        case 2: gpr[i] = 0xffff - random_below(random, 64); break;
        case 3: case 4: gpr[i] = DATA_VA + random_below(random, DATA_SIZE); break;
        default: gpr[i] = random_below(random, DATA_SIZE); break;
        }
    }
    gpr[4] = random_below(random, 8) ? random_below(random, DATA_SIZE / 4) * 4
                                     : random_below(random, 8);
    if (sequence->segments[SEG_SS].base == 0 && random_below(random, 8)) {
        gpr[4] += DATA_VA;
    }
    if (sequence->stack16 && random_below(random, 2)) {
        gpr[4] |= 0xabcd0000; /* which stays */
    }
}

/* @wanted: a form that is in it, or NULL. */
static void make_sequence(Sequence *sequence, const Form *wanted, Random *random)
{
    static const Form form = {.key = (char *)"segments"};
    unsigned count = 1 + random_below(random, wanted ? 4 : SEQUENCE_MAX);
    unsigned place = random_below(random, count);

    memset(&sequence->test, 0, sizeof(sequence->test));
    sequence->code16 = random_below(random, 2);
    sequence->stack16 = random_below(random, 3) ? sequence->code16 : !sequence->code16;
    sequence->test.mode = TEST_32;
    sequence->test.form = &form;
    sequence->test.rip = CODE_VA + CODE_OFFSET;
    sequence->len = 0;
    make_segments(sequence, random);
    for (unsigned i = 0; i < count; i++) {
        uint8_t *at = sequence->bytes + sequence->len;

        sequence->len += wanted && i == place ? form_insn(sequence, wanted, at, random)
                                              : random_insn(sequence, at, random);
    }
    case_make_state(&sequence->test, random);
    make_registers(sequence, random);
}

/* --- running ----------------------------------------------------------------------------- */

static void prepare(const Sequence *sequence)
{
    X86CPU *cpu = guest_cpu();

    guest_prepare(&sequence->test, sequence->bytes, sequence->len);
    memcpy(cpu->seg, sequence->segments, sizeof(sequence->segments));
    cpu->cpu_rip -= sequence->segments[SEG_CS].base;
    cpu_update_mode(cpu);
}

/* False if it does not end. */
static bool run_interpreted(const Sequence *sequence, InsnState *out)
{
    unsigned steps = 0;

    prepare(sequence);
    guest_cpu()->engine = NULL;
    while (interp_step(guest_cpu())) {
        if (++steps == STEPS_MAX) {
            return false;
        }
    }
    guest_finish(&sequence->test, out, true);
    return true;
}

static void run_translated(const Sequence *sequence, InsnState *out)
{
    prepare(sequence);
    guest_cpu()->engine = jit_run;
    while (interp_block(guest_cpu())) {
    }
    guest_finish(&sequence->test, out, true);
}

/* --- comparing ------------------------------------------------------------------------ */

#define COMPARE(field)                                                                   \
    if (memcmp(&want->field, &got->field, sizeof(want->field))) {                        \
        g_string_append(notes, " " #field);                                              \
    }

static void compare(const InsnState *want, const InsnState *got, bool exact, GString *notes)
{
    COMPARE(gpr)
    COMPARE(rip)
    COMPARE(vec)
    COMPARE(opmask)
    COMPARE(st)
    COMPARE(mxcsr)
    COMPARE(fcw)
    COMPARE(fsw)
    COMPARE(ftw)
    COMPARE(data)
    COMPARE(vector)
    COMPARE(cr2)
    COMPARE(error)
    if (exact) { /* every sequence ends in a fault */
        COMPARE(eflags)
    }
}

static void print_state(const char *name, const InsnState *s)
{
    printf("  %s vector %d error %x rip %" G_GINT64_MODIFIER "x cr2 %" G_GINT64_MODIFIER
           "x flags %x\n   ", name, s->vector, s->error, s->rip, s->cr2, s->eflags);
    for (unsigned i = 0; i < 8; i++) {
        printf(" %" G_GINT64_MODIFIER "x", s->gpr[i]);
    }
    printf("\n");
}

static void print_sequence(const Sequence *sequence)
{
    static const char *const names[] = {"es", "cs", "ss", "ds", "fs", "gs"};
    ZydisMachineMode mode =
        sequence->code16 ? ZYDIS_MACHINE_MODE_LEGACY_16 : ZYDIS_MACHINE_MODE_LEGACY_32;
    unsigned at = 0;

    for (unsigned i = 0; i < G_N_ELEMENTS(sequence->segments); i++) {
        const X86Segment *s = &sequence->segments[i];

        printf("  %s %" G_GINT64_MODIFIER "x limit %x attr %x\n", names[i], s->base, s->limit,
               s->attr);
    }
    while (at < sequence->len) {
        ZydisDisassembledInstruction insn;

        if (!ZYAN_SUCCESS(ZydisDisassembleIntel(mode, CODE_OFFSET + at, sequence->bytes + at,
                                                sequence->len - at, &insn))) {
            break;
        }
        printf("  %x %s\n", CODE_OFFSET + at, insn.text);
        at += insn.info.length;
    }
    print_state("before     ", &sequence->test.state);
}

static Jit *set_jit(Jit *jit, int number)
{
    JitOptions jit_options = {
        .code_size = 16 << 20,
        .debug = {.exact = number & 1, .no_groups = number % 4 == 2, .has_hot = true}};
    GError *error = NULL;

    if (jit) {
        jit_free(jit);
    }
    jit = jit_new(guest_cpu(), &jit_options, &error);
    if (!jit) {
        g_error("%s", error->message);
    }
    code_flush(guest_cpu());
    return jit;
}

typedef struct Tally {
    unsigned endless, differ;
    uint64_t interpreted, entries;
} Tally;

static Tally run_all(const GPtrArray *forms)
{
    static InsnState want, got;
    static Sequence sequence;
    Random random = {option_seed};
    Tally tally = {0};
    Jit *jit = NULL;

    for (int i = 0; i < option_count && tally.differ < 10; i++) {
        g_autoptr(GString) notes = g_string_new(NULL);

        if (i % BATCH == 0) {
            jit = set_jit(jit, i / BATCH);
        }
        make_sequence(&sequence, forms ? g_ptr_array_index(forms, i % forms->len) : NULL, &random);
        if (!run_interpreted(&sequence, &want)) {
            tally.endless++;
            continue;
        }
        tally.entries -= jit->stats.entries;
        tally.interpreted -= jit->stats.slow;
        run_translated(&sequence, &got);
        tally.entries += jit->stats.entries;
        tally.interpreted += jit->stats.slow;
        compare(&want, &got, jit->exact, notes);
        if (notes->len) {
            tally.differ++;
            printf("sequence %d:%s\n", i, notes->str);
            print_sequence(&sequence);
            print_state("interpreted", &want);
            print_state("translated ", &got);
        }
    }
    jit_free(jit);
    return tally;
}

int main(int argc, char **argv)
{
    GPtrArray *forms = NULL;
    Tally tally;

    if (!test_options(&argc, &argv, options, &option_seed)) {
        return 2;
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    guest_init();
    if (option_forms) {
        forms = forms_enumerate(TEST_32);
        option_count = 2 * forms->len;
    }
    tally = run_all(forms);
    guest_end();
    printf("seed %" G_GINT64_FORMAT ": %d sequences, %u endless, %" G_GUINT64_FORMAT
           " entries of translated code, %" G_GUINT64_FORMAT
           " instructions interpreted from it, %u differ\n",
           option_seed, option_count, tally.endless, tally.entries, tally.interpreted,
           tally.differ);
    return tally.differ != 0 || tally.entries < (uint64_t)option_count / 2;
}
