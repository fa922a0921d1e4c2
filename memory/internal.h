/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the files of memory/ share: the flat view and the way to a device's callbacks. */
#ifndef MEMORY_INTERNAL_H
#define MEMORY_INTERNAL_H

#include "memory/memory.h"

/* A stretch of addresses that one mapping answers for. A copy, so that it outlives the mapping. */
typedef struct FlatRange {
    uint64_t first, last;  /* inclusive */
    RamBlock *block;       /* NULL: device */
    uint64_t block_offset; /* of @first */
    bool rom;              /* writes are swallowed */
    bool coalesce;         /* writes may be gathered */
    uint64_t base;         /* device: where the mapping starts */
    const MemoryOps *ops;
    void *opaque;
    const char *name;      /* interned */
} FlatRange;

typedef struct FlatList {
    unsigned count;
    FlatRange *ranges; /* sorted, not overlapping */
} FlatList;

/* What the space looks like, apart for reads and writes. Never changed once it is published. */
typedef struct FlatView {
    FlatList read, write;
} FlatView;

FlatView *flat_view_new(GPtrArray *mappings);
void flat_view_free(FlatView *view);
/* The range that holds @addr, or NULL. */
const FlatRange *flat_find(const FlatList *list, uint64_t addr);

struct MemoryMapping {
    MemorySpace *space;
    uint64_t addr, size;
    uint32_t flags; /* MAP_* */
    int priority;
    bool enabled;
    RamBlock *block;
    uint64_t block_offset;
    const MemoryOps *ops;
    void *opaque;
    const char *name;
};

struct MemorySpace {
    GPtrArray *mappings; /* of MemoryMapping *, oldest first */
    _Atomic(FlatView *) view;
    atomic_uint readers; /* threads that use a view without the machine lock */
    GPtrArray *retired;  /* of FlatView *: replaced while there were readers */
    unsigned nesting;    /* memory_begin() without its commit */
    bool changed;
    GArray *listeners;   /* of MemoryListener */
    const DirtyLogOps *dirty_ops; /* NULL: all writes come by us */
    void *dirty_opaque;
    RamCodeWrittenFn *code_written;
    void *code_opaque;
};

/* Tells the listeners that translations must go. */
void space_notify(const MemorySpace *space);

/* Keeps the published view alive until memory_view_put(). No lock needed. */
const FlatView *memory_view_get(MemorySpace *space);
void memory_view_put(MemorySpace *space);

/*
 * Which half of a region's ops an access uses, and the region's widest size without ops->max_size.
 */
typedef struct DeviceRegion {
    const MemoryOps *ops;
    void *opaque;
    const char *name;
    unsigned max_size;
} DeviceRegion;

/*
 * An access of any size at @offset, split or widened to what the region takes. Machine lock held.
 * A device that is re-entered while it handles an access is left alone: all ones, nothing written.
 */
uint64_t device_region_read(DeviceRegion region, uint64_t offset, unsigned size);
void device_region_write(DeviceRegion region, uint64_t offset, uint64_t value, unsigned size);

#endif
