/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Interrupt controllers and timer in the kernel: their creation, the routing of global system
 * interrupts to them, and their states between the kernel's structures and the chips' images
 * (linux/kvm.h, asm/kvm.h, Documentation/virt/kvm/api.rst).
 */
#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>

#include "accel/kvm/kvm.h"
#include "qemu-config/config.h"
#include "util/log.h"
#include "util/timer.h"

#define MSR_TSC_DEADLINE 0x6e0
#define PIT_DISABLED_MODE 0xff /* of a channel that has no count */
#define CASCADE_GSI 2
#define TIMER_PIN 2            /* of the I/O APIC, for ISA IRQ 0 */

static void chip_call(int fd, unsigned long request, void *argument, const char *name)
{
    if (ioctl(fd, request, argument) < 0) {
        log_write(LOG_ACCEL, "kvm: %s: %s", name, g_strerror(errno));
    }
}

#define CHIP_CALL(fd, request, argument) chip_call(fd, request, argument, #request)

/* --- lines -------------------------------------------------------------------------- */

void kvm_set_gsi(void *instance, unsigned gsi, int level)
{
    const KvmMachine *machine = instance;
    struct kvm_irq_level line = {.irq = gsi, .level = level};

    ioctl(machine->vm_fd, KVM_IRQ_LINE, &line);
}

bool kvm_send_msi(void *instance, uint64_t addr, uint32_t data)
{
    const KvmMachine *machine = instance;
    struct kvm_msi msi = {.address_lo = addr, .address_hi = addr >> 32, .data = data};

    return ioctl(machine->vm_fd, KVM_SIGNAL_MSI, &msi) > 0;
}

/* --- states -------------------------------------------------------------------------- */

void kvm_get_pic(void *instance, unsigned n, AccelPic *state)
{
    const KvmMachine *machine = instance;
    struct kvm_irqchip chip = {.chip_id = n ? KVM_IRQCHIP_PIC_SLAVE : KVM_IRQCHIP_PIC_MASTER};
    const struct kvm_pic_state *pic = &chip.chip.pic;

    CHIP_CALL(machine->vm_fd, KVM_GET_IRQCHIP, &chip);
    *state = (AccelPic){
        .lines = pic->last_irr, .irr = pic->irr, .isr = pic->isr, .imr = pic->imr,
        .elcr = pic->elcr, .vector_base = pic->irq_base & 0xf8,
        .lowest = (pic->priority_add - 1) & 7,
        .next_icw = pic->init_state ? (pic->init_state & 3) + 1 : 0, .icw4_wanted = pic->init4,
        .auto_eoi = pic->auto_eoi, .rotate_auto_eoi = pic->rotate_on_auto_eoi,
        .fully_nested_special = pic->special_fully_nested_mode,
        .special_mask = pic->special_mask, .read_isr = pic->read_reg_select, .poll = pic->poll,
    };
}

void kvm_put_pic(void *instance, unsigned n, const AccelPic *state)
{
    const KvmMachine *machine = instance;
    struct kvm_irqchip chip = {.chip_id = n ? KVM_IRQCHIP_PIC_SLAVE : KVM_IRQCHIP_PIC_MASTER};

    chip.chip.pic = (struct kvm_pic_state){
        .last_irr = state->lines, .irr = state->irr, .isr = state->isr, .imr = state->imr,
        .elcr = state->elcr, .elcr_mask = n ? 0xde : 0xf8, .irq_base = state->vector_base,
        .priority_add = (state->lowest + 1) & 7,
        .init_state = state->next_icw ? state->next_icw - 1 : 0, .init4 = state->icw4_wanted,
        .auto_eoi = state->auto_eoi, .rotate_on_auto_eoi = state->rotate_auto_eoi,
        .special_fully_nested_mode = state->fully_nested_special,
        .special_mask = state->special_mask, .read_reg_select = state->read_isr,
        .poll = state->poll,
    };
    CHIP_CALL(machine->vm_fd, KVM_SET_IRQCHIP, &chip);
}

void kvm_get_ioapic(void *instance, AccelIoApic *state)
{
    const KvmMachine *machine = instance;
    struct kvm_irqchip chip = {.chip_id = KVM_IRQCHIP_IOAPIC};
    const struct kvm_ioapic_state *ioapic = &chip.chip.ioapic;

    CHIP_CALL(machine->vm_fd, KVM_GET_IRQCHIP, &chip);
    *state = (AccelIoApic){.base = ioapic->base_address, .id = ioapic->id,
                           .select = ioapic->ioregsel, .lines = ioapic->irr};
    for (unsigned pin = 0; pin < ACCEL_IOAPIC_PINS; pin++) {
        state->redirection[pin] = ioapic->redirtbl[pin].bits;
    }
}

void kvm_put_ioapic(void *instance, const AccelIoApic *state)
{
    const KvmMachine *machine = instance;
    struct kvm_irqchip chip = {.chip_id = KVM_IRQCHIP_IOAPIC};
    struct kvm_ioapic_state *ioapic = &chip.chip.ioapic;

    ioapic->base_address = state->base;
    ioapic->id = state->id;
    ioapic->ioregsel = state->select;
    ioapic->irr = state->lines;
    for (unsigned pin = 0; pin < ACCEL_IOAPIC_PINS; pin++) {
        ioapic->redirtbl[pin].bits = state->redirection[pin];
    }
    CHIP_CALL(machine->vm_fd, KVM_SET_IRQCHIP, &chip);
}

/* Where an access stands: 1 low byte only, 2 high only, 3 and 4 first and second of both. */
static uint8_t pit_byte_state(uint8_t access, bool high_next)
{
    return access == 3 && high_next ? 4 : access;
}

static int64_t monotonic_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * NS_PER_SECOND + now.tv_nsec;
}

void kvm_get_pit(void *instance, AccelPit *state)
{
    const KvmMachine *machine = instance;
    struct kvm_pit_state2 pit = {0};
    int64_t now = monotonic_ns();

    CHIP_CALL(machine->vm_fd, KVM_GET_PIT2, &pit);
    *state = (AccelPit){.speaker_data = pit.flags & KVM_PIT_FLAGS_SPEAKER_DATA_ON};
    for (unsigned n = 0; n < ACCEL_PIT_COUNTERS; n++) {
        const struct kvm_pit_channel_state *c = &pit.channels[n];
        state->counter[n] = (AccelPitCounter){
            .programmed = c->mode <= 5, .mode = c->mode <= 5 ? c->mode : 3,
            .access = c->rw_mode & 3, .bcd = c->bcd, .gate = c->gate,
            .count = c->count && c->count <= 65536 ? c->count : 65536,
            .elapsed_ns = MAX(now - c->count_load_time, 0), .count_latched = c->count_latched,
            .status_latched = c->status_latched, .latch = c->latched_count, .status = c->status,
            .write_low = c->write_latch, .read_high_next = c->read_state == 4,
            .write_high_next = c->write_state == 4,
        };
    }
}

void kvm_put_pit(void *instance, const AccelPit *state)
{
    KvmMachine *machine = instance;
    struct kvm_pit_state2 pit = {
        .flags = state->speaker_data ? KVM_PIT_FLAGS_SPEAKER_DATA_ON : 0,
    };

    for (unsigned n = 0; n < ACCEL_PIT_COUNTERS; n++) {
        const AccelPitCounter *c = &state->counter[n];
        pit.channels[n] = (struct kvm_pit_channel_state){
            .count = c->count, .latched_count = c->latch,
            .count_latched = c->count_latched ? pit_byte_state(c->access, c->read_high_next) : 0,
            .status_latched = c->status_latched, .status = c->status,
            .read_state = pit_byte_state(c->access, c->read_high_next),
            .write_state = pit_byte_state(c->access, c->write_high_next),
            .write_latch = c->write_low, .rw_mode = c->access,
            .mode = c->programmed ? c->mode : PIT_DISABLED_MODE, .bcd = c->bcd, .gate = c->gate,
        };
    }
    CHIP_CALL(machine->vm_fd, KVM_SET_PIT2, &pit);
    machine->pit = *state; /* if stopped, it is what there is to go on with */
}

bool kvm_lapic_msr(Vcpu *vcpu, uint32_t msr, uint64_t *value, bool write)
{
    struct {
        struct kvm_msrs head;
        struct kvm_msr_entry entry;
    } one = {.head.nmsrs = 1, .entry = {.index = msr, .data = *value}};

    if (ioctl(kvm_vcpu(vcpu)->fd, write ? KVM_SET_MSRS : KVM_GET_MSRS, &one) != 1) {
        return false;
    }
    *value = one.entry.data;
    return true;
}

void kvm_get_lapic(Vcpu *vcpu, AccelLapic *state)
{
    KvmVcpu *v = kvm_vcpu(vcpu);
    struct kvm_lapic_state page = {0};
    struct kvm_sregs sregs = {0};

    *state = (AccelLapic){0};
    CHIP_CALL(v->fd, KVM_GET_SREGS, &sregs);
    CHIP_CALL(v->fd, KVM_GET_LAPIC, &page);
    state->base = sregs.apic_base;
    for (unsigned n = 0; n < G_N_ELEMENTS(state->regs); n++) {
        memcpy(&state->regs[n], &page.regs[16 * n], 4);
    }
    kvm_lapic_msr(vcpu, MSR_TSC_DEADLINE, &state->tsc_deadline, false);
}

/* The base comes first: the form of the ID register depends on it. */
void kvm_put_lapic(Vcpu *vcpu, const AccelLapic *state)
{
    KvmVcpu *v = kvm_vcpu(vcpu);
    struct kvm_lapic_state page = {0};
    struct kvm_sregs sregs = {0};
    uint64_t deadline = state->tsc_deadline;

    CHIP_CALL(v->fd, KVM_GET_SREGS, &sregs);
    if (sregs.apic_base != state->base) {
        sregs.apic_base = v->apic_base = state->base;
        CHIP_CALL(v->fd, KVM_SET_SREGS, &sregs);
    }
    for (unsigned n = 0; n < G_N_ELEMENTS(state->regs); n++) {
        memcpy(&page.regs[16 * n], &state->regs[n], 4);
    }
    CHIP_CALL(v->fd, KVM_SET_LAPIC, &page);
    kvm_lapic_msr(vcpu, MSR_TSC_DEADLINE, &deadline, true);
}

/* --- routing --------------------------------------------------------------------------- */

static void route_add(GArray *routes, struct kvm_irq_routing_entry entry)
{
    g_array_append_val(routes, entry);
}

static void route_add_pin(GArray *routes, unsigned gsi, unsigned chip, unsigned pin)
{
    route_add(routes, (struct kvm_irq_routing_entry){
        .gsi = gsi, .type = KVM_IRQ_ROUTING_IRQCHIP, .u.irqchip = {.irqchip = chip, .pin = pin}});
}

static void route_add_msi(GArray *routes, unsigned gsi, const AccelMsi *message)
{
    route_add(routes, (struct kvm_irq_routing_entry){
        .gsi = gsi, .type = KVM_IRQ_ROUTING_MSI,
        .u.msi = {.address_lo = message->addr, .address_hi = message->addr >> 32,
                  .data = message->data}});
}

/* The board's wiring: ISA lines to both, IRQ 0 to pin 2, the cascade to neither. */
static void add_board_routes(GArray *routes)
{
    for (unsigned gsi = 0; gsi < ACCEL_IOAPIC_PINS; gsi++) {
        if (gsi == CASCADE_GSI) {
            continue;
        }
        if (gsi < 16) {
            route_add_pin(routes, gsi, gsi < 8 ? KVM_IRQCHIP_PIC_MASTER : KVM_IRQCHIP_PIC_SLAVE,
                          gsi & 7);
        }
        route_add_pin(routes, gsi, KVM_IRQCHIP_IOAPIC, gsi == 0 ? TIMER_PIN : gsi);
    }
}

/* Gives the kernel the whole table: there is no call for a part of it. */
static bool routes_commit(KvmMachine *machine, GError **error)
{
    g_autoptr(GArray) routes = g_array_new(FALSE, TRUE, sizeof(struct kvm_irq_routing_entry));
    g_autofree struct kvm_irq_routing *table = NULL;

    if (accel_has(&machine->accel, ACCEL_IOAPIC)) {
        add_board_routes(routes);
    }
    for (unsigned i = 0; i < machine->messages->len; i++) {
        const KvmMessage *message = &g_array_index(machine->messages, KvmMessage, i);
        if (message->used) {
            route_add_msi(routes, i, &message->msi);
        }
    }
    table = g_malloc0(sizeof(*table) + routes->len * sizeof(struct kvm_irq_routing_entry));
    table->nr = routes->len;
    if (routes->len) {
        memcpy(table->entries, routes->data, routes->len * sizeof(struct kvm_irq_routing_entry));
    }
    return kvm_call(machine->vm_fd, KVM_SET_GSI_ROUTING, table, "KVM_SET_GSI_ROUTING", error);
}

static void routes_commit_log(KvmMachine *machine)
{
    g_autoptr(GError) error = NULL;

    if (!routes_commit(machine, &error)) {
        log_write(LOG_ACCEL, "kvm: %s", error->message);
    }
}

void kvm_set_pin_message(void *instance, unsigned pin, const AccelMsi *message)
{
    KvmMachine *machine = instance;
    KvmMessage *entry = &g_array_index(machine->messages, KvmMessage, pin);

    if (entry->used == !!message &&
        (!message || (entry->msi.addr == message->addr && entry->msi.data == message->data))) {
        return;
    }
    entry->used = message;
    if (message) {
        entry->msi = *message;
    }
    routes_commit_log(machine);
}

void kvm_set_eoi_handler(void *instance, void (*fn)(void *opaque, uint8_t vector), void *opaque)
{
    KvmMachine *machine = instance;

    machine->eoi = fn;
    machine->eoi_opaque = opaque;
}

/* --- where they are ----------------------------------------------------------------- */

/* What -machine and, before it, the last -accel kvm say; NULL: nothing. */
static const char *place_asked_for(const Config *config)
{
    return kvm_option(config, "kernel-irqchip") ?: config_get(config, "machine", "kernel-irqchip");
}

KvmIrqchipPlace kvm_irqchip_place(const struct Config *config, int kvm_fd, unsigned flaws,
                                  bool *asked)
{
    const char *word = place_asked_for(config);
    const char *missing;

    *asked = word;
    if (word) {
        return !strcmp(word, "on") ? IRQCHIP_ON : !strcmp(word, "split") ? IRQCHIP_SPLIT
                                                                         : IRQCHIP_OFF;
    }
    missing = kvm_irqchip_missing(kvm_fd, IRQCHIP_ON);
    if (missing) {
        log_write(LOG_ACCEL, "kvm: interrupt controllers are our own, the kernel lacks %s",
                  missing);
    } else if (flaws) {
        log_write(LOG_ACCEL, "kvm: interrupt controllers are our own, so that our interpreter "
                  "can use them (kernel-irqchip=on asks for the kernel's all the same)");
    }
    return missing || flaws ? IRQCHIP_OFF : IRQCHIP_ON;
}

/* --- creation --------------------------------------------------------------------------- */

const char *kvm_irqchip_missing(int kvm_fd, KvmIrqchipPlace place)
{
    static const struct {
        int capability;
        const char *name;
        bool split_only, on_only;
    } needed[] = {
        {KVM_CAP_IRQCHIP, "KVM_CAP_IRQCHIP", false, false},
        {KVM_CAP_IRQ_ROUTING, "KVM_CAP_IRQ_ROUTING", false, false},
        {KVM_CAP_SIGNAL_MSI, "KVM_CAP_SIGNAL_MSI", false, false},
        {KVM_CAP_MP_STATE, "KVM_CAP_MP_STATE", false, false},
        {KVM_CAP_SPLIT_IRQCHIP, "KVM_CAP_SPLIT_IRQCHIP", true, false},
        {KVM_CAP_PIT2, "KVM_CAP_PIT2", false, true},
        {KVM_CAP_PIT_STATE2, "KVM_CAP_PIT_STATE2", false, true},
    };

    if (place == IRQCHIP_OFF) {
        return NULL;
    }
    for (unsigned i = 0; i < G_N_ELEMENTS(needed); i++) {
        if ((needed[i].split_only && place != IRQCHIP_SPLIT) ||
            (needed[i].on_only && place != IRQCHIP_ON)) {
            continue;
        }
        if (ioctl(kvm_fd, KVM_CHECK_EXTENSION, needed[i].capability) <= 0) {
            return needed[i].name;
        }
    }
    return NULL;
}

static bool create_full(KvmMachine *machine, GError **error)
{
    struct kvm_pit_config pit = {.flags = KVM_PIT_SPEAKER_DUMMY};

    if (!kvm_call(machine->vm_fd, KVM_CREATE_IRQCHIP, NULL, "KVM_CREATE_IRQCHIP", error) ||
        !kvm_call(machine->vm_fd, KVM_CREATE_PIT2, &pit, "KVM_CREATE_PIT2", error)) {
        return false;
    }
    machine->accel.chips = ACCEL_LAPIC | ACCEL_PIC | ACCEL_IOAPIC | ACCEL_PIT;
    return true;
}

static bool create_split(KvmMachine *machine, GError **error)
{
    struct kvm_enable_cap split = {.cap = KVM_CAP_SPLIT_IRQCHIP, .args = {ACCEL_IOAPIC_PINS}};

    if (!kvm_call(machine->vm_fd, KVM_ENABLE_CAP, &split, "KVM_CAP_SPLIT_IRQCHIP", error)) {
        return false;
    }
    machine->accel.chips = ACCEL_LAPIC;
    return true;
}

bool kvm_irqchip_create(KvmMachine *machine, KvmIrqchipPlace place, GError **error)
{
    machine->messages = g_array_new(FALSE, TRUE, sizeof(KvmMessage));
    g_array_set_size(machine->messages, ACCEL_IOAPIC_PINS); /* these numbers are the board's */
    if (place == IRQCHIP_OFF) {
        return true;
    }
    return (place == IRQCHIP_ON ? create_full(machine, error)
                                    : create_split(machine, error)) &&
           routes_commit(machine, error);
}

void kvm_irqchip_free(KvmMachine *machine)
{
    g_clear_pointer(&machine->messages, g_array_unref);
}

/* --- irqfd ------------------------------------------------------------------------------- */

static bool irqfd_set(KvmMachine *machine, unsigned gsi, int fd, uint32_t flags, GError **error)
{
    struct kvm_irqfd irqfd = {.fd = fd, .gsi = gsi, .flags = flags};

    return kvm_call(machine->vm_fd, KVM_IRQFD, &irqfd, "KVM_IRQFD", error);
}

int kvm_irqfd_add(void *instance, int fd, const AccelMsi *message, GError **error)
{
    KvmMachine *machine = instance;
    KvmMessage entry = {.used = true, .msi = *message};
    unsigned number = ACCEL_IOAPIC_PINS;

    if (!accel_has(&machine->accel, ACCEL_LAPIC)) {
        g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_NOSYS,
                    "irqfd needs local APICs in the kernel (kernel-irqchip=on or split)");
        return -1;
    }
    while (number < machine->messages->len &&
           g_array_index(machine->messages, KvmMessage, number).used) {
        number++;
    }
    if (number == machine->messages->len) {
        g_array_append_val(machine->messages, entry);
    } else {
        g_array_index(machine->messages, KvmMessage, number) = entry;
    }
    if (!routes_commit(machine, error) || !irqfd_set(machine, number, fd, 0, error)) {
        g_array_index(machine->messages, KvmMessage, number).used = false;
        return -1;
    }
    return number;
}

void kvm_irqfd_change(void *instance, int number, const AccelMsi *message)
{
    KvmMachine *machine = instance;
    KvmMessage *entry = &g_array_index(machine->messages, KvmMessage, number);

    if (entry->msi.addr != message->addr || entry->msi.data != message->data) {
        entry->msi = *message;
        routes_commit_log(machine);
    }
}

void kvm_irqfd_remove(void *instance, int number, int fd)
{
    KvmMachine *machine = instance;

    irqfd_set(machine, number, fd, KVM_IRQFD_FLAG_DEASSIGN, NULL);
    g_array_index(machine->messages, KvmMessage, number).used = false;
    routes_commit_log(machine);
}
