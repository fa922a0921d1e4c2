/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The machine of rig.h. */
#include "tests/unit/kvm/rig.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "accel/accel.h"
#include "util/lock.h"
#include "util/mainloop.h"

#define ROM_SIZE 0x10000u
#define ROM_BASE 0xffff0000u
#define RUN_SECONDS 120

static void say(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    Rig *rig = opaque;

    if (rig->said_count < G_N_ELEMENTS(rig->said)) {
        rig->said[rig->said_count++] = value;
    }
}

static void stop(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    Rig *rig = opaque;

    rig->stops++;
    vcpu_raise(rig_vcpu(rig), VCPU_STOP); /* it runs no further than this */
    g_cond_signal(&rig->stopped);
}

static uint64_t no_read(void *opaque, uint64_t offset, unsigned size)
{
    return 0;
}

static const MemoryOps say_ops = { no_read, say, 1, 4 };
static const MemoryOps stop_ops = { no_read, stop, 1, 1 };

static void add_device(Rig *rig, const char *name)
{
    const DeviceType *type = device_type_find(name);
    Device *device = device_new(rig->machine, type, NULL);
    g_autoptr(GError) error = NULL;

    g_assert_true(device_realize(device, bus_find_type(rig->machine, type->bus), &error));
    g_assert_no_error(error);
}

static void add_memory(Rig *rig, const uint8_t *code, size_t size)
{
    static const uint8_t entry[] = { 0xe9, 0x0d, 0x00 }; /* at fff0h: jmp 0 */
    Machine *machine = rig->machine;

    machine->ram = ram_block_new("rig.ram", RIG_RAM_SIZE, NULL);
    rig->rom = ram_block_new("rig.rom", ROM_SIZE, NULL);
    g_assert_true(machine->ram && rig->rom && size < 0xff00);
    memcpy(rig->rom->host, code, size);
    memcpy(rig->rom->host + 0xfff0, entry, sizeof(entry));
    memory_map_ram(machine->memory, 0, machine->ram, 0, RIG_RAM_SIZE, MAP_READ | MAP_WRITE, 0);
    memory_map_ram(machine->memory, ROM_BASE, rig->rom, 0, ROM_SIZE,
                   MAP_READ | MAP_WRITE | MAP_ROM, 1);
    g_assert_nonnull(port_map(machine->ports, RIG_SAY_PORT, 4, &say_ops, rig, "say", NULL));
    g_assert_nonnull(port_map(machine->ports, RIG_STOP_PORT, 1, &stop_ops, rig, "stop", NULL));
}

static const AccelOps *read_configuration(Rig *rig, const char *accel, const char *cpu)
{
    char *argv[] = { "tessera", "-nodefconfig", "-L", (char *)g_getenv("TEST_SYSCONFIGS"),
                     "-accel", (char *)accel, "-cpu", (char *)cpu };
    g_autofree char *verdict = NULL;
    X86CpuCaps caps;

    rig->config = config_new();
    rig->diag = diag_new();
    g_assert_true(config_parse_command_line(rig->config, G_N_ELEMENTS(argv), argv, rig->diag));
    g_assert_true(config_load_layers(rig->config, rig->diag));
    const AccelOps *ops = x86_accel_select(rig->config, &verdict, rig->diag);
    g_assert_nonnull(ops);
    ops->cpu_caps(rig->config, &caps);
    rig->model = x86_cpu_model_resolve(rig->config, "qemu64", &caps, rig->diag);
    g_assert_nonnull(rig->model);
    return ops;
}

Rig *rig_new(const char *accel, const char *cpu, const uint8_t *code, const uint8_t *end)
{
    static const char *const chips[] = { "pc-cpus", "isa-bus-host", "ioapic", "i8259", "i8254" };
    X86Topology topology = { .sockets = 1, .dies = 1, .cores = 1, .threads = 1, .cpus = 1,
                             .max_cpus = 1 };
    Rig *rig = g_new0(Rig, 1);
    const AccelOps *ops = read_configuration(rig, accel, cpu);
    g_autoptr(GError) error = NULL;

    g_cond_init(&rig->stopped);
    rig->machine = machine_new(rig->config);
    add_memory(rig, code, end - code);
    rig->cpus = x86_cpus_new(rig->model, &topology, ops, rig->config, rig->machine->memory,
                             rig->machine->ports, 1, rig->machine->vcpus, &error);
    g_assert_no_error(error);
    rig->accel = rig->machine->accel = x86_cpus_machine_part(rig->cpus);
    for (unsigned i = 0; i < G_N_ELEMENTS(chips); i++) {
        add_device(rig, chips[i]);
    }
    machine_start(rig->machine, true);
    return rig;
}

void rig_free(Rig *rig)
{
    machine_dismantle(rig->machine);
    x86_cpus_free(rig->cpus);
    machine_free(rig->machine);
    ram_block_free(rig->rom);
    x86_cpu_model_free(rig->model);
    config_free(rig->config);
    diag_free(rig->diag);
    g_cond_clear(&rig->stopped);
    g_free(rig);
}

Vcpu *rig_vcpu(Rig *rig)
{
    return g_ptr_array_index(rig->machine->vcpus, 0);
}

void rig_run_for(Rig *rig, unsigned ms)
{
    machine_resume(rig->machine);
    machine_unlock();
    g_usleep(ms * 1000);
    machine_lock();
    machine_pause(rig->machine);
}

static gpointer watch(gpointer data)
{
    sleep(RUN_SECONDS);
    fprintf(stderr, "the guest did not come to its end in %d seconds\n", RUN_SECONDS);
    abort();
}

void rig_run(Rig *rig)
{
    unsigned stops = rig->stops;

    machine_resume(rig->machine);
    while (rig->stops == stops) {
        machine_lock_wait(&rig->stopped);
    }
    machine_pause(rig->machine);
}

int rig_main(int argc, char **argv)
{
    int status;

    g_test_init(&argc, &argv, NULL);
    if (access("/dev/kvm", R_OK | W_OK)) {
        printf("1..0 # SKIP there is no /dev/kvm that this user may use\n");
        return 0;
    }
    g_thread_unref(g_thread_new("watch", watch, NULL));
    main_loop_init();
    machine_lock();
    status = g_test_run();
    machine_unlock();
    return status;
}
