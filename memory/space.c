/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The space of guest physical addresses: its mappings, and the flat view they are resolved into.
 * A view is replaced as a whole, so that vCPUs look addresses up without a lock.
 */
#include "memory/internal.h"
#include "util/lock.h"

typedef struct MemoryListener {
    MemoryChangedFn *fn;
    void *opaque;
} MemoryListener;

MemorySpace *memory_space_new(void)
{
    MemorySpace *space = g_new0(MemorySpace, 1);

    space->mappings = g_ptr_array_new_with_free_func(g_free);
    space->retired = g_ptr_array_new_with_free_func((GDestroyNotify)flat_view_free);
    space->listeners = g_array_new(FALSE, FALSE, sizeof(MemoryListener));
    atomic_store(&space->view, flat_view_new(space->mappings));
    return space;
}

void memory_space_free(MemorySpace *space)
{
    if (space) {
        flat_view_free(atomic_load(&space->view));
        g_ptr_array_unref(space->retired);
        g_ptr_array_unref(space->mappings);
        g_array_unref(space->listeners);
        g_free(space);
    }
}

/*
 * A reader counts itself before it loads the view; a writer publishes the new view before it looks
 * at the count. So if the writer sees nobody, nobody has an old view, and nobody can get one.
 */
const FlatView *memory_view_get(MemorySpace *space)
{
    atomic_fetch_add(&space->readers, 1);
    return atomic_load(&space->view);
}

void memory_view_put(MemorySpace *space)
{
    atomic_fetch_sub_explicit(&space->readers, 1, memory_order_release);
}

void space_notify(const MemorySpace *space)
{
    for (unsigned i = 0; i < space->listeners->len; i++) {
        const MemoryListener *listener = &g_array_index(space->listeners, MemoryListener, i);
        listener->fn(listener->opaque);
    }
}

static void space_publish(MemorySpace *space)
{
    FlatView *old = atomic_exchange(&space->view, flat_view_new(space->mappings));

    g_ptr_array_add(space->retired, old);
    if (!atomic_load(&space->readers)) {
        g_ptr_array_set_size(space->retired, 0);
    }
    space_notify(space);
}

void memory_begin(MemorySpace *space)
{
    space->nesting++;
}

void memory_commit(MemorySpace *space)
{
    g_assert(space->nesting);
    if (!--space->nesting && space->changed) {
        space->changed = false;
        space_publish(space);
    }
}

static void space_change(MemorySpace *space)
{
    memory_begin(space);
    space->changed = true;
    memory_commit(space);
}

void memory_add_listener(MemorySpace *space, MemoryChangedFn *fn, void *opaque)
{
    MemoryListener listener = { fn, opaque };

    g_array_append_val(space->listeners, listener);
}

void memory_remove_listener(MemorySpace *space, MemoryChangedFn *fn, void *opaque)
{
    for (unsigned i = 0; i < space->listeners->len; i++) {
        const MemoryListener *listener = &g_array_index(space->listeners, MemoryListener, i);
        if (listener->fn == fn && listener->opaque == opaque) {
            g_array_remove_index(space->listeners, i);
            return;
        }
    }
}

void memory_set_code_listener(MemorySpace *space, RamCodeWrittenFn *fn, void *opaque)
{
    space->code_written = fn;
    space->code_opaque = opaque;
}

static MemoryMapping *space_add(MemorySpace *space, MemoryMapping what)
{
    g_assert(what.size && what.addr + what.size - 1 >= what.addr);
    MemoryMapping *mapping = g_memdup2(&what, sizeof(what));
    mapping->space = space;
    mapping->enabled = true;
    g_ptr_array_add(space->mappings, mapping);
    space_change(space);
    return mapping;
}

MemoryMapping *memory_map_ram(MemorySpace *space, uint64_t addr, RamBlock *block, uint64_t offset,
                              uint64_t size, uint32_t flags, int priority)
{
    g_assert(offset <= block->size && size <= block->size - offset);
    return space_add(space, (MemoryMapping){ .addr = addr, .size = size, .flags = flags,
                                             .priority = priority, .block = block,
                                             .block_offset = offset,
                                             .name = g_intern_string(block->name) });
}

MemoryMapping *memory_map_io(MemorySpace *space, uint64_t addr, uint64_t size, const MemoryOps *ops,
                             void *opaque, const char *name, int priority)
{
    return space_add(space, (MemoryMapping){ .addr = addr, .size = size,
                                             .flags = MAP_READ | MAP_WRITE, .priority = priority,
                                             .ops = ops, .opaque = opaque,
                                             .name = g_intern_string(name) });
}

void memory_unmap(MemoryMapping *mapping)
{
    MemorySpace *space = mapping->space;

    g_ptr_array_remove(space->mappings, mapping);
    space_change(space);
}

void memory_mapping_set_enabled(MemoryMapping *mapping, bool enabled)
{
    if (mapping->enabled != enabled) {
        mapping->enabled = enabled;
        space_change(mapping->space);
    }
}

void memory_mapping_set_flags(MemoryMapping *mapping, uint32_t flags)
{
    if (mapping->flags != flags) {
        mapping->flags = flags;
        space_change(mapping->space);
    }
}

void memory_mapping_move(MemoryMapping *mapping, uint64_t addr)
{
    if (mapping->addr != addr) {
        g_assert(addr + mapping->size - 1 >= addr);
        mapping->addr = addr;
        space_change(mapping->space);
    }
}

/* Host address of the page at @addr if @range is RAM over the whole of it, else NULL. */
static uint8_t *range_page(const FlatRange *range, uint64_t addr)
{
    if (!range || !range->block || range->first > addr ||
        range->last < addr + (GUEST_PAGE_SIZE - 1)) {
        return NULL;
    }
    return range->block->host + range->block_offset + (addr - range->first);
}

MemoryPage memory_resolve_page(MemorySpace *space, uint64_t addr)
{
    MemoryPage page = { 0 };
    const FlatView *view = memory_view_get(space);

    addr &= ~(uint64_t)(GUEST_PAGE_SIZE - 1);
    const FlatRange *read = flat_find(&view->read, addr);
    const FlatRange *write = flat_find(&view->write, addr);
    const FlatRange *seen = read;

    page.read = range_page(read, addr);
    if (write && !write->rom) {
        page.write = range_page(write, addr);
    }
    if (page.read && page.write != page.read) {
        page.write = NULL; /* shadow RAM: marks of another page than @block's are the slow path's */
    } else if (!page.read) {
        seen = write;
    }
    if (page.read || page.write) {
        page.block = seen->block;
        page.offset = seen->block_offset + (addr - seen->first);
    }
    memory_view_put(space);
    return page;
}
