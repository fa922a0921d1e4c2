/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The plan of a machine: what the configuration amounts to, with every name resolved and every wire
 * checked, before anything is made. -check and -explain end here; machine_build() goes on.
 */
#ifndef HW_CORE_PLAN_H
#define HW_CORE_PLAN_H

#include "hw/core/machine.h"
#include "qemu-config/config.h"

typedef struct PlannedDevice PlannedDevice;

/* A property that is set: by its device group or by a [global]. */
typedef struct PlannedProperty {
    const Property *property;
    const char *value;
    const Origin *origin;
} PlannedProperty;

struct PlannedDevice {
    const DeviceType *type;
    const ConfigGroup *group;
    const char *id;       /* NULL if unnamed */
    const char *bus;      /* "isa.0" */
    GArray *properties;   /* of PlannedProperty; those not in it keep their type's default */
};

typedef struct MachinePlan {
    Config *config;
    const ConfigGroup *header; /* the machine type, with what it inherits */
    const char *type_name;
    uint64_t ram_size;
    unsigned cpus, max_cpus, sockets, dies, cores, threads;
    GPtrArray *devices;        /* of PlannedDevice *, in the order in which they are realized */
    GPtrArray *buses;          /* of char *: the names of all buses there will be */
} MachinePlan;

/*
 * Selects the machine type, adds the default groups and resolves everything. All mistakes go to
 * @diag; NULL if there was one. @config must outlive the plan. Touches nothing on the host.
 */
MachinePlan *machine_plan_new(Config *config, Diag *diag);
void machine_plan_free(MachinePlan *plan);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MachinePlan, machine_plan_free)

/*
 * The value that @device will have for @property: as set, else the type's default; NULL if neither.
 */
const char *planned_value(const PlannedDevice *device, const Property *property);
/* Every device with its properties, defaults included, as comment lines for -explain; g_free(). */
char *machine_plan_describe(const MachinePlan *plan);

/* The planned machine as a flattened device tree, for -machine dumpdtb=FILE. */
GBytes *machine_plan_dtb(const MachinePlan *plan);

/*
 * Fills @machine with the plan's sizes (not devices): to be followed by the creation of vCPUs,
 * which devices look for when they are realized.
 */
void machine_plan_apply(const MachinePlan *plan, Machine *machine);
/*
 * Allocates the RAM and realizes the devices of @plan. A failure is reported at the device's
 * origin; false then, and the machine is only good for machine_free(). Machine lock held.
 */
bool machine_build(Machine *machine, const MachinePlan *plan, Diag *diag);

/* Answers for "-device help", "-device NAME,help" and "-machine help"; g_free(). */
char *device_help(const Config *config, const char *topic);
char *machine_help(const Config *config, const char *topic);
/* Text of -accel help: the accelerators, and which of them work on this host; g_free(). */
char *accel_help(const Config *config, const char *topic);

#endif
