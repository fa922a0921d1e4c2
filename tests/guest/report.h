/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How test images report: lines on port 0xe9, the verdict through isa-debug-exit at 0xf4. */
#ifndef TESTS_GUEST_REPORT_H
#define TESTS_GUEST_REPORT_H

typedef unsigned char uint8_t;
typedef unsigned short uint16_t;
typedef unsigned int uint32_t;
typedef unsigned long long uint64_t;
typedef __SIZE_TYPE__ uintptr_t;

#define NULL ((void *)0)
#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

static inline void outb(uint16_t port, uint8_t value)
{
    asm volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}
static inline uint8_t inb(uint16_t port)
{
    uint8_t value;

    asm volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
    return value;
}

void put_string(const char *s);
void put_hex(uint64_t value);
/*
 * True unless the oracle at hand is QEMU's TCG, which checks no segment limits and has other gaps:
 * it is given a second debug console at 0xea to tell. What it does wrong is tested by the SDM
 * alone.
 */
static inline int by_sdm(void)
{
    return inb(0xea) != 0xe9;
}
/* "ok NAME" if @got is @want, else "FAIL NAME got … want …". */
void check(const char *name, uint64_t got, uint64_t want);
/* A line that says what this CPU lacks. */
void skip(const char *name);
void *memset(void *to, int value, uintptr_t n);
void *memcpy(void *to, const void *from, uintptr_t n);
/* Prints the count and leaves the machine. */
void finish(void) __attribute__((noreturn));

#endif
