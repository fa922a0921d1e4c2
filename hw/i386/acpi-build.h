/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The ACPI tables of a PC with a PIIX4, as files for firmware: the tables, the root pointer, and
 * the script by which firmware places them and links them up.
 */
#ifndef HW_I386_ACPI_BUILD_H
#define HW_I386_ACPI_BUILD_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

/* A legacy device that guests find through the DSDT. */
typedef struct AcpiIsaDevice {
    const char *name; /* of its AML object, 4 letters at most */
    const char *hid;  /* "PNP0501", or another form of ID with a string value */
    unsigned uid;
    uint16_t port, port2; /* port2 0: one range */
    uint8_t port_count, port2_count;
    int irq;          /* -1: none */
} AcpiIsaDevice;

typedef struct AcpiInput {
    const uint32_t *apic_ids; /* of the CPUs, in order */
    unsigned cpu_count;
    uint64_t ram_below_4g;    /* the PCI hole starts there */
    const AcpiIsaDevice *isa;
    unsigned isa_count;
    bool keyboard_controller; /* told in the FADT */
} AcpiInput;

/* fw_cfg files; see the firmware's linker/loader interface. */
typedef struct AcpiFiles {
    GBytes *tables; /* etc/acpi/tables */
    GBytes *rsdp;   /* etc/acpi/rsdp */
    GBytes *loader; /* etc/table-loader */
} AcpiFiles;

void acpi_build(const AcpiInput *input, AcpiFiles *files);
void acpi_files_clear(AcpiFiles *files);

#endif
