/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Descriptors: reading them from GDT and LDT, their bits, and what they make of a segment register.
 */
#include "target-i386/interp/system.h"

static uint64_t table_load64(X86CPU *cpu, uint64_t va)
{
    return mmu_load64_view(cpu, mmu_system_view(cpu), va, ACCESS_READ);
}

/* Linear address of @size bytes of the descriptor, false if the table ends before. */
static bool descriptor_address(X86CPU *cpu, uint16_t selector, unsigned size, uint64_t *va)
{
    uint32_t offset = selector & 0xfff8;
    uint64_t base = cpu->gdtr.base;
    uint32_t limit = cpu->gdtr.limit;

    if (selector & 4) {
        if (cpu->seg[SEG_LDTR].attr & SEG_ATTR_UNUSABLE) {
            return false;
        }
        base = cpu->seg[SEG_LDTR].base;
        limit = cpu->seg[SEG_LDTR].limit;
    }
    if (offset + size - 1 > limit) {
        return false;
    }
    *va = base + offset;
    if (!cpu_long_mode(cpu)) {
        *va = (uint32_t)*va;
    }
    return true;
}

bool descriptor_fetch(X86CPU *cpu, uint16_t selector, Descriptor *d)
{
    d->selector = selector;
    d->high = 0;
    if (!descriptor_address(cpu, selector, 8, &d->va)) {
        return false;
    }
    d->raw = table_load64(cpu, d->va);
    return true;
}

void descriptor_require(X86CPU *cpu, uint16_t selector, X86Exception vector, uint32_t ext,
                        Descriptor *d)
{
    if (selector_null(selector)) {
        cpu_raise_error(cpu, vector, ext);
    }
    if (!descriptor_fetch(cpu, selector, d)) {
        cpu_raise_error(cpu, vector, selector_error(selector) | ext);
    }
}

bool descriptor_fetch_high(X86CPU *cpu, Descriptor *d)
{
    uint64_t va;

    if (!descriptor_address(cpu, d->selector, 16, &va)) {
        return false;
    }
    d->high = table_load64(cpu, va + 8);
    return ((d->high >> 40) & 0x1f) == 0; /* type of the upper half is zero: SDM 3A 5.8.3.1 */
}

uint64_t gate_offset(const Descriptor *d, bool wide)
{
    uint64_t offset = (d->raw & 0xffff) | ((d->raw >> 32) & 0xffff0000);

    return wide ? offset | (d->high << 32) : offset;
}

uint64_t descriptor_system_base(const X86CPU *cpu, const Descriptor *d)
{
    uint32_t low = descriptor_segment(d, 0).base;

    return cpu_long_mode(cpu) ? low | (d->high << 32) : low;
}

/* Changes bits of the byte at @va, as one locked access where it is plain RAM. */
static void table_byte_modify(X86CPU *cpu, uint64_t va, uint8_t set, uint8_t clear)
{
    MmuView view = mmu_system_view(cpu);
    uint8_t *host = mmu_host(cpu, view, va, 1, ACCESS_WRITE);

    if (host && set) {
        __atomic_fetch_or(host, set, __ATOMIC_SEQ_CST);
    } else if (host) {
        __atomic_fetch_and(host, (uint8_t)~clear, __ATOMIC_SEQ_CST);
    } else {
        uint8_t value = mmu_load8_view(cpu, view, va, ACCESS_READ);
        mmu_store8_view(cpu, view, va, (value | set) & ~clear, ACCESS_WRITE);
    }
}

void descriptor_set_accessed(X86CPU *cpu, Descriptor *d)
{
    if (!(descriptor_type(d) & DESC_ACCESSED)) {
        table_byte_modify(cpu, d->va + 5, DESC_ACCESSED, 0);
        d->raw |= (uint64_t)DESC_ACCESSED << 40;
    }
}

void descriptor_set_busy(X86CPU *cpu, uint64_t va, bool busy)
{
    table_byte_modify(cpu, va + 5, busy ? 2 : 0, busy ? 0 : 2);
}

/*
 * Real mode loads only the base and makes the segment a writable one of privilege 0; limit and
 * size stay, which is what "unreal mode" lives on. Virtual-8086 mode sets everything (SDM
 * 3A 20.3.1).
 */
void segment_load_real(X86CPU *cpu, SegReg reg, uint16_t selector)
{
    X86Segment *seg = &cpu->seg[reg];

    seg->selector = selector;
    seg->base = (uint32_t)selector << 4;
    if (cpu->eflags & FL_VM) {
        seg->limit = 0xffff;
        seg->attr = 0xf3;
    } else {
        seg->attr = (seg->attr & (SEG_ATTR_DB | SEG_ATTR_G)) | 0x93;
    }
}

bool segment_contains(const X86Segment *seg, uint64_t offset, unsigned size)
{
    uint64_t last = offset + size - 1;

    if (seg->attr & SEG_ATTR_UNUSABLE) {
        return false;
    }
    if ((seg->attr & (SEG_ATTR_S | DESC_CODE | DESC_EXPAND_DOWN)) ==
        (SEG_ATTR_S | DESC_EXPAND_DOWN)) {
        uint64_t top = seg->attr & SEG_ATTR_DB ? 0xffffffff : 0xffff;
        return offset > seg->limit && last <= top;
    }
    return last <= seg->limit;
}

void stack_segment_check(X86CPU *cpu, uint16_t selector, unsigned dpl, X86Exception vector,
                         uint32_t ext, Descriptor *d)
{
    uint32_t error = selector_error(selector) | ext;

    descriptor_require(cpu, selector, vector, ext, d);
    if (selector_rpl(selector) != dpl || descriptor_dpl(d) != dpl || !descriptor_writable(d)) {
        cpu_raise_error(cpu, vector, error);
    }
    if (!descriptor_present(d)) {
        cpu_raise_error(cpu, EXC_SS, error);
    }
}
