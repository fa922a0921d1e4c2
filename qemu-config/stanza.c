/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Building stanzas: the checks that hold for a group wherever it is written. */
#include <string.h>

#include "qemu-config/internal.h"

void builder_init(StanzaBuilder *builder, ConfigSource *source, Diag *diag)
{
    *builder = (StanzaBuilder){.source = source, .diag = diag};
    builder->entries = g_array_new(FALSE, FALSE, sizeof(Entry));
    builder->seen = g_hash_table_new(g_str_hash, g_str_equal);
}

void builder_clear(StanzaBuilder *builder)
{
    g_array_unref(builder->entries);
    g_hash_table_unref(builder->seen);
}

void builder_open(StanzaBuilder *builder, const OptSchema *schema, const Origin *origin)
{
    builder->schema = schema;
    builder->info = schema ? schema_info_of(schema) : NULL; /* NULL: [define] */
    builder->origin = origin;
    builder->id = NULL;
    builder->id_origin = NULL;
    builder->remove = false;
    builder->broken = false;
    g_array_set_size(builder->entries, 0);
    g_hash_table_remove_all(builder->seen);
}

static const char *id_key(const GroupInfo *info)
{
    return info->first->id_key ? info->first->id_key : "id";
}

static bool set_id(StanzaBuilder *builder, const char *id, const Origin *origin)
{
    if (builder->id && strcmp(builder->id, id)) {
        diag_error(builder->diag, origin, "this group is named '%s' already", builder->id);
        diag_note(builder->diag, builder->id_origin, "named here");
        return false;
    }
    if (!id_check(builder->info, id, origin, builder->diag)) {
        return false;
    }
    builder->id = id;
    builder->id_origin = origin;
    return true;
}

static bool takes_id_key(const GroupInfo *info, const char *key)
{
    return !(info->flags & OPT_MERGE) && !strcmp(key, id_key(info)) &&
           !g_hash_table_contains(info->keys, key);
}

static bool check_twice(StanzaBuilder *builder, const Entry *entry, const OptKey *key)
{
    const Origin *first = g_hash_table_lookup(builder->seen, entry->key);
    if (first) {
        if (key && key->type == OPT_STRINGS && entry->value) {
            return true;
        }
        diag_error(builder->diag, entry->key_origin, "'%s' is set twice", entry->key);
        diag_note(builder->diag, first, "first set here");
        return false;
    }
    if (builder->entries->len >= MAX_KEYS) {
        diag_error(builder->diag, entry->key_origin, "more than %u keys in one group", MAX_KEYS);
        return false;
    }
    g_hash_table_insert(builder->seen, (char *)entry->key, (gpointer)entry->key_origin);
    return true;
}

static bool try_add(StanzaBuilder *builder, const char *key, const char *value,
                    const Origin *key_origin, const Origin *origin)
{
    if (value && takes_id_key(builder->info, key)) {
        return set_id(builder, value, origin);
    }
    const OptKey *declared;
    Entry entry = {.value = value, .key_origin = key_origin, .origin = origin};
    entry.key = info_canonical_key(builder->info, key, &declared);
    if (!entry_check(builder->info, &entry, builder->diag) ||
        !check_twice(builder, &entry, declared)) {
        return false;
    }
    g_array_append_val(builder->entries, entry);
    return true;
}

bool builder_add(StanzaBuilder *builder, const char *key, const char *value,
                 const Origin *key_origin, const Origin *origin)
{
    bool good = try_add(builder, key, value, key_origin, origin);
    builder->broken = builder->broken || !good;
    return good;
}

static const Entry *find_entry(const StanzaBuilder *builder, const char *key)
{
    for (unsigned i = 0; i < builder->entries->len; i++) {
        const Entry *entry = &g_array_index(builder->entries, Entry, i);
        if (!strcmp(entry->key, key)) {
            return entry;
        }
    }
    return NULL;
}

/* driver=D, property=P, value=V becomes D.P=V. */
static bool fold_triple(StanzaBuilder *builder)
{
    const Entry *driver = find_entry(builder, "driver");
    const Entry *property = find_entry(builder, "property");
    const Entry *value = find_entry(builder, "value");
    if (!driver && !property && !value) {
        return true;
    }
    bool complete = driver && property && value && builder->entries->len == 3 && driver->value &&
                    property->value && value->value;
    if (!complete) {
        diag_error(builder->diag, builder->origin, "[%s] takes driver, property and value together,"
                   " or DRIVER.PROPERTY = value", builder->info->name);
        return false;
    }
    g_autofree char *key = g_strconcat(driver->value, ".", property->value, NULL);
    Entry entry = *value;
    entry.key = arena_strndup(&builder->source->arena, key, strlen(key));
    entry.key_origin = property->origin;
    if (!entry_check(builder->info, &entry, builder->diag)) {
        return false;
    }
    g_array_set_size(builder->entries, 0);
    g_array_append_val(builder->entries, entry);
    return true;
}

Stanza *builder_close(StanzaBuilder *builder)
{
    const GroupInfo *info = builder->info;
    if ((info->flags & OPT_TRIPLE) && !fold_triple(builder)) {
        return NULL;
    }
    if ((info->flags & OPT_NEED_ID) && !builder->id) {
        diag_error(builder->diag, builder->origin, "[%s] needs a name", info->name);
        diag_note(builder->diag, NULL, "write [%s \"NAME\"]%s", info->name,
                  info->first->option ? ", or id=NAME on the command line" : "");
        return NULL;
    }
    Arena *arena = &builder->source->arena;
    Stanza *stanza = arena_alloc(arena, sizeof(*stanza));
    size_t size = builder->entries->len * sizeof(Entry);
    stanza->info = info;
    stanza->schema = builder->schema;
    stanza->id = builder->id;
    stanza->origin = builder->origin;
    stanza->layer = builder->source->layer;
    stanza->remove = builder->remove;
    stanza->broken = builder->broken;
    stanza->count = builder->entries->len;
    stanza->entries = arena_alloc(arena, size);
    if (size) {
        memcpy(stanza->entries, builder->entries->data, size);
    }
    return stanza;
}
