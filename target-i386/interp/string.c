/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * MOVS, STOS, LODS, SCAS, CMPS with their repeat prefixes (SDM 2B). A repeated instruction runs in
 * stretches: each element is complete before the next, registers are up to date at every fault, and
 * between stretches RIP stays on the instruction so that interrupts get in. What stays within pages
 * of plain RAM runs at the host's memory speed (string-bulk.c).
 */
#include "target-i386/interp/string-op.h"

#include "target-i386/interp/alu.h"

/* Elements between two visits to the run loop; a bulk of up to a page is worth BULK_COST. */
enum { STRETCH = 4096, BULK_COST = 16 };

static StringOp string_begin(X86CPU *cpu, const Insn *insn)
{
    int64_t size = insn->opsize;

    return (StringOp){
        .cpu = cpu,
        .insn = insn,
        .size = insn->opsize,
        .step = cpu->eflags & FL_DF ? -size : size,
        .mask = UINT64_MAX >> (64 - insn->addrsize * 8),
        .until_equal = insn->flags & INSN_REPNE,
    };
}

uint64_t string_address(const StringOp *op, unsigned reg, SegReg seg, bool write)
{
    uint64_t offset = op->cpu->regs[reg] & op->mask;

    return seg_linear(op->cpu, seg, offset, op->size, write);
}

static uint64_t source_address(const StringOp *op)
{
    return string_address(op, R_RSI, op->insn->seg, false);
}

static uint64_t destination_address(const StringOp *op, bool write)
{
    return string_address(op, R_RDI, SEG_ES, write);
}

void string_advance(const StringOp *op, unsigned reg, uint64_t elements)
{
    uint64_t value = op->cpu->regs[reg] + op->step * (int64_t)elements;

    reg_set(op->cpu, reg * 8, value & op->mask, op->insn->addrsize);
}

/* --- one element ------------------------------------------------------------------ */

static void movs_one(const StringOp *op)
{
    uint64_t value = mem_load(op->cpu, source_address(op), op->size);

    mem_store(op->cpu, destination_address(op, true), value, op->size);
    string_advance(op, R_RSI, 1);
    string_advance(op, R_RDI, 1);
}

static void stos_one(const StringOp *op)
{
    mem_store(op->cpu, destination_address(op, true), op->cpu->regs[R_RAX], op->size);
    string_advance(op, R_RDI, 1);
}

static void lods_one(const StringOp *op)
{
    reg_set(op->cpu, R_RAX * 8, mem_load(op->cpu, source_address(op), op->size), op->size);
    string_advance(op, R_RSI, 1);
}

void string_compare(const StringOp *op, uint64_t a, uint64_t b)
{
    switch (op->size) {
    case 1: alu_cmp8(a, b, op->flags); break;
    case 2: alu_cmp16(a, b, op->flags); break;
    case 4: alu_cmp32(a, b, op->flags); break;
    default: alu_cmp64(a, b, op->flags); break;
    }
}

static void scas_one(const StringOp *op)
{
    uint64_t value = mem_load(op->cpu, destination_address(op, false), op->size);

    string_compare(op, op->cpu->regs[R_RAX], value);
    string_advance(op, R_RDI, 1);
}

/* ES:RDI comes first: where both fault, Intel processors tell of that one. */
static void cmps_one(const StringOp *op)
{
    uint64_t b = mem_load(op->cpu, destination_address(op, false), op->size);
    uint64_t a = mem_load(op->cpu, source_address(op), op->size);

    string_compare(op, a, b);
    string_advance(op, R_RSI, 1);
    string_advance(op, R_RDI, 1);
}

/* --- repetition ---------------------------------------------------------------------- */

typedef void StringOne(const StringOp *op);
typedef uint64_t StringBulk(const StringOp *op, uint64_t count);

static uint64_t repeat_count(const StringOp *op)
{
    return op->cpu->regs[R_RCX] & op->mask;
}

static void repeat_count_minus(const StringOp *op, uint64_t done)
{
    reg_set(op->cpu, R_RCX * 8, (repeat_count(op) - done) & op->mask, op->insn->addrsize);
}

/*
 * With a 32-bit address size in 64-bit code, repetition begins by clearing the upper halves of RCX
 * and, of MOVS and STOS, of the pointers, even if the count is 0 or the first element faults (seen
 * on Intel processors; the manual is silent).
 */
static void repeat_begin(const StringOp *op, bool movs, bool stos)
{
    repeat_count_minus(op, 0);
    if (movs) {
        string_advance(op, R_RSI, 0);
    }
    if (movs || stos) {
        string_advance(op, R_RDI, 0);
    }
}

/* With -icount the end of a stretch is part of the count: events of the host do not move it. */
static bool must_pause(X86CPU *cpu)
{
    bool counting = cpu->icount_limit != UINT64_MAX;

    return (vcpu_pending(&cpu->vcpu) && !counting) || cpu->debug_active;
}

static void string_run(X86CPU *cpu, const Insn *insn, StringOne *one, StringBulk *bulk,
                       bool compares)
{
    StringOp op = string_begin(cpu, insn);
    /* A fault gives back the flags of before the instruction (SDM 2B, REP). */
    uint32_t flags = cpu->cc;
    uint64_t count;
    unsigned cost = 0;

    op.flags = &flags;
    if (!(insn->flags & (INSN_REP | INSN_REPNE))) {
        one(&op);
        cpu->cc = flags;
        return;
    }
    repeat_begin(&op, one == movs_one, one == stos_one);
    while ((count = repeat_count(&op)) != 0) {
        uint64_t n = bulk(&op, count);

        cost += n ? BULK_COST : 1;
        if (!n) {
            one(&op);
            n = 1;
        }
        repeat_count_minus(&op, n);
        if (compares && !(flags & FL_ZF) == !op.until_equal) {
            break;
        }
        if (n < count && (cost >= STRETCH || must_pause(cpu))) {
            cpu->cc = flags;
            return; /* RIP stays: the rest comes after whatever is pending */
        }
    }
    cpu->cc = flags;
    insn_advance(cpu, insn);
}

#define STRING_FN(name, compares)                                                                  \
    static void name(X86CPU *cpu, const Insn *insn)                                                \
    {                                                                                              \
        string_run(cpu, insn, name##_one, string_bulk_##name, compares);                           \
    }

STRING_FN(movs, false)
STRING_FN(stos, false)
STRING_FN(lods, false)
STRING_FN(scas, true)
STRING_FN(cmps, true)

static void string_fill(const InsnSource *src, Insn *insn)
{
    insn->seg = SEG_DS;
    for (unsigned i = 0; i < src->zi->operand_count; i++) {
        const ZydisDecodedOperand *op = &src->ops[i];

        if (op->type == ZYDIS_OPERAND_TYPE_MEMORY) {
            insn->opsize = op->size / 8;
            if (op->mem.base == ZYDIS_REGISTER_RSI || op->mem.base == ZYDIS_REGISTER_ESI ||
                op->mem.base == ZYDIS_REGISTER_SI) {
                insn->seg = insn_segment(op->mem.segment);
            }
        }
    }
    insn->ea = EA_NONE;
    if (insn->flags & (INSN_REP | INSN_REPNE)) {
        insn->flags |= INSN_END;
    }
}

#define STRING_FAMILY(name)                                                                        \
    INSN_FAMILY(name)                                                                              \
    {                                                                                              \
        if (src->zi->opcode_map != ZYDIS_OPCODE_MAP_DEFAULT) {                                     \
            return insn_select_vector(src, insn); /* SSE2 MOVSD, CMPSD */                          \
        }                                                                                          \
        string_fill(src, insn);                                                                    \
        return name;                                                                               \
    }

STRING_FAMILY(movs)
STRING_FAMILY(stos)
STRING_FAMILY(lods)
STRING_FAMILY(scas)
STRING_FAMILY(cmps)
