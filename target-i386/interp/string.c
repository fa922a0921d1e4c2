/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * MOVS, STOS, LODS, SCAS, CMPS with their repeat prefixes (SDM 2B). A repeated instruction runs in
 * stretches: each element is complete before the next, registers are up to date at every fault, and
 * between stretches RIP stays on the instruction so that interrupts get in. Stretches of MOVS and
 * STOS that stay within pages of plain RAM run at the host's memory speed.
 */
#include <string.h>

#include "target-i386/interp/alu.h"

/* Elements between two looks at pending events. */
#define STRETCH 4096u

typedef struct StringOp {
    X86CPU *cpu;
    const Insn *insn;
    unsigned size;    /* of an element, bytes */
    int64_t step;     /* +size or -size */
    uint64_t mask;    /* of the address size */
    uint32_t *flags;   /* what comparisons set; the CPU takes it over at the end */
} StringOp;

static StringOp string_begin(X86CPU *cpu, const Insn *insn)
{
    int64_t size = insn->opsize;

    return (StringOp){
        .cpu = cpu,
        .insn = insn,
        .size = insn->opsize,
        .step = cpu->eflags & FL_DF ? -size : size,
        .mask = UINT64_MAX >> (64 - insn->addrsize * 8),
    };
}

static uint64_t string_address(const StringOp *op, unsigned reg, SegReg seg, bool write)
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

static void advance_register(const StringOp *op, unsigned reg, uint64_t elements)
{
    uint64_t value = op->cpu->regs[reg] + op->step * (int64_t)elements;

    reg_set(op->cpu, reg * 8, value & op->mask, op->insn->addrsize);
}

/* --- one element ------------------------------------------------------------------ */

static void movs_one(const StringOp *op)
{
    uint64_t value = mem_load(op->cpu, source_address(op), op->size);

    mem_store(op->cpu, destination_address(op, true), value, op->size);
    advance_register(op, R_RSI, 1);
    advance_register(op, R_RDI, 1);
}

static void stos_one(const StringOp *op)
{
    mem_store(op->cpu, destination_address(op, true), op->cpu->regs[R_RAX], op->size);
    advance_register(op, R_RDI, 1);
}

static void lods_one(const StringOp *op)
{
    reg_set(op->cpu, R_RAX * 8, mem_load(op->cpu, source_address(op), op->size), op->size);
    advance_register(op, R_RSI, 1);
}

static void compare(const StringOp *op, uint64_t a, uint64_t b)
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

    compare(op, op->cpu->regs[R_RAX], value);
    advance_register(op, R_RDI, 1);
}

static void cmps_one(const StringOp *op)
{
    uint64_t a = mem_load(op->cpu, source_address(op), op->size);
    uint64_t b = mem_load(op->cpu, destination_address(op, false), op->size);

    compare(op, a, b);
    advance_register(op, R_RSI, 1);
    advance_register(op, R_RDI, 1);
}

/* --- bulk -------------------------------------------------------------------------- */

/* Whole elements from @va upwards that stay in its page. */
static uint64_t elements_in_page(const StringOp *op, uint64_t va)
{
    return (GUEST_PAGE_SIZE - (va & (GUEST_PAGE_SIZE - 1))) / op->size;
}

/*
 * Upward stretches in flat 64-bit addressing, where an offset is its own linear address. A debug
 * trap comes after every element (SDM 3A 17.3.1.2).
 */
static bool bulk_possible(const StringOp *op)
{
    return op->step > 0 && !op->cpu->debug_active && cpu_code64(op->cpu) && op->insn->addrsize == 8;
}

/* Copies up to @count elements within a page of each side; 0 if it must go by elements. */
static uint64_t movs_bulk(const StringOp *op, uint64_t count)
{
    X86CPU *cpu = op->cpu;
    uint64_t from, to, n, bytes;
    uint8_t *source, *destination;

    if (!bulk_possible(op)) {
        return 0;
    }
    from = source_address(op);
    to = destination_address(op, true);
    n = MIN(count, MIN(elements_in_page(op, from), elements_in_page(op, to)));
    if (n < 2) {
        return 0;
    }
    source = mmu_host(cpu, cpu->mmu_view, from, op->size, ACCESS_READ);
    destination = mmu_host(cpu, cpu->mmu_view, to, op->size, ACCESS_WRITE);
    /* Overlap within an element is seen by element-wise copying alone. */
    if (!source || !destination || (uintptr_t)(destination - source) - 1 < op->size - 1) {
        return 0;
    }
    bytes = n * op->size;
    /*
     * Overlap with the destination ahead repeats a pattern: the host's own REP MOVSB does the same.
     */
    __asm__ volatile("rep movsb" : "+S"(source), "+D"(destination), "+c"(bytes) : : "memory");
    advance_register(op, R_RSI, n);
    advance_register(op, R_RDI, n);
    return n;
}

static uint64_t stos_bulk(const StringOp *op, uint64_t count)
{
    X86CPU *cpu = op->cpu;
    uint64_t to, n, value = cpu->regs[R_RAX];
    uint8_t *destination;

    if (!bulk_possible(op)) {
        return 0;
    }
    to = destination_address(op, true);
    n = MIN(count, elements_in_page(op, to));
    if (n < 2 || !(destination = mmu_host(cpu, cpu->mmu_view, to, op->size, ACCESS_WRITE))) {
        return 0;
    }
    if (op->size == 1) {
        memset(destination, (uint8_t)value, n);
    } else {
        for (uint64_t i = 0; i < n; i++) {
            memcpy(destination + i * op->size, &value, op->size);
        }
    }
    advance_register(op, R_RDI, n);
    return n;
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

static void string_run(X86CPU *cpu, const Insn *insn, StringOne *one, StringBulk *bulk,
                       bool compares)
{
    StringOp op = string_begin(cpu, insn);
    /* A fault gives back the flags of before the instruction (SDM 2B, REP). */
    uint32_t flags = cpu->cc;
    bool until_zero = insn->flags & INSN_REP, until_set = insn->flags & INSN_REPNE;
    uint64_t done = 0;

    op.flags = &flags;
    if (!(insn->flags & (INSN_REP | INSN_REPNE))) {
        one(&op);
        cpu->cc = flags;
        return;
    }
    while (repeat_count(&op)) {
        uint64_t n = bulk ? bulk(&op, repeat_count(&op)) : 0;

        if (!n) {
            one(&op);
            n = 1;
        }
        repeat_count_minus(&op, n);
        if (compares && ((until_zero && !(flags & FL_ZF)) || (until_set && (flags & FL_ZF)))) {
            break;
        }
        done += n;
        if (repeat_count(&op) && (done >= STRETCH || vcpu_pending(&cpu->vcpu) ||
                                  cpu->debug_active)) {
            cpu->cc = flags;
            return; /* RIP stays: the rest comes after whatever is pending */
        }
    }
    cpu->cc = flags;
    insn_advance(cpu, insn);
}

#define STRING_FN(name, bulk, compares)                                                            \
    static void name(X86CPU *cpu, const Insn *insn)                                                \
    {                                                                                              \
        string_run(cpu, insn, name##_one, bulk, compares);                                         \
    }

STRING_FN(movs, movs_bulk, false)
STRING_FN(stos, stos_bulk, false)
STRING_FN(lods, NULL, false)
STRING_FN(scas, NULL, true)
STRING_FN(cmps, NULL, true)

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
