/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Lockstep around the run of a block: what is kept, undone, done again and compared. Instructions
 * that the translator leaves to the interpreter end the comparison before them, so that nothing
 * with effects outside happens twice.
 */
#include "accel/tcg/lockstep.h"

#include "target-i386/mmu.h"

#define DIFFERENCES_MAX 20

Lockstep *lockstep_new(X86CPU *cpu)
{
    cpu->mmu.note_write = lockstep_note_write;
    mmu_flush(cpu);
    return g_new0(Lockstep, 1);
}

void lockstep_free(X86CPU *cpu, Lockstep *lockstep)
{
    if (lockstep) {
        cpu->mmu.note_write = NULL;
        mmu_flush(cpu);
        g_free(lockstep);
    }
}

/* --- states ---------------------------------------------------------------------------- */

static void take(LockstepState *state, const X86CPU *cpu, bool vectors)
{
    memcpy(state->core, (const char *)cpu + LOCKSTEP_CORE_FIRST, LOCKSTEP_CORE_SIZE);
    state->kernel_gs_base = cpu->msr_kernel_gs_base;
    if (vectors) {
        state->x87 = cpu->x87;
        memcpy(state->vec, cpu->vec, sizeof(state->vec));
        memcpy(state->opmask, cpu->opmask, sizeof(state->opmask));
    }
}

static void put(const LockstepState *state, X86CPU *cpu, bool vectors)
{
    memcpy((char *)cpu + LOCKSTEP_CORE_FIRST, state->core, LOCKSTEP_CORE_SIZE);
    cpu->msr_kernel_gs_base = state->kernel_gs_base;
    if (vectors) {
        cpu->x87 = state->x87;
        memcpy(cpu->vec, state->vec, sizeof(state->vec));
        memcpy(cpu->opmask, state->opmask, sizeof(state->opmask));
    }
}

/* The field at @offset of X86CPU, of @size bytes, in @state. */
static uint64_t core_field(const LockstepState *state, size_t offset, size_t size)
{
    uint64_t value = 0;

    memcpy(&value, state->core + offset - LOCKSTEP_CORE_FIRST, size);
    return value;
}

#define CORE_FIELD(state, field)                                                                   \
    core_field(state, offsetof(X86CPU, field), sizeof(((X86CPU *)0)->field))

/* --- comparing ----------------------------------------------------------------------- */

static bool report(const TransBlock *tb, const char *what, uint64_t expected, uint64_t got)
{
    g_printerr("lockstep: block %016" G_GINT64_MODIFIER "x: %s is %016" G_GINT64_MODIFIER
               "x translated, %016" G_GINT64_MODIFIER "x interpreted\n", tb->rip, what, got,
               expected);
    return false;
}

/* FDP and FOP are not kept by all hosts (x87.h). */
static bool compare_x87(const X86CPU *cpu, const TransBlock *tb, const X87State *got)
{
    const X87State *want = &cpu->x87;
    bool same = true;

    if (got->fcw != want->fcw || got->fsw != want->fsw || got->ftw != want->ftw) {
        same = report(tb, "x87 FTW:FSW:FCW",
                      (uint64_t)want->ftw << 32 | (uint64_t)want->fsw << 16 | want->fcw,
                      (uint64_t)got->ftw << 32 | (uint64_t)got->fsw << 16 | got->fcw);
    }
    if (got->fip != want->fip) {
        same = report(tb, "x87 FIP", want->fip, got->fip);
    }
    for (unsigned i = 0; i < 8; i++) {
        for (unsigned at = 0; at < 10; at += 2) {
            uint16_t g, w;

            memcpy(&g, got->st[i].bytes + at, 2);
            memcpy(&w, want->st[i].bytes + at, 2);
            if (g != w) {
                g_autofree char *name = g_strdup_printf("x87 register %u byte %u", i, at);

                same = report(tb, name, w, g);
            }
        }
    }
    return same;
}

static bool compare_vectors(const X86CPU *cpu, const TransBlock *tb, const LockstepState *got)
{
    bool same = compare_x87(cpu, tb, &got->x87);

    if (got->x87.mxcsr != cpu->x87.mxcsr) {
        same = report(tb, "MXCSR", cpu->x87.mxcsr, got->x87.mxcsr);
    }
    for (unsigned i = 0; i < 32; i++) {
        for (unsigned j = 0; j < 8; j++) {
            if (got->vec[i].u64[j] != cpu->vec[i].u64[j]) {
                g_autofree char *name = g_strdup_printf("vector %u word %u", i, j);

                same = report(tb, name, cpu->vec[i].u64[j], got->vec[i].u64[j]);
            }
        }
    }
    for (unsigned i = 0; i < 8; i++) {
        if (got->opmask[i] != cpu->opmask[i]) {
            same = report(tb, "opmask", cpu->opmask[i], got->opmask[i]);
        }
    }
    return same;
}

/* What no two runs need agree on: the current instruction, what is behind selectors. */
static bool is_no_state(size_t at)
{
    size_t in_segments = at - offsetof(X86CPU, seg);

    return at - offsetof(X86CPU, insn) < sizeof(const Insn *) ||
           (in_segments < sizeof(((X86CPU *)0)->seg) &&
            in_segments % sizeof(X86Segment) >= offsetof(X86Segment, selector) + 2);
}

/* Everything but general registers and arithmetic flags, which come before. */
static bool compare_system(const X86CPU *cpu, const TransBlock *tb, const LockstepState *got)
{
    bool same = true;

    for (size_t at = offsetof(X86CPU, eflags); at < offsetof(X86CPU, x87); at += 2) {
        uint16_t want, have = core_field(got, at, sizeof(have));

        memcpy(&want, (const char *)cpu + at, sizeof(want));
        if (want != have && !is_no_state(at)) {
            g_autofree char *name = g_strdup_printf("X86CPU+%zu", at);

            same = report(tb, name, want, have);
        }
    }
    return same;
}

/* After @count instructions of @tb. */
static bool compare_state(const X86CPU *cpu, const TransBlock *tb, unsigned count,
                          const LockstepState *got)
{
    uint8_t unknown = tb->insns[count].undefined;
    uint32_t undefined = (unknown & 0xd5) | (unknown & 2 ? FL_OF : 0);
    bool same = true;

    for (unsigned i = 0; i < R_COUNT; i++) {
        uint64_t have = CORE_FIELD(got, regs[i]);

        if (have != cpu->regs[i]) {
            g_autofree char *name = g_strdup_printf("register %u", i);

            same = report(tb, name, cpu->regs[i], have);
        }
    }
    if ((CORE_FIELD(got, cc) ^ cpu->cc) & ~undefined) {
        same = report(tb, "flags", cpu->cc, CORE_FIELD(got, cc));
    }
    same = compare_system(cpu, tb, got) && same;
    if (got->kernel_gs_base != cpu->msr_kernel_gs_base) {
        same = report(tb, "kernel GS base", cpu->msr_kernel_gs_base, got->kernel_gs_base);
    }
    return (!tb->vectors || compare_vectors(cpu, tb, got)) && same;
}

/*
 * True if @got has but the accessed and dirty bits of a page-table entry more than what is at
 * @host, and the translated run left an instruction for later, whose walk may have set them.
 */
static bool walked_ahead(const Lockstep *l, uint8_t got, const uint8_t *host)
{
    enum { ACCESSED_DIRTY = 0x60 };

    return !l->whole && !((uintptr_t)host & 3) && (got & ~ACCESSED_DIRTY) == *host;
}

/* Bytes that are no one's write in the interpreter stay as they were before. */
static bool compare_memory(const TransBlock *tb, const Lockstep *l, unsigned count)
{
    bool same = true;

    for (unsigned i = 0; i < count; i++) {
        const LockstepWrite *write = &l->writes[i];
        const uint8_t *got = l->bytes_after + write->at;

        for (unsigned at = 0; at < write->size && memcmp(got, write->host, write->size); at++) {
            if (got[at] != write->host[at] && !walked_ahead(l, got[at], write->host + at)) {
                g_autofree char *name =
                    g_strdup_printf("byte %u of write %u, at page offset %#x", at, i,
                                    (unsigned)((uintptr_t)write->host + at) & 0xfff);

                same = report(tb, name, write->host[at], got[at]);
            }
        }
    }
    return same;
}

/* --- the run in the interpreter ----------------------------------------------------------- */

static bool memory_differs(const Lockstep *l, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        const LockstepWrite *write = &l->writes[i];

        if (memcmp(l->bytes_after + write->at, write->host, write->size)) {
            return true;
        }
    }
    return false;
}

static void log_code(const TransBlock *tb, unsigned count)
{
    GString *bytes = g_string_new(NULL);
    const uint8_t *code = block_code(tb->block);

    for (unsigned i = 0; i < tb->block->bytes; i++) {
        g_string_append_printf(bytes, "%02x ", code[i]);
    }
    g_printerr("lockstep: %u of %u instructions, code %s\n", count, tb->count, bytes->str);
    g_string_free(bytes, true);
}

/* A repeated instruction of the translated run was done to its end, the interpreter's may pause. */
static void interpret(X86CPU *cpu, const Block *block, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        const Insn *insn = &block->insns[i];
        uint64_t rip = cpu->cpu_rip;

        cpu->insn = insn;
        do {
            insn->fn(cpu, insn);
        } while ((insn->flags & (INSN_REP | INSN_REPNE)) && (insn->flags & INSN_END) &&
                 cpu->cpu_rip == rip);
        cpu->cpu_rip += insn->flags & INSN_END ? 0 : insn->len;
    }
    cpu->icount += count;
}

void lockstep_begin(Jit *jit, const TransBlock *tb)
{
    Lockstep *l = jit->lockstep;

    take(&l->before, jit->cpu, tb->vectors);
    l->count = l->bytes = 0;
    lockstep_stopped(jit, 0, false);
}

/* RIP behind an indirect branch, which led to the way out by an entry made for it. */
static void end_branch(Jit *jit)
{
    X86CPU *cpu = jit->cpu;

    if (cpu->jit.lockstep_tag) {
        if (jit->lockstep->whole) {
            cpu->cpu_rip = jit->lockstep->target;
        }
        *cpu->jit.lockstep_tag = 0;
        cpu->jit.lockstep_tag = NULL;
    }
}

/* Undoes what either engine wrote, and lets the interpreter do it again. */
static void interpret_again(Jit *jit, const TransBlock *tb, unsigned count, unsigned writes)
{
    Lockstep *l = jit->lockstep;

    for (unsigned i = writes; i-- > 0;) {
        memcpy(l->writes[i].host, l->bytes_before + l->writes[i].at, l->writes[i].size);
    }
    put(&l->before, jit->cpu, tb->vectors);
    interpret(jit->cpu, tb->block, count);
}

/* Translated STI makes a shadow without a look at whether IF was set before (Link.shadow). */
static void forgive_shadow(const X86CPU *cpu, LockstepState *after)
{
    if (!cpu->interrupt_shadow && (cpu->eflags & FL_IF)) {
        after->core[offsetof(X86CPU, interrupt_shadow) - LOCKSTEP_CORE_FIRST] = false;
    }
}

void lockstep_end(Jit *jit, const TransBlock *tb)
{
    Lockstep *l = jit->lockstep;
    X86CPU *cpu = jit->cpu;
    unsigned count = l->whole ? tb->count : l->executed, writes = l->count;
    bool same;

    end_branch(jit);
    take(&l->after, cpu, tb->vectors);
    for (unsigned i = 0; i < writes; i++) {
        memcpy(l->bytes_after + l->writes[i].at, l->writes[i].host, l->writes[i].size);
    }
    lockstep_undo(l, 0);
    put(&l->before, cpu, tb->vectors);
    interpret(cpu, tb->block, count);
    if (memory_differs(l, writes)) {
        /* A page table that the block wrote to has lost the bits of its own walk, maybe. */
        mmu_flush(cpu);
        interpret_again(jit, tb, count, writes);
    }
    l->blocks++;
    l->insns += count;
    forgive_shadow(cpu, &l->after);
    same = compare_state(cpu, tb, count, &l->after);
    same = compare_memory(tb, l, writes) && same;
    if (!same) {
        log_code(tb, count);
        if (++l->differences == DIFFERENCES_MAX) {
            g_error("lockstep: too many differences");
        }
    }
}
