/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the stages of one block's translation share. Internal to accel/tcg/. */
#ifndef ACCEL_TCG_TRANS_H
#define ACCEL_TCG_TRANS_H

#include "accel/tcg/jit.h"

/* Arithmetic flags in a byte: as in EFLAGS, with OF in bit 1. */
enum { AF_OF = 2, AF_ALL = 0xd7 };

/* How an instruction is translated. */
typedef enum {
    KIND_INTERPRET, /* call the interpreter */
    KIND_NOTHING,   /* it does nothing */
    KIND_COPY,      /* itself, with other registers and another memory operand */
    KIND_LEA,
    KIND_PUSH,
    KIND_POP,
    KIND_LEAVE,
    KIND_DIVIDE,
    KIND_STRING,    /* MOVS to CMPS */
    KIND_FLDCW,
    KIND_FNINIT,
    KIND_PUSHF,
    KIND_SYSTEM,    /* system.c */
    KIND_PATCHED,   /* MOV of an immediate that changes (checked.c) */
    KIND_VIEW,      /* STAC and CLAC: memory is seen otherwise behind them */
    KIND_JUMP,
    KIND_JUMP_IF,
    KIND_JUMP_INDIRECT,
    KIND_CALL,
    KIND_CALL_INDIRECT,
    KIND_RETURN,
} TransKind;

/* Accesses relative to the same stack pointer that one check of the TLB serves. */
typedef struct StackGroup {
    int64_t low, high;      /* first byte and the one behind the last, from the epoch's start */
    bool write;
    uint8_t epoch;          /* instruction from which the stack pointer moves by constants */
    uint8_t first, last;    /* instructions: where it is checked, its last access */
} StackGroup;

/* Accesses by the same registers, which do not change meanwhile, that one check serves. */
typedef struct AddressGroup {
    ZydisRegister segment, base, index;
    uint8_t scale;
    bool write;
    uint8_t first, last;    /* instructions */
    uint8_t members;
    uint8_t pointer;        /* host register with the host address of @low, H_NONE: no group */
    bool ready;             /* the pointer is there */
    uint8_t slot;           /* without a register: number in jit.pointers (hoist.c) */
    uint8_t align;          /* what is at @anchor must be aligned to so many bytes */
    uint8_t member;         /* an instruction that is one of it */
    int64_t low, high;      /* displacements */
    int64_t anchor;
} AddressGroup;

/* What is used here of Zydis' structures, which take a thousand bytes an instruction. */
typedef struct TransOperandMem {
    uint16_t segment, base, index; /* ZydisRegister */
    uint8_t scale;
    uint8_t type;           /* ZydisMemoryOperandType */
    struct {
        int64_t value;
    } disp;
} TransOperandMem;

typedef struct TransOperand {
    uint8_t type, encoding, visibility, actions, element_type;
    uint16_t size;          /* bits */
    union {
        struct {
            uint16_t value; /* ZydisRegister */
        } reg;
        TransOperandMem mem;
        struct {
            union {
                uint64_t u;
                int64_t s;
            } value;
        } imm;
    };
} TransOperand;

typedef struct TransDecoded {
    uint64_t attributes;
    const ZydisAccessedFlags *cpu_flags;
    uint16_t mnemonic;
    uint8_t length, encoding, machine_mode, opcode_map, opcode;
    uint8_t operand_width, address_width;
    uint8_t operand_count, operand_count_visible;
    struct {
        uint8_t category, branch_type;
    } meta;
    struct {
        uint8_t prefix_count;
        struct {
            uint8_t W, R, B;
        } rex;
        struct {
            uint8_t mod, reg, rm, offset;
        } modrm;
        struct {
            uint8_t offset;
        } vex, evex;
        struct {
            uint8_t size;
        } disp;
        struct {
            uint8_t size, offset;
        } imm[1];
    } raw;
} TransDecoded;

/*
 * An instruction. What stands before @ops and in them is the same for all that begin with the same
 * bytes, but for displacement and immediates (forms.c).
 */
typedef struct TransInsn {
    TransDecoded zi;
    uint8_t kind;           /* TransKind */
    int8_t mem;             /* its memory operand, -1: none */
    uint8_t use, kill, write; /* arithmetic flags read, surely overwritten, perhaps overwritten */
    uint8_t undefines, defines; /* those that it leaves undefined, and the others it writes */
    uint8_t vec;            /* VEC_*: what vector state it needs in the host's registers */
    bool x87;               /* it needs x87 state there */
    bool unlocked;          /* its prefix LOCK is left out */
    bool counts;            /* a shift, which by a count of zero leaves the flags alone */
    bool names_sp;          /* the stack pointer is an operand (classify.c) */
    bool verbatim;          /* the host's copy has the very same bytes */
    uint8_t spilled;        /* visible operands that are guest registers in memory */
    uint16_t writes;        /* general registers that it writes, a bit each */
    TransOperand ops[ZYDIS_MAX_OPERAND_COUNT];
    uint64_t key;           /* of its form, 0: none */
    unsigned head;          /* that many bytes it begins with */
    const Insn *insn;
    const uint8_t *bytes;
    uint16_t offset;        /* from the block's start */
    uint8_t live_in, live_out;
    int8_t group;           /* StackGroup of its stack access, -1: none */
    int8_t address;         /* AddressGroup of its memory operand, -1: none */
    int8_t check;           /* StackGroup to check before it, -1: none */
    int64_t sp;             /* stack pointer before it, from the epoch's start */
    int64_t shift;          /* how far its operand's registers moved since the block's start */
    int64_t round_step;     /* and how far a whole round of the loop moves them (hoist.c) */
    uint8_t hoisted;        /* AddressGroup of its memory operand there */
} TransInsn;

typedef enum { FLAGS_HOST, FLAGS_MEMORY } FlagsPlace;

/* Code that rarely runs, written behind the block. */
typedef struct ColdStub {
    enum { COLD_SLOW, COLD_VEC, COLD_X87, COLD_POLL, COLD_BUDGET, COLD_LINK,
           COLD_BAIL } kind;
    uint8_t *at;            /* rel32 of the jump that leads here; COLD_LINK: or NULL */
    uint8_t *at2;           /* a second one, or NULL */
    uint8_t *back;          /* where to go on; COLD_SLOW: with the entry that r10 names, or NULL */
    uint8_t *back2;         /* COLD_SLOW of a constant address: with the page in r10 */
    SiteInfo site;
    int32_t tag;            /* field that @pointer was xored with, by r10; 0: no access */
    uint8_t pointer;        /* host register with the address */
    uint64_t constant;      /* with back2: the address */
    const uint8_t *bail;    /* COLD_BAIL: where to go if the second way misses too */
    unsigned vec;
    Link *link;
    bool flags_in_memory;
    bool rcx_in_r11;
} ColdStub;

#define COLD_MAX 256

typedef struct TransForms TransForms;

typedef struct Trans {
    Jit *jit;
    X86CPU *cpu;
    TransForms *forms;
    Block *block;
    TransBlock *tb;
    uint64_t rip;
    uint32_t mode;          /* at this place: STAC and CLAC change the view */
    Asm a;
    unsigned count;
    unsigned cur;
    FlagsPlace flags;
    uint8_t undefined;      /* arithmetic flags undefined here, in the scan */
    bool exact;             /* all flags are always live */
    unsigned vec;           /* VEC_* that is sure to be loaded here */
    bool x87;               /* x87 state is sure to be loaded here */
    int group;              /* whose address correction r11 holds, -1: none */
    const uint8_t *retry;   /* where the access begins that code is being written for */
    int32_t sp_lag;         /* guest stack pointer - r8: moves that are not carried out yet */
    unsigned cold_count;
    int group_count;
    TransInsn insns[BLOCK_MAX_INSNS];
    StackGroup groups[BLOCK_MAX_INSNS];
    AddressGroup addresses[BLOCK_MAX_INSNS];
    int address_count;
    unsigned rounds;        /* of the loop that are written with checks in front; 0: none */
    bool loop;              /* the block jumps to itself */
    uint8_t homes[4];       /* host registers that hold R8 to R11 (homes.c), H_NONE: memory does */
    uint16_t homed;         /* host registers that hold these or pointers of groups */
    uint8_t *back_edge;     /* rel32 of that jump */
    uint8_t *tail, *exit;   /* where the block's jumps begin, and its way on */
    FlagsPlace tail_flags;  /* where the flags are at @tail */
    ColdStub cold[COLD_MAX];
    uint8_t bytes[BLOCK_MAX_INSNS * INSN_BYTES_MAX + 16];
} Trans;

/* --- forms.c, classify.c: what an instruction is -------------------------------------------- */

/* A work space, with a table of what classifying came to. */
Trans *trans_new(void);
void trans_free(Trans *t);
/* Begins to load what trans_read() will want of @ti, whose bytes are known. */
void trans_look_ahead(const Trans *t, TransInsn *ti);
/*
 * Fills in what the current mode makes of the bytes of @ti, as the interpreter's decoder reads
 * them; false if that came to another length.
 */
bool trans_read(Trans *t, TransInsn *ti);
/* Fills in how @ti is translated, from its decoded form and operands. */
void trans_classify(Trans *t, TransInsn *ti);
/* True if it is a shift or rotation by a count that may be zero. */
bool trans_may_keep_flags(const TransInsn *ti);

/* --- scan.c: flags, stack, addresses -------------------------------------------------- */

bool trans_scan(Trans *t);

/* True if the instruction writes any part of general register @reg. */
bool trans_writes_register(const TransInsn *ti, ZydisRegister reg);
/* True if the instruction moves address register @reg by a constant. */
bool trans_register_step(const TransInsn *ti, ZydisRegister reg, int64_t *step);

static inline bool trans_is_gpr(ZydisRegister reg)
{
    return reg >= ZYDIS_REGISTER_AL && reg <= ZYDIS_REGISTER_R15;
}

/* --- hoist.c: the block again, with its checks in front --------------------------------- */

#define HOIST_INSNS 64u /* that it may be at most */

/* Sets t->rounds if that is possible and pays. */
void trans_plan_hoist(Trans *t);
/* Behind the block's ordinary code. */
void trans_hoist(Trans *t);

/* --- homes.c: host registers for R8 to R11 in a loop -------------------------------------- */

/* Places pointers of groups, and R8 to R11, for a round of @body instructions. */
bool trans_place_homes(Trans *t, unsigned body);
/* Counts anew which operands of @ti are guest registers in memory. */
void trans_count_spilled(const Trans *t, TransInsn *ti);
/* R8 to R11 are in memory. */
void trans_no_homes(Trans *t);
/* Between the usual places and these; keeps flags. */
void trans_take_homes(Trans *t);
void trans_leave_homes(Trans *t, unsigned body);

/* --- operand.c: registers, addresses, TLB checks, flags ------------------------------ */

/* Number of the guest register that @reg, of any size, is (part of). */
static inline unsigned trans_guest_reg(ZydisRegister reg)
{
    if (G_LIKELY(reg >= ZYDIS_REGISTER_AX && reg <= ZYDIS_REGISTER_R15)) {
        return (reg - ZYDIS_REGISTER_AX) % 16; /* 16 of each size, and in order */
    }
    return insn_register_offset(reg) / 8;
}
/* Bit of that register in TransInsn.writes; none for other kinds of registers. */
static inline unsigned trans_register_bit(ZydisRegister reg)
{
    return trans_is_gpr(reg) ? 1u << trans_guest_reg(reg) : 0;
}
/* Host register of a guest register that has one, else H_NONE (R8 to R11). */
unsigned trans_host_reg(unsigned guest);
/* The same for the code that is being written: in a loop R8 to R11 may have one too. */
static inline unsigned trans_home(const Trans *t, unsigned guest)
{
    return guest >= R_R8 && guest <= R_R11 ? t->homes[guest - R_R8] : trans_host_reg(guest);
}
/* Before code that changes host flags: keeps those of @live. */
void trans_clobber_flags(Trans *t, unsigned live);
/* Before an instruction that needs the guest's flags in the host's. */
void trans_need_flags(Trans *t);
/* Guest register @guest in its host register or, from memory, in @temp. */
unsigned trans_read_reg(Trans *t, unsigned guest, unsigned temp);
/* The offset of operand @mem in its segment into @to (r10 is clobbered too). */
void trans_address(Trans *t, const TransOperand *mem, unsigned to);
/*
 * Checks an access to @mem and gives its host operand; flags are clobbered. With @align the access
 * must be aligned to its size.
 */
HostMem trans_memory(Trans *t, const TransOperand *mem, unsigned size, bool write,
                     bool align);
/* The same for [stack pointer + @disp]; a group's check is made when it is first used. */
HostMem trans_stack(Trans *t, int32_t disp, unsigned size, bool write);
void trans_check_group(Trans *t, int number);
/* r8 = @base + @disp, in the bits that are the stack pointer; keeps flags. */
void trans_load_sp(Trans *t, unsigned base, int32_t disp);
/*
 * @pointer, an address, becomes that of the host if @size bytes there hit the TLB and it is aligned
 * to @align; else execution goes on at @plain.
 */
void trans_check_or_bail(Trans *t, unsigned pointer, unsigned size, bool write, unsigned align,
                         const uint8_t *plain);
/* Where the pointer of a group without a register is. */
HostMem trans_pointer_slot(const AddressGroup *group);
/* Makes r8 the guest's stack pointer. */
void trans_commit_sp(Trans *t);
/* True if host register @reg holds something that the instructions behind this one rely on. */
bool trans_busy(const Trans *t, unsigned reg);
/* Temporaries that are free beside @m. */
unsigned trans_temps(const Trans *t, const HostMem *m, uint8_t temps[3]);
/* Adds a stub for the current instruction. */
ColdStub *trans_cold(Trans *t, int kind, uint8_t *at);
/* Calls the interpreter for the current instruction. */
void trans_interpret(Trans *t);
/* Loads the vector state that the current instruction needs, if it is not. */
void trans_need_vector(Trans *t);

/* --- string-code.c --------------------------------------------------------------------- */

/* A string instruction, for the interpreter what jit_string() cannot do. */
void trans_string(Trans *t);

/* --- segment.c: what 16- and 32-bit code takes ------------------------------------------ */

/* True if the block may access @segment as its mode is; else the interpreter must. */
bool trans_segment_fits(const Trans *t, ZydisRegister segment, bool write);
/*
 * Makes the address in @pointer, which lies in @segment, a linear one, after the checks of @size
 * bytes there. Clobbers r10 and flags. @flags: SITE_* of a check for a group.
 */
void trans_segment(Trans *t, ZydisRegister segment, unsigned pointer, unsigned size, bool write,
                   unsigned flags);
/* The stack pointer's offset @disp into @to, as wide as it is. Keeps flags. */
void trans_sp_address(Trans *t, int32_t disp, unsigned to);
/* Bits of the stack pointer. */
static inline unsigned trans_sp_width(const Trans *t)
{
    return t->mode & MODE_CODE64 ? 64 : t->mode & MODE_SS32 ? 32 : 16;
}
/* The stack pointer of the block's mode as an operand. */
ZydisRegister trans_sp_register(const Trans *t);
/* Bytes that the instruction pushes or pops, or its operand has. */
unsigned trans_unit(const Trans *t, const TransInsn *ti);
/* Where a direct branch leads. */
uint64_t trans_target(const Trans *t, const TransInsn *ti);
/* False for encodings that would be another instruction in the host's mode. */
bool trans_same_in_host(const TransInsn *ti);
/* True if the prefix 66 says how wide operands are, which is the other way round in 16-bit code. */
bool trans_turns_66(const TransInsn *ti);
/* True if the host's copy takes a prefix 66 that the guest's has not. */
bool trans_takes_66(const TransInsn *ti);
/*
 * Opcodes that mean something else in 64-bit code, and those without ModRM for a memory operand:
 * the one-byte opcode with a ModRM byte that does the same, and its register field in *@reg, or 0.
 */
uint8_t trans_other_opcode(const TransInsn *ti, uint8_t *reg);

static inline bool trans_code64(const Trans *t)
{
    return t->mode & MODE_CODE64;
}

/* --- rewrite.c ------------------------------------------------------------------------ */

/* The current instruction itself; false if it cannot be written so. */
bool trans_copy(Trans *t);
/* True if its copy is made of the same bytes, wherever it stands. */
bool trans_stays_verbatim(const TransInsn *ti);
/* True if its memory operand of @size bytes must be aligned for the host, or for being locked. */
bool trans_wants_alignment(const TransInsn *ti, unsigned size);
/* True if the prefix LOCK of @ti makes no difference. */
bool trans_leaves_lock_out(const Trans *t, const TransInsn *ti);
/* True if AH, CH, DH or BH is one of its operands. */
bool trans_uses_high_byte(const TransInsn *ti);
/* How many of its operands are guest registers that live in memory. */
static inline unsigned trans_spilled_operands(const TransInsn *ti)
{
    return ti->spilled;
}

/* --- translate.c ---------------------------------------------------------------------- */

/* LEA; false if too few temporaries are free. */
bool trans_lea(Trans *t);
/* How many of these LEA @ti takes. */
unsigned trans_lea_temps(const Trans *t, const TransInsn *ti);

/* --- control.c ---------------------------------------------------------------------------- */

void trans_jump(Trans *t);
void trans_jump_if(Trans *t);
void trans_jump_indirect(Trans *t);
void trans_call(Trans *t);
void trans_call_indirect(Trans *t);
void trans_return(Trans *t);
void trans_push(Trans *t);
void trans_pop(Trans *t);
void trans_leave(Trans *t);
void trans_divide(Trans *t);
/* The end of a block that does not jump. */
void trans_fall_through(Trans *t);

/* --- beside.c ----------------------------------------------------------------------------- */

/*
 * Writes into the slow path of @stub, whose address is in scratch[2] and in the pointer if it has
 * one, what lets a write to a watched page go on, in blocks that have many such.
 */
void trans_beside_code(Trans *t, Asm *a, const ColdStub *stub);

/* --- checked.c ---------------------------------------------------------------------------- */

/* Leaves unless the block, a checked one, has the bytes that it was translated from. */
void trans_check_bytes(Trans *t);
/* True if instruction @insn of the block has an immediate that is read when it runs. */
bool trans_is_patched(const Trans *t, unsigned insn);
void trans_load_patched(Trans *t);

/* --- system.c ----------------------------------------------------------------------------- */

/* KIND_INTERPRET or one of those below, for a defined instruction. */
TransKind trans_classify_system(const Trans *t, const TransInsn *ti);
/* False if it cannot be written here. */
bool trans_system(Trans *t);
void trans_push_flags(Trans *t);
void trans_change_view(Trans *t);
/* False if the modes that STAC and CLAC lead to have no numbers yet, and none are left. */
bool trans_views_known(Trans *t);
/* The view that memory is seen in behind @ti, where it is @view before. */
MmuView trans_view_behind(const Trans *t, const TransInsn *ti, MmuView view);

static inline TransInsn *trans_cur(Trans *t)
{
    return &t->insns[t->cur];
}

/*
 * True if what was checked before the instruction does not hold behind it: C code carries it out,
 * which may change any register and mapping, or memory is seen otherwise.
 */
static inline bool trans_is_outside(const TransInsn *ti)
{
    return ti->kind == KIND_INTERPRET || ti->kind == KIND_STRING || ti->kind == KIND_VIEW;
}

/* RIP behind the current instruction. */
static inline uint64_t trans_next_rip(Trans *t)
{
    return t->rip + trans_cur(t)->offset + trans_cur(t)->zi.length;
}

#endif
