/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Thunks: an arena of host code per CPU, mapped twice (written here, executed there; no page is
 * ever both), and the loads and stores around the guest's instruction.
 */
#include "target-i386/interp/thunk.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <gio/gio.h>

#include "target-i386/interp/thunk-build.h"

/* Far more than a system's working set; a guest that makes up instructions only causes resets. */
#define ARENA_SIZE (4u << 20)
#define ARENA_FIRST 64 /* the first bytes are constants */
#define HOST_MXCSR  0x1f80u

struct ThunkArena {
    uint8_t *write;   /* read-write mapping */
    uint8_t *execute; /* read-execute mapping of the same memory */
    size_t used;
    GHashTable *thunks; /* ThunkKey -> Thunk */
};

/* The instruction as the host runs it, and the guest's general registers, tell thunks apart. */
typedef struct ThunkKey {
    uint8_t bytes[16];
    uint8_t gpr[4];
    uint8_t wide; /* 512-bit state is kept */
    uint8_t check;
} ThunkKey;

static guint thunk_key_hash(gconstpointer data)
{
    const uint32_t *words = data;
    guint hash = 0;

    for (unsigned i = 0; i < sizeof(ThunkKey) / 4; i++) {
        hash = (hash ^ words[i]) * 0x9e3779b1u;
        hash ^= hash >> 15;
    }
    return hash;
}

static gboolean thunk_key_equal(gconstpointer a, gconstpointer b)
{
    return memcmp(a, b, sizeof(ThunkKey)) == 0;
}

/* --- arena ---------------------------------------------------------------------- */

static ThunkArena *refused(ThunkArena *arena, int fd, const char *what, GError **error)
{
    int number = errno;

    g_set_error(error, G_IO_ERROR, g_io_error_from_errno(number), "%s: %s", what,
                g_strerror(number));
    if (fd >= 0) {
        close(fd);
    }
    if (arena->write != MAP_FAILED) {
        munmap(arena->write, ARENA_SIZE);
    }
    g_free(arena);
    return NULL;
}

/* NULL where a policy of the host forbids executable memory. */
static ThunkArena *thunk_arena_new(GError **error)
{
    ThunkArena *arena = g_new0(ThunkArena, 1);
    int fd = memfd_create("thunks", MFD_CLOEXEC);

    arena->write = arena->execute = MAP_FAILED;
    if (fd < 0 || ftruncate(fd, ARENA_SIZE) < 0) {
        return refused(arena, fd, "memfd_create", error);
    }
    arena->write = mmap(NULL, ARENA_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (arena->write != MAP_FAILED) {
        arena->execute = mmap(NULL, ARENA_SIZE, PROT_READ | PROT_EXEC, MAP_SHARED, fd, 0);
    }
    if (arena->execute == MAP_FAILED) {
        return refused(arena, fd, "mmap", error);
    }
    close(fd);
    *(uint32_t *)arena->write = HOST_MXCSR;
    arena->used = ARENA_FIRST;
    arena->thunks = g_hash_table_new_full(thunk_key_hash, thunk_key_equal, g_free, g_free);
    return arena;
}

bool thunk_prepare(X86CPU *cpu)
{
    g_autoptr(GError) why = NULL;

    if (cpu->thunks || cpu->thunks_refused) {
        return cpu->thunks;
    }
    cpu->thunks = thunk_arena_new(&why);
    if (!cpu->thunks) {
        cpu->thunks_refused = true;
        g_printerr("tessera: x87, MMX, SSE and AVX instructions raise #UD on CPU %u: the host "
                   "refuses executable memory: %s\n", cpu->vcpu.index, why->message);
    }
    return cpu->thunks;
}

void thunk_arena_free(ThunkArena *arena)
{
    if (arena) {
        munmap(arena->write, ARENA_SIZE);
        munmap(arena->execute, ARENA_SIZE);
        g_hash_table_destroy(arena->thunks);
        g_free(arena);
    }
}

void thunk_arena_reset(X86CPU *cpu)
{
    if (cpu->thunks) {
        g_hash_table_remove_all(cpu->thunks->thunks);
        cpu->thunks->used = ARENA_FIRST;
    }
}

/* --- the code around it ---------------- */

static void emit_operand(const ThunkBuild *build, Emit *emit, const ThunkOperand *op, bool store)
{
    bool legacy = build->src->zi->encoding == ZYDIS_INSTRUCTION_ENCODING_LEGACY;
    unsigned bits = store ? op->bits : op->load_bits;

    switch (op->file) {
    case FILE_GPR:
        emit_gpr(emit, op->host, EMIT_CPU(regs) + 8 * op->guest, store);
        break;
    case FILE_VEC:
        if (store && !legacy) {
            bits = build->wide ? 512 : 256; /* the instruction cleared what is above its result */
        }
        emit_vector(emit, op->host, bits, !legacy, EMIT_CPU(vec) + 64 * op->guest, store);
        break;
    case FILE_MMX:
        emit_mmx(emit, op->host, EMIT_CPU(x87.st) + 16 * op->guest, store);
        break;
    case FILE_MASK:
        emit_mask(emit, op->host, EMIT_CPU(opmask) + 8 * op->guest, store);
        break;
    default:
        break;
    }
}

static uint32_t flags_written(const ZydisDecodedInstruction *zi)
{
    const ZydisAccessedFlags *flags = zi->cpu_flags;

    return flags ? (flags->modified | flags->set_0 | flags->set_1 | flags->undefined) & FL_ARITH
                 : 0;
}

static void emit_thunk(const ThunkBuild *build, Emit *emit, const Emit *insn, uint64_t here,
                       uint64_t constants)
{
    const ZydisDecodedInstruction *zi = build->src->zi;
    uint32_t written = flags_written(zi);
    bool x87 = build->check == THUNK_CHECK_X87;

    if (x87) {
        emit_bytes(emit, "\x48\x0f\xae\x0a", 4); /* fxrstor64 [rdx] */
    }
    if ((written && written != FL_ARITH) || (zi->cpu_flags && zi->cpu_flags->tested & FL_ARITH)) {
        emit_load_flags(emit);
    }
    for (unsigned i = 0; i < build->op_count; i++) {
        if (build->ops[i].load) {
            emit_operand(build, emit, &build->ops[i], false);
        }
    }
    if (build->thunk.mxcsr) {
        emit_ldmxcsr(emit, EMIT_CPU(x87.mxcsr));
    }
    emit_bytes(emit, insn->bytes, insn->len);
    if (build->thunk.mxcsr) {
        emit_stmxcsr(emit, EMIT_CPU(x87.mxcsr));
        emit_ldmxcsr_constant(emit, here, constants);
    }
    for (unsigned i = build->op_count;
         i-- > 0;) { /* MULX: of two results in one, the first stays */
        if (build->ops[i].store) {
            emit_operand(build, emit, &build->ops[i], true);
        }
    }
    if (written) {
        emit_store_flags(emit);
    }
    if (x87) {
        emit_bytes(emit, "\x48\x0f\xae\x02\xdb\xe3", 6); /* fxsave64 [rdx]; fninit */
    }
    if (build->thunk.mmx) {
        emit_bytes(emit, "\x0f\x77", 2); /* emms: the ABI wants the x87 stack empty */
    }
    if (zi->encoding != ZYDIS_INSTRUCTION_ENCODING_LEGACY && build->check != THUNK_CHECK_NONE) {
        emit_bytes(emit, "\xc5\xf8\x77", 3); /* vzeroupper: no penalty for legacy code to come */
    }
    emit_byte(emit, 0xc3);
}

static void key_set_gprs(ThunkKey *key, const ThunkBuild *build)
{
    unsigned at = 0;

    memset(key->gpr, R_ZERO, sizeof(key->gpr));
    for (unsigned i = 0; i < build->op_count && at < sizeof(key->gpr); i++) {
        if (build->ops[i].file == FILE_GPR) {
            key->gpr[at++] = build->ops[i].guest;
        }
    }
}

/* Results above 256 bits matter only where the guest can see them. */
static bool keeps_wide_state(const X86CPU *cpu)
{
    return cpu_has(cpu, X86_FEATURE_AVX512F) && __builtin_cpu_supports("avx512f");
}

const Thunk *thunk_get(const InsnSource *src, ThunkCheck check, bool *full)
{
    ThunkBuild build = {.src = src, .check = check, .wide = keeps_wide_state(src->cpu)};
    ThunkArena *arena;
    Emit insn = {.len = 0}, code = {.len = 0};
    ThunkKey key;
    Thunk *thunk;

    *full = false;
    if (!thunk_analyse(&build) || !thunk_prepare(src->cpu)) {
        return NULL;
    }
    arena = src->cpu->thunks;
    thunk_encode(&build, &insn);
    memset(&key, 0, sizeof(key));
    g_assert(insn.len <= sizeof(key.bytes));
    memcpy(key.bytes, insn.bytes, insn.len);
    key_set_gprs(&key, &build);
    key.wide = build.wide;
    key.check = check;
    thunk = g_hash_table_lookup(arena->thunks, &key);
    if (thunk) {
        return thunk;
    }
    emit_thunk(&build, &code, &insn, (uintptr_t)arena->execute + arena->used,
               (uintptr_t)arena->execute);
    if (arena->used + code.len > ARENA_SIZE) {
        *full = true;
        return NULL;
    }
    memcpy(arena->write + arena->used, code.bytes, code.len);
    thunk = g_memdup2(&build.thunk, sizeof(Thunk));
    thunk->code = (ThunkCode *)(uintptr_t)(arena->execute + arena->used);
    arena->used = (arena->used + code.len + 15) & ~(size_t)15;
    g_hash_table_insert(arena->thunks, g_memdup2(&key, sizeof(key)), thunk);
    return thunk;
}
