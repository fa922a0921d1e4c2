/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Intel 82371SB (PIIX3), function 0: the PCI-to-ISA bridge with the PCI interrupt router and the
 * reset control register (datasheet 290550, chapter 2). The chips behind it are devices of their
 * own.
 */
#include "hw/core/machine.h"
#include "hw/pci/pci.h"

enum {
    PIIX3_IORT = 0x4c,
    PIIX3_XBCS = 0x4e,
    PIIX3_PIRQRCA = 0x60,
    PIIX3_TOM = 0x69,
    PIIX3_MBIRQ0 = 0x70,
    PIIX3_MBDMA0 = 0x76,
    PIIX3_PCSC = 0x78,
    PIIX3_APICBASE = 0x80,
    PIIX3_DLC = 0x82,
    PIIX3_SMICNTL = 0xa0,
    PIIX3_FTMR = 0xa8,
};

/* RCR, I/O port 0xcf9. */
enum { RCR_SYSTEM_RESET = 1u << 1, RCR_RESET_CPU = 1u << 2 };

#define PIRQRC_DISABLE 0x80
#define PIRQRC_IRQS    0xdef8u /* 3-7, 9-12, 14, 15; the others are reserved */

typedef struct Piix3 {
    PciDevice pci;
    uint8_t pirq_level[PCI_PIRQ_COUNT];
    uint16_t driven; /* ISA interrupts held high by a pin; the SCI's has its own driver */
    uint8_t rcr;
} Piix3;

/* The ISA interrupt that @pirq goes to, or -1. */
static int piix3_route(uint8_t pirqrc)
{
    int irq = pirqrc & 15;
    return !(pirqrc & PIRQRC_DISABLE) && (PIRQRC_IRQS >> irq & 1) ? irq : -1;
}

/* Drives the ISA interrupts whose level changed, those that just lost their source included. */
static void piix3_update(Piix3 *piix)
{
    uint16_t wanted = 0;

    for (unsigned n = 0; n < PCI_PIRQ_COUNT; n++) {
        int irq = piix3_route(piix->pci.config[PIIX3_PIRQRCA + n]);
        if (irq >= 0 && piix->pirq_level[n]) {
            wanted |= 1u << irq;
        }
    }
    uint16_t changed = wanted ^ piix->driven;
    piix->driven = wanted;
    for (int irq = 0; irq < 16; irq++) {
        if (changed >> irq & 1) {
            irq_set(machine_gsi(piix->pci.device.machine, irq), wanted >> irq & 1);
        }
    }
}

static void piix3_set_pirq(void *opaque, int n, int level)
{
    Piix3 *piix = opaque;

    piix->pirq_level[n] = level != 0;
    piix3_update(piix);
}

static void piix3_config_written(PciDevice *pci, unsigned offset, unsigned size)
{
    piix3_update((Piix3 *)pci);
}

static uint64_t piix3_rcr_read(void *opaque, uint64_t offset, unsigned size)
{
    return ((Piix3 *)opaque)->rcr;
}

static void piix3_rcr_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    Piix3 *piix = opaque;

    if (value & ~piix->rcr & RCR_RESET_CPU) {
        machine_request_reset(piix->pci.device.machine);
    }
    piix->rcr = value & RCR_SYSTEM_RESET;
}

static const MemoryOps piix3_rcr_ops = {
    .read = piix3_rcr_read,
    .write = piix3_rcr_write,
    .min_size = 1,
    .max_size = 1,
};

static bool piix3_post_load(void *object, int version, GError **error)
{
    piix3_update(object);
    return true;
}

static const StateField piix3_fields[] = {
    STATE_STRUCT_FIELD(Piix3, pci, pci_device_state),
    STATE_UINT_FIELD(Piix3, rcr),
    STATE_END,
};

static const StateTable piix3_state = {
    .name = "PIIX3",
    .version = 1,
    .minimum_version = 1,
    .fields = piix3_fields,
    .post_load = piix3_post_load,
};

/* Default values of the datasheet's register descriptions. */
static void piix3_reset(Device *device)
{
    Piix3 *piix = (Piix3 *)device;
    uint8_t *config = piix->pci.config;

    pci_device_reset(&piix->pci);
    pci_set_word(config + PCI_COMMAND,
                 PCI_COMMAND_IO | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
    pci_set_word(config + PCI_STATUS, 0x0200);
    config[PIIX3_IORT] = 0x4d;
    pci_set_word(config + PIIX3_XBCS, 0x0003);
    for (unsigned n = 0; n < PCI_PIRQ_COUNT; n++) {
        config[PIIX3_PIRQRCA + n] = PIRQRC_DISABLE;
    }
    piix3_update(piix);
    config[PIIX3_TOM] = 0x02;
    config[PIIX3_MBIRQ0] = 0x80;
    pci_set_word(config + PIIX3_MBDMA0, 0x0c0c);
    pci_set_word(config + PIIX3_PCSC, 0x0002);
    config[PIIX3_APICBASE] = 0;
    config[PIIX3_DLC] = 0;
    config[PIIX3_SMICNTL] = 0x08;
    config[PIIX3_FTMR] = 0x0f;
    piix->rcr = 0;
}

static void piix3_set_write_masks(uint8_t *mask)
{
    /* I/O, memory and bus master are always on. */
    mask[PCI_COMMAND] = 0;
    mask[PCI_COMMAND + 1] = PCI_COMMAND_SERR >> 8;
    mask[PIIX3_IORT] = 0x7f;
    pci_set_word(mask + PIIX3_XBCS, 0x01ff);
    pci_set_long(mask + PIIX3_PIRQRCA, 0x8f8f8f8f);
    pci_set_word(mask + PIIX3_TOM, 0x00fe);
    mask[PIIX3_MBIRQ0] = 0xef;
    pci_set_word(mask + PIIX3_MBDMA0, 0x8f8f);
    pci_set_word(mask + PIIX3_PCSC, 0xffff);
    mask[PIIX3_APICBASE] = 0x7f;
    mask[PIIX3_DLC] = 0x0f;
    for (unsigned reg = PIIX3_SMICNTL; reg <= 0xaf; reg++) {
        mask[reg] = 0xff;
    }
}

static bool piix3_realize(Device *device, GError **error)
{
    Piix3 *piix = (Piix3 *)device;
    PciBus *bus = pci_device_bus(&piix->pci);

    if (bus->reset_control) {
        g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_EXIST,
                    "%s has an interrupt router and reset control already", bus->bus.name);
        return false;
    }
    piix3_set_write_masks(piix->pci.write_mask);
    bus->reset_control = &piix3_rcr_ops;
    bus->reset_control_opaque = piix;
    for (unsigned n = 0; n < PCI_PIRQ_COUNT; n++) {
        bus->pirq[n] = (IrqLine){ piix3_set_pirq, piix, n };
    }
    bus_new(device, "isa", NULL);
    return true;
}

static void piix3_unrealize(Device *device)
{
    PciBus *bus = pci_device_bus((PciDevice *)device);

    bus->reset_control = NULL;
    for (unsigned n = 0; n < PCI_PIRQ_COUNT; n++) {
        bus->pirq[n] = (IrqLine){ NULL, NULL, 0 };
    }
}

static const PciDeviceClass piix3_class = {
    .vendor_id = 0x8086,
    .device_id = 0x7000,
    .class_code = 0x060100,
    .multifunction = true,
    .config_written = piix3_config_written,
};

static const Property piix3_properties[] = { PROP_END };
static const char *const piix3_buses[] = { "isa", NULL };

static const DeviceType piix3_type = {
    .name = "PIIX3",
    .desc = "Intel 82371SB PCI-to-ISA bridge",
    .category = "Bridge",
    .bus = "pci",
    .size = sizeof(Piix3),
    .properties = piix3_properties,
    .state = &piix3_state,
    .realize = piix3_realize,
    .unrealize = piix3_unrealize,
    .reset = piix3_reset,
    .child_buses = piix3_buses,
    .bus_class = &piix3_class,
    .not_for_users = "the machine file decides what its south bridge is",
};
DEVICE_TYPE(piix3_type);
