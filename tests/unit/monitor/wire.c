/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The character device that a test of a monitor holds the other end of. */
#include "tests/unit/monitor/wire.h"

#include <string.h>

#include "chardev/internal.h"
#include "util/lock.h"
#include "util/mainloop.h"

typedef struct WireChardev {
    Chardev base;
    GString *text;
    size_t room;
    bool short_write;
} WireChardev;

struct Wire {
    Config *config;
    Diag *diag;
    Machine *machine;
    Monitors *monitors;
    X86CpuCaps caps;
    WireChardev *chardev;
};

static bool wire_open(Chardev *chardev, const ConfigGroup *group, GError **error)
{
    return true;
}

static void wire_close(Chardev *chardev)
{
    g_string_free(((WireChardev *)chardev)->text, TRUE);
}

static size_t wire_write(Chardev *chardev, const uint8_t *data, size_t size)
{
    WireChardev *wire = (WireChardev *)chardev;
    size_t taken = MIN(size, wire->room);

    g_string_append_len(wire->text, (const char *)data, taken);
    wire->room -= wire->room == SIZE_MAX ? 0 : taken;
    wire->short_write |= taken < size;
    return taken;
}

static const ChardevOps wire_ops = {
    .name = "wire",
    .size = sizeof(WireChardev),
    .open = wire_open,
    .close = wire_close,
    .write = wire_write,
};

Wire *wire_new(const char *mode)
{
    Wire *wire = g_new0(Wire, 1);
    MonitorContext context = { .accel = "tcg", .caps = &wire->caps };
    ConfigGroup *group;

    if (!machine_locked()) {
        main_loop_init();
        machine_lock();
    }
    wire->config = config_new();
    wire->diag = diag_new();
    group = config_add_group(wire->config, "mon", "m0", NULL, LAYER_CMDLINE);
    group_set(wire->config, group, "chardev", "c0", NULL);
    group_set(wire->config, group, "mode", mode, NULL);
    wire->machine = machine_new(wire->config);
    wire->machine->chardevs = chardev_set_new(NULL, NULL);
    wire->chardev = (WireChardev *)chardev_add(wire->machine->chardevs, &wire_ops, "c0");
    wire->chardev->text = g_string_new(NULL);
    wire->chardev->room = SIZE_MAX;
    x86_cpu_caps_tcg(&wire->caps);
    context.machine = wire->machine;
    context.config = wire->config;
    wire->monitors = monitors_new(&context, wire->diag);
    g_assert_cmpuint(diag_errors(wire->diag), ==, 0);
    return wire;
}

void wire_free(Wire *wire)
{
    ChardevSet *set = wire->machine->chardevs;

    monitors_free(wire->monitors);
    chardev_set_free(set);
    machine_free(wire->machine);
    config_free(wire->config);
    diag_free(wire->diag);
    g_free(wire);
}

Machine *wire_machine(const Wire *wire)
{
    return wire->machine;
}

size_t wire_send(Wire *wire, const char *data, size_t size)
{
    size_t taken = MIN(size, chardev_can_receive(&wire->chardev->base));

    if (taken) {
        chardev_receive(&wire->chardev->base, (const uint8_t *)data, taken);
    }
    return taken;
}

void wire_send_text(Wire *wire, const char *text)
{
    g_assert_cmpuint(wire_send(wire, text, strlen(text)), ==, strlen(text));
}

char *wire_take(Wire *wire)
{
    char *text = g_strdup(wire->chardev->text->str);

    g_string_truncate(wire->chardev->text, 0);
    return text;
}

void wire_set_room(Wire *wire, size_t room)
{
    wire->chardev->room = room;
    if (room && wire->chardev->short_write) {
        wire->chardev->short_write = false;
        chardev_writable(&wire->chardev->base);
    }
}

void wire_reconnect(Wire *wire)
{
    chardev_event(&wire->chardev->base, CHARDEV_CLOSED);
    g_string_truncate(wire->chardev->text, 0);
    chardev_event(&wire->chardev->base, CHARDEV_OPENED);
}

void wire_settle(void)
{
    while (g_main_context_iteration(NULL, FALSE)) {
    }
}
