/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The MC146818 real-time clock with 128 bytes of CMOS. The time is an offset to a host clock,
 * made into registers when they are read; a host timer runs only while an enabled interrupt is
 * awaited. Sources: Motorola MC146818A datasheet; the CMOS map that SeaBIOS documents in its
 * src/hw/rtc.h.
 */
#include "hw/timer/mc146818rtc.h"

#include <time.h>

#include "hw/core/isa.h"
#include "hw/core/machine.h"
#include "util/timer.h"

enum {
    RTC_SECONDS = 0,
    RTC_SECONDS_ALARM = 1,
    RTC_MINUTES = 2,
    RTC_MINUTES_ALARM = 3,
    RTC_HOURS = 4,
    RTC_HOURS_ALARM = 5,
    RTC_WEEKDAY = 6,
    RTC_DAY = 7,
    RTC_MONTH = 8,
    RTC_YEAR = 9,
    RTC_A = 10,
    RTC_B = 11,
    RTC_C = 12,
    RTC_D = 13,
    RTC_CENTURY = 0x32,
};

enum {
    A_UIP = 0x80,
    A_RATE = 0x0f,
    B_SET = 0x80,
    B_INTERRUPTS = 0x70, /* PIE, AIE, UIE, at the places PF, AF, UF have in C */
    B_PERIODIC = 0x40,
    B_ALARM = 0x20,
    B_UPDATE = 0x10,
    B_SQUARE_WAVE = 0x08,
    B_BINARY = 0x04,
    B_24_HOURS = 0x02,
    C_IRQF = 0x80,
    D_VALID = 0x80,
    HOUR_PM = 0x80,
    ALARM_ANY = 0xc0, /* both bits set: "don't care" */
};

#define CMOS_SIZE 128
#define RTC_CRYSTAL_HZ 32768
#define RTC_UIP_NS 244000 /* UIP rises this long before the update (datasheet figure 13) */
#define SECONDS_PER_DAY 86400
/* Nanoseconds in 64 bits reach from 1677 to 2262. A guest that sets a year beyond
 * these bounds (1900 and 2223) reads back the bound. */
#define RTC_MIN_SECONDS (-2208988800ll)
#define RTC_MAX_SECONDS 8000000000ll
#define CMOS_MIB (1024 * 1024ull)

typedef struct Rtc {
    IsaDevice parent;
    char *base;           /* property: "utc", "localtime" or a date */
    int clock;            /* property: index into rtc_clocks */
    uint8_t cmos[CMOS_SIZE]; /* time registers are current only while the clock is stopped */
    uint8_t index;
    int64_t offset_ns;    /* RTC time, ns since 1970, minus host clock */
    int64_t checked_ns;   /* RTC time up to which the flags of register C are set */
    Timer *timer;
    IrqLine *irq;
} Rtc;

static const char *const rtc_clocks[] = { "host", "vm", "rt", NULL };
static const ClockType rtc_clock_types[] = { CLOCK_HOST, CLOCK_VM, CLOCK_REAL };

/* --- Calendar ------------------------------------------------------------------ */

static int64_t floor_div(int64_t a, int64_t b)
{
    return a / b - (a % b < 0);
}

/* Days from 1970-01-01 of a proleptic Gregorian date; months and days out of range carry over. */
static int64_t days_from_date(int64_t year, int64_t month, int64_t day)
{
    int64_t y = year + floor_div(month - 3, 12); /* years from March: the leap day comes last */
    int64_t m = (month - 3) - 12 * floor_div(month - 3, 12);

    return 365 * y + floor_div(y, 4) - floor_div(y, 100) + floor_div(y, 400) + (153 * m + 2) / 5 +
           day - 1 - 719468;
}

static uint8_t rtc_encode(const Rtc *s, unsigned value)
{
    return s->cmos[RTC_B] & B_BINARY ? value : value / 10 << 4 | value % 10;
}

static unsigned rtc_decode(const Rtc *s, uint8_t value)
{
    return s->cmos[RTC_B] & B_BINARY ? value : (value >> 4) * 10 + (value & 15);
}

static uint8_t rtc_encode_hour(const Rtc *s, unsigned hour)
{
    if (s->cmos[RTC_B] & B_24_HOURS) {
        return rtc_encode(s, hour);
    }
    return rtc_encode(s, (hour + 11) % 12 + 1) | (hour >= 12 ? HOUR_PM : 0);
}

static unsigned rtc_decode_hour(const Rtc *s, uint8_t value)
{
    if (s->cmos[RTC_B] & B_24_HOURS) {
        return rtc_decode(s, value);
    }
    return rtc_decode(s, value & 0x7f) % 12 + (value & HOUR_PM ? 12 : 0);
}

static void rtc_registers_from_seconds(Rtc *s, int64_t seconds)
{
    time_t t = seconds;
    struct tm tm;

    gmtime_r(&t, &tm);
    s->cmos[RTC_SECONDS] = rtc_encode(s, tm.tm_sec);
    s->cmos[RTC_MINUTES] = rtc_encode(s, tm.tm_min);
    s->cmos[RTC_HOURS] = rtc_encode_hour(s, tm.tm_hour);
    s->cmos[RTC_WEEKDAY] = rtc_encode(s, tm.tm_wday + 1);
    s->cmos[RTC_DAY] = rtc_encode(s, tm.tm_mday);
    s->cmos[RTC_MONTH] = rtc_encode(s, tm.tm_mon + 1);
    s->cmos[RTC_YEAR] = rtc_encode(s, tm.tm_year % 100);
    s->cmos[RTC_CENTURY] = rtc_encode(s, (tm.tm_year + 1900) / 100);
}

static int64_t rtc_seconds_from_registers(const Rtc *s)
{
    int64_t year = rtc_decode(s, s->cmos[RTC_CENTURY]) * 100 + rtc_decode(s, s->cmos[RTC_YEAR]);
    int64_t days = days_from_date(year, rtc_decode(s, s->cmos[RTC_MONTH]),
                                  rtc_decode(s, s->cmos[RTC_DAY]));

    int64_t seconds = days * SECONDS_PER_DAY + rtc_decode_hour(s, s->cmos[RTC_HOURS]) * 3600 +
                      rtc_decode(s, s->cmos[RTC_MINUTES]) * 60 +
                      rtc_decode(s, s->cmos[RTC_SECONDS]);

    return CLAMP(seconds, RTC_MIN_SECONDS, RTC_MAX_SECONDS);
}

/* --- Time ---------------------------------------------------------------------- */

/* Stopped by SET, or by a divider held in reset (register A, bits 6:4 = 11x). */
static bool rtc_stopped(const Rtc *s)
{
    return (s->cmos[RTC_B] & B_SET) || (s->cmos[RTC_A] & 0x60) == 0x60;
}

static int64_t rtc_now(const Rtc *s)
{
    return clock_ns(rtc_clock_types[s->clock]) + s->offset_ns;
}

static int64_t rtc_now_seconds(const Rtc *s)
{
    return floor_div(rtc_now(s), NS_PER_SECOND);
}

static void rtc_refresh_registers(Rtc *s)
{
    if (!rtc_stopped(s)) {
        rtc_registers_from_seconds(s, rtc_now_seconds(s));
    }
}

/* Makes the registers the time; @fraction_ns is how far into the second it is. */
static void rtc_set_from_registers(Rtc *s, int64_t fraction_ns)
{
    s->offset_ns += rtc_seconds_from_registers(s) * NS_PER_SECOND + fraction_ns - rtc_now(s);
    s->checked_ns = rtc_now(s);
}

/* --- Interrupts ---------------------------------------------------------------- */

/* Nanoseconds between periodic interrupts, 0 for none. Rates 1 and 2 repeat 8 and 9. */
static int64_t rtc_period_ns(const Rtc *s)
{
    unsigned rate = s->cmos[RTC_A] & A_RATE;

    if (rate == 0 || (s->cmos[RTC_A] & 0x60) == 0x60) {
        return 0;
    }
    rate = rate <= 2 ? rate + 7 : rate;
    return (NS_PER_SECOND << (rate - 1)) / RTC_CRYSTAL_HZ;
}

static bool rtc_alarm_matches(int value, unsigned now)
{
    return value < 0 || (unsigned)value == now;
}

/* The first second after @from that matches the alarm; -1 if none does within a day. */
static int64_t rtc_next_alarm(const Rtc *s, int64_t from)
{
    const uint8_t *cmos = s->cmos;
    int hour = cmos[RTC_HOURS_ALARM] >= ALARM_ANY ? -1
                                                  : (int)rtc_decode_hour(s, cmos[RTC_HOURS_ALARM]);
    int minute = cmos[RTC_MINUTES_ALARM] >= ALARM_ANY ? -1
                                                      : (int)rtc_decode(s, cmos[RTC_MINUTES_ALARM]);
    int second = cmos[RTC_SECONDS_ALARM] >= ALARM_ANY ? -1
                                                      : (int)rtc_decode(s, cmos[RTC_SECONDS_ALARM]);
    int64_t t = from + 1;

    while (t <= from + SECONDS_PER_DAY) {
        int64_t of_day = t - floor_div(t, SECONDS_PER_DAY) * SECONDS_PER_DAY;
        if (!rtc_alarm_matches(hour, of_day / 3600)) {
            t += 3600 - of_day % 3600;
        } else if (!rtc_alarm_matches(minute, of_day / 60 % 60)) {
            t += 60 - of_day % 60;
        } else if (!rtc_alarm_matches(second, of_day % 60)) {
            t++;
        } else {
            return t;
        }
    }
    return -1;
}

/* When each event comes next after what was checked; G_MAXINT64 for never. RTC time. */
static int64_t rtc_next_event(const Rtc *s, uint8_t flag)
{
    int64_t second = floor_div(s->checked_ns, NS_PER_SECOND);
    int64_t period = rtc_period_ns(s);
    int64_t alarm;

    if (flag == B_PERIODIC) {
        return period ? (floor_div(s->checked_ns, period) + 1) * period : G_MAXINT64;
    }
    if (rtc_stopped(s)) {
        return G_MAXINT64;
    }
    if (flag == B_UPDATE) {
        return (second + 1) * NS_PER_SECOND;
    }
    alarm = rtc_next_alarm(s, second);
    return alarm < 0 ? G_MAXINT64 : alarm * NS_PER_SECOND;
}

static const uint8_t rtc_flags[] = { B_PERIODIC, B_ALARM, B_UPDATE };

/* Sets the flags of what has happened since the last look. */
static void rtc_update_flags(Rtc *s)
{
    int64_t now = rtc_now(s);

    if (now < s->checked_ns) { /* the host's clock was set back */
        s->checked_ns = now;
    }
    for (unsigned n = 0; n < G_N_ELEMENTS(rtc_flags); n++) {
        if (!(s->cmos[RTC_C] & rtc_flags[n]) && rtc_next_event(s, rtc_flags[n]) <= now) {
            s->cmos[RTC_C] |= rtc_flags[n];
        }
    }
    s->checked_ns = now;
}

/* Drives the line, and waits for the next event that would raise it. */
static void rtc_update_irq(Rtc *s)
{
    uint8_t enabled = s->cmos[RTC_B] & B_INTERRUPTS;
    int64_t next = G_MAXINT64;

    rtc_update_flags(s);
    if (s->cmos[RTC_C] & enabled) {
        s->cmos[RTC_C] |= C_IRQF;
        irq_set(s->irq, 1);
        timer_del(s->timer);
        return;
    }
    s->cmos[RTC_C] &= ~C_IRQF;
    irq_set(s->irq, 0);
    for (unsigned n = 0; n < G_N_ELEMENTS(rtc_flags); n++) {
        if (enabled & rtc_flags[n]) {
            next = MIN(next, rtc_next_event(s, rtc_flags[n]));
        }
    }
    if (next != G_MAXINT64) {
        timer_mod(s->timer, next - s->offset_ns);
    } else {
        timer_del(s->timer);
    }
}

static void rtc_expire(void *opaque)
{
    rtc_update_irq(opaque);
}

/* --- Registers ----------------------------------------------------------------- */

static bool rtc_is_time(uint8_t index)
{
    return index == RTC_CENTURY || (index <= RTC_YEAR && (index > RTC_HOURS_ALARM || !(index & 1)));
}

static uint8_t rtc_read_a(const Rtc *s)
{
    int64_t into = rtc_now(s) - rtc_now_seconds(s) * NS_PER_SECOND;
    bool updating = !rtc_stopped(s) && into >= NS_PER_SECOND - RTC_UIP_NS;

    return s->cmos[RTC_A] | (updating ? A_UIP : 0);
}

/* Reading C clears the flags and lets the line go; a new event can raise it then. */
static uint8_t rtc_read_c(Rtc *s)
{
    uint8_t value;

    rtc_update_flags(s);
    value = s->cmos[RTC_C];
    if (value & s->cmos[RTC_B] & B_INTERRUPTS) {
        value |= C_IRQF;
    }
    s->cmos[RTC_C] = 0;
    rtc_update_irq(s);
    return value;
}

static void rtc_write_a(Rtc *s, uint8_t value)
{
    bool was_stopped = rtc_stopped(s);

    rtc_update_flags(s);
    rtc_refresh_registers(s);
    s->cmos[RTC_A] = value & 0x7f;
    if (was_stopped && !rtc_stopped(s)) {
        /* The first update comes half a second after the divider is released (datasheet p. 14). */
        rtc_set_from_registers(s, NS_PER_SECOND / 2);
    }
    rtc_update_irq(s);
}

static void rtc_write_b(Rtc *s, uint8_t value)
{
    bool was_stopped = rtc_stopped(s);
    int64_t fraction = rtc_now(s) - rtc_now_seconds(s) * NS_PER_SECOND;

    rtc_update_flags(s);
    rtc_refresh_registers(s);
    s->cmos[RTC_B] = value & B_SET ? value & ~B_UPDATE : value; /* SET clears UIE */
    if (was_stopped && !rtc_stopped(s)) {
        rtc_set_from_registers(s, fraction);
    }
    rtc_update_irq(s);
}

static void rtc_write_time(Rtc *s, uint8_t index, uint8_t value)
{
    int64_t fraction = rtc_now(s) - rtc_now_seconds(s) * NS_PER_SECOND;

    rtc_update_flags(s);
    rtc_refresh_registers(s);
    s->cmos[index] = value;
    if (!rtc_stopped(s)) {
        rtc_set_from_registers(s, fraction);
    }
    rtc_update_irq(s);
}

static uint8_t rtc_read_register(Rtc *s)
{
    switch (s->index) {
    case RTC_A:
        return rtc_read_a(s);
    case RTC_C:
        return rtc_read_c(s);
    case RTC_D:
        return D_VALID;
    default:
        if (rtc_is_time(s->index)) {
            rtc_refresh_registers(s);
        }
        return s->cmos[s->index];
    }
}

static void rtc_write_register(Rtc *s, uint8_t value)
{
    switch (s->index) {
    case RTC_A:
        rtc_write_a(s, value);
        break;
    case RTC_B:
        rtc_write_b(s, value);
        break;
    case RTC_C:
    case RTC_D:
        break; /* read-only */
    case RTC_SECONDS_ALARM:
    case RTC_MINUTES_ALARM:
    case RTC_HOURS_ALARM:
        rtc_update_flags(s);
        s->cmos[s->index] = value;
        rtc_update_irq(s);
        break;
    default:
        if (rtc_is_time(s->index)) {
            rtc_write_time(s, s->index, value);
        } else {
            s->cmos[s->index] = value;
        }
        break;
    }
}

static uint64_t rtc_read(void *opaque, uint64_t offset, unsigned size)
{
    return offset == 0 ? 0xff : rtc_read_register(opaque); /* the index cannot be read back */
}

static void rtc_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    Rtc *s = opaque;

    if (offset == 0) {
        s->index = value & (CMOS_SIZE - 1); /* bit 7 masks NMI: no NMI source of the board asks */
    } else {
        rtc_write_register(s, value);
    }
}

static const MemoryOps rtc_ops = { rtc_read, rtc_write, 1, 1 };

void mc146818rtc_set_cmos(Device *device, unsigned index, uint8_t value)
{
    g_assert(index > RTC_D && index < CMOS_SIZE);
    ((Rtc *)device)->cmos[index] = value;
}

/* --- What the board tells the firmware ----------------------------------------- */

static void cmos_store_le(Rtc *s, unsigned index, unsigned bytes, uint64_t value)
{
    for (unsigned n = 0; n < bytes; n++) {
        s->cmos[index + n] = value >> (8 * n);
    }
}

/* Memory sizes where BIOSes look for them: saturated to what each field can say. */
static void cmos_store_memory(Rtc *s, const Machine *machine)
{
    uint64_t below = machine->ram_below_4g;
    uint64_t extended_kib = below > CMOS_MIB ? (below - CMOS_MIB) / 1024 : 0;
    uint64_t above_16m = below > 16 * CMOS_MIB ? (below - 16 * CMOS_MIB) / 65536 : 0;

    cmos_store_le(s, 0x15, 2, MIN(below / 1024, 640));
    cmos_store_le(s, 0x17, 2, MIN(extended_kib, 0xffff));
    cmos_store_le(s, 0x30, 2, MIN(extended_kib, 0xffff));
    cmos_store_le(s, 0x34, 2, MIN(above_16m, 0xffff));
    cmos_store_le(s, 0x5b, 3, MIN(machine->ram_above_4g / 65536, 0xffffff));
}

/* Nibbles for the letters of -boot order: floppy, disk, CD, network. */
static uint8_t cmos_boot_device(char letter)
{
    static const char letters[] = "acdn";
    const char *at = letter ? strchr(letters, letter) : NULL;
    return at ? at - letters + 1 : 0;
}

static void cmos_store_boot_order(Rtc *s, const Machine *machine)
{
    const ConfigGroup *boot = machine->config ? config_find(machine->config, "boot-opts", NULL)
                                              : NULL;
    const char *order = boot ? group_get(boot, "order") : NULL;
    uint8_t device[3] = { 0 };

    order = order ? order : "cad";
    for (unsigned n = 0; n < 3 && order[n]; n++) {
        device[n] = cmos_boot_device(order[n]);
    }
    s->cmos[0x3d] = device[1] << 4 | device[0];
    s->cmos[0x38] = device[2] << 4;
}

static void rtc_machine_ready(void *opaque)
{
    Rtc *s = opaque;
    const Machine *machine = s->parent.device.machine;
    unsigned sum = 0;

    cmos_store_memory(s, machine);
    cmos_store_boot_order(s, machine);
    s->cmos[0x14] |= 0x06; /* equipment: coprocessor and pointing device */
    s->cmos[0x5f] = MAX(machine->smp_cpus, 1) - 1;
    for (unsigned n = 0x10; n <= 0x2d; n++) {
        sum += s->cmos[n];
    }
    s->cmos[0x2e] = sum >> 8; /* the one big-endian field of the map */
    s->cmos[0x2f] = sum;
}

/* --- State, life cycle --------------------------------------------------------- */

static bool rtc_post_load(void *object, int version, GError **error)
{
    Rtc *s = object;

    int64_t seconds = rtc_now_seconds(s);

    if (seconds < RTC_MIN_SECONDS || seconds > RTC_MAX_SECONDS + SECONDS_PER_DAY) {
        g_set_error(error, DEVICE_ERROR, 0, "RTC time is out of range");
        return false;
    }
    s->checked_ns = MIN(s->checked_ns, rtc_now(s));
    s->index &= CMOS_SIZE - 1;
    return true;
}

static const StateTable rtc_state = {
    .name = "mc146818rtc",
    .version = 1,
    .minimum_version = 1,
    .fields = (const StateField[]) {
        STATE_BYTES_FIELD(Rtc, cmos),
        STATE_UINT_FIELD(Rtc, index),
        STATE_UINT_FIELD(Rtc, offset_ns),
        STATE_UINT_FIELD(Rtc, checked_ns),
        STATE_TIMER_FIELD(Rtc, timer),
        STATE_END,
    },
    .post_load = rtc_post_load,
};

/* RESET leaves time and CMOS (with the shutdown status 0Fh) alone: the battery keeps them. */
static void rtc_reset(Device *device)
{
    Rtc *s = (Rtc *)device;

    s->cmos[RTC_B] &= ~(B_INTERRUPTS | B_SQUARE_WAVE);
    s->cmos[RTC_C] = 0;
    rtc_update_irq(s);
}

/* Seconds to add to the host's clock (or the time to start at) for @base. */
static bool rtc_parse_base(const char *base, int64_t *start, GError **error)
{
    int64_t now = clock_ns(CLOCK_HOST) / NS_PER_SECOND;
    g_autoptr(GTimeZone) utc = g_time_zone_new_utc();
    g_autoptr(GDateTime) date = NULL;
    g_autofree char *midnight = NULL;

    if (strcmp(base, "utc") == 0) {
        *start = now;
        return true;
    }
    if (strcmp(base, "localtime") == 0) {
        g_autoptr(GDateTime) local = g_date_time_new_from_unix_local(now);
        *start = now + g_date_time_get_utc_offset(local) / G_TIME_SPAN_SECOND;
        return true;
    }
    midnight = strchr(base, 'T') ? g_strdup(base) : g_strconcat(base, "T00:00:00", NULL);
    date = g_date_time_new_from_iso8601(midnight, utc);
    if (!date) {
        g_set_error(error, DEVICE_ERROR, 0,
                    "mc146818rtc: base '%s' is neither utc, localtime nor a date like "
                    "2026-11-22T12:00:00",
                    base);
        return false;
    }
    *start = CLAMP(g_date_time_to_unix(date), RTC_MIN_SECONDS, RTC_MAX_SECONDS);
    return true;
}

/* -rtc speaks to the board's clock: its group overrides the properties. */
static bool rtc_apply_options(Rtc *s, GError **error)
{
    const Config *config = s->parent.device.machine->config;
    const ConfigGroup *group = config ? config_find(config, "rtc", NULL) : NULL;
    static const char *const names[] = { "base", "clock" };

    for (unsigned n = 0; group && n < G_N_ELEMENTS(names); n++) {
        const char *value = group_get(group, names[n]);
        if (value && !device_property_set(&s->parent.device, names[n], value, error)) {
            return false;
        }
    }
    return true;
}

static bool rtc_realize(Device *device, GError **error)
{
    Rtc *s = (Rtc *)device;
    int64_t start, fraction;

    s->irq = isa_irq(&s->parent, 8, error);
    if (!s->irq || !rtc_apply_options(s, error) ||
        !rtc_parse_base(s->base ? s->base : "utc", &start, error) ||
        !isa_port_map(&s->parent, 0x70, 2, &rtc_ops, s, error)) {
        return false;
    }
    machine_gather_ports(device->machine, 0x70, 1, true); /* the index */
    fraction = clock_ns(CLOCK_HOST) % NS_PER_SECOND;
    s->offset_ns = start * NS_PER_SECOND + fraction - clock_ns(rtc_clock_types[s->clock]);
    s->cmos[RTC_A] = 0x26; /* 32.768 kHz, 1024 Hz, as every BIOS leaves it */
    s->cmos[RTC_B] = B_24_HOURS;
    s->checked_ns = rtc_now(s);
    s->timer = timer_new(rtc_clock_types[s->clock], rtc_expire, s);
    machine_on_ready(device->machine, rtc_machine_ready, s);
    return true;
}

static void rtc_unrealize(Device *device)
{
    Rtc *s = (Rtc *)device;

    machine_gather_ports(device->machine, 0x70, 1, false);
    isa_ports_unmap(&s->parent);
    timer_free(s->timer);
}

static const Property rtc_properties[] = {
    PROP(PROP_STRING, Rtc, base, "base", "utc, localtime, or the date and time to start at", "utc"),
    PROP(PROP_ENUM, Rtc, clock, "clock",
         "clock that drives it: the host's wall clock, guest time, or the host's monotonic clock",
         "host", .choices = rtc_clocks),
    PROP_END,
};

static const DeviceType rtc_type = {
    .name = "mc146818rtc",
    .desc = "MC146818 real-time clock and CMOS",
    .category = "Timer",
    .bus = "isa",
    .size = sizeof(Rtc),
    .properties = rtc_properties,
    .state = &rtc_state,
    .realize = rtc_realize,
    .unrealize = rtc_unrealize,
    .reset = rtc_reset,
    .ports = (const PortClaim[]) { { NULL, 0x70, 2 }, { NULL, 0, 0 } },
    .not_for_users = "part of the board: the machine file places it",
};
DEVICE_TYPE(rtc_type);
