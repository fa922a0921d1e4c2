/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Bit manipulation on general registers: BMI1, BMI2, ADX, LZCNT, POPCNT, CRC32, MOVBE, and random
 * numbers. VEX-encoded ones with a register source run by thunk; the rest is plain C.
 */
#include <string.h>
#include <sys/random.h>

#include "target-i386/interp/vector.h"

static uint64_t source(X86CPU *cpu, const Insn *insn, unsigned size)
{
    if (insn->ea == EA_NONE) {
        return reg_get(cpu, insn->rm, size);
    }
    return mem_load(cpu, insn_linear(cpu, insn, size, false), size);
}

/* --- POPCNT, LZCNT, TZCNT ---------------- */

static void popcnt(X86CPU *cpu, const Insn *insn)
{
    uint64_t value = source(cpu, insn, insn->opsize);

    reg_set(cpu, insn->reg, __builtin_popcountll(value), insn->opsize);
    cpu->cc = value ? 0 : FL_ZF;
}

/* The other flags are undefined and left alone. */
static void set_count_flags(X86CPU *cpu, uint64_t value, unsigned count)
{
    cpu->cc = (cpu->cc & ~(FL_CF | FL_ZF)) | (value ? 0 : FL_CF) | (count ? 0 : FL_ZF);
}

static void lzcnt(X86CPU *cpu, const Insn *insn)
{
    unsigned bits = insn->opsize * 8;
    uint64_t value = source(cpu, insn, insn->opsize);
    unsigned count = value ? __builtin_clzll(value) - (64 - bits) : bits;

    reg_set(cpu, insn->reg, count, insn->opsize);
    set_count_flags(cpu, value, count);
}

static void tzcnt(X86CPU *cpu, const Insn *insn)
{
    unsigned bits = insn->opsize * 8;
    uint64_t value = source(cpu, insn, insn->opsize);
    unsigned count = value ? __builtin_ctzll(value) : bits;

    reg_set(cpu, insn->reg, count, insn->opsize);
    set_count_flags(cpu, value, count);
}

/* --- CRC32: the iSCSI polynomial, bit-reflected (SDM 2A, CRC32) ---------------- */

static void crc32(X86CPU *cpu, const Insn *insn)
{
    uint64_t value = source(cpu, insn, insn->aux);
    uint32_t crc = reg_get32(cpu, insn->reg);

    for (unsigned i = 0; i < insn->aux; i++) {
        crc ^= value >> (8 * i) & 0xff;
        for (unsigned bit = 0; bit < 8; bit++) {
            crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78u : 0);
        }
    }
    reg_set64(cpu, insn->reg, crc);
}

INSN_FAMILY(crc32)
{
    insn->aux = src->ops[1].size / 8;
    return crc32;
}

/* --- MOVBE
 * ------------------------------------------------------------------------------------------ */

static uint64_t swap_bytes(uint64_t value, unsigned size)
{
    return __builtin_bswap64(value) >> (64 - size * 8);
}

static void movbe_load(X86CPU *cpu, const Insn *insn)
{
    reg_set(cpu, insn->reg, swap_bytes(source(cpu, insn, insn->opsize), insn->opsize),
            insn->opsize);
}

static void movbe_store(X86CPU *cpu, const Insn *insn)
{
    uint64_t va = insn_linear(cpu, insn, insn->opsize, true);
    uint64_t value = swap_bytes(reg_get(cpu, insn->reg, insn->opsize), insn->opsize);

    mmu_write(cpu, cpu->mmu_view, va, &value, insn->opsize);
}

INSN_FAMILY(movbe)
{
    return src->ops[0].type == ZYDIS_OPERAND_TYPE_MEMORY ? movbe_store : movbe_load;
}

/* --- random numbers ---------------- */

/* Numbers that are the same in every run (splitmix64). */
static uint64_t next_in_sequence(X86CPU *cpu)
{
    uint64_t z = cpu->random_state += 0x9e3779b97f4a7c15u;

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

/*
 * From the host's kernel, unless runs are to be repeatable. CF says that the number is good, all
 * other flags are cleared.
 */
static void rdrand(X86CPU *cpu, const Insn *insn)
{
    uint64_t value = cpu->random_state ? next_in_sequence(cpu) : 0;
    bool good = cpu->random_state ||
                getrandom(&value, sizeof(value), GRND_NONBLOCK) == sizeof(value);

    reg_set(cpu, insn->rm, good ? value : 0, insn->opsize);
    cpu->cc = good ? FL_CF : 0;
}

INSN_FAMILY(random)
{
    return rdrand;
}

/* --- ordering
 * ------------------------------------------------------------------------------------------- */

static void fence(X86CPU *cpu, const Insn *insn)
{
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
}

INSN_FAMILY(fence)
{
    return fence;
}

static void movnti(X86CPU *cpu, const Insn *insn)
{
    uint64_t va = insn_linear(cpu, insn, insn->opsize, true);

    if (insn->opsize == 8) {
        mmu_store64(cpu, va, reg_get64(cpu, insn->reg));
    } else {
        mmu_store32(cpu, va, reg_get32(cpu, insn->reg));
    }
}

INSN_FAMILY(movnti)
{
    insn->opsize = insn->opsize == 8 ? 8 : 4;
    return movnti;
}

/* To the address in Insn.reg, of the address size, in ES or a flat segment (SDM 2B MOVDIR64B). */
static void movdir64b(X86CPU *cpu, const Insn *insn)
{
    uint64_t to = reg_get64(cpu, insn->reg), from;
    uint8_t bytes[64];

    to = insn->addrsize == 8 ? to : insn->addrsize == 4 ? (uint32_t)to : (uint16_t)to;
    from = insn_linear(cpu, insn, sizeof(bytes), false);
    to = seg_linear(cpu, SEG_ES, to, sizeof(bytes), true);
    if (to & 63) {
        cpu_raise_gp(cpu, 0);
    }
    mmu_read(cpu, cpu->mmu_view, from, bytes, sizeof(bytes));
    mmu_write(cpu, cpu->mmu_view, to, bytes, sizeof(bytes));
}

INSN_FAMILY(movdir64b)
{
    return movdir64b;
}

INSN_FAMILY(bits)
{
    if (!vector_encoding_exists(src->cpu, src->zi)) {
        return NULL;
    }
    switch (src->zi->mnemonic) {
    case ZYDIS_MNEMONIC_POPCNT:
        return popcnt;
    case ZYDIS_MNEMONIC_LZCNT:
        return lzcnt;
    case ZYDIS_MNEMONIC_TZCNT:
        return tzcnt;
    default:
        return vector_select_thunk(src, insn, THUNK_CHECK_NONE);
    }
}
