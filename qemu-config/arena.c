/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The bump allocator behind sources of configuration. */
#include "qemu-config/arena.h"

#include <stdalign.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define ARENA_BLOCK 8192

void arena_clear(Arena *arena)
{
    g_clear_pointer(&arena->blocks, g_ptr_array_unref);
    arena->next = NULL;
    arena->left = 0;
}

static void *arena_take(Arena *arena, size_t size)
{
    if (size > arena->left) {
        size_t block = MAX(size, ARENA_BLOCK);
        if (!arena->blocks) {
            arena->blocks = g_ptr_array_new_with_free_func(g_free);
        }
        arena->next = g_malloc0(block);
        arena->left = block;
        g_ptr_array_add(arena->blocks, arena->next);
    }
    void *memory = arena->next;
    arena->next += size;
    arena->left -= size;
    return memory;
}

void *arena_alloc(Arena *arena, size_t size)
{
    size_t skew = (uintptr_t)arena->next % alignof(max_align_t);
    size_t pad = skew ? alignof(max_align_t) - skew : 0;
    if (size + pad <= arena->left) {
        arena->next += pad;
        arena->left -= pad;
    } else {
        arena->left = 0;
    }
    return arena_take(arena, size);
}

char *arena_strndup(Arena *arena, const char *text, size_t length)
{
    char *copy = arena_take(arena, length + 1);
    memcpy(copy, text, length);
    copy[length] = '\0';
    return copy;
}
