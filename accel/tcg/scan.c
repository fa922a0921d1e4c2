/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Before code is written for a block: how each instruction will be translated, which arithmetic
 * flags are alive where, and which stack accesses can share a check.
 */
#include "accel/tcg/x87.h"
#include "target-i386/interp/decode.h"

#define GROUP_SPAN 512 /* bytes that one check may serve */

/* --- flags ------------------------------------------------------------------------- */

static void liveness(Trans *t)
{
    uint8_t live = AF_ALL;

    for (int i = t->count - 1; i >= 0; i--) {
        TransInsn *ti = &t->insns[i];

        ti->live_out = live;
        live = ti->use | (live & ~ti->kill);
        if (t->exact) {
            live = AF_ALL;
        }
        ti->live_in = live;
    }
}

/* --- stack groups ---------------------------------------------------------------------- */

/* True if an access by @segment is one to the stack. */
static bool is_stack_segment(const Trans *t, ZydisRegister segment)
{
    return trans_code64(t) ? segment != ZYDIS_REGISTER_FS && segment != ZYDIS_REGISTER_GS
                           : segment == ZYDIS_REGISTER_SS;
}

/* Where the instruction's stack access lies, from the stack pointer before it. */
static bool stack_access(const Trans *t, const TransInsn *ti, int64_t *disp, unsigned *size,
                         bool *write)
{
    const TransOperand *op;
    unsigned unit = trans_unit(t, ti);

    switch (ti->kind) {
    case KIND_PUSH:
    case KIND_PUSHF:
    case KIND_CALL:
    case KIND_CALL_INDIRECT:
        *disp = -(int)unit;
        *size = unit;
        *write = true;
        return true;
    case KIND_POP:
    case KIND_RETURN:
        *disp = 0;
        *size = unit;
        *write = false;
        return true;
    case KIND_COPY:
    case KIND_DIVIDE:
    case KIND_FLDCW:
        if (ti->mem < 0) {
            return false;
        }
        op = &ti->ops[ti->mem];
        *disp = op->mem.disp.value;
        *size = op->size / 8;
        *write = op->actions & ZYDIS_OPERAND_ACTION_MASK_WRITE;
        return op->mem.base == trans_sp_register(t) && op->mem.index == ZYDIS_REGISTER_NONE &&
               is_stack_segment(t, op->mem.segment) &&
               ABS(*disp) < GROUP_SPAN * 4 && !trans_wants_alignment(ti, *size);
    default:
        return false;
    }
}

static bool writes_rsp(const TransInsn *ti)
{
    return ti->writes >> R_RSP & 1;
}

/* How the instruction moves the stack pointer; false if that is not known now. */
static bool stack_step(const Trans *t, const TransInsn *ti, int64_t *step)
{
    const TransOperand *ops = ti->ops;
    ZydisRegister sp = trans_sp_register(t);

    *step = 0;
    switch (ti->kind) {
    case KIND_PUSH:
    case KIND_PUSHF:
    case KIND_CALL:
    case KIND_CALL_INDIRECT:
        *step = -(int)trans_unit(t, ti);
        return true;
    case KIND_POP:
        *step = trans_unit(t, ti);
        return trans_guest_reg(ops[0].reg.value) != R_RSP;
    case KIND_LEAVE:
    case KIND_VIEW: /* the checks are void, if not the stack pointer */
        return false;
    case KIND_LEA:
        if (ops[0].reg.value == sp && ops[1].mem.base == sp &&
            ops[1].mem.index == ZYDIS_REGISTER_NONE) {
            *step = ops[1].mem.disp.value;
            return true;
        }
        return !writes_rsp(ti);
    case KIND_COPY:
        if (ops[0].type == ZYDIS_OPERAND_TYPE_REGISTER &&
            ops[0].reg.value == sp && ops[1].type == ZYDIS_OPERAND_TYPE_IMMEDIATE) {
            if (ti->zi.mnemonic == ZYDIS_MNEMONIC_SUB) {
                *step = -ops[1].imm.value.s;
                return true;
            }
            if (ti->zi.mnemonic == ZYDIS_MNEMONIC_ADD) {
                *step = ops[1].imm.value.s;
                return true;
            }
        }
        return !writes_rsp(ti);
    default:
        return !writes_rsp(ti);
    }
}

/* Adds an access to @group if it still fits. */
static bool group_extend(StackGroup *group, int64_t low, int64_t high, bool write, unsigned insn)
{
    int64_t l = MIN(group->low, low), h = MAX(group->high, high);

    if (h - l > GROUP_SPAN) {
        return false;
    }
    group->low = l;
    group->high = h;
    group->write |= write;
    group->last = insn;
    return true;
}

/*
 * Checks clobber flags: where those are alive at the first access, an earlier place is taken at
 * which they are not.
 */
static void place_checks(Trans *t)
{
    for (int i = 0; i < t->group_count; i++) {
        StackGroup *group = &t->groups[i];

        for (int at = group->first; at >= group->epoch; at--) {
            const TransInsn *ti = &t->insns[at];

            if (trans_is_outside(ti) || (i > 0 && t->groups[i - 1].last >= at)) {
                break;
            }
            if (!ti->live_in) {
                group->first = at;
                break;
            }
        }
        t->insns[group->first].check = i;
    }
}

static void stack_groups(Trans *t)
{
    int64_t sp = 0, step, disp;
    int group = -1, epoch = 0;

    for (unsigned i = 0; i < t->count; i++) {
        TransInsn *ti = &t->insns[i];
        unsigned size;
        bool write;

        ti->sp = sp;
        ti->group = -1;
        ti->check = -1;
        if (!(t->tb->no_groups & JIT_NO_STACK) &&
            stack_access(t, ti, &disp, &size, &write)) {
            int64_t low = sp + disp, high = low + size;

            if (group < 0 || !group_extend(&t->groups[group], low, high, write, i)) {
                group = t->group_count++;
                t->groups[group] = (StackGroup){low, high, write, epoch, i, i};
            }
            ti->group = group;
        }
        if (stack_step(t, ti, &step)) {
            sp += step;
        } else {
            sp = 0;
            group = -1;
            epoch = i + 1;
        }
    }
    place_checks(t);
}

/* --- address groups ------------------------------------------------------------------- */

bool trans_writes_register(const TransInsn *ti, ZydisRegister reg)
{
    return trans_is_gpr(reg) && ti->writes >> trans_guest_reg(reg) & 1;
}

/*
 * An operand whose check others may share: in full addresses from a register, unaligned. What lies
 * on one page does not wrap, however wide addresses are.
 */
static bool groupable(const Trans *t, const TransInsn *ti)
{
    const TransOperand *op = &ti->ops[ti->mem];

    return op->mem.base != ZYDIS_REGISTER_NONE && op->mem.base != ZYDIS_REGISTER_RIP &&
           (ti->zi.address_width == 64 || !trans_code64(t)) &&
           op->mem.segment != ZYDIS_REGISTER_FS && op->mem.segment != ZYDIS_REGISTER_GS &&
           ABS(op->mem.disp.value) < (1 << 30) &&
           !trans_wants_alignment(ti, op->size / 8) && trans_spilled_operands(ti) < 2;
}

/* Where the operand lies, from what its registers held at the block's start. */
static int64_t operand_place(const TransInsn *ti)
{
    return ti->ops[ti->mem].mem.disp.value + ti->shift;
}

/* Adds the operand of instruction @insn to @group if it is of the same kind and near. */
static bool address_join(AddressGroup *group, TransInsn *ti, unsigned insn)
{
    const TransOperand *op = &ti->ops[ti->mem];
    int64_t low = MIN(group->low, operand_place(ti));
    int64_t high = MAX(group->high, operand_place(ti) + op->size / 8);

    if (group->segment != op->mem.segment || group->base != op->mem.base ||
        group->index != op->mem.index || group->scale != op->mem.scale || high - low > GROUP_SPAN) {
        return false;
    }
    group->low = low;
    group->high = high;
    group->write |= (op->actions & ZYDIS_OPERAND_ACTION_MASK_WRITE) != 0;
    group->last = insn;
    group->members++;
    return true;
}

static void address_new(Trans *t, TransInsn *ti, unsigned insn)
{
    const TransOperand *op = &ti->ops[ti->mem];

    ti->address = t->address_count++;
    t->addresses[ti->address] = (AddressGroup){
        .segment = op->mem.segment,
        .base = op->mem.base,
        .index = op->mem.index,
        .scale = op->mem.scale,
        .write = op->actions & ZYDIS_OPERAND_ACTION_MASK_WRITE,
        .first = insn,
        .last = insn,
        .members = 1,
        .pointer = H_NONE,
        .ready = false,
        .low = operand_place(ti),
        .high = operand_place(ti) + op->size / 8,
    };
}

bool trans_register_step(const TransInsn *ti, ZydisRegister reg, int64_t *step)
{
    const TransOperand *ops = ti->ops;

    if (ti->kind == KIND_LEA) {
        *step = ops[1].mem.disp.value;
        return ops[0].reg.value == reg && ops[1].mem.base == reg &&
               ops[1].mem.index == ZYDIS_REGISTER_NONE;
    }
    if (ti->kind != KIND_COPY || ops[0].type != ZYDIS_OPERAND_TYPE_REGISTER ||
        ops[0].reg.value != reg) {
        return false;
    }
    switch (ti->zi.mnemonic) {
    case ZYDIS_MNEMONIC_INC: *step = 1; return true;
    case ZYDIS_MNEMONIC_DEC: *step = -1; return true;
    case ZYDIS_MNEMONIC_ADD: *step = ops[1].imm.value.s; break;
    case ZYDIS_MNEMONIC_SUB: *step = -ops[1].imm.value.s; break;
    default: return false;
    }
    return ops[1].type == ZYDIS_OPERAND_TYPE_IMMEDIATE;
}

/* What register operand @reg of an address moved by, in all. */
static int64_t moved_by(const int64_t *moved, ZydisRegister reg)
{
    return reg == ZYDIS_REGISTER_NONE ? 0 : moved[trans_guest_reg(reg)];
}

/* False if the instruction makes the value of @reg another one, else how far it moves it. */
static bool holds(const TransInsn *ti, ZydisRegister reg, int64_t *step)
{
    *step = 0;
    return !trans_writes_register(ti, reg) ||
           (trans_register_step(ti, reg, step) && ABS(*step) <= GROUP_SPAN);
}

static void follow(const TransInsn *ti, ZydisRegister reg, int64_t *moved)
{
    int64_t step;

    if (holds(ti, reg, &step)) {
        moved[trans_guest_reg(reg)] += step;
    }
}

/* Each register that changes, by all names that addresses have for it. */
static void follow_all(const Trans *t, const TransInsn *ti, int64_t *moved)
{
    for (unsigned written = ti->writes; written; written &= written - 1) {
        unsigned guest = __builtin_ctz(written);

        if (trans_code64(t)) {
            follow(ti, ZYDIS_REGISTER_RAX + guest, moved);
        } else {
            follow(ti, ZYDIS_REGISTER_AX + guest, moved);
            follow(ti, ZYDIS_REGISTER_EAX + guest, moved);
        }
    }
}

/* The groups that may still grow, and the registers of all of them. */
typedef struct OpenGroups {
    int group[4];
    unsigned next;
    unsigned registers;
} OpenGroups;

static unsigned registers_of(const AddressGroup *group)
{
    return trans_register_bit(group->base) | trans_register_bit(group->index);
}

/* Puts the operand of instruction @i into a group that it fits, or into a new one. */
static void join_address(Trans *t, OpenGroups *open, unsigned i)
{
    TransInsn *ti = &t->insns[i];

    for (unsigned g = 0; g < G_N_ELEMENTS(open->group); g++) {
        if (open->group[g] >= 0 && address_join(&t->addresses[open->group[g]], ti, i)) {
            ti->address = open->group[g];
            return;
        }
    }
    address_new(t, ti, i);
    open->group[open->next++ % G_N_ELEMENTS(open->group)] = ti->address;
    open->registers |= registers_of(&t->addresses[ti->address]);
}

/* Closes the groups whose registers are other ones behind @ti. */
static void close_addresses(Trans *t, OpenGroups *open, const TransInsn *ti)
{
    if (!(ti->writes & open->registers) && !trans_is_outside(ti)) {
        return;
    }
    open->registers = 0;
    for (unsigned g = 0; g < G_N_ELEMENTS(open->group); g++) {
        const AddressGroup *group;
        int64_t step;

        if (open->group[g] < 0) {
            continue;
        }
        group = &t->addresses[open->group[g]];
        if (trans_is_outside(ti) || !holds(ti, group->base, &step) ||
            !holds(ti, group->index, &step)) {
            open->group[g] = -1;
        } else {
            open->registers |= registers_of(group);
        }
    }
}

static void find_addresses(Trans *t)
{
    OpenGroups open = {.group = {-1, -1, -1, -1}};
    int64_t moved[R_COUNT] = {0};
    bool grouping = !(t->tb->no_groups & JIT_NO_ADDRESS);

    t->address_count = 0;
    for (unsigned i = 0; i < t->count; i++) {
        TransInsn *ti = &t->insns[i];

        ti->address = -1;
        if (ti->mem >= 0) {
            const TransOperandMem *mem = &ti->ops[ti->mem].mem;

            ti->shift = moved_by(moved, mem->index) * mem->scale;
            if (trans_is_gpr(mem->base)) {
                ti->shift += moved_by(moved, mem->base);
            }
            if (grouping && ti->group < 0 && ti->kind == KIND_COPY && groupable(t, ti)) {
                join_address(t, &open, i);
            }
        }
        close_addresses(t, &open, ti);
        if (ti->writes && (ti->write || ti->kind == KIND_LEA)) {
            follow_all(t, ti, moved);
        }
    }
}

/* True if the code for @ti takes r9 for itself. */
static bool takes_pointer(const Trans *t, const TransInsn *ti)
{
    switch (ti->kind) {
    case KIND_NOTHING:
        return false;
    case KIND_LEA:
        return trans_lea_temps(t, ti) > 1;
    case KIND_PUSH:
        return ti->group < 0 || ti->ops[0].type == ZYDIS_OPERAND_TYPE_MEMORY;
    case KIND_PUSHF:
    case KIND_POP:
        return ti->group < 0;
    case KIND_COPY:
        if (trans_spilled_operands(ti) > 1) {
            return true;
        }
        return ti->mem >= 0 && ti->group < 0 &&
               (ti->address < 0 || t->addresses[ti->address].pointer == H_NONE);
    default:
        return true;
    }
}

static bool r9_is_free(const Trans *t, const AddressGroup *group)
{
    for (unsigned i = group->first; i <= group->last; i++) {
        const TransInsn *ti = &t->insns[i];
        bool member = ti->address >= 0 && &t->addresses[ti->address] == group;

        if (member ? trans_spilled_operands(ti) > 1 : takes_pointer(t, ti)) {
            return false;
        }
    }
    return true;
}

static bool overlaps(const AddressGroup *group, unsigned first, unsigned last)
{
    return group->first <= last && first <= group->last;
}

static bool pointer_is_free(const Trans *t, const AddressGroup *group, unsigned pointer)
{
    for (int i = 0; i < t->address_count; i++) {
        const AddressGroup *other = &t->addresses[i];

        if (other->pointer == pointer && overlaps(group, other->first, other->last)) {
            return false;
        }
    }
    for (int i = 0; pointer == H_R11 && i < t->group_count; i++) {
        if (overlaps(group, t->groups[i].first, t->groups[i].last)) {
            return false;
        }
    }
    return true;
}

/* Gives the groups that save checks a register each, as far as there are any. */
static void place_addresses(Trans *t)
{
    for (int i = 0; i < t->address_count; i++) {
        AddressGroup *group = &t->addresses[i];

        if (group->members < 2) {
            continue;
        }
        if (pointer_is_free(t, group, H_R11)) {
            group->pointer = H_R11;
        } else if (pointer_is_free(t, group, H_R9) && r9_is_free(t, group)) {
            group->pointer = H_R9;
        }
    }
}

/* --- all of it --------------------------------------------------------------------------- */

/* Which flags are undefined behind @ti. */
static void follow_undefined(Trans *t, const TransInsn *ti)
{
    t->undefined = (t->undefined & ~ti->defines) | ti->undefines;
}

bool trans_scan(Trans *t)
{
    unsigned offset = 0;

    t->count = t->block->count;
    t->undefined = 0;
    memcpy(t->bytes, block_code(t->block), t->block->bytes);
    for (unsigned i = 0; i < t->count; i++) {
        TransInsn *ti = &t->insns[i];

        ti->insn = &t->block->insns[i];
        ti->bytes = t->bytes + offset;
        ti->offset = offset;
        trans_look_ahead(t, ti);
        offset += ti->insn->len;
    }
    for (unsigned i = 0; i < t->count; i++) {
        TransInsn *ti = &t->insns[i];

        if (!trans_read(t, ti)) {
            return false; /* to be sure: the interpreter has it */
        }
        if (trans_is_patched(t, i)) {
            ti->kind = KIND_PATCHED;
        }
        t->tb->vectors |= ti->vec != VEC_NONE || ti->x87;
        follow_undefined(t, ti);
        t->tb->insns[i + 1].undefined = t->undefined;
    }
    liveness(t);
    stack_groups(t);
    trans_plan_hoist(t);
    if (t->rounds) {
        t->tb->no_groups |= JIT_NO_ADDRESS;
    }
    find_addresses(t);
    place_addresses(t);
    return offset == t->block->bytes;
}
