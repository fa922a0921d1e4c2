/* SPDX-License-Identifier: GPL-2.0-or-later */
/* CPU features: what KVM offers to models, and the model's CPUID table handed to the kernel. */
#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "accel/kvm/kvm.h"
#include "target-i386/cpuid.h"
#include "target-i386/feature-table.h"
#include "util/log.h"

#define CPUID_ENTRIES_MAX 1024

static struct kvm_cpuid2 *cpuid_buffer(unsigned entries)
{
    struct kvm_cpuid2 *cpuid =
        g_malloc0(sizeof(*cpuid) + entries * sizeof(struct kvm_cpuid_entry2));

    cpuid->nent = entries;
    return cpuid;
}

struct kvm_cpuid2 *kvm_supported_cpuid(int kvm_fd, GError **error)
{
    for (unsigned entries = 128;; entries *= 2) {
        struct kvm_cpuid2 *cpuid = cpuid_buffer(entries);
        if (ioctl(kvm_fd, KVM_GET_SUPPORTED_CPUID, cpuid) >= 0) {
            return cpuid;
        }
        int saved = errno;
        g_free(cpuid);
        if (saved != E2BIG || entries >= CPUID_ENTRIES_MAX) {
            g_set_error(error, G_FILE_ERROR, g_file_error_from_errno(saved),
                        "KVM_GET_SUPPORTED_CPUID: %s", g_strerror(saved));
            return NULL;
        }
    }
}

static const struct kvm_cpuid_entry2 *find_entry(const struct kvm_cpuid2 *cpuid, uint32_t leaf,
                                                 uint32_t subleaf)
{
    for (unsigned i = 0; i < cpuid->nent; i++) {
        const struct kvm_cpuid_entry2 *entry = &cpuid->entries[i];
        if (entry->function == leaf &&
            (!(entry->flags & KVM_CPUID_FLAG_SIGNIFCANT_INDEX) || entry->index == subleaf)) {
            return entry;
        }
    }
    return NULL;
}

static uint32_t entry_register(const struct kvm_cpuid_entry2 *entry, unsigned reg)
{
    const uint32_t regs[4] = {entry->eax, entry->ebx, entry->ecx, entry->edx};

    return regs[reg];
}

/*
 * Hyper-V leaves, by the call of the system or, on older kernels, of none: there one would need a
 * vCPU before there is a model for it. NULL where there are none.
 */
static struct kvm_cpuid2 *hyperv_cpuid(int kvm_fd)
{
    struct kvm_cpuid2 *cpuid;

    if (ioctl(kvm_fd, KVM_CHECK_EXTENSION, KVM_CAP_SYS_HYPERV_CPUID) <= 0) {
        return NULL;
    }
    cpuid = cpuid_buffer(CPUID_ENTRIES_MAX);
    if (ioctl(kvm_fd, KVM_GET_SUPPORTED_HV_CPUID, cpuid) < 0) {
        g_clear_pointer(&cpuid, g_free);
    }
    return cpuid;
}

/* --- what KVM offers ------------------------------------------------------------------ */

/* A feature MSR's value as KVM offers it; 0 where it knows none. */
static uint64_t feature_msr(int kvm_fd, uint32_t index)
{
    struct {
        struct kvm_msrs head;
        struct kvm_msr_entry entry;
    } msr = {.head.nmsrs = 1, .entry.index = index};

    if (ioctl(kvm_fd, KVM_CHECK_EXTENSION, KVM_CAP_GET_MSR_FEATURES) <= 0 ||
        ioctl(kvm_fd, KVM_GET_MSRS, &msr) != 1) {
        return 0;
    }
    return msr.entry.data;
}

static void read_supported(X86CpuCaps *caps, int kvm_fd, const struct kvm_cpuid2 *supported)
{
    g_autofree struct kvm_cpuid2 *hyperv = hyperv_cpuid(kvm_fd);

    caps->no_hyperv = hyperv ? NULL : "the kernel does not know KVM_GET_SUPPORTED_HV_CPUID";
    for (unsigned i = 0; i < FEATURE_WORD_COUNT; i++) {
        const X86FeatureWordInfo *word = &x86_feature_words[i];
        if (word->is_msr) {
            caps->supported[i] = feature_msr(kvm_fd, word->leaf) >> (32 * word->reg);
            continue;
        }
        const struct kvm_cpuid2 *from = x86_feature_word_is_hyperv(i) ? hyperv : supported;
        const struct kvm_cpuid_entry2 *entry =
            from ? find_entry(from, word->leaf, word->subleaf) : NULL;
        caps->supported[i] = entry ? entry_register(entry, word->reg) : 0;
    }
}

/*
 * Features with state that our CPU does not hold, and so could not take over from the kernel, or
 * that our chips would have to know of; then those of a local APIC in the kernel.
 */
static const X86Feature not_ours[] = {
    X86_FEATURE_VMX, X86_FEATURE_SVM, X86_FEATURE_MPX, X86_FEATURE_SHSTK, X86_FEATURE_IBT,
    X86_FEATURE_AMX_TILE, X86_FEATURE_AMX_BF16, X86_FEATURE_AMX_INT8, X86_FEATURE_AMX_FP16,
    X86_FEATURE_AMX_COMPLEX, X86_FEATURE_PDCM, X86_FEATURE_INTEL_PT,
    X86_FEATURE_KVM_MSI_EXT_DEST_ID,
};
static const X86Feature of_kernel_apic[] = {
    X86_FEATURE_X2APIC, X86_FEATURE_TSC_DEADLINE, X86_FEATURE_KVM_ASYNCPF,
    X86_FEATURE_KVM_ASYNCPF_INT, X86_FEATURE_KVM_PV_EOI, X86_FEATURE_KVM_PV_UNHALT,
    X86_FEATURE_KVM_PV_IPI, X86_FEATURE_KVM_PV_SCHED_YIELD, X86_FEATURE_KVM_POLL_CONTROL,
};
/* Features that any guest gains by, and that QEMU gives every model under KVM as well. */
static const X86Feature by_default[] = {
    X86_FEATURE_KVMCLOCK_OLD, X86_FEATURE_KVMCLOCK, X86_FEATURE_KVMCLOCK_STABLE_BIT,
    X86_FEATURE_KVM_NOPIODELAY, X86_FEATURE_KVM_STEAL_TIME, X86_FEATURE_KVM_PV_EOI,
    X86_FEATURE_KVM_ASYNCPF, X86_FEATURE_X2APIC,
};

/*
 * What our interpreter lacks where it does the supervisor's part: instructions, and what KVM tells
 * a CPU when it next enters the guest, while other CPUs think it is asleep.
 */
static const X86Feature not_interpreted[] = {
    X86_FEATURE_XSAVES, X86_FEATURE_LA57, X86_FEATURE_MOVDIRI, X86_FEATURE_MOVDIR64B,
    X86_FEATURE_KVM_STEAL_TIME, X86_FEATURE_KVM_PV_TLB_FLUSH,
};

static void drop_features(X86CpuCaps *caps, const X86Feature *features, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        x86_words_set(caps->supported, features[i], false);
    }
}

static void fill_caps(X86CpuCaps *caps, int kvm_fd, KvmIrqchipPlace place, unsigned flaws,
                      const struct kvm_cpuid2 *supported)
{
    const struct kvm_cpuid_entry2 *widths = find_entry(supported, 0x80000008, 0);

    *caps = (X86CpuCaps){.accel = "kvm"};
    /* The signature by which guests know KVM (Documentation/virt/kvm/x86/cpuid.rst). */
    g_strlcpy(caps->signature, "KVMKVMKVM", sizeof(caps->signature));
    caps->host_phys_bits = widths ? widths->eax & 0xff : 36;
    read_supported(caps, kvm_fd, supported);
    x86_words_set(caps->supported, X86_FEATURE_HYPERVISOR, true);
    drop_features(caps, not_ours, G_N_ELEMENTS(not_ours));
    if (place == IRQCHIP_OFF) {
        drop_features(caps, of_kernel_apic, G_N_ELEMENTS(of_kernel_apic));
        if (flaws & KVM_FLAW_SLOW) {
            drop_features(caps, not_interpreted, G_N_ELEMENTS(not_interpreted));
        }
    } else if (ioctl(kvm_fd, KVM_CHECK_EXTENSION, KVM_CAP_TSC_DEADLINE_TIMER) > 0) {
        x86_words_set(caps->supported, X86_FEATURE_TSC_DEADLINE, true); /* api.rst 4.47 */
    }
    x86_features_drop_unmet(caps->supported);
    memcpy(caps->host, caps->supported, sizeof(caps->host));
    for (unsigned i = 0; i < G_N_ELEMENTS(by_default); i++) {
        x86_words_set(caps->defaults, by_default[i],
                      x86_words_have(caps->supported, by_default[i]));
    }
}

void kvm_cpu_caps(const struct Config *config, struct X86CpuCaps *caps)
{
    int fd = kvm_open(NULL);
    bool asked;
    g_autofree struct kvm_cpuid2 *supported = fd >= 0 ? kvm_supported_cpuid(fd, NULL) : NULL;

    if (supported) {
        unsigned flaws = kvm_flaws(config, fd, supported);
        fill_caps(caps, fd, kvm_irqchip_place(config, fd, flaws, &asked), flaws, supported);
    } else {
        x86_cpu_caps_tcg(caps);
    }
    if (fd >= 0) {
        close(fd);
    }
}

void kvm_xsave_layout(KvmXsaveLayout *layout, int kvm_fd, const struct kvm_cpuid2 *supported)
{
    int size = ioctl(kvm_fd, KVM_CHECK_EXTENSION, KVM_CAP_XSAVE2);

    layout->area = MAX(size, (int)sizeof(struct kvm_xsave));
    layout->mask = 3;
    layout->size[0] = 160;
    layout->offset[1] = 160;
    layout->size[1] = 256;
    for (unsigned i = 2; i < KVM_XSAVE_COMPONENTS; i++) {
        const struct kvm_cpuid_entry2 *entry = find_entry(supported, 0xd, i);
        if (entry && entry->eax && (uint64_t)entry->ebx + entry->eax <= layout->area) {
            layout->mask |= 1ull << i;
            layout->size[i] = entry->eax;
            layout->offset[i] = entry->ebx;
        }
    }
}

/* --- what the guest gets --------------------------------------------------------------- */

/* The guest's XSAVE runs on the host's CPU: components lie where that puts them. */
static void use_host_layout(const KvmXsaveLayout *layout, X86CpuidLeaf *leaf)
{
    if (leaf->leaf == 0xd && leaf->subleaf >= 2 && leaf->subleaf < KVM_XSAVE_COMPONENTS &&
        (layout->mask >> leaf->subleaf & 1)) {
        leaf->regs[CPUID_EAX] = layout->size[leaf->subleaf];
        leaf->regs[CPUID_EBX] = layout->offset[leaf->subleaf];
    }
}

/*
 * The kernel refuses linear address widths other than those of long mode (0 says nothing); no guest
 * that has another reads them.
 */
static void use_known_widths(X86CpuidLeaf *leaf)
{
    uint32_t width = leaf->regs[CPUID_EAX] >> 8 & 0xff;

    if (leaf->leaf == 0x80000008 && width != 48 && width != 57) {
        leaf->regs[CPUID_EAX] &= ~0xff00u;
    }
}

bool kvm_set_cpuid(KvmVcpu *v, GError **error)
{
    g_autofree struct kvm_cpuid2 *cpuid = cpuid_buffer(CPUID_ENTRIES_MAX);
    X86CpuidLeaf leaf;
    unsigned count = 0;

    for (; count < CPUID_ENTRIES_MAX && x86_cpuid_table_entry(v->cpu->cpuid, count, &leaf);
         count++) {
        use_host_layout(&v->machine->xsave, &leaf);
        use_known_widths(&leaf);
        cpuid->entries[count] = (struct kvm_cpuid_entry2){
            .function = leaf.leaf, .index = leaf.subleaf,
            .flags = leaf.indexed ? KVM_CPUID_FLAG_SIGNIFCANT_INDEX : 0,
            .eax = leaf.regs[CPUID_EAX], .ebx = leaf.regs[CPUID_EBX],
            .ecx = leaf.regs[CPUID_ECX], .edx = leaf.regs[CPUID_EDX],
        };
    }
    cpuid->nent = count;
    return kvm_call(v->fd, KVM_SET_CPUID2, cpuid, "KVM_SET_CPUID2", error);
}
