/* SPDX-License-Identifier: GPL-2.0-or-later */
/* -icount: CPUs whose instructions are the clock, and whose every input is the same in every run.
 */
#include "accel/tcg/icount-options.h"

#include <string.h>

#include "qemu-config/schema.h"
#include "util/log.h"
#include "util/timer.h"

/* Where the shift begins that adapts itself: 125 million instructions a second. */
#define FIRST_AUTO_SHIFT 3

/* --- the option ---------------------------------------------------------------------- */

static const OptKey icount_keys[] = {
    {.name = "shift", .type = OPT_STRING,
     .help = "an instruction takes 2^N ns, N from 0 to 10; auto: follow the host's clock",
     .def = "auto"},
    {.name = "align", .type = OPT_BOOL, .help = "wait when ahead of the host's clock",
     .def = "off"},
    {.name = "sleep", .type = OPT_BOOL, .help = "idle CPUs wait for timers in the host's time",
     .def = "on"},
    {0},
};

static bool is_automatic(const ConfigGroup *group)
{
    const char *shift = group_get(group, "shift");

    return !shift || !strcmp(shift, "auto");
}

/* The shift that @group says, or -1. */
static int parse_shift(const ConfigGroup *group)
{
    const char *text = group_get(group, "shift");
    guint64 shift;

    return g_ascii_string_to_unsigned(text, 10, 0, ICOUNT_MAX_SHIFT, &shift, NULL) ? (int)shift
                                                                                   : -1;
}

static bool icount_validate(const ConfigGroup *group, Diag *diag)
{
    bool align = false, sleep = true;
    unsigned errors = diag_errors(diag);

    group_get_bool(group, "align", &align, diag);
    group_get_bool(group, "sleep", &sleep, diag);
    if (!is_automatic(group) && parse_shift(group) < 0) {
        diag_error(diag, group_origin(group, "shift"),
                   "shift '%s' is neither auto nor a number from 0 to %u",
                   group_get(group, "shift"), ICOUNT_MAX_SHIFT);
    }
    if (is_automatic(group) && align) {
        diag_error(diag, group_origin(group, "align"), "shift=auto and align=on contradict");
    }
    if (is_automatic(group) && !sleep) {
        diag_error(diag, group_origin(group, "sleep"), "shift=auto and sleep=off contradict");
    }
    if (align && !sleep) {
        diag_error(diag, group_origin(group, "align"), "align=on and sleep=off contradict");
    }
    return diag_errors(diag) == errors;
}

static const OptSchema icount_option = {
    .group = "icount",
    .option = "icount",
    .implied_key = "shift",
    .flags = OPT_MERGE,
    .keys = icount_keys,
    .arg_help = "[shift=]N|auto[,align=on|off][,sleep=on|off]",
    .help = "let time be counted in instructions, for runs that can be repeated",
    .section = OPT_SECTION_RUN,
    .example = "shift=0,sleep=off",
    .validate = icount_validate,
};
OPTION_SCHEMA(icount_option);

static IcountOptions read_options(const ConfigGroup *group)
{
    IcountOptions options = { .automatic = is_automatic(group), .sleep = true };
    g_autoptr(Diag) diag = diag_new(); /* the values were validated */

    options.shift = options.automatic ? FIRST_AUTO_SHIFT : (unsigned)parse_shift(group);
    group_get_bool(group, "align", &options.align, diag);
    group_get_bool(group, "sleep", &options.sleep, diag);
    return options;
}

/* --- the machine ---------------------------------------------------------------------- */

/* A date that the user gave is the time of day at which every run begins; else -1. */
static int64_t fixed_start_ns(const Config *config)
{
    const char *base = config_get(config, "rtc", "base");
    g_autoptr(GTimeZone) utc = g_time_zone_new_utc();
    g_autoptr(GDateTime) date = NULL;
    g_autofree char *full = NULL;

    if (base && g_ascii_isdigit(base[0])) {
        full = strchr(base, 'T') ? g_strdup(base) : g_strconcat(base, "T00:00:00", NULL);
        date = g_date_time_new_from_iso8601(full, utc);
    }
    return date && g_date_time_to_unix(date) >= 0 ? g_date_time_to_unix(date) * NS_PER_SECOND : -1;
}

Icount *tcg_icount_new(const Config *config)
{
    const ConfigGroup *group = config_find(config, "icount", NULL);
    IcountOptions options;

    if (!group) {
        return NULL;
    }
    options = read_options(group);
    clock_host_follow_vm(fixed_start_ns(config));
    return icount_new(&options);
}

void tcg_icount_free(Icount *icount)
{
    if (icount) {
        clock_host_follow_vm(-1);
        icount_free(icount);
    }
}

void tcg_icount_join(Icount *icount, X86CPU *cpu)
{
    if (icount) {
        icount_add_vcpu(icount, &cpu->vcpu);
        cpu->random_state = cpu->vcpu.index + 1;
        cpu->trace_hash = log_enabled(LOG_STATS);
    }
}
