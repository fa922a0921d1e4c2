/* SPDX-License-Identifier: GPL-2.0-or-later */
/* CPUs as text, written and read. tests/guest/test-cpuid.c walks the leaves in the same way. */
#include "target-i386/cpu-dump.h"

#include <stdio.h>
#include <string.h>

#include "target-i386/cpu-model-internal.h"
#include "target-i386/cpuid.h"
#include "target-i386/feature-table.h"

/* --- writing --------------------------------------------------------------------- */

typedef struct Dump {
    const X86CpuidTable *table;
    GString *text;
} Dump;

static void get(const Dump *dump, uint32_t leaf, uint32_t subleaf, uint32_t out[4])
{
    static const X86CpuidState after_reset = {.apic = true, .xcr0 = 1};

    x86_cpuid_table_get_live(dump->table, &after_reset, leaf, subleaf, out);
}

static void print(const Dump *dump, uint32_t leaf, uint32_t subleaf)
{
    uint32_t out[4];

    get(dump, leaf, subleaf, out);
    if (out[0] | out[1] | out[2] | out[3]) {
        g_string_append_printf(dump->text,
                               "   0x%08x 0x%02x: eax=0x%08x ebx=0x%08x ecx=0x%08x edx=0x%08x\n",
                               leaf, subleaf, out[0], out[1], out[2], out[3]);
    }
}

/* How many subleaves to show: lists end in many ways (SDM 2A table 3-8; APM 3 E.4). */
static unsigned count_subleaves(const Dump *dump, uint32_t leaf)
{
    uint32_t out[4];
    unsigned i;

    switch (leaf) {
    case 0x4:
    case 0x8000001d:
        for (i = 0; i < 32 && (get(dump, leaf, i, out), out[CPUID_EAX] & 0x1f); i++) {
        }
        return i;
    case 0xb:
    case 0x1f:
        for (i = 0; i < 32 && (get(dump, leaf, i, out), out[CPUID_ECX] >> 8 & 0xff); i++) {
        }
        return i;
    case 0x7:
    case 0x14:
    case 0x17:
    case 0x18:
    case 0x1d:
        get(dump, leaf, 0, out);
        return MIN(out[CPUID_EAX], 31) + 1;
    case 0xd:
        return 64;
    case 0xf:
    case 0x10:
    case 0x12:
        return 4;
    default:
        return 1;
    }
}

/* The leaves from @base up, if the CPU has such a range. */
static void print_range(const Dump *dump, uint32_t base)
{
    uint32_t out[4], last;

    get(dump, base, 0, out);
    last = out[CPUID_EAX];
    if (last < base || last - base > 0x1ff) {
        return;
    }
    for (uint32_t leaf = base; leaf <= last; leaf++) {
        unsigned count = count_subleaves(dump, leaf);
        for (unsigned subleaf = 0; subleaf < count; subleaf++) {
            print(dump, leaf, subleaf);
        }
    }
}

static gint compare_indices(gconstpointer a, gconstpointer b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return x < y ? -1 : x > y;
}

/* Numbers of the MSRs of which the model may say something, sorted. */
static GArray *list_msrs(const X86CpuModel *model)
{
    GArray *indices = g_array_new(FALSE, FALSE, sizeof(uint32_t));

    for (unsigned i = 0; i < FEATURE_WORD_COUNT; i++) {
        if (x86_feature_words[i].is_msr) {
            g_array_append_val(indices, x86_feature_words[i].leaf);
        }
    }
    for (unsigned i = 0; i < model->patches->len; i++) {
        const X86ModelPatch *patch = &g_array_index(model->patches, X86ModelPatch, i);
        if (patch->is_msr) {
            g_array_append_val(indices, patch->leaf);
        }
    }
    g_array_sort(indices, compare_indices);
    return indices;
}

static void print_msrs(const Dump *dump, const X86CpuModel *model)
{
    g_autoptr(GArray) indices = list_msrs(model);

    for (unsigned i = 0; i < indices->len; i++) {
        uint32_t index = g_array_index(indices, uint32_t, i);
        bool repeated = i && g_array_index(indices, uint32_t, i - 1) == index;
        uint64_t value;
        if (!repeated && x86_cpu_model_msr(model, index, &value)) {
            g_string_append_printf(dump->text, "   msr 0x%08x: 0x%016" G_GINT64_MODIFIER "x\n",
                                   index, value);
        }
    }
}

char *x86_cpu_dump(const X86CpuModel *model, const X86Topology *topology, const char *title)
{
    g_autoptr(X86CpuidTable) table = x86_cpuid_table_for(model, topology, 0);
    Dump dump = {table, g_string_new(NULL)};

    g_string_append_printf(dump.text, "# %s\nCPU 0:\n", title);
    print_range(&dump, 0);
    print_range(&dump, 0x40000000);
    print_range(&dump, 0x80000000);
    print_range(&dump, 0xc0000000);
    print_msrs(&dump, model);
    return g_string_free(dump.text, FALSE);
}

/* --- reading -------------------------------------------------------------------------- */

typedef struct Line {
    bool is_msr;
    uint32_t leaf, subleaf;
    uint32_t regs[4]; /* of an MSR the low and the high half */
} Line;

static bool parse_line(const char *text, Line *line)
{
    uint64_t value;

    *line = (Line){0};
    if (sscanf(text, " msr 0x%8x: 0x%16" G_GINT64_MODIFIER "x", &line->leaf, &value) == 2) {
        line->is_msr = true;
        line->regs[0] = value;
        line->regs[1] = value >> 32;
        return true;
    }
    return sscanf(text, " 0x%8x 0x%8x: eax=0x%8x ebx=0x%8x ecx=0x%8x edx=0x%8x", &line->leaf,
                  &line->subleaf, &line->regs[0], &line->regs[1], &line->regs[2],
                  &line->regs[3]) == 6;
}

static void read_version(X86CpuModel *model, uint32_t eax)
{
    unsigned family = eax >> 8 & 0xf;

    model->stepping = eax & 0xf;
    model->model = (eax >> 4 & 0xf) | (eax >> 12 & 0xf0);
    model->family = family == 0xf ? family + (eax >> 20 & 0xff) : family;
}

/* A cache in the encoding of leaf 4 and 8000001DH. */
static void read_cache(X86CpuModel *model, const uint32_t *regs)
{
    static const X86CacheKind kinds[4][4] = {
        [1] = {[1] = CACHE_L1D, [2] = CACHE_L1I}, [2] = {[3] = CACHE_L2}, [3] = {[3] = CACHE_L3}};
    unsigned level = regs[CPUID_EAX] >> 5 & 7, type = regs[CPUID_EAX] & 0x1f;
    uint64_t ways = (regs[CPUID_EBX] >> 22) + 1, line = (regs[CPUID_EBX] & 0xfff) + 1;
    uint64_t sets = (uint64_t)regs[CPUID_ECX] + 1;

    if (level < 1 || level > 3 || type < 1 || type > 3 || line != 64 || ways > 255) {
        return;
    }
    if ((level == 1) == (type == 3) || sets * ways * line > (uint64_t)1 << 32) {
        return;
    }
    model->caches[kinds[level][type]] = (X86Cache){sets * ways * line, ways};
}

static void read_leaf(X86CpuModel *model, const Line *line)
{
    const uint32_t *regs = line->regs;

    switch (line->leaf) {
    case 0:
        model->level = regs[CPUID_EAX] & 0xff;
        memcpy(model->vendor, &regs[CPUID_EBX], 4);
        memcpy(model->vendor + 4, &regs[CPUID_EDX], 4);
        memcpy(model->vendor + 8, &regs[CPUID_ECX], 4);
        break;
    case 1:
        read_version(model, regs[CPUID_EAX]);
        break;
    case 4:
    case 0x8000001d:
        read_cache(model, regs);
        break;
    case 7:
        model->level_func7 = line->subleaf ? model->level_func7 : MIN(regs[CPUID_EAX], 2);
        break;
    case 0x80000000:
        model->xlevel = regs[CPUID_EAX] >> 31 ? regs[CPUID_EAX] & 0x800000ff : 0;
        break;
    case 0x80000002:
    case 0x80000003:
    case 0x80000004:
        memcpy(model->model_id + 16 * (line->leaf - 0x80000002), regs, 16);
        break;
    case 0x80000008:
        model->phys_bits = CLAMP(regs[CPUID_EAX] & 0xff, 32, 52);
        model->virt_bits = CLAMP(regs[CPUID_EAX] >> 8 & 0xff, 32, 57);
        break;
    default:
        break;
    }
}

static void read_features(X86CpuModel *model, const Line *line)
{
    for (unsigned reg = 0; reg < (line->is_msr ? 2 : 4); reg++) {
        FeatureWord word = x86_feature_word_find(line->is_msr, line->leaf, line->subleaf, reg);
        if (word != FEATURE_WORD_COUNT) {
            model->features[word] = line->regs[reg] & x86_feature_word_known(word);
        }
    }
}

/* Names that no configuration file could hold are no names. */
static void clean_text(char *text)
{
    for (; *text; text++) {
        if (!g_ascii_isprint(*text)) {
            *text = '?';
        }
    }
}

X86CpuModel *x86_cpu_dump_read(const char *name, const char *text, GError **error)
{
    g_autoptr(X86CpuModel) model = x86_cpu_model_new(name);
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
    unsigned firsts = 0;
    Line line;

    memset(model->vendor, 0, sizeof(model->vendor));
    for (char **p = lines; *p && firsts < 2; p++) {
        if (!parse_line(*p, &line)) {
            continue;
        }
        firsts += !line.is_msr && line.leaf == 0;
        if (firsts == 1) {
            read_features(model, &line);
        }
        if (firsts == 1 && !line.is_msr) {
            read_leaf(model, &line);
        }
    }
    if (!firsts || strlen(model->vendor) != 12) {
        g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_INVAL,
                    "%s: no CPUID leaves as -cpu MODEL,dump or `cpuid -r` print them", name);
        return NULL;
    }
    clean_text(model->vendor);
    clean_text(model->model_id);
    x86_cpu_model_settle(model);
    return g_steal_pointer(&model);
}
