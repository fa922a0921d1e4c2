/* SPDX-License-Identifier: GPL-2.0-or-later */
/* RAM sections: what an engine may map directly, cut where reads and writes part ways. */
#include "memory/memory.h"

static uint64_t io_read(void *opaque, uint64_t offset, unsigned size)
{
    return 0;
}

static void io_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
}

static const MemoryOps io_ops = { io_read, io_write, 0, 0 };

typedef struct Fixture {
    MemorySpace *space;
    RamBlock *ram, *rom;
} Fixture;

static void fixture_set_up(Fixture *f, gconstpointer data)
{
    f->space = memory_space_new();
    f->ram = ram_block_new("ram", 0x10000, NULL);
    f->rom = ram_block_new("rom", 0x4000, NULL);
}

static void fixture_tear_down(Fixture *f, gconstpointer data)
{
    memory_space_free(f->space);
    ram_block_free(f->ram);
    ram_block_free(f->rom);
}

/* "base+size:block+offset w", one after the other. */
static char *sections_text(const Fixture *f)
{
    g_autoptr(GArray) sections = memory_ram_sections(f->space);
    GString *text = g_string_new(NULL);

    for (unsigned i = 0; i < sections->len; i++) {
        const RamSection *s = &g_array_index(sections, RamSection, i);
        g_string_append_printf(text, "%s%" G_GINT64_MODIFIER "x+%" G_GINT64_MODIFIER "x:%s+%"
                               G_GINT64_MODIFIER "x %c", i ? ", " : "", s->addr, s->size,
                               s->block->name, s->offset, s->writable ? 'w' : 'r');
    }
    return g_string_free(text, FALSE);
}

static void expect(const Fixture *f, const char *wanted)
{
    g_autofree char *text = sections_text(f);

    g_assert_cmpstr(text, ==, wanted);
}

static void test_plain(Fixture *f, gconstpointer data)
{
    expect(f, "");
    memory_map_ram(f->space, 0, f->ram, 0, 0x10000, MAP_READ | MAP_WRITE, 0);
    expect(f, "0+10000:ram+0 w");
}

/* Two mappings that go on into each other in block and address are one section. */
static void test_joined(Fixture *f, gconstpointer data)
{
    memory_map_ram(f->space, 0, f->ram, 0, 0x8000, MAP_READ | MAP_WRITE, 0);
    memory_map_ram(f->space, 0x8000, f->ram, 0x8000, 0x8000, MAP_READ | MAP_WRITE, 0);
    expect(f, "0+10000:ram+0 w");
}

static void test_rom_and_device(Fixture *f, gconstpointer data)
{
    MemoryMapping *device;

    memory_map_ram(f->space, 0, f->ram, 0, 0x10000, MAP_READ | MAP_WRITE, 0);
    memory_map_ram(f->space, 0xc000, f->rom, 0, 0x4000, MAP_READ | MAP_WRITE | MAP_ROM, 1);
    device = memory_map_io(f->space, 0xa000, 0x1000, &io_ops, f, "device", 10);
    expect(f, "0+a000:ram+0 w, b000+1000:ram+b000 w, c000+4000:rom+0 r");
    memory_mapping_set_enabled(device, false);
    expect(f, "0+c000:ram+0 w, c000+4000:rom+0 r");
}

/* Shadow RAM: reads from ROM, writes to RAM, or the other way round; neither is plain RAM. */
static void test_shadow(Fixture *f, gconstpointer data)
{
    MemoryMapping *shadow;

    memory_map_ram(f->space, 0, f->ram, 0, 0x10000, MAP_READ | MAP_WRITE, 0);
    shadow = memory_map_ram(f->space, 0x4000, f->rom, 0, 0x4000, MAP_READ, 1);
    expect(f, "0+4000:ram+0 w, 4000+4000:rom+0 r, 8000+8000:ram+8000 w");
    memory_mapping_set_flags(shadow, MAP_WRITE);
    expect(f, "0+4000:ram+0 w, 4000+4000:ram+4000 r, 8000+8000:ram+8000 w");
}

/* A device over writes alone: the RAM below is read directly, writes must come to us. */
static void test_partial_pages(Fixture *f, gconstpointer data)
{
    memory_map_ram(f->space, 0x1000, f->ram, 0, 0x8000, MAP_READ | MAP_WRITE, 0);
    memory_map_io(f->space, 0x2800, 0x100, &io_ops, f, "device", 10);
    expect(f, "1000+1000:ram+0 w, 3000+6000:ram+2000 w");
}

/* Only what of the device writes can see, and only while it asks for it. */
static void test_coalesced(Fixture *f, gconstpointer data)
{
    MemoryMapping *device = memory_map_io(f->space, 0xa000, 0x3000, &io_ops, f, "device", 10);
    GArray *zones = memory_coalesced_sections(f->space);

    g_assert_cmpuint(zones->len, ==, 0);
    g_array_unref(zones);
    memory_mapping_set_flags(device, MAP_READ | MAP_WRITE | MAP_COALESCE);
    memory_map_io(f->space, 0xb000, 0x1000, &io_ops, f, "other", 11);
    zones = memory_coalesced_sections(f->space);
    g_assert_cmpuint(zones->len, ==, 2);
    g_assert_cmphex(g_array_index(zones, RamSection, 0).addr, ==, 0xa000);
    g_assert_cmphex(g_array_index(zones, RamSection, 0).size, ==, 0x1000);
    g_assert_cmphex(g_array_index(zones, RamSection, 1).addr, ==, 0xc000);
    g_array_unref(zones);
}

static void count_change(void *opaque)
{
    ++*(unsigned *)opaque;
}

static void test_listener_goes(Fixture *f, gconstpointer data)
{
    unsigned first = 0, second = 0;

    memory_add_listener(f->space, count_change, &first);
    memory_add_listener(f->space, count_change, &second);
    memory_map_ram(f->space, 0, f->ram, 0, 0x1000, MAP_READ, 0);
    memory_remove_listener(f->space, count_change, &first);
    memory_map_ram(f->space, 0x1000, f->ram, 0, 0x1000, MAP_READ, 0);
    g_assert_cmpuint(first, ==, 1);
    g_assert_cmpuint(second, ==, 2);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
#define ADD(name)                                                                                  \
    g_test_add("/memory/sections/" #name, Fixture, NULL, fixture_set_up, test_##name,              \
               fixture_tear_down)
    ADD(plain);
    ADD(joined);
    ADD(rom_and_device);
    ADD(shadow);
    ADD(partial_pages);
    ADD(coalesced);
    ADD(listener_goes);
    return g_test_run();
}
