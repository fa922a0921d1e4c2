/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Guest physical memory: overlaps, shadow RAM, splits, page crossings, marks, re-entrancy. */
#include <string.h>

#include "memory/memory.h"
#include "util/lock.h"

typedef struct Recorder {
    uint64_t offset[16], value[16];
    unsigned size[16], count;
    MemorySpace *space;
    uint64_t dma_to;
} Recorder;

static uint64_t recorder_read(void *opaque, uint64_t offset, unsigned size)
{
    Recorder *r = opaque;
    uint64_t value = 0;

    g_assert_true(machine_locked());
    r->offset[r->count] = offset;
    r->size[r->count++] = size;
    for (unsigned i = 0; i < size; i++) {
        value |= (uint64_t)(uint8_t)(0x10 + offset + i) << (8 * i);
    }
    return value;
}

static void recorder_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    Recorder *r = opaque;

    r->offset[r->count] = offset;
    r->value[r->count] = value;
    r->size[r->count++] = size;
    if (r->dma_to) {
        memory_store(r->space, r->dma_to, 0x55, 1);
    }
}

static const MemoryOps ops_any = { recorder_read, recorder_write, 0, 0 };
static const MemoryOps ops_bytes = { recorder_read, recorder_write, 1, 1 };
static const MemoryOps ops_words = { recorder_read, recorder_write, 4, 4 };

typedef struct Fixture {
    MemorySpace *space;
    RamBlock *ram, *rom;
    Recorder device;
} Fixture;

static void setup(Fixture *f, gconstpointer data)
{
    f->space = memory_space_new();
    f->ram = ram_block_new("ram", 0x100000, NULL);
    f->rom = ram_block_new("rom", 0x4000, NULL);
    f->device = (Recorder){ .space = f->space };
    machine_lock();
    memory_map_ram(f->space, 0, f->ram, 0, f->ram->size, MAP_READ | MAP_WRITE, 0);
}

static void teardown(Fixture *f, gconstpointer data)
{
    machine_unlock();
    memory_space_free(f->space);
    ram_block_free(f->ram);
    ram_block_free(f->rom);
}

static void test_ram(Fixture *f, gconstpointer data)
{
    memory_store(f->space, 0x1ffd, 0x1122334455667788, 8);
    g_assert_cmphex(memory_load(f->space, 0x1ffd, 8), ==, 0x1122334455667788);
    g_assert_cmphex(memory_load(f->space, 0x2000, 1), ==, 0x55);
    g_assert_cmphex(f->ram->host[0x1ffd], ==, 0x88);
    g_assert_true(memory_ram_pointer(f->space, 0x1000, 0x2000) == f->ram->host + 0x1000);
    g_assert_null(memory_ram_pointer(f->space, 0xff000, 0x1001));
}

static void test_unassigned(Fixture *f, gconstpointer data)
{
    uint8_t buffer[16];

    g_assert_cmphex(memory_load(f->space, 0x200000, 4), ==, 0xffffffff);
    g_assert_false(memory_write(f->space, 0x200000, buffer, 4));
    f->ram->host[0xffff8] = 7;
    g_assert_false(memory_read(f->space, 0xffff8, buffer, 16)); /* half RAM, half hole */
    g_assert_cmphex(buffer[0], ==, 7);
    g_assert_cmphex(buffer[7], ==, 0);
    g_assert_cmphex(buffer[8], ==, 0xff);
    g_assert_false(memory_read(f->space, UINT64_MAX - 3, buffer, 4));
}

static void test_priority(Fixture *f, gconstpointer data)
{
    MemoryMapping *low = memory_map_io(f->space, 0x4000, 0x1000, &ops_any, &f->device, "low", 10);
    MemoryMapping *over = memory_map_ram(f->space, 0x4800, f->rom, 0, 0x1000, MAP_READ, 20);

    memset(f->rom->host, 0xaa, 0x1000);
    g_assert_cmphex(memory_load(f->space, 0x4000, 1), ==, 0x10);
    g_assert_cmphex(memory_load(f->space, 0x4800, 1), ==, 0xaa);
    g_assert_cmphex(memory_load(f->space, 0x57ff, 1), ==, 0xaa);
    memory_store(f->space, 0x4800, 9, 1); /* not MAP_WRITE: what lies below gets the write */
    g_assert_cmpuint(f->device.offset[1], ==, 0x800);
    memory_mapping_move(over, 0x8000);
    g_assert_cmphex(memory_load(f->space, 0x4800, 1), ==, 0x10); /* offset 0x800, low byte */
    memory_unmap(low);
    f->ram->host[0x4800] = 0x77;
    g_assert_cmphex(memory_load(f->space, 0x4800, 1), ==, 0x77);
    memory_mapping_set_enabled(over, false);
    g_assert_cmphex(memory_load(f->space, 0x8000, 1), ==, 0);
}

/*
 * The four modes of a PAM register (82441FX, 3.2.17): each of reads and writes to RAM or the bus.
 */
static void test_shadow(Fixture *f, gconstpointer data)
{
    MemoryMapping *hole = memory_map_ram(f->space, 0xc0000, f->rom, 0, 0x4000,
                                         MAP_READ | MAP_WRITE | MAP_ROM, 1);
    MemoryMapping *shadow = memory_map_ram(f->space, 0xc0000, f->ram, 0xc0000, 0x4000, 0, 2);

    memset(f->rom->host, 0xee, 0x4000);
    memory_store(f->space, 0xc0000, 1, 1);
    g_assert_cmphex(memory_load(f->space, 0xc0000, 1), ==, 0xee);
    g_assert_cmphex(f->ram->host[0xc0000], ==, 0);
    g_assert_null(memory_resolve_page(f->space, 0xc0000).write);

    /* Read ROM, write RAM: how a BIOS shadows itself. */
    memory_mapping_set_flags(shadow, MAP_WRITE);
    memory_store(f->space, 0xc0000, 2, 1);
    g_assert_cmphex(memory_load(f->space, 0xc0000, 1), ==, 0xee);
    g_assert_cmphex(f->ram->host[0xc0000], ==, 2);
    MemoryPage page = memory_resolve_page(f->space, 0xc0000);
    g_assert_true(page.read == f->rom->host && !page.write && page.block == f->rom);
    g_assert_null(memory_ram_pointer(f->space, 0xc0000, 1));

    /* Read RAM; writes go to the ROM, which drops them. */
    memory_mapping_set_flags(shadow, MAP_READ);
    memory_store(f->space, 0xc0000, 3, 1);
    g_assert_cmphex(memory_load(f->space, 0xc0000, 1), ==, 2);
    page = memory_resolve_page(f->space, 0xc0123);
    g_assert_true(page.read == f->ram->host + 0xc0000 && !page.write);
    g_assert_cmphex(page.offset, ==, 0xc0000);

    memory_mapping_set_flags(shadow, MAP_READ | MAP_WRITE);
    memory_mapping_set_enabled(hole, false);
    memory_store(f->space, 0xc0000, 4, 1);
    page = memory_resolve_page(f->space, 0xc0000);
    g_assert_true(page.write == page.read && *page.write == 4);
}

static void test_partial_page(Fixture *f, gconstpointer data)
{
    memory_map_io(f->space, 0x5010, 0x10, &ops_any, &f->device, "small", 10);
    MemoryPage page = memory_resolve_page(f->space, 0x5000);
    g_assert_true(!page.read && !page.write && !page.block);
    g_assert_nonnull(memory_resolve_page(f->space, 0x6000).read);
}

static void test_split(Fixture *f, gconstpointer data)
{
    memory_map_io(f->space, 0x10000000, 0x100, &ops_bytes, &f->device, "bytes", 10);
    g_assert_cmphex(memory_load(f->space, 0x10000004, 4), ==, 0x17161514);
    g_assert_cmpuint(f->device.count, ==, 4);
    f->device.count = 0;
    memory_store(f->space, 0x10000004, 0x44332211, 4);
    for (unsigned i = 0; i < 4; i++) {
        g_assert_cmphex(f->device.offset[i], ==, 4 + i);
        g_assert_cmphex(f->device.value[i], ==, 0x11 * (i + 1));
    }
}

static void test_widen(Fixture *f, gconstpointer data)
{
    memory_map_io(f->space, 0x10000000, 0x100, &ops_words, &f->device, "words", 10);
    g_assert_cmphex(memory_load(f->space, 0x10000006, 1), ==, 0x16);
    g_assert_cmphex(f->device.offset[0], ==, 4);
    g_assert_cmpuint(f->device.size[0], ==, 4);
    f->device.count = 0;
    memory_store(f->space, 0x10000006, 0xab, 1);
    g_assert_cmphex(f->device.offset[0], ==, 4);
    g_assert_cmphex(f->device.value[0], ==, 0xab0000);
    f->device.count = 0;
    g_assert_cmphex(memory_load(f->space, 0x10000008, 8), ==, 0x1f1e1d1c1b1a1918);
    g_assert_cmpuint(f->device.count, ==, 2);
}

/* Half the access is RAM, half a device. */
static void test_crossing(Fixture *f, gconstpointer data)
{
    memory_map_io(f->space, 0x100000, 0x1000, &ops_any, &f->device, "next", 10);
    memory_store(f->space, 0xffffe, 0x44332211, 4);
    g_assert_cmphex(f->ram->host[0xffffe], ==, 0x11);
    g_assert_cmphex(f->ram->host[0xfffff], ==, 0x22);
    g_assert_cmpuint(f->device.count, ==, 1);
    g_assert_cmphex(f->device.value[0], ==, 0x4433);
    g_assert_cmphex(memory_load(f->space, 0xffffe, 4), ==, 0x11102211);
}

static void test_reentry(Fixture *f, gconstpointer data)
{
    memory_map_io(f->space, 0x10000000, 0x100, &ops_any, &f->device, "dma", 10);
    f->device.dma_to = 0x10000010;
    memory_store(f->space, 0x10000000, 1, 4);
    g_assert_cmpuint(f->device.count, ==, 1);
    f->device.dma_to = 0x3000; /* to RAM is fine */
    memory_store(f->space, 0x10000000, 1, 4);
    g_assert_cmpuint(f->device.count, ==, 2);
    g_assert_cmphex(f->ram->host[0x3000], ==, 0x55);
}

typedef struct Written {
    unsigned calls;
    uint64_t offset[4], size[4];
} Written;

static void code_written(void *opaque, RamBlock *block, uint64_t offset, uint64_t size)
{
    Written *w = opaque;

    w->offset[w->calls] = offset;
    w->size[w->calls++] = size;
}

static void test_marks(Fixture *f, gconstpointer data)
{
    Written w = { 0 };

    memory_set_code_listener(f->space, code_written, &w);
    ram_page_mark(f->ram, 0x2000, PAGE_WATCH_CODE | PAGE_WATCH_DIRTY);
    memory_store(f->space, 0x1ffe, 0, 4);
    g_assert_cmpuint(w.calls, ==, 1);
    g_assert_cmphex(w.offset[0], ==, 0x2000);
    g_assert_cmphex(w.size[0], ==, 2);
    g_assert_cmphex(ram_page_marks(f->ram, 0x2fff), ==, PAGE_WATCH_CODE);
    ram_page_unmark(f->ram, 0x2000, PAGE_WATCH_CODE);
    memory_store(f->space, 0x2000, 0, 4);
    g_assert_cmpuint(w.calls, ==, 1);
}

static void count_change(void *opaque)
{
    ++*(unsigned *)opaque;
}

static void test_batch(Fixture *f, gconstpointer data)
{
    unsigned changes = 0;

    memory_add_listener(f->space, count_change, &changes);
    memory_begin(f->space);
    memory_begin(f->space);
    memory_map_io(f->space, 0x4000, 0x1000, &ops_any, &f->device, "a", 10);
    memory_map_io(f->space, 0x5000, 0x1000, &ops_any, &f->device, "b", 10);
    memory_commit(f->space);
    g_assert_cmpuint(changes, ==, 0);
    memory_commit(f->space);
    g_assert_cmpuint(changes, ==, 1);
    memory_begin(f->space);
    memory_commit(f->space);
    g_assert_cmpuint(changes, ==, 1);
}

/* Random mappings against a byte-by-byte model that knows nothing of ranges. */
static void test_random(Fixture *f, gconstpointer data)
{
    struct {
        unsigned addr, size;
        int priority;
        uint32_t flags;
        MemoryMapping *mapping;
    } m[12];

    for (unsigned i = 0; i < f->rom->size; i++) {
        f->rom->host[i] = g_test_rand_int();
    }
    for (unsigned round = 0; round < 50; round++) {
        memory_begin(f->space);
        for (unsigned i = 0; i < G_N_ELEMENTS(m); i++) {
            m[i].addr = 0x200000 + g_test_rand_int_range(0, 0x3000);
            m[i].size = g_test_rand_int_range(1, 0x1000);
            m[i].priority = g_test_rand_int_range(0, 4);
            m[i].flags = g_test_rand_int_range(0, 4); /* any of MAP_READ, MAP_WRITE */
            m[i].mapping = memory_map_ram(f->space, m[i].addr, f->rom, i * 0x100, m[i].size,
                                          m[i].flags, m[i].priority);
        }
        memory_commit(f->space);
        for (unsigned addr = 0x200000; addr < 0x204000; addr++) {
            int best = -1;
            for (int i = 0; i < (int)G_N_ELEMENTS(m); i++) {
                if ((m[i].flags & MAP_READ) && addr >= m[i].addr && addr < m[i].addr + m[i].size &&
                    (best < 0 || m[i].priority >= m[best].priority)) {
                    best = i;
                }
            }
            uint8_t expected = best < 0 ? 0xff
                                        : f->rom->host[best * 0x100 + (addr - m[best].addr)];
            g_assert_cmphex(memory_load(f->space, addr, 1), ==, expected);
        }
        for (unsigned i = 0; i < G_N_ELEMENTS(m); i++) {
            memory_unmap(m[i].mapping);
        }
    }
}

static gpointer reader_thread(gpointer opaque)
{
    Fixture *f = opaque;

    for (unsigned i = 0; i < 200000; i++) {
        MemoryPage page = memory_resolve_page(f->space, 0x4000);
        g_assert_true(!page.read || page.read == f->ram->host + 0x4000);
    }
    return NULL;
}

/* Views are replaced under a reader; ASan or a wrong pointer tells if one is freed too early. */
static void test_concurrent(Fixture *f, gconstpointer data)
{
    GThread *thread = g_thread_new("reader", reader_thread, f);

    for (unsigned i = 0; i < 5000; i++) {
        memory_unmap(memory_map_io(f->space, 0x4000, 8, &ops_any, &f->device, "flip", 10));
    }
    g_thread_join(thread);
}

static void test_impossible_ram(void)
{
    g_autoptr(GError) error = NULL;

    g_assert_null(ram_block_new("huge", 1ULL << 45, &error));
    g_assert_nonnull(strstr(error->message, "huge"));
    g_assert_nonnull(strstr(error->message, "host has"));
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
#define ADD(name, fn) g_test_add("/memory/" name, Fixture, NULL, setup, fn, teardown)
    ADD("ram", test_ram);
    ADD("unassigned", test_unassigned);
    ADD("priority", test_priority);
    ADD("shadow", test_shadow);
    ADD("partial-page", test_partial_page);
    ADD("split", test_split);
    ADD("widen", test_widen);
    ADD("crossing", test_crossing);
    ADD("reentry", test_reentry);
    ADD("marks", test_marks);
    ADD("batch", test_batch);
    ADD("random", test_random);
    ADD("concurrent", test_concurrent);
    g_test_add_func("/memory/impossible-ram", test_impossible_ram);
    return g_test_run();
}
