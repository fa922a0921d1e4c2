/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * JSON values for QMP. Why not json-glib's: it keeps no number above INT64_MAX, and QMP carries
 * unsigned 64-bit numbers; it parses whole texts, and QMP is a stream.
 */
#ifndef MONITOR_JV_H
#define MONITOR_JV_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

typedef enum {
    JV_NULL,
    JV_BOOL,
    JV_INT,    /* fits int64_t */
    JV_UINT,   /* above INT64_MAX */
    JV_DOUBLE,
    JV_STRING, /* UTF-8; U+0000 is kept as C0 80, so that it is a C string */
    JV_ARRAY,
    JV_OBJECT, /* members keep their order */
} JvType;

typedef struct Jv Jv;

Jv *jv_null(void);
Jv *jv_bool(bool value);
Jv *jv_int(int64_t value);
Jv *jv_uint(uint64_t value);
Jv *jv_double(double value);
Jv *jv_string(const char *text);
Jv *jv_array(void);
Jv *jv_object(void);
Jv *jv_copy(const Jv *value);
void jv_free(Jv *value);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Jv, jv_free)

JvType jv_type(const Jv *value);
/* What a person calls it: "integer", "object". */
const char *jv_type_name(const Jv *value);

/* Readers; the type must fit, but for the numbers, which are false when they do not. */
bool jv_get_bool(const Jv *value);
bool jv_get_int(const Jv *value, int64_t *out);
bool jv_get_uint(const Jv *value, uint64_t *out);
bool jv_get_double(const Jv *value, double *out);
const char *jv_get_string(const Jv *value);

/* Elements of an array, members of an object. */
unsigned jv_length(const Jv *value);
const Jv *jv_at(const Jv *value, unsigned index);
const char *jv_key_at(const Jv *object, unsigned index);
/* Appends and returns @array; takes @item. */
Jv *jv_append(Jv *array, Jv *item);
/* The member @key, or NULL. */
const Jv *jv_member(const Jv *object, const char *key);
/* Adds a member and returns @object; takes @value. The object must not have @key. */
Jv *jv_set(Jv *object, const char *key, Jv *value);
static inline Jv *jv_set_string(Jv *object, const char *key, const char *text)
{
    return jv_set(object, key, jv_string(text));
}
static inline Jv *jv_set_bool(Jv *object, const char *key, bool value)
{
    return jv_set(object, key, jv_bool(value));
}
static inline Jv *jv_set_int(Jv *object, const char *key, int64_t value)
{
    return jv_set(object, key, jv_int(value));
}
/* Text of the string member @key, or NULL; truth of the member @key, or @def. */
const char *jv_member_string(const Jv *object, const char *key);
bool jv_member_bool(const Jv *object, const char *key, bool def);

/* Appends the JSON text: ASCII, on one line or laid out with four blanks a level. */
void jv_print(const Jv *value, bool pretty, GString *out);

/* ---- The reader of a stream ---- */

#define JV_MAX_DEPTH 1024
#define JV_MAX_MESSAGE (16u << 20) /* bytes */
#define JV_MAX_VALUES (256u << 10)

typedef struct JvReader JvReader;

JvReader *jv_reader_new(void);
void jv_reader_free(JvReader *reader);
/* Forgets what was read, for a new connection. */
void jv_reader_reset(JvReader *reader);
/*
 * Takes bytes until a value is complete or a mistake is found: then *@value or *@error is set, and
 * the bytes that follow were not taken. Returns how many were. After a mistake within a value the
 * reader goes on behind it; after a byte that begins no token, with the next of {}[]:, or a control
 * character or 0xff (which is never part of JSON, so clients send it to be in step again).
 */
size_t jv_reader_feed(JvReader *reader, const uint8_t *data, size_t size, Jv **value,
                      GError **error);

#endif
