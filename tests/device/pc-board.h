/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A 440FX board without a CPU, for tests that drive its chips over their ports and registers. */
#ifndef TESTS_DEVICE_PC_BOARD_H
#define TESTS_DEVICE_PC_BOARD_H

#include "hw/core/machine.h"
#include "hw/pci/pci.h"

#define BOARD_BIOS_SIZE 0x40000u

typedef struct Board {
    Machine *machine;
    char *bios_path;       /* a made-up firmware: byte n is board_bios_byte(n) */
    int gsi[MACHINE_GSI_COUNT]; /* level of each line as last driven */
} Board;

/* Takes the machine lock; @ram_size bytes, memory, fw_cfg, host bridge, PIIX3, PIIX4_PM, VGA. */
Board *board_new(uint64_t ram_size);
/* Frees the machine and gives the lock back. */
void board_free(Board *board);
/* Resets every device, in the order of the machine. */
void board_reset(Board *board);
/* Realizes a device of @type; the pairs of property and value end with NULL. NULL and @error. */
Device *board_add(Board *board, const char *type, const char *bus, GError **error, ...)
    G_GNUC_NULL_TERMINATED;
Device *board_device(Board *board, const char *type);
uint8_t board_bios_byte(unsigned n);

/* Configuration space through ports 0xcf8 and 0xcfc. */
uint32_t board_config_read(Board *board, int devfn, unsigned offset, unsigned size);
void board_config_write(Board *board, int devfn, unsigned offset, uint32_t value, unsigned size);

static inline uint32_t board_in(Board *board, uint16_t port, unsigned size)
{
    return port_read(board->machine->ports, port, size);
}

static inline void board_out(Board *board, uint16_t port, uint32_t value, unsigned size)
{
    port_write(board->machine->ports, port, value, size);
}

#endif
