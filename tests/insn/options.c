/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What these tests have in common: command lines, with a seed that is the time if none is given,
 * and whose CPU the host is.
 */
#include <stdio.h>
#include <time.h>

#include "tests/insn/insn-test.h"

bool test_options(int *argc, char ***argv, const GOptionEntry *entries, int64_t *seed)
{
    GOptionContext *context = g_option_context_new(NULL);
    g_autoptr(GError) error = NULL;
    bool known;

    g_option_context_add_main_entries(context, entries, NULL);
    known = g_option_context_parse(context, argc, argv, &error);
    g_option_context_free(context);
    if (!known) {
        fprintf(stderr, "%s\n", error->message);
        return false;
    }
    if (*seed < 0) {
        *seed = time(NULL);
    }
    return true;
}

bool test_host_is_intel(void)
{
    return __builtin_cpu_is("intel");
}
