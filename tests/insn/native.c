/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The host's side: the instruction runs natively. A signal handler swaps the whole machine state in
 * (by the context that sigreturn loads, in 32-bit code through a 32-bit code segment) and, when the
 * instruction has ended in a breakpoint or a fault, out again.
 */
#include <asm/prctl.h>
#include <cpuid.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <ucontext.h>

#include "tests/insn/insn-test.h"

/* Linux's user segments. */
enum { CS_32 = 0x23, CS_64 = 0x33, SS_USER = 0x2b };

/* XSAVE standard format, as in signal frames: offsets of components (CPUID leaf 0xD). */
enum { XS_HEADER = 512, XS_AVX = 576 };

static struct {
    const InsnCase *test;
    InsnState *out;
    bool inside; /* test code runs */
    unsigned runs, last_runs; /* now, and at the last tick */
    greg_t saved_gregs[NGREG];
    uint8_t saved_fp[16384];
    size_t fp_size;
    uint64_t xfeatures;
    unsigned offset[8]; /* of XSAVE components */
    uint64_t fs_base, gs_base; /* before the test */
} native;

/* arch_prctl(2), without the library: that finds errno by FS. */
static void segment_base(int operation, uintptr_t argument)
{
    long result;

    __asm__ volatile("syscall" : "=a"(result)
                     : "a"(SYS_arch_prctl), "D"(operation), "S"(argument)
                     : "rcx", "r11", "memory");
}

static void read_xsave_layout(void)
{
    uint32_t a, b, c, d;

    for (unsigned i = 2; i < 8; i++) {
        __cpuid_count(0xd, i, a, b, c, d);
        native.offset[i] = b;
    }
    __asm__ volatile("xgetbv" : "=a"(a), "=d"(d) : "c"(0));
    native.xfeatures = a & 0xe7;
}

/* Moves vector state between @state and an XSAVE area. */
static void move_vectors(InsnState *state, uint8_t *area, bool store)
{
    struct {
        unsigned component, first, count, from, bytes;
    } parts[] = {{1, 0, 16, 0, 16}, {2, 0, 16, 16, 16}, {6, 0, 16, 32, 32}, {7, 16, 16, 0, 64}};

    for (unsigned p = 0; p < G_N_ELEMENTS(parts); p++) {
        unsigned offset = parts[p].component == 1 ? 160 : native.offset[parts[p].component];

        if (!(native.xfeatures >> parts[p].component & 1)) {
            continue;
        }
        for (unsigned i = 0; i < parts[p].count; i++) {
            uint8_t *at = area + offset + i * parts[p].bytes;
            uint8_t *vec = &state->vec[parts[p].first + i][parts[p].from];

            if (store) {
                memcpy(at, vec, parts[p].bytes);
            } else {
                memcpy(vec, at, parts[p].bytes);
            }
        }
    }
    if (native.xfeatures & 0x20) {
        if (store) {
            memcpy(area + native.offset[5], state->opmask, 64);
        } else {
            memcpy(state->opmask, area + native.offset[5], 64);
        }
    }
}

typedef struct FxImage {
    uint16_t fcw, fsw;
    uint8_t ftw, reserved;
    uint16_t fop;
    uint64_t fip, fdp;
    uint32_t mxcsr, mxcsr_mask;
    X87Slot st[8];
} FxImage;

static void load_fp(const InsnState *state, uint8_t *area)
{
    FxImage *fx = (FxImage *)area;
    InsnState copy = *state;
    uint64_t bv = native.xfeatures;

    fx->fcw = state->fcw;
    fx->fsw = state->fsw;
    fx->ftw = state->ftw;
    fx->fop = state->fop;
    fx->fip = state->fip;
    fx->fdp = state->fdp;
    fx->mxcsr = state->mxcsr;
    memcpy(fx->st, state->st, sizeof(fx->st));
    move_vectors(&copy, area, true);
    memcpy(area + XS_HEADER, &bv, 8);
}

/* Components that XSAVE left out are in their initial state. */
static void expand_init(uint8_t *area)
{
    static const unsigned size[8] = {0, 0, 256, 0, 0, 64, 512, 1024};
    uint64_t bv;

    memcpy(&bv, area + XS_HEADER, 8);
    if (!(bv & 1)) {
        FxImage *fx = (FxImage *)area;
        uint32_t mxcsr = fx->mxcsr;

        memset(fx, 0, sizeof(*fx));
        fx->fcw = 0x37f;
        fx->mxcsr = mxcsr;
    }
    if (!(bv & 2)) {
        memset(area + 160, 0, 256);
    }
    for (unsigned i = 2; i < 8; i++) {
        if (!(bv >> i & 1) && (native.xfeatures >> i & 1)) {
            memset(area + native.offset[i], 0, size[i]);
        }
    }
}

static void save_fp(InsnState *state, uint8_t *area)
{
    FxImage *fx = (FxImage *)area;

    expand_init(area);
    state->fcw = fx->fcw;
    state->fsw = fx->fsw;
    state->ftw = fx->ftw;
    state->fop = fx->fop;
    state->fip = fx->fip;
    state->fdp = fx->fdp;
    state->mxcsr = fx->mxcsr;
    memcpy(state->st, fx->st, sizeof(fx->st));
    move_vectors(state, area, false);
}

/* Register numbers of ModRM to slots of the context. */
static const int greg_of[16] = {REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP,
                                REG_RSI, REG_RDI, REG_R8,  REG_R9,  REG_R10, REG_R11,
                                REG_R12, REG_R13, REG_R14, REG_R15};

static void enter_test(ucontext_t *context)
{
    const InsnCase *test = native.test;
    greg_t *gregs = context->uc_mcontext.gregs;
    uint64_t cs = test->mode == TEST_64 ? CS_64 : CS_32;

    segment_base(ARCH_GET_FS, (uintptr_t)&native.fs_base);
    segment_base(ARCH_GET_GS, (uintptr_t)&native.gs_base);
    memcpy(native.saved_gregs, gregs, sizeof(native.saved_gregs));
    memcpy(native.saved_fp, context->uc_mcontext.fpregs, native.fp_size);
    for (unsigned i = 0; i < 16; i++) {
        gregs[greg_of[i]] = test->state.gpr[i];
    }
    gregs[REG_RIP] = test->rip;
    gregs[REG_EFL] = test->state.eflags;
    gregs[REG_CSGSFS] = (gregs[REG_CSGSFS] & 0x0000ffffffff0000ll) | cs | (uint64_t)SS_USER << 48;
    load_fp(&test->state, (uint8_t *)context->uc_mcontext.fpregs);
    native.inside = true;
}

/* Signal frames do not keep the bases: code that overwrote itself may have changed them. */
static void restore_bases(void)
{
    segment_base(ARCH_SET_FS, native.fs_base);
    segment_base(ARCH_SET_GS, native.gs_base);
}

static void leave_test(ucontext_t *context)
{
    greg_t *gregs = context->uc_mcontext.gregs;
    InsnState *out = native.out;
    uint64_t bits = native.test->mode == TEST_64 ? UINT64_MAX : UINT32_MAX;

    restore_bases();
    for (unsigned i = 0; i < 16; i++) {
        out->gpr[i] = gregs[greg_of[i]] & (i < 8 ? bits : UINT64_MAX);
    }
    out->rip = gregs[REG_RIP] & bits;
    out->eflags = gregs[REG_EFL];
    out->vector = gregs[REG_TRAPNO];
    out->error = gregs[REG_ERR];
    out->cr2 = gregs[REG_CR2];
    if (out->vector == 3) { /* the breakpoint behind the instruction */
        out->vector = -1;
        out->rip--;
    } else if (out->vector == 13 && native.test->addressing && out->rip - CODE_VA < CODE_SIZE &&
               *(uint8_t *)(uintptr_t)out->rip == SEQUENCE_FILLER) {
        out->vector = -1;
    }
    save_fp(out, (uint8_t *)context->uc_mcontext.fpregs);
    memcpy(gregs, native.saved_gregs, sizeof(native.saved_gregs));
    memcpy(context->uc_mcontext.fpregs, native.saved_fp, native.fp_size);
    native.inside = false;
}

/* Code that still runs a tick later does not end: CPUs may differ in that. */
static void on_tick(ucontext_t *context)
{
    bool same = native.runs == native.last_runs;

    native.last_runs = native.runs;
    if (native.inside && same) {
        leave_test(context);
        native.out->vector = VECTOR_ENDLESS;
    }
}

static void on_signal(int number, siginfo_t *info, void *opaque)
{
    /* Linux leaves AC to handlers as it finds it; no code here is made for that. */
    __builtin_ia32_writeeflags_u64(__builtin_ia32_readeflags_u64() & ~0x40000ull);
    if (number == SIGVTALRM) {
        on_tick(opaque);
    } else if (native.inside) {
        leave_test(opaque);
    } else if (number == SIGTRAP && native.test) {
        enter_test(opaque);
    } else {
        signal(number, SIG_DFL); /* our own fault: let it happen again */
    }
}

static void *map_fixed(uint32_t va, size_t size, int protection)
{
    return mmap((void *)(uintptr_t)va, size, protection,
                MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
}

/*
 * Code that overwrites itself may become SYSCALL or INT 80: from below 4 GiB, where test code lies,
 * these raise SIGSYS (prctl(2)). A host that cannot do so, before Linux 5.11, carries them out.
 */
static void refuse_system_calls(void)
{
    static uint8_t block = 1;
    uint64_t allowed = UINT64_C(1) << 32;

    (void)!prctl(PR_SET_SYSCALL_USER_DISPATCH, PR_SYS_DISPATCH_ON, allowed,
                 (UINT64_C(1) << 47) - allowed, &block);
}

static void install_handlers(void)
{
    static const int signals[] = {SIGTRAP, SIGSEGV, SIGILL, SIGFPE, SIGBUS, SIGSYS, SIGVTALRM};
    static const struct itimerval tick = {{0, 250000}, {0, 250000}};
    static uint8_t stack[65536];
    stack_t alternate = {.ss_sp = stack, .ss_size = sizeof(stack)};
    struct sigaction action = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | SA_ONSTACK};

    sigaltstack(&alternate, NULL);
    sigfillset(&action.sa_mask); /* no tick while a test is entered or left */
    for (unsigned i = 0; i < G_N_ELEMENTS(signals); i++) {
        sigaction(signals[i], &action, NULL);
    }
    setitimer(ITIMER_VIRTUAL, &tick, NULL);
    refuse_system_calls();
}

/* Extent of the FP state in a signal frame: Linux notes it in the last bytes of the legacy area. */
static void measure_frame(int number, siginfo_t *info, void *opaque)
{
    ucontext_t *context = opaque;
    const uint8_t *area = (const uint8_t *)context->uc_mcontext.fpregs;
    uint32_t words[2];

    memcpy(words, area + 464, sizeof(words)); /* magic1, extended_size */
    native.fp_size = words[0] == 0x46505853 ? words[1] : 512;
}

bool native_init(void)
{
    struct sigaction action = {.sa_sigaction = measure_frame, .sa_flags = SA_SIGINFO};

    if (map_fixed(CODE_VA, CODE_SIZE, PROT_READ | PROT_WRITE | PROT_EXEC) == MAP_FAILED ||
        map_fixed(DATA_VA, DATA_SIZE, PROT_READ | PROT_WRITE) == MAP_FAILED) {
        fprintf(stderr, "cannot map test code and data below 4 GiB\n");
        return false;
    }
    read_xsave_layout();
    sigaction(SIGTRAP, &action, NULL);
    raise(SIGTRAP);
    if (native.fp_size > sizeof(native.saved_fp)) {
        fprintf(stderr, "signal frames of this host are too large: %zu\n", native.fp_size);
        return false;
    }
    install_handlers();
    return true;
}

void native_run(const InsnCase *test, InsnState *out)
{
    uint8_t *all = (uint8_t *)(uintptr_t)CODE_VA;
    uint8_t *data = (uint8_t *)(uintptr_t)DATA_VA;

    memset(all, test->addressing ? SEQUENCE_FILLER : 0xcc, CODE_SIZE);
    memcpy(all + (test->rip - CODE_VA), test->bytes, test->len);
    memcpy(data, test->state.data, DATA_SIZE);
    native.out = out;
    native.test = test;
    native.runs++;
    *out = test->state;
    /* 32-bit code needs real data segments. */
    __asm__ volatile("mov %0, %%ds; mov %0, %%es" : : "r"(SS_USER));
    __asm__ volatile("int3" : : : "memory");
    native.test = NULL;
    memcpy(out->data, data, DATA_SIZE);
}

const uint8_t *native_code(void)
{
    return (const uint8_t *)(uintptr_t)CODE_VA;
}
