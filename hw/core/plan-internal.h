/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The steps of making a plan: devices and their order, then wires. */
#ifndef HW_CORE_PLAN_INTERNAL_H
#define HW_CORE_PLAN_INTERNAL_H

#include "hw/core/plan.h"

/* Fills plan->devices and plan->buses from the groups [device] and [global]. */
void plan_devices(MachinePlan *plan, Diag *diag);
/* Looks for places taken twice, IRQs that a bus lacks, ports that overlap. */
void plan_check_wiring(const MachinePlan *plan, Diag *diag);
/* The origin of what @device says of @property: its own value's, else the device's. */
const Origin *planned_origin(const PlannedDevice *device, const Property *property);
/* The id, or the type's name of an unnamed device. */
const char *planned_name(const PlannedDevice *device);
/* The entry for @property, or NULL. */
const PlannedProperty *planned_property(const PlannedDevice *device, const Property *property);

#endif
