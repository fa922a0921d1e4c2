/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An HMP session: a prompt, a line with the simplest of editing, and what the command prints. The
 * prompt is QEMU's, for programs wait for it.
 */
#include <string.h>

#include "monitor/internal.h"

#define PROMPT "(qemu) "
#define MAX_LINE 1024
#define INPUT_SIZE 256

enum { CTRL_C = 3, CTRL_U = 21, BACKSPACE = 8, ESCAPE = 27, DELETE = 127 };

struct HmpSession {
    Monitors *monitors;
    Chardev *chardev;
    MonitorOutput output;
    GString *line;
    bool greeted;
    bool after_return; /* a line feed that follows belongs to it */
    unsigned escape;   /* position in an escape sequence, which is ignored */
};

/* A terminal in raw mode wants both. */
static void session_print(HmpSession *session, const char *text)
{
    g_autoptr(GString) lines = g_string_new(text);

    g_string_replace(lines, "\n", "\r\n", 0);
    monitor_output_write(&session->output, lines->str, lines->len);
}

static void session_greet(HmpSession *session)
{
    if (!session->greeted) {
        session->greeted = true;
        session_print(session, "Tessera " TESSERA_VERSION
                               " monitor - type 'help' for more information\n" PROMPT);
    } else {
        session_print(session, "\n" PROMPT);
    }
    g_string_truncate(session->line, 0);
}

static void session_run_line(HmpSession *session)
{
    g_autoptr(GString) out = g_string_new("\n");
    g_autofree char *line = g_strdup(session->line->str);

    g_string_truncate(session->line, 0);
    hmp_execute(session->monitors, line, out);
    g_string_append(out, PROMPT);
    session_print(session, out->str);
}

static void erase(HmpSession *session, size_t count)
{
    while (count-- && session->line->len) {
        g_string_truncate(session->line, session->line->len - 1);
        session_print(session, "\b \b");
    }
}

/* Skips ESC [ … letter and ESC letter: keys that nothing is bound to. */
static bool skip_escape(HmpSession *session, uint8_t byte)
{
    if (byte == ESCAPE) {
        session->escape = 1;
        return true;
    }
    if (!session->escape) {
        return false;
    }
    bool goes_on = session->escape == 1 ? byte == '[' || byte == 'O' : !g_ascii_isalpha(byte) &&
                                                                           byte != '~';
    session->escape = goes_on ? 2 : 0;
    return true;
}

static void session_key(HmpSession *session, uint8_t byte)
{
    bool after_return = session->after_return;

    session->after_return = byte == '\r';
    if (skip_escape(session, byte) || (byte == '\n' && after_return)) {
        return;
    }
    if (byte == '\r' || byte == '\n') {
        session_run_line(session);
    } else if (byte == BACKSPACE || byte == DELETE) {
        erase(session, 1);
    } else if (byte == CTRL_U || byte == CTRL_C) {
        erase(session, MAX_LINE);
    } else if (byte >= 0x20 && session->line->len < MAX_LINE) {
        g_string_append_c(session->line, byte);
        monitor_output_write(&session->output, (char *)&byte, 1);
    }
}

static size_t session_can_receive(void *opaque)
{
    const HmpSession *session = opaque;

    return monitor_output_has_room(&session->output) ? INPUT_SIZE : 0;
}

static void session_receive(void *opaque, const uint8_t *data, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        session_key(opaque, data[i]);
    }
}

static void session_writable(void *opaque)
{
    HmpSession *session = opaque;

    monitor_output_flush(&session->output);
    if (session_can_receive(session)) {
        chardev_accept_input(session->chardev);
    }
}

static void session_event(void *opaque, ChardevEvent event)
{
    HmpSession *session = opaque;

    if (event == CHARDEV_OPENED || event == CHARDEV_CLOSED) {
        monitor_output_drop(&session->output);
        session->greeted = false;
    }
    if (event == CHARDEV_FOCUS ||
        (event == CHARDEV_OPENED && chardev_has_focus(session->chardev, session))) {
        session_greet(session);
    }
}

static const ChardevClient session_client = {
    .can_receive = session_can_receive,
    .receive = session_receive,
    .event = session_event,
    .writable = session_writable,
};

HmpSession *hmp_session_new(Monitors *monitors, Chardev *chardev, GError **error)
{
    HmpSession *session = g_new0(HmpSession, 1);

    session->monitors = monitors;
    session->chardev = chardev;
    session->line = g_string_new(NULL);
    monitor_output_init(&session->output, chardev);
    if (!chardev_attach(chardev, &session_client, session, error)) {
        hmp_session_free(session);
        return NULL;
    }
    if (chardev_is_connected(chardev) && chardev_has_focus(chardev, session)) {
        session_greet(session);
    }
    return session;
}

void hmp_session_free(HmpSession *session)
{
    chardev_detach(session->chardev, session);
    monitor_output_clear(&session->output);
    g_string_free(session->line, TRUE);
    g_free(session);
}
