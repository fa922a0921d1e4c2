/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A guest instruction as itself: the same opcode and immediates, with the registers that the host
 * has for the guest's and the checked memory operand (SDM 2A chapter 2, formats of prefixes, REX,
 * VEX, EVEX, ModRM).
 */
#include "accel/tcg/x87.h"
#include "target-i386/interp/decode.h"

/* The register fields of the new encoding; H_NONE: as in the old one. */
typedef struct Fields {
    uint8_t reg, rm, opcode, vvvv;
    bool has_mem;
    HostMem mem;
    bool high_byte;  /* AH to BH is an operand: no REX prefix may appear */
} Fields;

/* A guest register that lives in memory and stands in a temporary meanwhile. */
typedef struct Spill {
    uint8_t guest, temp;
    bool load, store;
} Spill;

typedef struct Plan {
    Fields fields;
    Spill spills[3];
    unsigned spill_count;
} Plan;

static bool reads_all_before_write(const TransInsn *ti, const TransOperand *op)
{
    /* What a write leaves of the old value makes it an input; BSF and BSR of 0 leave all of it. */
    return (op->actions & ZYDIS_OPERAND_ACTION_MASK_READ) || op->size < 32 ||
           (op->actions & ZYDIS_OPERAND_ACTION_CONDWRITE) ||
           ti->zi.mnemonic == ZYDIS_MNEMONIC_BSF || ti->zi.mnemonic == ZYDIS_MNEMONIC_BSR;
}

/* The host register for @op, a spilled one by a temporary; H_NONE if none is left. */
static unsigned place_register(const Trans *t, Plan *plan, const TransOperand *op,
                               const uint8_t *temps, unsigned temp_count)
{
    unsigned guest = trans_guest_reg(op->reg.value);
    unsigned host = trans_home(t, guest);
    Spill *spill = NULL;

    if (host != H_NONE) {
        return host;
    }
    for (unsigned i = 0; i < plan->spill_count; i++) {
        if (plan->spills[i].guest == guest) {
            spill = &plan->spills[i];
        }
    }
    if (!spill) {
        if (plan->spill_count == temp_count) {
            return H_NONE;
        }
        spill = &plan->spills[plan->spill_count];
        *spill = (Spill){.guest = guest, .temp = temps[plan->spill_count++]};
    }
    spill->load |= reads_all_before_write(&t->insns[t->cur], op);
    spill->store |= (op->actions & ZYDIS_OPERAND_ACTION_MASK_WRITE) != 0;
    return spill->temp;
}

static bool is_general(const TransOperand *op)
{
    return op->type == ZYDIS_OPERAND_TYPE_REGISTER && op->reg.value >= ZYDIS_REGISTER_AL &&
           op->reg.value <= ZYDIS_REGISTER_R15;
}

/* Fills in the fields that name general registers. */
static bool place_registers(Trans *t, Plan *plan, const uint8_t *temps, unsigned temp_count)
{
    const TransInsn *ti = trans_cur(t);
    Fields *f = &plan->fields;

    f->reg = f->rm = f->opcode = f->vvvv = H_NONE;
    for (unsigned i = 0; i < ti->zi.operand_count_visible; i++) {
        const TransOperand *op = &ti->ops[i];
        unsigned host;

        if (!is_general(op)) {
            continue;
        }
        if (op->reg.value >= ZYDIS_REGISTER_AH && op->reg.value <= ZYDIS_REGISTER_BH) {
            f->high_byte = true; /* its field keeps its number: 4 to 7 */
            continue;
        }
        host = place_register(t, plan, op, temps, temp_count);
        if (host == H_NONE) {
            return false;
        }
        switch (op->encoding) {
        case ZYDIS_OPERAND_ENCODING_MODRM_REG: f->reg = host; break;
        case ZYDIS_OPERAND_ENCODING_MODRM_RM: f->rm = host; break;
        case ZYDIS_OPERAND_ENCODING_OPCODE: f->opcode = host; break;
        case ZYDIS_OPERAND_ENCODING_NDSNDD: f->vvvv = host; break;
        default: break; /* implied: the same in the host */
        }
    }
    return true;
}

bool trans_uses_high_byte(const TransInsn *ti)
{
    for (unsigned i = 0; i < ti->zi.operand_count_visible; i++) {
        ZydisRegister reg = ti->ops[i].reg.value;

        if (is_general(&ti->ops[i]) && reg >= ZYDIS_REGISTER_AH && reg <= ZYDIS_REGISTER_BH) {
            return true;
        }
    }
    return false;
}

/* --- encoding ------------------------------------------------------------------------ */

static bool has_modrm(const TransInsn *ti)
{
    return ti->zi.attributes & ZYDIS_ATTRIB_HAS_MODRM;
}

/* Offset of what follows ModRM, SIB and displacement (or the opcode): immediates. */
static unsigned tail_offset(const TransInsn *ti)
{
    const TransDecoded *zi = &ti->zi;

    if (has_modrm(ti)) {
        bool sib = zi->raw.modrm.mod != 3 && zi->raw.modrm.rm == 4 && zi->address_width != 16;

        return zi->raw.modrm.offset + 1 + sib + zi->raw.disp.size / 8;
    }
    return zi->raw.imm[0].size ? zi->raw.imm[0].offset : zi->length;
}

static void put_modrm_tail(Asm *a, const TransInsn *ti, const Fields *f)
{
    const TransDecoded *zi = &ti->zi;
    unsigned tail = tail_offset(ti);

    if (has_modrm(ti)) {
        unsigned reg = f->reg == H_NONE ? zi->raw.modrm.reg : f->reg;

        if (f->has_mem) {
            emit_modrm_mem(a, reg, &f->mem);
        } else {
            unsigned rm = f->rm == H_NONE ? zi->raw.modrm.rm : f->rm;

            put8(a, 0xc0 | (reg & 7) << 3 | (rm & 7));
        }
    }
    while (tail < zi->length) {
        put8(a, ti->bytes[tail++]);
    }
}

static bool is_rex(uint8_t byte)
{
    return (byte & 0xf0) == 0x40;
}

static bool prefix_goes(const TransInsn *ti, uint8_t byte)
{
    switch (byte) {
    case 0x26: case 0x2e: case 0x36: case 0x3e: case 0x64: case 0x65: case 0x67:
        return true;
    case 0x66:
        return trans_turns_66(ti);
    case 0xf0:
        return ti->unlocked;
    case 0xf3: /* nothing to a guest without TZCNT and LZCNT; the host may have them */
        return ti->zi.mnemonic == ZYDIS_MNEMONIC_BSF || ti->zi.mnemonic == ZYDIS_MNEMONIC_BSR;
    default:
        return is_rex(byte);
    }
}

/* Bit @bit of a register field: of the new register, else as it was. */
static unsigned extension(unsigned host, unsigned old)
{
    return host == H_NONE ? old : host >> 3;
}

/* The other opcode @opcode, with its ModRM byte, and immediates. */
static void put_other(Asm *a, const TransInsn *ti, const Fields *f, uint8_t opcode, uint8_t reg)
{
    put8(a, opcode);
    if (has_modrm(ti)) {
        put_modrm_tail(a, ti, f);
    } else if (f->has_mem) {
        emit_modrm_mem(a, reg, &f->mem);
    } else {
        put8(a, 0xc0 | reg << 3 | (f->opcode & 7));
    }
}

static bool put_legacy(Asm *a, const TransInsn *ti, const Fields *f)
{
    const TransDecoded *zi = &ti->zi;
    unsigned at = zi->raw.prefix_count;
    unsigned end = has_modrm(ti) ? zi->raw.modrm.offset : tail_offset(ti);
    bool had_rex = zi->attributes & ZYDIS_ATTRIB_HAS_REX;
    unsigned r = extension(f->reg, zi->raw.rex.R), x = 0, b, rex;
    uint8_t other, other_reg;

    if (f->has_mem) {
        x = mem_rex(&f->mem) >> 1;
        b = mem_rex(&f->mem) & 1;
    } else {
        b = extension(f->rm != H_NONE ? f->rm : f->opcode, zi->raw.rex.B);
    }
    rex = (zi->raw.rex.W ? 8 : 0) | r << 2 | x << 1 | b;
    if (f->high_byte && rex) {
        return false;
    }
    for (unsigned i = 0; i < zi->raw.prefix_count; i++) {
        if (!prefix_goes(ti, ti->bytes[i])) {
            put8(a, ti->bytes[i]);
        }
    }
    if (trans_takes_66(ti)) {
        put8(a, 0x66);
    }
    if (rex || had_rex) {
        put8(a, 0x40 | rex);
    }
    other = trans_other_opcode(ti, &other_reg);
    if (other) {
        put_other(a, ti, f, other, other_reg);
        return true;
    }
    for (; at < end; at++) {
        uint8_t byte = ti->bytes[at];

        put8(a, at == end - 1 && f->opcode != H_NONE ? (byte & ~7) | (f->opcode & 7) : byte);
    }
    put_modrm_tail(a, ti, f);
    return true;
}

/* The inverted extension bits R, X, B of VEX and EVEX, in bits 7 to 5. */
static uint8_t inverted_rxb(const Fields *f, uint8_t old)
{
    uint8_t bits = old & 0xe0;

    if (f->reg != H_NONE) {
        bits = (bits & ~0x80) | (f->reg & 8 ? 0 : 0x80);
    }
    if (f->has_mem) {
        uint8_t rex = mem_rex(&f->mem);

        bits = (bits & ~0x60) | (rex & 2 ? 0 : 0x40) | (rex & 1 ? 0 : 0x20);
    } else if (f->rm != H_NONE) {
        bits = (bits & ~0x60) | 0x40 | (f->rm & 8 ? 0 : 0x20);
    }
    return bits;
}

static uint8_t inverted_vvvv(const Fields *f, uint8_t old)
{
    return f->vvvv == H_NONE ? old : (old & ~0x78) | (~f->vvvv & 15) << 3;
}

static void put_vex(Asm *a, const TransInsn *ti, const Fields *f)
{
    const uint8_t *vex = ti->bytes + ti->zi.raw.vex.offset;
    bool two = vex[0] == 0xc5;
    uint8_t rxb_map = two ? (vex[1] & 0x80) | 0x61 : vex[1];
    uint8_t rest = two ? vex[1] & 0x7f : vex[2];

    put8(a, 0xc4);
    put8(a, inverted_rxb(f, rxb_map) | (rxb_map & 0x1f));
    put8(a, inverted_vvvv(f, rest));
    put8(a, vex[two ? 2 : 3]);
    put_modrm_tail(a, ti, f);
}

static void put_evex(Asm *a, const TransInsn *ti, const Fields *f)
{
    const uint8_t *evex = ti->bytes + ti->zi.raw.evex.offset;

    put8(a, 0x62);
    put8(a, inverted_rxb(f, evex[1]) | (evex[1] & 0x1f) | (f->reg != H_NONE ? 0x10 : 0));
    put8(a, inverted_vvvv(f, evex[2]));
    put8(a, evex[3]);
    put8(a, evex[4]);
    put_modrm_tail(a, ti, f);
}

static bool put_instruction(Asm *a, const TransInsn *ti, const Fields *f)
{
    switch (ti->zi.encoding) {
    case ZYDIS_INSTRUCTION_ENCODING_LEGACY:
        return put_legacy(a, ti, f);
    case ZYDIS_INSTRUCTION_ENCODING_VEX:
        put_vex(a, ti, f);
        return true;
    case ZYDIS_INSTRUCTION_ENCODING_EVEX:
        put_evex(a, ti, f);
        return true;
    default:
        return false;
    }
}

/* --- the instruction ------------------------------------------------------------------ */

/* An operation that changes nothing: LOCK makes a memory barrier of it. */
static bool is_barrier(const TransInsn *ti)
{
    const TransOperand *value = &ti->ops[1];
    uint64_t bits = UINT64_MAX >> (64 - ti->ops[0].size);

    if (value->type != ZYDIS_OPERAND_TYPE_IMMEDIATE) {
        return false;
    }
    switch (ti->zi.mnemonic) {
    case ZYDIS_MNEMONIC_ADD: case ZYDIS_MNEMONIC_OR: case ZYDIS_MNEMONIC_SUB:
    case ZYDIS_MNEMONIC_XOR:
        return !(value->imm.value.u & bits);
    case ZYDIS_MNEMONIC_AND:
        return (value->imm.value.u & bits) == bits;
    default:
        return false;
    }
}

/*
 * A machine of one CPU cannot see whether a read-modify-write is atomic, and on some hosts LOCK
 * takes twenty cycles. What orders memory for devices, which have threads of their own, keeps it:
 * kernels that take their own prefixes out on one CPU leave it in their barriers too.
 */
bool trans_leaves_lock_out(const Trans *t, const TransInsn *ti)
{
    return (ti->zi.attributes & ZYDIS_ATTRIB_HAS_LOCK) && t->cpu->alone && !is_barrier(ti);
}

/* Vector operands that the host itself wants aligned: more may be named than are. */
bool trans_wants_alignment(const TransInsn *ti, unsigned size)
{
    if (size < 16) {
        return ((ti->zi.attributes & ZYDIS_ATTRIB_HAS_LOCK) && !ti->unlocked) ||
               ti->zi.mnemonic == ZYDIS_MNEMONIC_XCHG;
    }
    switch (ti->zi.mnemonic) {
    case ZYDIS_MNEMONIC_MOVUPS: case ZYDIS_MNEMONIC_MOVUPD: case ZYDIS_MNEMONIC_MOVDQU:
    case ZYDIS_MNEMONIC_LDDQU: case ZYDIS_MNEMONIC_PCMPESTRI: case ZYDIS_MNEMONIC_PCMPESTRM:
    case ZYDIS_MNEMONIC_PCMPISTRI: case ZYDIS_MNEMONIC_PCMPISTRM:
        return false;
    case ZYDIS_MNEMONIC_VMOVAPS: case ZYDIS_MNEMONIC_VMOVAPD: case ZYDIS_MNEMONIC_VMOVDQA:
    case ZYDIS_MNEMONIC_VMOVDQA32: case ZYDIS_MNEMONIC_VMOVDQA64: case ZYDIS_MNEMONIC_VMOVNTDQ:
    case ZYDIS_MNEMONIC_VMOVNTDQA: case ZYDIS_MNEMONIC_VMOVNTPS: case ZYDIS_MNEMONIC_VMOVNTPD:
        return true;
    default:
        return ti->zi.encoding == ZYDIS_INSTRUCTION_ENCODING_LEGACY;
    }
}

static HostMem copy_memory(Trans *t, TransInsn *ti)
{
    const TransOperand *op = &ti->ops[ti->mem];
    unsigned size = op->size / 8;
    bool write = op->actions & ZYDIS_OPERAND_ACTION_MASK_WRITE;
    bool align = trans_wants_alignment(ti, size);

    if (ti->group >= 0 && !align) {
        return trans_stack(t, (int32_t)op->mem.disp.value, size, write);
    }
    return trans_memory(t, op, size, write, align);
}

/* How many temporaries there will be beside the memory operand. */
static unsigned temps_expected(const Trans *t, const TransInsn *ti)
{
    unsigned r9 = !trans_busy(t, H_R9), r11 = !trans_busy(t, H_R11);

    if (ti->mem < 0 || ti->group >= 0 ||
        (ti->address >= 0 && t->addresses[ti->address].pointer != H_NONE)) {
        return 1 + r9 + r11;
    }
    return r9 + r11; /* r10 or a pointer is the operand's */
}

/* REX is the last prefix, or no prefix at all. */
static bool prefixes_stay(const TransInsn *ti)
{
    const uint8_t *last = ti->bytes + ti->zi.raw.prefix_count - 1;

    for (const uint8_t *at = ti->bytes; at <= last; at++) {
        if (prefix_goes(ti, *at) && !(at == last && is_rex(*at) && !(*at & 2))) {
            return false;
        }
    }
    return true;
}

bool trans_stays_verbatim(const TransInsn *ti)
{
    return ti->kind == KIND_COPY && ti->mem < 0 && ti->spilled == 0 && !ti->names_sp &&
           ti->zi.machine_mode == ZYDIS_MACHINE_MODE_LONG_64 &&
           ti->zi.encoding == ZYDIS_INSTRUCTION_ENCODING_LEGACY && prefixes_stay(ti);
}

/* Before the copy of an instruction: the flags that it reads, or leaves as they are. */
static void bring_flags(Trans *t, const TransInsn *ti)
{
    if ((ti->use || ti->write) && (ti->use | (ti->live_out & ~ti->kill))) {
        trans_need_flags(t);
    }
}

static void copy_verbatim(Trans *t, const TransInsn *ti)
{
    trans_need_vector(t);
    trans_need_x87(t);
    bring_flags(t, ti);
    memcpy(t->a.p, ti->bytes, 16);
    t->a.p += ti->zi.length;
    if (ti->write) {
        t->flags = FLAGS_HOST;
    }
}

bool trans_copy(Trans *t)
{
    TransInsn *ti = trans_cur(t);
    Plan plan = {.fields.has_mem = ti->mem >= 0};
    uint8_t temps[3];
    unsigned count, spilled = trans_spilled_operands(ti);

    if (ti->verbatim) {
        copy_verbatim(t, ti);
        return true;
    }
    /* Known before code is written: whether registers suffice, and AH without REX. */
    if (ti->mem >= 0 && trans_uses_high_byte(ti)) {
        return false;
    }
    if (spilled && spilled > temps_expected(t, ti)) {
        return false;
    }
    trans_need_vector(t);
    trans_need_x87(t);
    if (ti->mem >= 0) {
        plan.fields.mem = copy_memory(t, ti);
        plan.fields.mem.wide_disp = ti->zi.encoding == ZYDIS_INSTRUCTION_ENCODING_EVEX;
    }
    count = spilled ? trans_temps(t, ti->mem >= 0 ? &plan.fields.mem : NULL, temps) : 0;
    if (!place_registers(t, &plan, temps, count)) {
        return false;
    }
    bring_flags(t, ti);
    for (unsigned i = 0; i < plan.spill_count; i++) {
        if (plan.spills[i].load) {
            emit_load(&t->a, plan.spills[i].temp, GS_REG(plan.spills[i].guest));
        }
    }
    if (!put_instruction(&t->a, ti, &plan.fields)) {
        return false;
    }
    if (ti->write) {
        t->flags = FLAGS_HOST;
    }
    for (unsigned i = 0; i < plan.spill_count; i++) {
        if (plan.spills[i].store) {
            emit_store(&t->a, plan.spills[i].temp, GS_REG(plan.spills[i].guest));
        }
    }
    return true;
}
