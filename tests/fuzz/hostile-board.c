/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The hostile guest's board: RAM, ROM, shadow RAM, devices, holes, and an interrupt controller. */
#include "hostile-board.h"

#include <string.h>

#include "target-i386/cpu-model.h"
#include "target-i386/interp/cache.h"
#include "target-i386/interp/interp.h"
#include "util/lock.h"

/* Ports of the board: each write of a byte does one thing, by the byte's value. */
#define PORT_MAP    0x60 /* moves shadow RAM and the device */
#define PORT_EVENT  0x61 /* raises an event on a CPU */
#define PORT_A20    0x92

typedef struct BoardCpu {
    HostileBoard *board;
    X86CPU *cpu;
    uint64_t apic_base;
    uint8_t tpr;
} BoardCpu;

struct HostileBoard {
    Config *config;
    Diag *diag;
    X86CpuModel *model;
    MemorySpace *memory;
    PortSpace *ports;
    CodeDomain *domain;
    RamBlock *ram, *rom;
    MemoryMapping *shadow, *device;
    uint64_t random;
    uint8_t device_bytes[4096];
    BoardCpu cpus[BOARD_CPUS];
    unsigned count;
    BoardRestart *restart;
    void *restart_opaque;
};

X86CPU *board_cpu(HostileBoard *board, unsigned index)
{
    return board->cpus[index].cpu;
}

uint8_t *board_ram(HostileBoard *board)
{
    return board->ram->host;
}

/* --- devices: machine lock held ------------------------------------------------------ */

static uint64_t device_read(void *opaque, uint64_t offset, unsigned size)
{
    const HostileBoard *board = opaque;
    uint64_t value = 0;

    for (unsigned i = 0; i < size; i++) {
        value |= (uint64_t)board->device_bytes[(offset + i) % 4096] << (i * 8);
    }
    return value;
}

static void device_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    HostileBoard *board = opaque;

    for (unsigned i = 0; i < size; i++) {
        board->device_bytes[(offset + i) % 4096] = value >> (i * 8);
    }
}

static const MemoryOps device_ops = {.read = device_read, .write = device_write};

static const MemoryOps hole_ops = {.read = NULL}; /* reads as all ones */

static void change_map(HostileBoard *board, uint8_t value)
{
    static const uint32_t flags[] = {MAP_READ | MAP_WRITE, MAP_READ, MAP_WRITE, MAP_READ};

    memory_begin(board->memory);
    memory_mapping_set_enabled(board->shadow, value & 4);
    memory_mapping_set_flags(board->shadow, flags[value & 3]);
    memory_mapping_move(board->device, value & 8 ? 0x18000 : 0xa0000);
    memory_commit(board->memory);
}

static void raise_event(HostileBoard *board, uint8_t value)
{
    static const uint32_t events[] = {VCPU_INTR, VCPU_NMI, VCPU_SMI, VCPU_INTR};
    Vcpu *vcpu = &board->cpus[(value >> 2) % board->count].cpu->vcpu;

    vcpu_raise(vcpu, events[value & 3]);
}

static void port_written(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    HostileBoard *board = opaque;

    if (offset == 0) {
        change_map(board, value);
    } else if (offset == 1) {
        raise_event(board, value);
    }
}

static uint64_t port_value(void *opaque, uint64_t offset, unsigned size)
{
    return random_next(&((HostileBoard *)opaque)->random);
}

static const MemoryOps port_ops = {.read = port_value, .write = port_written, .max_size = 1};

static void a20_written(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    HostileBoard *board = opaque;

    for (unsigned i = 0; i < board->count; i++) {
        board->cpus[i].cpu->vcpu.a20_mask = value & 2 ? UINT64_MAX : ~(1ULL << 20);
        vcpu_raise(&board->cpus[i].cpu->vcpu, VCPU_MEM_CHANGED);
    }
}

static const MemoryOps a20_ops = {.read = port_value, .write = a20_written, .max_size = 1};

static void memory_changed(void *opaque)
{
    HostileBoard *board = opaque;

    for (unsigned i = 0; i < board->count; i++) {
        if (board->cpus[i].cpu) {
            vcpu_raise(&board->cpus[i].cpu->vcpu, VCPU_MEM_CHANGED);
        }
    }
}

/* --- interrupt controller -------------------------------------------------------------- */

static int intr_accept(void *opaque)
{
    BoardCpu *self = opaque;

    vcpu_clear(&self->cpu->vcpu, VCPU_INTR);
    return random_below(&self->board->random, 4) ? (int)random_below(&self->board->random, 256)
                                                 : -1;
}

static uint64_t intr_get_base(void *opaque)
{
    return ((BoardCpu *)opaque)->apic_base;
}

static bool intr_set_base(void *opaque, uint64_t value)
{
    ((BoardCpu *)opaque)->apic_base = value;
    return value & 0x800;
}

static uint8_t intr_get_tpr(void *opaque)
{
    return ((BoardCpu *)opaque)->tpr;
}

static void intr_set_tpr(void *opaque, uint8_t tpr)
{
    ((BoardCpu *)opaque)->tpr = tpr;
}

static bool intr_msr_read(void *opaque, uint32_t msr, uint64_t *value)
{
    *value = msr;
    return msr & 1;
}

static bool intr_msr_write(void *opaque, uint32_t msr, uint64_t value)
{
    return msr & 1;
}

static void intr_cpu_reset(void *opaque)
{
    ((BoardCpu *)opaque)->tpr = 0;
}

static const InterruptOps intr_ops = {
    .accept = intr_accept,
    .get_base = intr_get_base,
    .set_base = intr_set_base,
    .get_tpr = intr_get_tpr,
    .set_tpr = intr_set_tpr,
    .msr_read = intr_msr_read,
    .msr_write = intr_msr_write,
    .cpu_reset = intr_cpu_reset,
};

/* --- the board ---------------------------------------------------------------------------- */

static void triple_fault(void *opaque)
{
    BoardCpu *self = opaque;

    self->board->restart(self->board->restart_opaque, self->cpu);
}

static X86CpuModel *model_max(HostileBoard *board)
{
    char *argv[] = {(char *)"tessera", (char *)"-nodefconfig", (char *)"-L",
                    (char *)g_getenv("TEST_SYSCONFIGS"), (char *)"-cpu", (char *)"max"};
    X86CpuCaps caps;

    board->config = config_new();
    board->diag = diag_new();
    x86_cpu_caps_tcg(&caps);
    g_assert_true(config_parse_command_line(board->config, 6, argv, board->diag));
    g_assert_true(config_load_layers(board->config, board->diag));
    return x86_cpu_model_resolve(board->config, "max", &caps, board->diag);
}

/*
 * 2 MiB of RAM from 0, again below 4 GiB and from 4 GiB on; a device at 0xa0000, the APICs' pages
 * and half a page; shadow RAM at 0xc4000, right behind RAM; ROM at 0xe0000.
 */
static void map_memory(HostileBoard *board)
{
    MemorySpace *memory = board->memory;

    board->ram = ram_block_new("ram", BOARD_RAM_SIZE, NULL);
    board->rom = ram_block_new("rom", 0x20000, NULL);
    for (unsigned i = 0; i < 0x20000; i++) {
        board->rom->host[i] = random_next(&board->random);
    }
    memory_map_ram(memory, 0, board->ram, 0, BOARD_RAM_SIZE, MAP_READ | MAP_WRITE, 0);
    memory_map_ram(memory, 0xfff00000, board->ram, 0, 0x100000, MAP_READ | MAP_WRITE, 0);
    memory_map_ram(memory, 1ULL << 32, board->ram, 0x100000, 0x80000, MAP_READ | MAP_WRITE, 0);
    memory_map_ram(memory, 0xe0000, board->rom, 0, 0x20000, MAP_READ | MAP_WRITE | MAP_ROM, 5);
    memory_map_io(memory, 0xc4000, 0x8000, &hole_ops, board, "hole", 1);
    memory_map_io(memory, 0xfee00000, 4096, &device_ops, board, "apic", 10);
    memory_map_io(memory, 0xfec00000, 0x800, &device_ops, board, "ioapic", 10);
    board->device = memory_map_io(memory, 0xa0000, 0x8000, &device_ops, board, "vga", 10);
    board->shadow = memory_map_ram(memory, 0xc4000, board->ram, 0xc4000, 0x8000,
                                   MAP_READ | MAP_WRITE, 6);
}

HostileBoard *board_new(unsigned count, uint64_t seed, BoardRestart *restart, void *opaque)
{
    HostileBoard *board = g_new0(HostileBoard, 1);
    X86Topology topology = {count, count, 1, 1, count, 1};

    *board = (HostileBoard){.random = seed | 1, .count = count, .restart = restart,
                            .restart_opaque = opaque};
    board->model = model_max(board);
    board->memory = memory_space_new();
    board->ports = port_space_new();
    memory_add_listener(board->memory, memory_changed, board);
    board->domain = code_domain_new(board->memory);
    map_memory(board);
    port_map(board->ports, PORT_MAP, 4, &port_ops, board, "board", NULL);
    port_map(board->ports, PORT_A20, 1, &a20_ops, board, "a20", NULL);
    for (unsigned i = 0; i < count; i++) {
        BoardCpu *self = &board->cpus[i];
        X86CPU *cpu = cpu_new(board->memory, board->ports, board->domain, i);

        *self = (BoardCpu){.board = board, .cpu = cpu, .apic_base = 0xfee00800};
        cpu->vcpu.intr_ops = &intr_ops;
        cpu->vcpu.intr_opaque = self;
        cpu->vcpu.machine = self;
        cpu->vcpu.request_reset = triple_fault;
        cpu->vcpu.ops = &interp_vcpu_ops;
        g_assert_true(x86_cpu_model_apply(board->model, cpu, &topology, NULL));
        cpu_reset(cpu, false);
        vcpu_start(&cpu->vcpu);
    }
    return board;
}

void board_free(HostileBoard *board)
{
    for (unsigned i = 0; i < board->count; i++) {
        vcpu_stop(&board->cpus[i].cpu->vcpu);
        cpu_free(board->cpus[i].cpu);
    }
    code_domain_free(board->domain);
    port_space_free(board->ports);
    memory_space_free(board->memory);
    ram_block_free(board->ram);
    ram_block_free(board->rom);
    x86_cpu_model_free(board->model);
    config_free(board->config);
    diag_free(board->diag);
    g_free(board);
}
