/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The flat view: from mappings that overlap to sorted stretches, one list for reads and one for
 * writes. There are some dozens of mappings and they change seldom, so plain loops do.
 */
#include "memory/internal.h"

static int compare_addr(gconstpointer a, gconstpointer b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

static uint64_t mapping_last(const MemoryMapping *mapping)
{
    return mapping->addr + mapping->size - 1;
}

static bool mapping_takes_part(const MemoryMapping *mapping, uint32_t flag)
{
    return mapping->enabled && (mapping->flags & flag);
}

/* The addresses at which the answer may change, sorted. */
static GArray *boundaries(GPtrArray *mappings, uint32_t flag)
{
    GArray *list = g_array_new(FALSE, FALSE, sizeof(uint64_t));

    for (unsigned i = 0; i < mappings->len; i++) {
        const MemoryMapping *mapping = g_ptr_array_index(mappings, i);
        if (mapping_takes_part(mapping, flag)) {
            uint64_t end = mapping_last(mapping) + 1;
            g_array_append_val(list, mapping->addr);
            if (end) {
                g_array_append_val(list, end);
            }
        }
    }
    g_array_sort(list, compare_addr);
    return list;
}

/* Who answers at @addr: the highest priority, among equals the latest mapped. */
static const MemoryMapping *topmost(GPtrArray *mappings, uint32_t flag, uint64_t addr)
{
    const MemoryMapping *best = NULL;

    for (unsigned i = 0; i < mappings->len; i++) {
        const MemoryMapping *mapping = g_ptr_array_index(mappings, i);
        if (mapping_takes_part(mapping, flag) && addr >= mapping->addr &&
            addr <= mapping_last(mapping) && (!best || mapping->priority >= best->priority)) {
            best = mapping;
        }
    }
    return best;
}

static FlatRange flat_range(const MemoryMapping *mapping, uint64_t first, uint64_t last)
{
    return (FlatRange){
        .first = first,
        .last = last,
        .block = mapping->block,
        .block_offset = mapping->block_offset + (first - mapping->addr),
        .rom = mapping->flags & MAP_ROM,
        .coalesce = mapping->flags & MAP_COALESCE,
        .base = mapping->addr,
        .ops = mapping->ops,
        .opaque = mapping->opaque,
        .name = mapping->name,
    };
}

static FlatList flat_list(GPtrArray *mappings, uint32_t flag)
{
    g_autoptr(GArray) edges = boundaries(mappings, flag);
    GArray *ranges = g_array_new(FALSE, FALSE, sizeof(FlatRange));
    const MemoryMapping *previous = NULL;

    for (unsigned i = 0; i < edges->len; i++) {
        uint64_t first = g_array_index(edges, uint64_t, i);
        uint64_t last = i + 1 < edges->len ? g_array_index(edges, uint64_t, i + 1) - 1 : UINT64_MAX;
        if (i + 1 < edges->len && last + 1 == first) {
            continue; /* the same boundary twice */
        }
        const MemoryMapping *mapping = topmost(mappings, flag, first);
        if (mapping && mapping == previous) {
            g_array_index(ranges, FlatRange, ranges->len - 1).last = last;
        } else if (mapping) {
            FlatRange range = flat_range(mapping, first, last);
            g_array_append_val(ranges, range);
        }
        previous = mapping;
    }
    unsigned count = ranges->len;
    return (FlatList){ count, (FlatRange *)g_array_free(ranges, FALSE) };
}

FlatView *flat_view_new(GPtrArray *mappings)
{
    FlatView *view = g_new(FlatView, 1);

    view->read = flat_list(mappings, MAP_READ);
    view->write = flat_list(mappings, MAP_WRITE);
    return view;
}

void flat_view_free(FlatView *view)
{
    if (view) {
        g_free(view->read.ranges);
        g_free(view->write.ranges);
        g_free(view);
    }
}

const FlatRange *flat_find(const FlatList *list, uint64_t addr)
{
    unsigned low = 0, high = list->count;

    while (low < high) {
        unsigned middle = (low + high) / 2;
        const FlatRange *range = &list->ranges[middle];
        if (addr < range->first) {
            high = middle;
        } else if (addr > range->last) {
            low = middle + 1;
        } else {
            return range;
        }
    }
    return NULL;
}
