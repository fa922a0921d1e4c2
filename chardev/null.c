/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The back end that takes everything and gives nothing. */
#include "chardev/internal.h"

static bool null_open(Chardev *chardev, const ConfigGroup *group, GError **error)
{
    return true;
}

static void null_close(Chardev *chardev)
{
}

static size_t null_write(Chardev *chardev, const uint8_t *data, size_t size)
{
    return size;
}

static const ChardevOps null_ops = {
    .name = "null",
    .size = sizeof(Chardev),
    .open = null_open,
    .close = null_close,
    .write = null_write,
};
CHARDEV_BACKEND(null_ops);
