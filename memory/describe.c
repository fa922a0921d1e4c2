/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The memory map as text, for people. */
#include <stdatomic.h>

#include "memory/internal.h"

static void describe_range(const FlatRange *range, GString *out)
{
    g_string_append_printf(out, "  %016" G_GINT64_MODIFIER "x-%016" G_GINT64_MODIFIER "x %-6s %s",
                           range->first, range->last,
                           range->block ? range->rom ? "rom" : "ram" : "device",
                           range->name ? range->name : "");
    if (range->block) {
        g_string_append_printf(out, " @%" G_GINT64_MODIFIER "x", range->block_offset);
    }
    g_string_append_c(out, '\n');
}

void memory_describe(const MemorySpace *space, GString *out)
{
    const FlatView *view = atomic_load(&space->view);

    g_string_append(out, "memory, as it is read:\n");
    for (unsigned i = 0; view && i < view->read.count; i++) {
        describe_range(&view->read.ranges[i], out);
    }
}
