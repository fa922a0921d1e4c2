/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How hw/core moves property values between text and device objects. */
#ifndef HW_CORE_PROPERTY_H
#define HW_CORE_PROPERTY_H

#include "hw/core/device.h"

/*
 * Sets the field of @property from @text; false and @error (naming the device) if it does not fit.
 */
bool property_store(Device *device, const Property *property, const char *text, GError **error);
/* The field as text that property_store() takes; caller frees. */
char *property_text(const Device *device, const Property *property);
/* Frees what the field owns. */
void property_clear(Device *device, const Property *property);

#endif
