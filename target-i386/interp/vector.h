/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the vector, MMX and x87 families share: availability checks, memory operands as host
 * pointers, and the two faces of the x87 register file.
 */
#ifndef TARGET_I386_INTERP_VECTOR_H
#define TARGET_I386_INTERP_VECTOR_H

#include "target-i386/interp/insn.h"
#include "target-i386/interp/thunk.h"

enum {
    FPU_IE = 1u << 0,
    FPU_DE = 1u << 1,
    FPU_ZE = 1u << 2,
    FPU_OE = 1u << 3,
    FPU_UE = 1u << 4,
    FPU_PE = 1u << 5,
    FPU_SF = 1u << 6,
    FPU_ES = 1u << 7,
    FPU_B = 1u << 15,
    FPU_ALL = 0x3f,
    FPU_TOP_SHIFT = 11,
    FPU_TOP = 7u << 11,
};

enum {
    MXCSR_FLAGS = 0x3f,
    MXCSR_MASKS = 0x1f80,
    MXCSR_MASK_SHIFT = 7,
    MXCSR_UM = 1u << 11,
    MXCSR_FTZ = 1u << 15,
    MXCSR_DEFINED = 0xffff,
    MXCSR_DEFAULT = 0x1f80,
};

/* XCR0 (SDM 1, 13.3). */
enum {
    XCR0_X87 = 1u << 0,
    XCR0_SSE = 1u << 1,
    XCR0_AVX = 1u << 2,
    XCR0_OPMASK = 1u << 5,
    XCR0_ZMM_HI256 = 1u << 6,
    XCR0_HI16_ZMM = 1u << 7,
    XCR0_PKRU = 1u << 9,
    XCR0_AVX512 = XCR0_OPMASK | XCR0_ZMM_HI256 | XCR0_HI16_ZMM,
};

/* The bytes that one vector operand can have in memory, and room for an x87 environment. */
typedef union VectorBounce {
    uint8_t bytes[64];
    uint64_t words[8];
} __attribute__((aligned(64))) VectorBounce;

/* Raises what the control registers say of vector instructions (SDM 2A 2.4 to 2.9; 3A 2.5). */
G_NORETURN void vector_unavailable(X86CPU *cpu, ThunkCheck check);

static inline void vector_check_sse(X86CPU *cpu)
{
    if (G_UNLIKELY((cpu->cr0 & (CR0_EM | CR0_TS)) || !(cpu->cr4 & CR4_OSFXSR))) {
        vector_unavailable(cpu, THUNK_CHECK_SSE);
    }
}
static inline void vector_check_vex(X86CPU *cpu)
{
    if (G_UNLIKELY((cpu->cr0 & CR0_TS) || !(cpu->cr4 & CR4_OSXSAVE) ||
                   (~cpu->xcr0 & (XCR0_SSE | XCR0_AVX)))) {
        vector_unavailable(cpu, THUNK_CHECK_VEX);
    }
}
void vector_check(X86CPU *cpu, ThunkCheck check);

/* Host pointer for reading @size bytes at @va: guest RAM itself, or @bounce filled from there. */
static inline const void *vector_read(X86CPU *cpu, uint64_t va, void *bounce, unsigned size)
{
    TlbEntry *entry = mmu_tlb_entry(cpu, cpu->mmu_view, va);

    if (G_LIKELY((va ^ entry->read_tag) <= GUEST_PAGE_SIZE - size)) {
        return (const void *)(uintptr_t)(va + entry->addend);
    }
    mmu_read(cpu, cpu->mmu_view, va, bounce, size);
    return bounce;
}

/* Guest RAM at @va if @size bytes may be stored there directly, else NULL. */
static inline void *vector_write_direct(X86CPU *cpu, uint64_t va, unsigned size)
{
    TlbEntry *entry = mmu_tlb_entry(cpu, cpu->mmu_view, va);

    if (G_LIKELY((va ^ entry->write_tag) <= GUEST_PAGE_SIZE - size)) {
        return (void *)(uintptr_t)(va + entry->addend);
    }
    return NULL;
}

/* Clears a vector register above @bytes, as every VEX-encoded write does. */
static inline void vector_clear_upper(X86CPU *cpu, unsigned n, unsigned bytes)
{
    memset(cpu->vec[n].u8 + bytes, 0, sizeof(X86Vector) - bytes);
}

/* The thunk as an instruction function: @thunk->check decides what is checked. */
InsnFn *vector_select_thunk(const InsnSource *src, Insn *insn, ThunkCheck check);
/* Fast paths and instructions done by hand; NULL: the thunk shall do it. */
InsnFn *vector_select_move(const InsnSource *src, Insn *insn);
InsnFn *vector_select_memory(const InsnSource *src, Insn *insn);
/* In place of an instruction whose thunk found no room: forgets all thunks and starts over. */
InsnFn vector_make_room;
/* VEX and EVEX are undefined in real and virtual-8086 mode (SDM 2A 2.3.1). */
bool vector_encoding_exists(const X86CPU *cpu, const ZydisDecodedInstruction *zi);
/* False if the CPU model lacks what the instruction's ISA set belongs to. */
bool vector_isa_offered(const X86CPU *cpu, const ZydisDecodedInstruction *zi);

/* --- x87 and MMX ---------------- */

/* Raises #MF for a pending unmasked x87 exception; with CR0.NE clear the board decides. */
void x87_check_pending(X86CPU *cpu);
/* An MMX instruction begins: TOP becomes 0, all registers valid (SDM 1, 9.5). */
void mmx_enter(X86CPU *cpu);
/* Moves TOP; the registers stay where they are, so that ST(n) is another one. */
void x87_set_top(X86CPU *cpu, unsigned top);
void x87_init(X86CPU *cpu);
/*
 * An instruction or data pointer as we keep it: outside 64-bit code with a selector, in bits 47:32,
 * unless the CPU model has dropped them (CPUID.7:EBX bit 13).
 */
uint64_t x87_far_pointer(const X86CPU *cpu, SegReg seg, uint64_t offset);
/* FSW.ES and B follow from the flags and masks. */
void x87_update_summary(X86CPU *cpu);
InsnFn *x87_select_control(const InsnSource *src, Insn *insn);

#endif
