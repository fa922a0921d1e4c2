/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A pseudo-terminal whose name is told on standard error. While nobody has it open, output is
 * dropped, and a timer looks once a second whether somebody has come.
 */
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <termios.h>
#include <unistd.h>

#include "chardev/stream.h"
#include "util/timer.h"

#define PTY_CHECK_NS NS_PER_SECOND

typedef struct PtyChardev {
    Chardev base;
    int master;    /* the stream has a copy of it while somebody is connected */
    Stream stream;
    Timer *timer;
} PtyChardev;

static void pty_hangup(Chardev *chardev)
{
    PtyChardev *pty = (PtyChardev *)chardev;

    stream_close(&pty->stream);
    timer_mod(pty->timer, clock_ns(CLOCK_REAL) + PTY_CHECK_NS);
    chardev_writable(chardev); /* what waited for room is dropped now, with what follows */
    chardev_event(chardev, CHARDEV_CLOSED);
}

/* The master hangs up while no process has the slave open. */
static bool pty_has_peer(const PtyChardev *pty)
{
    struct pollfd poller = { .fd = pty->master, .events = POLLOUT };
    return poll(&poller, 1, 0) >= 0 && !(poller.revents & POLLHUP);
}

static void pty_check(PtyChardev *pty)
{
    if (!stream_is_open(&pty->stream) && pty_has_peer(pty)) {
        int fd = fcntl(pty->master, F_DUPFD_CLOEXEC, 3);
        timer_del(pty->timer);
        stream_open(&pty->stream, &pty->base, fd, fd, pty_hangup);
        chardev_event(&pty->base, CHARDEV_OPENED);
    }
}

static void pty_check_timer(void *opaque)
{
    PtyChardev *pty = opaque;

    pty_check(pty);
    if (!stream_is_open(&pty->stream)) {
        timer_mod(pty->timer, clock_ns(CLOCK_REAL) + PTY_CHECK_NS);
    }
}

/* Raw from the start, so that what the guest writes is not echoed back to it. */
static bool pty_make_raw(const char *name)
{
    int slave = open(name, O_RDWR | O_NOCTTY | O_CLOEXEC);
    struct termios termios;
    bool done;

    if (slave < 0) {
        return false;
    }
    done = tcgetattr(slave, &termios) == 0;
    cfmakeraw(&termios);
    done = done && tcsetattr(slave, TCSANOW, &termios) == 0;
    close(slave);
    return done;
}

static bool pty_open(Chardev *chardev, const ConfigGroup *group, GError **error)
{
    PtyChardev *pty = (PtyChardev *)chardev;
    char name[64];

    pty->master = posix_openpt(O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
    if (pty->master < 0 || grantpt(pty->master) < 0 || unlockpt(pty->master) < 0 ||
        ptsname_r(pty->master, name, sizeof(name)) != 0 || !pty_make_raw(name)) {
        return chardev_errno(chardev, "pseudo-terminal", error);
    }
    g_printerr("char device redirected to %s (label %s)\n", name, chardev->id);
    pty->timer = timer_new(CLOCK_REAL, pty_check_timer, pty);
    pty_check_timer(pty);
    return true;
}

static void pty_close(Chardev *chardev)
{
    PtyChardev *pty = (PtyChardev *)chardev;

    stream_close(&pty->stream);
    if (pty->timer) {
        timer_free(pty->timer);
    }
    if (pty->master > 0) {
        close(pty->master);
    }
}

static size_t pty_write(Chardev *chardev, const uint8_t *data, size_t size)
{
    PtyChardev *pty = (PtyChardev *)chardev;

    pty_check(pty);
    if (!stream_is_open(&pty->stream) || !pty_has_peer(pty)) {
        return size;
    }
    return stream_write(&pty->stream, data, size);
}

static void pty_accept_input(Chardev *chardev)
{
    stream_accept_input(&((PtyChardev *)chardev)->stream);
}

static bool pty_is_connected(const Chardev *chardev)
{
    return stream_is_open(&((const PtyChardev *)chardev)->stream);
}

static const ChardevOps pty_ops = {
    .name = "pty",
    .size = sizeof(PtyChardev),
    .open = pty_open,
    .close = pty_close,
    .write = pty_write,
    .accept_input = pty_accept_input,
    .is_connected = pty_is_connected,
};
CHARDEV_BACKEND(pty_ops);
