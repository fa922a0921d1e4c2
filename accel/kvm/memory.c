/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Memory slots: the RAM sections of the flat view, each one slot. Where a vCPU meets the moment in
 * which a section is between two slots, it leaves as for a device and finds its RAM by
 * memory_read() and memory_write(), so vCPUs need not stop for a change.
 */
#include <errno.h>
#include <sys/ioctl.h>

#include "accel/kvm/kvm.h"
#include "util/log.h"

typedef struct KvmSlot {
    RamSection section; /* size 0: the number is free */
} KvmSlot;

static bool same_section(const RamSection *a, const RamSection *b)
{
    return a->addr == b->addr && a->size == b->size && a->block == b->block &&
           a->offset == b->offset && a->writable == b->writable;
}

static bool slots_have(const GArray *slots, const RamSection *section)
{
    for (unsigned i = 0; i < slots->len; i++) {
        if (same_section(&g_array_index(slots, KvmSlot, i).section, section)) {
            return true;
        }
    }
    return false;
}

static bool sections_have(const GArray *sections, const RamSection *section)
{
    for (unsigned i = 0; i < sections->len; i++) {
        if (same_section(&g_array_index(sections, RamSection, i), section)) {
            return true;
        }
    }
    return false;
}

/* Tells the kernel what slot @number is; size 0 removes it. A refused slot stays a device's. */
static bool slot_set(const KvmMachine *machine, unsigned number, const RamSection *section)
{
    struct kvm_userspace_memory_region region = {
        .slot = number,
        .guest_phys_addr = section->addr,
        .memory_size = section->size,
        .userspace_addr = section->size ? (uintptr_t)section->block->host + section->offset : 0,
        .flags = section->size && !section->writable ? KVM_MEM_READONLY : 0,
    };

    if (ioctl(machine->vm_fd, KVM_SET_USER_MEMORY_REGION, &region) < 0) {
        log_write(LOG_ACCEL, "kvm: memory slot %u at 0x%" G_GINT64_MODIFIER "x, 0x%"
                  G_GINT64_MODIFIER "x bytes: %s", number, section->addr, section->size,
                  g_strerror(errno));
        return false;
    }
    return true;
}

static unsigned slot_free_number(GArray *slots)
{
    for (unsigned i = 0; i < slots->len; i++) {
        if (!g_array_index(slots, KvmSlot, i).section.size) {
            return i;
        }
    }
    g_array_set_size(slots, slots->len + 1);
    return slots->len - 1;
}

static void slots_follow(void *opaque)
{
    KvmMachine *machine = opaque;
    g_autoptr(GArray) sections = memory_ram_sections(machine->memory);

    for (unsigned i = 0; i < machine->slots->len; i++) {
        KvmSlot *slot = &g_array_index(machine->slots, KvmSlot, i);
        if (slot->section.size && !sections_have(sections, &slot->section)) {
            slot->section.size = 0;
            slot_set(machine, i, &slot->section);
        }
    }
    for (unsigned i = 0; i < sections->len; i++) {
        const RamSection *section = &g_array_index(sections, RamSection, i);
        if (!slots_have(machine->slots, section)) {
            unsigned number = slot_free_number(machine->slots);
            if (slot_set(machine, number, section)) {
                g_array_index(machine->slots, KvmSlot, number).section = *section;
            }
        }
    }
}

void kvm_memory_init(KvmMachine *machine)
{
    machine->slots = g_array_new(FALSE, TRUE, sizeof(KvmSlot));
    slots_follow(machine);
    memory_add_listener(machine->memory, slots_follow, machine);
}

void kvm_memory_free(KvmMachine *machine)
{
    memory_remove_listener(machine->memory, slots_follow, machine);
    g_array_unref(machine->slots);
}
