/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Configuration mechanism #1; see pci-host.h. */
#include "hw/pci/pci-host.h"

#include "hw/core/machine.h"

#define CONFIG_ENABLE 0x80000000u
#define CONFIG_MASK   0x80fffffcu /* bits 30:24 and 1:0 read as zero */

/* The device that the address register selects, or NULL: there is only bus 0 behind this host. */
static PciDevice *pci_host_target(const PciHost *host)
{
    if (!(host->config_address & CONFIG_ENABLE) || (host->config_address >> 16 & 0xff) != 0) {
        return NULL;
    }
    return host->bus->devices[host->config_address >> 8 & 0xff];
}

static uint64_t pci_host_read(void *opaque, uint64_t offset, unsigned size)
{
    PciHost *host = opaque;

    if (offset >= 4) {
        PciDevice *device = pci_host_target(host);
        unsigned reg = (host->config_address & 0xfc) + (offset & 3);
        return device ? pci_config_read(device, reg, size) : UINT64_MAX;
    }
    if (offset == 0 && size == 4) {
        return host->config_address;
    }
    /* Only doublewords reach the address register; 0xcf9 is the south bridge's. */
    if (offset == 1 && size == 1 && host->bus->reset_control) {
        return host->bus->reset_control->read(host->bus->reset_control_opaque, 0, 1);
    }
    return UINT64_MAX;
}

static void pci_host_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    PciHost *host = opaque;

    if (offset >= 4) {
        PciDevice *device = pci_host_target(host);
        if (device) {
            pci_config_write(device, (host->config_address & 0xfc) + (offset & 3), value, size);
        }
    } else if (offset == 0 && size == 4) {
        host->config_address = value & CONFIG_MASK;
    } else if (offset == 1 && size == 1 && host->bus->reset_control) {
        host->bus->reset_control->write(host->bus->reset_control_opaque, 0, value, 1);
    }
}

static const MemoryOps pci_host_ops = {
    .read = pci_host_read,
    .write = pci_host_write,
    .min_size = 1,
    .max_size = 4,
};

bool pci_host_realize(PciHost *host, GError **error)
{
    host->ports = port_map(host->device.machine->ports, 0xcf8, 8, &pci_host_ops, host,
                           "PCI configuration", error);
    if (!host->ports) {
        return false;
    }
    host->bus = (PciBus *)bus_new(&host->device, "pci", NULL);
    return true;
}

void pci_host_unrealize(PciHost *host)
{
    g_clear_pointer(&host->ports, port_unmap);
}
