/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The phases of the configuration alone, as a program: what the emulator says about a command line
 * before it builds a machine. For the golden tests of diagnostics, -explain and -help.
 */
#include <stdio.h>
#include <string.h>

#include "chardev/options.h"
#include "qemu-config/config.h"

static const ConfigGroup *select_machine(Config *config, Diag *diag)
{
    const ConfigGroup *machine = config_find(config, "machine", NULL);
    const char *type = machine ? group_get(machine, "type") : NULL;
    return config_select_machine(config, type ? type : "pc",
                                 type ? group_origin(machine, "type") : NULL, diag);
}

static int finish(Diag *diag, int status)
{
    diag_print(diag, stderr);
    return diag_errors(diag) ? 1 : status;
}

int main(int argc, char **argv)
{
    g_autoptr(Config) config = config_new();
    g_autoptr(Diag) diag = diag_new();
    config_parse_command_line(config, argc, argv, diag);
    config_load_layers(config, diag);
    g_autofree char *help = config_help(config, diag);
    if (help) {
        fputs(help, stdout);
        return finish(diag, 0);
    }
    if (select_machine(config, diag)) {
        chardev_settle(config, diag);
        config_settle(config);
    }
    config_validate(config, diag);
    if (!diag_errors(diag) && config_is_on(config, "system", "explain")) {
        g_autofree char *text = config_explain(config);
        fputs(text, stdout);
    }
    const char *path = config_get(config, "system", "writeconfig");
    if (!diag_errors(diag) && path && !strcmp(path, "-")) {
        g_autofree char *text = config_write(config);
        fputs(text, stdout);
    }
    return finish(diag, 0);
}
