/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Runs in a guest and on the host, and must print the same: one line for each set of vector
 * instructions that CPUID offers, with a checksum of results on pseudo-random operands, then what
 * becomes of the upper parts of registers, and whether two processes that take turns keep all their
 * vector registers.
 */
#include <immintrin.h>
#include <sched.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define ROUNDS 200

static uint64_t random_state;
static uint64_t sum;

static uint64_t next_random(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

static void fill(void *at, size_t size)
{
    for (size_t i = 0; i < size; i += 8) {
        uint64_t value = next_random();
        memcpy((char *)at + i, &value, 8);
    }
}

/* Numbers that are neither huge nor tiny: sums and products of them are rounded, not infinite. */
static void fill_floats(float *at, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        at[i] = (float)(int32_t)next_random() / 65536.0f;
    }
}

static void add(const void *at, size_t size)
{
    const uint8_t *bytes = at;

    for (size_t i = 0; i < size; i++) {
        sum = (sum ^ bytes[i]) * 0x100000001b3u;
    }
}

#define ADD(value)                                                                                 \
    do {                                                                                           \
        __typeof__(value) value_ = (value);                                                        \
        add(&value_, sizeof(value_));                                                              \
    } while (0)

typedef struct Operands {
    uint8_t a[64], b[64], c[64];
    float f[16], g[16], h[16];
} __attribute__((aligned(64))) Operands;

#define A256 _mm256_load_si256((const __m256i *)o->a)
#define B256 _mm256_load_si256((const __m256i *)o->b)
#define C256 _mm256_load_si256((const __m256i *)o->c)
#define A512 _mm512_load_si512(o->a)
#define B512 _mm512_load_si512(o->b)
#define C512 _mm512_load_si512(o->c)
#define K64(at) (*(const uint64_t *)(at))

#define SET(name, features) __attribute__((target(features), noinline)) \
    static void run_##name(const Operands *o)

SET(avx2, "avx2")
{
    __m256i table = _mm256_and_si256(A256, _mm256_set1_epi32(15));

    ADD(_mm256_add_epi16(A256, B256));
    ADD(_mm256_mullo_epi32(A256, B256));
    ADD(_mm256_shuffle_epi8(A256, B256));
    ADD(_mm256_permutevar8x32_epi32(A256, B256));
    ADD(_mm256_i32gather_epi32((const int *)o->c, table, 4));
    ADD(_mm256_sllv_epi64(A256, _mm256_and_si256(B256, _mm256_set1_epi64x(63))));
    ADD(_mm256_mpsadbw_epu8(A256, B256, 0x2b));
    ADD(_mm256_movemask_epi8(A256));
}

SET(fma, "fma,avx2")
{
    __m256 f = _mm256_load_ps(o->f), g = _mm256_load_ps(o->g), h = _mm256_load_ps(o->h);

    ADD(_mm256_fmadd_ps(f, g, h));
    ADD(_mm256_fnmsub_ps(f, g, h));
    ADD(_mm256_div_ps(f, g));
    ADD(_mm256_sqrt_ps(_mm256_mul_ps(f, f)));
}

SET(f16c, "f16c,avx")
{
    __m128i half = _mm256_cvtps_ph(_mm256_load_ps(o->f), 0);

    ADD(half);
    ADD(_mm256_cvtph_ps(half));
}

SET(sha, "sha,sse4.1")
{
    __m128i a = _mm_load_si128((const __m128i *)o->a), b = _mm_load_si128((const __m128i *)o->b);

    ADD(_mm_sha256rnds2_epu32(a, b, _mm_load_si128((const __m128i *)o->c)));
    ADD(_mm_sha1rnds4_epu32(a, b, 2));
}

SET(vaes, "vaes,avx2")
{
    ADD(_mm256_aesenc_epi128(A256, B256));
    ADD(_mm256_aesdeclast_epi128(A256, B256));
}

SET(vpclmulqdq, "vpclmulqdq,avx2")
{
    ADD(_mm256_clmulepi64_epi128(A256, B256, 0x10));
}

SET(gfni, "gfni,avx2")
{
    ADD(_mm256_gf2p8mul_epi8(A256, B256));
    ADD(_mm256_gf2p8affine_epi64_epi8(A256, B256, 0x63));
}

SET(avxvnni, "avxvnni,avx2")
{
    ADD(_mm256_dpbusd_avx_epi32(A256, B256, C256));
}

SET(avx512f, "avx512f")
{
    __m512 f = _mm512_load_ps(o->f), g = _mm512_load_ps(o->g), h = _mm512_load_ps(o->h);
    __mmask16 k = K64(o->c);

    ADD(_mm512_mask_add_epi32(A512, k, B512, C512));
    ADD(_mm512_maskz_mullo_epi32(k, B512, C512));
    ADD(_mm512_ternarylogic_epi64(A512, B512, C512, 0x96));
    ADD(_mm512_permutexvar_epi32(A512, B512));
    ADD(_mm512_mask_compress_epi32(A512, k, B512));
    ADD(_mm512_maskz_expand_epi64((__mmask8)k, B512));
    ADD(_mm512_rolv_epi32(A512, B512));
    ADD(_mm512_mask_fmadd_ps(f, k, g, h));
    ADD(_mm512_add_round_ps(f, g, _MM_FROUND_TO_POS_INF | _MM_FROUND_NO_EXC));
    ADD(_mm512_cmp_epi32_mask(A512, B512, 1));
    ADD(_mm512_i32gather_epi32(_mm512_and_si512(A512, _mm512_set1_epi32(15)), o->c, 4));
    ADD(_mm512_cvtepi32_epi8(A512));
}

SET(avx512bw, "avx512bw")
{
    ADD(_mm512_mask_adds_epu8(A512, K64(o->c), B512, C512));
    ADD(_mm512_mulhrs_epi16(A512, B512));
    ADD(_mm512_cmpgt_epu8_mask(A512, B512));
    ADD(_mm512_sad_epu8(A512, B512));
}

SET(avx512dq, "avx512dq")
{
    ADD(_mm512_mullo_epi64(A512, B512));
    ADD(_mm512_cvtepi64_pd(A512));
    ADD(_mm512_fpclass_ps_mask(_mm512_castsi512_ps(A512), 0x81));
}

SET(avx512cd, "avx512cd")
{
    ADD(_mm512_conflict_epi32(_mm512_and_si512(A512, _mm512_set1_epi32(7))));
    ADD(_mm512_lzcnt_epi64(A512));
}

SET(avx512vl, "avx512vl,avx512bw")
{
    ADD(_mm256_mask_sub_epi16(A256, (__mmask16)K64(o->c), B256, C256));
    ADD(_mm256_cmple_epi32_mask(A256, B256));
    ADD(_mm256_ror_epi64(A256, 17));
}

SET(avx512ifma, "avx512ifma")
{
    ADD(_mm512_madd52hi_epu64(A512, B512, C512));
    ADD(_mm512_madd52lo_epu64(A512, B512, C512));
}

SET(avx512vbmi, "avx512vbmi")
{
    ADD(_mm512_permutexvar_epi8(A512, B512));
    ADD(_mm512_permutex2var_epi8(A512, B512, C512));
    ADD(_mm512_multishift_epi64_epi8(A512, B512));
}

SET(avx512vbmi2, "avx512vbmi2,avx512bw")
{
    ADD(_mm512_shldv_epi64(A512, B512, C512));
    ADD(_mm512_maskz_compress_epi8(K64(o->c), A512));
}

SET(avx512vnni, "avx512vnni")
{
    ADD(_mm512_dpbusds_epi32(A512, B512, C512));
    ADD(_mm512_dpwssd_epi32(A512, B512, C512));
}

SET(avx512bitalg, "avx512bitalg,avx512bw")
{
    ADD(_mm512_popcnt_epi8(A512));
    ADD(_mm512_bitshuffle_epi64_mask(A512, B512));
}

SET(avx512vpopcntdq, "avx512vpopcntdq")
{
    ADD(_mm512_popcnt_epi64(A512));
}

SET(avx512bf16, "avx512bf16,avx512f")
{
    __m512 f = _mm512_load_ps(o->f), g = _mm512_load_ps(o->g);

    ADD(_mm512_dpbf16_ps(_mm512_load_ps(o->h), _mm512_cvtne2ps_pbh(f, g),
                         _mm512_cvtne2ps_pbh(g, f)));
}

/* Bit @bit of register @reg (0: EAX) of CPUID leaf 7, @subleaf; or of leaf 1 (@leaf). */
static const struct {
    const char *name;
    void (*run)(const Operands *o);
    uint32_t leaf, subleaf;
    uint8_t reg, bit;
} sets[] = {
    {"avx2", run_avx2, 7, 0, 1, 5},
    {"fma", run_fma, 1, 0, 2, 12},
    {"f16c", run_f16c, 1, 0, 2, 29},
    {"sha", run_sha, 7, 0, 1, 29},
    {"vaes", run_vaes, 7, 0, 2, 9},
    {"vpclmulqdq", run_vpclmulqdq, 7, 0, 2, 10},
    {"gfni", run_gfni, 7, 0, 2, 8},
    {"avx_vnni", run_avxvnni, 7, 1, 0, 4},
    {"avx512f", run_avx512f, 7, 0, 1, 16},
    {"avx512bw", run_avx512bw, 7, 0, 1, 30},
    {"avx512dq", run_avx512dq, 7, 0, 1, 17},
    {"avx512cd", run_avx512cd, 7, 0, 1, 28},
    {"avx512vl", run_avx512vl, 7, 0, 1, 31},
    {"avx512ifma", run_avx512ifma, 7, 0, 1, 21},
    {"avx512vbmi", run_avx512vbmi, 7, 0, 2, 1},
    {"avx512_vbmi2", run_avx512vbmi2, 7, 0, 2, 6},
    {"avx512_vnni", run_avx512vnni, 7, 0, 2, 11},
    {"avx512_bitalg", run_avx512bitalg, 7, 0, 2, 12},
    {"avx512_vpopcntdq", run_avx512vpopcntdq, 7, 0, 2, 14},
    {"avx512_bf16", run_avx512bf16, 7, 1, 0, 5},
};

static int offered(unsigned i)
{
    uint32_t regs[4];

    __asm__("cpuid" : "=a"(regs[0]), "=b"(regs[1]), "=c"(regs[2]), "=d"(regs[3])
            : "a"(sets[i].leaf), "c"(sets[i].subleaf));
    return regs[sets[i].reg] >> sets[i].bit & 1;
}

static void run_set(unsigned i)
{
    static Operands operands;

    random_state = 88172645463325252u;
    sum = 0xcbf29ce484222325u;
    for (unsigned round = 0; round < ROUNDS; round++) {
        fill(&operands, offsetof(Operands, f));
        fill_floats(operands.f, 48);
        sets[i].run(&operands);
    }
    printf("%s %016llx\n", sets[i].name, (unsigned long long)sum);
}

/* --- upper parts of registers -------------------------------------------------------------- */

/* VEX clears what is above its length, legacy SSE keeps it, VZEROALL spares ZMM16 to ZMM31. */
#define UPPER(n, reg, insns)                                                                       \
    "vmovdqa64 (%0), %%zmm" #reg "\n" insns "\n vmovdqa64 %%zmm" #reg ", 64*" #n "(%1)\n"

__attribute__((target("avx512f"), noinline)) static void run_uppers(void)
{
    static uint8_t from[64] __attribute__((aligned(64)));
    static uint8_t to[8 * 64] __attribute__((aligned(64)));

    random_state = 88172645463325252u;
    sum = 0xcbf29ce484222325u;
    fill(from, sizeof(from));
    for (unsigned round = 0; round < ROUNDS; round++) {
        __asm__ volatile(
            UPPER(0, 1, "vpaddd %%ymm1, %%ymm1, %%ymm1") UPPER(1, 2, "paddd %%xmm2, %%xmm2")
            UPPER(2, 3, "vpaddd %%xmm3, %%xmm3, %%xmm3") UPPER(3, 4, "vzeroupper")
            UPPER(4, 20, "vzeroall") UPPER(5, 5, "vmovd %k2, %%xmm5")
            UPPER(6, 6, "vmovdqu (%0), %%ymm6") UPPER(7, 7, "movaps %%xmm6, %%xmm7")
            "vzeroupper"
            : : "r"(from), "r"(to), "r"(77)
            : "memory", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm20");
        add(to, sizeof(to));
    }
    printf("uppers %016llx\n", (unsigned long long)sum);
}

/* --- registers over context switches ------------------------------------------------------ */

#define LOAD(n) "vmovdqa64 " #n "*64(%1), %%zmm" #n "\n"
#define STORE(n) "vmovdqa64 %%zmm" #n ", " #n "*64(%2)\n"
#define ZMMS(op)                                                                                   \
    op(0) op(1) op(2) op(3) op(4) op(5) op(6) op(7) op(8) op(9) op(10) op(11) op(12) op(13) op(14) \
    op(15) op(16) op(17) op(18) op(19) op(20) op(21) op(22) op(23) op(24) op(25) op(26) op(27)     \
    op(28) op(29) op(30) op(31)

/* Loads every vector register, gives the CPU away in the same asm, and compares. */
__attribute__((target("avx512f,avx512bw"), noinline))
static int keeps_registers(uint64_t seed)
{
    static uint8_t before[34][64] __attribute__((aligned(64)));
    static uint8_t after[34][64] __attribute__((aligned(64)));
    long yield = 24; /* sched_yield */

    random_state = seed;
    fill(before, sizeof(before));
    memset(&before[32][8], 0, sizeof(before) - 32 * 64 - 8);
    __asm__ volatile(
        ZMMS(LOAD) "kmovq 2048(%1), %%k5\n"
        "syscall\n"
        ZMMS(STORE) "kmovq %%k5, 2048(%2)\n vzeroupper\n"
        : "+a"(yield) : "r"(before), "r"(after) : "rcx", "r11", "memory", "k5",
          "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10",
          "xmm11", "xmm12", "xmm13", "xmm14", "xmm15", "xmm16", "xmm17", "xmm18", "xmm19", "xmm20",
          "xmm21", "xmm22", "xmm23", "xmm24", "xmm25", "xmm26", "xmm27", "xmm28", "xmm29", "xmm30",
          "xmm31");
    return memcmp(before, after, sizeof(before)) == 0;
}

static int keep_for_long(uint64_t seed)
{
    for (unsigned i = 1; i <= 2000; i++) {
        if (!keeps_registers(seed * i)) {
            return 1;
        }
    }
    return 0;
}

/* Two processes on one CPU: each yields to the other. */
static void run_processes(void)
{
    cpu_set_t first;
    int status, bad = 0;

    CPU_ZERO(&first);
    CPU_SET(0, &first);
    sched_setaffinity(0, sizeof(first), &first);
    fflush(stdout);
    for (uint64_t child = 1; child <= 2; child++) {
        if (fork() == 0) {
            _exit(keep_for_long(child * 0x9e3779b97f4a7c15u));
        }
    }
    while (wait(&status) > 0) {
        bad |= status;
    }
    printf("registers %s\n", bad ? "lost" : "kept");
}

int main(void)
{
    int avx512bw = 0;

    for (unsigned i = 0; i < sizeof(sets) / sizeof(sets[0]); i++) {
        if (offered(i)) {
            run_set(i);
            avx512bw |= !strcmp(sets[i].name, "avx512bw");
        }
    }
    if (avx512bw) {
        run_uppers();
        run_processes();
    }
    return 0;
}
