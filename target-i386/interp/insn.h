/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The decoded instruction and what instruction functions use: operands, effective addresses, flags,
 * the stack. A function runs with RIP at its own instruction; whatever it raises leaves the state
 * of before. The run loop advances RIP after it, except for INSN_END instructions, which set RIP.
 */
#ifndef TARGET_I386_INTERP_INSN_H
#define TARGET_I386_INTERP_INSN_H

#include <Zydis/Zydis.h>

#include "target-i386/cpu.h"
#include "target-i386/mmu.h"

#define INSN_BYTES_MAX 15 /* SDM 2A 2.3.11 */

typedef void InsnFn(X86CPU *cpu, const Insn *insn);

typedef enum {
    EA_NONE,    /* no memory operand */
    EA_FLAT64,  /* 64-bit address, segment base 0 */
    EA_BASE64,  /* 64-bit address plus FS or GS base */
    EA_FLAT32,  /* 64-bit code with 32-bit address size, base 0 */
    EA_BASE32,  /* the same plus FS or GS base */
    EA_SEG16,   /* 16- and 32-bit code: segment checked for base, limit and type */
    EA_SEG32,
} EaKind;

enum {
    INSN_END = 1u << 0,   /* ends a block; the function sets RIP */
    INSN_LOCK = 1u << 1,
    INSN_REP = 1u << 2,   /* F3 (REP/REPE) in force */
    INSN_REPNE = 1u << 3, /* F2 in force */
    INSN_LAST = 1u << 4,  /* last of its block though it does not jump (block limit) */
    INSN_REG_HIGH = 1u << 5, /* the reg operand is AH, CH, DH or BH */
    INSN_RM_HIGH = 1u << 6,
};

/* One decoded instruction: 48 bytes, filled once, executed many times. */
struct Insn {
    InsnFn *fn;
    union {
        uint64_t imm;       /* immediate, sign-extended to 64 bits; relative branch displacement */
        const void *thunk;  /* family-owned */
    };
    int64_t disp;           /* displacement (RIP-relative ones include the instruction length) */
    uint16_t reg; /* ModRM.reg-like operand: byte offset into regs[] for general registers,
                     plain number for other register files */
    uint16_t rm;            /* register operand of ModRM.rm, likewise; unused with memory */
    uint16_t mnemonic;      /* ZydisMnemonic */
    uint8_t base, index;    /* general register numbers, R_ZERO if none, R_RIP for RIP-relative */
    uint8_t scale;          /* shift: 0..3 */
    uint8_t seg;            /* SegReg of the memory operand */
    uint8_t ea;             /* EaKind; EA_NONE: register form */
    uint8_t len;            /* bytes */
    uint8_t opsize;         /* operand size in bytes: 1, 2, 4, 8 */
    uint8_t addrsize;       /* address size in bytes: 2, 4, 8 */
    uint8_t flags;          /* INSN_* */
    uint8_t reg2;           /* a third register operand (VEX.vvvv), plain number */
    uint8_t aux;            /* family-owned: condition code, second immediate, … */
    uint8_t aux2;
    uint8_t bytes_at;       /* unused by functions */
    uint8_t pad;
};

/* What decode gives a family to choose a function from. */
typedef struct InsnSource {
    const ZydisDecodedInstruction *zi;
    const ZydisDecodedOperand *ops; /* zi->operand_count of them, visible ones first */
    const uint8_t *bytes;           /* the instruction's own zi->length bytes */
    X86CPU *cpu;                    /* for features and mode at decode time */
} InsnSource;

/*
 * A family's chooser: memory operand, reg/rm, imm, sizes are filled in already; returns the
 * function, or NULL for #UD. May change any field of @insn.
 */
typedef InsnFn *InsnSelect(const InsnSource *src, Insn *insn);

/* For choosers: byte offset into regs[] of a general register, plain number of any other. */
uint16_t insn_register_offset(ZydisRegister reg);
/*
 * For choosers: fills in the memory operand @mem, for one that is not among the visible operands.
 */
void insn_fill_memory(const InsnSource *src, const ZydisDecodedOperandMem *mem, Insn *insn);
/* For choosers: the segment of a memory operand, DS where Zydis names none. */
SegReg insn_segment(ZydisRegister reg);

/* --- registers -------------------------------------------------------------- */

static inline uint8_t *reg_byte(X86CPU *cpu, uint16_t offset)
{
    return (uint8_t *)cpu->regs + offset;
}
static inline uint8_t reg_get8(X86CPU *cpu, uint16_t offset)
{
    return *reg_byte(cpu, offset);
}
static inline uint16_t reg_get16(X86CPU *cpu, uint16_t offset)
{
    return *(uint16_t *)reg_byte(cpu, offset);
}
static inline uint32_t reg_get32(X86CPU *cpu, uint16_t offset)
{
    return *(uint32_t *)reg_byte(cpu, offset);
}
static inline uint64_t reg_get64(X86CPU *cpu, uint16_t offset)
{
    return *(uint64_t *)reg_byte(cpu, offset);
}
static inline void reg_set8(X86CPU *cpu, uint16_t offset, uint8_t value)
{
    *reg_byte(cpu, offset) = value;
}
static inline void reg_set16(X86CPU *cpu, uint16_t offset, uint16_t value)
{
    *(uint16_t *)reg_byte(cpu, offset) = value;
}
/* 32-bit results clear the upper half (SDM 1, 3.4.1.1). */
static inline void reg_set32(X86CPU *cpu, uint16_t offset, uint32_t value)
{
    *(uint64_t *)reg_byte(cpu, offset) = value;
}
static inline void reg_set64(X86CPU *cpu, uint16_t offset, uint64_t value)
{
    *(uint64_t *)reg_byte(cpu, offset) = value;
}
/* By size in bytes. */
uint64_t reg_get(X86CPU *cpu, uint16_t offset, unsigned size);
void reg_set(X86CPU *cpu, uint16_t offset, uint64_t value, unsigned size);

/* --- memory operands ---------------------------------------------------------- */

/*
 * The linear address of @offset in @seg after limit and type checks (legacy modes), raising
 * #GP/#SS.
 */
uint64_t seg_linear(X86CPU *cpu, SegReg seg, uint64_t offset, unsigned size, bool write);
/* True if @size bytes from @offset, which do not wrap, are within the segment's limit. */
bool seg_covers(const X86CPU *cpu, SegReg seg, uint64_t offset, unsigned size);
uint64_t insn_linear_slow(X86CPU *cpu, const Insn *insn, uint64_t offset, unsigned size,
                          bool write);

/* Ordinary data accesses of 1, 2, 4 or 8 bytes. */
uint64_t mem_load(X86CPU *cpu, uint64_t va, unsigned size);
void mem_store(X86CPU *cpu, uint64_t va, uint64_t value, unsigned size);
/* The operand of ModRM.rm, register or memory, of insn->opsize bytes. */
uint64_t insn_load(X86CPU *cpu, const Insn *insn);

/* The memory operand's offset, before any truncation. */
static inline uint64_t insn_offset(X86CPU *cpu, const Insn *insn)
{
    return cpu->regs[insn->base] + (cpu->regs[insn->index] << insn->scale) + insn->disp;
}

/* The linear address of the memory operand, checked by the rules of its segment. */
static inline uint64_t insn_linear(X86CPU *cpu, const Insn *insn, unsigned size, bool write)
{
    uint64_t offset = insn_offset(cpu, insn);

    if (G_LIKELY(insn->ea == EA_FLAT64)) {
        return offset;
    }
    return insn_linear_slow(cpu, insn, offset, size, write);
}

/* The offset as LEA gives it: truncated to the address size. */
static inline uint64_t insn_effective(X86CPU *cpu, const Insn *insn)
{
    uint64_t offset = insn_offset(cpu, insn);

    return insn->addrsize == 8 ? offset : insn->addrsize == 4 ? (uint32_t)offset : (uint16_t)offset;
}

/* --- stack -------------------------------------------------------------------- */

/* The stack pointer as this mode sees it: RSP, ESP or SP. */
uint64_t stack_pointer(X86CPU *cpu);
void stack_set_pointer(X86CPU *cpu, uint64_t value);
/* Push and pop of @size bytes (2, 4, 8). The pointer moves only after the access succeeded. */
void stack_push(X86CPU *cpu, uint64_t value, unsigned size);
uint64_t stack_pop(X86CPU *cpu, unsigned size);
/* Linear address of stack offset @sp, checked for @size bytes. */
uint64_t stack_linear(X86CPU *cpu, uint64_t sp, unsigned size, bool write);

/* --- control flow --------------------------------------------------------------- */

/* RIP of the next instruction. */
static inline uint64_t insn_next_rip(X86CPU *cpu, const Insn *insn)
{
    return cpu->cpu_rip + insn->len;
}
/* Goes on behind this instruction (for INSN_END functions). */
static inline void insn_advance(X86CPU *cpu, const Insn *insn)
{
    cpu->cpu_rip += insn->len;
}
/* Near jump to @target: truncates to operand size, checks the CS limit or canonicality (#GP(0)). */
void cpu_jump_near(X86CPU *cpu, uint64_t target, unsigned opsize);
/* Back to the run loop at once, RIP as it stands; no exception. */
G_NORETURN void cpu_leave_block(X86CPU *cpu);

/* --- flags ------------------------------------------------------------------------ */

/* True if condition @cc (low four bits of Jcc/SETcc/CMOVcc opcodes) holds (SDM 1 appendix B). */
static inline bool cpu_condition(const X86CPU *cpu, unsigned cc)
{
    uint32_t f = cpu->cc;
    bool result;

    switch (cc >> 1) {
    case 0: result = f & FL_OF; break;
    case 1: result = f & FL_CF; break;
    case 2: result = f & FL_ZF; break;
    case 3: result = f & (FL_CF | FL_ZF); break;
    case 4: result = f & FL_SF; break;
    case 5: result = f & FL_PF; break;
    case 6: result = !(f & FL_SF) != !(f & FL_OF); break;
    default: result = (f & FL_ZF) || !(f & FL_SF) != !(f & FL_OF); break;
    }
    return result ^ (cc & 1);
}

/* --- families (choosers named in the insns-*.def files) ----------------------------- */

#define INSN_FAMILY(name) InsnFn *insn_select_##name(const InsnSource *src, Insn *insn)

#define INSN(mnemonic, family, feature) InsnSelect insn_select_##family;
#include "target-i386/interp/insns-base.def"
#include "target-i386/interp/insns-simd.def"
#include "target-i386/interp/insns-system.def"
#undef INSN
/* Reached through mnemonics that several families share (see insns-base.def). */
InsnSelect insn_select_far_branch;
InsnSelect insn_select_system_move;
InsnSelect insn_select_vector;

/* Takes the machine lock for a port access. */
uint32_t cpu_port_read(X86CPU *cpu, uint16_t port, unsigned size);
void cpu_port_write(X86CPU *cpu, uint16_t port, uint32_t value, unsigned size);

/*
 * Checks CPL/IOPL and the TSS I/O bitmap for @size ports from @port; raises #GP(0) (SDM 1, 19.5).
 */
void cpu_check_io(X86CPU *cpu, uint16_t port, unsigned size);

#endif
