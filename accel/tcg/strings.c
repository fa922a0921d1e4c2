/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * String instructions of translated code in plain RAM, by the host's own. Compiled for general
 * registers only, since the guest's vector state stays in the host's meanwhile. What is not done
 * here (page crossings, faults, devices, downward copies, CMPS) the interpreter goes on
 * with: registers are up to date after every stretch.
 */
#include "accel/tcg/jit.h"
#include "target-i386/interp/insn.h"
#include "target-i386/mmu.h"

/* A string instruction under way. */
typedef struct StringRun {
    X86CPU *cpu;
    const Insn *insn;
    MmuView view;
    uint32_t mode;
    unsigned size;   /* of an element, bytes */
    uint64_t mask;   /* of the address size */
    uint16_t flags;  /* of the last comparison, as X86JitState.flags */
    bool ended;      /* a comparison ended it */
} StringRun;

/* --- elements ---------------------------------------------------------------------------- */

/* Register @reg as wide as addresses are. */
static uint64_t string_register(const StringRun *run, unsigned reg)
{
    return run->cpu->regs[reg] & run->mask;
}

static void set_string_register(const StringRun *run, unsigned reg, uint64_t value)
{
    if (run->mask == UINT16_MAX) {
        value = (run->cpu->regs[reg] & ~run->mask) | (value & run->mask);
    }
    run->cpu->regs[reg] = run->mask == UINT32_MAX ? (uint32_t)value : value;
}

static void string_advance(const StringRun *run, unsigned reg, uint64_t elements)
{
    set_string_register(run, reg, string_register(run, reg) + elements * run->size);
}

/* Bytes from @offset on that neither the address size nor the segment's limit ends. */
static uint64_t bytes_in_segment(const StringRun *run, SegReg seg, uint64_t offset, bool write)
{
    uint64_t limit = MIN(run->cpu->seg[seg].limit, run->mask);
    SegClass class;

    if (seg == SEG_FS || seg == SEG_GS) {
        return 0;
    }
    if (run->mode & MODE_CODE64) {
        return UINT64_MAX;
    }
    class = mode_class(run->mode, seg);
    if (class == CLASS_SLOW || (class == CLASS_READ && write) || offset > limit) {
        return 0;
    }
    return limit - offset + 1;
}

/*
 * Where the elements that @reg points to lie in the host, and how many of at most @*count it can
 * reach there: those in one page of plain RAM; NULL for none.
 */
static uint8_t *string_host(const StringRun *run, unsigned reg, SegReg seg, bool write,
                            uint64_t *count)
{
    uint64_t offset = string_register(run, reg), va = offset;
    uint64_t bytes = bytes_in_segment(run, seg, offset, write);

    if (!(run->mode & MODE_CODE64)) {
        va = (uint32_t)(offset + run->cpu->seg[seg].base);
    }
    bytes = MIN(bytes, GUEST_PAGE_SIZE - (va & (GUEST_PAGE_SIZE - 1)));
    *count = MIN(*count, bytes / run->size);
    return *count ? mmu_tlb_host(run->cpu, run->view, va, *count * run->size, write) : NULL;
}

/* --- instructions ------------------------------------------------------------------------ */

/*
 * So few words a loop moves sooner, since REP MOVSQ takes long to begin with: mem_memcpy_sm 1.9 to
 * 0.7 times native. Words go one after the other, as overlapping operands may have it.
 */
#define FEW 32

static void move_few(uint8_t *to, const uint8_t *from, uint64_t n)
{
    for (uint64_t i = 0; i < n; i++) {
        uint64_t word;

        memcpy(&word, from + i * 8, 8);
        __asm__ volatile("mov %1, %0" : "=m"(*(uint64_t *)(to + i * 8)) : "r"(word) : "memory");
    }
}

static void host_movs(uint8_t *to, const uint8_t *from, uint64_t n, unsigned size)
{
    if (size == 8 && n <= FEW) {
        move_few(to, from, n);
        return;
    }
    switch (size) {
    case 1: __asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(n) : : "memory"); break;
    case 2: __asm__ volatile("rep movsw" : "+D"(to), "+S"(from), "+c"(n) : : "memory"); break;
    case 4: __asm__ volatile("rep movsl" : "+D"(to), "+S"(from), "+c"(n) : : "memory"); break;
    default: __asm__ volatile("rep movsq" : "+D"(to), "+S"(from), "+c"(n) : : "memory"); break;
    }
}

static void host_stos(uint8_t *to, uint64_t value, uint64_t n, unsigned size)
{
    switch (size) {
    case 1: __asm__ volatile("rep stosb" : "+D"(to), "+c"(n) : "a"(value) : "memory"); break;
    case 2: __asm__ volatile("rep stosw" : "+D"(to), "+c"(n) : "a"(value) : "memory"); break;
    case 4: __asm__ volatile("rep stosl" : "+D"(to), "+c"(n) : "a"(value) : "memory"); break;
    default: __asm__ volatile("rep stosq" : "+D"(to), "+c"(n) : "a"(value) : "memory"); break;
    }
}

/* Each does up to @count elements and returns how many; 0: none can be done here. */
typedef uint64_t StringStretch(StringRun *run, uint64_t count);

static uint64_t movs(StringRun *run, uint64_t count)
{
    uint8_t *destination = string_host(run, R_RDI, SEG_ES, true, &count);
    const uint8_t *source = string_host(run, R_RSI, run->insn->seg, false, &count);

    if (!destination || !source) {
        return 0;
    }
    host_movs(destination, source, count, run->size);
    string_advance(run, R_RSI, count);
    string_advance(run, R_RDI, count);
    return count;
}

static uint64_t stos(StringRun *run, uint64_t count)
{
    uint8_t *destination = string_host(run, R_RDI, SEG_ES, true, &count);

    if (!destination) {
        return 0;
    }
    host_stos(destination, run->cpu->regs[R_RAX], count, run->size);
    string_advance(run, R_RDI, count);
    return count;
}

static uint64_t load_element(const uint8_t *at, unsigned size)
{
    switch (size) {
    case 1: return *at;
    case 2: return *(const uint16_t *)at;
    case 4: return *(const uint32_t *)at;
    default: return *(const uint64_t *)at;
    }
}

static uint64_t lods(StringRun *run, uint64_t count)
{
    const uint8_t *source = string_host(run, R_RSI, run->insn->seg, false, &count);
    uint64_t value;

    if (!source) {
        return 0;
    }
    value = load_element(source + (count - 1) * run->size, run->size);
    switch (run->size) { /* reg_set() is not here to be called */
    case 1: reg_set8(run->cpu, R_RAX * 8, value); break;
    case 2: reg_set16(run->cpu, R_RAX * 8, value); break;
    default: run->cpu->regs[R_RAX] = value; break;
    }
    string_advance(run, R_RSI, count);
    return count;
}

#define COMPARE(suffix)                                                                            \
    __asm__("cmp %" suffix "2, %" suffix "1; lahf; seto %%al" : "=&a"(ax) : "q"(a), "q"(b) : "cc")

/* Flags of @a minus @b, as X86JitState.flags. */
static uint16_t compare(uint64_t a, uint64_t b, unsigned size)
{
    uint64_t ax;

    switch (size) {
    case 1: COMPARE("b"); break;
    case 2: COMPARE("w"); break;
    case 4: COMPARE("k"); break;
    default: COMPARE("q"); break;
    }
    return (uint16_t)ax;
}

static uint64_t scas(StringRun *run, uint64_t count)
{
    const uint8_t *at = string_host(run, R_RDI, SEG_ES, false, &count);
    uint64_t mask = UINT64_MAX >> (64 - run->size * 8), value = run->cpu->regs[R_RAX] & mask;
    bool until_equal = run->insn->flags & INSN_REPNE;
    uint64_t n = 0;

    if (!at) {
        return 0;
    }
    while (n < count && !run->ended) {
        run->ended = (load_element(at + n++ * run->size, run->size) == value) == until_equal;
    }
    run->flags = compare(value, load_element(at + (n - 1) * run->size, run->size), run->size);
    string_advance(run, R_RDI, n);
    return n;
}

static StringStretch *stretch_of(const Insn *insn)
{
    switch (insn->mnemonic) {
    case ZYDIS_MNEMONIC_MOVSB: case ZYDIS_MNEMONIC_MOVSW: case ZYDIS_MNEMONIC_MOVSD:
    case ZYDIS_MNEMONIC_MOVSQ:
        return movs;
    case ZYDIS_MNEMONIC_STOSB: case ZYDIS_MNEMONIC_STOSW: case ZYDIS_MNEMONIC_STOSD:
    case ZYDIS_MNEMONIC_STOSQ:
        return stos;
    case ZYDIS_MNEMONIC_LODSB: case ZYDIS_MNEMONIC_LODSW: case ZYDIS_MNEMONIC_LODSD:
    case ZYDIS_MNEMONIC_LODSQ:
        return lods;
    case ZYDIS_MNEMONIC_SCASB: case ZYDIS_MNEMONIC_SCASW: case ZYDIS_MNEMONIC_SCASD:
    case ZYDIS_MNEMONIC_SCASQ:
        return scas;
    default:
        return NULL;
    }
}

/* True if it came to its end. */
static bool repeat(StringRun *run, StringStretch *stretch)
{
    uint64_t left = string_register(run, R_RCX);

    while (left && !run->ended) {
        uint64_t n = stretch(run, left);

        left -= n;
        set_string_register(run, R_RCX, left);
        if (!n || (left && !run->ended &&
                   __atomic_load_n(&run->cpu->jit.poll, __ATOMIC_RELAXED))) {
            return false;
        }
    }
    return true;
}

bool jit_string(X86CPU *cpu, const TransBlock *tb, const SiteInfo *site)
{
    const Insn *insn = &tb->block->insns[site->insn];
    StringStretch *stretch = stretch_of(insn);
    StringRun run = {.cpu = cpu, .insn = insn, .view = site->view, .mode = tb->mode,
                     .size = insn->opsize, .mask = UINT64_MAX >> (64 - insn->addrsize * 8),
                     .flags = cpu->jit.flags};

    if (!stretch || (cpu->eflags & FL_DF) ||
        ((tb->mode & MODE_CODE64) && run.mask != UINT64_MAX)) {
        return false;
    }
    if (insn->flags & (INSN_REP | INSN_REPNE) ? !repeat(&run, stretch) : !stretch(&run, 1)) {
        return false;
    }
    /* Not before: a fault in the middle finds the flags of before (SDM 2B, SCAS). */
    cpu->jit.flags = run.flags;
    return true;
}
