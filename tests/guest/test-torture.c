/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What programs and kernels do at their worst, often enough to be translated: events at the edges
 * of blocks, code in devices, calls and returns that do not match, stacks that change, pages that
 * are code and data by turns.
 */
#include "lib64.h"

#define APIC (TEST_BASE + 0x200000) /* by TEST_PDE(1) */
#define DEEP 0x3800000ull           /* top of a large stack */

enum { HOT = 200, VECTOR = 0x60, TIMER_VECTOR = 0x61 };

/* Physical pages of this test, from SPARE(0). */
enum { PAGE_CODE = 16, PAGE_CODE2, PAGE_STACKS = 32, PAGE_TABLE = 64, PAGE_TABLE2 };

typedef uint64_t (*Function)(uint64_t);

static uint64_t call(const void *code, uint64_t argument)
{
    return ((Function)(uintptr_t)code)(argument);
}

/* mov eax, imm32; ret */
static uint8_t *place_answer(uint64_t at, uint32_t answer)
{
    uint8_t *code = (uint8_t *)at;

    code[0] = 0xb8;
    *(volatile uint32_t *)(code + 1) = answer;
    code[5] = 0xc3;
    return code;
}

static int is_amd(void)
{
    uint32_t vendor[4];

    cpuid(0, 0, vendor);
    return vendor[1] == 0x68747541;
}

/* --- instructions that the host may lack --------------------------------------------------- */

/* MOVDIRI stores as MOV does, whether the host knows it or not. */
static void test_direct_stores(void)
{
    static volatile uint64_t word;
    uint32_t features[4], wrong = 0;

    cpuid(7, 0, features);
    if (!(features[2] & 1u << 27)) {
        skip("direct-stores");
        return;
    }
    for (uint64_t n = 0; n < HOT; n++) {
        uint64_t value = n * 0x0101010101010101ull;

        asm volatile("movdiri %1, %0" : "=m"(word) : "r"(value));
        wrong += word != value;
        asm volatile("movdiri %1, %0" : "=m"(*(volatile uint32_t *)&word) : "r"(7u));
        wrong += word != ((value & ~0xffffffffull) | 7);
    }
    check("direct-stores", wrong, 0);
}

/* --- SYSRET ------------------------------------------------------------------------------- */

static void sysret_nowhere(void)
{
    asm volatile("mov %%rsp, tss + 4; mov $0x202, %%r11d\n"
                 "sysret_insn: sysretq" : : "c"(0x800000000000ull) : "r11", "memory");
}
extern char sysret_insn[];

/*
 * Intel faults before anything has changed, at privilege 0 and on the stack of that moment (SDM 2B
 * SYSRET). AMD returns, and the fetch from nowhere faults at privilege 3 (APM 3 SYSRET).
 */
static void test_sysret(void)
{
    unsigned wrong = 0;

    if (!by_sdm()) {
        skip("sysret-to-nowhere");
        return;
    }
    write_msr(0xc0000081, (uint64_t)0x18 << 48 | (uint64_t)SEL_CODE << 32);
    for (unsigned n = 0; n < HOT; n++) {
        wrong += try_call(sysret_nowhere) != 13 || trap.error != 0;
        wrong += trap.cs != (is_amd() ? SEL_UCODE : SEL_CODE);
        wrong += trap.ss != (is_amd() ? SEL_UDATA : SEL_DATA);
        wrong += trap.rip != (is_amd() ? 0x800000000000ull : (uint64_t)(uintptr_t)sysret_insn);
    }
    check("sysret-to-nowhere", wrong, 0);
}

/* --- where interrupts come ------------------------------------------------------------------ */

static volatile uint64_t seen_rip;
static volatile uint32_t seen_count, timer_count;

asm(".text\n"
    "event_entry: push %rax; mov 8(%rsp), %rax; mov %rax, seen_rip; incl seen_count\n"
    "mov $0x402000b0, %eax; movl $0, (%rax); pop %rax; iretq\n"
    "timer_entry: push %rax; push %rcx; push %r9; mov $-1, %rcx; mov %rcx, %r9\n"
    "add %rcx, %r9; incl timer_count; mov $0x402000b0, %eax; movl $0, (%rax)\n"
    "pop %r9; pop %rcx; pop %rax; iretq\n"
    /* Each enables interrupts with one pending; it must come at the label of its name. */
    "by_iret: mov %rsp, %rax; push $0x10; push %rax; push $0x202; push $8; push $at_iret; iretq\n"
    "at_iret: cli; ret\n"
    "by_iret_here: mov %rsp, %rax; push $0x10; push %rax; push $0x202; push $8\n"
    "push $at_iret_here; mov $3, %ecx; 1: dec %ecx; jnz 1b; iretq\n"
    ".balign 64; at_iret_here: nop; cli; ret\n"
    "by_popf: push $0x202; popfq\n"
    "at_popf: nop; cli; ret\n"
    "by_sti: sti; nop\n"
    "at_sti: nop; cli; ret\n"
    "by_sti_jump: sti; jmp at_sti_jump; nop\n"
    "at_sti_jump: nop; cli; ret\n"
    "by_sti_branch: xor %eax, %eax; sti; jz at_sti_branch; nop\n"
    "at_sti_branch: nop; cli; ret\n"
    "by_sti_call: sti; call at_sti_call; ret\n"
    "at_sti_call: cli; ret\n"
    "by_sti_ret: push $at_sti_ret; sti; ret\n"
    "at_sti_ret: cli; ret\n"
    "by_sti_far: push $8; push $at_sti_far; sti; lretq\n"
    "at_sti_far: nop; cli; ret\n"
    "by_sti_load: sti; mov by_iret, %eax\n"
    "at_sti_load: nop; cli; ret\n"
    "by_sti_sti: sti; sti\n"
    "at_sti_sti: nop; cli; ret\n"
    /* No interrupt may come between these. */
    "by_sti_cli: sti; cli; nop; mov $5, %ecx; 1: dec %ecx; jnz 1b\n"
    "push $0x202; popfq\n"
    "at_sti_cli: nop; cli; ret\n");

#define PLACE(name)                                                                                \
    extern char by_##name[], at_##name[]
PLACE(iret);
PLACE(iret_here);
PLACE(popf);
PLACE(sti);
PLACE(sti_jump);
PLACE(sti_branch);
PLACE(sti_call);
PLACE(sti_ret);
PLACE(sti_far);
PLACE(sti_load);
PLACE(sti_sti);
PLACE(sti_cli);
extern char event_entry[], timer_entry[];

static volatile uint32_t *apic(unsigned reg)
{
    return (volatile uint32_t *)(APIC + reg);
}

/* An interrupt for this CPU that is pending when this returns. */
static void raise_pending(void)
{
    *apic(0x300) = 0x40000 | VECTOR; /* fixed, to self */
    while (!(*apic(0x200 + VECTOR / 32 * 16) & 1u << VECTOR % 32)) {
    }
}

static void test_places(void)
{
    static const struct {
        const char *name;
        char *code, *place;
    } places[] = {
        {"at-iret", by_iret, at_iret}, {"at-iret-far-away", by_iret_here, at_iret_here},
        {"at-popf", by_popf, at_popf}, {"behind-sti", by_sti, at_sti},
        {"behind-sti-jump", by_sti_jump, at_sti_jump},
        {"behind-sti-branch", by_sti_branch, at_sti_branch},
        {"behind-sti-call", by_sti_call, at_sti_call}, {"behind-sti-ret", by_sti_ret, at_sti_ret},
        {"behind-sti-far", by_sti_far, at_sti_far}, {"behind-sti-load", by_sti_load, at_sti_load},
        {"behind-sti-sti", by_sti_sti, at_sti_sti}, {"not-before-cli", by_sti_cli, at_sti_cli},
    };

    for (unsigned i = 0; i < ARRAY_SIZE(places); i++) {
        unsigned wrong = 0;

        if (places[i].code == by_sti_branch && !by_sdm()) {
            continue; /* QEMU is late */
        }
        for (unsigned n = 1; n <= HOT; n++) {
            seen_count = 0;
            if (n % 4 != 0) { /* and often without one */
                raise_pending();
            }
            call(places[i].code, 0);
            wrong += seen_count != (n % 4 != 0);
            wrong += n % 4 != 0 && seen_rip != (uint64_t)(uintptr_t)places[i].place;
        }
        check(places[i].name, wrong, 0);
    }
}

/* --- a storm of interrupts ------------------------------------------------------------------ */

asm(".text\n"
    /* Flags live over loads and stores, R8 to R11, the stack, and a chain of branches. */
    "storm_code: push %rbx; push %r12; xor %eax, %eax; mov $7, %r8; mov $1000, %ecx\n"
    "lea storm_data(%rip), %rsi; clc\n"
    "1: adc %rcx, %rax; mov (%rsi), %r9; lea 1(%r9), %r9; mov %r9, (%rsi); adc %r8, %rax\n"
    "push %rax; pop %rbx; lea (%rbx,%r9), %r10; push %r10; mov (%rsp), %r11\n"
    "lea 8(%rsp), %rsp; mov %r11, %rax; rcl $1, %r8; dec %ecx; jnz 1b\n"
    "pop %r12; pop %rbx; ret\n"
    /* A loop of one block over memory. */
    "storm_sum: lea storm_data(%rip), %rsi; mov $2000, %ecx; xor %eax, %eax\n"
    "1: add 8(%rsi), %rax; add 16(%rsi), %rax; ror $3, %rax; dec %ecx; jnz 1b; ret\n"
    /* A copy of 64 KiB and back. */
    "storm_copy: mov $0x600000, %edi; mov $0x500000, %esi; mov $0x2000, %ecx; rep movsq\n"
    "mov $0x600000, %esi; mov $0x10000, %ecx; xor %eax, %eax; mov %rax, %rdx\n"
    "1: movzbl -1(%rsi,%rcx), %edx; add %rdx, %rax; dec %ecx; jnz 1b; ret\n");
extern char storm_code[], storm_sum[], storm_copy[];
uint64_t storm_data[4] = {0, 0x123456789abcdef, 0xfedcba987654321};

static uint64_t storm_answer(const void *code)
{
    storm_data[0] = 0;
    return call(code, 0);
}

static void test_storm(void)
{
    const void *const codes[] = {storm_code, storm_sum, storm_copy};
    const uint32_t periods[] = {3000, 20000, 77777};
    unsigned wrong = 0, runs = 0;

    for (unsigned i = 0; i < 0x10000; i++) {
        ((volatile uint8_t *)0x500000)[i] = (uint8_t)(i * 7);
    }
    for (unsigned i = 0; i < 3; i++) {
        for (unsigned k = 0; k < 3; k++) {
            uint64_t want = storm_answer(codes[i]);
            uint32_t until = timer_count + 200;

            *apic(0x320) = 0x20000 | TIMER_VECTOR;
            *apic(0x3e0) = 0xb;
            *apic(0x380) = periods[k];
            asm volatile("sti");
            while (timer_count < until) {
                wrong += storm_answer(codes[i]) != want;
                runs++;
            }
            asm volatile("cli");
            *apic(0x380) = 0;
        }
    }
    check("storm", wrong, 0);
    check("storm-came", timer_count >= 9 * 200 && runs >= 9, 1);
}

/* --- code in devices ------------------------------------------------------------------------ */

/* Nothing is there: bytes FF FF, which are undefined. */
static void fetch_hole(void)
{
    ((void (*)(void))(uintptr_t)0x3f000000)();
}

/* What registers of the APIC are as code is nobody's business, but it must come to an end. */
static void fetch_apic(void)
{
    ((void (*)(void))(uintptr_t)(APIC + 0x30))();
}

asm(".text; rom_code: lea 1(%rdi,%rdi,4), %rax; ret\n");
extern char rom_code[];

/* The memory of a VGA at A0000h as plain bytes (chain 4). */
static void show_memory(void)
{
    static const uint8_t registers[][3] = {
        {0xc4, 2, 0x0f}, {0xc4, 4, 0x0e}, {0xce, 1, 0}, {0xce, 3, 0}, {0xce, 5, 0x40},
        {0xce, 6, 0x05}, {0xce, 8, 0xff},
    };

    outb(0x3c2, 0x03);
    for (unsigned i = 0; i < ARRAY_SIZE(registers); i++) {
        outb(0x300 + registers[i][0], registers[i][1]);
        outb(0x301 + registers[i][0], registers[i][2]);
    }
}

/* What is kept in the memory of a display, if there is one, runs from there, and changes. */
static void test_display(void)
{
    uint8_t *code = (uint8_t *)0xa0000;
    unsigned wrong = 0;

    show_memory();
    place_answer((uint64_t)(uintptr_t)code, 0x01020304);
    if (!by_sdm() || *(volatile uint32_t *)(code + 1) != 0x01020304 || code[5] != 0xc3) {
        skip("code-in-a-display");
        return;
    }
    for (unsigned n = 0; n < HOT; n++) {
        *(volatile uint32_t *)(code + 1) = n;
        wrong += call(code, 0) != n;
    }
    check("code-in-a-display", wrong, 0);
}

static void test_devices(void)
{
    unsigned wrong = 0, ended = 0;

    if (!by_sdm()) { /* QEMU finds zeros in a hole, and gives up in a device */
        skip("code-in-devices");
        return;
    }
    for (unsigned n = 0; n < HOT; n++) {
        wrong += try_call(fetch_hole) != 6 || trap.rip != 0x3f000000;
        ended += try_call(fetch_apic) != 1000;
    }
    check("code-in-a-hole", wrong, 0);
    check("code-in-apic", ended, HOT);
}

/* The ROM that all this was copied from: code there stays what it is, whatever is written to it. */
static void test_rom(void)
{
    uint8_t *rom = (uint8_t *)((uintptr_t)rom_code - 0x20000 + 0xe0000);
    unsigned wrong = 0;

    for (unsigned n = 0; n < HOT; n++) {
        wrong += call(rom, n) != 5 * n + 1;
        *(volatile uint8_t *)rom = 0xcc;
    }
    check("code-in-rom", wrong, 0);
}

/* The device writes what the very block goes on with, behind its OUT. */
static void test_dma_into_own_block(void)
{
    static const uint8_t code[] = {
        0x66, 0xba, 0x18, 0x05,       /* mov dx, 0x518: fw_cfg's DMA address, low half */
        0x89, 0xf8, 0xef,             /* mov eax, edi; out dx, eax */
        0xb8, 0x11, 0x11, 0x11, 0x11, /* mov eax, ... */
        0xc3,
    };
    static volatile struct {
        uint32_t control, length;
        uint64_t address;
    } request;
    uint8_t *at = (uint8_t *)SPARE(PAGE_CODE);
    unsigned wrong = 0;

    if (!by_sdm()) {
        skip("dma-into-own-block");
        return;
    }
    memcpy(at, code, sizeof(code));
    for (unsigned n = 0; n < HOT; n++) {
        *(volatile uint32_t *)(at + 8) = n;
        request.control = __builtin_bswap32(0 << 16 | 8 | 2); /* select the signature, read */
        request.length = __builtin_bswap32(4);
        request.address = __builtin_bswap64((uint64_t)(uintptr_t)at + 8);
        asm volatile("outl %0, %1" : : "a"(0), "d"((uint16_t)0x514) : "memory");
        wrong += call(at, __builtin_bswap32((uint32_t)(uintptr_t)&request)) != 0x554d4551;
    }
    check("dma-into-own-block", wrong, 0);
}

/* REP MOVSB over the instruction behind it, and over itself. */
static void test_string_over_own_block(void)
{
    static const uint8_t code[] = {0xf3, 0xa4, 0xb8, 0, 0, 0, 0, 0xc3, 0xf3, 0xa4, 0xc3};
    uint8_t *at = (uint8_t *)SPARE(PAGE_CODE), source[16];
    unsigned wrong = 0;

    memcpy(at, code, sizeof(code));
    for (unsigned n = 0; n < HOT; n++) {
        uint64_t answer, to = (uint64_t)(uintptr_t)at + 2, from = (uint64_t)(uintptr_t)source;
        uint64_t count = 6;

        place_answer(from, n / 3);
        asm volatile("call *%4"
                     : "=a"(answer), "+D"(to), "+S"(from), "+c"(count) : "r"(at) : "memory");
        wrong += answer != n / 3 || count != 0 || from != (uint64_t)(uintptr_t)source + 6;
        to = (uint64_t)(uintptr_t)at + 8;
        from = (uint64_t)(uintptr_t)(code + 8);
        count = 3;
        asm volatile("call *%3" : "+D"(to), "+S"(from), "+c"(count) : "r"(at + 8) : "memory");
        wrong += count != 0 || to != (uint64_t)(uintptr_t)at + 11;
    }
    check("string-over-own-block", wrong, 0);
}

static void load_into_hole(void)
{
    asm volatile("rep lodsb" : : "S"(TEST_PAGE(9) - 5), "c"(9ull), "a"(0x1100ull) : "memory");
}

/* REP LODSB comes as far as there are bytes, and has the last of them in AL. */
static void test_string_into_hole(void)
{
    unsigned wrong = 0;

    set_pte(8, SPARE(PAGE_STACKS) | P | W);
    set_pte(9, 0);
    for (unsigned n = 0; n < HOT; n++) {
        ((volatile uint8_t *)TEST_PAGE(9))[-1] = (uint8_t)n;
        wrong += try_call(load_into_hole) != 14 || trap.cr2 != TEST_PAGE(9) || trap.rcx != 4;
        wrong += trap.rsi != TEST_PAGE(9) || trap.rax != (0x1100 | (n & 0xff));
    }
    check("string-into-a-hole", wrong, 0);
}

/* --- calls and returns ------------------------------------------------------------------------ */

asm(".text\n"
    "on_stack: push %rbx; mov %rsp, %rbx; mov %rdi, %rsp; mov %rsi, %rdi; call *%rdx\n"
    "mov %rbx, %rsp; pop %rbx; ret\n"
    "down: test %rdi, %rdi; jz 1f; push %rdi; dec %rdi; call across; pop %rdi\n"
    "add %rdi, %rax; ret\n"
    "1: xor %eax, %eax; ret\n"
    "across: push %rbp; mov %rsp, %rbp; call down; leave; ret\n"
    /* A program of returns: RDI is its stack; its last step comes back. */
    "chain: mov %rsp, %r11; xor %eax, %eax; mov %rdi, %rsp; ret\n"
    "chain_add: add $3, %rax; ret\n"
    "chain_double: add %rax, %rax; ret\n"
    "chain_skip: lea 8(%rsp), %rsp; inc %rax; ret\n"
    "chain_end: mov %r11, %rsp; ret\n"
    /* Calls that do not return, returns to other places than were called from. */
    "unmatched: call 1f; mov $1, %eax; ret; 1: pop %rcx; call 2f; add $7, %eax; ret\n"
    "2: addq $3, (%rsp); mov $40, %eax; ret\n"
    "double_return: call 1f; ret; 1: add $8, %rsp; mov $9, %eax; ret\n");
uint64_t on_stack(uint64_t stack, uint64_t argument, const void *function);
extern char down[], chain[], chain_add[], chain_double[], chain_skip[], chain_end[], unmatched[],
    double_return[];

static void test_recursion(void)
{
    const uint64_t n = 100000;
    unsigned wrong = 0;

    for (unsigned round = 0; round < 6; round++) {
        wrong += on_stack(DEEP - round * 24, n, down) != n * (n + 1) / 2;
    }
    check("deep-recursion", wrong, 0);
}

static void test_chain(void)
{
    uint64_t *stack = (uint64_t *)SPARE(PAGE_STACKS);
    unsigned wrong = 0;

    for (unsigned n = 0; n < HOT; n++) {
        uint64_t want = 0;
        unsigned at = 0;

        for (unsigned i = 0; i < 200; i++) {
            unsigned step = (n + i * i) % 5;

            if (step < 2) {
                stack[at++] = (uint64_t)(uintptr_t)chain_add;
                want += 3;
            } else if (step < 4) {
                stack[at++] = (uint64_t)(uintptr_t)chain_double;
                want += want;
            } else {
                stack[at++] = (uint64_t)(uintptr_t)chain_skip;
                stack[at++] = 1; /* skipped */
                want++;
            }
        }
        stack[at++] = (uint64_t)(uintptr_t)chain_end;
        wrong += call(chain, (uint64_t)(uintptr_t)stack) != want;
        wrong += call(unmatched, 0) != 40;
        wrong += call(double_return, 0) != 9;
    }
    check("returns-that-match-no-call", wrong, 0);
}

/* --- pages ---------------------------------------------------------------------------------- */

/* Code whose own page-table entry it changes: it goes on in another page. */
static void test_own_entry(void)
{
    static const uint8_t code[] = {
        0x48, 0x89, 0x3e,             /* mov [rsi], rdi */
        0x0f, 0x01, 0x3a,             /* invlpg [rdx] */
        0xb8, 0x01, 0x00, 0x00, 0x00, /* mov eax, 1, or 2 in the other page */
        0xc3,
    };
    uint8_t *first = (uint8_t *)SPARE(PAGE_CODE), *second = (uint8_t *)SPARE(PAGE_CODE2);
    unsigned wrong = 0;

    memcpy(first, code, sizeof(code));
    memcpy(second, code, sizeof(code));
    second[7] = 2;
    for (unsigned n = 0; n < HOT; n++) {
        uint64_t to = SPARE(n & 1 ? PAGE_CODE : PAGE_CODE2) | P | W, answer;

        set_pte(5, SPARE(n & 1 ? PAGE_CODE2 : PAGE_CODE) | P | W);
        asm volatile("call *%4"
                     : "=a"(answer), "+D"(to)
                     : "S"(&TEST_PTE(5)), "d"(TEST_PAGE(5)), "r"(TEST_PAGE(5)) : "memory");
        wrong += answer != (n & 1 ? 1 : 2);
    }
    check("code-that-remaps-itself", wrong, 0);
}

/* Code in the page table that maps it. */
static void test_in_own_table(void)
{
    volatile uint64_t *table = (volatile uint64_t *)SPARE(PAGE_TABLE);
    unsigned wrong = 0;

    memset((void *)table, 0, 4096);
    table[1] = SPARE(PAGE_TABLE) | P | W; /* itself */
    TEST_PDE(3) = SPARE(PAGE_TABLE) | P | W;
    place_answer(SPARE(PAGE_TABLE) + 2048, 7);
    for (unsigned n = 0; n < HOT; n++) {
        volatile uint64_t *window = (volatile uint64_t *)(TEST_BASE + 0x600000 + 4096);
        const void *code = (const void *)(TEST_BASE + 0x600000 + 4096 + 2048);

        wrong += call(code, 0) != 7 + n;
        window[2] = SPARE(PAGE_STACKS) | P | W; /* an entry, by the mapping that it is in */
        *(volatile uint32_t *)(TEST_BASE + 0x600000 + 8192) = n;
        wrong += !(window[2] & D) || !(window[1] & A);
        *(volatile uint32_t *)((uintptr_t)code + 1) = 8 + n;
        window[2] = 0;
        asm volatile("invlpg (%0)" : : "r"(TEST_BASE + 0x600000 + 8192) : "memory");
    }
    TEST_PDE(3) = 0;
    WRITE_CR(3, READ_CR(3));
    check("code-in-its-own-table", wrong, 0);
}

static void call_flipped(void)
{
    ((void (*)(void))(uintptr_t)TEST_PAGE(6))();
}

/* Executable, then writable data, then executable: as programs that generate code do. */
static void test_flipped(void)
{
    volatile uint32_t *data = (volatile uint32_t *)TEST_PAGE(6);
    unsigned wrong = 0;

    for (unsigned n = 0; n < HOT; n++) {
        set_pte(6, SPARE(PAGE_CODE) | P | W | NX);
        place_answer(TEST_PAGE(6), n);
        data[64] = n;
        wrong += try_call(call_flipped) != 14 || trap.error != 0x11 || trap.cr2 != TEST_PAGE(6);
        set_pte(6, SPARE(PAGE_CODE) | P);
        wrong += call((const void *)TEST_PAGE(6), 0) != n;
        wrong += call((const void *)SPARE(PAGE_CODE), 0) != n;
        wrong += TRAP(data[64] = 0) != 14 || data[64] != n;
    }
    check("code-and-data-by-turns", wrong, 0);
}

/* One page that the kernel and a user run, and that each of them changes. */
static void run_as_user(void)
{
    asm volatile("mov %0, %%rax; call *%%rax; int $0x80" : : "r"(TEST_PAGE(7)) : "rax", "memory");
}

static void test_shared_with_user(void)
{
    unsigned wrong = 0;

    set_pte(7, SPARE(PAGE_CODE) | P | W | U);
    for (unsigned n = 0; n < HOT; n++) {
        place_answer(SPARE(PAGE_CODE), n);
        wrong += user_call(run_as_user, 2) != 0x80 || trap.rax != n;
        wrong += call((const void *)SPARE(PAGE_CODE), 0) != n;
        wrong += USER(*(volatile uint32_t *)(TEST_PAGE(7) + 1) = 0x55) != 0x80;
        wrong += call((const void *)SPARE(PAGE_CODE), 0) != 0x55;
        wrong += user_call(run_as_user, 2) != 0x80 || trap.rax != 0x55;
    }
    check("code-of-kernel-and-user", wrong, 0);
}

/* The operand of an instruction is a program too, and changes. */
static void test_overlapping(void)
{
    static const uint8_t code[] = {
        0x48, 0xb8,                                     /* mov rax, what follows */
        0x6a, 0x01, 0x58, 0xeb, 0x00, 0xc3, 0x90, 0x90, /* push 1; pop rax; jmp next; ret */
        0xc3,
    };
    const uint64_t answer = 0x9090c300eb58016aull;
    uint8_t *at = (uint8_t *)SPARE(PAGE_CODE2) + 200;
    unsigned wrong = 0;

    memcpy(at, code, sizeof(code));
    for (unsigned n = 0; n < HOT; n++) {
        wrong += call(at, 0) != answer;
        wrong += call(at + 2, 0) != 1;
        at[3] = (uint8_t)(n & 0x7f);
        wrong += call(at + 2, 0) != (n & 0x7f);
        wrong += call(at, 0) != ((answer & ~0xff00ull) | (n & 0x7f) << 8);
        at[3] = 1;
    }
    check("overlapping-programs", wrong, 0);
}

void main(void);
void main(void)
{
    TEST_PDE(1) = 0xfee00000 | P | W | PS;
    WRITE_CR(3, READ_CR(3));
    *apic(0xf0) = 0x1ff;
    idt[VECTOR] = gate(SEL_CODE, (uint64_t)(uintptr_t)event_entry, 0x8e, 0);
    idt[TIMER_VECTOR] = gate(SEL_CODE, (uint64_t)(uintptr_t)timer_entry, 0x8e, 0);
    test_direct_stores();
    test_sysret();
    test_places();
    test_storm();
    test_devices();
    test_display();
    test_rom();
    test_dma_into_own_block();
    test_string_over_own_block();
    test_string_into_hole();
    test_recursion();
    test_chain();
    test_own_entry();
    test_in_own_table();
    test_flipped();
    test_shared_with_user();
    test_overlapping();
}
