/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Two to four CPUs that get in each other's way: locked operations across pages and lines,
 * CMPXCHG16B, page-table changes told by interrupts while translated code runs there, and code that
 * is patched while others run it, by the protocol and without one.
 */
#include "lib64.h"

#define APIC (TEST_BASE + 0x200000) /* 0xfee00000 */
#define TRAMPOLINE 0x8000
#define SHARED 0x200000ull
enum { APIC_EOI = 0xb0, APIC_SVR = 0xf0, APIC_ICR = 0x300 };
enum { COUNTING = 1, SHOOTING, SHOT, PATCHING, PATCHED_LAST, TEARING, TORN_LAST };
enum { ROUNDS = 4000, SHOTS = 60, PATCHES = 200, VECTOR = 0x50, OTHERS = 0xc0000 };

asm(AP_START
    "ap64: mov $1, %edi; lock xadd %edi, started; mov %edi, %eax; shl $14, %eax\n"
    "lea 0x180000(%rax), %rsp; call ap_main\n"
    "1: hlt; jmp 1b\n"
    /* INVLPG of the page that changed, and the answer. */
    "shot_entry: push %rax; mov $0x40003000, %eax; invlpg (%rax); lock incl shot_down\n"
    "mov $0x402000b0, %eax; movl $0, (%rax); pop %rax; iretq\n"
    /* reader(rdi: page, rsi: old value, rdx: new, rcx: times): how often neither was there */
    "reader: xor %eax, %eax; mov %rcx, %r9\n"
    "1: mov (%rdi), %r8; cmp %rsi, %r8; je 2f; cmp %rdx, %r8; je 2f; inc %eax\n"
    "2: dec %r9; jnz 1b; ret\n");
extern char ap_start[], ap_start_end[], shot_entry[];
unsigned reader(const volatile void *page, uint64_t old, uint64_t new, uint64_t times);

static struct {
    uint16_t limit;
    uint64_t base;
} __attribute__((packed)) idtr;
static volatile uint32_t stage, done, wrong, seen_last;
volatile uint32_t started = 1, shot_down;
static unsigned cpu_count;

static volatile uint32_t *apic(unsigned reg)
{
    return (volatile uint32_t *)(APIC + reg);
}

static void add(volatile uint32_t *to, uint32_t n)
{
    asm volatile("lock addl %1, %0" : "+m"(*to) : "r"(n) : "cc");
}

static void wait_for(volatile uint32_t *what, uint32_t value)
{
    while (*what < value) {
        asm volatile("pause");
    }
}

/* --- locked operations ----------------------------------------------------------------------- */

static uint64_t *const across_pages = (uint64_t *)(SHARED + 0x1000 - 3);
static uint64_t *const across_lines = (uint64_t *)(SHARED + 0x240 - 5);
static uint16_t *const word = (uint16_t *)(SHARED + 0x3000 - 1);
static uint64_t *const pair = (uint64_t *)(SHARED + 0x4000);
static uint64_t *const by_exchange = (uint64_t *)(SHARED + 0x5000 - 4);

static void add_by_exchange(uint64_t *to)
{
    uint64_t old = *to, seen;

    for (;;) {
        asm volatile("lock cmpxchgq %2, %1"
                     : "=a"(seen), "+m"(*to) : "r"(old + 1), "0"(old) : "memory", "cc");
        if (seen == old) {
            return;
        }
        old = seen;
    }
}

static void count_up_pair(void)
{
    uint64_t low = pair[0], high = pair[1];
    uint8_t ok;

    do {
        asm volatile("lock cmpxchg16b %1" : "=@ccz"(ok), "+m"(*(__int128 *)pair), "+a"(low),
                     "+d"(high) : "b"(low + 1), "c"(high + 3) : "memory");
    } while (!ok);
}

static void count_all(void)
{
    for (unsigned n = 0; n < ROUNDS; n++) {
        uint64_t one = 1;

        asm volatile("lock incq %0" : "+m"(*across_pages) : : "cc");
        asm volatile("lock xaddq %1, %0" : "+m"(*across_lines), "+r"(one) : : "cc", "memory");
        asm volatile("lock addw $1, %0" : "+m"(*word) : : "cc");
        add_by_exchange(by_exchange);
        count_up_pair();
    }
}

/* --- page tables ------------------------------------------------------------------------------ */

/*
 * The page at TEST_PAGE(3) has one value or the next, until the interrupt has been answered; then
 * it has the next alone.
 */
static volatile uint64_t value_now, value_next;

static void read_shot_pages(void)
{
    asm volatile("sti");
    while (stage == SHOOTING) {
        uint64_t now = value_now, next = value_next;
        unsigned bad = reader((const void *)TEST_PAGE(3), now, next, 200);

        if (bad && value_now == now && value_next == next) {
            add(&wrong, bad);
        }
    }
    asm volatile("cli");
}

static void shoot(void)
{
    for (uint64_t n = 1; n <= SHOTS; n++) {
        *(volatile uint64_t *)SPARE(32 + n % 8) = n;
        value_next = n;
        asm volatile("mfence" : : : "memory");
        shot_down = 0;
        TEST_PTE(3) = SPARE(32 + n % 8) | P | W;
        asm volatile("invlpg (%0)" : : "r"(TEST_PAGE(3)) : "memory");
        *apic(APIC_ICR) = OTHERS | 0x4000 | VECTOR;
        wait_for(&shot_down, cpu_count - 1);
        value_now = n; /* nobody sees the one before */
        asm volatile("mfence" : : : "memory");
        wrong += *(volatile uint64_t *)TEST_PAGE(3) != n;
    }
}

/* --- code ------------------------------------------------------------------------------------- */

/* MOV EAX, n; RET, with the number in one line: an aligned store changes all of it or nothing. */
#define PATCHED (SHARED + 0x8003)

static void run_patched(void)
{
    uint32_t last = 0, out[4];

    while (stage == PATCHING) {
        uint32_t got = ((uint32_t (*)(void))PATCHED)();

        if (got < last || got > PATCHES) {
            add(&wrong, 1);
        }
        last = got;
    }
    cpuid(0, 0, out); /* serializes: now the last of them must be seen (SDM 3A 9.1.3) */
    add(&seen_last, ((uint32_t (*)(void))PATCHED)() == PATCHES);
}

static void patch(void)
{
    for (uint32_t n = 1; n <= PATCHES; n++) {
        *(volatile uint32_t *)(PATCHED + 1) = n;
        for (unsigned i = 0; i < 20; i++) {
            wrong += ((uint32_t (*)(void))PATCHED)() != n;
        }
    }
}

/* An instruction that changes byte by byte: what the others see of it nobody promises. */
#define TORN (SHARED + 0x9ffc)

static void run_torn(void)
{
    while (stage == TEARING) {
        ((uint32_t (*)(void))TORN)();
    }
}

static void place_torn(uint32_t n)
{
    volatile uint8_t *at = (volatile uint8_t *)TORN;

    for (unsigned i = 0; i < 4; i++) {
        at[1 + i] = (uint8_t)(n >> 8 * i);
    }
}

/* --- all of it ------------------------------------------------------------------------------- */

/* The next stage, which each of the others has seen when this returns. */
static void go_to(uint32_t n)
{
    done = 0;
    stage = n;
    wait_for(&done, cpu_count - 1);
}

void ap_main(void)
{
    asm volatile("lidt %0" : : "m"(idtr));
    *apic(APIC_SVR) = 0x1ff;
    add(&done, 1);
    wait_for(&stage, COUNTING);
    add(&done, 1);
    count_all();
    add(&done, 1);
    wait_for(&stage, SHOOTING);
    add(&done, 1);
    read_shot_pages();
    add(&done, 1);
    wait_for(&stage, PATCHING);
    add(&done, 1);
    run_patched();
    add(&done, 1);
    wait_for(&stage, TEARING);
    add(&done, 1);
    run_torn();
    add(&done, 1);
}

static void start_others(void)
{
    char *to = (char *)TRAMPOLINE;

    for (char *from = ap_start; from < ap_start_end; from++) {
        *to++ = *from;
    }
    *apic(APIC_ICR) = OTHERS | 0x4500; /* INIT */
    for (volatile unsigned i = 0; i < 10000; i++) {
    }
    *apic(APIC_ICR) = OTHERS | 0x4600 | TRAMPOLINE >> 12;
}

/* FW_CFG_NB_CPUS, which QEMU's interface has at 5. */
static unsigned count_cpus(void)
{
    asm volatile("outw %0, %1" : : "a"((uint16_t)5), "Nd"((uint16_t)0x510));
    return inb(0x511);
}

static void check_counts(void)
{
    uint64_t all = (uint64_t)cpu_count * ROUNDS;

    check("locked-across-pages", *across_pages, all);
    check("locked-across-lines", *across_lines, all);
    check("locked-word-across-pages", *word, all & 0xffff);
    check("locked-exchange-across-pages", *by_exchange, all);
    check("cmpxchg16b-low", pair[0], all);
    check("cmpxchg16b-high", pair[1], 3 * all);
}

static void test_code(void)
{
    uint8_t *patched = (uint8_t *)PATCHED, *torn = (uint8_t *)TORN;

    patched[0] = torn[0] = 0xb8;
    patched[5] = torn[5] = 0xc3;
    *(volatile uint32_t *)(PATCHED + 1) = 0;
    go_to(PATCHING);
    patch();
    go_to(PATCHED_LAST);
    check("code-patched-under-others", wrong, 0);
    check("last-patch-seen", seen_last, cpu_count - 1);
    if (!by_sdm()) { /* QEMU's CPUs miss what they wrote themselves */
        skip("code-torn-under-others");
        return;
    }
    go_to(TEARING);
    for (uint32_t n = 0; n < 5000; n++) {
        place_torn(n * 0x01010101);
        wrong += ((uint32_t (*)(void))TORN)() != n * 0x01010101;
    }
    go_to(TORN_LAST);
    check("code-torn-under-others", wrong, 0);
}

void main(void);
void main(void)
{
    TEST_PDE(1) = 0xfee00000 | P | W | PS;
    asm volatile("sidt %0" : "=m"(idtr));
    idt[VECTOR] = gate(SEL_CODE, (uint64_t)(uintptr_t)shot_entry, 0x8e, 0);
    *apic(APIC_SVR) = 0x1ff;
    cpu_count = count_cpus();
    memset((void *)SHARED, 0, 0x10000);
    set_pte(3, SPARE(32) | P | W);
    *(volatile uint64_t *)SPARE(32) = 0;
    start_others();
    wait_for(&done, cpu_count - 1);
    go_to(COUNTING);
    count_all();
    wait_for(&done, 2 * (cpu_count - 1));
    check_counts();
    go_to(SHOOTING);
    shoot();
    go_to(SHOT);
    check("shot-pages", wrong, 0);
    test_code();
}
