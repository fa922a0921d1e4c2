/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The board that a hostile guest runs on: memory of every kind, and ports that turn it round. */
#ifndef TESTS_FUZZ_HOSTILE_BOARD_H
#define TESTS_FUZZ_HOSTILE_BOARD_H

#include "target-i386/cpu.h"

#define BOARD_CPUS 2
#define BOARD_RAM_SIZE (2u << 20)

typedef struct HostileBoard HostileBoard;

/* What a CPU does after a triple fault, in its own thread: the guest begins anew. */
typedef void BoardRestart(void *opaque, X86CPU *cpu);

/* A board with @count CPUs of model "max", their threads parked. Machine lock held. */
HostileBoard *board_new(unsigned count, uint64_t seed, BoardRestart *restart, void *opaque);
void board_free(HostileBoard *board);
X86CPU *board_cpu(HostileBoard *board, unsigned index);
uint8_t *board_ram(HostileBoard *board);

/* xorshift64*: the same numbers on every host. */
static inline uint64_t random_next(uint64_t *state)
{
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return *state * 0x2545f4914f6cdd1dULL;
}
static inline unsigned random_below(uint64_t *state, unsigned limit)
{
    return (random_next(state) >> 32) % limit;
}

#endif
