/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which CPU features an instruction needs, by its ISA set: one mnemonic has MMX, SSE, AVX and
 * AVX-512 forms, so the row of the mnemonic cannot say it.
 */
#include "target-i386/interp/vector.h"

typedef struct IsaNeeds {
    bool known;
    X86Feature feature, also; /* also: X86_FEATURE_NONE if one is enough */
} IsaNeeds;

#define NEEDS(set, first) [ZYDIS_ISA_SET_##set] = {true, X86_FEATURE_##first, X86_FEATURE_NONE}
#define NEEDS2(set, first, second)                                                                 \
    [ZYDIS_ISA_SET_##set] = {true, X86_FEATURE_##first, X86_FEATURE_##second}
/* The four shapes of an AVX-512 set; those below 512 bits need VL. */
#define NEEDS_EVEX(set, first)                                                                     \
    NEEDS2(set##_128, first, AVX512VL), NEEDS2(set##_256, first, AVX512VL), NEEDS(set##_512, first)

static const IsaNeeds isa_needs[ZYDIS_ISA_SET_MAX_VALUE + 1] = {
    NEEDS(PENTIUMMMX, MMX),
    NEEDS(SSE, SSE),
    NEEDS(SSEMXCSR, SSE),
    NEEDS(SSE2, SSE2),
    NEEDS(SSE2MMX, SSE2),
    NEEDS(SSE3, PNI),
    NEEDS(SSE3X87, PNI),
    NEEDS(SSSE3, SSSE3),
    NEEDS(SSSE3MMX, SSSE3),
    NEEDS(SSE4, SSE4_1),
    NEEDS(SSE42, SSE4_2),
    NEEDS(AES, AES),
    NEEDS(PCLMULQDQ, PCLMULQDQ),
    NEEDS(SHA, SHA_NI),
    NEEDS(GFNI, GFNI),
    NEEDS(X87, FPU),
    NEEDS(FCMOV, CMOV),
    NEEDS2(PPRO, FPU, CMOV),
    NEEDS(AVX, AVX),
    NEEDS(AVX2, AVX2),
    NEEDS(AVX2GATHER, AVX2),
    NEEDS2(AVXAES, AVX, AES),
    NEEDS2(AVX_GFNI, AVX, GFNI),
    NEEDS2(VAES, AVX, VAES),
    NEEDS2(VPCLMULQDQ, AVX, VPCLMULQDQ),
    NEEDS(AVX_VNNI, AVX_VNNI),
    NEEDS(F16C, F16C),
    NEEDS(FMA, FMA),
    NEEDS_EVEX(AVX512F, AVX512F),
    NEEDS(AVX512F_128N, AVX512F),
    NEEDS(AVX512F_SCALAR, AVX512F),
    NEEDS(AVX512F_KOP, AVX512F),
    NEEDS_EVEX(AVX512BW, AVX512BW),
    NEEDS(AVX512BW_128N, AVX512BW),
    NEEDS(AVX512BW_KOP, AVX512BW),
    NEEDS_EVEX(AVX512CD, AVX512CD),
    NEEDS_EVEX(AVX512DQ, AVX512DQ),
    NEEDS(AVX512DQ_128N, AVX512DQ),
    NEEDS(AVX512DQ_SCALAR, AVX512DQ),
    NEEDS(AVX512DQ_KOP, AVX512DQ),
    NEEDS_EVEX(AVX512_BF16, AVX512_BF16),
    NEEDS_EVEX(AVX512_BITALG, AVX512BITALG),
    NEEDS2(AVX512_GFNI_128, AVX512VL, GFNI),
    NEEDS2(AVX512_GFNI_256, AVX512VL, GFNI),
    NEEDS2(AVX512_GFNI_512, AVX512F, GFNI),
    NEEDS_EVEX(AVX512_IFMA, AVX512IFMA),
    NEEDS2(AVX512_VAES_128, AVX512VL, VAES),
    NEEDS2(AVX512_VAES_256, AVX512VL, VAES),
    NEEDS2(AVX512_VAES_512, AVX512F, VAES),
    NEEDS_EVEX(AVX512_VBMI, AVX512VBMI),
    NEEDS_EVEX(AVX512_VBMI2, AVX512VBMI2),
    NEEDS_EVEX(AVX512_VNNI, AVX512VNNI),
    NEEDS2(AVX512_VPCLMULQDQ_128, AVX512VL, VPCLMULQDQ),
    NEEDS2(AVX512_VPCLMULQDQ_256, AVX512VL, VPCLMULQDQ),
    NEEDS2(AVX512_VPCLMULQDQ_512, AVX512F, VPCLMULQDQ),
    NEEDS_EVEX(AVX512_VPOPCNTDQ, AVX512_VPOPCNTDQ),
};

bool vector_encoding_exists(const X86CPU *cpu, const ZydisDecodedInstruction *zi)
{
    return zi->encoding == ZYDIS_INSTRUCTION_ENCODING_LEGACY || cpu_pm(cpu);
}

bool vector_isa_offered(const X86CPU *cpu, const ZydisDecodedInstruction *zi)
{
    const IsaNeeds *needs = &isa_needs[zi->meta.isa_set];

    return needs->known && vector_encoding_exists(cpu, zi) && cpu_has(cpu, needs->feature) &&
           (needs->also == X86_FEATURE_NONE || cpu_has(cpu, needs->also));
}
