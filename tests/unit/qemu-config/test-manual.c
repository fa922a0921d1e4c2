/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The table of options in docs/config.md must be what the schema says. With UPDATE_MANUAL=1 in the
 * environment it is written instead of compared.
 */
#include <string.h>

#include "qemu-config/schema.h"

#define MANUAL TESSERA_SOURCE_DATADIR "/../docs/config.md"
#define BEGIN "<!-- options -->\n"
#define END "<!-- end of options -->\n"

/* '|' would end a cell. */
static void append_cell(GString *out, const char *text)
{
    for (const char *p = text ? text : ""; *p; p++) {
        if (*p == '|') {
            g_string_append_c(out, '\\');
        }
        g_string_append_c(out, *p);
    }
}

static void append_row(GString *out, const OptSchema *row)
{
    g_string_append_printf(out, "| `-%s", row->option);
    if (row->arg_help) {
        g_string_append_c(out, ' ');
        append_cell(out, row->arg_help);
    }
    g_string_append(out, "` | ");
    if (row->group) {
        bool key = row->flags & (OPT_RAW | OPT_FLAG);
        g_string_append_printf(out, "`[%s]%s%s`", row->group, key ? " " : "",
                               key ? row->implied_key : "");
    }
    g_string_append(out, " | ");
    append_cell(out, row->help);
    g_string_append(out, " |\n");
}

static char *options_table(void)
{
    GString *out = g_string_new(NULL);
    const GPtrArray *rows = schema_rows();
    const char *section = NULL;
    for (unsigned i = 0; i < rows->len; i++) {
        const OptSchema *row = rows->pdata[i];
        if (!row->option) {
            continue;
        }
        if (g_strcmp0(section, row->section)) {
            g_string_append_printf(out, "\n**%s**\n\n| option | group | meaning |\n|---|---|---|\n",
                                   row->section);
            section = row->section;
        }
        append_row(out, row);
    }
    g_string_append_c(out, '\n');
    return g_string_free(out, FALSE);
}

static void test_manual(void)
{
    g_autofree char *manual = NULL;
    g_autofree char *table = options_table();
    g_assert_true(g_file_get_contents(MANUAL, &manual, NULL, NULL));
    char *begin = strstr(manual, BEGIN), *end = strstr(manual, END);
    g_assert_true(begin && end);
    begin += strlen(BEGIN);
    if (g_getenv("UPDATE_MANUAL")) {
        g_autofree char *text = g_strdup_printf("%.*s%s%s", (int)(begin - manual), manual, table,
                                                end);
        g_assert_true(g_file_set_contents(MANUAL, text, -1, NULL));
        return;
    }
    g_autofree char *written = g_strndup(begin, end - begin);
    g_assert_cmpstr(written, ==, table);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/config/manual", test_manual);
    return g_test_run();
}
