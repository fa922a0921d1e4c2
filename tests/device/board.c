/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The board of the device tests. */
#include "tests/device/board.h"

#include "accel/accel.h"
#include "hw/core/private.h"
#include "util/lock.h"
#include "util/mainloop.h"

static void watch_gsi(void *opaque, int n, int level)
{
    Board *board = opaque;
    board->rises[n] += level && !board->gsi[n];
    board->gsi[n] = level;
}

static void watch_line(void *opaque, int n, int level)
{
    *(int *)opaque = level;
}

Board *board_new(void)
{
    Board *board = g_new0(Board, 1);

    board->machine = machine_new(NULL);
    board->machine->ram_below_4g = 512 * 1024 * 1024ull;
    board->machine->ram_above_4g = 2048 * 1024 * 1024ull;
    board->machine->smp_cpus = 2;
    board->machine->chardevs = chardev_set_new(NULL, NULL);
    for (unsigned n = 0; n < MACHINE_GSI_COUNT; n++) {
        machine_gsi_connect(board->machine, n, (IrqLine) { watch_gsi, board, n });
    }
    machine_line_connect(board->machine, "pic-intr",
                         (IrqLine) { watch_line, &board->pic_intr, 0 });
    machine_line_connect(board->machine, "a20", (IrqLine) { watch_line, &board->a20, 0 });
    board_add(board, "isa-bus-host", NULL);
    return board;
}

Device *board_add(Board *board, const char *type, ...)
{
    const DeviceType *found = device_type_find(type);
    Device *device = device_new(board->machine, found, NULL);
    GError *error = NULL;
    const char *name;
    va_list args;

    va_start(args, type);
    while ((name = va_arg(args, const char *))) {
        g_assert_true(device_property_set(device, name, va_arg(args, const char *), &error));
    }
    va_end(args);
    g_assert_true(device_realize(device, bus_find_type(board->machine, found->bus), &error));
    g_assert_no_error(error);
    return device;
}

/* --- A CPU that does one memory access at a time when told --------------------- */

typedef struct TestVcpu {
    Vcpu vcpu;
    bool wanted, store; /* an access waits to be done */
    uint64_t addr;
    uint32_t value;
    GCond done;
} TestVcpu;

static void access_run(Vcpu *vcpu)
{
    TestVcpu *test = (TestVcpu *)vcpu;

    vcpu_clear(vcpu, VCPU_TIMER);
    if (test->wanted && test->store) {
        memory_store(vcpu->memory, test->addr, test->value, 4);
    } else if (test->wanted) {
        test->value = memory_load(vcpu->memory, test->addr, 4);
    }
    machine_lock();
    test->wanted = false;
    vcpu->halted = true;
    g_cond_signal(&test->done);
    machine_unlock();
}

static bool access_has_work(Vcpu *vcpu)
{
    return ((TestVcpu *)vcpu)->wanted;
}

static void access_reset(Vcpu *vcpu)
{
}

static void access_free(Vcpu *vcpu)
{
    g_cond_clear(&((TestVcpu *)vcpu)->done);
    g_free(vcpu);
}

static const VcpuOps access_ops = { access_run, access_has_work, access_reset, NULL };

Vcpu *board_add_vcpu(Board *board)
{
    TestVcpu *test = g_new0(TestVcpu, 1);
    Vcpu *vcpu = &test->vcpu;

    g_cond_init(&test->done);
    vcpu->index = vcpu->apic_id = board->machine->vcpus->len;
    vcpu->is_bsp = vcpu->index == 0;
    vcpu->halted = true;
    vcpu->ops = &access_ops;
    vcpu->machine = board->machine;
    vcpu->memory = board->machine->memory;
    vcpu->ports = board->machine->ports;
    vcpu->tsc_hz = 2000000000;
    g_ptr_array_add(board->machine->vcpus, vcpu);
    return vcpu;
}

void board_free(Board *board)
{
    ChardevSet *chardevs = board->machine->chardevs;
    g_autoptr(GPtrArray) vcpus = g_ptr_array_copy(board->machine->vcpus, NULL, NULL);

    machine_dismantle(board->machine);
    for (unsigned i = 0; i < vcpus->len; i++) {
        access_free(g_ptr_array_index(vcpus, i));
    }
    chardev_set_free(chardevs);
    machine_free(board->machine);
    g_free(board);
}

static uint32_t vcpu_access(Vcpu *vcpu, bool store, uint64_t addr, uint32_t value)
{
    TestVcpu *test = (TestVcpu *)vcpu;

    if (!vcpu->thread) {
        vcpu_start(vcpu);
    }
    test->store = store;
    test->addr = addr;
    test->value = value;
    test->wanted = true;
    vcpu_resume(vcpu);
    vcpu_raise(vcpu, VCPU_TIMER);
    while (test->wanted) {
        machine_lock_wait(&test->done);
    }
    return test->value;
}

uint32_t vcpu_load(Vcpu *vcpu, uint64_t addr)
{
    return vcpu_access(vcpu, false, addr, 0);
}

void vcpu_store(Vcpu *vcpu, uint64_t addr, uint32_t value)
{
    vcpu_access(vcpu, true, addr, value);
}

void board_start(Board *board)
{
    machine_run_hooks(board->machine->priv->ready_hooks);
    machine_reset(board->machine);
}

uint8_t in8(Board *board, uint16_t port)
{
    return port_read(board->machine->ports, port, 1);
}

void out8(Board *board, uint16_t port, uint8_t value)
{
    port_write(board->machine->ports, port, value, 1);
}

/* --- A back end in the test's hands -------------------------------------------- */

static bool test_open(Chardev *chardev, const ConfigGroup *group, GError **error)
{
    return true;
}

static void test_close(Chardev *chardev)
{
}

static size_t test_write(Chardev *chardev, const uint8_t *data, size_t size)
{
    TestChardev *test = (TestChardev *)chardev;
    size_t taken = MIN(size, test->limit - test->written_size);

    memcpy(test->written + test->written_size, data, taken);
    test->written_size += taken;
    return taken;
}

static const ChardevOps test_ops = {
    .name = "test",
    .size = sizeof(TestChardev),
    .open = test_open,
    .close = test_close,
    .write = test_write,
};

TestChardev *board_chardev(Board *board, const char *id)
{
    TestChardev *test = (TestChardev *)chardev_add(board->machine->chardevs, &test_ops, id);

    test->limit = sizeof(test->written);
    return test;
}

int board_main(void)
{
    int status;

    main_loop_init();
    machine_lock();
    status = g_test_run();
    machine_unlock();
    return status;
}
