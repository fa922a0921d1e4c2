/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Registration by const descriptor: a linker section collects pointers, so a device, an option or
 * a command registers by existing, and the order of files does not matter.
 */
#ifndef UTIL_REGISTRY_H
#define UTIL_REGISTRY_H

/* Adds the const object @obj of @type to @list (an identifier, e.g. device_types). */
#define REGISTRY_ADD(list, type, obj)                                                              \
    static const type *const registry_##list##_##obj                                               \
        __attribute__((used, section("reg_" #list))) = &obj

/* Declares the bounds of @list for use by REGISTRY_FOREACH in this file. */
#define REGISTRY_DECLARE(list, type)                                                               \
    extern const type *const __start_reg_##list[] __attribute__((weak));                           \
    extern const type *const __stop_reg_##list[] __attribute__((weak))

/* for (REGISTRY_FOREACH(device_types, DeviceType, p)) { use(*p); } */
#define REGISTRY_FOREACH(list, type, p)                                                            \
    const type *const *p = __start_reg_##list;                                                     \
    p < __stop_reg_##list;                                                                         \
    p++

#endif
