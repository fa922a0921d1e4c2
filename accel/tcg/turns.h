/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * CPUs that run by turns, one at a time: in lockstep, where what one writes between the two runs of
 * another's block would be undone, or seen once. Turns come in the order in which they are asked
 * for.
 */
#ifndef ACCEL_TCG_TURNS_H
#define ACCEL_TCG_TURNS_H

#include "accel/accel.h"

typedef struct Turns Turns;

Turns *turns_new(void);
void turns_free(Turns *turns);
/*
 * @vcpu takes part: where it waits for another (PAUSE), its turn is over there and then, for it may
 * take the lock back that it gave away just before.
 */
void turns_join(Turns *turns, Vcpu *vcpu);
/* Waits for one; not with the machine lock held, which its owner may want. */
void turns_take(Turns *turns);
void turns_give(Turns *turns);
/* Between two blocks: to the next CPU now and then, and back. */
void turns_pass(Turns *turns);

#endif
