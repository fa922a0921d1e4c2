/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The wires between a PC's vCPUs and its chips: a local APIC for each, the 8259's output to the
 * boot CPU's LINT0, and the A20 gate; interrupt lines to where those chips are if that is the
 * accelerator.
 */
#include "accel/accel.h"
#include "accel/machine.h"
#include "hw/core/machine.h"
#include "hw/intc/apic.h"

#define A20_BIT (1ull << 20)

typedef struct {
    Device device;
    bool apic;
} PcCpus;

static void pc_cpus_set_a20(void *opaque, int n, int level)
{
    const PcCpus *self = opaque;
    const AccelMachine *accel = self->device.machine->accel;
    const GPtrArray *vcpus = self->device.machine->vcpus;
    uint64_t mask = level ? UINT64_MAX : ~A20_BIT;

    for (unsigned i = 0; i < vcpus->len; i++) {
        Vcpu *vcpu = vcpus->pdata[i];
        if (vcpu->a20_mask != mask) {
            vcpu->a20_mask = mask;
            vcpu_raise(vcpu, VCPU_MEM_CHANGED);
        }
    }
    if (accel && accel->ops->set_a20) {
        accel->ops->set_a20(accel->instance, level);
    }
}

/* Chips that drive the gate come after this device in reset order, and have the last word. */
static void pc_cpus_reset(Device *device)
{
    pc_cpus_set_a20(device, 0, 1);
}

static void pc_cpus_set_gsi(void *opaque, int gsi, int level)
{
    const PcCpus *self = opaque;
    const AccelMachine *accel = self->device.machine->accel;

    accel->ops->set_gsi(accel->instance, gsi, level);
}

static bool pc_cpus_realize(Device *device, GError **error)
{
    PcCpus *self = (PcCpus *)device;
    Machine *machine = device->machine;

    if (!self->apic && machine->vcpus->len > 1) {
        g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_INVAL,
                    "%u CPUs need local APICs, which this board has not", machine->vcpus->len);
        return false;
    }
    for (unsigned i = 0; i < machine->vcpus->len && self->apic; i++) {
        Vcpu *vcpu = machine->vcpus->pdata[i];
        Device *apic = apic_create(machine, vcpu, error);
        if (!apic) {
            return false;
        }
        if (vcpu->is_bsp) {
            machine_line_connect(machine, "pic-intr", apic_lint_line(apic, 0));
        }
    }
    for (unsigned gsi = 0; gsi < MACHINE_GSI_COUNT && accel_has(machine->accel, ACCEL_PIC); gsi++) {
        machine_gsi_connect(machine, gsi, (IrqLine){ pc_cpus_set_gsi, self, gsi });
    }
    machine_line_connect(machine, "a20", (IrqLine){ pc_cpus_set_a20, self, 0 });
    return true;
}

static const Property pc_cpus_properties[] = {
    PROP(PROP_BOOL, PcCpus, apic, "apic", "give each CPU a local APIC", "on"),
    PROP_END,
};

static const DeviceType pc_cpus_type = {
    .name = "pc-cpus",
    .desc = "Wiring of a PC's CPUs: local APICs, A20",
    .category = "CPU",
    .bus = "system",
    .size = sizeof(PcCpus),
    .properties = pc_cpus_properties,
    .realize = pc_cpus_realize,
    .reset = pc_cpus_reset,
    .not_for_users = "the machine file decides how its CPUs are wired",
};
DEVICE_TYPE(pc_cpus_type);
