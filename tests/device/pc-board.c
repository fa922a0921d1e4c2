/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The board of pc-board.h. */
#include "tests/device/pc-board.h"

#include <glib/gstdio.h>
#include <stdarg.h>
#include <unistd.h>

#include "util/lock.h"

uint8_t board_bios_byte(unsigned n)
{
    return (n >> 12) + 3 * n + 1;
}

static void board_gsi_changed(void *opaque, int n, int level)
{
    ((Board *)opaque)->gsi[n] = level;
}

static void board_write_bios(Board *board)
{
    g_autofree uint8_t *image = g_malloc(BOARD_BIOS_SIZE);
    int fd = g_file_open_tmp("tessera-bios-XXXXXX", &board->bios_path, NULL);

    g_assert_cmpint(fd, >=, 0);
    close(fd);
    for (unsigned n = 0; n < BOARD_BIOS_SIZE; n++) {
        image[n] = board_bios_byte(n);
    }
    g_assert_true(g_file_set_contents(board->bios_path, (char *)image, BOARD_BIOS_SIZE, NULL));
}

Device *board_add(Board *board, const char *type, const char *bus, GError **error, ...)
{
    Device *device = device_new(board->machine, device_type_find(type), NULL);
    const char *name;
    va_list args;

    va_start(args, error);
    while ((name = va_arg(args, const char *))) {
        g_assert_true(device_property_set(device, name, va_arg(args, const char *), NULL));
    }
    va_end(args);
    Bus *parent = bus ? bus_find(board->machine, bus) : board->machine->system_bus;
    return device_realize(device, parent, error) ? device : NULL;
}

Board *board_new(uint64_t ram_size)
{
    Board *board = g_new0(Board, 1);
    g_autoptr(GError) error = NULL;

    machine_lock();
    board->machine = machine_new(NULL);
    board->machine->ram_size = ram_size;
    board->machine->smp_cpus = board->machine->smp_max_cpus = 1;
    board_write_bios(board);
    for (unsigned n = 0; n < MACHINE_GSI_COUNT; n++) {
        machine_gsi_connect(board->machine, n, (IrqLine){ board_gsi_changed, board, n });
    }
    g_assert_nonnull(board_add(board, "pc-memory", NULL, &error, "firmware", board->bios_path,
                               NULL));
    g_assert_nonnull(board_add(board, "fw_cfg_io", NULL, &error, NULL));
    g_assert_nonnull(board_add(board, "i440FX-pcihost", NULL, &error, NULL));
    g_assert_nonnull(board_add(board, "PIIX3", "pci.0", &error, "addr", "1", NULL));
    g_assert_nonnull(board_add(board, "PIIX4_PM", "pci.0", &error, "addr", "1.3", NULL));
    g_assert_nonnull(board_add(board, "VGA", "pci.0", &error, "addr", "2", NULL));
    board_reset(board);
    return board;
}

void board_free(Board *board)
{
    machine_free(board->machine);
    g_unlink(board->bios_path);
    g_free(board->bios_path);
    g_free(board);
    machine_unlock();
}

void board_reset(Board *board)
{
    for (unsigned i = 0; i < board->machine->devices->len; i++) {
        device_reset(board->machine->devices->pdata[i]);
    }
}

Device *board_device(Board *board, const char *type)
{
    Device *device = machine_find_device(board->machine, type);
    g_assert_nonnull(device);
    return device;
}

uint32_t board_config_read(Board *board, int devfn, unsigned offset, unsigned size)
{
    board_out(board, 0xcf8, 0x80000000 | devfn << 8 | (offset & 0xfc), 4);
    return board_in(board, 0xcfc + (offset & 3), size);
}

void board_config_write(Board *board, int devfn, unsigned offset, uint32_t value, unsigned size)
{
    board_out(board, 0xcf8, 0x80000000 | devfn << 8 | (offset & 0xfc), 4);
    board_out(board, 0xcfc + (offset & 3), value, size);
}
