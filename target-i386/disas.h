/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Instructions as text, for logs: Intel's syntax, through Zydis. */
#ifndef TARGET_I386_DISAS_H
#define TARGET_I386_DISAS_H

#include <Zydis/Zydis.h>

#include "target-i386/cpu.h"

/* Appends the instruction at @bytes as "address: bytes  text" and a newline; returns its length. */
unsigned disas_append(GString *out, ZydisMachineMode mode, uint64_t address, const uint8_t *bytes,
                      size_t size);
/* The same for all that is in @size bytes. */
void disas_append_all(GString *out, ZydisMachineMode mode, uint64_t address, const uint8_t *bytes,
                      size_t size);
/* What @cpu decodes code as now. */
ZydisMachineMode disas_mode(const X86CPU *cpu);

#endif
