/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Page walks (SDM 3A chapter 4). Compiled without vector registers, see mmu-walk.h: nothing here
 * may call what is compiled with them.
 */
#include "target-i386/mmu-walk.h"

#include "target-i386/mmu.h"

/* Page-table entry bits (SDM 3A tables 4-5 to 4-20). */
enum {
    PTE_P = 1u << 0, PTE_W = 1u << 1, PTE_U = 1u << 2, PTE_A = 1u << 5, PTE_D = 1u << 6,
    PTE_PS = 1u << 7, PTE_G = 1u << 8,
};
#define PTE_XD (1ULL << 63)

/* --- physical pages ---------------------------------------------------------- */

static bool phys_from_ranges(const X86CPU *cpu, uint64_t gpa, MemoryPage *page)
{
    const MmuState *mmu = &cpu->mmu;

    for (unsigned i = 0; i < mmu->range_count; i++) {
        const PhysRange *range = &mmu->ranges[i];

        if (gpa - range->first < range->size) {
            page->block = range->block;
            page->offset = range->offset + (gpa - range->first);
            page->read = page->write = range->block->host + page->offset;
            return true;
        }
    }
    return false;
}

const MemoryPage *mmu_phys_page(X86CPU *cpu, uint64_t gpa, const WalkSlow *slow)
{
    uint64_t base = gpa & ~PAGE_OFFSET_MASK;
    PhysPage *slot = &cpu->phys_cache[(gpa >> GUEST_PAGE_BITS) % PHYS_CACHE_SIZE];

    if (G_UNLIKELY(slot->gpa != base)) {
        if (!phys_from_ranges(cpu, base, &slot->page)) {
            if (!slow) {
                return NULL; /* the slot's page is as it was */
            }
            slow->resolve(cpu, base, &slot->page);
        }
        slot->gpa = base;
    }
    return &slot->page;
}

/* --- page-table entries -------------------------------------------------------- */

static bool pte_load(X86CPU *cpu, uint64_t gpa, unsigned size, Walk *walk, uint64_t *value)
{
    const MemoryPage *page;

    gpa &= cpu->vcpu.a20_mask;
    page = mmu_phys_page(cpu, gpa, walk->slow);
    if (G_LIKELY(page && page->read)) {
        const uint8_t *host = page->read + (gpa & PAGE_OFFSET_MASK);

        *value = size == 8 ? __atomic_load_n((const uint64_t *)host, __ATOMIC_RELAXED)
                           : __atomic_load_n((const uint32_t *)host, __ATOMIC_RELAXED);
        return true;
    }
    if (!walk->slow) {
        walk->gave_up = true;
        return false;
    }
    *value = walk->slow->load(cpu, gpa, size);
    return true;
}

static bool compare_and_set(uint8_t *host, unsigned size, uint64_t old, uint64_t bits)
{
    uint32_t old32 = (uint32_t)old;

    if (size == 8) {
        return __atomic_compare_exchange_n((uint64_t *)host, &old, old | bits, false,
                                           __ATOMIC_SEQ_CST, __ATOMIC_RELAXED);
    }
    return __atomic_compare_exchange_n((uint32_t *)host, &old32, old32 | (uint32_t)bits, false,
                                       __ATOMIC_SEQ_CST, __ATOMIC_RELAXED);
}

typedef enum { PTE_SET, PTE_CHANGED, PTE_GAVE_UP } PteResult;

/*
 * Sets @bits in the entry if it is still @old. Watchers of its page are told by mmu_marked(), of
 * one page at a time: where the last was not told yet, there is nothing to do but give up.
 */
static PteResult pte_set_bits(X86CPU *cpu, uint64_t gpa, unsigned size, uint64_t old, uint64_t bits,
                              Walk *walk)
{
    const MemoryPage *page;
    MmuState *mmu = &cpu->mmu;

    if (!(bits & ~old)) {
        return PTE_SET;
    }
    gpa &= cpu->vcpu.a20_mask;
    page = mmu_phys_page(cpu, gpa, walk->slow);
    if (!page || mmu->marked_block) {
        walk->gave_up = true;
        return PTE_GAVE_UP;
    }
    if (!page->write || page->write != page->read) {
        return PTE_SET; /* page tables in ROM or shadowed: the bits cannot be kept */
    }
    if (!compare_and_set(page->write + (gpa & PAGE_OFFSET_MASK), size, old, bits)) {
        return PTE_CHANGED;
    }
    if (G_UNLIKELY(ram_page_marks(page->block, page->offset))) {
        mmu->marked_block = page->block;
        mmu->marked_offset = page->offset + (gpa & PAGE_OFFSET_MASK);
        mmu->marked_size = size;
        walk->gave_up = true;
        return PTE_GAVE_UP;
    }
    return PTE_SET;
}

/* --- rights -------------------------------------------------------------------- */

static bool rights_deny_key(const X86CPU *cpu, MmuView view, const Walk *r, bool write)
{
    unsigned bits;

    if (!(cpu->cr4 & CR4_PKE) || !r->user || !cpu_long_mode(cpu)) {
        return false;
    }
    bits = (cpu->pkru >> (r->key * 2)) & 3; /* AD, WD (SDM 3A 4.6.2) */
    return (bits & 1) || (write && (bits & 2) && (view == MMU_USER || (cpu->cr0 & CR0_WP)));
}

static bool rights_allow_read(const X86CPU *cpu, MmuView view, const Walk *r)
{
    if (view == MMU_USER) {
        return r->user;
    }
    return !(view == MMU_SUPER_SMAP && r->user);
}

static bool rights_allow_write(const X86CPU *cpu, MmuView view, const Walk *r)
{
    if (!rights_allow_read(cpu, view, r)) {
        return false;
    }
    return r->write || (view != MMU_USER && !(cpu->cr0 & CR0_WP));
}

static bool rights_allow_fetch(const X86CPU *cpu, MmuView view, const Walk *r)
{
    if (r->no_execute) {
        return false;
    }
    return view == MMU_USER ? r->user : !(r->user && (cpu->cr4 & CR4_SMEP));
}

bool mmu_walk_check(X86CPU *cpu, MmuView view, unsigned access, Walk *walk)
{
    bool write = access & ACCESS_WRITE;
    bool allowed;

    if (access & ACCESS_FETCH) {
        allowed = rights_allow_fetch(cpu, view, walk);
    } else {
        allowed = write ? rights_allow_write(cpu, view, walk) : rights_allow_read(cpu, view, walk);
        if (allowed && rights_deny_key(cpu, view, walk, write)) {
            walk->error |= PF_P | PF_PK;
            return false;
        }
    }
    if (!allowed) {
        walk->error |= PF_P;
        return false;
    }
    walk->readable = rights_allow_read(cpu, view, walk) &&
                     !rights_deny_key(cpu, view, walk, false);
    walk->writable = walk->readable && rights_allow_write(cpu, view, walk) &&
                     !rights_deny_key(cpu, view, walk, true) && (walk->dirty || write);
    return true;
}

/* --- walks ----------------------------------------------------------------------- */

static uint64_t phys_mask(const X86CPU *cpu)
{
    return (1ULL << cpu->phys_bits) - 1;
}

/* An entry that the walk went through, for its accessed and dirty bits. */
typedef struct Step {
    uint64_t where, entry;
} Step;

/* Sets the bits in @count entries, the first of them the leaf. */
static PteResult steps_set_bits(X86CPU *cpu, const Step *steps, unsigned count, unsigned size,
                                unsigned access, Walk *walk)
{
    while (count--) {
        uint64_t bits = PTE_A | (count == 0 && (access & ACCESS_WRITE) ? PTE_D : 0);
        PteResult result = pte_set_bits(cpu, steps[count].where, size, steps[count].entry, bits,
                                        walk);

        if (result != PTE_SET) {
            return result;
        }
    }
    walk->dirty = walk->dirty || (access & ACCESS_WRITE);
    return PTE_SET;
}

static void walk_leaf(const X86CPU *cpu, Walk *walk, uint64_t entry, unsigned shift)
{
    walk->shift = shift;
    walk->dirty = entry & PTE_D;
    walk->global = (entry & PTE_G) && (cpu->cr4 & CR4_PGE);
}

/* 4 KiB and 4 MiB pages of 32-bit paging (SDM 3A 4.3). */
static PteResult walk_32(X86CPU *cpu, MmuView view, uint32_t va, unsigned access, Walk *walk,
                         bool *ok)
{
    Step steps[2]; /* the leaf first, once it is known */
    uint64_t pde, pte;

    *ok = false;
    steps[0].where = (cpu->cr3 & 0xfffff000) | ((va >> 22) << 2);
    if (!pte_load(cpu, steps[0].where, 4, walk, &pde) || !(pde & PTE_P)) {
        return PTE_SET;
    }
    steps[0].entry = pde;
    walk->user = pde & PTE_U;
    walk->write = pde & PTE_W;
    if ((pde & PTE_PS) && (cpu->cr4 & CR4_PSE)) {
        if (pde & (1u << 21)) {
            walk->error |= PF_P | PF_RSVD;
            return PTE_SET;
        }
        walk_leaf(cpu, walk, pde, 22);
        walk->gpa = (pde & 0xffc00000) | ((pde & 0x1fe000) << 19) | (va & 0x3fffff);
        *ok = mmu_walk_check(cpu, view, access, walk);
        return *ok ? steps_set_bits(cpu, steps, 1, 4, access, walk) : PTE_SET;
    }
    steps[1] = steps[0];
    steps[0].where = (pde & 0xfffff000) | (((va >> 12) & 0x3ff) << 2);
    if (!pte_load(cpu, steps[0].where, 4, walk, &pte) || !(pte & PTE_P)) {
        return PTE_SET;
    }
    steps[0].entry = pte;
    walk->user = walk->user && (pte & PTE_U);
    walk->write = walk->write && (pte & PTE_W);
    walk_leaf(cpu, walk, pte, 12);
    walk->gpa = (pte & 0xfffff000) | (va & 0xfff);
    *ok = mmu_walk_check(cpu, view, access, walk);
    return *ok ? steps_set_bits(cpu, steps, 2, 4, access, walk) : PTE_SET;
}

/* Bits that must be zero in an 8-byte entry at @level (1 = PT), leaf or not. */
static uint64_t reserved_bits(const X86CPU *cpu, unsigned level, bool leaf)
{
    uint64_t bits = 0x000ffffffffff000ULL & ~phys_mask(cpu);

    if (!(cpu->efer & EFER_NXE)) {
        bits |= PTE_XD;
    }
    if (!cpu_long_mode(cpu)) {
        bits |= 0x7ff0000000000000ULL; /* PAE: 62:52 are reserved (SDM 3A 4.4.2) */
    }
    if (leaf && level > 1) {
        bits |= ((1ULL << (12 + 9 * (level - 1))) - 1) & 0x000fffffffffe000ULL;
    }
    if (!leaf && level >= 4) {
        bits |= PTE_PS;
    }
    if (!leaf && level == 3 && !cpu_has(cpu, X86_FEATURE_PDPE1GB)) {
        bits |= PTE_PS;
    }
    return bits;
}

/* PAE, 4-level and 5-level paging from the table at @table, @levels levels (SDM 3A 4.4, 4.5). */
static PteResult walk_64(X86CPU *cpu, MmuView view, uint64_t va, unsigned access, uint64_t table,
                         unsigned levels, Walk *walk, bool *ok)
{
    Step steps[5]; /* by level */
    unsigned level = levels;
    uint64_t entry;
    bool leaf;

    *ok = false;
    for (;; level--) {
        Step *step = &steps[level - 1];

        step->where = table | (((va >> (12 + 9 * (level - 1))) & 0x1ff) << 3);
        if (!pte_load(cpu, step->where, 8, walk, &entry) || !(entry & PTE_P)) {
            return PTE_SET;
        }
        step->entry = entry;
        leaf = level == 1 || ((entry & PTE_PS) && (level == 2 || (level == 3 && levels > 3 &&
                                                  cpu_has(cpu, X86_FEATURE_PDPE1GB))));
        if (entry & reserved_bits(cpu, level, leaf)) {
            walk->error |= PF_P | PF_RSVD;
            return PTE_SET;
        }
        walk->user = walk->user && (entry & PTE_U);
        walk->write = walk->write && (entry & PTE_W);
        walk->no_execute = walk->no_execute || (entry & PTE_XD);
        table = entry & 0x000ffffffffff000ULL;
        if (leaf) {
            break;
        }
    }
    walk_leaf(cpu, walk, entry, 12 + 9 * (level - 1));
    walk->gpa = (table & ~((1ULL << walk->shift) - 1)) | (va & ((1ULL << walk->shift) - 1));
    walk->key = (entry >> 59) & 15;
    *ok = mmu_walk_check(cpu, view, access, walk);
    return *ok ? steps_set_bits(cpu, &steps[level - 1], levels - level + 1, 8, access, walk)
               : PTE_SET;
}

/* One attempt; PTE_CHANGED: another CPU interfered. */
static PteResult walk_once(X86CPU *cpu, MmuView view, uint64_t va, unsigned access, Walk *walk,
                           bool *ok)
{
    walk->error = walk->key = 0;
    walk->user = walk->write = true;
    walk->no_execute = false;
    if (cpu_long_mode(cpu)) {
        return walk_64(cpu, view, va, access, cpu->cr3 & 0x000ffffffffff000ULL,
                       cpu->cr4 & CR4_LA57 ? 5 : 4, walk, ok);
    }
    if (cpu->cr4 & CR4_PAE) {
        uint64_t pdpte = cpu->pdpte[(va >> 30) & 3];

        *ok = false;
        return pdpte & PTE_P ? walk_64(cpu, view, (uint32_t)va, access,
                                       pdpte & 0x000ffffffffff000ULL, 2, walk, ok)
                             : PTE_SET;
    }
    return walk_32(cpu, view, (uint32_t)va, access, walk, ok);
}

bool mmu_walk(X86CPU *cpu, MmuView view, uint64_t va, unsigned access, Walk *walk)
{
    bool ok;

    walk->gave_up = false;
    if (!(cpu->cr0 & CR0_PG)) {
        walk->gpa = (uint32_t)va & cpu->vcpu.a20_mask;
        walk->readable = walk->writable = true;
        walk->global = false;
        walk->shift = GUEST_PAGE_BITS;
        return true;
    }
    while (walk_once(cpu, view, va, access, walk, &ok) == PTE_CHANGED) {
    }
    if (walk->gave_up) {
        return false;
    }
    if (!ok) {
        walk->error |= (access & ACCESS_WRITE ? PF_W : 0) | (view == MMU_USER ? PF_U : 0);
        if ((access & ACCESS_FETCH) &&
            ((cpu->cr4 & CR4_SMEP) || ((cpu->efer & EFER_NXE) && (cpu->cr4 & CR4_PAE)))) {
            walk->error |= PF_ID;
        }
        return false;
    }
    mmu_remember(cpu, va, walk);
    walk->gpa &= cpu->vcpu.a20_mask;
    return true;
}
