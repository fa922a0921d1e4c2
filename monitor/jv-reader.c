/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reads JSON (RFC 8259, and strings in single quotes, which the QMP specification allows) from a
 * stream that is cut anywhere. All that a client can make it keep is bounded.
 */
#include <errno.h>
#include <math.h>
#include <string.h>

#include "monitor/jv.h"
#include "monitor/qmp-error.h"

typedef enum {
    LEX_START,
    LEX_STRING,
    LEX_ESCAPE,
    LEX_HEX, /* of \uXXXX */
    LEX_WORD,
    LEX_MINUS,
    LEX_ZERO,
    LEX_DIGITS,
    LEX_POINT,
    LEX_FRACTION,
    LEX_E,
    LEX_E_SIGN,
    LEX_EXPONENT,
    LEX_RECOVER, /* after a byte that is no JSON */
} LexState;

/* What may come next in a container. */
typedef enum {
    NEED_FIRST, /* element, key, or the end */
    NEED_ITEM,  /* element or key */
    NEED_COLON,
    NEED_VALUE,
    NEED_COMMA, /* or the end */
} Need;

typedef struct Frame {
    Jv *container;
    char *key;
    Need need;
} Frame;

struct JvReader {
    LexState state;
    GString *token;
    char quote;
    unsigned hex_digits;
    uint32_t unit;        /* of \uXXXX */
    uint32_t high;        /* the first half of a surrogate pair, or 0 */
    unsigned utf8_left;   /* bytes that the character still needs */
    uint32_t utf8, utf8_min;
    int braces, brackets; /* open ones */
    size_t bytes;         /* of this message */
    unsigned values;
    GArray *stack;        /* of Frame */
    char *problem;        /* what is wrong with this message; the rest is skipped */
    Jv *result;
    GError *error;
};

static void frame_clear(gpointer opaque)
{
    Frame *frame = opaque;

    jv_free(frame->container);
    g_free(frame->key);
}

JvReader *jv_reader_new(void)
{
    JvReader *reader = g_new0(JvReader, 1);

    reader->token = g_string_new(NULL);
    reader->stack = g_array_new(FALSE, FALSE, sizeof(Frame));
    g_array_set_clear_func(reader->stack, frame_clear);
    return reader;
}

static void forget_message(JvReader *reader)
{
    g_array_set_size(reader->stack, 0);
    g_clear_pointer(&reader->problem, g_free);
    g_clear_pointer(&reader->result, jv_free);
    reader->braces = reader->brackets = 0;
    reader->bytes = reader->values = 0;
}

static void begin_token(JvReader *reader, LexState state)
{
    reader->state = state;
    if (reader->token->allocated_len > 64 * 1024) {
        g_string_free(reader->token, TRUE);
        reader->token = g_string_new(NULL);
    }
    g_string_truncate(reader->token, 0);
    reader->high = 0;
    reader->utf8_left = 0;
}

void jv_reader_reset(JvReader *reader)
{
    forget_message(reader);
    g_clear_error(&reader->error);
    begin_token(reader, LEX_START);
}

void jv_reader_free(JvReader *reader)
{
    if (reader) {
        jv_reader_reset(reader);
        g_array_unref(reader->stack);
        g_string_free(reader->token, TRUE);
        g_free(reader);
    }
}

/* ---- Mistakes ---- */

static void mistake(JvReader *reader, const char *text)
{
    if (!reader->problem) {
        reader->problem = g_strconcat("JSON parse error, ", text, NULL);
        /* nothing of it is needed any more but where it ends */
        g_array_set_size(reader->stack, 0);
    }
}

/* Ends this message now. */
static void give_up(JvReader *reader, const char *text)
{
    if (!reader->error) {
        reader->error = g_error_new_literal(QMP_ERROR, QMP_GENERIC_ERROR, text);
    }
    forget_message(reader);
    begin_token(reader, LEX_RECOVER);
}

/* @byte, which is not ASCII or a control character perhaps, cannot stand here. */
static void stray(JvReader *reader, uint8_t byte)
{
    g_autofree char *text = NULL;

    g_string_append_c(reader->token, byte);
    if (reader->token->len > 64) {
        g_string_erase(reader->token, 0, reader->token->len - 64);
    }
    text = g_strdup_printf("JSON parse error, stray '%s'", reader->token->str);
    give_up(reader, text);
}

/* ---- Building ---- */

static void finish_message(JvReader *reader)
{
    if (reader->problem) {
        reader->error = g_error_new_literal(QMP_ERROR, QMP_GENERIC_ERROR, reader->problem);
        g_clear_pointer(&reader->result, jv_free);
    }
}

static Frame *top_frame(const JvReader *reader)
{
    unsigned depth = reader->stack->len;

    return depth ? &g_array_index(reader->stack, Frame, depth - 1) : NULL;
}

static const char *missing_separator(const Frame *frame)
{
    return frame->need == NEED_COLON ? "missing : in object pair" : "expected separator";
}

static void open_container(JvReader *reader, Jv *container)
{
    Frame frame = { container, NULL, NEED_FIRST };

    g_array_append_val(reader->stack, frame);
}

static void add_key(JvReader *reader, Frame *frame, const Jv *key)
{
    if (jv_type(key) != JV_STRING) {
        mistake(reader, "key is not a string in object");
    } else if (jv_member(frame->container, jv_get_string(key))) {
        mistake(reader, "duplicate key");
    } else {
        frame->key = g_strdup(jv_get_string(key));
        frame->need = NEED_COLON;
    }
}

/* Puts @value where it belongs; takes it. */
static void add_value(JvReader *reader, Jv *value)
{
    Frame *frame = top_frame(reader);

    if (!frame) {
        reader->result = value;
        return;
    }
    bool is_object = jv_type(frame->container) == JV_OBJECT;
    if (is_object && (frame->need == NEED_FIRST || frame->need == NEED_ITEM)) {
        add_key(reader, frame, value);
        jv_free(value);
    } else if (frame->need == NEED_COLON || frame->need == NEED_COMMA) {
        mistake(reader, missing_separator(frame));
        jv_free(value);
    } else if (is_object) {
        jv_set(frame->container, frame->key, value);
        g_clear_pointer(&frame->key, g_free);
        frame->need = NEED_COMMA;
    } else {
        jv_append(frame->container, value);
        frame->need = NEED_COMMA;
    }
}

static void close_container(JvReader *reader, JvType type)
{
    Frame *frame = top_frame(reader);

    if (!frame) {
        mistake(reader, "expecting value");
    } else if (jv_type(frame->container) != type) {
        mistake(reader, "the bracket that closes does not match");
    } else if (frame->need != NEED_FIRST && frame->need != NEED_COMMA) {
        mistake(reader, "expecting value");
    } else {
        Jv *container = g_steal_pointer(&frame->container);
        g_array_set_size(reader->stack, reader->stack->len - 1);
        add_value(reader, container);
    }
}

static void add_separator(JvReader *reader, uint8_t byte)
{
    Frame *frame = top_frame(reader);

    if (frame && byte == ':' && frame->need == NEED_COLON) {
        frame->need = NEED_VALUE;
    } else if (frame && byte == ',' && frame->need == NEED_COMMA) {
        frame->need = NEED_ITEM;
    } else {
        mistake(reader, "expecting value");
    }
}

/* A message ends where its brackets are even, or where one closes that was not opened. */
static void end_if_complete(JvReader *reader)
{
    if (reader->braces < 0 || reader->brackets < 0 || !(reader->braces | reader->brackets)) {
        finish_message(reader);
    }
}

static void punctuation(JvReader *reader, uint8_t byte)
{
    reader->braces += (byte == '{') - (byte == '}');
    reader->brackets += (byte == '[') - (byte == ']');
    if (reader->braces + reader->brackets > JV_MAX_DEPTH) {
        give_up(reader, "JSON nesting depth limit exceeded");
        return;
    }
    if (reader->problem) {
        end_if_complete(reader);
        return;
    }
    switch (byte) {
    case '{':
    case '[': {
        Frame *frame = top_frame(reader);
        if (frame && (frame->need == NEED_COLON || frame->need == NEED_COMMA)) {
            mistake(reader, missing_separator(frame));
        } else if (frame && jv_type(frame->container) == JV_OBJECT && frame->need != NEED_VALUE) {
            mistake(reader, "key is not a string in object");
        } else {
            open_container(reader, byte == '{' ? jv_object() : jv_array());
        }
        break;
    }
    case '}':
    case ']':
        close_container(reader, byte == '}' ? JV_OBJECT : JV_ARRAY);
        break;
    default:
        add_separator(reader, byte);
        break;
    }
    end_if_complete(reader);
}

/* A scalar is complete. @value is NULL if there is a problem with it. */
static void scalar(JvReader *reader, Jv *value)
{
    reader->state = LEX_START;
    if (reader->problem) {
        jv_free(value);
    } else {
        add_value(reader, value);
    }
    end_if_complete(reader);
}

/* ---- Strings ---- */

static void bad_unicode(JvReader *reader, uint32_t unit)
{
    g_autofree char *text = g_strdup_printf("\\u%04x is not a valid Unicode character", unit);

    mistake(reader, text);
}

static void append_character(JvReader *reader, uint32_t character)
{
    if (character) {
        g_string_append_unichar(reader->token, character);
    } else {
        g_string_append(reader->token, "\xc0\x80");
    }
}

static void hex_complete(JvReader *reader)
{
    uint32_t unit = reader->unit;

    reader->state = LEX_STRING;
    if (reader->high) {
        if (unit >= 0xdc00 && unit <= 0xdfff) {
            append_character(reader, 0x10000 + ((reader->high & 0x3ff) << 10 | (unit & 0x3ff)));
        } else {
            bad_unicode(reader, reader->high);
        }
        reader->high = 0;
    } else if (unit >= 0xd800 && unit <= 0xdbff) {
        reader->high = unit;
    } else if (unit >= 0xdc00 && unit <= 0xdfff) {
        bad_unicode(reader, unit);
    } else {
        append_character(reader, unit);
    }
}

static void lex_hex(JvReader *reader, uint8_t byte)
{
    int digit = g_ascii_xdigit_value(byte);

    if (digit < 0) {
        stray(reader, byte);
        return;
    }
    reader->unit = reader->unit << 4 | digit;
    if (++reader->hex_digits == 4) {
        hex_complete(reader);
    }
}

static void lex_escape(JvReader *reader, uint8_t byte)
{
    static const char from[] = "\"'\\/bfnrt", to[] = "\"'\\/\b\f\n\r\t";
    const char *found = byte ? strchr(from, byte) : NULL;

    if (byte == 'u') {
        reader->state = LEX_HEX;
        reader->unit = reader->hex_digits = 0;
        return;
    }
    if (!found) {
        stray(reader, byte);
        return;
    }
    if (reader->high) {
        bad_unicode(reader, reader->high);
    }
    g_string_append_c(reader->token, to[found - from]);
    reader->state = LEX_STRING;
}

/* The first byte of a character gives its length and the least code it may have (no overlong). */
static bool utf8_begin(JvReader *reader, uint8_t byte)
{
    if (byte < 0xc2 || byte > 0xf4) {
        return false;
    }
    reader->utf8_left = byte < 0xe0 ? 1 : byte < 0xf0 ? 2 : 3;
    reader->utf8 = byte & (0x3f >> reader->utf8_left);
    reader->utf8_min = reader->utf8_left == 1 ? 0x80 : reader->utf8_left == 2 ? 0x800 : 0x10000;
    return true;
}

static bool utf8_continue(JvReader *reader, uint8_t byte)
{
    if ((byte & 0xc0) != 0x80) {
        return false;
    }
    reader->utf8 = reader->utf8 << 6 | (byte & 0x3f);
    return --reader->utf8_left || (reader->utf8 >= reader->utf8_min && reader->utf8 <= 0x10ffff
                                   && (reader->utf8 < 0xd800 || reader->utf8 > 0xdfff));
}

static void check_utf8(JvReader *reader, uint8_t byte)
{
    bool good = reader->utf8_left ? utf8_continue(reader, byte)
                                  : byte < 0x80 || utf8_begin(reader, byte);

    if (!good) {
        reader->utf8_left = 0;
        mistake(reader, "invalid UTF-8 sequence in string");
    }
}

static void lex_string(JvReader *reader, uint8_t byte)
{
    if (byte < 0x20 || byte >= 0xf8) {
        stray(reader, byte);
        return;
    }
    check_utf8(reader, byte);
    if (byte == '\\') {
        reader->state = LEX_ESCAPE;
        return;
    }
    if (reader->high) {
        bad_unicode(reader, reader->high);
        reader->high = 0;
    }
    if (byte == reader->quote) {
        scalar(reader, jv_string(reader->token->str));
    } else {
        g_string_append_c(reader->token, byte);
    }
}

/* ---- Numbers and words ---- */

static Jv *number_value(JvReader *reader, bool whole)
{
    const char *text = reader->token->str;
    char *end;

    errno = 0;
    if (whole) {
        gint64 integer = g_ascii_strtoll(text, &end, 10);
        if (!errno) {
            return jv_int(integer);
        }
        errno = 0;
        guint64 natural = g_ascii_strtoull(text, &end, 10);
        if (!errno && *text != '-') {
            return jv_uint(natural);
        }
    }
    double real = g_ascii_strtod(text, &end);
    if (!isfinite(real)) {
        mistake(reader, "number out of range");
        return NULL;
    }
    return jv_double(real);
}

/* The state that a number goes to with @byte; LEX_START: it ended before; LEX_RECOVER: never. */
static LexState number_next(LexState state, uint8_t byte)
{
    bool digit = g_ascii_isdigit(byte), e = byte == 'e' || byte == 'E';

    switch (state) {
    case LEX_MINUS:
        return byte == '0' ? LEX_ZERO : digit ? LEX_DIGITS : LEX_RECOVER;
    case LEX_ZERO:
        return byte == '.' ? LEX_POINT : e ? LEX_E : digit ? LEX_RECOVER : LEX_START;
    case LEX_DIGITS:
        return digit ? LEX_DIGITS : byte == '.' ? LEX_POINT : e ? LEX_E : LEX_START;
    case LEX_POINT:
        return digit ? LEX_FRACTION : LEX_RECOVER;
    case LEX_FRACTION:
        return digit ? LEX_FRACTION : e ? LEX_E : LEX_START;
    case LEX_E:
        return digit ? LEX_EXPONENT : byte == '+' || byte == '-' ? LEX_E_SIGN : LEX_RECOVER;
    case LEX_E_SIGN:
        return digit ? LEX_EXPONENT : LEX_RECOVER;
    default:
        return digit ? LEX_EXPONENT : LEX_START;
    }
}

/* False if @byte does not belong to the number: it is to be looked at again. */
static bool lex_number(JvReader *reader, uint8_t byte)
{
    LexState next = number_next(reader->state, byte);

    if (next == LEX_RECOVER) {
        stray(reader, byte);
        return true;
    }
    if (next == LEX_START) {
        bool whole = reader->state == LEX_ZERO || reader->state == LEX_DIGITS;
        scalar(reader, number_value(reader, whole));
        return false;
    }
    g_string_append_c(reader->token, byte);
    reader->state = next;
    return true;
}

static Jv *word_value(JvReader *reader)
{
    const char *word = reader->token->str;

    if (!strcmp(word, "true") || !strcmp(word, "false")) {
        return jv_bool(*word == 't');
    }
    if (!strcmp(word, "null")) {
        return jv_null();
    }
    g_autofree char *text = g_strdup_printf("invalid keyword '%.64s'", word);
    mistake(reader, text);
    return NULL;
}

static bool lex_word(JvReader *reader, uint8_t byte)
{
    if (g_ascii_islower(byte)) {
        g_string_append_c(reader->token, byte);
        return true;
    }
    scalar(reader, word_value(reader));
    return false;
}

/* ---- The stream ---- */

static bool is_punctuation(uint8_t byte)
{
    return byte && strchr("{}[]:,", byte);
}

static void lex_start(JvReader *reader, uint8_t byte)
{
    if (byte == ' ' || byte == '\t' || byte == '\n' || byte == '\r') {
        reader->bytes = reader->braces | reader->brackets ? reader->bytes : 0;
        return;
    }
    begin_token(reader, LEX_START);
    if (++reader->values > JV_MAX_VALUES) {
        give_up(reader, "JSON token count limit exceeded");
    } else if (is_punctuation(byte)) {
        punctuation(reader, byte);
    } else if (byte == '"' || byte == '\'') {
        reader->quote = byte;
        reader->state = LEX_STRING;
    } else if (byte == '-' || g_ascii_isdigit(byte)) {
        g_string_append_c(reader->token, byte);
        reader->state = byte == '-' ? LEX_MINUS : byte == '0' ? LEX_ZERO : LEX_DIGITS;
    } else if (g_ascii_islower(byte)) {
        g_string_append_c(reader->token, byte);
        reader->state = LEX_WORD;
    } else {
        stray(reader, byte);
    }
}

/* False if @byte is to be looked at again. */
static bool lex_byte(JvReader *reader, uint8_t byte)
{
    switch (reader->state) {
    case LEX_START:
        lex_start(reader, byte);
        return true;
    case LEX_STRING:
        lex_string(reader, byte);
        return true;
    case LEX_ESCAPE:
        lex_escape(reader, byte);
        return true;
    case LEX_HEX:
        lex_hex(reader, byte);
        return true;
    case LEX_WORD:
        return lex_word(reader, byte);
    case LEX_RECOVER:
        if (is_punctuation(byte)) {
            reader->state = LEX_START;
            return false;
        }
        if (byte < 0x20 || byte == 0xff) {
            reader->state = LEX_START;
        }
        return true;
    default:
        return lex_number(reader, byte);
    }
}

size_t jv_reader_feed(JvReader *reader, const uint8_t *data, size_t size, Jv **value,
                      GError **error)
{
    size_t used = 0;

    while (used < size && !reader->result && !reader->error) {
        if (lex_byte(reader, data[used])) {
            used++;
            if (reader->error) {
                /* a 0xff brings both sides into step even where it is the mistake itself */
                reader->state = data[used - 1] == 0xff ? LEX_START : reader->state;
            } else if (!reader->result && ++reader->bytes > JV_MAX_MESSAGE) {
                give_up(reader, "JSON token size limit exceeded");
            }
        }
    }
    if (reader->error) {
        g_propagate_error(error, g_steal_pointer(&reader->error));
        forget_message(reader);
    } else if (reader->result) {
        *value = g_steal_pointer(&reader->result);
        forget_message(reader);
    }
    return used;
}
