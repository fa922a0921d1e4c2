/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Memory for generated code: a memfd mapped twice, writable and executable, never both. Two halves:
 * code that usually runs, and the rest. Pages cost host memory only once written.
 */
#ifndef ACCEL_TCG_CODE_BUFFER_H
#define ACCEL_TCG_CODE_BUFFER_H

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct CodeBuffer {
    int fd;                                /* -1: anonymous */
    size_t size;
    uint8_t *rw;
    const uint8_t *rx;
    uint8_t *hot, *hot_start, *hot_end;    /* writable mapping */
    uint8_t *cold, *cold_start, *cold_end;
    uint8_t *hot_ready, *cold_ready;       /* up to there memory has been asked for */
} CodeBuffer;

/*
 * False and why not: the host refuses executable memory. @anonymous: without a memfd, for those who
 * look for generated code in anonymous mappings; more hosts refuse that.
 */
bool code_buffer_init(CodeBuffer *buffer, size_t size, bool anonymous, GError **error);
void code_buffer_clear(CodeBuffer *buffer);
/* What is written so far stays over a reset. */
void code_buffer_keep(CodeBuffer *buffer);
/* Forgets all code but what is kept, and gives its memory back to the host. */
void code_buffer_reset(CodeBuffer *buffer);

/*
 * Before code is written: sees to memory some way ahead, many pages at once. To take a page when it
 * is first written to costs as much as translating some instructions.
 */
void code_buffer_prepare(CodeBuffer *buffer);

/* Bytes of code, without what is kept. */
static inline size_t code_buffer_used(const CodeBuffer *buffer)
{
    return (buffer->hot - buffer->hot_start) + (buffer->cold - buffer->cold_start);
}

static inline const uint8_t *code_rx(const CodeBuffer *buffer, const uint8_t *rw)
{
    return buffer->rx + (rw - buffer->rw);
}

static inline uint8_t *code_rw(const CodeBuffer *buffer, const uint8_t *rx)
{
    return buffer->rw + (rx - buffer->rx);
}

#endif
