/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Lockstep: each block runs translated, is undone, and runs again in the interpreter; registers,
 * flags and written memory must agree. Instructions that the translator leaves to the interpreter
 * end the comparison before them, so that nothing with effects outside happens twice.
 */
#include "accel/tcg/jit.h"

#include "target-i386/mmu.h"

#define PAGES_MAX 64

typedef struct PageCopy {
    uint8_t *host;
    uint8_t before[GUEST_PAGE_SIZE], after[GUEST_PAGE_SIZE];
} PageCopy;

typedef struct CpuCopy {
    uint64_t regs[R_COUNT];
    uint32_t cc, eflags;
    X87State x87;
    X86Vector vec[32];
    uint64_t opmask[8];
} CpuCopy;

struct Lockstep {
    CpuCopy before, after;
    PageCopy pages[PAGES_MAX];
    unsigned page_count;
    unsigned executed;    /* instructions that the translated run did */
    bool whole;           /* and it came to the block's end */
    uint64_t blocks, differences;
};

Lockstep *lockstep_new(void)
{
    return g_new0(Lockstep, 1);
}

void lockstep_free(Lockstep *lockstep)
{
    g_free(lockstep);
}

static void take(CpuCopy *copy, const X86CPU *cpu)
{
    memcpy(copy->regs, cpu->regs, sizeof(copy->regs));
    copy->cc = cpu->cc;
    copy->eflags = cpu->eflags;
    copy->x87 = cpu->x87;
    memcpy(copy->vec, cpu->vec, sizeof(copy->vec));
    memcpy(copy->opmask, cpu->opmask, sizeof(copy->opmask));
}

static void put(const CpuCopy *copy, X86CPU *cpu)
{
    memcpy(cpu->regs, copy->regs, sizeof(copy->regs));
    cpu->cc = copy->cc;
    cpu->eflags = copy->eflags;
    cpu->x87 = copy->x87;
    memcpy(cpu->vec, copy->vec, sizeof(copy->vec));
    memcpy(cpu->opmask, copy->opmask, sizeof(copy->opmask));
}

static void close_page(X86CPU *cpu, unsigned set)
{
    cpu->tlb[cpu->mmu_view][set].write_tag = (uint64_t)(set ^ 1) << GUEST_PAGE_BITS;
}

/* Closes all pages for writing, so that each first write shows. */
static void close_pages(X86CPU *cpu)
{
    for (unsigned set = 0; set < TLB_ENTRIES; set++) {
        close_page(cpu, set);
    }
}

void lockstep_note_read(Jit *jit, uint64_t va)
{
    close_page(jit->cpu, (va >> GUEST_PAGE_BITS) & (TLB_SIZE - 1));
}

bool lockstep_note_write(Jit *jit, uint64_t va)
{
    Lockstep *l = jit->lockstep;
    const TlbEntry *entry = mmu_tlb_entry(jit->cpu, jit->cpu->mmu_view, va);
    PageCopy *page = &l->pages[l->page_count];
    uint8_t *host = (uint8_t *)entry->page;

    for (unsigned i = 0; i < l->page_count; i++) {
        if (l->pages[i].host == host) {
            return true;
        }
    }
    if (l->page_count == PAGES_MAX) {
        return false;
    }
    l->page_count++;
    page->host = host;
    memcpy(page->before, host, GUEST_PAGE_SIZE);
    return true;
}

void lockstep_stopped(Jit *jit, unsigned insn, bool whole)
{
    jit->lockstep->executed = insn;
    jit->lockstep->whole = whole;
}

/* --- comparing ----------------------------------------------------------------------- */

static void report(X86CPU *cpu, const TransBlock *tb, const char *what, uint64_t expected,
                   uint64_t got)
{
    g_printerr("lockstep: block %016" G_GINT64_MODIFIER "x: %s is %016" G_GINT64_MODIFIER
               "x translated, %016" G_GINT64_MODIFIER "x interpreted\n", tb->rip, what, got,
               expected);
}

/* FDP and FOP are not kept by all hosts (x87.h). */
static bool compare_x87(X86CPU *cpu, const TransBlock *tb, const X87State *got)
{
    const X87State *want = &cpu->x87;
    bool same = true;

    if (got->fcw != want->fcw || got->fsw != want->fsw || got->ftw != want->ftw) {
        report(cpu, tb, "x87 FTW:FSW:FCW",
               (uint64_t)want->ftw << 32 | (uint64_t)want->fsw << 16 | want->fcw,
               (uint64_t)got->ftw << 32 | (uint64_t)got->fsw << 16 | got->fcw);
        same = false;
    }
    if (got->fip != want->fip) {
        report(cpu, tb, "x87 FIP", want->fip, got->fip);
        same = false;
    }
    for (unsigned i = 0; i < 8; i++) {
        for (unsigned at = 0; at < 10; at += 2) {
            uint16_t g, w;

            memcpy(&g, got->st[i].bytes + at, 2);
            memcpy(&w, want->st[i].bytes + at, 2);
            if (g != w) {
                g_autofree char *name = g_strdup_printf("x87 register %u byte %u", i, at);

                report(cpu, tb, name, w, g);
                same = false;
            }
        }
    }
    return same;
}

static bool compare_registers(X86CPU *cpu, const TransBlock *tb, const CpuCopy *got)
{
    bool same = true;

    for (unsigned i = 0; i < R_COUNT; i++) {
        if (got->regs[i] != cpu->regs[i]) {
            g_autofree char *name = g_strdup_printf("register %u", i);

            report(cpu, tb, name, cpu->regs[i], got->regs[i]);
            same = false;
        }
    }
    uint32_t undefined = (tb->undefined & 0xd5) | (tb->undefined & 2 ? FL_OF : 0);

    if ((got->cc ^ cpu->cc) & ~undefined) {
        report(cpu, tb, "flags", cpu->cc, got->cc);
        same = false;
    }
    same = compare_x87(cpu, tb, &got->x87) && same;
    if (got->x87.mxcsr != cpu->x87.mxcsr) {
        report(cpu, tb, "MXCSR", cpu->x87.mxcsr, got->x87.mxcsr);
        same = false;
    }
    for (unsigned i = 0; i < 32; i++) {
        for (unsigned j = 0; j < 8; j++) {
            if (got->vec[i].u64[j] != cpu->vec[i].u64[j]) {
                g_autofree char *name = g_strdup_printf("vector %u word %u", i, j);

                report(cpu, tb, name, cpu->vec[i].u64[j], got->vec[i].u64[j]);
                same = false;
            }
        }
    }
    if (memcmp(got->opmask, cpu->opmask, sizeof(got->opmask))) {
        report(cpu, tb, "opmask", 0, 0);
        same = false;
    }
    return same;
}

static bool compare_memory(X86CPU *cpu, const TransBlock *tb, const Lockstep *l)
{
    bool same = true;

    for (unsigned i = 0; i < l->page_count; i++) {
        for (unsigned at = 0; at < GUEST_PAGE_SIZE; at += 8) {
            uint64_t got, expected;

            memcpy(&got, l->pages[i].after + at, 8);
            memcpy(&expected, l->pages[i].host + at, 8);
            if (got != expected) {
                g_autofree char *name = g_strdup_printf("memory at page offset %#x", at);

                report(cpu, tb, name, expected, got);
                same = false;
            }
        }
    }
    return same;
}

static void log_block_code(X86CPU *cpu, const TransBlock *tb, unsigned count)
{
    GString *bytes = g_string_new(NULL);
    uint8_t code[BLOCK_MAX_INSNS * 15];

    code_block_bytes(cpu, tb->block, code);
    for (unsigned i = 0; i < tb->block->bytes; i++) {
        g_string_append_printf(bytes, "%02x ", code[i]);
    }
    g_printerr("lockstep: %u of %u instructions, code %s\n", count, tb->count, bytes->str);
    g_string_free(bytes, true);
}

static void interpret(X86CPU *cpu, const Block *block, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        const Insn *insn = &block->insns[i];

        cpu->insn = insn;
        insn->fn(cpu, insn);
        cpu->cpu_rip += insn->flags & INSN_END ? 0 : insn->len;
    }
}

void lockstep_begin(Jit *jit)
{
    Lockstep *l = jit->lockstep;

    take(&l->before, jit->cpu);
    close_pages(jit->cpu);
    l->page_count = 0;
    lockstep_stopped(jit, 0, false);
}

/*
 * An indirect branch led to the way out by an entry made for it. What missed the TLB between set
 * RIP to the branch itself.
 */
static void end_branch(Jit *jit)
{
    X86CPU *cpu = jit->cpu;

    if (cpu->jit.lockstep_tag) {
        if (jit->lockstep->whole) {
            cpu->cpu_rip = jit->lockstep_target;
        }
        *cpu->jit.lockstep_tag = 0;
        cpu->jit.lockstep_tag = NULL;
    }
}

void lockstep_end(Jit *jit, TransBlock *tb)
{
    Lockstep *l = jit->lockstep;
    X86CPU *cpu = jit->cpu;
    unsigned count = l->whole ? tb->count : l->executed;
    bool same;

    end_branch(jit);
    take(&l->after, cpu);
    for (unsigned i = 0; i < l->page_count; i++) {
        memcpy(l->pages[i].after, l->pages[i].host, GUEST_PAGE_SIZE);
        memcpy(l->pages[i].host, l->pages[i].before, GUEST_PAGE_SIZE);
    }
    put(&l->before, cpu);
    interpret(cpu, tb->block, count);
    l->blocks++;
    same = compare_registers(cpu, tb, &l->after);
    same = compare_memory(cpu, tb, l) && same;
    if (!same) {
        put(&l->before, cpu);
        log_block_code(cpu, tb, count);
        if (++l->differences == 20) {
            g_error("lockstep: too many differences");
        }
        for (unsigned i = 0; i < l->page_count; i++) {
            memcpy(l->pages[i].host, l->pages[i].before, GUEST_PAGE_SIZE);
        }
        interpret(cpu, tb->block, count);
    }
}
