/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Living with a KVM that gets user code and old modes wrong without telling (trial.c). Breakpoints
 * stop at the guest's handlers of #UD and #PF, a wrong delivery is undone there, and our
 * interpreter runs the instruction; and what is in a mode that this KVM cannot do stays with the
 * interpreter. Nothing of this touches a KVM that passed the trial.
 */
#include <string.h>
#include <sys/ioctl.h>

#include "accel/kvm/kvm.h"
#include "target-i386/interp/interp.h"
#include "target-i386/interp/system.h"
#include "target-i386/mmu.h"

/* Of what R11 keeps over SYSCALL, the flags that are the user's own. */
#define FL_USER (FL_ARITH | FL_TF | FL_IF | FL_DF | FL_NT | FL_AC | FL_ID)

bool kvm_can_run(const KvmVcpu *v)
{
    const X86CPU *cpu = v->cpu;

    if (cpu_long_mode(cpu) || !cpu_protected(cpu)) {
        return true;
    }
    if ((v->machine->flaws & (KVM_FLAW_INT | KVM_FLAW_V86)) && cpu->cpl == 3) {
        return false;
    }
    return !(v->machine->flaws & KVM_FLAW_PAGING32) || !(cpu->cr0 & CR0_PG);
}

bool kvm_is_lender(const KvmVcpu *v)
{
    return (v->machine->flaws & KVM_FLAW_SLOW) && kvm_may_go_on(v);
}

/* --- the watch ------------------------------------------------------------------------------- */

/* Bytes of the guest's linear memory; false where nothing is mapped. */
static bool peek(X86CPU *cpu, MmuView view, uint64_t va, void *to, unsigned size)
{
    while (size) {
        unsigned part = MIN(size, GUEST_PAGE_SIZE - va % GUEST_PAGE_SIZE);
        uint64_t gpa;
        uint32_t error;

        if (!mmu_translate(cpu, view, va, ACCESS_READ, &gpa, &error)) {
            return false;
        }
        memory_read(cpu->vcpu.memory, gpa, to, part);
        to = (uint8_t *)to + part;
        va += part;
        size -= part;
    }
    return true;
}

/* Where the gate of @vector leads; 0: nowhere. */
static uint64_t handler_of(X86CPU *cpu, unsigned vector)
{
    uint64_t gate[2];

    if (vector * 16 + 15 > cpu->idtr.limit ||
        !peek(cpu, mmu_system_view(cpu), cpu->idtr.base + vector * 16, gate, 16) ||
        !(gate[0] >> 47 & 1) || (gate[0] >> 40 & 0xe) != 0xe) {
        return 0;
    }
    return (gate[0] & 0xffff) | (gate[0] >> 48) << 16 | gate[1] << 32;
}

/* Of 64-bit guests alone. The guest's own breakpoints go first: KVM has one set. */
void kvm_watch_handlers(KvmVcpu *v, unsigned steps)
{
    X86CPU *cpu = v->cpu;
    bool watch = cpu_long_mode(cpu) && !(cpu->dr[7] & 0xff);
    uint64_t watched[KVM_WATCHED] = {watch ? handler_of(cpu, EXC_UD) : 0,
                                     watch ? handler_of(cpu, EXC_PF) : 0};
    struct kvm_guest_debug debug = {.control = KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_USE_HW_BP,
                                    .arch.debugreg[7] = 0x400};

    if (!memcmp(watched, v->watched, sizeof(watched)) && !steps && !v->stepped) {
        return;
    }
    v->steps = steps;
    v->stepped = steps;
    memcpy(v->watched, watched, sizeof(watched));
    for (unsigned i = 0; i < KVM_WATCHED; i++) {
        debug.arch.debugreg[i] = watched[i];
        debug.arch.debugreg[7] |= watched[i] ? 1u << 2 * i : 0;
    }
    if (!(debug.arch.debugreg[7] & 0xff)) {
        debug.control &= ~KVM_GUESTDBG_USE_HW_BP;
    }
    debug.control |= steps ? KVM_GUESTDBG_SINGLESTEP : 0;
    ioctl(v->fd, KVM_SET_GUEST_DEBUG, &debug);
}

void kvm_look_for_handlers(KvmVcpu *v)
{
    if (!v->machine->flaws || v->held || (v->watched[0] && v->watched[1])) {
        return;
    }
    kvm_take_state(v, KVM_STATE_CORE);
    if (cpu_long_mode(v->cpu)) {
        mmu_memory_changed(v->cpu);
        kvm_watch_handlers(v, 0);
    }
}

/* SYSCALL as this KVM does it: at LSTAR, and still at privilege 3, where the fetch then fails. */
static bool syscall_went_wrong(X86CPU *cpu, uint64_t rip)
{
    uint64_t at = cpu->regs[R_RCX] - 2;
    uint8_t bytes[2];

    return rip == cpu->msr_lstar && cpu->cr2 == rip && peek(cpu, MMU_USER, at, bytes, 2) &&
           bytes[0] == 0x0f && bytes[1] == 0x05;
}

bool kvm_undo_misdelivery(KvmVcpu *v)
{
    X86CPU *cpu = v->cpu;
    bool page_fault = cpu->cpu_rip == v->watched[1];
    uint64_t frame[2]; /* RIP, CS */

    if (cpu->cpl != 0 || !cpu_long_mode(cpu) || (!page_fault && cpu->cpu_rip != v->watched[0]) ||
        !peek(cpu, mmu_system_view(cpu), cpu->regs[R_RSP] + (page_fault ? 8 : 0), frame, 16) ||
        (frame[1] & 3) != 3 || (page_fault && !syscall_went_wrong(cpu, frame[0]))) {
        return false;
    }
    interp_undo_exception(cpu, page_fault, 8);
    if (page_fault) {
        cpu->cpu_rip = cpu->regs[R_RCX] - 2;
        cpu_set_eflags(cpu, cpu->regs[R_R11], cpu->msr_fmask & FL_USER); /* those it has masked */
        cpu_debug_update(cpu);
    }
    v->misdelivered++;
    return true;
}
