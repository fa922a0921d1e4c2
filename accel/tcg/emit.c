/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Encoding of the host instructions that surround the guest's (SDM 2A chapter 2). */
#include "accel/tcg/emit.h"

/* Bytes are written by a pointer of their own, which is kept in a register. */

static inline uint8_t *write32(uint8_t *p, uint32_t value)
{
    memcpy(p, &value, 4);
    return p + 4;
}

static inline uint8_t *write_modrm_mem(uint8_t *p, unsigned reg, const HostMem *m)
{
    unsigned mod, base = m->base & 7;

    reg = (reg & 7) << 3;
    if (m->base == H_NONE) { /* SIB without base: disp32 */
        *p++ = reg | 4;
        *p++ = (m->index == H_NONE ? 0x20 : m->scale << 6 | (m->index & 7) << 3) | 5;
        return write32(p, (uint32_t)m->disp);
    }
    if (m->disp == 0 && base != 5) {
        mod = 0;
    } else {
        mod = m->disp == (int8_t)m->disp && !m->wide_disp ? 1 : 2;
    }
    if (m->index == H_NONE && base != 4) {
        *p++ = mod << 6 | reg | base;
    } else {
        *p++ = mod << 6 | reg | 4;
        *p++ = (m->index == H_NONE ? 0x20 : m->scale << 6 | (m->index & 7) << 3) | base;
    }
    if (mod == 1) {
        *p++ = (uint8_t)m->disp;
    } else if (mod == 2) {
        p = write32(p, (uint32_t)m->disp);
    }
    return p;
}

void emit_modrm_mem(Asm *a, unsigned reg, const HostMem *m)
{
    a->p = write_modrm_mem(a->p, reg, m);
}

static inline uint8_t *write_opcode(uint8_t *p, uint8_t rex, unsigned opcode)
{
    if (rex) {
        *p++ = 0x40 | rex;
    }
    if (opcode & 0xff00) {
        *p++ = opcode >> 8;
    }
    *p++ = (uint8_t)opcode;
    return p;
}

void emit_op_mem_at(Asm *a, bool wide, unsigned opcode, unsigned reg, const HostMem *m)
{
    uint8_t *p = a->p;

    if (m->gs) {
        *p++ = 0x65;
    }
    p = write_opcode(p, (wide ? 8 : 0) | (reg & 8 ? 4 : 0) | mem_rex(m), opcode);
    a->p = write_modrm_mem(p, reg, m);
}

static inline uint8_t *write_op_reg(uint8_t *p, bool wide, unsigned opcode, unsigned reg,
                                    unsigned rm)
{
    p = write_opcode(p, (wide ? 8 : 0) | (reg & 8 ? 4 : 0) | (rm & 8 ? 1 : 0), opcode);
    *p++ = 0xc0 | (reg & 7) << 3 | (rm & 7);
    return p;
}

void emit_op_reg(Asm *a, bool wide, unsigned opcode, unsigned reg, unsigned rm)
{
    a->p = write_op_reg(a->p, wide, opcode, reg, rm);
}

void emit_alu_imm(Asm *a, bool wide, unsigned op, unsigned rm, int32_t imm)
{
    bool small = imm == (int8_t)imm;
    uint8_t *p = write_op_reg(a->p, wide, small ? 0x83 : 0x81, op, rm);

    if (small) {
        *p++ = (uint8_t)imm;
    } else {
        p = write32(p, (uint32_t)imm);
    }
    a->p = p;
}

void emit_mov_imm(Asm *a, unsigned reg, uint64_t value)
{
    if (value == (uint32_t)value) {
        if (reg & 8) {
            put8(a, 0x41);
        }
        put8(a, 0xb8 | (reg & 7));
        put32(a, (uint32_t)value);
    } else if ((int64_t)value == (int32_t)value) {
        emit_op_reg(a, true, 0xc7, 0, reg);
        put32(a, (uint32_t)value);
    } else {
        put8(a, 0x48 | (reg & 8 ? 1 : 0));
        put8(a, 0xb8 | (reg & 7));
        put64(a, value);
    }
}

void emit_rorx(Asm *a, unsigned to, unsigned from, unsigned count)
{
    uint8_t *p = a->p;

    *p++ = 0xc4; /* VEX.LZ.F2.0F3A.W1 F0 */
    *p++ = 0x43 | (to & 8 ? 0 : 0x80) | (from & 8 ? 0 : 0x20);
    *p++ = 0xfb;
    *p++ = 0xf0;
    *p++ = 0xc0 | (to & 7) << 3 | (from & 7);
    *p++ = count;
    a->p = p;
}

void emit_save_flags(Asm *a, unsigned temp)
{
    emit_mov(a, temp, H_RAX);
    put8(a, 0x9f);
    emit_op_reg(a, false, 0x0f90, 0, H_RAX);
    put8(a, 0x66);
    emit_op_mem(a, false, 0x89, H_RAX, GS(jit.flags));
    emit_mov(a, H_RAX, temp);
}

void emit_restore_flags(Asm *a)
{
    emit_op_mem(a, false, 0x0fb7, H_RAX, GS(jit.flags));
    put8(a, 0x04);
    put8(a, 0x7f);
    put8(a, 0x9e);
}

void emit_compare_byte(Asm *a, HostMem m, uint8_t value)
{
    emit_op_mem(a, false, 0x80, 7, m);
    put8(a, value);
}
