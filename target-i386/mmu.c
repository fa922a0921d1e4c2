/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Address translation (SDM 3A chapter 4) and the slow paths of memory access: software TLB fills,
 * page crossings, devices, and writes to pages that hold decoded code.
 */
#include "target-i386/mmu.h"

#include <string.h>

#include "target-i386/interp/debug.h"
#include "target-i386/interp/insn.h"
#include "util/lock.h"
#include "util/log.h"

/* Page-table entry bits (SDM 3A tables 4-5 to 4-20). */
enum {
    PTE_P = 1u << 0, PTE_W = 1u << 1, PTE_U = 1u << 2, PTE_A = 1u << 5, PTE_D = 1u << 6,
    PTE_PS = 1u << 7,
};
#define PTE_XD (1ULL << 63)

/* #PF error code bits (SDM 3A figure 4-12). */
enum {
    PF_P = 1u << 0,
    PF_W = 1u << 1,
    PF_U = 1u << 2,
    PF_RSVD = 1u << 3,
    PF_ID = 1u << 4,
    PF_PK = 1u << 5
};

#define PAGE_OFFSET_MASK (GUEST_PAGE_SIZE - 1ULL)

/*
 * A locked access across a line locks the host's bus, for which hosts punish the thread (Linux,
 * split_lock_detect) or the virtual machine, by up to a second an access.
 */
#define CACHE_LINE 64u

/* What a walk found out. */
typedef struct Walk {
    uint64_t gpa;      /* of the byte asked for, A20 applied */
    bool writable;     /* this view may write without further fault or D-bit update */
    bool readable;     /* this view may read (false for a page that is only executable to it) */
    uint8_t shift;     /* log2 of the page size */
    uint32_t error;    /* #PF error code where the walk failed */
} Walk;

static uint64_t tlb_invalid_tag(unsigned set)
{
    /* An address of the neighbouring set: no address that selects this set can match it. */
    return (uint64_t)(set ^ 1) << GUEST_PAGE_BITS;
}

static const MemoryPage *phys_page(X86CPU *cpu, uint64_t gpa)
{
    uint64_t base = gpa & ~PAGE_OFFSET_MASK;
    PhysPage *slot = &cpu->phys_cache[(gpa >> GUEST_PAGE_BITS) % PHYS_CACHE_SIZE];

    if (G_UNLIKELY(slot->gpa != base)) {
        slot->page = memory_resolve_page(cpu->vcpu.memory, base);
        slot->gpa = base;
    }
    return &slot->page;
}

/* --- page walk ------------------------------------------------------------- */

static uint64_t pte_load(X86CPU *cpu, uint64_t gpa, unsigned size)
{
    const MemoryPage *page;

    gpa &= cpu->vcpu.a20_mask;
    page = phys_page(cpu, gpa);
    if (G_LIKELY(page->read)) {
        const uint8_t *host = page->read + (gpa & PAGE_OFFSET_MASK);

        return size == 8 ? __atomic_load_n((const uint64_t *)host, __ATOMIC_RELAXED)
                         : __atomic_load_n((const uint32_t *)host, __ATOMIC_RELAXED);
    }
    return memory_load(cpu->vcpu.memory, gpa, size);
}

/* Sets @bits in the entry; false if it changed meanwhile and the walk must start again. */
static bool pte_set_bits(X86CPU *cpu, uint64_t gpa, unsigned size, uint64_t old, uint64_t bits)
{
    const MemoryPage *page;
    bool done;

    gpa &= cpu->vcpu.a20_mask;
    page = phys_page(cpu, gpa);
    if (!page->write || page->write != page->read) {
        return true; /* page tables in ROM or shadowed: the bits cannot be kept */
    }
    if (size == 8) {
        uint64_t expected = old;

        done = __atomic_compare_exchange_n((uint64_t *)(page->write + (gpa & PAGE_OFFSET_MASK)),
                                           &expected, old | bits, false, __ATOMIC_SEQ_CST,
                                           __ATOMIC_RELAXED);
    } else {
        uint32_t expected = (uint32_t)old;

        done = __atomic_compare_exchange_n((uint32_t *)(page->write + (gpa & PAGE_OFFSET_MASK)),
                                           &expected, (uint32_t)(old | bits), false,
                                           __ATOMIC_SEQ_CST, __ATOMIC_RELAXED);
    }
    if (done && G_UNLIKELY(ram_page_marks(page->block, page->offset))) {
        ram_written(cpu->vcpu.memory, page->block, page->offset + (gpa & PAGE_OFFSET_MASK), size);
    }
    return done;
}

/* The rights of a mapping: U, W as ANDed and XD as ORed over the levels, key of the leaf. */
typedef struct Rights {
    bool user, write, no_execute, dirty;
    unsigned key;
} Rights;

static bool rights_deny_key(const X86CPU *cpu, MmuView view, const Rights *r, bool write)
{
    unsigned bits;

    if (!(cpu->cr4 & CR4_PKE) || !r->user || !cpu_long_mode(cpu)) {
        return false;
    }
    bits = (cpu->pkru >> (r->key * 2)) & 3; /* AD, WD (SDM 3A 4.6.2) */
    return (bits & 1) || (write && (bits & 2) && (view == MMU_USER || (cpu->cr0 & CR0_WP)));
}

static bool rights_allow_read(const X86CPU *cpu, MmuView view, const Rights *r)
{
    if (view == MMU_USER) {
        return r->user;
    }
    return !(view == MMU_SUPER_SMAP && r->user);
}

static bool rights_allow_write(const X86CPU *cpu, MmuView view, const Rights *r)
{
    if (!rights_allow_read(cpu, view, r)) {
        return false;
    }
    return r->write || (view != MMU_USER && !(cpu->cr0 & CR0_WP));
}

static bool rights_allow_fetch(const X86CPU *cpu, MmuView view, const Rights *r)
{
    if (r->no_execute) {
        return false;
    }
    return view == MMU_USER ? r->user : !(r->user && (cpu->cr4 & CR4_SMEP));
}

/* Fills @walk for a present leaf with @rights; false if the access is not allowed. */
static bool walk_check(X86CPU *cpu, MmuView view, unsigned access, const Rights *r, Walk *walk)
{
    bool write = access & ACCESS_WRITE;
    bool allowed;

    if (access & ACCESS_FETCH) {
        allowed = rights_allow_fetch(cpu, view, r);
    } else {
        allowed = write ? rights_allow_write(cpu, view, r) : rights_allow_read(cpu, view, r);
        if (allowed && rights_deny_key(cpu, view, r, write)) {
            walk->error |= PF_P | PF_PK;
            return false;
        }
    }
    if (!allowed) {
        walk->error |= PF_P;
        return false;
    }
    walk->readable = rights_allow_read(cpu, view, r) && !rights_deny_key(cpu, view, r, false);
    walk->writable = walk->readable && rights_allow_write(cpu, view, r) &&
                     !rights_deny_key(cpu, view, r, true) && (r->dirty || write);
    return true;
}

static uint64_t phys_mask(const X86CPU *cpu)
{
    return (1ULL << cpu->phys_bits) - 1;
}

/* 4 KiB and 4 MiB pages of 32-bit paging (SDM 3A 4.3). */
static bool walk_32(X86CPU *cpu, MmuView view, uint32_t va, unsigned access, Walk *walk)
{
    Rights r = {.user = true, .write = true};
    uint64_t set = PTE_A | (access & ACCESS_WRITE ? PTE_D : 0);
    uint64_t pde_at, pte_at, pde, pte;

    pde_at = (cpu->cr3 & 0xfffff000) | ((va >> 22) << 2);
again:
    pde = pte_load(cpu, pde_at, 4);
    if (!(pde & PTE_P)) {
        return false;
    }
    r.user = pde & PTE_U;
    r.write = pde & PTE_W;
    if ((pde & PTE_PS) && (cpu->cr4 & CR4_PSE)) {
        if (pde & (1u << 21)) {
            walk->error |= PF_P | PF_RSVD;
            return false;
        }
        r.dirty = pde & PTE_D;
        walk->shift = 22;
        walk->gpa = (pde & 0xffc00000) | ((pde & 0x1fe000) << 19) | (va & 0x3fffff);
        if (!walk_check(cpu, view, access, &r, walk)) {
            return false;
        }
        if ((pde & set) != set && !pte_set_bits(cpu, pde_at, 4, pde, set)) {
            goto again;
        }
        return true;
    }
    pte_at = (pde & 0xfffff000) | (((va >> 12) & 0x3ff) << 2);
    pte = pte_load(cpu, pte_at, 4);
    if (!(pte & PTE_P)) {
        return false;
    }
    r.user = r.user && (pte & PTE_U);
    r.write = r.write && (pte & PTE_W);
    r.dirty = pte & PTE_D;
    walk->shift = 12;
    walk->gpa = (pte & 0xfffff000) | (va & 0xfff);
    if (!walk_check(cpu, view, access, &r, walk)) {
        return false;
    }
    if (!(pde & PTE_A) && !pte_set_bits(cpu, pde_at, 4, pde, PTE_A)) {
        goto again;
    }
    if ((pte & set) != set && !pte_set_bits(cpu, pte_at, 4, pte, set)) {
        goto again;
    }
    return true;
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

/* PAE, 4-level and 5-level paging from the table at @table, @level levels (SDM 3A 4.4, 4.5). */
static bool walk_64(X86CPU *cpu, MmuView view, uint64_t va, unsigned access, uint64_t root,
                    unsigned levels, Walk *walk)
{
    Rights r;
    uint64_t entries[5], where[5], table;
    unsigned level;
    bool leaf;

again:
    r = (Rights){.user = true, .write = true};
    table = root;
    for (level = levels;; level--) {
        uint64_t entry;

        where[level - 1] = table | (((va >> (12 + 9 * (level - 1))) & 0x1ff) << 3);
        entry = entries[level - 1] = pte_load(cpu, where[level - 1], 8);
        if (!(entry & PTE_P)) {
            return false;
        }
        leaf = level == 1 || ((entry & PTE_PS) && (level == 2 || (level == 3 && levels > 3 &&
                                                  cpu_has(cpu, X86_FEATURE_PDPE1GB))));
        if (entry & reserved_bits(cpu, level, leaf)) {
            walk->error |= PF_P | PF_RSVD;
            return false;
        }
        r.user = r.user && (entry & PTE_U);
        r.write = r.write && (entry & PTE_W);
        r.no_execute = r.no_execute || (entry & PTE_XD);
        table = entry & 0x000ffffffffff000ULL;
        if (leaf) {
            break;
        }
    }
    walk->shift = 12 + 9 * (level - 1);
    walk->gpa = (table & ~((1ULL << walk->shift) - 1)) | (va & ((1ULL << walk->shift) - 1));
    r.dirty = entries[level - 1] & PTE_D;
    r.key = (entries[level - 1] >> 59) & 15;
    if (!walk_check(cpu, view, access, &r, walk)) {
        return false;
    }
    for (unsigned i = levels; i >= level; i--) {
        uint64_t set = PTE_A | (i == level && (access & ACCESS_WRITE) ? PTE_D : 0);

        if ((entries[i - 1] & set) != set &&
            !pte_set_bits(cpu, where[i - 1], 8, entries[i - 1], set)) {
            goto again;
        }
    }
    return true;
}

static bool walk_page(X86CPU *cpu, MmuView view, uint64_t va, unsigned access, Walk *walk)
{
    bool ok;

    walk->error = 0;
    if (!(cpu->cr0 & CR0_PG)) {
        walk->gpa = (uint32_t)va & cpu->vcpu.a20_mask;
        walk->readable = walk->writable = true;
        walk->shift = 12;
        return true;
    }
    if (cpu_long_mode(cpu)) {
        ok = walk_64(cpu, view, va, access, cpu->cr3 & 0x000ffffffffff000ULL,
                     cpu->cr4 & CR4_LA57 ? 5 : 4, walk);
    } else if (cpu->cr4 & CR4_PAE) {
        uint64_t pdpte = cpu->pdpte[(va >> 30) & 3];

        ok = (pdpte & PTE_P) && walk_64(cpu, view, (uint32_t)va, access,
                                        pdpte & 0x000ffffffffff000ULL, 2, walk);
    } else {
        ok = walk_32(cpu, view, (uint32_t)va, access, walk);
    }
    if (!ok) {
        walk->error |= (access & ACCESS_WRITE ? PF_W : 0) | (view == MMU_USER ? PF_U : 0);
        if ((access & ACCESS_FETCH) &&
            ((cpu->cr4 & CR4_SMEP) || ((cpu->efer & EFER_NXE) && (cpu->cr4 & CR4_PAE)))) {
            walk->error |= PF_ID;
        }
        return false;
    }
    walk->gpa &= cpu->vcpu.a20_mask;
    return true;
}

bool mmu_translate(X86CPU *cpu, MmuView view, uint64_t va, unsigned access, uint64_t *gpa,
                   uint32_t *error)
{
    Walk walk;

    if (!walk_page(cpu, view, va, access, &walk)) {
        *error = walk.error;
        return false;
    }
    *gpa = walk.gpa;
    return true;
}

/* --- the TLB --------------------------------------------------------------- */

static void tlb_touch(X86CPU *cpu, MmuView view, unsigned set)
{
    if (!cpu->tlb[view][set].page) { /* not entered since the last flush */
        cpu->tlb_touched[view][cpu->tlb_touched_count[view]++] = set;
    }
}

/* Enters a RAM page; its write side stays closed while the page is watched. */
static void tlb_enter(X86CPU *cpu, MmuView view, uint64_t va, const Walk *walk,
                      const MemoryPage *page)
{
    unsigned set = (va >> GUEST_PAGE_BITS) & (TLB_SIZE - 1);
    TlbEntry *entry = &cpu->tlb[view][set];
    uint64_t tag = va & ~PAGE_OFFSET_MASK;

    tlb_touch(cpu, view, set);
    __atomic_store_n(&entry->write_tag, tlb_invalid_tag(set), __ATOMIC_RELAXED);
    entry->page = (uintptr_t)page->read;
    __atomic_store_n(&entry->addend, (uintptr_t)page->read - tag, __ATOMIC_RELAXED);
    entry->read_tag = walk->readable ? tag : tlb_invalid_tag(set);
    cpu->tlb_shift[view][set] = walk->shift;
    cpu->tlb_large |= walk->shift > GUEST_PAGE_BITS;
    if (walk->writable && page->write == page->read) {
        /* Tag first, marks after: pairs with mmu_forget_writes(), which marks first and scans
         * after. */
        __atomic_store_n(&entry->write_tag, tag, __ATOMIC_SEQ_CST);
        __atomic_thread_fence(__ATOMIC_SEQ_CST);
        if (ram_page_marks(page->block, page->offset)) {
            __atomic_store_n(&entry->write_tag, tlb_invalid_tag(set), __ATOMIC_RELAXED);
        }
    }
}

static void tlb_clear(X86CPU *cpu, MmuView view, unsigned set)
{
    TlbEntry *entry = &cpu->tlb[view][set];

    entry->read_tag = tlb_invalid_tag(set);
    __atomic_store_n(&entry->write_tag, tlb_invalid_tag(set), __ATOMIC_RELAXED);
}

void mmu_init(X86CPU *cpu)
{
    for (unsigned view = 0; view < MMU_VIEWS; view++) {
        for (unsigned set = 0; set < TLB_SIZE; set++) {
            tlb_clear(cpu, view, set);
            cpu->tlb[view][set].page = 0;
        }
        cpu->tlb_touched_count[view] = 0;
    }
    mmu_memory_changed(cpu);
}

void mmu_flush(X86CPU *cpu)
{
    for (unsigned view = 0; view < MMU_VIEWS; view++) {
        for (unsigned i = 0; i < cpu->tlb_touched_count[view]; i++) {
            unsigned set = cpu->tlb_touched[view][i];

            tlb_clear(cpu, view, set);
            cpu->tlb[view][set].page = 0;
        }
        cpu->tlb_touched_count[view] = 0;
    }
    cpu->tlb_large = false;
    cpu->tlb_generation++;
    cpu->map_generation++;
}

static void tlb_flush_large(X86CPU *cpu, MmuView view, uint64_t va)
{
    for (unsigned i = 0; i < cpu->tlb_touched_count[view]; i++) {
        unsigned set = cpu->tlb_touched[view][i];
        const TlbEntry *entry = &cpu->tlb[view][set];
        uint64_t tag = entry->read_tag != tlb_invalid_tag(set) ? entry->read_tag : entry->write_tag;

        if (!((tag ^ va) >> cpu->tlb_shift[view][set])) {
            tlb_clear(cpu, view, set);
        }
    }
}

void mmu_flush_page(X86CPU *cpu, uint64_t va)
{
    for (unsigned view = 0; view < MMU_VIEWS; view++) {
        unsigned set = (va >> GUEST_PAGE_BITS) & (TLB_SIZE - 1);

        tlb_clear(cpu, view, set);
        if (cpu->tlb_large) {
            tlb_flush_large(cpu, view, va);
        }
    }
    cpu->tlb_generation++;
    cpu->map_generation++;
}

void mmu_memory_changed(X86CPU *cpu)
{
    for (unsigned i = 0; i < PHYS_CACHE_SIZE; i++) {
        cpu->phys_cache[i].gpa = UINT64_MAX;
    }
    mmu_flush(cpu);
}

void mmu_forget_writes(X86CPU *cpu, const RamBlock *block, uint64_t offset)
{
    uintptr_t host = (uintptr_t)block->host + offset;

    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    for (unsigned view = 0; view < MMU_VIEWS; view++) {
        for (unsigned set = 0; set < TLB_SIZE; set++) {
            TlbEntry *entry = &cpu->tlb[view][set];
            uint64_t tag = __atomic_load_n(&entry->write_tag, __ATOMIC_RELAXED);

            if (tag + __atomic_load_n(&entry->addend, __ATOMIC_RELAXED) == host) {
                __atomic_store_n(&entry->write_tag, tlb_invalid_tag(set), __ATOMIC_SEQ_CST);
            }
        }
    }
}

/* --- faults ---------------------------------------------------------------- */

/*
 * #SS(0) through the stack segment, explicit or implied; #GP(0) through any other (SDM 1, 3.3.7.1).
 */
static G_NORETURN void raise_non_canonical(X86CPU *cpu, unsigned access)
{
    bool stack = access & ACCESS_STACK;

    if (cpu->insn && cpu->insn->ea != EA_NONE && cpu->insn->seg == SEG_SS) {
        stack = true;
    }
    cpu_raise_error(cpu, stack ? EXC_SS : EXC_GP, 0);
}

static G_NORETURN void raise_page_fault(X86CPU *cpu, uint64_t va, uint32_t error)
{
    log_write(LOG_MMU, "page fault at %#" G_GINT64_MODIFIER "x error %#x rip %#" G_GINT64_MODIFIER
              "x", va, error, cpu->cpu_rip);
    cpu->cr2 = va;
    cpu_raise_error(cpu, EXC_PF, error);
}

/* Translates or raises; @va lies in one page with all bytes of the access. */
static void walk_or_raise(X86CPU *cpu, MmuView view, uint64_t va, unsigned access, Walk *walk)
{
    if (cpu_long_mode(cpu) && G_UNLIKELY(!cpu_canonical(cpu, va))) {
        raise_non_canonical(cpu, access);
    }
    if (!walk_page(cpu, view, va, access, walk)) {
        raise_page_fault(cpu, va, walk->error);
    }
}

/* Translates and enters the TLB if RAM; returns the physical page. */
static const MemoryPage *resolve(X86CPU *cpu, MmuView view, uint64_t va, unsigned access,
                                 uint64_t *gpa)
{
    const MemoryPage *page;
    Walk walk;

    walk_or_raise(cpu, view, va, access, &walk);
    page = phys_page(cpu, walk.gpa);
    if (page->read && !cpu_debug_page_watched(cpu, va)) {
        tlb_enter(cpu, view, va, &walk, page);
    }
    *gpa = walk.gpa;
    return page;
}

static bool crosses_page(uint64_t va, unsigned size)
{
    return (va & PAGE_OFFSET_MASK) + size > GUEST_PAGE_SIZE;
}

/* The address @delta bytes on: 32-bit linear addresses wrap. */
static uint64_t va_add(const X86CPU *cpu, uint64_t va, uint64_t delta)
{
    return cpu_long_mode(cpu) ? va + delta : (uint32_t)(va + delta);
}

void mmu_probe(X86CPU *cpu, MmuView view, uint64_t va, unsigned size, unsigned access)
{
    uint64_t first = va & ~PAGE_OFFSET_MASK;
    Walk walk;

    walk_or_raise(cpu, view, va, access, &walk);
    for (uint64_t done = GUEST_PAGE_SIZE - (va & PAGE_OFFSET_MASK); done < size;
         done += GUEST_PAGE_SIZE) {
        walk_or_raise(cpu, view, va_add(cpu, first, done + (va & PAGE_OFFSET_MASK)), access, &walk);
    }
}

/* --- slow accesses ----------------------------------------------------------- */

/* Data breakpoints see what the slow paths do; their pages never enter the TLB. */
static void note_access(X86CPU *cpu, uint64_t va, unsigned size, bool write)
{
    if (G_UNLIKELY(cpu->debug_active)) {
        cpu_debug_access(cpu, va, size, write);
    }
}

static void load_bytes(const uint8_t *host, unsigned size, uint64_t *value)
{
    switch (size) {
    case 1: *value = __atomic_load_n(host, __ATOMIC_RELAXED); break;
    case 2: *value = __atomic_load_n((const uint16_t *)host, __ATOMIC_RELAXED); break;
    case 4: *value = __atomic_load_n((const uint32_t *)host, __ATOMIC_RELAXED); break;
    default: *value = __atomic_load_n((const uint64_t *)host, __ATOMIC_RELAXED); break;
    }
}

static void store_bytes(uint8_t *host, unsigned size, uint64_t value)
{
    switch (size) {
    case 1: __atomic_store_n(host, (uint8_t)value, __ATOMIC_RELAXED); break;
    case 2: __atomic_store_n((uint16_t *)host, (uint16_t)value, __ATOMIC_RELAXED); break;
    case 4: __atomic_store_n((uint32_t *)host, (uint32_t)value, __ATOMIC_RELAXED); break;
    default: __atomic_store_n((uint64_t *)host, value, __ATOMIC_RELAXED); break;
    }
}

uint64_t mmu_load_slow(X86CPU *cpu, MmuView view, uint64_t va, unsigned size, unsigned access)
{
    const MemoryPage *page;
    uint64_t gpa, value = 0;

    if (G_UNLIKELY(crosses_page(va, size))) {
        if (access & ACCESS_WRITE) {
            mmu_probe(cpu, view, va, size, ACCESS_WRITE);
        }
        mmu_read(cpu, view, va, &value, size);
        return value;
    }
    page = resolve(cpu, view, va, access, &gpa);
    note_access(cpu, va, size, false);
    if (G_LIKELY(page->read)) {
        load_bytes(page->read + (gpa & PAGE_OFFSET_MASK), size, &value);
        return value;
    }
    return memory_load(cpu->vcpu.memory, gpa, size);
}

static void store_page(X86CPU *cpu, const MemoryPage *page, uint64_t gpa, uint64_t value,
                       unsigned size)
{
    uint64_t offset = gpa & PAGE_OFFSET_MASK;

    if (G_LIKELY(page->write)) {
        store_bytes(page->write + offset, size, value);
        __atomic_thread_fence(__ATOMIC_SEQ_CST); /* as in ram_write() */
        if (ram_page_marks(page->block, page->offset)) {
            ram_written(cpu->vcpu.memory, page->block, page->offset + offset, size);
        }
    } else {
        memory_store(cpu->vcpu.memory, gpa, value, size);
    }
}

void mmu_store_slow(X86CPU *cpu, MmuView view, uint64_t va, uint64_t value, unsigned size,
                    unsigned access)
{
    const MemoryPage *page;
    uint64_t gpa;

    if (G_UNLIKELY(crosses_page(va, size))) {
        if (access & ACCESS_STACK) {
            mmu_probe(cpu, view, va, size, access);
        }
        mmu_write(cpu, view, va, &value, size);
        return;
    }
    page = resolve(cpu, view, va, access, &gpa);
    note_access(cpu, va, size, true);
    store_page(cpu, page, gpa, value, size);
}

/* The part of [va, va+size) that lies in va's page. */
static unsigned page_part(uint64_t va, unsigned size)
{
    unsigned room = GUEST_PAGE_SIZE - (va & PAGE_OFFSET_MASK);

    return MIN(room, size);
}

void mmu_read(X86CPU *cpu, MmuView view, uint64_t va, void *buffer, unsigned size)
{
    uint8_t *out = buffer;

    if (crosses_page(va, size)) {
        mmu_probe(cpu, view, va, size, ACCESS_READ);
    }
    while (size) {
        unsigned part = page_part(va, size);
        uint64_t gpa;
        const MemoryPage *page = resolve(cpu, view, va, ACCESS_READ, &gpa);

        note_access(cpu, va, part, false);
        if (page->read) {
            memcpy(out, page->read + (gpa & PAGE_OFFSET_MASK), part);
        } else {
            memory_read(cpu->vcpu.memory, gpa, out, part);
        }
        va = va_add(cpu, va, part);
        out += part;
        size -= part;
    }
}

void mmu_write(X86CPU *cpu, MmuView view, uint64_t va, const void *buffer, unsigned size)
{
    const uint8_t *in = buffer;

    if (crosses_page(va, size)) {
        mmu_probe(cpu, view, va, size, ACCESS_WRITE);
    }
    while (size) {
        unsigned part = page_part(va, size);
        uint64_t gpa;
        const MemoryPage *page = resolve(cpu, view, va, ACCESS_WRITE, &gpa);

        note_access(cpu, va, part, true);
        if (page->write) {
            memcpy(page->write + (gpa & PAGE_OFFSET_MASK), in, part);
            __atomic_thread_fence(__ATOMIC_SEQ_CST); /* as in ram_write() */
            if (ram_page_marks(page->block, page->offset)) {
                ram_written(cpu->vcpu.memory, page->block,
                            page->offset + (gpa & PAGE_OFFSET_MASK), part);
            }
        } else {
            memory_write(cpu->vcpu.memory, gpa, in, part);
        }
        va = va_add(cpu, va, part);
        in += part;
        size -= part;
    }
}

/* mmu_host() past the TLB. With @watch it returns watched pages too and notes what watches them. */
static void *host_slow(X86CPU *cpu, MmuView view, uint64_t va, unsigned size, unsigned access,
                       MmuWatch *watch)
{
    const MemoryPage *page;
    uint64_t gpa;

    if (crosses_page(va, size)) {
        mmu_probe(cpu, view, va, size, access);
        return NULL;
    }
    page = resolve(cpu, view, va, access, &gpa);
    if (!page->read || cpu_debug_page_watched(cpu, va)) {
        return NULL;
    }
    if (!(access & ACCESS_WRITE)) {
        return page->read + (gpa & PAGE_OFFSET_MASK);
    }
    if (!page->write) {
        return NULL;
    }
    if (ram_page_marks(page->block, page->offset)) {
        if (!watch) {
            return NULL;
        }
        *watch = (MmuWatch){page->block, page->offset + (gpa & PAGE_OFFSET_MASK)};
    }
    return page->write + (gpa & PAGE_OFFSET_MASK);
}

void *mmu_host(X86CPU *cpu, MmuView view, uint64_t va, unsigned size, unsigned access)
{
    TlbEntry *entry = mmu_tlb_entry(cpu, view, va);
    uint64_t tag = access & ACCESS_WRITE ? entry->write_tag : entry->read_tag;

    if (G_LIKELY((va ^ tag) <= GUEST_PAGE_SIZE - size)) {
        return (void *)(va + entry->addend);
    }
    return host_slow(cpu, view, va, size, access, NULL);
}

void *mmu_host_watched(X86CPU *cpu, MmuView view, uint64_t va, unsigned size, MmuWatch *watch)
{
    TlbEntry *entry = mmu_tlb_entry(cpu, view, va);

    watch->block = NULL;
    if (G_LIKELY((va ^ entry->write_tag) <= GUEST_PAGE_SIZE - size)) {
        return (void *)(va + entry->addend);
    }
    return host_slow(cpu, view, va, size, ACCESS_WRITE, watch);
}

void mmu_wrote(X86CPU *cpu, const MmuWatch *watch, int64_t from, uint64_t size)
{
    if (G_UNLIKELY(watch->block)) {
        __atomic_thread_fence(__ATOMIC_SEQ_CST); /* as in ram_write() */
        ram_written(cpu->vcpu.memory, watch->block, watch->offset + from, size);
    }
}

void *mmu_rmw_begin(X86CPU *cpu, uint64_t va, unsigned size, MmuRmw *rmw)
{
    TlbEntry *entry = mmu_tlb_entry(cpu, cpu->mmu_view, va);
    const MemoryPage *page;
    uint64_t gpa;

    bool split = (va & (CACHE_LINE - 1)) + size > CACHE_LINE;

    *rmw = (MmuRmw){.size = size};
    if (G_LIKELY((va ^ entry->write_tag) <= GUEST_PAGE_SIZE - size && !split)) {
        return (void *)(va + entry->addend);
    }
    if (crosses_page(va, size)) {
        mmu_probe(cpu, cpu->mmu_view, va, size, ACCESS_WRITE);
    } else {
        page = resolve(cpu, cpu->mmu_view, va, ACCESS_WRITE, &gpa);
        note_access(cpu, va, size, true);
        if (page->write && page->write == page->read && !split) {
            if (ram_page_marks(page->block, page->offset)) {
                rmw->block = page->block;
                rmw->offset = page->offset + (gpa & PAGE_OFFSET_MASK);
            }
            return page->write + (gpa & PAGE_OFFSET_MASK);
        }
    }
    rmw->locked = machine_lock_enter();
    return NULL;
}

void mmu_rmw_end(X86CPU *cpu, MmuRmw *rmw)
{
    if (rmw->block) {
        ram_written(cpu->vcpu.memory, rmw->block, rmw->offset, rmw->size);
    }
    machine_lock_leave(rmw->locked);
}
