/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Set computations on CPU models: comparison, baseline, expansion, what cannot be had. */
#include "target-i386/cpu-compare.h"

#include <inttypes.h>
#include <string.h>

#include "target-i386/cpu-model-internal.h"
#include "target-i386/feature-table.h"

/* Features that say how a CPU is used, not what it can do. */
static const X86Feature circumstances[] = {
    X86_FEATURE_HYPERVISOR, X86_FEATURE_HT,    X86_FEATURE_CMP_LEGACY,
    X86_FEATURE_OSXSAVE,    X86_FEATURE_OSPKE,
};

static void copy_abilities(uint32_t *to, const X86CpuModel *model)
{
    memcpy(to, model->features, sizeof(model->features));
    for (unsigned i = 0; i < G_N_ELEMENTS(circumstances); i++) {
        x86_words_set(to, circumstances[i], false);
    }
}

/* Numbers of a model, as keys of [cpu]. */
static const struct {
    const char *name;
    size_t offset;
    bool ability; /* a larger one can do all that a smaller can */
} numbers[] = {
    {"family", offsetof(X86CpuModel, family), false},
    {"model", offsetof(X86CpuModel, model), false},
    {"stepping", offsetof(X86CpuModel, stepping), false},
    {"level", offsetof(X86CpuModel, level), true},
    {"level-func7", offsetof(X86CpuModel, level_func7), true},
    {"xlevel", offsetof(X86CpuModel, xlevel), true},
    {"phys-bits", offsetof(X86CpuModel, phys_bits), true},
    {"virt-bits", offsetof(X86CpuModel, virt_bits), true},
};

static uint64_t number_of(const X86CpuModel *model, unsigned index)
{
    return *(const uint64_t *)((const char *)model + numbers[index].offset);
}

/* --- comparison ------------------------------------------------------------------- */

/* Names of what @a has and @b lacks. */
static void add_more(GPtrArray *more, const X86CpuModel *a, const X86CpuModel *b)
{
    uint32_t of_a[FEATURE_WORD_COUNT], of_b[FEATURE_WORD_COUNT];

    copy_abilities(of_a, a);
    copy_abilities(of_b, b);
    for (unsigned i = 0; i < G_N_ELEMENTS(numbers); i++) {
        if (numbers[i].ability && number_of(a, i) > number_of(b, i)) {
            g_ptr_array_add(more, (char *)numbers[i].name);
        }
    }
    for (const X86FeatureInfo *info = x86_features; info->name; info++) {
        if (x86_words_have(of_a, info->feature) && !x86_words_have(of_b, info->feature)) {
            g_ptr_array_add(more, (char *)info->name);
        }
    }
}

/* Names of what differs without being more or less. */
static void add_other(GPtrArray *other, const X86CpuModel *a, const X86CpuModel *b)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(numbers); i++) {
        if (!numbers[i].ability && number_of(a, i) != number_of(b, i)) {
            g_ptr_array_add(other, (char *)numbers[i].name);
        }
    }
    if (strcmp(a->vendor, b->vendor)) {
        g_ptr_array_add(other, (char *)"vendor");
    }
    if (strcmp(a->model_id, b->model_id)) {
        g_ptr_array_add(other, (char *)"model-id");
    }
}

static void add_copies(GPtrArray *to, const GPtrArray *names)
{
    for (unsigned i = 0; to && i < names->len; i++) {
        g_ptr_array_add(to, g_strdup(names->pdata[i]));
    }
}

X86CpuRelation x86_cpu_compare(const X86CpuModel *a, const X86CpuModel *b, GPtrArray *responsible)
{
    g_autoptr(GPtrArray) more = g_ptr_array_new();
    g_autoptr(GPtrArray) less = g_ptr_array_new();
    g_autoptr(GPtrArray) other = g_ptr_array_new();

    add_more(more, a, b);
    add_more(less, b, a);
    add_other(other, a, b);
    add_copies(responsible, other);
    add_copies(responsible, more);
    add_copies(responsible, less);
    if (more->len && less->len) {
        return X86_CPU_INCOMPATIBLE;
    }
    if (less->len) {
        return X86_CPU_SUBSET;
    }
    return more->len || other->len ? X86_CPU_SUPERSET : X86_CPU_IDENTICAL;
}

const char *x86_cpu_relation_name(X86CpuRelation relation)
{
    static const char *const names[] = {
        [X86_CPU_IDENTICAL] = "identical", [X86_CPU_SUPERSET] = "superset",
        [X86_CPU_SUBSET] = "subset", [X86_CPU_INCOMPATIBLE] = "incompatible"};

    return names[relation];
}

/* --- baseline ----------------------------------------------------------------------- */

static bool is_older(const X86CpuModel *a, const X86CpuModel *b)
{
    return a->family != b->family ? a->family < b->family
           : a->model != b->model ? a->model < b->model
                                  : a->stepping < b->stepping;
}

/* The signature of kvm64 (cpu-models-x86.conf), which every 64-bit system takes for a CPU. */
static void make_nameless(X86CpuModel *model)
{
    strcpy(model->vendor, "GenuineIntel");
    memset(model->model_id, 0, sizeof(model->model_id));
    strcpy(model->model_id, "Common x86 processor");
    model->family = 15;
    model->model = 6;
    model->stepping = 1;
}

static void take_identity(X86CpuModel *baseline, const X86CpuModel *const *models, unsigned count)
{
    const X86CpuModel *oldest = models[0];

    for (unsigned i = 1; i < count; i++) {
        if (strcmp(models[i]->vendor, oldest->vendor)) {
            make_nameless(baseline);
            return;
        }
        if (is_older(models[i], oldest)) {
            oldest = models[i];
        }
    }
    memcpy(baseline->vendor, oldest->vendor, sizeof(baseline->vendor));
    memcpy(baseline->model_id, oldest->model_id, sizeof(baseline->model_id));
    memcpy(baseline->caches, oldest->caches, sizeof(baseline->caches));
    baseline->family = oldest->family;
    baseline->model = oldest->model;
    baseline->stepping = oldest->stepping;
}

static void reduce(X86CpuModel *baseline, const X86CpuModel *model)
{
    for (unsigned i = 0; i < FEATURE_WORD_COUNT; i++) {
        baseline->features[i] &= model->features[i];
    }
    for (unsigned i = 0; i < G_N_ELEMENTS(numbers); i++) {
        uint64_t *field = (uint64_t *)((char *)baseline + numbers[i].offset);
        if (numbers[i].ability) {
            *field = MIN(*field, number_of(model, i));
        }
    }
}

X86CpuModel *x86_cpu_baseline(const X86CpuModel *const *models, unsigned count)
{
    X86CpuModel *baseline = x86_cpu_model_new("baseline");

    copy_abilities(baseline->features, models[0]);
    for (unsigned i = 0; i < G_N_ELEMENTS(numbers); i++) {
        *(uint64_t *)((char *)baseline + numbers[i].offset) = number_of(models[0], i);
    }
    for (unsigned i = 1; i < count; i++) {
        reduce(baseline, models[i]);
    }
    take_identity(baseline, models, count);
    x86_cpu_model_settle(baseline);
    return baseline;
}

/* --- as a configuration file --------------------------------------------------------------- */

/* A list of words as strings that go on from line to line, within 100 columns. */
static void print_list(GString *text, const char *key, const uint32_t *features)
{
    unsigned indent = strlen(key) + 5, column = 100;
    bool first = true;

    g_string_append_printf(text, "  %s = \"", key);
    for (const X86FeatureInfo *info = x86_features; info->name; info++) {
        if (!x86_words_have(features, info->feature)) {
            continue;
        }
        if (first) {
            column = indent + 1;
        } else if (column + strlen(info->name) > 96) {
            g_string_append_printf(text, " \"\n%*s\"", indent, "");
            column = indent + 1;
        } else {
            g_string_append_c(text, ' ');
            column++;
        }
        g_string_append(text, info->name);
        column += strlen(info->name);
        first = false;
    }
    g_string_append(text, "\"\n");
}

static void print_size(GString *text, const char *name, uint64_t size)
{
    static const struct {
        unsigned shift;
        const char *suffix;
    } units[] = {{20, "M"}, {10, "K"}, {0, ""}};

    for (unsigned i = 0; i < G_N_ELEMENTS(units); i++) {
        if (size && size % ((uint64_t)1 << units[i].shift) == 0) {
            g_string_append_printf(text, "  %s_size = %" PRIu64 "%s\n", name,
                                   size >> units[i].shift, units[i].suffix);
            return;
        }
    }
    g_string_append_printf(text, "  %s_size = 0\n", name);
}

static void print_caches(GString *text, const X86CpuModel *model)
{
    static const char *const names[CACHE_COUNT] = {"l1d", "l1i", "l2", "l3"};

    for (unsigned i = 0; i < CACHE_COUNT; i++) {
        const X86Cache *cache = &model->caches[i];
        print_size(text, names[i], cache->size);
        if (cache->size) {
            g_string_append_printf(text, "  %s_ways = %" PRIu64 "\n", names[i], cache->ways);
        }
    }
}

char *x86_cpu_cpudef_text(const X86CpuModel *model, const char *name)
{
    GString *text = g_string_new(NULL);
    uint32_t features[FEATURE_WORD_COUNT];
    g_autofree char *model_id = g_strescape(model->model_id, NULL);

    copy_abilities(features, model);
    g_string_append_printf(text, "[cpudef \"%s\"]\n  vendor = \"%s\"\n", name, model->vendor);
    for (unsigned i = 0; i < G_N_ELEMENTS(numbers); i++) {
        bool hex = !strcmp(numbers[i].name, "xlevel");
        g_string_append_printf(text, hex ? "  %s = 0x%" PRIx64 "\n" : "  %s = %" PRIu64 "\n",
                               numbers[i].name, number_of(model, i));
    }
    g_string_append_printf(text, "  model_id = \"%s\"\n", model_id);
    print_caches(text, model);
    print_list(text, "features", features);
    return g_string_free(text, FALSE);
}

/* --- what cannot be had ---------------------------------------------------------------------- */

GPtrArray *x86_cpu_unavailable(const X86CpuModel *model, const X86CpuCaps *caps)
{
    GPtrArray *names = g_ptr_array_new();

    for (const X86FeatureInfo *info = x86_features; info->name; info++) {
        if (x86_words_have(model->features, info->feature)
            && !x86_words_have(caps->supported, info->feature)) {
            g_ptr_array_add(names, (char *)info->name);
        }
    }
    return names;
}

/* --- expansion -------------------------------------------------------------------------------- */

static void add_bool(X86CpuPropertyFn add, void *opaque, const char *name, bool on)
{
    add(opaque, &(X86CpuProperty){.name = name, .type = X86_CPU_BOOL, .on = on});
}

static void add_text(X86CpuPropertyFn add, void *opaque, const char *name, const char *text)
{
    add(opaque, &(X86CpuProperty){.name = name, .type = X86_CPU_STRING, .text = text});
}

static void add_number(X86CpuPropertyFn add, void *opaque, const char *name, uint64_t number)
{
    add(opaque, &(X86CpuProperty){.name = name, .type = X86_CPU_UINT, .number = number});
}

/* @name (@length bytes) and, where it has a '-', the same with '_', unless it is @except. */
static void add_spellings(X86CpuPropertyFn add, void *opaque, const char *name, size_t length,
                          const char *except, bool on)
{
    g_autofree char *copy = g_strndup(name, length);

    if (strcmp(copy, except)) {
        add_bool(add, opaque, copy, on);
    }
    if (strchr(copy, '-')) {
        add_bool(add, opaque, g_strdelimit(copy, "-", '_'), on);
    }
}

static void expand_features(const X86CpuModel *model, bool full, X86CpuPropertyFn add,
                            void *opaque)
{
    for (const X86FeatureInfo *info = x86_features; info->name; info++) {
        bool on = x86_words_have(model->features, info->feature);
        const char *synonyms = info->synonyms;
        const char *word;
        size_t length;
        add_bool(add, opaque, info->name, on);
        if (!full) {
            continue;
        }
        add_spellings(add, opaque, info->name, strlen(info->name), info->name, on);
        while ((word = x86_next_word(&synonyms, &length))) {
            add_spellings(add, opaque, word, length, info->name, on);
        }
    }
}

void x86_cpu_expand(const X86CpuModel *model, bool full, X86CpuPropertyFn add, void *opaque)
{
    add_text(add, opaque, "vendor", model->vendor);
    add_text(add, opaque, "model-id", model->model_id);
    for (unsigned i = 0; i < G_N_ELEMENTS(numbers); i++) {
        if (full || !numbers[i].ability) {
            add_number(add, opaque, numbers[i].name, number_of(model, i));
        }
    }
    add_number(add, opaque, "min-level", model->level);
    add_number(add, opaque, "min-xlevel", model->xlevel);
    expand_features(model, full, add, opaque);
}
