/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * String instructions on many elements at once: as many as lie in one page of plain RAM on each
 * side and within address size and segment limit. What is seen afterwards is what single elements
 * in their order leave, patterns by overlap included; that their stores may be seen out of order
 * meanwhile is architectural (fast-string operation, SDM 1 7.3.9.3).
 */
#include <string.h>

#include "target-i386/interp/string-op.h"

/* Elements that follow each other in one page. */
typedef struct Run {
    uint64_t va; /* of the first element in the instruction's order */
    uint64_t n;
} Run;

/*
 * The run from the element that @reg points to, of no more than @count elements: up to the page's
 * end in the direction of the step, to where the address would wrap, and within the limit.
 */
static Run run_from(const StringOp *op, unsigned reg, SegReg seg, bool write, uint64_t count)
{
    uint64_t offset = op->cpu->regs[reg] & op->mask, last = op->size - 1;
    uint64_t to_wrap = op->mask - offset;
    Run run = {.va = string_address(op, reg, seg, write)};
    uint64_t in_page = run.va & (GUEST_PAGE_SIZE - 1);

    if (in_page > GUEST_PAGE_SIZE - op->size || to_wrap < last) {
        return run;
    }
    if (op->step > 0) {
        run.n = MIN((GUEST_PAGE_SIZE - in_page) / op->size, (to_wrap - last) / op->size + 1);
    } else {
        run.n = MIN(in_page, offset) / op->size + 1;
    }
    run.n = MIN(run.n, count);
    if (!seg_covers(op->cpu, seg, op->step > 0 ? offset : offset - (run.n - 1) * op->size,
                    run.n * op->size)) {
        run.n = 0;
    }
    return run;
}

/* Between the first element and the lowest, in bytes. */
static uint64_t run_depth(const StringOp *op, uint64_t n)
{
    return op->step > 0 ? 0 : (n - 1) * op->size;
}

static const uint8_t *run_to_read(const StringOp *op, const Run *run)
{
    return mmu_host(op->cpu, op->cpu->mmu_view, run->va, op->size, ACCESS_READ);
}

static uint64_t element(const StringOp *op, const uint8_t *at)
{
    uint64_t value = 0;

    switch (op->size) {
    case 1: return *at;
    case 2: memcpy(&value, at, 2); return value;
    case 4: memcpy(&value, at, 4); return value;
    default: memcpy(&value, at, 8); return value;
    }
}

/* A debug trap comes after every element (SDM 3B 17.3.1.2); single elements need no run. */
static bool worth_it(const StringOp *op, uint64_t count)
{
    return count > 1 && !op->cpu->debug_active;
}

/* --- MOVS, STOS, LODS --------------------------------------------------------------- */

/* Any overlap: an element's bytes are read, then written, then comes the next element. */
static void copy_elements(const StringOp *op, uint8_t *to, const uint8_t *from, uint64_t n)
{
    for (; n; n--) {
        uint64_t value = element(op, from);

        memcpy(to, &value, op->size);
        to += op->step;
        from += op->step;
    }
}

/*
 * Upwards to @distance bytes above: the source's first @distance bytes repeat. What is done already
 * doubles the part of the pattern that can be copied at once.
 */
static void copy_pattern(uint8_t *to, const uint8_t *from, uint64_t distance, uint64_t bytes)
{
    for (uint64_t done = 0; done < bytes;) {
        uint64_t part = MIN(distance + done, bytes - done);

        memcpy(to + done, from, part);
        done += part;
    }
}

/* @to and @from are the lowest bytes; each of the @n elements moves in the order of the step. */
static void copy_run(const StringOp *op, uint8_t *to, const uint8_t *from, uint64_t n)
{
    uint64_t bytes = n * op->size;
    uint64_t ahead = op->step > 0 ? (uintptr_t)to - (uintptr_t)from
                                  : (uintptr_t)from - (uintptr_t)to;

    if (ahead >= bytes || ahead == 0) {
        memmove(to, from, bytes); /* nothing is written before it is read */
    } else if (op->step > 0 && ahead >= op->size) {
        copy_pattern(to, from, ahead, bytes);
    } else {
        uint64_t first = run_depth(op, n);

        copy_elements(op, to + first, from + first, n);
    }
}

uint64_t string_bulk_movs(const StringOp *op, uint64_t count)
{
    X86CPU *cpu = op->cpu;
    const uint8_t *source;
    uint8_t *destination;
    MmuWatch watch;
    uint64_t depth;
    Run from, to;

    if (!worth_it(op, count)) {
        return 0;
    }
    from = run_from(op, R_RSI, op->insn->seg, false, count);
    if (from.n < 2 || !(source = run_to_read(op, &from))) {
        return 0;
    }
    to = run_from(op, R_RDI, SEG_ES, true, from.n);
    if (to.n < 2 ||
        !(destination = mmu_host_watched(cpu, cpu->mmu_view, to.va, op->size, &watch))) {
        return 0;
    }
    depth = run_depth(op, to.n);
    copy_run(op, destination - depth, source - depth, to.n);
    mmu_wrote(cpu, &watch, -(int64_t)depth, to.n * op->size);
    string_advance(op, R_RSI, to.n);
    string_advance(op, R_RDI, to.n);
    return to.n;
}

static void fill(uint8_t *to, uint64_t value, unsigned size, uint64_t n)
{
    switch (size) {
    case 1:
        memset(to, (uint8_t)value, n);
        break;
    case 2:
        __asm__ volatile("rep stosw" : "+D"(to), "+c"(n) : "a"(value) : "memory");
        break;
    case 4:
        __asm__ volatile("rep stosl" : "+D"(to), "+c"(n) : "a"(value) : "memory");
        break;
    default:
        __asm__ volatile("rep stosq" : "+D"(to), "+c"(n) : "a"(value) : "memory");
        break;
    }
}

uint64_t string_bulk_stos(const StringOp *op, uint64_t count)
{
    X86CPU *cpu = op->cpu;
    uint8_t *destination;
    MmuWatch watch;
    uint64_t depth;
    Run to;

    if (!worth_it(op, count)) {
        return 0;
    }
    to = run_from(op, R_RDI, SEG_ES, true, count);
    if (to.n < 2 ||
        !(destination = mmu_host_watched(cpu, cpu->mmu_view, to.va, op->size, &watch))) {
        return 0;
    }
    depth = run_depth(op, to.n);
    fill(destination - depth, cpu->regs[R_RAX], op->size, to.n);
    mmu_wrote(cpu, &watch, -(int64_t)depth, to.n * op->size);
    string_advance(op, R_RDI, to.n);
    return to.n;
}

/* RAM can be read without being looked at: the last element is what stays. */
uint64_t string_bulk_lods(const StringOp *op, uint64_t count)
{
    const uint8_t *source;
    Run from;

    if (!worth_it(op, count)) {
        return 0;
    }
    from = run_from(op, R_RSI, op->insn->seg, false, count);
    if (from.n < 2 || !(source = run_to_read(op, &from))) {
        return 0;
    }
    source += op->step * (int64_t)(from.n - 1);
    reg_set(op->cpu, R_RAX * 8, element(op, source), op->size);
    string_advance(op, R_RSI, from.n);
    return from.n;
}

/* --- SCAS, CMPS --------------------------------------------------------------------- */

/*
 * How many leading bytes of @bytes are the same at @a and @b; without @b, the same as in the
 * eight bytes of @pattern, which repeat.
 */
static uint64_t same_bytes(const uint8_t *a, const uint8_t *b, uint64_t pattern, uint64_t bytes)
{
    uint64_t done = 0, x, y = pattern;

    for (; done + 8 <= bytes; done += 8) {
        memcpy(&x, a + done, 8);
        if (b) {
            memcpy(&y, b + done, 8);
        }
        if (x != y) {
            return done + __builtin_ctzll(x ^ y) / 8;
        }
    }
    while (done < bytes && a[done] == (b ? b[done] : (uint8_t)(pattern >> done % 8 * 8))) {
        done++;
    }
    return done;
}

static uint64_t repeated(uint64_t value, unsigned size)
{
    switch (size) {
    case 1: return (uint8_t)value * 0x0101010101010101u;
    case 2: return (uint16_t)value * 0x0001000100010001u;
    case 4: return (uint32_t)value * 0x0000000100000001u;
    default: return value;
    }
}

/*
 * The place, in the order of the step, of the first element that ends the comparison, or @n. @a and
 * @b point to the first element; without @b, elements are compared with @value.
 */
static uint64_t find_end(const StringOp *op, const uint8_t *a, const uint8_t *b, uint64_t value,
                         uint64_t n)
{
    if (op->step > 0 && !op->until_equal) {
        return same_bytes(a, b, repeated(value, op->size), n * op->size) / op->size;
    }
    if (op->step > 0 && !b && op->size == 1) {
        const uint8_t *found = memchr(a, (uint8_t)value, n);

        return found ? (uint64_t)(found - a) : n;
    }
    value = repeated(value, op->size) & UINT64_MAX >> (64 - op->size * 8);
    for (uint64_t i = 0; i < n; i++) {
        int64_t at = op->step * (int64_t)i;

        if ((element(op, a + at) == (b ? element(op, b + at) : value)) == op->until_equal) {
            return i;
        }
    }
    return n;
}

uint64_t string_bulk_scas(const StringOp *op, uint64_t count)
{
    uint64_t value = op->cpu->regs[R_RAX], end;
    const uint8_t *host;
    Run run;

    if (!worth_it(op, count)) {
        return 0;
    }
    run = run_from(op, R_RDI, SEG_ES, false, count);
    if (run.n < 2 || !(host = run_to_read(op, &run))) {
        return 0;
    }
    end = MIN(find_end(op, host, NULL, value, run.n), run.n - 1);
    string_compare(op, value, element(op, host + op->step * (int64_t)end));
    string_advance(op, R_RDI, end + 1);
    return end + 1;
}

uint64_t string_bulk_cmps(const StringOp *op, uint64_t count)
{
    const uint8_t *a, *b;
    uint64_t end;
    int64_t at;
    Run left, right;

    if (!worth_it(op, count)) {
        return 0;
    }
    right = run_from(op, R_RDI, SEG_ES, false, count);
    if (right.n < 2 || !(b = run_to_read(op, &right))) {
        return 0;
    }
    left = run_from(op, R_RSI, op->insn->seg, false, right.n);
    if (left.n < 2 || !(a = run_to_read(op, &left))) {
        return 0;
    }
    end = MIN(find_end(op, a, b, 0, left.n), left.n - 1);
    at = op->step * (int64_t)end;
    string_compare(op, element(op, a + at), element(op, b + at));
    string_advance(op, R_RSI, end + 1);
    string_advance(op, R_RDI, end + 1);
    return end + 1;
}
