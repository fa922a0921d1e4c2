/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Fuzz target: a command line; each line of the input is one argument. */
#include <string.h>

#include "config-common.h"

#define MAX_ARGUMENTS 64
#define OWN_ARGUMENTS 4

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    fuzz_enter_playground();
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *argv[OWN_ARGUMENTS + MAX_ARGUMENTS];
    int argc = OWN_ARGUMENTS;
    if (fuzz_reaches_out(data, size)) {
        return -1;
    }
    g_autofree char *text = g_strndup((const char *)data, size);
    for (char *line = text; line && argc < (int)G_N_ELEMENTS(argv);) {
        argv[argc++] = line;
        line = strchr(line, '\n');
        if (line) {
            *line++ = '\0';
        }
    }
    Config *config = config_new();
    Diag *diag = diag_new();
    fuzz_start(config, argv, argc, diag);
    fuzz_finish(config, diag);
    diag_free(diag);
    config_free(config);
    return 0;
}
