/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A planned machine as a flattened device tree (Devicetree Specification 0.4, chapter 5), for
 * -machine dumpdtb=FILE: buses nest under the devices that provide them, devices under their buses,
 * and every property has the type that its row gives it.
 */
#include <libfdt.h>
#include <string.h>

#include "hw/core/plan.h"
#include "qemu-config/schema.h"

#define FIRST_SIZE (64u << 10)
#define LAST_SIZE  (64u << 20) /* no plan comes near it */

typedef struct DtbWriter {
    const MachinePlan *plan;
    void *fdt;
    GHashTable *bus_counts; /* type name -> buses of it so far */
    int error;              /* first error of libfdt, 0 if none */
} DtbWriter;

static void note(DtbWriter *w, int result)
{
    if (result < 0 && !w->error) {
        w->error = result;
    }
}

/* Node names allow letters, digits and ",._+-" (section 2.2.1). */
static void begin_node(DtbWriter *w, const char *name)
{
    g_autofree char *clean = g_strdup(name);

    g_strcanon(clean, G_CSET_A_2_Z G_CSET_a_2_z G_CSET_DIGITS ",._+-@", '-');
    note(w, fdt_begin_node(w->fdt, clean));
}

static void put_number(DtbWriter *w, const Property *property, const char *text)
{
    uint64_t value = 0;
    int64_t sign = 0;
    bool read = property->type == PROP_SIZE ? opt_parse_size(text, 1, &value)
                                            : opt_parse_uint(text, &value);

    if (!read && property->type == PROP_INT32 && opt_parse_int(text, &sign)) {
        value = sign;
        read = true;
    }
    if (!read) { /* "auto" and its like */
        note(w, fdt_property_string(w->fdt, property->name, text));
    } else if (property->type == PROP_SIZE || property->type == PROP_UINT64) {
        note(w, fdt_property_u64(w->fdt, property->name, value));
    } else {
        note(w, fdt_property_u32(w->fdt, property->name, value));
    }
}

static void put_property(DtbWriter *w, const Property *property, const char *text)
{
    bool on = false;

    if (!text) {
        return;
    }
    switch (property->type) {
    case PROP_BOOL: /* there or not: an empty property (section 2.2.4.2) */
        if (opt_parse_bool(text, &on) && on) {
            note(w, fdt_property(w->fdt, property->name, NULL, 0));
        }
        break;
    case PROP_UINT8:
    case PROP_UINT16:
    case PROP_UINT32:
    case PROP_UINT64:
    case PROP_INT32:
    case PROP_SIZE:
        put_number(w, property, text);
        break;
    default:
        note(w, fdt_property_string(w->fdt, property->name, text));
        break;
    }
}

static void put_bus(DtbWriter *w, const char *name);

/* The buses that @device provides: named "TYPE.N", as bus_new() names them. */
static void put_child_buses(DtbWriter *w, const PlannedDevice *device)
{
    for (const char *const *type = device->type->child_buses; type && *type; type++) {
        unsigned n = GPOINTER_TO_UINT(g_hash_table_lookup(w->bus_counts, *type));
        g_autofree char *name = g_strdup_printf("%s.%u", *type, n);

        g_hash_table_insert(w->bus_counts, (gpointer)*type, GUINT_TO_POINTER(n + 1));
        put_bus(w, name);
    }
}

/* True if @property is a row of the type's own table. */
static bool is_own(const DeviceType *type, const Property *property)
{
    for (const Property *p = type->properties; p && p->name; p++) {
        if (p == property) {
            return true;
        }
    }
    return false;
}

static void put_device(DtbWriter *w, const PlannedDevice *device, unsigned index)
{
    g_autofree char *anonymous = g_strdup_printf("%s.%u", device->type->name, index);

    begin_node(w, device->id ? device->id : anonymous);
    note(w, fdt_property_string(w->fdt, "compatible", device->type->name));
    for (const Property *p = device->type->properties; p && p->name; p++) {
        put_property(w, p, planned_value(device, p));
    }
    for (unsigned i = 0; i < device->properties->len; i++) {
        const PlannedProperty *set = &g_array_index(device->properties, PlannedProperty, i);

        if (!is_own(device->type, set->property)) { /* the bus's: addr, … */
            put_property(w, set->property, set->value);
        }
    }
    put_child_buses(w, device);
    note(w, fdt_end_node(w->fdt));
}

static void put_bus(DtbWriter *w, const char *name)
{
    begin_node(w, name);
    for (unsigned i = 0; i < w->plan->devices->len; i++) {
        const PlannedDevice *device = g_ptr_array_index(w->plan->devices, i);

        if (strcmp(device->bus, name) == 0) {
            put_device(w, device, i);
        }
    }
    note(w, fdt_end_node(w->fdt));
}

static void put_cpus(DtbWriter *w)
{
    begin_node(w, "cpus");
    note(w, fdt_property_u32(w->fdt, "#address-cells", 1));
    note(w, fdt_property_u32(w->fdt, "#size-cells", 0));
    for (unsigned i = 0; i < w->plan->cpus; i++) {
        g_autofree char *name = g_strdup_printf("cpu@%x", i);

        begin_node(w, name);
        note(w, fdt_property_string(w->fdt, "device_type", "cpu"));
        note(w, fdt_property_u32(w->fdt, "reg", i));
        note(w, fdt_end_node(w->fdt));
    }
    note(w, fdt_end_node(w->fdt));
}

static int put_tree(DtbWriter *w, uint32_t size)
{
    const char *description = group_get(w->plan->header, "description");

    w->error = 0;
    g_hash_table_remove_all(w->bus_counts);
    note(w, fdt_create(w->fdt, size));
    note(w, fdt_finish_reservemap(w->fdt));
    note(w, fdt_begin_node(w->fdt, ""));
    note(w, fdt_property_string(w->fdt, "compatible", w->plan->type_name));
    note(w, fdt_property_string(w->fdt, "model", description ? description : ""));
    note(w, fdt_property_u64(w->fdt, "memory-size", w->plan->ram_size));
    put_cpus(w);
    put_bus(w, "system");
    note(w, fdt_end_node(w->fdt));
    note(w, fdt_finish(w->fdt));
    return w->error;
}

GBytes *machine_plan_dtb(const MachinePlan *plan)
{
    DtbWriter w = {.plan = plan, .bus_counts = g_hash_table_new(g_str_hash, g_str_equal)};
    uint32_t size = FIRST_SIZE;

    for (;;) {
        w.fdt = g_malloc0(size);
        if (put_tree(&w, size) == 0) {
            break;
        }
        g_assert(w.error == -FDT_ERR_NOSPACE && size < LAST_SIZE);
        g_free(w.fdt);
        size *= 2;
    }
    g_hash_table_destroy(w.bus_counts);
    return g_bytes_new_take(w.fdt, fdt_totalsize(w.fdt));
}
