/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A QMP session: greeting, negotiation, commands and their answers, events. The protocol is that of
 * QEMU's "QEMU Machine Protocol Specification".
 */
#include <string.h>

#include "monitor/internal.h"

/* Read ahead of what was executed. */
#define INPUT_SIZE 4096

struct QmpSession {
    Monitors *monitors;
    Chardev *chardev;
    MonitorOutput output;
    JvReader *reader;
    GByteArray *input;
    bool pretty;
    bool connected;
    bool negotiated;
};

/* ---- Sending ---- */

static void session_send(QmpSession *session, const Jv *message)
{
    g_autoptr(GString) text = g_string_new(NULL);

    jv_print(message, session->pretty, text);
    g_string_append(text, "\r\n");
    monitor_output_write(&session->output, text->str, text->len);
}

static void session_greet(QmpSession *session)
{
    g_autoptr(Jv) greeting = jv_object();
    Jv *inner = jv_object();

    jv_set(inner, "version", qmp_query_version(session->monitors, NULL, NULL));
    jv_set(inner, "capabilities", jv_array());
    jv_set(greeting, "QMP", inner);
    session_send(session, greeting);
}

static Jv *error_object(const GError *error)
{
    return jv_set_string(jv_set_string(jv_object(), "class", qmp_error_class(error)), "desc",
                         error->message);
}

/* Sends the result, or @error, which is freed; both with @id unless it is NULL. */
static void session_answer(QmpSession *session, Jv *result, GError *error, const Jv *id)
{
    g_autoptr(Jv) answer = jv_object();

    if (error) {
        jv_set(answer, "error", error_object(error));
        g_error_free(error);
    } else {
        jv_set(answer, "return", result ? result : jv_object());
    }
    if (id) {
        jv_set(answer, "id", jv_copy(id));
    }
    session_send(session, answer);
}

void qmp_session_send_event(QmpSession *session, const Jv *event)
{
    if (session->negotiated && !monitor_output_is_stuck(&session->output)) {
        session_send(session, event);
    }
}

/* ---- Commands ---- */

Jv *qmp_execute(Monitors *monitors, const QmpCommand *command, const Jv *args, GError **error)
{
    g_autoptr(Jv) none = jv_object();

    if (!qmp_check_members(command->args, args ? args : none, "", error)) {
        return NULL;
    }
    return command->handler(monitors, args ? args : none, error);
}

static bool bad_request(GError **error, const char *format, const char *member)
{
    g_set_error(error, QMP_ERROR, QMP_GENERIC_ERROR, format, member);
    return false;
}

/* The form of a request, not yet what it asks for. */
static bool check_request(const Jv *request, GError **error)
{
    for (unsigned i = 0; i < jv_length(request); i++) {
        const char *key = jv_key_at(request, i);
        JvType type = jv_type(jv_at(request, i));
        if (!strcmp(key, "execute") && type != JV_STRING) {
            return bad_request(error, "QMP input member '%s' must be a string", key);
        } else if (!strcmp(key, "arguments") && type != JV_OBJECT) {
            return bad_request(error, "QMP input member '%s' must be an object", key);
        } else if (strcmp(key, "execute") && strcmp(key, "arguments") && strcmp(key, "id")) {
            return bad_request(error, "QMP input member '%s' is unexpected", key);
        }
    }
    return jv_member(request, "execute") ||
           bad_request(error, "QMP input lacks member '%s'", "execute");
}

/* The command, if it may be given now. */
static const QmpCommand *find_command(const QmpSession *session, const char *name, GError **error)
{
    const QmpCommand *command = qmp_command_find(name);
    bool negotiates = !strcmp(name, "qmp_capabilities");

    if (!session->negotiated && !negotiates) {
        g_set_error(error, QMP_ERROR, QMP_COMMAND_NOT_FOUND,
                    "Expecting capabilities negotiation with 'qmp_capabilities'");
        return NULL;
    }
    if (session->negotiated && negotiates) {
        g_set_error(error, QMP_ERROR, QMP_COMMAND_NOT_FOUND,
                    "Capabilities negotiation is already complete, command ignored");
        return NULL;
    }
    if (!command) {
        g_set_error(error, QMP_ERROR, QMP_COMMAND_NOT_FOUND, "The command %s has not been found",
                    name);
    }
    return command;
}

static Jv *session_execute(QmpSession *session, const Jv *request, GError **error)
{
    const QmpCommand *command;
    Jv *result;

    if (!check_request(request, error)) {
        return NULL;
    }
    command = find_command(session, jv_member_string(request, "execute"), error);
    if (!command) {
        return NULL;
    }
    result = qmp_execute(session->monitors, command, jv_member(request, "arguments"), error);
    session->negotiated |= !*error;
    return result;
}

static void session_request(QmpSession *session, const Jv *request)
{
    GError *error = NULL;
    Jv *result = NULL;

    if (jv_type(request) != JV_OBJECT) {
        bad_request(&error, "QMP input must be a JSON %s", "object");
        session_answer(session, NULL, error, NULL);
        return;
    }
    result = session_execute(session, request, &error);
    session_answer(session, result, error, jv_member(request, "id"));
}

Jv *qmp_qmp_capabilities(Monitors *monitors, const Jv *args, GError **error)
{
    const Jv *enable = jv_member(args, "enable");

    if (enable && jv_length(enable)) {
        g_set_error(error, QMP_ERROR, QMP_GENERIC_ERROR, "Capability '%s' not available",
                    jv_get_string(jv_at(enable, 0)));
    }
    return NULL;
}

/* ---- Receiving ---- */

static void session_work(QmpSession *session)
{
    while (session->input->len && monitor_output_has_room(&session->output)) {
        g_autoptr(Jv) request = NULL;
        GError *error = NULL;
        size_t used = jv_reader_feed(session->reader, session->input->data, session->input->len,
                                     &request, &error);

        if (used) {
            g_byte_array_remove_range(session->input, 0, used);
        }
        if (error) {
            session_answer(session, NULL, error, NULL);
        } else if (request) {
            session_request(session, request);
        }
    }
}

static size_t session_can_receive(void *opaque)
{
    const QmpSession *session = opaque;

    return INPUT_SIZE - session->input->len;
}

static void session_receive(void *opaque, const uint8_t *data, size_t size)
{
    QmpSession *session = opaque;

    g_byte_array_append(session->input, data, size);
    session_work(session);
}

static void session_writable(void *opaque)
{
    QmpSession *session = opaque;

    monitor_output_flush(&session->output);
    session_work(session);
    if (session_can_receive(session)) {
        chardev_accept_input(session->chardev);
    }
}

static void session_restart(QmpSession *session, bool connected)
{
    jv_reader_reset(session->reader);
    g_byte_array_set_size(session->input, 0);
    monitor_output_drop(&session->output);
    session->negotiated = false;
    session->connected = connected;
    if (connected) {
        session_greet(session);
    }
}

static void session_event(void *opaque, ChardevEvent event)
{
    if (event == CHARDEV_OPENED || event == CHARDEV_CLOSED) {
        session_restart(opaque, event == CHARDEV_OPENED);
    }
}

static const ChardevClient session_client = {
    .can_receive = session_can_receive,
    .receive = session_receive,
    .event = session_event,
    .writable = session_writable,
};

QmpSession *qmp_session_new(Monitors *monitors, Chardev *chardev, bool pretty, GError **error)
{
    QmpSession *session = g_new0(QmpSession, 1);

    session->monitors = monitors;
    session->chardev = chardev;
    session->pretty = pretty;
    session->reader = jv_reader_new();
    session->input = g_byte_array_new();
    monitor_output_init(&session->output, chardev);
    if (!chardev_attach(chardev, &session_client, session, error)) {
        qmp_session_free(session);
        return NULL;
    }
    if (chardev_is_connected(chardev)) {
        session_restart(session, true);
    }
    return session;
}

void qmp_session_free(QmpSession *session)
{
    chardev_detach(session->chardev, session);
    monitor_output_clear(&session->output);
    g_byte_array_unref(session->input);
    jv_reader_free(session->reader);
    g_free(session);
}
