/* SPDX-License-Identifier: GPL-2.0-or-later */
/* -chardev, and the older options that name a character device by a short text. */
#include "chardev/options.h"

#include <string.h>

static const char *const backends[] = {"null", "stdio", "file", "pty", "socket", "pipe", NULL};

static const OptKey chardev_keys[] = {
    {.name = "backend", .type = OPT_ENUM, .choices = backends, .help = "kind of back end"},
    {.name = "path", .type = OPT_STRING, .help = "file, pipe or unix socket"},
    {.name = "append", .type = OPT_BOOL, .def = "off", .help = "file: keep what it holds"},
    {.name = "input-path", .type = OPT_STRING, .help = "file: read input from this one"},
    {.name = "host", .type = OPT_STRING, .help = "socket: host name or address"},
    {.name = "port", .type = OPT_STRING, .help = "socket: TCP port"},
    {.name = "server", .type = OPT_BOOL, .def = "off", .help = "socket: listen"},
    {.name = "wait", .type = OPT_BOOL, .def = "on", .help = "socket: wait for the first client"},
    {.name = "reconnect", .type = OPT_UINT, .def = "0", .min = 0, .max = 3600,
     .help = "socket: seconds until a lost connection is tried again"},
    {.name = "mux", .type = OPT_BOOL, .def = "off", .help = "shared by several; Ctrl-a switches"},
    {.name = "signal", .type = OPT_BOOL, .def = "on", .help = "stdio: Ctrl-c ends the emulator"},
    {0},
};

static const char *const socket_keys[] = {"host", "port", "server", "wait", "reconnect", NULL};

/* Keys that mean nothing to the back end would be ignored silently: refuse them. */
static bool check_applicable(const ConfigGroup *group, const char *backend, Diag *diag)
{
    bool is_socket = !strcmp(backend, "socket");
    bool takes_path = is_socket || !strcmp(backend, "file") || !strcmp(backend, "pipe");
    bool good = true;
    for (unsigned i = 0; i < group->values->len; i++) {
        const ConfigValue *value = group->values->pdata[i];
        bool fits = (is_socket || !g_strv_contains(socket_keys, value->key)) &&
                    (takes_path || strcmp(value->key, "path")) &&
                    (!strcmp(backend, "file") ||
                     (strcmp(value->key, "append") && strcmp(value->key, "input-path"))) &&
                    (!strcmp(backend, "stdio") || strcmp(value->key, "signal"));
        if (!fits) {
            diag_error(diag, value->key_origin, "a %s character device has no '%s'", backend,
                       value->key);
            good = false;
        }
    }
    return good;
}

static bool chardev_validate(const ConfigGroup *group, Diag *diag)
{
    const char *backend = group_get(group, "backend");
    const char *path = group_get(group, "path");
    if (!backend) {
        diag_error(diag, group->origin, "this character device has no backend");
        diag_suggest(diag, NULL, backends);
        return false;
    }
    if ((!strcmp(backend, "file") || !strcmp(backend, "pipe")) && !path) {
        diag_error(diag, group->origin, "a %s needs a path", backend);
        return false;
    }
    if (!strcmp(backend, "socket") && !path == !group_get(group, "port")) {
        diag_error(diag, group->origin, "a socket needs either path, or host and port");
        return false;
    }
    return check_applicable(group, backend, diag);
}

static const OptSchema chardev_option = {
    .group = "chardev",
    .option = "chardev",
    .implied_key = "backend",
    .flags = OPT_NEED_ID,
    .keys = chardev_keys,
    .arg_help = "BACKEND,id=NAME[,key=value…]",
    .help = "a back end for serial ports and monitors",
    .section = OPT_SECTION_DEVICES,
    .in_short_help = true,
    .example = "socket,id=char0,path=/tmp/a,,b,server=on,wait=off",
    .validate = chardev_validate,
};
OPTION_SCHEMA(chardev_option);

#define TEXT_OPTION(var, name_, help_)                                                             \
    static const OptKey var##_keys[] = {                                                           \
        {.name = "device", .type = OPT_STRING, .help = "short form of a character device"},        \
        {.name = "chardev", .type = OPT_STRING, .help = "name of the character device"},           \
        {0},                                                                                       \
    };                                                                                             \
    static const OptSchema var = {                                                                 \
        .group = name_,                                                                            \
        .option = name_,                                                                           \
        .implied_key = "device",                                                                   \
        .flags = OPT_RAW,                                                                          \
        .keys = var##_keys,                                                                        \
        .arg_help = "none|null|stdio|mon:stdio|pty|file:PATH|unix:PATH,…|tcp:HOST:PORT,…"          \
                    "|chardev:ID",                                                                 \
        .help = help_,                                                                             \
        .section = OPT_SECTION_DEVICES,                                                            \
        .in_short_help = true,                                                                     \
        .example = "unix:/tmp/sock,server=on,wait=off",                                            \
    };                                                                                             \
    OPTION_SCHEMA(var)

TEXT_OPTION(serial_option, "serial", "what the next serial port is connected to");
TEXT_OPTION(monitor_option, "monitor", "what the monitor is connected to");
TEXT_OPTION(qmp_option, "qmp", "what a QMP monitor is connected to");
TEXT_OPTION(qmp_pretty_option, "qmp-pretty", "the same, with JSON laid out over lines");
TEXT_OPTION(debugcon_option, "debugcon", "a debug port at 0xe9, connected to this");

static const OptKey echr_keys[] = {
    {.name = "echr", .type = OPT_UINT, .min = 1, .max = 26, .def = "1",
     .help = "escape character of shared terminals: 1 is Ctrl-a"},
    {0},
};
static const OptSchema echr_option = {
    .group = "system",
    .option = "echr",
    .implied_key = "echr",
    .flags = OPT_MERGE | OPT_RAW,
    .keys = echr_keys,
    .arg_help = "N",
    .help = "escape character of shared terminals: 1 is Ctrl-a",
    .section = OPT_SECTION_DEVICES,
    .example = "20",
};
OPTION_SCHEMA(echr_option);

/* ---- Short forms ---- */

/* ",server=on,wait=off", older ",server,nowait". */
static bool set_socket_options(Config *config, ConfigGroup *group, const char *options,
                               const Origin *origin, Diag *diag)
{
    g_auto(GStrv) items = g_strsplit(options, ",", -1);
    for (char **item = items; *item; item++) {
        char *equals = strchr(*item, '=');
        bool no = !equals && g_str_has_prefix(*item, "no");
        const char *key = *item + (no ? 2 : 0);
        if (equals) {
            *equals = '\0';
        }
        if (!g_strv_contains(socket_keys, key)) {
            diag_error(diag, origin, "a socket has no '%s'", *item);
            diag_suggest(diag, key, socket_keys);
            return false;
        }
        const OptKey *declared = schema_find_key("chardev", key);
        const char *value = equals ? equals + 1 : no ? "off" : "on";
        bool on;
        if (declared->type == OPT_BOOL && !opt_parse_bool(value, &on)) {
            diag_error(diag, origin, "%s expects on or off, not '%s'", key, value);
            return false;
        }
        group_set(config, group, key, value, origin);
    }
    return true;
}

static bool set_socket(Config *config, ConfigGroup *group, const char *text, bool tcp,
                       const Origin *origin, Diag *diag)
{
    size_t length = strcspn(text, ",");
    g_autofree char *address = g_strndup(text, length);
    char *colon = tcp ? strrchr(address, ':') : NULL;
    group_set(config, group, "backend", "socket", origin);
    if (!*address || (tcp && !colon)) {
        diag_error(diag, origin, tcp ? "expected tcp:HOST:PORT" : "expected unix:PATH");
        return false;
    }
    if (tcp) {
        *colon = '\0';
        group_set(config, group, "host", *address ? address : "localhost", origin);
        group_set(config, group, "port", colon + 1, origin);
    } else {
        group_set(config, group, "path", address, origin);
    }
    return !text[length] || set_socket_options(config, group, text + length + 1, origin, diag);
}

/* Back ends that are one word, or a word and a path. */
static bool set_simple(Config *config, ConfigGroup *group, const char *text, const Origin *origin,
                       Diag *diag)
{
    static const char *const words[] = {"null", "stdio", "pty", NULL};
    static const char *const accepted[] = {
        "none", "null", "stdio", "mon:stdio", "pty", "file:PATH", "pipe:PATH", "unix:PATH",
        "tcp:HOST:PORT", "chardev:ID", NULL,
    };
    const char *colon = strchr(text, ':');
    g_autofree char *word = colon ? g_strndup(text, colon - text) : g_strdup(text);
    bool has_path = !strcmp(word, "file") || !strcmp(word, "pipe");
    if (has_path ? !colon || !colon[1] : colon || !g_strv_contains(words, text)) {
        diag_error(diag, origin, "'%s' names no character device", text);
        diag_suggest(diag, text, accepted);
        return false;
    }
    group_set(config, group, "backend", word, origin);
    if (has_path) {
        group_set(config, group, "path", colon + 1, origin);
    }
    return true;
}

const char *chardev_from_text(Config *config, const char *text, const char *id,
                              const Origin *origin, Diag *diag)
{
    if (!strcmp(text, "none")) {
        return NULL;
    }
    if (g_str_has_prefix(text, "chardev:")) {
        return text + strlen("chardev:");
    }
    ConfigGroup *group = config_add_group(config, "chardev", id, origin, LAYER_CMDLINE);
    if (!group) {
        diag_error(diag, origin, "the character device '%s' exists already", id);
        diag_note(diag, config_find(config, "chardev", id)->origin, "defined here");
        return NULL;
    }
    bool mux = g_str_has_prefix(text, "mon:");
    text += mux ? strlen("mon:") : 0;
    bool unix_socket = g_str_has_prefix(text, "unix:"), tcp = g_str_has_prefix(text, "tcp:");
    bool good = unix_socket || tcp
        ? set_socket(config, group, strchr(text, ':') + 1, tcp, origin, diag)
        : set_simple(config, group, text, origin, diag);
    if (mux) {
        group_set(config, group, "mux", "on", origin);
    }
    if (!good) {
        config_remove_group(config, group);
        return NULL;
    }
    return group->id;
}

/* ---- Settling ---- */

/* Fills in the key chardev of @group, from its key device where it has none. */
static const char *settle_group(Config *config, ConfigGroup *group, const char *id, Diag *diag)
{
    const char *name = group_get(group, "chardev");
    const char *text = group_get(group, "device");
    if (name) {
        return name;
    }
    if (!text) {
        diag_error(diag, group->origin, "device or chardev is missing");
        return NULL;
    }
    const Origin *origin = group_origin(group, "device");
    name = chardev_from_text(config, text, id, origin, diag);
    if (name) {
        group_set(config, group, "chardev", name, origin);
    }
    return group_get(group, "chardev");
}

static void settle_serial(Config *config, Diag *diag)
{
    GPtrArray *groups = config_groups(config, "serial");
    if (!groups->len && !config_is_on(config, "system", "nodefaults")) {
        bool terminal = config_is_on(config, "system", "nographic");
        ConfigGroup *group = config_add_group(config, "serial", NULL, NULL, LAYER_CMDLINE);
        group_set(config, group, "device", terminal ? "mon:stdio" : "null", NULL);
    }
    for (unsigned i = 0; i < groups->len; i++) {
        g_autofree char *id = g_strdup_printf("serial%u", i);
        if (settle_group(config, groups->pdata[i], id, diag)) {
            config_name_group(config, groups->pdata[i], id);
        }
    }
}

/* What a kind of monitor option stands for. */
typedef struct MonitorKind {
    const char *option;
    const char *mode;
    const char *pretty;
} MonitorKind;

static void add_monitor(Config *config, const MonitorKind *kind, const char *id,
                        const char *chardev, const Origin *origin)
{
    ConfigGroup *mon = config_add_group(config, "mon", id, origin, LAYER_CMDLINE);

    if (mon) {
        group_set(config, mon, "chardev", chardev, origin);
        group_set(config, mon, "mode", kind->mode, origin);
        if (kind->pretty) {
            group_set(config, mon, "pretty", kind->pretty, origin);
        }
    }
}

static void settle_monitor(Config *config, const MonitorKind *kind, unsigned *count, Diag *diag)
{
    GPtrArray *groups = config_groups(config, kind->option);
    for (unsigned i = 0; i < groups->len; i++, (*count)++) {
        g_autofree char *id = g_strdup_printf("compat_monitor%u", *count);
        bool settled = group_get(groups->pdata[i], "chardev") != NULL;
        const char *name = settle_group(config, groups->pdata[i], id, diag);
        if (name && !settled) {
            const Origin *origin = group_origin(groups->pdata[i], "device");
            add_monitor(config, kind, id, name, origin);
        }
    }
}

/* "mon:stdio" brings a monitor along with the multiplexer. */
static void settle_shared_monitors(Config *config, unsigned *count)
{
    static const MonitorKind kind = { NULL, "readline", NULL };
    GPtrArray *groups = config_groups(config, "serial");
    for (unsigned i = 0; i < groups->len; i++) {
        const char *text = group_get(groups->pdata[i], "device");
        const char *name = group_get(groups->pdata[i], "chardev");
        if (text && name && g_str_has_prefix(text, "mon:")) {
            g_autofree char *id = g_strdup_printf("compat_monitor%u", (*count)++);
            add_monitor(config, &kind, id, name, group_origin(groups->pdata[i], "device"));
        }
    }
}

static void settle_monitors(Config *config, Diag *diag)
{
    static const MonitorKind kinds[] = {
        { "monitor", "readline", NULL }, { "qmp", "control", NULL },
        { "qmp-pretty", "control", "on" },
    };
    unsigned count = 0;
    for (unsigned i = 0; i < G_N_ELEMENTS(kinds); i++) {
        settle_monitor(config, &kinds[i], &count, diag);
    }
    settle_shared_monitors(config, &count);
}

static void settle_debugcon(Config *config, Diag *diag)
{
    GPtrArray *groups = config_groups(config, "debugcon");
    for (unsigned i = 0; i < groups->len; i++) {
        g_autofree char *id = i ? g_strdup_printf("debugcon%u", i) : g_strdup("debugcon");
        bool settled = group_get(groups->pdata[i], "chardev") != NULL;
        const char *name = settle_group(config, groups->pdata[i], id, diag);
        if (name && !settled) {
            const Origin *origin = group_origin(groups->pdata[i], "device");
            ConfigGroup *device = config_add_group(config, "device", NULL, origin, LAYER_CMDLINE);
            group_set(config, device, "driver", "isa-debugcon", origin);
            group_set(config, device, "iobase", "0xe9", origin);
            group_set(config, device, "chardev", name, origin);
        }
    }
}

bool chardev_settle(Config *config, Diag *diag)
{
    unsigned before = diag_errors(diag);
    settle_serial(config, diag);
    settle_monitors(config, diag);
    settle_debugcon(config, diag);
    return diag_errors(diag) == before;
}

const char *chardev_resolve(const Config *config, const char *name)
{
    const ConfigGroup *serial = config_find(config, "serial", name);
    const char *chardev = serial ? group_get(serial, "chardev") : NULL;
    return chardev ? chardev : name;
}
