/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Random accesses to every register of the board's chips, then their state saved, scrambled, loaded
 * and compared. What is asserted is in the chips and in the sanitizers; the seed is printed.
 */
#include <string.h>

#include "migration/state.h"
#include "tests/device/pc-board.h"
#include "util/mainloop.h"
#include "util/timer.h"

#define ACCESSES 20000

static const struct {
    uint16_t first, count;
} port_ranges[] = {
    { 0x3b0, 0x30 }, { 0x510, 12 }, { 0xb2, 2 }, { 0xcf8, 8 }, { 0x600, 0x40 }, { 0xb100, 16 },
};

static const int functions[] = {
    PCI_DEVFN(0, 0), PCI_DEVFN(1, 0), PCI_DEVFN(1, 3), PCI_DEVFN(2, 0), PCI_DEVFN(7, 0),
};

/* Small values are the likely ones to mean something. */
static uint32_t random_value(GRand *rand)
{
    return g_rand_boolean(rand) ? g_rand_int(rand) : g_rand_int(rand) & 0xff;
}

static void random_access(Board *board, GRand *rand)
{
    unsigned size = 1u << g_rand_int_range(rand, 0, 3);
    uint32_t value = random_value(rand);
    unsigned n = g_rand_int_range(rand, 0, G_N_ELEMENTS(port_ranges));
    uint16_t port = port_ranges[n].first + g_rand_int_range(rand, 0, port_ranges[n].count);

    switch (g_rand_int_range(rand, 0, 5)) {
    case 0:
        board_in(board, port, size);
        break;
    case 1:
        board_out(board, port, value, size);
        break;
    case 2: {
        int devfn = functions[g_rand_int_range(rand, 0, G_N_ELEMENTS(functions))];
        unsigned offset = g_rand_int_range(rand, 0, 256) & ~(size - 1);
        board_config_write(board, devfn, offset, value, size);
        break;
    }
    case 3:
        memory_store(board->machine->memory, 0xa0000 + g_rand_int_range(rand, 0, 0x60000), value,
                     size);
        break;
    case 4:
        memory_load(board->machine->memory, 0xa0000 + g_rand_int_range(rand, 0, 0x60000), size);
        break;
    }
}

/* The power buttons that the accesses pressed have asked the main loop for something. */
static void drain(void)
{
    while (g_main_context_iteration(NULL, FALSE)) {
    }
}

static void test_accesses(void)
{
    Board *board = board_new(4 << 20);
    g_autoptr(GRand) rand = g_rand_new_with_seed(g_test_rand_int());

    for (unsigned i = 0; i < ACCESSES; i++) {
        random_access(board, rand);
        if (i % 1000 == 999) {
            drain();
            board_config_write(board, PCI_DEVFN(1, 3), 0x40, 0x601, 4);
            board_config_write(board, PCI_DEVFN(1, 3), 0x80, 1, 1);
        }
    }
    board_reset(board);
    /* After all that, a reset gives a board like new. */
    g_assert_cmphex(board_config_read(board, PCI_DEVFN(0, 0), 0, 4), ==, 0x12378086);
    g_assert_cmphex(memory_load(board->machine->memory, 0xffff0, 1), ==,
                    board_bios_byte(BOARD_BIOS_SIZE - 16));
    board_free(board);
}

static void check_state(Board *board, GRand *rand, Device *device)
{
    g_autoptr(GError) error = NULL;

    clock_vm_pause();
    g_autoptr(GVariant) saved = g_variant_ref_sink(state_save(device->type->state, device));
    for (unsigned i = 0; i < 500; i++) {
        random_access(board, rand);
    }
    g_assert_true(state_load(device->type->state, device, saved, &error));
    g_autoptr(GVariant) again = g_variant_ref_sink(state_save(device->type->state, device));
    if (!g_variant_equal(saved, again)) {
        g_autofree char *one = g_variant_print(saved, FALSE), *two = g_variant_print(again, FALSE);
        g_error("%s: saved %.3000s, after loading %.3000s", device->type->name, one, two);
    }
    clock_vm_resume();
}

static void test_state(void)
{
    Board *board = board_new(4 << 20);
    g_autoptr(GRand) rand = g_rand_new_with_seed(g_test_rand_int());

    for (unsigned i = 0; i < 500; i++) {
        random_access(board, rand);
    }
    for (unsigned i = 0; i < board->machine->devices->len; i++) {
        Device *device = board->machine->devices->pdata[i];
        if (device->type->state) {
            check_state(board, rand, device);
        }
    }
    drain();
    board_free(board);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    main_loop_init();
    g_test_add_func("/pc-fuzz/accesses", test_accesses);
    g_test_add_func("/pc-fuzz/state", test_state);
    return g_test_run();
}
