/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Plans: machine files in, resolved devices or diagnostics out; and the building of a plan. */
#include <glib/gstdio.h>
#include <libfdt.h>
#include <string.h>

#include "hw/core/plan.h"
#include "tests/unit/hw-core/toy.h"
#include "util/lock.h"

#define HEADER "[machine-type \"toy\"]\n  description = \"toy\"\n"
#define HOST "[device \"host\"]\n  driver = \"toy-host\"\n"
#define CHIP(id, more) "[device \"" id "\"]\n  driver = \"toy-chip\"\n" more

static char *work_dir;

typedef struct Result {
    Config *config;
    Diag *diag;
    MachinePlan *plan; /* NULL: there were mistakes */
    char *text;        /* what the user was told */
    char *path;
    char **argv;       /* origins point into it */
} Result;

/* Plans the machine file @text with the further command-line arguments @more (space-separated). */
static Result plan_text(const char *text, const char *more)
{
    Result r = { .config = config_new(), .diag = diag_new() };
    r.path = g_build_filename(work_dir, "toy.conf", NULL);
    g_assert_true(g_file_set_contents(r.path, text, -1, NULL));
    g_autofree char *line = g_strdup_printf("tessera -nodefconfig -nodefaults -machine %s %s",
                                            r.path, more);
    r.argv = g_strsplit(g_strstrip(line), " ", -1);

    bool read = config_parse_command_line(r.config, g_strv_length(r.argv), r.argv, r.diag) &&
                config_load_layers(r.config, r.diag);
    r.plan = read ? machine_plan_new(r.config, r.diag) : NULL;
    r.text = diag_take_text(r.diag);
    g_assert_true(!r.plan == !!diag_errors(r.diag));
    return r;
}

static void result_clear(Result *r)
{
    g_clear_pointer(&r->plan, machine_plan_free);
    config_free(r->config);
    diag_free(r->diag);
    g_free(r->text);
    g_free(r->path);
    g_strfreev(r->argv);
}

static Result plan_good(const char *text, const char *more)
{
    Result r = plan_text(text, more);

    if (!r.plan) {
        g_error("no plan: %s", r.text);
    }
    return r;
}

/* The plan must fail, and say each of the NULL-terminated strings. */
static void assert_bad(const char *text, const char *more, const char *const *says)
{
    Result r = plan_text(text, more);

    g_assert_null(r.plan);
    for (; *says; says++) {
        if (!strstr(r.text, *says)) {
            g_error("'%s' is not said in: %s", *says, r.text);
        }
    }
    result_clear(&r);
}

#define SAYS(...) ((const char *const[]){ __VA_ARGS__, NULL })

static const PlannedDevice *planned(const Result *r, const char *id)
{
    for (unsigned i = 0; i < r->plan->devices->len; i++) {
        const PlannedDevice *device = g_ptr_array_index(r->plan->devices, i);
        if (!g_strcmp0(device->id, id)) {
            return device;
        }
    }
    return NULL;
}

static const char *value_of(const Result *r, const char *id, const char *property)
{
    const PlannedDevice *device = planned(r, id);

    return planned_value(device, device_property_find(device->type, property));
}

/* --- Devices and buses ------------------------------------------------------------ */

static void test_order(void)
{
    Result r = plan_good(HEADER CHIP("a", "  iobase = 0x300\n") HOST
                         CHIP("b", "  iobase = 0x310\n"), "");
    const char *const ids[] = { "host", "b", "a" };

    g_assert_cmpuint(r.plan->devices->len, ==, 3);
    /* "b" can be placed in the pass that placed the host, "a" in the next. */
    for (unsigned i = 0; i < 3; i++) {
        const PlannedDevice *device = g_ptr_array_index(r.plan->devices, i);
        g_assert_cmpstr(device->id, ==, ids[i]);
    }
    g_assert_cmpstr(planned(&r, "a")->bus, ==, "toy.0");
    g_assert_cmpstr(planned(&r, "host")->bus, ==, "system");
    result_clear(&r);
}

static void test_second_bus(void)
{
    Result r = plan_good(HEADER HOST "[device \"host2\"]\n  driver = \"toy-host\"\n"
                         CHIP("a", "  bus = \"toy.1\"\n"), "");

    g_assert_cmpstr(planned(&r, "a")->bus, ==, "toy.1");
    result_clear(&r);
}

static void test_bad_devices(void)
{
    assert_bad(HEADER HOST CHIP("a", "  bus = \"toy.7\"\n"), "",
               SAYS("no bus 'toy.7'", "did you mean 'toy.0'", "toy.conf:7:"));
    assert_bad(HEADER CHIP("a", ""), "", SAYS("bus of type toy", "this machine has none"));
    assert_bad(HEADER HOST CHIP("a", "  bus = \"system\"\n"), "", SAYS("not on 'system'"));
    assert_bad(HEADER "[device \"x\"]\n  driver = \"toy-hots\"\n", "",
               SAYS("unknown device 'toy-hots'", "did you mean 'toy-host'"));
    assert_bad(HEADER HOST CHIP("a", "  colur = \"red\"\n  small = 256\n"), "",
               SAYS("no property 'colur'", "did you mean 'colour'", "from 0 to 255",
                    "toy.conf:7:", "toy.conf:8:"));
    assert_bad(HEADER HOST CHIP("a", "  irq = 8\n"), "",
               SAYS("interrupt 8, which toy.0 lacks", "0 to 7"));
}

static void test_ports(void)
{
    assert_bad(HEADER HOST CHIP("a", "  slot = 1\n") CHIP("b", "  iobase = 0x2fd\n"), "",
               SAYS("'b' wants I/O ports 0x2fd-0x300", "'a' has 0x300-0x303", "toy.conf:10:",
                    "toy.conf:5:"));
    assert_bad(HEADER HOST CHIP("a", "  iobase = 0xfffe\n"), "", SAYS("the last is 0xffff"));
    Result r = plan_good(HEADER HOST CHIP("a", "") CHIP("b", "  iobase = 0x304\n"), "");
    result_clear(&r);
}

static void test_pci_slots(void)
{
    Result r = plan_text("[machine-type \"toy\"]\n  base_machine = \"pc-i440fx-1.0\"\n",
                         "-device VGA,addr=1");

    g_assert_null(r.plan);
    g_assert_nonnull(strstr(r.text, "slot 01.0 of pci.0, which is taken"));
    g_assert_nonnull(strstr(r.text, "'piix3' has it"));
    result_clear(&r);
}

static void test_not_for_users(void)
{
    assert_bad("[machine-type \"toy\"]\n  base_machine = \"pc-i440fx-1.0\"\n", "-device ioapic",
               SAYS("'ioapic' cannot be added"));
}

/* --- Globals, defaults, inheritance -------------------------------------------------- */

static void test_globals(void)
{
    const char *text = HEADER "[global]\n  toy-chip.small = 9\n  toy-chip.label = \"g\"\n" HOST
                       CHIP("a", "  small = 3\n");
    Result r = plan_good(text, "-global toy-chip.colour=red");

    g_assert_cmpstr(value_of(&r, "a", "small"), ==, "3"); /* the device's own word wins */
    g_assert_cmpstr(value_of(&r, "a", "label"), ==, "g");
    g_assert_cmpstr(value_of(&r, "a", "colour"), ==, "red");
    g_assert_cmpstr(value_of(&r, "a", "sign"), ==, "-5");
    result_clear(&r);
    assert_bad(text, "-global toy-chip.smal=1", SAYS("no property 'smal'", "'small'"));
    assert_bad(text, "-global toy-chop.small=1", SAYS("unknown device 'toy-chop'"));
    r = plan_good(HEADER, "-global toy-chip.small=1");
    g_assert_nonnull(strstr(r.text, "warning: this machine has no 'toy-chip'"));
    result_clear(&r);
}

static void test_defaults_and_needs(void)
{
    const char *text = HEADER HOST CHIP("a", "  default = on\n")
                       CHIP("b", "  needs = \"serial0\"\n  iobase = 0x310\n");
    Result r = plan_good(text, "");

    g_assert_null(planned(&r, "a")); /* -nodefaults is given */
    g_assert_null(planned(&r, "b"));
    result_clear(&r);
    r = plan_good(text, "-serial null");
    g_assert_nonnull(planned(&r, "b"));
    result_clear(&r);
}

static void test_inheritance(void)
{
    Result r = plan_good("[machine-type \"mine\"]\n  base_machine = \"pc-i440fx-1.0\"\n"
                         "[-device \"piix4-pm\"]\n[device \"com1\"]\n  irq = 5\n"
                         "[device \"dbg\"]\n  driver = \"isa-debugcon\"\n", "-serial null");

    g_assert_null(planned(&r, "piix4-pm"));
    g_assert_cmpstr(value_of(&r, "com1", "irq"), ==, "5");
    g_assert_cmpstr(value_of(&r, "com1", "iobase"), ==, "0x3f8");
    g_assert_cmpstr(planned(&r, "dbg")->bus, ==, "isa.0");
    g_autofree char *text = machine_plan_describe(r.plan);
    g_assert_nonnull(strstr(text, "irq = 5 ("));
    g_assert_nonnull(strstr(text, "toy.conf:5"));
    g_assert_nonnull(strstr(text, "machines/pc-i440fx-1.0.conf:"));
    result_clear(&r);
}

/* --- Sizes ------------------------------------------------------------------------------ */

typedef struct SmpCase {
    const char *args;
    unsigned cpus, max, sockets, dies, cores, threads;
    const char *error;
} SmpCase;

static const SmpCase smp_cases[] = {
    { "", 1, 1, 1, 1, 1, 1, NULL },
    { "-smp 4", 4, 4, 4, 1, 1, 1, NULL },
    { "-smp 4,cores=2", 4, 4, 2, 1, 2, 1, NULL },
    { "-smp 4,sockets=1", 4, 4, 1, 1, 4, 1, NULL },
    { "-smp 8,sockets=2,threads=2", 8, 8, 2, 1, 2, 2, NULL },
    { "-smp sockets=2,cores=2,threads=2", 8, 8, 2, 1, 2, 2, NULL },
    { "-smp 2,sockets=2,cores=2,threads=1", 2, 4, 2, 1, 2, 1, NULL },
    { "-smp 2,maxcpus=6", 2, 6, 6, 1, 1, 1, NULL },
    { "-smp dies=2,cores=3", 6, 6, 1, 2, 3, 1, NULL },
    { "-smp 3,cores=2", 0, 0, 0, 0, 0, 0, "are not 3 CPUs" },
    { "-smp 4,maxcpus=2", 0, 0, 0, 0, 0, 0, "more than maxcpus" },
    { "-smp 9", 0, 0, 0, 0, 0, 0, "more than machine type" },
    { "-smp sockets=4096,cores=4096,threads=4096", 0, 0, 0, 0, 0, 0, "CPUs" },
};

static void test_smp(void)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(smp_cases); i++) {
        const SmpCase *c = &smp_cases[i];
        if (c->error) {
            assert_bad(HEADER "  max_cpus = 8\n", c->args, SAYS(c->error));
            continue;
        }
        Result r = plan_good(HEADER "  max_cpus = 8\n", c->args);
        g_test_message("%s", c->args);
        g_assert_cmpuint(r.plan->cpus, ==, c->cpus);
        g_assert_cmpuint(r.plan->max_cpus, ==, c->max);
        g_assert_cmpuint(r.plan->sockets, ==, c->sockets);
        g_assert_cmpuint(r.plan->dies, ==, c->dies);
        g_assert_cmpuint(r.plan->cores, ==, c->cores);
        g_assert_cmpuint(r.plan->threads, ==, c->threads);
        result_clear(&r);
    }
}

static void test_memory(void)
{
    Result r = plan_good(HEADER, "");
    g_assert_cmpuint(r.plan->ram_size, ==, 128 << 20);
    result_clear(&r);
    r = plan_good(HEADER "  default_memory = 32M\n", "");
    g_assert_cmpuint(r.plan->ram_size, ==, 32 << 20);
    result_clear(&r);
    r = plan_good(HEADER "  default_memory = 32M\n", "-m 5G");
    g_assert_cmpuint(r.plan->ram_size, ==, 5ULL << 30);
    result_clear(&r);
    r = plan_good(HEADER "  default_memory = 0\n  default_cpus = 0\n", "");
    g_assert_cmpuint(r.plan->ram_size, ==, 0);
    g_assert_cmpuint(r.plan->cpus, ==, 0);
    result_clear(&r);
}

/* --- Building --------------------------------------------------------------------------------- */

static void test_build(void)
{
    Result r = plan_good(HEADER HOST CHIP("a", "  small = 5\n  slot = 2\n"), "-m 1M");

    machine_lock();
    Machine *machine = machine_new(r.config);
    machine_plan_apply(r.plan, machine);
    g_assert_true(machine_build(machine, r.plan, r.diag));
    ToyChip *chip = (ToyChip *)machine_find_device(machine, "toy-chip");
    g_assert_cmpuint(chip->small, ==, 5);
    g_assert_cmpuint(chip->toy.slot, ==, 2);
    g_assert_nonnull(strstr(origin_describe(chip->toy.device.origin), "toy.conf:5"));
    g_assert_cmpuint(machine->ram->size, ==, 1 << 20);
    machine_free(machine);
    machine_unlock();
    result_clear(&r);
}

/* The device tree of a plan, read back with libfdt: nesting, and one property of each type. */
static void test_dtb(void)
{
    Result r = plan_good(HEADER HOST CHIP("a", "  small = 5\n  slot = 2\n  fail = on\n"
                                               "  label = \"two words\"\n"), "-m 6G");
    g_autoptr(GBytes) tree = machine_plan_dtb(r.plan);
    size_t size;
    const void *fdt = g_bytes_get_data(tree, &size);
    int chip = fdt_path_offset(fdt, "/system/host/toy.0/a");

    g_assert_cmpint(fdt_check_full(fdt, size), ==, 0);
    g_assert_cmpint(chip, >, 0);
    g_assert_cmpint(fdt_path_offset(fdt, "/cpus/cpu@0"), >, 0);
    g_assert_cmpstr(fdt_getprop(fdt, chip, "compatible", NULL), ==, "toy-chip");
    g_assert_cmpstr(fdt_getprop(fdt, chip, "label", NULL), ==, "two words");
    g_assert_cmpstr(fdt_getprop(fdt, chip, "colour", NULL), ==, "green");
    g_assert_cmpuint(fdt32_ld(fdt_getprop(fdt, chip, "small", NULL)), ==, 5);
    g_assert_cmpuint(fdt32_ld(fdt_getprop(fdt, chip, "slot", NULL)), ==, 2);
    g_assert_cmpint((int32_t)fdt32_ld(fdt_getprop(fdt, chip, "sign", NULL)), ==, -5);
    g_assert_cmpuint(fdt64_ld(fdt_getprop(fdt, chip, "amount", NULL)), ==, 1 << 20);
    g_assert_nonnull(fdt_getprop(fdt, chip, "fail", NULL));
    g_assert_cmpuint(fdt64_ld(fdt_getprop(fdt, 0, "memory-size", NULL)), ==, 6ULL << 30);
    result_clear(&r);
}

static void test_build_failure(void)
{
    Result r = plan_good(HEADER HOST CHIP("a", "") CHIP("b", "  fail = on\n  slot = 1\n"
                                                         "  iobase = 0x310\n"), "");
    machine_lock();
    Machine *machine = machine_new(r.config);
    machine_plan_apply(r.plan, machine);
    g_assert_false(machine_build(machine, r.plan, r.diag));
    g_autofree char *text = diag_take_text(r.diag);
    g_assert_nonnull(strstr(text, "b: told to fail"));
    g_assert_nonnull(strstr(text, "toy.conf:7:"));
    machine_free(machine);
    machine_unlock();
    result_clear(&r);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    work_dir = g_dir_make_tmp("tessera-plan-XXXXXX", NULL);
    g_test_add_func("/plan/order", test_order);
    g_test_add_func("/plan/dtb", test_dtb);
    g_test_add_func("/plan/second-bus", test_second_bus);
    g_test_add_func("/plan/bad-devices", test_bad_devices);
    g_test_add_func("/plan/ports", test_ports);
    g_test_add_func("/plan/pci-slots", test_pci_slots);
    g_test_add_func("/plan/not-for-users", test_not_for_users);
    g_test_add_func("/plan/globals", test_globals);
    g_test_add_func("/plan/defaults-and-needs", test_defaults_and_needs);
    g_test_add_func("/plan/inheritance", test_inheritance);
    g_test_add_func("/plan/smp", test_smp);
    g_test_add_func("/plan/memory", test_memory);
    g_test_add_func("/plan/build", test_build);
    g_test_add_func("/plan/build-failure", test_build_failure);
    int status = g_test_run();
    g_autofree char *path = g_build_filename(work_dir, "toy.conf", NULL);
    g_unlink(path);
    g_rmdir(work_dir);
    return status;
}
