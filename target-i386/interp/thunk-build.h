/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Between decoding and host code: what a thunk must load, run and store, and the encoder that puts
 * a guest instruction into canonical registers.
 */
#ifndef TARGET_I386_INTERP_THUNK_BUILD_H
#define TARGET_I386_INTERP_THUNK_BUILD_H

#include "target-i386/interp/thunk-emit.h"
#include "target-i386/interp/thunk.h"

/*
 * General registers: by the field that encodes them. rdi, rsi, rdx are the thunk's own arguments.
 */
enum { HOST_REG_FIELD = 8, HOST_VVVV_FIELD = 9, HOST_RM_FIELD = 10 };

typedef enum { FILE_NONE, FILE_GPR, FILE_VEC, FILE_MMX, FILE_MASK } RegFile;

typedef struct ThunkOperand {
    RegFile file;
    uint8_t guest, host; /* register numbers */
    uint16_t bits, load_bits;
    bool load, store;
} ThunkOperand;

typedef struct ThunkBuild {
    const InsnSource *src;
    ThunkCheck check;
    bool wide;
    Thunk thunk;
    ThunkOperand ops[10];
    unsigned op_count;
    uint8_t reg, rm, vvvv, is4; /* host register numbers of the encoding fields */
    bool has_rm_reg, has_gpr, has_is4;
    const ZydisDecodedOperand *mem;
} ThunkBuild;

/* Fills in everything from @build's source; false for operands that no thunk can carry. */
bool thunk_analyse(ThunkBuild *build);
/* Puts the instruction itself, for 64-bit code, memory operand [rsi]. */
void thunk_encode(const ThunkBuild *build, Emit *emit);

#endif
