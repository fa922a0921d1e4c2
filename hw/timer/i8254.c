/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The 8254 interval timer and port 0x61 of the PC: counter 0 on IRQ 0, counter 1 for the refresh
 * bit, counter 2 for the speaker. Nothing ticks: what a counter holds is computed from the
 * clock, and one host timer runs for the next edge of counter 0. Source: Intel 82C54 datasheet
 * (231244-006).
 */
#include "accel/machine.h"
#include "hw/core/isa.h"
#include "hw/core/machine.h"
#include "util/timer.h"

#define PIT_HZ 1193182
#define PIT_COUNTERS 3
/* A guest may program a rate of 600 kHz; the host serves no more than 50,000 edges a second. */
#define PIT_MIN_GAP_NS 20000
#define REFRESH_NS 15085 /* counter 1 as the BIOS sets it: 18 clocks */

enum {
    CONTROL_BCD = 0x01,
    CONTROL_RW = 0x30,
    CONTROL_READBACK = 0xc0,
    READBACK_NO_COUNT = 0x20,
    READBACK_NO_STATUS = 0x10,
    STATUS_OUT = 0x80,
    STATUS_NULL = 0x40,
};

enum {
    PORT61_GATE2 = 0x01,
    PORT61_SPEAKER = 0x02,
    PORT61_WRITABLE = 0x0f,
    PORT61_REFRESH = 0x10,
    PORT61_OUT2 = 0x20,
};

typedef enum { RW_LATCH, RW_LOW, RW_HIGH, RW_BOTH } PitAccess;

typedef struct PitCounter {
    uint8_t control;      /* bits 5:0 of the control word as written */
    uint8_t mode;         /* 0 to 5 */
    bool gate;
    bool loaded;          /* a count was written since the control word */
    bool triggered;       /* modes 1 and 5: the gate has risen since */
    bool write_high_next;
    bool read_high_next;
    uint8_t write_low;    /* first byte of a two-byte write */
    bool count_latched;
    bool status_latched;
    uint16_t latch;
    uint8_t status;
    uint32_t count;       /* the count in use, 1 to 65536 */
    uint32_t next_count;  /* taken over at the next reload; 0: none */
    int64_t start_ns;     /* CLOCK_VM when @count was loaded */
    uint64_t stopped_at;  /* clocks since the load when the gate went low */
} PitCounter;

typedef struct Pit {
    IsaDevice parent;
    const AccelMachine *accel; /* where it lives, this is a front end then; NULL: here */
    PitCounter counter[PIT_COUNTERS];
    uint8_t port61;
    uint8_t irq_level;    /* what the edge that @timer waits for goes to */
    Timer *timer;
    IrqLine *irq;
} Pit;

/* --- A counter as a function of time ------------------------------------------- */

static int64_t clocks_to_ns(uint64_t clocks)
{
    /* Rounded up, so that at this time the clock has been counted. */
    return (int64_t)(((unsigned __int128)clocks * NS_PER_SECOND + PIT_HZ - 1) / PIT_HZ);
}

static bool counter_is_periodic(const PitCounter *c)
{
    return c->mode == 2 || c->mode == 3;
}

static bool counter_is_gated(const PitCounter *c)
{
    return c->mode != 1 && c->mode != 5;
}

/* Clocks since the count was loaded; 0 also before. The load takes one clock itself. */
static uint64_t counter_clocks(const PitCounter *c, int64_t now)
{
    if (counter_is_gated(c) && !c->gate) {
        return c->stopped_at;
    }
    return now <= c->start_ns ? 0 : muldiv64(now - c->start_ns, PIT_HZ, NS_PER_SECOND);
}

static bool counter_running(const PitCounter *c)
{
    return c->loaded && (counter_is_gated(c) || c->triggered);
}

/* Clocks of the first half of a mode 3 period: the odd clock belongs to it. */
static uint32_t counter_high_half(const PitCounter *c)
{
    return (c->count + 1) / 2;
}

static bool counter_out_at(const PitCounter *c, uint64_t clocks)
{
    switch (c->mode) {
    case 0:
    case 1:
        return clocks >= c->count;
    case 2:
        return clocks % c->count != c->count - 1;
    case 3:
        return clocks % c->count < counter_high_half(c);
    default: /* 4 and 5: low for the one clock of terminal count */
        return clocks != c->count;
    }
}

static bool counter_out(const PitCounter *c, int64_t now)
{
    if (!counter_running(c)) {
        return c->mode != 0;
    }
    if (counter_is_periodic(c) && !c->gate) {
        return true;
    }
    return counter_out_at(c, counter_clocks(c, now));
}

/* What the counting element holds, in binary. */
static uint32_t counter_value(const PitCounter *c, int64_t now)
{
    uint32_t modulus = c->control & CONTROL_BCD ? 10000 : 65536;
    uint64_t clocks = counter_clocks(c, now);
    uint64_t phase;

    if (!counter_running(c)) {
        return c->count % modulus;
    }
    switch (c->mode) {
    case 2:
        return c->count - clocks % c->count;
    case 3: /* counts down by two, twice a period; odd counts start from one less */
        phase = clocks % c->count;
        if (phase >= counter_high_half(c)) {
            phase -= counter_high_half(c);
        }
        return (c->count & ~1u) - 2 * MIN(phase, (c->count - 1) / 2);
    default: /* goes on past zero */
        return (c->count + modulus - clocks % modulus) % modulus;
    }
}

/* Takes over a count that was written while a period was running, once that has ended. */
static void counter_sync(PitCounter *c, int64_t now)
{
    uint64_t clocks, step;

    if (!c->next_count || !counter_is_periodic(c) || !c->gate) {
        return;
    }
    clocks = counter_clocks(c, now);
    /* Mode 2 reloads when the period ends, mode 3 already at the end of a half-cycle; it is counted
     * here from the end of the whole period, where OUT is high as after any load. */
    step = c->count;
    if (now > c->start_ns && clocks >= step) {
        c->start_ns += clocks_to_ns(step);
        c->count = c->next_count;
        c->next_count = 0;
    }
}

static void counter_load(PitCounter *c, uint32_t count, int64_t now)
{
    c->count = count;
    c->next_count = 0;
    c->start_ns = now + clocks_to_ns(1);
    c->stopped_at = 0;
}

static void counter_set_gate(PitCounter *c, bool gate, int64_t now)
{
    if (gate == c->gate) {
        return;
    }
    if (!gate) {
        c->stopped_at = counter_clocks(c, now);
        c->gate = false;
        return;
    }
    c->gate = true;
    if (!c->loaded) {
        return;
    }
    if (c->mode == 0 || c->mode == 4) {
        c->start_ns = now - clocks_to_ns(c->stopped_at);
    } else {
        counter_load(c, c->next_count ? c->next_count : c->count, now);
        c->triggered = true;
    }
}

/* --- Counter 0 drives IRQ 0 ---------------------------------------------------- */

/* The first change of the IRQ line after @clocks; false if there is none. */
static bool counter_next_edge(const PitCounter *c, uint64_t clocks, uint64_t *edge, uint8_t *level)
{
    uint64_t phase = clocks % c->count;

    *level = 1;
    switch (c->mode) {
    case 0:
    case 1:
        *edge = c->count;
        return clocks < c->count;
    case 2: /* the low clock before it is too short to be worth a timer: pulsed with the edge */
        *edge = clocks - phase + c->count;
        return true;
    case 3:
        *level = phase >= counter_high_half(c);
        *edge = clocks - phase + (*level ? c->count : counter_high_half(c));
        return true;
    default:
        *edge = c->count + 1;
        return clocks <= c->count;
    }
}

/*
 * @now is the reading of the clock that the line's level was taken from: an edge after it is still
 * to come, however long the host keeps this thread from its next reading.
 */
static void pit_arm(Pit *s, int64_t now, int64_t earliest)
{
    PitCounter *c = &s->counter[0];
    uint64_t edge;

    counter_sync(c, now);
    if (!counter_running(c) || (counter_is_gated(c) && !c->gate) ||
        !counter_next_edge(c, counter_clocks(c, now), &edge, &s->irq_level)) {
        timer_del(s->timer);
        return;
    }
    timer_mod(s->timer, MAX(c->start_ns + clocks_to_ns(edge), earliest));
}

static void pit_expire(void *opaque)
{
    Pit *s = opaque;
    int64_t now = clock_ns(CLOCK_VM);

    if (s->irq_level) {
        irq_set(s->irq, 0);
    }
    irq_set(s->irq, s->irq_level);
    pit_arm(s, now, now + PIT_MIN_GAP_NS);
}

/* After a write: the line follows OUT at once, the timer waits for its next edge. */
static void pit_update_irq(Pit *s)
{
    int64_t now = clock_ns(CLOCK_VM);

    irq_set(s->irq, counter_out(&s->counter[0], now));
    pit_arm(s, now, 0);
}

/* --- Registers ----------------------------------------------------------------- */

static uint16_t to_bcd(uint32_t value)
{
    return value % 10 | value / 10 % 10 << 4 | value / 100 % 10 << 8 | value / 1000 % 10 << 12;
}

static uint32_t from_bcd(uint16_t bcd)
{
    return (bcd & 15) + (bcd >> 4 & 15) * 10 + (bcd >> 8 & 15) * 100 + (bcd >> 12) * 1000;
}

static uint16_t counter_read_out(PitCounter *c, int64_t now)
{
    uint32_t value;

    counter_sync(c, now);
    value = counter_value(c, now);
    return c->control & CONTROL_BCD ? to_bcd(value) : value;
}

static void counter_latch_count(PitCounter *c, int64_t now)
{
    if (!c->count_latched) { /* a second latch command before the read is ignored */
        c->latch = counter_read_out(c, now);
        c->count_latched = true;
    }
}

static void counter_latch_status(PitCounter *c, int64_t now)
{
    bool null_count = !c->loaded || c->next_count || now < c->start_ns;

    if (!c->status_latched) {
        counter_sync(c, now);
        c->status = (counter_out(c, now) ? STATUS_OUT : 0) | (null_count ? STATUS_NULL : 0) |
                    c->control;
        c->status_latched = true;
    }
}

static void pit_readback(Pit *s, uint8_t value, int64_t now)
{
    for (unsigned n = 0; n < PIT_COUNTERS; n++) {
        if (!(value & (2u << n))) {
            continue;
        }
        if (!(value & READBACK_NO_COUNT)) {
            counter_latch_count(&s->counter[n], now);
        }
        if (!(value & READBACK_NO_STATUS)) {
            counter_latch_status(&s->counter[n], now);
        }
    }
}

static void pit_write_control(Pit *s, uint8_t value, int64_t now)
{
    PitCounter *c = &s->counter[value >> 6 & 3];
    uint8_t mode = value >> 1 & 7;

    if ((value & CONTROL_READBACK) == CONTROL_READBACK) {
        pit_readback(s, value, now);
        return;
    }
    if (!(value & CONTROL_RW)) {
        counter_latch_count(c, now);
        return;
    }
    c->count = counter_value(c, now);
    c->count = c->count ? c->count : 65536;
    c->control = value & 0x3f;
    c->mode = mode > 5 ? mode - 4 : mode; /* the top bit is "don't care" for modes 2 and 3 */
    c->loaded = false;
    c->triggered = false;
    c->write_high_next = false;
    c->read_high_next = false;
    c->count_latched = false;
    c->next_count = 0;
    c->stopped_at = 0;
}

static void counter_write_count(PitCounter *c, uint16_t raw, int64_t now)
{
    bool bcd = c->control & CONTROL_BCD;
    uint32_t count = bcd ? from_bcd(raw) : raw;

    if (count == 0) {
        count = bcd ? 10000 : 65536;
    }
    if (c->loaded && !(c->mode == 0 || c->mode == 4)) {
        c->next_count = count; /* the running period, or the next trigger's, is not disturbed */
        return;
    }
    counter_load(c, count, now);
    c->loaded = true;
}

static void counter_write(PitCounter *c, uint8_t value, int64_t now)
{
    counter_sync(c, now);
    switch ((c->control & CONTROL_RW) >> 4) {
    case RW_LOW:
        counter_write_count(c, value, now);
        break;
    case RW_HIGH:
        counter_write_count(c, value << 8, now);
        break;
    case RW_BOTH:
        if (c->write_high_next) {
            counter_write_count(c, value << 8 | c->write_low, now);
        } else {
            c->write_low = value;
            /* Mode 0: "writing the first byte disables counting. OUT is set low immediately." */
            c->loaded = c->loaded && c->mode != 0;
        }
        c->write_high_next = !c->write_high_next;
        break;
    default: /* no control word yet */
        break;
    }
}

static uint8_t counter_read(PitCounter *c, int64_t now)
{
    uint16_t value;
    bool high;

    if (c->status_latched) { /* a latched status comes first, whatever was latched first */
        c->status_latched = false;
        return c->status;
    }
    value = c->count_latched ? c->latch : counter_read_out(c, now);
    high = (c->control & CONTROL_RW) >> 4 == RW_HIGH;
    if ((c->control & CONTROL_RW) >> 4 == RW_BOTH) {
        high = c->read_high_next;
        c->read_high_next = !high;
        c->count_latched = c->count_latched && !high;
    } else {
        c->count_latched = false;
    }
    return high ? value >> 8 : value;
}

static uint64_t pit_read(void *opaque, uint64_t offset, unsigned size)
{
    Pit *s = opaque;
    /* The control register cannot be read: the bus floats. */
    return offset == 3 ? 0xff : counter_read(&s->counter[offset], clock_ns(CLOCK_VM));
}

static void pit_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    Pit *s = opaque;
    int64_t now = clock_ns(CLOCK_VM);

    if (offset == 3) {
        pit_write_control(s, value, now);
    } else {
        counter_write(&s->counter[offset], value, now);
    }
    if (offset == 0 || (offset == 3 && value < 0x40 && (value & CONTROL_RW))) {
        pit_update_irq(s);
    }
}

static uint64_t port61_read(void *opaque, uint64_t offset, unsigned size)
{
    Pit *s = opaque;
    int64_t now = clock_ns(CLOCK_VM);

    counter_sync(&s->counter[2], now);
    return s->port61 | (now / REFRESH_NS & 1 ? PORT61_REFRESH : 0) |
           (counter_out(&s->counter[2], now) ? PORT61_OUT2 : 0);
}

static void port61_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    Pit *s = opaque;
    int64_t now = clock_ns(CLOCK_VM);

    s->port61 = value & PORT61_WRITABLE;
    counter_sync(&s->counter[2], now);
    counter_set_gate(&s->counter[2], value & PORT61_GATE2, now);
}

static const MemoryOps pit_ops = { pit_read, pit_write, 1, 1 };
static const MemoryOps port61_ops = { port61_read, port61_write, 1, 1 };

/* --- In the accelerator ---------------------------------------------------------- */

static void pit_front_get(Pit *s)
{
    int64_t now = clock_ns(CLOCK_VM);
    AccelPit state;

    s->accel->ops->get_pit(s->accel->instance, &state);
    for (unsigned n = 0; n < PIT_COUNTERS; n++) {
        const AccelPitCounter *c = &state.counter[n];
        s->counter[n] = (PitCounter){
            .control = c->access << 4 | c->mode << 1 | (c->bcd ? CONTROL_BCD : 0),
            .mode = c->mode, .gate = c->gate, .loaded = c->programmed,
            .triggered = c->programmed && c->gate, .write_high_next = c->write_high_next,
            .read_high_next = c->read_high_next, .write_low = c->write_low,
            .count_latched = c->count_latched, .status_latched = c->status_latched,
            .latch = c->latch, .status = c->status, .count = c->count,
            .start_ns = MAX(now - c->elapsed_ns, 0),
        };
    }
    s->port61 = (state.counter[2].gate ? PORT61_GATE2 : 0) |
                (state.speaker_data ? PORT61_SPEAKER : 0);
}

static void pit_front_put(const Pit *s)
{
    AccelPit state = {.speaker_data = s->port61 & PORT61_SPEAKER};

    for (unsigned n = 0; n < PIT_COUNTERS; n++) {
        const PitCounter *c = &s->counter[n];
        state.counter[n] = (AccelPitCounter){
            .programmed = c->loaded, .mode = c->mode, .access = (c->control & CONTROL_RW) >> 4,
            .bcd = c->control & CONTROL_BCD, .gate = c->gate, .count = c->count,
            .count_latched = c->count_latched, .status_latched = c->status_latched,
            .latch = c->latch, .status = c->status, .write_low = c->write_low,
            .read_high_next = c->read_high_next, .write_high_next = c->write_high_next,
        };
    }
    s->accel->ops->put_pit(s->accel->instance, &state);
}

static void pit_pre_save(void *object)
{
    Pit *s = object;

    if (s->accel) {
        pit_front_get(s);
    }
}

static bool pit_post_load(void *object, int version, GError **error)
{
    Pit *s = object;

    if (s->accel) {
        pit_front_put(s);
        timer_del(s->timer);
    }
    return true;
}

/* --- State, life cycle --------------------------------------------------------- */

static bool counter_post_load(void *object, int version, GError **error)
{
    PitCounter *c = object;

    if (c->mode > 5 || c->count < 1 || c->count > 65536 || c->next_count > 65536 ||
        c->start_ns < 0 || c->start_ns > G_MAXINT64 / 4 || c->stopped_at > G_MAXINT64 / 4) {
        g_set_error(error, DEVICE_ERROR, 0,
                    "8254 counter state is not one of its states");
        return false;
    }
    c->control &= 0x3f;
    return true;
}

static const StateTable counter_state = {
    .name = "i8254.counter",
    .version = 1,
    .minimum_version = 1,
    .fields = (const StateField[]) {
        STATE_UINT_FIELD(PitCounter, control),
        STATE_UINT_FIELD(PitCounter, mode),
        STATE_BOOL_FIELD(PitCounter, gate),
        STATE_BOOL_FIELD(PitCounter, loaded),
        STATE_BOOL_FIELD(PitCounter, triggered),
        STATE_BOOL_FIELD(PitCounter, write_high_next),
        STATE_BOOL_FIELD(PitCounter, read_high_next),
        STATE_UINT_FIELD(PitCounter, write_low),
        STATE_BOOL_FIELD(PitCounter, count_latched),
        STATE_BOOL_FIELD(PitCounter, status_latched),
        STATE_UINT_FIELD(PitCounter, latch),
        STATE_UINT_FIELD(PitCounter, status),
        STATE_UINT_FIELD(PitCounter, count),
        STATE_UINT_FIELD(PitCounter, next_count),
        STATE_UINT_FIELD(PitCounter, start_ns),
        STATE_UINT_FIELD(PitCounter, stopped_at),
        STATE_END,
    },
    .post_load = counter_post_load,
};

static const StateTable pit_state = {
    .name = "i8254",
    .version = 1,
    .minimum_version = 1,
    .fields = (const StateField[]) {
        STATE_STRUCT_ARRAY(Pit, counter, counter_state),
        STATE_UINT_FIELD(Pit, port61),
        STATE_UINT_FIELD(Pit, irq_level),
        STATE_TIMER_FIELD(Pit, timer),
        STATE_END,
    },
    .pre_save = pit_pre_save,
    .post_load = pit_post_load,
};

static void pit_reset(Device *device)
{
    Pit *s = (Pit *)device;
    int64_t now = clock_ns(CLOCK_VM);

    /* Undefined after power-up (datasheet p. 5): here the counters stand until they are
     * programmed. */
    for (unsigned n = 0; n < PIT_COUNTERS; n++) {
        s->counter[n] = (PitCounter) { .control = 0x36, .mode = 3, .gate = n != 2 };
        counter_load(&s->counter[n], 65536, now);
    }
    s->port61 = 0;
    if (s->accel) {
        pit_front_put(s);
        return;
    }
    pit_update_irq(s);
}

static bool pit_realize(Device *device, GError **error)
{
    Pit *s = (Pit *)device;

    s->timer = timer_new(CLOCK_VM, pit_expire, s);
    if (accel_has(device->machine->accel, ACCEL_PIT)) {
        s->accel = device->machine->accel;
        return true;
    }
    s->irq = isa_irq(&s->parent, 0, error);
    if (!s->irq || !isa_port_map(&s->parent, 0x40, 4, &pit_ops, s, error) ||
        !isa_port_map(&s->parent, 0x61, 1, &port61_ops, s, error)) {
        timer_free(s->timer);
        return false;
    }
    return true;
}

static void pit_unrealize(Device *device)
{
    Pit *s = (Pit *)device;

    isa_ports_unmap(&s->parent);
    timer_free(s->timer);
}

static const Property pit_properties[] = { PROP_END };

static const DeviceType pit_type = {
    .name = "i8254",
    .aliases = (const char *const[]) { "isa-pit", NULL },
    .desc = "8254 interval timer and port 61h",
    .category = "Timer",
    .bus = "isa",
    .size = sizeof(Pit),
    .properties = pit_properties,
    .state = &pit_state,
    .realize = pit_realize,
    .unrealize = pit_unrealize,
    .reset = pit_reset,
    .ports = (const PortClaim[]) { { NULL, 0x40, 4 }, { NULL, 0x61, 1 }, { NULL, 0, 0 } },
    .not_for_users = "part of the board: the machine file places it",
};
DEVICE_TYPE(pit_type);
