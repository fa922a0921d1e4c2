/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The PCI bus type and what all devices on it share; see pci.h. */
#include "hw/pci/pci.h"

#include <string.h>

#include "hw/core/firmware.h"
#include "hw/core/machine.h"
#include "util/log.h"

#define PCI_DEFAULT_SUBSYSTEM_VENDOR 0x1af4
#define PCI_DEFAULT_SUBSYSTEM        0x1100
#define PCI_ROM_MAX                  (16u << 20)

/* --- Base address registers ---------------------------------------------- */

static unsigned pci_bar_offset(unsigned index)
{
    return index == PCI_ROM_BAR ? PCI_ROM : PCI_BAR0 + 4 * index;
}

static void pci_bar_unmap(PciBar *bar)
{
    g_clear_pointer(&bar->memory, memory_unmap);
    g_clear_pointer(&bar->ports, port_unmap);
}

/* Where the guest wants @bar, or false if it does not decode now (PCI 3.0, 6.2.5.1). */
static bool pci_bar_wanted(const PciDevice *device, unsigned index, uint64_t *addr)
{
    const PciBar *bar = &device->bars[index];
    const uint8_t *reg = device->config + pci_bar_offset(index);
    uint16_t command = pci_get_word(device->config + PCI_COMMAND);
    uint32_t low = pci_get_long(reg);

    if (bar->is_io) {
        *addr = low & ~(bar->size - 1) & ~3ull;
        return (command & PCI_COMMAND_IO) && *addr != 0 && *addr + bar->size <= 0x10000;
    }
    if (!(command & PCI_COMMAND_MEMORY) || (index == PCI_ROM_BAR && !(low & 1))) {
        return false;
    }
    *addr = low;
    if (bar->is_64bit) {
        *addr |= (uint64_t)pci_get_long(reg + 4) << 32;
    }
    *addr &= ~(bar->size - 1) & ~15ull;
    uint64_t last = *addr + bar->size - 1;
    /* All ones is what sizing leaves there for a moment; nothing decodes at the very top. */
    return *addr != 0 && last > *addr && last != UINT32_MAX && last < 1ull << 52;
}

static void pci_bar_map(PciDevice *device, PciBar *bar, uint64_t addr)
{
    Machine *machine = device->device.machine;
    g_autoptr(GError) error = NULL;

    if (bar->is_io) {
        bar->ports = port_map(machine->ports, addr, bar->size, bar->ops, bar->opaque, bar->name,
                              &error);
        if (!bar->ports) {
            log_guest_error("pci: %s: %s", device->device.type->name, error->message);
        }
    } else if (bar->ram) {
        bar->memory = memory_map_ram(machine->memory, addr, bar->ram, 0, bar->size, bar->ram_flags,
                                     10);
    } else {
        bar->memory = memory_map_io(machine->memory, addr, bar->size, bar->ops, bar->opaque,
                                    bar->name, 10);
    }
    bar->mapped_at = addr;
}

void pci_update_mappings(PciDevice *device)
{
    memory_begin(device->device.machine->memory);
    for (unsigned i = 0; i <= PCI_ROM_BAR; i++) {
        PciBar *bar = &device->bars[i];
        uint64_t addr = 0;
        bool wanted = bar->size && pci_bar_wanted(device, i, &addr);

        if ((bar->memory || bar->ports) && (!wanted || addr != bar->mapped_at)) {
            pci_bar_unmap(bar);
        }
        if (wanted && !bar->memory && !bar->ports) {
            pci_bar_map(device, bar, addr);
        }
    }
    memory_commit(device->device.machine->memory);
}

static PciBar *pci_bar_new(PciDevice *device, unsigned index, uint64_t size, bool is_64bit,
                           uint8_t type_bits, const char *name)
{
    PciBar *bar = &device->bars[index];
    uint8_t *mask = device->write_mask + pci_bar_offset(index);

    g_assert(index <= PCI_ROM_BAR && size >= 4 && (size & (size - 1)) == 0);
    g_assert(!bar->size && !(is_64bit && index + 1 >= PCI_BAR_COUNT));
    bar->size = size;
    bar->is_64bit = is_64bit;
    bar->name = name;
    pci_set_long(mask, (uint32_t)~(size - 1));
    if (is_64bit) {
        pci_set_long(mask + 4, ~(size - 1) >> 32);
        type_bits |= 4;
    }
    device->config[pci_bar_offset(index)] = type_bits;
    return bar;
}

void pci_bar_io(PciDevice *device, unsigned index, uint32_t size, const MemoryOps *ops,
                void *opaque, const char *name)
{
    PciBar *bar = pci_bar_new(device, index, size, false, 1, name);
    bar->is_io = true;
    bar->ops = ops;
    bar->opaque = opaque;
}

void pci_bar_memory(PciDevice *device, unsigned index, uint64_t size, bool is_64bit,
                    const MemoryOps *ops, void *opaque, const char *name)
{
    PciBar *bar = pci_bar_new(device, index, size, is_64bit, 0, name);
    bar->ops = ops;
    bar->opaque = opaque;
}

void pci_bar_ram(PciDevice *device, unsigned index, uint64_t size, bool is_64bit, RamBlock *block,
                 const char *name)
{
    g_assert(size <= block->size);
    /* Bit 3: prefetchable. */
    PciBar *bar = pci_bar_new(device, index, size, is_64bit, 8, name);
    bar->ram = block;
    bar->ram_flags = MAP_READ | MAP_WRITE;
}

/* --- Expansion ROM -------------------------------------------------------- */

static bool pci_rom_load(PciDevice *device, GError **error)
{
    const char *name = device->romfile ? device->romfile : pci_class(device)->romfile;
    if (!name || !*name) {
        return true;
    }
    g_autoptr(GBytes) image = firmware_load(device->device.machine, name, PCI_ROM_MAX, error);
    if (!image) {
        g_prefix_error(error, "%s: expansion ROM: ", device->device.type->name);
        return false;
    }
    gsize length;
    const void *data = g_bytes_get_data(image, &length);
    uint64_t size = GUEST_PAGE_SIZE;
    while (size < length) {
        size *= 2;
    }
    device->rom = ram_block_new("pci.rom", size, error);
    if (!device->rom) {
        return false;
    }
    memcpy(device->rom->host, data, length);
    PciBar *bar = pci_bar_new(device, PCI_ROM_BAR, size, false, 0, "rom");
    bar->ram = device->rom;
    bar->ram_flags = MAP_READ | MAP_WRITE | MAP_ROM;
    device->write_mask[PCI_ROM] |= 1;
    return true;
}

/* --- Interrupt pins --------------------------------------------------------- */

PciBus *pci_device_bus(const PciDevice *device)
{
    return (PciBus *)device->device.parent_bus;
}

unsigned pci_pirq_of(int devfn, unsigned pin)
{
    return (pin + PCI_SLOT(devfn) - 1) & 3;
}

static void pci_update_intx(PciDevice *device)
{
    PciBus *bus = pci_device_bus(device);
    uint16_t command = pci_get_word(device->config + PCI_COMMAND);
    uint8_t level = device->intx_level && !(command & PCI_COMMAND_INTX_OFF);
    uint8_t pin = device->config[PCI_INTERRUPT_PIN];

    device->config[PCI_STATUS] &= ~PCI_STATUS_INTX;
    if (device->intx_level) {
        device->config[PCI_STATUS] |= PCI_STATUS_INTX;
    }
    if (level == device->intx_driven || pin < 1 || pin > 4) {
        return;
    }
    device->intx_driven = level;
    unsigned pirq = pci_pirq_of(device->addr, pin - 1);
    bus->pirq_count[pirq] += level ? 1 : -1;
    irq_set(&bus->pirq[pirq], bus->pirq_count[pirq] > 0);
}

void pci_set_irq(PciDevice *device, int level)
{
    device->intx_level = level != 0;
    pci_update_intx(device);
}

/* --- Configuration space ---------------------------------------------------- */

uint32_t pci_config_read(PciDevice *device, unsigned offset, unsigned size)
{
    uint32_t value = 0;
    for (unsigned i = 0; i < size; i++) {
        value |= (uint32_t)device->config[(offset + i) & 0xff] << (8 * i);
    }
    return value;
}

void pci_config_write(PciDevice *device, unsigned offset, uint32_t value, unsigned size)
{
    const PciDeviceClass *class = pci_class(device);

    offset &= 0xff;
    size = MIN(size, PCI_CONFIG_SIZE - offset);
    for (unsigned i = offset; i < offset + size; i++, value >>= 8) {
        uint8_t mask = device->write_mask[i];
        device->config[i] = (device->config[i] & ~mask) | (value & mask);
        device->config[i] &= ~(value & device->clear_mask[i]);
    }
    if (offset < PCI_CAPABILITIES) {
        pci_update_mappings(device);
    }
    pci_update_intx(device);
    if (class->config_written) {
        class->config_written(device, offset, size);
    }
}

static bool pci_range_used(const PciDevice *device, unsigned offset, unsigned size)
{
    for (unsigned i = offset; i < offset + size; i++) {
        if (device->used[i / 8] & (1u << (i % 8))) {
            return true;
        }
    }
    return false;
}

uint8_t pci_add_capability(PciDevice *device, uint8_t id, uint8_t offset, uint8_t size)
{
    if (!offset) {
        for (offset = 0x40; pci_range_used(device, offset, size); offset += 4) {
            g_assert(offset + 4u + size <= PCI_CONFIG_SIZE);
        }
    }
    g_assert(offset >= 0x40 && offset + size <= PCI_CONFIG_SIZE);
    for (unsigned i = offset; i < offset + size; i++) {
        device->used[i / 8] |= 1u << (i % 8);
    }
    device->config[offset] = id;
    device->config[offset + 1] = device->config[PCI_CAPABILITIES];
    device->config[PCI_CAPABILITIES] = offset;
    device->config[PCI_STATUS] |= PCI_STATUS_CAPABILITIES;
    return offset;
}

static void pci_header_init(PciDevice *device)
{
    const PciDeviceClass *class = pci_class(device);
    uint8_t *config = device->config, *mask = device->write_mask;

    pci_set_word(config + PCI_VENDOR_ID, class->vendor_id);
    pci_set_word(config + PCI_DEVICE_ID, class->device_id);
    config[PCI_REVISION] = class->revision;
    config[PCI_CLASS_PROG] = class->class_code & 0xff;
    pci_set_word(config + PCI_CLASS, class->class_code >> 8);
    pci_set_word(config + PCI_SUBSYSTEM_VENDOR,
                 class->subsystem_vendor_id ? class->subsystem_vendor_id
                                            : PCI_DEFAULT_SUBSYSTEM_VENDOR);
    pci_set_word(config + PCI_SUBSYSTEM, class->subsystem_vendor_id ? class->subsystem_id
                                                                    : PCI_DEFAULT_SUBSYSTEM);
    config[PCI_INTERRUPT_PIN] = class->interrupt_pin;
    if (class->multifunction || device->multifunction) {
        device->multifunction = true;
        config[PCI_HEADER_TYPE] |= PCI_HEADER_MULTIFUNCTION;
    }
    pci_set_word(mask + PCI_COMMAND, PCI_COMMAND_IO | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER |
                                         PCI_COMMAND_PARITY | PCI_COMMAND_SERR |
                                         PCI_COMMAND_INTX_OFF);
    device->clear_mask[PCI_STATUS + 1] = 0xf9;
    mask[PCI_CACHE_LINE] = 0xff;
    mask[PCI_LATENCY] = 0xff;
    mask[PCI_INTERRUPT_LINE] = 0xff;
}

static void pci_clear_writable(PciDevice *device, unsigned offset, unsigned size)
{
    for (unsigned i = offset; i < offset + size; i++) {
        device->config[i] &= ~(device->write_mask[i] | device->clear_mask[i]);
    }
}

void pci_device_reset(PciDevice *device)
{
    device->intx_level = 0;
    pci_clear_writable(device, PCI_COMMAND, 4);
    pci_clear_writable(device, PCI_CACHE_LINE, 2);
    pci_clear_writable(device, PCI_BAR0, 4 * PCI_BAR_COUNT);
    pci_clear_writable(device, PCI_ROM, 4);
    pci_clear_writable(device, PCI_INTERRUPT_LINE, 1);
    pci_update_mappings(device);
    pci_update_intx(device);
}

void pci_device_type_reset(Device *device)
{
    pci_device_reset((PciDevice *)device);
}

/* --- State ------------------------------------------------------------------- */

static bool pci_post_load(void *object, int version, GError **error)
{
    PciDevice *device = object;
    const PciDeviceClass *class = pci_class(device);

    if (pci_get_word(device->config + PCI_VENDOR_ID) != class->vendor_id ||
        pci_get_word(device->config + PCI_DEVICE_ID) != class->device_id) {
        g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_INVAL,
                    "saved state is of another PCI device");
        return false;
    }
    device->config[PCI_INTERRUPT_PIN] = class->interrupt_pin;
    device->intx_level = device->intx_level != 0;
    pci_update_mappings(device);
    pci_update_intx(device);
    return true;
}

static const StateField pci_device_fields[] = {
    STATE_BYTES_FIELD(PciDevice, config),
    STATE_UINT_FIELD(PciDevice, intx_level),
    STATE_END,
};

const StateTable pci_device_state = {
    .name = "pci-device",
    .version = 1,
    .minimum_version = 1,
    .fields = pci_device_fields,
    .post_load = pci_post_load,
};

/* --- The bus ------------------------------------------------------------------- */

static const char *pci_device_name(const PciDevice *device)
{
    return device->device.id ? device->device.id : device->device.type->name;
}

static bool pci_place_fail(PciBus *bus, int devfn, const PciDevice *other, const char *why,
                           GError **error)
{
    const Origin *origin = other->device.origin;
    g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_EXIST, "%s slot %d function %d %s '%s'%s%s",
                bus->bus.name, PCI_SLOT(devfn), PCI_FUNCTION(devfn), why, pci_device_name(other),
                origin ? ", " : "", origin ? origin_describe(origin) : "");
    return false;
}

static bool pci_find_free_slot(PciBus *bus, PciDevice *device, GError **error)
{
    for (int devfn = 0; devfn < 256; devfn += 8) {
        bool free = true;
        for (int function = 0; function < 8; function++) {
            free = free && !bus->devices[devfn + function];
        }
        if (free) {
            device->addr = devfn;
            return true;
        }
    }
    g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_NOSPC, "%s has no free slot", bus->bus.name);
    return false;
}

/* A function other than 0 is found by guests only if function 0 says that there are more. */
static bool pci_check_functions(PciBus *bus, const PciDevice *device, GError **error)
{
    int devfn = device->addr;
    const PciDevice *first = bus->devices[devfn & ~7];

    if (bus->devices[devfn]) {
        return pci_place_fail(bus, devfn, bus->devices[devfn], "is already taken by", error);
    }
    if (PCI_FUNCTION(devfn) != 0 && first && !first->multifunction) {
        return pci_place_fail(bus, devfn, first, "is not free: the slot has the one-function",
                              error);
    }
    bool multifunction = device->multifunction || pci_class(device)->multifunction;
    for (int other = devfn | 1; PCI_FUNCTION(devfn) == 0 && other < (devfn | 7) + 1; other++) {
        if (bus->devices[other] && !multifunction) {
            return pci_place_fail(bus, devfn, bus->devices[other],
                                  "needs multifunction=on beside", error);
        }
    }
    return true;
}

static bool pci_attach(Bus *base, Device *base_device, GError **error)
{
    PciBus *bus = (PciBus *)base;
    PciDevice *device = (PciDevice *)base_device;

    if (device->addr < 0 && !pci_find_free_slot(bus, device, error)) {
        return false;
    }
    if (device->addr > 255) {
        g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_INVAL, "%s has slots 0 to 31 of functions 0 "
                    "to 7", base->name);
        return false;
    }
    if (!pci_check_functions(bus, device, error)) {
        return false;
    }
    pci_header_init(device);
    if (!pci_rom_load(device, error)) {
        return false;
    }
    bus->devices[device->addr] = device;
    return true;
}

static void pci_detach(Bus *base, Device *base_device)
{
    PciBus *bus = (PciBus *)base;
    PciDevice *device = (PciDevice *)base_device;

    pci_set_irq(device, 0);
    for (unsigned i = 0; i <= PCI_ROM_BAR; i++) {
        pci_bar_unmap(&device->bars[i]);
    }
    g_clear_pointer(&device->rom, ram_block_free);
    if (device->addr >= 0 && bus->devices[device->addr] == device) {
        bus->devices[device->addr] = NULL;
    }
}

static char *pci_place(const Device *device)
{
    int addr = ((const PciDevice *)device)->addr;
    return g_strdup_printf("addr %02x.%x", PCI_SLOT(addr), PCI_FUNCTION(addr));
}

static const Property pci_bus_properties[] = {
    PROP(PROP_PCI_ADDR, PciDevice, addr, "addr", "slot, or slot.function, on the bus", "-1"),
    PROP(PROP_BOOL, PciDevice, multifunction, "multifunction",
         "the slot has further functions beside this one", "off"),
    PROP(PROP_STRING, PciDevice, romfile, "romfile", "expansion ROM image; \"\" for none", NULL),
    PROP_END,
};

static const BusType pci_bus_type = {
    .name = "pci",
    .size = sizeof(PciBus),
    .device_properties = pci_bus_properties,
    .attach = pci_attach,
    .detach = pci_detach,
    .place = pci_place,
};
BUS_TYPE(pci_bus_type);
