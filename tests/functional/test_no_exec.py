#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Where the host refuses executable memory, the interpreter runs everything but what needs such
memory itself, and says so. A seccomp filter refuses here: mprotect() to, and shared mappings with,
PROT_EXEC; those of the dynamic linker are private ones of files."""
import ctypes
import os
import struct
import subprocess
import sys

import vmtest
from vmtest import check, contains, equal

IMAGE_DIR = os.environ.get("IMAGE_DIR", f"{vmtest.ROOT}/build/tests/guest")
PASSED = 1  # isa-debug-exit: value << 1 | 1

# <linux/filter.h>, <linux/seccomp.h>, <linux/prctl.h>, system calls of x86-64
LOAD, JUMP_EQUAL, JUMP_SET, RETURN = 0x20, 0x15, 0x45, 0x06
ALLOW, ERRNO = 0x7fff0000, 0x00050000
PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 38, 22, 2
MMAP, MPROTECT, PROT_EXEC, MAP_SHARED, EACCES = 9, 10, 4, 1, 13
NUMBER, PROT, FLAGS = 0, 16 + 2 * 8, 16 + 3 * 8  # in struct seccomp_data


def refuse_executable_memory():
    """For this process and those it becomes."""
    program = [
        (LOAD, 0, 0, NUMBER),
        (JUMP_EQUAL, 3, 0, MPROTECT),
        (JUMP_EQUAL, 0, 4, MMAP),
        (LOAD, 0, 0, FLAGS),
        (JUMP_SET, 0, 2, MAP_SHARED),
        (LOAD, 0, 0, PROT),
        (JUMP_SET, 1, 0, PROT_EXEC),
        (RETURN, 0, 0, ALLOW),
        (RETURN, 0, 0, ERRNO | EACCES),
    ]
    code = ctypes.create_string_buffer(b"".join(struct.pack("<HBBI", *insn) for insn in program))
    filter_ = ctypes.create_string_buffer(struct.pack("<HxxxxxxQ", len(program),
                                                      ctypes.addressof(code)))
    libc = ctypes.CDLL(None, use_errno=True)
    if (libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) or
            libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, filter_, 0, 0)):
        raise OSError(ctypes.get_errno(), "prctl")


def run_image(name, *arguments):
    """Runs a test image without executable memory: exit status, its report, messages."""
    with vmtest.scratch_directory() as scratch:
        path = os.path.join(scratch, "report")
        done = subprocess.run(
            [vmtest.BINARY, "-machine", "pc", "-m", "64", "-nodefaults", "-display", "none",
             "-bios", f"{IMAGE_DIR}/{name}.img", "-chardev", f"file,id=report,path={path}",
             "-device", "isa-debugcon,iobase=0xe9,chardev=report",
             "-device", "isa-debug-exit,iobase=0xf4,iosize=0x4", "-no-reboot", "-cpu", "max",
             *arguments],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60 * vmtest.SCALE,
            preexec_fn=refuse_executable_memory, check=False)
        with open(path, encoding="ascii", errors="replace") as file:
            return done.returncode, file.read(), done.stderr


def said(messages, cpus, translates):
    """One line of each kind for each CPU."""
    lines = messages.splitlines()
    equal(len(lines), cpus * (2 if translates else 1), f"lines of {messages!r}")
    for number in range(cpus):
        contains(messages, "tessera: x87, MMX, SSE and AVX instructions raise #UD on CPU "
                 f"{number}: the host refuses executable memory: mmap: Permission denied\n")
        if translates:
            contains(messages, f"tessera: CPU {number} is interpreted: no executable memory for "
                     "translated code: mmap: Permission denied\n")


def test_interpreter_takes_over():
    """Everything that needs no vectors runs."""
    for name in ("long", "prot", "paging64"):
        status, report, messages = run_image(name)
        equal(status, PASSED, f"exit status of {name}, with {report!r}")
        said(messages, 1, True)


def test_two_processors():
    """Each CPU says so."""
    status, report, messages = run_image("smp", "-smp", "2")
    equal(status, PASSED, f"exit status, with {report!r}")
    said(messages, 2, True)


def test_not_translated_anyway():
    """Nothing but the instructions is lost."""
    status, _, messages = run_image("long", "-accel", "tcg,translate=off")
    equal(status, PASSED, "exit status")
    said(messages, 1, False)


def test_vectors_are_undefined():
    """The guest gets #UD, and the program goes on."""
    status, report, messages = run_image("vector")
    equal(status, 3, "exit status of failed checks")
    for kind in ("x87", "mmx", "sse", "avx"):
        check(f"FAIL {kind} got 6 want ffffffff\n" in report or f"skip {kind}" in report, report)
    contains(report, "done ")
    said(messages, 1, True)


if __name__ == "__main__":
    if not os.path.exists(f"{IMAGE_DIR}/long.img"):
        print("1..0 # SKIP no test images")
        sys.exit(0)
    vmtest.main()
