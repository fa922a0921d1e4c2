/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The two devices at the ends of the 8042's cables: a 101-key keyboard and a pointer with a
 * wheel. They hold bytes until the controller fetches them and answer the bytes it sends.
 */
#ifndef HW_INPUT_PS2_H
#define HW_INPUT_PS2_H

#include <stdbool.h>
#include <stdint.h>

#include "migration/state.h"

#define PS2_QUEUE_SIZE 16

typedef struct Ps2Queue {
    uint8_t data[PS2_QUEUE_SIZE];
    uint8_t first, count;
} Ps2Queue;

typedef struct Ps2Keyboard {
    Ps2Queue queue;
    bool scanning;
    uint8_t scan_set;   /* 1 or 2 */
    uint8_t leds;
    uint8_t command;    /* waits for its parameter; 0: none */
    uint8_t last_sent;  /* for RESEND */
} Ps2Keyboard;

typedef struct Ps2Mouse {
    Ps2Queue queue;
    bool reporting;
    bool remote;        /* reports only when asked */
    bool wrap;          /* echoes what it gets */
    bool scaling;
    uint8_t resolution;
    uint8_t sample_rate;
    uint8_t rates[2];   /* the two rates before: 200, 100, 80 turns the wheel on */
    uint8_t id;         /* 0: three bytes a report, 3: four, with a wheel */
    uint8_t command;
    uint8_t buttons;
    int32_t dx, dy, dz; /* moved since the last report */
} Ps2Mouse;

extern const StateTable ps2_keyboard_state;
extern const StateTable ps2_mouse_state;

bool ps2_queue_pop(Ps2Queue *queue, uint8_t *byte);

void ps2_keyboard_reset(Ps2Keyboard *keyboard);
void ps2_keyboard_write(Ps2Keyboard *keyboard, uint8_t byte);
void ps2_keyboard_key(Ps2Keyboard *keyboard, uint16_t key, bool down);
bool ps2_keyboard_read(Ps2Keyboard *keyboard, uint8_t *byte);

void ps2_mouse_reset(Ps2Mouse *mouse);
void ps2_mouse_write(Ps2Mouse *mouse, uint8_t byte);
void ps2_mouse_move(Ps2Mouse *mouse, int dx, int dy, int dz, uint8_t buttons);

/* The controller's translation of one byte of set 2 (not F0) to set 1. */
uint8_t ps2_translate(uint8_t set2);

#endif
