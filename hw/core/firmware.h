/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Firmware and expansion ROM images: where they are looked for and how they are read. */
#ifndef HW_CORE_FIRMWARE_H
#define HW_CORE_FIRMWARE_H

#include <glib.h>

typedef struct Machine Machine;

/*
 * Path of image @name: itself if it has a '/', else in the data directories (-L first), the working
 * directory not included, then where the distribution's packages put firmware. NULL and @error,
 * which lists the directories, if it is nowhere.
 */
char *firmware_find(Machine *machine, const char *name, GError **error);
/* Reads the image @name, at most @max_size bytes; NULL and @error if missing, empty or larger. */
GBytes *firmware_load(Machine *machine, const char *name, gsize max_size, GError **error);
/* Reads a host file of 1 to @max_size bytes: the same checks for any path. */
GBytes *host_file_load(const char *path, guint64 max_size, GError **error);

#endif
