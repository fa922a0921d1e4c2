/* SPDX-License-Identifier: GPL-2.0-or-later */
/* CPU features: one row of features.def per bit gives the enum, the name and the place. */
#ifndef TARGET_I386_FEATURES_H
#define TARGET_I386_FEATURES_H

/* Registers that hold feature bits: CPUID leaves (named LEAF[_SUBLEAF]_REGISTER), then MSRs. */
typedef enum {
#define FEATURE_WORD(id, leaf, subleaf, reg) FEATURE_WORD_##id,
#define FEATURE_WORD_MSR(id, msr, half) FEATURE_WORD_##id,
#define FEATURE(id, word, bit, name, synonyms, needs, tcg, desc)
#include "target-i386/features.def"
#undef FEATURE_WORD
#undef FEATURE_WORD_MSR
#undef FEATURE
    FEATURE_WORD_COUNT
} FeatureWord;

/* word * 32 + bit */
typedef enum {
#define FEATURE_WORD(id, leaf, subleaf, reg)
#define FEATURE_WORD_MSR(id, msr, half)
#define FEATURE(id, word, bit, name, synonyms, needs, tcg, desc)                                   \
    X86_FEATURE_##id = FEATURE_WORD_##word * 32 + (bit),
#include "target-i386/features.def"
#undef FEATURE_WORD
#undef FEATURE_WORD_MSR
#undef FEATURE
    X86_FEATURE_NONE = -1
} X86Feature;

#endif
