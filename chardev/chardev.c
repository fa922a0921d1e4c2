/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The back ends of a machine: made from their groups, found by id, attached to front ends. */
#include "chardev/chardev.h"

#include <errno.h>
#include <signal.h>
#include <string.h>

#include "chardev/internal.h"

struct ChardevSet {
    GPtrArray *chardevs; /* of Chardev * */
};

REGISTRY_DECLARE(chardev_backends, ChardevOps);

G_DEFINE_QUARK(chardev-error, chardev_error)

/* --- Keys ---------------------------------------------------------------------- */

const char *chardev_key(const ConfigGroup *group, const char *key, const char *def)
{
    const char *value = group ? group_get(group, key) : NULL;
    return value ? value : def;
}

bool chardev_key_bool(const ConfigGroup *group, const char *key, bool def)
{
    bool value = def;

    if (group) {
        group_get_bool(group, key, &value, NULL); /* validated before */
    }
    return value;
}

const char *chardev_key_needed(const Chardev *chardev, const ConfigGroup *group, const char *key,
                               GError **error)
{
    const char *value = chardev_key(group, key, NULL);

    if (!value || !*value) {
        g_set_error(error, CHARDEV_ERROR, 0, "chardev '%s': backend %s needs %s=", chardev->id,
                    chardev->ops->name, key);
        return NULL;
    }
    return value;
}

bool chardev_errno(const Chardev *chardev, const char *what, GError **error)
{
    g_set_error(error, CHARDEV_ERROR, 0, "chardev '%s': %s: %s", chardev->id, what,
                g_strerror(errno));
    return false;
}

/* --- The set ------------------------------------------------------------------- */

static const ChardevOps *chardev_backend_find(const char *name)
{
    for (REGISTRY_FOREACH(chardev_backends, ChardevOps, p)) {
        if (strcmp((*p)->name, name) == 0) {
            return *p;
        }
    }
    return NULL;
}

static void chardev_free(gpointer opaque)
{
    Chardev *chardev = opaque;

    chardev->ops->close(chardev);
    if (chardev->mux) {
        chardev_mux_free(chardev->mux);
    }
    g_free(chardev->id);
    g_free(chardev);
}

Chardev *chardev_add(ChardevSet *set, const ChardevOps *ops, const char *id)
{
    Chardev *chardev = g_malloc0(ops->size);

    chardev->ops = ops;
    chardev->id = g_strdup(id);
    g_ptr_array_add(set->chardevs, chardev);
    return chardev;
}

static void report_unknown_backend(const ConfigGroup *group, const char *name, Diag *diag)
{
    g_autoptr(GPtrArray) names = g_ptr_array_new();

    for (REGISTRY_FOREACH(chardev_backends, ChardevOps, p)) {
        g_ptr_array_add(names, (gpointer)(*p)->name);
    }
    g_ptr_array_add(names, NULL);
    diag_error(diag, group->origin, "chardev '%s': there is no backend '%s'", group->id, name);
    diag_suggest(diag, name, (const char *const *)names->pdata);
}

static const Chardev *find_same_backend(const ChardevSet *set, const ChardevOps *ops)
{
    for (unsigned n = 0; n < set->chardevs->len; n++) {
        const Chardev *chardev = g_ptr_array_index(set->chardevs, n);
        if (chardev->ops == ops) {
            return chardev;
        }
    }
    return NULL;
}

/* The escape character of -echr, Ctrl-A if not given. */
static uint8_t chardev_escape(const Config *config)
{
    const ConfigGroup *system = config_find(config, "system", NULL);
    const char *text = chardev_key(system, "echr", "0x01");

    return g_ascii_strtoull(text, NULL, 0);
}

static void chardev_create(ChardevSet *set, const Config *config, const ConfigGroup *group,
                           Diag *diag)
{
    const char *name = chardev_key(group, "backend", "");
    const ChardevOps *ops = chardev_backend_find(name);
    const Chardev *other = ops && ops->exclusive ? find_same_backend(set, ops) : NULL;
    g_autoptr(GError) error = NULL;
    Chardev *chardev;

    if (!ops) {
        report_unknown_backend(group, name, diag);
        return;
    }
    if (other) {
        diag_error(diag, group->origin, "chardev '%s': '%s' is %s already", group->id, other->id,
                   name);
        diag_note(diag, other->group->origin, "it is used here; mux=on lets several share it");
        return;
    }
    chardev = chardev_add(set, ops, group->id);
    chardev->group = group;
    if (chardev_key_bool(group, "mux", false)) {
        chardev->mux = chardev_mux_new(chardev, chardev_escape(config));
    }
    if (!ops->open(chardev, group, &error)) {
        diag_error(diag, group->origin, "%s", error->message);
        g_ptr_array_remove(set->chardevs, chardev);
    }
}

ChardevSet *chardev_set_new(const Config *config, Diag *diag)
{
    ChardevSet *set = g_new0(ChardevSet, 1);
    GPtrArray *groups = config ? config_groups(config, "chardev") : NULL;

    set->chardevs = g_ptr_array_new_with_free_func(chardev_free);
    /* A reader that goes away is an error of one write, not the end of the machine. */
    signal(SIGPIPE, SIG_IGN);
    for (unsigned n = 0; groups && n < groups->len; n++) {
        chardev_create(set, config, g_ptr_array_index(groups, n), diag);
    }
    return set;
}

void chardev_set_free(ChardevSet *set)
{
    if (set) {
        g_ptr_array_unref(set->chardevs);
        g_free(set);
    }
}

Chardev *chardev_find(ChardevSet *set, const char *id)
{
    for (unsigned n = 0; set && n < set->chardevs->len; n++) {
        Chardev *chardev = g_ptr_array_index(set->chardevs, n);
        if (strcmp(chardev->id, id) == 0) {
            return chardev;
        }
    }
    return NULL;
}

const char *chardev_id(const Chardev *chardev)
{
    return chardev->id;
}

Chardev *chardev_at(const ChardevSet *set, unsigned index)
{
    return set && index < set->chardevs->len ? g_ptr_array_index(set->chardevs, index) : NULL;
}

static char *describe_socket(const ConfigGroup *group)
{
    const char *path = chardev_key(group, "path", NULL);
    const char *server = chardev_key_bool(group, "server", false) ? ",server=on" : "";

    return path ? g_strdup_printf("unix:%s%s", path, server)
                : g_strdup_printf("tcp:%s:%s%s", chardev_key(group, "host", ""),
                                  chardev_key(group, "port", ""), server);
}

char *chardev_describe(const Chardev *chardev)
{
    const char *path = chardev_key(chardev->group, "path", NULL);

    if (!strcmp(chardev->ops->name, "socket")) {
        return describe_socket(chardev->group);
    }
    return path ? g_strdup_printf("%s:%s", chardev->ops->name, path)
                : g_strdup(chardev->ops->name);
}

bool chardev_is_used(const Chardev *chardev)
{
    return chardev->mux ? chardev_mux_count(chardev->mux) > 0 : chardev->client != NULL;
}

bool chardev_is_connected(const Chardev *chardev)
{
    return !chardev->ops->is_connected || chardev->ops->is_connected(chardev);
}

bool chardev_has_focus(const Chardev *chardev, const void *opaque)
{
    return chardev->mux ? chardev_mux_focus(chardev->mux) == opaque : chardev->opaque == opaque;
}

/* --- Front ends ---------------------------------------------------------------- */

bool chardev_attach(Chardev *chardev, const ChardevClient *client, void *opaque, GError **error)
{
    if (chardev->mux) {
        return chardev_mux_attach(chardev->mux, client, opaque, error);
    }
    if (chardev->client) {
        g_set_error(error, CHARDEV_ERROR, 0,
                    "chardev '%s' has a front end already; mux=on lets several share it",
                    chardev->id);
        return false;
    }
    chardev->client = client;
    chardev->opaque = opaque;
    chardev_accept_input(chardev);
    return true;
}

void chardev_detach(Chardev *chardev, void *opaque)
{
    if (chardev->mux) {
        chardev_mux_detach(chardev->mux, opaque);
    } else if (chardev->opaque == opaque) {
        chardev->client = NULL;
        chardev->opaque = NULL;
    }
}

size_t chardev_write(Chardev *chardev, const uint8_t *data, size_t size)
{
    return size ? chardev->ops->write(chardev, data, size) : 0;
}

void chardev_accept_input(Chardev *chardev)
{
    if (chardev->mux) {
        chardev_mux_accept_input(chardev->mux);
    }
    if (chardev->ops->accept_input) {
        chardev->ops->accept_input(chardev);
    }
}

size_t chardev_can_receive(Chardev *chardev)
{
    return chardev->client ? chardev->client->can_receive(chardev->opaque) : 0;
}

void chardev_receive(Chardev *chardev, const uint8_t *data, size_t size)
{
    if (chardev->client) {
        chardev->client->receive(chardev->opaque, data, size);
    }
}

void chardev_event(Chardev *chardev, ChardevEvent event)
{
    if (chardev->client && chardev->client->event) {
        chardev->client->event(chardev->opaque, event);
    }
}

void chardev_writable(Chardev *chardev)
{
    if (chardev->client && chardev->client->writable) {
        chardev->client->writable(chardev->opaque);
    }
}
