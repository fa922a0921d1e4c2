/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A machine without devices and one monitor on a character device that the test holds. */
#ifndef TESTS_UNIT_MONITOR_WIRE_H
#define TESTS_UNIT_MONITOR_WIRE_H

#include "monitor/monitor.h"

typedef struct Wire Wire;

/* @mode is "control" or "readline". */
Wire *wire_new(const char *mode);
void wire_free(Wire *wire);
Machine *wire_machine(const Wire *wire);
/* The client sends; it may take fewer bytes than @size: those that the monitor has room for. */
size_t wire_send(Wire *wire, const char *data, size_t size);
void wire_send_text(Wire *wire, const char *text);
/* What has come since the last call; g_free(). */
char *wire_take(Wire *wire);
/* How many more bytes the client reads. It is without limit at first. */
void wire_set_room(Wire *wire, size_t room);
/* The client goes and comes again. */
void wire_reconnect(Wire *wire);
/* Lets what is deferred to the main loop happen. */
void wire_settle(void);

#endif
