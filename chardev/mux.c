/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Several front ends (a serial port, the monitor) on one back end. All write to it; what is
 * typed goes to the one in focus, but for the commands behind the escape character.
 */
#include <string.h>

#include "chardev/internal.h"
#include "util/mainloop.h"

#define MUX_CLIENTS 4
/* Typed ahead while the front end is busy; beyond this the back end is not read. */
#define MUX_BUFFER 256

struct ChardevMux {
    Chardev *chardev;
    const ChardevClient *clients[MUX_CLIENTS];
    void *opaques[MUX_CLIENTS];
    unsigned count, focus;
    uint8_t escape;
    bool escaped;             /* the last byte was the escape character */
    uint8_t buffer[MUX_BUFFER];
    unsigned buffered;
};

static void mux_print(ChardevMux *mux, const char *text)
{
    /* Best effort: a note that the terminal cannot take now is not worth waiting for. */
    chardev_write(mux->chardev, (const uint8_t *)text, strlen(text));
}

static void mux_help(ChardevMux *mux)
{
    char name[16];
    g_autofree char *text = NULL;

    if (mux->escape >= 1 && mux->escape <= 26) {
        g_snprintf(name, sizeof(name), "Ctrl-%c", mux->escape + 'a' - 1);
    } else {
        g_snprintf(name, sizeof(name), "0x%02x", mux->escape);
    }
    text = g_strdup_printf("\r\n%1$s h  this help\r\n"
                           "%1$s x  end the emulator\r\n"
                           "%1$s b  send a break\r\n"
                           "%1$s c  switch between console and monitor\r\n"
                           "%1$s %1$s  send %1$s itself\r\n",
                           name);
    mux_print(mux, text);
}

static void mux_switch_focus(ChardevMux *mux)
{
    if (mux->count < 2) {
        mux_print(mux, "\r\n[no monitor is attached here]\r\n");
        return;
    }
    mux->focus = (mux->focus + 1) % mux->count;
    if (mux->clients[mux->focus]->event) {
        mux->clients[mux->focus]->event(mux->opaques[mux->focus], CHARDEV_FOCUS);
    }
}

static void mux_flush(ChardevMux *mux)
{
    const ChardevClient *client;
    void *opaque;
    size_t room;

    if (mux->count == 0) {
        return;
    }
    client = mux->clients[mux->focus];
    opaque = mux->opaques[mux->focus];
    while (mux->buffered > 0 && (room = client->can_receive(opaque)) > 0) {
        uint8_t chunk[MUX_BUFFER];
        unsigned size = MIN(room, mux->buffered);
        /* The receiver may ask for more while it receives: take the bytes out first. */
        memcpy(chunk, mux->buffer, size);
        mux->buffered -= size;
        memmove(mux->buffer, mux->buffer + size, mux->buffered);
        client->receive(opaque, chunk, size);
    }
}

static void mux_input(ChardevMux *mux, uint8_t byte)
{
    if (mux->buffered < MUX_BUFFER) {
        mux->buffer[mux->buffered++] = byte;
    }
}

static void mux_command(ChardevMux *mux, uint8_t byte)
{
    if (byte == mux->escape) {
        mux_input(mux, byte);
        return;
    }
    switch (byte) {
    case 'h':
    case '?':
        mux_help(mux);
        break;
    case 'x':
        mux_print(mux, "\r\n[terminated]\r\n");
        main_loop_quit(0);
        break;
    case 'b':
        if (mux->count > 0 && mux->clients[mux->focus]->event) {
            mux->clients[mux->focus]->event(mux->opaques[mux->focus], CHARDEV_BREAK);
        }
        break;
    case 'c':
        mux_flush(mux);
        mux->buffered = 0; /* what the old focus has not taken is not for the new one */
        mux_switch_focus(mux);
        break;
    default: /* no command: dropped, as with screen and its like */
        break;
    }
}

static size_t mux_can_receive(void *opaque)
{
    ChardevMux *mux = opaque;
    return MUX_BUFFER - mux->buffered;
}

static void mux_receive(void *opaque, const uint8_t *data, size_t size)
{
    ChardevMux *mux = opaque;

    for (size_t n = 0; n < size; n++) {
        if (mux->escaped) {
            mux->escaped = false;
            mux_command(mux, data[n]);
        } else if (mux->escape && data[n] == mux->escape) {
            mux->escaped = true;
        } else {
            mux_input(mux, data[n]);
        }
    }
    mux_flush(mux);
}

static void mux_event(void *opaque, ChardevEvent event)
{
    ChardevMux *mux = opaque;

    for (unsigned n = 0; n < mux->count; n++) {
        if (mux->clients[n]->event) {
            mux->clients[n]->event(mux->opaques[n], event);
        }
    }
}

static void mux_writable(void *opaque)
{
    ChardevMux *mux = opaque;

    for (unsigned n = 0; n < mux->count; n++) {
        if (mux->clients[n]->writable) {
            mux->clients[n]->writable(mux->opaques[n]);
        }
    }
}

static const ChardevClient mux_client = {
    .can_receive = mux_can_receive,
    .receive = mux_receive,
    .event = mux_event,
    .writable = mux_writable,
};

void chardev_mux_accept_input(ChardevMux *mux)
{
    mux_flush(mux);
}

const void *chardev_mux_focus(const ChardevMux *mux)
{
    return mux->count ? mux->opaques[mux->focus] : NULL;
}

unsigned chardev_mux_count(const ChardevMux *mux)
{
    return mux->count;
}

bool chardev_mux_attach(ChardevMux *mux, const ChardevClient *client, void *opaque, GError **error)
{
    if (mux->count == MUX_CLIENTS) {
        g_set_error(error, CHARDEV_ERROR, 0, "chardev '%s' has %d front ends, and no room for more",
                    mux->chardev->id, MUX_CLIENTS);
        return false;
    }
    mux->clients[mux->count] = client;
    mux->opaques[mux->count++] = opaque;
    chardev_accept_input(mux->chardev);
    return true;
}

void chardev_mux_detach(ChardevMux *mux, void *opaque)
{
    for (unsigned n = 0; n < mux->count; n++) {
        if (mux->opaques[n] != opaque) {
            continue;
        }
        mux->count--;
        for (unsigned i = n; i < mux->count; i++) {
            mux->clients[i] = mux->clients[i + 1];
            mux->opaques[i] = mux->opaques[i + 1];
        }
        mux->focus = mux->focus > n ? mux->focus - 1 : mux->focus;
        mux->focus = mux->focus >= mux->count ? 0 : mux->focus;
        return;
    }
}

ChardevMux *chardev_mux_new(Chardev *chardev, uint8_t escape)
{
    ChardevMux *mux = g_new0(ChardevMux, 1);

    mux->chardev = chardev;
    mux->escape = escape;
    chardev->client = &mux_client;
    chardev->opaque = mux;
    return mux;
}

void chardev_mux_free(ChardevMux *mux)
{
    g_free(mux);
}
