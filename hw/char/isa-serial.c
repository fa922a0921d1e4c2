/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The 16550A serial port of a PC on a character back end. Bytes go as fast as the host takes
 * them, the divisor only sets the receive timeout; when the host takes none the transmit FIFO
 * fills, as with a line that is held. Source: National Semiconductor PC16550D datasheet (June
 * 1995).
 */
#include "chardev/chardev.h"
#include "hw/core/isa.h"
#include "hw/core/machine.h"
#include "util/timer.h"

enum {
    REG_DATA = 0, /* RBR, THR; DLL with DLAB */
    REG_IER = 1,  /* DLM with DLAB */
    REG_IIR = 2,  /* FCR on write */
    REG_LCR = 3,
    REG_MCR = 4,
    REG_LSR = 5,
    REG_MSR = 6,
    REG_SCR = 7,
};

enum {
    IER_RECEIVE = 0x01,
    IER_TRANSMIT = 0x02,
    IER_LINE = 0x04,
    IER_MODEM = 0x08,

    IIR_NONE = 0x01,
    IIR_MODEM = 0x00,
    IIR_TRANSMIT = 0x02,
    IIR_RECEIVE = 0x04,
    IIR_LINE = 0x06,
    IIR_TIMEOUT = 0x0c,
    IIR_FIFO = 0xc0,

    FCR_ENABLE = 0x01,
    FCR_CLEAR_RECEIVE = 0x02,
    FCR_CLEAR_TRANSMIT = 0x04,
    FCR_KEPT = 0xc9,

    LCR_STOP = 0x04,
    LCR_PARITY = 0x08,
    LCR_DLAB = 0x80,

    MCR_DTR = 0x01,
    MCR_RTS = 0x02,
    MCR_OUT1 = 0x04,
    MCR_OUT2 = 0x08,
    MCR_LOOP = 0x10,

    LSR_DATA = 0x01,
    LSR_OVERRUN = 0x02,
    LSR_BREAK = 0x10,
    LSR_ERRORS = 0x1e, /* what raises the line status interrupt, and reading clears */
    LSR_THRE = 0x20,
    LSR_TEMT = 0x40,
    LSR_FIFO_ERROR = 0x80,

    MSR_DELTAS = 0x0f,
    MSR_TERI = 0x04, /* trailing edge of ring: set when RI goes off */
    MSR_CTS = 0x10,
    MSR_DSR = 0x20,
    MSR_RI = 0x40,
    MSR_DCD = 0x80,
};

#define FIFO_SIZE 16
#define UART_CLOCK_HZ 1843200

typedef struct Fifo {
    uint8_t data[FIFO_SIZE];
    uint8_t first, count;
} Fifo;

typedef struct Serial {
    IsaDevice parent;
    Chardev *chardev;  /* properties */
    int32_t index;
    uint32_t iobase;
    uint32_t irq_number;

    uint8_t ier, fcr, lcr, mcr, lsr, msr, scr;
    uint16_t divisor;
    bool thre_pending; /* the transmitter-empty interrupt waits to be seen */
    bool timeout_pending;
    Fifo receive, transmit;
    Timer *timeout;
    IrqLine *irq;
} Serial;

/* --- FIFOs --------------------------------------------------------------------- */

/* With FIFOs off the holding register is a FIFO of one. */
static unsigned serial_capacity(const Serial *s)
{
    return s->fcr & FCR_ENABLE ? FIFO_SIZE : 1;
}

static void fifo_clear(Fifo *fifo)
{
    fifo->first = 0;
    fifo->count = 0;
}

static void fifo_push(Fifo *fifo, uint8_t byte)
{
    fifo->data[(fifo->first + fifo->count++) % FIFO_SIZE] = byte;
}

static uint8_t fifo_pop(Fifo *fifo)
{
    uint8_t byte = fifo->data[fifo->first];
    fifo->first = (fifo->first + 1) % FIFO_SIZE;
    fifo->count--;
    return byte;
}

/* --- Interrupts ---------------------------------------------------------------- */

static unsigned serial_trigger(const Serial *s)
{
    static const uint8_t levels[] = { 1, 4, 8, 14 };
    return s->fcr & FCR_ENABLE ? levels[s->fcr >> 6] : 1;
}

/* The highest-priority cause that is enabled, as IIR shows it (datasheet table 4). */
static uint8_t serial_cause(const Serial *s)
{
    if ((s->ier & IER_LINE) && (s->lsr & LSR_ERRORS)) {
        return IIR_LINE;
    }
    if ((s->ier & IER_RECEIVE) && s->receive.count >= serial_trigger(s)) {
        return IIR_RECEIVE;
    }
    if ((s->ier & IER_RECEIVE) && s->timeout_pending) {
        return IIR_TIMEOUT;
    }
    if ((s->ier & IER_TRANSMIT) && s->thre_pending) {
        return IIR_TRANSMIT;
    }
    if ((s->ier & IER_MODEM) && (s->msr & MSR_DELTAS)) {
        return IIR_MODEM;
    }
    return IIR_NONE;
}

static void serial_update_irq(Serial *s)
{
    /* On the PC OUT2 gates the interrupt; in loopback the pin is inactive (datasheet 8.6). */
    bool gated = (s->mcr & (MCR_OUT2 | MCR_LOOP)) != MCR_OUT2;
    irq_set(s->irq, !gated && serial_cause(s) != IIR_NONE);
}

/* Four character times of the line as it is programmed. */
static int64_t serial_timeout_ns(const Serial *s)
{
    unsigned bits = 1 + 5 + (s->lcr & 3) + !!(s->lcr & LCR_PARITY) + 1 + !!(s->lcr & LCR_STOP);
    uint64_t divisor = s->divisor ? s->divisor : 1;

    return 4 * bits * divisor * 16 * NS_PER_SECOND / UART_CLOCK_HZ;
}

/* The timeout runs while the FIFO holds less than the trigger level, from the last byte on. */
static void serial_restart_timeout(Serial *s)
{
    s->timeout_pending = false;
    if ((s->fcr & FCR_ENABLE) && s->receive.count > 0) {
        timer_mod(s->timeout, clock_ns(CLOCK_VM) + serial_timeout_ns(s));
    } else {
        timer_del(s->timeout);
    }
}

static void serial_timed_out(void *opaque)
{
    Serial *s = opaque;

    s->timeout_pending = s->receive.count > 0;
    serial_update_irq(s);
}

/* --- Receiving ----------------------------------------------------------------- */

static void serial_receive_byte(Serial *s, uint8_t byte)
{
    if (s->receive.count >= serial_capacity(s)) {
        s->lsr |= LSR_OVERRUN;
        if (s->fcr & FCR_ENABLE) {
            return; /* the FIFO keeps what it has */
        }
        fifo_clear(&s->receive); /* the character in RBR is destroyed */
    }
    fifo_push(&s->receive, byte);
    s->lsr |= LSR_DATA;
    serial_restart_timeout(s);
}

static size_t serial_can_receive(void *opaque)
{
    Serial *s = opaque;
    /* In loopback the receiver is cut off from the line. */
    return s->mcr & MCR_LOOP ? 0 : serial_capacity(s) - MIN(s->receive.count, serial_capacity(s));
}

static void serial_receive(void *opaque, const uint8_t *data, size_t size)
{
    Serial *s = opaque;

    for (size_t n = 0; n < size; n++) {
        serial_receive_byte(s, data[n]);
    }
    serial_update_irq(s);
}

static uint8_t serial_read_data(Serial *s)
{
    uint8_t byte = 0;

    if (s->receive.count > 0) {
        byte = fifo_pop(&s->receive);
    }
    if (s->receive.count == 0) {
        s->lsr &= ~(LSR_DATA | LSR_FIFO_ERROR);
    }
    serial_restart_timeout(s);
    serial_update_irq(s);
    if (s->chardev) {
        chardev_accept_input(s->chardev);
    }
    return byte;
}

/* --- Transmitting -------------------------------------------------------------- */

static void serial_transmit_done(Serial *s)
{
    s->lsr |= LSR_THRE | LSR_TEMT;
    s->thre_pending = true;
}

/* Hands the FIFO to the host (or the own receiver) as far as it takes it. */
static void serial_drain(Serial *s)
{
    while (s->transmit.count > 0) {
        uint8_t byte = s->transmit.data[s->transmit.first];
        if (s->mcr & MCR_LOOP) {
            serial_receive_byte(s, byte);
        } else if (s->chardev && chardev_write(s->chardev, &byte, 1) != 1) {
            return;
        }
        fifo_pop(&s->transmit);
    }
    serial_transmit_done(s);
}

static void serial_writable(void *opaque)
{
    Serial *s = opaque;

    if (s->transmit.count > 0) {
        serial_drain(s);
        serial_update_irq(s);
    }
}

static void serial_write_data(Serial *s, uint8_t byte)
{
    s->thre_pending = false;
    s->lsr &= ~(LSR_THRE | LSR_TEMT);
    if (s->transmit.count < serial_capacity(s)) {
        fifo_push(&s->transmit, byte);
    } else if (!(s->fcr & FCR_ENABLE)) {
        s->transmit.data[s->transmit.first] = byte; /* written over before it was sent */
    }
    serial_drain(s);
    serial_update_irq(s);
}

/* --- Registers ----------------------------------------------------------------- */

/* The modem inputs: a back end is a modem that is there and ready; in loopback MCR's outputs. */
static uint8_t serial_modem_inputs(const Serial *s)
{
    if (!(s->mcr & MCR_LOOP)) {
        return s->chardev ? MSR_CTS | MSR_DSR | MSR_DCD : 0;
    }
    return (s->mcr & MCR_DTR ? MSR_DSR : 0) | (s->mcr & MCR_RTS ? MSR_CTS : 0) |
           (s->mcr & MCR_OUT1 ? MSR_RI : 0) | (s->mcr & MCR_OUT2 ? MSR_DCD : 0);
}

static void serial_update_modem(Serial *s)
{
    uint8_t inputs = serial_modem_inputs(s);
    uint8_t changed = (inputs ^ s->msr) & ~MSR_DELTAS;
    uint8_t deltas = changed >> 4;

    if (inputs & MSR_RI) {
        deltas &= ~MSR_TERI;
    }
    s->msr = inputs | (s->msr & MSR_DELTAS) | deltas;
}

static void serial_write_ier(Serial *s, uint8_t value)
{
    uint8_t rising = value & ~s->ier;

    s->ier = value & 0x0f;
    /* Enabling the interrupt while THR is empty raises it at once, as drivers expect. */
    if ((rising & IER_TRANSMIT) && (s->lsr & LSR_THRE)) {
        s->thre_pending = true;
    }
    serial_update_irq(s);
}

static void serial_write_fcr(Serial *s, uint8_t value)
{
    bool switched = (value ^ s->fcr) & FCR_ENABLE; /* "when changing modes, data is cleared" */

    if (switched || (value & FCR_CLEAR_RECEIVE)) {
        fifo_clear(&s->receive);
        s->lsr &= ~(LSR_DATA | LSR_BREAK | LSR_FIFO_ERROR);
    }
    if (switched || (value & FCR_CLEAR_TRANSMIT)) {
        fifo_clear(&s->transmit);
        serial_transmit_done(s);
    }
    /* Other bits count only while bit 0 is being written as 1. */
    s->fcr = value & FCR_ENABLE ? value & FCR_KEPT : 0;
    serial_restart_timeout(s);
    serial_update_irq(s);
    if (s->chardev) {
        chardev_accept_input(s->chardev);
    }
}

static void serial_write_mcr(Serial *s, uint8_t value)
{
    bool loop_ended = (s->mcr & MCR_LOOP) && !(value & MCR_LOOP);

    s->mcr = value & 0x1f;
    serial_update_modem(s);
    serial_update_irq(s);
    if (loop_ended && s->chardev) {
        chardev_accept_input(s->chardev);
    }
}

static uint8_t serial_read_iir(Serial *s)
{
    uint8_t cause = serial_cause(s);

    if (cause == IIR_TRANSMIT) { /* reading IIR, if it is the cause, resets it */
        s->thre_pending = false;
        serial_update_irq(s);
    }
    return cause | (s->fcr & FCR_ENABLE ? IIR_FIFO : 0);
}

static uint8_t serial_read_lsr(Serial *s)
{
    uint8_t value = s->lsr;

    if (value & LSR_ERRORS) {
        s->lsr &= ~LSR_ERRORS;
        serial_update_irq(s);
    }
    return value;
}

static uint8_t serial_read_msr(Serial *s)
{
    uint8_t value = s->msr;

    if (value & MSR_DELTAS) {
        s->msr &= ~MSR_DELTAS;
        serial_update_irq(s);
    }
    return value;
}

static uint64_t serial_read(void *opaque, uint64_t offset, unsigned size)
{
    Serial *s = opaque;
    bool dlab = s->lcr & LCR_DLAB;

    switch (offset) {
    case REG_DATA:
        return dlab ? s->divisor & 0xff : serial_read_data(s);
    case REG_IER:
        return dlab ? s->divisor >> 8 : s->ier;
    case REG_IIR:
        return serial_read_iir(s);
    case REG_LCR:
        return s->lcr;
    case REG_MCR:
        return s->mcr;
    case REG_LSR:
        return serial_read_lsr(s);
    case REG_MSR:
        return serial_read_msr(s);
    default:
        return s->scr;
    }
}

static void serial_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    Serial *s = opaque;
    bool dlab = s->lcr & LCR_DLAB;

    switch (offset) {
    case REG_DATA:
        if (dlab) {
            s->divisor = (s->divisor & 0xff00) | value;
        } else {
            serial_write_data(s, value);
        }
        break;
    case REG_IER:
        if (dlab) {
            s->divisor = (s->divisor & 0xff) | value << 8;
        } else {
            serial_write_ier(s, value);
        }
        break;
    case REG_IIR:
        serial_write_fcr(s, value);
        break;
    case REG_LCR:
        s->lcr = value;
        break;
    case REG_MCR:
        serial_write_mcr(s, value);
        break;
    case REG_SCR:
        s->scr = value;
        break;
    default: /* LSR and MSR: writing is for factory tests */
        break;
    }
}

static const MemoryOps serial_ops = { serial_read, serial_write, 1, 1 };

/* A break arrives as a zero character with BI set. */
static void serial_event(void *opaque, ChardevEvent event)
{
    Serial *s = opaque;

    if (event == CHARDEV_BREAK && !(s->mcr & MCR_LOOP)) {
        serial_receive_byte(s, 0);
        s->lsr |= LSR_BREAK | (s->fcr & FCR_ENABLE ? LSR_FIFO_ERROR : 0);
        serial_update_irq(s);
    }
}

static const ChardevClient serial_client = {
    .can_receive = serial_can_receive,
    .receive = serial_receive,
    .event = serial_event,
    .writable = serial_writable,
};

/* --- State, life cycle --------------------------------------------------------- */

static bool fifo_post_load(void *object, int version, GError **error)
{
    Fifo *fifo = object;

    if (fifo->first >= FIFO_SIZE || fifo->count > FIFO_SIZE) {
        g_set_error(error, DEVICE_ERROR, 0, "16550A FIFO state is out of range");
        return false;
    }
    return true;
}

static const StateTable fifo_state = {
    .name = "isa-serial.fifo",
    .version = 1,
    .minimum_version = 1,
    .fields = (const StateField[]) {
        STATE_BYTES_FIELD(Fifo, data),
        STATE_UINT_FIELD(Fifo, first),
        STATE_UINT_FIELD(Fifo, count),
        STATE_END,
    },
    .post_load = fifo_post_load,
};

static const StateTable serial_state = {
    .name = "isa-serial",
    .version = 1,
    .minimum_version = 1,
    .fields = (const StateField[]) {
        STATE_UINT_FIELD(Serial, ier),
        STATE_UINT_FIELD(Serial, fcr),
        STATE_UINT_FIELD(Serial, lcr),
        STATE_UINT_FIELD(Serial, mcr),
        STATE_UINT_FIELD(Serial, lsr),
        STATE_UINT_FIELD(Serial, msr),
        STATE_UINT_FIELD(Serial, scr),
        STATE_UINT_FIELD(Serial, divisor),
        STATE_BOOL_FIELD(Serial, thre_pending),
        STATE_BOOL_FIELD(Serial, timeout_pending),
        STATE_STRUCT_FIELD(Serial, receive, fifo_state),
        STATE_STRUCT_FIELD(Serial, transmit, fifo_state),
        STATE_TIMER_FIELD(Serial, timeout),
        STATE_END,
    },
};

/* Datasheet table 2 (reset configuration); divisor and scratch keep what they have. */
static void serial_reset(Device *device)
{
    Serial *s = (Serial *)device;

    s->ier = 0;
    s->fcr = 0;
    s->lcr = 0;
    s->mcr = 0;
    s->lsr = LSR_THRE | LSR_TEMT;
    s->msr = serial_modem_inputs(s);
    s->thre_pending = false;
    fifo_clear(&s->receive);
    fifo_clear(&s->transmit);
    serial_restart_timeout(s);
    serial_update_irq(s);
    if (s->chardev) {
        chardev_accept_input(s->chardev);
    }
}

static const uint16_t serial_ports[] = { 0x3f8, 0x2f8, 0x3e8, 0x2e8 };
static const uint8_t serial_irqs[] = { 4, 3, 4, 3 };

/* The ports that are not told their place take COM1 to COM4 in order. */
static bool serial_choose_place(Serial *s, GError **error)
{
    const Device *device = &s->parent.device;

    if (s->index < 0) {
        s->index = 0;
        for (unsigned n = 0; n < device->machine->devices->len; n++) {
            const Device *other = g_ptr_array_index(device->machine->devices, n);
            s->index += other != device && other->type == device->type;
        }
    }
    if (s->index >= (int)G_N_ELEMENTS(serial_ports) &&
        (s->iobase == 0 || s->irq_number == 0)) {
        g_set_error(error, DEVICE_ERROR, 0,
                    "isa-serial: a PC has four standard ports: number %d needs iobase and irq",
                    s->index);
        return false;
    }
    s->iobase = s->iobase == 0 ? serial_ports[s->index] : s->iobase;
    s->irq_number = s->irq_number == 0 ? serial_irqs[s->index] : s->irq_number;
    return true;
}

static bool serial_realize(Device *device, GError **error)
{
    Serial *s = (Serial *)device;

    if (!serial_choose_place(s, error)) {
        return false;
    }
    s->irq = isa_irq(&s->parent, s->irq_number, error);
    if (!s->irq || !isa_port_map(&s->parent, s->iobase, 8, &serial_ops, s, error)) {
        return false;
    }
    s->timeout = timer_new(CLOCK_VM, serial_timed_out, s);
    s->divisor = 12; /* 9600 baud */
    if (s->chardev && !chardev_attach(s->chardev, &serial_client, s, error)) {
        timer_free(s->timeout);
        isa_ports_unmap(&s->parent);
        return false;
    }
    return true;
}

static void serial_unrealize(Device *device)
{
    Serial *s = (Serial *)device;

    if (s->chardev) {
        chardev_detach(s->chardev, s);
    }
    timer_free(s->timeout);
    isa_ports_unmap(&s->parent);
}

static const Property serial_properties[] = {
    PROP(PROP_CHARDEV, Serial, chardev, "chardev", "back end that the line is connected to", NULL),
    PROP(PROP_INT32, Serial, index, "index", "which of COM1 (0) to COM4 (3) it is; -1: the next",
         "-1"),
    PROP(PROP_UINT32, Serial, iobase, "iobase", "first of its 8 ports; 0: by index", "0",
         .max = 0xfff8),
    PROP(PROP_UINT32, Serial, irq_number, "irq", "its interrupt; 0: by index", "0", .max = 15),
    PROP_END,
};

static const DeviceType serial_type = {
    .name = "isa-serial",
    .desc = "16550A serial port",
    .category = "Input",
    .bus = "isa",
    .size = sizeof(Serial),
    .properties = serial_properties,
    .state = &serial_state,
    .realize = serial_realize,
    .unrealize = serial_unrealize,
    .reset = serial_reset,
    .ports = (const PortClaim[]) { { "iobase", 0, 8 }, { NULL, 0, 0 } },
};
DEVICE_TYPE(serial_type);
