/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Names and places of CPU features at run time: the rows of features.def as tables. */
#ifndef TARGET_I386_FEATURE_TABLE_H
#define TARGET_I386_FEATURE_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "target-i386/features.h"

enum { CPUID_EAX, CPUID_EBX, CPUID_ECX, CPUID_EDX };

/* Whether our own CPU implements a feature (features.def has the meaning of each). */
typedef enum { TCG_NO, TCG_YES, TCG_HOST } X86FeatureTcg;

typedef struct X86FeatureInfo {
    X86Feature feature;
    const char *name;     /* canonical spelling: "sse4.2" */
    const char *synonyms; /* other spellings, separated by blanks */
    const char *needs;    /* features it depends on, separated by blanks */
    X86FeatureTcg tcg;
    const char *desc;
} X86FeatureInfo;

/* Where a word of features lives: a CPUID register or half an MSR. */
typedef struct X86FeatureWordInfo {
    bool is_msr;
    uint32_t leaf;    /* or the MSR's index */
    uint32_t subleaf;
    uint8_t reg;      /* CPUID_EAX…, or 0 (31:0) or 1 (63:32) of the MSR */
} X86FeatureWordInfo;

/* By FeatureWord. */
extern const X86FeatureWordInfo x86_feature_words[FEATURE_WORD_COUNT];
/* In order of features.def; ends with name == NULL. */
extern const X86FeatureInfo x86_features[];
/* The canonical names, NULL-terminated, for diag_suggest(). */
extern const char *const x86_feature_names[];

/* The feature called @name (@length bytes; any spelling, '_' the same as '-'), or NULL. */
const X86FeatureInfo *x86_feature_find(const char *name, size_t length);
/* The word of @leaf, @subleaf and @reg, or FEATURE_WORD_COUNT. */
FeatureWord x86_feature_word_find(bool is_msr, uint32_t leaf, uint32_t subleaf, unsigned reg);
/* True if @word is one of Hyper-V's leaves, by which a guest takes the hypervisor for that. */
bool x86_feature_word_is_hyperv(FeatureWord word);
/* The bits of @word that have a row. */
uint32_t x86_feature_word_known(FeatureWord word);
/* The next word of a list separated by blanks, ',' or '|': advances *@text, NULL at the end. */
const char *x86_next_word(const char **text, size_t *length);
/* The first feature of info->needs which @words lacks, or NULL. */
const X86FeatureInfo *x86_feature_missing_need(const X86FeatureInfo *info, const uint32_t *words);
/* Clears every feature whose needs @words lacks, and what depended on it. */
void x86_features_drop_unmet(uint32_t *words);

static inline bool x86_words_have(const uint32_t *words, X86Feature feature)
{
    return (words[feature >> 5] >> (feature & 31)) & 1;
}

static inline void x86_words_set(uint32_t *words, X86Feature feature, bool on)
{
    uint32_t bit = 1u << (feature & 31);
    words[feature >> 5] = on ? words[feature >> 5] | bit : words[feature >> 5] & ~bit;
}

#endif
