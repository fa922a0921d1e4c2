/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One case of a form: registers and addressing chosen at random, operands random or on the edge. */
#include <string.h>

#include "tests/insn/insn-test.h"

/* --- bytes --------------------------------------------------------------------- */

typedef struct CaseBytes {
    uint8_t *b;
    unsigned n;
} CaseBytes;

static void put(CaseBytes *out, uint64_t value, unsigned size)
{
    memcpy(out->b + out->n, &value, size);
    out->n += size;
}

/* Registers that hold addresses of data: rbx, rbp, rsi, rdi. */
static const uint8_t address_registers[4] = {3, 5, 6, 7};

typedef struct Fields {
    unsigned reg, rm, vvvv; /* five bits; rm is the base register of memory */
    unsigned index;         /* SIB index, 4: none */
    bool sib, displaced;
    bool rip;        /* relative to the instruction pointer, in 32-bit code a constant */
    uint8_t segment; /* prefix, or 0 */
} Fields;

/* Any base and index, SP and R12 among them, RIP and segments. */
static void pick_address(Fields *f, const Form *form, const CaseAddressing *how, Random *random)
{
    f->rm = how->bases[random_below(random, G_N_ELEMENTS(how->bases))];
    if (!form->vsib && random_below(random, 4) == 0) {
        f->sib = true;
        f->index = how->indices[random_below(random, G_N_ELEMENTS(how->indices))];
    }
    f->sib |= (f->rm & 7) == 4;
    if (!f->sib && random_below(random, 6) == 0) {
        f->rip = true;
        f->rm = 5;
    }
    if (how->segments && random_below(random, 3) == 0) {
        f->segment = 0x64 + random_below(random, 2);
    }
}

static Fields pick_fields(const Form *form, const CaseAddressing *how, Random *random)
{
    unsigned limit = form->mode == TEST_32 ? 8 : form->encoding == ENC_EVEX ? 32 : 16;
    Fields f = {.reg = random_below(random, limit), .rm = random_below(random, limit)};

    f.vvvv = random_below(random, limit);
    if (form->memory) {
        f.rm = address_registers[random_below(random, 4)];
        f.displaced = random_below(random, 2);
        f.sib = form->vsib || random_below(random, 4) == 0;
        f.index = form->vsib ? random_below(random, limit) : 4; /* 4: no index */
    }
    if (form->memory && how) {
        pick_address(&f, form, how, random);
    }
    return f;
}

/* ModRM, SIB and displacement. */
static void put_modrm(CaseBytes *out, const Form *form, const Fields *f, Random *random)
{
    unsigned reg = (f->reg & 7) << 3;

    if (!form->memory) {
        put(out, 0xc0 | reg | (f->rm & 7), 1);
        return;
    }
    if (f->rip) {
        put(out, reg | 5, 1);
        put(out, 0, 4); /* filled in when the length is known */
        return;
    }
    if (f->sib) {
        put(out, 0x80 | reg | 4, 1);
        put(out, random_below(random, 4) << 6 | (f->index & 7) << 3 | (f->rm & 7), 1);
    } else {
        put(out, (f->displaced ? 0x80 : 0x40) | reg | (f->rm & 7), 1);
    }
    if (f->sib || f->displaced) {
        put(out, (uint32_t)((int)random_below(random, 512) - 256), 4);
    } else {
        put(out, random_below(random, 256), 1);
    }
}

static void put_prefixes(CaseBytes *out, const Form *form, const Fields *f)
{
    unsigned r = ~f->reg >> 3 & 1, r2 = ~f->reg >> 4 & 1, b = ~f->rm >> 3 & 1;
    unsigned x = form->memory ? ~f->index >> 3 & 1 : ~f->rm >> 4 & 1;
    unsigned v2 = form->vsib ? ~f->index >> 4 & 1 : ~f->vvvv >> 4 & 1;
    unsigned vvvv = form->has_vvvv ? ~f->vvvv & 15 : 15;

    if (!form->vsib && !form->has_vvvv) {
        v2 = 1;
    }
    if (f->segment) {
        put(out, f->segment, 1);
    }
    switch (form->encoding) {
    case ENC_LEGACY: {
        uint8_t rex = form->w << 3 | !r << 2 | (form->memory ? !x << 1 : 0) | !b;

        if (form->lock) {
            put(out, 0xf0, 1);
        }
        if (form->opsize) {
            put(out, 0x66, 1);
        }
        if (form->prefix) {
            put(out, form->prefix, 1);
        }
        if (rex && form->mode == TEST_64) {
            put(out, 0x40 | rex, 1);
        }
        if (form->map) {
            put(out, 0x0f, 1);
        }
        if (form->map > 1) {
            put(out, form->map == 2 ? 0x38 : 0x3a, 1);
        }
        break;
    }
    case ENC_VEX:
        put(out, 0xc4, 1);
        put(out, r << 7 | (form->memory ? x : 1u) << 6 | b << 5 | form->map, 1);
        put(out, form->w << 7 | vvvv << 3 | form->length << 2 | form->prefix, 1);
        break;
    default:
        put(out, 0x62, 1);
        put(out, r << 7 | x << 6 | b << 5 | r2 << 4 | form->map, 1);
        put(out, form->w << 7 | vvvv << 3 | 4 | form->prefix, 1);
        put(out, form->evex_z << 7 | form->length << 5 | form->evex_b << 4 | v2 << 3 | form->mask,
            1);
        break;
    }
}

static void put_immediates(CaseBytes *out, const Form *form, Random *random)
{
    for (unsigned i = 0; i < 2; i++) {
        if (!form->imm[i]) {
            continue;
        }
        if (form->relative) {
            /* Not into the instruction itself. */
            int offset = random_below(random, 2) ? (int)random_below(random, 128)
                                                 : -16 - (int)random_below(random, 112);

            put(out, (uint64_t)(int64_t)offset, form->imm[i]);
        } else {
            put(out, random_next(random), form->imm[i]);
        }
    }
}

static void assemble(InsnCase *test, const Form *form, const Fields *fields, Random *random)
{
    CaseBytes out = {.b = test->bytes};
    uint8_t buffer[32] = {0};
    unsigned modrm = 0;

    out.b = buffer;
    put_prefixes(&out, form, fields);
    put(&out, form->opcode, 1);
    if (form->moffs) {
        put(&out, DATA_VA + random_below(random, DATA_SIZE), form->mode == TEST_64 ? 8 : 4);
    } else if (form->has_modrm) {
        modrm = out.n;
        put_modrm(&out, form, fields, random);
    }
    put_immediates(&out, form, random);
    if (fields->rip) {
        uint32_t target = DATA_VA + random_below(random, DATA_SIZE);
        uint32_t disp = form->mode == TEST_64 ? target - (uint32_t)(test->rip + out.n) : target;

        memcpy(buffer + modrm + 1, &disp, 4);
    }
    test->len = MIN(out.n, 15u);
    memcpy(test->bytes, buffer, 16);
}

static bool same_form(const InsnCase *test, const Form *form)
{
    if (test->zi.mnemonic != form->mnemonic || test->zi.meta.branch_type != form->branch_type ||
        test->zi.length != test->len) {
        return false;
    }
    for (unsigned i = 0; i < test->zi.operand_count; i++) {
        const ZydisDecodedOperand *op = &test->ops[i];

        if (op->type == ZYDIS_OPERAND_TYPE_REGISTER &&
            op->visibility == ZYDIS_OPERAND_VISIBILITY_EXPLICIT &&
            ZydisRegisterGetClass(op->reg.value) == ZYDIS_REGCLASS_SEGMENT) {
            return false;
        }
    }
    return true;
}

bool case_make_bytes(InsnCase *test, const Form *form, Random *random)
{
    test->form = form;
    test->mode = form->mode;
    if (!test->addressing) {
        test->rip = CODE_VA + 0x800 + random_below(random, 64);
    }
    for (unsigned tries = 0; tries < 64; tries++) {
        Fields fields = pick_fields(form, test->addressing, random);

        if (tries >= 16) { /* opcodes extended by ModRM */
            fields.reg = form->reg;
        }
        if (tries >= 32 && !form->memory) {
            fields.rm = form->rm;
        }
        if (tries >= 48) {
            fields.vvvv = random_below(random, 8);
            fields.index = form->vsib ? 4 + random_below(random, 4) : 4;
        }
        assemble(test, form, &fields, random);
        if (ZYAN_SUCCESS(ZydisDecoderDecodeFull(form_decoder(form->mode), test->bytes, test->len,
                                                &test->zi, test->ops)) &&
            same_form(test, form)) {
            return true;
        }
    }
    return false;
}

/* --- operands ----------------------------------------------------------------------- */

static uint64_t edge64(Random *random)
{
    static const uint64_t edges[] = {
        0,
        1,
        2,
        UINT64_MAX,
        0x7f,
        0x80,
        0xff,
        0x7fff,
        0x8000,
        0xffff,
        0x7fffffff,
        0x80000000,
        0xffffffff,
        0x100000000,
        0x7fffffffffffffff,
        0x8000000000000000,
        0xff00ff00ff00ff00,
        0x8000000080000000,
        0x7fff80007fff8000,
        0x0123456789abcdef,
    };

    return edges[random_below(random, G_N_ELEMENTS(edges))];
}

static uint64_t random_integer(Random *random)
{
    switch (random_below(random, 4)) {
    case 0:
        return edge64(random);
    case 1:
        return random_below(random, 256);
    default:
        return random_next(random);
    }
}

static uint32_t edge_float(Random *random)
{
    static const uint32_t edges[] = {
        0,          0x80000000, 0x3f800000, 0xbf800000, 0x7f800000, 0xff800000,
        0x7fc00000, 0x7f800001, 0xffbfffff, 0x00000001, 0x807fffff, 0x00800000,
        0x7f7fffff, 0xff7fffff, 0x4f000000, 0xcf000000, 0x3f000000, 0x3effffff,
        0x4b7fffff, 0x5f000000, 0x34000000, 0x1f800000,
    };

    if (random_below(random, 3) == 0) { /* of middling size, so that sums are interesting */
        return (random_next(random) & 0x80ffffff) | 0x3f000000;
    }
    return edges[random_below(random, G_N_ELEMENTS(edges))];
}

static uint64_t edge_double(Random *random)
{
    static const uint64_t edges[] = {
        0,
        1ull << 63,
        0x3ff0000000000000,
        0xbff0000000000000,
        0x7ff0000000000000,
        0xfff0000000000000,
        0x7ff8000000000000,
        0x7ff0000000000001,
        0xfff7ffffffffffff,
        1,
        0x800fffffffffffff,
        0x0010000000000000,
        0x7fefffffffffffff,
        0xffefffffffffffff,
        0x41e0000000000000,
        0xc1e0000000200000,
        0x43e0000000000000,
        0xc3e0000000000000,
        0x3fe0000000000000,
        0x3690000000000000,
        0x47efffffe0000000,
        0x380fffffffffffff,
    };

    if (random_below(random, 3) == 0) {
        return (random_next(random) & 0x801fffffffffffff) | 0x3fe0000000000000;
    }
    return edges[random_below(random, G_N_ELEMENTS(edges))];
}

static void fill_vector(uint8_t *bytes, unsigned size, Random *random)
{
    unsigned kind = random_below(random, 5);

    for (unsigned i = 0; i < size; i += 8) {
        uint64_t value;

        switch (kind) {
        case 0:
            value = random_next(random);
            break;
        case 1:
            value = edge64(random);
            break;
        case 2:
            value = edge_float(random) | (uint64_t)edge_float(random) << 32;
            break;
        case 3:
            value = edge_double(random);
            break;
        default:
            value = random_below(random, 2) ? random_next(random) & 0xff00ff00ff00ff
                                            : random_integer(random);
            break;
        }
        memcpy(bytes + i, &value, 8);
    }
}

/* Finite, special and malformed 80-bit values. */
static void fill_x87(X87Slot *slot, Random *random)
{
    static const struct {
        uint16_t exponent;
        uint64_t mantissa;
    } edges[] = {
        {0, 0},
        {0x8000, 0},
        {0x3fff, 1ull << 63},
        {0xbfff, 1ull << 63},
        {0x7fff, 1ull << 63},
        {0xffff, 1ull << 63},
        {0x7fff, 3ull << 62},
        {0x7fff, 0xa000000000000000},
        {0, 1},
        {0, 1ull << 63},
        {0x7fff, 0},
        {0x3fff, 0},
        {0x7ffe, UINT64_MAX},
        {1, 1ull << 63},
        {0x403e, 1ull << 63},
        {0x401e, 0xffffffff00000000},
        {0x3ffe, 1ull << 63},
        {0x4000, 0xc90fdaa22168c235},
        {0x400e, 0xfffe000000000000},
        {0x7fff, 1},
    };
    uint16_t exponent;
    uint64_t mantissa;

    memset(slot, 0, sizeof(*slot));
    switch (random_below(random, 4)) {
    case 0: {
        unsigned i = random_below(random, G_N_ELEMENTS(edges));

        exponent = edges[i].exponent;
        mantissa = edges[i].mantissa;
        break;
    }
    case 1:
        exponent = random_next(random);
        mantissa = random_next(random) | 1ull << 63;
        break;
    default:
        exponent = 0x3fff - 20 + random_below(random, 40);
        exponent |= random_below(random, 2) << 15;
        mantissa = random_next(random) | 1ull << 63;
        if (random_below(random, 2)) {
            mantissa &= UINT64_MAX << random_below(random, 63);
            mantissa |= 1ull << 63;
        }
        break;
    }
    memcpy(slot->bytes, &mantissa, 8);
    memcpy(slot->bytes + 8, &exponent, 2);
}

static void make_x87(InsnState *state, Random *random)
{
    state->fcw = random_below(random, 2) ? 0x37f : 0x40 | (random_next(random) & 0x0f3f);
    if (random_below(random, 4)) {
        state->fcw |= 0x3f;
    }
    state->fsw = random_next(random) & 0x7f00;
    if (random_below(random, 4) == 0) {
        state->fsw = random_next(random) & 0x7f7f;
    }
    if (state->fsw & ~state->fcw & 0x3f) {
        if (random_below(random, 8)) {
            state->fsw &= ~0x7fu;
        } else {
            state->fsw |= 0x8080; /* an exception is pending */
        }
    }
    state->ftw = random_below(random, 2) ? 0xff : random_next(random);
    state->fop = random_next(random) & 0x7ff;
    state->fip = CODE_VA + random_below(random, 4096);
    state->fdp = DATA_VA + random_below(random, 4096);
    for (unsigned i = 0; i < 8; i++) {
        fill_x87(&state->st[i], random);
    }
}

static void make_mxcsr(InsnState *state, Random *random)
{
    state->mxcsr = 0x1f80;
    switch (random_below(random, 4)) {
    case 0: /* rounding, DAZ, FTZ and old flags */
        state->mxcsr |= random_next(random) & 0xe07f;
        break;
    case 1: /* something is unmasked */
        state->mxcsr = random_next(random) & 0xffff;
        break;
    default:
        break;
    }
}

/* Memory contents come from a pool; x87 instructions have one with 80-bit values in it. */
enum { POOL_SIZE = 65536 };

static void make_pool(uint8_t *pool, bool x87, Random *random)
{
    for (unsigned i = 0; i < POOL_SIZE; i += 64) {
        fill_vector(pool + i, 64, random);
    }
    for (unsigned i = 0; x87 && i < POOL_SIZE; i += 16) {
        X87Slot slot;

        fill_x87(&slot, random);
        memcpy(pool + i, slot.bytes, 10);
    }
}

static void fill_data(InsnCase *test, Random *random)
{
    static uint8_t pools[2][POOL_SIZE];
    static bool made;
    bool x87 = test->zi.meta.isa_set == ZYDIS_ISA_SET_X87;
    unsigned from = random_below(random, (POOL_SIZE - DATA_SIZE) / 16) * 16;

    if (!made) {
        Random fixed = {1}; /* the same whichever form comes first */

        make_pool(pools[0], false, &fixed);
        make_pool(pools[1], true, &fixed);
        made = true;
    }
    memcpy(test->state.data, pools[x87] + from, DATA_SIZE);
}

/* Offsets into data: mostly aligned, sometimes not, sometimes across pages or out of bounds. */
static uint64_t data_pointer(Random *random)
{
    uint64_t middle = DATA_VA + 512 + random_below(random, (DATA_SIZE - 1024) / 64) * 64;

    switch (random_below(random, 16)) {
    case 0:
        return DATA_VA + DATA_SIZE - random_below(random, 32);
    case 1:
        return DATA_VA + random_below(random, 300);
    case 2:
        return DATA_VA + 0x1000 - random_below(random, 64);
    case 3:
    case 4:
        return middle + random_below(random, 64);
    default:
        return middle;
    }
}

/* A displacement may spoil alignment; half of the cases take it back out of the base register. */
static void align_base(InsnCase *test, Random *random)
{
    for (unsigned i = 0; i < test->zi.operand_count_visible; i++) {
        const ZydisDecodedOperand *op = &test->ops[i];

        if (op->type == ZYDIS_OPERAND_TYPE_MEMORY && test->form->memory &&
            random_below(random, 4)) {
            unsigned base = ZydisRegisterGetId(op->mem.base);

            test->state.gpr[base] -= op->mem.disp.value & 63;
        }
    }
}

static bool is_vector(ZydisRegister reg)
{
    ZydisRegisterClass class = ZydisRegisterGetClass(reg);

    return class == ZYDIS_REGCLASS_XMM || class == ZYDIS_REGCLASS_YMM ||
           class == ZYDIS_REGCLASS_ZMM;
}

/* Random indices would touch memory anywhere; keep them near, of both signs. */
static void tame_indices(InsnCase *test, Random *random)
{
    const char *name = ZydisMnemonicGetString(test->zi.mnemonic);
    unsigned size = strstr(name, "gatherq") || strstr(name, "scatterq") ? 8 : 4;

    for (unsigned i = 0; i < test->zi.operand_count_visible; i++) {
        const ZydisDecodedOperand *op = &test->ops[i];

        if (op->type != ZYDIS_OPERAND_TYPE_MEMORY || !is_vector(op->mem.index)) {
            continue;
        }
        for (unsigned at = 0; at < 64; at += size) {
            int64_t value = (int)random_below(random, 256) - 128;

            memcpy(&test->state.vec[ZydisRegisterGetId(op->mem.index)][at], &value, size);
        }
    }
}

static bool is_bit_test(ZydisMnemonic mnemonic)
{
    return mnemonic == ZYDIS_MNEMONIC_BT || mnemonic == ZYDIS_MNEMONIC_BTS ||
           mnemonic == ZYDIS_MNEMONIC_BTR || mnemonic == ZYDIS_MNEMONIC_BTC;
}

static void make_gprs(InsnCase *test, Random *random)
{
    InsnState *state = &test->state;
    bool rep = test->zi.attributes &
               (ZYDIS_ATTRIB_HAS_REP | ZYDIS_ATTRIB_HAS_REPE | ZYDIS_ATTRIB_HAS_REPNE);

    for (unsigned i = 0; i < 16; i++) {
        state->gpr[i] = random_integer(random);
        if (is_bit_test(test->zi.mnemonic) && test->form->memory) {
            state->gpr[i] = random_below(random, 4096) - 2048ull;
        }
    }
    for (unsigned i = 0; i < 4; i++) {
        state->gpr[address_registers[i]] = data_pointer(random);
    }
    state->gpr[4] = DATA_VA + 256 + random_below(random, (DATA_SIZE - 512) / 8) * 8;
    if (rep) {
        state->gpr[1] = random_below(random, 40);
    }
    if (test->mode == TEST_32) {
        for (unsigned i = 0; i < 16; i++) {
            state->gpr[i] = (uint32_t)state->gpr[i];
        }
    }
}

static bool is_xsave(const InsnCase *test)
{
    ZydisISASet set = test->zi.meta.isa_set;

    return set == ZYDIS_ISA_SET_XSAVE || set == ZYDIS_ISA_SET_XSAVEC ||
           set == ZYDIS_ISA_SET_XSAVEOPT;
}

/* An aligned area, components that the host's kernel and the guest have both enabled, a good
 * header. */
static void make_xsave(InsnCase *test, Random *random)
{
    const uint64_t components = 0xe7;
    ZydisRegister base = test->ops[0].mem.base;
    InsnState *state = &test->state;
    uint64_t header[8] = {0};
    uint32_t area = DATA_VA + random_below(random, 64) * 64;
    uint32_t mxcsr = random_next(random) & (random_below(random, 8) ? 0xffff : 0x1ffff);
    uint8_t *at = state->data + (area - DATA_VA);

    state->gpr[0] = random_next(random) & components;
    state->gpr[2] = 0;
    if (base != ZYDIS_REGISTER_RIP) {
        uint64_t pointer = area - test->ops[0].mem.disp.value;

        state->gpr[ZydisRegisterGetId(base)] =
            test->mode == TEST_32 ? (uint32_t)pointer : pointer;
    }
    header[0] = random_next(random) & components;
    if (random_below(random, 2)) {
        header[1] = 1ull << 63 | header[0] | (random_next(random) & components);
    }
    if (random_below(random, 8) == 0) {
        header[random_below(random, 8)] = random_next(random);
    }
    memcpy(at + 24, &mxcsr, 4);
    memcpy(at + 512, header, sizeof(header));
}

void case_make_state(InsnCase *test, Random *random)
{
    InsnState *state = &test->state;

    memset(state, 0, sizeof(*state));
    state->rip = test->rip;
    state->eflags = 0x202 | (random_next(random) & 0xcd5);
    if (random_below(random, 2)) {
        state->eflags &= ~0x400u;
    }
    make_x87(state, random);
    make_mxcsr(state, random);
    for (unsigned i = 0; i < 32; i++) {
        fill_vector(state->vec[i], 64, random);
    }
    for (unsigned i = 0; i < 8; i++) {
        state->opmask[i] = random_below(random, 3) ? random_next(random) : edge64(random);
    }
    fill_data(test, random);
    make_gprs(test, random);
    if (!test->addressing) {
        align_base(test, random);
    }
    if (test->form->vsib) {
        tame_indices(test, random);
    }
    if (is_xsave(test)) {
        make_xsave(test, random);
    }
    state->vector = -1;
}
