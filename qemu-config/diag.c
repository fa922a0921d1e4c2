/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Diagnostics in the manner of a compiler: place, message, the line with a caret, notes. They are
 * collected and printed together, so that one run reports every mistake.
 */
#include "qemu-config/diag.h"

#include <string.h>

#include "qemu-config/source.h"

#define EXCERPT_WIDTH 160
#define SUGGEST_ALL 12

struct Diag {
    GString *text;
    unsigned errors;
    unsigned warnings;
    unsigned unseen; /* errors beyond DIAG_MAX_ERRORS */
    bool muted;      /* the last report was not shown: neither are its notes */
    bool timestamp;
};

Diag *diag_new(void)
{
    Diag *diag = g_new0(Diag, 1);
    diag->text = g_string_new(NULL);
    return diag;
}

void diag_free(Diag *diag)
{
    g_string_free(diag->text, TRUE);
    g_free(diag);
}

unsigned diag_errors(const Diag *diag)
{
    return diag->errors;
}

void diag_set_timestamp(Diag *diag, bool on)
{
    diag->timestamp = on;
}

/* One line of source, fit for a terminal: control characters and broken UTF-8 become '?'. */
static void append_clean(GString *out, const char *text, size_t length)
{
    for (size_t i = 0; i < length;) {
        unsigned char c = text[i];
        gunichar wide = c < 0x80 ? c : g_utf8_get_char_validated(text + i, length - i);
        size_t bytes = 1;
        if (c == '\t') {
            g_string_append_c(out, ' ');
        } else if (wide == (gunichar)-1 || wide == (gunichar)-2 || g_unichar_iscntrl(wide)) {
            g_string_append_c(out, '?');
        } else {
            bytes = g_utf8_skip[c];
            g_string_append_len(out, text + i, bytes);
        }
        i += bytes;
    }
}

/* Characters that append_clean() makes of @length bytes. */
static size_t clean_width(const char *text, size_t length)
{
    g_autoptr(GString) clean = g_string_new(NULL);
    append_clean(clean, text, length);
    return g_utf8_strlen(clean->str, -1);
}

static size_t utf8_back(const char *text, size_t at)
{
    while (at && (text[at] & 0xC0) == 0x80) {
        at--;
    }
    return at;
}

/* The line and, under it, a caret for @length bytes at @column; a long line is cut round it. */
static void append_excerpt(GString *out, const char *line, size_t size, size_t column,
                           size_t length)
{
    size_t from = 0, to = size;
    if (size > EXCERPT_WIDTH) {
        from = column > EXCERPT_WIDTH / 2 ? utf8_back(line, column - EXCERPT_WIDTH / 2) : 0;
        to = utf8_back(line, MIN(size, from + EXCERPT_WIDTH));
    }
    g_string_append(out, from ? "  …" : "  ");
    append_clean(out, line + from, to - from);
    g_string_append(out, to < size ? "…\n" : "\n");
    size_t indent = 2 + (from ? 1 : 0) + clean_width(line + from, column - from);
    g_string_append_printf(out, "%*s^", (int)indent, "");
    size_t marked = MIN(length, to > column ? to - column : 0);
    size_t tail = clean_width(line + column, marked);
    for (size_t i = 1; i < tail; i++) {
        g_string_append_c(out, '~');
    }
    g_string_append_c(out, '\n');
}

static void append_file_excerpt(GString *out, const Origin *origin)
{
    SourceLine line = source_line(origin);
    append_excerpt(out, line.text, line.length, MIN(line.column, line.length), origin->length);
}

static void append_command_excerpt(GString *out, const Origin *origin)
{
    char **argv = origin->source->argv;
    g_autoptr(GString) line = g_string_new(argv[origin->option]);
    size_t column = origin->offset;
    if (origin->arg != origin->option) {
        column += line->len + 1;
        g_string_append_printf(line, " %s", argv[origin->arg]);
    }
    append_excerpt(out, line->str, line->len, MIN(column, line->len), origin->length);
}

/* Names of files and options are the user's text too: what a terminal would act on stays out. */
static void append_name(GString *out, const char *name)
{
    append_clean(out, name, strlen(name));
}

static void append_include_stack(GString *out, const ConfigSource *source)
{
    for (const Origin *from = source->included; from; from = from->source->included) {
        g_string_append(out, "In file included from ");
        append_name(out, origin_describe(from));
        g_string_append(out, ":\n");
    }
}

static void append_place(GString *out, const Origin *origin)
{
    append_name(out, !origin ? "tessera"
                     : origin->source->kind == SOURCE_FILE ? origin->source->name
                                                           : origin_describe(origin));
    if (origin && origin->source->kind == SOURCE_FILE) {
        SourceLine line = source_line(origin);
        size_t column = clean_width(line.text, MIN(line.column, line.length)) + 1;
        g_string_append_printf(out, ":%u:%zu", line.line, column);
    }
    g_string_append(out, ": ");
}

/* Messages quote the user's text; what a terminal would act on must not get through. */
static void append_message(GString *out, const char *message)
{
    append_name(out, message);
    g_string_append_c(out, '\n');
}

static void append_report(Diag *diag, const Origin *origin, const char *kind, const char *message)
{
    if (origin && strcmp(kind, "note")) {
        append_include_stack(diag->text, origin->source);
    }
    append_place(diag->text, origin);
    g_string_append_printf(diag->text, "%s: ", kind);
    append_message(diag->text, message);
    if (origin && origin->source->kind == SOURCE_FILE) {
        append_file_excerpt(diag->text, origin);
    } else if (origin && origin->source->kind == SOURCE_CMDLINE) {
        append_command_excerpt(diag->text, origin);
    }
}

static G_GNUC_PRINTF(3, 0) void report_error(Diag *diag, const Origin *origin, const char *format,
                                             va_list args)
{
    diag->muted = diag->errors++ >= DIAG_MAX_ERRORS;
    if (diag->muted) {
        diag->unseen++;
        return;
    }
    g_autofree char *message = g_strdup_vprintf(format, args);
    append_report(diag, origin, "error", message);
}

void diag_error(Diag *diag, const Origin *origin, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    report_error(diag, origin, format, args);
    va_end(args);
}

void diag_error_at(Diag *diag, const Origin *origin, size_t offset, size_t length,
                   const char *format, ...)
{
    Origin narrow;
    va_list args;
    va_start(args, format);
    bool found = origin && source_narrow(origin, offset, length, &narrow);
    report_error(diag, found ? &narrow : origin, format, args);
    va_end(args);
}

void diag_warning(Diag *diag, const Origin *origin, const char *format, ...)
{
    diag->muted = diag->warnings++ >= DIAG_MAX_ERRORS;
    if (diag->muted) {
        return;
    }
    va_list args;
    va_start(args, format);
    g_autofree char *message = g_strdup_vprintf(format, args);
    va_end(args);
    append_report(diag, origin, "warning", message);
}

void diag_note(Diag *diag, const Origin *origin, const char *format, ...)
{
    if (diag->muted) {
        return;
    }
    va_list args;
    va_start(args, format);
    g_autofree char *message = g_strdup_vprintf(format, args);
    va_end(args);
    if (origin) {
        append_report(diag, origin, "note", message);
    } else {
        g_string_append(diag->text, "  note: ");
        append_message(diag->text, message);
    }
}

void diag_suggest(Diag *diag, const char *word, const char *const *names)
{
    if (diag->muted) {
        return;
    }
    const char *nearest = word ? diag_nearest(word, names) : NULL;
    if (nearest) {
        diag_note(diag, NULL, "did you mean '%s'?", nearest);
    }
    unsigned count = g_strv_length((char **)names);
    if (count && count <= SUGGEST_ALL) {
        g_autofree char *all = g_strjoinv(", ", (char **)names);
        diag_note(diag, NULL, "accepted: %s", all);
    }
}

void diag_gerror(Diag *diag, const Origin *origin, GError *error)
{
    diag_error(diag, origin, "%s", error->message);
    g_error_free(error);
}

/* -msg timestamp=on: the time of day, as QEMU writes it, before each line. */
static char *stamp_lines(const char *text)
{
    g_autoptr(GDateTime) now = g_date_time_new_now_utc();
    g_autofree char *stamp = g_date_time_format(now, "%Y-%m-%dT%H:%M:%S.%fZ ");
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
    GString *out = g_string_new(NULL);
    for (char **line = lines; *line && (line[1] || **line); line++) {
        g_string_append_printf(out, "%s%s\n", stamp, *line);
    }
    return g_string_free(out, FALSE);
}

char *diag_take_text(Diag *diag)
{
    if (diag->unseen) {
        g_string_append_printf(diag->text, "tessera: %u further error%s not shown\n", diag->unseen,
                               diag->unseen == 1 ? " is" : "s are");
        diag->unseen = 0;
    }
    char *text = diag->timestamp ? stamp_lines(diag->text->str) : g_strdup(diag->text->str);
    g_string_truncate(diag->text, 0);
    return text;
}

void diag_print(Diag *diag, FILE *stream)
{
    g_autofree char *text = diag_take_text(diag);
    fputs(text, stream);
    fflush(stream);
}
