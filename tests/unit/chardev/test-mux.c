/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The multiplexer: focus, escapes, typing ahead, quitting. */
#include "chardev/internal.h"
#include "tests/unit/chardev/peer.h"
#include "util/mainloop.h"

/* A back end whose output is kept as text. */
typedef struct Screen {
    Chardev base;
    char text[1024];
} Screen;

static bool screen_open(Chardev *chardev, const ConfigGroup *group, GError **error)
{
    return true;
}

static void screen_close(Chardev *chardev)
{
}

static size_t screen_write(Chardev *chardev, const uint8_t *data, size_t size)
{
    g_autofree char *text = g_strndup((const char *)data, size);
    g_strlcat(((Screen *)chardev)->text, text, sizeof(((Screen *)chardev)->text));
    return size;
}

static const ChardevOps screen_ops = {
    .name = "screen",
    .size = sizeof(Screen),
    .open = screen_open,
    .close = screen_close,
    .write = screen_write,
};

typedef struct Desk {
    ChardevSet *set;
    Screen *screen;
    Peer *serial, *monitor;
} Desk;

static Desk desk_new(uint8_t escape, bool with_monitor)
{
    Desk desk = { chardev_set_new(NULL, NULL), NULL, peer_new(1000), peer_new(1000) };

    desk.screen = (Screen *)chardev_add(desk.set, &screen_ops, "c0");
    desk.screen->base.mux = chardev_mux_new(&desk.screen->base, escape);
    g_assert_true(chardev_attach(&desk.screen->base, &peer_client, desk.serial, NULL));
    if (with_monitor) {
        g_assert_true(chardev_attach(&desk.screen->base, &peer_client, desk.monitor, NULL));
    }
    return desk;
}

static void desk_free(Desk *desk)
{
    chardev_set_free(desk->set);
    peer_free(desk->serial);
    peer_free(desk->monitor);
}

static void type(Desk *desk, const char *text)
{
    chardev_receive(&desk->screen->base, (const uint8_t *)text, strlen(text));
}

static void test_focus(void)
{
    Desk desk = desk_new(1, true);

    type(&desk, "to serial");
    type(&desk, "\001c");
    type(&desk, "to monitor");
    type(&desk, "\001");
    type(&desk, "c"); /* the escape may come alone */
    type(&desk, "!");
    g_assert_cmpstr(desk.serial->received->str, ==, "to serial!");
    g_assert_cmpstr(desk.monitor->received->str, ==, "to monitor");
    desk_free(&desk);
}

static void test_no_monitor(void)
{
    Desk desk = desk_new(1, false);

    type(&desk, "\001cx");
    g_assert_nonnull(strstr(desk.screen->text, "no monitor"));
    g_assert_cmpstr(desk.serial->received->str, ==, "x");
    desk_free(&desk);
}

static void test_escapes(void)
{
    Desk desk = desk_new(1, true);

    type(&desk, "a\001\001b\001b\001qc");
    g_assert_cmpstr(desk.serial->received->str, ==, "a\001bc");
    g_assert_cmpint(desk.serial->breaks, ==, 1);
    g_assert_cmpint(desk.monitor->breaks, ==, 0);
    type(&desk, "\001h");
    g_assert_nonnull(strstr(desk.screen->text, "Ctrl-a x"));
    desk_free(&desk);
}

static void test_other_escape(void)
{
    Desk desk = desk_new(20, true);

    type(&desk, "\001c\024h");
    g_assert_cmpstr(desk.serial->received->str, ==, "\001c");
    g_assert_nonnull(strstr(desk.screen->text, "Ctrl-t x"));
    desk_free(&desk);
}

/* A guest that does not listen: typing is kept in order up to a bound, escapes go on working. */
static void test_busy_front_end(void)
{
    Desk desk = desk_new(1, true);
    unsigned typed = 0;

    desk.serial->room = 0;
    while (chardev_can_receive(&desk.screen->base) > 8) {
        type(&desk, "0123");
        typed += 4;
    }
    g_assert_cmpint(typed, <, 1000);
    type(&desk, "\001h");
    g_assert_nonnull(strstr(desk.screen->text, "Ctrl-a x"));
    desk.serial->room = 6;
    chardev_accept_input(&desk.screen->base);
    g_assert_cmpstr(desk.serial->received->str, ==, "012301");
    desk.serial->room = 1000;
    chardev_accept_input(&desk.screen->base);
    g_assert_cmpint(desk.serial->received->len, ==, typed);
    g_assert_true(g_str_has_suffix(desk.serial->received->str, "230123"));
    desk_free(&desk);
}

static void test_all_are_told(void)
{
    Desk desk = desk_new(1, true);

    chardev_writable(&desk.screen->base);
    chardev_event(&desk.screen->base, CHARDEV_OPENED);
    g_assert_cmpint(desk.serial->writable + desk.monitor->writable, ==, 2);
    g_assert_cmpint(desk.serial->opened + desk.monitor->opened, ==, 2);
    chardev_detach(&desk.screen->base, desk.serial);
    type(&desk, "alone");
    g_assert_cmpstr(desk.monitor->received->str, ==, "alone");
    desk_free(&desk);
}

static void test_full(void)
{
    Desk desk = desk_new(1, true);
    Peer *more[3] = { peer_new(1), peer_new(1), peer_new(1) };
    g_autoptr(GError) error = NULL;

    g_assert_true(chardev_attach(&desk.screen->base, &peer_client, more[0], &error));
    g_assert_true(chardev_attach(&desk.screen->base, &peer_client, more[1], &error));
    g_assert_false(chardev_attach(&desk.screen->base, &peer_client, more[2], &error));
    g_assert_nonnull(error);
    desk_free(&desk);
    for (unsigned n = 0; n < 3; n++) {
        peer_free(more[n]);
    }
}

/* Last: the loop can end once. */
static void test_quit(void)
{
    Desk desk = desk_new(1, true);

    type(&desk, "\001x");
    g_assert_cmpint(main_loop_run(), ==, 0);
    desk_free(&desk);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/chardev/mux/focus", test_focus);
    g_test_add_func("/chardev/mux/no-monitor", test_no_monitor);
    g_test_add_func("/chardev/mux/escapes", test_escapes);
    g_test_add_func("/chardev/mux/other-escape", test_other_escape);
    g_test_add_func("/chardev/mux/busy-front-end", test_busy_front_end);
    g_test_add_func("/chardev/mux/all-are-told", test_all_are_told);
    g_test_add_func("/chardev/mux/full", test_full);
    g_test_add_func("/chardev/mux/quit", test_quit);
    return peer_main();
}
