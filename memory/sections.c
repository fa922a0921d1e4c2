/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What of the flat view an engine's guest can access without us, and what it may put off. */
#include "memory/internal.h"

/* Whether writes to @addr reach byte @offset of @block, and up to where (inclusive) that holds. */
static bool writes_reach(const FlatList *list, uint64_t addr, const RamBlock *block,
                         uint64_t offset, uint64_t *last)
{
    const FlatRange *range = flat_find(list, addr);

    if (range) {
        *last = MIN(*last, range->last);
        return !range->rom && range->block == block &&
               range->block_offset + (addr - range->first) == offset;
    }
    for (unsigned i = 0; i < list->count; i++) {
        if (list->ranges[i].first > addr) {
            *last = MIN(*last, list->ranges[i].first - 1);
            break;
        }
    }
    return false;
}

/* Adds the whole pages of [first, last] that lie in @range; joins what continues the last one. */
static void add_section(GArray *sections, const FlatRange *range, uint64_t first, uint64_t last,
                        bool writable)
{
    uint64_t mask = GUEST_PAGE_SIZE - 1;
    uint64_t addr = (first + mask) & ~mask;
    uint64_t end = (last + 1) & ~mask;

    if (addr < first || end <= addr) {
        return;
    }
    RamSection section = { .addr = addr, .size = end - addr, .block = range->block,
                           .offset = range->block_offset + (addr - range->first),
                           .writable = writable };
    if (sections->len) {
        RamSection *previous = &g_array_index(sections, RamSection, sections->len - 1);
        if (previous->addr + previous->size == addr && previous->block == section.block &&
            previous->offset + previous->size == section.offset &&
            previous->writable == writable) {
            previous->size += section.size;
            return;
        }
    }
    g_array_append_val(sections, section);
}

GArray *memory_ram_sections(MemorySpace *space)
{
    GArray *sections = g_array_new(FALSE, FALSE, sizeof(RamSection));
    const FlatView *view = memory_view_get(space);

    for (unsigned i = 0; i < view->read.count; i++) {
        const FlatRange *range = &view->read.ranges[i];
        uint64_t addr = range->first;
        if (!range->block || ((range->block_offset - addr) & (GUEST_PAGE_SIZE - 1))) {
            continue;
        }
        for (;;) {
            uint64_t last = range->last;
            uint64_t offset = range->block_offset + (addr - range->first);
            bool writable = writes_reach(&view->write, addr, range->block, offset, &last);
            add_section(sections, range, addr, last, writable);
            if (last == range->last) {
                break;
            }
            addr = last + 1;
        }
    }
    memory_view_put(space);
    return sections;
}

GArray *memory_coalesced_sections(MemorySpace *space)
{
    GArray *sections = g_array_new(FALSE, FALSE, sizeof(RamSection));
    const FlatView *view = memory_view_get(space);

    for (unsigned i = 0; i < view->write.count; i++) {
        const FlatRange *range = &view->write.ranges[i];
        if (range->coalesce) {
            RamSection section = { .addr = range->first, .size = range->last - range->first + 1 };
            g_array_append_val(sections, section);
        }
    }
    memory_view_put(space);
    return sections;
}
