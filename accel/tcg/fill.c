/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * TLB misses of translated code. Compiled for general registers only, since the guest's vector
 * state stays in the host's meanwhile.
 */
#include "accel/tcg/jit.h"
#include "target-i386/interp/cache.h"
#include "target-i386/mmu.h"

static MmuView site_view(const TransBlock *tb)
{
    return (tb->mode >> MODE_VIEW_SHIFT) & 3;
}

static bool aligned(const SiteInfo *site, uint64_t va)
{
    return !((site->flags & SITE_ALIGN) && (va & (site->size - 1)));
}

bool jit_fill_site(X86CPU *cpu, const TransBlock *tb, const SiteInfo *site, uint64_t va)
{
    return (site->flags & SITE_FILL) && aligned(site, va) &&
           mmu_fill(cpu, site_view(tb), va, site->size, site->flags & SITE_WRITE);
}

/*
 * A write to a page with code, beside the code: the access goes on with the entry as if it had hit
 * (r9 or r11: offset in the page, r10: entry). With other CPUs about, one of them may be decoding
 * what is written after this look, so then the interpreter writes first and looks after.
 */
static const void *write_beside_code(X86CPU *cpu, const TransBlock *tb, const SiteInfo *site,
                                     uint64_t va)
{
    const TlbEntry *entry;
    const CodeWatch *watch;
    uintptr_t host;

    if (!(site->flags & SITE_WRITE) || !site->back || !aligned(site, va) ||
        (va & (GUEST_PAGE_SIZE - 1)) > GUEST_PAGE_SIZE - site->size) {
        return NULL;
    }
    entry = mmu_tlb_watched(cpu, site_view(tb), va);
    if (!entry) {
        return NULL;
    }
    host = va + entry->addend;
    watch = code_watch_beside(cpu, host, site->size);
    if (!watch || !watch->alone) {
        return NULL;
    }
    if (site->flags & (SITE_R9 | SITE_R11)) {
        cpu->jit.scratch[0] = (uintptr_t)entry - (uintptr_t)cpu->tlb[site_view(tb)];
        cpu->jit.scratch[site->flags & SITE_R11 ? 3 : 4] = va & (GUEST_PAGE_SIZE - 1);
    } else if (entry != mmu_tlb_entry(cpu, site_view(tb), va)) {
        return NULL; /* the code loads from the first way */
    }
    return ((Jit *)cpu->jit.jit)->buffer.rx + site->retry + site->back;
}

/* Behind the string instruction, if it could be done. */
static const void *string(X86CPU *cpu, const TransBlock *tb, const SiteInfo *site)
{
    if (!jit_string(cpu, tb, site)) {
        return NULL;
    }
    cpu->regs[R_RSP] += site->sp_lag - tb->insns[site->insn + 1].sp_lag;
    return ((Jit *)cpu->jit.jit)->buffer.rx + tb->insns[site->insn + 1].host;
}

const void *jit_fill(X86CPU *cpu, const SiteInfo *site, uint64_t va)
{
    Jit *jit = cpu->jit.jit;
    const TransBlock *tb = jit->blocks->pdata[site->tb];
    const void *on;

    if (jit->lockstep) {
        return NULL;
    }
    if (site->flags & SITE_STRING) {
        return string(cpu, tb, site);
    }
    on = write_beside_code(cpu, tb, site, va);
    if (on || !jit_fill_site(cpu, tb, site, va)) {
        return on;
    }
    jit->stats.fills++;
    return jit->buffer.rx + site->retry;
}
