/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Keys and pointer motion for the PS/2 controller, from whatever shows the guest's screen. */
#ifndef HW_INPUT_I8042_H
#define HW_INPUT_I8042_H

#include "hw/core/device.h"

#define I8042_KEY_PAUSE 0xe11d

enum {
    I8042_BUTTON_LEFT = 1u << 0,
    I8042_BUTTON_RIGHT = 1u << 1,
    I8042_BUTTON_MIDDLE = 1u << 2,
};

/*
 * A key goes down or up. @key is its make code of scan code set 1: 0x01 to 0x7f, 0xe000 + code
 * for the extended keys, or I8042_KEY_PAUSE. Keys are dropped while the keyboard's buffer is
 * full.
 */
void i8042_key(Device *device, uint16_t key, bool down);
/* The pointer moves by @dx (right), @dy (up), @dz (wheel, towards the user), buttons are
 * @buttons. */
void i8042_pointer(Device *device, int dx, int dy, int dz, uint8_t buttons);

#endif
