/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The local APIC of one CPU, in xAPIC (a page of memory) and x2APIC (MSRs) mode: registers, local
 * vector table, priorities, acceptance. Source: Intel SDM volume 3A, chapter 11. The timer is in
 * apic-timer.c, messages between APICs in apic-bus.c; the three are one chip cut at its seams.
 */
#include "hw/intc/apic-internal.h"
#include "hw/intc/i8259.h"
#include "util/log.h"

/* Register numbers: MMIO offset / 16, x2APIC MSR - 0x800. */
enum {
    REG_ID = 0x02,
    REG_VERSION = 0x03,
    REG_TPR = 0x08,
    REG_APR = 0x09,
    REG_PPR = 0x0a,
    REG_EOI = 0x0b,
    REG_RRD = 0x0c,
    REG_LDR = 0x0d,
    REG_DFR = 0x0e,
    REG_SVR = 0x0f,
    REG_ISR = 0x10,
    REG_TMR = 0x18,
    REG_IRR = 0x20,
    REG_ESR = 0x28,
    REG_ICR_LOW = 0x30,
    REG_ICR_HIGH = 0x31,
    REG_LVT = 0x32,
    REG_TIMER_INITIAL = 0x38,
    REG_TIMER_CURRENT = 0x39,
    REG_TIMER_DIVIDE = 0x3e,
    REG_SELF_IPI = 0x3f, /* x2APIC only */
};

#define MSR_TSC_DEADLINE 0x6e0
#define MSR_X2APIC_FIRST 0x800
#define MSR_X2APIC_LAST 0x8ff
#define APIC_PAGE_SIZE 0x1000
#define APIC_MAP_PRIORITY 11

/* Version 0x14, LVT entries 0 to 5, EOI broadcast suppression (SDM 3A 11.4.8). */
#define APIC_VERSION (0x14u | ((LVT_COUNT - 1) << 16) | (1u << 24))
#define SVR_WRITABLE (0xffu | SVR_ENABLED | (1u << 9) | SVR_SUPPRESS_EOI)
#define ICR_LOW_WRITABLE 0xccfffu

static const uint32_t lvt_writable[LVT_COUNT] = {
    [LVT_TIMER] = 0x700ff,   [LVT_THERMAL] = 0x107ff, [LVT_PERF] = 0x107ff,
    [LVT_LINT0] = 0x1a7ff,   [LVT_LINT1] = 0x1a7ff,   [LVT_ERROR] = 0x100ff,
};

/* --- Modes and identity -------------------------------------------------------- */

bool apic_hardware_enabled(const Apic *apic)
{
    return apic->base & BASE_EN;
}

bool apic_x2_mode(const Apic *apic)
{
    return (apic->base & (BASE_EN | BASE_EXTD)) == (BASE_EN | BASE_EXTD);
}

uint32_t apic_id(const Apic *apic)
{
    return apic_x2_mode(apic) ? apic->vcpu->apic_id : apic->vcpu->apic_id & 0xff;
}

uint32_t apic_logical_id(const Apic *apic)
{
    uint32_t id = apic->vcpu->apic_id;

    /* x2APIC: cluster is ID bits 31:4, one bit for ID bits 3:0 (SDM 3A 11.12.10.2). */
    return apic_x2_mode(apic) ? ((id >> 4) << 16) | (1u << (id & 15)) : apic->ldr;
}

/* --- Priorities and acceptance ------------------------------------------------- */

static void vector_set(uint32_t *bits, uint8_t vector)
{
    bits[vector >> 5] |= 1u << (vector & 31);
}

static void vector_clear(uint32_t *bits, uint8_t vector)
{
    bits[vector >> 5] &= ~(1u << (vector & 31));
}

static bool vector_test(const uint32_t *bits, uint8_t vector)
{
    return bits[vector >> 5] & (1u << (vector & 31));
}

static int vector_highest(const uint32_t *bits)
{
    for (int word = 7; word >= 0; word--) {
        if (bits[word]) {
            return word * 32 + 31 - __builtin_clz(bits[word]);
        }
    }
    return -1;
}

uint8_t apic_priority(const Apic *apic)
{
    int in_service = vector_highest(apic->isr);
    uint8_t service_class = in_service < 0 ? 0 : in_service & 0xf0;

    return (apic->tpr & 0xf0) >= service_class ? apic->tpr : service_class;
}

/* The vector that would be dispatched now, or -1. */
static int apic_deliverable(const Apic *apic)
{
    int vector = vector_highest(apic->irr);

    if (vector < 0 || apic->accel || !apic_hardware_enabled(apic) || !(apic->svr & SVR_ENABLED)) {
        return -1;
    }
    return (vector & 0xf0) > (apic_priority(apic) & 0xf0) ? vector : -1;
}

static ApicDelivery lvt_delivery(const Apic *apic, unsigned n)
{
    /* The timer and error entries have no delivery mode field: they are fixed. */
    return n == LVT_TIMER || n == LVT_ERROR ? APIC_DELIVER_FIXED : (apic->lvt[n] >> 8) & 7;
}

/* True if the 8259 pair asks for an INTA cycle through LINT0 or an ExtINT message. */
static bool apic_extint(const Apic *apic)
{
    if (apic->accel || !apic_hardware_enabled(apic)) {
        /* LINT0 is then the INTR pin (SDM 3A 11.4.3); the accelerator knows of its mask. */
        return apic->lint_level[0];
    }
    return apic->extint_pending ||
           (apic->lint_level[0] && !(apic->lvt[LVT_LINT0] & LVT_MASKED) &&
            lvt_delivery(apic, LVT_LINT0) == APIC_DELIVER_EXTINT);
}

static void apic_update(Apic *apic)
{
    if (!apic_extint(apic) && apic_deliverable(apic) < 0) {
        vcpu_clear(apic->vcpu, VCPU_INTR);
    } else if (!(vcpu_pending(apic->vcpu) & VCPU_INTR)) {
        vcpu_raise(apic->vcpu, VCPU_INTR);
    }
}

static int apic_accept(void *opaque)
{
    Apic *apic = opaque;
    int vector;

    if (apic_extint(apic)) {
        Device *pic = machine_find_device(apic->device.machine, "i8259");
        apic->extint_pending = false;
        vector = pic ? i8259_acknowledge(pic) : (int)(apic->svr & 0xff);
        apic_update(apic);
        return vector;
    }
    vector = apic_deliverable(apic);
    if (vector >= 0) {
        vector_clear(apic->irr, vector);
        vector_set(apic->isr, vector);
    }
    apic_update(apic);
    return vector;
}

static bool apic_receive_fixed(Apic *apic, uint8_t vector, bool level)
{
    if (!(apic->svr & SVR_ENABLED)) {
        return false;
    }
    if (vector < 16) {
        apic_error(apic, ESR_RECEIVE_ILLEGAL_VECTOR);
        return false;
    }
    vector_set(apic->irr, vector);
    if (level) {
        vector_set(apic->tmr, vector);
    } else {
        vector_clear(apic->tmr, vector);
    }
    apic_update(apic);
    return true;
}

bool apic_receive(Apic *apic, ApicDelivery delivery, uint8_t vector, bool level)
{
    switch (delivery) {
    case APIC_DELIVER_FIXED:
    case APIC_DELIVER_LOWEST:
        return apic_receive_fixed(apic, vector, level);
    case APIC_DELIVER_SMI:
        vcpu_raise(apic->vcpu, VCPU_SMI);
        return true;
    case APIC_DELIVER_NMI:
        vcpu_raise(apic->vcpu, VCPU_NMI);
        return true;
    case APIC_DELIVER_INIT:
        vcpu_clear(apic->vcpu, VCPU_SIPI); /* of before the INIT */
        vcpu_raise(apic->vcpu, VCPU_INIT);
        return true;
    case APIC_DELIVER_STARTUP:
        apic->vcpu->sipi_vector = vector;
        vcpu_raise(apic->vcpu, VCPU_SIPI);
        return true;
    case APIC_DELIVER_EXTINT:
        apic->extint_pending = true;
        apic_update(apic);
        return true;
    default: /* 3: reserved */
        return false;
    }
}

/* --- Local vector table -------------------------------------------------------- */

void apic_lvt_event(Apic *apic, unsigned n)
{
    ApicDelivery delivery = lvt_delivery(apic, n);

    if (!(apic->lvt[n] & LVT_MASKED) && delivery != APIC_DELIVER_EXTINT &&
        delivery != APIC_DELIVER_STARTUP) {
        apic_receive(apic, delivery, apic->lvt[n], apic->lvt[n] & LVT_REMOTE_IRR);
    }
}

void apic_error(Apic *apic, uint32_t esr_bit)
{
    /* A bit already gathered raises no second interrupt; an illegal error vector ends here too. */
    if (!(apic->esr_pending & esr_bit)) {
        apic->esr_pending |= esr_bit;
        apic_lvt_event(apic, LVT_ERROR);
    }
}

static bool lint_is_level(const Apic *apic, unsigned n)
{
    return lvt_delivery(apic, n) == APIC_DELIVER_FIXED && (apic->lvt[n] & LVT_LEVEL);
}

/* A level-sensitive LINT pin asks again and again until its EOI finds it low. */
static void apic_lint_service(Apic *apic, unsigned lint)
{
    unsigned n = LVT_LINT0 + lint;

    if (apic->lint_level[lint] && lint_is_level(apic, n) &&
        !(apic->lvt[n] & (LVT_MASKED | LVT_REMOTE_IRR))) {
        apic->lvt[n] |= LVT_REMOTE_IRR;
        apic_lvt_event(apic, n);
    }
}

static void apic_lint_set(void *opaque, int lint, int level)
{
    Apic *apic = opaque;
    bool rising = level && !apic->lint_level[lint];
    unsigned n = LVT_LINT0 + lint;

    apic->lint_level[lint] = level;
    if (apic->accel) {
        apic_update(apic);
        return;
    }
    if (!apic_hardware_enabled(apic) && lint == 1 && rising) {
        vcpu_raise(apic->vcpu, VCPU_NMI); /* LINT1 is then the NMI pin */
    } else if (apic_hardware_enabled(apic) && lint_is_level(apic, n)) {
        apic_lint_service(apic, lint);
    } else if (apic_hardware_enabled(apic) && rising) {
        apic_lvt_event(apic, n);
    }
    apic_update(apic);
}

IrqLine apic_lint_line(Device *device, unsigned lint)
{
    g_assert(lint < 2);
    return (IrqLine) { .handler = apic_lint_set, .opaque = device, .n = lint };
}

static void apic_lvt_write(Apic *apic, unsigned n, uint32_t value)
{
    value &= lvt_writable[n];
    if (!(apic->svr & SVR_ENABLED)) {
        value |= LVT_MASKED; /* SDM 3A 11.4.7.2: attempts to reset the mask bits are ignored */
    }
    if (n == LVT_TIMER) {
        apic_timer_set_lvt(apic, value);
        return;
    }
    apic->lvt[n] = value | (apic->lvt[n] & LVT_REMOTE_IRR);
    if (n == LVT_LINT0 || n == LVT_LINT1) {
        if (!lint_is_level(apic, n)) {
            apic->lvt[n] &= ~LVT_REMOTE_IRR;
        }
        apic_lint_service(apic, n - LVT_LINT0);
    }
    apic_update(apic);
}

/* --- Registers ----------------------------------------------------------------- */

static void apic_eoi(Apic *apic)
{
    int vector = vector_highest(apic->isr);

    if (vector < 0) {
        return;
    }
    vector_clear(apic->isr, vector);
    for (unsigned lint = 0; lint < 2; lint++) {
        if ((apic->lvt[LVT_LINT0 + lint] & 0xff) == (uint32_t)vector) {
            apic->lvt[LVT_LINT0 + lint] &= ~LVT_REMOTE_IRR;
            apic_lint_service(apic, lint);
        }
    }
    if (vector_test(apic->tmr, vector) && !(apic->svr & SVR_SUPPRESS_EOI)) {
        apic_bus_eoi(apic->device.machine, vector);
    }
    apic_update(apic);
}

static void apic_svr_write(Apic *apic, uint32_t value)
{
    apic->svr = value & SVR_WRITABLE;
    if (!(apic->svr & SVR_ENABLED)) {
        for (unsigned n = 0; n < LVT_COUNT; n++) {
            apic_lvt_write(apic, n, apic->lvt[n] | LVT_MASKED);
        }
    }
    apic_update(apic);
}

/* False if there is no such register, or it cannot be read. */
static bool apic_register_read(Apic *apic, unsigned reg, uint32_t *value)
{
    switch (reg) {
    case REG_ID:
        *value = apic_x2_mode(apic) ? apic_id(apic) : apic_id(apic) << 24;
        return true;
    case REG_VERSION:
        *value = APIC_VERSION;
        return true;
    case REG_TPR:
        *value = apic->tpr;
        return true;
    case REG_APR: /* arbitration went with the APIC bus; kept readable in xAPIC mode */
    case REG_RRD:
        *value = 0;
        return !apic_x2_mode(apic);
    case REG_PPR:
        *value = apic_priority(apic);
        return true;
    case REG_LDR:
        *value = apic_logical_id(apic);
        return true;
    case REG_DFR:
        *value = apic->dfr;
        return !apic_x2_mode(apic);
    case REG_SVR:
        *value = apic->svr;
        return true;
    case REG_ISR ... REG_ISR + 7:
        *value = apic->isr[reg - REG_ISR];
        return true;
    case REG_TMR ... REG_TMR + 7:
        *value = apic->tmr[reg - REG_TMR];
        return true;
    case REG_IRR ... REG_IRR + 7:
        *value = apic->irr[reg - REG_IRR];
        return true;
    case REG_ESR:
        *value = apic->esr;
        return true;
    case REG_ICR_LOW:
        *value = apic->icr;
        return true;
    case REG_ICR_HIGH:
        *value = apic->icr >> 32;
        return !apic_x2_mode(apic);
    case REG_LVT ... REG_LVT + LVT_COUNT - 1:
        *value = apic->lvt[reg - REG_LVT];
        return true;
    case REG_TIMER_INITIAL:
        *value = apic->timer_count;
        return true;
    case REG_TIMER_CURRENT:
        *value = apic_timer_current(apic);
        return true;
    case REG_TIMER_DIVIDE:
        *value = apic->timer_divide;
        return true;
    default:
        return false;
    }
}

/* What both modes write alike; false if there is no such register, or it cannot be written. */
static bool apic_register_write(Apic *apic, unsigned reg, uint32_t value)
{
    switch (reg) {
    case REG_TPR:
        apic->tpr = value & 0xff;
        apic_update(apic);
        return true;
    case REG_EOI:
        apic_eoi(apic);
        return true;
    case REG_SVR:
        apic_svr_write(apic, value);
        return true;
    case REG_ESR: /* the write makes what was gathered readable (SDM 3A 11.5.3) */
        apic->esr = apic->esr_pending;
        apic->esr_pending = 0;
        return true;
    case REG_LVT ... REG_LVT + LVT_COUNT - 1:
        apic_lvt_write(apic, reg - REG_LVT, value);
        return true;
    case REG_TIMER_INITIAL:
        apic_timer_set_count(apic, value);
        return true;
    case REG_TIMER_DIVIDE:
        apic_timer_set_divide(apic, value);
        return true;
    default:
        return false;
    }
}

static bool apic_xapic_write(Apic *apic, unsigned reg, uint32_t value)
{
    switch (reg) {
    case REG_ID: /* not writable since Nehalem, and nothing happens */
        return true;
    case REG_LDR:
        apic->ldr = value & 0xff000000;
        return true;
    case REG_DFR:
        apic->dfr = value | 0x0fffffff;
        return true;
    case REG_ICR_LOW:
        apic->icr = (apic->icr & ~0xffffffffull) | (value & ICR_LOW_WRITABLE);
        apic_send_ipi(apic, apic->icr);
        return true;
    case REG_ICR_HIGH:
        apic->icr = (apic->icr & 0xffffffff) | ((uint64_t)(value & 0xff000000) << 32);
        return true;
    default:
        return apic_register_write(apic, reg, value);
    }
}

/* --- xAPIC page ---------------------------------------------------------------- */

/*
 * The APIC that answers at @owner's page: the one of the CPU that accesses it. Mappings of
 * several CPUs at one address are alike, so whose is on top does not matter. A CPU that accesses
 * the page of another CPU's relocated APIC should see the memory below; here it sees all ones.
 */
static Apic *apic_at_page(const Apic *owner)
{
    Vcpu *vcpu = vcpu_current();
    Apic *apic = vcpu ? apic_of_vcpu(vcpu) : NULL;

    if (!apic || !apic_hardware_enabled(apic) || apic_x2_mode(apic) ||
        (apic->base ^ owner->base) >> 12) {
        return NULL;
    }
    return apic;
}

static uint64_t apic_mmio_read(void *opaque, uint64_t offset, unsigned size)
{
    Apic *apic = apic_at_page(opaque);
    uint32_t value = 0;

    if (!apic) {
        return 0xffffffff;
    }
    if (apic->accel) {
        apic_front_get(apic);
    }
    /* Registers are 32 bits wide at 16-byte steps; what lies between is undefined. */
    if ((offset & 0xf) || !apic_register_read(apic, offset >> 4, &value)) {
        apic_error(apic, ESR_ILLEGAL_REGISTER);
    }
    return value;
}

static void apic_mmio_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    const Apic *owner = opaque;
    Apic *apic = apic_at_page(owner);

    if (!apic && !vcpu_current()) {
        /* A device, not a CPU, writes: a message-signalled interrupt. */
        apic_bus_msi(owner->device.machine, APIC_DEFAULT_BASE | offset, value);
    } else if (apic && apic->accel) {
        log_write(LOG_UNIMP, "APIC: a write outside the accelerator to offset 0x%x is dropped",
                  (unsigned)offset);
    } else if (apic && ((offset & 0xf) || !apic_xapic_write(apic, offset >> 4, value))) {
        apic_error(apic, ESR_ILLEGAL_REGISTER);
    }
}

static const MemoryOps apic_mmio_ops = { apic_mmio_read, apic_mmio_write, 4, 4 };

/* --- x2APIC MSRs --------------------------------------------------------------- */

/* Bits that WRMSR may set; others are reserved and fault (SDM 3A table 11-6). */
static uint64_t apic_x2_writable(unsigned reg)
{
    switch (reg) {
    case REG_TPR:
    case REG_SELF_IPI:
        return 0xff;
    case REG_SVR:
        return SVR_WRITABLE;
    case REG_ICR_LOW:
        return 0xffffffff00000000ull | ICR_LOW_WRITABLE;
    case REG_LVT ... REG_LVT + LVT_COUNT - 1:
        return lvt_writable[reg - REG_LVT] | LVT_REMOTE_IRR | (1u << 12);
    case REG_TIMER_INITIAL:
        return 0xffffffff;
    case REG_TIMER_DIVIDE:
        return 0xb;
    default: /* EOI and ESR take zero alone; the rest is read-only or absent */
        return 0;
    }
}

static bool apic_x2_write(Apic *apic, unsigned reg, uint64_t value)
{
    if (value & ~apic_x2_writable(reg)) {
        return false;
    }
    switch (reg) {
    case REG_ICR_LOW:
        apic->icr = value;
        apic_send_ipi(apic, value);
        return true;
    case REG_SELF_IPI:
        apic_send_ipi(apic, (uint8_t)value | (1u << 18));
        return true;
    default:
        return apic_register_write(apic, reg, value);
    }
}

static bool apic_msr_read(void *opaque, uint32_t msr, uint64_t *value)
{
    Apic *apic = opaque;
    uint32_t low = 0;

    if (apic->accel) {
        return apic->accel->ops->lapic_msr(apic->vcpu, msr, value, false);
    }
    if (msr == MSR_TSC_DEADLINE) {
        *value = apic_timer_deadline(apic);
        return true;
    }
    if (msr < MSR_X2APIC_FIRST || msr > MSR_X2APIC_LAST || !apic_x2_mode(apic) ||
        !apic_register_read(apic, msr - MSR_X2APIC_FIRST, &low)) {
        return false;
    }
    *value = msr - MSR_X2APIC_FIRST == REG_ICR_LOW ? apic->icr : low;
    return true;
}

static bool apic_msr_write(void *opaque, uint32_t msr, uint64_t value)
{
    Apic *apic = opaque;

    if (apic->accel) {
        return apic->accel->ops->lapic_msr(apic->vcpu, msr, &value, true);
    }
    if (msr == MSR_TSC_DEADLINE) {
        apic_timer_set_deadline(apic, value);
        return true;
    }
    return msr >= MSR_X2APIC_FIRST && msr <= MSR_X2APIC_LAST && apic_x2_mode(apic) &&
           apic_x2_write(apic, msr - MSR_X2APIC_FIRST, value);
}

/* --- IA32_APIC_BASE and reset -------------------------------------------------- */

/* State after power-up and INIT (SDM 3A 11.4.7.1); the base register is not part of it. */
static void apic_reset_registers(Apic *apic)
{
    apic->tpr = 0;
    apic->ldr = 0;
    apic->dfr = 0xffffffff;
    apic->svr = 0xff;
    apic->esr = 0;
    apic->esr_pending = 0;
    apic->icr = 0;
    memset(apic->isr, 0, sizeof(apic->isr));
    memset(apic->irr, 0, sizeof(apic->irr));
    memset(apic->tmr, 0, sizeof(apic->tmr));
    apic->extint_pending = false;
    for (unsigned n = 0; n < LVT_COUNT; n++) {
        apic->lvt[n] = LVT_MASKED;
    }
    if (apic->vcpu->is_bsp) {
        /* The board's virtual wire (MP specification 1.4, 3.6.2.2): the 8259 pair reaches the boot
         * CPU before any firmware has programmed its APIC. */
        apic->lvt[LVT_LINT0] = APIC_DELIVER_EXTINT << 8;
    }
    apic_timer_reset(apic);
    apic_update(apic);
}

static void apic_set_base_value(Apic *apic, uint64_t value)
{
    bool shown = (value & (BASE_EN | BASE_EXTD)) == BASE_EN;
    MemorySpace *memory = apic->device.machine->memory;

    memory_begin(memory);
    if ((apic->base ^ value) >> 12) {
        memory_mapping_move(apic->mapping, value & ~0xfffull);
    }
    memory_mapping_set_enabled(apic->mapping, shown);
    memory_commit(memory);
    apic->base = value;
}

/* Transitions as in SDM 3A figure 11-27. Whether x2APIC exists is CPUID's, hence the CPU's,
 * matter. */
static bool apic_set_base(void *opaque, uint64_t value)
{
    Apic *apic = opaque;
    uint64_t mode = value & (BASE_EN | BASE_EXTD);
    uint64_t old = apic->base & (BASE_EN | BASE_EXTD);
    uint64_t reserved = 0x2ff | ~((1ull << 52) - 1);

    if ((value & reserved) || mode == BASE_EXTD || (mode == BASE_EN && (old & BASE_EXTD)) ||
        ((mode & BASE_EXTD) && !(old & BASE_EN))) {
        return false;
    }
    apic_set_base_value(apic, value);
    if (old && !mode) {
        apic_reset_registers(apic);
    }
    apic_update(apic);
    return true;
}

static uint64_t apic_get_base(void *opaque)
{
    return ((Apic *)opaque)->base;
}

static uint8_t apic_get_tpr(void *opaque)
{
    return ((Apic *)opaque)->tpr;
}

static void apic_set_tpr(void *opaque, uint8_t tpr)
{
    Apic *apic = opaque;
    apic->tpr = tpr;
    apic_update(apic);
}

static void apic_cpu_reset(void *opaque)
{
    apic_reset_registers(opaque);
}

static const InterruptOps apic_intr_ops = {
    .accept = apic_accept,
    .get_base = apic_get_base,
    .set_base = apic_set_base,
    .get_tpr = apic_get_tpr,
    .set_tpr = apic_set_tpr,
    .msr_read = apic_msr_read,
    .msr_write = apic_msr_write,
    .cpu_reset = apic_cpu_reset,
};

Apic *apic_of_vcpu(Vcpu *vcpu)
{
    return vcpu->intr_ops == &apic_intr_ops ? vcpu->intr_opaque : NULL;
}

/* --- State, life cycle --------------------------------------------------------- */

static void apic_pre_save(void *object)
{
    Apic *apic = object;

    if (apic->accel) {
        apic_front_get(apic);
    }
}

static bool apic_post_load(void *object, int version, GError **error)
{
    Apic *apic = object;

    if ((apic->base & (BASE_EN | BASE_EXTD)) == BASE_EXTD || apic->base >> 52 ||
        apic->timer_start < 0) {
        g_set_error(error, DEVICE_ERROR, 0,
                    "local APIC state is not one of its states");
        return false;
    }
    apic->tpr &= 0xff;
    apic->lint_level[0] &= 1;
    apic->lint_level[1] &= 1;
    apic->svr &= SVR_WRITABLE;
    apic->timer_divide &= 0xb;
    apic_set_base_value(apic, apic->base);
    memory_mapping_move(apic->mapping, apic->base & ~0xfffull);
    if (apic->accel) {
        apic_front_put(apic);
        timer_del(apic->timer);
    }
    apic_update(apic);
    return true;
}

static const StateTable apic_state = {
    .name = "apic",
    .version = 1,
    .minimum_version = 1,
    .fields = (const StateField[]) {
        STATE_UINT_FIELD(Apic, base),
        STATE_UINT_FIELD(Apic, tpr),
        STATE_UINT_FIELD(Apic, ldr),
        STATE_UINT_FIELD(Apic, dfr),
        STATE_UINT_FIELD(Apic, svr),
        STATE_UINT_FIELD(Apic, esr),
        STATE_UINT_FIELD(Apic, esr_pending),
        STATE_UINT_FIELD(Apic, icr),
        STATE_UINT_ARRAY(Apic, lvt),
        STATE_UINT_ARRAY(Apic, isr),
        STATE_UINT_ARRAY(Apic, irr),
        STATE_UINT_ARRAY(Apic, tmr),
        STATE_UINT_ARRAY(Apic, lint_level),
        STATE_BOOL_FIELD(Apic, extint_pending),
        STATE_UINT_FIELD(Apic, timer_count),
        STATE_UINT_FIELD(Apic, timer_divide),
        STATE_UINT_FIELD(Apic, timer_start),
        STATE_UINT_FIELD(Apic, tsc_deadline),
        STATE_TIMER_FIELD(Apic, timer),
        STATE_END,
    },
    .pre_save = apic_pre_save,
    .post_load = apic_post_load,
};

static void apic_reset(Device *device)
{
    Apic *apic = (Apic *)device;

    apic_set_base_value(apic, APIC_DEFAULT_BASE | BASE_EN | (apic->vcpu->is_bsp ? BASE_BSP : 0));
    apic_reset_registers(apic);
    if (apic->accel) {
        apic_front_put(apic);
    }
}

static bool apic_realize(Device *device, GError **error)
{
    Apic *apic = (Apic *)device;

    g_assert(apic->vcpu && !apic->vcpu->intr_ops);
    apic->base = APIC_DEFAULT_BASE;
    apic->accel = accel_has(device->machine->accel, ACCEL_LAPIC) ? device->machine->accel : NULL;
    apic->mapping = memory_map_io(device->machine->memory, apic->base, APIC_PAGE_SIZE,
                                  &apic_mmio_ops, apic, "apic", APIC_MAP_PRIORITY);
    apic_timer_init(apic);
    apic->vcpu->intr_ops = &apic_intr_ops;
    apic->vcpu->intr_opaque = apic;
    return true;
}

static void apic_unrealize(Device *device)
{
    Apic *apic = (Apic *)device;

    apic->vcpu->intr_ops = NULL;
    apic->vcpu->intr_opaque = NULL;
    timer_free(apic->timer);
    memory_unmap(apic->mapping);
}

static const Property apic_properties[] = { PROP_END };

static const DeviceType apic_type = {
    .name = "apic",
    .desc = "local APIC of a CPU",
    .category = "Interrupt controller",
    .bus = "system",
    .size = sizeof(Apic),
    .properties = apic_properties,
    .state = &apic_state,
    .realize = apic_realize,
    .unrealize = apic_unrealize,
    .reset = apic_reset,
    .not_for_users = "each CPU has one of its own",
};
DEVICE_TYPE(apic_type);

Device *apic_create(Machine *machine, Vcpu *vcpu, GError **error)
{
    Device *device = device_new(machine, &apic_type, NULL);

    ((Apic *)device)->vcpu = vcpu;
    return device_realize(device, machine->system_bus, error) ? device : NULL;
}
