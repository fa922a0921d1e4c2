/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The file grammar, case by case. */
#include <string.h>

#include "fixture.h"

/* What a test expects of one file: a value, or a mistake. */
typedef struct {
    const char *name, *text;
    const char *type, *id, *key, *value; /* of a good file */
    const char *mistake;                 /* part of the report of a bad one */
} FileCase;

static const FileCase cases[] = {
    {"plain", "[name]\nguest = \"a\"\n", "name", NULL, "guest", "a"},
    {"no last newline", "[name]\nguest = \"a\"", "name", NULL, "guest", "a"},
    {"CRLF", "[name]\r\nguest = \"a\"\r\n", "name", NULL, "guest", "a"},
    {"no blanks", "[name]\nguest=\"a\"#c\n", "name", NULL, "guest", "a"},
    {"BOM", "\xEF\xBB\xBF[name]\nguest=\"a\"\n", "name", NULL, "guest", "a"},
    {"comments", "# x\n [name] # y\n\tguest = \"a#b\" # z\n", "name", NULL, "guest", "a#b"},
    {"escapes", "[name]\nguest = \"\\\"\\\\\\n\\t\\${x}$\"\n", "name", NULL, "guest",
     "\"\\\n\t${x}$"},
    {"continued", "[name]\nguest = \"a \" # c\n  \"b\"\n\"c\"\n", "name", NULL, "guest", "a bc"},
    {"number", "[smp-opts]\ncpus = 2\n", "smp-opts", NULL, "cpus", "2"},
    {"size", "[memory]\nsize = 512M\n", "memory", NULL, "size", "512M"},
    {"quoted size", "[memory]\nsize = \"512M\"\n", "memory", NULL, "size", "512M"},
    {"switch", "[boot-opts]\nmenu = on\n", "boot-opts", NULL, "menu", "on"},
    {"synonym of a group", "[boot]\nmenu = on\n", "boot-opts", NULL, "menu", "on"},
    {"synonym of a key", "[memory]\nmem = 1G\n", "memory", NULL, "size", "1G"},
    {"variable", "[define]\nx = \"b\"\n[name]\nguest = \"a${x}c\"\n", "name", NULL, "guest", "abc"},
    {"variable of variable", "[define]\nx = \"b\"\ny = \"${x}${x}\"\n[name]\nguest = \"${y}\"\n",
     "name", NULL, "guest", "bb"},
    {"id in the header", "[device \"d\"]\ndriver = \"x\"\n", "device", "d", "driver", "x"},
    {"id as a key", "[device]\ndriver = \"x\"\nid = \"d\"\n", "device", "d", "driver", "x"},
    {"old cpudef", "[cpudef]\nname = \"n\"\nfeature_edx = \"sse\"\n", "cpudef", "n", "feature_edx",
     "sse"},
    {"QEMU's global", "[global]\ndriver = \"a\"\nproperty = \"b\"\nvalue = \"c\"\n"
     "[global]\ndriver = \"d\"\nproperty = \"e\"\nvalue = \"f\"\n", "global", NULL, "d.e", "f"},
    {"dotted global", "[global]\na.b = 1\n", "global", NULL, "a.b", "1"},
    {"system", "[system]\nkernel = \"k\"\nno-reboot = on\n", "system", NULL, "no-reboot", "on"},
    {"drop and replace", "[device \"d\"]\ndriver=\"x\"\n", "device", "d", "driver", "x"},

    {"unknown group", "[devise \"d\"]\n", .mistake = "unknown group [devise]"},
    {"nearest group", "[devise \"d\"]\n", .mistake = "did you mean 'device'"},
    {"unknown key", "[name]\ngest = \"a\"\n", .mistake = "did you mean 'guest'"},
    {"key twice", "[name]\nguest = \"a\"\nguest = \"b\"\n", .mistake = "'guest' is set twice"},
    {"group twice", "[name]\n[name]\n", .mistake = "this group stands in the file twice"},
    {"id twice", "[device \"a\"]\ndriver=\"x\"\n[device \"a\"]\ndriver=\"x\"\n",
     .mistake = "this group stands in the file twice"},
    {"two ids", "[device \"a\"]\ndriver=\"x\"\nid=\"b\"\n", .mistake = "named 'a' already"},
    {"text after", "[name]\nguest = \"a\" b\n", .mistake = "text after the end"},
    {"unquoted", "[name]\nguest = a\n", .mistake = "text needs quotes"},
    {"no value", "[name]\nguest =\n", .mistake = "a value is missing"},
    {"no equals", "[name]\nguest\n", .mistake = "'=' is missing"},
    {"open string", "[name]\nguest = \"a\n", .mistake = "does not end on its line"},
    {"bad escape", "[name]\nguest = \"\\q\"\n", .mistake = "unknown escape"},
    {"byte", "[name]\nguest = \"\\x41\\x0a\"\n", "name", NULL, "guest", "A\n"},
    {"zero byte escape", "[name]\nguest = \"\\x00\"\n", .mistake = "two hexadecimal digits"},
    {"half a byte", "[name]\nguest = \"\\x4\"\n", .mistake = "two hexadecimal digits"},
    {"control", "[name]\nguest = \"\x01\"\n", .mistake = "control character 0x01"},
    {"undefined variable", "[name]\nguest = \"${y}\"\n", .mistake = "variable 'y' is not defined"},
    {"half variable", "[name]\nguest = \"${y\"\n", .mistake = "begins a variable"},
    {"variable twice", "[define]\nx=1\nx=2\n", .mistake = "variable 'x' is defined twice"},
    {"confdir is taken", "[define]\nconfdir=1\n", .mistake = "always the directory"},
    {"before a group", "guest = \"a\"\n", .mistake = "before the first [GROUP]"},
    {"open header", "[name\nguest = \"a\"\n", .mistake = "']' is missing"},
    {"empty header", "[]\n", .mistake = "the name of a group is missing"},
    {"id of a single", "[name \"x\"]\n", .mistake = "it takes no name"},
    {"bad id", "[device \"a b\"]\n", .mistake = "cannot be a name"},
    {"needs an id", "[chardev]\nbackend = \"null\"\n", .mistake = "[chardev] needs a name"},
    {"out of range", "[smp-opts]\ncpus = 0\n", .mistake = "accepted: 1 to 4096"},
    {"not a number", "[smp-opts]\ncpus = 2x\n", .mistake = "expects a number from 0, not '2x'"},
    {"not a switch", "[boot-opts]\nmenu = 1\n", .mistake = "expects on or off"},
    {"not a choice", "[rtc]\nclock = \"hots\"\n", .mistake = "did you mean 'host'"},
    {"half a triple", "[global]\ndriver = \"a\"\n", .mistake = "together"},
    {"drop without name", "[-device]\n", .mistake = "which [device] is to be dropped?"},
    {"dropped with keys", "[-device \"a\"]\nx = 1\n", .mistake = "a dropped group has no keys"},
    {"no such include", "include \"nowhere.conf\"\n", .mistake = "there is no file 'nowhere.conf'"},
};

static void check_case(gconstpointer data)
{
    const FileCase *c = data;
    Fixture f;
    fixture_init(&f);
    bool good = fixture_load(&f, c->text);
    if (c->mistake) {
        g_assert_false(good);
        fixture_expect(&f, c->mistake);
    } else {
        g_autofree char *said = diag_take_text(f.diag);
        g_assert_cmpstr(said, ==, "");
        g_assert_cmpstr(fixture_get(&f, c->type, c->id, c->key), ==, c->value);
    }
    fixture_free(&f);
}

static void test_zero_byte(void)
{
    Fixture f;
    fixture_init(&f);
    g_assert_false(config_load_text(f.config, "t", "[name]\0\n", 8, LAYER_FILES, f.diag));
    fixture_expect(&f, "zero byte");
    fixture_free(&f);
}

static void test_place(void)
{
    Fixture f;
    fixture_init(&f);
    fixture_load(&f, "[name]\n\tguest = \"\xC3\xA4\" x\n");
    fixture_expect(&f, "test.conf:2:14: error: text after the end of the statement\n"
                       "   guest = \"\xC3\xA4\" x\n"
                       "               ^\n");
    fixture_free(&f);
}

static void test_include(void)
{
    Fixture f;
    fixture_init(&f);
    g_free(fixture_write(&f, "sub/inner.conf", "[define]\nv = \"1\"\n[name]\nguest = \"inner\"\n"
                         "[system]\nkernel = \"${confdir}/k\"\n"));
    g_autofree char *outer = fixture_write(&f, "outer.conf", "include \"sub/inner.conf\"\n"
                                           "[name]\nguest = \"outer${v}\"\n");
    g_assert_true(config_load_file(f.config, outer, LAYER_FILES, f.diag));
    g_assert_true(config_load_layers(f.config, f.diag));
    g_autofree char *kernel = g_build_filename(f.dir, "sub", "k", NULL);
    g_assert_cmpstr(config_get(f.config, "name", "guest"), ==, "outer1");
    g_assert_cmpstr(config_get(f.config, "system", "kernel"), ==, kernel);
    const ConfigValue *value = group_value(config_find(f.config, "name", NULL), "guest");
    g_assert_cmpstr(value->overrides->value, ==, "inner");
    g_assert_true(g_str_has_suffix(origin_describe(value->overrides->origin), "inner.conf:4"));
    fixture_free(&f);
}

static void test_include_stack(void)
{
    Fixture f;
    fixture_init(&f);
    g_autofree char *inner = fixture_write(&f, "inner.conf", "[nmae]\n");
    g_autofree char *outer = fixture_write(&f, "outer.conf", "\ninclude \"inner.conf\"\n");
    g_assert_false(config_load_file(f.config, outer, LAYER_FILES, f.diag));
    g_autofree char *said = g_strdup_printf("In file included from %s:2:\n%s:1:2: error: ", outer,
                                            inner);
    fixture_expect(&f, said);
    fixture_free(&f);
}

static void test_include_cycle(void)
{
    Fixture f;
    fixture_init(&f);
    g_autofree char *a = fixture_write(&f, "a.conf", "include \"b.conf\"\n");
    g_free(fixture_write(&f, "b.conf", "include \"./a.conf\"\n"));
    g_assert_false(config_load_file(f.config, a, LAYER_FILES, f.diag));
    fixture_expect(&f, "the file includes itself");
    fixture_free(&f);
}

/* 2^16 files by including twice on each of 16 levels: the bound on files must end it. */
static void test_include_explosion(void)
{
    Fixture f;
    fixture_init(&f);
    for (unsigned i = 0; i < 16; i++) {
        g_autofree char *name = g_strdup_printf("%u.conf", i);
        g_autofree char *text = g_strdup_printf("include \"%u.conf\"\ninclude \"%u.conf\"\n", i + 1,
                                                i + 1);
        g_free(fixture_write(&f, name, text));
    }
    g_free(fixture_write(&f, "16.conf", "\n"));
    g_autofree char *first = g_build_filename(f.dir, "0.conf", NULL);
    g_assert_false(config_load_file(f.config, first, LAYER_FILES, f.diag));
    fixture_expect(&f, "there are more than");
    fixture_free(&f);
}

/* Each variable doubles the last: 2^40 bytes if nothing bounds them. */
static void test_variable_explosion(void)
{
    Fixture f;
    fixture_init(&f);
    g_autoptr(GString) text = g_string_new("[define]\nv0 = \"xxxxxxxxxxxxxxxx\"\n");
    for (unsigned i = 1; i < 40; i++) {
        g_string_append_printf(text, "v%u = \"${v%u}${v%u}\"\n", i, i - 1, i - 1);
    }
    g_assert_false(fixture_load(&f, text->str));
    fixture_expect(&f, "variables expand to too much text");
    fixture_free(&f);
}

static void test_file_too_large(void)
{
    Fixture f;
    fixture_init(&f);
    g_autofree char *big = g_strnfill((4 << 20) + 1, '\n');
    g_autofree char *path = fixture_write(&f, "big.conf", big);
    g_assert_false(config_load_file(f.config, path, LAYER_FILES, f.diag));
    fixture_expect(&f, "larger than 4 MiB");
    fixture_restart(&f);
    g_assert_false(config_load_file(f.config, "/dev/zero", LAYER_FILES, f.diag));
    fixture_expect(&f, "larger than 4 MiB");
    fixture_restart(&f);
    g_assert_false(config_load_file(f.config, f.dir, LAYER_FILES, f.diag));
    fixture_expect(&f, "Is a directory");
    fixture_free(&f);
}

static void test_many_mistakes(void)
{
    Fixture f;
    fixture_init(&f);
    g_autoptr(GString) text = g_string_new("[name]\n");
    for (unsigned i = 0; i < 25; i++) {
        g_string_append_printf(text, "bad%u = 1\n", i);
    }
    fixture_load(&f, text->str);
    g_assert_cmpuint(diag_errors(f.diag), ==, 25);
    g_autofree char *said = diag_take_text(f.diag);
    g_assert_nonnull(strstr(said, "'bad19'"));
    g_assert_null(strstr(said, "'bad20'"));
    g_assert_nonnull(strstr(said, "5 further errors are not shown"));
    fixture_free(&f);
}

static void test_point_at_word(void)
{
    Fixture f;
    fixture_init(&f);
    fixture_load(&f, "[cpu]\nadd_features = \"sse \"\n  \"avx zzz\"\n");
    const ConfigGroup *cpu = config_find(f.config, "cpu", NULL);
    const char *value = group_get(cpu, "add_features");
    g_assert_cmpstr(value, ==, "sse avx zzz");
    diag_error_at(f.diag, group_origin(cpu, "add_features"), strstr(value, "zzz") - value, 3,
                  "unknown");
    fixture_expect(&f, "test.conf:3:8: error: unknown\n    \"avx zzz\"\n         ^~~\n");
    fixture_free(&f);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *path = g_strconcat("/config/file/case/", cases[i].name, NULL);
        g_test_add_data_func(path, &cases[i], check_case);
    }
    g_test_add_func("/config/file/zero byte", test_zero_byte);
    g_test_add_func("/config/file/place", test_place);
    g_test_add_func("/config/file/include", test_include);
    g_test_add_func("/config/file/include stack", test_include_stack);
    g_test_add_func("/config/file/include cycle", test_include_cycle);
    g_test_add_func("/config/file/include explosion", test_include_explosion);
    g_test_add_func("/config/file/variable explosion", test_variable_explosion);
    g_test_add_func("/config/file/too large", test_file_too_large);
    g_test_add_func("/config/file/many mistakes", test_many_mistakes);
    g_test_add_func("/config/file/point at word", test_point_at_word);
    return g_test_run();
}
