/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Translated forms of what system code does often: pushes from memory. */
#include "accel/tcg/trans.h"

/*
 * The stack is checked first: a group's check leaves r9 and r10 free, and nothing is done before
 * both checks passed.
 */
void trans_push_memory(Trans *t)
{
    const ZydisDecodedOperand *op = &trans_cur(t)->ops[0];
    Asm *a = &t->a;
    HostMem value, stack;

    if (trans_cur(t)->group >= 0) {
        stack = trans_stack(t, -8, 8, true);
        value = trans_memory(t, op, 8, false, false);
        emit_load(a, H_R9, value);
    } else {
        value = trans_memory(t, op, 8, false, false);
        emit_load(a, H_R9, value);
        emit_store(a, H_R9, GS(jit.scratch[0]));
        stack = trans_stack(t, -8, 8, true);
        emit_lea(a, H_R10, stack);
        emit_load(a, H_R9, GS(jit.scratch[0]));
        stack = (HostMem){.base = H_R10, .index = H_NONE};
    }
    emit_store(a, H_R9, stack);
    emit_lea(a, H_R8, (HostMem){.base = H_R8, .index = H_NONE, .disp = -8});
}
