/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A small machine on KVM for tests: RAM at 0, a ROM at the reset vector with the test's code, the
 * board's interrupt chips, and ports by which the code talks to the test.
 */
#ifndef TESTS_UNIT_KVM_RIG_H
#define TESTS_UNIT_KVM_RIG_H

#include "accel/machine.h"
#include "hw/core/machine.h"
#include "target-i386/cpus.h"

#define RIG_RAM_SIZE 0x400000u
#define RIG_SAY_PORT 0xe0  /* 1, 2 or 4 bytes: what the code says is appended to Rig.said */
#define RIG_STOP_PORT 0xe8 /* any write: the test goes on */

typedef struct Rig {
    Config *config;
    Diag *diag;
    X86CpuModel *model;
    X86CpuSet *cpus;
    Machine *machine;
    RamBlock *rom;
    const AccelMachine *accel;
    uint32_t said[64];
    unsigned said_count;
    unsigned stops;     /* writes to RIG_STOP_PORT */
    GCond stopped;
} Rig;

/*
 * Code of a guest, 16-bit, put where CS:0 is after reset; data segments are at 0. RIG_STOP ends it.
 */
#define GUEST_CODE(name, ...)                                                                      \
    __asm__(".pushsection .rodata\n.globl " #name "\n" #name ":\n.code16\n" __VA_ARGS__            \
            "\n.globl " #name "_end\n" #name "_end:\n.code64\n.popsection\n");                     \
    extern const uint8_t name[], name##_end[]

#define RIG_STOP "out %al, $0xe8\n 99: hlt\n jmp 99b\n"

/* @accel is the argument of -accel, @cpu that of -cpu; the machine is reset and does not run. */
/* KVM as it is, in whatever it may be wrong, and our own interrupt controllers. */
#define RIG_PLAIN_KVM "kvm,trials=off,kernel-irqchip=off"
Rig *rig_new(const char *accel, const char *cpu, const uint8_t *code, const uint8_t *end);
void rig_free(Rig *rig);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Rig, rig_free)
/* Lets it run until the code writes to RIG_STOP_PORT once more, then pauses it. */
void rig_run(Rig *rig);
/* Lets it run for a moment, whatever it does. */
void rig_run_for(Rig *rig, unsigned ms);
Vcpu *rig_vcpu(Rig *rig);
/* As g_test_run(), with locks and clocks set up; skips everything without /dev/kvm. */
int rig_main(int argc, char **argv);

#endif
