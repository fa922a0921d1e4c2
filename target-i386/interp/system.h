/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the system families share: descriptors, frames pushed as a whole, transfers between
 * privilege levels, task switches. Nothing outside interp/ includes this.
 */
#ifndef TARGET_I386_INTERP_SYSTEM_H
#define TARGET_I386_INTERP_SYSTEM_H

#include "target-i386/interp/insn.h"

/* --- decode ------------------------------------------------------------------- */

/* True if the instruction carries the prefix byte @value. */
bool source_has_prefix(const InsnSource *src, uint8_t value);
/* Operand size in bytes by mode, 66 and REX.W, for instructions with no special default. */
unsigned source_operand_size(const InsnSource *src);
/* ModRM.reg and ModRM.rm as general register offsets, by REX. */
uint16_t source_reg(const InsnSource *src);
uint16_t source_rm(const InsnSource *src);
/* True if the CPU says it is AMD's (or Hygon's): the vendors differ on SYSCALL and SYSENTER. */
bool cpu_is_amd(X86CPU *cpu);

/* #GP(0) unless at privilege 0. */
static inline void cpu_require_cpl0(X86CPU *cpu)
{
    if (cpu->cpl != 0) {
        cpu_raise_gp(cpu, 0);
    }
}

/* Families that others hand mnemonics on to. */
INSN_FAMILY(mov_sreg);
INSN_FAMILY(push_pop_sreg);

/* --- descriptors ---------------------------------------------------------------- */

/* System descriptor types (SDM 3A table 3-2). */
enum {
    DESC_TSS16 = 1, DESC_LDT = 2, DESC_TSS16_BUSY = 3, DESC_CALL16 = 4, DESC_TASK_GATE = 5,
    DESC_INT16 = 6, DESC_TRAP16 = 7, DESC_TSS32 = 9, DESC_TSS32_BUSY = 11, DESC_CALL32 = 12,
    DESC_INT32 = 14, DESC_TRAP32 = 15,
};

/* Type bits of code and data segments (SDM 3A table 3-1). */
enum {
    DESC_ACCESSED = 1u << 0, DESC_WRITABLE = 1u << 1, DESC_READABLE = 1u << 1,
    DESC_EXPAND_DOWN = 1u << 2, DESC_CONFORMING = 1u << 2, DESC_CODE = 1u << 3,
};

/* A descriptor as it was read, and where. */
typedef struct Descriptor {
    uint64_t va;     /* linear address of its first byte */
    uint64_t raw;
    uint64_t high;   /* second half of a 16-byte descriptor */
    uint16_t selector;
} Descriptor;

static inline bool selector_null(uint16_t selector)
{
    return (selector & ~3) == 0;
}
static inline unsigned selector_rpl(uint16_t selector)
{
    return selector & 3;
}
static inline uint32_t selector_error(uint16_t selector)
{
    return selector & 0xfffc;
}
static inline unsigned descriptor_type(const Descriptor *d)
{
    return (d->raw >> 40) & 15;
}
static inline bool descriptor_system(const Descriptor *d)
{
    return !((d->raw >> 44) & 1);
}
static inline unsigned descriptor_dpl(const Descriptor *d)
{
    return (d->raw >> 45) & 3;
}
static inline bool descriptor_present(const Descriptor *d)
{
    return (d->raw >> 47) & 1;
}
static inline bool descriptor_code(const Descriptor *d)
{
    return !descriptor_system(d) && (descriptor_type(d) & DESC_CODE);
}
static inline bool descriptor_conforming(const Descriptor *d)
{
    return descriptor_code(d) && (descriptor_type(d) & DESC_CONFORMING);
}
static inline bool descriptor_writable(const Descriptor *d)
{
    return !descriptor_system(d) &&
           (descriptor_type(d) & (DESC_CODE | DESC_WRITABLE)) == DESC_WRITABLE;
}
/* A 64-bit code segment: L set, in long mode. */
static inline bool descriptor_code64(const X86CPU *cpu, const Descriptor *d)
{
    return cpu_long_mode(cpu) && ((d->raw >> 53) & 1);
}
/* L and D/B both set: reserved, no code segment of long mode may have it. */
static inline bool descriptor_l_and_d(const X86CPU *cpu, const Descriptor *d)
{
    return cpu_long_mode(cpu) && ((d->raw >> 53) & 3) == 3;
}
uint32_t descriptor_limit(const Descriptor *d);
/* Gates: target offset (64 bits of it in 16-byte gates) and selector. */
uint64_t gate_offset(const Descriptor *d, bool wide);
static inline uint16_t gate_selector(const Descriptor *d)
{
    return d->raw >> 16;
}

/* Reads the descriptor @selector names; false if it lies outside its table. @selector is not null.
 */
bool descriptor_fetch(X86CPU *cpu, uint16_t selector, Descriptor *d);
/* The same, raising @vector with the selector (and @ext) when outside, or when null @null_error. */
void descriptor_require(X86CPU *cpu, uint16_t selector, X86Exception vector, uint32_t ext,
                        Descriptor *d);
/* Reads the second half of a 16-byte descriptor of long mode; false if outside or malformed. */
bool descriptor_fetch_high(X86CPU *cpu, Descriptor *d);
/* Sets the accessed bit in the table and in @d, atomically, if it is clear. */
void descriptor_set_accessed(X86CPU *cpu, Descriptor *d);
/* The hidden part of a segment register. */
X86Segment descriptor_segment(const Descriptor *d, uint16_t selector);
/* The base of a system segment: all 64 bits in long mode. */
uint64_t descriptor_system_base(const X86CPU *cpu, const Descriptor *d);
/* Sets or clears the busy bit of a TSS descriptor at @va, atomically. */
void descriptor_set_busy(X86CPU *cpu, uint64_t va, bool busy);

/* A segment register that holds nothing usable. */
X86Segment segment_null(uint16_t selector);
/* What real mode and virtual-8086 mode make of a selector. */
void segment_load_real(X86CPU *cpu, SegReg reg, uint16_t selector);
/* True if @size bytes at @offset are within the limit (SDM 3A 5.3), expand-down included. */
bool segment_contains(const X86Segment *seg, uint64_t offset, unsigned size);
/* Returning outwards: data segments the new CPL may not see become null (SDM 3A 5.8.6). */
void segments_drop_inner(X86CPU *cpu);
/* Loads CS from a checked descriptor and makes @cpl current. */
void cpu_set_cs(X86CPU *cpu, const Descriptor *d, unsigned cpl);
/* Loads a flat CS and SS of @cpl as SYSCALL and SYSENTER do; @attr_cs has L or D. */
void cpu_set_flat_cs_ss(X86CPU *cpu, uint16_t cs, uint16_t ss, unsigned cpl, bool code64);
/* Reads and checks a stack segment for privilege @dpl; faults are @vector (or #SS), with @ext. */
void stack_segment_check(X86CPU *cpu, uint16_t selector, unsigned dpl, X86Exception vector,
                         uint32_t ext, Descriptor *d);

/* --- frames ------------------------------------------------------------------------ */

#define FRAME_SLOTS 48

/* A stack frame in the making: nothing is written before frame_commit(). */
typedef struct Frame {
    X86Segment ss;       /* of the stack it goes to */
    uint64_t sp;         /* before the pushes */
    uint64_t mask;       /* of the stack pointer */
    bool flat;           /* long mode: no base, no limit, canonical addresses */
    MmuView view;
    uint32_t error;      /* of the #SS if it does not fit */
    unsigned size;       /* bytes a slot */
    unsigned count;
    uint64_t slots[FRAME_SLOTS];
} Frame;

/* A frame on the current stack. */
void frame_begin(X86CPU *cpu, Frame *frame, unsigned size, uint32_t error);
/* A frame on another stack, reached with @cpl. */
void frame_begin_on(X86CPU *cpu, Frame *frame, const X86Segment *ss, uint64_t sp, unsigned cpl,
                    unsigned size, uint32_t error);
static inline void frame_push(Frame *frame, uint64_t value)
{
    frame->slots[frame->count++] = value;
}
/* Writes it, or raises #SS or #PF with nothing written; returns the new stack pointer. */
uint64_t frame_commit(X86CPU *cpu, const Frame *frame);

/* The stack pointer's bits in use: those of SP, ESP or RSP. */
uint64_t stack_mask(const X86CPU *cpu);
/* The value @depth bytes above the top of the stack; the pointer stays. */
uint64_t stack_peek(X86CPU *cpu, unsigned depth, unsigned size);
/* Puts @sp into RSP, ESP or SP by the stack segment now loaded. */
void stack_commit(X86CPU *cpu, uint64_t sp);

/* --- transfers ------------------------------------------------------------------------ */

/* Reads of the TSS by implicit supervisor accesses; no limit check. */
uint64_t tss_read(X86CPU *cpu, uint32_t offset, unsigned size);
/* SS and (E)SP for privilege @dpl from the TSS; #TS if outside its limit. */
void tss_stack(X86CPU *cpu, unsigned dpl, uint32_t ext, uint16_t *ss, uint64_t *sp);
/* RSP0..2 (@index 0-2) or IST1..7 (@index 3 up) from a 64-bit TSS. */
uint64_t tss_stack64(X86CPU *cpu, unsigned index, uint32_t ext);

typedef enum { TASK_JUMP, TASK_CALL, TASK_IRET } TaskSwitchKind;
/*
 * Switches to the task whose TSS descriptor is @d (present, right type, checked by the caller),
 * saving @next_rip as the old task's EIP (SDM 3A 7.3). With TASK_CALL and @has_error, @error is
 * pushed on the new stack. @ext goes into error codes.
 */
void task_switch(X86CPU *cpu, const Descriptor *d, TaskSwitchKind kind, uint64_t next_rip,
                 uint32_t ext, bool has_error, uint32_t error);
/* Fetches and checks the TSS descriptor that a task gate or a far transfer names. */
void task_fetch(X86CPU *cpu, uint16_t selector, uint32_t ext, Descriptor *d);

/* How an interrupt came about: decides privilege checks, EXT and the address that is pushed. */
typedef struct Interrupt {
    uint8_t vector;
    bool software;      /* INT n, INT3, INTO: the gate's DPL is checked, EXT is 0 */
    bool redirectable;  /* INT n proper: VME may send it to the virtual-8086 program */
    bool has_error;
    bool set_rf;        /* the pushed flags have RF */
    uint32_t error;
    uint64_t return_rip;
} Interrupt;

/* Goes through the IVT or IDT; state is unchanged if that raises. */
void interrupt_deliver(X86CPU *cpu, const Interrupt *intr);
void interrupt_deliver_real(X86CPU *cpu, const Interrupt *intr);
void interrupt_deliver_long(X86CPU *cpu, const Interrupt *intr);

/* Far JMP and CALL for protected mode, then RETF and IRET. */
void far_transfer(X86CPU *cpu, uint16_t selector, uint64_t offset, unsigned size, bool call,
                  uint64_t next_rip);

/* --- debugging (interp/debug.c) ----------------------------------------------------------- */

/* Recomputes debug_active after TF, RF or DR7 changed. */
void cpu_debug_update(X86CPU *cpu);
/* IRET of @size bytes an entry, by no instruction; NMIs stay as they are. */
void cpu_return_from_handler(X86CPU *cpu, unsigned size);

#endif
