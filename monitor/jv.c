/* SPDX-License-Identifier: GPL-2.0-or-later */
/* JSON values: making, reading and printing them. */
#include "monitor/jv.h"

#include <math.h>
#include <string.h>

/* Beyond this a hash table finds the members: clients choose how many there are. */
#define INDEX_FROM 16

typedef struct JvMember {
    char *key;
    Jv *value;
} JvMember;

struct Jv {
    JvType type;
    union {
        bool boolean;
        int64_t integer;
        uint64_t natural;
        double real;
        char *string;
        GPtrArray *items; /* of Jv * */
        struct {
            GArray *members;   /* of JvMember */
            GHashTable *index; /* char * -> position + 1, or NULL */
        } object;
    };
};

/* ---- Making ---- */

static Jv *jv_new(JvType type)
{
    Jv *value = g_new0(Jv, 1);

    value->type = type;
    return value;
}

Jv *jv_null(void)
{
    return jv_new(JV_NULL);
}

Jv *jv_bool(bool boolean)
{
    Jv *value = jv_new(JV_BOOL);

    value->boolean = boolean;
    return value;
}

Jv *jv_int(int64_t integer)
{
    Jv *value = jv_new(JV_INT);

    value->integer = integer;
    return value;
}

Jv *jv_uint(uint64_t natural)
{
    if (natural <= INT64_MAX) {
        return jv_int(natural);
    }
    Jv *value = jv_new(JV_UINT);
    value->natural = natural;
    return value;
}

Jv *jv_double(double real)
{
    Jv *value = jv_new(JV_DOUBLE);

    g_assert(isfinite(real));
    value->real = real;
    return value;
}

Jv *jv_string(const char *text)
{
    Jv *value = jv_new(JV_STRING);

    value->string = g_strdup(text);
    return value;
}

Jv *jv_array(void)
{
    Jv *value = jv_new(JV_ARRAY);

    value->items = g_ptr_array_new_with_free_func((GDestroyNotify)jv_free);
    return value;
}

static void member_clear(gpointer opaque)
{
    JvMember *member = opaque;

    g_free(member->key);
    jv_free(member->value);
}

Jv *jv_object(void)
{
    Jv *value = jv_new(JV_OBJECT);

    value->object.members = g_array_new(FALSE, FALSE, sizeof(JvMember));
    g_array_set_clear_func(value->object.members, member_clear);
    return value;
}

/* Recurses as deep as JV_MAX_DEPTH allows. */
void jv_free(Jv *value)
{
    if (!value) {
        return;
    }
    if (value->type == JV_STRING) {
        g_free(value->string);
    } else if (value->type == JV_ARRAY) {
        g_ptr_array_unref(value->items);
    } else if (value->type == JV_OBJECT) {
        g_clear_pointer(&value->object.index, g_hash_table_unref);
        g_array_unref(value->object.members);
    }
    g_free(value);
}

Jv *jv_copy(const Jv *value)
{
    Jv *copy;

    switch (value->type) {
    case JV_STRING:
        return jv_string(value->string);
    case JV_ARRAY:
        copy = jv_array();
        for (unsigned i = 0; i < jv_length(value); i++) {
            jv_append(copy, jv_copy(jv_at(value, i)));
        }
        return copy;
    case JV_OBJECT:
        copy = jv_object();
        for (unsigned i = 0; i < jv_length(value); i++) {
            jv_set(copy, jv_key_at(value, i), jv_copy(jv_at(value, i)));
        }
        return copy;
    default:
        copy = jv_new(value->type);
        *copy = *value;
        return copy;
    }
}

/* ---- Reading ---- */

JvType jv_type(const Jv *value)
{
    return value->type;
}

const char *jv_type_name(const Jv *value)
{
    static const char *const names[] = {
        [JV_NULL] = "null", [JV_BOOL] = "boolean", [JV_INT] = "integer", [JV_UINT] = "integer",
        [JV_DOUBLE] = "number", [JV_STRING] = "string", [JV_ARRAY] = "array",
        [JV_OBJECT] = "object",
    };
    return names[value->type];
}

bool jv_get_bool(const Jv *value)
{
    g_assert(value->type == JV_BOOL);
    return value->boolean;
}

bool jv_get_int(const Jv *value, int64_t *out)
{
    *out = value->type == JV_INT ? value->integer : 0;
    return value->type == JV_INT;
}

bool jv_get_uint(const Jv *value, uint64_t *out)
{
    bool fits = value->type == JV_UINT || (value->type == JV_INT && value->integer >= 0);

    *out = fits ? value->natural : 0;
    return fits;
}

bool jv_get_double(const Jv *value, double *out)
{
    switch (value->type) {
    case JV_INT:
        *out = value->integer;
        return true;
    case JV_UINT:
        *out = value->natural;
        return true;
    case JV_DOUBLE:
        *out = value->real;
        return true;
    default:
        return false;
    }
}

const char *jv_get_string(const Jv *value)
{
    g_assert(value->type == JV_STRING);
    return value->string;
}

unsigned jv_length(const Jv *value)
{
    return value->type == JV_ARRAY ? value->items->len : value->object.members->len;
}

static const JvMember *member_at(const Jv *object, unsigned index)
{
    g_assert(object->type == JV_OBJECT);
    return &g_array_index(object->object.members, JvMember, index);
}

const Jv *jv_at(const Jv *value, unsigned index)
{
    if (value->type == JV_ARRAY) {
        return g_ptr_array_index(value->items, index);
    }
    return member_at(value, index)->value;
}

const char *jv_key_at(const Jv *object, unsigned index)
{
    return member_at(object, index)->key;
}

Jv *jv_append(Jv *array, Jv *item)
{
    g_assert(array->type == JV_ARRAY);
    g_ptr_array_add(array->items, item);
    return array;
}

const Jv *jv_member(const Jv *object, const char *key)
{
    if (object->object.index) {
        unsigned position = GPOINTER_TO_UINT(g_hash_table_lookup(object->object.index, key));
        return position ? member_at(object, position - 1)->value : NULL;
    }
    for (unsigned i = 0; i < jv_length(object); i++) {
        if (!strcmp(member_at(object, i)->key, key)) {
            return member_at(object, i)->value;
        }
    }
    return NULL;
}

static void object_index(Jv *object)
{
    object->object.index = g_hash_table_new(g_str_hash, g_str_equal);
    for (unsigned i = 0; i < jv_length(object); i++) {
        g_hash_table_insert(object->object.index, member_at(object, i)->key,
                            GUINT_TO_POINTER(i + 1));
    }
}

Jv *jv_set(Jv *object, const char *key, Jv *value)
{
    JvMember member = { g_strdup(key), value };

    g_assert(!jv_member(object, key));
    g_array_append_val(object->object.members, member);
    if (object->object.index) {
        g_hash_table_insert(object->object.index, member.key, GUINT_TO_POINTER(jv_length(object)));
    } else if (jv_length(object) > INDEX_FROM) {
        object_index(object);
    }
    return object;
}

const char *jv_member_string(const Jv *object, const char *key)
{
    const Jv *value = jv_member(object, key);

    return value ? jv_get_string(value) : NULL;
}

bool jv_member_bool(const Jv *object, const char *key, bool def)
{
    const Jv *value = jv_member(object, key);

    return value ? jv_get_bool(value) : def;
}

/* ---- Printing ---- */

static void print_unicode(gunichar character, GString *out)
{
    if (character < 0x10000) {
        g_string_append_printf(out, "\\u%04X", character);
    } else {
        character -= 0x10000;
        g_string_append_printf(out, "\\u%04X\\u%04X", 0xd800 | character >> 10,
                               0xdc00 | (character & 0x3ff));
    }
}

static void print_byte(char byte, GString *out)
{
    static const char from[] = "\"\\\b\f\n\r\t", to[] = "\"\\bfnrt";
    const char *special = byte ? strchr(from, byte) : NULL;

    if (special) {
        g_string_append_c(out, '\\');
        g_string_append_c(out, to[special - from]);
    } else if ((uint8_t)byte < 0x20 || byte == 0x7f) {
        print_unicode(byte, out);
    } else {
        g_string_append_c(out, byte);
    }
}

/* Text of the host (a file name) may be no UTF-8: each byte that is none shows as U+FFFD. */
static void print_string(const char *text, GString *out)
{
    g_string_append_c(out, '"');
    while (*text) {
        if ((uint8_t)*text < 0x80) {
            print_byte(*text++, out);
        } else if ((uint8_t)text[0] == 0xc0 && (uint8_t)text[1] == 0x80) {
            print_unicode(0, out);
            text += 2;
        } else {
            gunichar character = g_utf8_get_char_validated(text, -1);
            bool valid = character != (gunichar)-1 && character != (gunichar)-2;
            print_unicode(valid ? character : 0xfffd, out);
            text = valid ? g_utf8_next_char(text) : text + 1;
        }
    }
    g_string_append_c(out, '"');
}

static void print_break(unsigned depth, GString *out)
{
    g_string_append_printf(out, "\n%*s", depth * 4, "");
}

static void print_value(const Jv *value, bool pretty, unsigned depth, GString *out);

static void print_container(const Jv *value, bool pretty, unsigned depth, GString *out)
{
    bool is_object = value->type == JV_OBJECT;
    unsigned length = jv_length(value);

    g_string_append_c(out, is_object ? '{' : '[');
    for (unsigned i = 0; i < length; i++) {
        if (i) {
            g_string_append(out, pretty ? "," : ", ");
        }
        if (pretty) {
            print_break(depth + 1, out);
        }
        if (is_object) {
            print_string(jv_key_at(value, i), out);
            g_string_append(out, ": ");
        }
        print_value(jv_at(value, i), pretty, depth + 1, out);
    }
    if (pretty && length) {
        print_break(depth, out);
    }
    g_string_append_c(out, is_object ? '}' : ']');
}

static void print_value(const Jv *value, bool pretty, unsigned depth, GString *out)
{
    char buffer[G_ASCII_DTOSTR_BUF_SIZE];

    switch (value->type) {
    case JV_NULL:
        g_string_append(out, "null");
        break;
    case JV_BOOL:
        g_string_append(out, value->boolean ? "true" : "false");
        break;
    case JV_INT:
        g_string_append_printf(out, "%" G_GINT64_FORMAT, value->integer);
        break;
    case JV_UINT:
        g_string_append_printf(out, "%" G_GUINT64_FORMAT, value->natural);
        break;
    case JV_DOUBLE:
        g_string_append(out, g_ascii_dtostr(buffer, sizeof(buffer), value->real));
        break;
    case JV_STRING:
        print_string(value->string, out);
        break;
    case JV_ARRAY:
    case JV_OBJECT:
        print_container(value, pretty, depth, out);
        break;
    }
}

void jv_print(const Jv *value, bool pretty, GString *out)
{
    print_value(value, pretty, 0, out);
}
