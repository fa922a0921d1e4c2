/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Code that changes so often that a translator stops to watch it and compares it before it runs:
 * immediates, whole instructions, by all ways to write, by the code itself, and back to what it
 * was.
 */
#include "lib64.h"

enum { MANY = 400, HOT = 40 };

/* Physical pages of this test, from SPARE(0). */
enum { PAGE_CODE = 8, PAGE_NEXT, PAGE_STACK = 12 };

typedef uint64_t (*Function)(uint64_t);

static uint8_t *const code = (uint8_t *)SPARE(PAGE_CODE);

static __attribute__((noinline)) uint64_t call(const uint8_t *at, uint64_t argument)
{
    return ((Function)(uintptr_t)at)(argument);
}

static void put(uint8_t *at, const void *bytes, unsigned size)
{
    memcpy(at, bytes, size);
    asm volatile("" : : : "memory");
}

static void put32(uint8_t *at, uint32_t value)
{
    *(volatile uint32_t *)at = value;
}

static void put64(uint8_t *at, uint64_t value)
{
    *(volatile uint64_t *)at = value;
}

/* Changes code in the page so often that it is compared from now on, and hot. */
static void wear_out(uint8_t *at)
{
    put(at, "\xb8\0\0\0\0\xc3", 6); /* mov eax, imm32; ret */
    for (unsigned n = 0; n < MANY; n++) {
        put32(at + 1, n);
        (void)call(at, 0);
    }
}

/* --- immediates ----------------------------------------------------------------------------- */

static void test_immediates(void)
{
    uint8_t *wide = code + 64, *sign = code + 128, *high = code + 192, *several = code + 256;
    uint64_t wrong[4] = {0};

    wear_out(code);
    put(wide, "\x48\xb8\0\0\0\0\0\0\0\0\xc3", 11);          /* mov rax, imm64 */
    put(sign, "\x48\xc7\xc0\0\0\0\0\xc3", 8);               /* mov rax, simm32 */
    put(high, "\x41\xb9\0\0\0\0\x44\x89\xc8\xc3", 10);      /* mov r9d, imm32; mov eax, r9d */
    put(several, "\xb8\1\0\0\0\xb9\2\0\0\0\xba\3\0\0\0\xbe\4\0\0\0\xbf\5\0\0\0"
                 "\x01\xc8\x01\xd0\x01\xf0\x01\xf8\xc3", 34);
    for (uint64_t n = 0; n < MANY; n++) {
        for (unsigned k = 0; k < (n < MANY / 2 ? 1 : HOT); k++) {
            wrong[0] += call(wide, 0) != (n ? (n - 1) * 0x0123456789abcdefull : 0);
            wrong[1] += call(sign, 0) != (n ? 1 - n : 0);
            wrong[2] += call(high, 0) != (n ? n - 1 : 0);
            wrong[3] += call(several, 0) != (n ? 15 - n % 5 - 1 + n : 15);
        }
        put64(wide + 2, n * 0x0123456789abcdefull);
        put32(sign + 3, -n);
        put32(high + 2, n);
        put(several, "\xb8\1\0\0\0\xb9\2\0\0\0\xba\3\0\0\0\xbe\4\0\0\0\xbf\5\0\0\0", 25);
        put32(several + 1 + (n + 1) % 5 * 5, n + 1);
    }
    check("immediate-64", wrong[0], 0);
    check("immediate-sign", wrong[1], 0);
    check("immediate-high-register", wrong[2], 0);
    check("immediates-of-a-block", wrong[3], 0);
}

/* --- instructions --------------------------------------------------------------------------- */

static void test_instructions(void)
{
    static const uint8_t add[] = {0x01, 0xc8}, sub[] = {0x29, 0xc8}, imul[] = {0xf7, 0xe9};
    static const uint8_t *const middle[] = {add, sub, imul, add};
    static const uint32_t results[] = {12, 2, 35, 12};
    uint64_t wrong = 0, flags = 0;

    wear_out(code);
    put(code, "\xb8\7\0\0\0\xb9\5\0\0\0\x01\xc8\xc3", 13);
    for (unsigned n = 0; n < MANY; n++) {
        put(code + 10, middle[n % 4], 2);
        for (unsigned k = 0; k < (n < MANY / 2 ? 1 : HOT); k++) {
            wrong += (uint32_t)call(code, 0) != results[n % 4];
        }
    }
    check("instruction-to-and-fro", wrong, 0);
    put(code, "\xb8\1\0\0\0\x83\xd0\0\xc3", 9); /* mov eax, 1; adc eax, 0 */
    for (unsigned n = 0; n < MANY; n++) {
        uint64_t result;

        put32(code + 1, n);
        asm volatile("bt $0, %1; call *%2" : "=a"(result) : "r"(n), "r"(code) : "cc", "memory");
        flags += result != n + (n & 1);
    }
    check("flags-alive-at-entry", flags, 0);
}

/* A loop of one block whose end comes nearer: its count is an immediate that its caller changes. */
static void test_loop(void)
{
    uint64_t wrong = 0;

    wear_out(code);
    /* xor eax, eax; inc eax; cmp eax, imm32; jb -9; ret */
    put(code, "\x31\xc0\xff\xc0\x3d\1\0\0\0\x72\xf7\xc3", 12);
    for (unsigned n = 1; n < MANY; n++) {
        put32(code + 5, n);
        wrong += call(code, 0) != n;
    }
    check("loop", wrong, 0);
}

/* --- code that writes to itself -------------------------------------------------------------- */

static void test_own_writes(void)
{
    uint8_t *named = code + 64, *by_pointer = code + 128, *pushed = code + 512;
    uint64_t wrong = 0, wrong_pointer = 0, wrong_beside = 0, wrong_call = 0;

    wear_out(code);
    put(named, "\x89\x3d\x01\0\0\0\xb8\0\0\0\0\xc3", 12);      /* mov [its operand], edi */
    put(by_pointer, "\x89\x3e\xb8\0\0\0\0\xc3", 8);            /* mov [rsi], edi */
    for (unsigned n = 0; n < MANY; n++) {
        uint64_t result;

        wrong += call(named, n / 4) != n / 4;
        asm volatile("call *%1" : "=a"(result) : "r"(by_pointer), "D"(n / 4), "S"(by_pointer + 3)
                     : "cc", "memory");
        wrong_pointer += result != n / 4;
    }
    check("own-operand-by-name", wrong, 0);
    check("own-operand-by-pointer", wrong_pointer, 0);

    put(named, "\x89\x3d\xfa\3\0\0\x8b\x05\xf4\3\0\0\xc3", 13); /* beside, in the page */
    for (unsigned n = 0; n < MANY; n++) {
        wrong_beside += call(named, n) != n;
    }
    check("data-beside", wrong_beside, 0);

    /* A call that pushes onto the code behind it: E8 rel32 to a function that pops and answers. */
    put(pushed + 64, "\x58\x48\x89\xf4\x8b\x07\xc3", 7); /* pop rax; mov rsp, rsi; mov eax, [rdi] */
    for (unsigned n = 0; n < MANY; n++) {
        uint8_t *stack = pushed + (n & 1 ? 19 : 11); /* onto what is behind it, or itself */
        uint64_t result;

        put(pushed, "\x48\x89\xe6\x48\x89\xfc\xe8\x35\0\0\0\x90\x90\x90\x90\x90", 16);
        asm volatile("call *%1" : "=a"(result) : "r"(pushed), "D"(stack)
                     : "rsi", "cc", "memory");
        wrong_call += *(uint64_t *)(stack - 8) != (uint64_t)(uintptr_t)(pushed + 11);
    }
    check("pushed-onto-code", wrong_call, 0);
}

/* --- ways to write ----------------------------------------------------------------------- */

static void by_string(uint8_t *at, uint32_t value)
{
    const void *from = &value;
    uint64_t count = 4;

    asm volatile("rep movsb" : "+D"(at), "+S"(from), "+c"(count) : : "memory");
}

static void by_fill(uint8_t *at, uint32_t value)
{
    for (unsigned i = 0; i < 4; i++, value >>= 8) {
        uint64_t count = 1;

        asm volatile("rep stosb" : "+D"(at), "+c"(count) : "a"(value) : "memory");
    }
}

static void by_locked(uint8_t *at, uint32_t value)
{
    asm volatile("xchg %0, (%1)" : "+r"(value) : "r"(at) : "memory");
}

static void by_vector(uint8_t *at, uint32_t value)
{
    asm volatile("movd %0, %%xmm0; movd %%xmm0, (%1)" : : "r"(value), "r"(at) : "memory");
}

static void by_alias(uint8_t *at, uint32_t value)
{
    put32((uint8_t *)TEST_PAGE(0) + ((uintptr_t)at & 0xfff), value);
}

/* Across the granule before it, or the page: what is not code there must stay as it is. */
static void by_straddling(uint8_t *at, uint32_t value)
{
    put64(at - 4, (uint64_t)value << 32 | *(volatile uint32_t *)(at - 4));
}

static void by_push(uint8_t *at, uint32_t value)
{
    uint64_t old = *(volatile uint64_t *)(at - 1) >> 40 << 40, stack;
    uint64_t all = (uint64_t)value << 8 | 0xb8 | old;

    asm volatile("mov %%rsp, %0; mov %1, %%rsp; push %2; mov %0, %%rsp"
                 : "=&r"(stack) : "r"(at + 7), "r"(all) : "memory");
}

/* fw_cfg's DMA interface, selector 0: "QEMU". */
static void by_dma(uint8_t *at)
{
    static volatile struct {
        uint32_t control, length;
        uint64_t address;
    } request;
    uint16_t port = 0x514;

    request.control = __builtin_bswap32(0 << 16 | 8 | 2); /* select, read */
    request.length = __builtin_bswap32(4);
    request.address = __builtin_bswap64((uint64_t)(uintptr_t)at);
    asm volatile("outl %0, %1" : : "a"(0), "Nd"(port) : "memory");
    asm volatile("outl %0, %1"
                 : : "a"(__builtin_bswap32((uint32_t)(uintptr_t)&request)),
                     "Nd"((uint16_t)(port + 4)) : "memory");
}

static void test_ways(void)
{
    static void (*const ways[])(uint8_t *, uint32_t) = {
        put32, by_string, by_fill, by_locked, by_vector, by_alias, by_straddling, by_push,
    };
    static const char *const names[] = {
        "write-store", "write-rep-movs", "write-rep-stos", "write-locked", "write-vector",
        "write-by-alias", "write-straddling", "write-push",
    };
    uint64_t wrong_dma = 0;

    WRITE_CR(4, READ_CR(4) | 3 << 9);
    set_pte(0, SPARE(PAGE_CODE) | P | W);
    wear_out(code);
    for (unsigned way = 0; way < sizeof(ways) / sizeof(ways[0]); way++) {
        uint8_t *at = code + 64 * way + 61; /* its operand lies in two granules */
        uint64_t wrong = 0;

        put(at, "\xb8\0\0\0\0\xc3\x90\x90\x90\x90", 10);
        for (unsigned n = 0; n < MANY; n++) {
            ways[way](at + 1, n * 0x01010101);
            for (unsigned k = 0; k < n / 100; k++) {
                wrong += call(at, 0) != (uint32_t)(n * 0x01010101);
            }
        }
        check(names[way], wrong, 0);
    }
    put(code, "\xb8\0\0\0\0\xc3", 6);
    for (unsigned n = 0; n < MANY / 2; n++) {
        put32(code + 1, n);
        wrong_dma += call(code, 0) != n;
        by_dma(code + 1);
        wrong_dma += call(code, 0) != 0x554d4551;
    }
    check("write-dma", wrong_dma, 0);
}

/* --- pages ------------------------------------------------------------------------------ */

/* The last instruction of the page reaches into the next; both are changed. */
static void test_end_of_page(void)
{
    uint8_t *at = code + 4096 - 8;
    uint64_t wrong = 0;

    wear_out(code);
    wear_out((uint8_t *)SPARE(PAGE_NEXT) + 64);
    put(at, "\xb9\1\0\0\0\xb8\0\0\0\0\x01\xc8\xc3", 13); /* mov ecx; mov eax across; add; ret */
    for (unsigned n = 0; n < MANY; n++) {
        put32(at + 1, n / 2);
        put32(at + 6, n * 0x10001);
        wrong += call(at, 0) != n / 2 + n * 0x10001;
    }
    check("end-of-page", wrong, 0);
}

/* Functions one after another in the same place, as a compiler for W^X pages writes them. */
static void test_rewritten(void)
{
    uint64_t wrong = 0;

    set_pte(0, SPARE(PAGE_CODE) | P | W);
    for (unsigned n = 0; n < MANY; n++) {
        uint8_t *p = (uint8_t *)TEST_PAGE(0), *start = p;
        uint32_t sum = n;

        set_pte(0, SPARE(PAGE_CODE) | P | W);
        *p++ = 0xb8;
        put32(p, n);
        p += 4;
        for (unsigned k = 0; k < 10 + n / 100; k++) {
            *p++ = 0x83;
            *p++ = 0xc0;
            *p++ = k;
            sum += k;
        }
        *p++ = 0xc3;
        set_pte(0, SPARE(PAGE_CODE) | P);
        for (unsigned k = 0; k < 10; k++) {
            wrong += call(start, 0) != sum;
        }
    }
    check("rewritten-functions", wrong, 0);
}

/*
 * What makes an instruction undefined may be its last byte: LOCK XADD of a register becomes one of
 * memory and the other way round.
 */
static void test_undefined(uint8_t *at, const char *name)
{
    uint64_t wrong = 0;

    put(at, "\xb8\1\0\0\0\xf0\x0f\xc1\x07\xc3", 10); /* mov eax, 1; lock xadd [rdi], eax; ret */
    for (uint64_t n = 0; n < MANY; n++) {
        uint64_t cell = n, defined = n % 3;

        at[8] = defined ? 0x07 : 0xc7;
        asm volatile("" : : : "memory");
        for (unsigned k = 0; k < n % 8 + 1; k++) {
            uint32_t vector = TRAP(call(at, (uint64_t)(uintptr_t)&cell));

            wrong += defined ? vector < 32 : vector != 6;
        }
        wrong += cell != n + (defined ? n % 8 + 1 : 0);
    }
    check(name, wrong, 0);
}

/* The page serves another purpose, and then has other code. */
static void test_reused(void)
{
    uint64_t wrong = 0;

    for (unsigned round = 0; round < 4; round++) {
        wear_out(code + round * 64);
        memset(code, 0xcc, 4096);
        for (unsigned n = 0; n < 32; n++) {
            put(code + n * 128 + round, "\x8d\x87\0\0\0\0\xc3", 7); /* lea eax, [rdi + n] */
            put32(code + n * 128 + round + 2, n);
        }
        for (unsigned n = 0; n < 32 * HOT; n++) {
            wrong += call(code + n % 32 * 128 + round, n) != n % 32 + n;
        }
    }
    check("page-reused", wrong, 0);
}

void main(void)
{
    test_undefined(code + 2048, "undefined-watched");
    test_immediates();
    test_undefined(code + 2048, "undefined-compared");
    test_instructions();
    test_loop();
    test_own_writes();
    test_ways();
    test_end_of_page();
    test_rewritten();
    test_reused();
}
