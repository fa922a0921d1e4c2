/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Objects by size class, out of pieces that grow from 256 KiB to a huge page. */
#include "util/pool.h"

#include <errno.h>
#include <stdint.h>
#include <sys/mman.h>

#include <glib.h>

#define GRAIN       32u /* bytes by which size classes differ */
#define PIECE_FIRST (256u << 10)
#define PIECE_HUGE  (2u << 20)
#define HUGE_AFTER  (1u << 20) /* bytes that the pool has */
#define LINES_AHEAD 6u  /* of the host's caches: the next object's, to be written to */

typedef struct Piece {
    struct Piece *next;
    size_t size;
} __attribute__((aligned(GRAIN))) Piece;

typedef struct Unused {
    struct Unused *next;
} Unused;

struct Pool {
    Piece *pieces;
    uint8_t *at, *end; /* what is left of the newest */
    size_t size;
    Unused *unused[POOL_OBJECT_MAX / GRAIN];
};

static void *map(size_t size)
{
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (memory == MAP_FAILED) {
        g_error("no %zu bytes of memory: %s", size, g_strerror(errno)); /* as g_malloc() */
    }
    return memory;
}

/* A huge page starts at a multiple of its size: what lies beside it goes back. */
static void *map_huge(void)
{
    uint8_t *memory = map(2 * PIECE_HUGE);
    size_t before = -(uintptr_t)memory % PIECE_HUGE;

    if (before) {
        munmap(memory, before);
    }
    munmap(memory + before + PIECE_HUGE, PIECE_HUGE - before);
    (void)!madvise(memory + before, PIECE_HUGE, MADV_HUGEPAGE); /* not every host grants it */
    return memory + before;
}

static void add_piece(Pool *pool)
{
    bool huge = pool->size >= HUGE_AFTER;
    size_t size = huge ? PIECE_HUGE : PIECE_FIRST;
    Piece *piece = huge ? map_huge() : map(size);

    *piece = (Piece){.next = pool->pieces, .size = size};
    pool->pieces = piece;
    pool->at = (uint8_t *)(piece + 1);
    pool->end = (uint8_t *)piece + size;
    pool->size += size;
}

Pool *pool_new(void)
{
    return g_new0(Pool, 1);
}

void pool_destroy(Pool *pool)
{
    for (Piece *piece = pool->pieces, *next; piece; piece = next) {
        next = piece->next;
        munmap(piece, piece->size);
    }
    g_free(pool);
}

static unsigned class_of(size_t size)
{
    g_assert(size > 0 && size <= POOL_OBJECT_MAX);
    return (size - 1) / GRAIN;
}

void *pool_alloc(Pool *pool, size_t size)
{
    unsigned class = class_of(size);
    Unused *unused = pool->unused[class];
    void *object;

    if (unused) {
        pool->unused[class] = unused->next;
        return unused;
    }
    size = (class + 1) * GRAIN;
    if (pool->end - pool->at < size) {
        add_piece(pool);
    }
    object = pool->at;
    pool->at += size;
    for (unsigned i = 0; i < LINES_AHEAD; i++) {
        __builtin_prefetch(pool->at + 64 * i, 1);
    }
    return object;
}

void pool_free(Pool *pool, void *object, size_t size)
{
    unsigned class = class_of(size);
    Unused *unused = object;

    unused->next = pool->unused[class];
    pool->unused[class] = unused;
}

bool pool_trim(Pool *pool, void *object, size_t size, size_t smaller)
{
    uint8_t *begin = object;

    if (begin + (class_of(size) + 1) * GRAIN != pool->at) {
        return false;
    }
    pool->at = begin + (class_of(smaller) + 1) * GRAIN;
    return true;
}

void pool_reset(Pool *pool)
{
    Piece *first = pool->pieces;

    if (!first) {
        return;
    }
    while (first->next) { /* the oldest, which is small */
        Piece *next = first->next;

        munmap(first, first->size);
        first = next;
    }
    *pool = (Pool){
        .pieces = first,
        .at = (uint8_t *)(first + 1),
        .end = (uint8_t *)first + first->size,
        .size = first->size,
    };
}

size_t pool_size(const Pool *pool)
{
    return pool->size;
}
