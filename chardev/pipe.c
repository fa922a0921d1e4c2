/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Two FIFOs, PATH.in read and PATH.out written; or one device node PATH for both. */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "chardev/stream.h"

typedef struct PipeChardev {
    Chardev base;
    Stream stream;
} PipeChardev;

/* O_RDWR: opening does not wait for the other side, and its leaving is no end of file. */
static int pipe_open_one(const char *path, const char *suffix)
{
    g_autofree char *name = g_strconcat(path, suffix, NULL);
    return open(name, O_RDWR | O_NONBLOCK | O_CLOEXEC);
}

static bool pipe_open(Chardev *chardev, const ConfigGroup *group, GError **error)
{
    PipeChardev *pipe = (PipeChardev *)chardev;
    const char *path = chardev_key_needed(chardev, group, "path", error);
    int in, out;

    if (!path) {
        return false;
    }
    in = pipe_open_one(path, ".in");
    out = in < 0 ? -1 : pipe_open_one(path, ".out");
    if (in >= 0 && out < 0) {
        chardev_errno(chardev, path, error);
        close(in);
        return false;
    }
    if (in < 0) {
        in = out = pipe_open_one(path, "");
    }
    if (in < 0) {
        return chardev_errno(chardev, path, error);
    }
    stream_open(&pipe->stream, chardev, in, out, NULL);
    return true;
}

static void pipe_close(Chardev *chardev)
{
    stream_close(&((PipeChardev *)chardev)->stream);
}

static size_t pipe_write(Chardev *chardev, const uint8_t *data, size_t size)
{
    return stream_write(&((PipeChardev *)chardev)->stream, data, size);
}

static void pipe_accept_input(Chardev *chardev)
{
    stream_accept_input(&((PipeChardev *)chardev)->stream);
}

static const ChardevOps pipe_ops = {
    .name = "pipe",
    .size = sizeof(PipeChardev),
    .open = pipe_open,
    .close = pipe_close,
    .write = pipe_write,
    .accept_input = pipe_accept_input,
};
CHARDEV_BACKEND(pipe_ops);
