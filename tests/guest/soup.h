/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Random numbers, and memory full of what looks like code, for the hostile guests. */
#ifndef TESTS_GUEST_SOUP_H
#define TESTS_GUEST_SOUP_H

#include "report.h"

/* The next of the numbers that @state stands for; soup_below(): less than @limit. */
uint64_t soup_random(uint64_t *state);
uint32_t soup_below(uint64_t *state, uint32_t limit);

/*
 * Fills @size bytes at @at with random bytes, or with encodings of instructions most of which
 * exist: of every kind, privileged and undefined ones too, that branch among themselves and write
 * over each other.
 */
void soup_fill(uint64_t *state, uint8_t *at, unsigned size);

#endif
