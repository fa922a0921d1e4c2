/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Finding and reading firmware images; see firmware.h. */
#include "hw/core/firmware.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "hw/core/machine.h"

/* Debian's packages: seabios, then what qemu-system-data and ipxe-qemu install. */
static const char *const firmware_dirs[] = {
    "/usr/share/seabios", "/usr/share/qemu", "/usr/lib/ipxe/qemu", "/usr/share/vgabios", NULL,
};

static char *firmware_try(const char *dir, const char *name, GString *looked)
{
    g_autofree char *path = g_build_filename(dir, name, NULL);
    if (g_file_test(path, G_FILE_TEST_IS_REGULAR)) {
        return g_steal_pointer(&path);
    }
    g_string_append_printf(looked, "%s%s", looked->len ? ", " : "", dir);
    return NULL;
}

char *firmware_find(Machine *machine, const char *name, GError **error)
{
    g_autoptr(GString) looked = g_string_new(NULL);
    const GPtrArray *dirs = machine->config ? config_data_dirs(machine->config) : NULL;
    char *path;

    if (strchr(name, '/')) {
        return g_strdup(name);
    }
    for (unsigned i = 0; dirs && i < dirs->len; i++) {
        path = firmware_try(dirs->pdata[i], name, looked);
        if (path) {
            return path;
        }
    }
    for (unsigned i = 0; firmware_dirs[i]; i++) {
        path = firmware_try(firmware_dirs[i], name, looked);
        if (path) {
            return path;
        }
    }
    g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_NOENT, "no file '%s' in %s", name, looked->str);
    return NULL;
}

GBytes *host_file_load(const char *path, guint64 max_size, GError **error)
{
    struct stat info;
    char *data;
    gsize length;

    if (stat(path, &info) == 0) {
        if (S_ISDIR(info.st_mode)) {
            g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_ISDIR, "'%s' is a directory", path);
            return NULL;
        }
        if (S_ISREG(info.st_mode) && (guint64)info.st_size > max_size) {
            g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_FAILED,
                        "'%s' has %" G_GINT64_FORMAT " bytes, more than the %" G_GUINT64_FORMAT
                        " that fit", path, (gint64)info.st_size, max_size);
            return NULL;
        }
    }
    if (!g_file_get_contents(path, &data, &length, error)) {
        return NULL;
    }
    if (length == 0 || length > max_size) {
        g_free(data);
        g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_FAILED, "'%s' is %s", path,
                    length ? "too large" : "empty");
        return NULL;
    }
    return g_bytes_new_take(data, length);
}

GBytes *firmware_load(Machine *machine, const char *name, gsize max_size, GError **error)
{
    g_autofree char *path = firmware_find(machine, name, error);
    return path ? host_file_load(path, max_size, error) : NULL;
}
