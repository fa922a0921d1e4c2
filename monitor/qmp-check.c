/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Whether JSON values are of the schema's types; messages name the place, as QEMU's do. */
#include <string.h>

#include "monitor/qmp-error.h"
#include "monitor/qmp-schema.h"

typedef struct Builtin {
    const char *name;
    const char *json_type;
    int64_t min;  /* of integers */
    uint64_t max;
} Builtin;

static const Builtin builtins[] = {
    { "str", "string" },
    { "bool", "boolean" },
    { "number", "number" },
    { "null", "null" },
    { "any", "value" },
    { "int", "int", INT64_MIN, INT64_MAX },
    { "uint8", "int", 0, UINT8_MAX },
    { "uint16", "int", 0, UINT16_MAX },
    { "uint32", "int", 0, UINT32_MAX },
    { "uint64", "int", 0, UINT64_MAX },
    { "size", "int", 0, UINT64_MAX },
};

static const Builtin *builtin_find(const char *name)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(builtins); i++) {
        if (!strcmp(builtins[i].name, name)) {
            return &builtins[i];
        }
    }
    return NULL;
}

const char *qmp_builtin_json_type(const char *type)
{
    const Builtin *builtin = builtin_find(type);

    return builtin ? builtin->json_type : NULL;
}

char *qmp_element_type(const char *type)
{
    return type[0] == '[' ? g_strndup(type + 1, strlen(type) - 2) : NULL;
}

static bool wrong_type(const char *path, const char *expected, GError **error)
{
    g_set_error(error, QMP_ERROR, QMP_GENERIC_ERROR,
                "Invalid parameter type for '%s', expected: %s", path, expected);
    return false;
}

static bool check_integer(const Builtin *builtin, const Jv *value, const char *path,
                          GError **error)
{
    int64_t integer;
    uint64_t natural;

    if (jv_type(value) != JV_INT && jv_type(value) != JV_UINT) {
        return wrong_type(path, "integer", error);
    }
    if (builtin->min < 0 ? !jv_get_int(value, &integer)
                         : !jv_get_uint(value, &natural) || natural > builtin->max) {
        g_set_error(error, QMP_ERROR, QMP_GENERIC_ERROR, "Parameter '%s' expects %s", path,
                    builtin->name);
        return false;
    }
    return true;
}

static bool check_builtin(const Builtin *builtin, const Jv *value, const char *path,
                          GError **error)
{
    double real;
    const char *type = builtin->json_type;

    if (!strcmp(type, "int")) {
        return check_integer(builtin, value, path, error);
    }
    if (!strcmp(type, "number")) {
        return jv_get_double(value, &real) || wrong_type(path, type, error);
    }
    return !strcmp(type, "value") || !strcmp(type, jv_type_name(value)) ||
           wrong_type(path, type, error);
}

static bool check_enum(const QmpType *type, const Jv *value, const char *path, GError **error)
{
    if (jv_type(value) != JV_STRING) {
        return wrong_type(path, "string", error);
    }
    if (!g_strv_contains(type->values, jv_get_string(value))) {
        g_set_error(error, QMP_ERROR, QMP_GENERIC_ERROR,
                    "Parameter '%s' does not accept value '%s'", path, jv_get_string(value));
        return false;
    }
    return true;
}

static char *member_path(const char *path, const char *name)
{
    return *path ? g_strconcat(path, ".", name, NULL) : g_strdup(name);
}

static bool check_present(const QmpMember *members, const Jv *object, const char *path,
                          GError **error)
{
    for (const QmpMember *member = members; member && member->name; member++) {
        g_autofree char *place = member_path(path, qmp_member_name(member));
        const Jv *value = jv_member(object, qmp_member_name(member));
        if (value ? !qmp_check_value(member->type, value, place, error)
                  : !qmp_member_is_optional(member)) {
            if (!value) {
                g_set_error(error, QMP_ERROR, QMP_GENERIC_ERROR, "Parameter '%s' is missing",
                            place);
            }
            return false;
        }
    }
    return true;
}

static bool has_member(const QmpMember *members, const char *name)
{
    for (const QmpMember *member = members; member && member->name; member++) {
        if (!strcmp(qmp_member_name(member), name)) {
            return true;
        }
    }
    return false;
}

/* @more are the members of the variant, or NULL. */
static bool check_known(const QmpMember *members, const QmpMember *more, const Jv *object,
                        const char *path, GError **error)
{
    for (unsigned i = 0; i < jv_length(object); i++) {
        const char *key = jv_key_at(object, i);
        if (!has_member(members, key) && !has_member(more, key)) {
            g_autofree char *place = member_path(path, key);
            g_set_error(error, QMP_ERROR, QMP_GENERIC_ERROR, "Parameter '%s' is unexpected",
                        place);
            return false;
        }
    }
    return true;
}

bool qmp_check_members(const QmpMember *members, const Jv *object, const char *path,
                       GError **error)
{
    return check_present(members, object, path, error) &&
           check_known(members, NULL, object, path, error);
}

static const QmpMember *variant_members(const QmpType *type, const Jv *object)
{
    for (const QmpVariant *variant = type->variants; variant && variant->value; variant++) {
        if (!strcmp(variant->value, jv_member_string(object, type->tag))) {
            return qmp_type_find(variant->type)->members;
        }
    }
    return NULL;
}

static bool check_object(const QmpType *type, const Jv *value, const char *path, GError **error)
{
    if (jv_type(value) != JV_OBJECT) {
        return wrong_type(path, "object", error);
    }
    if (!check_present(type->members, value, path, error)) {
        return false;
    }
    const QmpMember *more = variant_members(type, value);
    return check_present(more, value, path, error) &&
           check_known(type->members, more, value, path, error);
}

static bool check_array(const char *element, const Jv *value, const char *path, GError **error)
{
    if (jv_type(value) != JV_ARRAY) {
        return wrong_type(path, "array", error);
    }
    for (unsigned i = 0; i < jv_length(value); i++) {
        g_autofree char *place = g_strdup_printf("%s[%u]", path, i);
        if (!qmp_check_value(element, jv_at(value, i), place, error)) {
            return false;
        }
    }
    return true;
}

bool qmp_check_value(const char *type_name, const Jv *value, const char *path, GError **error)
{
    g_autofree char *element = qmp_element_type(type_name);
    const Builtin *builtin = builtin_find(type_name);

    if (element) {
        return check_array(element, value, path, error);
    }
    if (builtin) {
        return check_builtin(builtin, value, path, error);
    }
    const QmpType *type = qmp_type_find(type_name);
    g_assert(type);
    return type->kind == QMP_KIND_ENUM ? check_enum(type, value, path, error)
                                       : check_object(type, value, path, error);
}
