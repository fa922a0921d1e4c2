/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Intel 82371AB (PIIX4), function 3: ACPI power management registers, the SMI command port and the
 * SMBus host (datasheet 290562, chapter 7; ACPI 6.4, 4.8). Of the sleep states there is S5 alone.
 */
#include <string.h>

#include "hw/core/machine.h"
#include "hw/pci/pci.h"
#include "util/log.h"
#include "util/timer.h"

#define PM_TIMER_HZ  3579545u
#define PM_PORTS     64
#define SMBUS_PORTS  16
#define PM_SCI_GSI   9 /* hard-wired: 7.2.3, "SCI is IRQ9" */
#define APM_PORT     0xb2

/* Configuration space. */
enum {
    PM_PMBASE = 0x40,
    PM_DEVACTB = 0x58,
    PM_PMREGMISC = 0x80,
    PM_SMBBA = 0x90,
    PM_SMBHSTCFG = 0xd2,
};

/* Power management I/O space. */
enum {
    PMSTS = 0x00,
    PMEN = 0x02,
    PMCNTRL = 0x04,
    PMTMR = 0x08,
    GPSTS = 0x0c,
    GPEN = 0x0e,
    GLBCTL = 0x28,
};

enum {
    PMSTS_TMROF = 1u << 0,
    PMSTS_PWRBTN = 1u << 8,
    PMSTS_SCI_SOURCES = 0x0521, /* TMROF, GBL, PWRBTN, RTC */
    PMCNTRL_SCI_EN = 1u << 0,
    PMCNTRL_SUS_EN_HIGH = 1u << 5, /* in the high byte */
};

/* Values for the SMI command port, told to the guest in the FADT. */
enum { APM_ACPI_ENABLE = 0xf1, APM_ACPI_DISABLE = 0xf0 };

/* SMBus host registers. */
enum { SMBHSTSTS = 0, SMBHSTCNT = 2, SMBUS_DEV_ERR = 1u << 2, SMBUS_START = 1u << 6 };

typedef struct Piix4Pm {
    PciDevice pci;
    uint8_t regs[PM_PORTS];
    uint8_t smbus[SMBUS_PORTS];
    uint8_t apm[2];
    uint64_t overflow_at; /* PM timer ticks: when TMROF is next set */
    Timer *timer;
    PortMapping *pm_ports;
    PortMapping *smbus_ports;
    PortMapping *apm_ports;
    uint16_t pm_base, smbus_base; /* where they are mapped */
} Piix4Pm;

/* Bits that software can write, and bits that it clears by writing 1 (7.2). */
static const uint8_t pm_write_mask[PM_PORTS] = {
    [PMEN] = 0x21,    [PMEN + 1] = 0x05,    [PMCNTRL] = 0x07, [PMCNTRL + 1] = 0x3c,
    [GPEN] = 0x01,    [GPEN + 1] = 0x0f,    [0x10] = 0x1e,    [0x11] = 0x3e,
    [0x20] = 0xff,    [0x21] = 0xff,        [GLBCTL] = 0x07,  [GLBCTL + 1] = 0xff,
    [0x2a] = 0xff,    [0x2b] = 0xff,        [0x2c] = 0xff,    [0x2d] = 0xff,
    [0x2e] = 0xff,    [0x2f] = 0xff,        [0x34] = 0xff,    [0x35] = 0xff,
    [0x36] = 0xff,    [0x37] = 0x7f,
};
static const uint8_t pm_clear_mask[PM_PORTS] = {
    [PMSTS] = 0x31, [PMSTS + 1] = 0x8d, [GPSTS] = 0x81, [GPSTS + 1] = 0x0f,
    [0x18] = 0xff,  [0x19] = 0xff,      [0x1c] = 0xff,  [0x1d] = 0xff,
    [0x1e] = 0xff,  [0x1f] = 0xff,
};

/* --- Timer and SCI -------------------------------------------------------- */

static uint64_t pm_ticks(void)
{
    return muldiv64(clock_ns(CLOCK_VM), PM_TIMER_HZ, NS_PER_SECOND);
}

/* TMROF is set whenever bit 23 of the timer changes (ACPI 4.8.2.1). */
static void pm_arm_overflow(Piix4Pm *pm)
{
    pm->overflow_at = (pm_ticks() | 0x7fffff) + 1;
}

static void pm_update(Piix4Pm *pm)
{
    if (!(pm->regs[PMSTS] & PMSTS_TMROF) && pm_ticks() >= pm->overflow_at) {
        pm->regs[PMSTS] |= PMSTS_TMROF;
    }
    uint16_t fixed = pci_get_word(pm->regs + PMSTS) & pci_get_word(pm->regs + PMEN);
    uint16_t general = pci_get_word(pm->regs + GPSTS) & pci_get_word(pm->regs + GPEN);
    bool sci = (pm->regs[PMCNTRL] & PMCNTRL_SCI_EN) && ((fixed & PMSTS_SCI_SOURCES) || general);
    irq_set(machine_gsi(pm->pci.device.machine, PM_SCI_GSI), sci);

    if ((pm->regs[PMEN] & PMSTS_TMROF) && !(pm->regs[PMSTS] & PMSTS_TMROF)) {
        timer_mod(pm->timer, muldiv64(pm->overflow_at, NS_PER_SECOND, PM_TIMER_HZ) + 1);
    } else {
        timer_del(pm->timer);
    }
}

static void pm_timer_expired(void *opaque)
{
    pm_update(opaque);
}

static void pm_power_button(void *opaque)
{
    Piix4Pm *pm = opaque;
    pm->regs[PMSTS + 1] |= PMSTS_PWRBTN >> 8;
    pm_update(pm);
}

/* --- Power management registers -------------------------------------------- */

static uint64_t pm_read(void *opaque, uint64_t offset, unsigned size)
{
    Piix4Pm *pm = opaque;
    uint64_t value = 0;

    if (offset < PMTMR) {
        pm_update(pm);
    } else if (offset < PMTMR + 4) {
        pci_set_long(pm->regs + PMTMR, pm_ticks() & 0xffffff);
    }
    for (unsigned i = 0; i < size && offset + i < PM_PORTS; i++) {
        value |= (uint64_t)pm->regs[offset + i] << (8 * i);
    }
    return value;
}

/* SUS_TYP 0 is soft off; the others need what is not here yet: memory kept over a reset. */
static void pm_suspend(Piix4Pm *pm)
{
    unsigned type = pm->regs[PMCNTRL + 1] >> 2 & 7;

    pm->regs[PMCNTRL + 1] &= ~PMCNTRL_SUS_EN_HIGH;
    if (type == 0) {
        machine_request_shutdown(pm->pci.device.machine, SHUTDOWN_GUEST, 0);
    } else {
        log_write(LOG_UNIMP, "PIIX4_PM: suspend type %u", type);
    }
}

static void pm_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    Piix4Pm *pm = opaque;
    bool overflow_was_set;

    pm_update(pm);
    overflow_was_set = pm->regs[PMSTS] & PMSTS_TMROF;
    for (unsigned i = offset; i < offset + size && i < PM_PORTS; i++, value >>= 8) {
        pm->regs[i] = (pm->regs[i] & ~pm_write_mask[i]) | (value & pm_write_mask[i]);
        pm->regs[i] &= ~(value & pm_clear_mask[i]);
    }
    if (overflow_was_set && !(pm->regs[PMSTS] & PMSTS_TMROF)) {
        pm_arm_overflow(pm);
    }
    if (pm->regs[PMCNTRL + 1] & PMCNTRL_SUS_EN_HIGH) {
        pm_suspend(pm);
    }
    pm_update(pm);
}

static const MemoryOps pm_ops = {
    .read = pm_read,
    .write = pm_write,
    .min_size = 1,
    .max_size = 4,
};

/* --- SMI command port -------------------------------------------------------- */

static uint64_t pm_apm_read(void *opaque, uint64_t offset, unsigned size)
{
    return ((Piix4Pm *)opaque)->apm[offset & 1];
}

/* The hand-over between firmware and ACPI, which on a board with SMM is done by its handler. */
static void pm_apm_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    Piix4Pm *pm = opaque;

    pm->apm[offset & 1] = value;
    if (offset == 0 && value == APM_ACPI_ENABLE) {
        pm->regs[PMCNTRL] |= PMCNTRL_SCI_EN;
    } else if (offset == 0 && value == APM_ACPI_DISABLE) {
        pm->regs[PMCNTRL] &= ~PMCNTRL_SCI_EN;
    }
    pm_update(pm);
}

static const MemoryOps pm_apm_ops = {
    .read = pm_apm_read,
    .write = pm_apm_write,
    .min_size = 1,
    .max_size = 1,
};

/* --- SMBus host: a bus without devices ---------------------------------------- */

static uint64_t pm_smbus_read(void *opaque, uint64_t offset, unsigned size)
{
    return ((Piix4Pm *)opaque)->smbus[offset & (SMBUS_PORTS - 1)];
}

static void pm_smbus_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    Piix4Pm *pm = opaque;

    if (offset == SMBHSTSTS) {
        pm->smbus[SMBHSTSTS] &= ~(value & 0x1e);
    } else if (offset == SMBHSTCNT) {
        pm->smbus[SMBHSTCNT] = value & ~SMBUS_START;
        if (value & SMBUS_START) {
            pm->smbus[SMBHSTSTS] |= SMBUS_DEV_ERR;
        }
    } else if (offset < SMBUS_PORTS) {
        pm->smbus[offset] = value;
    }
}

static const MemoryOps pm_smbus_ops = {
    .read = pm_smbus_read,
    .write = pm_smbus_write,
    .min_size = 1,
    .max_size = 1,
};

/* --- Configuration space ---------------------------------------------------------- */

/* Makes *@mapping lie at @base, or nowhere if @base is 0. */
static void pm_remap(Piix4Pm *pm, PortMapping **mapping, uint16_t *mapped_base, uint16_t base,
                     unsigned count, const MemoryOps *ops, const char *name)
{
    g_autoptr(GError) error = NULL;

    if (*mapping && *mapped_base != base) {
        g_clear_pointer(mapping, port_unmap);
    }
    if (!*mapping && base) {
        *mapping = port_map(pm->pci.device.machine->ports, base, count, ops, pm, name, &error);
        if (!*mapping) {
            log_guest_error("PIIX4_PM: %s", error->message);
        }
    }
    *mapped_base = base;
}

static void pm_update_ports(Piix4Pm *pm)
{
    const uint8_t *config = pm->pci.config;
    uint16_t base = config[PM_PMREGMISC] & 1 ? pci_get_word(config + PM_PMBASE) & 0xffc0 : 0;
    pm_remap(pm, &pm->pm_ports, &pm->pm_base, base, PM_PORTS, &pm_ops, "PIIX4_PM");

    bool on = (config[PM_SMBHSTCFG] & 1) && (config[PCI_COMMAND] & PCI_COMMAND_IO);
    base = on ? pci_get_word(config + PM_SMBBA) & 0xfff0 : 0;
    pm_remap(pm, &pm->smbus_ports, &pm->smbus_base, base, SMBUS_PORTS, &pm_smbus_ops,
             "PIIX4_PM SMBus");
}

static void pm_config_written(PciDevice *pci, unsigned offset, unsigned size)
{
    pm_update_ports((Piix4Pm *)pci);
}

/* --- State, reset, life ------------------------------------------------------------- */

static bool pm_post_load(void *object, int version, GError **error)
{
    Piix4Pm *pm = object;

    pm->overflow_at = MIN(pm->overflow_at, pm_ticks() + 0x1000000);
    pm_update_ports(pm);
    pm_update(pm);
    return true;
}

static const StateField pm_fields[] = {
    STATE_STRUCT_FIELD(Piix4Pm, pci, pci_device_state),
    STATE_BYTES_FIELD(Piix4Pm, regs),
    STATE_BYTES_FIELD(Piix4Pm, smbus),
    STATE_BYTES_FIELD(Piix4Pm, apm),
    STATE_UINT_FIELD(Piix4Pm, overflow_at),
    STATE_END,
};

static const StateTable pm_state = {
    .name = "PIIX4_PM",
    .version = 1,
    .minimum_version = 1,
    .fields = pm_fields,
    .post_load = pm_post_load,
};

static void pm_reset(Device *device)
{
    Piix4Pm *pm = (Piix4Pm *)device;
    uint8_t *config = pm->pci.config;

    pci_device_reset(&pm->pci);
    pci_set_word(config + PCI_STATUS, 0x0280);
    pci_set_long(config + PM_PMBASE, 1);
    config[PM_PMREGMISC] = 0;
    pci_set_long(config + PM_SMBBA, 1);
    config[PM_SMBHSTCFG] = 0;
    /*
     * APMC_EN (DEVACTB bit 25) set at power-on tells firmware that SMM has its handler already:
     * SeaBIOS then leaves SMM alone, which the CPU does not have yet.
     */
    pci_set_long(config + PM_DEVACTB, 1u << 25);
    memset(pm->regs, 0, sizeof(pm->regs));
    memset(pm->smbus, 0, sizeof(pm->smbus));
    memset(pm->apm, 0, sizeof(pm->apm));
    pm_arm_overflow(pm);
    pm_update_ports(pm);
    pm_update(pm);
}

static bool pm_realize(Device *device, GError **error)
{
    Piix4Pm *pm = (Piix4Pm *)device;
    uint8_t *mask = pm->pci.write_mask;

    pm->apm_ports = port_map(device->machine->ports, APM_PORT, 2, &pm_apm_ops, pm,
                             "PIIX4_PM SMI command", error);
    if (!pm->apm_ports) {
        return false;
    }
    pm->timer = timer_new(CLOCK_VM, pm_timer_expired, pm);
    pci_set_word(mask + PCI_COMMAND, PCI_COMMAND_IO);
    pci_set_word(mask + PM_PMBASE, 0xffc0);
    for (unsigned reg = 0x44; reg < 0x80; reg++) {
        mask[reg] = 0xff; /* activity counters and decode of chips that are not behind it */
    }
    mask[PM_PMREGMISC] = 0x01;
    pci_set_word(mask + PM_SMBBA, 0xfff0);
    mask[PM_SMBHSTCFG] = 0x0f;
    machine_on_powerdown(device->machine, pm_power_button, pm);
    return true;
}

static void pm_unrealize(Device *device)
{
    Piix4Pm *pm = (Piix4Pm *)device;

    g_clear_pointer(&pm->smbus_ports, port_unmap);
    g_clear_pointer(&pm->pm_ports, port_unmap);
    g_clear_pointer(&pm->timer, timer_free);
    g_clear_pointer(&pm->apm_ports, port_unmap);
}

static const PciDeviceClass pm_class = {
    .vendor_id = 0x8086,
    .device_id = 0x7113,
    .class_code = 0x068000,
    .revision = 0x03,
    .interrupt_pin = 1,
    .config_written = pm_config_written,
};

static const Property pm_properties[] = { PROP_END };

static const PortClaim pm_port_claims[] = {
    { NULL, APM_PORT, 2 },
    { 0 },
};

static const DeviceType pm_type = {
    .name = "PIIX4_PM",
    .desc = "Intel 82371AB power management and SMBus",
    .category = "Bridge",
    .bus = "pci",
    .size = sizeof(Piix4Pm),
    .ports = pm_port_claims,
    .properties = pm_properties,
    .state = &pm_state,
    .realize = pm_realize,
    .unrealize = pm_unrealize,
    .reset = pm_reset,
    .bus_class = &pm_class,
    .not_for_users = "the machine file decides what its south bridge is",
};
DEVICE_TYPE(pm_type);
