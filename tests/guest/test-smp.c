/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Two CPUs at once: locked instructions on every kind of operand, code that one CPU changes and the
 * other runs by the protocol of SDM 3A 8.1.3, and interrupts between them.
 */
#include "lib64.h"

#define APIC (TEST_BASE + 0x200000) /* 0xfee00000 */
#define TRAMPOLINE 0x8000
#define SHARED 0x200000ull
enum { APIC_EOI = 0xb0, APIC_SVR = 0xf0, APIC_ICR = 0x300, APIC_ICR_HIGH = 0x310 };
enum { ROUNDS = 20000, CODE_ROUNDS = 1000, SPINS = 200, IPI_ROUNDS = 1000, VECTOR = 0x50 };

/* The way of the second CPU from a start-up message into long mode. */
asm(AP_START
    "ap64: mov $0x8f000, %rsp; call ap_main\n"
    "1: hlt; jmp 1b\n"
    /* Interrupt between CPUs: count it, end of interrupt. */
    "ipi_entry: lock incl ipi_count; push %rax; mov $0x402000b0, %eax; movl $0, (%rax)\n"
    "pop %rax; iretq\n");
extern char ap_start[], ap_start_end[], ipi_entry[];

static volatile uint32_t stage, ap_stage, order, answer, spun_wrong;
volatile uint32_t ipi_count;
static struct {
    uint16_t limit;
    uint64_t base;
} __attribute__((packed)) idtr;

static volatile uint32_t *apic(unsigned reg)
{
    return (volatile uint32_t *)(APIC + reg);
}

static void send(uint32_t command)
{
    *apic(APIC_ICR_HIGH) = 1u << 24;
    *apic(APIC_ICR) = command;
}

static void wait_for(volatile uint32_t *what, uint32_t value)
{
    while (*what != value) {
        asm volatile("pause");
    }
}

/* --- what both do ------------------------------------------------------------------------- */

static uint32_t *const counters[] = {
    (uint32_t *)(SHARED + 0x100),       /* aligned */
    (uint32_t *)(SHARED + 0x181),       /* not aligned, in a line */
    (uint32_t *)(SHARED + 0x23e),       /* across lines */
    (uint32_t *)(SHARED + 0x1000 - 2),  /* across pages */
};
static uint64_t *const wide = (uint64_t *)(SHARED + 0x2000);

static void count_all(void)
{
    for (unsigned n = 0; n < ROUNDS; n++) {
        for (unsigned i = 0; i < 4; i++) {
            asm volatile("lock incl %0" : "+m"(*counters[i]) : : "cc");
        }
    }
    for (unsigned n = 0; n < ROUNDS; n++) {
        uint64_t low = wide[0], high = wide[1];
        uint8_t done;

        do {
            asm volatile("lock cmpxchg16b %1" : "=@ccz"(done), "+m"(*(__int128 *)wide),
                         "+a"(low), "+d"(high) : "b"(low + 1), "c"(high - 1) : "memory");
        } while (!done);
    }
}

/* MOV EAX, n; RET, at an address that lies with its number across two lines. */
#define PATCHED (SHARED + 0x303d)

static void run_patched(void)
{
    for (unsigned n = 1; n <= CODE_ROUNDS; n++) {
        uint32_t out[4];

        wait_for(&order, n);
        cpuid(0, 0, out); /* serializes */
        answer = ((uint32_t (*)(void))PATCHED)();
        ap_stage = 100 + n;
    }
}

/*
 * INC EAX; JMP back, which the other CPU turns into INC EAX; RET: without anything that serializes,
 * but hardware too sees it before long. Rewritten so often that it is compared, not watched.
 */
#define SPINNING (SHARED + 0x5000)

static void run_spinning(void)
{
    volatile uint8_t *code = (volatile uint8_t *)SPINNING;

    wait_for(&order, CODE_ROUNDS + 1);
    for (unsigned n = 0; n < CODE_ROUNDS; n++) {
        code[0] = 0xb8; /* mov eax, imm32; ret */
        *(volatile uint32_t *)(code + 1) = n;
        code[5] = 0xc3;
        spun_wrong += ((uint32_t (*)(void))SPINNING)() != n;
    }
    for (unsigned n = 1; n <= SPINS; n++) {
        *(volatile uint32_t *)code = 0xfcebc0ff;
        ap_stage = 2000 + n;
        ((void (*)(void))SPINNING)();
        spun_wrong += code[2] != 0xc3;
    }
}

void ap_main(void)
{
    asm volatile("lidt %0" : : "m"(idtr));
    *apic(APIC_SVR) = 0x1ff;
    ap_stage = 1;
    wait_for(&stage, 1);
    count_all();
    ap_stage = 2;
    run_patched();
    run_spinning();
    ap_stage = 3;
    for (;;) {
        asm volatile("sti; hlt");
    }
}

/* --- the first CPU ---------------------------------------------------------------------------- */

static void start_second(void)
{
    char *to = (char *)TRAMPOLINE;

    for (char *from = ap_start; from < ap_start_end; from++) {
        *to++ = *from;
    }
    TEST_PDE(1) = 0xfee00000 | P | W | PS;
    asm volatile("sidt %0" : "=m"(idtr));
    idt[VECTOR] = gate(SEL_CODE, (uint64_t)ipi_entry, 0x8e, 0);
    *apic(APIC_SVR) = 0x1ff;
    send(0x4500); /* INIT */
    for (volatile unsigned i = 0; i < 10000; i++) {
    }
    send(0x4600 | TRAMPOLINE >> 12);
    wait_for(&ap_stage, 1);
}

static void test_counters(void)
{
    static const char *const names[] = {"locked-aligned", "locked-in-line", "locked-split",
                                        "locked-across-pages"};

    wide[0] = wide[1] = 0;
    stage = 1;
    count_all();
    wait_for(&ap_stage, 2);
    for (unsigned i = 0; i < 4; i++) {
        check(names[i], *counters[i], 2 * ROUNDS);
    }
    check("cmpxchg16b-low", wide[0], 2 * ROUNDS);
    check("cmpxchg16b-high", wide[1], -(uint64_t)(2 * ROUNDS));
}

static void test_cross_modifying(void)
{
    uint8_t *code = (uint8_t *)PATCHED;
    unsigned wrong = 0;

    code[0] = 0xb8;
    code[5] = 0xc3;
    for (unsigned n = 1; n <= CODE_ROUNDS; n++) {
        *(volatile uint32_t *)(code + 1) = n * 0x01010101;
        order = n;
        wait_for(&ap_stage, 100 + n);
        wrong += answer != n * 0x01010101;
    }
    check("cross-modifying-code", wrong, 0);
}

static void test_spinning(void)
{
    order = CODE_ROUNDS + 1;
    for (unsigned n = 1; n <= SPINS; n++) {
        wait_for(&ap_stage, 2000 + n);
        for (volatile unsigned i = 0; i < 3000; i++) {
        }
        *(volatile uint8_t *)(SPINNING + 2) = 0xc3;
    }
    wait_for(&ap_stage, 3);
    check("patched-while-it-spins", spun_wrong, 0);
}

static void test_interrupts(void)
{
    for (unsigned n = 1; n <= IPI_ROUNDS; n++) {
        send(0x4000 | VECTOR);
        wait_for(&ipi_count, n);
    }
    check("interrupts", ipi_count, IPI_ROUNDS);
}

void main(void)
{
    start_second();
    check("started", ap_stage, 1);
    test_counters();
    test_cross_modifying();
    test_spinning();
    test_interrupts();
}
