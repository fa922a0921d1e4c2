/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Encoding of AML terms and resource descriptors; see aml.h. */
#include "hw/acpi/aml.h"

#include <string.h>

/* How the bytes of a term are framed when it is appended. */
typedef enum { AML_PLAIN, AML_SIZED, AML_RESOURCES } AmlFrame;

struct Aml {
    AmlFrame frame;
    uint8_t op[2];
    unsigned op_size;
    GByteArray *data; /* AML_SIZED: what follows the PkgLength */
};

static Aml *aml_new(AmlFrame frame, const uint8_t *op, unsigned op_size)
{
    Aml *aml = g_new0(Aml, 1);
    aml->frame = frame;
    for (unsigned i = 0; i < op_size; i++) {
        aml->op[i] = op[i];
    }
    aml->op_size = op_size;
    aml->data = g_byte_array_new();
    return aml;
}

#define AML_NEW(frame, ...)                                                                        \
    aml_new((frame), (const uint8_t[]){ __VA_ARGS__ }, sizeof((const uint8_t[]){ __VA_ARGS__ }))

static void put_byte(GByteArray *data, uint8_t value)
{
    g_byte_array_append(data, &value, 1);
}

static void put_le(GByteArray *data, uint64_t value, unsigned size)
{
    for (unsigned i = 0; i < size; i++) {
        put_byte(data, value >> (8 * i));
    }
}

/* PkgLength counts itself (20.2.4): 6 bits alone, or 4 bits and 1 to 3 further bytes. */
static void put_pkg_length(GByteArray *data, uint32_t length)
{
    unsigned extra = length + 1 <= 0x3f      ? 0
                     : length + 2 <= 0xfff   ? 1
                     : length + 3 <= 0xfffff ? 2
                                             : 3;
    uint32_t total = length + 1 + extra;

    g_assert(total < 1u << 28);
    if (extra == 0) {
        put_byte(data, total);
        return;
    }
    put_byte(data, extra << 6 | (total & 0x0f));
    put_le(data, total >> 4, extra);
}

/* A bit field counts its PkgLength alone: the number of bits is not a size of what follows. */
static void put_field_length(GByteArray *data, uint32_t bits)
{
    if (bits <= 0x3f) {
        put_byte(data, bits);
    } else {
        put_byte(data, 1 << 6 | (bits & 0x0f));
        put_byte(data, bits >> 4);
    }
}

static void put_segment(GByteArray *data, const char *segment, gsize length)
{
    char padded[4] = { '_', '_', '_', '_' };
    g_assert(length >= 1 && length <= 4);
    memcpy(padded, segment, length);
    g_byte_array_append(data, (const guint8 *)padded, 4);
}

/* NameString (20.2.2). */
static void put_name(GByteArray *data, const char *name)
{
    if (*name == '\\') {
        put_byte(data, '\\');
        name++;
    }
    g_auto(GStrv) segments = g_strsplit(name, ".", -1);
    unsigned count = *name ? g_strv_length(segments) : 0;

    if (count == 0) {
        put_byte(data, 0x00);
    } else if (count == 2) {
        put_byte(data, 0x2e);
    } else if (count > 2) {
        put_byte(data, 0x2f);
        put_byte(data, count);
    }
    for (unsigned i = 0; i < count; i++) {
        put_segment(data, segments[i], strlen(segments[i]));
    }
}

static void put_int(GByteArray *data, uint64_t value)
{
    if (value <= 1) {
        put_byte(data, value); /* ZeroOp, OneOp */
    } else if (value <= 0xff) {
        put_byte(data, 0x0a);
        put_le(data, value, 1);
    } else if (value <= 0xffff) {
        put_byte(data, 0x0b);
        put_le(data, value, 2);
    } else if (value <= 0xffffffff) {
        put_byte(data, 0x0c);
        put_le(data, value, 4);
    } else {
        put_byte(data, 0x0e);
        put_le(data, value, 8);
    }
}

static void aml_free(Aml *aml)
{
    g_byte_array_unref(aml->data);
    g_free(aml);
}

/*
 * BufferOp PkgLength BufferSize ByteList, the list ending with an end tag whose sum is not
 * checked.
 */
static void put_resources(GByteArray *out, GByteArray *descriptors)
{
    g_autoptr(GByteArray) body = g_byte_array_new();

    put_int(body, descriptors->len + 2);
    g_byte_array_append(body, descriptors->data, descriptors->len);
    put_byte(body, 0x79);
    put_byte(body, 0x00);
    put_byte(out, 0x11);
    put_pkg_length(out, body->len);
    g_byte_array_append(out, body->data, body->len);
}

static void put_aml(GByteArray *out, Aml *aml)
{
    if (aml->frame == AML_RESOURCES) {
        put_resources(out, aml->data);
    } else {
        g_byte_array_append(out, aml->op, aml->op_size);
        if (aml->frame == AML_SIZED) {
            put_pkg_length(out, aml->data->len);
        }
        g_byte_array_append(out, aml->data->data, aml->data->len);
    }
    aml_free(aml);
}

Aml *aml_list(void)
{
    return aml_new(AML_PLAIN, NULL, 0);
}

void aml_append(Aml *parent, Aml *child)
{
    put_aml(parent->data, child);
}

GByteArray *aml_finish(Aml *aml)
{
    GByteArray *out = g_byte_array_new();
    put_aml(out, aml);
    return out;
}

/* --- Named objects ------------------------------------------------------------- */

Aml *aml_scope(const char *name)
{
    Aml *aml = AML_NEW(AML_SIZED, 0x10);
    put_name(aml->data, name);
    return aml;
}

Aml *aml_device(const char *name)
{
    Aml *aml = AML_NEW(AML_SIZED, 0x5b, 0x82);
    put_name(aml->data, name);
    return aml;
}

Aml *aml_processor(const char *name, uint8_t id)
{
    Aml *aml = AML_NEW(AML_SIZED, 0x5b, 0x83);
    put_name(aml->data, name);
    put_byte(aml->data, id);
    put_le(aml->data, 0, 4); /* no P_BLK */
    put_byte(aml->data, 0);
    return aml;
}

Aml *aml_method(const char *name, unsigned args, bool serialized)
{
    Aml *aml = AML_NEW(AML_SIZED, 0x14);
    g_assert(args <= 7);
    put_name(aml->data, name);
    put_byte(aml->data, args | (serialized ? 8 : 0));
    return aml;
}

Aml *aml_name(const char *name, Aml *value)
{
    Aml *aml = AML_NEW(AML_PLAIN, 0x08);
    put_name(aml->data, name);
    put_aml(aml->data, value);
    return aml;
}

Aml *aml_name_int(const char *name, uint64_t value)
{
    return aml_name(name, aml_int(value));
}

Aml *aml_package(unsigned count)
{
    Aml *aml = AML_NEW(AML_SIZED, 0x12);
    g_assert(count <= 255);
    put_byte(aml->data, count);
    return aml;
}

Aml *aml_pci_config_region(const char *name, unsigned offset, unsigned size)
{
    Aml *aml = AML_NEW(AML_PLAIN, 0x5b, 0x80);
    put_name(aml->data, name);
    put_byte(aml->data, 0x02); /* PCI_Config */
    put_int(aml->data, offset);
    put_int(aml->data, size);
    return aml;
}

Aml *aml_field(const char *region, const char *const *names, unsigned bits)
{
    Aml *aml = AML_NEW(AML_SIZED, 0x5b, 0x81);
    put_name(aml->data, region);
    put_byte(aml->data, 0x01); /* ByteAcc, NoLock, Preserve */
    for (; *names; names++) {
        put_segment(aml->data, *names, strlen(*names));
        put_field_length(aml->data, bits);
    }
    return aml;
}

/* --- Data and expressions ---------------------------------------------------------- */

Aml *aml_int(uint64_t value)
{
    Aml *aml = aml_list();
    put_int(aml->data, value);
    return aml;
}

Aml *aml_string(const char *text)
{
    Aml *aml = AML_NEW(AML_PLAIN, 0x0d);
    g_byte_array_append(aml->data, (const guint8 *)text, strlen(text) + 1);
    return aml;
}

/* Three letters of 5 bits, then four hexadecimal digits, big-endian (19.3.4). */
Aml *aml_eisa_id(const char *id)
{
    Aml *aml = AML_NEW(AML_PLAIN, 0x0c);
    uint32_t value;

    g_assert(strlen(id) == 7);
    value = (uint32_t)(id[0] - 0x40) << 26 | (uint32_t)(id[1] - 0x40) << 21 |
            (uint32_t)(id[2] - 0x40) << 16;
    for (unsigned i = 0; i < 4; i++) {
        value |= (uint32_t)g_ascii_xdigit_value(id[3 + i]) << (12 - 4 * i);
    }
    put_le(aml->data, GUINT32_SWAP_LE_BE(value), 4);
    return aml;
}

Aml *aml_path(const char *name)
{
    Aml *aml = aml_list();
    put_name(aml->data, name);
    return aml;
}

Aml *aml_arg0(void)
{
    return AML_NEW(AML_PLAIN, 0x68);
}

Aml *aml_return(Aml *value)
{
    Aml *aml = AML_NEW(AML_PLAIN, 0xa4);
    put_aml(aml->data, value);
    return aml;
}

Aml *aml_store(Aml *value, Aml *target)
{
    Aml *aml = AML_NEW(AML_PLAIN, 0x70);
    put_aml(aml->data, value);
    put_aml(aml->data, target);
    return aml;
}

/* A binary operator whose result is used where it stands: its target is NullName. */
static Aml *aml_binary(uint8_t op, Aml *a, Aml *b)
{
    Aml *aml = AML_NEW(AML_PLAIN, op);
    put_aml(aml->data, a);
    put_aml(aml->data, b);
    put_byte(aml->data, 0x00);
    return aml;
}

Aml *aml_and(Aml *a, Aml *b)
{
    return aml_binary(0x7b, a, b);
}

Aml *aml_or(Aml *a, Aml *b)
{
    return aml_binary(0x7d, a, b);
}

Aml *aml_if(Aml *condition)
{
    Aml *aml = AML_NEW(AML_SIZED, 0xa0);
    put_aml(aml->data, condition);
    return aml;
}

Aml *aml_create_dword_field(Aml *buffer, unsigned offset, const char *name)
{
    Aml *aml = AML_NEW(AML_PLAIN, 0x8a);
    put_aml(aml->data, buffer);
    put_int(aml->data, offset);
    put_name(aml->data, name);
    return aml;
}

/* --- Resource descriptors -------------------------------------------------------------- */

Aml *aml_crs(void)
{
    return aml_new(AML_RESOURCES, NULL, 0);
}

void aml_crs_io(Aml *crs, uint16_t port, uint8_t length)
{
    put_byte(crs->data, 0x47);
    put_byte(crs->data, 0x01); /* decodes 16 bits */
    put_le(crs->data, port, 2);
    put_le(crs->data, port, 2);
    put_byte(crs->data, 0x01);
    put_byte(crs->data, length);
}

void aml_crs_irq(Aml *crs, uint8_t irq)
{
    put_byte(crs->data, 0x22); /* edge-triggered, active high, exclusive */
    put_le(crs->data, 1u << irq, 2);
}

void aml_crs_interrupts(Aml *crs, const uint32_t *gsis, unsigned count)
{
    put_byte(crs->data, 0x89);
    put_le(crs->data, 2 + 4 * count, 2);
    put_byte(crs->data, 0x09); /* consumer, level, active high, shared */
    put_byte(crs->data, count);
    for (unsigned i = 0; i < count; i++) {
        put_le(crs->data, gsis[i], 4);
    }
}

/* Address space descriptors (6.4.3.5): minimum and maximum fixed, producer, positive decode. */
static void put_address_range(GByteArray *data, uint8_t tag, uint8_t type, uint8_t type_flags,
                              uint64_t first, uint64_t last, unsigned size)
{
    put_byte(data, tag);
    put_le(data, 3 + 5 * size, 2);
    put_byte(data, type);
    put_byte(data, 0x0c);
    put_byte(data, type_flags);
    put_le(data, 0, size); /* granularity */
    put_le(data, first, size);
    put_le(data, last, size);
    put_le(data, 0, size); /* translation */
    put_le(data, last - first + 1, size);
}

void aml_crs_bus_range(Aml *crs, uint16_t first, uint16_t last)
{
    put_address_range(crs->data, 0x88, 2, 0, first, last, 2);
}

void aml_crs_io_range(Aml *crs, uint16_t first, uint16_t last)
{
    put_address_range(crs->data, 0x88, 1, 0x03, first, last, 2);
}

void aml_crs_memory_range(Aml *crs, uint32_t first, uint32_t last, bool cacheable)
{
    put_address_range(crs->data, 0x87, 0, cacheable ? 0x03 : 0x01, first, last, 4);
}
