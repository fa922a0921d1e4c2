/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The nearest of some names to a misspelt word. */
#include "qemu-config/diag.h"

#include <string.h>

#define NEAREST_MAX 64

/* Optimal string alignment distance: insertions, deletions, changes, swaps; case is ignored. */
static unsigned edit_distance(const char *a, const char *b, unsigned limit)
{
    size_t la = strlen(a), lb = strlen(b);
    if (la > NEAREST_MAX || lb > NEAREST_MAX || (la > lb ? la - lb : lb - la) > limit) {
        return limit + 1;
    }
    unsigned rows[3][NEAREST_MAX + 1];
    for (size_t j = 0; j <= lb; j++) {
        rows[0][j] = j;
    }
    for (size_t i = 1; i <= la; i++) {
        unsigned *row = rows[i % 3], *above = rows[(i + 2) % 3], *above2 = rows[(i + 1) % 3];
        char ca = g_ascii_tolower(a[i - 1]);
        row[0] = i;
        for (size_t j = 1; j <= lb; j++) {
            char cb = g_ascii_tolower(b[j - 1]);
            row[j] = MIN(MIN(row[j - 1], above[j]) + 1, above[j - 1] + (ca != cb));
            if (i > 1 && j > 1 && ca == g_ascii_tolower(b[j - 2]) &&
                cb == g_ascii_tolower(a[i - 2])) {
                row[j] = MIN(row[j], above2[j - 2] + 1);
            }
        }
    }
    return rows[la % 3][lb];
}

const char *diag_nearest(const char *word, const char *const *names)
{
    const char *best = NULL;
    unsigned limit = MAX(1, strlen(word) / 3);
    if (strlen(word) < 2) {
        return NULL;
    }
    for (; *names; names++) {
        unsigned distance = edit_distance(word, *names, limit);
        if (distance < limit || (distance == limit && !best)) {
            best = *names;
            limit = distance;
        }
        if (best && !limit) {
            break;
        }
    }
    return best;
}
