/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The front end of the back end tests. */
#include "tests/unit/chardev/peer.h"

#include "util/lock.h"
#include "util/mainloop.h"

static size_t peer_can_receive(void *opaque)
{
    return ((Peer *)opaque)->room;
}

static void peer_receive(void *opaque, const uint8_t *data, size_t size)
{
    Peer *peer = opaque;

    g_assert_cmpint(size, <=, peer->room);
    g_assert_true(machine_locked());
    g_string_append_len(peer->received, (const char *)data, size);
    peer->room -= size;
}

static void peer_event(void *opaque, ChardevEvent event)
{
    Peer *peer = opaque;

    peer->opened += event == CHARDEV_OPENED;
    peer->closed += event == CHARDEV_CLOSED;
    peer->breaks += event == CHARDEV_BREAK;
}

static void peer_writable(void *opaque)
{
    ((Peer *)opaque)->writable++;
}

const ChardevClient peer_client = {
    .can_receive = peer_can_receive,
    .receive = peer_receive,
    .event = peer_event,
    .writable = peer_writable,
};

Peer *peer_new(size_t room)
{
    Peer *peer = g_new0(Peer, 1);

    peer->received = g_string_new(NULL);
    peer->room = room;
    return peer;
}

void peer_free(Peer *peer)
{
    g_string_free(peer->received, TRUE);
    g_free(peer);
}

/* The configurations live as long as the test: sets refer to them. */
static struct {
    GPtrArray *configs;
    char *error;
} made;

ChardevSet *chardev_make(const char *backend, ...)
{
    Config *config = config_new();
    g_autoptr(Diag) diag = diag_new();
    ConfigGroup *group = config_add_group(config, "chardev", "c0", NULL, LAYER_CMDLINE);
    ChardevSet *set;
    const char *key;
    va_list args;

    g_ptr_array_add(made.configs, config);
    group_set(config, group, "backend", backend, NULL);
    va_start(args, backend);
    while ((key = va_arg(args, const char *))) {
        group_set(config, group, key, va_arg(args, const char *), NULL);
    }
    va_end(args);
    set = chardev_set_new(config, diag);
    if (diag_errors(diag) == 0) {
        return set;
    }
    chardev_set_free(set);
    g_free(made.error);
    made.error = diag_take_text(diag);
    return NULL;
}

const char *chardev_make_error(void)
{
    return made.error;
}

void loop_once(void)
{
    if (!g_main_context_iteration(NULL, FALSE)) {
        machine_unlock();
        g_usleep(200);
        machine_lock();
    }
}

void loop_settle(void)
{
    for (unsigned n = 0; n < 50; n++) {
        loop_once();
    }
}

int peer_main(void)
{
    int status;

    made.configs = g_ptr_array_new_with_free_func((GDestroyNotify)config_free);
    main_loop_init();
    machine_lock();
    status = g_test_run();
    machine_unlock();
    g_ptr_array_unref(made.configs);
    g_free(made.error);
    return status;
}
