/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Reads and writes of guest physical memory: RAM directly, devices through their callbacks. */
#include <inttypes.h>
#include <string.h>

#include "memory/internal.h"
#include "util/lock.h"
#include "util/log.h"

/* Unaligned words may alias anything; on x86 one within a cache line is a single access. */
typedef uint16_t __attribute__((may_alias, aligned(1))) RawU16;
typedef uint32_t __attribute__((may_alias, aligned(1))) RawU32;
typedef uint64_t __attribute__((may_alias, aligned(1))) RawU64;

/* What the bytes from an address on turn out to be, copied so that no view need be held. */
typedef struct Target {
    uint64_t size;    /* bytes from the address that are of this kind, at least 1 */
    bool assigned;
    bool rom;
    RamBlock *block;  /* RAM */
    uint64_t offset;  /* in @block or in the device region */
    DeviceRegion region;
} Target;

/* Bytes from @addr to the next range of @list, or to the end of the space. */
static uint64_t hole_size(const FlatList *list, uint64_t addr)
{
    for (unsigned i = 0; i < list->count; i++) {
        if (list->ranges[i].first > addr) {
            return list->ranges[i].first - addr;
        }
    }
    return UINT64_MAX;
}

static Target target_of(const FlatList *list, uint64_t addr)
{
    const FlatRange *range = flat_find(list, addr);

    if (!range) {
        return (Target){ .size = hole_size(list, addr) };
    }
    Target target = { .size = range->last - addr + 1, .assigned = true, .rom = range->rom };
    if (!target.size) {
        target.size = UINT64_MAX;
    }
    if (range->block) {
        target.block = range->block;
        target.offset = range->block_offset + (addr - range->first);
    } else {
        target.offset = addr - range->base;
        target.region = (DeviceRegion){ range->ops, range->opaque, range->name, 8 };
    }
    return target;
}

static Target target_get(MemorySpace *space, uint64_t addr, bool write)
{
    const FlatView *view = memory_view_get(space);
    Target target = target_of(write ? &view->write : &view->read, addr);

    memory_view_put(space);
    return target;
}

static bool target_needs_lock(const Target *target)
{
    return target->assigned && !target->block;
}

/* --- RAM ------------------------------------------------------------------ */

static void ram_copy(void *to, const void *from, uint64_t size)
{
    switch (size) {
    case 1:
        *(volatile uint8_t *)to = *(const volatile uint8_t *)from;
        break;
    case 2:
        *(volatile RawU16 *)to = *(const volatile RawU16 *)from;
        break;
    case 4:
        *(volatile RawU32 *)to = *(const volatile RawU32 *)from;
        break;
    case 8:
        *(volatile RawU64 *)to = *(const volatile RawU64 *)from;
        break;
    default:
        memmove(to, from, size);
    }
}

void ram_written(MemorySpace *space, RamBlock *block, uint64_t offset, uint64_t size)
{
    uint8_t marks = ram_page_marks(block, offset);

    if (marks & PAGE_WATCH_DIRTY) {
        ram_page_unmark(block, offset, PAGE_WATCH_DIRTY);
    }
    if ((marks & PAGE_WATCH_CODE) && space->code_written) {
        space->code_written(space->code_opaque, block, offset, size);
    }
}

static void ram_write(MemorySpace *space, RamBlock *block, uint64_t offset, const uint8_t *from,
                      uint64_t size)
{
    ram_copy(block->host + offset, from, size);
    /* Bytes first, marks after: who decodes code marks the page first and reads it after. */
    atomic_thread_fence(memory_order_seq_cst);
    while (size) {
        uint64_t part = MIN(size, GUEST_PAGE_SIZE - offset % GUEST_PAGE_SIZE);
        ram_written(space, block, offset, part);
        offset += part;
        size -= part;
    }
}

/* --- Devices ---------------------------------------------------------------- */

/* The most bytes one access moves: a power of two, no more than @size, aligned at @offset. */
static unsigned device_step(uint64_t offset, uint64_t size)
{
    unsigned step = 8;

    while (step > size || (offset & (step - 1))) {
        step >>= 1;
    }
    return step;
}

/* A single access goes through whole, even unaligned: the region splits it as its ops ask. */
static bool is_single(uint64_t size)
{
    return size == 1 || size == 2 || size == 4 || size == 8;
}

static void device_read(const Target *target, uint8_t *to, uint64_t size)
{
    for (uint64_t done = 0; done < size;) {
        unsigned step = is_single(size) ? size : device_step(target->offset + done, size - done);
        uint64_t value = device_region_read(target->region, target->offset + done, step);
        memcpy(to + done, &value, step);
        done += step;
    }
}

static void device_write(const Target *target, const uint8_t *from, uint64_t size)
{
    for (uint64_t done = 0; done < size;) {
        unsigned step = is_single(size) ? size : device_step(target->offset + done, size - done);
        uint64_t value = 0;
        memcpy(&value, from + done, step);
        device_region_write(target->region, target->offset + done, value, step);
        done += step;
    }
}

/* --- Both --------------------------------------------------------------------- */

static void log_unassigned(uint64_t addr, uint64_t size, const char *what)
{
    if (log_enabled(LOG_UNIMP)) {
        log_write(LOG_UNIMP, "memory: %s of %" PRIu64 " bytes at unassigned 0x%" PRIx64, what, size,
                  addr);
    }
}

bool memory_read(MemorySpace *space, uint64_t addr, void *buffer, uint64_t size)
{
    uint8_t *to = buffer;
    bool assigned = true, locked = false;

    while (size) {
        Target target = target_get(space, addr, false);
        if (target_needs_lock(&target) && !locked && (locked = machine_lock_enter())) {
            continue; /* what was seen without the lock may be gone by now */
        }
        uint64_t part = MIN(size, target.size);
        if (target.block) {
            ram_copy(to, target.block->host + target.offset, part);
        } else if (target.assigned) {
            device_read(&target, to, part);
        } else {
            memset(to, 0xff, part);
            log_unassigned(addr, part, "read");
            assigned = false;
        }
        addr += part;
        to += part;
        size -= part;
    }
    machine_lock_leave(locked);
    return assigned;
}

bool memory_write(MemorySpace *space, uint64_t addr, const void *buffer, uint64_t size)
{
    const uint8_t *from = buffer;
    bool assigned = true, locked = false;

    while (size) {
        Target target = target_get(space, addr, true);
        if (target_needs_lock(&target) && !locked && (locked = machine_lock_enter())) {
            continue; /* what was seen without the lock may be gone by now */
        }
        uint64_t part = MIN(size, target.size);
        if (target.block) {
            if (!target.rom) {
                ram_write(space, target.block, target.offset, from, part);
            }
        } else if (target.assigned) {
            device_write(&target, from, part);
        } else {
            log_unassigned(addr, part, "write");
            assigned = false;
        }
        addr += part;
        from += part;
        size -= part;
    }
    machine_lock_leave(locked);
    return assigned;
}

uint64_t memory_load(MemorySpace *space, uint64_t addr, unsigned size)
{
    uint64_t value = 0;

    g_assert(is_single(size));
    memory_read(space, addr, &value, size);
    return value;
}

void memory_store(MemorySpace *space, uint64_t addr, uint64_t value, unsigned size)
{
    g_assert(is_single(size));
    memory_write(space, addr, &value, size);
}

void *memory_ram_pointer(MemorySpace *space, uint64_t addr, uint64_t size)
{
    const FlatView *view = memory_view_get(space);
    Target read = target_of(&view->read, addr);
    Target write = target_of(&view->write, addr);

    memory_view_put(space);
    if (!read.block || write.rom || read.block != write.block || read.offset != write.offset ||
        size > read.size || size > write.size) {
        return NULL;
    }
    return read.block->host + read.offset;
}
