/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Bare-metal support for long mode: trap catcher, privilege 3, compatibility mode, test pages. The
 * first GiB is mapped 1:1 for the supervisor and at USER_BASE for users; TEST_PAGE(n) are 4 KiB
 * pages whose entries TEST_PTE(n) a test may write.
 */
#ifndef TESTS_GUEST_LIB64_H
#define TESTS_GUEST_LIB64_H

#include "report.h"

enum {
    SEL_CODE = 0x08, SEL_DATA = 0x10, SEL_UCODE32 = 0x1b, SEL_UDATA = 0x23, SEL_UCODE = 0x2b,
    SEL_TSS = 0x30, SEL_CODE32 = 0x40, SEL_FREE = 0x48,
};
enum { NO_TRAP = 0xffffffff };
#define USER_BASE 0x80000000ull
#define TEST_BASE 0x40000000ull
#define TEST_PAGE(n) (TEST_BASE + (n) * 4096ull)
#define TEST_PTE(n) (((volatile uint64_t *)0x104000)[n])
#define TEST_PDE(n) (((volatile uint64_t *)0x103000)[n])
#define PDPTE(n) (((volatile uint64_t *)0x101000)[n])
#define PML4E(n) (((volatile uint64_t *)0x100000)[n])
/* Physical pages that nothing else uses. */
#define SPARE(n) (0x200000ull + (n) * 4096ull)

enum { P = 1, W = 2, U = 4, A = 0x20, D = 0x40, PS = 0x80, G = 0x100 };
#define NX (1ull << 63)

typedef struct Frame {
    uint64_t r15, r14, r13, r12, r11, r10, r9, r8, rdi, rsi, rbp, rbx, rdx, rcx, rax;
    uint64_t vector, error, rip, cs, rflags, rsp, ss;
    uint64_t cr2, handler_rsp;
} Frame;

typedef struct Tss {
    uint32_t reserved0;
    uint64_t rsp[3];
    uint64_t reserved1;
    uint64_t ist[7];
    uint64_t reserved2;
    uint16_t reserved3, iomap;
} __attribute__((packed)) Tss;

typedef struct Gate {
    uint64_t low, high;
} Gate;

extern uint64_t gdt[128];
extern Gate idt[256];
extern Tss tss;
extern Frame trap;
extern int (*trap_hook)(Frame *frame);

uint32_t try_call(void (*fn)(void));
uint32_t user_call(void (*fn)(void), uint64_t rflags);
uint32_t compat_call(const char *code, uint64_t rflags);
void compat_kernel(const char *code);
#define TRAP(...) ({ void trap_body_(void) { __VA_ARGS__; } try_call(trap_body_); })
#define USER(...) ({ void user_body_(void) { __VA_ARGS__; asm volatile("int $0x80"); } \
                      user_call(user_body_, 2); })
#define USER_FLAGS(flags, ...)                                                                     \
    ({                                                                                             \
        void user_body_(void)                                                                      \
        {                                                                                          \
            __VA_ARGS__;                                                                           \
            asm volatile("int $0x80");                                                             \
        }                                                                                          \
        user_call(user_body_, (flags));                                                            \
    })
#define CODE32(name, text)                                                                         \
    extern char name[];                                                                            \
    asm(".pushsection .text\n.code32\n" #name ":\n" text "\n.code64\n.popsection")

Gate gate(uint16_t selector, uint64_t offset, unsigned access, unsigned ist);
uint64_t stub_address(unsigned n);
void idt_reset(void);
uint64_t segment(uint32_t base, uint32_t limit, unsigned access, unsigned flags);
/* "NAME" with vector and error code; for #PF the address too. */
void check_fault(const char *name, uint32_t got, uint32_t vector, uint32_t error);
void check_pf(const char *name, uint32_t got, uint32_t error, uint64_t address);
void set_pte(unsigned n, uint64_t value);

/*
 * The way of another CPU into long mode, at the label ap64, from a start-up message, for which
 * ap_start to ap_start_end is copied below 1 MiB.
 */
#define AP_START                                                                                   \
    ".text\n.code16\n"                                                                             \
    "ap_start: cli; mov %cs, %ax; mov %ax, %ds; lgdtl ap_gdtr - ap_start\n"                        \
    "mov %cr0, %eax; or $1, %al; mov %eax, %cr0; ljmpl $0x40, $ap32\n"                             \
    "ap_gdtr: .word 0x3ff; .long gdt\n"                                                            \
    "ap_start_end:\n"                                                                              \
    ".code32\n"                                                                                    \
    "ap32: mov $0x10, %eax; mov %eax, %ds; mov %eax, %ss; mov %eax, %es\n"                         \
    "mov %cr4, %eax; or $0x20, %eax; mov %eax, %cr4\n"                                             \
    "mov $0x100000, %eax; mov %eax, %cr3\n"                                                        \
    "mov $0xc0000080, %ecx; rdmsr; or $0x901, %eax; wrmsr\n"                                       \
    "mov %cr0, %eax; or $0x80010000, %eax; and $0x9fffffff, %eax; mov %eax, %cr0\n"                \
    "ljmp $8, $ap64\n"                                                                             \
    ".code64\n"

static inline uint64_t read_msr(uint32_t msr)
{
    uint32_t low, high;

    asm volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(msr));
    return low | (uint64_t)high << 32;
}
static inline void write_msr(uint32_t msr, uint64_t value)
{
    asm volatile("wrmsr"
                 :
                 : "c"(msr), "a"((uint32_t)value), "d"((uint32_t)(value >> 32))
                 : "memory");
}
static inline void cpuid(uint32_t leaf, uint32_t subleaf, uint32_t out[4])
{
    asm volatile("cpuid" : "=a"(out[0]), "=b"(out[1]), "=c"(out[2]), "=d"(out[3])
                 : "a"(leaf), "c"(subleaf));
}
#define READ_CR(n) ({ uint64_t v_; asm volatile("mov %%cr" #n ", %0" : "=r"(v_)); v_; })
#define WRITE_CR(n, v) asm volatile("mov %0, %%cr" #n : : "r"((uint64_t)(v)) : "memory")
#define READ_DR(n) ({ uint64_t v_; asm volatile("mov %%dr" #n ", %0" : "=r"(v_)); v_; })
#define WRITE_DR(n, v) asm volatile("mov %0, %%dr" #n : : "r"((uint64_t)(v)) : "memory")

#endif
