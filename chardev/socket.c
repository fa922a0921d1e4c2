/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A stream socket, UNIX (path) or TCP (host, port), as client or server (server, wait), with one
 * connection at a time. A client connects again after reconnect seconds; a server takes the next
 * caller when the first has left. Without a connection output is dropped.
 */
#include <errno.h>
#include <fcntl.h>
#include <glib-unix.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "chardev/stream.h"
#include "util/timer.h"

typedef struct SocketChardev {
    Chardev base;
    Stream stream;         /* the connection */
    char *name;            /* for messages */
    char *bound_path;      /* UNIX server: to be unlinked */
    struct sockaddr_storage address;
    socklen_t address_size;
    int listener;          /* 0: none (standard input is never it) */
    GSource *listen_source;
    unsigned reconnect;    /* seconds; 0: never */
    int connecting;        /* a connect() in progress, or 0 */
    GSource *connect_source;
    Timer *timer;
} SocketChardev;

static void socket_start(SocketChardev *s);

static void socket_drop_source(GSource **source)
{
    if (*source) {
        g_source_destroy(*source);
        g_source_unref(*source);
        *source = NULL;
    }
}

static GSource *socket_watch(int fd, GIOCondition condition, GUnixFDSourceFunc fn, SocketChardev *s)
{
    GSource *source = g_unix_fd_source_new(fd, condition);

    g_source_set_callback(source, G_SOURCE_FUNC(fn), s, NULL);
    g_source_attach(source, NULL);
    return source;
}

/* --- The connection ------------------------------------------------------------ */

static void socket_hangup(Chardev *chardev)
{
    SocketChardev *s = (SocketChardev *)chardev;

    stream_close(&s->stream);
    chardev_writable(chardev); /* what waited for room is dropped now, with what follows */
    chardev_event(chardev, CHARDEV_CLOSED);
    socket_start(s);
}

static void socket_connected(SocketChardev *s, int fd)
{
    int on = 1;

    /* Keystrokes and console output go at once; fails harmlessly on a UNIX socket. */
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    g_unix_set_fd_nonblocking(fd, TRUE, NULL);
    stream_open(&s->stream, &s->base, fd, fd, socket_hangup);
    chardev_event(&s->base, CHARDEV_OPENED);
}

static gboolean socket_accept(int fd, GIOCondition condition, gpointer opaque)
{
    SocketChardev *s = opaque;
    int connection = accept4(fd, NULL, NULL, SOCK_CLOEXEC);

    if (connection < 0) {
        return G_SOURCE_CONTINUE;
    }
    socket_drop_source(&s->listen_source);
    socket_connected(s, connection);
    return G_SOURCE_REMOVE;
}

static void socket_retry_later(SocketChardev *s)
{
    if (s->reconnect) {
        timer_mod(s->timer, clock_ns(CLOCK_REAL) + s->reconnect * NS_PER_SECOND);
    }
}

static gboolean socket_connect_done(int fd, GIOCondition condition, gpointer opaque)
{
    SocketChardev *s = opaque;
    int status = 0;
    socklen_t size = sizeof(status);

    socket_drop_source(&s->connect_source);
    s->connecting = 0;
    getsockopt(fd, SOL_SOCKET, SO_ERROR, &status, &size);
    if (status == 0) {
        socket_connected(s, fd);
    } else {
        close(fd);
        socket_retry_later(s);
    }
    return G_SOURCE_REMOVE;
}

/* Connects without waiting: socket_connect_done() has the outcome. */
static void socket_connect_again(void *opaque)
{
    SocketChardev *s = opaque;
    int fd = socket(s->address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0) {
        socket_retry_later(s);
    } else if (connect(fd, (struct sockaddr *)&s->address, s->address_size) == 0) {
        socket_connected(s, fd);
    } else if (errno == EINPROGRESS) {
        s->connecting = fd;
        s->connect_source = socket_watch(fd, G_IO_OUT | G_IO_HUP | G_IO_ERR, socket_connect_done,
                                         s);
    } else {
        close(fd);
        socket_retry_later(s);
    }
}

/* Waits for the next connection, as server or client. */
static void socket_start(SocketChardev *s)
{
    if (s->listener) {
        s->listen_source = socket_watch(s->listener, G_IO_IN, socket_accept, s);
    } else {
        socket_retry_later(s);
    }
}

/* --- Opening ------------------------------------------------------------------- */

static bool socket_set_unix_address(SocketChardev *s, const char *path, GError **error)
{
    struct sockaddr_un *address = (struct sockaddr_un *)&s->address;

    if (strlen(path) >= sizeof(address->sun_path)) {
        errno = ENAMETOOLONG;
        return chardev_errno(&s->base, path, error);
    }
    address->sun_family = AF_UNIX;
    strcpy(address->sun_path, path);
    s->address_size = sizeof(*address);
    s->name = g_strconcat("unix:", path, NULL);
    return true;
}

static bool socket_set_tcp_address(SocketChardev *s, const ConfigGroup *group, bool server,
                                   GError **error)
{
    const char *host = chardev_key(group, "host", "");
    const char *port = chardev_key_needed(&s->base, group, "port", error);
    struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = server ? AI_PASSIVE : 0 };
    struct addrinfo *found = NULL;
    int status;

    if (!port) {
        return false;
    }
    s->name = g_strdup_printf("tcp:%s:%s", host, port);
    status = getaddrinfo(*host ? host : NULL, port, &hints, &found);
    if (status != 0) {
        g_set_error(error, CHARDEV_ERROR, 0, "chardev '%s': %s: %s", s->base.id, s->name,
                    gai_strerror(status));
        return false;
    }
    memcpy(&s->address, found->ai_addr, found->ai_addrlen);
    s->address_size = found->ai_addrlen;
    freeaddrinfo(found);
    return true;
}

/* A socket file that a former process left behind is in bind()'s way; other files are not
 * touched. */
static void socket_remove_stale(const char *path)
{
    struct stat st;

    if (lstat(path, &st) == 0 && S_ISSOCK(st.st_mode)) {
        unlink(path);
    }
}

static bool socket_listen(SocketChardev *s, const char *path, GError **error)
{
    int on = 1;
    int fd = socket(s->address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0) {
        return chardev_errno(&s->base, s->name, error);
    }
    s->listener = fd;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (path) {
        socket_remove_stale(path);
    }
    if (bind(fd, (struct sockaddr *)&s->address, s->address_size) < 0 || listen(fd, 1) < 0) {
        return chardev_errno(&s->base, s->name, error);
    }
    s->bound_path = g_strdup(path);
    return true;
}

/* wait=on: the machine does not start before somebody listens to it. */
static bool socket_wait_for_caller(SocketChardev *s, GError **error)
{
    int fd;

    g_printerr("waiting for a connection on %s (label %s)\n", s->name, s->base.id);
    do {
        fd = accept4(s->listener, NULL, NULL, SOCK_CLOEXEC);
    } while (fd < 0 && errno == EINTR);
    if (fd < 0) {
        return chardev_errno(&s->base, s->name, error);
    }
    socket_connected(s, fd);
    return true;
}

static bool socket_open_server(SocketChardev *s, const ConfigGroup *group, const char *path,
                               GError **error)
{
    if (!socket_listen(s, path, error)) {
        return false;
    }
    if (chardev_key_bool(group, "wait", true)) {
        return socket_wait_for_caller(s, error);
    }
    g_unix_set_fd_nonblocking(s->listener, TRUE, NULL);
    socket_start(s);
    return true;
}

static bool socket_open_client(SocketChardev *s, GError **error)
{
    int fd;

    if (s->reconnect) {
        socket_connect_again(s);
        return true;
    }
    fd = socket(s->address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&s->address, s->address_size) < 0) {
        chardev_errno(&s->base, s->name, error);
        if (fd >= 0) {
            close(fd);
        }
        return false;
    }
    socket_connected(s, fd);
    return true;
}

static bool socket_open(Chardev *chardev, const ConfigGroup *group, GError **error)
{
    SocketChardev *s = (SocketChardev *)chardev;
    const char *path = chardev_key(group, "path", NULL);
    bool server = chardev_key_bool(group, "server", false);
    uint64_t reconnect = g_ascii_strtoull(chardev_key(group, "reconnect", "0"), NULL, 0);

    s->reconnect = server ? 0 : MIN(reconnect, 86400);
    s->timer = timer_new(CLOCK_REAL, socket_connect_again, s);
    if (path ? !socket_set_unix_address(s, path, error)
             : !socket_set_tcp_address(s, group, server, error)) {
        return false;
    }
    return server ? socket_open_server(s, group, path, error) : socket_open_client(s, error);
}

static void socket_close(Chardev *chardev)
{
    SocketChardev *s = (SocketChardev *)chardev;

    socket_drop_source(&s->listen_source);
    socket_drop_source(&s->connect_source);
    stream_close(&s->stream);
    if (s->timer) {
        timer_free(s->timer);
    }
    if (s->connecting) {
        close(s->connecting);
    }
    if (s->listener) {
        close(s->listener);
    }
    if (s->bound_path) {
        unlink(s->bound_path);
    }
    g_free(s->bound_path);
    g_free(s->name);
}

static size_t socket_write(Chardev *chardev, const uint8_t *data, size_t size)
{
    SocketChardev *s = (SocketChardev *)chardev;
    return stream_is_open(&s->stream) ? stream_write(&s->stream, data, size) : size;
}

static void socket_accept_input(Chardev *chardev)
{
    stream_accept_input(&((SocketChardev *)chardev)->stream);
}

static bool socket_is_connected(const Chardev *chardev)
{
    return stream_is_open(&((const SocketChardev *)chardev)->stream);
}

static const ChardevOps socket_ops = {
    .name = "socket",
    .size = sizeof(SocketChardev),
    .open = socket_open,
    .close = socket_close,
    .write = socket_write,
    .accept_input = socket_accept_input,
    .is_connected = socket_is_connected,
};
CHARDEV_BACKEND(socket_ops);
