/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A block's instructions a second time, with the checks of all their accesses in front. Where one
 * of these fails nothing has happened yet, and the first version, which checks access by access,
 * takes over: so nothing here has a slow path. Of a block that jumps to itself several rounds are
 * written, and a check serves them all; and since no C code asks where a register is, R8 to R11
 * have places in the host meanwhile (homes.c).
 *
 * That needs addresses whose registers change by constants only, and flags that are dead at the
 * block's start, since checks clobber them.
 */
#include "accel/tcg/trans.h"
#include "target-i386/interp/decode.h"

/*
 * A group's accesses lie within so many bytes. Near the end of a page a check fails although the
 * next accesses would not, and the longer the group the sooner: 256 bytes are 1 in 16 of a page.
 */
#define SPAN_MAX   512
#define SPAN_GOOD 256
#define ROUNDS_MAX 8u
#define ROUNDS_WITHOUT_MEMORY 3u

/* --- what can be hoisted ----------------------------------------------------------------- */

static bool insn_fits(const TransInsn *ti)
{
    const TransOperandMem *mem;
    unsigned size;

    switch (ti->kind) {
    case KIND_NOTHING:
    case KIND_LEA:
        return !ti->names_sp;
    case KIND_COPY:
        break;
    default:
        return false;
    }
    if (ti->x87 || ti->names_sp) {
        return false;
    }
    if (ti->mem < 0) {
        return true;
    }
    mem = &ti->ops[ti->mem].mem;
    size = ti->ops[ti->mem].size / 8;
    return ti->zi.address_width == 64 && mem->segment != ZYDIS_REGISTER_FS &&
           mem->segment != ZYDIS_REGISTER_GS && ABS(mem->disp.value) < (1 << 30) &&
           !trans_uses_high_byte(ti) &&
           !(size < 16 && trans_wants_alignment(ti, size)); /* locked */
}

/* What is known of general registers, from their values at the block's start. */
typedef struct Moves {
    int64_t by[R_COUNT];
    bool lost[R_COUNT];
} Moves;

static void follow(Moves *moves, const TransInsn *ti)
{
    for (ZydisRegister reg = ZYDIS_REGISTER_RAX; reg <= ZYDIS_REGISTER_R15; reg++) {
        unsigned guest = trans_guest_reg(reg);
        int64_t step;

        if (!trans_writes_register(ti, reg)) {
            continue;
        }
        if (trans_register_step(ti, reg, &step) && ABS(step) <= SPAN_MAX) {
            moves->by[guest] += step;
        } else {
            moves->lost[guest] = true;
        }
    }
}

/* How far the registers of an operand moved in all; false if their values are other ones. */
static bool moved(const Moves *moves, const TransOperandMem *mem, int64_t *by)
{
    *by = 0;
    if (mem->base != ZYDIS_REGISTER_NONE && mem->base != ZYDIS_REGISTER_RIP) {
        if (moves->lost[trans_guest_reg(mem->base)]) {
            return false;
        }
        *by += moves->by[trans_guest_reg(mem->base)];
    }
    if (mem->index != ZYDIS_REGISTER_NONE) {
        if (moves->lost[trans_guest_reg(mem->index)]) {
            return false;
        }
        *by += moves->by[trans_guest_reg(mem->index)] * mem->scale;
    }
    return true;
}

/* --- groups ---------------------------------------------------------------------------------- */

/* The operand at @place must be aligned to @align bytes: false if what is tested cannot say so. */
static bool group_align(AddressGroup *group, int64_t place, unsigned align)
{
    if (align < 2) {
        return true;
    }
    if (group->align < 2) {
        group->anchor = place;
    }
    if ((place - group->anchor) & (MIN(align, MAX(group->align, 1u)) - 1)) {
        return false;
    }
    if (align > group->align) {
        group->align = align;
        group->anchor = place;
    }
    return true;
}

/* The group of the same registers that [@low, @high) is near to, or a new one; NULL: too many. */
static AddressGroup *group_for(Trans *t, const TransInsn *ti, int64_t low, int64_t high)
{
    const TransOperandMem *mem = &ti->ops[ti->mem].mem;
    bool fixed = mem->base == ZYDIS_REGISTER_RIP;
    ZydisRegister base = fixed ? ZYDIS_REGISTER_NONE : mem->base;
    AddressGroup *group;

    for (int i = 0; i < t->address_count; i++) {
        group = &t->addresses[i];
        if (group->base == base && group->index == mem->index && group->scale == mem->scale &&
            MAX(high, group->high) - MIN(low, group->low) <= SPAN_MAX) {
            return group;
        }
    }
    if (t->address_count == JIT_POINTERS) {
        return NULL;
    }
    group = &t->addresses[t->address_count];
    *group = (AddressGroup){
        .base = base,
        .index = mem->index,
        .scale = mem->scale,
        .first = 0,
        .last = t->count - 1,
        .pointer = H_NONE,
        .ready = true,
        .slot = t->address_count,
        .member = ti - t->insns,
        .low = low,
        .high = high,
    };
    t->address_count++;
    return group;
}

/* Puts the operand of @ti, over @rounds rounds, into a group. */
static bool place_operand(Trans *t, TransInsn *ti, unsigned rounds)
{
    const TransOperand *op = &ti->ops[ti->mem];
    int64_t place = op->mem.disp.value + ti->shift, last = place + ti->round_step * (rounds - 1);
    int64_t low = MIN(place, last), high = MAX(place, last) + op->size / 8;
    AddressGroup *group = group_for(t, ti, low, high);
    unsigned align = trans_wants_alignment(ti, op->size / 8) ? op->size / 8 : 1;

    if (!group || high - low > SPAN_MAX || (ti->round_step & (align - 1)) ||
        !group_align(group, place, align)) {
        return false;
    }
    group->low = MIN(group->low, low);
    group->high = MAX(group->high, high);
    group->write |= (op->actions & ZYDIS_OPERAND_ACTION_MASK_WRITE) != 0;
    group->members += MIN(rounds, 255u - group->members);
    ti->hoisted = group - t->addresses;
    return true;
}

/* The groups for @rounds rounds; false if there is one access that fits into none. */
static bool place_operands(Trans *t, unsigned rounds)
{
    t->address_count = 0;
    for (unsigned i = 0; i < t->count; i++) {
        if (t->insns[i].mem >= 0 && !place_operand(t, &t->insns[i], rounds)) {
            return false;
        }
    }
    for (int i = 0; i < t->address_count; i++) {
        AddressGroup *group = &t->addresses[i];

        if (group->align > 1) { /* what is tested is the first byte: in the same page still */
            group->low -= (group->low - group->anchor) & (group->align - 1);
        }
    }
    return true;
}

static int64_t longest(const Trans *t)
{
    int64_t span = 0;

    for (int i = 0; i < t->address_count; i++) {
        span = MAX(span, t->addresses[i].high - t->addresses[i].low);
    }
    return span;
}

/* --- the decision --------------------------------------------------------------------------- */

/* Shifts and steps of all operands; false if something cannot be hoisted. */
static bool analyse(Trans *t, unsigned body, bool *repeats)
{
    Moves moves = {.by = {0}};

    for (unsigned i = 0; i < body; i++) {
        TransInsn *ti = &t->insns[i];

        if (!insn_fits(ti)) {
            return false;
        }
        if (ti->mem >= 0) {
            if (!moved(&moves, &ti->ops[ti->mem].mem, &ti->shift)) {
                return false;
            }
            if (ti->ops[ti->mem].mem.base == ZYDIS_REGISTER_RIP) {
                ti->shift += t->rip + ti->offset + ti->zi.length;
            }
        }
        follow(&moves, ti);
    }
    for (unsigned i = 0; i < body; i++) {
        TransInsn *ti = &t->insns[i];

        *repeats &= ti->mem < 0 || moved(&moves, &ti->ops[ti->mem].mem, &ti->round_step);
    }
    return true;
}

static bool jumps_to_itself(Trans *t)
{
    const TransInsn *last = &t->insns[t->count - 1];

    return last->kind == KIND_JUMP_IF &&
           t->rip + last->offset + last->zi.length + last->ops[0].imm.value.u == t->rip;
}

/*
 * True if a check serves several accesses, or a loop takes something out of memory. Within a round
 * the first version shares checks too.
 */
static bool pays(const Trans *t)
{
    for (int i = 0; (t->rounds > 1 || !t->loop) && i < t->address_count; i++) {
        if (t->addresses[i].members > 1) {
            return true;
        }
    }
    for (unsigned i = 0; i < G_N_ELEMENTS(t->homes); i++) {
        if (t->homes[i] != H_NONE) {
            return true;
        }
    }
    return false;
}

/* How many rounds of @body instructions go together. */
static unsigned count_rounds(Trans *t)
{
    unsigned rounds = 1, most = ROUNDS_MAX;

    place_operands(t, 1);
    if (!t->address_count) {
        most = ROUNDS_WITHOUT_MEMORY;
    }
    while (rounds < most && (rounds + 1) * t->count <= HOIST_INSNS &&
           place_operands(t, rounds + 1) &&
           longest(t) <= (rounds == 1 ? SPAN_MAX : SPAN_GOOD)) {
        rounds++;
    }
    return rounds;
}

static bool place_all(Trans *t, unsigned body)
{
    return place_operands(t, t->rounds) && trans_place_homes(t, body);
}

void trans_plan_hoist(Trans *t)
{
    const TransInsn *last = &t->insns[t->count - 1];
    bool ends = last->kind == KIND_JUMP_IF || last->kind == KIND_JUMP;
    bool repeats;
    unsigned body = t->count - ends;

    trans_no_homes(t);
    t->rounds = 0;
    t->loop = repeats = jumps_to_itself(t);
    if (!trans_code64(t) || t->exact || t->jit->counting || t->jit->debug.no_groups ||
        t->jit->debug.no_chain || t->block->checked || t->insns[0].live_in || t->count < 2 ||
        t->count > HOIST_INSNS || !(t->loop || (t->tb->no_groups & JIT_NO_ADDRESS)) ||
        !analyse(t, body, &repeats)) {
        return;
    }
    t->rounds = repeats ? count_rounds(t) : 1;
    if (!place_all(t, body) || !pays(t)) {
        t->rounds = 0;
    }
    trans_no_homes(t);
}

/* --- code ----------------------------------------------------------------------------------- */

/* Where the pointers of groups without a register are computed. */
static unsigned spare_pointer(const Trans *t)
{
    for (int i = 0; trans_busy(t, H_R9) && i < t->address_count; i++) {
        if (t->addresses[i].pointer != H_NONE) {
            return t->addresses[i].pointer;
        }
    }
    return H_R9;
}

/* Checks @group: its pointer goes to its register or its slot. */
static void check_group(Trans *t, const AddressGroup *group, const uint8_t *plain)
{
    unsigned pointer = group->pointer == H_NONE ? spare_pointer(t) : group->pointer;
    TransOperand low = {
        .mem = {.base = group->base, .index = group->index, .scale = group->scale,
                .segment = ZYDIS_REGISTER_DS, .disp.value = group->low},
    };

    t->cur = group->member;
    trans_address(t, &low, pointer);
    trans_check_or_bail(t, pointer, group->high - group->low, group->write, group->align, plain);
    if (group->pointer == H_NONE) {
        emit_store(&t->a, pointer, trans_pointer_slot(group));
    }
}

/* All checks; the way to @plain is also taken for pending work and for state not loaded. */
static void emit_head(Trans *t, unsigned body, const uint8_t *plain)
{
    Asm *a = &t->a;

    if (t->tb->may_leave_first) { /* it jumps back: cmp dword [poll], 0 */
        put8(a, 0x65);
        put8(a, 0x83);
        emit_modrm_mem(a, 7, &GS(jit.poll));
        put8(a, 0);
        patch_rel32(emit_jcc(a, CC_NE), plain);
    }
    t->vec = VEC_NONE;
    for (unsigned i = 0; i < body; i++) {
        t->vec = MAX(t->vec, t->insns[i].vec);
    }
    if (t->vec != VEC_NONE) {
        emit_compare_byte(a, GS(jit.vec), t->vec);
        patch_rel32(emit_jcc(a, CC_B), plain);
    }
    for (int by_slot = 1; by_slot >= 0; by_slot--) { /* those in registers last: r9 is used */
        for (int i = 0; i < t->address_count; i++) {
            if ((t->addresses[i].pointer == H_NONE) == by_slot) {
                check_group(t, &t->addresses[i], plain);
            }
        }
    }
}

static void emit_round(Trans *t, unsigned body)
{
    for (t->cur = 0; t->cur < body; t->cur++) {
        TransInsn *ti = trans_cur(t);
        bool done = ti->kind == KIND_NOTHING || (ti->kind == KIND_LEA ? trans_lea(t)
                                                                      : trans_copy(t));

        g_assert(done);
        ti->shift += ti->round_step;
    }
}

/* The rounds of a loop, and behind the last the way out of each. */
static void emit_rounds(Trans *t, unsigned body, const uint8_t *head)
{
    Asm *a = &t->a;
    unsigned condition = t->insns[t->count - 1].zi.opcode & 15;
    uint8_t *exits[ROUNDS_MAX];

    for (unsigned round = 1; round < t->rounds; round++) {
        emit_round(t, body);
        exits[round] = emit_jcc(a, condition ^ 1);
    }
    emit_round(t, body);
    patch_rel32(emit_jcc(a, condition), head);
    for (unsigned round = 1; round < t->rounds; round++) {
        patch_rel32(exits[round], t->homed ? a->p : t->exit);
    }
    trans_leave_homes(t, body);
    patch_rel32(emit_jmp(a), t->exit);
}

/* What is in homes goes back before the plain version goes on: where that begins. */
static const uint8_t *emit_way_back(Trans *t, unsigned body)
{
    const uint8_t *back = t->a.p;

    if (!t->homed) {
        return t->tb->entry;
    }
    trans_leave_homes(t, body);
    patch_rel32(emit_jmp(&t->a), t->tb->entry);
    return back;
}

static void emit_loop(Trans *t, unsigned body)
{
    const uint8_t *back = emit_way_back(t, body), *head;

    patch_rel32(t->back_edge, t->a.p);
    trans_take_homes(t);
    head = t->a.p;
    emit_head(t, body, back);
    emit_rounds(t, body, head);
}

static void emit_once(Trans *t, unsigned body)
{
    const uint8_t *head = t->a.p;

    emit_head(t, body, t->tb->entry);
    emit_round(t, body);
    if (t->tail_flags == FLAGS_MEMORY) {
        emit_save_flags(&t->a, H_R10);
    }
    patch_rel32(emit_jmp(&t->a), t->tail);
    t->tb->entry = head;
}

void trans_hoist(Trans *t)
{
    TransInsn *last = &t->insns[t->count - 1];
    unsigned body = t->count - (last->kind == KIND_JUMP_IF || last->kind == KIND_JUMP);
    bool ignored = t->loop;

    analyse(t, body, &ignored); /* again: the plain version used the same fields */
    place_all(t, body);
    for (unsigned i = 0; i < body; i++) {
        t->insns[i].group = -1;
        t->insns[i].address = t->insns[i].mem >= 0 ? (int8_t)t->insns[i].hoisted : -1;
        trans_count_spilled(t, &t->insns[i]);
    }
    t->group_count = 0;
    t->group = -1;
    t->sp_lag = 0;
    t->flags = FLAGS_HOST;
    if (t->loop) {
        emit_loop(t, body);
    } else {
        emit_once(t, body);
    }
    t->cur = t->count - 1;
}
