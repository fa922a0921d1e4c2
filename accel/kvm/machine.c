/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What boards and chips ask of the machine's accelerator beside its chips: notifiers of guest
 * writes, and time that stands still with the machine.
 */
#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>

#include "accel/kvm/kvm.h"
#include "util/log.h"

/* --- ioeventfd ------------------------------------------------------------------------ */

static bool kvm_ioeventfd(void *instance, const AccelIoEvent *event, bool on, GError **error)
{
    const KvmMachine *machine = instance;
    struct kvm_ioeventfd argument = {
        .datamatch = event->match ? event->value : 0,
        .addr = event->addr,
        .len = event->size,
        .fd = event->fd,
        .flags = (event->port ? KVM_IOEVENTFD_FLAG_PIO : 0) |
                 (event->match ? KVM_IOEVENTFD_FLAG_DATAMATCH : 0) |
                 (on ? 0 : KVM_IOEVENTFD_FLAG_DEASSIGN),
    };

    return kvm_call(machine->vm_fd, KVM_IOEVENTFD, &argument, "KVM_IOEVENTFD", error);
}

/* --- writes that are gathered ------------------------------------------------------------ */

/* The vCPUs share one ring. */
static void kvm_flush_writes(void *instance)
{
    const KvmMachine *machine = instance;

    if (machine->vcpus->len) {
        kvm_flush_gathered(g_ptr_array_index(machine->vcpus, 0));
    }
}

/* --- time ------------------------------------------------------------------------------- */

/*
 * kvmclock counts on in the kernel while nobody runs; a guest that goes on is to find the time at
 * which it was stopped (api.rst, KVM_GET_CLOCK). The timer chip starts its period anew.
 */
static void kvm_stopped(void *instance)
{
    KvmMachine *machine = instance;
    struct kvm_clock_data clock = {0};

    kvm_flush_writes(machine);
    machine->has_clock = ioctl(machine->vm_fd, KVM_GET_CLOCK, &clock) >= 0;
    machine->clock = clock.clock;
    if (accel_has(&machine->accel, ACCEL_PIT)) {
        kvm_get_pit(machine, &machine->pit);
    }
}

static void kvm_resumed(void *instance)
{
    KvmMachine *machine = instance;
    struct kvm_clock_data clock = {.clock = machine->clock};

    if (!machine->has_clock) {
        return;
    }
    machine->has_clock = false;
    if (ioctl(machine->vm_fd, KVM_SET_CLOCK, &clock) < 0) {
        log_write(LOG_ACCEL, "kvm: KVM_SET_CLOCK: %s", g_strerror(errno));
    }
    if (accel_has(&machine->accel, ACCEL_PIT)) {
        kvm_put_pit(machine, &machine->pit);
    }
    for (unsigned i = 0; i < machine->vcpus->len; i++) {
        const KvmVcpu *v = g_ptr_array_index(machine->vcpus, i);
        ioctl(v->fd, KVM_KVMCLOCK_CTRL, 0); /* fails where the guest does not use it */
    }
}

const AccelMachineOps kvm_machine_ops = {
    .set_gsi = kvm_set_gsi,
    .send_msi = kvm_send_msi,
    .set_pin_message = kvm_set_pin_message,
    .set_eoi_handler = kvm_set_eoi_handler,
    .get_lapic = kvm_get_lapic,
    .put_lapic = kvm_put_lapic,
    .lapic_msr = kvm_lapic_msr,
    .get_pic = kvm_get_pic,
    .put_pic = kvm_put_pic,
    .get_ioapic = kvm_get_ioapic,
    .put_ioapic = kvm_put_ioapic,
    .get_pit = kvm_get_pit,
    .put_pit = kvm_put_pit,
    .set_a20 = kvm_set_a20,
    .gather_ports = kvm_gather_ports,
    .flush_writes = kvm_flush_writes,
    .stopped = kvm_stopped,
    .resumed = kvm_resumed,
    .ioeventfd = kvm_ioeventfd,
    .irqfd_add = kvm_irqfd_add,
    .irqfd_change = kvm_irqfd_change,
    .irqfd_remove = kvm_irqfd_remove,
};
