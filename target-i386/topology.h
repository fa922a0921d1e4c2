/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How CPUs share sockets, dies and cores, and the APIC ids that follow from it. */
#ifndef TARGET_I386_TOPOLOGY_H
#define TARGET_I386_TOPOLOGY_H

#include <stdint.h>

/* As -smp gave it; no count is 0. */
typedef struct X86Topology {
    unsigned cpus;     /* at start */
    unsigned max_cpus; /* sockets * dies * cores * threads */
    unsigned sockets;
    unsigned dies;     /* a socket */
    unsigned cores;    /* a die */
    unsigned threads;  /* a core */
} X86Topology;

static inline unsigned x86_topology_package_cpus(const X86Topology *topology)
{
    return topology->dies * topology->cores * topology->threads;
}

/* Bits of an APIC id below the core, die and package number (SDM 3A 9.9.3.2). */
unsigned x86_topology_core_shift(const X86Topology *topology);
unsigned x86_topology_die_shift(const X86Topology *topology);
unsigned x86_topology_package_shift(const X86Topology *topology);
/* The APIC id of CPU @index: fields are padded to powers of two, so ids may have gaps. */
uint32_t x86_topology_apic_id(const X86Topology *topology, unsigned index);

#endif
