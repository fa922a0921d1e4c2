/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Memory slots: the RAM sections of the flat view, each one slot. Where a vCPU meets the moment in
 * which a section is between two slots, it leaves as for a device and finds its RAM by
 * memory_read() and memory_write(), so vCPUs need not stop for a change.
 */
#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>

#include "accel/kvm/kvm.h"
#include "util/lock.h"
#include "util/log.h"

/* The ring fills a page (linux/kvm.h, KVM_COALESCED_MMIO_MAX). */
#define KVM_RING_ENTRIES                                                                           \
    ((GUEST_PAGE_SIZE - sizeof(struct kvm_coalesced_mmio_ring)) /                                  \
     sizeof(struct kvm_coalesced_mmio))

/* What a gate of the AT's time is about: its 24 address lines. */
#define A20_BIT (1u << 20)
#define A20_LIMIT (16u << 20)

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
        .flags = !section->size       ? 0
                 : !section->writable ? KVM_MEM_READONLY
                 : machine->dirty_log ? KVM_MEM_LOG_DIRTY_PAGES
                                      : 0,
    };

    if (ioctl(machine->vm_fd, KVM_SET_USER_MEMORY_REGION, &region) < 0) {
        log_write(LOG_ACCEL, "kvm: memory slot %u at 0x%" G_GINT64_MODIFIER "x, 0x%"
                  G_GINT64_MODIFIER "x bytes: %s", number, section->addr, section->size,
                  g_strerror(errno));
        return false;
    }
    return true;
}

void kvm_slot_renew(const KvmMachine *machine, unsigned number)
{
    slot_set(machine, number, &g_array_index(machine->slots, KvmSlot, number).section);
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

/* The part of @section in [first, first + size), moved on by @shift. */
static void add_part(GArray *to, const RamSection *section, uint64_t first, uint64_t size,
                     uint64_t shift)
{
    uint64_t start = MAX(section->addr, first);
    uint64_t end = MIN(section->addr + section->size, first + size);
    RamSection part = *section;

    if (start < end) {
        part.addr = start + shift;
        part.size = end - start;
        part.offset = section->offset + (start - section->addr);
        g_array_append_val(to, part);
    }
}

/*
 * With address line 20 held low an odd megabyte shows the even one below it. KVM masks no address,
 * so the slots say it, up to where machines of that time had memory; fewer slots to change make
 * programs bearable that use the gate for every copy.
 */
static GArray *sections_without_a20(GArray *sections)
{
    GArray *result = g_array_new(FALSE, FALSE, sizeof(RamSection));

    for (unsigned i = 0; i < sections->len; i++) {
        const RamSection *section = &g_array_index(sections, RamSection, i);
        for (uint64_t even = 0; even < A20_LIMIT; even += 2 * A20_BIT) {
            add_part(result, section, even, A20_BIT, 0);
            add_part(result, section, even, A20_BIT, A20_BIT);
        }
        add_part(result, section, A20_LIMIT, UINT64_MAX - A20_LIMIT, 0);
    }
    g_array_unref(sections);
    return result;
}

static GArray *wanted_sections(const KvmMachine *machine)
{
    GArray *sections = memory_ram_sections(machine->memory);

    return machine->a20_off ? sections_without_a20(sections) : sections;
}

static void slots_follow(void *opaque)
{
    KvmMachine *machine = opaque;
    g_autoptr(GArray) sections = wanted_sections(machine);

    for (unsigned i = 0; i < machine->slots->len; i++) {
        KvmSlot *slot = &g_array_index(machine->slots, KvmSlot, i);
        if (slot->section.size && !sections_have(sections, &slot->section)) {
            if (machine->dirty_log && slot->section.writable) {
                kvm_dirty_sync_slot(machine, i); /* its log goes with it */
            }
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

void kvm_set_a20(void *instance, bool on)
{
    KvmMachine *machine = instance;

    if (machine->a20_off == on) {
        machine->a20_off = !on;
        slots_follow(machine);
    }
}

/* --- writes that are gathered ------------------------------------------------------- */

/* Stores to these addresses go to a ring instead of leaving the guest (api.rst 4.116). */
static void zone_set(const KvmMachine *machine, const RamSection *zone, bool on)
{
    struct kvm_coalesced_mmio_zone argument = {.addr = zone->addr, .size = zone->size};

    ioctl(machine->vm_fd, on ? KVM_REGISTER_COALESCED_MMIO : KVM_UNREGISTER_COALESCED_MMIO,
          &argument);
}

void kvm_gather_ports(void *instance, uint16_t port, unsigned count, bool on)
{
    const KvmMachine *machine = instance;
    struct kvm_coalesced_mmio_zone argument = {.addr = port, .size = count, .pio = 1};

    if (machine->ring_page && machine->has_coalesced_pio) {
        ioctl(machine->vm_fd, on ? KVM_REGISTER_COALESCED_MMIO : KVM_UNREGISTER_COALESCED_MMIO,
              &argument);
    }
}

static void zones_follow(void *opaque)
{
    KvmMachine *machine = opaque;
    GArray *zones = memory_coalesced_sections(machine->memory);

    for (unsigned i = 0; i < machine->zones->len; i++) {
        const RamSection *zone = &g_array_index(machine->zones, RamSection, i);
        if (!sections_have(zones, zone)) {
            zone_set(machine, zone, false);
        }
    }
    for (unsigned i = 0; i < zones->len; i++) {
        const RamSection *zone = &g_array_index(zones, RamSection, i);
        if (!sections_have(machine->zones, zone)) {
            zone_set(machine, zone, true);
        }
    }
    g_array_unref(machine->zones);
    machine->zones = zones;
}

static void do_gathered(const KvmVcpu *v, const struct kvm_coalesced_mmio *entry)
{
    uint32_t value = 0;

    if (entry->pio) {
        memcpy(&value, entry->data, MIN(entry->len, sizeof(value)));
        port_write(v->cpu->vcpu.ports, entry->phys_addr, value, entry->len);
    } else {
        memory_write(v->machine->memory, entry->phys_addr, entry->data, entry->len);
    }
}

void kvm_flush_gathered(KvmVcpu *v)
{
    struct kvm_coalesced_mmio_ring *ring = v->ring;

    if (!ring || ring->first == __atomic_load_n(&ring->last, __ATOMIC_ACQUIRE)) {
        return;
    }
    bool taken = machine_lock_enter();
    while (ring->first != __atomic_load_n(&ring->last, __ATOMIC_ACQUIRE)) {
        do_gathered(v, &ring->coalesced_mmio[ring->first]);
        __atomic_store_n(&ring->first, (ring->first + 1) % KVM_RING_ENTRIES, __ATOMIC_RELEASE);
    }
    machine_lock_leave(taken);
}

/* --- life ----------------------------------------------------------------------------- */

void kvm_memory_init(KvmMachine *machine)
{
    machine->slots = g_array_new(FALSE, TRUE, sizeof(KvmSlot));
    slots_follow(machine);
    memory_add_listener(machine->memory, slots_follow, machine);
    kvm_dirty_init(machine);
    if (machine->ring_page) {
        machine->zones = g_array_new(FALSE, TRUE, sizeof(RamSection));
        zones_follow(machine);
        memory_add_listener(machine->memory, zones_follow, machine);
    }
}

void kvm_memory_free(KvmMachine *machine)
{
    kvm_dirty_free(machine);
    memory_remove_listener(machine->memory, slots_follow, machine);
    g_array_unref(machine->slots);
    if (machine->zones) {
        memory_remove_listener(machine->memory, zones_follow, machine);
        g_array_unref(machine->zones);
    }
}
