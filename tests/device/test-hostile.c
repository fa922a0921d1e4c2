/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A guest, a far end and a saved-state stream that do anything: random accesses to every chip,
 * random lines, keys and bytes, random and mutated states. Nothing may crash, spin or grow; run
 * under ASan.
 */
#include "accel/accel.h"
#include "hw/input/i8042.h"
#include "hw/intc/apic.h"
#include "hw/intc/ioapic.h"
#include "migration/state.h"
#include "tests/device/board.h"
#include "tests/device/clock.h"
#include "util/timer.h"

#define SEEDS 200
#define STEPS 2000
#define CPUS 2

static TestChardev *line;
static Device *kbd;

static Board *start(void)
{
    Board *board = board_new();
    GError *error = NULL;

    line = board_chardev(board, "line");
    board_chardev(board, "debug");
    board_add(board, "i8259", NULL);
    board_add(board, "ioapic", NULL);
    for (unsigned n = 0; n < CPUS; n++) {
        Device *apic = apic_create(board->machine, board_add_vcpu(board), &error);
        g_assert_no_error(error);
        machine_line_connect(board->machine, "pic-intr", apic_lint_line(apic, 0));
    }
    board_add(board, "i8254", NULL);
    board_add(board, "mc146818rtc", NULL);
    kbd = board_add(board, "i8042", NULL);
    board_add(board, "port92", NULL);
    board_add(board, "isa-serial", "chardev", "line", NULL);
    board_add(board, "isa-debugcon", "chardev", "debug", NULL);
    board_add(board, "pvpanic", NULL);
    board_start(board);
    return board;
}

static uint32_t random_value(GRand *rng)
{
    uint32_t value = g_rand_int(rng);
    return value >> (g_rand_int(rng) & 31);
}

static void random_port(Board *board, GRand *rng)
{
    static const uint16_t ports[] = {
        0x20, 0x21, 0xa0, 0xa1, 0x4d0, 0x4d1, 0x40, 0x41, 0x42, 0x43, 0x60, 0x61, 0x64, 0x70, 0x71,
        0x92, 0xe9, 0x3f8, 0x3f9, 0x3fa, 0x3fb, 0x3fc, 0x3fd, 0x3fe, 0x3ff, 0x505,
    };
    uint16_t port = ports[g_rand_int(rng) % G_N_ELEMENTS(ports)];
    unsigned size = 1u << (g_rand_int(rng) % 3);

    if (g_rand_boolean(rng)) {
        port_write(board->machine->ports, port, random_value(rng), size);
    } else {
        port_read(board->machine->ports, port, size);
    }
}

static void random_ioapic(Board *board, GRand *rng)
{
    uint64_t addr = IOAPIC_DEFAULT_BASE + (g_rand_int(rng) & 0x5f);
    unsigned size = 1u << (g_rand_int(rng) % 4);

    if (g_rand_boolean(rng)) {
        memory_store(board->machine->memory, addr, random_value(rng), size);
    } else {
        memory_load(board->machine->memory, addr, size);
    }
}

static void random_apic(Board *board, GRand *rng)
{
    Vcpu *vcpu = g_ptr_array_index(board->machine->vcpus, g_rand_int(rng) % CPUS);
    uint64_t value = (uint64_t)random_value(rng) << (g_rand_int(rng) & 32) | random_value(rng);

    switch (g_rand_int(rng) % 8) {
    case 0:
        vcpu->intr_ops->set_base(vcpu->intr_opaque,
                                 (value & 0xf0000) | 0xfee00000 | (g_rand_int(rng) & 0xd00));
        break;
    case 1:
        vcpu->intr_ops->msr_write(vcpu->intr_opaque, 0x6e0, value);
        break;
    case 2:
        vcpu->intr_ops->accept(vcpu->intr_opaque);
        break;
    case 3:
        vcpu->intr_ops->msr_read(vcpu->intr_opaque, 0x800 + (value & 0x3f), &value);
        break;
    case 4:
        apic_bus_msi(board->machine, value, g_rand_int(rng));
        break;
    case 5:
        vcpu->intr_ops->set_tpr(vcpu->intr_opaque, value);
        break;
    default:
        vcpu->intr_ops->msr_write(vcpu->intr_opaque, 0x800 + (g_rand_int(rng) & 0x3f), value);
        break;
    }
}

static void random_far_end(GRand *rng)
{
    static const uint8_t bytes[64] = "random";
    size_t room = chardev_can_receive(&line->base);

    if (line->written_size > sizeof(line->written) / 2) {
        line->written_size = 0;
    }
    line->limit = g_rand_int(rng) % sizeof(line->written);
    line->limit = MAX(line->limit, line->written_size);
    chardev_writable(&line->base);
    chardev_receive(&line->base, bytes, MIN(room, sizeof(bytes)));
    if (g_rand_int(rng) % 16 == 0) {
        chardev_event(&line->base, CHARDEV_BREAK);
    }
}

static void random_step(Board *board, GRand *rng)
{
    switch (g_rand_int(rng) % 16) {
    case 0:
        irq_set(machine_gsi(board->machine, g_rand_int(rng) % MACHINE_GSI_COUNT),
                g_rand_boolean(rng));
        break;
    case 1:
        random_far_end(rng);
        break;
    case 2:
        i8042_key(kbd, g_rand_int(rng), g_rand_boolean(rng));
        break;
    case 3:
        i8042_pointer(kbd, g_rand_int(rng), g_rand_int(rng), g_rand_int(rng), g_rand_int(rng));
        break;
    case 4:
        test_clock_advance(random_value(rng) & 0xfffff);
        break;
    case 5:
    case 6:
        random_ioapic(board, rng);
        break;
    case 7:
    case 8:
    case 9:
        random_apic(board, rng);
        break;
    default:
        random_port(board, rng);
        break;
    }
}

static uint32_t seed_base(void)
{
    uint32_t base = g_test_rand_int();
    g_test_message("seeds from %u", base);
    return base;
}

/* Timers are bounded too: 4 chips that may fire, each at most every 10 us of guest time. */
static void test_random_accesses(void)
{
    uint32_t base = seed_base();

    for (unsigned seed = 0; seed < SEEDS; seed++) {
        g_autoptr(GRand) rng = g_rand_new_with_seed(base + seed);
        Board *board = start();
        int64_t began = clock_ns(CLOCK_VM);
        unsigned fired = test_clock_fired();
        for (unsigned n = 0; n < STEPS; n++) {
            random_step(board, rng);
        }
        g_assert_cmpint(test_clock_fired() - fired, <=,
                        STEPS * 4 + (clock_ns(CLOCK_VM) - began) / 10000 * 4);
        while (g_main_context_iteration(NULL, FALSE)) {
        }
        board_free(board);
    }
}

static void random_steps(Board *board, GRand *rng, unsigned count)
{
    for (unsigned n = 0; n < count; n++) {
        random_step(board, rng);
    }
}

/* Save, scramble, load, save: the two saved states are equal, for every chip that has one. */
static void test_state_round_trip(void)
{
    uint32_t base = seed_base();

    for (unsigned seed = 0; seed < SEEDS / 4; seed++) {
        g_autoptr(GRand) rng = g_rand_new_with_seed(base + seed);
        Board *board = start();
        GPtrArray *devices = board->machine->devices;
        g_autoptr(GPtrArray) saved =
            g_ptr_array_new_with_free_func((GDestroyNotify)g_variant_unref);
        random_steps(board, rng, STEPS / 4);
        for (unsigned n = 0; n < devices->len; n++) {
            Device *device = g_ptr_array_index(devices, n);
            GVariant *state = device->type->state ? state_save(device->type->state, device)
                                                  : g_variant_new_boolean(FALSE);
            g_ptr_array_add(saved, g_variant_ref_sink(state));
        }
        random_steps(board, rng, STEPS / 4);
        for (unsigned n = 0; n < devices->len; n++) {
            Device *device = g_ptr_array_index(devices, n);
            g_autoptr(GVariant) again = NULL;
            GError *error = NULL;
            if (!device->type->state) {
                continue;
            }
            g_assert_true(state_load(device->type->state, device, saved->pdata[n], &error));
            g_assert_no_error(error);
            again = g_variant_ref_sink(state_save(device->type->state, device));
            if (!g_variant_equal(saved->pdata[n], again)) {
                g_autofree char *was = g_variant_print(saved->pdata[n], FALSE);
                g_autofree char *is = g_variant_print(again, FALSE);
                g_error("%s: saved %s\nloaded and saved %s", device->type->name, was, is);
            }
        }
        while (g_main_context_iteration(NULL, FALSE)) {
        }
        board_free(board);
    }
}

/* A copy of @state in which some numbers, flags and bytes are others; types stay. */
static GVariant *mutate(GVariant *state, GRand *rng)
{
    const GVariantType *type = g_variant_get_type(state);
    GVariantBuilder builder;

    if (g_variant_is_container(state)) {
        g_variant_builder_init(&builder, type);
        for (gsize n = 0; n < g_variant_n_children(state); n++) {
            g_autoptr(GVariant) child = g_variant_get_child_value(state, n);
            bool key = g_variant_type_is_dict_entry(type) && n == 0;
            g_variant_builder_add_value(&builder, key ? child : mutate(child, rng));
        }
        return g_variant_builder_end(&builder);
    }
    if (g_rand_int(rng) % 8) {
        return g_variant_ref(state);
    }
    switch (g_variant_classify(state)) {
    case G_VARIANT_CLASS_UINT64:
        return g_variant_new_uint64((uint64_t)random_value(rng) << (g_rand_int(rng) & 32));
    case G_VARIANT_CLASS_INT64:
        return g_variant_new_int64((int64_t)random_value(rng) << (g_rand_int(rng) & 31));
    case G_VARIANT_CLASS_BOOLEAN:
        return g_variant_new_boolean(g_rand_boolean(rng));
    case G_VARIANT_CLASS_BYTE:
        return g_variant_new_byte(g_rand_int(rng));
    default: /* the version */
        return g_variant_ref(state);
    }
}

/* A mutated state is refused, or is one the chip can go on from. */
static void test_hostile_state(void)
{
    uint32_t base = seed_base();
    unsigned loaded = 0, refused = 0;

    for (unsigned seed = 0; seed < SEEDS; seed++) {
        g_autoptr(GRand) rng = g_rand_new_with_seed(base + seed);
        Board *board = start();
        GPtrArray *devices = board->machine->devices;
        random_steps(board, rng, STEPS / 16);
        for (unsigned n = 0; n < devices->len; n++) {
            Device *device = g_ptr_array_index(devices, n);
            g_autoptr(GVariant) state = NULL;
            g_autoptr(GVariant) mutated = NULL;
            g_autoptr(GError) error = NULL;
            if (!device->type->state) {
                continue;
            }
            state = g_variant_ref_sink(state_save(device->type->state, device));
            mutated = g_variant_ref_sink(mutate(state, rng));
            if (state_load(device->type->state, device, mutated, &error)) {
                loaded++;
            } else {
                refused++;
                device_reset(device);
            }
        }
        random_steps(board, rng, STEPS / 4);
        while (g_main_context_iteration(NULL, FALSE)) {
        }
        board_free(board);
    }
    g_assert_cmpint(loaded, >, SEEDS);
    g_assert_cmpint(refused, >, SEEDS);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/device/hostile/random-accesses", test_random_accesses);
    g_test_add_func("/device/hostile/state-round-trip", test_state_round_trip);
    g_test_add_func("/device/hostile/state", test_hostile_state);
    return board_main();
}
