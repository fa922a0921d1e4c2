/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What machine.c, lines.c and power.c keep in a Machine besides its public fields. */
#ifndef HW_CORE_PRIVATE_H
#define HW_CORE_PRIVATE_H

#include <stdatomic.h>

#include "hw/core/machine.h"

/* A line with any number of receivers. The address of @line is given out, so it never moves. */
typedef struct FanOut {
    IrqLine line;
    GArray *sinks; /* of IrqLine */
} FanOut;

typedef struct Observer {
    MachineObserver *fn;
    void *opaque;
} Observer;

typedef struct Hook {
    MachineHook *fn;
    void *opaque;
} Hook;

struct MachinePrivate {
    FanOut gsi[MACHINE_GSI_COUNT];
    GHashTable *lines;      /* char * -> FanOut * */
    GArray *ready_hooks;    /* of Hook */
    GArray *powerdown_hooks;
    GArray *observers;      /* of Observer */
    atomic_bool reset_pending, powerdown_pending, stop_pending, quit_pending;
    ShutdownCause reset_cause, stop_cause, quit_cause; /* with the pending ones */
    int quit_status;
};

void machine_lines_init(Machine *machine);
void machine_lines_free(Machine *machine);
void machine_run_hooks(const GArray *hooks);

#endif
