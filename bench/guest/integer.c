/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Integer work: lists, hashes, compression, division, long numbers. */
#include "bench/guest/bench.h"

// CoreMark-like mixture: linked list sort/reverse, small int matrix, a number
// scanning state machine, CRC16 over the results.
struct lnode {
    struct lnode *next;
    int16_t key, val;
};
static u16 crc16(u16 crc, u32 v, int bits)
{
    for (int i = 0; i < bits; i++, v >>= 1) {
        crc = ((crc ^ v) & 1) ? (crc >> 1) ^ 0xa001 : crc >> 1;
    }
    return crc;
}
static struct lnode *lmerge(struct lnode *a, struct lnode *b)
{
    struct lnode h, *t = &h;
    while (a && b) {
        if (a->key <= b->key) {
            t = t->next = a;
            a = a->next;
        } else {
            t = t->next = b;
            b = b->next;
        }
    }
    t->next = a ? a : b;
    return h.next;
}
static struct lnode *lsort(struct lnode *l)
{
    if (!l || !l->next) {
        return l;
    }
    struct lnode *s = l, *f = l->next;
    while (f && f->next) {
        s = s->next;
        f = f->next->next;
    }
    struct lnode *b = s->next;
    s->next = 0;
    return lmerge(lsort(l), lsort(b));
}
static int scan_num(const char *s, int *counts)
{
    enum { START, SIGN, INT, DOT, FRAC, EXP, EXPSIGN, EXPNUM, BAD } st = START;
    int n = 0;
    for (; *s && *s != ','; s++, n++) {
        char c = *s;
        int dig = c >= '0' && c <= '9';
        switch (st) {
        case START:
            st = dig ? INT : (c == '+' || c == '-') ? SIGN : c == '.' ? DOT : BAD;
            break;
        case SIGN:
            st = dig ? INT : c == '.' ? DOT : BAD;
            break;
        case INT:
            st = dig ? INT : c == '.' ? FRAC : (c | 32) == 'e' ? EXP : BAD;
            break;
        case DOT:
            st = dig ? FRAC : BAD;
            break;
        case FRAC:
            st = dig ? FRAC : (c | 32) == 'e' ? EXP : BAD;
            break;
        case EXP:
            st = dig ? EXPNUM : (c == '+' || c == '-') ? EXPSIGN : BAD;
            break;
        case EXPSIGN:
            st = dig ? EXPNUM : BAD;
            break;
        case EXPNUM:
            st = dig ? EXPNUM : BAD;
            break;
        case BAD:
            break;
        }
        counts[st]++;
    }
    return n;
}
static u64 t_core(void)
{
    static const char *txt =
        "5012,-1.5e10,+.75,x12,110.700,-.e,1e-7,+0.64400,T0.3e-1F,-5.3e+5,87234,.0012,";
    static struct lnode nodes[256];
    static int32_t A[24][24], B[24][24], C[24][24];
    u16 crc = 0xffff;
    rng_s = 12345;
    for (int rep = 0; rep < 40; rep++) {
        for (int i = 0; i < 256; i++) {
            nodes[i].key = rng();
            nodes[i].val = i;
            nodes[i].next = i < 255 ? &nodes[i + 1] : 0;
        }
        struct lnode *l = lsort(nodes), *r = 0, *n;
        for (; l; l = n) {
            n = l->next;
            l->next = r;
            r = l;
            crc = crc16(crc, (u16)r->val, 16);
        }
        for (int i = 0; i < 24; i++) {
            for (int j = 0; j < 24; j++) {
                A[i][j] = (i * j + rep) & 0xff;
                B[i][j] = (i + j * rep) & 0xff;
            }
        }
        for (int i = 0; i < 24; i++) {
            for (int j = 0; j < 24; j++) {
                int s = 0;
                for (int k = 0; k < 24; k++) {
                    s += A[i][k] * B[k][j];
                }
                C[i][j] = s;
            }
        }
        for (int i = 0; i < 24; i++) {
            crc = crc16(crc, C[i][23 - i], 32);
        }
        int counts[9] = {0};
        for (int k = 0; k < 12; k++) {
            for (const char *p = txt; *p; p++) {
                p += scan_num(p, counts);
            }
        }
        for (int i = 0; i < 9; i++) {
            crc = crc16(crc, counts[i], 16);
        }
    }
    return crc;
}
// SHA-256
static const u32 K256[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};
#define ROR(x, n) (((x) >> (n)) | ((x) << (32 - (n))))
static NOINLINE void sha256_block(u32 *H, const u8 *p)
{
    u32 w[64], a = H[0], b = H[1], c = H[2], d = H[3], e = H[4], f = H[5], g = H[6], h = H[7];
    for (int i = 0; i < 16; i++) {
        u32 v;
        memcpy(&v, p + 4 * i, 4);
        w[i] = __builtin_bswap32(v);
    }
    for (int i = 16; i < 64; i++) {
        w[i] = w[i - 16] + (ROR(w[i - 15], 7) ^ ROR(w[i - 15], 18) ^ (w[i - 15] >> 3)) + w[i - 7] +
               (ROR(w[i - 2], 17) ^ ROR(w[i - 2], 19) ^ (w[i - 2] >> 10));
    }
    for (int i = 0; i < 64; i++) {
        u32 t1 = h + (ROR(e, 6) ^ ROR(e, 11) ^ ROR(e, 25)) + ((e & f) ^ (~e & g)) + K256[i] + w[i];
        u32 t2 = (ROR(a, 2) ^ ROR(a, 13) ^ ROR(a, 22)) + ((a & b) ^ (a & c) ^ (b & c));
        h = g;
        g = f;
        f = e;
        e = d + t1;
        d = c;
        c = b;
        b = a;
        a = t1 + t2;
    }
    H[0] += a;
    H[1] += b;
    H[2] += c;
    H[3] += d;
    H[4] += e;
    H[5] += f;
    H[6] += g;
    H[7] += h;
}
u64 sha_run(int blocks)
{
    u32 H[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
    u8 buf[4096];
    for (int i = 0; i < 4096; i++) {
        buf[i] = i * 7;
    }
    for (int i = 0; i < blocks; i++) {
        sha256_block(H, buf + (i & 63) * 64);
    }
    return hash(H, 32);
}
static u64 t_sha256(void)
{
    return sha_run(16384);
} // 1 MiB
// LZ77 compressor + decompressor
#define LZN 65536
static u64 t_lz(void)
{
    static u8 src[LZN], out[LZN * 2], back[LZN + 64];
    static u32 tab[8192];
    rng_s = 99;
    for (int i = 0; i < LZN;) {
        u64 r = rng();
        if (i > 300 && (r & 3)) {
            int l = 4 + (r >> 8) % 40, o = 1 + (r >> 20) % 250;
            while (l-- && i < LZN) {
                src[i] = src[i - o];
                i++;
            }
        } else {
            src[i++] = 'a' + (r >> 30) % 26;
        }
    }
    memset(tab, 0xff, sizeof tab);
    size_t o = 0, i = 0;
    while (i < LZN) {
        u32 len = 0, off = 0;
        if (i + 4 <= LZN) {
            u32 v;
            memcpy(&v, src + i, 4);
            u32 h = (v * 2654435761u) >> 19, c = tab[h];
            tab[h] = i;
            if (c != ~0u && i - c < 65536) {
                u32 m = LZN - i < 130 ? LZN - i : 130;
                while (len < m && src[c + len] == src[i + len]) {
                    len++;
                }
                off = i - c;
            }
        }
        if (len >= 4) {
            out[o++] = 0x80 | (len - 4 > 127 ? 127 : len - 4);
            if (len > 131) {
                len = 131;
            }
            out[o++] = off;
            out[o++] = off >> 8;
            i += len;
        } else {
            out[o++] = src[i++] & 0x7f;
        }
    }
    size_t e = o, d = 0;
    for (o = 0; o < e;) {
        u8 c = out[o++];
        if (c & 0x80) {
            u32 l = (c & 0x7f) + 4, f = out[o] | out[o + 1] << 8;
            o += 2;
            while (l--) {
                back[d] = back[d - f];
                d++;
            }
        } else {
            back[d++] = c;
        }
    }
    if (d != LZN || memcmp(back, src, LZN)) {
        return 0xbad;
    }
    return mix(e, hash(out, e));
}
// multiply/divide, 32/64/128 bit
static u64 t_muldiv(void)
{
    u64 s = 0x123456789abcdefull, h = 0;
    for (int i = 1; i <= 100000; i++) {
        unsigned __int128 p = (unsigned __int128)s * (s ^ i);
        h += (u64)(p >> 64);
        s = (u64)p | 1;
        h ^= s / (u32)(i | 1);
        h += (int64_t)s % (i + 3);
        h ^= (u32)s / (u32)i;
        h += (int)(u32)s % 97;
    }
    return h;
}
// bit tricks: shifts, rotates, popcount/bsf emulation by plain C, adc chains
static u64 t_bignum(void)
{
    static u64 a[64], b[64];
    for (int i = 0; i < 64; i++) {
        a[i] = i * 0x9e3779b97f4a7c15ull;
        b[i] = ~a[i];
    }
    for (int r = 0; r < 4000; r++) {
        unsigned char c = 0;
        for (int i = 0; i < 64; i++) {
            c = _addcarry_u64(c, a[i], b[i], (unsigned long long *)&a[i]);
        }
        u64 k = 0, m = 0x100000001b3ull + r;
        for (int i = 0; i < 64; i++) {
            unsigned __int128 t = (unsigned __int128)b[i] * m + k;
            b[i] = t;
            k = t >> 64;
        }
    }
    return mix(hash(a, sizeof a), hash(b, sizeof b));
}

const struct test integer_tests[] = {
    {"int_core", 40, "iter/s", t_core},
    {"int_sha256", 1, "MiB/s", t_sha256},
    {"int_lz", .0625, "MiB/s", t_lz},
    {"int_muldiv", .1, "Miter/s", t_muldiv},
    {"int_bignum", .512, "Mlimb/s", t_bignum},
    {0},
};
