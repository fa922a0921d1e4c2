/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The parent of a daemon waits on a pipe, so that its exit status tells whether the start went
 * well.
 */
#include "util/daemon.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int fail_errno(GError **error, const char *what, const char *path)
{
    g_set_error(error, G_FILE_ERROR, g_file_error_from_errno(errno), "%s%s%s%s: %s", what,
                path ? " '" : "", path ? path : "", path ? "'" : "", g_strerror(errno));
    return -1;
}

/* One byte means success; end of file, that the child is gone. */
static G_NORETURN void wait_for_child(int fd)
{
    char byte;
    ssize_t size;

    do {
        size = read(fd, &byte, 1);
    } while (size < 0 && errno == EINTR);
    _exit(size == 1 ? EXIT_SUCCESS : EXIT_FAILURE);
}

int daemon_begin(GError **error)
{
    int fds[2];

    if (pipe2(fds, O_CLOEXEC)) {
        return fail_errno(error, "cannot daemonize: pipe", NULL);
    }
    pid_t child = fork();
    if (child < 0) {
        return fail_errno(error, "cannot daemonize: fork", NULL);
    }
    if (child) {
        close(fds[1]);
        wait_for_child(fds[0]);
    }
    close(fds[0]);
    setsid();
    return fds[1];
}

void daemon_ready(int fd)
{
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);

    for (int std = STDIN_FILENO; null >= 0 && std <= STDERR_FILENO; std++) {
        dup2(null, std);
    }
    if (null > STDERR_FILENO) {
        close(null);
    }
    if (chdir("/") || write(fd, "", 1) != 1) {
        g_warning("daemon: %s", g_strerror(errno));
    }
    close(fd);
}

/* The descriptor is left open: closing it would give up the lock. */
static bool pidfile_write(const char *path, GError **error)
{
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    g_autofree char *text = g_strdup_printf("%d\n", (int)getpid());
    ssize_t length = strlen(text);

    if (fd >= 0 && !lockf(fd, F_TLOCK, 0) && !ftruncate(fd, 0) &&
        write(fd, text, length) == length) {
        return true;
    }
    bool taken = fd >= 0 && (errno == EAGAIN || errno == EACCES);
    if (taken) {
        g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_EXIST,
                    "the pid file '%s' belongs to a running process", path);
    } else {
        fail_errno(error, "cannot write the pid file", path);
    }
    if (fd >= 0) {
        close(fd);
    }
    return false;
}

char *pidfile_create(const char *path, GError **error)
{
    g_autofree char *absolute = g_canonicalize_filename(path, NULL);

    return pidfile_write(absolute, error) ? g_steal_pointer(&absolute) : NULL;
}

void pidfile_remove(char *path)
{
    if (path) {
        unlink(path);
        g_free(path);
    }
}
