/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which instruction forms there are: every opcode of every map with every prefix that matters is
 * shown to the decoder, and what differs in mnemonic, operand kinds, sizes or encoding is a form.
 */
#include <string.h>

#include "tests/insn/insn-test.h"

static ZydisDecoder decoders[TEST_MODES];

const ZydisDecoder *form_decoder(TestMode mode)
{
    ZydisDecoder *decoder = &decoders[mode];

    ZydisDecoderInit(decoder,
                     mode == TEST_64 ? ZYDIS_MACHINE_MODE_LONG_64 : ZYDIS_MACHINE_MODE_LEGACY_32,
                     mode == TEST_64 ? ZYDIS_STACK_WIDTH_64 : ZYDIS_STACK_WIDTH_32);
    ZydisDecoderEnableMode(decoder, ZYDIS_DECODER_MODE_MPX, ZYAN_FALSE);
    ZydisDecoderEnableMode(decoder, ZYDIS_DECODER_MODE_CET, ZYAN_FALSE);
    ZydisDecoderEnableMode(decoder, ZYDIS_DECODER_MODE_CLDEMOTE, ZYAN_FALSE);
    return decoder;
}

/* --- what is left out ---------------- */

/* System instructions have tests of their own (tests/guest); these depend on the host's kernel. */
static bool isa_excluded(ZydisISASet set)
{
    switch (set) {
    case ZYDIS_ISA_SET_AMX_BF16:
    case ZYDIS_ISA_SET_AMX_INT8:
    case ZYDIS_ISA_SET_AMX_TILE:
    case ZYDIS_ISA_SET_AMD:
    case ZYDIS_ISA_SET_AMD3DNOW:
    case ZYDIS_ISA_SET_AMD_INVLPGB:
    case ZYDIS_ISA_SET_AVX512ER_512:
    case ZYDIS_ISA_SET_AVX512ER_SCALAR:
    case ZYDIS_ISA_SET_AVX512PF_512:
    case ZYDIS_ISA_SET_AVX512_4FMAPS_512:
    case ZYDIS_ISA_SET_AVX512_4FMAPS_SCALAR:
    case ZYDIS_ISA_SET_AVX512_4VNNIW_512:
    case ZYDIS_ISA_SET_AVX512_FP16_128:
    case ZYDIS_ISA_SET_AVX512_FP16_128N:
    case ZYDIS_ISA_SET_AVX512_FP16_256:
    case ZYDIS_ISA_SET_AVX512_FP16_512:
    case ZYDIS_ISA_SET_AVX512_FP16_SCALAR:
    case ZYDIS_ISA_SET_AVX512_VP2INTERSECT_128:
    case ZYDIS_ISA_SET_AVX512_VP2INTERSECT_256:
    case ZYDIS_ISA_SET_AVX512_VP2INTERSECT_512:
    case ZYDIS_ISA_SET_CET:
    case ZYDIS_ISA_SET_CLDEMOTE:
    case ZYDIS_ISA_SET_CLFLUSHOPT:
    case ZYDIS_ISA_SET_CLFSH:
    case ZYDIS_ISA_SET_CLWB:
    case ZYDIS_ISA_SET_CLZERO:
    case ZYDIS_ISA_SET_ENQCMD:
    case ZYDIS_ISA_SET_FMA4:
    case ZYDIS_ISA_SET_HRESET:
    case ZYDIS_ISA_SET_I286PROTECTED:
    case ZYDIS_ISA_SET_I286REAL:
    case ZYDIS_ISA_SET_I486REAL:
    case ZYDIS_ISA_SET_INVPCID:
    case ZYDIS_ISA_SET_KEYLOCKER:
    case ZYDIS_ISA_SET_KEYLOCKER_WIDE:
    case ZYDIS_ISA_SET_KNCJKBR:
    case ZYDIS_ISA_SET_KNCV:
    case ZYDIS_ISA_SET_MCOMMIT:
    case ZYDIS_ISA_SET_MONITOR:
    case ZYDIS_ISA_SET_MONITORX:
    case ZYDIS_ISA_SET_MOVDIR:
    case ZYDIS_ISA_SET_MPX:
    case ZYDIS_ISA_SET_PADLOCK_ACE:
    case ZYDIS_ISA_SET_PADLOCK_PHE:
    case ZYDIS_ISA_SET_PADLOCK_PMM:
    case ZYDIS_ISA_SET_PADLOCK_RNG:
    case ZYDIS_ISA_SET_PAUSE:
    case ZYDIS_ISA_SET_PCONFIG:
    case ZYDIS_ISA_SET_PENTIUMREAL:
    case ZYDIS_ISA_SET_PKU:
    case ZYDIS_ISA_SET_PT:
    case ZYDIS_ISA_SET_RDPID:
    case ZYDIS_ISA_SET_RDPMC:
    case ZYDIS_ISA_SET_RDPRU:
    case ZYDIS_ISA_SET_RDRAND:
    case ZYDIS_ISA_SET_RDSEED:
    case ZYDIS_ISA_SET_RDTSCP:
    case ZYDIS_ISA_SET_RDWRFSGS:
    case ZYDIS_ISA_SET_RTM:
    case ZYDIS_ISA_SET_SERIALIZE:
    case ZYDIS_ISA_SET_SGX:
    case ZYDIS_ISA_SET_SGX_ENCLV:
    case ZYDIS_ISA_SET_SMAP:
    case ZYDIS_ISA_SET_SMX:
    case ZYDIS_ISA_SET_SNP:
    case ZYDIS_ISA_SET_SSE4A:
    case ZYDIS_ISA_SET_SVM:
    case ZYDIS_ISA_SET_TBM:
    case ZYDIS_ISA_SET_TDX:
    case ZYDIS_ISA_SET_TSX_LDTRK:
    case ZYDIS_ISA_SET_UINTR:
    case ZYDIS_ISA_SET_VMFUNC:
    case ZYDIS_ISA_SET_VTX:
    case ZYDIS_ISA_SET_WAITPKG:
    case ZYDIS_ISA_SET_XOP:
    case ZYDIS_ISA_SET_XSAVES:
    case ZYDIS_ISA_SET_LWP:
        return true;
    default:
        return false;
    }
}

static bool mnemonic_excluded(const ZydisDecodedInstruction *zi)
{
    switch (zi->mnemonic) {
    case ZYDIS_MNEMONIC_INT:
    case ZYDIS_MNEMONIC_INT1:
    case ZYDIS_MNEMONIC_INT3:
    case ZYDIS_MNEMONIC_INTO:
    case ZYDIS_MNEMONIC_IRET:
    case ZYDIS_MNEMONIC_IRETD:
    case ZYDIS_MNEMONIC_IRETQ:
    case ZYDIS_MNEMONIC_SYSCALL:
    case ZYDIS_MNEMONIC_SYSENTER:
    case ZYDIS_MNEMONIC_SYSEXIT:
    case ZYDIS_MNEMONIC_SYSRET:
    case ZYDIS_MNEMONIC_SWAPGS:
    case ZYDIS_MNEMONIC_RDTSC:
    case ZYDIS_MNEMONIC_RDTSCP:
    case ZYDIS_MNEMONIC_RDMSR:
    case ZYDIS_MNEMONIC_WRMSR:
    case ZYDIS_MNEMONIC_CPUID:
    case ZYDIS_MNEMONIC_POPF:
    case ZYDIS_MNEMONIC_POPFD:
    case ZYDIS_MNEMONIC_POPFQ:
    case ZYDIS_MNEMONIC_LDS:
    case ZYDIS_MNEMONIC_LES:
    case ZYDIS_MNEMONIC_LFS:
    case ZYDIS_MNEMONIC_LGS:
    case ZYDIS_MNEMONIC_LSS:
    case ZYDIS_MNEMONIC_UD0:
    case ZYDIS_MNEMONIC_UD1:
    case ZYDIS_MNEMONIC_UD2:
    case ZYDIS_MNEMONIC_RSM:
    case ZYDIS_MNEMONIC_XGETBV:
    case ZYDIS_MNEMONIC_XSETBV:
    case ZYDIS_MNEMONIC_MOVDIR64B:
    case ZYDIS_MNEMONIC_IN:
    case ZYDIS_MNEMONIC_OUT:
    case ZYDIS_MNEMONIC_INSB:
    case ZYDIS_MNEMONIC_INSW:
    case ZYDIS_MNEMONIC_INSD:
    case ZYDIS_MNEMONIC_OUTSB:
    case ZYDIS_MNEMONIC_OUTSW:
    case ZYDIS_MNEMONIC_OUTSD:
        return true;
    default:
        return zi->meta.branch_type == ZYDIS_BRANCH_TYPE_FAR;
    }
}

static bool uses_system_register(const ZydisDecodedInstruction *zi, const ZydisDecodedOperand *ops)
{
    for (unsigned i = 0; i < zi->operand_count; i++) {
        if (ops[i].type == ZYDIS_OPERAND_TYPE_REGISTER &&
            ops[i].visibility != ZYDIS_OPERAND_VISIBILITY_HIDDEN) {
            switch (ZydisRegisterGetClass(ops[i].reg.value)) {
            case ZYDIS_REGCLASS_SEGMENT:
            case ZYDIS_REGCLASS_CONTROL:
            case ZYDIS_REGCLASS_DEBUG:
            case ZYDIS_REGCLASS_TEST:
            case ZYDIS_REGCLASS_BOUND:
            case ZYDIS_REGCLASS_TMM:
                return true;
            default:
                break;
            }
        }
    }
    return false;
}

/* --- keys ---------------------------------------------------------------------- */

static const char *operand_kind(const ZydisDecodedOperand *op)
{
    if (op->type != ZYDIS_OPERAND_TYPE_REGISTER) {
        return op->type == ZYDIS_OPERAND_TYPE_MEMORY ? "m" : "i";
    }
    switch (ZydisRegisterGetClass(op->reg.value)) {
    case ZYDIS_REGCLASS_XMM:
        return "x";
    case ZYDIS_REGCLASS_YMM:
        return "y";
    case ZYDIS_REGCLASS_ZMM:
        return "z";
    case ZYDIS_REGCLASS_MMX:
        return "mm";
    case ZYDIS_REGCLASS_MASK:
        return "k";
    case ZYDIS_REGCLASS_X87:
        return "st";
    default:
        return "r";
    }
}

static char *form_key(const ZydisDecodedInstruction *zi, const ZydisDecodedOperand *ops,
                      const Form *form)
{
    GString *key = g_string_new(ZydisMnemonicGetString(zi->mnemonic));
    const char *encodings[] = {"", " vex", " evex"};

    for (unsigned i = 0; i < zi->operand_count_visible; i++) {
        g_string_append_printf(key, " %s%u", operand_kind(&ops[i]), ops[i].size);
        if (ops[i].encoding == ZYDIS_OPERAND_ENCODING_NONE &&
            ops[i].type == ZYDIS_OPERAND_TYPE_REGISTER) {
            g_string_append_printf(key, "=%s", ZydisRegisterGetString(ops[i].reg.value));
        }
    }
    g_string_append(key, encodings[form->encoding]);
    if (form->encoding == ENC_LEGACY) {
        /* Opcodes that do the same differently are different forms: they decode differently. */
        g_string_append_printf(key, " %u.%02x", form->map,
                               form->opcode & (form->has_modrm ? 255 : 248));
        if (!form->has_modrm) {
            g_string_append_printf(key, "/%u", zi->operand_width);
        }
        if (zi->attributes & (ZYDIS_ATTRIB_HAS_REP | ZYDIS_ATTRIB_HAS_REPE)) {
            g_string_append(key, " rep");
        }
        if (zi->attributes & ZYDIS_ATTRIB_HAS_REPNE) {
            g_string_append(key, " repne");
        }
        if (zi->attributes & ZYDIS_ATTRIB_HAS_LOCK) {
            g_string_append(key, " lock");
        }
    } else if (form->encoding == ENC_EVEX) {
        g_string_append_printf(key, "%s%s%s", form->mask ? " k" : "", form->evex_z ? " z" : "",
                               form->evex_b ? " b" : "");
    }
    return g_string_free(key, FALSE);
}

/* --- probing ------------------------------------------------------------------------ */

static unsigned put_bytes(const Form *form, uint8_t *b)
{
    unsigned n = 0;

    switch (form->encoding) {
    case ENC_LEGACY:
        if (form->lock) {
            b[n++] = 0xf0;
        }
        if (form->opsize) {
            b[n++] = 0x66;
        }
        if (form->prefix) {
            b[n++] = form->prefix;
        }
        if (form->w) {
            b[n++] = 0x48;
        }
        if (form->map) {
            b[n++] = 0x0f;
        }
        if (form->map > 1) {
            b[n++] = form->map == 2 ? 0x38 : 0x3a;
        }
        break;
    case ENC_VEX:
        b[n++] = 0xc4;
        b[n++] = 0xe0 | form->map;
        b[n++] = form->w << 7 | (form->has_vvvv ? 0x68 : 0x78) | form->length << 2 | form->prefix;
        break;
    default:
        b[n++] = 0x62;
        b[n++] = 0xf0 | form->map;
        b[n++] = form->w << 7 | (form->has_vvvv ? 0x68 : 0x78) | 4 | form->prefix;
        b[n++] = form->evex_z << 7 | form->length << 5 | form->evex_b << 4 | 8 | form->mask;
        break;
    }
    b[n++] = form->opcode;
    b[n++] =
        form->memory ? form->reg << 3 | (form->vsib ? 4 : 3) : 0xc0 | form->reg << 3 | form->rm;
    if (form->memory && form->vsib) {
        b[n++] = 0x20; /* [rax + xmm4] */
    }
    memset(b + n, 0, 16 - n);
    return 15;
}

typedef struct Probe {
    GHashTable *seen;
    GPtrArray *forms;
    const ZydisDecoder *decoder;
} Probe;

static bool has_encoding(const ZydisDecodedInstruction *zi, const ZydisDecodedOperand *ops,
                         ZydisOperandEncoding encoding)
{
    for (unsigned i = 0; i < zi->operand_count_visible; i++) {
        if (ops[i].encoding == encoding && ops[i].type == ZYDIS_OPERAND_TYPE_REGISTER) {
            return true;
        }
    }
    return false;
}

/* True if decoded: then ModRM exists or not, so the caller can skip what is the same. */
static bool probe(Probe *probe, Form *form)
{
    uint8_t bytes[16];
    ZydisDecodedInstruction zi;
    ZydisDecodedOperand ops[ZYDIS_MAX_OPERAND_COUNT];
    char *key;

    if (!ZYAN_SUCCESS(
            ZydisDecoderDecodeFull(probe->decoder, bytes, put_bytes(form, bytes), &zi, ops))) {
        return false;
    }
    if (isa_excluded(zi.meta.isa_set) || mnemonic_excluded(&zi) || uses_system_register(&zi, ops)) {
        return true;
    }
    form->has_modrm = zi.attributes & ZYDIS_ATTRIB_HAS_MODRM;
    form->has_vvvv = has_encoding(&zi, ops, ZYDIS_OPERAND_ENCODING_NDSNDD);
    form->mnemonic = zi.mnemonic;
    form->branch_type = zi.meta.branch_type;
    form->imm[0] = zi.raw.imm[0].size / 8;
    form->imm[1] = zi.raw.imm[1].size / 8;
    form->relative = zi.raw.imm[0].is_relative;
    form->moffs = !form->has_modrm && zi.raw.disp.size;
    key = form_key(&zi, ops, form);
    if (g_hash_table_contains(probe->seen, key)) {
        g_free(key);
        return true;
    }
    form->key = key;
    g_hash_table_add(probe->seen, key);
    g_ptr_array_add(probe->forms, g_memdup2(form, sizeof(*form)));
    return true;
}

static void probe_modrm(Probe *p, Form form)
{
    for (unsigned memory = 0; memory < 2; memory++) {
        for (unsigned reg = 0; reg < 8; reg++) {
            for (unsigned rm = 0; rm < (memory ? 1 : 8); rm++) {
                form.memory = memory;
                form.reg = reg;
                form.rm = rm;
                probe(p, &form);
            }
        }
    }
}

static void probe_legacy(Probe *p, TestMode mode)
{
    static const uint8_t prefixes[] = {0, 0x66, 0xf2, 0xf3};

    for (unsigned i = 0; i < G_N_ELEMENTS(prefixes) * 8; i++) {
        Form form = {.mode = mode, .encoding = ENC_LEGACY, .prefix = prefixes[i & 3]};

        form.lock = i >> 2 & 1;
        form.w = i >> 3 & 1;
        form.opsize = i >> 4 & 1;
        if ((form.w && mode == TEST_32) || (form.opsize && (form.prefix < 0xf0 || form.w))) {
            continue;
        }
        for (unsigned map = 0; map < 4; map++) {
            for (unsigned opcode = 0; opcode < 256; opcode++) {
                form.map = map;
                form.opcode = opcode;
                /* Prefixes, escapes and VEX are not opcodes. */
                if (map == 0 &&
                    (opcode == 0x0f || opcode == 0x62 || opcode == 0xc4 || opcode == 0xc5 ||
                     (opcode & 0xe7) == 0x26 || (opcode >= 0x64 && opcode <= 0x67) ||
                     opcode == 0xf0 || opcode == 0xf2 || opcode == 0xf3 ||
                     (mode == TEST_64 && (opcode & 0xf0) == 0x40))) {
                    continue;
                }
                if (map == 1 && (opcode == 0x38 || opcode == 0x3a || opcode == 0x0f)) {
                    continue;
                }
                probe_modrm(p, form);
            }
        }
    }
}

static void probe_vex(Probe *p, TestMode mode)
{
    for (unsigned i = 0; i < 3 * 2 * 2 * 4 * 256 * 4; i++) {
        Form form = {.mode = mode, .encoding = ENC_VEX};

        form.has_vvvv = i & 1;
        form.vsib = i >> 1 & 1;
        form.opcode = i >> 2 & 255;
        form.prefix = i >> 10 & 3;
        form.w = i >> 12 & 1;
        form.length = i >> 13 & 1;
        form.map = 1 + (i >> 14);
        probe_modrm(p, form);
    }
}

static void probe_evex(Probe *p, TestMode mode)
{
    for (unsigned i = 0; i < 6 * 3 * 4096; i++) {
        Form form = {.mode = mode, .encoding = ENC_EVEX};

        form.opcode = i & 255;
        form.prefix = i >> 8 & 3;
        form.w = i >> 10 & 1;
        form.has_vvvv = i >> 11 & 1;
        form.length = (i >> 12) % 3;
        form.map = 1 + (i >> 12) / 3;
        for (unsigned kind = 0; kind < 8; kind++) {
            form.vsib = kind == 7;
            form.mask = kind & 1 || form.vsib;
            form.evex_z = kind == 3 || kind == 5;
            form.evex_b = kind == 2 || kind == 4 || kind == 5;
            if (kind != 6) {
                probe_modrm(p, form);
            }
        }
    }
}

GPtrArray *forms_enumerate(TestMode mode)
{
    Probe p = {.seen = g_hash_table_new(g_str_hash, g_str_equal),
               .forms = g_ptr_array_new(),
               .decoder = form_decoder(mode)};

    probe_legacy(&p, mode);
    probe_vex(&p, mode);
    probe_evex(&p, mode);
    g_hash_table_destroy(p.seen);
    return p.forms;
}
