/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The translator: one per vCPU. Its generated code keeps guest registers in host registers, guest
 * arithmetic flags in the host's, and finds the CPU state at gs:[displacement]
 * (docs/translator.md). Internal to accel/tcg/.
 */
#ifndef ACCEL_TCG_JIT_H
#define ACCEL_TCG_JIT_H

#include "accel/tcg/emit.h"
#include "accel/tcg/code-buffer.h"
#include "accel/tcg/turns.h"
#include "target-i386/cpu.h"
#include "target-i386/interp/cache.h"
#include "util/pool.h"

typedef struct Jit Jit;
typedef struct TransBlock TransBlock;
typedef struct Lockstep Lockstep;

/* What of the CPU's mode translated code depends on. */
enum {
    MODE_USER = 1u << 0,     /* CPL 3 */
    MODE_VIEW_SHIFT = 1,     /* MmuView, two bits */
    MODE_SSE = 1u << 3,      /* SSE instructions would run, by CR0 and CR4 */
    MODE_AVX = 1u << 4,
    MODE_AVX512 = 1u << 5,
    MODE_X87 = 1u << 6,      /* x87 instructions would run and raise nothing */
    MODE_CODE64 = 1u << 7,
    MODE_NEVER = 1u << 8,    /* this mode is the interpreter's */
    MODE_CODE32 = 1u << 9,   /* else, without MODE_CODE64, 16-bit code */
    MODE_SS32 = 1u << 10,    /* outside 64-bit code: ESP, not SP */
    MODE_CLASS_SHIFT = 12,   /* SegClass of ES, CS, SS, DS, two bits each */
};

/* What accesses by a segment take outside 64-bit code (segment.c). */
typedef enum {
    CLASS_SLOW,              /* the interpreter: null, or expand-down */
    CLASS_READ,              /* as the next, but not to be written */
    CLASS_BASED,             /* base and limit, which the CPU state has */
    CLASS_FLAT,              /* nothing */
} SegClass;

static inline SegClass mode_class(uint32_t mode, SegReg seg)
{
    return (mode >> (MODE_CLASS_SHIFT + 2 * seg)) & 3;
}

static inline MmuView mode_view(uint32_t mode)
{
    return (mode >> MODE_VIEW_SHIFT) & 3;
}

static inline uint32_t mode_with_view(uint32_t mode, MmuView view)
{
    return (mode & ~(3u << MODE_VIEW_SHIFT)) | view << MODE_VIEW_SHIFT;
}

/*
 * A way out of a block to a known address. Within a page it is the rel32 at @at, to another page an
 * entry of cpu->jit.slots, which is emptied when the mapping changes.
 */
typedef struct Link {
    TransBlock *to;          /* NULL: leads to its stub */
    struct Link *next, *prev; /* of those that lead to the same block */
    uint64_t target;         /* RIP */
    uint32_t at;             /* of the rel32, from the buffer's start; 0: a slot */
    uint32_t stub;           /* the same */
    uint32_t id;
    uint32_t slot;
    uint32_t mode;           /* of the block that it may lead to */
    uint32_t cs_base;        /* the same */
    int32_t used_index;      /* in Jit.slots_used, -1: is not there */
    bool global : 1;         /* in which list there */
    bool flags_in_memory : 1; /* goes to the entry that takes them from there */
    bool shadow : 1;         /* behind STI: no event may be taken before the target */
} Link;

#define LINKS_MAX 2

/*
 * What a block turned out to want: checks of each access of a kind, for their checks in common
 * failed; to look for itself whether a write to a page with code lies beside the code.
 */
enum { JIT_NO_STACK = 1u << 0, JIT_NO_ADDRESS = 1u << 1, JIT_BESIDE_CODE = 1u << 2 };

/*
 * There are tens of thousands, in memory that the host clears for them: that is a fifth of what
 * translation costs, so they are kept small.
 */
struct TransBlock {
    Block *block;
    TransBlock *next;        /* of the same decoded block */
    uint64_t rip;            /* of the first instruction */
    const uint8_t *entry;    /* flags in the host's, executable mapping */
    const uint8_t *entry_m;  /* flags in memory */
    Link *incoming;
    uint32_t mode;
    uint32_t cs_base;        /* 0 in 64-bit code */
    uint32_t id;
    uint32_t group_time;     /* host TSC / 1024 when the count began */
    uint32_t moved : 30;     /* how often its page was mapped anew */
    bool may_leave_first : 1; /* before its first instruction */
    bool vectors : 1;        /* vector or x87 instructions are in it */
    uint16_t group_failed;   /* how often a check for several accesses failed lately */
    uint16_t beside;         /* writes beside code that were let through */
    uint8_t ungroup;         /* too often: to be translated without such (JIT_NO_*) */
    uint8_t no_groups;       /* JIT_NO_*: what it was translated without */
    uint8_t link_count;
    uint8_t link_room;       /* Links behind insns (blocks.c) */
    uint8_t count;           /* instructions */
    struct {
        uint32_t host;       /* where it begins, from the buffer's start */
        int16_t sp_lag;      /* guest stack pointer - r8 there */
        uint8_t undefined;   /* arithmetic flags undefined there (bits 7:0, OF as bit 1) */
    } insns[];               /* and the end */
};

/* Links whose slots lead to blocks. */
typedef struct SlotList {
    Link **links;
    unsigned count;
} SlotList;

/* Behind the jump cache, which has one entry for many addresses. */
typedef struct Jump2 {
    uint64_t tag;
    uint32_t id;             /* of the block, which may be no more */
    uint32_t moved : 30;     /* valid if that is the block's still */
    uint32_t global : 1;
} Jump2;

#define JUMP2_SETS 4096u
#define JUMP2_WAYS 4u

/* A map_generation that has a number in salts. */
typedef struct JitSpace {
    uint64_t generation;
    unsigned number;
} JitSpace;

/* What the slow path learns from the bytes behind its call, at any address. */
typedef struct __attribute__((packed)) SiteInfo {
    uint32_t tb;             /* id */
    uint8_t insn;            /* number in the block */
    uint8_t vec;             /* VEC_*: vector state that the code behind it relies on */
    uint16_t flags;          /* SITE_* */
    uint16_t size;           /* bytes of the access */
    int16_t sp_lag;          /* guest stack pointer - r8 */
    uint32_t retry;          /* where the access is tried again, from the buffer's start */
    uint16_t back;           /* where it goes on with the entry in r10, from @retry; 0: nowhere */
    uint16_t offset;         /* of the instruction from the block's first */
    uint8_t view;            /* MmuView that the code behind it relies on */
} SiteInfo;

enum {
    SITE_WRITE = 1u << 0,
    SITE_X87 = 1u << 1,      /* x87 state that the code behind it relies on */
    SITE_FLAGS = 1u << 2,    /* arithmetic flags are in memory now, not lost */
    SITE_GROUP = 1u << 3,    /* the check serves later accesses too: a failed one ends the block */
    SITE_FILL = 1u << 4,     /* an access that missed the TLB; else: interpret */
    SITE_ALIGN = 1u << 5,    /* and must be aligned to its size */
    SITE_LOOKUP = 1u << 6,   /* no access: the jump cache does not know the address r9 */
    SITE_STACK = 1u << 7,    /* with SITE_GROUP: accesses by the stack pointer */
    SITE_STRING = 1u << 8,   /* a string instruction */
    SITE_R9 = 1u << 9,       /* the address is in r9 */
    SITE_R11 = 1u << 10,     /* in r11; in neither: it is a constant */
    SITE_QUICK = 1u << 11,   /* no access: interp_quick() may do */
};

/* Set in a salt that another thread spoiled so that lookups fail. */
#define JIT_SALT_POISON (1ULL << 62)

/* Statistics, for info jit and -d stats. */
typedef struct JitStats {
    uint64_t translated, translated_insns, translate_ticks;
    uint64_t first_ticks;    /* host TSC when the translator was made, and the time then */
    int64_t first_us;
    uint64_t blocks;         /* alive */
    size_t block_bytes;      /* of TransBlocks */
    uint64_t entries, interpreted, fills, slow, next, quick, group_failed, flushes;
    uint64_t links, followed, refills, map_changes, global_changes;
    uint64_t *fallbacks;     /* by mnemonic */
} JitStats;

/* Debug modes (debug.c); a count of 0: off. */
typedef struct JitDebug {
    bool one_insn;          /* blocks of one instruction */
    bool no_chain;          /* direct jumps always leave */
    bool no_jump_cache;     /* indirect branches always leave */
    bool no_groups;         /* a check for each stack access */
    bool exact;             /* flags are right at every fault */
    bool has_hot;           /* @hot counts */
    uint32_t flush_every;   /* entries from the run loop: drop all that is translated */
    uint32_t tlb_every;     /* the same: empty the TLB */
    uint32_t exit_every;    /* one entry of so many, by chance, finds a poll wanted */
    uint32_t hot;           /* interpretations before a block is translated */
    uint32_t random;
    uint64_t entries;
} JitDebug;

struct Jit {
    X86CPU *cpu;
    JitDebug debug;
    CodeBuffer buffer;
    struct JitPerf *perf;    /* of all CPUs; NULL: off */
    Pool *pool;              /* of TransBlocks */
    GPtrArray *blocks;       /* TransBlock by id; NULL where it was dropped */
    GPtrArray *links;        /* Link by id */
    SlotList slots_used[2];  /* to local pages, to global ones */
    uint32_t slot_count;
    uint64_t map_generation, map_global_generation; /* that slots were filled under */
    uint32_t modes[16];      /* the modes that have numbers, for salts */
    unsigned mode_count;
    JitSpace spaces[MMU_SPACES];
    unsigned space_victim;
    unsigned last_space;     /* the last number given out */
    unsigned user_space, global_space; /* numbers of the current address space */
    Jump2 (*jumps2)[JUMP2_WAYS];
    unsigned jump2_victim;
    uint16_t *local_jumps;   /* entries of supervisor code on local pages */
    unsigned local_count;
    Link *pending_link;      /* by which code was left: to be joined to what runs next */
    struct Trans *trans;     /* work space */
    bool flush_wanted;       /* the buffer is full */
    bool skip;               /* the next block is the interpreter's */
    uint32_t known_pending;  /* what is pending but masked: no reason to leave */
    uint32_t threshold;      /* interpretations of a block before it is translated */
    bool exact;              /* flags are right at every fault */
    bool bmi2;
    bool x87_fits;           /* the host has what x87 state takes */
    bool counting;           /* blocks take their instructions from cpu->jit.budget first */
    uint64_t count_end;      /* cpu->icount when nothing is left of that */
    unsigned vec_kind;       /* of the host: VEC_* */
    Lockstep *lockstep;      /* NULL: off */
    Turns *turns;            /* whose it is to run, of the CPUs in lockstep; NULL: all at once */
    JitStats stats;
    /* Trampolines, executable mapping. */
    void (*enter)(const void *host);
    const uint8_t *leave;         /* state in registers, flags in memory */
    const uint8_t *leave_flags;   /* flags in the host's */
    const uint8_t *leave_stored;  /* general registers in memory already */
    const uint8_t *leave_saved;   /* state in memory already */
    const uint8_t *follow;        /* by exit_link; flags in memory */
    const uint8_t *follow_flags;  /* flags in the host's */
    const uint8_t *slow;          /* call it; SiteInfo follows */
    const uint8_t *vec_load[4];   /* call it; clobbers r9 and flags; SiteInfo follows */
    const uint8_t *vec_save[4];
    const uint8_t *x87_load;      /* call it; keeps everything */
    const uint8_t *x87_save;      /* call it; clobbers rax, rdx */
};

enum { VEC_NONE, VEC_SSE, VEC_AVX, VEC_AVX512 };

/* --- life ----------------------------------------------------------------------- */

typedef struct JitOptions {
    size_t code_size;  /* bytes of generated code at most */
    bool lockstep;     /* compare with the interpreter, block by block */
    bool counting;     /* instructions are counted exactly (-icount) */
    Turns *turns;      /* for lockstep with several CPUs */
    JitDebug debug;
    struct JitPerf *perf;  /* NULL: nobody wants names of generated code */
} JitOptions;

/* A translator for @cpu; NULL and why not. */
Jit *jit_new(X86CPU *cpu, const JitOptions *options, GError **error);
void jit_free(Jit *jit);
/* Runs translated code from the start of @block; false if the interpreter must (X86CPU.engine). */
bool jit_run(X86CPU *cpu, Block *block);
/* Appends what it did so far, a line each; the vCPU stands still (stats.c). */
void jit_describe(const Jit *jit, GString *out);
/* For -d stats (stats.c). */
void jit_log_stats(const Jit *jit);
/* Another thread wants the vCPU's attention (VcpuOps.kick). */
void jit_kick(Vcpu *vcpu, uint32_t bits);

/* --- debug modes (debug.c) ----------------------------------------------------------- */

/* Modes joined by '+', as in "no-chain+flush:100"; unknown ones are an error. */
bool jit_debug_parse(const char *text, JitDebug *debug, GError **error);
/* Before a block runs: true if the mapping by which it was found has been forgotten. */
bool jit_debug_before(Jit *jit);
/* True if translated code shall find that another thread wants attention. */
bool jit_debug_exit(Jit *jit);

/* --- blocks (blocks.c) ------------------------------------------------------------- */

uint32_t jit_mode(const X86CPU *cpu);
/* The translation of @block at the CPU's RIP in @mode, or NULL if there is none (yet). */
TransBlock *jit_find(Jit *jit, Block *block, uint32_t mode);
/* A block without code yet, which jit_block_free() or jit_block_publish() must follow. */
TransBlock *jit_block_new(Jit *jit, Block *block, uint32_t mode);
void jit_block_free(Jit *jit, TransBlock *tb);
void jit_block_publish(Jit *jit, TransBlock *tb);
void jit_block_drop(Jit *jit, TransBlock *tb);
/* Drops everything translated. Not while translated code runs. */
void jit_flush(Jit *jit);
/* The translation to run, made if the block is hot; NULL: none. */
TransBlock *jit_find_or_translate(Jit *jit, Block *block, uint32_t mode);

/* --- ways between blocks (links.c, salts.c) ------------------------------------------- */

/*
 * The address space changed, and with @global where global pages lie: ways to other pages must be
 * found anew.
 */
void jit_map_changed(Jit *jit, bool global);
/* Lets @link lead to @to from now on; @global: that page is a global one. */
void jit_link(Jit *jit, Link *link, TransBlock *to, bool global);
void jit_unlink(Jit *jit, Link *link);
/* @link goes away, or was not in use. */
void jit_slot_unused(Jit *jit, Link *link);
/* Puts @tb into the jump cache. */
void jit_remember(Jit *jit, TransBlock *tb, uint64_t salt, bool global);
/* Puts what has @tag, address and salt, into the jump cache; NULL if it is not known. */
const TransBlock *jit_refill_jump(Jit *jit, uint64_t tag);
/* The code for @rip under @salt, from the jump cache or what is behind it; NULL: not known. */
const void *jit_find_jump(Jit *jit, uint64_t rip, uint64_t salt);
void jit_forget_jumps(Jit *jit);
/* Joins the link by which code is being left to what the jump cache knows; NULL: leave. */
const void *jit_follow(X86CPU *cpu);
/* Takes notice of a changed address space. */
void jit_note_map(Jit *jit);
/* What the base of CS adds to RIP in @mode. */
static inline uint32_t jit_cs_base(const X86CPU *cpu, uint32_t mode)
{
    return mode & MODE_CODE64 ? 0 : cpu->seg[SEG_CS].base;
}
/* The salt of @mode in the current address space; 0: no numbers are left, jit_flush() must be. */
uint64_t jit_salt(Jit *jit, uint32_t mode);
/*
 * After the instruction before RIP is done and all state is in memory: the next block's code if
 * translated code may go on with it, else NULL. Raises what the fetch raises.
 */
const void *jit_next(X86CPU *cpu);

/* --- more of blocks (blocks.c) ---------------------------------------------------------- */

Link *jit_link_new(Jit *jit, TransBlock *from, uint64_t target);
/* Does to translations what is done to the decoded blocks. */
extern const CodeWatcher jit_code_watcher;

/* --- translation (translate.c) ------------------------------------------------------- */

/*
 * Translates @block for the CPU's RIP and @mode; NULL if it cannot be (now). @no_groups
 * (JIT_NO_*): with a check for each access of that kind.
 */
TransBlock *jit_translate(Jit *jit, Block *block, uint32_t mode, unsigned no_groups);

/* --- what generated code calls (helpers.c) ---------------------------------------------- */

/* Writes the trampolines into the start of the buffer (stubs.c). */
void jit_emit_trampolines(Jit *jit);
/*
 * Fills the TLB for the access at @va: where it is tried again (executable mapping), or NULL if it
 * takes more. Vector registers hold guest state.
 */
const void *jit_fill(X86CPU *cpu, const SiteInfo *site, uint64_t va);
/*
 * Carries out the string instruction of @site; false if (the rest of) it takes more. Vector
 * registers hold guest state (strings.c).
 */
bool jit_string(X86CPU *cpu, const TransBlock *tb, const SiteInfo *site);
/* True if the access of @site at @va hits the TLB now. */
bool jit_fill_site(X86CPU *cpu, const TransBlock *tb, const SiteInfo *site, uint64_t va);
/* True if the access of @site at @va lies in one page, and aligned where that is asked for. */
bool jit_site_fits(const SiteInfo *site, uint64_t va);
/* Where the access goes on as if it had hit @entry, which is that of its page; NULL: it cannot. */
const void *jit_go_on_with(X86CPU *cpu, const SiteInfo *site, uint64_t va, const TlbEntry *entry);
/* True if the address of @site is a constant: its code knows the first way of the TLB only. */
static inline bool jit_site_constant(const SiteInfo *site)
{
    return !(site->flags & (SITE_R9 | SITE_R11));
}
/*
 * Carries the instruction out: where execution goes on (executable mapping), or NULL to leave.
 */
const void *jit_slow(X86CPU *cpu, const SiteInfo *site, uint64_t va);

/* --- more of running (run.c) ------------------------------------------------------------ */

/* A check for several accesses of @tb (JIT_NO_*) failed: they straddle pages, or fault. */
void jit_group_failed(Jit *jit, TransBlock *tb, unsigned kind);
/* Takes @tb out of the jump cache. */
void jit_forget_block(Jit *jit, const TransBlock *tb);
/* Nothing leads to @tb but the run loop any more. */
void jit_isolate(Jit *jit, TransBlock *tb);
/* The same, and there it is translated again for what it turned out to want (JIT_*). */
void jit_retranslate(Jit *jit, TransBlock *tb, unsigned kind);
/* Moves the guest's stack pointer as code of @mode does. */
static inline void jit_move_sp(X86CPU *cpu, uint32_t mode, int32_t step)
{
    uint64_t sp = cpu->regs[R_RSP] + step;

    if (!step) {
        return;
    }
    if (mode & MODE_CODE64) {
        cpu->regs[R_RSP] = sp;
    } else if (mode & MODE_SS32) {
        cpu->regs[R_RSP] = (uint32_t)sp;
    } else {
        cpu->regs[R_RSP] = (cpu->regs[R_RSP] & ~0xffffull) | (uint16_t)sp;
    }
}
void jit_flags_to_cpu(X86CPU *cpu);
void jit_flags_from_cpu(X86CPU *cpu);

/* True in debug modes that do something whenever the run loop enters translated code. */
static inline bool jit_debug_by_entry(const Jit *jit)
{
    return jit->debug.flush_every || jit->debug.tlb_every || jit->debug.exit_every;
}

static inline unsigned jit_jump_hash(uint64_t rip)
{
    return (rip & JIT_JUMP_MASK) >> 2;
}

static inline TransBlock *jump_block(const JitJump *jump)
{
    return (TransBlock *)(jump->block & ~(uintptr_t)1);
}

static inline bool jump_global(const JitJump *jump)
{
    return jump->block & 1;
}

#endif
