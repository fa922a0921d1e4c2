/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The device model on a toy bus: properties, buses, realize and its failure, reset, lines. */
#include <string.h>

#include "tests/unit/hw-core/toy.h"
#include "util/lock.h"

typedef struct Fixture {
    Machine *machine;
    Bus *bus;
} Fixture;

static void setup(Fixture *f, gconstpointer data)
{
    machine_lock();
    f->machine = machine_new(NULL);
    Device *host = device_new(f->machine, device_type_find("toy-host"), "host");
    g_assert_true(device_realize(host, f->machine->system_bus, NULL));
    f->bus = bus_find(f->machine, "toy.0");
}

static void teardown(Fixture *f, gconstpointer data)
{
    machine_free(f->machine);
    machine_unlock();
}

static ToyChip *chip_new(Fixture *f, const char *id, const char *slot)
{
    Device *chip = device_new(f->machine, device_type_find("toy-chip"), id);

    g_assert_true(device_property_set(chip, "slot", slot, NULL));
    return (ToyChip *)chip;
}

static void check_property(Device *device, const char *name, const char *set, const char *get)
{
    g_assert_true(device_property_set(device, name, set, NULL));
    g_autofree char *text = device_property_get(device, name);
    g_assert_cmpstr(text, ==, get);
    g_assert_true(device_property_set(device, name, text, NULL)); /* and it goes back in */
    g_autofree char *again = device_property_get(device, name);
    g_assert_cmpstr(again, ==, get);
}

static void check_refused(Device *device, const char *name, const char *value, const char *part)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *before = device_property_get(device, name);

    g_assert_false(device_property_set(device, name, value, &error));
    if (!strstr(error->message, part)) {
        g_error("'%s' does not say '%s'", error->message, part);
    }
    g_autofree char *after = device_property_get(device, name);
    g_assert_cmpstr(before, ==, after);
}

static void test_defaults(Fixture *f, gconstpointer data)
{
    ToyChip *chip = chip_new(f, NULL, "0");

    g_assert_cmpuint(chip->small, ==, 7);
    g_assert_cmphex(chip->iobase, ==, 0x300);
    g_assert_cmpint(chip->sign, ==, -5);
    g_assert_cmpuint(chip->amount, ==, 1 << 20);
    g_assert_cmpstr(chip->label, ==, "none");
    g_assert_cmpint(chip->colour, ==, 1);
    g_assert_cmphex(chip->mac[5], ==, 0x56);
    g_assert_cmpint(chip->addr, ==, -1);
    device_free(&chip->toy.device);
}

static void test_properties(Fixture *f, gconstpointer data)
{
    Device *chip = (Device *)chip_new(f, "c", "0");

    check_property(chip, "fail", "yes", "on");
    check_property(chip, "small", "255", "255");
    check_property(chip, "iobase", "1016", "0x3f8");
    check_property(chip, "sign", "-2147483648", "-2147483648");
    check_property(chip, "amount", "3G", "3221225472");
    check_property(chip, "label", "a,b", "a,b");
    check_property(chip, "colour", "blue", "blue");
    check_property(chip, "mac", "00:FF:0a:00:00:01", "00:ff:0a:00:00:01");
    check_property(chip, "addr", "1f.2", "1f.2");
    check_property(chip, "addr", "3", "3.0");
    check_property(chip, "slot", "3", "3");
    check_refused(chip, "small", "256", "from 0 to 255");
    check_refused(chip, "small", "-1", "from 0 to 255");
    check_refused(chip, "small", "7x", "from 0 to 255");
    check_refused(chip, "ranged", "9", "from 10 to 20");
    check_refused(chip, "ranged", "21", "from 10 to 20");
    check_refused(chip, "fail", "maybe", "on or off");
    check_refused(chip, "colour", "pink", "red, green, blue");
    check_refused(chip, "mac", "00:11:22:33:44", "52:54:00");
    check_refused(chip, "mac", "00:11:22:33:44:55:66", "52:54:00");
    check_refused(chip, "addr", "20", "SLOT");
    check_refused(chip, "addr", "1.8", "SLOT");
    check_refused(chip, "slot", "4", "from 0 to 3");
    g_autoptr(GError) error = NULL;
    g_assert_false(device_property_set(chip, "nothing", "1", &error));
    g_assert_nonnull(strstr(error->message, "nothing"));
    device_free(chip);
}

static void test_realize(Fixture *f, gconstpointer data)
{
    g_autoptr(GError) error = NULL;
    ToyChip *first = chip_new(f, "first", "1");
    ToyChip *second = chip_new(f, "second", "1");
    ToyChip *failing = chip_new(f, "failing", "2");

    g_assert_true(device_realize(&first->toy.device, f->bus, NULL));
    g_assert_cmpuint(first->reg, ==, 1);
    g_assert_false(device_realize(&second->toy.device, f->bus, &error));
    g_assert_cmpstr(error->message, ==, "slot 1 is taken");
    g_clear_error(&error);
    failing->fail = true;
    g_assert_false(device_realize(&failing->toy.device, f->bus, &error));
    g_assert_cmpstr(error->message, ==, "told to fail");
    g_clear_error(&error);
    g_assert_null(((ToyBus *)f->bus)->slots[2]); /* its place was given back */
    g_assert_cmpuint(f->bus->children->len, ==, 1);
    g_assert_true(machine_find_device(f->machine, "toy-chip") == &first->toy.device);
    device_free(&first->toy.device);
    g_assert_null(((ToyBus *)f->bus)->slots[1]);
    g_assert_null(machine_find_device(f->machine, "toy-chip"));
}

static void test_wrong_bus(Fixture *f, gconstpointer data)
{
    g_autoptr(GError) error = NULL;
    ToyChip *chip = chip_new(f, "c", "0");

    g_assert_false(device_realize(&chip->toy.device, f->machine->system_bus, &error));
    g_assert_nonnull(strstr(error->message, "bus of type toy"));
}

static void test_bus_names(Fixture *f, gconstpointer data)
{
    Device *host = device_new(f->machine, device_type_find("toy-host"), NULL);

    g_assert_true(device_realize(host, f->machine->system_bus, NULL));
    g_assert_nonnull(bus_find(f->machine, "toy.1"));
    g_assert_true(bus_find_type(f->machine, "toy") == f->bus);
    ToyChip *chip = chip_new(f, "c", "0");
    g_assert_true(device_realize(&chip->toy.device, bus_find(f->machine, "toy.1"), NULL));
    device_free(host); /* takes its bus and the chip along */
    g_assert_null(bus_find(f->machine, "toy.1"));
    g_assert_null(machine_find_device(f->machine, "toy-chip"));
}

static void test_types(Fixture *f, gconstpointer data)
{
    g_assert_true(device_type_find("toy-alias") == device_type_find("toy-chip"));
    g_assert_null(device_type_find("toy"));
    g_assert_cmpstr(device_property_find(device_type_find("toy-chip"), "slot")->name, ==, "slot");
}

static void count_level(void *opaque, int n, int level)
{
    int *counts = opaque;

    counts[n] += level ? 1 : -1;
}

static void test_lines(Fixture *f, gconstpointer data)
{
    int counts[8] = { 0 };

    machine_gsi_connect(f->machine, 4, (IrqLine){ count_level, counts, 1 });
    machine_gsi_connect(f->machine, 4, (IrqLine){ count_level, counts, 2 });
    IrqLine *line = machine_gsi(f->machine, 4);
    irq_set(line, 1);
    g_assert_cmpint(counts[1], ==, 1);
    g_assert_cmpint(counts[2], ==, 1);
    irq_set(machine_line(f->machine, "a20"), 1); /* nobody listens yet */
    machine_line_connect(f->machine, "a20", (IrqLine){ count_level, counts, 3 });
    irq_set(machine_line(f->machine, "a20"), 1);
    g_assert_cmpint(counts[3], ==, 1);
    irq_set(machine_line(f->machine, "other"), 1);
    g_assert_cmpint(counts[3], ==, 1);
}

static void test_reset(Fixture *f, gconstpointer data)
{
    ToyChip *chip = chip_new(f, "c", "0");

    g_assert_true(device_realize(&chip->toy.device, f->bus, NULL));
    machine_reset(f->machine);
    g_assert_cmpuint(chip->resets, ==, 1);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
#define ADD(name, fn) g_test_add("/device/" name, Fixture, NULL, setup, fn, teardown)
    ADD("defaults", test_defaults);
    ADD("properties", test_properties);
    ADD("realize", test_realize);
    ADD("wrong-bus", test_wrong_bus);
    ADD("bus-names", test_bus_names);
    ADD("types", test_types);
    ADD("lines", test_lines);
    ADD("reset", test_reset);
    return g_test_run();
}
