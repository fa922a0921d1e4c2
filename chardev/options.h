/* SPDX-License-Identifier: GPL-2.0-or-later */
/* From the short spellings of -serial, -monitor and -debugcon to [chardev] groups. */
#ifndef CHARDEV_OPTIONS_H
#define CHARDEV_OPTIONS_H

#include "qemu-config/config.h"

/*
 * Turns "stdio", "mon:stdio", "file:PATH", "pty", "null", "pipe:PATH",
 * "unix:PATH,server=on,wait=off", "tcp:HOST:PORT,…" into a [chardev] group named @id, in the layer
 * of the command line. Returns the name of the character device to use (another one for
 * "chardev:ID"), or NULL for "none" and after a diagnostic.
 */
const char *chardev_from_text(Config *config, const char *text, const char *id,
                              const Origin *origin, Diag *diag);
/*
 * Gives every [serial] group a name serial0, serial1, … and a key chardev, adds what -monitor and
 * -debugcon stand for, and, unless -nodefaults, the default serial port: this terminal with
 * -nographic, otherwise null. Call between config_select_machine() and config_settle().
 */
bool chardev_settle(Config *config, Diag *diag);
/* The [chardev] that @name means: "serial0" is what the first -serial names. */
const char *chardev_resolve(const Config *config, const char *name);

#endif
