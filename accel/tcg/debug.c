/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Debug modes of the translator (-accel tcg,debug=...): each takes away something that makes it
 * fast, or adds events at awkward times. What the guest computes is the same in all of them.
 */
#include "accel/tcg/jit.h"

#include <gio/gio.h>

#include "target-i386/mmu.h"

/* One mode: a flag, or a count behind a colon. */
typedef struct DebugMode {
    const char *name;
    size_t flag;     /* offset in JitDebug of a bool, if it takes no count */
    size_t count;    /* or of a uint32_t */
    bool has_count;
} DebugMode;

#define FLAG(text, field)  {.name = text, .flag = offsetof(JitDebug, field)}
#define COUNT(text, field) {.name = text, .count = offsetof(JitDebug, field), .has_count = true}

static const DebugMode modes[] = {
    FLAG("one-insn", one_insn),
    FLAG("no-chain", no_chain),
    FLAG("no-jump-cache", no_jump_cache),
    FLAG("no-groups", no_groups),
    FLAG("exact", exact),
    COUNT("flush", flush_every),
    COUNT("tiny-tlb", tlb_every),
    COUNT("random-exits", exit_every),
    COUNT("hot", hot),
};

static bool parse_mode(const char *text, JitDebug *debug)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(modes); i++) {
        const DebugMode *mode = &modes[i];
        size_t length = strlen(mode->name);
        guint64 count;

        if (strncmp(text, mode->name, length)) {
            continue;
        }
        if (!mode->has_count && !text[length]) {
            *(bool *)((char *)debug + mode->flag) = true;
            return true;
        }
        if (mode->has_count && text[length] == ':' &&
            g_ascii_string_to_unsigned(text + length + 1, 10, 0, UINT32_MAX, &count, NULL)) {
            *(uint32_t *)((char *)debug + mode->count) = count;
            debug->has_hot |= mode->count == offsetof(JitDebug, hot);
            return true;
        }
    }
    return false;
}

bool jit_debug_parse(const char *text, JitDebug *debug, GError **error)
{
    g_auto(GStrv) words = g_strsplit(text, "+", -1);

    for (unsigned i = 0; words[i]; i++) {
        if (!parse_mode(words[i], debug)) {
            g_set_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT,
                        "unknown debug mode '%s' of tcg: the modes are one-insn, no-chain, "
                        "no-jump-cache, no-groups, exact, flush:N, tiny-tlb:N, random-exits:N and "
                        "hot:N, joined by '+'", words[i]);
            return false;
        }
    }
    return true;
}

/* --- before a block is run ---------------------------------------------------------- */

/* xorshift32: the same exits, run after run */
static uint32_t next_random(JitDebug *debug)
{
    uint32_t x = debug->random ? debug->random : 0x9e3779b9;

    x ^= x << 13;
    x ^= x >> 17;
    x ^= x << 5;
    return debug->random = x;
}

static bool every(uint32_t n, uint64_t now)
{
    return n && now % n == 0;
}

bool jit_debug_exit(Jit *jit)
{
    JitDebug *debug = &jit->debug;

    return debug->exit_every && next_random(debug) % debug->exit_every == 0;
}

bool jit_debug_before(Jit *jit)
{
    JitDebug *debug = &jit->debug;

    debug->entries++;
    if (every(debug->flush_every, debug->entries)) {
        jit_flush(jit);
    }
    if (every(debug->tlb_every, debug->entries)) {
        mmu_flush(jit->cpu);
        return true;
    }
    return false;
}
