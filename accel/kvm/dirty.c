/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Pages that the guest wrote: the kernel's log of each slot, into the marks of memory/. With
 * KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2 reading leaves the log alone and pages are protected anew by a
 * call of its own (api.rst 4.8, 4.117); without it reading does both.
 */
#include <errno.h>
#include <sys/ioctl.h>

#include "accel/kvm/kvm.h"
#include "util/log.h"

/* Pages of a slot from a slot's bitmap: what lies in @block at @offset onwards. */
static void unmark(RamBlock *block, uint64_t offset, const uint64_t *bitmap, uint64_t pages)
{
    for (uint64_t word = 0; word * 64 < pages; word++) {
        uint64_t bits = bitmap[word];
        while (bits) {
            uint64_t page = word * 64 + __builtin_ctzll(bits);
            bits &= bits - 1;
            if (page < pages) {
                ram_page_unmark(block, offset + (page << GUEST_PAGE_BITS), PAGE_WATCH_DIRTY);
            }
        }
    }
}

/* Lengths of KVM_CLEAR_DIRTY_LOG are multiples of 64 or end with the slot; whole slots are. */
static void clear(const KvmMachine *machine, unsigned number, uint64_t pages, uint64_t *bitmap)
{
    struct kvm_clear_dirty_log done = {.slot = number, .num_pages = pages,
                                       .dirty_bitmap = bitmap};

    if (machine->manual_protect && ioctl(machine->vm_fd, KVM_CLEAR_DIRTY_LOG, &done) < 0) {
        log_write(LOG_ACCEL, "kvm: KVM_CLEAR_DIRTY_LOG: %s", g_strerror(errno));
    }
}

void kvm_dirty_sync_slot(KvmMachine *machine, unsigned number)
{
    const RamSection *section = &g_array_index(machine->slots, KvmSlot, number).section;
    uint64_t pages = section->size >> GUEST_PAGE_BITS;
    g_autofree uint64_t *bitmap = g_new0(uint64_t, (pages + 63) / 64);
    struct kvm_dirty_log log = {.slot = number, .dirty_bitmap = bitmap};

    if (ioctl(machine->vm_fd, KVM_GET_DIRTY_LOG, &log) < 0) {
        log_write(LOG_ACCEL, "kvm: KVM_GET_DIRTY_LOG of slot %u: %s", number, g_strerror(errno));
        return;
    }
    unmark(section->block, section->offset, bitmap, pages);
    clear(machine, number, pages, bitmap);
}

static void dirty_set(KvmMachine *machine, bool on)
{
    machine->dirty_log = on;
    for (unsigned i = 0; i < machine->slots->len; i++) {
        if (g_array_index(machine->slots, KvmSlot, i).section.size) {
            kvm_slot_renew(machine, i);
        }
    }
}

static void dirty_start(void *opaque)
{
    dirty_set(opaque, true);
}

static void dirty_stop(void *opaque)
{
    dirty_set(opaque, false);
}

static void dirty_sync(void *opaque, RamBlock *block)
{
    KvmMachine *machine = opaque;

    for (unsigned i = 0; i < machine->slots->len; i++) {
        const KvmSlot *slot = &g_array_index(machine->slots, KvmSlot, i);
        if (slot->section.size && slot->section.block == block && slot->section.writable) {
            kvm_dirty_sync_slot(machine, i);
        }
    }
}

static const DirtyLogOps dirty_ops = {
    .start = dirty_start,
    .stop = dirty_stop,
    .sync = dirty_sync,
};

void kvm_dirty_init(KvmMachine *machine)
{
    struct kvm_enable_cap manual = {.cap = KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2,
                                    .args = {KVM_DIRTY_LOG_MANUAL_PROTECT_ENABLE}};

    machine->manual_protect = ioctl(machine->vm_fd, KVM_ENABLE_CAP, &manual) >= 0;
    memory_set_dirty_log(machine->memory, &dirty_ops, machine);
}

void kvm_dirty_free(KvmMachine *machine)
{
    memory_set_dirty_log(machine->memory, NULL, NULL);
}
