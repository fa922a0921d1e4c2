/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The log that -d and -D control, and the rate-limited channel for mistakes that a guest makes. */
#ifndef UTIL_LOG_H
#define UTIL_LOG_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

typedef enum {
    LOG_GUEST_ERROR = 1u << 0, /* guest_errors: the guest programs a device wrongly */
    LOG_UNIMP = 1u << 1,       /* unimp: the guest uses something that is not modelled */
    LOG_INT = 1u << 2,         /* int: interrupts and exceptions */
    LOG_IN_ASM = 1u << 3,      /* in_asm: guest code as it is decoded */
    LOG_EXEC = 1u << 4,        /* exec: every block executed */
    LOG_CPU_RESET = 1u << 5,   /* cpu_reset */
    LOG_MMU = 1u << 6,         /* mmu */
    LOG_CPU = 1u << 7,         /* cpu: registers before each block */
    LOG_STATS = 1u << 8,       /* stats: what each CPU did, at the end */
    LOG_OP = 1u << 10,         /* op: what the translator decided for each instruction */
    LOG_OUT_ASM = 1u << 11,    /* out_asm: the code that it wrote */
    LOG_ACCEL = 1u << 9,       /* accel: which accelerator runs, and what it leaves to others */
} LogMask;

extern uint32_t log_mask_active;

static inline bool log_enabled(uint32_t mask)
{
    return G_UNLIKELY(log_mask_active & mask);
}

/* Sets the mask from a list "int,guest_errors"; false and @error for an unknown name. */
bool log_set_mask(const char *list, GError **error);
/* Writes the log to @path from now on (stderr by default). */
bool log_set_file(const char *path, GError **error);
/* The names that -d takes, one a line with its meaning, for "-d help". */
char *log_help(void);
/* Writes a line if any bit of @mask is on. */
void log_write(uint32_t mask, const char *format, ...) G_GNUC_PRINTF(2, 3);
/* LOG_GUEST_ERROR, limited to a few lines a second over all callers. */
void log_guest_error(const char *format, ...) G_GNUC_PRINTF(1, 2);

#endif
