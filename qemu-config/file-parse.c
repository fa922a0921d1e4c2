/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The parser for the one file grammar (docs/config.md): one pass over a buffer, a line at a time.
 * After a mistake it goes on with the next line, so that one run finds them all.
 */
#include <stdlib.h>
#include <string.h>

#include "qemu-config/internal.h"

#define DEFINE_GROUP "define"

/* What a file and the files it includes share. */
typedef struct {
    Config *config;
    Diag *diag;
    GHashTable *vars;         /* name to value */
    MachineType *type;        /* groups belong to it, or NULL */
    ConfigSource *type_source; /* the file whose header (or whose being a machine file) opened it */
    MachineType *implicit;    /* stands for a machine file without header */
} ParseContext;

typedef enum {
    SECTION_NONE,   /* before the first header */
    SECTION_GROUP,
    SECTION_DEFINE,
    SECTION_BAD,    /* after a header that was a mistake: keys are passed over */
} Section;

typedef struct {
    ParseContext *context;
    ConfigSource *source;
    const char *p, *end;
    Section section;
    StanzaBuilder builder;
    GHashTable *seen; /* "scope|group|id" to Origin* */
} Parser;

static size_t offset_of(const Parser *parser, const char *at)
{
    return at - parser->source->text;
}

static const Origin *origin_of(Parser *parser, const char *from, const char *to)
{
    return source_origin(parser->source, offset_of(parser, from), MAX(to - from, 1));
}

static Diag *diag_of(const Parser *parser)
{
    return parser->context->diag;
}

static bool at_line_end(const Parser *parser)
{
    return parser->p == parser->end || *parser->p == '\n';
}

static void skip_blanks(Parser *parser)
{
    while (parser->p < parser->end && strchr(" \t\r", *parser->p) && *parser->p) {
        parser->p++;
    }
}

static void skip_line(Parser *parser)
{
    const char *newline = memchr(parser->p, '\n', parser->end - parser->p);
    parser->p = newline ? newline + 1 : parser->end;
}

/* Nothing but blanks and a comment may follow; complains otherwise. */
static bool expect_line_end(Parser *parser)
{
    skip_blanks(parser);
    if (at_line_end(parser) || *parser->p == '#') {
        skip_line(parser);
        return true;
    }
    const char *start = parser->p;
    const char *newline = memchr(start, '\n', parser->end - start);
    const Origin *origin = origin_of(parser, start, newline ? newline : parser->end);
    diag_error(diag_of(parser), origin, "text after the end of the statement");
    skip_line(parser);
    return false;
}

/* ---- Strings ---- */

static const char *lookup_variable(const Parser *parser, const char *name)
{
    const char *value = g_hash_table_lookup(parser->context->config->defines, name);
    if (value) {
        return value;
    }
    if (!strcmp(name, "confdir")) {
        return parser->source->dir;
    }
    return g_hash_table_lookup(parser->context->vars, name);
}

static void suggest_variable(const Parser *parser, const char *name)
{
    g_autoptr(GPtrArray) names = g_ptr_array_new();
    GHashTableIter iter;
    gpointer key;
    g_ptr_array_add(names, "confdir");
    g_hash_table_iter_init(&iter, parser->context->vars);
    while (g_hash_table_iter_next(&iter, &key, NULL)) {
        g_ptr_array_add(names, key);
    }
    g_ptr_array_add(names, NULL);
    const char *nearest = diag_nearest(name, (const char *const *)names->pdata);
    diag_note(diag_of(parser), NULL, "define it in [" DEFINE_GROUP "] or with -define %s=VALUE",
              name);
    if (nearest) {
        diag_note(diag_of(parser), NULL, "did you mean '${%s}'?", nearest);
    }
}

/* At "${": appends the value of the variable. */
static bool expand_variable(Parser *parser, GString *out)
{
    const char *start = parser->p;
    const char *stop = start + 2;
    while (stop < parser->end && (g_ascii_isalnum(*stop) || strchr("_-.", *stop)) && *stop) {
        stop++;
    }
    if (stop == parser->end || *stop != '}' || stop == start + 2) {
        diag_error(diag_of(parser), origin_of(parser, start, stop),
                   "'${' begins a variable: ${NAME}; write \\${ for the characters");
        return false;
    }
    g_autofree char *name = g_strndup(start + 2, stop - start - 2);
    const char *value = lookup_variable(parser, name);
    if (!value) {
        diag_error(diag_of(parser), origin_of(parser, start, stop + 1),
                   "variable '%s' is not defined", name);
        suggest_variable(parser, name);
        return false;
    }
    Config *config = parser->context->config;
    config->total_size += strlen(value);
    if (config->total_size > MAX_TOTAL_SIZE) {
        diag_error(diag_of(parser), origin_of(parser, start, stop + 1),
                   "variables expand to too much text");
        return false;
    }
    g_string_append(out, value);
    parser->p = stop + 1;
    return true;
}

/* "\\xNN": a byte in hexadecimal, but not zero. */
static bool unescape_byte(Parser *parser, GString *out)
{
    const char *p = parser->p + 2;
    bool digits = parser->end - p >= 2 && g_ascii_isxdigit(p[0]) && g_ascii_isxdigit(p[1]);
    int byte = digits ? g_ascii_xdigit_value(p[0]) << 4 | g_ascii_xdigit_value(p[1]) : 0;
    if (!byte) {
        diag_error(diag_of(parser), origin_of(parser, parser->p, MIN(p + 2, parser->end)),
                   "\\x expects two hexadecimal digits that are not 00");
        return false;
    }
    g_string_append_c(out, byte);
    parser->p += 4;
    return true;
}

/* At a backslash inside a string. */
static bool unescape(Parser *parser, GString *out)
{
    if (parser->p + 1 < parser->end && parser->p[1] == 'x') {
        return unescape_byte(parser, out);
    }
    static const char from[] = "\"\\nt$", to[] = "\"\\\n\t$";
    const char *at = parser->p + 1 < parser->end && parser->p[1] ? strchr(from, parser->p[1]) : NULL;
    if (!at) {
        const char *stop = MIN(parser->p + 2, parser->end);
        diag_error(diag_of(parser), origin_of(parser, parser->p, stop), "unknown escape");
        diag_note(diag_of(parser), NULL, "accepted: \\\" \\\\ \\n \\t \\$ \\xNN");
        return false;
    }
    g_string_append_c(out, to[at - from]);
    parser->p += 2;
    return true;
}

/* One quoted string up to its closing quote. */
static bool lex_segment(Parser *parser, GString *out)
{
    const char *start = parser->p++;
    while (parser->p < parser->end && *parser->p != '"') {
        unsigned char c = *parser->p;
        bool good = true;
        if (c == '\n' || (c == '\r' && parser->p + 1 < parser->end && parser->p[1] == '\n')) {
            break;
        } else if (c == '\\') {
            good = unescape(parser, out);
        } else if (c == '$' && parser->p + 1 < parser->end && parser->p[1] == '{') {
            good = expand_variable(parser, out);
        } else if (c < 0x20 && c != '\t') {
            diag_error(diag_of(parser), origin_of(parser, parser->p, parser->p + 1),
                       "control character 0x%02x in a string", c);
            good = false;
        } else {
            g_string_append_c(out, c);
            parser->p++;
        }
        if (!good) {
            return false;
        }
    }
    if (parser->p == parser->end || *parser->p != '"') {
        diag_error(diag_of(parser), origin_of(parser, start, parser->p),
                   "the string does not end on its line");
        diag_note(diag_of(parser), NULL,
                  "a long value goes on with a further quoted string on the next line");
        return false;
    }
    parser->p++;
    return true;
}

/* True, and the cursor at the quote, if the next line goes on with a quoted string. */
static bool string_goes_on(Parser *parser)
{
    Parser ahead = *parser;
    skip_blanks(&ahead);
    if (!at_line_end(&ahead) && *ahead.p != '#') {
        return false;
    }
    skip_line(&ahead);
    skip_blanks(&ahead);
    if (ahead.p == ahead.end || *ahead.p != '"') {
        return false;
    }
    parser->p = ahead.p;
    return true;
}

static char *lex_string(Parser *parser, const Origin **origin)
{
    g_autoptr(GString) text = g_string_sized_new(64);
    const char *start = parser->p;
    bool good = lex_segment(parser, text);
    *origin = origin_of(parser, start, parser->p);
    while (good && string_goes_on(parser)) {
        good = lex_segment(parser, text);
    }
    return good ? arena_strndup(&parser->source->arena, text->str, text->len) : NULL;
}

/* A number, size, or on/off: what needs no quotes. */
static char *lex_bare(Parser *parser, const Origin **origin)
{
    const char *start = parser->p;
    while (parser->p < parser->end && *parser->p && !strchr(" \t\r\n#\"=[]", *parser->p)) {
        parser->p++;
    }
    *origin = origin_of(parser, start, parser->p);
    if (parser->p == start) {
        diag_error(diag_of(parser), *origin, "a value is missing");
        return NULL;
    }
    char *text = arena_strndup(&parser->source->arena, start, parser->p - start);
    bool on;
    bool number = g_ascii_isdigit(*text) || (strchr("+-", *text) && g_ascii_isdigit(text[1]));
    if (!number && !opt_parse_bool(text, &on)) {
        diag_error(diag_of(parser), *origin, "text needs quotes: \"%.64s\"", text);
        diag_note(diag_of(parser), NULL, "numbers, sizes, on and off need none");
        return NULL;
    }
    return text;
}

static char *lex_value(Parser *parser, const Origin **origin)
{
    return parser->p < parser->end && *parser->p == '"' ? lex_string(parser, origin)
                                                        : lex_bare(parser, origin);
}

/* A run of characters that names of groups and keys are made of. */
static char *lex_word(Parser *parser, const Origin **origin)
{
    const char *start = parser->p;
    while (parser->p < parser->end && *parser->p && !strchr(" \t\r\n#\"=[]", *parser->p)) {
        parser->p++;
    }
    *origin = origin_of(parser, start, parser->p);
    return parser->p == start ? NULL
                              : arena_strndup(&parser->source->arena, start, parser->p - start);
}

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
        diag_error(diag_of(parser), stanza->origin, "this group stands in the file twice");
        diag_note(diag_of(parser), first, "first here");
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
        diag_error(diag_of(parser), name_origin, "unknown group [%s]", name);
        diag_suggest(diag_of(parser), name, schema_group_names());
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
        diag_error(diag_of(parser), origin, remove ? "[" DEFINE_GROUP "] cannot be dropped"
                                                   : "this group stands in the file twice");
        if (first) {
            diag_note(diag_of(parser), first, "first here");
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
    skip_blanks(parser);
    if (parser->p < parser->end && *parser->p == '"') {
        const char *id = lex_string(parser, &origin);
        bool define = parser->section == SECTION_DEFINE;
        if (define) {
            diag_error(diag_of(parser), origin, "[" DEFINE_GROUP "] takes no name");
        }
        if (!id || define || !id_check(parser->builder.info, id, origin, diag_of(parser))) {
            return false;
        }
        parser->builder.id = id;
        parser->builder.id_origin = origin;
        skip_blanks(parser);
    }
    if (parser->p == parser->end || *parser->p != ']') {
        origin = origin_of(parser, parser->p, parser->p + 1);
        diag_error(diag_of(parser), origin, "']' is missing: [GROUP] or [GROUP \"NAME\"]");
        return false;
    }
    parser->p++;
    return true;
}

static void parse_header(Parser *parser)
{
    const char *start = parser->p++;
    close_group(parser);
    skip_blanks(parser);
    bool remove = parser->p < parser->end && *parser->p == '-';
    parser->p += remove;
    const Origin *name_origin;
    const char *name = lex_word(parser, &name_origin);
    bool good = name != NULL;
    if (!name) {
        diag_error(diag_of(parser), name_origin, "the name of a group is missing");
    } else if (!strcmp(name, DEFINE_GROUP)) {
        good = open_define(parser, name_origin, remove);
    } else {
        good = open_group(parser, name, name_origin, remove);
    }
    good = good && parse_header_tail(parser);
    if (!good) {
        parser->section = SECTION_BAD;
        skip_line(parser);
        return;
    }
    parser->builder.origin = origin_of(parser, start, parser->p);
    if (remove && !parser->builder.id && !(parser->builder.info->flags & OPT_MERGE)) {
        diag_error(diag_of(parser), parser->builder.origin, "which [%s] is to be dropped?",
                   parser->builder.info->name);
        parser->section = SECTION_BAD;
    }
    expect_line_end(parser);
}

static void add_variable(Parser *parser, const char *key, const char *value, const Origin *origin)
{
    if (g_hash_table_contains(parser->builder.seen, key) || !strcmp(key, "confdir")) {
        diag_error(diag_of(parser), origin, "variable '%s' is %s", key,
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
        diag_error(diag_of(parser), key_origin, "'%s' stands before the first [GROUP]", key);
        parser->section = SECTION_BAD;
        break;
    case SECTION_DEFINE:
        if (value) {
            add_variable(parser, key, value, key_origin);
        } else {
            diag_error(diag_of(parser), key_origin, "a variable cannot be dropped");
        }
        break;
    case SECTION_GROUP:
        if (parser->builder.remove) {
            diag_error(diag_of(parser), key_origin, "a dropped group has no keys");
            diag_note(diag_of(parser), NULL,
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
        diag_error(diag_of(parser), origin, "the name of a key is missing behind '-'");
        skip_line(parser);
    } else if (expect_line_end(parser)) {
        add_key(parser, key, NULL, origin, origin);
    }
}

static void parse_file(ParseContext *context, ConfigSource *source);

static bool include_is_cycle(Parser *parser, const char *path, const Origin *origin)
{
    for (const ConfigSource *at = parser->source; at; at = at->included ? at->included->source
                                                                       : NULL) {
        if (!g_strcmp0(at->path, path)) {
            diag_error(diag_of(parser), origin, "the file includes itself");
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
        skip_line(parser);
    } else if (expect_line_end(parser)) {
        close_group(parser);
        include_file(parser, name, origin);
    }
}

static void parse_assignment(Parser *parser)
{
    const Origin *key_origin, *origin;
    const char *key = lex_word(parser, &key_origin);
    if (!key) {
        diag_error(diag_of(parser), key_origin, "expected [GROUP], key = value or include");
        skip_line(parser);
        return;
    }
    skip_blanks(parser);
    if (!strcmp(key, "include") && parser->p < parser->end && *parser->p == '"') {
        parse_include(parser);
        return;
    }
    if (parser->p == parser->end || *parser->p != '=') {
        diag_error(diag_of(parser), key_origin, "'=' is missing behind '%s'", key);
        skip_line(parser);
        return;
    }
    parser->p++;
    skip_blanks(parser);
    const char *value = lex_value(parser, &origin);
    if (!value) {
        parser->builder.broken = true;
        skip_line(parser);
    } else if (expect_line_end(parser)) {
        add_key(parser, key, value, key_origin, origin);
    }
}

static void parse_line(Parser *parser)
{
    skip_blanks(parser);
    if (at_line_end(parser) || *parser->p == '#') {
        skip_line(parser);
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
