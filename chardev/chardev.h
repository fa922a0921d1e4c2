/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Character back ends (stdio, file, null, pty, socket, …): one ops struct each. A front end (serial
 * port, monitor, debug console) attaches with callbacks. Everything runs under the machine lock.
 */
#ifndef CHARDEV_CHARDEV_H
#define CHARDEV_CHARDEV_H

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "qemu-config/config.h"

typedef struct Chardev Chardev;
typedef struct ChardevOps ChardevOps;
typedef struct ChardevSet ChardevSet; /* the back ends of one machine, by id */

typedef enum {
    CHARDEV_OPENED,
    CHARDEV_CLOSED,
    CHARDEV_BREAK,
    CHARDEV_FOCUS, /* of a mux: what is typed goes to this front end from now on */
} ChardevEvent;

/* What a front end gives. */
typedef struct ChardevClient {
    /* Bytes it can take now; the back end reads no more than that from the host. */
    size_t (*can_receive)(void *opaque);
    void (*receive)(void *opaque, const uint8_t *data, size_t size);
    void (*event)(void *opaque, ChardevEvent event); /* may be NULL */
    /* The back end has room again after a short chardev_write(); may be NULL. */
    void (*writable)(void *opaque);
} ChardevClient;

/* Creates the back ends that [chardev] groups describe. Touches the host; call after validation. */
ChardevSet *chardev_set_new(const Config *config, Diag *diag);
void chardev_set_free(ChardevSet *set);
Chardev *chardev_find(ChardevSet *set, const char *id);
const char *chardev_id(const Chardev *chardev);
/* All of them: @index from 0, NULL at the end. */
Chardev *chardev_at(const ChardevSet *set, unsigned index);
/* What it is connected to, for people: "unix:/run/x,server=on"; g_free(). */
char *chardev_describe(const Chardev *chardev);
/* True if a front end is attached. */
bool chardev_is_used(const Chardev *chardev);
/* True if there is somebody on the other side; always, where that cannot be known. */
bool chardev_is_connected(const Chardev *chardev);
/* True if what is typed goes to the front end of @opaque: it has no mux, or its focus. */
bool chardev_has_focus(const Chardev *chardev, const void *opaque);

/* Attaches a front end; false and @error if it is taken and not a mux. */
bool chardev_attach(Chardev *chardev, const ChardevClient *client, void *opaque, GError **error);
void chardev_detach(Chardev *chardev, void *opaque);
/*
 * Writes what the host takes without blocking; returns the bytes taken. The rest is the
 * caller's: it keeps it (a FIFO that fills, as hardware would) and waits for writable(), so
 * nothing grows.
 */
size_t chardev_write(Chardev *chardev, const uint8_t *data, size_t size);
/* The front end can take input again. */
void chardev_accept_input(Chardev *chardev);

#endif
