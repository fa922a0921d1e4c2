/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Counted time. One vCPU at a time runs, the one whose turn it is, up to the instruction at which
 * the next timer is due or its turn ends; its thread then runs the timers. While every vCPU is idle
 * the clock is set forward to the next timer.
 */
#include "accel/icount.h"

#include "util/lock.h"
#include "util/timer.h"

/* Instructions of a turn, and how many are left of it once another vCPU has been woken. */
#define TURN 100000u
#define TURN_AFTER_WAKE 1000u
/* How far a machine may be ahead of the host's clock (align), and how often the shift adapts. */
#define ALIGN_NS 3000000
#define ADAPT_NS 100000000
/* So far apart the clocks are only after a stop, or on a host that is too slow anyway. */
#define ANCHOR_LOST_NS 1000000000

struct Icount {
    IcountOptions options;
    GPtrArray *vcpus; /* of Vcpu * */
    unsigned turn;    /* index of the vCPU that may run */
    uint64_t turn_end; /* its count at the end of the turn */
    bool waiting;     /* all are idle, and it waits for a timer or an event */
    /* CLOCK_VM was @base_ns when @base_count instructions were done. Seqlock: odd while changing.
     */
    atomic_uint sequence;
    int64_t base_ns;
    uint64_t base_count;
    unsigned shift;
    /* For align and automatic: CLOCK_REAL less CLOCK_VM when they were together last. */
    bool anchored;
    int64_t anchor_ns, adapted_ns, last_lead_ns;
};

/* --- the clock ----------------------------------------------------------------------- */

static uint64_t count_of(const Vcpu *vcpu)
{
    return __atomic_load_n(vcpu->icount_done, __ATOMIC_RELAXED);
}

static uint64_t total_count(const Icount *ic)
{
    uint64_t total = 0;

    for (unsigned i = 0; i < ic->vcpus->len; i++) {
        total += count_of(g_ptr_array_index(ic->vcpus, i));
    }
    return total;
}

static int64_t icount_now(void *opaque)
{
    Icount *ic = opaque;
    unsigned sequence;
    int64_t now;

    do {
        while ((sequence = atomic_load(&ic->sequence)) & 1) {
        }
        now = ic->base_ns + (int64_t)((total_count(ic) - ic->base_count) << ic->shift);
        atomic_thread_fence(memory_order_acquire);
    } while (atomic_load(&ic->sequence) != sequence);
    return now;
}

/* From here on the clock shows @now and an instruction takes 2^@shift ns. */
static void rebase(Icount *ic, int64_t now, unsigned shift)
{
    atomic_fetch_add(&ic->sequence, 1);
    ic->base_ns = now;
    ic->base_count = total_count(ic);
    ic->shift = shift;
    atomic_fetch_add(&ic->sequence, 1);
}

static Vcpu *current(const Icount *ic)
{
    return g_ptr_array_index(ic->vcpus, ic->turn);
}

/* Instructions until CLOCK_VM reaches @deadline; 0 if it has. */
static uint64_t instructions_until(Icount *ic, int64_t deadline)
{
    int64_t left = deadline - icount_now(ic);

    return left <= 0 ? 0 : ((uint64_t)left + (1u << ic->shift) - 1) >> ic->shift;
}

/* The count at which the running vCPU must come back. */
static void set_limit(Icount *ic)
{
    Vcpu *vcpu = current(ic);
    int64_t deadline = clock_vm_deadline();
    uint64_t limit = ic->turn_end;

    if (deadline != INT64_MAX) {
        limit = MIN(limit, count_of(vcpu) + instructions_until(ic, deadline));
    }
    __atomic_store_n(vcpu->icount_limit, limit, __ATOMIC_RELAXED);
}

/* A timer was set: on the vCPU's own thread the limit holds from its next instruction. */
static void icount_armed(void *opaque)
{
    Icount *ic = opaque;

    if (!ic->vcpus->len) {
        return;
    }
    if (ic->waiting) {
        g_cond_broadcast(&current(ic)->wake);
    } else {
        set_limit(ic);
    }
}

/* --- the host's clock ------------------------------------------------------------------ */

/* How far the machine is ahead of the host's clock. */
static int64_t lead_ns(Icount *ic)
{
    return icount_now(ic) - (clock_ns(CLOCK_REAL) - ic->anchor_ns);
}

/* Makes now the moment at which both clocks are together. */
static void anchor(Icount *ic)
{
    ic->anchor_ns = clock_ns(CLOCK_REAL) - icount_now(ic);
    ic->last_lead_ns = 0;
    ic->anchored = true;
}

/* A step of the shift, when the machine is getting further ahead or behind. */
static void adapt_shift(Icount *ic)
{
    int64_t real = clock_ns(CLOCK_REAL);
    int64_t lead = lead_ns(ic);
    unsigned shift = ic->shift;

    if (real - ic->adapted_ns < ADAPT_NS) {
        return;
    }
    if (lead > ADAPT_NS / 10 && lead >= ic->last_lead_ns && shift > 0) {
        shift--;
    } else if (lead < -ADAPT_NS / 10 && lead <= ic->last_lead_ns && shift < ICOUNT_MAX_SHIFT) {
        shift++;
    }
    ic->adapted_ns = real;
    ic->last_lead_ns = lead;
    if (shift != ic->shift) {
        rebase(ic, icount_now(ic), shift);
    }
}

static bool must_not_wait(Vcpu *vcpu)
{
    return atomic_load(&vcpu->pending) & (VCPU_STOP | VCPU_EXIT);
}

/*
 * Sleeps once on @vcpu's condition, for at most @ns of host time (INT64_MAX: without end), unless
 * @ready says that there is no need now that raisers can see the sleeper.
 */
static void sleep_once(Vcpu *vcpu, bool (*ready)(Vcpu *vcpu), int64_t ns)
{
    atomic_store(&vcpu->waiting, true);
    if (!ready(vcpu)) {
        if (ns == INT64_MAX) {
            machine_lock_wait(&vcpu->wake);
        } else {
            machine_lock_wait_until(&vcpu->wake, g_get_monotonic_time() + ns / 1000 + 1);
        }
    }
    atomic_store(&vcpu->waiting, false);
}

/* Does what the options say of the host's clock; true if time was spent on it. */
static bool keep_pace(Icount *ic, Vcpu *vcpu)
{
    if (!ic->anchored || ABS(lead_ns(ic)) > ANCHOR_LOST_NS) {
        anchor(ic);
    }
    if (ic->options.automatic) {
        adapt_shift(ic);
    }
    if (ic->options.align && lead_ns(ic) > ALIGN_NS) {
        sleep_once(vcpu, must_not_wait, lead_ns(ic));
        return true;
    }
    return false;
}

/* --- turns ------------------------------------------------------------------------------ */

static void begin_turn(Icount *ic, unsigned index)
{
    ic->turn = index;
    ic->turn_end = count_of(current(ic)) + TURN;
    if (atomic_load(&current(ic)->waiting)) {
        g_cond_broadcast(&current(ic)->wake);
    }
}

/* The next vCPU that has something to do, after the one whose turn it is, takes over. */
static bool pass_turn(Icount *ic)
{
    for (unsigned i = 1; i <= ic->vcpus->len; i++) {
        unsigned index = (ic->turn + i) % ic->vcpus->len;

        if (!vcpu_is_idle(g_ptr_array_index(ic->vcpus, index))) {
            begin_turn(ic, index);
            return true;
        }
    }
    return false;
}

static bool all_idle(Vcpu *vcpu)
{
    Icount *ic = vcpu->scheduler_opaque;

    for (unsigned i = 0; i < ic->vcpus->len; i++) {
        if (!vcpu_is_idle(g_ptr_array_index(ic->vcpus, i))) {
            return false;
        }
    }
    return !must_not_wait(vcpu);
}

static bool some_work(Vcpu *vcpu)
{
    return !all_idle(vcpu);
}

/*
 * All are idle: on to the next timer, at once or as the host's clock goes. What comes from outside
 * meanwhile comes at the time that has passed.
 */
static void idle(Icount *ic, Vcpu *vcpu)
{
    int64_t deadline = clock_vm_deadline();
    int64_t begin = clock_ns(CLOCK_REAL), now = icount_now(ic), passed;

    if (deadline != INT64_MAX && deadline <= now) {
        clock_vm_run();
        return;
    }
    if (deadline == INT64_MAX || ic->options.sleep) {
        ic->waiting = true;
        sleep_once(vcpu, some_work, deadline == INT64_MAX ? INT64_MAX : deadline - now);
        ic->waiting = false;
        deadline = MIN(deadline, clock_vm_deadline());
        passed = clock_ns(CLOCK_REAL) - begin;
        if (ic->options.sleep) {
            now += MIN(passed, MAX(deadline - now, 0));
        }
    } else {
        now = deadline;
    }
    rebase(ic, now, ic->shift);
}

static bool may_run(Vcpu *vcpu)
{
    const Icount *ic = vcpu->scheduler_opaque;

    return current(ic) == vcpu || must_not_wait(vcpu) || (ic->waiting && !vcpu_is_idle(vcpu));
}

/* Another's turn; where that one waits for events and here is one, it is told. */
static void wait_for_turn(Icount *ic, Vcpu *vcpu)
{
    if (ic->waiting && !vcpu_is_idle(vcpu)) {
        g_cond_broadcast(&current(ic)->wake);
        ic->waiting = false;
    }
    sleep_once(vcpu, may_run, INT64_MAX);
}

/* Guest code, at least one instruction whatever timers are overdue, until the limit. */
static void run(Icount *ic, Vcpu *vcpu)
{
    set_limit(ic);
    *vcpu->icount_limit = MAX(*vcpu->icount_limit, count_of(vcpu) + 1);
    machine_unlock();
    vcpu->ops->run(vcpu);
    machine_lock();
    if (clock_vm_deadline() <= icount_now(ic)) {
        clock_vm_run();
    }
}

static void icount_turn(Vcpu *vcpu)
{
    Icount *ic = vcpu->scheduler_opaque;

    if (current(ic) != vcpu) {
        wait_for_turn(ic, vcpu);
        return;
    }
    if (vcpu_is_idle(vcpu) || count_of(vcpu) >= ic->turn_end) {
        if (!pass_turn(ic)) {
            idle(ic, vcpu);
        }
        return;
    }
    if ((ic->options.automatic || ic->options.align) && keep_pace(ic, vcpu)) {
        return;
    }
    run(ic, vcpu);
}

/* Its turn ends soon. */
static void icount_woke_other(Vcpu *vcpu)
{
    Icount *ic = vcpu->scheduler_opaque;
    uint64_t end = count_of(current(ic)) + TURN_AFTER_WAKE;

    ic->turn_end = MIN(ic->turn_end, end);
    *current(ic)->icount_limit = MIN(*current(ic)->icount_limit, ic->turn_end);
}

/* Its turn ends with this instruction. */
static void icount_yield(Vcpu *vcpu)
{
    Icount *ic = vcpu->scheduler_opaque;

    if (ic->vcpus->len > 1) {
        ic->turn_end = count_of(vcpu);
        *vcpu->icount_limit = MIN(*vcpu->icount_limit, ic->turn_end);
    }
}

static const VcpuScheduler icount_scheduler = {
    .turn = icount_turn,
    .woke_other = icount_woke_other,
    .yield = icount_yield,
};

/* --- life -------------------------------------------------------------------------------- */

Icount *icount_new(const IcountOptions *options)
{
    Icount *ic = g_new0(Icount, 1);
    ClockDriver driver = { icount_now, icount_armed, ic };

    ic->options = *options;
    ic->shift = options->shift;
    ic->vcpus = g_ptr_array_new();
    clock_vm_drive(&driver);
    return ic;
}

void icount_free(Icount *ic)
{
    clock_vm_drive(NULL);
    g_ptr_array_free(ic->vcpus, true);
    g_free(ic);
}

void icount_add_vcpu(Icount *ic, Vcpu *vcpu)
{
    g_assert(vcpu->index == ic->vcpus->len);
    g_ptr_array_add(ic->vcpus, vcpu);
    vcpu->scheduler = &icount_scheduler;
    vcpu->scheduler_opaque = ic;
    *vcpu->icount_limit = 0;
    if (vcpu->index == 0) {
        ic->turn_end = TURN;
    }
}

void icount_remove_vcpu(Vcpu *vcpu)
{
    Icount *ic = vcpu->scheduler_opaque;

    if (vcpu->scheduler == &icount_scheduler) {
        int64_t now = icount_now(ic);

        g_ptr_array_remove(ic->vcpus, vcpu);
        vcpu->scheduler = NULL;
        rebase(ic, now, ic->shift);
    }
}
