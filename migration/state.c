/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Walks a state table: an object to a dictionary of named values, and back with every check. */
#include "migration/state.h"

#include <string.h>

#include "util/timer.h"

#define STATE_VERSION_KEY "version"

static void *field_at(void *object, const StateField *field, unsigned i)
{
    return (char *)object + field->offset + i * field->size;
}

static uint64_t uint_get(const void *at, size_t size)
{
    uint64_t value = 0;

    g_assert(size <= sizeof(value));
    memcpy(&value, at, size); /* the host is little-endian */
    return value;
}

/* --- Saving ------------------------------------------------------------------ */

static GVariant *save_uints(const StateField *field, void *object)
{
    g_autofree uint64_t *values = g_new(uint64_t, field->count);

    for (unsigned i = 0; i < field->count; i++) {
        values[i] = uint_get(field_at(object, field, i), field->size);
    }
    if (field->count == 1) {
        return g_variant_new_uint64(values[0]);
    }
    return g_variant_new_fixed_array(G_VARIANT_TYPE_UINT64, values, field->count, sizeof(uint64_t));
}

static GVariant *save_structs(const StateField *field, void *object)
{
    GVariantBuilder list;

    if (field->count == 1) {
        return state_save(field->sub, field_at(object, field, 0));
    }
    g_variant_builder_init(&list, G_VARIANT_TYPE("aa{sv}"));
    for (unsigned i = 0; i < field->count; i++) {
        g_variant_builder_add_value(&list, state_save(field->sub, field_at(object, field, i)));
    }
    return g_variant_builder_end(&list);
}

static GVariant *save_field(const StateField *field, void *object)
{
    void *at = field_at(object, field, 0);

    switch (field->kind) {
    case STATE_UINT:
        return save_uints(field, object);
    case STATE_BOOL:
        return g_variant_new_boolean(*(bool *)at);
    case STATE_BYTES:
        return g_variant_new_fixed_array(G_VARIANT_TYPE_BYTE, at, field->size, 1);
    case STATE_STRUCT:
        return save_structs(field, object);
    case STATE_TIMER:
        return g_variant_new_int64(timer_expire_ns(*(Timer **)at));
    }
    g_assert_not_reached();
}

GVariant *state_save(const StateTable *table, void *object)
{
    GVariantBuilder fields;

    if (table->pre_save) {
        table->pre_save(object);
    }
    g_variant_builder_init(&fields, G_VARIANT_TYPE_VARDICT);
    g_variant_builder_add(&fields, "{sv}", STATE_VERSION_KEY, g_variant_new_int32(table->version));
    for (const StateField *field = table->fields; field->name; field++) {
        g_variant_builder_add(&fields, "{sv}", field->name, save_field(field, object));
    }
    return g_variant_builder_end(&fields);
}

/* --- Loading ------------------------------------------------------------------- */

static bool load_fail(const StateTable *table, const char *field, const char *what, GError **error)
{
    g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_INVAL, "state of '%s': '%s' %s", table->name,
                field, what);
    return false;
}

static const char *field_type(const StateField *field)
{
    switch (field->kind) {
    case STATE_UINT:
        return field->count == 1 ? "t" : "at";
    case STATE_BOOL:
        return "b";
    case STATE_BYTES:
        return "ay";
    case STATE_STRUCT:
        return field->count == 1 ? "a{sv}" : "aa{sv}";
    case STATE_TIMER:
        return "x";
    }
    g_assert_not_reached();
}

/* Elements that a value of @field must have, 0 if it is no array. */
static size_t field_elements(const StateField *field)
{
    if (field->kind == STATE_BYTES) {
        return field->size;
    }
    bool array = (field->kind == STATE_UINT || field->kind == STATE_STRUCT) && field->count > 1;
    return array ? field->count : 0;
}

static bool uint_set(void *at, size_t size, uint64_t value)
{
    if (size < sizeof(value) && value >> (size * 8)) {
        return false;
    }
    memcpy(at, &value, size);
    return true;
}

static bool load_uints(const StateTable *table, const StateField *field, void *object,
                       GVariant *value, GError **error)
{
    for (unsigned i = 0; i < field->count; i++) {
        uint64_t number;
        if (field->count == 1) {
            number = g_variant_get_uint64(value);
        } else {
            g_variant_get_child(value, i, "t", &number);
        }
        if (!uint_set(field_at(object, field, i), field->size, number)) {
            return load_fail(table, field->name, "is too large", error);
        }
    }
    return true;
}

static bool load_structs(const StateField *field, void *object, GVariant *value, GError **error)
{
    if (field->count == 1) {
        return state_load(field->sub, field_at(object, field, 0), value, error);
    }
    for (unsigned i = 0; i < field->count; i++) {
        g_autoptr(GVariant) child = g_variant_get_child_value(value, i);
        if (!state_load(field->sub, field_at(object, field, i), child, error)) {
            return false;
        }
    }
    return true;
}

static void load_bytes(void *at, GVariant *value)
{
    gsize size;
    const void *bytes = g_variant_get_fixed_array(value, &size, 1);

    memcpy(at, bytes, size);
}

static void load_timer(Timer *timer, int64_t expire)
{
    if (expire < 0) {
        timer_del(timer);
    } else {
        timer_mod(timer, expire);
    }
}

static bool load_field(const StateTable *table, const StateField *field, void *object,
                       GVariant *value, GError **error)
{
    void *at = field_at(object, field, 0);

    switch (field->kind) {
    case STATE_UINT:
        return load_uints(table, field, object, value, error);
    case STATE_BOOL:
        *(bool *)at = g_variant_get_boolean(value);
        return true;
    case STATE_BYTES:
        load_bytes(at, value);
        return true;
    case STATE_STRUCT:
        return load_structs(field, object, value, error);
    case STATE_TIMER:
        load_timer(*(Timer **)at, g_variant_get_int64(value));
        return true;
    }
    g_assert_not_reached();
}

static bool load_named(const StateTable *table, const StateField *field, void *object,
                       GVariant *state, GError **error)
{
    g_autoptr(GVariant) value = g_variant_lookup_value(state, field->name, NULL);
    size_t elements = field_elements(field);

    if (!value) {
        return load_fail(table, field->name, "is missing", error);
    }
    if (strcmp(g_variant_get_type_string(value), field_type(field))) {
        return load_fail(table, field->name, "has another type", error);
    }
    if (elements && g_variant_n_children(value) != elements) {
        return load_fail(table, field->name, "has another length", error);
    }
    return load_field(table, field, object, value, error);
}

static bool table_has(const StateTable *table, const char *name)
{
    for (const StateField *field = table->fields; field->name; field++) {
        if (!strcmp(field->name, name)) {
            return true;
        }
    }
    return !strcmp(name, STATE_VERSION_KEY);
}

static bool check_names(const StateTable *table, GVariant *state, GError **error)
{
    GVariantIter iter;
    const char *name;

    g_variant_iter_init(&iter, state);
    while (g_variant_iter_next(&iter, "{&sv}", &name, NULL)) {
        if (!table_has(table, name)) {
            return load_fail(table, name, "is not known", error);
        }
    }
    return true;
}

bool state_load(const StateTable *table, void *object, GVariant *state, GError **error)
{
    int32_t version;

    if (!g_variant_is_of_type(state, G_VARIANT_TYPE_VARDICT) ||
        !g_variant_lookup(state, STATE_VERSION_KEY, "i", &version)) {
        return load_fail(table, STATE_VERSION_KEY, "is missing", error);
    }
    if (version > table->version || version < table->minimum_version) {
        return load_fail(table, STATE_VERSION_KEY, "is not supported", error);
    }
    if (!check_names(table, state, error)) {
        return false;
    }
    for (const StateField *field = table->fields; field->name; field++) {
        if (!load_named(table, field, object, state, error)) {
            return false;
        }
    }
    return !table->post_load || table->post_load(object, version, error);
}
