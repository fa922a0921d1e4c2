/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A small emitter of ACPI Machine Language (ACPI 6.4, chapter 20). A term is made, given to its
 * parent with aml_append() or used as an operand, and thereby consumed.
 */
#ifndef HW_ACPI_AML_H
#define HW_ACPI_AML_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

typedef struct Aml Aml;

/* A list of terms without a head of its own: the body of a table. */
Aml *aml_list(void);
/* Appends @child to @parent's terms and frees it. */
void aml_append(Aml *parent, Aml *child);
/* The encoded bytes of @aml, which is freed. */
GByteArray *aml_finish(Aml *aml);

/* Named objects and containers. Names are paths: "\\_SB.PCI0". */
Aml *aml_scope(const char *name);
Aml *aml_device(const char *name);
Aml *aml_processor(const char *name, uint8_t id);
Aml *aml_method(const char *name, unsigned args, bool serialized);
Aml *aml_name(const char *name, Aml *value);
Aml *aml_name_int(const char *name, uint64_t value);
Aml *aml_package(unsigned count); /* append @count elements */
/* A region of PCI configuration space and a field of named units of @bits each, byte access. */
Aml *aml_pci_config_region(const char *name, unsigned offset, unsigned size);
Aml *aml_field(const char *region, const char *const *names, unsigned bits);

/* Data and expressions. */
Aml *aml_int(uint64_t value);
Aml *aml_string(const char *text);
Aml *aml_eisa_id(const char *id); /* "PNP0A03" */
Aml *aml_path(const char *name);
Aml *aml_arg0(void);
Aml *aml_return(Aml *value);
Aml *aml_store(Aml *value, Aml *target);
Aml *aml_and(Aml *a, Aml *b);
Aml *aml_or(Aml *a, Aml *b);
Aml *aml_if(Aml *condition);
Aml *aml_create_dword_field(Aml *buffer, unsigned offset, const char *name);

/* Resource templates (ACPI 6.4, 6.4): the aml_crs_*() append descriptors to @crs. */
Aml *aml_crs(void);
void aml_crs_io(Aml *crs, uint16_t port, uint8_t length);
void aml_crs_irq(Aml *crs, uint8_t irq);
/* Extended interrupts, level-triggered, active high, shared. */
void aml_crs_interrupts(Aml *crs, const uint32_t *gsis, unsigned count);
/* Windows that a bridge passes on: @first to @last inclusive. */
void aml_crs_bus_range(Aml *crs, uint16_t first, uint16_t last);
void aml_crs_io_range(Aml *crs, uint16_t first, uint16_t last);
void aml_crs_memory_range(Aml *crs, uint32_t first, uint32_t last, bool cacheable);

#endif
