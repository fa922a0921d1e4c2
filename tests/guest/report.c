/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Reporting for test images of either width. */
#include "report.h"

static unsigned count_ok, count_failed;

void put_string(const char *s)
{
    while (*s) {
        outb(0xe9, *s++);
    }
}

void put_hex(uint64_t value)
{
    char digits[17];
    unsigned i = 16;

    digits[i] = 0;
    do {
        digits[--i] = "0123456789abcdef"[(uint32_t)value & 15];
        value >>= 4;
    } while (value);
    put_string(digits + i);
}

static void put_decimal(unsigned value)
{
    char digits[11];
    unsigned i = 10;

    digits[i] = 0;
    do {
        digits[--i] = '0' + value % 10;
        value /= 10;
    } while (value);
    put_string(digits + i);
}

void check(const char *name, uint64_t got, uint64_t want)
{
    if (got == want) {
        count_ok++;
        put_string("ok ");
        put_string(name);
    } else {
        count_failed++;
        put_string("FAIL ");
        put_string(name);
        put_string(" got ");
        put_hex(got);
        put_string(" want ");
        put_hex(want);
    }
    put_string("\n");
}

void skip(const char *name)
{
    put_string("skip ");
    put_string(name);
    put_string("\n");
}

void finish(void)
{
    put_string("done ok ");
    put_decimal(count_ok);
    put_string(" failed ");
    put_decimal(count_failed);
    put_string("\n");
    outb(0xf4, count_failed != 0);
    for (;;) {
        asm volatile("cli; hlt");
    }
}

/* What the compiler may call. */


void *memset(void *to, int value, uintptr_t n)
{
    uint8_t *p = to;

    while (n--) {
        *p++ = value;
    }
    return to;
}

void *memcpy(void *to, const void *from, uintptr_t n)
{
    uint8_t *p = to;
    const uint8_t *q = from;

    while (n--) {
        *p++ = *q++;
    }
    return to;
}
