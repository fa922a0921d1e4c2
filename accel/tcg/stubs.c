/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The trampolines between C and translated code: entering, leaving, the slow path, and moving
 * vector state. They stand at the start of the code buffer and stay over flushes.
 */
#include "accel/tcg/x87.h"

#define SCRATCH(n) GS(jit.scratch[n])

/* The guest registers that live in host registers of the same number, RAX last. */
static const uint8_t pinned[] = {
    H_RCX, H_RDX, H_RBX, H_RBP, H_RSI, H_RDI, H_R12, H_R13, H_R14, H_R15, H_RAX,
};

static void store_pinned(Asm *a)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(pinned); i++) {
        emit_store(a, pinned[i], GS_REG(pinned[i]));
    }
    emit_store(a, H_R8, GS_REG(R_RSP));
}

static void load_pinned_but_rax(Asm *a)
{
    emit_load(a, H_R8, GS_REG(R_RSP));
    for (unsigned i = 0; i + 1 < G_N_ELEMENTS(pinned); i++) {
        emit_load(a, pinned[i], GS_REG(pinned[i]));
    }
}

static void push_reg(Asm *a, unsigned reg)
{
    if (reg & 8) {
        put8(a, 0x41);
    }
    put8(a, 0x50 | (reg & 7));
}

static void pop_reg(Asm *a, unsigned reg)
{
    if (reg & 8) {
        put8(a, 0x41);
    }
    put8(a, 0x58 | (reg & 7));
}

static const uint8_t callee_saved[] = {H_RBX, H_RBP, H_R12, H_R13, H_R14, H_R15};

static const uint8_t *here(Jit *jit, const Asm *a)
{
    return code_rx(&jit->buffer, a->p);
}

/* enter(host): C's registers onto the stack, the guest's from memory; keeps RSP aligned. */
static void emit_enter(Jit *jit, Asm *a)
{
    jit->enter = (void (*)(const void *))(uintptr_t)here(jit, a);
    for (unsigned i = 0; i < G_N_ELEMENTS(callee_saved); i++) {
        push_reg(a, callee_saved[i]);
    }
    emit_lea(a, H_RSP, (HostMem){.base = H_RSP, .index = H_NONE, .disp = -8});
    emit_mov(a, H_R9, H_RDI);
    load_pinned_but_rax(a);
    emit_load(a, H_RAX, GS_REG(R_RAX));
    emit_op_reg(a, false, 0xff, 4, H_R9);
}

/* Calls the vector save routine for what is loaded, if anything is. Clobbers flags. */
static void emit_save_vector(Jit *jit, Asm *a)
{
    uint8_t *done[VEC_AVX512 + 1];

    emit_compare_byte(a, GS(jit.vec), VEC_NONE);
    done[0] = emit_jcc(a, CC_E);
    for (unsigned kind = VEC_SSE; kind <= jit->vec_kind; kind++) {
        uint8_t *next;

        emit_compare_byte(a, GS(jit.vec), kind);
        next = emit_jcc(a, CC_NE);
        patch_rel32(emit_call(a), code_rw(&jit->buffer, jit->vec_save[kind]));
        done[kind] = emit_jmp(a);
        patch_rel32(next, a->p);
    }
    for (unsigned kind = VEC_NONE; kind <= jit->vec_kind; kind++) {
        patch_rel32(done[kind], a->p);
    }
}

static void emit_leave(Jit *jit, Asm *a)
{
    jit->leave_flags = here(jit, a);
    emit_save_flags(a, H_R9);
    jit->leave = here(jit, a);
    store_pinned(a);
    jit->leave_stored = here(jit, a);
    put8(a, 0x65); /* mov byte [flags_left], 1 */
    put8(a, 0xc6);
    emit_modrm_mem(a, 0, &GS(jit.flags_left));
    put8(a, 1);
    emit_save_vector(jit, a);
    jit_emit_x87_save_if_loaded(jit, a);
    jit->leave_saved = here(jit, a);
    emit_lea(a, H_RSP, (HostMem){.base = H_RSP, .index = H_NONE, .disp = 8});
    for (unsigned i = G_N_ELEMENTS(callee_saved); i-- > 0;) {
        pop_reg(a, callee_saved[i]);
    }
    put8(a, 0xc3);
}

/* --- vector state -------------------------------------------------------------------- */

/* (v)movups between register @reg of @kind and cpu->vec[@reg] */
static void emit_vector_move(Asm *a, unsigned kind, unsigned reg, bool store)
{
    HostMem m = GS(vec[0]);

    m.disp += reg * sizeof(X86Vector);
    put8(a, 0x65);
    switch (kind) {
    case VEC_SSE:
        if (reg & 8) {
            put8(a, 0x44);
        }
        put8(a, 0x0f);
        break;
    case VEC_AVX: /* VEX.256.0F */
        put8(a, 0xc5);
        put8(a, (reg & 8 ? 0 : 0x80) | 0x7c);
        break;
    default: /* EVEX.512.0F.W0 */
        put8(a, 0x62);
        put8(a, (reg & 8 ? 0 : 0x80) | 0x60 | (reg & 16 ? 0 : 0x10) | 1);
        put8(a, 0x7c);
        put8(a, 0x48);
        break;
    }
    put8(a, store ? 0x11 : 0x10);
    emit_modrm_mem(a, reg, &m);
}

static void emit_mask_move(Asm *a, unsigned reg, bool store)
{
    HostMem m = GS(opmask[0]);

    m.disp += reg * 8;
    put8(a, 0x65); /* kmovq: VEX.L0.0F.W1 */
    put8(a, 0xc4);
    put8(a, 0xe1);
    put8(a, 0xf8);
    put8(a, store ? 0x91 : 0x90);
    emit_modrm_mem(a, reg, &m);
}

/* A VEX instruction clears what is above its result, up to the width that the CPU has: the whole
 * registers are moved where that is 512 bits. */
static void emit_vector_moves(Jit *jit, Asm *a, unsigned kind, bool store)
{
    unsigned count = kind == VEC_AVX512 ? 32 : 16;
    unsigned width = kind == VEC_AVX ? jit->vec_kind : kind;

    for (unsigned reg = 0; reg < count; reg++) {
        emit_vector_move(a, width, reg, store);
    }
    for (unsigned reg = 0; kind == VEC_AVX512 && reg < 8; reg++) {
        emit_mask_move(a, reg, store);
    }
}

/* LDMXCSR or STMXCSR */
static void emit_mxcsr(Asm *a, bool store, HostMem m)
{
    emit_op_mem(a, false, 0x0fae, store ? 3 : 2, m);
}

static void emit_set_vec(Asm *a, unsigned kind)
{
    put8(a, 0x65);
    put8(a, 0xc6);
    emit_modrm_mem(a, 0, &GS(jit.vec));
    put8(a, kind);
}

static void emit_vec_save(Jit *jit, Asm *a, unsigned kind)
{
    jit->vec_save[kind] = here(jit, a);
    emit_vector_moves(jit, a, kind, true);
    emit_mxcsr(a, true, GS(x87.mxcsr));
    emit_mxcsr(a, false, GS(jit.mxcsr_default));
    if (kind >= VEC_AVX) {
        put8(a, 0xc5); /* vzeroupper: C code uses SSE encodings */
        put8(a, 0xf8);
        put8(a, 0x77);
    }
    emit_set_vec(a, VEC_NONE);
    put8(a, 0xc3);
}

/* A smaller part that is loaded already is stored first. */
static void emit_vec_load(Jit *jit, Asm *a, unsigned kind)
{
    jit->vec_load[kind] = here(jit, a);
    emit_save_vector(jit, a);
    emit_mxcsr(a, false, GS(x87.mxcsr));
    emit_vector_moves(jit, a, kind, false);
    emit_set_vec(a, kind);
    put8(a, 0xc3);
}

/* --- the slow path -------------------------------------------------------------------------- */

/* Calls a C function of (cpu, site, address); RAX is its result. */
static void emit_call_c(Asm *a, const void *function)
{
    emit_load(a, H_RDI, GS(jit.cpu));
    emit_load(a, H_RSI, SCRATCH(1));
    emit_load(a, H_RDX, SCRATCH(2));
    emit_mov_imm(a, H_RAX, (uintptr_t)function);
    emit_op_reg(a, false, 0xff, 2, H_RAX);
}

/* Goes on at RAX with all state from memory. */
static void emit_resume(Asm *a)
{
    emit_store(a, H_RAX, GS(jit.resume));
    load_pinned_but_rax(a);
    emit_restore_flags(a);
    emit_load(a, H_RAX, GS_REG(R_RAX));
    emit_load(a, H_R9, SCRATCH(4));
    emit_load(a, H_R10, SCRATCH(0));
    emit_load(a, H_R11, SCRATCH(3));
    emit_op_mem(a, false, 0xff, 4, GS(jit.resume));
}

/* Left by a link: joined without leaving if the jump cache knows where it leads. */
static void emit_follow(Jit *jit, Asm *a)
{
    uint8_t *leave;

    jit->follow_flags = here(jit, a);
    emit_save_flags(a, H_R9);
    jit->follow = here(jit, a);
    store_pinned(a);
    emit_call_c(a, jit_follow);
    emit_op_reg(a, true, 0x85, H_RAX, H_RAX);
    leave = emit_jcc(a, CC_E);
    emit_resume(a);
    patch_rel32(leave, code_rw(&jit->buffer, jit->leave_stored));
}

/*
 * Called with the address in scratch[2] and SiteInfo behind the call; r9 and r11 come back as they
 * were. First the TLB is filled, which touches general registers only; what that cannot do,
 * jit_slow() does.
 */
static void emit_slow(Jit *jit, Asm *a)
{
    uint8_t *slow, *leave;

    jit->slow = here(jit, a);
    store_pinned(a);
    emit_store(a, H_R11, SCRATCH(3));
    emit_store(a, H_R9, SCRATCH(4));
    pop_reg(a, H_RAX);
    emit_store(a, H_RAX, SCRATCH(1));
    emit_call_c(a, jit_fill);
    emit_op_reg(a, true, 0x85, H_RAX, H_RAX);
    slow = emit_jcc(a, CC_E);
    emit_resume(a);
    patch_rel32(slow, a->p);
    emit_save_vector(jit, a);
    jit_emit_x87_save_if_loaded(jit, a);
    emit_call_c(a, jit_slow);
    emit_op_reg(a, true, 0x85, H_RAX, H_RAX);
    leave = emit_jcc(a, CC_E);
    for (unsigned kind = VEC_SSE; kind <= jit->vec_kind; kind++) {
        uint8_t *next;

        emit_compare_byte(a, GS(jit.vec_wanted), kind);
        next = emit_jcc(a, CC_NE);
        patch_rel32(emit_call(a), code_rw(&jit->buffer, jit->vec_load[kind]));
        patch_rel32(next, a->p);
    }
    jit_emit_x87_load_if_wanted(jit, a);
    emit_resume(a);
    patch_rel32(leave, a->p);
    patch_rel32(emit_jmp(a), code_rw(&jit->buffer, jit->leave_saved));
}

void jit_emit_trampolines(Jit *jit)
{
    Asm a = {jit->buffer.hot};

    for (unsigned kind = VEC_SSE; kind <= jit->vec_kind; kind++) {
        emit_vec_save(jit, &a, kind);
    }
    for (unsigned kind = VEC_SSE; kind <= jit->vec_kind; kind++) {
        emit_vec_load(jit, &a, kind);
    }
    jit_emit_x87_save(jit, &a);
    jit_emit_x87_load(jit, &a);
    emit_enter(jit, &a);
    emit_leave(jit, &a);
    emit_follow(jit, &a);
    emit_slow(jit, &a);
    jit->buffer.hot = a.p;
    code_buffer_keep(&jit->buffer);
}
