/* SPDX-License-Identifier: GPL-2.0-or-later */
/* CPU models: the shipped catalogue against a record of QEMU's, and what users may write. */
#include <string.h>

#include "model-fixture.h"
#include "target-i386/feature-table.h"

/* --- features.def ------------------------------------------------------------------ */

static void test_table_is_sound(void)
{
    g_autoptr(GHashTable) names = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    uint32_t seen[FEATURE_WORD_COUNT] = {0};

    for (const X86FeatureInfo *info = x86_features; info->name; info++) {
        const char *needs = info->needs;
        const char *word;
        size_t length;
        g_assert_false(x86_words_have(seen, info->feature));
        x86_words_set(seen, info->feature, true);
        g_assert_true(g_hash_table_add(names, g_strdup(info->name)));
        g_assert_true(x86_feature_find(info->name, strlen(info->name)) == info);
        while ((word = x86_next_word(&needs, &length))) {
            g_assert_nonnull(x86_feature_find(word, length));
        }
    }
}

static void test_spellings(void)
{
    g_assert_cmpint(x86_feature_find("sse4_2", 6)->feature, ==, X86_FEATURE_SSE4_2);
    g_assert_cmpint(x86_feature_find("sse4-2", 6)->feature, ==, X86_FEATURE_SSE4_2);
    g_assert_cmpint(x86_feature_find("lahf_lm", 7)->feature, ==, X86_FEATURE_LAHF_LM);
    g_assert_cmpint(x86_feature_find("sse3", 4)->feature, ==, X86_FEATURE_PNI);
    g_assert_null(x86_feature_find("sse", 1));
    g_assert_null(x86_feature_find("sse22", 5));
    g_assert_null(x86_feature_find("", 0));
}

static unsigned register_number(const char *name)
{
    static const char *const names[] = {"EAX", "EBX", "ECX", "EDX"};

    for (unsigned i = 0; i < 4; i++) {
        if (!strcmp(names[i], name)) {
            return i;
        }
    }
    g_assert_not_reached();
}

/* Every CPUID bit that QEMU knows by a name is the same bit here. */
static void test_bits(void)
{
    g_autoptr(JsonParser) parser = json_parser_new();
    JsonObject *bits = fixture_record(parser, "feature-bits-qemu-7.2.json", "features");
    g_autoptr(GList) names = json_object_get_members(bits);
    unsigned count = 0;

    for (GList *link = names; link; link = link->next, count++) {
        JsonObject *bit = json_object_get_object_member(bits, link->data);
        const X86FeatureInfo *info = x86_feature_find(link->data, strlen(link->data));
        g_assert_nonnull(info);
        const X86FeatureWordInfo *word = &x86_feature_words[info->feature >> 5];
        g_test_message("%s", (char *)link->data);
        g_assert_false(word->is_msr);
        g_assert_cmpuint(word->leaf, ==, json_object_get_int_member(bit, "leaf"));
        g_assert_cmpuint(word->subleaf, ==, json_object_get_int_member(bit, "subleaf"));
        g_assert_cmpuint(word->reg, ==,
                         register_number(json_object_get_string_member(bit, "register")));
        g_assert_cmpuint(info->feature & 31, ==, json_object_get_int_member(bit, "bit"));
    }
    g_assert_cmpuint(count, >, 200);
}

/* --- the catalogue --------------------------------------------------------------------- */

static uint64_t number(JsonObject *object, const char *name)
{
    return json_object_has_member(object, name) ? json_object_get_int_member(object, name) : 0;
}

static const char *text(JsonObject *object, const char *name)
{
    return json_object_has_member(object, name) ? json_object_get_string_member(object, name) : "";
}

static int compare_strings(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static char *feature_list(const uint32_t *features)
{
    g_autoptr(GPtrArray) names = g_ptr_array_new();

    for (const X86FeatureInfo *info = x86_features; info->name; info++) {
        if (x86_words_have(features, info->feature)) {
            g_ptr_array_add(names, (char *)info->name);
        }
    }
    qsort(names->pdata, names->len, sizeof(names->pdata[0]), compare_strings);
    g_ptr_array_add(names, NULL);
    return g_strjoinv(" ", (char **)names->pdata);
}

static void compare_model(const X86CpuModel *model, JsonObject *record)
{
    g_autofree char *features = feature_list(model->features);

    g_assert_cmpstr(model->vendor, ==, text(record, "vendor"));
    g_assert_cmpuint(model->family, ==, number(record, "family"));
    g_assert_cmpuint(model->model, ==, number(record, "model"));
    g_assert_cmpuint(model->stepping, ==, number(record, "stepping"));
    g_assert_cmpuint(model->level, ==, number(record, "level"));
    g_assert_cmpuint(model->level_func7, ==, number(record, "level-func7"));
    g_assert_cmpuint(model->xlevel, ==, number(record, "xlevel"));
    g_assert_cmpstr(model->model_id, ==, text(record, "model-id"));
    g_assert_cmpstr(features, ==, text(record, "features"));
}

static void test_catalogue(void)
{
    g_autoptr(Fixture) f = fixture_new(NULL, NULL);
    g_autoptr(JsonParser) parser = json_parser_new();
    JsonObject *models = fixture_record(parser, "cpu-models-qemu-7.2.json", "models");
    g_autoptr(GList) names = json_object_get_members(models);
    unsigned count = 0;

    for (GList *link = names; link; link = link->next) {
        JsonObject *record = json_object_get_object_member(models, link->data);
        if (!text(record, "vendor")[0] || !strcmp(link->data, "host")
            || !strcmp(link->data, "max")) {
            continue; /* base, host and max depend on the accelerator */
        }
        g_autoptr(X86CpuModel) model = x86_cpu_model_find(f->config, link->data, &f->caps,
                                                          f->diag);
        g_test_message("%s", (char *)link->data);
        fixture_assert_silent(f);
        g_assert_nonnull(model);
        compare_model(model, record);
        g_assert_cmpstr(x86_cpu_model_alias_of(f->config, link->data), ==,
                        json_object_has_member(record, "alias_of") ? text(record, "alias_of")
                                                                   : NULL);
        count++;
    }
    g_assert_cmpuint(count, ==, 129);
}

/* The models that the record does not have: their signature, and what sets each apart. */
static const struct {
    const char *name, *alias_of, *has, *lacks;
    unsigned family, model;
} newer[] = {
    {"SapphireRapids-v1", NULL, "amx-int8 avx512-fp16 avx-vnni rtm", "amx-fp16", 6, 0x8f},
    {"SapphireRapids-v2", NULL, "amx-int8 avx512-fp16", "rtm hle tsx-ldtrk", 6, 0x8f},
    {"SapphireRapids", "SapphireRapids-v1", "amx-tile", "prefetchiti", 6, 0x8f},
    {"SapphireRapids-noTSX", "SapphireRapids-v2", "amx-tile", "rtm", 6, 0x8f},
    {"GraniteRapids-v1", NULL, "amx-fp16 prefetchiti mcdt-no rtm", "avx10", 6, 0xad},
    {"GraniteRapids-v2", NULL, "amx-fp16 prefetchiti", "rtm hle tsx-ldtrk", 6, 0xad},
    {"GraniteRapids", "GraniteRapids-v1", "amx-fp16", "avx-ifma", 6, 0xad},
    {"GraniteRapids-noTSX", "GraniteRapids-v2", "amx-fp16", "rtm", 6, 0xad},
    {"SierraForest-v1", NULL, "avx-ifma avx-ne-convert cmpccxadd", "avx512f amx-tile rtm la57", 6,
     0xaf},
    {"SierraForest", "SierraForest-v1", "avx-vnni-int8", "avx512f", 6, 0xaf},
    {"EPYC-Genoa-v1", NULL, "avx512f avx512-bf16 auto-ibrs la57 vnmi", "prefetchi", 0x19, 0x11},
    {"EPYC-Genoa", "EPYC-Genoa-v1", "avx512-bf16", "avx-vnni", 0x19, 0x11},
    {"EPYC-Turin-v1", NULL, "avx-vnni movdir64b prefetchi sbpb perfmon-v2", "avx512-fp16", 0x1a, 2},
    {"EPYC-Turin", "EPYC-Turin-v1", "avx512-vp2intersect", "avx512-fp16", 0x1a, 2},
    {"x86-64-v1", NULL, "cmov cx8 fxsr mmx sse2 syscall lm", "cx16 pni", 15, 6},
    {"x86-64-v2", NULL, "cx16 lahf-lm popcnt pni sse4.1 sse4.2 ssse3", "avx movbe", 15, 6},
    {"x86-64-v3", NULL, "avx avx2 bmi1 bmi2 f16c fma abm movbe xsave", "avx512f aes", 15, 6},
    {"x86-64-v4", NULL, "avx512f avx512bw avx512cd avx512dq avx512vl", "avx512vnni", 15, 6},
};

static void assert_features(const X86CpuModel *model, const char *names, bool has)
{
    const char *word;
    size_t length;

    while ((word = x86_next_word(&names, &length))) {
        g_test_message("%s: %.*s", model->name, (int)length, word);
        g_assert_cmpint(x86_words_have(model->features, x86_feature_find(word, length)->feature),
                        ==, has);
    }
}

static void test_newer(void)
{
    g_autoptr(Fixture) f = fixture_new(NULL, NULL);

    for (unsigned i = 0; i < G_N_ELEMENTS(newer); i++) {
        g_autoptr(X86CpuModel) model = x86_cpu_model_find(f->config, newer[i].name, &f->caps,
                                                          f->diag);
        fixture_assert_silent(f);
        g_assert_nonnull(model);
        assert_features(model, newer[i].has, true);
        assert_features(model, newer[i].lacks, false);
        g_assert_cmpuint(model->family, ==, newer[i].family);
        g_assert_cmpuint(model->model, ==, newer[i].model);
        g_assert_cmpstr(x86_cpu_model_alias_of(f->config, newer[i].name), ==, newer[i].alias_of);
    }
}

/* Nothing in the file but what the record has and the newer models. */
static void test_no_more_names(void)
{
    g_autoptr(Fixture) f = fixture_new(NULL, NULL);
    g_autoptr(JsonParser) parser = json_parser_new();
    JsonObject *models = fixture_record(parser, "cpu-models-qemu-7.2.json", "models");
    g_autoptr(GPtrArray) names = x86_cpu_model_names(f->config);

    g_assert_cmpuint(names->len - 1, ==, json_object_get_size(models) + G_N_ELEMENTS(newer));
    for (unsigned i = 0; names->pdata[i]; i++) {
        bool known = json_object_has_member(models, names->pdata[i]);
        for (unsigned j = 0; j < G_N_ELEMENTS(newer) && !known; j++) {
            known = !strcmp(newer[j].name, names->pdata[i]);
        }
        g_assert_true(known);
    }
}

/* What a model lists is whole: no feature of it lacks what it needs. */
static void test_needs_are_met(void)
{
    g_autoptr(Fixture) f = fixture_new(NULL, NULL);
    GPtrArray *groups = config_groups(f->config, "cpudef");

    for (unsigned i = 0; i < groups->len; i++) {
        const ConfigGroup *group = groups->pdata[i];
        g_autoptr(Fixture) one = fixture_new(NULL, group->id);
        memset(one->caps.supported, 0xff, sizeof(one->caps.supported));
        g_autoptr(X86CpuModel) model = fixture_resolve(one);
        g_assert_nonnull(model);
        fixture_assert_silent(one);
    }
}

static void test_help(void)
{
    g_autoptr(Fixture) f = fixture_new(NULL, NULL);
    g_autofree char *help = x86_cpu_models_help(f->config, NULL);

    g_assert_nonnull(strstr(help, "\nx86 Nehalem               (alias of Nehalem-v1)\n"));
    g_assert_nonnull(strstr(help, "\nx86 Haswell-v2            Intel Core Processor (Haswell, no "
                                  "TSX)\n"));
    g_assert_nonnull(strstr(help, "\nx86 max "));
    g_assert_nonnull(strstr(help, " sse4.2 "));
}

/* --- host, max, base -------------------------------------------------------------------- */

static void test_builtin(void)
{
    g_autoptr(Fixture) f = fixture_new(NULL, NULL);
    g_autoptr(X86CpuModel) max = x86_cpu_model_find(f->config, "max", &f->caps, f->diag);
    g_autoptr(X86CpuModel) base = x86_cpu_model_find(f->config, "base", &f->caps, f->diag);
    g_autoptr(X86CpuModel) host = x86_cpu_model_find(f->config, "host", &f->caps, f->diag);
    uint32_t none[FEATURE_WORD_COUNT] = {0};

    g_assert_cmpmem(base->features, sizeof(none), none, sizeof(none));
    for (const X86FeatureInfo *info = x86_features; info->name; info++) {
        bool dynamic = info->feature == X86_FEATURE_OSXSAVE || info->feature == X86_FEATURE_OSPKE;
        g_assert_cmpint(x86_words_have(max->features, info->feature), ==,
                        info->tcg != TCG_NO && !dynamic);
        if (x86_words_have(host->features, info->feature)) {
            g_assert_true(x86_words_have(max->features, info->feature));
        }
    }
    g_assert_true(x86_words_have(host->features, X86_FEATURE_SSE2));
}

/* A host without AVX offers nothing that builds on it. */
static void test_host_gate(void)
{
    g_autoptr(Fixture) f = fixture_new(NULL, "max");

    x86_words_set(f->caps.supported, X86_FEATURE_AVX, false);
    x86_features_drop_unmet(f->caps.supported);
    g_autoptr(X86CpuModel) model = fixture_resolve(f);
    g_assert_nonnull(model);
    g_assert_false(x86_words_have(model->features, X86_FEATURE_AVX2));
    g_assert_false(x86_words_have(model->features, X86_FEATURE_FMA));
    g_assert_false(x86_words_have(model->features, X86_FEATURE_VAES));
    g_assert_true(x86_words_have(model->features, X86_FEATURE_SSE4_2));
}

static void test_migratable(void)
{
    g_autoptr(Fixture) moves = fixture_new(NULL, "max");
    g_autoptr(Fixture) stays = fixture_new(NULL, "max,migratable=off");

    moves->caps.tsc_hz = stays->caps.tsc_hz = 0; /* each host's own */
    g_autoptr(X86CpuModel) with = fixture_resolve(moves);
    g_autoptr(X86CpuModel) without = fixture_resolve(stays);

    g_assert_false(x86_words_have(with->features, X86_FEATURE_INVTSC));
    g_assert_true(x86_words_have(without->features, X86_FEATURE_INVTSC));
}

/* --- what users write --------------------------------------------------------------------- */

/* The seed of the project: a file that extends a shipped model. */
static void test_extend(void)
{
    g_autoptr(Fixture) f = fixture_new("[cpu]\n  base_cpudef = \"Nehalem\"\n"
                                       "  add_features = \"aes pclmulqdq\"\n"
                                       "  remove_features = \"popcnt\"\n"
                                       "  model_id = \"mine\"\n  stepping = 7\n", NULL);
    g_autoptr(X86CpuModel) model = fixture_resolve(f);

    fixture_assert_silent(f);
    g_assert_cmpstr(model->name, ==, "Nehalem");
    g_assert_cmpuint(model->model, ==, 26);
    g_assert_cmpuint(model->stepping, ==, 7);
    g_assert_cmpstr(model->model_id, ==, "mine");
    g_assert_true(x86_words_have(model->features, X86_FEATURE_AES));
    g_assert_true(x86_words_have(model->features, X86_FEATURE_PCLMULQDQ));
    g_assert_false(x86_words_have(model->features, X86_FEATURE_POPCNT));
    g_assert_true(x86_words_have(model->features, X86_FEATURE_SSE4_2));
}

static void test_command_line(void)
{
    g_autoptr(Fixture) f = fixture_new(NULL, "Nehalem,+aes,-popcnt,xsave=on,smep=on,lm=off");
    g_autoptr(X86CpuModel) model = fixture_resolve(f);

    g_assert_nonnull(model);
    g_assert_true(x86_words_have(model->features, X86_FEATURE_AES));
    g_assert_true(x86_words_have(model->features, X86_FEATURE_XSAVE));
    g_assert_false(x86_words_have(model->features, X86_FEATURE_POPCNT));
    g_assert_false(x86_words_have(model->features, X86_FEATURE_LM));
    g_assert_cmpuint(model->level, ==, 13);
    g_assert_cmpuint(model->phys_bits, ==, 36);
}

static void test_explicit_level(void)
{
    g_autoptr(Fixture) f = fixture_new(NULL, "Nehalem,+xsave,level=4");
    g_autoptr(X86CpuModel) model = fixture_resolve(f);

    g_assert_cmpuint(model->level, ==, 4);
}

static void test_user_model(void)
{
    g_autoptr(Fixture) f = fixture_new("[cpudef \"mine\"]\n  base_cpudef = \"SandyBridge-IBRS\"\n"
                                       "  alias = \"my own\"\n  remove_features = \"avx\"\n",
                                       "own");
    g_autoptr(X86CpuModel) model = fixture_resolve(f);

    g_assert_nonnull(model);
    g_assert_cmpuint(model->model, ==, 42);
    g_assert_true(x86_words_have(model->features, X86_FEATURE_SPEC_CTRL));
    g_assert_false(x86_words_have(model->features, X86_FEATURE_AVX));
    g_assert_cmpstr(x86_cpu_model_alias_of(f->config, "my"), ==, "mine");
}

/* A model of the user layer may have a shipped one's name, or alias, and build on that one. */
static void test_shadow(void)
{
    static const char *const names[] = {"Nehalem", "Nehalem-v1"};

    for (unsigned i = 0; i < G_N_ELEMENTS(names); i++) {
        g_autofree char *user = g_strdup_printf(
            "[cpudef \"%s\"]\n  base_cpudef = \"%s\"\n  add_features = \"smap\"\n", names[i],
            names[i]);
        g_autoptr(Fixture) f = fixture_new(user, "Nehalem");
        g_autoptr(X86CpuModel) model = fixture_resolve(f);
        g_assert_nonnull(model);
        g_assert_cmpuint(model->model, ==, 26);
        g_assert_true(x86_words_have(model->features, X86_FEATURE_SMAP));
        g_assert_true(x86_words_have(model->features, X86_FEATURE_SSE4_2));
    }
}

/* The form of configuration files of long ago. */
static void test_old_form(void)
{
    g_autoptr(Fixture) f = fixture_new(
        "[cpudef]\n  name = \"Old\"\n  level = \"2\"\n  vendor = \"AuthenticAMD\"\n"
        "  family = \"15\"\n  model = \"6\"\n  stepping = \"1\"\n"
        "  feature_edx = \"sse2 sse fxsr mmx pse36 pat cmov mca pge mtrr sep apic cx8 mce pae msr "
        "tsc pse de fpu\"\n  feature_ecx = \"sse3\"\n"
        "  extfeature_edx = \"lm fxsr mmx xd pse36 pat\"\n  extfeature_ecx = \"lahf_lm\"\n"
        "  xlevel = \"0x80000008\"\n  model_id = \"AMD Opteron 240\"\n", "Old");
    g_autoptr(X86CpuModel) model = fixture_resolve(f);

    fixture_assert_silent(f);
    g_assert_cmpuint(model->family, ==, 15);
    g_assert_cmpuint(model->xlevel, ==, 0x80000008);
    g_assert_true(x86_words_have(model->features, X86_FEATURE_PNI));
    g_assert_true(x86_words_have(model->features, X86_FEATURE_NX));
    g_assert_true(x86_words_have(model->features, X86_FEATURE_LAHF_LM));
    g_assert_true(x86_words_have(model->features, X86_FEATURE_HYPERVISOR));
    g_assert_false(x86_words_have(model->features, X86_FEATURE_CLFLUSH));
}

static void test_templates(void)
{
    g_autoptr(Fixture) f = fixture_new(
        "[cpu]\n  base_cpudef = \"Nehalem\"\n  cpuid_1_ecx = \"1xxx_xxxx_xxxx_xxxx_xxxx_xxxx\"\n"
        "  cpuid_80000001_ecx = \"0\"\n  msr_0x10a = \"1_0000_0000_x1x0\"\n", NULL);
    g_autoptr(X86CpuModel) model = fixture_resolve(f);
    uint64_t value;

    g_assert_nonnull(model);
    g_assert_true(x86_words_have(model->features, X86_FEATURE_POPCNT));
    g_assert_false(x86_words_have(model->features, X86_FEATURE_LAHF_LM));
    g_assert_true(x86_cpu_model_msr(model, 0x10a, &value));
    g_assert_cmphex(value, ==, 0x1000);
    g_assert_false(x86_cpu_model_msr(model, 0xcf, &value));
}

/* --- what cannot be had ---------------------------------------------------------------------- */

static void test_warns_once(void)
{
    g_autoptr(Fixture) f = fixture_new(NULL, "Nehalem,+vmx,+monitor");
    g_autoptr(X86CpuModel) model = fixture_resolve(f);

    g_assert_nonnull(model);
    g_assert_false(x86_words_have(model->features, X86_FEATURE_VMX));
    fixture_assert_said(f, "tcg cannot offer these features of CPU 'Nehalem': monitor vmx");
}

static void test_default_is_silent(void)
{
    g_autoptr(Fixture) f = fixture_new(NULL, NULL);
    g_autoptr(X86CpuModel) model = fixture_resolve(f);

    g_assert_cmpstr(model->name, ==, "qemu64");
    g_assert_false(x86_words_have(model->features, X86_FEATURE_SVM));
    fixture_assert_silent(f);
}

static void test_check_off(void)
{
    g_autoptr(Fixture) f = fixture_new(NULL, "Nehalem,+vmx,check=off");
    g_autoptr(X86CpuModel) model = fixture_resolve(f);

    g_assert_nonnull(model);
    fixture_assert_silent(f);
}

static void test_enforce(void)
{
    g_autoptr(Fixture) f = fixture_new(NULL, "Nehalem,+vmx,enforce");
    g_autoptr(Fixture) good = fixture_new(NULL, "Nehalem,enforce=on");
    g_autoptr(X86CpuModel) model = fixture_resolve(good);

    fixture_assert_refused(f, "error", "vmx", NULL);
    g_assert_nonnull(model);
    fixture_assert_silent(good);
}

/* An accelerator without any of Hyper-V: one message with its reason, apart from other lacks. */
static void test_no_hyperv(void)
{
    g_autoptr(Fixture) f = fixture_new(NULL, "Nehalem,hv-relaxed,hv-time,+vmx");
    g_autoptr(Fixture) refused = fixture_new(NULL, "Nehalem,hv-relaxed,enforce");
    g_autoptr(Fixture) all = fixture_new(NULL, "Nehalem,hv-passthrough=on");
    g_autoptr(Fixture) none = fixture_new(NULL, "Nehalem");

    f->caps.no_hyperv = refused->caps.no_hyperv = "for a reason";
    all->caps.no_hyperv = none->caps.no_hyperv = "for a reason";
    g_autoptr(X86CpuModel) model = fixture_resolve(f);
    g_assert_false(x86_words_have(model->features, X86_FEATURE_HV_TIME));
    g_autofree char *said = diag_take_text(f->diag);
    g_assert_nonnull(strstr(said, "for a reason; left out: hv-time hv-relaxed\n"));
    g_assert_nonnull(strstr(said, "CPU 'Nehalem': vmx\n"));
    fixture_assert_refused(refused, "error", "for a reason", "hv-relaxed", NULL);
    g_autoptr(X86CpuModel) with_all = fixture_resolve(all);
    g_assert_nonnull(with_all);
    fixture_assert_said(all, "for a reason; left out: hv-passthrough");
    g_autoptr(X86CpuModel) plain = fixture_resolve(none);
    g_assert_nonnull(plain);
    fixture_assert_silent(none);
}

static void test_unmet_need(void)
{
    g_autoptr(Fixture) f = fixture_new(NULL, "Nehalem,+avx2");
    g_autoptr(X86CpuModel) model = fixture_resolve(f);

    g_assert_nonnull(model);
    g_assert_false(x86_words_have(model->features, X86_FEATURE_AVX2));
    fixture_assert_said(f, "avx2 (needs avx)");
}

/* --- mistakes ------------------------------------------------------------------------------- */

static void test_unknown_model(void)
{
    g_autoptr(Fixture) f = fixture_new(NULL, "Nehelam");

    fixture_assert_refused(f, "there is no CPU model 'Nehelam'", "Nehalem",
                           "cpu-models-x86.conf", NULL);
}

static void test_missing_base(void)
{
    g_autoptr(Fixture) f = fixture_new("[cpudef \"a\"]\n  base_cpudef = \"Hazwell\"\n", NULL);

    fixture_assert_refused(f, "user.conf:2", "there is no CPU model 'Hazwell'", "Haswell",
                           "cpu-models-x86.conf", NULL);
}

static void test_several_mistakes(void)
{
    g_autoptr(Fixture) f = fixture_new("[cpudef \"a\"]\n  features = \"fpu sse9 mmxx\"\n"
                                       "  vendor = \"Intel\"\n  cpuid_1_efx = \"1\"\n"
                                       "  cpuid_1_ecx = \"12\"\n  famly = 6\n"
                                       "  l2_size = 1000\n",
                                       "Nehalem,+nope");

    fixture_assert_refused(f, "unknown CPU feature 'sse9'", "unknown CPU feature 'mmxx'",
                           "12 characters", "cpuid_1_efx", "'12'", "'famly'", "family",
                           "user.conf:7", "l2_size", "'nope'", NULL);
    g_assert_cmpuint(diag_errors(f->diag), ==, 8);
}

static void test_cycle(void)
{
    g_autoptr(Fixture) f = fixture_new("[cpudef \"a\"]\n  base_cpudef = \"b\"\n"
                                       "[cpudef \"b\"]\n  base_cpudef = \"c\"\n"
                                       "[cpudef \"c\"]\n  base_cpudef = \"a\"\n", "a");
    g_autoptr(Fixture) self = fixture_new("[cpudef \"s\"]\n  base_cpudef = \"s\"\n", "s");

    fixture_assert_refused(f, "circle", "a → b → c → a", NULL);
    fixture_assert_refused(self, "there is no CPU model 's'", NULL);
}

/* A cycle that a good model leads into is reported once, at the cycle. */
static void test_path_into_cycle(void)
{
    g_autoptr(Fixture) f = fixture_new("[cpudef \"a\"]\n  base_cpudef = \"b\"\n"
                                       "[cpudef \"b\"]\n  base_cpudef = \"c\"\n"
                                       "[cpudef \"c\"]\n  base_cpudef = \"b\"\n", "a");

    fixture_assert_refused(f, "circle", NULL);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *path;
        void (*test)(void);
    } tests[] = {
        {"/feature-table/sound", test_table_is_sound},
        {"/feature-table/spellings", test_spellings},
        {"/feature-table/bits", test_bits},
        {"/cpu-model/catalogue", test_catalogue},
        {"/cpu-model/no-more-names", test_no_more_names},
        {"/cpu-model/newer", test_newer},
        {"/cpu-model/needs-are-met", test_needs_are_met},
        {"/cpu-model/help", test_help},
        {"/cpu-model/builtin", test_builtin},
        {"/cpu-model/host-gate", test_host_gate},
        {"/cpu-model/migratable", test_migratable},
        {"/cpu-model/extend", test_extend},
        {"/cpu-model/command-line", test_command_line},
        {"/cpu-model/explicit-level", test_explicit_level},
        {"/cpu-model/user-model", test_user_model},
        {"/cpu-model/shadow", test_shadow},
        {"/cpu-model/old-form", test_old_form},
        {"/cpu-model/templates", test_templates},
        {"/cpu-model/warns-once", test_warns_once},
        {"/cpu-model/default-is-silent", test_default_is_silent},
        {"/cpu-model/check-off", test_check_off},
        {"/cpu-model/enforce", test_enforce},
        {"/cpu-model/no-hyperv", test_no_hyperv},
        {"/cpu-model/unmet-need", test_unmet_need},
        {"/cpu-model/unknown-model", test_unknown_model},
        {"/cpu-model/missing-base", test_missing_base},
        {"/cpu-model/several-mistakes", test_several_mistakes},
        {"/cpu-model/cycle", test_cycle},
        {"/cpu-model/path-into-cycle", test_path_into_cycle},
    };

    g_test_init(&argc, &argv, NULL);
    for (unsigned i = 0; i < G_N_ELEMENTS(tests); i++) {
        g_test_add_func(tests[i].path, tests[i].test);
    }
    return g_test_run();
}
