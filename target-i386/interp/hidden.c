/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Hidden parts of segment registers: from descriptors, flat ones, null ones. Compiled for general
 * registers only, as translated code calls it with the guest's vector state in the host's.
 */
#include "target-i386/interp/system.h"

static uint32_t descriptor_base(const Descriptor *d)
{
    return ((d->raw >> 16) & 0xffffff) | ((d->raw >> 32) & 0xff000000);
}

uint32_t descriptor_limit(const Descriptor *d)
{
    uint32_t limit = (d->raw & 0xffff) | ((d->raw >> 32) & 0xf0000);

    return (d->raw >> 55) & 1 ? (limit << 12) | 0xfff : limit;
}

X86Segment descriptor_segment(const Descriptor *d, uint16_t selector)
{
    return (X86Segment){
        .base = descriptor_base(d),
        .limit = descriptor_limit(d),
        .attr = (d->raw >> 40) & 0xf0ff,
        .selector = selector,
    };
}

X86Segment segment_null(uint16_t selector)
{
    return (X86Segment){.attr = SEG_ATTR_UNUSABLE, .selector = selector};
}

void segments_drop_inner(X86CPU *cpu)
{
    static const SegReg regs[] = {SEG_ES, SEG_DS, SEG_FS, SEG_GS};

    for (unsigned i = 0; i < G_N_ELEMENTS(regs); i++) {
        X86Segment *seg = &cpu->seg[regs[i]];
        unsigned dpl = (seg->attr >> SEG_ATTR_DPL_SHIFT) & 3;
        bool conforming = (seg->attr & (DESC_CODE | DESC_CONFORMING)) ==
                          (DESC_CODE | DESC_CONFORMING);

        if (!(seg->attr & SEG_ATTR_UNUSABLE) && !conforming && dpl < cpu->cpl) {
            *seg = segment_null(0);
        }
    }
}

void cpu_set_cs(X86CPU *cpu, const Descriptor *d, unsigned cpl)
{
    cpu->seg[SEG_CS] = descriptor_segment(d, (d->selector & ~3) | cpl);
    cpu->cpl = cpl;
    cpu_update_mode(cpu);
}

void cpu_set_flat_cs_ss(X86CPU *cpu, uint16_t cs, uint16_t ss, unsigned cpl, bool code64)
{
    uint32_t common = SEG_ATTR_G | SEG_ATTR_P | SEG_ATTR_S | (cpl << SEG_ATTR_DPL_SHIFT);

    cpu->seg[SEG_CS] = (X86Segment){
        .limit = 0xffffffff,
        .attr = common | 0xb | (code64 ? SEG_ATTR_L : SEG_ATTR_DB),
        .selector = (cs & ~3) | cpl,
    };
    cpu->seg[SEG_SS] = (X86Segment){
        .limit = 0xffffffff,
        .attr = common | 0x3 | SEG_ATTR_DB,
        .selector = (ss & ~3) | cpl,
    };
    cpu->cpl = cpl;
    cpu_update_mode(cpu);
}
