/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The parser for the one file grammar (docs/config.md): one pass over a buffer, a line at a time.
 * After a mistake it goes on with the next line, so that one run finds them all.
 */
#include <stdlib.h>
#include <string.h>

#include "qemu-config/file-lex.h"

/* ---- Groups ---- */

static bool note_seen(Parser *parser, const Stanza *stanza)
{
    uint32_t flags = stanza->info->flags;
    if ((flags & OPT_TRIPLE) || (!(flags & OPT_MERGE) && !stanza->id)) {
        return true;
    }
    g_autofree char *key = g_strdup_printf("%p|%s|%s", (void *)parser->context->type,
                                           stanza->info->name, stanza->id ? stanza->id : "");
    g_autofree char *drop = g_strconcat("-", key, NULL);
    const Origin *first = g_hash_table_lookup(parser->seen, key);
    first = first ? first : stanza->remove ? g_hash_table_lookup(parser->seen, drop) : NULL;
    if (first) {
        diag_error(parser_diag(parser), stanza->origin, "this group stands in the file twice");
        diag_note(parser_diag(parser), first, "first here");
        return false;
    }
    g_hash_table_insert(parser->seen, g_strdup(stanza->remove ? drop : key),
                        (gpointer)stanza->origin);
    return true;
}

/* True if the scope in force was opened by a file that includes this one. */
static bool scope_is_outer(const Parser *parser)
{
    const ParseContext *context = parser->context;
    if (!context->type) {
        return false;
    }
    const Origin *from = parser->source->included;
    while (from && from->source != context->type_source) {
        from = from->source->included;
    }
    return from != NULL;
}

/* A header in an included file adds to the includer's type what that has not said; but no alias. */
static void adopt_header(MachineType *type, Stanza *stanza)
{
    unsigned kept = 0;
    for (unsigned i = 0; i < stanza->count; i++) {
        if (strcmp(stanza->entries[i].key, SCOPE_ALIAS_KEY)) {
            stanza->entries[kept++] = stanza->entries[i];
        }
    }
    stanza->count = kept;
    g_ptr_array_insert(type->headers, 0, stanza);
}

static void open_scope(Parser *parser, Stanza *stanza)
{
    ParseContext *context = parser->context;
    if (stanza->remove) {
        diag_error(context->diag, stanza->origin, "[%s] cannot be dropped", stanza->info->name);
        return;
    }
    if (scope_is_outer(parser)) {
        adopt_header(context->type, stanza);
        return;
    }
    MachineType *type = machine_type_new(context->config, stanza->id, stanza->origin,
                                         parser->source->layer);
    if (context->implicit) {
        /* What stands before the first header of a machine file goes for all of its types. */
        g_ptr_array_extend(type->headers, context->implicit->headers, NULL, NULL);
        g_ptr_array_extend(type->stanzas, context->implicit->stanzas, NULL, NULL);
    }
    g_ptr_array_add(type->headers, stanza);
    config_add_type(context->config, type);
    context->type = type;
    context->type_source = parser->source;
}

static void close_group(Parser *parser)
{
    Section section = parser->section;
    ParseContext *context = parser->context;
    parser->section = SECTION_NONE;
    if (section != SECTION_GROUP) {
        return;
    }
    Stanza *stanza = builder_close(&parser->builder);
    if (!stanza || !note_seen(parser, stanza)) {
        return;
    }
    if (stanza->info->flags & OPT_SCOPE) {
        open_scope(parser, stanza);
    } else if (context->type && !(stanza->info->flags & OPT_REPLACE)) {
        g_ptr_array_add(context->type->stanzas, stanza);
    } else {
        g_ptr_array_add(context->config->layers[parser->source->layer], stanza);
    }
}

static bool open_group(Parser *parser, const char *name, const Origin *name_origin, bool remove)
{
    const GroupInfo *info = schema_group_info(name);
    if (!info) {
        diag_error(parser_diag(parser), name_origin, "unknown group [%s]", name);
        diag_suggest(parser_diag(parser), name, schema_group_names());
        return false;
    }
    builder_open(&parser->builder, info->first, name_origin);
    parser->builder.remove = remove;
    parser->section = SECTION_GROUP;
    return true;
}

static bool open_define(Parser *parser, const Origin *origin, bool remove)
{
    const Origin *first = g_hash_table_lookup(parser->seen, DEFINE_GROUP);
    if (first || remove) {
        diag_error(parser_diag(parser), origin, remove ? "[" DEFINE_GROUP "] cannot be dropped"
                                                   : "this group stands in the file twice");
        if (first) {
            diag_note(parser_diag(parser), first, "first here");
        }
        return false;
    }
    g_hash_table_insert(parser->seen, g_strdup(DEFINE_GROUP), (gpointer)origin);
    builder_open(&parser->builder, NULL, origin);
    parser->section = SECTION_DEFINE;
    return true;
}

/* The rest of a header behind the group's name: "id" and ']'. */
static bool parse_header_tail(Parser *parser)
{
    const Origin *origin;
    parser_skip_blanks(parser);
    if (parser->p < parser->end && *parser->p == '"') {
        const char *id = lex_string(parser, &origin);
        bool define = parser->section == SECTION_DEFINE;
        if (define) {
            diag_error(parser_diag(parser), origin, "[" DEFINE_GROUP "] takes no name");
        }
        if (!id || define || !id_check(parser->builder.info, id, origin, parser_diag(parser))) {
            return false;
        }
        parser->builder.id = id;
        parser->builder.id_origin = origin;
        parser_skip_blanks(parser);
    }
    if (parser->p == parser->end || *parser->p != ']') {
        origin = parser_origin(parser, parser->p, parser->p + 1);
        diag_error(parser_diag(parser), origin, "']' is missing: [GROUP] or [GROUP \"NAME\"]");
        return false;
    }
    parser->p++;
    return true;
}

static void parse_header(Parser *parser)
{
    const char *start = parser->p++;
    close_group(parser);
    parser_skip_blanks(parser);
    bool remove = parser->p < parser->end && *parser->p == '-';
    parser->p += remove;
    const Origin *name_origin;
    const char *name = lex_word(parser, &name_origin);
    bool good = name != NULL;
    if (!name) {
        diag_error(parser_diag(parser), name_origin, "the name of a group is missing");
    } else if (!strcmp(name, DEFINE_GROUP)) {
        good = open_define(parser, name_origin, remove);
    } else {
        good = open_group(parser, name, name_origin, remove);
    }
    good = good && parse_header_tail(parser);
    if (!good) {
        parser->section = SECTION_BAD;
        parser_skip_line(parser);
        return;
    }
    parser->builder.origin = parser_origin(parser, start, parser->p);
    if (remove && !parser->builder.id && !(parser->builder.info->flags & OPT_MERGE)) {
        diag_error(parser_diag(parser), parser->builder.origin, "which [%s] is to be dropped?",
                   parser->builder.info->name);
        parser->section = SECTION_BAD;
    }
    parser_expect_line_end(parser);
}

static void add_variable(Parser *parser, const char *key, const char *value, const Origin *origin)
{
    if (g_hash_table_contains(parser->builder.seen, key) || !strcmp(key, "confdir")) {
        diag_error(parser_diag(parser), origin, "variable '%s' is %s", key,
                   strcmp(key, "confdir") ? "defined twice" : "always the directory of the file");
        return;
    }
    g_hash_table_add(parser->builder.seen, (char *)key);
    g_hash_table_insert(parser->context->vars, (char *)key, (char *)value);
}

static void add_key(Parser *parser, const char *key, const char *value, const Origin *key_origin,
                    const Origin *origin)
{
    switch (parser->section) {
    case SECTION_NONE:
        diag_error(parser_diag(parser), key_origin, "'%s' stands before the first [GROUP]", key);
        parser->section = SECTION_BAD;
        break;
    case SECTION_DEFINE:
        if (value) {
            add_variable(parser, key, value, key_origin);
        } else {
            diag_error(parser_diag(parser), key_origin, "a variable cannot be dropped");
        }
        break;
    case SECTION_GROUP:
        if (parser->builder.remove) {
            diag_error(parser_diag(parser), key_origin, "a dropped group has no keys");
            diag_note(parser_diag(parser), NULL,
                      "to replace a group, drop it and define it again below");
        } else {
            builder_add(&parser->builder, key, value, key_origin, origin);
        }
        break;
    case SECTION_BAD:
        break;
    }
}

/* "-key": drops one key. */
static void parse_drop(Parser *parser)
{
    const Origin *origin;
    parser->p++;
    const char *key = lex_word(parser, &origin);
    if (!key) {
        diag_error(parser_diag(parser), origin, "the name of a key is missing behind '-'");
        parser_skip_line(parser);
    } else if (parser_expect_line_end(parser)) {
        add_key(parser, key, NULL, origin, origin);
    }
}

static void parse_file(ParseContext *context, ConfigSource *source);

static bool include_is_cycle(Parser *parser, const char *path, const Origin *origin)
{
    for (const ConfigSource *at = parser->source; at; at = at->included ? at->included->source
                                                                       : NULL) {
        if (!g_strcmp0(at->path, path)) {
            diag_error(parser_diag(parser), origin, "the file includes itself");
            return true;
        }
    }
    return false;
}

static void include_file(Parser *parser, const char *name, const Origin *origin)
{
    ParseContext *context = parser->context;
    if (parser->source->depth >= MAX_INCLUDE_DEPTH) {
        diag_error(context->diag, origin, "includes are nested more than %u deep",
                   MAX_INCLUDE_DEPTH);
        return;
    }
    g_autofree char *path = config_find_include(context->config, parser->source, name);
    if (!path) {
        diag_error(context->diag, origin, "there is no file '%s'", name);
        diag_note(context->diag, NULL, "looked in %s, then in the data directory",
                  parser->source->dir);
        return;
    }
    g_autofree char *canonical = realpath(path, NULL);
    if (include_is_cycle(parser, canonical, origin)) {
        return;
    }
    GError *error = NULL;
    ConfigSource *source = config_read_source(context->config, path, parser->source->layer,
                                              &error);
    if (!source) {
        diag_gerror(context->diag, origin, error);
        return;
    }
    source->included = origin;
    source->depth = parser->source->depth + 1;
    parse_file(context, source);
}

static void parse_include(Parser *parser)
{
    const Origin *origin;
    const char *name = lex_string(parser, &origin);
    if (!name) {
        parser_skip_line(parser);
    } else if (parser_expect_line_end(parser)) {
        close_group(parser);
        include_file(parser, name, origin);
    }
}

static void parse_assignment(Parser *parser)
{
    const Origin *key_origin, *origin;
    const char *key = lex_word(parser, &key_origin);
    if (!key) {
        diag_error(parser_diag(parser), key_origin, "expected [GROUP], key = value or include");
        parser_skip_line(parser);
        return;
    }
    parser_skip_blanks(parser);
    if (!strcmp(key, "include") && parser->p < parser->end && *parser->p == '"') {
        parse_include(parser);
        return;
    }
    if (parser->p == parser->end || *parser->p != '=') {
        diag_error(parser_diag(parser), key_origin, "'=' is missing behind '%s'", key);
        parser_skip_line(parser);
        return;
    }
    parser->p++;
    parser_skip_blanks(parser);
    const char *value = lex_value(parser, &origin);
    if (!value) {
        parser->builder.broken = true;
        parser_skip_line(parser);
    } else if (parser_expect_line_end(parser)) {
        add_key(parser, key, value, key_origin, origin);
    }
}

static void parse_line(Parser *parser)
{
    parser_skip_blanks(parser);
    if (parser_at_line_end(parser) || *parser->p == '#') {
        parser_skip_line(parser);
    } else if (*parser->p == '[') {
        parse_header(parser);
    } else if (*parser->p == '-') {
        parse_drop(parser);
    } else {
        parse_assignment(parser);
    }
}

static void parse_file(ParseContext *context, ConfigSource *source)
{
    Parser parser = {.context = context, .source = source, .p = source->text};
    parser.end = source->text + source->length;
    const char *nul = memchr(source->text, '\0', source->length);
    if (nul) {
        diag_error(context->diag, source_origin(source, nul - source->text, 1),
                   "this is not a text file: it holds a zero byte");
        return;
    }
    if (source->length >= 3 && !memcmp(source->text, "\xEF\xBB\xBF", 3)) {
        parser.p += 3;
    }
    parser.seen = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    builder_init(&parser.builder, source, context->diag);
    while (parser.p < parser.end) {
        parse_line(&parser);
    }
    close_group(&parser);
    builder_clear(&parser.builder);
    g_hash_table_unref(parser.seen);
}

void config_parse_source(Config *config, ConfigSource *source, MachineType *implicit_type,
                         Diag *diag)
{
    ParseContext context = {
        .config = config,
        .diag = diag,
        .vars = g_hash_table_new(g_str_hash, g_str_equal),
        .type = implicit_type,
        .type_source = source,
        .implicit = implicit_type,
    };
    parse_file(&context, source);
    g_hash_table_unref(context.vars);
}
