/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The classes of QMP errors. Errors of any other GError domain are of the generic class. */
#ifndef MONITOR_QMP_ERROR_H
#define MONITOR_QMP_ERROR_H

#include <glib.h>

#define QMP_ERROR (qmp_error_quark())
GQuark qmp_error_quark(void);

/* QapiErrorClass of the QMP reference. */
typedef enum {
    QMP_GENERIC_ERROR,
    QMP_COMMAND_NOT_FOUND,
    QMP_DEVICE_NOT_ACTIVE,
    QMP_DEVICE_NOT_FOUND,
    QMP_KVM_MISSING_CAP,
} QmpErrorClass;

/* The name of the class of @error: "GenericError". */
const char *qmp_error_class(const GError *error);

#endif
