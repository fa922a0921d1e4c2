/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the translator did, for `info jit` and -d stats. */
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

static void append_fallbacks(GString *out, const Jit *jit)
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

        g_string_append_printf(out, "interpreted %s: %" G_GUINT64_FORMAT "\n",
                               ZydisMnemonicGetString(fallback->mnemonic), fallback->count);
    }
}

/* By how many ticks there were since the beginning: translating looks at the counter alone. */
static double translate_ns(const JitStats *s)
{
    uint64_t ticks = __builtin_ia32_rdtsc() - s->first_ticks;

    return s->translate_ticks * (g_get_monotonic_time() - s->first_us) * 1e3 / MAX(ticks, 1);
}

static void append_code(GString *out, const Jit *jit)
{
    const JitStats *s = &jit->stats;
    uint64_t code = code_buffer_used(&jit->buffer), insns = MAX(s->translated_insns, 1);

    g_string_append_printf(out, "blocks: %" G_GUINT64_FORMAT ", %" G_GUINT64_FORMAT
                           " translated of %" G_GUINT64_FORMAT " guest instructions\n", s->blocks,
                           s->translated, s->translated_insns);
    g_string_append_printf(out, "code: %" G_GUINT64_FORMAT " KiB of %zu MiB, %zu KiB of tables, %"
                           G_GUINT64_FORMAT " KiB of decoded code\n", code >> 10,
                           jit->buffer.size >> 20, s->block_bytes >> 10,
                           code_cache_memory(jit->cpu->code) >> 10);
    g_string_append_printf(out, "translation: %.0f us, %.0f ns for a guest instruction\n",
                           translate_ns(s) / 1e3, translate_ns(s) / insns);
    g_string_append_printf(out, "flushes: %" G_GUINT64_FORMAT "\n", s->flushes);
}

static void append_events(GString *out, const JitStats *s)
{
    g_string_append_printf(out, "run loop: %" G_GUINT64_FORMAT " entries, %" G_GUINT64_FORMAT
                           " blocks interpreted that were not hot\n", s->entries, s->interpreted);
    g_string_append_printf(out, "between blocks: %" G_GUINT64_FORMAT " links made, %"
                           G_GUINT64_FORMAT " of them without the run loop, %" G_GUINT64_FORMAT
                           " jumps refilled\n", s->links, s->followed, s->refills);
    g_string_append_printf(out, "mapping: %" G_GUINT64_FORMAT " changes, %" G_GUINT64_FORMAT
                           " of them of global pages\n", s->map_changes, s->global_changes);
    g_string_append_printf(out, "TLB: %" G_GUINT64_FORMAT " misses filled, %" G_GUINT64_FORMAT
                           " checks for groups failed\n", s->fills, s->group_failed);
    g_string_append_printf(out, "slow path: %" G_GUINT64_FORMAT " interpreted, %" G_GUINT64_FORMAT
                           " short cuts, %" G_GUINT64_FORMAT " went on with the next block\n",
                           s->slow, s->quick, s->next);
}

void jit_describe(const Jit *jit, GString *out)
{
    append_code(out, jit);
    append_events(out, &jit->stats);
    append_fallbacks(out, jit);
}

void jit_log_stats(const Jit *jit)
{
    g_autoptr(GString) out = g_string_new(NULL);
    g_auto(GStrv) lines = NULL;

    jit_describe(jit, out);
    lines = g_strsplit(g_strchomp(out->str), "\n", -1);
    for (unsigned i = 0; lines[i]; i++) {
        log_write(LOG_STATS, "jit: cpu %u: %s", jit->cpu->vcpu.index, lines[i]);
    }
}
