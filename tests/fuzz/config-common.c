/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The common part of the fuzz targets of the configuration. */
#include "config-common.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "chardev/options.h"
#include "qemu-config/json.h"

void fuzz_enter_playground(void)
{
    char dir[] = "/tmp/tessera-fuzz-XXXXXX";
    g_assert(mkdtemp(dir) && chdir(dir) == 0 && mkdir("empty", 0700) == 0);
    g_assert(g_file_set_contents("a", "include \"b\"\n[name]\nguest = \"a\"\n", -1, NULL));
    g_assert(g_file_set_contents("b", "[define]\nv = \"1\"\n[device \"d\"]\ndriver = \"x\"\n"
                                 "[machine-type \"t\"]\n[device \"e\"]\ndriver = \"y\"\n", -1,
                                 NULL));
    g_assert(freopen("/dev/null", "r", stdin));
    g_setenv("TESSERA_SYSCONFDIR", "empty", TRUE);
}

bool fuzz_reaches_out(const uint8_t *data, size_t size)
{
    return memchr(data, '/', size) || memmem(data, size, "..", 2);
}

void fuzz_start(Config *config, char **argv, int argc, Diag *diag)
{
    static char *const own[] = {"fuzz", "-nodefconfig", "-L", "empty"};
    memcpy(argv, own, sizeof(own));
    config_parse_command_line(config, argc, argv, diag);
}

/* The phases behind loading; the machine type is the first that the input defines, if any. */
static bool finish_phases(Config *config, Diag *diag)
{
    config_load_layers(config, diag);
    g_autofree char *help = config_help(config, diag);
    g_autoptr(GPtrArray) types = config_machine_types(config);
    const char *wanted = config_get(config, "machine", "type");
    const ConfigGroup *first = types->len ? types->pdata[0] : NULL;
    bool selected = (wanted || first) &&
                    config_select_machine(config, wanted ? wanted : first->id, NULL, diag);
    if (selected) {
        chardev_settle(config, diag);
        config_settle(config);
    }
    config_validate(config, diag);
    return selected && !diag_errors(diag) && !help;
}

static char *strip_comments(const char *text)
{
    GString *out = g_string_new(NULL);
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
    for (char **line = lines; *line; line++) {
        char *comment = g_strrstr(*line, "  # ");
        if (**line && **line != '#') {
            g_string_append_len(out, *line, comment ? comment - *line : (int)strlen(*line));
            g_string_append_c(out, '\n');
        }
    }
    return g_string_free(out, FALSE);
}

static void check_again(const char *text, bool explain)
{
    char *argv[4];
    g_autoptr(Config) config = config_new();
    g_autoptr(Diag) diag = diag_new();
    fuzz_start(config, argv, 1, diag);
    config_load_text(config, "again", text, strlen(text), LAYER_FILES, diag);
    bool good = finish_phases(config, diag);
    g_autofree char *again = explain ? config_explain(config) : config_write(config);
    g_autofree char *a = strip_comments(text), *b = strip_comments(again);
    if (!good || strcmp(a, b)) {
        g_autofree char *said = diag_take_text(diag);
        fprintf(stderr, "%s\nfirst:\n%s\nsecond:\n%s\n", said, text, again);
        abort();
    }
}

static void check_json(const Config *config)
{
    g_autoptr(Diag) diag = diag_new();
    g_autoptr(Config) other = config_new();
    for (unsigned i = 0; i < config_all_groups(config)->len; i++) {
        const ConfigGroup *group = config_all_groups(config)->pdata[i];
        g_autoptr(JsonNode) node = group_to_json(group);
        config_add_json(other, group->schema->group, json_node_get_object(node), "fuzz", diag);
    }
}

void fuzz_finish(Config *config, Diag *diag)
{
    bool good = finish_phases(config, diag);
    g_autofree char *written = config_write(config);
    if (good) {
        g_autofree char *explained = config_explain(config);
        check_again(explained, true);
        check_again(written, false);
        check_json(config);
    }
    g_autofree char *said = diag_take_text(diag);
    g_assert(g_utf8_validate(said, -1, NULL));
}
