# SPDX-License-Identifier: GPL-2.0-or-later
"""The user's layer: present without, absent with -nodefconfig, while what is shipped is there in
both. TESSERA_SYSCONFDIR stands for /etc/tessera (docs/config.md)."""
import contextlib

import vmtest
from vmtest import contains, equal, lacks, run_program, write_file

MODEL = '''[cpudef "my-cpu"]
  base_cpudef = "Nehalem"
  add_features = "aes"
'''
MACHINE = '''[machine-type "my-board"]
  base_machine = "pc"
  description = "A board of my own"
'''
DEVICE = '''[device "my-debug-port"]
  driver = "isa-debug-exit"
  iobase = 0x501
'''


@contextlib.contextmanager
def user_layer():
    """A run of the program that finds these files where a user would have put them."""
    vmtest.skip_on_qemu("has no user layer")
    with vmtest.scratch_directory() as scratch:
        write_file(scratch, "cpu-models/mine.conf", MODEL)
        write_file(scratch, "machines/mine.conf", MACHINE)
        write_file(scratch, "tessera.conf", DEVICE)

        def run(*arguments):
            return run_program(*arguments, environment={"TESSERA_SYSCONFDIR": scratch})
        yield run


def test_cpu_models():
    with user_layer() as run:
        contains(run("-cpu", "help").stdout, "my-cpu", "Nehalem")
        equal(run("-check", "-cpu", "my-cpu").status, 0, "status with the user's layer")
        without = run("-nodefconfig", "-cpu", "help").stdout
        contains(without, "Nehalem")
        lacks(without, "my-cpu")
        refused = run("-nodefconfig", "-check", "-cpu", "my-cpu")
        equal(refused.status, 1, "status without the user's layer")
        contains(refused.stderr, "my-cpu")


def test_machine_types():
    with user_layer() as run:
        contains(run("-machine", "help").stdout, "my-board", "A board of my own", "pc-i440fx-1.0")
        equal(run("-check", "-machine", "my-board").status, 0, "status with the user's layer")
        without = run("-nodefconfig", "-machine", "help").stdout
        contains(without, "pc-i440fx-1.0", "isapc", "none")
        lacks(without, "my-board")
        refused = run("-nodefconfig", "-check", "-machine", "my-board")
        equal(refused.status, 1, "status without the user's layer")
        contains(refused.stderr, "my-board")


def test_default_device():
    with user_layer() as run:
        contains(run("-explain").stdout, "my-debug-port", "tessera.conf")
        without = run("-nodefconfig", "-explain")
        equal(without.status, 0, f"status; it printed {without.stderr}")
        lacks(without.stdout, "my-debug-port")
        # -no-user-config is the same switch
        equal(run("-no-user-config", "-explain").stdout.replace("-no-user-config", "-nodefconfig"),
              without.stdout, "-no-user-config")


def test_shipped_machine_in_both():
    with user_layer() as run:
        for switch in ((), ("-nodefconfig",)):
            explained = run(*switch, "-explain").stdout
            contains(explained, "mc146818rtc", "isa-serial")


vmtest.main()
