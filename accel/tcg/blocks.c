/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Translated blocks and the ways between them. All of it belongs to one vCPU and is changed by its
 * thread alone, and never while translated code runs above the same block.
 */
#include "accel/tcg/x87.h"

#include "target-i386/interp/vector.h"

uint32_t jit_mode(const X86CPU *cpu)
{
    uint32_t mode = cpu->mmu_view << MODE_VIEW_SHIFT | (cpu->cpl == 3 ? MODE_USER : 0);
    bool usable = !(cpu->cr0 & (CR0_TS | CR0_EM));
    bool masked = (cpu->x87.mxcsr & MXCSR_MASKS) == MXCSR_MASKS;

    if (cpu->code_size != 64 || ((cpu->cr0 & CR0_AM) && (cpu->eflags & FL_AC) && cpu->cpl == 3)) {
        return MODE_NEVER;
    }
    if (usable && masked && (cpu->cr4 & CR4_OSFXSR)) {
        mode |= MODE_SSE;
    }
    if (usable && x87_mode_fits(cpu) && ((const Jit *)cpu->jit.jit)->x87_fits) {
        mode |= MODE_X87;
    }
    if (!(cpu->cr0 & CR0_TS) && masked && (cpu->cr4 & CR4_OSXSAVE) &&
        !(~cpu->xcr0 & (XCR0_SSE | XCR0_AVX))) {
        mode |= MODE_AVX;
        mode |= ~cpu->xcr0 & XCR0_AVX512 ? 0 : MODE_AVX512;
    }
    return mode | MODE_CODE64;
}

TransBlock *jit_find(Jit *jit, Block *block, uint32_t mode)
{
    uint64_t rip = jit->cpu->cpu_rip;

    for (TransBlock *tb = block->translations; tb; tb = tb->next) {
        if (tb->rip == rip && tb->mode == mode) {
            return tb;
        }
    }
    return NULL;
}

/* --- links ---------------------------------------------------------------------- */

Link *jit_link_new(Jit *jit, TransBlock *from, uint64_t target)
{
    Link *link = &from->links[from->link_count++];

    g_assert(from->link_count <= LINKS_MAX);
    link->from = from;
    link->target = target;
    link->used_index = -1;
    g_ptr_array_add(jit->links, link);
    link->id = jit->links->len; /* from 1 */
    return link;
}

static void link_to(Jit *jit, Link *link, const uint8_t *code)
{
    if (link->at) {
        patch_rel32(link->at, jit->buffer.rw + (code - jit->buffer.rx));
    } else {
        jit->cpu->jit.slots[link->slot] = code;
    }
}

static void unlink_one(Jit *jit, Link *link)
{
    TransBlock *to = link->to;

    if (!to) {
        return;
    }
    link_to(jit, link, link->stub);
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

static void slot_unused(Jit *jit, Link *link)
{
    GPtrArray *used = jit->slots_used[link->global];

    if (link->used_index >= 0) {
        Link *last = g_ptr_array_index(used, used->len - 1);

        last->used_index = link->used_index;
        g_ptr_array_index(used, link->used_index) = last;
        g_ptr_array_set_size(used, used->len - 1);
        link->used_index = -1;
    }
}

void jit_link(Jit *jit, Link *link, TransBlock *to, bool global)
{
    if (link->to || (link->at && to->block->ram2 != UINT64_MAX)) {
        return; /* the second page of a block may change behind a jump within the first */
    }
    if (link->global != global) {
        slot_unused(jit, link);
        link->global = global;
    }
    link->to = to;
    link->prev = NULL;
    link->next = to->incoming;
    if (to->incoming) {
        to->incoming->prev = link;
    }
    to->incoming = link;
    link_to(jit, link, link->flags_in_memory ? to->entry_m : to->entry);
    if (!link->at && link->used_index < 0) {
        link->used_index = jit->slots_used[global]->len;
        g_ptr_array_add(jit->slots_used[global], link);
    }
    jit->stats.links++;
}

static void empty_slots(Jit *jit, GPtrArray *used)
{
    for (unsigned i = 0; i < used->len; i++) {
        Link *link = g_ptr_array_index(used, i);

        unlink_one(jit, link);
        link->used_index = -1;
    }
    g_ptr_array_set_size(used, 0);
}

void jit_map_changed(Jit *jit, bool global)
{
    bool wraps = ++jit->epoch % JIT_EPOCHS == 0;

    empty_slots(jit, jit->slots_used[false]);
    if (global) {
        empty_slots(jit, jit->slots_used[true]);
        wraps |= ++jit->global_epoch % JIT_EPOCHS == 0;
        jit->strays = 0;
    }
    if (wraps) {
        memset(jit->cpu->jit.jump_tag, 0, sizeof(jit->cpu->jit.jump_tag));
    }
    jit->stats.map_changes++;
}

/* --- blocks ------------------------------------------------------------------------ */

TransBlock *jit_block_new(Jit *jit, Block *block, uint32_t mode)
{
    TransBlock *tb = g_malloc0(sizeof(*tb) + (block->count + 1) * sizeof(tb->insns[0]));

    tb->block = block;
    tb->rip = jit->cpu->cpu_rip;
    tb->mode = mode;
    tb->count = block->count;
    tb->id = jit->blocks->len;
    g_ptr_array_add(jit->blocks, tb);
    return tb;
}

void jit_block_publish(Jit *jit, TransBlock *tb)
{
    tb->next = tb->block->translations;
    tb->block->translations = tb;
}

/* The ways out of @tb are no more. */
static void forget_links(Jit *jit, TransBlock *tb)
{
    for (unsigned i = 0; i < tb->link_count; i++) {
        Link *link = &tb->links[i];

        unlink_one(jit, link);
        slot_unused(jit, link);
        g_ptr_array_index(jit->links, link->id - 1) = NULL;
        if (jit->pending_link == link) {
            jit->pending_link = NULL;
        }
    }
}

void jit_block_free(Jit *jit, TransBlock *tb)
{
    forget_links(jit, tb);
    g_ptr_array_index(jit->blocks, tb->id) = NULL;
    g_free(tb);
}

static void jumps_forget(Jit *jit, const TransBlock *tb)
{
    X86JitState *state = &jit->cpu->jit;
    unsigned i = jit_jump_hash(tb->rip);

    if (state->jump_m[i] == tb->entry_m) {
        state->jump_tag[i] = 0;
    }
}

void jit_isolate(Jit *jit, TransBlock *tb)
{
    while (tb->incoming) {
        unlink_one(jit, tb->incoming);
    }
    jumps_forget(jit, tb);
}

void jit_block_drop(Jit *jit, TransBlock *tb)
{
    TransBlock **at = &tb->block->translations;

    while (*at != tb) {
        at = &(*at)->next;
    }
    *at = tb->next;
    jit_isolate(jit, tb);
    jit_block_free(jit, tb);
    jit->cpu->jit.leave = true;
}

void jit_block_dropped(void *opaque, Block *block)
{
    while (block->translations) {
        jit_block_drop(opaque, block->translations);
    }
}

void jit_flush(Jit *jit)
{
    g_ptr_array_set_size(jit->slots_used[false], 0);
    g_ptr_array_set_size(jit->slots_used[true], 0);
    for (unsigned i = 0; i < jit->blocks->len; i++) {
        TransBlock *tb = g_ptr_array_index(jit->blocks, i);

        if (tb) {
            tb->block->translations = NULL;
            g_free(tb);
        }
    }
    g_ptr_array_set_size(jit->blocks, 0);
    g_ptr_array_set_size(jit->links, 0);
    jit->slot_count = 0;
    jit->pending_link = NULL;
    memset(jit->cpu->jit.jump_tag, 0, sizeof(jit->cpu->jit.jump_tag));
    code_buffer_reset(&jit->buffer);
    jit->flush_wanted = false;
    jit->stats.flushes++;
}
