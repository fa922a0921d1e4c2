/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Standard input and output: the terminal is raw while it is used and as before afterwards. */
#include <fcntl.h>
#include <glib-unix.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "tests/unit/chardev/peer.h"

/* Runs @body in a child with @in and @out as its standard input and output; its exit status. */
static int in_child(int in, int out, void (*body)(void))
{
    int status;
    pid_t child = fork();

    if (child == 0) {
        dup2(in, STDIN_FILENO);
        dup2(out, STDOUT_FILENO);
        body();
        _exit(99);
    }
    g_assert_cmpint(waitpid(child, &status, 0), ==, child);
    g_assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static int open_terminal(int *slave)
{
    int master = posix_openpt(O_RDWR | O_NOCTTY);
    char name[64];

    g_assert_cmpint(master, >=, 0);
    g_assert_cmpint(grantpt(master) | unlockpt(master), ==, 0);
    g_assert_cmpint(ptsname_r(master, name, sizeof(name)), ==, 0);
    *slave = open(name, O_RDWR | O_NOCTTY);
    g_assert_cmpint(*slave, >=, 0);
    return master;
}

static int check_raw(bool signals)
{
    struct termios now;

    tcgetattr(STDIN_FILENO, &now);
    return !(now.c_lflag & (ICANON | ECHO)) && !(now.c_lflag & ISIG) == !signals ? 0 : 1;
}

static void body_close(void)
{
    ChardevSet *set = chardev_make("stdio", NULL);
    int status = check_raw(true);

    chardev_set_free(set);
    _exit(status);
}

static ChardevSet *volatile left_open; /* reachable, for the leak checker */

static void body_exit(void)
{
    left_open = chardev_make("stdio", "mux", "on", NULL);
    exit(check_raw(false)); /* without closing: exit() restores */
}

static void body_signal_off(void)
{
    left_open = chardev_make("stdio", "signal", "off", NULL);
    exit(check_raw(false));
}

static void test_terminal(void)
{
    void (*const bodies[])(void) = { body_close, body_exit, body_signal_off };

    for (unsigned n = 0; n < G_N_ELEMENTS(bodies); n++) {
        struct termios before, after;
        int slave, master = open_terminal(&slave), flags = fcntl(slave, F_GETFL);
        g_assert_cmpint(tcgetattr(slave, &before), ==, 0);
        g_assert_cmpint(in_child(slave, slave, bodies[n]), ==, 0);
        g_assert_cmpint(tcgetattr(slave, &after), ==, 0);
        g_assert_cmphex(before.c_lflag, ==, after.c_lflag);
        g_assert_cmphex(before.c_iflag, ==, after.c_iflag);
        g_assert_cmphex(before.c_oflag, ==, after.c_oflag);
        g_assert_cmphex(fcntl(slave, F_GETFL), ==, flags); /* blocking, as others share it */
        close(slave);
        close(master);
    }
}

/* Piped input arrives whole, its end ends nothing, output goes on. */
static void body_pipe(void)
{
    ChardevSet *set = chardev_make("stdio", NULL);
    Peer *peer = peer_new(2);

    chardev_attach(chardev_find(set, "c0"), &peer_client, peer, NULL);
    while (peer->received->len < 5) {
        loop_once();
        peer->room = 2;
        chardev_accept_input(chardev_find(set, "c0"));
    }
    loop_settle();
    chardev_write(chardev_find(set, "c0"), (const uint8_t *)"after", 5);
    _exit(strcmp(peer->received->str, "input") ? 1 : 0);
}

static void test_pipe(void)
{
    int in[2], out[2];
    char buffer[16];

    g_assert_true(g_unix_open_pipe(in, FD_CLOEXEC, NULL));
    g_assert_true(g_unix_open_pipe(out, FD_CLOEXEC, NULL));
    g_assert_cmpint(write(in[1], "input", 5), ==, 5);
    close(in[1]);
    g_assert_cmpint(in_child(in[0], out[1], body_pipe), ==, 0);
    g_assert_cmpint(read(out[0], buffer, sizeof(buffer)), ==, 5);
    g_assert_cmpmem(buffer, 5, "after", 5);
    close(in[0]);
    close(out[0]);
    close(out[1]);
}

/* A reader that does not read holds the writer back, and does not block the process. */
static void body_full(void)
{
    static const uint8_t block[4096];
    ChardevSet *set = chardev_make("stdio", NULL);
    size_t total = 0, taken;

    alarm(20);
    do {
        taken = chardev_write(chardev_find(set, "c0"), block, sizeof(block));
        total += taken;
    } while (taken == sizeof(block));
    _exit(total >= 4096 && total <= 1048576 ? 0 : 1);
}

static void test_full_pipe(void)
{
    int out[2];

    g_assert_true(g_unix_open_pipe(out, FD_CLOEXEC, NULL));
    g_assert_cmpint(in_child(STDIN_FILENO, out[1], body_full), ==, 0);
    g_assert_cmphex(fcntl(out[1], F_GETFL) & O_NONBLOCK, ==, 0);
    close(out[0]);
    close(out[1]);
}

/* A reader that has gone: output is dropped and the process lives. */
static void body_broken(void)
{
    ChardevSet *set = chardev_make("stdio", NULL);

    for (unsigned n = 0; n < 100; n++) {
        if (chardev_write(chardev_find(set, "c0"), (const uint8_t *)"x", 1) != 1) {
            _exit(1);
        }
    }
    _exit(0);
}

static void test_broken_pipe(void)
{
    int out[2];

    g_assert_true(g_unix_open_pipe(out, FD_CLOEXEC, NULL));
    close(out[0]);
    g_assert_cmpint(in_child(STDIN_FILENO, out[1], body_broken), ==, 0);
    close(out[1]);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/chardev/stdio/terminal", test_terminal);
    g_test_add_func("/chardev/stdio/pipe", test_pipe);
    g_test_add_func("/chardev/stdio/full-pipe", test_full_pipe);
    g_test_add_func("/chardev/stdio/broken-pipe", test_broken_pipe);
    return peer_main();
}
