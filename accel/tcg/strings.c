/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * String instructions of translated code in plain RAM, by the host's own. Compiled for general
 * registers only, since the guest's vector state stays in the host's meanwhile. What is not done
 * here (page crossings, faults, devices, downward copies, comparisons) the interpreter goes on
 * with: registers are up to date after every stretch.
 */
#include "accel/tcg/jit.h"
#include "target-i386/interp/insn.h"
#include "target-i386/mmu.h"

/* Elements of @size bytes from @va to the page's end. */
static uint64_t elements_in_page(uint64_t va, unsigned size)
{
    return (GUEST_PAGE_SIZE - (va & (GUEST_PAGE_SIZE - 1))) / size;
}

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

/* As many of @count elements as lie in one page on each side; 0: none can be done here. */
static uint64_t movs(X86CPU *cpu, MmuView view, unsigned size, uint64_t count)
{
    uint64_t from = cpu->regs[R_RSI], to = cpu->regs[R_RDI];
    uint64_t n = MIN(count, elements_in_page(from, size));
    const uint8_t *source;
    uint8_t *destination;

    n = MIN(n, elements_in_page(to, size));
    if (!n || !(destination = mmu_tlb_host(cpu, view, to, size, true)) ||
        !(source = mmu_tlb_host(cpu, view, from, size, false))) {
        return 0;
    }
    host_movs(destination, source, n, size);
    cpu->regs[R_RSI] = from + n * size;
    cpu->regs[R_RDI] = to + n * size;
    return n;
}

static uint64_t stos(X86CPU *cpu, MmuView view, unsigned size, uint64_t count)
{
    uint64_t to = cpu->regs[R_RDI];
    uint64_t n = MIN(count, elements_in_page(to, size));
    uint8_t *destination;

    if (!n || !(destination = mmu_tlb_host(cpu, view, to, size, true))) {
        return 0;
    }
    host_stos(destination, cpu->regs[R_RAX], n, size);
    cpu->regs[R_RDI] = to + n * size;
    return n;
}

typedef uint64_t StringStretch(X86CPU *cpu, MmuView view, unsigned size, uint64_t count);

static StringStretch *stretch_of(const Insn *insn)
{
    switch (insn->mnemonic) {
    case ZYDIS_MNEMONIC_MOVSB: case ZYDIS_MNEMONIC_MOVSW: case ZYDIS_MNEMONIC_MOVSD:
    case ZYDIS_MNEMONIC_MOVSQ:
        return movs;
    case ZYDIS_MNEMONIC_STOSB: case ZYDIS_MNEMONIC_STOSW: case ZYDIS_MNEMONIC_STOSD:
    case ZYDIS_MNEMONIC_STOSQ:
        return stos;
    default:
        return NULL;
    }
}

static bool flat(const Insn *insn)
{
    return insn->addrsize == 8 && insn->seg != SEG_FS && insn->seg != SEG_GS;
}

bool jit_string(X86CPU *cpu, const TransBlock *tb, const SiteInfo *site)
{
    const Insn *insn = &tb->block->insns[site->insn];
    MmuView view = site->view;
    StringStretch *stretch = stretch_of(insn);

    if (!stretch || !flat(insn) || (cpu->eflags & FL_DF)) {
        return false;
    }
    if (!(insn->flags & (INSN_REP | INSN_REPNE))) {
        return stretch(cpu, view, insn->opsize, 1);
    }
    while (cpu->regs[R_RCX]) {
        uint64_t n = stretch(cpu, view, insn->opsize, cpu->regs[R_RCX]);

        cpu->regs[R_RCX] -= n;
        if (!n || (cpu->regs[R_RCX] && __atomic_load_n(&cpu->jit.poll, __ATOMIC_RELAXED))) {
            return false;
        }
    }
    return true;
}
