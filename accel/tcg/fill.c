/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * TLB misses of translated code, and system instructions in their common case. Compiled for general
 * registers only, since the guest's vector state stays in the host's meanwhile.
 */
#include "accel/tcg/lockstep.h"
#include "target-i386/interp/cache.h"
#include "target-i386/interp/quick.h"
#include "target-i386/mmu.h"

#define BESIDE_OFTEN 64u /* writes beside code by one block */

/* AH has SF ZF AF PF CF as EFLAGS does, AL is OF. */
static uint32_t flags_to_cc(uint16_t flags)
{
    return (flags >> 8 & (FL_ARITH & 0xff)) | (flags & 1 ? FL_OF : 0);
}

static uint16_t flags_from_cc(uint32_t cc)
{
    return (cc & 0xff) << 8 | 2 << 8 | (cc & FL_OF ? 1 : 0);
}

void jit_flags_to_cpu(X86CPU *cpu)
{
    cpu->cc = flags_to_cc(cpu->jit.flags);
}

void jit_flags_from_cpu(X86CPU *cpu)
{
    cpu->jit.flags = flags_from_cc(cpu->cc);
}

static bool aligned(const SiteInfo *site, uint64_t va)
{
    return !((site->flags & SITE_ALIGN) && (va & (site->size - 1)));
}

bool jit_site_fits(const SiteInfo *site, uint64_t va)
{
    return aligned(site, va) && (va & (GUEST_PAGE_SIZE - 1)) <= GUEST_PAGE_SIZE - site->size;
}

bool jit_fill_site(X86CPU *cpu, const TransBlock *tb, const SiteInfo *site, uint64_t va)
{
    return (site->flags & SITE_FILL) && aligned(site, va) &&
           mmu_fill(cpu, site->view, va, site->size, site->flags & SITE_WRITE);
}

/* r9 or r11: offset in the page, r10: entry. */
const void *jit_go_on_with(X86CPU *cpu, const SiteInfo *site, uint64_t va, const TlbEntry *entry)
{
    if (!jit_site_constant(site)) {
        cpu->jit.scratch[0] = (uintptr_t)entry - (uintptr_t)cpu->tlb[site->view];
        cpu->jit.scratch[site->flags & SITE_R11 ? 3 : 4] = va & (GUEST_PAGE_SIZE - 1);
    } else if (entry != mmu_tlb_entry(cpu, site->view, va)) {
        return NULL; /* the code loads from the first way */
    }
    return ((Jit *)cpu->jit.jit)->buffer.rx + site->retry + site->back;
}

/*
 * A write to a page with code, beside the code: the access goes on as if it had hit. With other
 * CPUs about, one of them may be decoding what is written after this look, so then the interpreter
 * writes first and looks after.
 */
static const void *write_beside_code(X86CPU *cpu, TransBlock *tb, const SiteInfo *site,
                                     uint64_t va)
{
    const TlbEntry *entry;
    const CodeWatch *watch;
    uintptr_t host;

    if (!(site->flags & SITE_WRITE) || !site->back || !jit_site_fits(site, va)) {
        return NULL;
    }
    entry = mmu_tlb_watched(cpu, site->view, va);
    if (!entry) {
        return NULL;
    }
    host = va + entry->addend;
    watch = code_watch_beside(cpu, host, site->size);
    if (!watch || !watch->alone) {
        return NULL;
    }
    if (cpu->mmu.note_write && !cpu->mmu.note_write(cpu, (uint8_t *)host, site->size)) {
        return NULL;
    }
    /* Written in line, the look would not tell lockstep. */
    if (++tb->beside == BESIDE_OFTEN && !(tb->no_groups & JIT_BESIDE_CODE) &&
        !cpu->mmu.note_write) {
        jit_retranslate(cpu->jit.jit, tb, JIT_BESIDE_CODE);
    }
    return jit_go_on_with(cpu, site, va, entry);
}

/* Lets a load find the bytes of two pages that lie apart in one place. */
static const TlbEntry *gather(X86CPU *cpu, MmuView view, uint64_t va, unsigned size)
{
    unsigned first = GUEST_PAGE_SIZE - (va & (GUEST_PAGE_SIZE - 1));
    const uint8_t *low = mmu_tlb_host(cpu, view, va, 1, false);
    const uint8_t *high = mmu_tlb_host(cpu, view, va + first, 1, false);
    uint8_t *bytes = cpu->jit.straddling_bytes;
    TlbEntry *entry = &cpu->jit.straddling;

    for (unsigned i = 0; i < size; i++) {
        bytes[i] = i < first ? low[i] : high[i - first];
    }
    entry->page = (uintptr_t)bytes - (va & (GUEST_PAGE_SIZE - 1));
    entry->addend = (uintptr_t)bytes - va;
    return entry;
}

/*
 * An access to two pages: where they lie side by side in the host too, the code goes on with the
 * entry of the first as if it had hit; where not, with a copy if this is a load.
 */
static const void *straddle(X86CPU *cpu, const SiteInfo *site, uint64_t va)
{
    MmuView view = site->view;
    bool write = site->flags & SITE_WRITE;
    uint64_t last = va + site->size - 1;
    const TlbEntry *low, *high;

    if (!(site->flags & SITE_FILL) || (site->flags & SITE_ALIGN) || !site->back ||
        !(site->flags & (SITE_R9 | SITE_R11)) || !((va ^ last) >> GUEST_PAGE_BITS) ||
        !(low = mmu_tlb_hit(cpu, view, va, 1, write)) ||
        !(high = mmu_tlb_hit(cpu, view, last, 1, write))) {
        return NULL;
    }
    if (low->addend == high->addend) {
        return jit_go_on_with(cpu, site, va, low);
    }
    if (write || (site->flags & SITE_GROUP) || site->size > sizeof(cpu->jit.straddling_bytes)) {
        return NULL;
    }
    return jit_go_on_with(cpu, site, va, gather(cpu, view, va, site->size));
}

/* Behind the string instruction, if it could be done. */
static const void *string(X86CPU *cpu, const TransBlock *tb, const SiteInfo *site)
{
    Jit *jit = cpu->jit.jit;

    if (!(jit->lockstep ? lockstep_string(jit, tb, site) : jit_string(cpu, tb, site))) {
        return NULL;
    }
    jit_move_sp(cpu, tb->mode, site->sp_lag - tb->insns[site->insn + 1].sp_lag);
    return ((Jit *)cpu->jit.jit)->buffer.rx + tb->insns[site->insn + 1].host;
}

/* Where to go on at RIP without leaving; else to leave, all being done. */
static const void *next_known(X86CPU *cpu, Jit *jit)
{
    uint32_t mode = jit_mode(cpu);
    const void *host;
    uint64_t salt;

    if (vcpu_pending(&cpu->vcpu) || cpu->debug_active || mode == MODE_NEVER) {
        return jit->leave;
    }
    salt = jit_salt(jit, mode);
    host = salt ? jit_find_jump(jit, cpu->cpu_rip, salt) : NULL;
    if (!host) {
        return jit->leave;
    }
    jit->known_pending = 0;
    __atomic_store_n(&cpu->jit.salt, salt, __ATOMIC_SEQ_CST);
    return __atomic_load_n(&cpu->jit.poll, __ATOMIC_SEQ_CST) ? jit->leave : host;
}

static const void *quick(X86CPU *cpu, Jit *jit, const TransBlock *tb, const SiteInfo *site)
{
    const Insn *insn = &tb->block->insns[site->insn];

    if (!(site->flags & SITE_FLAGS)) {
        return NULL;
    }
    jit_flags_to_cpu(cpu);
    cpu->cpu_rip = tb->rip + site->offset;
    cpu->regs[R_RSP] += site->sp_lag;
    if (!interp_quick(cpu, insn)) {
        cpu->regs[R_RSP] -= site->sp_lag;
        return NULL;
    }
    jit_flags_from_cpu(cpu);
    jit->stats.quick++;
    if (!(insn->flags & INSN_END)) {
        cpu->regs[R_RSP] -= tb->insns[site->insn + 1].sp_lag;
        return jit->buffer.rx + tb->insns[site->insn + 1].host;
    }
    if (jit->lockstep) {
        lockstep_stopped(jit, 0, true);
        return jit->leave;
    }
    return next_known(cpu, jit);
}

const void *jit_fill(X86CPU *cpu, const SiteInfo *site, uint64_t va)
{
    Jit *jit = cpu->jit.jit;
    TransBlock *tb = jit->blocks->pdata[site->tb];
    const void *on;

    if (jit->counting && (site->flags & (SITE_QUICK | SITE_STRING))) {
        return NULL; /* jit_slow() counts */
    }
    if (site->flags & SITE_QUICK) {
        return quick(cpu, jit, tb, site);
    }
    if (site->flags & SITE_STRING) {
        return string(cpu, tb, site);
    }
    on = write_beside_code(cpu, tb, site, va);
    if (on || jit->lockstep) {
        return on ? on : lockstep_fill(jit, tb, site, va);
    }
    if (site->flags & SITE_LOOKUP) {
        const TransBlock *to = jit_refill_jump(jit, va);

        if (!to) {
            return NULL;
        }
        cpu->jit.scratch[4] = to->rip; /* r9, as it was */
        return jit->buffer.rx + site->retry;
    }
    on = straddle(cpu, site, va);
    if (on || !jit_fill_site(cpu, tb, site, va)) {
        return on;
    }
    jit->stats.fills++;
    return jit->buffer.rx + site->retry;
}
