/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What became of a block, for -d op,out_asm. */
#ifndef ACCEL_TCG_TRACE_H
#define ACCEL_TCG_TRACE_H

#include "accel/tcg/trans.h"

/* After @t's block was written: its code that rarely runs begins at @cold, writable mapping. */
void trans_trace(const Trans *t, const uint8_t *cold);

#endif
