/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Blocks that are compared with their bytes before they run. */
#include "target-i386/interp/checked.h"

#include <string.h>

/* --- which blocks ------------------------------------------------------------------------- */

static bool writes_memory(const ZydisDecodedOperand *op)
{
    return op->type == ZYDIS_OPERAND_TYPE_MEMORY && op->mem.type != ZYDIS_MEMOP_TYPE_AGEN &&
           (op->actions & ZYDIS_OPERAND_ACTION_MASK_WRITE);
}

/*
 * True if @op, of 64-bit code, lies in the page of the block of bytes @first to @last, by an
 * address that shows that it is not the block. By another address the page could be mapped too.
 */
static bool beside_block(const ZydisDecodedOperand *op, uint64_t next_pc, uint64_t first,
                         uint64_t last)
{
    uint64_t begin = next_pc + op->mem.disp.value, end = begin + op->size / 8 - 1;

    return op->mem.base == ZYDIS_REGISTER_RIP && op->mem.index == ZYDIS_REGISTER_NONE &&
           op->mem.segment != ZYDIS_REGISTER_FS && op->mem.segment != ZYDIS_REGISTER_GS &&
           !((begin ^ first) >> GUEST_PAGE_BITS) && !((end ^ first) >> GUEST_PAGE_BITS) &&
           (end < first || begin > last);
}

static bool insn_fits(const InsnSource *src, uint64_t next_pc, uint64_t first, uint64_t last)
{
    bool string = src->zi->meta.category == ZYDIS_CATEGORY_STRINGOP ||
                  src->zi->meta.category == ZYDIS_CATEGORY_IOSTRINGOP;

    for (unsigned i = 0; i < src->zi->operand_count; i++) {
        const ZydisDecodedOperand *op = &src->ops[i];

        if (!writes_memory(op)) {
            continue;
        }
        if (string || (next_pc <= last && !beside_block(op, next_pc, first, last))) {
            return false;
        }
    }
    return true;
}

static bool code_fits(X86CPU *cpu, Decoder *decoder, uint64_t pc, const CheckedCode *code)
{
    const uint8_t *bytes = code->bytes;
    uint64_t last = pc + code->size - 1, next = pc;

    for (unsigned i = 0; i < code->count; i++) {
        unsigned len = code->insns[i].len;
        InsnSource src;

        next += len;
        if (ZYAN_SUCCESS(decoder_read(decoder, cpu, bytes, len, &src)) &&
            !insn_fits(&src, next, pc, last)) {
            return false;
        }
        bytes += len;
    }
    return true;
}

bool checked_decode(X86CPU *cpu, Decoder *decoder, uint64_t pc, unsigned most, CheckedCode *code)
{
    unsigned room = code->size;
    const Insn *insn;

    code->count = code->size = 0;
    do {
        unsigned size = MIN(room - code->size, INSN_BYTES_MAX);

        if (decode_insn(decoder, cpu, code->bytes + code->size, size,
                        &code->insns[code->count]) != DECODE_OK) {
            return false;
        }
        insn = &code->insns[code->count++];
        code->size += insn->len;
    } while (!(insn->flags & INSN_END) && code->count < most && code->size < room);
    return code_fits(cpu, decoder, pc, code);
}

/* --- bytes that changed --------------------------------------------------------------------- */

static uint64_t patched_bit(uint64_t ram)
{
    return 1ULL << (ram / 8 % 64);
}

static unsigned patched_word(uint64_t ram)
{
    return ram % GUEST_PAGE_SIZE / 8 / 64;
}

static bool patched_has(const PatchedBytes *patched, uint64_t ram)
{
    return patched->words[patched_word(ram)] & patched_bit(ram);
}

static void patched_add(PatchedBytes *patched, uint64_t ram)
{
    patched->words[patched_word(ram)] |= patched_bit(ram);
}

/* --- immediates ---------------------------------------------------------------------------- */

/* The immediate of a MOV that translated code can make a load; size 0: it is none. */
static PatchedImm patched_imm(const InsnSource *src)
{
    const ZydisDecodedInstruction *zi = src->zi;
    PatchedImm imm = {.size = 0};
    unsigned reg;

    if (zi->mnemonic != ZYDIS_MNEMONIC_MOV || zi->operand_width < 32 ||
        src->ops[0].type != ZYDIS_OPERAND_TYPE_REGISTER ||
        src->ops[1].type != ZYDIS_OPERAND_TYPE_IMMEDIATE) {
        return imm;
    }
    reg = insn_register_offset(src->ops[0].reg.value) / 8;
    if (reg != R_RSP && (reg < R_R8 || reg > R_R11)) {
        imm.at = zi->raw.imm[0].offset;
        imm.size = zi->raw.imm[0].size / 8;
    }
    return imm;
}

static bool any_patched(const Block *block, const PatchedImm *imm, const PatchedBytes *patched)
{
    for (unsigned i = 0; i < imm->size; i++) {
        if (patched_has(patched, block->ram + imm->at + i)) {
            return true;
        }
    }
    return false;
}

static void note_immediates(X86CPU *cpu, Decoder *decoder, Block *block,
                            const PatchedBytes *patched)
{
    CheckedBlock *checked = block->checked;
    unsigned at = 0;

    for (unsigned i = 0; i < block->count && checked->imm_count < BLOCK_IMMS; i++) {
        InsnSource src;
        PatchedImm imm = {.size = 0};

        if (ZYAN_SUCCESS(decoder_read(decoder, cpu, block_code(block) + at, block->insns[i].len,
                                      &src))) {
            imm = patched_imm(&src);
        }
        imm.insn = i;
        imm.at += at;
        if (any_patched(block, &imm, patched)) {
            checked->imms[checked->imm_count++] = imm;
        }
        at += block->insns[i].len;
    }
}

void checked_fill(X86CPU *cpu, Decoder *decoder, Block *block, const uint8_t *host,
                  const PatchedBytes *patched)
{
    *block->checked = (CheckedBlock){.host = host};
    note_immediates(cpu, decoder, block, patched);
}

/* --- comparing ------------------------------------------------------------------------------- */

bool checked_same(const Block *block)
{
    return !memcmp(block->checked->host, block_code(block), block->bytes);
}

static void take_over(X86CPU *cpu, Decoder *decoder, Block *block, const PatchedImm *imm)
{
    Insn *insn = &block->insns[imm->insn], changed;
    unsigned begin = imm->at + imm->size - insn->len; /* the immediate is what ends it */

    if (decode_insn(decoder, cpu, block_code(block) + begin, insn->len, &changed) ==
        DECODE_OK) {
        insn->imm = changed.imm;
    }
}

bool checked_refresh(X86CPU *cpu, Decoder *decoder, Block *block, PatchedBytes *patched)
{
    CheckedBlock *checked = block->checked;
    uint8_t *copy = block_code(block);
    uint8_t now[CHECKED_BYTES_MAX];
    bool same = true;

    memcpy(now, checked->host, block->bytes);
    for (unsigned i = 0; i < checked->imm_count; i++) {
        const PatchedImm *imm = &checked->imms[i];

        memcpy(copy + imm->at, now + imm->at, imm->size);
        take_over(cpu, decoder, block, imm);
    }
    for (unsigned i = 0; i < block->bytes; i++) {
        if (now[i] != copy[i]) {
            patched_add(patched, block->ram + i);
            same = false;
        }
    }
    return same;
}
