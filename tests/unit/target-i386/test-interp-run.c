/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Running for a while on behalf of another engine: what ends it, and in which state. */
#include <string.h>
#include <unistd.h>

#include "memory/memory.h"
#include "target-i386/interp/interp.h"

#define RAM_SIZE 0x10000
#define AT_CODE  0x1000
#define AT_DE    0x2000 /* handlers */
#define AT_UD    0x2100
#define STACK    0x8000

typedef struct Rig {
    MemorySpace *memory;
    PortSpace *ports;
    RamBlock *ram;
    X86CPU *cpu;
} Rig;

static void set_code(Rig *rig, uint64_t at, const char *code, unsigned size)
{
    memcpy(rig->ram->host + at, code, size);
}
#define SET_CODE(rig, at, code) set_code(rig, at, code, sizeof(code) - 1)

/* Real mode with handlers of #DE and #UD that halt. */
static void rig_init(Rig *rig, gconstpointer data)
{
    rig->memory = memory_space_new();
    rig->ports = port_space_new();
    rig->ram = ram_block_new("ram", RAM_SIZE, NULL);
    memory_map_ram(rig->memory, 0, rig->ram, 0, RAM_SIZE, MAP_READ | MAP_WRITE, 0);
    rig->cpu = cpu_new_bare(rig->memory, rig->ports);
    rig->cpu->seg[SEG_CS].selector = 0;
    rig->cpu->seg[SEG_CS].base = 0;
    rig->cpu->regs[R_RSP] = STACK;
    rig->cpu->cpu_rip = AT_CODE;
    SET_CODE(rig, EXC_DE * 4, "\x00\x20\x00\x00");
    SET_CODE(rig, EXC_UD * 4, "\x00\x21\x00\x00");
    SET_CODE(rig, AT_DE, "\xf4");
    SET_CODE(rig, AT_UD, "\xf4");
    alarm(20);
}

static void rig_clear(Rig *rig, gconstpointer data)
{
    alarm(0);
    cpu_free_bare(rig->cpu);
    port_space_free(rig->ports);
    memory_space_free(rig->memory);
    ram_block_free(rig->ram);
}

static void test_limit(Rig *rig, gconstpointer data)
{
    SET_CODE(rig, AT_CODE, "\x40\xeb\xfd"); /* inc ax; jmp back */
    g_assert_true(interp_run_for(rig->cpu, 1000));
    g_assert_cmpuint(rig->cpu->icount, ==, 1000);
    g_assert_cmpuint(rig->cpu->regs[R_RAX], ==, 500);
    g_assert_cmphex(rig->cpu->cpu_rip, ==, AT_CODE);
}

/* #UD is the other engine's to raise; the interpreter's own step delivers it. */
static void test_unknown(Rig *rig, gconstpointer data)
{
    SET_CODE(rig, AT_CODE, "\x40\x90\x0f\x0b"); /* inc ax; nop; ud2 */
    g_assert_false(interp_run_for(rig->cpu, 1000));
    g_assert_cmphex(rig->cpu->cpu_rip, ==, AT_CODE + 2);
    g_assert_cmphex(rig->cpu->regs[R_RSP], ==, STACK);
    g_assert_cmpuint(rig->cpu->regs[R_RAX], ==, 1);
    g_assert_cmpint(rig->cpu->exception.vector, ==, -1);
    interp_execute_one(rig->cpu);
    g_assert_cmphex(rig->cpu->cpu_rip, ==, AT_UD);
}

/* Any other exception is delivered, and the run goes on in its handler. */
static void test_exception(Rig *rig, gconstpointer data)
{
    SET_CODE(rig, AT_CODE, "\x31\xc9\xf7\xf1"); /* xor cx, cx; div cx */
    g_assert_true(interp_run_for(rig->cpu, 1000));
    g_assert_true(rig->cpu->vcpu.halted);
    g_assert_cmphex(rig->cpu->cpu_rip, ==, AT_DE + 1);
    g_assert_cmphex(rig->cpu->regs[R_RSP], ==, STACK - 6);
}

static void test_events(Rig *rig, gconstpointer data)
{
    static const uint32_t bits[] = {VCPU_STOP, VCPU_EXIT, VCPU_INIT, VCPU_SIPI};

    SET_CODE(rig, AT_CODE, "\xeb\xfe");
    for (unsigned i = 0; i < G_N_ELEMENTS(bits); i++) {
        vcpu_raise(&rig->cpu->vcpu, bits[i]);
        g_assert_true(interp_run_for(rig->cpu, 1000));
        g_assert_cmphex(vcpu_pending(&rig->cpu->vcpu), ==, bits[i]);
        g_assert_cmpuint(rig->cpu->icount, ==, 0);
        vcpu_clear(&rig->cpu->vcpu, bits[i]);
    }
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*fn)(Rig *rig, gconstpointer data);
    } tests[] = {
        {"/interp-run/limit", test_limit},
        {"/interp-run/unknown", test_unknown},
        {"/interp-run/exception", test_exception},
        {"/interp-run/events", test_events},
    };

    g_test_init(&argc, &argv, NULL);
    for (unsigned i = 0; i < G_N_ELEMENTS(tests); i++) {
        g_test_add(tests[i].name, Rig, NULL, rig_init, tests[i].fn, rig_clear);
    }
    return g_test_run();
}
