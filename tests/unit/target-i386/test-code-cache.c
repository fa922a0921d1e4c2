/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Decoded code and the pages it lies in: when writes are watched, and when no longer. */
#include <string.h>

#include "memory/memory.h"
#include "target-i386/cpu.h"
#include "target-i386/interp/cache.h"
#include "target-i386/interp/interp.h"
#include "target-i386/mmu.h"

#define AT_CODE 0x4000
#define AT_DATA 0x4800 /* the same page */
#define ENOUGH 64u     /* writes beside code until a page is taken to be data */

typedef struct Rig {
    MemorySpace *memory;
    PortSpace *ports;
    RamBlock *ram;
    X86CPU *cpu;
} Rig;

static void rig_init(Rig *rig, gconstpointer data)
{
    rig->memory = memory_space_new();
    rig->ports = port_space_new();
    rig->ram = ram_block_new("ram", 0x10000, NULL);
    memory_map_ram(rig->memory, 0, rig->ram, 0, 0x10000, MAP_READ | MAP_WRITE, 0);
    rig->cpu = cpu_new_bare(rig->memory, rig->ports);
    rig->cpu->seg[SEG_CS].base = 0;
}

static void rig_clear(Rig *rig, gconstpointer data)
{
    cpu_free_bare(rig->cpu);
    port_space_free(rig->ports);
    memory_space_free(rig->memory);
    ram_block_free(rig->ram);
}

/* Runs the instruction at AT_CODE and returns what it left in AX. */
static uint16_t step(Rig *rig)
{
    code_drain(rig->cpu);
    rig->cpu->cpu_rip = AT_CODE;
    g_assert_true(interp_step(rig->cpu));
    return rig->cpu->regs[R_RAX];
}

static void put_code(Rig *rig, const char *code)
{
    for (unsigned i = 0; code[i]; i++) {
        memory_store(rig->memory, AT_CODE + i, (uint8_t)code[i], 1);
    }
}

static bool watched(const Rig *rig)
{
    return ram_page_marks(rig->ram, AT_CODE) & PAGE_WATCH_CODE;
}

/* Writes beside the code; how many it took until the page was no longer watched. */
static unsigned write_beside(Rig *rig)
{
    unsigned count = 0;

    while (watched(rig) && count < ENOUGH) {
        memory_store(rig->memory, AT_DATA, count++, 1);
        code_drain(rig->cpu);
    }
    return count;
}

/* A page that is written again and again beside its code is let go; the code still runs. */
static void test_page_becomes_data(Rig *rig, gconstpointer data)
{
    unsigned first;

    put_code(rig, "\x40"); /* inc ax */
    g_assert_cmpuint(step(rig), ==, 1);
    g_assert_true(watched(rig));
    first = write_beside(rig);
    g_assert_false(watched(rig));
    put_code(rig, "\x48"); /* dec ax: nobody is told of this write */
    g_assert_cmpuint(step(rig), ==, 0);
    /* A page whose code is still used is not let go as soon. */
    g_assert_true(watched(rig));
    g_assert_cmpuint(write_beside(rig), >, first);
}

/* Writes to the code itself are seen, however few they are. */
static void test_code_changes(Rig *rig, gconstpointer data)
{
    put_code(rig, "\x40");
    g_assert_cmpuint(step(rig), ==, 1);
    put_code(rig, "\x48");
    g_assert_cmpuint(step(rig), ==, 0);
    memory_store(rig->memory, AT_DATA, 1, 1);
    put_code(rig, "\x40");
    g_assert_cmpuint(step(rig), ==, 1);
}

/* The jump cache does not outlive a block that was dropped, nor a page that moved. */
static void test_jump_entries(Rig *rig, gconstpointer data)
{
    JumpEntry *jumps = code_jump_entries(rig->cpu->code);
    uint64_t map;

    put_code(rig, "\x40");
    step(rig);
    map = rig->cpu->map_generation;
    rig->cpu->cpu_rip = AT_CODE;
    g_assert_cmpuint(code_find(rig->cpu, jumps)->bytes, >, 0);
    code_flush(rig->cpu);
    for (unsigned i = 0; i < JUMP_CACHE_SIZE; i++) {
        g_assert_null(jumps[i].block);
    }
    g_assert_cmpuint(rig->cpu->map_generation, ==, map);
    g_assert_cmpuint(step(rig), ==, 2);
}

/* Changes the immediate at AT_CODE so often that the block is compared from then on. */
static Block *wear_out(Rig *rig)
{
    Block *block;

    put_code(rig, "\x66\xb8\x01\x02\x03\x04\xf4"); /* mov eax, imm32; hlt */
    for (unsigned n = 0; n < 100; n++) {
        memory_store(rig->memory, AT_CODE + 2, n, 4);
        g_assert_cmpuint(step(rig), ==, n);
    }
    rig->cpu->cpu_rip = AT_CODE;
    block = code_find(rig->cpu, code_jump_entries(rig->cpu->code));
    g_assert_nonnull(block->checked);
    return block;
}

/* Such a block outlives changes of its immediate, and no other; its page is not watched. */
static void test_compared(Rig *rig, gconstpointer data)
{
    const JumpEntry *jumps = code_jump_entries(rig->cpu->code);
    Block *block = wear_out(rig);

    for (unsigned n = 0; watched(rig); n++) {
        g_assert_cmpuint(n, <, 1000);
        memory_store(rig->memory, AT_CODE + 2, n, 4);
    }
    memory_store(rig->memory, AT_CODE + 2, 0x12345678, 4);
    g_assert_cmpuint(step(rig), ==, 0x5678);
    g_assert_true(jumps[(AT_CODE ^ AT_CODE >> 12) % JUMP_CACHE_SIZE].block == block);
    g_assert_cmpuint(block->checked->imm_count, ==, 1);
    put_code(rig, "\x66\x05\x01\x01\x01\x01"); /* add eax, imm32 */
    rig->cpu->regs[R_RAX] = 1;
    g_assert_cmpuint(step(rig), ==, 0x102);
    put_code(rig, "\x66\xb8");
    g_assert_cmpuint(step(rig), ==, 0x101);
    g_assert_false(watched(rig));
    code_flush(rig->cpu);
    g_assert_cmpuint(step(rig), ==, 0x101);
}

/* A block that may write to itself, and one of many bytes, are watched there too. */
static void test_not_compared(Rig *rig, gconstpointer data)
{
    wear_out(rig);
    put_code(rig, "\x89\x07\x40\xf4"); /* mov [bx], ax; inc ax; hlt */
    rig->cpu->cpu_rip = AT_CODE;
    g_assert_null(code_find(rig->cpu, code_jump_entries(rig->cpu->code))->checked);
    wear_out(rig);
    for (unsigned i = 0; i < 60; i++) { /* add eax, imm32 */
        memory_store(rig->memory, AT_CODE + 6 * i, 0x11110566, 4);
        memory_store(rig->memory, AT_CODE + 6 * i + 4, 0x1111, 2);
    }
    rig->cpu->cpu_rip = AT_CODE;
    code_drain(rig->cpu);
    g_assert_cmpuint(code_find(rig->cpu, code_jump_entries(rig->cpu->code))->bytes, >, 200);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
#define ADD(name) g_test_add("/code-cache/" #name, Rig, NULL, rig_init, test_##name, rig_clear)
    ADD(page_becomes_data);
    ADD(code_changes);
    ADD(jump_entries);
    ADD(compared);
    ADD(not_compared);
    return g_test_run();
}
