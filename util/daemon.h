/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Going to the background (-daemonize) and the file with the process id (-pidfile). */
#ifndef UTIL_DAEMON_H
#define UTIL_DAEMON_H

#include <glib.h>
#include <stdbool.h>

/*
 * Forks and goes on in the child, in a session of its own; the parent stays until daemon_ready()
 * and exits with 0 then, or with 1 if the child ends before. Call before any thread starts. Returns
 * a descriptor for daemon_ready(), -1 and @error on failure.
 */
int daemon_begin(GError **error);
/* Everything is up: lets go of the terminal and releases the parent. */
void daemon_ready(int fd);

/*
 * Writes the process id to @path, which stays locked for as long as the process lives. Returns the
 * absolute path for pidfile_remove(), NULL and @error if that fails or another process has the
 * lock.
 */
char *pidfile_create(const char *path, GError **error);
/* Removes the file and frees @path. */
void pidfile_remove(char *path);

#endif
