/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Guest physical memory and the I/O port space: RAM blocks over memfd, device regions, the flat
 * view that resolves overlaps, dispatch, and the per-page marks that catch writes to code and clean
 * pages.
 */
#ifndef MEMORY_MEMORY_H
#define MEMORY_MEMORY_H

#include <glib.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define GUEST_PAGE_BITS 12
#define GUEST_PAGE_SIZE 4096u

/* --- RAM ---------------------------------------------------------------- */

/* Marks of a RAM page; while any WATCH mark is set, CPU writes to it take the slow path. */
enum {
    PAGE_WATCH_CODE = 1u << 0,  /* holds decoded or translated code */
    PAGE_WATCH_DIRTY = 1u << 1, /* is clean; the first write must be recorded */
};

typedef struct RamBlock {
    char *name;      /* "pc.ram", "pc.bios" */
    uint8_t *host;   /* page-aligned host mapping */
    uint64_t size;   /* bytes, a multiple of the page size */
    int fd;          /* the memfd, for sharing with other processes */
    uint64_t ram_id; /* unique page-aligned base of this block in "RAM offset" space */
    _Atomic(uint8_t) *page_marks; /* one byte a page: PAGE_WATCH_* */
} RamBlock;

/* Maps @size bytes (rounded up to pages) of zeroed memory; NULL and @error if it cannot be had. */
RamBlock *ram_block_new(const char *name, uint64_t size, GError **error);
void ram_block_free(RamBlock *block);

/* --- Regions ------------------------------------------------------------ */

typedef struct MemoryOps {
    /* @offset is relative to the mapping; @size is 1, 2, 4 or 8. Machine lock held. */
    uint64_t (*read)(void *opaque, uint64_t offset, unsigned size);
    void (*write)(void *opaque, uint64_t offset, uint64_t value, unsigned size);
    /*
     * What the callbacks handle; other sizes are split or widened. 0 means 1 and 8 (ports: 1 and
     * 4).
     */
    uint8_t min_size;
    uint8_t max_size;
} MemoryOps;

typedef struct MemorySpace MemorySpace;     /* guest physical addresses */
typedef struct MemoryMapping MemoryMapping; /* one thing mapped somewhere in a space */

enum {
    MAP_READ = 1u << 0,
    MAP_WRITE = 1u << 1,
    MAP_ROM = 1u << 2, /* with MAP_WRITE: writes are swallowed */
    MAP_COALESCE = 1u << 3, /* writes may be gathered; they come before any other access to it */
};

MemorySpace *memory_space_new(void);
void memory_space_free(MemorySpace *space);
/* Appends a line for each range of addresses. Machine lock held. */
void memory_describe(const MemorySpace *space, GString *out);

/*
 * Where mappings overlap, the one with the higher @priority is seen, separately for reads (mappings
 * with MAP_READ) and for writes (MAP_WRITE). RAM is 0, ROM and shadow RAM above, devices 10.
 * All changes need the machine lock and show at once to the calling vCPU, to others as soon as they
 * leave their current block.
 */
MemoryMapping *memory_map_ram(MemorySpace *space, uint64_t addr, RamBlock *block, uint64_t offset,
                              uint64_t size, uint32_t flags, int priority);
MemoryMapping *memory_map_io(MemorySpace *space, uint64_t addr, uint64_t size, const MemoryOps *ops,
                             void *opaque, const char *name, int priority);
void memory_unmap(MemoryMapping *mapping);
void memory_mapping_set_enabled(MemoryMapping *mapping, bool enabled);
void memory_mapping_set_flags(MemoryMapping *mapping, uint32_t flags);
void memory_mapping_move(MemoryMapping *mapping, uint64_t addr);
/* Between begin and commit, changes are gathered into one new view. They nest. */
void memory_begin(MemorySpace *space);
void memory_commit(MemorySpace *space);

/*
 * Called, with the machine lock, after the view has changed: vCPUs must drop cached translations.
 */
typedef void MemoryChangedFn(void *opaque);
void memory_add_listener(MemorySpace *space, MemoryChangedFn *fn, void *opaque);
void memory_remove_listener(MemorySpace *space, MemoryChangedFn *fn, void *opaque);

/* What a page of the space is, for a software TLB. */
typedef struct MemoryPage {
    uint8_t *read;        /* host address of the page for reads and fetches; NULL: device or hole */
    uint8_t *write;       /* the same for writes; NULL: device, ROM or hole */
    RamBlock *block;      /* RAM behind @read (or @write), else NULL */
    uint64_t offset;      /* of the page in @block */
} MemoryPage;

/* Resolves the page of @addr. No lock needed. Pages only partly RAM resolve as device. */
MemoryPage memory_resolve_page(MemorySpace *space, uint64_t addr);

/* Whole pages that read as RAM, in one piece. */
typedef struct RamSection {
    uint64_t addr, size;  /* guest-physical, multiples of the page size */
    RamBlock *block;
    uint64_t offset;      /* of @addr in @block */
    bool writable;        /* writes reach the same bytes; else they must come by memory_write() */
} RamSection;

/*
 * What an engine may give its guest to access directly: a new array of RamSection, by address, not
 * overlapping, for g_array_unref(). No lock needed; listeners tell when it has changed.
 */
GArray *memory_ram_sections(MemorySpace *space);

/* Where an engine may gather writes (MAP_COALESCE): a new array of RamSection without blocks. */
GArray *memory_coalesced_sections(MemorySpace *space);

/* --- Access ------------------------------------------------------------- */

/*
 * Reads or writes guest physical memory, RAM and devices alike (devices need the machine lock,
 * which is taken if missing). Unassigned: reads give all ones, writes are dropped, false is
 * returned. Writes honour page marks. Single accesses of 1, 2, 4, 8 bytes to RAM are atomic.
 */
bool memory_read(MemorySpace *space, uint64_t addr, void *buffer, uint64_t size);
bool memory_write(MemorySpace *space, uint64_t addr, const void *buffer, uint64_t size);
uint64_t memory_load(MemorySpace *space, uint64_t addr, unsigned size);
void memory_store(MemorySpace *space, uint64_t addr, uint64_t value, unsigned size);
/*
 * Host address of @addr if at least @size bytes from there are plain RAM in one block, else NULL.
 */
void *memory_ram_pointer(MemorySpace *space, uint64_t addr, uint64_t size);

/* --- Page marks --------------------------------------------------------- */

/* Called when a page marked PAGE_WATCH_CODE is written, after the bytes changed; any thread. */
typedef void RamCodeWrittenFn(void *opaque, RamBlock *block, uint64_t offset, uint64_t size);
void memory_set_code_listener(MemorySpace *space, RamCodeWrittenFn *fn, void *opaque);
/* Sets or clears watch marks of the page at @offset; the caller flushes write TLBs where needed. */
void ram_page_mark(RamBlock *block, uint64_t offset, uint8_t marks);
void ram_page_unmark(RamBlock *block, uint64_t offset, uint8_t marks);
static inline uint8_t ram_page_marks(const RamBlock *block, uint64_t offset)
{
    return atomic_load_explicit(&block->page_marks[offset >> GUEST_PAGE_BITS],
                                memory_order_acquire);
}
/* To be called after @size bytes at @offset (not crossing a page) were written past the marks. */
void ram_written(MemorySpace *space, RamBlock *block, uint64_t offset, uint64_t size);

/* --- Dirty pages -------------------------------------------------------- */

/* What an engine does whose guest writes to RAM without us. Machine lock held. */
typedef struct DirtyLogOps {
    void (*start)(void *opaque);
    void (*stop)(void *opaque);
    /* ram_page_unmark()s the pages of @block that were written since the last call. */
    void (*sync)(void *opaque, RamBlock *block);
} DirtyLogOps;

void memory_set_dirty_log(MemorySpace *space, const DirtyLogOps *ops, void *opaque);
/*
 * From start to stop, writes to the RAM of @space are noted by page. RAM that is mapped later is
 * dirty. Machine lock held; vCPUs of our own engine parked, so that none has an old translation.
 */
void memory_dirty_start(MemorySpace *space);
void memory_dirty_stop(MemorySpace *space);
/*
 * Fills @bitmap (bit n % 8 of byte n / 8 is page n) with the pages of @block written since the
 * start or the last call, and returns how many they are; they are clean then. As for the start.
 */
uint64_t memory_dirty_take(MemorySpace *space, RamBlock *block, uint8_t *bitmap);

/* --- Ports -------------------------------------------------------------- */

typedef struct PortSpace PortSpace; /* the 65,536 I/O ports */
typedef struct PortMapping PortMapping;

PortSpace *port_space_new(void);
void port_space_free(PortSpace *space);
/*
 * Maps @count ports from @port. @name is for messages. NULL and @error if one of them is taken
 * (naming both owners) or the range leaves the space. Machine lock held.
 */
PortMapping *port_map(PortSpace *space, uint16_t port, unsigned count, const MemoryOps *ops,
                      void *opaque, const char *name, GError **error);
void port_unmap(PortMapping *mapping);
/* Appends a line for each range of ports. Machine lock held. */
void port_space_describe(const PortSpace *space, GString *out);
/* @size is 1, 2 or 4. Unassigned ports read as all ones. Takes the machine lock if missing. */
uint32_t port_read(PortSpace *space, uint16_t port, unsigned size);
void port_write(PortSpace *space, uint16_t port, uint32_t value, unsigned size);

#endif
