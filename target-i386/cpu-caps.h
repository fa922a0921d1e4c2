/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What an accelerator can offer to a guest's CPU: the limit that every CPU model is cut to. */
#ifndef TARGET_I386_CPU_CAPS_H
#define TARGET_I386_CPU_CAPS_H

#include <stdint.h>

#include "target-i386/features.h"

typedef struct X86CpuCaps {
    const char *accel;                      /* "tcg": named in diagnostics */
    char signature[13];                     /* of CPUID leaf 40000000H */
    uint32_t supported[FEATURE_WORD_COUNT]; /* features that can be offered */
    uint32_t host[FEATURE_WORD_COUNT];      /* what the host's own CPUID says (no MSRs) */
    uint32_t defaults[FEATURE_WORD_COUNT];  /* added to every model: paravirtual features */
    uint8_t host_phys_bits;
    const char *no_hyperv;                  /* why it has no Hyper-V features; NULL: see above */
    uint64_t tsc_hz;                        /* the TSC's rate on every host; 0: the host's */
} X86CpuCaps;

/* The features of our own CPU here: instructions run by the host's own form need its bit. */
void x86_cpu_caps_tcg(X86CpuCaps *caps);

#endif
