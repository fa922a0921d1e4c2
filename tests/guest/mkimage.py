#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Builds a 128 KiB BIOS image: mkimage.py BITS OUT WORKDIR SOURCE..."""
import os
import subprocess
import sys

ROM_SIZE = 0x20000
BOOT_SIZE = 0x200
SECTIONS = ['.text', '.rodata', '.data', '.text16']
FLAGS = '''-O1 -g -ffreestanding -fno-pic -fno-pie -nostdlib -mno-sse -mno-mmx -mno-80387
    -mno-red-zone -fno-stack-protector -fcf-protection=none -fno-asynchronous-unwind-tables
    -fno-toplevel-reorder -Wall -Wextra -Werror -Wno-unused-parameter -std=gnu11'''.split()


def run(*command):
    subprocess.run(command, check=True)


def build(bits, out, work, sources):
    here = os.path.dirname(os.path.abspath(__file__))
    flags = FLAGS + ['-m' + bits, '-I', here]
    if bits == '64':
        flags.append('-mcmodel=small')
    os.makedirs(work, exist_ok=True)
    objects = []
    for source in sources:
        obj = os.path.join(work, os.path.basename(source) + '.o')
        run('gcc', *flags, '-c', source, '-o', obj)
        objects.append(obj)
    elf = os.path.join(work, 'payload.elf')
    emulation = 'elf_i386' if bits == '32' else 'elf_x86_64'
    run('ld', '-m', emulation, '-z', 'noexecstack', '--no-warn-rwx-segments',
        '-T', os.path.join(here, 'image.ld'), '-o', elf, *objects)
    payload = os.path.join(work, 'payload.bin')
    sections = [arg for name in SECTIONS for arg in ('-j', name)]
    run('objcopy', '-O', 'binary', *sections, elf, payload)
    boot_obj, boot = os.path.join(work, 'boot.o'), os.path.join(work, 'boot.bin')
    run('gcc', '-m32', '-c', os.path.join(here, 'boot.S'), '-o', boot_obj)
    run('objcopy', '-O', 'binary', '-j', '.boot', boot_obj, boot)
    with open(payload, 'rb') as f:
        data = f.read()
    with open(boot, 'rb') as f:
        tail = f.read()
    assert len(tail) == BOOT_SIZE, len(tail)
    if len(data) > ROM_SIZE - BOOT_SIZE:
        sys.exit('%s: payload of %d bytes does not fit' % (out, len(data)))
    with open(out, 'wb') as f:
        f.write(data.ljust(ROM_SIZE - BOOT_SIZE, b'\0') + tail)


if __name__ == '__main__':
    build(sys.argv[1], sys.argv[2], sys.argv[3], sys.argv[4:])
