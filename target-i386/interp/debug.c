/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Debug registers and single stepping (SDM 3A chapter 17). The run loop calls the two hooks around
 * every instruction while debug_active is set; otherwise nothing here costs anything.
 */
#include "target-i386/interp/debug.h"

#define DR6_BS (1u << 14)

enum { DEBUG_EXECUTE = 0, DEBUG_WRITE = 1, DEBUG_IO = 2, DEBUG_ACCESS = 3 };

static bool dr7_enabled(uint64_t dr7, unsigned n)
{
    return (dr7 >> (n * 2)) & 3;
}

static unsigned dr7_kind(uint64_t dr7, unsigned n)
{
    return (dr7 >> (16 + n * 4)) & 3;
}

static unsigned dr7_length(uint64_t dr7, unsigned n)
{
    static const uint8_t lengths[] = {1, 2, 8, 4};

    return lengths[(dr7 >> (18 + n * 4)) & 3];
}

/*
 * RF is seen only by instruction breakpoints; where none is enabled it is dropped at once, so that
 * the ordinary run loop need not clear it after every instruction.
 */
void cpu_debug_update(X86CPU *cpu)
{
    bool enabled = cpu->dr[7] & 0xff;

    if (!enabled) {
        cpu->eflags &= ~FL_RF;
    }
    cpu->debug_active = enabled || (cpu->eflags & FL_TF);
}

void cpu_debug_before(X86CPU *cpu)
{
    uint64_t va = cpu->cpu_rip;
    uint64_t hits = 0;

    cpu->debug_trap = cpu->eflags & FL_TF;
    cpu->debug_inhibit = false;
    cpu->debug_keep_rf = false;
    cpu->debug_hits = 0;
    if (cpu->eflags & FL_RF) {
        return;
    }
    if (!cpu_code64(cpu)) {
        va = (uint32_t)(va + cpu->seg[SEG_CS].base);
    }
    for (unsigned n = 0; n < 4; n++) {
        if (dr7_enabled(cpu->dr[7], n) && dr7_kind(cpu->dr[7], n) == DEBUG_EXECUTE &&
            cpu->dr[n] == va) {
            hits |= 1u << n;
        }
    }
    if (hits) {
        cpu->exception.dr6_bits = hits;
        cpu_raise(cpu, EXC_DB);
    }
}

void cpu_debug_after(X86CPU *cpu)
{
    uint64_t causes;

    if (!cpu->debug_keep_rf) {
        cpu->eflags &= ~FL_RF;
    }
    cpu->debug_held |= cpu->debug_hits;
    cpu->debug_hits = 0;
    if (cpu->debug_inhibit) {
        return;
    }
    causes = cpu->debug_held | (cpu->debug_trap ? DR6_BS : 0);
    cpu->debug_held = 0;
    cpu->debug_trap = false;
    if (causes) {
        cpu->exception.dr6_bits = causes;
        cpu_raise(cpu, EXC_DB);
    }
}

/* True if breakpoint @n watches @kind of access: writes, or with a type of 3 reads as well. */
static bool dr7_watches(uint64_t dr7, unsigned n, bool write)
{
    unsigned kind = dr7_kind(dr7, n);

    return dr7_enabled(dr7, n) && (kind == DEBUG_ACCESS || (kind == DEBUG_WRITE && write));
}

/* The breakpoint's own address is aligned to its length (SDM 3A 17.2.5). */
static uint64_t debug_start(const X86CPU *cpu, unsigned n)
{
    return cpu->dr[n] & ~(uint64_t)(dr7_length(cpu->dr[7], n) - 1);
}

bool cpu_debug_page_watched(const X86CPU *cpu, uint64_t va)
{
    if (G_LIKELY(!(cpu->dr[7] & 0xff))) {
        return false;
    }
    for (unsigned n = 0; n < 4; n++) {
        if (dr7_watches(cpu->dr[7], n, true) &&
            debug_start(cpu, n) >> GUEST_PAGE_BITS == va >> GUEST_PAGE_BITS) {
            return true;
        }
    }
    return false;
}

void cpu_debug_access(X86CPU *cpu, uint64_t va, unsigned size, bool write)
{
    for (unsigned n = 0; n < 4; n++) {
        uint64_t start = debug_start(cpu, n);

        if (dr7_watches(cpu->dr[7], n, write) && va + size > start &&
            va < start + dr7_length(cpu->dr[7], n)) {
            cpu->debug_hits |= 1u << n;
        }
    }
}

void cpu_debug_io(X86CPU *cpu, uint16_t port, unsigned size)
{
    for (unsigned n = 0; n < 4; n++) {
        uint64_t start = debug_start(cpu, n);

        if (dr7_enabled(cpu->dr[7], n) && dr7_kind(cpu->dr[7], n) == DEBUG_IO &&
            (cpu->cr4 & CR4_DE) && port + size > start &&
            port < start + dr7_length(cpu->dr[7], n)) {
            cpu->debug_hits |= 1u << n;
        }
    }
}
