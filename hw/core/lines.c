/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Wires of the board: the global system interrupts and the named lines, each with many receivers.
 */
#include "hw/core/private.h"

static void fan_out(void *opaque, int n, int level)
{
    const FanOut *wire = opaque;

    for (unsigned i = 0; i < wire->sinks->len; i++) {
        irq_set(&g_array_index(wire->sinks, IrqLine, i), level);
    }
}

static void fan_out_init(FanOut *wire, int n)
{
    wire->line = (IrqLine){ fan_out, wire, n };
    wire->sinks = g_array_new(FALSE, FALSE, sizeof(IrqLine));
}

static void fan_out_free(gpointer opaque)
{
    FanOut *wire = opaque;

    g_array_unref(wire->sinks);
    g_free(wire);
}

void machine_lines_init(Machine *machine)
{
    for (unsigned n = 0; n < MACHINE_GSI_COUNT; n++) {
        fan_out_init(&machine->priv->gsi[n], n);
    }
    machine->priv->lines = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, fan_out_free);
}

void machine_lines_free(Machine *machine)
{
    for (unsigned n = 0; n < MACHINE_GSI_COUNT; n++) {
        g_array_unref(machine->priv->gsi[n].sinks);
    }
    g_hash_table_unref(machine->priv->lines);
}

IrqLine *machine_gsi(Machine *machine, unsigned gsi)
{
    g_assert(gsi < MACHINE_GSI_COUNT);
    return &machine->priv->gsi[gsi].line;
}

void machine_gsi_connect(Machine *machine, unsigned gsi, IrqLine sink)
{
    g_assert(gsi < MACHINE_GSI_COUNT);
    g_array_append_val(machine->priv->gsi[gsi].sinks, sink);
}

static FanOut *named_line(Machine *machine, const char *name)
{
    FanOut *wire = g_hash_table_lookup(machine->priv->lines, name);

    if (!wire) {
        wire = g_new(FanOut, 1);
        fan_out_init(wire, 0);
        g_hash_table_insert(machine->priv->lines, g_strdup(name), wire);
    }
    return wire;
}

IrqLine *machine_line(Machine *machine, const char *name)
{
    return &named_line(machine, name)->line;
}

void machine_line_connect(Machine *machine, const char *name, IrqLine sink)
{
    g_array_append_val(named_line(machine, name)->sinks, sink);
}
