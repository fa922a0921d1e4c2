/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The log: one line a call, to stderr or the file of -D; guest mistakes are rate-limited. */
#include "util/log.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* Guest-error lines in one second before the rest of that second is dropped and counted. */
#define GUEST_ERRORS_PER_SECOND 10

typedef struct LogItem {
    const char *name;
    uint32_t mask;
    const char *help;
} LogItem;

static const LogItem log_items[] = {
    { "guest_errors", LOG_GUEST_ERROR, "the guest programs a device wrongly" },
    { "unimp", LOG_UNIMP, "the guest uses something that is not modelled" },
    { "int", LOG_INT, "interrupts and exceptions" },
    { "in_asm", LOG_IN_ASM, "guest code as it is decoded" },
    { "op", LOG_OP, "how the translator deals with each instruction of a block (tcg)" },
    { "out_asm", LOG_OUT_ASM, "the code that the translator writes (tcg)" },
    { "exec", LOG_EXEC, "every block executed" },
    { "cpu_reset", LOG_CPU_RESET, "CPU state before a reset" },
    { "mmu", LOG_MMU, "page table walks and faults" },
    { "cpu", LOG_CPU, "registers before each block" },
    { "stats", LOG_STATS, "what each CPU did, at the end" },
    { "accel", LOG_ACCEL, "which accelerator runs, and what it leaves to others" },
};

uint32_t log_mask_active;

/* The log is the process's, like stderr, hence file scope. */
static struct {
    GMutex mutex;
    FILE *file; /* NULL: stderr */
    int64_t second;
    unsigned lines, dropped;
} log_state;

static const LogItem *log_item_find(const char *name)
{
    for (size_t i = 0; i < G_N_ELEMENTS(log_items); i++) {
        if (!strcmp(log_items[i].name, name)) {
            return &log_items[i];
        }
    }
    return NULL;
}

static char *log_item_names(void)
{
    GString *names = g_string_new(NULL);

    for (size_t i = 0; i < G_N_ELEMENTS(log_items); i++) {
        g_string_append_printf(names, "%s%s", i ? ", " : "", log_items[i].name);
    }
    return g_string_free(names, FALSE);
}

bool log_set_mask(const char *list, GError **error)
{
    g_auto(GStrv) names = g_strsplit(list, ",", -1);
    uint32_t mask = 0;

    for (char **name = names; *name; name++) {
        const LogItem *item = log_item_find(*name);
        if (!item) {
            g_autofree char *known = log_item_names();
            g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_INVAL,
                        "unknown log item '%s'; the items are %s", *name, known);
            return false;
        }
        mask |= item->mask;
    }
    log_mask_active = mask;
    return true;
}

bool log_set_file(const char *path, GError **error)
{
    FILE *file = fopen(path, "we");

    if (!file) {
        g_set_error(error, G_FILE_ERROR, g_file_error_from_errno(errno),
                    "cannot write the log file '%s': %s", path, g_strerror(errno));
        return false;
    }
    g_mutex_lock(&log_state.mutex);
    if (log_state.file) {
        fclose(log_state.file);
    }
    log_state.file = file;
    g_mutex_unlock(&log_state.mutex);
    return true;
}

char *log_help(void)
{
    GString *text = g_string_new(NULL);

    for (size_t i = 0; i < G_N_ELEMENTS(log_items); i++) {
        g_string_append_printf(text, "%-14s %s\n", log_items[i].name, log_items[i].help);
    }
    return g_string_free(text, FALSE);
}

static void log_line(const char *format, va_list args)
{
    FILE *file = log_state.file ? log_state.file : stderr;
    size_t length = strlen(format);

    vfprintf(file, format, args);
    if (!length || format[length - 1] != '\n') {
        fputc('\n', file);
    }
    fflush(file);
}

void log_write(uint32_t mask, const char *format, ...)
{
    va_list args;

    if (!(log_mask_active & mask)) {
        return;
    }
    va_start(args, format);
    g_mutex_lock(&log_state.mutex);
    log_line(format, args);
    g_mutex_unlock(&log_state.mutex);
    va_end(args);
}

/* True if one more guest error may be written now. Log mutex held. */
static bool log_guest_error_allowed(void)
{
    int64_t second = g_get_monotonic_time() / G_USEC_PER_SEC;

    if (second != log_state.second) {
        if (log_state.dropped) {
            fprintf(log_state.file ? log_state.file : stderr,
                    "(%u more guest errors not shown)\n", log_state.dropped);
        }
        log_state.second = second;
        log_state.lines = 0;
        log_state.dropped = 0;
    }
    if (log_state.lines == GUEST_ERRORS_PER_SECOND) {
        log_state.dropped++;
        return false;
    }
    log_state.lines++;
    return true;
}

void log_guest_error(const char *format, ...)
{
    va_list args;

    if (!log_enabled(LOG_GUEST_ERROR)) {
        return;
    }
    va_start(args, format);
    g_mutex_lock(&log_state.mutex);
    if (log_guest_error_allowed()) {
        log_line(format, args);
    }
    g_mutex_unlock(&log_state.mutex);
    va_end(args);
}
