#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The demo guest boots to its shell with each block run translated and again interpreted, and no
register, flag or byte differs. Takes minutes: `make check-lockstep`."""
import vmtest
from vmtest import boot_shell, check, equal


def boot(*arguments):
    with boot_shell("-m", "256", "-accel", "tcg,lockstep=on", *arguments) as vm:
        vm.send("poweroff\n")
        equal(vm.wait(), 0, "exit status")
        check("lockstep:" not in vm.output, "blocks differ")


def test_one_processor():
    """One CPU."""
    boot()


def test_two_processors():
    """Two CPUs, whose writes to one page must not be mistaken for differences."""
    boot("-smp", "2")


if __name__ == "__main__":
    vmtest.SCALE *= 10
    vmtest.main()
