/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Stands in for qemu-config/value.c until branch config lands; delete it then. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "qemu-config/schema.h"

bool opt_parse_bool(const char *text, bool *out)
{
    static const char *const words[] = {"off", "on", "no", "yes", "false", "true", "n", "y"};
    for (unsigned i = 0; i < G_N_ELEMENTS(words); i++) {
        if (!strcmp(text, words[i])) {
            *out = i & 1;
            return true;
        }
    }
    return false;
}

bool opt_parse_int(const char *text, int64_t *out)
{
    char *end;
    errno = 0;
    int64_t value = g_ascii_strtoll(text, &end, 0);
    if (errno || end == text || *end || g_ascii_isspace(*text)) {
        return false;
    }
    *out = value;
    return true;
}

bool opt_parse_uint(const char *text, uint64_t *out)
{
    char *end;
    errno = 0;
    uint64_t value = g_ascii_strtoull(text, &end, 0);
    if (errno || end == text || *end || !g_ascii_isdigit(*text)) {
        return false;
    }
    *out = value;
    return true;
}

/* Power of two of a size suffix, -1 for none known. */
static int suffix_shift(char suffix)
{
    static const char suffixes[] = "bkmgtpe";
    const char *at = suffix ? strchr(suffixes, g_ascii_tolower(suffix)) : NULL;
    return at ? (int)(at - suffixes) * 10 : -1;
}

/* "1.5G": the fraction is taken in units of the suffix. */
static bool parse_fraction(const char *text, char **end, double *out)
{
    if (*text != '.' || !g_ascii_isdigit(text[1])) {
        *end = (char *)text;
        *out = 0;
        return *text != '.';
    }
    g_autofree char *zero = g_strconcat("0", text, NULL);
    char *stop;
    *out = g_ascii_strtod(zero, &stop);
    *end = (char *)text + (stop - zero - 1);
    size_t digits = 1 + strspn(text + 1, "0123456789");
    return *end == text + digits;
}

bool opt_parse_size(const char *text, uint64_t unit, uint64_t *out)
{
    char *end;
    double fraction;
    if (!g_ascii_isdigit(*text)) {
        return false;
    }
    errno = 0;
    uint64_t whole = g_ascii_strtoull(text, &end, 0);
    if (errno || !parse_fraction(end, &end, &fraction)) {
        return false;
    }
    uint64_t scale = unit ? unit : 1;
    if (*end) {
        int shift = suffix_shift(*end++);
        if (shift < 0) {
            return false;
        }
        scale = 1ULL << shift;
    }
    if (*end || (whole && scale > UINT64_MAX / whole)) {
        return false;
    }
    uint64_t part = (uint64_t)(fraction * scale);
    if (whole * scale > UINT64_MAX - part) {
        return false;
    }
    *out = whole * scale + part;
    return true;
}

