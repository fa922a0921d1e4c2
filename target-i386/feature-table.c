/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The rows of features.def as tables, and finding features by name. */
#include "target-i386/feature-table.h"

#include <string.h>

enum { REG_EAX = CPUID_EAX, REG_EBX = CPUID_EBX, REG_ECX = CPUID_ECX, REG_EDX = CPUID_EDX };

const X86FeatureWordInfo x86_feature_words[FEATURE_WORD_COUNT] = {
#define FEATURE_WORD(id, leaf, subleaf, reg)                                                       \
    [FEATURE_WORD_##id] = {false, leaf, subleaf, REG_##reg},
#define FEATURE_WORD_MSR(id, msr, half) [FEATURE_WORD_##id] = {true, msr, 0, half},
#define FEATURE(id, word, bit, name, synonyms, needs, tcg, desc)
#include "target-i386/features.def"
#undef FEATURE_WORD
#undef FEATURE_WORD_MSR
#undef FEATURE
};

#define FEATURE_WORD(id, leaf, subleaf, reg)
#define FEATURE_WORD_MSR(id, msr, half)

const X86FeatureInfo x86_features[] = {
#define FEATURE(id, word, bit, name, synonyms, needs, tcg, desc)                                   \
    {X86_FEATURE_##id, name, synonyms, needs, tcg, desc},
#include "target-i386/features.def"
#undef FEATURE
    {X86_FEATURE_NONE, NULL, NULL, NULL, TCG_NO, NULL},
};

const char *const x86_feature_names[] = {
#define FEATURE(id, word, bit, name, synonyms, needs, tcg, desc) name,
#include "target-i386/features.def"
#undef FEATURE
    NULL,
};

static bool same_name(const char *name, const char *word, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        char c = word[i] == '_' ? '-' : word[i];
        if (c != name[i]) {
            return false;
        }
    }
    return name[length] == '\0' || name[length] == ' ';
}

const char *x86_next_word(const char **text, size_t *length)
{
    const char *word = *text + strspn(*text, " \t\r\n,|");

    *length = strcspn(word, " \t\r\n,|");
    *text = word + *length;
    return *length ? word : NULL;
}

static bool has_synonym(const char *synonyms, const char *name, size_t length)
{
    size_t synonym_length;
    const char *synonym;

    while ((synonym = x86_next_word(&synonyms, &synonym_length))) {
        if (same_name(synonym, name, length)) {
            return true;
        }
    }
    return false;
}

const X86FeatureInfo *x86_feature_find(const char *name, size_t length)
{
    for (const X86FeatureInfo *info = x86_features; info->name; info++) {
        if (same_name(info->name, name, length)
            || (info->synonyms[0] && has_synonym(info->synonyms, name, length))) {
            return info;
        }
    }
    return NULL;
}

FeatureWord x86_feature_word_find(bool is_msr, uint32_t leaf, uint32_t subleaf, unsigned reg)
{
    unsigned word = 0;

    for (; word < FEATURE_WORD_COUNT; word++) {
        const X86FeatureWordInfo *info = &x86_feature_words[word];
        if (info->is_msr == is_msr && info->leaf == leaf && info->subleaf == subleaf
            && info->reg == reg) {
            break;
        }
    }
    return word;
}

bool x86_feature_word_is_hyperv(FeatureWord word)
{
    const X86FeatureWordInfo *info = &x86_feature_words[word];

    return !info->is_msr && (info->leaf == 0x40000003 || info->leaf == 0x40000004);
}

uint32_t x86_feature_word_known(FeatureWord word)
{
    uint32_t known = 0;

    for (const X86FeatureInfo *info = x86_features; info->name; info++) {
        if ((FeatureWord)(info->feature >> 5) == word) {
            known |= 1u << (info->feature & 31);
        }
    }
    return known;
}

const X86FeatureInfo *x86_feature_missing_need(const X86FeatureInfo *info, const uint32_t *words)
{
    const char *needs = info->needs;
    const char *need;
    size_t length;

    while ((need = x86_next_word(&needs, &length))) {
        const X86FeatureInfo *needed = x86_feature_find(need, length);
        if (needed && !x86_words_have(words, needed->feature)) {
            return needed;
        }
    }
    return NULL;
}

void x86_features_drop_unmet(uint32_t *words)
{
    bool changed = true;

    while (changed) {
        changed = false;
        for (const X86FeatureInfo *info = x86_features; info->name; info++) {
            if (info->needs[0] && x86_words_have(words, info->feature)
                && x86_feature_missing_need(info, words)) {
                x86_words_set(words, info->feature, false);
                changed = true;
            }
        }
    }
}
