/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Writes to pages that hold code, beside the code. jit_fill() lets them through at the price of a
 * call each; a block that does so often is translated again with the look in line, behind the miss
 * of the TLB: 8 ns where the call took 27.
 */
#include "accel/tcg/trans.h"

#include "target-i386/interp/cache.h"
#include "target-i386/mmu-walk.h"

#define BESIDE_SIZE  (1u << CODE_GRANULE_SHIFT) /* more would meet granules between the two */
#define BESIDE_JUMPS 9u

typedef struct Beside {
    Asm *a;
    const ColdStub *stub;
    bool constant;         /* the address is */
    unsigned pointer;      /* host register for the CodeWatch; with the address, unless constant */
    uint8_t *failed[BESIDE_JUMPS];
    unsigned count;
} Beside;

static void fail_if(Beside *b, unsigned condition)
{
    b->failed[b->count++] = emit_jcc(b->a, condition);
}

/* A field of the CodeWatch whose byte offset is in the pointer. */
#define WATCH(field) ((HostMem){b->pointer, H_NONE, 0, true, CPU_FIELD(code_watches[0].field)})

/* What lies @field bytes behind the write tag in the first way of the set. */
static HostMem entry_field(const Beside *b, size_t field)
{
    return (HostMem){b->constant ? H_NONE : H_R10, H_NONE, 0, true,
                     b->stub->tag + (int32_t)(field - offsetof(TlbEntry, write_tag))};
}

static void load_offset(Beside *b)
{
    if (b->constant) {
        emit_mov_imm(b->a, H_RAX, b->stub->constant & (GUEST_PAGE_SIZE - 1));
    } else {
        emit_op_mem(b->a, false, 0x8b, H_RAX, GS(jit.scratch[2]));
        emit_alu_imm(b->a, false, 4, H_RAX, GUEST_PAGE_SIZE - 1);
    }
}

/* rax = number of the granule of byte rax of the page; bt rcx, rax */
static void look_at_granule(Beside *b)
{
    emit_op_reg(b->a, false, 0xc1, 5, H_RAX);
    put8(b->a, CODE_GRANULE_SHIFT);
    emit_op_reg(b->a, true, 0x0fa3, H_RAX, H_RCX);
    fail_if(b, CC_B);
}

/* rax = offset in the page; fails unless the first way of the set has it, watched, and it fits. */
static void look_at_entry(Beside *b)
{
    Asm *a = b->a;

    if (b->constant) {
        emit_mov_imm(a, H_RAX, tlb_watched_tag(b->stub->constant & -(uint64_t)GUEST_PAGE_SIZE));
    } else {
        emit_mov(a, H_RAX, b->pointer);
        emit_alu_imm(a, true, 4, H_RAX, -(int32_t)GUEST_PAGE_SIZE);
        emit_alu_imm(a, true, 6, H_RAX, (int32_t)tlb_watched_tag(0));
    }
    emit_op_mem(a, true, 0x3b, H_RAX, entry_field(b, offsetof(TlbEntry, write_tag)));
    fail_if(b, CC_NE);
    load_offset(b);
    if (!b->constant) {
        emit_alu_imm(a, false, 7, H_RAX, GUEST_PAGE_SIZE - b->stub->site.size);
        fail_if(b, CC_A);
    }
}

/* As code_watch_beside() does, for rax bytes into the page of the entry. */
static void look_at_watch(Beside *b)
{
    Asm *a = b->a;
    unsigned pointer = b->pointer, size = b->stub->site.size;

    emit_load(a, H_RCX, entry_field(b, offsetof(TlbEntry, page)));
    emit_mov(a, pointer, H_RCX);
    emit_op_reg(a, true, 0xc1, 5, pointer);
    put8(a, GUEST_PAGE_BITS);
    emit_alu_imm(a, false, 4, pointer, CODE_WATCHES - 1);
    emit_op_reg(a, true, 0x6b, pointer, pointer); /* imul */
    put8(a, sizeof(CodeWatch));
    emit_op_mem(a, true, 0x3b, H_RCX, WATCH(page));
    fail_if(b, CC_NE);
    emit_load(a, H_RCX, WATCH(generation));
    emit_load(a, H_RCX, (HostMem){.base = H_RCX, .index = H_NONE});
    emit_op_mem(a, true, 0x3b, H_RCX, WATCH(known));
    fail_if(b, CC_NE);
    emit_load(a, H_RCX, WATCH(marks));
    emit_compare_byte(a, (HostMem){.base = H_RCX, .index = H_NONE}, PAGE_WATCH_CODE);
    fail_if(b, CC_NE);
    emit_load(a, H_RCX, WATCH(granules));
    if (size > 1) {
        emit_alu_imm(a, false, 0, H_RAX, size - 1);
    }
    look_at_granule(b);
    if (size > 1) {
        load_offset(b);
        look_at_granule(b);
    }
}

G_STATIC_ASSERT(sizeof(CodeWatch) < 128);

/* Now and then who is called looks whether the page is to be watched still. */
static void count_write(Beside *b)
{
    emit_compare_byte(b->a, WATCH(alone), 0);
    fail_if(b, CC_E);
    emit_op_mem(b->a, false, 0x81, 7, WATCH(writes));
    put32(b->a, CODE_WATCH_WRITES);
    fail_if(b, CC_AE);
    emit_op_mem(b->a, false, 0x83, 0, WATCH(writes));
    put8(b->a, 1);
}

static void restore(Asm *a)
{
    emit_load(a, H_RAX, GS(jit.scratch[6]));
    emit_load(a, H_RCX, GS(jit.scratch[7]));
}

/* Goes on as a hit does: with the offset in the page in the pointer, or the page in r10. */
static void go_on(Beside *b)
{
    restore(b->a);
    if (b->constant) {
        emit_load(b->a, H_R10, entry_field(b, offsetof(TlbEntry, page)));
        patch_rel32(emit_jmp(b->a), b->stub->back2);
    } else {
        emit_load(b->a, b->pointer, GS(jit.scratch[2]));
        emit_alu_imm(b->a, false, 4, b->pointer, GUEST_PAGE_SIZE - 1);
        patch_rel32(emit_jmp(b->a), b->stub->back);
    }
}

void trans_beside_code(Trans *t, Asm *a, const ColdStub *stub)
{
    Beside b = {.a = a, .stub = stub, .constant = stub->back2,
                .pointer = stub->back2 ? H_R10 : stub->pointer};

    if (!(t->tb->no_groups & JIT_BESIDE_CODE) || !(stub->site.flags & SITE_WRITE) ||
        !stub->back || stub->site.size > BESIDE_SIZE) {
        return;
    }
    emit_store(a, H_RAX, GS(jit.scratch[6]));
    emit_store(a, H_RCX, GS(jit.scratch[7]));
    look_at_entry(&b);
    look_at_watch(&b);
    count_write(&b);
    go_on(&b);
    for (unsigned i = 0; i < b.count; i++) {
        patch_rel32(b.failed[i], a->p);
    }
    restore(a);
    if (!b.constant) {
        emit_load(a, b.pointer, GS(jit.scratch[2]));
    }
}
