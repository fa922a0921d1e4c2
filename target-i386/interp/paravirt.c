/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What our own CPU offers of KVM's interface to guests (Linux Documentation/virt/kvm/x86/msr.rst,
 * cpuid.rst, hypercalls.rst): a clock that is a linear function of the TSC, told to the guest in a
 * page of its own, and the hypercall instruction, which knows no call.
 */
#include "target-i386/interp/paravirt.h"

#include <stdatomic.h>

#include "target-i386/interp/system.h"
#include "util/lock.h"
#include "util/log.h"
#include "util/timer.h"

enum { SYSTEM_TIME_ENABLE = 1 };
enum { PVCLOCK_TSC_STABLE = 1 };
/* Errors of hypercalls, as in linux/kvm_para.h. */
enum { KVM_ENOSYS = 1000, KVM_EPERM = 1 };

/* As in msr.rst; asm/pvclock-abi.h has the same. Versions are odd while the rest changes. */
typedef struct WallClock {
    uint32_t version;
    uint32_t seconds, nanoseconds;
} WallClock;

typedef struct SystemTime {
    uint32_t version;
    uint32_t pad0;
    uint64_t tsc_timestamp;
    uint64_t system_time;
    uint32_t tsc_to_system_mul;
    int8_t tsc_shift;
    uint8_t flags;
    uint8_t pad[2];
} SystemTime;

/* --- the clock -------------------------------------------------------------------------- */

/*
 * Writes the structure in @image so that a reader on another CPU sees the old, the new, or an odd
 * version: its first word apart from the rest.
 */
static bool publish(X86CPU *cpu, uint64_t address, uint32_t version, void *image, size_t size)
{
    MemorySpace *memory = cpu->vcpu.memory;
    bool taken = machine_lock_enter(); /* the guest may name a device */
    uint32_t *first = image;
    bool good;

    *first = version | 1;
    good = memory_write(memory, address, image, sizeof(*first)) &&
           memory_write(memory, address + 4, first + 1, size - 4);
    atomic_thread_fence(memory_order_release);
    *first = (version | 1) + 1;
    good = good && memory_write(memory, address, image, sizeof(*first));
    machine_lock_leave(taken);
    return good;
}

static uint32_t version_at(X86CPU *cpu, uint64_t address)
{
    bool taken = machine_lock_enter();
    uint32_t version = 0;

    memory_read(cpu->vcpu.memory, address, &version, sizeof(version));
    machine_lock_leave(taken);
    return version;
}

/*
 * Nanoseconds are ((tsc << shift) * mul) >> 32: the shift that leaves mul the most bits (msr.rst).
 */
static void scale_of(uint64_t hz, uint32_t *mul, int8_t *shift)
{
    *shift = 0;
    for (; hz > 2 * (uint64_t)NS_PER_SECOND; hz >>= 1) {
        --*shift;
    }
    for (; hz <= NS_PER_SECOND && *shift < 31; hz <<= 1) {
        ++*shift;
    }
    *mul = ((unsigned __int128)NS_PER_SECOND << 32) / hz;
}

/*
 * The TSC is CLOCK_VM times its frequency plus an offset, so time and TSC of any one moment hold
 * for ever, unless the guest moves its TSC. One page does for all CPUs while none of them has.
 */
static bool write_system_time(X86CPU *cpu)
{
    uint64_t address = cpu->msr_kvm_system_time & ~(uint64_t)SYSTEM_TIME_ENABLE;
    SystemTime time = {
        .system_time = clock_ns(CLOCK_VM),
        .flags = cpu_has(cpu, X86_FEATURE_KVMCLOCK_STABLE_BIT) && !cpu->tsc_offset
                 ? PVCLOCK_TSC_STABLE : 0,
    };

    time.tsc_timestamp = cpu_tsc_at(cpu, time.system_time);
    scale_of(cpu->vcpu.tsc_hz, &time.tsc_to_system_mul, &time.tsc_shift);
    return publish(cpu, address, version_at(cpu, address), &time, sizeof(time));
}

static void report_bad_page(X86CPU *cpu, uint64_t address)
{
    log_guest_error("cpu %u: the clock page %#" G_GINT64_MODIFIER "x is not memory",
                    cpu->vcpu.index, address);
}

bool paravirt_set_system_time(X86CPU *cpu, uint64_t value)
{
    cpu->msr_kvm_system_time = value;
    if ((value & SYSTEM_TIME_ENABLE) && !write_system_time(cpu)) {
        report_bad_page(cpu, value);
    }
    return true;
}

/* The time of day at which CLOCK_VM was 0. */
bool paravirt_set_wall_clock(X86CPU *cpu, uint64_t value)
{
    int64_t base = clock_ns(CLOCK_HOST) - clock_ns(CLOCK_VM);
    WallClock clock = {.seconds = base / NS_PER_SECOND, .nanoseconds = base % NS_PER_SECOND};

    cpu->msr_kvm_wall_clock = value;
    if (!publish(cpu, value, version_at(cpu, value), &clock, sizeof(clock))) {
        report_bad_page(cpu, value);
    }
    return true;
}

void paravirt_tsc_moved(X86CPU *cpu)
{
    if (cpu->paravirt && (cpu->msr_kvm_system_time & SYSTEM_TIME_ENABLE)) {
        paravirt_set_system_time(cpu, cpu->msr_kvm_system_time);
    }
}

/* --- hypercalls ---------------------------------------------------------------------------- */

/* A guest that has seen KVM's signature may call; of others the instruction is unknown. */
static void insn_hypercall(X86CPU *cpu, const Insn *insn)
{
    if (!cpu->paravirt || !(cpu->features[FEATURE_WORD_KVM_EAX])) {
        cpu_raise_ud(cpu);
    }
    cpu->regs[R_RAX] = cpu->cpl ? -KVM_EPERM : -KVM_ENOSYS;
    if (!cpu_code64(cpu)) {
        cpu->regs[R_RAX] = (uint32_t)cpu->regs[R_RAX];
    }
}

INSN_FAMILY(hypercall)
{
    return insn_hypercall;
}
