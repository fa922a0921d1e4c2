/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Words and values of the file grammar: strings with variables and escapes, and what needs no
 * quotes. */
#include "qemu-config/file-lex.h"

#include <string.h>

static size_t offset_of(const Parser *parser, const char *at)
{
    return at - parser->source->text;
}

const Origin *parser_origin(Parser *parser, const char *from, const char *to)
{
    return source_origin(parser->source, offset_of(parser, from), MAX(to - from, 1));
}

Diag *parser_diag(const Parser *parser)
{
    return parser->context->diag;
}

bool parser_at_line_end(const Parser *parser)
{
    return parser->p == parser->end || *parser->p == '\n';
}

void parser_skip_blanks(Parser *parser)
{
    while (parser->p < parser->end && strchr(" \t\r", *parser->p) && *parser->p) {
        parser->p++;
    }
}

void parser_skip_line(Parser *parser)
{
    const char *newline = memchr(parser->p, '\n', parser->end - parser->p);
    parser->p = newline ? newline + 1 : parser->end;
}

/* Nothing but blanks and a comment may follow; complains otherwise. */
bool parser_expect_line_end(Parser *parser)
{
    parser_skip_blanks(parser);
    if (parser_at_line_end(parser) || *parser->p == '#') {
        parser_skip_line(parser);
        return true;
    }
    const char *start = parser->p;
    const char *newline = memchr(start, '\n', parser->end - start);
    const Origin *origin = parser_origin(parser, start, newline ? newline : parser->end);
    diag_error(parser_diag(parser), origin, "text after the end of the statement");
    parser_skip_line(parser);
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
    diag_note(parser_diag(parser), NULL, "define it in [" DEFINE_GROUP "] or with -define %s=VALUE",
              name);
    if (nearest) {
        diag_note(parser_diag(parser), NULL, "did you mean '${%s}'?", nearest);
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
        diag_error(parser_diag(parser), parser_origin(parser, start, stop),
                   "'${' begins a variable: ${NAME}; write \\${ for the characters");
        return false;
    }
    g_autofree char *name = g_strndup(start + 2, stop - start - 2);
    const char *value = lookup_variable(parser, name);
    if (!value) {
        diag_error(parser_diag(parser), parser_origin(parser, start, stop + 1),
                   "variable '%s' is not defined", name);
        suggest_variable(parser, name);
        return false;
    }
    Config *config = parser->context->config;
    config->total_size += strlen(value);
    if (config->total_size > MAX_TOTAL_SIZE) {
        diag_error(parser_diag(parser), parser_origin(parser, start, stop + 1),
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
        diag_error(parser_diag(parser), parser_origin(parser, parser->p, MIN(p + 2, parser->end)),
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
    const char *at =
        parser->p + 1 < parser->end && parser->p[1] ? strchr(from, parser->p[1]) : NULL;
    if (!at) {
        const char *stop = MIN(parser->p + 2, parser->end);
        diag_error(parser_diag(parser), parser_origin(parser, parser->p, stop), "unknown escape");
        diag_note(parser_diag(parser), NULL, "accepted: \\\" \\\\ \\n \\t \\$ \\xNN");
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
            diag_error(parser_diag(parser), parser_origin(parser, parser->p, parser->p + 1),
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
        diag_error(parser_diag(parser), parser_origin(parser, start, parser->p),
                   "the string does not end on its line");
        diag_note(parser_diag(parser), NULL,
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
    parser_skip_blanks(&ahead);
    if (!parser_at_line_end(&ahead) && *ahead.p != '#') {
        return false;
    }
    parser_skip_line(&ahead);
    parser_skip_blanks(&ahead);
    if (ahead.p == ahead.end || *ahead.p != '"') {
        return false;
    }
    parser->p = ahead.p;
    return true;
}

char *lex_string(Parser *parser, const Origin **origin)
{
    g_autoptr(GString) text = g_string_sized_new(64);
    const char *start = parser->p;
    bool good = lex_segment(parser, text);
    *origin = parser_origin(parser, start, parser->p);
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
    *origin = parser_origin(parser, start, parser->p);
    if (parser->p == start) {
        diag_error(parser_diag(parser), *origin, "a value is missing");
        return NULL;
    }
    char *text = arena_strndup(&parser->source->arena, start, parser->p - start);
    bool on;
    bool number = g_ascii_isdigit(*text) || (strchr("+-", *text) && g_ascii_isdigit(text[1]));
    if (!number && !opt_parse_bool(text, &on)) {
        diag_error(parser_diag(parser), *origin, "text needs quotes: \"%.64s\"", text);
        diag_note(parser_diag(parser), NULL, "numbers, sizes, on and off need none");
        return NULL;
    }
    return text;
}

char *lex_value(Parser *parser, const Origin **origin)
{
    return parser->p < parser->end && *parser->p == '"' ? lex_string(parser, origin)
                                                        : lex_bare(parser, origin);
}

/* A run of characters that names of groups and keys are made of. */
char *lex_word(Parser *parser, const Origin **origin)
{
    const char *start = parser->p;
    while (parser->p < parser->end && *parser->p && !strchr(" \t\r\n#\"=[]", *parser->p)) {
        parser->p++;
    }
    *origin = parser_origin(parser, start, parser->p);
    return parser->p == start ? NULL
                              : arena_strndup(&parser->source->arena, start, parser->p - start);
}
