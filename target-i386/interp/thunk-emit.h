/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The few host instructions that surround a guest's in a thunk: moves between registers and the CPU
 * state at [rdi + disp32], flags, MXCSR.
 */
#ifndef TARGET_I386_INTERP_THUNK_EMIT_H
#define TARGET_I386_INTERP_THUNK_EMIT_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "target-i386/cpu.h"

typedef struct Emit {
    uint8_t bytes[320]; /* ten operands, both ways, are below 200 */
    unsigned len;
} Emit;

#define EMIT_CPU(field) ((uint32_t)G_STRUCT_OFFSET(X86CPU, field))

static inline void emit_byte(Emit *emit, uint8_t byte)
{
    g_assert(emit->len < sizeof(emit->bytes));
    emit->bytes[emit->len++] = byte;
}

static inline void emit_bytes(Emit *emit, const void *bytes, unsigned len)
{
    for (unsigned i = 0; i < len; i++) {
        emit_byte(emit, ((const uint8_t *)bytes)[i]);
    }
}

/* ModRM and displacement of [rdi + @disp]. */
static inline void emit_cpu_field(Emit *emit, unsigned reg, uint32_t disp)
{
    emit_byte(emit, 0x80 | (reg & 7) << 3 | 7);
    emit_bytes(emit, &disp, 4);
}

/* mov r64, [field] or back */
static inline void emit_gpr(Emit *emit, unsigned reg, uint32_t disp, bool store)
{
    emit_byte(emit, 0x48 | (reg & 8 ? 4 : 0));
    emit_byte(emit, store ? 0x89 : 0x8b);
    emit_cpu_field(emit, reg, disp);
}

/* movq mm, [field] or back */
static inline void emit_mmx(Emit *emit, unsigned reg, uint32_t disp, bool store)
{
    emit_byte(emit, 0x0f);
    emit_byte(emit, store ? 0x7f : 0x6f);
    emit_cpu_field(emit, reg, disp);
}

/* kmovq k, [field] or back */
static inline void emit_mask(Emit *emit, unsigned reg, uint32_t disp, bool store)
{
    emit_bytes(emit, "\xc4\xe1\xf8", 3);
    emit_byte(emit, store ? 0x91 : 0x90);
    emit_cpu_field(emit, reg, disp);
}

/* movups, vmovups or EVEX vmovups of @bits, between register and field */
static inline void emit_vector(Emit *emit, unsigned reg, unsigned bits, bool vex, uint32_t disp,
                               bool store)
{
    if (bits == 512 || reg >= 16) {
        emit_byte(emit, 0x62);
        emit_byte(emit, (reg & 8 ? 0 : 0x80) | 0x60 | (reg & 16 ? 0 : 0x10) | 1);
        emit_byte(emit, 0x7c);
        emit_byte(emit, (bits == 512 ? 0x40 : bits == 256 ? 0x20 : 0) | 8);
    } else if (vex) {
        emit_byte(emit, 0xc4);
        emit_byte(emit, (reg & 8 ? 0 : 0x80) | 0x61);
        emit_byte(emit, 0x78 | (bits == 256 ? 4 : 0));
    } else {
        if (reg & 8) {
            emit_byte(emit, 0x44);
        }
        emit_byte(emit, 0x0f);
    }
    emit_byte(emit, store ? 0x11 : 0x10);
    emit_cpu_field(emit, reg, disp);
}

/* mov eax, [cc]; push rax; popfq. Clobbers rax, so it comes before the operands. */
static inline void emit_load_flags(Emit *emit)
{
    emit_byte(emit, 0x8b);
    emit_cpu_field(emit, 0, EMIT_CPU(cc));
    emit_bytes(emit, "\x50\x9d", 2);
}

/*
 * pushfq; pop rax; and eax, FL_ARITH; mov [cc], eax. Clobbers rax, so it comes after the operands.
 */
static inline void emit_store_flags(Emit *emit)
{
    uint32_t mask = FL_ARITH;

    emit_bytes(emit, "\x9c\x58\x25", 3);
    emit_bytes(emit, &mask, 4);
    emit_byte(emit, 0x89);
    emit_cpu_field(emit, 0, EMIT_CPU(cc));
}

static inline void emit_ldmxcsr(Emit *emit, uint32_t disp)
{
    emit_bytes(emit, "\x0f\xae", 2);
    emit_cpu_field(emit, 2, disp);
}

static inline void emit_stmxcsr(Emit *emit, uint32_t disp)
{
    emit_bytes(emit, "\x0f\xae", 2);
    emit_cpu_field(emit, 3, disp);
}

/* ldmxcsr [rip + ...]: @start is the address of the thunk, @constant that of the value. */
static inline void emit_ldmxcsr_constant(Emit *emit, uint64_t start, uint64_t constant)
{
    int32_t disp;

    emit_bytes(emit, "\x0f\xae\x15", 3);
    disp = (int32_t)(constant - (start + emit->len + 4));
    emit_bytes(emit, &disp, 4);
}

#endif
