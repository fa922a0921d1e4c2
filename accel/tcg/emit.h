/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Writing host code: bytes, registers, memory operands, and the CPU state at gs:[displacement].
 * Encodings are those of SDM volume 2, chapter 2.
 */
#ifndef ACCEL_TCG_EMIT_H
#define ACCEL_TCG_EMIT_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "target-i386/cpu.h"

/* Host registers by number. */
enum {
    H_RAX, H_RCX, H_RDX, H_RBX, H_RSP, H_RBP, H_RSI, H_RDI,
    H_R8, H_R9, H_R10, H_R11, H_R12, H_R13, H_R14, H_R15,
    H_NONE = 0xff,
};

/* Where the next byte goes, in the writable mapping. */
typedef struct Asm {
    uint8_t *p;
} Asm;

/* A memory operand: [base + index << scale + disp], or gs:[disp] without registers. */
typedef struct HostMem {
    uint8_t base, index, scale;
    bool gs;
    int32_t disp;
    bool wide_disp;  /* of 32 bits in any case: EVEX scales shorter ones */
} HostMem;

#define CPU_FIELD(field) ((int32_t)offsetof(X86CPU, field))
#define CPU_REG(n) (CPU_FIELD(regs) + (int32_t)(n) * 8)
#define GS(field) ((HostMem){H_NONE, H_NONE, 0, true, CPU_FIELD(field)})
#define GS_REG(n) ((HostMem){H_NONE, H_NONE, 0, true, CPU_REG(n)})

static inline void put8(Asm *a, uint8_t byte)
{
    *a->p++ = byte;
}

static inline void put16(Asm *a, uint16_t value)
{
    memcpy(a->p, &value, 2);
    a->p += 2;
}

static inline void put32(Asm *a, uint32_t value)
{
    memcpy(a->p, &value, 4);
    a->p += 4;
}

static inline void put64(Asm *a, uint64_t value)
{
    memcpy(a->p, &value, 8);
    a->p += 8;
}

/* REX.X and REX.B that @m needs. */
static inline uint8_t mem_rex(const HostMem *m)
{
    return (m->index != H_NONE && m->index >= 8 ? 2 : 0) |
           (m->base != H_NONE && m->base >= 8 ? 1 : 0);
}

/* ModRM, SIB and displacement; @reg is the low three bits of the register field. */
void emit_modrm_mem(Asm *a, unsigned reg, const HostMem *m);

/* Legacy-map opcodes: @opcode may have 0x0f00 in it. REX.W with @wide. */
void emit_op_mem_at(Asm *a, bool wide, unsigned opcode, unsigned reg, const HostMem *m);

/*
 * Not a call with a HostMem by value: that would be read as a whole right after its bytes were
 * written one by one, which stores do not forward; a fifth of translation was spent waiting so.
 */
static inline __attribute__((always_inline)) void emit_op_mem(Asm *a, bool wide, unsigned opcode,
                                                              unsigned reg, HostMem m)
{
    emit_op_mem_at(a, wide, opcode, reg, &m);
}

void emit_op_reg(Asm *a, bool wide, unsigned opcode, unsigned reg, unsigned rm);
/* Opcode 81 or 83 /@op with an immediate: 0 add, 4 and, 5 sub, 6 xor, 7 cmp. */
void emit_alu_imm(Asm *a, bool wide, unsigned op, unsigned rm, int32_t imm);
void emit_mov_imm(Asm *a, unsigned reg, uint64_t value);
/* rorx @to, @from, @count of 64 bits: BMI2. Keeps flags. */
void emit_rorx(Asm *a, unsigned to, unsigned from, unsigned count);

static inline __attribute__((always_inline)) void emit_load(Asm *a, unsigned reg, HostMem m)
{
    emit_op_mem(a, true, 0x8b, reg, m);
}

static inline __attribute__((always_inline)) void emit_store(Asm *a, unsigned reg, HostMem m)
{
    emit_op_mem(a, true, 0x89, reg, m);
}

static inline void emit_mov(Asm *a, unsigned to, unsigned from)
{
    if (to != from) {
        emit_op_reg(a, true, 0x8b, to, from);
    }
}

static inline __attribute__((always_inline)) void emit_lea(Asm *a, unsigned reg, HostMem m)
{
    emit_op_mem(a, true, 0x8d, reg, m);
}

/* Jumps and calls with a rel32 to be filled in: they return where it stands. */
static inline uint8_t *emit_jcc(Asm *a, unsigned condition)
{
    put16(a, 0x800f | condition << 8);
    put32(a, 0);
    return a->p - 4;
}

static inline uint8_t *emit_jmp(Asm *a)
{
    put8(a, 0xe9);
    put32(a, 0);
    return a->p - 4;
}

static inline uint8_t *emit_call(Asm *a)
{
    put8(a, 0xe8);
    put32(a, 0);
    return a->p - 4;
}

static inline void patch_rel32(uint8_t *at, const uint8_t *target)
{
    int32_t rel = (int32_t)(target - (at + 4));

    memcpy(at, &rel, 4);
}

/* lahf; seto al; mov [flags], ax: the arithmetic flags to memory. Clobbers @temp, keeps RAX. */
void emit_save_flags(Asm *a, unsigned temp);
/* movzx eax, [flags]; add al, 127; sahf: and back. Clobbers RAX. */
void emit_restore_flags(Asm *a);
/* cmp byte [m], value */
void emit_compare_byte(Asm *a, HostMem m, uint8_t value);

/* Condition codes as in Jcc. */
enum { CC_O, CC_NO, CC_B, CC_AE, CC_E, CC_NE, CC_BE, CC_A, CC_S, CC_L = 12 };

#endif
