/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the files of the model code (cpu-model*.c) share among themselves. */
#ifndef TARGET_I386_CPU_MODEL_INTERNAL_H
#define TARGET_I386_CPU_MODEL_INTERNAL_H

#include "target-i386/cpu-model.h"

/* A model of which nothing is said yet. */
X86CpuModel *x86_cpu_model_new(const char *name);
/* Makes a model whole: what features need and follow from, leaves, widths and caches by default. */
void x86_cpu_model_settle(X86CpuModel *model);
/* Adds what the accelerator gives every CPU, whatever its model. */
void x86_cpu_model_add_defaults(X86CpuModel *model, const X86CpuCaps *caps);
/*
 * Applies every key of @group but base_cpudef to @model: scalars, then features, add_features,
 * remove_features, then single features and bit templates. Features that the group turns on are
 * also set in @asked (FEATURE_WORD_COUNT words) unless that is NULL. False after diagnostics.
 */
bool x86_model_apply_keys(X86CpuModel *model, const ConfigGroup *group, uint32_t *asked,
                          Diag *diag);
/* Applies level and xlevel of @group exactly; for [cpu], after what features need was added. */
void x86_model_apply_levels(X86CpuModel *model, const ConfigGroup *group);
/* Adds a patch; bits that are features go to the feature words instead. */
void x86_model_patch(X86CpuModel *model, const X86ModelPatch *patch);

typedef struct X86BuiltinModel {
    const char *name;
    const char *desc; /* one line for -cpu help */
    void (*load)(X86CpuModel *model, const X86CpuCaps *caps);
    bool from_host;   /* depends on the host: migratable has a meaning */
} X86BuiltinModel;

/* host, max, base; ends with name == NULL. */
extern const X86BuiltinModel x86_builtin_models[];
const X86BuiltinModel *x86_builtin_model_find(const char *name);

/*
 * The [cpudef] called @name, by id or alias, or NULL. When @user itself answers to the name, what
 * it shadows is meant: a model may build on the shipped one of the same name.
 */
const ConfigGroup *x86_model_find_group(const Config *config, const char *name,
                                        const ConfigGroup *user);
void x86_model_report_missing(const Config *config, const char *name, const Origin *origin,
                              Diag *diag);

#endif
