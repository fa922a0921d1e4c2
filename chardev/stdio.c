/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Standard input and output. A terminal is put into raw mode and given back when the back end
 * closes or the process exits. Input that ends leaves the machine running.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#include "chardev/stream.h"

/* What exit() puts back. It outlives the back end, for on_exit() cannot be taken back. */
typedef struct TerminalGuard {
    int fd;
    struct termios saved;
    bool changed;
} TerminalGuard;

typedef struct StdioChardev {
    Chardev base;
    Stream stream;
    TerminalGuard *guard; /* NULL: standard input is no terminal */
} StdioChardev;

static void terminal_restore(TerminalGuard *guard)
{
    if (guard->changed) {
        tcsetattr(guard->fd, TCSANOW, &guard->saved);
        guard->changed = false;
    }
}

static void terminal_restore_at_exit(int status, void *opaque)
{
    terminal_restore(opaque);
}

/* Every key goes to the guest, Ctrl-C too unless @signals; output keeps its newline handling. */
static TerminalGuard *terminal_make_raw(int fd, bool signals)
{
    TerminalGuard *guard = g_new0(TerminalGuard, 1);
    struct termios raw;

    guard->fd = fd;
    if (tcgetattr(fd, &guard->saved) < 0) {
        g_free(guard);
        return NULL;
    }
    raw = guard->saved;
    raw.c_iflag &= ~(IGNBRK | BRKINT | PARMRK | ISTRIP | INLCR | IGNCR | ICRNL | IXON);
    raw.c_oflag |= OPOST;
    raw.c_lflag &= ~(ECHO | ECHONL | ICANON | IEXTEN);
    if (!signals) {
        raw.c_lflag &= ~ISIG;
    }
    raw.c_cc[VMIN] = 1;
    raw.c_cc[VTIME] = 0;
    guard->changed = tcsetattr(fd, TCSANOW, &raw) == 0;
    on_exit(terminal_restore_at_exit, guard);
    return guard;
}

/*
 * A descriptor for standard output that does not block. O_NONBLOCK on the inherited one would
 * change it for every process that shares it, so pipes and terminals are opened anew.
 */
static int stdio_open_output(void)
{
    struct stat st;

    if (fstat(STDOUT_FILENO, &st) == 0 && (S_ISFIFO(st.st_mode) || S_ISCHR(st.st_mode))) {
        int fd = open("/proc/self/fd/1", O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
        if (fd >= 0) {
            return fd;
        }
    }
    return fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
}

static bool stdio_open(Chardev *chardev, const ConfigGroup *group, GError **error)
{
    StdioChardev *stdio = (StdioChardev *)chardev;
    /* With a multiplexer Ctrl-C is the guest's and the escape character ends the emulator. */
    bool signals = chardev_key_bool(group, "signal", chardev->mux == NULL);
    int in = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3); /* closed standard input: no input */

    stdio->guard = in >= 0 ? terminal_make_raw(in, signals) : NULL;
    stream_open(&stdio->stream, chardev, in, stdio_open_output(), NULL);
    return true;
}

static void stdio_close(Chardev *chardev)
{
    StdioChardev *stdio = (StdioChardev *)chardev;

    if (stdio->guard) {
        terminal_restore(stdio->guard);
    }
    stream_close(&stdio->stream);
}

static size_t stdio_write(Chardev *chardev, const uint8_t *data, size_t size)
{
    return stream_write(&((StdioChardev *)chardev)->stream, data, size);
}

static void stdio_accept_input(Chardev *chardev)
{
    stream_accept_input(&((StdioChardev *)chardev)->stream);
}

static const ChardevOps stdio_ops = {
    .name = "stdio",
    .size = sizeof(StdioChardev),
    .exclusive = true,
    .open = stdio_open,
    .close = stdio_close,
    .write = stdio_write,
    .accept_input = stdio_accept_input,
};
CHARDEV_BACKEND(stdio_ops);
