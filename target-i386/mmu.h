/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Linear memory as the CPU sees it: the software TLB in front, page walks behind. Everything here
 * takes linear addresses; a fault raises #PF (or #GP/#SS for a non-canonical address) and does not
 * return. No access is done in part: permissions of all pages are checked before the first byte.
 */
#ifndef TARGET_I386_MMU_H
#define TARGET_I386_MMU_H

#include "target-i386/cpu.h"

typedef enum {
    ACCESS_READ = 0,
    ACCESS_WRITE = 1,
    ACCESS_FETCH = 2,
    ACCESS_STACK = 4, /* or'ed in: a non-canonical address is #SS */
} MmuAccess;

/* Slow paths: TLB miss, page crossing, devices, watched pages. */
uint64_t mmu_load_slow(X86CPU *cpu, MmuView view, uint64_t va, unsigned size, unsigned access);
void mmu_store_slow(X86CPU *cpu, MmuView view, uint64_t va, uint64_t value, unsigned size,
                    unsigned access);

static inline TlbEntry *mmu_tlb_entry(X86CPU *cpu, MmuView view, uint64_t va)
{
    return &cpu->tlb[view][(va >> GUEST_PAGE_BITS) & (TLB_SIZE - 1)];
}

/* va ^ tag is the offset in the page on a hit; the comparison excludes page crossings as well. */
#define MMU_DEFINE_ACCESS(bits)                                                                    \
    static inline uint##bits##_t mmu_load##bits##_view(X86CPU *cpu, MmuView view, uint64_t va,     \
                                                       unsigned access)                           \
    {                                                                                              \
        TlbEntry *entry = mmu_tlb_entry(cpu, view, va);                                            \
        if (G_LIKELY((va ^ entry->read_tag) <= GUEST_PAGE_SIZE - bits / 8)) {                      \
            return __atomic_load_n((uint##bits##_t *)(va + entry->addend), __ATOMIC_RELAXED);      \
        }                                                                                          \
        return (uint##bits##_t)mmu_load_slow(cpu, view, va, bits / 8, access);                     \
    }                                                                                              \
    static inline void mmu_store##bits##_view(X86CPU *cpu, MmuView view, uint64_t va,              \
                                              uint##bits##_t value, unsigned access)               \
    {                                                                                              \
        TlbEntry *entry = mmu_tlb_entry(cpu, view, va);                                            \
        if (G_LIKELY((va ^ entry->write_tag) <= GUEST_PAGE_SIZE - bits / 8)) {                     \
            __atomic_store_n((uint##bits##_t *)(va + entry->addend), value, __ATOMIC_RELAXED);     \
            return;                                                                                \
        }                                                                                          \
        mmu_store_slow(cpu, view, va, value, bits / 8, access | ACCESS_WRITE);                     \
    }                                                                                              \
    /* Ordinary data accesses at the current privilege. */                                         \
    static inline uint##bits##_t mmu_load##bits(X86CPU *cpu, uint64_t va)                          \
    {                                                                                              \
        return mmu_load##bits##_view(cpu, cpu->mmu_view, va, ACCESS_READ);                         \
    }                                                                                              \
    static inline void mmu_store##bits(X86CPU *cpu, uint64_t va, uint##bits##_t value)             \
    {                                                                                              \
        mmu_store##bits##_view(cpu, cpu->mmu_view, va, value, ACCESS_WRITE);                       \
    }                                                                                              \
    /* The read of a read-modify-write: what keeps the write from happening is raised now. */      \
    static inline uint##bits##_t mmu_modify##bits(X86CPU *cpu, uint64_t va)                        \
    {                                                                                              \
        return mmu_load##bits##_view(cpu, cpu->mmu_view, va, ACCESS_WRITE);                        \
    }                                                                                              \
    /* Stack accesses: a non-canonical address is #SS(0). */                                       \
    static inline uint##bits##_t mmu_pop##bits(X86CPU *cpu, uint64_t va)                           \
    {                                                                                              \
        return mmu_load##bits##_view(cpu, cpu->mmu_view, va, ACCESS_STACK);                        \
    }                                                                                              \
    static inline void mmu_push##bits(X86CPU *cpu, uint64_t va, uint##bits##_t value)              \
    {                                                                                              \
        mmu_store##bits##_view(cpu, cpu->mmu_view, va, value, ACCESS_WRITE | ACCESS_STACK);        \
    }

MMU_DEFINE_ACCESS(8)
MMU_DEFINE_ACCESS(16)
MMU_DEFINE_ACCESS(32)
MMU_DEFINE_ACCESS(64)

/* The view of implicit supervisor accesses: descriptor tables, IDT, TSS (SDM 3A 4.6.1). */
static inline MmuView mmu_system_view(const X86CPU *cpu)
{
    return cpu->cr4 & CR4_SMAP ? MMU_SUPER_SMAP : MMU_SUPER;
}

/* Any size; all pages are checked first. */
void mmu_read(X86CPU *cpu, MmuView view, uint64_t va, void *buffer, unsigned size);
void mmu_write(X86CPU *cpu, MmuView view, uint64_t va, const void *buffer, unsigned size);
/* Raises the fault that @size bytes at @va would raise for @access; else returns. */
void mmu_probe(X86CPU *cpu, MmuView view, uint64_t va, unsigned size, unsigned access);
/*
 * Host address of @va if @size bytes from there lie in one page of plain RAM that may be accessed
 * so (a writable page has no watch marks), else NULL (devices, crossing). Raises faults like
 * access.
 */
void *mmu_host(X86CPU *cpu, MmuView view, uint64_t va, unsigned size, unsigned access);

/* Whom a write to a watched page concerns; no block: nobody. */
typedef struct MmuWatch {
    RamBlock *block;
    uint64_t offset;
} MmuWatch;

/*
 * mmu_host() for writing, and watched pages are no hindrance: after the write, mmu_wrote() is to be
 * told where it began, relative to @va, and of how many bytes it was; all in one page.
 */
void *mmu_host_watched(X86CPU *cpu, MmuView view, uint64_t va, unsigned size, MmuWatch *watch);
void mmu_wrote(X86CPU *cpu, const MmuWatch *watch, int64_t from, uint64_t size);

/*
 * A locked read-modify-write: host address of the operand if it lies in one cache line of RAM
 * (watched or not), else NULL with the machine lock taken, so that others who fall back too stay
 * out. Raises the faults of a write. mmu_rmw_end() tells watchers and drops the lock.
 */
typedef struct MmuRmw {
    RamBlock *block; /* to be told of the write; NULL: not watched */
    uint64_t offset;
    unsigned size;
    bool locked;
} MmuRmw;

void *mmu_rmw_begin(X86CPU *cpu, uint64_t va, unsigned size, MmuRmw *rmw);
void mmu_rmw_end(X86CPU *cpu, MmuRmw *rmw);

/*
 * Walks the page tables: true and *@gpa, or false and the #PF error code in *@error. Sets accessed
 * and dirty bits as the access would.
 */
bool mmu_translate(X86CPU *cpu, MmuView view, uint64_t va, unsigned access, uint64_t *gpa,
                   uint32_t *error);

/*
 * Fills the TLB entry for @va without side effects but accessed and dirty bits: true if the access
 * hits then. False for whatever an ordinary access must deal with: faults, devices, watched pages,
 * page crossings, and anything that would need a lock or vector registers, none of which are
 * touched.
 */
bool mmu_fill(X86CPU *cpu, MmuView view, uint64_t va, unsigned size, bool write);

/*
 * The TLB entry for @va, of either way, if its page may be written but is marked (its write tag
 * matches nothing); else NULL.
 */
TlbEntry *mmu_tlb_watched(X86CPU *cpu, MmuView view, uint64_t va);
/* The same where MmuState.note_write must be asked before each write. */
TlbEntry *mmu_tlb_closed(X86CPU *cpu, MmuView view, uint64_t va);
/*
 * The TLB entry, of either way, that @size bytes at @va hit, filled as by mmu_fill() if need be;
 * else NULL.
 */
const TlbEntry *mmu_tlb_hit(X86CPU *cpu, MmuView view, uint64_t va, unsigned size, bool write);

/*
 * Host address of @va if it hits so, else NULL. What is to be written is told to
 * MmuState.note_write where there is one.
 */
uint8_t *mmu_tlb_host(X86CPU *cpu, MmuView view, uint64_t va, unsigned size, bool write);

/* Where instruction fetches from a page go. */
typedef struct MmuFetch {
    uint64_t gpa;     /* of the page */
    MemoryPage page;
    bool global;      /* the mapping lasts until map_global_generation changes */
} MmuFetch;

/*
 * Translates for a fetch; false and the #PF error code in *@error. The answer is good until
 * map_generation changes.
 */
bool mmu_fetch(X86CPU *cpu, MmuView view, uint64_t va, MmuFetch *fetch, uint32_t *error);
/* Someone relies on where code in the page of @va (log2 of its size: @shift) lies: in @fetch. */
void mmu_note_fetch(X86CPU *cpu, uint64_t va, unsigned shift, const MmuFetch *fetch);

/* mmu_flush_page() where that is simple: no code was fetched from there; false: not done. */
bool mmu_flush_page_quick(X86CPU *cpu, uint64_t va);
void mmu_init(X86CPU *cpu);                           /* of a new CPU */
void mmu_flush(X86CPU *cpu);                          /* everything */
void mmu_memory_changed(X86CPU *cpu);                 /* the physical map is another one */
void mmu_flush_page(X86CPU *cpu, uint64_t va);        /* INVLPG */
/*
 * Who may do what with a page follows other rules (CR0.WP, CR4.SMAP, PKRU, DR7), except for
 * fetches; where pages lie has not changed.
 */
void mmu_flush_rights(X86CPU *cpu);
/* CR3 was loaded; with PCIDs, what is known of the new space stays if @keep. */
void mmu_switch_space(X86CPU *cpu, bool keep);
/* INVPCID types 0, 1 and 3. */
void mmu_flush_space_page(X86CPU *cpu, uint32_t pcid, uint64_t va);
void mmu_flush_space(X86CPU *cpu, uint32_t pcid);
void mmu_flush_spaces(X86CPU *cpu);
/* Another CPU marked a page as code: this CPU's write tags for it go away. Any thread. */
void mmu_forget_writes(X86CPU *cpu, const RamBlock *block, uint64_t offset);

#endif
