/* SPDX-License-Identifier: GPL-2.0-or-later */
/* SMBIOS structures (DMTF DSP0134, 2.8) as files for firmware. */
#ifndef HW_I386_SMBIOS_H
#define HW_I386_SMBIOS_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

/* Texts may be NULL: not specified. */
typedef struct SmbiosInput {
    bool has_bios;            /* write a type 0 structure */
    bool uefi;
    const char *bios_vendor, *bios_version, *bios_date;
    const char *bios_release; /* "MAJOR.MINOR" */
    const char *manufacturer, *product, *version, *serial, *sku, *family;
    uint8_t uuid[16]; /* in the order of its text form */
    unsigned sockets, cores_per_socket, threads_per_socket;
    uint64_t ram_below_4g, ram_above_4g;
} SmbiosInput;

/* etc/smbios/smbios-tables and etc/smbios/smbios-anchor; firmware completes the anchor. */
void smbios_build(const SmbiosInput *input, GBytes **tables, GBytes **anchor);

#endif
