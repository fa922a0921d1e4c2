/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * CPU models: [cpudef] groups of config files, each a difference to another one, resolved into one
 * flat description, changed by the user's [cpu] group and cut to what the accelerator can offer.
 */
#ifndef TARGET_I386_CPU_MODEL_H
#define TARGET_I386_CPU_MODEL_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "qemu-config/config.h"
#include "target-i386/cpu-caps.h"
#include "target-i386/features.h"
#include "target-i386/topology.h"

typedef struct X86CPU X86CPU;

/* While a model is being resolved: no size was given yet, the vendor's default will do. */
#define X86_CACHE_UNSET UINT64_MAX

/* A cache as CPUID tells it: size 0 is no cache. Lines are 64 bytes. */
typedef struct X86Cache {
    uint64_t size;
    uint64_t ways;
} X86Cache;

typedef enum { CACHE_L1D, CACHE_L1I, CACHE_L2, CACHE_L3, CACHE_COUNT } X86CacheKind;

/* Bits of a CPUID register or of an MSR that a template sets: (old & ~mask) | value. */
typedef struct X86ModelPatch {
    bool is_msr;
    uint32_t leaf; /* or the MSR's index */
    uint32_t subleaf;
    uint8_t reg;
    uint64_t mask, value;
} X86ModelPatch;

typedef struct X86CpuModel {
    char *name;                 /* as the user said it: "Nehalem" */
    char vendor[13];
    uint64_t family, model, stepping;
    uint64_t level;             /* highest basic CPUID leaf */
    uint64_t level_func7;       /* highest subleaf of leaf 7 */
    uint64_t xlevel;            /* highest extended leaf, 0 for none */
    char model_id[49];
    uint64_t phys_bits, virt_bits;
    X86Cache caches[CACHE_COUNT];
    uint32_t features[FEATURE_WORD_COUNT];
    GArray *patches;            /* of X86ModelPatch */
    char signature[13];         /* of the hypervisor leaves, "" for none */
    char *fallback;             /* names of models to use instead, a list, or NULL */
    char hv_vendor[13];         /* of the Hyper-V leaves, "" for Microsoft's */
    uint64_t hv_spinlocks;      /* tries before a guest tells of a busy lock; 0 is never */
    uint64_t tsc_hz;            /* of the time stamp counter; 0: the accelerator's choice */
} X86CpuModel;

/*
 * Checks every [cpudef] of the user and the [cpu] group, and returns the model that [cpu] asks for,
 * or @default_name where it names none, cut to @caps. NULL after diagnostics. Features that @caps
 * lacks are one warning (when the user chose the model or its features), or with enforce an error;
 * where the model names fallbacks, the first of them that @caps can offer whole takes its place.
 */
X86CpuModel *x86_cpu_model_resolve(const Config *config, const char *default_name,
                                   const X86CpuCaps *caps, Diag *diag);
/* The model @name as defined: before [cpu] and before @caps limits it. NULL after diagnostics. */
X86CpuModel *x86_cpu_model_find(const Config *config, const char *name, const X86CpuCaps *caps,
                                Diag *diag);
/* The same, changed by the keys of @changes, a group of the kind [cpu] (of any Config), or NULL. */
X86CpuModel *x86_cpu_model_build(const Config *config, const char *name,
                                 const ConfigGroup *changes, const X86CpuCaps *caps, Diag *diag);
void x86_cpu_model_free(X86CpuModel *model);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(X86CpuModel, x86_cpu_model_free)

/* Names of all models and aliases, sorted; of char*, NULL-terminated, owned by the array. */
GPtrArray *x86_cpu_model_names(const Config *config);
/* The name that @name is an alias of, or NULL. */
const char *x86_cpu_model_alias_of(const Config *config, const char *name);
/* The value that the model gives to feature MSR @index; false if it says nothing about it. */
bool x86_cpu_model_msr(const X86CpuModel *model, uint32_t index, uint64_t *value);
/* @value, which MSR @index would read as, with the bits that templates of the model set. */
uint64_t x86_cpu_model_patch_msr(const X86CpuModel *model, uint32_t index, uint64_t value);
/*
 * Makes @cpu one of @model: features, address widths, APIC id (from vcpu.index), CPUID table and
 * MSR feature values. @model must outlive @cpu. False if the topology has no such CPU.
 */
bool x86_cpu_model_apply(const X86CpuModel *model, X86CPU *cpu, const X86Topology *topology,
                         GError **error);
/* Text of -cpu help: a line a model, then the feature names; g_free(). */
char *x86_cpu_models_help(const Config *config, const char *topic);

#endif
