/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The guest's x87 state on its way between memory and the host's registers. Translated code loads
 * it when it first needs it and everything that enters C but a TLB fill saves it.
 */
#include "accel/tcg/x87.h"

#include <cpuid.h>

#include "target-i386/interp/vector.h"

/* The parts of an XSAVE image (SDM 1, 13.4) that X87State has at the same offsets. */
#define IMAGE(at) \
    ((HostMem){H_NONE, H_NONE, 0, true, CPU_FIELD(jit.x87_image) + (int32_t)(at)})
#define STATE(at) ((HostMem){H_NONE, H_NONE, 0, true, CPU_FIELD(x87) + (int32_t)(at)})
#define AT_TAGS   offsetof(X87State, ftw)
#define AT_FIP    offsetof(X87State, fip)
#define AT_FDP    offsetof(X87State, fdp)
#define AT_ST     offsetof(X87State, st)
#define AT_HEADER 512

static const uint8_t *here(Jit *jit, const Asm *a)
{
    return code_rx(&jit->buffer, a->p);
}

bool x87_host_fits(void)
{
    unsigned a, b, c, d;

    return __get_cpuid(1, &a, &b, &c, &d) && (c & bit_OSXSAVE);
}

static void emit_set_loaded(Asm *a, bool loaded)
{
    put8(a, 0x65); /* mov byte [x87], loaded */
    put8(a, 0xc6);
    emit_modrm_mem(a, 0, &GS(jit.x87));
    put8(a, loaded);
}

static void emit_zero(Asm *a, HostMem m)
{
    emit_op_mem(a, true, 0xc7, 0, m);
    put32(a, 0);
}

/* Control, status and tag words and registers; not the pointers. */
static void emit_copy(Asm *a, bool to_image)
{
    emit_op_mem(a, false, 0x8b, H_RAX, to_image ? STATE(0) : IMAGE(0));
    emit_op_mem(a, false, 0x89, H_RAX, to_image ? IMAGE(0) : STATE(0));
    emit_op_mem(a, false, 0x8a, H_RAX, to_image ? STATE(AT_TAGS) : IMAGE(AT_TAGS));
    emit_op_mem(a, false, 0x88, H_RAX, to_image ? IMAGE(AT_TAGS) : STATE(AT_TAGS));
    for (unsigned at = AT_ST; at < sizeof(X87State); at += 8) {
        emit_load(a, H_RAX, to_image ? STATE(at) : IMAGE(at));
        emit_store(a, H_RAX, to_image ? IMAGE(at) : STATE(at));
    }
}

/* XSAVE64 (4) or XRSTOR64 (5) of the x87 component alone, which leaves MXCSR and XMM out. */
static void emit_xsave(Asm *a, unsigned op)
{
    emit_mov_imm(a, H_RAX, 1);
    emit_mov_imm(a, H_RDX, 0);
    emit_op_mem(a, true, 0x0fae, op, IMAGE(0));
}

/*
 * Call it after the general registers are stored. The host's instruction pointer tells later which
 * instruction of the guest was the last one. C code finds the registers empty, as the ABI wants.
 */
void jit_emit_x87_save(Jit *jit, Asm *a)
{
    jit->x87_save = here(jit, a);
    emit_xsave(a, 4);
    emit_copy(a, false);
    emit_load(a, H_RAX, IMAGE(AT_FIP));
    emit_store(a, H_RAX, GS(jit.x87_host_ip));
    put8(a, 0xdb); /* fninit */
    put8(a, 0xe3);
    emit_set_loaded(a, false);
    put8(a, 0xc3);
}

/* Call it anywhere; flags and registers stay. */
void jit_emit_x87_load(Jit *jit, Asm *a)
{
    jit->x87_load = here(jit, a);
    emit_store(a, H_RAX, GS(jit.x87_scratch[0]));
    emit_store(a, H_RDX, GS(jit.x87_scratch[1]));
    emit_copy(a, true);
    emit_zero(a, IMAGE(AT_FIP));
    emit_zero(a, IMAGE(AT_FDP));
    emit_mov_imm(a, H_RAX, 1);
    emit_store(a, H_RAX, IMAGE(AT_HEADER));
    emit_xsave(a, 5);
    emit_load(a, H_RAX, GS(jit.x87_scratch[0]));
    emit_load(a, H_RDX, GS(jit.x87_scratch[1]));
    emit_set_loaded(a, true);
    put8(a, 0xc3);
}

static void emit_call_if(Jit *jit, Asm *a, HostMem flag, const uint8_t *routine)
{
    uint8_t *past;

    emit_compare_byte(a, flag, 0);
    past = emit_jcc(a, CC_E);
    patch_rel32(emit_call(a), code_rw(&jit->buffer, routine));
    patch_rel32(past, a->p);
}

void jit_emit_x87_save_if_loaded(Jit *jit, Asm *a)
{
    emit_call_if(jit, a, GS(jit.x87), jit->x87_save);
}

void jit_emit_x87_load_if_wanted(Jit *jit, Asm *a)
{
    emit_call_if(jit, a, GS(jit.x87_wanted), jit->x87_load);
}

/* --- the instruction pointer -------------------------------------------------------------- */

/* The last block that begins at or before @offset of the buffer: higher ids lie behind. */
static const TransBlock *block_at(const Jit *jit, uint32_t offset)
{
    const TransBlock *found = NULL;
    unsigned low = 0, high = jit->blocks->len;

    while (low < high) {
        unsigned middle = low + (high - low) / 2, i = middle;
        const TransBlock *tb = NULL;

        while (i > low && !g_ptr_array_index(jit->blocks, i)) {
            i--;
        }
        tb = g_ptr_array_index(jit->blocks, i);
        if (tb && tb->insns[0].host > offset) {
            high = i;
        } else {
            found = tb ? tb : found;
            low = middle + 1;
        }
    }
    return found;
}

void jit_x87_settle_ip(X86CPU *cpu)
{
    Jit *jit = cpu->jit.jit;
    uint32_t offset = (const uint8_t *)cpu->jit.x87_host_ip - jit->buffer.rx;
    const TransBlock *tb = block_at(jit, offset);
    uint64_t rip;

    cpu->jit.x87_host_ip = 0;
    if (!tb || offset >= tb->insns[tb->count].host) {
        return;
    }
    rip = tb->rip;
    for (unsigned i = 0; tb->insns[i + 1].host <= offset; i++) {
        rip += tb->block->insns[i].len;
    }
    cpu->x87.fip = x87_far_pointer(cpu, SEG_CS, rip);
}
