/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What each key of a [cpudef] or [cpu] group does to a model. The schema is in options.c. */
#include "target-i386/cpu-model-internal.h"

#include <string.h>

#include "qemu-config/schema.h"
#include "target-i386/feature-table.h"

static const struct {
    const char *key;
    size_t offset;
} scalars[] = {
    {"family", offsetof(X86CpuModel, family)},
    {"model", offsetof(X86CpuModel, model)},
    {"stepping", offsetof(X86CpuModel, stepping)},
    {"level", offsetof(X86CpuModel, level)},
    {"level-func7", offsetof(X86CpuModel, level_func7)},
    {"xlevel", offsetof(X86CpuModel, xlevel)},
    {"hv-spinlocks", offsetof(X86CpuModel, hv_spinlocks)},
    {"phys_bits", offsetof(X86CpuModel, phys_bits)},
    {"virt_bits", offsetof(X86CpuModel, virt_bits)},
    {"l1d_ways", offsetof(X86CpuModel, caches[CACHE_L1D].ways)},
    {"l1i_ways", offsetof(X86CpuModel, caches[CACHE_L1I].ways)},
    {"l2_ways", offsetof(X86CpuModel, caches[CACHE_L2].ways)},
    {"l3_ways", offsetof(X86CpuModel, caches[CACHE_L3].ways)},
};

static const char *const cache_sizes[CACHE_COUNT] = {"l1d_size", "l1i_size", "l2_size", "l3_size"};

static bool apply_numbers(X86CpuModel *model, const ConfigGroup *group, Diag *diag)
{
    uint64_t min_level = 0, min_xlevel = 0;
    bool good = true;

    for (unsigned i = 0; i < G_N_ELEMENTS(scalars); i++) {
        uint64_t *field = (uint64_t *)((char *)model + scalars[i].offset);
        good &= group_get_uint(group, scalars[i].key, field, diag);
    }
    for (unsigned i = 0; i < CACHE_COUNT; i++) {
        good &= group_get_size(group, cache_sizes[i], &model->caches[i].size, diag);
    }
    good &= group_get_uint(group, "min-level", &min_level, diag);
    good &= group_get_uint(group, "min-xlevel", &min_xlevel, diag);
    model->level = MAX(model->level, min_level);
    model->xlevel = MAX(model->xlevel, min_xlevel);
    return good;
}

/* A cache is a whole number of sets of 64-byte lines, and CPUID's fields bound it. */
static bool check_caches(const X86CpuModel *model, const ConfigGroup *group, Diag *diag)
{
    bool good = true;

    for (unsigned i = 0; i < CACHE_COUNT; i++) {
        const X86Cache *cache = &model->caches[i];
        bool whole = cache->size % (64 * MAX(cache->ways, 1)) == 0;
        if (cache->size != X86_CACHE_UNSET && (!whole || cache->size > (uint64_t)1 << 32)) {
            diag_error(diag, group_origin(group, cache_sizes[i]),
                       "%s must be a multiple of 64 bytes times its %" G_GUINT64_FORMAT
                       " ways, and at most 4G", cache_sizes[i], MAX(cache->ways, 1));
            good = false;
        }
    }
    return good;
}

/* One of the two vendors: 12 characters. */
static bool apply_vendor(char *field, const ConfigGroup *group, const char *key, Diag *diag)
{
    const char *vendor = group_get(group, key);

    if (vendor && strlen(vendor) != 12) {
        diag_error(diag, group_origin(group, key),
                   "a vendor has 12 characters (\"GenuineIntel\"), not %zu", strlen(vendor));
        return false;
    }
    if (vendor) {
        g_strlcpy(field, vendor, 13);
    }
    return true;
}

static bool apply_texts(X86CpuModel *model, const ConfigGroup *group, Diag *diag)
{
    const char *model_id = group_get(group, "model_id");
    bool good = apply_vendor(model->vendor, group, "vendor", diag);

    good &= apply_vendor(model->hv_vendor, group, "hv-vendor-id", diag);
    if (model_id && strlen(model_id) >= sizeof(model->model_id)) {
        diag_error(diag, group_origin(group, "model_id"),
                   "model_id has at most %zu characters, not %zu", sizeof(model->model_id) - 1,
                   strlen(model_id));
        good = false;
    } else if (model_id) {
        memset(model->model_id, 0, sizeof(model->model_id));
        strcpy(model->model_id, model_id);
    }
    return good;
}

/* "2400000000" or "2.4G": hertz count by thousands. */
static bool parse_hertz(const char *text, uint64_t *out)
{
    static const char suffixes[] = "kMG";
    char *end;
    double value = g_ascii_strtod(text, &end);
    const char *suffix = *end ? strchr("kKMG", *end) : NULL;

    if (end == text || (*end && (!suffix || end[1]))) {
        return false;
    }
    for (const char *p = suffixes; suffix && *p; p++) {
        value *= 1000;
        if (*p == (*suffix == 'K' ? 'k' : *suffix)) {
            break;
        }
    }
    if (!(value >= 1e6 && value <= 1e12)) { /* NaN as well */
        return false;
    }
    *out = value;
    return true;
}

static bool apply_clock(X86CpuModel *model, const ConfigGroup *group, Diag *diag)
{
    const char *hertz = group_get(group, "tsc-frequency");

    if (hertz && !parse_hertz(hertz, &model->tsc_hz)) {
        diag_error(diag, group_origin(group, "tsc-frequency"),
                   "a TSC frequency is from 1M to 1000G (hertz), not '%s'", hertz);
        return false;
    }
    return true;
}

/* Intel's CPUs show their revision in the upper half of IA32_BIOS_SIGN_ID (SDM 3A 9.11.7). */
static bool apply_microcode(X86CpuModel *model, const ConfigGroup *group, Diag *diag)
{
    X86ModelPatch patch = {.is_msr = true, .leaf = 0x8b, .mask = UINT64_MAX};

    if (!group_get(group, "ucode-rev")) {
        return true;
    }
    if (!group_get_uint(group, "ucode-rev", &patch.value, diag)) {
        return false;
    }
    x86_model_patch(model, &patch);
    return true;
}

static void apply_fallback(X86CpuModel *model, const ConfigGroup *group)
{
    const char *fallback = group_get(group, "fallback");

    if (fallback) {
        g_free(model->fallback);
        model->fallback = g_strdup(fallback);
    }
}

static const X86FeatureInfo *find_feature(const ConfigValue *value, const char *word,
                                          size_t length, Diag *diag)
{
    const X86FeatureInfo *info = x86_feature_find(word, length);

    if (!info) {
        g_autofree char *name = g_strndup(word, length);
        diag_error_at(diag, value->origin, word - value->value, length,
                      "unknown CPU feature '%s'", name);
        diag_suggest(diag, name, x86_feature_names);
    }
    return info;
}

/* Turns the features of list @key on or off. */
static bool apply_list(X86CpuModel *model, const ConfigGroup *group, const char *key, bool on,
                       uint32_t *asked, Diag *diag)
{
    const ConfigValue *value = group_value(group, key);
    const char *text = value ? value->value : "";
    const char *word;
    size_t length;
    bool good = true;

    while ((word = x86_next_word(&text, &length))) {
        const X86FeatureInfo *info = find_feature(value, word, length, diag);
        if (!info) {
            good = false;
            continue;
        }
        x86_words_set(model->features, info->feature, on);
        if (asked) {
            x86_words_set(asked, info->feature, on);
        }
    }
    return good;
}

/* "features" says all of them; that it runs in a virtual machine no model has to say. */
static bool apply_features(X86CpuModel *model, const ConfigGroup *group, Diag *diag)
{
    bool hypervisor = x86_words_have(model->features, X86_FEATURE_HYPERVISOR);

    if (!group_value(group, "features")) {
        return true;
    }
    memset(model->features, 0, sizeof(model->features));
    x86_words_set(model->features, X86_FEATURE_HYPERVISOR, hypervisor);
    return apply_list(model, group, "features", true, NULL, diag);
}

/*
 * The form of old configuration files: one list a register. AMD's extended EDX repeats names of the
 * basic one (APM 3 E.4.2), so names may stand in any list; a list replaces its own register.
 */
static bool apply_old_lists(X86CpuModel *model, const ConfigGroup *group, Diag *diag)
{
    static const struct {
        const char *key;
        FeatureWord word;
    } lists[] = {
        {"feature_edx", FEATURE_WORD_1_EDX},
        {"feature_ecx", FEATURE_WORD_1_ECX},
        {"extfeature_edx", FEATURE_WORD_80000001_EDX},
        {"extfeature_ecx", FEATURE_WORD_80000001_ECX},
    };
    uint32_t hypervisor = model->features[FEATURE_WORD_1_ECX]
                          & (1u << (X86_FEATURE_HYPERVISOR & 31));
    bool good = true;

    for (unsigned i = 0; i < G_N_ELEMENTS(lists); i++) {
        if (group_value(group, lists[i].key)) {
            model->features[lists[i].word] = 0;
        }
    }
    model->features[FEATURE_WORD_1_ECX] |= hypervisor;
    for (unsigned i = 0; i < G_N_ELEMENTS(lists); i++) {
        good &= apply_list(model, group, lists[i].key, true, NULL, diag);
    }
    return good;
}

/*
 * "0x1f" gives the whole register; "10x…", most significant bit first, gives single bits and leaves
 * those alone that have an x or are missing on the left. '_' may group digits.
 */
static bool parse_bits(const char *text, unsigned width, uint64_t *mask, uint64_t *value)
{
    unsigned count = 0;

    *mask = *value = 0;
    if (g_str_has_prefix(text, "0x")) {
        *mask = width == 64 ? UINT64_MAX : UINT32_MAX;
        return g_ascii_string_to_unsigned(text + 2, 16, 0, *mask, value, NULL);
    }
    for (; *text; text++) {
        if (*text == '_') {
            continue;
        }
        if (!strchr("01xX", *text)) {
            return false;
        }
        *mask = *mask << 1 | (*text == '0' || *text == '1');
        *value = *value << 1 | (*text == '1');
        count++;
    }
    return count > 0 && count <= width;
}

static bool parse_hex(const char *text, size_t length, uint32_t *out)
{
    g_autofree char *digits = g_strndup(text, length);
    const char *start = g_str_has_prefix(digits, "0x") ? digits + 2 : digits;
    guint64 number;

    if (!g_ascii_string_to_unsigned(start, 16, 0, UINT32_MAX, &number, NULL)) {
        return false;
    }
    *out = number;
    return true;
}

/* cpuid_<leaf>[_<subleaf>]_<register> or msr_<index>; numbers are hexadecimal. */
static bool parse_place(const char *key, X86ModelPatch *patch)
{
    static const char *const registers[] = {"eax", "ebx", "ecx", "edx"};
    g_auto(GStrv) parts = g_strsplit(key, "_", 5);
    unsigned count = g_strv_length(parts);

    if (!strcmp(parts[0], "msr")) {
        patch->is_msr = true;
        return count == 2 && parse_hex(parts[1], strlen(parts[1]), &patch->leaf);
    }
    if (count < 3 || count > 4) {
        return false;
    }
    while (patch->reg < 4 && strcmp(parts[count - 1], registers[patch->reg])) {
        patch->reg++;
    }
    return patch->reg < 4 && parse_hex(parts[1], strlen(parts[1]), &patch->leaf)
           && (count == 3 || parse_hex(parts[2], strlen(parts[2]), &patch->subleaf));
}

/* Moves the bits of @patch in @half that are features to their word. */
static void patch_features(X86CpuModel *model, X86ModelPatch *patch, unsigned half)
{
    unsigned reg = patch->is_msr ? half : patch->reg;
    FeatureWord word = x86_feature_word_find(patch->is_msr, patch->leaf, patch->subleaf, reg);

    if (word == FEATURE_WORD_COUNT) {
        return;
    }
    uint32_t known = x86_feature_word_known(word);
    uint32_t mask = (uint32_t)(patch->mask >> (32 * half)) & known;
    uint32_t value = (uint32_t)(patch->value >> (32 * half)) & known;
    model->features[word] = (model->features[word] & ~mask) | value;
    patch->mask &= ~((uint64_t)known << (32 * half));
    patch->value &= ~((uint64_t)known << (32 * half));
}

void x86_model_patch(X86CpuModel *model, const X86ModelPatch *patch)
{
    X86ModelPatch rest = *patch;

    patch_features(model, &rest, 0);
    if (rest.is_msr) {
        patch_features(model, &rest, 1);
    }
    g_array_append_val(model->patches, rest);
}

static bool apply_template(X86CpuModel *model, const ConfigValue *value, Diag *diag)
{
    X86ModelPatch patch = {0};

    if (!parse_place(value->key, &patch)) {
        diag_error(diag, value->key_origin,
                   "'%s' is not cpuid_LEAF[_SUBLEAF]_eax|ebx|ecx|edx or msr_INDEX in hexadecimal",
                   value->key);
        return false;
    }
    if (!parse_bits(value->value, patch.is_msr ? 64 : 32, &patch.mask, &patch.value)) {
        diag_error(diag, value->origin,
                   "'%s' is neither 0x… nor up to %d bits of 0, 1 and x (leave alone)",
                   value->value, patch.is_msr ? 64 : 32);
        return false;
    }
    x86_model_patch(model, &patch);
    return true;
}

static void report_unknown_key(const ConfigGroup *group, const ConfigValue *value, Diag *diag)
{
    g_autoptr(GPtrArray) names = g_ptr_array_new();

    for (const OptKey *key = group->schema->keys; key->name; key++) {
        g_ptr_array_add(names, (char *)key->name);
    }
    for (unsigned i = 0; x86_feature_names[i]; i++) {
        g_ptr_array_add(names, (char *)x86_feature_names[i]);
    }
    g_ptr_array_add(names, NULL);
    diag_error(diag, value->key_origin, "'%s' is neither a CPU feature nor a key of [%s]",
               value->key, group->schema->group);
    diag_suggest(diag, value->key, (const char *const *)names->pdata);
}

/* A key that the schema does not list: a bit template or one feature. */
static bool apply_open_key(X86CpuModel *model, const ConfigGroup *group, const ConfigValue *value,
                           uint32_t *asked, Diag *diag)
{
    if (g_str_has_prefix(value->key, "cpuid_") || g_str_has_prefix(value->key, "msr_")) {
        return apply_template(model, value, diag);
    }
    const X86FeatureInfo *info = x86_feature_find(value->key, strlen(value->key));
    bool on = false;
    if (!info) {
        report_unknown_key(group, value, diag);
        return false;
    }
    if (!opt_parse_bool(value->value, &on)) {
        diag_error(diag, value->origin, "feature %s is on or off, not '%s'", value->key,
                   value->value);
        return false;
    }
    x86_words_set(model->features, info->feature, on);
    if (asked) {
        x86_words_set(asked, info->feature, on);
    }
    return true;
}

bool x86_model_apply_keys(X86CpuModel *model, const ConfigGroup *group, uint32_t *asked,
                          Diag *diag)
{
    bool good = apply_numbers(model, group, diag);

    good &= check_caches(model, group, diag);
    good &= apply_texts(model, group, diag);
    good &= apply_clock(model, group, diag);
    good &= apply_microcode(model, group, diag);
    apply_fallback(model, group);
    good &= apply_features(model, group, diag);
    good &= apply_old_lists(model, group, diag);
    good &= apply_list(model, group, "add_features", true, asked, diag);
    good &= apply_list(model, group, "remove_features", false, asked, diag);
    for (unsigned i = 0; i < group->values->len; i++) {
        const ConfigValue *value = group->values->pdata[i];
        if (!schema_find_key(group->schema->group, value->key)) {
            good &= apply_open_key(model, group, value, asked, diag);
        }
    }
    return good;
}

void x86_model_apply_levels(X86CpuModel *model, const ConfigGroup *group)
{
    g_autoptr(Diag) ignored = diag_new();

    group_get_uint(group, "level", &model->level, ignored);
    group_get_uint(group, "xlevel", &model->xlevel, ignored);
}
