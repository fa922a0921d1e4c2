/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where configuration is found: the data directories of the hardware description, the user layer,
 * and reading files, bounded.
 */
#include <errno.h>
#include <fcntl.h>
#include <gio/gio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "qemu-config/internal.h"

#define FDSET_PREFIX "/dev/fdset/"
#define CPU_MODELS_FILE "cpu-models-x86.conf"

/* ---- Files ---- */

static int64_t entry_number(const Stanza *stanza, const char *key)
{
    int64_t number = -1;
    for (unsigned i = 0; i < stanza->count; i++) {
        if (!strcmp(stanza->entries[i].key, key) && stanza->entries[i].value) {
            opt_parse_int(stanza->entries[i].value, &number);
        }
    }
    return number;
}

/* A duplicate of the descriptor that @stanza (-add-fd) passes, if it is for @set and @flags. */
static int duplicate_passed(const Stanza *stanza, int64_t set, int flags)
{
    int64_t fd = entry_number(stanza, "fd");
    int mode = entry_number(stanza, "set") == set ? fcntl(fd, F_GETFL) : -1;
    bool fits = mode >= 0 && (mode & O_ACCMODE) == (flags & O_ACCMODE);
    return fits ? fcntl(fd, F_DUPFD_CLOEXEC, 3) : -1;
}

static int open_passed(const Config *config, const char *path, int flags, GError **error)
{
    int64_t set = -1;
    int fd = -1;
    const GroupInfo *info = schema_group_info("add-fd");
    const GPtrArray *stanzas = config->layers[LAYER_CMDLINE];
    bool known = opt_parse_int(path + strlen(FDSET_PREFIX), &set) && set >= 0;
    for (unsigned i = 0; known && fd < 0 && i < stanzas->len; i++) {
        const Stanza *stanza = stanzas->pdata[i];
        fd = stanza->info == info ? duplicate_passed(stanza, set, flags) : -1;
    }
    if (fd < 0) {
        g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_NOENT,
                    "no descriptor for '%s' was passed with -add-fd", path);
    }
    return fd;
}

int config_open_file(const Config *config, const char *path, int flags, GError **error)
{
    if (g_str_has_prefix(path, FDSET_PREFIX)) {
        return open_passed(config, path, flags, error);
    }
    int fd = open(path, flags | O_CLOEXEC | O_NOCTTY, 0666);
    if (fd < 0) {
        g_set_error(error, G_FILE_ERROR, g_file_error_from_errno(errno), "cannot open '%s': %s",
                    path, g_strerror(errno));
    }
    return fd;
}

/* Everything up to the end of @fd, at most MAX_FILE_SIZE; NULL and @error. */
static GString *read_all(int fd, const char *path, GError **error)
{
    struct stat st;
    g_autoptr(GString) text = g_string_new(NULL);
    size_t expected = fstat(fd, &st) == 0 && S_ISREG(st.st_mode) ? MIN(st.st_size, MAX_FILE_SIZE)
                                                                 : 0;
    for (;;) {
        size_t have = text->len;
        size_t want = expected > have ? expected - have + 1 : 16384;
        g_string_set_size(text, have + want);
        ssize_t got = read(fd, text->str + have, want);
        g_string_set_size(text, have + MAX(got, 0));
        if (got == 0) {
            return g_steal_pointer(&text);
        }
        if (got < 0 && errno != EINTR) {
            g_set_error(error, G_FILE_ERROR, g_file_error_from_errno(errno),
                        "cannot read '%s': %s", path, g_strerror(errno));
            return NULL;
        }
        if (text->len > MAX_FILE_SIZE) {
            g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_INVAL,
                        "'%s' is larger than %u MiB: this is no configuration file", path,
                        MAX_FILE_SIZE >> 20);
            return NULL;
        }
    }
}

/* As a user would write it: relative when it lies under the working directory. */
static char *shown_path(const char *path)
{
    g_autofree char *cwd = g_get_current_dir();
    size_t length = strlen(cwd);
    if (length > 1 && !strncmp(path, cwd, length) && path[length] == '/') {
        return g_strdup(path + length + 1);
    }
    return g_strdup(g_str_has_prefix(path, "./") ? path + 2 : path);
}

static bool within_bounds(Config *config, const char *path, size_t size, GError **error)
{
    config->total_size += size;
    config->file_count++;
    if (config->total_size <= MAX_TOTAL_SIZE && config->file_count <= MAX_FILES) {
        return true;
    }
    g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_INVAL,
                "'%s' is not read: there are more than %u files or %u MiB of configuration", path,
                MAX_FILES, MAX_TOTAL_SIZE >> 20);
    return false;
}

ConfigSource *config_read_source(Config *config, const char *path, ConfigLayer layer,
                                 GError **error)
{
    bool is_stdin = !strcmp(path, "-");
    int fd = is_stdin ? dup(STDIN_FILENO) : config_open_file(config, path, O_RDONLY, error);
    if (fd < 0) {
        if (is_stdin) {
            g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_BADF, "standard input is closed");
        }
        return NULL;
    }
    GString *text = read_all(fd, path, error);
    close(fd);
    if (!text || !within_bounds(config, path, text->len, error)) {
        if (text) {
            g_string_free(text, TRUE);
        }
        return NULL;
    }
    g_autofree char *shown = is_stdin ? g_strdup("<stdin>") : shown_path(path);
    ConfigSource *source = config_add_source(config, SOURCE_FILE, shown, layer);
    source->path = is_stdin ? NULL : realpath(path, NULL);
    source->dir = source->path ? g_path_get_dirname(source->path) : g_get_current_dir();
    source->length = text->len;
    source->text = g_string_free(text, FALSE);
    return source;
}

char *config_find_include(const Config *config, const ConfigSource *from, const char *name)
{
    g_autofree char *near = g_path_is_absolute(name) ? g_strdup(name)
                                                     : g_build_filename(from->dir, name, NULL);
    if (access(near, F_OK) == 0) {
        return g_steal_pointer(&near);
    }
    return g_path_is_absolute(name) ? NULL : config_find_data_file(config, name);
}

bool config_load_text(Config *config, const char *name, const char *text, size_t length,
                      ConfigLayer layer, Diag *diag)
{
    unsigned before = diag_errors(diag);
    ConfigSource *source = config_add_source(config, SOURCE_FILE, name, layer);
    source->dir = g_get_current_dir();
    source->text = g_malloc(length + 1);
    memcpy(source->text, text, length);
    source->text[length] = '\0';
    source->length = length;
    config_parse_source(config, source, NULL, diag);
    return diag_errors(diag) == before;
}

static bool load_file(Config *config, const char *path, ConfigLayer layer, const Origin *origin,
                      Diag *diag)
{
    unsigned before = diag_errors(diag);
    GError *error = NULL;
    ConfigSource *source = config_read_source(config, path, layer, &error);
    if (!source) {
        diag_gerror(diag, origin, error);
        return false;
    }
    config_parse_source(config, source, NULL, diag);
    return diag_errors(diag) == before;
}

bool config_load_file(Config *config, const char *path, ConfigLayer layer, Diag *diag)
{
    return load_file(config, path, layer, NULL, diag);
}

void config_load_queued(Config *config, Diag *diag)
{
    for (unsigned i = 0; i < config->queued->len; i++) {
        const QueuedFile *file = &g_array_index(config->queued, QueuedFile, i);
        load_file(config, file->path, LAYER_FILES, file->origin, diag);
    }
    g_array_set_size(config->queued, 0);
}

/* ---- Directories ---- */

/* What files and the command line say about [system] @key, before layers are merged. */
static GPtrArray *early_values(const Config *config, const char *key)
{
    GPtrArray *values = g_ptr_array_new();
    const GroupInfo *info = schema_group_info("system");
    for (unsigned layer = LAYER_FILES; layer <= LAYER_CMDLINE; layer++) {
        for (unsigned i = 0; i < config->layers[layer]->len; i++) {
            const Stanza *stanza = config->layers[layer]->pdata[i];
            for (unsigned j = 0; stanza->info == info && j < stanza->count; j++) {
                if (!strcmp(stanza->entries[j].key, key) && stanza->entries[j].value) {
                    g_ptr_array_add(values, &stanza->entries[j]);
                }
            }
        }
    }
    return values;
}

static bool early_is_on(const Config *config, const char *key)
{
    g_autoptr(GPtrArray) values = early_values(config, key);
    const Entry *last = values->len ? values->pdata[values->len - 1] : NULL;
    bool on = false;
    return last && opt_parse_bool(last->value, &on) && on;
}

static bool is_directory(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

/* Installed: ../share/tessera beside the executable. From the build tree: sysconfigs/. */
static char *standard_data_dir(void)
{
    g_autofree char *exe = g_file_read_link("/proc/self/exe", NULL);
    if (exe) {
        g_autofree char *bin = g_path_get_dirname(exe);
        g_autofree char *installed = g_build_filename(bin, "..", "share", "tessera", NULL);
        g_autofree char *canonical = realpath(installed, NULL);
        if (canonical && is_directory(canonical)) {
            return g_steal_pointer(&canonical);
        }
    }
    return g_strdup(TESSERA_SOURCE_DATADIR);
}

static bool directory_is_empty(const char *path)
{
    GDir *dir = g_dir_open(path, 0, NULL);
    bool empty = !dir || !g_dir_read_name(dir);
    if (dir) {
        g_dir_close(dir);
    }
    return empty;
}

/*
 * -L directories come first, the standard one after them; but where all that -L names is empty, the
 * user wants no data at all, and the standard one is not looked at.
 */
void config_find_data_dirs(Config *config)
{
    g_autoptr(GPtrArray) given = early_values(config, "L");
    bool all_empty = given->len > 0;
    g_ptr_array_set_size(config->data_dirs, 0);
    for (unsigned i = 0; i < given->len; i++) {
        const Entry *entry = given->pdata[i];
        g_ptr_array_add(config->data_dirs, g_strdup(entry->value));
        all_empty = all_empty && directory_is_empty(entry->value);
    }
    if (!all_empty) {
        g_ptr_array_add(config->data_dirs, standard_data_dir());
    }
}

const GPtrArray *config_data_dirs(const Config *config)
{
    return config->data_dirs;
}

char *config_find_data_file(const Config *config, const char *name)
{
    for (unsigned i = 0; i < config->data_dirs->len; i++) {
        g_autofree char *path = g_build_filename(config->data_dirs->pdata[i], name, NULL);
        if (access(path, F_OK) == 0) {
            return g_steal_pointer(&path);
        }
    }
    return NULL;
}

const GPtrArray *config_files_searched(const Config *config)
{
    return config->searched;
}

void config_note_searched(const Config *config, Diag *diag)
{
    for (unsigned i = 0; i < config->searched->len; i++) {
        const char *path = config->searched->pdata[i];
        bool there = access(path, F_OK) == 0;
        diag_note(diag, NULL, "searched %s%s", path, there ? "" : " (not there)");
    }
}

/* ---- Layers ---- */

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Names of *.conf in @dir, sorted: the order of a directory is no order. */
static GPtrArray *list_conf_files(const char *dir)
{
    GPtrArray *names = g_ptr_array_new_with_free_func(g_free);
    GDir *handle = g_dir_open(dir, 0, NULL);
    const char *name;
    while (handle && (name = g_dir_read_name(handle))) {
        if (g_str_has_suffix(name, ".conf") && *name != '.') {
            g_ptr_array_add(names, g_strdup(name));
        }
    }
    if (handle) {
        g_dir_close(handle);
    }
    g_ptr_array_sort(names, compare_names);
    return names;
}

static char *note_searched(Config *config, const char *dir, const char *name)
{
    char *path = g_build_filename(dir, name, NULL);
    g_ptr_array_add(config->searched, path);
    return path;
}

/* A file that need not be there. */
static void load_optional(Config *config, const char *dir, const char *name, ConfigLayer layer,
                          Diag *diag)
{
    const char *path = note_searched(config, dir, name);
    if (access(path, F_OK) == 0) {
        load_file(config, path, layer, NULL, diag);
    }
}

/* True if a data directory before the one at @index has the file: it hides the later one. */
static bool hidden_by_earlier(const Config *config, unsigned index, const char *sub,
                              const char *name)
{
    for (unsigned i = 0; i < index; i++) {
        g_autofree char *path = g_build_filename(config->data_dirs->pdata[i], sub, name, NULL);
        if (access(path, F_OK) == 0) {
            return true;
        }
    }
    return false;
}

/* Every file of @dir/@sub; @index: of @dir among the data directories, 0 for the user layer. */
static void load_directory(Config *config, const char *dir, unsigned index, const char *sub,
                           ConfigLayer layer, Diag *diag)
{
    const char *path = note_searched(config, dir, sub);
    g_autoptr(GPtrArray) names = list_conf_files(path);
    for (unsigned i = 0; i < names->len; i++) {
        const char *name = names->pdata[i];
        if (hidden_by_earlier(config, index, sub, name)) {
            continue;
        }
        g_autofree char *file = g_build_filename(path, name, NULL);
        if (!strcmp(sub, "machines")) {
            config_load_machine_file(config, file, layer, NULL, diag);
        } else {
            load_file(config, file, layer, NULL, diag);
        }
    }
}

/* The first directory counts most and is therefore read last. */
static void load_hardware(Config *config, Diag *diag)
{
    for (unsigned i = config->data_dirs->len; i-- > 0;) {
        const char *dir = config->data_dirs->pdata[i];
        if (!hidden_by_earlier(config, i, "", CPU_MODELS_FILE)) {
            load_optional(config, dir, CPU_MODELS_FILE, LAYER_HARDWARE, diag);
        }
        load_directory(config, dir, i, "cpu-models", LAYER_HARDWARE, diag);
        load_directory(config, dir, i, "machines", LAYER_HARDWARE, diag);
    }
}

/* TESSERA_SYSCONFDIR serves tests and installations outside /etc; docs/config.md names it. */
static void load_user(Config *config, Diag *diag)
{
    const char *other = g_getenv("TESSERA_SYSCONFDIR");
    const char *dir = other && *other ? other : TESSERA_SYSCONFDIR;
    load_optional(config, dir, "tessera.conf", LAYER_USER, diag);
    load_optional(config, dir, "target-x86_64.conf", LAYER_USER, diag);
    load_directory(config, dir, 0, "cpu-models", LAYER_USER, diag);
    load_directory(config, dir, 0, "machines", LAYER_USER, diag);
}

bool config_load_layers(Config *config, Diag *diag)
{
    unsigned before = diag_errors(diag);
    if (!config->layers_loaded) {
        config->layers_loaded = true;
        config_find_data_dirs(config);
        load_hardware(config, diag);
        if (!early_is_on(config, "nodefconfig")) {
            load_user(config, diag);
        }
        config_warn_shadowing(config, diag);
    }
    config_merge(config, 0, diag);
    return diag_errors(diag) == before;
}
