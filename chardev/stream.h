/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A pair of file descriptors that the main loop reads and writes for a back end. */
#ifndef CHARDEV_STREAM_H
#define CHARDEV_STREAM_H

#include "chardev/internal.h"

/* The other end went away (end of file, hang-up, error). */
typedef void StreamHangupFn(Chardev *chardev);

typedef struct Stream {
    Chardev *chardev;
    int in, out;            /* -1: none; they may be the same */
    GSource *in_source, *out_source;
    StreamHangupFn *hangup; /* NULL: input just ends */
} Stream;

/* Takes over @in and @out. Writes must not block: set O_NONBLOCK on @out where it can. */
void stream_open(Stream *stream, Chardev *chardev, int in, int out, StreamHangupFn *hangup);
/* Closes both; safe on a stream that was never opened (all zero). */
void stream_close(Stream *stream);
bool stream_is_open(const Stream *stream);
/* As chardev_write(). What the other end can never take any more counts as taken. */
size_t stream_write(Stream *stream, const uint8_t *data, size_t size);
/* Starts reading if the front end has room. */
void stream_accept_input(Stream *stream);

#endif
