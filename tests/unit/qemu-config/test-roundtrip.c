/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Everything the command line can say, a file and QMP can say: every row of the schema goes from
 * the command line to groups, to a written file, to groups, to JSON, to groups, and nothing may
 * change.
 */
#include <string.h>

#include "fixture.h"
#include "qemu-config/json.h"

/* Compared as the type of the key says: 512M and its number of bytes are the same. */
static bool same_value(const ConfigGroup *group, const ConfigValue *a, const ConfigValue *b)
{
    const OptKey *key = schema_find_key(group->schema->group, a->key);
    uint64_t x, y;
    bool p, q;
    if (key && key->type == OPT_SIZE) {
        return opt_parse_size(a->value, key->unit, &x) && opt_parse_size(b->value, key->unit, &y) &&
               x == y;
    }
    if (key && key->type == OPT_UINT) {
        return opt_parse_uint(a->value, &x) && opt_parse_uint(b->value, &y) && x == y;
    }
    if (key && key->type == OPT_BOOL) {
        return opt_parse_bool(a->value, &p) && opt_parse_bool(b->value, &q) && p == q;
    }
    return !strcmp(a->value, b->value);
}

static void assert_same_group(const ConfigGroup *a, const ConfigGroup *b)
{
    g_assert_true(a && b);
    g_assert_cmpstr(a->schema->group, ==, b->schema->group);
    g_assert_cmpstr(a->id, ==, b->id);
    g_assert_cmpuint(a->values->len, ==, b->values->len);
    for (unsigned i = 0; i < a->values->len; i++) {
        const ConfigValue *x = a->values->pdata[i], *y = b->values->pdata[i];
        g_assert_cmpstr(x->key, ==, y->key);
        g_test_message("%s.%s: '%s' and '%s'", a->schema->group, x->key, x->value, y->value);
        g_assert_true(same_value(a, x, y));
    }
}

/* The only group of the schema row's kind. */
static const ConfigGroup *only_group(const Config *config, const OptSchema *row)
{
    GPtrArray *groups = config_groups(config, row->group);
    g_assert_cmpuint(groups->len, ==, 1);
    return groups->pdata[0];
}

static void assert_quiet(Diag *diag)
{
    g_autofree char *said = diag_take_text(diag);
    g_assert_cmpstr(said, ==, "");
}

static void check_json(const ConfigGroup *group)
{
    g_autoptr(Config) config = config_new();
    g_autoptr(Diag) diag = diag_new();
    g_autoptr(JsonNode) node = group_to_json(group);
    g_autofree char *text = json_to_string(node, false);
    g_autoptr(JsonNode) parsed = json_from_string(text, NULL);
    g_test_message("%s", text);
    const ConfigGroup *back = config_add_json(config, group->schema->group,
                                              json_node_get_object(parsed), "test", diag);
    assert_quiet(diag);
    assert_same_group(group, back);
}

static void check_file(const ConfigGroup *group, const OptSchema *row, const char *text)
{
    g_autoptr(Config) config = config_new();
    g_autoptr(Diag) diag = diag_new();
    g_test_message("%s", text);
    config_load_text(config, "written.conf", text, strlen(text), LAYER_FILES, diag);
    config_load_layers(config, diag);
    assert_quiet(diag);
    assert_same_group(group, only_group(config, row));
    check_json(only_group(config, row));
}

static void check_option(gconstpointer data)
{
    const OptSchema *row = data;
    Fixture f;
    fixture_init(&f);
    g_autofree char *option = g_strconcat("-", row->option, NULL);
    g_assert_true((row->flags & OPT_FLAG) || row->example);
    g_assert_true(fixture_command(&f, option, row->example, NULL));
    g_assert_true(config_validate(f.config, f.diag));
    const ConfigGroup *group = only_group(f.config, row);
    g_assert_cmpuint(group->values->len, >, 0);
    g_autofree char *text = config_write(f.config);
    check_file(group, row, text);
    check_json(group);
    fixture_free(&f);
}

/* Groups that exist in files alone: their example, NAME,key=value,…, is written out as a file. */
static char *file_of_example(const OptSchema *row, char **id)
{
    GString *text = g_string_new(NULL);
    g_auto(GStrv) items = g_strsplit(row->example, ",", -1);
    *id = g_strdup(items[0]);
    g_string_append_printf(text, "[%s \"%s\"]\n", row->group, *id);
    for (char **item = items + 1; *item; item++) {
        char *equals = strchr(*item, '=');
        g_assert_nonnull(equals);
        g_string_append_printf(text, "%.*s = \"%s\"\n", (int)(equals - *item), *item, equals + 1);
    }
    return g_string_free(text, FALSE);
}

static void check_file_only(gconstpointer data)
{
    const OptSchema *row = data;
    Fixture f;
    fixture_init(&f);
    g_autofree char *id = NULL;
    g_autofree char *text = file_of_example(row, &id);
    g_assert_true(fixture_load(&f, text));
    g_autofree char *written = config_write(f.config);
    fixture_restart(&f);
    g_assert_true(fixture_load(&f, written));
    if (row->flags & OPT_SCOPE) {
        g_assert_nonnull(config_select_machine(f.config, id, NULL, f.diag));
        check_json(config_machine(f.config));
        g_assert_cmpuint(config_machine(f.config)->values->len, >, 0);
    } else {
        check_json(config_find(f.config, row->group, id));
    }
    fixture_free(&f);
}

/* -explain of a whole machine loads again as itself, whatever options were given. */
static char *without_comments(const char *text)
{
    GString *out = g_string_new(NULL);
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
    for (char **line = lines; *line; line++) {
        char *comment = g_strrstr(*line, "  # ");
        if (**line && **line != '#') {
            g_string_append_len(out, *line, comment ? comment - *line : (int)strlen(*line));
            g_string_append_c(out, '\n');
        }
    }
    return g_string_free(out, FALSE);
}

static void check_explain(gconstpointer data)
{
    const OptSchema *row = data;
    Fixture f;
    fixture_init(&f);
    g_autofree char *option = g_strconcat("-", row->option, NULL);
    g_autofree char *machine = fixture_write(&f, "board.conf",
                                             "[machine-type \"base\"]\nmax_cpus = 4\n"
                                             "[machine-type \"board\"]\n"
                                             "base_machine = \"base\"\nalias = \"b\"\n"
                                             "[memory]\nsize = 64M\n"
                                             "[device \"rtc\"]\ndriver = \"mc146818rtc\"\n");
    g_assert_true(fixture_command(&f, option, row->example, NULL));
    g_assert_true(config_load_layers(f.config, f.diag));
    g_assert_nonnull(config_select_machine(f.config, machine, NULL, f.diag));
    g_autofree char *first = config_explain(f.config);
    fixture_restart(&f);
    g_autofree char *file = fixture_write(&f, "explained.conf", first);
    g_assert_true(fixture_command(&f, "-readconfig", file, NULL));
    g_assert_true(config_load_layers(f.config, f.diag));
    const ConfigGroup *group = config_find(f.config, "machine", NULL);
    g_assert_nonnull(config_select_machine(f.config, group_get(group, "type"), NULL, f.diag));
    g_autofree char *second = config_explain(f.config);
    assert_quiet(f.diag);
    g_autofree char *a = without_comments(first), *b = without_comments(second);
    g_assert_cmpstr(a, ==, b);
    g_assert_nonnull(strstr(a, "mc146818rtc"));
    fixture_free(&f);
}

/* Values that a careless writer would break. */
static void test_hostile_text(void)
{
    static const char *const texts[] = {"",
                                        "\"",
                                        "\\",
                                        "${confdir}",
                                        "$",
                                        "a\nb",
                                        "\t",
                                        "#",
                                        " x ",
                                        "[x]",
                                        "on",
                                        "1",
                                        "\xC3\xA4",
                                        "a=b,c",
                                        "\\${x}",
                                        "\\n",
                                        "\x01\r\x1f\x7f\xff"};
    for (unsigned i = 0; i < G_N_ELEMENTS(texts); i++) {
        Fixture f;
        fixture_init(&f);
        g_assert_true(fixture_command(&f, "-append", texts[i], NULL));
        g_autofree char *written = config_write(f.config);
        fixture_restart(&f);
        g_assert_true(fixture_load(&f, written));
        g_assert_cmpstr(config_get(f.config, "system", "append"), ==, texts[i]);
        fixture_free(&f);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    const GPtrArray *rows = schema_rows();
    for (unsigned i = 0; i < rows->len; i++) {
        const OptSchema *row = rows->pdata[i];
        if (row->flags & OPT_ACTION) {
            continue;
        }
        const char *name = row->option ? row->option : row->group;
        g_autofree char *path = g_strconcat("/config/roundtrip/", name, NULL);
        g_autofree char *explain = g_strconcat("/config/explain/", name, NULL);
        if (row->option) {
            g_test_add_data_func(path, row, check_option);
            g_test_add_data_func(explain, row, check_explain);
        } else {
            g_test_add_data_func(path, row, check_file_only);
        }
    }
    g_test_add_func("/config/roundtrip-text", test_hostile_text);
    return g_test_run();
}
