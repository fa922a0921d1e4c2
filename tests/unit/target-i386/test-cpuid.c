/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The CPUID table. Expected words are those that QEMU 7.2 (TCG) gives to a guest that dumps CPUID,
 * where the two agree; where not, the manual is cited.
 */
#include <string.h>

#include "model-fixture.h"
#include "target-i386/cpu.h"
#include "target-i386/cpuid.h"
#include "target-i386/feature-table.h"

static const X86Topology one_cpu = {1, 1, 1, 1, 1, 1};

static void assert_regs(const X86CpuidTable *table, uint32_t leaf, uint32_t subleaf, uint32_t eax,
                        uint32_t ebx, uint32_t ecx, uint32_t edx)
{
    uint32_t out[4];

    x86_cpuid_table_get(table, leaf, subleaf, out);
    g_test_message("leaf %x.%x: %08x %08x %08x %08x", leaf, subleaf, out[0], out[1], out[2],
                   out[3]);
    g_assert_cmphex(out[CPUID_EAX], ==, eax);
    g_assert_cmphex(out[CPUID_EBX], ==, ebx);
    g_assert_cmphex(out[CPUID_ECX], ==, ecx);
    g_assert_cmphex(out[CPUID_EDX], ==, edx);
}

static void assert_zero(const X86CpuidTable *table, uint32_t leaf, uint32_t subleaf)
{
    assert_regs(table, leaf, subleaf, 0, 0, 0, 0);
}

/* An X86CPU with a local APIC whose IA32_APIC_BASE the test sets. */
typedef struct Rig {
    X86CPU cpu;
    Fixture *fixture;
    X86CpuModel *model;
    uint64_t apic_base;
} Rig;

static uint64_t get_base(void *opaque)
{
    return ((Rig *)opaque)->apic_base;
}

static const InterruptOps apic_ops = {.get_base = get_base};

static Rig *rig_new(const char *cpu, const X86Topology *topology, unsigned index)
{
    Rig *rig = aligned_alloc(64, (sizeof(Rig) + 63) & ~(size_t)63);
    g_autoptr(GError) error = NULL;

    memset(rig, 0, sizeof(*rig));
    rig->fixture = fixture_new(NULL, cpu);
    rig->model = fixture_resolve(rig->fixture);
    g_assert_nonnull(rig->model);
    rig->apic_base = 0xfee00800;
    rig->cpu.vcpu.index = index;
    rig->cpu.vcpu.intr_ops = &apic_ops;
    rig->cpu.vcpu.intr_opaque = rig;
    g_assert_true(x86_cpu_model_apply(rig->model, &rig->cpu, topology, &error));
    g_assert_no_error(error);
    return rig;
}

static void rig_free(Rig *rig)
{
    x86_cpuid_table_free(rig->cpu.cpuid);
    x86_cpu_model_free(rig->model);
    fixture_free(rig->fixture);
    free(rig);
}

G_DEFINE_AUTOPTR_CLEANUP_FUNC(Rig, rig_free)

static void test_nehalem(void)
{
    g_autoptr(Rig) rig = rig_new("Nehalem", &one_cpu, 0);
    const X86CpuidTable *table = rig->cpu.cpuid;

    assert_regs(table, 0, 0, 0xb, 0x756e6547, 0x6c65746e, 0x49656e69);
    assert_regs(table, 1, 0, 0x000106a3, 0x00000800, 0x80982201, 0x078bfbfd);
    assert_zero(table, 5, 0);
    assert_zero(table, 6, 0);
    assert_zero(table, 7, 0);
    assert_regs(table, 0xb, 0, 0, 1, 0x100, 0);
    assert_regs(table, 0xb, 1, 0, 1, 0x201, 0);
    assert_regs(table, 0xb, 2, 0, 0, 2, 0);
    assert_regs(table, 0xb, 3, 0, 0, 3, 0);
    assert_regs(table, 0x80000002, 0, 0x65746e49, 0x6f43206c, 0x69206572, 0x78392037);
    assert_regs(table, 0x80000003, 0, 0x4e282078, 0x6c616865, 0x43206d65, 0x7373616c);
    assert_regs(table, 0x80000004, 0, 0x726f4320, 0x37692065, 0x00000029, 0);
    assert_regs(table, 0x80000008, 0, 0x3028, 0, 0, 0);
}

/* Caches by the encoding of SDM 2A, CPUID leaf 4, with the values of cpu-models-x86.conf. */
static void test_nehalem_caches(void)
{
    static const X86Topology topology = {8, 8, 1, 1, 4, 2};
    g_autoptr(Rig) rig = rig_new("Nehalem", &topology, 0);
    const X86CpuidTable *table = rig->cpu.cpuid;

    assert_regs(table, 2, 0, 0xff01, 0, 0, 0);
    assert_regs(table, 4, 0, 3u << 26 | 1u << 14 | 0x121, 7u << 22 | 63, 63, 0);
    assert_regs(table, 4, 1, 3u << 26 | 1u << 14 | 0x122, 7u << 22 | 63, 63, 0);
    assert_regs(table, 4, 2, 3u << 26 | 1u << 14 | 0x143, 7u << 22 | 63, 511, 0);
    assert_regs(table, 4, 3, 3u << 26 | 7u << 14 | 0x163, 15u << 22 | 63, 8191, 0);
    assert_zero(table, 4, 4);
    assert_regs(table, 0x80000006, 0, 0, 0, 256u << 16 | 0x6140, 0);
}

/* Beyond the highest leaf Intel's CPUs answer as for the highest basic one (SDM 2A CPUID). */
static void test_intel_out_of_range(void)
{
    g_autoptr(Rig) rig = rig_new("Nehalem", &one_cpu, 0);
    const X86CpuidTable *table = rig->cpu.cpuid;
    static const uint32_t leaves[] = {0xc, 0xd, 0x20, 0x3fffffff, 0x40000002, 0x80000009,
                                      0x8000001d, 0xc0000000, 0xffffffff};

    for (unsigned i = 0; i < G_N_ELEMENTS(leaves); i++) {
        assert_regs(table, leaves[i], 0, 0, 1, 0x100, 0);
        assert_regs(table, leaves[i], 1, 0, 1, 0x201, 0);
    }
    assert_zero(table, 3, 0);
    assert_zero(table, 9, 0);
}

/* Features that QEMU's TCG lacks and ours has: pcid, x2apic, tsc-deadline, invpcid. */
static void test_haswell(void)
{
    static const X86Topology topology = {4, 4, 1, 1, 2, 2};
    g_autoptr(Rig) rig = rig_new("Haswell", &topology, 3);
    const X86CpuidTable *table = rig->cpu.cpuid;
    uint32_t more = 1u << 17 | 1u << 21 | 1u << 24;

    assert_regs(table, 1, 0, 0x000306c4, 3u << 24 | 0x00040800, 0xf6d83203 | more, 0x178bfbfd);
    assert_regs(table, 6, 0, 4, 0, 0, 0);
    assert_regs(table, 7, 0, 0, 0x3a9 | 1u << 10, 0, 0);
    assert_zero(table, 7, 1);
    assert_regs(table, 0xb, 0, 1, 2, 0x100, 3);
    assert_regs(table, 0xb, 1, 2, 4, 0x201, 3);
    assert_regs(table, 0xb, 7, 0, 0, 7, 3);
    assert_regs(table, 0xd, 0, 7, 0, 0x340, 0);
    assert_regs(table, 0xd, 1, 1, 0, 0, 0);
    assert_regs(table, 0xd, 2, 0x100, 0x240, 0, 0);
    assert_zero(table, 0xd, 3);
    assert_regs(table, 0x80000001, 0, 0, 0, 0x21, 0x28100800);
    g_assert_cmpuint(rig->cpu.vcpu.apic_id, ==, 3);
}

static void test_epyc(void)
{
    static const X86Topology topology = {12, 12, 2, 1, 3, 2};
    g_autoptr(Rig) rig = rig_new("EPYC", &topology, 0);
    g_autoptr(Rig) last = rig_new("EPYC", &topology, 11);
    const X86CpuidTable *table = rig->cpu.cpuid;

    assert_regs(table, 0, 0, 0xd, 0x68747541, 0x444d4163, 0x69746e65);
    assert_zero(table, 2, 0);
    assert_zero(table, 4, 0);
    assert_regs(table, 0xb, 1, 3, 6, 0x201, 0);
    assert_regs(table, 0x80000000, 0, 0x8000001e, 0x68747541, 0x444d4163, 0x69746e65);
    assert_regs(table, 0x80000008, 0, 0x3028, 0, 0x3005, 0);
    assert_regs(table, 0x8000001d, 0, 0x4121, 0x01c0003f, 0x3f, 0);
    assert_regs(table, 0x8000001d, 1, 0x4122, 0x00c0003f, 0xff, 0);
    assert_regs(table, 0x8000001d, 2, 0x4143, 0x01c0003f, 0x3ff, 0);
    assert_regs(table, 0x8000001d, 3, 0x14163, 0x03c0003f, 0x1fff, 0);
    assert_zero(table, 0x8000001d, 4);
    assert_regs(table, 0x8000001e, 0, 0, 0x100, 0, 0);
    assert_regs(last->cpu.cpuid, 0x8000001e, 0, 13, 0x102, 1, 0);
    g_assert_cmpuint(last->cpu.vcpu.apic_id, ==, 13);
    assert_zero(table, 0x8000001f, 0);
    assert_zero(table, 0xe, 0);
}

/* AMD repeats bits of leaf 1 in 80000001H and tells of several CPUs by CmpLegacy (APM 3 E.4.2). */
static void test_amd_repeats(void)
{
    static const X86Topology two = {2, 2, 1, 1, 2, 1};
    g_autoptr(Rig) rig = rig_new("qemu64", &one_cpu, 0);
    g_autoptr(Rig) pair = rig_new("qemu64", &two, 0);
    uint32_t out[4];

    x86_cpuid_table_get(rig->cpu.cpuid, 0x80000001, 0, out);
    g_assert_cmphex(out[CPUID_EDX] & 0x0183f3ff, ==, 0x078bfbfd & 0x0183f3ff);
    g_assert_cmphex(out[CPUID_ECX] & 2, ==, 0);
    x86_cpuid_table_get(pair->cpu.cpuid, 0x80000001, 0, out);
    g_assert_cmphex(out[CPUID_ECX] & 2, ==, 2);
    x86_cpuid_table_get(pair->cpu.cpuid, 1, 0, out);
    g_assert_cmphex(out[CPUID_EDX] >> 28 & 1, ==, 1);
}

static void test_dies(void)
{
    static const X86Topology topology = {16, 16, 2, 2, 2, 2};
    g_autoptr(Rig) rig = rig_new("Haswell", &topology, 15);
    const X86CpuidTable *table = rig->cpu.cpuid;

    assert_regs(table, 0xb, 1, 3, 8, 0x201, 15);
    assert_regs(table, 0x1f, 0, 1, 2, 0x100, 15);
    assert_regs(table, 0x1f, 1, 2, 4, 0x201, 15);
    assert_regs(table, 0x1f, 2, 3, 8, 0x502, 15);
    assert_regs(table, 0x1f, 3, 0, 0, 3, 15);
}

static void test_apic_ids(void)
{
    static const X86Topology odd = {27, 27, 3, 1, 3, 3};
    static const X86Topology wide = {255, 255, 51, 1, 5, 1};
    g_autoptr(GError) error = NULL;
    g_autoptr(Rig) rig = rig_new("qemu64", &one_cpu, 0);

    g_assert_cmpuint(x86_topology_apic_id(&odd, 0), ==, 0);
    g_assert_cmpuint(x86_topology_apic_id(&odd, 2), ==, 2);
    g_assert_cmpuint(x86_topology_apic_id(&odd, 3), ==, 4);
    g_assert_cmpuint(x86_topology_apic_id(&odd, 8), ==, 10);
    g_assert_cmpuint(x86_topology_apic_id(&odd, 9), ==, 16);
    g_assert_cmpuint(x86_topology_apic_id(&odd, 26), ==, 42);
    rig->cpu.vcpu.index = 254;
    g_assert_false(x86_cpu_model_apply(rig->model, &rig->cpu, &wide, &error));
    g_assert_nonnull(strstr(error->message, "APIC id"));
}

static void test_hypervisor(void)
{
    g_autoptr(Rig) rig = rig_new("Nehalem", &one_cpu, 0);
    g_autoptr(Rig) bare = rig_new("Nehalem,-hypervisor", &one_cpu, 0);
    g_autoptr(Rig) hidden = rig_new("Nehalem,kvm=off", &one_cpu, 0);

    /* "KVMKVMKVM": the clock at both places, no delays, one clock for all CPUs. */
    assert_regs(rig->cpu.cpuid, 0x40000000, 0, 0x40000001, 0x4b4d564b, 0x564b4d56, 0x4d);
    assert_regs(rig->cpu.cpuid, 0x40000001, 0, 0x100000b, 0, 0, 0);
    assert_regs(hidden->cpu.cpuid, 0x40000001, 0, 0, 1, 0x100, 0);
    g_assert_false(cpu_has(&hidden->cpu, X86_FEATURE_KVMCLOCK));
    assert_regs(bare->cpu.cpuid, 0x40000000, 0, 0, 1, 0x100, 0);
}

/* Leaves by the Hypervisor Top Level Functional Specification, 2.4; the signature is "Hv#1". */
static void test_hyperv(void)
{
    g_autoptr(Fixture) f = fixture_new(NULL, "Nehalem,hv-relaxed,hv_vapic,hv-time,hv-vpindex,"
                                             "hv-tlbflush,hv-crash,hv-spinlocks=0x1fff");
    memset(f->caps.supported, 0xff, sizeof(f->caps.supported));
    g_autoptr(X86CpuModel) model = fixture_resolve(f);
    g_assert_nonnull(model);
    g_autoptr(X86CpuidTable) table = x86_cpuid_table_for(model, &one_cpu, 0);

    fixture_assert_silent(f);
    assert_regs(table, 0x40000000, 0, 0x40000006, 0x7263694d, 0x666f736f, 0x76482074);
    assert_regs(table, 0x40000001, 0, 0x31237648, 0, 0, 0);
    assert_regs(table, 0x40000003, 0, 0x272, 0, 0, 1u << 10);
    assert_regs(table, 0x40000004, 0, 0x82c, 0x1fff, 0, 0);
    assert_regs(table, 0x40000100, 0, 0x40000101, 0x4b4d564b, 0x564b4d56, 0x4d);
}

/* Leaf 15H: TSC = crystal * EBX / EAX (SDM 3B 18.7.3); 40000010H: kHz of TSC and APIC timer. */
static void test_frequencies(void)
{
    g_autoptr(Rig) known = rig_new("Nehalem,tsc-frequency=2400000000,level=0x15", &one_cpu, 0);
    g_autoptr(Rig) max = rig_new("max", &one_cpu, 0);

    assert_regs(known->cpu.cpuid, 0x15, 0, 5, 12, 1000000000, 0);
    assert_regs(known->cpu.cpuid, 0x40000000, 0, 0x40000010, 0x4b4d564b, 0x564b4d56, 0x4d);
    assert_regs(known->cpu.cpuid, 0x40000010, 0, 2400000, 1000000, 0, 0);
    assert_regs(max->cpu.cpuid, 0x15, 0, 1, 1, 1000000000, 0);
    assert_regs(max->cpu.cpuid, 0x40000010, 0, 1000000, 1000000, 0, 0);
}

/* XSAVE areas of AVX-512 as Intel's CPUs have them (SDM 1, 13.5; -cpu host here has the same). */
static void test_avx512_areas(void)
{
    g_autoptr(Rig) max = rig_new("max", &one_cpu, 0);
    uint32_t out[4];

    if (!cpu_has(&max->cpu, X86_FEATURE_AVX512F)) {
        g_test_skip("the host has no AVX-512");
        return;
    }
    x86_cpuid_table_get(max->cpu.cpuid, 0xd, 0, out);
    g_assert_cmphex(out[0] & 0xe7, ==, 0xe7);
    assert_regs(max->cpu.cpuid, 0xd, 5, 64, 1088, 0, 0);
    assert_regs(max->cpu.cpuid, 0xd, 6, 512, 1152, 0, 0);
    assert_regs(max->cpu.cpuid, 0xd, 7, 1024, 1664, 0, 0);
}

static void test_hyperv_refused(void)
{
    g_autoptr(Fixture) f = fixture_new(NULL, "Nehalem,hv-time,hv-stimer,enforce=on");
    g_autoptr(Fixture) vendor = fixture_new(NULL, "Nehalem,hv-vendor-id=me");

    fixture_assert_refused(f, "tcg cannot offer", "hv-time", "hv-stimer", NULL);
    fixture_assert_refused(vendor, "12 characters", NULL);
}

static void test_old_cpus(void)
{
    g_autoptr(Rig) rig = rig_new("pentium3", &one_cpu, 0);
    g_autoptr(Rig) first = rig_new("486", &one_cpu, 0);
    uint32_t out[4];

    assert_regs(rig->cpu.cpuid, 2, 0, 1, 0, 0, 0x002c307d);
    x86_cpuid_table_get(first->cpu.cpuid, 0x80000000, 0, out);
    g_assert_cmphex(out[CPUID_EAX], ==, 0x480);
    g_assert_cmpuint(first->cpu.phys_bits, ==, 32);
}

/* Bits that the guest changes: CR4.OSXSAVE, CR4.PKE, XCR0, IA32_APIC_BASE. */
static void test_dynamic(void)
{
    g_autoptr(Rig) rig = rig_new("max", &one_cpu, 0);
    X86CPU *cpu = &rig->cpu;
    uint32_t out[4];

    cpu->xcr0 = 1;
    cpu_cpuid(cpu, 1, 0, out);
    g_assert_cmphex(out[CPUID_ECX] >> 27 & 1, ==, 0);
    g_assert_cmphex(out[CPUID_EDX] >> 9 & 1, ==, 1);
    cpu_cpuid(cpu, 7, 0, out);
    g_assert_cmphex(out[CPUID_ECX] >> 4 & 1, ==, 0);
    cpu_cpuid(cpu, 0xd, 0, out);
    g_assert_cmphex(out[CPUID_EBX], ==, 576);

    cpu->cr4 = CR4_OSXSAVE | CR4_PKE;
    cpu->xcr0 = 0x207;
    rig->apic_base = 0xfee00000;
    cpu_cpuid(cpu, 1, 0, out);
    g_assert_cmphex(out[CPUID_ECX] >> 27 & 1, ==, 1);
    g_assert_cmphex(out[CPUID_EDX] >> 9 & 1, ==, 0);
    cpu_cpuid(cpu, 0x80000001, 0, out);
    g_assert_cmphex(out[CPUID_EDX] >> 9 & 1, ==, 0);
    cpu_cpuid(cpu, 7, 0, out);
    g_assert_cmphex(out[CPUID_ECX] >> 4 & 1, ==, 1);
    cpu_cpuid(cpu, 0xd, 0, out);
    g_assert_cmphex(out[CPUID_EBX], ==, 2696);
    g_assert_cmphex(out[CPUID_ECX], ==, 2696);
    cpu_cpuid(cpu, 0xd, 1, out);
    g_assert_cmphex(out[CPUID_EBX], ==, 576 + 256 + 8);
}

static void test_templates(void)
{
    g_autoptr(Rig) rig = rig_new("Nehalem,+arch-capabilities,cpuid_15_eax=0x2,level=0x15,"
                                 "cpuid_5_ebx=x1x,msr_10a=0x20", &one_cpu, 0);

    assert_regs(rig->cpu.cpuid, 0x15, 0, 2, 0, 0, 0);
    assert_regs(rig->cpu.cpuid, 5, 0, 0, 2, 0, 0);
    g_assert_cmphex(rig->cpu.msr_arch_capabilities, ==, 0x20);
}

/* What a guest reads of MSRs that only the model knows, and of those that it may not write. */
static void test_msr_templates(void)
{
    g_autoptr(Rig) rig = rig_new("Nehalem,msr_ce=0x80000000,ucode-rev=0x7700000000,"
                                 "msr_fe=1xxxxxxxxxxxx,msr_174=0x5", &one_cpu, 0);
    uint64_t value;

    g_assert_true(cpu_msr_read(&rig->cpu, 0xce, &value));
    g_assert_cmphex(value, ==, 0x80000000);
    g_assert_true(cpu_msr_read(&rig->cpu, 0x8b, &value));
    g_assert_cmphex(value, ==, 0x7700000000);
    g_assert_true(cpu_msr_read(&rig->cpu, 0xfe, &value));
    g_assert_cmphex(value, ==, 0x1508);
    g_assert_true(cpu_msr_read(&rig->cpu, 0x174, &value));
    g_assert_cmphex(value, ==, 0);
    g_assert_false(cpu_msr_read(&rig->cpu, 0xcd, &value));
    g_assert_false(cpu_msr_write(&rig->cpu, 0xce, 0));
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/cpuid/nehalem", test_nehalem);
    g_test_add_func("/cpuid/nehalem-caches", test_nehalem_caches);
    g_test_add_func("/cpuid/intel-out-of-range", test_intel_out_of_range);
    g_test_add_func("/cpuid/haswell", test_haswell);
    g_test_add_func("/cpuid/epyc", test_epyc);
    g_test_add_func("/cpuid/amd-repeats", test_amd_repeats);
    g_test_add_func("/cpuid/dies", test_dies);
    g_test_add_func("/cpuid/apic-ids", test_apic_ids);
    g_test_add_func("/cpuid/hypervisor", test_hypervisor);
    g_test_add_func("/cpuid/hyperv", test_hyperv);
    g_test_add_func("/cpuid/frequencies", test_frequencies);
    g_test_add_func("/cpuid/avx512-areas", test_avx512_areas);
    g_test_add_func("/cpuid/hyperv-refused", test_hyperv_refused);
    g_test_add_func("/cpuid/old-cpus", test_old_cpus);
    g_test_add_func("/cpuid/dynamic", test_dynamic);
    g_test_add_func("/cpuid/templates", test_templates);
    g_test_add_func("/cpuid/msr-templates", test_msr_templates);
    return g_test_run();
}
