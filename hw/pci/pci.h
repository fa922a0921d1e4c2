/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The PCI bus (PCI Local Bus Specification 3.0): the base object of every PCI device with its 256
 * bytes of configuration space, base address registers that follow the guest's writes, interrupt
 * pins, capabilities and the expansion ROM.
 */
#ifndef HW_PCI_PCI_H
#define HW_PCI_PCI_H

#include "hw/core/device.h"
#include "memory/memory.h"

#define PCI_CONFIG_SIZE 256
#define PCI_BAR_COUNT   6
#define PCI_ROM_BAR     6 /* index of the expansion ROM in PciDevice.bars */
#define PCI_PIRQ_COUNT  4

#define PCI_DEVFN(slot, function) ((slot) << 3 | (function))
#define PCI_SLOT(devfn)           ((devfn) >> 3 & 31)
#define PCI_FUNCTION(devfn)       ((devfn) & 7)

/* Offsets in configuration space, PCI 3.0 chapter 6.1. */
enum {
    PCI_VENDOR_ID = 0x00,
    PCI_DEVICE_ID = 0x02,
    PCI_COMMAND = 0x04,
    PCI_STATUS = 0x06,
    PCI_REVISION = 0x08,
    PCI_CLASS_PROG = 0x09,
    PCI_CLASS = 0x0a,
    PCI_CACHE_LINE = 0x0c,
    PCI_LATENCY = 0x0d,
    PCI_HEADER_TYPE = 0x0e,
    PCI_BAR0 = 0x10,
    PCI_SUBSYSTEM_VENDOR = 0x2c,
    PCI_SUBSYSTEM = 0x2e,
    PCI_ROM = 0x30,
    PCI_CAPABILITIES = 0x34,
    PCI_INTERRUPT_LINE = 0x3c,
    PCI_INTERRUPT_PIN = 0x3d,
};

enum {
    PCI_COMMAND_IO = 1u << 0,
    PCI_COMMAND_MEMORY = 1u << 1,
    PCI_COMMAND_MASTER = 1u << 2,
    PCI_COMMAND_PARITY = 1u << 6,
    PCI_COMMAND_SERR = 1u << 8,
    PCI_COMMAND_INTX_OFF = 1u << 10,
    PCI_STATUS_INTX = 1u << 3,
    PCI_STATUS_CAPABILITIES = 1u << 4,
    PCI_HEADER_MULTIFUNCTION = 0x80,
};

typedef struct PciDevice PciDevice;
typedef struct PciBus PciBus;

/* What the bus wants to know of a type: DeviceType.bus_class. */
typedef struct PciDeviceClass {
    uint16_t vendor_id;
    uint16_t device_id;
    uint16_t subsystem_vendor_id; /* 0: the 1af4:1100 that firmware knows virtual boards by */
    uint16_t subsystem_id;
    uint32_t class_code; /* base class, subclass, programming interface: 24 bits */
    uint8_t revision;
    uint8_t interrupt_pin; /* 1..4 for INTA#..INTD#, 0: none */
    bool multifunction;    /* function 0 of a chip with several functions */
    const char *romfile;   /* default expansion ROM, searched like firmware; or NULL */
    /* After the guest wrote @size bytes at @offset of configuration space; may be NULL. */
    void (*config_written)(PciDevice *device, unsigned offset, unsigned size);
} PciDeviceClass;

/* What a base address register decodes; fill with pci_bar_*(). */
typedef struct PciBar {
    uint64_t size; /* 0: not there */
    bool is_io;
    bool is_64bit;
    const MemoryOps *ops;
    void *opaque;
    RamBlock *ram;      /* RAM or ROM instead of ops */
    uint32_t ram_flags; /* MAP_* */
    const char *name;
    uint64_t mapped_at; /* valid while memory or ports is set */
    MemoryMapping *memory;
    PortMapping *ports;
} PciBar;

/* The base of every PCI device object. */
struct PciDevice {
    Device device;
    int32_t addr; /* property: devfn, -1: next free slot */
    bool multifunction;
    char *romfile;
    uint8_t config[PCI_CONFIG_SIZE];
    uint8_t write_mask[PCI_CONFIG_SIZE]; /* bits that the guest can write */
    uint8_t clear_mask[PCI_CONFIG_SIZE]; /* bits that writing 1 clears */
    uint8_t used[PCI_CONFIG_SIZE / 8];   /* bytes that belong to capabilities or the chip */
    PciBar bars[PCI_BAR_COUNT + 1];
    RamBlock *rom;
    uint8_t intx_level;  /* what the device asks for */
    uint8_t intx_driven; /* what reaches the bus */
};

struct PciBus {
    Bus bus;
    PciDevice *devices[256]; /* by devfn */
    unsigned pirq_count[PCI_PIRQ_COUNT];
    IrqLine pirq[PCI_PIRQ_COUNT]; /* the interrupt router's inputs */
    /*
     * The reset control register of the south bridge, which lies among the host's ports; may be 0.
     */
    const MemoryOps *reset_control;
    void *reset_control_opaque;
};

extern const StateTable pci_device_state;

static inline const PciDeviceClass *pci_class(const PciDevice *device)
{
    return device->device.type->bus_class;
}

static inline uint16_t pci_get_word(const uint8_t *config)
{
    return config[0] | config[1] << 8;
}

static inline uint32_t pci_get_long(const uint8_t *config)
{
    return pci_get_word(config) | (uint32_t)pci_get_word(config + 2) << 16;
}

static inline void pci_set_word(uint8_t *config, uint16_t value)
{
    config[0] = value & 0xff;
    config[1] = value >> 8;
}

static inline void pci_set_long(uint8_t *config, uint32_t value)
{
    pci_set_word(config, value & 0xffff);
    pci_set_word(config + 2, value >> 16);
}

/* --- For device implementations ----------------------------------------- */

/*
 * Declares base address register @index in realize(). @size is a power of two, at least 4 for ports
 * and 16 for memory. The bus maps and unmaps it as the guest programs it.
 */
void pci_bar_io(PciDevice *device, unsigned index, uint32_t size, const MemoryOps *ops,
                void *opaque, const char *name);
void pci_bar_memory(PciDevice *device, unsigned index, uint64_t size, bool is_64bit,
                    const MemoryOps *ops, void *opaque, const char *name);
/* The same with RAM behind it; @block stays the device's. */
void pci_bar_ram(PciDevice *device, unsigned index, uint64_t size, bool is_64bit, RamBlock *block,
                 const char *name);
/*
 * Adds a capability of @size bytes (its two-byte header included) at @offset, or at the first free
 * place if @offset is 0; returns the offset. Running out of space is a programming error.
 */
uint8_t pci_add_capability(PciDevice *device, uint8_t id, uint8_t offset, uint8_t size);
/* Drives the device's interrupt pin. Machine lock held. */
void pci_set_irq(PciDevice *device, int level);
/* Command register to zero, base addresses and interrupt line cleared: call from reset(). */
void pci_device_reset(PciDevice *device);
/* The same as a DeviceType.reset. */
void pci_device_type_reset(Device *device);
/* Unmaps and remaps base addresses after the configuration space was changed from outside. */
void pci_update_mappings(PciDevice *device);

/* --- For host bridges and tests ------------------------------------------ */

/* Configuration accesses of 1, 2 or 4 bytes that do not cross a doubleword. */
uint32_t pci_config_read(PciDevice *device, unsigned offset, unsigned size);
void pci_config_write(PciDevice *device, unsigned offset, uint32_t value, unsigned size);
PciBus *pci_device_bus(const PciDevice *device);
/* The router input that pin @pin (0 for INTA#) of @devfn is wired to on boards with a PIIX. */
unsigned pci_pirq_of(int devfn, unsigned pin);

#endif
