/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Decoded code: blocks of instructions per CPU, found by where their bytes lie in RAM, dropped when
 * those bytes are written, by whichever CPU or device.
 */
#ifndef TARGET_I386_INTERP_CACHE_H
#define TARGET_I386_INTERP_CACHE_H

#include "target-i386/cpu.h"
#include "target-i386/interp/insn.h"

#define BLOCK_MAX_INSNS 64
#define CODE_GRANULE_SHIFT 6

typedef struct Block Block;

/* An immediate that was seen to change: @size bytes at @at of the block, of instruction @insn. */
typedef struct PatchedImm {
    uint8_t insn;
    uint8_t size;
    uint16_t at;
} PatchedImm;

#define BLOCK_IMMS 4

/*
 * Of a block whose bytes, at @host, nobody watches: who runs it compares them with block_code()
 * before, but for @imms (checked.h).
 */
typedef struct CheckedBlock {
    const uint8_t *host;
    PatchedImm imms[BLOCK_IMMS];
    uint8_t imm_count;
} CheckedBlock;

struct Block {
    uint64_t ram;         /* where the first byte lies: RamBlock.ram_id + offset */
    uint64_t ram2;        /* page of the bytes behind a page crossing, or UINT64_MAX */
    uint32_t mode;        /* what of the CPU's mode decoding depends on */
    uint16_t bytes;       /* length of the guest code */
    uint16_t count;       /* instructions */
    uint8_t tail;         /* bytes to advance after the last instruction (0: it sets RIP) */
    Block *hash_next;
    Block *page_next[2];
    struct TransBlock *translations; /* of the translator (accel/tcg/) */
    uint32_t heat;        /* how often it was interpreted */
    uint8_t rewrites;     /* how often translated code of its page was overwritten lately */
    struct JumpEntry *jump; /* that this block was entered in last; no other names it */
    CheckedBlock *checked; /* NULL: its bytes are watched; else it stands behind them */
    Insn insns[];
};

/* The bytes that it was decoded from: the guest's own are seldom in the host's caches. */
static inline uint8_t *block_code(const Block *block)
{
    return (uint8_t *)&block->insns[block->count];
}

/* The caches of all CPUs that share a memory. */
typedef struct CodeDomain CodeDomain;
CodeDomain *code_domain_new(MemorySpace *memory);
void code_domain_free(CodeDomain *domain);

CodeCache *code_cache_new(X86CPU *cpu, CodeDomain *domain);
void code_cache_free(CodeCache *cache);
CodeDomain *code_cache_domain(CodeCache *cache);
/* What blocks are decoded with; NULL before the first. */
struct Decoder *code_cache_decoder(CodeCache *cache);

/* Carries out what other CPUs and devices queued (VCPU_CODE_CHANGED). Run loop only. */
void code_drain(X86CPU *cpu);
/* The granules of bytes @first to @last of a page. */
static inline uint64_t code_granules(unsigned first, unsigned last)
{
    return (UINT64_MAX << (first >> CODE_GRANULE_SHIFT)) &
           (UINT64_MAX >> (63 - (last >> CODE_GRANULE_SHIFT)));
}

/*
 * Writes to a page beside its code, or without any left, before someone looks whether it is still
 * to be watched: marking it again costs more than they do, and code that is patched comes back.
 */
#define CODE_WATCH_WRITES 256u

/*
 * What is known of the page if @size bytes at @host, which are written, lie in one with code but
 * hold none; else, or when the page should be looked at anew, NULL. Its own thread only; takes no
 * lock.
 */
static inline CodeWatch *code_watch_beside(X86CPU *cpu, uintptr_t host, unsigned size)
{
    CodeWatch *watch = &cpu->code_watches[(host >> GUEST_PAGE_BITS) % CODE_WATCHES];
    unsigned offset = host & (GUEST_PAGE_SIZE - 1);

    if (watch->page != (host & ~(uintptr_t)(GUEST_PAGE_SIZE - 1)) ||
        __atomic_load_n(watch->generation, __ATOMIC_ACQUIRE) != watch->known ||
        *watch->marks != PAGE_WATCH_CODE ||
        (watch->granules & code_granules(offset, offset + size - 1))) {
        return NULL;
    }
    return watch->writes++ < CODE_WATCH_WRITES ? watch : NULL;
}

/* Drops all decoded code of this CPU. Its own thread only. */
void code_flush(X86CPU *cpu);
/* Host bytes used by decoded code. */
uint64_t code_cache_memory(const CodeCache *cache);

/* Jump cache: linear RIP to block, valid as long as translations of its pages do not change. */
#define JUMP_CACHE_SIZE 16384u
typedef struct JumpEntry {
    uint64_t pc;
    Block *block;
    uint64_t key;  /* of code_jump_key(); 0: empty */
} JumpEntry;

/*
 * Who translates blocks, on the CPU's own thread: @dropped is called before a block is dropped,
 * @moved when its bytes may no longer lie where they were found.
 */
typedef struct CodeWatcher {
    void (*dropped)(void *opaque, Block *block);
    void (*moved)(void *opaque, Block *block);
} CodeWatcher;
/* @watcher NULL: nobody. */
void code_cache_watch(CodeCache *cache, const CodeWatcher *watcher, void *opaque);
/*
 * Forgets the ways to the code of the page at @ram, which the linear page of @va may lead to no
 * more. The blocks stay.
 */
void code_forget_page(X86CPU *cpu, uint64_t va, uint64_t ram);
/* From now on at most @insns instructions make a block. */
void code_cache_limit(CodeCache *cache, unsigned insns);
/*
 * True if @block, a checked one, is what its bytes are, perhaps with other immediates; else it is
 * dropped.
 */
bool code_recheck(X86CPU *cpu, Block *block);
/* The block at the CPU's RIP, decoded if need be, for @jump; fetch faults are raised. */
Block *code_find_slow(X86CPU *cpu, uint64_t pc, JumpEntry *jump);
JumpEntry *code_jump_entries(CodeCache *cache);

/*
 * The mode with the privilege, which decides who may fetch, and the generation: 54 bits of it, as
 * a guest that counts 32 round would find entries of blocks that are freed.
 */
static inline uint64_t code_jump_key(const X86CPU *cpu, uint64_t generation)
{
    return generation << 10 | cpu->code_size | (cpu->cpl == 3) << 8 | cpu_pm(cpu) << 9;
}

/* Linear address of the current instruction. */
static inline uint64_t code_pc(const X86CPU *cpu)
{
    if (cpu_code64(cpu)) {
        return cpu->cpu_rip;
    }
    return (uint32_t)(cpu->seg[SEG_CS].base + cpu->cpu_rip);
}

/* True if @block, just found, is there until map_global_generation changes. */
static inline bool code_found_global(const X86CPU *cpu, const Block *block)
{
    return block->jump && block->jump->block == block &&
           block->jump->key == code_jump_key(cpu, cpu->map_global_generation);
}

static inline Block *code_find(X86CPU *cpu, JumpEntry *jumps)
{
    uint64_t pc = code_pc(cpu);
    JumpEntry *entry = &jumps[(pc ^ (pc >> 12)) % JUMP_CACHE_SIZE];

    if (G_LIKELY(entry->pc == pc &&
                 (entry->key == code_jump_key(cpu, cpu->map_generation) ||
                  entry->key == code_jump_key(cpu, cpu->map_global_generation)))) {
        Block *block = entry->block;

        if (G_LIKELY(!block->checked) || code_recheck(cpu, block)) {
            return block;
        }
    }
    return code_find_slow(cpu, pc, entry);
}

#endif
