/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Stack frames that are pushed whole or not at all: interrupts, gates and far calls check every
 * slot before the first write, so that a fault leaves the stack as it was.
 */
#include "target-i386/interp/system.h"

uint64_t stack_mask(const X86CPU *cpu)
{
    return cpu_code64(cpu) ? UINT64_MAX : cpu->ss32 ? UINT32_MAX : UINT16_MAX;
}

uint64_t stack_peek(X86CPU *cpu, unsigned depth, unsigned size)
{
    uint64_t sp = (cpu->regs[R_RSP] + depth) & stack_mask(cpu);
    uint64_t va = stack_linear(cpu, sp, size, false);

    switch (size) {
    case 2: return mmu_pop16(cpu, va);
    case 4: return mmu_pop32(cpu, va);
    default: return mmu_pop64(cpu, va);
    }
}

void stack_commit(X86CPU *cpu, uint64_t sp)
{
    uint64_t mask = stack_mask(cpu);

    if (mask == UINT16_MAX) {
        reg_set16(cpu, R_RSP * 8, sp);
    } else {
        cpu->regs[R_RSP] = sp & mask;
    }
}

void frame_begin(X86CPU *cpu, Frame *frame, unsigned size, uint32_t error)
{
    *frame = (Frame){
        .ss = cpu->seg[SEG_SS],
        .sp = cpu->regs[R_RSP],
        .mask = stack_mask(cpu),
        .flat = cpu_code64(cpu),
        .view = cpu->mmu_view,
        .error = error,
        .size = size,
    };
}

void frame_begin_on(X86CPU *cpu, Frame *frame, const X86Segment *ss, uint64_t sp, unsigned cpl,
                    unsigned size, uint32_t error)
{
    *frame = (Frame){
        .ss = *ss,
        .sp = sp,
        .mask = ss->attr & SEG_ATTR_DB ? UINT32_MAX : UINT16_MAX,
        .view = cpl == 3 ? MMU_USER : mmu_system_view(cpu),
        .error = error,
        .size = size,
    };
}

/* Linear address of @size bytes at stack offset @offset, or #SS. */
static uint64_t frame_linear(X86CPU *cpu, const Frame *frame, uint64_t offset, unsigned size)
{
    if (frame->flat) {
        if (!cpu_canonical(cpu, offset) || !cpu_canonical(cpu, offset + size - 1)) {
            cpu_raise_error(cpu, EXC_SS, frame->error);
        }
        return offset;
    }
    if (!segment_contains(&frame->ss, offset, size)) {
        cpu_raise_error(cpu, EXC_SS, frame->error);
    }
    return (uint32_t)(frame->ss.base + offset);
}

/* Slot by slot in the order of the pushes, which decides the address a fault reports. */
static void frame_write_slots(X86CPU *cpu, const Frame *frame)
{
    uint64_t va[FRAME_SLOTS];

    for (unsigned i = 0; i < frame->count; i++) {
        uint64_t offset = (frame->sp - (i + 1) * frame->size) & frame->mask;

        va[i] = frame_linear(cpu, frame, offset, frame->size);
        mmu_probe(cpu, frame->view, va[i], frame->size, ACCESS_WRITE | ACCESS_STACK);
    }
    for (unsigned i = 0; i < frame->count; i++) {
        mmu_write(cpu, frame->view, va[i], &frame->slots[i], frame->size);
    }
}

/* The host's address of the whole frame if it lies in one page of plain RAM. */
static uint8_t *frame_host(X86CPU *cpu, const Frame *frame, uint64_t bottom, unsigned bytes)
{
    uint64_t va = (frame->flat ? 0 : frame->ss.base) + bottom;

    if (!frame->flat) {
        if (!segment_contains(&frame->ss, bottom, bytes)) {
            return NULL;
        }
        va = (uint32_t)va;
    }
    if ((va ^ mmu_tlb_entry(cpu, frame->view, va)->write_tag) > GUEST_PAGE_SIZE - bytes) {
        return NULL;
    }
    return mmu_host(cpu, frame->view, va, bytes, ACCESS_WRITE);
}

uint64_t frame_commit(X86CPU *cpu, const Frame *frame)
{
    unsigned bytes = frame->count * frame->size;
    uint64_t top = frame->sp & frame->mask;
    uint64_t bottom = (frame->sp - bytes) & frame->mask;
    bool wraps = ((top - 1) & frame->mask) < bottom;
    uint8_t *host = wraps ? NULL : frame_host(cpu, frame, bottom, bytes);

    if (!host) {
        frame_write_slots(cpu, frame);
        return bottom;
    }
    for (unsigned i = 0; i < frame->count; i++) {
        memcpy(host + bytes - (i + 1) * frame->size, &frame->slots[i], frame->size);
    }
    return bottom;
}
