/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Time counted in instructions (-icount): CLOCK_VM is the number of instructions that all vCPUs
 * have executed, times 2^shift nanoseconds. Timers fire at exact counts, vCPUs take turns of a
 * fixed number of instructions, and so a run depends on nothing but its inputs.
 */
#ifndef ACCEL_ICOUNT_H
#define ACCEL_ICOUNT_H

#include "accel/accel.h"

#define ICOUNT_MAX_SHIFT 10

typedef struct IcountOptions {
    unsigned shift;   /* an instruction takes 2^shift ns */
    bool automatic;   /* the shift follows the host's clock; not reproducible */
    bool align;       /* a machine that is ahead of the host's clock waits for it */
    bool sleep;       /* idle vCPUs wait for the next timer in the host's time, else not at all */
} IcountOptions;

typedef struct Icount Icount;

/* Takes over CLOCK_VM, before any timer is made. Machine lock held. */
Icount *icount_new(const IcountOptions *options);
/* Gives CLOCK_VM back. All vCPU threads have ended. */
void icount_free(Icount *icount);
/* Counts @vcpu, which has its icount_done and icount_limit; in order of vCPU indices. */
void icount_add_vcpu(Icount *icount, Vcpu *vcpu);
/* To be called before @vcpu goes; nothing if it is not counted. Its thread has ended. */
void icount_remove_vcpu(Vcpu *vcpu);

#endif
