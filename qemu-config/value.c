/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Text to typed value, and the checks that every key=value passes as it is read. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "qemu-config/internal.h"

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

static bool check_range(const OptKey *key, bool below, bool above, const char *value,
                        const Origin *origin, Diag *diag)
{
    if (key->min == key->max || (!below && !above)) {
        return true;
    }
    diag_error(diag, origin, "%s = %s is out of range", key->name, value);
    diag_note(diag, NULL, "accepted: %" G_GINT64_FORMAT " to %" G_GINT64_FORMAT, key->min,
              key->max);
    return false;
}

static bool check_int(const OptKey *key, const char *value, const Origin *origin, Diag *diag)
{
    int64_t number;
    if (!opt_parse_int(value, &number)) {
        diag_error(diag, origin, "%s expects a number, not '%s'", key->name, value);
        return false;
    }
    return check_range(key, number < key->min, number > key->max, value, origin, diag);
}

static bool check_unsigned(const OptKey *key, const char *value, const Origin *origin, Diag *diag)
{
    uint64_t number;
    bool size = key->type == OPT_SIZE;
    if (size ? !opt_parse_size(value, key->unit, &number) : !opt_parse_uint(value, &number)) {
        diag_error(diag, origin, size ? "%s expects a size, not '%s'"
                                      : "%s expects a number from 0, not '%s'", key->name, value);
        if (size) {
            diag_note(diag, NULL, "accepted: a number, with K, M, G, T, P or E behind it");
        }
        return false;
    }
    bool below = key->min > 0 && number < (uint64_t)key->min;
    return check_range(key, below, number > (uint64_t)MAX(key->max, 0), value, origin, diag);
}

static bool check_enum(const OptKey *key, const char *value, const Origin *origin, Diag *diag)
{
    if (g_strv_contains(key->choices, value)) {
        return true;
    }
    diag_error(diag, origin, "'%s' is not a value of %s", value, key->name);
    diag_suggest(diag, value, key->choices);
    return false;
}

bool value_check(const OptKey *key, const char *value, const Origin *origin, Diag *diag)
{
    bool ignored;
    switch (key->type) {
    case OPT_STRING:
    case OPT_STRINGS:
        return true;
    case OPT_BOOL:
        if (opt_parse_bool(value, &ignored)) {
            return true;
        }
        diag_error(diag, origin, "%s expects on or off, not '%s'", key->name, value);
        return false;
    case OPT_INT:
        return check_int(key, value, origin, diag);
    case OPT_UINT:
    case OPT_SIZE:
        return check_unsigned(key, value, origin, diag);
    case OPT_ENUM:
        return check_enum(key, value, origin, diag);
    }
    g_assert_not_reached();
}

bool value_equal(const OptKey *key, const char *a, const char *b)
{
    bool ba, bb;
    int64_t ia, ib;
    uint64_t ua, ub;
    if (!strcmp(a, b)) {
        return true;
    }
    switch (key ? key->type : OPT_STRING) {
    case OPT_BOOL:
        return opt_parse_bool(a, &ba) && opt_parse_bool(b, &bb) && ba == bb;
    case OPT_INT:
        return opt_parse_int(a, &ia) && opt_parse_int(b, &ib) && ia == ib;
    case OPT_UINT:
        return opt_parse_uint(a, &ua) && opt_parse_uint(b, &ub) && ua == ub;
    case OPT_SIZE:
        return opt_parse_size(a, key->unit, &ua) && opt_parse_size(b, key->unit, &ub) && ua == ub;
    default:
        return false;
    }
}

static bool key_well_formed(const char *key)
{
    static const char others[] = "_.-+#";
    bool good = g_ascii_isalnum(*key) || *key == '_';
    for (const char *p = key; *p && good; p++) {
        good = g_ascii_isalnum(*p) || strchr(others, *p);
    }
    return good;
}

bool entry_check(const GroupInfo *info, const Entry *entry, Diag *diag)
{
    const OptKey *key = g_hash_table_lookup(info->keys, entry->key);
    if (key) {
        return !entry->value || value_check(key, entry->value, entry->origin, diag);
    }
    if (!key_well_formed(entry->key)) {
        diag_error(diag, entry->key_origin, "'%s' cannot be the name of a key", entry->key);
        return false;
    }
    if (info->flags & OPT_OPEN_KEYS) {
        return true;
    }
    diag_error(diag, entry->key_origin, "[%s] has no key '%s'", info->name, entry->key);
    diag_suggest(diag, entry->key, (const char *const *)info->names->pdata);
    return false;
}

bool id_check(const GroupInfo *info, const char *id, const Origin *origin, Diag *diag)
{
    if (info->flags & OPT_MERGE) {
        diag_error(diag, origin, "there is one [%s] only: it takes no name", info->name);
        return false;
    }
    bool good = g_ascii_isalnum(*id) || *id == '_';
    for (const char *p = id; *p && good; p++) {
        good = g_ascii_isalnum(*p) || strchr("_.-+#:", *p);
    }
    if (!good || strlen(id) > MAX_ID) {
        diag_error(diag, origin, "'%.300s' cannot be a name", id);
        diag_note(diag, NULL, "accepted: letters, digits and _ . - + # :, a letter or digit first,"
                  " up to %u characters", MAX_ID);
        return false;
    }
    return true;
}
