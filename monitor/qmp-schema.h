/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The schema of QMP: commands, their arguments, results, events and types, all from the rows of
 * qmp-schema.def. Dispatch, the check of arguments, query-qmp-schema, query-commands and the
 * reference page docs/qmp.md read the same tables.
 */
#ifndef MONITOR_QMP_SCHEMA_H
#define MONITOR_QMP_SCHEMA_H

#include "monitor/jv.h"

typedef struct Monitors Monitors;

/* A member of an object. */
typedef struct QmpMember {
    const char *name; /* "*name" may be absent */
    const char *type; /* a type's name, or "[name]": an array of it */
    const char *doc;
} QmpMember;

/* What an object has besides where its tag has this value. */
typedef struct QmpVariant {
    const char *value;
    const char *type;
} QmpVariant;

typedef enum { QMP_KIND_ENUM, QMP_KIND_OBJECT } QmpKind;

typedef struct QmpType {
    const char *name;
    QmpKind kind;
    const char *doc;
    const char *const *values;  /* of an enum; NULL-terminated */
    const QmpMember *members;   /* of an object; ends with name == NULL */
    const char *tag;            /* the member that chooses a variant, or NULL */
    const QmpVariant *variants; /* ends with value == NULL */
} QmpType;

/*
 * Does a command, in the main loop under the machine lock. @args has been checked. NULL without
 * @error is the empty object.
 */
typedef Jv *QmpHandler(Monitors *monitors, const Jv *args, GError **error);

typedef struct QmpCommand {
    const char *name;
    QmpHandler *handler;
    const char *returns; /* a type, or NULL */
    const char *doc;
    const QmpMember *args; /* ends with name == NULL */
} QmpCommand;

typedef struct QmpEvent {
    const char *name;
    const char *doc;
    const QmpMember *data;
} QmpEvent;

/* Each ends with name == NULL. */
extern const QmpType qmp_types[];
extern const QmpCommand qmp_commands[];
extern const QmpEvent qmp_events[];

/* The handlers. */
#define QMP_ENUM(...)
#define QMP_OBJECT(...)
#define QMP_UNION(...)
#define QMP_EVENT(...)
#define QMP_COMMAND(name, handler, ...) QmpHandler handler;
#include "monitor/qmp-schema.def"
#undef QMP_ENUM
#undef QMP_OBJECT
#undef QMP_UNION
#undef QMP_EVENT
#undef QMP_COMMAND

const QmpType *qmp_type_find(const char *name);
const QmpCommand *qmp_command_find(const char *name);
const QmpEvent *qmp_event_find(const char *name);

static inline bool qmp_member_is_optional(const QmpMember *member)
{
    return member->name[0] == '*';
}
static inline const char *qmp_member_name(const QmpMember *member)
{
    return member->name + qmp_member_is_optional(member);
}

/* The JSON type of a type that is built in ("int", "string"), or NULL for one of the tables. */
const char *qmp_builtin_json_type(const char *type);
/* The type of the elements if @type is an array; g_free(). NULL if it is none. */
char *qmp_element_type(const char *type);

/*
 * True if @object has the members that @members ask for, and no others. @path is where it stands
 * ("model"), "" at the top; @error says what is wrong where.
 */
bool qmp_check_members(const QmpMember *members, const Jv *object, const char *path,
                       GError **error);
/* True if @value is of @type, which may be an array's. */
bool qmp_check_value(const char *type, const Jv *value, const char *path, GError **error);

/* What query-qmp-schema returns. */
Jv *qmp_introspect(void);
/* The reference page, docs/qmp.md. */
char *qmp_manual(void);

#endif
