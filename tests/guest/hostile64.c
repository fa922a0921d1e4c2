/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A hostile guest in long mode. From a seed it fills memory with instruction soup and runs it at
 * privilege 0 and 3, as 64-, 32- and 16-bit code, with random registers, control registers, page
 * tables and breakpoints, on every CPU there is. Each exception goes on elsewhere; an APIC timer
 * and, for code that has disabled interrupts, NMIs by the I/O APIC end each round, so that it goes
 * on for ever. Where soup destroys what that needs, the machine resets, by itself or from outside.
 * A byte at port 0xe9 tells of progress: "." each 8 rounds; "[" and "]" enclose text.
 *
 * Runs are much the same by the same seed, not exactly: the timer is the host's, or -icount's.
 */
#include "lib64.h"
#include "soup.h"

#define ARENA       0x400000ull  /* of soup: 4 MiB */
#define ARENA_PAGES 1024u
#define STACKS      0x180000ull  /* two for each CPU: of exceptions, of NMIs */
#define STACK_SIZE  0x8000ull
#define WINDOW      512u         /* pages at TEST_BASE whose entries change */
#define APIC        (TEST_BASE + 0x200000)
#define IOAPIC      (TEST_BASE + 0x400000)
#define TRAMPOLINE  0x8000

enum {
    MAX_CPUS = 4, TIMER_VECTOR = 0x50, STUCK = 200,
    APIC_EOI = 0xb0, APIC_SVR = 0xf0, APIC_ICR = 0x300, APIC_ICR_HIGH = 0x310, APIC_TIMER = 0x320,
    APIC_COUNT = 0x380, APIC_DIVIDE = 0x3e0,
    EFER = 0xc0000080, STAR = 0xc0000081, LSTAR = 0xc0000082, CSTAR = 0xc0000083,
    FMASK = 0xc0000084,
    SEL_UCODE16 = 0x4b, SEL_UDATA16 = 0x53, SEL_CODE16 = 0x58, SEL_DATA16 = 0x60,
    SEL_TSS_FIRST = 0x80,
    CMOS_SAVED = 0x40, CMOS_MAGIC = 0x48,
};

typedef struct Cpu {
    uint64_t random;
    unsigned resumes, ticks, stuck, rounds;
    unsigned counts[256]; /* of what ended or interrupted soup, by vector */
    unsigned inside;      /* exceptions of this very code, after soup had changed its tables */
} Cpu;

typedef struct TableRegister {
    uint16_t limit;
    uint64_t base;
} __attribute__((packed)) TableRegister;

/* test_hostile.py writes the seed behind the mark. */
const volatile struct {
    char mark[8];
    uint64_t seed;
} parameters = {"hostile", 1};

static Cpu cpus[MAX_CPUS];
static Tss tsses[MAX_CPUS];
static uint64_t cr4_bits, first;
extern char _start[], stubs[];
static volatile uint32_t started = 1;

/* The way of another CPU from a start-up message to here. */
asm(AP_START
    "ap64: mov $1, %edi; lock xadd %edi, started; mov %edi, %eax; inc %eax; shl $15, %eax\n"
    "lea 0x180000(%rax), %rsp; call hostile_cpu\n");
extern char ap_start[], ap_start_end[];
void hostile_cpu(unsigned index);

static unsigned below(Cpu *cpu, unsigned limit)
{
    return soup_below(&cpu->random, limit);
}

static volatile uint32_t *apic(unsigned reg)
{
    return (volatile uint32_t *)(APIC + reg);
}

/* --- what soup may have changed, made good again ----------------------------------------- */

static void set_tables(void)
{
    volatile uint64_t *user = (volatile uint64_t *)0x105000, *low = (volatile uint64_t *)0x102000;

    PML4E(0) = 0x101007;
    PDPTE(0) = 0x102003;
    PDPTE(1) = 0x103007;
    PDPTE(2) = 0x105007;
    TEST_PDE(0) = 0x104007;
    TEST_PDE(1) = 0xfee00000 | P | W | PS;
    TEST_PDE(2) = 0xfec00000 | P | W | PS;
    for (unsigned i = 0; i < 4; i++) {
        low[i] = i * 0x200000ull | P | W | PS;
        user[i] = i < 2 ? 0 : i * 0x200000ull | P | W | U | PS;
    }
}

static void set_gdt(unsigned index)
{
    static const uint64_t fixed[] = {
        0, 0x00af9b000000ffff, 0x00cf93000000ffff, 0x00cffb000000ffff, 0x00cff3000000ffff,
        0x00affb000000ffff, 0, 0, 0x00cf9b000000ffff,
        0x8000fb400000ffff, 0x8000f3400000ffff, 0x00009b400000ffff, 0x000093400000ffff,
    };
    Tss *own = &tsses[index];
    unsigned at = SEL_TSS_FIRST / 8 + 2 * index;

    for (unsigned i = 0; i < ARRAY_SIZE(fixed); i++) {
        gdt[i] = fixed[i];
    }
    gdt[at] = segment((uint32_t)(uint64_t)own, sizeof(*own) - 1, 0x89, 0);
    gdt[at + 1] = 0;
    own->ist[0] = STACKS + (2 * index + 1) * STACK_SIZE;
    own->ist[1] = STACKS + (2 * index + 2) * STACK_SIZE;
    own->rsp[0] = own->ist[0];
    own->iomap = sizeof(*own);
}

static void load_tables(unsigned index)
{
    TableRegister gdtr = {0x3ff, (uint64_t)gdt}, idtr = {sizeof(idt) - 1, (uint64_t)idt};

    set_gdt(index);
    for (unsigned i = 0; i < 256; i++) {
        idt[i] = gate(SEL_CODE, (uint64_t)stubs + i * 16, i % 3 ? 0x8e : 0xee,
                      i == 2 || i == 18 ? 2 : 1);
    }
    asm volatile("lgdt %0; lidt %1; lldt %w2; ltr %w3"
                 : : "m"(gdtr), "m"(idtr), "r"(0), "r"(SEL_TSS_FIRST + 16 * index) : "memory");
}

static void set_control(Cpu *cpu)
{
    uint64_t cr4 = 0x20 | (soup_random(&cpu->random) & cr4_bits);
    unsigned cr0 = 0x80010031 | below(cpu, 2) << 18;

    if (below(cpu, 4)) {
        cr4 |= 0x40600 & cr4_bits;
    }
    if (!below(cpu, 4)) {
        cr0 |= below(cpu, 8) << 1; /* MP, EM, TS */
    }
    write_msr(EFER, 0xd01);
    WRITE_CR(0, 0x80010031);
    WRITE_CR(3, 0x100000);
    WRITE_CR(4, cr4);
    WRITE_CR(0, cr0);
    if (cr4 & 1 << 17) {
        WRITE_CR(3, 0x100000 | below(cpu, 4));
    }
    if (cr4 & 1 << 18 && !below(cpu, 8)) {
        asm volatile("xsetbv" : : "a"(below(cpu, 2) ? 7 : 3), "d"(0), "c"(0));
    }
}

static void set_breakpoints(Cpu *cpu)
{
    WRITE_DR(7, 0x400);
    WRITE_DR(6, 0xffff0ff0);
    if (below(cpu, 16)) {
        return;
    }
    WRITE_DR(0, ARENA + below(cpu, ARENA_PAGES * 4096));
    WRITE_DR(1, TEST_BASE + below(cpu, WINDOW * 4096));
    WRITE_DR(7, 0x40f | (soup_random(&cpu->random) & 0x00ff0000));
}

/* The watchdogs: each CPU's timer, and NMIs to all from the PIT by the I/O APIC. */
static void set_timers(Cpu *cpu, unsigned index)
{
    volatile uint32_t *select = (volatile uint32_t *)IOAPIC;

    *apic(APIC_SVR) = 0x1ff;
    *apic(APIC_DIVIDE) = 0xb;
    *apic(APIC_TIMER) = 0x20000 | TIMER_VECTOR;
    *apic(APIC_COUNT) = 20000 + below(cpu, 1u << (10 + below(cpu, 11)));
    *apic(APIC_EOI) = 0;
    if (index != 0) {
        return;
    }
    outb(0x43, 0x34);
    outb(0x40, 0x2e);
    outb(0x40, 0x17); /* 201 Hz */
    select[0] = 0x15;
    select[4] = 0xff000000;
    select[0] = 0x14;
    select[4] = 0x400; /* NMI, edge */
}

static void set_entries(Cpu *cpu)
{
    write_msr(STAR, (uint64_t)0x18 << 48 | (uint64_t)SEL_CODE << 32);
    write_msr(LSTAR, ARENA + below(cpu, ARENA_PAGES * 4096));
    write_msr(CSTAR, ARENA + below(cpu, ARENA_PAGES * 4096));
    write_msr(FMASK, soup_random(&cpu->random) & 0x700);
    write_msr(0xc0000100, ARENA + below(cpu, 0x10000));
    write_msr(0xc0000101, TEST_BASE + below(cpu, 0x10000));
    write_msr(0xc0000102, soup_random(&cpu->random) >> 20);
}

/* --- a round -------------------------------------------------------------------------------- */

/* Pages of the window: of soup mostly, of page tables and devices sometimes. */
static void flip_pages(Cpu *cpu)
{
    static const uint64_t special[] = {0x104000, 0x104000, 0xb8000, 0xe0000, 0xf0000,
                                       0xfee00000, 0xfec00000, 0x7f000000, 0x3fff000, 0xfffc0000};

    for (unsigned n = below(cpu, 12); n > 0; n--) {
        unsigned page = below(cpu, WINDOW);
        uint64_t entry = ARENA + below(cpu, 64) * 4096ull;

        if (!below(cpu, 24)) {
            entry = special[below(cpu, ARRAY_SIZE(special))];
        }
        entry |= (soup_random(&cpu->random) & (A | D | G | 0x18)) | (below(cpu, 6) ? P : 0) |
                 (below(cpu, 4) ? W : 0) | (below(cpu, 3) ? U : 0) | (below(cpu, 8) ? 0 : NX);
        TEST_PTE(page) = entry;
        if (below(cpu, 4)) {
            asm volatile("invlpg (%0)" : : "r"(TEST_PAGE(page)) : "memory");
        }
    }
}

static uint64_t random_value(Cpu *cpu)
{
    static const uint64_t bases[] = {ARENA, ARENA, USER_BASE + ARENA, USER_BASE + ARENA, TEST_BASE,
                                     TEST_BASE};
    unsigned kind = below(cpu, 10);

    if (kind < ARRAY_SIZE(bases)) {
        return bases[kind] + below(cpu, 64 * 4096) + (below(cpu, 4) ? 0 : below(cpu, 1 << 22));
    }
    switch (kind) {
    case 6: return below(cpu, 300);
    case 7: return 0ull - below(cpu, 300);
    case 8: return 0x7fffffffff80ull + below(cpu, 256);
    default: return soup_random(&cpu->random);
    }
}

static void set_registers(Cpu *cpu, Frame *frame)
{
    uint64_t *regs = &frame->r15;

    for (unsigned i = 0; i < 15; i++) {
        regs[i] = random_value(cpu);
    }
    frame->rcx = below(cpu, 3) ? below(cpu, 200) : frame->rcx;
    frame->rflags = 2 | (soup_random(&cpu->random) & 0x277cd5) | (below(cpu, 8) ? 0x200 : 0) |
                    (below(cpu, 24) ? 0 : 0x100);
    frame->rflags &= below(cpu, 3) ? ~0x44100ull : ~0ull; /* AC, NT, TF */
}

/* Where a round begins: privilege, size of code, and by which of its addresses. */
static void set_place(Cpu *cpu, Frame *frame)
{
    static const struct {
        uint16_t cs, ss;
        uint64_t base;
        uint32_t mask;
    } places[] = {
        {SEL_CODE, SEL_DATA, ARENA, 0x3fffff}, {SEL_CODE, SEL_DATA, TEST_BASE, 0x1fffff},
        {SEL_UCODE, SEL_UDATA, USER_BASE + ARENA, 0x3fffff},
        {SEL_UCODE, SEL_UDATA, TEST_BASE, 0x1fffff},
        {SEL_UCODE32, SEL_UDATA, USER_BASE + ARENA, 0x3fffff},
        {SEL_UCODE32, SEL_UDATA, TEST_BASE, 0x1fffff},
        {SEL_CODE32, SEL_DATA, ARENA, 0x3fffff},
        {SEL_UCODE16, SEL_UDATA16, 0, 0xffff}, {SEL_CODE16, SEL_DATA16, 0, 0xffff},
    };
    unsigned n = below(cpu, ARRAY_SIZE(places));

    frame->cs = places[n].cs;
    frame->ss = places[n].ss;
    frame->rip = places[n].base + (below(cpu, 0x40000) & places[n].mask);
    frame->rsp = below(cpu, 4) ? places[n].base + (below(cpu, 0x40000) & places[n].mask & ~7u)
                               : random_value(cpu);
}

/* Bases of the 16-bit segments, and the same bytes as the others see them. */
static void set_16_bit(void)
{
    gdt[SEL_UCODE16 / 8] = segment(USER_BASE + ARENA, 0xffff, 0xfb, 0);
    gdt[SEL_UDATA16 / 8] = segment(USER_BASE + ARENA, 0xffff, 0xf3, 0);
    gdt[SEL_CODE16 / 8] = segment(ARENA, 0xffff, 0x9b, 0);
    gdt[SEL_DATA16 / 8] = segment(ARENA, 0xffff, 0x93, 0);
}

static uint8_t cmos_read(unsigned at)
{
    outb(0x70, at);
    return inb(0x71);
}

/* The numbers go on behind a reset. */
static void save_random(uint64_t value)
{
    for (unsigned i = 0; i < 8; i++) {
        outb(0x70, CMOS_SAVED + i);
        outb(0x71, value >> 8 * i);
    }
    outb(0x70, CMOS_MAGIC);
    outb(0x71, 0x5a);
}

static uint64_t first_random(void)
{
    uint64_t value = 0;

    if (cmos_read(CMOS_MAGIC) != 0x5a) {
        return parameters.seed * 0x9e3779b97f4a7c15ull + 0x1234567;
    }
    for (unsigned i = 0; i < 8; i++) {
        value |= (uint64_t)cmos_read(CMOS_SAVED + i) << 8 * i;
    }
    return value;
}

static void tell(const Cpu *cpu)
{
    put_string("[rounds ");
    put_hex(cpu->rounds);
    put_string(" inside ");
    put_hex(cpu->inside);
    for (unsigned i = 0; i < 256; i++) {
        if (cpu->counts[i]) {
            put_string(" ");
            put_hex(i);
            put_string(":");
            put_hex(cpu->counts[i]);
        }
    }
    put_string("]\n");
}

static void begin_round(Cpu *cpu, Frame *frame)
{
    unsigned index = cpu - cpus;

    WRITE_DR(7, 0x400);
    set_tables();
    load_tables(index);
    set_16_bit();
    set_control(cpu);
    set_entries(cpu);
    flip_pages(cpu);
    soup_fill(&cpu->random, (uint8_t *)ARENA + below(cpu, 64 * 4096 - 4096), 64 + below(cpu, 3000));
    set_registers(cpu, frame);
    set_place(cpu, frame);
    set_breakpoints(cpu);
    cpu->resumes = below(cpu, 2) ? below(cpu, 8) : below(cpu, 200);
    cpu->ticks = 1 + below(cpu, 4);
    cpu->stuck = 0;
    cpu->rounds++;
    if (index == 0 && cpu->rounds % 8 == 0) {
        outb(0xe9, '.');
        save_random(cpu->random);
    }
    if (index == 0 && cpu->rounds % 2048 == 0) {
        tell(cpu);
    }
    if (cpu->rounds % 8 == 1) {
        set_timers(cpu, index);
    }
}

/* True if the frame is of this code itself. */
static int is_inside(const Frame *frame)
{
    return frame->cs == SEL_CODE && frame->rip >= (uint64_t)_start && frame->rip < 0x40000;
}

/* Goes on where soup was, or behind it, or somewhere else in it. */
static void resume(Cpu *cpu, Frame *frame)
{
    unsigned kind = below(cpu, 8);

    if (kind < 4) {
        frame->rip += 1 + below(cpu, 6);
    } else if (kind < 6) {
        frame->rip += below(cpu, 4096) - 2048;
    } else {
        frame->rip += below(cpu, 2) << 12;
        (&frame->r15)[below(cpu, 15)] = random_value(cpu);
    }
    if (!below(cpu, 4)) {
        frame->rsp = random_value(cpu);
    }
    frame->rflags |= 0x200;
    frame->rflags &= ~(0x10000ull | (below(cpu, 2) ? 0x100 : 0));
}

static int is_watchdog(const Frame *frame)
{
    return frame->vector == 2 || frame->vector == TIMER_VECTOR || frame->vector == 0xff;
}

/* Each trap comes here. IST stacks tell the CPUs apart. */
static int hostile_hook(Frame *frame)
{
    unsigned index = ((uint64_t)frame - STACKS) / (2 * STACK_SIZE);
    Cpu *cpu = &cpus[index % MAX_CPUS];

    if (frame->vector == TIMER_VECTOR) {
        *apic(APIC_EOI) = 0;
    }
    if (is_watchdog(frame)) {
        if (is_inside(frame) ? ++cpu->stuck < STUCK : cpu->ticks && cpu->ticks--) {
            return 1;
        }
    } else if (is_inside(frame)) {
        cpu->inside++;
    } else if (cpu->resumes) {
        cpu->resumes--;
        cpu->counts[frame->vector]++;
        resume(cpu, frame);
        return 1;
    }
    cpu->counts[frame->vector & 255]++;
    begin_round(cpu, frame);
    return 1;
}

/* --- the beginning -------------------------------------------------------------------------- */

void hostile_cpu(unsigned index)
{
    Cpu *cpu = &cpus[index % MAX_CPUS];

    cpu->random = first + index * 0x9e3779b97f4a7c15ull;
    load_tables(index % MAX_CPUS);
    asm volatile("ud2");
    __builtin_unreachable();
}

static void find_features(void)
{
    uint32_t one[4], seven[4];

    cpuid(1, 0, one);
    cpuid(7, 0, seven);
    cr4_bits = 0xc8 | 0x600; /* DE, MCE, PGE, OSFXSR, OSXMMEXCPT */
    cr4_bits |= one[2] >> 17 & 1 ? 1 << 17 : 0;
    cr4_bits |= one[2] >> 26 & 1 ? 1 << 18 : 0;
    cr4_bits |= seven[1] & 1 ? 1 << 16 : 0;
    cr4_bits |= seven[1] >> 7 & 1 ? 1 << 20 : 0;
    cr4_bits |= seven[1] >> 20 & 1 ? 1 << 21 : 0;
    cr4_bits |= seven[2] >> 2 & 1 ? 1 << 11 : 0;
    cr4_bits |= seven[2] >> 3 & 1 ? 1 << 22 : 0;
}

static void start_others(void)
{
    char *to = (char *)TRAMPOLINE;

    for (char *from = ap_start; from < ap_start_end; from++) {
        *to++ = *from;
    }
    *apic(APIC_SVR) = 0x1ff;
    *apic(APIC_ICR) = 0xc4500; /* INIT to all but us */
    for (volatile unsigned i = 0; i < 10000; i++) {
    }
    *apic(APIC_ICR) = 0xc4600 | TRAMPOLINE >> 12;
}

void main(void);
void main(void)
{
    find_features();
    set_tables();
    WRITE_CR(3, 0x100000);
    outb(0x21, 0xff);
    outb(0xa1, 0xff);
    trap_hook = hostile_hook;
    first = first_random();
    soup_random(&first);
    save_random(first);
    put_string("[begin ");
    put_hex(first);
    put_string("]\n");
    start_others();
    hostile_cpu(0);
}
