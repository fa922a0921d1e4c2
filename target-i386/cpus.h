/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The CPUs of a machine: which accelerator runs them, and their creation from a model. */
#ifndef TARGET_I386_CPUS_H
#define TARGET_I386_CPUS_H

#include "accel/accel.h"
#include "qemu-config/config.h"
#include "target-i386/cpu-model.h"

/*
 * The accelerator to use: the first that works of those named by -accel, by -machine accel=a:b, or
 * "tcg". NULL after diagnostics. Names that failed before the one taken are warned of. *@verdict
 * says what runs and why what was named before does not; g_free().
 */
const AccelOps *x86_accel_select(const Config *config, char **verdict, Diag *diag);

typedef struct X86CpuSet X86CpuSet;

/*
 * Creates @count CPUs of @model, run by @accel as @config wants it, on @memory and @ports and
 * appends them to @vcpus, not yet reset and without threads. The model must outlive the set. NULL
 * and @error if one cannot be had.
 */
X86CpuSet *x86_cpus_new(const X86CpuModel *model, const X86Topology *topology,
                        const AccelOps *accel, const Config *config, MemorySpace *memory,
                        PortSpace *ports, unsigned count, GPtrArray *vcpus, GError **error);
/* What the accelerator does for the machine beside running CPUs, or NULL. */
const AccelMachine *x86_cpus_machine_part(const X86CpuSet *set);
/* What each CPU did, to the log (-d stats): instructions, exceptions, interrupts, host memory. */
void x86_cpus_log_stats(X86CpuSet *set);
/* Frees the CPUs; their threads must have ended. */
void x86_cpus_free(X86CpuSet *set);

#endif
