/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The state of the file parser, and the words and values that its lines are made of. */
#ifndef QEMU_CONFIG_FILE_LEX_H
#define QEMU_CONFIG_FILE_LEX_H

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

/* The place of the text from @from to @to; at least one byte. */
const Origin *parser_origin(Parser *parser, const char *from, const char *to);
Diag *parser_diag(const Parser *parser);
bool parser_at_line_end(const Parser *parser);
void parser_skip_blanks(Parser *parser);
void parser_skip_line(Parser *parser);
/* Nothing but blanks and a comment may follow on the line, which is passed; complains otherwise. */
bool parser_expect_line_end(Parser *parser);

/*
 * Each reads one item at the cursor and gives its place. The text is in the arena of the source.
 * A string (goes on over lines, variables and escapes done) and a value (a string, or a number,
 * size, on or off without quotes) are NULL after a diagnostic; a word is NULL where there is none.
 */
char *lex_string(Parser *parser, const Origin **origin);
char *lex_value(Parser *parser, const Origin **origin);
char *lex_word(Parser *parser, const Origin **origin);

#endif
