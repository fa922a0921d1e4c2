/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Debug registers, single stepping, RF; code that changes itself; string and port instructions that
 * are interrupted or fault; #DF.
 */
#include "lib32.h"

#define READ_DR(n) ({ uint32_t v_; asm volatile("mov %%dr" #n ", %0" : "=r"(v_)); v_; })
#define WRITE_DR(n, v) asm volatile("mov %0, %%dr" #n : : "r"(v) : "memory")

static volatile uint32_t word;
static unsigned traps;
static uint32_t trap_eip[8], trap_dr6[8];

static int note_hook(Frame *frame)
{
    if (frame->vector != 1) {
        return 0;
    }
    if (traps < 8) {
        trap_eip[traps] = frame->eip;
        trap_dr6[traps] = READ_DR(6);
    }
    traps++;
    WRITE_DR(6, 0xffff0ff0);
    if (frame->eflags & 0x100 && traps >= 8) {
        frame->eflags &= ~0x100;
    }
    frame->eflags |= 0x10000; /* RF: past an instruction breakpoint */
    return 1;
}

static void begin(void)
{
    traps = 0;
    trap_hook = note_hook;
    WRITE_DR(6, 0xffff0ff0);
}

static void end(void)
{
    WRITE_DR(7, 0x400);
    trap_hook = NULL;
}

static void test_breakpoints(void)
{
    uint32_t at;

    begin();
    asm volatile("movl $1f, %0" : "=r"(at));
    asm volatile("movl $dbg_at, %%eax; mov %%eax, %%dr0; mov $0x401, %%eax; mov %%eax, %%dr7; nop; "
                 "dbg_at: nop; nop; 1:"
                 :
                 :
                 : "eax");
    check("dr-execute-count", traps, 1);
    check("dr-execute-dr6", trap_dr6[0] & 0xf, 1);
    extern char dbg_at[];
    check("dr-execute-eip", trap_eip[0], (uint32_t)dbg_at);
    begin();
    WRITE_DR(1, (uint32_t)&word);
    WRITE_DR(7, 0x400 | 1 << 2 | 0xd << 20);
    asm volatile("movl $5, %0; dbg_after: nop" : "=m"(word));
    extern char dbg_after[];
    check("dr-write-count", traps, 1);
    check("dr-write-dr6", trap_dr6[0] & 0xf, 2);
    check("dr-write-eip", trap_eip[0], (uint32_t)dbg_after);
    (void)word;
    check("dr-write-not-read", traps, 1);
    WRITE_DR(7, 0x400 | 1 << 2 | 0xf << 20);
    begin();
    asm volatile("movl %0, %%eax; nop" : : "m"(word) : "eax");
    check("dr-access-count", traps, 1);
    begin();
    asm volatile("movb $1, %0; nop" : "=m"(*((volatile uint8_t *)&word + 3)));
    check("dr-byte-in-range", traps, 1);
    begin();
    asm volatile("pushl $1; popl %%eax; nop" : : : "eax");
    check("dr-elsewhere", traps, 0);
    end();
    at++;
    check("mov-dr4-alias", TRAP(asm volatile("mov %%dr4, %%eax" : : : "eax")), NO_TRAP);
    write_cr4(read_cr4() | 8);
    check("mov-dr4-de", TRAP(asm volatile("mov %%dr4, %%eax" : : : "eax")), 6);
    write_cr4(read_cr4() & ~8);
    WRITE_DR(6, 0xffff0ff0);
    WRITE_DR(7, 0x2400);
    if (by_sdm()) {
        check("general-detect", TRAP(asm volatile("mov %%dr0, %%eax" : : : "eax")), 1);
        check("general-detect-dr6", READ_DR(6) & 0x2000, 0x2000);
        check("general-detect-off", READ_DR(7) & 0x2000, 0);
    }
    WRITE_DR(6, 0xffff0ff0);
    WRITE_DR(7, 0);
    check("dr7-fixed", READ_DR(7), 0x400);
    WRITE_DR(6, 0);
    check("dr6-fixed", READ_DR(6) & 0xffff0ff0, 0xffff0ff0);
}

static void test_single_step(void)
{
    extern char step_1[], step_2[];

    begin();
    asm volatile("pushf; orl $0x100, (%%esp); popf; nop; step_1: nop; step_2: pushf; andl $~0x100, "
                 "(%%esp); popf; nop"
                 :
                 :
                 : "cc");
    check("tf-first", trap_eip[0], (uint32_t)step_1);
    check("tf-second", trap_eip[1], (uint32_t)step_2);
    check("tf-dr6", trap_dr6[0] & 0x400f, 0x4000);
    check("tf-count", traps, 5);
    begin();
    asm volatile("pushf; orl $0x100, (%%esp); popf; mov $3, %%ecx; mov %0, %%edi; rep stosb; "
                 "step_rep: pushf; andl $~0x100, (%%esp); popf"
                 :
                 : "r"(&word)
                 : "cc", "ecx", "edi", "memory");
    check("tf-rep-iterations", traps, 2 + 3 + 3);
    begin();
    asm volatile("mov %%ss, %%eax; pushf; orl $0x100, (%%esp); popf; mov %%eax, %%ss; nop; "
                 "step_ss: pushf; andl $~0x100, (%%esp); popf"
                 :
                 :
                 : "cc", "eax");
    extern char step_ss[];
    check("tf-mov-ss-inhibits", trap_eip[0], (uint32_t)step_ss);
    begin();
    check("tf-int", TRAP(asm volatile("pushf; orl $0x100, (%esp); popf; int $0x80")), 0x80);
    check("tf-int-no-step", traps, 0);
    end();
    WRITE_DR(6, 0xffff0ff0);
    if (by_sdm()) {
        check("icebp", TRAP(asm volatile(".byte 0xf1; icebp_next:")), 1);
    }
    extern char icebp_next[];
    if (by_sdm()) {
        check("icebp-eip", trap.eip, (uint32_t)icebp_next);
    }
}

static void memcpy_string(void *to, const void *from, uint32_t n)
{
    asm volatile("rep movsb" : "+S"(from), "+D"(to), "+c"(n) : : "memory");
}

static void test_self_modifying(void)
{
    uint32_t result;

    /* The next instruction: processors see it at once (SDM 3A 11.6). */
    asm volatile("movb $2, smc_1 + 1; smc_1: mov $1, %0" : "=a"(result));
    check("smc-next", result & 0xff, 2);
    /* The same block, several instructions on. */
    asm volatile("movl $7, smc_2 + 1; nop; nop; nop; smc_2: movl $1, %0" : "=a"(result));
    check("smc-same-block", result, 7);
    /* A loop that changes its own constant each time. */
    asm volatile("xor %%edx, %%edx; mov $10, %%ecx; 1: smc_3: mov $1, %%eax; add %%eax, %%edx; "
                 "incl smc_3 + 1; loop 1b"
                 : "=d"(result)
                 :
                 : "eax", "ecx");
    check("smc-loop", result, 55);
    /* Code copied over code that has run. */
    static uint8_t code[16];
    uint32_t (*fn)(void) = (void *)code;
    for (unsigned i = 0; i < 5; i++) {
        code[0] = 0xb8;
        code[1] = i;
        code[2] = code[3] = code[4] = 0;
        code[5] = 0xc3;
        result = fn();
        if (result != i) {
            break;
        }
    }
    check("smc-rewritten", result, 4);
    /* By a string instruction, and an instruction across two pages. */
    uint8_t *page = (uint8_t *)0x201000 - 3;
    static const uint8_t ret_5[] = {0xb8, 5, 0, 0, 0, 0xc3}, ret_6[] = {0xb8, 5, 0, 6, 0, 0xc3};
    memcpy(page, ret_5, 6);
    check("smc-page-cross-before", ((uint32_t (*)(void))page)(), 5);
    memcpy_string(page, ret_6, 6);
    check("smc-page-cross-after", ((uint32_t (*)(void))page)(), 0x60005);
    page[4] = 1;
    check("smc-second-page", ((uint32_t (*)(void))page)(), 0x1060005);
    page[1] = 9;
    check("smc-first-page", ((uint32_t (*)(void))page)(), 0x1060009);
}

/* #GP while delivering #GP, and what pushes no error code. Handled by a task, since stacks are bad.
 */
static void test_double_fault(void)
{
    idt[13] = gate(SEL_CODE, stub_address(13), 0x0e, 0);
    check("gp-np-is-df", TRAP(asm volatile("mov %0, %%fs" : : "r"(0xfff8))), 8);
    check("df-error", trap.error, 0);
    idt[0] = gate(SEL_DATA, stub_address(0), 0x8e, 0);
    idt_reset();
    idt[0] = gate(SEL_DATA, stub_address(0), 0x8e, 0);
    check("de-gp-is-df",
          TRAP(asm volatile("xor %%ecx, %%ecx; div %%ecx"
                            :
                            :
                            : "eax", "ecx", "edx")),
          8);
    idt_reset();
    idt[3] = gate(SEL_DATA, stub_address(3), 0xee, 0);
    check("bp-gp-is-gp", TRAP(asm volatile("int3")), 13);
    idt_reset();
}

static void test_strings(void)
{
    uint32_t esi, ecx;
    static uint8_t a[16] = "abcdefghijklmno", b[16] = "abcdeFghijklmno";

    asm volatile("repe cmpsb" : "=S"(esi), "=c"(ecx) : "0"(a), "1"(15), "D"(b) : "cc");
    check("repe-cmps", (esi - (uint32_t)a) << 8 | ecx, 6 << 8 | 9);
    asm volatile("repne scasb" : "=D"(esi), "=c"(ecx) : "0"(a), "1"(15), "a"('d') : "cc");
    check("repne-scas", (esi - (uint32_t)a) << 8 | ecx, 4 << 8 | 11);
    asm volatile("rep stosb" : "=D"(esi), "=c"(ecx) : "0"(a), "1"(0), "a"('d') : "cc");
    check("rep-zero", esi, (uint32_t)a);
    asm volatile("std; rep movsb; cld"
                 : "=S"(esi), "=c"(ecx)
                 : "0"(b + 14), "1"(5), "D"(a + 15)
                 : "cc", "memory");
    check("std-movs", a[11] << 8 | a[15], 'k' << 8 | 'o');
    static const char text[] = "";
    asm volatile("rep outsb" : "=S"(esi), "=c"(ecx) : "0"(text), "1"(0), "d"(0xe9));
    check("rep-outs-zero", ecx, 0);
    uint8_t in[4] = {1, 1, 1, 1};
    asm volatile("rep insb" : "=D"(esi), "=c"(ecx) : "0"(in), "1"(2), "d"(0xe9) : "memory");
    check("rep-ins", in[0] << 8 | in[1], 0xe9e9);
    check("rep-ins-end", in[2], 1);
}

void main(void);
void main(void)
{
    test_breakpoints();
    test_single_step();
    test_self_modifying();
    test_double_fault();
    test_strings();
}
