/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * State tables: what of an object is saved, field by field, by name. The same table serves
 * snapshot, migration, and comparison in tests.
 */
#ifndef MIGRATION_STATE_H
#define MIGRATION_STATE_H

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum { STATE_UINT, STATE_BOOL, STATE_BYTES, STATE_STRUCT, STATE_TIMER } StateKind;

typedef struct StateTable StateTable;

typedef struct StateField {
    const char *name;
    StateKind kind;
    size_t offset;
    size_t size;            /* of one element, bytes */
    unsigned count;         /* elements; 1 for a scalar */
    const StateTable *sub;  /* STATE_STRUCT */
} StateField;

struct StateTable {
    const char *name;
    int version;
    int minimum_version;
    const StateField *fields; /* ends with name == NULL */
    void (*pre_save)(void *object);
    /* Checks and rebuilds after loading: everything loaded is untrusted. */
    bool (*post_load)(void *object, int version, GError **error);
};

#define STATE_SIZEOF(type, field) sizeof(((type *)0)->field)
/* A scalar unsigned integer of any width, an array of them, a bool, raw bytes, nested structs. */
#define STATE_UINT_FIELD(type, field)                                                              \
    { #field, STATE_UINT, offsetof(type, field), STATE_SIZEOF(type, field), 1, NULL }
#define STATE_UINT_ARRAY(type, field)                                                              \
    { #field, STATE_UINT, offsetof(type, field), STATE_SIZEOF(type, field[0]),                     \
      STATE_SIZEOF(type, field) / STATE_SIZEOF(type, field[0]), NULL }
#define STATE_BOOL_FIELD(type, field)                                                              \
    { #field, STATE_BOOL, offsetof(type, field), STATE_SIZEOF(type, field), 1, NULL }
#define STATE_BYTES_FIELD(type, field)                                                             \
    { #field, STATE_BYTES, offsetof(type, field), STATE_SIZEOF(type, field), 1, NULL }
#define STATE_STRUCT_FIELD(type, field, table)                                                     \
    { #field, STATE_STRUCT, offsetof(type, field), STATE_SIZEOF(type, field), 1, &(table) }
#define STATE_STRUCT_ARRAY(type, field, table)                                                     \
    { #field, STATE_STRUCT, offsetof(type, field), STATE_SIZEOF(type, field[0]),                   \
      STATE_SIZEOF(type, field) / STATE_SIZEOF(type, field[0]), &(table) }
/* A Timer *: saved as expiry, -1 if not pending. */
#define STATE_TIMER_FIELD(type, field)                                                             \
    { #field, STATE_TIMER, offsetof(type, field), sizeof(void *), 1, NULL }
#define STATE_END { NULL }

/*
 * The object as a dictionary of its fields by name (GVariant type a{sv}, with "version"); floating.
 * g_variant_get_data() gives the bytes of a stream. Machine lock held, vCPUs parked.
 */
GVariant *state_save(const StateTable *table, void *object);
/*
 * Fills @object from what state_save() gave, taking nothing for granted: unknown, missing, mistyped
 * and oversized fields and versions out of range fail with @error, which names the field. The
 * object is then in no usable state: reset or drop it.
 */
bool state_load(const StateTable *table, void *object, GVariant *state, GError **error);

#endif
