/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The translator's life, and how the run loop gets into translated code and out of it. */
#include "accel/tcg/jit.h"

#include <asm/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "accel/tcg/lockstep.h"
#include "accel/tcg/perf.h"
#include "accel/tcg/x87.h"
#include "target-i386/mmu.h"
#include "util/log.h"
#include "util/timer.h"

#define HOT_AFTER       4u  /* interpretations */
#define REWRITES_MAX    4u  /* that make them twice as many each */
#define GROUP_FAILURES 16u  /* that are looked at together */
/* Host TSC ticks, in units of 1024, in which they are too many: one failure costs some 1000. */
#define GROUP_PATIENCE (GROUP_FAILURES * 20u)
#define SPACES       1024u  /* that salts can tell apart */

/* Whose state this thread's GS points to. */
static __thread X86CPU *gs_owner;

static void point_gs(X86CPU *cpu)
{
    if (G_UNLIKELY(gs_owner != cpu)) {
        syscall(SYS_arch_prctl, ARCH_SET_GS, cpu);
        gs_owner = cpu;
    }
}

/* --- address spaces ------------------------------------------------------------------ */

void jit_forget_jumps(Jit *jit)
{
    memset(jit->cpu->jit.jumps, 0, sizeof(jit->cpu->jit.jumps));
    memset(jit->jumps2, 0, sizeof(jit->jumps2[0]) * JUMP2_SETS);
    jit->local_count = 0;
}

/* The number of the space whose map_generation is @generation; the oldest makes room for it. */
static unsigned space_number(Jit *jit, uint64_t generation)
{
    JitSpace *space;

    for (unsigned i = 0; i < G_N_ELEMENTS(jit->spaces); i++) {
        if (jit->spaces[i].generation == generation) {
            return jit->spaces[i].number;
        }
    }
    space = &jit->spaces[jit->space_victim++ % G_N_ELEMENTS(jit->spaces)];
    *space = (JitSpace){.generation = generation, .number = ++jit->last_space};
    return space->number;
}

void jit_note_map(Jit *jit)
{
    const X86CPU *cpu = jit->cpu;
    bool global = jit->map_global_generation != cpu->map_global_generation;

    if (!global && jit->map_generation == cpu->map_generation) {
        return;
    }
    jit->map_generation = cpu->map_generation;
    jit->map_global_generation = cpu->map_global_generation;
    jit_map_changed(jit, global);
    if (jit->last_space >= SPACES - 3) {
        jit_forget_jumps(jit);
        memset(jit->spaces, 0, sizeof(jit->spaces));
        jit->last_space = 0;
        global = true;
    }
    if (global) {
        jit->global_space = ++jit->last_space;
    }
    jit->user_space = space_number(jit, jit->map_generation);
}

void jit_kick(Vcpu *vcpu, uint32_t bits)
{
    X86CPU *cpu = x86_cpu(vcpu);

    __atomic_store_n(&cpu->jit.poll, 1, __ATOMIC_SEQ_CST);
    __atomic_fetch_or(&cpu->jit.salt, JIT_SALT_POISON, __ATOMIC_SEQ_CST);
}

/* --- running ---------------------------------------------------------------------- */

void jit_group_failed(Jit *jit, TransBlock *tb, unsigned kind)
{
    uint32_t now = __builtin_ia32_rdtsc() >> 10;

    jit->stats.group_failed++;
    if (++tb->group_failed < GROUP_FAILURES) {
        return;
    }
    tb->group_failed = 0;
    if (now - tb->group_time < GROUP_PATIENCE) {
        jit_retranslate(jit, tb, kind);
    }
    tb->group_time = now;
}

/*
 * Code that was overwritten soon after it was translated will be again: the more often, the longer
 * the block is watched, until interpreting it has cost what a translation does.
 */
static bool is_hot(const Jit *jit, const Block *block)
{
    return block->heat >= jit->threshold << MIN(block->rewrites, REWRITES_MAX);
}

TransBlock *jit_find_or_translate(Jit *jit, Block *block, uint32_t mode)
{
    TransBlock *tb = jit_find(jit, block, mode);

    if (G_UNLIKELY(!tb)) {
        if (!is_hot(jit, block) || block->bytes == 0) {
            block->heat++;
            jit->stats.interpreted++;
            return NULL;
        }
        return jit_translate(jit, block, mode,
                             jit->debug.no_groups ? JIT_NO_STACK | JIT_NO_ADDRESS : 0);
    }
    if (G_UNLIKELY(tb->ungroup)) {
        unsigned no_groups = tb->no_groups | tb->ungroup;

        jit_block_drop(jit, tb);
        return jit_translate(jit, block, mode, no_groups);
    }
    return tb;
}

/* What the links and the jump cache learn of where @tb was found. */
static void learn(Jit *jit, TransBlock *tb, uint64_t salt)
{
    Link *link = jit->pending_link;
    bool global = code_found_global(jit->cpu, tb->block);

    jit->pending_link = NULL;
    if (jit->lockstep) {
        return;
    }
    if (!jit->debug.no_jump_cache) {
        jit_remember(jit, tb, salt, global);
    }
    if (link && !jit->debug.no_chain && link->target == tb->rip && link->mode == tb->mode &&
        link->cs_base == tb->cs_base) {
        jit_link(jit, link, tb, global);
    }
}

/* Sets the salt; false if another thread wants attention. */
static bool set_salt(X86CPU *cpu, uint64_t salt)
{
    __atomic_store_n(&cpu->jit.salt, salt, __ATOMIC_SEQ_CST);
    /* A kick may have spoiled the salt of before: the run loop looks again. */
    return !__atomic_load_n(&cpu->jit.poll, __ATOMIC_SEQ_CST);
}

const void *jit_next(X86CPU *cpu)
{
    Jit *jit = cpu->jit.jit;
    uint32_t mode = jit_mode(cpu);
    const void *host;
    uint64_t salt;

    if (vcpu_pending(&cpu->vcpu) || cpu->vcpu.halted || cpu->debug_active ||
        mode == MODE_NEVER || log_enabled(LOG_EXEC) || jit_debug_by_entry(jit) || jit->counting) {
        return NULL;
    }
    jit_note_map(jit);
    salt = jit_salt(jit, mode);
    if (!salt) {
        return NULL;
    }
    host = jit_find_jump(jit, cpu->cpu_rip, salt);
    if (!host) {
        Block *block = code_find(cpu, code_jump_entries(cpu->code));
        /* Behind STI the run loop interprets, so that the block must become hot here. */
        TransBlock *tb = cpu->interrupt_shadow ? jit_find_or_translate(jit, block, mode)
                                               : jit_find(jit, block, mode);

        if (!tb || tb->ungroup) {
            return NULL;
        }
        learn(jit, tb, salt);
        host = tb->entry_m;
    }
    jit->known_pending = 0;
    if (!set_salt(cpu, salt)) {
        return NULL;
    }
    cpu->interrupt_shadow = false; /* the next instruction runs now, and no event before it */
    jit_flags_from_cpu(cpu);
    cpu->jit.leave = false;
    jit->stats.next++;
    return host;
}

/* After translated code was left by a link: RIP is its target. */
static void after_link(Jit *jit)
{
    X86CPU *cpu = jit->cpu;
    Link *link = g_ptr_array_index(jit->links, cpu->jit.exit_link - 1);

    cpu->jit.exit_link = 0;
    cpu->cpu_rip = link->target;
    cpu->interrupt_shadow |= link->shadow;
    jit->pending_link = link;
}

/* Lets code run up to the instruction before the limit; false if that is within @tb. */
static bool budget_begin(Jit *jit, const TransBlock *tb)
{
    X86CPU *cpu = jit->cpu;
    uint64_t left = MIN(cpu->icount_limit - cpu->icount, INT32_MAX);

    cpu->jit.budget = (int32_t)left;
    jit->count_end = cpu->icount + left;
    return left >= tb->count;
}

static void run_in_lockstep(Jit *jit, TransBlock *tb)
{
    X86CPU *cpu = jit->cpu;

    lockstep_begin(jit, tb);
    jit->enter(tb->entry_m);
    jit_x87_settle(cpu);
    jit_flags_to_cpu(cpu);
    if (cpu->jit.exit_link) {
        lockstep_stopped(jit, 0, true);
        after_link(jit);
    }
    jit->pending_link = NULL;
    lockstep_end(jit, tb);
}

/*
 * Behind STI the run loop would interpret one instruction: what follows is found, made hot and
 * joined here.
 */
static void run_code(Jit *jit, const void *host)
{
    X86CPU *cpu = jit->cpu;

    do {
        cpu->jit.flags_left = false;
        jit->enter(host);
        if (jit->counting) {
            cpu->icount = jit->count_end - cpu->jit.budget;
        }
        if (cpu->jit.flags_left) {
            jit_flags_to_cpu(cpu);
        }
        jit_x87_settle(cpu);
        if (!cpu->jit.exit_link) {
            return;
        }
        after_link(jit);
        host = cpu->interrupt_shadow ? jit_next(cpu) : NULL;
    } while (host);
}

bool jit_run(X86CPU *cpu, Block *block)
{
    Jit *jit = cpu->jit.jit;
    uint32_t mode = jit_mode(cpu);
    TransBlock *tb;
    uint64_t salt;

    if (jit->turns) {
        turns_pass(jit->turns);
    }
    if (jit_debug_before(jit)) {
        return true;
    }
    jit_note_map(jit);
    if (jit->skip || mode == MODE_NEVER || log_enabled(LOG_EXEC)) {
        jit->skip = false;
        jit->pending_link = NULL;
        return false;
    }
    salt = jit_salt(jit, mode);
    tb = salt ? jit_find_or_translate(jit, block, mode) : NULL;
    if (!tb) {
        if (jit->flush_wanted || !salt) {
            jit_flush(jit);
        }
        jit->pending_link = NULL;
        return false;
    }
    if (jit->counting && !budget_begin(jit, tb)) {
        jit->pending_link = NULL;
        return false;
    }
    learn(jit, tb, salt);
    jit->known_pending = vcpu_pending(&cpu->vcpu);
    if (!set_salt(cpu, salt)) {
        return true;
    }
    if (jit_debug_exit(jit)) {
        jit_kick(&cpu->vcpu, 0);
    }
    jit_flags_from_cpu(cpu);
    cpu->jit.leave = false;
    point_gs(cpu);
    jit->stats.entries++;
    if (jit->lockstep) {
        run_in_lockstep(jit, tb);
        return true;
    }
    run_code(jit, tb->entry_m);
    return true;
}

/* --- life ----------------------------------------------------------------------------- */

static unsigned host_vector_kind(void)
{
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw")) {
        return VEC_AVX512;
    }
    return __builtin_cpu_supports("avx") ? VEC_AVX : VEC_SSE;
}

Jit *jit_new(X86CPU *cpu, const JitOptions *options, GError **error)
{
    Jit *jit = g_new0(Jit, 1);

    jit->cpu = cpu;
    if (!code_buffer_init(&jit->buffer, options->code_size,
                          jit_perf_wants_anonymous(options->perf), error)) {
        g_free(jit);
        return NULL;
    }
    jit->pool = pool_new();
    jit->blocks = g_ptr_array_new();
    jit->links = g_ptr_array_new();
    for (unsigned i = 0; i < G_N_ELEMENTS(jit->slots_used); i++) {
        jit->slots_used[i].links = g_new(Link *, JIT_SLOTS);
    }
    jit->jumps2 = g_malloc0(sizeof(Jump2[JUMP2_WAYS]) * JUMP2_SETS);
    jit->local_jumps = g_new(uint16_t, 1u << JIT_JUMP_BITS);
    jit->trans = trans_new();
    jit->stats.first_ticks = __builtin_ia32_rdtsc();
    jit->stats.first_us = g_get_monotonic_time();
    jit->stats.fallbacks = g_new0(uint64_t, ZYDIS_MNEMONIC_MAX_VALUE + 1);
    jit->debug = options->debug;
    jit->threshold = options->debug.has_hot ? options->debug.hot : HOT_AFTER;
    jit->exact = options->debug.exact;
    jit->counting = options->counting;
    jit->bmi2 = __builtin_cpu_supports("bmi2");
    jit->vec_kind = host_vector_kind();
    jit->x87_fits = x87_host_fits();
    jit_emit_trampolines(jit);
    jit->perf = options->perf;
    if (jit->perf) {
        jit_perf_name(jit->perf, "trampolines", jit->buffer.rx, jit->buffer.hot - jit->buffer.rw);
    }
    if (options->lockstep) {
        jit->lockstep = lockstep_new(cpu);
        jit->turns = options->turns;
        jit->exact = true;
    }
    cpu->jit.cpu = cpu;
    cpu->jit.jit = jit;
    cpu->jit.mxcsr_default = 0x1f80;
    cpu->jit.clock = clock_vm_anchor();
    cpu->engine = jit_run;
    code_cache_watch(cpu->code, &jit_code_watcher, jit);
    code_cache_limit(cpu->code, options->debug.one_insn ? 1 : BLOCK_MAX_INSNS);
    return jit;
}

void jit_free(Jit *jit)
{
    jit_flush(jit);
    code_cache_watch(jit->cpu->code, NULL, NULL);
    jit->cpu->engine = NULL;
    jit->cpu->jit.jit = NULL;
    g_ptr_array_free(jit->blocks, true);
    pool_destroy(jit->pool);
    g_ptr_array_free(jit->links, true);
    for (unsigned i = 0; i < G_N_ELEMENTS(jit->slots_used); i++) {
        g_free(jit->slots_used[i].links);
    }
    g_free(jit->jumps2);
    g_free(jit->local_jumps);
    trans_free(jit->trans);
    lockstep_free(jit->cpu, jit->lockstep);
    g_free(jit->stats.fallbacks);
    code_buffer_clear(&jit->buffer);
    g_free(jit);
}
