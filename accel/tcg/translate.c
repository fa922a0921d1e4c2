/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One block's translation: from the scan to code that may run. */
#include "accel/tcg/perf.h"
#include "accel/tcg/trace.h"
#include "accel/tcg/x87.h"

#include <inttypes.h>

#include "util/log.h"

#define INSN_CODE_MAX 256 /* bytes that one instruction's hot code takes at most */
#define STUB_CODE_MAX 384

/* --- hot code ------------------------------------------------------------------------ */

/* LEA into @to: the instruction itself, or a constant. */
static void lea_into(Trans *t, unsigned to)
{
    const TransInsn *ti = trans_cur(t);
    const TransOperand *mem = &ti->ops[1];
    bool short_address = ti->zi.address_width == 32;
    HostMem m = {.base = H_NONE, .index = H_NONE, .disp = (int32_t)mem->mem.disp.value};
    uint8_t temps[3];

    if (mem->mem.base == ZYDIS_REGISTER_RIP || mem->mem.base == ZYDIS_REGISTER_EIP) {
        uint64_t address = trans_next_rip(t) + mem->mem.disp.value;

        emit_mov_imm(&t->a, to,
                     short_address || ti->zi.operand_width < 64 ? (uint32_t)address : address);
        return;
    }
    trans_temps(t, NULL, temps);
    if (mem->mem.base != ZYDIS_REGISTER_NONE) {
        m.base = trans_read_reg(t, trans_guest_reg(mem->mem.base), temps[0]);
        m.disp += m.base == H_R8 ? t->sp_lag : 0;
    }
    if (mem->mem.index != ZYDIS_REGISTER_NONE) {
        m.index = trans_read_reg(t, trans_guest_reg(mem->mem.index),
                                temps[m.base == temps[0]]);
        m.scale = mem->mem.scale >= 8 ? 3 : mem->mem.scale >> 1;
    }
    emit_op_mem(&t->a, ti->zi.operand_width == 64 && !short_address, 0x8d, to, m);
    if (ti->zi.address_width == 16) {
        emit_op_reg(&t->a, false, 0x0fb7, to, to);
    }
}

static bool in_memory(const Trans *t, ZydisRegister reg)
{
    return trans_is_gpr(reg) && trans_home(t, trans_guest_reg(reg)) == H_NONE;
}

unsigned trans_lea_temps(const Trans *t, const TransInsn *ti)
{
    const TransOperandMem *mem = &ti->ops[1].mem;

    return MAX(in_memory(t, mem->base) + in_memory(t, mem->index), 1);
}

bool trans_lea(Trans *t)
{
    const TransInsn *ti = trans_cur(t);
    unsigned guest = trans_guest_reg(ti->ops[0].reg.value);
    unsigned host = trans_home(t, guest);
    uint8_t temps[3];

    if (trans_temps(t, NULL, temps) < trans_lea_temps(t, ti)) {
        return false;
    }
    if (ti->zi.operand_width >= 32 && host != H_NONE) {
        lea_into(t, host);
        return true;
    }
    lea_into(t, H_R10);
    if (ti->zi.operand_width >= 32) {
        emit_store(&t->a, H_R10, GS_REG(guest));
        return true;
    }
    put8(&t->a, 0x66); /* 16 bits of the register change */
    if (host == H_NONE) {
        emit_op_mem(&t->a, false, 0x89, H_R10, GS_REG(guest));
    } else {
        emit_op_reg(&t->a, false, 0x8b, host, H_R10);
    }
    return true;
}

static void trans_insn(Trans *t)
{
    switch (trans_cur(t)->kind) {
    case KIND_NOTHING:
        break;
    case KIND_COPY:
        if (!trans_copy(t)) {
            trans_interpret(t);
        }
        break;
    case KIND_LEA:
        if (!trans_lea(t)) {
            trans_interpret(t);
        }
        break;
    case KIND_PUSH: trans_push(t); break;
    case KIND_POP: trans_pop(t); break;
    case KIND_LEAVE: trans_leave(t); break;
    case KIND_DIVIDE: trans_divide(t); break;
    case KIND_STRING: trans_string(t); break;
    case KIND_FLDCW: trans_fldcw(t); break;
    case KIND_FNINIT: trans_fninit(t); break;
    case KIND_PUSHF: trans_push_flags(t); break;
    case KIND_VIEW: trans_change_view(t); break;
    case KIND_PATCHED: trans_load_patched(t); break;
    case KIND_SYSTEM:
        if (!trans_system(t)) {
            trans_interpret(t);
        }
        break;
    case KIND_JUMP: trans_jump(t); break;
    case KIND_JUMP_IF: trans_jump_if(t); break;
    case KIND_JUMP_INDIRECT: trans_jump_indirect(t); break;
    case KIND_CALL: trans_call(t); break;
    case KIND_CALL_INDIRECT: trans_call_indirect(t); break;
    case KIND_RETURN: trans_return(t); break;
    default: trans_interpret(t); break;
    }
}

/* True if the block jumps back: then it looks for events, so that no loop runs without. */
static bool jumps_back(Trans *t)
{
    const TransInsn *last = &t->insns[t->count - 1];

    switch (last->kind) {
    case KIND_JUMP:
    case KIND_JUMP_IF:
    case KIND_CALL:
        return (int64_t)(trans_target(t, last) - (t->rip + last->offset)) <= 0;
    default:
        return false;
    }
}

/* cmp dword [poll], 0; jne: leave */
static void emit_poll(Trans *t)
{
    Asm *a = &t->a;

    put8(a, 0x65);
    put8(a, 0x83);
    emit_modrm_mem(a, 7, &GS(jit.poll));
    put8(a, 0);
    trans_cold(t, COLD_POLL, emit_jcc(a, CC_NE));
}

/* sub dword [budget], instructions; js: leave before them, which may not all run (-icount) */
static void emit_take_budget(Trans *t)
{
    emit_op_mem(&t->a, false, 0x81, 5, GS(jit.budget));
    put32(&t->a, t->count);
    trans_cold(t, COLD_BUDGET, emit_jcc(&t->a, CC_S));
}

/* Looks whether the block may begin. */
static void emit_conditions(Trans *t)
{
    bool poll = jumps_back(t);

    if (!poll && !t->jit->counting && !t->block->checked) {
        return;
    }
    t->tb->may_leave_first = true;
    trans_clobber_flags(t, t->insns[0].live_in);
    if (t->flags == FLAGS_MEMORY) {
        t->tb->entry_m = t->a.p;
    }
    if (poll) {
        emit_poll(t);
    }
    if (t->block->checked) {
        trans_check_bytes(t);
    }
    if (t->jit->counting) {
        emit_take_budget(t);
    }
}

static bool falls_through(const TransInsn *last)
{
    return last->kind == KIND_INTERPRET ? !(last->insn->flags & INSN_END)
                                        : last->kind < KIND_JUMP;
}

static void note_place(Trans *t)
{
    t->tb->insns[t->cur].host = t->a.p - t->jit->buffer.rw;
    t->tb->insns[t->cur].sp_lag = t->sp_lag;
}

/* What comes before the place to which the slow path returns to try again. */
static void begin_insn(Trans *t)
{
    const TransInsn *ti = trans_cur(t);

    if (ti->names_sp) {
        trans_commit_sp(t);
    }
    note_place(t);
    if (ti->check >= 0) {
        trans_check_group(t, ti->check);
    }
}

static void emit_hot(Trans *t)
{
    t->tb->entry = t->a.p;
    t->tb->entry_m = NULL;
    emit_conditions(t);
    for (t->cur = 0; t->cur < t->count; t->cur++) {
        begin_insn(t);
        trans_insn(t);
    }
    note_place(t);
    t->cur = t->count - 1;
    if (falls_through(trans_cur(t))) {
        trans_fall_through(t);
    }
    if (t->rounds) {
        trans_hoist(t);
    }
}

/* --- stubs ------------------------------------------------------------------------------- */

#define SECOND_WAY ((int32_t)(TLB_SIZE * sizeof(TlbEntry)))

static void jump_back(Asm *a, uint8_t *back)
{
    patch_rel32(emit_jmp(a), back);
}

/* Goes on with the second way of the set if the constant address hits there. */
static void emit_constant_second(Asm *a, const ColdStub *stub)
{
    HostMem tag = {H_NONE, H_NONE, 0, true, stub->tag + SECOND_WAY};
    int32_t entry = stub->tag - (stub->tag - CPU_FIELD(tlb)) % (int32_t)sizeof(TlbEntry);
    HostMem page = {H_NONE, H_NONE, 0, true,
                    entry + SECOND_WAY + (int32_t)offsetof(TlbEntry, page)};
    uint8_t *miss;

    emit_mov_imm(a, H_R10, stub->constant & ~(uint64_t)(GUEST_PAGE_SIZE - 1));
    emit_op_mem(a, true, 0x3b, H_R10, tag);
    miss = emit_jcc(a, CC_NE);
    emit_load(a, H_R10, page);
    jump_back(a, stub->back2);
    patch_rel32(miss, a->p);
}

/* The same for the address in a register, whose set r10 names. */
static void emit_second(Asm *a, const ColdStub *stub)
{
    HostMem tag = {H_R10, H_NONE, 0, true, stub->tag + SECOND_WAY};
    uint8_t *miss;

    emit_op_mem(a, true, 0x33, stub->pointer, tag);
    emit_alu_imm(a, true, 7, stub->pointer, GUEST_PAGE_SIZE - stub->site.size);
    miss = emit_jcc(a, CC_A);
    emit_alu_imm(a, true, 0, H_R10, SECOND_WAY);
    jump_back(a, stub->back);
    patch_rel32(miss, a->p);
    emit_op_mem(a, true, 0x33, stub->pointer, tag);
}

static void emit_slow_stub(Trans *t, Asm *a, ColdStub *stub)
{
    if (stub->back) {
        stub->site.back = stub->back - (t->jit->buffer.rw + stub->site.retry);
    }
    if (stub->back2) {
        emit_constant_second(a, stub);
        emit_mov_imm(a, H_R10, stub->constant);
        emit_store(a, H_R10, GS(jit.scratch[2]));
        trans_beside_code(t, a, stub);
    } else if (stub->tag) {
        emit_op_mem(a, true, 0x33, stub->pointer, (HostMem){H_R10, H_NONE, 0, true, stub->tag});
        if (stub->back) {
            emit_second(a, stub);
        }
        emit_store(a, stub->pointer, GS(jit.scratch[2]));
        trans_beside_code(t, a, stub);
    } else if (stub->rcx_in_r11) { /* flags are in the host's, r9 is address + salt */
        emit_mov(a, H_RCX, H_R11);
        emit_store(a, H_R9, GS(jit.scratch[2]));
        emit_save_flags(a, H_R9);
    } else if (stub->site.flags & SITE_LOOKUP) { /* r9 has the tag added too */
        emit_op_mem(a, true, 0x2b, H_R9, (HostMem){H_NONE, H_R10, 3, true,
                                                   CPU_FIELD(jit.jumps[0].tag)});
        emit_store(a, H_R9, GS(jit.scratch[2]));
    }
    patch_rel32(emit_call(a), code_rw(&t->jit->buffer, t->jit->slow));
    memcpy(a->p, &stub->site, sizeof(stub->site));
    a->p += sizeof(stub->site);
}

static void emit_bail_stub(Asm *a, const ColdStub *stub)
{
    emit_op_mem(a, true, 0x33, stub->pointer, (HostMem){H_R10, H_NONE, 0, true, stub->tag});
    emit_second(a, stub);
    patch_rel32(emit_jmp(a), stub->bail);
}

static void emit_link_stub(Trans *t, Asm *a, const ColdStub *stub)
{
    Link *link = stub->link;

    if (!link->at && stub->at) { /* a conditional jump to another page */
        emit_op_mem(a, false, 0xff, 4, GS(jit.slots[link->slot]));
    }
    link->stub = a->p - t->jit->buffer.rw;
    emit_op_mem(a, false, 0xc7, 0, GS(jit.exit_link));
    put32(a, link->id);
    patch_rel32(emit_jmp(a), code_rw(&t->jit->buffer, stub->flags_in_memory
                                                          ? t->jit->follow
                                                          : t->jit->follow_flags));
    if (!link->at) {
        t->cpu->jit.slots[link->slot] = t->jit->buffer.rx + link->stub;
    }
}

static void emit_poll_stub(Trans *t, Asm *a)
{
    emit_mov_imm(a, H_R9, t->rip);
    emit_store(a, H_R9, GS_REG(R_RIP));
    patch_rel32(emit_jmp(a), code_rw(&t->jit->buffer, t->jit->leave));
}

static void emit_budget_stub(Trans *t, Asm *a)
{
    emit_op_mem(a, false, 0x81, 0, GS(jit.budget));
    put32(a, t->count);
    emit_poll_stub(t, a);
}

static void emit_vec_stub(Trans *t, Asm *a, const ColdStub *stub)
{
    patch_rel32(emit_call(a), code_rw(&t->jit->buffer, t->jit->vec_load[stub->vec]));
    jump_back(a, stub->back);
}

static void emit_x87_stub(Trans *t, Asm *a, const ColdStub *stub)
{
    patch_rel32(emit_call(a), code_rw(&t->jit->buffer, t->jit->x87_load));
    jump_back(a, stub->back);
}

static void emit_stub(Trans *t, Asm *a, ColdStub *stub)
{
    if (stub->at) {
        patch_rel32(stub->at, a->p);
    }
    if (stub->at2) {
        patch_rel32(stub->at2, a->p);
    }
    switch (stub->kind) {
    case COLD_SLOW: emit_slow_stub(t, a, stub); break;
    case COLD_LINK: emit_link_stub(t, a, stub); break;
    case COLD_POLL: emit_poll_stub(t, a); break;
    case COLD_BUDGET: emit_budget_stub(t, a); break;
    case COLD_VEC: emit_vec_stub(t, a, stub); break;
    case COLD_X87: emit_x87_stub(t, a, stub); break;
    case COLD_BAIL: emit_bail_stub(a, stub); break;
    }
}

/* The entry for those who have the flags in memory, where it is not the other one. */
static void emit_entry_m(Trans *t, Asm *a)
{
    TransBlock *tb = t->tb;

    if (tb->entry_m) {
        return;
    }
    if (!t->insns[0].live_in) {
        tb->entry_m = tb->entry;
        return;
    }
    tb->entry_m = a->p;
    t->a = *a;
    t->flags = FLAGS_MEMORY;
    trans_need_flags(t);
    *a = t->a;
    patch_rel32(emit_jmp(a), tb->entry);
}

/* --- the block ------------------------------------------------------------------------------ */

static bool room_left(const CodeBuffer *buffer, unsigned count)
{
    return buffer->hot_end - buffer->hot >= (count + 1) * INSN_CODE_MAX &&
           buffer->cold_end - buffer->cold >= (ptrdiff_t)(COLD_MAX * STUB_CODE_MAX);
}

/* For perf: by RIP and CPL; code that rarely runs apart. */
static void name_block(const Trans *t, const uint8_t *cold)
{
    const CodeBuffer *buffer = &t->jit->buffer;
    const char *level = t->mode & MODE_USER ? "cpl3" : "cpl0";
    g_autofree char *name = g_strdup_printf("%s.%016" PRIx64, level, t->rip);
    g_autofree char *cold_name = g_strconcat(name, ".cold", NULL);

    jit_perf_name(t->jit->perf, name, t->tb->entry, buffer->hot - code_rw(buffer, t->tb->entry));
    jit_perf_name(t->jit->perf, cold_name, code_rx(buffer, cold), buffer->cold - cold);
}

static void emit_block(Trans *t)
{
    CodeBuffer *buffer = &t->jit->buffer;
    TransBlock *tb = t->tb;
    Asm cold = {buffer->cold};
    const uint8_t *cold_start = buffer->cold;

    t->a.p = buffer->hot;
    emit_hot(t);
    buffer->hot = t->a.p;
    for (unsigned i = 0; i < t->cold_count; i++) {
        emit_stub(t, &cold, &t->cold[i]);
    }
    emit_entry_m(t, &cold);
    buffer->cold = cold.p;
    tb->entry = code_rx(buffer, tb->entry);
    tb->entry_m = code_rx(buffer, tb->entry_m);
    g_assert(buffer->hot <= buffer->hot_end && buffer->cold <= buffer->cold_end);
    if (t->jit->perf) {
        name_block(t, cold_start);
    }
    if (log_enabled(LOG_OP | LOG_OUT_ASM)) {
        trans_trace(t, cold_start);
    }
}

/* Outside 64-bit code RIP must not outgrow the bits that salts leave to it (salts.c). */
static bool rip_has_room(const X86CPU *cpu, const Block *block, uint32_t mode)
{
    uint64_t end = cpu->cpu_rip + block->bytes;

    return mode & MODE_CODE64 || end <= (mode & MODE_CODE32 ? UINT32_MAX : UINT16_MAX);
}

TransBlock *jit_translate(Jit *jit, Block *block, uint32_t mode, unsigned no_groups)
{
    Trans *t = jit->trans;
    TransBlock *tb;
    uint64_t begin;

    if (!rip_has_room(jit->cpu, block, mode)) {
        return NULL;
    }
    if (!room_left(&jit->buffer, block->count + HOIST_INSNS) ||
        jit->slot_count + LINKS_MAX > JIT_SLOTS) {
        jit->flush_wanted = true;
        return NULL;
    }
    begin = __builtin_ia32_rdtsc();
    code_buffer_prepare(&jit->buffer);
    tb = jit_block_new(jit, block, mode);
    tb->no_groups = no_groups;
    t->jit = jit;
    t->cpu = jit->cpu;
    t->block = block;
    t->tb = tb;
    t->rip = tb->rip;
    t->mode = mode;
    t->flags = FLAGS_HOST;
    t->exact = jit->exact;
    t->vec = VEC_NONE;
    t->sp_lag = 0;
    t->retry = jit->buffer.hot;
    t->x87 = false;
    t->group = -1;
    t->group_count = 0;
    t->cold_count = 0;
    t->cur = 0;
    if (!trans_scan(t) || !trans_views_known(t)) {
        jit_block_free(jit, tb);
        return NULL;
    }
    emit_block(t);
    jit_block_publish(jit, tb);
    jit->stats.translated++;
    jit->stats.translated_insns += block->count;
    jit->stats.translate_ticks += __builtin_ia32_rdtsc() - begin;
    return tb;
}
