/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Instructions as text. */
#include "target-i386/disas.h"

#define BYTES_SHOWN 8u /* of an instruction in its line's first column; longer ones push the text */

static ZydisStackWidth stack_width(ZydisMachineMode mode)
{
    switch (mode) {
    case ZYDIS_MACHINE_MODE_LONG_64:
        return ZYDIS_STACK_WIDTH_64;
    case ZYDIS_MACHINE_MODE_LEGACY_32:
    case ZYDIS_MACHINE_MODE_LONG_COMPAT_32:
        return ZYDIS_STACK_WIDTH_32;
    default:
        return ZYDIS_STACK_WIDTH_16;
    }
}

unsigned disas_append(GString *out, ZydisMachineMode mode, uint64_t address, const uint8_t *bytes,
                      size_t size)
{
    ZydisDecoder decoder;
    ZydisFormatter formatter;
    ZydisDecodedInstruction zi;
    ZydisDecodedOperand ops[ZYDIS_MAX_OPERAND_COUNT];
    char text[128] = "(bad)";
    unsigned length = 1;

    ZydisDecoderInit(&decoder, mode, stack_width(mode));
    ZydisFormatterInit(&formatter, ZYDIS_FORMATTER_STYLE_INTEL);
    if (ZYAN_SUCCESS(ZydisDecoderDecodeFull(&decoder, bytes, size, &zi, ops))) {
        length = zi.length;
        ZydisFormatterFormatInstruction(&formatter, &zi, ops, zi.operand_count_visible, text,
                                        sizeof(text), address, NULL);
    }
    g_string_append_printf(out, "%#018" G_GINT64_MODIFIER "x: ", address);
    for (unsigned i = 0; i < MAX(length, BYTES_SHOWN); i++) {
        if (i < length) {
            g_string_append_printf(out, " %02x", bytes[i]);
        } else {
            g_string_append(out, "   ");
        }
    }
    g_string_append_printf(out, "  %s\n", text);
    return length;
}

void disas_append_all(GString *out, ZydisMachineMode mode, uint64_t address, const uint8_t *bytes,
                      size_t size)
{
    for (size_t at = 0; at < size;) {
        at += disas_append(out, mode, address + at, bytes + at, size - at);
    }
}

ZydisMachineMode disas_mode(const X86CPU *cpu)
{
    switch (cpu->code_size) {
    case 64: return ZYDIS_MACHINE_MODE_LONG_64;
    case 32: return ZYDIS_MACHINE_MODE_LEGACY_32;
    default: return cpu_pm(cpu) ? ZYDIS_MACHINE_MODE_LEGACY_16 : ZYDIS_MACHINE_MODE_REAL_16;
    }
}
