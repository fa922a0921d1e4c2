/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The plan: machine type, sizes and processor topology here; devices and wires in their own files.
 */
#include "hw/core/plan.h"

#include <string.h>

#include "chardev/options.h"
#include "hw/core/plan-internal.h"

#define DEFAULT_RAM (128ULL << 20)

/* The type that the user names, else the one whose header says is_default. */
static const char *machine_type_wanted(const Config *config, const Origin **origin)
{
    const ConfigGroup *machine = config_find(config, "machine", NULL);
    const char *name = machine ? group_get(machine, "type") : NULL;

    if (name) {
        *origin = group_origin(machine, "type");
        return name;
    }
    g_autoptr(GPtrArray) types = config_machine_types(config);
    for (unsigned i = 0; i < types->len; i++) {
        const ConfigGroup *type = g_ptr_array_index(types, i);
        const char *is_default = group_get(type, "is_default");
        if (is_default && !strcmp(is_default, "on")) {
            *origin = type->origin;
            return type->id;
        }
    }
    *origin = NULL;
    return "pc";
}

/* --- Memory --------------------------------------------------------------------------- */

static void plan_memory(MachinePlan *plan, Diag *diag)
{
    const ConfigGroup *memory = config_find(plan->config, "memory", NULL);

    plan->ram_size = DEFAULT_RAM;
    group_get_size(plan->header, "default_memory", &plan->ram_size, diag);
    if (memory) {
        group_get_size(memory, "size", &plan->ram_size, diag);
        if (!plan->ram_size) {
            diag_error(diag, group_origin(memory, "size"), "a machine needs some memory");
        }
    }
}

/* --- Processors ------------------------------------------------------------------------- */

typedef struct SmpKey {
    const char *name;
    size_t offset;
} SmpKey;

static const SmpKey smp_keys[] = {
    { "cpus", offsetof(MachinePlan, cpus) },       { "maxcpus", offsetof(MachinePlan, max_cpus) },
    { "sockets", offsetof(MachinePlan, sockets) }, { "dies", offsetof(MachinePlan, dies) },
    { "cores", offsetof(MachinePlan, cores) },     { "threads", offsetof(MachinePlan, threads) },
};

static void read_smp(MachinePlan *plan, const ConfigGroup *smp, Diag *diag)
{
    for (unsigned i = 0; smp && i < G_N_ELEMENTS(smp_keys); i++) {
        const ConfigValue *text = group_value(smp, smp_keys[i].name);
        uint64_t value = 0;
        if (!text || !group_get_uint(smp, smp_keys[i].name, &value, diag)) {
            continue;
        }
        if (!value || value > UINT16_MAX) {
            diag_error(diag, text->origin, "%s cannot be %s", smp_keys[i].name, text->value);
        } else {
            *(unsigned *)((char *)plan + smp_keys[i].offset) = value;
        }
    }
}

/* What is left open follows from the rest; more sockets are the first choice. */
static void complete_smp(MachinePlan *plan)
{
    uint64_t given = (uint64_t)MAX(plan->dies, 1) * MAX(plan->cores, 1) * MAX(plan->threads, 1);
    uint64_t product = given * MAX(plan->sockets, 1);

    if (!plan->cpus) {
        plan->cpus = plan->max_cpus ? plan->max_cpus : MIN(product, UINT16_MAX);
    }
    if (!plan->max_cpus) {
        bool all = plan->sockets && plan->cores && plan->threads;
        plan->max_cpus = all ? MIN(product, UINT16_MAX) : plan->cpus;
    }
    plan->dies = MAX(plan->dies, 1);
    plan->threads = MAX(plan->threads, 1);
    if (!plan->cores) {
        uint64_t rest = (uint64_t)MAX(plan->sockets, 1) * plan->dies * plan->threads;
        plan->cores = plan->sockets ? MAX(plan->max_cpus / rest, 1) : 1;
    }
    if (!plan->sockets) {
        plan->sockets = MAX(plan->max_cpus / (plan->dies * plan->cores * plan->threads), 1);
    }
}

static void check_smp(const MachinePlan *plan, const Origin *origin, Diag *diag)
{
    uint64_t product = (uint64_t)plan->sockets * plan->dies * plan->cores * plan->threads;
    uint64_t limit = UINT16_MAX;

    group_get_uint(plan->header, "max_cpus", &limit, diag);
    if (product != plan->max_cpus) {
        diag_error(diag, origin, "%u sockets x %u dies x %u cores x %u threads are not %u CPUs",
                   plan->sockets, plan->dies, plan->cores, plan->threads, plan->max_cpus);
    } else if (plan->cpus > plan->max_cpus) {
        diag_error(diag, origin, "%u CPUs are more than maxcpus=%u", plan->cpus, plan->max_cpus);
    } else if (plan->max_cpus > limit) {
        diag_error(diag, origin, "%u CPUs are more than machine type '%s' takes", plan->max_cpus,
                   plan->type_name);
        diag_note(diag, group_origin(plan->header, "max_cpus"), "it takes %" G_GUINT64_FORMAT,
                  limit);
    }
}

static void plan_smp(MachinePlan *plan, Diag *diag)
{
    const ConfigGroup *smp = config_find(plan->config, "smp-opts", NULL);
    uint64_t cpus = 0;
    unsigned before = diag_errors(diag);

    group_get_uint(plan->header, "default_cpus", &cpus, diag);
    read_smp(plan, smp, diag);
    if (!smp && cpus == 0 && group_get(plan->header, "default_cpus")) {
        return; /* a machine without processors */
    }
    if (!smp) {
        plan->cpus = cpus;
    }
    complete_smp(plan);
    if (diag_errors(diag) == before) {
        check_smp(plan, smp ? smp->origin : plan->header->origin, diag);
    }
}

/* --- The default graphics card ---------------------------------------------------------------- */

/* -vga names what takes the place of the machine type's device "vga". */
static void settle_vga(Config *config)
{
    const char *wanted = config_get(config, "system", "vga");
    ConfigGroup *card = config_find(config, "device", "vga");

    if (!wanted) {
        return;
    }
    if (card && !strcmp(wanted, "none")) {
        config_remove_group(config, card);
    } else if (!card && !strcmp(wanted, "std")) {
        const Origin *origin = group_origin(config_find(config, "system", NULL), "vga");
        card = config_add_group(config, "device", "vga", origin, LAYER_CMDLINE);
        group_set(config, card, "driver", "VGA", origin);
    }
}

/* --- The whole ---------------------------------------------------------------------------- */

MachinePlan *machine_plan_new(Config *config, Diag *diag)
{
    const Origin *origin;
    unsigned before = diag_errors(diag);
    const char *name = machine_type_wanted(config, &origin);
    const ConfigGroup *header = config_select_machine(config, name, origin, diag);

    if (!header) {
        return NULL;
    }
    g_autoptr(MachinePlan) plan = g_new0(MachinePlan, 1);
    plan->config = config;
    plan->header = header;
    plan->type_name = header->id;
    settle_vga(config);
    chardev_settle(config, diag);
    config_settle(config);
    config_validate(config, diag);
    plan_memory(plan, diag);
    plan_smp(plan, diag);
    plan_devices(plan, diag);
    plan_check_wiring(plan, diag);
    return diag_errors(diag) == before ? g_steal_pointer(&plan) : NULL;
}

void machine_plan_free(MachinePlan *plan)
{
    g_clear_pointer(&plan->devices, g_ptr_array_unref);
    g_clear_pointer(&plan->buses, g_ptr_array_unref);
    g_free(plan);
}

/* --- For people --------------------------------------------------------------------------- */

static void describe_property(GString *text, const PlannedDevice *device, const Property *property)
{
    const PlannedProperty *set = planned_property(device, property);
    const char *value = planned_value(device, property);

    if (value) {
        g_string_append_printf(text, "#   %s = %s (%s)\n", property->name, value,
                               set ? origin_describe(set->origin) : "default");
    }
}

static void describe_device(GString *text, const PlannedDevice *device)
{
    const BusType *bus = bus_type_find(device->type->bus);

    g_string_append_printf(text, "# %s%s%s on %s (%s)\n", device->type->name,
                           device->id ? " " : "", device->id ? device->id : "", device->bus,
                           origin_describe(device->group->origin));
    for (const Property *p = bus ? bus->device_properties : NULL; p && p->name; p++) {
        describe_property(text, device, p);
    }
    for (const Property *p = device->type->properties; p && p->name; p++) {
        describe_property(text, device, p);
    }
}

char *machine_plan_describe(const MachinePlan *plan)
{
    GString *text = g_string_new(NULL);

    g_string_append_printf(text,
                           "# Machine %s: %" G_GUINT64_FORMAT " MiB, %u CPUs (%u at most: %u "
                           "sockets x %u dies x %u cores x %u threads)\n",
                           plan->type_name, plan->ram_size >> 20, plan->cpus, plan->max_cpus,
                           plan->sockets, plan->dies, plan->cores, plan->threads);
    g_string_append(text, "# Its devices in the order of their making, with all properties:\n");
    for (unsigned i = 0; i < plan->devices->len; i++) {
        describe_device(text, g_ptr_array_index(plan->devices, i));
    }
    return g_string_free(text, FALSE);
}
