/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The 8042 keyboard controller of the PS/2: two serial channels, one output buffer, the A20 gate
 * and the reset line. Source: IBM PS/2 Hardware Interface Technical Reference, "Keyboard and
 * Auxiliary Device Controller".
 */
#include "hw/input/i8042.h"

#include "hw/core/isa.h"
#include "hw/core/machine.h"
#include "hw/input/ps2.h"
#include "util/log.h"

enum {
    STATUS_OUTPUT_FULL = 0x01,
    STATUS_SYSTEM = 0x04,
    STATUS_COMMAND = 0x08, /* the last write went to port 64h */
    STATUS_UNLOCKED = 0x10,
    STATUS_AUX = 0x20,

    CCB_KEYBOARD_IRQ = 0x01,
    CCB_AUX_IRQ = 0x02,
    CCB_SYSTEM = 0x04,
    CCB_KEYBOARD_OFF = 0x10,
    CCB_AUX_OFF = 0x20,
    CCB_TRANSLATE = 0x40,

    OUTPUT_RUN = 0x01, /* 0 holds the CPU in reset */
    OUTPUT_A20 = 0x02,
    OUTPUT_KEYBOARD_IRQ = 0x10,
    OUTPUT_AUX_IRQ = 0x20,
};

typedef struct I8042 {
    IsaDevice parent;
    uint8_t ram[32];      /* byte 0 is the command byte */
    uint8_t status;
    uint8_t output_port;
    uint8_t data;         /* the output buffer */
    uint8_t command;      /* waits for its parameter at port 60h; 0: none */
    bool break_pending;   /* translation has seen F0 */
    uint8_t reply;        /* an answer that waits for the output buffer */
    bool reply_pending;
    bool reply_aux;
    Ps2Keyboard keyboard;
    Ps2Mouse mouse;
    IrqLine *keyboard_irq;
    IrqLine *aux_irq;
    IrqLine *a20;
} I8042;

/* --- Output buffer ------------------------------------------------------------- */

static void i8042_update_irq(I8042 *s)
{
    bool full = s->status & STATUS_OUTPUT_FULL;
    bool aux = s->status & STATUS_AUX;

    irq_set(s->keyboard_irq, full && !aux && (s->ram[0] & CCB_KEYBOARD_IRQ));
    irq_set(s->aux_irq, full && aux && (s->ram[0] & CCB_AUX_IRQ));
}

/* Set 2 to set 1: the break prefix F0 becomes bit 7 of the next byte. False: nothing to show
 * yet. */
static bool i8042_translate(I8042 *s, uint8_t *byte)
{
    if (*byte == 0xf0) {
        s->break_pending = true;
        return false;
    }
    if (*byte < 0x80 || *byte == 0x83 || *byte == 0x84) {
        *byte = ps2_translate(*byte) | (s->break_pending ? 0x80 : 0);
    }
    s->break_pending = false;
    return true;
}

/* The next byte of the keyboard as the host is to see it. */
static bool i8042_fetch_keyboard(I8042 *s, uint8_t *byte)
{
    if (s->ram[0] & CCB_KEYBOARD_OFF) {
        return false;
    }
    while (ps2_keyboard_read(&s->keyboard, byte)) {
        if (!(s->ram[0] & CCB_TRANSLATE) || i8042_translate(s, byte)) {
            return true;
        }
    }
    return false;
}

/* Fills an empty output buffer from whoever has something. */
static void i8042_fill(I8042 *s)
{
    bool aux = false;

    if (s->status & STATUS_OUTPUT_FULL) {
        return;
    }
    if (s->reply_pending) {
        s->data = s->reply;
        aux = s->reply_aux;
        s->reply_pending = false;
    } else if (!i8042_fetch_keyboard(s, &s->data)) {
        if ((s->ram[0] & CCB_AUX_OFF) || !ps2_queue_pop(&s->mouse.queue, &s->data)) {
            return;
        }
        aux = true;
    }
    s->status = (s->status & ~STATUS_AUX) | STATUS_OUTPUT_FULL | (aux ? STATUS_AUX : 0);
    i8042_update_irq(s);
}

/* The controller's own answers overtake what the devices have queued. */
static void i8042_reply(I8042 *s, uint8_t byte, bool aux)
{
    s->reply = byte;
    s->reply_aux = aux;
    s->reply_pending = true;
    i8042_fill(s);
}

static uint8_t i8042_read_data(I8042 *s)
{
    uint8_t byte = s->data;

    if (s->status & STATUS_OUTPUT_FULL) {
        s->status &= ~(STATUS_OUTPUT_FULL | STATUS_AUX);
        i8042_update_irq(s);
        i8042_fill(s);
    }
    return byte;
}

/* --- Controller commands ------------------------------------------------------- */

static void i8042_set_output_port(I8042 *s, uint8_t value)
{
    s->output_port = value;
    irq_set(s->a20, !!(value & OUTPUT_A20));
    if (!(value & OUTPUT_RUN)) {
        machine_request_reset(s->parent.device.machine);
    }
}

static uint8_t i8042_get_output_port(const I8042 *s)
{
    bool full = s->status & STATUS_OUTPUT_FULL;
    bool aux = s->status & STATUS_AUX;

    return (s->output_port & ~(OUTPUT_KEYBOARD_IRQ | OUTPUT_AUX_IRQ)) |
           (full && !aux ? OUTPUT_KEYBOARD_IRQ : 0) | (full && aux ? OUTPUT_AUX_IRQ : 0);
}

static void i8042_write_ram(I8042 *s, unsigned index, uint8_t value)
{
    s->ram[index] = value;
    if (index == 0) {
        s->status = (s->status & ~STATUS_SYSTEM) | (value & CCB_SYSTEM ? STATUS_SYSTEM : 0);
        i8042_update_irq(s);
        i8042_fill(s);
    }
}

/* Commands F0 to FF pull the output port bits low whose bits are 0. */
static void i8042_pulse(I8042 *s, uint8_t command)
{
    if (!(command & OUTPUT_RUN)) {
        machine_request_reset(s->parent.device.machine);
    }
}

static void i8042_write_command(I8042 *s, uint8_t command)
{
    s->command = 0;
    switch (command) {
    case 0x20 ... 0x3f:
        i8042_reply(s, s->ram[command & 0x1f], false);
        break;
    case 0x60 ... 0x7f: /* parameter follows */
    case 0xd1 ... 0xd4:
        s->command = command;
        break;
    case 0xa4: /* password: none installed */
        i8042_reply(s, 0xf1, false);
        break;
    case 0xa7:
    case 0xa8:
        i8042_write_ram(s, 0, command == 0xa7 ? s->ram[0] | CCB_AUX_OFF
                                              : s->ram[0] & ~CCB_AUX_OFF);
        break;
    case 0xa9: /* interface tests: no fault */
    case 0xab:
        i8042_reply(s, 0x00, false);
        break;
    case 0xaa: /* self test leaves the keyboard off */
        i8042_write_ram(s, 0, s->ram[0] | CCB_SYSTEM | CCB_KEYBOARD_OFF | CCB_AUX_OFF);
        i8042_reply(s, 0x55, false);
        break;
    case 0xad:
    case 0xae:
        i8042_write_ram(s, 0, command == 0xad ? s->ram[0] | CCB_KEYBOARD_OFF
                                              : s->ram[0] & ~CCB_KEYBOARD_OFF);
        break;
    case 0xc0: /* input port: keyboard not inhibited, no manufacturing jumper */
        i8042_reply(s, 0xa0, false);
        break;
    case 0xd0:
        i8042_reply(s, i8042_get_output_port(s), false);
        break;
    case 0xdd: /* A20 off and on, as the HP Vectra and many after it */
    case 0xdf:
        i8042_set_output_port(s, command == 0xdd ? s->output_port & ~OUTPUT_A20
                                                 : s->output_port | OUTPUT_A20);
        break;
    case 0xe0: /* test inputs: both clocks idle high */
        i8042_reply(s, 0x03, false);
        break;
    case 0xf0 ... 0xff:
        i8042_pulse(s, command);
        break;
    default:
        log_guest_error("8042: unknown command 0x%02x", command);
        break;
    }
}

static void i8042_write_data(I8042 *s, uint8_t value)
{
    uint8_t command = s->command;

    s->command = 0;
    switch (command) {
    case 0x60 ... 0x7f:
        i8042_write_ram(s, command & 0x1f, value);
        break;
    case 0xd1:
        i8042_set_output_port(s, value);
        break;
    case 0xd2:
    case 0xd3: /* as if the keyboard, or the auxiliary device, had sent it */
        i8042_reply(s, value, command == 0xd3);
        break;
    case 0xd4:
        ps2_mouse_write(&s->mouse, value);
        s->ram[0] &= ~CCB_AUX_OFF;
        i8042_fill(s);
        break;
    default: /* sending to the keyboard turns its interface on */
        s->ram[0] &= ~CCB_KEYBOARD_OFF;
        ps2_keyboard_write(&s->keyboard, value);
        i8042_fill(s);
        break;
    }
}

static uint64_t i8042_data_read(void *opaque, uint64_t offset, unsigned size)
{
    return i8042_read_data(opaque);
}

static void i8042_data_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    I8042 *s = opaque;
    s->status &= ~STATUS_COMMAND;
    i8042_write_data(s, value);
}

static uint64_t i8042_status_read(void *opaque, uint64_t offset, unsigned size)
{
    return ((I8042 *)opaque)->status;
}

static void i8042_command_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    I8042 *s = opaque;
    s->status |= STATUS_COMMAND;
    i8042_write_command(s, value);
}

static const MemoryOps i8042_data_ops = { i8042_data_read, i8042_data_write, 1, 1 };
static const MemoryOps i8042_command_ops = { i8042_status_read, i8042_command_write, 1, 1 };

void i8042_key(Device *device, uint16_t key, bool down)
{
    I8042 *s = (I8042 *)device;
    ps2_keyboard_key(&s->keyboard, key, down);
    i8042_fill(s);
}

void i8042_pointer(Device *device, int dx, int dy, int dz, uint8_t buttons)
{
    I8042 *s = (I8042 *)device;
    ps2_mouse_move(&s->mouse, dx, dy, dz, buttons);
    i8042_fill(s);
}

/* --- State, life cycle --------------------------------------------------------- */

static const StateTable i8042_state = {
    .name = "i8042",
    .version = 1,
    .minimum_version = 1,
    .fields = (const StateField[]) {
        STATE_BYTES_FIELD(I8042, ram),
        STATE_UINT_FIELD(I8042, status),
        STATE_UINT_FIELD(I8042, output_port),
        STATE_UINT_FIELD(I8042, data),
        STATE_UINT_FIELD(I8042, command),
        STATE_BOOL_FIELD(I8042, break_pending),
        STATE_UINT_FIELD(I8042, reply),
        STATE_BOOL_FIELD(I8042, reply_pending),
        STATE_BOOL_FIELD(I8042, reply_aux),
        STATE_STRUCT_FIELD(I8042, keyboard, ps2_keyboard_state),
        STATE_STRUCT_FIELD(I8042, mouse, ps2_mouse_state),
        STATE_END,
    },
};

static void i8042_reset(Device *device)
{
    I8042 *s = (I8042 *)device;

    memset(s->ram, 0, sizeof(s->ram));
    s->ram[0] = CCB_KEYBOARD_IRQ | CCB_AUX_IRQ | CCB_TRANSLATE;
    s->status = STATUS_UNLOCKED | STATUS_COMMAND;
    s->data = 0;
    s->command = 0;
    s->break_pending = false;
    s->reply_pending = false;
    ps2_keyboard_reset(&s->keyboard);
    ps2_mouse_reset(&s->mouse);
    /* A20 is open after reset: the reset vector lies above 1 MiB. */
    i8042_set_output_port(s, 0xcc | OUTPUT_RUN | OUTPUT_A20);
    i8042_update_irq(s);
}

static bool i8042_realize(Device *device, GError **error)
{
    I8042 *s = (I8042 *)device;

    s->keyboard_irq = isa_irq(&s->parent, 1, error);
    s->aux_irq = isa_irq(&s->parent, 12, error);
    s->a20 = machine_line(device->machine, "a20");
    return isa_port_map(&s->parent, 0x60, 1, &i8042_data_ops, s, error) &&
           isa_port_map(&s->parent, 0x64, 1, &i8042_command_ops, s, error);
}

static const Property i8042_properties[] = { PROP_END };

static const DeviceType i8042_type = {
    .name = "i8042",
    .desc = "PS/2 keyboard and mouse controller",
    .category = "Input",
    .bus = "isa",
    .size = sizeof(I8042),
    .properties = i8042_properties,
    .state = &i8042_state,
    .realize = i8042_realize,
    .reset = i8042_reset,
    .ports = (const PortClaim[]) { { NULL, 0x60, 1 }, { NULL, 0x64, 1 }, { NULL, 0, 0 } },
    .not_for_users = "part of the board: the machine file places it",
};
DEVICE_TYPE(i8042_type);
