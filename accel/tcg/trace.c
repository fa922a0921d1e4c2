/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * -d op shows what the scan decided for each instruction, -d out_asm the code that was written for
 * it. (QEMU's "op" is its intermediate form; we have none.)
 */
#include "accel/tcg/trace.h"

#include "target-i386/disas.h"
#include "util/log.h"

static const char *const kind_names[] = {
    [KIND_INTERPRET] = "interpret", [KIND_NOTHING] = "nothing", [KIND_COPY] = "copy",
    [KIND_LEA] = "lea", [KIND_PUSH] = "push", [KIND_POP] = "pop", [KIND_LEAVE] = "leave",
    [KIND_DIVIDE] = "divide", [KIND_STRING] = "string", [KIND_FLDCW] = "fldcw",
    [KIND_FNINIT] = "fninit", [KIND_PUSHF] = "pushf", [KIND_SYSTEM] = "system",
    [KIND_PATCHED] = "patched",
    [KIND_VIEW] = "view", [KIND_JUMP] = "jump", [KIND_JUMP_IF] = "jump-if",
    [KIND_JUMP_INDIRECT] = "jump-indirect", [KIND_CALL] = "call",
    [KIND_CALL_INDIRECT] = "call-indirect", [KIND_RETURN] = "return",
};

static void append_header(GString *out, const Trans *t, const char *what)
{
    g_string_append_printf(out, "%s: cpu %u cpl %u rip %016" G_GINT64_MODIFIER
                           "x, %u instructions, mode %#x\n", what, t->cpu->vcpu.index,
                           t->mode & MODE_USER ? 3 : 0, t->rip, t->count, t->mode);
}

/* Arithmetic flags in the byte form of AF_*. */
static void append_flags(GString *out, const char *name, uint8_t flags)
{
    static const struct {
        uint8_t flag;
        char letter;
    } letters[] = {{AF_OF, 'o'}, {0x80, 's'}, {0x40, 'z'}, {0x10, 'a'}, {0x04, 'p'}, {0x01, 'c'}};

    if (!flags) {
        return;
    }
    g_string_append_printf(out, " %s:", name);
    for (unsigned i = 0; i < G_N_ELEMENTS(letters); i++) {
        if (flags & letters[i].flag) {
            g_string_append_c(out, letters[i].letter);
        }
    }
}

static void append_decision(GString *out, const TransInsn *ti)
{
    const char *name = ti->kind < G_N_ELEMENTS(kind_names) ? kind_names[ti->kind] : NULL;

    g_string_append_printf(out, "  %s", name ? name : "other");
    append_flags(out, "reads", ti->use);
    append_flags(out, "sets", ti->kill);
    append_flags(out, "live", ti->live_out);
    if (ti->check >= 0) {
        g_string_append_printf(out, " check:stack%d", ti->check);
    }
    if (ti->group >= 0) {
        g_string_append_printf(out, " in:stack%d", ti->group);
    }
    if (ti->address >= 0) {
        g_string_append_printf(out, " in:address%d", ti->address);
    }
    if (ti->vec) {
        g_string_append_printf(out, " vec:%u", ti->vec);
    }
    g_string_append(out, ti->x87 ? " x87\n" : "\n");
}

static void trace_decisions(const Trans *t)
{
    g_autoptr(GString) out = g_string_new(NULL);

    append_header(out, t, "OP");
    for (unsigned i = 0; i < t->count; i++) {
        const TransInsn *ti = &t->insns[i];

        disas_append(out, disas_mode(t->cpu), t->rip + ti->offset, ti->bytes, ti->zi.length);
        append_decision(out, ti);
    }
    log_write(LOG_OP, "%s", out->str);
}

/* --- host code ------------------------------------------------------------------------- */

/* True if @at, executable mapping, is a call of the slow path, behind which a SiteInfo stands. */
static bool calls_slow(const Jit *jit, const uint8_t *at)
{
    int32_t displacement;

    memcpy(&displacement, at + 1, sizeof(displacement));
    return *at == 0xe8 && at + 5 + displacement == jit->slow;
}

static void append_site(GString *out, const uint8_t *at)
{
    SiteInfo site;

    memcpy(&site, at, sizeof(site));
    g_string_append_printf(out, "%#018" G_GINT64_MODIFIER "x:  .site insn %u, flags %#x, %u bytes, "
                           "stack pointer - r8 %d\n", (uint64_t)(uintptr_t)at, site.insn,
                           site.flags, site.size, site.sp_lag);
}

static void append_code(GString *out, const Jit *jit, const uint8_t *from, const uint8_t *to)
{
    while (from < to) {
        bool slow = to - from >= 5 && calls_slow(jit, from);

        from += disas_append(out, ZYDIS_MACHINE_MODE_LONG_64, (uintptr_t)from, from, to - from);
        if (slow) {
            append_site(out, from);
            from += sizeof(SiteInfo);
        }
    }
}

static void trace_code(const Trans *t, const uint8_t *cold)
{
    const CodeBuffer *buffer = &t->jit->buffer;
    const TransBlock *tb = t->tb;
    const uint8_t *from = tb->entry;
    g_autoptr(GString) out = g_string_new(NULL);

    append_header(out, t, "OUT");
    for (unsigned i = 0; i <= t->count; i++) {
        const uint8_t *to = i < t->count ? buffer->rx + tb->insns[i + 1].host
                                         : code_rx(buffer, buffer->hot);

        g_string_append_printf(out, "-- %016" G_GINT64_MODIFIER "x%s\n",
                               t->rip + (i < t->count ? t->insns[i].offset : t->block->bytes),
                               i < t->count ? "" : " (next block)");
        append_code(out, t->jit, from, to);
        from = to;
    }
    g_string_append(out, "-- cold\n");
    append_code(out, t->jit, code_rx(buffer, cold), code_rx(buffer, buffer->cold));
    log_write(LOG_OUT_ASM, "%s", out->str);
}

void trans_trace(const Trans *t, const uint8_t *cold)
{
    if (log_enabled(LOG_OP)) {
        trace_decisions(t);
    }
    if (log_enabled(LOG_OUT_ASM)) {
        trace_code(t, cold);
    }
}
