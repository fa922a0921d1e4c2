/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Output into a file (path, append), and input from one if input-path is given. */
#include <fcntl.h>
#include <unistd.h>

#include "chardev/stream.h"

typedef struct FileChardev {
    Chardev base;
    Stream stream;
} FileChardev;

static bool file_open(Chardev *chardev, const ConfigGroup *group, GError **error)
{
    FileChardev *file = (FileChardev *)chardev;
    const char *path = chardev_key_needed(chardev, group, "path", error);
    const char *input_path = chardev_key(group, "input-path", NULL);
    int mode = chardev_key_bool(group, "append", false) ? O_APPEND : O_TRUNC;
    int in = -1, out;

    if (!path) {
        return false;
    }
    /* The input first: if it is missing, the output file has not been touched. */
    if (input_path && (in = open(input_path, O_RDONLY | O_CLOEXEC)) < 0) {
        return chardev_errno(chardev, input_path, error);
    }
    out = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | mode, 0666);
    if (out < 0) {
        chardev_errno(chardev, path, error);
        if (in >= 0) {
            close(in);
        }
        return false;
    }
    stream_open(&file->stream, chardev, in, out, NULL);
    return true;
}

static void file_close(Chardev *chardev)
{
    stream_close(&((FileChardev *)chardev)->stream);
}

static size_t file_write(Chardev *chardev, const uint8_t *data, size_t size)
{
    return stream_write(&((FileChardev *)chardev)->stream, data, size);
}

static void file_accept_input(Chardev *chardev)
{
    stream_accept_input(&((FileChardev *)chardev)->stream);
}

static const ChardevOps file_ops = {
    .name = "file",
    .size = sizeof(FileChardev),
    .open = file_open,
    .close = file_close,
    .write = file_write,
    .accept_input = file_accept_input,
};
CHARDEV_BACKEND(file_ops);
