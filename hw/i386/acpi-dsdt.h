/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The AML of the board: see acpi-dsdt.c. */
#ifndef HW_I386_ACPI_DSDT_H
#define HW_I386_ACPI_DSDT_H

#include "hw/acpi/aml.h"
#include "hw/i386/acpi-build.h"

/* The body of the DSDT: sleep state, PCI bus, interrupt links, legacy devices. */
Aml *acpi_dsdt(const AcpiInput *input);
/* The body of the SSDT: the processors. */
Aml *acpi_ssdt(const AcpiInput *input);

#endif
