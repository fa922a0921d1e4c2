/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The monitors of a machine: QMP for programs and HMP for people, each on a character device that a
 * [mon] group names. They run in the main loop, under the machine lock.
 */
#ifndef MONITOR_MONITOR_H
#define MONITOR_MONITOR_H

#include "hw/core/machine.h"
#include "qemu-config/config.h"
#include "target-i386/cpu-caps.h"

typedef struct Monitors Monitors;

/* What monitors look at and act upon. All of it outlives them. */
typedef struct MonitorContext {
    Machine *machine;
    Config *config;
    const char *accel;      /* "tcg" */
    const X86CpuCaps *caps; /* what the accelerator can give to CPUs */
} MonitorContext;

/* Reports [mon] groups whose character device does not exist. Touches nothing on the host. */
void monitors_check(const Config *config, Diag *diag);
/* Attaches a monitor for every [mon] group. Mistakes go to @diag. */
Monitors *monitors_new(const MonitorContext *context, Diag *diag);
/* Before the character devices are freed. */
void monitors_free(Monitors *monitors);

#endif
