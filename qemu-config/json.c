/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Groups from and to JSON. */
#include "qemu-config/json.h"

#include <string.h>

#include "qemu-config/internal.h"

#define MAX_JSON_DEPTH 32

/* json-glib recurses: refuse what is nested too deeply before it sees the text. */
static bool depth_is_sane(const char *text)
{
    unsigned depth = 0;
    bool quoted = false;
    for (const char *p = text; *p; p++) {
        if (quoted) {
            quoted = *p != '"';
            p += *p == '\\' && p[1];
        } else if (*p == '"') {
            quoted = true;
        } else if (*p == '{' || *p == '[') {
            if (++depth > MAX_JSON_DEPTH) {
                return false;
            }
        } else if ((*p == '}' || *p == ']') && depth) {
            depth--;
        }
    }
    return true;
}

/* The place of "key" in the argument, for the caret; the whole argument where it is not found. */
static const Origin *locate_key(StanzaBuilder *builder, const char *text, const char *key,
                                const Origin *whole)
{
    if (!text || !*key) {
        return whole;
    }
    g_autofree char *quoted = g_strdup_printf("\"%s\"", key);
    const char *at = strstr(text, quoted);
    return at ? source_arg_origin(builder->source, whole->option, whole->arg, at - text,
                                  strlen(quoted))
              : whole;
}

static char *number_text(JsonNode *node)
{
    if (json_node_get_value_type(node) == G_TYPE_INT64) {
        return g_strdup_printf("%" G_GINT64_FORMAT, json_node_get_int(node));
    }
    char buffer[G_ASCII_DTOSTR_BUF_SIZE];
    return g_strdup(g_ascii_dtostr(buffer, sizeof(buffer), json_node_get_double(node)));
}

/* The text of a scalar. A whole number for a size counts bytes, whatever a bare number counts. */
static char *scalar_text(const GroupInfo *info, const char *key, JsonNode *node)
{
    GType type = json_node_get_value_type(node);
    const OptKey *declared = g_hash_table_lookup(info->keys, key);
    if (type == G_TYPE_STRING) {
        return g_strdup(json_node_get_string(node));
    }
    if (type == G_TYPE_BOOLEAN) {
        return g_strdup(json_node_get_boolean(node) ? "on" : "off");
    }
    char *text = number_text(node);
    if (declared && declared->type == OPT_SIZE && declared->unit > 1) {
        char *bytes = g_strconcat(text, "B", NULL);
        g_free(text);
        return bytes;
    }
    return text;
}

static bool add_node(StanzaBuilder *builder, const char *key, JsonNode *node, const char *text,
                     const Origin *origin);

static bool add_object(StanzaBuilder *builder, const char *prefix, JsonObject *object,
                       const char *text, const Origin *origin)
{
    bool good = true;
    JsonObjectIter iter;
    const char *name;
    JsonNode *node;
    json_object_iter_init_ordered(&iter, object);
    while (json_object_iter_next_ordered(&iter, &name, &node)) {
        const Origin *place = locate_key(builder, text, name, origin);
        g_autofree char *key = prefix ? g_strdup_printf("%s.%s", prefix, name) : g_strdup(name);
        good = add_node(builder, key, node, text, place) && good;
    }
    return good;
}

static bool add_array(StanzaBuilder *builder, const char *key, JsonArray *array, const char *text,
                      const Origin *origin)
{
    const OptKey *declared = g_hash_table_lookup(builder->info->keys, key);
    bool repeated = declared && declared->type == OPT_STRINGS;
    bool good = true;
    for (unsigned i = 0; i < json_array_get_length(array); i++) {
        g_autofree char *item = repeated ? g_strdup(key) : g_strdup_printf("%s.%u", key, i);
        good = add_node(builder, item, json_array_get_element(array, i), text, origin) && good;
    }
    return good;
}

static bool add_node(StanzaBuilder *builder, const char *key, JsonNode *node, const char *text,
                     const Origin *origin)
{
    switch (json_node_get_node_type(node)) {
    case JSON_NODE_OBJECT:
        return add_object(builder, key, json_node_get_object(node), text, origin);
    case JSON_NODE_ARRAY:
        return add_array(builder, key, json_node_get_array(node), text, origin);
    case JSON_NODE_NULL:
        diag_error(builder->diag, origin, "'%s' is null", key);
        return false;
    case JSON_NODE_VALUE:
        break;
    }
    g_autofree char *value = scalar_text(builder->info, key, node);
    return builder_add_text(builder, key, value, origin, origin);
}

bool builder_add_json(StanzaBuilder *builder, JsonObject *object, const char *text,
                      const Origin *origin)
{
    return add_object(builder, NULL, object, text, origin);
}

/* json-glib's words differ between versions; the place that it names is what matters. */
static void report_json_error(StanzaBuilder *builder, const char *text, const GError *error,
                              const Origin *whole)
{
    unsigned line, column;
    bool placed = sscanf(error->message, "<data>:%u:%u:", &line, &column) == 2 && line == 1 &&
                  column && column <= strlen(text);
    const Origin *place = placed ? source_arg_origin(builder->source, whole->option, whole->arg,
                                                     column - 1, 1)
                                 : whole;
    diag_error(builder->diag, place, "this is not JSON");
}

bool builder_add_json_text(StanzaBuilder *builder, const char *text, const Origin *origin)
{
    g_autoptr(JsonParser) parser = json_parser_new_immutable();
    GError *error = NULL;
    if (!depth_is_sane(text)) {
        diag_error(builder->diag, origin, "JSON nested more than %u deep", MAX_JSON_DEPTH);
        return false;
    }
    if (!g_utf8_validate(text, -1, NULL)) {
        diag_error(builder->diag, origin, "JSON that is not UTF-8");
        return false;
    }
    if (!json_parser_load_from_data(parser, text, -1, &error)) {
        report_json_error(builder, text, error, origin);
        g_error_free(error);
        return false;
    }
    JsonNode *root = json_parser_get_root(parser);
    if (!root || !JSON_NODE_HOLDS_OBJECT(root)) {
        diag_error(builder->diag, origin, "a JSON object is expected");
        return false;
    }
    return builder_add_json(builder, json_node_get_object(root), text, origin);
}

ConfigGroup *config_add_json(Config *config, const char *type, JsonObject *object,
                             const char *command, Diag *diag)
{
    const GroupInfo *info = schema_group_info(type);
    g_assert(info);
    ConfigSource *source = config_add_source(config, SOURCE_QMP, command, LAYER_QMP);
    const Origin *origin = source_origin(source, 0, 0);
    StanzaBuilder builder;
    builder_init(&builder, source, diag);
    builder_open(&builder, info->first, origin);
    bool good = builder_add_json(&builder, object, NULL, origin);
    Stanza *stanza = good ? builder_close(&builder) : NULL;
    builder_clear(&builder);
    if (!stanza) {
        return NULL;
    }
    if (stanza->id && config_find(config, type, stanza->id)) {
        diag_error(diag, origin, "%s '%s' is there already", type, stanza->id);
        return NULL;
    }
    ConfigGroup *group = config_add_group(config, type, stanza->id, origin, LAYER_QMP);
    group_merge(group, stanza, NULL, NULL, 0, diag);
    return group;
}

/* ---- To JSON ---- */

static JsonNode *typed_node(const OptKey *key, const char *text)
{
    bool on;
    int64_t number;
    uint64_t size;
    JsonNode *node = json_node_alloc();
    OptType type = key ? key->type : OPT_STRING;
    if (type == OPT_BOOL && opt_parse_bool(text, &on)) {
        return json_node_init_boolean(node, on);
    }
    if ((type == OPT_INT || type == OPT_UINT) && opt_parse_int(text, &number)) {
        return json_node_init_int(node, number);
    }
    if (type == OPT_SIZE && opt_parse_size(text, key->unit, &size) && size <= INT64_MAX) {
        return json_node_init_int(node, size);
    }
    g_autofree char *valid = g_utf8_make_valid(text, -1);
    return json_node_init_string(node, valid);
}

static void add_member(JsonObject *object, const OptKey *key, const ConfigValue *value)
{
    JsonNode *node = typed_node(key, value->value);
    if (!key || key->type != OPT_STRINGS) {
        json_object_set_member(object, value->key, node);
        return;
    }
    if (!json_object_has_member(object, value->key)) {
        json_object_set_array_member(object, value->key, json_array_new());
    }
    json_array_add_element(json_object_get_array_member(object, value->key), node);
}

JsonNode *group_to_json(const ConfigGroup *group)
{
    const GroupInfo *info = schema_info_of(group->schema);
    JsonObject *object = json_object_new();
    for (unsigned i = 0; i < group->values->len; i++) {
        const ConfigValue *value = group->values->pdata[i];
        add_member(object, g_hash_table_lookup(info->keys, value->key), value);
    }
    if (group->id) {
        const char *id_key = info->first->id_key ? info->first->id_key : "id";
        json_object_set_string_member(object, id_key, group->id);
    }
    JsonNode *node = json_node_alloc();
    json_node_init_object(node, object);
    json_object_unref(object);
    return node;
}
