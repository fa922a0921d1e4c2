/* SPDX-License-Identifier: GPL-2.0-or-later */
/* APIC ids: thread, core, die and package number side by side. */
#include "target-i386/topology.h"

/* Bits that hold numbers below @count. */
static unsigned field_bits(unsigned count)
{
    return count > 1 ? 32 - __builtin_clz(count - 1) : 0;
}

unsigned x86_topology_core_shift(const X86Topology *topology)
{
    return field_bits(topology->threads);
}

unsigned x86_topology_die_shift(const X86Topology *topology)
{
    return x86_topology_core_shift(topology) + field_bits(topology->cores);
}

unsigned x86_topology_package_shift(const X86Topology *topology)
{
    return x86_topology_die_shift(topology) + field_bits(topology->dies);
}

uint32_t x86_topology_apic_id(const X86Topology *topology, unsigned index)
{
    unsigned thread = index % topology->threads;
    unsigned core = index / topology->threads % topology->cores;
    unsigned die = index / topology->threads / topology->cores % topology->dies;
    unsigned package = index / topology->threads / topology->cores / topology->dies;

    return package << x86_topology_package_shift(topology)
           | die << x86_topology_die_shift(topology)
           | core << x86_topology_core_shift(topology) | thread;
}
