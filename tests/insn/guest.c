/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The interpreter's side: a bare CPU in user mode, whose page tables map code and data where the
 * host has them and nothing else.
 */
#include <string.h>

#include "accel/tcg/jit.h"
#include "memory/memory.h"
#include "target-i386/cpu-caps.h"
#include "target-i386/cpu.h"
#include "target-i386/cpuid.h"
#include "target-i386/topology.h"
#include "target-i386/interp/cache.h"
#include "target-i386/interp/insn.h"
#include "target-i386/interp/interp.h"
#include "tests/insn/insn-test.h"

/* Guest-physical layout. */
enum {
    GPA_PML4 = 0x1000,
    GPA_PDPT = 0x2000,
    GPA_PD = 0x3000,
    GPA_PT_CODE = 0x4000,
    GPA_PT_DATA = 0x5000,
    GPA_CODE = 0x10000,
    GPA_DATA = 0x20000,
    GPA_SIZE = 0x40000,
};
enum { PTE_P = 1, PTE_W = 2, PTE_U = 4, PTE_A = 0x20, PTE_D = 0x40 };
#define PTE_NX (1ull << 63)

static struct {
    MemorySpace *memory;
    PortSpace *ports;
    RamBlock *ram;
    X86CPU *cpu;
    Jit *jit;   /* NULL until it is wanted */
    bool watch; /* the data pages are marked when the test begins */
} guest;

/*
 * Of a run: a repeated instruction comes back to the run loop now and then, and translated code may
 * be left and entered again in what is one block interpreted.
 */
enum { MAX_STRETCHES = 10000, TRANSLATED_STRETCHES = 32 };

static void put_entry(uint64_t table, unsigned index, uint64_t value)
{
    *(uint64_t *)(guest.ram->host + table + index * 8) = value;
}

/* Pages lie in another order than their addresses, so that what runs over the end of one shows. */
static unsigned page_offset(unsigned page)
{
    return (page ^ 1) << 12;
}

static void write_code(unsigned offset, const uint8_t *bytes, unsigned size)
{
    unsigned first = MIN(size, 0x1000 - (offset & 0xfff));

    memory_write(guest.memory, GPA_CODE + page_offset(offset >> 12) + (offset & 0xfff), bytes,
                 first);
    if (first < size) {
        memory_write(guest.memory, GPA_CODE + page_offset((offset >> 12) + 1), bytes + first,
                     size - first);
    }
}

static void make_page_tables(void)
{
    uint64_t flags = PTE_P | PTE_W | PTE_U | PTE_A | PTE_D;

    put_entry(GPA_PML4, 0, GPA_PDPT | flags);
    put_entry(GPA_PDPT, 0, GPA_PD | flags);
    put_entry(GPA_PD, CODE_VA >> 21, GPA_PT_CODE | flags);
    put_entry(GPA_PD, DATA_VA >> 21, GPA_PT_DATA | flags);
    for (unsigned i = 0; i < CODE_SIZE >> 12; i++) {
        put_entry(GPA_PT_CODE, (CODE_VA >> 12 & 511) + i, (GPA_CODE + page_offset(i)) | flags);
    }
    for (unsigned i = 0; i < DATA_SIZE >> 12; i++) {
        put_entry(GPA_PT_DATA, (DATA_VA >> 12 & 511) + i,
                  (GPA_DATA + page_offset(i)) | flags | PTE_NX);
    }
}

void guest_init(void)
{
    g_autoptr(GArray) patches = g_array_new(false, false, sizeof(X86ModelPatch));
    const X86CpuModel model = {.level = 1, .patches = patches};
    const X86Topology topology = {1, 1, 1, 1, 1, 1};
    GError *error = NULL;
    X86CpuCaps caps = {0};

    guest.memory = memory_space_new();
    guest.ports = port_space_new();
    guest.ram = ram_block_new("test", GPA_SIZE, &error);
    if (!guest.ram) {
        g_error("%s", error->message);
    }
    memory_map_ram(guest.memory, 0, guest.ram, 0, GPA_SIZE, MAP_READ | MAP_WRITE, 0);
    make_page_tables();
    guest.cpu = cpu_new_bare(guest.memory, guest.ports);
    /* Sequences may make CPUID of their code. */
    guest.cpu->cpuid = x86_cpuid_table_new(&model, &topology, 0);
    x86_cpu_caps_tcg(&caps); /* what the host has no instructions for the interpreter has not */
    for (unsigned i = 0; i < FEATURE_WORD_COUNT; i++) {
        guest.cpu->features[i] &= caps.supported[i];
    }
    vcpu_adopt(&guest.cpu->vcpu); /* what it writes over its own code it must see at once */
}

void guest_end(void)
{
    if (guest.jit) {
        jit_free(guest.jit);
    }
    vcpu_adopt(NULL);
    cpu_free_bare(guest.cpu);
    memory_space_free(guest.memory);
    port_space_free(guest.ports);
    ram_block_free(guest.ram);
}

/* Flat user segments under an operating system like Linux. */
static void set_mode(X86CPU *cpu, TestMode mode)
{
    uint32_t data =
        3 | SEG_ATTR_S | 3 << SEG_ATTR_DPL_SHIFT | SEG_ATTR_P | SEG_ATTR_DB | SEG_ATTR_G;
    uint32_t code = (data & ~(uint32_t)SEG_ATTR_TYPE) | 0xb;

    if (mode == TEST_64) {
        code = (code & ~(uint32_t)SEG_ATTR_DB) | SEG_ATTR_L;
    }
    for (unsigned i = 0; i < SEG_LDTR; i++) {
        cpu->seg[i] = (X86Segment){0, UINT32_MAX, data, 0x2b};
    }
    cpu->seg[SEG_CS] = (X86Segment){0, UINT32_MAX, code, mode == TEST_64 ? 0x33 : 0x23};
    cpu->cr0 = CR0_PE | CR0_MP | CR0_ET | CR0_NE | CR0_WP | CR0_AM | CR0_PG;
    cpu->cr4 = CR4_PAE | CR4_OSFXSR | CR4_OSXMMEXCPT | CR4_OSXSAVE;
    cpu->cr3 = GPA_PML4;
    cpu->efer = EFER_LME | EFER_LMA | EFER_NXE | EFER_SCE;
    cpu->xcr0 = 0xe7;
    cpu->cpl = 3;
}

static void load_state(X86CPU *cpu, const InsnCase *test)
{
    const InsnState *state = &test->state;
    uint64_t bits = test->mode == TEST_64 ? UINT64_MAX : UINT32_MAX;

    for (unsigned i = 0; i < 16; i++) {
        cpu->regs[i] = state->gpr[i] & bits;
    }
    cpu->cpu_rip = test->rip;
    cpu->cc = state->eflags & FL_ARITH;
    cpu->eflags = (state->eflags & ~(uint32_t)FL_ARITH) | FL_IF | 2;
    cpu->x87.fcw = state->fcw;
    cpu->x87.fsw = state->fsw;
    cpu->x87.ftw = state->ftw;
    cpu->x87.fop = state->fop;
    cpu->x87.fip = state->fip;
    cpu->x87.fdp = state->fdp;
    cpu->x87.mxcsr = state->mxcsr;
    memcpy(cpu->x87.st, state->st, sizeof(cpu->x87.st));
    memcpy(cpu->vec, state->vec, sizeof(cpu->vec));
    memcpy(cpu->opmask, state->opmask, sizeof(cpu->opmask));
    cpu->interrupt_shadow = false;
}

static void save_state(X86CPU *cpu, const InsnCase *test, InsnState *out, bool raised)
{
    for (unsigned i = 0; i < 16; i++) {
        out->gpr[i] = cpu->regs[i];
    }
    if (test->mode == TEST_32) { /* what compatibility mode cannot touch */
        memcpy(&out->gpr[8], &test->state.gpr[8], 8 * sizeof(uint64_t));
    }
    out->rip = cpu->cpu_rip;
    out->eflags = cpu_get_eflags(cpu);
    out->fcw = cpu->x87.fcw;
    out->fsw = cpu->x87.fsw;
    out->ftw = cpu->x87.ftw;
    out->fop = cpu->x87.fop;
    out->fip = cpu->x87.fip;
    out->fdp = cpu->x87.fdp;
    out->mxcsr = cpu->x87.mxcsr;
    memcpy(out->st, cpu->x87.st, sizeof(out->st));
    memcpy(out->vec, cpu->vec, sizeof(out->vec));
    memcpy(out->opmask, cpu->opmask, sizeof(out->opmask));
    out->vector = raised ? cpu->exception.vector : -1;
    out->error = raised && cpu->exception.has_error ? cpu->exception.error : 0;
    out->cr2 = cpu->cr2;
    for (unsigned i = 0; i < DATA_SIZE >> 12; i++) {
        memcpy(out->data + (i << 12), guest.ram->host + GPA_DATA + page_offset(i), 0x1000);
    }
}

void guest_watch_data(bool watch)
{
    guest.watch = watch;
}

bool guest_page_watched(unsigned page)
{
    return ram_page_marks(guest.ram, GPA_DATA + page_offset(page)) & PAGE_WATCH_DIRTY;
}

static void write_data(const InsnCase *test)
{
    for (unsigned i = 0; i < DATA_SIZE >> 12; i++) {
        memory_write(guest.memory, GPA_DATA + page_offset(i), test->state.data + (i << 12), 0x1000);
    }
}

X86CPU *guest_cpu(void)
{
    return guest.cpu;
}

void guest_prepare(const InsnCase *test, const uint8_t *bytes, unsigned len)
{
    X86CPU *cpu = guest.cpu;
    uint8_t code[GUEST_CODE_MAX + 32];

    g_assert(len <= GUEST_CODE_MAX);
    memset(code, 0xcc, sizeof(code));
    memcpy(code, bytes, len);
    write_code(test->rip - CODE_VA, code, len + 17);
    write_data(test);
    code_drain(cpu); /* the code was written from outside the CPU */
    set_mode(cpu, test->mode);
    load_state(cpu, test);
    cpu_update_mode(cpu);
    for (unsigned page = 0; guest.watch && page < DATA_SIZE >> 12; page++) {
        ram_page_mark(guest.ram, GPA_DATA + page * 0x1000, PAGE_WATCH_DIRTY);
    }
    mmu_flush(cpu);
}

void guest_finish(const InsnCase *test, InsnState *out, bool raised)
{
    *out = test->state;
    save_state(guest.cpu, test, out, raised);
    guest.cpu->exception.vector = -1;
}

void guest_run(const InsnCase *test, InsnState *out)
{
    X86CPU *cpu = guest.cpu;
    bool raised = false;

    guest_prepare(test, test->bytes, test->len);
    for (unsigned i = 0; i < MAX_STRETCHES && !raised; i++) {
        raised = !interp_step(cpu);
        if (cpu->cpu_rip != test->rip || test->zi.meta.branch_type != 0) {
            break; /* else it only made room for its code, or repeats */
        }
    }
    guest_finish(test, out, raised);
}

/* --- sequences ----------------------------------------------------------------------- */

/* At most @stretches from the start to the first fault, which in the filler is none. */
static void run_from_start(const InsnCase *test, InsnState *out, unsigned stretches)
{
    X86CPU *cpu = guest.cpu;
    bool raised = false;

    write_data(test);
    set_mode(cpu, test->mode);
    cpu->seg[SEG_FS].base = FS_BASE;
    cpu->seg[SEG_GS].base = GS_BASE;
    load_state(cpu, test);
    cpu_update_mode(cpu);
    code_drain(cpu);
    *out = test->state;
    for (unsigned i = 0; i < stretches && !raised; i++) {
        raised = !interp_block(cpu);
    }
    save_state(cpu, test, out, raised);
    if (!raised) {
        out->vector = VECTOR_ENDLESS;
    }
    if (out->vector == 13) {
        uint64_t offset = out->rip - CODE_VA;

        if (offset < CODE_SIZE &&
            guest.ram->host[GPA_CODE + page_offset(offset >> 12) + (offset & 0xfff)] ==
                SEQUENCE_FILLER) {
            out->vector = -1;
        }
    }
    cpu->exception.vector = -1;
}

static void make_code(const InsnCase *test, uint8_t code[CODE_SIZE])
{
    memset(code, SEQUENCE_FILLER, CODE_SIZE);
    memcpy(code + (test->rip - CODE_VA), test->bytes, test->len);
}

static void place_sequence(const InsnCase *test)
{
    uint8_t code[CODE_SIZE];

    make_code(test, code);
    write_code(0, code, sizeof(code));
    code_drain(guest.cpu);
    mmu_flush(guest.cpu);
}

void guest_run_sequence(const InsnCase *test, InsnState *out)
{
    guest.cpu->engine = NULL;
    place_sequence(test);
    run_from_start(test, out, MAX_STRETCHES);
}

void guest_set_jit(bool exact, bool no_groups, bool one_insn, bool alone)
{
    JitOptions options = {.code_size = 16 << 20,
                          .debug = {.exact = exact, .no_groups = no_groups, .one_insn = one_insn,
                                    .has_hot = true}};
    GError *error = NULL;

    if (guest.jit) {
        jit_free(guest.jit);
    }
    guest.jit = jit_new(guest.cpu, &options, &error);
    if (!guest.jit) {
        g_error("%s", error->message);
    }
    guest.cpu->alone = alone;
    code_flush(guest.cpu);
}

void guest_save_code(uint8_t code[CODE_SIZE])
{
    for (unsigned i = 0; i < CODE_SIZE >> 12; i++) {
        memcpy(code + (i << 12), guest.ram->host + GPA_CODE + page_offset(i), 0x1000);
    }
}

static bool code_is_whole(const InsnCase *test)
{
    uint8_t before[CODE_SIZE], after[CODE_SIZE];

    make_code(test, before);
    guest_save_code(after);
    return !memcmp(before, after, CODE_SIZE);
}

void guest_translate_sequence(const InsnCase *test, InsnState *out, InsnState *again)
{
    guest.cpu->engine = jit_run;
    place_sequence(test);
    run_from_start(test, out, MAX_STRETCHES * TRANSLATED_STRETCHES);
    if (code_is_whole(test)) {
        run_from_start(test, again, MAX_STRETCHES * TRANSLATED_STRETCHES);
    } else {
        *again = *out;
    }
}
