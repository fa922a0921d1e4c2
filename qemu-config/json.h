/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The JSON form of groups: -device '{"driver":…}', QMP arguments, and introspection. */
#ifndef QEMU_CONFIG_JSON_H
#define QEMU_CONFIG_JSON_H

#include <json-glib/json-glib.h>

#include "qemu-config/config.h"

/*
 * Adds a group of @type from @object: nested objects become dotted keys, arrays .0 .1, true and
 * false on and off. @command names the QMP command for origins. NULL after a diagnostic.
 */
ConfigGroup *config_add_json(Config *config, const char *type, JsonObject *object,
                             const char *command, Diag *diag);
/* The group as a JSON object, values typed by the schema; json_node_unref(). */
JsonNode *group_to_json(const ConfigGroup *group);

#endif
