/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The CPU models that no file can describe, since what they offer depends on the host. */
#include <cpuid.h>
#include <string.h>

#include "target-i386/cpu-model-internal.h"
#include "target-i386/feature-table.h"

enum { CPUID_TSC_LEAF = 0x15 };

static void load_base(X86CpuModel *model, const X86CpuCaps *caps)
{
    strcpy(model->vendor, "GenuineIntel");
    memset(model->features, 0, sizeof(model->features));
}

/*
 * Where the TSC of another host ticks at another rate, invtsc is a promise that a move would break;
 * where every host has the same, the guest is told both.
 */
static void load_features(X86CpuModel *model, const uint32_t *features, const X86CpuCaps *caps)
{
    memcpy(model->features, features, sizeof(model->features));
    if (caps->tsc_hz) {
        model->tsc_hz = caps->tsc_hz;
        model->level = CPUID_TSC_LEAF;
    } else {
        x86_words_set(model->features, X86_FEATURE_INVTSC, false);
    }
    for (unsigned i = 0; i < FEATURE_WORD_COUNT; i++) {
        if (x86_feature_word_is_hyperv(i)) {
            model->features[i] = 0;
        }
    }
}

/*
 * What a guest need not guard against, or can at no cost: true of the accelerator, whatever the
 * host's own CPUID says of it.
 */
static void add_immunities(uint32_t *features, const uint32_t *supported)
{
    static const X86Feature immunities[] = {
        X86_FEATURE_AUTO_IBRS, X86_FEATURE_AMD_NO_SSB, X86_FEATURE_BHI_CTRL, X86_FEATURE_MCDT_NO,
        X86_FEATURE_BTC_NO, X86_FEATURE_SRSO_NO, X86_FEATURE_SRSO_USER_KERNEL_NO,
        X86_FEATURE_TSA_SQ_NO, X86_FEATURE_TSA_L1_NO,
    };

    for (unsigned i = 0; i < G_N_ELEMENTS(immunities); i++) {
        if (x86_words_have(supported, immunities[i])) {
            x86_words_set(features, immunities[i], true);
        }
    }
}

static void load_max(X86CpuModel *model, const X86CpuCaps *caps)
{
    strcpy(model->vendor, "AuthenticAMD");
    strcpy(model->model_id, "Tessera virtual CPU");
    model->family = 15;
    model->model = 107;
    model->stepping = 1;
    model->level = 0xd;
    model->xlevel = 0x80000008;
    load_features(model, caps->supported, caps);
}

static void load_host(X86CpuModel *model, const X86CpuCaps *caps)
{
    uint32_t features[FEATURE_WORD_COUNT];
    uint32_t out[4];

    __cpuid(0, out[0], out[1], out[2], out[3]);
    memcpy(model->vendor, &out[1], 4);
    memcpy(model->vendor + 4, &out[3], 4);
    memcpy(model->vendor + 8, &out[2], 4);
    __cpuid(1, out[0], out[1], out[2], out[3]);
    model->stepping = out[0] & 0xf;
    model->model = (out[0] >> 4 & 0xf) | (out[0] >> 12 & 0xf0);
    model->family = (out[0] >> 8 & 0xf) + (out[0] >> 20 & 0xff);
    for (unsigned i = 0; i < 3; i++) {
        __cpuid(0x80000002 + i, out[0], out[1], out[2], out[3]);
        memcpy(model->model_id + 16 * i, out, 16);
    }
    model->level = 0xd;
    model->xlevel = 0x80000008;
    model->phys_bits = caps->host_phys_bits;
    for (unsigned i = 0; i < FEATURE_WORD_COUNT; i++) {
        features[i] = caps->supported[i] & (x86_feature_words[i].is_msr ? ~0u : caps->host[i]);
    }
    x86_words_set(features, X86_FEATURE_HYPERVISOR, true);
    add_immunities(features, caps->supported);
    x86_features_drop_unmet(features);
    load_features(model, features, caps);
}

const X86BuiltinModel x86_builtin_models[] = {
    {"base", "nothing: add features one by one", load_base, false},
    {"host", "this host's CPU, as far as the accelerator can offer it", load_host, true},
    {"max", "every feature that the accelerator can offer", load_max, true},
    {NULL, NULL, NULL, false},
};

const X86BuiltinModel *x86_builtin_model_find(const char *name)
{
    for (const X86BuiltinModel *builtin = x86_builtin_models; builtin->name; builtin++) {
        if (!strcmp(builtin->name, name)) {
            return builtin;
        }
    }
    return NULL;
}
