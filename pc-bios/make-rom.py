#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""make-rom.py INPUT OUTPUT.bin OUTPUT.h NAME: finishes an option ROM: pads it to 512-byte blocks,
sets its length and the checksums of its PnP header and of the whole, and writes it also as a C
array."""
import sys

source, binary, header, name = sys.argv[1:]
with open(source, "rb") as file:
    rom = bytearray(file.read())
rom += bytes(-len(rom) % 512)
assert rom[:2] == b"\x55\xaa" and len(rom) // 512 < 256
rom[2] = len(rom) // 512
pnp = int.from_bytes(rom[0x1a:0x1c], "little")
assert rom[pnp:pnp + 4] == b"$PnP"
rom[pnp + 9] = -sum(rom[pnp:pnp + 32]) & 255
rom[6] = -sum(rom) & 255
with open(binary, "wb") as file:
    file.write(rom)
with open(header, "w", encoding="ascii") as file:
    file.write("/* SPDX-License-Identifier: GPL-2.0-or-later */\n")
    file.write("/* Made from %s.S by make-rom.py. */\n" % name)
    file.write("static const unsigned char %s_rom[] = {\n" % name)
    for start in range(0, len(rom), 12):
        file.write("    " + " ".join("0x%02x," % byte for byte in rom[start:start + 12]) + "\n")
    file.write("};\n")
