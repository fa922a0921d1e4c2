/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Models and features as libvirt's cpu map, in the form of libvirt 9 (cpu_map/x86_*.xml). */
#include "target-i386/cpu-map.h"

#include <string.h>

#include "target-i386/cpu-model-internal.h"
#include "target-i386/feature-table.h"

/* Features that libvirt spells in another way than QEMU. */
static const struct {
    const char *ours, *libvirt;
} spellings[] = {
    {"pclmulqdq", "pclmuldq"},       {"ds-cpl", "ds_cpl"},
    {"tsc-adjust", "tsc_adjust"},    {"fxsr-opt", "fxsr_opt"},
    {"lahf-lm", "lahf_lm"},          {"cmp-legacy", "cmp_legacy"},
    {"nodeid-msr", "nodeid_msr"},    {"perfctr-core", "perfctr_core"},
    {"perfctr-nb", "perfctr_nb"},
};

static const struct {
    const char *name, *text;
} vendors[] = {
    {"Intel", "GenuineIntel"}, {"AMD", "AuthenticAMD"}, {"Hygon", "HygonGenuine"},
};

static const char *libvirt_name(const char *name)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(spellings); i++) {
        if (!strcmp(spellings[i].ours, name)) {
            return spellings[i].libvirt;
        }
    }
    return name;
}

static void print_feature(GString *xml, const X86FeatureInfo *info)
{
    static const char *const registers[] = {"eax", "ebx", "ecx", "edx"};
    const X86FeatureWordInfo *word = &x86_feature_words[info->feature >> 5];
    uint32_t bit = 1u << (info->feature & 31);
    bool stays = info->feature == X86_FEATURE_INVTSC; /* a promise that a move would break */

    g_string_append_printf(xml, "  <feature name='%s'%s>\n", libvirt_name(info->name),
                           stays ? " migratable='no'" : "");
    if (word->is_msr) {
        g_string_append_printf(xml, "    <msr index='0x%x' edx='0x%08x' eax='0x%08x'/>\n",
                               word->leaf, word->reg ? bit : 0, word->reg ? 0 : bit);
    } else {
        g_string_append_printf(xml, "    <cpuid eax_in='0x%02x' ecx_in='0x%02x' %s='0x%08x'/>\n",
                               word->leaf, word->subleaf, registers[word->reg], bit);
    }
    g_string_append(xml, "  </feature>\n");
}

static void print_vendor_of(GString *xml, const X86CpuModel *model)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(vendors); i++) {
        if (!strcmp(vendors[i].text, model->vendor)) {
            g_string_append_printf(xml, "    <vendor name='%s'/>\n", vendors[i].name);
        }
    }
}

/* That a CPU is virtual libvirt does not count among a model's features. */
static void print_model(GString *xml, const X86CpuModel *model)
{
    g_autofree char *name = g_markup_escape_text(model->name, -1);

    g_string_append_printf(xml, "  <model name='%s'>\n    <decode host='on' guest='on'/>\n"
                                "    <signature family='%" G_GUINT64_FORMAT "' model='%"
                                G_GUINT64_FORMAT "'/>\n", name, model->family, model->model);
    print_vendor_of(xml, model);
    for (const X86FeatureInfo *info = x86_features; info->name; info++) {
        if (x86_words_have(model->features, info->feature)
            && info->feature != X86_FEATURE_HYPERVISOR) {
            g_string_append_printf(xml, "    <feature name='%s'/>\n", libvirt_name(info->name));
        }
    }
    g_string_append(xml, "  </model>\n");
}

char *x86_cpu_map_xml(const Config *config, const X86CpuCaps *caps, Diag *diag)
{
    g_autoptr(GPtrArray) names = x86_cpu_model_names(config);
    g_autoptr(GString) xml = g_string_new("<cpus>\n");

    for (unsigned i = 0; i < G_N_ELEMENTS(vendors); i++) {
        g_string_append_printf(xml, "  <vendor name='%s' string='%s'/>\n", vendors[i].name,
                               vendors[i].text);
    }
    for (const X86FeatureInfo *info = x86_features; info->name; info++) {
        /* To libvirt, Hyper-V's are no features of a CPU. */
        if (!x86_feature_word_is_hyperv(info->feature >> 5)) {
            print_feature(xml, info);
        }
    }
    for (unsigned i = 0; names->pdata[i]; i++) {
        if (!x86_model_find_group(config, names->pdata[i], NULL)) {
            continue; /* host, max and base are no models to libvirt */
        }
        g_autoptr(X86CpuModel) model = x86_cpu_model_find(config, names->pdata[i], caps, diag);
        if (!model) {
            return NULL;
        }
        print_model(xml, model);
    }
    g_string_append(xml, "</cpus>\n");
    return g_string_free(g_steal_pointer(&xml), FALSE);
}
