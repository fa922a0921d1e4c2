/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The differential test of instructions: forms (what is tested), cases (bytes and operands), and
 * the two sides that run them, the host CPU and the interpreter.
 */
#ifndef TESTS_INSN_INSN_TEST_H
#define TESTS_INSN_INSN_TEST_H

#include <Zydis/Zydis.h>
#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

/* Where code and data lie, on the host and in the guest: the same linear addresses, below 4 GiB. */
#define CODE_VA   0x10000000u
#define CODE_SIZE 0x2000u
#define DATA_VA   0x20001000u /* unmapped pages on both sides */
#define DATA_SIZE 0x2000u
#define BYTES_MAX 512u /* of the code of one case */

typedef enum { TEST_64, TEST_32, TEST_MODES } TestMode;

/* --- random --------------------------------------------------------------- */

typedef struct Random {
    uint64_t state;
} Random;

static inline uint64_t random_next(Random *random)
{
    uint64_t z = random->state += 0x9e3779b97f4a7c15ull;

    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ z >> 27) * 0x94d049bb133111ebull;
    return z ^ z >> 31;
}
static inline unsigned random_below(Random *random, unsigned n)
{
    return (uint32_t)random_next(random) % n;
}

/* --- forms ------------------------------------------------------------------ */

typedef enum { ENC_LEGACY, ENC_VEX, ENC_EVEX } FormEncoding;

/* One distinct instruction form: enough to make bytes of it again and again. */
typedef struct Form {
    char *key; /* mnemonic, operand kinds and sizes, encoding */
    TestMode mode;
    FormEncoding encoding;
    uint8_t prefix;              /* 0, 66, F2, F3; VEX and EVEX: pp */
    bool lock, w, opsize;        /* opsize: 66 besides a mandatory prefix */
    uint8_t map, opcode, length; /* length: L or L'L */
    uint8_t mask, evex_b, evex_z;
    bool has_modrm, memory;
    uint8_t reg, rm; /* when they are part of the opcode */
    bool has_vvvv;
    uint8_t imm[2]; /* bytes of immediates */
    bool relative;  /* the immediate is a branch displacement */
    bool moffs;
    bool vsib;
    uint16_t mnemonic;
    uint8_t branch_type;
} Form;

/* All forms of @mode, as Form*. */
GPtrArray *forms_enumerate(TestMode mode);
const ZydisDecoder *form_decoder(TestMode mode);

/* --- cases -------------------------------------------------------------------- */

typedef struct X87Slot {
    uint8_t bytes[16];
} X87Slot;

#define VECTOR_ENDLESS (-2) /* the guest's side gave up on a sequence that does not end */

/* All that user code can see of the machine. */
typedef struct InsnState {
    uint64_t gpr[16];
    uint64_t rip;
    uint32_t eflags;
    uint16_t fcw, fsw, fop;
    uint8_t ftw;
    uint64_t fip, fdp;
    uint32_t mxcsr;
    X87Slot st[8];
    uint8_t vec[32][64];
    uint64_t opmask[8];
    uint8_t data[DATA_SIZE];
    int vector; /* exception, -1: none, or VECTOR_ENDLESS */
    uint32_t error;
    uint64_t cr2;
} InsnState;

/* Which registers address memory, where that is not left to the default. */
typedef struct CaseAddressing {
    uint8_t bases[6], indices[2];
    bool segments; /* FS and GS too, of the bases below */
} CaseAddressing;

#define FS_BASE 0x140u
#define GS_BASE 0xffffffffffffff80u

typedef struct InsnCase {
    TestMode mode;
    const Form *form;
    const CaseAddressing *addressing; /* or NULL */
    uint8_t bytes[BYTES_MAX];
    unsigned len;
    ZydisDecodedInstruction zi;
    ZydisDecodedOperand ops[ZYDIS_MAX_OPERAND_COUNT];
    uint64_t rip;
    InsnState state;
} InsnCase;

/* Random bytes of @form; false if none were found that decode as it. */
bool case_make_bytes(InsnCase *test, const Form *form, Random *random);
/* Random and edge operands for it. */
void case_make_state(InsnCase *test, Random *random);

/* --- command lines ------------------------------------------------------------------ */

/* Parses the options; false, with a message, for unknown ones. A @seed below 0 becomes the time. */
bool test_options(int *argc, char ***argv, const GOptionEntry *entries, int64_t *seed);

/*
 * What the manuals leave open the interpreter does as Intel's CPUs do: state of before a fault,
 * bits that are kept or cleared. Other makers' CPUs differ there without either being wrong.
 */
bool test_host_is_intel(void);

/* --- sides ------------------------------------------------------------------------ */

/* Maps code and data and installs signal handlers; false (with a message) if 32-bit code cannot
 * run. */
bool native_init(void);
/* A sequence, which has addressing, ends where it meets SEQUENCE_FILLER. */
void native_run(const InsnCase *test, InsnState *out);
/* Its code after the run, from CODE_VA. */
const uint8_t *native_code(void);

void guest_init(void);
void guest_run(const InsnCase *test, InsnState *out);
#define SEQUENCE_FILLER 0xf4 /* HLT, which user code may not: around the code of a sequence */
/* The parts of a run: several instructions with the state of @test. */
#define GUEST_CODE_MAX 256
struct X86CPU *guest_cpu(void);
void guest_prepare(const InsnCase *test, const uint8_t *bytes, unsigned len);
void guest_finish(const InsnCase *test, InsnState *out, bool raised);
/*
 * Runs a whole sequence until it leaves its code: by the interpreter, or translated; then a second
 * time with what is translated, linked and in the TLB, into @again.
 */
void guest_run_sequence(const InsnCase *test, InsnState *out);
/* Its code after the run, from CODE_VA. */
void guest_save_code(uint8_t code[CODE_SIZE]);
void guest_translate_sequence(const InsnCase *test, InsnState *out, InsnState *again);
/*
 * How the translator works from now on, @alone in a machine of one CPU; before the first call of
 * guest_translate_sequence(). */
void guest_set_jit(bool exact, bool no_groups, bool one_insn, bool alone);
/* From now on a run begins with data pages that are watched; which still are after it. */
void guest_watch_data(bool watch);
bool guest_page_watched(unsigned page);
void guest_end(void);

#endif
