/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Trials of a KVM, in a machine of their own, for what it may do wrong without an exit. A KVM
 * without virtualization hardware runs user code as the host's own and emulates the rest, and no
 * capability says what of it is missing. What it does exit for needs no trial: fallback.c does it.
 */
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "accel/kvm/kvm.h"
#include "util/log.h"
#include "util/timer.h"

enum {
    TRIAL_SIZE = 0x20000,
    AT_PML4 = 0x1000, AT_PDPT = 0x2000, AT_PD = 0x3000, AT_PT = 0x4000, AT_PDPT32 = 0x5000,
    AT_GDT = 0x6000, AT_IDT = 0x7000, AT_IDT32 = 0x8000, AT_TSS = 0x9000, AT_TSS32 = 0xa000,
    AT_CODE = 0xb000, AT_GOOD = 0xc000, AT_BAD = 0xd000, AT_ONE = 0xe000, AT_OTHER = 0xf000,
    AT_STACK = 0x10800, AT_STACK0 = 0x11800,
    WINDOW = 0x200000, /* linear: a page of its own */
    PORT_GOOD = 0x30, PORT_BAD = 0x31,
};

#define TRIAL_GATE 0x80
#define SLOW_NS    50 /* an instruction: our interpreter needs a tenth of it */
#define MSR_STAR   0xc0000081
#define MSR_LSTAR  0xc0000082

typedef struct Trial {
    int vm_fd, fd;
    struct kvm_run *run;
    size_t run_size;
    uint8_t *memory;
    struct kvm_sregs initial, sregs; /* at the start, and after the last run */
    struct kvm_regs regs;
} Trial;

/* --- the machine ------------------------------------------------------------------------ */

static void put64(Trial *t, uint64_t at, uint64_t value)
{
    memcpy(t->memory + at, &value, 8);
}

static void put_code(Trial *t, uint64_t at, const char *code, unsigned size)
{
    memcpy(t->memory + at, code, size);
}
#define PUT_CODE(t, at, code) put_code(t, at, code, sizeof(code) - 1)

/* Interrupt gates of privilege 3, in the tables of both widths. */
static void put_gate(Trial *t, unsigned vector, uint64_t handler)
{
    uint64_t gate = handler | 8u << 16 | 0xee00ull << 32;

    put64(t, AT_IDT + vector * 16, gate);
    put64(t, AT_IDT32 + vector * 8, gate);
}

/* Segments: 8 code, 0x10 data, 0x23 and 0x2b the user's data and code, 0x30 TSS. */
static void fill_memory(Trial *t, bool wide)
{
    const uint64_t gdt[] = {
        0, wide ? 0x00af9b000000ffff : 0x00cf9b000000ffff, 0x00cf93000000ffff, 0,
        0x00cff3000000ffff, 0x00affb000000ffff,
        0x0000890000000067 | (uint64_t)(wide ? AT_TSS : AT_TSS32) << 16, 0,
    };

    memcpy(t->memory + AT_GDT, gdt, sizeof(gdt));
    put64(t, AT_PML4, AT_PDPT | 7);
    put64(t, AT_PDPT, AT_PD | 7);
    put64(t, AT_PDPT32, AT_PD | 1);
    put64(t, AT_PD, 0x87); /* 2 MiB, all of them the user's */
    put64(t, AT_PD + 8, AT_PT | 7);
    put64(t, AT_PT, AT_ONE | 7);
    put64(t, AT_TSS + 4, AT_STACK0);
    put64(t, AT_TSS32 + 4, AT_STACK0 | 0x10ull << 32);
    for (unsigned i = 0; i < 32; i++) {
        put_gate(t, i, AT_BAD);
    }
    put_gate(t, TRIAL_GATE, AT_GOOD);
    PUT_CODE(t, AT_GOOD, "\xe6\x30"); /* out %al, $PORT_GOOD */
    PUT_CODE(t, AT_BAD, "\xe6\x31");
}

static bool trial_begin(Trial *t, int kvm_fd, struct kvm_cpuid2 *cpuid)
{
    struct kvm_userspace_memory_region region = {.memory_size = TRIAL_SIZE};

    t->memory = mmap(NULL, TRIAL_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    t->vm_fd = ioctl(kvm_fd, KVM_CREATE_VM, 0);
    if (t->memory == MAP_FAILED || t->vm_fd < 0) {
        return false;
    }
    region.userspace_addr = (uintptr_t)t->memory;
    if (ioctl(t->vm_fd, KVM_SET_USER_MEMORY_REGION, &region) < 0) {
        return false;
    }
    t->fd = ioctl(t->vm_fd, KVM_CREATE_VCPU, 0);
    if (t->fd < 0) {
        return false;
    }
    t->run_size = ioctl(kvm_fd, KVM_GET_VCPU_MMAP_SIZE, 0);
    t->run = mmap(NULL, t->run_size, PROT_READ | PROT_WRITE, MAP_SHARED, t->fd, 0);
    return t->run != MAP_FAILED && ioctl(t->fd, KVM_SET_CPUID2, cpuid) >= 0 &&
           ioctl(t->fd, KVM_GET_SREGS, &t->initial) >= 0;
}

static void trial_end(Trial *t)
{
    if (t->run != MAP_FAILED) {
        munmap(t->run, t->run_size);
    }
    if (t->fd >= 0) {
        close(t->fd);
    }
    if (t->vm_fd >= 0) {
        close(t->vm_fd);
    }
    if (t->memory != MAP_FAILED) {
        munmap(t->memory, TRIAL_SIZE);
    }
}

/* --- starting points ----------------------------------------------------------------------- */

static struct kvm_segment flat_segment(uint16_t selector, uint8_t type, bool wide)
{
    return (struct kvm_segment){.limit = UINT32_MAX, .selector = selector, .type = type,
                                .present = 1, .s = 1, .dpl = selector & 3, .l = wide, .db = !wide,
                                .g = 1};
}

static struct kvm_sregs protected_sregs(const Trial *t, uint16_t cs, uint16_t ss, bool wide)
{
    struct kvm_sregs s = t->initial;

    s.cs = flat_segment(cs, 0xb, wide);
    s.ds = s.es = s.fs = s.gs = s.ss = flat_segment(ss, 3, false);
    s.tr = (struct kvm_segment){.base = wide ? AT_TSS : AT_TSS32, .limit = 0x67, .selector = 0x30,
                                .type = 0xb, .present = 1};
    s.gdt.base = AT_GDT;
    s.gdt.limit = 0x3f;
    s.idt.base = wide ? AT_IDT : AT_IDT32;
    s.idt.limit = wide ? 0xfff : 0x7ff;
    s.cr0 = CR0_WP | CR0_NE | CR0_ET | CR0_PE;
    return s;
}

/* 64-bit code at privilege 3. */
static struct kvm_sregs user_sregs(const Trial *t)
{
    struct kvm_sregs s = protected_sregs(t, 0x2b, 0x23, true);

    s.cr0 |= CR0_PG;
    s.cr3 = AT_PML4;
    s.cr4 = CR4_PAE;
    s.efer = EFER_LMA | EFER_LME | EFER_SCE;
    return s;
}

/* Runs from AT_CODE, and takes the registers after it; false if it was not for an OUT. */
static bool trial_run(Trial *t, struct kvm_sregs *s, uint64_t rflags)
{
    struct kvm_regs regs = {.rip = AT_CODE - s->cs.base, .rsp = AT_STACK - s->ss.base,
                            .rflags = rflags | 2};
    struct kvm_vcpu_events events = {0};

    return ioctl(t->fd, KVM_SET_SREGS, s) >= 0 && ioctl(t->fd, KVM_SET_REGS, &regs) >= 0 &&
           ioctl(t->fd, KVM_SET_VCPU_EVENTS, &events) >= 0 && ioctl(t->fd, KVM_RUN, 0) >= 0 &&
           t->run->exit_reason == KVM_EXIT_IO && ioctl(t->fd, KVM_GET_SREGS, &t->sregs) >= 0 &&
           ioctl(t->fd, KVM_GET_REGS, &t->regs) >= 0;
}

/* --- the trials: true if this KVM fails ------------------------------------------------------ */

/* SYSCALL or INT, which lead to the good handler, at privilege 0. */
static bool trial_entry(Trial *t, const char *code)
{
    struct kvm_sregs s = user_sregs(t);
    struct {
        struct kvm_msrs head;
        struct kvm_msr_entry entries[2];
    } msrs = {.head.nmsrs = 2,
              .entries = {{.index = MSR_STAR, .data = 0x001b000800000000},
                          {.index = MSR_LSTAR, .data = AT_GOOD}}};

    fill_memory(t, true);
    put_code(t, AT_CODE, code, 2);
    return ioctl(t->fd, KVM_SET_MSRS, &msrs) == 2 && trial_run(t, &s, 0) &&
           (t->run->io.port != PORT_GOOD || t->sregs.cs.dpl != 0);
}

/* A page-table entry is changed from outside, and CR3 loaded: does user code see the new page? */
static bool trial_shadow(Trial *t)
{
    struct kvm_sregs s = user_sregs(t), other = s;
    uint64_t seen[2];

    fill_memory(t, true);
    PUT_CODE(t, AT_CODE, "\x8b\x04\x25\x00\x00\x20\x00\xf4"); /* mov WINDOW, %eax; hlt (#GP) */
    put64(t, AT_ONE, 1);
    put64(t, AT_OTHER, 2);
    for (unsigned i = 0; i < 2; i++) {
        put64(t, AT_PT, (i ? AT_OTHER : AT_ONE) | 7);
        other.cr3 = AT_PDPT;
        if (ioctl(t->fd, KVM_SET_SREGS, &other) < 0 || !trial_run(t, &s, 0)) {
            return false;
        }
        seen[i] = t->regs.rax;
    }
    return seen[0] == 1 && seen[1] == 1;
}

/* 32-bit code with PAE paging. A shutdown is as wrong as going on without paging. */
static bool trial_paging32(Trial *t)
{
    struct kvm_sregs s = protected_sregs(t, 8, 0x10, false);

    s.cr0 |= CR0_PG;
    s.cr3 = AT_PDPT32;
    s.cr4 = CR4_PAE;
    s.efer = 0;
    fill_memory(t, false);
    PUT_CODE(t, AT_CODE, "\xe6\x30");
    if (trial_run(t, &s, 0)) {
        return t->run->io.port != PORT_GOOD || !(t->sregs.cr0 & CR0_PG);
    }
    return t->run->exit_reason == KVM_EXIT_SHUTDOWN;
}

/* HLT in virtual-8086 mode: #GP, whose frame tells where it comes from. */
static bool trial_v86(Trial *t)
{
    struct kvm_sregs s = protected_sregs(t, 8, 0x10, false);
    uint32_t frame[4]; /* error code, EIP, CS, EFLAGS */

    s.cs = s.ds = s.es = s.fs = s.gs = s.ss =
        (struct kvm_segment){.base = AT_CODE & 0xf0000, .limit = 0xffff,
                             .selector = AT_CODE >> 4 & 0xf000, .type = 3, .present = 1, .s = 1,
                             .dpl = 3};
    s.cr3 = s.cr4 = s.efer = 0;
    fill_memory(t, false);
    put_gate(t, EXC_GP, AT_GOOD);
    PUT_CODE(t, AT_CODE, "\xf4");
    if (!trial_run(t, &s, FL_VM)) {
        return false;
    }
    if (t->run->io.port != PORT_GOOD || t->regs.rsp > TRIAL_SIZE - sizeof(frame)) {
        return true;
    }
    memcpy(frame, t->memory + t->regs.rsp, sizeof(frame));
    return !(frame[3] & FL_VM);
}

/* Supervisor code, 2000 instructions of it: the better time of two, lest others got between. */
static bool trial_slow(Trial *t)
{
    struct kvm_sregs s = protected_sregs(t, 8, 0x10, true);
    int64_t best = G_MAXINT64;

    s.cr0 |= CR0_PG;
    s.cr3 = AT_PML4;
    s.cr4 = CR4_PAE;
    s.efer = EFER_LMA | EFER_LME;
    fill_memory(t, true);
    PUT_CODE(t, AT_CODE, "\xb9\xe8\x03\x00\x00\xff\xc9\x75\xfc\xe6\x30");
    for (unsigned i = 0; i < 2; i++) { /* mov $1000, %ecx; 1: dec %ecx; jnz 1b; out */
        int64_t begin = clock_ns(CLOCK_REAL);
        if (!trial_run(t, &s, 0)) {
            return false;
        }
        best = MIN(best, clock_ns(CLOCK_REAL) - begin);
    }
    return best > 2000 * SLOW_NS;
}

unsigned kvm_try_out(int kvm_fd, struct kvm_cpuid2 *supported)
{
    static const char *const names[] = {"SYSCALL", "INT", "shadow-paging", "paging32", "v86",
                                        "speed"};
    Trial t = {.fd = -1, .vm_fd = -1, .run = MAP_FAILED, .memory = MAP_FAILED};
    g_autoptr(GString) failed = g_string_new(NULL);
    unsigned flaws = 0;

    if (trial_begin(&t, kvm_fd, supported)) {
        flaws = (trial_entry(&t, "\x0f\x05") ? KVM_FLAW_SYSCALL : 0) |
                (trial_entry(&t, "\xcd\x80") ? KVM_FLAW_INT : 0) |
                (trial_shadow(&t) ? KVM_FLAW_SHADOW : 0) |
                (trial_paging32(&t) ? KVM_FLAW_PAGING32 : 0) |
                (trial_v86(&t) ? KVM_FLAW_V86 : 0) |
                (trial_slow(&t) ? KVM_FLAW_SLOW : 0);
    }
    trial_end(&t);
    for (unsigned i = 0; i < G_N_ELEMENTS(names); i++) {
        if (flaws >> i & 1) {
            g_string_append_printf(failed, " %s", names[i]);
        }
    }
    if (flaws) {
        log_write(LOG_ACCEL, "kvm: failed the trials of%s; our interpreter makes up for it",
                  failed->str);
    }
    return flaws;
}
