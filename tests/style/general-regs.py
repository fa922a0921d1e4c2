#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What translated code calls while the guest's vector registers are in the host's (meson.build,
general_regs_sources) must touch none of them, nor call what may. Prints TAP.

general-regs.py LIBRARY"""
import re
import subprocess
import sys

VECTOR = re.compile(r"%([xyz]?mm\d|st\b|k[0-7]\b)|\b(fx|x)(save|rstor)")


def output(*command):
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout


def vector_instructions(objects):
    """Lines of disassembly that name a register beyond the general ones."""
    text = output("objdump", "-d", "--no-show-raw-insn", *objects)
    return [line.strip() for line in text.splitlines() if VECTOR.search(line)]


def foreign_symbols(objects):
    """Symbols that the objects use and none of them defines."""
    defined, used = set(), set()
    for line in output("nm", *objects).splitlines():
        fields = line.split()
        if len(fields) == 2 and fields[0] == "U":
            used.add(fields[1])
        elif len(fields) == 3:
            defined.add(fields[2])
    return sorted(used - defined - {"_GLOBAL_OFFSET_TABLE_"})


def main():
    objects = sys.argv[1:]
    failed = False
    print("1..2")
    for number, found in enumerate((vector_instructions(objects), foreign_symbols(objects)), 1):
        for line in found[:10]:
            print("#", line)
        name = ("no vector registers", "no calls to others")[number - 1]
        print(f"{'not ok' if found else 'ok'} {number} - {name}")
        failed |= bool(found)
    sys.exit(failed)


main()
