/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Branches, calls, returns, pushes and pops, and division, in translated code. */
#include "accel/tcg/trans.h"
#include "target-i386/interp/decode.h"

/* --- direct ways out ---------------------------------------------------------------- */

/*
 * An instruction at the end of the page may reach into the next, which may be mapped anew: then it
 * is left to a slot too, since such a jump is never patched (jit_link()).
 */
static bool same_page(Trans *t, uint64_t target)
{
    uint64_t to = target + t->tb->cs_base, from = t->rip + t->tb->cs_base;

    return t->block->ram2 == UINT64_MAX && !((to ^ from) >> GUEST_PAGE_BITS) &&
           !(((to + INSN_BYTES_MAX - 1) ^ from) >> GUEST_PAGE_BITS);
}

/* Goes to @target: by the rel32 at @jcc of a conditional jump, or by a jump of its own. */
static void leave_to(Trans *t, uint64_t target, uint8_t *jcc)
{
    Link *link = jit_link_new(t->jit, t->tb, target);
    ColdStub *stub;

    link->mode = t->mode;
    link->shadow = trans_cur(t)->zi.mnemonic == ZYDIS_MNEMONIC_STI;
    link->flags_in_memory = t->flags == FLAGS_MEMORY;
    if (same_page(t, target)) {
        uint8_t *at = jcc ? jcc : emit_jmp(&t->a);

        link->at = at - t->jit->buffer.rw;
        stub = trans_cold(t, COLD_LINK, at);
    } else {
        link->slot = t->jit->slot_count++;
        if (!jcc) {
            emit_op_mem(&t->a, false, 0xff, 4, GS(jit.slots[link->slot]));
        }
        stub = trans_cold(t, COLD_LINK, jcc);
    }
    stub->link = link;
}

static uint64_t branch_target(Trans *t)
{
    return trans_target(t, trans_cur(t));
}

static void note_tail(Trans *t)
{
    t->tail = t->a.p;
    t->tail_flags = t->flags;
}

void trans_jump(Trans *t)
{
    trans_commit_sp(t);
    note_tail(t);
    leave_to(t, branch_target(t), NULL);
}

void trans_jump_if(Trans *t)
{
    uint8_t *jcc;

    trans_commit_sp(t);
    trans_need_flags(t);
    note_tail(t);
    jcc = emit_jcc(&t->a, trans_cur(t)->zi.opcode & 15);
    if (t->rounds && t->loop) {
        t->back_edge = jcc;
    } else {
        leave_to(t, branch_target(t), jcc);
    }
    t->exit = t->a.p;
    leave_to(t, trans_next_rip(t), NULL);
}

void trans_fall_through(Trans *t)
{
    trans_commit_sp(t);
    note_tail(t);
    leave_to(t, trans_next_rip(t), NULL);
}

/* --- the stack --------------------------------------------------------------------------- */

/* Carried out when r8 is needed. */
static void move_sp(Trans *t, int32_t step)
{
    t->sp_lag += step;
}

/* A temporary beside the stack operand @m. */
static unsigned temp_beside(Trans *t, const HostMem *m)
{
    uint8_t temps[3];

    trans_temps(t, m, temps);
    return temps[0];
}

static void store_unit(Asm *a, unsigned reg, HostMem m, unsigned size)
{
    if (size == 2) {
        put8(a, 0x66);
    }
    emit_op_mem(a, size == 8, 0x89, reg, m);
}

/* Zero-extended. */
static void load_unit(Asm *a, unsigned reg, HostMem m, unsigned size)
{
    emit_op_mem(a, size == 8, size == 2 ? 0x0fb7 : 0x8b, reg, m);
}

/* The instruction's operand, of @size bytes, as register @reg gets it: 16 bits leave the rest. */
static void take_unit(Asm *a, unsigned reg, unsigned from, unsigned size)
{
    if (size == 2) {
        put8(a, 0x66);
    }
    emit_op_reg(a, size == 8, 0x8b, reg, from);
}

static void push_imm(Trans *t, uint64_t value)
{
    unsigned size = trans_unit(t, trans_cur(t));
    HostMem m = trans_stack(t, -(int)size, size, true);
    Asm *a = &t->a;

    if (size == 2) {
        put8(a, 0x66);
        emit_op_mem(a, false, 0xc7, 0, m);
        put16(a, (uint16_t)value);
    } else if (size == 4 || (int64_t)value == (int32_t)value) {
        emit_op_mem(a, size == 8, 0xc7, 0, m);
        put32(a, (uint32_t)value);
    } else {
        unsigned temp = temp_beside(t, &m);

        emit_mov_imm(a, temp, value);
        emit_store(a, temp, m);
    }
    move_sp(t, -(int)size);
}

/* The value waits in memory while the stack is checked. */
static void push_memory(Trans *t, const TransOperand *op)
{
    unsigned size = trans_unit(t, trans_cur(t)), temp;
    HostMem m;

    if (trans_busy(t, H_R9)) {
        trans_interpret(t);
        return;
    }
    m = trans_memory(t, op, size, false, false);
    load_unit(&t->a, H_R9, m, size);
    emit_store(&t->a, H_R9, GS(jit.scratch[5]));
    m = trans_stack(t, -(int)size, size, true);
    temp = temp_beside(t, &m);
    emit_load(&t->a, temp, GS(jit.scratch[5]));
    store_unit(&t->a, temp, m, size);
    move_sp(t, -(int)size);
}

void trans_push(Trans *t)
{
    const TransOperand *op = &trans_cur(t)->ops[0];
    unsigned guest, host, size = trans_unit(t, trans_cur(t));
    HostMem m;

    if (op->type == ZYDIS_OPERAND_TYPE_IMMEDIATE) {
        push_imm(t, (uint64_t)op->imm.value.s);
        return;
    }
    if (op->type == ZYDIS_OPERAND_TYPE_MEMORY) {
        push_memory(t, op);
        return;
    }
    guest = trans_guest_reg(op->reg.value);
    host = trans_host_reg(guest);
    m = trans_stack(t, -(int)size, size, true);
    if (host == H_NONE) {
        host = trans_read_reg(t, guest, temp_beside(t, &m));
    }
    store_unit(&t->a, host, m, size);
    move_sp(t, -(int)size);
}

void trans_pop(Trans *t)
{
    unsigned guest = trans_guest_reg(trans_cur(t)->ops[0].reg.value);
    unsigned host = trans_host_reg(guest);
    unsigned size = trans_unit(t, trans_cur(t));
    HostMem m = trans_stack(t, 0, size, false);

    if (host != H_NONE && size == 2) {
        load_unit(&t->a, H_R10, m, size);
        take_unit(&t->a, host, H_R10, size);
    } else if (host != H_NONE) {
        load_unit(&t->a, host, m, size);
    } else {
        emit_load(&t->a, H_R10, m);
        emit_store(&t->a, H_R10, GS_REG(guest));
    }
    if (guest == R_RSP) {
        t->sp_lag = 0;
    } else {
        move_sp(t, (int)size);
    }
}

void trans_leave(Trans *t)
{
    static const TransOperand frame = {
        .mem = {.base = ZYDIS_REGISTER_RBP, .index = ZYDIS_REGISTER_NONE,
                .segment = ZYDIS_REGISTER_SS},
    };
    unsigned size = trans_unit(t, trans_cur(t));
    HostMem m = trans_memory(t, &frame, size, false, false);

    load_unit(&t->a, H_R10, m, size);
    trans_load_sp(t, H_RBP, (int)size);
    t->sp_lag = 0;
    take_unit(&t->a, H_RBP, H_R10, size);
}

/* --- indirect ways out ------------------------------------------------------------------------ */

/* A field of the entry that r10 is four times the number of. */
#define JUMP_FIELD(field) ((HostMem){H_NONE, H_R10, 3, true, CPU_FIELD(jit.jumps[0].field)})
G_STATIC_ASSERT(sizeof(JitJump) == 32);

/*
 * Looks the address in r9 up in the jump cache. A miss interprets the instruction, of which nothing
 * has been done yet. Flags must be in memory.
 */
static void look_up(Trans *t)
{
    Asm *a = &t->a;
    ColdStub *stub;

    t->retry = a->p;
    emit_op_reg(a, false, 0x8b, H_R10, H_R9);
    emit_alu_imm(a, false, 4, H_R10, JIT_JUMP_MASK);
    emit_op_mem(a, true, 0x03, H_R9, GS(jit.salt));
    emit_op_mem(a, true, 0x03, H_R9, JUMP_FIELD(tag));
    stub = trans_cold(t, COLD_SLOW, emit_jcc(a, CC_NE));
    stub->site.flags |= SITE_LOOKUP;
}

/*
 * The same without a change of flags: by RORX, LEA and JRCXZ, with RCX kept in r11 meanwhile. Goes
 * to the block.
 */
static void look_up_and_go(Trans *t)
{
    Asm *a = &t->a;
    ColdStub *stub;
    uint8_t *hit;

    t->retry = a->p;
    emit_mov(a, H_R11, H_RCX);
    emit_rorx(a, H_R10, H_R9, 2);
    emit_op_reg(a, false, 0x0fb7, H_R10, H_R10);
    emit_lea(a, H_R10, (HostMem){.base = H_NONE, .index = H_R10, .scale = 2});
    emit_load(a, H_RCX, GS(jit.salt));
    emit_lea(a, H_R9, (HostMem){.base = H_R9, .index = H_RCX});
    emit_load(a, H_RCX, JUMP_FIELD(tag));
    emit_lea(a, H_RCX, (HostMem){.base = H_R9, .index = H_RCX});
    put8(a, 0xe3);
    put8(a, 0);
    hit = a->p;
    stub = trans_cold(t, COLD_SLOW, emit_jmp(a));
    stub->site.flags |= SITE_LOOKUP | SITE_FLAGS; /* the stub saves these */
    stub->rcx_in_r11 = true;
    hit[-1] = a->p - hit;
    emit_mov(a, H_RCX, H_R11);
}

/* To the block of the address in r9, after a move of the stack pointer. Nothing is in r11. */
static void go_to_r9(Trans *t, int32_t step)
{
    if (t->flags == FLAGS_HOST && t->jit->bmi2) {
        look_up_and_go(t);
        move_sp(t, step);
        trans_commit_sp(t);
        emit_op_mem(&t->a, false, 0xff, 4, JUMP_FIELD(host));
        return;
    }
    trans_clobber_flags(t, AF_ALL);
    look_up(t);
    move_sp(t, step);
    trans_commit_sp(t);
    emit_op_mem(&t->a, false, 0xff, 4, JUMP_FIELD(host_m));
}

void trans_call(Trans *t)
{
    push_imm(t, trans_next_rip(t));
    trans_commit_sp(t);
    leave_to(t, branch_target(t), NULL);
}

/* 16-bit code goes no further than IP reaches: the interpreter knows the limit of CS. */
static void check_target(Trans *t, unsigned size)
{
    if (size != 4 || (t->mode & MODE_CODE32)) {
        return;
    }
    trans_clobber_flags(t, AF_ALL);
    emit_alu_imm(&t->a, false, 7, H_R9, UINT16_MAX);
    trans_cold(t, COLD_SLOW, emit_jcc(&t->a, CC_A));
}

/* The target of an indirect branch into r9. */
static void load_target(Trans *t)
{
    TransInsn *ti = trans_cur(t);
    const TransOperand *op = &ti->ops[0];
    unsigned size = trans_unit(t, ti);

    if (op->type == ZYDIS_OPERAND_TYPE_MEMORY) {
        load_unit(&t->a, H_R9, trans_memory(t, op, size, false, false), size);
    } else {
        unsigned from = trans_read_reg(t, trans_guest_reg(op->reg.value), H_R9);

        if (from != H_R9) {
            emit_op_reg(&t->a, size == 8, size == 2 ? 0x0fb7 : 0x8b, H_R9, from);
        }
    }
    check_target(t, size);
}

void trans_jump_indirect(Trans *t)
{
    load_target(t);
    go_to_r9(t, 0);
}

void trans_call_indirect(Trans *t)
{
    trans_clobber_flags(t, AF_ALL);
    load_target(t);
    look_up(t);
    emit_load(&t->a, H_R10, JUMP_FIELD(host_m));
    emit_store(&t->a, H_R10, GS(jit.scratch[5]));
    push_imm(t, trans_next_rip(t));
    trans_commit_sp(t);
    emit_op_mem(&t->a, false, 0xff, 4, GS(jit.scratch[5]));
}

void trans_return(Trans *t)
{
    const TransOperand *op = &trans_cur(t)->ops[0];
    bool has_imm = op->type == ZYDIS_OPERAND_TYPE_IMMEDIATE &&
                   op->visibility == ZYDIS_OPERAND_VISIBILITY_EXPLICIT;
    unsigned size = trans_unit(t, trans_cur(t));

    load_unit(&t->a, H_R9, trans_stack(t, 0, size, false), size);
    check_target(t, size);
    go_to_r9(t, (int32_t)size + (has_imm ? (int32_t)op->imm.value.u : 0));
}

/* --- division ------------------------------------------------------------------------- */

/*
 * The divisor in r9; the interpreter gets what might raise #DE. DIV: the high half must be below
 * the divisor. IDIV: the dividend must be a sign-extended one of single width, the divisor neither
 * 0 nor -1.
 */
static void guard_division(Trans *t, bool wide)
{
    Asm *a = &t->a;
    ColdStub *stub;

    if (trans_cur(t)->zi.mnemonic == ZYDIS_MNEMONIC_DIV) {
        emit_op_reg(a, wide, 0x3b, H_RDX, H_R9);
        trans_cold(t, COLD_SLOW, emit_jcc(a, CC_AE));
        return;
    }
    emit_op_reg(a, wide, 0x8b, H_R10, H_RAX);
    emit_op_reg(a, wide, 0xc1, 7, H_R10);
    put8(a, wide ? 63 : 31);
    emit_op_reg(a, wide, 0x3b, H_R10, H_RDX);
    stub = trans_cold(t, COLD_SLOW, emit_jcc(a, CC_NE));
    emit_op_mem(a, wide, 0x8d, H_R10, (HostMem){.base = H_R9, .index = H_NONE, .disp = 1});
    emit_alu_imm(a, wide, 7, H_R10, 1);
    stub->at2 = emit_jcc(a, CC_BE);
}

void trans_divide(Trans *t)
{
    TransInsn *ti = trans_cur(t);
    bool wide = ti->zi.operand_width == 64;
    const TransOperand *op = &ti->ops[0];

    if (ti->mem >= 0) {
        HostMem m = ti->group >= 0
                        ? trans_stack(t, (int32_t)op->mem.disp.value, op->size / 8, false)
                        : trans_memory(t, op, op->size / 8, false, false);

        emit_op_mem(&t->a, wide, 0x8b, H_R9, m);
    } else {
        unsigned guest = trans_guest_reg(op->reg.value);

        trans_clobber_flags(t, ti->live_in);
        emit_mov(&t->a, H_R9, trans_read_reg(t, guest, H_R9));
    }
    trans_clobber_flags(t, ti->live_in);
    guard_division(t, wide);
    emit_op_reg(&t->a, wide, 0xf7, ti->zi.mnemonic == ZYDIS_MNEMONIC_DIV ? 6 : 7, H_R9);
}
