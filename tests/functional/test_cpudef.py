# SPDX-License-Identifier: GPL-2.0-or-later
"""A user's CPU model made from a shipped one: the file that the project began with."""
import os

import vmtest
from vmtest import check, contains, equal, lacks, run_in_guest, run_program, write_file

FILE = '''[cpu]
  base_cpudef = "Nehalem"
  add_features = "aes pclmulqdq"
'''


def flags(text):
    line = next(line for line in text.splitlines() if line.startswith("flags"))
    return set(line.split(":")[1].split())


def test_added_feature_in_guest():
    vmtest.skip_on_qemu("has no [cpu] group in -readconfig files")
    with vmtest.scratch_directory() as scratch:
        path = write_file(scratch, "my.conf", FILE)
        output = run_in_guest("cat /proc/cpuinfo", "-m", "512", "-nodefconfig", "-readconfig", path)
    contains(output, "Intel Core i7 9xx (Nehalem Class Core i7)")
    check({"aes", "pclmulqdq", "sse4_2"} <= flags(output), f"flags: {sorted(flags(output))}")
    lacks(flags(output), "avx")


def test_check_accepts_it():
    vmtest.skip_on_qemu("has no -check")
    with vmtest.scratch_directory() as scratch:
        result = run_program("-nodefconfig", "-check", "-readconfig",
                             write_file(scratch, "my.conf", FILE))
    equal((result.status, result.stderr), (0, ""), "-check")


def test_base_that_is_nowhere():
    """Without the shipped models the message says which files were searched."""
    vmtest.skip_on_qemu("has no -check")
    with vmtest.scratch_directory() as scratch:
        path = write_file(scratch, "my.conf", FILE)
        empty = os.path.join(scratch, "empty")
        os.mkdir(empty)
        result = run_program("-L", empty, "-nodefconfig", "-check", "-readconfig", path)
    equal(result.status, 1, f"status; it printed {result.text}")
    contains(result.stderr, "Nehalem", f"{path}:2", empty)


def test_unknown_feature():
    vmtest.skip_on_qemu("has no -check")
    with vmtest.scratch_directory() as scratch:
        path = write_file(scratch, "my.conf", FILE.replace("aes", "sse4.3"))
        result = run_program("-nodefconfig", "-check", "-readconfig", path)
    equal(result.status, 1, f"status; it printed {result.text}")
    # its place, its name and the nearest name there is
    contains(result.stderr, f"{path}:3", "sse4.3", "did you mean", "sse4.")


vmtest.main()
