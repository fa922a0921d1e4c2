#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Kernels by the PVH and multiboot protocols, through firmware and our option ROM: the kernel
reports what it was told, and both protocols tell the same (as does QEMU: set TESSERA_BINARY)."""
import os
import tempfile

import vmtest

KERNELS = os.environ["KERNEL_DIR"]


def report(kernel, *arguments):
    """The lines that @kernel prints, as a dictionary, and the exit status."""
    with vmtest.VM("-m", "64", "-display", "none", "-serial", "stdio",
                   "-device", "isa-debug-exit,iobase=0xf4,iosize=4",
                   "-kernel", f"{KERNELS}/{kernel}", *arguments) as vm:
        vm.expect(r"memory \d+\n", 60)
        status = vm.process.wait(30)
    lines = vm.output[vm.output.index("bss "):].splitlines()
    return dict(line.split(" ", 1) if " " in line else (line, "") for line in lines), status


def check(kernel, cmdline_prefix):
    with tempfile.NamedTemporaryFile("w", suffix=".mod") as module:
        module.write("contents of the module")
        module.flush()
        facts, status = report(kernel, "-append", "one two=3", "-initrd", module.name)
    assert status == 0x21, status
    assert facts["bss"] == facts["magic"] == "ok", facts
    assert facts["cmdline"] == cmdline_prefix + "one two=3", facts
    assert facts["modules"] == "1", facts
    assert facts["module"] == "contents of the module", facts
    # 64 MiB less the first and what firmware keeps at the end
    assert 61 <= int(facts["memory"]) <= 63, facts
    return facts


def test_pvh():
    facts = check("bootproto-pvh.elf", "")
    assert facts["rsdp"] == "ok", facts


def test_multiboot():
    check("bootproto-multiboot.elf", f"{KERNELS}/bootproto-multiboot.elf ")


def test_without_module():
    facts, _ = report("bootproto-pvh.elf")
    assert facts["modules"] == "0" and facts["cmdline"] == "", facts


vmtest.main()
