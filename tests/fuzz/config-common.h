/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the fuzz targets of the configuration share: a harmless place to run, and what must hold. */
#ifndef TESTS_FUZZ_CONFIG_COMMON_H
#define TESTS_FUZZ_CONFIG_COMMON_H

#include "qemu-config/config.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Goes to a temporary directory with two files to include and without standard input. */
void fuzz_enter_playground(void);
/* True if @data could name a file outside the playground: such input is not run. */
bool fuzz_reaches_out(const uint8_t *data, size_t size);
/* Parses @argv after "-nodefconfig -L empty"; @argv has room for them in front. */
void fuzz_start(Config *config, char **argv, int argc, Diag *diag);
/*
 * Takes the configuration through all phases. What loads without a mistake must be written by
 * -explain and -writeconfig so that it loads again without one, and as the same text.
 */
void fuzz_finish(Config *config, Diag *diag);

#endif
