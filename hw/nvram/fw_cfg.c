/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The fw_cfg device on I/O ports, with its DMA interface; see fw_cfg.h. */
#include "hw/nvram/fw_cfg.h"

#include <string.h>

#include "hw/core/firmware.h"
#include "hw/core/machine.h"
#include "util/log.h"

#define FW_CFG_PORT       0x510
#define FW_CFG_PORTS      12
#define FW_CFG_MAX_FILES  0x100
#define FW_CFG_MAX_ITEMS  (FW_CFG_FIRST_FILE + FW_CFG_MAX_FILES)
#define FW_CFG_MAX_INPUT  (256u << 20) /* of a file that the user adds */
#define FW_CFG_DMA_MAGIC  0x51454d5520434647ull /* "QEMU CFG" */
#define FW_CFG_CHUNK      4096u

/* Port offsets. */
enum { SELECTOR = 0, DATA = 1, DMA_HIGH = 4, DMA_LOW = 8 };

/* The control field of a DMA request. */
enum {
    DMA_ERROR = 1u << 0,
    DMA_READ = 1u << 1,
    DMA_SKIP = 1u << 2,
    DMA_SELECT = 1u << 3,
    DMA_WRITE = 1u << 4,
};

typedef struct {
    char *name;
    uint16_t key;
} FwCfgFile;

struct FwCfg {
    Device device;
    PortMapping *ports;
    GBytes *items[2][FW_CFG_MAX_ITEMS]; /* generic, then architecture-local */
    GArray *files;                      /* of FwCfgFile */
    uint16_t selector;
    uint64_t position; /* in the selected item */
    uint64_t dma_address;
};

/* --- Items ------------------------------------------------------------------ */

static GBytes **fw_cfg_slot(FwCfg *fw, uint16_t key)
{
    unsigned index = key & 0x3fff; /* bit 14 was for writing, which went away */
    return index < FW_CFG_MAX_ITEMS ? &fw->items[key >> 15][index] : NULL;
}

void fw_cfg_set(FwCfg *fw, uint16_t key, GBytes *data)
{
    GBytes **slot = fw_cfg_slot(fw, key);
    g_assert(slot);
    if (*slot) {
        g_bytes_unref(*slot);
    }
    *slot = data;
}

void fw_cfg_set_u16(FwCfg *fw, uint16_t key, uint16_t value)
{
    uint16_t le = GUINT16_TO_LE(value);
    fw_cfg_set(fw, key, g_bytes_new(&le, sizeof(le)));
}

void fw_cfg_set_u64(FwCfg *fw, uint16_t key, uint64_t value)
{
    uint64_t le = GUINT64_TO_LE(value);
    fw_cfg_set(fw, key, g_bytes_new(&le, sizeof(le)));
}

static FwCfgFile *fw_cfg_find_file(const FwCfg *fw, const char *name)
{
    for (unsigned i = 0; i < fw->files->len; i++) {
        FwCfgFile *file = &g_array_index(fw->files, FwCfgFile, i);
        if (!strcmp(file->name, name)) {
            return file;
        }
    }
    return NULL;
}

/* The directory is big-endian: count, then size, item, 16 reserved bits and 56 bytes of name. */
static void fw_cfg_build_directory(FwCfg *fw)
{
    GByteArray *dir = g_byte_array_new();
    uint32_t count = GUINT32_TO_BE(fw->files->len);

    g_byte_array_append(dir, (const guint8 *)&count, sizeof(count));
    for (unsigned i = 0; i < fw->files->len; i++) {
        const FwCfgFile *file = &g_array_index(fw->files, FwCfgFile, i);
        uint32_t size = GUINT32_TO_BE(g_bytes_get_size(fw->items[0][file->key]));
        uint16_t key[2] = { GUINT16_TO_BE(file->key), 0 };
        char name[FW_CFG_NAME_MAX + 1] = { 0 };

        g_strlcpy(name, file->name, sizeof(name));
        g_byte_array_append(dir, (const guint8 *)&size, sizeof(size));
        g_byte_array_append(dir, (const guint8 *)key, sizeof(key));
        g_byte_array_append(dir, (const guint8 *)name, sizeof(name));
    }
    fw_cfg_set(fw, FW_CFG_FILE_DIR, g_byte_array_free_to_bytes(dir));
}

uint16_t fw_cfg_add_file(FwCfg *fw, const char *name, GBytes *data)
{
    FwCfgFile *file = fw_cfg_find_file(fw, name);

    if (!file) {
        if (strlen(name) > FW_CFG_NAME_MAX || fw->files->len == FW_CFG_MAX_FILES ||
            g_bytes_get_size(data) > UINT32_MAX) {
            g_bytes_unref(data);
            return 0;
        }
        FwCfgFile added = { g_strdup(name), FW_CFG_FIRST_FILE + fw->files->len };
        g_array_append_val(fw->files, added);
        file = &g_array_index(fw->files, FwCfgFile, fw->files->len - 1);
    }
    fw_cfg_set(fw, file->key, data);
    fw_cfg_build_directory(fw);
    return file->key;
}

GBytes *fw_cfg_get_file(const FwCfg *fw, const char *name)
{
    const FwCfgFile *file = fw_cfg_find_file(fw, name);
    return file ? fw->items[0][file->key] : NULL;
}

FwCfg *fw_cfg_find(Machine *machine)
{
    return (FwCfg *)machine_find_device(machine, "fw_cfg_io");
}

/* --- Ports -------------------------------------------------------------------- */

/* Copies up to @size bytes from the current position and moves on; returns how many there were. */
static size_t fw_cfg_take(FwCfg *fw, void *buffer, size_t size)
{
    GBytes **slot = fw_cfg_slot(fw, fw->selector);
    gsize length = 0;
    const uint8_t *data = slot && *slot ? g_bytes_get_data(*slot, &length) : NULL;

    if (fw->position >= length) {
        return 0;
    }
    size = MIN(size, length - fw->position);
    if (buffer) {
        memcpy(buffer, data + fw->position, size);
    }
    fw->position += size;
    return size;
}

static void fw_cfg_select(FwCfg *fw, uint16_t key)
{
    fw->selector = key;
    fw->position = 0;
}

/* The rest of a read beyond the item's end is zeros (interface document, "Data Register"). */
static bool fw_cfg_dma_read(FwCfg *fw, uint64_t address, uint32_t length)
{
    uint8_t buffer[FW_CFG_CHUNK];

    while (length > 0) {
        uint32_t chunk = MIN(length, FW_CFG_CHUNK);
        size_t taken = fw_cfg_take(fw, buffer, chunk);
        memset(buffer + taken, 0, chunk - taken);
        if (!memory_write(fw->device.machine->memory, address, buffer, chunk)) {
            return false;
        }
        address += chunk;
        length -= chunk;
    }
    return true;
}

/* A request lies in guest memory, big-endian: control (32 bits), length (32), address (64). */
static void fw_cfg_dma(FwCfg *fw)
{
    MemorySpace *memory = fw->device.machine->memory;
    uint64_t request = fw->dma_address;
    uint8_t bytes[16];
    bool ok = true;

    fw->dma_address = 0;
    if (!memory_read(memory, request, bytes, sizeof(bytes))) {
        log_guest_error("fw_cfg: DMA request at 0x%" G_GINT64_MODIFIER "x is not in memory",
                        request);
        return;
    }
    uint32_t control, length;
    uint64_t address;
    memcpy(&control, bytes, 4);
    memcpy(&length, bytes + 4, 4);
    memcpy(&address, bytes + 8, 8);
    control = GUINT32_FROM_BE(control);
    length = GUINT32_FROM_BE(length);
    if (control & DMA_SELECT) {
        fw_cfg_select(fw, control >> 16);
    }
    if (control & DMA_READ) {
        ok = fw_cfg_dma_read(fw, GUINT64_FROM_BE(address), length);
    } else if (control & DMA_WRITE) {
        ok = false; /* no item is writable */
    } else if (control & DMA_SKIP) {
        fw_cfg_take(fw, NULL, length);
    }
    uint32_t result = GUINT32_TO_BE(ok ? 0 : DMA_ERROR);
    memory_write(memory, request, &result, sizeof(result));
}

static uint64_t fw_cfg_read(void *opaque, uint64_t offset, unsigned size)
{
    FwCfg *fw = opaque;

    if (offset == DATA && size == 1) {
        uint8_t value = 0;
        fw_cfg_take(fw, &value, 1);
        return value;
    }
    if (offset >= DMA_HIGH && offset + size <= DMA_LOW + 4) {
        uint8_t bytes[8];
        uint64_t value = 0, magic = GUINT64_TO_BE(FW_CFG_DMA_MAGIC);
        memcpy(bytes, &magic, sizeof(bytes));
        memcpy(&value, bytes + (offset - DMA_HIGH), MIN(size, 8 - (offset - DMA_HIGH)));
        return value;
    }
    return 0;
}

static void fw_cfg_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    FwCfg *fw = opaque;

    if (offset == SELECTOR && size == 2) {
        fw_cfg_select(fw, value);
    } else if (offset == DMA_HIGH && size == 4) {
        fw->dma_address = (uint64_t)GUINT32_FROM_BE((uint32_t)value) << 32;
    } else if (offset == DMA_LOW && size == 4) {
        fw->dma_address |= GUINT32_FROM_BE((uint32_t)value);
        fw_cfg_dma(fw);
    }
}

static const MemoryOps fw_cfg_ops = {
    .read = fw_cfg_read,
    .write = fw_cfg_write,
    .min_size = 1,
    .max_size = 4,
};

/* --- State, reset, life --------------------------------------------------------- */

static const StateField fw_cfg_fields[] = {
    STATE_UINT_FIELD(FwCfg, selector),
    STATE_UINT_FIELD(FwCfg, position),
    STATE_UINT_FIELD(FwCfg, dma_address),
    STATE_END,
};

static const StateTable fw_cfg_state = {
    .name = "fw_cfg",
    .version = 1,
    .minimum_version = 1,
    .fields = fw_cfg_fields,
};

static void fw_cfg_reset(Device *device)
{
    FwCfg *fw = (FwCfg *)device;

    fw_cfg_select(fw, FW_CFG_SIGNATURE);
    fw->dma_address = 0;
}

static void fw_cfg_init(Device *device)
{
    FwCfg *fw = (FwCfg *)device;

    fw->files = g_array_new(FALSE, TRUE, sizeof(FwCfgFile));
    fw_cfg_set(fw, FW_CFG_SIGNATURE, g_bytes_new_static("QEMU", 4));
    /* Bit 0: the port interface, bit 1: DMA. */
    static const uint8_t features[4] = { 3 };
    fw_cfg_set(fw, FW_CFG_ID, g_bytes_new_static(features, sizeof(features)));
    fw_cfg_build_directory(fw);
}

/* One -fw_cfg [name=]NAME,file=PATH | string=TEXT. */
static bool fw_cfg_add_user_file(FwCfg *fw, const ConfigGroup *group, GError **error)
{
    const char *name = group_get(group, "name");
    const char *path = group_get(group, "file");
    const char *text = group_get(group, "string");

    if (!name || !*name || (path != NULL) == (text != NULL)) {
        g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_INVAL,
                    "fw_cfg needs a name, and either file or string");
        return false;
    }
    if (fw_cfg_find_file(fw, name)) {
        g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_EXIST, "fw_cfg file '%s' is there already",
                    name);
        return false;
    }
    GBytes *data = path ? host_file_load(path, FW_CFG_MAX_INPUT, error)
                        : g_bytes_new(text, strlen(text));
    if (!data) {
        g_prefix_error(error, "fw_cfg file '%s': ", name);
        return false;
    }
    if (!fw_cfg_add_file(fw, name, data)) {
        g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_INVAL,
                    "fw_cfg file '%s': a name has at most %u bytes, and there is room for %u files",
                    name, FW_CFG_NAME_MAX, FW_CFG_MAX_FILES);
        return false;
    }
    return true;
}

static bool fw_cfg_add_user_files(FwCfg *fw, GError **error)
{
    const Config *config = fw->device.machine->config;
    GPtrArray *groups = config ? config_groups(config, "fw_cfg") : NULL;

    for (unsigned i = 0; groups && i < groups->len; i++) {
        const ConfigGroup *group = groups->pdata[i];
        if (!fw_cfg_add_user_file(fw, group, error)) {
            fw->device.machine->blame = group->origin;
            return false;
        }
    }
    return true;
}

/* What every firmware asks for; the size of memory is known once all devices are realized. */
static void fw_cfg_ready(void *opaque)
{
    FwCfg *fw = opaque;
    const Machine *machine = fw->device.machine;
    bool nographic = machine->config && config_is_on(machine->config, "system", "nographic");

    fw_cfg_set_u64(fw, FW_CFG_RAM_SIZE, machine->ram_size);
    fw_cfg_set_u16(fw, FW_CFG_CPU_COUNT, machine->smp_cpus);
    fw_cfg_set_u16(fw, FW_CFG_MAX_CPUS, machine->smp_max_cpus);
    fw_cfg_set_u16(fw, FW_CFG_NOGRAPHIC, nographic);
    fw_cfg_set_u64(fw, FW_CFG_NUMA, 0);
}

static void fw_cfg_unrealize(Device *device)
{
    FwCfg *fw = (FwCfg *)device;

    g_clear_pointer(&fw->ports, port_unmap);
    for (unsigned i = 0; i < 2 * FW_CFG_MAX_ITEMS; i++) {
        g_clear_pointer(&fw->items[i / FW_CFG_MAX_ITEMS][i % FW_CFG_MAX_ITEMS], g_bytes_unref);
    }
    for (unsigned i = 0; i < fw->files->len; i++) {
        g_free(g_array_index(fw->files, FwCfgFile, i).name);
    }
    g_array_free(fw->files, TRUE);
}

static bool fw_cfg_realize(Device *device, GError **error)
{
    FwCfg *fw = (FwCfg *)device;

    if (fw_cfg_add_user_files(fw, error)) {
        fw->ports = port_map(device->machine->ports, FW_CFG_PORT, FW_CFG_PORTS, &fw_cfg_ops, fw,
                             "fw_cfg", error);
    }
    if (!fw->ports) {
        fw_cfg_unrealize(device);
        return false;
    }
    machine_on_ready(device->machine, fw_cfg_ready, fw);
    return true;
}

static const Property fw_cfg_properties[] = { PROP_END };
static const char *const fw_cfg_aliases[] = { "fw_cfg", NULL };

static const PortClaim fw_cfg_port_claims[] = {
    { NULL, FW_CFG_PORT, FW_CFG_PORTS },
    { 0 },
};

static const DeviceType fw_cfg_type = {
    .name = "fw_cfg_io",
    .aliases = fw_cfg_aliases,
    .desc = "Firmware configuration at ports 0x510 to 0x51b",
    .category = "Misc",
    .bus = "system",
    .size = sizeof(FwCfg),
    .ports = fw_cfg_port_claims,
    .properties = fw_cfg_properties,
    .state = &fw_cfg_state,
    .init = fw_cfg_init,
    .realize = fw_cfg_realize,
    .unrealize = fw_cfg_unrealize,
    .reset = fw_cfg_reset,
    .not_for_users = "the machine file decides whether firmware finds one",
};
DEVICE_TYPE(fw_cfg_type);
