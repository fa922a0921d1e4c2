/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the CPUID instruction answers: one table per CPU, made from its model and the topology. */
#ifndef TARGET_I386_CPUID_H
#define TARGET_I386_CPUID_H

#include "target-i386/cpu-model.h"
#include "target-i386/features.h"

typedef struct X86CpuidTable X86CpuidTable;

/* The table of the CPU with @apic_id. Keeps no reference to its arguments. */
X86CpuidTable *x86_cpuid_table_new(const X86CpuModel *model, const X86Topology *topology,
                                   uint32_t apic_id);
void x86_cpuid_table_free(X86CpuidTable *table);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(X86CpuidTable, x86_cpuid_table_free)
/* EAX, EBX, ECX and EDX of a leaf, but for what the guest's control registers decide. */
void x86_cpuid_table_get(const X86CpuidTable *table, uint32_t leaf, uint32_t subleaf,
                         uint32_t out[4]);

/* What of a guest's state CPUID tells. */
typedef struct X86CpuidState {
    bool osxsave, pke; /* of CR4 */
    bool apic;         /* there is a local APIC, and IA32_APIC_BASE enables it */
    uint64_t xcr0, xss;
} X86CpuidState;

/* The same as a guest in @state sees it. */
void x86_cpuid_table_get_live(const X86CpuidTable *table, const X86CpuidState *state,
                              uint32_t leaf, uint32_t subleaf, uint32_t out[4]);
/* The table of CPU @index of @topology, with the features that tell of the topology. */
X86CpuidTable *x86_cpuid_table_for(const X86CpuModel *model, const X86Topology *topology,
                                   unsigned index);

/* An entry of the table, for engines that hand it on as a whole. */
typedef struct X86CpuidLeaf {
    uint32_t leaf, subleaf;
    bool indexed;      /* the answer depends on ECX */
    uint32_t regs[4];
} X86CpuidLeaf;

/* Entry @index in no particular order; false past the last. */
bool x86_cpuid_table_entry(const X86CpuidTable *table, unsigned index, X86CpuidLeaf *entry);

/* The bits that XCR0 may have with these features; 0 without XSAVE. */
uint64_t x86_xcr0_supported(const uint32_t features[FEATURE_WORD_COUNT]);
#endif
