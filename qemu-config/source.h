/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Sources of configuration (a file, the command line, a QMP command) and the places in them.
 * Internal to this room and to tests.
 */
#ifndef QEMU_CONFIG_SOURCE_H
#define QEMU_CONFIG_SOURCE_H

#include "qemu-config/arena.h"
#include "qemu-config/config.h"

typedef enum {
    SOURCE_FILE,
    SOURCE_CMDLINE,
    SOURCE_QMP,
} SourceKind;

typedef struct ConfigSource {
    SourceKind kind;
    ConfigLayer layer;
    char *name;             /* path as shown, or the QMP command */
    char *path;             /* canonical path of a file, for cycles and includes; may be NULL */
    char *dir;              /* ${confdir} */
    char *text;             /* the whole file */
    size_t length;
    int argc;
    char **argv;            /* the command line; not owned */
    const Origin *included; /* the include line that brought this file, or NULL */
    unsigned depth;         /* of includes */
    Arena arena;            /* keys, values and origins */
    GHashTable *described;  /* Origin* to text, filled on demand */
} ConfigSource;

struct Origin {
    ConfigSource *source;
    uint32_t offset; /* bytes into the file or the argument */
    uint32_t length; /* bytes marked */
    uint32_t arg;    /* index of the argument that holds it */
    uint32_t option; /* index of the argument that is its option */
};

typedef struct {
    const char *text; /* not NUL-terminated */
    size_t length;
    unsigned line; /* from 1 */
    size_t column; /* bytes, from 0 */
} SourceLine;

ConfigSource *source_new(SourceKind kind, const char *name, ConfigLayer layer);
void source_free(ConfigSource *source);
/* An origin in a file or QMP source. */
const Origin *source_origin(ConfigSource *source, size_t offset, size_t length);
/* An origin on the command line. */
const Origin *source_arg_origin(ConfigSource *source, unsigned option, unsigned arg,
                                size_t offset, size_t length);
/* The line of a file in which @origin begins. */
SourceLine source_line(const Origin *origin);
/*
 * Narrows @origin to @length bytes at @offset of the value that it stands for, looking through
 * quotes, continued strings and ",,". False where the written text cannot be matched to the value.
 */
bool source_narrow(const Origin *origin, size_t offset, size_t length, Origin *out);

#endif
