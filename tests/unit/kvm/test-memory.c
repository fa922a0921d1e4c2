/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Memory under KVM: the log of written pages, eventfds on ports and addresses, the A20 gate. */
#include <sys/eventfd.h>
#include <unistd.h>

#include "tests/unit/kvm/rig.h"

/* Three pages, one of them twice, and one that is only read; then, another time, one page. */
GUEST_CODE(code_write,
           "mov %al, 0x3000\n mov %al, 0x7fff\n mov %al, 0x7000\n mov 0x5000, %bl\n"
           "mov %al, 0x9123\n out %al, $0xe8\n"
           "mov %al, 0x4000\n" RIG_STOP);

/* Ports and memory with notifiers; values tell the second from the first. */
GUEST_CODE(code_notify,
           "mov $0xa000, %ax\n mov %ax, %ds\n mov $7, %al\n mov $0xd0, %dx\n out %al, %dx\n"
           "movl $0x11, 0x10\n movl $0x22, 0x10\n movl $0x22, 0x10\n"
           RIG_STOP);

/* FFFF:0510 is 100500h with the gate open, 500h without. */
GUEST_CODE(code_a20,
           "mov $0xffff, %ax\n mov %ax, %es\n movw $0x1111, 0x500\n movw $0x2222, %es:0x510\n"
           "out %al, $0xe8\n"
           "mov %es:0x510, %ax\n out %ax, $0xe0\n movw $0x3333, %es:0x510\n out %al, $0xe8\n"
           "mov %es:0x510, %ax\n out %ax, $0xe0\n mov 0x500, %ax\n out %ax, $0xe0\n" RIG_STOP);

static bool is_dirty(const uint8_t *bitmap, unsigned page)
{
    return bitmap[page / 8] >> (page % 8) & 1;
}

static void test_dirty(void)
{
    g_autoptr(Rig) rig = rig_new(RIG_PLAIN_KVM, "qemu64", code_write, code_write_end);
    MemorySpace *memory = rig->machine->memory;
    RamBlock *ram = rig->machine->ram;
    uint8_t bitmap[RIG_RAM_SIZE / GUEST_PAGE_SIZE / 8];

    memory_dirty_start(memory);
    g_assert_cmpuint(memory_dirty_take(memory, ram, bitmap), ==, 0);
    rig_run(rig);
    g_assert_cmpuint(memory_dirty_take(memory, ram, bitmap), ==, 3);
    g_assert_true(is_dirty(bitmap, 3) && is_dirty(bitmap, 7) && is_dirty(bitmap, 9));
    g_assert_cmpuint(memory_dirty_take(memory, ram, bitmap), ==, 0);
    rig_run(rig);
    memory_store(memory, 0x20000, 1, 1); /* a device's write counts as well */
    g_assert_cmpuint(memory_dirty_take(memory, ram, bitmap), ==, 2);
    g_assert_true(is_dirty(bitmap, 4) && is_dirty(bitmap, 0x20));
    memory_dirty_stop(memory);
    g_assert_cmphex(ram_page_marks(ram, 0), ==, 0);
}

/* A slot that goes takes no page of the log with it. */
static void test_dirty_slot_removed(void)
{
    g_autoptr(Rig) rig = rig_new(RIG_PLAIN_KVM, "qemu64", code_write, code_write_end);
    MemorySpace *memory = rig->machine->memory;
    RamBlock *ram = rig->machine->ram;
    uint8_t bitmap[RIG_RAM_SIZE / GUEST_PAGE_SIZE / 8];

    memory_dirty_start(memory);
    rig_run(rig);
    MemoryMapping *cut = memory_map_ram(memory, 0x8000, ram, 0x100000, GUEST_PAGE_SIZE,
                                        MAP_READ | MAP_WRITE, 5);
    g_assert_cmpuint(memory_dirty_take(memory, ram, bitmap), ==, 3);
    g_assert_true(is_dirty(bitmap, 3) && is_dirty(bitmap, 7) && is_dirty(bitmap, 9));
    memory_unmap(cut);
}

static uint64_t count_of(int fd)
{
    eventfd_t count = 0;

    return eventfd_read(fd, &count) ? 0 : count;
}

static uint64_t no_read(void *opaque, uint64_t offset, unsigned size)
{
    return 0;
}

static void count_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    ++*(unsigned *)opaque;
}

static void test_ioeventfd(void)
{
    static const MemoryOps counting = { no_read, count_write, 1, 4 };
    g_autoptr(Rig) rig = rig_new(RIG_PLAIN_KVM, "qemu64", code_notify, code_notify_end);
    const AccelMachine *accel = rig->accel;
    int port = eventfd(0, EFD_NONBLOCK), memory = eventfd(0, EFD_NONBLOCK);
    AccelIoEvent events[] = {
        { .port = true, .addr = 0xd0, .size = 1, .fd = port },
        { .addr = 0xa0010, .size = 4, .match = true, .value = 0x22, .fd = memory },
    };
    unsigned exits = 0;
    g_autoptr(GError) error = NULL;

    memory_map_io(rig->machine->memory, 0xa0000, 0x1000, &counting, &exits, "counting", 10);
    for (unsigned i = 0; i < G_N_ELEMENTS(events); i++) {
        accel->ops->ioeventfd(accel->instance, &events[i], true, &error);
        g_assert_no_error(error);
    }
    rig_run(rig);
    g_assert_cmpuint(count_of(port), ==, 1);
    g_assert_cmpuint(count_of(memory), ==, 2);
    g_assert_cmpuint(exits, ==, 1); /* the write of another value */
    for (unsigned i = 0; i < G_N_ELEMENTS(events); i++) {
        g_assert_true(accel->ops->ioeventfd(accel->instance, &events[i], false, NULL));
        g_assert_false(accel->ops->ioeventfd(accel->instance, &events[i], false, NULL));
    }
    close(port);
    close(memory);
}

/* Index and data, as of a palette; then a port of another chip, and the rest is left. */
GUEST_CODE(code_gather,
           "mov $0xd0, %dx\n mov $5, %al\n out %al, %dx\n inc %dx\n mov $6, %al\n"
           "out %al, %dx\n out %al, $0xe0\n"
           "mov $7, %al\n out %al, %dx\n out %al, $0xe8\n mov $8, %al\n out %al, %dx\n"
           "1: hlt\n jmp 1b\n");

static void note_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    Rig *rig = opaque;

    rig->said[rig->said_count++] = offset << 8 | value;
}

static void test_gathered_ports(void)
{
    static const MemoryOps noting = { no_read, note_write, 1, 4 };
    g_autoptr(Rig) rig = rig_new("kvm,kernel-irqchip=on", "qemu64", code_gather, code_gather_end);

    g_assert_nonnull(port_map(rig->machine->ports, 0xd0, 2, &noting, rig, "noting", NULL));
    machine_gather_ports(rig->machine, 0xd0, 2, true);
    rig_run(rig);
    const uint32_t in_order[] = { 0x005, 0x106, 6, 0x107 };
    g_assert_cmpmem(rig->said, 4 * rig->said_count, in_order, sizeof(in_order));
    /* Halts without an exit: stopping brings the last write out. */
    for (unsigned tries = 0; rig->said_count == 4 && tries < 200; tries++) {
        rig_run_for(rig, 10);
    }
    g_assert_cmpuint(rig->said_count, ==, 5);
    g_assert_cmphex(rig->said[4], ==, 0x108);
}

static void test_a20(void)
{
    g_autoptr(Rig) rig = rig_new(RIG_PLAIN_KVM, "qemu64", code_a20, code_a20_end);
    IrqLine *a20 = machine_line(rig->machine, "a20");
    const uint8_t *ram = rig->machine->ram->host;

    rig_run(rig);
    g_assert_cmphex(*(const uint16_t *)(ram + 0x100500), ==, 0x2222);
    irq_set(a20, 0);
    rig_run(rig);
    g_assert_cmphex(rig->said[0], ==, 0x1111);
    g_assert_cmphex(*(const uint16_t *)(ram + 0x500), ==, 0x3333);
    irq_set(a20, 1);
    rig_run(rig);
    g_assert_cmphex(rig->said[1], ==, 0x2222);
    g_assert_cmphex(rig->said[2], ==, 0x3333);
}

int main(int argc, char **argv)
{
    g_test_add_func("/kvm/memory/dirty", test_dirty);
    g_test_add_func("/kvm/memory/dirty-slot-removed", test_dirty_slot_removed);
    g_test_add_func("/kvm/memory/ioeventfd", test_ioeventfd);
    g_test_add_func("/kvm/memory/gathered-ports", test_gathered_ports);
    g_test_add_func("/kvm/memory/a20", test_a20);
    return rig_main(argc, argv);
}
