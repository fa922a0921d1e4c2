/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The accelerator "kvm": what its files share. One KvmMachine a machine, one KvmVcpu a CPU. While a
 * CPU runs, its state lives in the kernel; kvm_take_state() and kvm_give_state() move it. The API
 * is that of linux/kvm.h and the kernel's Documentation/virt/kvm/api.rst.
 */
#ifndef ACCEL_KVM_KVM_H
#define ACCEL_KVM_KVM_H

#include <linux/kvm.h>

#include "accel/kvm/stretch.h"
#include "target-i386/cpu-caps.h"
#include "target-i386/cpu.h"

#define KVM_XSAVE_COMPONENTS 10 /* those our CPU state holds: up to PKRU */
#define KVM_EXIT_KINDS 40
#define KVM_WATCHED 2 /* handlers: of #UD and #PF */

/* Where the components of KVM_GET_XSAVE's standard format lie on this host (CPUID leaf 0xD). */
typedef struct KvmXsaveLayout {
    uint32_t area; /* bytes of the ioctl's buffer */
    uint64_t mask; /* components present */
    uint32_t offset[KVM_XSAVE_COMPONENTS], size[KVM_XSAVE_COMPONENTS];
} KvmXsaveLayout;

/* What a KVM does wrong without an exit (trial.c). */
enum {
    KVM_FLAW_SYSCALL = 1u << 0,  /* at privilege 3, it stays there */
    KVM_FLAW_INT = 1u << 1,      /* at privilege 3, it is #UD */
    KVM_FLAW_SHADOW = 1u << 2,   /* page tables changed from outside are not seen */
    KVM_FLAW_PAGING32 = 1u << 3, /* no paging outside long mode */
    KVM_FLAW_V86 = 1u << 4,      /* exceptions do not leave virtual-8086 mode rightly */
    KVM_FLAW_SLOW = 1u << 5,     /* supervisor code takes longer than in our interpreter */
};

/* Keeps CPUs in KVM and in the interpreter apart (gate.c). */
typedef struct KvmGate {
    GMutex lock;   /* with @changed: for those who wait */
    GCond changed;
    atomic_uint in_kvm, interpreting;
    atomic_uint wanted; /* of those who interpret: not only because others do */
    atomic_uint needed; /* CPUs at what only KVM can do: interpreters make room */
} KvmGate;

/* Where the interrupt controllers and the timer are. */
typedef enum {
    IRQCHIP_OFF,   /* our own chips */
    IRQCHIP_SPLIT, /* local APICs in the kernel */
    IRQCHIP_ON,    /* all in the kernel */
} KvmIrqchipPlace;

/* A message with the number of its array index: of an I/O APIC's pin, or of an irqfd. */
typedef struct KvmMessage {
    bool used;
    AccelMsi msi;
} KvmMessage;

/* A memory slot; its number is its place in KvmMachine.slots. */
typedef struct KvmSlot {
    RamSection section; /* size 0: the number is free */
} KvmSlot;

typedef struct KvmMachine {
    int kvm_fd, vm_fd;
    AccelMachine accel;   /* what the board sees */
    KvmGate gate;
    unsigned flaws;       /* KVM_FLAW_* */
    MemorySpace *memory;
    GPtrArray *vcpus;     /* of KvmVcpu * */
    GArray *messages;     /* of KvmMessage */
    void (*eoi)(void *opaque, uint8_t vector);
    void *eoi_opaque;
    bool has_clock;       /* stopped: kvmclock and the timer chip as they were */
    uint64_t clock;
    AccelPit pit;
    bool a20_off;
    bool dirty_log, manual_protect;
    GArray *slots;        /* of KvmSlot */
    GArray *zones;        /* of RamSection: whose writes are gathered */
    unsigned ring_page;   /* of kvm_run's mapping: the ring of gathered writes; 0: none */
    bool has_coalesced_pio;
    size_t run_size;      /* bytes of a vCPU's kvm_run mapping */
    bool has_sregs2;
    GMutex scratch_slot;  /* over the slot of forget_translations() */
    KvmXsaveLayout xsave;
    GArray *msrs;         /* of KvmMsr: what moves between the CPU state and the kernel */
    GArray *reset_msrs;   /* of KvmMsr: what reset clears beside */
} KvmMachine;

/* What of the CPU's state an operation covers. */
typedef enum {
    KVM_STATE_CORE = 1u << 0,     /* registers, segments, control registers, events */
    KVM_STATE_REST = 1u << 1,     /* XSAVE, XCR0, debug registers, MSRs */
    KVM_STATE_RESET = 1u << 2,    /* with the others: what only reset writes (time, paravirtual) */
    KVM_STATE_ALL = KVM_STATE_CORE | KVM_STATE_REST,
} KvmStateParts;

typedef struct KvmVcpu {
    KvmMachine *machine;
    X86CPU *cpu;
    int fd;
    struct kvm_run *run;
    struct kvm_coalesced_mmio_ring *ring; /* the machine's; NULL: none */
    atomic_bool entered;      /* in KVM_RUN, or about to: a kick must reach it */
    bool io_unfinished;       /* an access was answered; KVM_RUN has to finish it */
    int tid;                  /* of its thread; 0: the thread is not prepared */
    bool gated;               /* counted in KvmGate.in_kvm */
    bool interpreting;        /* counted there */
    bool gate_wanted;         /* and in KvmGate.wanted */
    bool gate_needs;          /* in KvmGate.needed */
    bool lends;               /* is to give user code to a slow KVM */
    bool lent;                /* has done so */
    bool needs_kvm;           /* joined others, and met what only KVM may know */
    bool held;                /* the state is here, for the interpreter to go on */
    KvmStateParts held_parts; /* what of it */
    uint64_t held_map;        /* map_generation when it was taken */
    bool stale;               /* the kernel may have page tables' contents as they were once */
    bool give_all;            /* reset changed the state: the kernel gets it before it runs */
    bool shut_down;           /* after a triple fault, until reset; with a kernel APIC */
    uint8_t cr8;              /* as last exchanged with the interrupt controller */
    uint64_t apic_base;
    uint8_t *xsave;           /* the last image: keeps components that the CPU state lacks */
    struct kvm_msrs *msr_buffer;
    struct kvm_vcpu_events events; /* as last taken */
    int64_t tsc_offset;       /* of our CPU, when the clock was taken */
    uint64_t exits[KVM_EXIT_KINDS];
    uint64_t interrupted;     /* KVM_RUN returned for a kick */
    int64_t run_ns;           /* time in KVM_RUN */
    uint64_t fallbacks;       /* how often our interpreter took over */
    uint64_t loans;           /* how often user code was lent to a slow KVM */
    uint64_t joined;          /* and how often because it did so for others */
    uint64_t interpreted;     /* instructions that it ran */
    int64_t fallback_ns;      /* and the time that took, changing over included */
    KvmStretch stretch;
    uint64_t watched[KVM_WATCHED]; /* addresses; 0: none */
    unsigned steps;           /* instructions that KVM is to do one by one */
    bool stepped;             /* and it stops after each */
    uint64_t misdelivered;    /* exceptions undone there */
    uint32_t *fallbacks_by_mnemonic; /* by ZydisMnemonic */
} KvmVcpu;

typedef struct KvmMsr {
    uint32_t index;
    uint32_t field;           /* of X86CPU; 0: always written as 0 */
    int feature;              /* X86Feature that brings it */
    atomic_bool refused;      /* by this KVM, as some vCPU found out */
} KvmMsr;

/* True if the kernel keeps the CPU's local APIC, and with it HLT and start-up. */
static inline bool kvm_kernel_apic(const KvmVcpu *v)
{
    return v->machine->accel.chips & ACCEL_LAPIC;
}

static inline KvmVcpu *kvm_vcpu(Vcpu *vcpu)
{
    return vcpu->accel;
}

/* --- host.c: /dev/kvm -------------------------------------------------------- */

/* Opens /dev/kvm and checks version and capabilities; -1 and @error. */
int kvm_open(GError **error);
/* Whether the KVM behind @fd has the version and the capabilities that we need, asked by @call. */
typedef int KvmIoctl(int fd, unsigned long request, unsigned long argument);
bool kvm_host_is_able(int fd, KvmIoctl *call, GError **error);
/* ioctl() which sets @error ("KVM_X: why") on failure. */
bool kvm_call(int fd, unsigned long request, void *argument, const char *name, GError **error);

/* --- memory.c ------------------------------------------------------------------ */

/* Keeps the VM's memory slots as the flat view is, from now on. */
void kvm_memory_init(KvmMachine *machine);
void kvm_memory_free(KvmMachine *machine);
/* Does the writes that the kernel has gathered; before anything else is done for the guest. */
void kvm_flush_gathered(KvmVcpu *v);
void kvm_gather_ports(void *instance, uint16_t port, unsigned count, bool on);

/* Tells the kernel again what a slot is, because its flags are others now. */
void kvm_slot_renew(const KvmMachine *machine, unsigned number);
/* The A20 gate closes or opens: slots follow. */
void kvm_set_a20(void *instance, bool on);

/* --- stats.c ----------------------------------------------------------------------- */

/* What the kernel counted for the VM or vCPU whose descriptor is @fd, to the log; zeros are not. */
void kvm_log_kernel_stats(int fd_of_owner, const char *whose);

/* --- dirty.c ----------------------------------------------------------------------- */

void kvm_dirty_init(KvmMachine *machine);
void kvm_dirty_free(KvmMachine *machine);
/* The kernel's log of a slot into the marks of its pages. */
void kvm_dirty_sync_slot(KvmMachine *machine, unsigned number);

/* --- irqchip.c: the chips in the kernel ------------------------------------------ */

/*
 * Where @config wants them; else IRQCHIP_ON or, where this KVM cannot or leaves work to our
 * interpreter (@flaws), which has no way to chips in the kernel, IRQCHIP_OFF.
 */
KvmIrqchipPlace kvm_irqchip_place(const struct Config *config, int kvm_fd, unsigned flaws,
                                  bool *asked);
/* The capability that @place needs and this KVM lacks, or NULL. */
const char *kvm_irqchip_missing(int kvm_fd, KvmIrqchipPlace place);
/* Before the first vCPU. */
bool kvm_irqchip_create(KvmMachine *machine, KvmIrqchipPlace place, GError **error);
void kvm_irqchip_free(KvmMachine *machine);
/* As AccelMachineOps says. */
void kvm_set_gsi(void *instance, unsigned gsi, int level);
bool kvm_send_msi(void *instance, uint64_t addr, uint32_t data);
void kvm_set_pin_message(void *instance, unsigned pin, const AccelMsi *message);
void kvm_set_eoi_handler(void *instance, void (*fn)(void *opaque, uint8_t vector), void *opaque);
void kvm_get_lapic(Vcpu *vcpu, AccelLapic *state);
void kvm_put_lapic(Vcpu *vcpu, const AccelLapic *state);
bool kvm_lapic_msr(Vcpu *vcpu, uint32_t msr, uint64_t *value, bool write);
void kvm_get_pic(void *instance, unsigned n, AccelPic *state);
void kvm_put_pic(void *instance, unsigned n, const AccelPic *state);
void kvm_get_ioapic(void *instance, AccelIoApic *state);
void kvm_put_ioapic(void *instance, const AccelIoApic *state);
void kvm_get_pit(void *instance, AccelPit *state);
void kvm_put_pit(void *instance, const AccelPit *state);
int kvm_irqfd_add(void *instance, int fd, const AccelMsi *message, GError **error);
void kvm_irqfd_change(void *instance, int number, const AccelMsi *message);
void kvm_irqfd_remove(void *instance, int number, int fd);

/* --- machine.c ------------------------------------------------------------------- */

extern const AccelMachineOps kvm_machine_ops;

/* --- cpuid.c --------------------------------------------------------------------- */

void kvm_cpu_caps(const struct Config *config, struct X86CpuCaps *caps);
/* What KVM can offer, for g_free(); NULL and @error. */
struct kvm_cpuid2 *kvm_supported_cpuid(int kvm_fd, GError **error);
void kvm_xsave_layout(KvmXsaveLayout *layout, int kvm_fd, const struct kvm_cpuid2 *supported);
/* Gives the vCPU the CPUID table of its model. */
bool kvm_set_cpuid(KvmVcpu *v, GError **error);

/* --- msr.c -------------------------------------------------------------------------- */

void kvm_msrs_init(KvmMachine *machine);
void kvm_msrs_free(KvmMachine *machine);
/* Entries that a vCPU's msr_buffer needs. */
unsigned kvm_msrs_max(const KvmMachine *machine);
void kvm_take_msrs(KvmVcpu *v);
void kvm_give_msrs(KvmVcpu *v, bool reset);

/* --- state.c ------------------------------------------------------------------------- */

/*
 * The kernel's state into the X86CPU, and back. On the vCPU's thread, or with it parked. With
 * `stale`, the kernel also drops what it derived from page tables.
 */
void kvm_take_state(KvmVcpu *v, KvmStateParts parts);
void kvm_give_state(KvmVcpu *v, KvmStateParts parts);

/* --- fallback.c ------------------------------------------------------------------------- */

/*
 * KVM cannot go on at the current instruction: our interpreter runs it, or delivers the event that
 * was being delivered, and goes on for a while if that pays. @why is for the log.
 */
void kvm_fall_back(KvmVcpu *v, const char *why);
/* True if our interpreter may keep the CPU for longer. */
bool kvm_may_go_on(const KvmVcpu *v);
/* The CPU's state is held: the interpreter goes on until KVM can. */
void kvm_go_on(KvmVcpu *v);
/* Others interpret, so this CPU does as well. */
void kvm_join(KvmVcpu *v);
/* Takes the state over from a KVM that had it lent, if it still has it. */
void kvm_take_back(KvmVcpu *v);
void kvm_log_stats(Vcpu *vcpu);

/* --- trial.c --------------------------------------------------------------------------------- */

/* @key of the last -accel kvm that has it, or NULL (kvm.c). */
const char *kvm_option(const struct Config *config, const char *key);
/* What this KVM gets wrong without saying so: KVM_FLAW_*, told to the log. */
unsigned kvm_try_out(int kvm_fd, struct kvm_cpuid2 *supported);
/* The same, as far as -accel kvm,trials= lets it be known (kvm.c). */
unsigned kvm_flaws(const struct Config *config, int kvm_fd, struct kvm_cpuid2 *supported);

/* --- gate.c ---------------------------------------------------------------------------------- */

void kvm_gate_init(KvmGate *gate);
void kvm_gate_clear(KvmGate *gate);
/* Before and after KVM_RUN. False if the CPU had better interpret, as others do. */
bool kvm_gate_to_kvm(KvmVcpu *v);
void kvm_gate_from_kvm(KvmVcpu *v);
/*
 * Before and after interpreting for longer. With @joins, only because others do; false if they do
 * not any more, or if the CPU is to stop.
 */
bool kvm_gate_interpret(KvmVcpu *v, bool joins);
void kvm_gate_interpreted(KvmVcpu *v);
/* True as long as a CPU wants to interpret for its own sake. */
bool kvm_gate_is_wanted(const KvmVcpu *v);
/* True if another CPU needs KVM, so that interpreting has to pause. */
bool kvm_gate_is_needed(const KvmVcpu *v);
/* This CPU does not need KVM any more. */
void kvm_gate_done(KvmVcpu *v);
/* True if no other CPU interprets. */
bool kvm_gate_is_ours(const KvmVcpu *v);

/* --- flaws.c --------------------------------------------------------------------------------- */

/* False if the state, which we hold, is in a mode that this KVM gets wrong. */
bool kvm_can_run(const KvmVcpu *v);
/* True if this KVM gets user code alone, and that only where it pays. */
bool kvm_is_lender(const KvmVcpu *v);
/*
 * With the state taken over: stops at the guest's handlers of #UD and #PF, as they are now, and
 * after each of the next @steps instructions.
 */
void kvm_watch_handlers(KvmVcpu *v, unsigned steps);
/* After an exit: the same, as long as they are not known; fallback.c looks whether they moved. */
void kvm_look_for_handlers(KvmVcpu *v);
/* Stopped there: true if KVM was wrong, and the CPU is before the instruction again. */
bool kvm_undo_misdelivery(KvmVcpu *v);

/* --- run.c ---------------------------------------------------------------------------------- */

extern const VcpuOps kvm_vcpu_ops;
/* Installs the handler of the signal that ends KVM_RUN. Once a process. */
void kvm_kick_init(void);

#endif
