/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * IN, OUT, INS, OUTS and who may use them (SDM 1 chapter 19). A repeated transfer stops between
 * iterations when an event is pending, with RIP on the instruction, and goes on afterwards.
 */
#include "target-i386/interp/debug.h"

uint32_t cpu_port_read(X86CPU *cpu, uint16_t port, unsigned size)
{
    uint32_t value = port_read(cpu->vcpu.ports, port, size);

    if (G_UNLIKELY(cpu->debug_active)) {
        cpu_debug_io(cpu, port, size);
    }
    return value;
}

void cpu_port_write(X86CPU *cpu, uint16_t port, uint32_t value, unsigned size)
{
    port_write(cpu->vcpu.ports, port, value, size);
    if (G_UNLIKELY(cpu->debug_active)) {
        cpu_debug_io(cpu, port, size);
    }
}

/* The bitmap's two bytes are read whatever @size is; both must be within the TSS (SDM 1, 19.5.2).
 */
static bool io_bitmap_allows(X86CPU *cpu, uint16_t port, unsigned size)
{
    const X86Segment *tr = &cpu->seg[SEG_TR];
    uint32_t offset;

    if (!(tr->attr & SEG_ATTR_P) || !(tr->attr & 8) || tr->limit < 103) {
        return false;
    }
    offset = (uint32_t)tss_read(cpu, 102, 2) + port / 8;
    if (offset + 1 > tr->limit) {
        return false;
    }
    return !((tss_read(cpu, offset, 2) >> (port & 7)) & ((1u << size) - 1));
}

void cpu_check_io(X86CPU *cpu, uint16_t port, unsigned size)
{
    if (!cpu_protected(cpu)) {
        return;
    }
    if ((cpu->eflags & FL_VM) || cpu->cpl > cpu_iopl(cpu)) {
        if (!io_bitmap_allows(cpu, port, size)) {
            cpu_raise_gp(cpu, 0);
        }
    }
}

/* --- IN, OUT ------------------------------------------------------------------------------ */

static uint16_t insn_port(X86CPU *cpu, const Insn *insn)
{
    return insn->aux ? (uint8_t)insn->imm : reg_get16(cpu, R_RDX * 8);
}

static void insn_in(X86CPU *cpu, const Insn *insn)
{
    uint16_t port = insn_port(cpu, insn);

    cpu_check_io(cpu, port, insn->opsize);
    reg_set(cpu, R_RAX * 8, cpu_port_read(cpu, port, insn->opsize), insn->opsize);
    insn_advance(cpu, insn);
}

static void insn_out(X86CPU *cpu, const Insn *insn)
{
    uint16_t port = insn_port(cpu, insn);

    cpu_check_io(cpu, port, insn->opsize);
    cpu_port_write(cpu, port, reg_get(cpu, R_RAX * 8, insn->opsize), insn->opsize);
    insn_advance(cpu, insn);
}

/* Each ends its block: a device may raise an interrupt, move memory or reset the machine. */
INSN_FAMILY(in_out)
{
    uint8_t opcode = src->zi->opcode;

    insn->flags |= INSN_END;
    insn->opsize = !(opcode & 1) ? 1 : source_operand_size(src) == 2 ? 2 : 4;
    insn->aux = !(opcode & 8);
    insn->imm = src->zi->raw.imm[0].value.u;
    return opcode & 2 ? insn_out : insn_in;
}

/* --- INS, OUTS ------------------------------------------------------------------------------- */

static uint64_t string_register(X86CPU *cpu, const Insn *insn, unsigned reg)
{
    return reg_get(cpu, reg * 8, insn->addrsize);
}

static void string_advance(X86CPU *cpu, const Insn *insn, unsigned reg)
{
    int64_t step = cpu->eflags & FL_DF ? -(int64_t)insn->opsize : insn->opsize;

    reg_set(cpu, reg * 8, string_register(cpu, insn, reg) + step, insn->addrsize);
}

static void ins_once(X86CPU *cpu, const Insn *insn)
{
    uint16_t port = reg_get16(cpu, R_RDX * 8);
    uint64_t va;
    uint32_t value;

    va = seg_linear(cpu, SEG_ES, string_register(cpu, insn, R_RDI), insn->opsize, true);
    mmu_host(cpu, cpu->mmu_view, va, insn->opsize, ACCESS_WRITE); /* faults come before the read */
    value = cpu_port_read(cpu, port, insn->opsize);
    mem_store(cpu, va, value, insn->opsize);
    string_advance(cpu, insn, R_RDI);
}

static void outs_once(X86CPU *cpu, const Insn *insn)
{
    uint16_t port = reg_get16(cpu, R_RDX * 8);
    uint64_t va;
    uint32_t value;

    va = seg_linear(cpu, insn->seg, string_register(cpu, insn, R_RSI), insn->opsize, false);
    value = mem_load(cpu, va, insn->opsize);
    cpu_port_write(cpu, port, value, insn->opsize);
    string_advance(cpu, insn, R_RSI);
}

static void string_io(X86CPU *cpu, const Insn *insn, void (*once)(X86CPU *, const Insn *))
{
    uint64_t count;

    cpu_check_io(cpu, reg_get16(cpu, R_RDX * 8), insn->opsize);
    if (!(insn->flags & INSN_REP)) {
        once(cpu, insn);
        insn_advance(cpu, insn);
        return;
    }
    while ((count = string_register(cpu, insn, R_RCX)) != 0) {
        once(cpu, insn);
        reg_set(cpu, R_RCX * 8, --count, insn->addrsize);
        if (count && (vcpu_pending(&cpu->vcpu) || cpu->debug_active)) {
            return;
        }
    }
    insn_advance(cpu, insn);
}

static void insn_ins(X86CPU *cpu, const Insn *insn)
{
    string_io(cpu, insn, ins_once);
}

static void insn_outs(X86CPU *cpu, const Insn *insn)
{
    string_io(cpu, insn, outs_once);
}

INSN_FAMILY(string_io)
{
    uint8_t opcode = src->zi->opcode;

    insn->flags |= INSN_END;
    if (source_has_prefix(src, 0xf2) || source_has_prefix(src, 0xf3)) {
        insn->flags |= INSN_REP;
    }
    insn->opsize = !(opcode & 1) ? 1 : source_operand_size(src) == 2 ? 2 : 4;
    for (unsigned i = 0; i < src->zi->operand_count; i++) {
        const ZydisDecodedOperand *op = &src->ops[i];

        if (op->type == ZYDIS_OPERAND_TYPE_MEMORY) {
            insn->seg = op->mem.segment - ZYDIS_REGISTER_ES;
        }
    }
    return opcode & 2 ? insn_outs : insn_ins;
}
