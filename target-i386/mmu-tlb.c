/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The two levels of TLB: look-ups and fills. Compiled without vector registers, see mmu-walk.h:
 * nothing here may call what is compiled with them.
 */
#include "target-i386/mmu-fetched.h"
#include "target-i386/mmu-walk.h"
#include "target-i386/mmu.h"

/* --- second level -------------------------------------------------------------- */

static Tlb2Entry *tlb2_small(X86CPU *cpu, uint64_t va)
{
    return cpu->mmu.tlb2[(va >> GUEST_PAGE_BITS) % TLB2_SETS];
}

static Tlb2Entry *tlb2_large(X86CPU *cpu, uint64_t va)
{
    return cpu->mmu.tlb2_large[(va >> TLB2_PIECE_BITS) % TLB2_LARGE_SETS];
}

/* The live entry for @va in a set of pages of 1 << @shift bytes, or NULL. */
static Tlb2Entry *tlb2_find(const X86CPU *cpu, Tlb2Entry *set, uint64_t va, unsigned shift)
{
    for (unsigned i = 0; i < TLB2_WAYS; i++) {
        if (!((set[i].va_rights ^ va) >> shift) &&
            tlb2_alive(&set[i], cpu->mmu.space_generation, cpu->mmu.global_generation)) {
            return &set[i];
        }
    }
    return NULL;
}

/* Where an entry for @va goes: over the one for the same page, over a dead one, in turn. */
static Tlb2Entry *tlb2_place(X86CPU *cpu, Tlb2Entry *set, uint64_t va, unsigned shift)
{
    MmuState *mmu = &cpu->mmu;
    Tlb2Entry *entry = tlb2_find(cpu, set, va, shift);

    for (unsigned i = 0; !entry && i < TLB2_WAYS; i++) {
        if (!set[i].gpa_generation) {
            entry = &set[i];
        }
    }
    return entry ? entry : &set[mmu->victim++ % TLB2_WAYS];
}

static uint64_t walk_rights(const Walk *walk)
{
    unsigned size = walk->shift == GUEST_PAGE_BITS ? 0 : walk->shift == 30 ? 3 : walk->shift - 20;

    return (walk->user ? TLB2_USER : 0) | (walk->write ? TLB2_WRITE : 0) |
           (walk->no_execute ? TLB2_NO_EXECUTE : 0) | (walk->dirty ? TLB2_DIRTY : 0) |
           (walk->global ? TLB2_GLOBAL : 0) | size << TLB2_SIZE_BIT | walk->key << TLB2_KEY_BIT;
}

static void walk_set_rights(Walk *walk, uint64_t rights)
{
    static const uint8_t shifts[] = {GUEST_PAGE_BITS, 21, 22, 30};

    walk->error = 0;
    walk->gave_up = false;
    walk->user = rights & TLB2_USER;
    walk->write = rights & TLB2_WRITE;
    walk->no_execute = rights & TLB2_NO_EXECUTE;
    walk->dirty = rights & TLB2_DIRTY;
    walk->global = rights & TLB2_GLOBAL;
    walk->shift = shifts[rights >> TLB2_SIZE_BIT & 3];
    walk->key = rights >> TLB2_KEY_BIT & 15;
}

void mmu_remember(X86CPU *cpu, uint64_t va, const Walk *walk)
{
    MmuState *mmu = &cpu->mmu;
    bool small = walk->shift == GUEST_PAGE_BITS;
    unsigned shift = small ? GUEST_PAGE_BITS : TLB2_PIECE_BITS;
    uint64_t mask = ~((1ULL << shift) - 1);
    Tlb2Entry *entry = tlb2_place(cpu, small ? tlb2_small(cpu, va) : tlb2_large(cpu, va), va,
                                  shift);

    entry->va_rights = (va & mask) | walk_rights(walk);
    entry->gpa_generation = (walk->gpa & mask) << 12 |
                            (walk->global ? mmu->global_generation : mmu->space_generation);
    mmu->giant |= walk->shift == 30;
}

/* The second level's answer; false if it has none, or none that would do without a walk. */
static bool tlb2_lookup(X86CPU *cpu, MmuView view, uint64_t va, unsigned access, Walk *walk)
{
    unsigned shift = GUEST_PAGE_BITS;
    Tlb2Entry *entry = tlb2_find(cpu, tlb2_small(cpu, va), va, shift);

    if (!entry) {
        shift = TLB2_PIECE_BITS;
        entry = tlb2_find(cpu, tlb2_large(cpu, va), va, shift);
    }
    if (!entry) {
        return false;
    }
    walk_set_rights(walk, entry->va_rights);
    if (!mmu_walk_check(cpu, view, access, walk) || (!walk->dirty && (access & ACCESS_WRITE))) {
        return false;
    }
    walk->gpa = ((entry->gpa_generation >> 24 << GUEST_PAGE_BITS) |
                 (va & ((1ULL << shift) - 1))) & cpu->vcpu.a20_mask;
    return true;
}

bool mmu_lookup(X86CPU *cpu, MmuView view, uint64_t va, unsigned access, Walk *walk)
{
    return ((cpu->cr0 & CR0_PG) && tlb2_lookup(cpu, view, va, access, walk)) ||
           mmu_walk(cpu, view, va, access, walk);
}

static void forget_in(Tlb2Entry *set, uint64_t va, uint32_t generation, uint32_t generation2)
{
    static const uint8_t shifts[] = {GUEST_PAGE_BITS, 21, 22, 30};

    for (unsigned i = 0; i < TLB2_WAYS; i++) {
        unsigned shift = shifts[set[i].va_rights >> TLB2_SIZE_BIT & 3];

        if (!((set[i].va_rights ^ va) >> shift) &&
            tlb2_alive(&set[i], generation, generation2)) {
            set[i] = (Tlb2Entry){0};
        }
    }
}

void mmu_forget(X86CPU *cpu, uint64_t va, uint32_t generation, uint32_t generation2)
{
    forget_in(tlb2_small(cpu, va), va, generation, generation2);
    if (cpu->mmu.giant) {
        for (unsigned i = 0; i < TLB2_LARGE_SETS; i++) {
            forget_in(cpu->mmu.tlb2_large[i], va, generation, generation2);
        }
    } else { /* a 4 MiB page lies in two pieces */
        forget_in(tlb2_large(cpu, va), va, generation, generation2);
        forget_in(tlb2_large(cpu, va ^ (1u << TLB2_PIECE_BITS)), va, generation, generation2);
    }
}

/* --- first level ----------------------------------------------------------------- */

/*
 * Between what is written for other CPUs' threads that mark pages as code, and what is read of
 * them. Where there is one CPU nobody does; the barrier would cost a fill twice what the rest of it
 * does, and much more while non-temporal stores are on their way.
 */
static void tlb_barrier(const X86CPU *cpu)
{
    if (cpu->mmu.shared) {
        __atomic_thread_fence(__ATOMIC_SEQ_CST);
    } else {
        __atomic_signal_fence(__ATOMIC_SEQ_CST);
    }
}

static void tlb_touch(MmuState *mmu, MmuView view, unsigned set, unsigned shift, bool global)
{
    uint8_t *state = &mmu->state[view][set];
    uint8_t touched = TLB_STATE_TOUCHED << global;

    if (!(*state & touched)) { /* not entered as such since the last flush */
        mmu->touched[global][view][mmu->touched_count[global][view]++] = set;
    }
    *state = (*state & (TLB_STATE_TOUCHED | TLB_STATE_TOUCHED << 1)) | touched | shift |
             (global ? TLB_STATE_GLOBAL : 0);
}

/* Moves what the first way of @set holds into the second, unless it is the page of @tag itself. */
static void tlb_demote(X86CPU *cpu, MmuView view, unsigned set, uint64_t tag)
{
    TlbEntry *first = &cpu->tlb[view][set], *second = first + TLB_SIZE;
    uint64_t invalid = tlb_invalid_tag(set), write = first->write_tag;
    unsigned state = cpu->mmu.state[view][set];
    bool empty = first->read_tag == invalid && write == invalid;

    if (empty || first->read_tag == tag || write == tag) {
        return;
    }
    tlb_touch(&cpu->mmu, view, set + TLB_SIZE, state & TLB_STATE_SHIFT, state & TLB_STATE_GLOBAL);
    __atomic_store_n(&second->write_tag, tlb_invalid_tag(set + TLB_SIZE), __ATOMIC_RELAXED);
    second->page = first->page;
    __atomic_store_n(&second->addend, first->addend, __ATOMIC_RELAXED);
    second->read_tag = first->read_tag;
    /* mmu_forget_writes() of another thread goes through the first ways before the second. */
    __atomic_store_n(&second->write_tag, write, __ATOMIC_RELAXED);
    tlb_barrier(cpu);
    if (__atomic_load_n(&first->write_tag, __ATOMIC_RELAXED) != write) {
        __atomic_store_n(&second->write_tag, tlb_invalid_tag(set + TLB_SIZE), __ATOMIC_RELAXED);
    }
}

void mmu_enter(X86CPU *cpu, MmuView view, uint64_t va, const Walk *walk, const MemoryPage *page)
{
    unsigned set = (va >> GUEST_PAGE_BITS) & (TLB_SIZE - 1);
    TlbEntry *entry = &cpu->tlb[view][set];
    uint64_t tag = va & ~PAGE_OFFSET_MASK;

    tlb_demote(cpu, view, set, tag);
    tlb_touch(&cpu->mmu, view, set, walk->shift, walk->global);
    if (walk->shift > GUEST_PAGE_BITS) {
        mmu_filter_add(cpu->mmu.large_filter, &cpu->mmu.large_count, va, walk->shift);
    }
    __atomic_store_n(&entry->write_tag, tlb_invalid_tag(set), __ATOMIC_RELAXED);
    entry->page = (uintptr_t)page->read;
    __atomic_store_n(&entry->addend, (uintptr_t)page->read - tag, __ATOMIC_RELAXED);
    entry->read_tag = walk->readable ? tag : tlb_invalid_tag(set);
    if (walk->writable && page->write == page->read) {
        /* Tag first, marks after: pairs with mmu_forget_writes(), which marks first and scans
         * after. */
        __atomic_store_n(&entry->write_tag, tag, __ATOMIC_RELAXED);
        tlb_barrier(cpu);
        if (ram_page_marks(page->block, page->offset)) {
            __atomic_store_n(&entry->write_tag, tlb_watched_tag(tag), __ATOMIC_RELAXED);
        } else if (G_UNLIKELY(cpu->mmu.note_write)) {
            __atomic_store_n(&entry->write_tag, tlb_closed_tag(tag), __ATOMIC_RELAXED);
        }
    }
}

void mmu_clear_set(X86CPU *cpu, MmuView view, unsigned set)
{
    TlbEntry *entry = &cpu->tlb[view][set];

    entry->read_tag = tlb_invalid_tag(set);
    __atomic_store_n(&entry->write_tag, tlb_invalid_tag(set), __ATOMIC_RELAXED);
}

void mmu_clear_ways(X86CPU *cpu, MmuView view, uint64_t va)
{
    unsigned set = (va >> GUEST_PAGE_BITS) & (TLB_SIZE - 1);

    mmu_clear_set(cpu, view, set);
    mmu_clear_set(cpu, view, set + TLB_SIZE);
}

/* Nothing is known of large pages but what the first level has pieces of. */
static void refill_large_filter(X86CPU *cpu)
{
    MmuState *mmu = &cpu->mmu;

    memset(mmu->large_filter, 0, sizeof(mmu->large_filter));
    mmu->large_count = 0;
    for (unsigned view = 0; view < MMU_VIEWS; view++) {
        for (unsigned global = 0; global < 2; global++) {
            for (unsigned i = 0; i < mmu->touched_count[global][view]; i++) {
                unsigned set = mmu->touched[global][view][i];
                unsigned shift = mmu->state[view][set] & TLB_STATE_SHIFT;
                uint64_t tag = cpu->tlb[view][set].read_tag;

                if (shift > GUEST_PAGE_BITS && tag != tlb_invalid_tag(set)) {
                    mmu_filter_add(mmu->large_filter, &mmu->large_count, tag, shift);
                }
            }
        }
    }
}

/* True if there were some in @view. */
static bool drop_pieces(X86CPU *cpu, MmuView view, uint64_t va)
{
    const MmuState *mmu = &cpu->mmu;
    bool found = false;

    for (unsigned global = 0; global < 2; global++) {
        for (unsigned i = 0; i < mmu->touched_count[global][view]; i++) {
            unsigned set = mmu->touched[global][view][i];
            unsigned shift = mmu->state[view][set] & TLB_STATE_SHIFT;

            if (!((cpu->tlb[view][set].read_tag ^ va) >> shift)) {
                mmu_clear_set(cpu, view, set);
                found = true;
            }
        }
    }
    return found;
}

/*
 * Looking through all of the first level takes as long as a hundred INVLPG: where it was in vain,
 * because a large page went away and small ones took its place, the filter is made anew, so that
 * the next of them need not.
 */
void mmu_drop_pieces(X86CPU *cpu, uint64_t va)
{
    bool found = false;

    if (!mmu_filter_has(cpu->mmu.large_filter, va)) {
        return;
    }
    for (unsigned view = 0; view < MMU_VIEWS; view++) {
        found |= drop_pieces(cpu, view, va);
    }
    if (!found) {
        refill_large_filter(cpu);
    }
}

void mmu_drop(X86CPU *cpu, uint64_t va)
{
    for (unsigned view = 0; view < MMU_VIEWS; view++) {
        mmu_clear_ways(cpu, view, va);
    }
    mmu_drop_pieces(cpu, va);
    mmu_forget(cpu, va, cpu->mmu.space_generation, cpu->mmu.global_generation);
}

bool mmu_flush_page_quick(X86CPU *cpu, uint64_t va)
{
    const FetchedPage *fetched = mmu_fetched_find(cpu, va);

    if (mmu_fetched_in_large(cpu, va) || cpu->mmu.fetched_full ||
        (fetched && fetched->ram != FETCHED_NONE)) {
        return false;
    }
    mmu_drop(cpu, va);
    return true;
}

/* Enters a page of plain RAM by what the second level knows, if the first has it not. */
static bool fill_known(X86CPU *cpu, MmuView view, uint64_t va)
{
    const MemoryPage *page;
    Walk walk = {.slow = NULL};

    if (!((mmu_tlb_entry(cpu, view, va)->read_tag ^ va) >> GUEST_PAGE_BITS)) {
        return true;
    }
    if (!(cpu->cr0 & CR0_PG) || !tlb2_lookup(cpu, view, va, ACCESS_READ, &walk)) {
        return false;
    }
    page = mmu_phys_page(cpu, walk.gpa, NULL);
    if (!page || !page->read) {
        return false;
    }
    mmu_enter(cpu, view, va, &walk, page);
    return true;
}

/*
 * Pages that are filled in order are likely to go on so, and getting here costs more than entering
 * a page.
 */
#define FILL_AHEAD 3

static void fill_ahead(X86CPU *cpu, MmuView view, uint64_t va)
{
    uint64_t before = va - GUEST_PAGE_SIZE;

    if (!((mmu_tlb_entry(cpu, view, before)->read_tag ^ before) >> GUEST_PAGE_BITS)) {
        for (unsigned i = 1; i <= FILL_AHEAD; i++) {
            if (!fill_known(cpu, view, va + i * GUEST_PAGE_SIZE)) {
                break;
            }
        }
    }
}

bool mmu_fill(X86CPU *cpu, MmuView view, uint64_t va, unsigned size, bool write)
{
    const MemoryPage *page;
    const TlbEntry *entry;
    Walk walk = {.slow = NULL};

    if (crosses_page(va, size) || (cpu->dr[7] & 0xff) ||
        (cpu_long_mode(cpu) && !cpu_canonical(cpu, va)) ||
        !mmu_lookup(cpu, view, va, write ? ACCESS_WRITE : ACCESS_READ, &walk)) {
        return false;
    }
    page = mmu_phys_page(cpu, walk.gpa, NULL);
    if (!page || !page->read) {
        return false;
    }
    mmu_enter(cpu, view, va, &walk, page);
    fill_ahead(cpu, view, va);
    entry = mmu_tlb_entry(cpu, view, va);
    return (va ^ (write ? entry->write_tag : entry->read_tag)) <= GUEST_PAGE_SIZE - size;
}

/* The entry, of either way, with write tag @tag for @va. */
static TlbEntry *entry_tagged(X86CPU *cpu, MmuView view, uint64_t va, uint64_t tag)
{
    TlbEntry *entry = mmu_tlb_entry(cpu, view, va);

    if (entry->write_tag == tag) {
        return entry;
    }
    return entry[TLB_SIZE].write_tag == tag ? &entry[TLB_SIZE] : NULL;
}

TlbEntry *mmu_tlb_watched(X86CPU *cpu, MmuView view, uint64_t va)
{
    return entry_tagged(cpu, view, va, tlb_watched_tag(va & ~PAGE_OFFSET_MASK));
}

TlbEntry *mmu_tlb_closed(X86CPU *cpu, MmuView view, uint64_t va)
{
    return entry_tagged(cpu, view, va, tlb_closed_tag(va & ~PAGE_OFFSET_MASK));
}

/* What mmu_fill() could not open for writing because note_write wants to know. */
static uint8_t *noted_host(X86CPU *cpu, MmuView view, uint64_t va, unsigned size)
{
    const TlbEntry *entry = crosses_page(va, size) ? NULL : mmu_tlb_closed(cpu, view, va);
    uint8_t *host = entry ? (uint8_t *)(va + entry->addend) : NULL;

    return host && cpu->mmu.note_write(cpu, host, size) ? host : NULL;
}

const TlbEntry *mmu_tlb_hit(X86CPU *cpu, MmuView view, uint64_t va, unsigned size, bool write)
{
    const TlbEntry *entry = mmu_tlb_entry(cpu, view, va);

    for (unsigned way = 0; way < 2; way++) {
        const TlbEntry *e = entry + way * TLB_SIZE;

        if ((va ^ (write ? e->write_tag : e->read_tag)) <= GUEST_PAGE_SIZE - size) {
            return e;
        }
    }
    return mmu_fill(cpu, view, va, size, write) ? entry : NULL;
}

uint8_t *mmu_tlb_host(X86CPU *cpu, MmuView view, uint64_t va, unsigned size, bool write)
{
    const TlbEntry *entry = mmu_tlb_hit(cpu, view, va, size, write);

    if (entry) {
        return (uint8_t *)(va + entry->addend);
    }
    return write && cpu->mmu.note_write ? noted_host(cpu, view, va, size) : NULL;
}
