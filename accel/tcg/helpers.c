/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What translated code calls: TLB misses, and instructions that the interpreter carries out. */
#include "accel/tcg/lockstep.h"
#include "accel/tcg/x87.h"

#include "target-i386/mmu.h"

/* True if translated code may go on behind an interpreted instruction. */
static bool may_go_on(const X86CPU *cpu, const Jit *jit, const TransBlock *tb,
                      const SiteInfo *site)
{
    return !cpu->jit.leave && vcpu_pending((Vcpu *)&cpu->vcpu) == jit->known_pending &&
           (!jit->counting || cpu->icount_limit >= jit->count_end) &&
           !cpu->interrupt_shadow && !cpu->debug_active &&
           cpu->map_generation == jit->map_generation &&
           jit_mode(cpu) == mode_with_view(tb->mode, site->view);
}

/*
 * The instruction of @site begins, as all before it in its block did, while those behind it, which
 * the block took from the budget too, have not.
 */
static void count_begun(X86CPU *cpu, const Jit *jit, const TransBlock *tb, const SiteInfo *site)
{
    if (jit->counting) {
        cpu->icount = jit->count_end - cpu->jit.budget - (tb->count - site->insn - 1);
    } else {
        cpu->icount++;
    }
}

/* Leaves translated code in the middle of a block. */
static const void *leave_block(X86CPU *cpu, const Jit *jit)
{
    cpu->jit.budget = (int32_t)(jit->count_end - cpu->icount);
    return NULL;
}

/* Code goes on behind @site: it finds loaded what it relies on. */
static void want_state(X86CPU *cpu, const SiteInfo *site)
{
    cpu->jit.vec_wanted = site->vec;
    cpu->jit.x87_wanted = site->flags & SITE_X87;
}

const void *jit_slow(X86CPU *cpu, const SiteInfo *site, uint64_t va)
{
    Jit *jit = cpu->jit.jit;
    TransBlock *tb = g_ptr_array_index(jit->blocks, site->tb);
    const Insn *insn = &tb->block->insns[site->insn];
    uint64_t rip = tb->rip + site->offset;

    jit_x87_settle(cpu);
    cpu->cpu_rip = rip;
    if (site->flags & SITE_FLAGS) {
        jit_flags_to_cpu(cpu);
    }
    jit_move_sp(cpu, tb->mode, site->sp_lag);
    if (jit->lockstep) { /* nothing is interpreted here: the comparison ends before it */
        lockstep_stopped(jit, site->insn, false);
        jit->skip = true;
        return NULL;
    }
    if (site->flags & SITE_GROUP) {
        jit->skip = true;
        jit_group_failed(jit, tb, site->flags & SITE_STACK ? JIT_NO_STACK : JIT_NO_ADDRESS);
        cpu->jit.budget += tb->count - site->insn;
        return NULL;
    }
    jit->stats.slow++;
    jit->stats.fallbacks[insn->mnemonic]++;
    cpu->insn = insn;
    count_begun(cpu, jit, tb, site);
    insn->fn(cpu, insn); /* it may write over its own block: then there is no @tb behind it */
    if (insn->flags & INSN_END) {
        /* Repetition that came to its end goes on behind it. */
        if (!(site->flags & SITE_STRING) || cpu->cpu_rip == rip) {
            cpu->jit.vec_wanted = VEC_NONE;
            cpu->jit.x87_wanted = false;
            return jit_next(cpu) ?: leave_block(cpu, jit);
        }
    } else {
        cpu->cpu_rip += insn->len;
    }
    if (!may_go_on(cpu, jit, tb, site)) {
        return leave_block(cpu, jit);
    }
    jit_flags_from_cpu(cpu);
    want_state(cpu, site);
    jit_move_sp(cpu, tb->mode, -tb->insns[site->insn + 1].sp_lag);
    return jit->buffer.rx + tb->insns[site->insn + 1].host;
}
