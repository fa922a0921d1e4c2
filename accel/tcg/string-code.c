/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * REP MOVS and REP STOS of few bytes in line, which compilers write for every short copy: a call of
 * jit_string() takes as long as moving 500 bytes. What is longer, straddles pages or goes downwards
 * is left to that.
 */
#include "accel/tcg/trans.h"
#include "target-i386/interp/decode.h"

/* So many bytes at most, and as many must be left of each page. */
#define SHORT 256u

static bool is_movs(const TransInsn *ti)
{
    switch (ti->zi.mnemonic) {
    case ZYDIS_MNEMONIC_MOVSB: case ZYDIS_MNEMONIC_MOVSW: case ZYDIS_MNEMONIC_MOVSD:
    case ZYDIS_MNEMONIC_MOVSQ:
        return true;
    default:
        return false;
    }
}

static bool is_stos(const TransInsn *ti)
{
    switch (ti->zi.mnemonic) {
    case ZYDIS_MNEMONIC_STOSB: case ZYDIS_MNEMONIC_STOSW: case ZYDIS_MNEMONIC_STOSD:
    case ZYDIS_MNEMONIC_STOSQ:
        return true;
    default:
        return false;
    }
}

static bool fits(const Trans *t, const TransInsn *ti)
{
    return trans_code64(t) && !t->jit->lockstep && !t->jit->counting &&
           (is_movs(ti) || is_stos(ti)) && (ti->zi.attributes & ZYDIS_ATTRIB_HAS_REP) &&
           ti->zi.address_width == 64 &&
           !(ti->zi.attributes & (ZYDIS_ATTRIB_HAS_SEGMENT_FS | ZYDIS_ATTRIB_HAS_SEGMENT_GS)) &&
           !trans_busy(t, H_R9) && !trans_busy(t, H_R11);
}

/* @guest, the number of a register, with the address of the host in @pointer. */
static void check(Trans *t, unsigned pointer, unsigned guest, bool write)
{
    emit_mov(&t->a, pointer, guest);
    trans_check_or_bail(t, pointer, SHORT, write, 1, NULL);
}

/* RCX words from r9 to r11: sooner than REP MOVSQ begins. */
static void move_words(Asm *a)
{
    static const uint8_t moved[] = {H_RSI, H_RDI, H_R9, H_R11};
    uint8_t *loop;

    for (unsigned i = 0; i < G_N_ELEMENTS(moved); i++) { /* to the end of what is moved */
        emit_lea(a, moved[i], (HostMem){.base = moved[i], .index = H_RCX, .scale = 3});
    }
    emit_op_reg(a, true, 0xf7, 3, H_RCX); /* neg */
    loop = a->p;
    emit_load(a, H_R10, (HostMem){.base = H_R9, .index = H_RCX, .scale = 3});
    emit_store(a, H_R10, (HostMem){.base = H_R11, .index = H_RCX, .scale = 3});
    emit_op_reg(a, true, 0xff, 0, H_RCX); /* inc */
    patch_rel32(emit_jcc(a, CC_NE), loop);
}

/* Guest address @guest becomes that of the host in @pointer, and that how far they are apart. */
static void go_to_host(Asm *a, unsigned guest, unsigned pointer)
{
    emit_op_reg(a, true, 0x2b, guest, pointer); /* sub */
    emit_op_reg(a, true, 0x87, guest, pointer); /* xchg */
}

/* The instruction itself, on the host's addresses. */
static void do_itself(Asm *a, const TransInsn *ti, bool movs)
{
    if (movs) {
        go_to_host(a, H_RSI, H_R9);
    }
    go_to_host(a, H_RDI, H_R11);
    put8(a, 0xf3);
    if (ti->zi.operand_width == 16) {
        put8(a, 0x66);
    } else if (ti->zi.operand_width == 64) {
        put8(a, 0x48);
    }
    put8(a, ti->zi.opcode);
    if (movs) {
        emit_op_reg(a, true, 0x03, H_RSI, H_R9); /* add */
    }
    emit_op_reg(a, true, 0x03, H_RDI, H_R11);
}

/* The code in line; the jumps to where the rest is done are left to the caller. */
static void emit_short(Trans *t, uint8_t *others[2])
{
    const TransInsn *ti = trans_cur(t);
    bool movs = is_movs(ti);
    unsigned size = ti->zi.opcode & 1 ? ti->zi.operand_width / 8 : 1;
    Asm *a = &t->a;
    HostMem direction = GS(eflags);

    direction.disp += 1;
    emit_op_mem(a, false, 0xf6, 0, direction); /* test byte [eflags + 1], DF >> 8 */
    put8(a, FL_DF >> 8);
    others[0] = emit_jcc(a, CC_NE);
    emit_alu_imm(a, true, 7, H_RCX, SHORT / size);
    others[1] = emit_jcc(a, CC_A);
    if (movs) {
        check(t, H_R9, H_RSI, false);
    }
    check(t, H_R11, H_RDI, true);
    if (movs && size == 8) {
        move_words(a);
    } else {
        do_itself(a, ti, movs);
    }
}

static void string_in_line(Trans *t)
{
    Asm *a = &t->a;
    unsigned first = t->cold_count;
    uint8_t *others[2], *none, *done;

    emit_op_reg(a, true, 0x85, H_RCX, H_RCX);
    none = emit_jcc(a, CC_E);
    emit_short(t, others);
    done = emit_jmp(a);
    for (unsigned i = first; i < t->cold_count; i++) {
        t->cold[i].bail = a->p;
    }
    for (unsigned i = 0; i < G_N_ELEMENTS(others); i++) {
        patch_rel32(others[i], a->p);
    }
    trans_cold(t, COLD_SLOW, emit_jmp(a))->site.flags |= SITE_STRING;
    patch_rel32(none, a->p);
    patch_rel32(done, a->p);
}

void trans_string(Trans *t)
{
    trans_clobber_flags(t, trans_cur(t)->live_in);
    if (fits(t, trans_cur(t))) {
        string_in_line(t);
        return;
    }
    trans_cold(t, COLD_SLOW, emit_jmp(&t->a))->site.flags |= SITE_STRING;
    t->flags = FLAGS_HOST; /* and in memory: the way back loads them */
}
