/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * CPU models as sets: what one offers that another lacks, what several have in common, and what a
 * model says of itself. -cpu, its tools and QMP's query-cpu-* are answered from here.
 */
#ifndef TARGET_I386_CPU_COMPARE_H
#define TARGET_I386_CPU_COMPARE_H

#include "target-i386/cpu-model.h"

/* What one model is to another; QMP's CpuModelCompareResult. */
typedef enum {
    X86_CPU_IDENTICAL,
    X86_CPU_SUPERSET,     /* offers all that the other does */
    X86_CPU_SUBSET,
    X86_CPU_INCOMPATIBLE, /* each has what the other lacks */
} X86CpuRelation;

/*
 * What @a is to @b. Features, highest leaves and address widths are abilities; names and signatures
 * are none, but a difference in them keeps models from being identical. What decided is added to
 * @responsible (of char*, property names; may be NULL).
 */
X86CpuRelation x86_cpu_compare(const X86CpuModel *a, const X86CpuModel *b, GPtrArray *responsible);
/* "identical", "superset", "subset", "incompatible". */
const char *x86_cpu_relation_name(X86CpuRelation relation);

/*
 * The best model that every one of @models (at least one) can run: what all have. Names and
 * signature are those of the oldest, or where vendors differ, of a nameless 64-bit CPU.
 */
X86CpuModel *x86_cpu_baseline(const X86CpuModel *const *models, unsigned count);
/* A [cpudef] called @name that says what @model is; g_free(). */
char *x86_cpu_cpudef_text(const X86CpuModel *model, const char *name);

/* Names of the features of @model that @caps lacks; of const char*, as features.def orders them. */
GPtrArray *x86_cpu_unavailable(const X86CpuModel *model, const X86CpuCaps *caps);

/* A key of [cpu] with its value: as query-cpu-model-expansion tells it. */
typedef struct X86CpuProperty {
    const char *name;
    enum { X86_CPU_BOOL, X86_CPU_UINT, X86_CPU_STRING } type;
    bool on;
    uint64_t number;
    const char *text;
} X86CpuProperty;

typedef void (*X86CpuPropertyFn)(void *opaque, const X86CpuProperty *property);

/*
 * Calls @add for every property of @model. On the model "base" they make the same CPU. With @full
 * also for what follows from others, and for features in all their spellings.
 */
void x86_cpu_expand(const X86CpuModel *model, bool full, X86CpuPropertyFn add, void *opaque);

#endif
