/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Chips in the kernel: what the guest programs is what their front ends save, loading puts it
 * back, reset clears it; interrupts come by line, message and eventfd; time stands still with the
 * machine.
 */
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "accel/accel.h"
#include "hw/intc/apic.h"
#include "tests/unit/kvm/rig.h"
#include "util/lock.h"

/* Programs master and slave, the timer, the I/O APIC's pin 5 and the local APIC. */
GUEST_CODE(code_program,
           "mov $0x11, %al\n out %al, $0x20\n mov $0x40, %al\n out %al, $0x21\n"
           "mov $4, %al\n out %al, $0x21\n mov $1, %al\n out %al, $0x21\n"
           "mov $0xd7, %al\n out %al, $0x21\n"
           "mov $0x34, %al\n out %al, $0x43\n mov $0x34, %al\n out %al, $0x40\n"
           "mov $0x12, %al\n out %al, $0x40\n"
           /* flat data segment: FS with a limit of 4 GiB */
           "mov $gdtr - code_program, %bx\n lgdtl %cs:(%bx)\n mov %cr0, %eax\n or $1, %al\n"
           "mov %eax, %cr0\n mov $8, %dx\n mov %dx, %fs\n and $0xfe, %al\n mov %eax, %cr0\n"
           "mov $0xfec00000, %ebx\n movl $0x1b, %fs:(%ebx)\n movl $0x12000000, %fs:0x10(%ebx)\n"
           "movl $0x1a, %fs:(%ebx)\n movl $0x10051, %fs:0x10(%ebx)\n"
           "mov $0xfee00000, %ebx\n movl $0x1ff, %fs:0xf0(%ebx)\n movl $0x30, %fs:0x80(%ebx)\n"
           "movl $0x10062, %fs:0x320(%ebx)\n movl $0xb, %fs:0x3e0(%ebx)\n"
           RIG_STOP
           ".balign 8\n gdt: .quad 0\n .quad 0x00cf93000000ffff\n"
           "gdtr: .word 15\n .long 0xffff0000 + gdt - code_program\n");

/* Counts interrupts of vector 50h and says each; the vector table is at 0. */
GUEST_CODE(code_take,
           "mov $0x7000, %sp\n movw $handler - code_take, 0x140\n movw %cs, 0x142\n"
           "mov $gdtr2 - code_take, %bx\n lgdtl %cs:(%bx)\n mov %cr0, %eax\n or $1, %al\n"
           "mov %eax, %cr0\n mov $8, %dx\n mov %dx, %fs\n and $0xfe, %al\n mov %eax, %cr0\n"
           "mov $0xfee00000, %ebx\n movl $0x1ff, %fs:0xf0(%ebx)\n"
           /* interrupts arrive at F000:x, whose bytes the test has copied there */
           "ljmp $0xf000, $1f - code_take\n 1: movw %cs, 0x142\n sti\n"
           "out %al, $0xe8\n 2: hlt\n jmp 2b\n"
           "handler: incw 0x500\n mov 0x500, %ax\n out %ax, $0xe0\n"
           "movl $0, %fs:0xb0(%ebx)\n out %al, $0xe8\n iret\n"
           ".balign 8\n gdt2: .quad 0\n .quad 0x00cf93000000ffff\n"
           "gdtr2: .word 15\n .long 0xffff0000 + gdt2 - code_take\n");

static Device *chip(Rig *rig, const char *type)
{
    Device *device = machine_find_device(rig->machine, type);

    g_assert_nonnull(device);
    return device;
}

static GVariant *saved(Rig *rig, const char *type)
{
    Device *device = chip(rig, type);

    return g_variant_ref_sink(state_save(device->type->state, device));
}

static uint64_t number(GVariant *state, const char *field)
{
    uint64_t value;

    g_assert_true(g_variant_lookup(state, field, "t", &value));
    return value;
}

static AccelPic pic_now(Rig *rig)
{
    AccelPic pic;

    rig->accel->ops->get_pic(rig->accel->instance, 0, &pic);
    return pic;
}

static void test_states(void)
{
    g_autoptr(Rig) rig = rig_new("kvm,kernel-irqchip=on", "qemu64", code_program, code_program_end);
    AccelIoApic ioapic;
    AccelPit pit;

    g_assert_cmphex(pic_now(rig).imr, ==, 0xff); /* as our reset leaves it */
    rig_run(rig);
    g_assert_cmphex(pic_now(rig).vector_base, ==, 0x40);
    g_assert_cmphex(pic_now(rig).imr, ==, 0xd7);
    rig->accel->ops->get_ioapic(rig->accel->instance, &ioapic);
    g_assert_cmphex(ioapic.redirection[5], ==, 0x1200000000010051);
    rig->accel->ops->get_pit(rig->accel->instance, &pit);
    g_assert_cmphex(pit.counter[0].count, ==, 0x1234);
    g_assert_cmpuint(pit.counter[0].mode, ==, 2);

    g_autoptr(GVariant) apic = saved(rig, "apic");
    g_assert_cmphex(number(apic, "svr"), ==, 0x1ff);
    g_assert_cmphex(number(apic, "tpr"), ==, 0x30);
    g_assert_cmphex(number(apic, "base"), ==, 0xfee00900);
    g_assert_cmphex(number(apic, "timer_divide"), ==, 0xb);
}

/* Saved, cleared by a reset, loaded, saved again: the same, for each chip. */
static void test_round_trip(void)
{
    static const char *const chips[] = { "i8259", "i8254", "ioapic", "apic" };
    g_autoptr(Rig) rig = rig_new("kvm,kernel-irqchip=on", "qemu64", code_program, code_program_end);
    GVariant *before[G_N_ELEMENTS(chips)];

    rig_run(rig);
    for (unsigned i = 0; i < G_N_ELEMENTS(chips); i++) {
        before[i] = saved(rig, chips[i]);
    }
    machine_reset(rig->machine);
    g_assert_cmphex(pic_now(rig).imr, ==, 0xff);
    for (unsigned i = 0; i < G_N_ELEMENTS(chips); i++) {
        Device *device = chip(rig, chips[i]);
        g_autoptr(GVariant) cleared = saved(rig, chips[i]);
        g_autoptr(GError) error = NULL;
        g_assert_false(g_variant_equal(cleared, before[i]));
        g_assert_true(state_load(device->type->state, device, before[i], &error));
        g_assert_no_error(error);
        g_autoptr(GVariant) after = saved(rig, chips[i]);
        if (strcmp(chips[i], "i8254") && !g_variant_equal(after, before[i])) {
            g_autofree char *a = g_variant_print(before[i], false);
            g_autofree char *b = g_variant_print(after, false);
            g_test_message("%s\n%s", a, b);
            g_test_fail();
        }
        g_variant_unref(before[i]);
    }
    g_assert_cmphex(pic_now(rig).imr, ==, 0xd7);
}

/* --- interrupts ------------------------------------------------------------------------ */

/* Up to where the code waits for its interrupts. */
static Rig *taking_rig(const char *accel)
{
    Rig *rig = rig_new(accel, "qemu64", code_take, code_take_end);

    memcpy(rig->machine->ram->host + 0xf0000, code_take, code_take_end - code_take);
    rig_run(rig);
    g_assert_cmpuint(rig->said_count, ==, 0);
    return rig;
}

static const char *const places[] = { "kvm,kernel-irqchip=on", "kvm,kernel-irqchip=split" };

static void test_message(void)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(places); i++) {
        g_autoptr(Rig) rig = taking_rig(places[i]);
        ApicMessage message = { .dest = 0, .delivery = APIC_DELIVER_FIXED, .vector = 0x50 };

        g_assert_true(apic_bus_deliver(rig->machine, &message));
        rig_run(rig);
        apic_bus_msi(rig->machine, 0xfee00000, 0x4050);
        rig_run(rig);
        g_assert_cmpuint(rig->said_count, ==, 2);
        message.dest = 7; /* nobody */
        g_assert_false(apic_bus_deliver(rig->machine, &message));
    }
}

static void test_irqfd(void)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(places); i++) {
        g_autoptr(Rig) rig = taking_rig(places[i]);
        const AccelMachineOps *ops = rig->accel->ops;
        AccelMsi elsewhere = { 0xfee00000, 0x4060 }, there = { 0xfee00000, 0x4050 };
        int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
        g_autoptr(GError) error = NULL;
        int number = ops->irqfd_add(rig->accel->instance, fd, &elsewhere, &error);

        g_assert_no_error(error);
        g_assert_cmpint(number, >=, ACCEL_IOAPIC_PINS);
        ops->irqfd_change(rig->accel->instance, number, &there);
        eventfd_write(fd, 1);
        rig_run(rig);
        g_assert_cmpuint(rig->said_count, ==, 1);
        ops->irqfd_remove(rig->accel->instance, number, fd);
        eventfd_write(fd, 1);
        rig_run_for(rig, 50);
        g_assert_cmpuint(rig->said_count, ==, 1);
        close(fd);
    }
}

static void test_irqfd_needs_kernel_apic(void)
{
    g_autoptr(Rig) rig = taking_rig("kvm,kernel-irqchip=off");
    AccelMsi message = { 0xfee00000, 0x4050 };
    g_autoptr(GError) error = NULL;

    g_assert_cmpint(rig->accel->ops->irqfd_add(rig->accel->instance, 0, &message, &error), ==, -1);
    g_assert_nonnull(strstr(error->message, "kernel-irqchip"));
}

/* The timer's line through the I/O APIC's pin 2: on, in the kernel; else by our chips. */
static void test_line(void)
{
    g_autoptr(Rig) rig = taking_rig("kvm,kernel-irqchip=on");
    AccelIoApic ioapic;

    rig->accel->ops->get_ioapic(rig->accel->instance, &ioapic);
    ioapic.redirection[2] = 0x50;
    ioapic.redirection[9] = 0x8050; /* level */
    rig->accel->ops->put_ioapic(rig->accel->instance, &ioapic);
    irq_pulse(machine_gsi(rig->machine, 0));
    rig_run(rig);
    irq_set(machine_gsi(rig->machine, 9), 1);
    rig_run(rig);
    rig_run(rig); /* the line is still asserted: again after the EOI */
    irq_set(machine_gsi(rig->machine, 9), 0);
    g_assert_cmpuint(rig->said_count, ==, 3);
}

/* Split: the end of a level-triggered interrupt comes to our I/O APIC, which sends it again. */
static void test_split_eoi(void)
{
    g_autoptr(Rig) rig = taking_rig("kvm,kernel-irqchip=split");
    MemorySpace *memory = rig->machine->memory;

    memory_store(memory, 0xfec00000, 0x10 + 2 * 9, 4);
    memory_store(memory, 0xfec00010, 0x8050, 4);
    irq_set(machine_gsi(rig->machine, 9), 1);
    rig_run(rig);
    rig_run(rig);
    irq_set(machine_gsi(rig->machine, 9), 0);
    g_assert_cmpuint(rig->said_count, ==, 2);
}

/* --- time ------------------------------------------------------------------------------- */

/* Names a page to kvmclock (msr.rst, MSR_KVM_SYSTEM_TIME_NEW), then says its counter, twice. */
GUEST_CODE(code_clock,
           "mov $0x4b564d01, %ecx\n mov $0x6001, %eax\n xor %edx, %edx\n wrmsr\n"
           "rdtsc\n out %eax, $0xe0\n mov %edx, %eax\n out %eax, $0xe0\n out %al, $0xe8\n"
           "rdtsc\n out %eax, $0xe0\n mov %edx, %eax\n out %eax, $0xe0\n" RIG_STOP);

/* The time that the page and a counter give (pvclock ABI). */
static uint64_t pvclock_ns(const Rig *rig, unsigned said)
{
    const uint8_t *page = rig->machine->ram->host + 0x6000;
    uint64_t tsc = rig->said[said] | (uint64_t)rig->said[said + 1] << 32, then, time;
    uint32_t multiplier;
    int8_t shift = page[28];

    memcpy(&then, page + 8, 8);
    memcpy(&time, page + 16, 8);
    memcpy(&multiplier, page + 24, 4);
    tsc -= then;
    tsc = shift < 0 ? tsc >> -shift : tsc << shift;
    return time + (uint64_t)((unsigned __int128)tsc * multiplier >> 32);
}

static void test_clock(void)
{
    g_autoptr(Rig) rig = rig_new(RIG_PLAIN_KVM, "qemu64", code_clock, code_clock_end);
    uint64_t before, after;
    int64_t begin = g_get_monotonic_time(), ran;

    rig_run(rig);
    before = pvclock_ns(rig, 0);
    ran = g_get_monotonic_time() - begin;
    g_usleep(1500000);
    begin = g_get_monotonic_time();
    rig_run(rig);
    ran += g_get_monotonic_time() - begin;
    after = pvclock_ns(rig, 2);
    g_assert_cmpuint(after, >=, before);
    /* No more than it may have run, however long that took; the clocks may differ a little. */
    g_assert_cmpint((after - before) / 1000, <, ran + 100000);
}

/* --- MP state --------------------------------------------------------------------------- */

static void test_halted(void)
{
    g_autoptr(Rig) rig = taking_rig("kvm,kernel-irqchip=on");
    Vcpu *vcpu = rig_vcpu(rig);

    vcpu->ops->take_state(vcpu);
    g_assert_false(vcpu->halted);
    for (unsigned tries = 0; !vcpu->halted && tries < 200; tries++) {
        rig_run_for(rig, 10);
        vcpu->ops->take_state(vcpu);
    }
    g_assert_true(vcpu->halted);
    apic_bus_msi(rig->machine, 0xfee00000, 0x4050);
    rig_run(rig);
    g_assert_cmpuint(rig->said_count, ==, 1);
}

int main(int argc, char **argv)
{
    g_test_add_func("/kvm/irqchip/states", test_states);
    g_test_add_func("/kvm/irqchip/round-trip", test_round_trip);
    g_test_add_func("/kvm/irqchip/message", test_message);
    g_test_add_func("/kvm/irqchip/irqfd", test_irqfd);
    g_test_add_func("/kvm/irqchip/irqfd-needs-kernel-apic", test_irqfd_needs_kernel_apic);
    g_test_add_func("/kvm/irqchip/line", test_line);
    g_test_add_func("/kvm/irqchip/split-eoi", test_split_eoi);
    g_test_add_func("/kvm/irqchip/clock", test_clock);
    g_test_add_func("/kvm/irqchip/halted", test_halted);
    return rig_main(argc, argv);
}
