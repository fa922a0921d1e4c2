/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Layers and machine types: what augments, what overrides, what is dropped, and who says so. */
#include <string.h>

#include "fixture.h"

static const char models[] = "[cpudef \"Base\"]\nvendor = \"GenuineIntel\"\nfamily = 6\n";
static const char board[] =
    "[machine-type \"board-1.0\"]\n"
    "description = \"A board\"\n"
    "alias = \"board\"\n"
    "max_cpus = 4\n"
    "[memory]\n"
    "size = 64M\n"
    "[device \"rtc\"]\n"
    "driver = \"mc146818rtc\"\n"
    "base_year = 1980\n"
    "[device \"floppy0\"]\n"
    "driver = \"isa-fdc\"\n"
    "default = on\n"
    "[device \"com1\"]\n"
    "driver = \"isa-serial\"\n"
    "needs = \"serial0\"\n";

typedef struct {
    Fixture f;
    char *data, *user;
} Layers;

static void layers_init(Layers *l)
{
    fixture_init(&l->f);
    g_free(fixture_write(&l->f, "data/cpu-models-x86.conf", models));
    g_free(fixture_write(&l->f, "data/machines/board.conf", board));
    l->data = g_build_filename(l->f.dir, "data", NULL);
    l->user = g_build_filename(l->f.dir, "user", NULL);
}

static void layers_free(Layers *l)
{
    g_free(l->data);
    g_free(l->user);
    fixture_free(&l->f);
}

static void add_user_layer(Layers *l)
{
    g_free(fixture_write(&l->f, "user/tessera.conf", "[device \"mine\"]\ndriver = \"x\"\n"));
    g_free(fixture_write(&l->f, "user/target-x86_64.conf", "[memory]\nsize = 96M\n"));
    g_free(fixture_write(&l->f, "user/cpu-models/own.conf",
                         "[cpudef \"Own\"]\nbase_cpudef = \"Base\"\n"));
    g_free(fixture_write(&l->f, "user/machines/mine.conf",
                         "[machine-type \"mine\"]\nbase_machine = \"board\"\n"
                         "[-device \"floppy0\"]\n"));
    g_setenv("TESSERA_SYSCONFDIR", l->user, TRUE);
}

/* Loads and selects @machine with further arguments; the header, or NULL. */
static const ConfigGroup *run(Layers *l, const char *machine, const char *arg1, const char *arg2)
{
    Fixture *f = &l->f;
    fixture_command(f, "-L", l->data, arg1, arg2, NULL);
    config_load_layers(f->config, f->diag);
    return config_select_machine(f->config, machine, NULL, f->diag);
}

static void test_hardware(void)
{
    Layers l;
    layers_init(&l);
    const ConfigGroup *header = run(&l, "board", "-m", "1G");
    g_assert_cmpstr(header->id, ==, "board-1.0");
    g_assert_cmpuint(diag_errors(l.f.diag), ==, 0);
    const ConfigGroup *memory = config_find(l.f.config, "memory", NULL);
    const ConfigValue *size = group_value(memory, "size");
    g_assert_cmpstr(size->value, ==, "1G");
    g_assert_cmpstr(size->overrides->value, ==, "64M");
    g_assert_null(size->overrides->overrides);
    g_assert_cmpint(memory->first_layer, ==, LAYER_HARDWARE);
    g_assert_cmpint(memory->layer, ==, LAYER_CMDLINE);
    g_assert_nonnull(config_find(l.f.config, "cpudef", "Base"));
    layers_free(&l);
}

static void test_user_layer(void)
{
    Layers l;
    layers_init(&l);
    add_user_layer(&l);
    g_assert_nonnull(run(&l, "mine", NULL, NULL));
    g_assert_nonnull(config_find(l.f.config, "cpudef", "Own"));
    g_assert_nonnull(config_find(l.f.config, "cpudef", "Base"));
    g_assert_nonnull(config_find(l.f.config, "device", "mine"));
    g_assert_nonnull(config_find(l.f.config, "device", "rtc"));
    g_assert_null(config_find(l.f.config, "device", "floppy0"));
    g_assert_cmpstr(config_get(l.f.config, "memory", "size"), ==, "96M");
    layers_free(&l);
}

static void test_nodefconfig(void)
{
    static const char *const spellings[] = {"-nodefconfig", "-no-user-config"};
    for (unsigned i = 0; i < G_N_ELEMENTS(spellings); i++) {
        Layers l;
        layers_init(&l);
        add_user_layer(&l);
        g_assert_null(run(&l, "mine", spellings[i], NULL));
        fixture_expect(&l.f, "unknown machine type 'mine'");
        g_assert_nonnull(config_select_machine(l.f.config, "board", NULL, l.f.diag));
        g_assert_null(config_find(l.f.config, "cpudef", "Own"));
        g_assert_nonnull(config_find(l.f.config, "cpudef", "Base"));
        g_assert_null(config_find(l.f.config, "device", "mine"));
        g_assert_cmpstr(config_get(l.f.config, "memory", "size"), ==, "64M");
        layers_free(&l);
    }
}

static void test_inheritance(void)
{
    Layers l;
    layers_init(&l);
    g_free(fixture_write(&l.f, "data/machines/two.conf",
                         "[machine-type \"board-0.9\"]\nbase_machine = \"board-1.0\"\n"
                         "max_cpus = 1\n"
                         "[global]\nmc146818rtc.lost_ticks = on\n"
                         "[machine-type \"board-0.8\"]\nbase_machine = \"board-0.9\"\n"
                         "[device \"rtc\"]\n-base_year\nirq = 9\n"));
    const ConfigGroup *header = run(&l, "board-0.8", NULL, NULL);
    g_assert_cmpstr(header->id, ==, "board-0.8");
    g_assert_cmpstr(group_get(header, "max_cpus"), ==, "1");
    g_assert_cmpstr(group_get(header, "description"), ==, "A board");
    g_assert_null(group_get(header, "alias"));
    g_assert_cmpstr(config_get(l.f.config, "global", "mc146818rtc.lost_ticks"), ==, "on");
    g_assert_null(fixture_get(&l.f, "device", "rtc", "base_year"));
    g_assert_cmpstr(fixture_get(&l.f, "device", "rtc", "irq"), ==, "9");
    g_autoptr(GPtrArray) types = config_machine_types(l.f.config);
    g_assert_cmpuint(types->len, >=, 3);
    for (unsigned i = 0; i < 3; i++) {
        static const char *const ids[] = {"board-0.8", "board-0.9", "board-1.0"};
        g_assert_cmpstr(((ConfigGroup *)types->pdata[i])->id, ==, ids[i]);
    }
    layers_free(&l);
}

static void test_machine_file_by_path(void)
{
    static const char *const texts[] = {
        "include \"machines/board.conf\"\n[-device \"floppy0\"]\n"
        "[device \"rtc\"]\nbase_year = 2000\n[device \"new\"]\ndriver = \"y\"\n",
        "[machine-type \"my\"]\nbase_machine = \"board\"\n[-device \"floppy0\"]\n"
        "[device \"rtc\"]\nbase_year = 2000\n[device \"new\"]\ndriver = \"y\"\n",
        "[machine-type \"my\"]\ninclude \"machines/board.conf\"\n[-device \"floppy0\"]\n"
        "[device \"rtc\"]\nbase_year = 2000\n[device \"new\"]\ndriver = \"y\"\n",
    };
    for (unsigned i = 0; i < G_N_ELEMENTS(texts); i++) {
        Layers l;
        layers_init(&l);
        g_autofree char *path = fixture_write(&l.f, "my.conf", texts[i]);
        const ConfigGroup *header = run(&l, path, NULL, NULL);
        g_assert_cmpuint(diag_errors(l.f.diag), ==, 0);
        g_assert_cmpstr(header->id, ==, "my");
        g_assert_cmpstr(group_get(header, "max_cpus"), ==, "4");
        g_assert_null(group_get(header, "alias"));
        g_assert_null(config_find(l.f.config, "device", "floppy0"));
        g_assert_nonnull(config_find(l.f.config, "device", "new"));
        g_assert_cmpstr(fixture_get(&l.f, "device", "rtc", "base_year"), ==, "2000");
        g_autofree char *text = config_explain(l.f.config);
        g_autofree char *here = g_strdup_printf("base_year = 2000  # %s:", path);
        g_assert_nonnull(strstr(text, here));
        g_assert_nonnull(strstr(text, "overrides 1980 of "));
        g_assert_nonnull(strstr(text, "machines/board.conf:9"));
        g_assert_nonnull(strstr(text, "# [device \"floppy0\"] of "));
        layers_free(&l);
    }
}

static void test_settle(void)
{
    static const struct {
        const char *option, *arg;
        bool floppy, com;
    } runs[] = {
        {NULL, NULL, true, false},
        {"-nodefaults", NULL, false, false},
        {"-chardev", "null,id=serial0", true, true},
    };
    for (unsigned i = 0; i < G_N_ELEMENTS(runs); i++) {
        Layers l;
        layers_init(&l);
        g_assert_nonnull(run(&l, "board", runs[i].option, runs[i].arg));
        config_settle(l.f.config);
        g_assert_true(!config_find(l.f.config, "device", "floppy0") == !runs[i].floppy);
        g_assert_true(!config_find(l.f.config, "device", "com1") == !runs[i].com);
        g_assert_nonnull(config_find(l.f.config, "device", "rtc"));
        layers_free(&l);
    }
}

/* default = on in a file of the user is no default of the machine: -nodefaults leaves it. */
static void test_settle_spares_the_user(void)
{
    Layers l;
    layers_init(&l);
    run(&l, "board", "-device", "x,id=d,default=on,needs=nothing");
    config_settle(l.f.config);
    g_assert_nonnull(config_find(l.f.config, "device", "d"));
    layers_free(&l);
}

static void test_drop_of_nothing(void)
{
    Layers l;
    layers_init(&l);
    g_autofree char *path = fixture_write(&l.f, "r.conf", "[-device \"flopy0\"]\n"
                                          "[device \"rtc\"]\n-base_yaer\n");
    run(&l, "board", "-readconfig", path);
    g_assert_cmpuint(diag_errors(l.f.diag), ==, 2);
    g_autofree char *said = diag_take_text(l.f.diag);
    g_assert_nonnull(strstr(said, "there is no [device \"flopy0\"] to drop"));
    g_assert_nonnull(strstr(said, "did you mean 'floppy0'"));
    g_assert_nonnull(strstr(said, "has no 'base_yaer' to drop"));
    g_assert_nonnull(strstr(said, "did you mean 'base_year'"));
    layers_free(&l);
}

static void test_user_drop_of_nothing_warns(void)
{
    Layers l;
    layers_init(&l);
    g_free(fixture_write(&l.f, "user/tessera.conf", "[-device \"nothing\"]\n"));
    g_setenv("TESSERA_SYSCONFDIR", l.user, TRUE);
    g_assert_nonnull(run(&l, "board", NULL, NULL));
    g_assert_cmpuint(diag_errors(l.f.diag), ==, 0);
    fixture_expect(&l.f, "warning: there is no [device \"nothing\"] to drop");
    layers_free(&l);
}

static void test_set_of_nothing(void)
{
    Layers l;
    layers_init(&l);
    run(&l, "board", "-set", "device.rct.irq=3");
    g_assert_cmpuint(diag_errors(l.f.diag), ==, 1);
    fixture_expect(&l.f, "did you mean 'rtc'?");
    layers_free(&l);
}

static void test_shadowing(void)
{
    Layers l;
    layers_init(&l);
    g_free(fixture_write(&l.f, "user/cpu-models/a.conf", "[cpudef \"Base\"]\nmodel = 3\n"));
    g_free(fixture_write(&l.f, "user/machines/a.conf", "[machine-type \"board-1.0\"]\n"
                         "base_machine = \"board-1.0\"\nmax_cpus = 2\n"));
    g_setenv("TESSERA_SYSCONFDIR", l.user, TRUE);
    const ConfigGroup *header = run(&l, "board-1.0", NULL, NULL);
    g_assert_cmpstr(group_get(header, "max_cpus"), ==, "2");
    g_assert_cmpstr(group_get(header, "description"), ==, "A board");
    g_assert_nonnull(config_find(l.f.config, "device", "rtc"));
    const ConfigGroup *model = config_find(l.f.config, "cpudef", "Base");
    g_assert_null(group_get(model, "vendor"));
    g_assert_cmpstr(group_get(model->shadows, "vendor"), ==, "GenuineIntel");
    g_autofree char *said = diag_take_text(l.f.diag);
    g_assert_nonnull(strstr(said, "user/cpu-models/a.conf:1:1: warning: [cpudef \"Base\"] hides"));
    g_assert_nonnull(strstr(said, "data/cpu-models-x86.conf:1"));
    g_assert_nonnull(strstr(said, "user/machines/a.conf:1:1: warning: machine type 'board-1.0'"));
    g_assert_nonnull(strstr(said, "data/machines/board.conf:1"));
    layers_free(&l);
}

static void test_cycle_of_bases(void)
{
    Layers l;
    layers_init(&l);
    g_free(fixture_write(&l.f, "data/machines/c.conf",
                         "[machine-type \"a\"]\nbase_machine = \"b\"\n"
                         "[machine-type \"b\"]\nbase_machine = \"a\"\n"));
    g_assert_null(run(&l, "a", NULL, NULL));
    fixture_expect(&l.f, "is based on itself");
    layers_free(&l);
}

static void test_empty_data_dir(void)
{
    Layers l;
    layers_init(&l);
    g_assert_true(fixture_command(&l.f, "-L", l.f.empty, NULL));
    config_load_layers(l.f.config, l.f.diag);
    g_assert_null(config_select_machine(l.f.config, "pc", NULL, l.f.diag));
    g_autofree char *line = g_strdup_printf("searched %s/cpu-models-x86.conf (not there)",
                                            l.f.empty);
    fixture_expect(&l.f, line);
    g_assert_cmpuint(config_groups(l.f.config, "cpudef")->len, ==, 0);
    layers_free(&l);
}

static void test_first_data_dir_wins(void)
{
    Layers l;
    layers_init(&l);
    g_free(fixture_write(&l.f, "more/machines/board.conf", "[machine-type \"other\"]\n"));
    g_autofree char *more = g_build_filename(l.f.dir, "more", NULL);
    fixture_command(&l.f, "-L", more, "-L", l.data, NULL);
    config_load_layers(l.f.config, l.f.diag);
    g_assert_nonnull(config_select_machine(l.f.config, "other", NULL, l.f.diag));
    g_assert_null(config_select_machine(l.f.config, "board", NULL, l.f.diag));
    g_assert_nonnull(config_find(l.f.config, "cpudef", "Base"));
    layers_free(&l);
}

static void test_writeconfig(void)
{
    Layers l;
    layers_init(&l);
    g_autofree char *path = fixture_write(&l.f, "r.conf", "[-device \"floppy0\"]\n"
                                          "[device \"rtc\"]\n-base_year\nirq = 9\n"
                                          "[device \"new\"]\ndriver = \"y\"\n");
    g_assert_nonnull(run(&l, "board", "-readconfig", path));
    g_autofree char *text = config_write(l.f.config);
    g_assert_nonnull(strstr(text, "[-device \"floppy0\"]\n\n"
                                  "[device \"rtc\"]\n  -base_year\n  irq = 9\n\n"
                                  "[device \"new\"]\n  driver = \"y\"\n"));
    g_assert_null(strstr(text, "mc146818rtc"));
    g_autofree char *written = fixture_write(&l.f, "w.conf", text);
    fixture_restart(&l.f);
    fixture_command(&l.f, "-readconfig", written, NULL);
    config_load_layers(l.f.config, l.f.diag);
    g_assert_nonnull(config_select_machine(l.f.config, "board", NULL, l.f.diag));
    g_assert_null(config_find(l.f.config, "device", "floppy0"));
    g_assert_null(fixture_get(&l.f, "device", "rtc", "base_year"));
    g_assert_cmpstr(fixture_get(&l.f, "device", "rtc", "irq"), ==, "9");
    layers_free(&l);
}

static void test_adding(void)
{
    Layers l;
    layers_init(&l);
    run(&l, "board", NULL, NULL);
    Config *config = l.f.config;
    ConfigGroup *group = config_add_group(config, "device", "hot", NULL, LAYER_QMP);
    group_set(config, group, "driver", "a", NULL);
    group_set(config, group, "driver", "b", NULL);
    g_assert_cmpstr(fixture_get(&l.f, "device", "hot", "driver"), ==, "b");
    g_assert_null(config_add_group(config, "device", "hot", NULL, LAYER_QMP));
    ConfigGroup *unnamed = config_add_group(config, "device", NULL, NULL, LAYER_QMP);
    g_assert_false(config_name_group(config, unnamed, "hot"));
    g_assert_true(config_name_group(config, unnamed, "cold"));
    g_assert_true(config_find(config, "device", "cold") == unnamed);
    config_remove_group(config, group);
    g_assert_null(config_find(config, "device", "hot"));
    layers_free(&l);
}

static void test_typed_readers(void)
{
    Fixture f;
    fixture_init(&f);
    fixture_command(&f, "-device", "x,id=d,size=2K,n=0x10,flag=maybe,neg=-3", NULL);
    const ConfigGroup *d = config_find(f.config, "device", "d");
    uint64_t size = 1, n = 1, absent = 7;
    int64_t neg = 0;
    bool flag = true;
    g_assert_true(group_get_size(d, "size", &size, f.diag) && size == 2048);
    g_assert_true(group_get_uint(d, "n", &n, f.diag) && n == 16);
    g_assert_true(group_get_int(d, "neg", &neg, f.diag) && neg == -3);
    g_assert_true(group_get_uint(d, "absent", &absent, f.diag) && absent == 7);
    g_assert_false(group_get_uint(d, "neg", &n, f.diag));
    fixture_expect(&f, "neg expects a number from 0, not '-3'");
    g_assert_false(group_get_bool(d, "flag", &flag, f.diag));
    fixture_expect(&f, "flag expects on or off, not 'maybe'");
    fixture_free(&f);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/config/layers/hardware", test_hardware);
    g_test_add_func("/config/layers/user", test_user_layer);
    g_test_add_func("/config/layers/nodefconfig", test_nodefconfig);
    g_test_add_func("/config/layers/inheritance", test_inheritance);
    g_test_add_func("/config/layers/machine file by path", test_machine_file_by_path);
    g_test_add_func("/config/layers/settle", test_settle);
    g_test_add_func("/config/layers/settle spares the user", test_settle_spares_the_user);
    g_test_add_func("/config/layers/drop of nothing", test_drop_of_nothing);
    g_test_add_func("/config/layers/user drop of nothing", test_user_drop_of_nothing_warns);
    g_test_add_func("/config/layers/set of nothing", test_set_of_nothing);
    g_test_add_func("/config/layers/shadowing", test_shadowing);
    g_test_add_func("/config/layers/cycle of bases", test_cycle_of_bases);
    g_test_add_func("/config/layers/empty data dir", test_empty_data_dir);
    g_test_add_func("/config/layers/first data dir", test_first_data_dir_wins);
    g_test_add_func("/config/layers/writeconfig", test_writeconfig);
    g_test_add_func("/config/layers/adding", test_adding);
    g_test_add_func("/config/layers/typed readers", test_typed_readers);
    return g_test_run();
}
