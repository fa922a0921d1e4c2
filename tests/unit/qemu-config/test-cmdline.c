/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The command line: QEMU's spellings, and what is said about wrong ones. */
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "fixture.h"

typedef struct {
    const char *name;
    const char *args[6]; /* ends with NULL */
    const char *type, *id, *key, *value;
    const char *mistake;
} CommandCase;

static const CommandCase cases[] = {
    {"m", {"-m", "512"}, "memory", NULL, "size", "512"},
    {"m size=", {"-m", "size=1G"}, "memory", NULL, "size", "1G"},
    {"smp", {"-smp", "2,sockets=1"}, "smp-opts", NULL, "sockets", "1"},
    {"smp cpus", {"-smp", "2,sockets=1"}, "smp-opts", NULL, "cpus", "2"},
    {"machine", {"-machine", "pc,accel=tcg"}, "machine", NULL, "accel", "tcg"},
    {"machine type", {"-machine", "pc,accel=tcg"}, "machine", NULL, "type", "pc"},
    {"M", {"-M", "isapc"}, "machine", NULL, "type", "isapc"},
    {"machine without type", {"-machine", "accel=tcg"}, "machine", NULL, "accel", "tcg"},
    {"two dashes", {"--machine", "pc"}, "machine", NULL, "type", "pc"},
    {"repeated", {"-machine", "pc", "-machine", "accel=tcg"}, "machine", NULL, "type", "pc"},
    {"repeated wins", {"-m", "1G", "-m", "2G"}, "memory", NULL, "size", "2G"},
    {"cpu", {"-cpu", "Nehalem"}, "cpu", NULL, "base_cpudef", "Nehalem"},
    {"cpu plus", {"-cpu", "Nehalem,+vmx,-popcnt"}, "cpu", NULL, "vmx", "on"},
    {"cpu minus", {"-cpu", "Nehalem,+vmx,-popcnt"}, "cpu", NULL, "popcnt", "off"},
    {"cpu word", {"-cpu", "kvm64,enforce"}, "cpu", NULL, "enforce", "on"},
    {"commas", {"-name", "a,,b,,,,c"}, "name", NULL, "guest", "a,b,,c"},
    {"name", {"-name", "guest=vm"}, "name", NULL, "guest", "vm"},
    {"kernel", {"-kernel", "a,b=c"}, "system", NULL, "kernel", "a,b=c"},
    {"append", {"-append", "console=ttyS0 x,y"}, "system", NULL, "append", "console=ttyS0 x,y"},
    {"empty append", {"-append", ""}, "system", NULL, "append", ""},
    {"flag", {"-nographic"}, "system", NULL, "nographic", "on"},
    {"no-user-config", {"-no-user-config"}, "system", NULL, "nodefconfig", "on"},
    {"display", {"-display", "none"}, "display", NULL, "type", "none"},
    {"vga", {"-vga", "none"}, "system", NULL, "vga", "none"},
    {"chardev", {"-chardev", "socket,id=c,path=/p,server=on,wait=off"}, "chardev", "c", "wait",
     "off"},
    {"chardev short", {"-chardev", "socket,id=c,path=/p,server,nowait"}, "chardev", "c", "wait",
     "off"},
    {"serial", {"-serial", "unix:/a,server=on"}, "serial", NULL, "device", "unix:/a,server=on"},
    {"mon", {"-mon", "chardev=c,id=m,mode=control"}, "mon", "m", "mode", "control"},
    {"global", {"-global", "a.b=1,2"}, "global", NULL, "a.b", "1,2"},
    {"global long", {"-global", "driver=a,property=b,value=3"}, "global", NULL, "a.b", "3"},
    {"global long wins", {"-global", "a.b=1", "-global", "driver=a,property=b,value=3"}, "global",
     NULL, "a.b", "3"},
    {"set", {"-device", "x,id=d", "-set", "device.d.p=q=r"}, "device", "d", "p", "q=r"},
    {"set single", {"-m", "1", "-set", "memory.size=2G"}, "memory", NULL, "size", "2G"},
    {"json", {"-device", "{\"driver\":\"x\",\"id\":\"d\",\"n\":16,\"b\":true}"}, "device", "d",
     "n", "16"},
    {"json bool", {"-device", "{\"driver\":\"x\",\"id\":\"d\",\"b\":true}"}, "device", "d", "b",
     "on"},
    {"json nested", {"-device", "{\"driver\":\"x\",\"id\":\"d\",\"a\":{\"b\":[\"c\",{\"e\":2}]}}"},
     "device", "d", "a.b.1.e", "2"},
    {"json real", {"-device", "{\"driver\":\"x\",\"id\":\"d\",\"r\":0.5}"}, "device", "d", "r",
     "0.5"},
    {"rtc", {"-rtc", "base=utc"}, "rtc", NULL, "base", "utc"},
    {"boot", {"-boot", "strict=on"}, "boot-opts", NULL, "strict", "on"},
    {"boot order", {"-boot", "cd"}, "boot-opts", NULL, "order", "cd"},
    {"msg", {"-msg", "timestamp=on"}, "msg", NULL, "timestamp", "on"},
    {"L", {"-L", "/a", "-L", "/b"}, "system", NULL, "L", "/b"},

    {"unknown option", {"-devise", "x"}, .mistake = "did you mean '-device'?"},
    {"value is passed over", {"-devise", "x", "-nographic"}, .mistake = "unknown option '-devise'"},
    {"no dash", {"disk.img"}, .mistake = "options begin with '-'"},
    {"lone dash", {"-"}, .mistake = "unknown option '-'"},
    {"missing argument", {"-kernel"}, .mistake = "-kernel needs an argument: FILE"},
    {"unknown key", {"-smp", "2,coers=1"}, .mistake = "did you mean 'cores'?"},
    {"key twice", {"-smp", "cores=1,cores=1"}, .mistake = "'cores' is set twice"},
    {"empty", {"-smp", ""}, .mistake = "the argument is empty"},
    {"empty item", {"-smp", "2,cores=1,"}, .mistake = "nothing stands behind this comma"},
    {"no key", {"-smp", "=2"}, .mistake = "a key is missing before '='"},
    {"bare text key", {"-chardev", "file,id=c,path"}, .mistake = "'path' needs a value"},
    {"id twice", {"-device", "a,id=x", "-device", "b,id=x"}, .mistake = "'x' is there already"},
    {"no id", {"-chardev", "null"}, .mistake = "[chardev] needs a name"},
    {"id of a single", {"-smp", "2,id=x"}, .mistake = "has no key 'id'"},
    {"size", {"-m", "512Q"}, .mistake = "size expects a size, not '512Q'"},
    {"range", {"-m", "0"}, .mistake = "out of range"},
    {"bad json", {"-device", "{\"driver\":"}, .mistake = "this is not JSON"},
    {"json null", {"-device", "{\"driver\":null}"}, .mistake = "'driver' is null"},
    {"bad set", {"-set", "device"}, .mistake = "GROUP.ID.KEY=VALUE"},
    {"set of no group", {"-set", "devise.a.b=c"}, .mistake = "GROUP.ID.KEY=VALUE"},
    {"bad define", {"-define", "=x"}, .mistake = "NAME=VALUE"},
    {"no file", {"-readconfig", "/nonexistent"}, .mistake = "cannot open '/nonexistent'"},
    {"no fdset", {"-readconfig", "/dev/fdset/7"}, .mistake = "was passed with -add-fd"},
    {"not a global", {"-global", "a=b"}, .mistake = "expected DRIVER.PROPERTY"},
};

static void check_case(gconstpointer data)
{
    const CommandCase *c = data;
    const char *const *a = c->args;
    Fixture f;
    fixture_init(&f);
    bool good = fixture_command(&f, a[0], a[1], a[2], a[3], a[4], a[5], NULL);
    good = good && config_validate(f.config, f.diag);
    if (c->mistake) {
        g_assert_false(good);
        fixture_expect(&f, c->mistake);
    } else {
        g_assert_cmpuint(diag_errors(f.diag), ==, 0);
        g_assert_cmpstr(fixture_get(&f, c->type, c->id, c->key), ==, c->value);
    }
    fixture_free(&f);
}

static void test_place(void)
{
    Fixture f;
    fixture_init(&f);
    fixture_command(&f, "-nographic", "-smp", "2,sokets=1", NULL);
    fixture_expect(&f, "-smp argument 3: error: [smp-opts] has no key 'sokets'\n"
                       "  -smp 2,sokets=1\n"
                       "         ^~~~~~\n"
                       "  note: did you mean 'sockets'?\n");
    fixture_free(&f);
}

static void test_json_place(void)
{
    Fixture f;
    fixture_init(&f);
    fixture_command(&f, "-mon", "{\"chardev\":\"c\",\"mod\":\"control\"}", NULL);
    fixture_expect(&f, "  -mon {\"chardev\":\"c\",\"mod\":\"control\"}\n"
                       "                      ^~~~~\n");
    fixture_free(&f);
}

static void test_json_depth(void)
{
    Fixture f;
    fixture_init(&f);
    g_autofree char *open = g_strnfill(100000, '[');
    g_autofree char *text = g_strconcat("{\"driver\":", open, NULL);
    g_assert_false(fixture_command(&f, "-device", text, NULL));
    fixture_expect(&f, "nested more than");
    fixture_free(&f);
}

static void test_long_argument(void)
{
    Fixture f;
    fixture_init(&f);
    g_autofree char *head = g_strnfill(1000, 'x');
    g_autofree char *text = g_strconcat("guest=", head, ",oops=1,", head, "=2", NULL);
    fixture_command(&f, "-name", text, NULL);
    g_autofree char *said = diag_take_text(f.diag);
    g_auto(GStrv) lines = g_strsplit(said, "\n", -1);
    g_assert_nonnull(strstr(lines[1], "oops"));
    g_assert_cmpint(g_utf8_strlen(lines[1], -1), <, 200);
    const char *caret = strchr(lines[2], '^');
    const char *word = strstr(lines[1], "oops");
    g_assert_cmpint(caret - lines[2], ==, g_utf8_strlen(lines[1], word - lines[1]));
    fixture_free(&f);
}

static void test_order_of_files(void)
{
    Fixture f;
    fixture_init(&f);
    g_autofree char *one = fixture_write(&f, "1.conf", "[memory]\nsize = 1G\n[name]\nguest=\"f\"\n"
                                         "[device \"d\"]\ndriver = \"x\"\np = 1\nq = 1\n");
    g_autofree char *two = fixture_write(&f, "2.conf", "[memory]\nsize = \"${s}\"\n"
                                         "[device \"d\"]\np = 2\n");
    g_assert_true(fixture_command(&f, "-name", "c", "-readconfig", one, "-readconfig", two,
                                  "-define", "s=2G", NULL));
    g_assert_cmpstr(config_get(f.config, "name", "guest"), ==, "c");
    g_assert_cmpstr(config_get(f.config, "memory", "size"), ==, "2G");
    const ConfigGroup *device = config_find(f.config, "device", "d");
    g_assert_cmpstr(group_get(device, "p"), ==, "2");
    g_assert_cmpstr(group_get(device, "q"), ==, "1");
    g_assert_cmpstr(group_value(device, "p")->overrides->value, ==, "1");
    fixture_free(&f);
}

static void test_passed_descriptor(void)
{
    Fixture f;
    fixture_init(&f);
    g_autofree char *path = fixture_write(&f, "1.conf", "[name]\nguest = \"passed\"\n");
    int fd = open(path, O_RDONLY);
    g_autofree char *add = g_strdup_printf("fd=%d,set=2,opaque=x", fd);
    g_assert_true(fixture_command(&f, "-readconfig", "/dev/fdset/2", "-add-fd", add, NULL));
    g_assert_cmpstr(config_get(f.config, "name", "guest"), ==, "passed");
    close(fd);
    fixture_free(&f);
}

static void test_help(void)
{
    static const struct {
        const char *args[2];
        const char *part;
    } asked[] = {
        {{"-h"}, "-readconfig FILE"},
        {{"--help"}, "-m [size=]MEGS|SIZE"},
        {{"-help", "all"}, "-add-fd"},
        {{"-help-all"}, "-pidfile"},
        {{"-help", "smp"}, "sockets = number"},
        {{"-help", "rtc"}, "host|rt|vm"},
        {{"--version"}, "Tessera emulator version"},
        {{"-readconfig", "help"}, "[smp-opts]"},
        {{"-readconfig", "help,smp-opts"}, "cores = number"},
        {{"-smp", "help"}, "sockets = number"},
        {{"-chardev", "?"}, "backend = null|stdio"},
    };
    for (unsigned i = 0; i < G_N_ELEMENTS(asked); i++) {
        Fixture f;
        fixture_init(&f);
        g_assert_true(fixture_command(&f, asked[i].args[0], asked[i].args[1], NULL));
        g_autofree char *text = config_help(f.config, f.diag);
        g_assert_nonnull(text);
        g_test_message("%s %s", asked[i].args[0], asked[i].args[1] ? asked[i].args[1] : "");
        g_assert_nonnull(strstr(text, asked[i].part));
        fixture_free(&f);
    }
}

static void test_help_unknown(void)
{
    Fixture f;
    fixture_init(&f);
    fixture_command(&f, "-help", "devise", NULL);
    g_assert_null(config_help(f.config, f.diag));
    fixture_expect(&f, "did you mean 'device'?");
    fixture_free(&f);
}

/* Every row is found by its name and says what it is for. */
static void test_rows(void)
{
    const GPtrArray *rows = schema_rows();
    for (unsigned i = 0; i < rows->len; i++) {
        const OptSchema *row = rows->pdata[i];
        if (row->option) {
            g_assert_true(schema_find_option(row->option) == row);
            g_assert_nonnull(row->help);
            g_assert_nonnull(row->section);
        }
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *path = g_strconcat("/config/cmdline/case/", cases[i].name, NULL);
        g_test_add_data_func(path, &cases[i], check_case);
    }
    g_test_add_func("/config/cmdline/place", test_place);
    g_test_add_func("/config/cmdline/json place", test_json_place);
    g_test_add_func("/config/cmdline/json depth", test_json_depth);
    g_test_add_func("/config/cmdline/long argument", test_long_argument);
    g_test_add_func("/config/cmdline/order of files", test_order_of_files);
    g_test_add_func("/config/cmdline/passed descriptor", test_passed_descriptor);
    g_test_add_func("/config/cmdline/help", test_help);
    g_test_add_func("/config/cmdline/help unknown", test_help_unknown);
    g_test_add_func("/config/cmdline/rows", test_rows);
    return g_test_run();
}
