/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The CPUID table (SDM 2A CPUID; APM 3 appendix E) and the bits that follow the guest's state. */
#include "target-i386/cpuid.h"

#include <string.h>

#include "target-i386/cpu.h"
#include "target-i386/feature-table.h"
#include "target-i386/interp/fpu-image.h"
#include "util/lock.h"

typedef struct Leaf {
    uint32_t leaf, subleaf;
    uint32_t regs[4];
} Leaf;

struct X86CpuidTable {
    GArray *leaves;    /* of Leaf, in the order they were added */
    bool amd;          /* leaves out of range are zero (AMD), else the highest basic one (Intel) */
    uint32_t level, xlevel, hypervisor_level, via_level;
};

/* What the table is made from. */
typedef struct Builder {
    const X86CpuModel *model;
    const X86Topology *topology;
    uint32_t apic_id;
    X86CpuidTable *table;
} Builder;

/* Bits of CPUID.1:EDX that AMD repeats in 80000001H:EDX (APM 3 E.4.2). */
#define AMD_REPEATED 0x0183f3ffu
/* XSAVEC and XSAVES in leaf 0DH, 1: EBX is the size of a compacted area (SDM 2A CPUID). */
#define XSAVE_COMPACTS 0xau
/* The local APIC's timer counts at this rate (hw/intc/apic-timer.c, and KVM's own). */
#define APIC_TIMER_HZ 1000000000u
/* An xAPIC id has 8 bits, and FFH is the broadcast id (SDM 3A 11.4.6, 11.6.2.1). */
#define MAX_APIC_ID 254u

/* --- XSAVE components ----------------------------------------------------------- */

/* The feature that brings a component, by its bit in XCR0 (SDM 1, 13.1); sizes are xsave.c's. */
static const X86Feature component_features[XSAVE_COMPONENTS] = {
    [0] = X86_FEATURE_XSAVE,   [1] = X86_FEATURE_XSAVE,   [2] = X86_FEATURE_AVX,
    [5] = X86_FEATURE_AVX512F, [6] = X86_FEATURE_AVX512F, [7] = X86_FEATURE_AVX512F,
    [9] = X86_FEATURE_PKU,
};

uint64_t x86_xcr0_supported(const uint32_t features[FEATURE_WORD_COUNT])
{
    uint64_t supported = 0;

    if (!x86_words_have(features, X86_FEATURE_XSAVE)) {
        return 0;
    }
    for (unsigned i = 0; i < XSAVE_COMPONENTS; i++) {
        if (xsave_components[i].size && x86_words_have(features, component_features[i])) {
            supported |= (uint64_t)1 << i;
        }
    }
    return supported;
}

/* --- building ---------------------------------------------------------------------- */

static void add(Builder *b, uint32_t leaf, uint32_t subleaf, uint32_t eax, uint32_t ebx,
                uint32_t ecx, uint32_t edx)
{
    Leaf entry = {leaf, subleaf, {eax, ebx, ecx, edx}};

    g_array_append_val(b->table->leaves, entry);
}

static Leaf *find(const X86CpuidTable *table, uint32_t leaf, uint32_t subleaf)
{
    for (unsigned i = 0; i < table->leaves->len; i++) {
        Leaf *entry = &g_array_index(table->leaves, Leaf, i);
        if (entry->leaf == leaf && entry->subleaf == subleaf) {
            return entry;
        }
    }
    return NULL;
}

static uint32_t word(const Builder *b, FeatureWord index)
{
    return b->model->features[index];
}

static bool has(const Builder *b, X86Feature feature)
{
    return x86_words_have(b->model->features, feature);
}

static uint32_t text_word(const char *text, unsigned index)
{
    uint32_t value;

    memcpy(&value, text + 4 * index, 4);
    return value;
}

/* SDM 2A CPUID figure 3-6. */
static uint32_t version(const X86CpuModel *m)
{
    uint32_t family = MIN(m->family, 0xf);

    return m->stepping | (m->model & 0xf) << 4 | family << 8 | (m->model >> 4) << 16
           | (m->family - family) << 20;
}

static void add_identity(Builder *b)
{
    const X86CpuModel *m = b->model;
    unsigned count = x86_topology_package_cpus(b->topology);
    unsigned ids = b->table->amd ? count : 1u << x86_topology_package_shift(b->topology);
    uint32_t ebx = b->apic_id << 24 | (has(b, X86_FEATURE_CLFLUSH) ? 8u << 8 : 0);

    add(b, 0, 0, m->level, text_word(m->vendor, 0), text_word(m->vendor, 2),
        text_word(m->vendor, 1));
    if (count > 1) {
        ebx |= MIN(ids, 255) << 16;
    }
    add(b, 1, 0, version(m), ebx, word(b, FEATURE_WORD_1_ECX), word(b, FEATURE_WORD_1_EDX));
}

/* One cache in the encoding that Intel's leaf 4 and AMD's 8000001DH share. */
static void add_cache(Builder *b, uint32_t leaf, uint32_t *subleaf, X86CacheKind kind,
                      unsigned sharing)
{
    static const uint8_t types[CACHE_COUNT] = {1, 2, 3, 3}; /* data, instruction, unified */
    static const uint8_t levels[CACHE_COUNT] = {1, 1, 2, 3};
    const X86Cache *cache = &b->model->caches[kind];
    const X86Topology *t = b->topology;
    unsigned cores = 1u << (x86_topology_package_shift(t) - x86_topology_core_shift(t));
    uint32_t eax = types[kind] | levels[kind] << 5 | 1u << 8 | (sharing - 1) << 14;

    if (!cache->size || !cache->ways) {
        return;
    }
    if (leaf == 4) {
        eax |= MIN(cores - 1, 0x3f) << 26;
    }
    add(b, leaf, (*subleaf)++, eax, 63 | (uint32_t)(cache->ways - 1) << 22,
        cache->size / cache->ways / 64 - 1, 0);
}

static void add_caches(Builder *b, uint32_t leaf, unsigned core_sharing, unsigned l3_sharing)
{
    uint32_t subleaf = 0;

    add_cache(b, leaf, &subleaf, CACHE_L1D, core_sharing);
    add_cache(b, leaf, &subleaf, CACHE_L1I, core_sharing);
    add_cache(b, leaf, &subleaf, CACHE_L2, core_sharing);
    add_cache(b, leaf, &subleaf, CACHE_L3, l3_sharing);
}

/*
 * Descriptors for CPUs before leaf 4: 32K L1D (2CH), 32K L1I (30H), 2M L2 (7DH); later ones say
 * "see leaf 4" (FFH). SDM 2A table 3-12. AMD has neither leaf.
 */
static void add_intel_caches(Builder *b)
{
    const X86Topology *t = b->topology;

    if (b->table->amd) {
        return;
    }
    if (b->model->level < 4) {
        add(b, 2, 0, 1, 0, 0, 0x002c307d);
        return;
    }
    add(b, 2, 0, 0x0000ff01, 0, 0, 0);
    add_caches(b, 4, 1u << x86_topology_core_shift(t), 1u << x86_topology_package_shift(t));
}

/* One level of leaves BH and 1FH: @type 1 is threads, 2 cores, 5 dies. */
static void add_level(Builder *b, uint32_t leaf, uint32_t subleaf, unsigned type, unsigned shift,
                      unsigned count)
{
    add(b, leaf, subleaf, shift, count, subleaf | type << 8, b->apic_id);
}

static void add_topology(Builder *b)
{
    const X86Topology *t = b->topology;
    unsigned package = x86_topology_package_shift(t);

    add_level(b, 0xb, 0, 1, x86_topology_core_shift(t), t->threads);
    add_level(b, 0xb, 1, 2, package, x86_topology_package_cpus(t));
    add(b, 0xb, 2, 0, 0, 2, b->apic_id);
    if (t->dies > 1) {
        add_level(b, 0x1f, 0, 1, x86_topology_core_shift(t), t->threads);
        add_level(b, 0x1f, 1, 2, x86_topology_die_shift(t), t->cores * t->threads);
        add_level(b, 0x1f, 2, 5, package, x86_topology_package_cpus(t));
        add(b, 0x1f, 3, 0, 0, 3, b->apic_id);
    }
}

/* EBX of subleaves 0 and 1 follows XCR0 and XSS: cpu_cpuid() puts it in. */
static void add_xsave(Builder *b)
{
    uint64_t supported = x86_xcr0_supported(b->model->features);

    if (!supported) {
        return;
    }
    add(b, 0xd, 0, supported, 0, xsave_area_size(supported, false), 0);
    add(b, 0xd, 1, word(b, FEATURE_WORD_D_1_EAX), 0, 0, 0);
    for (unsigned i = 2; i < XSAVE_COMPONENTS; i++) {
        const XsaveComponent *component = &xsave_components[i];
        if (supported >> i & 1) {
            add(b, 0xd, i, component->size, component->offset, component->align64 ? 2 : 0, 0);
        }
    }
}

/* Leaf 5 (MONITOR lines of 64 bytes, interrupts break MWAIT), 6, 7, 12H and 14H. */
static void add_feature_leaves(Builder *b)
{
    if (has(b, X86_FEATURE_MONITOR)) {
        add(b, 5, 0, 64, 64, 3, 0);
    }
    add(b, 6, 0, word(b, FEATURE_WORD_6_EAX), 0, 0, 0);
    add(b, 7, 0, b->model->level_func7, word(b, FEATURE_WORD_7_EBX),
        word(b, FEATURE_WORD_7_ECX), word(b, FEATURE_WORD_7_EDX));
    add(b, 7, 1, word(b, FEATURE_WORD_7_1_EAX), 0, 0, word(b, FEATURE_WORD_7_1_EDX));
    add(b, 7, 2, 0, 0, 0, word(b, FEATURE_WORD_7_2_EDX));
    add(b, 0x12, 0, word(b, FEATURE_WORD_12_0_EAX), word(b, FEATURE_WORD_12_0_EBX), 0, 0);
    add(b, 0x12, 1, word(b, FEATURE_WORD_12_1_EAX), 0, 0, 0);
    add(b, 0x14, 0, 0, 0, word(b, FEATURE_WORD_14_0_ECX), 0);
}

static uint64_t greatest_divisor(uint64_t a, uint64_t b)
{
    while (b) {
        uint64_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

/*
 * Leaf 15H: the rate of the TSC as a ratio (EBX to EAX) to a clock (ECX), which also counts the
 * local APIC's timer. Where the rate is not the model's, the accelerator's leaves may tell of it.
 */
static void add_tsc(Builder *b)
{
    uint64_t hz = b->model->tsc_hz;
    uint64_t divisor = greatest_divisor(hz, APIC_TIMER_HZ);

    if (hz && hz / divisor <= UINT32_MAX) {
        add(b, 0x15, 0, APIC_TIMER_HZ / divisor, hz / divisor, APIC_TIMER_HZ, 0);
    }
}

/*
 * Leaves 1DH and 1EH: palette 1 of eight tiles of 16 rows by 64 bytes, and a multiplier of 16 by 16
 * (SDM 1, 18.3; the values of Sapphire Rapids, on which the instructions depend).
 */
static void add_amx(Builder *b)
{
    if (has(b, X86_FEATURE_AMX_TILE)) {
        add(b, 0x1d, 0, 1, 0, 0, 0);
        add(b, 0x1d, 1, 0x04002000, 0x00080040, 16, 0);
        add(b, 0x1e, 0, 0, 0x4010, 0, 0);
    }
}

static void add_signature(Builder *b, uint32_t base, uint32_t last, const char *signature)
{
    b->table->hypervisor_level = MAX(b->table->hypervisor_level, last);
    add(b, base, 0, last, text_word(signature, 0), text_word(signature, 1),
        text_word(signature, 2));
}

/*
 * The leaves of Hyper-V (Hypervisor Top Level Functional Specification 2.4): interface "Hv#1" of
 * version 10.0.14393, hypercalls, the features asked for and what belongs to them, recommendations.
 */
static void add_hyperv(Builder *b)
{
    const char *vendor = b->model->hv_vendor[0] ? b->model->hv_vendor : "Microsoft Hv";
    uint32_t access = word(b, FEATURE_WORD_HV_EAX) | 1u << 5 | 1u << 6;
    uint32_t features = word(b, FEATURE_WORD_HV_EDX);
    uint32_t hints = word(b, FEATURE_WORD_HV_HINTS);
    uint64_t spins = b->model->hv_spinlocks;

    access |= has(b, X86_FEATURE_HV_TIME) ? 1u << 9 : 0;         /* reference TSC page */
    features |= has(b, X86_FEATURE_HV_FREQUENCIES) ? 1u << 8 : 0;
    hints |= has(b, X86_FEATURE_HV_VAPIC) ? 1u << 3 : 0;
    hints |= has(b, X86_FEATURE_HV_TLBFLUSH) || has(b, X86_FEATURE_HV_IPI) ? 1u << 11 : 0;
    add_signature(b, 0x40000000, 0x40000006, vendor);
    add(b, 0x40000001, 0, text_word("Hv#1", 0), 0, 0, 0);
    add(b, 0x40000002, 0, 14393, 10u << 16, 0, 0);
    add(b, 0x40000003, 0, access, 0, 0, features);
    add(b, 0x40000004, 0, hints, spins ? (uint32_t)spins : UINT32_MAX, 0, 0);
    add(b, 0x40000005, 0, MAX_APIC_ID + 1, MAX_APIC_ID + 1, 0, 0);
}

/* Rates of TSC and APIC timer in kHz at 10H, as VMware began it and guests of others look, too. */
static void add_frequencies(Builder *b, uint32_t base)
{
    if (b->model->tsc_hz) {
        b->table->hypervisor_level = base + 0x10;
        find(b->table, base, 0)->regs[CPUID_EAX] = base + 0x10;
        add(b, base + 0x10, 0, b->model->tsc_hz / 1000, APIC_TIMER_HZ / 1000, 0, 0);
    }
}

/*
 * The signature is in EBX, ECX, EDX (Linux Documentation/virt/kvm/x86/cpuid.rst). Where Hyper-V's
 * leaves take the first place, the accelerator's own are 100H further.
 */
static void add_hypervisor(Builder *b)
{
    const char *signature = b->model->signature;
    bool hyperv = word(b, FEATURE_WORD_HV_EAX) | word(b, FEATURE_WORD_HV_EDX)
                  | word(b, FEATURE_WORD_HV_HINTS);
    uint32_t base = hyperv ? 0x40000100 : 0x40000000;

    if (hyperv) {
        add_hyperv(b);
    }
    if (has(b, X86_FEATURE_HYPERVISOR) && signature[0]) {
        add_signature(b, base, base + 1, signature);
        add(b, base + 1, 0, word(b, FEATURE_WORD_KVM_EAX), 0, 0, word(b, FEATURE_WORD_KVM_EDX));
        add_frequencies(b, base);
    }
}

/* Associativity of an L2 or L3 cache in 80000006H (APM 3 table E-4). */
static uint32_t ways_code(uint64_t ways)
{
    static const struct {
        uint8_t ways, code;
    } codes[] = {{1, 1}, {2, 2}, {4, 4}, {8, 6}, {16, 8}, {32, 0xa}, {48, 0xb},
                 {64, 0xc}, {96, 0xd}, {128, 0xe}};

    for (unsigned i = 0; i < G_N_ELEMENTS(codes); i++) {
        if (codes[i].ways == ways) {
            return codes[i].code;
        }
    }
    return ways ? 9 : 0; /* 9: see 8000001DH */
}

static uint32_t l1_word(const X86Cache *cache)
{
    uint32_t kilobytes = MIN(cache->size >> 10, 255);

    return cache->size ? kilobytes << 24 | (uint32_t)cache->ways << 16 | 1u << 8 | 64 : 0;
}

static uint32_t l2_word(const X86Cache *cache)
{
    uint32_t kilobytes = MIN(cache->size >> 10, 0xffff);

    return cache->size ? kilobytes << 16 | ways_code(cache->ways) << 12 | 1u << 8 | 64 : 0;
}

static uint32_t l3_word(const X86Cache *cache)
{
    uint32_t units = MIN(cache->size >> 19, 0x3fff);

    return cache->size ? units << 18 | ways_code(cache->ways) << 12 | 1u << 8 | 64 : 0;
}

/* TLB fields are those of a Zen core: 64 entries each first, 1536 and 1024 second level. */
static void add_amd_caches(Builder *b)
{
    const X86Cache *caches = b->model->caches;

    if (!b->table->amd) {
        add(b, 0x80000006, 0, 0, 0, l2_word(&caches[CACHE_L2]), 0);
        return;
    }
    add(b, 0x80000005, 0, 0xff40ff40, 0xff40ff40, l1_word(&caches[CACHE_L1D]),
        l1_word(&caches[CACHE_L1I]));
    add(b, 0x80000006, 0, 0x26006400, 0x66006400, l2_word(&caches[CACHE_L2]),
        l3_word(&caches[CACHE_L3]));
    if (has(b, X86_FEATURE_TOPOEXT)) {
        add_caches(b, 0x8000001d, b->topology->threads,
                   b->topology->threads * b->topology->cores);
    }
}

/* Core and node numbers of AMD (APM 3 E.4.17), and its count of threads in 80000008H:ECX. */
static void add_amd_topology(Builder *b)
{
    const X86Topology *t = b->topology;
    unsigned package = x86_topology_package_shift(t);
    unsigned core = (b->apic_id & ((1u << package) - 1)) >> x86_topology_core_shift(t);
    unsigned node = b->apic_id >> x86_topology_die_shift(t);

    if (has(b, X86_FEATURE_TOPOEXT)) {
        add(b, 0x8000001e, 0, b->apic_id, core | (t->threads - 1) << 8,
            (node & 0xff) | (t->dies - 1) << 8, 0);
    }
}

static void add_widths(Builder *b)
{
    const X86CpuModel *m = b->model;
    uint32_t threads = x86_topology_package_cpus(b->topology) - 1;
    uint32_t ecx = b->table->amd
                   ? MIN(threads, 255) | x86_topology_package_shift(b->topology) << 12 : 0;

    /* Only what has long mode says how many bits linear addresses have (APM 3 E.4.8). */
    add(b, 0x80000008, 0, m->phys_bits | (has(b, X86_FEATURE_LM) ? m->virt_bits << 8 : 0),
        word(b, FEATURE_WORD_80000008_EBX), ecx, 0);
}

static void add_extended(Builder *b)
{
    const X86CpuModel *m = b->model;
    bool amd = b->table->amd;
    uint32_t repeated = amd ? word(b, FEATURE_WORD_1_EDX) & AMD_REPEATED : 0;

    add(b, 0x80000000, 0, m->xlevel, amd ? text_word(m->vendor, 0) : 0,
        amd ? text_word(m->vendor, 2) : 0, amd ? text_word(m->vendor, 1) : 0);
    add(b, 0x80000001, 0, amd ? version(m) : 0, 0, word(b, FEATURE_WORD_80000001_ECX),
        word(b, FEATURE_WORD_80000001_EDX) | repeated);
    for (unsigned i = 0; i < 3; i++) {
        const char *id = m->model_id + 16 * i;
        add(b, 0x80000002 + i, 0, text_word(id, 0), text_word(id, 1), text_word(id, 2),
            text_word(id, 3));
    }
    add_amd_caches(b);
    add(b, 0x80000007, 0, 0, word(b, FEATURE_WORD_80000007_EBX), 0,
        word(b, FEATURE_WORD_80000007_EDX));
    add_widths(b);
    if (has(b, X86_FEATURE_SVM)) {
        add(b, 0x8000000a, 0, 1, 16, 0, word(b, FEATURE_WORD_8000000A_EDX));
    }
    add_amd_topology(b);
    add(b, 0x80000021, 0, word(b, FEATURE_WORD_80000021_EAX), 0,
        word(b, FEATURE_WORD_80000021_ECX), 0);
    add(b, 0x80000022, 0, word(b, FEATURE_WORD_80000022_EAX), 0, 0, 0);
    if (word(b, FEATURE_WORD_C0000001_EDX)) {
        b->table->via_level = 0xc0000001;
        add(b, 0xc0000000, 0, 0xc0000001, 0, 0, 0);
        add(b, 0xc0000001, 0, 0, 0, 0, word(b, FEATURE_WORD_C0000001_EDX));
    }
}

static void apply_patches(Builder *b)
{
    for (unsigned i = 0; i < b->model->patches->len; i++) {
        const X86ModelPatch *patch = &g_array_index(b->model->patches, X86ModelPatch, i);
        if (patch->is_msr || !patch->mask) {
            continue;
        }
        Leaf *entry = find(b->table, patch->leaf, patch->subleaf);
        if (!entry) {
            add(b, patch->leaf, patch->subleaf, 0, 0, 0, 0);
            entry = find(b->table, patch->leaf, patch->subleaf);
        }
        uint32_t *reg = &entry->regs[patch->reg];
        *reg = (*reg & ~(uint32_t)patch->mask) | (uint32_t)patch->value;
    }
}

static bool in_range(const X86CpuidTable *table, uint32_t leaf)
{
    switch (leaf >> 28) {
    case 0x4:
        return leaf <= table->hypervisor_level;
    case 0x8:
        return leaf <= table->xlevel;
    case 0xc:
        return leaf <= table->via_level;
    default:
        return leaf <= table->level;
    }
}

/* Leaves above the highest, which an engine that is handed the whole table would answer. */
static void drop_unreachable(X86CpuidTable *table)
{
    for (unsigned i = table->leaves->len; i--;) {
        if (!in_range(table, g_array_index(table->leaves, Leaf, i).leaf)) {
            g_array_remove_index(table->leaves, i);
        }
    }
}

static bool is_amd(const char *vendor)
{
    return !strcmp(vendor, "AuthenticAMD") || !strcmp(vendor, "HygonGenuine");
}

X86CpuidTable *x86_cpuid_table_new(const X86CpuModel *model, const X86Topology *topology,
                                   uint32_t apic_id)
{
    X86CpuidTable *table = g_new0(X86CpuidTable, 1);
    Builder b = {model, topology, apic_id, table};

    table->leaves = g_array_new(FALSE, FALSE, sizeof(Leaf));
    table->amd = is_amd(model->vendor);
    table->level = model->level;
    table->xlevel = model->xlevel;
    add_identity(&b);
    add_intel_caches(&b);
    add_feature_leaves(&b);
    add_topology(&b);
    add_xsave(&b);
    add_tsc(&b);
    add_amx(&b);
    add_hypervisor(&b);
    add_extended(&b);
    apply_patches(&b);
    drop_unreachable(table);
    return table;
}

void x86_cpuid_table_free(X86CpuidTable *table)
{
    if (table) {
        g_array_unref(table->leaves);
        g_free(table);
    }
}

/* --- answering ------------------------------------------------------------------------ */

/* Leaves whose answer depends on ECX (SDM 2A table 3-8; APM 3 E.3, E.4); others ignore it. */
static bool has_subleaves(uint32_t leaf)
{
    switch (leaf) {
    case 0x4:
    case 0x7:
    case 0xb:
    case 0xd:
    case 0xf:
    case 0x10:
    case 0x12:
    case 0x14:
    case 0x17:
    case 0x18:
    case 0x1a:
    case 0x1b:
    case 0x1d:
    case 0x1e:
    case 0x1f:
    case 0x8000001d:
        return true;
    default:
        return false;
    }
}

/* Past the last level of the topology leaves ECX and EDX still answer (SDM 2A leaf 0BH). */
static void past_topology(const X86CpuidTable *table, uint32_t leaf, uint32_t subleaf,
                          uint32_t out[4])
{
    const Leaf *first = find(table, leaf, 0);

    if (first && (leaf == 0xb || leaf == 0x1f)) {
        out[CPUID_ECX] = subleaf & 0xff;
        out[CPUID_EDX] = first->regs[CPUID_EDX];
    }
}

/* Where the vendor's CPUs look for @leaf; false: all zero. */
static bool redirect(const X86CpuidTable *table, uint32_t *leaf)
{
    if (in_range(table, *leaf)) {
        return true;
    }
    *leaf = table->level;
    return !table->amd;
}

void x86_cpuid_table_get(const X86CpuidTable *table, uint32_t leaf, uint32_t subleaf,
                         uint32_t out[4])
{
    memset(out, 0, 4 * sizeof(out[0]));
    if (!redirect(table, &leaf)) {
        return;
    }
    const Leaf *entry = find(table, leaf, has_subleaves(leaf) ? subleaf : 0);
    if (entry) {
        memcpy(out, entry->regs, sizeof(entry->regs));
    } else {
        past_topology(table, leaf, subleaf, out);
    }
}

bool x86_cpuid_table_entry(const X86CpuidTable *table, unsigned index, X86CpuidLeaf *entry)
{
    if (index >= table->leaves->len) {
        return false;
    }
    const Leaf *leaf = &g_array_index(table->leaves, Leaf, index);
    *entry = (X86CpuidLeaf){ .leaf = leaf->leaf, .subleaf = leaf->subleaf,
                             .indexed = has_subleaves(leaf->leaf) };
    memcpy(entry->regs, leaf->regs, sizeof(entry->regs));
    return true;
}

/* Bit 11 of IA32_APIC_BASE; without it, or without a local APIC, the feature is not shown. */
static bool apic_enabled(X86CPU *cpu)
{
    if (!cpu->vcpu.intr_ops) {
        return false;
    }
    bool taken = machine_lock_enter();
    uint64_t base = cpu->vcpu.intr_ops->get_base(cpu->vcpu.intr_opaque);
    machine_lock_leave(taken);
    return base >> 11 & 1;
}

static uint32_t feature_bit(X86Feature feature, bool on)
{
    return on ? 1u << (feature & 31) : 0;
}

/* Bits that follow CR4, XCR0, XSS and IA32_APIC_BASE. */
static void add_dynamic(const X86CpuidTable *table, const X86CpuidState *state, uint32_t leaf,
                        uint32_t subleaf, uint32_t out[4])
{
    uint32_t apic = feature_bit(X86_FEATURE_APIC, true);

    switch (leaf) {
    case 1:
        out[CPUID_ECX] |= feature_bit(X86_FEATURE_OSXSAVE, state->osxsave);
        out[CPUID_EDX] &= state->apic ? ~0u : ~apic;
        break;
    case 7:
        if (subleaf == 0) {
            out[CPUID_ECX] |= feature_bit(X86_FEATURE_OSPKE, state->pke);
        }
        break;
    case 0xd:
        if (subleaf == 0 && out[CPUID_EAX]) {
            out[CPUID_EBX] = xsave_area_size(state->xcr0, false);
        } else if (subleaf == 1 && (out[CPUID_EAX] & XSAVE_COMPACTS)) {
            out[CPUID_EBX] = xsave_area_size(state->xcr0 | state->xss, true);
        }
        break;
    case 0x80000001:
        out[CPUID_EDX] &= table->amd && !state->apic ? ~apic : ~0u;
        break;
    default:
        break;
    }
}

void x86_cpuid_table_get_live(const X86CpuidTable *table, const X86CpuidState *state,
                              uint32_t leaf, uint32_t subleaf, uint32_t out[4])
{
    x86_cpuid_table_get(table, leaf, subleaf, out);
    if (redirect(table, &leaf)) {
        add_dynamic(table, state, leaf, subleaf, out);
    }
}

void cpu_cpuid(X86CPU *cpu, uint32_t leaf, uint32_t subleaf, uint32_t out[4])
{
    X86CpuidState state = {
        .osxsave = cpu->cr4 & CR4_OSXSAVE,
        .pke = cpu->cr4 & CR4_PKE,
        .xcr0 = cpu->xcr0,
        .xss = cpu->msr_xss,
    };

    /* Only these leaves tell of the APIC, and asking for it takes a lock. */
    if (leaf == 1 || leaf == 0x80000001 || !in_range(cpu->cpuid, leaf)) {
        state.apic = apic_enabled(cpu);
    }
    x86_cpuid_table_get_live(cpu->cpuid, &state, leaf, subleaf, out);
}

void cpu_cpuid_remember(X86CPU *cpu, uint32_t leaf, uint32_t subleaf, uint32_t out[4])
{
    CpuidAnswer *answer = &cpu->cpuid_answers[leaf % CPUID_ANSWERS];

    cpu_cpuid(cpu, leaf, subleaf, out);
    *answer = (CpuidAnswer){.leaf = leaf, .subleaf = subleaf};
    memcpy(answer->out, out, sizeof(answer->out));
}

void cpu_cpuid_forget(X86CPU *cpu)
{
    for (unsigned i = 0; i < CPUID_ANSWERS; i++) {
        cpu->cpuid_answers[i].leaf = i ^ 1;
    }
}

/* --- making a CPU ------------------------------------------------------------------------ */

/* HT and CmpLegacy tell of more than one logical processor in a package (SDM 2A, APM 3 E.4.2). */
static void apply_topology_bits(X86CpuModel *model, const X86Topology *topology)
{
    bool many = x86_topology_package_cpus(topology) > 1;

    x86_words_set(model->features, X86_FEATURE_HT, many);
    x86_words_set(model->features, X86_FEATURE_CMP_LEGACY, many && is_amd(model->vendor));
    if (topology->dies > 1 && !is_amd(model->vendor)) {
        model->level = MAX(model->level, 0x1f);
    }
}

X86CpuidTable *x86_cpuid_table_for(const X86CpuModel *model, const X86Topology *topology,
                                   unsigned index)
{
    X86CpuModel own = *model;

    apply_topology_bits(&own, topology);
    return x86_cpuid_table_new(&own, topology, x86_topology_apic_id(topology, index));
}

bool x86_cpu_model_apply(const X86CpuModel *model, X86CPU *cpu, const X86Topology *topology,
                         GError **error)
{
    X86CpuModel own = *model;
    uint32_t apic_id = x86_topology_apic_id(topology, cpu->vcpu.index);

    if (apic_id > MAX_APIC_ID) {
        g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_INVAL,
                    "CPU %u of this topology would have APIC id %u; the highest is %u",
                    cpu->vcpu.index, apic_id, MAX_APIC_ID);
        return false;
    }
    apply_topology_bits(&own, topology);
    cpu->model = model;
    cpu->alone = topology->max_cpus == 1;
    cpu->vcpu.apic_id = apic_id;
    memcpy(cpu->features, own.features, sizeof(cpu->features));
    if (model->tsc_hz) {
        cpu->vcpu.tsc_hz = model->tsc_hz;
    }
    cpu->phys_bits = model->phys_bits;
    cpu->virt_bits = model->virt_bits;
    x86_cpu_model_msr(model, 0x10a, &cpu->msr_arch_capabilities);
    x86_cpuid_table_free(cpu->cpuid);
    cpu->cpuid = x86_cpuid_table_new(&own, topology, apic_id);
    cpu_cpuid_forget(cpu);
    return true;
}
