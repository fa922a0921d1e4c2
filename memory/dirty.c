/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which pages of RAM were written. A clean page carries PAGE_WATCH_DIRTY, which every write that we
 * see takes off; an engine whose guest writes past us adds what it knows when it is asked.
 */
#include <string.h>

#include "memory/internal.h"

/* All RAM of @space, each block once. */
static GPtrArray *space_blocks(const MemorySpace *space)
{
    GPtrArray *blocks = g_ptr_array_new();

    for (unsigned i = 0; i < space->mappings->len; i++) {
        const MemoryMapping *mapping = g_ptr_array_index(space->mappings, i);
        if (mapping->block && !g_ptr_array_find(blocks, mapping->block, NULL)) {
            g_ptr_array_add(blocks, mapping->block);
        }
    }
    return blocks;
}

static void mark_all(const MemorySpace *space, bool clean)
{
    g_autoptr(GPtrArray) blocks = space_blocks(space);

    for (unsigned i = 0; i < blocks->len; i++) {
        RamBlock *block = g_ptr_array_index(blocks, i);
        for (uint64_t offset = 0; offset < block->size; offset += GUEST_PAGE_SIZE) {
            if (clean) {
                ram_page_mark(block, offset, PAGE_WATCH_DIRTY);
            } else {
                ram_page_unmark(block, offset, PAGE_WATCH_DIRTY);
            }
        }
    }
}

void memory_set_dirty_log(MemorySpace *space, const DirtyLogOps *ops, void *opaque)
{
    space->dirty_ops = ops;
    space->dirty_opaque = opaque;
}

void memory_dirty_start(MemorySpace *space)
{
    mark_all(space, true);
    if (space->dirty_ops) {
        space->dirty_ops->start(space->dirty_opaque);
    }
    space_notify(space);
}

void memory_dirty_stop(MemorySpace *space)
{
    if (space->dirty_ops) {
        space->dirty_ops->stop(space->dirty_opaque);
    }
    mark_all(space, false);
}

uint64_t memory_dirty_take(MemorySpace *space, RamBlock *block, uint8_t *bitmap)
{
    uint64_t pages = block->size >> GUEST_PAGE_BITS, count = 0;

    if (space->dirty_ops) {
        space->dirty_ops->sync(space->dirty_opaque, block);
    }
    memset(bitmap, 0, (pages + 7) / 8);
    for (uint64_t page = 0; page < pages; page++) {
        uint64_t offset = page << GUEST_PAGE_BITS;
        if (!(ram_page_marks(block, offset) & PAGE_WATCH_DIRTY)) {
            ram_page_mark(block, offset, PAGE_WATCH_DIRTY);
            bitmap[page / 8] |= 1u << (page % 8);
            count++;
        }
    }
    if (count) {
        space_notify(space);
    }
    return count;
}
