/* SPDX-License-Identifier: GPL-2.0-or-later */
/* MUL, IMUL, DIV, IDIV (SDM 2). */
#include "target-i386/interp/alu.h"

/* One-operand forms: the accumulator pair takes the double-width product. */
#define WIDE(name, insn_name)                                                                      \
    static void name##_8(X86CPU *cpu, const Insn *insn)                                            \
    {                                                                                              \
        uint8_t b = insn_load(cpu, insn);                                                          \
        uint32_t ax = reg_get8(cpu, R_RAX * 8), flags;                                             \
        __asm__(insn_name "b %2\n\tmovzwl %%ax, %1\n\t" HOST_FLAGS                                 \
                : "+a"(ax), "=&r"(flags)                                                           \
                : "r"(b)                                                                           \
                : "cc");                                                                           \
        reg_set16(cpu, R_RAX * 8, flags);                                                          \
        cpu->cc = flags_from_ax(ax);                                                               \
    }                                                                                              \
    static void name##_16(X86CPU *cpu, const Insn *insn)                                           \
    {                                                                                              \
        uint16_t b = insn_load(cpu, insn), low, high = 0;                                          \
        uint32_t ax = reg_get16(cpu, R_RAX * 8);                                                   \
        __asm__(insn_name "w %3\n\tmovw %%ax, %1\n\t" HOST_FLAGS                                   \
                : "+a"(ax), "=&r"(low), "+d"(high)                                                 \
                : "r"(b)                                                                           \
                : "cc");                                                                           \
        reg_set16(cpu, R_RAX * 8, low);                                                            \
        reg_set16(cpu, R_RDX * 8, high);                                                           \
        cpu->cc = flags_from_ax(ax);                                                               \
    }                                                                                              \
    static void name##_32(X86CPU *cpu, const Insn *insn)                                           \
    {                                                                                              \
        uint32_t b = insn_load(cpu, insn), low, high = 0;                                          \
        uint32_t ax = reg_get32(cpu, R_RAX * 8);                                                   \
        __asm__(insn_name "l %3\n\tmovl %%eax, %1\n\t" HOST_FLAGS                                  \
                : "+a"(ax), "=&r"(low), "+d"(high)                                                 \
                : "r"(b)                                                                           \
                : "cc");                                                                           \
        reg_set32(cpu, R_RAX * 8, low);                                                            \
        reg_set32(cpu, R_RDX * 8, high);                                                           \
        cpu->cc = flags_from_ax(ax);                                                               \
    }                                                                                              \
    static void name##_64(X86CPU *cpu, const Insn *insn)                                           \
    {                                                                                              \
        uint64_t b = insn_load(cpu, insn), low, high = 0, ax = cpu->regs[R_RAX];                   \
        __asm__(insn_name "q %3\n\tmovq %%rax, %1\n\t" HOST_FLAGS                                  \
                : "+a"(ax), "=&r"(low), "+d"(high)                                                 \
                : "r"(b)                                                                           \
                : "cc");                                                                           \
        cpu->regs[R_RAX] = low;                                                                    \
        cpu->regs[R_RDX] = high;                                                                   \
        cpu->cc = flags_from_ax(ax);                                                               \
    }

WIDE(mul, "mul")
WIDE(imul, "imul")

/* Two and three operands: a = first factor, destination per form. */
#define IMUL_TRUNCATING(bits, suffix, mod)                                                         \
    static inline uint##bits##_t imul_product##bits(uint##bits##_t a, uint##bits##_t b,            \
                                                    uint32_t *cc)                                  \
    {                                                                                              \
        uint32_t ax;                                                                               \
        __asm__("imul" suffix " %" mod "2, %" mod "0\n\t" HOST_FLAGS                               \
                : "+r"(a), "=a"(ax)                                                                \
                : "r"(b)                                                                           \
                : "cc");                                                                           \
        *cc = flags_from_ax(ax);                                                                   \
        return a;                                                                                  \
    }                                                                                              \
    static void imul2_##bits(X86CPU *cpu, const Insn *insn)                                        \
    {                                                                                              \
        uint##bits##_t b = insn_load(cpu, insn);                                                   \
        reg_set##bits(cpu, insn->reg,                                                              \
                      imul_product##bits(reg_get##bits(cpu, insn->reg), b, &cpu->cc));             \
    }                                                                                              \
    static void imul3_##bits(X86CPU *cpu, const Insn *insn)                                        \
    {                                                                                              \
        uint##bits##_t a = insn_load(cpu, insn);                                                   \
        reg_set##bits(cpu, insn->reg, imul_product##bits(a, insn->imm, &cpu->cc));                 \
    }

IMUL_TRUNCATING(16, "w", "w")
IMUL_TRUNCATING(32, "l", "k")
IMUL_TRUNCATING(64, "q", "q")

static InsnFn *const mul_fns[4] = {mul_8, mul_16, mul_32, mul_64};
static InsnFn *const imul_fns[4] = {imul_8, imul_16, imul_32, imul_64};
static InsnFn *const imul2_fns[4] = {NULL, imul2_16, imul2_32, imul2_64};
static InsnFn *const imul3_fns[4] = {NULL, imul3_16, imul3_32, imul3_64};

INSN_FAMILY(multiply)
{
    unsigned size = size_index(operand_bytes(src, 0));

    insn->opsize = operand_bytes(src, 0);
    if (insn->mnemonic == ZYDIS_MNEMONIC_MUL) {
        return mul_fns[size];
    }
    switch (src->zi->operand_count_visible) {
    case 1: return imul_fns[size];
    case 2: return imul2_fns[size];
    default: return imul3_fns[size];
    }
}

/*
 * Division: #DE for a zero divisor and for a quotient that does not fit. Flags are undefined; they
 * stay as they are, as on current CPUs.
 */
static void div_narrow(X86CPU *cpu, const Insn *insn)
{
    unsigned bits = insn->opsize * 8;
    uint64_t divisor = insn_load(cpu, insn), dividend, quotient;

    dividend = bits == 8 ? reg_get16(cpu, R_RAX * 8)
                         : reg_get(cpu, R_RDX * 8, insn->opsize) << bits |
                               reg_get(cpu, R_RAX * 8, insn->opsize);
    if (!divisor || (quotient = dividend / divisor) >> bits) {
        cpu_raise(cpu, EXC_DE);
    }
    if (bits == 8) {
        reg_set16(cpu, R_RAX * 8, quotient | (dividend % divisor) << 8);
    } else {
        reg_set(cpu, R_RAX * 8, quotient, insn->opsize);
        reg_set(cpu, R_RDX * 8, dividend % divisor, insn->opsize);
    }
}

static void div_64(X86CPU *cpu, const Insn *insn)
{
    uint64_t divisor = insn_load(cpu, insn);

    if (cpu->regs[R_RDX] >= divisor) {
        cpu_raise(cpu, EXC_DE);
    }
    __asm__("divq %2" : "+a"(cpu->regs[R_RAX]), "+d"(cpu->regs[R_RDX]) : "r"(divisor) : "cc");
}

static int64_t sign_extend(uint64_t value, unsigned bits)
{
    return (int64_t)(value << (64 - bits)) >> (64 - bits);
}

static void idiv_narrow(X86CPU *cpu, const Insn *insn)
{
    unsigned bits = insn->opsize * 8;
    int64_t divisor = sign_extend(insn_load(cpu, insn), bits), dividend, quotient, rest;

    dividend = bits == 8 ? (int16_t)reg_get16(cpu, R_RAX * 8)
                         : sign_extend(reg_get(cpu, R_RDX * 8, insn->opsize) << bits |
                                           reg_get(cpu, R_RAX * 8, insn->opsize), bits * 2);
    if (!divisor || (divisor == -1 && dividend == INT64_MIN)) {
        cpu_raise(cpu, EXC_DE);
    }
    quotient = dividend / divisor;
    rest = dividend % divisor;
    if (quotient != sign_extend(quotient, bits)) {
        cpu_raise(cpu, EXC_DE);
    }
    if (bits == 8) {
        reg_set16(cpu, R_RAX * 8, (uint8_t)quotient | (uint16_t)(rest << 8));
    } else {
        reg_set(cpu, R_RAX * 8, quotient, insn->opsize);
        reg_set(cpu, R_RDX * 8, rest, insn->opsize);
    }
}

static void idiv_64(X86CPU *cpu, const Insn *insn)
{
    int64_t divisor = insn_load(cpu, insn);
    __int128 dividend = (__int128)cpu->regs[R_RDX] << 64 | cpu->regs[R_RAX];
    __int128 limit = (__int128)1 << 64;
    __int128 quotient;

    /* A dividend beyond 2^127/|divisor| cannot fit and -2^127 / -1 would overflow here too. */
    if (!divisor || dividend >= limit * INT64_MAX || dividend <= -limit * INT64_MAX) {
        cpu_raise(cpu, EXC_DE);
    }
    quotient = dividend / divisor;
    if (quotient != (int64_t)quotient) {
        cpu_raise(cpu, EXC_DE);
    }
    cpu->regs[R_RAX] = quotient;
    cpu->regs[R_RDX] = dividend % divisor;
}

INSN_FAMILY(divide)
{
    insn->opsize = operand_bytes(src, 0);
    if (insn->mnemonic == ZYDIS_MNEMONIC_DIV) {
        return insn->opsize == 8 ? div_64 : div_narrow;
    }
    return insn->opsize == 8 ? idiv_64 : idiv_narrow;
}
