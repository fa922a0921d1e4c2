/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The decoded-block cache. Blocks belong to one CPU and are found by the RAM their bytes lie in, so
 * that they survive changes of address space. A page that holds decoded code is marked; a write to
 * it takes the slow path, and where it meets a 64-byte granule with code, the blocks there are
 * dropped: at once in the writing CPU, through a queue in the others (which hardware too shows only
 * at a serializing point, SDM 3A 8.1.3).
 */
#include "target-i386/interp/cache.h"

#include <string.h>

#include "target-i386/disas.h"
#include "target-i386/interp/checked.h"
#include "target-i386/interp/decode.h"
#include "util/log.h"
#include "util/pool.h"

#define HASH_SIZE       (1u << 16)
#define FETCH_TLB_SIZE  256u
#define MAX_INSNS       (1u << 19) /* decoded instructions kept by one CPU: 24 MiB */
#define POOL_MAX        (48u << 20) /* bytes: more only where blocks of other sizes came and went */
#define QUEUE_LIMIT     64u        /* pending invalidations before the whole cache goes */
#define GENERATIONS     64u
#define PATIENCE_MIN    16u
#define PATIENCE_MAX    (1u << 20)
#define REWRITES_LAST   (1u << 26) /* host TSC ticks until the last is forgotten: some 25 ms */
#define CHANGES_MANY    64u        /* of code, within as long each, and its bytes are compared */
#define CHECKED_LAST    (1ull << 32) /* ticks without a change until new code is watched again */

/* A page with decoded code. */
typedef struct CodePage {
    uint64_t ram;      /* RamBlock.ram_id + offset of the page */
    uint64_t granules; /* bit n: code in bytes 64n..64n+63 */
    bool building;     /* its bytes are being decoded: any of them may become code */
    uint8_t rewrites;  /* how often translated code was overwritten lately, at most 255 */
    uint64_t rewritten; /* the last time: host TSC */
    uint32_t misses;   /* writes beside the code */
    uint32_t patience; /* so many and the code is dropped, for the page to be written freely */
    uint8_t changes;   /* how often code was overwritten lately */
    uint64_t changed;  /* the last time */
    uint64_t checked;  /* code was to be compared rather than watched (checked.h) then; 0: never */
    PatchedBytes patched; /* of code that was compared */
    Block *blocks;     /* linked by page_next[] */
} CodePage;

/* Where instruction fetches from a linear page go. */
typedef struct FetchEntry {
    uint64_t page_va;
    uint64_t generation; /* map_generation or, of a global page, map_global_generation */
    bool user;
    MmuFetch to;
} FetchEntry;

typedef struct Invalidation {
    uint64_t ram;
    uint64_t size;
} Invalidation;

struct CodeDomain {
    MemorySpace *memory;
    GMutex lock;       /* over caches */
    GPtrArray *caches; /* of CodeCache * */
    /* By page: raised before more of it may become code, under the lock. */
    uint64_t generations[GENERATIONS];
};

struct CodeCache {
    X86CPU *cpu;
    CodeDomain *domain;
    Decoder *decoder;
    GMutex lock;          /* over pages' structure and queue; the owner alone changes pages */
    GHashTable *pages;    /* &CodePage.ram -> CodePage */
    GArray *queue;        /* of Invalidation */
    bool queue_all;       /* the queue overflowed */
    bool local;           /* what was looked up last lies in pages that are not all global */
    unsigned insns;       /* decoded and alive */
    unsigned block_insns; /* at most in a block */
    Pool *pool;           /* of blocks */
    GPtrArray *retired;   /* blocks to free when none runs */
    const CodeWatcher *watcher; /* NULL: nobody wants to know */
    void *watcher_opaque;
    Block *scratch;       /* the uncached block: code in device memory */
    Block *hash[HASH_SIZE];
    FetchEntry fetch[FETCH_TLB_SIZE];
    JumpEntry jumps[JUMP_CACHE_SIZE];
};

/* --- domain ----------------------------------------------------------------- */

static void code_written(void *opaque, RamBlock *block, uint64_t offset, uint64_t size);

CodeDomain *code_domain_new(MemorySpace *memory)
{
    CodeDomain *domain = g_new0(CodeDomain, 1);

    domain->memory = memory;
    domain->caches = g_ptr_array_new();
    g_mutex_init(&domain->lock);
    memory_set_code_listener(memory, code_written, domain);
    return domain;
}

void code_domain_free(CodeDomain *domain)
{
    memory_set_code_listener(domain->memory, NULL, NULL);
    g_ptr_array_free(domain->caches, true);
    g_mutex_clear(&domain->lock);
    g_free(domain);
}

static uint64_t *generation_of(CodeDomain *domain, uint64_t ram)
{
    return &domain->generations[(ram >> GUEST_PAGE_BITS) % GENERATIONS];
}

static void generation_raise(CodeDomain *domain, uint64_t ram)
{
    __atomic_fetch_add(generation_of(domain, ram), 1, __ATOMIC_SEQ_CST);
}

CodeCache *code_cache_new(X86CPU *cpu, CodeDomain *domain)
{
    CodeCache *cache = g_new0(CodeCache, 1);

    cache->cpu = cpu;
    cache->domain = domain;
    cache->pages = g_hash_table_new_full(g_int64_hash, g_int64_equal, NULL, g_free);
    cache->queue = g_array_new(false, false, sizeof(Invalidation));
    cache->pool = pool_new();
    cache->retired = g_ptr_array_new();
    cache->scratch = g_malloc0(sizeof(Block) + sizeof(Insn));
    cache->block_insns = BLOCK_MAX_INSNS;
    g_mutex_init(&cache->lock);
    g_mutex_lock(&domain->lock);
    g_ptr_array_add(domain->caches, cache);
    for (unsigned i = 0; i < domain->caches->len && domain->caches->len > 1; i++) {
        CodeCache *sharer = g_ptr_array_index(domain->caches, i);

        sharer->cpu->mmu.shared = true;
    }
    for (unsigned i = 0; i < GENERATIONS; i++) {
        generation_raise(domain, (uint64_t)i << GUEST_PAGE_BITS);
    }
    g_mutex_unlock(&domain->lock);
    return cache;
}

void code_cache_free(CodeCache *cache)
{
    g_mutex_lock(&cache->domain->lock);
    g_ptr_array_remove(cache->domain->caches, cache);
    g_mutex_unlock(&cache->domain->lock);
    g_hash_table_destroy(cache->pages);
    g_array_free(cache->queue, true);
    g_ptr_array_free(cache->retired, true);
    pool_destroy(cache->pool);
    g_free(cache->scratch);
    decoder_free(cache->decoder);
    g_mutex_clear(&cache->lock);
    g_free(cache);
}

CodeDomain *code_cache_domain(CodeCache *cache)
{
    return cache->domain;
}

Decoder *code_cache_decoder(CodeCache *cache)
{
    return cache->decoder;
}

void code_cache_limit(CodeCache *cache, unsigned insns)
{
    cache->block_insns = insns;
}

void code_cache_watch(CodeCache *cache, const CodeWatcher *watcher, void *opaque)
{
    cache->watcher = watcher;
    cache->watcher_opaque = opaque;
}

JumpEntry *code_jump_entries(CodeCache *cache)
{
    return cache->jumps;
}

uint64_t code_cache_memory(const CodeCache *cache)
{
    return sizeof(*cache) + (uint64_t)cache->insns * sizeof(Insn);
}

/* --- invalidation ------------------------------------------------------------- */

static unsigned hash_of(uint64_t ram, uint32_t mode)
{
    return (ram ^ (ram >> 15) ^ mode) % HASH_SIZE;
}

/*
 * What the rest of a dropped block turns into: back to the run loop, which looks the code up anew.
 */
static void insn_gone(X86CPU *cpu, const Insn *insn)
{
    cpu_leave_block(cpu);
}

static void hash_remove(CodeCache *cache, Block *block)
{
    Block **link = &cache->hash[hash_of(block->ram, block->mode)];

    while (*link != block) {
        link = &(*link)->hash_next;
    }
    *link = block->hash_next;
}

static CodePage *page_find(CodeCache *cache, uint64_t ram)
{
    uint64_t key = ram & ~(uint64_t)(GUEST_PAGE_SIZE - 1);

    return g_hash_table_lookup(cache->pages, &key);
}

static uint64_t block_page(const Block *block)
{
    return block->ram & ~(uint64_t)(GUEST_PAGE_SIZE - 1);
}

static unsigned page_slot(const Block *block, const CodePage *page)
{
    return block_page(block) == page->ram ? 0 : 1;
}

/* False too where a page follows itself in the guest's mapping: the block is in its list once. */
static bool block_in_second_page(const Block *block)
{
    return block->ram2 != UINT64_MAX && block->ram2 != block_page(block);
}

static void page_unlink(CodePage *page, Block *block)
{
    Block **link = &page->blocks;

    while (*link != block) {
        link = &(*link)->page_next[page_slot(*link, page)];
    }
    *link = block->page_next[page_slot(block, page)];
}

/* The granules that are to be watched for @block in @page. */
static uint64_t block_granules(const Block *block, const CodePage *page)
{
    unsigned start = block->ram & (GUEST_PAGE_SIZE - 1);
    unsigned end = start + block->bytes;
    uint64_t granules = 0;

    if (block->checked) {
        return 0;
    }
    if (page_slot(block, page) == 0) {
        granules |= code_granules(start, MIN(end, GUEST_PAGE_SIZE) - 1);
    }
    if (block->ram2 == page->ram) {
        granules |= code_granules(0, end - GUEST_PAGE_SIZE - 1);
    }
    return granules;
}

static void block_drop(CodeCache *cache, Block *block)
{
    CodePage *page = page_find(cache, block->ram);

    if (cache->watcher && block->translations) {
        cache->watcher->dropped(cache->watcher_opaque, block);
    }
    hash_remove(cache, block);
    page_unlink(page, block);
    if (block_in_second_page(block)) {
        page_unlink(page_find(cache, block->ram2), block);
    }
    if (block->jump && block->jump->block == block) {
        *block->jump = (JumpEntry){0};
    }
    for (unsigned i = 0; i < block->count; i++) {
        block->insns[i].fn = insn_gone;
    }
    cache->insns -= block->count;
    g_ptr_array_add(cache->retired, block);
}

static unsigned recent_rewrites(const CodePage *page)
{
    return __builtin_ia32_rdtsc() - page->rewritten < REWRITES_LAST ? page->rewrites : 0;
}

static void note_rewrite(CodePage *page)
{
    page->rewrites = MIN(recent_rewrites(page) + 1, UINT8_MAX);
    page->rewritten = __builtin_ia32_rdtsc();
}

/* From now on code of @page that can be is compared rather than watched. */
static void page_check(CodePage *page)
{
    page->checked = __builtin_ia32_rdtsc();
    page->rewrites = page->changes = 0;
}

static bool page_is_checked(const CodePage *page)
{
    return page->checked && __builtin_ia32_rdtsc() - page->checked < CHECKED_LAST;
}

/* A block of @page was overwritten. */
static void note_change(CodePage *page, const Block *block)
{
    uint64_t now = __builtin_ia32_rdtsc();

    if (block->translations) {
        note_rewrite(page);
    }
    page->changes = now - page->changed < REWRITES_LAST ? page->changes + 1 : 1;
    page->changed = now;
    if (page->changes >= CHANGES_MANY) {
        page_check(page);
    }
}

/* Drops the blocks of @page that meet @mask and counts the granules of the rest anew. */
static void page_invalidate(CodeCache *cache, CodePage *page, uint64_t mask)
{
    Block *block = page->blocks;
    uint64_t left = 0;

    while (block) {
        Block *next = block->page_next[page_slot(block, page)];
        uint64_t granules = block_granules(block, page);

        if ((granules & mask) || mask == UINT64_MAX) {
            if (mask != UINT64_MAX) {
                note_change(page, block);
            }
            block_drop(cache, block);
        } else {
            left |= granules;
        }
        block = next;
    }
    page->granules = left;
}

static void cache_flush(CodeCache *cache)
{
    GHashTableIter iter;
    gpointer value;

    g_hash_table_iter_init(&iter, cache->pages);
    while (g_hash_table_iter_next(&iter, NULL, &value)) {
        page_invalidate(cache, value, UINT64_MAX);
    }
}

void code_flush(X86CPU *cpu)
{
    g_mutex_lock(&cpu->code->lock);
    cache_flush(cpu->code);
    g_mutex_unlock(&cpu->code->lock);
}

static uint64_t write_granules(uint64_t ram, uint64_t size)
{
    unsigned offset = ram & (GUEST_PAGE_SIZE - 1);

    return code_granules(offset, offset + size - 1);
}

/*
 * A write beside the code of @page. Most pages that see many were freed by the guest and serve
 * another purpose, and what is left of their code will not run again; where it does, the page
 * earns more patience.
 */
static bool page_gives_up(CodePage *page)
{
    if (page->building || !page->granules || ++page->misses < page->patience) {
        return false;
    }
    page->misses = 0;
    if (page->patience > PATIENCE_MIN) {
        page_check(page); /* the code came back: it is in use, and so are the data */
    }
    page->patience = MIN(page->patience * 4, PATIENCE_MAX);
    return true;
}

/*
 * A write to [ram, ram+size), within one page. Cache lock held; true if the page stays of interest.
 */
static bool cache_written(CodeCache *cache, uint64_t ram, uint64_t size)
{
    CodePage *page = page_find(cache, ram);
    uint64_t mask = write_granules(ram, size);
    Invalidation item = {ram, size};
    bool own = vcpu_current() == &cache->cpu->vcpu;

    if (!page) {
        return false;
    }
    if (!(page->granules & mask) && (own || !page->building)) {
        if (!page_gives_up(page)) {
            return page->granules || page->building;
        }
        mask = UINT64_MAX;
        item = (Invalidation){page->ram, GUEST_PAGE_SIZE};
    }
    if (own) {
        page_invalidate(cache, page, mask);
        return page->granules;
    }
    if (cache->queue->len < QUEUE_LIMIT) {
        g_array_append_val(cache->queue, item);
    } else {
        cache->queue_all = true;
    }
    /* Not vcpu_raise(): a sleeping CPU need not wake for it, and no other lock is taken in here. */
    atomic_fetch_or(&cache->cpu->vcpu.pending, VCPU_CODE_CHANGED);
    __atomic_store_n(&cache->cpu->jit.poll, 1, __ATOMIC_SEQ_CST);
    return true;
}

/* The CPU that runs on this thread, if it decodes code of @domain. */
static X86CPU *domain_writer(CodeDomain *domain)
{
    Vcpu *vcpu = vcpu_current();

    return vcpu && x86_cpu(vcpu)->code && x86_cpu(vcpu)->code->domain == domain ? x86_cpu(vcpu)
                                                                               : NULL;
}

/*
 * Remembers for the CPU that wrote to a page where code is in it; false if there is none and has
 * not been for many writes. Domain lock held.
 */
static bool watch_note(CodeDomain *domain, X86CPU *writer, RamBlock *block, uint64_t offset)
{
    uint64_t ram = block->ram_id + offset, granules = 0;
    uintptr_t host = (uintptr_t)block->host + offset;
    CodeWatch *watch = &writer->code_watches[(host >> GUEST_PAGE_BITS) % CODE_WATCHES];
    uint64_t *generation = generation_of(domain, ram);
    bool again = watch->page == host && watch->known == *generation && !watch->granules;

    for (unsigned i = 0; i < domain->caches->len; i++) {
        CodeCache *cache = g_ptr_array_index(domain->caches, i);
        CodePage *page;

        g_mutex_lock(&cache->lock);
        page = page_find(cache, ram);
        granules |= !page ? 0 : page->building ? UINT64_MAX : page->granules;
        g_mutex_unlock(&cache->lock);
    }
    *watch = (CodeWatch){
        .page = host, .granules = granules, .generation = generation, .known = *generation,
        .marks = &block->page_marks[offset >> GUEST_PAGE_BITS],
        .writes = again ? watch->writes : 0, .alone = domain->caches->len == 1};
    return granules || watch->writes < CODE_WATCH_WRITES;
}

static void code_written(void *opaque, RamBlock *block, uint64_t offset, uint64_t size)
{
    CodeDomain *domain = opaque;
    X86CPU *writer = domain_writer(domain);
    bool wanted = false;

    if (writer && code_watch_beside(writer, (uintptr_t)block->host + offset, size)) {
        return;
    }
    g_mutex_lock(&domain->lock);
    for (unsigned i = 0; i < domain->caches->len; i++) {
        CodeCache *cache = g_ptr_array_index(domain->caches, i);

        g_mutex_lock(&cache->lock);
        wanted |= cache_written(cache, block->ram_id + offset, size);
        g_mutex_unlock(&cache->lock);
    }
    if (writer) {
        wanted |= watch_note(domain, writer, block, offset & ~(uint64_t)(GUEST_PAGE_SIZE - 1));
    }
    if (!wanted) {
        ram_page_unmark(block, offset, PAGE_WATCH_CODE);
    }
    g_mutex_unlock(&domain->lock);
}

void code_drain(X86CPU *cpu)
{
    CodeCache *cache = cpu->code;

    vcpu_clear(&cpu->vcpu, VCPU_CODE_CHANGED);
    g_mutex_lock(&cache->lock);
    if (cache->queue_all) {
        cache_flush(cache);
    }
    for (unsigned i = 0; i < cache->queue->len; i++) {
        const Invalidation *item = &g_array_index(cache->queue, Invalidation, i);
        CodePage *page = page_find(cache, item->ram);

        if (page) {
            page_invalidate(cache, page, write_granules(item->ram, item->size));
        }
    }
    g_array_set_size(cache->queue, 0);
    cache->queue_all = false;
    g_mutex_unlock(&cache->lock);
}

/* --- fetching ------------------------------------------------------------------- */

/* Resolves the page of linear address @pc for fetching, raising what a fetch raises. */
static const FetchEntry *fetch_page(X86CPU *cpu, uint64_t pc)
{
    uint64_t page_va = pc & ~(uint64_t)(GUEST_PAGE_SIZE - 1);
    FetchEntry *entry = &cpu->code->fetch[(pc >> GUEST_PAGE_BITS) % FETCH_TLB_SIZE];
    bool user = cpu->cpl == 3;
    uint32_t error;

    if (G_LIKELY(entry->page_va == page_va &&
                 (entry->generation == cpu->map_generation ||
                  entry->generation == cpu->map_global_generation) &&
                 entry->user == user && entry->to.page.block)) {
        return entry;
    }
    if (cpu_code64(cpu) && !cpu_canonical(cpu, pc)) {
        cpu_raise_gp(cpu, 0);
    }
    entry->to.page.block = NULL;
    if (!mmu_fetch(cpu, user ? MMU_USER : MMU_SUPER, pc, &entry->to, &error)) {
        cpu->cr2 = pc;
        cpu_raise_error(cpu, EXC_PF, error);
    }
    entry->page_va = page_va;
    entry->generation = entry->to.global ? cpu->map_global_generation : cpu->map_generation;
    entry->user = user;
    return entry;
}

/* The page behind the one that the current look-up began in. */
static const FetchEntry *fetch_second_page(X86CPU *cpu, uint64_t pc)
{
    const FetchEntry *entry = fetch_page(cpu, pc);

    cpu->code->local |= !entry->to.global;
    return entry;
}

static uint64_t page_ram(const FetchEntry *entry)
{
    return entry->to.page.block->ram_id + entry->to.page.offset;
}

static void block_moved(CodeCache *cache, Block *block)
{
    if (block->jump && block->jump->block == block) {
        *block->jump = (JumpEntry){0};
    }
    if (cache->watcher && block->translations) {
        cache->watcher->moved(cache->watcher_opaque, block);
    }
}

void code_forget_page(X86CPU *cpu, uint64_t va, uint64_t ram)
{
    CodeCache *cache = cpu->code;
    FetchEntry *entry = &cache->fetch[(va >> GUEST_PAGE_BITS) % FETCH_TLB_SIZE];
    CodePage *page = page_find(cache, ram);

    entry->to.page.block = NULL;
    for (Block *block = page ? page->blocks : NULL; block;
         block = block->page_next[page_slot(block, page)]) {
        block_moved(cache, block);
    }
}

static void mark_page(CodeDomain *domain, const FetchEntry *entry)
{
    ram_page_mark(entry->to.page.block, entry->to.page.offset, PAGE_WATCH_CODE);
    for (unsigned i = 0; i < domain->caches->len; i++) {
        CodeCache *other = g_ptr_array_index(domain->caches, i);

        mmu_forget_writes(other->cpu, entry->to.page.block, entry->to.page.offset);
    }
}

/*
 * Makes sure that writes to the page are seen from now on, before its bytes are read: by the mark,
 * which no writer takes away while the page is being built from.
 */
static CodePage *watch_page(X86CPU *cpu, const FetchEntry *entry)
{
    CodeCache *cache = cpu->code;
    CodePage *page = page_find(cache, page_ram(entry));
    CodeDomain *domain = cache->domain;

    g_mutex_lock(&domain->lock);
    g_mutex_lock(&cache->lock);
    if (!page) {
        page = g_new0(CodePage, 1);
        page->ram = page_ram(entry);
        page->patience = PATIENCE_MIN;
        g_hash_table_insert(cache->pages, &page->ram, page);
    }
    page->building = true;
    g_mutex_unlock(&cache->lock);
    generation_raise(domain, page->ram);
    if (!(ram_page_marks(entry->to.page.block, entry->to.page.offset) & PAGE_WATCH_CODE)) {
        mark_page(domain, entry);
    }
    g_mutex_unlock(&domain->lock);
    return page;
}

/* Nothing came of it. */
static void unwatch_page(CodeCache *cache, CodePage *page)
{
    g_mutex_lock(&cache->lock);
    page->building = false;
    g_mutex_unlock(&cache->lock);
}

/* --- building blocks --------------------------------------------------------------- */

static uint32_t decode_mode(const X86CPU *cpu)
{
    return cpu->code_size | cpu_pm(cpu) << 9;
}

/* Bytes that CS's limit leaves from RIP on; raises #GP(0) where there are none. */
static uint64_t limit_room(X86CPU *cpu)
{
    uint32_t limit = cpu->seg[SEG_CS].limit;

    if (cpu_code64(cpu)) {
        return UINT64_MAX;
    }
    if (cpu->cpu_rip > limit) {
        cpu_raise_gp(cpu, 0);
    }
    return (uint64_t)limit - cpu->cpu_rip + 1;
}

/* Bytes of a block up to where CheckedBlock may begin. */
static size_t block_head_size(unsigned count, unsigned bytes)
{
    return (sizeof(Block) + count * sizeof(Insn) + bytes + 7) & ~(size_t)7;
}

static size_t block_size(const Block *block)
{
    return block_head_size(block->count, block->bytes) +
           (block->checked ? sizeof(CheckedBlock) : 0);
}

G_STATIC_ASSERT(sizeof(Block) + BLOCK_MAX_INSNS * (sizeof(Insn) + INSN_BYTES_MAX) + 7 +
                sizeof(CheckedBlock) <= POOL_OBJECT_MAX);

/* Of @count instructions, decoded from @bytes bytes at @code; @checked: with a CheckedBlock. */
static Block *block_new(CodeCache *cache, const Insn *insns, unsigned count, const uint8_t *code,
                        unsigned bytes, uint32_t mode, bool checked)
{
    size_t head = block_head_size(count, bytes);
    Block *block = pool_alloc(cache->pool, head + (checked ? sizeof(CheckedBlock) : 0));

    memset(block, 0, sizeof(*block));
    if (checked) {
        block->checked = (CheckedBlock *)((uint8_t *)block + head);
    }
    block->mode = mode;
    block->bytes = bytes;
    block->count = count;
    block->ram2 = UINT64_MAX;
    memcpy(block->insns, insns, count * sizeof(Insn));
    memcpy(block_code(block), code, bytes);
    block->tail = insns[count - 1].flags & INSN_END ? 0 : insns[count - 1].len;
    return block;
}

static void block_insert(CodeCache *cache, Block *block, CodePage *page, CodePage *page2)
{
    Block **bucket = &cache->hash[hash_of(block->ram, block->mode)];

    g_mutex_lock(&cache->lock);
    block->hash_next = *bucket;
    *bucket = block;
    block->rewrites = recent_rewrites(page);
    block->page_next[0] = page->blocks;
    page->blocks = block;
    page->granules |= block_granules(block, page);
    page->building = false;
    if (page2) {
        block->page_next[1] = page2->blocks;
        page2->blocks = block;
        page2->granules |= block_granules(block, page2);
        page2->building = false;
    }
    g_mutex_unlock(&cache->lock);
    cache->insns += block->count;
}

/* -d in_asm */
static void log_code(const X86CPU *cpu, const uint8_t *bytes, unsigned size)
{
    g_autoptr(GString) out = g_string_new(NULL);

    g_string_append_printf(out, "IN: cpu %u cpl %u\n", cpu->vcpu.index, cpu->cpl);
    disas_append_all(out, disas_mode(cpu), cpu->cpu_rip, bytes, size);
    log_write(LOG_IN_ASM, "%s", out->str);
}

/* A block whose single instruction reaches into the next page. */
static Block *build_crossing(X86CPU *cpu, uint64_t pc, const FetchEntry *entry)
{
    unsigned room = GUEST_PAGE_SIZE - (pc & (GUEST_PAGE_SIZE - 1));
    uint64_t next = cpu_code64(cpu) ? pc + room : (uint32_t)(pc + room);
    uint8_t bytes[INSN_BYTES_MAX];
    FetchEntry first = *entry;
    const FetchEntry *second = fetch_second_page(cpu, next);
    CodePage *page, *page2;
    Insn insn;
    Block *block;

    if (!second->to.page.read) {
        return NULL;
    }
    page = watch_page(cpu, &first);
    page2 = watch_page(cpu, second);
    memcpy(bytes, first.to.page.read + (pc & (GUEST_PAGE_SIZE - 1)), room);
    memcpy(bytes + room, second->to.page.read, sizeof(bytes) - room);
    if (decode_insn(cpu->code->decoder, cpu, bytes, MIN(sizeof(bytes), limit_room(cpu)), &insn) !=
        DECODE_OK) {
        unwatch_page(cpu->code, page);
        unwatch_page(cpu->code, page2);
        cpu_raise_gp(cpu, 0);
    }
    block = block_new(cpu->code, &insn, 1, bytes, insn.len, decode_mode(cpu), false);
    block->ram = page_ram(&first) + (pc & (GUEST_PAGE_SIZE - 1));
    if (insn.len > room) {
        block->ram2 = page_ram(second);
    }
    block_insert(cpu->code, block, page, block_in_second_page(block) ? page2 : NULL);
    if (log_enabled(LOG_IN_ASM)) {
        log_code(cpu, bytes, insn.len);
    }
    unwatch_page(cpu->code, page2);
    return block;
}

/* Code in device memory: one instruction at a time, fetched byte by byte, never kept. */
static Block *build_uncached(X86CPU *cpu, uint64_t pc)
{
    Block *block = cpu->code->scratch;
    uint8_t bytes[INSN_BYTES_MAX];
    unsigned size = 0;
    DecodeResult result;

    do {
        const FetchEntry *entry = fetch_page(cpu, pc + size);

        memory_read(cpu->vcpu.memory, entry->to.gpa + ((pc + size) & (GUEST_PAGE_SIZE - 1)),
                    &bytes[size], 1);
        size++;
        result = decode_insn(cpu->code->decoder, cpu, bytes, size, &block->insns[0]);
    } while (result == DECODE_MORE && size < sizeof(bytes));
    if (result != DECODE_OK || block->insns[0].len > limit_room(cpu)) {
        cpu_raise_gp(cpu, 0);
    }
    block->count = 1;
    block->tail = block->insns[0].flags & INSN_END ? 0 : block->insns[0].len;
    return block;
}

/*
 * A block that is compared before it runs, from a copy of its bytes; NULL if it cannot be such.
 */
static Block *build_checked(X86CPU *cpu, uint64_t pc, const FetchEntry *entry, CodePage *page)
{
    CodeCache *cache = cpu->code;
    unsigned offset = pc & (GUEST_PAGE_SIZE - 1);
    const uint8_t *code = entry->to.page.read + offset;
    CheckedCode found;
    Block *block;

    found.size = MIN(MIN(GUEST_PAGE_SIZE - offset, limit_room(cpu)), CHECKED_BYTES_MAX);
    memcpy(found.bytes, code, found.size);
    if (!checked_decode(cpu, cache->decoder, pc, cache->block_insns, &found)) {
        return NULL;
    }
    block = block_new(cache, found.insns, found.count, found.bytes, found.size, decode_mode(cpu),
                      true);
    block->ram = page_ram(entry) + offset;
    checked_fill(cpu, cache->decoder, block, code, &page->patched);
    block_insert(cache, block, page, NULL);
    if (log_enabled(LOG_IN_ASM)) {
        log_code(cpu, found.bytes, found.size);
    }
    return block;
}

bool code_recheck(X86CPU *cpu, Block *block)
{
    CodeCache *cache = cpu->code;
    CodePage *page;

    if (checked_same(block)) {
        return true;
    }
    page = page_find(cache, block->ram);
    page->checked = __builtin_ia32_rdtsc();
    if (checked_refresh(cpu, cache->decoder, block, &page->patched)) {
        return true;
    }
    g_mutex_lock(&cache->lock);
    if (block->translations) {
        note_rewrite(page);
    }
    block_drop(cache, block);
    g_mutex_unlock(&cache->lock);
    return false;
}

static Block *build_block(X86CPU *cpu, uint64_t pc, const FetchEntry *entry)
{
    CodeCache *cache = cpu->code;
    unsigned offset = pc & (GUEST_PAGE_SIZE - 1);
    uint64_t room = MIN(GUEST_PAGE_SIZE - offset, limit_room(cpu));
    bool at_limit = room < GUEST_PAGE_SIZE - offset;
    CodePage *page = page_find(cache, page_ram(entry));
    const uint8_t *code = entry->to.page.read + offset;
    uint8_t copy[BLOCK_MAX_INSNS * INSN_BYTES_MAX];
    Insn insns[BLOCK_MAX_INSNS];
    unsigned count = 0, bytes = 0;
    Block *block = page && page_is_checked(page) ? build_checked(cpu, pc, entry, page) : NULL;

    if (block) {
        return block;
    }
    page = watch_page(cpu, entry);
    do {
        unsigned size = MIN(room - bytes, INSN_BYTES_MAX);
        DecodeResult result;

        /* Another CPU may write to them: what is kept must be what is decoded. */
        memcpy(copy + bytes, code + bytes, size);
        result = decode_insn(cache->decoder, cpu, copy + bytes, size, &insns[count]);

        if (result != DECODE_OK) {
            if (count) {
                break;
            }
            unwatch_page(cache, page);
            if (result == DECODE_MORE && !at_limit) {
                return build_crossing(cpu, pc, entry);
            }
            cpu_raise_gp(cpu, 0);
        }
        bytes += insns[count].len;
        count++;
    } while (!(insns[count - 1].flags & INSN_END) && count < cache->block_insns && bytes < room);
    block = block_new(cache, insns, count, copy, bytes, decode_mode(cpu), false);
    block->ram = page_ram(entry) + offset;
    block_insert(cache, block, page, NULL);
    if (log_enabled(LOG_IN_ASM)) {
        log_code(cpu, copy, bytes);
    }
    return block;
}

static Block *hash_find(X86CPU *cpu, uint64_t pc, const FetchEntry *entry)
{
    uint64_t ram = page_ram(entry) + (pc & (GUEST_PAGE_SIZE - 1));
    uint32_t mode = decode_mode(cpu);

    for (Block *block = cpu->code->hash[hash_of(ram, mode)]; block; block = block->hash_next) {
        if (block->ram == ram && block->mode == mode) {
            const FetchEntry *second;

            if (block->ram2 == UINT64_MAX) {
                return !block->checked || code_recheck(cpu, block) ? block : NULL;
            }
            second = fetch_second_page(cpu, (pc | (GUEST_PAGE_SIZE - 1)) + 1);
            if (second->to.page.read && page_ram(second) == block->ram2) {
                return block;
            }
        }
    }
    return NULL;
}

static void free_retired(CodeCache *cache)
{
    for (unsigned i = 0; i < cache->retired->len; i++) {
        Block *block = g_ptr_array_index(cache->retired, i);

        pool_free(cache->pool, block, block_size(block));
    }
    g_ptr_array_set_size(cache->retired, 0);
    if (!cache->insns) {
        pool_reset(cache->pool);
    }
}

/* Between blocks: frees what was dropped, and everything when there is too much of it. */
static void cache_collect(CodeCache *cache)
{
    if (cache->insns > MAX_INSNS || pool_size(cache->pool) > POOL_MAX) {
        g_mutex_lock(&cache->lock);
        cache_flush(cache);
        g_mutex_unlock(&cache->lock);
    }
    if (cache->retired->len) {
        cache->cpu->insn = NULL;
        free_retired(cache);
    }
}

/* The block at @pc; @global: in global pages alone. */
static Block *find_or_build(X86CPU *cpu, uint64_t pc, bool *global)
{
    CodeCache *cache = cpu->code;
    const FetchEntry *entry;
    Block *block;

    *global = false;
    if (!cache->decoder) { /* features are known only after creation */
        cache->decoder = decoder_new(cpu);
    }
    entry = fetch_page(cpu, pc);
    cache->local = !entry->to.global;
    if (!entry->to.page.block || !entry->to.page.read) {
        return build_uncached(cpu, pc);
    }
    if (G_UNLIKELY(cpu->cpu_rip > cpu->seg[SEG_CS].limit && !cpu_code64(cpu))) {
        cpu_raise_gp(cpu, 0);
    }
    block = hash_find(cpu, pc, entry);
    if (!block) {
        block = build_block(cpu, pc, entry);
        if (!block) {
            return build_uncached(cpu, pc);
        }
    }
    *global = !cache->local;
    return block;
}

/*
 * The block that @jump named under an earlier mapping, if @pc leads to the same bytes still, as it
 * mostly does after a switch to another process and back.
 */
static Block *find_again(X86CPU *cpu, uint64_t pc, const JumpEntry *jump, bool *global)
{
    Block *block = jump->block;
    const FetchEntry *entry;

    if (!block || jump->pc != pc || !cpu_code64(cpu) || block->mode != decode_mode(cpu) ||
        block->ram2 != UINT64_MAX) {
        return NULL;
    }
    entry = fetch_page(cpu, pc);
    *global = entry->to.global;
    if (!entry->to.page.block || !entry->to.page.read ||
        block->ram != page_ram(entry) + (pc & (GUEST_PAGE_SIZE - 1)) ||
        (block->checked && !code_recheck(cpu, block))) {
        return NULL;
    }
    return block;
}

Block *code_find_slow(X86CPU *cpu, uint64_t pc, JumpEntry *jump)
{
    Block *block;
    bool global;

    cache_collect(cpu->code);
    block = find_again(cpu, pc, jump, &global);
    if (!block) {
        block = find_or_build(cpu, pc, &global);
    }
    if (block == cpu->code->scratch) {
        return block;
    }
    if (block->jump && block->jump->block == block) {
        *block->jump = (JumpEntry){0}; /* its end would be told to the new one alone */
    }
    block->jump = jump;
    *jump = (JumpEntry){
        .pc = pc, .block = block,
        .key = code_jump_key(cpu, global ? cpu->map_global_generation : cpu->map_generation)};
    return block;
}
