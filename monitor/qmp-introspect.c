/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * query-qmp-schema: the schema as SchemaInfo entities. Names of types are no interface: those of
 * the tables are numbers, arrays are "[name]", built-in ones their JSON type.
 */
#include <string.h>

#include "monitor/qmp-schema.h"

typedef struct Introspection {
    Jv *entities;
    GHashTable *names; /* type of the tables -> its masked name */
    GPtrArray *queue;  /* of char *: types named but not yet described */
    unsigned next;
} Introspection;

static const char *mask(Introspection *state, const char *type);

/* Integers of all widths are one type to the outside. */
static char *mask_new(Introspection *state, const char *type)
{
    static const char *const kept[] = { "str", "bool", "number", "null", "any", NULL };
    g_autofree char *element = qmp_element_type(type);

    if (element) {
        return g_strdup_printf("[%s]", mask(state, element));
    }
    if (qmp_builtin_json_type(type)) {
        return g_strdup(g_strv_contains(kept, type) ? type : "int");
    }
    return g_strdup_printf("%u", state->next++);
}

static const char *mask(Introspection *state, const char *type)
{
    char *name = g_hash_table_lookup(state->names, type);

    if (!name) {
        name = mask_new(state, type);
        g_hash_table_insert(state->names, g_strdup(type), name);
        g_ptr_array_add(state->queue, g_strdup(type));
    }
    return name;
}

static Jv *entity(Introspection *state, const char *name, const char *meta_type)
{
    Jv *object = jv_set_string(jv_set_string(jv_object(), "name", name), "meta-type", meta_type);

    jv_append(state->entities, object);
    return object;
}

static void add_members(Introspection *state, Jv *object, const QmpMember *members)
{
    Jv *list = jv_array();

    for (; members && members->name; members++) {
        Jv *member = jv_object();
        jv_set_string(member, "name", qmp_member_name(members));
        jv_set_string(member, "type", mask(state, members->type));
        if (qmp_member_is_optional(members)) {
            jv_set(member, "default", jv_null());
        }
        jv_append(list, member);
    }
    jv_set(object, "members", list);
}

/* The object that a command takes or an event carries has no name in the tables. */
static void add_arguments(Introspection *state, Jv *owner, const QmpMember *members)
{
    g_autofree char *name = g_strdup_printf("%u", state->next++);

    jv_set_string(owner, "arg-type", name);
    add_members(state, entity(state, name, "object"), members);
}

static const char *variant_type(const QmpType *type, const char *value)
{
    for (const QmpVariant *variant = type->variants; variant->value; variant++) {
        if (!strcmp(variant->value, value)) {
            return variant->type;
        }
    }
    return "Empty";
}

/* There is a variant for every value of the tag. */
static void add_variants(Introspection *state, Jv *object, const QmpType *type)
{
    Jv *list = jv_array();
    const QmpType *tag = NULL;

    for (const QmpMember *member = type->members; member->name; member++) {
        tag = !strcmp(member->name, type->tag) ? qmp_type_find(member->type) : tag;
    }
    for (const char *const *value = tag->values; *value; value++) {
        Jv *variant = jv_set_string(jv_object(), "case", *value);
        jv_set_string(variant, "type", mask(state, variant_type(type, *value)));
        jv_append(list, variant);
    }
    jv_set_string(object, "tag", type->tag);
    jv_set(object, "variants", list);
}

static void add_values(Jv *object, const QmpType *type)
{
    Jv *members = jv_array(), *values = jv_array();

    for (const char *const *value = type->values; *value; value++) {
        jv_append(members, jv_set_string(jv_object(), "name", *value));
        jv_append(values, jv_string(*value));
    }
    jv_set(object, "members", members);
    jv_set(object, "values", values);
}

static void describe_type(Introspection *state, const char *name)
{
    const char *masked = mask(state, name);
    const char *json_type = qmp_builtin_json_type(name);
    g_autofree char *element = qmp_element_type(name);

    if (element) {
        jv_set_string(entity(state, masked, "array"), "element-type", mask(state, element));
    } else if (json_type) {
        jv_set_string(entity(state, masked, "builtin"), "json-type", json_type);
    } else {
        const QmpType *type = qmp_type_find(name);
        Jv *object = entity(state, masked, type->kind == QMP_KIND_ENUM ? "enum" : "object");
        if (type->kind == QMP_KIND_ENUM) {
            add_values(object, type);
        } else {
            add_members(state, object, type->members);
            if (type->tag) {
                add_variants(state, object, type);
            }
        }
    }
}

Jv *qmp_introspect(void)
{
    Introspection state = { .entities = jv_array() };
    g_autoptr(GHashTable) described = g_hash_table_new(g_str_hash, g_str_equal);

    state.queue = g_ptr_array_new_with_free_func(g_free);
    state.names = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    for (const QmpCommand *command = qmp_commands; command->name; command++) {
        Jv *object = entity(&state, command->name, "command");
        add_arguments(&state, object, command->args);
        jv_set_string(object, "ret-type",
                      mask(&state, command->returns ? command->returns : "Empty"));
        jv_set_bool(object, "allow-oob", false);
    }
    for (const QmpEvent *event = qmp_events; event->name; event++) {
        add_arguments(&state, entity(&state, event->name, "event"), event->data);
    }
    for (unsigned i = 0; i < state.queue->len; i++) {
        const char *name = g_ptr_array_index(state.queue, i);
        if (g_hash_table_add(described, (gpointer)mask(&state, name))) {
            describe_type(&state, name);
        }
    }
    g_ptr_array_unref(state.queue);
    g_clear_pointer(&described, g_hash_table_unref);
    g_hash_table_unref(state.names);
    return state.entities;
}
