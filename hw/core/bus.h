/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The part of buses that only hw/core uses: making the system bus, attaching, freeing. */
#ifndef HW_CORE_BUS_H
#define HW_CORE_BUS_H

#include "hw/core/device.h"

/* The bus that is there before any device: "system". */
Bus *bus_new_system(Machine *machine);
/* Frees what is on it, last first, then the bus. */
void bus_free(Bus *bus);
/* Puts @device on @bus; false and @error if its place is taken. */
bool bus_attach(Bus *bus, Device *device, GError **error);
void bus_detach(Device *device);

#endif
