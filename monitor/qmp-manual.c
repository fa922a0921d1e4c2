/* SPDX-License-Identifier: GPL-2.0-or-later */
/* docs/qmp.md: the reference page of QMP, written from the schema. */
#include <string.h>

#include "monitor/qmp-schema.h"

static const char head[] =
    "# QMP reference\n"
    "\n"
    "The QEMU Machine Protocol: JSON over a character device, given by `-qmp` or by `-chardev`\n"
    "and `-mon chardev=ID,mode=control`. Each connection begins with a greeting; the client\n"
    "answers with `qmp_capabilities`, and then sends commands:\n"
    "\n"
    "```json\n"
    "{\"execute\": \"query-status\", \"id\": 1}\n"
    "{\"return\": {\"running\": true, \"singlestep\": false, \"status\": \"running\"}, \"id\": 1}\n"
    "```\n"
    "\n"
    "`id` may be any JSON value and comes back with the answer. Events come at any time, to every\n"
    "client that has negotiated. A mistake is answered with `{\"error\": {\"class\": …, \"desc\":"
    " …}}`;\n"
    "after bytes that are no JSON the server looks for the next of `{}[]:,`, a newline or 0xFF.\n"
    "A message has at most 16 MiB, 1024 levels and 262144 tokens. Numbers up to 2^64-1 keep their\n"
    "value. A member marked * may be absent; [T] is an array of T.\n"
    "\n"
    "This page is written from `monitor/qmp-schema.def` by `UPDATE_MANUAL=1 test-qmp-schema`, and\n"
    "a test compares it.\n";

static void write_members(GString *text, const QmpMember *members)
{
    for (; members && members->name; members++) {
        g_string_append_printf(text, "- `%s`%s: %s. %s\n", qmp_member_name(members),
                               qmp_member_is_optional(members) ? " *" : "", members->type,
                               members->doc);
    }
}

static void write_values(GString *text, const QmpType *type)
{
    g_string_append(text, "One of:");
    for (const char *const *value = type->values; *value; value++) {
        g_string_append_printf(text, " `%s`", *value);
    }
    g_string_append(text, "\n");
}

static void write_type(GString *text, const QmpType *type)
{
    g_string_append_printf(text, "\n### %s\n%s.\n\n", type->name, type->doc);
    if (type->kind == QMP_KIND_ENUM) {
        write_values(text, type);
        return;
    }
    write_members(text, type->members);
    for (const QmpVariant *variant = type->variants; variant && variant->value; variant++) {
        g_string_append_printf(text, "- where `%s` is `%s`: the members of %s\n", type->tag,
                               variant->value, variant->type);
    }
}

char *qmp_manual(void)
{
    GString *text = g_string_new(head);

    g_string_append(text, "\n## Commands\n");
    for (const QmpCommand *command = qmp_commands; command->name; command++) {
        g_string_append_printf(text, "\n### %s\n%s.\n", command->name, command->doc);
        if (command->args->name) {
            g_string_append_c(text, '\n');
            write_members(text, command->args);
        }
        if (command->returns) {
            g_string_append_printf(text, "\nReturns: %s\n", command->returns);
        }
    }
    g_string_append(text, "\n## Events\n");
    for (const QmpEvent *event = qmp_events; event->name; event++) {
        g_string_append_printf(text, "\n### %s\n%s.\n", event->name, event->doc);
        if (event->data->name) {
            g_string_append_c(text, '\n');
            write_members(text, event->data);
        }
    }
    g_string_append(text, "\n## Types\n");
    for (const QmpType *type = qmp_types; type->name; type++) {
        write_type(text, type);
    }
    return g_string_free(text, FALSE);
}
