/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a CPU remembers of the page tables: a direct-mapped TLB for each view, which translated code
 * reads by itself, and behind it a larger one that keeps the translations of several address
 * spaces.
 */
#ifndef TARGET_I386_MMU_STATE_H
#define TARGET_I386_MMU_STATE_H

#include <stdbool.h>
#include <stdint.h>

#include "memory/memory.h"

/* Memory views: who asks decides which pages it may touch. */
typedef enum { MMU_SUPER, MMU_USER, MMU_SUPER_SMAP, MMU_VIEWS } MmuView;

#define TLB_BITS 10
#define TLB_SIZE (1u << TLB_BITS)
/*
 * Behind the sets stands a second way of each: what the first held before. Translated code and
 * fills look there after a miss.
 */
#define TLB_ENTRIES (2 * TLB_SIZE)

/* Tags are the page's virtual address, or a value that no address of this set can match. */
typedef struct TlbEntry {
    uint64_t read_tag;
    uint64_t write_tag;
    uintptr_t addend; /* host address - virtual address; valid if a tag is */
    uintptr_t page;   /* host address of the page; valid if a tag is */
} TlbEntry;

/* Recently used guest-physical pages, for page walks and fills. */
#define PHYS_CACHE_SIZE 512u
typedef struct PhysPage {
    uint64_t gpa; /* page address, or all ones */
    MemoryPage page;
} PhysPage;

/* The large pieces of plain RAM: most misses of the cache of pages are answered from them. */
#define PHYS_RANGES 8u
typedef struct PhysRange {
    uint64_t first, size; /* guest-physical */
    uint64_t offset;      /* of @first in @block */
    RamBlock *block;
} PhysRange;

/*
 * An entry of the second level: page address and rights (TLB2_*) of a mapping, its guest-physical
 * address and the generation of its address space, packed so that a set is one cache line. An entry
 * is alive while its generation is that of an address space, or that of global pages.
 */
typedef struct Tlb2Entry {
    uint64_t va_rights;
    uint64_t gpa_generation; /* page number in bits 63:24, generation in 23:0 */
} Tlb2Entry;

#define TLB2_SETS 2048u
#define TLB2_LARGE_SETS 64u /* for pages of 2 MiB and above, in pieces of 2 MiB */
#define TLB2_WAYS 4u

/*
 * An address space that may be come back to without a flush (SDM 3A 4.10.1); without CR4.PCIDE
 * there is one. Numbers are given out once: what was remembered under an old one is void.
 */
#define MMU_SPACES 16u
typedef struct MmuSpace {
    uint32_t pcid;
    uint32_t generation; /* in the second level; 0: this slot is free */
    uint64_t map;        /* map_generation of the space */
} MmuSpace;

#define MMU_FILTER_BITS 16384u

/* What a linear page was when code was fetched from it (mmu-fetched.h). */
#define FETCHED_PAGES  2048u
#define FETCHED_PROBES 16u
typedef struct FetchedPage {
    uint64_t key;        /* page number + 1; 0: empty */
    uint64_t ram;
    uint64_t generation; /* that it was fetched under */
} FetchedPage;

struct X86CPU;

typedef struct MmuState {
    /*
     * Not NULL: no page gets a write tag, and this is asked before the writes of mmu_tlb_host(), of
     * @size bytes at @host in one page; false forbids them. It may use general registers only.
     */
    bool (*note_write)(struct X86CPU *cpu, uint8_t *host, unsigned size);
    uint64_t last_number;       /* of the numbers in map_generation */
    uint32_t last_generation;   /* of the 24-bit ones in the second level */
    uint32_t space_generation;  /* of the current address space */
    uint32_t global_generation; /* of global pages */
    uint32_t victim;            /* where the next entry goes in a set without a dead one */
    bool giant;                 /* the second level may hold pieces of 1 GiB pages */
    bool shared;                /* other CPUs' threads mark pages as code (mmu_forget_writes()) */
    MmuSpace spaces[MMU_SPACES];

    /* The first level: page size (log2) and flags of each entry (TLB_STATE_*). */
    uint8_t state[MMU_VIEWS][TLB_ENTRIES];
    uint16_t touched[2][MMU_VIEWS][TLB_ENTRIES]; /* [global]: in use since the last flush */
    uint16_t touched_count[2][MMU_VIEWS];

    /* Bloom filters by page: which large pages the first level may have pieces of, and from which
     * ones code was fetched. */
    uint64_t large_filter[MMU_FILTER_BITS / 64];
    uint64_t fetch_filter[MMU_FILTER_BITS / 64];
    unsigned large_count, fetch_count; /* pages in them */
    FetchedPage fetched[FETCHED_PAGES]; /* of 4 KiB */
    bool fetched_full;          /* and of others too */

    PhysRange ranges[PHYS_RANGES];
    unsigned range_count;
    bool ranges_valid;
    /* An accessed or dirty bit went to a page that was marked at that moment: tell its watchers. */
    RamBlock *marked_block;
    uint64_t marked_offset;
    unsigned marked_size;

    Tlb2Entry tlb2[TLB2_SETS][TLB2_WAYS] __attribute__((aligned(64)));
    Tlb2Entry tlb2_large[TLB2_LARGE_SETS][TLB2_WAYS];
} MmuState;

#endif
