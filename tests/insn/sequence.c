/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Random sequences of instructions: mostly with operands that are there, sometimes not, with
 * branches over some of them, calls, and a loop. An instruction that would read a flag which is
 * undefined by then is not taken.
 */
#include "tests/insn/sequence.h"

#include <stdio.h>
#include <string.h>

typedef enum { BUCKET_INTEGER, BUCKET_BRANCH, BUCKET_SSE, BUCKET_AVX, BUCKET_AVX512, BUCKET_X87,
               BUCKETS } Bucket;

static GPtrArray *buckets[BUCKETS];

/* --- which forms ------------------------------------------------------------------------- */

static bool form_fits(const Form *form)
{
    const char *name = ZydisMnemonicGetString(form->mnemonic);

    return !form->vsib && (!form->moffs || form->mode == TEST_32) &&
           !g_str_has_prefix(name, "xsave") && !g_str_has_prefix(name, "xrstor") &&
           !g_str_has_prefix(name, "fxrstor");
}

static Bucket form_bucket(const Form *form)
{
    const char *key = form->key;

    if (form->branch_type || g_str_has_prefix(key, "push") || g_str_has_prefix(key, "pop ") ||
        g_str_has_prefix(key, "leave") || g_str_has_prefix(key, "lea")) {
        return BUCKET_BRANCH;
    }
    if (form->encoding == ENC_EVEX || strstr(key, " k64") || strstr(key, " k32") ||
        strstr(key, " k16") || strstr(key, " k8")) {
        return BUCKET_AVX512;
    }
    if (strstr(key, " st80") || strstr(key, " mm64") || key[0] == 'f') {
        return BUCKET_X87;
    }
    if (strstr(key, " x") || strstr(key, " y")) {
        return form->encoding == ENC_VEX ? BUCKET_AVX : BUCKET_SSE;
    }
    return BUCKET_INTEGER;
}

void sequence_init(GPtrArray *forms)
{
    for (unsigned i = 0; i < BUCKETS; i++) {
        buckets[i] = g_ptr_array_new();
    }
    for (unsigned i = 0; i < forms->len; i++) {
        Form *form = g_ptr_array_index(forms, i);

        if (form_fits(form)) {
            g_ptr_array_add(buckets[form_bucket(form)], form);
        }
    }
}

static const Form *pick_from(const Bucket *weights, unsigned count, Random *random)
{
    GPtrArray *bucket = buckets[weights[random_below(random, count)]];

    return g_ptr_array_index(bucket, random_below(random, bucket->len));
}

static const Form *pick_form(Random *random)
{
    static const Bucket weights[20] = {
        BUCKET_INTEGER, BUCKET_INTEGER, BUCKET_INTEGER, BUCKET_INTEGER, BUCKET_INTEGER,
        BUCKET_INTEGER, BUCKET_INTEGER, BUCKET_INTEGER, BUCKET_INTEGER, BUCKET_INTEGER,
        BUCKET_BRANCH,  BUCKET_BRANCH,  BUCKET_BRANCH,  BUCKET_BRANCH,  BUCKET_SSE,
        BUCKET_SSE,     BUCKET_AVX,     BUCKET_AVX,     BUCKET_AVX512,  BUCKET_X87,
    };

    return pick_from(weights, G_N_ELEMENTS(weights), random);
}

/* --- what an instruction does ------------------------------------------------------------- */

static int gpr_of(const ZydisDecodedOperand *op)
{
    ZydisRegister wide;

    if (op->type != ZYDIS_OPERAND_TYPE_REGISTER || op->reg.value < ZYDIS_REGISTER_AL ||
        op->reg.value > ZYDIS_REGISTER_R15) {
        return -1;
    }
    wide = ZydisRegisterGetLargestEnclosing(ZYDIS_MACHINE_MODE_LONG_64, op->reg.value);
    return ZydisRegisterGetId(wide);
}

/* True if it writes the register that counts the loop. */
static bool writes_counter(const Sequence *seq, const SequenceInsn *insn)
{
    for (unsigned i = 0; i < insn->zi.operand_count; i++) {
        if (gpr_of(&insn->ops[i]) == seq->loop_register &&
            (insn->ops[i].actions & ZYDIS_OPERAND_ACTION_MASK_WRITE)) {
            return true;
        }
    }
    return false;
}

/* True if it changes a register that addresses memory, or counts the loop. */
static bool writes_reserved(const Sequence *seq, const SequenceInsn *insn)
{
    for (unsigned i = 0; i < insn->zi.operand_count; i++) {
        const ZydisDecodedOperand *op = &insn->ops[i];
        int reg = gpr_of(op);

        if (reg < 0 || !(op->actions & ZYDIS_OPERAND_ACTION_MASK_WRITE)) {
            continue;
        }
        if (seq->loop_open && reg == seq->loop_register) {
            return true;
        }
        if (reg == 4 && op->visibility != ZYDIS_OPERAND_VISIBILITY_EXPLICIT) {
            continue;
        }
        if (memchr(seq->addressing.bases, reg, sizeof(seq->addressing.bases))) {
            return true;
        }
    }
    return false;
}

static bool is_shift(const ZydisDecodedInstruction *zi)
{
    return zi->meta.category == ZYDIS_CATEGORY_SHIFT || zi->meta.category == ZYDIS_CATEGORY_ROTATE;
}

/* Flags undefined behind @insn; what may be jumped over, or shifts by 0, defines none. */
static uint32_t undefined_behind(const SequenceInsn *insn, uint32_t before, bool skipped)
{
    const ZydisAccessedFlags *f = insn->zi.cpu_flags;
    uint32_t defined;

    if (!f) {
        return before;
    }
    defined = f->modified | f->set_0 | f->set_1;
    if (skipped || is_shift(&insn->zi) || (insn->zi.attributes & (ZYDIS_ATTRIB_HAS_REPE |
                                                                  ZYDIS_ATTRIB_HAS_REPNE))) {
        defined = 0;
    }
    return (before & ~defined) | f->undefined;
}

/* --- putting together --------------------------------------------------------------------- */

static unsigned code_length(const Sequence *seq)
{
    const SequenceInsn *last = seq->count ? &seq->insns[seq->count - 1] : NULL;

    return last ? last->offset + last->len : 0;
}

static bool decode_at(const Sequence *seq, SequenceInsn *insn, const uint8_t *bytes, unsigned len)
{
    return ZYAN_SUCCESS(
        ZydisDecoderDecodeFull(form_decoder(seq->test.mode), bytes, len, &insn->zi, insn->ops));
}

static void append(Sequence *seq, const uint8_t *bytes, unsigned len, unsigned relative)
{
    unsigned offset = code_length(seq);
    SequenceInsn *insn = &seq->insns[seq->count++];

    insn->offset = offset;
    insn->len = len;
    insn->relative = relative;
    insn->patches = false;
    memcpy(seq->test.bytes + offset, bytes, len);
    if (!decode_at(seq, insn, bytes, len)) {
        g_error("a made instruction does not decode");
    }
}

static bool uses_segment(const SequenceInsn *insn)
{
    return insn->zi.attributes & (ZYDIS_ATTRIB_HAS_SEGMENT_FS | ZYDIS_ATTRIB_HAS_SEGMENT_GS);
}

/* One more of @form; false if none that fits was found. */
static bool append_form(Sequence *seq, const Form *form, Random *random)
{
    InsnCase one = {.addressing = &seq->addressing};
    SequenceInsn insn;

    for (unsigned tries = 0; tries < 8; tries++) {
        uint32_t tested;

        one.rip = seq->test.rip + code_length(seq);
        if (!case_make_bytes(&one, form, random)) {
            return false;
        }
        insn.zi = one.zi;
        memcpy(insn.ops, one.ops, sizeof(insn.ops));
        tested = insn.zi.cpu_flags ? insn.zi.cpu_flags->tested : 0;
        if ((tested & seq->undefined[seq->count]) ||
            (writes_reserved(seq, &insn) && random_below(random, 24)) ||
            (seq->short_loop && writes_counter(seq, &insn))) {
            continue;
        }
        append(seq, one.bytes, one.len, form->relative ? form->imm[0] : 0);
        return true;
    }
    return false;
}

/* The same in 32-bit code, which must say where it lies. */
static void append_computed_jump32(Sequence *seq, Random *random)
{
    static const uint8_t mov_eax[] = {0xb8, 0, 0, 0, 0};
    static const uint8_t tails[][2] = {
        {0xff, 0xe0}, /* jmp eax */
        {0xff, 0xd0}, /* call eax */
        {0x50, 0xc3}, /* push eax; ret */
    };
    const uint8_t *tail = tails[random_below(random, G_N_ELEMENTS(tails))];

    append(seq, mov_eax, sizeof(mov_eax), 4);
    if (tail[1] == 0xc3) {
        append(seq, tail, 1, 0);
        append(seq, tail + 1, 1, 0);
    } else {
        append(seq, tail, 2, 0);
    }
}

/* Where a register named in a jump of its own leads: a label a few instructions on. */
static void append_computed_jump(Sequence *seq, Random *random)
{
    static const uint8_t lea_rax[] = {0x48, 0x8d, 0x05, 0, 0, 0, 0};
    static const uint8_t lea_r10[] = {0x4c, 0x8d, 0x15, 0, 0, 0, 0};
    static const struct {
        bool r10;
        uint8_t len, bytes[4];
    } tails[] = {
        {false, 2, {0xff, 0xe0}},       /* jmp rax */
        {true, 3, {0x41, 0xff, 0xe2}},  /* jmp r10 */
        {false, 2, {0xff, 0xd0}},       /* call rax */
        {true, 3, {0x41, 0xff, 0xd2}},  /* call r10 */
        {false, 2, {0x50, 0xc3}},       /* push rax; ret */
        {true, 3, {0x41, 0x52, 0xc3}},  /* push r10; ret */
    };
    unsigned i = random_below(random, G_N_ELEMENTS(tails));

    if (seq->test.mode == TEST_32) {
        append_computed_jump32(seq, random);
        return;
    }

    append(seq, tails[i].r10 ? lea_r10 : lea_rax, 7, 4);
    if (tails[i].bytes[tails[i].len - 1] == 0xc3) {
        append(seq, tails[i].bytes, tails[i].len - 1, 0);
        append(seq, tails[i].bytes + tails[i].len - 1, 1, 0);
    } else {
        append(seq, tails[i].bytes, tails[i].len, 0);
    }
}

/* sub or add rsp, imm8; lea rsp, [rsp + imm8]; push and pop of R8 to R11, or EAX to EBX */
static void append_stack(Sequence *seq, Random *random)
{
    uint8_t imm = (random_below(random, 16) - 8) * 8;
    const uint8_t sub[] = {0x48, 0x83, random_below(random, 2) ? 0xec : 0xc4, imm};
    const uint8_t lea[] = {0x48, 0x8d, 0x64, 0x24, imm};
    const uint8_t push[] = {0x41, 0x50 | random_below(random, 4)};
    const uint8_t pop[] = {0x41, 0x5a | random_below(random, 2)};
    unsigned rex = seq->test.mode == TEST_64; /* else the same without */

    switch (random_below(random, 4)) {
    case 0: append(seq, sub + !rex, sizeof(sub) - !rex, 0); break;
    case 1: append(seq, lea + !rex, sizeof(lea) - !rex, 0); break;
    case 2: append(seq, push + !rex, sizeof(push) - !rex, 0); break;
    default: append(seq, pop + !rex, sizeof(pop) - !rex, 0); break;
    }
}

/*
 * add byte or dword [rip], imm8 (in 32-bit code: [address]), with LOCK sometimes; set_patches()
 * says to what.
 */
static void append_patch(Sequence *seq, Random *random)
{
    bool locked = random_below(random, 4) == 0, wide = random_below(random, 3) == 0;
    const uint8_t add[] = {0xf0, wide ? 0x83 : 0x80, 0x05, 0, 0, 0, 0, random_below(random, 128)};

    append(seq, add + !locked, sizeof(add) - !locked, 0);
    seq->insns[seq->count - 1].patches = true;
}

static void open_loop(Sequence *seq, Random *random)
{
    /* mov r15d, 2 to 9; in 32-bit code EBP */
    bool narrow = seq->test.mode == TEST_32;
    const uint8_t mov[] = {0x41, narrow ? 0xbd : 0xbf, 2 + random_below(random, 8), 0, 0, 0};

    seq->loop_open = true;
    seq->loop_register = narrow ? 5 : 15;
    append(seq, mov + narrow, sizeof(mov) - narrow, 0);
}

/* dec r15 or ebp; jnz start: unless that would carry undefined flags to the start */
static void close_loop(Sequence *seq, unsigned start)
{
    static const uint8_t dec[] = {0x49, 0xff, 0xcf}, dec32[] = {0x4d};
    uint8_t jnz[] = {0x0f, 0x85, 0, 0, 0, 0};
    int32_t back;

    seq->loop_open = false;
    if (seq->undefined[seq->count] & ~seq->undefined[start] & ZYDIS_CPUFLAG_CF) {
        return;
    }
    if (seq->test.mode == TEST_64) {
        append(seq, dec, sizeof(dec), 0);
    } else {
        append(seq, dec32, sizeof(dec32), 0);
    }
    back = seq->insns[start].offset - (int32_t)(code_length(seq) + sizeof(jnz));
    memcpy(jnz + 2, &back, 4);
    append(seq, jnz, sizeof(jnz), 0);
}

/* Forward branches: over up to three instructions, or to the next. */
static void set_branches(Sequence *seq, Random *random)
{
    for (unsigned i = 0; i < seq->count; i++) {
        SequenceInsn *insn = &seq->insns[i];
        unsigned target = i + 1 + random_below(random, 4), next = insn->offset + insn->len;
        int32_t distance;

        if (!insn->relative) {
            continue;
        }
        if (!insn->zi.meta.branch_type) { /* behind the jump that follows it */
            target = i + 3 + random_below(random, 2);
        }
        distance = target >= seq->count ? (int)(code_length(seq) - next)
                                        : seq->insns[target].offset - (int)next;
        if (insn->zi.mnemonic == ZYDIS_MNEMONIC_MOV) {
            distance += (int32_t)seq->test.rip + (int32_t)next;
        }
        if (insn->relative == 1 && distance > 127) {
            distance = 0;
        }
        memcpy(seq->test.bytes + next - insn->relative, &distance, insn->relative);
        decode_at(seq, insn, seq->test.bytes + insn->offset, insn->len);
    }
}

/* Immediates that change no more than a result: flags stay as undefined as they were. */
static bool may_be_patched(const SequenceInsn *insn)
{
    return insn->zi.raw.imm[0].size && !insn->zi.raw.imm[0].is_relative && !insn->patches &&
           !insn->relative && !is_shift(&insn->zi) && !insn->zi.meta.branch_type;
}

/* Patches change immediates of others, or add 0 to any bytes. */
static void set_patches(Sequence *seq, Random *random)
{
    for (unsigned i = 0; i < seq->count; i++) {
        SequenceInsn *insn = &seq->insns[i];
        const SequenceInsn *to = &seq->insns[random_below(random, seq->count)];
        uint8_t *end = seq->test.bytes + insn->offset + insn->len;
        int32_t at = to->offset + to->zi.raw.imm[0].offset;

        if (!insn->patches) {
            continue;
        }
        if (!may_be_patched(to) || to->zi.raw.imm[0].size < insn->zi.operand_width) {
            at = to->offset + random_below(random, to->len);
            end[-1] = 0;
        }
        at += seq->test.mode == TEST_32 ? (int32_t)seq->test.rip : -(insn->offset + insn->len);
        memcpy(end - 5, &at, 4);
        decode_at(seq, insn, seq->test.bytes + insn->offset, insn->len);
    }
}

/* Undefined flags are known when it is known what may be jumped over: any of the next four. */
static void note_undefined(Sequence *seq, unsigned from)
{
    for (unsigned i = from; i < seq->count; i++) {
        bool skipped = false;

        for (unsigned j = i >= 6 ? i - 6 : 0; j < i; j++) {
            skipped |= seq->insns[j].relative || seq->insns[j].zi.meta.branch_type;
        }
        seq->undefined[i + 1] = undefined_behind(&seq->insns[i], seq->undefined[i], skipped);
    }
}

/* mov r15d, up to 40 */
static void open_short_loop(Sequence *seq, Random *random)
{
    const uint8_t mov[] = {0x41, 0xbf, 1 + random_below(random, 40), 0, 0, 0};

    seq->loop_open = seq->short_loop = true;
    seq->loop_register = 15;
    append(seq, mov, sizeof(mov), 0);
}

/* sub r15, 1; jnz the second instruction */
static void close_short_loop(Sequence *seq)
{
    static const uint8_t sub[] = {0x49, 0x83, 0xef, 1};
    uint8_t jnz[] = {0x0f, 0x85, 0, 0, 0, 0};
    int32_t back;

    append(seq, sub, sizeof(sub), 0);
    back = seq->insns[1].offset - (int32_t)(code_length(seq) + sizeof(jnz));
    memcpy(jnz + 2, &back, 4);
    append(seq, jnz, sizeof(jnz), 0);
}

/* add register, imm8, of what addresses memory: r8 to r11 more often */
static void append_step(Sequence *seq, Random *random)
{
    const CaseAddressing *how = &seq->addressing; /* whose first two are the stack pointer */
    unsigned reg = how->bases[2 + random_below(random, sizeof(how->bases) - 2)];
    const uint8_t add[] = {0x48 | reg >> 3, 0x83, 0xc0 | (reg & 7), random_below(random, 40) - 8};

    append(seq, add, sizeof(add), 0);
}

/* mov or add r8 to r11 and any other register but the loop's and RSP */
static void append_high(Sequence *seq, Random *random)
{
    unsigned high = random_below(random, 4), other = random_below(random, 15);
    bool to_high = random_below(random, 2);
    uint8_t opcode = random_below(random, 3) ? 0x89 : 0x01;
    uint8_t modrm;

    other += other == 4;
    modrm = to_high ? (other & 7) << 3 | high : high << 3 | (other & 7);
    if (other == 15 || memchr(seq->addressing.bases, to_high ? 8 + high : other,
                              sizeof(seq->addressing.bases))) {
        return;
    }
    append(seq, (const uint8_t[]){0x48 | (to_high ? 1 | other >> 3 << 2 : 4 | other >> 3), opcode,
                                  0xc0 | modrm}, 3, 0);
}

static void choose_addressing(Sequence *seq, Random *random)
{
    static const uint8_t choices[] = {0, 1, 2, 3, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14};
    static const uint8_t choices32[] = {0, 1, 2, 3, 6, 7};
    bool narrow = seq->test.mode == TEST_32;
    const uint8_t *from = narrow ? choices32 : choices;
    unsigned count = narrow ? G_N_ELEMENTS(choices32) : G_N_ELEMENTS(choices);
    CaseAddressing *how = &seq->addressing;

    how->bases[0] = 4; /* the stack pointer, twice as often */
    how->bases[1] = 4;
    for (unsigned i = 2; i < sizeof(how->bases); i++) {
        how->bases[i] = from[random_below(random, count)];
    }
    do {
        how->indices[0] = from[random_below(random, count)];
    } while (memchr(how->bases, how->indices[0], sizeof(how->bases)));
    how->indices[1] = how->indices[0];
    how->segments = random_below(random, 8) == 0;
}

/* Pointers: mostly well inside, sometimes near the end of a page or of everything. */
static uint64_t pick_pointer(Random *random)
{
    switch (random_below(random, 12)) {
    case 0:
        return DATA_VA + random_below(random, DATA_SIZE);
    case 1:
        return DATA_VA + DATA_SIZE - random_below(random, 300);
    case 2:
    case 3:
        return DATA_VA + 0x1000 - random_below(random, 128);
    case 4:
        return DATA_VA + 0x1000 + random_below(random, 64) * 8 - 256;
    default:
        return DATA_VA + 0x400 + random_below(random, 0x60) * 64;
    }
}

/* @first: the instruction that the state is to suit best. */
static void make_state(Sequence *seq, const SequenceInsn *first, Random *random)
{
    InsnCase *test = &seq->test;
    InsnState *state = &test->state;

    test->zi = first->zi;
    memcpy(test->ops, first->ops, sizeof(test->ops));
    case_make_state(test, random);
    for (unsigned i = 0; i < sizeof(seq->addressing.bases); i++) {
        state->gpr[seq->addressing.bases[i]] = pick_pointer(random);
    }
    if (random_below(random, 4)) {
        state->gpr[4] &= ~7ull;
    }
    state->gpr[seq->addressing.indices[0]] = random_below(random, 64) - 32ull;
    if (random_below(random, 4)) {
        state->mxcsr |= 0x1f80; /* else the translator has little to do */
    }
    state->eflags &= ~0x400u;
}

void sequence_make_loop(Sequence *seq, Random *random)
{
    static const Bucket weights[] = {
        BUCKET_INTEGER, BUCKET_INTEGER, BUCKET_INTEGER, BUCKET_INTEGER, BUCKET_INTEGER,
        BUCKET_INTEGER, BUCKET_INTEGER, BUCKET_SSE,     BUCKET_AVX,     BUCKET_AVX512,
    };
    unsigned length = 1 + random_below(random, 9);

    memset(seq, 0, sizeof(*seq));
    seq->test.form = pick_from(weights, 1, random);
    seq->test.mode = TEST_64;
    choose_addressing(seq, random);
    seq->test.addressing = &seq->addressing;
    seq->test.rip = CODE_VA + 0x800;
    open_short_loop(seq, random);
    for (unsigned i = 0; i < length; i++) {
        unsigned from = seq->count;

        switch (random_below(random, 4)) {
        case 0: append_step(seq, random); break;
        case 1: append_high(seq, random); break;
        default: append_form(seq, pick_from(weights, G_N_ELEMENTS(weights), random), random);
        }
        note_undefined(seq, from);
    }
    close_short_loop(seq);
    note_undefined(seq, 0);
    seq->native = true;
    for (unsigned i = 0; i < seq->count; i++) {
        seq->native &= !uses_segment(&seq->insns[i]);
    }
    seq->test.len = code_length(seq);
    make_state(seq, &seq->insns[1], random);
}

/* --- flags that nobody may read ------------------------------------------------------------- */

/* The number of the instruction at @offset, seq->count for the end. */
static unsigned insn_at(const Sequence *seq, int64_t offset)
{
    unsigned i = 0;

    while (i < seq->count && seq->insns[i].offset != offset) {
        i++;
    }
    return i;
}

/* The instruction at the label that @insn names: a branch, or what loads its address; -1: none. */
static int label_of(const Sequence *seq, const SequenceInsn *insn)
{
    int64_t next = insn->offset + insn->len;
    int32_t distance;

    if (insn->zi.raw.imm[0].is_relative) {
        return insn_at(seq, next + insn->ops[0].imm.value.s);
    }
    if (insn->relative != 4) {
        return -1;
    }
    memcpy(&distance, seq->test.bytes + next - 4, 4);
    return insn_at(seq, insn->zi.mnemonic == ZYDIS_MNEMONIC_MOV
                            ? distance - (int64_t)seq->test.rip
                            : next + distance);
}

static bool is_computed(const SequenceInsn *insn)
{
    return insn->zi.meta.branch_type && !insn->zi.raw.imm[0].is_relative;
}

/* Adds flags to those that are undefined before instruction @to; true if there are more now. */
static bool add_undefined(uint32_t *before, unsigned to, uint32_t flags)
{
    uint32_t old = before[to];

    before[to] |= flags;
    return before[to] != old;
}

/*
 * @flags reach what @insn may lead to: from a computed branch or a return, that is any label whose
 * address is taken, and what follows any call.
 */
static bool spread(const Sequence *seq, const SequenceInsn *insn, uint32_t flags, uint32_t *before)
{
    int label = label_of(seq, insn);
    bool more = add_undefined(before, insn - seq->insns + 1, flags);

    if (label >= 0) {
        more |= add_undefined(before, label, flags);
    }
    for (unsigned i = 0; is_computed(insn) && i < seq->count; i++) {
        const SequenceInsn *other = &seq->insns[i];

        if (!other->zi.meta.branch_type && other->relative) {
            more |= add_undefined(before, label_of(seq, other), flags);
        } else if (other->zi.meta.category == ZYDIS_CATEGORY_CALL) {
            more |= add_undefined(before, i + 1, flags);
        }
    }
    return more;
}

/*
 * Follows all ways through the sequence for seq->undefined, which knew of no branches while
 * instructions were chosen by it. False if an instruction reads a flag that is undefined there:
 * what it does is then the host's affair.
 */
static bool follow_undefined(Sequence *seq)
{
    bool more = true;

    while (more) {
        more = false;
        for (unsigned i = 0; i < seq->count; i++) {
            const SequenceInsn *insn = &seq->insns[i];

            if (insn->zi.cpu_flags && (insn->zi.cpu_flags->tested & seq->undefined[i])) {
                return false;
            }
            more |= spread(seq, insn, undefined_behind(insn, seq->undefined[i], false),
                           seq->undefined);
        }
    }
    return true;
}

static void make_any(Sequence *seq, const Form *wanted, unsigned length, bool patched,
                     Random *random)
{
    unsigned at = random_below(random, length), loop = UINT_MAX, suits = 0;

    memset(seq, 0, sizeof(*seq));
    seq->test.form = wanted ? wanted : pick_form(random);
    seq->test.mode = seq->test.form->mode;
    choose_addressing(seq, random);
    seq->test.addressing = &seq->addressing;
    seq->test.rip = CODE_VA + 0x800 + random_below(random, 64);
    if (random_below(random, 4) == 0) {
        seq->test.rip = CODE_VA + 0x1000 - random_below(random, 64);
    }
    for (unsigned i = 0; i < length && seq->count < SEQUENCE_MAX - 5; i++) {
        unsigned from = seq->count, kind = random_below(random, 24);

        if (i == at && wanted) {
            if (append_form(seq, wanted, random) && wanted->vsib) {
                suits = from;
            }
        } else if (kind == 0) {
            append_computed_jump(seq, random);
        } else if (kind <= 2) {
            append_stack(seq, random);
        } else if (kind == 3 && loop == UINT_MAX) {
            open_loop(seq, random);
            loop = seq->count;
        } else if (kind <= 6 && patched) {
            append_patch(seq, random);
        } else {
            append_form(seq, pick_form(random), random);
        }
        note_undefined(seq, from);
    }
    if (seq->count == 0) {
        append(seq, (const uint8_t[]){0x90}, 1, 0);
    }
    if (seq->loop_open && loop < seq->count) {
        close_loop(seq, loop);
    }
    note_undefined(seq, 0);
    seq->native = true;
    for (unsigned i = 0; i < seq->count; i++) {
        seq->native &= !uses_segment(&seq->insns[i]);
    }
    set_branches(seq, random);
    set_patches(seq, random);
    seq->test.len = code_length(seq);
    make_state(seq, &seq->insns[suits], random);
}

void sequence_make(Sequence *seq, const Form *wanted, unsigned length, bool patched,
                   Random *random)
{
    do {
        make_any(seq, wanted, length, patched, random);
    } while (!follow_undefined(seq));
}

static bool is_filler(const uint8_t *bytes, size_t size)
{
    return size == 0 || (bytes[0] == SEQUENCE_FILLER && !memcmp(bytes, bytes + 1, size - 1));
}

bool sequence_is_itself(const Sequence *seq, const uint8_t *code)
{
    const uint8_t *start = code + (seq->test.rip - CODE_VA);
    const uint8_t *end = start + seq->test.len;

    if (!is_filler(code, start - code) || !is_filler(end, code + CODE_SIZE - end)) {
        return false; /* what is written there may run too */
    }
    for (unsigned i = 0; i < seq->count; i++) {
        const SequenceInsn *insn = &seq->insns[i];
        SequenceInsn now = {.offset = insn->offset};

        if (!decode_at(seq, &now, start + insn->offset, insn->len) ||
            now.zi.length != insn->len || now.zi.mnemonic != insn->zi.mnemonic ||
            (is_shift(&insn->zi) && memcmp(start + insn->offset,
                                           seq->test.bytes + insn->offset, insn->len))) {
            return false;
        }
    }
    return true;
}

uint32_t sequence_undefined(const Sequence *seq, uint64_t rip)
{
    uint32_t all = 0;

    for (unsigned i = 0; i <= seq->count; i++) {
        if (i < seq->count && rip == seq->test.rip + seq->insns[i].offset) {
            return seq->undefined[i];
        }
        all |= seq->undefined[i];
    }
    return all;
}

void sequence_print(const Sequence *seq)
{
    ZydisFormatter formatter;

    ZydisFormatterInit(&formatter, ZYDIS_FORMATTER_STYLE_INTEL);
    for (unsigned i = 0; i < seq->count; i++) {
        const SequenceInsn *insn = &seq->insns[i];
        uint64_t rip = seq->test.rip + insn->offset;
        char text[128] = "";

        ZydisFormatterFormatInstruction(&formatter, &insn->zi, insn->ops,
                                        insn->zi.operand_count_visible, text, sizeof(text), rip,
                                        NULL);
        printf("    %08" G_GINT64_MODIFIER "x  %-50s", rip, text);
        for (unsigned j = 0; j < insn->len; j++) {
            printf(" %02x", seq->test.bytes[insn->offset + j]);
        }
        printf("\n");
    }
}
