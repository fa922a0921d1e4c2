/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * CPUs as text: every CPUID leaf as a guest sees it after reset, in the form of `cpuid -r` (a line
 * for each leaf and subleaf), then feature MSRs. Leaves that are all zero are left out.
 */
#ifndef TARGET_I386_CPU_DUMP_H
#define TARGET_I386_CPU_DUMP_H

#include "target-i386/cpu-model.h"

/* The boot CPU of @topology; @title goes into the first line, a comment. g_free(). */
char *x86_cpu_dump(const X86CpuModel *model, const X86Topology *topology, const char *title);
/*
 * A model from such a text (of the first CPU, where `cpuid -r` tells of several): NULL and @error
 * if it is none.
 */
X86CpuModel *x86_cpu_dump_read(const char *name, const char *text, GError **error);

#endif
