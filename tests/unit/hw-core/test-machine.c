/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The machine types that are shipped, built without a real CPU: every device's state survives
 * saving and loading whatever a guest did to it, and everything can be taken apart again.
 */
#include <string.h>

#include "accel/accel.h"
#include "chardev/chardev.h"
#include "hw/core/plan.h"
#include "util/lock.h"
#include "util/mainloop.h"
#include "util/timer.h"

static void idle_run(Vcpu *vcpu)
{
    vcpu->halted = true;
}

static bool idle_has_work(Vcpu *vcpu)
{
    return false;
}

static void idle_reset(Vcpu *vcpu)
{
    vcpu->halted = true;
}

static const VcpuOps idle_ops = { .run = idle_run, .has_work = idle_has_work, .reset = idle_reset };

typedef struct Fixture {
    Config *config;
    Diag *diag;
    MachinePlan *plan;
    Machine *machine;
    GPtrArray *vcpus;
    char *argv[8];
} Fixture;

static void add_vcpus(Fixture *f)
{
    for (unsigned i = 0; i < f->plan->cpus; i++) {
        Vcpu *vcpu = g_new0(Vcpu, 1);
        vcpu->index = i;
        vcpu->apic_id = i;
        vcpu->is_bsp = i == 0;
        vcpu->ops = &idle_ops;
        vcpu->memory = f->machine->memory;
        vcpu->ports = f->machine->ports;
        g_ptr_array_add(f->vcpus, vcpu);
        g_ptr_array_add(f->machine->vcpus, vcpu);
    }
}

static void assert_no_errors(Fixture *f, bool good)
{
    g_autofree char *text = diag_take_text(f->diag);

    if (!good) {
        g_error("%s", text);
    }
}

static void setup(Fixture *f, gconstpointer type)
{
    /* A clock that stands still while the machine does, so that states can be compared. */
    const char *const args[] = { "tessera", "-nodefconfig", "-machine", type,
                                 "-serial", "null",         "-rtc",     "clock=vm" };

    memcpy(f->argv, args, sizeof(args));
    f->config = config_new();
    f->diag = diag_new();
    f->vcpus = g_ptr_array_new_with_free_func(g_free);
    bool good = config_parse_command_line(f->config, G_N_ELEMENTS(args), f->argv, f->diag) &&
                config_load_layers(f->config, f->diag);
    assert_no_errors(f, good && (f->plan = machine_plan_new(f->config, f->diag)));
    machine_lock();
    f->machine = machine_new(f->config);
    f->machine->chardevs = chardev_set_new(f->config, f->diag);
    machine_plan_apply(f->plan, f->machine);
    add_vcpus(f);
    assert_no_errors(f, machine_build(f->machine, f->plan, f->diag));
    machine_start(f->machine, true);
}

static void teardown(Fixture *f, gconstpointer type)
{
    ChardevSet *chardevs = f->machine->chardevs;

    machine_dismantle(f->machine);
    chardev_set_free(chardevs);
    machine_free(f->machine);
    machine_unlock();
    g_ptr_array_unref(f->vcpus);
    machine_plan_free(f->plan);
    config_free(f->config);
    diag_free(f->diag);
}

/* What a guest gone mad does to the board: any port, any register that is mapped below 4 GiB. */
static void scramble(Machine *machine, unsigned accesses)
{
    for (unsigned i = 0; i < accesses; i++) {
        unsigned size = 1u << g_test_rand_int_range(0, 3);
        unsigned port = g_test_rand_int_range(0, 0x1000);
        if (g_test_rand_bit()) {
            port_write(machine->ports, port, g_test_rand_int(), size);
        } else {
            port_read(machine->ports, port, size);
        }
        uint64_t page = g_test_rand_bit() ? 0xfec00000 : 0xfee00000;
        memory_store(machine->memory, page + (g_test_rand_int_range(0, 0x400) & ~15),
                     g_test_rand_int(), 4);
    }
}

/* All devices' states in realize order, as one printable text each. */
static GPtrArray *save_all(Machine *machine)
{
    GPtrArray *states = g_ptr_array_new_with_free_func((GDestroyNotify)g_variant_unref);

    for (unsigned i = 0; i < machine->devices->len; i++) {
        Device *device = g_ptr_array_index(machine->devices, i);
        if (device->type->state) {
            g_ptr_array_add(states, g_variant_ref_sink(state_save(device->type->state, device)));
        }
    }
    return states;
}

static void load_all(Machine *machine, const GPtrArray *states)
{
    unsigned n = 0;

    for (unsigned i = 0; i < machine->devices->len; i++) {
        Device *device = g_ptr_array_index(machine->devices, i);
        g_autoptr(GError) error = NULL;
        if (device->type->state && !state_load(device->type->state, device,
                                               g_ptr_array_index(states, n++), &error)) {
            g_error("%s: %s", device_name(device), error->message);
        }
    }
}

static void assert_states_equal(Machine *machine, const GPtrArray *a, const GPtrArray *b)
{
    unsigned n = 0;

    for (unsigned i = 0; i < machine->devices->len; i++) {
        const Device *device = g_ptr_array_index(machine->devices, i);
        if (!device->type->state) {
            continue;
        }
        GVariant *x = g_ptr_array_index(a, n), *y = g_ptr_array_index(b, n);
        if (!g_variant_equal(x, y)) {
            g_autofree char *before = g_variant_print(x, false), *after = g_variant_print(y, false);
            g_error("%s: saved\n%s\nloaded\n%s", device_name(device), before, after);
        }
        n++;
    }
}

static void test_state(Fixture *f, gconstpointer type)
{
    for (unsigned round = 0; round < 10; round++) {
        scramble(f->machine, 400);
        g_autoptr(GPtrArray) saved = save_all(f->machine);
        scramble(f->machine, 400);
        load_all(f->machine, saved);
        g_autoptr(GPtrArray) again = save_all(f->machine);
        assert_states_equal(f->machine, saved, again);
    }
}

/*
 * Resets in a row leave the same state, whatever went before; the first may still see edges, as
 * wires come back to rest one chip after the other.
 */
static void test_reset(Fixture *f, gconstpointer type)
{
    for (unsigned round = 0; round < 10; round++) {
        scramble(f->machine, 400);
        machine_reset(f->machine);
        machine_reset(f->machine);
        g_autoptr(GPtrArray) once = save_all(f->machine);
        machine_reset(f->machine);
        g_autoptr(GPtrArray) twice = save_all(f->machine);
        assert_states_equal(f->machine, once, twice);
    }
}

int main(int argc, char **argv)
{
    static const char *const types[] = { "pc", "isapc", "none" };

    g_test_init(&argc, &argv, NULL);
    main_loop_init();
    for (unsigned i = 0; i < G_N_ELEMENTS(types); i++) {
        g_autofree char *state = g_strdup_printf("/machine/%s/state", types[i]);
        g_autofree char *reset = g_strdup_printf("/machine/%s/reset", types[i]);
        g_test_add(state, Fixture, types[i], setup, test_state, teardown);
        g_test_add(reset, Fixture, types[i], setup, test_reset, teardown);
    }
    return g_test_run();
}
