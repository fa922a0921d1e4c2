/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A toy bus with numbered slots and a toy chip on it, for the tests of the device model. */
#ifndef TESTS_UNIT_HW_CORE_TOY_H
#define TESTS_UNIT_HW_CORE_TOY_H

#include "hw/core/machine.h"

#define TOY_SLOTS 4

typedef struct ToyBus {
    Bus bus;
    Device *slots[TOY_SLOTS];
} ToyBus;

/* The base of devices on the toy bus. */
typedef struct ToyDevice {
    Device device;
    uint8_t slot;
} ToyDevice;

typedef struct ToyChip {
    ToyDevice toy;
    bool fail;
    uint8_t small;
    uint16_t iobase;
    uint8_t irq;
    uint32_t ranged;
    int32_t sign;
    uint64_t amount;
    char *label;
    int colour;
    uint8_t mac[6];
    int32_t addr;
    uint64_t reg;
    uint16_t fifo[4];
    unsigned resets;
} ToyChip;

#endif
