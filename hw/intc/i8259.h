/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The pair of 8259A interrupt controllers, for whoever runs their acknowledge cycle. */
#ifndef HW_INTC_I8259_H
#define HW_INTC_I8259_H

#include "hw/core/device.h"

/*
 * Runs the INTA cycle of the pair @device: returns the vector and marks it in service. Without a
 * request the pair answers with IR7 of the master (or slave): the spurious interrupt. Machine lock.
 */
int i8259_acknowledge(Device *device);
/* True while the pair asserts INT. */
bool i8259_pending(const Device *device);

#endif
