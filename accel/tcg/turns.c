/* SPDX-License-Identifier: GPL-2.0-or-later */
/* CPUs that run by turns: tickets, served in order. */
#include "accel/tcg/turns.h"

/* 30 ms in lockstep. Who spins with PAUSE gives its turn away, so that nobody waits for it. */
#define TURN_BLOCKS 65536u

struct Turns {
    GMutex lock;
    GCond served;
    guint64 next, serving; /* tickets */
    unsigned blocks;       /* of this turn */
};

Turns *turns_new(void)
{
    Turns *turns = g_new0(Turns, 1);

    g_mutex_init(&turns->lock);
    g_cond_init(&turns->served);
    return turns;
}

void turns_free(Turns *turns)
{
    if (turns) {
        g_mutex_clear(&turns->lock);
        g_cond_clear(&turns->served);
        g_free(turns);
    }
}

static void turns_yield(Vcpu *vcpu)
{
    turns_give(vcpu->scheduler_opaque);
    turns_take(vcpu->scheduler_opaque);
}

static const VcpuScheduler scheduler = {.yield = turns_yield};

void turns_join(Turns *turns, Vcpu *vcpu)
{
    vcpu->scheduler = &scheduler;
    vcpu->scheduler_opaque = turns;
}

void turns_take(Turns *turns)
{
    guint64 ticket;

    g_mutex_lock(&turns->lock);
    ticket = turns->next++;
    while (ticket != turns->serving) {
        g_cond_wait(&turns->served, &turns->lock);
    }
    turns->blocks = 0;
    g_mutex_unlock(&turns->lock);
}

void turns_give(Turns *turns)
{
    g_mutex_lock(&turns->lock);
    turns->serving++;
    g_cond_broadcast(&turns->served);
    g_mutex_unlock(&turns->lock);
}

void turns_pass(Turns *turns)
{
    if (++turns->blocks < TURN_BLOCKS) {
        return;
    }
    turns_give(turns);
    turns_take(turns);
}
