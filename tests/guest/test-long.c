/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Long mode: IST, gates, SYSCALL, SYSENTER, compatibility mode, IRETQ, segments, MSR checks. */
#include "lib64.h"

static uint32_t features1[4], features7[4];

static void idt_limited(void)
{
    struct {
        uint16_t limit;
        uint64_t base;
    } __attribute__((packed)) idtr = {0x3ff, (uint64_t)idt};

    asm volatile("lidt %0; int $0x40" : : "m"(idtr));
}

static void test_delivery(void)
{
    uint64_t rsp;

    asm volatile("mov %%rsp, %0" : "=r"(rsp));
    check("ud2", TRAP(asm volatile("ud2")), 6);
    check("frame-aligned", (trap.handler_rsp + 22 * 8) & 15, 0);
    check("frame-ss", trap.ss, SEL_DATA);
    check("frame-cs", trap.cs, SEL_CODE);
    if (by_sdm()) {
        check("fault-rf", trap.rflags & 0x10000, 0x10000);
    }
    tss.ist[2] = 0x9e008;
    idt[6] = gate(SEL_CODE, stub_address(6), 0x8e, 3);
    check("ist", TRAP(asm volatile("ud2")), 6);
    check("ist-stack", trap.handler_rsp + 22 * 8 + (22 & 1 ? 8 : 0), 0x9e000);
    idt_reset();
    check("user-trap", USER(), 0x80);
    check("user-ss", trap.ss, SEL_UDATA);
    check("user-cs", trap.cs, SEL_UCODE);
    if (by_sdm()) {
        check_fault("int-dpl", USER(asm volatile("int $0x40")), 13, 0x40 * 8 + 2);
    }
    idt[0x40] = gate(SEL_CODE, stub_address(0x40), 0x0e, 0);
    if (by_sdm()) {
        check_fault("gate-not-present", TRAP(asm volatile("int $0x40")), 11, 0x40 * 8 + 2);
    }
    idt[0x40] = gate(SEL_CODE, stub_address(0x40), 0x85, 0);
    if (by_sdm()) {
        check_fault("gate-task", TRAP(asm volatile("int $0x40")), 13, 0x40 * 8 + 2);
    }
    idt[0x40] = gate(SEL_CODE32, stub_address(0x40), 0x8e, 0);
    check_fault("gate-code32", TRAP(asm volatile("int $0x40")), 13, SEL_CODE32);
    idt_reset();
    if (by_sdm()) {
        check_fault("idt-limit", try_call(idt_limited), 13, 0x40 * 8 + 2);
    }
    idt_reset();
}

/* The kernel side of SYSCALL: notes what it sees, then leaves as trap 0x100. */
static uint64_t sc_rcx, sc_r11, sc_rsp, sc_flags, sc_cs, sc_ss;
asm(".text\nsyscall_entry: mov %rcx, sc_rcx; mov %r11, sc_r11; mov %rsp, sc_rsp; mov try_rsp, %rsp;"
    "pushfq; pop sc_flags; mov %cs, %eax; mov %rax, sc_cs; mov %ss, %eax; mov %rax, sc_ss;"
    "mov $0x100, %eax; jmp try_leave\n");
extern char syscall_entry[];

static void test_syscall(void)
{
    write_msr(0xc0000081, (uint64_t)0x18 << 48 | (uint64_t)SEL_CODE << 32);
    write_msr(0xc0000082, (uint64_t)syscall_entry);
    write_msr(0xc0000084, 0x700);
    check("syscall", USER_FLAGS(2, asm volatile("std; syscall")), 0x100);
    check("syscall-cs", sc_cs, SEL_CODE);
    check("syscall-ss", sc_ss, SEL_DATA);
    check("syscall-r11-df", sc_r11 & 0x402, 0x402);
    check("syscall-fmask", sc_flags & 0x700, 0);
    check("syscall-rcx-user", sc_rcx >> 31, 1);
    check("syscall-rsp-user", sc_rsp >> 31, 1);
    /* SYSRET to a user routine that traps at once. */
    void user_tail(void) { asm volatile("int $0x80"); }
    check("sysret",
          TRAP(asm volatile("mov $0x3202, %%r11d; mov %%rsp, tss + 4; sysretq"
                            :
                            : "c"((uint64_t)user_tail + USER_BASE)
                            : "r11", "memory")),
          0x80);
    check("sysret-cs", trap.cs, SEL_UCODE);
    check("sysret-ss", trap.ss, SEL_UDATA);
    check("sysret-flags", trap.rflags & 0x3200, 0x3200);
    check("sysretl",
          TRAP(asm volatile("mov $0x202, %%r11d; mov %%rsp, tss + 4; sysretl"
                            :
                            : "c"((uint64_t)user_tail + USER_BASE)
                            : "r11", "memory")),
          0x80);
    check("sysretl-cs", trap.cs, SEL_UCODE32);
    check_fault("sysret-user", USER(asm volatile("sysretq")), 13, 0);
    if (by_sdm()) {
        check_fault("sysret-non-canonical",
                    TRAP(asm volatile("sysretq"
                                      :
                                      : "c"(0x800000000000ull)
                                      : "r11")),
                    13, 0);
    }
    write_msr(0xc0000080, read_msr(0xc0000080) & ~1ull);
    check("syscall-disabled", USER(asm volatile("syscall" : : : "rcx", "r11")), 6);
    write_msr(0xc0000080, read_msr(0xc0000080) | 1);
}

static uint64_t se_rsp, se_cs;
asm(".text\nsysenter_entry: mov %rsp, se_rsp; mov %cs, %eax; mov %rax, se_cs; mov $0x101, %eax;"
    "jmp try_leave\n");
extern char sysenter_entry[];

static void test_sysenter(void)
{
    uint32_t vendor[4];

    cpuid(0, 0, vendor);
    if (vendor[1] == 0x68747541) { /* AMD: #UD in long mode */
        check("sysenter-amd", USER(asm volatile("sysenter")), 6);
        return;
    }
    write_msr(0x174, 0);
    check_fault("sysenter-cs0", USER(asm volatile("sysenter")), 13, 0);
    write_msr(0x174, SEL_CODE);
    write_msr(0x175, 0x9d000);
    write_msr(0x176, (uint64_t)sysenter_entry);
    check("sysenter", USER(asm volatile("sysenter")), 0x101);
    check("sysenter-rsp", se_rsp, 0x9d000);
    check("sysenter-cs", se_cs, SEL_CODE);
    void user_tail(void) { asm volatile("int $0x80"); }
    check("sysexit",
          TRAP(asm volatile("mov %%rsp, tss + 4; sysexitq"
                            :
                            : "d"((uint64_t)user_tail + USER_BASE), "c"(0x80090000ull)
                            : "memory")),
          0x80);
    check("sysexit-cs", trap.cs, SEL_CODE + 32 + 3);
    check("sysexit-rsp", trap.rsp, 0x80090000);
    check_fault("sysexit-user", USER(asm volatile("sysexitq")), 13, 0);
    check_fault("sysenter-msr-canonical", TRAP(write_msr(0x176, 0x800000000000ull)), 13, 0);
}

CODE32(c_simple,
       "mov $0x12345678, %eax; inc %eax; push %eax; mov %esp, %ebx; mov %cs, %ecx; int $0x80");
CODE32(c_ud, "syscall; int $0x80");
CODE32(c_far64, "lcall $0x2b, $0x80000000 + c_far64_target; int $0x80");
CODE32(c_load, "mov $0x70, %eax; movl (%eax), %ebx; int $0x80");
CODE32(c_rex, ".byte 0x48, 0x40; int $0x80"); /* DEC EAX; INC EAX */
CODE32(c_kernel, "mov %cs, %eax; mov %esp, %ecx; push %eax; pop %edx; lret");
asm(".text\nc_far64_target: movabs $0x1122334455667788, %rdx; lretl\n");

static void test_compat(void)
{
    check("compat", compat_call(c_simple, 2), 0x80);
    check("compat-eax", trap.rax, 0x12345679);
    check("compat-cs", trap.cs, SEL_UCODE32);
    check("compat-stack", trap.rbx, trap.rsp);
    check("compat-far-64", compat_call(c_far64, 2), 0x80);
    check("compat-far-64-rdx", trap.rdx, 0x1122334455667788);
    check("compat-rex-is-dec", compat_call(c_rex, 2), 0x80);
    if (by_sdm()) {
        uint32_t vendor[4];
        cpuid(0, 0, vendor);
        if (vendor[1] != 0x68747541) {
            check("compat-syscall-intel", compat_call(c_ud, 2), 6);
        }
    }
    uint32_t eax;
    asm volatile("mov %1, %%rdi; call compat_kernel; mov %%eax, %0" : "=r"(eax) : "r"(c_kernel)
                 : "rdi", "rax", "rcx", "rdx", "memory");
    check("compat-kernel", eax & 0xffff, SEL_CODE32);
}

static void test_iretq(void)
{
    uint64_t rsp;

    asm volatile("mov %%rsp, %%rbx; mov %%ss, %%eax; push %%rax; push %%rbx; pushfq; push $8; lea "
                 "1f(%%rip), %%rax;"
                 "push %%rax; iretq; 1: mov %%rsp, %0; mov %%rbx, %%rsp"
                 : "=r"(rsp)
                 :
                 : "rax", "rbx", "memory");
    check("iretq-same-level", rsp != 0, 1);
    check_fault("iretq-nt", TRAP(asm volatile("pushfq; orl $0x4000, (%rsp); popfq; iretq")), 13, 0);
    check_fault("iretq-null-cs",
                TRAP(asm volatile("push $0x10; push $0; push $2; push $0; push $0; iretq")), 13, 0);
    check_fault("iretq-null-ss-user",
                TRAP(asm volatile("push $0; push $0; push $2; push $0x2b; push $0; iretq")), 13, 0);
    check_fault("iretq-data-cs",
                TRAP(asm volatile("push $0x10; push $0; push $2; push $0x10; push $0; iretq")), 13,
                0x10);
    if (by_sdm()) {
        check_fault("iretq-non-canonical",
                    TRAP(asm volatile("push $0x10; push $0; push $2; push $8; movabs "
                                      "$0x800000000000, %%rax; push %%rax; iretq"
                                      :
                                      :
                                      : "rax")),
                    13, 0);
    }
    /* SS may be null at privilege 0. */
    asm volatile("mov %%rsp, %%rbx; push $0; push %%rbx; pushfq; push $8; lea 1f(%%rip), %%rax; "
                 "push %%rax; iretq;"
                 "1: mov %%ss, %%eax; mov $0x10, %%ecx; mov %%ecx, %%ss; mov %%rax, %0"
                 : "=r"(rsp)
                 :
                 : "rax", "rbx", "rcx", "memory");
    check("iretq-null-ss", rsp & 0xffff, 0);
    if (by_sdm()) {
        check("ss-rpl-mismatch", TRAP(asm volatile("mov %0, %%ss" : : "r"(3))), 13);
    }
}

static void test_segments(void)
{
    write_msr(0xc0000100, 0x123456789000);
    check("fs-base", read_msr(0xc0000100), 0x123456789000);
    if (by_sdm()) {
        check_fault("fs-base-canonical", TRAP(write_msr(0xc0000100, 0x800000000000)), 13, 0);
    }
    write_msr(0xc0000101, 0x201000);
    write_msr(0xc0000102, 0x202000);
    *(volatile uint32_t *)0x201010 = 0x11;
    *(volatile uint32_t *)0x202010 = 0x22;
    uint32_t a, b;
    asm volatile("movl %%gs:0x10, %0; swapgs; movl %%gs:0x10, %1; swapgs" : "=&r"(a), "=&r"(b));
    check("swapgs", a << 8 | b, 0x1122);
    check_fault("swapgs-user", USER(asm volatile("swapgs")), 13, 0);
    if (features7[1] & 1) {
        check("fsgsbase-off", TRAP(asm volatile("rdfsbase %%rax" : : : "rax")), 6);
        WRITE_CR(4, READ_CR(4) | 1 << 16);
        uint64_t v;
        asm volatile("rdfsbase %0" : "=r"(v));
        check("rdfsbase", v, 0x123456789000);
        asm volatile("wrgsbase %0" : : "r"(0x202000ull));
        asm volatile("movl %%gs:0x10, %0" : "=r"(a));
        check("wrgsbase", a, 0x22);
        if (by_sdm()) {
            check_fault("wrfsbase-canonical",
                        TRAP(asm volatile("wrfsbase %0"
                                          :
                                          : "r"(0x800000000000ull))),
                        13, 0);
        }
        check("wrfsbase-user", USER(asm volatile("wrfsbase %0" : : "r"(0ull))), 0x80);
        WRITE_CR(4, READ_CR(4) & ~(1ull << 16));
    } else {
        skip("FSGSBASE");
    }
    gdt[SEL_FREE / 8] = segment(0x201000, 0xf, 0x93, 4);
    asm volatile("mov %1, %%fs; movl %%fs:0x10, %0" : "=r"(a) : "r"(SEL_FREE));
    check("fs-no-limit", a, 0x11);
    asm volatile("mov %1, %%ds; movl 0x201010, %0; mov %2, %%ds"
                 : "=&r"(a)
                 : "r"(SEL_FREE), "r"(SEL_DATA));
    check("ds-no-base", a, 0x11);
    check("push-ds-ud", TRAP(asm volatile(".byte 0x1e")), 6);
    check("les-ud", TRAP(asm volatile(".byte 0xc4, 0x00")) == 6, 1);
    check("into-ud", TRAP(asm volatile(".byte 0xce")), 6);
    check("ljmp-ud", TRAP(asm volatile(".byte 0xea, 0, 0, 0, 0, 8, 0")), 6);
    check("arpl-is-movsxd", TRAP(asm volatile("movslq %%eax, %%rax" : : : "rax")), NO_TRAP);
    check("daa-ud", TRAP(asm volatile(".byte 0x27")), 6);
    if (by_sdm()) {
        check("lock-ud", TRAP(asm volatile("lock; .byte 0x89, 0x00")), 6);
    }
    check("too-long",
          TRAP(asm volatile(
              ".byte "
              "0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x90")),
          13);
    check("sti-user", USER(asm volatile("sti")), 13);
    check("umip-off-sgdt", USER(asm volatile("sub $16, %rsp; sgdt (%rsp)")), 0x80);
    if (features7[2] & 4) {
        WRITE_CR(4, READ_CR(4) | 1 << 11);
        if (by_sdm()) {
            check_fault("umip-sgdt", USER(asm volatile("sub $16, %rsp; sgdt (%rsp)")), 13, 0);
            check_fault("umip-smsw", USER(asm volatile("smsw %%eax" : : : "rax")), 13, 0);
            check_fault("umip-str", USER(asm volatile("str %%eax" : : : "rax")), 13, 0);
        }
        check("umip-kernel", TRAP(asm volatile("smsw %%eax" : : : "rax")), NO_TRAP);
        WRITE_CR(4, READ_CR(4) & ~(1ull << 11));
    }
}

/* Where KVM's signature is, no call is known (-KVM_ENOSYS), none is for users (-KVM_EPERM). */
static void check_hypercalls(void)
{
    uint32_t signature[4];
    uint64_t answer = 77, amd = 77;

    cpuid(0x40000000, 0, signature);
    if (signature[1] != 0x4b4d564b) {
        check("vmcall-ud", TRAP(asm volatile("vmcall")), 6);
        return;
    }
    check("vmcall", TRAP(asm volatile("vmcall" : "+a"(answer))), NO_TRAP);
    check("vmcall-unknown", answer, -1000ull);
    check("vmmcall", TRAP(asm volatile("vmmcall" : "+a"(amd))), NO_TRAP);
    check("vmmcall-unknown", amd, -1000ull);
}

static void test_control(void)
{
    uint64_t cr0 = READ_CR(0), cr4 = READ_CR(4);

    if (by_sdm()) {
        check_fault("cr0-pg-without-pe", TRAP(WRITE_CR(0, READ_CR(0) & ~1ull)), 13, 0);
        check_fault("cr0-nw-without-cd", TRAP(WRITE_CR(0, (READ_CR(0) & ~(3ull << 29)) | 1 << 29)),
                    13, 0);
        check_fault("cr0-high", TRAP(WRITE_CR(0, READ_CR(0) | 1ull << 32)), 13, 0);
        check_fault("cr4-reserved", TRAP(WRITE_CR(4, READ_CR(4) | 1ull << 31)), 13, 0);
        check_fault("cr4-pae-in-long-mode", TRAP(WRITE_CR(4, READ_CR(4) & ~0x20ull)), 13, 0);
        check_fault("cr3-reserved", TRAP(WRITE_CR(3, READ_CR(3) | 1ull << 60)), 13, 0);
        check_fault("cr8-reserved", TRAP(WRITE_CR(8, 16)), 13, 0);
    }
    check("cr8", TRAP(WRITE_CR(8, 5)), NO_TRAP);
    check("cr8-reads", READ_CR(8), 5);
    WRITE_CR(8, 0);
    check("cr1-ud", TRAP(asm volatile(".byte 0x0f, 0x20, 0xc8")), 6);
    check("cr0-same", READ_CR(0), cr0);
    check("cr4-same", READ_CR(4), cr4);
    if (by_sdm()) {
        check_fault("efer-reserved", TRAP(write_msr(0xc0000080, read_msr(0xc0000080) | 1ull << 40)),
                    13, 0);
        check_fault("efer-lme-paging",
                    TRAP(write_msr(0xc0000080, read_msr(0xc0000080) & ~0x100ull)), 13, 0);
    }
    check("efer-lma", read_msr(0xc0000080) & 0x500, 0x500);
    if (by_sdm()) {
        check_fault("msr-unknown", TRAP((void)read_msr(0xc0ffee)), 13, 0);
        check_fault("pat-reserved", TRAP(write_msr(0x277, 0x0007040600070402)), 13, 0);
        check_fault("mtrrcap-write", TRAP(write_msr(0xfe, 0)), 13, 0);
        check_fault("mtrr-type", TRAP(write_msr(0x2ff, 2)), 13, 0);
        check_fault("tsc-aux-high", TRAP(write_msr(0xc0000103, 1ull << 32)), 13, 0);
    }
    write_msr(0x277, 0x0007040600070106);
    check("pat", read_msr(0x277), 0x0007040600070106);
    check_fault("msr-user", USER(asm volatile("rdmsr" : : "c"(0x10) : "eax", "edx")), 13, 0);
    uint32_t aux, low;
    write_msr(0xc0000103, 0x55);
    asm volatile("rdtscp" : "=c"(aux), "=a"(low) : : "edx");
    check("rdtscp-aux", aux, 0x55);
    WRITE_CR(4, READ_CR(4) | 4);
    check_fault("rdtsc-tsd", USER(asm volatile("rdtsc" : : : "eax", "edx")), 13, 0);
    check("rdtsc-kernel", TRAP(asm volatile("rdtsc" : : : "eax", "edx")), NO_TRAP);
    WRITE_CR(4, READ_CR(4) & ~4ull);
    check("rdtsc-user", USER(asm volatile("rdtsc" : : : "eax", "edx")), 0x80);
    write_msr(0x10, 0x10000000000);
    if (by_sdm()) {
        check("tsc-write", read_msr(0x10) >> 32, 0x100);
        check_fault("rdpmc", TRAP(asm volatile("rdpmc" : : "c"(0x100) : "eax", "edx")), 13, 0);
    }
    check("clts-user", USER(asm volatile("clts")), 13);
    check("rsm-ud", TRAP(asm volatile("rsm")), 6);
    check_hypercalls();
    check("ud0", TRAP(asm volatile(".byte 0x0f, 0xff, 0xc0")), 6);
    check("ud1", TRAP(asm volatile(".byte 0x0f, 0xb9, 0xc0")), 6);
    check("cpuid-user", USER(asm volatile("cpuid" : : "a"(0), "c"(0) : "rbx", "rdx")), 0x80);
    if (features1[2] & 1 << 26) {
        check("xgetbv-off", TRAP(asm volatile("xgetbv" : : "c"(0) : "eax", "edx")), 6);
        WRITE_CR(4, READ_CR(4) | 1 << 18);
        uint32_t leaf[4];
        cpuid(1, 0, leaf);
        check("osxsave-in-cpuid", leaf[2] >> 27 & 1, 1);
        check_fault("xsetbv-0", TRAP(asm volatile("xsetbv" : : "c"(0), "a"(0), "d"(0))), 13, 0);
        check_fault("xsetbv-avx-no-sse",
                    TRAP(asm volatile("xsetbv"
                                      :
                                      : "c"(0), "a"(5), "d"(0))),
                    13, 0);
        check_fault("xsetbv-1", TRAP(asm volatile("xsetbv" : : "c"(1), "a"(1), "d"(0))), 13, 0);
        check("xsetbv", TRAP(asm volatile("xsetbv" : : "c"(0), "a"(3), "d"(0))), NO_TRAP);
        asm volatile("xgetbv" : "=a"(low) : "c"(0) : "edx");
        check("xgetbv", low, 3);
        check_fault("xsetbv-user", USER(asm volatile("xsetbv" : : "c"(0), "a"(1), "d"(0))), 13, 0);
        WRITE_CR(4, READ_CR(4) & ~(1ull << 18));
    }
}

/* #DF: a contributory exception while delivering one. */
static void test_double_fault(void)
{
    tss.ist[0] = 0x9e000;
    idt[8] = gate(SEL_CODE, stub_address(8), 0x8e, 1);
    idt[13] = gate(SEL_CODE, stub_address(13), 0x0e, 0);
    check_fault("gp-np-is-df", TRAP(asm volatile("mov %0, %%fs" : : "r"(0xfff8))), 8, 0);
    idt[14] = gate(SEL_CODE, stub_address(14), 0x0e, 0);
    idt[11] = gate(SEL_CODE, stub_address(11), 0x8e, 0);
    check_fault("pf-np-is-df",
                TRAP(asm volatile("movabs 0x7f0000000000, %%rax"
                                  :
                                  :
                                  : "rax")),
                8, 0);
    idt[6] = gate(SEL_CODE, stub_address(6), 0x0e, 0);
    if (by_sdm()) {
        check_fault("ud-np-is-np", TRAP(asm volatile("ud2")), 11, 6 * 8 + 3);
    }
    idt_reset();
    idt[8] = gate(SEL_CODE, stub_address(8), 0x8e, 1);
    idt[14] = gate(SEL_CODE, stub_address(14), 0x8e, 2);
    tss.ist[1] = 0x7e0000000000;
    check_fault("pf-pf-is-df",
                TRAP(asm volatile("movabs 0x7f0000000000, %%rax"
                                  :
                                  :
                                  : "rax")),
                8, 0);
    check("pf-pf-cr2", trap.cr2, 0x7e0000000000 - 8);
    idt_reset();
}

/* Which of several faults comes first (SDM 3A 6.9). */
static void test_priority(void)
{
    if (by_sdm()) {
        check("ud-before-gp", USER(asm volatile(".byte 0x0f, 0x20, 0xc8")), 6);
    }
    check_fault("gp-before-pf", USER(asm volatile("lgdt 0x70000000")), 13, 0);
    if (by_sdm()) {
        check("lock-before-pf", TRAP(asm volatile("lock; .byte 0x89, 0x04, 0x25, 0, 0, 0, 0xf0")),
              6);
    }
    check_fault("ss-before-pf", TRAP(asm volatile("mov %0, %%ss" : : "r"(0xfff8))), 13, 0xfff8);
}

void main(void);
void main(void)
{
    cpuid(1, 0, features1);
    cpuid(7, 0, features7);
    test_delivery();
    test_syscall();
    test_sysenter();
    test_compat();
    test_iretq();
    test_segments();
    test_control();
    test_double_fault();
    test_priority();
}
