/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Guest operands in translated code: registers, addresses, the software TLB, and where the
 * arithmetic flags are meanwhile.
 */
#include "accel/tcg/trans.h"
#include "target-i386/interp/decode.h"

/* RAX to RDI but RSP, and R12 to R15, are themselves; RSP is in r8; R8 to R11 stay in memory. */
unsigned trans_host_reg(unsigned guest)
{
    if (guest == R_RSP) {
        return H_R8;
    }
    return guest >= R_R8 && guest <= R_R11 ? H_NONE : guest;
}

/* --- flags --------------------------------------------------------------------- */

/* mov r9, rax; lahf; seto al; mov [flags], ax; mov rax, r9 */
void trans_clobber_flags(Trans *t, unsigned live)
{
    Asm *a = &t->a;

    if (t->flags == FLAGS_MEMORY || !(live || t->exact)) {
        return;
    }
    emit_mov(a, H_R9, H_RAX);
    put8(a, 0x9f);
    emit_op_reg(a, false, 0x0f90, 0, H_RAX);
    put8(a, 0x65);
    put8(a, 0x66);
    put8(a, 0x89);
    emit_modrm_mem(a, H_RAX, &GS(jit.flags));
    emit_mov(a, H_RAX, H_R9);
    t->flags = FLAGS_MEMORY;
}

/* mov [scratch], rax; movzx eax, [flags]; add al, 127; sahf; mov rax, [scratch] */
void trans_need_flags(Trans *t)
{
    Asm *a = &t->a;

    if (t->flags == FLAGS_HOST) {
        return;
    }
    emit_store(a, H_RAX, GS(jit.scratch[0]));
    emit_op_mem(a, false, 0x0fb7, H_RAX, GS(jit.flags));
    put8(a, 0x04);
    put8(a, 0x7f);
    put8(a, 0x9e);
    emit_load(a, H_RAX, GS(jit.scratch[0]));
    t->flags = FLAGS_HOST;
}

/* --- stubs ------------------------------------------------------------------------ */

ColdStub *trans_cold(Trans *t, int kind, uint8_t *at)
{
    ColdStub *stub = &t->cold[t->cold_count++];

    g_assert(t->cold_count <= COLD_MAX);
    memset(stub, 0, sizeof(*stub));
    stub->kind = kind;
    stub->at = at;
    stub->site.tb = t->tb->id;
    stub->site.insn = t->cur;
    stub->site.vec = t->vec;
    stub->site.flags = t->flags == FLAGS_MEMORY ? SITE_FLAGS : 0;
    stub->flags_in_memory = t->flags == FLAGS_MEMORY;
    return stub;
}

void trans_interpret(Trans *t)
{
    trans_clobber_flags(t, trans_cur(t)->live_in);
    trans_cold(t, COLD_SLOW, emit_jmp(&t->a));
    t->flags = FLAGS_HOST; /* and in memory: the way back loads them */
}

void trans_string(Trans *t)
{
    trans_clobber_flags(t, trans_cur(t)->live_in);
    trans_cold(t, COLD_SLOW, emit_jmp(&t->a))->site.flags |= SITE_STRING;
    t->flags = FLAGS_HOST;
}

/* cmp byte [vec], kind; jb: load it */
void trans_need_vector(Trans *t)
{
    unsigned kind = trans_cur(t)->vec;
    Asm *a = &t->a;
    ColdStub *stub;

    if (kind <= t->vec) {
        return;
    }
    trans_clobber_flags(t, trans_cur(t)->live_in);
    put8(a, 0x65);
    put8(a, 0x80);
    emit_modrm_mem(a, 7, &GS(jit.vec));
    put8(a, kind);
    stub = trans_cold(t, COLD_VEC, emit_jcc(a, CC_B));
    stub->vec = kind;
    stub->back = a->p;
    t->vec = kind;
}

/* --- addresses ------------------------------------------------------------------------ */

unsigned trans_read_reg(Trans *t, unsigned guest, unsigned temp)
{
    unsigned host = trans_host_reg(guest);

    if (host != H_NONE) {
        return host;
    }
    emit_load(&t->a, temp, GS_REG(guest));
    return temp;
}

static unsigned address_guest(ZydisRegister reg)
{
    return insn_register_offset(reg) / 8;
}

/* True if the operand's address is a constant, which goes to *@address. */
static bool constant_address(Trans *t, const ZydisDecodedOperand *mem, uint64_t *address)
{
    if (mem->mem.index != ZYDIS_REGISTER_NONE ||
        (mem->mem.segment == ZYDIS_REGISTER_FS || mem->mem.segment == ZYDIS_REGISTER_GS)) {
        return false;
    }
    switch (mem->mem.base) {
    case ZYDIS_REGISTER_NONE:
        *address = mem->mem.disp.value;
        break;
    case ZYDIS_REGISTER_RIP:
    case ZYDIS_REGISTER_EIP:
        *address = trans_next_rip(t) + mem->mem.disp.value;
        break;
    default:
        return false;
    }
    if (trans_cur(t)->zi.address_width == 32) {
        *address = (uint32_t)*address;
    }
    return true;
}

void trans_address(Trans *t, const ZydisDecodedOperand *mem, bool segment)
{
    Asm *a = &t->a;
    bool wide = trans_cur(t)->zi.address_width == 64;
    HostMem m = {.base = H_NONE, .index = H_NONE, .disp = (int32_t)mem->mem.disp.value};
    ZydisRegister base = mem->mem.base;

    if (base == ZYDIS_REGISTER_RIP || base == ZYDIS_REGISTER_EIP) {
        uint64_t address = trans_next_rip(t) + mem->mem.disp.value;

        emit_mov_imm(a, H_R9, wide ? address : (uint32_t)address);
    } else {
        if (base != ZYDIS_REGISTER_NONE) {
            m.base = trans_read_reg(t, address_guest(base), H_R9);
        }
        if (mem->mem.index != ZYDIS_REGISTER_NONE) {
            m.index = trans_read_reg(t, address_guest(mem->mem.index), H_R10);
            m.scale = mem->mem.scale >= 8 ? 3 : mem->mem.scale >> 1;
        }
        if (m.base == H_NONE && m.index == H_NONE) {
            emit_mov_imm(a, H_R9, wide ? (uint64_t)mem->mem.disp.value
                                       : (uint32_t)mem->mem.disp.value);
        } else {
            emit_op_mem(a, wide, 0x8d, H_R9, m);
        }
    }
    if (segment && mem->mem.segment == ZYDIS_REGISTER_FS) {
        emit_op_mem(a, true, 0x03, H_R9, GS(seg[SEG_FS].base));
    } else if (segment && mem->mem.segment == ZYDIS_REGISTER_GS) {
        emit_op_mem(a, true, 0x03, H_R9, GS(seg[SEG_GS].base));
    }
}

/* --- the TLB -------------------------------------------------------------------------------- */

static int32_t view_field(const Trans *t, size_t field)
{
    MmuView view = (t->mode >> MODE_VIEW_SHIFT) & 3;

    return CPU_FIELD(tlb) + (int32_t)(view * sizeof(((X86CPU *)0)->tlb[0]) + field);
}

static int32_t tag_field(const Trans *t, bool write)
{
    return view_field(t, write ? offsetof(TlbEntry, write_tag) : offsetof(TlbEntry, read_tag));
}

/* r10 = byte offset of the TLB entry of address r9 */
static void emit_tlb_index(Trans *t)
{
    static const uint8_t rorx[] = {0xc4, 0x43, 0xfb, 0xf0, 0xd1, 12 - 5}; /* r10, r9 */
    Asm *a = &t->a;

    if (t->jit->bmi2) {
        memcpy(a->p, rorx, sizeof(rorx));
        a->p += sizeof(rorx);
    } else {
        emit_mov(a, H_R10, H_R9);
        emit_op_reg(a, true, 0xc1, 5, H_R10);
        put8(a, 12 - 5);
    }
    emit_alu_imm(a, false, 4, H_R10, (TLB_SIZE - 1) * sizeof(TlbEntry));
}

/* Compares the tag of r9's page; r9 becomes the offset in it. Goes to the slow path on a miss. */
static ColdStub *emit_tlb_compare(Trans *t, unsigned size, bool write, unsigned flags)
{
    Asm *a = &t->a;
    int32_t tag = tag_field(t, write);
    ColdStub *stub;

    emit_op_mem(a, true, 0x33, H_R9, (HostMem){H_R10, H_NONE, 0, true, tag});
    emit_alu_imm(a, true, 7, H_R9, GUEST_PAGE_SIZE - size);
    stub = trans_cold(t, COLD_SLOW, emit_jcc(a, CC_A));
    stub->tag = tag;
    stub->site.size = size;
    stub->site.flags |= SITE_FILL | flags | (write ? SITE_WRITE : 0);
    stub->back = a->p;
    return stub;
}

static HostMem memory_at_constant(Trans *t, uint64_t address, unsigned size, bool write)
{
    Asm *a = &t->a;
    uint64_t page = address & ~(uint64_t)(GUEST_PAGE_SIZE - 1);
    unsigned set = (address >> GUEST_PAGE_BITS) & (TLB_SIZE - 1);
    int32_t entry = set * sizeof(TlbEntry);
    HostMem tag = {H_NONE, H_NONE, 0, true, tag_field(t, write) + entry};
    ColdStub *stub;

    if ((int64_t)page == (int32_t)page) {
        emit_op_mem(a, true, 0x81, 7, tag);
        put32(a, (uint32_t)page);
    } else {
        emit_mov_imm(a, H_R9, page);
        emit_op_mem(a, true, 0x3b, H_R9, tag);
    }
    stub = trans_cold(t, COLD_SLOW, emit_jcc(a, CC_NE));
    stub->constant = address;
    stub->tag = tag.disp;
    stub->site.size = size;
    stub->site.flags |= SITE_FILL | (write ? SITE_WRITE : 0);
    stub->back = a->p;
    emit_load(a, H_R10, (HostMem){H_NONE, H_NONE, 0, true,
                                  view_field(t, offsetof(TlbEntry, page)) + entry});
    stub->back2 = a->p;
    return (HostMem){.base = H_R10, .index = H_NONE, .disp = address & (GUEST_PAGE_SIZE - 1)};
}

/* After r9 holds the address. */
static HostMem memory_at_r9(Trans *t, unsigned size, bool write, bool align)
{
    Asm *a = &t->a;
    ColdStub *stub;

    emit_tlb_index(t);
    stub = emit_tlb_compare(t, size, write, align ? SITE_ALIGN : 0);
    if (align && size > 1) {
        ColdStub *unaligned;

        put8(a, 0x41); /* test r9d, size - 1 */
        put8(a, 0xf7);
        put8(a, 0xc1);
        put32(a, size - 1);
        unaligned = trans_cold(t, COLD_SLOW, emit_jcc(a, CC_NE));
        unaligned->site = stub->site;
        unaligned->tag = stub->tag;
    }
    emit_load(a, H_R10, (HostMem){H_R10, H_NONE, 0, true,
                                  view_field(t, offsetof(TlbEntry, page))});
    return (HostMem){.base = H_R9, .index = H_R10};
}

HostMem trans_memory(Trans *t, const ZydisDecodedOperand *mem, unsigned size, bool write,
                     bool align)
{
    uint64_t address;

    trans_clobber_flags(t, trans_cur(t)->live_in);
    if (constant_address(t, mem, &address) &&
        (address & (GUEST_PAGE_SIZE - 1)) + size <= GUEST_PAGE_SIZE &&
        !(align && (address & (size - 1)))) {
        return memory_at_constant(t, address, size, write);
    }
    trans_address(t, mem, true);
    return memory_at_r9(t, size, write, align);
}

/* --- the stack ------------------------------------------------------------------------- */

/* r11 = host address - guest address of the pages that the group's accesses lie in */
static void check_group(Trans *t, int number)
{
    Asm *a = &t->a;
    const StackGroup *group = &t->groups[number];

    trans_clobber_flags(t, trans_cur(t)->live_in);
    emit_lea(a, H_R9, (HostMem){.base = H_R8, .index = H_NONE,
                                .disp = (int32_t)(group->low - trans_cur(t)->sp)});
    emit_tlb_index(t);
    emit_tlb_compare(t, group->high - group->low, group->write, SITE_GROUP);
    emit_load(a, H_R11, (HostMem){H_R10, H_NONE, 0, true,
                                  view_field(t, offsetof(TlbEntry, addend))});
    t->group = number;
}

HostMem trans_stack(Trans *t, int32_t disp, unsigned size, bool write)
{
    int group = trans_cur(t)->group;

    if (group < 0) {
        trans_clobber_flags(t, trans_cur(t)->live_in);
        emit_lea(&t->a, H_R9, (HostMem){.base = H_R8, .index = H_NONE, .disp = disp});
        return memory_at_r9(t, size, write, false);
    }
    if (t->group != group) {
        check_group(t, group);
    }
    return (HostMem){.base = H_R8, .index = H_R11, .disp = disp};
}

unsigned trans_temps(const Trans *t, const HostMem *m, uint8_t temps[3])
{
    unsigned count = 0;
    bool r11_taken = t->group >= 0 && t->groups[t->group].last >= t->cur;

    for (unsigned reg = H_R9; reg <= H_R11; reg++) {
        if (m && (m->base == reg || m->index == reg)) {
            continue;
        }
        if (reg == H_R11 && r11_taken) {
            continue;
        }
        temps[count++] = reg;
    }
    return count;
}
