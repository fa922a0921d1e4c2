/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The set of monitors: made from [mon] groups, told what happens to the machine. */
#include "monitor/monitor.h"

#include <string.h>

#include "chardev/options.h"
#include "monitor/internal.h"

/* ---- Events ---- */

void monitors_emit(Monitors *monitors, const char *name, Jv *data)
{
    g_autoptr(Jv) event = jv_object();
    Jv *time = jv_object();
    int64_t now = g_get_real_time();
    g_autoptr(Jv) none = jv_object();

    g_assert(qmp_check_members(qmp_event_find(name)->data, data ? data : none, "", NULL));
    jv_set_int(time, "seconds", now / G_USEC_PER_SEC);
    jv_set_int(time, "microseconds", now % G_USEC_PER_SEC);
    jv_set(event, "timestamp", time);
    jv_set_string(event, "event", name);
    if (data) {
        jv_set(event, "data", data);
    }
    for (unsigned i = 0; i < monitors->qmp->len; i++) {
        qmp_session_send_event(g_ptr_array_index(monitors->qmp, i), event);
    }
}

/* The data of SHUTDOWN and RESET. */
static Jv *cause_data(ShutdownCause cause)
{
    static const char *const reasons[] = {
        [SHUTDOWN_HOST] = "host-signal",
        [SHUTDOWN_GUEST] = "guest-shutdown",
        [SHUTDOWN_RESET] = "guest-reset",
        [SHUTDOWN_PANIC] = "guest-panic",
        [SHUTDOWN_QUIT] = "host-qmp-quit",
        [SHUTDOWN_HOST_RESET] = "host-qmp-system-reset",
    };
    bool guest = cause == SHUTDOWN_GUEST || cause == SHUTDOWN_RESET || cause == SHUTDOWN_PANIC;

    return jv_set_string(jv_set_bool(jv_object(), "guest", guest), "reason", reasons[cause]);
}

static void machine_event(void *opaque, MachineEvent event, ShutdownCause cause)
{
    Monitors *monitors = opaque;
    bool stays = monitors->context.machine->no_shutdown;

    switch (event) {
    case MACHINE_EVENT_SHUTDOWN:
        if (cause == SHUTDOWN_PANIC) {
            monitors_emit(monitors, "GUEST_PANICKED",
                          jv_set_string(jv_object(), "action", stays ? "pause" : "poweroff"));
        }
        monitors_emit(monitors, "SHUTDOWN", cause_data(cause));
        break;
    case MACHINE_EVENT_RESET:
        monitors_emit(monitors, "RESET", cause_data(cause));
        break;
    case MACHINE_EVENT_STOP:
        monitors_emit(monitors, "STOP", NULL);
        break;
    case MACHINE_EVENT_RESUME:
        monitors_emit(monitors, "RESUME", NULL);
        break;
    case MACHINE_EVENT_POWERDOWN:
        monitors_emit(monitors, "POWERDOWN", NULL);
        break;
    }
}

/* ---- The set ---- */

void monitors_check(const Config *config, Diag *diag)
{
    GPtrArray *groups = config_groups(config, "mon");

    for (unsigned i = 0; i < groups->len; i++) {
        const ConfigGroup *group = g_ptr_array_index(groups, i);
        const char *name = group_get(group, "chardev");
        if (name && !config_find(config, "chardev", chardev_resolve(config, name))) {
            diag_error(diag, group_origin(group, "chardev"), "there is no character device '%s'",
                       name);
        }
    }
}

static void add_monitor(Monitors *monitors, const ConfigGroup *group, Diag *diag)
{
    const Config *config = monitors->context.config;
    const char *name = chardev_resolve(config, group_get(group, "chardev"));
    Chardev *chardev = chardev_find(monitors->context.machine->chardevs, name);
    bool pretty = false, control = !g_strcmp0(group_get(group, "mode"), "control");
    void *session;
    GError *error = NULL;

    if (!chardev) {
        return; /* reported when it could not be opened */
    }
    group_get_bool(group, "pretty", &pretty, diag);
    session = control ? (void *)qmp_session_new(monitors, chardev, pretty, &error)
                      : (void *)hmp_session_new(monitors, chardev, &error);
    if (session) {
        g_ptr_array_add(control ? monitors->qmp : monitors->hmp, session);
    } else {
        diag_gerror(diag, group->origin, error);
    }
}

Monitors *monitors_new(const MonitorContext *context, Diag *diag)
{
    Monitors *monitors = g_new0(Monitors, 1);
    GPtrArray *groups = config_groups(context->config, "mon");

    monitors->context = *context;
    monitors->qmp = g_ptr_array_new_with_free_func((GDestroyNotify)qmp_session_free);
    monitors->hmp = g_ptr_array_new_with_free_func((GDestroyNotify)hmp_session_free);
    machine_observe(context->machine, machine_event, monitors);
    for (unsigned i = 0; i < groups->len; i++) {
        add_monitor(monitors, g_ptr_array_index(groups, i), diag);
    }
    return monitors;
}

void monitors_free(Monitors *monitors)
{
    g_ptr_array_unref(monitors->qmp);
    g_ptr_array_unref(monitors->hmp);
    g_free(monitors);
}
