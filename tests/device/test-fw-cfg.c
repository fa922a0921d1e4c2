/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fw_cfg by its interface document: selector and data ports, directory, DMA, and hostile requests.
 */
#include <string.h>

#include "hw/nvram/fw_cfg.h"
#include "tests/device/pc-board.h"
#include "util/mainloop.h"

#define REQUEST 0x1000u
#define TARGET  0x2000u

enum { DMA_ERROR = 1, DMA_READ = 2, DMA_SKIP = 4, DMA_SELECT = 8, DMA_WRITE = 16 };

static void select_item(Board *board, uint16_t item)
{
    board_out(board, 0x510, item, 2);
}

static uint32_t read_be32(Board *board)
{
    uint32_t value = 0;
    for (unsigned i = 0; i < 4; i++) {
        value = value << 8 | board_in(board, 0x511, 1);
    }
    return value;
}

/* Runs a DMA request that lies at @request; returns the control field as the device left it. */
static uint32_t dma_at(Board *board, uint64_t request, uint32_t control, uint32_t length,
                       uint64_t address)
{
    MemorySpace *memory = board->machine->memory;

    memory_store(memory, request, GUINT32_TO_BE(control), 4);
    memory_store(memory, request + 4, GUINT32_TO_BE(length), 4);
    memory_store(memory, request + 8, GUINT64_TO_BE(address), 8);
    board_out(board, 0x514, GUINT32_TO_BE((uint32_t)(request >> 32)), 4);
    board_out(board, 0x518, GUINT32_TO_BE((uint32_t)request), 4);
    return GUINT32_FROM_BE((uint32_t)memory_load(memory, request, 4));
}

static uint32_t dma(Board *board, uint32_t control, uint32_t length, uint64_t address)
{
    return dma_at(board, REQUEST, control, length, address);
}

static void test_ports(void)
{
    Board *board = board_new(16 << 20);

    select_item(board, FW_CFG_SIGNATURE);
    g_assert_cmphex(read_be32(board), ==, 0x51454d55);
    g_assert_cmphex(board_in(board, 0x511, 1), ==, 0); /* past the end */
    select_item(board, FW_CFG_ID);
    g_assert_cmphex(board_in(board, 0x511, 1), ==, 3);
    select_item(board, FW_CFG_SIGNATURE); /* selecting goes back to the start */
    g_assert_cmphex(board_in(board, 0x511, 1), ==, 'Q');
    for (unsigned item = 0x100; item < 0x10000; item += 0x111) {
        select_item(board, item);
        g_assert_cmphex(board_in(board, 0x511, 1), ==, 0);
    }
    board_free(board);
}

static void test_directory(void)
{
    Board *board = board_new(16 << 20);
    FwCfg *fw = fw_cfg_find(board->machine);
    char name[57] = { 0 };

    uint16_t key = fw_cfg_add_file(fw, "opt/test", g_bytes_new("hello", 5));
    g_assert_cmpuint(key, ==, 0x20);
    g_assert_cmpuint(fw_cfg_add_file(fw, "opt/other", g_bytes_new("x", 1)), ==, 0x21);
    g_assert_cmpuint(fw_cfg_add_file(fw, "opt/test", g_bytes_new("again!", 6)), ==, 0x20);
    select_item(board, FW_CFG_FILE_DIR);
    g_assert_cmpuint(read_be32(board), ==, 2);
    g_assert_cmpuint(read_be32(board), ==, 6);
    g_assert_cmphex(read_be32(board), ==, 0x00200000);
    for (unsigned i = 0; i < 56; i++) {
        name[i] = board_in(board, 0x511, 1);
    }
    g_assert_cmpstr(name, ==, "opt/test");
    g_assert_cmpuint(read_be32(board), ==, 1);
    select_item(board, key);
    g_assert_cmphex(read_be32(board), ==, 0x61676169);
    /* Too long a name, and a full directory. */
    g_assert_cmpuint(fw_cfg_add_file(fw, "12345678901234567890123456789012345678901234567890123456",
                                     g_bytes_new("", 0)), ==, 0);
    for (unsigned i = 2; i < 256; i++) {
        g_autofree char *more = g_strdup_printf("opt/%u", i);
        g_assert_cmpuint(fw_cfg_add_file(fw, more, g_bytes_new("", 0)), ==, 0x20 + i);
    }
    g_assert_cmpuint(fw_cfg_add_file(fw, "opt/last", g_bytes_new("", 0)), ==, 0);
    board_free(board);
}

static void test_dma(void)
{
    Board *board = board_new(16 << 20);
    FwCfg *fw = fw_cfg_find(board->machine);
    uint8_t *ram = board->machine->ram->host;
    uint16_t key = fw_cfg_add_file(fw, "opt/test", g_bytes_new("0123456789", 10));

    g_assert_cmphex(board_in(board, 0x514, 4), ==, 0x554d4551); /* "QEMU" */
    g_assert_cmphex(board_in(board, 0x518, 4), ==, 0x47464320); /* " CFG" */
    g_assert_cmphex(dma(board, key << 16 | DMA_SELECT | DMA_READ, 4, TARGET), ==, 0);
    g_assert_cmpmem(ram + TARGET, 4, "0123", 4);
    g_assert_cmphex(dma(board, DMA_SKIP, 2, 0), ==, 0);
    memset(ram + TARGET, 0xee, 16);
    g_assert_cmphex(dma(board, DMA_READ, 8, TARGET), ==, 0);
    g_assert_cmpmem(ram + TARGET, 9, "6789\0\0\0\0\xee", 9); /* zeros past the end */
    g_assert_cmphex(dma(board, 0xbfffu << 16 | DMA_SELECT | DMA_READ, 4, TARGET + 8), ==, 0);
    g_assert_cmpmem(ram + TARGET + 8, 4, "\0\0\0\0", 4);
    /* Skipping beyond all bounds, then reading, is just the end. */
    g_assert_cmphex(dma(board, key << 16 | DMA_SELECT | DMA_SKIP, UINT32_MAX, 0), ==, 0);
    g_assert_cmphex(dma(board, DMA_READ, 1, TARGET), ==, 0);
    g_assert_cmphex(ram[TARGET], ==, 0);
    board_free(board);
}

static void test_dma_hostile(void)
{
    Board *board = board_new(16 << 20);

    g_assert_cmphex(dma(board, DMA_SELECT | DMA_READ, 4, 0xd0000000), ==, DMA_ERROR);
    g_assert_cmphex(dma(board, DMA_SELECT | DMA_READ, 4, UINT64_MAX - 1), ==, DMA_ERROR);
    g_assert_cmphex(dma(board, DMA_SELECT | DMA_READ, UINT32_MAX, 0x800000), ==, DMA_ERROR);
    g_assert_cmphex(dma(board, DMA_SELECT | DMA_WRITE, 4, TARGET), ==, DMA_ERROR);
    /* The request itself outside memory, at its end, and over the device's own data. */
    dma_at(board, 0xd0000000, DMA_READ, 4, TARGET);
    dma_at(board, (16 << 20) - 8, DMA_READ, 4, TARGET);
    dma_at(board, UINT64_MAX - 7, DMA_READ, 4, TARGET);
    dma(board, DMA_SELECT | DMA_READ, 64, REQUEST);
    board_free(board);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    main_loop_init();
    g_test_add_func("/fw-cfg/ports", test_ports);
    g_test_add_func("/fw-cfg/directory", test_directory);
    g_test_add_func("/fw-cfg/dma", test_dma);
    g_test_add_func("/fw-cfg/dma-hostile", test_dma_hostile);
    return g_test_run();
}
