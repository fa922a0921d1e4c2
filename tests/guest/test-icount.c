/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Run with -icount shift=0 and a TSC of 1 GHz: RDTSC is the number of the instruction, itself
 * included, and a deadline is a number of instructions. Whatever code runs, and wherever blocks
 * begin in it, an interrupt comes between the same two instructions.
 */
#include "lib64.h"

enum { VECTOR = 0x50, APIC_BASE = 0x1b, X2APIC_SVR = 0x80f, X2APIC_EOI = 0x80b };
enum { X2APIC_LVT_TIMER = 0x832, TSC_DEADLINE = 0x6e0, DEADLINE_MODE = 2 << 17 };
/* The interrupt comes a nanosecond after the deadline, and its handler's RDTSC counts itself. */
enum { LATENCY = 2 };

volatile uint32_t arrived_low, arrived_high;

/* The first instruction tells when it came; the interrupted code goes on behind its loop. */
asm(".text\n"
    "timer_entry: rdtsc\n"
    "mov %eax, arrived_low; mov %edx, arrived_high\n"
    "mov $0x80b, %ecx; xor %eax, %eax; xor %edx, %edx; wrmsr\n"
    "mov %r15, (%rsp)\n"
    "andq $~0x200, 16(%rsp)\n"
    "iretq\n");
extern char timer_entry[];

static uint64_t tsc(void)
{
    uint32_t low, high;

    asm volatile("rdtsc" : "=a"(low), "=d"(high));
    return low | (uint64_t)high << 32;
}

static uint64_t arrived(void)
{
    return arrived_low | (uint64_t)arrived_high << 32;
}

#define SPIN(body)                                                                                 \
    asm volatile("lea 2f(%%rip), %%r15; sti\n1: " body "\n jmp 1b\n2:"                             \
                 : : : "rax", "rbx", "rcx", "rdx", "r15", "rdi", "memory", "cc")

/* Starts the timer for @after instructions from now; returns the deadline. */
static uint64_t arm(uint64_t after)
{
    uint64_t deadline = tsc() + after;

    write_msr(TSC_DEADLINE, deadline);
    return deadline;
}

#define CHECK_DEADLINE(name, after, body)                                                          \
    do {                                                                                           \
        uint64_t deadline_ = arm(after);                                                           \
        SPIN(body);                                                                                \
        check(name, arrived() - deadline_, LATENCY);                                               \
    } while (0)

static void test_counting(void)
{
    uint32_t first, second;

    asm volatile("rdtsc; mov %%eax, %0; rdtsc; sub %0, %%eax" : "=&r"(first), "=&a"(second)
                 : : "edx");
    check("two-apart", second, 2);
    asm volatile("rdtsc; mov %%eax, %0; .fill 1000, 1, 0x90; rdtsc; sub %0, %%eax"
                 : "=&r"(first), "=&a"(second) : : "edx");
    check("a-thousand-apart", second, 1002);
    asm volatile("mov $100, %%ecx; rdtsc; mov %%eax, %0; 1: dec %%ecx; jnz 1b; rdtsc; sub %0, %%eax"
                 : "=&r"(first), "=&a"(second) : : "edx", "ecx");
    check("a-loop", second, 202);
    asm volatile("rdtsc; mov %%eax, %0; ud2; rdtsc; sub %0, %%eax" /* skipped by the hook */
                 : "=&r"(first), "=&a"(second) : : "edx");
    check("a-fault-costs", second > 3, 1);
}

static int skip_ud2(Frame *frame)
{
    if (frame->vector == 6) {
        frame->rip += 2;
        return 1;
    }
    return 0;
}

static void test_deadlines(void)
{
    CHECK_DEADLINE("loop", 1000, "nop");
    CHECK_DEADLINE("loop-again", 1001, "nop");
    CHECK_DEADLINE("long-block", 1000, ".fill 50, 1, 0x90");
    CHECK_DEADLINE("longer-block", 1017, ".fill 63, 1, 0x90");
    CHECK_DEADLINE("port", 2000, "in $0x80, %%al; nop");
    CHECK_DEADLINE("device", 2000, "mov $0x400fee00, %%eax; in $0x61, %%al");
    CHECK_DEADLINE("serializing", 5000, "xor %%eax, %%eax; cpuid");
    CHECK_DEADLINE("other-timers", 3000, "mov $0x34, %%al; out %%al, $0x43; mov $9, %%al;"
                                         "out %%al, $0x40; out %%al, $0x40");
    CHECK_DEADLINE("halted", 1000000000, "hlt");
    CHECK_DEADLINE("far", 3000000, "dec %%ecx");
}

/* One that is over when it is set comes before the next instruction. */
static void test_past(void)
{
    uint64_t deadline = tsc() - 5;
    uint32_t low = deadline, high = deadline >> 32, at;

    asm volatile("lea 2f(%%rip), %%r15; sti; nop; rdtsc; mov %%eax, %%edi; mov %[low], %%eax;"
                 "mov %[high], %%edx; mov $0x6e0, %%ecx; wrmsr\n1: jmp 1b\n2:"
                 : "=&D"(at) : [low] "r"(low), [high] "r"(high)
                 : "rax", "rbx", "rcx", "rdx", "r15", "memory", "cc");
    /* Four MOVs, the WRMSR, the handler's RDTSC. */
    check("past", (uint32_t)arrived() - at, 4 + 1 + 1);
}

void main(void);
void main(void)
{
    write_msr(APIC_BASE, read_msr(APIC_BASE) | 3 << 10);
    write_msr(X2APIC_SVR, 0x1ff);
    write_msr(X2APIC_LVT_TIMER, DEADLINE_MODE | VECTOR);
    outb(0x21, 0xff);
    outb(0xa1, 0xff);
    idt[VECTOR] = gate(SEL_CODE, (uint64_t)timer_entry, 0x8e, 0);
    trap_hook = skip_ud2;
    test_counting();
    test_deadlines();
    test_past();
}
