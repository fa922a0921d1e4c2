/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the files of this room share: the set of monitors, their sessions, their output. */
#ifndef MONITOR_INTERNAL_H
#define MONITOR_INTERNAL_H

#include "chardev/chardev.h"
#include "monitor/jv.h"
#include "monitor/monitor.h"
#include "monitor/qmp-error.h"
#include "monitor/qmp-schema.h"

typedef struct QmpSession QmpSession;
typedef struct HmpSession HmpSession;

struct Monitors {
    MonitorContext context;
    GPtrArray *qmp; /* of QmpSession * */
    GPtrArray *hmp; /* of HmpSession * */
};

/* ---- Output: what the character device does not take at once waits here ---- */

typedef struct MonitorOutput {
    Chardev *chardev;
    GByteArray *pending;
} MonitorOutput;

void monitor_output_init(MonitorOutput *output, Chardev *chardev);
void monitor_output_clear(MonitorOutput *output);
void monitor_output_write(MonitorOutput *output, const char *text, size_t length);
/* Goes on writing. */
void monitor_output_flush(MonitorOutput *output);
/* Forgets what waits: nobody is there to read it. */
void monitor_output_drop(MonitorOutput *output);
/* False while so much waits that no more commands should be read. */
bool monitor_output_has_room(const MonitorOutput *output);
/* True if so much waits that even events are dropped: the client does not read. */
bool monitor_output_is_stuck(const MonitorOutput *output);

/* ---- QMP ---- */

QmpSession *qmp_session_new(Monitors *monitors, Chardev *chardev, bool pretty, GError **error);
void qmp_session_free(QmpSession *session);
/* Sends @event, if the client has negotiated. */
void qmp_session_send_event(QmpSession *session, const Jv *event);
/* Sends the event @name with @data (taken; NULL: none) to all clients. */
void monitors_emit(Monitors *monitors, const char *name, Jv *data);
/* Checks @args (NULL: none) and does the command. */
Jv *qmp_execute(Monitors *monitors, const QmpCommand *command, const Jv *args, GError **error);

/* ---- HMP ---- */

HmpSession *hmp_session_new(Monitors *monitors, Chardev *chardev, GError **error);
void hmp_session_free(HmpSession *session);
/* Does one line; what it prints is appended to @out. */
void hmp_execute(Monitors *monitors, const char *line, GString *out);

#endif
