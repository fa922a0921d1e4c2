/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Property values: from text into a device object and back. */
#include <string.h>

#include "chardev/chardev.h"
#include "hw/core/machine.h"
#include "hw/core/property.h"
#include "qemu-config/schema.h"

#define PCI_DEVFN_COUNT 256

G_DEFINE_QUARK(device-error, device_error)

static const char *const bool_words = "on or off";

static bool is_number(PropertyType type)
{
    return type >= PROP_UINT8 && type <= PROP_SIZE;
}

/* The range of @property: its own, else its type's. */
static void number_range(const Property *property, int64_t *min, uint64_t *max)
{
    *min = property->type == PROP_INT32 ? INT32_MIN : 0;
    if (property->min != property->max) {
        *min = property->min;
        *max = property->max;
        return;
    }
    switch (property->type) {
    case PROP_UINT8:
        *max = UINT8_MAX;
        break;
    case PROP_UINT16:
        *max = UINT16_MAX;
        break;
    case PROP_UINT32:
        *max = UINT32_MAX;
        break;
    case PROP_INT32:
        *max = INT32_MAX;
        break;
    default:
        *max = UINT64_MAX;
    }
}

static char *number_accepts(const Property *property)
{
    int64_t min;
    uint64_t max;
    const char *what = property->type == PROP_SIZE ? "a size (512M, 4G)" : "a number";

    number_range(property, &min, &max);
    if (min == 0 && max == UINT64_MAX) {
        return g_strdup(what);
    }
    return g_strdup_printf("%s from %" G_GINT64_FORMAT " to %" G_GUINT64_FORMAT, what, min, max);
}

char *property_accepts(const Property *property)
{
    switch (property->type) {
    case PROP_BOOL:
        return g_strdup(bool_words);
    case PROP_STRING:
        return g_strdup("text");
    case PROP_ENUM: {
        g_autofree char *names = g_strjoinv(", ", (char **)property->choices);
        return g_strdup_printf("one of: %s", names);
    }
    case PROP_MAC:
        return g_strdup("a MAC address (52:54:00:12:34:56)");
    case PROP_PCI_ADDR:
        return g_strdup("SLOT or SLOT.FUNCTION in hexadecimal (3, 1f.2)");
    case PROP_CHARDEV:
        return g_strdup("the id of a chardev");
    default:
        return number_accepts(property);
    }
}

/* --- Parsing ---------------------------------------------------------------- */

static bool parse_number(const Property *property, const char *text, int64_t *out)
{
    int64_t min;
    uint64_t max, value;

    number_range(property, &min, &max);
    if (text[0] == '-') {
        return min < 0 && opt_parse_int(text, out) && *out >= min;
    }
    if (property->type == PROP_SIZE ? !opt_parse_size(text, 1, &value)
                                    : !opt_parse_uint(text, &value)) {
        return false;
    }
    *out = value;
    return value <= max && (min <= 0 || value >= (uint64_t)min);
}

static bool parse_choice(const Property *property, const char *text, int64_t *out)
{
    for (*out = 0; property->choices[*out]; ++*out) {
        if (!strcmp(property->choices[*out], text)) {
            return true;
        }
    }
    return false;
}

static bool parse_mac(const char *text, uint8_t mac[6])
{
    for (int i = 0; i < 6; i++) {
        if (!g_ascii_isxdigit(text[0]) || !g_ascii_isxdigit(text[1]) ||
            text[2] != (i < 5 ? ':' : '\0')) {
            return false;
        }
        mac[i] = g_ascii_xdigit_value(text[0]) << 4 | g_ascii_xdigit_value(text[1]);
        text += 3;
    }
    return true;
}

/* "slot[.function]", hexadecimal as lspci prints them; "-1" leaves the choice to the bus. */
static bool parse_pci_addr(const char *text, int64_t *out)
{
    char *end;

    if (!strcmp(text, "-1")) {
        *out = -1;
        return true;
    }
    if (!g_ascii_isxdigit(text[0])) {
        return false;
    }
    uint64_t slot = g_ascii_strtoull(text, &end, 16), function = 0;
    if (*end == '.') {
        if (!g_ascii_isxdigit(end[1])) {
            return false;
        }
        function = g_ascii_strtoull(end + 1, &end, 16);
    }
    *out = slot << 3 | function;
    return !*end && slot < PCI_DEVFN_COUNT / 8 && function < 8;
}

/* Parses what becomes a number: everything but strings, MACs and chardevs. */
static bool parse_scalar(const Property *property, const char *text, int64_t *out)
{
    bool on;

    switch (property->type) {
    case PROP_BOOL:
        if (!opt_parse_bool(text, &on)) {
            return false;
        }
        *out = on;
        return true;
    case PROP_ENUM:
        return parse_choice(property, text, out);
    case PROP_PCI_ADDR:
        return parse_pci_addr(text, out);
    default:
        return parse_number(property, text, out);
    }
}

static bool property_parses(const Property *property, const char *text)
{
    int64_t value;
    uint8_t mac[6];

    switch (property->type) {
    case PROP_STRING:
    case PROP_CHARDEV:
        return true;
    case PROP_MAC:
        return parse_mac(text, mac);
    default:
        return parse_scalar(property, text, &value);
    }
}

bool property_check(const Property *property, const char *text, GError **error)
{
    if (property_parses(property, text)) {
        return true;
    }
    g_autofree char *accepts = property_accepts(property);
    g_set_error(error, DEVICE_ERROR, 0, "property '%s' cannot be '%s': it takes %s",
                property->name, text, accepts);
    return false;
}

int64_t property_number(const Property *property, const char *text)
{
    int64_t value = 0;

    parse_scalar(property, text, &value);
    return value;
}

/* --- Into the object ----------------------------------------------------------- */

static bool store_chardev(Device *device, Chardev **field, const char *id, GError **error)
{
    Chardev *chardev = NULL;

    if (device->machine && device->machine->chardevs) {
        chardev = chardev_find(device->machine->chardevs, id);
    }
    if (!chardev) {
        g_set_error(error, DEVICE_ERROR, 0, "%s: there is no chardev '%s'", device_name(device),
                    id);
        return false;
    }
    *field = chardev;
    return true;
}

static void store_scalar(PropertyType type, void *field, int64_t value)
{
    switch (type) {
    case PROP_BOOL:
        *(bool *)field = value;
        break;
    case PROP_UINT8:
        *(uint8_t *)field = value;
        break;
    case PROP_UINT16:
        *(uint16_t *)field = value;
        break;
    case PROP_UINT64:
    case PROP_SIZE:
        *(uint64_t *)field = value;
        break;
    default:
        *(uint32_t *)field = value;
    }
}

bool property_store(Device *device, const Property *property, const char *text, GError **error)
{
    void *field = (char *)device + property->offset;

    if (!property_check(property, text, error)) {
        g_prefix_error(error, "%s: ", device_name(device));
        return false;
    }
    switch (property->type) {
    case PROP_STRING:
        g_free(*(char **)field);
        *(char **)field = g_strdup(text);
        return true;
    case PROP_CHARDEV:
        return store_chardev(device, field, text, error);
    case PROP_MAC:
        return parse_mac(text, field);
    default:
        store_scalar(property->type, field, property_number(property, text));
        return true;
    }
}

void property_clear(Device *device, const Property *property)
{
    if (property->type == PROP_STRING) {
        g_clear_pointer((char **)((char *)device + property->offset), g_free);
    }
}

/* --- And back --------------------------------------------------------------------- */

static uint64_t load_unsigned(PropertyType type, const void *field)
{
    switch (type) {
    case PROP_UINT8:
        return *(const uint8_t *)field;
    case PROP_UINT16:
        return *(const uint16_t *)field;
    case PROP_UINT32:
        return *(const uint32_t *)field;
    default:
        return *(const uint64_t *)field;
    }
}

/* Ports and addresses have their default in hexadecimal, and are shown so. */
static char *number_text(const Property *property, const void *field)
{
    if (property->type == PROP_INT32) {
        return g_strdup_printf("%d", *(const int32_t *)field);
    }
    uint64_t value = load_unsigned(property->type, field);
    bool hex = property->def && g_str_has_prefix(property->def, "0x");
    return g_strdup_printf(hex ? "0x%" G_GINT64_MODIFIER "x" : "%" G_GUINT64_FORMAT, value);
}

static char *pci_addr_text(int32_t devfn)
{
    return devfn < 0 ? g_strdup("-1") : g_strdup_printf("%x.%x", devfn >> 3, devfn & 7);
}

char *property_text(const Device *device, const Property *property)
{
    const void *field = (const char *)device + property->offset;
    const uint8_t *mac = field;

    if (is_number(property->type)) {
        return number_text(property, field);
    }
    switch (property->type) {
    case PROP_BOOL:
        return g_strdup(*(const bool *)field ? "on" : "off");
    case PROP_ENUM:
        return g_strdup(property->choices[*(const int *)field]);
    case PROP_MAC:
        return g_strdup_printf("%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2], mac[3],
                               mac[4], mac[5]);
    case PROP_PCI_ADDR:
        return pci_addr_text(*(const int32_t *)field);
    case PROP_CHARDEV: {
        const Chardev *chardev = *(Chardev *const *)field;
        return g_strdup(chardev ? chardev_id(chardev) : "");
    }
    default:
        return g_strdup(*(char *const *)field ? *(char *const *)field : "");
    }
}
