/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * RAM blocks: guest memory in memfds, so that other processes can be given it, and its page marks.
 */
#include <errno.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include "memory/internal.h"

/* Hands out "RAM offset" space: numbers that stay unique over every block of the process. */
static _Atomic uint64_t ram_next_id;

/* A memfd is not accounted when it is made, so a size the host can never back is refused here. */
static bool ram_size_possible(const char *name, uint64_t size, GError **error)
{
    struct sysinfo info;

    if (sysinfo(&info)) {
        return true;
    }
    uint64_t host = ((uint64_t)info.totalram + info.totalswap) * info.mem_unit;
    if (size <= host) {
        return true;
    }
    g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_NOMEM,
                "cannot have %" G_GUINT64_FORMAT " MiB for '%s': the host has %" G_GUINT64_FORMAT
                " MiB of memory and swap",
                size >> 20, name, host >> 20);
    return false;
}

static bool ram_map(RamBlock *block, GError **error)
{
    const char *step = "memfd_create";

    block->host = MAP_FAILED;
    block->fd = memfd_create(block->name, MFD_CLOEXEC);
    if (block->fd >= 0) {
        step = "ftruncate";
        if (!ftruncate(block->fd, block->size)) {
            step = "mmap";
            block->host = mmap(NULL, block->size, PROT_READ | PROT_WRITE, MAP_SHARED, block->fd, 0);
        }
    }
    if (block->host == MAP_FAILED) {
        g_set_error(error, G_FILE_ERROR, g_file_error_from_errno(errno),
                    "cannot have %" G_GUINT64_FORMAT " KiB of memory for '%s': %s: %s",
                    block->size >> 10, block->name, step, g_strerror(errno));
        return false;
    }
    madvise(block->host, block->size, MADV_HUGEPAGE); /* a wish: not every host grants it */
    return true;
}

RamBlock *ram_block_new(const char *name, uint64_t size, GError **error)
{
    if (!size || size > (1ULL << 46)) {
        g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_INVAL,
                    "%" G_GUINT64_FORMAT " bytes is no possible size for '%s'", size, name);
        return NULL;
    }
    size = (size + GUEST_PAGE_SIZE - 1) & ~(uint64_t)(GUEST_PAGE_SIZE - 1);
    if (!ram_size_possible(name, size, error)) {
        return NULL;
    }
    RamBlock *block = g_new0(RamBlock, 1);
    block->name = g_strdup(name);
    block->size = size;
    if (!ram_map(block, error)) {
        ram_block_free(block);
        return NULL;
    }
    block->page_marks = g_malloc0(size >> GUEST_PAGE_BITS);
    block->ram_id = atomic_fetch_add(&ram_next_id, size);
    return block;
}

void ram_block_free(RamBlock *block)
{
    if (!block) {
        return;
    }
    if (block->host && block->host != MAP_FAILED) {
        munmap(block->host, block->size);
    }
    if (block->fd >= 0) {
        close(block->fd);
    }
    g_free((void *)block->page_marks);
    g_free(block->name);
    g_free(block);
}

void ram_page_mark(RamBlock *block, uint64_t offset, uint8_t marks)
{
    atomic_fetch_or(&block->page_marks[offset >> GUEST_PAGE_BITS], marks);
}

void ram_page_unmark(RamBlock *block, uint64_t offset, uint8_t marks)
{
    atomic_fetch_and(&block->page_marks[offset >> GUEST_PAGE_BITS], (uint8_t)~marks);
}
