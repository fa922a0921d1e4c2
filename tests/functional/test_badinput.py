# SPDX-License-Identifier: GPL-2.0-or-later
"""Things that cannot be: each ends with status 1 and a message that names what was looked for and
where. Nothing is started."""
import os
import re

import vmtest
from vmtest import check, contains, equal, run_program, write_file


def refused(*arguments, names):
    """The message of a run that must be refused, and says @names."""
    result = run_program("-display", "none", *arguments)
    equal(result.status, 1, f"status of {arguments}, which printed {result.text!r}")
    contains(result.stderr, *names)
    check(len(result.stderr) < 6000, f"{len(result.stderr)} bytes of message")
    return result.stderr


def test_missing_kernel():
    refused("-kernel", "/nowhere/vmlinuz", names=["/nowhere/vmlinuz"])


def test_missing_initrd():
    kernel, _ = vmtest.make_guest()
    refused("-kernel", kernel, "-initrd", "/nowhere/initrd", names=["/nowhere/initrd"])


def test_truncated_kernel():
    vmtest.skip_on_qemu("runs what there is of it")
    kernel, _ = vmtest.make_guest()
    with open(kernel, "rb") as file:
        head = file.read(65536)
    with vmtest.scratch_directory() as scratch:
        for size in (0, 100, 0x1f0, 0x250, 4096, 65536):
            path = write_file(scratch, f"kernel-{size}", head[:size])
            refused("-kernel", path, names=[path])


def test_truncated_elf_kernel():
    vmtest.skip_on_qemu("words it in its own way")
    header = (b"\x7fELF\x02\x01\x01" + bytes(9) + (2).to_bytes(2, "little") +
              (62).to_bytes(2, "little") + (1).to_bytes(4, "little") +
              (0x100000).to_bytes(8, "little") + (64).to_bytes(8, "little") + bytes(8) +
              bytes(4) + (64).to_bytes(2, "little") + (56).to_bytes(2, "little") +
              (0xffff).to_bytes(2, "little") + bytes(6))
    with vmtest.scratch_directory() as scratch:
        for size in (8, 40, 64):
            path = write_file(scratch, f"elf-{size}", header[:size])
            refused("-kernel", path, names=[path])


def test_kernel_larger_than_ram():
    vmtest.skip_on_qemu("does not check")
    kernel, _ = vmtest.make_guest()
    refused("-m", "8M", "-kernel", kernel, names=[kernel])


def test_initrd_larger_than_ram():
    vmtest.skip_on_qemu("words it in its own way")
    kernel, _ = vmtest.make_guest()
    with vmtest.scratch_directory() as scratch:
        path = write_file(scratch, "initrd", b"")
        os.truncate(path, 300 << 20)
        refused("-m", "256M", "-kernel", kernel, "-initrd", path, names=[path])


def test_missing_firmware():
    refused("-bios", "no-such-bios.bin", names=["no-such-bios.bin"])


def test_firmware_of_a_wrong_size():
    with vmtest.scratch_directory() as scratch:
        path = write_file(scratch, "bios.bin", bytes(1000))
        refused("-bios", path, names=[path])


def test_memory_that_cannot_be_had():
    message = refused("-m", "60000G", names=[])
    check(re.search("memory|RAM", message), message)


def test_unknown_names():
    # QEMU 7.2 does not repeat the name
    refused("-machine", "no-such-machine",
            names=["machine" if vmtest.IS_QEMU else "no-such-machine"])
    refused("-cpu", "no-such-cpu", names=["no-such-cpu"])
    refused("-device", "no-such-device", names=["no-such-device"])
    refused("-no-such-option", names=["no-such-option"])


def test_unknown_feature():
    refused("-cpu", "Nehalem,no-such-feature=on", names=["no-such-feature"])


def test_nearest_names():
    vmtest.skip_on_qemu("suggests none")
    refused("-cpu", "Nehalm", names=["Nehalm", "Nehalem"])
    refused("-machine", "pc-i440fx-1.O", names=["pc-i440fx-1.0"])
    refused("-device", "isa-seril", names=["isa-serial"])
    refused("-kernal", "x", names=["kernel"])


def test_several_mistakes_in_one_run():
    vmtest.skip_on_qemu("stops at the first")
    refused("-cpu", "no-such-cpu", "-device", "no-such-device", "-m", "lots",
            names=["no-such-cpu", "no-such-device", "lots"])


def test_nothing_is_touched():
    """A configuration mistake leaves no file behind."""
    vmtest.skip_on_qemu("creates the file first")
    with vmtest.scratch_directory() as scratch:
        path = os.path.join(scratch, "serial.log")
        refused("-serial", f"file:{path}", "-device", "no-such-device", names=["no-such-device"])
        check(not os.path.exists(path), f"{path} was created")


vmtest.main()
