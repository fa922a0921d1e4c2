/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * TLB misses of translated code. Compiled for general registers only, since the guest's vector
 * state stays in the host's meanwhile.
 */
#include "accel/tcg/jit.h"
#include "target-i386/mmu.h"

bool jit_fill_site(X86CPU *cpu, const TransBlock *tb, const SiteInfo *site, uint64_t va)
{
    return (site->flags & SITE_FILL) &&
           !((site->flags & SITE_ALIGN) && (va & (site->size - 1))) &&
           mmu_fill(cpu, (tb->mode >> MODE_VIEW_SHIFT) & 3, va, site->size,
                    site->flags & SITE_WRITE);
}

const void *jit_fill(X86CPU *cpu, const SiteInfo *site, uint64_t va)
{
    Jit *jit = cpu->jit.jit;
    const TransBlock *tb = jit->blocks->pdata[site->tb];

    if (jit->lockstep || !jit_fill_site(cpu, tb, site, va)) {
        return NULL;
    }
    jit->stats.fills++;
    return jit->buffer.rx + site->retry;
}
