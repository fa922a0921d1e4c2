/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Doubly mapped memory for generated code. */
#include "accel/tcg/code-buffer.h"

#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#include <gio/gio.h>

#define AHEAD (64 << 10) /* bytes */
#define LINES_AHEAD 4u   /* of the host's caches, in each half */

#ifndef MADV_POPULATE_READ /* Linux 5.14; madvise(2) */
#define MADV_POPULATE_READ  22
#define MADV_POPULATE_WRITE 23
#endif

static bool fail(CodeBuffer *buffer, const char *what, GError **error)
{
    int number = errno;

    g_set_error(error, G_IO_ERROR, g_io_error_from_errno(number),
                "no executable memory for translated code: %s: %s", what, g_strerror(number));
    code_buffer_clear(buffer);
    return false;
}

/* Shared anonymous memory, and again by mremap() of no old pages (its manual page). */
static bool map_anonymous(CodeBuffer *buffer, GError **error)
{
    void *map = mmap(NULL, buffer->size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    if (map == MAP_FAILED) {
        return fail(buffer, "mmap", error);
    }
    buffer->rw = map;
    map = mremap(buffer->rw, 0, buffer->size, MREMAP_MAYMOVE);
    if (map == MAP_FAILED) {
        return fail(buffer, "mremap", error);
    }
    buffer->rx = map;
    if (mprotect(map, buffer->size, PROT_READ | PROT_EXEC) < 0) {
        return fail(buffer, "mprotect", error);
    }
    return true;
}

static bool map_memfd(CodeBuffer *buffer, GError **error)
{
    void *map;

    buffer->fd = memfd_create("tessera-code", MFD_CLOEXEC);
    if (buffer->fd < 0) {
        return fail(buffer, "memfd_create", error);
    }
    if (ftruncate(buffer->fd, buffer->size) < 0) {
        return fail(buffer, "ftruncate", error);
    }
    map = mmap(NULL, buffer->size, PROT_READ | PROT_WRITE, MAP_SHARED, buffer->fd, 0);
    if (map == MAP_FAILED) {
        return fail(buffer, "mmap", error);
    }
    buffer->rw = map;
    map = mmap(NULL, buffer->size, PROT_READ | PROT_EXEC, MAP_SHARED, buffer->fd, 0);
    if (map == MAP_FAILED) {
        return fail(buffer, "mmap", error);
    }
    buffer->rx = map;
    return true;
}

bool code_buffer_init(CodeBuffer *buffer, size_t size, bool anonymous, GError **error)
{
    *buffer = (CodeBuffer){.fd = -1, .size = size};
    if (anonymous ? !map_anonymous(buffer, error) : !map_memfd(buffer, error)) {
        return false;
    }
    buffer->hot = buffer->hot_start = buffer->rw;
    buffer->hot_end = buffer->cold = buffer->cold_start = buffer->rw + size / 2;
    buffer->cold_end = buffer->rw + size;
    buffer->hot_ready = buffer->hot;
    buffer->cold_ready = buffer->cold;
    return true;
}

void code_buffer_clear(CodeBuffer *buffer)
{
    if (buffer->rx) {
        munmap((void *)buffer->rx, buffer->size);
    }
    if (buffer->rw) {
        munmap(buffer->rw, buffer->size);
    }
    if (buffer->fd >= 0) {
        close(buffer->fd);
    }
    *buffer = (CodeBuffer){.fd = -1};
}

void code_buffer_keep(CodeBuffer *buffer)
{
    buffer->hot_start = buffer->hot;
    buffer->cold_start = buffer->cold;
}

static uint8_t *next_page(uint8_t *at)
{
    return (uint8_t *)(((uintptr_t)at + 4095) & ~(uintptr_t)4095);
}

/*
 * Maps what is in memory of a mapping that @at lies in: at a fault for reading the host maps the
 * pages around it as well, for writing too where the mapping is shared.
 */
static void touch(const uint8_t *at)
{
    (void)*(const volatile uint8_t *)at;
}

/* Makes @size bytes of both mappings, which hold nothing yet. */
static void ask_for(const CodeBuffer *buffer, uint8_t *from, size_t size)
{
    static const uint8_t zeros[AHEAD];

    if (buffer->fd >= 0) {
        /* Writing to the file is half the work that faults or MADV_POPULATE_WRITE are. */
        if (pwrite(buffer->fd, zeros, size, from - buffer->rw) != (ssize_t)size) {
            return; /* pages come one by one, with the signal that is the answer to no memory */
        }
        touch(from);
        touch(from + size - 1);
        touch(code_rx(buffer, from));
        touch(code_rx(buffer, from + size - 1));
        return;
    }
    /* If the host cannot do it (before Linux 5.14), pages come one by one. */
    (void)!madvise(from, size, MADV_POPULATE_WRITE);
    (void)!madvise((void *)code_rx(buffer, from), size, MADV_POPULATE_READ);
}

/* Asks for memory where less than a quarter of AHEAD is left before *@ready. */
static void ask_ahead(const CodeBuffer *buffer, uint8_t *at, const uint8_t *end, uint8_t **ready)
{
    size_t size;

    if (G_LIKELY(*ready - at >= AHEAD / 4)) {
        return;
    }
    *ready = MAX(*ready, next_page(at)); /* a long block may have gone past it */
    size = MIN(AHEAD, (size_t)(end - *ready));
    if (size) {
        ask_for(buffer, *ready, size);
        *ready += size;
    }
}

void code_buffer_prepare(CodeBuffer *buffer)
{
    for (unsigned i = 0; i < LINES_AHEAD; i++) {
        __builtin_prefetch(buffer->hot + 64 * i, 1);
        __builtin_prefetch(buffer->cold + 64 * i, 1);
    }
    ask_ahead(buffer, buffer->hot, buffer->hot_end, &buffer->hot_ready);
    ask_ahead(buffer, buffer->cold, buffer->cold_end, &buffer->cold_ready);
}

static void punch(CodeBuffer *buffer, uint8_t *from, uint8_t *to)
{
    uint8_t *page = next_page(from);

    if (page < to) {
        /* If the host cannot do it, the memory merely stays in use. */
        (void)!madvise(page, to - page, MADV_REMOVE);
    }
}

void code_buffer_reset(CodeBuffer *buffer)
{
    punch(buffer, buffer->hot_start, MAX(buffer->hot, buffer->hot_ready));
    punch(buffer, buffer->cold_start, MAX(buffer->cold, buffer->cold_ready));
    buffer->hot = buffer->hot_start;
    buffer->cold = buffer->cold_start;
    buffer->hot_ready = next_page(buffer->hot);
    buffer->cold_ready = next_page(buffer->cold);
}
