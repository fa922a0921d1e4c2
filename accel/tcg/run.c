/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The translator's life, and how the run loop gets into translated code and out of it. */
#include "accel/tcg/jit.h"

#include <asm/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "accel/tcg/x87.h"
#include "target-i386/mmu.h"
#include "util/log.h"

#define HOT_AFTER       4u  /* interpretations */
#define GROUP_FAILURES 16u  /* that are looked at together */
#define GROUP_PATIENCE (GROUP_FAILURES * 3000u) /* host TSC ticks in which they are too many */
#define STRAYS         64u  /* supervisor blocks in pages that are not global */

/* Whose state this thread's GS points to. */
static __thread X86CPU *gs_owner;

static void point_gs(X86CPU *cpu)
{
    if (G_UNLIKELY(gs_owner != cpu)) {
        syscall(SYS_arch_prctl, ARCH_SET_GS, cpu);
        gs_owner = cpu;
    }
}

/* --- salts ------------------------------------------------------------------------ */

static unsigned mode_number(Jit *jit, uint32_t mode)
{
    for (unsigned i = 0; i < jit->mode_count; i++) {
        if (jit->modes[i] == mode) {
            return i + 1;
        }
    }
    if (jit->mode_count == G_N_ELEMENTS(jit->modes) - 1) {
        jit->mode_count = 0;
        memset(jit->cpu->jit.jump_tag, 0, sizeof(jit->cpu->jit.jump_tag));
    }
    jit->modes[jit->mode_count++] = mode;
    return jit->mode_count;
}

/*
 * To be added to addresses: bits 61:48, in which canonical ones of one half are alike; never 0.
 */
static uint64_t salt_of(Jit *jit, uint32_t mode)
{
    bool global = !(mode & MODE_USER) && jit->strays < STRAYS;
    uint32_t epoch = global ? jit->global_epoch : jit->epoch;

    return ((uint64_t)(epoch % JIT_EPOCHS) << 4 | mode_number(jit, mode)) << 48;
}

/* True if the jump cache may name @block under the salt of @mode. */
static bool salt_fits(Jit *jit, uint32_t mode, bool global)
{
    if ((mode & MODE_USER) || global || jit->strays >= STRAYS) {
        return true;
    }
    if (++jit->strays == STRAYS) {
        memset(jit->cpu->jit.jump_tag, 0, sizeof(jit->cpu->jit.jump_tag));
    }
    return false;
}

static void note_map(Jit *jit)
{
    X86CPU *cpu = jit->cpu;

    if (jit->map_generation != cpu->map_generation) {
        jit_map_changed(jit, jit->map_global_generation != cpu->map_global_generation);
        jit->map_generation = cpu->map_generation;
        jit->map_global_generation = cpu->map_global_generation;
    }
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
    uint64_t now = __builtin_ia32_rdtsc();

    jit->stats.group_failed++;
    if (++tb->group_failed < GROUP_FAILURES) {
        return;
    }
    tb->group_failed = 0;
    if (now - tb->group_time < GROUP_PATIENCE) {
        tb->ungroup = kind; /* later: its code is running */
        jit_isolate(jit, tb);
    }
    tb->group_time = now;
}

/* The translation to run, made if the block is hot; NULL: none. */
static TransBlock *find_or_translate(Jit *jit, Block *block, uint32_t mode)
{
    TransBlock *tb = jit_find(jit, block, mode);

    if (G_UNLIKELY(!tb)) {
        if (block->heat < jit->threshold || block->bytes == 0) {
            block->heat++;
            return NULL;
        }
        return jit_translate(jit, block, mode, 0);
    }
    if (G_UNLIKELY(tb->ungroup)) {
        unsigned no_groups = tb->no_groups | tb->ungroup;

        jit_block_drop(jit, tb);
        return jit_translate(jit, block, mode, no_groups);
    }
    return tb;
}

/* What the links and the jump cache learn of where @tb was found. */
static void remember(Jit *jit, TransBlock *tb)
{
    X86JitState *state = &jit->cpu->jit;
    unsigned i = jit_jump_hash(tb->rip);
    bool global = code_found_global(jit->cpu, tb->block);

    if (jit->lockstep) {
        return;
    }
    if (salt_fits(jit, tb->mode, global)) {
        state->jump_tag[i] = -(tb->rip + salt_of(jit, tb->mode));
        state->jump_f[i] = tb->entry;
        state->jump_m[i] = tb->entry_m;
    }
    if (jit->pending_link) {
        if (jit->pending_link->target == tb->rip) {
            jit_link(jit, jit->pending_link, tb, global);
        }
        jit->pending_link = NULL;
    }
}

/* After translated code was left by a link: RIP is its target. */
static void after_link(Jit *jit)
{
    X86CPU *cpu = jit->cpu;
    Link *link = g_ptr_array_index(jit->links, cpu->jit.exit_link - 1);

    cpu->jit.exit_link = 0;
    cpu->cpu_rip = link->target;
    jit->pending_link = link;
    jit_flags_to_cpu(cpu);
}

static void run_in_lockstep(Jit *jit, TransBlock *tb)
{
    X86CPU *cpu = jit->cpu;

    lockstep_begin(jit);
    jit->enter(tb->entry_m);
    jit_x87_settle(cpu);
    jit_flags_to_cpu(cpu);
    if (cpu->jit.exit_link) {
        lockstep_stopped(jit, 0, true);
        after_link(jit);
    }
    jit->pending_link = NULL;
    if (cpu->jit.lockstep_tag) {
        *cpu->jit.lockstep_tag = 0;
        cpu->jit.lockstep_tag = NULL;
    }
    lockstep_end(jit, tb);
}

bool jit_run(X86CPU *cpu, Block *block)
{
    Jit *jit = cpu->jit.jit;
    uint32_t mode = jit_mode(cpu);
    TransBlock *tb;
    uint64_t salt;

    note_map(jit);
    if (jit->skip || mode == MODE_NEVER || log_enabled(LOG_EXEC)) {
        jit->skip = false;
        jit->pending_link = NULL;
        return false;
    }
    tb = find_or_translate(jit, block, mode);
    if (!tb) {
        if (jit->flush_wanted) {
            jit_flush(jit);
        }
        jit->pending_link = NULL;
        return false;
    }
    remember(jit, tb);
    salt = salt_of(jit, mode);
    jit->known_pending = vcpu_pending(&cpu->vcpu);
    __atomic_store_n(&cpu->jit.salt, salt, __ATOMIC_SEQ_CST);
    if (__atomic_load_n(&cpu->jit.poll, __ATOMIC_SEQ_CST)) {
        return true; /* a kick spoiled the salt of before: the run loop looks again */
    }
    jit_flags_from_cpu(cpu);
    cpu->jit.leave = false;
    point_gs(cpu);
    jit->stats.entries++;
    if (jit->lockstep) {
        run_in_lockstep(jit, tb);
        return true;
    }
    jit->enter(tb->entry_m);
    jit_x87_settle(cpu);
    if (cpu->jit.exit_link) {
        after_link(jit);
    }
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
    if (!code_buffer_init(&jit->buffer, options->code_size, error)) {
        g_free(jit);
        return NULL;
    }
    ZydisDecoderInit(&jit->decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
    jit->blocks = g_ptr_array_new();
    jit->links = g_ptr_array_new();
    jit->slots_used[false] = g_ptr_array_new();
    jit->slots_used[true] = g_ptr_array_new();
    jit->trans = g_new0(Trans, 1);
    jit->stats.fallbacks = g_new0(uint64_t, ZYDIS_MNEMONIC_MAX_VALUE + 1);
    jit->threshold = HOT_AFTER;
    jit->bmi2 = __builtin_cpu_supports("bmi2");
    jit->vec_kind = host_vector_kind();
    jit->x87_fits = x87_host_fits();
    jit->map_generation = cpu->map_generation;
    jit->map_global_generation = cpu->map_global_generation;
    jit_emit_trampolines(jit);
    if (options->lockstep) {
        jit->lockstep = lockstep_new();
        jit->exact = true;
    }
    cpu->jit.cpu = cpu;
    cpu->jit.jit = jit;
    cpu->jit.mxcsr_default = 0x1f80;
    cpu->engine = jit_run;
    code_cache_watch(cpu->code, jit_block_dropped, jit);
    return jit;
}

void jit_free(Jit *jit)
{
    jit_flush(jit);
    code_cache_watch(jit->cpu->code, NULL, NULL);
    jit->cpu->engine = NULL;
    jit->cpu->jit.jit = NULL;
    g_ptr_array_free(jit->blocks, true);
    g_ptr_array_free(jit->links, true);
    g_ptr_array_free(jit->slots_used[false], true);
    g_ptr_array_free(jit->slots_used[true], true);
    g_free(jit->trans);
    lockstep_free(jit->lockstep);
    g_free(jit->stats.fallbacks);
    code_buffer_clear(&jit->buffer);
    g_free(jit);
}
