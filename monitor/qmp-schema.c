/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The rows of qmp-schema.def as tables. */
#include "monitor/qmp-schema.h"

#include <string.h>

#include "monitor/qmp-error.h"

G_DEFINE_QUARK(qmp-error, qmp_error)

const char *qmp_error_class(const GError *error)
{
    static const char *const names[] = {
        [QMP_GENERIC_ERROR] = "GenericError", [QMP_COMMAND_NOT_FOUND] = "CommandNotFound",
        [QMP_DEVICE_NOT_ACTIVE] = "DeviceNotActive", [QMP_DEVICE_NOT_FOUND] = "DeviceNotFound",
        [QMP_KVM_MISSING_CAP] = "KVMMissingCap",
    };
    return names[error->domain == QMP_ERROR ? error->code : QMP_GENERIC_ERROR];
}

#define MEMBERS(...) (const QmpMember[]){ __VA_ARGS__ __VA_OPT__(,) { NULL } }
#define VARIANTS(...) (const QmpVariant[]){ __VA_ARGS__, { NULL } }
#define VALUES(...) (const char *const[]){ __VA_ARGS__, NULL }

#define QMP_ENUM(name_, doc_, ...)                                                                 \
    { .name = #name_, .kind = QMP_KIND_ENUM, .doc = doc_, .values = VALUES(__VA_ARGS__) },
#define QMP_OBJECT(name_, doc_, ...)                                                               \
    { .name = #name_, .kind = QMP_KIND_OBJECT, .doc = doc_, .members = MEMBERS(__VA_ARGS__) },
#define QMP_UNION(name_, doc_, tag_, variants_, ...)                                               \
    { .name = #name_, .kind = QMP_KIND_OBJECT, .doc = doc_, .members = MEMBERS(__VA_ARGS__),       \
      .tag = tag_, .variants = variants_ },
#define QMP_EVENT(...)
#define QMP_COMMAND(...)
const QmpType qmp_types[] = {
#include "monitor/qmp-schema.def"
    { NULL }
};
#undef QMP_ENUM
#undef QMP_OBJECT
#undef QMP_UNION
#undef QMP_EVENT
#undef QMP_COMMAND

#define QMP_ENUM(...)
#define QMP_OBJECT(...)
#define QMP_UNION(...)
#define QMP_EVENT(name_, doc_, ...)                                                                \
    { .name = name_, .doc = doc_, .data = MEMBERS(__VA_ARGS__) },
#define QMP_COMMAND(...)
const QmpEvent qmp_events[] = {
#include "monitor/qmp-schema.def"
    { NULL }
};
#undef QMP_EVENT
#undef QMP_COMMAND

#define QMP_EVENT(...)
#define QMP_COMMAND(name_, handler_, returns_, doc_, ...)                                          \
    { .name = name_, .handler = handler_, .returns = returns_, .doc = doc_,                        \
      .args = MEMBERS(__VA_ARGS__) },
const QmpCommand qmp_commands[] = {
#include "monitor/qmp-schema.def"
    { NULL }
};

const QmpType *qmp_type_find(const char *name)
{
    for (const QmpType *type = qmp_types; type->name; type++) {
        if (!strcmp(type->name, name)) {
            return type;
        }
    }
    return NULL;
}

const QmpCommand *qmp_command_find(const char *name)
{
    for (const QmpCommand *command = qmp_commands; command->name; command++) {
        if (!strcmp(command->name, name)) {
            return command;
        }
    }
    return NULL;
}

const QmpEvent *qmp_event_find(const char *name)
{
    for (const QmpEvent *event = qmp_events; event->name; event++) {
        if (!strcmp(event->name, name)) {
            return event;
        }
    }
    return NULL;
}
