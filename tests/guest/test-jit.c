/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Code that a translator finds hard: that changes itself, is entered in the middle, is mapped
 * twice, lies among its own page tables, is written by DMA, switches stacks, and has frames that
 * straddle pages. Everything runs often enough to be translated.
 */
#include "lib64.h"

enum { HOT = 200 };

typedef uint64_t (*Function)(uint64_t);

/* Physical pages of this test, from SPARE(0). */
enum { PAGE_CODE = 16, PAGE_CODE2, PAGE_STACK = 20, PAGE_STACK2 = 18, PAGE_TABLE = 24,
       PAGE_SPACE = 28, PAGE_MANY = 512 };

static uint8_t *place(uint64_t at, const void *code, unsigned size)
{
    memcpy((void *)at, code, size);
    return (uint8_t *)at;
}

static void put32(uint8_t *at, uint32_t value)
{
    *(volatile uint32_t *)at = value;
}

/* mov eax, imm32; ret */
static uint8_t *place_answer(uint64_t at, uint32_t answer)
{
    uint8_t *code = place(at, "\xb8\0\0\0\0\xc3", 6);

    put32(code + 1, answer);
    return code;
}

static uint32_t call(const void *code)
{
    return ((Function)(uintptr_t)code)(0);
}

/* --- code that changes ------------------------------------------------------------------- */

/* mov [rip + 1], edi, which is the operand of: mov eax, imm32; with a jump between or without */
static void test_own_block(void)
{
    uint8_t *same = place(SPARE(PAGE_CODE), "\x89\x3d\x01\0\0\0\xb8\0\0\0\0\xc3", 12);
    uint8_t *next = place(SPARE(PAGE_CODE) + 64, "\x89\x3d\x03\0\0\0\xeb\0\xb8\0\0\0\0\xc3", 14);
    unsigned wrong = 0, wrong_next = 0;

    for (unsigned n = 0; n < HOT; n++) {
        uint32_t value = n / 8 * 0x01010101; /* stays for a while */

        wrong += ((Function)(uintptr_t)same)(value) != value;
        wrong_next += ((Function)(uintptr_t)next)(value) != value;
    }
    check("changes-own-block", wrong, 0);
    check("changes-next-block", wrong_next, 0);
}

static void test_changed_by_others(void)
{
    uint8_t *code = place_answer(SPARE(PAGE_CODE), 0), *alias;
    unsigned wrong = 0, wrong_alias = 0, wrong_data = 0;

    set_pte(0, SPARE(PAGE_CODE) | P | W);
    set_pte(1, SPARE(PAGE_CODE) | P | W);
    alias = (uint8_t *)TEST_PAGE(0);
    for (unsigned n = 0; n < HOT; n++) {
        put32(code + 1, n);
        wrong += call(code) != n;
        put32(alias + 1, n + 0x100000);
        wrong_alias += call(code) != n + 0x100000;
        wrong_alias += call((void *)TEST_PAGE(1)) != n + 0x100000;
    }
    for (unsigned n = 0; n < HOT; n++) { /* data beside the code */
        put32(code + 128, n);
        wrong_data += call(code) != HOT - 1 + 0x100000 || *(uint32_t *)(code + 128) != n;
    }
    check("changed", wrong, 0);
    check("changed-by-alias", wrong_alias, 0);
    check("data-beside-code", wrong_data, 0);
}

static __attribute__((noinline)) void store64(uint8_t *at, uint64_t value)
{
    asm volatile("movq %1, (%0)" : : "r"(at), "r"(value) : "memory");
}

/* One store, mostly beside the code, sometimes from before it into it, or across the page. */
static void test_beside(void)
{
    uint8_t *code = place_answer(SPARE(PAGE_CODE) + 128, 5);
    uint8_t *next = place_answer(SPARE(PAGE_CODE2), 0);
    unsigned wrong = 0;

    for (unsigned n = 0; n < 4 * HOT; n++) {
        uint32_t answer = n / 8 & 0xff;

        if (n % 8 == 0) { /* its opcode and three bytes of the number */
            store64(code - 4, 0x000000b8ull << 32 | (uint64_t)answer << 40 | n);
            store64(next - 3, 0x00b8ull << 24 | (uint64_t)answer << 32 | n % 256);
        }
        store64(code + 256, n);
        store64(code + 192, n + 1);
        wrong += call(code) != answer || *(uint32_t *)(code + 256) != n;
        wrong += call(next) != answer || *(uint32_t *)(code + 192) != n + 1;
    }
    check("one-store-beside-and-into-code", wrong, 0);
}

/* The device writes into an instruction (fw_cfg's DMA interface, selector 0: "QEMU"). */
static void test_changed_by_dma(void)
{
    static volatile struct {
        uint32_t control, length;
        uint64_t address;
    } request;
    uint8_t *code = place_answer(SPARE(PAGE_CODE), 0);
    unsigned wrong = 0;
    uint16_t port = 0x514;

    for (unsigned n = 0; n < HOT; n++) {
        put32(code + 1, n);
        wrong += call(code) != n;
        request.control = __builtin_bswap32(0 << 16 | 8 | 2); /* select, read */
        request.length = __builtin_bswap32(4);
        request.address = __builtin_bswap64((uint64_t)(uintptr_t)code + 1);
        asm volatile("outl %0, %1" : : "a"(0), "Nd"(port) : "memory");
        asm volatile("outl %0, %1"
                     : : "a"(__builtin_bswap32((uint32_t)(uintptr_t)&request)),
                         "Nd"((uint16_t)(port + 4)) : "memory");
        wrong += call(code) != 0x554d4551;
    }
    check("changed-by-dma", wrong, 0);
}

/* Into an instruction, where another one begins: mov eax, 0x90c3c031 is also xor eax, eax; ret. */
static void test_middle(void)
{
    uint8_t *code = place(SPARE(PAGE_CODE), "\xb8\x31\xc0\xc3\x90\xc3", 6);
    unsigned wrong = 0;

    for (unsigned n = 0; n < HOT; n++) {
        wrong += call(code) != 0x90c3c031;
        wrong += call(code + 1) != 0;
    }
    check("middle-of-instruction", wrong, 0);
}

/* --- mappings -------------------------------------------------------------------------------- */

static void test_remapped(void)
{
    unsigned wrong = 0;

    place_answer(SPARE(PAGE_CODE), 1);
    place_answer(SPARE(PAGE_CODE2), 2);
    for (unsigned n = 0; n < HOT; n++) {
        set_pte(0, SPARE(n & 1 ? PAGE_CODE2 : PAGE_CODE) | P | W);
        wrong += call((void *)TEST_PAGE(0)) != 1 + (n & 1);
    }
    check("remapped-page", wrong, 0);
}

/* A second address space: PML4, PDPT, PD and PT of its own for the test pages. */
static void test_address_spaces(void)
{
    uint64_t *tables = (uint64_t *)SPARE(PAGE_SPACE);
    uint64_t old = READ_CR(3);
    unsigned wrong = 0;

    memset(tables, 0, 4 * 4096);
    memcpy(tables, (void *)0x100000, 4096);
    memcpy(tables + 512, (void *)0x101000, 4096);
    memcpy(tables + 1024, (void *)0x103000, 4096);
    memcpy(tables + 1536, (void *)0x104000, 4096);
    tables[0] = SPARE(PAGE_SPACE + 1) | P | W | U;
    tables[512 + 1] = SPARE(PAGE_SPACE + 2) | P | W | U;
    tables[1024] = SPARE(PAGE_SPACE + 3) | P | W | U;
    set_pte(0, SPARE(PAGE_CODE) | P | W);
    tables[1536] = SPARE(PAGE_CODE2) | P | W;
    for (unsigned n = 0; n < HOT; n++) {
        WRITE_CR(3, n & 1 ? SPARE(PAGE_SPACE) : old);
        wrong += call((void *)TEST_PAGE(0)) != 1 + (n & 1);
    }
    WRITE_CR(3, old);
    check("address-spaces", wrong, 0);
}

/* Code in a page table that maps other pages: the CPU itself writes accessed bits beside it. */
static void test_in_page_table(void)
{
    volatile uint64_t *table = (volatile uint64_t *)SPARE(PAGE_TABLE);
    uint8_t *code = (uint8_t *)SPARE(PAGE_TABLE) + 2048;
    unsigned wrong = 0;

    memset((void *)table, 0, 4096);
    TEST_PDE(2) = SPARE(PAGE_TABLE) | P | W;
    place_answer(SPARE(PAGE_TABLE) + 2048, 7);
    for (unsigned n = 0; n < HOT; n++) {
        volatile uint32_t *data = (volatile uint32_t *)(TEST_BASE + 0x400000);

        table[0] = SPARE(PAGE_STACK) | P | W;
        asm volatile("invlpg (%0)" : : "r"(data) : "memory");
        wrong += call(code) != 7;
        *data = n;
        wrong += call(code) != 7;
        wrong += (table[0] & (A | D)) != (A | D);
    }
    TEST_PDE(2) = 0;
    WRITE_CR(3, READ_CR(3));
    check("code-in-page-table", wrong, 0);
}

/* More code than a small code buffer holds: each function answers its number. */
static void test_many(void)
{
    uint8_t *code = (uint8_t *)SPARE(PAGE_MANY);
    unsigned wrong = 0, count = 30000;

    for (unsigned n = 0; n < count; n++) {
        place_answer((uint64_t)(uintptr_t)code + n * 32, n);
    }
    for (unsigned round = 0; round < 7; round++) {
        for (unsigned n = 0; n < count; n++) {
            wrong += call(code + n * 32) != n;
        }
    }
    check("many-blocks", wrong, 0);
}

/* --- stacks ----------------------------------------------------------------------------------- */

/* Pushes, stores, loads and pops over 128 bytes; the answer mixes all of them. */
asm(".text\n"
    "frame_code: push %rbx; push %rbp; push %r9; sub $0x60, %rsp\n"
    "mov %rdi, (%rsp); lea 1(%rdi), %rax; mov %rax, 8(%rsp); mov %eax, 0x1c(%rsp)\n"
    "movb $5, 0x2b(%rsp); mov %rsp, 0x58(%rsp); call 1f\n"
    "mov (%rsp), %rax; add 8(%rsp), %rax; add 0x1c(%rsp), %eax; add 0x2b(%rsp), %al\n"
    "sub 0x58(%rsp), %rax; add %rsp, %rax; add $0x60, %rsp; pop %r9; pop %rbp; pop %rbx; ret\n"
    "1: push %rdi; pop %r10; lea -0x20(%rsp), %rsp; push $3; pop %rbx; lea 0x20(%rsp), %rsp; ret\n"
    /* on_stack(rdi: stack, rsi: argument, rdx: function) */
    "on_stack: push %rbx; mov %rsp, %rbx; mov %rdi, %rsp; mov %rsi, %rdi; call *%rdx\n"
    "mov %rbx, %rsp; pop %rbx; ret\n"
    /* switch_to(rdi: where to keep this stack, rsi: the other) */
    "switch_to: push %rbx; push %rbp; push %r12; push %r13; push %r14; push %r15\n"
    "mov %rsp, (%rdi); mov %rsi, %rsp\n"
    "pop %r15; pop %r14; pop %r13; pop %r12; pop %rbp; pop %rbx; ret\n"
    "push_code: push %rdi; push %rsi; pop %rax; pop %rax; ret\n");
extern char frame_code[];
uint64_t on_stack(uint64_t stack, uint64_t argument, void *function);
void switch_to(uint64_t *from, uint64_t to);
void push_code(void);

static uint32_t frame_answer(uint32_t n)
{
    uint32_t sum = n + n + 1 + n + 1;

    return (sum & ~0xffu) | ((sum + 5) & 0xff);
}

/* Two pages that lie apart in memory, and every place of the boundary in the frame. */
static void test_straddling_frames(void)
{
    unsigned wrong = 0;

    set_pte(2, SPARE(PAGE_STACK) | P | W);
    set_pte(3, SPARE(PAGE_STACK2) | P | W);
    for (unsigned round = 0; round < 30; round++) {
        for (unsigned offset = 0; offset < 256; offset += 8) {
            uint64_t top = TEST_PAGE(3) + offset;
            uint32_t n = round * 1000 + offset;

            wrong += (uint32_t)on_stack(top, n, frame_code) != frame_answer(n);
        }
    }
    check("straddling-frames", wrong, 0);
}

static uint32_t push_below(uint64_t top)
{
    static uint64_t stack;

    stack = top;
    return TRAP({
        asm volatile("mov %%rsp, %%rbx; mov %0, %%rsp; push $1; push $2; mov %%rbx, %%rsp"
                     : : "m"(stack) : "rbx", "memory");
    });
}

/* Pushes into a page that is not there: what was pushed before stays, RSP is as before. */
static void test_stack_faults(void)
{
    volatile uint64_t *slot = (volatile uint64_t *)TEST_PAGE(3);
    uint32_t got = 0;

    set_pte(3, SPARE(PAGE_STACK2) | P | W);
    set_pte(2, SPARE(PAGE_STACK) | P | W);
    for (unsigned n = 0; n < 20; n++) {
        got = push_below(TEST_PAGE(3) + 8);
    }
    check("pushes-before", got, NO_TRAP);
    set_pte(2, 0);
    *slot = 0;
    asm volatile("" : : : "memory");
    got = push_below(TEST_PAGE(3) + 8);
    /* The handler's frame goes to the same bad stack unless it has one of its own: IST 1. */
    check_pf("push-not-present", got, 2, TEST_PAGE(3) - 8);
    check("push-before-fault", *slot, 1);
    check("rsp-at-fault", trap.rsp, TEST_PAGE(3));
}

static uint64_t main_stack, other_stack, other_count;

static void coroutine(void)
{
    for (;;) {
        other_count++;
        switch_to(&other_stack, main_stack);
    }
}

static void test_coroutines(void)
{
    uint64_t *top = (uint64_t *)(SPARE(PAGE_STACK) + 4096 - 16);

    *--top = (uint64_t)(uintptr_t)coroutine;
    other_stack = (uint64_t)(uintptr_t)(top - 6);
    for (unsigned n = 0; n < 5000; n++) {
        switch_to(&main_stack, other_stack);
    }
    check("coroutines", other_count, 5000);
}

static uint64_t depth(uint64_t n)
{
    volatile uint64_t keep = n;

    return n ? depth(n - 1) + (keep == n) : 0;
}

static void test_recursion(void)
{
    uint64_t sum = 0;

    for (unsigned n = 0; n < 50; n++) {
        sum += on_stack(SPARE(PAGE_MANY) - 4096, 5000, depth);
    }
    check("recursion", sum, 50 * 5000);
}

static uint64_t jump_buffer[5];

static __attribute__((noinline)) void deep_jump(unsigned n)
{
    if (n == 0) {
        __builtin_longjmp(jump_buffer, 1);
    }
    deep_jump(n - 1);
    asm volatile(""); /* no tail call */
}

static void test_longjmp(void)
{
    static volatile unsigned count;

    for (count = 0; count < 2000;) {
        if (__builtin_setjmp(jump_buffer) == 0) {
            deep_jump(count % 20);
        }
        count++;
    }
    check("longjmp", count, 2000);
}

/* --- faults in hot code ----------------------------------------------------------------------- */

asm(".text\n"
    "divide_code: mov %rdi, %rax; xor %edx, %edx; mov %rsi, %rcx\n"
    "divide_insn: div %rcx; ret\n"
    "sse_code: movq %rdi, %xmm0\n"
    "paddq %xmm0, %xmm0; movq %xmm0, %rax; ret\n");
extern char divide_code[], divide_insn[], sse_code[];

static void test_divide(void)
{
    uint64_t (*divide)(uint64_t, uint64_t) = (uint64_t (*)(uint64_t, uint64_t))divide_code;
    uint64_t sum = 0;
    uint32_t got;

    for (unsigned n = 1; n <= HOT; n++) {
        sum += divide(1000 * n, n);
    }
    check("divide", sum, 1000 * HOT);
    got = TRAP(((void (*)(uint64_t, uint64_t))divide_code)(1, 0));
    check_fault("divide-by-zero", got, 0, 0);
    check("divide-rip", trap.rip, (uint64_t)(uintptr_t)divide_insn);
    check("divide-rax", trap.rax, 1);
}

static void test_task_switched(void)
{
    uint64_t sum = 0;
    uint32_t got;

    WRITE_CR(4, READ_CR(4) | 0x600);
    WRITE_CR(0, (READ_CR(0) | 2) & ~12ull);
    for (unsigned n = 0; n < HOT; n++) {
        sum += call((void *)0 + (uintptr_t)sse_code) * 0 + ((Function)(uintptr_t)sse_code)(n);
    }
    check("sse", sum, HOT * (HOT - 1));
    WRITE_CR(0, READ_CR(0) | 8);
    got = TRAP(((void (*)(uint64_t))sse_code)(3));
    check_fault("task-switched", got, 7, 0);
    check("task-switched-rip", trap.rip, (uint64_t)(uintptr_t)sse_code);
    WRITE_CR(0, READ_CR(0) & ~8ull);
    check("sse-again", ((Function)(uintptr_t)sse_code)(4), 8);
}

/* Bit numbers reach beyond the operand, both ways; CF is the bit of before. */
static void test_bits(void)
{
    static uint64_t words[8];
    unsigned wrong = 0;

    for (unsigned n = 0; n < 4 * HOT; n++) {
        long number = (long)(n * 37 % 512) - 256;
        uint64_t mask = 1ull << (number & 63), *word = &words[4 + (number >> 6)], old = *word;
        uint8_t set, reset, test;

        asm volatile("lock addq $1, %0; lock orq $0, %0; lock subq $1, %0"
                     : "+m"(words[4]) : : "memory", "cc");
        asm volatile("lock btsq %4, %3; setc %0; btrq %4, %3; setc %1; btq %4, %3; setc %2"
                     : "=&r"(set), "=&r"(reset), "=&r"(test), "+m"(words[4])
                     : "r"(number) : "memory", "cc");
        wrong += set != !!(old & mask) || reset != 1 || test != 0 || *word != (old & ~mask);
        asm volatile("btcq %1, %0" : "+m"(words[4]) : "r"(number) : "memory", "cc");
        wrong += *word != (old | mask);
    }
    check("bits-in-memory", wrong, 0);
}

/* PUSHF, POPF, CLI, STI and SWAPGS keep and change what they must, arithmetic flags too. */
static void test_flags(void)
{
    unsigned wrong = 0;

    for (unsigned n = 0; n < HOT; n++) {
        uint64_t want = (n & 1) | (n & 2) << 1 | (n & 4) << 4 | (n & 8) << 4 | (n & 16) << 7;
        uint64_t got, closed, open;

        asm volatile("pushq %3; popfq; pushfq; popq %0; cli; pushfq; popq %1\n"
                     "swapgs; swapgs; orq $0x200, %0; andq $~0x200, %0; pushq %3; popfq\n"
                     "pushfq; popq %2"
                     : "=&r"(got), "=&r"(closed), "=&r"(open) : "r"(want) : "memory", "cc");
        wrong += (got & 0x8d5) != want || closed != got || open != got || (closed & 0x200);
    }
    check("flags-kept", wrong, 0);
}

/* F3 before BSF and BSR is TZCNT and LZCNT, or nothing, by what CPUID says. */
static void test_bit_scans(void)
{
    uint32_t eax = 7, ebx, ecx = 0, edx, tzcnt, lzcnt, wrong = 0;

    asm volatile("cpuid" : "+a"(eax), "=b"(ebx), "+c"(ecx), "=d"(edx));
    tzcnt = ebx >> 3 & 1;
    eax = 0x80000001;
    asm volatile("cpuid" : "+a"(eax), "=b"(ebx), "+c"(ecx), "=d"(edx));
    lzcnt = ecx >> 5 & 1;
    for (unsigned n = 0; n < HOT; n++) {
        uint64_t low = 0x55, high, none = 0x55;
        uint8_t zero, carry;

        asm volatile(".byte 0xf3; bsf %3, %0; setz %1; setc %2"
                     : "+r"(low), "=q"(zero), "=q"(carry) : "r"(0x10ull) : "cc");
        wrong += low != 4 || zero || carry;
        asm volatile(".byte 0xf3; bsr %1, %0" : "=r"(high) : "r"(0x10ull) : "cc");
        wrong += high != (lzcnt ? 59 : 4);
        asm volatile(".byte 0xf3; bsf %3, %0; setz %1; setc %2"
                     : "+r"(none), "=q"(zero), "=q"(carry) : "r"(0ull) : "cc");
        wrong += none != (tzcnt ? 64 : 0x55) || zero == tzcnt || (tzcnt && !carry);
    }
    check("bit-scans", wrong, 0);
}

/* MOV from segment registers, into registers of all sizes that live in the host's and in memory. */
static void test_selectors(void)
{
    unsigned wrong = 0;

    for (unsigned n = 0; n < HOT; n++) {
        uint64_t code, stack, word, spilled;

        asm volatile("mov $-1, %%rbx; mov %%cs, %%ebx; mov %%rbx, %0\n"
                     "mov $-1, %%r9; mov %%ss, %%r9; mov %%r9, %1\n"
                     "mov $-1, %%rbx; mov %%cs, %%bx; mov %%rbx, %2\n"
                     "mov $-1, %%r10; mov %%ss, %%r10w; mov %%r10, %3"
                     : "=m"(code), "=m"(stack), "=m"(word), "=m"(spilled)
                     : : "rbx", "r9", "r10", "cc");
        wrong += code != SEL_CODE || stack != SEL_DATA || word != (~0xffffull | SEL_CODE) ||
                 spilled != (~0xffffull | SEL_DATA);
    }
    check("selectors", wrong, 0);
}

static volatile unsigned steps;

static int count_step(Frame *frame)
{
    if (frame->vector != 1) {
        return 0;
    }
    steps++;
    return 1;
}

/* The trap flag over code that is hot: POPF and a frame of 26 instructions and its return. */
static void test_single_step(void)
{
    trap_hook = count_step;
    asm volatile("pushfq; orq $0x100, (%%rsp); popfq\n"
                 "nop; nop; mov $5, %%ecx; 1: dec %%ecx; jnz 1b\n"
                 "pushfq; andq $~0x100, (%%rsp); popfq; nop" : : : "rcx", "memory", "cc");
    trap_hook = NULL;
    check("single-steps", steps, 2 + 1 + 10 + 3);
}

void main(void)
{
    idt[14] = gate(SEL_CODE, stub_address(14), 0x8e, 1);
    tss.ist[0] = SPARE(PAGE_STACK + 2);
    test_own_block();
    test_changed_by_others();
    test_beside();
    test_changed_by_dma();
    test_middle();
    test_remapped();
    test_address_spaces();
    test_in_page_table();
    test_many();
    test_straddling_frames();
    test_stack_faults();
    test_coroutines();
    test_recursion();
    test_longjmp();
    test_divide();
    test_task_switched();
    test_bits();
    test_flags();
    test_bit_scans();
    test_selectors();
    test_single_step();
}
