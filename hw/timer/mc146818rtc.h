/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The CMOS bytes of the real-time clock, for boards that leave notes to the firmware there. */
#ifndef HW_TIMER_MC146818RTC_H
#define HW_TIMER_MC146818RTC_H

#include "hw/core/device.h"

/* Sets CMOS byte @index (14 to 127) of the RTC @device. */
void mc146818rtc_set_cmos(Device *device, unsigned index, uint8_t value);

#endif
