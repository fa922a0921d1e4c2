/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The life of a Config. */
#include "qemu-config/config.h"

#include <unistd.h>

#include "qemu-config/internal.h"

static void source_destroy(gpointer source)
{
    source_free(source);
}

static void type_destroy(gpointer type)
{
    machine_type_free(type);
}

ConfigSource *config_add_source(Config *config, SourceKind kind, const char *name,
                                ConfigLayer layer)
{
    ConfigSource *source = source_new(kind, name, layer);
    g_ptr_array_add(config->sources, source);
    return source;
}

Config *config_new(void)
{
    Config *config = g_new0(Config, 1);
    config->sources = g_ptr_array_new_with_free_func(source_destroy);
    for (unsigned i = 0; i <= LAYER_QMP; i++) {
        config->layers[i] = g_ptr_array_new();
    }
    config->types = g_ptr_array_new_with_free_func(type_destroy);
    config->defines = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    config->searched = g_ptr_array_new_with_free_func(g_free);
    config->data_dirs = g_ptr_array_new_with_free_func(g_free);
    config->queued = g_array_new(FALSE, FALSE, sizeof(QueuedFile));
    config->built_in = config_add_source(config, SOURCE_QMP, "defaults", LAYER_HARDWARE);
    config->merged = merged_new();
    return config;
}

void config_free(Config *config)
{
    merged_free(config->merged);
    group_free(config->machine);
    g_clear_pointer(&config->chain, g_ptr_array_unref);
    g_ptr_array_unref(config->types);
    for (unsigned i = 0; i <= LAYER_QMP; i++) {
        g_ptr_array_unref(config->layers[i]);
    }
    g_ptr_array_unref(config->sources);
    g_hash_table_unref(config->defines);
    g_ptr_array_unref(config->searched);
    g_ptr_array_unref(config->data_dirs);
    g_array_unref(config->queued);
    g_free(config->help_topic);
    g_free(config->list_help_topic);
    g_free(config);
}
