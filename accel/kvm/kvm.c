/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The accelerator "kvm": guest code runs on the host's CPU, by the kernel's KVM. */
#include "accel/kvm/kvm.h"

#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>
#include <Zydis/Zydis.h>

#include "qemu-config/config.h"
#include "target-i386/cpu-model.h"
#include "target-i386/feature-table.h"
#include "util/log.h"

/*
 * Where Intel hosts without unrestricted guests keep the pages for real mode (api.rst,
 * KVM_SET_TSS_ADDR and KVM_SET_IDENTITY_MAP_ADDR): above every chip and below every firmware.
 */
#define IDENTITY_MAP_ADDR 0xfeffc000u
#define TSS_ADDR 0xfeffd000u

/* What was asked for and cannot be is an error; what was not is left to kvm_irqchip_place(). */
static bool irqchip_possible(const Config *config, int kvm_fd, GError **error)
{
    bool asked;
    KvmIrqchipPlace place = kvm_irqchip_place(config, kvm_fd, 0, &asked);
    const char *missing = asked ? kvm_irqchip_missing(kvm_fd, place) : NULL;

    if (missing) {
        g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_NOSYS,
                    "kernel-irqchip=%s: its KVM lacks %s", place == IRQCHIP_ON ? "on" : "split",
                    missing);
    }
    return !missing;
}

static bool kvm_available(const struct Config *config, GError **error)
{
    int fd = kvm_open(error), vm;

    if (fd < 0) {
        return false;
    }
    if (!irqchip_possible(config, fd, error)) {
        close(fd);
        return false;
    }
    vm = ioctl(fd, KVM_CREATE_VM, 0);
    if (vm < 0) {
        int saved = errno;
        g_set_error(error, G_FILE_ERROR, g_file_error_from_errno(saved), "KVM_CREATE_VM: %s",
                    g_strerror(saved));
    } else {
        close(vm);
    }
    close(fd);
    return vm >= 0;
}

static void machine_free(void *instance)
{
    KvmMachine *machine = instance;

    if (machine->slots) {
        kvm_memory_free(machine);
    }
    kvm_msrs_free(machine);
    g_mutex_clear(&machine->scratch_slot);
    kvm_gate_clear(&machine->gate);
    kvm_irqchip_free(machine);
    g_ptr_array_unref(machine->vcpus);
    if (machine->vm_fd >= 0) {
        close(machine->vm_fd);
    }
    if (machine->kvm_fd >= 0) {
        close(machine->kvm_fd);
    }
    g_free(machine);
}

/*
 * An emulation failure at CPL 3 would be #UD for the guest, although the instruction is a good one:
 * with this it comes to us as well (api.rst 7.25).
 */
static void exit_on_emulation_failure(const KvmMachine *machine)
{
    struct kvm_enable_cap cap = {.cap = KVM_CAP_EXIT_ON_EMULATION_FAILURE, .args = {1}};

    ioctl(machine->vm_fd, KVM_ENABLE_CAP, &cap); /* older kernels lack it */
}

const char *kvm_option(const Config *config, const char *key)
{
    GPtrArray *groups = config_groups(config, "accel");
    const char *value = NULL;

    for (unsigned i = 0; i < groups->len; i++) {
        const ConfigGroup *group = g_ptr_array_index(groups, i);

        if (!g_strcmp0(group_get(group, "accel"), "kvm")) {
            value = group_get(group, key) ?: value;
        }
    }
    return value;
}

/* -accel kvm,halt-poll-ns=N: how long a CPU that halts is waited for before its thread sleeps. */
static void set_halt_poll(const KvmMachine *machine, const Config *config)
{
    const char *ns = kvm_option(config, "halt-poll-ns");
    struct kvm_enable_cap cap = {.cap = KVM_CAP_HALT_POLL};

    if (ns) {
        cap.args[0] = g_ascii_strtoull(ns, NULL, 0);
        if (ioctl(machine->vm_fd, KVM_ENABLE_CAP, &cap) < 0) {
            log_write(LOG_ACCEL, "kvm: halt-poll-ns: %s", g_strerror(errno));
        }
    }
}

unsigned kvm_flaws(const Config *config, int kvm_fd, struct kvm_cpuid2 *supported)
{
    const char *trials = kvm_option(config, "trials");

    if (!g_strcmp0(trials, "off")) {
        return 0;
    }
    return kvm_try_out(kvm_fd, supported) & (g_strcmp0(trials, "patient") ? ~0u : ~KVM_FLAW_SLOW);
}

static bool machine_create_vm(KvmMachine *machine, const Config *config, GError **error)
{
    uint64_t identity = IDENTITY_MAP_ADDR;
    bool asked;
    g_autofree struct kvm_cpuid2 *supported = kvm_supported_cpuid(machine->kvm_fd, error);

    if (!supported) {
        return false;
    }
    machine->flaws = kvm_flaws(config, machine->kvm_fd, supported);
    if (machine->flaws & KVM_FLAW_SLOW) {
        g_printerr("tessera: this host's KVM runs kernel code slower than our interpreter, which "
                   "therefore does; -accel tcg is faster here\n");
    }
    machine->vm_fd = ioctl(machine->kvm_fd, KVM_CREATE_VM, 0);
    if (machine->vm_fd < 0) {
        int saved = errno;
        g_set_error(error, G_FILE_ERROR, g_file_error_from_errno(saved), "KVM_CREATE_VM: %s",
                    g_strerror(saved));
        return false;
    }
    if (!kvm_call(machine->vm_fd, KVM_SET_IDENTITY_MAP_ADDR, &identity,
                  "KVM_SET_IDENTITY_MAP_ADDR", error) ||
        !kvm_call(machine->vm_fd, KVM_SET_TSS_ADDR, (void *)(uintptr_t)TSS_ADDR,
                  "KVM_SET_TSS_ADDR", error) ||
        !kvm_irqchip_create(machine, kvm_irqchip_place(config, machine->kvm_fd, machine->flaws,
                                                       &asked), error)) {
        return false;
    }
    exit_on_emulation_failure(machine);
    machine->ring_page = MAX(0, ioctl(machine->kvm_fd, KVM_CHECK_EXTENSION,
                                      KVM_CAP_COALESCED_MMIO));
    machine->has_coalesced_pio = ioctl(machine->kvm_fd, KVM_CHECK_EXTENSION,
                                       KVM_CAP_COALESCED_PIO) > 0;
    machine->run_size = ioctl(machine->kvm_fd, KVM_GET_VCPU_MMAP_SIZE, 0);
    machine->has_sregs2 = ioctl(machine->kvm_fd, KVM_CHECK_EXTENSION, KVM_CAP_SREGS2) > 0;
    kvm_xsave_layout(&machine->xsave, machine->kvm_fd, supported);
    kvm_msrs_init(machine);
    kvm_memory_init(machine);
    return true;
}

static void *kvm_machine_new(const struct Config *config, MemorySpace *memory, GError **error)
{
    KvmMachine *machine = g_new0(KvmMachine, 1);

    machine->memory = memory;
    machine->vcpus = g_ptr_array_new();
    kvm_gate_init(&machine->gate);
    g_mutex_init(&machine->scratch_slot);
    machine->accel = (AccelMachine){.ops = &kvm_machine_ops, .instance = machine};
    machine->vm_fd = -1;
    machine->kvm_fd = kvm_open(error);
    if (machine->kvm_fd < 0 || !machine_create_vm(machine, config, error)) {
        g_prefix_error(error, "kvm: ");
        machine_free(machine);
        return NULL;
    }
    set_halt_poll(machine, config);
    kvm_kick_init();
    return machine;
}

/* --- vCPUs ------------------------------------------------------------------------ */

static void kvm_vcpu_free(Vcpu *vcpu)
{
    KvmVcpu *v = kvm_vcpu(vcpu);

    if (!v) {
        return;
    }
    if (v->run) {
        munmap(v->run, v->machine->run_size);
    }
    if (v->fd >= 0) {
        close(v->fd);
    }
    g_free(v->xsave);
    g_free(v->msr_buffer);
    g_free(v->fallbacks_by_mnemonic);
    g_ptr_array_remove(v->machine->vcpus, v);
    g_free(v);
    vcpu->accel = NULL;
    vcpu->ops = NULL;
}

static bool vcpu_create(KvmVcpu *v, GError **error)
{
    KvmMachine *machine = v->machine;
    void *run;

    v->fd = ioctl(machine->vm_fd, KVM_CREATE_VCPU, (unsigned long)v->cpu->vcpu.apic_id);
    if (v->fd < 0) {
        int saved = errno;
        g_set_error(error, G_FILE_ERROR, g_file_error_from_errno(saved),
                    "KVM_CREATE_VCPU (CPU %u): %s", v->cpu->vcpu.index, g_strerror(saved));
        return false;
    }
    run = mmap(NULL, machine->run_size, PROT_READ | PROT_WRITE, MAP_SHARED, v->fd, 0);
    if (run == MAP_FAILED) {
        int saved = errno;
        g_set_error(error, G_FILE_ERROR, g_file_error_from_errno(saved), "mapping kvm_run: %s",
                    g_strerror(saved));
        return false;
    }
    v->run = run;
    if (machine->ring_page && (machine->ring_page + 1ul) * GUEST_PAGE_SIZE <= machine->run_size) {
        v->ring = (void *)((uint8_t *)run + machine->ring_page * GUEST_PAGE_SIZE);
    }
    return kvm_set_cpuid(v, error);
}

/*
 * The host's CPU runs what it can, whatever CPUID tells the guest, and some hosts let the guest see
 * their own CPUID. So our interpreter, where it stands in, refuses nothing that it can run.
 */
static void allow_every_instruction(X86CPU *cpu)
{
    /* Run by the host's own AVX-512, and not offered to models of our CPU yet. */
    static const X86Feature with_host[] = {
        X86_FEATURE_AVX512F, X86_FEATURE_AVX512VL, X86_FEATURE_AVX512BW, X86_FEATURE_AVX512DQ,
        X86_FEATURE_AVX512CD, X86_FEATURE_AVX512IFMA, X86_FEATURE_AVX512VBMI,
        X86_FEATURE_AVX512VBMI2, X86_FEATURE_AVX512VNNI, X86_FEATURE_AVX512BITALG,
        X86_FEATURE_AVX512_VPOPCNTDQ, X86_FEATURE_AVX512_BF16,
    };
    X86CpuCaps ours;

    x86_cpu_caps_tcg(&ours);
    for (unsigned i = 0; __builtin_cpu_supports("avx512f") && i < G_N_ELEMENTS(with_host); i++) {
        x86_words_set(ours.supported, with_host[i], x86_words_have(ours.host, with_host[i]));
    }
    for (unsigned i = 0; i < FEATURE_WORD_COUNT; i++) {
        cpu->features[i] |= ours.supported[i];
    }
}

/*
 * The rate of the guest's time stamp counter: the model's if it says one, else the host's. Without
 * scaling in hardware the kernel takes a higher one than the host's alone (api.rst 4.55).
 */
static bool set_tsc_rate(KvmVcpu *v, GError **error)
{
    Vcpu *vcpu = &v->cpu->vcpu;
    uint64_t wanted = v->cpu->model ? v->cpu->model->tsc_hz / 1000 : 0;
    int khz = ioctl(v->fd, KVM_GET_TSC_KHZ, 0);

    if (wanted && wanted != (uint64_t)khz && ioctl(v->fd, KVM_SET_TSC_KHZ, wanted) < 0) {
        g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_INVAL,
                    "tsc-frequency: the kernel refuses %" G_GUINT64_FORMAT " kHz, the host has %d "
                    "kHz", wanted, khz);
        return false;
    }
    if (!wanted && khz > 0) {
        vcpu->tsc_hz = (uint64_t)khz * 1000;
    }
    return true;
}

static bool kvm_vcpu_init(void *instance, Vcpu *vcpu, GError **error)
{
    KvmMachine *machine = instance;
    KvmVcpu *v = g_new0(KvmVcpu, 1);

    v->machine = machine;
    v->cpu = x86_cpu(vcpu);
    v->fd = -1;
    v->xsave = g_malloc0(machine->xsave.area);
    v->msr_buffer = g_malloc0(sizeof(*v->msr_buffer) +
                              kvm_msrs_max(machine) * sizeof(struct kvm_msr_entry));
    v->fallbacks_by_mnemonic = g_new0(uint32_t, ZYDIS_MNEMONIC_MAX_VALUE + 1);
    vcpu->accel = v;
    vcpu->ops = &kvm_vcpu_ops;
    if (!vcpu_create(v, error) || !set_tsc_rate(v, error)) {
        g_prefix_error(error, "kvm: ");
        return false;
    }
    v->stretch.lend = KVM_LEND_START;
    g_ptr_array_add(machine->vcpus, v);
    allow_every_instruction(v->cpu);
    return true;
}

static const AccelMachine *kvm_machine_part(void *instance)
{
    return &((KvmMachine *)instance)->accel;
}

static const AccelOps kvm_accel = {
    .name = "kvm",
    .desc = "the host's CPU, by the kernel's KVM",
    .available = kvm_available,
    .cpu_caps = kvm_cpu_caps,
    .machine_new = kvm_machine_new,
    .machine_free = machine_free,
    .machine_part = kvm_machine_part,
    .vcpu_init = kvm_vcpu_init,
    .vcpu_free = kvm_vcpu_free,
    .vcpu_log_stats = kvm_log_stats,
};
ACCEL_TYPE(kvm_accel);
