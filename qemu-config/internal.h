/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the files of this room share: stanzas (what one place says about one group), layers of
 * stanzas, machine types, and the index over schema rows.
 */
#ifndef QEMU_CONFIG_INTERNAL_H
#define QEMU_CONFIG_INTERNAL_H

#include "qemu-config/config.h"
#include "qemu-config/json.h"
#include "qemu-config/source.h"

/* The group and key that select a machine type, and keys of its header that this room reads. */
#define MACHINE_GROUP "machine"
#define MACHINE_TYPE_KEY "type"
#define SCOPE_BASE_KEY "base_machine"
#define SCOPE_ALIAS_KEY "alias"

#define MAX_FILE_SIZE (4u << 20)
#define MAX_TOTAL_SIZE (32u << 20) /* of all files and expanded variables */
#define MAX_FILES 1024
#define MAX_INCLUDE_DEPTH 16
#define MAX_KEYS 4096 /* of one group */
#define MAX_ID 255

/* All rows that share one group. */
typedef struct {
    const char *name;
    const OptSchema *first;
    uint32_t flags;
    unsigned index;    /* of Config.lists */
    GHashTable *keys;  /* name and synonym to const OptKey* */
    GPtrArray *names;  /* of char*, the keys' names, NULL-terminated */
    GPtrArray *rows;   /* of const OptSchema* */
} GroupInfo;

typedef struct {
    const char *key;
    const char *value; /* NULL: the key is dropped */
    const Origin *key_origin;
    const Origin *origin;
} Entry;

/* What one place says about one group. */
typedef struct {
    const GroupInfo *info;
    const OptSchema *schema;
    const char *id;
    Entry *entries;
    unsigned count;
    bool remove;      /* [-device "x"] */
    bool amend;       /* -set: the group must exist */
    bool reported;    /* a warning about it was given */
    bool broken;      /* some of it was a mistake: what is missing is not the next one */
    ConfigLayer layer;
    const Origin *origin;
} Stanza;

/* The groups of one machine type, and its header. */
typedef struct {
    const char *name;
    ConfigLayer layer;
    const Origin *origin;
    GPtrArray *headers; /* of Stanza*, earlier ones overridden by later ones */
    GPtrArray *stanzas; /* of Stanza* */
    ConfigGroup *group; /* headers merged; without what is inherited */
    bool selected_by_path;
} MachineType;

/* The merged groups of one kind. */
typedef struct {
    GPtrArray *groups; /* of ConfigGroup* */
    GHashTable *by_id;
} GroupList;

/* The effective groups: what all layers come to. */
typedef struct {
    GroupList *lists;   /* by GroupInfo.index */
    GPtrArray *groups;  /* of ConfigGroup*, all, in order */
    GPtrArray *dropped; /* of char*: what -explain says about drops */
} Merged;

typedef enum {
    MERGE_FINAL = 1u << 0,      /* all layers are there: a drop that finds nothing is a mistake */
    MERGE_KEEP_DROPS = 1u << 1, /* user layers alone: keep drops for writing */
    MERGE_MACHINE = 1u << 2,    /* stanzas of a machine type: they count as hardware */
} MergeFlags;

/* A -readconfig that waits for the whole command line: -L and -define may follow it. */
typedef struct {
    const char *path;
    const Origin *origin;
} QueuedFile;

struct Config {
    GPtrArray *sources;         /* of ConfigSource* */
    ConfigSource *command_line; /* in sources */
    ConfigSource *built_in;     /* in sources: strings of groups that subsystems add */
    GPtrArray *layers[LAYER_QMP + 1]; /* of Stanza*, in the order they were said */
    GPtrArray *types;           /* of MachineType*, by layer */
    MachineType *last_type;     /* the one added last */
    GHashTable *defines;        /* -define: name to value */
    GPtrArray *searched;        /* of char* */
    GPtrArray *data_dirs;       /* of char* */
    size_t total_size;
    unsigned file_count;

    GArray *queued;             /* of QueuedFile */
    Merged *merged;
    ConfigGroup *machine;       /* header of the selected type with what it inherits */
    GPtrArray *chain;           /* of MachineType*: the selected one, bases first; or NULL */
    bool layers_loaded;

    char *help_topic;           /* -help TOPIC */
    bool help_wanted, version_wanted;
    const OptSchema *list_help; /* -device help */
    char *list_help_topic;      /* -device NAME,help */
};

/* ---- schema.c ---- */
const GroupInfo *schema_group_info(const char *group);
const GroupInfo *schema_info_of(const OptSchema *schema);
unsigned schema_group_count(void);
const GroupInfo *schema_group_at(unsigned index);
/* Names of every group / option for suggestions, NULL-terminated. */
const char *const *schema_group_names(void);
const char *const *schema_option_names(void);
/* The canonical name of @key in @info (synonyms resolved), @key itself if it is not declared. */
const char *info_canonical_key(const GroupInfo *info, const char *key, const OptKey **out);

/* ---- value.c ---- */
/* Checks @value against @key's type, choices and range; reports at @origin. */
bool value_check(const OptKey *key, const char *value, const Origin *origin, Diag *diag);
/* Checks that @key may stand in @info and @value fits it; reports. */
bool entry_check(const GroupInfo *info, const Entry *entry, Diag *diag);
bool id_check(const GroupInfo *info, const char *id, const Origin *origin, Diag *diag);
/* True if both texts mean the same to @key (NULL: plain text). */
bool value_equal(const OptKey *key, const char *a, const char *b);

/* ---- stanza.c ---- */
/* Collects the entries of one stanza and checks them as they come. */
typedef struct {
    const GroupInfo *info;
    const OptSchema *schema;
    ConfigSource *source;
    const char *id;
    const Origin *id_origin;
    const Origin *origin;
    bool remove;
    bool broken;
    GArray *entries;      /* of Entry */
    GHashTable *seen;     /* key to Origin* of its first appearance */
    Diag *diag;
} StanzaBuilder;

void builder_init(StanzaBuilder *builder, ConfigSource *source, Diag *diag);
void builder_clear(StanzaBuilder *builder);
void builder_open(StanzaBuilder *builder, const OptSchema *schema, const Origin *origin);
/* Adds key=value; both in the source's arena, @value NULL to drop. False if it was a mistake. */
bool builder_add(StanzaBuilder *builder, const char *key, const char *value,
                 const Origin *key_origin, const Origin *origin);
/* Finishes: NULL if the group lacks its id. The stanza lives in the source's arena. */
Stanza *builder_close(StanzaBuilder *builder);

/* ---- file-parse.c ---- */
ConfigSource *config_add_source(Config *config, SourceKind kind, const char *name,
                                ConfigLayer layer);
/*
 * Parses @source and what it includes. Groups go to the layer, or behind a machine-type header to
 * its type; with @implicit_type, groups without header belong to that type.
 */
void config_parse_source(Config *config, ConfigSource *source, MachineType *implicit_type,
                         Diag *diag);

/* ---- cmdline.c ---- */
/* Adds an entry whose key and value are copied into the source. */
bool builder_add_text(StanzaBuilder *builder, const char *key, const char *value,
                      const Origin *key_origin, const Origin *origin);
/* ---- json.c ---- */
/* Adds the members of @object; @text is the argument it was read from, or NULL. */
bool builder_add_json(StanzaBuilder *builder, JsonObject *object, const char *text,
                      const Origin *origin);
/* Parses @text, a JSON object, and adds its members. */
bool builder_add_json_text(StanzaBuilder *builder, const char *text, const Origin *origin);

/* ---- layers.c ---- */
/* Reads a file into a new source; NULL and @error where that fails. Bounded. */
ConfigSource *config_read_source(Config *config, const char *path, ConfigLayer layer,
                                 GError **error);
/* Sets up data_dirs from what has been read so far. */
void config_find_data_dirs(Config *config);
/* Reads the files of -readconfig. */
void config_load_queued(Config *config, Diag *diag);
/* The file that include "@name" in @from means, or NULL. */
char *config_find_include(const Config *config, const ConfigSource *from, const char *name);

/* ---- merge.c ---- */
Merged *merged_new(void);
void merged_free(Merged *merged);
/* Builds the effective groups from scratch: machine type's stanzas, then the layers. */
void config_merge(Config *config, MergeFlags flags, Diag *diag);
/* Applies @stanzas in order to @merged. */
void merged_apply(Merged *merged, const Config *config, const GPtrArray *stanzas, MergeFlags flags,
                  Diag *diag);
ConfigGroup *merged_add(Merged *merged, const GroupInfo *info, const OptSchema *schema,
                        const char *id, const Origin *origin, ConfigLayer layer);
void merged_remove(Merged *merged, ConfigGroup *group);
ConfigGroup *group_new(const OptSchema *schema, const char *id, const Origin *origin,
                       ConfigLayer layer);
void group_free(ConfigGroup *group);
/* Sets one value, keeping what it overrides; an OPT_STRINGS key adds. */
void group_put(ConfigGroup *group, const Entry *entry);
/* Merges @stanza's entries into @group; @merged, @config and @diag may be NULL without drops. */
void group_merge(ConfigGroup *group, const Stanza *stanza, Merged *merged, const Config *config,
                 MergeFlags flags, Diag *diag);

/* ---- machine-types.c ---- */
MachineType *machine_type_new(Config *config, const char *name, const Origin *origin,
                              ConfigLayer layer);
void machine_type_free(MachineType *type);
void config_add_type(Config *config, MachineType *type);
/* Warns where the user layer hides a shipped type. */
void config_warn_shadowing(const Config *config, Diag *diag);
/*
 * Reads a machine file and adds its types; without header it is one type named by the file. Returns
 * the last type of the file, or NULL.
 */
MachineType *config_load_machine_file(Config *config, const char *path, ConfigLayer layer,
                                      const Origin *origin, Diag *diag);
/* The stanzas of the selected machine type's chain, base first; NULL if none is selected. */
GPtrArray *config_machine_stanzas(const Config *config);

/* ---- write.c ---- */
void write_group(GString *out, const ConfigGroup *group);

#endif
