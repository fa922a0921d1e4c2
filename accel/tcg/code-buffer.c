/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Doubly mapped memory for generated code. */
#include "accel/tcg/code-buffer.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <gio/gio.h>

static bool fail(CodeBuffer *buffer, const char *what, GError **error)
{
    int number = errno;

    g_set_error(error, G_IO_ERROR, g_io_error_from_errno(number),
                "no executable memory for translated code: %s: %s", what, g_strerror(number));
    code_buffer_clear(buffer);
    return false;
}

bool code_buffer_init(CodeBuffer *buffer, size_t size, GError **error)
{
    void *map;

    *buffer = (CodeBuffer){.fd = -1, .size = size};
    buffer->fd = memfd_create("tessera-code", MFD_CLOEXEC);
    if (buffer->fd < 0) {
        return fail(buffer, "memfd_create", error);
    }
    if (ftruncate(buffer->fd, size) < 0) {
        return fail(buffer, "ftruncate", error);
    }
    map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, buffer->fd, 0);
    if (map == MAP_FAILED) {
        return fail(buffer, "mmap", error);
    }
    buffer->rw = map;
    map = mmap(NULL, size, PROT_READ | PROT_EXEC, MAP_SHARED, buffer->fd, 0);
    if (map == MAP_FAILED) {
        return fail(buffer, "mmap", error);
    }
    buffer->rx = map;
    buffer->hot = buffer->hot_start = buffer->rw;
    buffer->hot_end = buffer->cold = buffer->cold_start = buffer->rw + size / 2;
    buffer->cold_end = buffer->rw + size;
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

static void punch(CodeBuffer *buffer, uint8_t *from, uint8_t *to)
{
    uint8_t *page = (uint8_t *)(((uintptr_t)from + 4095) & ~(uintptr_t)4095);

    if (page < to) {
        /* If the host's memfd cannot do it, the memory merely stays in use. */
        (void)!fallocate(buffer->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                         page - buffer->rw, to - page);
    }
}

void code_buffer_reset(CodeBuffer *buffer)
{
    punch(buffer, buffer->hot_start, buffer->hot);
    punch(buffer, buffer->cold_start, buffer->cold);
    buffer->hot = buffer->hot_start;
    buffer->cold = buffer->cold_start;
}
