# SPDX-License-Identifier: GPL-2.0-or-later
"""Debian's kernel boots to its shell under the accelerator kvm, and sees the CPU that the same
machine shows under tcg. Apart from test_kvm.py (make check-kvm-boot): a KVM that is itself emulated
takes some ten minutes for it. KVM_BOOT_TIMEOUT bounds that (seconds)."""
import os
import subprocess
import time

import vmtest
from vmtest import Skip, check, contains, equal, run_in_guest, write_file

TIMEOUT = int(os.environ.get("KVM_BOOT_TIMEOUT", "2400"))
ODDITIES = os.environ.get("KVM_ODDITIES", f"{vmtest.ROOT}/build/tests/guest/kvm-oddities")
FILE = '''[memory]
  size = "512M"
[cpu]
  base_cpudef = "Nehalem"
  add_features = "aes pclmulqdq"
'''
# Linux's own words: how it knows the clock's rate, which it learns from kvmclock.
OF_THE_CLOCK = {"tsc_known_freq", "constant_tsc", "nonstop_tsc", "tsc_reliable"}


def need_kvm():
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        raise Skip("there is no /dev/kvm that this user may use")


def flags(text):
    line = next(line for line in text.splitlines() if line.startswith("flags"))
    return set(line.split(":")[1].split()) - OF_THE_CLOCK


def run_under(accel, path, log, *more):
    begin = time.monotonic()
    output = run_in_guest("cat /proc/cpuinfo", "-accel", accel, "-readconfig", path, *more,
                          "-d", "accel,stats", "-D", log, timeout=TIMEOUT)
    print(f"# {accel}: {time.monotonic() - begin:.0f} seconds")
    return output


def print_statistics(log):
    with open(log, encoding="utf-8", errors="replace") as file:
        for line in file:
            if "our interpreter runs" not in line:
                print("#", line.rstrip())


def test_same_cpu():
    """One file, both accelerators, the same flags in /proc/cpuinfo."""
    need_kvm()
    odd = subprocess.run([ODDITIES], check=True, capture_output=True, text=True).stdout
    with vmtest.scratch_directory() as scratch:
        path = write_file(scratch, "my.conf", FILE)
        log = os.path.join(scratch, "log")
        under_kvm = run_under("kvm", path, log)
        print_statistics(log)
        if "cpuid" in odd:
            print("# flags are not compared: in 64-bit code this KVM answers CPUID as its host")
            return
        under_tcg = run_under("tcg", path, log)
    contains(under_kvm, "Intel Core i7 9xx (Nehalem Class Core i7)")
    equal(sorted(flags(under_kvm)), sorted(flags(under_tcg)), "flags under kvm")
    check("aes" in flags(under_kvm), "aes was added")


def test_two_processors():
    """Both processors run under kvm."""
    need_kvm()
    with vmtest.scratch_directory() as scratch:
        log = os.path.join(scratch, "log")
        output = run_in_guest("nproc; taskset 1 true && taskset 2 true && echo both", "-accel",
                              "kvm", "-m", "512", "-smp", "2", "-d", "accel,stats", "-D", log,
                              timeout=TIMEOUT)
        print_statistics(log)
    contains(output, "2\n", "both")


vmtest.main()
