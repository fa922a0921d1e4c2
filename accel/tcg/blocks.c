/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Translated blocks and the ways between them. All of it belongs to one vCPU and is changed by its
 * thread alone, and never while translated code runs above the same block.
 */
#include "accel/tcg/x87.h"

TransBlock *jit_find(Jit *jit, Block *block, uint32_t mode)
{
    uint64_t rip = jit->cpu->cpu_rip;
    uint32_t cs_base = jit_cs_base(jit->cpu, mode);

    for (TransBlock *tb = block->translations; tb; tb = tb->next) {
        if (tb->rip == rip && tb->mode == mode && tb->cs_base == cs_base) {
            return tb;
        }
    }
    return NULL;
}

/* --- links ---------------------------------------------------------------------- */

/* Bytes of a block without its links. */
static size_t bare_size(unsigned count)
{
    size_t place = sizeof(((TransBlock *)NULL)->insns[0]);

    return (offsetof(TransBlock, insns) + (count + 1) * place + 7) & ~(size_t)7;
}

static Link *block_link(TransBlock *tb, unsigned number)
{
    return (Link *)((uint8_t *)tb + bare_size(tb->count)) + number;
}

Link *jit_link_new(Jit *jit, TransBlock *from, uint64_t target)
{
    Link *link = block_link(from, from->link_count++);

    g_assert(from->link_count <= from->link_room);
    *link = (Link){.target = target, .mode = from->mode, .cs_base = from->cs_base,
                   .used_index = -1};
    g_ptr_array_add(jit->links, link);
    link->id = jit->links->len; /* from 1 */
    return link;
}

/* --- blocks ------------------------------------------------------------------------ */

static size_t trans_block_size(unsigned count, unsigned links)
{
    return bare_size(count) + links * sizeof(Link);
}

TransBlock *jit_block_new(Jit *jit, Block *block, uint32_t mode)
{
    TransBlock *tb = pool_alloc(jit->pool, trans_block_size(block->count, LINKS_MAX));

    memset(tb, 0, bare_size(block->count));
    tb->link_room = LINKS_MAX;
    tb->block = block;
    tb->rip = jit->cpu->cpu_rip;
    tb->mode = mode;
    tb->cs_base = jit_cs_base(jit->cpu, mode);
    tb->count = block->count;
    tb->id = jit->blocks->len;
    g_ptr_array_add(jit->blocks, tb);
    jit->stats.blocks++;
    jit->stats.block_bytes += trans_block_size(block->count, LINKS_MAX);
    return tb;
}

/* Gives back the room for links that it has not. */
static void block_trim(Jit *jit, TransBlock *tb)
{
    size_t size = trans_block_size(tb->count, tb->link_room);
    size_t wanted = trans_block_size(tb->count, tb->link_count);

    if (pool_trim(jit->pool, tb, size, wanted)) {
        tb->link_room = tb->link_count;
        jit->stats.block_bytes -= size - wanted;
    }
}

void jit_block_publish(Jit *jit, TransBlock *tb)
{
    block_trim(jit, tb);
    tb->next = tb->block->translations;
    tb->block->translations = tb;
}

/* The ways out of @tb are no more. */
static void forget_links(Jit *jit, TransBlock *tb)
{
    for (unsigned i = 0; i < tb->link_count; i++) {
        Link *link = block_link(tb, i);

        jit_unlink(jit, link);
        jit_slot_unused(jit, link);
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
    jit->stats.blocks--;
    jit->stats.block_bytes -= trans_block_size(tb->count, tb->link_room);
    pool_free(jit->pool, tb, trans_block_size(tb->count, tb->link_room));
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

static void block_dropped(void *opaque, Block *block)
{
    while (block->translations) {
        jit_block_drop(opaque, block->translations);
    }
}

/* Links within the page stay: whoever follows one was led there. */
static void block_moved(void *opaque, Block *block)
{
    for (TransBlock *tb = block->translations; tb; tb = tb->next) {
        for (Link *link = tb->incoming, *next; link; link = next) {
            next = link->next;
            if (!link->at) {
                jit_unlink(opaque, link);
            }
        }
        jit_forget_block(opaque, tb);
        tb->moved++;
    }
}

const CodeWatcher jit_code_watcher = {.dropped = block_dropped, .moved = block_moved};

void jit_flush(Jit *jit)
{
    jit->slots_used[0].count = jit->slots_used[1].count = 0;
    for (unsigned i = 0; i < jit->blocks->len; i++) {
        TransBlock *tb = g_ptr_array_index(jit->blocks, i);

        if (tb) {
            tb->block->translations = NULL;
        }
    }
    pool_reset(jit->pool);
    g_ptr_array_set_size(jit->blocks, 0);
    g_ptr_array_set_size(jit->links, 0);
    jit->slot_count = 0;
    jit->mode_count = 0;
    jit->pending_link = NULL;
    jit_forget_jumps(jit);
    code_buffer_reset(&jit->buffer);
    jit->flush_wanted = false;
    jit->stats.blocks = jit->stats.block_bytes = 0;
    jit->stats.flushes++;
}
