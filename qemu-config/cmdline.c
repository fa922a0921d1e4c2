/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The command line: every option is a schema row, and its argument becomes the same stanza that a
 * group in a file does.
 */
#include <string.h>

#include "qemu-config/internal.h"

typedef struct {
    Config *config;
    ConfigSource *source;
    Diag *diag;
    StanzaBuilder builder;
    GHashTable *seen; /* "group|id" to Origin* */
} Reader;

bool builder_add_text(StanzaBuilder *builder, const char *key, const char *value,
                      const Origin *key_origin, const Origin *origin)
{
    Arena *arena = &builder->source->arena;
    return builder_add(builder, arena_strndup(arena, key, strlen(key)),
                       value ? arena_strndup(arena, value, strlen(value)) : NULL, key_origin,
                       origin);
}

/* One item of "key=value,key=value": where it stands and, with ",," undone, what it says. */
typedef struct {
    size_t offset, length; /* in the argument */
    size_t equals;         /* of the '=' in the argument, or end */
    bool has_equals;
} Item;

static Item next_item(const char *text, size_t offset)
{
    Item item = {.offset = offset};
    size_t at = offset;
    for (; text[at]; at++) {
        if (text[at] == '=' && !item.has_equals) {
            item.has_equals = true;
            item.equals = at;
        } else if (text[at] == ',') {
            if (text[at + 1] != ',') {
                break;
            }
            at++;
        }
    }
    item.length = at - offset;
    if (!item.has_equals) {
        item.equals = at;
    }
    return item;
}

static char *undouble_commas(ConfigSource *source, const char *text, size_t length)
{
    char *copy = arena_strndup(&source->arena, text, length);
    char *out = copy;
    for (const char *p = copy; *p; p++) {
        *out++ = *p;
        if (p[0] == ',' && p[1] == ',') {
            p++;
        }
    }
    *out = '\0';
    return copy;
}

static const OptKey *bool_key(const GroupInfo *info, const char *name)
{
    const OptKey *key = g_hash_table_lookup(info->keys, name);
    return key && key->type == OPT_BOOL ? key : NULL;
}

/* A word without '=': "server" is server=on, "nowait" wait=off, as in QEMU, with its warning. */
static bool add_bare_word(Reader *reader, const char *word, const Origin *origin)
{
    StanzaBuilder *builder = &reader->builder;
    const GroupInfo *info = builder->info;
    if ((info->flags & OPT_PLUS_MINUS) && (*word == '+' || *word == '-') && word[1]) {
        return builder_add(builder, word + 1, *word == '+' ? "on" : "off", origin, origin);
    }
    bool negated =
        g_str_has_prefix(word, "no") && !bool_key(info, word) && bool_key(info, word + 2);
    const char *key = negated ? word + 2 : word;
    const char *value = negated ? "off" : "on";
    if (!bool_key(info, key) && !(info->flags & OPT_OPEN_KEYS)) {
        bool declared = g_hash_table_contains(info->keys, word);
        diag_error(reader->diag, origin, declared ? "'%s' needs a value: %s=…"
                                                  : "unexpected word '%s'", word, word);
        if (!declared) {
            diag_suggest(reader->diag, word, (const char *const *)info->names->pdata);
        }
        return false;
    }
    if (!(info->flags & OPT_PLUS_MINUS)) {
        diag_warning(reader->diag, origin, "short form '%s': write %s=%s", word, key, value);
    }
    return builder_add(builder, key, value, origin, origin);
}

static bool is_help_word(const char *word)
{
    return !strcmp(word, "help") || !strcmp(word, "?");
}

/* "-device help", "-device NAME,help": answered when all layers are loaded. */
static void ask_help(Reader *reader, const OptSchema *schema)
{
    Config *config = reader->config;
    const GArray *entries = reader->builder.entries;
    if (!config->list_help) {
        config->list_help = schema;
        if (entries->len) {
            config->list_help_topic = g_strdup(g_array_index(entries, Entry, 0).value);
        }
    }
}

static bool read_item(Reader *reader, const char *text, Item item, unsigned option, unsigned arg,
                      bool first)
{
    ConfigSource *source = reader->source;
    const OptSchema *schema = reader->builder.schema;
    const char *key = undouble_commas(source, text + item.offset, item.equals - item.offset);
    const Origin *key_origin = source_arg_origin(source, option, arg, item.offset,
                                                 MAX(item.equals - item.offset, 1));
    if (item.has_equals) {
        size_t from = item.equals + 1, length = item.offset + item.length - from;
        const char *value = undouble_commas(source, text + from, length);
        const Origin *origin = source_arg_origin(source, option, arg, from, MAX(length, 1));
        if (!*key) {
            diag_error(reader->diag, key_origin, "a key is missing before '='");
            return false;
        }
        return builder_add(&reader->builder, key, value, key_origin, origin);
    }
    if (!item.length) {
        diag_error(reader->diag, key_origin, first ? "the argument is empty"
                                                   : "nothing stands between these commas");
        return false;
    }
    if (first && schema->implied_key) {
        return builder_add(&reader->builder, schema->implied_key, key, key_origin, key_origin);
    }
    return add_bare_word(reader, key, key_origin);
}

/* Returns false if the argument asks for help. */
static bool read_items(Reader *reader, const char *text, unsigned option, unsigned arg)
{
    size_t offset = 0;
    for (bool first = true;; first = false) {
        Item item = next_item(text, offset);
        g_autofree char *word = g_strndup(text + item.offset, item.length);
        if (is_help_word(word)) {
            return false;
        }
        read_item(reader, text, item, option, arg, first);
        offset = item.offset + item.length;
        if (!text[offset]) {
            return true;
        }
        offset++;
        if (!text[offset]) {
            const Origin *origin = source_arg_origin(reader->source, option, arg, offset - 1, 1);
            diag_error(reader->diag, origin, "nothing stands behind this comma");
            return true;
        }
    }
}

/* -global DRIVER.PROPERTY=VALUE: the value goes to the end, commas included. */
static bool read_dotted(Reader *reader, const char *text, unsigned option, unsigned arg)
{
    size_t dot = strcspn(text, ".=,"), equals = strcspn(text, "=,");
    if (!dot || text[dot] != '.' || text[equals] != '=') {
        return false;
    }
    const Origin *key = source_arg_origin(reader->source, option, arg, 0, equals);
    const Origin *value = source_arg_origin(reader->source, option, arg, equals + 1,
                                            MAX(strlen(text + equals + 1), 1));
    builder_add(&reader->builder, arena_strndup(&reader->source->arena, text, equals),
                text + equals + 1, key, value);
    return true;
}

static bool note_id(Reader *reader, const Stanza *stanza)
{
    if (!stanza->id || (stanza->info->flags & OPT_MERGE)) {
        return true;
    }
    char *key = g_strdup_printf("%s|%s", stanza->info->name, stanza->id);
    const Origin *first = g_hash_table_lookup(reader->seen, key);
    if (first) {
        diag_error(reader->diag, stanza->origin, "%s '%s' is there already", stanza->info->name,
                   stanza->id);
        diag_note(reader->diag, first, "first here");
        g_free(key);
        return false;
    }
    g_hash_table_insert(reader->seen, key, (gpointer)stanza->origin);
    return true;
}

static void keep_stanza(Reader *reader)
{
    Stanza *stanza = builder_close(&reader->builder);
    if (stanza && note_id(reader, stanza)) {
        g_ptr_array_add(reader->config->layers[LAYER_CMDLINE], stanza);
    }
}

static void read_argument(Reader *reader, const OptSchema *schema, unsigned option, unsigned arg)
{
    const char *text = reader->source->argv[arg];
    const Origin *whole = source_arg_origin(reader->source, option, arg, 0, MAX(strlen(text), 1));
    builder_open(&reader->builder, schema, whole);
    bool help = is_help_word(text);
    if (help && schema->list_help) {
        ask_help(reader, schema);
        return;
    }
    if (schema->flags & OPT_RAW) {
        builder_add(&reader->builder, schema->implied_key, text, whole, whole);
    } else if (*text == '{') {
        bool good = builder_add_json_text(&reader->builder, text, whole);
        reader->builder.broken = reader->builder.broken || !good;
    } else if (!((schema->flags & OPT_TRIPLE) && read_dotted(reader, text, option, arg)) &&
               !read_items(reader, text, option, arg)) {
        ask_help(reader, schema);
        return;
    }
    keep_stanza(reader);
}

static void read_flag(Reader *reader, const OptSchema *schema, unsigned option)
{
    const Origin *origin = source_arg_origin(reader->source, option, option, 0,
                                             strlen(reader->source->argv[option]));
    if (schema->act) {
        schema->act(reader->config, NULL, origin, reader->diag);
        return;
    }
    builder_open(&reader->builder, schema, origin);
    builder_add(&reader->builder, schema->implied_key, "on", origin, origin);
    keep_stanza(reader);
}

static void report_unknown_option(Reader *reader, unsigned index, const char *name)
{
    const char *arg = reader->source->argv[index];
    const Origin *origin = source_arg_origin(reader->source, index, index, 0, MAX(strlen(arg), 1));
    if (*arg != '-') {
        diag_error(reader->diag, origin, "unexpected argument '%s': options begin with '-'", arg);
        return;
    }
    diag_error(reader->diag, origin, "unknown option '%s'", arg);
    const char *nearest = diag_nearest(name, schema_option_names());
    if (nearest) {
        diag_note(reader->diag, NULL, "did you mean '-%s'?", nearest);
    }
}

/* Reads the option at @index; returns the index of the next. */
static int read_option(Reader *reader, int index)
{
    const ConfigSource *source = reader->source;
    const char *name = source->argv[index];
    bool dashed = *name == '-' && name[1];
    name += dashed ? (name[1] == '-' ? 2 : 1) : 0;
    const OptSchema *schema = dashed ? schema_find_option(name) : NULL;
    bool more = index + 1 < source->argc;
    if (!schema) {
        report_unknown_option(reader, index, name);
        bool value_follows = dashed && more && *source->argv[index + 1] != '-';
        return index + 1 + value_follows;
    }
    if (schema->flags & OPT_FLAG) {
        bool optional = (schema->flags & OPT_MAY_ARG) && more && *source->argv[index + 1] != '-';
        if (optional) {
            const char *arg = source->argv[index + 1];
            schema->act(reader->config, arg,
                        source_arg_origin(reader->source, index, index + 1, 0, strlen(arg)),
                        reader->diag);
            return index + 2;
        }
        read_flag(reader, schema, index);
        return index + 1;
    }
    if (!more) {
        const Origin *origin = source_arg_origin(reader->source, index, index, 0,
                                                 strlen(source->argv[index]));
        diag_error(reader->diag, origin, "-%s needs an argument: %s", name,
                   schema->arg_help ? schema->arg_help : "VALUE");
        return index + 1;
    }
    if (schema->act) {
        const char *arg = source->argv[index + 1];
        schema->act(reader->config, arg,
                    source_arg_origin(reader->source, index, index + 1, 0, MAX(strlen(arg), 1)),
                    reader->diag);
    } else {
        read_argument(reader, schema, index, index + 1);
    }
    return index + 2;
}

bool config_parse_command_line(Config *config, int argc, char **argv, Diag *diag)
{
    unsigned before = diag_errors(diag);
    Reader reader = {.config = config, .diag = diag};
    reader.source = config_add_source(config, SOURCE_CMDLINE, "command line", LAYER_CMDLINE);
    reader.source->argc = argc;
    reader.source->argv = argv;
    reader.seen = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    config->command_line = reader.source;
    builder_init(&reader.builder, reader.source, diag);
    for (int i = 1; i < argc;) {
        i = read_option(&reader, i);
    }
    builder_clear(&reader.builder);
    g_hash_table_unref(reader.seen);
    config_find_data_dirs(config);
    config_load_queued(config, diag);
    config_merge(config, 0, diag);
    return diag_errors(diag) == before;
}
