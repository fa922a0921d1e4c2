/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A bump allocator: what one source of configuration says is allocated and freed together. */
#ifndef QEMU_CONFIG_ARENA_H
#define QEMU_CONFIG_ARENA_H

#include <glib.h>

typedef struct {
    GPtrArray *blocks;
    char *next;
    size_t left;
} Arena;

/* An Arena is ready when zeroed. */
void arena_clear(Arena *arena);
/* Zeroed memory, aligned for any type. */
void *arena_alloc(Arena *arena, size_t size);
/* A NUL-terminated copy of @length bytes. */
char *arena_strndup(Arena *arena, const char *text, size_t length);

#endif
