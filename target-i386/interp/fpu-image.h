/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The x87 part of FXSAVE and XSAVE images, and where the XSAVE components lie. */
#ifndef TARGET_I386_INTERP_FPU_IMAGE_H
#define TARGET_I386_INTERP_FPU_IMAGE_H

#include "target-i386/cpu.h"

/*
 * Bytes 0 to 23 and 32 to 159 of the image; MXCSR is the caller's. @wide: 64-bit pointers (REX.W),
 * else 32-bit offset and selector.
 */
void fpu_image_put_x87(const X86CPU *cpu, uint8_t *image, bool wide);
void fpu_image_get_x87(X86CPU *cpu, const uint8_t *image, bool wide);

/* An extended state component in the standard format; CPUID leaf 0xD answers from this table. */
typedef struct XsaveComponent {
    uint16_t offset, size; /* bytes; size 0: not supported */
    bool align64;          /* in the compacted format */
} XsaveComponent;

#define XSAVE_COMPONENTS 10
extern const XsaveComponent xsave_components[XSAVE_COMPONENTS];
/* Bits of XCR0 that this CPU lets be set. */
uint64_t xsave_supported(const X86CPU *cpu);
/* Size of the area for components @mask (bits of XCR0). */
unsigned xsave_area_size(uint64_t mask, bool compacted);

#endif
