/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Sources of configuration: origins, their lines and their descriptions. */
#include "qemu-config/source.h"

#include <string.h>

ConfigSource *source_new(SourceKind kind, const char *name, ConfigLayer layer)
{
    ConfigSource *source = g_new0(ConfigSource, 1);
    source->kind = kind;
    source->layer = layer;
    source->name = g_strdup(name);
    return source;
}

void source_free(ConfigSource *source)
{
    g_free(source->name);
    g_free(source->path);
    g_free(source->dir);
    g_free(source->text);
    arena_clear(&source->arena);
    g_clear_pointer(&source->described, g_hash_table_unref);
    g_free(source);
}

const Origin *source_origin(ConfigSource *source, size_t offset, size_t length)
{
    return source_arg_origin(source, 0, 0, offset, length);
}

const Origin *source_arg_origin(ConfigSource *source, unsigned option, unsigned arg,
                                size_t offset, size_t length)
{
    Origin *origin = arena_alloc(&source->arena, sizeof(*origin));
    origin->source = source;
    origin->offset = offset;
    origin->length = length;
    origin->arg = arg;
    origin->option = option;
    return origin;
}

SourceLine source_line(const Origin *origin)
{
    const ConfigSource *source = origin->source;
    SourceLine line = {.text = source->text, .line = 1};
    const char *place = source->text + MIN(origin->offset, source->length);
    const char *newline;
    while ((newline = memchr(line.text, '\n', place - line.text))) {
        line.text = newline + 1;
        line.line++;
    }
    line.column = place - line.text;
    newline = memchr(line.text, '\n', source->text + source->length - line.text);
    line.length = (newline ? newline : source->text + source->length) - line.text;
    if (line.length && line.text[line.length - 1] == '\r') {
        line.length--;
    }
    return line;
}

static char *describe(const Origin *origin)
{
    const ConfigSource *source = origin->source;
    switch (source->kind) {
    case SOURCE_FILE:
        return g_strdup_printf("%s:%u", source->name, source_line(origin).line);
    case SOURCE_CMDLINE:
        return g_strdup_printf("%s argument %u", source->argv[origin->option], origin->arg);
    case SOURCE_QMP:
        return g_strdup_printf("QMP %s", source->name);
    }
    g_assert_not_reached();
}

const char *origin_describe(const Origin *origin)
{
    if (!origin) {
        return "built in";
    }
    ConfigSource *source = origin->source;
    if (!source->described) {
        source->described = g_hash_table_new_full(NULL, NULL, NULL, g_free);
    }
    char *text = g_hash_table_lookup(source->described, origin);
    if (!text) {
        text = describe(origin);
        g_hash_table_insert(source->described, (gpointer)origin, text);
    }
    return text;
}

const char *origin_file(const Origin *origin)
{
    return origin && origin->source->kind == SOURCE_FILE ? origin->source->name : NULL;
}

/* Steps over blanks, a comment and one line end to the quote of a continued string, or NULL. */
static const char *next_segment(const char *p, const char *end)
{
    unsigned lines = 0;
    while (p < end && lines < 2) {
        if (*p == '"') {
            return lines ? p : NULL;
        } else if (*p == '#') {
            const char *newline = memchr(p, '\n', end - p);
            p = newline ? newline : end;
        } else if (*p == '\n') {
            lines++;
            p++;
        } else if (*p == ' ' || *p == '\t' || *p == '\r') {
            p++;
        } else {
            return NULL;
        }
    }
    return NULL;
}

/* Finds byte @offset of a quoted value that begins at @p; NULL where escapes hide it. */
static const char *walk_quoted(const char *p, const char *end, size_t offset)
{
    while (p && p < end && *p == '"') {
        for (p++; p < end && *p != '"'; p++) {
            if (*p == '\\' || *p == '$') {
                return NULL;
            }
            if (offset-- == 0) {
                return p;
            }
        }
        p = p < end ? next_segment(p + 1, end) : NULL;
    }
    return NULL;
}

static const char *walk_argument(const char *p, size_t offset)
{
    for (; *p; p++) {
        if (offset-- == 0) {
            return p;
        }
        if (p[0] == ',' && p[1] == ',') {
            p++;
        }
    }
    return NULL;
}

bool source_narrow(const Origin *origin, size_t offset, size_t length, Origin *out)
{
    const ConfigSource *source = origin->source;
    const char *base, *place = NULL;
    if (source->kind == SOURCE_FILE) {
        base = source->text;
        const char *start = base + MIN(origin->offset, source->length);
        const char *end = base + source->length;
        place = *start == '"' ? walk_quoted(start, end, offset) : start + offset;
        place = place && place < end ? place : NULL;
    } else if (source->kind == SOURCE_CMDLINE) {
        base = source->argv[origin->arg];
        place = *base == '{' ? NULL : walk_argument(base + origin->offset, offset);
    }
    if (!place) {
        return false;
    }
    *out = *origin;
    out->offset = place - base;
    out->length = length;
    return true;
}
