/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A hostile guest outside long mode, as hostile64.c is one in it: soup runs in real mode, in
 * virtual-8086 mode, and as 16- and 32-bit protected-mode code of privilege 0 and 3, in segments of
 * every kind, with paging and without. NMIs and double faults come by task gates, which need no
 * stack of those that they end.
 */
#include "lib32.h"
#include "soup.h"

#define ARENA    0x400000u  /* of soup with 32-bit addresses: 1 MiB is used */
#define LOW      0x12000u   /* of soup in the segment 1000h */
#define LOW_SIZE 0xd000u
#define WINDOW   0x40000000u /* where pages come and go */
#define APIC     0xfee00000u
#define IOAPIC   0xfec00000u
#define TABLES   0x100000u  /* page directory, then three page tables */

enum {
    TIMER_VECTOR = 0x50, STUCK = 200, SEL_TSS_FAULT = 0x80, SEL_TSS_NMI = 0x88,
    SEL_RANDOM = 0x90, RANDOM_COUNT = 16, SEL_UCODE16 = 0x113, CMOS_SAVED = 0x40, CMOS_MAGIC = 0x48,
    FL_VM = 0x20000,
};

/* test_hostile.py writes the seed behind the mark. */
const volatile struct {
    char mark[8];
    uint64_t seed;
} parameters = {"hostile", 1};

static uint64_t numbers;
static unsigned resumes, ticks, stuck, rounds, inside, counts[256];
static Tss fault_task, nmi_task;
static uint8_t stacks[4][4096] __attribute__((aligned(16), used));
extern char text16_load[], text16_start[], text16_end[], _start[];
extern char hostile_fault[], hostile_nmi[], real_stubs[];
void hostile_enter(Frame *frame) __attribute__((noreturn));
void hostile_restart(void) __attribute__((noreturn));
void hostile_round(void) __attribute__((noreturn));
uint32_t hostile_goes_on(void);

asm(".text\n"
    "hostile_enter: mov 4(%esp), %esp; pop %gs; pop %fs; pop %es; pop %ds; popal\n"
    "add $8, %esp; iret\n"
    /* On a stack of its own, as what it is called on may be soup; NMIs are let in again. */
    "hostile_restart: mov $0x10, %eax; mov %eax, %ss; mov %eax, %ds; mov %eax, %es\n"
    "mov $stacks + 4096, %esp; push $2; push $8; push $1f; iret\n"
    "1: call hostile_round\n"
    "hostile_fault: jmp hostile_restart\n"
    "hostile_nmi: call hostile_goes_on; test %eax, %eax; jz hostile_restart\n"
    "iret; jmp hostile_nmi\n");

static unsigned below(unsigned limit)
{
    return soup_below(&numbers, limit);
}

static volatile uint32_t *apic(unsigned reg)
{
    return (volatile uint32_t *)(APIC + reg);
}

/* --- what soup may have changed, made good again ----------------------------------------- */

static void set_task(Tss *task, char *entry, unsigned stack, unsigned selector)
{
    *task = (Tss){.cr3 = TABLES, .eip = (uint32_t)entry, .eflags = 2,
                  .esp = (uint32_t)stacks[stack] + 4096, .ss0 = SEL_DATA,
                  .es = SEL_DATA, .cs = SEL_CODE, .ss = SEL_DATA, .ds = SEL_DATA,
                  .iomap = sizeof(Tss)};
    task->esp0 = task->esp;
    gdt[selector / 8] = segment((uint32_t)task, sizeof(Tss) - 1, 0x89, 0);
}

/* Data and code of every type, at any base and limit. */
static void set_random_segments(void)
{
    for (unsigned i = 0; i < RANDOM_COUNT; i++) {
        uint32_t base = below(4) ? below(2) ? ARENA : 0x10000 : (uint32_t)soup_random(&numbers);

        gdt[SEL_RANDOM / 8 + i] = segment(base + below(4096), below(0x100000),
                                          (below(8) ? 0x90 : 0x10) | below(4) << 5 | below(16),
                                          below(16) & ~2u);
    }
    gdt[SEL_UCODE16 / 8] = segment(0x10000, 0xffff, 0xfb, 0);
}

static void load_tables(void)
{
    gdt_reset();
    idt_reset();
    set_random_segments();
    set_task(&fault_task, hostile_fault, 1, SEL_TSS_FAULT);
    set_task(&nmi_task, hostile_nmi, 2, SEL_TSS_NMI);
    idt[8] = gate(SEL_TSS_FAULT, 0, 0x85, 0);
    idt[2] = gate(SEL_TSS_NMI, 0, 0x85, 0);
    tss.ss0 = SEL_DATA;
    tss.esp0 = (uint32_t)stacks[3] + 4096;
    tss.cr3 = TABLES;
    asm volatile("lldt %w0; ltr %w1" : : "r"(0), "r"(SEL_TSS));
    for (unsigned i = 0; i < 256; i++) {
        ((volatile uint32_t *)0)[i] = 0x10000000 | ((uint32_t)real_stubs + i * 8);
    }
    memcpy(text16_start + 0x10000, text16_load, text16_end - text16_start);
}

/* 4 MiB pages one to one, but for the lowest, which users may see in part, and the window. */
static void set_pages(void)
{
    volatile uint32_t *directory = (volatile uint32_t *)TABLES;

    for (unsigned i = 0; i < 16; i++) {
        directory[i] = i * 0x400000 | 0x87;
    }
    directory[0] = (TABLES + 4096) | 7;
    directory[WINDOW >> 22] = (TABLES + 8192) | 7;
    directory[APIC >> 22] = (APIC & 0xffc00000) | 0x83;
    for (unsigned i = 0; i < 1024; i++) {
        ((volatile uint32_t *)(TABLES + 4096))[i] = i * 4096 | (i >= 16 && i < 32 ? 7 : 3);
    }
}

static void flip_pages(void)
{
    static const uint32_t special[] = {TABLES + 8192, 0xb8000, 0xe0000, 0xf0000, APIC, IOAPIC,
                                       0x7f000000, 0x3fff000};
    volatile uint32_t *table = (volatile uint32_t *)(TABLES + 8192);

    for (unsigned n = below(12); n > 0; n--) {
        unsigned page = below(256);
        uint32_t entry = below(24) ? ARENA + below(64) * 4096 : special[below(ARRAY_SIZE(special))];

        table[page] = entry | (below(0x200) & 0x178) | (below(6) ? 1 : 0) | (below(4) ? 2 : 0) |
                      (below(3) ? 4 : 0);
        asm volatile("invlpg (%0)" : : "r"(WINDOW + page * 4096) : "memory");
    }
}

static void set_control(void)
{
    asm volatile("mov %0, %%dr7" : : "r"(0x400));
    write_cr0(0x11);
    write_cr4(0);
    set_pages();
    flip_pages();
    write_cr3(TABLES);
    write_cr4(0x10 | (below(4) ? 0x600 : 0) | (below(0x100) & 0x8f));
    write_cr0(0x31 | below(2) << 16 | below(2) << 18 | (below(4) ? 0 : below(8) << 1) |
              (below(2) ? 0x80000000u : 0));
    if (!below(16)) {
        asm volatile("mov %0, %%dr0" : : "r"(LOW + below(LOW_SIZE)));
        asm volatile("mov %0, %%dr1" : : "r"(ARENA + below(0x40000)));
        asm volatile("mov %0, %%dr7" : : "r"(0x40f | below(256) << 16));
    }
}

static void set_timers(void)
{
    volatile uint32_t *select = (volatile uint32_t *)IOAPIC;

    outb(0x21, 0xff);
    outb(0xa1, 0xff);
    *apic(0xf0) = 0x1ff;
    *apic(0x3e0) = 0xb;
    *apic(0x320) = 0x20000 | TIMER_VECTOR;
    *apic(0x380) = 20000 + below(1u << (10 + below(11)));
    outb(0x43, 0x34);
    outb(0x40, 0x2e);
    outb(0x40, 0x17); /* 201 Hz */
    select[0] = 0x15;
    select[4] = 0;
    select[0] = 0x14;
    select[4] = 0x400; /* NMI, edge */
}

/* --- a round -------------------------------------------------------------------------------- */

static uint32_t random_value(void)
{
    switch (below(8)) {
    case 0: case 1: return 0x1000 + below(300); /* beyond .text16 and the vectors, mostly */
    case 2: case 3: return ARENA + below(0x40000);
    case 4: return WINDOW + below(0x100000);
    case 5: return 0u - below(300);
    case 6: return 0x2000 + below(LOW_SIZE);
    default: return (uint32_t)soup_random(&numbers);
    }
}

static uint32_t random_flags(void)
{
    return 2 | ((uint32_t)soup_random(&numbers) & 0x257cd5) | (below(8) ? 0x200 : 0);
}

static void set_registers(Frame *frame)
{
    uint32_t *regs = &frame->edi;

    for (unsigned i = 0; i < 8; i++) {
        regs[i] = random_value();
    }
    frame->ecx = below(3) ? below(200) : frame->ecx;
    frame->eflags = random_flags();
    frame->eflags &= below(4) ? ~0x4100u : ~0u;
    frame->ds = frame->es = frame->fs = frame->gs = SEL_DATA;
    frame->esp3 = random_value();
    for (unsigned i = 0; i < 4; i++) {
        (&frame->es86)[i] = below(32) ? 0x1000 : below(0x10000);
    }
}

/* Selectors that are bad end in an exception of this very code, and another round. */
static void set_selectors(Frame *frame, uint16_t data)
{
    frame->ds = frame->es = frame->fs = frame->gs = data;
    if (below(2)) {
        (&frame->gs)[below(4)] = (SEL_RANDOM + below(RANDOM_COUNT) * 8) | (data & 3);
    }
}

static void save_random(void)
{
    for (unsigned i = 0; i < 8; i++) {
        outb(0x70, CMOS_SAVED + i);
        outb(0x71, numbers >> 8 * i);
    }
    outb(0x70, CMOS_MAGIC);
    outb(0x71, 0x5a);
}

static __attribute__((noreturn)) void run_real(void)
{
    volatile uint32_t *regs = &REAL_REGS->eax;

    write_cr0(0x11);
    for (unsigned i = 0; i < 7; i++) {
        regs[i] = random_value();
    }
    REAL_REGS->eflags = random_flags() & ~0x4100u;
    REAL_REGS->ds = 0x1000;
    REAL_REGS->es = below(32) ? 0x1000 : below(0x10000);
    real_call(0x2000 + below(LOW_SIZE));
    counts[REAL_REGS->vector & 255]++;
    hostile_restart();
}

/* Privilege 0 has its stack anywhere, and the frame on it. */
static __attribute__((noreturn)) void enter_at_0(Frame *frame)
{
    Frame *at = (Frame *)(ARENA + 0x1000 + (below(0x40000) & ~3u));

    *at = *frame;
    hostile_enter(at);
}

static void enter(void)
{
    Frame frame;

    set_registers(&frame);
    switch (below(6)) {
    case 0:
        run_real();
    case 1:
        frame.cs = SEL_CODE;
        set_selectors(&frame, SEL_DATA);
        frame.eip = below(2) ? ARENA + below(0x40000) : WINDOW + below(0x100000);
        enter_at_0(&frame);
    case 2:
        frame.cs = SEL_CODE16;
        frame.eip = 0x2000 + below(LOW_SIZE);
        set_selectors(&frame, SEL_DATA);
        enter_at_0(&frame);
    case 3:
        frame.cs = SEL_UCODE;
        frame.ss3 = SEL_UDATA;
        set_selectors(&frame, SEL_UDATA);
        frame.eip = below(2) ? ARENA + below(0x40000) : WINDOW + below(0x100000);
        break;
    case 4:
        frame.cs = SEL_UCODE16;
        frame.ss3 = SEL_UDATA;
        set_selectors(&frame, SEL_UDATA);
        frame.eip = 0x2000 + below(LOW_SIZE);
        break;
    default:
        frame.cs = 0x1000;
        frame.ss3 = 0x1000;
        frame.eip = 0x2000 + below(LOW_SIZE);
        frame.eflags |= FL_VM;
        break;
    }
    hostile_enter(&frame);
}

void hostile_round(void)
{
    load_tables();
    set_control();
    *apic(0xb0) = 0;
    soup_fill(&numbers, (uint8_t *)ARENA + below(0x3f000), 64 + below(3000));
    soup_fill(&numbers, (uint8_t *)LOW + below(LOW_SIZE - 3100), 64 + below(3000));
    resumes = below(2) ? below(8) : below(100);
    ticks = 1 + below(4);
    stuck = 0;
    rounds++;
    if (rounds % 8 == 0) {
        outb(0xe9, '.');
        save_random();
    }
    if (rounds % 2048 == 0) {
        put_string("[rounds ");
        put_hex(rounds);
        put_string(" inside ");
        put_hex(inside);
        for (unsigned i = 0; i < 256; i++) {
            if (counts[i]) {
                put_string(" ");
                put_hex(i);
                put_string(":");
                put_hex(counts[i]);
            }
        }
        put_string("]\n");
    }
    if (rounds % 8 == 1) {
        set_timers();
    }
    enter();
    __builtin_unreachable();
}

static int is_inside(uint32_t cs, uint32_t eip, uint32_t eflags)
{
    return cs == SEL_CODE && !(eflags & FL_VM) && eip >= (uint32_t)_start && eip < 0x40000;
}

/* Whether what the NMI interrupted goes on. */
uint32_t hostile_goes_on(void)
{
    counts[2]++;
    if (is_inside(tss.cs, tss.eip, tss.eflags)) {
        return ++stuck < STUCK;
    }
    return ticks && ticks--;
}

/* @frame is where it seems to be only if soup left a flat stack segment. */
static int hostile_hook(Frame *frame)
{
    uint16_t ss;

    asm volatile("mov %%ss, %0" : "=r"(ss));
    if (ss != SEL_DATA) {
        hostile_restart();
    }
    if (frame->vector == TIMER_VECTOR) {
        *apic(0xb0) = 0;
    }
    counts[frame->vector & 255]++;
    if (is_inside(frame->cs, frame->eip, frame->eflags)) {
        if (frame->vector == TIMER_VECTOR) {
            return 1;
        }
        inside++;
        hostile_restart();
    }
    if (frame->vector == TIMER_VECTOR && ticks) {
        ticks--;
        return 1;
    }
    if (!resumes) {
        hostile_restart();
    }
    resumes--;
    frame->eip += below(4) ? 1 + below(6) : below(4096) - 2048;
    (&frame->edi)[below(8)] = random_value();
    frame->eflags &= ~0x10100u;
    return 1;
}

void main(void);
void main(void)
{
    numbers = parameters.seed * 0x9e3779b97f4a7c15ull + 0x1234567;
    outb(0x70, CMOS_MAGIC);
    if (inb(0x71) == 0x5a) {
        numbers = 0;
        for (unsigned i = 0; i < 8; i++) {
            outb(0x70, CMOS_SAVED + i);
            numbers |= (uint64_t)inb(0x71) << 8 * i;
        }
    }
    soup_random(&numbers);
    save_random();
    trap_hook = hostile_hook;
    put_string("[begin ");
    put_hex(numbers);
    put_string("]\n");
    hostile_restart();
}
