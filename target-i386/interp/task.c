/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The TSS and hardware task switches (SDM 3A chapter 7). What can fault in the old task is tried
 * first; from the moment the new register values are loaded, faults belong to the new task
 * (SDM 3A 7.3, steps 12 and 13, and table 7-1).
 */
#include "target-i386/interp/system.h"

#define TSS32_SIZE 104
#define TSS16_SIZE 44

/* Offsets of the saved state: EIP, EFLAGS, eight registers, then the selectors. */
enum {
    TSS32_CR3 = 0x1c, TSS32_EIP = 0x20, TSS32_EFLAGS = 0x24, TSS32_REGS = 0x28, TSS32_SEGS = 0x48,
    TSS32_LDT = 0x60, TSS32_TRAP = 0x64,
    TSS16_IP = 0x0e, TSS16_FLAGS = 0x10, TSS16_REGS = 0x12, TSS16_SEGS = 0x22, TSS16_LDT = 0x2a,
};

/* The state that a TSS holds, of either width. */
typedef struct TaskState {
    bool wide;
    uint32_t cr3, eip, eflags;
    uint32_t regs[8];
    uint16_t segs[6]; /* ES CS SS DS FS GS */
    uint16_t ldt;
    bool trap;
} TaskState;

uint64_t tss_read(X86CPU *cpu, uint32_t offset, unsigned size)
{
    uint64_t va = cpu->seg[SEG_TR].base + offset;
    MmuView view = mmu_system_view(cpu);

    if (!cpu_long_mode(cpu)) {
        va = (uint32_t)va;
    }
    switch (size) {
    case 1: return mmu_load8_view(cpu, view, va, ACCESS_READ);
    case 2: return mmu_load16_view(cpu, view, va, ACCESS_READ);
    case 4: return mmu_load32_view(cpu, view, va, ACCESS_READ);
    default: return mmu_load64_view(cpu, view, va, ACCESS_READ);
    }
}

static void tss_check_limit(X86CPU *cpu, uint32_t last, uint32_t ext)
{
    if (last > cpu->seg[SEG_TR].limit) {
        cpu_raise_error(cpu, EXC_TS, selector_error(cpu->seg[SEG_TR].selector) | ext);
    }
}

void tss_stack(X86CPU *cpu, unsigned dpl, uint32_t ext, uint16_t *ss, uint64_t *sp)
{
    bool wide = cpu->seg[SEG_TR].attr & 8;
    uint32_t offset = wide ? dpl * 8 + 4 : dpl * 4 + 2;

    tss_check_limit(cpu, offset + (wide ? 5 : 3), ext);
    *sp = tss_read(cpu, offset, wide ? 4 : 2);
    *ss = tss_read(cpu, offset + (wide ? 4 : 2), 2);
}

uint64_t tss_stack64(X86CPU *cpu, unsigned index, uint32_t ext)
{
    uint32_t offset = index < 3 ? 4 + index * 8 : 36 + (index - 3) * 8;

    tss_check_limit(cpu, offset + 7, ext);
    return tss_read(cpu, offset, 8);
}

void task_fetch(X86CPU *cpu, uint16_t selector, uint32_t ext, Descriptor *d)
{
    uint32_t error = selector_error(selector) | ext;
    unsigned type;

    if (selector & 4) {
        cpu_raise_gp(cpu, error);
    }
    descriptor_require(cpu, selector, EXC_GP, ext, d);
    type = descriptor_type(d);
    if (!descriptor_system(d) || (type != DESC_TSS16 && type != DESC_TSS32)) {
        cpu_raise_gp(cpu, error);
    }
    if (!descriptor_present(d)) {
        cpu_raise_error(cpu, EXC_NP, error);
    }
}

/* --- to and from memory -------------------------------------------------------------------- */

static uint32_t image_get(const uint8_t *image, unsigned offset, unsigned size)
{
    uint32_t value = 0;

    memcpy(&value, image + offset, size);
    return value;
}

static void task_state_read(X86CPU *cpu, uint64_t base, bool wide, TaskState *state)
{
    uint8_t image[TSS32_SIZE];
    unsigned width = wide ? 4 : 2;

    mmu_read(cpu, mmu_system_view(cpu), base, image, wide ? TSS32_SIZE : TSS16_SIZE);
    *state = (TaskState){
        .wide = wide,
        .cr3 = wide ? image_get(image, TSS32_CR3, 4) : 0,
        .eip = image_get(image, wide ? TSS32_EIP : TSS16_IP, width),
        .eflags = image_get(image, wide ? TSS32_EFLAGS : TSS16_FLAGS, width),
        .ldt = image_get(image, wide ? TSS32_LDT : TSS16_LDT, 2),
        .trap = wide && (image[TSS32_TRAP] & 1),
    };
    for (unsigned i = 0; i < 8; i++) {
        state->regs[i] = image_get(image, (wide ? TSS32_REGS : TSS16_REGS) + i * width, width);
    }
    for (unsigned i = 0; i < (wide ? 6 : 4); i++) {
        state->segs[i] = image_get(image, (wide ? TSS32_SEGS : TSS16_SEGS) + i * width, 2);
    }
}

static void image_put(uint8_t **at, uint32_t value, unsigned size)
{
    memcpy(*at, &value, size);
    *at += size;
}

/* Where the current TSS keeps what a switch saves: EIP up to the last selector, without a gap. */
static uint64_t task_save_area(const X86CPU *cpu, unsigned *size)
{
    bool wide = cpu->seg[SEG_TR].attr & 8;

    *size = wide ? TSS32_LDT - TSS32_EIP : TSS16_LDT - TSS16_IP;
    return (uint32_t)(cpu->seg[SEG_TR].base + (wide ? TSS32_EIP : TSS16_IP));
}

static void task_state_save(X86CPU *cpu, uint64_t next_rip, uint32_t eflags)
{
    unsigned width = cpu->seg[SEG_TR].attr & 8 ? 4 : 2;
    unsigned size;
    uint64_t va = task_save_area(cpu, &size);
    uint8_t image[TSS32_SIZE];
    uint8_t *at = image;

    image_put(&at, next_rip, width);
    image_put(&at, eflags, width);
    for (unsigned i = 0; i < 8; i++) {
        image_put(&at, cpu->regs[i], width);
    }
    for (unsigned i = 0; i < (width == 4 ? 6 : 4); i++) {
        image_put(&at, cpu->seg[i].selector, width);
    }
    mmu_write(cpu, mmu_system_view(cpu), va, image, size);
}

/* --- loading the new task's segments ------------------------------------------------------------
 */

static void task_load_ldt(X86CPU *cpu, uint16_t selector, uint32_t ext)
{
    uint32_t error = selector_error(selector) | ext;
    Descriptor d;

    cpu->seg[SEG_LDTR] = segment_null(selector);
    if (selector_null(selector)) {
        return;
    }
    if ((selector & 4) || !descriptor_fetch(cpu, selector, &d) || !descriptor_system(&d) ||
        descriptor_type(&d) != DESC_LDT || !descriptor_present(&d)) {
        cpu_raise_error(cpu, EXC_TS, error);
    }
    cpu->seg[SEG_LDTR] = descriptor_segment(&d, selector);
}

static void task_load_cs(X86CPU *cpu, uint16_t selector, uint32_t ext)
{
    uint32_t error = selector_error(selector) | ext;
    unsigned rpl = selector_rpl(selector);
    Descriptor d;

    descriptor_require(cpu, selector, EXC_TS, ext, &d);
    if (!descriptor_code(&d) ||
        (descriptor_conforming(&d) ? descriptor_dpl(&d) > rpl : descriptor_dpl(&d) != rpl)) {
        cpu_raise_error(cpu, EXC_TS, error);
    }
    if (!descriptor_present(&d)) {
        cpu_raise_error(cpu, EXC_NP, error);
    }
    descriptor_set_accessed(cpu, &d);
    cpu_set_cs(cpu, &d, rpl);
}

static void task_load_data(X86CPU *cpu, SegReg reg, uint16_t selector, uint32_t ext)
{
    uint32_t error = selector_error(selector) | ext;
    Descriptor d;

    if (selector_null(selector)) {
        return;
    }
    descriptor_require(cpu, selector, EXC_TS, ext, &d);
    if (descriptor_system(&d) || (descriptor_code(&d) && !(descriptor_type(&d) & DESC_READABLE))) {
        cpu_raise_error(cpu, EXC_TS, error);
    }
    if (!descriptor_conforming(&d) && (descriptor_dpl(&d) < cpu->cpl ||
                                       descriptor_dpl(&d) < selector_rpl(selector))) {
        cpu_raise_error(cpu, EXC_TS, error);
    }
    if (!descriptor_present(&d)) {
        cpu_raise_error(cpu, EXC_NP, error);
    }
    descriptor_set_accessed(cpu, &d);
    cpu->seg[reg] = descriptor_segment(&d, selector);
}

/* Table 7-1: LDT, CS, SS, then the data segments; each fault is the new task's. */
static void task_load_segments(X86CPU *cpu, const TaskState *state, uint32_t ext)
{
    static const SegReg data[] = {SEG_ES, SEG_DS, SEG_FS, SEG_GS};
    Descriptor stack;

    task_load_ldt(cpu, state->ldt, ext);
    if (cpu->eflags & FL_VM) {
        for (unsigned i = 0; i < 6; i++) {
            segment_load_real(cpu, i, state->segs[i]);
        }
        cpu_update_mode(cpu);
        return;
    }
    task_load_cs(cpu, state->segs[SEG_CS], ext);
    stack_segment_check(cpu, state->segs[SEG_SS], cpu->cpl, EXC_TS, ext, &stack);
    descriptor_set_accessed(cpu, &stack);
    cpu->seg[SEG_SS] = descriptor_segment(&stack, state->segs[SEG_SS]);
    cpu_update_mode(cpu);
    for (unsigned i = 0; i < G_N_ELEMENTS(data); i++) {
        task_load_data(cpu, data[i], state->segs[data[i]], ext);
    }
}

/* --- the switch
 * ------------------------------------------------------------------------------------ */

static uint64_t task_descriptor_address(const X86CPU *cpu, uint16_t selector)
{
    return (uint32_t)(cpu->gdtr.base + (selector & 0xfff8));
}

/* Everything that must not fault halfway is tried before anything is written. */
static void task_probe(X86CPU *cpu, const Descriptor *d, uint64_t base, TaskSwitchKind kind)
{
    MmuView view = mmu_system_view(cpu);
    unsigned size;
    uint64_t va = task_save_area(cpu, &size);

    mmu_probe(cpu, view, va, size, ACCESS_WRITE);
    mmu_probe(cpu, view, d->va, 8, ACCESS_WRITE);
    mmu_probe(cpu, view, task_descriptor_address(cpu, cpu->seg[SEG_TR].selector), 8, ACCESS_WRITE);
    if (kind == TASK_CALL) {
        mmu_probe(cpu, view, base, 2, ACCESS_WRITE);
    }
}

/* The old task goes to memory, busy bits and the link are set. */
static void task_leave(X86CPU *cpu, const Descriptor *d, uint64_t base, TaskSwitchKind kind,
                       uint64_t next_rip)
{
    uint16_t old = cpu->seg[SEG_TR].selector;
    uint32_t eflags = cpu_get_eflags(cpu);

    task_state_save(cpu, next_rip, kind == TASK_IRET ? eflags & ~FL_NT : eflags);
    if (kind != TASK_CALL) {
        descriptor_set_busy(cpu, task_descriptor_address(cpu, old), false);
    }
    if (kind == TASK_CALL) {
        mmu_store16_view(cpu, mmu_system_view(cpu), base, old, ACCESS_WRITE);
    }
    if (kind != TASK_IRET) {
        descriptor_set_busy(cpu, d->va, true);
    }
}

/* Registers and flags of the new task; its segments are only selectors yet. */
static void task_load_registers(X86CPU *cpu, const TaskState *state, TaskSwitchKind kind)
{
    uint32_t eflags = state->eflags | (kind == TASK_CALL ? FL_NT : 0);
    uint32_t keep = state->wide ? 0 : 0xffff0000;

    for (unsigned i = 0; i < 8; i++) {
        cpu->regs[i] = (cpu->regs[i] & keep) | state->regs[i];
    }
    for (unsigned i = 0; i < 6; i++) {
        cpu->seg[i] = segment_null(state->segs[i]);
    }
    cpu->cpu_rip = state->eip;
    cpu->cpl = selector_rpl(state->segs[SEG_CS]);
    cpu_set_eflags(cpu, eflags, FL_ARITH | FL_TF | FL_IF | FL_DF | FL_IOPL | FL_NT | FL_RF |
                                    FL_VM | FL_AC | FL_VIF | FL_VIP | FL_ID);
    cpu_update_mode(cpu);
    cpu->dr[7] &= ~0x155ull; /* local breakpoints end with the task (SDM 3A 17.2.4) */
    cpu->debug_keep_rf = true;
    cpu->debug_trap = false;
    cpu_debug_update(cpu);
}

static void task_push_error(X86CPU *cpu, bool wide, uint32_t error, uint32_t ext)
{
    Frame frame;

    frame_begin(cpu, &frame, wide ? 4 : 2, ext);
    frame_push(&frame, error);
    stack_commit(cpu, frame_commit(cpu, &frame));
}

void task_switch(X86CPU *cpu, const Descriptor *d, TaskSwitchKind kind, uint64_t next_rip,
                 uint32_t ext, bool has_error, uint32_t error)
{
    bool wide = descriptor_type(d) & 8;
    X86Segment tss = descriptor_segment(d, d->selector);
    TaskState state;

    if (tss.limit < (wide ? TSS32_SIZE : TSS16_SIZE) - 1) {
        cpu_raise_error(cpu, EXC_TS, selector_error(d->selector) | ext);
    }
    task_state_read(cpu, tss.base, wide, &state);
    task_probe(cpu, d, tss.base, kind);
    task_leave(cpu, d, tss.base, kind, next_rip);

    tss.attr |= 2;
    cpu->seg[SEG_TR] = tss;
    cpu->cr0 |= CR0_TS;
    if (wide && (cpu->cr0 & CR0_PG)) {
        cpu_set_cr3(cpu, state.cr3);
    }
    task_load_registers(cpu, &state, kind);
    task_load_segments(cpu, &state, ext);
    if (cpu->cpu_rip > cpu->seg[SEG_CS].limit) {
        cpu_raise_gp(cpu, ext);
    }
    if (has_error) {
        task_push_error(cpu, wide, error, ext);
    }
    if (state.trap) {
        cpu->exception.dr6_bits = 1u << 15;
        cpu_raise(cpu, EXC_DB);
    }
}
