/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Devices: a const type descriptor (properties, bus, state table, reset, realize) and objects of
 * it. Introspection, -device help, hotplug, saved state and reset all read the same descriptor.
 */
#ifndef HW_CORE_DEVICE_H
#define HW_CORE_DEVICE_H

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "hw/core/irq.h"
#include "migration/state.h"
#include "qemu-config/diag.h"
#include "util/registry.h"

typedef struct Device Device;
typedef struct DeviceType DeviceType;
typedef struct Bus Bus;
typedef struct BusType BusType;
typedef struct Machine Machine;
typedef struct Chardev Chardev;

/* --- Properties --------------------------------------------------------- */

typedef enum {
    PROP_BOOL,
    PROP_UINT8,
    PROP_UINT16,
    PROP_UINT32,
    PROP_UINT64,
    PROP_INT32,
    PROP_SIZE,    /* uint64_t, takes K/M/G/T suffixes */
    PROP_STRING,  /* char *, owned by the device */
    PROP_ENUM,    /* int: index into choices */
    PROP_MAC,     /* uint8_t[6] */
    PROP_PCI_ADDR,/* int32_t: devfn, "slot" or "slot.function"; -1: next free */
    PROP_CHARDEV, /* Chardev *: by id */
} PropertyType;

typedef struct Property {
    const char *name;           /* lower-case with '-' */
    PropertyType type;
    size_t offset;              /* in the device object */
    const char *help;
    const char *def;            /* default as text, NULL: zero */
    uint64_t min, max;          /* accepted range of numbers when min != max */
    const char *const *choices; /* PROP_ENUM: NULL-terminated */
    bool required;
} Property;

#define PROP(type_, object, field, name_, help_, def_, ...)                                        \
    { .name = (name_), .type = (type_), .offset = offsetof(object, field), .help = (help_),        \
      .def = (def_), ##__VA_ARGS__ }
#define PROP_END { .name = NULL }

/* --- Types -------------------------------------------------------------- */

/*
 * I/O ports that every device of a type takes, so that a wiring mistake is found in the plan,
 * before anything is realized. The device still maps them itself.
 */
typedef struct PortClaim {
    const char *property; /* a number that is added to @port (iobase), or NULL: fixed */
    uint16_t port;
    uint16_t count;       /* 0 ends the list */
} PortClaim;

struct DeviceType {
    const char *name;         /* as in -device */
    const char *const *aliases; /* other names, NULL-terminated, or NULL */
    const char *desc;         /* one line for -device help */
    const char *category;     /* "Input", "Network", "Misc": heading of -device help */
    const char *bus;          /* bus type it sits on: "isa", "pci", "system" */
    size_t size;              /* of the object, which starts with a Device or the bus's base */
    const Property *properties;   /* ends with name == NULL; bus properties are added to them */
    const StateTable *state;      /* NULL: no state to save */
    void (*init)(Device *device); /* cannot fail: sets fields that realize and properties need */
    bool (*realize)(Device *device, GError **error);
    void (*unrealize)(Device *device);
    void (*reset)(Device *device); /* power-on and system reset; must leave a usable state */
    const char *const *child_buses; /* bus types it provides, NULL-terminated, e.g. {"isa", NULL} */
    const PortClaim *ports;   /* ends with count == 0; NULL: none */
    const void *bus_class;    /* what the bus wants to know of a type: PciDeviceClass * */
    bool hotpluggable;
    const char *not_for_users; /* reason why -device cannot create it, or NULL */
};

#define DEVICE_TYPE(type) REGISTRY_ADD(device_types, DeviceType, type)

struct Device {
    const DeviceType *type;
    char *id;            /* NULL if unnamed */
    Machine *machine;
    Bus *parent_bus;
    GPtrArray *child_buses; /* of Bus *, or NULL */
    const Origin *origin;   /* where the device was asked for */
    bool realized;
    bool hotplugged;
};

/* --- Buses -------------------------------------------------------------- */

struct BusType {
    const char *name;          /* "isa", "pci", "system" */
    size_t size;               /* of the bus object, which starts with a Bus */
    const Property *device_properties; /* properties every device on it has (addr, …) */
    /*
     * Checks and claims the device's place (slot, address) before realize; both origins in the
     * error.
     */
    bool (*attach)(Bus *bus, Device *device, GError **error);
    void (*detach)(Bus *bus, Device *device);
    unsigned irq_count;        /* interrupts that the property "irq" of a device chooses from */
    /* Where a device's place on the bus is told to people: "addr 03.0"; caller frees. */
    char *(*place)(const Device *device);
};

#define BUS_TYPE(type) REGISTRY_ADD(bus_types, BusType, type)

struct Bus {
    const BusType *type;
    char *name;          /* "pci.0", "isa.0" */
    Machine *machine;
    Device *owner;       /* the device that provides it, NULL for the system bus */
    GPtrArray *children; /* of Device *, in order of attachment */
};

/* --- Property values ------------------------------------------------------ */

#define DEVICE_ERROR (device_error_quark())
GQuark device_error_quark(void);

/* What @property takes, for people: "a number from 0 to 255", "one of: a, b"; caller frees. */
char *property_accepts(const Property *property);
/* True if @text is a value of @property; needs no device. A PROP_CHARDEV takes any id. */
bool property_check(const Property *property, const char *text, GError **error);
/*
 * Reads a number (PROP_UINT*, PROP_INT32, PROP_SIZE, PROP_PCI_ADDR) that property_check() accepts.
 */
int64_t property_number(const Property *property, const char *text);

/* --- Life cycle (used by assembly, hotplug and tests) -------------------- */

const DeviceType *device_type_find(const char *name); /* by name or alias */
/* All types sorted by name; of const DeviceType *; caller unrefs. */
GPtrArray *device_types_list(void);
const BusType *bus_type_find(const char *name);
/* The id, or the type's name of an unnamed device, for messages. */
const char *device_name(const Device *device);
/* Allocates and initialises; properties have their defaults. */
Device *device_new(Machine *machine, const DeviceType *type, const char *id);
/* Finds a property of the type or of its bus. */
const Property *device_property_find(const DeviceType *type, const char *name);
/* Sets a property from text; false and @error (with the accepted values) if it does not fit. */
bool device_property_set(Device *device, const char *name, const char *value, GError **error);
/* The property as text in the form device_property_set() takes; caller frees. */
char *device_property_get(const Device *device, const char *name);
/* Attaches to @bus and realizes; on failure the device is freed and @error says why. */
bool device_realize(Device *device, Bus *bus, GError **error);
/* Unrealizes, detaches, frees. */
void device_free(Device *device);
void device_reset(Device *device);
/* Creates a child bus in realize(); @name NULL: "TYPE.N" with the next free N of the machine. */
Bus *bus_new(Device *owner, const char *type, const char *name);
Bus *bus_find(Machine *machine, const char *name);
/* The first bus of @type, or NULL. */
Bus *bus_find_type(Machine *machine, const char *type);

#endif
