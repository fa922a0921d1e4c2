/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Commands about the program, the protocol, and whether the machine runs. */
#include "monitor/internal.h"

/* Whose interfaces we have; libvirt looks at it before anything else. */
enum { QEMU_MAJOR = 7, QEMU_MINOR = 2, QEMU_MICRO = 0 };

Jv *qmp_query_version(Monitors *monitors, const Jv *args, GError **error)
{
    Jv *version = jv_object();

    jv_set_int(version, "micro", QEMU_MICRO);
    jv_set_int(version, "minor", QEMU_MINOR);
    jv_set_int(version, "major", QEMU_MAJOR);
    return jv_set_string(jv_set(jv_object(), "qemu", version), "package",
                         "Tessera " TESSERA_VERSION);
}

Jv *qmp_query_commands(Monitors *monitors, const Jv *args, GError **error)
{
    Jv *list = jv_array();

    for (const QmpCommand *command = qmp_commands; command->name; command++) {
        jv_append(list, jv_set_string(jv_object(), "name", command->name));
    }
    return list;
}

Jv *qmp_query_events(Monitors *monitors, const Jv *args, GError **error)
{
    Jv *list = jv_array();

    for (const QmpEvent *event = qmp_events; event->name; event++) {
        jv_append(list, jv_set_string(jv_object(), "name", event->name));
    }
    return list;
}

Jv *qmp_query_qmp_schema(Monitors *monitors, const Jv *args, GError **error)
{
    return qmp_introspect();
}

Jv *qmp_query_status(Monitors *monitors, const Jv *args, GError **error)
{
    static const char *const names[] = {
        [POWER_RUNNING] = "running",       [POWER_PAUSED] = "paused",
        [POWER_SHUTDOWN] = "shutdown",     [POWER_CRASHED] = "guest-panicked",
        [POWER_PRELAUNCH] = "prelaunch",
    };
    PowerState power = monitors->context.machine->power;
    Jv *status = jv_object();

    jv_set_string(status, "status", names[power]);
    jv_set_bool(status, "singlestep", false);
    return jv_set_bool(status, "running", power == POWER_RUNNING);
}

Jv *qmp_stop(Monitors *monitors, const Jv *args, GError **error)
{
    machine_pause(monitors->context.machine);
    return NULL;
}

Jv *qmp_cont(Monitors *monitors, const Jv *args, GError **error)
{
    if (machine_needs_reset(monitors->context.machine)) {
        g_set_error(error, QMP_ERROR, QMP_GENERIC_ERROR,
                    "Resetting the Virtual Machine is required");
        return NULL;
    }
    machine_resume(monitors->context.machine);
    return NULL;
}

Jv *qmp_system_reset(Monitors *monitors, const Jv *args, GError **error)
{
    machine_request_host_reset(monitors->context.machine);
    return NULL;
}

Jv *qmp_system_powerdown(Monitors *monitors, const Jv *args, GError **error)
{
    machine_request_powerdown(monitors->context.machine);
    return NULL;
}

Jv *qmp_quit(Monitors *monitors, const Jv *args, GError **error)
{
    machine_request_shutdown(monitors->context.machine, SHUTDOWN_QUIT, 0);
    return NULL;
}
