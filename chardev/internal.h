/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a back end gives and may call. A back end registers its ops with CHARDEV_BACKEND; its object
 * starts with a Chardev.
 */
#ifndef CHARDEV_INTERNAL_H
#define CHARDEV_INTERNAL_H

#include "chardev/chardev.h"
#include "util/registry.h"

typedef struct ChardevMux ChardevMux;

struct ChardevOps {
    const char *name; /* key "backend" */
    size_t size;      /* of the object */
    bool exclusive;   /* there is one of it in a process: the terminal */
    /* Opens what @group describes; false and @error if the host refuses. */
    bool (*open)(Chardev *chardev, const ConfigGroup *group, GError **error);
    /* Also called after a failed open(). */
    void (*close)(Chardev *chardev);
    /* As chardev_write(); after a short write chardev_writable() must follow. */
    size_t (*write)(Chardev *chardev, const uint8_t *data, size_t size);
    void (*accept_input)(Chardev *chardev); /* NULL: has no input */
    bool (*is_connected)(const Chardev *chardev); /* NULL: always */
};

#define CHARDEV_BACKEND(ops) REGISTRY_ADD(chardev_backends, ChardevOps, ops)

struct Chardev {
    const ChardevOps *ops;
    char *id;
    const ConfigGroup *group;    /* NULL in tests */
    const ChardevClient *client; /* NULL: nobody listens */
    void *opaque;
    ChardevMux *mux;             /* mux=on: the client is this multiplexer */
};

#define CHARDEV_ERROR (chardev_error_quark())
GQuark chardev_error_quark(void);

/* --- For back ends ------------------------------------------------------------- */

/* How many bytes the front end takes now. */
size_t chardev_can_receive(Chardev *chardev);
void chardev_receive(Chardev *chardev, const uint8_t *data, size_t size);
void chardev_event(Chardev *chardev, ChardevEvent event);
void chardev_writable(Chardev *chardev);

/* Text and truth of a key of @group, or the default; group may be NULL. */
const char *chardev_key(const ConfigGroup *group, const char *key, const char *def);
bool chardev_key_bool(const ConfigGroup *group, const char *key, bool def);
/* The text of a key that must be there; NULL and @error if it is not. */
const char *chardev_key_needed(const Chardev *chardev, const ConfigGroup *group, const char *key,
                               GError **error);
/* Sets @error to what errno says about @what; returns false. */
bool chardev_errno(const Chardev *chardev, const char *what, GError **error);

/* --- Construction, also for tests ---------------------------------------------- */

/* Makes an object of @ops and adds it to @set; it is not opened. */
Chardev *chardev_add(ChardevSet *set, const ChardevOps *ops, const char *id);

/* --- Multiplexer (mux.c) ------------------------------------------------------- */

ChardevMux *chardev_mux_new(Chardev *chardev, uint8_t escape);
void chardev_mux_free(ChardevMux *mux);
bool chardev_mux_attach(ChardevMux *mux, const ChardevClient *client, void *opaque, GError **error);
void chardev_mux_detach(ChardevMux *mux, void *opaque);
void chardev_mux_accept_input(ChardevMux *mux);
/* The front end in focus, or NULL, and how many there are. */
const void *chardev_mux_focus(const ChardevMux *mux);
unsigned chardev_mux_count(const ChardevMux *mux);

#endif
