/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The slow paths of memory access: faults, page crossings, devices, and writes to pages that hold
 * decoded code.
 */
#include "target-i386/mmu.h"

#include <string.h>

#include "target-i386/interp/debug.h"
#include "target-i386/interp/insn.h"
#include "target-i386/mmu-walk.h"
#include "util/lock.h"
#include "util/log.h"

/*
 * A locked access across a line locks the host's bus, for which hosts punish the thread (Linux,
 * split_lock_detect) or the virtual machine, by up to a second an access.
 */
#define CACHE_LINE 64u

/* --- translation ------------------------------------------------------------ */

static uint64_t slow_load(X86CPU *cpu, uint64_t gpa, unsigned size)
{
    return memory_load(cpu->vcpu.memory, gpa, size);
}

static void load_ranges(X86CPU *cpu)
{
    g_autoptr(GArray) sections = memory_ram_sections(cpu->vcpu.memory);
    MmuState *mmu = &cpu->mmu;

    mmu->range_count = 0;
    for (unsigned i = 0; i < sections->len && mmu->range_count < PHYS_RANGES; i++) {
        const RamSection *section = &g_array_index(sections, RamSection, i);

        if (section->writable) {
            mmu->ranges[mmu->range_count++] = (PhysRange){
                .first = section->addr, .size = section->size, .block = section->block,
                .offset = section->offset};
        }
    }
    mmu->ranges_valid = true;
}

static void slow_resolve(X86CPU *cpu, uint64_t page_gpa, MemoryPage *page)
{
    if (!cpu->mmu.ranges_valid) {
        load_ranges(cpu);
    }
    *page = memory_resolve_page(cpu->vcpu.memory, page_gpa);
}

static const WalkSlow walk_slow = {.load = slow_load, .resolve = slow_resolve};

/* Tells the watchers of a page table what a walk wrote there. */
static void tell_marked(X86CPU *cpu)
{
    RamBlock *block = cpu->mmu.marked_block;

    if (G_UNLIKELY(block)) {
        cpu->mmu.marked_block = NULL;
        ram_written(cpu->vcpu.memory, block, cpu->mmu.marked_offset, cpu->mmu.marked_size);
    }
}

/* Walks stop where watchers must be told. */
static bool walk_page(X86CPU *cpu, MmuView view, uint64_t va, unsigned access, Walk *walk)
{
    bool ok;

    walk->slow = &walk_slow;
    do {
        tell_marked(cpu);
        ok = mmu_walk(cpu, view, va, access, walk);
    } while (walk->gave_up);
    return ok;
}

static bool lookup_page(X86CPU *cpu, MmuView view, uint64_t va, unsigned access, Walk *walk)
{
    bool ok;

    walk->slow = &walk_slow;
    do {
        tell_marked(cpu);
        ok = mmu_lookup(cpu, view, va, access, walk);
    } while (walk->gave_up);
    return ok;
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

bool mmu_fetch(X86CPU *cpu, MmuView view, uint64_t va, MmuFetch *fetch, uint32_t *error)
{
    Walk walk;

    if (!lookup_page(cpu, view, va, ACCESS_FETCH, &walk)) {
        *error = walk.error;
        mmu_drop(cpu, va);
        return false;
    }
    fetch->gpa = walk.gpa & ~PAGE_OFFSET_MASK;
    fetch->page = *mmu_phys_page(cpu, walk.gpa, &walk_slow);
    fetch->global = walk.global;
    mmu_note_fetch(cpu, va, walk.shift, fetch);
    return true;
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

/*
 * Translates or raises; @va lies in one page with all bytes of the access. A fault drops what the
 * TLB says of its address (SDM 3A 4.10.4.1).
 */
static void lookup_or_raise(X86CPU *cpu, MmuView view, uint64_t va, unsigned access, Walk *walk)
{
    if (cpu_long_mode(cpu) && G_UNLIKELY(!cpu_canonical(cpu, va))) {
        raise_non_canonical(cpu, access);
    }
    if (!lookup_page(cpu, view, va, access, walk)) {
        mmu_drop(cpu, va);
        raise_page_fault(cpu, va, walk->error);
    }
}

/* Translates and enters the TLB if RAM; returns the physical page. */
static const MemoryPage *resolve(X86CPU *cpu, MmuView view, uint64_t va, unsigned access,
                                 uint64_t *gpa)
{
    const MemoryPage *page;
    Walk walk;

    lookup_or_raise(cpu, view, va, access, &walk);
    page = mmu_phys_page(cpu, walk.gpa, &walk_slow);
    if (page->read && !cpu_debug_page_watched(cpu, va)) {
        mmu_enter(cpu, view, va, &walk, page);
    }
    *gpa = walk.gpa;
    return page;
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

    lookup_or_raise(cpu, view, va, access, &walk);
    for (uint64_t done = GUEST_PAGE_SIZE - (va & PAGE_OFFSET_MASK); done < size;
         done += GUEST_PAGE_SIZE) {
        uint64_t next = va_add(cpu, first, done + (va & PAGE_OFFSET_MASK));

        lookup_or_raise(cpu, view, next, access, &walk);
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
