/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The interpreter's side: a bare CPU in user mode, whose page tables map code and data where the
 * host has them and nothing else.
 */
#include <string.h>

#include "memory/memory.h"
#include "target-i386/cpu.h"
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
    bool watch; /* the data pages are marked when the test begins */
} guest;

/* A repeated instruction comes back to the run loop now and then. */
enum { MAX_STRETCHES = 10000 };

static void put_entry(uint64_t table, unsigned index, uint64_t value)
{
    *(uint64_t *)(guest.ram->host + table + index * 8) = value;
}

static void make_page_tables(void)
{
    uint64_t flags = PTE_P | PTE_W | PTE_U | PTE_A | PTE_D;

    put_entry(GPA_PML4, 0, GPA_PDPT | flags);
    put_entry(GPA_PDPT, 0, GPA_PD | flags);
    put_entry(GPA_PD, CODE_VA >> 21, GPA_PT_CODE | flags);
    put_entry(GPA_PD, DATA_VA >> 21, GPA_PT_DATA | flags);
    put_entry(GPA_PT_CODE, CODE_VA >> 12 & 511, GPA_CODE | flags);
    for (unsigned i = 0; i < DATA_SIZE >> 12; i++) {
        put_entry(GPA_PT_DATA, (DATA_VA >> 12 & 511) + i, (GPA_DATA + (i << 12)) | flags | PTE_NX);
    }
}

void guest_init(void)
{
    GError *error = NULL;

    guest.memory = memory_space_new();
    guest.ports = port_space_new();
    guest.ram = ram_block_new("test", GPA_SIZE, &error);
    if (!guest.ram) {
        g_error("%s", error->message);
    }
    memory_map_ram(guest.memory, 0, guest.ram, 0, GPA_SIZE, MAP_READ | MAP_WRITE, 0);
    make_page_tables();
    guest.cpu = cpu_new_bare(guest.memory, guest.ports);
}

void guest_end(void)
{
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
    memcpy(out->data, guest.ram->host + GPA_DATA, DATA_SIZE);
}

void guest_watch_data(bool watch)
{
    guest.watch = watch;
}

bool guest_page_watched(unsigned page)
{
    return ram_page_marks(guest.ram, GPA_DATA + page * 0x1000) & PAGE_WATCH_DIRTY;
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
    memory_write(guest.memory, GPA_CODE + (test->rip - CODE_VA), code, len + 17);
    memory_write(guest.memory, GPA_DATA, test->state.data, DATA_SIZE);
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
