/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Translations of blocks that are compared with their bytes each time (interp/checked.h). */
#include "accel/tcg/trans.h"

static bool is_patched(const CheckedBlock *checked, unsigned at)
{
    for (unsigned i = 0; i < checked->imm_count; i++) {
        if (at - checked->imms[i].at < checked->imms[i].size) {
            return true;
        }
    }
    return false;
}

/* The largest power of two, up to 8, of bytes from @at on that are to be compared. */
static unsigned piece_size(const Block *block, unsigned at)
{
    unsigned size = 0;

    while (size < 8 && at + size < block->bytes && !is_patched(block->checked, at + size)) {
        size++;
    }
    return size >= 8 ? 8 : size >= 4 ? 4 : size >= 2 ? 2 : size;
}

/* @reg, zero if the @size bytes at @at are what they were; r10 points to the block. */
static void compare_piece(Asm *a, const Block *block, unsigned at, unsigned size, unsigned reg)
{
    HostMem m = {.base = H_R10, .index = H_NONE, .disp = (int32_t)at};
    uint64_t value = 0;

    memcpy(&value, block_code(block) + at, size);
    if (size >= 4) {
        emit_mov_imm(a, reg, value);
        emit_op_mem(a, size == 8, 0x33, reg, m);
    } else {
        emit_op_mem(a, false, size == 2 ? 0x0fb7 : 0x0fb6, reg, m); /* movzx */
        emit_alu_imm(a, false, 6, reg, (int32_t)value);
    }
}

void trans_check_bytes(Trans *t)
{
    const Block *block = t->block;
    Asm *a = &t->a;
    bool first = true;

    emit_mov_imm(a, H_R10, (uintptr_t)block->checked->host);
    for (unsigned at = 0, size; at < block->bytes; at += size) {
        size = piece_size(block, at);
        if (!size) {
            size = 1;
            continue;
        }
        compare_piece(a, block, at, size, first ? H_R9 : H_R11);
        if (!first) {
            emit_op_reg(a, true, 0x0b, H_R9, H_R11);
        }
        first = false;
    }
    trans_cold(t, COLD_POLL, emit_jcc(a, CC_NE));
}

static const PatchedImm *patched_imm(const Trans *t, unsigned insn)
{
    const CheckedBlock *checked = t->block->checked;

    for (unsigned i = 0; checked && i < checked->imm_count; i++) {
        if (checked->imms[i].insn == insn) {
            return &checked->imms[i];
        }
    }
    return NULL;
}

bool trans_is_patched(const Trans *t, unsigned insn)
{
    return patched_imm(t, insn);
}

void trans_load_patched(Trans *t)
{
    const TransInsn *ti = trans_cur(t);
    const PatchedImm *imm = patched_imm(t, t->cur);
    unsigned host = trans_host_reg(trans_guest_reg(ti->ops[0].reg.value));
    bool wide = ti->zi.operand_width == 64;
    HostMem m = {.base = host, .index = H_NONE};

    emit_mov_imm(&t->a, host, (uintptr_t)t->block->checked->host + imm->at);
    emit_op_mem(&t->a, wide, wide && imm->size == 4 ? 0x63 : 0x8b, host, m); /* movsxd, mov */
}
