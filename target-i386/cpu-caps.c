/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What our own CPU implements, given the host it runs on. */
#include "target-i386/cpu-caps.h"

#include <cpuid.h>
#include <glib.h>

#include "target-i386/cpu.h"
#include "target-i386/feature-table.h"

/* XCR0 of the host says whether its kernel saves vector state (SDM 1, 14.3). */
enum { XCR0_SSE_AVX = 6, XCR0_AVX512 = 0xe6 };

/* Paravirtual features that any guest gains by. */
static const X86Feature by_default[] = {
    X86_FEATURE_KVMCLOCK_OLD, X86_FEATURE_KVMCLOCK, X86_FEATURE_KVMCLOCK_STABLE_BIT,
    X86_FEATURE_KVM_NOPIODELAY,
};

static uint32_t host_xcr0(void)
{
    uint32_t eax, edx;

    __asm__ volatile("xgetbv" : "=a"(eax), "=d"(edx) : "c"(0));
    return eax;
}

/* The host's answer for one register; 0 beyond its highest leaf of that range. */
static uint32_t host_cpuid(uint32_t leaf, uint32_t subleaf, unsigned reg)
{
    unsigned out[4];

    if ((leaf >> 16) == 0x4000) {
        return 0;
    }
    if (__get_cpuid_max(leaf & 0x80000000, NULL) < leaf) {
        return 0;
    }
    __cpuid_count(leaf, subleaf, out[0], out[1], out[2], out[3]);
    return out[reg];
}

static bool host_saves(const uint32_t *host, uint32_t components)
{
    return x86_words_have(host, X86_FEATURE_OSXSAVE)
           && (host_xcr0() & components) == components;
}

static void read_host(X86CpuCaps *caps)
{
    for (unsigned i = 0; i < FEATURE_WORD_COUNT; i++) {
        const X86FeatureWordInfo *word = &x86_feature_words[i];
        caps->host[i] = word->is_msr ? 0 : host_cpuid(word->leaf, word->subleaf, word->reg);
    }
    if (!host_saves(caps->host, XCR0_SSE_AVX)) {
        x86_words_set(caps->host, X86_FEATURE_AVX, false);
    }
    if (!host_saves(caps->host, XCR0_AVX512)) {
        x86_words_set(caps->host, X86_FEATURE_AVX512F, false);
    }
    caps->host_phys_bits = host_cpuid(0x80000008, 0, CPUID_EAX) & 0xff;
}

void x86_cpu_caps_tcg(X86CpuCaps *caps)
{
    *caps = (X86CpuCaps){.accel = "tcg"};
    /* The signature by which guests find KVM's clock (Documentation/virt/kvm/x86/cpuid.rst). */
    g_strlcpy(caps->signature, "KVMKVMKVM", sizeof(caps->signature));
    caps->tsc_hz = X86_TSC_HZ;
    read_host(caps);
    for (const X86FeatureInfo *info = x86_features; info->name; info++) {
        bool offered = info->tcg == TCG_YES
                       || (info->tcg == TCG_HOST && x86_words_have(caps->host, info->feature));
        x86_words_set(caps->supported, info->feature, offered);
    }
    x86_features_drop_unmet(caps->supported);
    for (unsigned i = 0; i < G_N_ELEMENTS(by_default); i++) {
        x86_words_set(caps->defaults, by_default[i], true);
    }
}
