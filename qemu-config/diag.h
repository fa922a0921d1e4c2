/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Origins of configuration values and the diagnostics that point at them. */
#ifndef QEMU_CONFIG_DIAG_H
#define QEMU_CONFIG_DIAG_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

typedef struct Origin Origin;
typedef struct Diag Diag;

/* Errors printed for one run; those beyond are counted. */
#define DIAG_MAX_ERRORS 20

/*
 * "sysconfigs/machines/pc.conf:41", "-device argument 3", "QMP device_add", "built in" for NULL.
 * The text lives as long as the origin.
 */
const char *origin_describe(const Origin *origin);
/* The file that @origin stands in, or NULL for the command line and QMP. */
const char *origin_file(const Origin *origin);

Diag *diag_new(void);
void diag_free(Diag *diag);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Diag, diag_free)

/*
 * Reports a mistake at @origin (may be NULL) with source line, caret and include stack. The report
 * is formatted at once: @origin may go away afterwards. The message has no "error:" and no newline.
 */
void diag_error(Diag *diag, const Origin *origin, const char *format, ...) G_GNUC_PRINTF(3, 4);
void diag_warning(Diag *diag, const Origin *origin, const char *format, ...) G_GNUC_PRINTF(3, 4);
/* Adds a line to the last report: another origin, the nearest name, what is accepted. */
void diag_note(Diag *diag, const Origin *origin, const char *format, ...) G_GNUC_PRINTF(3, 4);
/*
 * As diag_error(), pointing at @length bytes from byte @offset of the value that @origin stands for
 * (one word of a feature list). Falls back to the whole value where the text was escaped.
 */
void diag_error_at(Diag *diag, const Origin *origin, size_t offset, size_t length,
                   const char *format, ...) G_GNUC_PRINTF(5, 6);
/*
 * Notes on the last report what could have been meant by @word: the nearest of @names
 * (NULL-terminated), and all of them ("accepted: …") when they are few.
 */
void diag_suggest(Diag *diag, const char *word, const char *const *names);
/* Reports @error at @origin and frees it. */
void diag_gerror(Diag *diag, const Origin *origin, GError *error);

/* Errors reported so far. */
unsigned diag_errors(const Diag *diag);
/* Everything reported and not yet taken, ready to print, and forgets the text; g_free(). */
char *diag_take_text(Diag *diag);
/* Prints everything reported and not yet printed, in order. */
void diag_print(Diag *diag, FILE *stream);
/* Puts the time of day before every line printed (-msg timestamp=on). */
void diag_set_timestamp(Diag *diag, bool on);

/* The name of @names (NULL-terminated) nearest to @word, or NULL if none is near. */
const char *diag_nearest(const char *word, const char *const *names);

#endif
