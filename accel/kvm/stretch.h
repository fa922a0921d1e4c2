/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How long our interpreter keeps a CPU that it took over from KVM. Taking over and giving back has
 * a price, and where KVM fails often, going on ourselves is cheaper than paying it each time.
 */
#ifndef ACCEL_KVM_STRETCH_H
#define ACCEL_KVM_STRETCH_H

#include <stdint.h>

#define KVM_STRETCH_MIN 16384u   /* about as long as the price lasts */
#define KVM_STRETCH_MAX 1048576u
#define KVM_STRETCH_PRICE_NS 100000
#define KVM_STRETCH_FAR_NS 20000000 /* in KVM for longer than this: it does well */

#define KVM_LEND_MIN 4096u
#define KVM_LEND_START 65536u
#define KVM_LEND_MAX 4194304u

typedef struct KvmStretch {
    uint64_t length;  /* instructions; 0: the one that KVM cannot run */
    uint64_t lend;    /* of user code on end, before a slow KVM gets it */
    int64_t cost_ns;  /* of the last takeover with all that was done in it; 0: there was none */
    int64_t away_ns;  /* what the guest has run in KVM since */
} KvmStretch;

/* At a takeover: how many instructions to go on for after the one that KVM cannot run. */
uint64_t kvm_stretch_next(KvmStretch *stretch);
/*
 * Where KVM is slower than our interpreter but for user code, which it runs as the host's: when
 * that comes back, settles how many instructions of it in a row make it worth lending again.
 */
void kvm_stretch_lent(KvmStretch *stretch);

#endif
