/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What surrounds vector and x87 instructions and what user code on a host cannot show: availability
 * by control registers, features and exceptions, FERR#, environments in every format, room for
 * thunks.
 */
#include <string.h>

#include "memory/memory.h"
#include "target-i386/cpu.h"
#include "target-i386/interp/cache.h"
#include "target-i386/interp/interp.h"
#include "target-i386/mmu.h"

enum { RAM_SIZE = 0x100000, CODE = 0x8000, DATA = 0x9000 };
enum { NO_EXCEPTION = -1, LEFT_BLOCK = -2 };

typedef struct Fixture {
    MemorySpace *memory;
    PortSpace *ports;
    RamBlock *ram;
    X86CPU *cpu;
} Fixture;

/* 32-bit protected mode, flat, ring 0, everything enabled. */
static void fixture_reset(Fixture *fixture)
{
    X86CPU *cpu = fixture->cpu;

    cpu_reset(cpu, false);
    for (unsigned i = 0; i < SEG_LDTR; i++) {
        uint32_t type = i == SEG_CS ? 0xb : 3;

        cpu->seg[i].base = 0;
        cpu->seg[i].limit = UINT32_MAX;
        cpu->seg[i].attr = type | SEG_ATTR_S | SEG_ATTR_P | SEG_ATTR_DB | SEG_ATTR_G;
        cpu->seg[i].selector = 8 * (i + 1);
    }
    cpu->cr0 = CR0_PE | CR0_ET | CR0_NE | CR0_MP;
    cpu->cr4 = CR4_OSFXSR | CR4_OSXMMEXCPT | CR4_OSXSAVE;
    cpu->xcr0 = 0xe7;
    cpu->x87.fcw = 0x37f;
    cpu->x87.ftw = 0;
    cpu->vcpu.halted = false;
    cpu_update_mode(cpu);
}

static void enter_real_mode(X86CPU *cpu)
{
    cpu->cr0 &= ~(uint64_t)CR0_PE;
    cpu_update_mode(cpu);
}

static void fixture_set_up(Fixture *fixture, gconstpointer data)
{
    GError *error = NULL;

    fixture->memory = memory_space_new();
    fixture->ports = port_space_new();
    fixture->ram = ram_block_new("test", RAM_SIZE, &error);
    g_assert_no_error(error);
    memory_map_ram(fixture->memory, 0, fixture->ram, 0, RAM_SIZE, MAP_READ | MAP_WRITE, 0);
    fixture->cpu = cpu_new_bare(fixture->memory, fixture->ports);
    fixture_reset(fixture);
}

static void fixture_tear_down(Fixture *fixture, gconstpointer data)
{
    cpu_free_bare(fixture->cpu);
    memory_space_free(fixture->memory);
    port_space_free(fixture->ports);
    ram_block_free(fixture->ram);
}

/* Executes one instruction; the exception it raised, if any. */
static int run(Fixture *fixture, const void *bytes, unsigned len)
{
    X86CPU *cpu = fixture->cpu;
    bool done;

    memory_write(fixture->memory, CODE, bytes, len);
    code_drain(cpu);
    cpu->cpu_rip = CODE;
    done = interp_step(cpu);
    if (done && cpu->cpu_rip == CODE) {
        return LEFT_BLOCK;
    }
    if (!done) {
        int vector = cpu->exception.vector;

        cpu->exception.vector = -1;
        return vector;
    }
    return NO_EXCEPTION;
}

#define RUN(fixture, bytes) run(fixture, bytes, sizeof(bytes) - 1)

/* One instruction of each kind; memory operands are at DATA. */
#define PADDD_XMM  "\x66\x0f\xfe\xc1"
#define MOVAPS_XMM "\x0f\x28\xc1"
#define PADDD_MM   "\x0f\xfe\xc1"
#define FLD1       "\xd9\xe8"
#define FWAIT      "\x9b"
#define FNSTSW_AX  "\xdf\xe0"
#define VPADDD     "\xc5\xf1\xfe\xc2"
#define VPADDD_ZMM "\x62\xf1\x75\x48\xfe\xc2"
#define LDMXCSR    "\x0f\xae\x15\x00\x90\x00\x00"
#define FXSAVE     "\x0f\xae\x05\x00\x90\x00\x00"
#define XSAVE      "\x0f\xae\x25\x00\x90\x00\x00"
#define PSHUFB_XMM "\x66\x0f\x38\x00\xc1"
#define ANDN       "\xc4\xe2\x70\xf2\xc2"
#define POPCNT     "\xf3\x0f\xb8\xc1"
#define DIVSS      "\xf3\x0f\x5e\xc1"

/* --- availability (SDM 3A 2.5, 13.1 to 13.3; 2A table 2-17 on) -------------------------------- */

typedef struct Availability {
    uint32_t cr0_set, cr4_clear, xcr0_clear;
    int sse, mmx, x87, wait, status, vex, evex, fxsave, xsave, gpr;
} Availability;

static void test_availability(Fixture *fixture, gconstpointer data)
{
    static const Availability rows[] = {
        {0, 0, 0, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1},
        {CR0_TS, 0, 0, 7, 7, 7, 7, 7, 7, 7, 7, 7, -1},
        {CR0_EM, 0, 0, 6, 6, 7, -1, 7, -1, -1, 7, -1, -1},
        {CR0_EM | CR0_TS, 0, 0, 6, 6, 7, 7, 7, 7, 7, 7, 7, -1},
        {0, CR4_OSFXSR, 0, 6, -1, -1, -1, -1, -1, -1, -1, -1, -1},
        {CR0_TS, CR4_OSFXSR, 0, 6, 7, 7, 7, 7, 7, 7, 7, 7, -1},
        {0, CR4_OSXSAVE, 0, -1, -1, -1, -1, -1, 6, 6, -1, 6, -1},
        {CR0_TS, CR4_OSXSAVE, 0, 7, 7, 7, 7, 7, 6, 6, 7, 6, -1},
        {0, 0, 4, -1, -1, -1, -1, -1, 6, 6, -1, -1, -1},
        {0, 0, 0xe0, -1, -1, -1, -1, -1, -1, 6, -1, -1, -1},
    };

    for (unsigned i = 0; i < G_N_ELEMENTS(rows); i++) {
        const Availability *row = &rows[i];
        X86CPU *cpu = fixture->cpu;

        fixture_reset(fixture);
        memset(fixture->ram->host + DATA, 0, 64); /* a good MXCSR */
        cpu->cr0 |= row->cr0_set;
        cpu->cr4 &= ~(uint64_t)row->cr4_clear;
        cpu->xcr0 &= ~(uint64_t)row->xcr0_clear;
        g_test_message("row %u", i);
        g_assert_cmpint(RUN(fixture, PADDD_XMM), ==, row->sse);
        g_assert_cmpint(RUN(fixture, MOVAPS_XMM), ==, row->sse);
        g_assert_cmpint(RUN(fixture, LDMXCSR), ==, row->sse);
        g_assert_cmpint(RUN(fixture, PADDD_MM), ==, row->mmx);
        g_assert_cmpint(RUN(fixture, FLD1), ==, row->x87);
        g_assert_cmpint(RUN(fixture, FWAIT), ==, row->wait);
        g_assert_cmpint(RUN(fixture, FNSTSW_AX), ==, row->status);
        g_assert_cmpint(RUN(fixture, FXSAVE), ==, row->fxsave);
        g_assert_cmpint(RUN(fixture, XSAVE), ==, row->xsave);
        g_assert_cmpint(RUN(fixture, POPCNT), ==, row->gpr);
        if (__builtin_cpu_supports("avx2")) {
            g_assert_cmpint(RUN(fixture, VPADDD), ==, row->vex);
        }
        if (__builtin_cpu_supports("avx512bw")) {
            g_assert_cmpint(RUN(fixture, VPADDD_ZMM), ==, row->evex);
        }
    }
}

/* FWAIT heeds TS only with MP (SDM 3A 2.5). */
static void test_wait_without_mp(Fixture *fixture, gconstpointer data)
{
    fixture->cpu->cr0 = (fixture->cpu->cr0 & ~(uint64_t)CR0_MP) | CR0_TS;
    g_assert_cmpint(RUN(fixture, FWAIT), ==, NO_EXCEPTION);
}

static void feature_clear(X86CPU *cpu, X86Feature feature)
{
    cpu->features[feature >> 5] &= ~(1u << (feature & 31));
    code_flush(cpu);
}

/* One mnemonic, several ISA sets: each form goes by its own feature. */
static void test_features(Fixture *fixture, gconstpointer data)
{
    X86CPU *cpu = fixture->cpu;

    feature_clear(cpu, X86_FEATURE_SSE2);
    g_assert_cmpint(RUN(fixture, PADDD_XMM), ==, EXC_UD);
    g_assert_cmpint(RUN(fixture, PADDD_MM), ==, NO_EXCEPTION);
    g_assert_cmpint(RUN(fixture, MOVAPS_XMM), ==, NO_EXCEPTION);
    g_assert_cmpint(RUN(fixture, VPADDD), ==, NO_EXCEPTION);
    feature_clear(cpu, X86_FEATURE_AVX);
    g_assert_cmpint(RUN(fixture, VPADDD), ==, EXC_UD);
    g_assert_cmpint(RUN(fixture, PSHUFB_XMM), ==, NO_EXCEPTION);
    feature_clear(cpu, X86_FEATURE_SSSE3);
    g_assert_cmpint(RUN(fixture, PSHUFB_XMM), ==, EXC_UD);
    feature_clear(cpu, X86_FEATURE_MMX);
    g_assert_cmpint(RUN(fixture, PADDD_MM), ==, EXC_UD);
}

/* VEX needs protected mode (SDM 2A 2.3.1); the same bytes with a memory operand are LES and LDS. */
static void test_real_mode(Fixture *fixture, gconstpointer data)
{
    enter_real_mode(fixture->cpu);
    g_assert_cmpint(RUN(fixture, PADDD_XMM), ==, NO_EXCEPTION);
    g_assert_cmpint(RUN(fixture, VPADDD), ==, EXC_UD);
    g_assert_cmpint(RUN(fixture, ANDN), ==, EXC_UD);
}

/* --- exceptions ----------------------------------------------------------------------------- */

static void test_simd_exception(Fixture *fixture, gconstpointer data)
{
    X86CPU *cpu = fixture->cpu;
    const uint32_t unmasked_zero_divide = 0x1f80 & ~0x200;

    cpu->vec[0].u32[0] = 0x3f800000;
    cpu->vec[1].u32[0] = 0;
    cpu->x87.mxcsr = unmasked_zero_divide;
    g_assert_cmpint(RUN(fixture, DIVSS), ==, EXC_XM);
    g_assert_cmphex(cpu->x87.mxcsr, ==, unmasked_zero_divide | 4);
    g_assert_cmphex(cpu->vec[0].u32[0], ==, 0x3f800000);
    cpu->cr4 &= ~(uint64_t)CR4_OSXMMEXCPT;
    g_assert_cmpint(RUN(fixture, DIVSS), ==, EXC_UD);
    cpu->x87.mxcsr = 0x1f80;
    g_assert_cmpint(RUN(fixture, DIVSS), ==, NO_EXCEPTION);
    g_assert_cmphex(cpu->x87.mxcsr, ==, 0x1f84);
    g_assert_cmphex(cpu->vec[0].u32[0], ==, 0x7f800000);
}

static void pend_x87(X86CPU *cpu)
{
    cpu->x87.fcw = 0x37e; /* invalid operation unmasked, and pending */
    cpu->x87.fsw = 0x8081;
}

static bool count_ferr(void *opaque)
{
    unsigned *count = opaque;

    (*count)++;
    return *count > 2; /* IGNNE# from the third time on */
}

static void test_pending_x87(Fixture *fixture, gconstpointer data)
{
    X86CPU *cpu = fixture->cpu;
    unsigned asked = 0;

    pend_x87(cpu);
    g_assert_cmpint(RUN(fixture, FLD1), ==, EXC_MF);
    g_assert_cmpint(RUN(fixture, FWAIT), ==, EXC_MF);
    g_assert_cmpint(RUN(fixture, PADDD_MM), ==, EXC_MF);
    g_assert_cmpint(RUN(fixture, FNSTSW_AX), ==, NO_EXCEPTION);
    g_assert_cmphex(cpu->regs[R_RAX] & 0xffff, ==, 0x8081);
    cpu->cr0 &= ~(uint64_t)CR0_NE;
    cpu->ferr = count_ferr;
    cpu->ferr_opaque = &asked;
    g_assert_cmpint(RUN(fixture, FLD1), ==, LEFT_BLOCK);
    g_assert_cmpint(RUN(fixture, FWAIT), ==, LEFT_BLOCK);
    g_assert_cmpuint(asked, ==, 2);
    g_assert_cmpint(RUN(fixture, FLD1), ==, NO_EXCEPTION);
    g_assert_cmpuint(cpu->x87.ftw, ==, 0x80);
}

/* --- environments (SDM 1, figures 8-9 to 8-12) --------------------------------------------------
 */

typedef struct Environment {
    const char *name;
    bool protected, wide;
    uint16_t words[14];
} Environment;

static void test_environments(Fixture *fixture, gconstpointer data)
{
    static const Environment rows[] = {
        {"16-bit protected", true, false, {0x37f, 0x3800, 0x3fff, 0x5678, 0x9abc, 0x4321, 0xedcb}},
        {"16-bit real", false, false, {0x37f, 0x3800, 0x3fff, 0x5678, 0x41ba, 0x4321, 0x5000}},
        {"32-bit protected",
         true,
         true,
         {0x37f, 0xffff, 0x3800, 0xffff, 0x3fff, 0xffff, 0x5678, 0x1234, 0x9abc, 0x1ba, 0x4321,
          0x8765, 0xedcb, 0xffff}},
        {"32-bit real",
         false,
         true,
         {0x37f, 0xffff, 0x3800, 0xffff, 0x3fff, 0xffff, 0x5678, 0xffff, 0x41ba, 0x123, 0x4321,
          0xffff, 0x5000, 0x876}},
    };

    feature_clear(fixture->cpu, X86_FEATURE_ZERO_FCS_FDS);
    for (unsigned i = 0; i < G_N_ELEMENTS(rows); i++) {
        static const uint8_t fnstenv[] = "\x66\xd9\x35\x00\x90\x00\x00";
        static const uint8_t fldenv[] = "\x66\xd9\x25\x00\x90\x00\x00";
        unsigned prefix = rows[i].wide ? 1 : 0, size = rows[i].wide ? 28 : 14;
        X86CPU *cpu = fixture->cpu;
        X87State before;

        g_test_message("%s", rows[i].name);
        fixture_reset(fixture);
        if (!rows[i].protected) {
            enter_real_mode(cpu); /* code stays 32 bits wide: the prefix still chooses */
        }
        cpu->x87.fcw = 0x37f;
        cpu->x87.fsw = 0x3800;
        cpu->x87.ftw = 0x80;
        memcpy(cpu->x87.st[0].bytes, "\0\0\0\0\0\0\0\x80\xff\x3f", 10);
        cpu->x87.fop = 0x1ba;
        cpu->x87.fip = rows[i].protected ? 0x9abc12345678 : 0x12345678;
        cpu->x87.fdp = rows[i].protected ? 0xedcb87654321 : 0x87654321;
        before = cpu->x87;
        memset(fixture->ram->host + DATA, 0, 64);
        g_assert_cmpint(run(fixture, fnstenv + prefix, 7 - prefix), ==, NO_EXCEPTION);
        g_assert_cmpmem(fixture->ram->host + DATA, size, rows[i].words, size);
        g_assert_cmphex(cpu->x87.fcw & 0x3f, ==, 0x3f);
        cpu->x87.fop = 0;
        cpu->x87.fsw = cpu->x87.ftw = 0;
        g_assert_cmpint(run(fixture, fldenv + prefix, 7 - prefix), ==, NO_EXCEPTION);
        g_assert_cmphex(cpu->x87.fsw, ==, before.fsw);
        g_assert_cmphex(cpu->x87.ftw, ==, before.ftw);
        /* The 16-bit protected format has no opcode. */
        g_assert_cmphex(cpu->x87.fop, ==, i == 0 ? 0 : before.fop);
        g_assert_cmphex(cpu->x87.fcw, ==, before.fcw);
        if (rows[i].wide) {
            g_assert_cmphex(cpu->x87.fip, ==, before.fip);
            g_assert_cmphex(cpu->x87.fdp, ==, before.fdp);
        }
    }
}

/* --- room for thunks
 * -------------------------------------------------------------------------------- */

/* More distinct instructions than the arena holds: it starts over, and results stay right. */
static void test_arena_full(Fixture *fixture, gconstpointer data)
{
    X86CPU *cpu = fixture->cpu;
    unsigned left = 0;

    for (unsigned round = 0; round < 8; round++) {
        for (unsigned i = 0; i < 64 * 256; i++) {
            uint8_t code[] = {0xc4, 0xe3, 0x7d, 0x46, 0xc0 | (i >> 8 & 63), i}; /* VPERM2I128 */
            uint32_t want;
            int result;

            code[2] = (~round & 7) << 3 | 0x45;
            cpu->vec[i >> 8 & 7].u32[0] = i;
            cpu->vec[round].u32[0] = 0x1000000 | i;
            want = i & 8          ? 0
                   : (i & 3) == 0 ? cpu->vec[round].u32[0]
                   : (i & 3) == 1 ? cpu->vec[round].u32[4]
                   : (i & 3) == 2 ? cpu->vec[i >> 8 & 7].u32[0]
                                  : cpu->vec[i >> 8 & 7].u32[4];
            result = run(fixture, code, sizeof(code));
            if (result == LEFT_BLOCK) {
                left++;
                result = run(fixture, code, sizeof(code));
            }
            g_assert_cmpint(result, ==, NO_EXCEPTION);
            g_assert_cmphex(cpu->vec[i >> 11 & 7].u32[0], ==, want);
        }
    }
    g_test_message("%u resets", left);
    g_assert_cmpuint(left, >, 0);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
#define ADD(path, fn)                                                                              \
    g_test_add("/vector/" path, Fixture, NULL, fixture_set_up, fn, fixture_tear_down)
    ADD("availability", test_availability);
    ADD("wait-without-mp", test_wait_without_mp);
    ADD("features", test_features);
    ADD("real-mode", test_real_mode);
    ADD("simd-exception", test_simd_exception);
    ADD("pending-x87", test_pending_x87);
    ADD("environments", test_environments);
    if (__builtin_cpu_supports("avx2")) {
        ADD("arena-full", test_arena_full);
    }
    return g_test_run();
}
