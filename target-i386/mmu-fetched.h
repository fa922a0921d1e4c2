/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * From which RAM page the code of a linear page was fetched: so that INVLPG of a page need not make
 * everybody forget where all code lies.
 */
#ifndef TARGET_I386_MMU_FETCHED_H
#define TARGET_I386_MMU_FETCHED_H

#include "target-i386/mmu-walk.h"

/* FetchedPage.ram: none since it was forgotten; more than one, in spaces that still count. */
#define FETCHED_NONE    UINT64_MAX
#define FETCHED_SEVERAL (UINT64_MAX - 1)

static inline FetchedPage *mmu_fetched_place(X86CPU *cpu, uint64_t key, unsigned probe)
{
    return &cpu->mmu.fetched[((key * 0x9e3779b97f4a7c15ULL >> 32) + probe) % FETCHED_PAGES];
}

/* What is known of the page of @va; NULL: nothing was fetched from it, unless mmu.fetched_full. */
static inline FetchedPage *mmu_fetched_find(X86CPU *cpu, uint64_t va)
{
    uint64_t key = (va >> GUEST_PAGE_BITS) + 1;

    for (unsigned i = 0; i < FETCHED_PROBES; i++) {
        FetchedPage *page = mmu_fetched_place(cpu, key, i);

        if (page->key == key || !page->key) {
            return page->key ? page : NULL;
        }
    }
    return NULL;
}

/* True if code may have been fetched from a large page around @va. */
static inline bool mmu_fetched_in_large(const X86CPU *cpu, uint64_t va)
{
    return mmu_filter_has(cpu->mmu.fetch_filter, va);
}

/* Code is about to be fetched from the page of @va, which is that of RAM at @ram (cache.h). */
void mmu_fetched_note(X86CPU *cpu, uint64_t va, uint64_t ram, bool global);
/* Nobody remembers where code lies any more. */
void mmu_fetched_reset(X86CPU *cpu);

#endif
