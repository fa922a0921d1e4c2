/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the tests of CPU models share: configurations from text, and the record of QEMU's models. */
#ifndef TESTS_UNIT_TARGET_I386_MODEL_FIXTURE_H
#define TESTS_UNIT_TARGET_I386_MODEL_FIXTURE_H

#include <json-glib/json-glib.h>

#include "target-i386/cpu-model.h"

typedef struct Fixture {
    Config *config;
    Diag *diag;
    X86CpuCaps caps; /* of a host that has everything our CPU may use */
} Fixture;

/*
 * The shipped models, @user as a file of the user layer (or NULL) and @cpu as the argument of -cpu
 * (or NULL).
 */
Fixture *fixture_new(const char *user, const char *cpu);
void fixture_free(Fixture *fixture);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Fixture, fixture_free)

/* Resolves [cpu], with default "qemu64". */
X86CpuModel *fixture_resolve(Fixture *fixture);
/* Fails unless nothing could be resolved and the diagnostics say all of the words (to NULL). */
void fixture_assert_refused(Fixture *fixture, ...) G_GNUC_NULL_TERMINATED;
/* Fails unless the diagnostics so far, taken from @fixture, say @text. */
void fixture_assert_said(Fixture *fixture, const char *text);
/* Fails unless nothing was said. */
void fixture_assert_silent(Fixture *fixture);

/* A file of TEST_DATA as JSON: its member @name. */
JsonObject *fixture_record(JsonParser *parser, const char *file, const char *name);

#endif
