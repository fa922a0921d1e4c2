/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The log: items, the file, and the limit on guest errors. */
#include <glib/gstdio.h>
#include <string.h>

#include "util/log.h"

static char *path;

static unsigned count(const char *word)
{
    g_autofree char *text = NULL;
    unsigned n = 0;

    g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
    for (const char *at = text; (at = strstr(at, word)); at++) {
        n++;
    }
    return n;
}

static void test_mask(void)
{
    g_autoptr(GError) error = NULL;

    g_assert_true(log_set_mask("int,unimp", NULL));
    g_assert_true(log_enabled(LOG_INT));
    g_assert_true(log_enabled(LOG_UNIMP));
    g_assert_false(log_enabled(LOG_MMU));
    g_assert_false(log_set_mask("int,nonsense", &error));
    g_assert_nonnull(strstr(error->message, "'nonsense'"));
    g_assert_nonnull(strstr(error->message, "guest_errors"));
    g_assert_true(log_enabled(LOG_INT)); /* left as it was */
}

static void test_file(void)
{
    g_autoptr(GError) error = NULL;

    g_assert_true(log_set_mask("int", NULL));
    log_write(LOG_INT, "alpha %d", 1);
    log_write(LOG_INT, "alpha %d\n", 2);
    log_write(LOG_MMU, "alpha %d", 3);
    g_assert_cmpuint(count("alpha"), ==, 2);
    g_assert_cmpuint(count("\n"), ==, 2);
    g_assert_false(log_set_file("/nonexistent/log", &error));
    g_assert_nonnull(strstr(error->message, "/nonexistent/log"));
}

/* A guest that errs all the time cannot fill the disk: ten lines in any second of the clock. */
static void test_limit(void)
{
    g_assert_true(log_set_mask("guest_errors", NULL));
    int64_t start = g_get_monotonic_time();
    for (unsigned i = 0; i < 100000; i++) {
        log_guest_error("beta");
    }
    int64_t seconds = (g_get_monotonic_time() - start) / G_USEC_PER_SEC + 2;
    g_assert_cmpuint(count("beta"), >=, 10);
    g_assert_cmpuint(count("beta"), <=, 10 * seconds);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    path = g_build_filename(g_get_tmp_dir(), "tessera-log-XXXXXX", NULL);
    g_close(g_mkstemp(path), NULL);
    g_assert_true(log_set_file(path, NULL));
    g_test_add_func("/log/mask", test_mask);
    g_test_add_func("/log/file", test_file);
    g_test_add_func("/log/limit", test_limit);
    int status = g_test_run();
    g_unlink(path);
    g_free(path);
    return status;
}
