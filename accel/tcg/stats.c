/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the translator did, for -d stats. */
#include "accel/tcg/jit.h"
#include "util/log.h"

#define LISTED 40u /* fallbacks by mnemonic, most frequent first */

typedef struct Fallback {
    unsigned mnemonic;
    uint64_t count;
} Fallback;

static int by_count(gconstpointer a, gconstpointer b)
{
    uint64_t left = ((const Fallback *)a)->count, right = ((const Fallback *)b)->count;

    return left < right ? 1 : left > right ? -1 : 0;
}

static void log_fallbacks(const Jit *jit, unsigned index)
{
    g_autoptr(GArray) list = g_array_new(false, false, sizeof(Fallback));

    for (unsigned i = 0; i <= ZYDIS_MNEMONIC_MAX_VALUE; i++) {
        Fallback fallback = {.mnemonic = i, .count = jit->stats.fallbacks[i]};

        if (fallback.count) {
            g_array_append_val(list, fallback);
        }
    }
    g_array_sort(list, by_count);
    for (unsigned i = 0; i < MIN(list->len, LISTED); i++) {
        const Fallback *fallback = &g_array_index(list, Fallback, i);

        log_write(LOG_STATS, "jit: cpu %u: interpreted %s %" G_GUINT64_FORMAT, index,
                  ZydisMnemonicGetString(fallback->mnemonic), fallback->count);
    }
}

static uint64_t code_bytes(const CodeBuffer *buffer)
{
    return (buffer->hot - buffer->hot_start) + (buffer->cold - buffer->cold_start);
}

void jit_log_stats(const Jit *jit)
{
    const JitStats *s = &jit->stats;
    unsigned index = jit->cpu->vcpu.index;

    log_write(LOG_STATS, "jit: cpu %u: %" G_GUINT64_FORMAT " blocks of %" G_GUINT64_FORMAT
              " instructions translated in %" G_GUINT64_FORMAT " us, %" G_GUINT64_FORMAT
              " KiB of code, %" G_GUINT64_FORMAT " flushes", index, s->translated,
              s->translated_insns, s->translate_ns / 1000, code_bytes(&jit->buffer) / 1024,
              s->flushes);
    log_write(LOG_STATS, "jit: cpu %u: %" G_GUINT64_FORMAT " entries, %" G_GUINT64_FORMAT
              " interpreted blocks, %" G_GUINT64_FORMAT " TLB fills, %" G_GUINT64_FORMAT
              " interpreted instructions (%" G_GUINT64_FORMAT " went on with the next block), %"
              G_GUINT64_FORMAT " in short cuts",
              index, s->entries, s->interpreted, s->fills, s->slow, s->next, s->quick);
    log_write(LOG_STATS, "jit: cpu %u: %" G_GUINT64_FORMAT " links, %" G_GUINT64_FORMAT
              " followed, %" G_GUINT64_FORMAT " jumps refilled, %" G_GUINT64_FORMAT
              " map changes, %" G_GUINT64_FORMAT " of them of global pages, %" G_GUINT64_FORMAT
              " group checks failed",
              index, s->links, s->followed, s->refills, s->map_changes, s->global_changes,
              s->group_failed);
    log_fallbacks(jit, index);
}
