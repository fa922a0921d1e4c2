/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Fuzz target: one configuration file of any bytes. */
#include "config-common.h"

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    fuzz_enter_playground();
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *argv[4];
    if (fuzz_reaches_out(data, size)) {
        return -1;
    }
    Config *config = config_new();
    Diag *diag = diag_new();
    fuzz_start(config, argv, G_N_ELEMENTS(argv), diag);
    config_load_text(config, "fuzz", (const char *)data, size, LAYER_FILES, diag);
    fuzz_finish(config, diag);
    diag_free(diag);
    config_free(config);
    return 0;
}
