/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An interrupt (or other one-bit) line: whoever drives it calls irq_set(), the receiver's handler
 * runs.
 */
#ifndef HW_CORE_IRQ_H
#define HW_CORE_IRQ_H

#include <stddef.h>

typedef void IrqHandler(void *opaque, int n, int level);

typedef struct IrqLine {
    IrqHandler *handler; /* NULL: not connected */
    void *opaque;
    int n; /* the receiver's input number */
} IrqLine;

/* Drives @line (may be NULL or unconnected) to @level, 0 or 1. Machine lock held. */
static inline void irq_set(const IrqLine *line, int level)
{
    if (line && line->handler) {
        line->handler(line->opaque, line->n, level);
    }
}

static inline void irq_pulse(const IrqLine *line)
{
    irq_set(line, 1);
    irq_set(line, 0);
}

#endif
