/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the tests of CPU models share. */
#include "model-fixture.h"

#include <string.h>

#include "target-i386/feature-table.h"

Fixture *fixture_new(const char *user, const char *cpu)
{
    static char *argv[] = {"tessera", "-nodefconfig", "-L", NULL, NULL, NULL, NULL};
    Fixture *fixture = g_new0(Fixture, 1);

    argv[3] = (char *)g_getenv("TEST_SYSCONFIGS");
    argv[4] = cpu ? "-cpu" : NULL;
    argv[5] = (char *)cpu;
    fixture->config = config_new();
    fixture->diag = diag_new();
    g_assert_true(config_parse_command_line(fixture->config, cpu ? 6 : 4, argv, fixture->diag));
    if (user) {
        g_assert_true(config_load_text(fixture->config, "user.conf", user, strlen(user),
                                       LAYER_USER, fixture->diag));
    }
    g_assert_true(config_load_layers(fixture->config, fixture->diag));
    x86_cpu_caps_tcg(&fixture->caps);
    for (const X86FeatureInfo *info = x86_features; info->name; info++) {
        x86_words_set(fixture->caps.supported, info->feature, info->tcg != TCG_NO);
    }
    return fixture;
}

void fixture_free(Fixture *fixture)
{
    config_free(fixture->config);
    diag_free(fixture->diag);
    g_free(fixture);
}

X86CpuModel *fixture_resolve(Fixture *fixture)
{
    return x86_cpu_model_resolve(fixture->config, "qemu64", &fixture->caps, fixture->diag);
}

static void assert_has(const char *text, const char *words)
{
    if (!strstr(text, words)) {
        g_test_message("not said: %s\n%s", words, text);
        g_test_fail();
    }
}

void fixture_assert_refused(Fixture *fixture, ...)
{
    g_autoptr(X86CpuModel) model = fixture_resolve(fixture);
    g_autofree char *text = diag_take_text(fixture->diag);
    const char *words;
    va_list args;

    g_assert_null(model);
    g_assert_cmpuint(diag_errors(fixture->diag), >, 0);
    va_start(args, fixture);
    while ((words = va_arg(args, const char *))) {
        assert_has(text, words);
    }
    va_end(args);
}

void fixture_assert_said(Fixture *fixture, const char *text)
{
    g_autofree char *said = diag_take_text(fixture->diag);

    assert_has(said, text);
}

void fixture_assert_silent(Fixture *fixture)
{
    g_autofree char *said = diag_take_text(fixture->diag);

    g_assert_cmpstr(said, ==, "");
}

JsonObject *fixture_record(JsonParser *parser, const char *file, const char *name)
{
    g_autofree char *path = g_build_filename(g_getenv("TEST_DATA"), file, NULL);
    g_autoptr(GError) error = NULL;

    json_parser_load_from_file(parser, path, &error);
    g_assert_no_error(error);
    return json_object_get_object_member(json_node_get_object(json_parser_get_root(parser)), name);
}
