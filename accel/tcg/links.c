/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Ways from one translated block to the next: direct links and the jump cache. Compiled for general
 * registers only, since the guest's vector state stays in the host's while a link is joined.
 */
#include "accel/tcg/jit.h"

static void link_to(Jit *jit, Link *link, const uint8_t *code)
{
    if (link->at) {
        patch_rel32(jit->buffer.rw + link->at, code_rw(&jit->buffer, code));
    } else {
        jit->cpu->jit.slots[link->slot] = code;
    }
}

void jit_unlink(Jit *jit, Link *link)
{
    TransBlock *to = link->to;

    if (!to) {
        return;
    }
    link_to(jit, link, jit->buffer.rx + link->stub);
    if (link->prev) {
        link->prev->next = link->next;
    } else {
        to->incoming = link->next;
    }
    if (link->next) {
        link->next->prev = link->prev;
    }
    link->to = NULL;
}

/* --- slots ---------------------------------------------------------------------------- */

void jit_slot_unused(Jit *jit, Link *link)
{
    SlotList *list = &jit->slots_used[link->global];

    if (link->used_index >= 0) {
        Link *last = list->links[--list->count];

        last->used_index = link->used_index;
        list->links[link->used_index] = last;
        link->used_index = -1;
    }
}

static void slot_used(Jit *jit, Link *link, bool global)
{
    SlotList *list = &jit->slots_used[global];

    if (link->used_index >= 0) {
        if (link->global == global) {
            return;
        }
        jit_slot_unused(jit, link);
    }
    link->global = global;
    link->used_index = list->count;
    list->links[list->count++] = link;
}

static void reset_slots(Jit *jit, SlotList *list)
{
    for (unsigned i = 0; i < list->count; i++) {
        jit_unlink(jit, list->links[i]);
        list->links[i]->used_index = -1;
    }
    list->count = 0;
}

/* --- links ------------------------------------------------------------------------------- */

void jit_link(Jit *jit, Link *link, TransBlock *to, bool global)
{
    if (link->to || (link->at && to->block->ram2 != UINT64_MAX) ||
        (link->shadow && to->may_leave_first)) {
        return; /* the second page of a block may change behind a jump within the first */
    }
    link->to = to;
    link->prev = NULL;
    link->next = to->incoming;
    if (to->incoming) {
        to->incoming->prev = link;
    }
    to->incoming = link;
    link_to(jit, link, link->flags_in_memory ? to->entry_m : to->entry);
    if (!link->at) {
        slot_used(jit, link, global);
    }
    jit->stats.links++;
}

void jit_map_changed(Jit *jit, bool global)
{
    reset_slots(jit, &jit->slots_used[false]);
    if (global) {
        reset_slots(jit, &jit->slots_used[true]);
    }
    for (unsigned i = 0; i < jit->local_count; i++) {
        jit->cpu->jit.jumps[jit->local_jumps[i]].tag = 0;
    }
    jit->local_count = 0;
    jit->stats.map_changes++;
    jit->stats.global_changes += global;
}

/* --- the jump cache --------------------------------------------------------------------- */

static Jump2 *jump2_set(Jit *jit, uint64_t tag)
{
    return jit->jumps2[(tag * 0x9e3779b97f4a7c15) >> 52];
}

static void enter_jump(Jit *jit, TransBlock *tb, uint64_t tag, bool global)
{
    jit->cpu->jit.jumps[jit_jump_hash(tb->rip)] = (JitJump){
        .tag = -tag, .host = tb->entry, .host_m = tb->entry_m, .block = (uintptr_t)tb | global};
}

static void enter_jump2(Jit *jit, const TransBlock *tb, uint64_t tag, bool global)
{
    Jump2 *set = jump2_set(jit, tag), *place = NULL;

    for (unsigned way = 0; way < JUMP2_WAYS; way++) {
        if (set[way].tag == tag || !set[way].tag) {
            place = &set[way];
            break;
        }
    }
    if (!place) {
        place = &set[jit->jump2_victim++ % JUMP2_WAYS];
    }
    *place = (Jump2){.tag = tag, .id = tb->id, .moved = tb->moved, .global = global};
}

/*
 * Supervisor code has one salt in all address spaces, for most of it is on global pages; what is
 * not is listed, to be forgotten with the address space.
 */
void jit_remember(Jit *jit, TransBlock *tb, uint64_t salt, bool global)
{
    uint64_t tag = tb->rip + salt;

    if ((tb->mode & MODE_USER) || global) {
        enter_jump2(jit, tb, tag, global);
    } else {
        if (jit->local_count == 1u << JIT_JUMP_BITS) {
            return;
        }
        jit->local_jumps[jit->local_count++] = jit_jump_hash(tb->rip);
    }
    enter_jump(jit, tb, tag, global);
}

const TransBlock *jit_refill_jump(Jit *jit, uint64_t tag)
{
    const Jump2 *set = jump2_set(jit, tag);

    for (unsigned way = 0; way < JUMP2_WAYS; way++) {
        if (set[way].tag == tag) {
            TransBlock *tb = jit->blocks->pdata[set[way].id];

            if (!tb || tb->ungroup || tb->moved != set[way].moved) {
                return NULL;
            }
            enter_jump(jit, tb, tag, set[way].global);
            jit->stats.refills++;
            return tb;
        }
    }
    return NULL;
}

const void *jit_find_jump(Jit *jit, uint64_t rip, uint64_t salt)
{
    const JitJump *jump = &jit->cpu->jit.jumps[jit_jump_hash(rip)];
    const TransBlock *tb;

    if (jump->tag == -(rip + salt)) {
        return jump->host_m;
    }
    tb = jit_refill_jump(jit, rip + salt);
    return tb ? tb->entry_m : NULL;
}

const void *jit_follow(X86CPU *cpu)
{
    Jit *jit = cpu->jit.jit;
    Link *link = jit->links->pdata[cpu->jit.exit_link - 1];
    uint64_t salt = __atomic_load_n(&cpu->jit.salt, __ATOMIC_RELAXED);
    const JitJump *jump = &cpu->jit.jumps[jit_jump_hash(link->target)];
    TransBlock *to;

    if (jit->lockstep || jit->debug.no_chain || !jit_find_jump(jit, link->target, salt)) {
        return NULL;
    }
    to = jump_block(jump);
    if (to->mode != link->mode || (link->shadow && to->may_leave_first)) {
        return NULL;
    }
    cpu->jit.exit_link = 0;
    jit->stats.followed++;
    jit_link(jit, link, to, jump_global(jump));
    return to->entry_m;
}

/* --- blocks that are to be no more ---------------------------------------------------------- */

void jit_forget_block(Jit *jit, const TransBlock *tb)
{
    X86JitState *state = &jit->cpu->jit;
    JitJump *jump = &state->jumps[jit_jump_hash(tb->rip)];

    if (jump_block(jump) == tb) {
        jump->tag = 0;
    }
}

void jit_isolate(Jit *jit, TransBlock *tb)
{
    while (tb->incoming) {
        jit_unlink(jit, tb->incoming);
    }
    jit_forget_block(jit, tb);
}

void jit_retranslate(Jit *jit, TransBlock *tb, unsigned kind)
{
    tb->ungroup |= kind; /* later: its code is running */
    jit_isolate(jit, tb);
}
