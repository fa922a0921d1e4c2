/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Output of monitors to clients that read when they like. */
#include "monitor/internal.h"

#define ROOM_LIMIT (64 * 1024)        /* no further command is read beyond it */
#define STUCK_LIMIT (4 * 1024 * 1024) /* events are dropped beyond it */

void monitor_output_init(MonitorOutput *output, Chardev *chardev)
{
    output->chardev = chardev;
    output->pending = g_byte_array_new();
}

void monitor_output_clear(MonitorOutput *output)
{
    g_byte_array_unref(output->pending);
}

void monitor_output_flush(MonitorOutput *output)
{
    size_t taken = chardev_write(output->chardev, output->pending->data, output->pending->len);

    if (taken) {
        g_byte_array_remove_range(output->pending, 0, taken);
    }
}

void monitor_output_write(MonitorOutput *output, const char *text, size_t length)
{
    bool waits = output->pending->len > 0;

    g_byte_array_append(output->pending, (const uint8_t *)text, length);
    if (!waits) {
        monitor_output_flush(output);
    }
}

void monitor_output_drop(MonitorOutput *output)
{
    g_byte_array_set_size(output->pending, 0);
}

bool monitor_output_has_room(const MonitorOutput *output)
{
    return output->pending->len < ROOM_LIMIT;
}

bool monitor_output_is_stuck(const MonitorOutput *output)
{
    return output->pending->len > STUCK_LIMIT;
}
