/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The structures of types 0, 1, 3, 4, 16, 17, 19, 32 and 127. Section numbers are of DSP0134 2.8.
 * Without a type 0 of the user's, firmware adds its own.
 */
#include "hw/i386/smbios.h"

#include <stdio.h>
#include <string.h>

#define MAX_STRINGS  10
#define KIB          1024ull
#define MIB          (1024 * KIB)
#define GIB          (1024 * MIB)
#define MODULE_SIZE  (16 * GIB)
#define NO_HANDLE    0xffff
#define NOT_PROVIDED 0xfffe

/* First handles; those of several structures of a type follow each other. */
enum {
    HANDLE_BIOS = 0x0000,
    HANDLE_SYSTEM = 0x0100,
    HANDLE_CHASSIS = 0x0300,
    HANDLE_PROCESSOR = 0x0400,
    HANDLE_ARRAY = 0x1000,
    HANDLE_MODULE = 0x1100,
    HANDLE_RANGE = 0x1300,
    HANDLE_BOOT = 0x2000,
    HANDLE_END = 0x7f00,
};

typedef struct {
    GByteArray *out;
    unsigned count;       /* of structures */
    unsigned largest;
    guint start;          /* of the structure being written */
    const char *strings[MAX_STRINGS];
    unsigned string_count;
} Smbios;

static void put(Smbios *smbios, uint64_t value, unsigned size)
{
    for (unsigned i = 0; i < size; i++) {
        uint8_t byte = value >> (8 * i);
        g_byte_array_append(smbios->out, &byte, 1);
    }
}

/* A field that refers to a text: its number in the structure's string set, 0 for none. */
static void put_string(Smbios *smbios, const char *text)
{
    if (!text || !*text) {
        put(smbios, 0, 1);
        return;
    }
    g_assert(smbios->string_count < MAX_STRINGS);
    smbios->strings[smbios->string_count++] = text;
    put(smbios, smbios->string_count, 1);
}

static void structure_begin(Smbios *smbios, uint8_t type, uint16_t handle)
{
    smbios->start = smbios->out->len;
    smbios->string_count = 0;
    put(smbios, type, 1);
    put(smbios, 0, 1);
    put(smbios, handle, 2);
}

/* 6.1.3: the strings follow the formatted area, and a further zero ends them. */
static void structure_end(Smbios *smbios)
{
    smbios->out->data[smbios->start + 1] = smbios->out->len - smbios->start;
    for (unsigned i = 0; i < smbios->string_count; i++) {
        g_byte_array_append(smbios->out, (const guint8 *)smbios->strings[i],
                            strlen(smbios->strings[i]) + 1);
    }
    put(smbios, 0, smbios->string_count ? 1 : 2);
    smbios->count++;
    smbios->largest = MAX(smbios->largest, smbios->out->len - smbios->start);
}

/* 7.1 */
static void put_bios(Smbios *smbios, const SmbiosInput *input)
{
    unsigned major = 0xff, minor = 0xff; /* no release number */

    if (input->bios_release) {
        sscanf(input->bios_release, "%u.%u", &major, &minor);
    }
    structure_begin(smbios, 0, HANDLE_BIOS);
    put_string(smbios, input->bios_vendor);
    put_string(smbios, input->bios_version);
    put(smbios, 0xe800, 2);
    put_string(smbios, input->bios_date);
    put(smbios, 0, 1);
    put(smbios, 1u << 3, 8);  /* characteristics are not supported */
    put(smbios, 0, 1);
    /* Bit 4: the system is a virtual machine, bit 3: UEFI. */
    put(smbios, 1u << 4 | (input->uefi ? 1u << 3 : 0), 1);
    put(smbios, major, 1);
    put(smbios, minor, 1);
    put(smbios, 0xffff, 2);
    structure_end(smbios);
}

/* 7.2. The first three fields of the UUID are little-endian (7.2.1). */
static void put_system(Smbios *smbios, const SmbiosInput *input)
{
    static const uint8_t order[16] = { 3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15 };

    structure_begin(smbios, 1, HANDLE_SYSTEM);
    put_string(smbios, input->manufacturer);
    put_string(smbios, input->product);
    put_string(smbios, input->version);
    put_string(smbios, input->serial);
    for (unsigned i = 0; i < 16; i++) {
        put(smbios, input->uuid[order[i]], 1);
    }
    put(smbios, 6, 1); /* woken by the power switch */
    put_string(smbios, input->sku);
    put_string(smbios, input->family);
    structure_end(smbios);
}

/* 7.4 */
static void put_chassis(Smbios *smbios, const SmbiosInput *input)
{
    structure_begin(smbios, 3, HANDLE_CHASSIS);
    put_string(smbios, input->manufacturer);
    put(smbios, 1, 1); /* other */
    put_string(smbios, input->version);
    put_string(smbios, NULL);
    put_string(smbios, NULL);
    put(smbios, 3, 1); /* boot-up, power supply, thermal: safe */
    put(smbios, 3, 1);
    put(smbios, 3, 1);
    put(smbios, 2, 1); /* security: unknown */
    put(smbios, 0, 4);
    put(smbios, 0, 1);
    put(smbios, 0, 1);
    put(smbios, 0, 1);
    put(smbios, 0, 1);
    put_string(smbios, NULL);
    structure_end(smbios);
}

/* 7.5 */
static void put_processor(Smbios *smbios, const SmbiosInput *input, unsigned socket)
{
    g_autofree char *name = g_strdup_printf("CPU %u", socket);

    structure_begin(smbios, 4, HANDLE_PROCESSOR + socket);
    put_string(smbios, name);
    put(smbios, 3, 1); /* central processor */
    put(smbios, 1, 1); /* family: other */
    put_string(smbios, input->manufacturer);
    put(smbios, 0, 8); /* CPUID tells */
    put_string(smbios, input->version);
    put(smbios, 0, 1);
    put(smbios, 0, 2);
    put(smbios, 2000, 2); /* MHz */
    put(smbios, 2000, 2);
    put(smbios, 0x41, 1); /* populated, enabled */
    put(smbios, 1, 1);
    put(smbios, NO_HANDLE, 2);
    put(smbios, NO_HANDLE, 2);
    put(smbios, NO_HANDLE, 2);
    put_string(smbios, NULL);
    put_string(smbios, NULL);
    put_string(smbios, NULL);
    put(smbios, MIN(input->cores_per_socket, 255), 1);
    put(smbios, MIN(input->cores_per_socket, 255), 1);
    put(smbios, MIN(input->threads_per_socket, 255), 1);
    put(smbios, 1u << 2, 2); /* 64-bit capable */
    put(smbios, 1, 2);
    structure_end(smbios);
}

/* 7.17 */
static void put_memory_array(Smbios *smbios, uint64_t ram, unsigned modules)
{
    bool small = ram < 2048 * GIB;

    structure_begin(smbios, 16, HANDLE_ARRAY);
    put(smbios, 1, 1); /* other */
    put(smbios, 3, 1); /* system memory */
    put(smbios, 3, 1); /* no error correction */
    put(smbios, small ? ram / KIB : 0x80000000, 4);
    put(smbios, NOT_PROVIDED, 2);
    put(smbios, modules, 2);
    put(smbios, small ? 0 : ram, 8);
    structure_end(smbios);
}

/* 7.18 */
static void put_memory_module(Smbios *smbios, const SmbiosInput *input, unsigned n, uint64_t size)
{
    g_autofree char *name = g_strdup_printf("DIMM %u", n);

    structure_begin(smbios, 17, HANDLE_MODULE + n);
    put(smbios, HANDLE_ARRAY, 2);
    put(smbios, NOT_PROVIDED, 2);
    put(smbios, 0xffff, 2); /* widths unknown */
    put(smbios, 0xffff, 2);
    put(smbios, size / MIB, 2);
    put(smbios, 9, 1); /* DIMM */
    put(smbios, 0, 1);
    put_string(smbios, name);
    put_string(smbios, NULL);
    put(smbios, 7, 1);       /* RAM */
    put(smbios, 1u << 1, 2); /* other */
    put(smbios, 0, 2);
    put_string(smbios, input->manufacturer);
    put_string(smbios, NULL);
    put_string(smbios, NULL);
    put_string(smbios, NULL);
    put(smbios, 0, 1);
    put(smbios, 0, 4);
    put(smbios, 0, 2);
    put(smbios, 0, 6); /* voltages unknown */
    structure_end(smbios);
}

/* 7.20 */
static void put_memory_range(Smbios *smbios, unsigned n, uint64_t start, uint64_t size)
{
    uint64_t last = start + size - 1;
    bool small = last / KIB < 0xffffffff;

    if (size == 0) {
        return;
    }
    structure_begin(smbios, 19, HANDLE_RANGE + n);
    put(smbios, small ? start / KIB : 0xffffffff, 4);
    put(smbios, small ? last / KIB : 0xffffffff, 4);
    put(smbios, HANDLE_ARRAY, 2);
    put(smbios, 1, 1);
    put(smbios, small ? 0 : start, 8);
    put(smbios, small ? 0 : last, 8);
    structure_end(smbios);
}

static void put_memory(Smbios *smbios, const SmbiosInput *input)
{
    uint64_t ram = input->ram_below_4g + input->ram_above_4g;
    unsigned modules = MIN((ram + MODULE_SIZE - 1) / MODULE_SIZE, 256);

    put_memory_array(smbios, ram, modules);
    for (unsigned n = 0; n < modules; n++) {
        put_memory_module(smbios, input, n, MIN(ram - n * MODULE_SIZE, MODULE_SIZE));
    }
    put_memory_range(smbios, 0, 0, input->ram_below_4g);
    put_memory_range(smbios, 1, 4 * GIB, input->ram_above_4g);
}

/* The 2.1 entry point (5.2.1). Address and checksums are the firmware's, when it has placed all. */
static GBytes *smbios_anchor(const Smbios *smbios)
{
    GByteArray *out = g_byte_array_new();
    Smbios anchor = { .out = out };

    g_byte_array_append(out, (const guint8 *)"_SM_", 4);
    put(&anchor, 0, 1);
    put(&anchor, 31, 1);
    put(&anchor, 2, 1);
    put(&anchor, 8, 1);
    put(&anchor, smbios->largest, 2);
    put(&anchor, 0, 6);
    g_byte_array_append(out, (const guint8 *)"_DMI_", 5);
    put(&anchor, 0, 1);
    put(&anchor, smbios->out->len, 2);
    put(&anchor, 0, 4);
    put(&anchor, smbios->count, 2);
    put(&anchor, 0x28, 1);
    return g_byte_array_free_to_bytes(out);
}

void smbios_build(const SmbiosInput *input, GBytes **tables, GBytes **anchor)
{
    Smbios smbios = { .out = g_byte_array_new() };

    if (input->has_bios) {
        put_bios(&smbios, input);
    }
    put_system(&smbios, input);
    put_chassis(&smbios, input);
    for (unsigned socket = 0; socket < input->sockets; socket++) {
        put_processor(&smbios, input, socket);
    }
    put_memory(&smbios, input);
    structure_begin(&smbios, 32, HANDLE_BOOT); /* 7.33: no error */
    put(&smbios, 0, 7);
    structure_end(&smbios);
    structure_begin(&smbios, 127, HANDLE_END);
    structure_end(&smbios);
    *anchor = smbios_anchor(&smbios);
    *tables = g_byte_array_free_to_bytes(smbios.out);
}
