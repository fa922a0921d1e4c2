/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Vectors: SSE2, AVX2, FMA, AES. */
#include "bench/guest/bench.h"

static u64 t_sse2(void)
{
    __m128i a = _mm_set1_epi32(12345), b = _mm_setr_epi32(1, 2, 3, 4), c = _mm_setzero_si128();
    for (int i = 0; i < 50000; i++) {
        a = _mm_add_epi32(a, b);
        b = _mm_xor_si128(b, _mm_slli_epi32(a, 5));
        c = _mm_add_epi16(c, _mm_mullo_epi16(a, b));
        b = _mm_shuffle_epi32(b, 0x39);
        c = _mm_unpacklo_epi8(c, a);
        c = _mm_max_epi16(c, b);
        a = _mm_sub_epi8(a, _mm_cmpgt_epi8(c, b));
        b = _mm_add_epi64(b, _mm_mul_epu32(a, c));
    }
    u64 o[2];
    _mm_storeu_si128((void *)o, _mm_add_epi64(a, _mm_add_epi64(b, c)));
    return o[0] ^ o[1];
}
__attribute__((target("avx2"))) static u64 t_avx2(void)
{
    __m256i a = _mm256_set1_epi32(12345), b = _mm256_setr_epi32(1, 2, 3, 4, 5, 6, 7, 8),
            c = _mm256_setzero_si256();
    for (int i = 0; i < 50000; i++) {
        a = _mm256_add_epi32(a, b);
        b = _mm256_xor_si256(b, _mm256_slli_epi32(a, 5));
        c = _mm256_add_epi16(c, _mm256_mullo_epi16(a, b));
        b = _mm256_permutevar8x32_epi32(b, c);
        c = _mm256_shuffle_epi8(c, a);
        c = _mm256_max_epi16(c, b);
        a = _mm256_sub_epi8(a, _mm256_cmpgt_epi8(c, b));
        b = _mm256_add_epi64(b, _mm256_mul_epu32(a, c));
    }
    u64 o[4];
    _mm256_storeu_si256((void *)o, _mm256_add_epi64(a, _mm256_add_epi64(b, c)));
    return o[0] ^ o[1] ^ o[2] ^ o[3];
}
__attribute__((target("avx2,fma"))) static u64 t_fma(void)
{
    __m256d a[4], x = _mm256_set1_pd(.999), y = _mm256_setr_pd(.1, .2, .3, .4);
    for (int k = 0; k < 4; k++) {
        a[k] = _mm256_set1_pd(k + 1);
    }
    for (int i = 0; i < 50000; i++) {
        for (int k = 0; k < 4; k++) {
            a[k] = _mm256_fmadd_pd(a[k], x, y);
        }
    }
    double o[4];
    _mm256_storeu_pd(o, _mm256_add_pd(_mm256_add_pd(a[0], a[1]), _mm256_add_pd(a[2], a[3])));
    return dbits(o[0]) ^ dbits(o[1]) ^ dbits(o[2]) ^ dbits(o[3]);
}
__attribute__((target("aes,sse4.1"))) static u64 t_aesni(void)
{
    __m128i s = _mm_set_epi32(1, 2, 3, 4), k = _mm_set_epi32(5, 6, 7, 8);
    for (int i = 0; i < 50000; i++) {
        s = _mm_aesenc_si128(s, k);
    }
    return _mm_extract_epi64(s, 0) ^ _mm_extract_epi64(s, 1);
}
static int has_avx2(void)
{
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx2");
}
static int has_fma(void)
{
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}
static int has_aes(void)
{
    unsigned a, b, c, d;
    return __get_cpuid(1, &a, &b, &c, &d) && (c & bit_AES) && (c & bit_SSE4_1);
}

const struct test simd_tests[] = {
    {"simd_sse2", .5, "Mop/s", t_sse2},
    {"simd_avx2", .5, "Mop/s", t_avx2, has_avx2},
    {"simd_fma", .2, "Mfma/s", t_fma, has_fma},
    {"simd_aesni", .05, "Mop/s", t_aesni, has_aes},
    {0},
};
