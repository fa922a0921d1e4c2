/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The option -icount, and what it makes of a machine and its CPUs. */
#ifndef ACCEL_TCG_ICOUNT_OPTIONS_H
#define ACCEL_TCG_ICOUNT_OPTIONS_H

#include "accel/icount.h"
#include "qemu-config/config.h"
#include "target-i386/cpu.h"

/* NULL without -icount. */
Icount *tcg_icount_new(const Config *config);
void tcg_icount_free(Icount *icount);
/* Makes @cpu one that is counted, unless @icount is NULL. */
void tcg_icount_join(Icount *icount, X86CPU *cpu);

#endif
