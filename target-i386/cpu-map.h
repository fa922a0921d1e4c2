/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Our CPU models as libvirt's cpu map describes them (cpu_map/ of its data directory). */
#ifndef TARGET_I386_CPU_MAP_H
#define TARGET_I386_CPU_MAP_H

#include "target-i386/cpu-model.h"

/* One XML document: vendors, every feature with its bit, every model and alias; g_free(). */
char *x86_cpu_map_xml(const Config *config, const X86CpuCaps *caps, Diag *diag);

#endif
