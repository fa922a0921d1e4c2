/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Host registers for R8 to R11 and for pointers while a loop runs that has no way into C (hoist.c).
 * They are the temporaries, and those of guest registers that the loop does not name: these go to
 * memory meanwhile. A value that one round leaves to the next in memory costs five cycles, which a
 * short loop has no other use for.
 */
#include "accel/tcg/trans.h"
#include "target-i386/interp/decode.h"

/* What wants a register: a guest register of its own, or a group's pointer. */
typedef struct Wish {
    uint8_t *place;         /* where the host register's number goes */
    unsigned weight;        /* what it saves: accesses to memory in a round */
} Wish;

#define WISHES_MAX (4 + JIT_POINTERS)
#define HOSTS_MAX 16u

typedef struct Plan {
    Trans *t;
    unsigned body;          /* instructions of a round */
    uint16_t named;         /* guest registers that occur */
    uint8_t weights[4];     /* of R8 to R11 */
    Wish wishes[WISHES_MAX];
    unsigned wish_count;
    uint8_t hosts[HOSTS_MAX];
    unsigned host_count;
} Plan;

/* --- what the loop names ----------------------------------------------------------------- */

static void name_register(Plan *plan, ZydisRegister reg, unsigned weight)
{
    if (trans_is_gpr(reg)) {
        unsigned guest = trans_guest_reg(reg);

        plan->named |= 1u << guest;
        if (guest >= R_R8 && guest <= R_R11) {
            plan->weights[guest - R_R8] += weight;
        }
    }
}

static void name_operand(Plan *plan, const TransInsn *ti, const TransOperand *op)
{
    bool reads = op->actions & ZYDIS_OPERAND_ACTION_MASK_READ;
    bool writes = op->actions & ZYDIS_OPERAND_ACTION_MASK_WRITE;

    if (op->type == ZYDIS_OPERAND_TYPE_REGISTER) {
        name_register(plan, op->reg.value, reads && writes ? 3 : 1);
    } else if (op->type == ZYDIS_OPERAND_TYPE_MEMORY) {
        unsigned weight = ti->kind == KIND_LEA; /* others go by their group's pointer */

        name_register(plan, op->mem.base, weight);
        name_register(plan, op->mem.index, weight);
    }
}

static void name_all(Plan *plan)
{
    for (unsigned i = 0; i < plan->body; i++) {
        const TransInsn *ti = &plan->t->insns[i];

        for (unsigned op = 0; ti->kind != KIND_NOTHING && op < ti->zi.operand_count; op++) {
            name_operand(plan, ti, &ti->ops[op]);
        }
    }
}

/* --- wishes and what there is for them -------------------------------------------------------- */

static void add_wish(Plan *plan, uint8_t *place, unsigned weight)
{
    unsigned at = plan->wish_count++;

    while (at > 0 && plan->wishes[at - 1].weight < weight) {
        plan->wishes[at] = plan->wishes[at - 1];
        at--;
    }
    plan->wishes[at] = (Wish){place, weight};
}

static void make_wishes(Plan *plan)
{
    Trans *t = plan->t;

    plan->wish_count = 0;
    for (unsigned i = 0; t->loop && i < G_N_ELEMENTS(t->homes); i++) {
        if (plan->weights[i]) {
            add_wish(plan, &t->homes[i], plan->weights[i]);
        }
    }
    for (int i = 0; i < t->address_count; i++) {
        AddressGroup *group = &t->addresses[i];

        add_wish(plan, &group->pointer, MAX(group->members / MAX(t->rounds, 1u), 1u));
    }
}

/* The temporaries but for @kept of them, then what may be lent. */
static void find_hosts(Plan *plan, unsigned kept)
{
    static const uint8_t temps[] = {H_R11, H_R9};

    plan->host_count = 0;
    for (unsigned i = 0; i + kept < G_N_ELEMENTS(temps); i++) {
        plan->hosts[plan->host_count++] = temps[i];
    }
    for (unsigned guest = R_RAX; plan->t->loop && guest <= R_R15; guest++) {
        if (trans_host_reg(guest) != H_NONE && !(plan->named >> guest & 1)) {
            plan->hosts[plan->host_count++] = trans_host_reg(guest);
        }
    }
}

void trans_no_homes(Trans *t)
{
    memset(t->homes, H_NONE, sizeof(t->homes));
    t->homed = 0;
}

static void grant(Plan *plan, Wish *wish, unsigned host)
{
    Trans *t = plan->t;

    *wish->place = plan->hosts[host];
    t->homed |= 1u << plan->hosts[host];
}

/* True if pointers have no register to be computed in: there must be one of their own. */
static bool lacks_pointer(const Plan *plan, unsigned kept)
{
    if (kept || !plan->t->address_count) {
        return false;
    }
    for (int i = 0; i < plan->t->address_count; i++) {
        if (plan->t->addresses[i].pointer != H_NONE) {
            return false;
        }
    }
    return true;
}

/* What saves one access in a round is not worth lending a register, which takes four. */
static unsigned count_grants(const Plan *plan, unsigned kept)
{
    unsigned count = MIN(plan->host_count, plan->wish_count);

    while (count + kept > 2 && plan->wishes[count - 1].weight < 2) {
        count--;
    }
    return count;
}

static void grant_all(Plan *plan, unsigned kept)
{
    Trans *t = plan->t;
    unsigned granted;

    trans_no_homes(t);
    for (int i = 0; i < t->address_count; i++) {
        t->addresses[i].pointer = H_NONE;
    }
    find_hosts(plan, kept);
    granted = count_grants(plan, kept);
    for (unsigned i = 0; i < granted; i++) {
        grant(plan, &plan->wishes[i], i);
    }
    if (lacks_pointer(plan, kept) && granted) {
        *plan->wishes[granted - 1].place = H_NONE;
        t->addresses[0].pointer = plan->hosts[granted - 1];
    }
}

/* --- temporaries ---------------------------------------------------------------------------- */

/* How many visible operands are guest registers that stay in memory. */
static unsigned still_spilled(const Trans *t, const TransInsn *ti)
{
    unsigned count = 0;

    for (unsigned i = 0; i < ti->zi.operand_count_visible; i++) {
        const TransOperand *op = &ti->ops[i];

        if (op->type == ZYDIS_OPERAND_TYPE_REGISTER && trans_is_gpr(op->reg.value)) {
            count += trans_home(t, trans_guest_reg(op->reg.value)) == H_NONE;
        }
    }
    return count;
}

void trans_count_spilled(const Trans *t, TransInsn *ti)
{
    ti->spilled = still_spilled(t, ti);
}

/* Temporaries, r10 among them, that the code for @ti takes. */
static unsigned temps_wanted(const Trans *t, const TransInsn *ti)
{
    bool slot = ti->mem >= 0 && t->addresses[ti->hoisted].pointer == H_NONE;

    switch (ti->kind) {
    case KIND_NOTHING: return 0;
    case KIND_LEA: return trans_lea_temps(t, ti);
    default: return still_spilled(t, ti) + slot;
    }
}

bool trans_place_homes(Trans *t, unsigned body)
{
    Plan plan = {.t = t, .body = body};

    name_all(&plan);
    make_wishes(&plan);
    for (unsigned kept = 0; kept <= 2; kept++) {
        unsigned wanted = 0;

        grant_all(&plan, kept);
        for (unsigned i = 0; i < body; i++) {
            wanted = MAX(wanted, temps_wanted(t, &t->insns[i]));
        }
        if (wanted <= 1 + kept) {
            return true;
        }
    }
    return false;
}

/* --- going there and back --------------------------------------------------------------------- */

static bool lent(const Trans *t, unsigned guest)
{
    unsigned host = trans_host_reg(guest);

    return host != H_NONE && (t->homed >> host & 1);
}

void trans_take_homes(Trans *t)
{
    for (unsigned guest = R_RAX; guest <= R_R15; guest++) {
        if (lent(t, guest)) {
            emit_store(&t->a, trans_host_reg(guest), GS_REG(guest));
        }
    }
    for (unsigned i = 0; i < G_N_ELEMENTS(t->homes); i++) {
        if (t->homes[i] != H_NONE) {
            emit_load(&t->a, t->homes[i], GS_REG(R_R8 + i));
        }
    }
}

void trans_leave_homes(Trans *t, unsigned body)
{
    uint16_t writes = 0;

    for (unsigned i = 0; i < body; i++) {
        writes |= t->insns[i].writes;
    }
    for (unsigned i = 0; i < G_N_ELEMENTS(t->homes); i++) {
        if (t->homes[i] != H_NONE && (writes >> (R_R8 + i) & 1)) {
            emit_store(&t->a, t->homes[i], GS_REG(R_R8 + i));
        }
    }
    for (unsigned guest = R_RAX; guest <= R_R15; guest++) {
        if (lent(t, guest)) {
            emit_load(&t->a, trans_host_reg(guest), GS_REG(guest));
        }
    }
}
