/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The part of KVM's interface to guests that our own CPU offers: a clock, and hypercalls. */
#ifndef TARGET_I386_INTERP_PARAVIRT_H
#define TARGET_I386_INTERP_PARAVIRT_H

#include "target-i386/cpu.h"

/* Writes of the two clock MSRs: a guest-physical address, for the system time with bit 0 as enable
 * (Linux Documentation/virt/kvm/x86/msr.rst). False: #GP. */
bool paravirt_set_wall_clock(X86CPU *cpu, uint64_t value);
bool paravirt_set_system_time(X86CPU *cpu, uint64_t value);
/* The relation of TSC to time has changed: tells the guest. */
void paravirt_tsc_moved(X86CPU *cpu);

#endif
