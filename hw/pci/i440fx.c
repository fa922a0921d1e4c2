/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Intel 82441FX PCI and memory controller (PMC) and the host bridge that holds it: PCI bus 0, the
 * shadow RAM attributes of 0xc0000..0xfffff and the SMRAM window (datasheet 290549, chapter 3).
 */
#include "hw/core/machine.h"
#include "hw/pci/pci-host.h"

enum {
    I440FX_DRAMC = 0x57,
    I440FX_PAM0 = 0x59,
    I440FX_PAM_COUNT = 7,
    I440FX_DRB0 = 0x60,
    I440FX_CLT = 0x71,
    I440FX_SMRAM = 0x72,
};

enum {
    SMRAM_C_BASE_SEG = 0x02, /* 010b, the only base there is */
    SMRAM_G_SMRAME = 1u << 3,
    SMRAM_D_LCK = 1u << 4,
    SMRAM_D_CLS = 1u << 5,
    SMRAM_D_OPEN = 1u << 6,
};

/* Attribute bits of a PAM nibble. */
enum { PAM_READ = 1u << 0, PAM_WRITE = 1u << 1 };

#define I440FX_SEGMENTS 13

/* Where mappings of the first megabyte stack: the BIOS ROM is 1 and the VGA window 10. */
enum { PRIORITY_SHADOW = 2, PRIORITY_SMRAM = 11 };

typedef struct I440Fx {
    PciDevice pci;
    MemoryMapping *segments[I440FX_SEGMENTS];
    MemoryMapping *smram;
} I440Fx;

/* Segment 0 is the 64 KiB at 0xf0000 (PAM0 high), then 16 KiB each from 0xc0000 (PAM1 low). */
static void i440fx_segment(unsigned n, uint32_t *addr, uint32_t *size)
{
    *addr = n == 0 ? 0xf0000 : 0xc0000 + (n - 1) * 0x4000;
    *size = n == 0 ? 0x10000 : 0x4000;
}

static uint8_t i440fx_attributes(const I440Fx *pmc, unsigned n)
{
    uint8_t reg = pmc->pci.config[I440FX_PAM0 + (n + 1) / 2];
    return (n % 2 == 0 ? reg >> 4 : reg) & (PAM_READ | PAM_WRITE);
}

/* RAM is there once all devices are realized, which is before the first reset. */
static void i440fx_create_mappings(I440Fx *pmc)
{
    Machine *machine = pmc->pci.device.machine;

    if (pmc->smram || !machine->ram || machine->ram_below_4g < 1u << 20) {
        return;
    }
    for (unsigned n = 0; n < I440FX_SEGMENTS; n++) {
        uint32_t addr, size;
        i440fx_segment(n, &addr, &size);
        pmc->segments[n] = memory_map_ram(machine->memory, addr, machine->ram, addr, size,
                                          MAP_READ | MAP_WRITE, PRIORITY_SHADOW);
    }
    pmc->smram = memory_map_ram(machine->memory, 0xa0000, machine->ram, 0xa0000, 0x20000,
                                MAP_READ | MAP_WRITE, PRIORITY_SMRAM);
}

static void i440fx_update(I440Fx *pmc)
{
    MemorySpace *memory = pmc->pci.device.machine->memory;
    uint8_t smram = pmc->pci.config[I440FX_SMRAM];

    memory_begin(memory);
    i440fx_create_mappings(pmc);
    for (unsigned n = 0; n < I440FX_SEGMENTS && pmc->smram; n++) {
        uint8_t attributes = i440fx_attributes(pmc, n);
        memory_mapping_set_flags(pmc->segments[n],
                                 (attributes & PAM_READ ? MAP_READ : 0) |
                                     (attributes & PAM_WRITE ? MAP_WRITE : 0));
        memory_mapping_set_enabled(pmc->segments[n], attributes != 0);
    }
    if (pmc->smram) {
        memory_mapping_set_enabled(pmc->smram,
                                   (smram & SMRAM_G_SMRAME) && (smram & SMRAM_D_OPEN));
    }
    memory_commit(memory);
}

static void i440fx_config_written(PciDevice *pci, unsigned offset, unsigned size)
{
    I440Fx *pmc = (I440Fx *)pci;

    if (pci->config[I440FX_SMRAM] & SMRAM_D_LCK) {
        pci->config[I440FX_SMRAM] &= ~SMRAM_D_OPEN;
        pci->write_mask[I440FX_SMRAM] &= ~(SMRAM_D_LCK | SMRAM_D_OPEN);
    }
    if (offset <= I440FX_SMRAM && offset + size > I440FX_PAM0) {
        i440fx_update(pmc);
    }
}

static bool i440fx_post_load(void *object, int version, GError **error)
{
    i440fx_config_written(object, I440FX_SMRAM, 1);
    i440fx_update(object);
    return true;
}

static const StateField i440fx_fields[] = {
    STATE_STRUCT_FIELD(I440Fx, pci, pci_device_state),
    STATE_END,
};

static const StateTable i440fx_state = {
    .name = "i440FX",
    .version = 1,
    .minimum_version = 1,
    .fields = i440fx_fields,
    .post_load = i440fx_post_load,
};

static void i440fx_reset(Device *device)
{
    I440Fx *pmc = (I440Fx *)device;
    PciDevice *pci = &pmc->pci;

    pci_device_reset(pci);
    pci_set_word(pci->config + PCI_COMMAND, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
    pci_set_word(pci->config + PCI_STATUS, 0x0280);
    pci->config[I440FX_DRAMC] = 0x01;
    for (unsigned i = 0; i < I440FX_PAM_COUNT; i++) {
        pci->config[I440FX_PAM0 + i] = 0;
    }
    for (unsigned i = 0; i < 8; i++) {
        pci->config[I440FX_DRB0 + i] = 0x01;
    }
    pci->config[I440FX_CLT] = 0x10;
    pci->config[I440FX_SMRAM] = SMRAM_C_BASE_SEG;
    pci->write_mask[I440FX_SMRAM] = SMRAM_D_OPEN | SMRAM_D_CLS | SMRAM_D_LCK | SMRAM_G_SMRAME;
    i440fx_update(pmc);
}

static bool i440fx_realize(Device *device, GError **error)
{
    PciDevice *pci = (PciDevice *)device;

    /* The bridge always answers memory cycles and can always be master (PCICMD bits 1 and 2). */
    pci->write_mask[PCI_COMMAND] = 0;
    pci->write_mask[PCI_COMMAND + 1] = PCI_COMMAND_SERR >> 8;
    for (unsigned reg = 0x50; reg <= 0x71; reg++) {
        pci->write_mask[reg] = 0xff;
    }
    for (unsigned i = 1; i < I440FX_PAM_COUNT; i++) {
        pci->write_mask[I440FX_PAM0 + i] = 0x33;
    }
    pci->write_mask[I440FX_PAM0] = 0x30;
    pci->write_mask[I440FX_SMRAM] = SMRAM_D_OPEN | SMRAM_D_CLS | SMRAM_D_LCK | SMRAM_G_SMRAME;
    pci->write_mask[0x90] = 0xff;
    pci->clear_mask[0x91] = 0x11;
    return true;
}

static void i440fx_unrealize(Device *device)
{
    I440Fx *pmc = (I440Fx *)device;

    for (unsigned n = 0; n < I440FX_SEGMENTS; n++) {
        g_clear_pointer(&pmc->segments[n], memory_unmap);
    }
    g_clear_pointer(&pmc->smram, memory_unmap);
}

static const PciDeviceClass i440fx_class = {
    .vendor_id = 0x8086,
    .device_id = 0x1237,
    .class_code = 0x060000,
    .revision = 0x02,
    .config_written = i440fx_config_written,
};

static const Property no_properties[] = { PROP_END };

static const DeviceType i440fx_type = {
    .name = "i440FX",
    .desc = "Intel 82441FX memory controller",
    .category = "Bridge",
    .bus = "pci",
    .size = sizeof(I440Fx),
    .properties = no_properties,
    .state = &i440fx_state,
    .realize = i440fx_realize,
    .unrealize = i440fx_unrealize,
    .reset = i440fx_reset,
    .bus_class = &i440fx_class,
    .not_for_users = "it is part of i440FX-pcihost",
};
DEVICE_TYPE(i440fx_type);

/* --- The host bridge ------------------------------------------------------- */

static const StateField pcihost_fields[] = {
    STATE_UINT_FIELD(PciHost, config_address),
    STATE_END,
};

static const StateTable pcihost_state = {
    .name = "i440FX-pcihost",
    .version = 1,
    .minimum_version = 1,
    .fields = pcihost_fields,
};

static void pcihost_reset(Device *device)
{
    ((PciHost *)device)->config_address = 0;
}

static bool pcihost_realize(Device *device, GError **error)
{
    PciHost *host = (PciHost *)device;

    if (!pci_host_realize(host, error)) {
        return false;
    }
    Device *pmc = device_new(device->machine, &i440fx_type, NULL);
    pmc->origin = device->origin;
    ((PciDevice *)pmc)->addr = PCI_DEVFN(0, 0);
    if (!device_realize(pmc, &host->bus->bus, error)) {
        pci_host_unrealize(host);
        return false;
    }
    return true;
}

static void pcihost_unrealize(Device *device)
{
    pci_host_unrealize((PciHost *)device);
}

static const char *const pcihost_buses[] = { "pci", NULL };

static const PortClaim pcihost_ports[] = {
    { NULL, 0xcf8, 8 },
    { 0 },
};

static const DeviceType pcihost_type = {
    .name = "i440FX-pcihost",
    .desc = "Intel 440FX host bridge with PCI bus 0",
    .category = "Bridge",
    .bus = "system",
    .size = sizeof(PciHost),
    .ports = pcihost_ports,
    .properties = no_properties,
    .state = &pcihost_state,
    .realize = pcihost_realize,
    .unrealize = pcihost_unrealize,
    .reset = pcihost_reset,
    .child_buses = pcihost_buses,
    .not_for_users = "the machine file decides what its host bridge is",
};
DEVICE_TYPE(pcihost_type);
