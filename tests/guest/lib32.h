/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Bare-metal support for 16- and 32-bit tests: flat protected mode, a trap catcher, privilege 3,
 * virtual-8086 mode, and calls into real mode.
 */
#ifndef TESTS_GUEST_LIB32_H
#define TESTS_GUEST_LIB32_H

#include "report.h"

enum {
    SEL_CODE = 0x08, SEL_DATA = 0x10, SEL_UCODE = 0x1b, SEL_UDATA = 0x23, SEL_TSS = 0x28,
    SEL_CODE16 = 0x30, SEL_DATA16 = 0x38,
    SEL_FREE = 0x40, /* from here on tests put their own */
};

enum { NO_TRAP = 0xffffffff };

typedef struct Frame {
    uint32_t gs, fs, es, ds;
    uint32_t edi, esi, ebp, esp, ebx, edx, ecx, eax;
    uint32_t vector, error, eip, cs, eflags, esp3, ss3, es86, ds86, fs86, gs86;
} Frame;

typedef struct Tss {
    uint32_t link, esp0, ss0, esp1, ss1, esp2, ss2, cr3, eip, eflags;
    uint32_t eax, ecx, edx, ebx, esp, ebp, esi, edi;
    uint32_t es, cs, ss, ds, fs, gs, ldt;
    uint16_t trap, iomap;
} __attribute__((packed)) Tss;

typedef struct TableRegister {
    uint16_t limit;
    uint32_t base;
} __attribute__((packed)) TableRegister;

extern uint64_t gdt[128], idt[256];
extern Tss tss;
/* Redirection bitmap and I/O bitmap lie right behind the TSS, all ones. */
#define TSS_REDIRECT ((uint8_t *)(&tss + 1))
#define TSS_IOMAP (TSS_REDIRECT + 32)
extern Frame trap;             /* of the last caught trap */
extern uint32_t trap_count;
extern int (*trap_hook)(Frame *frame); /* true: resume */

/* Runs @fn; the vector of the trap that ended it, or NO_TRAP. */
uint32_t try_call(void (*fn)(void));
/* The same at privilege 3 with @eflags; @fn ends with a trap, INT 0x80 if all is well. */
uint32_t user_call(void (*fn)(void), uint32_t eflags);
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
/* Virtual-8086 mode at 1000:@ip of .text16, stack 8000:8000, with @eflags; ends by a trap. */
uint32_t v86_call(uint16_t ip, uint32_t eflags);

#define CODE_ACCESS 0x9b
#define DATA_ACCESS 0x93
/* A segment descriptor; @flags has G (8), D/B (4), L (2), AVL (1). */
uint64_t segment(uint32_t base, uint32_t limit, unsigned access, unsigned flags);
uint64_t gate(uint16_t selector, uint32_t offset, unsigned access, unsigned parameters);
/* Stub of vector @n. */
uint32_t stub_address(unsigned n);
void idt_reset(void);
void gdt_reset(void);

/* Real mode: registers go in, come out; @ip is an address in .text16 (segment 1000h). */
typedef struct RealRegs {
    uint32_t eax, ebx, ecx, edx, esi, edi, ebp, eflags;
    uint16_t ds, es, ss, cs;
    uint16_t vector;       /* of an unexpected interrupt, ffff if none */
    uint16_t trap_ip, trap_cs, trap_flags;
    uint32_t esp;
} RealRegs;
#define REAL_REGS ((volatile RealRegs *)0x600)
void real_call(uint32_t address);

/* Code for .text16 under a label; real-mode pieces end with REAL_RETURN. */
#define CODE16(name, text)                                                                         \
    extern char name[];                                                                            \
    asm(".pushsection .text16, \"ax\"\n.code16\n" #name ":\n" text "\n.code32\n.popsection")
#define REAL_RETURN "\njmp real_return\n"

static inline uint32_t read_cr0(void)
{
    uint32_t value;

    asm volatile("mov %%cr0, %0" : "=r"(value));
    return value;
}
static inline void write_cr0(uint32_t value)
{
    asm volatile("mov %0, %%cr0" : : "r"(value) : "memory");
}
static inline uint32_t read_cr4(void)
{
    uint32_t value;

    asm volatile("mov %%cr4, %0" : "=r"(value));
    return value;
}
static inline void write_cr4(uint32_t value)
{
    asm volatile("mov %0, %%cr4" : : "r"(value) : "memory");
}
static inline uint32_t read_cr2(void)
{
    uint32_t value;

    asm volatile("mov %%cr2, %0" : "=r"(value));
    return value;
}
static inline void write_cr3(uint32_t value)
{
    asm volatile("mov %0, %%cr3" : : "r"(value) : "memory");
}

#endif
