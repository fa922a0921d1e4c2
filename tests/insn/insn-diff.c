/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Runs every instruction form with random and edge operands on the host CPU and in the interpreter
 * and compares all that user code can see: registers, flags, vectors, x87, memory, faults.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/insn/insn-test.h"

#define FORMS_WANTED   2000
#define FLAGS_COMPARED 0xcd5u /* arithmetic and DF */

static gint64 option_seed = -1;
static int option_count = 8;
static char *option_filter;
static int option_mode;
static gboolean option_verbose, option_list, option_any_host;

static const GOptionEntry options[] = {
    {"seed", 's', 0, G_OPTION_ARG_INT64, &option_seed, "seed (default: the time)", "N"},
    {"count", 'c', 0, G_OPTION_ARG_INT, &option_count, "cases per form", "N"},
    {"filter", 'f', 0, G_OPTION_ARG_STRING, &option_filter, "only forms whose key begins so",
     "KEY"},
    {"mode", 'm', 0, G_OPTION_ARG_INT, &option_mode, "only 64 or 32", "BITS"},
    {"verbose", 'v', 0, G_OPTION_ARG_NONE, &option_verbose, "every mismatch, not one a form", NULL},
    {"list", 'l', 0, G_OPTION_ARG_NONE, &option_list, "list the forms", NULL},
    {"any-host", 0, 0, G_OPTION_ARG_NONE, &option_any_host, "also where the CPU is not Intel's",
     NULL},
    {NULL},
};

enum { EXIT_SKIPPED = 77 };

/* --- comparing ------------------------------------------------------------------- */

/* Flags that this very case leaves undefined (SDM 2, per instruction). */
static uint32_t undefined_flags(const InsnCase *test)
{
    return test->zi.cpu_flags ? test->zi.cpu_flags->undefined : 0;
}

static void note_bytes(GString *notes, const char *name, const uint8_t *want, const uint8_t *got,
                       unsigned size)
{
    if (memcmp(want, got, size) == 0) {
        return;
    }
    g_string_append_printf(notes, "    %s: host", name);
    for (unsigned i = size; i-- > 0;) {
        g_string_append_printf(notes, "%s%02x", i % 4 == 3 ? " " : "", want[i]);
    }
    g_string_append(notes, "\n        interpreter");
    for (unsigned i = size; i-- > 0;) {
        g_string_append_printf(notes, "%s%02x", i % 4 == 3 ? " " : "", got[i]);
    }
    g_string_append_c(notes, '\n');
}

static void note_value(GString *notes, const char *name, uint64_t want, uint64_t got)
{
    if (want != got) {
        g_string_append_printf(
            notes, "    %s: host %" G_GINT64_MODIFIER "x, interpreter %" G_GINT64_MODIFIER "x\n",
            name, want, got);
    }
}

static void note_data(GString *notes, const InsnState *want, const InsnState *got)
{
    unsigned noted = 0;

    if (memcmp(want->data, got->data, DATA_SIZE) == 0) {
        return;
    }
    for (unsigned i = 0; i < DATA_SIZE && noted < 16; i++) {
        if (want->data[i] != got->data[i]) {
            g_string_append_printf(notes, "    [%x]: host %02x, interpreter %02x\n", DATA_VA + i,
                                   want->data[i], got->data[i]);
            noted++;
        }
    }
}

static void compare_x87(GString *notes, const InsnState *want, const InsnState *got)
{
    note_value(notes, "fcw", want->fcw, got->fcw);
    note_value(notes, "fsw", want->fsw, got->fsw);
    note_value(notes, "ftw", want->ftw, got->ftw);
    note_value(notes, "fop", want->fop, got->fop);
    note_value(notes, "fip", want->fip, got->fip);
    note_value(notes, "fdp", want->fdp, got->fdp);
    for (unsigned i = 0; i < 8; i++) {
        char name[8];

        g_snprintf(name, sizeof(name), "st%u", i);
        note_bytes(notes, name, want->st[i].bytes, got->st[i].bytes, 10);
    }
}

static void compare_registers(GString *notes, const InsnCase *test, const InsnState *want,
                              const InsnState *got)
{
    static const char *const names[16] = {"rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
                                          "r8",  "r9",  "r10", "r11", "r12", "r13", "r14", "r15"};
    uint32_t flags = FLAGS_COMPARED & ~undefined_flags(test);
    unsigned vectors = test->mode == TEST_64 ? 32 : 8;

    for (unsigned i = 0; i < (test->mode == TEST_64 ? 16 : 8); i++) {
        note_value(notes, names[i], want->gpr[i], got->gpr[i]);
    }
    note_value(notes, "flags", want->eflags & flags, got->eflags & flags);
    note_value(notes, "mxcsr", want->mxcsr, got->mxcsr);
    for (unsigned i = 0; memcmp(want->vec, got->vec, vectors * 64) != 0 && i < vectors; i++) {
        char name[8];

        g_snprintf(name, sizeof(name), "zmm%u", i);
        note_bytes(notes, name, want->vec[i], got->vec[i], 64);
    }
    for (unsigned i = 0; i < 8; i++) {
        char name[8];

        g_snprintf(name, sizeof(name), "k%u", i);
        note_value(notes, name, want->opmask[i], got->opmask[i]);
    }
}

/* A jump that ended where nothing is mapped is no fault of the jump. */
static void forgive_fetch(const InsnCase *test, InsnState *state)
{
    if (state->vector == 14 && state->rip == state->cr2 && state->rip != test->rip) {
        state->vector = -1;
        state->cr2 = state->error = 0;
    }
}

/* Instructions that access memory in several parts, in an order of their own. */
static bool in_parts(const InsnCase *test)
{
    switch (test->zi.mnemonic) {
    case ZYDIS_MNEMONIC_FNSAVE:
    case ZYDIS_MNEMONIC_FRSTOR:
    case ZYDIS_MNEMONIC_FNSTENV:
    case ZYDIS_MNEMONIC_FLDENV:
    case ZYDIS_MNEMONIC_FXSAVE:
    case ZYDIS_MNEMONIC_FXRSTOR:
    case ZYDIS_MNEMONIC_FXSAVE64:
    case ZYDIS_MNEMONIC_FXRSTOR64:
        return true;
    default:
        return false;
    }
}

/* Where the host's own behaviour is not architectural, the interpreter's is as good. */
static void forgive_host(const InsnCase *test, InsnState *want, const InsnState *got)
{
    bool masked = test->form->mask || strstr(test->form->key, "maskmov");

    bool half_stored = want->vector == 14 && test->zi.raw.modrm.mod != 3 &&
                       (test->zi.mnemonic == ZYDIS_MNEMONIC_FBSTP ||
                        (test->zi.mnemonic == ZYDIS_MNEMONIC_FSTP && test->ops[0].size == 80));

    if (half_stored) { /* 80 bits across a page: eight bytes, then two */
        memcpy(want->data, got->data, DATA_SIZE);
    }
    if (test->zi.mnemonic == ZYDIS_MNEMONIC_CALL && want->vector == 13) {
        memcpy(want->data, got->data, DATA_SIZE); /* pushed before the target was looked at */
    }
    if ((masked || in_parts(test)) && ((want->cr2 ^ got->cr2) & ~0xfffull) == 0) {
        want->cr2 = got->cr2; /* some byte of the page that faulted */
    }
    if (test->form->vsib && want->vector == 14) { /* what is above the elements, until it is done */
        for (unsigned i = 0; i < 2; i++) {
            const ZydisDecodedOperand *op = &test->ops[i * 2];

            if (op->type == ZYDIS_OPERAND_TYPE_REGISTER) {
                unsigned id = ZydisRegisterGetId(op->reg.value), from = MAX(op->size / 8, 16);

                memcpy(&want->vec[id][from], &got->vec[id][from], 64 - from);
            }
        }
    }
    if (strstr(test->form->key, "dpp") && want->vector == 19) {
        want->mxcsr = got->mxcsr; /* stops before the sum if a product raises something */
    }
    if (strstr(test->form->key, "vcvtps2ph") && !(test->state.mxcsr & 0x800)) {
        *want = *got; /* unmasked underflow of exact results is not modelled */
    }
    if (g_str_has_prefix(test->form->key, "xrstor") && want->vector == 13) {
        *want = *got; /* the host loads components before it sees a bad MXCSR */
    }
    if (strstr(test->form->key, "rstor64")) { /* made canonical for this host's address width */
        want->fip = (want->fip & 0xffffffffffff) | (got->fip & 0xffff000000000000);
    }
    /* Inexactness beside unmasked overflow or underflow goes by the infinitely precise result. */
    if (want->vector == 19 && (want->mxcsr & ~(want->mxcsr >> 7) & 0x18)) {
        want->mxcsr = (want->mxcsr & ~0x20u) | (got->mxcsr & 0x20);
    }
}

static GString *compare(const InsnCase *test, InsnState *want, InsnState *got)
{
    GString *notes = g_string_new(NULL);

    forgive_fetch(test, want);
    forgive_host(test, want, got);
    note_value(notes, "exception", want->vector, got->vector);
    note_value(notes, "rip", want->rip, got->rip);
    if (want->vector == got->vector && want->vector == 14) {
        note_value(notes, "cr2", want->cr2, got->cr2);
        note_value(notes, "error code", want->error, got->error);
    }
    compare_registers(notes, test, want, got);
    compare_x87(notes, want, got);
    note_data(notes, want, got);
    return notes;
}

/* --- reporting --------------------------------------------------------------------- */

static void print_case(const InsnCase *test, const GString *notes)
{
    ZydisFormatter formatter;
    char text[128] = "";

    ZydisFormatterInit(&formatter, ZYDIS_FORMATTER_STYLE_INTEL);
    ZydisFormatterFormatInstruction(&formatter, &test->zi, test->ops,
                                    test->zi.operand_count_visible, text, sizeof(text), test->rip,
                                    NULL);
    printf("%s-bit %s [%s]:", test->mode == TEST_64 ? "64" : "32", text, test->form->key);
    for (unsigned i = 0; i < test->len; i++) {
        printf(" %02x", test->bytes[i]);
    }
    printf("  fcw %x fsw %x mxcsr %x flags %x\n%s", test->state.fcw, test->state.fsw,
           test->state.mxcsr, test->state.eflags, notes->str);
}

typedef struct Tally {
    unsigned cases, compared, faults, differ;
} Tally;

static Tally run_form(const Form *form, InsnCase *test, Random *random)
{
    static InsnState want, got;
    Tally tally = {0};

    for (int i = 0; i < option_count; i++) {
        GString *notes;

        if (!case_make_bytes(test, form, random)) {
            printf("no bytes for form %s\n", form->key);
            tally.differ++;
            break;
        }
        case_make_state(test, random);
        native_run(test, &want);
        tally.cases++;
        if (want.vector == 6) {
            continue; /* this host does not have it */
        }
        guest_run(test, &got);
        notes = compare(test, &want, &got);
        tally.compared++;
        tally.faults += want.vector >= 0;
        if (notes->len && (tally.differ == 0 || option_verbose)) {
            print_case(test, notes);
        }
        tally.differ += notes->len != 0;
        g_string_free(notes, TRUE);
    }
    return tally;
}

static unsigned run_mode(TestMode mode, uint64_t seed)
{
    GPtrArray *forms = forms_enumerate(mode);
    InsnCase *test = g_new0(InsnCase, 1);
    unsigned bad_forms = 0, ran = 0, cases = 0, faults = 0;

    for (unsigned i = 0; i < forms->len; i++) {
        const Form *form = g_ptr_array_index(forms, i);
        Random random = {seed ^ g_str_hash(form->key)};
        Tally tally;

        if (option_filter && !g_str_has_prefix(form->key, option_filter)) {
            continue;
        }
        if (option_list) {
            printf("%s\n", form->key);
            continue;
        }
        tally = run_form(form, test, &random);
        ran += tally.compared != 0;
        cases += tally.compared;
        faults += tally.faults;
        bad_forms += tally.differ != 0;
    }
    printf("%s-bit code: %u forms compared (of %u), %u cases, %u of them faults; %u forms differ\n",
           mode == TEST_64 ? "64" : "32", ran, forms->len, cases, faults, bad_forms);
    g_free(test);
    if (!option_filter && !option_list && ran < FORMS_WANTED) {
        printf("fewer than %d forms\n", FORMS_WANTED);
        bad_forms++;
    }
    return bad_forms;
}

int main(int argc, char **argv)
{
    unsigned bad = 0;

    if (!test_options(&argc, &argv, options, &option_seed)) {
        return 2;
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (!option_any_host && !test_host_is_intel()) {
        printf("skipped: the host's CPU is not Intel's (see --any-host)\n");
        return EXIT_SKIPPED;
    }
    printf("seed %" G_GINT64_FORMAT "\n", option_seed);
    if (!native_init()) {
        return 1;
    }
    guest_init();
    for (TestMode mode = 0; mode < TEST_MODES; mode++) {
        if (!option_mode || option_mode == (mode == TEST_64 ? 64 : 32)) {
            bad += run_mode(mode, option_seed);
        }
    }
    guest_end();
    return bad != 0;
}
