/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Computes with SSE2, AVX2 and AVX-512, twice as one process and twice as two that take turns, and
 * prints a checksum of each. The same program is /init of a virtual machine, which it switches off.
 */
#include <immintrin.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/reboot.h>
#include <sys/wait.h>
#include <unistd.h>

enum { COUNT = 4096, ROUNDS = 400 };

static int32_t ints[COUNT] __attribute__((aligned(64)));
static float floats[COUNT] __attribute__((aligned(64)));
static double doubles[COUNT] __attribute__((aligned(64)));

static void fill(uint64_t seed)
{
    for (unsigned i = 0; i < COUNT; i++) {
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        ints[i] = seed >> 33;
        floats[i] = (int32_t)(seed >> 40) / 1024.0f;
        doubles[i] = (int64_t)seed / 65536.0;
    }
}

static uint64_t sum_up(void)
{
    const uint64_t *parts[] = {(uint64_t *)ints, (uint64_t *)floats, (uint64_t *)doubles};
    const unsigned words[] = {COUNT / 2, COUNT / 2, COUNT};
    uint64_t sum = 14695981039346656037u;

    for (unsigned p = 0; p < 3; p++) {
        for (unsigned i = 0; i < words[p]; i++) {
            sum = (sum ^ parts[p][i]) * 1099511628211u;
        }
    }
    return sum;
}

static uint64_t run_sse2(void)
{
    for (unsigned round = 0; round < ROUNDS; round++) {
        for (unsigned i = 0; i < COUNT; i += 4) {
            __m128i a = _mm_load_si128((__m128i *)&ints[i]);
            __m128 f = _mm_loadu_ps(&floats[i]);
            __m128d d = _mm_load_pd(&doubles[i]);

            a = _mm_add_epi32(_mm_shuffle_epi32(a, 0x1b), _mm_srli_epi32(a, 3));
            f = _mm_sub_ps(_mm_mul_ps(f, _mm_set1_ps(0.75f)),
                           _mm_cvtepi32_ps(_mm_srai_epi32(a, 9)));
            d = _mm_add_pd(_mm_sqrt_pd(_mm_mul_pd(d, d)), _mm_cvtps_pd(f));
            _mm_store_si128((__m128i *)&ints[i], a);
            _mm_storeu_ps(&floats[i], f);
            _mm_store_pd(&doubles[i], d);
        }
    }
    return sum_up();
}

__attribute__((target("avx2,fma"))) static uint64_t run_avx2(void)
{
    for (unsigned round = 0; round < ROUNDS; round++) {
        for (unsigned i = 0; i < COUNT; i += 8) {
            __m256i a = _mm256_load_si256((__m256i *)&ints[i]);
            __m256 f = _mm256_loadu_ps(&floats[i]);
            __m256d d = _mm256_load_pd(&doubles[i]);
            __m256i index = _mm256_and_si256(a, _mm256_set1_epi32(COUNT - 1));

            a = _mm256_xor_si256(_mm256_i32gather_epi32(ints, index, 4),
                                 _mm256_srlv_epi32(a, index));
            a = _mm256_permutevar8x32_epi32(a, index);
            f = _mm256_fmadd_ps(f, _mm256_set1_ps(0.5f),
                                _mm256_cvtepi32_ps(_mm256_srai_epi32(a, 8)));
            d = _mm256_fnmadd_pd(d, _mm256_set1_pd(0.25),
                                 _mm256_cvtps_pd(_mm256_castps256_ps128(f)));
            _mm256_store_si256((__m256i *)&ints[i], a);
            _mm256_storeu_ps(&floats[i], f);
            _mm256_store_pd(&doubles[i], d);
        }
    }
    return sum_up();
}

__attribute__((target("avx512f,avx512bw,avx512vl,avx512dq"))) static uint64_t run_avx512(void)
{
    for (unsigned round = 0; round < ROUNDS; round++) {
        for (unsigned i = 0; i < COUNT; i += 16) {
            __m512i a = _mm512_load_si512(&ints[i]);
            __m512 f = _mm512_loadu_ps(&floats[i]);
            __m512d d = _mm512_load_pd(&doubles[i]);
            __mmask16 odd = _mm512_test_epi32_mask(a, _mm512_set1_epi32(1));
            __mmask64 low = _mm512_cmplt_epu8_mask(a, _mm512_set1_epi8(77));

            a = _mm512_mask_add_epi32(a, odd, a, _mm512_ror_epi32(a, 7));
            a = _mm512_mask_subs_epu8(a, low, a, _mm512_set1_epi8(3));
            a = _mm512_ternarylogic_epi32(a, _mm512_alignr_epi32(a, a, 5), _mm512_rolv_epi32(a, a),
                                          0x96);
            f = _mm512_mask_fmadd_ps(f, odd, _mm512_set1_ps(0.5f), _mm512_cvtepi32_ps(a));
            f = _mm512_maskz_compress_ps(~odd, f);
            d = _mm512_add_pd(_mm512_scalef_pd(d, _mm512_set1_pd(-1)),
                              _mm512_cvtps_pd(_mm512_castps512_ps256(f)));
            _mm512_store_si512(&ints[i], a);
            _mm512_storeu_ps(&floats[i], f);
            _mm512_store_pd(&doubles[i], d);
        }
    }
    return sum_up();
}

static void run_all(const char *who, uint64_t seed)
{
    fill(seed);
    printf("%s sse2 %016lx\n", who, run_sse2());
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
        fill(seed);
        printf("%s avx2 %016lx\n", who, run_avx2());
    }
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq")) {
        fill(seed);
        printf("%s avx512 %016lx\n", who, run_avx512());
    }
    fflush(stdout);
}

int main(void)
{
    pid_t child;

    __builtin_cpu_init();
    run_all("alone", 1);
    fflush(stdout);
    child = fork(); /* two processes whose registers must not mix */
    if (child == 0) {
        run_all("child", 2);
        _exit(0);
    }
    run_all("parent", 3);
    waitpid(child, NULL, 0);
    printf("done\n");
    fflush(stdout);
    if (getpid() == 1) {
        reboot(RB_POWER_OFF);
    }
    return 0;
}
