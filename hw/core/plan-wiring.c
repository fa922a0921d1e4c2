/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Checks the wires of a plan. Every complaint has two places: the second comer's and the first's.
 */
#include <string.h>

#include "hw/core/plan-internal.h"

/* --- Slots ------------------------------------------------------------------------- */

/* The address that @device asks for on its bus, -1 if it leaves that to the bus. */
static int64_t slot_of(const PlannedDevice *device, const Property **property)
{
    const BusType *bus = bus_type_find(device->type->bus);

    for (const Property *p = bus ? bus->device_properties : NULL; p && p->name; p++) {
        const char *value = planned_value(device, p);
        if (p->type == PROP_PCI_ADDR && value) {
            *property = p;
            return property_number(p, value);
        }
    }
    return -1;
}

static void check_slot(const MachinePlan *plan, unsigned index, Diag *diag)
{
    const PlannedDevice *device = g_ptr_array_index(plan->devices, index);
    const Property *property, *other_property;
    int64_t slot = slot_of(device, &property);

    for (unsigned i = 0; i < index && slot >= 0; i++) {
        const PlannedDevice *other = g_ptr_array_index(plan->devices, i);
        if (!strcmp(other->bus, device->bus) && slot_of(other, &other_property) == slot) {
            diag_error(diag, planned_origin(device, property),
                       "device '%s' wants slot %02x.%x of %s, which is taken",
                       planned_name(device), (unsigned)slot >> 3, (unsigned)slot & 7, device->bus);
            diag_note(diag, planned_origin(other, other_property), "'%s' has it",
                      planned_name(other));
            return;
        }
    }
}

/* --- Interrupts ----------------------------------------------------------------------- */

static void check_irq(const PlannedDevice *device, Diag *diag)
{
    const BusType *bus = bus_type_find(device->type->bus);
    const Property *property = device_property_find(device->type, "irq");
    const PlannedProperty *set = property ? planned_property(device, property) : NULL;

    if (!bus || !bus->irq_count || !set || property->type == PROP_STRING) {
        return; /* a default may stand for "chosen by the device" */
    }
    int64_t irq = property_number(property, set->value);
    if (irq >= bus->irq_count) {
        diag_error(diag, planned_origin(device, property),
                   "device '%s' wants interrupt %" G_GINT64_FORMAT ", which %s lacks",
                   planned_name(device), irq, device->bus);
        diag_note(diag, NULL, "accepted: 0 to %u", bus->irq_count - 1);
    }
}

/* --- Ports ------------------------------------------------------------------------------ */

typedef struct PortRange {
    const PlannedDevice *device;
    const Origin *origin;
    uint64_t first, last;
} PortRange;

/* The ports of @claim; false if the device does without them (its property is 0 or unset). */
static bool claim_range(const PlannedDevice *device, const PortClaim *claim, PortRange *range)
{
    *range = (PortRange){ device, device->group->origin, claim->port, 0 };
    if (claim->property) {
        const Property *property = device_property_find(device->type, claim->property);
        g_assert(property);
        const char *value = planned_value(device, property);
        int64_t base = value ? property_number(property, value) : 0;
        if (base <= 0) {
            return false;
        }
        range->first += base;
        range->origin = planned_origin(device, property);
    }
    range->last = range->first + claim->count - 1;
    return true;
}

/* True if @range is free or was complained of. */
static bool check_range(const GArray *taken, const PortRange *range, Diag *diag)
{
    for (unsigned i = 0; i < taken->len; i++) {
        const PortRange *other = &g_array_index(taken, PortRange, i);
        if (range->first <= other->last && other->first <= range->last) {
            diag_error(diag, range->origin, "device '%s' wants I/O ports 0x%x-0x%x, "
                       "of which some are taken", planned_name(range->device),
                       (unsigned)range->first, (unsigned)range->last);
            diag_note(diag, other->origin, "'%s' has 0x%x-0x%x", planned_name(other->device),
                      (unsigned)other->first, (unsigned)other->last);
            return false;
        }
    }
    if (range->last > UINT16_MAX) {
        diag_error(diag, range->origin, "device '%s' wants I/O ports up to 0x%" G_GINT64_MODIFIER
                   "x: the last is 0xffff", planned_name(range->device), range->last);
        return false;
    }
    return true;
}

/* One complaint a device: a second VGA is one mistake, not six. */
static void check_ports(const PlannedDevice *device, GArray *taken, Diag *diag)
{
    for (const PortClaim *claim = device->type->ports; claim && claim->count; claim++) {
        PortRange range;
        if (claim_range(device, claim, &range)) {
            if (!check_range(taken, &range, diag)) {
                return;
            }
            g_array_append_val(taken, range);
        }
    }
}

void plan_check_wiring(const MachinePlan *plan, Diag *diag)
{
    g_autoptr(GArray) taken = g_array_new(FALSE, FALSE, sizeof(PortRange));

    for (unsigned i = 0; i < plan->devices->len; i++) {
        const PlannedDevice *device = g_ptr_array_index(plan->devices, i);
        check_slot(plan, i, diag);
        check_irq(device, diag);
        check_ports(device, taken, diag);
    }
}
