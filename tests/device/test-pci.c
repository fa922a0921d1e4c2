/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The PCI bus and the 440FX bridges over configuration mechanism #1: identities, base addresses
 * (PCI 3.0, 6.2.5), interrupt routing, PAM and SMRAM (82441FX datasheet 3.2.15 to 3.2.22), reset
 * control.
 */
#include <string.h>

#include "tests/device/pc-board.h"
#include "util/mainloop.h"

/* --- A device with one base address of each kind ------------------------------- */

typedef struct {
    PciDevice pci;
    uint64_t last_offset, last_value;
} Probe;

static uint64_t probe_read(void *opaque, uint64_t offset, unsigned size)
{
    return 0x50 + offset;
}

static void probe_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    Probe *probe = opaque;
    probe->last_offset = offset;
    probe->last_value = value;
}

static const MemoryOps probe_ops = { probe_read, probe_write, 1, 4 };

static bool probe_realize(Device *device, GError **error)
{
    PciDevice *pci = (PciDevice *)device;

    pci_bar_memory(pci, 0, 0x1000, false, &probe_ops, device, "probe memory");
    pci_bar_io(pci, 1, 32, &probe_ops, device, "probe ports");
    pci_bar_memory(pci, 2, 0x4000, true, &probe_ops, device, "probe 64-bit");
    g_assert_cmpuint(pci_add_capability(pci, 0x09, 0, 16), ==, 0x40);
    g_assert_cmpuint(pci_add_capability(pci, 0x11, 0, 12), ==, 0x50);
    return true;
}

static const PciDeviceClass probe_class = {
    .vendor_id = 0xcafe,
    .device_id = 0x0001,
    .subsystem_vendor_id = 0x1111,
    .subsystem_id = 0x2222,
    .class_code = 0xff0001,
    .revision = 7,
    .interrupt_pin = 1,
};

static const Property probe_properties[] = { PROP_END };

static const DeviceType probe_type = {
    .name = "test-probe",
    .bus = "pci",
    .size = sizeof(Probe),
    .properties = probe_properties,
    .realize = probe_realize,
    .reset = pci_device_type_reset,
    .bus_class = &probe_class,
};
DEVICE_TYPE(probe_type);

#define PROBE PCI_DEVFN(5, 0)

static Probe *add_probe(Board *board)
{
    GError *error = NULL;
    Device *device = board_add(board, "test-probe", "pci.0", &error, "addr", "5", NULL);
    g_assert_no_error(error);
    return (Probe *)device;
}

/* --- Tests --------------------------------------------------------------------- */

static void test_identities(void)
{
    Board *board = board_new(16 << 20);

    g_assert_cmphex(board_config_read(board, PCI_DEVFN(0, 0), 0, 4), ==, 0x12378086);
    g_assert_cmphex(board_config_read(board, PCI_DEVFN(1, 0), 0, 4), ==, 0x70008086);
    g_assert_cmphex(board_config_read(board, PCI_DEVFN(1, 3), 0, 4), ==, 0x71138086);
    g_assert_cmphex(board_config_read(board, PCI_DEVFN(2, 0), 0, 4), ==, 0x11111234);
    g_assert_cmphex(board_config_read(board, PCI_DEVFN(3, 0), 0, 4), ==, 0xffffffff);
    /* By this pair SeaBIOS knows that it runs on a virtual board. */
    g_assert_cmphex(board_config_read(board, PCI_DEVFN(0, 0), 0x2c, 4), ==, 0x11001af4);
    g_assert_cmphex(board_config_read(board, PCI_DEVFN(1, 0), 0x0e, 1), ==, 0x80);
    g_assert_cmphex(board_config_read(board, PCI_DEVFN(1, 0), 0x0a, 2), ==, 0x0601);
    g_assert_cmphex(board_config_read(board, PCI_DEVFN(2, 0), 0x0a, 2), ==, 0x0300);
    /* Read-only fields stay. */
    board_config_write(board, PCI_DEVFN(1, 0), 0, 0x12345678, 4);
    g_assert_cmphex(board_config_read(board, PCI_DEVFN(1, 0), 0, 4), ==, 0x70008086);
    board_free(board);
}

static void test_config_address(void)
{
    Board *board = board_new(16 << 20);

    /* Reserved bits read as zero; narrow writes do not reach the register; bus 1 is empty. */
    board_out(board, 0xcf8, 0xffffffff, 4);
    g_assert_cmphex(board_in(board, 0xcf8, 4), ==, 0x80fffffc);
    board_out(board, 0xcf8, 0x80000000, 4);
    board_out(board, 0xcf8, 0x55, 1);
    board_out(board, 0xcfa, 0x5555, 2);
    g_assert_cmphex(board_in(board, 0xcf8, 4), ==, 0x80000000);
    board_out(board, 0xcf8, 0x80010000, 4);
    g_assert_cmphex(board_in(board, 0xcfc, 4), ==, 0xffffffff);
    board_out(board, 0xcf8, 0x00000000, 4);
    g_assert_cmphex(board_in(board, 0xcfc, 4), ==, 0xffffffff);
    board_free(board);
}

static void test_bar_sizing(void)
{
    Board *board = board_new(16 << 20);
    add_probe(board);
    static const uint32_t sized[] = { 0xfffff000, 0xffffffe1, 0xffffc004, 0xffffffff, 0, 0 };

    for (unsigned i = 0; i < G_N_ELEMENTS(sized); i++) {
        board_config_write(board, PROBE, 0x10 + 4 * i, 0xffffffff, 4);
        g_assert_cmphex(board_config_read(board, PROBE, 0x10 + 4 * i, 4), ==, sized[i]);
    }
    /* Decoding on while the registers hold ones: nothing may be mapped. */
    board_config_write(board, PROBE, PCI_COMMAND, 7, 2);
    g_assert_cmphex(board_in(board, 0xffe0, 1), ==, 0xff);
    g_assert_cmphex(memory_load(board->machine->memory, 0xfffff000, 1), ==,
                    board_bios_byte(BOARD_BIOS_SIZE - 0x1000));
    board_free(board);
}

static void test_bar_mapping(void)
{
    Board *board = board_new(16 << 20);
    Probe *probe = add_probe(board);
    MemorySpace *memory = board->machine->memory;

    board_config_write(board, PROBE, 0x10, 0xe0000000, 4);
    board_config_write(board, PROBE, 0x14, 0xc000, 4);
    board_config_write(board, PROBE, 0x18, 0x00000000, 4);
    board_config_write(board, PROBE, 0x1c, 0x00000002, 4);
    g_assert_cmphex(memory_load(memory, 0xe0000004, 1), ==, 0xff);
    board_config_write(board, PROBE, PCI_COMMAND, 3, 2);
    g_assert_cmphex(memory_load(memory, 0xe0000004, 1), ==, 0x54);
    g_assert_cmphex(board_in(board, 0xc008, 1), ==, 0x58);
    g_assert_cmphex(memory_load(memory, 0x200000010, 1), ==, 0x60);
    memory_store(memory, 0xe0000ffc, 0x1234, 4);
    g_assert_cmphex(probe->last_offset, ==, 0xffc);
    g_assert_cmphex(probe->last_value, ==, 0x1234);
    /* Moved while decoding. */
    board_config_write(board, PROBE, 0x10, 0xe1000000, 4);
    g_assert_cmphex(memory_load(memory, 0xe0000004, 1), ==, 0xff);
    g_assert_cmphex(memory_load(memory, 0xe1000004, 1), ==, 0x54);
    /* Ports off, memory on. */
    board_config_write(board, PROBE, PCI_COMMAND, 2, 2);
    g_assert_cmphex(board_in(board, 0xc008, 1), ==, 0xff);
    g_assert_cmphex(memory_load(memory, 0xe1000004, 1), ==, 0x54);
    board_reset(board);
    g_assert_cmphex(memory_load(memory, 0xe1000004, 1), ==, 0xff);
    g_assert_cmphex(board_config_read(board, PROBE, 0x10, 4), ==, 0);
    board_free(board);
}

static void test_bar_port_conflict(void)
{
    Board *board = board_new(16 << 20);
    add_probe(board);

    /* A guest that puts ports over fw_cfg's keeps what it asked for, but decodes nothing there. */
    board_config_write(board, PROBE, 0x14, 0x500, 4);
    board_config_write(board, PROBE, PCI_COMMAND, 1, 2);
    g_assert_cmphex(board_config_read(board, PROBE, 0x14, 4), ==, 0x501);
    board_out(board, 0x510, 0, 2);
    g_assert_cmphex(board_in(board, 0x511, 1), ==, 'Q');
    board_free(board);
}

static void test_capabilities(void)
{
    Board *board = board_new(16 << 20);
    add_probe(board);

    g_assert_cmphex(board_config_read(board, PROBE, PCI_STATUS, 2) & 0x10, ==, 0x10);
    g_assert_cmphex(board_config_read(board, PROBE, 0x34, 1), ==, 0x50);
    g_assert_cmphex(board_config_read(board, PROBE, 0x50, 2), ==, 0x4011);
    g_assert_cmphex(board_config_read(board, PROBE, 0x40, 2), ==, 0x0009);
    board_free(board);
}

static void check_place_refused(Board *board, const char *addr, const char *part)
{
    GError *error = NULL;

    g_assert_null(board_add(board, "test-probe", "pci.0", &error, "addr", addr, NULL));
    g_assert_nonnull(strstr(error->message, part));
    g_error_free(error);
}

static void test_places(void)
{
    Board *board = board_new(16 << 20);
    GError *error = NULL;

    check_place_refused(board, "2", "VGA");
    check_place_refused(board, "1.3", "PIIX4_PM");
    check_place_refused(board, "2.1", "VGA");
    Device *device = board_add(board, "test-probe", "pci.0", &error, NULL);
    g_assert_no_error(error);
    g_assert_cmpint(((PciDevice *)device)->addr, ==, PCI_DEVFN(3, 0));
    check_place_refused(board, "3", "test-probe");
    g_assert_nonnull(board_add(board, "test-probe", "pci.0", &error, "addr", "4", "multifunction",
                               "on", NULL));
    g_assert_nonnull(board_add(board, "test-probe", "pci.0", &error, "addr", "4.1", NULL));
    device_free(device);
    g_assert_cmphex(board_config_read(board, PCI_DEVFN(3, 0), 0, 4), ==, 0xffffffff);
    board_free(board);
}

static void test_interrupts(void)
{
    Board *board = board_new(16 << 20);
    Probe *probe = add_probe(board);

    /* INTA# of slot 5 is PIRQA. */
    g_assert_cmpuint(pci_pirq_of(PROBE, 0), ==, 0);
    pci_set_irq(&probe->pci, 1);
    g_assert_cmpint(board->gsi[10], ==, 0);
    g_assert_cmphex(board_config_read(board, PROBE, PCI_STATUS, 2) & 8, ==, 8);
    board_config_write(board, PCI_DEVFN(1, 0), 0x60, 10, 1);
    g_assert_cmpint(board->gsi[10], ==, 1);
    board_config_write(board, PCI_DEVFN(1, 0), 0x60, 11, 1);
    g_assert_cmpint(board->gsi[10], ==, 0);
    g_assert_cmpint(board->gsi[11], ==, 1);
    /* The command register's interrupt disable. */
    board_config_write(board, PROBE, PCI_COMMAND, 0x400, 2);
    g_assert_cmpint(board->gsi[11], ==, 0);
    board_config_write(board, PROBE, PCI_COMMAND, 0, 2);
    g_assert_cmpint(board->gsi[11], ==, 1);
    pci_set_irq(&probe->pci, 0);
    g_assert_cmpint(board->gsi[11], ==, 0);
    /* Reserved routes (8, 13) and the disable bit go nowhere. */
    pci_set_irq(&probe->pci, 1);
    board_config_write(board, PCI_DEVFN(1, 0), 0x60, 8, 1);
    g_assert_cmpint(board->gsi[8], ==, 0);
    board_config_write(board, PCI_DEVFN(1, 0), 0x60, 0x8a, 1);
    g_assert_cmpint(board->gsi[10], ==, 0);
    board_free(board);
}

static void test_shared_interrupt(void)
{
    Board *board = board_new(16 << 20);
    Probe *one = add_probe(board);
    Probe *two = (Probe *)board_add(board, "test-probe", "pci.0", NULL, "addr", "6", NULL);

    board_config_write(board, PCI_DEVFN(1, 0), 0x60, 11, 1);
    board_config_write(board, PCI_DEVFN(1, 0), 0x61, 11, 1);
    pci_set_irq(&one->pci, 1);
    pci_set_irq(&two->pci, 1);
    pci_set_irq(&one->pci, 0);
    g_assert_cmpint(board->gsi[11], ==, 1);
    pci_set_irq(&two->pci, 0);
    g_assert_cmpint(board->gsi[11], ==, 0);
    board_free(board);
}

/* --- Memory layout ------------------------------------------------------------- */

static void check_ram(Board *board, uint64_t addr)
{
    MemorySpace *memory = board->machine->memory;
    memory_store(memory, addr, 0xa5, 1);
    g_assert_cmphex(memory_load(memory, addr, 1), ==, 0xa5);
    memory_store(memory, addr, 0x5a, 1);
    g_assert_cmphex(memory_load(memory, addr, 1), ==, 0x5a);
}

static void test_layout(void)
{
    Board *board = board_new(16 << 20);
    MemorySpace *memory = board->machine->memory;
    const unsigned last = BOARD_BIOS_SIZE - 1;

    check_ram(board, 0);
    check_ram(board, 0x9ffff);
    check_ram(board, 0x100000);
    check_ram(board, 0xffffff);
    g_assert_cmphex(memory_load(memory, 0x1000000, 4), ==, 0xffffffff);
    g_assert_cmphex(memory_load(memory, 0xfffffff0, 1), ==, board_bios_byte(last - 15));
    g_assert_cmphex(memory_load(memory, 0xfffc0000, 1), ==, board_bios_byte(0));
    g_assert_cmphex(memory_load(memory, 0xe0000, 1), ==, board_bios_byte(BOARD_BIOS_SIZE / 2));
    g_assert_cmphex(memory_load(memory, 0xfffff, 1), ==, board_bios_byte(last));
    memory_store(memory, 0xfffffff0, 0, 1);
    memory_store(memory, 0xffff0, 0, 1);
    g_assert_cmphex(memory_load(memory, 0xfffffff0, 1), ==, board_bios_byte(last - 15));
    g_assert_cmphex(memory_load(memory, 0xc8000, 1), ==, 0xff);
    board_free(board);
}

static void test_layout_above_4g(void)
{
    Board *board = board_new(5ull << 30);

    g_assert_cmphex(board->machine->ram_below_4g, ==, 0xc0000000);
    g_assert_cmphex(board->machine->ram_above_4g, ==, 0x80000000);
    check_ram(board, 0xbfffffff);
    g_assert_cmphex(memory_load(board->machine->memory, 0xc0000000, 1), ==, 0xff);
    check_ram(board, 0x100000000);
    check_ram(board, 0x17fffffff);
    g_assert_cmphex(memory_load(board->machine->memory, 0x180000000, 1), ==, 0xff);
    board_free(board);
    /* Below 3.5 GiB there is no part above. */
    board = board_new(0xd0000000);
    check_ram(board, 0xcfffffff);
    g_assert_cmphex(board->machine->ram_above_4g, ==, 0);
    board_free(board);
}

/* One PAM nibble through its four values; @rom: what reads give while they go to PCI. */
static void check_pam(Board *board, uint32_t addr, unsigned reg, unsigned shift, uint8_t rom)
{
    MemorySpace *memory = board->machine->memory;
    uint8_t *ram = board->machine->ram->host + addr;

    for (unsigned attributes = 0; attributes < 4; attributes++) {
        *ram = 0x11;
        board_config_write(board, 0, reg, attributes << shift, 1);
        g_assert_cmphex(memory_load(memory, addr, 1), ==, attributes & 1 ? 0x11 : rom);
        memory_store(memory, addr, 0x22, 1);
        g_assert_cmphex(*ram, ==, attributes & 2 ? 0x22 : 0x11);
    }
    board_config_write(board, 0, reg, 0, 1);
}

static void test_pam(void)
{
    Board *board = board_new(16 << 20);
    const unsigned half = BOARD_BIOS_SIZE / 2;

    check_pam(board, 0xf0000, 0x59, 4, board_bios_byte(half + 0x10000));
    check_pam(board, 0xfffff, 0x59, 4, board_bios_byte(half + 0x1ffff));
    for (unsigned n = 0; n < 12; n++) {
        uint32_t start = 0xc0000 + n * 0x4000, end = start + 0x3fff;
        uint8_t first = start < 0xe0000 ? 0xff : board_bios_byte(half + start - 0xe0000);
        uint8_t last = end < 0xe0000 ? 0xff : board_bios_byte(half + end - 0xe0000);
        check_pam(board, start, 0x5a + n / 2, n % 2 ? 4 : 0, first);
        check_pam(board, end, 0x5a + n / 2, n % 2 ? 4 : 0, last);
    }
    /* Reset brings the ROM back. */
    board_config_write(board, 0, 0x59, 0x30, 1);
    board_reset(board);
    g_assert_cmphex(memory_load(board->machine->memory, 0xf0000, 1), ==,
                    board_bios_byte(half + 0x10000));
    board_free(board);
}

static void test_smram(void)
{
    Board *board = board_new(16 << 20);
    MemorySpace *memory = board->machine->memory;

    board->machine->ram->host[0xa8000] = 0x77;
    g_assert_cmphex(board_config_read(board, 0, 0x72, 1), ==, 0x02);
    board_config_write(board, 0, 0x72, 0x40, 1); /* D_OPEN without G_SMRAME */
    g_assert_cmphex(memory_load(memory, 0xa8000, 1), !=, 0x77);
    board_config_write(board, 0, 0x72, 0x48, 1);
    g_assert_cmphex(memory_load(memory, 0xa8000, 1), ==, 0x77);
    board_config_write(board, 0, 0x72, 0x58, 1); /* lock: closes, and stays closed */
    g_assert_cmphex(board_config_read(board, 0, 0x72, 1), ==, 0x1a);
    board_config_write(board, 0, 0x72, 0x48, 1);
    g_assert_cmphex(board_config_read(board, 0, 0x72, 1), ==, 0x1a);
    g_assert_cmphex(memory_load(memory, 0xa8000, 1), !=, 0x77);
    board_reset(board);
    g_assert_cmphex(board_config_read(board, 0, 0x72, 1), ==, 0x02);
    board_free(board);
}

static void test_reset_control(void)
{
    Board *board = board_new(16 << 20);

    board_config_write(board, PCI_DEVFN(1, 0), 0x60, 10, 1);
    board_out(board, 0xcf9, 0x02, 1);
    g_assert_cmphex(board_in(board, 0xcf9, 1), ==, 0x02);
    board_out(board, 0xcf9, 0x06, 1);
    for (unsigned i = 0; i < 100 && board_config_read(board, 8, 0x60, 1) == 10; i++) {
        g_main_context_iteration(NULL, FALSE);
    }
    g_assert_cmphex(board_config_read(board, PCI_DEVFN(1, 0), 0x60, 1), ==, 0x80);
    g_assert_cmphex(board_in(board, 0xcf9, 1), ==, 0x00);
    board_free(board);
}

static void test_rom(void)
{
    Board *board = board_new(16 << 20);
    MemorySpace *memory = board->machine->memory;

    board_config_write(board, PCI_DEVFN(2, 0), 0x30, 0xfffff800, 4);
    uint32_t size = -(board_config_read(board, PCI_DEVFN(2, 0), 0x30, 4) & ~1u);
    g_assert_cmphex(size & (size - 1), ==, 0);
    board_config_write(board, PCI_DEVFN(2, 0), 0x30, 0xfe000001, 4);
    board_config_write(board, PCI_DEVFN(2, 0), PCI_COMMAND, 2, 2);
    g_assert_cmphex(memory_load(memory, 0xfe000000, 2), ==, 0xaa55);
    memory_store(memory, 0xfe000000, 0, 2);
    g_assert_cmphex(memory_load(memory, 0xfe000000, 2), ==, 0xaa55);
    board_config_write(board, PCI_DEVFN(2, 0), 0x30, 0xfe000000, 4);
    g_assert_cmphex(memory_load(memory, 0xfe000000, 2), ==, 0xffff);
    board_free(board);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    main_loop_init();
    g_test_add_func("/pci/identities", test_identities);
    g_test_add_func("/pci/config-address", test_config_address);
    g_test_add_func("/pci/bar-sizing", test_bar_sizing);
    g_test_add_func("/pci/bar-mapping", test_bar_mapping);
    g_test_add_func("/pci/bar-port-conflict", test_bar_port_conflict);
    g_test_add_func("/pci/capabilities", test_capabilities);
    g_test_add_func("/pci/places", test_places);
    g_test_add_func("/pci/interrupts", test_interrupts);
    g_test_add_func("/pci/shared-interrupt", test_shared_interrupt);
    g_test_add_func("/pci/layout", test_layout);
    g_test_add_func("/pci/layout-above-4g", test_layout_above_4g);
    g_test_add_func("/pci/pam", test_pam);
    g_test_add_func("/pci/smram", test_smram);
    g_test_add_func("/pci/reset-control", test_reset_control);
    g_test_add_func("/pci/rom", test_rom);
    return g_test_run();
}
