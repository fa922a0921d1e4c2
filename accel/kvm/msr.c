/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Model-specific registers both ways: those that our CPU state holds and this KVM knows. One that
 * KVM refuses is reported once and left out from then on.
 */
#include <errno.h>
#include <stddef.h>
#include <sys/ioctl.h>

#include "accel/kvm/kvm.h"
#include "util/log.h"

#define MSR_TSC 0x10
#define MSR_ARCH_CAPABILITIES 0x10a
/* Paravirtual registers (Documentation/virt/kvm/x86/msr.rst); reset takes their pages away. */
#define MSR_KVM_WALL_CLOCK_OLD 0x11
#define MSR_KVM_SYSTEM_TIME_OLD 0x12
#define MSR_KVM_FIRST 0x4b564d00
#define MSR_KVM_POLL_CONTROL 0x4b564d05
#define MSR_KVM_LAST 0x4b564d08

#define FIELD(name) offsetof(X86CPU, name)

/* Feature -1: part of every CPU; else the register is there with the feature. */
static const struct {
    uint32_t index, field;
    int feature;
} ours[] = {
    {0x3a, FIELD(msr_feature_control), X86_FEATURE_VMX},
    {0x3b, FIELD(msr_tsc_adjust), X86_FEATURE_TSC_ADJUST},
    {0x48, FIELD(msr_spec_ctrl), X86_FEATURE_NONE},
    {MSR_ARCH_CAPABILITIES, FIELD(msr_arch_capabilities), X86_FEATURE_ARCH_CAPABILITIES},
    {0x174, FIELD(msr_sysenter_cs), X86_FEATURE_NONE},
    {0x175, FIELD(msr_sysenter_esp), X86_FEATURE_NONE},
    {0x176, FIELD(msr_sysenter_eip), X86_FEATURE_NONE},
    {0x17a, FIELD(msr_mcg_status), X86_FEATURE_MCA},
    {0x1a0, FIELD(msr_misc_enable), X86_FEATURE_NONE},
    {0x277, FIELD(msr_pat), X86_FEATURE_NONE},
    {0xda0, FIELD(msr_xss), X86_FEATURE_XSAVES},
    {0xc0000081, FIELD(msr_star), X86_FEATURE_NONE},
    {0xc0000082, FIELD(msr_lstar), X86_FEATURE_LM},
    {0xc0000083, FIELD(msr_cstar), X86_FEATURE_LM},
    {0xc0000084, FIELD(msr_fmask), X86_FEATURE_LM},
    {0xc0000102, FIELD(msr_kernel_gs_base), X86_FEATURE_LM},
    {0xc0000103, FIELD(msr_tsc_aux), X86_FEATURE_RDTSCP},
};

static struct kvm_msr_list *msr_index_list(int kvm_fd)
{
    struct kvm_msr_list size = {0};
    struct kvm_msr_list *list;

    ioctl(kvm_fd, KVM_GET_MSR_INDEX_LIST, &size); /* fails with E2BIG and gives the number */
    list = g_malloc0(sizeof(*list) + MIN(size.nmsrs, 65536) * sizeof(uint32_t));
    list->nmsrs = MIN(size.nmsrs, 65536);
    if (ioctl(kvm_fd, KVM_GET_MSR_INDEX_LIST, list) < 0) {
        list->nmsrs = 0;
    }
    return list;
}

static bool list_has(const struct kvm_msr_list *list, uint32_t index)
{
    for (unsigned i = 0; i < list->nmsrs; i++) {
        if (list->indices[i] == index) {
            return true;
        }
    }
    return false;
}

static void add_msr(KvmMachine *machine, uint32_t index, uint32_t field, int feature)
{
    KvmMsr msr = { .index = index, .field = field, .feature = feature };

    g_array_append_val(machine->msrs, msr);
}

/* Memory types are not in the kernel's list, yet KVM has them for every CPU. */
static void add_mtrrs(KvmMachine *machine)
{
    static const uint16_t fixed[MSR_MTRR_FIX_COUNT] = {
        0x250, 0x258, 0x259, 0x268, 0x269, 0x26a, 0x26b, 0x26c, 0x26d, 0x26e, 0x26f};

    add_msr(machine, 0x2ff, FIELD(msr_mtrr_def_type), X86_FEATURE_MTRR);
    for (unsigned i = 0; i < MSR_MTRR_FIX_COUNT; i++) {
        add_msr(machine, fixed[i], FIELD(msr_mtrr_fix) + 8 * i, X86_FEATURE_MTRR);
    }
    for (unsigned i = 0; i < MSR_MTRR_VAR_COUNT; i++) {
        add_msr(machine, 0x200 + 2 * i, FIELD(msr_mtrr_base) + 8 * i, X86_FEATURE_MTRR);
        add_msr(machine, 0x201 + 2 * i, FIELD(msr_mtrr_mask) + 8 * i, X86_FEATURE_MTRR);
    }
}

void kvm_msrs_init(KvmMachine *machine)
{
    g_autofree struct kvm_msr_list *list = msr_index_list(machine->kvm_fd);

    machine->msrs = g_array_new(FALSE, TRUE, sizeof(KvmMsr));
    for (unsigned i = 0; i < G_N_ELEMENTS(ours); i++) {
        if (list_has(list, ours[i].index)) {
            add_msr(machine, ours[i].index, ours[i].field, ours[i].feature);
        }
    }
    add_mtrrs(machine);
    machine->reset_msrs = g_array_new(FALSE, TRUE, sizeof(KvmMsr));
    for (unsigned i = 0; i < list->nmsrs; i++) {
        uint32_t index = list->indices[i];
        if (index == MSR_KVM_POLL_CONTROL) {
            continue; /* its reset value is not 0, and only guests that poll change it */
        }
        if (index == MSR_TSC || index == MSR_KVM_WALL_CLOCK_OLD ||
            index == MSR_KVM_SYSTEM_TIME_OLD ||
            (index >= MSR_KVM_FIRST && index <= MSR_KVM_LAST)) {
            KvmMsr msr = { .index = index, .feature = X86_FEATURE_NONE };
            g_array_append_val(machine->reset_msrs, msr);
        }
    }
}

void kvm_msrs_free(KvmMachine *machine)
{
    g_clear_pointer(&machine->msrs, g_array_unref);
    g_clear_pointer(&machine->reset_msrs, g_array_unref);
}

unsigned kvm_msrs_max(const KvmMachine *machine)
{
    return MAX(machine->msrs->len, machine->reset_msrs->len);
}

/* --- moving them ------------------------------------------------------------------------- */

static uint64_t *msr_field(KvmVcpu *v, uint32_t field)
{
    return (uint64_t *)((uint8_t *)v->cpu + field);
}

static bool msr_takes_part(const KvmVcpu *v, const KvmMsr *msr)
{
    return !atomic_load(&msr->refused) &&
           (msr->feature == X86_FEATURE_NONE || cpu_has(v->cpu, msr->feature));
}

static KvmMsr *msr_by_index(GArray *msrs, uint32_t index)
{
    for (unsigned i = 0; i < msrs->len; i++) {
        KvmMsr *msr = &g_array_index(msrs, KvmMsr, i);
        if (msr->index == index) {
            return msr;
        }
    }
    return NULL;
}

/*
 * The ioctl stops at the first register it refuses and returns how many it did. Returns how many
 * entries of the buffer hold; the refused one and what follows it are tried again by the caller.
 */
static unsigned msrs_call(KvmVcpu *v, GArray *msrs, unsigned long request)
{
    struct kvm_msrs *buffer = v->msr_buffer;
    int done = ioctl(v->fd, request, buffer);

    done = MAX(done, 0);
    if ((unsigned)done < buffer->nmsrs) {
        KvmMsr *msr = msr_by_index(msrs, buffer->entries[done].index);
        if (!atomic_exchange(&msr->refused, true)) {
            log_write(LOG_ACCEL, "kvm: MSR 0x%x is refused for %s; it is left out", msr->index,
                      request == KVM_GET_MSRS ? "reading" : "writing");
        }
    }
    return done;
}

/* Fills the buffer with what takes part, from @from on; returns where it ended. */
static void fill_buffer(KvmVcpu *v, GArray *msrs, bool values)
{
    struct kvm_msrs *buffer = v->msr_buffer;

    buffer->nmsrs = 0;
    for (unsigned i = 0; i < msrs->len; i++) {
        const KvmMsr *msr = &g_array_index(msrs, KvmMsr, i);
        if (msr_takes_part(v, msr)) {
            buffer->entries[buffer->nmsrs++] = (struct kvm_msr_entry){
                .index = msr->index,
                .data = values && msr->field ? *msr_field(v, msr->field) : 0,
            };
        }
    }
}

/* Each round ends at the end or has left out one more register. */
static void move_msrs(KvmVcpu *v, GArray *msrs, unsigned long request)
{
    do {
        fill_buffer(v, msrs, request == KVM_SET_MSRS);
    } while (msrs_call(v, msrs, request) < v->msr_buffer->nmsrs);
}

/* The guest's clock, for our cpu_read_tsc() to go on from. */
static void take_tsc(KvmVcpu *v)
{
    struct {
        struct kvm_msrs head;
        struct kvm_msr_entry entry;
    } tsc = {.head.nmsrs = 1, .entry.index = MSR_TSC};

    if (ioctl(v->fd, KVM_GET_MSRS, &tsc) == 1) {
        v->cpu->tsc_offset += tsc.entry.data - cpu_read_tsc(v->cpu);
    }
    v->tsc_offset = v->cpu->tsc_offset;
}

/* Only what the guest has written to its clock meanwhile: the kernel's goes on by itself. */
static void give_tsc(KvmVcpu *v)
{
    struct {
        struct kvm_msrs head;
        struct kvm_msr_entry entry;
    } tsc = {.head.nmsrs = 1, .entry.index = MSR_TSC};

    if (v->cpu->tsc_offset != v->tsc_offset) {
        tsc.entry.data = cpu_read_tsc(v->cpu);
        ioctl(v->fd, KVM_SET_MSRS, &tsc);
        v->tsc_offset = v->cpu->tsc_offset;
    }
}

void kvm_take_msrs(KvmVcpu *v)
{
    move_msrs(v, v->machine->msrs, KVM_GET_MSRS);
    for (unsigned i = 0; i < v->msr_buffer->nmsrs; i++) {
        const struct kvm_msr_entry *entry = &v->msr_buffer->entries[i];
        *msr_field(v, msr_by_index(v->machine->msrs, entry->index)->field) = entry->data;
    }
    take_tsc(v);
}

void kvm_give_msrs(KvmVcpu *v, bool reset)
{
    move_msrs(v, v->machine->msrs, KVM_SET_MSRS);
    if (reset) {
        move_msrs(v, v->machine->reset_msrs, KVM_SET_MSRS);
        v->tsc_offset = v->cpu->tsc_offset;
    } else {
        give_tsc(v);
    }
}
