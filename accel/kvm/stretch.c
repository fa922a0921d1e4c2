/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The ski-rental problem: not knowing when KVM fails next, we spend about as much time in the
 * interpreter as the guest spends in KVM between two failures, or as the change costs. So the whole
 * is never much more than twice what the better of the two engines would have taken, whichever
 * that is and however fast. A KVM that fails seldom has the CPU to itself: it was chosen to run the
 * guest, so if it is the slower one as well, that is patience asked for (trials=patient).
 */
#include "accel/kvm/stretch.h"

#include <glib.h>

uint64_t kvm_stretch_next(KvmStretch *stretch)
{
    int64_t fair = MAX(stretch->away_ns, KVM_STRETCH_PRICE_NS);

    if (stretch->cost_ns && stretch->away_ns < KVM_STRETCH_FAR_NS) {
        if (stretch->cost_ns < fair) {
            stretch->length = CLAMP(stretch->length * 2, KVM_STRETCH_MIN, KVM_STRETCH_MAX);
        } else if (stretch->cost_ns / 2 > fair) {
            stretch->length /= 2;
        }
    } else {
        stretch->length /= 2;
    }
    if (stretch->length < KVM_STRETCH_MIN) {
        stretch->length = 0;
    }
    stretch->away_ns = 0;
    return stretch->length;
}

/* User code that stays away for longer than the change costs is lent sooner, else later. */
void kvm_stretch_lent(KvmStretch *stretch)
{
    if (stretch->away_ns < KVM_STRETCH_PRICE_NS) {
        stretch->lend = MIN(stretch->lend * 2, KVM_LEND_MAX);
    } else if (stretch->away_ns > 4 * KVM_STRETCH_PRICE_NS) {
        stretch->lend = MAX(stretch->lend / 2, KVM_LEND_MIN);
    }
    stretch->away_ns = 0;
}
