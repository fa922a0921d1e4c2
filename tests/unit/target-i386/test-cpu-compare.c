/* SPDX-License-Identifier: GPL-2.0-or-later */
/* CPU models as sets, CPUs as text, and what becomes of a model that cannot be had whole. */
#include <string.h>

#include "model-fixture.h"
#include "target-i386/cpu-compare.h"
#include "target-i386/cpu-dump.h"
#include "target-i386/cpu.h"
#include "target-i386/cpuid.h"
#include "target-i386/feature-table.h"

static const X86Topology one_cpu = {1, 1, 1, 1, 1, 1};

static X86CpuModel *find(Fixture *f, const char *name)
{
    X86CpuModel *model = x86_cpu_model_find(f->config, name, &f->caps, f->diag);

    fixture_assert_silent(f);
    g_assert_nonnull(model);
    return model;
}

/* --- comparison ------------------------------------------------------------------- */

static void assert_relation(Fixture *f, const char *a, const char *b, X86CpuRelation wanted,
                            const char *responsible)
{
    g_autoptr(X86CpuModel) one = find(f, a);
    g_autoptr(X86CpuModel) other = find(f, b);
    g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);
    X86CpuRelation relation = x86_cpu_compare(one, other, names);

    g_ptr_array_add(names, NULL);
    g_autofree char *list = g_strjoinv(" ", (char **)names->pdata);
    g_test_message("%s to %s: %s", a, b, list);
    g_assert_cmpstr(x86_cpu_relation_name(relation), ==, x86_cpu_relation_name(wanted));
    g_assert_cmpstr(list, ==, responsible);
}

static void test_relations(void)
{
    g_autoptr(Fixture) f = fixture_new(NULL, NULL);

    assert_relation(f, "Nehalem", "Nehalem-v1", X86_CPU_IDENTICAL, "");
    assert_relation(f, "Nehalem-v2", "Nehalem-v1", X86_CPU_SUPERSET, "model-id spec-ctrl");
    assert_relation(f, "Nehalem-v1", "Nehalem-v2", X86_CPU_SUBSET, "model-id spec-ctrl");
    assert_relation(f, "Skylake-Server-v1", "Skylake-Server-v2", X86_CPU_INCOMPATIBLE,
                    "model-id clflushopt spec-ctrl");
    /* Another name alone keeps nothing from running. */
    assert_relation(f, "Skylake-Server-v3", "Skylake-Server-v4", X86_CPU_IDENTICAL, "");
    assert_relation(f, "Haswell-v3", "Broadwell-v3", X86_CPU_SUBSET,
                    "model stepping model-id rdseed adx smap 3dnowprefetch");
}

/* --- baseline ------------------------------------------------------------------------- */

static void test_baseline(void)
{
    g_autoptr(Fixture) f = fixture_new(NULL, NULL);
    g_autoptr(X86CpuModel) haswell = find(f, "Haswell-noTSX");
    g_autoptr(X86CpuModel) skylake = find(f, "Skylake-Server-IBRS");
    const X86CpuModel *hosts[] = {skylake, haswell};
    g_autoptr(X86CpuModel) common = x86_cpu_baseline(hosts, 2);

    g_assert_cmpuint(common->model, ==, haswell->model);
    g_assert_cmpstr(common->model_id, ==, haswell->model_id);
    g_assert_true(x86_words_have(common->features, X86_FEATURE_AVX2));
    g_assert_false(x86_words_have(common->features, X86_FEATURE_RTM));
    g_assert_false(x86_words_have(common->features, X86_FEATURE_ADX));
    for (unsigned i = 0; i < 2; i++) {
        X86CpuRelation relation = x86_cpu_compare(common, hosts[i], NULL);
        g_assert_true(relation == X86_CPU_SUBSET || relation == X86_CPU_IDENTICAL);
    }
}

static void test_baseline_of_vendors(void)
{
    g_autoptr(Fixture) f = fixture_new(NULL, NULL);
    g_autoptr(X86CpuModel) intel = find(f, "Haswell");
    g_autoptr(X86CpuModel) amd = find(f, "EPYC");
    const X86CpuModel *hosts[] = {intel, amd};
    g_autoptr(X86CpuModel) common = x86_cpu_baseline(hosts, 2);

    g_assert_cmpuint(common->family, ==, 15);
    g_assert_cmpuint(common->model, ==, 6);
    g_assert_cmpuint(common->level, ==, 13);
    g_assert_cmphex(common->xlevel, ==, 0x80000008);
    g_assert_true(x86_words_have(common->features, X86_FEATURE_AVX2));
    g_assert_false(x86_words_have(common->features, X86_FEATURE_PCID));
    g_assert_false(x86_words_have(common->features, X86_FEATURE_SSE4A));
}

/* The text of every shipped model is a [cpudef] that makes the same model. */
static void test_cpudef_text(void)
{
    static const char *const names[] = {"486", "qemu64", "Nehalem-v2", "EPYC-Turin", "core2duo",
                                        "SapphireRapids", "x86-64-v4"};
    g_autoptr(Fixture) f = fixture_new(NULL, NULL);

    for (unsigned i = 0; i < G_N_ELEMENTS(names); i++) {
        g_autoptr(X86CpuModel) model = find(f, names[i]);
        g_autofree char *text = x86_cpu_cpudef_text(model, "copy");
        g_autoptr(Fixture) user = fixture_new(text, NULL);
        g_autoptr(X86CpuModel) copy = find(user, "copy");
        g_test_message("%s", text);
        g_assert_cmpint(x86_cpu_compare(model, copy, NULL), ==, X86_CPU_IDENTICAL);
        g_assert_cmpmem(model->caches, sizeof(model->caches), copy->caches, sizeof(copy->caches));
    }
}

/* --- what cannot be had, what there is ------------------------------------------------------- */

static void test_unavailable(void)
{
    g_autoptr(Fixture) f = fixture_new(NULL, NULL);
    g_autoptr(X86CpuModel) model = find(f, "Opteron_G2");
    g_autoptr(GPtrArray) names = x86_cpu_unavailable(model, &f->caps);

    g_assert_cmpuint(names->len, ==, 1);
    g_assert_cmpstr(names->pdata[0], ==, "svm");
}

static void collect(void *opaque, const X86CpuProperty *property)
{
    char *value = property->type == X86_CPU_BOOL ? g_strdup(property->on ? "on" : "off")
                  : property->type == X86_CPU_UINT
                      ? g_strdup_printf("%" G_GUINT64_FORMAT, property->number)
                      : g_strdup(property->text);

    /* No name twice: they become the members of a JSON object. */
    g_assert_true(g_hash_table_insert(opaque, g_strdup(property->name), value));
}

static GHashTable *expand(const X86CpuModel *model, bool full)
{
    GHashTable *table = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);

    x86_cpu_expand(model, full, collect, table);
    return table;
}

static void test_expand_full(void)
{
    g_autoptr(Fixture) f = fixture_new(NULL, NULL);
    g_autoptr(X86CpuModel) model = find(f, "Nehalem");
    g_autoptr(GHashTable) table = expand(model, true);

    g_assert_cmpstr(g_hash_table_lookup(table, "vendor"), ==, "GenuineIntel");
    g_assert_cmpstr(g_hash_table_lookup(table, "level"), ==, "11");
    g_assert_cmpstr(g_hash_table_lookup(table, "sse4.2"), ==, "on");
    g_assert_cmpstr(g_hash_table_lookup(table, "sse4-2"), ==, "on");
    g_assert_cmpstr(g_hash_table_lookup(table, "sse4_2"), ==, "on");
    g_assert_cmpstr(g_hash_table_lookup(table, "lahf_lm"), ==, "on");
    g_assert_cmpstr(g_hash_table_lookup(table, "avx"), ==, "off");
}

/* The static form on "base" is the same CPU. */
static void test_expand_static(void)
{
    g_autoptr(Fixture) f = fixture_new(NULL, NULL);
    g_autoptr(X86CpuModel) model = find(f, "SandyBridge-IBRS");
    g_autoptr(GHashTable) table = expand(model, false);
    g_autoptr(GString) cpu = g_string_new("base");
    GHashTableIter iter;
    gpointer key, value;

    g_assert_null(g_hash_table_lookup(table, "sse4_2"));
    g_hash_table_iter_init(&iter, table);
    while (g_hash_table_iter_next(&iter, &key, &value)) {
        g_auto(GStrv) parts = g_strsplit(value, ",", -1);
        g_autofree char *quoted = g_strjoinv(",,", parts);
        g_string_append_printf(cpu, ",%s=%s", (char *)key, quoted);
    }
    g_autoptr(Fixture) other = fixture_new(NULL, cpu->str);
    g_autoptr(X86CpuModel) same = fixture_resolve(other);
    g_assert_nonnull(same);
    g_assert_cmpint(x86_cpu_compare(model, same, NULL), ==, X86_CPU_IDENTICAL);
}

/* --- text ---------------------------------- */

static void test_dump_round_trip(void)
{
    static const char *const names[] = {"486",        "qemu64",          "Penryn",
                                        "Haswell",    "Icelake-Server",  "EPYC-Milan",
                                        "EPYC-Turin", "GraniteRapids",   "KnightsMill",
                                        "Dhyana",     "Cascadelake-Server-v2"};
    g_autoptr(Fixture) f = fixture_new(NULL, NULL);
    g_autoptr(GError) error = NULL;

    for (unsigned i = 0; i < G_N_ELEMENTS(names); i++) {
        g_autoptr(X86CpuModel) model = find(f, names[i]);
        g_autofree char *text = x86_cpu_dump(model, &one_cpu, names[i]);
        g_autoptr(X86CpuModel) read = x86_cpu_dump_read(names[i], text, &error);
        g_autoptr(GPtrArray) responsible = g_ptr_array_new_with_free_func(g_free);
        g_assert_no_error(error);
        X86CpuRelation relation = x86_cpu_compare(model, read, responsible);
        g_ptr_array_add(responsible, NULL);
        g_autofree char *list = g_strjoinv(" ", (char **)responsible->pdata);
        g_test_message("%s: %s", names[i], list);
        g_assert_cmpstr(list, ==, "");
        g_assert_cmpint(relation, ==, X86_CPU_IDENTICAL);
    }
}

/* The form of `cpuid -r`, two CPUs of it: the first counts. */
static void test_cpuid_r(void)
{
    static const char text[] =
        "CPU 0:\n"
        "   0x00000000 0x00: eax=0x00000004 ebx=0x756e6547 ecx=0x6c65746e edx=0x49656e69\n"
        "   0x00000001 0x00: eax=0x000306c3 ebx=0x00100800 ecx=0x00000001 edx=0x07000001\n"
        "   0x00000004 0x00: eax=0x00000121 ebx=0x01c0003f ecx=0x0000003f edx=0x00000000\n"
        "   0x80000000 0x00: eax=0x80000004 ebx=0x00000000 ecx=0x00000000 edx=0x00000000\n"
        "   0x80000002 0x00: eax=0x00000041 ebx=0x00000000 ecx=0x00000000 edx=0x00000000\n"
        "CPU 1:\n"
        "   0x00000000 0x00: eax=0x00000004 ebx=0x756e6547 ecx=0x6c65746e edx=0x49656e69\n"
        "   0x00000001 0x00: eax=0x00020652 ebx=0x00100800 ecx=0xffffffff edx=0xffffffff\n";
    g_autoptr(GError) error = NULL;
    g_autoptr(X86CpuModel) model = x86_cpu_dump_read("host", text, &error);

    g_assert_no_error(error);
    g_assert_cmpuint(model->family, ==, 6);
    g_assert_cmpuint(model->model, ==, 0x3c);
    g_assert_cmpuint(model->stepping, ==, 3);
    g_assert_cmpstr(model->model_id, ==, "A");
    g_assert_cmpuint(model->caches[CACHE_L1D].size, ==, 32768);
    g_assert_cmphex(model->features[FEATURE_WORD_1_EDX], ==, 0x07000001);
    g_assert_cmphex(model->features[FEATURE_WORD_1_ECX], ==, 1);
}

static void test_no_dump(void)
{
    static const char *const texts[] = {
        "", "CPU 0:\n", "   0x00000000 0x00: eax=0x4\n",
        "   0x00000000 0x00: eax=0x00000004 ebx=0x00000000 ecx=0x6c65746e edx=0x49656e69\n",
        "   0x00000001 0x00: eax=0x00000004 ebx=0x756e6547 ecx=0x6c65746e edx=0x49656e69\n"};

    for (unsigned i = 0; i < G_N_ELEMENTS(texts); i++) {
        g_autoptr(GError) error = NULL;
        g_assert_null(x86_cpu_dump_read("x", texts[i], &error));
        g_assert_error(error, G_FILE_ERROR, G_FILE_ERROR_INVAL);
    }
}

/* Whatever a file says, the result is a model that can be shown again. */
static void test_hostile_dump(void)
{
    g_autoptr(GString) text = g_string_new(
        "   0x00000000 0x00: eax=0xffffffff ebx=0x22222222 ecx=0x0a5c2222 edx=0x22222222\n");
    g_autoptr(GError) error = NULL;

    for (unsigned i = 1; i < 64; i++) {
        g_string_append_printf(text, "   0x%08x 0x%02x: eax=0xffffffff ebx=0xffffffff "
                               "ecx=0xffffffff edx=0xffffffff\n",
                               i < 32 ? i : 0x80000000 + i - 32, i % 5);
    }
    g_autoptr(X86CpuModel) model = x86_cpu_dump_read("x", text->str, &error);
    g_assert_no_error(error);
    g_autofree char *cpudef = x86_cpu_cpudef_text(model, "copy");
    g_autofree char *again = x86_cpu_dump(model, &one_cpu, "x");
    g_assert_nonnull(strstr(cpudef, "copy"));
    g_assert_cmpuint(model->level, <=, 0xff);
    g_assert_cmphex(model->xlevel, <=, 0x800000ff);
    g_assert_nonnull(strstr(again, "0x00000001"));
}

/* --- choices of the user --------------------------------------------------------------------- */

static void test_fallback(void)
{
    g_autoptr(Fixture) f = fixture_new("[cpudef \"mine\"]\n  base_cpudef = \"Haswell\"\n"
                                       "  fallback = \"Icelake-Server Haswell-noTSX Nehalem\"\n",
                                       "mine,-fma");
    g_autoptr(X86CpuModel) model = fixture_resolve(f);
    g_autofree char *said = diag_take_text(f->diag);

    g_assert_nonnull(model);
    g_assert_cmpstr(model->name, ==, "Haswell-noTSX");
    g_assert_cmpuint(model->stepping, ==, 1);
    g_assert_false(x86_words_have(model->features, X86_FEATURE_FMA));
    g_assert_nonnull(strstr(said, "CPU 'mine': hle rtm"));
    g_assert_nonnull(strstr(said, "its fallback 'Haswell-noTSX' is used instead"));
    g_assert_null(strstr(said, "Icelake"));
}

static void test_fallback_not_needed(void)
{
    g_autoptr(Fixture) f = fixture_new(NULL, "Haswell-noTSX,fallback=Nehalem,enforce=on");
    g_autoptr(X86CpuModel) model = fixture_resolve(f);

    g_assert_cmpstr(model->name, ==, "Haswell-noTSX");
    fixture_assert_silent(f);
}

static void test_no_fallback_will_do(void)
{
    g_autoptr(Fixture) f = fixture_new(NULL, "EPYC,fallback=Opteron_G2 Haswell");
    g_autoptr(Fixture) strict = fixture_new(NULL, "EPYC,fallback=Opteron_G2,enforce=on");
    g_autoptr(Fixture) wrong = fixture_new(NULL, "EPYC,fallback=Opteron_G9");
    g_autoptr(X86CpuModel) model = fixture_resolve(f);

    g_assert_cmpstr(model->name, ==, "EPYC");
    fixture_assert_said(f, "cannot offer these features of CPU 'EPYC'");
    fixture_assert_refused(strict, "cannot offer these features of CPU 'EPYC'", NULL);
    fixture_assert_refused(wrong, "there is no CPU model 'Opteron_G9'", "Opteron_G", NULL);
}

/* What falls with a feature that was taken away is said, in one message. */
static void test_broken_needs(void)
{
    g_autoptr(Fixture) f = fixture_new(NULL, "Haswell-noTSX,-sse4.2");
    g_autoptr(X86CpuModel) model = fixture_resolve(f);
    g_autofree char *said = diag_take_text(f->diag);

    g_assert_false(x86_words_have(model->features, X86_FEATURE_AVX2));
    g_assert_nonnull(strstr(said, "avx (needs sse4.2)"));
    g_assert_nonnull(strstr(said, "avx2 (needs avx)"));
    g_assert_nonnull(strstr(said, "fma (needs avx)"));
    g_assert_cmpuint(diag_errors(f->diag), ==, 0);
}

static void test_quiet_tools(void)
{
    g_autoptr(Fixture) f = fixture_new(NULL, "baseline=host,baseline=Nehalem");
    g_autoptr(X86CpuModel) model = fixture_resolve(f);

    g_assert_nonnull(model);
    fixture_assert_silent(f);
}

static void test_clock_and_microcode(void)
{
    g_autoptr(Fixture) f = fixture_new(NULL, "Nehalem,tsc-frequency=2.5G,ucode-rev=0x1200000000");
    g_autoptr(Fixture) plain = fixture_new(NULL, "Nehalem,tsc-frequency=1234567");
    g_autoptr(X86CpuModel) model = fixture_resolve(f);
    g_autoptr(X86CpuModel) other = fixture_resolve(plain);
    uint64_t value;

    g_assert_cmpuint(model->tsc_hz, ==, 2500000000);
    g_assert_cmpuint(other->tsc_hz, ==, 1234567);
    g_assert_true(x86_cpu_model_msr(model, 0x8b, &value));
    g_assert_cmphex(value, ==, 0x1200000000);
    g_assert_cmphex(x86_cpu_model_patch_msr(other, 0x8b, 7), ==, 7);
    static const char *const wrong[] = {"fast", "1", "2.5T", "2G4", "-1G", "9e30"};
    for (unsigned i = 0; i < G_N_ELEMENTS(wrong); i++) {
        g_autofree char *cpu = g_strdup_printf("Nehalem,tsc-frequency=%s", wrong[i]);
        g_autoptr(Fixture) bad = fixture_new(NULL, cpu);
        fixture_assert_refused(bad, "a TSC frequency is from 1M to 1000G", wrong[i], NULL);
    }
}

static void test_hidden(void)
{
    g_autoptr(Fixture) f = fixture_new(NULL, "Nehalem,kvm=off");
    g_autoptr(X86CpuModel) model = fixture_resolve(f);
    g_autoptr(X86CpuidTable) table = x86_cpuid_table_for(model, &one_cpu, 0);
    uint32_t out[4];

    g_assert_cmpstr(model->signature, ==, "");
    x86_cpuid_table_get(table, 1, 0, out);
    g_assert_cmphex(out[CPUID_ECX] >> 31, ==, 1);
    x86_cpuid_table_get(table, 0x40000000, 0, out);
    g_assert_cmphex(out[CPUID_EBX], !=, 0x54474354);
}

static void test_build(void)
{
    g_autoptr(Fixture) f = fixture_new(NULL, "base,+aes,model-id=mine,level=5");
    const ConfigGroup *changes = config_find(f->config, "cpu", NULL);
    g_autoptr(X86CpuModel) model = x86_cpu_model_build(f->config, "Nehalem", changes, &f->caps,
                                                       f->diag);

    g_assert_cmpstr(model->model_id, ==, "mine");
    g_assert_cmpuint(model->level, ==, 5);
    g_assert_cmpuint(model->model, ==, 26);
    g_assert_true(x86_words_have(model->features, X86_FEATURE_AES));
}

/* As libvirt asks: {"name": "host", "props": {"migratable": false, "hv-passthrough": true}}. */
static void test_build_not_migratable(void)
{
    g_autoptr(Fixture) f = fixture_new(NULL, "base,migratable=off,hv-passthrough=on");
    const ConfigGroup *changes = config_find(f->config, "cpu", NULL);

    x86_words_set(f->caps.supported, X86_FEATURE_HV_RELAXED, true);
    f->caps.tsc_hz = 0;
    g_autoptr(X86CpuModel) max = x86_cpu_model_build(f->config, "max", changes, &f->caps, f->diag);
    g_autoptr(X86CpuModel) moves = x86_cpu_model_build(f->config, "max", NULL, &f->caps, f->diag);
    g_assert_true(x86_words_have(max->features, X86_FEATURE_INVTSC));
    g_assert_true(x86_words_have(max->features, X86_FEATURE_HV_RELAXED));
    g_assert_false(x86_words_have(moves->features, X86_FEATURE_INVTSC));
    g_assert_false(x86_words_have(moves->features, X86_FEATURE_HV_RELAXED));
}

/* Where the TSC ticks alike on every host, a move breaks no promise, and the rate is told. */
static void test_build_own_tsc(void)
{
    g_autoptr(Fixture) f = fixture_new(NULL, NULL);
    g_autoptr(X86CpuModel) max = x86_cpu_model_build(f->config, "max", NULL, &f->caps, f->diag);

    g_assert_cmpuint(f->caps.tsc_hz, ==, 1000000000);
    g_assert_true(x86_words_have(max->features, X86_FEATURE_INVTSC));
    g_assert_cmpuint(max->tsc_hz, ==, 1000000000);
    g_assert_cmpuint(max->level, >=, 0x15);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/cpu-compare/relations", test_relations);
    g_test_add_func("/cpu-compare/baseline", test_baseline);
    g_test_add_func("/cpu-compare/baseline-of-vendors", test_baseline_of_vendors);
    g_test_add_func("/cpu-compare/cpudef-text", test_cpudef_text);
    g_test_add_func("/cpu-compare/unavailable", test_unavailable);
    g_test_add_func("/cpu-compare/expand-full", test_expand_full);
    g_test_add_func("/cpu-compare/expand-static", test_expand_static);
    g_test_add_func("/cpu-dump/round-trip", test_dump_round_trip);
    g_test_add_func("/cpu-dump/cpuid-r", test_cpuid_r);
    g_test_add_func("/cpu-dump/none", test_no_dump);
    g_test_add_func("/cpu-dump/hostile", test_hostile_dump);
    g_test_add_func("/cpu-model/fallback", test_fallback);
    g_test_add_func("/cpu-model/fallback-not-needed", test_fallback_not_needed);
    g_test_add_func("/cpu-model/no-fallback-will-do", test_no_fallback_will_do);
    g_test_add_func("/cpu-model/broken-needs", test_broken_needs);
    g_test_add_func("/cpu-model/quiet-tools", test_quiet_tools);
    g_test_add_func("/cpu-model/clock-and-microcode", test_clock_and_microcode);
    g_test_add_func("/cpu-model/hidden", test_hidden);
    g_test_add_func("/cpu-model/build", test_build);
    g_test_add_func("/cpu-model/build-not-migratable", test_build_not_migratable);
    g_test_add_func("/cpu-compare/own-tsc", test_build_own_tsc);
    return g_test_run();
}
