/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the DSDT and the SSDT of a 440FX board say (ACPI 6.4, chapters 6 and 19; PCI Firmware
 * Specification 3.0 for the root bridge).
 */
#include "hw/i386/acpi-dsdt.h"

#include <string.h>

#include "hw/pci/pci.h"

#define IO_APIC_BASE 0xfec00000u /* the PCI hole ends there */

static const char *const link_names[PCI_PIRQ_COUNT] = { "LNKA", "LNKB", "LNKC", "LNKD" };
/* PIRQRCA..D of the PIIX3, as fields of its configuration space. */
static const char *const route_names[PCI_PIRQ_COUNT + 1] = { "PRQA", "PRQB", "PRQC", "PRQD", NULL };

static const uint32_t link_choices[] = { 5, 10, 11 };

/* --- Interrupt links (6.2.13: _PRT, _CRS, _PRS, _SRS, _DIS) ------------------------- */

static Aml *dsdt_route(unsigned n)
{
    g_autofree char *path = g_strdup_printf("\\_SB.PCI0.ISA.%s", route_names[n]);
    return aml_path(path);
}

/* Bit 7 of the route register says that it is off. */
static Aml *dsdt_route_off(unsigned n)
{
    return aml_and(dsdt_route(n), aml_int(0x80));
}

static Aml *dsdt_link_status(unsigned n)
{
    Aml *method = aml_method("_STA", 0, false);
    Aml *off = aml_if(dsdt_route_off(n));
    aml_append(off, aml_return(aml_int(0x09)));
    aml_append(method, off);
    aml_append(method, aml_return(aml_int(0x0b)));
    return method;
}

static Aml *dsdt_link_current(unsigned n)
{
    static const uint32_t none = 0;
    Aml *method = aml_method("_CRS", 0, true);
    Aml *crs = aml_crs();
    Aml *off = aml_if(dsdt_route_off(n));

    aml_crs_interrupts(crs, &none, 1);
    aml_append(method, aml_name("BUF0", crs));
    aml_append(off, aml_return(aml_path("BUF0")));
    aml_append(method, off);
    /* The interrupt number is at byte 5 of the extended interrupt descriptor. */
    aml_append(method, aml_create_dword_field(aml_path("BUF0"), 5, "IRQ0"));
    aml_append(method, aml_store(aml_and(dsdt_route(n), aml_int(0x0f)), aml_path("IRQ0")));
    aml_append(method, aml_return(aml_path("BUF0")));
    return method;
}

static Aml *dsdt_link_set(unsigned n)
{
    Aml *method = aml_method("_SRS", 1, true);
    aml_append(method, aml_create_dword_field(aml_arg0(), 5, "IRQ0"));
    aml_append(method, aml_store(aml_path("IRQ0"), dsdt_route(n)));
    return method;
}

static Aml *dsdt_link(unsigned n)
{
    Aml *device = aml_device(link_names[n]);
    Aml *possible = aml_crs();
    Aml *disable = aml_method("_DIS", 0, false);

    aml_append(device, aml_name("_HID", aml_eisa_id("PNP0C0F")));
    aml_append(device, aml_name_int("_UID", n + 1));
    aml_crs_interrupts(possible, link_choices, G_N_ELEMENTS(link_choices));
    aml_append(device, aml_name("_PRS", possible));
    aml_append(device, dsdt_link_status(n));
    aml_append(disable, aml_store(aml_or(dsdt_route(n), aml_int(0x80)), dsdt_route(n)));
    aml_append(device, disable);
    aml_append(device, dsdt_link_current(n));
    aml_append(device, dsdt_link_set(n));
    return device;
}

/* Four pins of every slot but the host bridge's; the swizzle is the board's wiring. */
static Aml *dsdt_routing_table(void)
{
    Aml *table = aml_package(31 * 4);

    for (unsigned slot = 1; slot < 32; slot++) {
        for (unsigned pin = 0; pin < 4; pin++) {
            g_autofree char *link = g_strdup_printf(
                "\\_SB.%s", link_names[pci_pirq_of(PCI_DEVFN(slot, 0), pin)]);
            Aml *entry = aml_package(4);
            aml_append(entry, aml_int(slot << 16 | 0xffff));
            aml_append(entry, aml_int(pin));
            aml_append(entry, aml_path(link));
            aml_append(entry, aml_int(0));
            aml_append(table, entry);
        }
    }
    return table;
}

/* --- Devices ----------------------------------------------------------------------------- */

static Aml *dsdt_hardware_id(const char *hid)
{
    return aml_name("_HID", g_str_has_prefix(hid, "PNP") ? aml_eisa_id(hid) : aml_string(hid));
}

static Aml *dsdt_isa_device(const AcpiIsaDevice *isa)
{
    Aml *device = aml_device(isa->name);
    Aml *crs = aml_crs();

    aml_append(device, dsdt_hardware_id(isa->hid));
    if (isa->uid) {
        aml_append(device, aml_name_int("_UID", isa->uid));
    }
    aml_append(device, aml_name_int("_STA", 0x0f));
    if (isa->port_count) {
        aml_crs_io(crs, isa->port, isa->port_count);
    }
    if (isa->port2_count) {
        aml_crs_io(crs, isa->port2, isa->port2_count);
    }
    if (isa->irq >= 0) {
        aml_crs_irq(crs, isa->irq);
    }
    aml_append(device, aml_name("_CRS", crs));
    return device;
}

static Aml *dsdt_isa_bridge(const AcpiInput *input)
{
    Aml *bridge = aml_device("ISA");

    aml_append(bridge, aml_name_int("_ADR", 0x00010000));
    aml_append(bridge, aml_pci_config_region("PIRQ", 0x60, PCI_PIRQ_COUNT));
    aml_append(bridge, aml_field("PIRQ", route_names, 8));
    for (unsigned i = 0; i < input->isa_count; i++) {
        aml_append(bridge, dsdt_isa_device(&input->isa[i]));
    }
    return bridge;
}

/* What the bridge passes on: all ports but its own, the VGA window, and the hole above RAM. */
static Aml *dsdt_bridge_resources(const AcpiInput *input)
{
    Aml *crs = aml_crs();

    aml_crs_bus_range(crs, 0x00, 0xff);
    aml_crs_io(crs, 0x0cf8, 8);
    aml_crs_io_range(crs, 0x0000, 0x0cf7);
    aml_crs_io_range(crs, 0x0d00, 0xffff);
    aml_crs_memory_range(crs, 0xa0000, 0xbffff, true);
    aml_crs_memory_range(crs, input->ram_below_4g, IO_APIC_BASE - 1, false);
    return crs;
}

Aml *acpi_dsdt(const AcpiInput *input)
{
    Aml *list = aml_list();
    Aml *sleep = aml_package(4);
    Aml *system = aml_scope("\\_SB");
    Aml *bus = aml_device("PCI0");

    /* Soft off: SUS_TYP 0 of the PIIX4, in PM1a_CNT and the PM1b_CNT that it has not. */
    for (unsigned i = 0; i < 4; i++) {
        aml_append(sleep, aml_int(0));
    }
    aml_append(list, aml_name("\\_S5", sleep));
    aml_append(bus, aml_name("_HID", aml_eisa_id("PNP0A03")));
    aml_append(bus, aml_name_int("_ADR", 0));
    aml_append(bus, aml_name_int("_UID", 0));
    aml_append(bus, aml_name("_CRS", dsdt_bridge_resources(input)));
    aml_append(bus, aml_name("_PRT", dsdt_routing_table()));
    aml_append(bus, dsdt_isa_bridge(input));
    aml_append(system, bus);
    for (unsigned n = 0; n < PCI_PIRQ_COUNT; n++) {
        aml_append(system, dsdt_link(n));
    }
    aml_append(list, system);
    return list;
}

/*
 * Processor objects have a one-byte ID; those beyond are devices, which older systems do not know.
 */
static Aml *ssdt_processor(unsigned n)
{
    g_autofree char *name = g_strdup_printf("C%03X", n);

    if (n < 255) {
        return aml_processor(name, n);
    }
    Aml *device = aml_device(name);
    aml_append(device, aml_name("_HID", aml_string("ACPI0007")));
    aml_append(device, aml_name_int("_UID", n));
    return device;
}

Aml *acpi_ssdt(const AcpiInput *input)
{
    Aml *list = aml_list();
    Aml *system = aml_scope("\\_SB");

    for (unsigned n = 0; n < input->cpu_count; n++) {
        aml_append(system, ssdt_processor(n));
    }
    aml_append(list, system);
    return list;
}
