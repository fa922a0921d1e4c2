/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Lockstep while translated code runs: writes are noted, indirect branches end the block. Compiled
 * for general registers only, as the guest's vector state stays in the host's.
 */
#include "accel/tcg/lockstep.h"

#include "target-i386/mmu.h"

/* Not memcpy(), which uses vector registers. */
static void copy(uint8_t *to, const uint8_t *from, size_t size)
{
    if (size == 8) {
        *(uint64_t *)to = *(const uint64_t *)from;
    } else {
        __asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(size) : : "memory");
    }
}

bool lockstep_note_write(X86CPU *cpu, uint8_t *host, unsigned size)
{
    Lockstep *l = ((Jit *)cpu->jit.jit)->lockstep;

    if (l->count == LOCKSTEP_WRITES_MAX || size > LOCKSTEP_BYTES_MAX - l->bytes) {
        return false;
    }
    l->writes[l->count++] = (LockstepWrite){.host = host, .size = size, .at = l->bytes};
    copy(l->bytes_before + l->bytes, host, size);
    l->bytes += size;
    return true;
}

void lockstep_undo(Lockstep *l, unsigned count)
{
    while (l->count > count) {
        const LockstepWrite *write = &l->writes[--l->count];

        copy(write->host, l->bytes_before + write->at, write->size);
        l->bytes = write->at;
    }
}

void lockstep_stopped(Jit *jit, unsigned insn, bool whole)
{
    jit->lockstep->executed = insn;
    jit->lockstep->whole = whole;
}

/* --- indirect branches --------------------------------------------------------------------- */

/*
 * The address that @tagged is with the salt, which a kick may have spoiled since it was added.
 * False for none that code can be at: the branch raises.
 */
static bool branch_target(const X86CPU *cpu, uint64_t tagged, uint64_t *target)
{
    *target = tagged - cpu->jit.salt;
    if (!cpu_canonical(cpu, *target)) {
        *target += JIT_SALT_POISON;
    }
    return cpu_canonical(cpu, *target);
}

/* An entry of the jump cache, made for this branch, leads to the way out. */
static const void *branch(Jit *jit, const SiteInfo *site, uint64_t tagged)
{
    X86JitState *state = &jit->cpu->jit;
    JitJump *jump;
    uint64_t target;

    if (!branch_target(jit->cpu, tagged, &target)) {
        return NULL;
    }
    jump = &state->jumps[jit_jump_hash(target)];
    *jump = (JitJump){.tag = -tagged, .host = jit->leave_flags, .host_m = jit->leave};
    state->lockstep_tag = &jump->tag;
    state->scratch[4] = target; /* r9 */
    jit->lockstep->target = target;
    lockstep_stopped(jit, 0, true);
    return jit->buffer.rx + site->retry;
}

/* --- accesses ------------------------------------------------------------------------------- */

static const void *write_closed(Jit *jit, const SiteInfo *site, uint64_t va)
{
    X86CPU *cpu = jit->cpu;
    MmuView view = site->view;
    const TlbEntry *entry;

    if (!site->back || !jit_site_fits(site, va)) {
        return NULL;
    }
    entry = mmu_tlb_closed(cpu, view, va);
    if (!entry || (entry != mmu_tlb_entry(cpu, view, va) && jit_site_constant(site))) {
        mmu_fill(cpu, view, va, site->size, true);
        entry = mmu_tlb_closed(cpu, view, va);
    }
    if (!entry || !lockstep_note_write(cpu, (uint8_t *)(va + entry->addend), site->size)) {
        return NULL;
    }
    return jit_go_on_with(cpu, site, va, entry);
}

const void *lockstep_fill(Jit *jit, const TransBlock *tb, const SiteInfo *site, uint64_t va)
{
    if (site->flags & SITE_LOOKUP) {
        return branch(jit, site, va);
    }
    if (site->flags & SITE_WRITE) {
        return write_closed(jit, site, va);
    }
    return jit_fill_site(jit->cpu, tb, site, va) ? jit->buffer.rx + site->retry : NULL;
}

bool lockstep_string(Jit *jit, const TransBlock *tb, const SiteInfo *site)
{
    X86CPU *cpu = jit->cpu;
    uint64_t rax = cpu->regs[R_RAX], rcx = cpu->regs[R_RCX];
    uint64_t rsi = cpu->regs[R_RSI], rdi = cpu->regs[R_RDI];
    unsigned count = jit->lockstep->count;

    if (jit_string(cpu, tb, site)) {
        return true;
    }
    cpu->regs[R_RAX] = rax; /* of LODS */
    cpu->regs[R_RCX] = rcx;
    cpu->regs[R_RSI] = rsi;
    cpu->regs[R_RDI] = rdi;
    lockstep_undo(jit->lockstep, count);
    return false;
}
