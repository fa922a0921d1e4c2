/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the KVM of this host itself gets wrong: a few instructions each on a machine of RAM alone,
 * by ioctls, with nothing of ours in between. Prints the names of those that go wrong where no exit
 * would let an emulator step in. Exit status 77 where there is no KVM.
 */
#include <fcntl.h>
#include <linux/kvm.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

enum {
    MEMORY_SIZE = 0x400000,
    AT_GDT = 0x1000, AT_IDT = 0x2000, AT_TSS = 0x3000, AT_TASK = 0x3100, AT_PML4 = 0x4000,
    AT_PDPT = 0x5000, AT_PD = 0x6000, AT_PT = 0x7000, AT_PDPT32 = 0x8000, AT_STACK = 0xa000,
    AT_CODE = 0x10000, AT_TASK_CODE = 0x11000, AT_STUBS = 0x12000, AT_DATA = 0x20000,
    AT_EDGE = 0x21ff8, /* the page behind is not there */
    AT_SPLIT = 0x23ffe, SPLIT_TURNS = 100000,
    PORT_TRAP = 0x20, PORT_DONE = 0x21,
    CODE = 8, DATA = 0x10, TASK = 0x20, TSS = 0x30,
    DONE = 256, /* beside the vectors */
};

#define OUT_DONE "\n out %al, $0x21\n"
#define SNIPPET(bits, name, text)                                                                  \
    extern const char name[], name##_end[];                                                        \
    __asm__(".pushsection .rodata\n.code" #bits "\n" #name ":" text OUT_DONE #name                 \
            "_end:\n.code64\n.popsection")

SNIPPET(32, code_ud2, "ud2");
SNIPPET(32, code_div, "xor %ecx, %ecx; div %ecx");
SNIPPET(32, code_watch, "mov $0x20000, %eax; mov %eax, %dr0; mov $0xd0401, %eax; mov %eax, %dr7;"
                        "movl $1, 0x20000; nop");
SNIPPET(32, code_paging, "mov $0x8000, %eax; mov %eax, %cr3; mov $0x20, %eax; mov %eax, %cr4;"
                         "mov %cr0, %eax; or $0x80000000, %eax; mov %eax, %cr0");
#define SET_TF "pushf; orb $1, 1(%esp); popf;"
SNIPPET(32, code_step_rep, "mov $0x20000, %edi; mov $3, %ecx;" SET_TF "rep stosb");
SNIPPET(32, code_step_ss, "mov %ss, %eax;" SET_TF "mov %eax, %ss; nop; nop");
SNIPPET(64, code_iret, "pushq $0x10; pushq $0x9000; pushq $2; pushq $0x10; pushq $0x11000; iretq");
SNIPPET(64, code_fxsave, "mov $0x20008, %eax; fxsave (%rax)");
SNIPPET(64, code_cpuid, "mov $7, %eax; xor %ecx, %ecx; cpuid; cmp $1, %ebx; je 1f; ud2; 1:");
SNIPPET(64, code_sysret, "mov $0x3002, %r11d; mov $0x11000, %ecx; sysretq");
SNIPPET(64, code_sysretl, "mov $2, %r11d; mov $0x11000, %ecx; sysretl");
SNIPPET(64, code_split, "mov $100000, %ecx; 1: lock incl 0x23ffe; dec %ecx; jnz 1b");
SNIPPET(64, code_edge, "movabs $0x1122334455667788, %rax; mov %rax, 0x21ffc");

typedef struct Machine {
    int vm, cpu;
    struct kvm_run *run;
    uint8_t *memory;
} Machine;

static void put64(Machine *m, uint64_t at, uint64_t value)
{
    memcpy(m->memory + at, &value, 8);
}

static void put32(Machine *m, uint64_t at, uint32_t value)
{
    memcpy(m->memory + at, &value, 4);
}

/* --- what makes a case special ------------------------------------------------------------- */

static bool wide;

static void gate(Machine *m, unsigned vector, uint16_t selector, uint64_t to, uint64_t type)
{
    put64(m, AT_IDT + vector * (wide ? 16 : 8),
          (to & 0xffff) | (uint64_t)selector << 16 | type << 40 | to >> 16 << 48);
}

static void bad_ud_gate(Machine *m)
{
    gate(m, 6, DATA, AT_STUBS, 0x8e);
}

static void bad_de_and_gp_gates(Machine *m)
{
    gate(m, 0, DATA, AT_STUBS, 0x8e);
    gate(m, 13, DATA, AT_STUBS, 0x8e);
}

/* #UD switches to a task whose code says that it is done. */
static void task_gate(Machine *m)
{
    static const struct { unsigned at; uint32_t value; } fields[] = {
        {32, AT_TASK_CODE}, {36, 2}, {56, AT_STACK - 0x800}, {72, DATA}, {76, CODE}, {80, DATA},
        {84, DATA}, {88, DATA}, {92, DATA}, {100, 0x680000},
    };

    for (unsigned i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
        put32(m, AT_TASK + fields[i].at, fields[i].value);
    }
    gate(m, 6, TASK, 0, 0x85);
}

static bool edge_untouched(Machine *m)
{
    uint32_t value;

    memcpy(&value, m->memory + 0x21ffc, 4);
    return value == 0;
}

/* SYSRET to a HLT of the user's, whose #GP shows the flags. */
static void user_hlt(Machine *m)
{
    for (unsigned i = 0; i < 512; i++) {
        put64(m, AT_PT + i * 8, i << 12 | 7);
    }
    put64(m, AT_PD, AT_PT | 7);
    put64(m, AT_PDPT, AT_PD | 7);
    put64(m, AT_PML4, AT_PDPT | 7);
    put64(m, AT_TSS + 4, AT_STACK);
    m->memory[AT_TASK_CODE] = 0xf4;
}

static bool iopl_kept(Machine *m)
{
    return (m->memory[AT_STACK - 24 + 1] & 0x30) == 0x30;
}

/* With a STAR of 0, SYSRET to 32-bit code loads 3 into CS; the frame's is looked at. */
static bool compat_segment(Machine *m)
{
    return m->memory[AT_STACK - 32] == 3;
}

/* Stopped at the #DB of the first iteration. */
static bool one_iteration(Machine *m)
{
    struct kvm_regs regs;

    return ioctl(m->cpu, KVM_GET_REGS, &regs) >= 0 && regs.rcx == 2;
}

/* Not stopped behind MOV SS, but behind what follows (SDM 3B, 17.3.1.1). */
static bool step_inhibited(Machine *m)
{
    uint32_t eip;

    memcpy(&eip, m->memory + AT_STACK - 12, 4);
    return eip == AT_CODE + (code_step_ss_end - code_step_ss) - 3;
}

static const struct {
    const char *name, *code, *end;
    bool wide;
    int want; /* vector, or DONE */
    void (*prepare)(Machine *m);
    bool (*check)(Machine *m);
} cases[] = {
    {"gate-checks", code_ud2, code_ud2_end, false, 13, bad_ud_gate, NULL},
    {"task-gates", code_ud2, code_ud2_end, false, DONE, task_gate, NULL},
    {"double-faults", code_div, code_div_end, false, 8, bad_de_and_gp_gates, NULL},
    {"data-breakpoints", code_watch, code_watch_end, false, 1, NULL, NULL},
    {"step-rep", code_step_rep, code_step_rep_end, false, 1, NULL, one_iteration},
    {"step-mov-ss", code_step_ss, code_step_ss_end, false, 1, NULL, step_inhibited},
    {"paging32", code_paging, code_paging_end, false, DONE, NULL, NULL},
    {"iret-checks", code_iret, code_iret_end, true, 13, NULL, NULL},
    {"fxsave-alignment", code_fxsave, code_fxsave_end, true, 13, NULL, NULL},
    {"cpuid", code_cpuid, code_cpuid_end, true, DONE, NULL, NULL},
    {"user-iopl", code_sysret, code_sysret_end, true, 13, user_hlt, iopl_kept},
    {"sysret-compat", code_sysretl, code_sysretl_end, true, 13, user_hlt, compat_segment},
    {"page-crossing", code_edge, code_edge_end, true, 14, NULL, edge_untouched},
};

/* --- the machine ------------------------------------------------------------------------------ */

static void fill(Machine *m)
{
    const uint64_t gdt[] = {
        0, wide ? 0x00af9b000000ffff : 0x00cf9b000000ffff, 0x00cf93000000ffff, 0,
        0x0000890000000067 | (uint64_t)AT_TASK << 16, 0, 0x0000890000000067 | AT_TSS << 16, 0};

    memset(m->memory, 0, MEMORY_SIZE);
    memcpy(m->memory + AT_GDT, gdt, sizeof(gdt));
    put64(m, AT_PML4, AT_PDPT | 3);
    put64(m, AT_PDPT, AT_PD | 3);
    put64(m, AT_PDPT32, AT_PD | 1);
    put64(m, AT_PD, AT_PT | 3);
    for (unsigned i = 0; i < 512; i++) {
        put64(m, AT_PT + i * 8, i == (AT_EDGE >> 12) + 1 ? 0 : i << 12 | 3);
    }
    for (unsigned i = 0; i < 32; i++) {
        uint8_t stub[] = {0xba, i, 0, 0, 0, 0xe6, PORT_TRAP}; /* mov $i, %edx; out %al, $port */
        memcpy(m->memory + AT_STUBS + i * 16, stub, sizeof(stub));
        gate(m, i, CODE, AT_STUBS + i * 16, 0x8e);
    }
    memcpy(m->memory + AT_TASK_CODE, (uint8_t[]){0xe6, PORT_DONE}, 2);
}

static struct kvm_segment flat(uint16_t selector, uint8_t type, bool l)
{
    return (struct kvm_segment){.limit = UINT32_MAX, .selector = selector, .type = type,
                                .present = 1, .s = 1, .l = l, .db = !l, .g = 1};
}

static bool set_registers(Machine *m)
{
    struct kvm_regs regs = {.rip = AT_CODE, .rsp = AT_STACK, .rflags = 2};
    struct kvm_sregs s;

    if (ioctl(m->cpu, KVM_GET_SREGS, &s) < 0) {
        return false;
    }
    s.cs = flat(CODE, 0xb, wide);
    s.ds = s.es = s.fs = s.gs = s.ss = flat(DATA, 3, false);
    s.tr = (struct kvm_segment){.base = AT_TSS, .limit = 0x67, .selector = TSS, .type = 0xb,
                                .present = 1};
    s.gdt.base = AT_GDT;
    s.gdt.limit = 0x3f;
    s.idt.base = AT_IDT;
    s.idt.limit = 0xfff;
    s.cr0 = wide ? 0x80010031 : 0x31;
    s.cr3 = wide ? AT_PML4 : 0;
    s.cr4 = wide ? 0x220 : 0;
    s.efer = wide ? 0x501 : 0;
    return ioctl(m->cpu, KVM_SET_SREGS, &s) >= 0 && ioctl(m->cpu, KVM_SET_REGS, &regs) >= 0;
}

/* CPU @number, into @m. */
static bool add_cpu(Machine *m, int kvm, unsigned long number)
{
    static struct { struct kvm_cpuid2 head; struct kvm_cpuid_entry2 entries[256]; } cpuid;
    int size = ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0);

    cpuid.head.nent = 256;
    m->cpu = ioctl(m->vm, KVM_CREATE_VCPU, number);
    if (m->cpu < 0 || ioctl(kvm, KVM_GET_SUPPORTED_CPUID, &cpuid) < 0) {
        return false;
    }
    for (unsigned i = 0; i < cpuid.head.nent; i++) { /* no host is like this: FSGSBASE alone */
        if (cpuid.entries[i].function == 7 && cpuid.entries[i].index == 0) {
            cpuid.entries[i].ebx = 1;
        }
    }
    if (ioctl(m->cpu, KVM_SET_CPUID2, &cpuid) < 0) {
        return false;
    }
    m->run = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, m->cpu, 0);
    return m->run != MAP_FAILED;
}

static bool machine_new(Machine *m, int kvm)
{
    struct kvm_userspace_memory_region region = {.memory_size = MEMORY_SIZE};

    m->vm = ioctl(kvm, KVM_CREATE_VM, 0);
    m->memory = mmap(NULL, MEMORY_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    region.userspace_addr = (uintptr_t)m->memory;
    return m->vm >= 0 && ioctl(m->vm, KVM_SET_USER_MEMORY_REGION, &region) >= 0 &&
           add_cpu(m, kvm, 0);
}

/* The vector that came, or DONE; -1 for an exit, by which an emulator can step in. */
static int outcome(Machine *m)
{
    struct kvm_regs regs;

    if (ioctl(m->cpu, KVM_RUN, 0) < 0 || ioctl(m->cpu, KVM_GET_REGS, &regs) < 0) {
        return -1;
    }
    switch (m->run->exit_reason) {
    case KVM_EXIT_IO: return m->run->io.port == PORT_DONE ? DONE : (int)regs.rdx;
    case KVM_EXIT_SHUTDOWN: return -2;
    default: return -1;
    }
}

/* --- two CPUs ---------------------------------------------------------------------------- */

static void *run_one(void *machine)
{
    outcome(machine);
    return NULL;
}

/* Both add to a word that crosses a page, with a lock: true if one of them lost a turn. */
static bool split_locks_fail(int kvm)
{
    Machine m, other;
    pthread_t thread;
    uint32_t sum;
    bool ended;

    wide = true;
    if (!machine_new(&m, kvm)) {
        return false;
    }
    other = m;
    if (!add_cpu(&other, kvm, 1)) {
        return false;
    }
    fill(&m);
    memcpy(m.memory + AT_CODE, code_split, code_split_end - code_split);
    if (!set_registers(&m) || !set_registers(&other) ||
        pthread_create(&thread, NULL, run_one, &other)) {
        return false;
    }
    ended = outcome(&m) == DONE;
    pthread_join(thread, NULL);
    memcpy(&sum, m.memory + AT_SPLIT, 4);
    return ended && other.run->exit_reason == KVM_EXIT_IO && sum != 2 * SPLIT_TURNS;
}

int main(void)
{
    int kvm = open("/dev/kvm", O_RDWR);

    if (kvm < 0) {
        return 77;
    }
    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        Machine m;
        int got;
        wide = cases[i].wide;
        if (!machine_new(&m, kvm)) {
            perror("kvm-oddities");
            return 1;
        }
        fill(&m);
        memcpy(m.memory + AT_CODE, cases[i].code, cases[i].end - cases[i].code);
        if (cases[i].prepare) {
            cases[i].prepare(&m);
        }
        got = set_registers(&m) ? outcome(&m) : -1;
        if (got != -1 && (got != cases[i].want || (cases[i].check && !cases[i].check(&m)))) {
            printf("%s %d\n", cases[i].name, got);
        }
        close(m.cpu);
        close(m.vm);
        munmap(m.memory, MEMORY_SIZE);
    }
    if (split_locks_fail(kvm)) {
        puts("split-locks");
    }
    return 0;
}
