/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A Config, its diagnostics and a directory of files to load: what every test of the room needs. */
#ifndef TESTS_QEMU_CONFIG_FIXTURE_H
#define TESTS_QEMU_CONFIG_FIXTURE_H

#include "qemu-config/config.h"

typedef struct {
    Config *config;
    Diag *diag;
    char *dir;    /* temporary; removed by fixture_free() */
    char *empty;  /* an empty directory below it */
    GPtrArray *argv;
} Fixture;

/* The user layer is an empty directory, so that no test depends on the host's /etc. */
void fixture_init(Fixture *f);
void fixture_free(Fixture *f);
/* Forgets the Config and what was reported; the directory stays. */
void fixture_restart(Fixture *f);
/* Writes @text to @name below the directory, making folders; returns the path. */
char *fixture_write(Fixture *f, const char *name, const char *text);
/* Loads @text as a file of the layer LAYER_FILES; true if there was no mistake. */
bool fixture_load(Fixture *f, const char *text);
/* Parses "-opt", "arg", … NULL after a program name; true if there was no mistake. */
bool fixture_command(Fixture *f, ...) G_GNUC_NULL_TERMINATED;
/* Text of @key in the group, or NULL. */
const char *fixture_get(Fixture *f, const char *type, const char *id, const char *key);
/* Asserts that what was reported contains @text, and forgets it. */
void fixture_expect(Fixture *f, const char *text);

#endif
