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

typedef struct Hook {
    MachineHook *fn;
    void *opaque;
} Hook;

struct MachinePrivate {
    FanOut gsi[MACHINE_GSI_COUNT];
    GHashTable *lines;      /* char * -> FanOut * */
    GArray *ready_hooks;    /* of Hook */
    GArray *powerdown_hooks;
    atomic_bool reset_pending, powerdown_pending, stop_pending;
    PowerState stop_state;  /* with stop_pending */
};

void machine_lines_init(Machine *machine);
void machine_lines_free(Machine *machine);
void machine_run_hooks(const GArray *hooks);

#endif
