/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Resolving CPU models: the chain of base_cpudef, then [cpu], then what can be offered. */
#include "target-i386/cpu-model.h"

#include <string.h>

#include "target-i386/cpu-model-internal.h"
#include "target-i386/feature-table.h"

typedef struct Resolution {
    const Config *config;
    const X86CpuCaps *caps;
    Diag *diag;
    X86CpuModel *model;
    GPtrArray *chain; /* of ConfigGroup *: models being loaded, the outermost first */
    bool from_host;   /* the chain ends at host or max */
} Resolution;

X86CpuModel *x86_cpu_model_new(const char *name)
{
    X86CpuModel *model = g_new0(X86CpuModel, 1);

    model->name = g_strdup(name);
    model->patches = g_array_new(FALSE, FALSE, sizeof(X86ModelPatch));
    strcpy(model->vendor, "GenuineIntel");
    x86_words_set(model->features, X86_FEATURE_HYPERVISOR, true);
    for (unsigned i = 0; i < CACHE_COUNT; i++) {
        model->caches[i].size = X86_CACHE_UNSET;
    }
    return model;
}

void x86_cpu_model_free(X86CpuModel *model)
{
    if (model) {
        g_free(model->name);
        g_free(model->fallback);
        g_array_unref(model->patches);
        g_free(model);
    }
}

static void report_cycle(const Resolution *r, const ConfigGroup *group, const Origin *origin)
{
    g_autoptr(GString) path = g_string_new(NULL);

    for (unsigned i = 0; i < r->chain->len; i++) {
        g_string_append_printf(path, "%s → ", ((ConfigGroup *)r->chain->pdata[i])->id);
    }
    diag_error(r->diag, origin, "base_cpudef leads in a circle: %s%s", path->str, group->id);
}

static bool load_named(Resolution *r, const char *name, const ConfigGroup *user,
                       const Origin *origin);

/* The base of @group, if it has one, then its own keys. */
static bool load_group(Resolution *r, const ConfigGroup *group)
{
    const ConfigValue *base = group_value(group, "base_cpudef");

    g_ptr_array_add(r->chain, (void *)group);
    if (base && !load_named(r, base->value, group, base->origin)) {
        return false;
    }
    g_ptr_array_set_size(r->chain, r->chain->len - 1);
    return x86_model_apply_keys(r->model, group, NULL, r->diag);
}

static bool load_named(Resolution *r, const char *name, const ConfigGroup *user,
                       const Origin *origin)
{
    const ConfigGroup *group = x86_model_find_group(r->config, name, user);

    const X86BuiltinModel *builtin = group ? NULL : x86_builtin_model_find(name);

    if (builtin) {
        builtin->load(r->model, r->caps);
        r->from_host = builtin->from_host;
        return true;
    }
    if (!group) {
        x86_model_report_missing(r->config, name, origin, r->diag);
        return false;
    }
    if (g_ptr_array_find(r->chain, group, NULL)) {
        report_cycle(r, group, origin);
        return false;
    }
    return load_group(r, group);
}

/* The leaves that features live in exist (SDM 2A CPUID: EAX of leaves 0, 7 and 80000000H). */
static void raise_levels(X86CpuModel *model)
{
    for (unsigned i = 0; i < FEATURE_WORD_COUNT; i++) {
        const X86FeatureWordInfo *word = &x86_feature_words[i];
        if (word->is_msr || !model->features[i]) {
            continue;
        }
        if (word->leaf < 0x40000000) {
            model->level = MAX(model->level, word->leaf);
        } else if (word->leaf >> 16 == 0x8000) {
            model->xlevel = MAX(model->xlevel, word->leaf);
        }
        if (word->leaf == 7) {
            model->level_func7 = MAX(model->level_func7, word->subleaf);
        }
    }
    if (x86_words_have(model->features, X86_FEATURE_XSAVE)) {
        model->level = MAX(model->level, 0xd);
    }
    if (x86_words_have(model->features, X86_FEATURE_AMX_TILE)) {
        model->level = MAX(model->level, 0x1e);
    }
    if (x86_words_have(model->features, X86_FEATURE_TOPOEXT)) {
        model->xlevel = MAX(model->xlevel, 0x8000001e);
    }
    if (model->model_id[0]) {
        model->xlevel = MAX(model->xlevel, 0x80000004);
    }
}

/* Widths that AMD and Intel CPUs of each kind have at least (SDM 3A 4.1.4). */
static void default_widths(X86CpuModel *model)
{
    bool lm = x86_words_have(model->features, X86_FEATURE_LM);
    bool pae = x86_words_have(model->features, X86_FEATURE_PAE)
               || x86_words_have(model->features, X86_FEATURE_PSE36);

    if (!model->phys_bits) {
        model->phys_bits = lm ? 40 : pae ? 36 : 32;
    }
    if (!model->virt_bits) {
        bool la57 = x86_words_have(model->features, X86_FEATURE_LA57);
        model->virt_bits = !lm ? 32 : la57 ? 57 : 48;
    }
}

/* Caches as many CPUs of the vendor had them (K10; Core 2 with a later L3). */
static void default_caches(X86CpuModel *model)
{
    static const X86Cache intel[CACHE_COUNT] = {
        {32 << 10, 8}, {32 << 10, 8}, {4 << 20, 16}, {16 << 20, 16}};
    static const X86Cache amd[CACHE_COUNT] = {
        {64 << 10, 2}, {64 << 10, 2}, {512 << 10, 16}, {16 << 20, 16}};
    const X86Cache *defaults = strcmp(model->vendor, "GenuineIntel") ? amd : intel;

    for (unsigned i = 0; i < CACHE_COUNT; i++) {
        X86Cache *cache = &model->caches[i];
        if (cache->size == X86_CACHE_UNSET) {
            cache->size = defaults[i].size;
        }
        if (!cache->ways) {
            cache->ways = defaults[i].ways;
        }
    }
}

/* What follows the guest's control registers is no property of the model. */
void x86_cpu_model_settle(X86CpuModel *model)
{
    x86_words_set(model->features, X86_FEATURE_OSXSAVE, false);
    x86_words_set(model->features, X86_FEATURE_OSPKE, false);
    x86_features_drop_unmet(model->features);
    raise_levels(model);
    default_widths(model);
    default_caches(model);
}

static bool read_switch(const ConfigGroup *cpu, const char *key, bool value, Diag *diag)
{
    if (cpu) {
        group_get_bool(cpu, key, &value, diag);
    }
    return value;
}

/* Switches of [cpu] by which the accelerator's abilities get into the model. */
static bool apply_switches(Resolution *r, const ConfigGroup *cpu)
{
    unsigned errors = diag_errors(r->diag);

    if (r->from_host && !read_switch(cpu, "migratable", true, r->diag)
        && x86_words_have(r->caps->supported, X86_FEATURE_INVTSC)) {
        x86_words_set(r->model->features, X86_FEATURE_INVTSC, true);
    }
    if (read_switch(cpu, "host-phys-bits", false, r->diag)) {
        r->model->phys_bits = r->caps->host_phys_bits;
    }
    if (read_switch(cpu, "hv-passthrough", false, r->diag)) {
        for (unsigned i = 0; i < FEATURE_WORD_COUNT; i++) {
            r->model->features[i] |= x86_feature_word_is_hyperv(i) ? r->caps->supported[i] : 0;
        }
    }
    return diag_errors(r->diag) == errors;
}

X86CpuModel *x86_cpu_model_find(const Config *config, const char *name, const X86CpuCaps *caps,
                                Diag *diag)
{
    return x86_cpu_model_build(config, name, NULL, caps, diag);
}

X86CpuModel *x86_cpu_model_build(const Config *config, const char *name,
                                 const ConfigGroup *changes, const X86CpuCaps *caps, Diag *diag)
{
    g_autoptr(X86CpuModel) model = x86_cpu_model_new(name);
    g_autoptr(GPtrArray) chain = g_ptr_array_new();
    Resolution r = {config, caps, diag, model, chain, false};

    if (!load_named(&r, name, NULL, NULL)
        || !apply_switches(&r, changes)
        || (changes && !x86_model_apply_keys(model, changes, NULL, diag))) {
        return NULL;
    }
    x86_cpu_model_settle(model);
    if (changes) {
        x86_model_apply_levels(model, changes);
    }
    return g_steal_pointer(&model);
}

/* Checks one group by itself: its keys, and that its chain of bases exists and ends. */
static bool check_group(const Config *config, const ConfigGroup *group, const X86CpuCaps *caps,
                        Diag *diag)
{
    g_autoptr(X86CpuModel) scratch = x86_cpu_model_new("");
    g_autoptr(GPtrArray) chain = g_ptr_array_new();
    const ConfigGroup *next = group;
    bool good = x86_model_apply_keys(scratch, group, NULL, diag);
    Resolution r = {config, caps, diag, scratch, chain, false};

    while (next) {
        const ConfigValue *base = group_value(next, "base_cpudef");
        const ConfigGroup *user = next;
        g_ptr_array_add(chain, (void *)next);
        next = base ? x86_model_find_group(config, base->value, user) : NULL;
        if (!base || (!next && x86_builtin_model_find(base->value))) {
            return good;
        }
        if (!next && user == group) {
            x86_model_report_missing(config, base->value, base->origin, diag);
        }
        if (next && g_ptr_array_find(chain, next, NULL)) {
            if (next == group) {
                report_cycle(&r, next, base->origin);
            }
            return false;
        }
    }
    return false;
}

/* The shipped models are proven by a test, and loaded only when needed. */
static bool check_user_groups(const Config *config, const ConfigGroup *cpu,
                              const X86CpuCaps *caps, Diag *diag)
{
    GPtrArray *groups = config_groups(config, "cpudef");
    bool good = true;

    for (unsigned i = 0; i < groups->len; i++) {
        const ConfigGroup *group = groups->pdata[i];
        if (group->layer != LAYER_HARDWARE) {
            good &= check_group(config, group, caps, diag);
        }
    }
    if (cpu) {
        good &= check_group(config, cpu, caps, diag);
    }
    return good;
}

void x86_cpu_model_add_defaults(X86CpuModel *model, const X86CpuCaps *caps)
{
    for (unsigned i = 0; i < FEATURE_WORD_COUNT; i++) {
        model->features[i] |= caps->defaults[i];
    }
}

static bool apply_cpu_group(Resolution *r, const ConfigGroup *cpu, uint32_t *asked)
{
    x86_cpu_model_add_defaults(r->model, r->caps);
    return apply_switches(r, cpu)
           && (!cpu || x86_model_apply_keys(r->model, cpu, asked, r->diag));
}

/* --- what can be offered --------------------------------------------------------------- */

/* A model with the changes of [cpu], and what of it cannot be had. */
typedef struct Attempt {
    X86CpuModel *model;
    GString *missing; /* what the accelerator lacks, or was asked for without what it needs */
    GString *hyperv;  /* what it lacks of Hyper-V, where it lacks all of that */
    GString *broken;  /* what goes because something that it needs was taken away */
} Attempt;

static void attempt_free(Attempt *attempt)
{
    x86_cpu_model_free(attempt->model);
    g_string_free(attempt->missing, TRUE);
    g_string_free(attempt->hyperv, TRUE);
    g_string_free(attempt->broken, TRUE);
    g_free(attempt);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Attempt, attempt_free)

static void list_missing(Attempt *attempt, const uint32_t *asked, const X86CpuCaps *caps)
{
    const uint32_t *features = attempt->model->features;

    for (const X86FeatureInfo *info = x86_features; info->name; info++) {
        const X86FeatureInfo *need = x86_feature_missing_need(info, features);
        bool offered = x86_words_have(caps->supported, info->feature);
        bool hyperv = x86_feature_word_is_hyperv(info->feature / 32);
        if (hyperv && caps->no_hyperv && x86_words_have(features, info->feature)) {
            g_string_append_printf(attempt->hyperv, " %s", info->name);
        } else if (x86_words_have(features, info->feature) && !offered) {
            g_string_append_printf(attempt->missing, " %s", info->name);
        } else if (x86_words_have(asked, info->feature) && need) {
            g_string_append_printf(attempt->missing, " %s (needs %s)", info->name, need->name);
        }
    }
}

/* Features that fall with one that the definition or the user took away, round after round. */
static void list_broken(Attempt *attempt, const uint32_t *asked, const X86CpuCaps *caps)
{
    uint32_t features[FEATURE_WORD_COUNT];
    bool changed = true;

    memcpy(features, attempt->model->features, sizeof(features));
    while (changed) {
        changed = false;
        for (const X86FeatureInfo *info = x86_features; info->name; info++) {
            const X86FeatureInfo *need = x86_feature_missing_need(info, features);
            if (!need || !x86_words_have(features, info->feature)) {
                continue;
            }
            if (!x86_words_have(asked, info->feature)
                && x86_words_have(caps->supported, info->feature)) {
                g_string_append_printf(attempt->broken, " %s (needs %s)", info->name, need->name);
            }
            x86_words_set(features, info->feature, false);
            changed = true;
        }
    }
}

static Attempt *attempt_new(const Config *config, const char *name, const Origin *origin,
                            const X86CpuCaps *caps, Diag *diag)
{
    const ConfigGroup *cpu = config_find(config, "cpu", NULL);
    g_autoptr(X86CpuModel) model = x86_cpu_model_new(name);
    g_autoptr(GPtrArray) chain = g_ptr_array_new();
    Resolution r = {config, caps, diag, model, chain, false};
    uint32_t asked[FEATURE_WORD_COUNT] = {0};

    if (!load_named(&r, name, NULL, origin) || !apply_cpu_group(&r, cpu, asked)) {
        return NULL;
    }
    Attempt *attempt = g_new0(Attempt, 1);
    attempt->model = g_steal_pointer(&model);
    attempt->missing = g_string_new(NULL);
    attempt->hyperv = g_string_new(NULL);
    attempt->broken = g_string_new(NULL);
    list_missing(attempt, asked, caps);
    list_broken(attempt, asked, caps);
    return attempt;
}

/*
 * The first model of @first's fallbacks that can be had whole, or NULL. What it replaces is said in
 * one message; where none will do, @first is judged as if it had no fallback.
 */
static Attempt *try_fallbacks(const Config *config, const Attempt *first, const Origin *origin,
                              const X86CpuCaps *caps, Diag *diag)
{
    const char *names = first->model->fallback ? first->model->fallback : "";
    const char *word;
    size_t length;

    while (first->missing->len && (word = x86_next_word(&names, &length))) {
        g_autofree char *name = g_strndup(word, length);
        g_autoptr(Attempt) next = attempt_new(config, name, origin, caps, diag);
        if (next && !next->missing->len) {
            diag_warning(diag, origin, "%s cannot offer these features of CPU '%s':%s",
                         caps->accel, first->model->name, first->missing->str);
            diag_note(diag, NULL, "its fallback '%s' is used instead", name);
            return g_steal_pointer(&next);
        }
    }
    return NULL;
}

/* True if the user chose the model, or changed the machine's. */
static bool user_chose(const ConfigGroup *cpu)
{
    for (unsigned i = 0; cpu && i < cpu->values->len; i++) {
        const char *key = ((const ConfigValue *)cpu->values->pdata[i])->key;
        if (strcmp(key, "baseline") && strcmp(key, "export")) {
            return true;
        }
    }
    return false;
}

/* Hyper-V where there is nothing of it: one message with the reason, not a list of lacks. */
static bool report_hyperv(const Attempt *attempt, bool passthrough, bool enforce,
                          const Origin *origin, const X86CpuCaps *caps, Diag *diag)
{
    if (!caps->no_hyperv || (!attempt->hyperv->len && !passthrough)) {
        return true;
    }
    const char *names = attempt->hyperv->len ? attempt->hyperv->str : " hv-passthrough";
    if (enforce) {
        diag_error(diag, origin, "%s has no Hyper-V features, %s:%s", caps->accel,
                   caps->no_hyperv, names);
    } else {
        diag_warning(diag, origin, "%s has no Hyper-V features, %s; left out:%s", caps->accel,
                     caps->no_hyperv, names);
    }
    return !enforce;
}

/* Says what cannot be had; false if that is an error. */
static bool report(const Attempt *attempt, const ConfigGroup *cpu, const Origin *origin,
                   const X86CpuCaps *caps, Diag *diag)
{
    bool enforce = read_switch(cpu, "enforce", false, diag);
    bool check = read_switch(cpu, "check", true, diag) && user_chose(cpu);
    bool passthrough = read_switch(cpu, "hv-passthrough", false, diag);

    if ((enforce || check) &&
        !report_hyperv(attempt, passthrough, enforce, origin, caps, diag)) {
        return false;
    }
    if (attempt->missing->len && enforce) {
        diag_error(diag, origin, "%s cannot offer these features of CPU '%s':%s", caps->accel,
                   attempt->model->name, attempt->missing->str);
        return false;
    }
    if (attempt->missing->len && check) {
        diag_warning(diag, origin, "%s cannot offer these features of CPU '%s':%s", caps->accel,
                     attempt->model->name, attempt->missing->str);
    }
    if (attempt->broken->len && check) {
        diag_warning(diag, origin, "CPU '%s' loses features that need what it lacks:%s",
                     attempt->model->name, attempt->broken->str);
    }
    return true;
}

/* Cuts the model to @caps and makes it whole. */
static void finish(X86CpuModel *model, const ConfigGroup *cpu, const X86CpuCaps *caps, Diag *diag)
{
    for (unsigned i = 0; i < FEATURE_WORD_COUNT; i++) {
        model->features[i] &= caps->supported[i];
    }
    x86_cpu_model_settle(model);
    if (cpu) {
        x86_model_apply_levels(model, cpu);
    }
    if (read_switch(cpu, "kvm", true, diag)) {
        g_strlcpy(model->signature, caps->signature, sizeof(model->signature));
    } else {
        model->features[FEATURE_WORD_KVM_EAX] = model->features[FEATURE_WORD_KVM_EDX] = 0;
    }
}

X86CpuModel *x86_cpu_model_resolve(const Config *config, const char *default_name,
                                   const X86CpuCaps *caps, Diag *diag)
{
    const ConfigGroup *cpu = config_find(config, "cpu", NULL);
    const ConfigValue *chosen = cpu ? group_value(cpu, "base_cpudef") : NULL;
    const char *name = chosen ? chosen->value : default_name;
    const Origin *origin = cpu ? group_origin(cpu, "base_cpudef") : NULL;
    unsigned errors = diag_errors(diag);

    if (!check_user_groups(config, cpu, caps, diag)) {
        return NULL;
    }
    g_autoptr(Attempt) attempt = attempt_new(config, name, chosen ? chosen->origin : NULL, caps,
                                             diag);
    if (!attempt) {
        return NULL;
    }
    Attempt *fallback = try_fallbacks(config, attempt, origin, caps, diag);
    if (fallback) {
        attempt_free(attempt);
        attempt = fallback;
    }
    if (diag_errors(diag) != errors || !report(attempt, cpu, origin, caps, diag)) {
        return NULL;
    }
    X86CpuModel *model = g_steal_pointer(&attempt->model);
    finish(model, cpu, caps, diag);
    return model;
}

uint64_t x86_cpu_model_patch_msr(const X86CpuModel *model, uint32_t index, uint64_t value)
{
    for (unsigned i = 0; i < model->patches->len; i++) {
        const X86ModelPatch *patch = &g_array_index(model->patches, X86ModelPatch, i);
        if (patch->is_msr && patch->leaf == index) {
            value = (value & ~patch->mask) | patch->value;
        }
    }
    return value;
}

bool x86_cpu_model_msr(const X86CpuModel *model, uint32_t index, uint64_t *value)
{
    bool found = false;

    *value = 0;
    for (unsigned i = 0; i < FEATURE_WORD_COUNT; i++) {
        const X86FeatureWordInfo *word = &x86_feature_words[i];
        if (word->is_msr && word->leaf == index) {
            *value |= (uint64_t)model->features[i] << (32 * word->reg);
            found |= model->features[i] != 0;
        }
    }
    for (unsigned i = 0; i < model->patches->len; i++) {
        const X86ModelPatch *patch = &g_array_index(model->patches, X86ModelPatch, i);
        found |= patch->is_msr && patch->leaf == index;
    }
    *value = x86_cpu_model_patch_msr(model, index, *value);
    return found;
}
