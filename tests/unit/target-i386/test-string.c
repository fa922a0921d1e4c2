/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Repeated string instructions against the same instruction without its prefix, run once for every
 * element: segments of every base, limit and kind, 16- and 32-bit addresses that wrap, RAM, ROM,
 * holes and a device that notes how it is accessed. Then how they make room for events.
 * (Flat memory against the host CPU: tests/insn/string-diff.c.)
 */
#include <string.h>

#include "memory/memory.h"
#include "target-i386/cpu.h"
#include "target-i386/interp/cache.h"
#include "target-i386/interp/interp.h"

enum {
    RAM_SIZE = 0x40000,
    CODE_BASE = 0x38000, /* beyond what the cases reach */
    AT_CODE = 0x100,
    AT_DEVICE = 0x12000, /* one page, over RAM; a ROM page and a hole follow */
    AT_ROM = 0x13000,
    AT_HOLE = 0x14000,
    CASES = 3000,
    MAX_STEPS = 100000,
};
enum { PREFIX_REPNE = 0xf2, PREFIX_REP = 0xf3 };

typedef struct Rig {
    MemorySpace *memory;
    PortSpace *ports;
    RamBlock *ram;
    X86CPU *cpu;
    GString *log; /* of the device's accesses */
} Rig;

static uint64_t device_read(void *opaque, uint64_t offset, unsigned size)
{
    Rig *rig = opaque;

    g_string_append_printf(rig->log, "r%x.%u ", (unsigned)offset, size);
    return offset * 0x0101010101010101u;
}

static void device_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    Rig *rig = opaque;

    g_string_append_printf(rig->log, "w%x.%u=%" G_GINT64_MODIFIER "x ", (unsigned)offset, size,
                           value);
}

static const MemoryOps device_ops = {.read = device_read, .write = device_write};

static void rig_init(Rig *rig, gconstpointer data)
{
    const uint32_t at[] = {AT_DEVICE, AT_ROM, AT_HOLE, AT_HOLE + 0x1000};

    rig->memory = memory_space_new();
    rig->ports = port_space_new();
    rig->log = g_string_new(NULL);
    rig->ram = ram_block_new("ram", RAM_SIZE, NULL);
    memory_map_ram(rig->memory, 0, rig->ram, 0, at[0], MAP_READ | MAP_WRITE, 0);
    memory_map_io(rig->memory, at[0], 0x1000, &device_ops, rig, "device", 0);
    memory_map_ram(rig->memory, at[1], rig->ram, at[1], 0x1000, MAP_READ | MAP_WRITE | MAP_ROM, 0);
    memory_map_ram(rig->memory, at[3], rig->ram, at[3], RAM_SIZE - at[3], MAP_READ | MAP_WRITE, 0);
    rig->cpu = cpu_new_bare(rig->memory, rig->ports);
}

static void rig_clear(Rig *rig, gconstpointer data)
{
    cpu_free_bare(rig->cpu);
    port_space_free(rig->ports);
    memory_space_free(rig->memory);
    ram_block_free(rig->ram);
    g_string_free(rig->log, true);
}

/* --- cases ------------------------------------------------------------------------- */

typedef struct Case {
    bool protected, code32, address32, repeats_equal, compares;
    unsigned size;
    uint8_t opcode, prefix;
    uint64_t regs[16];
    uint32_t eflags, limit[SEG_LDTR], attr[SEG_LDTR];
    uint32_t base[SEG_LDTR];
} Case;

/* Where a run ended. */
typedef struct Outcome {
    uint64_t regs[16];
    uint32_t flags;
    int vector;
    uint8_t *ram;
    char *log;
} Outcome;

static uint32_t below(GRand *random, uint32_t n)
{
    return g_rand_int(random) % n;
}

static void make_segment(Case *c, SegReg seg, GRand *random)
{
    c->base[seg] = below(random, 0x18000);
    c->limit[seg] = 0xffff;
    c->attr[seg] = SEG_ATTR_P | SEG_ATTR_S | 3;
    if (!c->protected) {
        c->base[seg] &= ~15u;
        return;
    }
    switch (below(random, 4)) {
    case 0:
        c->limit[seg] = below(random, 0x4000);
        break;
    case 1: /* expand-down: what is above the limit is inside */
        c->limit[seg] = below(random, 0x4000);
        c->attr[seg] = SEG_ATTR_P | SEG_ATTR_S | 7 | (below(random, 2) ? SEG_ATTR_DB : 0);
        break;
    default:
        c->limit[seg] = UINT32_MAX;
        c->attr[seg] |= SEG_ATTR_DB | SEG_ATTR_G;
        break;
    }
}

/* Near the segment's start, its limit, the end of 16-bit addresses, the device's pages, or so. */
static uint32_t make_offset(const Case *c, SegReg seg, GRand *random)
{
    switch (below(random, 5)) {
    case 0: return below(random, 40) - 8;
    case 1: return c->limit[seg] - 200 + below(random, 400);
    case 2: return 0xffff - below(random, 600);
    case 3: return AT_DEVICE - c->base[seg] - 0x200 + below(random, 0x3400);
    default: return below(random, 0x8000);
    }
}

static void make_case(Case *c, GRand *random)
{
    static const uint8_t opcodes[] = {0xa4, 0xa4, 0xa6, 0xaa, 0xac, 0xae};

    memset(c, 0, sizeof(*c));
    c->protected = below(random, 3);
    c->code32 = c->protected && below(random, 2);
    c->address32 = below(random, 2);
    c->size = 1u << below(random, 3);
    c->opcode = opcodes[below(random, G_N_ELEMENTS(opcodes))];
    c->compares = c->opcode == 0xa6 || c->opcode == 0xae;
    c->prefix = below(random, 2) ? PREFIX_REP : PREFIX_REPNE;
    c->eflags = 2 | (below(random, 2) ? FL_DF : 0);
    for (SegReg seg = 0; seg < SEG_LDTR; seg++) {
        make_segment(c, seg, random);
    }
    c->regs[R_RAX] = below(random, 2) ? 0 : g_rand_int(random);
    c->regs[R_RCX] = below(random, 1u << below(random, 13));
    c->regs[R_RSI] = make_offset(c, SEG_DS, random);
    c->regs[R_RDI] = make_offset(c, SEG_ES, random);
    if (below(random, 3) == 0) { /* overlap */
        c->base[SEG_ES] = c->base[SEG_DS];
        c->regs[R_RDI] = (uint32_t)(c->regs[R_RSI] + below(random, 33) - 16);
    }
}

static unsigned put_code(const Case *c, uint8_t *code, bool repeat)
{
    unsigned n = 0;

    if (repeat) {
        code[n++] = c->prefix;
    }
    if (c->size > 1 && (c->size == 4) != c->code32) {
        code[n++] = 0x66;
    }
    if (c->address32 != c->code32) {
        code[n++] = 0x67;
    }
    code[n++] = c->opcode + (c->size > 1);
    return n;
}

static void load_case(Rig *rig, const Case *c, bool repeat)
{
    X86CPU *cpu = rig->cpu;
    uint8_t code[8] = {0};

    for (unsigned i = 0; i < RAM_SIZE; i++) {
        rig->ram->host[i] = c->compares ? i % 509 == 3 : i * 31 + (i >> 8);
    }
    put_code(c, code, repeat);
    memory_write(rig->memory, CODE_BASE + AT_CODE, code, sizeof(code));
    code_drain(cpu); /* the code was written from outside the CPU */
    for (unsigned seg = 0; seg < SEG_LDTR; seg++) {
        cpu->seg[seg] = (X86Segment){.base = c->base[seg], .limit = c->limit[seg],
                                     .attr = c->attr[seg], .selector = 8};
    }
    cpu->seg[SEG_CS] = (X86Segment){.base = CODE_BASE, .limit = 0xffff, .selector = 8,
                                    .attr = SEG_ATTR_P | SEG_ATTR_S | 0xb |
                                            (c->code32 ? SEG_ATTR_DB : 0)};
    memcpy(cpu->regs, c->regs, sizeof(c->regs));
    cpu->cr0 = CR0_ET | (c->protected ? CR0_PE : 0);
    cpu->eflags = c->eflags;
    cpu->cc = 0;
    cpu->cpu_rip = AT_CODE;
    cpu->exception.vector = -1;
    cpu_update_mode(cpu);
    mmu_flush(cpu);
    g_string_truncate(rig->log, 0);
}

static void keep_outcome(Rig *rig, Outcome *out, bool raised)
{
    memcpy(out->regs, rig->cpu->regs, sizeof(out->regs));
    out->flags = cpu_get_eflags(rig->cpu);
    out->vector = raised ? rig->cpu->exception.vector : -1;
    out->ram = g_memdup2(rig->ram->host, RAM_SIZE);
    memset(out->ram + CODE_BASE + AT_CODE, 0, 8); /* the two codes differ */
    out->log = g_strdup(rig->log->str);
    rig->cpu->exception.vector = -1;
}

static void run_repeated(Rig *rig, const Case *c, Outcome *out)
{
    bool raised = false;

    load_case(rig, c, true);
    for (unsigned i = 0; i < MAX_STEPS && !raised && rig->cpu->cpu_rip == AT_CODE; i++) {
        raised = !interp_step(rig->cpu);
    }
    g_assert_true(raised || rig->cpu->cpu_rip != AT_CODE);
    keep_outcome(rig, out, raised);
}

static void run_singly(Rig *rig, const Case *c, Outcome *out)
{
    X86CPU *cpu = rig->cpu;
    uint64_t count = c->regs[R_RCX];
    bool raised = false, until_equal = c->prefix == PREFIX_REPNE;

    load_case(rig, c, false);
    while (count && !raised) {
        cpu->cpu_rip = AT_CODE;
        raised = !interp_step(cpu);
        if (raised) {
            cpu->cc = 0; /* back to what they were */
            break;
        }
        count--;
        if (c->compares && !(cpu->cc & FL_ZF) == !until_equal) {
            break;
        }
    }
    cpu->regs[R_RCX] = count;
    keep_outcome(rig, out, raised);
}

static void outcome_clear(Outcome *out)
{
    g_free(out->ram);
    g_free(out->log);
}

static void test_elements(Rig *rig, gconstpointer data)
{
    unsigned faults = 0, accesses = 0;

    for (unsigned i = 0; i < CASES; i++) {
        g_autoptr(GRand) random = g_rand_new_with_seed(i);
        Outcome want, got;
        Case c;

        make_case(&c, random);
        run_singly(rig, &c, &want);
        run_repeated(rig, &c, &got);
        g_test_message("case %u: opcode %02x prefix %02x size %u rcx %x rsi %x rdi %x", i, c.opcode,
                       c.prefix, c.size, (unsigned)c.regs[R_RCX], (unsigned)c.regs[R_RSI],
                       (unsigned)c.regs[R_RDI]);
        g_assert_cmpint(got.vector, ==, want.vector);
        for (unsigned r = 0; r < 16; r++) {
            g_assert_cmphex(got.regs[r], ==, want.regs[r]);
        }
        g_assert_cmphex(got.flags, ==, want.flags);
        g_assert_cmpmem(got.ram, RAM_SIZE, want.ram, RAM_SIZE);
        g_assert_cmpstr(got.log, ==, want.log);
        faults += want.vector >= 0;
        accesses += want.log[0] != 0;
        outcome_clear(&want);
        outcome_clear(&got);
    }
    g_assert_cmpuint(faults, >, CASES / 20);
    g_assert_cmpuint(accesses, >, CASES / 20);
}

/* --- events -------------------------------------------------------------------------- */

static const Case long_copy = {
    .protected = true, .code32 = true, .address32 = true, .opcode = 0xa4, .prefix = PREFIX_REP,
    .size = 1, .eflags = 2,
    .regs = {[R_RCX] = 0x8000, [R_RSI] = 0x1010, [R_RDI] = 0x20020},
    .limit = {[SEG_ES] = UINT32_MAX, [SEG_DS] = UINT32_MAX},
    .attr = {[SEG_ES] = SEG_ATTR_P | SEG_ATTR_S | 3, [SEG_DS] = SEG_ATTR_P | SEG_ATTR_S | 3},
};

/* What is pending gets in before two pages are done, with all registers where they belong. */
static void test_pending(Rig *rig, gconstpointer data)
{
    X86CPU *cpu = rig->cpu;
    uint64_t done;

    load_case(rig, &long_copy, true);
    vcpu_raise(&cpu->vcpu, VCPU_STOP);
    g_assert_true(interp_step(cpu));
    g_assert_cmphex(cpu->cpu_rip, ==, AT_CODE);
    done = 0x8000 - cpu->regs[R_RCX];
    g_assert_cmpuint(done, >, 0);
    g_assert_cmpuint(done, <=, GUEST_PAGE_SIZE);
    g_assert_cmphex(cpu->regs[R_RSI], ==, 0x1010 + done);
    g_assert_cmphex(cpu->regs[R_RDI], ==, 0x20020 + done);
    g_assert_cmpmem(rig->ram->host + 0x20020, done, rig->ram->host + 0x1010, done);
    g_assert_cmphex(rig->ram->host[0x20020 + done], !=, rig->ram->host[0x1010 + done]);
    vcpu_clear(&cpu->vcpu, VCPU_STOP);
}

/* Code that a string instruction overwrites is decoded anew, wherever in the run it lies. */
static void test_code_overwritten(Rig *rig, gconstpointer data)
{
    const uint32_t at = 0x20e00;
    uint8_t *host = rig->ram->host;
    X86CPU *cpu = rig->cpu;

    for (unsigned down = 0; down < 2; down++) {
        Case c = long_copy;

        c.regs[R_RCX] = 0x1f00;
        c.eflags |= down ? FL_DF : 0;
        c.regs[R_RSI] += down ? c.regs[R_RCX] - 1 : 0;
        c.regs[R_RDI] += down ? c.regs[R_RCX] - 1 : 0;
        load_case(rig, &c, true);
        memcpy(host + at, "\x40", 1); /* inc %eax */
        memcpy(host + at - 0x20020 + 0x1010, "\x48", 1); /* dec %eax */
        code_flush(cpu); /* nobody was told of these bytes */
        cpu->regs[R_RAX] = 0;
        cpu->seg[SEG_CS].limit = UINT32_MAX;
        cpu->cpu_rip = (uint32_t)(at - CODE_BASE);
        g_assert_true(interp_step(cpu));
        g_assert_cmphex(cpu->regs[R_RAX], ==, 1);
        cpu->cpu_rip = AT_CODE;
        while (cpu->cpu_rip == AT_CODE) {
            g_assert_true(interp_step(cpu));
        }
        code_drain(cpu); /* as the run loop would: this thread is no vCPU's */
        cpu->cpu_rip = (uint32_t)(at - CODE_BASE);
        g_assert_true(interp_step(cpu));
        g_assert_cmphex(cpu->regs[R_RAX], ==, 0);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add("/string/elements", Rig, NULL, rig_init, test_elements, rig_clear);
    g_test_add("/string/pending", Rig, NULL, rig_init, test_pending, rig_clear);
    g_test_add("/string/code-overwritten", Rig, NULL, rig_init, test_code_overwritten, rig_clear);
    return g_test_run();
}
