/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The port space: whole, split and unassigned accesses, conflicts, unmapping. */
#include <string.h>

#include "memory/memory.h"
#include "util/lock.h"

typedef struct Chip {
    uint8_t bytes[8];
    unsigned calls, last_size;
} Chip;

static uint64_t chip_read(void *opaque, uint64_t offset, unsigned size)
{
    Chip *chip = opaque;
    uint64_t value = 0;

    g_assert_true(machine_locked());
    chip->calls++;
    chip->last_size = size;
    memcpy(&value, chip->bytes + offset, size);
    return value;
}

static void chip_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    Chip *chip = opaque;

    chip->calls++;
    chip->last_size = size;
    memcpy(chip->bytes + offset, &value, size);
}

static const MemoryOps byte_ops = { chip_read, chip_write, 1, 1 };
static const MemoryOps any_ops = { chip_read, chip_write, 0, 0 };

static void test_access(void)
{
    PortSpace *space = port_space_new();
    Chip wide = { { 1, 2, 3, 4, 5, 6, 7, 8 } }, narrow = { { 0x11, 0x22, 0x33, 0x44 } };

    port_map(space, 0x100, 8, &any_ops, &wide, "wide", NULL);
    port_map(space, 0x200, 4, &byte_ops, &narrow, "narrow", NULL);
    g_assert_false(machine_locked());
    g_assert_cmphex(port_read(space, 0x104, 4), ==, 0x08070605);
    g_assert_cmpuint(wide.calls, ==, 1);
    g_assert_cmphex(port_read(space, 0x200, 4), ==, 0x44332211);
    g_assert_cmpuint(narrow.calls, ==, 4);
    port_write(space, 0x202, 0xbbaa, 2);
    g_assert_cmphex(narrow.bytes[2], ==, 0xaa);
    g_assert_cmphex(narrow.bytes[3], ==, 0xbb);
    g_assert_cmphex(port_read(space, 0x300, 1), ==, 0xff);
    g_assert_cmphex(port_read(space, 0x300, 2), ==, 0xffff);
    g_assert_cmphex(port_read(space, 0x300, 4), ==, 0xffffffff);
    port_write(space, 0x300, 1, 4);
    g_assert_false(machine_locked());
    port_space_free(space);
}

static void test_edges(void)
{
    PortSpace *space = port_space_new();
    Chip chip = { { 1, 2, 3, 4 } }, last = { { 9 } };

    port_map(space, 0x60, 1, &any_ops, &chip, "one", NULL);
    port_map(space, 0xffff, 1, &any_ops, &last, "last", NULL);
    g_assert_cmphex(port_read(space, 0x60, 2), ==, 0xff01); /* the second byte has no owner */
    g_assert_cmphex(port_read(space, 0x5f, 2), ==, 0x01ff);
    g_assert_cmphex(port_read(space, 0xffff, 4), ==, 0xffffff09); /* no wrap to port 0 */
    port_space_free(space);
}

static void test_conflict(void)
{
    PortSpace *space = port_space_new();
    Chip chip = { 0 };
    g_autoptr(GError) error = NULL;

    PortMapping *first = port_map(space, 0x3f8, 8, &byte_ops, &chip, "com1", NULL);
    g_assert_null(port_map(space, 0x3ff, 2, &byte_ops, &chip, "other", &error));
    g_assert_cmpstr(error->message, ==,
                    "'other' wants I/O ports 0x3ff-0x400, but 'com1' has 0x3f8-0x3ff");
    g_assert_cmphex(port_read(space, 0x400, 1), ==, 0xff); /* nothing half-mapped */
    g_clear_error(&error);
    g_assert_null(port_map(space, 0xffff, 2, &byte_ops, &chip, "beyond", &error));
    g_assert_nonnull(strstr(error->message, "0xffff"));
    port_unmap(first);
    g_assert_nonnull(port_map(space, 0x3ff, 2, &byte_ops, &chip, "other", NULL));
    port_space_free(space);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/ports/access", test_access);
    g_test_add_func("/ports/edges", test_edges);
    g_test_add_func("/ports/conflict", test_conflict);
    return g_test_run();
}
