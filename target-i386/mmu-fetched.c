/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The table of pages that code was fetched from: by open addressing, never deleted from. */
#include "target-i386/mmu-fetched.h"

#include <string.h>

/* Numbers of address spaces that were left come back with PCIDs alone. */
static bool still_counts(const X86CPU *cpu, uint64_t generation)
{
    return generation == cpu->map_generation || generation == cpu->map_global_generation ||
           (cpu->cr4 & CR4_PCIDE);
}

static FetchedPage *find_or_add(X86CPU *cpu, uint64_t va)
{
    uint64_t key = (va >> GUEST_PAGE_BITS) + 1;

    for (unsigned i = 0; i < FETCHED_PROBES; i++) {
        FetchedPage *page = mmu_fetched_place(cpu, key, i);

        if (!page->key) {
            *page = (FetchedPage){.key = key, .ram = FETCHED_NONE};
        }
        if (page->key == key) {
            return page;
        }
    }
    return NULL;
}

void mmu_fetched_note(X86CPU *cpu, uint64_t va, uint64_t ram, bool global)
{
    FetchedPage *page = find_or_add(cpu, va);

    if (!page) {
        cpu->mmu.fetched_full = true;
    } else if (page->ram == FETCHED_NONE || page->ram == ram ||
               !still_counts(cpu, page->generation)) {
        page->ram = ram;
        page->generation = global ? cpu->map_global_generation : cpu->map_generation;
    } else {
        page->ram = FETCHED_SEVERAL;
    }
}

void mmu_fetched_reset(X86CPU *cpu)
{
    memset(cpu->mmu.fetched, 0, sizeof(cpu->mmu.fetched));
    cpu->mmu.fetched_full = false;
}
