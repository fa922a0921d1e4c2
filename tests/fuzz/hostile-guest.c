/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A guest that means harm: random code in every mode, over its own page tables, descriptor tables
 * and code, in device memory and in holes, on one CPU or two. What it computes is not looked at:
 * nothing may crash, every CPU must park when it is told to, and memory must not grow.
 *
 *     hostile-guest [--seed=N] [--count=N] [--rounds=N]
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "hostile-board.h"
#include "target-i386/interp/cache.h"
#include "util/lock.h"

/* Where things lie in the guest's RAM. */
enum {
    AT_GDT = 0x1000, AT_IDT = 0x2000, AT_TSS = 0x3000, AT_PML4 = 0x4000, AT_PDPT = 0x5000,
    AT_PD = 0x6000, AT_PT = 0x7000, AT_PD32 = 0x8000, AT_PT32 = 0x9000, AT_CODE = 0x10000,
    CODE_SIZE = 0x20000, AT_STACK = 0x40000,
};

enum { SEL_CODE16 = 0x08, SEL_CODE32 = 0x10, SEL_CODE64 = 0x18, SEL_DATA = 0x20, SEL_TSS = 0x28,
       SEL_UCODE32 = 0x3b, SEL_UDATA = 0x43, SEL_UCODE64 = 0x4b };

typedef enum { MODE_REAL, MODE_PM16, MODE_PM32, MODE_PAGE32, MODE_PAE, MODE_LONG, MODE_COMPAT,
               MODE_COUNT } Mode;

typedef struct Guest {
    uint64_t random;
    Mode mode;
    bool user;
    HostileBoard *board;
    uint8_t *ram;
    unsigned restarts[BOARD_CPUS];
} Guest;

static uint32_t below(Guest *guest, unsigned limit)
{
    return random_below(&guest->random, limit);
}

static uint64_t any(Guest *guest)
{
    return random_next(&guest->random);
}

/* --- values -------------------------------------------------------------------------------- */

/* Addresses at which something begins or ends. */
static uint64_t hostile_address(Guest *guest)
{
    static const uint64_t places[] = {
        0, AT_GDT, AT_IDT, AT_TSS, AT_PML4, AT_PDPT, AT_PD, AT_PT, AT_PD32, AT_PT32, AT_CODE,
        AT_CODE + 0x8000, AT_STACK, 0xa0000, 0xa8000, 0xc0000, 0xc4000, 0xc8000, 0xcc000, 0xe0000,
        0x100000, 0x1ff000, 0x200000, 0xfec00000, 0xfec00800, 0xfee00000, 0xfff00000, 0xffff0000,
        0x100000000, 0x7fffffffffff, 0x800000000000, 0xffff800000000000, 0xfffffffffffff000,
    };
    uint64_t base = places[below(guest, G_N_ELEMENTS(places))];

    switch (below(guest, 4)) {
    case 0: return base;
    case 1: return base - 1 - below(guest, 16);
    case 2: return base + below(guest, 64);
    default: return AT_CODE + below(guest, CODE_SIZE);
    }
}

static uint64_t hostile_value(Guest *guest)
{
    switch (below(guest, 4)) {
    case 0: return any(guest);
    case 1: return 1ULL << below(guest, 64);
    case 2: return below(guest, 2) ? UINT64_MAX : below(guest, 16);
    default: return hostile_address(guest);
    }
}

/* --- code ------------------------------------------------------------------------------------ */

typedef struct Code {
    Guest *guest;
    uint8_t bytes[64];
    unsigned len;
} Code;

static void put(Code *code, uint64_t value, unsigned size)
{
    memcpy(code->bytes + code->len, &value, size);
    code->len += size;
}

static void put_bytes(Code *code, const char *bytes, unsigned size)
{
    memcpy(code->bytes + code->len, bytes, size);
    code->len += size;
}
#define PUT(code, text) put_bytes(code, text, sizeof(text) - 1)

/* MOV register, immediate: as wide as the mode has it. */
static void put_load(Code *code, unsigned reg, uint64_t value)
{
    switch (code->guest->mode) {
    case MODE_LONG:
        put(code, 0x48, 1);
        put(code, 0xb8 + reg, 1);
        put(code, value, 8);
        return;
    case MODE_REAL:
    case MODE_PM16:
        put(code, 0x66, 1);
        break;
    default:
        break;
    }
    put(code, 0xb8 + reg, 1);
    put(code, value, 4);
}

static void put_random(Code *code)
{
    unsigned size = 1 + below(code->guest, 8);

    put(code, any(code->guest), size);
}

/* An opcode of the one- or two-byte map with a ModRM byte, behind random prefixes. */
static void put_modrm(Code *code)
{
    static const char prefixes[] = "\x66\x67\xf0\xf2\xf3\x2e\x36\x64\x65";
    Guest *guest = code->guest;

    while (below(guest, 3) == 0 && code->len < 4) {
        put(code, prefixes[below(guest, sizeof(prefixes) - 1)], 1);
    }
    if (guest->mode == MODE_LONG && below(guest, 2)) {
        put(code, 0x40 | below(guest, 16), 1);
    }
    if (below(guest, 2)) {
        put(code, 0x0f, 1);
    }
    put(code, any(guest), 1);
    put(code, any(guest), 1);
    put(code, any(guest), below(guest, 9));
}

static void put_string(Code *code)
{
    static const char ops[] = "\xa4\xa5\xa6\xa7\xaa\xab\xac\xad\xae\xaf\x6c\x6d\x6e\x6f";
    Guest *guest = code->guest;

    put_load(code, 1, below(guest, 2) ? below(guest, 0x3000) : hostile_value(guest));
    put_load(code, 6, hostile_address(guest));
    put_load(code, 7, hostile_address(guest));
    put(code, below(guest, 4) ? 0xfc : 0xfd, 1);
    put(code, below(guest, 4) ? 0xf3 : 0xf2, 1);
    if (guest->mode == MODE_LONG && below(guest, 2)) {
        put(code, 0x48, 1);
    }
    put(code, ops[below(guest, sizeof(ops) - 1)], 1);
}

/* A store into code close by, or into any place: what it writes is code or a page-table entry. */
static void put_store(Code *code)
{
    Guest *guest = code->guest;

    put_load(code, 0, below(guest, 2) ? any(guest) : hostile_address(guest) | below(guest, 8));
    put_load(code, 3, hostile_address(guest));
    switch (below(guest, 4)) {
    case 0: PUT(code, "\xf0\x0f\xb1\x0b"); break;  /* lock cmpxchg [rbx], ecx */
    case 1: PUT(code, "\xf0\x01\x03"); break;      /* lock add [rbx], eax */
    case 2: PUT(code, "\xf0\x0f\xc7\x0b"); break;  /* lock cmpxchg8b [rbx] */
    default: PUT(code, "\x89\x03"); break;
    }
}

static void put_close_store(Code *code)
{
    Guest *guest = code->guest;

    if (guest->mode == MODE_LONG) { /* mov byte [rip + n], n */
        PUT(code, "\xc6\x05");
        put(code, below(guest, 48) - 16, 4);
        put(code, any(guest), 1);
    } else { /* call next; pop rbx; mov [rbx + n], al */
        PUT(code, "\xe8\x00\x00\x00\x00\x5b\x88\x43");
        put(code, any(guest) & 31, 1);
    }
}

static void put_control(Code *code)
{
    static const uint8_t registers[] = {0, 0, 2, 3, 3, 4, 4, 8};
    Guest *guest = code->guest;

    put_load(code, 0, below(guest, 2) ? 0x80000011 ^ (1u << below(guest, 32))
                                      : hostile_value(guest));
    PUT(code, "\x0f");
    put(code, below(guest, 4) ? 0x22 : 0x23, 1);
    put(code, 0xc0 | registers[below(guest, 7)] << 3, 1);
}

static void put_msr(Code *code)
{
    static const uint32_t bases[] = {0x10, 0x1b, 0x174, 0x1a0, 0x200, 0x250, 0x277, 0x2ff, 0x400,
                                     0x6e0, 0x800, 0xc0000080, 0xc0000081, 0xc0000100, 0xda0};
    Guest *guest = code->guest;

    put_load(code, 1, bases[below(guest, G_N_ELEMENTS(bases))] + below(guest, 8));
    put_load(code, 0, hostile_value(guest));
    put_load(code, 2, below(guest, 2) ? 0 : any(guest));
    put(code, 0x0f, 1);
    put(code, below(guest, 3) ? 0x30 : 0x32, 1);
}

/* Instructions that need no operand, or take RBX for an address. */
static void put_system(Code *code)
{
    static const char *const forms[] = {
        "\x0f\x01\x13" /* lgdt */, "\x0f\x01\x1b" /* lidt */, "\x0f\x01\x3b" /* invlpg */,
        "\x0f\x01\xf8" /* swapgs */, "\x0f\xa2" /* cpuid */, "\x0f\x05", "\x0f\x07", "\x0f\x34",
        "\x0f\x35", "\xf4" /* hlt */, "\xfa", "\xfb", "\xcf" /* iret */, "\xcb", "\xc3", "\x9d",
        "\x0f\x0b", "\xcc", "\xce", "\xf1", "\x0f\x08", "\x0f\x09", "\x0f\xae\x03", "\x0f\xae\x0b",
        "\x0f\xae\x23", "\x0f\xae\x2b", "\x0f\xae\x33", "\x0f\xc7\x23", "\x0f\x01\xd0",
        "\x0f\x01\xd1", "\x8e\xd0", "\x8e\xd8", "\x8e\xe8", "\x0f\x01\xca", "\x0f\x01\xcb",
        "\x0f\x01\xef", "\x0f\xc7\xf0", "\xf3\x90", "\x0f\x01\xc8", "\x0f\x01\xc9", "\x0f\x77",
        "\x9b\xdb\xe3", "\xdd\x23", "\xdd\x33", "\xd9\x23", "\xd9\x33", "\xff\x1b", "\xff\x2b",
        "\x07", "\x17", "\x1f", "\xc8\x10\x20\x1f", "\x62\x03", "\x0f\xb2\x23", "\x48\xcf",
    };
    Guest *guest = code->guest;
    const char *form = forms[below(guest, G_N_ELEMENTS(forms))];

    put_load(code, 3, hostile_address(guest));
    if (below(guest, 4) == 0) {
        put_load(code, 0, below(guest, 16) * 8 + below(guest, 4));
    }
    put_bytes(code, form, MAX(strlen(form), 2));
}

static void put_descriptor(Code *code)
{
    Guest *guest = code->guest;

    put_load(code, 0, below(guest, 20) * 8 + below(guest, 4));
    PUT(code, "\x0f\x00");
    put(code, 0xc0 | below(guest, 8) << 3, 1); /* sldt, str, lldt, ltr, verr, verw */
}

static void put_port(Code *code)
{
    static const char ops[] = "\xee\xef\xec\xed";
    static const uint16_t ports[] = {0x60, 0x61, 0x61, 0x60, 0x92, 0x63, 0xffff};
    Guest *guest = code->guest;

    put_load(code, 2, ports[below(guest, G_N_ELEMENTS(ports))]);
    put_load(code, 0, any(guest));
    put(code, ops[below(guest, 4)], 1);
}

static void put_jump(Code *code)
{
    Guest *guest = code->guest;

    switch (below(guest, 4)) {
    case 0: /* jmp rbx, call rbx */
        put_load(code, 3, hostile_address(guest));
        put(code, 0xff, 1);
        put(code, below(guest, 2) ? 0xe3 : 0xd3, 1);
        break;
    case 1: /* a loop */
        PUT(code, "\xe2");
        put(code, -(int)below(guest, 60), 1);
        break;
    case 2: /* far */
        put(code, 0xea, 1);
        put(code, hostile_address(guest), 4);
        put(code, below(guest, 16) * 8 + below(guest, 4), 2);
        break;
    default: /* a condition */
        put(code, 0x70 | below(guest, 16), 1);
        put(code, any(guest), 1);
        break;
    }
}

typedef void PutFn(Code *code);

static PutFn *const put_fns[] = {
    put_random, put_modrm, put_modrm, put_modrm, put_modrm, put_modrm, put_string, put_store,
    put_close_store, put_control, put_msr, put_system, put_system, put_descriptor, put_port,
    put_jump, put_jump,
};

static void fill_code(Guest *guest)
{
    uint8_t *to = guest->ram + AT_CODE;
    unsigned at = 0;

    while (at + sizeof(((Code *)0)->bytes) < CODE_SIZE) {
        Code code = {.guest = guest};

        put_fns[below(guest, G_N_ELEMENTS(put_fns))](&code);
        memcpy(to + at, code.bytes, code.len);
        at += code.len;
    }
}

/* --- tables -------------------------------------------------------------------------------- */

static void set64(Guest *guest, uint64_t at, uint64_t value)
{
    memcpy(guest->ram + at, &value, 8);
}

/* Sometimes another value than the right one. */
static uint64_t maybe_wrong(Guest *guest, uint64_t value)
{
    return below(guest, 24) ? value : value ^ (1ULL << below(guest, 64));
}

static void fill_tables(Guest *guest)
{
    bool wide = guest->mode == MODE_LONG || guest->mode == MODE_COMPAT;
    unsigned selector = wide ? SEL_CODE64 : guest->mode == MODE_PM16 ? SEL_CODE16 : SEL_CODE32;
    static const uint64_t gdt[] = {
        0, 0x008f9b000000ffff, 0x00cf9b000000ffff, 0x00af9b000000ffff, 0x00cf93000000ffff,
        0x0000890030000fff, 0, 0x00cffb000000ffff, 0x00cff3000000ffff, 0x00affb000000ffff,
        0x0000850000000018, 0x00008c0000100000, 0x00cf970000000fff, 0x0000820010000fff,
    };

    for (unsigned i = 0; i < 64; i++) {
        set64(guest, AT_GDT + i * 8, i < G_N_ELEMENTS(gdt) ? maybe_wrong(guest, gdt[i])
                                                           : any(guest));
    }
    for (unsigned i = 0; i < 256; i++) {
        uint64_t to = AT_CODE + below(guest, CODE_SIZE);
        uint64_t gate = (to & 0xffff) | (uint64_t)selector << 16 | 0xee0000000000ULL |
                        (to >> 16) << 48;

        if (guest->mode == MODE_REAL) {
            uint32_t vector = (to & 0xf) | (to >> 4) << 16;

            memcpy(guest->ram + i * 4, &vector, 4);
        } else if (wide) {
            gate |= (uint64_t)below(guest, 3) << 32; /* a stack of the TSS */
            set64(guest, AT_IDT + i * 16, maybe_wrong(guest, gate));
            set64(guest, AT_IDT + i * 16 + 8, maybe_wrong(guest, 0));
        } else {
            set64(guest, AT_IDT + i * 8, maybe_wrong(guest, gate));
        }
    }
    for (unsigned i = 0; i < 0x68; i += 4) { /* stacks and IST entries, or selectors */
        uint32_t value = wide ? ((i & 4) ? AT_STACK + 0x8000 : 0)
                              : (i & 4) ? AT_STACK + 0x8000 : SEL_DATA;

        memcpy(guest->ram + AT_TSS + i, &value, 4);
    }
}

/* 0 to 2 MiB by 4 KiB pages, the rest of 4 GiB by large ones; some entries are wrong. */
static void fill_paging(Guest *guest)
{
    for (unsigned i = 0; i < 512; i++) {
        set64(guest, AT_PML4 + i * 8, i == 0 || i == 511 ? AT_PDPT | 7 : 0);
        set64(guest, AT_PDPT + i * 8, i == 0 || i == 3 ? AT_PD | (guest->mode == MODE_PAE ? 1 : 7)
                                      : maybe_wrong(guest, 0));
        set64(guest, AT_PD + i * 8, i == 0 ? AT_PT | 7 : maybe_wrong(guest, i << 21 | 0x87));
        set64(guest, AT_PT + i * 8, maybe_wrong(guest, i << 12 | 7));
    }
    for (unsigned i = 0; i < 1024; i++) {
        uint32_t pde = i == 0 ? AT_PT32 | 7 : (uint32_t)maybe_wrong(guest, i << 22 | 0x87);
        uint32_t pte = maybe_wrong(guest, (i % 512) << 12 | 7);

        memcpy(guest->ram + AT_PD32 + i * 4, &pde, 4);
        memcpy(guest->ram + AT_PT32 + i * 4, &pte, 4);
    }
}

/* --- the CPU's state ------------------------------------------------------------------------- */

static X86Segment flat_segment(uint16_t selector, uint32_t attr)
{
    return (X86Segment){.limit = UINT32_MAX, .attr = attr | SEG_ATTR_P | SEG_ATTR_S | SEG_ATTR_G |
                                                     (selector & 3) << SEG_ATTR_DPL_SHIFT,
                        .selector = selector};
}

static void enter_protected(Guest *guest, X86CPU *cpu)
{
    static const uint32_t code_attr[] = {
        [MODE_PM16] = 0, [MODE_PM32] = SEG_ATTR_DB, [MODE_PAGE32] = SEG_ATTR_DB,
        [MODE_PAE] = SEG_ATTR_DB, [MODE_LONG] = SEG_ATTR_L, [MODE_COMPAT] = SEG_ATTR_DB,
    };
    bool wide = guest->mode == MODE_LONG;
    uint16_t code = guest->user ? (wide ? SEL_UCODE64 : SEL_UCODE32)
                                : wide ? SEL_CODE64 : guest->mode == MODE_PM16 ? SEL_CODE16
                                                                              : SEL_CODE32;
    uint16_t data = guest->user ? SEL_UDATA : SEL_DATA;

    cpu->seg[SEG_CS] = flat_segment(code, 0xb | code_attr[guest->mode]);
    for (unsigned i = 0; i < SEG_LDTR; i++) {
        if (i != SEG_CS) {
            cpu->seg[i] = flat_segment(data, 3 | SEG_ATTR_DB);
        }
    }
    cpu->seg[SEG_TR] = (X86Segment){.base = AT_TSS, .limit = 0xfff, .selector = SEL_TSS,
                                    .attr = SEG_ATTR_P | 0xb};
    cpu->gdtr = (X86Table){AT_GDT, 0x1ff};
    cpu->idtr = (X86Table){AT_IDT, 0xfff};
    cpu->cpl = guest->user ? 3 : 0;
    cpu->cr0 |= CR0_PE;
}

static void enter_paging(Guest *guest, X86CPU *cpu)
{
    if (guest->mode < MODE_PAGE32) {
        return;
    }
    cpu->cr4 = CR4_PSE | CR4_OSFXSR | CR4_OSXSAVE | (below(guest, 2) ? CR4_SMEP | CR4_SMAP : 0);
    cpu->cr3 = guest->mode == MODE_PAGE32 ? AT_PD32 : guest->mode == MODE_PAE ? AT_PDPT : AT_PML4;
    if (guest->mode >= MODE_PAE) {
        cpu->cr4 |= CR4_PAE;
        memcpy(cpu->pdpte, guest->ram + AT_PDPT, sizeof(cpu->pdpte));
    }
    if (guest->mode >= MODE_LONG) {
        cpu->efer = EFER_LME | EFER_LMA | EFER_SCE | EFER_NXE;
    }
    cpu->cr0 |= CR0_PG | (below(guest, 2) ? CR0_WP : 0);
}

static void cpu_begin(Guest *guest, X86CPU *cpu)
{
    cpu_reset(cpu, false);
    cpu->vcpu.halted = cpu->vcpu.wait_for_sipi = false;
    cpu->vcpu.a20_mask = UINT64_MAX;
    for (unsigned i = 0; i < 16; i++) {
        cpu->regs[i] = hostile_value(guest);
    }
    cpu->regs[R_RSP] = AT_STACK + 0x8000 + below(guest, 64);
    cpu->cpu_rip = AT_CODE + below(guest, CODE_SIZE);
    if (guest->mode == MODE_REAL) {
        cpu->cpu_rip &= 0xffff;
        cpu->seg[SEG_CS].selector = AT_CODE >> 4;
        cpu->seg[SEG_CS].base = AT_CODE;
        cpu->seg[SEG_SS].selector = AT_STACK >> 4;
        cpu->seg[SEG_SS].base = AT_STACK;
    } else {
        enter_protected(guest, cpu);
        enter_paging(guest, cpu);
    }
    cpu_set_eflags(cpu, below(guest, 8) ? FL_IF : FL_IF | FL_TF, FL_IF | FL_TF);
    mmu_flush(cpu);
    cpu_update_mode(cpu);
}

/* New code and tables under a parked CPU, or by its own thread: as if other memory were there. */
static void guest_refill(Guest *guest, X86CPU *cpu)
{
    fill_code(guest);
    fill_tables(guest);
    fill_paging(guest);
    mmu_memory_changed(cpu);
    code_flush(cpu);
}

/* A triple fault, in the CPU's own thread: on with the same memory, as it is by now. */
static void restart(void *opaque, X86CPU *cpu)
{
    Guest *guest = opaque;
    bool taken = machine_lock_enter();

    if (++guest->restarts[cpu->vcpu.index] % 16 == 0) {
        guest_refill(guest, cpu);
    }
    cpu_begin(guest, cpu);
    machine_lock_leave(taken);
}

/* --- running ----------------------------------------------------------------------------- */

static void stuck(int signal)
{
    static const char text[] = "a CPU did not park\n";

    (void)!write(STDERR_FILENO, text, sizeof(text) - 1);
    abort();
}

/* Parks all CPUs, however busy they are; most begin elsewhere, some go on from an NMI. */
static void interrupt_guest(Guest *guest, unsigned cpus, unsigned round)
{
    alarm(30);
    machine_lock();
    for (unsigned i = 0; i < cpus; i++) {
        vcpu_pause(&board_cpu(guest->board, i)->vcpu);
    }
    alarm(0);
    for (unsigned i = 0; i < cpus; i++) {
        X86CPU *cpu = board_cpu(guest->board, i);

        g_assert_cmpuint(code_cache_memory(cpu->code), <, 64u << 20);
        if (round % 8 == 7) {
            guest_refill(guest, cpu);
        }
        if (below(guest, 4)) {
            cpu_begin(guest, cpu);
        } else {
            vcpu_raise(&cpu->vcpu, VCPU_NMI); /* wakes what has halted for good */
        }
        vcpu_resume(&cpu->vcpu);
    }
    machine_unlock();
}

static void print_guest(const Guest *guest, uint64_t seed, unsigned cpus)
{
    for (unsigned i = 0; i < cpus; i++) {
        const X86CPU *cpu = board_cpu(guest->board, i);

        printf("seed %" G_GUINT64_FORMAT " mode %d cpu %u: %" G_GUINT64_FORMAT " instructions, %"
               G_GUINT64_FORMAT " exceptions, %u triple faults\n", seed, guest->mode, i,
               cpu->icount, cpu->exceptions_count, guest->restarts[i]);
    }
    fflush(stdout);
}

static void run_guest(uint64_t seed, unsigned rounds)
{
    Guest guest = {.random = seed * 0x9e3779b97f4a7c15ULL | 1};
    unsigned cpus = 1 + (seed % 3 == 0);

    guest.mode = seed % MODE_COUNT;
    guest.user = guest.mode >= MODE_PM32 && below(&guest, 4) == 0;
    machine_lock();
    guest.board = board_new(cpus, seed, restart, &guest);
    guest.ram = board_ram(guest.board);
    machine_unlock();
    for (unsigned round = 0; round < rounds; round++) {
        interrupt_guest(&guest, cpus, round + 7);
        g_usleep(1000);
    }
    machine_lock();
    print_guest(&guest, seed, cpus);
    board_free(guest.board);
    machine_unlock();
}

int main(int argc, char **argv)
{
    gint64 seed = 1;
    int count = 21, rounds = 32;
    const GOptionEntry entries[] = {
        {"seed", 0, 0, G_OPTION_ARG_INT64, &seed, "first seed", "N"},
        {"count", 0, 0, G_OPTION_ARG_INT, &count, "guests to run", "N"},
        {"rounds", 0, 0, G_OPTION_ARG_INT, &rounds, "milliseconds that each is given", "N"},
        {NULL},
    };
    g_autoptr(GOptionContext) context = g_option_context_new(NULL);
    g_autoptr(GError) error = NULL;

    g_option_context_add_main_entries(context, entries, NULL);
    if (!g_option_context_parse(context, &argc, &argv, &error)) {
        fprintf(stderr, "%s\n", error->message);
        return 2;
    }
    signal(SIGALRM, stuck);
    for (int i = 0; i < count; i++) {
        run_guest(seed + i, rounds);
    }
    return 0;
}
