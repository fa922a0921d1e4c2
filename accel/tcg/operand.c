/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Guest operands in translated code: registers, addresses, the software TLB, and where the
 * arithmetic flags are meanwhile.
 */
#include "accel/tcg/trans.h"
#include "target-i386/interp/decode.h"
#include "target-i386/interp/quick.h"

/* RAX to RDI but RSP, and R12 to R15, are themselves; RSP is in r8; R8 to R11 stay in memory. */
unsigned trans_host_reg(unsigned guest)
{
    if (guest == R_RSP) {
        return H_R8;
    }
    return guest >= R_R8 && guest <= R_R11 ? H_NONE : guest;
}

/* --- flags --------------------------------------------------------------------- */

void trans_clobber_flags(Trans *t, unsigned live)
{
    if (t->flags == FLAGS_MEMORY || !(live || t->exact)) {
        return;
    }
    emit_save_flags(&t->a, H_R10);
    t->flags = FLAGS_MEMORY;
}

void trans_need_flags(Trans *t)
{
    Asm *a = &t->a;

    if (t->flags == FLAGS_HOST) {
        return;
    }
    emit_store(a, H_RAX, GS(jit.scratch[0]));
    emit_restore_flags(a);
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
    stub->site.offset = trans_cur(t)->offset;
    stub->site.view = mode_view(t->mode);
    stub->site.vec = t->vec;
    stub->site.sp_lag = t->sp_lag;
    stub->site.retry = t->retry - t->jit->buffer.rw;
    stub->site.flags = (t->flags == FLAGS_MEMORY ? SITE_FLAGS : 0) | (t->x87 ? SITE_X87 : 0);
    stub->flags_in_memory = t->flags == FLAGS_MEMORY;
    return stub;
}

/* True if interp_quick() may do the current instruction. */
static bool is_quick(const TransInsn *ti)
{
    return ti->zi.machine_mode == ZYDIS_MACHINE_MODE_LONG_64 &&
           interp_quick_knows(ti->zi.mnemonic) && !insn_is_undefined(ti->insn);
}

void trans_interpret(Trans *t)
{
    ColdStub *stub;

    trans_clobber_flags(t, trans_cur(t)->live_in);
    stub = trans_cold(t, COLD_SLOW, emit_jmp(&t->a));
    stub->site.flags |= is_quick(trans_cur(t)) ? SITE_QUICK : 0;
    t->flags = FLAGS_HOST; /* and in memory: the way back loads them */
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
    emit_compare_byte(a, GS(jit.vec), kind);
    stub = trans_cold(t, COLD_VEC, emit_jcc(a, CC_B));
    stub->vec = kind;
    stub->back = a->p;
    t->vec = kind;
}

/* --- addresses ------------------------------------------------------------------------ */

unsigned trans_read_reg(Trans *t, unsigned guest, unsigned temp)
{
    unsigned host = trans_home(t, guest);

    if (host != H_NONE) {
        return host;
    }
    emit_load(&t->a, temp, GS_REG(guest));
    return temp;
}

/* @address as wide as addresses of the current instruction are. */
static uint64_t truncate_address(Trans *t, uint64_t address)
{
    switch (trans_cur(t)->zi.address_width) {
    case 16: return (uint16_t)address;
    case 32: return (uint32_t)address;
    default: return address;
    }
}

/* True if accesses by @segment take neither base nor checks. */
static bool is_flat(const Trans *t, ZydisRegister segment)
{
    return segment != ZYDIS_REGISTER_FS && segment != ZYDIS_REGISTER_GS &&
           (trans_code64(t) || mode_class(t->mode, insn_segment(segment)) == CLASS_FLAT);
}

/* True if the operand's address is a constant, which goes to *@address. */
static bool constant_address(Trans *t, const TransOperand *mem, uint64_t *address)
{
    if (mem->mem.index != ZYDIS_REGISTER_NONE || !is_flat(t, mem->mem.segment)) {
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
    *address = truncate_address(t, *address);
    return true;
}

void trans_address(Trans *t, const TransOperand *mem, unsigned to)
{
    Asm *a = &t->a;
    bool wide = trans_cur(t)->zi.address_width == 64;
    HostMem m = {.base = H_NONE, .index = H_NONE, .disp = (int32_t)mem->mem.disp.value};
    ZydisRegister base = mem->mem.base;

    if (base == ZYDIS_REGISTER_RIP || base == ZYDIS_REGISTER_EIP) {
        emit_mov_imm(a, to, truncate_address(t, trans_next_rip(t) + mem->mem.disp.value));
    } else {
        if (base != ZYDIS_REGISTER_NONE) {
            m.base = trans_read_reg(t, trans_guest_reg(base), to);
            m.disp += m.base == H_R8 ? t->sp_lag : 0;
        }
        if (mem->mem.index != ZYDIS_REGISTER_NONE) {
            m.index = trans_read_reg(t, trans_guest_reg(mem->mem.index), H_R10);
            m.scale = mem->mem.scale >= 8 ? 3 : mem->mem.scale >> 1;
        }
        if (m.base == H_NONE && m.index == H_NONE) {
            emit_mov_imm(a, to, truncate_address(t, mem->mem.disp.value));
        } else if (wide && m.base != H_NONE && m.index == H_NONE && m.disp == 0) {
            emit_mov(a, to, m.base);
        } else {
            emit_op_mem(a, wide, 0x8d, to, m);
            if (trans_cur(t)->zi.address_width == 16) {
                emit_op_reg(a, false, 0x0fb7, to, to);
            }
        }
    }
}

/* --- the TLB -------------------------------------------------------------------------- */

static int32_t view_field(const Trans *t, size_t field)
{
    return CPU_FIELD(tlb) + (int32_t)(mode_view(t->mode) * sizeof(((X86CPU *)0)->tlb[0]) + field);
}

static int32_t tag_field(const Trans *t, bool write)
{
    return view_field(t, write ? offsetof(TlbEntry, write_tag) : offsetof(TlbEntry, read_tag));
}

/* r10 = byte offset of the TLB entry of the address in @pointer */
static void emit_tlb_index(Trans *t, unsigned pointer)
{
    Asm *a = &t->a;

    if (t->jit->bmi2) {
        emit_rorx(a, H_R10, pointer, GUEST_PAGE_BITS - 5);
    } else {
        emit_mov(a, H_R10, pointer);
        emit_op_reg(a, true, 0xc1, 5, H_R10);
        put8(a, GUEST_PAGE_BITS - 5);
    }
    emit_alu_imm(a, false, 4, H_R10, (TLB_SIZE - 1) * sizeof(TlbEntry));
}

/*
 * Compares the tag of @pointer's page; @pointer becomes the offset in it. Goes to the slow path on
 * a miss.
 */
static ColdStub *emit_tlb_compare(Trans *t, unsigned pointer, unsigned size, bool write,
                                  unsigned flags)
{
    Asm *a = &t->a;
    int32_t tag = tag_field(t, write);
    ColdStub *stub;

    emit_op_mem(a, true, 0x33, pointer, (HostMem){H_R10, H_NONE, 0, true, tag});
    emit_alu_imm(a, true, 7, pointer, GUEST_PAGE_SIZE - size);
    stub = trans_cold(t, COLD_SLOW, emit_jcc(a, CC_A));
    stub->tag = tag;
    stub->pointer = pointer;
    stub->site.size = size;
    stub->site.flags |= SITE_FILL | flags | (write ? SITE_WRITE : 0) |
                        (pointer == H_R11 ? SITE_R11 : SITE_R9);
    stub->back = a->p;
    return stub;
}

static HostMem tlb_field(const Trans *t, size_t field)
{
    return (HostMem){H_R10, H_NONE, 0, true, view_field(t, field)};
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
        emit_mov_imm(a, H_R10, page);
        emit_op_mem(a, true, 0x3b, H_R10, tag);
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

/*
 * The rest of a check, r10 being the index of the address in @pointer's set: @pointer becomes the
 * offset in the page.
 */
static void check_offset(Trans *t, unsigned pointer, unsigned size, bool write, unsigned flags)
{
    Asm *a = &t->a;
    ColdStub *stub = emit_tlb_compare(t, pointer, size, write, flags);

    if ((flags & SITE_ALIGN) && size > 1) { /* test pointer, size - 1 */
        ColdStub *unaligned;

        emit_op_reg(a, false, 0xf7, 0, pointer);
        put32(a, size - 1);
        unaligned = trans_cold(t, COLD_SLOW, emit_jcc(a, CC_NE));
        unaligned->site = stub->site;
        unaligned->tag = stub->tag;
        unaligned->pointer = pointer;
    }
}

/* @pointer holds an address: it becomes that of the host. */
static void check_pointer(Trans *t, unsigned pointer, unsigned size, bool write, unsigned flags)
{
    emit_tlb_index(t, pointer);
    check_offset(t, pointer, size, write, flags);
    emit_op_mem(&t->a, true, 0x03, pointer, tlb_field(t, offsetof(TlbEntry, page)));
}

static unsigned free_pointer(const Trans *t)
{
    return trans_busy(t, H_R9) ? H_R11 : H_R9;
}

/*
 * Two forms leave the address as it is and add the entry's addend in the operand itself. The path
 * from the address to the data is then two cycles shorter, and three without a LEA.
 */

/* Host register of a 64-bit operand's address but for a displacement, else H_NONE. */
static unsigned plain_base(Trans *t, const TransOperand *mem)
{
    if (mem->mem.base < ZYDIS_REGISTER_RAX || mem->mem.base > ZYDIS_REGISTER_R15 ||
        mem->mem.index != ZYDIS_REGISTER_NONE || trans_cur(t)->zi.address_width != 64 ||
        mem->mem.segment == ZYDIS_REGISTER_FS || mem->mem.segment == ZYDIS_REGISTER_GS) {
        return H_NONE;
    }
    return trans_home(t, trans_guest_reg(mem->mem.base));
}

static HostMem memory_at_base(Trans *t, const TransOperand *mem, unsigned base,
                              unsigned size, bool write, unsigned flags)
{
    unsigned pointer = free_pointer(t);
    int32_t disp = (int32_t)mem->mem.disp.value + (base == H_R8 ? t->sp_lag : 0);

    trans_address(t, mem, pointer);
    emit_tlb_index(t, disp ? pointer : base);
    check_offset(t, pointer, size, write, flags);
    emit_load(&t->a, H_R10, tlb_field(t, offsetof(TlbEntry, addend)));
    return (HostMem){.base = base, .index = H_R10, .disp = disp};
}

/* True for a load into a register, on which an address may depend, with temporaries to spare. */
static bool latency_counts(Trans *t)
{
    const TransInsn *ti = trans_cur(t);

    return trans_code64(t) && ti->kind == KIND_COPY &&
           ti->zi.meta.category == ZYDIS_CATEGORY_DATAXFER &&
           ti->ops[0].type == ZYDIS_OPERAND_TYPE_REGISTER && ti->vec == VEC_NONE && !ti->x87 &&
           trans_spilled_operands(ti) < 2 && !trans_busy(t, H_R9) && !trans_busy(t, H_R11);
}

static HostMem memory_by_address(Trans *t, const TransOperand *mem, unsigned size,
                                 bool write, unsigned flags)
{
    trans_address(t, mem, H_R9);
    trans_segment(t, mem->mem.segment, H_R9, size, write, flags);
    emit_tlb_index(t, H_R9);
    emit_mov(&t->a, H_R11, H_R9);
    check_offset(t, H_R11, size, write, flags);
    emit_load(&t->a, H_R10, tlb_field(t, offsetof(TlbEntry, addend)));
    return (HostMem){.base = H_R9, .index = H_R10};
}

void trans_check_or_bail(Trans *t, unsigned pointer, unsigned size, bool write, unsigned align,
                         const uint8_t *plain)
{
    Asm *a = &t->a;
    ColdStub *stub;

    emit_tlb_index(t, pointer);
    stub = emit_tlb_compare(t, pointer, size, write, 0);
    stub->kind = COLD_BAIL;
    stub->bail = plain;
    if (align > 1) { /* test pointer, align - 1 */
        emit_op_reg(a, false, 0xf7, 0, pointer);
        put32(a, align - 1);
        patch_rel32(emit_jcc(a, CC_NE), plain);
    }
    emit_op_mem(a, true, 0x03, pointer, tlb_field(t, offsetof(TlbEntry, page)));
}

HostMem trans_pointer_slot(const AddressGroup *group)
{
    HostMem slot = GS(jit.pointers[0]);

    slot.disp += group->slot * (int32_t)sizeof(uint64_t);
    return slot;
}

/* The operand of a group: its first access checks for all of them. */
static HostMem memory_in_group(Trans *t, const TransOperand *mem)
{
    AddressGroup *group = &t->addresses[trans_cur(t)->address];

    if (!group->ready) {
        TransOperand low = *mem;

        trans_clobber_flags(t, trans_cur(t)->live_in);
        t->retry = t->a.p;
        group->ready = true;
        low.mem.disp.value = group->low - trans_cur(t)->shift;
        trans_address(t, &low, group->pointer);
        trans_segment(t, mem->mem.segment, group->pointer, group->high - group->low, group->write,
                      SITE_GROUP);
        check_pointer(t, group->pointer, group->high - group->low, group->write, SITE_GROUP);
    }
    if (group->pointer == H_NONE) {
        emit_load(&t->a, H_R10, trans_pointer_slot(group));
    }
    return (HostMem){.base = group->pointer == H_NONE ? H_R10 : group->pointer, .index = H_NONE,
                     .disp = (int32_t)(mem->mem.disp.value + trans_cur(t)->shift - group->low)};
}

HostMem trans_memory(Trans *t, const TransOperand *mem, unsigned size, bool write,
                     bool align)
{
    uint64_t address;
    unsigned pointer, base, flags = align ? SITE_ALIGN : 0;
    int group = trans_cur(t)->address;

    if (group >= 0 && (t->addresses[group].pointer != H_NONE || t->addresses[group].ready)) {
        return memory_in_group(t, mem);
    }
    trans_clobber_flags(t, trans_cur(t)->live_in);
    t->retry = t->a.p;
    if (constant_address(t, mem, &address) &&
        (address & (GUEST_PAGE_SIZE - 1)) + size <= GUEST_PAGE_SIZE &&
        !(align && (address & (size - 1)))) {
        return memory_at_constant(t, address, size, write);
    }
    base = plain_base(t, mem);
    if (base != H_NONE) {
        return memory_at_base(t, mem, base, size, write, flags);
    }
    if (latency_counts(t)) {
        return memory_by_address(t, mem, size, write, flags);
    }
    pointer = free_pointer(t);
    trans_address(t, mem, pointer);
    trans_segment(t, mem->mem.segment, pointer, size, write, 0);
    check_pointer(t, pointer, size, write, flags);
    return (HostMem){.base = pointer, .index = H_NONE};
}

/* --- the stack ------------------------------------------------------------------------- */

/*
 * r11 = host address - guest address of the page that the group's accesses lie in. Outside 64-bit
 * code, where the stack pointer wraps or a base is added: the host address of the first byte.
 */
void trans_check_group(Trans *t, int number)
{
    Asm *a = &t->a;
    const StackGroup *group = &t->groups[number];
    unsigned size = group->high - group->low;

    trans_clobber_flags(t, trans_cur(t)->live_in);
    t->retry = a->p;
    trans_sp_address(t, (int32_t)(group->low - trans_cur(t)->sp), H_R11);
    trans_segment(t, ZYDIS_REGISTER_SS, H_R11, size, group->write, SITE_GROUP | SITE_STACK);
    emit_tlb_index(t, H_R11);
    emit_tlb_compare(t, H_R11, size, group->write, SITE_GROUP | SITE_STACK);
    if (trans_code64(t)) {
        emit_load(a, H_R11, tlb_field(t, offsetof(TlbEntry, addend)));
    } else {
        emit_op_mem(a, true, 0x03, H_R11, tlb_field(t, offsetof(TlbEntry, page)));
    }
    t->group = number;
}

HostMem trans_stack(Trans *t, int32_t disp, unsigned size, bool write)
{
    int group = trans_cur(t)->group;

    if (group < 0) {
        unsigned pointer = free_pointer(t);

        trans_clobber_flags(t, trans_cur(t)->live_in);
        t->retry = t->a.p;
        trans_sp_address(t, disp, pointer);
        trans_segment(t, ZYDIS_REGISTER_SS, pointer, size, write, 0);
        check_pointer(t, pointer, size, write, 0);
        return (HostMem){.base = pointer, .index = H_NONE};
    }
    if (t->group != group) {
        trans_check_group(t, group);
    }
    if (!trans_code64(t)) {
        return (HostMem){.base = H_R11, .index = H_NONE,
                         .disp = (int32_t)(trans_cur(t)->sp + disp - t->groups[group].low)};
    }
    return (HostMem){.base = H_R8, .index = H_R11, .disp = disp + t->sp_lag};
}

/* r8 = @base + @disp, in the bits that are the stack pointer; keeps flags. */
void trans_load_sp(Trans *t, unsigned base, int32_t disp)
{
    HostMem m = {.base = base, .index = H_NONE, .disp = disp};

    if (base == H_R8 && disp == 0) {
        return;
    }
    if (!(t->mode & (MODE_CODE64 | MODE_SS32))) {
        put8(&t->a, 0x66);
    }
    emit_op_mem(&t->a, trans_code64(t), 0x8d, H_R8, m);
}

void trans_commit_sp(Trans *t)
{
    trans_load_sp(t, H_R8, t->sp_lag);
    t->sp_lag = 0;
}

/* --- temporaries ------------------------------------------------------------------------- */

bool trans_busy(const Trans *t, unsigned reg)
{
    if (t->homed >> reg & 1) {
        return true;
    }
    if (reg == H_R11) {
        for (int i = 0; i < t->group_count; i++) {
            if (t->groups[i].first <= t->cur && t->cur <= t->groups[i].last) {
                return true;
            }
        }
    }
    for (int i = 0; i < t->address_count; i++) {
        const AddressGroup *group = &t->addresses[i];

        if (group->pointer == reg && group->first <= t->cur && t->cur <= group->last) {
            return true;
        }
    }
    return false;
}

unsigned trans_temps(const Trans *t, const HostMem *m, uint8_t temps[3])
{
    static const uint8_t order[] = {H_R10, H_R9, H_R11};
    unsigned count = 0;

    for (unsigned i = 0; i < G_N_ELEMENTS(order); i++) {
        unsigned reg = order[i];

        if (!(m && (m->base == reg || m->index == reg)) && !trans_busy(t, reg)) {
            temps[count++] = reg;
        }
    }
    return count;
}
