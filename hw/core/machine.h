/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The running machine: its memory and ports, its interrupt lines, buses, devices, vCPUs and power
 * state. Built from a MachinePlan (hw/core/plan.h); no global: everything hangs off this object.
 */
#ifndef HW_CORE_MACHINE_H
#define HW_CORE_MACHINE_H

#include "hw/core/device.h"
#include "memory/memory.h"
#include "qemu-config/config.h"

#define MACHINE_GSI_COUNT 24

typedef struct ChardevSet ChardevSet;
typedef struct Vcpu Vcpu;
typedef struct AccelMachine AccelMachine;

typedef enum {
    POWER_RUNNING,
    POWER_PAUSED,
    POWER_SHUTDOWN,  /* by the guest, with no_shutdown: wants a reset before it can go on */
    POWER_CRASHED,
    POWER_PRELAUNCH, /* has not run yet, or not since a reset in another state than running */
} PowerState;

/* Why a machine is reset or shut down. */
typedef enum {
    SHUTDOWN_HOST,       /* a signal */
    SHUTDOWN_GUEST,
    SHUTDOWN_RESET,      /* the guest resets it */
    SHUTDOWN_PANIC,
    SHUTDOWN_QUIT,       /* a monitor ends it */
    SHUTDOWN_HOST_RESET, /* a monitor resets it */
} ShutdownCause;

/* What observers are told, in the main loop with the machine lock held. */
typedef enum {
    MACHINE_EVENT_SHUTDOWN, /* with a cause */
    MACHINE_EVENT_RESET,    /* with a cause */
    MACHINE_EVENT_STOP,
    MACHINE_EVENT_RESUME,
    MACHINE_EVENT_POWERDOWN,
} MachineEvent;

typedef void MachineObserver(void *opaque, MachineEvent event, ShutdownCause cause);

/* Something that wants to run at a moment of the machine's life, in order of priority. */
typedef void MachineHook(void *opaque);

struct Machine {
    const Config *config;
    char *type_name;            /* "pc-i440fx-1.0" */
    uint64_t ram_size;          /* -m, bytes */
    uint64_t ram_below_4g;
    uint64_t ram_above_4g;
    unsigned smp_cpus, smp_max_cpus, smp_sockets, smp_dies, smp_cores, smp_threads;
    MemorySpace *memory;
    PortSpace *ports;
    RamBlock *ram;
    ChardevSet *chardevs;
    Bus *system_bus;
    GPtrArray *buses;           /* of Bus * */
    GPtrArray *devices;         /* of Device *, in realize order; reset in the same order */
    const AccelMachine *accel;  /* what the accelerator does for devices; NULL: nothing */
    GPtrArray *vcpus;           /* of Vcpu *; filled before devices are realized */
    PowerState power;
    bool no_reboot, no_shutdown;
    /*
     * Set by a realize() that fails because of an option, not of the device's own properties: where
     * the option was given, to report the mistake there. NULL: at the device.
     */
    const Origin *blame;
    struct MachinePrivate *priv;
};

/* A machine with a system bus, memory and ports, but nothing in them. @config may be NULL. */
Machine *machine_new(const Config *config);
/* Ends the vCPU threads and frees the devices, back to front. Machine lock held. */
void machine_dismantle(Machine *machine);
/*
 * Frees all but the vCPUs, which are their creator's: machine_dismantle(), free the vCPUs, then
 * this (it dismantles if that was not done).
 */
void machine_free(Machine *machine);
/*
 * Runs the @ready hooks, resets everything and starts the vCPU threads, parked if @paused (-S).
 * Machine lock held.
 */
void machine_start(Machine *machine, bool paused);

/*
 * Writes to these ports have no effect that anything but another access to the same chip could see,
 * so they may be put off until there is one. A hint; undone when the device goes.
 */
void machine_gather_ports(Machine *machine, uint16_t port, unsigned count, bool on);

/* --- Interrupt lines ----------------------------------------------------- */

/*
 * The line with global system interrupt number @gsi (ISA IRQ n is GSI n). Never NULL for a valid n.
 */
IrqLine *machine_gsi(Machine *machine, unsigned gsi);
/* Adds a receiver: the 8259 pair and the I/O APIC both listen to the ISA lines. */
void machine_gsi_connect(Machine *machine, unsigned gsi, IrqLine sink);

/* --- Named lines and objects ---------------------------------------------
 * Wires between chips that are no bus: "a20", "pic-intr" (8259 output to the boot CPU), "smi". */
IrqLine *machine_line(Machine *machine, const char *name);
void machine_line_connect(Machine *machine, const char *name, IrqLine sink);
/* The first realized device of type @type_name, or NULL: for chips that must know one peer. */
Device *machine_find_device(Machine *machine, const char *type_name);

/* --- Power ---------------------------------------------------------------- */

void machine_request_reset(Machine *machine);                        /* any thread */
void machine_request_host_reset(Machine *machine);                   /* the same, by a monitor */
void machine_request_shutdown(Machine *machine, ShutdownCause cause, int status); /* any thread */
void machine_request_powerdown(Machine *machine);                    /* presses the power button */
void machine_pause(Machine *machine);                                /* QMP stop */
void machine_resume(Machine *machine);
bool machine_needs_reset(const Machine *machine); /* before machine_resume() can do anything */
/* Calls @observer at every event until the machine is freed. */
void machine_observe(Machine *machine, MachineObserver *observer, void *opaque);
/* Resets devices in realize order, then the vCPUs. In the main loop, machine lock held. */
void machine_reset(Machine *machine);

/* Hooks: @ready after all devices are realized and before the first reset; @powerdown on the power
 * button; both in order of registration. */
void machine_on_ready(Machine *machine, MachineHook *hook, void *opaque);
void machine_on_powerdown(Machine *machine, MachineHook *hook, void *opaque);

#endif
