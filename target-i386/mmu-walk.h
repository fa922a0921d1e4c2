/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Inside of the MMU: page walks and the two levels of TLB. mmu-walk.c and mmu-tlb.c are compiled
 * without vector registers, so that translated code can fill its TLB while the guest's are in the
 * host's; what they cannot do that way they leave to WalkSlow, or give up.
 */
#ifndef TARGET_I386_MMU_WALK_H
#define TARGET_I386_MMU_WALK_H

#include "target-i386/cpu.h"

#define PAGE_OFFSET_MASK (GUEST_PAGE_SIZE - 1ULL)

/* #PF error code bits (SDM 3A figure 4-12). */
enum {
    PF_P = 1u << 0,
    PF_W = 1u << 1,
    PF_U = 1u << 2,
    PF_RSVD = 1u << 3,
    PF_ID = 1u << 4,
    PF_PK = 1u << 5
};

/* MmuState.state: the page size in the low bits. */
enum {
    TLB_STATE_SHIFT = 0x1f,
    TLB_STATE_GLOBAL = 1u << 5,
    TLB_STATE_TOUCHED = 1u << 6, /* in touched[0]; the next bit: in touched[1] */
};

/* Rights in Tlb2Entry.va_rights. */
enum {
    TLB2_USER = 1u << 0, TLB2_WRITE = 1u << 1, TLB2_NO_EXECUTE = 1u << 2, TLB2_DIRTY = 1u << 3,
    TLB2_GLOBAL = 1u << 4, TLB2_SIZE_BIT = 5, TLB2_KEY_BIT = 7,
};
#define TLB2_GENERATION 0xffffffu
#define TLB2_PIECE_BITS 21

/* What only a caller who may touch anything can do. */
typedef struct WalkSlow {
    uint64_t (*load)(X86CPU *cpu, uint64_t gpa, unsigned size);
    void (*resolve)(X86CPU *cpu, uint64_t page_gpa, MemoryPage *page);
} WalkSlow;

/* What a walk found out. */
typedef struct Walk {
    const WalkSlow *slow; /* given by the caller; NULL: give up instead */
    uint64_t gpa;         /* of the byte asked for, A20 applied */
    uint32_t error;       /* #PF error code where the walk failed */
    uint8_t shift;        /* log2 of the page size */
    uint8_t key;          /* protection key of the leaf */
    bool user, write, no_execute; /* rights over all levels */
    bool dirty, global;   /* of the leaf */
    bool readable;        /* this view may read (false for a page that is only executable to it) */
    bool writable;        /* this view may write without further fault or D-bit update */
    bool gave_up;         /* neither success nor fault */
} Walk;

/* Whose the page is; NULL only without @slow. */
const MemoryPage *mmu_phys_page(X86CPU *cpu, uint64_t gpa, const WalkSlow *slow);
/* Walks the tables for @access of MmuAccess; true if it is allowed, else walk->error. */
bool mmu_walk(X86CPU *cpu, MmuView view, uint64_t va, unsigned access, Walk *walk);
/* Sets what @view may do by the rights in @walk; false if @access is not allowed. */
bool mmu_walk_check(X86CPU *cpu, MmuView view, unsigned access, Walk *walk);
/* The same answer from the second level if it has one, else from the tables. */
bool mmu_lookup(X86CPU *cpu, MmuView view, uint64_t va, unsigned access, Walk *walk);
/* Keeps a walk's result in the second level; walk->gpa before A20. */
void mmu_remember(X86CPU *cpu, uint64_t va, const Walk *walk);
/* Enters a RAM page into the first level; its write side stays closed while it is watched. */
void mmu_enter(X86CPU *cpu, MmuView view, uint64_t va, const Walk *walk, const MemoryPage *page);
/* Empties entry @set of TLB_ENTRIES. */
void mmu_clear_set(X86CPU *cpu, MmuView view, unsigned set);
/* Empties both ways of the set of @va. */
void mmu_clear_ways(X86CPU *cpu, MmuView view, uint64_t va);
/* Drops what the second level says of @va in the spaces with these generations. */
void mmu_forget(X86CPU *cpu, uint64_t va, uint32_t generation, uint32_t generation2);
/* Drops what the first level has of the large page around @va, if there is one. */
void mmu_drop_pieces(X86CPU *cpu, uint64_t va);
/* Drops what both levels say of the page around @va in the current space. */
void mmu_drop(X86CPU *cpu, uint64_t va);

static inline uint64_t tlb_invalid_tag(unsigned set)
{
    /* An address of the neighbouring set: no address that selects this set can match it. */
    return (uint64_t)(set ^ 1) << GUEST_PAGE_BITS;
}

/* The write tag of @tag's page where it may be written but is marked; no address matches it. */
static inline uint64_t tlb_watched_tag(uint64_t tag)
{
    return tag ^ 2ULL << GUEST_PAGE_BITS;
}

/* The same where it may be written, but MmuState.note_write wants to know. */
static inline uint64_t tlb_closed_tag(uint64_t tag)
{
    return tag ^ 4ULL << GUEST_PAGE_BITS;
}

static inline bool tlb2_alive(const Tlb2Entry *entry, uint32_t generation, uint32_t generation2)
{
    uint32_t found = entry->gpa_generation & TLB2_GENERATION;

    return found == generation || found == generation2;
}

static inline bool crosses_page(uint64_t va, unsigned size)
{
    return (va & PAGE_OFFSET_MASK) + size > GUEST_PAGE_SIZE;
}

/*
 * Two bits of a filter for the large page of @va, by one multiplication: in a guest with a GiB or
 * two of large pages one bit would be set by chance too often. Pages of 4 MiB count as two of 2.
 */
static inline uint32_t mmu_filter_bits(uint64_t va, unsigned shift)
{
    uint64_t key = shift == 30 ? (va >> 30) << 1 | 1 : (va >> 21) << 1;

    return (key * 0x9e3779b97f4a7c15ULL) >> 32;
}

static inline bool mmu_filter_bit(const uint64_t *filter, unsigned bit)
{
    return filter[bit % MMU_FILTER_BITS / 64] >> (bit % 64) & 1;
}

static inline bool mmu_filter_has_size(const uint64_t *filter, uint64_t va, unsigned shift)
{
    uint32_t bits = mmu_filter_bits(va, shift);

    return mmu_filter_bit(filter, bits) && mmu_filter_bit(filter, bits >> 16);
}

/* True if a large page around @va may have been added. */
static inline bool mmu_filter_has(const uint64_t *filter, uint64_t va)
{
    return mmu_filter_has_size(filter, va, 21) || mmu_filter_has_size(filter, va, 30);
}

/* @count: large pages added; @shift: log2 of the page's size, 21, 22 or 30. */
static inline void mmu_filter_add(uint64_t *filter, unsigned *count, uint64_t va, unsigned shift)
{
    for (unsigned half = 0; half < (shift == 22 ? 2 : 1); half++, va ^= 1u << 21) {
        uint32_t bits = mmu_filter_bits(va, shift);

        if (!mmu_filter_has_size(filter, va, shift)) {
            filter[bits % MMU_FILTER_BITS / 64] |= 1ULL << (bits % 64);
            bits >>= 16;
            filter[bits % MMU_FILTER_BITS / 64] |= 1ULL << (bits % 64);
            ++*count;
        }
    }
}

#endif
