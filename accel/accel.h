/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a vCPU is to the rest of the machine, and the ops an accelerator runs it by. An interface,
 * nothing else: it knows neither a device nor an instruction set.
 */
#ifndef ACCEL_ACCEL_H
#define ACCEL_ACCEL_H

#include <glib.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "accel/machine.h"
#include "util/registry.h"

typedef struct Vcpu Vcpu;
typedef struct MemorySpace MemorySpace;
typedef struct PortSpace PortSpace;
struct Config;      /* what the user asked for (qemu-config/) */
struct X86CpuCaps;  /* what a CPU model is cut to (target-i386/cpu-caps.h) */

/* Reasons for a vCPU to leave its fast path; set with vcpu_raise(), from any thread. */
enum {
    VCPU_INTR = 1u << 0,      /* the interrupt controller has (or may have) a vector */
    VCPU_NMI = 1u << 1,
    VCPU_SMI = 1u << 2,
    VCPU_INIT = 1u << 3,
    VCPU_SIPI = 1u << 4,      /* vector in sipi_vector */
    VCPU_MEM_CHANGED = 1u << 5, /* drop cached translations of guest-physical pages */
    VCPU_STOP = 1u << 6,      /* park until resumed */
    VCPU_EXIT = 1u << 7,      /* end the thread */
    VCPU_TIMER = 1u << 8,     /* look at the clock */
    VCPU_CODE_CHANGED = 1u << 9, /* drop decoded code that another CPU or a device overwrote */
};

/*
 * The interrupt controller as the CPU sees it: the local APIC, or the 8259 alone. Machine lock
 * held.
 */
typedef struct InterruptOps {
    /* Acknowledges and returns the highest pending vector, -1 if none is deliverable. */
    int (*accept)(void *opaque);
    uint64_t (*get_base)(void *opaque);                  /* IA32_APIC_BASE */
    bool (*set_base)(void *opaque, uint64_t value);      /* false: #GP */
    uint8_t (*get_tpr)(void *opaque);                    /* CR8 is bits 7:4 */
    void (*set_tpr)(void *opaque, uint8_t tpr);
    /* x2APIC registers at 0x800 to 0x8ff and the TSC deadline; false: #GP */
    bool (*msr_read)(void *opaque, uint32_t msr, uint64_t *value);
    bool (*msr_write)(void *opaque, uint32_t msr, uint64_t value);
    void (*cpu_reset)(void *opaque);                     /* INIT reached the CPU */
} InterruptOps;

/* What an accelerator does for one vCPU. */
typedef struct VcpuOps {
    /* Runs guest code until an event is pending or the CPU halts. No lock held. */
    void (*run)(Vcpu *vcpu);
    /* True if a halted CPU must wake for what is pending. */
    bool (*has_work)(Vcpu *vcpu);
    /* Power-on reset. The boot CPU starts at the reset vector, others wait for SIPI. */
    void (*reset)(Vcpu *vcpu);
    /*
     * @bits were raised from another thread while the vCPU may be in guest code that does not look
     * at `pending`: makes it look. NULL: it always looks. Any thread.
     */
    void (*kick)(Vcpu *vcpu, uint32_t bits);
    /*
     * Brings the CPU's state in this process up to date, for those who look at it while the vCPU is
     * parked. NULL: it always is.
     */
    void (*take_state)(Vcpu *vcpu);
    /*
     * Appends what the engine did for this vCPU, for people, while it is parked. NULL: nothing to
     * tell.
     */
    void (*describe)(Vcpu *vcpu, GString *out);
    /* Guest TSC now, for the local APIC's deadline timer; NULL: CLOCK_VM counted at tsc_hz. */
    uint64_t (*read_tsc)(Vcpu *vcpu);
} VcpuOps;

/* Decides when vCPUs run, where that is not left to the host (accel/icount.h). */
typedef struct VcpuScheduler {
    /*
     * Runs @vcpu for a while, or waits until it may or must do otherwise. Machine lock held. NULL:
     * that is left to the host after all.
     */
    void (*turn)(Vcpu *vcpu);
    /* The running vCPU has given another one something to do. NULL: no matter. */
    void (*woke_other)(Vcpu *vcpu);
    /* The running vCPU waits for what another one does. */
    void (*yield)(Vcpu *vcpu);
} VcpuScheduler;

struct Vcpu {
    unsigned index;
    uint32_t apic_id;
    bool is_bsp;
    const VcpuOps *ops;
    void *accel;                 /* the accelerator's own part of this vCPU */
    void *machine;               /* for the power ops below */
    MemorySpace *memory;
    PortSpace *ports;
    const InterruptOps *intr_ops; /* NULL: no interrupt controller */
    void *intr_opaque;
    uint64_t tsc_hz;
    _Atomic uint32_t pending;    /* VCPU_* */
    uint8_t sipi_vector;
    bool wait_for_sipi;
    bool halted;                 /* HLT; written by the vCPU thread and by reset */
    uint64_t a20_mask;           /* ANDed into physical addresses: all ones with A20 on */
    GThread *thread;
    int thread_id;               /* of the host, for people who pin it; 0 before it runs */
    GCond wake;                  /* with the machine lock */
    bool parked;                 /* by vcpu_pause(); under the machine lock */
    atomic_bool waiting;         /* asleep on @wake, or about to */
    void (*request_reset)(void *machine); /* triple fault */
    const VcpuScheduler *scheduler; /* NULL: it runs whenever it has something to do */
    void *scheduler_opaque;
    const uint64_t *icount_done; /* instructions executed, by the vCPU thread */
    uint64_t *icount_limit;      /* run() returns when as many are; UINT64_MAX: none */
};

/*
 * An accelerator. What it keeps for one machine is @instance, NULL where machine_new is. Operations
 * that may be NULL say so.
 */
typedef struct AccelOps {
    const char *name;            /* "tcg", "kvm" */
    const char *desc;
    /* False and why not, if this host cannot run it as @config wants it. */
    bool (*available)(const struct Config *config, GError **error);
    /* What it can offer to CPU models. */
    void (*cpu_caps)(const struct Config *config, struct X86CpuCaps *caps);
    /* May be NULL. Before the first vCPU, machine lock held. */
    void *(*machine_new)(const struct Config *config, MemorySpace *memory, GError **error);
    void (*machine_free)(void *instance);
    /* What the board may ask of it; may be NULL, and give NULL: nothing. */
    const AccelMachine *(*machine_part)(void *instance);
    /* Gives a new vCPU, which has its model, its ops. */
    bool (*vcpu_init)(void *instance, Vcpu *vcpu, GError **error);
    void (*vcpu_free)(Vcpu *vcpu);          /* may be NULL */
    /* Writes what this vCPU did to the log (-d stats); may be NULL. */
    void (*vcpu_log_stats)(Vcpu *vcpu);
} AccelOps;

#define ACCEL_TYPE(ops) REGISTRY_ADD(accel_types, AccelOps, ops)

/* Sets @bits and makes @vcpu look at them soon; any thread. */
void vcpu_raise(Vcpu *vcpu, uint32_t bits);
static inline void vcpu_clear(Vcpu *vcpu, uint32_t bits)
{
    atomic_fetch_and(&vcpu->pending, ~bits);
}
static inline uint32_t vcpu_pending(Vcpu *vcpu)
{
    return atomic_load_explicit(&vcpu->pending, memory_order_relaxed);
}
/* True if there is nothing for it to execute now. Machine lock held. */
bool vcpu_is_idle(Vcpu *vcpu);
/* The vCPU whose thread this is, or NULL. */
Vcpu *vcpu_current(void);
/* From now on this thread runs @vcpu, which is never started (a CPU without a machine); or NULL. */
void vcpu_adopt(Vcpu *vcpu);
/* Starts the thread; it parks until vcpu_resume(). */
void vcpu_start(Vcpu *vcpu);
/* Parks it and returns once it is parked (not from its own thread). Machine lock held. */
void vcpu_pause(Vcpu *vcpu);
void vcpu_resume(Vcpu *vcpu);
/* Ends and joins the thread. Machine lock held. */
void vcpu_stop(Vcpu *vcpu);
/* Called by a CPU that triple-faults or is told to shut down: the machine decides. */
void vcpu_request_reset(Vcpu *vcpu);

#endif
