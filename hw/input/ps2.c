/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * PS/2 keyboard and pointer: queues, commands, scan codes. Sources: IBM PS/2 Hardware Interface
 * Technical Reference, keyboard and mouse chapters; Microsoft Keyboard Scan Code Specification
 * 1.3a; Microsoft's description of the wheel mouse protocol.
 */
#include "hw/input/ps2.h"

#include <glib.h>

#include "hw/core/device.h"
#include "hw/input/i8042.h"

enum {
    PS2_ACK = 0xfa,
    PS2_RESEND = 0xfe,
    PS2_ECHO = 0xee,
    PS2_SELF_TEST_PASSED = 0xaa,
    PS2_BREAK = 0xf0,
};

/* --- Queues -------------------------------------------------------------------- */

static void queue_clear(Ps2Queue *queue)
{
    queue->first = 0;
    queue->count = 0;
}

static bool queue_has_room(const Ps2Queue *queue, unsigned size)
{
    return queue->count + size <= PS2_QUEUE_SIZE;
}

/* A full queue drops: the device was not listened to. */
static void queue_push(Ps2Queue *queue, uint8_t byte)
{
    if (queue_has_room(queue, 1)) {
        queue->data[(queue->first + queue->count++) % PS2_QUEUE_SIZE] = byte;
    }
}

bool ps2_queue_pop(Ps2Queue *queue, uint8_t *byte)
{
    if (queue->count == 0) {
        return false;
    }
    *byte = queue->data[queue->first];
    queue->first = (queue->first + 1) % PS2_QUEUE_SIZE;
    queue->count--;
    return true;
}

/* --- Scan codes ---------------------------------------------------------------- */

/* Set 2 code of the key whose set 1 code is the index (Scan Code Specification, appendix C). */
static const uint8_t set1_to_set2[128] = {
    0x00, 0x76, 0x16, 0x1e, 0x26, 0x25, 0x2e, 0x36, 0x3d, 0x3e, 0x46, 0x45, 0x4e, 0x55, 0x66, 0x0d,
    0x15, 0x1d, 0x24, 0x2d, 0x2c, 0x35, 0x3c, 0x43, 0x44, 0x4d, 0x54, 0x5b, 0x5a, 0x14, 0x1c, 0x1b,
    0x23, 0x2b, 0x34, 0x33, 0x3b, 0x42, 0x4b, 0x4c, 0x52, 0x0e, 0x12, 0x5d, 0x1a, 0x22, 0x21, 0x2a,
    0x32, 0x31, 0x3a, 0x41, 0x49, 0x4a, 0x59, 0x7c, 0x11, 0x29, 0x58, 0x05, 0x06, 0x04, 0x0c, 0x03,
    0x0b, 0x83, 0x0a, 0x01, 0x09, 0x77, 0x7e, 0x6c, 0x75, 0x7d, 0x7b, 0x6b, 0x73, 0x74, 0x79, 0x69,
    0x72, 0x7a, 0x70, 0x71, 0x84, 0x60, 0x61, 0x78, 0x07, 0x0f, 0x17, 0x1f, 0x27, 0x2f, 0x37, 0x3f,
    0x47, 0x4f, 0x56, 0x5e, 0x08, 0x10, 0x18, 0x20, 0x28, 0x30, 0x38, 0x40, 0x48, 0x50, 0x57, 0x6f,
    0x13, 0x19, 0x39, 0x51, 0x53, 0x5c, 0x5f, 0x62, 0x63, 0x64, 0x65, 0x67, 0x68, 0x6a, 0x6d, 0x6e,
};

uint8_t ps2_translate(uint8_t set2)
{
    for (unsigned set1 = 1; set1 < G_N_ELEMENTS(set1_to_set2); set1++) {
        if (set1_to_set2[set1] == set2) {
            return set1;
        }
    }
    /* 02 and 7F are no keys; what is above 84 (prefixes, answers) passes as it is. */
    return set2 == 0x02 ? 0x41 : set2 == 0x7f ? 0x54 : set2;
}

static unsigned key_code_set1(uint8_t *out, uint16_t key, bool down)
{
    unsigned size = 0;

    if (key >> 8) {
        out[size++] = 0xe0;
    }
    out[size++] = (key & 0x7f) | (down ? 0 : 0x80);
    return size;
}

static unsigned key_code_set2(uint8_t *out, uint16_t key, bool down)
{
    unsigned size = 0;

    if (key >> 8) {
        out[size++] = 0xe0;
    }
    if (!down) {
        out[size++] = PS2_BREAK;
    }
    out[size++] = set1_to_set2[key & 0x7f];
    return size;
}

static unsigned key_code_pause(uint8_t *out, uint8_t scan_set)
{
    static const uint8_t set1[] = { 0xe1, 0x1d, 0x45, 0xe1, 0x9d, 0xc5 };
    static const uint8_t set2[] = { 0xe1, 0x14, 0x77, 0xe1, 0xf0, 0x14, 0xf0, 0x77 };
    unsigned size = scan_set == 1 ? sizeof(set1) : sizeof(set2);

    for (unsigned n = 0; n < size; n++) {
        out[n] = scan_set == 1 ? set1[n] : set2[n];
    }
    return size;
}

void ps2_keyboard_key(Ps2Keyboard *keyboard, uint16_t key, bool down)
{
    uint8_t code[8];
    unsigned size;

    if (!keyboard->scanning || (key & 0x7f) == 0 || (key == I8042_KEY_PAUSE && !down)) {
        return; /* Pause has no break code */
    }
    if (key == I8042_KEY_PAUSE) {
        size = key_code_pause(code, keyboard->scan_set);
    } else if (keyboard->scan_set == 1) {
        size = key_code_set1(code, key, down);
    } else {
        size = key_code_set2(code, key, down);
    }
    /* Whole codes or nothing. */
    for (unsigned n = 0; queue_has_room(&keyboard->queue, size - n) && n < size; n++) {
        queue_push(&keyboard->queue, code[n]);
    }
}

/* --- Keyboard commands --------------------------------------------------------- */

static void keyboard_defaults(Ps2Keyboard *keyboard)
{
    queue_clear(&keyboard->queue);
    keyboard->scan_set = 2;
    keyboard->leds = 0;
    keyboard->command = 0;
}

void ps2_keyboard_reset(Ps2Keyboard *keyboard)
{
    keyboard_defaults(keyboard);
    keyboard->scanning = true;
}

static void keyboard_write_parameter(Ps2Keyboard *keyboard, uint8_t byte)
{
    uint8_t command = keyboard->command;

    keyboard->command = 0;
    if (command == 0xf0 && byte > 2) {
        queue_push(&keyboard->queue, PS2_RESEND); /* set 3 is a terminal's: not known here */
        return;
    }
    queue_push(&keyboard->queue, PS2_ACK);
    if (command == 0xed) {
        keyboard->leds = byte & 7;
    } else if (command == 0xf0 && byte == 0) {
        queue_push(&keyboard->queue, keyboard->scan_set);
    } else if (command == 0xf0) {
        keyboard->scan_set = byte;
    }
}

static void keyboard_write_command(Ps2Keyboard *keyboard, uint8_t byte)
{
    Ps2Queue *queue = &keyboard->queue;

    if (byte == PS2_ECHO) {
        queue_push(queue, PS2_ECHO);
        return;
    }
    if (byte == 0xfe) {
        queue_push(queue, keyboard->last_sent);
        return;
    }
    if (byte < 0xed || byte == 0xef || byte == 0xf1) {
        queue_push(queue, PS2_RESEND);
        return;
    }
    if (byte >= 0xf4) {
        queue_clear(queue); /* these commands clear the output buffer */
    }
    queue_push(queue, PS2_ACK);
    switch (byte) {
    case 0xed: /* LEDs */
    case 0xf0: /* scan code set */
    case 0xf3: /* typematic rate: accepted, the host's keyboard repeats */
        keyboard->command = byte;
        break;
    case 0xf2: /* identify */
        queue_push(queue, 0xab);
        queue_push(queue, 0x83);
        break;
    case 0xf4:
        keyboard->scanning = true;
        break;
    case 0xf5: /* defaults, and stop */
        keyboard_defaults(keyboard);
        keyboard->scanning = false;
        queue_push(queue, PS2_ACK);
        break;
    case 0xf6:
        keyboard_defaults(keyboard);
        queue_push(queue, PS2_ACK);
        break;
    case 0xff:
        ps2_keyboard_reset(keyboard);
        queue_push(queue, PS2_ACK);
        queue_push(queue, PS2_SELF_TEST_PASSED);
        break;
    default: /* F7 to FD set key types of set 3 */
        break;
    }
}

void ps2_keyboard_write(Ps2Keyboard *keyboard, uint8_t byte)
{
    /* A command in place of a parameter ends the first. */
    if (keyboard->command && byte < 0xed) {
        keyboard_write_parameter(keyboard, byte);
    } else {
        keyboard->command = 0;
        keyboard_write_command(keyboard, byte);
    }
}

bool ps2_keyboard_read(Ps2Keyboard *keyboard, uint8_t *byte)
{
    if (!ps2_queue_pop(&keyboard->queue, byte)) {
        return false;
    }
    keyboard->last_sent = *byte;
    return true;
}

/* --- Pointer ------------------------------------------------------------------- */

static void mouse_defaults(Ps2Mouse *mouse)
{
    queue_clear(&mouse->queue);
    mouse->reporting = false;
    mouse->remote = false;
    mouse->wrap = false;
    mouse->scaling = false;
    mouse->resolution = 2;
    mouse->sample_rate = 100;
    mouse->command = 0;
    mouse->dx = mouse->dy = mouse->dz = 0;
}

void ps2_mouse_reset(Ps2Mouse *mouse)
{
    mouse_defaults(mouse);
    mouse->rates[0] = mouse->rates[1] = 0;
    mouse->id = 0;
    mouse->buttons = 0;
}

static unsigned mouse_report_size(const Ps2Mouse *mouse)
{
    return mouse->id == 3 ? 4 : 3;
}

static void mouse_report(Ps2Mouse *mouse)
{
    int dx = CLAMP(mouse->dx, -255, 255), dy = CLAMP(mouse->dy, -255, 255);
    int dz = CLAMP(mouse->dz, -8, 7);

    if (!queue_has_room(&mouse->queue, mouse_report_size(mouse))) {
        return; /* the motion goes into a later report */
    }
    queue_push(&mouse->queue, 0x08 | mouse->buttons | (dx < 0 ? 0x10 : 0) | (dy < 0 ? 0x20 : 0));
    queue_push(&mouse->queue, dx);
    queue_push(&mouse->queue, dy);
    if (mouse->id == 3) {
        queue_push(&mouse->queue, dz);
    }
    mouse->dx -= dx;
    mouse->dy -= dy;
    mouse->dz = mouse->id == 3 ? mouse->dz - dz : 0;
}

#define MOUSE_MAX_MOTION 0x10000 /* what piles up while the guest does not listen */

void ps2_mouse_move(Ps2Mouse *mouse, int dx, int dy, int dz, uint8_t buttons)
{
    if (!mouse->reporting) {
        return;
    }
    mouse->dx = CLAMP((int64_t)mouse->dx + dx, -MOUSE_MAX_MOTION, MOUSE_MAX_MOTION);
    mouse->dy = CLAMP((int64_t)mouse->dy + dy, -MOUSE_MAX_MOTION, MOUSE_MAX_MOTION);
    mouse->dz = CLAMP((int64_t)mouse->dz + dz, -MOUSE_MAX_MOTION, MOUSE_MAX_MOTION);
    mouse->buttons = buttons & 7;
    if (!mouse->remote) {
        mouse_report(mouse);
    }
}

static void mouse_set_rate(Ps2Mouse *mouse, uint8_t rate)
{
    if (mouse->rates[0] == 200 && mouse->rates[1] == 100 && rate == 80) {
        mouse->id = 3;
    }
    mouse->rates[0] = mouse->rates[1];
    mouse->rates[1] = rate;
    mouse->sample_rate = rate;
}

static void mouse_status(Ps2Mouse *mouse)
{
    /* The buttons stand the other way round here: left is bit 2. */
    uint8_t buttons = (mouse->buttons & I8042_BUTTON_LEFT ? 4 : 0) |
                      (mouse->buttons & I8042_BUTTON_MIDDLE ? 2 : 0) |
                      (mouse->buttons & I8042_BUTTON_RIGHT ? 1 : 0);

    queue_push(&mouse->queue, buttons | (mouse->scaling ? 0x10 : 0) |
                                  (mouse->reporting ? 0x20 : 0) | (mouse->remote ? 0x40 : 0));
    queue_push(&mouse->queue, mouse->resolution);
    queue_push(&mouse->queue, mouse->sample_rate);
}

static void mouse_write_command(Ps2Mouse *mouse, uint8_t byte)
{
    if (byte < 0xe6 || byte == 0xed || byte == 0xef || byte == 0xf1 ||
        (byte >= 0xf7 && byte <= 0xfd)) {
        queue_push(&mouse->queue, PS2_RESEND);
        return;
    }
    if (byte == 0xf6 || byte == 0xff) {
        mouse_defaults(mouse);
    }
    queue_push(&mouse->queue, PS2_ACK);
    switch (byte) {
    case 0xe6:
    case 0xe7:
        mouse->scaling = byte & 1;
        break;
    case 0xe8: /* resolution */
    case 0xf3: /* sample rate */
        mouse->command = byte;
        break;
    case 0xe9:
        mouse_status(mouse);
        break;
    case 0xea:
    case 0xf0:
        mouse->remote = byte == 0xf0;
        break;
    case 0xeb: /* read data */
        mouse_report(mouse);
        break;
    case 0xec:
    case 0xee:
        mouse->wrap = byte == 0xee;
        break;
    case 0xf2:
        queue_push(&mouse->queue, mouse->id);
        break;
    case 0xf4:
    case 0xf5:
        mouse->reporting = byte == 0xf4;
        break;
    case 0xff:
        ps2_mouse_reset(mouse);
        queue_push(&mouse->queue, PS2_ACK);
        queue_push(&mouse->queue, PS2_SELF_TEST_PASSED);
        queue_push(&mouse->queue, mouse->id);
        break;
    default: /* F6 is done, FE would repeat a report: none is kept */
        break;
    }
}

void ps2_mouse_write(Ps2Mouse *mouse, uint8_t byte)
{
    if (mouse->wrap && byte != 0xec && byte != 0xff) {
        queue_push(&mouse->queue, byte);
    } else if (mouse->command) {
        if (mouse->command == 0xe8) {
            mouse->resolution = byte & 3;
        } else {
            mouse_set_rate(mouse, byte);
        }
        mouse->command = 0;
        queue_push(&mouse->queue, PS2_ACK);
    } else {
        mouse_write_command(mouse, byte);
    }
}

/* --- State --------------------------------------------------------------------- */

static bool queue_post_load(void *object, int version, GError **error)
{
    const Ps2Queue *queue = object;

    if (queue->first >= PS2_QUEUE_SIZE || queue->count > PS2_QUEUE_SIZE) {
        g_set_error(error, DEVICE_ERROR, 0, "PS/2 queue state is out of range");
        return false;
    }
    return true;
}

static const StateTable ps2_queue_state = {
    .name = "ps2.queue",
    .version = 1,
    .minimum_version = 1,
    .fields = (const StateField[]) {
        STATE_BYTES_FIELD(Ps2Queue, data),
        STATE_UINT_FIELD(Ps2Queue, first),
        STATE_UINT_FIELD(Ps2Queue, count),
        STATE_END,
    },
    .post_load = queue_post_load,
};

static bool keyboard_post_load(void *object, int version, GError **error)
{
    Ps2Keyboard *keyboard = object;
    keyboard->scan_set = keyboard->scan_set == 1 ? 1 : 2;
    return true;
}

const StateTable ps2_keyboard_state = {
    .name = "ps2.keyboard",
    .version = 1,
    .minimum_version = 1,
    .fields = (const StateField[]) {
        STATE_STRUCT_FIELD(Ps2Keyboard, queue, ps2_queue_state),
        STATE_BOOL_FIELD(Ps2Keyboard, scanning),
        STATE_UINT_FIELD(Ps2Keyboard, scan_set),
        STATE_UINT_FIELD(Ps2Keyboard, leds),
        STATE_UINT_FIELD(Ps2Keyboard, command),
        STATE_UINT_FIELD(Ps2Keyboard, last_sent),
        STATE_END,
    },
    .post_load = keyboard_post_load,
};

static bool mouse_post_load(void *object, int version, GError **error)
{
    Ps2Mouse *mouse = object;
    mouse->dx = CLAMP(mouse->dx, -MOUSE_MAX_MOTION, MOUSE_MAX_MOTION);
    mouse->dy = CLAMP(mouse->dy, -MOUSE_MAX_MOTION, MOUSE_MAX_MOTION);
    mouse->dz = CLAMP(mouse->dz, -MOUSE_MAX_MOTION, MOUSE_MAX_MOTION);
    mouse->buttons &= 7;
    return true;
}

const StateTable ps2_mouse_state = {
    .name = "ps2.mouse",
    .version = 1,
    .minimum_version = 1,
    .fields = (const StateField[]) {
        STATE_STRUCT_FIELD(Ps2Mouse, queue, ps2_queue_state),
        STATE_BOOL_FIELD(Ps2Mouse, reporting),
        STATE_BOOL_FIELD(Ps2Mouse, remote),
        STATE_BOOL_FIELD(Ps2Mouse, wrap),
        STATE_BOOL_FIELD(Ps2Mouse, scaling),
        STATE_UINT_FIELD(Ps2Mouse, resolution),
        STATE_UINT_FIELD(Ps2Mouse, sample_rate),
        STATE_UINT_ARRAY(Ps2Mouse, rates),
        STATE_UINT_FIELD(Ps2Mouse, id),
        STATE_UINT_FIELD(Ps2Mouse, command),
        STATE_UINT_FIELD(Ps2Mouse, buttons),
        STATE_UINT_FIELD(Ps2Mouse, dx),
        STATE_UINT_FIELD(Ps2Mouse, dy),
        STATE_UINT_FIELD(Ps2Mouse, dz),
        STATE_END,
    },
    .post_load = mouse_post_load,
};
