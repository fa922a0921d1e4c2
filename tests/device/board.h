/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A board without a CPU: a test drives its ports and watches its lines. */
#ifndef TESTS_DEVICE_BOARD_H
#define TESTS_DEVICE_BOARD_H

#include "chardev/internal.h"
#include "hw/core/machine.h"

typedef struct Board {
    Machine *machine;
    int gsi[MACHINE_GSI_COUNT];       /* levels as last driven */
    unsigned rises[MACHINE_GSI_COUNT];
    int pic_intr, a20;
} Board;

/* A machine with an ISA bus; call once a test, with the machine lock held by board_main(). */
Board *board_new(void);
void board_free(Board *board);
/* Adds a device; then pairs of property name and value, ended by NULL. Fails the test on an
 * error. */
Device *board_add(Board *board, const char *type, ...) G_GNUC_NULL_TERMINATED;
/* As g_test_run(), with locks and clocks set up. */
int board_main(void);
/* Adds a vCPU; call before its APIC is made. All it does is vcpu_load() and vcpu_store(). */
Vcpu *board_add_vcpu(Board *board);
uint32_t vcpu_load(Vcpu *vcpu, uint64_t addr);
void vcpu_store(Vcpu *vcpu, uint64_t addr, uint32_t value);
/* Runs the machine's ready hooks and resets all devices. */
void board_start(Board *board);

uint8_t in8(Board *board, uint16_t port);
void out8(Board *board, uint16_t port, uint8_t value);
/* Writes @count bytes to @port. */
#define OUT8S(board, port, ...)                                                                    \
    do {                                                                                           \
        const uint8_t values_[] = { __VA_ARGS__ };                                                 \
        for (unsigned i_ = 0; i_ < sizeof(values_); i_++) {                                        \
            out8(board, port, values_[i_]);                                                        \
        }                                                                                          \
    } while (0)

/* A back end that the test is the other end of. */
typedef struct TestChardev {
    Chardev base;
    uint8_t written[256];
    size_t written_size;
    size_t limit; /* takes no more than this many bytes */
} TestChardev;

TestChardev *board_chardev(Board *board, const char *id);

#endif
