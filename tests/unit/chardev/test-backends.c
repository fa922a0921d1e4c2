/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Every back end against the host object it stands for, its far end in the test's hands. */
#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <termios.h>
#include <unistd.h>

#include "tests/unit/chardev/peer.h"

static char *directory;

static char *path_of(const char *name)
{
    return g_build_filename(directory, name, NULL);
}

static void write_text(Chardev *chardev, const char *text)
{
    g_assert_cmpint(chardev_write(chardev, (const uint8_t *)text, strlen(text)), ==, strlen(text));
}

/* Writes until the host takes no more; fails if it takes more than any pipe or socket buffers. */
static size_t fill(Chardev *chardev)
{
    static const uint8_t block[4096] = { 'x' };
    size_t total = 0, taken;

    do {
        taken = chardev_write(chardev, block, sizeof(block));
        total += taken;
        g_assert_cmpint(total, <, 64 * 1024 * 1024);
    } while (taken == sizeof(block));
    return total;
}

static size_t drain(int fd)
{
    uint8_t block[65536];
    size_t total = 0;
    ssize_t size;

    while ((size = recv(fd, block, sizeof(block), MSG_DONTWAIT)) > 0) {
        total += size;
    }
    return total;
}

static void expect_read(int fd, const char *text)
{
    char buffer[64];
    size_t want = strlen(text), have = 0;

    g_assert_cmpint(want, <, sizeof(buffer));
    while (have < want) {
        ssize_t size = read(fd, buffer + have, want - have);
        g_assert_cmpint(size, >, 0);
        have += size;
    }
    g_assert_cmpmem(buffer, have, text, want);
}

static void test_null(void)
{
    ChardevSet *set = chardev_make("null", NULL);

    write_text(chardev_find(set, "c0"), "anything");
    g_assert_null(chardev_find(set, "c1"));
    chardev_set_free(set);
}

static void test_attach_once(void)
{
    ChardevSet *set = chardev_make("null", NULL);
    Chardev *chardev = chardev_find(set, "c0");
    Peer *one = peer_new(1), *two = peer_new(1);
    g_autoptr(GError) error = NULL;

    g_assert_true(chardev_attach(chardev, &peer_client, one, &error));
    g_assert_false(chardev_attach(chardev, &peer_client, two, &error));
    g_assert_nonnull(strstr(error->message, "c0"));
    chardev_detach(chardev, two); /* not attached: nothing */
    g_clear_error(&error);
    chardev_detach(chardev, one);
    g_assert_true(chardev_attach(chardev, &peer_client, two, &error));
    chardev_set_free(set);
    peer_free(one);
    peer_free(two);
}

static void test_file(void)
{
    g_autofree char *path = path_of("out"), *input = path_of("in"), *text = NULL;
    ChardevSet *set;
    Peer *peer = peer_new(3);

    for (unsigned append = 0; append < 2; append++) {
        set = chardev_make("file", "path", path, "append", append ? "on" : "off", NULL);
        write_text(chardev_find(set, "c0"), "ab");
        chardev_set_free(set);
    }
    g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
    g_assert_cmpstr(text, ==, "abab");
    g_assert_true(g_file_set_contents(input, "hello", -1, NULL));
    set = chardev_make("file", "path", path, "input-path", input, NULL);
    g_assert_true(chardev_attach(chardev_find(set, "c0"), &peer_client, peer, NULL));
    LOOP_UNTIL(peer->received->len == 3);
    loop_settle();
    g_assert_cmpstr(peer->received->str, ==, "hel"); /* no more than there is room for */
    peer->room = 10;
    chardev_accept_input(chardev_find(set, "c0"));
    LOOP_UNTIL(peer->received->len == 5);
    loop_settle(); /* the end of the file ends nothing else */
    write_text(chardev_find(set, "c0"), "still");
    chardev_set_free(set);
    peer_free(peer);
}

static void test_pipe(void)
{
    g_autofree char *path = path_of("fifo"), *in = path_of("fifo.in"), *out = path_of("fifo.out");
    Peer *peer = peer_new(100);
    ChardevSet *set;
    int to, from;

    g_assert_cmpint(mkfifo(in, 0600) | mkfifo(out, 0600), ==, 0);
    set = chardev_make("pipe", "path", path, NULL);
    g_assert_true(chardev_attach(chardev_find(set, "c0"), &peer_client, peer, NULL));
    to = open(in, O_WRONLY | O_NONBLOCK);
    from = open(out, O_RDONLY | O_NONBLOCK);
    g_assert_cmpint(write(to, "abc", 3), ==, 3);
    LOOP_UNTIL(peer->received->len == 3);
    write_text(chardev_find(set, "c0"), "xyz");
    expect_read(from, "xyz");
    close(to);
    loop_settle();
    to = open(in, O_WRONLY | O_NONBLOCK); /* the next writer is heard as well */
    g_assert_cmpint(write(to, "d", 1), ==, 1);
    LOOP_UNTIL(peer->received->len == 4);
    close(to);
    close(from);
    chardev_set_free(set);
    peer_free(peer);
}

static int connect_unix(const char *path)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    g_strlcpy(address.sun_path, path, sizeof(address.sun_path));
    g_assert_cmpint(connect(fd, (struct sockaddr *)&address, sizeof(address)), ==, 0);
    return fd;
}

static void test_unix_server(void)
{
    g_autofree char *path = path_of("server");
    Peer *peer = peer_new(1000);
    ChardevSet *set = chardev_make("socket", "path", path, "server", "on", "wait", "off", NULL);
    Chardev *chardev = chardev_find(set, "c0");
    size_t taken;
    int fd;

    g_assert_true(chardev_attach(chardev, &peer_client, peer, NULL));
    write_text(chardev, "nobody listens");
    for (unsigned round = 1; round <= 2; round++) {
        fd = connect_unix(path);
        LOOP_UNTIL(peer->opened == round);
        write_text(chardev, "hi");
        expect_read(fd, "hi");
        g_assert_cmpint(send(fd, "yo", 2, 0), ==, 2);
        LOOP_UNTIL(peer->received->len == 2 * round);
        close(fd);
        LOOP_UNTIL(peer->closed == round);
    }
    /* A reader that does not read: short writes, then writable() when it does. */
    fd = connect_unix(path);
    LOOP_UNTIL(peer->opened == 3);
    taken = fill(chardev);
    loop_settle();
    g_assert_cmpint(peer->writable, ==, 2); /* told at each hang-up */
    g_assert_cmpint(drain(fd), ==, taken);
    LOOP_UNTIL(peer->writable == 3);
    fill(chardev);
    close(fd); /* what waits for room must not wait for ever */
    LOOP_UNTIL(peer->writable >= 4);
    write_text(chardev, "dropped");
    chardev_set_free(set);
    g_assert_false(g_file_test(path, G_FILE_TEST_EXISTS));
    peer_free(peer);
}

/* A stale socket is replaced, another file never. */
static void test_unix_path_taken(void)
{
    g_autofree char *path = path_of("taken"), *text = NULL;
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    ChardevSet *set;

    g_strlcpy(address.sun_path, path, sizeof(address.sun_path));
    g_assert_cmpint(bind(fd, (struct sockaddr *)&address, sizeof(address)), ==, 0);
    close(fd);
    set = chardev_make("socket", "path", path, "server", "on", "wait", "off", NULL);
    g_assert_nonnull(set);
    chardev_set_free(set);
    g_assert_true(g_file_set_contents(path, "precious", -1, NULL));
    g_assert_null(chardev_make("socket", "path", path, "server", "on", "wait", "off", NULL));
    g_assert_nonnull(strstr(chardev_make_error(), path));
    g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
    g_assert_cmpstr(text, ==, "precious");
}

/* A client that connects again: the server comes late, goes, and comes back. */
static void test_reconnect(void)
{
    g_autofree char *path = path_of("late");
    Peer *peer = peer_new(100);
    ChardevSet *set = chardev_make("socket", "path", path, "reconnect", "1", NULL);
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    int listener = socket(AF_UNIX, SOCK_STREAM, 0), fd;

    g_assert_true(chardev_attach(chardev_find(set, "c0"), &peer_client, peer, NULL));
    g_strlcpy(address.sun_path, path, sizeof(address.sun_path));
    g_assert_cmpint(bind(listener, (struct sockaddr *)&address, sizeof(address)), ==, 0);
    g_assert_cmpint(listen(listener, 1), ==, 0);
    for (unsigned round = 1; round <= 2; round++) {
        LOOP_UNTIL(peer->opened == round);
        fd = accept(listener, NULL, NULL);
        write_text(chardev_find(set, "c0"), "again");
        expect_read(fd, "again");
        close(fd);
        LOOP_UNTIL(peer->closed == round);
    }
    close(listener);
    chardev_set_free(set);
    peer_free(peer);
}

static void test_tcp(void)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    socklen_t size = sizeof(address);
    int listener = socket(AF_INET, SOCK_STREAM, 0), fd;
    g_autofree char *port = NULL;
    Peer *peer = peer_new(100);
    ChardevSet *set;

    g_assert_cmpint(bind(listener, (struct sockaddr *)&address, size), ==, 0);
    g_assert_cmpint(listen(listener, 1), ==, 0);
    getsockname(listener, (struct sockaddr *)&address, &size);
    port = g_strdup_printf("%u", ntohs(address.sin_port));
    set = chardev_make("socket", "host", "127.0.0.1", "port", port, NULL);
    g_assert_nonnull(set);
    fd = accept(listener, NULL, NULL);
    g_assert_true(chardev_attach(chardev_find(set, "c0"), &peer_client, peer, NULL));
    write_text(chardev_find(set, "c0"), "out");
    expect_read(fd, "out");
    g_assert_cmpint(send(fd, "in", 2, 0), ==, 2);
    LOOP_UNTIL(peer->received->len == 2);
    close(fd);
    LOOP_UNTIL(peer->closed == 1);
    chardev_set_free(set);
    /* The listener's port is taken: an error that names it. */
    g_assert_null(chardev_make("socket", "host", "127.0.0.1", "port", port, "server", "on", "wait",
                               "off", NULL));
    g_assert_nonnull(strstr(chardev_make_error(), port));
    close(listener);
    peer_free(peer);
}

/* The name is only printed: the newest pseudo-terminal is the one just made. */
static int open_new_pty(const bool *before)
{
    for (unsigned n = 0; n < 1024; n++) {
        g_autofree char *name = g_strdup_printf("/dev/pts/%u", n);
        if (!before[n] && g_file_test(name, G_FILE_TEST_EXISTS)) {
            return open(name, O_RDWR | O_NOCTTY);
        }
    }
    return -1;
}

static void test_pty(void)
{
    bool before[1024];
    Peer *peer = peer_new(100);
    ChardevSet *set;
    Chardev *chardev;
    int fd;

    for (unsigned n = 0; n < 1024; n++) {
        g_autofree char *name = g_strdup_printf("/dev/pts/%u", n);
        before[n] = g_file_test(name, G_FILE_TEST_EXISTS);
    }
    set = chardev_make("pty", NULL);
    if (!set) {
        g_test_skip(chardev_make_error());
        peer_free(peer);
        return;
    }
    chardev = chardev_find(set, "c0");
    g_assert_true(chardev_attach(chardev, &peer_client, peer, NULL));
    for (unsigned n = 0; n < 100000; n++) {
        write_text(chardev, "nobody has it open: dropped, however much");
    }
    for (unsigned round = 1; round <= 2; round++) {
        fd = open_new_pty(before);
        g_assert_cmpint(fd, >=, 0);
        LOOP_UNTIL(peer->opened == round);
        write_text(chardev, "out\n");
        expect_read(fd, "out\n"); /* raw: no carriage return */
        g_assert_cmpint(write(fd, "in", 2), ==, 2);
        LOOP_UNTIL(peer->received->len == 2 * round);
        close(fd);
        LOOP_UNTIL(peer->closed == round);
    }
    chardev_set_free(set);
    peer_free(peer);
}

/* What the host refuses is one error that names what was asked for; nothing is left open. */
static void test_errors(void)
{
    static const char *const rows[][4] = {
        { "file", "path", "/nonexistent/dir/out", "/nonexistent/dir/out" },
        { "pipe", "path", "/nonexistent/fifo", "/nonexistent/fifo" },
        { "socket", "path", "/nonexistent/socket", "/nonexistent/socket" },
        { "nosuch", "path", "x", "there is no backend 'nosuch'" },
        { "file", "append", "on", "path" },
        { "socket", "host", "localhost", "port" },
    };

    for (unsigned n = 0; n < G_N_ELEMENTS(rows); n++) {
        g_assert_null(chardev_make(rows[n][0], rows[n][1], rows[n][2], NULL));
        g_assert_nonnull(strstr(chardev_make_error(), rows[n][3]));
    }
}

static void test_input_missing_leaves_output_alone(void)
{
    g_autofree char *path = path_of("kept"), *missing = path_of("missing"), *text = NULL;

    g_assert_true(g_file_set_contents(path, "kept", -1, NULL));
    g_assert_null(chardev_make("file", "path", path, "input-path", missing, NULL));
    g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
    g_assert_cmpstr(text, ==, "kept");
}

int main(int argc, char **argv)
{
    int status;

    g_test_init(&argc, &argv, NULL);
    directory = g_dir_make_tmp("chardev-XXXXXX", NULL);
    g_test_add_func("/chardev/null", test_null);
    g_test_add_func("/chardev/attach-once", test_attach_once);
    g_test_add_func("/chardev/file", test_file);
    g_test_add_func("/chardev/pipe", test_pipe);
    g_test_add_func("/chardev/unix-server", test_unix_server);
    g_test_add_func("/chardev/unix-path-taken", test_unix_path_taken);
    g_test_add_func("/chardev/reconnect", test_reconnect);
    g_test_add_func("/chardev/tcp", test_tcp);
    g_test_add_func("/chardev/pty", test_pty);
    g_test_add_func("/chardev/errors", test_errors);
    g_test_add_func("/chardev/input-missing", test_input_missing_leaves_output_alone);
    status = peer_main();
    g_autoptr(GDir) dir = g_dir_open(directory, 0, NULL);
    for (const char *name; (name = g_dir_read_name(dir));) {
        g_autofree char *path = path_of(name);
        g_unlink(path);
    }
    g_rmdir(directory);
    g_free(directory);
    return status;
}
