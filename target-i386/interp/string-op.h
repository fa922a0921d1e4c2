/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What string.c, which repeats and goes element by element, shares with string-bulk.c. */
#ifndef TARGET_I386_INTERP_STRING_OP_H
#define TARGET_I386_INTERP_STRING_OP_H

#include "target-i386/interp/insn.h"

/* A string instruction under way. */
typedef struct StringOp {
    X86CPU *cpu;
    const Insn *insn;
    unsigned size;   /* of an element, bytes */
    int64_t step;    /* +size or -size */
    uint64_t mask;   /* of the address size */
    uint32_t *flags; /* what comparisons set; the CPU takes it over at the end */
    bool until_equal; /* REPNE: a comparison that finds equal elements ends it; else unequal ones */
} StringOp;

/* Linear address of the element that @reg points to, checked by the rules of @seg. */
uint64_t string_address(const StringOp *op, unsigned reg, SegReg seg, bool write);
void string_advance(const StringOp *op, unsigned reg, uint64_t elements);
/* Flags of @a minus @b. */
void string_compare(const StringOp *op, uint64_t a, uint64_t b);

/*
 * Each does up to @count elements of its instruction, registers (but the count) and flags included,
 * and returns how many, all in one page of plain RAM on each side. Comparisons stop behind the
 * element that ends the instruction. 0: the next element must be done by itself. Raises what the
 * first element raises.
 */
uint64_t string_bulk_movs(const StringOp *op, uint64_t count);
uint64_t string_bulk_stos(const StringOp *op, uint64_t count);
uint64_t string_bulk_lods(const StringOp *op, uint64_t count);
uint64_t string_bulk_scas(const StringOp *op, uint64_t count);
uint64_t string_bulk_cmps(const StringOp *op, uint64_t count);

#endif
