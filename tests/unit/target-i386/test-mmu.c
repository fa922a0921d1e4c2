/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The TLBs against a model of the page tables: after random changes of entries, each followed by
 * what SDM 3A 4.10.4 asks of software, every access must see what the tables say now; and what need
 * not be forgotten is kept.
 */
#include <string.h>

#include "memory/memory.h"
#include "target-i386/cpu.h"
#include "target-i386/interp/interp.h"
#include "target-i386/mmu-fetched.h"
#include "target-i386/mmu.h"

#define RAM_SIZE 0xc00000u
#define MIB2 0x200000u
#define SPACES 3u
#define SMALL 40u   /* mappings of 4 KiB, the first GLOBALS of them global */
#define GLOBALS 12u
#define LARGE 4u    /* of 2 MiB, one of them global */
#define MAPPINGS (SMALL + LARGE + 1u) /* and one of 1 GiB, of address 0 */
#define DATA 0x40000u /* frames below hold tables */
#define TABLE(space, n) (0x1000u + ((space) * 8 + (n)) * 0x1000u)
#define VA_SMALL 0xffff888000400000ULL
#define VA_LARGE 0xffff888040000000ULL
#define VA_GIANT 0xffff888080000000ULL

enum { P = 1, W = 2, U = 4, D = 0x40, PS = 0x80, G = 0x100 };
#define XD (1ULL << 63)

typedef struct Mapping {
    uint64_t va;
    unsigned shift;
    bool global;
    uint64_t entry[SPACES];
    uint64_t at[SPACES]; /* where the entry lies */
} Mapping;

/*
 * What a jump cache would do: remember under a number, trust it while the number is current and
 * nobody has said that code of the page moved.
 */
typedef struct Remembered {
    const Mapping *mapping;
    uint64_t va, number, gpa;
} Remembered;

typedef struct Rig {
    MemorySpace *memory;
    PortSpace *ports;
    RamBlock *ram;
    X86CPU *cpu;
    GRand *rand;
    Mapping mappings[MAPPINGS];
    unsigned space;       /* the current one; its PCID is one more */
    bool stale[SPACES];   /* changed without invalidation: must be flushed when entered */
    unsigned second_hits; /* accesses that the second way of a set would have served */
    Remembered remembered[64];
} Rig;

static void set64(Rig *rig, uint64_t at, uint64_t value)
{
    memcpy(rig->ram->host + at, &value, 8);
}

static unsigned below(Rig *rig, unsigned count)
{
    return g_rand_int_range(rig->rand, 0, count);
}

static Mapping *pick(Rig *rig)
{
    return &rig->mappings[below(rig, 2) ? below(rig, SMALL) : SMALL + below(rig, LARGE + 1)];
}

static void entry_write(Rig *rig, Mapping *m, unsigned space, uint64_t entry)
{
    m->entry[space] = entry;
    set64(rig, m->at[space], entry);
}

static uint64_t random_entry(Rig *rig, const Mapping *m)
{
    uint64_t frame = m->shift == 12   ? DATA + below(rig, 256) * 0x1000
                     : m->shift == 21 ? (1 + below(rig, 5)) * MIB2
                                      : 0;

    return frame | (below(rig, 5) ? P : 0) | (below(rig, 3) ? W : 0) | (below(rig, 2) ? U : 0) |
           (m->shift > 12 ? PS : 0) | (m->global ? G : 0) | (below(rig, 4) ? 0 : XD) |
           (uint64_t)below(rig, 3) << 59;
}

static void build_space(Rig *rig, unsigned s)
{
    for (unsigned i = 0; i < 4; i++) {
        set64(rig, TABLE(s, 0) + 0x111 * 8, TABLE(s, 1) | P | W | U);
    }
    set64(rig, TABLE(s, 1), TABLE(s, 2) | P | W | U);
    set64(rig, TABLE(s, 1) + 8, TABLE(s, 3) | P | W | U);
    set64(rig, TABLE(s, 2) + 2 * 8, TABLE(s, 4) | P | W | U);
    for (unsigned i = 0; i < MAPPINGS; i++) {
        Mapping *m = &rig->mappings[i];

        m->at[s] = i < SMALL           ? TABLE(s, 4) + i * 8
                   : i < SMALL + LARGE ? TABLE(s, 3) + (i - SMALL) * 8
                                       : TABLE(s, 1) + 2 * 8;
        entry_write(rig, m, s, m->global && s ? m->entry[0] : random_entry(rig, m));
    }
}

static void build_mappings(Rig *rig)
{
    for (unsigned i = 0; i < MAPPINGS; i++) {
        Mapping *m = &rig->mappings[i];

        m->shift = i < SMALL ? 12 : i < SMALL + LARGE ? 21 : 30;
        m->va = i < SMALL           ? VA_SMALL + i * 0x1000
                : i < SMALL + LARGE ? VA_LARGE + (i - SMALL) * (uint64_t)MIB2
                                    : VA_GIANT;
        m->global = i < GLOBALS || i == SMALL;
    }
    for (unsigned s = 0; s < SPACES; s++) {
        build_space(rig, s);
    }
}

static void rig_init(Rig *rig, gconstpointer data)
{
    X86CPU *cpu;

    memset(rig, 0, sizeof(*rig));
    rig->memory = memory_space_new();
    rig->ports = port_space_new();
    rig->ram = ram_block_new("ram", RAM_SIZE, NULL);
    memory_map_ram(rig->memory, 0, rig->ram, 0, RAM_SIZE, MAP_READ | MAP_WRITE, 0);
    rig->rand = g_rand_new_with_seed(4711);
    for (uint32_t at = DATA; at < RAM_SIZE; at += 64) {
        memcpy(rig->ram->host + at, &at, 4);
    }
    build_mappings(rig);
    cpu = rig->cpu = cpu_new_bare(rig->memory, rig->ports);
    cpu->cr3 = TABLE(0, 0);
    cpu->cr4 = CR4_PAE | CR4_PGE | CR4_PKE;
    cpu->efer = EFER_LME | EFER_LMA | EFER_NXE;
    cpu->cr0 |= CR0_PE | CR0_PG | CR0_WP;
    mmu_flush(cpu);
    cpu_update_mode(cpu);
    cpu_set_cr4(cpu, cpu->cr4 | CR4_PCIDE);
    cpu_set_cr3(cpu, TABLE(0, 0) | 1);
}

static void rig_clear(Rig *rig, gconstpointer data)
{
    cpu_free_bare(rig->cpu);
    port_space_free(rig->ports);
    memory_space_free(rig->memory);
    ram_block_free(rig->ram);
    g_rand_free(rig->rand);
}

/* --- the model ------------------------------------------------------------------- */

static bool key_denies(const X86CPU *cpu, MmuView view, uint64_t entry, bool write)
{
    unsigned bits = cpu->pkru >> ((entry >> 59 & 15) * 2);

    if (!(cpu->cr4 & CR4_PKE) || !(entry & U)) {
        return false;
    }
    return (bits & 1) || ((bits & 2) && write && (view == MMU_USER || (cpu->cr0 & CR0_WP)));
}

/* What an access to @m should meet (SDM 3A 4.6). */
static bool model_allows(const Rig *rig, const Mapping *m, MmuView view, bool write)
{
    uint64_t entry = m->entry[rig->space];

    if (!(entry & P) || (view == MMU_USER && !(entry & U)) ||
        (view == MMU_SUPER_SMAP && (entry & U)) || key_denies(rig->cpu, view, entry, write)) {
        return false;
    }
    return !write || (entry & W) || (view != MMU_USER && !(rig->cpu->cr0 & CR0_WP));
}

static uint64_t model_gpa(const Rig *rig, const Mapping *m, uint64_t va)
{
    uint64_t mask = (1ULL << m->shift) - 1;

    return (m->entry[rig->space] & 0x000ffffffffff000ULL & ~mask) | (va & mask);
}

/* --- accesses ---------------------------------------------------------------------- */

/* True if the access did not fault. */
static bool try_access(X86CPU *cpu, MmuView view, uint64_t va, bool write, uint32_t *value)
{
    if (sigsetjmp(cpu->run_jump, 0)) {
        g_assert_cmpint(cpu->exception.vector, ==, EXC_PF);
        g_assert_cmphex(cpu->cr2, ==, va);
        cpu->exception.vector = -1;
        return false;
    }
    if (write) {
        mmu_store32_view(cpu, view, va, *value, ACCESS_WRITE);
    } else {
        *value = mmu_load32_view(cpu, view, va, ACCESS_READ);
    }
    return true;
}

static void check_access(Rig *rig)
{
    const Mapping *m = pick(rig);
    unsigned pieces = below(rig, 2) ? 64 : 2; /* with few, sets are met again before a flush */
    uint64_t offset = m->shift == 12 ? below(rig, 64) * 64
                      : m->shift == 21 ? below(rig, pieces) * 0x8000 + 64 * below(rig, 3)
                                       : DATA + below(rig, 0xb0) * 0x10000;
    uint64_t va = m->va + offset;
    MmuView view = below(rig, MMU_VIEWS);
    bool write = below(rig, 2), allowed = model_allows(rig, m, view, write);
    uint32_t value = g_rand_int(rig->rand), there;
    uint8_t *host = rig->ram->host + model_gpa(rig, m, va);
    const TlbEntry *entry;

    va += write ? 4 : 0;
    host += write ? 4 : 0;
    entry = mmu_tlb_entry(rig->cpu, view, va) + TLB_SIZE; /* the second way: as code sees it */
    if ((va ^ (write ? entry->write_tag : entry->read_tag)) <= 4092) {
        g_assert_true(allowed);
        g_assert_true((uint8_t *)entry->page + (va & 0xfff) == host);
        g_assert_true((uint8_t *)(entry->addend + va) == host);
        rig->second_hits++;
    }
    if (below(rig, 2) && mmu_fill(rig->cpu, view, va, 4, write)) {
        entry = mmu_tlb_entry(rig->cpu, view, va);

        g_assert_true(allowed);
        g_assert_cmphex(va ^ (write ? entry->write_tag : entry->read_tag), <=, 4092);
        g_assert_true((uint8_t *)entry->page + (va & 0xfff) == host);
    }
    g_assert_cmpint(try_access(rig->cpu, view, va, write, &value), ==, allowed);
    if (allowed) {
        memcpy(&there, host, 4);
        g_assert_cmphex(value, ==, there);
    }
    if (allowed && write && !m->global) { /* each space has its own entry of a global page */
        memcpy(&there, rig->ram->host + m->at[rig->space], 4);
        g_assert_true(there & D);
    }
}

/* --- random changes ------------------------------------------------------------------- */

static bool is_current(const Rig *rig, const Remembered *slot)
{
    return slot->number == rig->cpu->map_generation ||
           slot->number == rig->cpu->map_global_generation;
}

/*
 * INVLPG, or INVPCID of one address in another space. Where it does not change the numbers it says
 * which page of RAM the code of @va was fetched from (code_forget_page()): that must be right.
 */
static void invalidate(Rig *rig, unsigned space, uint64_t va)
{
    const FetchedPage *fetched = mmu_fetched_find(rig->cpu, va);
    uint64_t told = fetched ? fetched->ram : FETCHED_NONE;

    if (space == rig->space) {
        mmu_flush_page(rig->cpu, va);
    } else {
        mmu_flush_space_page(rig->cpu, space + 1, va);
    }
    for (unsigned i = 0; i < G_N_ELEMENTS(rig->remembered); i++) {
        Remembered *slot = &rig->remembered[i];

        if (!slot->mapping || (slot->va ^ va) >> 12) {
            continue;
        }
        if (space == rig->space && is_current(rig, slot)) {
            g_assert_cmphex(told, ==, rig->ram->ram_id + slot->gpa);
        }
        slot->mapping = told == FETCHED_NONE ? slot->mapping : NULL;
    }
}

static void change_entry(Rig *rig)
{
    Mapping *m = pick(rig);
    uint64_t entry = random_entry(rig, m);
    unsigned space = below(rig, SPACES);
    uint64_t inside = m->va + (m->shift > 12 ? below(rig, 512) * 0x1000 : 0) +
                      (m->shift > 21 ? below(rig, 6) * MIB2 : 0);

    if (m->global) {
        for (unsigned s = 0; s < SPACES; s++) {
            entry_write(rig, m, s, entry);
        }
        invalidate(rig, rig->space, inside);
        return;
    }
    entry_write(rig, m, space, entry);
    if (space == rig->space) {
        invalidate(rig, rig->space, inside);
    } else if (below(rig, 2)) {
        invalidate(rig, space, inside);
    } else {
        rig->stale[space] = true;
    }
}

static void switch_space(Rig *rig)
{
    unsigned space = below(rig, SPACES);
    bool pcid = rig->cpu->cr4 & CR4_PCIDE;
    bool keep = pcid && !rig->stale[space] && below(rig, 4);

    cpu_set_cr3(rig->cpu, TABLE(space, 0) | (pcid ? space + 1 : 0) | (uint64_t)keep << 63);
    rig->space = space;
    rig->stale[space] = false;
}

static void change_rights(Rig *rig)
{
    X86CPU *cpu = rig->cpu;

    switch (below(rig, 3)) {
    case 0: cpu_set_cr0(cpu, cpu->cr0 ^ CR0_WP); break;
    case 1: cpu_set_cr4(cpu, cpu->cr4 ^ CR4_PKE); break;
    default:
        cpu->pkru = g_rand_int(rig->rand) & 0x3c;
        mmu_flush_rights(cpu);
        break;
    }
}

static void flush_something(Rig *rig)
{
    unsigned space = below(rig, SPACES);
    bool pcid = rig->cpu->cr4 & CR4_PCIDE;

    switch (below(rig, 4)) {
    case 0:
        mmu_flush(rig->cpu);
        memset(rig->stale, 0, sizeof(rig->stale));
        break;
    case 1:
        mmu_flush_spaces(rig->cpu);
        memset(rig->stale, 0, sizeof(rig->stale));
        break;
    case 2:
        mmu_flush_space(rig->cpu, pcid ? space + 1 : 0);
        rig->stale[pcid ? space : rig->space] = false;
        break;
    default:
        if (!pcid) {
            cpu_set_cr3(rig->cpu, TABLE(rig->space, 0));
            cpu_set_cr4(rig->cpu, rig->cpu->cr4 | CR4_PCIDE);
            cpu_set_cr3(rig->cpu, TABLE(rig->space, 0) | (rig->space + 1));
        } else {
            cpu_set_cr4(rig->cpu, rig->cpu->cr4 & ~(uint64_t)CR4_PCIDE);
        }
        memset(rig->stale, 0, sizeof(rig->stale));
        break;
    }
}

/* --- remembered fetches ------------------------------------------------------------------ */

static void check_fetch(Rig *rig, Remembered *slot)
{
    X86CPU *cpu = rig->cpu;
    const Mapping *m;
    MmuFetch fetch;
    uint32_t error;
    bool allowed;

    if (slot->mapping && is_current(rig, slot)) {
        uint64_t entry = slot->mapping->entry[rig->space];

        g_assert_true((entry & P) && !(entry & XD));
        g_assert_cmphex(model_gpa(rig, slot->mapping, slot->va), ==, slot->gpa);
    }
    m = pick(rig);
    slot->va = m->va + (m->shift > 12 ? DATA + below(rig, 256) * 0x1000 : 0);
    allowed = (m->entry[rig->space] & P) && !(m->entry[rig->space] & XD);
    slot->mapping = NULL;
    g_assert_cmpint(mmu_fetch(cpu, MMU_SUPER, slot->va, &fetch, &error), ==, allowed);
    if (allowed) {
        slot->mapping = m;
        slot->gpa = fetch.gpa;
        g_assert_cmpint(fetch.global, ==, m->global);
        g_assert_cmphex(fetch.gpa, ==, model_gpa(rig, m, slot->va));
        g_assert_true(fetch.page.read == rig->ram->host + fetch.gpa);
        slot->number = fetch.global ? cpu->map_global_generation : cpu->map_generation;
    }
}

static void test_random(Rig *rig, gconstpointer data)
{
    for (unsigned i = 0; i < 400000; i++) {
        switch (below(rig, 32)) {
        case 0: case 1: change_entry(rig); break;
        case 2: switch_space(rig); break;
        case 3: change_rights(rig); break;
        case 4:
            if (!below(rig, 16)) {
                flush_something(rig);
            }
            break;
        case 5: case 6: case 7: case 8:
            check_fetch(rig, &rig->remembered[below(rig, G_N_ELEMENTS(rig->remembered))]);
            break;
        default: check_access(rig); break;
        }
    }
    g_assert_cmpuint(rig->second_hits, >, 20);
}

/* --- what is kept -------------------------------------------------------------------------- */

static uint32_t frame_read(Rig *rig, const Mapping *m)
{
    uint32_t value = 0;

    g_assert_true(try_access(rig->cpu, MMU_SUPER, m->va, false, &value));
    return value & ~0xfffu;
}

/* Moves a page behind the CPU's back, after it was read once. */
static void move_behind(Rig *rig, Mapping *m)
{
    entry_write(rig, m, 0, 0x50000 | P | W | (m->global ? G : 0));
    mmu_flush_page(rig->cpu, m->va);
    g_assert_cmphex(frame_read(rig, m), ==, 0x50000);
    for (unsigned s = 0; s < SPACES; s++) {
        entry_write(rig, m, s, 0x60000 | P | W | (m->global ? G : 0));
    }
}

/* Global pages outlast MOV CR3, but not CR4.PGE; others outlast it with bit 63 alone. */
static void test_kept(Rig *rig, gconstpointer data)
{
    X86CPU *cpu = rig->cpu;
    Mapping *global = &rig->mappings[0], *local = &rig->mappings[GLOBALS];

    move_behind(rig, global);
    move_behind(rig, local);
    cpu_set_cr3(cpu, TABLE(1, 0) | 2);
    g_assert_cmphex(frame_read(rig, global), ==, 0x50000);
    g_assert_cmphex(frame_read(rig, local), ==, 0x60000);
    cpu_set_cr3(cpu, TABLE(0, 0) | 1 | 1ULL << 63);
    g_assert_cmphex(frame_read(rig, local), ==, 0x50000);
    cpu_set_cr3(cpu, TABLE(0, 0) | 1);
    g_assert_cmphex(frame_read(rig, local), ==, 0x60000);
    g_assert_cmphex(frame_read(rig, global), ==, 0x50000);
    cpu_set_cr4(cpu, cpu->cr4 & ~(uint64_t)CR4_PGE);
    g_assert_cmphex(frame_read(rig, global), ==, 0x60000);
}

/* Each type of INVPCID forgets what it names and nothing else (SDM 2A INVPCID). */
static void test_invpcid(Rig *rig, gconstpointer data)
{
    X86CPU *cpu = rig->cpu;
    Mapping *global = &rig->mappings[0], *a = &rig->mappings[GLOBALS];
    Mapping *b = &rig->mappings[GLOBALS + 1];

    move_behind(rig, a);
    move_behind(rig, b);
    move_behind(rig, global);
    cpu_set_cr3(cpu, TABLE(1, 0) | 2);
    mmu_flush_space_page(cpu, 1, a->va);
    cpu_set_cr3(cpu, TABLE(0, 0) | 1 | 1ULL << 63);
    g_assert_cmphex(frame_read(rig, a), ==, 0x60000);
    g_assert_cmphex(frame_read(rig, b), ==, 0x50000);
    mmu_flush_space(cpu, 2);
    g_assert_cmphex(frame_read(rig, b), ==, 0x50000);
    mmu_flush_space(cpu, 1);
    g_assert_cmphex(frame_read(rig, b), ==, 0x60000);
    g_assert_cmphex(frame_read(rig, global), ==, 0x50000);
    move_behind(rig, a);
    mmu_flush_spaces(cpu);
    g_assert_cmphex(frame_read(rig, a), ==, 0x60000);
    g_assert_cmphex(frame_read(rig, global), ==, 0x50000);
    mmu_flush(cpu);
    g_assert_cmphex(frame_read(rig, global), ==, 0x60000);
}

/*
 * The numbers change when and only when fetches may go elsewhere, but for INVLPG of a small page:
 * that tells of this page alone.
 */
static void test_numbers(Rig *rig, gconstpointer data)
{
    X86CPU *cpu = rig->cpu;
    Mapping *code = &rig->mappings[GLOBALS], *other = &rig->mappings[GLOBALS + 1];
    Mapping *large = &rig->mappings[SMALL];
    const FetchedPage *fetched;
    uint64_t map, global;
    MmuFetch fetch;
    uint32_t error;

    entry_write(rig, code, 0, 0x50000 | P);
    entry_write(rig, large, 0, (large->shift == 30 ? 0 : MIB2) | P | PS);
    mmu_flush(cpu);
    g_assert_true(mmu_fetch(cpu, MMU_SUPER, code->va, &fetch, &error));
    map = cpu->map_generation;
    global = cpu->map_global_generation;
    mmu_flush_page(cpu, other->va);
    g_assert_cmpuint(cpu->map_generation, ==, map);
    cpu_set_cr3(cpu, TABLE(1, 0) | 2);
    g_assert_cmpuint(cpu->map_generation, !=, map);
    g_assert_cmpuint(cpu->map_global_generation, ==, global);
    cpu_set_cr3(cpu, TABLE(0, 0) | 1 | 1ULL << 63);
    g_assert_cmpuint(cpu->map_generation, ==, map);
    cpu_set_cr3(cpu, TABLE(0, 0) | 1);
    g_assert_cmpuint(cpu->map_generation, !=, map);
    map = cpu->map_generation;
    g_assert_true(mmu_fetch(cpu, MMU_SUPER, code->va, &fetch, &error));
    fetched = mmu_fetched_find(cpu, code->va);
    g_assert_cmphex(fetched->ram, ==, rig->ram->ram_id + 0x50000);
    mmu_flush_page(cpu, code->va);
    g_assert_cmphex(fetched->ram, ==, FETCHED_NONE);
    g_assert_cmpuint(cpu->map_generation, ==, map);
    g_assert_true(mmu_fetch(cpu, MMU_SUPER, large->va, &fetch, &error));
    mmu_flush_page(cpu, large->va + 0x5000);
    g_assert_cmpuint(cpu->map_generation, !=, map);
    g_assert_cmpuint(cpu->map_global_generation, !=, global);
}

/* The 24 bits of the second level's generations run out: nothing old comes back by its number. */
static void test_wrap(Rig *rig, gconstpointer data)
{
    Mapping *local = &rig->mappings[GLOBALS];
    MmuState *mmu = &rig->cpu->mmu;
    uint32_t before;

    for (unsigned i = 0; i < 8; i++) {
        mmu_switch_space(rig->cpu, false);
    }
    move_behind(rig, local);
    before = mmu->space_generation;
    mmu->last_generation = 0xffffff;
    do {
        mmu_switch_space(rig->cpu, false);
    } while (mmu->space_generation < before);
    g_assert_cmpuint(mmu->space_generation, ==, before);
    g_assert_cmphex(frame_read(rig, local), ==, 0x60000);
}

/* INVLPG anywhere in a large page forgets all of it, whatever pieces it was entered in. */
static void test_large(Rig *rig, gconstpointer data)
{
    uint32_t value;

    for (unsigned i = SMALL; i < MAPPINGS; i++) {
        Mapping *m = &rig->mappings[i];
        uint64_t piece = m->va + (m->shift == 30 ? 3 * MIB2 : MIB2 - 0x1000);
        uint64_t frame = m->shift == 30 ? 0 : MIB2;

        entry_write(rig, m, 0, frame | P | W | PS | (m->global ? G : 0));
        mmu_flush_page(rig->cpu, m->va);
        g_assert_true(try_access(rig->cpu, MMU_SUPER, piece, false, &value));
        g_assert_cmphex(value, ==, (uint32_t)model_gpa(rig, m, piece));
        entry_write(rig, m, 0, 0);
        mmu_flush_page(rig->cpu, m->va);
        g_assert_false(try_access(rig->cpu, MMU_SUPER, piece, false, &value));
    }
}

/*
 * The same for translated code; and once pieces of a page were looked for in vain, the others'
 * are known still, and it is no longer taken for a large one.
 */
static void test_large_quick(Rig *rig, gconstpointer data)
{
    X86CPU *cpu = rig->cpu;
    uint32_t value;

    for (unsigned i = SMALL; i < MAPPINGS; i++) {
        Mapping *m = &rig->mappings[i];

        entry_write(rig, m, 0, (m->shift == 30 ? 0 : MIB2) | P | W | PS | (m->global ? G : 0));
        mmu_flush_page(cpu, m->va);
        g_assert_true(try_access(cpu, MMU_SUPER, m->va + (i << 12), false, &value));
    }
    for (unsigned i = SMALL; i < MAPPINGS; i++) {
        Mapping *m = &rig->mappings[i];

        g_assert_true(mmu_filter_has(cpu->mmu.large_filter, m->va));
        entry_write(rig, m, 0, 0);
        g_assert_true(mmu_flush_page_quick(cpu, m->va));
        g_assert_false(try_access(cpu, MMU_SUPER, m->va + (i << 12), false, &value));
        g_assert_true(mmu_flush_page_quick(cpu, m->va));
        g_assert_false(mmu_filter_has(cpu->mmu.large_filter, m->va));
    }
}

/* A page of 4 MiB is in a filter with both its halves, others with what they are around. */
static void test_filter(Rig *rig, gconstpointer data)
{
    uint64_t filter[MMU_FILTER_BITS / 64] = {0};
    const uint64_t va = 0x7f1234400000;
    unsigned count = 0;

    mmu_filter_add(filter, &count, va + 0x234567, 22);
    g_assert_true(mmu_filter_has(filter, va) && mmu_filter_has(filter, va + 0x3fffff));
    g_assert_false(mmu_filter_has(filter, va - 1) || mmu_filter_has(filter, va + 0x400000));
    mmu_filter_add(filter, &count, va - 1, 21);
    g_assert_true(mmu_filter_has(filter, va - 0x200000));
    g_assert_false(mmu_filter_has(filter, va - 0x200001));
    g_assert_cmpuint(count, ==, 3);
    mmu_filter_add(filter, &count, va, 30);
    g_assert_true(mmu_filter_has(filter, va - 0x200001));
    g_assert_true(mmu_filter_has(filter, va | 0x3fffffff));
    g_assert_false(mmu_filter_has(filter, (va | 0x3fffffff) + 1));
}

/* A fault drops the entry it found stale (SDM 3A 4.10.4.1), and so the next access goes through. */
static void test_fault_drops(Rig *rig, gconstpointer data)
{
    Mapping *local = &rig->mappings[GLOBALS];
    uint32_t value = 1;

    entry_write(rig, local, 0, 0x50000 | P);
    mmu_flush_page(rig->cpu, local->va);
    g_assert_cmphex(frame_read(rig, local), ==, 0x50000);
    entry_write(rig, local, 0, 0x60000 | P);
    g_assert_false(try_access(rig->cpu, MMU_SUPER, local->va, true, &value));
    g_assert_cmphex(frame_read(rig, local), ==, 0x60000);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
#define ADD(name) g_test_add("/mmu/" #name, Rig, NULL, rig_init, test_##name, rig_clear)
    ADD(random);
    ADD(kept);
    ADD(invpcid);
    ADD(numbers);
    ADD(large);
    ADD(large_quick);
    ADD(filter);
    ADD(wrap);
    ADD(fault_drops);
    return g_test_run();
}
