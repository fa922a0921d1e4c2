/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a hostile guest once got out of the CPU, each found by review or tests/fuzz/hostile-guest:
 * a crash, a lock that nobody gave back, a loop that no request ends.
 */
#include <string.h>
#include <unistd.h>

#include "memory/memory.h"
#include "target-i386/cpu.h"
#include "target-i386/interp/cache.h"
#include "target-i386/interp/interp.h"
#include "target-i386/mmu.h"
#include "util/lock.h"

#define RAM_SIZE 0x40000
#define PORT_STOP 0x10
#define AT_CODE 0x10000
#define AT_DEVICE 0x100000
#define AT_WRITE_ONLY 0x30000 /* read: the device; written: RAM */
#define AT_TABLES 0x4000
#define AT_PT 0x7000

typedef struct Rig {
    MemorySpace *memory;
    PortSpace *ports;
    RamBlock *ram;
    X86CPU *cpu;
    uint64_t device_value;
    uint64_t unmap_at; /* a read of the device clears this page-table entry and the TLB */
    unsigned resets;
} Rig;

static uint64_t device_read(void *opaque, uint64_t offset, unsigned size)
{
    Rig *rig = opaque;

    if (rig->unmap_at) {
        memset(rig->ram->host + rig->unmap_at, 0, 8);
        mmu_flush(rig->cpu);
    }
    return rig->device_value;
}

static const MemoryOps device_ops = {.read = device_read};

static void stop_written(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    vcpu_raise(&((Rig *)opaque)->cpu->vcpu, VCPU_STOP);
}

static const MemoryOps stop_ops = {.write = stop_written};

static void request_reset(void *machine)
{
    Rig *rig = machine;

    rig->resets++;
    vcpu_raise(&rig->cpu->vcpu, VCPU_STOP);
}

static void rig_init(Rig *rig, gconstpointer data)
{
    rig->memory = memory_space_new();
    rig->ports = port_space_new();
    rig->ram = ram_block_new("ram", RAM_SIZE, NULL);
    memory_map_ram(rig->memory, 0, rig->ram, 0, RAM_SIZE, MAP_READ | MAP_WRITE, 0);
    memory_map_io(rig->memory, AT_WRITE_ONLY, 0x1000, &device_ops, rig, "behind", 1);
    memory_map_ram(rig->memory, AT_WRITE_ONLY, rig->ram, AT_WRITE_ONLY, 0x1000, MAP_WRITE, 2);
    memory_map_io(rig->memory, AT_DEVICE, 0x1000, &device_ops, rig, "device", 1);
    port_map(rig->ports, PORT_STOP, 1, &stop_ops, rig, "stop", NULL);
    rig->cpu = cpu_new_bare(rig->memory, rig->ports);
    rig->cpu->vcpu.machine = rig;
    rig->cpu->vcpu.request_reset = request_reset;
    alarm(20); /* a loop that nothing ends */
}

static void rig_clear(Rig *rig, gconstpointer data)
{
    alarm(0);
    cpu_free_bare(rig->cpu);
    port_space_free(rig->ports);
    memory_space_free(rig->memory);
    ram_block_free(rig->ram);
}

static void set32(Rig *rig, uint64_t at, uint32_t value)
{
    memcpy(rig->ram->host + at, &value, 4);
}

static void set64(Rig *rig, uint64_t at, uint64_t value)
{
    memcpy(rig->ram->host + at, &value, 8);
}

static void set_code(Rig *rig, uint64_t at, const char *code, unsigned size)
{
    memcpy(rig->ram->host + at, code, size);
}
#define SET_CODE(rig, at, code) set_code(rig, at, code, sizeof(code) - 1)

/* Flat 32-bit segments, protection on. */
static void enter_flat32(Rig *rig, uint64_t rip)
{
    X86CPU *cpu = rig->cpu;

    for (unsigned i = 0; i < SEG_LDTR; i++) {
        cpu->seg[i] = (X86Segment){.limit = UINT32_MAX, .selector = i == SEG_CS ? 8 : 16,
                                   .attr = SEG_ATTR_P | SEG_ATTR_S | SEG_ATTR_DB | SEG_ATTR_G |
                                           (i == SEG_CS ? 0xb : 3)};
    }
    cpu->cr0 |= CR0_PE;
    cpu->cpu_rip = rip;
    cpu->idtr.limit = 0; /* any exception is a triple fault */
    cpu_update_mode(cpu);
}

/* PAE paging, the first 2 MiB 1:1 by 4 KiB pages with their entries at AT_PT. */
static void enter_paging(Rig *rig)
{
    X86CPU *cpu = rig->cpu;

    for (unsigned i = 0; i < 512; i++) {
        set64(rig, AT_PT + i * 8, i << 12 | 0x63);
    }
    set64(rig, AT_TABLES, AT_PT | 0x23);
    cpu->pdpte[0] = AT_TABLES | 1;
    cpu->cr4 |= CR4_PAE;
    cpu->cr0 |= CR0_PG;
    mmu_flush(cpu);
    cpu_update_mode(cpu);
}

static void run_until_stop(Rig *rig)
{
    vcpu_clear(&rig->cpu->vcpu, VCPU_STOP);
    interp_run(&rig->cpu->vcpu);
    g_assert_false(machine_locked());
}

/* An instruction that begins in RAM and goes on in a page that cannot be read as RAM. */
static void test_fetch_into_write_only(Rig *rig, gconstpointer data)
{
    X86CPU *cpu = rig->cpu;

    enter_flat32(rig, AT_WRITE_ONLY - 1);
    SET_CODE(rig, AT_WRITE_ONLY - 1, "\xb8"); /* mov eax, the device's bytes */
    rig->device_value = 0xe6;
    g_assert_true(interp_step(cpu));
    g_assert_cmphex(cpu->regs[R_RAX], ==, 0xe6e6e6e6);
}

/* A page that follows itself: one block lies twice in its list of blocks. */
static void test_page_follows_itself(Rig *rig, gconstpointer data)
{
    X86CPU *cpu = rig->cpu;

    enter_flat32(rig, 0x20fff);
    enter_paging(rig);
    set64(rig, AT_PT + 0x21 * 8, 0x20063);
    SET_CODE(rig, 0x20000, "\x01\x02\x03\x04"); /* of mov eax, 0x04030201 */
    SET_CODE(rig, 0x20fff, "\xb8");
    g_assert_true(interp_step(cpu));
    g_assert_cmphex(cpu->regs[R_RAX], ==, 0x04030201);
    /* A write to its second part is seen; then the whole of it goes. */
    memory_store(rig->memory, 0x20001, 0x77, 1);
    code_drain(cpu);
    cpu->cpu_rip = 0x20fff;
    g_assert_true(interp_step(cpu));
    g_assert_cmphex(cpu->regs[R_RAX], ==, 0x04037701);
    memory_store(rig->memory, 0x20fff, 0xb9, 1);
    code_drain(cpu);
    cpu->cpu_rip = 0x20fff;
    g_assert_true(interp_step(cpu));
    g_assert_cmphex(cpu->regs[R_RCX], ==, 0x04037701);
    code_flush(cpu);
}

/* The page tables change while a locked instruction is halfway: the fault gives the lock back. */
static void test_locked_faults_halfway(Rig *rig, gconstpointer data)
{
    X86CPU *cpu = rig->cpu;

    enter_flat32(rig, AT_CODE);
    enter_paging(rig);
    set64(rig, AT_PT + 0x21 * 8, AT_DEVICE | 0x63);
    SET_CODE(rig, AT_CODE, "\xf0\x01\x03\xe6\x10"); /* lock add [rbx], eax; out 0x10, al */
    cpu->regs[R_RBX] = 0x20ffe;
    rig->unmap_at = AT_PT + 0x21 * 8;
    run_until_stop(rig);
    g_assert_cmpuint(rig->resets, ==, 1);
    g_assert_cmphex(cpu->cr2, ==, 0x21000);
}

/* A host may punish a locked access across cache lines by a second each: none is made. */
static void test_split_lock(Rig *rig, gconstpointer data)
{
    X86CPU *cpu = rig->cpu;
    MmuRmw rmw;
    uint32_t sum;

    enter_flat32(rig, AT_CODE);
    SET_CODE(rig, AT_CODE, "\xf0\x01\x03\xf0\x01\x03\xe6\x10"); /* lock add, twice; out */
    cpu->regs[R_RBX] = 0x2003e;
    cpu->regs[R_RAX] = 0x00ffffff;
    run_until_stop(rig);
    memcpy(&sum, rig->ram->host + 0x2003e, 4);
    g_assert_cmphex(sum, ==, 0x01fffffe);
    g_assert_null(mmu_rmw_begin(cpu, 0x2003e, 4, &rmw));
    g_assert_true(machine_locked());
    mmu_rmw_end(cpu, &rmw);
    g_assert_false(machine_locked());
    g_assert_nonnull(mmu_rmw_begin(cpu, 0x2003c, 4, &rmw));
    mmu_rmw_end(cpu, &rmw);
}

/* Page tables that read as a device and are written as RAM: accessed bits never take. */
static void test_accessed_bit_of_shadow(Rig *rig, gconstpointer data)
{
    X86CPU *cpu = rig->cpu;
    uint64_t gpa;
    uint32_t error;

    enter_flat32(rig, AT_CODE);
    rig->device_value = 0x87; /* a large page at 0, not accessed */
    cpu->cr3 = AT_WRITE_ONLY;
    cpu->cr4 |= CR4_PSE;
    cpu->cr0 |= CR0_PG;
    mmu_flush(cpu);
    g_assert_true(mmu_translate(cpu, MMU_SUPER, 0x1234, ACCESS_READ, &gpa, &error));
    g_assert_cmphex(gpa, ==, 0x1234);
}

static gpointer stop_soon(gpointer opaque)
{
    g_usleep(50 * 1000);
    vcpu_raise(opaque, VCPU_STOP);
    return NULL;
}

/* Two tasks with the T flag whose descriptors lie in memory that keeps no busy bit. */
static void test_endless_delivery(Rig *rig, gconstpointer data)
{
    X86CPU *cpu = rig->cpu;
    RamBlock *rom = ram_block_new("rom", 0x1000, NULL);
    GThread *thread;
    uint64_t gdt[] = {0, 0x00cf9b000000ffff, 0x00cf93000000ffff, 0x0000890080000067,
                      0x0000890090000067};

    memcpy(rom->host, gdt, sizeof(gdt));
    memory_map_ram(rig->memory, 0x80000, rom, 0, 0x1000, MAP_READ | MAP_WRITE | MAP_ROM, 3);
    for (unsigned tss = 0x8000; tss <= 0x9000; tss += 0x1000) {
        set32(rig, tss + 0x20, AT_CODE);
        set32(rig, tss + 0x24, 2);
        for (unsigned i = 0; i < 6; i++) {
            set32(rig, tss + 0x48 + i * 4, i == 1 ? 8 : 16);
        }
        set32(rig, tss + 0x64, 1);
    }
    enter_flat32(rig, AT_CODE);
    cpu->gdtr = (X86Table){0x80000, sizeof(gdt) - 1};
    cpu->idtr = (X86Table){0x2000, 0x7ff};
    cpu->seg[SEG_TR] = (X86Segment){.base = 0x9000, .limit = 0x67, .selector = 0x20,
                                    .attr = SEG_ATTR_P | 0xb};
    set64(rig, 0x2000 + 8, 0x0000850000180000); /* #DB: the task at 0x8000 */
    SET_CODE(rig, AT_CODE, "\xf1"); /* int1 */
    thread = g_thread_new("stop", stop_soon, &cpu->vcpu);
    run_until_stop(rig);
    g_thread_join(thread);
    g_assert_cmpuint(rig->resets, ==, 0);
    g_assert_cmpint(cpu->exception.vector, ==, EXC_DB);
    cpu_reset(cpu, false);
    ram_block_free(rom);
}

/* HLT in an NMI handler with the next NMI pending: nothing to do until another event. */
static void test_blocked_nmi_is_no_work(Rig *rig, gconstpointer data)
{
    X86CPU *cpu = rig->cpu;

    cpu->vcpu.halted = true;
    vcpu_raise(&cpu->vcpu, VCPU_NMI);
    g_assert_true(interp_vcpu_ops.has_work(&cpu->vcpu));
    cpu->nmi_blocked = true;
    g_assert_false(interp_vcpu_ops.has_work(&cpu->vcpu));
}

/* A single step of a repeated instruction is one element (SDM 3A 17.3.1.2). */
static void test_step_of_repeat(Rig *rig, gconstpointer data)
{
    X86CPU *cpu = rig->cpu;

    enter_flat32(rig, AT_CODE);
    cpu->efer = EFER_LME | EFER_LMA;
    cpu->seg[SEG_CS].attr = SEG_ATTR_P | SEG_ATTR_S | SEG_ATTR_L | 0xb;
    cpu_update_mode(cpu);
    SET_CODE(rig, AT_CODE, "\xf3\xaa"); /* rep stosb */
    cpu->regs[R_RCX] = 9;
    cpu->regs[R_RDI] = 0x20000;
    cpu_set_eflags(cpu, FL_TF, FL_TF);
    g_assert_true(interp_step(cpu));
    g_assert_cmphex(cpu->regs[R_RCX], ==, 8);
}

#define ADD(name) g_test_add("/hostile/" #name, Rig, NULL, rig_init, test_##name, rig_clear)

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    ADD(fetch_into_write_only);
    ADD(page_follows_itself);
    ADD(locked_faults_halfway);
    ADD(split_lock);
    ADD(accessed_bit_of_shadow);
    ADD(endless_delivery);
    ADD(blocked_nmi_is_no_work);
    ADD(step_of_repeat);
    return g_test_run();
}
