/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The state of one x86 CPU, shared by the interpreter, the translator and KVM. Layouts follow the
 * architecture (SDM volume 1 chapter 3 and volume 3A chapter 2).
 */
#ifndef TARGET_I386_CPU_H
#define TARGET_I386_CPU_H

#include <glib.h>
#include <setjmp.h>
#include <stdbool.h>
#include <stdint.h>

#include "accel/accel.h"
#include "memory/memory.h"
#include "target-i386/features.h"
#include "target-i386/mmu-state.h"

/*
 * Register numbers as in ModRM (SDM 2A table 2-2), then two slots that make address sums uniform.
 */
enum {
    R_RAX, R_RCX, R_RDX, R_RBX, R_RSP, R_RBP, R_RSI, R_RDI,
    R_R8, R_R9, R_R10, R_R11, R_R12, R_R13, R_R14, R_R15,
    R_ZERO, /* always 0: "no base", "no index" */
    R_RIP,  /* start of the current instruction */
    R_COUNT
};

/* Segment register numbers as in ModRM.reg of MOV Sreg, then the two system segments. */
typedef enum { SEG_ES, SEG_CS, SEG_SS, SEG_DS, SEG_FS, SEG_GS, SEG_LDTR, SEG_TR, SEG_COUNT } SegReg;

/* EFLAGS (SDM 1, 3.4.3). */
enum {
    FL_CF = 1u << 0, FL_PF = 1u << 2, FL_AF = 1u << 4, FL_ZF = 1u << 6, FL_SF = 1u << 7,
    FL_TF = 1u << 8, FL_IF = 1u << 9, FL_DF = 1u << 10, FL_OF = 1u << 11, FL_IOPL = 3u << 12,
    FL_NT = 1u << 14, FL_RF = 1u << 16, FL_VM = 1u << 17, FL_AC = 1u << 18, FL_VIF = 1u << 19,
    FL_VIP = 1u << 20, FL_ID = 1u << 21,
    FL_ARITH = FL_CF | FL_PF | FL_AF | FL_ZF | FL_SF | FL_OF,
};

enum {
    CR0_PE = 1u << 0, CR0_MP = 1u << 1, CR0_EM = 1u << 2, CR0_TS = 1u << 3, CR0_ET = 1u << 4,
    CR0_NE = 1u << 5, CR0_WP = 1u << 16, CR0_AM = 1u << 18, CR0_NW = 1u << 29, CR0_CD = 1u << 30,
    CR0_PG = 1u << 31,
};

enum {
    CR4_VME = 1u << 0, CR4_PVI = 1u << 1, CR4_TSD = 1u << 2, CR4_DE = 1u << 3, CR4_PSE = 1u << 4,
    CR4_PAE = 1u << 5, CR4_MCE = 1u << 6, CR4_PGE = 1u << 7, CR4_PCE = 1u << 8,
    CR4_OSFXSR = 1u << 9, CR4_OSXMMEXCPT = 1u << 10, CR4_UMIP = 1u << 11, CR4_LA57 = 1u << 12,
    CR4_FSGSBASE = 1u << 16, CR4_PCIDE = 1u << 17, CR4_OSXSAVE = 1u << 18, CR4_SMEP = 1u << 20,
    CR4_SMAP = 1u << 21, CR4_PKE = 1u << 22,
};

enum { EFER_SCE = 1u << 0, EFER_LME = 1u << 8, EFER_LMA = 1u << 10, EFER_NXE = 1u << 11,
       EFER_AIBRSE = 1u << 21 };

/* Exception vectors (SDM 3A table 6-1). */
typedef enum {
    EXC_DE = 0, EXC_DB = 1, EXC_NMI = 2, EXC_BP = 3, EXC_OF = 4, EXC_BR = 5, EXC_UD = 6, EXC_NM = 7,
    EXC_DF = 8, EXC_TS = 10, EXC_NP = 11, EXC_SS = 12, EXC_GP = 13, EXC_PF = 14, EXC_MF = 16,
    EXC_AC = 17, EXC_MC = 18, EXC_XM = 19,
} X86Exception;

/*
 * A segment register with its hidden part. attr has the access rights as in the second doubleword
 * of a descriptor, shifted right by 8: type 3:0, S 4, DPL 6:5, P 7, AVL 12, L 13, D/B 14, G 15; bit
 * 16 says unusable (null). The limit is in bytes, granularity applied.
 */
typedef struct X86Segment {
    uint64_t base;
    uint32_t limit;
    uint32_t attr;
    uint16_t selector;
} X86Segment;

enum {
    SEG_ATTR_TYPE = 0xf, SEG_ATTR_S = 1u << 4, SEG_ATTR_DPL_SHIFT = 5, SEG_ATTR_P = 1u << 7,
    SEG_ATTR_AVL = 1u << 12, SEG_ATTR_L = 1u << 13, SEG_ATTR_DB = 1u << 14, SEG_ATTR_G = 1u << 15,
    SEG_ATTR_UNUSABLE = 1u << 16,
};

typedef struct X86Table {
    uint64_t base;
    uint16_t limit;
} X86Table;

typedef union X86Vector {
    uint8_t u8[64];
    uint16_t u16[32];
    uint32_t u32[16];
    uint64_t u64[8];
    float f32[16];
    double f64[8];
} __attribute__((aligned(64))) X86Vector;

/* x87 state in the layout of the first 160 bytes of FXSAVE64 (SDM 1, 10.5.1). */
typedef struct X87State {
    uint16_t fcw, fsw;
    uint8_t ftw; /* abridged: bit n set: physical register n is valid */
    uint8_t reserved;
    uint16_t fop;
    uint64_t fip, fdp;
    uint32_t mxcsr, mxcsr_mask;
    struct {
        uint8_t bytes[10];
        uint8_t pad[6];
    } st[8]; /* relative to TOP */
} X87State;

/* Ticks a second of our own CPU's time stamp counter, unless the user wants another rate. */
#define X86_TSC_HZ 1000000000u

/*
 * Where an indirect jump leads. The tag is minus the sum of the address and the salt of mode and
 * address space, so that a change of either needs no flush.
 */
typedef struct JitJump {
    uint64_t tag;       /* 0: none */
    const void *host;   /* entry with the flags in the host's register */
    const void *host_m; /* and with the flags in memory */
    uintptr_t block;    /* the TransBlock; bit 0: its page is a global one */
} JitJump;

/* Entries go by bits 17:2 of the address: code rarely is jumped to at less than 4 bytes apart. */
#define JIT_JUMP_BITS 16
#define JIT_JUMP_MASK (((1u << JIT_JUMP_BITS) - 1) << 2)
#define JIT_SLOTS (1u << 16)
#define JIT_POINTERS 6

/* What translated code reaches by displacements (accel/tcg/). */

typedef struct X86JitState {
    struct X86CPU *cpu;     /* itself */
    void *jit;
    uint64_t salt;
    uint16_t flags;         /* arithmetic flags as LAHF and SETO AL leave them in AX */
    uint8_t vec;            /* vector state is in the host's registers: VEC_* of accel/tcg/jit.h */
    uint8_t vec_wanted;     /* and this much is to be there when the slow path returns */
    bool x87, x87_wanted;   /* the same for the x87 state */
    bool leave;             /* a block was dropped: leave translated code */
    bool flags_left;        /* code was left with the flags in @flags, not in cc */
    uint32_t poll;          /* another thread wants attention */
    int32_t budget;         /* -icount: instructions that no block has taken yet */
    uint32_t exit_link;     /* number of the link by which code was left, from 1; 0: none */
    uint32_t mxcsr_default;
    const struct TscAnchor *const *clock; /* of clock_vm_anchor() */
    uint64_t scratch[8];
    TlbEntry straddling;    /* stands for two pages: leads to the bytes below */
    uint8_t straddling_bytes[64];
    uint64_t pointers[JIT_POINTERS]; /* to what a block's checks in front found */
    const void *resume;
    uint64_t *lockstep_tag; /* of the jump made for one branch in lockstep */
    JitJump jumps[1u << JIT_JUMP_BITS];
    const void *slots[JIT_SLOTS]; /* where direct jumps to other pages lead */
    uint8_t x87_image[576] __attribute__((aligned(64))); /* XSAVE area */
    uint64_t x87_host_ip;   /* of the last x87 instruction, until its RIP is known */
    uint64_t x87_scratch[2];
} X86JitState;

/*
 * What a CPU remembers of a page with decoded code that it wrote to: where the code is
 * (interp/cache.h).
 */
#define CODE_WATCHES 64u
typedef struct CodeWatch {
    uintptr_t page;             /* host address; 0: none */
    uint64_t granules;          /* bit n: code, of some CPU, in bytes 64n..64n+63 */
    const uint64_t *generation; /* valid while this is ... */
    uint64_t known;
    const _Atomic uint8_t *marks;
    uint32_t writes;            /* since the last code in the page was dropped */
    bool alone;                 /* no other CPU decodes code */
} CodeWatch;

/* An answer of CPUID that is good until cpuid_forget(); an empty place has another's leaf. */
#define CPUID_ANSWERS 16u
typedef struct CpuidAnswer {
    uint32_t leaf, subleaf;
    uint32_t out[4];            /* EAX, EBX, ECX, EDX */
    uint64_t unused;            /* to a size that a shift makes */
} CpuidAnswer;

typedef struct Insn Insn;
typedef struct CodeCache CodeCache;
typedef struct Block Block;
typedef struct X86CpuModel X86CpuModel;

#define MSR_MTRR_FIX_COUNT 11
#define MSR_MTRR_VAR_COUNT 8

typedef struct X86CPU {
    Vcpu vcpu; /* first */

    uint64_t regs[R_COUNT];
#define cpu_rip regs[R_RIP]
    uint32_t cc;        /* arithmetic flags, FL_ARITH bits only */
    uint32_t eflags;    /* all other flags; bit 1 always set */
    MmuView mmu_view;   /* of ordinary data accesses at this CPL */
    uint8_t cpl;
    uint8_t code_size;  /* 16, 32 or 64: default operand/address size of CS */
    bool interrupt_shadow; /* after STI, MOV SS, POP SS: one instruction without interrupts */
    bool ss32;          /* stack pointer is ESP (or RSP in 64-bit code) rather than SP */
    bool nmi_blocked;   /* until IRET */
    bool smm;
    const Insn *insn;   /* being executed */

    X86Segment seg[SEG_COUNT];
    X86Table gdtr, idtr;
    uint64_t cr0, cr2, cr3, cr4, cr8, efer, xcr0;
    uint64_t dr[8];
    uint32_t pkru;
    uint64_t pdpte[4];  /* PAE page-directory pointers, loaded with CR3 (SDM 3A 4.4.1) */

    X87State x87;
    X86Vector vec[32];
    uint64_t opmask[8];

    /* MSRs (SDM 4). */
    uint64_t msr_star, msr_lstar, msr_cstar, msr_fmask, msr_kernel_gs_base, msr_tsc_aux;
    uint64_t msr_sysenter_cs, msr_sysenter_esp, msr_sysenter_eip, msr_pat, msr_misc_enable;
    uint64_t msr_tsc_adjust, msr_spec_ctrl, msr_xss, msr_feature_control, msr_arch_capabilities;
    uint64_t msr_mcg_status, msr_mcg_cap, msr_mcg_ctl;
    uint64_t msr_mtrr_def_type, msr_mtrr_fix[MSR_MTRR_FIX_COUNT];
    uint64_t msr_mtrr_base[MSR_MTRR_VAR_COUNT], msr_mtrr_mask[MSR_MTRR_VAR_COUNT];
    bool paravirt;      /* we answer KVM's hypercalls and MSRs (interp/paravirt.c), not a kernel */
    uint64_t msr_kvm_wall_clock, msr_kvm_system_time;
    int64_t tsc_offset; /* guest TSC = host clock scaled to vcpu.tsc_hz + offset */

    /* What CPUID offers: bit words by FeatureWord, and the table built from the model. */
    uint32_t features[FEATURE_WORD_COUNT];
    const X86CpuModel *model;
    struct X86CpuidTable *cpuid;
    CpuidAnswer cpuid_answers[CPUID_ANSWERS]; /* by the leaf's low bits, for translated code */
    uint8_t phys_bits, virt_bits;
    bool alone;         /* the machine can have no other CPU */

    /* Exception in flight: set by cpu_raise(), delivered by the run loop. */
    struct {
        int vector;         /* -1: none */
        bool has_error;
        uint32_t error;
        uint64_t dr6_bits;  /* #DB: causes to set in DR6 */
    } exception;
    int delivering;         /* vector being delivered (-1 none): for #DF and triple faults */

    /* Debugging (interp/debug.c): nothing below matters unless debug_active. */
    bool debug_active;      /* TF or DR7 armed: the run loop goes by single instructions */
    bool debug_trap;        /* TF was set when the current instruction began */
    bool debug_inhibit;     /* MOV SS, POP SS: traps wait for the next instruction */
    bool debug_keep_rf;     /* the instruction loaded RF: it counts for the next one */
    uint8_t debug_hits;     /* breakpoints hit by the current instruction */
    uint8_t debug_held;     /* and by one whose traps wait */
    sigjmp_buf run_jump;    /* where cpu_raise() and cpu_leave_block() land */

    /*
     * Instructions executed. With -icount (icount_limit is not UINT64_MAX) they are exact, and time
     * is made of them (accel/icount.h): an instruction counts from the moment it begins, whether or
     * not it raises, and the run loop returns before the one that would exceed the limit. Whatever
     * can look at the time or set a timer (ports, MMIO, RDTSC, MSRs) must find its own instruction
     * counted, and an event that an instruction raises is taken before the next.
     */
    uint64_t icount, icount_limit;
    uint64_t trace_hash;    /* of the registers and icount at each event; 0: not wanted */
    uint64_t random_state;  /* RDRAND gives a sequence that begins here; 0: the host's numbers */
    uint64_t exceptions_count, interrupts_count;
    CodeCache *code;        /* decoded blocks */
    CodeWatch code_watches[CODE_WATCHES];
    struct ThunkArena *thunks; /* host code for vector and x87 instructions; NULL until needed */
    bool thunks_refused;       /* by the host, which has been said */
    /*
     * FERR#: an x87 exception is reported through the board (CR0.NE clear). True: IGNNE# is
     * asserted, go on. NULL: no such wire, #MF is raised.
     */
    bool (*ferr)(void *opaque);
    void *ferr_opaque;
    /*
     * Numbers, each used once, that change when instruction fetches may lead to another page: the
     * first with the address space too, the second only where global pages may have moved.
     */
    uint64_t map_generation, map_global_generation;
    TlbEntry tlb[MMU_VIEWS][TLB_ENTRIES];
    MmuState mmu;
    PhysPage phys_cache[PHYS_CACHE_SIZE];
    /* Runs a block in place of the interpreter; false if it did not. NULL: there is no such. */
    bool (*engine)(struct X86CPU *cpu, Block *block);
    X86JitState jit;
} X86CPU;

static inline X86CPU *x86_cpu(Vcpu *vcpu)
{
    return (X86CPU *)vcpu;
}

static inline bool cpu_has(const X86CPU *cpu, X86Feature feature)
{
    return (cpu->features[feature >> 5] >> (feature & 31)) & 1;
}

static inline bool cpu_long_mode(const X86CPU *cpu)
{
    return cpu->efer & EFER_LMA;
}

static inline bool cpu_code64(const X86CPU *cpu)
{
    return cpu->code_size == 64;
}

static inline bool cpu_protected(const X86CPU *cpu)
{
    return cpu->cr0 & CR0_PE;
}

/* Protected mode and not virtual-8086. */
static inline bool cpu_pm(const X86CPU *cpu)
{
    return (cpu->cr0 & CR0_PE) && !(cpu->eflags & FL_VM);
}

static inline unsigned cpu_iopl(const X86CPU *cpu)
{
    return (cpu->eflags >> 12) & 3;
}

static inline uint32_t cpu_get_eflags(const X86CPU *cpu)
{
    return cpu->eflags | cpu->cc | 2;
}

/* True if @addr is canonical for the CPU's linear address width (48, or 57 bits with LA57). */
static inline bool cpu_canonical(const X86CPU *cpu, uint64_t addr)
{
    unsigned shift = cpu->cr4 & CR4_LA57 ? 7 : 16;

    return (uint64_t)((int64_t)(addr << shift) >> shift) == addr;
}

/* --- life (target-i386/cpu.c, lead) ---------------------------------------- */

typedef struct CodeDomain CodeDomain; /* CPUs that share one memory (interp/cache.h) */

/* A CPU on @memory and @ports, not yet reset, without a model; @index 0 is the boot CPU. */
X86CPU *cpu_new(MemorySpace *memory, PortSpace *ports, CodeDomain *domain, unsigned index);
void cpu_free(X86CPU *cpu);
/* Puts the CPU into its state after power-on or, with @init, after INIT (SDM 3A table 9-1). */
void cpu_reset(X86CPU *cpu, bool init);
/*
 * Recomputes what is derived from CR0, CR4, EFER, CS, SS, CPL, EFLAGS: code_size, ss32, mmu_view.
 */
void cpu_update_mode(X86CPU *cpu);
/*
 * Writes EFLAGS bits of @mask from @value, without privilege checks; keeps mode and view current.
 */
void cpu_set_eflags(X86CPU *cpu, uint32_t value, uint32_t mask);

/* --- raising (target-i386/interp/exception.c, helper sys) ------------------ */

/* Ends the current instruction with an exception; the state must be as before the instruction. */
G_NORETURN void cpu_raise(X86CPU *cpu, X86Exception vector);
G_NORETURN void cpu_raise_error(X86CPU *cpu, X86Exception vector, uint32_t error);
static inline G_NORETURN void cpu_raise_ud(X86CPU *cpu)
{
    cpu_raise(cpu, EXC_UD);
}
static inline G_NORETURN void cpu_raise_gp(X86CPU *cpu, uint32_t error)
{
    cpu_raise_error(cpu, EXC_GP, error);
}
/*
 * Delivers the exception, interrupt or NMI through the IDT. Run loop only; may raise a further one.
 */
void cpu_deliver(X86CPU *cpu, int vector, bool software, bool has_error, uint32_t error);
/* Raises #DF or resets by SDM 3A table 6-5 when @vector comes while another is being delivered. */
void cpu_deliver_pending_exception(X86CPU *cpu);
/* Accepts what is pending (INIT, SIPI, NMI, INTR) between instructions; true if state changed. */
bool cpu_accept_events(X86CPU *cpu);

/* --- control registers, segments, MSRs (target-i386/interp/, helper sys) --- */

void cpu_set_cr0(X86CPU *cpu, uint64_t value);
void cpu_set_cr3(X86CPU *cpu, uint64_t value);
void cpu_set_cr4(X86CPU *cpu, uint64_t value);
/* Loads a data or stack segment register, with all checks (SDM 3A 5.4–5.6, 5.11). Not CS. */
void cpu_load_segment(X86CPU *cpu, SegReg reg, uint16_t selector);
/* Guest TSC when CLOCK_VM is @vm_ns, and now. */
uint64_t cpu_tsc_at(const X86CPU *cpu, int64_t vm_ns);
uint64_t cpu_read_tsc(X86CPU *cpu);
bool cpu_msr_read(X86CPU *cpu, uint32_t msr, uint64_t *value);
bool cpu_msr_write(X86CPU *cpu, uint32_t msr, uint64_t value);
/* CPUID as this CPU answers it (target-i386/cpuid.c, helper models). */
void cpu_cpuid(X86CPU *cpu, uint32_t leaf, uint32_t subleaf, uint32_t out[4]);
/* The same, and translated code will know it. */
void cpu_cpuid_remember(X86CPU *cpu, uint32_t leaf, uint32_t subleaf, uint32_t out[4]);
/* What the answers depend on changed: the model, CR4, XCR0, IA32_XSS or IA32_APIC_BASE. */
void cpu_cpuid_forget(X86CPU *cpu);

#endif
