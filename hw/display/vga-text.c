/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The IBM VGA's registers and 256 KiB of planar memory (IBM PS/2 Hardware Technical Reference,
 * Video Subsystem, 1992), as an ISA and as a PCI device. There is no output yet: vga_text_screen()
 * reads the text. Timing registers are stored and ignored.
 */
#include "hw/display/vga-text.h"

#include <string.h>

#include "hw/core/firmware.h"
#include "hw/core/isa.h"
#include "hw/core/machine.h"
#include "hw/pci/pci.h"
#include "util/timer.h"

#define VGA_PLANE_SIZE   0x10000u
#define VGA_WINDOW       0xa0000u
#define VGA_WINDOW_SIZE  0x20000u
#define VGA_CRTC_COUNT   25
#define VGA_PORT_RANGES  5
#define VGA_ROM_MAX      0x10000
#define VGA_FRAME_NS     14268000 /* 70.09 Hz: 449 lines of 31.78 us */
#define VGA_LINE_NS      31778

enum { SEQ_MAP_MASK = 2, SEQ_MEMORY_MODE = 4, SEQ_COUNT = 5 };
enum { SEQ_NOT_ODD_EVEN = 1u << 2, SEQ_CHAIN4 = 1u << 3 };
enum {
    GFX_SET_RESET = 0,
    GFX_ENABLE_SET_RESET = 1,
    GFX_COLOR_COMPARE = 2,
    GFX_ROTATE = 3,
    GFX_READ_MAP = 4,
    GFX_MODE = 5,
    GFX_MISC = 6,
    GFX_COLOR_DONT_CARE = 7,
    GFX_BIT_MASK = 8,
    GFX_COUNT = 9,
};
enum { GFX_MODE_READ1 = 1u << 3, GFX_MODE_ODD_EVEN = 1u << 4, GFX_MISC_GRAPHICS = 1u << 0 };
enum { CRTC_V_RETRACE_END = 0x11, CRTC_PROTECT = 0x80 };
enum { ATTR_COUNT = 21, ATTR_PALETTE_ON = 0x20, MISC_COLOR_PORTS = 1u << 0 };

static const uint8_t seq_mask[SEQ_COUNT] = { 0x03, 0x3d, 0x0f, 0x3f, 0x0e };
static const uint8_t gfx_mask[GFX_COUNT] = { 15, 15, 15, 0x1f, 3, 0x7b, 15, 15, 0xff };

typedef struct Vga {
    uint8_t misc, feature;
    uint8_t seq_index, seq[SEQ_COUNT];
    uint8_t gfx_index, gfx[GFX_COUNT];
    uint8_t crtc_index, crtc[VGA_CRTC_COUNT];
    uint8_t attr_index, attr[ATTR_COUNT];
    bool attr_data; /* the next write to 0x3c0 is data */
    uint8_t dac_mask, dac_state, dac_read_index, dac_write_index, dac_component;
    uint8_t dac[256 * 3];
    uint8_t latch[4];
    uint8_t planes[4 * VGA_PLANE_SIZE];
    MemoryMapping *window;
} Vga;

typedef struct {
    PciDevice pci;
    Vga vga;
    PortMapping *ports[VGA_PORT_RANGES];
} PciVga;

typedef struct {
    IsaDevice isa;
    Vga vga;
    char *romfile;
    GBytes *rom;
} IsaVga;

#define VGA_PALETTE_PORT 0x3c8

static const PortClaim vga_ports[VGA_PORT_RANGES + 1] = {
    { NULL, 0x3b4, 2 }, { NULL, 0x3ba, 1 }, { NULL, 0x3c0, 16 }, { NULL, 0x3d4, 2 },
    { NULL, 0x3da, 1 }, { 0 },
};

/* --- Registers ------------------------------------------------------------- */

static void vga_attr_write(Vga *vga, uint8_t value)
{
    unsigned index = vga->attr_index & 0x1f;

    if (!vga->attr_data) {
        vga->attr_index = value & 0x3f;
    } else if (index < ATTR_COUNT && (index >= 16 || !(vga->attr_index & ATTR_PALETTE_ON))) {
        vga->attr[index] = index < 16 ? value & 0x3f : value;
    }
    vga->attr_data = !vga->attr_data;
}

static void vga_crtc_write(Vga *vga, uint8_t value)
{
    unsigned index = vga->crtc_index;

    if (index >= VGA_CRTC_COUNT) {
        return;
    }
    if (index <= 7 && (vga->crtc[CRTC_V_RETRACE_END] & CRTC_PROTECT)) {
        /* Of the protected registers only the line compare bit can be written. */
        if (index == 7) {
            vga->crtc[7] = (vga->crtc[7] & ~0x10) | (value & 0x10);
        }
        return;
    }
    vga->crtc[index] = value;
}

static void vga_dac_write(Vga *vga, uint8_t value)
{
    vga->dac[vga->dac_write_index * 3 + vga->dac_component] = value & 0x3f;
    if (++vga->dac_component == 3) {
        vga->dac_component = 0;
        vga->dac_write_index++;
    }
}

static uint8_t vga_dac_read(Vga *vga)
{
    uint8_t value = vga->dac[vga->dac_read_index * 3 + vga->dac_component];
    if (++vga->dac_component == 3) {
        vga->dac_component = 0;
        vga->dac_read_index++;
    }
    return value;
}

/* Input status 1: bit 3 in vertical retrace, bit 0 outside the visible part of a line. */
static uint8_t vga_status(Vga *vga)
{
    int64_t in_frame = clock_ns(CLOCK_VM) % VGA_FRAME_NS;
    bool retrace = in_frame >= VGA_FRAME_NS - 2 * VGA_LINE_NS;
    bool blank = in_frame >= 400 * VGA_LINE_NS || in_frame % VGA_LINE_NS >= VGA_LINE_NS * 4 / 5;

    vga->attr_data = false;
    return (retrace ? 0x08 : 0) | (blank ? 0x01 : 0);
}

static uint8_t vga_port_read(Vga *vga, uint16_t port)
{
    bool color = vga->misc & MISC_COLOR_PORTS;

    if ((port & 0xfff0) == (color ? 0x3b0 : 0x3d0)) {
        return 0xff;
    }
    switch (port) {
    case 0x3c0:
        return vga->attr_index;
    case 0x3c1:
        return (vga->attr_index & 0x1f) < ATTR_COUNT ? vga->attr[vga->attr_index & 0x1f] : 0xff;
    case 0x3c4:
        return vga->seq_index;
    case 0x3c5:
        return vga->seq_index < SEQ_COUNT ? vga->seq[vga->seq_index] : 0xff;
    case 0x3c6:
        return vga->dac_mask;
    case 0x3c7:
        return vga->dac_state;
    case 0x3c8:
        return vga->dac_write_index;
    case 0x3c9:
        return vga_dac_read(vga);
    case 0x3ca:
        return vga->feature;
    case 0x3c2:
        return 0x10; /* switch sense: a colour monitor */
    case 0x3cc:
        return vga->misc;
    case 0x3ce:
        return vga->gfx_index;
    case 0x3cf:
        return vga->gfx_index < GFX_COUNT ? vga->gfx[vga->gfx_index] : 0xff;
    case 0x3b4:
    case 0x3d4:
        return vga->crtc_index;
    case 0x3b5:
    case 0x3d5:
        return vga->crtc_index < VGA_CRTC_COUNT ? vga->crtc[vga->crtc_index] : 0xff;
    case 0x3ba:
    case 0x3da:
        return vga_status(vga);
    default:
        return 0xff;
    }
}

static void vga_port_write(Vga *vga, uint16_t port, uint8_t value)
{
    bool color = vga->misc & MISC_COLOR_PORTS;

    if ((port & 0xfff0) == (color ? 0x3b0 : 0x3d0)) {
        return;
    }
    switch (port) {
    case 0x3c0:
        vga_attr_write(vga, value);
        break;
    case 0x3c2:
        vga->misc = value;
        break;
    case 0x3c4:
        vga->seq_index = value & 7;
        break;
    case 0x3c5:
        if (vga->seq_index < SEQ_COUNT) {
            vga->seq[vga->seq_index] = value & seq_mask[vga->seq_index];
        }
        break;
    case 0x3c6:
        vga->dac_mask = value;
        break;
    case 0x3c7:
        vga->dac_read_index = value;
        vga->dac_component = 0;
        vga->dac_state = 3;
        break;
    case 0x3c8:
        vga->dac_write_index = value;
        vga->dac_component = 0;
        vga->dac_state = 0;
        break;
    case 0x3c9:
        vga_dac_write(vga, value);
        break;
    case 0x3ce:
        vga->gfx_index = value & 15;
        break;
    case 0x3cf:
        if (vga->gfx_index < GFX_COUNT) {
            vga->gfx[vga->gfx_index] = value & gfx_mask[vga->gfx_index];
        }
        break;
    case 0x3b4:
    case 0x3d4:
        vga->crtc_index = value & 0x3f;
        break;
    case 0x3b5:
    case 0x3d5:
        vga_crtc_write(vga, value);
        break;
    case 0x3ba:
    case 0x3da:
        vga->feature = value & 0x03;
        break;
    }
}

/* --- Memory window ------------------------------------------------------------ */

/* The offset into the planes' address space, or false outside the window chosen by GFX_MISC. */
static bool vga_window_offset(const Vga *vga, uint64_t addr, uint32_t *offset)
{
    static const struct {
        uint32_t start, size;
    } windows[4] = {
        { 0x00000, 0x20000 }, { 0x00000, 0x10000 }, { 0x10000, 0x8000 }, { 0x18000, 0x8000 },
    };
    unsigned n = vga->gfx[GFX_MISC] >> 2 & 3;

    if (addr < windows[n].start || addr - windows[n].start >= windows[n].size) {
        return false;
    }
    *offset = (addr - windows[n].start) & (VGA_PLANE_SIZE - 1);
    return true;
}

static uint8_t *vga_byte(Vga *vga, unsigned plane, uint32_t offset)
{
    return &vga->planes[(plane & 3) * VGA_PLANE_SIZE + (offset & (VGA_PLANE_SIZE - 1))];
}

/* Read mode 1: a 1 for every pixel whose colour matches in the planes that are cared about. */
static uint8_t vga_color_compare(const Vga *vga)
{
    uint8_t differs = 0;

    for (unsigned plane = 0; plane < 4; plane++) {
        if (vga->gfx[GFX_COLOR_DONT_CARE] >> plane & 1) {
            uint8_t want = vga->gfx[GFX_COLOR_COMPARE] >> plane & 1 ? 0xff : 0;
            differs |= vga->latch[plane] ^ want;
        }
    }
    return ~differs;
}

static uint8_t vga_window_read(Vga *vga, uint64_t addr)
{
    uint32_t offset;
    unsigned plane = vga->gfx[GFX_READ_MAP];

    if (!vga_window_offset(vga, addr, &offset)) {
        return 0xff;
    }
    if (vga->seq[SEQ_MEMORY_MODE] & SEQ_CHAIN4) {
        plane = offset & 3;
        offset &= ~3u;
    } else if (vga->gfx[GFX_MODE] & GFX_MODE_ODD_EVEN) {
        plane = (plane & 2) | (offset & 1);
        offset &= ~1u;
    }
    for (unsigned i = 0; i < 4; i++) {
        vga->latch[i] = *vga_byte(vga, i, offset);
    }
    return vga->gfx[GFX_MODE] & GFX_MODE_READ1 ? vga_color_compare(vga) : vga->latch[plane];
}

static uint8_t vga_rotate(const Vga *vga, uint8_t value)
{
    unsigned count = vga->gfx[GFX_ROTATE] & 7;
    return value >> count | value << (8 - count);
}

/* The logical unit and the bit mask: what reaches memory of @value in @plane. */
static uint8_t vga_combine(const Vga *vga, unsigned plane, uint8_t value, uint8_t mask)
{
    uint8_t latch = vga->latch[plane];

    switch (vga->gfx[GFX_ROTATE] >> 3) {
    case 1:
        value &= latch;
        break;
    case 2:
        value |= latch;
        break;
    case 3:
        value ^= latch;
        break;
    }
    return (value & mask) | (latch & ~mask);
}

/* What the four write modes put into @plane for a CPU byte @value. */
static uint8_t vga_write_data(const Vga *vga, unsigned plane, uint8_t value)
{
    uint8_t mask = vga->gfx[GFX_BIT_MASK];
    uint8_t set = vga->gfx[GFX_SET_RESET] >> plane & 1 ? 0xff : 0;

    switch (vga->gfx[GFX_MODE] & 3) {
    case 0:
        value = vga->gfx[GFX_ENABLE_SET_RESET] >> plane & 1 ? set : vga_rotate(vga, value);
        return vga_combine(vga, plane, value, mask);
    case 1:
        return vga->latch[plane];
    case 2:
        return vga_combine(vga, plane, value >> plane & 1 ? 0xff : 0, mask);
    default:
        return vga_combine(vga, plane, set, mask & vga_rotate(vga, value));
    }
}

static void vga_window_write(Vga *vga, uint64_t addr, uint8_t value)
{
    uint32_t offset;
    uint8_t enabled = vga->seq[SEQ_MAP_MASK];

    if (!vga_window_offset(vga, addr, &offset)) {
        return;
    }
    if (vga->seq[SEQ_MEMORY_MODE] & SEQ_CHAIN4) {
        enabled &= 1u << (offset & 3);
        offset &= ~3u;
    } else if (!(vga->seq[SEQ_MEMORY_MODE] & SEQ_NOT_ODD_EVEN)) {
        enabled &= offset & 1 ? 0x0a : 0x05;
        offset &= ~1u;
    }
    for (unsigned plane = 0; plane < 4; plane++) {
        if (enabled >> plane & 1) {
            *vga_byte(vga, plane, offset) = vga_write_data(vga, plane, value);
        }
    }
}

static uint64_t vga_memory_read(void *opaque, uint64_t offset, unsigned size)
{
    return vga_window_read(opaque, offset);
}

static void vga_memory_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    vga_window_write(opaque, offset, value);
}

static const MemoryOps vga_memory_ops = {
    .read = vga_memory_read,
    .write = vga_memory_write,
    .min_size = 1,
    .max_size = 1,
};

/* One ops for each port range: the callback gets an offset from the range's start. */
#define VGA_PORT_OPS(base)                                                                         \
    static uint64_t vga_read_##base(void *opaque, uint64_t offset, unsigned size)                  \
    {                                                                                              \
        return vga_port_read(opaque, base + offset);                                               \
    }                                                                                              \
    static void vga_write_##base(void *opaque, uint64_t offset, uint64_t value, unsigned size)     \
    {                                                                                              \
        vga_port_write(opaque, base + offset, value);                                              \
    }
VGA_PORT_OPS(0x3b4)
VGA_PORT_OPS(0x3ba)
VGA_PORT_OPS(0x3c0)
VGA_PORT_OPS(0x3d4)
VGA_PORT_OPS(0x3da)

static const MemoryOps vga_port_ops[VGA_PORT_RANGES] = {
    { vga_read_0x3b4, vga_write_0x3b4, 1, 1 }, { vga_read_0x3ba, vga_write_0x3ba, 1, 1 },
    { vga_read_0x3c0, vga_write_0x3c0, 1, 1 }, { vga_read_0x3d4, vga_write_0x3d4, 1, 1 },
    { vga_read_0x3da, vga_write_0x3da, 1, 1 },
};

/* --- The text screen -------------------------------------------------------------- */

static char *vga_screen_text(Vga *vga)
{
    unsigned columns = vga->crtc[1] + 1u;
    unsigned overflow = vga->crtc[7];
    unsigned lines = (vga->crtc[0x12] | (overflow & 0x02) << 7 | (overflow & 0x40) << 3) + 1;
    unsigned rows = lines / ((vga->crtc[9] & 0x1f) + 1u);
    unsigned pitch = vga->crtc[0x13] * 2u;
    unsigned start = vga->crtc[0x0c] << 8 | vga->crtc[0x0d];

    if (vga->gfx[GFX_MISC] & GFX_MISC_GRAPHICS) {
        return NULL;
    }
    GString *text = g_string_new(NULL);
    for (unsigned row = 0; row < rows; row++) {
        gsize line = text->len, end = line;
        for (unsigned column = 0; column < columns; column++) {
            uint8_t c = *vga_byte(vga, 0, (start + row * pitch + column) * 2);
            g_string_append_c(text, c == 0 ? ' ' : c >= 0x20 && c < 0x7f ? c : '.');
            end = c != 0 && c != ' ' ? text->len : end;
        }
        g_string_truncate(text, end);
        g_string_append_c(text, '\n');
    }
    return g_string_free(text, FALSE);
}

char *vga_text_screen(Device *device)
{
    bool pci = !strcmp(device->type->bus, "pci");
    return vga_screen_text(pci ? &((PciVga *)device)->vga : &((IsaVga *)device)->vga);
}

/* --- State, reset, life ------------------------------------------------------------- */

/* Indices that are used unchecked must fit; the others are checked where they are used. */
static bool vga_post_load(void *object, int version, GError **error)
{
    Vga *vga = object;

    vga->dac_component %= 3;
    for (unsigned i = 0; i < SEQ_COUNT; i++) {
        vga->seq[i] &= seq_mask[i];
    }
    for (unsigned i = 0; i < GFX_COUNT; i++) {
        vga->gfx[i] &= gfx_mask[i];
    }
    return true;
}

static const StateField vga_fields[] = {
    STATE_UINT_FIELD(Vga, misc),
    STATE_UINT_FIELD(Vga, feature),
    STATE_UINT_FIELD(Vga, seq_index),
    STATE_BYTES_FIELD(Vga, seq),
    STATE_UINT_FIELD(Vga, gfx_index),
    STATE_BYTES_FIELD(Vga, gfx),
    STATE_UINT_FIELD(Vga, crtc_index),
    STATE_BYTES_FIELD(Vga, crtc),
    STATE_UINT_FIELD(Vga, attr_index),
    STATE_BYTES_FIELD(Vga, attr),
    STATE_BOOL_FIELD(Vga, attr_data),
    STATE_UINT_FIELD(Vga, dac_mask),
    STATE_UINT_FIELD(Vga, dac_state),
    STATE_UINT_FIELD(Vga, dac_read_index),
    STATE_UINT_FIELD(Vga, dac_write_index),
    STATE_UINT_FIELD(Vga, dac_component),
    STATE_BYTES_FIELD(Vga, dac),
    STATE_BYTES_FIELD(Vga, latch),
    STATE_BYTES_FIELD(Vga, planes),
    STATE_END,
};

static const StateTable vga_state = {
    .name = "vga",
    .version = 1,
    .minimum_version = 1,
    .fields = vga_fields,
    .post_load = vga_post_load,
};

static void vga_reset(Vga *vga)
{
    MemoryMapping *window = vga->window;
    memset(vga, 0, sizeof(*vga));
    vga->window = window;
    vga->dac_mask = 0xff;
}

static void vga_map_window(Vga *vga, Machine *machine)
{
    machine_gather_ports(machine, VGA_PALETTE_PORT, 2, true); /* index and data: 768 in a row */
    vga->window = memory_map_io(machine->memory, VGA_WINDOW, VGA_WINDOW_SIZE, &vga_memory_ops, vga,
                                "vga", 10);
    /* Stores have no effect that anything but another access to this chip could see. */
    memory_mapping_set_flags(vga->window, MAP_READ | MAP_WRITE | MAP_COALESCE);
}

static void vga_unmap_window(Vga *vga, Machine *machine)
{
    if (vga->window) {
        machine_gather_ports(machine, VGA_PALETTE_PORT, 2, false);
        g_clear_pointer(&vga->window, memory_unmap);
    }
}

/* --- PCI ------------------------------------------------------------------------------- */

static const StateField pci_vga_fields[] = {
    STATE_STRUCT_FIELD(PciVga, pci, pci_device_state),
    STATE_STRUCT_FIELD(PciVga, vga, vga_state),
    STATE_END,
};

static const StateTable pci_vga_state = {
    .name = "VGA",
    .version = 1,
    .minimum_version = 1,
    .fields = pci_vga_fields,
};

static void pci_vga_reset(Device *device)
{
    pci_device_reset((PciDevice *)device);
    vga_reset(&((PciVga *)device)->vga);
}

static void pci_vga_unrealize(Device *device)
{
    PciVga *self = (PciVga *)device;

    vga_unmap_window(&self->vga, device->machine);
    for (unsigned i = 0; i < VGA_PORT_RANGES; i++) {
        g_clear_pointer(&self->ports[i], port_unmap);
    }
}

/* The VGA addresses are decoded whether or not the command register enables them. */
static bool pci_vga_realize(Device *device, GError **error)
{
    PciVga *self = (PciVga *)device;

    for (unsigned i = 0; i < VGA_PORT_RANGES; i++) {
        self->ports[i] = port_map(device->machine->ports, vga_ports[i].port, vga_ports[i].count,
                                  &vga_port_ops[i], &self->vga, "VGA", error);
        if (!self->ports[i]) {
            pci_vga_unrealize(device);
            return false;
        }
    }
    vga_map_window(&self->vga, device->machine);
    return true;
}

/* The identity that vgabios-stdvga is made for. */
static const PciDeviceClass pci_vga_class = {
    .vendor_id = 0x1234,
    .device_id = 0x1111,
    .class_code = 0x030000,
    .revision = 0x02,
    .romfile = "vgabios-stdvga.bin",
};

static const Property vga_properties[] = { PROP_END };

static const DeviceType pci_vga_type = {
    .name = "VGA",
    .desc = "Standard VGA on PCI, text and planar modes",
    .category = "Display",
    .bus = "pci",
    .size = sizeof(PciVga),
    .ports = vga_ports,
    .properties = vga_properties,
    .state = &pci_vga_state,
    .realize = pci_vga_realize,
    .unrealize = pci_vga_unrealize,
    .reset = pci_vga_reset,
    .bus_class = &pci_vga_class,
};
DEVICE_TYPE(pci_vga_type);

/* --- ISA --------------------------------------------------------------------------------- */

static const StateField isa_vga_fields[] = {
    STATE_STRUCT_FIELD(IsaVga, vga, vga_state),
    STATE_END,
};

static const StateTable isa_vga_state = {
    .name = "isa-vga",
    .version = 1,
    .minimum_version = 1,
    .fields = isa_vga_fields,
};

static void isa_vga_reset(Device *device)
{
    vga_reset(&((IsaVga *)device)->vga);
}

GBytes *vga_isa_rom(Device *device)
{
    return ((IsaVga *)device)->rom;
}

static bool isa_vga_map_ports(IsaVga *self, GError **error)
{
    for (unsigned i = 0; i < VGA_PORT_RANGES; i++) {
        if (!isa_port_map(&self->isa, vga_ports[i].port, vga_ports[i].count, &vga_port_ops[i],
                          &self->vga, error)) {
            return false;
        }
    }
    return true;
}

static bool isa_vga_realize(Device *device, GError **error)
{
    IsaVga *self = (IsaVga *)device;

    self->rom = firmware_load(device->machine, self->romfile, VGA_ROM_MAX, error);
    if (!self->rom || !isa_vga_map_ports(self, error)) {
        g_clear_pointer(&self->rom, g_bytes_unref);
        return false;
    }
    vga_map_window(&self->vga, device->machine);
    return true;
}

static void isa_vga_unrealize(Device *device)
{
    IsaVga *self = (IsaVga *)device;

    g_clear_pointer(&self->rom, g_bytes_unref);
    vga_unmap_window(&self->vga, device->machine);
    isa_ports_unmap(&self->isa);
}

static const Property isa_vga_properties[] = {
    PROP(PROP_STRING, IsaVga, romfile, "romfile", "video BIOS image", "vgabios-isavga.bin"),
    PROP_END,
};

static const DeviceType isa_vga_type = {
    .name = "isa-vga",
    .desc = "Standard VGA on ISA, text and planar modes",
    .category = "Display",
    .bus = "isa",
    .size = sizeof(IsaVga),
    .ports = vga_ports,
    .properties = isa_vga_properties,
    .state = &isa_vga_state,
    .realize = isa_vga_realize,
    .unrealize = isa_vga_unrealize,
    .reset = isa_vga_reset,
};
DEVICE_TYPE(isa_vga_type);
