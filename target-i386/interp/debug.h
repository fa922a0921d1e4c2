/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the run loop and the MMU tell the debug registers. While cpu->debug_active, the run loop
 * runs one instruction at a time between cpu_debug_before() and cpu_debug_after().
 */
#ifndef TARGET_I386_INTERP_DEBUG_H
#define TARGET_I386_INTERP_DEBUG_H

#include "target-i386/interp/system.h"

/* Raises #DB if an instruction breakpoint is at RIP; notes TF. Before the instruction is fetched.
 */
void cpu_debug_before(X86CPU *cpu);
/* Raises #DB for what the instruction hit, or for TF. After it, with RIP advanced. */
void cpu_debug_after(X86CPU *cpu);
/* True if a data breakpoint lies in the page of @va: accesses there must take the slow path. */
bool cpu_debug_page_watched(const X86CPU *cpu, uint64_t va);
/* Notes data breakpoints that @size bytes at @va hit; for slow paths, after the access succeeded.
 */
void cpu_debug_access(X86CPU *cpu, uint64_t va, unsigned size, bool write);
/* The same for I/O breakpoints. */
void cpu_debug_io(X86CPU *cpu, uint16_t port, unsigned size);

#endif
