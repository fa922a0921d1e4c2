/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The schema's tables are consistent, values are checked against them, and docs/qmp.md is what they
 * say (UPDATE_MANUAL=1 writes it).
 */
#include <string.h>

#include "monitor/qmp-schema.h"

#define MANUAL TESSERA_SOURCE_DATADIR "/../docs/qmp.md"

static void assert_type(const char *name)
{
    g_autofree char *element = qmp_element_type(name);

    if (element) {
        g_assert_true(g_str_has_suffix(name, "]"));
        assert_type(element);
    } else if (!qmp_builtin_json_type(name) && !qmp_type_find(name)) {
        g_error("there is no type '%s'", name);
    }
}

static void assert_members(const QmpMember *members)
{
    for (; members->name; members++) {
        g_assert_true(*qmp_member_name(members) && *members->doc);
        g_assert_false(g_str_has_suffix(members->doc, "."));
        assert_type(members->type);
    }
}

static void test_types(void)
{
    for (const QmpType *type = qmp_types; type->name; type++) {
        g_assert_true(qmp_type_find(type->name) == type); /* once only */
        if (type->kind == QMP_KIND_ENUM) {
            g_assert_nonnull(type->values[0]);
            continue;
        }
        assert_members(type->members);
        for (const QmpVariant *v = type->variants; v && v->value; v++) {
            g_assert_cmpint(qmp_type_find(v->type)->kind, ==, QMP_KIND_OBJECT);
        }
    }
}

static void test_commands(void)
{
    for (const QmpCommand *command = qmp_commands; command->name; command++) {
        g_assert_true(qmp_command_find(command->name) == command);
        g_assert_true(command->handler && *command->doc);
        assert_members(command->args);
        if (command->returns) {
            assert_type(command->returns);
        }
    }
    for (const QmpEvent *event = qmp_events; event->name; event++) {
        g_assert_true(qmp_event_find(event->name) == event);
        assert_members(event->data);
    }
}

/* The introspection is itself of the type that the schema says, and every type named is there. */
static void test_introspection(void)
{
    g_autoptr(Jv) schema = qmp_introspect();
    g_autoptr(GHashTable) names = g_hash_table_new(g_str_hash, g_str_equal);
    g_autoptr(GError) error = NULL;
    static const char *const references[] = { "arg-type", "ret-type", "element-type" };

    qmp_check_value("[SchemaInfo]", schema, "schema", &error);
    g_assert_no_error(error);
    for (unsigned i = 0; i < jv_length(schema); i++) {
        const char *name = jv_member_string(jv_at(schema, i), "name");
        g_assert_true(g_hash_table_add(names, (gpointer)name));
    }
    for (unsigned i = 0; i < jv_length(schema); i++) {
        const Jv *entity = jv_at(schema, i), *members = jv_member(entity, "members");
        for (unsigned n = 0; n < G_N_ELEMENTS(references); n++) {
            const char *type = jv_member_string(entity, references[n]);
            g_assert_true(!type || g_hash_table_contains(names, type));
        }
        bool object = !strcmp(jv_member_string(entity, "meta-type"), "object");
        for (unsigned n = 0; object && n < jv_length(members); n++) {
            g_assert_true(g_hash_table_contains(
                names, jv_member_string(jv_at(members, n), "type")));
        }
    }
}

static Jv *parse(const char *text)
{
    JvReader *reader = jv_reader_new();
    Jv *value = NULL;

    jv_reader_feed(reader, (const uint8_t *)text, strlen(text), &value, NULL);
    g_assert_nonnull(value);
    jv_reader_free(reader);
    return value;
}

static void test_check(void)
{
    static const struct {
        const char *type, *value, *message; /* NULL: good */
    } cases[] = {
        { "bool", "true\n", NULL },
        { "bool", "1\n", "Invalid parameter type for 'x', expected: boolean" },
        { "str", "[]", "Invalid parameter type for 'x', expected: string" },
        { "int", "1.5\n", "Invalid parameter type for 'x', expected: integer" },
        { "int", "9223372036854775808\n", "Parameter 'x' expects int" },
        { "uint64", "18446744073709551615\n", NULL },
        { "uint64", "-1\n", "Parameter 'x' expects uint64" },
        { "uint8", "256\n", "Parameter 'x' expects uint8" },
        { "number", "1\n", NULL },
        { "number", "'1'", "Invalid parameter type for 'x', expected: number" },
        { "null", "null\n", NULL },
        { "any", "[{}]", NULL },
        { "[str]", "['a', 1]", "Invalid parameter type for 'x[1]', expected: string" },
        { "RunState", "'running'", NULL },
        { "RunState", "'walking'", "Parameter 'x' does not accept value 'walking'" },
        { "RunState", "7\n", "Invalid parameter type for 'x', expected: string" },
        { "VersionInfo", "{'package': '', 'qemu': {'major': 1, 'minor': 2}}",
          "Parameter 'x.qemu.micro' is missing" },
        { "NameInfo", "{}", NULL },
        { "NameInfo", "{'nam': 1}", "Parameter 'x.nam' is unexpected" },
        { "SchemaInfo", "{'name': 'a', 'meta-type': 'builtin', 'json-type': 'int'}", NULL },
        { "SchemaInfo", "{'name': 'a', 'meta-type': 'builtin'}",
          "Parameter 'x.json-type' is missing" },
        { "SchemaInfo", "{'name': 'a', 'meta-type': 'array', 'json-type': 'int',"
          " 'element-type': 'x'}", "Parameter 'x.json-type' is unexpected" },
    };

    for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(Jv) value = parse(cases[i].value);
        g_autoptr(GError) error = NULL;
        bool good = qmp_check_value(cases[i].type, value, "x", &error);
        g_assert_cmpstr(error ? error->message : NULL, ==, cases[i].message);
        g_assert_true(good == !error);
    }
}

static void test_manual(void)
{
    g_autofree char *manual = qmp_manual(), *written = NULL;

    if (g_getenv("UPDATE_MANUAL")) {
        g_assert_true(g_file_set_contents(MANUAL, manual, -1, NULL));
        return;
    }
    g_assert_true(g_file_get_contents(MANUAL, &written, NULL, NULL));
    g_assert_cmpstr(written, ==, manual);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/monitor/qmp-schema/types", test_types);
    g_test_add_func("/monitor/qmp-schema/commands", test_commands);
    g_test_add_func("/monitor/qmp-schema/introspection", test_introspection);
    g_test_add_func("/monitor/qmp-schema/check", test_check);
    g_test_add_func("/monitor/qmp-schema/manual", test_manual);
    return g_test_run();
}
