/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Descriptors in the main loop: reads no more than the front end takes, never blocks in a write. */
#include "chardev/stream.h"

#include <errno.h>
#include <glib-unix.h>
#include <unistd.h>

#define STREAM_CHUNK 4096

static void source_drop(GSource **source)
{
    if (*source) {
        g_source_destroy(*source);
        g_source_unref(*source);
        *source = NULL;
    }
}

static GSource *source_watch(int fd, GIOCondition condition, GUnixFDSourceFunc fn, Stream *stream)
{
    GSource *source = g_unix_fd_source_new(fd, condition);

    g_source_set_callback(source, G_SOURCE_FUNC(fn), stream, NULL);
    g_source_attach(source, NULL);
    return source;
}

static void stream_input_ended(Stream *stream)
{
    source_drop(&stream->in_source);
    if (stream->hangup) {
        stream->hangup(stream->chardev);
    } else {
        if (stream->in != stream->out) {
            close(stream->in);
        }
        stream->in = -1;
    }
}

static gboolean stream_readable(int fd, GIOCondition condition, gpointer opaque)
{
    Stream *stream = opaque;
    uint8_t buffer[STREAM_CHUNK];
    size_t room = MIN(chardev_can_receive(stream->chardev), sizeof(buffer));
    ssize_t size;

    if (room == 0) { /* chardev_accept_input() starts again */
        source_drop(&stream->in_source);
        return G_SOURCE_REMOVE;
    }
    size = read(fd, buffer, room);
    if (size > 0) {
        chardev_receive(stream->chardev, buffer, size);
    } else if (size == 0 || (errno != EAGAIN && errno != EINTR)) {
        stream_input_ended(stream);
        return G_SOURCE_REMOVE;
    }
    return G_SOURCE_CONTINUE;
}

static gboolean stream_has_room(int fd, GIOCondition condition, gpointer opaque)
{
    Stream *stream = opaque;

    source_drop(&stream->out_source);
    chardev_writable(stream->chardev);
    return G_SOURCE_REMOVE;
}

void stream_open(Stream *stream, Chardev *chardev, int in, int out, StreamHangupFn *hangup)
{
    *stream = (Stream) { .chardev = chardev, .in = in, .out = out, .hangup = hangup };
    stream_accept_input(stream);
}

bool stream_is_open(const Stream *stream)
{
    return stream->chardev != NULL;
}

void stream_close(Stream *stream)
{
    if (!stream_is_open(stream)) {
        return;
    }
    source_drop(&stream->in_source);
    source_drop(&stream->out_source);
    if (stream->in >= 0) {
        close(stream->in);
    }
    if (stream->out >= 0 && stream->out != stream->in) {
        close(stream->out);
    }
    *stream = (Stream) { .in = -1, .out = -1 };
}

size_t stream_write(Stream *stream, const uint8_t *data, size_t size)
{
    size_t done = 0;

    while (done < size && stream->out >= 0) {
        ssize_t written = write(stream->out, data + done, size - done);
        if (written > 0) {
            done += written;
        } else if (written < 0 && errno == EAGAIN) {
            if (!stream->out_source) {
                stream->out_source = source_watch(stream->out, G_IO_OUT | G_IO_HUP | G_IO_ERR,
                                                  stream_has_room, stream);
            }
            return done;
        } else if (written == 0 || errno != EINTR) {
            return size; /* nobody will ever read it */
        }
    }
    return size;
}

void stream_accept_input(Stream *stream)
{
    if (stream_is_open(stream) && stream->in >= 0 && !stream->in_source &&
        chardev_can_receive(stream->chardev) > 0) {
        stream->in_source = source_watch(stream->in, G_IO_IN | G_IO_HUP | G_IO_ERR,
                                         stream_readable, stream);
    }
}
