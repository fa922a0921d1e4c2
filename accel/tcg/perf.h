/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Names for generated code, so that `perf report` shows the guest's blocks: -perfmap writes
 * /tmp/perf-PID.map, -jitdump writes jit-PID.dump into the current directory.
 */
#ifndef ACCEL_TCG_PERF_H
#define ACCEL_TCG_PERF_H

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>

struct Config;
typedef struct JitPerf JitPerf;

/* What @config asks for; NULL without @error: neither. Any thread may use it. */
JitPerf *jit_perf_new(const struct Config *config, GError **error);
void jit_perf_free(JitPerf *perf);
/* True if perf must find names by the address alone, which it does in anonymous memory only. */
bool jit_perf_wants_anonymous(const JitPerf *perf);
/* @size bytes of code, of which @code is the executable mapping, go by @name from now on. */
void jit_perf_name(JitPerf *perf, const char *name, const void *code, size_t size);

#endif
