/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Reading the text screen of a VGA, for tests and for a front end that shows it. */
#ifndef HW_DISPLAY_VGA_TEXT_H
#define HW_DISPLAY_VGA_TEXT_H

#include "hw/core/device.h"

/*
 * The characters on the screen of @device ("VGA" or "isa-vga"), a line each, trailing blanks cut,
 * in the guest's code page with other than printable ASCII as '.'; NULL in a graphics mode.
 * g_free().
 */
char *vga_text_screen(Device *device);
/*
 * The BIOS of an "isa-vga", which has no base address register for it; firmware gets it otherwise.
 */
GBytes *vga_isa_rom(Device *device);

#endif
