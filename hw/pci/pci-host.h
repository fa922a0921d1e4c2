/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * PCI configuration mechanism #1 (PCI 3.0, 3.2.2.3.2): the ports 0xcf8 and 0xcfc of a host bridge.
 */
#ifndef HW_PCI_PCI_HOST_H
#define HW_PCI_PCI_HOST_H

#include "hw/pci/pci.h"

typedef struct PciHost {
    Device device;
    PciBus *bus;
    PortMapping *ports;
    uint32_t config_address;
} PciHost;

/* Creates bus pci.N below the host device and maps its ports. */
bool pci_host_realize(PciHost *host, GError **error);
void pci_host_unrealize(PciHost *host);

#endif
