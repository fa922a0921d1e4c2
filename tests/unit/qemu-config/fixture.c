/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The common part of the tests of qemu-config/. */
#include "fixture.h"

#include <glib/gstdio.h>
#include <string.h>

void fixture_init(Fixture *f)
{
    *f = (Fixture){0};
    f->dir = g_dir_make_tmp("tessera-config-XXXXXX", NULL);
    f->empty = g_build_filename(f->dir, "empty", NULL);
    f->argv = g_ptr_array_new();
    g_assert_cmpint(g_mkdir(f->empty, 0700), ==, 0);
    g_setenv("TESSERA_SYSCONFDIR", f->empty, TRUE);
    f->config = config_new();
    f->diag = diag_new();
}

static void remove_tree(const char *path)
{
    GDir *dir = g_dir_open(path, 0, NULL);
    const char *name;
    while (dir && (name = g_dir_read_name(dir))) {
        g_autofree char *child = g_build_filename(path, name, NULL);
        remove_tree(child);
    }
    if (dir) {
        g_dir_close(dir);
    }
    g_remove(path);
}

void fixture_free(Fixture *f)
{
    config_free(f->config);
    diag_free(f->diag);
    remove_tree(f->dir);
    g_free(f->dir);
    g_free(f->empty);
    g_ptr_array_unref(f->argv);
}

void fixture_restart(Fixture *f)
{
    config_free(f->config);
    diag_free(f->diag);
    f->config = config_new();
    f->diag = diag_new();
}

char *fixture_write(Fixture *f, const char *name, const char *text)
{
    char *path = g_build_filename(f->dir, name, NULL);
    g_autofree char *folder = g_path_get_dirname(path);
    g_assert_cmpint(g_mkdir_with_parents(folder, 0700), ==, 0);
    g_assert_true(g_file_set_contents(path, text, -1, NULL));
    return path;
}

bool fixture_load(Fixture *f, const char *text)
{
    bool good = config_load_text(f->config, "test.conf", text, strlen(text), LAYER_FILES, f->diag);
    return config_load_layers(f->config, f->diag) && good;
}

bool fixture_command(Fixture *f, ...)
{
    va_list args;
    char *arg;
    g_ptr_array_set_size(f->argv, 0);
    g_ptr_array_add(f->argv, "tessera");
    va_start(args, f);
    while ((arg = va_arg(args, char *))) {
        g_ptr_array_add(f->argv, arg);
    }
    va_end(args);
    return config_parse_command_line(f->config, f->argv->len, (char **)f->argv->pdata, f->diag);
}

const char *fixture_get(Fixture *f, const char *type, const char *id, const char *key)
{
    const ConfigGroup *group = config_find(f->config, type, id);
    return group ? group_get(group, key) : NULL;
}

void fixture_expect(Fixture *f, const char *text)
{
    g_autofree char *said = diag_take_text(f->diag);
    if (!strstr(said, text)) {
        g_test_message("expected: %s\nreported:\n%s", text, said);
        g_test_fail();
    }
}
