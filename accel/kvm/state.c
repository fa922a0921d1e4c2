/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The CPU's state between the kernel and the X86CPU. Where the kernel refuses a part, that is said
 * in the log and the rest goes on: a register that cannot be had is no reason to end a guest.
 */
#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>

#include "accel/kvm/kvm.h"
#include "target-i386/interp/fpu-image.h"
#include "target-i386/interp/system.h"
#include "target-i386/mmu.h"
#include "util/lock.h"
#include "util/log.h"

#define XSAVE_BV 512 /* XSTATE_BV in the header of an XSAVE area (SDM 1, 13.4.2) */

/* Kernel structures name the registers one by one. */
static const size_t gpr_places[16] = {
    offsetof(struct kvm_regs, rax), offsetof(struct kvm_regs, rcx), offsetof(struct kvm_regs, rdx),
    offsetof(struct kvm_regs, rbx), offsetof(struct kvm_regs, rsp), offsetof(struct kvm_regs, rbp),
    offsetof(struct kvm_regs, rsi), offsetof(struct kvm_regs, rdi), offsetof(struct kvm_regs, r8),
    offsetof(struct kvm_regs, r9),  offsetof(struct kvm_regs, r10), offsetof(struct kvm_regs, r11),
    offsetof(struct kvm_regs, r12), offsetof(struct kvm_regs, r13), offsetof(struct kvm_regs, r14),
    offsetof(struct kvm_regs, r15),
};

static const size_t segment_places[SEG_COUNT] = {
    [SEG_ES] = offsetof(struct kvm_sregs2, es), [SEG_CS] = offsetof(struct kvm_sregs2, cs),
    [SEG_SS] = offsetof(struct kvm_sregs2, ss), [SEG_DS] = offsetof(struct kvm_sregs2, ds),
    [SEG_FS] = offsetof(struct kvm_sregs2, fs), [SEG_GS] = offsetof(struct kvm_sregs2, gs),
    [SEG_LDTR] = offsetof(struct kvm_sregs2, ldt), [SEG_TR] = offsetof(struct kvm_sregs2, tr),
};

/* True if the call went well; on the vCPU or, for @fd, the VM. */
static bool call_on(KvmVcpu *v, int fd, unsigned long request, void *argument, const char *name)
{
    if (ioctl(fd, request, argument) >= 0) {
        return true;
    }
    log_write(LOG_ACCEL, "kvm: CPU %u: %s: %s", v->cpu->vcpu.index, name, g_strerror(errno));
    return false;
}

static bool state_call(KvmVcpu *v, unsigned long request, void *argument, const char *name)
{
    return call_on(v, v->fd, request, argument, name);
}

#define STATE_CALL(v, request, argument) state_call(v, request, argument, #request)

/* --- general registers ------------------------------------------------------------- */

static void take_regs(KvmVcpu *v)
{
    X86CPU *cpu = v->cpu;
    struct kvm_regs regs;

    if (!STATE_CALL(v, KVM_GET_REGS, &regs)) {
        return;
    }
    for (unsigned i = 0; i < 16; i++) {
        memcpy(&cpu->regs[i], (uint8_t *)&regs + gpr_places[i], 8);
    }
    cpu->cpu_rip = regs.rip;
    cpu->cc = regs.rflags & FL_ARITH;
    cpu->eflags = (regs.rflags & ~(uint64_t)FL_ARITH) | 2;
}

static void give_regs(KvmVcpu *v)
{
    const X86CPU *cpu = v->cpu;
    struct kvm_regs regs = {.rip = cpu->cpu_rip, .rflags = cpu_get_eflags(cpu)};

    for (unsigned i = 0; i < 16; i++) {
        memcpy((uint8_t *)&regs + gpr_places[i], &cpu->regs[i], 8);
    }
    STATE_CALL(v, KVM_SET_REGS, &regs);
}

/* --- segments and control registers -------------------------------------------------- */

static X86Segment segment_from_kvm(const struct kvm_segment *s)
{
    return (X86Segment){
        .base = s->base,
        .limit = s->limit,
        .selector = s->selector,
        .attr = (s->type & SEG_ATTR_TYPE) | (s->s ? SEG_ATTR_S : 0) |
                (uint32_t)(s->dpl & 3) << SEG_ATTR_DPL_SHIFT |
                (s->present && !s->unusable ? SEG_ATTR_P : 0) | (s->avl ? SEG_ATTR_AVL : 0) |
                (s->l ? SEG_ATTR_L : 0) | (s->db ? SEG_ATTR_DB : 0) | (s->g ? SEG_ATTR_G : 0) |
                (s->unusable ? SEG_ATTR_UNUSABLE : 0),
    };
}

static struct kvm_segment segment_to_kvm(const X86Segment *s)
{
    bool unusable = s->attr & SEG_ATTR_UNUSABLE;

    return (struct kvm_segment){
        .base = s->base,
        .limit = s->limit,
        .selector = s->selector,
        .type = s->attr & SEG_ATTR_TYPE,
        .s = !!(s->attr & SEG_ATTR_S),
        .dpl = (s->attr >> SEG_ATTR_DPL_SHIFT) & 3,
        .present = !unusable && (s->attr & SEG_ATTR_P),
        .avl = !!(s->attr & SEG_ATTR_AVL),
        .l = !!(s->attr & SEG_ATTR_L),
        .db = !!(s->attr & SEG_ATTR_DB),
        .g = !!(s->attr & SEG_ATTR_G),
        .unusable = unusable,
    };
}

/* Without KVM_CAP_SREGS2: the same, but the page-directory pointers are not told. */
static bool get_sregs(KvmVcpu *v, struct kvm_sregs2 *to)
{
    struct kvm_sregs from;

    if (v->machine->has_sregs2) {
        return STATE_CALL(v, KVM_GET_SREGS2, to);
    }
    if (!STATE_CALL(v, KVM_GET_SREGS, &from)) {
        return false;
    }
    memcpy(to, &from, offsetof(struct kvm_sregs, interrupt_bitmap));
    to->flags = 0;
    return true;
}

static void set_sregs(KvmVcpu *v, struct kvm_sregs2 *from)
{
    struct kvm_sregs to = {0};

    if (v->machine->has_sregs2) {
        STATE_CALL(v, KVM_SET_SREGS2, from);
        return;
    }
    memcpy(&to, from, offsetof(struct kvm_sregs, interrupt_bitmap));
    STATE_CALL(v, KVM_SET_SREGS, &to);
}

static bool cpu_has_pdptes(const X86CPU *cpu)
{
    return (cpu->cr0 & CR0_PG) && (cpu->cr4 & CR4_PAE) && !(cpu->efer & EFER_LMA);
}

static void take_pdptes(X86CPU *cpu, const struct kvm_sregs2 *s)
{
    if (s->flags & KVM_SREGS2_FLAGS_PDPTRS_VALID) {
        memcpy(cpu->pdpte, s->pdptrs, sizeof(cpu->pdpte));
    } else if (cpu_has_pdptes(cpu)) {
        memory_read(cpu->vcpu.memory, cpu->cr3 & 0xffffffe0, cpu->pdpte, sizeof(cpu->pdpte));
    }
}

static void take_sregs(KvmVcpu *v)
{
    X86CPU *cpu = v->cpu;
    struct kvm_sregs2 s = {0};

    if (!get_sregs(v, &s)) {
        return;
    }
    for (unsigned i = 0; i < SEG_COUNT; i++) {
        cpu->seg[i] = segment_from_kvm((void *)((uint8_t *)&s + segment_places[i]));
    }
    cpu->gdtr = (X86Table){s.gdt.base, s.gdt.limit};
    cpu->idtr = (X86Table){s.idt.base, s.idt.limit};
    cpu->cr0 = s.cr0;
    cpu->cr2 = s.cr2;
    cpu->cr3 = s.cr3;
    cpu->cr4 = s.cr4;
    cpu->cr8 = s.cr8;
    cpu->efer = s.efer;
    cpu->cpl = s.ss.dpl & 3; /* SDM 3C 25.8: the VMM finds CPL there */
    take_pdptes(cpu, &s);
}

/* IA32_APIC_BASE is the interrupt controller's. */
static uint64_t current_apic_base(KvmVcpu *v)
{
    const Vcpu *vcpu = &v->cpu->vcpu;

    if (!vcpu->intr_ops) {
        return 0;
    }
    bool taken = machine_lock_enter();
    uint64_t base = vcpu->intr_ops->get_base(vcpu->intr_opaque);
    machine_lock_leave(taken);
    return base;
}

static void give_sregs(KvmVcpu *v)
{
    const X86CPU *cpu = v->cpu;
    struct kvm_sregs2 s = {0};

    for (unsigned i = 0; i < SEG_COUNT; i++) {
        struct kvm_segment segment = segment_to_kvm(&cpu->seg[i]);
        memcpy((uint8_t *)&s + segment_places[i], &segment, sizeof(segment));
    }
    s.ss.dpl = cpu->cpl;
    s.gdt.base = cpu->gdtr.base;
    s.gdt.limit = cpu->gdtr.limit;
    s.idt.base = cpu->idtr.base;
    s.idt.limit = cpu->idtr.limit;
    s.cr0 = cpu->cr0;
    s.cr2 = cpu->cr2;
    s.cr3 = cpu->cr3;
    s.cr4 = cpu->cr4;
    s.cr8 = v->cr8;
    s.efer = cpu->efer;
    s.apic_base = v->apic_base = current_apic_base(v);
    if (cpu_has_pdptes(cpu)) {
        s.flags = KVM_SREGS2_FLAGS_PDPTRS_VALID;
        memcpy(s.pdptrs, cpu->pdpte, sizeof(cpu->pdpte));
    }
    set_sregs(v, &s);
}

/* --- events --------------------------------------------------------------------------- */

static void take_events(KvmVcpu *v)
{
    X86CPU *cpu = v->cpu;

    if (STATE_CALL(v, KVM_GET_VCPU_EVENTS, &v->events)) {
        cpu->interrupt_shadow = v->events.interrupt.shadow;
        cpu->debug_inhibit = v->events.interrupt.shadow & KVM_X86_SHADOW_INT_MOV_SS;
        cpu->nmi_blocked = v->events.nmi.masked;
    }
}

/* Events that wait in the kernel stay there, unless fallback.c or reset has taken them out. */
static void give_events(KvmVcpu *v)
{
    const X86CPU *cpu = v->cpu;

    v->events.interrupt.shadow = !cpu->interrupt_shadow ? 0
                                 : cpu->debug_inhibit   ? KVM_X86_SHADOW_INT_MOV_SS
                                                        : KVM_X86_SHADOW_INT_STI;
    v->events.nmi.masked = cpu->nmi_blocked;
    v->events.flags = KVM_VCPUEVENT_VALID_SHADOW | KVM_VCPUEVENT_VALID_NMI_PENDING;
    STATE_CALL(v, KVM_SET_VCPU_EVENTS, &v->events);
}

/* --- vectors, XCR0, debug registers ---------------------------------------------------- */

/* Moves component @i between its bytes in the image and the CPU (SDM 1, 13.5). */
static void move_component(X86CPU *cpu, unsigned i, uint8_t *at, bool take)
{
    static const struct {
        uint8_t first, count, from, bytes;
    } vectors[KVM_XSAVE_COMPONENTS] = {
        [1] = {0, 16, 0, 16}, [2] = {0, 16, 16, 16}, [6] = {0, 16, 32, 32}, [7] = {16, 16, 0, 64},
    };

    for (unsigned n = 0; n < vectors[i].count; n++) {
        uint8_t *part = &cpu->vec[vectors[i].first + n].u8[vectors[i].from];
        uint8_t *image = at + n * vectors[i].bytes;
        memcpy(take ? part : image, take ? image : part, vectors[i].bytes);
    }
    if (i == 5) {
        memcpy(take ? (void *)cpu->opmask : at, take ? at : (void *)cpu->opmask, 64);
    } else if (i == 9) {
        memcpy(take ? (void *)&cpu->pkru : at, take ? at : (void *)&cpu->pkru, 4);
    }
}

static void take_xsave(KvmVcpu *v)
{
    const KvmXsaveLayout *layout = &v->machine->xsave;
    X86CPU *cpu = v->cpu;
    unsigned long request = layout->area > sizeof(struct kvm_xsave) ? KVM_GET_XSAVE2
                                                                    : KVM_GET_XSAVE;
    uint64_t present;

    if (!state_call(v, request, v->xsave, "KVM_GET_XSAVE")) {
        return;
    }
    memcpy(&present, v->xsave + XSAVE_BV, 8);
    if (present & 1) {
        memcpy(&cpu->x87, v->xsave, sizeof(cpu->x87));
    } else {
        uint32_t mxcsr = cpu->x87.mxcsr;
        memcpy(&mxcsr, v->xsave + offsetof(X87State, mxcsr), 4);
        cpu->x87 = (X87State){.fcw = 0x37f, .mxcsr = mxcsr, .mxcsr_mask = 0xffff};
    }
    for (unsigned i = 1; i < KVM_XSAVE_COMPONENTS; i++) {
        uint8_t initial[1024] = {0};
        if (layout->mask >> i & 1) {
            move_component(cpu, i, present >> i & 1 ? v->xsave + layout->offset[i] : initial, true);
        }
    }
}

static void give_xsave(KvmVcpu *v)
{
    const KvmXsaveLayout *layout = &v->machine->xsave;
    uint64_t present;

    memcpy(v->xsave, &v->cpu->x87, sizeof(v->cpu->x87));
    for (unsigned i = 1; i < KVM_XSAVE_COMPONENTS; i++) {
        if (layout->mask >> i & 1) {
            move_component(v->cpu, i, v->xsave + layout->offset[i], false);
        }
    }
    memcpy(&present, v->xsave + XSAVE_BV, 8);
    present |= layout->mask & (xsave_supported(v->cpu) | 3);
    memcpy(v->xsave + XSAVE_BV, &present, 8);
    STATE_CALL(v, KVM_SET_XSAVE, v->xsave);
}

static void take_xcr0(KvmVcpu *v)
{
    struct kvm_xcrs xcrs = {0};

    if (!cpu_has(v->cpu, X86_FEATURE_XSAVE) || !STATE_CALL(v, KVM_GET_XCRS, &xcrs)) {
        return;
    }
    for (unsigned i = 0; i < MIN(xcrs.nr_xcrs, KVM_MAX_XCRS); i++) {
        if (xcrs.xcrs[i].xcr == 0) {
            v->cpu->xcr0 = xcrs.xcrs[i].value;
        }
    }
}

static void give_xcr0(KvmVcpu *v)
{
    struct kvm_xcrs xcrs = {.nr_xcrs = 1};

    if (cpu_has(v->cpu, X86_FEATURE_XSAVE)) {
        xcrs.xcrs[0].value = v->cpu->xcr0;
        STATE_CALL(v, KVM_SET_XCRS, &xcrs);
    }
}

static void take_debugregs(KvmVcpu *v)
{
    struct kvm_debugregs debug;

    if (STATE_CALL(v, KVM_GET_DEBUGREGS, &debug)) {
        memcpy(v->cpu->dr, debug.db, sizeof(debug.db));
        v->cpu->dr[6] = debug.dr6;
        v->cpu->dr[7] = debug.dr7;
    }
}

static void give_debugregs(KvmVcpu *v)
{
    struct kvm_debugregs debug = {.dr6 = v->cpu->dr[6], .dr7 = v->cpu->dr[7]};

    memcpy(debug.db, v->cpu->dr, sizeof(debug.db));
    STATE_CALL(v, KVM_SET_DEBUGREGS, &debug);
}

/* --- HLT and waiting for start-up: the kernel's with its local APIC --------------------- */

static void take_mp_state(KvmVcpu *v)
{
    Vcpu *vcpu = &v->cpu->vcpu;
    struct kvm_mp_state mp;

    if (STATE_CALL(v, KVM_GET_MP_STATE, &mp)) {
        vcpu->wait_for_sipi = mp.mp_state == KVM_MP_STATE_UNINITIALIZED ||
                              mp.mp_state == KVM_MP_STATE_INIT_RECEIVED;
        vcpu->halted = vcpu->wait_for_sipi || mp.mp_state == KVM_MP_STATE_HALTED;
    }
}

static void give_mp_state(KvmVcpu *v)
{
    const Vcpu *vcpu = &v->cpu->vcpu;
    struct kvm_mp_state mp = {.mp_state = vcpu->wait_for_sipi ? KVM_MP_STATE_UNINITIALIZED
                                          : vcpu->halted      ? KVM_MP_STATE_HALTED
                                                              : KVM_MP_STATE_RUNNABLE};

    STATE_CALL(v, KVM_SET_MP_STATE, &mp);
}

/* --- translations ------------------------------------------------------------------ */

/* Page of guest-physical addresses that never holds anything: below kvm.c's pages of real mode. */
#define SCRATCH_ADDR 0xfeffb000u
#define SCRATCH_SLOT 509u /* the last of those that every KVM has */

/*
 * When a memory slot goes, KVM invalidates everything it derived from page tables, in all CPUs
 * (api.rst, KVM_X86_QUIRK_SLOT_ZAP_ALL). Nothing less helps where it keeps shadow page tables: it
 * learns of the guest's own writes to page tables only, and loading CR3 trusts what it has.
 */
static void forget_translations(KvmVcpu *v)
{
    struct kvm_userspace_memory_region region = {
        .slot = SCRATCH_SLOT,
        .guest_phys_addr = SCRATCH_ADDR,
        .memory_size = GUEST_PAGE_SIZE,
        .userspace_addr = (uintptr_t)v->run, /* never read */
    };

    g_mutex_lock(&v->machine->scratch_slot);
    if (call_on(v, v->machine->vm_fd, KVM_SET_USER_MEMORY_REGION, &region, "scratch slot")) {
        region.memory_size = 0;
        call_on(v, v->machine->vm_fd, KVM_SET_USER_MEMORY_REGION, &region, "scratch slot");
    }
    g_mutex_unlock(&v->machine->scratch_slot);
}

/* --- all of it ---------------------------------------------------------------------------- */

void kvm_take_state(KvmVcpu *v, KvmStateParts parts)
{
    if (parts & KVM_STATE_CORE) {
        take_regs(v);
        take_sregs(v);
        take_events(v);
    }
    if (parts & KVM_STATE_REST) {
        take_xsave(v);
        take_xcr0(v);
        take_debugregs(v);
        kvm_take_msrs(v);
    }
    if ((parts & KVM_STATE_REST) && kvm_kernel_apic(v)) {
        take_mp_state(v);
    }
    cpu_update_mode(v->cpu);
    cpu_debug_update(v->cpu);
}

/* Control registers come first: what XCR0 and MSRs may hold depends on them. */
void kvm_give_state(KvmVcpu *v, KvmStateParts parts)
{
    if (v->stale) {
        forget_translations(v);
        v->stale = false;
    }
    if (parts & KVM_STATE_CORE) {
        give_sregs(v);
        give_regs(v);
    }
    if (parts & KVM_STATE_REST) {
        give_xcr0(v);
        give_xsave(v);
        give_debugregs(v);
        kvm_give_msrs(v, parts & KVM_STATE_RESET);
    }
    if (parts & KVM_STATE_CORE) {
        give_events(v);
    }
    if ((parts & KVM_STATE_REST) && kvm_kernel_apic(v)) {
        give_mp_state(v);
    }
}
