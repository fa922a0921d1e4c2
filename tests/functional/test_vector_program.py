#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A program that computes with SSE2, AVX2 and, where the host has it, AVX-512 prints the same
checksums as /init of a virtual machine, translated and interpreted, as it does on the host."""
import gzip
import os
import re
import subprocess
import tempfile

import vmtest
from vmtest import VM, check, equal

PROGRAM = os.environ.get("VECTOR_PROGRAM", f"{vmtest.ROOT}/build/tests/functional/vector-program")
LINE = r"(?:alone|child|parent) \w+ [0-9a-f]{16}"


def cpio_entry(number, name, mode, data=b"", device=(0, 0)):
    """One member of an archive in the kernel's newc format (initramfs buffer format)."""
    fields = [number, mode, 0, 0, 1, 0, len(data), 0, 0, *device, len(name) + 1, 0]
    head = b"070701" + b"".join(b"%08x" % field for field in fields) + name.encode() + b"\0"
    return head + b"\0" * (-len(head) % 4) + data + b"\0" * (-len(data) % 4)


def make_initrd(path):
    with open(PROGRAM, "rb") as file:
        program = file.read()
    archive = (cpio_entry(1, "dev", 0o40755) +
               cpio_entry(2, "dev/console", 0o20600, device=(5, 1)) +
               cpio_entry(3, "init", 0o100755, program) + cpio_entry(4, "TRAILER!!!", 0))
    with gzip.open(path, "wb", compresslevel=1) as file:
        file.write(archive)


def answers_of_host():
    text = subprocess.run([PROGRAM], check=True, stdout=subprocess.PIPE).stdout.decode()
    return sorted(re.findall(LINE, text))


def answers_of_guest(*arguments):
    kernel, _ = vmtest.make_guest()
    with tempfile.TemporaryDirectory() as scratch:
        initrd = f"{scratch}/initrd"
        make_initrd(initrd)
        with VM("-nographic", "-no-reboot", "-m", "512", "-cpu", "max", "-kernel", kernel,
                "-initrd", initrd, "-append", "console=ttyS0 quiet", *arguments) as vm:
            vm.expect("done", vmtest.BOOT_TIMEOUT)
            equal(vm.wait(), 0, "exit status")
            return sorted(re.findall(LINE, vm.output))


def check_answers(*arguments):
    wanted, got = answers_of_host(), answers_of_guest(*arguments)
    check(any("avx2" in line for line in got), f"no AVX2 in the guest: {got}")
    if any("avx512" in line for line in wanted):
        check(any("avx512" in line for line in got), f"no AVX-512 in the guest: {got}")
    equal(got, wanted, "checksums")


def test_translated():
    """As translated code."""
    check_answers("-accel", "tcg")


def test_translated_with_exits():
    """As translated code that is left and flushed at random."""
    check_answers("-accel", "tcg,debug=flush:50000+random-exits:20+tiny-tlb:2000")


if __name__ == "__main__":
    vmtest.main()
