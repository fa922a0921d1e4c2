/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What -cpu shows instead of running a machine: dump, compare=, baseline=, export=. */
#ifndef TARGET_I386_CPU_TOOLS_H
#define TARGET_I386_CPU_TOOLS_H

#include "target-i386/cpu-model.h"

/* True if [cpu] asks for one of them. */
bool x86_cpu_tools_wanted(const Config *config);
/*
 * The text asked for, g_free(); @model is the machine's CPU, cut to @caps. NULL after diagnostics.
 */
char *x86_cpu_tools_run(const Config *config, const X86CpuModel *model,
                        const X86Topology *topology, const X86CpuCaps *caps, Diag *diag);

#endif
