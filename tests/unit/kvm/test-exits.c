/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What an exit costs: no allocation for a port or an address that a device answers. */
#include <stdatomic.h>
#include <stddef.h>

#include "accel/accel.h"
#include "tests/unit/kvm/rig.h"

#define ACCESSES 1000

/* Allocations by vCPU threads. The C library's own functions do the work (its ABI since 2.0). */
static atomic_uint allocations;

extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *old, size_t size);
void *malloc(size_t size);
void *calloc(size_t count, size_t size);
void *realloc(void *old, size_t size);

static void count_allocation(void)
{
    allocations += vcpu_current() ? 1 : 0;
}

void *malloc(size_t size)
{
    count_allocation();
    return __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
    count_allocation();
    return __libc_calloc(count, size);
}

void *realloc(void *old, size_t size)
{
    count_allocation();
    return __libc_realloc(old, size);
}

/* Once to warm up, then a thousand times each: a port written and read, an address both. */
GUEST_CODE(code_accesses,
           "mov $0xa000, %ax\n mov %ax, %ds\n mov $1, %cx\n"
           "1: mov %al, 0x10\n mov 0x10, %al\n out %al, $0xe1\n in $0xe1, %al\n loop 1b\n"
           "mov $1000, %cx\n out %al, $0xe8\n jmp 1b\n");

static uint64_t reads_of(void *opaque, uint64_t offset, unsigned size)
{
    ++*(unsigned *)opaque;
    return 0;
}

static void writes_of(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    ++*(unsigned *)opaque;
}

/* Proves that the counter counts. */
static void allocate(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    g_free(g_malloc(100));
}

static const MemoryOps allocating_ops = { reads_of, allocate, 1, 4 };
static const MemoryOps counting_ops = { reads_of, writes_of, 1, 4 };

static void test_allocations(void)
{
    static const char *const places[] = { "kvm,kernel-irqchip=on", "kvm,kernel-irqchip=split",
                                          RIG_PLAIN_KVM };

    for (unsigned i = 0; i < G_N_ELEMENTS(places); i++) {
        g_autoptr(Rig) rig = rig_new(places[i], "qemu64", code_accesses, code_accesses_end);
        unsigned accesses = 0;

        memory_map_io(rig->machine->memory, 0xa0000, 0x1000, &counting_ops, &accesses, "counting",
                      10);
        rig_run(rig);
        g_assert_cmpuint(accesses, ==, 2);
        allocations = 0;
        rig_run(rig);
        g_assert_cmpuint(accesses, ==, 2 + 2 * ACCESSES);
        g_assert_cmpuint(allocations, ==, 0);
    }
}

static void test_counter(void)
{
    g_autoptr(Rig) rig = rig_new(RIG_PLAIN_KVM, "qemu64", code_accesses, code_accesses_end);
    unsigned reads = 0;

    memory_map_io(rig->machine->memory, 0xa0000, 0x1000, &allocating_ops, &reads, "allocating",
                  10);
    rig_run(rig);
    allocations = 0;
    rig_run(rig);
    g_assert_cmpuint(allocations, ==, ACCESSES);
}

int main(int argc, char **argv)
{
    g_test_add_func("/kvm/exits/allocations", test_allocations);
    g_test_add_func("/kvm/exits/counter", test_counter);
    return rig_main(argc, argv);
}
