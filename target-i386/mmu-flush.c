/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What translations are forgotten when (SDM 3A 4.10.4), and the numbers by which those who remember
 * where code lies learn of it.
 */
#include <string.h>

#include "target-i386/interp/cache.h"
#include "target-i386/mmu-fetched.h"
#include "target-i386/mmu-walk.h"
#include "target-i386/mmu.h"

/* Filters this full say yes too often. */
#define FILTER_FULL (MMU_FILTER_BITS / 8)

/* --- numbers --------------------------------------------------------------------- */

static uint32_t current_pcid(const X86CPU *cpu)
{
    return cpu->cr4 & CR4_PCIDE ? cpu->cr3 & 0xfff : 0;
}

/* Linux's two PCIDs of a process differ in bit 11 alone. */
static MmuSpace *space_slot(MmuState *mmu, uint32_t pcid)
{
    return &mmu->spaces[(pcid ^ pcid >> 8) % MMU_SPACES];
}

/* A generation of the second level that nothing there has; all of it goes when they run out. */
static uint32_t new_generation(MmuState *mmu)
{
    if (mmu->last_generation == TLB2_GENERATION) {
        memset(mmu->tlb2, 0, sizeof(mmu->tlb2));
        memset(mmu->tlb2_large, 0, sizeof(mmu->tlb2_large));
        memset(mmu->spaces, 0, sizeof(mmu->spaces));
        mmu->last_generation = 1;
        mmu->global_generation = 1;
    }
    return ++mmu->last_generation;
}

/* Makes the space that CR3 names the current one; what is remembered of it stays if @keep. */
static void space_enter(X86CPU *cpu, bool keep)
{
    MmuState *mmu = &cpu->mmu;
    uint32_t pcid = current_pcid(cpu);
    MmuSpace *space = space_slot(mmu, pcid);

    if (!keep || !space->generation || space->pcid != pcid) {
        uint32_t generation = new_generation(mmu);

        *space = (MmuSpace){.pcid = pcid, .generation = generation, .map = ++mmu->last_number};
    }
    mmu->space_generation = space->generation;
    cpu->map_generation = space->map;
}

/* Code may lie elsewhere now, in every space. */
static void code_moved(X86CPU *cpu)
{
    MmuState *mmu = &cpu->mmu;

    for (unsigned i = 0; i < MMU_SPACES; i++) {
        mmu->spaces[i].map = ++mmu->last_number;
    }
    memset(mmu->fetch_filter, 0, sizeof(mmu->fetch_filter));
    mmu->fetch_count = 0;
    mmu_fetched_reset(cpu);
    cpu->map_global_generation = ++mmu->last_number;
    space_enter(cpu, true);
}

void mmu_note_fetch(X86CPU *cpu, uint64_t va, unsigned shift, const MmuFetch *fetch)
{
    if (shift > GUEST_PAGE_BITS) {
        if (cpu->mmu.fetch_count >= FILTER_FULL) {
            code_moved(cpu);
        }
        mmu_filter_add(cpu->mmu.fetch_filter, &cpu->mmu.fetch_count, va, shift);
    } else if (fetch->page.block) {
        mmu_fetched_note(cpu, va, fetch->page.block->ram_id + fetch->page.offset, fetch->global);
    }
}

/* --- first level ------------------------------------------------------------------- */

static void flush_touched(X86CPU *cpu, bool global)
{
    MmuState *mmu = &cpu->mmu;
    unsigned touched = TLB_STATE_TOUCHED << global;

    for (unsigned view = 0; view < MMU_VIEWS; view++) {
        for (unsigned i = 0; i < mmu->touched_count[global][view]; i++) {
            unsigned set = mmu->touched[global][view][i];
            uint8_t *state = &mmu->state[view][set];

            if (!(*state & TLB_STATE_GLOBAL) != global) {
                mmu_clear_set(cpu, view, set);
            }
            *state &= ~touched;
        }
        mmu->touched_count[global][view] = 0;
    }
}

void mmu_flush_rights(X86CPU *cpu)
{
    flush_touched(cpu, false);
    flush_touched(cpu, true);
    memset(cpu->mmu.large_filter, 0, sizeof(cpu->mmu.large_filter));
    cpu->mmu.large_count = 0;
}

/* All but global pages. */
static void flush_local(X86CPU *cpu)
{
    if (cpu->mmu.large_count >= FILTER_FULL) {
        mmu_flush_rights(cpu);
    } else {
        flush_touched(cpu, false);
    }
}

/* --- what the architecture calls for --------------------------------------------------- */

void mmu_init(X86CPU *cpu)
{
    for (unsigned view = 0; view < MMU_VIEWS; view++) {
        for (unsigned set = 0; set < TLB_ENTRIES; set++) {
            mmu_clear_set(cpu, view, set);
        }
    }
    mmu_memory_changed(cpu);
}

void mmu_flush(X86CPU *cpu)
{
    MmuState *mmu = &cpu->mmu;

    mmu_flush_rights(cpu);
    memset(mmu->spaces, 0, sizeof(mmu->spaces));
    mmu->giant = false;
    mmu->global_generation = new_generation(mmu);
    code_moved(cpu);
}

void mmu_flush_spaces(X86CPU *cpu)
{
    flush_local(cpu);
    memset(cpu->mmu.spaces, 0, sizeof(cpu->mmu.spaces));
    space_enter(cpu, false);
}

void mmu_switch_space(X86CPU *cpu, bool keep)
{
    flush_local(cpu);
    space_enter(cpu, keep && (cpu->cr4 & CR4_PCIDE));
}

void mmu_flush_space(X86CPU *cpu, uint32_t pcid)
{
    MmuSpace *space = space_slot(&cpu->mmu, pcid);

    if (pcid == current_pcid(cpu)) {
        mmu_switch_space(cpu, false);
    } else if (space->pcid == pcid) {
        *space = (MmuSpace){0};
    }
}

/* Code of the page of @va may lie elsewhere now. */
static void page_moved(X86CPU *cpu, uint64_t va)
{
    FetchedPage *fetched = mmu_fetched_find(cpu, va);

    if (mmu_fetched_in_large(cpu, va) || cpu->mmu.fetched_full ||
        (fetched && fetched->ram == FETCHED_SEVERAL)) {
        code_moved(cpu);
    } else if (fetched && fetched->ram != FETCHED_NONE) {
        code_forget_page(cpu, va, fetched->ram);
        fetched->ram = FETCHED_NONE;
    }
}

void mmu_flush_page(X86CPU *cpu, uint64_t va)
{
    mmu_drop(cpu, va);
    page_moved(cpu, va);
}

void mmu_flush_space_page(X86CPU *cpu, uint32_t pcid, uint64_t va)
{
    MmuSpace *space = space_slot(&cpu->mmu, pcid);

    if (pcid == current_pcid(cpu)) {
        mmu_flush_page(cpu, va);
    } else if (space->generation && space->pcid == pcid) {
        mmu_forget(cpu, va, space->generation, space->generation);
        page_moved(cpu, va);
    }
}

void mmu_memory_changed(X86CPU *cpu)
{
    for (unsigned i = 0; i < PHYS_CACHE_SIZE; i++) {
        cpu->phys_cache[i].gpa = UINT64_MAX;
    }
    cpu->mmu.range_count = 0;
    cpu->mmu.ranges_valid = false;
    mmu_flush(cpu);
}

static void forget_write(X86CPU *cpu, MmuView view, unsigned set, uintptr_t host)
{
    TlbEntry *entry = &cpu->tlb[view][set];
    uint64_t tag = __atomic_load_n(&entry->write_tag, __ATOMIC_RELAXED);

    if (cpu->mmu.note_write) {
        tag = tlb_closed_tag(tag); /* and back: it is its own inverse */
    }
    if (tag + __atomic_load_n(&entry->addend, __ATOMIC_RELAXED) == host) {
        __atomic_store_n(&entry->write_tag, tlb_invalid_tag(set), __ATOMIC_SEQ_CST);
    }
}

/* The own CPU knows what is in use. */
static void forget_own_writes(X86CPU *cpu, uintptr_t host)
{
    const MmuState *mmu = &cpu->mmu;

    for (unsigned view = 0; view < MMU_VIEWS; view++) {
        for (unsigned global = 0; global < 2; global++) {
            for (unsigned i = 0; i < mmu->touched_count[global][view]; i++) {
                forget_write(cpu, view, mmu->touched[global][view][i], host);
            }
        }
    }
}

void mmu_forget_writes(X86CPU *cpu, const RamBlock *block, uint64_t offset)
{
    uintptr_t host = (uintptr_t)block->host + offset;

    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    if (vcpu_current() == &cpu->vcpu) {
        forget_own_writes(cpu, host);
        return;
    }
    for (unsigned view = 0; view < MMU_VIEWS; view++) {
        for (unsigned set = 0; set < TLB_ENTRIES; set++) {
            forget_write(cpu, view, set, host);
        }
    }
}
