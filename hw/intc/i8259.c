/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The pair of 8259A programmable interrupt controllers of a PC, with the edge/level control
 * registers of the PIIX. Sources: Intel 8259A datasheet (231468-003), Intel 82371SB (PIIX3)
 * datasheet 2.5.
 */
#include "hw/intc/i8259.h"

#include "accel/accel.h"
#include "hw/core/isa.h"
#include "hw/core/machine.h"
#include "util/log.h"

enum {
    ICW1_IC4 = 0x01,
    ICW1_SNGL = 0x02,
    ICW1_LTIM = 0x08,
    ICW1_SELECT = 0x10,
    ICW4_AEOI = 0x02,
    ICW4_SFNM = 0x10,
    OCW2_EOI = 0x20,
    OCW2_SL = 0x40,
    OCW2_R = 0x80,
    OCW3_SELECT = 0x08,
    OCW3_RIS = 0x01,
    OCW3_RR = 0x02,
    OCW3_POLL = 0x04,
    OCW3_SMM = 0x20,
    OCW3_ESMM = 0x40,
};

#define PIC_CASCADE_IR 2 /* the slave's INT drives IR2 of the master */
#define PIC_SPURIOUS_IR 7

typedef struct Pic {
    uint8_t lines;        /* levels of the IR inputs */
    uint8_t latched;      /* edge requests not acknowledged yet */
    uint8_t isr;
    uint8_t imr;
    uint8_t elcr;         /* 1: level */
    uint8_t vector_base;  /* ICW2, bits 7:3 */
    uint8_t lowest;       /* the IR with the lowest priority */
    uint8_t next_icw;     /* 2, 3 or 4: the ICW expected at the odd port; 0: operating */
    bool icw4_wanted;
    bool single;
    bool level_mode;      /* ICW1.LTIM */
    bool auto_eoi;
    bool rotate_auto_eoi;
    bool fully_nested_special; /* ICW4.SFNM */
    bool special_mask;
    bool read_isr;
    bool poll;
} Pic;

typedef struct I8259 {
    IsaDevice parent;
    const AccelMachine *accel; /* where it lives, this is a front end then; NULL: here */
    Pic pic[2]; /* master, slave */
    bool output;
    IrqLine *intr;
    Vcpu *vcpu; /* the CPU this pair feeds without a local APIC between, or NULL */
} I8259;

static const uint8_t elcr_writable[2] = { 0xf8, 0xde }; /* IRQ 0, 1, 2, 8 and 13 are always edge */

/* --- Priorities ---------------------------------------------------------------- */

static uint8_t pic_irr(const Pic *pic)
{
    uint8_t level = pic->level_mode ? 0xff : pic->elcr;
    return (pic->latched & ~level) | (pic->lines & level);
}

/* Rank of the highest-priority bit of @mask: 0 is the highest, 8 if there is none. */
static unsigned pic_rank(const Pic *pic, uint8_t mask)
{
    unsigned rank = 0;
    while (rank < 8 && !(mask & (1u << ((pic->lowest + 1 + rank) & 7)))) {
        rank++;
    }
    return rank;
}

static unsigned pic_rank_to_ir(const Pic *pic, unsigned rank)
{
    return (pic->lowest + 1 + rank) & 7;
}

/* The IR that the controller requests service for, or -1. */
static int pic_pending(const Pic *pic, bool is_master)
{
    unsigned rank = pic_rank(pic, pic_irr(pic) & ~pic->imr);
    uint8_t in_service = pic->isr;

    if (rank == 8 || pic->next_icw) {
        return -1;
    }
    if (pic->special_mask) {
        in_service &= ~pic->imr;
    }
    /* Special fully nested mode: a slave in service does not lock out its own further requests. */
    if (pic->fully_nested_special && is_master) {
        in_service &= ~(1u << PIC_CASCADE_IR);
    }
    return rank < pic_rank(pic, in_service) ? (int)pic_rank_to_ir(pic, rank) : -1;
}

static void pic_set_line(Pic *pic, unsigned ir, bool level)
{
    uint8_t bit = 1u << ir;

    if (!level) {
        /* "IR must remain high until after the falling edge of the first INTA" (datasheet p.
         * 20). */
        pic->latched &= ~bit;
        pic->lines &= ~bit;
    } else if (!(pic->lines & bit)) {
        pic->latched |= bit;
        pic->lines |= bit;
    }
}

static void i8259_set_output(I8259 *s, bool output)
{
    if (output == s->output) {
        return;
    }
    s->output = output;
    irq_set(s->intr, output);
    if (s->vcpu && output) {
        vcpu_raise(s->vcpu, VCPU_INTR);
    } else if (s->vcpu) {
        vcpu_clear(s->vcpu, VCPU_INTR);
    }
}

static void i8259_update(I8259 *s)
{
    pic_set_line(&s->pic[0], PIC_CASCADE_IR, pic_pending(&s->pic[1], false) >= 0);
    i8259_set_output(s, pic_pending(&s->pic[0], true) >= 0);
}

static void i8259_set_irq(void *opaque, int n, int level)
{
    I8259 *s = opaque;
    pic_set_line(&s->pic[n >> 3], n & 7, level);
    i8259_update(s);
}

/* --- Acknowledge --------------------------------------------------------------- */

/* One controller's part of INTA: marks its request in service; the spurious IR if there is none. */
static unsigned pic_acknowledge(Pic *pic, bool is_master)
{
    int ir = pic_pending(pic, is_master);

    if (ir < 0) {
        return PIC_SPURIOUS_IR;
    }
    pic->latched &= ~(1u << ir);
    if (!pic->auto_eoi) {
        pic->isr |= 1u << ir;
    } else if (pic->rotate_auto_eoi) {
        pic->lowest = ir;
    }
    return ir;
}

static bool i8259_is_cascade(const I8259 *s, int ir)
{
    return ir == PIC_CASCADE_IR && !s->pic[0].single;
}

int i8259_acknowledge(Device *device)
{
    I8259 *s = (I8259 *)device;
    bool spurious = pic_pending(&s->pic[0], true) < 0;
    unsigned ir = pic_acknowledge(&s->pic[0], true);
    int vector = s->pic[0].vector_base + ir;

    if (!spurious && i8259_is_cascade(s, ir)) {
        vector = s->pic[1].vector_base + pic_acknowledge(&s->pic[1], false);
        /* The slave drops INT in the cycle, so a further request of it is a new edge. */
        pic_set_line(&s->pic[0], PIC_CASCADE_IR, false);
    }
    /* INT falls at the end of the cycle even if more is pending: edge receivers rely on that. */
    i8259_set_output(s, false);
    i8259_update(s);
    return vector;
}

bool i8259_pending(const Device *device)
{
    return ((const I8259 *)device)->output;
}

/* --- Registers ----------------------------------------------------------------- */

static void pic_write_icw1(Pic *pic, uint8_t value)
{
    /* Datasheet p. 11: edge sense reset, IMR cleared, IR7 lowest, special mask off, read IRR. */
    pic->latched = 0;
    pic->isr = 0;
    pic->imr = 0;
    pic->lowest = 7;
    pic->special_mask = false;
    pic->read_isr = false;
    pic->poll = false;
    pic->auto_eoi = false;
    pic->rotate_auto_eoi = false;
    pic->fully_nested_special = false;
    pic->single = value & ICW1_SNGL;
    pic->level_mode = value & ICW1_LTIM;
    pic->icw4_wanted = value & ICW1_IC4;
    pic->next_icw = 2;
}

static void pic_write_icw(Pic *pic, uint8_t value)
{
    switch (pic->next_icw) {
    case 2:
        pic->vector_base = value & 0xf8;
        pic->next_icw = !pic->single ? 3 : pic->icw4_wanted ? 4 : 0;
        break;
    case 3: /* which IR has a slave, or the slave's number: the board has one wiring */
        pic->next_icw = pic->icw4_wanted ? 4 : 0;
        break;
    default:
        pic->auto_eoi = value & ICW4_AEOI;
        pic->fully_nested_special = value & ICW4_SFNM;
        pic->next_icw = 0;
        break;
    }
}

/* Clears the highest in-service bit; the IR it was, or -1. */
static int pic_eoi_nonspecific(Pic *pic)
{
    /* In special mask mode a masked level is left alone (datasheet p. 15). */
    uint8_t candidates = pic->special_mask ? pic->isr & ~pic->imr : pic->isr;
    unsigned rank = pic_rank(pic, candidates);

    if (rank == 8) {
        return -1;
    }
    pic->isr &= ~(1u << pic_rank_to_ir(pic, rank));
    return pic_rank_to_ir(pic, rank);
}

static void pic_write_ocw2(Pic *pic, uint8_t value)
{
    uint8_t level = value & 7;
    int ir;

    switch (value & (OCW2_R | OCW2_SL | OCW2_EOI)) {
    case OCW2_EOI:
        pic_eoi_nonspecific(pic);
        break;
    case OCW2_SL | OCW2_EOI:
        pic->isr &= ~(1u << level);
        break;
    case OCW2_R | OCW2_EOI:
        ir = pic_eoi_nonspecific(pic);
        if (ir >= 0) {
            pic->lowest = ir;
        }
        break;
    case OCW2_R | OCW2_SL | OCW2_EOI:
        pic->isr &= ~(1u << level);
        pic->lowest = level;
        break;
    case OCW2_R | OCW2_SL:
        pic->lowest = level;
        break;
    case OCW2_R:
        pic->rotate_auto_eoi = true;
        break;
    case 0:
        pic->rotate_auto_eoi = false;
        break;
    default: /* SL alone: no operation */
        break;
    }
}

static void pic_write_ocw3(Pic *pic, uint8_t value)
{
    if (value & OCW3_POLL) {
        pic->poll = true;
    } else if (value & OCW3_RR) {
        pic->read_isr = value & OCW3_RIS;
    }
    if (value & OCW3_ESMM) {
        pic->special_mask = value & OCW3_SMM;
    }
}

static void i8259_write(I8259 *s, unsigned n, uint64_t offset, uint8_t value)
{
    Pic *pic = &s->pic[n];

    if (offset == 1) {
        if (pic->next_icw) {
            pic_write_icw(pic, value);
        } else {
            pic->imr = value;
        }
    } else if (value & ICW1_SELECT) {
        pic_write_icw1(pic, value);
    } else if (value & OCW3_SELECT) {
        pic_write_ocw3(pic, value);
    } else {
        pic_write_ocw2(pic, value);
    }
    i8259_update(s);
}

/* The read after a poll command is an INTA: bit 7 says whether there was a request. */
static uint8_t i8259_read_poll(I8259 *s, unsigned n)
{
    Pic *pic = &s->pic[n];
    int ir = pic_pending(pic, n == 0);

    pic->poll = false;
    if (ir < 0) {
        return 0;
    }
    pic_acknowledge(pic, n == 0);
    i8259_update(s);
    return 0x80 | ir;
}

static uint8_t i8259_read(I8259 *s, unsigned n, uint64_t offset)
{
    Pic *pic = &s->pic[n];

    if (pic->poll) {
        return i8259_read_poll(s, n);
    }
    if (offset == 1) {
        return pic->imr;
    }
    return pic->read_isr ? pic->isr : pic_irr(pic);
}

static uint64_t i8259_master_read(void *opaque, uint64_t offset, unsigned size)
{
    return i8259_read(opaque, 0, offset);
}

static void i8259_master_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    i8259_write(opaque, 0, offset, value);
}

static uint64_t i8259_slave_read(void *opaque, uint64_t offset, unsigned size)
{
    return i8259_read(opaque, 1, offset);
}

static void i8259_slave_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    i8259_write(opaque, 1, offset, value);
}

static uint64_t i8259_elcr_read(void *opaque, uint64_t offset, unsigned size)
{
    return ((I8259 *)opaque)->pic[offset & 1].elcr;
}

static void i8259_elcr_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    I8259 *s = opaque;
    s->pic[offset & 1].elcr = value & elcr_writable[offset & 1];
    i8259_update(s);
}

static const MemoryOps i8259_master_ops = { i8259_master_read, i8259_master_write, 1, 1 };
static const MemoryOps i8259_slave_ops = { i8259_slave_read, i8259_slave_write, 1, 1 };
static const MemoryOps i8259_elcr_ops = { i8259_elcr_read, i8259_elcr_write, 1, 1 };

/* --- Straight to a CPU that has no local APIC ---------------------------------- */

static int i8259_cpu_accept(void *opaque)
{
    I8259 *s = opaque;
    return s->output ? i8259_acknowledge(opaque) : -1;
}

static uint64_t i8259_cpu_get_base(void *opaque)
{
    return 0;
}

static bool i8259_cpu_set_base(void *opaque, uint64_t value)
{
    return false;
}

static uint8_t i8259_cpu_get_tpr(void *opaque)
{
    return 0;
}

static void i8259_cpu_set_tpr(void *opaque, uint8_t tpr)
{
}

static bool i8259_cpu_msr_read(void *opaque, uint32_t msr, uint64_t *value)
{
    return false;
}

static bool i8259_cpu_msr_write(void *opaque, uint32_t msr, uint64_t value)
{
    return false;
}

static void i8259_cpu_reset(void *opaque)
{
}

static const InterruptOps i8259_intr_ops = {
    .accept = i8259_cpu_accept,
    .get_base = i8259_cpu_get_base,
    .set_base = i8259_cpu_set_base,
    .get_tpr = i8259_cpu_get_tpr,
    .set_tpr = i8259_cpu_set_tpr,
    .msr_read = i8259_cpu_msr_read,
    .msr_write = i8259_cpu_msr_write,
    .cpu_reset = i8259_cpu_reset,
};

/* Feeds the boot CPU directly if no local APIC has taken its interrupt input. */
static void i8259_machine_ready(void *opaque)
{
    I8259 *s = opaque;
    GPtrArray *vcpus = s->parent.device.machine->vcpus;
    Vcpu *vcpu = vcpus && vcpus->len > 0 ? g_ptr_array_index(vcpus, 0) : NULL;

    if (vcpu && !vcpu->intr_ops && !s->accel) {
        vcpu->intr_ops = &i8259_intr_ops;
        vcpu->intr_opaque = s;
        s->vcpu = vcpu;
    }
}

/* --- State, life cycle --------------------------------------------------------- */

static void i8259_front_get(I8259 *s)
{
    for (unsigned n = 0; n < 2; n++) {
        AccelPic state;
        s->accel->ops->get_pic(s->accel->instance, n, &state);
        s->pic[n] = (Pic){
            .lines = state.lines, .latched = state.irr & ~state.elcr, .isr = state.isr,
            .imr = state.imr, .elcr = state.elcr, .vector_base = state.vector_base,
            .lowest = state.lowest, .next_icw = state.next_icw, .icw4_wanted = state.icw4_wanted,
            .auto_eoi = state.auto_eoi, .rotate_auto_eoi = state.rotate_auto_eoi,
            .fully_nested_special = state.fully_nested_special,
            .special_mask = state.special_mask, .read_isr = state.read_isr, .poll = state.poll,
        };
    }
}

static void i8259_front_put(const I8259 *s)
{
    for (unsigned n = 0; n < 2; n++) {
        const Pic *pic = &s->pic[n];
        AccelPic state = {
            .lines = pic->lines, .irr = pic_irr(pic), .isr = pic->isr, .imr = pic->imr,
            .elcr = pic->elcr, .vector_base = pic->vector_base, .lowest = pic->lowest,
            .next_icw = pic->next_icw, .icw4_wanted = pic->icw4_wanted,
            .auto_eoi = pic->auto_eoi, .rotate_auto_eoi = pic->rotate_auto_eoi,
            .fully_nested_special = pic->fully_nested_special,
            .special_mask = pic->special_mask, .read_isr = pic->read_isr, .poll = pic->poll,
        };
        s->accel->ops->put_pic(s->accel->instance, n, &state);
    }
}

static void i8259_pre_save(void *object)
{
    I8259 *s = object;

    if (s->accel) {
        i8259_front_get(s);
    }
}

static bool i8259_post_load(void *object, int version, GError **error)
{
    I8259 *s = object;

    if (s->accel) {
        i8259_front_put(s);
    }
    return true;
}

static bool pic_post_load(void *object, int version, GError **error)
{
    Pic *pic = object;
    if (pic->lowest > 7 || pic->next_icw == 1 || pic->next_icw > 4 || (pic->vector_base & 7)) {
        g_set_error(error, DEVICE_ERROR, 0, "8259A state is not one of its states");
        return false;
    }
    return true;
}

static const StateTable pic_state = {
    .name = "i8259.pic",
    .version = 1,
    .minimum_version = 1,
    .fields = (const StateField[]) {
        STATE_UINT_FIELD(Pic, lines),
        STATE_UINT_FIELD(Pic, latched),
        STATE_UINT_FIELD(Pic, isr),
        STATE_UINT_FIELD(Pic, imr),
        STATE_UINT_FIELD(Pic, elcr),
        STATE_UINT_FIELD(Pic, vector_base),
        STATE_UINT_FIELD(Pic, lowest),
        STATE_UINT_FIELD(Pic, next_icw),
        STATE_BOOL_FIELD(Pic, icw4_wanted),
        STATE_BOOL_FIELD(Pic, single),
        STATE_BOOL_FIELD(Pic, level_mode),
        STATE_BOOL_FIELD(Pic, auto_eoi),
        STATE_BOOL_FIELD(Pic, rotate_auto_eoi),
        STATE_BOOL_FIELD(Pic, fully_nested_special),
        STATE_BOOL_FIELD(Pic, special_mask),
        STATE_BOOL_FIELD(Pic, read_isr),
        STATE_BOOL_FIELD(Pic, poll),
        STATE_END,
    },
    .post_load = pic_post_load,
};

static const StateTable i8259_state = {
    .name = "i8259",
    .version = 1,
    .minimum_version = 1,
    .fields = (const StateField[]) {
        STATE_STRUCT_ARRAY(I8259, pic, pic_state),
        STATE_BOOL_FIELD(I8259, output),
        STATE_END,
    },
    .pre_save = i8259_pre_save,
    .post_load = i8259_post_load,
};

static void i8259_reset(Device *device)
{
    I8259 *s = (I8259 *)device;

    if (s->accel) {
        i8259_front_get(s); /* the lines stay as they are */
    }
    for (unsigned n = 0; n < 2; n++) {
        uint8_t lines = s->pic[n].lines;
        /* Firmware programs the pair before it enables interrupts; until then nothing gets out. */
        s->pic[n] = (Pic) { .lines = lines, .lowest = 7, .imr = 0xff };
    }
    if (s->accel) {
        i8259_front_put(s);
        return;
    }
    i8259_update(s);
}

static bool i8259_realize(Device *device, GError **error)
{
    I8259 *s = (I8259 *)device;

    if (accel_has(device->machine->accel, ACCEL_PIC)) {
        s->accel = device->machine->accel;
        return true;
    }
    if (!isa_port_map(&s->parent, 0x20, 2, &i8259_master_ops, s, error) ||
        !isa_port_map(&s->parent, 0xa0, 2, &i8259_slave_ops, s, error) ||
        !isa_port_map(&s->parent, 0x4d0, 2, &i8259_elcr_ops, s, error)) {
        return false;
    }
    s->intr = machine_line(device->machine, "pic-intr");
    for (unsigned irq = 0; irq < ISA_IRQ_COUNT; irq++) {
        if (irq != PIC_CASCADE_IR) {
            machine_gsi_connect(device->machine, irq,
                                (IrqLine) { .handler = i8259_set_irq, .opaque = s, .n = irq });
        }
    }
    machine_on_ready(device->machine, i8259_machine_ready, s);
    return true;
}

static const Property i8259_properties[] = { PROP_END };

static const DeviceType i8259_type = {
    .name = "i8259",
    .aliases = (const char *const[]) { "isa-i8259", NULL },
    .desc = "8259A interrupt controller pair",
    .category = "Interrupt controller",
    .bus = "isa",
    .size = sizeof(I8259),
    .properties = i8259_properties,
    .state = &i8259_state,
    .realize = i8259_realize,
    .reset = i8259_reset,
    .ports = (const PortClaim[]) {
        { NULL, 0x20, 2 }, { NULL, 0xa0, 2 }, { NULL, 0x4d0, 2 }, { NULL, 0, 0 },
    },
    .not_for_users = "part of the board: the machine file places it",
};
DEVICE_TYPE(i8259_type);
