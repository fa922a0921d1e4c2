/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Origins of configuration values and the diagnostics that point at them. */
#ifndef QEMU_CONFIG_DIAG_H
#define QEMU_CONFIG_DIAG_H

#include <glib.h>
#include <stdbool.h>

typedef struct Origin Origin;
typedef struct Diag Diag;

/* "sysconfigs/machines/pc.conf:41", "-device argument 3", "QMP device_add". Static per origin. */
const char *origin_describe(const Origin *origin);

/* Reports a mistake at @origin (may be NULL) with source line, caret and include stack. */
void diag_error(Diag *diag, const Origin *origin, const char *format, ...) G_GNUC_PRINTF(3, 4);
void diag_warning(Diag *diag, const Origin *origin, const char *format, ...) G_GNUC_PRINTF(3, 4);
/* Adds a line to the last report: another origin, the nearest name, what is accepted. */
void diag_note(Diag *diag, const Origin *origin, const char *format, ...) G_GNUC_PRINTF(3, 4);
/* Errors reported so far. */
unsigned diag_errors(const Diag *diag);
/* The name of @names (NULL-terminated) nearest to @word, or NULL if none is near. */
const char *diag_nearest(const char *word, const char *const *names);

#endif
