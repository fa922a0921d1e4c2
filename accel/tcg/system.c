/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a kernel does at every turn, in translated code: interrupt flag, SWAPGS, flags on the stack,
 * user access, control registers, time stamps. A call of C for each was two thirds of what a system
 * call took.
 */
#include "accel/tcg/trans.h"

#include "util/timer.h"
#include "util/tsc-clock.h"

/* --- which ------------------------------------------------------------------------------ */

/* Into a general register, other than the stack pointer. */
static bool reads_selector(const TransInsn *ti)
{
    return ti->ops[0].type == ZYDIS_OPERAND_TYPE_REGISTER &&
           ti->ops[1].type == ZYDIS_OPERAND_TYPE_REGISTER &&
           ti->ops[1].reg.value >= ZYDIS_REGISTER_ES && ti->ops[1].reg.value <= ZYDIS_REGISTER_GS &&
           trans_guest_reg(ti->ops[0].reg.value) != R_RSP;
}

static bool reads_control(const TransInsn *ti)
{
    switch (ti->ops[1].reg.value) {
    case ZYDIS_REGISTER_CR0: case ZYDIS_REGISTER_CR2: case ZYDIS_REGISTER_CR3:
    case ZYDIS_REGISTER_CR4:
        return ti->ops[1].type == ZYDIS_OPERAND_TYPE_REGISTER &&
               ti->ops[0].type == ZYDIS_OPERAND_TYPE_REGISTER;
    default:
        return false;
    }
}

/* Counted instructions are a clock of their own, and those of both engines in lockstep differ. */
static bool clock_serves(const Trans *t)
{
    return t->cpu->jit.clock && t->cpu->vcpu.tsc_hz == NS_PER_SECOND && !t->jit->lockstep &&
           !t->jit->counting;
}

TransKind trans_classify_system(const Trans *t, const TransInsn *ti)
{
    bool user = t->mode & MODE_USER;

    switch (ti->zi.mnemonic) {
    case ZYDIS_MNEMONIC_CLI:
    case ZYDIS_MNEMONIC_STI:
    case ZYDIS_MNEMONIC_SWAPGS:
        return user ? KIND_INTERPRET : KIND_SYSTEM;
    case ZYDIS_MNEMONIC_STAC:
    case ZYDIS_MNEMONIC_CLAC:
        return user ? KIND_INTERPRET : KIND_VIEW;
    case ZYDIS_MNEMONIC_MOV:
        if (reads_selector(ti)) {
            return KIND_SYSTEM;
        }
        return user || !reads_control(ti) ? KIND_INTERPRET : KIND_SYSTEM;
    case ZYDIS_MNEMONIC_PUSHFQ:
        return KIND_PUSHF;
    case ZYDIS_MNEMONIC_RDTSC:
    case ZYDIS_MNEMONIC_RDTSCP:
        return clock_serves(t) ? KIND_SYSTEM : KIND_INTERPRET;
    case ZYDIS_MNEMONIC_CLD:
    case ZYDIS_MNEMONIC_STD:
    case ZYDIS_MNEMONIC_RDPKRU:
    case ZYDIS_MNEMONIC_CPUID:
    case ZYDIS_MNEMONIC_SERIALIZE:
        return KIND_SYSTEM;
    default:
        return KIND_INTERPRET;
    }
}

/* --- flags ------------------------------------------------------------------------------ */

/* @op 1: or, 4: and; with the guest's system flags. */
static void change_eflags(Trans *t, unsigned op, uint32_t bits)
{
    trans_clobber_flags(t, trans_cur(t)->live_in);
    emit_op_mem(&t->a, false, 0x81, op, GS(eflags));
    put32(&t->a, bits);
}

/* Where something is, the interpreter carries the instruction out and looks behind it. */
static ColdStub *nothing_pending(Trans *t)
{
    trans_clobber_flags(t, trans_cur(t)->live_in);
    t->retry = t->a.p;
    emit_op_mem(&t->a, false, 0x83, 7, GS(vcpu.pending));
    put8(&t->a, 0);
    return trans_cold(t, COLD_SLOW, emit_jcc(&t->a, CC_NE));
}

/*
 * Only where nothing is pending: then no event need be taken behind the next instruction. Before
 * that one none may be, which the link sees to (Link.shadow).
 */
static void enable_interrupts(Trans *t)
{
    nothing_pending(t);
    change_eflags(t, 1, FL_IF);
}

void trans_push_flags(Trans *t)
{
    Asm *a = &t->a;
    HostMem m;

    trans_clobber_flags(t, AF_ALL);
    m = trans_stack(t, -8, 8, true);
    emit_op_mem(a, false, 0x0fb6, H_R10, (HostMem){H_NONE, H_NONE, 0, true,
                                                   CPU_FIELD(jit.flags) + 1});
    emit_op_mem(a, false, 0x0b, H_R10, GS(eflags));
    emit_compare_byte(a, GS(jit.flags), 0);
    put8(a, 0x70 | CC_E);
    put8(a, 7); /* over what follows */
    emit_op_reg(a, false, 0x81, 1, H_R10);
    put32(a, FL_OF);
    emit_alu_imm(a, false, 4, H_R10, (int32_t)~(FL_RF | FL_VM));
    emit_store(a, H_R10, m);
    t->sp_lag -= 8;
}

/* --- user access -------------------------------------------------------------------------- */

/*
 * The view behind STAC or CLAC. Without SMAP there is one; with AC set only CR4 tells, which is no
 * part of the mode: it is looked at when the code is written, and in the code.
 */
MmuView trans_view_behind(const Trans *t, const TransInsn *ti, MmuView view)
{
    if (ti->kind != KIND_VIEW) {
        return view;
    }
    if (ti->zi.mnemonic == ZYDIS_MNEMONIC_STAC) {
        return MMU_SUPER;
    }
    return t->cpu->cr4 & CR4_SMAP ? MMU_SUPER_SMAP : view;
}

bool trans_views_known(Trans *t)
{
    uint32_t smap = mode_with_view(t->mode, MMU_SUPER_SMAP);

    for (unsigned i = 0; i < t->count; i++) {
        if (t->insns[i].kind == KIND_VIEW &&
            !(jit_salt(t->jit, smap) && jit_salt(t->jit, mode_with_view(t->mode, MMU_SUPER)))) {
            t->jit->flush_wanted = true;
            return false;
        }
    }
    return true;
}

/* Jumps and lookups behind the block go by the mode that it ends in: lock xor word [salt + 6] */
static void change_salt(Trans *t, uint32_t mode)
{
    uint64_t change = jit_salt(t->jit, t->tb->mode) ^ jit_salt(t->jit, mode);
    HostMem m = GS(jit.salt);

    m.disp += 6;
    put8(&t->a, 0xf0); /* another thread may be spoiling it */
    put8(&t->a, 0x65);
    put8(&t->a, 0x66);
    put8(&t->a, 0x81);
    emit_modrm_mem(&t->a, 6, &m);
    put16(&t->a, change >> 48);
}

static bool last_of_views(const Trans *t)
{
    for (unsigned i = t->cur + 1; i < t->count; i++) {
        if (t->insns[i].kind == KIND_VIEW) {
            return false;
        }
    }
    return true;
}

void trans_change_view(Trans *t)
{
    bool set = trans_cur(t)->zi.mnemonic == ZYDIS_MNEMONIC_STAC;
    MmuView view = trans_view_behind(t, trans_cur(t), mode_view(t->mode));
    uint32_t mode = mode_with_view(t->mode, view);

    trans_clobber_flags(t, trans_cur(t)->live_in);
    if (!set && mode_view(t->mode) == MMU_SUPER) {
        t->retry = t->a.p;
        emit_op_mem(&t->a, false, 0xf7, 0, GS(cr4));
        put32(&t->a, CR4_SMAP);
        trans_cold(t, COLD_SLOW, emit_jcc(&t->a, view == MMU_SUPER ? CC_NE : CC_E))->site.view =
            view;
    }
    change_eflags(t, set ? 1 : 4, set ? FL_AC : ~(uint32_t)FL_AC);
    if (mode != t->mode) {
        emit_op_mem(&t->a, false, 0xc7, 0, GS(mmu_view));
        put32(&t->a, view);
        t->mode = mode;
    }
    if (last_of_views(t) && mode != t->tb->mode) {
        change_salt(t, mode);
    }
}

/* --- registers ------------------------------------------------------------------------------ */

static bool swap_gs(Trans *t)
{
    HostMem current = GS(seg[SEG_GS].base), other = GS(msr_kernel_gs_base);
    uint8_t temps[3];

    if (trans_temps(t, NULL, temps) < 2) {
        return false;
    }
    emit_load(&t->a, temps[0], current);
    emit_load(&t->a, temps[1], other);
    emit_store(&t->a, temps[0], other);
    emit_store(&t->a, temps[1], current);
    return true;
}

static HostMem control_register(ZydisRegister reg)
{
    switch (reg) {
    case ZYDIS_REGISTER_CR0: return GS(cr0);
    case ZYDIS_REGISTER_CR2: return GS(cr2);
    case ZYDIS_REGISTER_CR3: return GS(cr3);
    default: return GS(cr4);
    }
}

static void read_control(Trans *t)
{
    unsigned guest = trans_guest_reg(trans_cur(t)->ops[0].reg.value);
    unsigned host = trans_host_reg(guest);

    emit_op_mem(&t->a, trans_code64(t), 0x8b, host == H_NONE ? H_R10 : host,
                control_register(trans_cur(t)->ops[1].reg.value));
    if (host == H_NONE) {
        emit_store(&t->a, H_R10, GS_REG(guest));
    }
}

/* A kernel that patches itself does so 200,000 times, on its way to IRET (Linux, sync_core()). */
static void read_selector(Trans *t)
{
    const TransInsn *ti = trans_cur(t);
    unsigned guest = trans_guest_reg(ti->ops[0].reg.value), host = trans_host_reg(guest);
    SegReg seg = insn_segment(ti->ops[1].reg.value);
    bool word = ti->ops[0].size == 16;
    HostMem selector = {H_NONE, H_NONE, 0, true,
                        CPU_FIELD(seg) + (int32_t)(seg * sizeof(X86Segment) +
                                                   offsetof(X86Segment, selector))};

    emit_op_mem(&t->a, false, 0x0fb7, word || host == H_NONE ? H_R10 : host, selector);
    if (word) {
        put8(&t->a, 0x66); /* the rest of the register stays */
    }
    if (word && host != H_NONE) {
        emit_op_reg(&t->a, false, 0x8b, host, H_R10);
    } else if (word) {
        emit_op_mem(&t->a, false, 0x89, H_R10, GS_REG(guest));
    } else if (host == H_NONE) {
        emit_store(&t->a, H_R10, GS_REG(guest));
    }
}

static void read_pkru(Trans *t)
{
    Asm *a = &t->a;
    ColdStub *stub;

    trans_clobber_flags(t, trans_cur(t)->live_in);
    t->retry = a->p;
    emit_op_mem(a, false, 0xf7, 0, GS(cr4));
    put32(a, CR4_PKE);
    stub = trans_cold(t, COLD_SLOW, emit_jcc(a, CC_E));
    emit_op_reg(a, false, 0x85, H_RCX, H_RCX);
    stub->at2 = emit_jcc(a, CC_NE);
    emit_op_mem(a, false, 0x8b, H_RAX, GS(pkru));
    emit_op_reg(a, false, 0x33, H_RDX, H_RDX);
}

/* --- what serializes ------------------------------------------------------------------------ */

/* A field of the answer that the byte offset in @index leads to. */
static HostMem answer_field(unsigned index, size_t field)
{
    return (HostMem){index, H_NONE, 0, true, CPU_FIELD(cpuid_answers) + (int32_t)field};
}

/* shl or shr of a 64-bit register */
static void shift(Asm *a, unsigned op, unsigned reg, unsigned count)
{
    emit_op_reg(a, true, 0xc1, op, reg);
    put8(a, count);
}

/*
 * What other CPUs changed in code is pending then, and the code behind must show it (SDM 3A 8.1.3):
 * so CPUID too looks for that before it takes an answer that was given before.
 */
static bool identify(Trans *t)
{
    static const uint8_t results[] = {H_RAX, H_RBX, H_RCX, H_RDX};
    Asm *a = &t->a;
    ColdStub *stub;
    uint8_t temps[3];

    if (trans_temps(t, NULL, temps) < 2) {
        return false;
    }
    stub = nothing_pending(t);
    emit_op_reg(a, false, 0x8b, temps[0], H_RCX);
    shift(a, 4, temps[0], 32);
    emit_op_reg(a, false, 0x8b, temps[1], H_RAX);
    emit_op_reg(a, true, 0x0b, temps[0], temps[1]);
    emit_alu_imm(a, false, 4, temps[1], CPUID_ANSWERS - 1);
    shift(a, 4, temps[1], 5);
    emit_op_mem(a, true, 0x3b, temps[0], answer_field(temps[1], offsetof(CpuidAnswer, leaf)));
    stub->at2 = emit_jcc(a, CC_NE);
    for (unsigned i = 0; i < G_N_ELEMENTS(results); i++) {
        emit_op_mem(a, false, 0x8b, results[i],
                    answer_field(temps[1], offsetof(CpuidAnswer, out) + i * sizeof(uint32_t)));
    }
    return true;
}

G_STATIC_ASSERT(sizeof(CpuidAnswer) == 32);

/* --- time ------------------------------------------------------------------------------------- */

static HostMem anchor_field(int32_t field)
{
    return (HostMem){.base = H_R10, .index = H_NONE, .disp = field};
}

/* As tsc_clock_read() has it; RAX and RDX are the results, whatever comes. */
static void read_tsc(Trans *t)
{
    Asm *a = &t->a;
    uint8_t *denied = NULL;
    ColdStub *stub;

    trans_clobber_flags(t, trans_cur(t)->live_in);
    t->retry = a->p;
    if (t->mode & MODE_USER) {
        emit_op_mem(a, false, 0xf7, 0, GS(cr4));
        put32(a, CR4_TSD);
        denied = emit_jcc(a, CC_NE);
    }
    emit_load(a, H_R10, GS(jit.clock));
    emit_load(a, H_R10, anchor_field(0));
    if (trans_cur(t)->zi.mnemonic == ZYDIS_MNEMONIC_RDTSCP) {
        put16(a, 0xae0f); /* lfence: it waits for all loads before it (SDM 2B RDTSCP) */
        put8(a, 0xe8);
    }
    put16(a, 0x310f); /* rdtsc */
    shift(a, 4, H_RDX, 32);
    emit_op_reg(a, true, 0x0b, H_RAX, H_RDX);
    emit_op_mem(a, true, 0x2b, H_RAX, anchor_field(offsetof(TscAnchor, tsc)));
    emit_op_mem(a, true, 0x3b, H_RAX, anchor_field(offsetof(TscAnchor, limit)));
    stub = trans_cold(t, COLD_SLOW, emit_jcc(a, CC_AE));
    stub->at2 = denied;
    emit_op_mem(a, true, 0xf7, 4, anchor_field(offsetof(TscAnchor, rate))); /* mul */
    emit_op_reg(a, true, 0x0fac, H_RDX, H_RAX);                             /* shrd */
    put8(a, 32);
    emit_op_mem(a, true, 0x03, H_RAX, anchor_field(offsetof(TscAnchor, ns)));
    emit_op_mem(a, true, 0x03, H_RAX, GS(tsc_offset));
    emit_mov(a, H_RDX, H_RAX);
    shift(a, 5, H_RDX, 32);
    emit_op_reg(a, false, 0x8b, H_RAX, H_RAX);
    if (trans_cur(t)->zi.mnemonic == ZYDIS_MNEMONIC_RDTSCP) {
        emit_op_mem(a, false, 0x8b, H_RCX, GS(msr_tsc_aux));
    }
}

/* --- all of them ------------------------------------------------------------------------ */

bool trans_system(Trans *t)
{
    switch (trans_cur(t)->zi.mnemonic) {
    case ZYDIS_MNEMONIC_CLI: change_eflags(t, 4, ~(uint32_t)FL_IF); return true;
    case ZYDIS_MNEMONIC_STI: enable_interrupts(t); return true;
    case ZYDIS_MNEMONIC_CLD: change_eflags(t, 4, ~(uint32_t)FL_DF); return true;
    case ZYDIS_MNEMONIC_STD: change_eflags(t, 1, FL_DF); return true;
    case ZYDIS_MNEMONIC_SWAPGS: return swap_gs(t);
    case ZYDIS_MNEMONIC_RDPKRU: read_pkru(t); return true;
    case ZYDIS_MNEMONIC_CPUID: return identify(t);
    case ZYDIS_MNEMONIC_SERIALIZE: nothing_pending(t); return true;
    case ZYDIS_MNEMONIC_MOV:
        if (reads_selector(trans_cur(t))) {
            read_selector(t);
        } else {
            read_control(t);
        }
        return true;
    default: read_tsc(t); return true;
    }
}
