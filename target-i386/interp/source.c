/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What system families ask of the decoded instruction beyond the common fields. */
#include "target-i386/interp/system.h"

bool source_has_prefix(const InsnSource *src, uint8_t value)
{
    for (unsigned i = 0; i < src->zi->raw.prefix_count; i++) {
        if (src->zi->raw.prefixes[i].value == value) {
            return true;
        }
    }
    return false;
}

static unsigned source_rex(const InsnSource *src, unsigned bit)
{
    const ZydisDecodedInstruction *zi = src->zi;

    if (!(zi->attributes & ZYDIS_ATTRIB_HAS_REX)) {
        return 0;
    }
    return bit == 3 ? zi->raw.rex.W : bit == 2 ? zi->raw.rex.R : zi->raw.rex.B;
}

unsigned source_operand_size(const InsnSource *src)
{
    bool prefix = source_has_prefix(src, 0x66);

    if (src->cpu->code_size == 64 && source_rex(src, 3)) {
        return 8;
    }
    return (src->cpu->code_size == 16) != prefix ? 2 : 4;
}

uint16_t source_reg(const InsnSource *src)
{
    return (src->zi->raw.modrm.reg | source_rex(src, 2) << 3) * 8;
}

uint16_t source_rm(const InsnSource *src)
{
    return (src->zi->raw.modrm.rm | source_rex(src, 0) << 3) * 8;
}

/* By the vendor string of CPUID leaf 0: EBX is "Auth" or "Hygo". */
bool cpu_is_amd(X86CPU *cpu)
{
    uint32_t out[4] = {0};

    if (!cpu->cpuid) {
        return false;
    }
    cpu_cpuid(cpu, 0, 0, out);
    return out[1] == 0x68747541 || out[1] == 0x6f677948;
}
